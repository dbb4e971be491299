//! One machine: what is known of it before its steps are checked, and then all of it.

use std::sync::Arc;

use indexmap::IndexMap;

use crate::diagnostic::{Diagnostic, Problems};
use crate::source::Span;
use crate::syntax::Keyword;
use crate::syntax::ast::{Body, ExprKind, Instruction, Piece, Text, Type};

use super::check::{Checker, Inherited, LineStep, MachineKey, take_new};
use super::expr::Why;
use super::key::for_each_part;
use super::names_scope::{Moment, Place};
use super::program::{
    Action, GuestContext, Hardware, KeyInfo, Machine, MachineId, Origin, Os, Placement, Setting, StageId, Step, StepId,
    StepOptions, Template,
};
use super::script::ShellKind;
use super::text::{Known, Secrets, Usage, check_static};
use super::value::Value;
use super::{codes, codes_values};

const CONDITION: Usage<'static> =
    Usage { what: "the condition of --if", secrets: Secrets::Refused("it is decided before the build") };

/// A machine in the making.
pub(super) struct Making {
    pub id: MachineId,
    pub line: usize,
    pub context: Arc<GuestContext>,
    pub shell: ShellKind,
    pub note: Option<Template>,
    pub placement: Placement,
    pub policy: Option<Setting>,
    pub hardware: Hardware,
    pub config_spans: IndexMap<String, Span>,
    pub address: Option<super::program::Address>,
    pub more_addresses: Vec<super::program::Address>,
    pub hostname: Option<super::program::Hostname>,
    /// As it is before the first step.
    pub network: Option<Arc<GuestContext>>,
    pub steps: Vec<Step>,
    pub on_fail: Vec<super::program::Hook>,
    pub health: Option<super::program::Health>,
    pub on_remove: Vec<super::program::Removal>,
    pub serial: Option<super::program::Serial>,
}

impl Making {
    pub fn place(&self, moment: Moment) -> Place {
        Place::Stage { machine: self.id, line: self.line, moment }
    }
}

