//! The sandbox as a server that is attacked: nonsense, floods and clients that go away. It answers, or ends the
//! connection; it doesn't panic, and keeps nothing of it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // a test may

mod common;

use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::embedded::*;
use futures_util::StreamExt;
use vmwbuild::sandbox::{Config, Sandbox};
use vmwbuild::vsphere::client::{Client, EntityKind};
use vmwbuild::vsphere::wire::{CreateContainerView, CreateFolder, Moref};

/// Panics of any thread, the server's tasks among them.
static PANICS: AtomicUsize = AtomicUsize::new(0);
/// Held by the test that runs: what the process holds is counted.
static ONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(30), "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A sandbox, and HTTP without a client's care.
struct Target {
    sandbox: Sandbox,
    http: reqwest::Client,
}

impl Target {
    async fn start(config: Config) -> Target {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICS.fetch_add(1, Ordering::SeqCst);
            before(info);
        }));
        let sandbox = Sandbox::start(config).await.unwrap();
        let http = reqwest::Client::builder().danger_accept_invalid_certs(true).http1_only().build().unwrap();
        Target { sandbox, http }
    }

    async fn post(&self, body: impl Into<reqwest::Body>, cookie: &str) -> Option<(u16, String)> {
        let cookie = format!("vmware_soap_session=\"{cookie}\"");
        let answer = self.http.post(self.sandbox.url()).header("Cookie", cookie).body(body).send().await.ok()?;
        let status = answer.status().as_u16();
        Some((status, answer.text().await.ok()?))
    }

    /// Calls a method; the answer.
    async fn call(&self, cookie: &str, method: &str, this: (&str, &str), arguments: &str) -> String {
        let (kind, value) = this;
        let body = envelope(&format!(
            "<{method} xmlns=\"urn:vim25\"><_this type=\"{kind}\">{value}</_this>{arguments}</{method}>"
        ));
        self.post(body, cookie).await.unwrap().1
    }

    /// Logs in; the cookie's value.
    async fn log_in(&self) -> String {
        let (user, password) = (self.sandbox.username(), self.sandbox.password());
        let body = envelope(&format!(
            "<Login xmlns=\"urn:vim25\"><_this type=\"SessionManager\">SessionManager</_this>\
             <userName>{user}</userName><password>{password}</password></Login>"
        ));
        let answer = self.http.post(self.sandbox.url()).body(body).send().await.unwrap();
        let cookie = answer.headers().get("set-cookie").unwrap().to_str().unwrap().to_owned();
        cookie.split('"').nth(1).unwrap().to_owned()
    }

    /// Whether it still serves, and nothing has panicked.
    async fn is_well(&self) {
        let client = connect(&self.sandbox).await;
        assert!(client.inventory().await.unwrap().vm("linux", None).is_ok());
        client.logout().await.unwrap();
        assert_eq!(PANICS.load(Ordering::SeqCst), 0, "something has panicked");
    }
}

