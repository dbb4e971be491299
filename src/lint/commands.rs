//! The guest's commands, as a shell reads them.

use std::borrow::Cow;
use std::ops::Range;
use std::rc::Rc;

use super::cx::Stage;
use crate::sema::program::Os;
use crate::sema::script::ShellKind;
use crate::sema::script_text::ScriptText;
use crate::shell::{self, Dialect, Hole, HoleKind, Piece, Word};
use crate::source::{Sources, Span};
use crate::syntax::ast::{Body, Command, Instruction, KeyFrom, OnFail, Text, WaitFor};

/// What a command is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// RUN.
    Run,
    /// KEY: its output is kept.
    Key,
    /// WAIT, ONFAIL, HEALTHCHECK, ONREMOVE.
    Other,
}

/// What holds where a command stands.
#[derive(Clone, Debug)]
pub(super) struct State {
    shell: ShellKind,
    /// Whether a USER holds.
    pub user: bool,
    /// The names of ENV, the last first.
    env: Option<Rc<Env>>,
}

/// A name of ENV and those before it: what commands have in common is there once.
#[derive(Debug)]
struct Env {
    name: Box<str>,
    before: Option<Rc<Env>>,
}

impl State {
    fn add_env(&mut self, name: &str) {
        self.env = Some(Rc::new(Env { name: name.into(), before: self.env.take() }));
    }

    /// The names of ENV, the last first.
    pub fn env(&self) -> impl Iterator<Item = &str> {
        std::iter::successors(self.env.as_deref(), |env| env.before.as_deref()).map(|env| &*env.name)
    }
}

impl Drop for Env {
    /// One after another: thousands of them, dropped by recursion, would exhaust the stack.
    fn drop(&mut self) {
        let mut before = self.before.take();
        while let Some(mut env) = before.and_then(Rc::into_inner) {
            before = env.before.take();
        }
    }
}

/// One guest command.
pub(super) struct Shell<'a> {
    pub instruction: &'a Instruction,
    pub usage: Use,
    /// The index of its stage.
    pub stage: usize,
    /// The index in the stage's lines.
    pub line: usize,
    pub state: Rc<State>,
    /// None where it isn't known, or no shell at all.
    pub dialect: Option<Dialect>,
    pub commands: Vec<shell::Command>,
    written: Written<'a>,
}

enum Written<'a> {
    Text(ScriptText<'a>),
    /// An array: a word's span is its index.
    Words(Vec<Span>),
}

impl Shell<'_> {
    /// The shell's text; None for an array.
    pub fn text(&self) -> Option<&str> {
        match &self.written {
            Written::Text(text) => Some(&text.text),
            Written::Words(_) => None,
        }
    }

    /// Where its `${{ … }}` stand in the text.
    pub fn holes(&self) -> Vec<Range<usize>> {
        match &self.written {
            Written::Text(text) => text.holes.iter().map(|h| h.start..h.end).collect(),
            Written::Words(_) => Vec::new(),
        }
    }

    /// Where bytes of the text stand in the source.
    pub fn span_of(&self, range: Range<usize>) -> Span {
        match &self.written {
            Written::Text(text) => text.span_of(range),
            Written::Words(spans) => {
                let last = range.end.saturating_sub(1).max(range.start);
                match (spans.get(range.start), spans.get(last)) {
                    (Some(first), Some(last)) => first.to(*last),
                    _ => self.instruction.keyword.span,
                }
            }
        }
    }

    /// Where a part of those bytes stands, or all of them where quotes are in the way.
    pub fn span_of_part(&self, range: Range<usize>, part: &str) -> Span {
        let at = self.text().and_then(|t| t.get(range.clone())).and_then(|word| word.rfind(part));
        match at {
            Some(at) => self.span_of(range.start + at..range.start + at + part.len()),
            None => self.span_of(range),
        }
    }

    /// The only command, if there is one alone: no list, no pipe, no script of several.
    pub fn sole(&self) -> Option<&shell::Command> {
        match self.commands.as_slice() {
            [command] => {
                let text = self.text()?;
                (text.trim().len() == text.get(command.span.clone())?.trim().len()).then_some(command)
            }
            _ => None,
        }
    }

    /// Whether a variable is set by ENV, or by the step's `--env`.
    pub fn has_env(&self, name: &str) -> bool {
        self.state.env().any(|n| n == name)
            || self.instruction.flags.iter().any(|f| {
                f.name.node == "env"
                    && f.value
                        .as_ref()
                        .and_then(Text::literal)
                        .is_some_and(|v| v.split('=').next().is_some_and(|n| n == name))
            })
    }

    /// Whether another account than the one of LOGIN runs it.
    pub fn has_user(&self) -> bool {
        self.state.user || self.instruction.flag("user").is_some()
    }
}

