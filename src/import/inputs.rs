//! What a playbook asks for: its flags, prompts and variables, as ARGs and SECRETs.

use std::collections::HashMap;

use crate::diagnostic::{Diagnostic, Problems};
use crate::source::Span;

use super::json::{Call, Part};
use super::names::{Names, is_sensitive};
use super::template::{self, Pipeline};
use super::{codes, passwords};

/// The type of an ARG.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ty {
    String,
    Int,
    Bool,
    Ip,
    Cidr,
}

/// An ARG or a SECRET.
#[derive(Clone, Debug)]
pub(super) struct Input {
    pub(super) name: String,
    pub(super) ty: Ty,
    pub(super) default: Option<String>,
    /// What it is for, in the playbook's words.
    pub(super) about: Option<String>,
    pub(super) secret: bool,
    /// Its value is shell text: what an `include` in a command was.
    pub(super) raw: bool,
    /// Whether something in the VMWfile uses it, or may.
    pub(super) used: bool,
    /// Whether vCenter's address does.
    pub(super) for_vcenter: bool,
    pub(super) span: Span,
}

/// A part of a text, calls resolved.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Piece {
    Text(String),
    /// The value of an input.
    Hole(usize),
}

/// What is declared, and what names are in use.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    pub(super) list: Vec<Input>,
    by_variable: HashMap<String, usize>,
    by_flag: HashMap<String, usize>,
    pub(super) names: Names,
}

/// What a pipeline has come to.
#[derive(Default)]
struct Draft {
    flag: Option<String>,
    question: Option<String>,
    ty: Option<Ty>,
    about: Option<String>,
    default: Option<String>,
    begun: bool,
}

impl Inputs {
    /// A call that stands between the parts of the JSON.
    pub(super) fn declare(&mut self, call: &Call, problems: &mut Problems) {
        if let Some(statement) = template::statement(&call.text) {
            left_out(statement, call.span, problems);
            return;
        }
        let known = template::parse(&call.text).filter(|p| p.calls.iter().all(|f| is_known(&f.name)));
        match known {
            Some(pipeline) => {
                let sets = template::sets_variable(&pipeline);
                if let Some(index) = self.run(&pipeline, call.span)
                    && !sets
                    && let Some(input) = self.list.get_mut(index)
                {
                    input.used = true;
                }
            }
            None => problems.push(
                Diagnostic::at(&codes::TEMPLATE_CALL, call.span, "what this call brings in isn't converted")
                    .help("put the text that it brings in here, and convert again"),
            ),
        }
    }

    /// A text with its calls resolved.
    pub(super) fn pieces(&mut self, parts: &[Part], problems: &mut Problems) -> Vec<Piece> {
        let mut out: Vec<Piece> = Vec::new();
        for part in parts {
            match part {
                Part::Literal(text) => push_text(&mut out, text),
                Part::Call(call) => {
                    if let Some(index) = self.value(call, problems) {
                        out.push(Piece::Hole(index));
                    }
                }
            }
        }
        out
    }

    fn value(&mut self, call: &Call, problems: &mut Problems) -> Option<usize> {
        if let Some(statement) = template::statement(&call.text) {
            left_out(statement, call.span, problems);
            return None;
        }
        let pipeline = template::parse(&call.text);
        match pipeline.filter(|p| p.calls.iter().all(|f| is_known(&f.name))) {
            Some(pipeline) => {
                let sets = template::sets_variable(&pipeline);
                let index = self.run(&pipeline, call.span)?;
                (!sets).then_some(index)
            }
            None => Some(self.stand_in(call, problems)),
        }
    }

    /// An ARG for a call that can't be done here.
    fn stand_in(&mut self, call: &Call, problems: &mut Problems) -> usize {
        let written = call.text.trim().trim_matches('-').trim();
        let quoted = written.split(['"', '`']).nth(1).unwrap_or(written);
        let name = self.names.take(quoted.rsplit('/').next().unwrap_or(quoted), "value");
        problems.push(
            Diagnostic::at(&codes::TEMPLATE_CALL, call.span, "this call can't be done here").help(format!(
                "ARG `{name}` stands in its place: give what the call would bring in by `--arg {name}=…`"
            )),
        );
        let about = Some(format!("What `{}` brought in", one_line(written)));
        self.add(Input {
            name,
            ty: Ty::String,
            default: None,
            about,
            secret: false,
            raw: true,
            used: true,
            for_vcenter: false,
            span: call.span,
        })
    }

    fn add(&mut self, input: Input) -> usize {
        self.list.push(input);
        self.list.len() - 1
    }

    /// A SECRET of our own making.
    pub(super) fn add_secret(&mut self, wanted: &str, span: Span) -> usize {
        let name = self.names.take(wanted, "password");
        self.add(Input {
            name,
            ty: Ty::String,
            default: None,
            about: None,
            secret: true,
            raw: false,
            used: true,
            for_vcenter: false,
            span,
        })
    }

