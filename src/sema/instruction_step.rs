//! Steps: what each does, its flags, and what it needs.

use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Problems};
use crate::source::Span;
use crate::syntax::Keyword;
use crate::syntax::ast::{Body, Command, Instruction, KeyFrom, Text, WaitFor};

use super::check::{Checker, LineStep};
use super::expr::{check_expr, check_expr_as};
use super::instruction::via;
use super::instruction_setting::env_var;
use super::machine::{Making, bad_argument, placeholder};
use super::names_scope::{Moment, Place};
use super::program::{
    Action, GuestContext, Invocation, KeySource, MachineId, Need, Os, Ref, RunAs, Step, StepId, StepOptions, Template,
    WaitWhat,
};
use super::script::{check_command, check_flag_command};
use super::text::{Secrets, split_pair};
use super::{codes, codes_values, order_refs};

/// Paths in the guest and here.
pub(super) const PATHS: Secrets<'static> = Secrets::Refused("paths are shown, in the guest too");

impl Checker<'_> {
    /// A step; `index` is None when `--if` leaves it out: then it is checked only.
    pub(super) fn step(
        &mut self,
        making: &mut Making,
        instruction: &Instruction,
        index: Option<u32>,
        problems: &mut Problems,
    ) {
        if index.is_none() {
            // What `default` is for may be the very thing that leaves the step out.
            let mut found = Problems::beside(problems);
            self.checked_step(making, instruction, index, &mut found);
            problems.absorb(found, |code, _| code != codes_values::DEFAULT_UNUSED.number);
        } else {
            self.checked_step(making, instruction, index, problems);
        }
    }

    fn checked_step(
        &mut self,
        making: &mut Making,
        instruction: &Instruction,
        index: Option<u32>,
        problems: &mut Problems,
    ) {
        let note = making.note.take();
        let moment = if index.is_some() { Moment::Steps } else { Moment::LeftOut };
        let place = making.place(moment);
        let options = self.options(making, instruction, place, problems);
        let context = self.step_context(making, instruction, place, problems);
        let action = self.action(making, instruction, place, problems);
        let needs = self.after(instruction, place, problems);
        let Some(index) = index else { return };
        let id = StepId { machine: making.id, index };
        let (Some(options), Some(context), Some(action), Some(needs)) = (options, context, action, needs) else {
            making.steps.push(placeholder(id, instruction.span));
            return;
        };
        let text = self.title(instruction);
        let mut step = Step { id, span: instruction.span, note, text, action, context, options, needs };
        self.serial(making, instruction, &mut step, problems);
        add_reference_needs(self, &mut step);
        making.steps.push(step);
    }

    fn action(
        &mut self,
        making: &Making,
        instruction: &Instruction,
        place: Place,
        problems: &mut Problems,
    ) -> Option<Action> {
        Some(match &instruction.body {
            Body::Run { command } => Action::Run(self.command(making, instruction, command, place, problems)?),
            Body::Key { name, from, .. } => {
                let stage = self.machine(making.id)?.stage;
                let ty = self.key_type(stage, &name.node);
                let from = match from {
                    KeyFrom::Run(command) => {
                        KeySource::Run(self.command(making, instruction, command, place, problems)?)
                    }
                    KeyFrom::File { path, delete } => KeySource::File {
                        path: self.text(path, "the path of a KEY's file", PATHS, place, problems)?,
                        delete: *delete,
                    },
                    KeyFrom::Value(expr) => KeySource::Value(self.key_value(instruction, expr, place, problems)?),
                };
                Action::Key { name: name.node.clone(), ty: ty?, from }
            }
            Body::Copy { .. } => Action::Copy(self.copy(making, instruction, place, problems)?),
            Body::Fetch { paths, dest } => {
                let paths: Vec<Option<Template>> =
                    paths.iter().map(|p| self.text(p, "a path of FETCH", PATHS, place, problems)).collect();
                let many = paths.len() > 1;
                let to = self.text(dest, "the destination of FETCH", PATHS, place, problems)?;
                if many && to.as_literal().is_some_and(|d| !d.ends_with('/')) {
                    problems.push(directory_needed(dest, Keyword::Fetch));
                }
                Action::Fetch { paths: paths.into_iter().collect::<Option<_>>()?, dest: to }
            }
            Body::Reboot => Action::Reboot,
            Body::Wait { what } => {
                let interval = self.flag_duration(instruction, "interval", place, problems);
                let what = match what {
                    WaitFor::Tools => WaitWhat::Tools,
                    WaitFor::Ip => WaitWhat::Ip,
                    WaitFor::Login => WaitWhat::Login,
                    WaitFor::Off => WaitWhat::Off,
                    WaitFor::File(path) => {
                        WaitWhat::File(self.text(path, "the path of WAIT FILE", PATHS, place, problems)?)
                    }
                    WaitFor::Run(command) => {
                        WaitWhat::Run(self.command(making, instruction, command, place, problems)?)
                    }
                };
                Action::Wait { what, interval }
            }
            Body::Checkpoint { name: None } => Action::Checkpoint(None),
            Body::Checkpoint { name: Some(name) } => {
                let usage = super::instruction::flag_usage("the name of a CHECKPOINT");
                let name = super::text::check_static_text(name, usage, &self.view(place), problems)?;
                Action::Checkpoint(name.value())
            }
            Body::Snapshot { name } => {
                let usage = super::instruction::flag_usage("the name of a SNAPSHOT");
                let name = super::text::check_static_text(name, usage, &self.view(place), problems)?;
                Action::Snapshot(name.value()?)
            }
            Body::Seal => Action::Run(super::seal::command(self.machine(making.id).map_or(Os::Unix, |m| m.os))),
            // NOTE has been taken; the rest are no steps, or have been refused.
            Body::Note { .. } => return None,
            Body::Arg { .. } | Body::Secret { .. } | Body::Include { .. } | Body::From { .. } | Body::Output { .. } => {
                return None;
            }
            Body::Placement { .. } | Body::Login { .. } => return None,
            Body::Cpu { .. }
            | Body::Memory { .. }
            | Body::Config { .. }
            | Body::Annotation { .. }
            | Body::Address { .. }
            | Body::Hostname { .. }
            | Body::User { .. }
            | Body::Workdir { .. }
            | Body::Env { .. }
            | Body::Shell { .. } => return None,
            Body::On { .. }
            | Body::Disk { .. }
            | Body::Nic { .. }
            | Body::Cdrom { .. }
            | Body::Hardware { .. }
            | Body::Label { .. }
            | Body::Tag { .. }
            | Body::OnFail { .. }
            | Body::Healthcheck { .. }
            | Body::OnRemove { .. }
            | Body::Serial { .. } => return None,
        })
    }

    fn key_value(
        &self,
        instruction: &Instruction,
        expr: &crate::syntax::ast::Expr,
        place: Place,
        problems: &mut Problems,
    ) -> Option<super::program::Rt> {
        let Body::Key { name, ty, .. } = &instruction.body else { return None };
        let view = self.view(place);
        match ty {
            Some(ty) => {
                let what = format!("the value of the KEY `{}`", name.node);
                check_expr_as(expr, &ty.node, &what, &view, problems)
            }
            None => check_expr(expr, &view, problems),
        }
    }

    fn command(
        &self,
        making: &Making,
        instruction: &Instruction,
        command: &Command,
        place: Place,
        problems: &mut Problems,
    ) -> Option<Invocation> {
        check_command(command, &instruction.heredocs, &making.shell, &self.view(place), problems)
    }

    fn options(
        &self,
        making: &Making,
        instruction: &Instruction,
        place: Place,
        problems: &mut Problems,
    ) -> Option<StepOptions> {
        let before = problems.len();
        let mut options = StepOptions::default();
        if let Some(text) = instruction.flag("unless").and_then(|f| f.value.as_ref()) {
            options.unless = check_flag_command(text, &making.shell, &self.view(place), problems);
        }
        options.timeout = self.flag_duration(instruction, "timeout", place, problems);
        options.retry = self.flag_count(instruction, "retry", place, problems).unwrap_or(0);
        if let Some(delay) = self.flag_duration(instruction, "delay", place, problems) {
            options.delay = delay;
        }
        if let Some(ok) = self.flag_codes(instruction, "ok", place, problems) {
            options.ok = ok;
        }
        options.reboot_on = self.flag_codes(instruction, "reboot-on", place, problems).unwrap_or_default();
        options.allow_failure = instruction.flag("allow-failure").is_some();
        options.no_cache = instruction.flag("no-cache").is_some();
        without_effect(instruction, problems);
        let errors = problems.iter().skip(before).any(|d| d.severity == crate::diagnostic::Severity::Error);
        (!errors).then_some(options)
    }

    /// The context, with the step's own `--user` and `--env` worked in.
    pub(super) fn step_context(
        &self,
        making: &Making,
        instruction: &Instruction,
        place: Place,
        problems: &mut Problems,
    ) -> Option<Arc<GuestContext>> {
        let mut context = making.context.clone();
        if let Some(text) = instruction.flag("user").and_then(|f| f.value.as_ref()) {
            let secrets = Secrets::Refused("a user's name is shown");
            let name = self.text(text, "the name of the user", secrets, place, problems)?;
            // Whom sudo asks about is the LOGIN: another user doesn't change that.
            let (via, password) = context.user.as_ref().map_or((via(None), None), |u| (u.via, u.password.clone()));
            Arc::make_mut(&mut context).user = Some(RunAs { name, via, password });
        }
        if matches!(instruction.body, Body::Seal) {
            let os = self.machine(making.id).map_or(Os::Unix, |m| m.os);
            super::seal::context(Arc::make_mut(&mut context), os);
        }
        for flag in instruction.flags.iter().filter(|f| f.name.node == "env") {
            let Some((name, value)) = flag.value.as_ref().and_then(split_pair) else {
                if flag.value.is_some() {
                    problems.push(
                        bad_argument(flag.span, "`--env` needs a name and a value").help("write `--env=NAME=value`"),
                    );
                }
                return None;
            };
            let var = env_var(&name.node, name.span, &value, &self.view(place), problems)?;
            Arc::make_mut(&mut context).add_env(var);
        }
        Some(context)
    }

    /// `--after=stage[.key]`.
    fn after(&self, instruction: &Instruction, place: Place, problems: &mut Problems) -> Option<Vec<Need>> {
        let mut needs = Vec::new();
        for flag in instruction.flags.iter().filter(|f| f.name.node == "after") {
            let text = flag.value.as_ref()?;
            let usage = super::instruction::flag_usage("the value of `--after`");
            let value = super::text::check_static_text(text, usage, &self.view(place), problems)?.value()?;
            for part in value.split(',') {
                needs.extend(self.after_one(part.trim(), text.span, problems)?);
            }
        }
        Some(needs)
    }

    fn after_one(&self, text: &str, span: Span, problems: &mut Problems) -> Option<Vec<Need>> {
        let (machines, key) = self.machines_meant(text, span, "--after", problems)?;
        let Some(key) = key else { return Some(machines.into_iter().map(Need::Finished).collect()) };
        let mut needs = Vec::new();
        for id in machines {
            let machine = self.machine(id)?;
            let stage = self.stages.get(machine.stage)?;
            if !stage.keys.contains_key(&key) {
                let mut diagnostic = Diagnostic::at(
                    &codes::UNKNOWN_STAGE,
                    span,
                    format!("{} has no key `{key}` to come after", stage.called()),
                );
                if let Some(near) = problems.did_you_mean(&key, stage.keys.keys().map(String::as_str)) {
                    diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
                }
                problems.push(diagnostic);
                return None;
            }
            needs.extend(machine.keys.get(&key).and_then(|k| k.step).map(Need::Step));
        }
        Some(needs)
    }

    /// The machines and the key that `stage`, `stage[v]`, `stage.key` or `stage[v].key` mean in a flag.
    pub(super) fn machines_meant(
        &self,
        text: &str,
        span: Span,
        flag: &str,
        problems: &mut Problems,
    ) -> Option<(Vec<MachineId>, Option<String>)> {
        let (owner, key) = match text.rsplit_once('.') {
            Some((owner, key)) if !key.contains(']') => (owner, Some(key.to_owned())),
            Some(_) | None => (text, None),
        };
        let (name, index) = match owner.strip_suffix(']').and_then(|o| o.split_once('[')) {
            Some((name, index)) => (name, Some(index.trim_matches('"'))),
            None => (owner, None),
        };
        let Some(stage) = self.stage_named(name) else {
            let mut diagnostic = Diagnostic::at(&codes::UNKNOWN_STAGE, span, format!("there is no stage `{name}`"));
            diagnostic = match problems.did_you_mean(name, self.stage_names.keys().map(String::as_str)) {
                Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
                None => diagnostic.note(format!("`{flag}` takes a stage that `FROM … AS name` names")),
            };
            problems.push(diagnostic);
            return None;
        };
        if stage.broken {
            return None;
        }
        let Some(index) = index else { return Some((stage.machines.clone(), key)) };
        if stage.unknown_replicas {
            return Some((stage.machines.clone(), key));
        }
        let found = stage.machines.iter().find(|m| self.machine(**m).is_some_and(|m| m.value.label() == index));
        match found {
            Some(machine) if stage.replicated() => Some((vec![*machine], key)),
            Some(_) | None => {
                problems.push(
                    Diagnostic::at(
                        &codes::NO_SUCH_REPLICA,
                        span,
                        format!("{} has no replica `{index}`", stage.called()),
                    )
                    .label(stage.for_span.unwrap_or(stage.from.span), "its machines are made here"),
                );
                None
            }
        }
    }

    /// `--serial`: after the same step of the replica before.
    fn serial(&self, making: &Making, instruction: &Instruction, step: &mut Step, problems: &mut Problems) {
        let Some(flag) = instruction.flag("serial") else { return };
        let Some(stage) = self.machine(making.id).and_then(|m| self.stages.get(m.stage)) else { return };
        if !stage.replicated() {
            problems.push(
                Diagnostic::at(
                    &codes::FLAG_WITHOUT_EFFECT,
                    flag.span,
                    format!("{} has no FOR, so `--serial` does nothing", stage.called()),
                )
                .help("leave it out"),
            );
            return;
        }
        let earlier = stage.machines.iter().take_while(|m| **m != making.id).collect::<Vec<_>>();
        for other in earlier.into_iter().rev() {
            if let LineStep::Step(index) = self.line_step(*other, making.line) {
                step.needs.push(Need::Step(StepId { machine: *other, index }));
                return;
            }
        }
    }

    /// What output calls a step: the instruction in one line, and of a script where it begins.
    pub(super) fn title(&self, instruction: &Instruction) -> String {
        let line = self.one_line(instruction.span);
        let command = match &instruction.body {
            Body::Run { command } | Body::Key { from: KeyFrom::Run(command), .. } => command,
            Body::Wait { what: WaitFor::Run(command), .. } => command,
            _ => return line,
        };
        let (Command::Script, Some(script)) = (command, instruction.heredocs.first()) else { return line };
        let tells = |l: &&str| !(l.is_empty() || l.starts_with('#') || l.starts_with("set -"));
        match self.sources.slice(script.body.span).lines().map(str::trim).find(tells) {
            Some(first) => format!("{line} {} …", first.trim_end_matches('\\').trim_end()),
            None => line,
        }
    }

    /// An instruction in one line, as written: continuations joined, comments left out.
    pub(super) fn one_line(&self, span: Span) -> String {
        let text = self.sources.slice(span);
        // What aligns the arguments in the file is not part of the instruction.
        let (keyword, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
        let rest = rest.trim_start_matches([' ', '\t']);
        if is_plain(text) {
            let rest = rest.trim_end();
            return if rest.is_empty() { keyword.to_owned() } else { [keyword, rest].join(" ") };
        }
        let text = format!("{keyword} {rest}");
        let mut out = String::new();
        let mut lines = text.lines().enumerate().peekable();
        while let Some((number, line)) = lines.next() {
            let goes_on = lines.peek().is_some();
            let line = if number == 0 { line } else { line.trim_start() };
            if number > 0 && (line.starts_with('#') || line.is_empty()) {
                continue;
            }
            let line = line.trim_end();
            let line = line.strip_suffix(['\\', '`']).filter(|_| goes_on).unwrap_or(line).trim_end();
            if !out.is_empty() && !line.is_empty() {
                out.push(' ');
            }
            out.push_str(line);
        }
        if is_plain(&out) { out } else { out.chars().map(|c| if c.is_control() { ' ' } else { c }).collect() }
    }
}

