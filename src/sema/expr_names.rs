//! The part of the check that meets names: what stands before a dot or bracket, and what is said when there is none.

use indexmap::IndexMap;

use crate::diagnostic::{Code, Diagnostic, did_you_mean};
use crate::source::{Span, Spanned};
use crate::syntax::ast::{Expr, ExprKind, Type};

use super::codes_values as codes;
use super::expr::{Lookup, Owner, Resolved, Why};
use super::expr_check::Checker;
use super::program::{Ref, Rt, RtKind};
use super::types::a_type;
use super::value::Value;

/// How many names a message lists.
const SHOWN_NAMES: usize = 8;

/// What stands before a dot or a bracket.
enum Before {
    /// With how it is written.
    Owner(Owner, String),
    Row(IndexMap<String, String>),
}

/// Names that other tools give to what has a way of its own here.
fn elsewhere(name: &str) -> Option<&'static str> {
    Some(match name {
        "env" => "a variable of the guest is `$NAME`, in commands; one of the caller's is given by an ARG or a SECRET",
        "secrets" | "secret" => "declare it, `SECRET token` before the first FROM, and write `${{ token }}`",
        "var" | "vars" | "inputs" | "args" | "local" | "locals" | "params" => {
            "declare it, `ARG version` before the first FROM, and write `${{ version }}`"
        }
        "yes" | "no" | "on" | "off" | "True" | "False" | "TRUE" | "FALSE" => "a bool is `true` or `false`",
        "null" | "nil" | "none" | "None" | "undefined" => {
            "there is no such value: leave the default out, or write `\"\"`"
        }
        "item" | "each" | "matrix" => "a stage repeats by `FROM … FOR v IN …`, and `v` is its value",
        _ => return None,
    })
}

