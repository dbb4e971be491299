//! `vmwbuild clean`: removes what builds have left in vCenter.

use super::build::{self, CONNECT, Refused, World};
use super::project::Defaults;
use super::{args, record, terminal};
use crate::diagnostic::Diagnostic;
use crate::engine::journal::{Broken, Ending, Header, Journal, Kept, Left, Past, Record, Standing, Store, now};
use crate::engine::sweep::{self, Verdict};
use crate::engine::{self, FailureClass, class_of};
use crate::source::Sources;
use crate::vsphere::client::{Client, Deadline};
use crate::vsphere::wire::Moref;

/// Runs it; the exit code: that of the first build that couldn't be cleaned.
pub(crate) fn run(options: &args::Clean, color: args::When, verbose: u8) -> u8 {
    let refused = |(code, list): Refused| {
        terminal::show(&list, &Sources::new(), color);
        code
    };
    let store = match record::needed() {
        Ok(store) => store,
        Err(error) => return refused(error),
    };
    if let Some(age) = options.older_than {
        return forget(&store, age, options.removal.dry_run).map_or_else(refused, |()| 0);
    }
    let builds = match builds(options, &store) {
        Ok(builds) => builds,
        Err(error) => return refused(error),
    };
    if builds.is_empty() {
        terminal::say("no build has left anything");
        return 0;
    }
    let runtime = match build::runtime() {
        Ok(runtime) => runtime,
        Err(e) => {
            terminal::say(&format!("can't start: {e}"));
            return 5;
        }
    };
    let mut code = 0;
    for name in builds {
        if let Err(error) = one(options, &store, &name, &runtime, verbose) {
            let of_this = refused(error);
            code = if code == 0 { of_this } else { code };
        }
    }
    runtime.shutdown_background();
    code
}

/// `--older-than`: what is remembered of builds that are over.
fn forget(store: &Store, age: std::time::Duration, dry_run: bool) -> Result<(), Refused> {
    let now = time::OffsetDateTime::now_utc();
    let old = |kept: &Kept| {
        let began = time::OffsetDateTime::parse(&kept.header.date, &time::format_description::well_known::Rfc3339);
        began.is_ok_and(|began| now - began > age)
    };
    let (mut count, mut problems) = (0, Vec::new());
    for kept in store.over().filter(old) {
        let build = &kept.header.build;
        if dry_run {
            terminal::tell(&format!("would forget {build} of {}\n", kept.header.date));
            continue;
        }
        match store.forget(&kept) {
            Ok(()) => count += 1,
            Err(e) => problems.push(record::problem(build, store, e)),
        }
    }
    if !dry_run {
        terminal::say(&format!("{count} build{} forgotten", if count == 1 { "" } else { "s" }));
    }
    if problems.is_empty() { Ok(()) } else { Err((5, problems)) }
}

/// The builds that are meant.
fn builds(options: &args::Clean, store: &Store) -> Result<Vec<String>, Refused> {
    if let Some(name) = &options.build {
        return Ok(vec![name.clone()]);
    }
    let listed = store.all();
    // Nobody knows what these have left: that is told, and not that there is nothing.
    let closed = |(name, kept): &(String, Result<Kept, Broken>)| match kept {
        Ok(_) | Err(Broken::Missing | Broken::Locked) => None,
        Err(Broken::Newer(_) | Broken::Unreadable(_) | Broken::Io(_)) => Some(name.clone()),
    };
    let closed: Vec<String> = listed.iter().filter_map(closed).collect();
    let left = |(name, kept): (String, Result<Kept, Broken>)| {
        let kept = kept.ok()?;
        let over = kept.standing != Standing::Running && !kept.header.sandbox;
        (over && (!kept.past.left().is_empty() || kept.past.has_half_items())).then_some(name)
    };
    let mut all: Vec<String> = listed.into_iter().filter_map(left).collect();
    if !options.all {
        all = all.pop().into_iter().collect();
    }
    if options.all || all.is_empty() {
        all.extend(closed);
    }
    Ok(all)
}

fn one(
    options: &args::Clean,
    store: &Store,
    name: &str,
    runtime: &tokio::runtime::Runtime,
    verbose: u8,
) -> Result<(), Refused> {
    let (journal, header, past) = store.open(name).map_err(|e| record::refused(name, store, e))?;
    if !options.removal.dry_run {
        past.remove_unpacked(&header.build);
    }
    let left = past.left();
    if left.is_empty() && !past.has_half_items() || header.sandbox {
        terminal::say(&format!("the build {name} has left nothing"));
        if past.ended.is_none() && !options.removal.dry_run {
            end(&journal);
        }
        return Ok(());
    }
    let env = |name: &str| std::env::var(name).ok();
    let connection = record::connection(&options.connection, &header.connection);
    // Its own connection is that of the build: no project's.
    let world = World { env: &env, defaults: &Defaults::default(), verbose };
    let endpoint = build::endpoint(&connection, world)?;
    runtime.block_on(async {
        let stop = tokio_util::sync::CancellationToken::new();
        let stopping = stop.clone();
        let mut signals = build::Signals::new();
        let signal = tokio::spawn(async move {
            signals.next().await;
            stopping.cancel();
        });
        let connected = Client::connect(endpoint, Deadline::after(CONNECT)).await;
        let client = connected.map_err(|e| (build::connect_code(e.class()), vec![e.diagnostic()]))?;
        let swept = tokio::select! {
            swept = sweep(&client, options, &journal, &header, &past, &left) => swept,
            () = stop.cancelled() => Err((FailureClass::Interrupted.exit_code(), Vec::new())),
        };
        let _ = client.logout().await;
        signal.abort();
        swept
    })
}

