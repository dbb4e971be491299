//! `vmwbuild doctor --selftest`: one small build on the user's own vCenter, and a transcript of all that was said, without
//! what tells whose vCenter it is.

mod scrub;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use clap::Parser;
use serde_json::{Value, json};

use super::build::{self, Beside};
use super::{args, codes, load};
use crate::diagnostic::Diagnostic;
use crate::vsphere::client::{Exchange, Heard, Recorder};
use crate::vsphere::wire::{Element, Limits};
use scrub::{Scrubber, Second};

/// The version of the transcript's form.
const VERSION: u32 = 1;
/// What is built.
const VMWFILE: &str = include_str!("VMWfile");
/// More than fits in a message to a guest, so that it takes a transfer.
const LARGE: usize = 200 << 10;
/// Where the transcript goes when nothing is said.
const TRANSCRIPT: &str = "vmwbuild-selftest.jsonl";

/// What came of it.
pub(super) struct Outcome {
    /// The build's exit code.
    pub(super) code: u8,
    /// Where the transcript is.
    pub(super) transcript: PathBuf,
    /// How many exchanges it holds.
    pub(super) exchanges: usize,
}

/// An exchange, read.
struct Line {
    at: u128,
    took: u128,
    call: String,
    request: Option<Element>,
    answer: Answer,
}

enum Answer {
    Nothing,
    Status(u16),
    Soap(u16, Element),
}

/// Builds, and writes the transcript whatever comes of it.
pub(super) fn run(options: &args::Doctor, template: &str, color: args::When) -> Result<Outcome, Diagnostic> {
    let unwritable = |what: &Path, e: &dyn std::fmt::Display| {
        let text = format!("can't write `{}`: {e}", what.display());
        Diagnostic::new(&codes::OUTPUT_UNWRITABLE, text).help("name another file by `--output`")
    };
    let transcript = options.output.clone().unwrap_or_else(|| PathBuf::from(TRANSCRIPT));
    let directory = transcript.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Before a machine is cloned for nothing.
    let file = tempfile::NamedTempFile::new_in(directory).map_err(|e| unwritable(&transcript, &e))?;
    let context = tempfile::tempdir().map_err(|e| unwritable(&std::env::temp_dir(), &e))?;
    let put = |name: &str, bytes: &[u8]| {
        let path = context.path().join(name);
        std::fs::write(&path, bytes).map_err(|e| unwritable(&path, &e))
    };
    put("VMWfile", VMWFILE.as_bytes())?;
    put("large", &vec![b'x'; LARGE])?;

    let heard = Arc::new(Mutex::new(Vec::new()));
    let (began, sink) = (Instant::now(), Arc::clone(&heard));
    let recorder = Recorder::new(move |exchange| {
        let line = Line::of(exchange, began.elapsed().as_millis());
        sink.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    });
    let flags = flags(options, template, context.path())
        .map_err(|e| Diagnostic::new(&codes::SELFTEST, format!("the self-test's build can't be described: {e}")))?;
    let beside = Beside { recorder: Some(recorder), ..Beside::default() };
    let code = build::go(&flags, load::Build::new(), beside, color, 0);

    let mut lines = std::mem::take(&mut *heard.lock().unwrap_or_else(PoisonError::into_inner));
    let text = written(&mut lines, template, code);
    let mut file = file;
    file.write_all(text.as_bytes()).map_err(|e| unwritable(&transcript, &e))?;
    file.persist(&transcript).map_err(|e| unwritable(&transcript, &e.error))?;
    Ok(Outcome { code, transcript, exchanges: lines.len() })
}

/// The build's flags: those of `doctor`, and what is built.
fn flags(options: &args::Doctor, template: &str, context: &Path) -> Result<args::Build, clap::Error> {
    let progress = if options.json { "quiet" } else { "plain" };
    let line = ["vmwbuild", "build", "--progress", progress].map(std::ffi::OsString::from);
    let arg = ["--arg".into(), format!("template={template}").into()];
    let cli = args::Cli::try_parse_from(line.into_iter().chain(arg).chain([context.as_os_str().to_owned()]))?;
    let args::Command::Build(mut build) = cli.command else {
        return Err(clap::Error::new(clap::error::ErrorKind::InvalidSubcommand));
    };
    build.connection = options.connection.clone();
    build.guest = options.guest.clone();
    build.placement = options.placement.clone();
    build.input.profile = options.profile.clone();
    build.guest_channel = options.guest_channel;
    Ok(*build)
}

impl Line {
    fn of(exchange: &Exchange<'_>, at: u128) -> Line {
        let answer = match exchange.answer {
            Heard::Nothing => Answer::Nothing,
            Heard::Answer { status, body } => match body_of(body) {
                Some(element) => Answer::Soap(status, element),
                None => Answer::Status(status),
            },
        };
        let request = body_of(exchange.request);
        Line { at, took: exchange.took.as_millis(), call: exchange.call.to_owned(), request, answer }
    }

    fn elements(&mut self) -> impl Iterator<Item = &mut Element> {
        let answer = match &mut self.answer {
            Answer::Soap(_, element) => Some(element),
            Answer::Nothing | Answer::Status(_) => None,
        };
        self.request.iter_mut().chain(answer)
    }

    fn json(&self, number: usize) -> Value {
        let xml = |element: &Element| element.to_xml().unwrap_or_default();
        let (status, answer) = match &self.answer {
            Answer::Nothing => (None, None),
            Answer::Status(status) => (Some(*status), None),
            Answer::Soap(status, element) => (Some(*status), Some(xml(element))),
        };
        json!({
            "n": number,
            "at_ms": u64::try_from(self.at).unwrap_or(u64::MAX),
            "took_ms": u64::try_from(self.took).unwrap_or(u64::MAX),
            "call": self.call,
            "request": self.request.as_ref().map(xml),
            "status": status,
            "answer": answer,
        })
    }
}

/// The element within the SOAP body of a message. What isn't SOAP (a proxy's page) tells too much to be kept.
fn body_of(document: &[u8]) -> Option<Element> {
    let envelope = Element::parse(document, Limits::default()).ok()?;
    let body = envelope.children.into_iter().find(|child| child.name == "Body")?;
    body.children.into_iter().next()
}

/// The transcript: a line of JSON about the run, then one an exchange.
fn written(lines: &mut [Line], template: &str, code: u8) -> String {
    let mut scrubber = Scrubber::default();
    let template = scrubber.instead(template);
    for element in lines.iter_mut().flat_map(Line::elements) {
        // The outermost element is a method's name.
        scrubber.scrub(element);
    }
    let second: Option<Second> = scrubber.second();
    for element in lines.iter_mut().flat_map(Line::elements) {
        if let Some(second) = &second {
            second.scrub(element);
        }
    }
    let head = json!({
        "transcript": VERSION,
        "program": concat!("vmwbuild ", env!("CARGO_PKG_VERSION")),
        "system": format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        "template": template,
        "exit_code": code,
    });
    let exchanges = lines.iter().enumerate().map(|(at, line)| line.json(at + 1));
    std::iter::once(head).chain(exchanges).map(|line| format!("{line}\n")).collect()
}
