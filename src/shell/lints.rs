//! What is allowed and yet worth a warning: values in the text of other languages, and values in a process list.

use std::collections::HashSet;
use std::ops::Range;

use super::command::{Command, Word};
use super::wrappers::{calls, option_words};
use super::{Dialect, Hole, HoleKind};

/// A value inside a program of another language, which nothing quotes there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignCode {
    /// The hole's index.
    pub hole: usize,
    /// The language: `awk`, `SQL`.
    pub language: &'static str,
    /// The bytes of the command's name.
    pub at: Range<usize>,
}

/// A value given to an external program as an argument, where every user of the machine sees it while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalArgument {
    /// The hole's index.
    pub hole: usize,
    /// The program.
    pub command: String,
    /// The bytes of its name.
    pub at: Range<usize>,
}

/// Where a program takes its program text from.
enum Program {
    /// The first argument that is no option, unless one of these options gives a file or the text instead.
    First(&'static [&'static str]),
    /// The arguments of these options.
    Option(&'static [&'static str]),
    /// The second argument that is no option.
    Second,
}

/// Name, language, options with an argument of their own, where the text is, whether standard input is text too.
type Row = (&'static [&'static str], &'static str, &'static [&'static str], Program, bool);

const PROGRAMS: &[Row] = &[
    (&["awk", "gawk", "mawk", "nawk"], "awk", &["-v", "-F", "-f"], Program::First(&["-f", "--file"]), false),
    (&["sed", "gsed"], "sed", &["-e", "-f", "-l"], Program::First(&["-e", "-f", "--expression", "--file"]), false),
    (&["sed", "gsed"], "sed", &[], Program::Option(&["-e", "--expression"]), false),
    (&["jq", "yq"], "jq", &["--indent", "-f"], Program::First(&["-f", "--from-file"]), false),
    (&["python", "python2", "python3"], "Python", &[], Program::Option(&["-c"]), true),
    (&["perl"], "Perl", &[], Program::Option(&["-e", "-E"]), true),
    (&["ruby"], "Ruby", &[], Program::Option(&["-e"]), true),
    (&["node", "nodejs"], "JavaScript", &[], Program::Option(&["-e", "-p", "--eval", "--print"]), true),
    (&["php"], "PHP", &[], Program::Option(&["-r"]), true),
    (&["psql"], "SQL", &[], Program::Option(&["-c", "--command"]), true),
    (&["mysql", "mariadb"], "SQL", &[], Program::Option(&["-e", "--execute"]), true),
    (&["sqlite3"], "SQL", &["-cmd", "-separator"], Program::Second, true),
    (&["sqlcmd", "isql"], "SQL", &[], Program::Option(&["-Q", "-q"]), true),
];

/// Options of jq that take a name and a value.
const NAMED: &[&str] = &["--arg", "--argjson", "--slurpfile", "--rawfile"];

/// The values of any text that stand in awk, sed, Python, SQL or the like.
pub fn foreign_code(dialect: Dialect, text: &str, holes: &[Hole]) -> Vec<ForeignCode> {
    let mut found = Vec::new();
    for command in super::commands(dialect, text, holes) {
        for call in calls(&command.words) {
            let name = call.name();
            let at = call.words.first().map_or(0..0, |w| w.span.clone());
            for (names, language, with_argument, program, stdin) in PROGRAMS {
                if !names.contains(&name.as_ref()) {
                    continue;
                }
                let mut holes_here: Vec<usize> = Vec::new();
                for word in program_words(call.args(), with_argument, program) {
                    holes_here.extend(word.holes());
                }
                if *stdin && no_file(call.args(), with_argument) {
                    holes_here.extend(standard_input(&command));
                }
                for hole in holes_here {
                    let text = |h: &Hole| matches!(h.kind, HoleKind::Text | HoleKind::Quoted);
                    let new = ForeignCode { hole, language, at: at.clone() };
                    if holes.get(hole).is_some_and(text) && !found.contains(&new) {
                        found.push(new);
                    }
                }
            }
        }
    }
    found
}

fn program_words<'a>(args: &'a [Word], with_argument: &[&str], program: &Program) -> Vec<&'a Word> {
    let given = |options: &[&str], word: &Word| {
        let lead = word.leading_text();
        options.iter().any(|o| lead == *o || (lead.starts_with(o) && (o.starts_with("--") || !lead.starts_with("--"))))
    };
    match program {
        Program::Option(options) => {
            let mut found = Vec::new();
            for (index, word) in args.iter().enumerate() {
                if !given(options, word) {
                    // `-Atc`: the last letter of a cluster.
                    let text = word.text().unwrap_or_default();
                    let cluster = text.starts_with('-') && !text.starts_with("--");
                    if cluster && options.iter().any(|o| o.len() == 2 && text.ends_with(o.trim_start_matches('-'))) {
                        found.extend(args.get(index + 1));
                    }
                    continue;
                }
                found.push(word);
                if word.text().is_some_and(|t| options.contains(&t.as_ref())) {
                    found.extend(args.get(index + 1));
                }
            }
            found
        }
        Program::First(instead) if args.iter().any(|w| given(instead, w)) => Vec::new(),
        Program::First(_) => plain_arguments(args, with_argument).into_iter().take(1).collect(),
        Program::Second => plain_arguments(args, with_argument).into_iter().skip(1).take(1).collect(),
    }
}

