//! The check of a whole file: what stands where, and from there the program.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use indexmap::IndexMap;

use crate::diagnostic::{Diagnostic, Problems, did_you_mean};
use crate::source::{Sources, Span, Spanned};
use crate::syntax::ast::{File, Instruction, Text, Type};

use super::expr::Why;
use super::include::{self, Layout};
use super::names::Table;
use super::names_scope::{Place, StaticIp, View};
use super::program::{
    Arg, Attr, Login, MachineId, Origin, Os, Output, Placement, Program, Ref, Rt, Secret, SecretId, Setting, Stage,
    StageId, StepId,
};
use super::script::ShellKind;
use super::value::Value;
use super::{Files, Inputs, Purpose, codes, order, order_refs};

/// Checks a file, with all that it includes, and makes the program of it.
///
/// What is wrong is in `problems`. None when anything is an error, of the check or of the parser before it: a
/// program is whole or not there. With [`Purpose::Lint`] it may hold values that are not known
/// ([`super::program::RtKind::Unset`]), and of a FOR over such a value one machine stands for all.
pub fn check(
    sources: &mut Sources,
    main: &File,
    inputs: &Inputs,
    files: &dyn Files,
    problems: &mut Problems,
) -> Option<Program> {
    let layout = include::layout(sources, main, files, &inputs.context, problems);
    let mut found = Problems::new();
    let all: Vec<usize> = (0..layout.stages.len()).collect();
    let checked = if inputs.targets.is_empty() {
        Checker::run(
            sources,
            inputs,
            files,
            &layout,
            &Live { stages: all, live: usize::MAX, secrets: None },
            &mut found,
        )
    } else {
        // Everything is looked at once to learn what the targets need; then again, with what they don't need put
        // behind what they do, so that it can be cut off.
        let live = {
            let everything = Live { stages: all.clone(), live: 0, secrets: None };
            let checked = Checker::run(sources, inputs, files, &layout, &everything, &mut Problems::new());
            targets(&checked.program, inputs, &all, &mut found)
        };
        Checker::run(sources, inputs, files, &layout, &live, &mut found)
    };
    found.extend(order::cycles(&checked.program));
    if inputs.purpose == Purpose::Build && layout.stages.is_empty() && !problems.has_errors() && !found.has_errors() {
        let start = Span::new(main.source, 0, 0);
        let nothing = Diagnostic::at(&codes::NO_STAGE, start, "there is no FROM in this file, so nothing to build");
        found.push(nothing.help("write `FROM template`: what a machine is made from"));
    }
    if let (Some(place), false) = (checked.failed.first(), problems.has_errors() || found.has_errors()) {
        // Silence is right where something else is already wrong; alone it would let a file pass that is not
        // understood.
        let unexplained = Diagnostic::at(&codes::UNEXPLAINED, *place, "this can't be checked");
        found.push(unexplained.help("this is a fault of vmwbuild: please report it with the file"));
    }
    let more = found.unkept();
    problems.extend(found.sorted());
    if more > 0 {
        let text = format!("{more} more errors are not shown");
        problems.conclude(
            Diagnostic::new(&crate::syntax::codes::TOO_MANY, text)
                .help("mend the first ones; others may follow from them")
                .standing_for(more),
        );
    }
    let program = cut(checked);
    (!problems.has_errors()).then_some(program)
}

/// Takes off what was put behind: the machines that are there for the check's sake only.
fn cut(mut checked: Checked) -> Program {
    checked.program.machines.truncate(checked.machines);
    checked.program.stages.truncate(checked.stages);
    checked.program.secrets.truncate(checked.secrets);
    let machines = checked.machines;
    checked.program.args.retain(|a| a.machine.is_none_or(|id| (id.0 as usize) < machines));
    checked.program
}

/// What a run of the checker gave.
struct Checked {
    program: Program,
    /// How many of each are to be built; those behind were only checked.
    machines: usize,
    stages: usize,
    secrets: usize,
    failed: Vec<Span>,
}

