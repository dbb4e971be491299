//! Where a value may not stand although the shell text can be read: names, numbers, code.

use std::collections::HashSet;
use std::ops::Range;

use super::command::{Command, CommandKind, Piece, Word};
use super::reader::Reading;
use super::refusal::{Place, Refusal, RefusalKind};
use super::wrappers::{Call, calls, option_words, skip_options};
use super::{Context, Dialect, Hole, HoleKind, reread};

const NUMERIC: &[&str] = &["-eq", "-ne", "-lt", "-le", "-gt", "-ge"];

/// Variables that bash keeps as numbers: what is assigned to them is evaluated.
const INTEGER_VARIABLES: &[&str] = &["RANDOM", "SRANDOM", "SECONDS", "LINENO", "HISTCMD", "OPTIND"];

/// Adds what the rules refuse in a reading.
pub(super) fn check(dialect: Dialect, reading: &Reading, holes: &[Hole], refusals: &mut Vec<Refusal>) {
    check_level(dialect, reading, holes, 0, refusals);
}

/// As [`check`], for text that is read again on a level.
pub(super) fn check_level(
    dialect: Dialect,
    reading: &Reading,
    holes: &[Hole],
    level: u32,
    refusals: &mut Vec<Refusal>,
) {
    let mut rules = Rules { dialect, holes, refusals };
    for (index, (hole, context)) in holes.iter().zip(&reading.contexts).enumerate() {
        match (hole.kind, context) {
            (_, None | Some(Context::Comment | Context::Literal)) => {}
            (HoleKind::List, Some(_)) => rules.refuse(index, RefusalKind::List, hole.range()),
            (HoleKind::Raw, Some(Context::Bare)) | (HoleKind::Int, _) => {}
            (HoleKind::Raw, Some(_)) => rules.refuse(index, RefusalKind::RawNotBare, hole.range()),
            (_, Some(Context::Arithmetic)) => rules.int(index, Place::Arithmetic, hole.range()),
            (_, Some(_)) => {}
        }
    }
    for &(hole, place) in &reading.ints {
        let at = holes.get(hole).map_or(0..0, Hole::range);
        rules.int(hole, place, at);
    }
    let integers = integer_variables(&reading.commands);
    for command in &reading.commands {
        rules.command(command, &integers);
    }
    reread::check(dialect, reading, holes, level, refusals);
}

struct Rules<'a> {
    dialect: Dialect,
    holes: &'a [Hole],
    refusals: &'a mut Vec<Refusal>,
}

