//! Everything in a checked program that only the running build knows, found by walking it.

use crate::source::Span;

use super::program::{
    Action, Address, CopyFrom, GuestContext, Hardware, Hook, HookAction, Hostname, KeySource, Login, Machine,
    MachineId, Need, Ref, Step, WaitWhat,
};
use super::template::env_refs;

/// What a walk calls for each reference, with the place of the expression part that makes it.
pub type Visit<'a> = dyn FnMut(&Ref, Span) + 'a;

/// The references of a LOGIN.
pub fn login(login: &Login, visit: &mut Visit<'_>) {
    login.user.refs(visit);
    login.password.iter().for_each(|p| p.refs(visit));
}

/// The references of an ADDRESS.
pub fn address(address: &Address, visit: &mut Visit<'_>) {
    address.cidr.iter().chain(&address.gateway).chain(&address.dns).for_each(|rt| rt.refs(visit));
    address.search.iter().chain(&address.device).for_each(|t| t.refs(visit));
}

/// The references of a HOSTNAME.
pub fn hostname(hostname: &Hostname, visit: &mut Visit<'_>) {
    hostname.name.refs(visit);
}

/// The references of what is changed before the first power-on.
pub fn hardware(hardware: &Hardware, visit: &mut Visit<'_>) {
    hardware.config.iter().for_each(|(_, value)| value.refs(visit));
    hardware.annotation.iter().for_each(|t| t.refs(visit));
    hardware.labels.iter().for_each(|(_, value)| value.refs(visit));
}

/// How much of a [`GuestContext`] an action uses. What it does not use it does not wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Uses {
    /// Nothing of it.
    Nothing,
    /// The guest account.
    Login,
    /// The account, the user and the working directory: files.
    Files,
    /// All of it: commands.
    All,
}

/// What an action uses of its context.
pub fn uses(action: &Action) -> Uses {
    match action {
        Action::Run(_) => Uses::All,
        Action::Key { from, .. } => match from {
            KeySource::Run(_) => Uses::All,
            KeySource::File { .. } => Uses::Files,
            KeySource::Value(_) => Uses::Nothing,
        },
        Action::Copy(_) | Action::Fetch { .. } => Uses::Files,
        Action::Reboot => Uses::Login,
        Action::Checkpoint(_) | Action::Snapshot(_) => Uses::Nothing,
        Action::Wait { what, .. } => match what {
            WaitWhat::Tools | WaitWhat::Ip | WaitWhat::Off => Uses::Nothing,
            WaitWhat::Login => Uses::Login,
            WaitWhat::File(_) => Uses::Files,
            WaitWhat::Run(_) => Uses::All,
        },
    }
}

/// The references of as much of a context as is used.
pub fn context(context: &GuestContext, uses: Uses, visit: &mut Visit<'_>) {
    if uses >= Uses::Login {
        context.login.iter().for_each(|l| login(l, visit));
    }
    if uses >= Uses::Files {
        context.user.iter().for_each(|u| u.name.refs(visit));
        context.user.iter().filter_map(|u| u.password.as_ref()).for_each(|p| p.refs(visit));
        context.workdir.iter().for_each(|w| w.refs(visit));
    }
    if uses >= Uses::All {
        context.open_env.iter().for_each(|v| env_refs(&v.value, visit));
        context.shell.iter().for_each(|t| t.refs(visit));
    }
}

/// The references of an action itself; those of a COPY's sources only without `--from`, since with it another
/// machine needs them.
pub fn action(action: &Action, visit: &mut Visit<'_>) {
    match action {
        Action::Run(command) => command.refs(visit),
        Action::Key { from, .. } => match from {
            KeySource::Run(command) => command.refs(visit),
            KeySource::File { path, .. } => path.refs(visit),
            KeySource::Value(rt) => rt.refs(visit),
        },
        Action::Copy(copy) => {
            if copy.from.is_none() {
                copy_sources(&copy.sources, visit);
            }
            copy.dest.refs(visit);
            copy.chown.iter().for_each(|t| t.refs(visit));
            copy.render.iter().flatten().for_each(|(_, t)| t.refs(visit));
        }
        Action::Fetch { paths, dest } => {
            paths.iter().for_each(|t| t.refs(visit));
            dest.refs(visit);
        }
        Action::Reboot | Action::Checkpoint(_) | Action::Snapshot(_) => {}
        Action::Wait { what, .. } => match what {
            WaitWhat::Tools | WaitWhat::Ip | WaitWhat::Login | WaitWhat::Off => {}
            WaitWhat::File(path) => path.refs(visit),
            WaitWhat::Run(command) => command.refs(visit),
        },
    }
}

/// The references of a COPY's sources.
pub fn copy_sources(sources: &[CopyFrom], visit: &mut Visit<'_>) {
    for source in sources {
        match source {
            CopyFrom::Path(t) | CopyFrom::Inline(t) => t.refs(visit),
        }
    }
}

/// All that a step waits for, but for what a `COPY --from` asks of the other machine.
pub fn step(step: &Step, visit: &mut Visit<'_>) {
    action(&step.action, visit);
    step.note.iter().for_each(|t| t.refs(visit));
    step.options.unless.iter().for_each(|c| c.refs(visit));
    let uses = if step.options.unless.is_some() { Uses::All } else { uses(&step.action) };
    context(&step.context, uses, visit);
}

/// All that is done when a machine fails refers to.
pub fn hook(hook: &Hook, visit: &mut Visit<'_>) {
    let uses = match &hook.action {
        HookAction::Run(command) => {
            command.refs(visit);
            Uses::All
        }
        HookAction::Fetch { paths, dest } => {
            paths.iter().for_each(|t| t.refs(visit));
            dest.refs(visit);
            Uses::Files
        }
        HookAction::Revert(_) => Uses::Nothing,
    };
    context(&hook.context, uses, visit);
}

/// All that a machine and its steps refer to.
pub fn machine(machine: &Machine, visit: &mut Visit<'_>) {
    hardware(&machine.hardware, visit);
    machine.address.iter().chain(&machine.more_addresses).for_each(|a| address(a, visit));
    machine.hostname.iter().for_each(|h| hostname(h, visit));
    // The file's default counts where the stage has none, at its beginning at least.
    if machine.context.login.is_none() {
        machine.default_login.iter().for_each(|l| login(l, visit));
    }
    context(&machine.context, Uses::Files, visit);
    machine.on_fail.iter().for_each(|h| hook(h, visit));
    for (command, own) in machine
        .health
        .iter()
        .map(|h| (&h.command, &h.context))
        .chain(machine.on_remove.iter().map(|r| (&r.command, &r.context)))
    {
        command.refs(visit);
        context(own, Uses::All, visit);
    }
    for own in &machine.steps {
        step(own, visit);
        if let Action::Copy(copy) = &own.action {
            copy_sources(&copy.sources, visit);
        }
    }
}

/// The machines that a machine's steps come after or copy from.
pub fn machines_needed(machine: &Machine) -> Vec<MachineId> {
    let mut out = Vec::new();
    for step in &machine.steps {
        if let Action::Copy(copy) = &step.action {
            out.extend(copy.from);
        }
        out.extend(step.needs.iter().map(|need| match need {
            Need::Step(id) => id.machine,
            Need::Finished(id) | Need::Attr(id, _) => *id,
        }));
    }
    out
}