/// A program that is run, directly or by another (`sudo`, `timeout`, `env`).
pub(super) struct Ran<'a> {
    pub shell: &'a Shell<'a>,
    /// The index of its simple command.
    pub index: usize,
    /// 0 for what stands first, more for what that runs.
    pub depth: usize,
    /// Name and arguments.
    pub words: &'a [Word],
    /// The name, without directories.
    pub name: Cow<'a, str>,
    /// The arguments' text, up to what only the run knows.
    pub args: Vec<Cow<'a, str>>,
}

impl Ran<'_> {
    /// The simple command it stands in.
    pub fn command(&self) -> Option<&shell::Command> {
        self.shell.commands.get(self.index)
    }

    /// Where its name stands.
    pub fn name_span(&self) -> Span {
        self.words.first().map_or(self.shell.instruction.keyword.span, |w| self.shell.span_of(w.span.clone()))
    }

    /// Where the argument stands.
    pub fn arg_span(&self, index: usize) -> Span {
        self.words.get(index + 1).map_or_else(|| self.name_span(), |w| self.shell.span_of(w.span.clone()))
    }

    /// Where a part of an argument stands.
    pub fn arg_part(&self, index: usize, part: &str) -> Span {
        let word = self.words.get(index + 1);
        word.map_or_else(|| self.name_span(), |w| self.shell.span_of_part(w.span.clone(), part))
    }

    /// From its name to its last argument.
    pub fn span(&self) -> Span {
        match (self.words.first(), self.words.last()) {
            (Some(first), Some(last)) => self.shell.span_of(first.span.start..last.span.end),
            _ => self.name_span(),
        }
    }

    /// Whether it has one of these words as an argument, or `--long=…` for `--long`.
    pub fn has(&self, words: &[&str]) -> bool {
        self.args.iter().any(|arg| {
            words.iter().any(|w| {
                arg == w || w.starts_with("--") && arg.strip_prefix(w).is_some_and(|rest| rest.starts_with('='))
            })
        })
    }

    /// Whether one of its clusters of one-letter options has that letter: `-qy` has `y`.
    pub fn letter(&self, letter: char) -> bool {
        self.args.iter().any(|a| a.starts_with('-') && !a.starts_with("--") && a.contains(letter))
    }

    /// Its arguments that are no options, with their indices.
    pub fn operands(&self) -> impl Iterator<Item = (usize, &str)> {
        self.args.iter().enumerate().filter(|(_, a)| !a.starts_with('-')).map(|(i, a)| (i, &**a))
    }

    /// Whether its name is one of these.
    pub fn is(&self, names: &[&str]) -> bool {
        names.contains(&&*self.name)
    }
}

/// Reads the commands of all stages.
pub(super) fn read<'a>(stages: &[Stage<'a>], sources: &Sources) -> Vec<Shell<'a>> {
    let mut out = Vec::new();
    let mut ends: Vec<Option<Rc<State>>> = vec![None; stages.len()];
    for (index, stage) in stages.iter().enumerate() {
        let mut state = start(stages, index, &ends);
        for (line, instruction) in stage.lines.iter().enumerate() {
            follow(&mut state, instruction);
            if let Some((command, usage)) = command_of(instruction) {
                out.push(one(instruction, command, usage, (index, line), &state, sources));
            }
        }
        if let Some(end) = ends.get_mut(index) {
            *end = Some(state);
        }
    }
    out
}

