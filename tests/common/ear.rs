//! An ear before a server: hears what clients ask it for, whoever wrote them, and tells where the requests of two of them
//! differ, field by field.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_LENGTH, HOST, SET_COOKIE, TRANSFER_ENCODING};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::site::Site;
use super::{DEADLINE, context, run};
use ::vmwbuild::vsphere::client::Client;
use ::vmwbuild::vsphere::wire::{Element, Limits};

/// Hears all that is said to a server by way of it.
pub struct Ear<'a> {
    site: &'a Site,
    /// Where clients connect to, without TLS.
    url: String,
    heard: Arc<Mutex<Vec<Asked>>>,
    /// Ends with this value, and all connections with it.
    _runtime: tokio::runtime::Runtime,
}

/// A request as it went over the wire.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `POST`.
    pub verb: String,
    /// Path and query.
    pub path: String,
    pub body: Vec<u8>,
}

impl<'a> Ear<'a> {
    /// One before that server.
    pub fn before(site: &'a Site) -> Ear<'a> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let own = format!("http://{}/sdk", listener.local_addr().expect("an address"));
        // Whose certificate it is has been looked at by those who go to the server itself.
        let to = reqwest::Client::builder().danger_accept_invalid_certs(true).no_proxy().build().expect("a client");
        let heard: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (base, shared) = (site.server().0.trim_end_matches("/sdk").to_owned(), Arc::clone(&heard));
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (base, to, heard) = (base.clone(), to.clone(), Arc::clone(&shared));
                tokio::spawn(async move {
                    let pass = service_fn(|request| pass(request, &base, &to, &heard));
                    // A client that leaves while it waits is nothing to tell.
                    let _ =
                        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), pass).await;
                });
            }
        });
        Ear { site, url: own, heard, _runtime: runtime }
    }

    /// What was asked for since the last look.
    fn take(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.heard.lock().expect("heard"))
    }

    /// What govc asks for.
    pub fn govc(&self, args: &[&str]) -> Vec<Asked> {
        let run = run(self.site.govc_command(args).env("GOVC_URL", &self.url), DEADLINE);
        assert_eq!(run.code, Some(0), "govc {args:?}: {run}\n{}", self.site.log());
        self.take()
    }

    /// What `vmwbuild` asks for, when it is run as [`Site::tool`] does.
    pub fn tool(&self, dir: &Path, args: &[&str]) -> Vec<Asked> {
        let run = run(self.site.tool(dir, args).env("VMWBUILD_VCENTER", &self.url), DEADLINE);
        assert_eq!(run.code, Some(0), "{args:?}: {run}\n{}", self.site.log());
        self.take()
    }

    /// What a build of that VMWfile asks for.
    pub fn build(&self, vmwfile: &str) -> Vec<Asked> {
        let text = vmwfile.replace("TEMPLATE-OF-SITE", self.site.template());
        self.tool(context(&[("VMWfile", text)]).path(), &["build", "--progress", "plain"])
    }

    /// What our client asks for.
    pub fn client(&self, work: impl AsyncFnOnce(&Client)) -> Vec<Asked> {
        self.site.client_at(&self.url, None, work);
        self.take()
    }

    /// What a script with pyVmomi asks for.
    pub fn python(&self, script: &str, args: &[&str]) -> Vec<Asked> {
        let (_, username, password, _) = self.site.server();
        let mut command = Command::new(super::setting("VMWBUILD_TEST_PYTHON"));
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(script)).args(args);
        command.env("GOVC_URL", &self.url).env("GOVC_USERNAME", username).env("GOVC_PASSWORD", password);
        let run = run(&mut command, DEADLINE);
        assert_eq!(run.code, Some(0), "{script} {args:?}: {run}\n{}", self.site.log());
        self.take()
    }
}

async fn pass(
    request: hyper::Request<Incoming>,
    base: &str,
    to: &reqwest::Client,
    heard: &Mutex<Vec<Asked>>,
) -> Result<hyper::Response<Full<Bytes>>, Box<dyn std::error::Error + Send + Sync>> {
    let (mut head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let asked = Asked { verb: head.method.to_string(), path: path.clone(), body: body.to_vec() };
    heard.lock().expect("heard").push(asked);
    for own in [HOST, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
        head.headers.remove(own);
    }
    let answer = to.request(head.method, format!("{base}{path}")).headers(head.headers).body(body).send().await?;
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    for own in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
        headers.remove(own);
    }
    // There is no TLS on the way to here.
    for cookie in headers.get_all(SET_COOKIE).iter().cloned().collect::<Vec<_>>() {
        let plain = cookie.to_str()?.replace("; Secure", "").replace("; secure", "");
        headers.insert(SET_COOKIE, plain.parse()?);
    }
    let mut response = hyper::Response::new(Full::new(answer.bytes().await?));
    (*response.status_mut(), *response.headers_mut()) = (status, headers);
    Ok(response)
}

