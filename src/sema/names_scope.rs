//! What names mean at a place: the [`Scope`] that expressions are checked in.

use std::net::IpAddr;

use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::source::{Sources, Span, Spanned};
use crate::syntax::Keyword;
use crate::syntax::ast::Type;

use super::check::{Checker, LoopValue, MachineInfo, StageInfo};
use super::expr::{Lookup, Owner, Resolved, Scope, Why};
use super::program::{Attr, MachineId, Ref, Rt, RtKind, StageId};
use super::value::Value;
use super::{codes, codes_values, names};

/// A place in the file.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// Among the globals, before ARG number `args` (all ARGs that stand before it are declared).
    Global {
        /// How many.
        args: usize,
        /// What it is for, as in "what a FOR runs over".
        what: &'static str,
    },
    /// In a machine's stage.
    Stage {
        /// The machine.
        machine: MachineId,
        /// The line, counted in the stage.
        line: usize,
        /// What can be known there.
        moment: Moment,
    },
}

/// How far a machine has come when a value is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// Before the build runs; what needs that (as in "an OUTPUT's name").
    Before(&'static str),
    /// When it is reconfigured.
    Reconfigured,
    /// When its network is set up.
    Network,
    /// In one of its steps.
    Steps,
    /// In a step that `--if` leaves out: only types matter.
    LeftOut,
}

/// A checker, looked at from a place.
pub(super) struct View<'c, 'a> {
    pub checker: &'c Checker<'a>,
    pub place: Place,
}

impl Scope for View<'_, '_> {
    fn resolve(&self, name: &str, span: Span) -> Result<Resolved, Lookup> {
        match name {
            "build" => return Ok(Resolved::Owner(Owner::Build)),
            "self" => return self.this(span),
            _ => {}
        }
        if let Some(found) = self.local(name, span) {
            return found;
        }
        if let Some(found) = self.global(name, span) {
            return found;
        }
        if let Some(elsewhere) = self.elsewhere(name, span) {
            return Err(Lookup::Refused(Box::new(elsewhere)));
        }
        Err(Lookup::UnknownName)
    }

    fn names(&self) -> Vec<String> {
        let mut out: Vec<String> = Vec::new();
        if let Some((_, stage, line, _)) = self.here() {
            out.extend(stage.loop_var.iter().map(|v| v.node.clone()));
            out.extend(stage.args.iter().filter(|(_, a)| a.line < line).map(|(n, _)| n.clone()));
            out.extend(stage.keys.iter().filter(|(_, k)| k.line < line).map(|(n, _)| n.clone()));
            out.push("self".into());
        }
        out.extend(self.checker.args.keys().cloned());
        out.extend(self.checker.secrets.keys().cloned());
        out.extend(self.checker.stages.iter().filter_map(|s| s.name.as_ref()).map(|n| n.node.clone()));
        out.push("build".into());
        out
    }

    fn member(&self, owner: &Owner, name: &Spanned<String>) -> Result<Resolved, Lookup> {
        if let (Place::Global { what, .. }, false) = (self.place, *owner == Owner::Build) {
            return Err(not_known_before(name, what));
        }
        match owner {
            Owner::Build => self.build(name),
            Owner::Machine(machine) => self.member_of(*machine, name),
            Owner::Stage(stage) => self.member_of_stage(*stage, name),
            Owner::Replica(stage, value) => self.member_of_replica(*stage, value, name),
            Owner::AnyReplica(stage) => {
                let stage = self.stage(*stage)?;
                match self.some_machine(stage) {
                    Some(machine) => Ok(without_value(self.member_of(machine, name)?, name.span)),
                    None => Err(Lookup::Silent),
                }
            }
        }
    }

    fn sources(&self) -> &Sources {
        self.checker.sources
    }
}

fn constant(span: Span, ty: Type, value: Value) -> Rt {
    Rt { span, ty, kind: RtKind::Const(value) }
}

fn unset(span: Span, ty: Type) -> Rt {
    Rt { span, ty, kind: RtKind::Unset }
}

fn plain(rt: Rt) -> Resolved {
    Resolved::Value { rt, optional: None, declared: None }
}

/// The same with a type only.
fn without_value(resolved: Resolved, span: Span) -> Resolved {
    match resolved {
        Resolved::Value { rt, optional, declared } => Resolved::Value { rt: unset(span, rt.ty), optional, declared },
        Resolved::Never { .. } | Resolved::Row(_) | Resolved::Owner(_) => resolved,
    }
}

