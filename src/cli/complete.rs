//! What a shell offers when it completes a command line, and `vmwbuild completions`, which connects the two.
//!
//! A shell runs `vmwbuild` with [`VARIABLE`] set and the words so far; what comes back holds the stages and ARGs of
//! the VMWfile that these words name.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use clap_complete::CompletionCandidate;
use clap_complete::engine::{PathCompleter, ValueCompleter};
use clap_complete::env::{CompleteEnv, Shells};

use super::args::Cli;
use super::{args, load, names, terminal};
use crate::diagnostic::Problems;
use crate::source::Sources;
use crate::syntax::ast;

/// Set by a shell that asks for candidates.
const VARIABLE: &str = "VMWBUILD_COMPLETE";

/// The program's name, by which shells know what to complete.
const NAME: &str = "vmwbuild";

/// Answers a shell that asks for candidates; whether one did.
pub(super) fn answered() -> bool {
    let directory = std::env::current_dir().ok();
    let answer = CompleteEnv::with_factory(Cli::command).var(VARIABLE);
    // A shell can't do anything with an error in the middle of a line.
    answer.try_complete(std::env::args_os(), directory.as_deref()).unwrap_or(true)
}

/// Runs `vmwbuild completions`; the exit code.
pub(crate) fn run(options: &args::Completions) -> u8 {
    let shell = match options.shell {
        args::ShellName::Bash => "bash",
        args::ShellName::Elvish => "elvish",
        args::ShellName::Fish => "fish",
        args::ShellName::Powershell => "powershell",
        args::ShellName::Zsh => "zsh",
    };
    let shells = Shells::builtins();
    let mut script = Vec::new();
    let written = shells.completer(shell).map(|s| s.write_registration(VARIABLE, NAME, NAME, NAME, &mut script));
    match written {
        Some(Ok(())) => {
            terminal::print(&String::from_utf8_lossy(&script));
            0
        }
        Some(Err(_)) | None => 2,
    }
}

/// The stages of the VMWfile, for `--target`.
pub(super) fn stages(current: &OsStr) -> Vec<CompletionCandidate> {
    let bodies = bodies();
    let names = bodies.iter().filter_map(|body| match body {
        ast::Body::From { alias: Some(alias), .. } => Some(alias.node.clone()),
        _ => None,
    });
    candidates(current, names.map(|name| (name, None)))
}

/// The ARGs of the VMWfile with `=`, for `--arg`.
pub(super) fn arg_names(current: &OsStr) -> Vec<CompletionCandidate> {
    let bodies = bodies();
    let names = bodies.iter().filter_map(|body| match body {
        ast::Body::Arg { name, .. } => Some(format!("{}=", name.node)),
        _ => None,
    });
    candidates(current, names.map(|name| (name, None)))
}

/// The SECRETs of the VMWfile, for `--secret`.
pub(super) fn secrets(current: &OsStr) -> Vec<CompletionCandidate> {
    let bodies = bodies();
    let names = bodies.iter().filter_map(|body| match body {
        ast::Body::Secret { name, .. } => Some(format!("id={},", name.node)),
        _ => None,
    });
    candidates(current, names.map(|name| (name, None)))
}

/// The names of all lints, for `--allow` and its like.
pub(super) fn lints(current: &OsStr) -> Vec<CompletionCandidate> {
    let rules = crate::lint::rules().iter().map(|rule| (rule.code.name.to_owned(), None));
    candidates(current, std::iter::once(("all".to_owned(), None)).chain(rules))
}

/// The names of all codes, for `explain`.
pub(super) fn codes(current: &OsStr) -> Vec<CompletionCandidate> {
    let all = super::registry();
    let numbers = all.iter().map(|code| (code.to_string(), Some(code.name)));
    candidates(current, all.iter().map(|code| (code.name.to_owned(), None)).chain(numbers))
}

/// The machines of the vCenter that the line or the settings name, for `exec`.
pub(super) fn machines(current: &OsStr) -> Vec<CompletionCandidate> {
    candidates(current, running().map(|name| (name, None)))
}