fn plain_arguments<'a>(args: &'a [Word], with_argument: &[&str]) -> Vec<&'a Word> {
    let mut found = Vec::new();
    let mut rest = args;
    while let Some(word) = rest.first() {
        let mut taken = option_words(word, with_argument);
        if taken == 0 {
            found.push(word);
        } else if word.text().is_some_and(|t| NAMED.contains(&t.as_ref())) {
            taken = 3;
        }
        rest = rest.get(taken.max(1)..).unwrap_or_default();
    }
    found
}

/// Whether a program would read its text from standard input; roughly, for a lint.
fn no_file(args: &[Word], with_argument: &[&str]) -> bool {
    let plain = plain_arguments(args, with_argument);
    plain.first().is_none_or(|w| w.text().is_none_or(|t| t == "-" || !t.contains('.')))
}

fn standard_input(command: &Command) -> Vec<usize> {
    let mut holes = Vec::new();
    for redirect in &command.redirects {
        if let Some(heredoc) = &redirect.heredoc {
            holes.extend(heredoc.pieces.iter().filter_map(super::Piece::hole));
        } else if redirect.operator == "<<<" {
            holes.extend(redirect.target.holes());
        }
    }
    holes
}

/// Commands that are part of the shell: their arguments show in no process list.
const BUILTINS: &[&str] = &[
    ".",
    ":",
    "[",
    "[[",
    "alias",
    "bg",
    "bind",
    "break",
    "builtin",
    "caller",
    "cd",
    "command",
    "compgen",
    "complete",
    "compopt",
    "continue",
    "declare",
    "dirs",
    "disown",
    "echo",
    "enable",
    "eval",
    "exit",
    "export",
    "false",
    "fc",
    "fg",
    "getopts",
    "hash",
    "help",
    "history",
    "jobs",
    "kill",
    "let",
    "local",
    "logout",
    "mapfile",
    "popd",
    "printf",
    "pushd",
    "pwd",
    "read",
    "readarray",
    "readonly",
    "return",
    "set",
    "shift",
    "shopt",
    "source",
    "suspend",
    "test",
    "times",
    "trap",
    "true",
    "type",
    "typeset",
    "ulimit",
    "umask",
    "unalias",
    "unset",
    "wait",
];

/// The values given as arguments to external programs. Which of them are secret, the caller knows.
pub fn external_arguments(dialect: Dialect, text: &str, holes: &[Hole]) -> Vec<ExternalArgument> {
    let Some(reading) = super::own_reading(dialect, text, holes) else { return Vec::new() };
    let functions: HashSet<&str> = reading.functions.iter().map(String::as_str).collect();
    let mut found: Vec<ExternalArgument> = Vec::new();
    for command in &reading.commands {
        if command.kind == super::CommandKind::Test {
            continue;
        }
        // The innermost that is external says it best; a builtin that runs another (`exec`) is looked through.
        let all = calls(&command.words);
        let external =
            all.iter().rev().find(|c| !BUILTINS.contains(&c.name().as_ref()) && !functions.contains(c.name().as_ref()));
        let Some(innermost) = external else { continue };
        let outermost = all
            .iter()
            .find(|c| !BUILTINS.contains(&c.name().as_ref()) && !functions.contains(c.name().as_ref()))
            .unwrap_or(innermost);
        for word in outermost.args() {
            let inner = innermost.args().first().is_some_and(|first| word.span.start >= first.span.start);
            let of = if inner { innermost } else { outermost };
            let at = of.words.first().map_or(0..0, |w| w.span.clone());
            for hole in word.holes() {
                found.push(ExternalArgument { hole, command: of.name().into_owned(), at: at.clone() });
            }
        }
    }
    found
}