/// Whether a text is one line of printable ASCII, as nearly all are.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// What a step's expressions refer to, as needs.
fn add_reference_needs(checker: &Checker<'_>, step: &mut Step) {
    let own = step.id.machine;
    let mut needs = std::mem::take(&mut step.needs);
    order_refs::step(step, &mut |reference, _| {
        let need = match reference {
            Ref::Secret(_) => None,
            Ref::Key(machine, _) | Ref::Attr(machine, _) if *machine == own => None,
            Ref::Key(machine, name) => {
                checker.machine(*machine).and_then(|m| m.keys.get(name)).and_then(|k| k.step).map(Need::Step)
            }
            Ref::Attr(machine, attr) => Some(Need::Attr(*machine, *attr)),
        };
        if let Some(need) = need
            && !needs.contains(&need)
        {
            needs.push(need);
        }
    });
    step.needs = needs;
}

/// Flags that the step can't do anything with.
fn without_effect(instruction: &Instruction, problems: &mut Problems) {
    let command = match &instruction.body {
        Body::Run { .. } => true,
        Body::Key { from, .. } => matches!(from, KeyFrom::Run(_)),
        Body::Wait { what } => matches!(what, WaitFor::Run(_)),
        _ => false,
    };
    let keyword = instruction.keyword.node;
    if !command {
        for name in ["ok", "reboot-on", "env"] {
            // ENV matters to the command of --unless.
            if name == "env" && instruction.flag("unless").is_some() {
                continue;
            }
            if let Some(flag) = instruction.flag(name) {
                problems.push(
                    Diagnostic::at(
                        &codes::FLAG_WITHOUT_EFFECT,
                        flag.span,
                        format!("this {keyword} runs no command, so `--{name}` does nothing"),
                    )
                    .help("leave it out"),
                );
            }
        }
    }
    if keyword == Keyword::Copy
        && instruction.flag("unless").is_none()
        && let Some(flag) = instruction.flag("user")
    {
        problems.push(
            Diagnostic::at(&codes::FLAG_WITHOUT_EFFECT, flag.span, "COPY writes as the LOGIN account")
                .help("say by `--chown=user:group` whom the files belong to"),
        );
    }
    if keyword == Keyword::Seal
        && let Some(flag) = instruction.flag("user")
    {
        problems
            .push(Diagnostic::at(&codes::FLAG_WITHOUT_EFFECT, flag.span, "SEAL is done by root").help("leave it out"));
    }
    if let Some(flag) = instruction.flag("delay")
        && instruction.flag("retry").is_none()
    {
        problems.push(
            Diagnostic::at(&codes::FLAG_WITHOUT_EFFECT, flag.span, "without `--retry` there is nothing to delay")
                .help("say how often to try again, as in `--retry=3`"),
        );
    }
}

/// Several things need a directory to go to.
pub(super) fn directory_needed(dest: &Text, keyword: Keyword) -> Diagnostic {
    Diagnostic::at(
        &codes::DIRECTORY_NEEDED,
        dest.span,
        format!("{keyword} of several things needs a directory to put them in"),
    )
    .help("end the destination in `/`")
    .replace("end it in `/`", true, dest.span.after(), "/")
}
