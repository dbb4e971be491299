//! `vmwbuild exec`: one command in the guests of machines that exist, through vCenter and VMware Tools.

use std::path::PathBuf;

use tempfile::NamedTempFile;
use tokio_util::sync::CancellationToken;

use super::fleet::{self, Fleet};
use super::machine::{self, Access, Refused, Way, failed, guest_failed};
use super::stdin::{self, Ready};
use super::{args, codes, names, terminal};
use crate::diagnostic::Diagnostic;
use crate::engine::FailureClass;
use crate::guest::{
    Body, CopyContent, CopyEntry, EnvPiece, EnvVar, Event, Exit, Guest, Interpreter, Job, RunAs, Stream, quote,
};
use crate::source::Sources;
use crate::syntax::literal;

/// Input of at most this is put into /tmp, which may be small; what is larger into /var/tmp.
const SMALL: u64 = 1 << 20;

/// How it ended: an exit code, of the command or ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The command's.
    Command(u8),
    /// vmwbuild's own: the command wasn't run, or not to its end.
    Ours(u8),
}

impl Ended {
    /// Interrupted by Ctrl-C.
    pub(super) const INTERRUPTED: Ended = Ended::Ours(130);

    /// As a process says it.
    fn code(self, failure: Option<u8>) -> u8 {
        match self {
            Ended::Command(code) => code,
            Ended::Ours(code) => failure.unwrap_or(code),
        }
    }
}

/// What is run.
pub(super) struct Work {
    job: Job,
    command: Vec<String>,
    detach: bool,
    /// Standard input, once it is read.
    pub(super) input: Option<PathBuf>,
}

/// Runs it; the command's exit code, or ours when it could not be run.
pub(crate) fn run(options: &args::Exec, color: args::When, verbose: u8) -> u8 {
    let ended = ended(options, color, verbose).unwrap_or_else(|(code, problem)| {
        terminal::show([&problem], &Sources::new(), color);
        Ended::Ours(code)
    });
    ended.code(options.failure_code)
}

fn ended(options: &args::Exec, color: args::When, verbose: u8) -> Result<Ended, Refused> {
    let work = work(options).map_err(|d| (2, d))?;
    let way = Way {
        connection: &options.connection,
        guest: &options.guest,
        profile: &options.profile,
        channel: options.guest_channel,
        verbose,
    };
    let whose = options.vm.as_deref().unwrap_or("the machines");
    let Access { endpoint, login, options: settings } = machine::access(&way, whose)?;
    let done = machine::connected(endpoint, async |client, stop| {
        let Some((work, _input)) = with_input(work, options, stop).await? else { return Ok(Ended::INTERRUPTED) };
        let inventory = client.inventory().await.map_err(|e| failed(&e))?;
        names::remember(client, &inventory);
        match &options.vm {
            Some(vm) => {
                let entity = inventory.vm(vm, None).map_err(|e| failed(&e))?;
                let opened = machine::open(client, entity, &login, &settings, stop).await?;
                let Some(guest) = opened else { return Ok(Ended::INTERRUPTED) };
                in_guest(&guest, &work, vm, stop, (&mut |event| show(&event), &mut |text| terminal::say(text))).await
            }
            None => {
                let machines = fleet::chosen(&inventory, &options.all)?;
                let fleet = Fleet {
                    client: client.clone(),
                    login: login.clone(),
                    options: settings.clone(),
                    stop: stop.clone(),
                };
                fleet::run(fleet, machines, work, usize::from(options.parallel), color).await
            }
        }
    })?;
    Ok(done.unwrap_or(Ended::INTERRUPTED))
}

/// Reads standard input if it is the command's. None: interrupted meanwhile.
async fn with_input(
    mut work: Work,
    options: &args::Exec,
    stop: &CancellationToken,
) -> Result<Option<(Work, Option<NamedTempFile>)>, Refused> {
    let wanted = match stdin::ready() {
        _ if options.no_stdin => false,
        _ if options.stdin => true,
        Ready::Data => true,
        Ready::Nothing => false,
        Ready::Open => {
            terminal::say(
                "note: standard input is open and nothing has come from it: the command gets none; `-i` waits for it, \
                 `-n` leaves this note out",
            );
            false
        }
    };
    if !wanted {
        return Ok(Some((work, None)));
    }
    let read = tokio::select! {
        read = tokio::task::spawn_blocking(stdin::spool) => read,
        () = stop.cancelled() => return Ok(None),
    };
    let file = read.map_err(std::io::Error::other).and_then(|r| r).map_err(|e| {
        let text = format!("can't read standard input: {e}");
        (2, Diagnostic::new(&codes::FILE_UNREADABLE, text).help("it is kept in the temporary directory: see TMPDIR"))
    })?;
    work.input = Some(file.path().to_owned());
    Ok(Some((work, Some(file))))
}

