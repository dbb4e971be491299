//! `vmwbuild sandbox`, and the server behind `build --sandbox`.

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::watch;

use super::{args, terminal};
use crate::diagnostic::Diagnostic;
use crate::sandbox::guests::TemplateSource;
use crate::sandbox::{Config, Rule, Sandbox, codes};
use crate::source::Sources;
use crate::syntax::literal;
use crate::vsphere::client::{Endpoint, Thumbprint};

/// The sandbox of a build; to be stopped on every way out.
pub(crate) struct Handle {
    sandbox: Sandbox,
}

impl Handle {
    /// Ends it, and waits until nothing is left of it.
    pub(crate) async fn stop(self) {
        self.sandbox.stop().await;
    }
}

/// Starts a sandbox for one build; else the exit code and why.
pub(crate) async fn embedded(options: &args::SandboxOptions) -> Result<(Endpoint, Handle), (u8, Diagnostic)> {
    let config = config(options).map_err(|problem| (2, problem))?;
    let sandbox = Sandbox::start(config).await.map_err(|e| (5, e.diagnostic()))?;
    for note in sandbox.notes() {
        terminal::say(&format!("note: {note}"));
    }
    let endpoint = match endpoint(&sandbox) {
        Ok(endpoint) => endpoint,
        Err(problem) => {
            sandbox.stop().await;
            return Err((5, problem));
        }
    };
    Ok((endpoint, Handle { sandbox }))
}

fn endpoint(sandbox: &Sandbox) -> Result<Endpoint, Diagnostic> {
    let mut endpoint = Endpoint::parse(&sandbox.url()).map_err(|e| e.diagnostic())?;
    endpoint.username = sandbox.username().to_owned();
    endpoint.password = sandbox.password().to_owned();
    let thumbprint = Thumbprint::parse(sandbox.thumbprint()).map_err(|e| e.diagnostic())?;
    endpoint.trust.thumbprints.push(thumbprint);
    Ok(endpoint)
}

/// Serves until Ctrl-C or SIGTERM; the exit code.
pub(crate) fn run(options: &args::Sandbox, color: args::When) -> u8 {
    let refused = |code: u8, problem: &Diagnostic| {
        terminal::show([problem], &Sources::new(), color);
        code
    };
    let config = match serving(options) {
        Ok(config) => config,
        Err(problem) => return refused(2, &problem),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => return refused(5, &Diagnostic::new(&codes::SANDBOX_FAILED, format!("can't start: {e}"))),
    };
    let login = options.held().logins.first().cloned();
    let code = runtime.block_on(async {
        // Before anything is printed: who reads that may end us at once.
        let mut signals = super::build::Signals::new();
        match Sandbox::start(config).await {
            Ok(sandbox) => {
                for note in sandbox.notes() {
                    terminal::say(&format!("note: {note}"));
                }
                terminal::print(&welcome(&sandbox, login.as_deref()));
                let mut unkept = sandbox.unkept();
                loop {
                    tokio::select! {
                        _ = signals.next() => break,
                        changed = unkept.changed() => match changed {
                            Ok(()) => tell_unkept(&mut unkept, color),
                            Err(_) => break,
                        },
                    }
                }
                sandbox.stop().await;
                // The last of it is written at the end.
                match unkept.borrow_and_update().as_deref() {
                    Some(why) => refused(5, &lost(why)),
                    None => 0,
                }
            }
            Err(error) => refused(5, &error.diagnostic()),
        }
    });
    runtime.shutdown_background();
    code
}

/// Warns when the state can't be written, and says when it can again.
fn tell_unkept(unkept: &mut watch::Receiver<Option<String>>, color: args::When) {
    let problem = unkept.borrow_and_update().clone();
    match problem {
        Some(why) => {
            let text = format!("the sandbox's state can't be written now: {why}");
            let warning = Diagnostic::new(&codes::SANDBOX_UNKEPT, text)
                .note("it is tried again with the next change; a restart before that would lose what has changed")
                .help("make room in the directory of `--state`");
            terminal::show([&warning], &Sources::new(), color);
        }
        None => terminal::say("note: the sandbox's state is written again"),
    }
}

/// The last state could not be written.
fn lost(why: &str) -> Diagnostic {
    Diagnostic::new(&codes::SANDBOX_STATE, format!("the sandbox's last state could not be written: {why}"))
        .note("what was kept before is whole; what changed since is lost")
        .help("make room in the directory of `--state`")
}

