//! `vmwbuild plan`: what a build would do on a real inventory, and what is in its way.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::build::{self, CONNECT, Of, Refused, World};
use super::report::json::finding;
use super::{args, load, names, secrets, terminal};
use crate::cache::Verdict;
use crate::diagnostic::{Diagnostic, Severity};
use crate::engine::{Options, cache, class_of, library, ova, policies, specs, tags};
use crate::graph::{Dag, lower};
use crate::plan::{self, Facts, From, Making, Plan, Planned, Wishes, size};
use crate::sema::program::Program;
use crate::source::Sources;
use crate::vsphere::client::{self, Client, Deadline, Endpoint, Inventory, Thumbprint, Trust};
use crate::vsphere::wire::Moref;

/// How long a host may take to answer `--check-transfers`.
const HOST: Duration = Duration::from_secs(10);

/// Runs it; the exit code.
pub(crate) fn run(options: &args::Plan, color: args::When, verbose: u8) -> u8 {
    let mut sources = Sources::new();
    let flags = &options.build;
    let mut id = load::Build::new();
    let env = |name: &str| std::env::var(name).ok();
    let loaded = build::loaded(flags, &mut id, &mut sources, &env, verbose);
    let refuse = |code: u8, list: &[Diagnostic]| {
        match options.json {
            true => terminal::print(&refused(list, &sources)),
            false => terminal::show(list, &sources, color),
        }
        code
    };
    let (load::Linted { program, context, defaults, .. }, found, known) = match loaded {
        Ok(loaded) => loaded,
        Err((code, list)) => return refuse(code, &list),
    };
    if !options.json {
        terminal::show(&found, &sources, color);
    }
    let world = World { env: &env, defaults: &defaults, verbose };
    // A plan needs no secret's value, only to know that a build would get them.
    let lacking = match flags.sandbox {
        true => Vec::new(),
        false => secrets::lacking(&program.secrets, &flags.secrets),
    };
    if !lacking.is_empty() {
        return refuse(1, &lacking);
    }
    let prepared = build::prepare(
        flags,
        &program,
        Of { context, build: id, earlier: None, secrets: Vec::new(), endpoint: known },
        world,
    );
    let (endpoint, engine) = match prepared {
        Ok(prepared) => prepared,
        Err((code, list)) => return refuse(code, &list),
    };
    let runtime = match build::runtime() {
        Ok(runtime) => runtime,
        Err(e) => {
            terminal::say(&format!("can't start: {e}"));
            return 5;
        }
    };
    let dag = lower(&program);
    let planned = runtime.block_on(on_server(endpoint, &engine, &program, &dag, options));
    runtime.shutdown_background();
    let (plan, server) = match planned {
        Ok(planned) => planned,
        Err((code, list)) => return refuse(code, &list),
    };
    let code = plan.problems.first().map_or(0, |p| class_of(p.class).exit_code());
    if options.json {
        let all = found.iter().chain(plan.problems.iter().map(|p| &p.diagnostic)).chain(&plan.warnings);
        let findings: Vec<Value> = all.map(|d| finding(d, &sources)).collect();
        terminal::print(&format!("{:#}\n", document(&plan, &server, engine.parallel, findings)));
        return code;
    }
    let told = plan.problems.iter().map(|p| &p.diagnostic).chain(&plan.warnings);
    terminal::show(told, &sources, color);
    terminal::tell(&text(&plan, &server, &program, engine.parallel));
    code
}

/// What the server is.
struct Server {
    address: String,
    product: String,
    user: String,
}

async fn on_server(
    endpoint: Option<Endpoint>,
    engine: &Options,
    program: &Program,
    dag: &Dag,
    options: &args::Plan,
) -> Result<(Plan, Server), Refused> {
    let (endpoint, sandbox) = match endpoint {
        Some(endpoint) => (endpoint, None),
        None => match super::sandbox::embedded(&options.build.sandbox_options).await {
            Ok((endpoint, server)) => (endpoint, Some(server)),
            Err((code, problem)) => return Err((code, vec![problem])),
        },
    };
    let (user, trust) = (endpoint.username.clone(), endpoint.trust.clone());
    let mut signals = build::Signals::new();
    let work = async {
        let client = Client::connect(endpoint, Deadline::after(CONNECT)).await;
        let client = client.map_err(|e| (build::connect_code(e.class()), vec![e.diagnostic()]))?;
        let result = planned(&client, engine, program, dag, options.check_transfers.then_some(&trust)).await;
        let product = client.about().full_name.clone();
        let server = Server { address: client.address().to_owned(), product, user };
        let _ = client.logout().await;
        let plan = result.map_err(|e| (class_of(e.class()).exit_code(), vec![e.diagnostic()]))?;
        Ok((plan, server))
    };
    let result = tokio::select! {
        result = work => result,
        _ = signals.next() => Err((130, Vec::new())),
    };
    if let Some(server) = sandbox {
        server.stop().await;
    }
    result
}