fn work(options: &args::Exec) -> Result<Work, Diagnostic> {
    let bad = |text: String, help: &str| Diagnostic::new(&codes::BAD_ARGUMENT, text).help(help);
    let mut job = Job::new(0, Body::Exec(options.command.clone()));
    for pair in &options.env {
        let (name, value) = pair
            .split_once('=')
            .filter(|(name, _)| !name.is_empty())
            .ok_or_else(|| bad(format!("`--env {pair}` isn't of the form NAME=VALUE"), "as in `--env LANG=C`"))?;
        let value = vec![EnvPiece::Literal(value.to_owned())];
        job.env.push(EnvVar { name: name.to_owned(), value });
    }
    job.workdir = options.workdir.clone();
    job.run_as = options.user.clone().map(RunAs::new);
    if let Some(text) = &options.timeout {
        let wrong = |why: &str| bad(format!("`--timeout {text}` {why}"), "write it like `90s`, `10m` or `1h30m`");
        let timeout = literal::duration(text).ok_or_else(|| wrong("is no duration"))?;
        if timeout.is_zero() {
            return Err(wrong("leaves no time for the command"));
        }
        job.timeout = Some(timeout);
    }
    Ok(Work { job, command: options.command.clone(), detach: options.detach, input: None })
}

/// Who hears what the command prints, and what we have to say.
pub(super) type Ears<'a> = (&'a mut (dyn FnMut(Event) + Send), &'a mut (dyn FnMut(&str) + Send));

/// Runs the work in one guest, and leaves nothing of ours there.
pub(super) async fn in_guest(
    guest: &Guest,
    work: &Work,
    vm: &str,
    stop: &CancellationToken,
    (on_event, say): Ears<'_>,
) -> Result<Ended, Refused> {
    let apart = [
        (work.input.is_some(), "standard input"),
        (work.detach, "`--detach`"),
        (work.job.run_as.is_some(), "`--user`"),
    ];
    for (_, what) in apart.iter().filter(|(asked, _)| *asked) {
        machine::needs_posix(guest, vm, what)?;
    }
    let mut input = None;
    let ran = tokio::select! {
        ran = carried_out(guest, work, &mut input, on_event) => Some(ran),
        () = stop.cancelled() => None,
    };
    let Some(ran) = ran else {
        machine::part(guest, vm).await;
        // The command has taken it away itself, unless it never began.
        if let Some(path) = &input {
            let _ = tokio::time::timeout(machine::PARTING, guest.delete(path)).await;
        }
        return Ok(Ended::INTERRUPTED);
    };
    if let (Err(_), Some(path)) = (&ran, &input) {
        let _ = guest.delete(path).await;
    }
    let cleaned = guest.cleanup().await;
    let (end, place) = ran?;
    cleaned.map_err(|e| guest_failed(&e))?;
    if let (Exit::Code(0), Some(place)) = (end, place) {
        say(&format!(
            "it runs in {vm}; its output goes to {place}/out and {place}/err, its exit code in the end to {place}/rc\n\
             look:   vmwbuild exec {vm} -- sh -c 'cd {place} && tail -n 20 out err && cat rc'\n\
             end:    vmwbuild exec {vm} -- sh -c 'kill -- -$(cat {place}/pid)'\n\
             remove: vmwbuild exec {vm} -- rm -r {place}"
        ));
    }
    Ok(match end {
        Exit::Code(code) => Ended::Command(u8::try_from(code).unwrap_or(255)),
        // As a shell says it.
        Exit::Signal(signal) => Ended::Command(u8::try_from(128 + signal).unwrap_or(255)),
        Exit::Skipped => Ended::Command(0),
        Exit::TimedOut => {
            say("the command took longer than its --timeout, and was ended with all it had started");
            Ended::Ours(FailureClass::Deadline.exit_code())
        }
        Exit::Killed | Exit::Unknown => {
            say("the guest can't say how the command ended: it was restarted, or the command was killed");
            Ended::Ours(FailureClass::Guest.exit_code())
        }
    })
}

