//! From a program to what is said of it.

use crate::graph::{Dag, Node, Why};
use crate::sema::order::attr_name;
use crate::sema::program::BY_POLICY;
use crate::sema::program::{
    self, Action, EnvPiece, Exists, GuestContext, KeySource, MachineId, Origin, Os, Program, Ref, RtKind, Template,
    TemplatePiece,
};
use crate::sema::types::type_name;
use crate::sema::value::{format_duration, format_size};
use crate::sema::{order_refs, program::Rt};
use crate::source::{Sources, Span};
use crate::syntax::ast::OutputKind;

use super::model::{
    Address, Argument, Env, From, Guest, Hardware, Key, Machine, Outline, Output, Place, Placed, Secret, Stage, Step,
    Tool, Wait,
};

/// All that is to be said of a program.
pub fn outline(program: &Program, dag: &Dag, sources: &Sources) -> Outline {
    let cx = Cx { program, dag, sources };
    Outline {
        version: 1,
        tool: Tool { name: "vmwbuild", version: env!("CARGO_PKG_VERSION") },
        args: program.args.iter().map(|a| cx.arg(a)).collect(),
        secrets: program.secrets.iter().enumerate().map(|(i, s)| cx.secret(i, s)).collect(),
        stages: program
            .stages
            .iter()
            .map(|s| Stage {
                name: s.name.clone(),
                replicated: s.replicated,
                machines: s.machines.iter().map(|m| cx.label(*m)).collect(),
                place: cx.place(s.span),
            })
            .collect(),
        machines: program.machines.iter().map(|m| cx.machine(m)).collect(),
    }
}

struct Cx<'a> {
    program: &'a Program,
    dag: &'a Dag,
    sources: &'a Sources,
}

