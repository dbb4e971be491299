//! How a build is told: the view, the files that it leaves, and which of the two streams carries what.
//!
//! Standard output carries results only (`--progress json`: events, and nothing else); everything that people read
//! while it goes on, and every message, is on standard error.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tokio::sync::mpsc::UnboundedReceiver;

use super::args::{self, Progress, When};
use super::report::github;
use super::{codes, terminal};
use crate::diagnostic::{Diagnostic, Severity, Style, render, without_secrets};
use crate::engine::BuiltOutput;
use crate::engine::event::Event;
use crate::progress::{self, Ci, Facts, Finding, Hushed, Json, Place, Plain, Quiet, Recorder, Tty, Verdict, View};
use crate::source::Sources;

/// Tells one build.
pub(super) struct Telling {
    color: When,
    progress: Progress,
    ci: Ci,
    began: SystemTime,
    views: Vec<Box<dyn View>>,
    recorder: Option<Recorder>,
    events: Option<(PathBuf, Trouble)>,
    report: Option<PathBuf>,
    result: Option<PathBuf>,
    facts: Facts,
    findings: Vec<Finding>,
}

/// What went wrong first with a file that is written while a build goes on.
type Trouble = Arc<Mutex<Option<io::Error>>>;

/// A file that remembers this.
struct Watched {
    file: std::fs::File,
    trouble: Trouble,
}

impl Watched {
    fn attempt<T>(&mut self, act: impl FnOnce(&mut std::fs::File) -> io::Result<T>) -> io::Result<T> {
        act(&mut self.file).map_err(|e| {
            let kind = e.kind();
            if kind != io::ErrorKind::Interrupted {
                self.trouble.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(e);
            }
            kind.into()
        })
    }
}

impl Write for Watched {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.attempt(|file| file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.attempt(Write::flush)
    }
}

impl Telling {
    /// Everything that can be wrong with the files to be written is found now, not after an hour.
    pub(super) fn new(flags: &args::Build, color: When) -> Result<Self, Diagnostic> {
        let began = SystemTime::now();
        let terminal = io::stderr().is_terminal();
        let set = |name: &str| std::env::var(name).is_ok_and(|v| !v.is_empty() && v != "false");
        let progress = match flags.progress {
            Progress::Auto if terminal && std::env::var_os("TERM").is_none_or(|t| t != "dumb") => Progress::Tty,
            Progress::Auto => Progress::Plain,
            chosen => chosen,
        };
        let ci = match progress {
            Progress::Plain if set("GITHUB_ACTIONS") => Ci::Github,
            Progress::Plain if set("GITLAB_CI") => Ci::Gitlab,
            _ => Ci::None,
        };
        let mut views: Vec<Box<dyn View>> = Vec::new();
        views.push(match progress {
            Progress::Tty => {
                let look = progress::Look {
                    color: terminal::use_color(color, terminal),
                    unicode: terminal::is_utf8(),
                    reflow: terminal::reflows(),
                };
                Box::new(Tty::new(io::stderr(), look, terminal::size))
            }
            Progress::Plain | Progress::Auto => Box::new(Plain::new(io::stderr(), ci, began)),
            Progress::Json => Box::new(Json::new(terminal::Output, began)),
            Progress::Quiet => Box::new(Quiet),
        });
        let mut events = None;
        if let Some(path) = &flags.events {
            let file = std::fs::File::create(path).map_err(|e| unwritable(path, &e))?;
            let trouble = Trouble::default();
            views.push(Box::new(Json::new(Watched { file, trouble: Arc::clone(&trouble) }, began)));
            events = Some((path.clone(), trouble));
        }
        for path in [&flags.report, &flags.result].into_iter().flatten() {
            // A file beside it can be made: then the whole one can take its place.
            if !is_special(path) {
                beside(path).map_err(|e| unwritable(path, &e))?;
            }
        }
        let recorder =
            (flags.report.is_some() || flags.result.is_some()).then(|| Recorder::new(began, flags.report.is_some()));
        views.extend(recorder.clone().map(|r| Box::new(r) as Box<dyn View>));
        let (report, result) = (flags.report.clone(), flags.result.clone());
        Ok(Telling {
            color,
            progress,
            ci,
            began,
            views,
            recorder,
            events,
            report,
            result,
            facts: facts(flags),
            findings: Vec::new(),
        })
    }