impl Asked {
    /// The method's element, where it is a SOAP message.
    pub fn method(&self) -> Option<Element> {
        let envelope = Element::parse(&self.body, Limits::default()).ok()?;
        envelope.children.into_iter().find(|part| part.name == "Body")?.children.into_iter().next()
    }

    /// The method's name; of others the verb and the last part of the path, without ids.
    pub fn call(&self) -> String {
        if let Some(method) = self.method() {
            return method.name;
        }
        let (path, query) = self.path.split_once('?').unwrap_or((&self.path, ""));
        let part = path.rsplit('/').find(|part| !part.starts_with("id:")).unwrap_or_default();
        let action = query.split_once("action=").map(|(_, action)| format!("?{action}"));
        format!("{} {part}{}", self.verb, action.unwrap_or_default())
    }

    /// All that is said, in its order: verb, path, and each field of the message with its value.
    pub fn fields(&self) -> Fields {
        self.fields_but(|_| false)
    }

    /// The same without those elements of a SOAP message.
    pub fn fields_but(&self, left_out: impl Fn(&Element) -> bool) -> Fields {
        fn prune(element: &mut Element, left_out: &dyn Fn(&Element) -> bool) {
            element.children.retain(|child| !left_out(child));
            element.children.iter_mut().for_each(|child| prune(child, left_out));
        }
        let mut list = vec![("verb".to_owned(), self.verb.clone()), ("path".to_owned(), self.path.clone())];
        let mut method = self.method();
        method.iter_mut().for_each(|method| prune(method, &left_out));
        match &method {
            Some(method) => {
                list.push(("method".to_owned(), method.name.clone()));
                elements(&method.children, "", &mut list);
            }
            None if self.body.is_empty() => {}
            None => json(&serde_json::from_slice(&self.body).expect("JSON"), "", &mut list),
        }
        Fields { list, is_soap: method.is_some() }
    }
}

/// The only one of these calls among several.
pub fn only<'a>(asked: &'a [Asked], call: &str) -> &'a Asked {
    match all(asked, call).as_slice() {
        [one] => one,
        several => {
            let calls: Vec<String> = asked.iter().map(Asked::call).collect();
            panic!("{} calls of {call} among {calls:?}", several.len())
        }
    }
}

/// All of these calls.
pub fn all<'a>(asked: &'a [Asked], call: &str) -> Vec<&'a Asked> {
    asked.iter().filter(|asked| asked.call() == call).collect()
}

impl Asked {
    /// A SOAP message with that body, to see what a comparison sees.
    pub fn soap(body: &str) -> Asked {
        let xsi = "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"";
        let body = format!("<Envelope {xsi}><Body>{body}</Body></Envelope>").into_bytes();
        Asked { verb: "POST".to_owned(), path: "/sdk".to_owned(), body }
    }
}

/// Fields with their values, in the order in which they are said.
#[derive(Clone, Debug)]
pub struct Fields {
    list: Vec<(String, String)>,
    /// Its schema has an order; JSON has none.
    is_soap: bool,
}

fn elements(children: &[Element], path: &str, out: &mut Vec<(String, String)>) {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for child in children {
        let count = seen.entry(&child.name).or_default();
        *count += 1;
        let path = match *count {
            1 => format!("{path}/{}", child.name),
            n => format!("{path}/{}[{n}]", child.name),
        };
        out.extend(child.xsi_type.iter().map(|kind| (format!("{path}@type"), kind.clone())));
        // pyVmomi says with everything which version of the API has it.
        let attrs = child.attrs.iter().filter(|(name, _)| name != "versionId");
        out.extend(attrs.map(|(name, value)| (format!("{path}#{name}"), value.clone())));
        if child.children.is_empty() {
            out.push((path.clone(), child.text.trim().to_owned()));
        }
        elements(&child.children, &path, out);
    }
}

fn json(value: &serde_json::Value, path: &str, out: &mut Vec<(String, String)>) {
    use serde_json::Value;
    match value {
        Value::Object(fields) if !fields.is_empty() || path.is_empty() => {
            fields.iter().for_each(|(name, field)| json(field, &format!("{path}/{name}"), out));
        }
        Value::Array(list) if !list.is_empty() => {
            list.iter().enumerate().for_each(|(at, one)| json(one, &format!("{path}[{}]", at + 1), out));
        }
        Value::String(text) => out.push((path.to_owned(), text.clone())),
        other => out.push((path.to_owned(), other.to_string())),
    }
}

