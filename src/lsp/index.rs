//! The names of a VMWfile: where each is declared, and where it is used. Worked out from what is written alone, so
//! that it is there for files with errors too.

use std::collections::HashMap;

use crate::lint::{includes, normal, walk};
use crate::sema::program::Program;
use crate::sema::types::type_name;
use crate::source::{SourceId, Sources, Span};
use crate::syntax::ast::{self, Body, Expr, ExprKind, Instruction, KeyFrom, Text};

/// What a name names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Arg,
    Secret,
    Stage,
    Key,
    Loop,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Arg => "ARG",
            Kind::Secret => "SECRET",
            Kind::Stage => "stage",
            Kind::Key => "KEY",
            Kind::Loop => "loop variable",
        }
    }
}

/// Where a name is declared.
#[derive(Clone, Debug)]
pub(super) struct Definition {
    pub kind: Kind,
    pub name: String,
    /// The name itself.
    pub span: Span,
    /// The instruction.
    pub whole: Span,
    /// The stage in which it stands (for a stage: itself); None before the first FROM.
    pub stage: Option<usize>,
    /// Its type, where that is written or was worked out.
    pub ty: Option<String>,
    /// Whether the type is written.
    pub typed: bool,
}

/// A stage as written.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    pub name: Option<String>,
}

/// All names.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    pub definitions: Vec<Definition>,
    /// Where names are used: the place, and which definition is meant.
    pub uses: Vec<(Span, usize)>,
    pub stages: Vec<Stage>,
    /// Instructions with the stage in which they stand.
    places: Vec<(Span, Option<usize>)>,
}

/// How deep INCLUDEs are followed: the check reports circles.
const MAX_DEPTH: usize = 32;

impl Index {
    pub fn new(files: &[(SourceId, ast::File)], sources: &Sources, program: Option<&Program>) -> Index {
        let mut lines: Vec<&Instruction> = Vec::new();
        follow(files, sources, 0, 0, &mut lines);
        let mut index = Index::default();
        let mut stage = None;
        for instruction in &lines {
            if matches!(instruction.body, Body::From { .. } | Body::On { .. }) {
                stage = Some(index.stages.len());
                index.stages.push(Stage { name: None });
            }
            let extent = instruction.heredocs.iter().fold(instruction.span, |s, h| s.to(h.end));
            index.places.push((extent, stage));
            index.declare(instruction, stage);
        }
        index.take_types(program);
        let mut names: HashMap<(Option<usize>, Kind, String), usize> = HashMap::new();
        for (at, definition) in index.definitions.iter().enumerate() {
            let stage = if definition.kind == Kind::Stage { None } else { definition.stage };
            // The first one counts; the check reports the others.
            names.entry((stage, definition.kind, definition.name.clone())).or_insert(at);
        }
        let mut uses = Vec::new();
        for (instruction, (_, stage)) in lines.iter().zip(&index.places) {
            let mut finder =
                Finder { sources, names: &names, definitions: &index.definitions, stage: *stage, uses: &mut uses };
            finder.instruction(instruction);
        }
        uses.sort_unstable();
        uses.dedup();
        index.uses = uses;
        index
    }

    fn declare(&mut self, instruction: &Instruction, stage: Option<usize>) {
        let whole = instruction.span;
        let mut add = |kind: Kind, name: &crate::source::Spanned<String>, ty: Option<String>, typed: bool| {
            self.definitions.push(Definition {
                kind,
                name: name.node.clone(),
                span: name.span,
                whole,
                stage,
                ty,
                typed,
            });
        };
        match &instruction.body {
            Body::Arg { name, ty, .. } => add(Kind::Arg, name, ty.as_ref().map(|t| type_name(&t.node)), ty.is_some()),
            Body::Secret { name, .. } => add(Kind::Secret, name, Some("secret".to_owned()), true),
            Body::Key { name, ty, from } => {
                let known = match (ty, from) {
                    (Some(ty), _) => Some(type_name(&ty.node)),
                    (None, KeyFrom::Run(_) | KeyFrom::File { .. }) => Some("string".to_owned()),
                    (None, KeyFrom::Value(_)) => None,
                };
                add(Kind::Key, name, known, ty.is_some());
            }
            Body::From { alias, replicas, .. } => {
                alias.iter().for_each(|name| add(Kind::Stage, name, None, true));
                replicas.iter().for_each(|r| add(Kind::Loop, &r.var, None, true));
                if let (Some(name), Some(stage)) = (alias, self.stages.last_mut()) {
                    stage.name = Some(name.node.clone());
                }
            }
            Body::On { alias, .. } => {
                alias.iter().for_each(|name| add(Kind::Stage, name, None, true));
                if let (Some(name), Some(stage)) = (alias, self.stages.last_mut()) {
                    stage.name = Some(name.node.clone());
                }
            }
            _ => {}
        }
    }

    /// Types that are not written, from the checked program.
    fn take_types(&mut self, program: Option<&Program>) {
        let Some(program) = program else { return };
        let mut types: HashMap<Span, String> = HashMap::new();
        for arg in &program.args {
            types.insert(arg.span, type_name(&arg.value.ty));
        }
        let keys = program.machines.iter().flat_map(|m| m.keys.values());
        let mut of_instruction: HashMap<Span, String> = HashMap::new();
        for key in keys {
            of_instruction.insert(key.span, type_name(&key.ty));
        }
        for definition in self.definitions.iter_mut().filter(|d| !d.typed) {
            let known = types.get(&definition.span).or_else(|| of_instruction.get(&definition.whole));
            let known = known.or_else(|| of_instruction.get(&definition.span));
            if let Some(ty) = known {
                definition.ty = Some(ty.clone());
            }
        }
    }