/// What a stage begins with: what the one it is FROM ended with.
fn start(stages: &[Stage<'_>], index: usize, ends: &[Option<Rc<State>>]) -> Rc<State> {
    let mut chain = vec![index];
    let mut at = index;
    while let Some(parent) = stages.get(at).and_then(|s| s.parent).filter(|p| !chain.contains(p)) {
        if let Some(end) = ends.get(parent).cloned().flatten() {
            return follow_all(stages, &chain, end);
        }
        chain.push(parent);
        at = parent;
    }
    let os = match stages.get(at).and_then(|s| s.from.flag("os")).and_then(|f| f.value.as_ref()?.literal()) {
        Some(os) if os.eq_ignore_ascii_case("windows") => Os::Windows,
        Some(_) | None => Os::Unix,
    };
    follow_all(stages, &chain, Rc::new(State { shell: ShellKind::default_of(os), user: false, env: None }))
}

/// Stages between the one that is known and the first of the chain, which stand later in the file.
fn follow_all(stages: &[Stage<'_>], chain: &[usize], mut state: Rc<State>) -> Rc<State> {
    for index in chain.iter().skip(1).rev() {
        for line in stages.get(*index).map(|s| s.lines.as_slice()).unwrap_or_default() {
            follow(&mut state, line);
        }
    }
    state
}

fn follow(state: &mut Rc<State>, instruction: &Instruction) {
    match &instruction.body {
        Body::Shell { argv, .. } => {
            let argv: Vec<Option<String>> = argv.iter().map(Text::literal).collect();
            Rc::make_mut(state).shell = ShellKind::of(&argv, instruction.span);
        }
        Body::User { .. } => Rc::make_mut(state).user = true,
        Body::Env { pairs } => {
            let state = Rc::make_mut(state);
            pairs.iter().for_each(|p| state.add_env(&p.key.node));
        }
        _ => {}
    }
}

pub(super) fn command_of(instruction: &Instruction) -> Option<(&Command, Use)> {
    match &instruction.body {
        Body::Run { command } => Some((command, Use::Run)),
        Body::Key { from: KeyFrom::Run(command), .. } => Some((command, Use::Key)),
        Body::Wait { what: WaitFor::Run(command) }
        | Body::OnFail { action: OnFail::Run(command) }
        | Body::Healthcheck { command }
        | Body::OnRemove { command } => Some((command, Use::Other)),
        _ => None,
    }
}

fn one<'a>(
    instruction: &'a Instruction,
    command: &'a Command,
    usage: Use,
    (stage, line): (usize, usize),
    state: &Rc<State>,
    sources: &Sources,
) -> Shell<'a> {
    let mut dialect = state.shell.dialect;
    let (written, commands) = match command {
        Command::Exec(argv) => {
            dialect = None;
            (Written::Words(argv.iter().map(|t| t.span).collect()), vec![array(argv)])
        }
        Command::Shell(text) => {
            let text = ScriptText::of_line(text, &instruction.heredocs, sources);
            let commands = commands_of(&text, dialect);
            (Written::Text(text), commands)
        }
        Command::Script => match instruction.heredocs.first() {
            Some(heredoc) => {
                let text = ScriptText::of_body(&heredoc.body, sources);
                if text.text.starts_with("#!") {
                    dialect = shell::dialect_of(text.text.lines().next().unwrap_or_default());
                }
                let commands = commands_of(&text, dialect);
                (Written::Text(text), commands)
            }
            None => (Written::Words(Vec::new()), Vec::new()),
        },
    };
    Shell { instruction, usage, stage, line, state: Rc::clone(state), dialect, commands, written }
}

fn commands_of(text: &ScriptText<'_>, dialect: Option<Dialect>) -> Vec<shell::Command> {
    let holes: Vec<Hole> = text.holes.iter().map(|h| Hole::new(h.start..h.end, HoleKind::Text)).collect();
    dialect.map(|d| shell::commands(d, &text.text, &holes)).unwrap_or_default()
}

/// An array as a command.
fn array(argv: &[Text]) -> shell::Command {
    let words = argv.iter().enumerate().map(|(i, text)| {
        let pieces = match text.literal() {
            Some(text) => vec![Piece::Text { text, quoted: true }],
            None => vec![Piece::Expansion(i..i + 1)],
        };
        Word { span: i..i + 1, pieces }
    });
    shell::Command {
        kind: shell::CommandKind::Simple,
        span: 0..argv.len(),
        assignments: Vec::new(),
        words: words.collect(),
        redirects: Vec::new(),
        pipes_into: 0..0,
    }
}

/// What all commands run.
pub(super) fn ran<'a>(shells: &'a [Shell<'a>]) -> Vec<Ran<'a>> {
    let mut out = Vec::new();
    for shell in shells {
        for (index, command) in shell.commands.iter().enumerate() {
            if command.kind == shell::CommandKind::Test {
                continue;
            }
            for (depth, call) in shell::calls(&command.words).into_iter().enumerate() {
                let args = call.args().iter().map(Word::leading_text).collect();
                out.push(Ran { shell, index, depth, words: call.words, name: call.name(), args });
            }
        }
    }
    out
}
