//! What rules look at: the stages as written, the guest's commands, the program.

use std::collections::{HashMap, HashSet};
use std::path::{Component, Path, PathBuf};

use super::commands::{Ran, Shell};
use crate::diagnostic::{Edit, Problems};
use crate::sema::program::{Action, Invocation, KeySource, Machine, Program, Script, Step, WaitWhat};
use crate::source::{SourceId, Sources, Span};
use crate::syntax::ast::{self, Body, Instruction, Item, OutputKind};

/// INCLUDEs followed, at most: the check reports cycles.
const MAX_DEPTH: usize = 32;

/// What a rule is given.
pub(super) struct Cx<'a> {
    pub sources: &'a Sources,
    /// The file that was asked about; the others are those it includes.
    pub main: SourceId,
    /// The instructions before the first FROM.
    pub globals: Vec<&'a Instruction>,
    pub stages: Vec<Stage<'a>>,
    /// Every guest command.
    pub shells: &'a [Shell<'a>],
    /// Every program that a guest command runs, directly or by another.
    pub ran: &'a [Ran<'a>],
    /// None when the file has errors.
    pub program: Option<&'a Program>,
}

/// A stage as written, INCLUDE followed.
pub(super) struct Stage<'a> {
    pub from: &'a Instruction,
    pub lines: Vec<&'a Instruction>,
    pub name: Option<&'a str>,
    /// The stage that it is FROM.
    pub parent: Option<usize>,
}

impl Stage<'_> {
    /// Whether it says that it leaves a template. (One that says nothing does too, but mostly as a step on the way.)
    pub fn leaves_template(&self) -> bool {
        self.lines.iter().any(|l| match &l.body {
            Body::Output { kind, .. } => kind.node == OutputKind::Template,
            _ => false,
        })
    }
}

impl Stage<'_> {
    /// Whether it takes out of its guest what is one machine's own.
    pub fn seals(&self) -> bool {
        self.lines.iter().any(|l| matches!(l.body, Body::Seal))
    }
}

impl<'a> Cx<'a> {
    /// All instructions, globals first.
    pub fn instructions(&self) -> impl Iterator<Item = &'a Instruction> + '_ {
        let of_stage = |s: &Stage<'a>| std::iter::once(s.from).chain(s.lines.clone());
        self.globals.iter().copied().chain(self.stages.iter().flat_map(of_stage))
    }

    /// The commands of a stage.
    pub fn ran_in(&self, stage: usize) -> impl Iterator<Item = &'a Ran<'a>> + '_ {
        // They stand in the stages' order.
        let start = self.ran.partition_point(|r| r.shell.stage < stage);
        self.ran.iter().skip(start).take_while(move |r| r.shell.stage == stage)
    }

    /// An edit that inserts text behind a word of a command; None where the word can't be found in the source (in
    /// an array, or in a line that was joined).
    pub fn insert_after(&self, ran: &Ran<'_>, word: usize, text: &str) -> Option<Vec<Edit>> {
        let span = self.word_span(ran, word)?;
        Some(vec![Edit { span: span.after(), text: text.to_owned() }])
    }

    /// An edit that replaces a word of a command.
    pub fn replace_word(&self, ran: &Ran<'_>, word: usize, text: &str) -> Option<Vec<Edit>> {
        Some(vec![Edit { span: self.word_span(ran, word)?, text: text.to_owned() }])
    }

    /// A word in the source, if it stands there as the shell reads it.
    fn word_span(&self, ran: &Ran<'_>, word: usize) -> Option<Span> {
        let range = ran.words.get(word)?.span.clone();
        let text = ran.shell.text()?.get(range.clone())?;
        let span = ran.shell.span_of(range);
        (self.sources.slice(span) == text).then_some(span)
    }

    /// Every script of the program, with its machine and step.
    pub fn scripts(&self) -> impl Iterator<Item = (&'a Machine, &'a Step, &'a Script)> + '_ {
        let machines = self.program.into_iter().flat_map(|p| &p.machines);
        machines.flat_map(|m| m.steps.iter().map(move |s| (m, s))).filter_map(|(machine, step)| {
            let invocation = match &step.action {
                Action::Run(invocation) => invocation,
                Action::Key { from: KeySource::Run(invocation), .. } => invocation,
                Action::Wait { what: WaitWhat::Run(invocation), .. } => invocation,
                Action::Key { .. } | Action::Wait { .. } | Action::Copy(_) | Action::Fetch { .. } => return None,
                Action::Reboot | Action::Checkpoint(_) | Action::Snapshot(_) => return None,
            };
            match invocation {
                Invocation::Script(script) => Some((machine, step, script)),
                Invocation::Exec(_) => None,
            }
        })
    }
}

