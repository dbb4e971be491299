//! Everything in a checked program that only the running build knows, found by walking it.

use crate::source::Span;

use super::program::{
    Action, Address, CopyFrom, EnvPiece, GuestContext, Hardware, Hostname, Invocation, KeySource, Login, Ref, Rt, RtKind,
    Step, Template, TemplatePiece, WaitWhat,
};

/// What a walk calls for each reference, with the place of the expression part that makes it.
pub trait Visitor: FnMut(&Ref, Span) {}
impl<F: FnMut(&Ref, Span)> Visitor for F {}

/// The references of an expression.
pub fn expr(rt: &Rt, visit: &mut impl Visitor) {
    match &rt.kind {
        RtKind::Const(_) => {}
        RtKind::Ref(reference) => visit(reference, rt.span),
        RtKind::List(items) => items.iter().for_each(|i| expr(i, visit)),
        RtKind::Field(value, _) | RtKind::Unary(_, value) => expr(value, visit),
        RtKind::Index(value, index) => {
            expr(value, visit);
            expr(index, visit);
        }
        RtKind::Binary(_, left, right) => {
            expr(left, visit);
            expr(right, visit);
        }
        RtKind::If { cond, then, other } => {
            expr(cond, visit);
            expr(then, visit);
            expr(other, visit);
        }
        RtKind::Filter(_, value, args) => {
            expr(value, visit);
            args.iter().for_each(|a| expr(a, visit));
        }
    }
}

/// The references of a text.
pub fn template(text: &Template, visit: &mut impl Visitor) {
    for piece in &text.pieces {
        match piece {
            TemplatePiece::Literal(_) => {}
            TemplatePiece::Value(rt) => expr(rt, visit),
        }
    }
}

/// The references of a guest command.
pub fn invocation(command: &Invocation, visit: &mut impl Visitor) {
    match command {
        Invocation::Script(script) => script.holes.iter().for_each(|h| expr(&h.value, visit)),
        Invocation::Exec(argv) => argv.iter().for_each(|a| template(a, visit)),
    }
}

/// The references of a LOGIN.
pub fn login(login: &Login, visit: &mut impl Visitor) {
    template(&login.user, visit);
    login.password.iter().for_each(|p| template(p, visit));
}

/// The references of an ADDRESS.
pub fn address(address: &Address, visit: &mut impl Visitor) {
    address.cidr.iter().chain(&address.gateway).chain(&address.dns).for_each(|rt| expr(rt, visit));
    address.search.iter().chain(&address.device).for_each(|t| template(t, visit));
}

/// The references of a HOSTNAME.
pub fn hostname(hostname: &Hostname, visit: &mut impl Visitor) {
    template(&hostname.name, visit);
}

/// The references of what is changed before the first power-on.
pub fn hardware(hardware: &Hardware, visit: &mut impl Visitor) {
    hardware.config.iter().for_each(|(_, value)| template(value, visit));
    hardware.annotation.iter().for_each(|t| template(t, visit));
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
        Action::Wait { what, .. } => match what {
            WaitWhat::Tools | WaitWhat::Ip | WaitWhat::Off => Uses::Nothing,
            WaitWhat::Login => Uses::Login,
            WaitWhat::File(_) => Uses::Files,
            WaitWhat::Run(_) => Uses::All,
        },
    }
}

/// The references of as much of a context as is used.
pub fn context(context: &GuestContext, uses: Uses, visit: &mut impl Visitor) {
    if uses >= Uses::Login {
        context.login.iter().for_each(|l| login(l, visit));
    }
    if uses >= Uses::Files {
        context.user.iter().for_each(|u| template(&u.name, visit));
        context.workdir.iter().for_each(|w| template(w, visit));
    }
    if uses >= Uses::All {
        for piece in context.env.iter().flat_map(|v| &v.value) {
            match piece {
                EnvPiece::Literal(_) | EnvPiece::Variable(_) => {}
                EnvPiece::Value(rt) => expr(rt, visit),
            }
        }
        context.shell.iter().for_each(|t| template(t, visit));
    }
}

/// The references of an action itself; those of a COPY's sources only without `--from`, since with it another
/// machine needs them.
pub fn action(action: &Action, visit: &mut impl Visitor) {
    match action {
        Action::Run(command) => invocation(command, visit),
        Action::Key { from, .. } => match from {
            KeySource::Run(command) => invocation(command, visit),
            KeySource::File { path, .. } => template(path, visit),
            KeySource::Value(rt) => expr(rt, visit),
        },
        Action::Copy(copy) => {
            if copy.from.is_none() {
                copy_sources(&copy.sources, visit);
            }
            template(&copy.dest, visit);
            copy.chown.iter().for_each(|t| template(t, visit));
            copy.render.iter().flatten().for_each(|(_, t)| template(t, visit));
        }
        Action::Fetch { paths, dest } => {
            paths.iter().for_each(|t| template(t, visit));
            template(dest, visit);
        }
        Action::Reboot => {}
        Action::Wait { what, .. } => match what {
            WaitWhat::Tools | WaitWhat::Ip | WaitWhat::Login | WaitWhat::Off => {}
            WaitWhat::File(path) => template(path, visit),
            WaitWhat::Run(command) => invocation(command, visit),
        },
    }
}

/// The references of a COPY's sources.
pub fn copy_sources(sources: &[CopyFrom], visit: &mut impl Visitor) {
    for source in sources {
        match source {
            CopyFrom::Path(t) | CopyFrom::Inline(t) => template(t, visit),
        }
    }
}

/// All that a step waits for, but for what a `COPY --from` asks of the other machine.
pub fn step(step: &Step, visit: &mut impl Visitor) {
    action(&step.action, visit);
    step.note.iter().for_each(|t| template(t, visit));
    step.options.unless.iter().for_each(|c| invocation(c, visit));
    let uses = if step.options.unless.is_some() { Uses::All } else { uses(&step.action) };
    context(&step.context, uses, visit);
}
