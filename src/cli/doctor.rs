//! `vmwbuild doctor`: the way to a vCenter, one step after another, each explained.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::build::{self, CONNECT, World};
use super::report::json::finding;
use super::vcenter::Book;
use super::{args, codes, machine, names, plan, project, selftest, settings, terminal};
use crate::diagnostic::{Diagnostic, text};
use crate::engine::class_of;
use crate::plan::Host;
use crate::source::Sources;
use crate::vsphere::client::{Client, Deadline, Endpoint, EntityKind, Inventory, TlsKind, Trust};
use crate::vsphere::client::{Error, probe};
use crate::vsphere::wire::{CurrentTime, Moref, UserSession};

/// How long a connection for looking may take.
const LOOK: Duration = Duration::from_secs(20);

/// Clocks that differ by more make trouble: certificates, and single sign-on.
const SKEW: i64 = 300;

/// How many hosts are looked at, and how many at once.
const HOSTS: usize = 32;
const AT_ONCE: usize = 8;

/// What a build needs nearly always.
const PRIVILEGES: &[&str] = &[
    "VirtualMachine.Provisioning.DeployTemplate",
    "VirtualMachine.Provisioning.Clone",
    "VirtualMachine.Provisioning.MarkAsTemplate",
    "VirtualMachine.Inventory.CreateFromExisting",
    "VirtualMachine.Inventory.Delete",
    "VirtualMachine.Config.AdvancedConfig",
    "VirtualMachine.Interact.PowerOn",
    "VirtualMachine.Interact.PowerOff",
    "VirtualMachine.GuestOperations.Query",
    "VirtualMachine.GuestOperations.Modify",
    "VirtualMachine.GuestOperations.Execute",
    "Resource.AssignVMToPool",
    "Datastore.AllocateSpace",
    "Network.Assign",
];

/// How a step went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Good,
    /// Builds work, some of them worse.
    Doubtful,
    Bad,
}

struct Step {
    name: &'static str,
    verdict: Verdict,
    /// One line a fact.
    facts: Vec<String>,
    problem: Option<Diagnostic>,
}

/// All that was looked at, told as it comes.
struct Report {
    steps: Vec<Step>,
    quiet: bool,
    color: args::When,
}

impl Report {
    fn step(&mut self, name: &'static str, verdict: Verdict, facts: Vec<String>, problem: Option<Diagnostic>) {
        if !self.quiet {
            let word = match verdict {
                Verdict::Good => "ok",
                Verdict::Doubtful => "!",
                Verdict::Bad => "FAILED",
            };
            let mut lines = facts.iter();
            let first = lines.next().map(String::as_str).unwrap_or_default();
            terminal::tell(&format!("{word:<7} {name:<12} {first}\n"));
            lines.for_each(|line| terminal::tell(&format!("{:21}{line}\n", "")));
            if let Some(problem) = &problem {
                terminal::show([problem], &Sources::new(), self.color);
            }
        }
        self.steps.push(Step { name, verdict, facts, problem });
    }

    fn good(&mut self, name: &'static str, facts: Vec<String>) {
        self.step(name, Verdict::Good, facts, None);
    }

    fn bad(&mut self, name: &'static str, problem: Diagnostic) {
        self.step(name, Verdict::Bad, vec![problem.message.clone()], Some(problem));
    }

    fn json(&self, code: u8) -> Value {
        let steps = self.steps.iter().map(|s| {
            let verdict = match s.verdict {
                Verdict::Good => "ok",
                Verdict::Doubtful => "doubtful",
                Verdict::Bad => "failed",
            };
            json!({
                "step": s.name,
                "verdict": verdict,
                "facts": s.facts,
                "finding": s.problem.as_ref().map(|d| finding(d, &Sources::new())),
            })
        });
        json!({ "version": 1, "exit_code": code, "steps": steps.collect::<Vec<_>>() })
    }
}

