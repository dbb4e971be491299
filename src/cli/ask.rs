//! `--on-error ask`: the questions of a build on the terminal, one after another, and looking inside a guest.

use std::io::BufRead;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{args, codes, terminal};
use crate::diagnostic::Diagnostic;
use crate::engine::{Answer, Look, Looked, Question};
use crate::guest::Stream;
use crate::progress::Hush;
use crate::source::Sources;

/// What is said to `--on-error ask` where nobody can answer.
pub(super) fn nobody() -> Diagnostic {
    Diagnostic::new(&codes::NOBODY_TO_ASK, "`--on-error ask` needs a terminal to ask on, and there is none").help(
        "standard input and standard error are to be a terminal; where they can't be, `--on-error keep` leaves half-made \
         machines for a look, and `--on-error clean` removes them",
    )
}

/// Where a Ctrl-C goes: to who looks inside a guest, else to the build.
#[derive(Clone, Default)]
pub(super) struct Interrupts(Arc<Mutex<Option<mpsc::UnboundedSender<()>>>>);

impl Interrupts {
    fn slot(&self) -> std::sync::MutexGuard<'_, Option<mpsc::UnboundedSender<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether somebody looks inside, and has been told.
    pub(super) fn told(&self) -> bool {
        self.slot().as_ref().is_some_and(|inside| inside.send(()).is_ok())
    }
}

/// Who asks.
pub(super) struct Asker<'a> {
    pub(super) questions: mpsc::UnboundedReceiver<Question>,
    pub(super) hush: Hush,
    pub(super) interrupts: Interrupts,
    pub(super) sources: &'a Sources,
    pub(super) color: args::When,
    /// Whether machines can be kept: those of an embedded sandbox end with the build.
    pub(super) keeps: bool,
}

/// A line from the terminal.
enum Heard {
    Line(String),
    /// Ctrl-D, or the terminal is gone.
    End,
    /// Nobody waits for an answer any more.
    Moot,
}