    /// `--color`.
    pub(super) fn color(&self) -> When {
        self.color
    }

    /// Shows diagnostics on standard error, and keeps them for the files.
    pub(super) fn show<'a>(&mut self, list: impl IntoIterator<Item = &'a Diagnostic>, sources: &Sources) {
        let style = terminal::style(self.color);
        let mut text = String::new();
        for diagnostic in list {
            // The files and CI's annotations show its words as they are.
            let diagnostic = &*without_secrets(diagnostic, sources);
            self.findings.push(finding(diagnostic, sources));
            for line in render(diagnostic, sources, style).lines() {
                // A message may quote a guest.
                text.push_str(&self.ci.tame(line));
                text.push('\n');
            }
            text.push('\n');
            if self.ci == Ci::Github {
                text.push_str(&github::command(diagnostic, sources));
            }
        }
        terminal::err(&text);
    }

    /// Follows a build; ends with its events, and gives the views back.
    pub(super) fn watch(
        &mut self,
        events: UnboundedReceiver<Event>,
        hushed: Hushed,
    ) -> impl Future<Output = Vec<Box<dyn View>>> + Send + use<> {
        progress::show(events, std::mem::take(&mut self.views), self.began, hushed)
    }

    /// The views are back: they are told the end.
    pub(super) fn watched(&mut self, views: Vec<Box<dyn View>>) {
        self.views = views;
    }

    /// Tells the views something between builds.
    pub(super) fn tell(&mut self, event: &Event) {
        let at = SystemTime::now().duration_since(self.began).unwrap_or_default();
        // One that can't be written to any more is told nothing else.
        self.views.retain_mut(|view| view.event(at, event).is_ok());
    }

    /// Forgets what was found so far: whoever stays would remember it for ever.
    pub(super) fn forget(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.findings)
    }

    /// What was built, on standard output: for people, or with `--progress quiet` for programs.
    pub(super) fn built(&self, outputs: &[BuiltOutput]) {
        for output in outputs {
            let ip = output.ip.as_deref();
            match self.progress {
                Progress::Json => {}
                Progress::Quiet => terminal::tell(&format!(
                    "{}\t{}\t{}\t{}\n",
                    output.kind,
                    output.name,
                    output.moref,
                    ip.unwrap_or_default()
                )),
                Progress::Auto | Progress::Tty | Progress::Plain => {
                    let ip = ip.map_or_else(String::new, |ip| format!("  {ip}"));
                    let cached = if output.cached { "  (cached)" } else { "" };
                    terminal::tell(&format!("{} {}{ip}{cached}\n", output.kind, output.name));
                }
            }
        }
    }

    /// What failed, below what the view has left.
    pub(super) fn failed<'a>(&mut self, list: impl IntoIterator<Item = &'a Diagnostic>, sources: &Sources) {
        if matches!(self.progress, Progress::Tty | Progress::Plain) {
            terminal::say("");
        }
        self.show(list, sources);
    }

    /// The end, whatever it is: views and files are told. The exit code.
    pub(super) fn end(mut self, exit_code: u8) -> u8 {
        let verdict = Verdict { exit_code, findings: std::mem::take(&mut self.findings) };
        // A closed pipe is no failure of the build's.
        self.views.iter_mut().for_each(|view| drop(view.verdict(&verdict)));
        // What the build ended with says more than this.
        let mut code = exit_code;
        let mut failed = |problem: Diagnostic| {
            terminal::show([&problem], &Sources::new(), self.color);
            code = if code == 0 { 2 } else { code };
        };
        if let Some((path, trouble)) = &self.events
            && let Some(e) = trouble.lock().unwrap_or_else(PoisonError::into_inner).take()
            && e.kind() != io::ErrorKind::BrokenPipe
        {
            failed(
                Diagnostic::new(&codes::OUTPUT_UNWRITABLE, format!("can't write `{}`: {e}", path.display()))
                    .help("the events from there on are missing in it; free some space, or write them elsewhere"),
            );
        }
        let Some(recorder) = &self.recorder else { return code };
        let record = recorder.record();
        let mut texts: Vec<(&Path, String)> = Vec::new();
        if let Some(path) = &self.report {
            texts.push((path, progress::report(&record, &verdict, &self.facts)));
        }
        if let Some(path) = &self.result {
            texts.push((path, progress::result(&record, &verdict)));
        }
        for (path, text) in texts {
            if let Err(e) = write(path, &text) {
                failed(unwritable(path, &e));
            }
        }
        code
    }
}

