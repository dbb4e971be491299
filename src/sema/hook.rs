//! What is done when a stage fails, and how many machines are worked on at a time.

use crate::diagnostic::{Diagnostic, Problems};
use crate::syntax::ast::{Body, Instruction, OnFail};

use super::check::Checker;
use super::instruction::{Number, flag_usage};
use super::instruction_step::PATHS;
use super::machine::{Making, bad_argument};
use super::names_scope::Moment;
use super::program::{Hook, HookAction, Machine, MachineId, Serial};
use super::{codes, script};

impl Checker<'_> {
    /// An ONFAIL.
    pub(super) fn on_fail(
        &mut self,
        making: &mut Making,
        instruction: &Instruction,
        problems: &mut Problems,
    ) -> Option<()> {
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
        || machine.outputs.iter().any(|o| o.kind == crate::syntax::ast::OutputKind::Vm);
    if let Some(step) = machine.steps.iter().find(|s| matches!(s.action, Action::Snapshot(_))).filter(|_| !stays) {
        problems.push(
            Diagnostic::at(&codes::BAD_REVERT, step.span, "this machine doesn't stay, so neither does its snapshot")
                .help("SNAPSHOT is for `OUTPUT VM` and ON; CHECKPOINT keeps a place to go on from"),
        );
    }
}