impl Checker<'_> {
    /// What the scope said of a name.
    pub(super) fn resolved(&mut self, resolved: Result<Resolved, Lookup>, name: &str, span: Span) -> Option<Rt> {
        match resolved {
            Ok(Resolved::Value { mut rt, optional, declared }) => {
                rt.span = span;
                if let Some(why) = optional {
                    self.may_miss = true;
                    if self.in_default == 0 && self.dead == 0 {
                        self.unset(name, span, &why, declared.as_ref());
                        return None;
                    }
                }
                rt.refs(&mut |of, _| self.may_miss |= matches!(of, Ref::Key(..)));
                if self.dead > 0 {
                    rt.kind = RtKind::Unset;
                }
                Some(rt)
            }
            Ok(Resolved::Never { ty, why }) => {
                self.may_miss = true;
                if self.dead > 0 {
                    return Some(Rt { span, ty, kind: RtKind::Unset });
                }
                if self.in_default > 0 {
                    return Some(Rt { span, ty, kind: RtKind::Missing });
                }
                self.unset(name, span, &why, None);
                None
            }
            Ok(Resolved::Row(columns)) => {
                let map = columns.into_iter().map(|(k, v)| (k, v.into())).collect();
                let kind = if self.dead > 0 {
                    RtKind::Unset
                } else {
                    RtKind::Const(Value::Json(serde_json::Value::Object(map)))
                };
                Some(Rt { span, ty: Type::Json, kind })
            }
            Ok(Resolved::Owner(owner)) => {
                let d = match owner {
                    Owner::Build => {
                        Diagnostic::at(&codes::NOT_A_VALUE, span, format!("`{name}` has no value of its own"))
                            .help("`build.id` and `build.date` have")
                    }
                    Owner::Machine(_) | Owner::Stage(_) | Owner::Replica(..) | Owner::AnyReplica(_) => {
                        Diagnostic::at(&codes::NOT_A_VALUE, span, format!("`{name}` is a machine, which is no value"))
                            .help(format!(
                                "name one of its keys, or `{name}.name`, `.ip`, `.hostname`, `.uuid` or `.moref`"
                            ))
                    }
                };
                self.report(d);
                None
            }
            Err(lookup) => {
                let message = format!("nothing is called `{name}`");
                let lookup = match lookup {
                    // All names are many names: they are asked for only where somebody reads of them.
                    Lookup::UnknownName if self.problems.is_full() => Lookup::Unknown { candidates: Vec::new() },
                    Lookup::UnknownName => Lookup::Unknown { candidates: self.scope.names() },
                    other => other,
                };
                match (lookup, elsewhere(name)) {
                    (Lookup::Unknown { candidates }, Some(help)) if !candidates.iter().any(|c| c.contains(name)) => {
                        self.report(Diagnostic::at(&codes::UNKNOWN_NAME, span, message).help(help));
                    }
                    (lookup, _) => self.lookup(lookup, &codes::UNKNOWN_NAME, &message, name, span),
                }
                None
            }
        }
    }

    fn unset(&mut self, name: &str, span: Span, why: &Why, declared: Option<&Why>) {
        let mut d = Diagnostic::new(&codes::KEY_MAY_BE_UNSET, format!("`{name}` may be unset when it is needed here"))
            .primary(span, "needs a `| default(…)`")
            .label(why.span, why.text.clone())
            .help(format!("say what stands for it then: `{name} | default(\"…\")`"));
        if let Some(declared) = declared.filter(|d| d.span != why.span) {
            d = d.label(declared.span, declared.text.clone());
        }
        self.report(d);
    }

    fn lookup(&mut self, lookup: Lookup, code: &'static Code, message: &str, name: &str, span: Span) {
        match lookup {
            Lookup::Silent | Lookup::UnknownName => {}
            Lookup::Refused(diagnostic) => self.report(*diagnostic),
            Lookup::Unknown { candidates } => {
                let mut d = Diagnostic::at(code, span, message);
                if self.problems.is_full() {
                    return self.report(d);
                }
                match did_you_mean(name, candidates.iter().map(String::as_str)) {
                    Some(near) => {
                        d = d.help(format!("did you mean `{near}`?")).replace(
                            format!("write `{near}`"),
                            false,
                            span,
                            near,
                        );
                    }
                    None if candidates.is_empty() => {}
                    None => {
                        let more = if candidates.len() > SHOWN_NAMES { ", …" } else { "" };
                        let list: Vec<String> = candidates.iter().take(SHOWN_NAMES).map(|c| format!("`{c}`")).collect();
                        d = d.help(format!("there are {}{more}", list.join(", ")));
                        if *code == codes::UNKNOWN_NAME {
                            d = d.note(format!("if it is meant as text, it stands in double quotes: `\"{name}\"`"));
                        }
                    }
                }
                self.report(d);
            }
        }
    }

    /// What stands before a dot or bracket, if it is something that has members. Outer None: reported.
    fn owner(&mut self, expr: &Expr) -> Option<Option<Before>> {
        match &expr.kind {
            ExprKind::Paren(inner) => self.owner(inner),
            ExprKind::Name(name) => match self.scope.resolve(name, expr.span) {
                Ok(Resolved::Owner(owner)) => Some(Some(Before::Owner(owner, name.clone()))),
                Ok(Resolved::Row(columns)) => Some(Some(Before::Row(columns))),
                // Checked again as a value, which costs nothing and reports what there is to report.
                _ => Some(None),
            },
            ExprKind::Index(of, index) => {
                let Some(Before::Owner(Owner::Stage(stage), name)) = self.owner(of)? else { return Some(None) };
                // Which machine is meant decides what the step waits for: it can't be left to the build.
                let at = self.check(index, None)?;
                let label = format!("{name}[…]");
                match at.kind {
                    RtKind::Const(value) => Some(Some(Before::Owner(Owner::Replica(stage, value), label))),
                    RtKind::Unset => Some(Some(Before::Owner(Owner::AnyReplica(stage), label))),
                    _ => {
                        self.report(
                            Diagnostic::new(
                                &codes::NOT_KNOWN_YET,
                                format!("which machine of `{name}` is meant must be known before the build starts"),
                            )
                            .primary(at.span, "known only while it runs")
                            .help("use ARGs, loop variables and constants here"),
                        );
                        None
                    }
                }
            }
            _ => Some(None),
        }
    }

    pub(super) fn field(&mut self, span: Span, of: &Expr, name: &Spanned<String>) -> Option<Rt> {
        match self.owner(of)? {
            Some(Before::Owner(owner, label)) => match self.scope.member(&owner, name) {
                Err(Lookup::Unknown { candidates }) => {
                    let message = match owner {
                        Owner::Build => format!("`build` has no `{}`", name.node),
                        Owner::Machine(_) | Owner::Stage(_) | Owner::Replica(..) | Owner::AnyReplica(_) => {
                            format!("`{label}` has neither a key nor an attribute `{}`", name.node)
                        }
                    };
                    let lookup = Lookup::Unknown { candidates };
                    self.lookup(lookup, &codes::UNKNOWN_MEMBER, &message, &name.node, name.span);
                    None
                }
                answer => self.resolved(answer, &format!("{label}.{}", name.node), span),
            },
            Some(Before::Row(columns)) => match columns.get(&name.node) {
                Some(_) if self.dead > 0 => Some(Rt { span, ty: Type::String, kind: RtKind::Unset }),
                Some(text) => Some(Rt { span, ty: Type::String, kind: RtKind::Const(Value::Str(text.clone())) }),
                None => {
                    let candidates = columns.keys().cloned().collect();
                    let message = format!("the rows have no column `{}`", name.node);
                    let lookup = Lookup::Unknown { candidates };
                    self.lookup(lookup, &codes::UNKNOWN_MEMBER, &message, &name.node, name.span);
                    None
                }
            },
            None => {
                let of = self.check(of, None)?;
                if of.ty != Type::Json {
                    self.report(
                        Diagnostic::new(&codes::NO_FIELDS, format!("{} has no fields", a_type(&of.ty)))
                            .primary(name.span, "only json and machines have")
                            .label(of.span, format!("this is {}", a_type(&of.ty))),
                    );
                    return None;
                }
                self.may_miss = true;
                self.fold(Rt { span, ty: Type::Json, kind: RtKind::Field(Box::new(of), name.node.clone()) })
            }
        }
    }

    pub(super) fn index(&mut self, span: Span, of: &Expr, index: &Expr) -> Option<Rt> {
        if let Some(Before::Owner(owner, label)) = self.owner(of)? {
            let message = match owner {
                Owner::Stage(_) => {
                    self.check(index, None)?;
                    format!("`{label}[…]` is a machine, which is no value")
                }
                Owner::Build | Owner::Machine(_) | Owner::Replica(..) | Owner::AnyReplica(_) => {
                    format!("`{label}` is no list")
                }
            };
            self.report(
                Diagnostic::at(&codes::NOT_A_VALUE, span, message)
                    .help("name a key or an attribute of it, as in `worker[1].ip`"),
            );
            return None;
        }
        let of = self.check(of, None);
        let at = self.check(index, None);
        let (of, at) = (of?, at?);
        let (ty, wanted, fits) = match &of.ty {
            Type::List(element) => ((**element).clone(), "an int, from 0", at.ty == Type::Int),
            Type::Json => {
                self.may_miss = true;
                (Type::Json, "an int, from 0, or a field's name", matches!(at.ty, Type::Int | Type::String))
            }
            other => {
                self.report(
                    Diagnostic::new(&codes::NO_FIELDS, format!("{} has no elements", a_type(other)))
                        .primary(of.span, "only lists and json have"),
                );
                return None;
            }
        };
        if !fits {
            self.report(
                Diagnostic::new(&codes::WRONG_TYPE, format!("an index is {wanted}"))
                    .primary(at.span, format!("this is {}", a_type(&at.ty))),
            );
            return None;
        }
        self.fold(Rt { span, ty, kind: RtKind::Index(Box::new(of), Box::new(at)) })
    }
}