impl Asker<'_> {
    /// Asks as long as there are questions.
    pub(super) async fn attend(mut self) -> std::convert::Infallible {
        while let Some(question) = self.questions.recv().await {
            if question.answers.is_closed() {
                continue;
            }
            self.hush.hush().await;
            self.ask(&question).await;
            self.hush.go_on();
        }
        std::future::pending().await
    }

    async fn ask(&self, question: &Question) {
        terminal::say("");
        terminal::show([&question.diagnostic], self.sources, self.color);
        loop {
            terminal::say(&format!("{} failed. What now?", question.what));
            if let Some(account) = &question.account {
                terminal::say(&format!(
                    "  l  look inside: run commands in the guest of {} as {account}",
                    question.machine
                ));
            }
            if question.retry {
                terminal::say("  r  try it again");
            }
            if self.keeps {
                terminal::say("  k  stop the build and keep half-made machines as they are");
            }
            terminal::say("  c  stop the build and remove half-made machines");
            let answer = match self.line("> ", question, None).await {
                Heard::Line(line) => match (line.trim().to_ascii_lowercase().as_str(), &question.account) {
                    ("l" | "look", Some(account)) => {
                        self.look(question, account).await;
                        continue;
                    }
                    ("r" | "retry", _) if question.retry => Answer::Retry,
                    ("k" | "keep", _) if self.keeps => Answer::Keep,
                    ("c" | "clean", _) => Answer::Clean,
                    _ => continue,
                },
                Heard::End => {
                    terminal::say("no answer: as `c`");
                    Answer::Clean
                }
                Heard::Moot => return,
            };
            let _ = question.answers.send(answer).await;
            return;
        }
    }

    /// Reads a line; a Ctrl-C is heard of where there is `interrupted`, and is the build's else.
    async fn line(
        &self,
        prompt: &str,
        question: &Question,
        interrupted: Option<&mut mpsc::UnboundedReceiver<()>>,
    ) -> Heard {
        terminal::err(prompt);
        let mut read = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            std::io::stdin().lock().read_line(&mut line).map(|count| (count > 0).then_some(line))
        });
        let mut interrupted = interrupted;
        loop {
            let interrupt = async {
                match &mut interrupted {
                    Some(inside) => inside.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                line = &mut read => {
                    return match line {
                        Ok(Ok(Some(line))) => Heard::Line(line),
                        _ => {
                            terminal::say("");
                            Heard::End
                        }
                    };
                }
                () = question.answers.closed() => {
                    terminal::say("");
                    return Heard::Moot;
                }
                // The terminal has thrown away what was typed; the same read goes on.
                _ = interrupt => terminal::err(&format!("\n{prompt}")),
            }
        }
    }

    /// Commands in the guest, one a line, until there is no more.
    async fn look(&self, question: &Question, account: &str) {
        let (sender, mut interrupted) = mpsc::unbounded_channel();
        *self.interrupts.slot() = Some(sender);
        self.inside(question, account, &mut interrupted).await;
        *self.interrupts.slot() = None;
    }

    async fn inside(&self, question: &Question, account: &str, interrupted: &mut mpsc::UnboundedReceiver<()>) {
        terminal::say(
            "Each line is a command of its own, without input; `cd` is kept; Ctrl-C ends a command, `exit` or Ctrl-D this.",
        );
        let mut directory = None;
        match self.run(question, "pwd".to_owned(), &directory, true, interrupted).await {
            Some(Looked::Ran { captured, .. }) => directory = path(&captured),
            Some(Looked::Failed(problem)) => {
                terminal::show([&*problem], self.sources, self.color);
                return;
            }
            None => return,
        }
        loop {
            let prompt = format!("{account}@{} {}> ", question.machine, directory.as_deref().unwrap_or("?"));
            let line = match self.line(&prompt, question, Some(&mut *interrupted)).await {
                Heard::Line(line) => line,
                Heard::End | Heard::Moot => return,
            };
            let line = line.trim();
            let word = line.split_whitespace().next().unwrap_or_default();
            match word {
                "" => continue,
                "exit" | "logout" => return,
                _ => {}
            }
            // `cd` alone says where the next command runs.
            let moves = word == "cd" && !line.contains([';', '&', '|']);
            let text = if moves { format!("{line} && pwd") } else { line.to_owned() };
            match self.run(question, text, &directory, moves, interrupted).await {
                Some(Looked::Ran { failure: None, captured }) if moves => directory = path(&captured).or(directory),
                Some(Looked::Ran { failure: Some(failure), .. }) => terminal::say(&format!("({failure})")),
                Some(Looked::Ran { .. }) => {}
                Some(Looked::Failed(problem)) => terminal::show([&*problem], self.sources, self.color),
                None => return,
            }
        }
    }

    /// Runs one command. None: the build is stopped.
    async fn run(
        &self,
        question: &Question,
        text: String,
        directory: &Option<String>,
        capture: bool,
        interrupted: &mut mpsc::UnboundedReceiver<()>,
    ) -> Option<Looked> {
        let (output, mut printed) = mpsc::unbounded_channel();
        let (ended, mut end) = oneshot::channel();
        let stop = CancellationToken::new();
        let look = Look { text, directory: directory.clone(), capture, output, stop: stop.clone(), ended };
        question.answers.send(Answer::Run(look)).await.ok()?;
        let looked = loop {
            tokio::select! {
                biased;
                // All on one stream: standard output carries results only.
                Some((_, bytes)) = printed.recv() => terminal::write(Stream::Err, &bytes),
                looked = &mut end => break looked.ok(),
                Some(()) = interrupted.recv() => stop.cancel(),
            }
        };
        while let Ok((_, bytes)) = printed.try_recv() {
            terminal::write(Stream::Err, &bytes);
        }
        looked
    }
}

fn path(captured: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(captured);
    let last = text.lines().last()?.trim_end();
    last.starts_with('/').then(|| last.to_owned())
}
