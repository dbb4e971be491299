//! Text that a command reads again, as code: `eval`, `sh -c`, `ssh host …`, a here-document for `bash`.
//!
//! In it a value would be code. An int, a bool or an address can't be; a value that `| quote` made a word of shell
//! text is one word again, if it stands bare in the text that is read again: so that text is read here, too.

use std::ops::Range;

use super::command::{Command, Piece, Word};
use super::reader::{self, Mode, Reading};
use super::refusal::{Refusal, RefusalKind};
use super::wrappers::{Call, SHELLS, calls, option_words, skip_options};
use super::{Context, Dialect, Hole, HoleKind, rules};

/// Texts read again by texts read again, at most.
const MAX_LEVELS: u32 = 4;

/// Variables whose value a shell expands or runs.
pub(super) const CODE_VARIABLES: &[&str] = &["PS0", "PS1", "PS2", "PS4", "PROMPT_COMMAND", "BASH_ENV"];

const SSH_OPTIONS: &[&str] = &[
    "-b", "-c", "-D", "-E", "-e", "-F", "-I", "-i", "-J", "-L", "-l", "-m", "-O", "-o", "-p", "-Q", "-R", "-S", "-W",
    "-w",
];

/// What one command reads again.
struct Again<'a> {
    command: String,
    at: Range<usize>,
    /// The words, joined by blanks, are the code.
    words: Vec<&'a Word>,
    /// Whether its standard input is code.
    stdin: bool,
}

/// Refuses the values in all that the commands of a reading read again.
pub(super) fn check(dialect: Dialect, reading: &Reading, holes: &[Hole], level: u32, refusals: &mut Vec<Refusal>) {
    let mut check = Check { dialect, holes, level, refusals };
    // Those that read code from standard input, by index.
    let mut readers: Vec<(usize, Again<'_>)> = Vec::new();
    for (index, command) in reading.commands.iter().enumerate() {
        for assignment in &command.assignments {
            if CODE_VARIABLES.contains(&assignment.name.as_str()) {
                let value = assignment.word.pieces.get(assignment.value_from..).unwrap_or_default();
                check.code(&[value], &assignment.name, &assignment.name_span);
            }
        }
        for call in calls(&command.words) {
            let Some(again) = again(&call) else { continue };
            let parts: Vec<&[Piece]> = again.words.iter().map(|w| w.pieces.as_slice()).collect();
            check.code(&parts, &again.command, &again.at);
            if again.stdin {
                check.input(command, &again);
                readers.push((index, again));
            }
        }
    }
    for writer in &reading.commands {
        let first = readers.partition_point(|(index, _)| *index < writer.pipes_into.start);
        let Some((index, reader)) = readers.get(first) else { continue };
        if !writer.pipes_into.contains(index) {
            continue;
        }
        for call in calls(&writer.words) {
            match call.name().as_ref() {
                "cat" | "tee" => check.input(writer, reader),
                "echo" | "printf" => {
                    let parts: Vec<&[Piece]> = call.args().iter().map(|w| w.pieces.as_slice()).collect();
                    check.code(&parts, &reader.command, &reader.at);
                }
                _ => {}
            }
        }
    }
}

/// What a call reads again, if anything.
fn again<'a>(call: &Call<'a>) -> Option<Again<'a>> {
    let name = call.name();
    let args = call.args();
    let at = call.words.first().map_or(0..0, |w| w.span.clone());
    let result = |words: Vec<&'a Word>, stdin: bool| {
        Some(Again { command: name.clone().into_owned(), at: at.clone(), words, stdin })
    };
    match name.as_ref() {
        "eval" => result(args.iter().collect(), false),
        "trap" => result(skip_options(args, &[]).iter().take(1).collect(), false),
        "alias" | "bind" | "complete" | "compgen" | "parallel" => result(args.iter().collect(), false),
        "mapfile" | "readarray" => result(after_option(args, 'C', "--callback").into_iter().collect(), false),
        "export" | "declare" | "typeset" | "local" | "readonly" => {
            let named = |w: &&Word| w.leading_text().split_once('=').is_some_and(|(n, _)| CODE_VARIABLES.contains(&n));
            let words: Vec<&Word> = args.iter().filter(named).collect();
            if words.is_empty() { None } else { result(words, false) }
        }
        "env" => {
            let split = args.iter().position(|w| {
                let lead = w.leading_text();
                lead.starts_with("-S") || lead.starts_with("--split-string")
            })?;
            result(args.get(split..).unwrap_or_default().iter().collect(), false)
        }
        "watch" => result(skip_options(args, &["-n", "--interval", "-q"]).iter().collect(), false),
        "at" | "batch" => result(Vec::new(), true),
        "ssh" | "rsh" | "slogin" | "autossh" => {
            let after = skip_options(args, SSH_OPTIONS);
            let mut words = skip_options(after.get(1..).unwrap_or_default(), SSH_OPTIONS).iter().collect::<Vec<_>>();
            words.retain(|w| !w.pieces.is_empty());
            let stdin = words.is_empty();
            result(words, stdin)
        }
        // With `-u` it runs a command and no shell.
        "runuser" if args.iter().any(|w| w.leading_text().starts_with("-u")) => None,
        "su" | "runuser" | "script" => {
            let code = after_option(args, 'c', "--command");
            let stdin = code.is_none();
            result(code.into_iter().collect(), stdin)
        }
        "sg" | "flock" => {
            // The group or the file, and then `-c code`; `sg` does without the `-c`.
            let options: &[&str] = &["-w", "-E", "--timeout", "--conflict-exit-code"];
            let rest = skip_options(args, options).get(1..).unwrap_or_default();
            let code = rest.first().and_then(Word::text).is_some_and(|t| t == "-c" || t == "--command");
            match (name.as_ref(), code) {
                (_, true) => result(rest.iter().skip(1).take(1).collect(), false),
                ("sg", false) => result(rest.iter().collect(), false),
                _ => None,
            }
        }
        "source" | "." => {
            let file = args.first().and_then(Word::text);
            let stdin = file.is_some_and(|f| f == "/dev/stdin" || f == "/dev/fd/0" || f == "-");
            result(Vec::new(), stdin)
        }
        shell if SHELLS.contains(&shell) => {
            let mut rest = args;
            let mut command = false;
            let mut standard = false;
            while let Some(word) = rest.first() {
                let lead = word.leading_text();
                if !(lead.starts_with('-') || lead.starts_with('+')) || lead == "-" {
                    break;
                }
                let short = !lead.starts_with("--");
                command |= short && lead.contains('c') || lead == "--command";
                standard |= short && lead.contains('s');
                let plus = lead.starts_with('+') && (lead.ends_with('o') || lead.ends_with('O'));
                let taken = option_words(word, &["-o", "-O", "--rcfile", "--init-file"]).max(1) + usize::from(plus);
                rest = rest.get(taken..).unwrap_or_default();
                if lead == "--" {
                    break;
                }
            }
            if command {
                result(rest.iter().take(1).collect(), false)
            } else {
                let file = rest.first().and_then(Word::text);
                let input = rest.is_empty() || standard || file.is_some_and(|f| f == "/dev/stdin" || f == "-");
                result(Vec::new(), input)
            }
        }
        _ => None,
    }
}