impl Checker<'_> {
    /// What other machines may ask of this one: its ARGs, which lines are steps, its keys, outputs and name.
    pub(super) fn prepare(&mut self, id: MachineId, problems: &mut Problems) {
        let mut found = Problems::beside(problems);
        self.prepare_args(id, &mut found);
        let origin = self.origin(id, &mut found);
        let inherited_os = match &origin {
            Some(Origin::Machine(parent)) => self.machine(*parent).map_or(Os::Unix, |m| m.os),
            Some(Origin::Inventory { .. } | Origin::Existing { .. }) | None => Os::Unix,
        };
        let os = self.os(id, inherited_os);
        self.prepare_steps(id, &mut found);
        let outputs = self.outputs(id, &mut found);
        if let Some(machine) = self.machines.get_mut(id.0 as usize) {
            machine.origin = origin;
            machine.os = os;
            machine.outputs = outputs;
        }
        let name = self.machine_name(id);
        if let Some(machine) = self.machines.get_mut(id.0 as usize) {
            machine.name = name;
            machine.prepared = true;
        }
        take_new(&mut self.seen, found, problems);
    }

    /// A copy of a machine's lines: cheap, and free of the borrow.
    pub(super) fn lines(&self, id: MachineId) -> Vec<Arc<Instruction>> {
        let stage = self.machine(id).and_then(|m| self.stages.get(m.stage));
        stage.map(|s| s.lines.clone()).unwrap_or_default()
    }

    fn os(&self, id: MachineId, inherited: Os) -> Os {
        let stage = self.machine(id).and_then(|m| self.stages.get(m.stage));
        match stage.and_then(|s| s.from.flag("os")).and_then(|f| f.value.as_ref()).and_then(Text::literal).as_deref() {
            Some("windows") => Os::Windows,
            Some("unix") => Os::Unix,
            Some(_) | None => inherited,
        }
    }

    fn prepare_args(&mut self, id: MachineId, problems: &mut Problems) {
        for (line, instruction) in self.lines(id).iter().enumerate() {
            let Body::Arg { name, ty, default } = &instruction.body else { continue };
            let Some(stage) = self.machine(id).and_then(|m| self.stages.get(m.stage)) else { return };
            if stage.args.get(&name.node).is_none_or(|a| a.line != line) {
                continue;
            }
            let purpose = self.purpose(Some(stage));
            let place = Place::Stage { machine: id, line, moment: Moment::Before("the default of an ARG") };
            let value = self.arg_value(name, ty.as_ref(), default.as_ref(), place, purpose, problems);
            if let Some(machine) = self.machines.get_mut(id.0 as usize) {
                machine.args.insert(name.node.clone(), value);
            }
        }
    }

    fn prepare_steps(&mut self, id: MachineId, problems: &mut Problems) {
        let mut next = 0;
        let mut steps = Vec::new();
        let mut keys = IndexMap::new();
        for (line, instruction) in self.lines(id).iter().enumerate() {
            let keyword = instruction.keyword.node;
            if !keyword.is_step() {
                steps.push(LineStep::No);
                continue;
            }
            let condition = self.condition(id, line, instruction, problems);
            let step = if condition.holds == Some(false) {
                LineStep::LeftOut
            } else {
                next += 1;
                LineStep::Step(next - 1)
            };
            steps.push(step);
            if let Body::Key { name, .. } = &instruction.body {
                let stage = self.machine(id).and_then(|m| self.stages.get(m.stage));
                if stage.and_then(|s| s.keys.get(&name.node)).is_some_and(|k| k.line == line) {
                    keys.insert(name.node.clone(), machine_key(id, step, instruction, &condition));
                }
            }
        }
        if let Some(machine) = self.machines.get_mut(id.0 as usize) {
            machine.steps = steps;
            machine.keys = keys;
        }
    }

    fn condition(&self, id: MachineId, line: usize, instruction: &Instruction, problems: &mut Problems) -> Condition {
        let Some(flag) = instruction.flag("if") else {
            return Condition { holds: Some(true), flag: None, fixed: true };
        };
        let Some(text) = &flag.value else { return Condition { holds: Some(true), flag: None, fixed: true } };
        let place = Place::Stage { machine: id, line, moment: Moment::Before("the condition of --if") };
        let holds = match check_static(text, &Type::Bool, CONDITION, &self.view(place), problems) {
            Some(Known::Value(Value::Bool(holds))) => Some(holds),
            Some(Known::Value(_) | Known::Unset) | None => None,
        };
        let stage = self.machine(id).and_then(|m| self.stages.get(m.stage));
        let var = stage.and_then(|s| s.loop_var.as_ref()).map(|v| v.node.as_str());
        let fixed = names_in(text).iter().all(|n| Some(*n) == var);
        Condition { holds, flag: Some(flag.span), fixed }
    }

    /// All of a machine.
    pub(super) fn build(&mut self, id: MachineId, problems: &mut Problems) -> Machine {
        let mut found = Problems::beside(problems);
        let machine = self.build_machine(id, &mut found);
        super::hook::snapshots(&machine, &mut found);
        if machine.steps.iter().any(|s| s.text.is_empty()) || self.machine(id).is_some_and(|m| m.origin.is_none()) {
            self.fail(id, machine.span);
        }
        let found = self.set_needless_apart(id, found);
        take_new(&mut self.seen, found, problems);
        machine
    }

    /// Takes out what is true of a stage only if it is of all its machines.
    fn set_needless_apart(&mut self, id: MachineId, found: Problems) -> Problems {
        let stage = self.machine(id).map_or(0, |m| m.stage);
        let (needless, others) = found.split(|d| *d.code == codes_values::DEFAULT_UNUSED);
        for diagnostic in needless {
            let place = diagnostic.primary.as_ref().map(|l| l.span);
            self.needless.entry((stage, place)).or_insert((0, diagnostic)).0 += 1;
        }
        others
    }

    fn build_machine(&mut self, id: MachineId, problems: &mut Problems) -> Machine {
        let origin = self.machine(id).and_then(|m| m.origin.clone());
        let os = self.machine(id).map_or(Os::Unix, |m| m.os);
        let inherited = match &origin {
            Some(Origin::Machine(parent)) => self.inherited.get(parent).cloned(),
            Some(Origin::Inventory { .. } | Origin::Existing { .. }) | None => None,
        };
        let Inherited { context, shell } = inherited.unwrap_or_else(|| {
            let shell = ShellKind::default_of(os);
            let context = Arc::new(GuestContext {
                shell: vec![Template::literal(shell.name.clone())],
                ..GuestContext::default()
            });
            Inherited { context, shell }
        });
        let mut making = Making {
            id,
            line: 0,
            context,
            shell,
            note: None,
            placement: Placement::new(),
            policy: None,
            hardware: Hardware::default(),
            config_spans: IndexMap::new(),
            address: None,
            more_addresses: Vec::new(),
            hostname: None,
            network: None,
            steps: Vec::new(),
            on_fail: Vec::new(),
            health: None,
            on_remove: Vec::new(),
            serial: None,
        };
        for (line, instruction) in self.lines(id).iter().enumerate() {
            making.line = line;
            super::windows::check(os, instruction, problems);
            self.instruction(&mut making, instruction, problems);
        }
        self.inherited.insert(id, Inherited { context: making.context.clone(), shell: making.shell.clone() });
        self.finish(making, origin, problems)
    }

    fn finish(&mut self, making: Making, origin: Option<Origin>, problems: &mut Problems) -> Machine {
        let id = making.id;
        let (stage_index, label, os) =
            self.machine(id).map(|m| (m.stage, m.label.clone(), m.os)).unwrap_or((0, String::new(), Os::Unix));
        let from = self.stages.get(stage_index).map(|s| s.from.clone());
        let (span, linked, snapshot) = match &from {
            Some(from) => {
                let place = Place::Stage { machine: id, line: 0, moment: Moment::Before("the snapshot of a FROM") };
                let snapshot = self.flag_text(from, "snapshot", "the snapshot of a FROM", place, problems);
                (Some(from.span), from.flag("linked").is_some(), snapshot)
            }
            None => (None, false, None),
        };
        let ova = from.as_ref().map(|from| self.ova(id, from, origin.as_ref(), problems)).unwrap_or_default();
        super::devices::check_network(&making, problems);
        let keys = self.key_infos(id);
        let checked = self.machine(id);
        let unknown = Span::new(crate::source::SourceId(0), 0, 0);
        let span = span.unwrap_or(unknown);
        let machine = Machine {
            id,
            stage: StageId(stage_index as u32),
            replica: checked.and_then(|m| m.value.value()),
            name: checked.and_then(|m| m.name.clone()).unwrap_or_else(|| label.clone()),
            label,
            span,
            origin: origin.unwrap_or(Origin::Inventory { name: String::new(), span }),
            linked,
            snapshot,
            ova,
            os,
            outputs: checked.map(|m| m.outputs.clone()).unwrap_or_default(),
            // A DATASTORE of the stage's own stands for the file's, whole.
            policy: match making.placement.contains_key(&Keyword::Datastore) {
                true => making.policy,
                false => self.policy.clone(),
            },
            placement: making.placement,
            default_placement: self.placement.clone(),
            default_login: self.login.clone(),
            hardware: making.hardware,
            address: making.address,
            more_addresses: making.more_addresses,
            hostname: making.hostname,
            context: making.network.unwrap_or(making.context),
            steps: making.steps,
            on_fail: making.on_fail,
            health: making.health,
            on_remove: making.on_remove,
            serial: making.serial,
            keys,
            wanted: Vec::new(),
        };
        super::seal::check(self, &machine, problems);
        super::devices::check(&machine, problems);
        machine
    }

    fn key_infos(&self, id: MachineId) -> IndexMap<String, KeyInfo> {
        let Some(machine) = self.machine(id) else { return IndexMap::new() };
        let Some(stage) = self.stages.get(machine.stage) else { return IndexMap::new() };
        machine
            .keys
            .iter()
            .filter_map(|(name, key)| {
                let decl = stage.keys.get(name)?;
                let span = stage.lines.get(decl.line)?.span;
                let ty = self.key_type(machine.stage, name)?;
                Some((name.clone(), KeyInfo { ty, span, step: key.step, optional: key.optional.is_some() }))
            })
            .collect()
    }

    /// The place of a step's line in its machine.
    pub(super) fn line_step(&self, id: MachineId, line: usize) -> LineStep {
        self.machine(id).and_then(|m| m.steps.get(line).copied()).unwrap_or(LineStep::No)
    }
}

