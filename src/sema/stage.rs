//! Stages: what stands in them, their names, and the machines that FROM … FOR makes.

use std::collections::HashMap;

use indexmap::IndexMap;

use crate::diagnostic::{Diagnostic, Problems};
use crate::source::Span;
use crate::syntax::Keyword;
use crate::syntax::ast::{Body, Instruction};
use crate::syntax::table::Place as Standing;

use super::check::{Checker, KeyDecl, Live, LoopValue, MachineInfo, StageArg, StageInfo};
use super::include::{Layout, RawStage};
use super::names::{Kind, Table};
use super::names_scope::{Moment, Place};
use super::program::{LIBRARY, MachineId, OVA, Origin, Os, library_item};
use super::text::{Known, Secrets, Usage, check_static_text};
use super::{codes, instruction};

const SOURCE: Usage<'static> =
    Usage { what: "the source of a FROM", secrets: Secrets::Refused("it names a template in vCenter") };

impl Checker<'_> {
    /// Enters all names, and checks what can be told from the order of the lines.
    pub(super) fn declare(&mut self, layout: &Layout, live: &Live, problems: &mut Problems) {
        for line in &layout.globals {
            let (kind, name) = match &line.body {
                Body::Arg { name, .. } => (Kind::Arg, name),
                Body::Secret { name, .. } => (Kind::Secret, name),
                _ => continue,
            };
            if self.table.declare(kind, name, None, problems) {
                self.declare_global(name, kind == Kind::Secret);
            }
        }
        // Those of stages are reported as misplaced; their uses need not be.
        for line in layout.stages.iter().flat_map(|s| &s.lines) {
            if let Body::Secret { name, .. } = &line.body
                && self.table.declare(Kind::Secret, name, None, problems)
            {
                self.declare_global(name, true);
            }
        }
        self.order_secrets(live);
        let mut stages: Vec<Option<StageInfo>> = Vec::new();
        for (index, raw) in layout.stages.iter().enumerate() {
            let mut stage = self.stage_info(index, raw, problems);
            if let Some(name) = stage.name.take()
                && self.table.declare(Kind::Stage, &name, None, problems)
            {
                stage.name = Some(name);
            }
            stages.push(Some(stage));
        }
        for (at, index) in live.stages.iter().enumerate() {
            let Some(mut stage) = stages.get_mut(*index).and_then(Option::take) else { continue };
            stage.live = at < live.live;
            if let Some(name) = &stage.name {
                self.stage_names.insert(name.node.clone(), self.stages.len());
            }
            self.stages.push(stage);
        }
        // After all global names, since those win.
        let mut stages = std::mem::take(&mut self.stages);
        stages.iter_mut().for_each(|stage| self.local_names(stage, problems));
        for stage in &stages {
            structure(stage, problems);
        }
        self.stages = stages;
    }

    /// Secrets that are used come first.
    fn order_secrets(&mut self, live: &Live) {
        let Some(used) = &live.secrets else { return };
        let mut next = 0;
        for wanted in [true, false] {
            for (name, secret) in &mut self.secrets {
                if used.contains(name) == wanted {
                    secret.id = super::program::SecretId(next);
                    next += 1;
                }
            }
        }
    }

    fn stage_info(&self, index: usize, raw: &RawStage, problems: &mut Problems) -> StageInfo {
        instruction::repeated_flags(&raw.from, problems);
        let (name, replicas) = match &raw.from.body {
            Body::From { alias, replicas, .. } => (alias.clone(), replicas.as_ref()),
            Body::On { alias, .. } => (alias.clone(), None),
            _ => (None, None),
        };
        // Who knows how many there are: its machines are known by their names, as those of a FOR by their values.
        let existing = (raw.from.keyword.node == Keyword::On).then_some(raw.from.span);
        StageInfo {
            from: raw.from.clone(),
            lines: raw.lines.clone(),
            ordinal: index + 1,
            name,
            for_span: replicas.map(|f| f.span).or(existing),
            loop_var: replicas.map(|f| f.var.clone()),
            args: IndexMap::new(),
            keys: IndexMap::new(),
            machines: Vec::new(),
            ghost: None,
            unknown_replicas: false,
            broken: false,
            live: true,
            table: Table::default(),
        }
    }

    /// The loop variable, ARGs and KEYs of a stage.
    fn local_names(&self, stage: &mut StageInfo, problems: &mut Problems) {
        let outer = Some(&self.table);
        if let Some(var) = &stage.loop_var {
            // Where it clashes it stays what is meant in the stage, so that nothing follows from the clash.
            stage.table.declare(Kind::Loop, var, outer, problems);
        }
        for (line, instruction) in stage.lines.iter().enumerate() {
            match &instruction.body {
                Body::Arg { name, .. } if stage.table.declare(Kind::Arg, name, outer, problems) => {
                    stage.args.insert(name.node.clone(), StageArg { span: name.span, line });
                }
                Body::Key { name, .. } if stage.table.declare(Kind::Key, name, outer, problems) => {
                    stage.keys.insert(name.node.clone(), KeyDecl { span: name.span, line });
                }
                _ => {}
            }
        }
    }

    /// Makes the machines: of every stage, those that its FOR asks for, sources before what is made from them.
    pub(super) fn expand(&mut self, problems: &mut Problems) {
        let count = self.stages.len();
        let mut values: Vec<Vec<LoopValue>> = Vec::with_capacity(count);
        for index in 0..count {
            values.push(self.loop_values(index, problems));
        }
        let order = self.source_order(problems);
        // Those that are not to be built come last, in the same order.
        let (live, behind): (Vec<usize>, Vec<usize>) =
            order.into_iter().partition(|i| self.stages.get(*i).is_some_and(|s| s.live));
        for (indices, built) in [(live, true), (behind, false)] {
            for index in indices {
                for value in values.get(index).cloned().unwrap_or_default() {
                    let id = self.add_machine(index, value);
                    if let Some(stage) = self.stages.get_mut(index) {
                        stage.machines.push(id);
                    }
                }
            }
            if built {
                self.built = self.machines.len();
            }
        }
        for index in 0..count {
            if !self.stages.get(index).is_some_and(|s| s.machines.is_empty()) {
                continue;
            }
            let id = self.add_machine(index, self.ghost_value(index));
            if let Some(stage) = self.stages.get_mut(index) {
                stage.ghost = Some(id);
            }
        }
        for id in 0..self.machines.len() {
            self.prepare(MachineId(id as u32), problems);
        }
        self.find_key_types();
    }

    fn add_machine(&mut self, stage: usize, value: LoopValue) -> MachineId {
        let id = MachineId(self.machines.len() as u32);
        let label = self.stages.get(stage).map_or_else(String::new, |s| {
            let base = s.name.as_ref().map_or_else(|| format!("stage {}", s.ordinal), |n| n.node.clone());
            match &value {
                LoopValue::Value(..) | LoopValue::Row(_) => format!("{base}[{}]", value.label()),
                LoopValue::None | LoopValue::Unset(_) | LoopValue::Broken => base,
            }
        });
        self.machines.push(MachineInfo {
            id,
            stage,
            value,
            label,
            origin: None,
            os: Os::Unix,
            args: IndexMap::new(),
            steps: Vec::new(),
            keys: IndexMap::new(),
            outputs: Vec::new(),
            name: None,
            prepared: false,
        });
        id
    }

    /// The stages, each after those that it is FROM. Stages that are FROM each other are reported, and broken.
    fn source_order(&mut self, problems: &mut Problems) -> Vec<usize> {
        let parents: Vec<Vec<usize>> = (0..self.stages.len())
            .map(|i| {
                let Some(stage) = self.stages.get(i) else { return vec![] };
                let Body::From { source, .. } = &stage.from.body else { return vec![] };
                // A source that hangs on the loop variable may name a stage too: `origin` sees to that.
                let place = Place::Global { args: usize::MAX, what: "the source of a FROM" };
                let name = check_static_text(source, SOURCE, &self.view(place), &mut Problems::new());
                let name = name.and_then(Known::value);
                name.and_then(|name| self.stage_names.get(&name).copied()).into_iter().collect()
            })
            .collect();
        let mut order = Vec::new();
        let mut state: Vec<u8> = vec![0; self.stages.len()];
        for start in 0..self.stages.len() {
            // Each stage has one source, so the way to its root is a path.
            let mut path = Vec::new();
            let mut at = start;
            loop {
                match state.get(at).copied() {
                    Some(0) => {
                        if let Some(s) = state.get_mut(at) {
                            *s = 1;
                        }
                        path.push(at);
                        match parents.get(at).and_then(|p| p.first()) {
                            Some(parent) => at = *parent,
                            None => break,
                        }
                    }
                    Some(1) => {
                        let cycle: Vec<usize> = path.iter().copied().skip_while(|i| *i != at).collect();
                        self.report_source_cycle(&cycle, problems);
                        break;
                    }
                    _ => break,
                }
            }
            for index in path.into_iter().rev() {
                if let Some(s) = state.get_mut(index) {
                    *s = 2;
                }
                order.push(index);
            }
        }
        order
    }

    fn report_source_cycle(&mut self, cycle: &[usize], problems: &mut Problems) {
        let links: Vec<(Span, String)> = cycle
            .iter()
            .filter_map(|i| self.stages.get(*i))
            .map(|s| match &s.from.body {
                Body::From { source, .. } => (source.span, s.called()),
                _ => (s.from.span, s.called()),
            })
            .collect();
        let message = match links.as_slice() {
            [(_, one)] => format!("{one} is made from itself"),
            several => {
                let names: Vec<String> = several.iter().map(|(_, n)| n.trim_matches('`').to_owned()).collect();
                format!("{} are made from each other", super::names::text_list(names.iter().map(String::as_str)))
            }
        };
        let mut diagnostic = Diagnostic::new(&codes::STEP_CYCLE, message);
        for (at, (span, called)) in links.iter().enumerate() {
            diagnostic = if at == 0 {
                diagnostic.primary(*span, format!("{called} begins here"))
            } else {
                diagnostic.label(*span, format!("{called} begins here"))
            };
        }
        problems.push(
            diagnostic
                .help("one of them must be FROM a template; for a template that has a stage's name, give its path"),
        );
        for index in cycle {
            if let Some(stage) = self.stages.get_mut(*index) {
                stage.broken = true;
            }
        }
    }

    /// FROM's source, `--os` and what it hands on: for one machine.
    pub(super) fn origin(&mut self, id: MachineId, problems: &mut Problems) -> Option<Origin> {
        let stage_index = self.machine(id)?.stage;
        let stage = self.stages.get(stage_index)?;
        if stage.broken {
            return None;
        }
        let Body::From { source, .. } = &stage.from.body else { return self.existing(id) };
        let place = Place::Stage { machine: id, line: 0, moment: Moment::Before("the source of a FROM") };
        let Known::Value(name) = check_static_text(source, SOURCE, &self.view(place), problems)? else {
            return Some(Origin::Inventory { name: String::new(), span: source.span });
        };
        if name.trim().is_empty() {
            problems.push(
                Diagnostic::at(&codes::BAD_ARGUMENT, source.span, "the source of this FROM is empty")
                    .help("name a template or VM, or a stage"),
            );
            return None;
        }
        if name.starts_with(LIBRARY) {
            if library_item(&name).is_none() {
                let wrong = format!("`{name}` names no item: it is written `library:LIBRARY/ITEM`");
                problems.push(
                    Diagnostic::at(&codes::BAD_ARGUMENT, source.span, wrong)
                        .help("as in `FROM library:images/debian-12`"),
                );
                return None;
            }
            return Some(Origin::Inventory { name, span: source.span });
        }
        if name.starts_with(OVA) {
            super::ova::source(&name, &stage.from, source.span, problems)?;
            return Some(Origin::Inventory { name, span: source.span });
        }
        let Some(parent_index) = self.stage_names.get(&name).copied() else {
            return Some(Origin::Inventory { name, span: source.span });
        };
        let parent = self.stages.get(parent_index)?;
        if parent.replicated() {
            problems.push(
                Diagnostic::new(
                    &codes::REPLICATED_SOURCE,
                    format!("{} makes several machines, so it can't be the source of another stage", parent.called()),
                )
                .primary(source.span, "which one is meant can't be said")
                .label(parent.for_span.unwrap_or(parent.from.span), "its replicas are made here")
                .help("put what both need into a stage without FOR, and make both FROM it"),
            );
            return None;
        }
        let parent_machine = parent.machines.first().copied().or(parent.ghost)?;
        if parent_machine >= id {
            // Only where the name is computed; literal ones are sorted.
            problems.push(
                Diagnostic::new(&codes::REPLICATED_SOURCE, format!("{} must stand before this stage", parent.called()))
                    .primary(source.span, "its name is computed here")
                    .label(parent.from.span, "it stands here")
                    .help("move the stage up, or write its name without `${{ }}`"),
            );
            return None;
        }
        let info = self.machine(parent_machine)?;
        if let Some(output) = info.outputs.iter().find(|o| o.kind == crate::syntax::ast::OutputKind::Vm && !o.off) {
            problems.push(
                Diagnostic::new(
                    &codes::RUNNING_SOURCE,
                    format!("{} leaves a running VM, so it can't be the source of another stage", parent.called()),
                )
                .primary(source.span, "cloned from here")
                .label(output.span, "left running here")
                .help("put what both need into a stage of its own, and make both FROM it"),
            );
            return None;
        }
        Some(Origin::Machine(parent_machine))
    }
}