/// What to do with it, ready to paste.
fn welcome(sandbox: &Sandbox, login: Option<&str>) -> String {
    let (url, user, password) = (sandbox.url(), sandbox.username(), sandbox.password());
    let place = url.trim_start_matches("https://").trim_end_matches("/sdk");
    let (host, port) = place.rsplit_once(':').unwrap_or((place, "443"));
    let login = login.unwrap_or("root:any");
    format!(
        "A vSphere sandbox serves at {url} until Ctrl-C.\n\
         Certificate, SHA-256: {}\n\
         Certificate, SHA-1:   {}\n\
         \n\
         # vmwbuild\n\
         export VMWBUILD_VCENTER='{url}'\n\
         export VMWBUILD_USERNAME='{user}'\n\
         export VMWBUILD_PASSWORD='{password}'\n\
         export VMWBUILD_THUMBPRINT='{0}'\n\
         \n\
         # govc\n\
         export GOVC_URL='{url}' GOVC_USERNAME='{user}' GOVC_PASSWORD='{password}' GOVC_INSECURE=1\n\
         export GOVC_GUEST_LOGIN='{login}'\n\
         \n\
         # Ansible\n\
         export VMWARE_HOST='{host}' VMWARE_PORT='{port}' VMWARE_USER='{user}' VMWARE_PASSWORD='{password}'\n\
         export VMWARE_VALIDATE_CERTS=no\n",
        sandbox.thumbprint(),
        sandbox.thumbprint_sha1(),
    )
}

fn serving(options: &args::Sandbox) -> Result<Config, Diagnostic> {
    Ok(Config {
        listen: options.listen,
        state: options.state.clone(),
        boot_delay: duration("--boot-delay", &options.boot_delay)?,
        clone_delay: duration("--clone-delay", &options.clone_delay)?,
        exit_poll: duration("--tools-timer", &options.tools_timer)?,
        ..config(&options.held())?
    })
}

fn duration(flag: &str, text: &str) -> Result<Duration, Diagnostic> {
    literal::duration(text).ok_or_else(|| {
        Diagnostic::new(&codes::SANDBOX_FLAG, format!("`{flag} {text}` is not a duration"))
            .help("write it as `250ms` or `2s`")
    })
}

fn config(options: &args::SandboxOptions) -> Result<Config, Diagnostic> {
    let templates = options.templates.iter().map(|text| template(text)).collect::<Result<_, _>>()?;
    let logins = options.logins.iter().map(|text| login(text)).collect::<Result<_, _>>()?;
    let faults: Result<Vec<Rule>, String> = options.faults.iter().map(|text| Rule::parse(text)).collect();
    Ok(Config {
        templates,
        windows: options.templates.iter().filter_map(|text| windows(text)).map(str::to_owned).collect(),
        logins,
        faults: faults.map_err(|why| Diagnostic::new(&codes::SANDBOX_FLAG, format!("`--fault`: {why}")))?,
        seed: options.seed,
        guests: !options.without_guests,
        withheld: options.withheld.clone(),
        ..Config::default()
    })
}

fn template(text: &str) -> Result<(String, TemplateSource), Diagnostic> {
    let Some((name, path)) = text.split_once('=').filter(|(name, path)| !name.is_empty() && !path.is_empty()) else {
        let problem = format!("`--sandbox-template {text}` doesn't name a template and where it is");
        return Err(Diagnostic::new(&codes::SANDBOX_FLAG, problem)
            .help("write `--sandbox-template NAME=DIR` or `--sandbox-template NAME=ARCHIVE.tar`"));
    };
    if windows(text).is_some() {
        return Ok((name.to_owned(), TemplateSource::Host));
    }
    let path = PathBuf::from(path);
    if path.is_dir() {
        return Ok((name.to_owned(), TemplateSource::Directory(path)));
    }
    let file = File::open(&path).map_err(|e| {
        let text = format!("the sandbox's template `{name}` can't be read from `{}`: {e}", path.display());
        Diagnostic::new(&codes::SANDBOX_TEMPLATE, text)
            .help("a template is a directory with the root of a Linux system, or a tar archive of one")
    })?;
    Ok((name.to_owned(), TemplateSource::Tar(file)))
}

/// The name of a template whose guests are taken for Windows.
fn windows(text: &str) -> Option<&str> {
    text.strip_suffix("=windows").filter(|name| !name.is_empty())
}

fn login(text: &str) -> Result<(String, String), Diagnostic> {
    match text.split_once(':') {
        Some((user, password)) if !user.is_empty() => Ok((user.to_owned(), password.to_owned())),
        // The text may be a password: it isn't shown.
        _ => Err(Diagnostic::new(&codes::SANDBOX_FLAG, "a `--sandbox-login` isn't USER:PASSWORD")
            .help("write the account, a colon and its password: `--sandbox-login root:secret`")),
    }
}