/// The word that holds the argument of an option, wherever it stands; the option's own word if both are one.
fn after_option<'a>(args: &'a [Word], letter: char, long: &str) -> Option<&'a Word> {
    let at = args.iter().position(|w| {
        let lead = w.leading_text();
        lead.starts_with(long) || (lead.starts_with('-') && !lead.starts_with("--") && lead.contains(letter))
    })?;
    let word = args.get(at)?;
    let apart = word.text().is_some_and(|t| t == long || t.ends_with(letter) && !t.starts_with("--"));
    if apart { args.get(at + 1) } else { Some(word) }
}

struct Check<'a> {
    dialect: Dialect,
    holes: &'a [Hole],
    level: u32,
    refusals: &'a mut Vec<Refusal>,
}

impl Check<'_> {
    /// What `<<` and `<<<` feed to a command.
    fn input(&mut self, command: &Command, again: &Again<'_>) {
        for redirect in &command.redirects {
            if let Some(heredoc) = &redirect.heredoc {
                self.code(&[&heredoc.pieces], &again.command, &again.at);
            } else if redirect.operator == "<<<" {
                self.code(&[&redirect.target.pieces], &again.command, &again.at);
            }
        }
    }

    /// Refuses what can't stand in code that is read again; the parts are joined by blanks.
    fn code(&mut self, parts: &[&[Piece]], command: &str, at: &Range<usize>) {
        let mut text = String::new();
        let mut inner: Vec<(usize, Hole)> = Vec::new();
        let mut quoted = false;
        for (number, part) in parts.iter().enumerate() {
            if number > 0 {
                text.push(' ');
            }
            for piece in *part {
                match piece {
                    Piece::Text { text: more, .. } => text.push_str(more),
                    Piece::Expansion(_) => text.push('Q'),
                    Piece::Hole(index) => {
                        let Some(hole) = self.holes.get(*index) else { continue };
                        let start = text.len();
                        text.push_str("QQQQQ");
                        let kind = match hole.kind {
                            HoleKind::Quoted => {
                                quoted = true;
                                HoleKind::Text
                            }
                            HoleKind::Text => {
                                let kind = RefusalKind::Reread(command.to_owned());
                                self.refusals.push(Refusal { hole: *index, kind, at: at.clone() });
                                HoleKind::Plain
                            }
                            kind @ (HoleKind::Int | HoleKind::Plain | HoleKind::List | HoleKind::Raw) => kind,
                        };
                        inner.push((*index, Hole { start, end: text.len(), kind }));
                    }
                }
            }
        }
        if !quoted {
            return;
        }
        let again: Vec<Hole> = inner.iter().map(|(_, hole)| *hole).collect();
        let read = reader::read(&text, &again, Mode::Bash);
        let mut bad: Vec<usize> = Vec::new();
        for (number, (_, hole)) in inner.iter().enumerate() {
            let bare = matches!(read.contexts.get(number), Some(Some(Context::Bare | Context::Comment)));
            if hole.kind == HoleKind::Text && (!bare || read.stop.is_some() || self.level >= MAX_LEVELS) {
                bad.push(number);
            }
        }
        let mut nested = Vec::new();
        if self.level < MAX_LEVELS {
            rules::check_level(self.dialect, &read, &again, self.level + 1, &mut nested);
        }
        bad.extend(nested.iter().map(|r| r.hole));
        for number in bad {
            if let Some((index, _)) = inner.get(number) {
                let kind = RefusalKind::QuotedTwice(command.to_owned());
                self.refusals.push(Refusal { hole: *index, kind, at: at.clone() });
            }
        }
    }
}