fn envelope(body: &str) -> String {
    format!("<Envelope xmlns=\"http://schemas.xmlsoap.org/soap/envelope/\"><Body>{body}</Body></Envelope>")
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_is_refused() {
    let _one = ONE.lock().await;
    let target = Target::start(Config { patience: Duration::from_millis(300), ..config() }).await;
    let deep = format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(100_000));
    let wide = envelope(&format!("<a>{}</a>", "<b/>".repeat(3_000_000)));
    let entities = "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">]>";
    let file = "<!DOCTYPE x [<!ENTITY a SYSTEM \"file:///etc/passwd\">]>";
    let attributes = format!("<a {}/>", (0..100_000).map(|n| format!("a{n}=\"\" ")).collect::<String>());
    let bodies: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"\0\0\0".to_vec(),
        b"\xff\xfe<\0x\0>\0".to_vec(),
        b"<".to_vec(),
        b"<Envelope>".to_vec(),
        b"</Envelope>".to_vec(),
        b"{\"json\": true}".to_vec(),
        envelope("").into(),
        envelope("<Fault/>").into(),
        envelope("<Login/>").into(),
        envelope("<Login xmlns=\"urn:vim25\"><_this type=\"SessionManager\">SessionManager</_this></Login>").into(),
        envelope("<x><_this type=\"\"></_this></x>").into(),
        envelope(&format!("<{0}><_this type=\"{0}\">{0}</_this></{0}>", "x".repeat(100_000))).into(),
        envelope(&deep).into(),
        envelope(&attributes).into(),
        format!("{entities}{}", envelope("<x><_this type=\"Folder\">&b;</_this></x>")).into(),
        format!("{file}{}", envelope("<x><_this type=\"Folder\">&a;</_this></x>")).into(),
        wide.into(),
    ];
    for body in bodies {
        let begins = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let (status, text) = target.post(body, "").await.unwrap();
        assert!(status == 500 && text.contains("faultstring"), "{begins}: {status} {}", &text[..text.len().min(300)]);
        assert!(text.len() < 400_000 && !text.contains("root:x"), "{begins}: {} bytes", text.len());
    }
    // Too much: refused before all of it has come, or the connection ends.
    if let Some((status, _)) = target.post(vec![b' '; 40 << 20], "").await {
        assert_eq!(status, 413);
    }
    // Too slow, and another length than announced.
    let begun = Instant::now();
    for length in ["1000", "18446744073709551615", "-1", "x"] {
        let stalled = futures_util::stream::iter([Ok::<_, std::io::Error>("<")]).chain(futures_util::stream::pending());
        let request = target.http.post(target.sandbox.url()).header("Content-Length", length);
        if let Ok(answer) = request.body(reqwest::Body::wrap_stream(stalled)).send().await {
            assert!(answer.status().is_client_error(), "{length}: {}", answer.status());
        }
    }
    let silent =
        std::net::TcpStream::connect(target.sandbox.url()["https://".len()..].trim_end_matches("/sdk")).unwrap();
    let read = tokio::task::spawn_blocking(move || (&silent).read(&mut [0; 10]));
    assert!(matches!(read.await.unwrap(), Ok(0) | Err(_)), "who doesn't shake hands is left");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    for (verb, path) in
        [("GET", "/"), ("PUT", "/sdk"), ("DELETE", "/sdk/../../etc/passwd"), ("POST", "/guestFile?token=")]
    {
        let url = format!("{}{path}", target.sandbox.url().trim_end_matches("/sdk"));
        let status = target.http.request(verb.parse().unwrap(), url).send().await.unwrap().status();
        assert!(status.is_client_error(), "{verb} {path}: {status}");
    }
    target.is_well().await;
    target.sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_views_and_traversals_that_lead_nowhere() {
    let _one = ONE.lock().await;
    let target = Target::start(config()).await;
    let cookie = target.log_in().await;
    let pc = ("PropertyCollector", "propertyCollector");
    let long = "a.".repeat(50_000);
    for path in
        ["", ".", "..", "name.", ".name", "name[", "name[0]", "config.hardware.device[\"", &long, "config[-1].x"]
    {
        let path = path.replace('"', "&quot;");
        let spec = format!(
            "<specSet><propSet><type>Folder</type><pathSet>{path}</pathSet></propSet>\
             <objectSet><obj type=\"Folder\">group-d1</obj></objectSet></specSet><options/>"
        );
        let said = target.call(&cookie, "RetrievePropertiesEx", pc, &spec).await;
        assert!(said.contains("InvalidProperty"), "{path}: {}", &said[..said.len().min(300)]);
    }
    // In a circle, and by a name that isn't there.
    let step = |name: &str, then: &str| {
        format!(
            "<selectSet xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"TraversalSpec\"><name>{name}</name>\
             <type>ManagedEntity</type><path>parent</path><skip>false</skip><selectSet><name>{then}</name></selectSet></selectSet>"
        )
    };
    let ask = |select: String| {
        format!(
            "<specSet><propSet><type>ManagedEntity</type><pathSet>name</pathSet></propSet>\
             <objectSet><obj type=\"Folder\">group-d1</obj>{select}</objectSet></specSet><options/>"
        )
    };
    let said = target.call(&cookie, "RetrievePropertiesEx", pc, &ask(step("a", "a"))).await;
    assert!(said.contains("Datacenters"), "{said}");
    let said = target.call(&cookie, "RetrievePropertiesEx", pc, &ask(step("a", "b"))).await;
    assert!(said.contains("returnval") || said.contains("InvalidArgument"), "{said}");

    // A view of what is destroyed shows nothing, and can't be made any more.
    let client = connect(&target.sandbox).await;
    let root = client.inventory().await.unwrap().find(EntityKind::Folder, "/DC0/vm", None).unwrap().moref.clone();
    let folder = client.call(&CreateFolder { this: root, name: "gone".to_owned() }).await.unwrap();
    let request = CreateContainerView {
        this: client.content().view_manager.clone().unwrap(),
        container: folder.clone(),
        kinds: Vec::new(),
        recursive: true,
    };
    let view = client.call(&request).await.unwrap();
    client.destroy(&folder, soon()).await.unwrap();
    let shown: Vec<Moref> = client.properties(&view, &["view"]).await.unwrap().list("view");
    assert!(shown.is_empty());
    assert_eq!(kind(client.call(&request).await), "ManagedObjectNotFound");

    // After the end of a session, and with what was never one.
    target.call(&cookie, "Logout", ("SessionManager", "SessionManager"), "").await;
    for cookie in [cookie.as_str(), "", "nonsense", &"x".repeat(10_000)] {
        let said = target.call(cookie, "CurrentTime", ("ServiceInstance", "ServiceInstance"), "").await;
        assert!(said.contains("NotAuthenticatedFault"), "{said}");
    }
    client.logout().await.unwrap();
    target.is_well().await;
    assert_eq!(target.sandbox.sessions(), 0);
    target.sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_bear_what_nobody_should_ask() {
    let _one = ONE.lock().await;
    let target = Target::start(config()).await;
    let client = connect(&target.sandbox).await;
    let vm = clone_of(&client, "linux", "web").await;
    let guest = boot(&client, &vm).await;
    let cookie = target.log_in().await;
    let auth = "<auth xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"NamePasswordAuthentication\">\
                <interactiveSession>false</interactiveSession><username>root</username><password>x</password></auth>";
    let files = ("GuestFileManager", "guestOperationsFileManager");
    let processes = ("GuestProcessManager", "guestOperationsProcessManager");
    let long = "x".repeat(1 << 20);
    let list = |rest: &str| format!("<vm type=\"VirtualMachine\">{}</vm>{auth}{rest}", vm.value);
    let path = |path: &str, rest: &str| list(&format!("<filePath>{path}</filePath>{rest}"));
    let program = |path: &str, arguments: &str| {
        list(&format!("<spec><programPath>{path}</programPath><arguments>{arguments}</arguments></spec>"))
    };
    let asked = [
        ("ListFilesInGuest", files, path("/root", "<index>-1</index><maxResults>-5</maxResults>")),
        ("ListFilesInGuest", files, path("/root", "<index>2147483647</index><maxResults>2147483647</maxResults>")),
        ("ListFilesInGuest", files, path("/root", "<index>99999999999999</index>")),
        ("ListFilesInGuest", files, path("/root", "<matchPattern>(a{1000}){1000}{1000}</matchPattern>")),
        ("ListFilesInGuest", files, path("/root", "<matchPattern>((</matchPattern>")),
        ("ListFilesInGuest", files, path(&format!("/{long}"), "")),
        ("ListFilesInGuest", files, path("../../../..", "")),
        ("ListFilesInGuest", files, path("/proc/1/root/../../..", "")),
        ("DeleteFileInGuest", files, path("/", "")),
        ("DeleteDirectoryInGuest", files, list("<directoryPath>/proc</directoryPath><recursive>true</recursive>")),
        (
            "MoveFileInGuest",
            files,
            list("<srcFilePath>/dev/null</srcFilePath><dstFilePath>/</dstFilePath><overwrite>true</overwrite>"),
        ),
        ("InitiateFileTransferFromGuest", files, list("<guestFilePath>/dev/zero</guestFilePath>")),
        ("InitiateFileTransferFromGuest", files, list("<guestFilePath>/proc/kcore</guestFilePath>")),
        (
            "InitiateFileTransferToGuest",
            files,
            list(
                "<guestFilePath>/root/x</guestFilePath><fileAttributes/><fileSize>-1</fileSize><overwrite>true</overwrite>",
            ),
        ),
        ("TerminateProcessInGuest", processes, list("<pid>-1</pid>")),
        ("TerminateProcessInGuest", processes, list("<pid>9223372036854775807</pid>")),
        ("TerminateProcessInGuest", processes, list("<pid>0</pid>")),
        ("ListProcessesInGuest", processes, list(&"<pids>-1</pids>".repeat(10_000))),
        ("StartProgramInGuest", processes, program("/bin/true", &long)),
        ("StartProgramInGuest", processes, program("/", "")),
        ("StartProgramInGuest", processes, program("/bin/true\"; exit 3; \"", "")),
        ("StartProgramInGuest", processes, list("")),
    ];
    for (method, manager, arguments) in asked {
        let said = target.call(&cookie, method, manager, &arguments).await;
        assert!(said.contains("faultstring") || said.contains("Response"), "{method}: {said}");
    }
    assert_eq!(run(&guest, "exit 7").await, 7, "the guest lives");
    // Clients that go away in the midst of it: nothing is left half done, and the turn is given back.
    let touch = program("/bin/sh", "-c 'sleep 0.02'");
    for n in 0..60u64 {
        let call = target.call(&cookie, "StartProgramInGuest", processes, &touch);
        let _ = tokio::time::timeout(Duration::from_millis(n % 6), call).await;
    }
    assert_eq!(run(&guest, "exit 8").await, 8);
    for n in 0..12u64 {
        let name = format!("<name>c{n}</name>");
        let spec = format!(
            "<folder type=\"Folder\">{}</folder>{name}<spec><location/><powerOn>false</powerOn><template>false</template></spec>",
            client.properties(&vm, &["parent"]).await.unwrap().get::<Moref>("parent").unwrap().value
        );
        let call = target.call(&cookie, "CloneVM_Task", ("VirtualMachine", &vm.value), &spec);
        let _ = tokio::time::timeout(Duration::from_millis(n), call).await;
    }
    client.power_off(&vm, soon()).await.unwrap();
    let mark = async || {
        let call = target.call(&cookie, "MarkAsTemplate", ("VirtualMachine", &vm.value), "");
        let _ = tokio::time::timeout(Duration::from_micros(700), call).await;
    };
    mark().await;
    mark().await;
    let copy = {
        client.mark_as_template(&vm).await.or_else(|e| if e.fault().is_some() { Ok(()) } else { Err(e) }).unwrap();
        clone_of(&client, "web", "copy").await
    };
    let guest = boot(&client, &copy).await;
    assert_eq!(run(&guest, "exit 9").await, 9, "a clone of what was marked in a hurry boots");
    client.logout().await.unwrap();
    target.is_well().await;
    target.sandbox.stop().await;
}

/// A client that waits for changes which don't come.
async fn waits(client: &Client, target: &Target, cookie: &str) -> String {
    let made = target.call(cookie, "CreatePropertyCollector", ("PropertyCollector", "propertyCollector"), "").await;
    let collector = made.split("PropertyCollector\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let root = client.content().root_folder.value.clone();
    let spec = format!(
        "<spec><propSet><type>Folder</type><pathSet>name</pathSet></propSet>\
         <objectSet><obj type=\"Folder\">{root}</obj></objectSet></spec><partialUpdates>false</partialUpdates>"
    );
    target.call(cookie, "CreateFilter", ("PropertyCollector", &collector), &spec).await;
    let first = target.call(cookie, "WaitForUpdatesEx", ("PropertyCollector", &collector), "<version></version>").await;
    assert!(first.contains("<version>1</version>"), "{first}");
    collector
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_waits_and_hundreds_of_sessions_leave_nothing() {
    let _one = ONE.lock().await;
    let target = Target::start(Config { session_idle: Duration::from_secs(2), ..config() }).await;
    let client = connect(&target.sandbox).await;
    let cookie = target.log_in().await;
    let collector = waits(&client, &target, &cookie).await;
    target.is_well().await;
    let (before, memory) = (descriptors(), resident_kib());
    let waiting = (0..1000).map(|_| {
        let (http, url, cookie) = (target.http.clone(), target.sandbox.url(), cookie.clone());
        let body = envelope(&format!(
            "<WaitForUpdatesEx xmlns=\"urn:vim25\"><_this type=\"PropertyCollector\">{collector}</_this>\
             <version>1</version></WaitForUpdatesEx>"
        ));
        tokio::spawn(async move {
            let request = http.post(url).header("Cookie", format!("vmware_soap_session={cookie}")).body(body);
            request.send().await.map(|answer| answer.status().as_u16())
        })
    });
    let waiting: Vec<_> = waiting.collect();
    eventually("all wait", || target.sandbox.requests().get("WaitForUpdatesEx") == Some(&1001)).await;
    // Meanwhile others are served.
    target.is_well().await;
    for one in &waiting {
        one.abort();
    }
    drop(waiting);
    // Their session isn't held by calls that nobody waits for: it ends by being idle.
    tokio::time::sleep(Duration::from_millis(2100)).await;
    eventually("the connections are closed", || descriptors() <= before + 20).await;
    target.is_well().await;
    assert!(target.sandbox.sessions() <= 1, "{} sessions are left", target.sandbox.sessions());

    for _ in 0..300 {
        target.log_in().await;
    }
    tokio::time::sleep(Duration::from_millis(2100)).await;
    target.is_well().await;
    assert!(target.sandbox.sessions() <= 1, "{} sessions are left", target.sandbox.sessions());
    let now = resident_kib();
    assert!(now < memory + 100_000, "{memory} KiB became {now}");
    let _ = client.logout().await;
    target.sandbox.stop().await;
    assert_eq!(PANICS.load(Ordering::SeqCst), 0);
}