impl Cx<'_> {
    fn place(&self, span: Span) -> Place {
        let file = self.sources.get(span.source);
        let (line, column) = file.line_col(span.start);
        Place { file: file.name.clone(), line, column }
    }

    fn label(&self, id: MachineId) -> String {
        self.program.machines.get(id.0 as usize).map(|m| m.label.clone()).unwrap_or_default()
    }

    fn arg(&self, arg: &program::Arg) -> Argument {
        let value = match &arg.value.kind {
            RtKind::Const(value) => Some(value.to_text()),
            _ => None,
        };
        let given_by = match (&arg.given_by, &value) {
            (Some(origin), _) => origin.clone(),
            (None, Some(_)) => "default".to_owned(),
            (None, None) => "nothing".to_owned(),
        };
        Argument {
            name: arg.name.clone(),
            ty: type_name(&arg.value.ty),
            value,
            given_by,
            machine: arg.machine.map(|m| self.label(m)),
            place: self.place(arg.span),
        }
    }

    fn secret(&self, index: usize, secret: &program::Secret) -> Secret {
        let uses = |machine: &program::Machine| {
            let mut found = false;
            order_refs::machine(machine, &mut |r, _| {
                found |= matches!(r, Ref::Secret(id) if id.0 as usize == index);
            });
            found
        };
        let users = self.program.machines.iter().filter(|m| uses(m));
        Secret {
            name: secret.name.clone(),
            generate: secret.generate,
            used_by: users.map(|m| m.label.clone()).collect(),
            place: self.place(secret.span),
        }
    }

    fn machine(&self, machine: &program::Machine) -> Machine {
        let from = match &machine.origin {
            Origin::Machine(id) => (Some(self.label(*id)), None),
            Origin::Inventory { name, .. } => (None, Some(name.clone())),
            Origin::Existing { path, .. } => (None, Some(path.clone())),
        };
        let stage = self.program.stages.get(machine.stage.0 as usize);
        let own = self.dag.of(machine.id).filter(|n| !matches!(n, Node::Step(_)));
        Machine {
            label: machine.label.clone(),
            stage: stage.and_then(|s| s.name.clone()),
            replica: machine.replica.as_ref().map(|v| v.to_text()),
            from: From {
                machine: from.0,
                inventory: from.1,
                linked: machine.linked,
                snapshot: machine.snapshot.clone(),
            },
            os: match machine.os {
                Os::Unix => "unix",
                Os::Windows => "windows",
            },
            name: machine.name.clone(),
            outputs: machine.outputs.iter().map(|o| output(self.program, o)).collect(),
            placement: self.placement(machine),
            hardware: self.hardware(&machine.hardware),
            address: machine.address.as_ref().map(|a| self.address(a)),
            more_addresses: machine.more_addresses.iter().map(|a| self.address(a)).collect(),
            hostname: machine.hostname.as_ref().map(|h| self.template(&h.name)),
            waits_for: own.flat_map(|n| self.waits(n)).collect(),
            steps: machine.steps.iter().map(|s| self.step(s, machine)).collect(),
            keys: machine.keys.iter().map(|(name, info)| self.key(machine, name, info)).collect(),
            place: self.place(machine.span),
        }
    }

    fn placement(&self, machine: &program::Machine) -> Vec<Placed> {
        let own = machine.placement.iter().map(|(k, s)| (k, s, false));
        let defaults = machine.default_placement.iter().filter(|(k, _)| !machine.placement.contains_key(*k));
        own.chain(defaults.map(|(k, s)| (k, s, true)))
            .map(|(keyword, setting, default)| Placed {
                keyword: keyword.name(),
                value: match (setting.value.as_str(), &machine.policy) {
                    (BY_POLICY, Some(policy)) => format!("one that `{}` fits", policy.value),
                    (value, _) => value.to_owned(),
                },
                default,
                place: self.place(setting.span),
            })
            .collect()
    }

    fn address(&self, a: &program::Address) -> Address {
        Address {
            nic: a.nic,
            cidr: a.cidr.as_ref().map(|rt| self.value(rt)),
            gateway: a.gateway.as_ref().map(|rt| self.value(rt)),
            dns: a.dns.iter().map(|rt| self.value(rt)).collect(),
            search: a.search.iter().map(|t| self.template(t)).collect(),
        }
    }

    fn hardware(&self, hardware: &program::Hardware) -> Hardware {
        let pair = |(name, value): &(String, Template)| Env { name: name.clone(), value: self.template(value) };
        Hardware {
            cpus: hardware.cpus,
            cores: hardware.cores,
            memory: hardware.memory.map(format_size),
            config: hardware.config.iter().map(pair).collect(),
            annotation: hardware.annotation.as_ref().map(|t| self.template(t)),
            devices: hardware.devices.words(),
            labels: hardware.labels.iter().map(pair).collect(),
            tags: hardware.tags.iter().map(ToString::to_string).collect(),
        }
    }

    fn step(&self, step: &program::Step, machine: &program::Machine) -> Step {
        Step {
            number: step.id.index + 1,
            kind: kind(&step.action),
            text: step.text.clone(),
            note: step.note.as_ref().map(|n| self.template(n)),
            guest: self.guest(&step.context, machine),
            timeout: step.options.timeout.map(format_duration),
            retry: step.options.retry,
            allow_failure: step.options.allow_failure,
            waits_for: self.waits(Node::Step(step.id)),
            place: self.place(step.span),
        }
    }

    fn guest(&self, context: &GuestContext, machine: &program::Machine) -> Guest {
        let env = |v: &std::sync::Arc<program::EnvVar>| {
            let piece = |p: &EnvPiece| match p {
                EnvPiece::Literal(text) => text.clone(),
                EnvPiece::Variable(name) => format!("${{{name}}}"),
                EnvPiece::Value(rt) => self.hole(rt),
            };
            Env { name: v.name.clone(), value: v.value.iter().map(piece).collect() }
        };
        let login = context.login.as_ref().or(machine.default_login.as_ref());
        Guest {
            login: login.map(|l| self.template(&l.user)),
            user: context.user.as_ref().map(|u| self.template(&u.name)),
            workdir: context.workdir.as_ref().map(|w| self.template(w)),
            env: context.env.iter().map(env).collect(),
            shell: context.shell.iter().map(|t| self.template(t)).collect(),
        }
    }

    fn key(&self, machine: &program::Machine, name: &str, info: &program::KeyInfo) -> Key {
        let step = info.step.and_then(|id| machine.steps.get(id.index as usize));
        let uses = |other: &program::Machine| {
            let mut found = false;
            order_refs::machine(other, &mut |r, _| {
                found |= matches!(r, Ref::Key(of, key) if *of == machine.id && key == name);
            });
            found
        };
        Key {
            name: name.to_owned(),
            ty: type_name(&info.ty),
            optional: info.optional,
            step: step.map(|s| s.id.index + 1),
            from: step.and_then(|s| match &s.action {
                Action::Key { from: KeySource::Run(_), .. } => Some("command"),
                Action::Key { from: KeySource::File { .. }, .. } => Some("file"),
                Action::Key { from: KeySource::Value(_), .. } => Some("value"),
                _ => None,
            }),
            used_by: self.program.machines.iter().filter(|m| uses(m)).map(|m| m.label.clone()).collect(),
            place: self.place(info.span),
        }
    }

    /// What a node waits for, but for what comes before it in its machine.
    fn waits(&self, node: Node) -> Vec<Wait> {
        let mut out = Vec::new();
        for (from, why) in self.dag.reasons(node) {
            let (why, name) = match &why.why {
                Why::Sequence => continue,
                Why::From => ("from", None),
                Why::Key(name) => ("key", Some(name.clone())),
                Why::Attr(attr) => ("attribute", Some(attr_name(*attr).to_owned())),
                Why::After => ("after", None),
                Why::Copy => ("copy", None),
            };
            let step = match from {
                Node::Step(id) => Some(id.index + 1),
                _ => None,
            };
            let machine = self.label(from.machine());
            out.push(Wait { what: node_name(node), machine, of: node_name(from), step, why, name });
        }
        out
    }

    /// Text, with what isn't known yet as it is written.
    fn template(&self, template: &Template) -> String {
        let piece = |p: &TemplatePiece| match p {
            TemplatePiece::Literal(text) => text.clone(),
            TemplatePiece::Value(rt) => self.hole(rt),
        };
        template.pieces.iter().map(piece).collect()
    }

    fn value(&self, rt: &Rt) -> String {
        match rt.as_const() {
            Some(value) if !rt.is_secret() => value.to_text(),
            Some(_) | None => self.hole(rt),
        }
    }

    fn hole(&self, rt: &Rt) -> String {
        let text = self.sources.slice(rt.span).trim();
        if text.starts_with("${{") { text.to_owned() } else { format!("${{{{ {text} }}}}") }
    }
}