/// The stages in the order in which they are numbered, and how many of them are built.
pub(super) struct Live {
    /// Indices into the layout.
    pub stages: Vec<usize>,
    /// The first so many are built; the others are checked as in `lint`.
    pub live: usize,
    /// The secrets that are used; None: all.
    pub secrets: Option<HashSet<String>>,
}

/// The stages that the targets need, first.
fn targets(program: &Program, inputs: &Inputs, all: &[usize], problems: &mut Problems) -> Live {
    let mut wanted: Vec<StageId> = Vec::new();
    let names: Vec<&str> = program.stages.iter().filter_map(|s| s.name.as_deref()).collect();
    for target in &inputs.targets {
        match program.stages.iter().position(|s| s.name.as_ref() == Some(target)) {
            Some(index) => wanted.push(StageId(index as u32)),
            None => {
                let mut diagnostic =
                    Diagnostic::new(&codes::UNKNOWN_TARGET, format!("there is no stage `{target}` to build"));
                diagnostic = match did_you_mean(target, names.iter().copied()) {
                    Some(near) => diagnostic.help(format!("did you mean `--target {near}`?")),
                    None if names.is_empty() => diagnostic.help("name a stage with `FROM … AS name`"),
                    None => {
                        diagnostic.note(format!("the stages are {}", super::names::text_list(names.iter().copied())))
                    }
                };
                problems.push(diagnostic);
            }
        }
    }
    let mut needed: HashSet<StageId> = HashSet::new();
    let mut secrets: HashSet<SecretId> = HashSet::new();
    while let Some(id) = wanted.pop() {
        if !needed.insert(id) {
            continue;
        }
        let Some(stage) = program.stages.get(id.0 as usize) else { continue };
        for machine in program.machines.iter().filter(|m| stage.machines.contains(&m.id)) {
            if let Origin::Machine(parent) = machine.origin {
                wanted.extend(program.machines.get(parent.0 as usize).map(|m| m.stage));
            }
            for after in machine.outputs.iter().flat_map(|o| &o.after) {
                wanted.extend(program.machines.get(after.0 as usize).map(|m| m.stage));
            }
            order_refs::machine(machine, &mut |reference, _| match reference {
                Ref::Secret(secret) => {
                    secrets.insert(*secret);
                }
                Ref::Key(other, _) | Ref::Attr(other, _) => {
                    wanted.extend(program.machines.get(other.0 as usize).map(|m| m.stage));
                }
            });
            for other in order_refs::machines_needed(machine) {
                wanted.extend(program.machines.get(other.0 as usize).map(|m| m.stage));
            }
        }
    }
    let is_needed = |index: &usize| needed.contains(&StageId(*index as u32));
    let (mut stages, behind): (Vec<usize>, Vec<usize>) = all.iter().copied().partition(is_needed);
    let live = stages.len();
    stages.extend(behind);
    let named = |id: &SecretId| program.secrets.get(id.0 as usize).map(|s| s.name.clone());
    Live { stages, live, secrets: Some(secrets.iter().filter_map(named).collect()) }
}

/// A global ARG.
#[derive(Debug)]
pub(super) struct GlobalArg {
    pub span: Span,
    /// Constant or unset; None after an error.
    pub value: Option<Rt>,
}

/// A SECRET.
#[derive(Debug)]
pub(super) struct SecretInfo {
    pub id: SecretId,
    pub span: Span,
    pub generate: Option<u32>,
}

/// An ARG of a stage.
#[derive(Debug)]
pub(super) struct StageArg {
    pub span: Span,
    pub line: usize,
}

/// A KEY, as declared.
#[derive(Debug)]
pub(super) struct KeyDecl {
    pub span: Span,
    pub line: usize,
}

/// A stage, its names known.
#[derive(Debug)]
pub(super) struct StageInfo {
    pub from: Arc<Instruction>,
    pub lines: Vec<Arc<Instruction>>,
    /// Counted from 1 in the file, for a stage without name.
    pub ordinal: usize,
    pub name: Option<Spanned<String>>,
    pub for_span: Option<Span>,
    pub loop_var: Option<Spanned<String>>,
    pub args: IndexMap<String, StageArg>,
    pub keys: IndexMap<String, KeyDecl>,
    /// The machines to build, in FOR's order.
    pub machines: Vec<MachineId>,
    /// With a FOR that makes none: a machine that is only checked.
    pub ghost: Option<MachineId>,
    /// FOR over a value that is not known: `machines` has one for all.
    pub unknown_replicas: bool,
    /// Its FROM has an error: say no more of it.
    pub broken: bool,
    /// Whether it is built; else it is checked as in `lint`.
    pub live: bool,
    pub table: Table,
}

