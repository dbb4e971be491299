//! Instructions of a stage, one by one, and their flags.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::diagnostic::{Diagnostic, Problems, did_you_mean};
use crate::syntax::ast::{Body, Instruction, Text, Type};
use crate::syntax::table::{FlagValue, Place as Standing};

use super::check::{Checker, LineStep};
use super::codes;
use super::machine::{Making, bad_argument};
use super::names_scope::{Moment, Place};
use super::program::{Template, Via};
use super::text::{Known, Secrets, Usage, check_static, check_static_text, check_text};
use super::value::Value;

/// Why a flag takes no secret.
const FLAG_SECRET: Secrets<'static> = Secrets::Refused("flags are shown with their step");

/// The usage of a flag's value.
pub(super) fn flag_usage(what: &str) -> Usage<'_> {
    Usage { what, secrets: FLAG_SECRET }
}

/// A number that is written, and what it may be.
pub(super) struct Number<'a> {
    pub text: &'a Text,
    pub usage: Usage<'a>,
    pub bounds: RangeInclusive<i64>,
}

/// Flags that stand more than once and mean something once.
pub(super) fn repeated_flags(instruction: &Instruction, problems: &mut Problems) {
    for (index, flag) in instruction.flags.iter().enumerate() {
        if matches!(flag.name.node.as_str(), "after" | "env" | "property") {
            continue;
        }
        if let Some(first) = instruction.flags.iter().take(index).find(|f| f.name.node == flag.name.node) {
            problems.push(
                Diagnostic::new(&codes::REPEATED_FLAG, format!("`--{}` is given twice", flag.name.node))
                    .primary(flag.span, "given again here")
                    .label(first.span, "first given here")
                    .help("keep one of them"),
            );
        }
    }
}