fn output(program: &Program, output: &program::Output) -> Output {
    Output {
        kind: match output.kind {
            OutputKind::Template => "TEMPLATE",
            OutputKind::Vm => "VM",
            OutputKind::Library => "LIBRARY",
            OutputKind::Ova => "OVA",
            OutputKind::None => "NONE",
        },
        name: output.name.clone(),
        exists: match output.exists {
            Exists::Fail => "fail",
            Exists::Replace => "replace",
            Exists::Keep => "keep",
        },
        off: output.off,
        as_template: output.as_template,
        snapshot: output.snapshot.clone(),
        after: output.after.iter().map(|id| program.machine(*id).label.clone()).collect(),
    }
}

fn kind(action: &Action) -> &'static str {
    match action {
        Action::Run(_) => "RUN",
        Action::Key { .. } => "KEY",
        Action::Copy(_) => "COPY",
        Action::Fetch { .. } => "FETCH",
        Action::Reboot => "REBOOT",
        Action::Wait { .. } => "WAIT",
        Action::Checkpoint(_) => "CHECKPOINT",
        Action::Snapshot(_) => "SNAPSHOT",
    }
}

fn node_name(node: Node) -> &'static str {
    match node {
        Node::Clone(_) => "clone",
        Node::Boot(_) => "start",
        Node::Network(_) => "network",
        Node::Step(_) => "step",
        Node::Export(_) => "export",
        Node::Finish(_) => "finish",
    }
}