/// What can be told from a stage's lines alone: what stands where, and how often.
fn structure(stage: &StageInfo, problems: &mut Problems) {
    let mut first_step: Option<&Instruction> = None;
    let mut seen: HashMap<Keyword, &Instruction> = HashMap::new();
    let mut note: Option<Span> = None;
    for instruction in &stage.lines {
        let keyword = instruction.keyword.node;
        instruction::repeated_flags(instruction, problems);
        super::existing::fits(&stage.from, instruction, problems);
        if keyword == Keyword::Secret {
            problems.push(
                Diagnostic::at(
                    &codes::GLOBAL_ONLY,
                    instruction.keyword.span,
                    "SECRET must stand before the first FROM",
                )
                .label(stage.from.span, "the stage begins here")
                .help("move the line to the top of the file: a secret is the same for all stages"),
            );
            continue;
        }
        if keyword == Keyword::Note {
            if let Some(span) = note.replace(instruction.span) {
                problems.push(lost_note(span, "another NOTE follows before any step"));
            }
            continue;
        }
        if keyword.is_step() {
            first_step.get_or_insert(instruction);
            note = None;
            continue;
        }
        let before_steps = match keyword.info().place {
            Standing::Placement | Standing::Machine => true,
            Standing::Anywhere | Standing::Global | Standing::Opens | Standing::Setting => false,
            Standing::GlobalSetting | Standing::Step | Standing::Hook => false,
        };
        // What an ON has no place for at all has none before its steps either.
        let nowhere = stage.from.keyword.node == Keyword::On && super::existing::is_of_made(keyword);
        if before_steps
            && !nowhere
            && let Some(step) = first_step
        {
            problems.push(
                Diagnostic::new(&codes::MISPLACED, format!("{keyword} must stand before the stage's first step"))
                    .primary(instruction.keyword.span, "here the machine is running already")
                    .label(step.span, "the first step")
                    .help("move the line up, behind the FROM"),
            );
        }
        if once(keyword)
            && let Some(first) = seen.insert(keyword, instruction)
        {
            problems.push(given_twice(instruction, first));
            seen.insert(keyword, first);
        }
    }
    if let Some(span) = note {
        problems.push(lost_note(span, "no step follows in this stage"));
    }
}