/// Reads the facts, and makes the plan of them.
async fn planned(
    client: &Client,
    engine: &Options,
    program: &Program,
    dag: &Dag,
    check: Option<&Trust>,
) -> client::Result<Plan> {
    let inventory = client.inventory().await?;
    names::remember(client, &inventory);
    let ovas = ova::look_up(client, program, &engine.context, &engine.past).await;
    let libraries = library::look_up(client, program, &engine.past, &engine.build).await?;
    let policies = policies::look_up(client, program, &engine.placement).await?;
    let specs = specs::look_up(client, program).await?;
    let wishes = Wishes {
        placement: &engine.placement,
        sandbox: engine.sandbox,
        libraries: &libraries,
        policies: &policies,
        specs: &specs,
        ovas: &ovas,
        build: &engine.build,
    };
    let mut found = plan::resolve(program, wishes, &inventory);
    library::lacking(&mut found, wishes);
    library::ask(client, program, &mut found).await?;
    tags::look_up(client, program, wishes, &mut found).await?;
    let question = cache::Question {
        program,
        found: &found,
        inventory: &inventory,
        context: &engine.context,
        login: &engine.login,
        secrets: None,
        with: &engine.cache,
        past: &engine.past,
    };
    let known = cache::assess(client, &question).await?;
    found.settle(|id| known.is_made(id), |id| known.why(id));
    found.problems.extend(known.lacking(program));
    let mut sources: Vec<Moref> = Vec::new();
    let mut hosts: Vec<Moref> = Vec::new();
    for machine in program.machines.iter().filter_map(|m| found.machines.get(&m.id)) {
        sources.extend(machine.source.iter().map(|(moref, _)| moref.clone()));
        let place = &machine.placement;
        hosts.extend(inventory.hosts_of(&place.pool, place.host.as_ref()).iter().map(|h| h.moref.clone()));
    }
    for list in [&mut sources, &mut hosts] {
        list.sort();
        list.dedup();
    }
    let root = &client.content().root_folder;
    let wanted = plan::privileges(program, &found, &inventory, root);
    let (of_sources, of_hosts, lacking) = tokio::join!(
        client.properties_of(&sources, plan::SOURCE),
        client.properties_of(&hosts, plan::HOST),
        client.lacking(&wanted),
    );
    let mut facts = Facts {
        sources: of_sources?.iter().map(|(m, p)| (m.clone(), plan::Source::read(p))).collect(),
        hosts: of_hosts?.iter().map(|(m, p)| (m.clone(), plan::Host::read(p))).collect(),
        lacking: match lacking {
            // An account that may not even ask isn't told what it lacks.
            Err(e) if e.is_fault("NoPermission") => None,
            other => other?,
        },
        root: Some(root.clone()),
        making: program.machines.iter().zip(&known.machines).map(|(m, k)| (m.id, making(k))).collect(),
        ..Facts::default()
    };
    if let Some(trust) = check {
        let tries = hosts.iter().map(|host| reach(&inventory, host, &facts, trust));
        facts.transfers = join_all(tries).await.into_iter().collect();
    }
    Ok(plan::plan(program, dag, &found, &inventory, &facts))
}

fn making(known: &cache::Known) -> Making {
    match &known.verdict {
        Verdict::Cached => Making::Cached,
        Verdict::Kept => Making::Kept,
        Verdict::Unneeded => Making::Unneeded,
        Verdict::Made(_) => Making::Made {
            why: known.reason().map(str::to_owned),
            from: known.start.as_ref().map(|s| (format!("{} ({})", s.called(), s.path()), s.steps())),
        },
    }
}

/// Whether transfers would reach a host.
async fn reach(inventory: &Inventory, host: &Moref, facts: &Facts, trust: &Trust) -> (Moref, Option<String>) {
    let name = inventory.get(host).map(|h| h.name.clone()).unwrap_or_default();
    let print = facts.hosts.get(host).and_then(|h| h.thumbprint.as_deref());
    (host.clone(), transfers_fail(&name, print, trust).await)
}

/// Why transfers to a host would fail; None if they wouldn't. vCenter vouches for its hosts' certificates.
pub(super) async fn transfers_fail(name: &str, thumbprint: Option<&str>, trust: &Trust) -> Option<String> {
    let mut trust = trust.clone();
    trust.thumbprints.extend(thumbprint.and_then(|t| Thumbprint::parse(t).ok()));
    let tried = client::probe(name, 443, Some(&trust), Deadline::after(HOST), &mut |_| ()).await;
    tried.err().map(|e| {
        let d = e.diagnostic();
        match d.notes.first() {
            Some(note) => format!("{}: {note}", d.message),
            None => d.message,
        }
    })
}