/// What the report says of the command line. Values of ARGs stay out: people put passwords there.
fn facts(flags: &args::Build) -> Facts {
    let input = &flags.input;
    let file = input.file.as_ref().unwrap_or(&input.context);
    let whole = std::fs::canonicalize(file).ok();
    let name = whole.as_deref().and_then(Path::file_name).map(|n| n.to_string_lossy().into_owned());
    let mut settings = vec![("VMWfile".to_owned(), file.display().to_string())];
    let mut add = |name: &str, value: String| {
        if !value.is_empty() {
            settings.push((name.to_owned(), value));
        }
    };
    add("Targets", input.targets.join(", "));
    let names: Vec<&str> = input.args.iter().map(|a| a.split('=').next().unwrap_or_default()).collect();
    add("Arguments given", names.join(", "));
    add("Parallel", flags.parallel.to_string());
    add("On error", format!("{:?}", flags.on_error).to_lowercase());
    add("Guest channel", format!("{:?}", flags.guest_channel).to_lowercase());
    add("Sandbox", if flags.sandbox { "embedded".to_owned() } else { String::new() });
    add("Client", format!("{} {}", std::env::consts::OS, std::env::consts::ARCH));
    Facts { title: name.unwrap_or_else(|| file.display().to_string()), settings }
}

fn finding(diagnostic: &Diagnostic, sources: &Sources) -> Finding {
    let place = diagnostic.primary.as_ref().map(|label| {
        let file = sources.get(label.span.source);
        let (line, column) = file.line_col(label.span.start);
        Place { file: file.name.clone(), line, column }
    });
    Finding {
        severity: match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Advice => "advice",
        },
        code: diagnostic.code.to_string(),
        name: diagnostic.code.name,
        message: diagnostic.message.clone(),
        place,
        label: diagnostic.primary.as_ref().map_or_else(String::new, |l| l.text.clone()),
        notes: diagnostic.notes.clone(),
        help: diagnostic.help.clone(),
        shown: render(diagnostic, sources, Style { unicode: true, width: 110, ..Style::plain() }),
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Diagnostic {
    Diagnostic::new(&codes::OUTPUT_UNWRITABLE, format!("can't write `{}`: {error}", path.display()))
        .help("name a file in a directory that is there and can be written to")
}

/// A device or a pipe is written to as it is: nothing can take its place.
fn is_special(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|m| !m.is_file() && !m.is_dir())
}

/// A file in the same directory, which goes when it isn't kept.
fn beside(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    if path.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".vmwbuild-");
    // As any program's files: what the user's mask leaves. Nothing in them is secret.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(directory)
}

/// Writes the whole file, or leaves what was there.
fn write(path: &Path, text: &str) -> io::Result<()> {
    if is_special(path) {
        return std::fs::OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes());
    }
    let mut file = beside(path)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|e| e.error)?;
    Ok(())
}
