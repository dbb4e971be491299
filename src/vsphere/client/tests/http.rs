//! Answers that no server should give.

use std::time::{Duration, Instant};

use super::server::{Answer, Got, Server, fault, soap};
use super::{connect, failure, soon};
use crate::vsphere::client::{Class, Client, ConnectKind, Deadline, Error};
use crate::vsphere::wire::{
    CurrentTime, Element, Moref, ObjectContent, PowerOnVmTask, RetrievePropertiesEx, RetrieveResult, Service,
    response_document,
};

fn html(status: u16) -> Answer {
    Answer::Http(status, "text/html", b"<!DOCTYPE html><html><head><title>Proxy says no</title></head></html>".to_vec())
}

fn clock() -> CurrentTime {
    CurrentTime { this: Moref::new("ServiceInstance", "ServiceInstance") }
}

#[tokio::test]
async fn a_proxys_page_is_told_from_a_server() {
    for status in [200, 403, 404, 407, 500] {
        let server = Server::http(move |_| Some(html(status))).await;
        let error = failure(&server).await;
        assert!(matches!(&error, Error::Protocol { excerpt, .. } if excerpt.contains("Proxy says no")), "{error:?}");
        assert_eq!((error.class(), error.diagnostic().code.number), (Class::Connection, 710));
        if matches!(status, 200 | 500) {
            assert!(error.to_string().contains("HTML page"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let reply = b"HTTP/1.1 302 Found\r\nLocation: https://login.example.com/\r\nContent-Length: 0\r\n\r\n";
    let server = Server::http(move |_| Some(Answer::Raw(reply.to_vec()))).await;
    let error = failure(&server).await;
    assert!(error.to_string().contains("302") && error.to_string().contains("login.example.com"), "{error}");
}

#[tokio::test]
async fn replies_that_are_not_soap_are_named() {
    let deep = format!("{}{}", "<a>".repeat(500), "</a>".repeat(500));
    let whole =
        response_document(Service::Vim, &Element::new("CurrentTimeResponse").with(Element::text("returnval", "now")))
            .expect("it");
    let cut = whole[..whole.len() - 40].to_owned();
    for (body, words) in [
        (String::new(), "it is empty"),
        (cut, "it ends in the middle"),
        (deep, "nested deeper than"),
        ("<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>".to_owned(), "<!DOCTYPE"),
        ("plain words".to_owned(), "it is empty"),
        ("<a></b>".to_owned(), "not well-formed"),
        ("<html/>".to_owned(), "not a SOAP message: its root is <html>"),
        ("<Envelope/>".to_owned(), "<Envelope> lacks <Body>"),
        ("<Envelope><Body/></Envelope>".to_owned(), "<Body> lacks"),
        ("<Envelope><Body><OtherResponse/></Body></Envelope>".to_owned(), "<OtherResponse>"),
        ("<Envelope><Body><CurrentTimeResponse/></Body></Envelope>".to_owned(), "lacks <returnval>"),
    ] {
        let document = body.clone();
        let server = Server::http(move |got| {
            (got.method == "CurrentTime").then(|| Answer::Http(200, "text/xml", document.clone().into_bytes()))
        })
        .await;
        let client = connect(&server).await;
        let error = client.call(&clock()).await.expect_err(words);
        assert!(matches!(error, Error::Protocol { .. }) && error.to_string().contains(words), "{body}: {error}");
        assert_eq!(server.count("CurrentTime"), 1, "it is not asked again");
    }
}

#[tokio::test]
async fn a_reply_without_end_is_cut_off() {
    let announced = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 99999999999\r\n\r\n<a>".to_vec();
    let server = Server::http(move |got| (got.method == "CurrentTime").then(|| Answer::Raw(announced.clone()))).await;
    let error = connect(&server).await.call(&clock()).await.expect_err("too large");
    assert!(error.to_string().contains("larger than 64 MiB"), "{error}");

    let piece = b"<b>x</b>".repeat(100_000);
    let server = Server::http(move |got| (got.method == "CurrentTime").then(|| Answer::Endless(piece.clone()))).await;
    let error = connect(&server).await.call(&clock()).await.expect_err("too large");
    assert!(error.to_string().contains("larger than 64 MiB"), "{error}");
}

#[tokio::test]
async fn only_what_is_harmless_is_sent_again() {
    let trouble = |kind: &'static str| {
        move |got: &Got| match (kind, got.method.as_str()) {
            (_, "Login" | "RetrieveServiceContent") => None,
            (_, method) if method.starts_with("GET") => None,
            ("503 twice", _) if got.before < 2 => Some(html(503)),
            ("dropped twice", _) if got.before < 2 => Some(Answer::Close),
            ("503", _) => Some(html(503)),
            ("cut", _) => Some(Answer::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n<a>".to_vec())),
            (_, "CurrentTime") => Some(soap::<CurrentTime>(&"now".to_owned())),
            _ => None,
        }
    };
    let power = PowerOnVmTask { this: Moref::new("VirtualMachine", "vm-1"), host: None };
    let cases = [("503 twice", true), ("dropped twice", true), ("503", false), ("cut", false)];
    let each = cases.map(async |(kind, works)| {
        let server = Server::http(trouble(kind)).await;
        let client = connect(&server).await;
        let read = client.call(&clock()).await;
        assert_eq!(read.is_ok(), works, "{kind}: {read:?}");
        assert_eq!(server.count("CurrentTime"), 3, "{kind}");
        let written = client.call(&power).await.expect_err(kind);
        assert!(written.lost_reply(), "{kind}: {written:?}");
        assert_eq!(server.count("PowerOnVM_Task"), 1, "{kind}");
    });
    futures_util::future::join_all(each).await;
}

#[tokio::test]
async fn nobody_there_is_told_apart() {
    let nobody = {
        let server = Server::http(|_| Some(Answer::Close)).await;
        let error = failure(&server).await;
        assert!(matches!(error, Error::Connect { kind: ConnectKind::Closed, .. }), "{error:?}");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("an address").port()
    };
    let mut endpoint = crate::vsphere::client::Endpoint::parse(&format!("127.0.0.1:{nobody}")).expect("a URL");
    let error = Client::connect(endpoint.clone(), soon()).await.map(|_| ()).expect_err("refused");
    assert!(matches!(error, Error::Connect { kind: ConnectKind::Refused, lost_reply: false, .. }), "{error:?}");
    assert_eq!(error.diagnostic().code.number, 702);

    endpoint.url.set_host(Some("no-such-host.invalid")).expect("a host");
    let error = Client::connect(endpoint, soon()).await.map(|_| ()).expect_err("no such name");
    assert!(matches!(error, Error::Connect { kind: ConnectKind::Dns, .. }), "{error:?}");
    assert_eq!(error.diagnostic().code.number, 701);
}

#[tokio::test]
async fn a_server_that_never_answers_costs_no_more_than_the_deadline() {
    let server = Server::http(|_| Some(Answer::Hang)).await;
    let begun = Instant::now();
    let short = Deadline::after(Duration::from_millis(200));
    let error = Client::connect(server.endpoint(), short).await.map(|_| ()).expect_err("too late");
    assert!(matches!(error, Error::Connect { kind: ConnectKind::TimedOut, .. }), "{error:?}");
    assert!(error.diagnostic().message.ends_with("doesn't answer"), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_refused_login_is_not_tried_again() {
    let server = Server::http(|got| {
        (got.method == "Login")
            .then(|| fault("InvalidLogin", "Cannot complete login due to an incorrect user name or password."))
    })
    .await;
    let error = failure(&server).await;
    assert!(matches!(&error, Error::Login { user, .. } if user == "user"), "{error:?}");
    assert_eq!(server.count("Login"), 1);
}

#[tokio::test]
async fn requests_carry_what_servers_need() {
    let server = Server::http(|got| {
        if got.method == "CurrentTime" {
            let head = got.head.to_ascii_lowercase();
            assert!(head.contains("soapaction: urn:vim25/8.0.2.0"), "the newest common version: {head}");
            assert!(head.contains("content-type: text/xml; charset=\"utf-8\""), "{head}");
            assert!(head.contains("cookie: vmware_soap_session=\"abc\""), "verbatim: {head}");
            assert!(head.contains("user-agent: vmwbuild/"), "{head}");
            let content = String::from_utf8_lossy(&got.content).into_owned();
            assert!(content.contains("<operationID xmlns=\"urn:vim25\">vmwbuild-"), "{content}");
            return Some(soap::<CurrentTime>(&"now".to_owned()));
        }
        None
    })
    .await;
    let client = connect(&server).await;
    assert_eq!(client.version(), "8.0.2.0");
    client.call(&clock()).await.expect("an answer");
    client.logout().await.expect("an orderly end");
    assert_eq!(server.count("Logout"), 1);
    let requests = client.requests();
    assert_eq!((requests.total, requests.by_method.get("CurrentTime")), (5, Some(&1)));
}

#[tokio::test]
async fn values_that_xml_cannot_carry_are_refused_before_they_are_sent() {
    let server = Server::http(|_| None).await;
    let client = connect(&server).await;
    let bad = PowerOnVmTask { this: Moref::new("VirtualMachine", "vm\u{0}1"), host: None };
    let error = client.call(&bad).await.expect_err("a NUL");
    assert!(matches!(&error, Error::Usage(text) if text.contains("U+0000")), "{error:?}");
    assert_eq!(server.count("PowerOnVM_Task"), 0);
}

#[tokio::test]
async fn pages_are_followed_and_none_may_be_there() {
    let object =
        |n: usize| ObjectContent { obj: Moref::new("VirtualMachine", format!("vm-{n}")), ..ObjectContent::default() };
    let server = Server::http(move |got| match got.method.as_str() {
        "RetrievePropertiesEx" if got.before == 0 => {
            let page = RetrieveResult { token: Some("0".to_owned()), objects: vec![object(0)] };
            Some(soap::<RetrievePropertiesEx>(&Some(page)))
        }
        "RetrievePropertiesEx" => Some(soap::<RetrievePropertiesEx>(&None)),
        "ContinueRetrievePropertiesEx" => {
            assert_eq!(got.body.child_text("token"), Some("0"));
            let token = (got.before < 2).then(|| "0".to_owned());
            let page = RetrieveResult { token, objects: vec![object(got.before + 1)] };
            Some(soap::<crate::vsphere::wire::ContinueRetrievePropertiesEx>(&page))
        }
        _ => None,
    })
    .await;
    let client = connect(&server).await;
    let all: Vec<Moref> = (0..4).map(|n| object(n).obj).collect();
    let found = client.properties_of(&all, &["name"]).await.expect("four pages");
    assert_eq!(found.into_iter().map(|(m, _)| m).collect::<Vec<_>>(), all);
    assert!(client.properties_of(&all, &["name"]).await.expect("nothing").is_empty());
    let gone = client.properties(&all[0], &["name"]).await.expect_err("nothing");
    assert!(gone.is_fault("ManagedObjectNotFound"), "{gone:?}");
}