/// The lines of all files, in the order in which they count.
pub(super) fn layout<'a>(
    files: &[(SourceId, &'a ast::File)],
    sources: &Sources,
) -> (Vec<&'a Instruction>, Vec<Stage<'a>>) {
    let paths: HashMap<PathBuf, usize> = files
        .iter()
        .enumerate()
        .filter_map(|(i, (id, _))| Some((normal(sources.get(*id).path.as_deref()?), i)))
        .collect();
    let mut walk = Walk { files, sources, paths, globals: Vec::new(), stages: Vec::new() };
    walk.file(0, 0);
    let Walk { globals, mut stages, .. } = walk;
    let names: HashMap<&str, usize> = stages.iter().enumerate().filter_map(|(i, s)| Some((s.name?, i))).collect();
    for stage in &mut stages {
        if let Body::From { source, .. } = &stage.from.body {
            stage.parent = source.literal().and_then(|name| names.get(name.as_str()).copied());
        }
    }
    (globals, stages)
}

struct Walk<'f, 'a> {
    files: &'f [(SourceId, &'a ast::File)],
    sources: &'f Sources,
    paths: HashMap<PathBuf, usize>,
    globals: Vec<&'a Instruction>,
    stages: Vec<Stage<'a>>,
}

impl<'a> Walk<'_, 'a> {
    fn file(&mut self, index: usize, depth: usize) {
        let Some((id, file)) = self.files.get(index).copied() else { return };
        for item in &file.items {
            let Item::Instruction(instruction) = item else { continue };
            match &instruction.body {
                Body::Include { path } => {
                    let target = path.literal().and_then(|name| included(self.sources, id, &name));
                    let index = target.and_then(|t| self.paths.get(&t).copied());
                    if let Some(index) = index.filter(|_| depth < MAX_DEPTH) {
                        self.file(index, depth + 1);
                    }
                }
                Body::From { alias, .. } | Body::On { alias, .. } => self.stages.push(Stage {
                    from: instruction,
                    lines: Vec::new(),
                    name: alias.as_ref().map(|a| a.node.as_str()),
                    parent: None,
                }),
                _ => match self.stages.last_mut() {
                    Some(stage) => stage.lines.push(instruction),
                    None => self.globals.push(instruction),
                },
            }
        }
    }
}

/// The path that an INCLUDE of a file names.
fn included(sources: &Sources, from: SourceId, name: &str) -> Option<PathBuf> {
    let path = sources.get(from).path.as_deref()?;
    Some(normal(&path.parent().unwrap_or(Path::new("")).join(name)))
}

/// The paths that a file's INCLUDEs name, as [`normal`] has them.
pub fn includes(id: SourceId, file: &ast::File, sources: &Sources) -> Vec<PathBuf> {
    file.instructions()
        .filter_map(|i| match &i.body {
            Body::Include { path } => included(sources, id, &path.literal()?),
            _ => None,
        })
        .collect()
}

/// A file with all that it includes. The check has read them, and told what is wrong with them.
pub fn with_included(main: (SourceId, ast::File), sources: &Sources) -> Vec<(SourceId, ast::File)> {
    let mut by_path: HashMap<PathBuf, SourceId> = HashMap::new();
    for (id, source) in sources.iter() {
        if let Some(path) = source.path.as_deref() {
            by_path.entry(normal(path)).or_insert(id);
        }
    }
    let mut taken = HashSet::from([main.0]);
    let mut files = vec![main];
    let mut at = 0;
    while let Some((id, file)) = files.get(at) {
        let paths = includes(*id, file, sources);
        at += 1;
        for id in paths.iter().filter_map(|path| by_path.get(path)) {
            if taken.insert(*id) {
                files.push((*id, crate::syntax::parse(sources, *id, &mut Problems::new())));
            }
        }
    }
    files
}

/// A path without `.` and with `..` taken back.
pub fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(out.components().next_back(), Some(Component::Normal(_))) => {
                out.pop();
            }
            Component::ParentDir | Component::Normal(_) | Component::RootDir | Component::Prefix(_) => out.push(part),
        }
    }
    out
}