/// The same for one side of `cp`, or a file here.
pub(super) fn sides(current: &OsStr) -> Vec<CompletionCandidate> {
    let mut found = PathCompleter::any().complete(current);
    // What is a path already, or lies in a guest, has no machine's name to come.
    if !current.to_string_lossy().contains([':', '/']) {
        found.extend(candidates(current, running().map(|name| (format!("{name}:/"), None))));
    }
    found
}

/// The names of all machines but templates, which don't run.
fn running() -> impl Iterator<Item = String> {
    names::recall(&connection()).into_iter().filter(|name| !name.template).map(|name| name.text)
}

/// What the line says of the connection.
fn connection() -> args::Connection {
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        connection: args::Connection,
    }
    let words: Vec<OsString> = std::env::args_os().collect();
    let mut given: Vec<OsString> = vec![NAME.into()];
    for (at, word) in words.iter().enumerate() {
        let text = word.to_string_lossy();
        let (flag, joined) = text.split_once('=').map_or((text.as_ref(), false), |(flag, _)| (flag, true));
        match flag {
            "--insecure" => given.push(word.clone()),
            "--vcenter" | "--username" | "--password-file" | "--thumbprint" | "--ca" => {
                given.push(word.clone());
                given.extend(words.get(at + 1).filter(|_| !joined).cloned());
            }
            _ => {}
        }
    }
    <Line as clap::Parser>::try_parse_from(given).map(|line| line.connection).unwrap_or_default()
}

fn candidates(current: &OsStr, all: impl Iterator<Item = (String, Option<&'static str>)>) -> Vec<CompletionCandidate> {
    let current = current.to_string_lossy();
    let fitting = all.filter(|(text, _)| text.starts_with(current.as_ref()));
    fitting.map(|(text, help)| CompletionCandidate::new(text).help(help.map(Into::into))).collect()
}

/// The instructions of the VMWfile that the words on the command line name.
fn bodies() -> Vec<ast::Body> {
    let words: Vec<OsString> = std::env::args_os().collect();
    let Some(file) = vmwfile(&words) else { return Vec::new() };
    let (mut sources, mut problems) = (Sources::new(), Problems::new());
    let Some((_, file)) = load::parse(&file, &mut sources, &mut problems) else { return Vec::new() };
    let bodies = file.items.into_iter().filter_map(|item| match item {
        ast::Item::Instruction(instruction) => Some(instruction.body.clone()),
        ast::Item::Blank(_) | ast::Item::Comment(_) | ast::Item::Directive { .. } => None,
    });
    bodies.collect()
}

/// The file after `-f`, else the first word that is a VMWfile or a directory with one, else that of this directory.
fn vmwfile(words: &[OsString]) -> Option<PathBuf> {
    let after_flag = words.iter().position(|word| word == "-f" || word == "--file").and_then(|at| words.get(at + 1));
    if let Some(file) = after_flag.map(Path::new).filter(|file| file.is_file()) {
        return Some(file.to_path_buf());
    }
    // Before `--` stands what the shell ran, which is no part of the line.
    let line = words.iter().skip_while(|word| *word != "--").skip(2);
    let named = line.map(Path::new).find_map(|word| {
        let inside = word.join("VMWfile");
        let is_one = word.file_name().and_then(OsStr::to_str).is_some_and(load::is_vmwfile) && word.is_file();
        if is_one { Some(word.to_path_buf()) } else { inside.is_file().then_some(inside) }
    });
    named.or_else(|| Some(PathBuf::from("VMWfile")).filter(|file| file.is_file()))
}

/// Writes the manual pages, one a command, and says where; the exit code.
pub(crate) fn manual(options: &args::Man) -> u8 {
    let command = Cli::command().disable_help_subcommand(true);
    let Some(directory) = &options.output else {
        let mut page = Vec::new();
        if clap_mangen::Man::new(command).render(&mut page).is_ok() {
            terminal::print(&String::from_utf8_lossy(&page));
        }
        return 0;
    };
    let written = std::fs::create_dir_all(directory).and_then(|()| clap_mangen::generate_to(command, directory));
    match written {
        Ok(()) => {
            terminal::say(&format!("manual pages are in {}", directory.display()));
            0
        }
        Err(e) => {
            terminal::say(&format!("can't write manual pages to {}: {e}", directory.display()));
            2
        }
    }
}