impl StageInfo {
    pub fn replicated(&self) -> bool {
        self.for_span.is_some()
    }

    /// As in messages: `` `docker` ``, or `stage 3`.
    pub fn called(&self) -> String {
        match &self.name {
            Some(name) => format!("`{}`", name.node),
            None => format!("stage {}", self.ordinal),
        }
    }
}

/// What a machine's loop variable stands for.
#[derive(Clone, Debug)]
pub(super) enum LoopValue {
    /// There is none.
    None,
    /// A value of a range or list.
    Value(Value, Type),
    /// A row of a CSV file.
    Row(IndexMap<String, String>),
    /// Known only when an ARG is.
    Unset(Type),
    /// FOR has an error.
    Broken,
}

impl LoopValue {
    /// How the replica is called.
    pub fn label(&self) -> String {
        match self {
            LoopValue::Value(value, _) => value.to_text(),
            LoopValue::Row(row) => row.values().next().cloned().unwrap_or_default(),
            LoopValue::None | LoopValue::Unset(_) | LoopValue::Broken => String::new(),
        }
    }

    /// Whether `stage[value]` means this one.
    pub fn is(&self, value: &Value) -> bool {
        match self {
            LoopValue::Value(own, _) => own == value,
            LoopValue::Row(row) => match value {
                Value::Str(text) => row.values().next() == Some(text),
                other => self.value().as_ref() == Some(other),
            },
            LoopValue::None | LoopValue::Unset(_) | LoopValue::Broken => false,
        }
    }

    /// As a value of the language.
    pub fn value(&self) -> Option<Value> {
        match self {
            LoopValue::Value(value, _) => Some(value.clone()),
            LoopValue::Row(row) => {
                let fields = row.iter().map(|(k, v)| (k.clone(), serde_json::Value::String(v.clone())));
                Some(Value::Json(serde_json::Value::Object(fields.collect())))
            }
            LoopValue::None | LoopValue::Unset(_) | LoopValue::Broken => None,
        }
    }
}

/// What is known of a machine's key before its steps are checked.
#[derive(Clone, Debug)]
pub(super) struct MachineKey {
    pub step: Option<StepId>,
    /// `--if` leaves it out.
    pub left_out: bool,
    /// Why it may be unset.
    pub optional: Option<Why>,
}

/// A machine, as far as it is known before its steps are checked.
#[derive(Debug)]
pub(super) struct MachineInfo {
    pub id: MachineId,
    /// Index of its stage.
    pub stage: usize,
    pub value: LoopValue,
    pub label: String,
    pub origin: Option<Origin>,
    pub os: Os,
    /// Values of the stage's ARGs; None after an error.
    pub args: IndexMap<String, Option<Rt>>,
    /// For each line of the stage: the step that it is, unless `--if` leaves it out.
    pub steps: Vec<LineStep>,
    pub keys: IndexMap<String, MachineKey>,
    pub outputs: Vec<Output>,
    /// None: hangs on an ARG without value, or has an error.
    pub name: Option<String>,
    /// Whether all of this is known: those further down in the file are not while the first are prepared.
    pub prepared: bool,
}

/// What a line is in a machine's sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineStep {
    /// No step.
    No,
    /// A step.
    Step(u32),
    /// A step that `--if` leaves out.
    LeftOut,
}

impl MachineInfo {
    pub fn leaves_running(&self) -> bool {
        self.outputs.iter().any(|o| o.kind == crate::syntax::ast::OutputKind::Vm && !o.off)
    }

    /// How many steps stand before a line.
    pub fn steps_before(&self, line: usize) -> Option<usize> {
        Some(self.steps.get(..line)?.iter().filter(|s| matches!(s, LineStep::Step(_))).count())
    }
}