/// Runs it; the exit code.
pub(crate) fn run(options: &args::Doctor, color: args::When) -> u8 {
    let mut report = Report { steps: Vec::new(), quiet: options.json, color };
    let code = match settled(options, &mut report) {
        Err(code) => code,
        Ok(endpoint) => match build::runtime() {
            Ok(runtime) => {
                let code = runtime.block_on(async {
                    let mut signals = build::Signals::new();
                    tokio::select! {
                        code = walk(endpoint, &mut report) => code,
                        _ = signals.next() => 130,
                    }
                });
                runtime.shutdown_background();
                code
            }
            Err(e) => {
                terminal::say(&format!("can't start: {e}"));
                5
            }
        },
    };
    let code = match &options.selftest {
        Some(template) if code == 0 => selftest(options, template, &mut report),
        _ => code,
    };
    if options.json {
        terminal::print(&format!("{:#}\n", report.json(code)));
    } else {
        let doubtful = report.steps.iter().any(|s| s.verdict == Verdict::Doubtful);
        let failed = report.steps.last().is_some_and(|s| s.name == "self-test" && s.verdict == Verdict::Bad);
        terminal::print(match (code, doubtful) {
            _ if failed => "\nBuilds can connect, but the self-test failed.\n",
            (0, false) => "\nBuilds can connect.\n",
            (0, true) => "\nBuilds can connect; what is marked with ! limits some of them.\n",
            _ => "\nBuilds can't connect; what comes after this step wasn't looked at.\n",
        });
    }
    code
}

/// A small build, told as a step.
fn selftest(options: &args::Doctor, template: &str, report: &mut Report) -> u8 {
    let done = match selftest::run(options, template, report.color) {
        Ok(done) => done,
        Err(problem) => {
            report.bad("self-test", problem);
            return 2;
        }
    };
    let transcript = format!("{} exchanges are in {}", done.exchanges, done.transcript.display());
    if done.code == 0 {
        report.good("self-test", vec![format!("`{template}` was cloned, used and removed"), transcript]);
        return 0;
    }
    let text = format!("the self-test's build ended with exit code {}", done.code);
    let help = "if the message above doesn't help, look through the transcript and attach it to a report";
    let problem = Diagnostic::new(&codes::SELFTEST, text.clone()).help(help);
    report.step("self-test", Verdict::Bad, vec![text, transcript], Some(problem));
    done.code
}

/// The settings and where they come from; nothing is contacted yet.
fn settled(options: &args::Doctor, report: &mut Report) -> Result<Endpoint, u8> {
    let env = |name: &str| std::env::var(name).ok();
    let found = project::defaults(None, options.profile.profile.as_deref()).and_then(|defaults| {
        let book = Book::read(&env)?;
        let world = World { env: &env, defaults: &defaults, verbose: 0 };
        settings::connection(&options.connection, world.env, &defaults, &book)
    });
    let settings = found.map_err(|d| {
        report.bad("settings", d);
        2
    })?;
    let origins = settings.origins();
    match build::endpoint_of(settings, options.connection.insecure) {
        Ok(endpoint) => {
            let verdict = if endpoint.trust.insecure { Verdict::Doubtful } else { Verdict::Good };
            report.step("settings", verdict, origins, None);
            Ok(endpoint)
        }
        Err(refused) => {
            let (code, problem) = machine::first(refused);
            report.bad("settings", problem);
            Err(code)
        }
    }
}

async fn walk(endpoint: Endpoint, report: &mut Report) -> u8 {
    if let Err(code) = way(&endpoint, report).await {
        return code;
    }
    let user = endpoint.username.clone();
    let trust = endpoint.trust.clone();
    let reached = match Client::reach(endpoint, Deadline::after(CONNECT)).await {
        Ok(reached) => reached,
        Err(e) => return refuse("service", &e, report),
    };
    let about = reached.about();
    let facts = vec![about.full_name.clone(), format!("API {}, speaking {}", about.api_version, reached.version())];
    if about.api_type == "VirtualCenter" {
        report.good("service", facts);
    } else {
        let problem = Diagnostic::new(&codes::NOT_A_VCENTER, "it is a single ESXi host, which can't clone")
            .help("connect to the vCenter that manages it");
        report.step("service", Verdict::Bad, facts, Some(problem));
        return 5;
    }
    let client = match reached.log_in().await {
        Ok(client) => client,
        Err(e) => return refuse("login", &e, report),
    };
    let code = inside(&client, &user, &trust, report).await;
    let _ = client.logout().await;
    code
}

fn refuse(step: &'static str, error: &Error, report: &mut Report) -> u8 {
    report.bad(step, error.diagnostic());
    build::connect_code(error.class())
}