impl Checker<'_> {
    /// One line of a stage.
    pub(super) fn instruction(&mut self, making: &mut Making, instruction: &Instruction, problems: &mut Problems) {
        let keyword = instruction.keyword.node;
        match keyword.info().place {
            Standing::Step if keyword.is_step() => match self.line_step(making.id, making.line) {
                LineStep::Step(index) => {
                    making.network.get_or_insert_with(|| making.context.clone());
                    self.step(making, instruction, Some(index), problems);
                }
                LineStep::LeftOut => self.step(making, instruction, None, problems),
                LineStep::No => {}
            },
            Standing::Step => {
                if let Body::Note { text } = &instruction.body {
                    let place = making.place(Moment::Steps);
                    let usage = Usage { what: "a NOTE", secrets: Secrets::Refused("a NOTE is shown and logged") };
                    making.note = check_text(text, usage, &self.view(place), problems);
                }
            }
            Standing::Anywhere | Standing::Global | Standing::Opens => {}
            Standing::Placement | Standing::Machine | Standing::Setting | Standing::GlobalSetting => {
                if self.setting(making, instruction, problems).is_none() {
                    self.fail(making.id, instruction.span);
                }
            }
            Standing::Hook => {
                if self.hook(making, instruction, problems).is_none() {
                    self.fail(making.id, instruction.span);
                }
            }
        }
    }

    /// A flag's value as text that is known before the build; None if the flag isn't there, or has an error, or
    /// hangs on an ARG without value.
    pub(super) fn flag_text(
        &self,
        instruction: &Instruction,
        flag: &str,
        what: &str,
        place: Place,
        problems: &mut Problems,
    ) -> Option<String> {
        let text = instruction.flag(flag)?.value.as_ref()?;
        check_static_text(text, flag_usage(what), &self.view(place), problems)?.value()
    }

    /// A flag's value that is one of the words which the instruction table lists for it.
    pub(super) fn flag_word(
        &self,
        instruction: &Instruction,
        flag: &str,
        place: Place,
        problems: &mut Problems,
    ) -> Option<String> {
        let given = instruction.flag(flag)?;
        let text = given.value.as_ref()?;
        let what = format!("the value of `--{flag}`");
        let value = check_static_text(text, flag_usage(&what), &self.view(place), problems)?.value()?;
        let Some(FlagValue::OneOf(words)) = instruction.keyword.node.flag(flag).map(|f| f.value) else {
            return Some(value);
        };
        if words.contains(&value.as_str()) {
            return Some(value);
        }
        let mut diagnostic = Diagnostic::at(&codes::BAD_ARGUMENT, text.span, format!("`--{flag}` can't be `{value}`"))
            .note(format!("it is one of {}", super::names::text_list_or(words.iter().copied())));
        if let Some(near) = did_you_mean(&value, words.iter().copied()) {
            diagnostic = diagnostic.meant(text.span, near);
        }
        problems.push(diagnostic);
        None
    }

    /// A flag that is a time span.
    pub(super) fn flag_duration(
        &self,
        instruction: &Instruction,
        flag: &str,
        place: Place,
        problems: &mut Problems,
    ) -> Option<Duration> {
        let text = instruction.flag(flag)?.value.as_ref()?;
        let what = format!("the value of `--{flag}`");
        match check_static(text, &Type::Duration, flag_usage(&what), &self.view(place), problems)? {
            Known::Value(Value::Duration(duration)) if duration.is_zero() && flag != "delay" => {
                problems.push(bad_argument(text.span, format!("`--{flag}` can't be zero")));
                None
            }
            Known::Value(Value::Duration(duration)) => Some(duration),
            Known::Value(_) | Known::Unset => None,
        }
    }

    /// A flag that is a count.
    pub(super) fn flag_count(
        &self,
        instruction: &Instruction,
        flag: &str,
        place: Place,
        problems: &mut Problems,
    ) -> Option<u32> {
        const MOST: i64 = 1000;
        let text = instruction.flag(flag)?.value.as_ref()?;
        let what = format!("the value of `--{flag}`");
        let refuse =
            |value: &Value| bad_argument(text.span, format!("`--{flag}` is from 0 to {MOST}, not {}", value.to_text()));
        self.number_in(Number { text, usage: flag_usage(&what), bounds: 0..=MOST }, refuse, place, problems)
    }

    /// A number that has bounds; `refuse` tells of one that is outside of them.
    pub(super) fn number_in(
        &self,
        number: Number<'_>,
        refuse: impl FnOnce(&Value) -> Diagnostic,
        place: Place,
        problems: &mut Problems,
    ) -> Option<u32> {
        match check_static(number.text, &Type::Int, number.usage, &self.view(place), problems)? {
            Known::Value(Value::Int(n)) if number.bounds.contains(&n) => u32::try_from(n).ok(),
            Known::Value(value) => {
                problems.push(refuse(&value));
                None
            }
            Known::Unset => None,
        }
    }

    /// A flag that is a list of exit codes: `0,2`.
    pub(super) fn flag_codes(
        &self,
        instruction: &Instruction,
        flag: &str,
        place: Place,
        problems: &mut Problems,
    ) -> Option<Vec<i32>> {
        let span = instruction.flag(flag)?.value.as_ref()?.span;
        let text = self.flag_text(instruction, flag, "a list of exit codes", place, problems)?;
        let codes: Result<Vec<i32>, &str> =
            text.split(',').map(|part| part.trim().parse::<i32>().map_err(|_| part)).collect();
        match codes {
            Ok(codes) => Some(codes),
            Err(part) => {
                problems.push(
                    bad_argument(span, format!("`{part}` is no exit code"))
                        .help(format!("write ints with commas between them: `--{flag}=0,2`")),
                );
                None
            }
        }
    }

    /// Text of an instruction, complete when the build runs.
    pub(super) fn text(
        &self,
        text: &Text,
        what: &str,
        secrets: Secrets<'_>,
        place: Place,
        problems: &mut Problems,
    ) -> Option<Template> {
        let usage = Usage { what, secrets };
        let template = check_text(text, usage, &self.view(place), problems)?;
        if template.as_literal() == Some("") {
            problems.push(bad_argument(text.span, format!("{what} is empty")));
            return None;
        }
        if template.as_literal().is_some_and(|t| t.chars().any(char::is_control)) {
            problems.push(
                bad_argument(text.span, format!("{what} has control characters in it"))
                    .help("in `\"…\"` the escape character makes `t` a tab and `n` a line end: write `'…'`"),
            );
            return None;
        }
        Some(template)
    }
}

/// `USER --via=`.
pub(super) fn via(word: Option<&str>) -> Via {
    match word {
        Some("sudo") => Via::Sudo,
        Some("su") => Via::Su,
        Some("runuser") => Via::Runuser,
        Some("doas") => Via::Doas,
        Some(_) | None => Via::Auto,
    }
}