    /// An ARG of our own making.
    pub(super) fn add_arg(&mut self, wanted: &str, about: &str, span: Span) -> usize {
        let index = self.add_secret(wanted, span);
        if let Some(input) = self.list.get_mut(index) {
            input.secret = false;
            input.about = Some(about.to_owned());
        }
        index
    }

    /// Does what a pipeline of known functions says; the input that it comes to.
    fn run(&mut self, pipeline: &Pipeline, span: Span) -> Option<usize> {
        let mut draft = Draft::default();
        let mut value = None;
        for function in &pipeline.calls {
            let arg = |n: usize| function.args.get(n).filter(|a| !a.is_empty()).cloned();
            match function.name.as_str() {
                "flag" => {
                    draft.begun = true;
                    draft.flag = arg(0);
                    draft.ty = arg(1).map(|t| ty(&t));
                    draft.about = arg(2);
                    draft.default = arg(3).or(draft.default);
                }
                "prompt" => {
                    draft.begun = true;
                    draft.question = arg(0);
                    draft.ty = draft.ty.or(arg(1).map(|t| ty(&t)));
                    draft.default = draft.default.or(arg(2));
                }
                "" => {
                    draft.begun = true;
                    draft.default = arg(0);
                }
                "env" => {
                    draft.begun = true;
                    draft.about = arg(0).map(|n| format!("The environment variable {n} of vmwscript"));
                    draft.flag = arg(0);
                }
                "var" | "global" => {
                    let variable = arg(0).unwrap_or_default();
                    if function.args.len() > 1 {
                        draft.begun = true;
                        draft.default = arg(1);
                    }
                    if draft.begun {
                        let index = self.finish(std::mem::take(&mut draft), &variable, span);
                        self.by_variable.insert(variable, index);
                        value = Some(index);
                    } else {
                        value = Some(self.variable(&variable, span));
                    }
                }
                name => value = Some(self.variable(name, span)),
            }
        }
        if draft.begun {
            let name = pipeline.assigns.clone().unwrap_or_default();
            value = Some(self.finish(draft, &name, span));
        }
        if let (Some(name), Some(index)) = (&pipeline.assigns, value) {
            self.by_variable.insert(name.clone(), index);
        }
        value
    }

    /// A variable's input; one that nothing sets was given from outside.
    fn variable(&mut self, variable: &str, span: Span) -> usize {
        match self.by_variable.get(variable) {
            Some(index) => *index,
            None => {
                let index = self.finish(Draft::default(), variable, span);
                self.by_variable.insert(variable.to_owned(), index);
                index
            }
        }
    }

    fn finish(&mut self, draft: Draft, variable: &str, span: Span) -> usize {
        if let Some(index) = draft.flag.as_ref().and_then(|f| self.by_flag.get(f)) {
            return *index;
        }
        let short = variable.rsplit('/').next().unwrap_or(variable);
        let wanted = draft.flag.clone().unwrap_or_else(|| short.trim_start_matches('$').to_owned());
        let name = self.names.take(&wanted, "value");
        let in_address = draft.default.as_deref().is_some_and(|d| passwords::in_address(d).is_some());
        let secret = is_sensitive(&wanted) || is_sensitive(short) || in_address;
        let about = draft.about.or(draft.question).map(|t| one_line(&t)).filter(|t| !t.is_empty());
        let (flag, ty) = (draft.flag, draft.ty.unwrap_or(Ty::String));
        let input = Input {
            name,
            ty,
            default: draft.default,
            about,
            secret,
            raw: false,
            used: false,
            for_vcenter: false,
            span,
        };
        let index = self.add(input);
        if let Some(flag) = flag {
            self.by_flag.insert(flag, index);
        }
        index
    }
}

fn is_known(function: &str) -> bool {
    matches!(function, "flag" | "prompt" | "var" | "global" | "env" | "")
        || function.starts_with('$') && function.len() > 1 && !function.contains('.')
}

fn ty(written: &str) -> Ty {
    match written.to_ascii_lowercase().as_str() {
        "int" | "integer" | "uint" | "int64" | "uint64" => Ty::Int,
        "bool" | "boolean" => Ty::Bool,
        _ => Ty::String,
    }
}

fn left_out(statement: &str, span: Span, problems: &mut Problems) {
    problems.push(
        Diagnostic::at(&codes::TEMPLATE_CALL, span, format!("the template's `{statement}` isn't converted"))
            .help("what stands inside it is taken once, as it is; a VMWfile has `--if=` on steps, and FOR on stages"),
    );
}

fn push_text(out: &mut Vec<Piece>, text: &str) {
    match out.last_mut() {
        Some(Piece::Text(last)) => last.push_str(text),
        _ => out.push(Piece::Text(text.to_owned())),
    }
}

/// Blanks and line ends as one blank each.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
