//! What a FOR runs over.

use std::collections::HashSet;

use indexmap::IndexMap;

use crate::diagnostic::{Diagnostic, Problems};
use crate::source::Span;
use crate::syntax::ast::{Body, Expr, For, ForOver, Text, Type};

use super::check::{Checker, LoopValue};
use super::expr::check_expr;
use super::include::{near_file, normalize};
use super::names_scope::Place;
use super::program::RtKind;
use super::text::{Known, Secrets, Usage, check_static, check_static_text};
use super::types::a_type;
use super::value::Value;
use super::{codes, codes_values};

/// How many replicas a stage may have.
pub const MAX_REPLICAS: usize = 1000;

/// What is known of a FOR.
enum Over {
    Values(Vec<LoopValue>),
    /// Hangs on an ARG without value.
    Unset(Type),
    /// Has an error, which is reported.
    Broken,
}

const BOUND: Usage<'static> = Usage { what: "a bound of FOR", secrets: Secrets::Refused("it is a number") };

const CSV_PATH: Usage<'static> = Usage { what: "the path of FOR's file", secrets: Secrets::Refused("it is a path") };

impl Checker<'_> {
    /// The loop values of a stage: one for each machine that it makes; one [`LoopValue::None`] without FOR.
    pub(super) fn loop_values(&mut self, index: usize, problems: &mut Problems) -> Vec<LoopValue> {
        let Some(stage) = self.stages.get(index) else { return vec![] };
        if let Body::On { selector, .. } = &stage.from.body {
            let words = selector.clone();
            return self.existing_values(index, &words, problems);
        }
        let Body::From { replicas: Some(replicas), .. } = &stage.from.body else { return vec![LoopValue::None] };
        let over = self.over(replicas, problems);
        let Some(stage) = self.stages.get_mut(index) else { return vec![] };
        match over {
            Over::Values(values) => values,
            Over::Unset(ty) => {
                stage.unknown_replicas = true;
                vec![LoopValue::Unset(ty)]
            }
            Over::Broken => {
                stage.unknown_replicas = true;
                vec![LoopValue::Broken]
            }
        }
    }

    /// What the loop variable is where FOR makes no machine.
    pub(super) fn ghost_value(&self, index: usize) -> LoopValue {
        let Some(stage) = self.stages.get(index) else { return LoopValue::Broken };
        let Body::From { replicas: Some(replicas), .. } = &stage.from.body else {
            return if stage.replicated() { LoopValue::Unset(Type::String) } else { LoopValue::None };
        };
        match &replicas.over {
            ForOver::Range { .. } => LoopValue::Unset(Type::Int),
            ForOver::List(expr) => match self.list(expr, &mut Problems::new()) {
                Some((of, _)) => LoopValue::Unset(of),
                None => LoopValue::Broken,
            },
            ForOver::Csv(_) => LoopValue::Broken,
        }
    }

    fn over(&self, replicas: &For, problems: &mut Problems) -> Over {
        let values = match &replicas.over {
            ForOver::Range { from, to } => {
                let (from_value, to_value) = (self.bound(from, problems), self.bound(to, problems));
                let (Some(from_value), Some(to_value)) = (from_value, to_value) else { return Over::Broken };
                let (Known::Value(first), Known::Value(last)) = (from_value, to_value) else {
                    return Over::Unset(Type::Int);
                };
                let count = i128::from(last) - i128::from(first) + 1;
                if count > MAX_REPLICAS as i128 {
                    problems.push(too_many(from.span.to(to.span), &format!("{count}")));
                    return Over::Broken;
                }
                (first..=last).map(|n| LoopValue::Value(Value::Int(n), Type::Int)).collect()
            }
            ForOver::List(expr) => match self.list(expr, problems) {
                None => return Over::Broken,
                Some((of, None)) => return Over::Unset(of),
                Some((of, Some(items))) => {
                    if items.len() > MAX_REPLICAS {
                        problems.push(too_many(expr.span, &items.len().to_string()));
                        return Over::Broken;
                    }
                    items.into_iter().map(|v| LoopValue::Value(v, of.clone())).collect()
                }
            },
            ForOver::Csv(path) => match self.rows(path, problems) {
                Some(rows) => rows,
                None => return Over::Broken,
            },
        };
        if let Some(twice) = duplicate(&values) {
            let what = match replicas.over {
                ForOver::Csv(_) => " in the first column, which names the replicas",
                ForOver::Range { .. } | ForOver::List(_) => "",
            };
            problems.push(
                Diagnostic::at(
                    &codes::DUPLICATE_REPLICA,
                    over_span(replicas),
                    format!("FOR has `{twice}` twice{what}"),
                )
                .help("each value makes one machine, which is known by it; take one out"),
            );
            return Over::Broken;
        }
        Over::Values(values)
    }

    fn bound(&self, text: &Text, problems: &mut Problems) -> Option<Known<i64>> {
        let place = Place::Global { args: usize::MAX, what: "what a FOR runs over" };
        match check_static(text, &Type::Int, BOUND, &self.view(place), problems)? {
            Known::Value(Value::Int(n)) => Some(Known::Value(n)),
            Known::Value(_) => None,
            Known::Unset => Some(Known::Unset),
        }
    }

    /// A list's element type, and its values if they are known.
    fn list(&self, expr: &Expr, problems: &mut Problems) -> Option<(Type, Option<Vec<Value>>)> {
        let place = Place::Global { args: usize::MAX, what: "what a FOR runs over" };
        let rt = check_expr(expr, &self.view(place), problems)?;
        let Type::List(of) = &rt.ty else {
            problems.push(
                Diagnostic::at(
                    &codes::BAD_FOR,
                    expr.span,
                    format!("FOR runs over a list, and this is {}", a_type(&rt.ty)),
                )
                .help("for a range of ints write `1..3`; for text with lines use `| lines`"),
            );
            return None;
        };
        match rt.kind {
            RtKind::Const(Value::List(items)) => Some((of.as_ref().clone(), Some(items))),
            RtKind::Unset => Some((of.as_ref().clone(), None)),
            _ if rt.is_secret() => {
                problems.push(
                    Diagnostic::at(&codes::BAD_FOR, expr.span, "FOR can't run over secrets")
                        .help("a replica is called by its value, in output too"),
                );
                None
            }
            _ => {
                problems.push(
                    Diagnostic::at(
                        &codes_values::NOT_KNOWN_YET,
                        expr.span,
                        "what a FOR runs over must be known before the build runs",
                    )
                    .help("use an ARG of a list type"),
                );
                None
            }
        }
    }

    fn rows(&self, path: &Text, problems: &mut Problems) -> Option<Vec<LoopValue>> {
        let place = Place::Global { args: usize::MAX, what: "what a FOR runs over" };
        let Known::Value(name) = check_static_text(path, CSV_PATH, &self.view(place), problems)? else {
            return None;
        };
        let own = self.sources.get(path.span.source).path.clone();
        let base = own.as_deref().and_then(std::path::Path::parent).unwrap_or(&self.inputs.context);
        let target = normalize(&base.join(&name));
        let bad = |message: String| Diagnostic::at(&codes::BAD_CSV, path.span, message);
        let bytes = match self.files.read(&target) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let mut diagnostic =
                    bad(format!("there is no file `{name}`")).note(format!("looked for {}", target.display()));
                if let Some(near) = near_file(self.files, &target) {
                    diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
                }
                problems.push(diagnostic);
                return None;
            }
            Err(error) => {
                problems.push(bad(format!("`{name}` can't be read: {error}")));
                return None;
            }
        };
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes.as_slice());
        let not_csv = |error: &csv::Error| match error.kind() {
            csv::ErrorKind::UnequalLengths { pos, expected_len, len } => bad(format!(
                "line {} of `{name}` has {len} fields, and the first line {expected_len}",
                pos.as_ref().map_or(0, csv::Position::line)
            )),
            csv::ErrorKind::Utf8 { pos, .. } => {
                bad(format!("line {} of `{name}` is not UTF-8 text", pos.as_ref().map_or(1, csv::Position::line)))
            }
            _ => bad(format!("`{name}` can't be read as CSV: {error}")),
        };
        let columns: Vec<String> = match reader.headers() {
            Ok(headers) => headers.iter().map(|h| h.trim_start_matches('\u{feff}').to_owned()).collect(),
            Err(error) => {
                problems.push(not_csv(&error));
                return None;
            }
        };
        if columns.is_empty() {
            problems.push(bad(format!("`{name}` is empty")).help("its first line names the columns"));
            return None;
        }
        if let Some(column) = columns.iter().find(|c| !super::names::is_name(c)) {
            problems.push(
                bad(format!("the first line of `{name}` must name the columns, and `{column}` can't be a name"))
                    .help("write the columns' names there, of letters, digits and `_`, as they are used in `v.column`"),
            );
            return None;
        }
        if let Some(twice) = columns.iter().enumerate().find(|(i, c)| columns.iter().take(*i).any(|o| o == *c)) {
            problems.push(bad(format!("`{name}` has two columns `{}`", twice.1)));
            return None;
        }
        let mut rows = Vec::new();
        for record in reader.records() {
            match record {
                Ok(record) => {
                    let fields: IndexMap<String, String> =
                        columns.iter().cloned().zip(record.iter().map(str::to_owned)).collect();
                    rows.push(LoopValue::Row(fields));
                }
                Err(error) => {
                    problems.push(not_csv(&error));
                    return None;
                }
            }
            if rows.len() > MAX_REPLICAS {
                problems.push(too_many(path.span, &format!("more than {MAX_REPLICAS}")));
                return None;
            }
        }
        Some(rows)
    }
}

fn over_span(replicas: &For) -> Span {
    match &replicas.over {
        ForOver::Range { from, to } => from.span.to(to.span),
        ForOver::List(expr) => expr.span,
        ForOver::Csv(path) => path.span,
    }
}

fn too_many(span: Span, count: &str) -> Diagnostic {
    Diagnostic::at(&codes::TOO_MANY_REPLICAS, span, format!("this FOR makes {count} machines"))
        .note(format!("a stage has at most {MAX_REPLICAS}"))
        .help("is a bound wrong? Otherwise use several stages")
}

/// The first label that two replicas share.
fn duplicate(values: &[LoopValue]) -> Option<String> {
    let mut seen: HashSet<String> = HashSet::new();
    values.iter().map(LoopValue::label).find(|label| !seen.insert(label.clone()))
}