/// What is worked out when it is first asked for.
#[derive(Default)]
pub(super) struct Lazy {
    /// By stage and key; None while it is being worked out, or after an error.
    pub key_types: HashMap<(usize, String), Option<Type>>,
    pub ips: HashMap<MachineId, StaticIp>,
    /// How many of them are being worked out, one for the sake of the other.
    pub depth: usize,
}

/// Who goes on from where a machine's lines end.
#[derive(Clone, Debug)]
pub(super) struct Inherited {
    pub context: Arc<super::program::GuestContext>,
    pub shell: ShellKind,
}

/// The state of the check.
pub(super) struct Checker<'a> {
    pub sources: &'a mut Sources,
    pub inputs: &'a Inputs,
    pub files: &'a dyn Files,
    pub args: IndexMap<String, GlobalArg>,
    pub secrets: IndexMap<String, SecretInfo>,
    pub table: Table,
    pub stages: Vec<StageInfo>,
    pub stage_names: HashMap<String, usize>,
    pub machines: Vec<MachineInfo>,
    /// How many of them are to be built; those behind are only checked.
    pub built: usize,
    pub placement: Placement,
    /// That of the file's DATASTORE.
    pub policy: Option<Setting>,
    pub login: Option<Login>,
    pub inherited: HashMap<MachineId, Inherited>,
    pub lazy: RefCell<Lazy>,
    /// Places that could not be made sense of: something must have been said of each, or of what it hangs on.
    pub failed: Vec<Span>,
    /// `default` that does nothing, by stage and place, and in how many of its machines: where it does something
    /// in one replica there is nothing to say.
    pub needless: IndexMap<(usize, Option<Span>), (usize, Diagnostic)>,
    /// What was said of which place: replicas of a stage make the same mistakes.
    pub seen: HashSet<(u16, Option<Span>)>,
    /// What ONs look for.
    pub selectors: Vec<super::existing::Selector>,
    /// Files that `COPY --render` reads, parsed; None: not text.
    pub rendered: HashMap<PathBuf, Option<Rc<Text>>>,
    /// What of each source of a COPY can't be sent: each is looked at once, however many machines get it.
    pub unsendable: HashMap<PathBuf, Vec<PathBuf>>,
}

impl<'a> Checker<'a> {
    fn run(
        sources: &'a mut Sources,
        inputs: &'a Inputs,
        files: &'a dyn Files,
        layout: &Layout,
        live: &Live,
        problems: &mut Problems,
    ) -> Checked {
        let mut checker = Checker {
            sources,
            inputs,
            files,
            args: IndexMap::new(),
            secrets: IndexMap::new(),
            table: Table::default(),
            stages: Vec::new(),
            stage_names: HashMap::new(),
            machines: Vec::new(),
            built: 0,
            placement: Placement::new(),
            policy: None,
            login: None,
            inherited: HashMap::new(),
            lazy: RefCell::default(),
            failed: Vec::new(),
            needless: IndexMap::new(),
            seen: HashSet::new(),
            selectors: Vec::new(),
            rendered: HashMap::new(),
            unsendable: HashMap::new(),
        };
        checker.declare(layout, live, problems);
        checker.globals(layout, problems);
        checker.expand(problems);
        let mut program = Program { secrets: checker.secret_list(), ..Program::default() };
        for id in 0..checker.machines.len() {
            let built = checker.build(MachineId(id as u32), problems);
            program.machines.push(built);
        }
        for ((stage, _), (count, diagnostic)) in std::mem::take(&mut checker.needless) {
            if checker.stages.get(stage).is_some_and(|s| count >= s.machines.len().max(1)) {
                problems.push(diagnostic);
            }
        }
        program.selectors = std::mem::take(&mut checker.selectors);
        program.stages = checker.stage_list();
        program.args = checker.arg_list();
        fill_wanted(&mut program, checker.built);
        let mut found = Problems::new();
        checker.outputs_apart(&program, &mut found);
        take_new(&mut checker.seen, found, problems);
        let stages = checker.stages.iter().filter(|s| s.live).count();
        let secrets = live.secrets.as_ref().map_or(program.secrets.len(), HashSet::len);
        Checked { program, machines: checker.built, stages, secrets, failed: checker.failed }
    }