/// The plan for people.
fn text(plan: &Plan, server: &Server, program: &Program, parallel: usize) -> String {
    let mut out = format!("On {} ({}) as {}\n", server.address, server.product, server.user);
    for group in groups(plan, program) {
        let Some(first) = group.first() else { continue };
        let labels: Vec<&str> = group.iter().map(|p| p.label.as_str()).collect();
        out.push_str(&format!("\n{}\n", labels.join(", ")));
        let mut row = |key: &str, value: String| out.push_str(&format!("  {key:<9} {value}\n"));
        match &first.making {
            Making::Cached => row("CACHED", "it is there, and is taken as it is".to_owned()),
            Making::Kept => row("KEPT", "it is there, and stays as it is (`--exists=keep`)".to_owned()),
            Making::Unneeded => row("CACHED", "it leaves nothing, and nothing that is made needs it".to_owned()),
            Making::Made { why, from } => {
                if let Some(why) = why {
                    row("anew", why.clone());
                }
                if let Some((from, steps)) = from {
                    row("goes on", format!("from {from}: {steps} of {} steps are done", first.steps));
                }
            }
        }
        row("from", source(first));
        let host = first.host.as_ref().map(|h| format!(", on {h}")).unwrap_or_default();
        row("pool", format!("{}{host}", first.pool));
        let each = if group.len() > 1 { " each" } else { "" };
        let growth = match first.may_grow {
            0 => String::new(),
            n => format!(", and may grow by {}", size(n)),
        };
        row("datastore", format!("{}: takes {}{each}{growth}", first.datastore, size(first.needs)));
        if let Some(network) = &first.network {
            row("network", network.clone());
        }
        for change in &first.devices {
            row("hardware", change.clone());
        }
        for left in group.iter().flat_map(|p| &p.outputs) {
            let what = match &left.replaces {
                Some(old) if *old == left.path => " (replaces the one that is there, in the end)".to_owned(),
                Some(old) => format!(" (replaces {old}, in the end)"),
                None => String::new(),
            };
            let after = match left.after.as_slice() {
                [] => String::new(),
                all => format!(" (once {} ended well)", all.join(", ")),
            };
            row("makes", format!("{} {}{what}{after}", left.kind, left.path));
        }
        if first.exists {
            row("makes", "nothing: its steps are done on it, and it stays".to_owned());
        } else if group.iter().all(|p| p.outputs.is_empty()) {
            row("makes", "nothing: it is removed in the end".to_owned());
        }
        row("steps", first.steps.to_string());
        for (other, why) in &first.after {
            row("waits for", format!("{other}: {why}"));
        }
    }
    out.push('\n');
    for space in &plan.datastores {
        let growth = match space.may_grow {
            0 => String::new(),
            n => format!(", {} more if its disks fill", size(n)),
        };
        let line = format!("{}: {} free, {} taken{growth}", space.path, size(space.free), size(space.needs));
        out.push_str(&format!("datastore   {line}\n"));
    }
    for host in &plan.hosts {
        let state = host.out.as_deref().unwrap_or("can run machines");
        let transfers = match &host.transfers {
            None => "transfers not checked (--check-transfers)".to_owned(),
            Some(None) => "transfers reach it".to_owned(),
            Some(Some(_)) => "transfers don't reach it".to_owned(),
        };
        out.push_str(&format!("host        {}: {state}; {transfers}\n", host.path));
    }
    let privileges = match &plan.privileges {
        None => "not checked: the server doesn't say".to_owned(),
        Some(list) if list.is_empty() => "none is missing".to_owned(),
        Some(list) => {
            list.iter().map(|(on, list)| format!("{} on {on}", list.join(", "))).collect::<Vec<_>>().join("; ")
                + " missing"
        }
    };
    out.push_str(&format!("privileges  {privileges}\n"));
    if !plan.machines.is_empty() {
        out.push_str(&format!("order       {}\n", order(plan, parallel)));
    }
    out
}

/// Machines that differ in nothing but their name and outputs are told together.
fn groups<'a>(plan: &'a Plan, program: &Program) -> Vec<Vec<&'a Planned>> {
    let mut out: Vec<Vec<&Planned>> = Vec::new();
    let alike = |a: &Planned, b: &Planned| {
        program.machine(a.id).stage == program.machine(b.id).stage
            && a.making == b.making
            && (&a.source, &a.pool, &a.datastore, &a.host, &a.network, &a.devices, a.needs, a.steps, &a.after)
                == (&b.source, &b.pool, &b.datastore, &b.host, &b.network, &b.devices, b.needs, b.steps, &b.after)
    };
    for planned in &plan.machines {
        match out.last_mut() {
            Some(group) if group.first().is_some_and(|first| alike(first, planned)) => group.push(planned),
            _ => out.push(vec![planned]),
        }
    }
    out
}