/// Name, port, TLS.
async fn way(endpoint: &Endpoint, report: &mut Report) -> Result<(), u8> {
    let host = endpoint.url.host_str().unwrap_or_default().to_owned();
    let port = endpoint.url.port_or_known_default().unwrap_or(443);
    let trust = (endpoint.url.scheme() == "https").then_some(&endpoint.trust);
    let mut seen: Vec<Vec<String>> = Vec::new();
    let tried = probe(&host, port, trust, Deadline::after(LOOK), &mut |list| {
        seen.push(list.iter().map(ToString::to_string).collect());
    })
    .await;
    let mut seen = seen.into_iter();
    if let Some(addresses) = seen.next() {
        let ips = addresses.iter().map(|a| a.rsplit_once(':').map_or(a.as_str(), |(ip, _)| ip));
        report.good("name", vec![format!("{host} is {}", ips.collect::<Vec<_>>().join(", "))]);
    }
    if let Some(connected) = seen.next() {
        report.good("port", vec![format!("{} accepts connections", connected.join(", "))]);
    }
    match tried {
        Ok(Some(shown)) => {
            let trusted = match trust {
                Some(t) if t.insecure => "not verified (--insecure); this would pin it:",
                Some(t) if !t.thumbprints.is_empty() => "accepted by its thumbprint",
                _ => "issued by a trusted authority, for this name",
            };
            let verdict = if trust.is_some_and(|t| t.insecure) { Verdict::Doubtful } else { Verdict::Good };
            let facts = vec![format!("{}, {trusted}", shown.protocol), format!("SHA-256 {}", shown.sha256)];
            report.step("TLS", verdict, facts, None);
            Ok(())
        }
        Ok(None) => {
            report.step("TLS", Verdict::Doubtful, vec!["none: the address begins with http://".to_owned()], None);
            Ok(())
        }
        Err(error) => {
            let step = match &error {
                Error::Connect { kind: crate::vsphere::client::ConnectKind::Dns, .. } => "name",
                Error::Connect { .. } => "port",
                _ => "TLS",
            };
            let mut problem = error.diagnostic();
            let mut facts = vec![problem.message.clone()];
            if let Error::Tls { presented: Some(print), kind, .. } = &error
                && matches!(kind, TlsKind::UnknownAuthority | TlsKind::NameMismatch)
            {
                problem = problem.help(
                    "compare the thumbprint with the server's own, and only if it is the same give the flag shown above; \
                     or trust its authority with --ca",
                );
                // In one piece, to be copied.
                facts.push(format!("--thumbprint {print}"));
            }
            report.step(step, Verdict::Bad, facts, Some(problem));
            Err(build::connect_code(error.class()))
        }
    }
}

/// What only an account can see.
async fn inside(client: &Client, user: &str, trust: &Trust, report: &mut Report) -> u8 {
    let sessions = sessions(client).await;
    report.good("login", vec![format!("as {user}"), sessions]);
    clock(client, report).await;
    let inventory = match client.inventory().await {
        Ok(inventory) => inventory,
        Err(e) => {
            report.bad("inventory", e.diagnostic());
            return class_of(e.class()).exit_code();
        }
    };
    names::remember(client, &inventory);
    let count = |kind| inventory.all(kind).count();
    let vms = inventory.all(EntityKind::Vm).filter(|e| !e.template).count();
    let kinds = [
        (count(EntityKind::Datacenter), "datacenter"),
        (count(EntityKind::Cluster), "cluster"),
        (count(EntityKind::Host), "host"),
        (count(EntityKind::Datastore), "datastore"),
        (count(EntityKind::Network), "network"),
        (vms, "VM"),
        (count(EntityKind::Vm) - vms, "template"),
    ];
    let facts = kinds.map(|(n, what)| format!("{n} {what}{}", if n == 1 { "" } else { "s" })).join(", ");
    if count(EntityKind::Datacenter) == 0 {
        let problem = Diagnostic::new(&codes::NOTHING_SEEN, "the account sees no datacenter")
            .help("give it a role on the datacenter, with `Propagate to children`");
        report.step("inventory", Verdict::Bad, vec![facts], Some(problem));
        return 5;
    }
    report.good("inventory", vec![facts]);
    privileges(client, report).await;
    match &client.content().guest_operations_manager {
        Some(_) => report.good("guests", vec!["the server has guest operations".to_owned()]),
        None => {
            let problem = Diagnostic::new(&codes::NOT_A_VCENTER, "the server has no guest operations manager")
                .help("commands can't be run in guests: connect to a vCenter");
            report.step("guests", Verdict::Bad, vec!["no guest operations".to_owned()], Some(problem));
            return 5;
        }
    }
    hosts(client, &inventory, trust, report).await;
    0
}

