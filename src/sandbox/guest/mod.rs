//! Guest operations: what VMware Tools do in a guest for those who know an account of it.

mod files;
mod processes;
mod transfers;

use std::io::Read;
use std::sync::Arc;

use super::faults::{
    Answer, guest as guest_fault, invalid_argument, invalid_guest_login, invalid_power_state, machinery, not_supported,
    unknown_method, vix,
};
use super::guests::{Error, ExecSpec, Exit, Guest, User};
use super::machine::{Power, Reported, Tools};
use super::operations::Running;
use super::server::{Call, Server, lock};
use crate::vsphere::wire::{Element, GuestAuthentication, Moref, Value};

pub(super) use processes::{Programs, SEARCH};
pub(super) use transfers::{Transfers, handle};

/// A guest with an account of it that the client has proven to know.
pub(super) struct Access {
    pub vm: Moref,
    pub running: Arc<Running>,
    pub guest: Guest,
    pub user: User,
    /// The account's name on a guest that is taken for Windows, where paths are those of Windows.
    pub windows: Option<String>,
}

/// Answers a call on one of the guest operations' managers.
pub(super) async fn dispatch(server: &Arc<Server>, call: &Call) -> Answer<Element> {
    let known = match call.this.kind.as_str() {
        "GuestAuthManager" => ["ValidateCredentialsInGuest"].contains(&call.method.as_str()),
        "GuestProcessManager" => processes::METHODS.contains(&call.method.as_str()),
        _ => files::METHODS.contains(&call.method.as_str()),
    };
    if !known {
        return Err(match call.method.as_str() {
            "AcquireCredentialsInGuest" | "ReleaseCredentialsInGuest" => not_supported(&call.method),
            _ => unknown_method(&call.this, &call.method),
        });
    }
    let vm: Moref = call.arg("vm")?;
    let windows = server.lock().inventory.vm(&vm)?.is_windows();
    let located = windows.then(|| Call { body: on_drive(&call.body), ..call.clone() });
    let call = located.as_ref().unwrap_or(call);
    let running = ready(server, &vm)?;
    // They queue: Tools do one thing after another.
    let _turn = running.turn.lock().await;
    let access = log_in(server, call, (vm, windows), running.clone()).await?;
    match call.this.kind.as_str() {
        "GuestAuthManager" => call.answer(&()),
        "GuestProcessManager" => processes::dispatch(server, call, &access).await,
        _ => files::dispatch(server, call, &access).await,
    }
}

/// The machine as it runs, if Tools can be spoken to.
fn ready(server: &Server, vm: &Moref) -> Answer<Arc<Running>> {
    let state = server.lock();
    let machine = state.inventory.vm(vm)?;
    match (machine.power, machine.tools) {
        (Power::On, Tools::Ready) => {}
        (Power::On, Tools::Rebooting) => return Err(vix(3016)),
        (Power::On, Tools::Away) => {
            let text = "The guest operations agent could not be contacted.";
            return Err(guest_fault("GuestOperationsUnavailable", text));
        }
        (power, _) => return Err(invalid_power_state(Some("poweredOn"), power.as_str())),
    }
    drop(state);
    server.running(vm).ok_or_else(|| vix(3016))
}

/// What names files in a call, with paths of Windows as the guest has them: drive C: is the directory `/C:`.
fn on_drive(body: &Element) -> Element {
    const PATHS: [&str; 10] = [
        "directoryPath",
        "filePath",
        "srcFilePath",
        "dstFilePath",
        "srcDirectoryPath",
        "dstDirectoryPath",
        "guestFilePath",
        "programPath",
        "workingDirectory",
        "spec",
    ];
    let mut body = body.clone();
    for child in &mut body.children {
        if child.name == "spec" {
            *child = on_drive(child);
        } else if PATHS.contains(&child.name.as_str()) {
            child.text = match child.text.get(1..3) {
                Some(":\\" | ":/") => format!("/{}", child.text.replace('\\', "/")),
                // No path of Windows: nothing that is absolute.
                _ => child.text.trim_start_matches('/').to_owned(),
            };
        }
    }
    body
}