    fn secret_list(&self) -> Vec<Secret> {
        let mut secrets: Vec<(&String, &SecretInfo)> = self.secrets.iter().collect();
        secrets.sort_by_key(|(_, s)| s.id);
        secrets.into_iter().map(|(name, s)| Secret { name: name.clone(), span: s.span, generate: s.generate }).collect()
    }

    fn arg_list(&self) -> Vec<Arg> {
        let arg = |name: &String, span: Span, machine: Option<MachineId>, value: Option<&Rt>| {
            let given_by = self.inputs.args.get(name).map(|(_, origin)| origin.clone());
            Some(Arg { name: name.clone(), span, machine, value: value?.clone(), given_by })
        };
        let global = self.args.iter().filter_map(|(name, a)| arg(name, a.span, None, a.value.as_ref()));
        let of_machine = |m: &MachineInfo| -> Vec<Arg> {
            let Some(stage) = self.stages.get(m.stage) else { return Vec::new() };
            let args = stage.args.iter();
            args.filter_map(|(name, a)| arg(name, a.span, Some(m.id), m.args.get(name)?.as_ref())).collect()
        };
        global.chain(self.machines.iter().flat_map(of_machine)).collect()
    }

    fn stage_list(&self) -> Vec<Stage> {
        self.stages
            .iter()
            .map(|s| Stage {
                name: s.name.as_ref().map(|n| n.node.clone()),
                span: s.from.span,
                machines: s.machines.clone(),
                replicated: s.replicated(),
            })
            .collect()
    }

    pub fn machine(&self, id: MachineId) -> Option<&MachineInfo> {
        self.machines.get(id.0 as usize)
    }

    pub fn stage_named(&self, name: &str) -> Option<&StageInfo> {
        self.stages.get(*self.stage_names.get(name)?)
    }

    /// The id of a stage of this checker.
    pub fn stage_id(&self, stage: &StageInfo) -> StageId {
        let index = self.stages.iter().position(|s| s.ordinal == stage.ordinal);
        StageId(index.unwrap_or_default() as u32)
    }

    /// The checker, seen from a place.
    pub fn view(&self, place: Place) -> View<'_, 'a> {
        View { checker: self, place }
    }

    /// Remembers that a line of a machine could not be made sense of. In `lint` that may be for want of a value.
    pub fn fail(&mut self, id: MachineId, span: Span) {
        let stage = self.machine(id).and_then(|m| self.stages.get(m.stage));
        if self.purpose(stage) == Purpose::Build {
            self.failed.push(span);
        }
    }

    /// What the check of a stage is for: those that are not built are checked as in `lint`.
    pub fn purpose(&self, stage: Option<&StageInfo>) -> Purpose {
        match stage {
            Some(stage) if !stage.live => Purpose::Lint,
            Some(_) | None => self.inputs.purpose,
        }
    }
}

/// Notes on each machine the attributes that something of the first `built` machines asks for.
fn fill_wanted(program: &mut Program, built: usize) {
    let mut wanted: Vec<(MachineId, Attr)> = Vec::new();
    for machine in program.machines.iter().take(built) {
        order_refs::machine(machine, &mut |reference, _| {
            if let Ref::Attr(of, attr) = reference {
                wanted.push((*of, *attr));
            }
        });
    }
    wanted.sort_unstable();
    wanted.dedup();
    for (id, attr) in wanted {
        if let Some(machine) = program.machines.get_mut(id.0 as usize) {
            machine.wanted.push(attr);
        }
    }
}

/// Takes over what is new: each replica of a stage meets the same mistake.
pub(super) fn take_new(seen: &mut HashSet<(u16, Option<Span>)>, found: Problems, problems: &mut Problems) {
    let mut new = Vec::new();
    problems.absorb(found, |code, place| {
        let is_new = !seen.contains(&(code, place));
        if is_new {
            new.push((code, place));
        }
        is_new
    });
    seen.extend(new);
}