fn lost_note(span: Span, why: &str) -> Diagnostic {
    Diagnostic::at(&codes::NOTE_WITHOUT_STEP, span, "this NOTE is the title of nothing")
        .note(why.to_owned())
        .help("put it right before the step that it titles")
}

/// Whether an instruction may stand once in a stage.
fn once(keyword: Keyword) -> bool {
    use Keyword as K;
    match keyword {
        K::Datacenter | K::Cluster | K::Host | K::Pool | K::Datastore | K::Folder | K::Network => true,
        K::Cpu | K::Memory | K::Annotation | K::Hostname | K::Serial => true,
        // Each of another adapter.
        K::Address => false,
        K::Arg | K::Secret | K::Include | K::From | K::On | K::Output | K::Disk | K::Nic | K::Cdrom => false,
        K::Hardware | K::Config | K::Label | K::Tag | K::Login | K::User | K::Workdir | K::Env | K::Shell => false,
        K::Run | K::Key | K::Copy | K::Fetch | K::Reboot | K::Wait | K::Note | K::Checkpoint | K::Snapshot => false,
        K::Seal | K::OnFail | K::Healthcheck | K::OnRemove => false,
    }
}

/// A second one of what there can be only one of.
pub(super) fn given_twice(second: &Instruction, first: &Instruction) -> Diagnostic {
    let keyword = second.keyword.node;
    Diagnostic::new(&codes::GIVEN_TWICE, format!("{keyword} is given twice"))
        .primary(second.span, "given again here")
        .label(first.span, "first given here")
        .help("keep one of them")
}