impl<'c> View<'c, '_> {
    fn here(&self) -> Option<(&'c MachineInfo, &'c StageInfo, usize, Moment)> {
        match self.place {
            Place::Global { .. } => None,
            Place::Stage { machine, line, moment } => {
                let machine = self.checker.machine(machine)?;
                Some((machine, self.checker.stages.get(machine.stage)?, line, moment))
            }
        }
    }

    fn stage(&self, id: StageId) -> Result<&'c StageInfo, Lookup> {
        self.checker.stages.get(id.0 as usize).ok_or(Lookup::Silent)
    }

    /// A machine that shows what members a stage's machines have.
    fn some_machine(&self, stage: &StageInfo) -> Option<MachineId> {
        stage.machines.first().copied().or(stage.ghost)
    }

    fn this(&self, span: Span) -> Result<Resolved, Lookup> {
        match self.here() {
            Some((machine, _, _, _)) => Ok(Resolved::Owner(Owner::Machine(machine.id))),
            None => Err(Lookup::Refused(Box::new(
                Diagnostic::at(&codes::SELF_OUTSIDE_STAGE, span, "there is no machine here for `self` to mean")
                    .help("use it in a stage, after a FROM"),
            ))),
        }
    }

    fn build(&self, name: &Spanned<String>) -> Result<Resolved, Lookup> {
        let text = match name.node.as_str() {
            "id" => &self.checker.inputs.build_id,
            "date" => &self.checker.inputs.build_date,
            _ => return Err(Lookup::Unknown { candidates: vec!["id".into(), "date".into()] }),
        };
        Ok(plain(constant(name.span, Type::String, Value::Str(text.clone()))))
    }

    /// The loop variable, ARGs and KEYs of the stage.
    fn local(&self, name: &str, span: Span) -> Option<Result<Resolved, Lookup>> {
        let (machine, stage, line, moment) = self.here()?;
        if let Some(var) = &stage.loop_var
            && var.node == name
        {
            let declared = Some(Why { span: var.span, text: "the loop variable".into() });
            return Some(match &machine.value {
                LoopValue::None | LoopValue::Broken => Err(Lookup::Silent),
                LoopValue::Value(value, ty) => {
                    Ok(Resolved::Value { rt: constant(span, ty.clone(), value.clone()), optional: None, declared })
                }
                LoopValue::Row(row) => Ok(Resolved::Row(row.clone())),
                LoopValue::Unset(ty) => Ok(Resolved::Value { rt: unset(span, ty.clone()), optional: None, declared }),
            });
        }
        if let Some(arg) = stage.args.get(name) {
            if arg.line >= line {
                return Some(Err(used_before_declared(name, span, arg.span)));
            }
            return Some(match machine.args.get(name) {
                Some(Some(rt)) => Ok(Resolved::Value {
                    rt: Rt { span, ..rt.clone() },
                    optional: None,
                    declared: Some(Why { span: arg.span, text: "declared here".into() }),
                }),
                Some(None) | None => Err(Lookup::Silent),
            });
        }
        if stage.keys.contains_key(name) {
            let _ = moment;
            let spanned = Spanned::new(name.to_owned(), span);
            return Some(self.member_of(machine.id, &spanned));
        }
        None
    }

    fn global(&self, name: &str, span: Span) -> Option<Result<Resolved, Lookup>> {
        if let Some((index, _, arg)) = self.checker.args.get_full(name) {
            if let Place::Global { args, .. } = self.place
                && index >= args
            {
                return Some(Err(used_before_declared(name, span, arg.span)));
            }
            return Some(match &arg.value {
                Some(rt) => Ok(Resolved::Value {
                    rt: Rt { span, ..rt.clone() },
                    optional: None,
                    declared: Some(Why { span: arg.span, text: "declared here".into() }),
                }),
                None => Err(Lookup::Silent),
            });
        }
        if let Some(secret) = self.checker.secrets.get(name) {
            let rt = Rt { span, ty: Type::Secret, kind: RtKind::Ref(Ref::Secret(secret.id)) };
            let declared = Some(Why { span: secret.span, text: "declared here".into() });
            return Some(Ok(Resolved::Value { rt, optional: None, declared }));
        }
        let stage = self.checker.stage_named(name)?;
        Some(Ok(Resolved::Owner(Owner::Stage(self.checker.stage_id(stage)))))
    }

    /// A name that means nothing here, but does with something before it.
    fn elsewhere(&self, name: &str, span: Span) -> Option<Diagnostic> {
        let here = self.here();
        let owner = if here.is_some() && names::ATTRIBUTES.contains(&name) {
            "self".to_owned()
        } else {
            let mut owners = self.checker.stages.iter().filter(|s| s.keys.contains_key(name));
            let owner = owners.next()?.name.as_ref()?.node.clone();
            if owners.next().is_some() {
                return None;
            }
            owner
        };
        let what = if owner == "self" { "an attribute of this machine" } else { "a key of another stage" };
        let mended = format!("{owner}.{name}");
        Some(
            Diagnostic::at(&codes::KEY_OF_OTHER_STAGE, span, format!("`{name}` is {what}"))
                .help(format!("write `{mended}`"))
                .replace(format!("write `{mended}`"), false, span, mended),
        )
    }

    fn member_of_stage(&self, id: StageId, name: &Spanned<String>) -> Result<Resolved, Lookup> {
        let stage = self.stage(id)?;
        let Some(first) = self.some_machine(stage) else { return Err(Lookup::Silent) };
        if !stage.replicated() {
            return self.member_of(first, name);
        }
        if stage.unknown_replicas || stage.machines.is_empty() {
            let known_empty = !stage.unknown_replicas;
            return Ok(match self.member_of(first, name)? {
                Resolved::Value { rt, optional, declared } => {
                    let ty = Type::List(Box::new(rt.ty));
                    let kind = if known_empty { RtKind::Const(Value::List(vec![])) } else { RtKind::Unset };
                    Resolved::Value { rt: Rt { span: name.span, ty, kind }, optional, declared }
                }
                Resolved::Never { ty, why } => Resolved::Never { ty: Type::List(Box::new(ty)), why },
                other @ (Resolved::Row(_) | Resolved::Owner(_)) => other,
            });
        }
        let mut items = Vec::with_capacity(stage.machines.len());
        let mut list_optional = None;
        let mut list_declared = None;
        let mut never = 0;
        let mut item_ty = None;
        for machine in &stage.machines {
            match self.member_of(*machine, name)? {
                Resolved::Value { rt, optional, declared } => {
                    item_ty.get_or_insert_with(|| rt.ty.clone());
                    list_optional = list_optional.or(optional);
                    list_declared = list_declared.or(declared);
                    items.push(rt);
                }
                Resolved::Never { ty, why } => {
                    never += 1;
                    item_ty.get_or_insert_with(|| ty.clone());
                    let kind = RtKind::Ref(Ref::Key(*machine, name.node.clone()));
                    items.push(Rt { span: name.span, ty, kind });
                    list_optional = list_optional.or(Some(why));
                }
                other @ (Resolved::Row(_) | Resolved::Owner(_)) => return Ok(other),
            }
        }
        let ty = Type::List(Box::new(item_ty.unwrap_or(Type::String)));
        if never == items.len()
            && let Some(why) = list_optional
        {
            return Ok(Resolved::Never { ty, why });
        }
        let constants: Option<Vec<Value>> = items
            .iter()
            .map(|i| match &i.kind {
                RtKind::Const(value) => Some(value.clone()),
                _ => None,
            })
            .collect();
        let kind = match constants {
            Some(values) => RtKind::Const(Value::List(values)),
            None => RtKind::List(items),
        };
        Ok(Resolved::Value { rt: Rt { span: name.span, ty, kind }, optional: list_optional, declared: list_declared })
    }

    fn member_of_replica(&self, id: StageId, value: &Value, name: &Spanned<String>) -> Result<Resolved, Lookup> {
        let stage = self.stage(id)?;
        let called = stage.called();
        if !stage.replicated() {
            return Err(Lookup::Refused(Box::new(
                Diagnostic::at(
                    &codes::NO_SUCH_REPLICA,
                    name.span,
                    format!("{called} has no FOR, so it has no replicas"),
                )
                .label(stage.from.span, "one machine is made here")
                .help("leave the index out"),
            )));
        }
        if stage.unknown_replicas {
            let any = Owner::AnyReplica(id);
            return self.member(&any, name);
        }
        if let Some(machine) =
            stage.machines.iter().find(|m| self.checker.machine(**m).is_some_and(|m| m.value.is(value)))
        {
            return self.member_of(*machine, name);
        }
        if let Place::Stage { moment: Moment::LeftOut, .. } = self.place {
            // `--if` may leave the step out for the very reason that there is no such replica.
            return self.member(&Owner::AnyReplica(id), name);
        }
        let values: Vec<String> =
            stage.machines.iter().filter_map(|m| self.checker.machine(*m)).map(|m| m.value.label()).collect();
        let wanted = value.to_text();
        let span = stage.for_span.unwrap_or(stage.from.span);
        let mut diagnostic =
            Diagnostic::at(&codes::NO_SUCH_REPLICA, name.span, format!("{called} has no replica `{wanted}`"));
        diagnostic = diagnostic.label(
            span,
            match values.as_slice() {
                [] => "no replica is made here".to_owned(),
                [one] => format!("the only one is `{one}`"),
                [first, .., last] => format!("there are {}, from `{first}` to `{last}`", values.len()),
            },
        );
        // Of numbers, the nearest in spelling is not what was meant.
        let text = matches!(value, Value::Str(_));
        let near = did_you_mean(&wanted, values.iter().map(String::as_str)).filter(|n| text && *n != wanted);
        if let Some(near) = near {
            diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
        } else if values.contains(&wanted) {
            diagnostic = diagnostic.help("the index must have the type of the loop variable");
        }
        Err(Lookup::Refused(Box::new(diagnostic)))
    }

    /// A key or attribute of a machine.
    fn member_of(&self, id: MachineId, name: &Spanned<String>) -> Result<Resolved, Lookup> {
        let machine = self.checker.machine(id).ok_or(Lookup::Silent)?;
        let stage = self.checker.stages.get(machine.stage).ok_or(Lookup::Silent)?;
        if let Some(resolved) = self.attribute(machine, stage, name) {
            return resolved;
        }
        let Some(key) = stage.keys.get(&name.node) else {
            if stage.broken {
                return Err(Lookup::Silent);
            }
            if names::LATER_ATTRIBUTES.contains(&name.node.as_str()) {
                return Err(Lookup::Refused(Box::new(
                    Diagnostic::at(
                        &codes::NOT_EXECUTED,
                        name.span,
                        format!("the attribute `{}` is reserved for a later version", name.node),
                    )
                    .help(format!("there are {}", names::text_list(names::ATTRIBUTES.iter().copied()))),
                )));
            }
            let mut candidates: Vec<String> = stage.keys.keys().cloned().collect();
            candidates.extend(names::ATTRIBUTES.iter().map(|a| (*a).to_owned()));
            return Err(Lookup::Unknown { candidates });
        };
        if let Some((here, _, line, moment)) = self.here() {
            if let Moment::Before(what) = moment {
                return Err(not_known_before(name, what));
            }
            if here.id == id && key.line >= line {
                return Err(self.before_capture(stage, machine, name, key.span));
            }
        }
        let ty = self.checker.key_type(machine.stage, &name.node).ok_or(Lookup::Silent)?;
        let Some(info) = machine.keys.get(&name.node) else {
            // Without a value in this place's own check (types of keys are found before they are captured).
            return Ok(plain(unset(name.span, ty)));
        };
        let left_out = matches!(self.place, Place::Stage { moment: Moment::LeftOut, .. });
        let declared = Some(Why { span: key.span, text: "captured here".into() });
        if info.left_out {
            // Known before the build: in a step that is left out with it, only the type matters.
            if left_out {
                return Ok(Resolved::Value { rt: unset(name.span, ty), optional: None, declared });
            }
            let why = info.optional.clone().unwrap_or(Why { span: key.span, text: "left out here".into() });
            return Ok(Resolved::Never { ty, why });
        }
        let optional = info.optional.clone().map(|why| Why { span: why.span, text: why.text });
        let rt = Rt { span: name.span, ty, kind: RtKind::Ref(Ref::Key(id, name.node.clone())) };
        Ok(Resolved::Value { rt, optional, declared })
    }

    fn before_capture(&self, stage: &StageInfo, machine: &MachineInfo, name: &Spanned<String>, key: Span) -> Lookup {
        let after = match stage.keys.get(&name.node).and_then(|k| machine.steps_before(k.line)) {
            None | Some(0) => "as its first step".to_owned(),
            Some(n) => format!("after its step {n}"),
        };
        Lookup::Refused(Box::new(
            Diagnostic::new(&codes::KEY_BEFORE_CAPTURE, format!("`{}` is used before it is captured", name.node))
                .primary(name.span, "used here before")
                .label(key, format!("captured here, in {}, {after}", stage.called()))
                .help("a stage's steps run in the order written: move the KEY up, or this line down"),
        ))
    }

    fn attribute(
        &self,
        machine: &MachineInfo,
        stage: &StageInfo,
        name: &Spanned<String>,
    ) -> Option<Result<Resolved, Lookup>> {
        if !names::ATTRIBUTES.contains(&name.node.as_str()) {
            return None;
        }
        if stage.broken {
            return Some(Err(Lookup::Silent));
        }
        let span = name.span;
        let here = self.here();
        if let Some((_, _, _, Moment::Before(what))) = here
            && (name.node != "name" || !machine.prepared)
        {
            return Some(Err(not_known_before(name, what)));
        }
        let Some(attr) = names::attribute(&name.node) else {
            return Some(Ok(plain(match &machine.name {
                Some(text) => constant(span, Type::String, Value::Str(text.clone())),
                None => unset(span, Type::String),
            })));
        };
        let own = here.filter(|(m, _, _, _)| m.id == machine.id);
        let in_address = own.is_some_and(|(_, stage, line, _)| {
            stage.lines.get(line).is_some_and(|i| i.keyword.node == Keyword::Address)
        });
        if own.is_none()
            && let Some(refused) = self.transient(stage, machine, name)
        {
            return Some(Err(Lookup::Refused(Box::new(refused))));
        }
        // An ADDRESS that asks for its own address is told so below.
        if attr == Attr::Ip && !in_address {
            match self.checker.static_ip(machine.id) {
                StaticIp::Known(ip) => return Some(Ok(plain(constant(span, Type::Ip, Value::Ip(ip))))),
                StaticIp::Unset => return Some(Ok(plain(unset(span, Type::Ip)))),
                StaticIp::Broken => return Some(Err(Lookup::Silent)),
                StaticIp::Dynamic => {}
            }
        }
        if let Some((_, _, _, moment)) = own
            && let Some(when) = too_early(attr, moment)
        {
            return Some(Err(Lookup::Refused(Box::new(
                Diagnostic::at(&codes::ATTRIBUTE_TOO_EARLY, span, format!("`{}` is not known yet", name.node))
                    .note(when)
                    .help("use it in a step"),
            ))));
        }
        let ty = if attr == Attr::Ip { Type::Ip } else { Type::String };
        Some(Ok(plain(Rt { span, ty, kind: RtKind::Ref(Ref::Attr(machine.id, attr)) })))
    }

    /// The complaint about an attribute of a machine that doesn't live on.
    fn transient(&self, stage: &StageInfo, machine: &MachineInfo, name: &Spanned<String>) -> Option<Diagnostic> {
        if machine.leaves_running() {
            return None;
        }
        let mut diagnostic = Diagnostic::new(
            &codes::ATTRIBUTE_OF_TRANSIENT,
            format!("{} leaves no running VM, so its `{}` means nothing", stage.called(), name.node),
        )
        .primary(name.span, "asked for here")
        .help("give that stage `OUTPUT VM name`, or capture what you need with a KEY");
        diagnostic = match machine.outputs.first() {
            Some(output) if output.span != stage.from.span => diagnostic.label(output.span, "this is what it leaves"),
            Some(_) | None => diagnostic.label(stage.from.span, "without an OUTPUT it leaves a template or nothing"),
        };
        Some(diagnostic)
    }
}