impl Rules<'_> {
    fn refuse(&mut self, hole: usize, kind: RefusalKind, at: Range<usize>) {
        self.refusals.push(Refusal { hole, kind, at });
    }

    fn kind(&self, hole: usize) -> Option<HoleKind> {
        self.holes.get(hole).map(|h| h.kind)
    }

    /// Code may be anything; what isn't an int otherwise is refused.
    fn int(&mut self, hole: usize, place: Place, at: Range<usize>) {
        match self.kind(hole) {
            Some(HoleKind::Int | HoleKind::Raw) | None => {}
            Some(HoleKind::Plain | HoleKind::Text | HoleKind::Quoted | HoleKind::List) => {
                self.refuse(hole, RefusalKind::NotAnInt(place), at);
            }
        }
    }

    fn ints(&mut self, word: &Word, place: Place, at: &Range<usize>) {
        for hole in word.holes() {
            self.int(hole, place, at.clone());
        }
    }

    fn names(&mut self, holes: impl IntoIterator<Item = usize>, command: &str, at: &Range<usize>) {
        for hole in holes {
            if self.kind(hole) != Some(HoleKind::Raw) {
                self.refuse(hole, RefusalKind::Name(command.to_owned()), at.clone());
            }
        }
    }

    fn command(&mut self, command: &Command, integers: &HashSet<String>) {
        for assignment in &command.assignments {
            if integers.contains(&assignment.name) {
                for hole in assignment.value_holes() {
                    self.int(hole, Place::IntegerVariable, assignment.name_span.clone());
                }
            }
        }
        if command.kind == CommandKind::Test {
            return self.test(&command.words, "[[");
        }
        for call in calls(&command.words) {
            self.call(&call, integers);
        }
    }

    fn call(&mut self, call: &Call<'_>, integers: &HashSet<String>) {
        let name = call.name();
        let args = call.args();
        let at = call.words.first().map_or(0..0, |w| w.span.clone());
        let ksh = self.dialect == Dialect::Ksh;
        match name.as_ref() {
            "[" | "test" => self.test(call.words, &name),
            "let" => args.iter().for_each(|w| self.ints(w, Place::Let, &at)),
            "read" => self.named_arguments(args, &["-d", "-i", "-n", "-N", "-p", "-t", "-u"], &name, &at),
            "mapfile" | "readarray" => {
                self.named_arguments(args, &["-d", "-n", "-O", "-s", "-u", "-C", "-c"], &name, &at);
            }
            "unset" | "nameref" => args.iter().for_each(|w| self.names(w.holes(), &name, &at)),
            "printf" => {
                if let Some(word) = option_argument(args, 'v') {
                    self.names(word.holes(), "printf -v", &at);
                }
                let rest = skip_options(args, &["-v"]);
                if ksh && rest.first().is_some_and(evaluates) {
                    rest.iter().skip(1).for_each(|w| self.ints(w, Place::KshArgument, &at));
                }
            }
            "wait" => {
                if let Some(word) = option_argument(args, 'p') {
                    self.names(word.holes(), "wait -p", &at);
                }
            }
            "getopts" => {
                if let Some(word) = args.get(1) {
                    self.names(word.holes(), &name, &at);
                }
            }
            "set" => {
                if let Some(word) = option_argument(args, 'A').filter(|_| ksh) {
                    self.names(word.holes(), "set -A", &at);
                }
            }
            "declare" | "typeset" | "local" | "export" | "readonly" | "integer" => {
                self.declaration(args, &name, &at, integers);
            }
            "exit" | "return" | "shift" | "break" | "continue" | "ulimit" if ksh => {
                args.iter().for_each(|w| self.ints(w, Place::KshArgument, &at));
            }
            _ => {}
        }
    }

    /// `read` and its like: what is no option, and the argument of `-a`, is a name.
    fn named_arguments(&mut self, args: &[Word], with_argument: &[&str], name: &str, at: &Range<usize>) {
        let mut rest = args;
        while let Some(word) = rest.first() {
            let taken = option_words(word, with_argument);
            if taken == 0 || (taken == 1 && word.leading_text().contains('a')) {
                self.names(word.holes(), name, at);
            }
            rest = rest.get(taken.max(1)..).unwrap_or_default();
        }
    }

    fn declaration(&mut self, args: &[Word], name: &str, at: &Range<usize>, integers: &HashSet<String>) {
        let reference = args.iter().any(|w| has_flag(w, 'n')) && matches!(name, "declare" | "typeset" | "local");
        let integer = name == "integer" || args.iter().any(|w| has_flag(w, 'i'));
        for word in args {
            let named = word.name_holes();
            let known = word.leading_text().split_once('=').is_some_and(|(n, _)| integers.contains(n));
            self.names(named.iter().copied(), name, at);
            for hole in word.holes().filter(|h| !named.contains(h)) {
                if reference {
                    self.names([hole], &format!("{name} -n"), at);
                } else if integer || known {
                    self.int(hole, Place::IntegerVariable, at.clone());
                }
            }
        }
    }

    /// `[[ … ]]`, `[ … ]`, `test …`: numbers beside `-eq` and its kin, where they are evaluated; a name after `-v`.
    fn test(&mut self, words: &[Word], name: &str) {
        let evaluated = name == "[[" || self.dialect == Dialect::Ksh;
        for (index, word) in words.iter().enumerate().skip(1) {
            let Some(operator) = word.bare_text() else { continue };
            let at = word.span.clone();
            if NUMERIC.contains(&operator) && evaluated {
                for side in [index.checked_sub(1), index.checked_add(1)].into_iter().flatten() {
                    if let Some(word) = words.get(side) {
                        self.ints(word, Place::Comparison, &at);
                    }
                }
            }
            if matches!(operator, "-v" | "-R")
                && let Some(word) = words.get(index + 1)
            {
                self.names(word.holes(), &format!("{name} {operator}"), &at);
            }
        }
    }
}

fn has_flag(word: &Word, letter: char) -> bool {
    let lead = word.leading_text();
    lead.starts_with('-') && !lead.starts_with("--") && lead.contains(letter)
}

/// The argument of a short option of a builtin, attached or not.
fn option_argument(args: &[Word], letter: char) -> Option<&Word> {
    let at = args.iter().position(|w| has_flag(w, letter))?;
    let word = args.get(at)?;
    if word.text().is_some_and(|t| t.ends_with(letter)) { args.get(at + 1) } else { Some(word) }
}

/// Whether a `printf` format may have a conversion for which ksh evaluates the argument.
fn evaluates(format: &Word) -> bool {
    let Some(text) = format.text() else { return true };
    let mut rest = &*text;
    while let Some((_, after)) = rest.split_once('%') {
        let spec = after.trim_start_matches(|c: char| c.is_ascii_digit() || "#-+ .*'l".contains(c));
        if !spec.starts_with(['s', 'b', 'q', '%', 'P', 'R', 'H']) {
            return true;
        }
        rest = spec.get(1..).unwrap_or("");
    }
    false
}

/// The names that the text declares as integers anywhere, and those that always are.
fn integer_variables(commands: &[Command]) -> HashSet<String> {
    let mut names: HashSet<String> = INTEGER_VARIABLES.iter().map(|n| (*n).to_owned()).collect();
    for call in commands.iter().flat_map(|c| calls(&c.words)) {
        let name = call.name();
        let declares = match name.as_ref() {
            "integer" => true,
            "declare" | "typeset" | "local" | "readonly" | "export" => call.args().iter().any(|w| has_flag(w, 'i')),
            _ => false,
        };
        if declares {
            for word in call.args() {
                let lead = word.leading_text();
                let name = lead.split(['=', '+', '[']).next().unwrap_or("");
                if !name.starts_with('-') && word.pieces.first().is_some_and(|p| matches!(p, Piece::Text { .. })) {
                    names.insert(name.to_owned());
                }
            }
        }
    }
    names
}
