//! `vmwbuild resume`: going on with a build whose process is gone.

use std::time::Duration;

use super::build::{self, Earlier, Refused};
use super::{args, load, record, terminal};
use crate::diagnostic::Diagnostic;
use crate::engine::codes;
use crate::engine::journal::{Header, Record, Standing, Store, now};
use crate::source::Sources;

/// Runs it; the exit code.
pub(crate) fn run(options: &args::Resume, color: args::When, verbose: u8) -> u8 {
    match prepare(options) {
        Ok((flags, id, earlier)) => {
            let beside = build::Beside { earlier: Some(earlier), ..build::Beside::default() };
            build::go(&flags, id, beside, color, verbose)
        }
        Err((code, list)) => {
            terminal::show(&list, &Sources::new(), color);
            code
        }
    }
}

fn prepare(options: &args::Resume) -> Result<(args::Build, load::Build, Earlier), Refused> {
    let store = record::needed()?;
    let name = match &options.build {
        Some(name) => name.clone(),
        None => newest(&store)?,
    };
    let (journal, header, past) = store.open(&name).map_err(|e| record::refused(&name, &store, e))?;
    if let Some(why) = refusal(&header, &past) {
        let text = format!("the build `{name}` can't be gone on with: {why}");
        let help = match past.left().is_empty() || header.sandbox {
            true => "build anew".to_owned(),
            false => format!("`vmwbuild clean {name}` removes what it has left; then build anew"),
        };
        return Err((1, vec![Diagnostic::new(&codes::NOT_RESUMABLE, text).help(help)]));
    }
    journal.note(&Record::Resumed { when: now() });
    terminal::say(&format!("going on with the build {name}"));
    let id = load::Build {
        id: header.build.clone(),
        date: header.date.clone(),
        args: Some(header.args.clone().into_iter().collect()),
        existing: Some(header.existing.clone()),
    };
    let earlier = Earlier { journal, past, placement: record::placement(&header.settings), up: header.up };
    Ok((flags(options, &header)?, id, earlier))
}

/// The newest build that has no end, and that could be gone on with.
fn newest(store: &Store) -> Result<String, Refused> {
    let interrupted = |(name, kept): (String, Result<_, _>)| {
        let kept: crate::engine::journal::Kept = kept.ok()?;
        (kept.standing == Standing::Interrupted && !kept.header.sandbox).then_some(name)
    };
    store.all().into_iter().filter_map(interrupted).next_back().ok_or_else(|| {
        let text = format!("no build in `{}` waits for being gone on with", store.root().display());
        (2, vec![Diagnostic::new(&codes::NO_BUILD, text).help("`vmwbuild builds` lists what there is")])
    })
}

/// Why a build can't be gone on with.
pub(super) fn refusal(header: &Header, past: &crate::engine::journal::Past) -> Option<String> {
    if header.sandbox {
        return Some("its sandbox has ended with it".to_owned());
    }
    if past.ended.is_some() {
        return Some("it has ended".to_owned());
    }
    if past.removing {
        return Some("its machines have begun to be removed".to_owned());
    }
    if past.reverting {
        return Some("its machines have begun to be taken back to their snapshots".to_owned());
    }
    let own = env!("CARGO_PKG_VERSION");
    if header.version != own {
        return Some(format!("it was begun by version {}, and this is {own}", header.version));
    }
    if header.file.is_none() {
        return Some("its VMWfile came from standard input".to_owned());
    }
    let changed = record::changed(header);
    (!changed.is_empty()).then(|| changed.join(", "))
}

/// The flags with which the build was begun, and those that are given now.
fn flags(options: &args::Resume, header: &Header) -> Result<args::Build, Refused> {
    let then = &header.settings;
    let guest = args::GuestLogin {
        login: options.guest.login.clone().or_else(|| then.login.clone()),
        login_password_file: match &options.guest.login {
            Some(_) => options.guest.login_password_file.clone(),
            None => options.guest.login_password_file.clone().or_else(|| then.login_password_file.clone()),
        },
    };
    let on_error = options.on_error.or_else(|| value(&then.on_error)).unwrap_or(args::OnError::Clean);
    Ok(args::Build {
        input: args::Input {
            context: header.context.clone(),
            file: header.file.clone(),
            targets: header.targets.clone(),
            args: Vec::new(),
            arg_files: Vec::new(),
            profile: args::Profile::default(),
        },
        secrets: options.secrets.clone(),
        secret_outs: Vec::new(),
        parallel: options.parallel.unwrap_or_else(|| u16::try_from(then.parallel).unwrap_or(u16::MAX).max(1)),
        clones: then.clones.map_or_else(args::Clones::default, |(in_all, per_host)| {
            let number = |n: usize| u16::try_from(n).unwrap_or(u16::MAX).max(1);
            args::Clones { in_all: number(in_all), per_host: number(per_host) }
        }),
        waits: {
            let begun = then.waits.map_or_else(args::Waits::default, |(boot, shutdown)| args::Waits {
                boot: Duration::from_secs(boot),
                shutdown: Duration::from_secs(shutdown),
            });
            args::Waits {
                boot: options.boot_timeout.unwrap_or(begun.boot),
                shutdown: options.shutdown_timeout.unwrap_or(begun.shutdown),
            }
        },
        progress: options.progress,
        events: options.events.clone(),
        report: options.report.clone(),
        result: options.result.clone(),
        no_cache: then.no_cache,
        on_error,
        timeout: options.timeout,
        connection: record::connection(&options.connection, &header.connection),
        placement: args::Placement::default(),
        guest,
        guest_channel: value(&then.channel).unwrap_or(args::GuestChannel::Auto),
        sandbox: false,
        sandbox_options: args::SandboxOptions::default(),
    })
}

/// A flag's value from how it is written.
fn value<T: clap::ValueEnum>(text: &str) -> Option<T> {
    T::from_str(text, false).ok()
}