fn source(planned: &Planned) -> String {
    let linked = if planned.linked { ", linked" } else { "" };
    match &planned.source {
        From::Machine(label) => format!("{label}, of this build{linked}"),
        From::Inventory { path, moref, template, facts } => {
            let power = match facts.power.as_str() {
                "poweredOn" => "VM, powered on",
                "suspended" => "VM, suspended",
                _ => "VM, powered off",
            };
            let kind = if *template { "template" } else { power };
            let guest = facts.guest.as_ref().map(|g| format!(", {g}")).unwrap_or_default();
            let tools = facts.tools.as_ref().map_or_else(|| ", no Tools seen".to_owned(), |t| format!(", Tools {t}"));
            format!("{path} ({kind} {moref}{guest}{tools}){linked}")
        }
    }
}

fn order(plan: &Plan, parallel: usize) -> String {
    let last = plan.machines.iter().map(|p| p.wave).max().unwrap_or_default();
    let waves: Vec<String> = (1..=last)
        .map(|wave| {
            let of_wave: Vec<&str> =
                plan.machines.iter().filter(|p| p.wave == wave).map(|p| p.label.as_str()).collect();
            of_wave.join(", ")
        })
        .filter(|w| !w.is_empty())
        .collect();
    format!("{}; at most {parallel} at once (--parallel)", waves.join(", then "))
}

fn document(plan: &Plan, server: &Server, parallel: usize, findings: Vec<Value>) -> Value {
    let machines: Vec<Value> = plan
        .machines
        .iter()
        .map(|p| {
            let source = match &p.source {
                From::Machine(label) => json!({ "kind": "machine", "name": label }),
                From::Inventory { path, moref, template, facts } => json!({
                    "kind": if *template { "template" } else { "vm" },
                    "path": path,
                    "moref": moref,
                    "power": facts.power.as_str(),
                    "tools": facts.tools,
                    "family": facts.family,
                    "guest": facts.guest,
                    "snapshots": facts.snapshots,
                }),
            };
            json!({
                "name": p.label,
                "source": source,
                "linked": p.linked,
                "pool": p.pool,
                "datastore": p.datastore,
                "folder": p.folder,
                "host": p.host,
                "network": p.network,
                "devices": p.devices,
                "bytes": { "taken": p.needs, "growth": p.may_grow },
                "outputs": p.outputs.iter()
                    .map(|o| json!({ "kind": o.kind, "path": o.path, "replaces": o.replaces, "after": o.after }))
                    .collect::<Vec<_>>(),
                "steps": p.steps,
                "cache": match &p.making {
                    Making::Cached => json!({ "state": "cached" }),
                    Making::Kept => json!({ "state": "kept" }),
                    Making::Unneeded => json!({ "state": "unneeded" }),
                    Making::Made { why, from } => json!({
                        "state": "made",
                        "why": why,
                        "checkpoint": from.as_ref().map(|(name, steps)| json!({ "name": name, "steps": steps })),
                    }),
                },
                "after": p.after.iter().map(|(m, why)| json!({ "machine": m, "why": why })).collect::<Vec<_>>(),
                "wave": p.wave,
            })
        })
        .collect();
    let errors = findings.iter().any(|f| f.get("severity").and_then(Value::as_str) == Some("error"));
    json!({
        "version": 1,
        "can_start": !errors,
        "server": { "address": server.address, "product": server.product, "user": server.user },
        "findings": findings,
        "machines": machines,
        "datastores": plan.datastores.iter().map(|s| json!({
            "path": s.path, "accessible": s.accessible, "free": s.free, "taken": s.needs, "growth": s.may_grow,
        })).collect::<Vec<_>>(),
        "hosts": plan.hosts.iter().map(|h| json!({
            "path": h.path,
            "unusable": h.out,
            "transfers": match &h.transfers {
                None => json!(null),
                Some(why) => json!({ "reached": why.is_none(), "error": why }),
            },
        })).collect::<Vec<_>>(),
        "privileges": plan.privileges.as_ref().map(|list| list.iter().map(|(on, missing)| {
            json!({ "on": on, "missing": missing })
        }).collect::<Vec<_>>()),
        "parallel": parallel,
    })
}

/// What is written when nothing could be planned.
fn refused(list: &[Diagnostic], sources: &Sources) -> String {
    let findings: Vec<Value> =
        list.iter().filter(|d| d.severity > Severity::Advice).map(|d| finding(d, sources)).collect();
    format!("{:#}\n", json!({ "version": 1, "can_start": false, "findings": findings }))
}