/// Sends the input over and runs the job; how it ended, and for a detached one the place of its files.
async fn carried_out(
    guest: &Guest,
    work: &Work,
    input: &mut Option<String>,
    on_event: &mut (dyn FnMut(Event) + Send),
) -> Result<(Exit, Option<String>), Refused> {
    let mut job = work.job.clone();
    let id = random()?;
    if let Some(file) = &work.input {
        let size = std::fs::metadata(file).map(|m| m.len()).unwrap_or_default();
        let path = format!("{}/.vmwbuild-in-{id}", if size > SMALL { "/var/tmp" } else { "/tmp" });
        *input = Some(path.clone());
        let entry = CopyEntry { path, content: CopyContent::File(file.clone()), mode: 0o600 };
        let owner = job.run_as.as_ref().map(|r| r.user.as_str());
        // Only root gives files away.
        let root = owner.map(|_| RunAs::new("root"));
        guest.copy_in(&[entry], owner, root.as_ref(), None).await.map_err(|e| guest_failed(&e))?;
    }
    let words = work.command.iter().map(|w| quote(w)).collect::<Vec<_>>().join(" ");
    let mut place = None;
    let opened = input.as_ref().map(|path| format!("exec 3<{0} || exit 126\nrm -f {0}\n", quote(path)));
    let text = match (&opened, work.detach) {
        (None, false) => None,
        (Some(opened), false) => Some(format!("{opened}exec <&3 3<&-\nexec {words}\n")),
        (opened, true) => {
            let directory = format!("/var/tmp/vmwbuild-{id}");
            let opened = opened.clone().unwrap_or_else(|| "exec 3</dev/null\n".to_owned());
            let text = format!(
                "{opened}mkdir -m 700 {directory} || exit 126\n\
                 s=\ncommand -v setsid >/dev/null 2>&1 && s=setsid\n\
                 $s sh -c 'trap \"\" HUP; d=$1; shift; \"$@\" >\"$d/out\" 2>\"$d/err\"; echo $? >\"$d/rc.part\"; \
                 mv \"$d/rc.part\" \"$d/rc\"' sh {directory} {words} <&3 3<&- >/dev/null 2>&1 &\n\
                 echo $! >{directory}/pid\n"
            );
            place = Some(directory);
            Some(text)
        }
    };
    if let Some(text) = text {
        if text.contains('\0') {
            let problem = Diagnostic::new(&codes::BAD_ARGUMENT, "an argument of the command has a NUL character in it");
            return Err((2, problem));
        }
        job.body = Body::Script { text, interpreter: Interpreter::sh() };
    }
    let outcome = guest.run_batch(std::slice::from_ref(&job), on_event).await.map_err(|e| guest_failed(&e))?;
    Ok((outcome.ends.first().map_or(Exit::Unknown, |end| end.exit), place))
}

/// Sixteen digits that nobody guesses.
pub(super) fn random() -> Result<String, Refused> {
    let mut bytes = [0u8; 8];
    getrandom::fill(&mut bytes).map_err(|e| {
        (5, Diagnostic::new(&codes::SECRET_UNREADABLE, format!("there is no source of randomness: {e}")))
    })?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

/// Output goes where the command's went, byte for byte. A closed pipe here ends nothing there.
fn show(event: &Event) {
    match event {
        Event::Output { stream: Stream::Out, bytes, .. } => terminal::write(Stream::Out, bytes),
        Event::Output { stream: Stream::Err, bytes, .. } => terminal::write(Stream::Err, bytes),
        Event::Omitted { bytes, .. } => terminal::say(&format!("({bytes} bytes of output are not shown)")),
        Event::Note(text) => terminal::say(&format!("note: {text}")),
        Event::Placed(_) | Event::Started { .. } | Event::Retrying { .. } | Event::Finished { .. } => {}
    }
}