/// Removes what one build has left, as its journal tells.
pub(super) async fn sweep(
    client: &Client,
    options: &args::Clean,
    journal: &Journal,
    header: &Header,
    past: &Past,
    left: &[Left],
) -> Result<(), Refused> {
    let build = &header.build;
    let instance = client.about().instance_uuid.clone().unwrap_or_default();
    if let Some((server, _)) = past.server.as_ref().filter(|(_, begun_on)| *begun_on != instance) {
        return Err((2, vec![elsewhere(build, server, client.address())]));
    }
    let mut removable: Vec<(&Left, Moref)> = Vec::new();
    let mut open = false;
    for one in left {
        let looked = sweep::look(client, build, one, options.removal.dry_run).await;
        match looked.map_err(|e| (class_of(e.class()).exit_code(), vec![e.diagnostic()]))? {
            Verdict::Remove(vm) => removable.push((one, vm)),
            Verdict::Gone if options.removal.dry_run => terminal::say(&format!("gone already: {}", one.path())),
            Verdict::Gone => journal.note(&Record::Gone { entry: one.entry }),
            Verdict::Spared(why) => {
                open = true;
                terminal::say(&format!("left alone: {}: {why}", one.path()));
            }
        }
    }
    let items = sweep::half_items(client, build, past, journal, options.removal.dry_run).await;
    let items = items.map_err(|e| (class_of(e.class()).exit_code(), vec![e.diagnostic()]))?;
    let shown = sweep::HalfItem::words;
    let paths: Vec<String> = removable.iter().map(|(one, _)| one.path()).chain(items.iter().map(shown)).collect();
    let refusal = format!("the machines of the build {build} aren't removed without a word of yours");
    if !super::confirm::removal(&paths, &options.removal, &refusal).map_err(|(code, d)| (code, vec![d]))? {
        return Ok(());
    }
    let mut problems = Vec::new();
    for item in &items {
        match sweep::remove_item(client, journal, item).await {
            Ok(()) => terminal::tell(&format!("removed {}\n", shown(item))),
            Err(e) => problems.push(e.diagnostic().note(format!("{} is still there", shown(item)))),
        }
    }
    for (one, vm) in &removable {
        match sweep::remove(client, journal, one, vm).await {
            Ok(()) => terminal::tell(&format!("removed {}\n", one.path())),
            Err(e) => problems.push(e.diagnostic().note(format!("{} is still there", one.path()))),
        }
    }
    if !problems.is_empty() {
        return Err((FailureClass::Vsphere.exit_code(), problems));
    }
    if !open {
        if paths.is_empty() {
            terminal::say(&format!("what the build {build} has left is gone already"));
        }
        end(journal);
    }
    Ok(())
}

/// The build was begun on another vCenter than the one that answers.
fn elsewhere(build: &str, begun_on: &str, here: &str) -> Diagnostic {
    let problem = |text: String| Diagnostic::new(&engine::codes::NO_BUILD, text);
    if begun_on != here {
        return problem(format!("the build {build} was begun on another vCenter, {begun_on}, than {here}"))
            .help("give that one by `--vcenter`");
    }
    let place = record::store().map(|store| store.root().join(build));
    let forget = place.map_or_else(String::new, |place| format!(": remove `{}` to forget the build", place.display()));
    problem(format!("at {here} there is another vCenter now than the one that the build {build} was begun on"))
        .help(format!("if that one is gone for good, so is what the build has left{forget}"))
}

/// The build is over, if it wasn't yet.
fn end(journal: &Journal) {
    // Nobody goes on with it: files that were on their way from one guest to another are of no use any more.
    journal.remove_files();
    journal.note(&Record::Ended { how: Ending::Cleaned, when: now(), left: Vec::new() });
}

#[cfg(test)]
mod tests {
    use super::elsewhere;

    #[test]
    fn another_vcenter_at_the_same_address_is_told_from_one_elsewhere() {
        let moved = elsewhere("b-1", "vc.example", "other.example");
        assert_eq!(moved.message, "the build b-1 was begun on another vCenter, vc.example, than other.example");
        let anew = elsewhere("b-1", "vc.example", "vc.example");
        let text = "at vc.example there is another vCenter now than the one that the build b-1 was begun on";
        assert_eq!(anew.message, text);
        let help = anew.help.as_deref().unwrap_or_default();
        assert!(help.starts_with("if that one is gone for good, so is what the build has left"), "{help}");
    }
}
