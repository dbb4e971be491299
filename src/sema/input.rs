//! What comes from outside: ARGs and SECRETs, and the other globals.

use crate::diagnostic::{Diagnostic, Problems, did_you_mean};
use crate::source::Spanned;
use crate::syntax::Keyword;
use crate::syntax::ast::{Body, Expr, Instruction, Text, Type};

use super::check::{Checker, GlobalArg, SecretInfo};
use super::expr::{Scope, check_expr, check_expr_as};
use super::include::{self, Layout};
use super::instruction::Number;
use super::names_scope::Place;
use super::program::{Rt, RtKind, SecretId};
use super::text::{Secrets, Usage};
use super::types::{holds_secret, type_name};
use super::value::Value;
use super::{Purpose, codes, codes_values, value_parse};

/// The longest secret that is made.
const MAX_GENERATED: i64 = 1024;

impl Checker<'_> {
    /// Evaluates the globals, in the order written.
    pub(super) fn globals(&mut self, layout: &Layout, problems: &mut Problems) {
        let mut seen: Vec<&Instruction> = Vec::new();
        let mut args = 0;
        for instruction in &layout.globals {
            let keyword = instruction.keyword.node;
            if !include::may_be_global(keyword) {
                problems.push(outside(instruction, layout));
                continue;
            }
            super::instruction::repeated_flags(instruction, problems);
            let once = keyword.info().place == crate::syntax::table::Place::Placement || keyword == Keyword::Login;
            if once && let Some(first) = seen.iter().find(|s| s.keyword.node == keyword) {
                problems.push(super::stage::given_twice(instruction, first));
                continue;
            }
            seen.push(instruction);
            let what = if keyword == Keyword::Login { "the global LOGIN" } else { "what stands before the first FROM" };
            self.global(instruction, Place::Global { args, what }, problems);
            if let Body::Arg { name, .. } = &instruction.body
                && let Some(index) = self.args.get_index_of(&name.node)
            {
                args = args.max(index + 1);
            }
        }
        self.unknown_args(layout, problems);
    }

    fn global(&mut self, instruction: &Instruction, place: Place, problems: &mut Problems) {
        match &instruction.body {
            Body::Arg { name, ty, default } => {
                if self.args.get(&name.node).is_none_or(|a| a.span != name.span) {
                    return; // declared twice; the first one counts
                }
                let value = self.arg_value(name, ty.as_ref(), default.as_ref(), place, self.inputs.purpose, problems);
                if let Some(arg) = self.args.get_mut(&name.node) {
                    arg.value = value;
                }
            }
            Body::Secret { name, generate } => {
                let length = generate.as_ref().and_then(|text| self.generate_length(text, place, problems));
                if let Some(secret) = self.secrets.get_mut(&name.node).filter(|s| s.span == name.span) {
                    secret.generate = length;
                }
            }
            Body::Placement { value } => {
                let keyword = instruction.keyword.node;
                if let Some(setting) = self.placement_setting(instruction, value.as_ref(), place, problems) {
                    self.placement.insert(keyword, setting);
                }
                self.policy = self.policy_value(instruction, place, problems).or(self.policy.take());
            }
            Body::Login { user, password } => {
                self.login = self.login_value(instruction, user, password.as_ref(), place, problems);
            }
            // INCLUDE has been followed, FROM and ON open stages, and the rest is refused before the first FROM.
            Body::Include { .. } | Body::From { .. } | Body::Output { .. } => {}
            Body::Cpu { .. }
            | Body::Memory { .. }
            | Body::Config { .. }
            | Body::Annotation { .. }
            | Body::Address { .. }
            | Body::Hostname { .. }
            | Body::User { .. }
            | Body::Workdir { .. }
            | Body::Env { .. }
            | Body::Shell { .. } => {}
            Body::On { .. }
            | Body::Disk { .. }
            | Body::Nic { .. }
            | Body::Cdrom { .. }
            | Body::Hardware { .. }
            | Body::Label { .. }
            | Body::Tag { .. }
            | Body::Checkpoint { .. }
            | Body::Snapshot { .. }
            | Body::Seal
            | Body::OnFail { .. }
            | Body::Healthcheck { .. }
            | Body::OnRemove { .. }
            | Body::Serial { .. } => {}
            Body::Run { .. }
            | Body::Key { .. }
            | Body::Copy { .. }
            | Body::Fetch { .. }
            | Body::Reboot
            | Body::Wait { .. }
            | Body::Note { .. } => {}
        }
    }

    fn generate_length(&self, text: &Text, place: Place, problems: &mut Problems) -> Option<u32> {
        let usage = Usage { what: "the length of a secret", secrets: Secrets::Refused("it is a number") };
        let refuse = |value: &Value| {
            Diagnostic::at(
                &codes::BAD_ARGUMENT,
                text.span,
                format!("a secret can't have {} characters", value.to_text()),
            )
            .help(format!("from 1 to {MAX_GENERATED} are possible; 32 are plenty"))
        };
        self.number_in(Number { text, usage, bounds: 1..=MAX_GENERATED }, refuse, place, problems)
    }

    /// The value of an ARG: given, else its default. None after an error.
    pub(super) fn arg_value(
        &self,
        name: &Spanned<String>,
        ty: Option<&Spanned<Type>>,
        default: Option<&Expr>,
        place: Place,
        purpose: Purpose,
        problems: &mut Problems,
    ) -> Option<Rt> {
        if let Some(ty) = ty.filter(|t| holds_secret(&t.node)) {
            problems.push(
                Diagnostic::at(&codes::SECRET_ARG, ty.span, "an ARG can't be a secret")
                    .note("what is given with --arg stands in process lists, shell histories and CI logs")
                    .help(format!("write `SECRET {}`, before the first FROM", name.node)),
            );
            return None;
        }
        let default = match default {
            Some(expr) => Some(self.arg_default(name, ty, expr, place, problems)?),
            None => None,
        };
        let ty = match (ty, &default) {
            (Some(ty), _) => ty.node.clone(),
            (None, Some(rt)) => rt.ty.clone(),
            (None, None) => Type::String,
        };
        if let Some((text, origin)) = self.inputs.args.get(&name.node) {
            return match value_parse::parse_value(&ty, text) {
                Ok(value) => Some(Rt { span: name.span, ty, kind: RtKind::Const(value) }),
                Err(reason) => {
                    problems.push(
                        Diagnostic::at(
                            &codes::BAD_ARG_VALUE,
                            name.span,
                            format!("the value given for `{}` is not of its type, {}", name.node, type_name(&ty)),
                        )
                        .note(reason)
                        .note(format!("it comes from {origin}")),
                    );
                    None
                }
            };
        }
        if let Some(rt) = default {
            return Some(rt);
        }
        match purpose {
            Purpose::Lint => Some(Rt { span: name.span, ty, kind: RtKind::Unset }),
            Purpose::Build => {
                let name_text = &name.node;
                problems.push(
                    Diagnostic::at(
                        &codes::MISSING_ARG,
                        name.span,
                        format!("`{name_text}` has no value and no default"),
                    )
                    .help(format!(
                        "give it with `--arg {name_text}=…`, in a file with `--args FILE`, as the variable \
                             `VMWBUILD_ARG_{name_text}`, or write a default: `ARG {name_text} = …`"
                    )),
                );
                None
            }
        }
    }

    fn arg_default(
        &self,
        name: &Spanned<String>,
        ty: Option<&Spanned<Type>>,
        expr: &Expr,
        place: Place,
        problems: &mut Problems,
    ) -> Option<Rt> {
        let view = self.view(place);
        let scope: &dyn Scope = &view;
        let rt = match ty {
            Some(ty) => check_expr_as(expr, &ty.node, &format!("the default of `{}`", name.node), scope, problems)?,
            None => check_expr(expr, scope, problems)?,
        };
        match rt.kind {
            RtKind::Const(_) | RtKind::Unset => Some(rt),
            _ => {
                let diagnostic = if rt.is_secret() {
                    Diagnostic::at(&codes::SECRET_ARG, expr.span, "an ARG can't be computed from a secret")
                        .help("use the SECRET itself where it is needed")
                } else {
                    Diagnostic::at(
                        &codes_values::NOT_KNOWN_YET,
                        expr.span,
                        "the default of an ARG must be known before the build runs",
                    )
                    .help("use a KEY for what only the running build knows")
                };
                problems.push(diagnostic);
                None
            }
        }
    }

    /// Values that are given for ARGs that don't exist.
    fn unknown_args(&self, layout: &Layout, problems: &mut Problems) {
        let mut names: Vec<&str> = self.args.keys().map(String::as_str).collect();
        for line in layout.stages.iter().flat_map(|s| &s.lines) {
            if let Body::Arg { name, .. } = &line.body {
                names.push(&name.node);
            }
        }
        for (given, (_, origin)) in &self.inputs.args {
            // A variable of the environment may be meant for another file.
            if names.contains(&given.as_str()) || origin.starts_with("VMWBUILD_ARG_") {
                continue;
            }
            let mut diagnostic = Diagnostic::new(&codes::UNKNOWN_ARG, format!("there is no ARG `{given}`"))
                .note(format!("it is given by {origin}"));
            if self.secrets.contains_key(given) {
                diagnostic =
                    diagnostic.help(format!("`{given}` is a SECRET: give it with `--secret id={given},env=…`"));
            } else if let Some(near) = did_you_mean(given, names.iter().copied()) {
                diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
            } else if names.is_empty() {
                diagnostic = diagnostic.help("the file has no ARG at all; declare it, or leave it out");
            } else {
                diagnostic = diagnostic.help(format!("there are {}", super::names::text_list(names.iter().copied())));
            }
            problems.push(diagnostic);
        }
    }

    /// Enters an ARG's or SECRET's name.
    pub(super) fn declare_global(&mut self, name: &Spanned<String>, secret: bool) {
        if secret {
            let id = SecretId(self.secrets.len() as u32);
            self.secrets.insert(name.node.clone(), SecretInfo { id, span: name.span, generate: None });
        } else {
            self.args.insert(name.node.clone(), GlobalArg { span: name.span, value: None });
        }
    }
}

/// An instruction that needs a stage, before any.
fn outside(instruction: &Instruction, layout: &Layout) -> Diagnostic {
    let keyword = instruction.keyword.node;
    let mut diagnostic =
        Diagnostic::at(&codes::OUTSIDE_STAGE, instruction.keyword.span, format!("{keyword} stands outside of a stage"));
    diagnostic = match layout.stages.first() {
        Some(stage) if stage.from.span.source == instruction.span.source && stage.from.span > instruction.span => {
            diagnostic.label(stage.from.span, "the first stage begins here").help("move the line behind the FROM")
        }
        Some(_) | None => diagnostic.help("write `FROM template` before it: what the machine is made from"),
    };
    let diagnostic =
        diagnostic.note("before the first FROM stand ARG, SECRET, INCLUDE, and placement and LOGIN as defaults");
    match layout.stages.is_empty() {
        true => diagnostic.note("a part that other files INCLUDE is looked at as a part of one of them"),
        false => diagnostic,
    }
}