async fn log_in(server: &Server, call: &Call, (vm, windows): (Moref, bool), running: Arc<Running>) -> Answer<Access> {
    let auth: Element = call.arg("auth")?;
    let Ok(GuestAuthentication::NamePassword(auth)) = GuestAuthentication::from_element(&auth) else {
        return Err(not_supported("this kind of guest authentication"));
    };
    if auth.interactive_session {
        let text = "The operation is not supported by the guest operating system.";
        return Err(guest_fault("OperationNotSupportedByGuest", text));
    }
    let Some(guest) = running.guest.clone() else { return Err(machinery(&Error::NeedsLinux)) };
    let logins = &server.config.logins;
    let right = logins.is_empty() || logins.iter().any(|(u, p)| *u == auth.username && *p == auth.password);
    if auth.username.is_empty() || !right {
        return Err(invalid_guest_login());
    }
    // Windows refuses empty passwords of accounts that log in over the network.
    if windows && auth.password.is_empty() {
        return Err(invalid_guest_login());
    }
    let account = if windows { "root" } else { auth.username.as_str() };
    let user = match guest.user(account).await {
        Ok(user) => user,
        Err(Error::NoSuchUser(_)) => return Err(invalid_guest_login()),
        Err(error) => return Err(machinery(&error)),
    };
    if logins.is_empty() && !windows && !passes(&running, &guest, &user, &auth.password).await {
        return Err(invalid_guest_login());
    }
    let windows = windows.then(|| auth.username.clone());
    Ok(Access { vm, running, guest, user, windows })
}

/// Whether an account whose password the guest has set is given that password: the guest's own program says so, that of PAM.
/// Without one, and of an account without a password, each is right.
async fn passes(running: &Running, guest: &Guest, user: &User, password: &str) -> bool {
    if !user.shadow.starts_with('$') {
        return true;
    }
    let known = [user.name.clone(), user.shadow.clone(), password.to_owned()];
    if lock(&running.proven).contains(&known) {
        return true;
    }
    // A pipe holds more than any password that PAM takes.
    let Ok((stdin, mut ours)) = std::io::pipe() else { return true };
    if password.len() > 512 || std::io::Write::write_all(&mut ours, format!("{password}\0").as_bytes()).is_err() {
        return false;
    }
    drop(ours);
    let spec = ExecSpec {
        program: "/sbin/unix_chkpwd".to_owned(),
        argv: ["unix_chkpwd", user.name.as_str(), "nullok"].map(str::to_owned).to_vec(),
        stdin: Some(file(stdin)),
        ..ExecSpec::default()
    };
    let Ok(process) = guest.exec(spec).await else { return true };
    let passes = process.wait().await == Exit::Code(0);
    if passes {
        lock(&running.proven).insert(known);
    }
    passes
}

#[cfg(unix)]
fn file(pipe: std::io::PipeReader) -> std::fs::File {
    std::os::fd::OwnedFd::from(pipe).into()
}

/// No guest runs there, but all that asks it compiles.
#[cfg(windows)]
fn file(pipe: std::io::PipeReader) -> std::fs::File {
    std::os::windows::io::OwnedHandle::from(pipe).into()
}

/// A path that must be absolute.
fn absolute(path: &str, field: &str) -> Answer<()> {
    if path.starts_with('/') && !path.contains('\0') { Ok(()) } else { Err(invalid_argument(field)) }
}

/// What a guest reports of itself that is taken for Windows.
pub(super) fn windows_identity(id: &str, host_name: Option<String>) -> Reported {
    Reported {
        host_name,
        full_name: Some("Microsoft Windows Server 2019 (64-bit)".to_owned()),
        id: Some(id.to_owned()),
        ..Reported::default()
    }
}

/// What a guest reports of itself. What it doesn't tell stays as for a Linux that isn't known.
pub(super) async fn identity(guest: &Guest) -> Reported {
    let (release, host_name) =
        tokio::join!(small_file(guest, "/etc/os-release"), small_file(guest, "/proc/sys/kernel/hostname"));
    let release = release.unwrap_or_default();
    let field = |name: &str| {
        let line = release.lines().find_map(|line| line.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')));
        line.map(|value| value.trim().trim_matches(['"', '\'']).to_owned())
    };
    let number: String = field("VERSION_ID").unwrap_or_default().chars().take_while(char::is_ascii_digit).collect();
    let id = match (field("ID").as_deref(), number.as_str()) {
        (Some("debian"), "") => "debian12_64Guest".to_owned(),
        (Some("debian"), number) => format!("debian{number}_64Guest"),
        (Some("ubuntu"), _) => "ubuntu64Guest".to_owned(),
        (Some("rhel"), number) if !number.is_empty() => format!("rhel{number}_64Guest"),
        (Some("fedora"), _) => "fedora64Guest".to_owned(),
        _ => "otherLinux64Guest".to_owned(),
    };
    let name = field("PRETTY_NAME").filter(|name| !name.is_empty());
    let full_name = name.map_or_else(|| "Other Linux (64-bit)".to_owned(), |name| format!("{name} (64-bit)"));
    let host_name = host_name.map(|text| text.trim().to_owned()).filter(|name| !name.is_empty());
    Reported { host_name, full_name: Some(full_name), id: Some(id), ..Reported::default() }
}

/// The text of a small file; none when it can't be read.
async fn small_file(guest: &Guest, path: &str) -> Option<String> {
    let (file, _) = guest.files("").open_read(path).await.ok()?;
    let read = tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        file.take(16 << 10).read_to_string(&mut text).map(|_| text)
    });
    read.await.ok()?.ok()
}
