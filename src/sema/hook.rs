//! What is done when a stage fails or lives on, and how many machines are worked on at a time.

use std::sync::Arc;
use std::time::Duration;

use crate::diagnostic::{Diagnostic, Problems};
use crate::source::Span;
use crate::syntax::ast::{Body, Command, Instruction, OnFail};

use super::check::Checker;
use super::instruction::{Number, flag_usage};
use super::instruction_step::PATHS;
use super::machine::{Making, bad_argument};
use super::names_scope::Moment;
use super::program::{
    GuestContext, Health, Hook, HookAction, Invocation, Machine, MachineId, Ref, Removal, Serial, StageId,
};
use super::{codes, order_refs, script};

/// How long between two checks, and how many failures in a row count, where the file doesn't say.
const INTERVAL: Duration = Duration::from_secs(10);
const RETRY: u32 = 3;

impl Checker<'_> {
    /// ONFAIL, HEALTHCHECK, ONREMOVE.
    pub(super) fn hook(
        &mut self,
        making: &mut Making,
        instruction: &Instruction,
        problems: &mut Problems,
    ) -> Option<()> {
        let place = making.place(Moment::Steps);
        match &instruction.body {
            Body::Healthcheck { command } => {
                let interval = self.flag_duration(instruction, "interval", place, problems).unwrap_or(INTERVAL);
                let timeout = self.flag_duration(instruction, "timeout", place, problems);
                let retry = self.flag_count(instruction, "retry", place, problems).unwrap_or(RETRY);
                let (command, context) = self.lasting(making, instruction, command, problems)?;
                if let Some(first) = &making.health {
                    problems.push(
                        Diagnostic::new(&codes::GIVEN_TWICE, "HEALTHCHECK is given twice")
                            .primary(instruction.span, "given again here")
                            .label(first.span, "first given here")
                            .help("check all of it in one command"),
                    );
                    return None;
                }
                let (span, text) = (instruction.span, self.title(instruction));
                making.health = Some(Health { span, text, command, context, interval, timeout, retry });
                Some(())
            }
            Body::OnRemove { command } => {
                let timeout = self.flag_duration(instruction, "timeout", place, problems);
                let on = match self.flag_text(instruction, "on", "the stage of `--on`", place, problems) {
                    None => None,
                    Some(name) => {
                        let span = instruction.flag("on").map_or(instruction.span, |f| f.span);
                        let (machines, _) = self.machines_meant(&name, span, "--on", problems)?;
                        let stage = machines.first().and_then(|m| self.machine(*m)).map(|m| m.stage);
                        stage.map(|stage| StageId(stage as u32))
                    }
                };
                let (command, context) = self.lasting(making, instruction, command, problems)?;
                let (span, text) = (instruction.span, self.title(instruction));
                making.on_remove.push(Removal { span, text, command, context, timeout, on });
                Some(())
            }
            _ => self.on_fail(making, instruction, problems),
        }
    }

    /// A command that is run when the build is long over: what only the build knew isn't known any more.
    fn lasting(
        &mut self,
        making: &Making,
        instruction: &Instruction,
        command: &Command,
        problems: &mut Problems,
    ) -> Option<(Invocation, Arc<GuestContext>)> {
        let place = making.place(Moment::Steps);
        let context = self.step_context(making, instruction, place, problems)?;
        let view = self.view(place);
        let command = script::check_command(command, &instruction.heredocs, &making.shell, &view, problems)?;
        let mut gone: Vec<Span> = Vec::new();
        let mut visit = |reference: &Ref, span: Span| match reference {
            Ref::Secret(_) => {}
            Ref::Key(..) | Ref::Attr(..) => gone.push(span),
        };
        command.refs(&mut visit);
        order_refs::context(&context, order_refs::Uses::All, &mut visit);
        for span in &gone {
            let keyword = instruction.keyword.node;
            problems.push(
                Diagnostic::new(&codes::NOT_LASTING, format!("{keyword} is run when the build is long over"))
                    .primary(*span, "only the build knows this")
                    .help("use names, ARGs, SECRETs and loop values; keep other values in a file of the guest"),
            );
        }
        gone.is_empty().then_some((command, context))
    }

    /// An ONFAIL.
    fn on_fail(&mut self, making: &mut Making, instruction: &Instruction, problems: &mut Problems) -> Option<()> {
        let Body::OnFail { action } = &instruction.body else { return Some(()) };
        let place = making.place(Moment::Steps);
        let timeout = self.flag_duration(instruction, "timeout", place, problems);
        let context = self.step_context(making, instruction, place, problems)?;
        let action = match action {
            OnFail::Run(command) => {
                let view = self.view(place);
                HookAction::Run(script::check_command(command, &instruction.heredocs, &making.shell, &view, problems)?)
            }
            OnFail::Fetch { paths, dest } => {
                let paths: Vec<_> =
                    paths.iter().map(|p| self.text(p, "a path of ONFAIL FETCH", PATHS, place, problems)).collect();
                HookAction::Fetch {
                    paths: paths.into_iter().collect::<Option<_>>()?,
                    dest: self.text(dest, "the destination of ONFAIL FETCH", PATHS, place, problems)?,
                }
            }
            OnFail::Revert(name) => {
                let usage = flag_usage("the name of a snapshot");
                HookAction::Revert(super::text::check_static_text(name, usage, &self.view(place), problems)?.value()?)
            }
        };
        let text = self.title(instruction);
        making.on_fail.push(Hook { span: instruction.span, text, action, context, timeout });
        Some(())
    }

    /// A SERIAL.
    pub(super) fn serial_setting(
        &mut self,
        making: &mut Making,
        instruction: &Instruction,
        problems: &mut Problems,
    ) -> Option<()> {
        let Body::Serial { count } = &instruction.body else { return Some(()) };
        let place = making.place(Moment::Before("SERIAL"));
        let max_failures = self.flag_count(instruction, "max-failures", place, problems).unwrap_or(0);
        let refuse = |value: &super::value::Value| {
            bad_argument(count.span, format!("SERIAL takes 1 to 1000 machines at a time, not {}", value.to_text()))
        };
        let number = Number { text: count, usage: flag_usage("the count of SERIAL"), bounds: 1..=1000 };
        let count = self.number_in(number, refuse, place, problems)?;
        making.serial = Some(Serial { after: self.before(making.id, count), max_failures });
        Some(())
    }

    /// The machine of the same stage that stands so many places before.
    fn before(&self, id: MachineId, count: u32) -> Option<MachineId> {
        let stage = self.stages.get(self.machine(id)?.stage)?;
        let at = stage.machines.iter().position(|m| *m == id)?;
        stage.machines.get(at.checked_sub(count as usize)?).copied()
    }
}

/// Snapshots that a REVERT names and no step makes, and SNAPSHOTs of machines that don't stay.
pub(super) fn snapshots(machine: &Machine, problems: &mut Problems) {
    use super::program::{Action, Origin};
    let made = |name: &str| machine.steps.iter().any(|s| matches!(&s.action, Action::Snapshot(n) if n == name));
    for hook in &machine.on_fail {
        if let HookAction::Revert(name) = &hook.action
            && !made(name)
        {
            problems.push(
                Diagnostic::at(&codes::BAD_REVERT, hook.span, format!("no SNAPSHOT of this stage is called `{name}`"))
                    .help(format!("write `SNAPSHOT {name}` before the step that may fail")),
            );
        }
    }
    let stays = matches!(machine.origin, Origin::Existing { .. })
        || machine.outputs.iter().any(|o| o.kind != crate::syntax::ast::OutputKind::None);
    if let Some(step) = machine.steps.iter().find(|s| matches!(s.action, Action::Snapshot(_))).filter(|_| !stays) {
        problems.push(
            Diagnostic::at(&codes::BAD_REVERT, step.span, "this machine doesn't stay, so neither does its snapshot")
                .help("give the stage an OUTPUT; CHECKPOINT keeps a place to go on from"),
        );
    }
}