async fn sessions(client: &Client) -> String {
    let unseen = "other sessions can't be seen by this account".to_owned();
    let Some(manager) = &client.content().session_manager else { return unseen };
    match client.properties(manager, &["sessionList"]).await {
        Ok(p) => match p.list::<UserSession>("sessionList").len() {
            0 => unseen,
            1 => "this is the only session".to_owned(),
            n => format!("{n} sessions with this one"),
        },
        Err(_) => unseen,
    }
}

async fn clock(client: &Client, report: &mut Report) {
    let service = Moref::new("ServiceInstance", "ServiceInstance");
    let before = OffsetDateTime::now_utc();
    let Ok(text) = client.call(&CurrentTime { this: service }).await else { return };
    let took: time::Duration = OffsetDateTime::now_utc() - before;
    let Ok(theirs) = OffsetDateTime::parse(&text, &Rfc3339) else { return };
    let apart: time::Duration = theirs - (before + took / 2_i32);
    let apart = apart.whole_seconds();
    let by = text::limit(Duration::from_secs(apart.unsigned_abs()));
    let facts = match apart {
        -1..=1 => "the clocks agree".to_owned(),
        2.. => format!("the server's clock is {by} ahead"),
        _ => format!("the server's clock is {by} behind"),
    };
    let verdict = if apart.abs() > SKEW { Verdict::Doubtful } else { Verdict::Good };
    report.step("clock", verdict, vec![facts], None);
}

async fn privileges(client: &Client, report: &mut Report) {
    let root = client.content().root_folder.clone();
    let list = PRIVILEGES.iter().map(|p| (*p).to_owned()).collect();
    match client.lacking(&[(root, list)]).await {
        Ok(None) => report.good("privileges", vec!["not checked: the server doesn't say".to_owned()]),
        Err(e) => report.step("privileges", Verdict::Doubtful, vec![format!("not checked: {e}")], None),
        Ok(Some(lacking)) => match lacking.first() {
            None => report.good("privileges", vec!["all that builds use, everywhere".to_owned()]),
            Some((_, list)) => {
                let mut facts =
                    vec!["not everywhere; `vmwbuild plan` tells what a VMWfile needs, and where".to_owned()];
                facts.extend(list.iter().map(|p| format!("missing on the root folder: {p}")));
                report.step("privileges", Verdict::Doubtful, facts, None);
            }
        },
    }
}

/// Whether file transfers reach the hosts.
async fn hosts(client: &Client, inventory: &Inventory, trust: &Trust, report: &mut Report) {
    let all: Vec<(Moref, String)> =
        inventory.all(EntityKind::Host).map(|h| (h.moref.clone(), h.name.clone())).collect();
    let some: Vec<Moref> = all.iter().take(HOSTS).map(|(m, _)| m.clone()).collect();
    let known = client.properties_of(&some, crate::plan::HOST).await.unwrap_or_default();
    let tries = all.iter().take(HOSTS).map(|(moref, name)| {
        let print = known.iter().find(|(m, _)| m == moref).and_then(|(_, p)| Host::read(p).thumbprint);
        async move { (name.clone(), plan::transfers_fail(name, print.as_deref(), trust).await) }
    });
    let tried: Vec<(String, Option<String>)> = futures_util::stream::iter(tries).buffered(AT_ONCE).collect().await;
    let failed: Vec<String> =
        tried.iter().filter_map(|(name, why)| Some(format!("{name}: {}", why.as_ref()?))).collect();
    let left = match all.len().saturating_sub(HOSTS) {
        0 => String::new(),
        n => format!(" ({n} more weren't looked at)"),
    };
    if failed.is_empty() {
        report.good("transfers", vec![format!("{} hosts answer on port 443{left}", tried.len())]);
        return;
    }
    let mut facts = vec![format!("{} of {} hosts can't be reached on port 443{left}", failed.len(), tried.len())];
    facts.extend(failed);
    facts.push("commands and small files work nevertheless, large files and large output don't".to_owned());
    report.step("transfers", Verdict::Doubtful, facts, None);
}