/// What is known of a machine's address before the build runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StaticIp {
    /// A static ADDRESS.
    Known(IpAddr),
    /// A static ADDRESS that hangs on an ARG without value.
    Unset,
    /// An ADDRESS with errors.
    Broken,
    /// DHCP, none, or one that is known only when the build runs.
    Dynamic,
}

fn too_early(attr: Attr, moment: Moment) -> Option<&'static str> {
    match (moment, attr) {
        (Moment::Before(_) | Moment::Reconfigured, Attr::Uuid | Attr::Moref) => {
            Some("`uuid` and `moref` are known after the clone")
        }
        (Moment::Before(_) | Moment::Reconfigured | Moment::Network, Attr::Ip | Attr::Hostname) => {
            Some("`hostname` and an `ip` that ADDRESS does not fix are known when the guest is ready and ADDRESS done")
        }
        (Moment::Network, Attr::Uuid | Attr::Moref) => None,
        (Moment::Steps | Moment::LeftOut, _) => None,
    }
}

fn not_known_before(name: &Spanned<String>, what: &str) -> Lookup {
    Lookup::Refused(Box::new(
        Diagnostic::at(
            &codes_values::NOT_KNOWN_YET,
            name.span,
            format!("`{}` is not known before the build runs", name.node),
        )
        .note(format!("{what} is decided by then, from ARGs, loop variables, `build.id` and `build.date`"))
        .help("use an ARG"),
    ))
}

fn used_before_declared(name: &str, span: Span, declared: Span) -> Lookup {
    Lookup::Refused(Box::new(
        Diagnostic::new(&codes::USED_BEFORE_DECLARED, format!("`{name}` is used before it is declared"))
            .primary(span, "used here")
            .label(declared, "declared here")
            .help("move the ARG up"),
    ))
}