    /// The stage in which a place lies: that of the last instruction before it in its file.
    pub fn stage_at(&self, source: SourceId, offset: u32) -> Option<usize> {
        let before = self.places.iter().filter(|(s, _)| s.source == source && s.start <= offset);
        before.max_by_key(|(s, _)| s.start).and_then(|(_, stage)| *stage)
    }

    /// The name at a place: its span, and its definition.
    pub fn at(&self, source: SourceId, offset: u32) -> Option<(Span, usize)> {
        let covers = |s: Span| s.source == source && s.start <= offset && offset <= s.end;
        let used = self.uses.iter().find(|(s, _)| covers(*s)).copied();
        used.or_else(|| self.definitions.iter().enumerate().find(|(_, d)| covers(d.span)).map(|(i, d)| (d.span, i)))
    }

    /// All places of a name, its declaration first.
    pub fn all(&self, definition: usize) -> Vec<Span> {
        let declared = self.definitions.get(definition).map(|d| d.span);
        declared.into_iter().chain(self.uses.iter().filter(|(_, d)| *d == definition).map(|(s, _)| *s)).collect()
    }

    /// The stage of a name.
    pub fn stage_named(&self, name: &str) -> Option<usize> {
        self.stages.iter().position(|s| s.name.as_deref() == Some(name))
    }
}

fn follow<'a>(
    files: &'a [(SourceId, ast::File)],
    sources: &Sources,
    at: usize,
    depth: usize,
    out: &mut Vec<&'a Instruction>,
) {
    let Some((id, file)) = files.get(at) else { return };
    let mut included = includes(*id, file, sources).into_iter();
    for instruction in file.instructions() {
        if let Body::Include { path } = &instruction.body {
            out.push(instruction);
            let Some(path) = path.literal().and_then(|_| included.next()) else { continue };
            let is_it =
                |(id, _): &(SourceId, ast::File)| sources.get(*id).path.as_deref().is_some_and(|p| normal(p) == path);
            if let Some(next) = files.iter().position(is_it).filter(|_| depth < MAX_DEPTH) {
                follow(files, sources, next, depth + 1, out);
            }
            continue;
        }
        out.push(instruction);
    }
}

/// Finds the uses in an instruction.
struct Finder<'a> {
    sources: &'a Sources,
    names: &'a HashMap<(Option<usize>, Kind, String), usize>,
    definitions: &'a [Definition],
    stage: Option<usize>,
    uses: &'a mut Vec<(Span, usize)>,
}

impl Finder<'_> {
    fn instruction(&mut self, instruction: &Instruction) {
        walk::exprs(instruction, &mut |expr| self.expr(expr));
        if let Body::From { source, .. } = &instruction.body {
            self.word(source, source.span);
        }
        for flag in &instruction.flags {
            if let (true, Some(value)) = (matches!(flag.name.node.as_str(), "from" | "after"), &flag.value) {
                self.stage_and_key(value);
            }
        }
    }

    fn expr(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Name(name) => {
                if let Some(at) = self.named(name) {
                    self.add(expr.span, name, at);
                }
            }
            ExprKind::Field(owner, field) => {
                let owner = match &owner.kind {
                    ExprKind::Index(inner, _) => inner,
                    _ => owner,
                };
                if let ExprKind::Name(name) = &owner.kind {
                    let stage = if name == "self" { self.stage } else { self.stage_of(name) };
                    if let Some(at) = stage.and_then(|s| self.find(Some(s), Kind::Key, &field.node)) {
                        self.add(field.span, &field.node, at);
                    }
                }
            }
            _ => {}
        }
    }

    /// A use, where the source says exactly the name.
    fn add(&mut self, span: Span, name: &str, definition: usize) {
        if self.sources.slice(span) == name {
            self.uses.push((span, definition));
        }
    }

    fn find(&self, stage: Option<usize>, kind: Kind, name: &str) -> Option<usize> {
        self.names.get(&(stage, kind, name.to_owned())).copied()
    }

    fn stage_of(&self, name: &str) -> Option<usize> {
        self.find(None, Kind::Stage, name).and_then(|at| self.definitions.get(at)?.stage)
    }

    fn named(&self, name: &str) -> Option<usize> {
        let own = self.stage.and_then(|s| {
            [Kind::Loop, Kind::Arg, Kind::Key].into_iter().find_map(|kind| self.find(Some(s), kind, name))
        });
        own.or_else(|| [Kind::Arg, Kind::Secret, Kind::Stage].into_iter().find_map(|kind| self.find(None, kind, name)))
    }

    /// A word that is a stage's name.
    fn word(&mut self, text: &Text, span: Span) {
        if let Some(name) = text.literal()
            && let Some(at) = self.find(None, Kind::Stage, &name)
        {
            self.add(span, &name, at);
        }
    }

    /// `stage` or `stage.key`.
    fn stage_and_key(&mut self, text: &Text) {
        let Some(value) = text.literal() else { return };
        let Some((stage, key)) = value.split_once('.') else { return self.word(text, text.span) };
        if self.sources.slice(text.span) != value {
            return;
        }
        let middle = text.span.start as usize + stage.len();
        if let Some(at) = self.find(None, Kind::Stage, stage) {
            self.add(Span::new(text.span.source, text.span.start as usize, middle), stage, at);
        }
        if let Some(at) = self.stage_of(stage).and_then(|s| self.find(Some(s), Kind::Key, key)) {
            self.add(Span::new(text.span.source, middle + 1, text.span.end as usize), key, at);
        }
    }
}
