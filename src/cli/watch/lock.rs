//! The lock, as the command line wants it.

use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use super::{interrupted, refused, told};
use crate::cli::args;
use crate::cli::build::Refused;
use crate::cli::terminal;
use crate::diagnostic::Diagnostic;
use crate::engine::event::Event;
use crate::engine::watch::{self, Attempt, Claim, Contender, Lock};
use crate::engine::{Control, Options};
use crate::vsphere::client::Client;

/// Pauses after vCenter couldn't be asked, while the lock is waited for: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// How the lock is wanted.
#[derive(Clone, Debug)]
pub(in crate::cli) struct LockWish {
    lease: Duration,
    wait: bool,
    /// It was held before: vCenter being away is waited out.
    again: bool,
}

impl LockWish {
    /// From the flags; None: not at all.
    pub(in crate::cli) fn of(flags: &args::Watching) -> Option<Self> {
        // Below that the requests themselves take too much of it.
        let lease = flags.lease.max(Duration::from_secs(3));
        (!flags.no_lock).then_some(LockWish { lease, wait: flags.wait_lock, again: false })
    }

    /// The same, and whoever holds it is waited for.
    pub(super) fn waiting(self) -> Self {
        LockWish { wait: true, again: true, ..self }
    }
}

/// Who we are, for people.
fn who() -> String {
    let host = terminal::host();
    format!("process {} on {}", std::process::id(), host.as_deref().unwrap_or("a computer without a name"))
}

/// Takes the lock, with the builds that a dead holder may have left; None: it was stopped while it waited.
pub(super) async fn take(
    client: &Client,
    wish: &LockWish,
    file: &str,
    control: &Control,
    tell: &UnboundedSender<Event>,
) -> Result<Option<(Lock, Vec<String>)>, Refused> {
    let claim = Claim { file: file.to_owned(), who: who(), lease: wish.lease };
    let mut contender = Contender::new(client.clone(), claim);
    let (mut said, mut pause) = (String::new(), PAUSES.0);
    let mut say = |what: &'static str, key: &str, text: &str| {
        if said != key {
            let _ = tell.send(told(what, text));
            key.clone_into(&mut said);
        }
    };
    loop {
        let attempt = tokio::select! {
            attempt = contender.attempt() => attempt,
            () = control.stop.cancelled() => return Ok(None),
        };
        let wait = match attempt {
            Ok(Attempt::Held(lock, before)) => {
                let after = if before.is_empty() { "" } else { ", after a controller that is dead" };
                let _ = tell.send(told("holds", &format!("holds the lock of {file}{after}")));
                return Ok(Some((lock, before)));
            }
            Ok(Attempt::By(holder)) => {
                if holder.lives && !wish.wait {
                    let diagnostic = watch::held_elsewhere(&holder, file);
                    return Err((crate::engine::FailureClass::Vsphere.exit_code(), vec![diagnostic]));
                }
                // The age of its last sign of life is another one each time.
                let key = holder.text.split(';').next().unwrap_or_default().to_owned();
                let text = match (holder.lives, holder.known) {
                    (true, _) => format!("waits for the lock of {file}, held by {}", holder.text),
                    (false, true) => format!("{} seems dead: its lock is taken over soon", holder.text),
                    (false, false) => format!("waits for the lock of {file}, which somebody else is taking"),
                };
                say("waits", &format!("{key} {}", holder.lives), &text);
                pause = PAUSES.0;
                holder.again
            }
            Err(error) if wish.again => {
                say("waits", "away", &format!("can't ask for the lock of {file}: {error}"));
                pause = (pause * 2).min(PAUSES.1);
                pause
            }
            Err(error) => return Err(refused(&error, watch::no_lock(&error))),
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = control.stop.cancelled() => return Ok(None),
        }
    }
}

/// Takes the lock for one look. Without the right to, it goes on without, and says so.
pub(in crate::cli) async fn alone(
    client: &Client,
    wish: &LockWish,
    options: &Options,
    control: &Control,
) -> Result<Option<Lock>, Refused> {
    let (tell, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let speaking = tokio::spawn(async move {
        while let Some(event) = heard.recv().await {
            if let Event::Watch { what: "waits", text, .. } = event {
                terminal::say(&text);
            }
        }
    });
    let taken = take(client, wish, &options.file, control, &tell).await;
    drop(tell);
    let _ = speaking.await;
    match taken {
        Ok(Some((lock, before))) => {
            let swept = watch::sweep(client, &options.file, &before).await;
            swept.map_err(|e| refused(&e, e.diagnostic()))?.iter().for_each(|text| terminal::say(text));
            Ok(Some(lock))
        }
        Ok(None) => Err(interrupted()),
        Err((_, list)) if list.iter().any(|d| d.code.number == crate::vsphere::codes::NO_PRIVILEGE.number) => {
            terminal::say("note: this account may not take the lock that keeps two `up` apart (see `--no-lock`)");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Gives it back. What can't be given back ends by itself.
pub(in crate::cli) async fn give_back(lock: Option<Lock>) {
    if let Some(lock) = lock
        && let Err(error) = lock.release().await
    {
        terminal::say(&format!("note: the lock couldn't be given back, and ends by itself: {error}"));
    }
}

/// It is lost.
pub(super) fn lost() -> Diagnostic {
    super::lost_lock()
}
