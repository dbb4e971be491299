//! What machines leave, and that no two leave the same.

use std::collections::HashMap;

use crate::diagnostic::{Diagnostic, Problems};
use crate::source::Span;
use crate::syntax::Keyword;
use crate::syntax::ast::{Body, Instruction, OutputKind, Text};

use super::check::{Checker, LoopValue};
use super::codes;
use super::names_scope::{Moment, Place};
use super::program::{Exists, LIBRARY, Machine, MachineId, OVA, Origin, Output, Program, library_item};
use super::text::{Known, Secrets, Usage, check_static_text};

/// The longest name that vCenter gives a VM, in characters.
const MAX_NAME: usize = 80;

const NAME: Usage<'static> =
    Usage { what: "the name of an OUTPUT", secrets: Secrets::Refused("names in vCenter can be read there") };

fn kind_name(kind: OutputKind) -> &'static str {
    match kind {
        OutputKind::Template => "OUTPUT TEMPLATE",
        OutputKind::Vm => "OUTPUT VM",
        OutputKind::Library => "OUTPUT LIBRARY",
        OutputKind::Ova => "OUTPUT OVA",
        OutputKind::None => "OUTPUT NONE",
    }
}

impl Checker<'_> {
    /// What a machine leaves.
    pub(super) fn outputs(&self, id: MachineId, problems: &mut Problems) -> Vec<Output> {
        let mut outputs: Vec<Output> = Vec::new();
        let mut given: Vec<(OutputKind, Span)> = Vec::new();
        for (line, instruction) in self.lines(id).iter().enumerate() {
            let Body::Output { kind, name } = &instruction.body else { continue };
            let clash = given
                .iter()
                .find(|(other, _)| *other == kind.node || *other == OutputKind::None || kind.node == OutputKind::None);
            if let Some((other, first)) = clash {
                let message = if *other == kind.node {
                    format!("{} is given twice", kind_name(kind.node))
                } else {
                    format!("{} and {} exclude each other", kind_name(*other), kind_name(kind.node))
                };
                problems.push(
                    Diagnostic::new(&codes::OUTPUT_TWICE, message)
                        .primary(instruction.span, "given here")
                        .label(*first, "the first is here")
                        .help("keep one of them; several kinds may be given, each once, and NONE stands alone"),
                );
                continue;
            }
            given.push((kind.node, instruction.span));
            outputs.extend(self.output(id, line, instruction, kind.node, name.as_ref(), problems));
        }
        if given.is_empty() {
            outputs.push(self.default_output(id, problems));
        } else if outputs.is_empty() {
            // All had errors: something must stand here.
            outputs.push(none(given.first().map_or(self.stage_span(id), |(_, span)| *span)));
        }
        self.one_snapshot(id, &outputs, problems);
        self.off_to_be_taken(&outputs, problems);
        outputs
    }

    /// Where a stage leaves a VM, its template is a clone of it, made as a template at once: that has no snapshot.
    fn one_snapshot(&self, id: MachineId, outputs: &[Output], problems: &mut Problems) {
        let vm = outputs.iter().find(|o| o.kind == OutputKind::Vm);
        let template = outputs.iter().find(|o| o.kind == OutputKind::Template && o.snapshot.is_some());
        let (Some(vm), Some(template)) = (vm, template) else { return };
        let lines = self.lines(id);
        let written = lines.iter().find(|i| i.span == template.span).and_then(|i| i.flag("snapshot"));
        problems.push(
            Diagnostic::new(&codes::FLAG_WITHOUT_EFFECT, "beside a VM, a template can't have a snapshot")
                .primary(written.map_or(template.span, |f| f.span), "")
                .label(vm.span, "the machine itself is the VM")
                .help("put the snapshot on the VM, or make the template in a stage of its own"),
        );
    }

    fn stage_span(&self, id: MachineId) -> Span {
        let stage = self.machine(id).and_then(|m| self.stages.get(m.stage));
        stage.map_or(Span::new(crate::source::SourceId(0), 0, 0), |s| s.from.span)
    }

    fn output(
        &self,
        id: MachineId,
        line: usize,
        instruction: &Instruction,
        kind: OutputKind,
        name: Option<&Text>,
        problems: &mut Problems,
    ) -> Option<Output> {
        let place = Place::Stage { machine: id, line, moment: Moment::Before("the name of an OUTPUT") };
        let exists = self.flag_word(instruction, "exists", place, problems);
        let off = instruction.flag("off");
        if let Some(flag) = off.filter(|_| kind != OutputKind::Vm) {
            problems.push(
                Diagnostic::at(&codes::FLAG_WITHOUT_EFFECT, flag.span, "`--off` means something for OUTPUT VM only")
                    .help("leave it out: nothing else is left running"),
            );
        }
        let item_type = self.flag_word(instruction, "type", place, problems);
        if let Some(flag) = instruction.flag("type").filter(|_| kind != OutputKind::Library) {
            problems.push(
                Diagnostic::at(
                    &codes::FLAG_WITHOUT_EFFECT,
                    flag.span,
                    "`--type` means something for OUTPUT LIBRARY only",
                )
                .help("leave it out; `OUTPUT --type=template LIBRARY library/item` leaves a VM template in a library"),
            );
        }
        let snapshot = self.flag_text(instruction, "snapshot", "the snapshot of an OUTPUT", place, problems);
        if let Some(flag) = instruction.flag("snapshot").filter(|_| kind == OutputKind::None) {
            problems.push(
                Diagnostic::at(&codes::FLAG_WITHOUT_EFFECT, flag.span, "OUTPUT NONE leaves no snapshot either")
                    .help("leave it out"),
            );
        }
        let name = match (kind, name) {
            (OutputKind::None, _) => String::new(),
            (_, None) => return None, // the parser has said so
            (_, Some(text)) => match check_static_text(text, NAME, &self.view(place), problems)? {
                Known::Unset => self.sources.slice(text.span).to_owned(),
                Known::Value(name) => {
                    if let Some(wrong) = bad_name(kind, &name) {
                        let mut diagnostic = Diagnostic::at(&codes::BAD_OUTPUT_NAME, text.span, wrong).help(format!(
                            "vCenter takes names of 1 to {MAX_NAME} characters, without control characters"
                        ));
                        if !name.is_empty() {
                            diagnostic = diagnostic.note(format!("the name is `{}`", shown(&name)));
                        }
                        problems.push(diagnostic);
                        return None;
                    }
                    name
                }
            },
        };
        let exists = match exists.as_deref() {
            Some("replace") => Exists::Replace,
            Some("keep") => Exists::Keep,
            Some(_) | None => Exists::Fail,
        };
        let after = self.published_after(id, instruction, kind, place, problems);
        let as_template = kind == OutputKind::Library && item_type.as_deref() == Some("template");
        let off = off.is_some();
        let output = Output { kind, name, exists, off, as_template, snapshot, after, span: instruction.span };
        if matches!(kind, OutputKind::Library | OutputKind::Ova) {
            self.taken_output(instruction, &output, problems)?;
        }
        Some(output)
    }

    /// What an item of a content library, and a file, can't be.
    fn taken_output(&self, instruction: &Instruction, output: &Output, problems: &mut Problems) -> Option<()> {
        let ova = output.kind == OutputKind::Ova;
        if !ova && !output.name.contains("${{") && library_item(&output.name).is_none() {
            let wrong = format!("`{}` names no library item", shown(&output.name));
            problems.push(
                Diagnostic::at(&codes::BAD_OUTPUT_NAME, instruction.span, wrong)
                    .help("write the library and the item, as in `OUTPUT LIBRARY images/debian-12`"),
            );
            return None;
        }
        let item = library_item(&output.name).map_or("", |(_, item)| item);
        if output.as_template && item.chars().count() > MAX_NAME {
            let wrong = format!("the name of this item has {} characters", item.chars().count());
            problems
                .push(Diagnostic::at(&codes::BAD_OUTPUT_NAME, instruction.span, wrong).help(format!(
                    "its VM template bears the same name, and vCenter takes at most {MAX_NAME} for one"
                )));
            return None;
        }
        if ova && !output.name.contains("${{") && (!output.name.ends_with(".ova") || output.name.ends_with("/.ova")) {
            let wrong = format!("`{}` names no OVA", shown(&output.name));
            problems.push(
                Diagnostic::at(&codes::BAD_OUTPUT_NAME, instruction.span, wrong)
                    .help("write a file whose name ends in `.ova`, as in `OUTPUT OVA out/web.ova`"),
            );
            return None;
        }
        if let Some(flag) = instruction.flag("snapshot") {
            let what = if ova { "an OVA has no snapshots" } else { "a library item has no snapshots" };
            problems.push(Diagnostic::at(&codes::BAD_ARGUMENT, flag.span, what).help("leave it out"));
            return None;
        }
        Some(())
    }

    /// What is taken from a machine is taken while it is off.
    fn off_to_be_taken(&self, outputs: &[Output], problems: &mut Problems) {
        let Some(vm) = outputs.iter().find(|o| o.kind == OutputKind::Vm && !o.off) else { return };
        for output in outputs {
            let (message, what) = match output.kind {
                OutputKind::Library => ("a machine that is left running can't be taken into a library", "item"),
                OutputKind::Ova => ("a machine that is left running can't be exported", "OVA"),
                OutputKind::Template | OutputKind::Vm | OutputKind::None => continue,
            };
            problems.push(
                Diagnostic::new(&codes::BAD_ARGUMENT, message)
                    .primary(output.span, "this is taken from a machine that is off")
                    .label(vm.span, "left running here")
                    .help(format!("write `OUTPUT VM --off`, or leave the {what} in a stage of its own")),
            );
        }
    }

    /// `--after=STAGE`: the machines that must have ended well before it gets its name. That is at the very end of the
    /// build: they may well be made from it.
    fn published_after(
        &self,
        id: MachineId,
        instruction: &Instruction,
        kind: OutputKind,
        place: Place,
        problems: &mut Problems,
    ) -> Vec<MachineId> {
        let mut all: Vec<MachineId> = Vec::new();
        for flag in instruction.flags.iter().filter(|f| f.name.node == "after") {
            if kind == OutputKind::None {
                problems.push(
                    Diagnostic::at(&codes::FLAG_WITHOUT_EFFECT, flag.span, "OUTPUT NONE has no name to get")
                        .help("leave it out: nothing is left"),
                );
                return all;
            }
            let Some(text) = &flag.value else { continue };
            let usage = super::instruction::flag_usage("the value of `--after`");
            let value = check_static_text(text, usage, &self.view(place), problems).and_then(Known::value);
            for part in value.iter().flat_map(|v| v.split(',')).map(str::trim) {
                let Some((machines, key)) = self.machines_meant(part, text.span, "--after", problems) else { continue };
                let wrong = if let Some(key) = key {
                    Some((&codes::UNKNOWN_STAGE, format!("`OUTPUT --after` takes a stage, and not its key `{key}`")))
                } else if machines.contains(&id) {
                    Some((&codes::STEP_CYCLE, "this OUTPUT would come after its own machine".to_owned()))
                } else {
                    None
                };
                match wrong {
                    Some((code, message)) => {
                        problems.push(Diagnostic::at(code, text.span, message).help(
                            "name the stage whose success it hangs on, as a test on a clone: `FROM image AS test`",
                        ))
                    }
                    None => all.extend(machines),
                }
            }
        }
        all.sort_unstable();
        all.dedup();
        all
    }

    fn default_output(&self, id: MachineId, problems: &mut Problems) -> Output {
        let span = self.stage_span(id);
        let Some(stage) = self.machine(id).and_then(|m| self.stages.get(m.stage)) else { return none(span) };
        if stage.from.keyword.node == Keyword::On {
            return none(span);
        }
        if let (Some(at), false) = (stage.for_span, stage.broken) {
            problems.push(
                Diagnostic::at(
                    &codes::OUTPUT_NEEDED,
                    at,
                    format!("{} has a FOR, so it needs an OUTPUT", stage.called()),
                )
                .help(match &stage.loop_var {
                    Some(var) => format!(
                        "say what each replica leaves, as in `OUTPUT VM {}-${{{{ {} }}}}`, or `OUTPUT NONE`",
                        stage.name.as_ref().map_or("machine", |n| n.node.as_str()),
                        var.node
                    ),
                    None => "say what each replica leaves".to_owned(),
                }),
            );
            return none(span);
        }
        match (&stage.name, stage.from.keyword.node) {
            (Some(name), Keyword::From) => Output { kind: OutputKind::Template, name: name.node.clone(), ..none(span) },
            _ => none(span),
        }
    }

    /// The name in vCenter, as `self.name` gives it. None if it is not known.
    pub(super) fn machine_name(&self, id: MachineId) -> Option<String> {
        if let Some(name) = self.existing_name(id) {
            return Some(name);
        }
        let machine = self.machine(id)?;
        let by_kind = |kind| machine.outputs.iter().find(|o| o.kind == kind);
        if let Some(output) = by_kind(OutputKind::Vm).or_else(|| by_kind(OutputKind::Template)) {
            if output.name.contains("${{") {
                return None;
            }
            return Some(output.name.rsplit('/').next().unwrap_or_default().to_owned());
        }
        if matches!(machine.value, LoopValue::Unset(_) | LoopValue::Broken) {
            return None;
        }
        let raw = format!("{}-{}", self.inputs.project, machine.label);
        let mut name = String::new();
        for c in raw.chars() {
            if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') {
                name.push(c);
            } else if !name.ends_with('-') {
                name.push('-');
            }
        }
        let name: String = name.trim_matches('-').chars().take(MAX_NAME).collect();
        Some(if name.is_empty() { "machine".to_owned() } else { name })
    }

    /// Outputs of the same name, and outputs that are named as what they are made from.
    pub(super) fn outputs_apart(&self, program: &Program, problems: &mut Problems) {
        let mut taken: HashMap<(String, String), (MachineId, Span)> = HashMap::new();
        for machine in &program.machines {
            let known = self.machine(machine.id).is_some_and(|m| m.name.is_some());
            let folder = self.folder(machine);
            for output in &machine.outputs {
                match output.kind {
                    OutputKind::Template | OutputKind::Vm | OutputKind::Library | OutputKind::Ova => {}
                    OutputKind::None => continue,
                }
                if !known {
                    continue;
                }
                self.differs_from_source(machine, output, &folder, problems);
                let place = match output.kind {
                    OutputKind::Library => LIBRARY.to_owned(),
                    OutputKind::Ova => OVA.to_owned(),
                    _ => folder.clone(),
                };
                let mut names = vec![(place, output.name.clone())];
                // A VM template of a library stands in the machine's folder, too, by the item's name.
                let item = library_item(&output.name).filter(|_| output.as_template);
                names.extend(item.map(|(_, item)| (folder.clone(), item.to_owned())));
                match names.iter().find_map(|name| taken.get(name)) {
                    None => names.into_iter().for_each(|name| {
                        taken.insert(name, (machine.id, output.span));
                    }),
                    Some((other, span)) => problems.push(self.same_name(machine, output, *other, *span)),
                }
            }
        }
    }

    fn folder(&self, machine: &Machine) -> String {
        let own = machine.placement.get(&Keyword::Folder);
        own.or(machine.default_placement.get(&Keyword::Folder)).map(|s| s.value.clone()).unwrap_or_default()
    }

    fn same_name(&self, machine: &Machine, output: &Output, other: MachineId, span: Span) -> Diagnostic {
        let label = |id: MachineId| self.machine(id).map(|m| m.label.clone()).unwrap_or_default();
        let called =
            library_item(&output.name).filter(|_| output.as_template).map_or(output.name.as_str(), |(_, item)| item);
        if span == output.span {
            let stage = self.machine(machine.id).and_then(|m| self.stages.get(m.stage));
            let mut diagnostic = Diagnostic::new(
                &codes::SAME_OUTPUT,
                format!("`{}` and `{}` would both be called `{}`", label(other), machine.label, output.name),
            )
            .primary(output.span, "this name is the same for several replicas");
            if let Some(stage) = stage {
                if let Some(at) = stage.for_span {
                    diagnostic = diagnostic.label(at, "which are made here");
                }
                if let Some(var) = &stage.loop_var {
                    diagnostic = diagnostic.help(format!("put `${{{{ {} }}}}` into the name", var.node));
                }
            }
            return diagnostic;
        }
        Diagnostic::new(&codes::SAME_OUTPUT, format!("two machines would be called `{called}`"))
            .primary(output.span, format!("by `{}`", machine.label))
            .label(span, format!("and by `{}`", label(other)))
            .help(match output.kind {
                OutputKind::Ova => "give one of them another name",
                OutputKind::Library if output.as_template => {
                    "give one of them another name or FOLDER: the VM template of a library stands in its machine's folder"
                }
                _ => "give one of them another name or FOLDER",
            })
    }

    fn differs_from_source(&self, machine: &Machine, output: &Output, folder: &str, problems: &mut Problems) {
        let Origin::Inventory { name, span } = &machine.origin else { return };
        // By `replace` a template may well be renewed from itself; in another folder it is another one.
        if *name != output.name || output.exists != Exists::Fail || !folder.is_empty() {
            return;
        }
        problems.push(
            Diagnostic::new(&codes::OUTPUT_IS_SOURCE, format!("`{name}` is both the source and the output"))
                .primary(output.span, "it would be made here")
                .label(*span, "from itself")
                .help("give the output another name, or swap the old one for it at the end with `OUTPUT --exists=replace`"),
        );
    }
}

fn none(span: Span) -> Output {
    Output {
        kind: OutputKind::None,
        name: String::new(),
        exists: Exists::Fail,
        off: false,
        as_template: false,
        snapshot: None,
        after: Vec::new(),
        span,
    }
}

fn shown(name: &str) -> String {
    let short: String = name.chars().take(100).collect();
    short.escape_debug().to_string()
}

/// Why something can't be a name in vCenter.
fn bad_name(kind: OutputKind, name: &str) -> Option<String> {
    match kind {
        OutputKind::Template | OutputKind::Vm => {}
        OutputKind::Library | OutputKind::Ova | OutputKind::None => return None,
    }
    let last = name.rsplit('/').next().unwrap_or_default();
    if last.trim().is_empty() {
        return Some("the name of this OUTPUT is empty".to_owned());
    }
    if name.chars().any(char::is_control) {
        return Some("the name of this OUTPUT has control characters in it".to_owned());
    }
    let longest = name.split('/').map(|part| part.chars().count()).max().unwrap_or_default();
    (longest > MAX_NAME).then(|| format!("the name of this OUTPUT has {longest} characters"))
}