/// A step that has errors: it holds its place.
pub(super) fn placeholder(id: StepId, span: Span) -> Step {
    Step {
        id,
        span,
        note: None,
        text: String::new(),
        action: Action::Reboot,
        context: Arc::default(),
        options: StepOptions::default(),
        needs: Vec::new(),
    }
}

/// What `--if` says of a step.
struct Condition {
    /// None: not known, since it hangs on an ARG without value or has an error.
    holds: Option<bool>,
    flag: Option<Span>,
    /// It hangs on the loop variable at most: other ARGs can't change it.
    fixed: bool,
}

fn machine_key(id: MachineId, step: LineStep, instruction: &Instruction, condition: &Condition) -> MachineKey {
    let only_if = condition.flag.map(|span| Why { span, text: "captured only if this holds".into() });
    let (step, left_out) = match step {
        LineStep::Step(index) => (Some(StepId { machine: id, index }), false),
        LineStep::LeftOut => (None, true),
        LineStep::No => (None, false),
    };
    let flag_why = |name: &str, text: &str| instruction.flag(name).map(|f| Why { span: f.span, text: text.into() });
    let optional = if left_out || !condition.fixed { only_if } else { None }
        .or_else(|| flag_why("unless", "not captured when this succeeds"))
        .or_else(|| flag_why("allow-failure", "not captured when the step fails"));
    MachineKey { step, left_out, optional }
}

/// The names that the expressions of a text begin with.
fn names_in(text: &Text) -> Vec<&str> {
    let mut out = Vec::new();
    for piece in &text.pieces {
        match piece {
            Piece::Literal { .. } | Piece::Escaped { .. } => {}
            Piece::Hole { expr, .. } => for_each_part(Some(expr), &mut |part| {
                if let ExprKind::Name(name) = &part.kind {
                    out.push(name.as_str());
                }
            }),
        }
    }
    out
}

/// A value of the right type that its place can't take.
pub(super) fn bad_argument(span: Span, message: impl Into<String>) -> Diagnostic {
    Diagnostic::at(&codes::BAD_ARGUMENT, span, message)
}
