//! An object's fields by name, as Go's decoder finds them: without regard to case, the last one wins.

use crate::diagnostic::{Diagnostic, Problems, did_you_mean};
use crate::source::Span;

use super::codes;
use super::json::{Kind, Member, Part, Value};

/// The fields of one object.
pub(super) struct Fields<'v> {
    /// The object.
    pub(super) span: Span,
    /// What it is, for messages: `a task`.
    what: &'static str,
    members: &'v [Member],
    known: &'static [&'static str],
}

/// A string with its place.
#[derive(Clone, Debug)]
pub(super) struct Words {
    pub(super) span: Span,
    pub(super) parts: Vec<Part>,
}

impl<'v> Fields<'v> {
    /// The fields of an object, once it is known to be one; what it has beside the known ones is reported.
    pub(super) fn of(
        value: &'v Value,
        what: &'static str,
        known: &'static [&'static str],
        problems: &mut Problems,
    ) -> Option<Self> {
        let Kind::Object(members) = &value.kind else {
            problems.push(
                Diagnostic::at(&codes::WRONG_KIND, value.span, format!("{what} should be an object, `{{ … }}`"))
                    .help("nothing in the VMWfile comes from this"),
            );
            return None;
        };
        let fields = Fields { span: value.span, what, members, known };
        for (at, member) in members.iter().enumerate() {
            fields.check(at, member, problems);
        }
        Some(fields)
    }

    fn check(&self, at: usize, member: &Member, problems: &mut Problems) {
        let Some(name) = self.known.iter().find(|k| k.eq_ignore_ascii_case(&member.key)) else {
            let message = format!("{} has no field `{}`", self.what, member.key);
            let near = did_you_mean(&member.key, self.known.iter().copied());
            let help = match near {
                Some(near) => format!("did you mean `{near}`? vmwscript ignored it, and it is left out"),
                None => "vmwscript ignored it, and it is left out".to_owned(),
            };
            problems.push(Diagnostic::at(&codes::UNKNOWN_FIELD, member.key_span, message).help(help));
            return;
        };
        let later = self.members.iter().skip(at + 1).find(|m| m.key.eq_ignore_ascii_case(name));
        if let Some(later) = later {
            problems.push(
                Diagnostic::at(&codes::REPEATED_FIELD, member.key_span, format!("`{name}` stands here twice"))
                    .primary(member.key_span, "without effect")
                    .label(later.key_span, "this one counts"),
            );
        }
    }

    /// The field's value, unless it is absent or null.
    pub(super) fn get(&self, name: &str) -> Option<&'v Value> {
        let member = self.members.iter().rev().find(|m| m.key.eq_ignore_ascii_case(name))?;
        (!matches!(member.value.kind, Kind::Null)).then_some(&member.value)
    }

    /// The place of the field's name, or of the object's opening brace.
    pub(super) fn place(&self, name: &str) -> Span {
        let found = self.members.iter().rev().find(|m| m.key.eq_ignore_ascii_case(name));
        found.map_or(Span { end: self.span.start + 1, ..self.span }, |m| m.key_span)
    }

    /// The field's text; None when it is absent, empty or no text.
    pub(super) fn text(&self, name: &str, problems: &mut Problems) -> Option<Words> {
        let value = self.get(name)?;
        let scalar = match &value.kind {
            Kind::Text(parts) => {
                let empty = parts.iter().all(|p| matches!(p, Part::Literal(t) if t.trim().is_empty()));
                return (!empty).then(|| Words { span: value.span, parts: parts.clone() });
            }
            Kind::Number(text) => Some(text.clone()),
            Kind::Bool(value) => Some(value.to_string()),
            Kind::Null | Kind::List(_) | Kind::Object(_) => None,
        };
        let kept = match &scalar {
            Some(_) => "it is read as text",
            None => "nothing in the VMWfile comes from this",
        };
        problems.push(
            Diagnostic::at(&codes::WRONG_KIND, value.span, format!("`{name}` should be text, in double quotes"))
                .help(kept),
        );
        scalar.map(|text| Words { span: value.span, parts: vec![Part::Literal(text)] })
    }

    /// The field as true or false; false when it is absent.
    pub(super) fn flag(&self, name: &str, problems: &mut Problems) -> bool {
        let Some(value) = self.get(name) else { return false };
        if let Kind::Bool(value) = value.kind {
            return value;
        }
        let text = match &value.kind {
            Kind::Text(parts) => match parts.as_slice() {
                [Part::Literal(text)] => text.trim().to_ascii_lowercase(),
                _ => String::new(),
            },
            Kind::Number(text) => text.clone(),
            Kind::Null | Kind::Bool(_) | Kind::List(_) | Kind::Object(_) => String::new(),
        };
        let yes = matches!(text.as_str(), "true" | "yes" | "1");
        problems.push(
            Diagnostic::at(&codes::WRONG_KIND, value.span, format!("`{name}` should be true or false"))
                .help(format!("it is read as {yes}")),
        );
        yes
    }

    /// The field's items.
    pub(super) fn list(&self, name: &str, problems: &mut Problems) -> Option<&'v [Value]> {
        let value = self.get(name)?;
        if let Kind::List(items) = &value.kind {
            return Some(items);
        }
        problems.push(
            Diagnostic::at(&codes::WRONG_KIND, value.span, format!("`{name}` should be a list, `[ … ]`"))
                .help("nothing in the VMWfile comes from this"),
        );
        None
    }
}