impl Fields {
    /// Only what is below that field, as if it were the whole message.
    pub fn below(&self, field: &str) -> Fields {
        let below = |(path, value): &(String, String)| {
            let rest = path.strip_prefix(field)?;
            rest.starts_with('/').then(|| (rest.to_owned(), value.clone()))
        };
        Fields { list: self.list.iter().filter_map(below).collect(), is_soap: self.is_soap }
    }

    /// The same, but for what each machine has its own of: a field of such a name is there, whatever it holds.
    pub fn own(mut self, names: &[&str]) -> Fields {
        for (field, value) in &mut self.list {
            if names.iter().any(|name| field.rsplit('/').next() == Some(name)) {
                "ITS OWN".clone_into(value);
            }
        }
        self
    }

    /// What a field holds.
    pub fn get(&self, field: &str) -> Option<&str> {
        self.list.iter().find(|(path, _)| path == field).map(|(_, value)| value.as_str())
    }

    /// The same with other words for names and ids that each client has its own of.
    pub fn with(mut self, words: &[(&str, &str)]) -> Fields {
        for (field, value) in &mut self.list {
            match words.iter().find(|(own, _)| own == value) {
                Some((_, word)) => *value = (*word).to_owned(),
                // What a path is made of.
                None if field == "path" => {
                    words
                        .iter()
                        .for_each(|(own, word)| *value = value.replace(&format!("id:{own}"), &format!("id:{word}")));
                }
                None => {}
            }
        }
        self
    }
}

/// A field that we say otherwise than somebody else's client, knowingly.
#[derive(Clone, Copy)]
pub struct Otherwise<'a> {
    field: &'a str,
    ours: Option<&'a str>,
    theirs: Option<&'a str>,
    why: &'a str,
}

/// We say that, and they say something else; None: nothing is said.
pub const fn but<'a>(field: &'a str, ours: Option<&'a str>, theirs: Option<&'a str>, why: &'a str) -> Otherwise<'a> {
    Otherwise { field, ours, theirs, why }
}

/// Types that a client may leave out, since the schema has no other in these places.
const IMPLIED: &[(&str, &str)] =
    &[("deviceInfo", "Description"), ("deviceChange", "VirtualDeviceConfigSpec"), ("extraConfig", "OptionValue")];

/// Whether a type says only what the schema says.
fn is_implied(field: &str, kind: &str) -> bool {
    let Some(path) = field.strip_suffix("@type") else { return false };
    let name = path.rsplit('/').next().unwrap_or_default();
    let name = name.split('[').next().unwrap_or_default();
    IMPLIED.contains(&(name, kind))
}

/// Fails unless both are the same, in the same order, but for exactly what is listed.
#[track_caller]
pub fn alike(ours: &Fields, theirs: &Fields, knowingly: &[Otherwise<'_>]) {
    let wrong = differences(ours, theirs, knowingly);
    assert!(wrong.is_empty(), "the requests differ:\n{}\nours: {ours:#?}\ntheirs: {theirs:#?}", wrong.join("\n"));
}

/// What is otherwise, but for exactly what is listed; and what is listed, and isn't so.
pub fn differences(ours: &Fields, theirs: &Fields, knowingly: &[Otherwise<'_>]) -> Vec<String> {
    let shown = |value: Option<&str>| value.map_or("nothing".to_owned(), |value| format!("`{value}`"));
    let mut wrong = Vec::new();
    let paths: BTreeSet<&String> = ours.list.iter().chain(&theirs.list).map(|(path, _)| path).collect();
    for path in &paths {
        let (mine, other) = (ours.get(path), theirs.get(path));
        let left_out = mine.is_none() && other.is_some_and(|kind| is_implied(path, kind));
        let said = format!("{path}: {} by us, {} by them", shown(mine), shown(other));
        match knowingly.iter().find(|known| known.field == path.as_str()) {
            Some(known) if (known.ours, known.theirs) == (mine, other) => {}
            Some(Otherwise { ours, theirs, why, .. }) => {
                wrong.push(format!("{said}, and not {} and {} ({why})", shown(*ours), shown(*theirs)));
            }
            None if mine == other || left_out => {}
            None => wrong.push(said),
        }
    }
    for known in knowingly.iter().filter(|known| !paths.iter().any(|path| path.as_str() == known.field)) {
        wrong.push(format!("{}: neither says it any more ({})", known.field, known.why));
    }
    let shared = |one: &Fields, other: &Fields| -> Vec<String> {
        one.list.iter().map(|(path, _)| path.clone()).filter(|path| other.get(path).is_some()).collect()
    };
    if ours.is_soap && shared(ours, theirs) != shared(theirs, ours) {
        wrong.push("the same fields are in another order".to_owned());
    }
    wrong
}
