//! From a written expression to a typed one: names resolved, types checked, constants folded.

use crate::diagnostic::{Diagnostic, Problems, did_you_mean};
use crate::source::{Span, Spanned};
use crate::syntax::ast::{BinaryOp, Expr, ExprKind, Type, UnaryOp};

use super::codes_values as codes;
use super::eval::{Fail, NoEnv, eval_inner};
use super::expr::Scope;
use super::expr_coerce::{coerce, converted};
use super::expr_ops::{binary_type, common_type};
use super::filter::{self, Filter};
use super::program::{Rt, RtKind};
use super::types::{a_type, holds_secret, is_scalar, tainted};
use super::value::Value;
use super::value_parse::parse_value;

/// The deepest expression that is checked.
const MAX_DEPTH: u32 = 200;

/// Checks an expression: every name, type and constant. None when it has errors (they are in `problems`).
pub fn check_expr(expr: &Expr, scope: &dyn Scope, problems: &mut Problems) -> Option<Rt> {
    Checker::new(scope, problems).check(expr, None)
}

/// What a value in shell text says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// Nothing.
    Plain,
    /// `| quote` is the outermost filter.
    Quoted,
    /// `| raw` is.
    Raw,
}

/// [`check_expr`] for a value in shell text, where `| raw` may stand outermost.
pub(super) fn check_hole(expr: &Expr, scope: &dyn Scope, problems: &mut Problems) -> Option<(Rt, Mark)> {
    let outermost = bare(expr);
    let mark = match &outermost.kind {
        ExprKind::Filter { name, .. } => match Filter::named(&name.node) {
            Some(Filter::Raw) => Mark::Raw,
            Some(Filter::Quote) => Mark::Quoted,
            _ => Mark::Plain,
        },
        _ => Mark::Plain,
    };
    let mut checker = Checker::new(scope, problems);
    checker.raw_at = (mark == Mark::Raw).then_some(outermost.span);
    Some((checker.check(expr, None)?, mark))
}

/// Without the parentheses around it.
fn bare(mut expr: &Expr) -> &Expr {
    while let ExprKind::Paren(inner) = &expr.kind {
        expr = inner;
    }
    expr
}

/// Checks an expression whose value must have the type `want` (`what` says whose: "the gateway"). A string literal
/// is read as an ip, a cidr or json where one is wanted; anything but a list becomes text where a string is.
pub fn check_expr_as(expr: &Expr, want: &Type, what: &str, scope: &dyn Scope, problems: &mut Problems) -> Option<Rt> {
    let rt = Checker::new(scope, problems).check(expr, Some(want))?;
    coerce(rt, want, what, problems)
}

/// One expression on its way.
pub(super) struct Checker<'a> {
    pub(super) scope: &'a dyn Scope,
    pub(super) problems: &'a mut Problems,
    /// Inside what `default` looks at: a missing value is no error.
    pub(super) in_default: u32,
    /// In a branch that is not taken: only types count.
    pub(super) dead: u32,
    /// Something was met that may be missing.
    pub(super) may_miss: bool,
    /// How deep the expression is nested.
    depth: u32,
    /// The `| raw` that may be, by its span: the outermost filter of a value in shell text.
    raw_at: Option<Span>,
}

impl<'a> Checker<'a> {
    fn new(scope: &'a dyn Scope, problems: &'a mut Problems) -> Self {
        Checker { scope, problems, in_default: 0, dead: 0, may_miss: false, depth: 0, raw_at: None }
    }

    pub(super) fn report(&mut self, diagnostic: Diagnostic) {
        self.problems.push(diagnostic);
    }

    /// Checks a part. `want` is a wish: the type that literals are read as where they can be.
    pub(super) fn check(&mut self, expr: &Expr, want: Option<&Type>) -> Option<Rt> {
        // The parser bounds the depth far below this; an AST made elsewhere must not overflow the stack either.
        self.depth += 1;
        let rt = if self.depth > MAX_DEPTH {
            self.report(Diagnostic::at(&codes::TOO_DEEP, expr.span, "the expression is nested too deeply"));
            None
        } else {
            self.check_kind(expr, want)
        };
        self.depth -= 1;
        rt
    }

    fn check_kind(&mut self, expr: &Expr, want: Option<&Type>) -> Option<Rt> {
        let span = expr.span;
        let constant = |ty, value| Some(Rt { span, ty, kind: RtKind::Const(value) });
        match &expr.kind {
            ExprKind::Bad => None,
            ExprKind::Int(v) => constant(Type::Int, Value::Int(*v)),
            ExprKind::Bool(v) => constant(Type::Bool, Value::Bool(*v)),
            ExprKind::Duration(v) => constant(Type::Duration, Value::Duration(*v)),
            ExprKind::Size(v) => constant(Type::Size, Value::Size(*v)),
            ExprKind::Str(text) => self.string(span, text, want),
            ExprKind::Paren(inner) => self.check(inner, want),
            ExprKind::List(items) => self.list(span, items, want),
            ExprKind::Name(name) => {
                let resolved = self.scope.resolve(name, span);
                self.resolved(resolved, name, span)
            }
            ExprKind::Field(of, name) => self.field(span, of, name),
            ExprKind::Index(of, index) => self.index(span, of, index),
            ExprKind::Unary(op, of) => self.unary(span, *op, of),
            ExprKind::Binary(left, op, right) => self.binary(span, left, op, right),
            ExprKind::If { then, cond, other } => self.choice(span, then, cond, other, want),
            ExprKind::Filter { value, name, args } => self.filter(span, value, name, args, want),
        }
    }

    /// A string literal, read as what is wanted if that has no literals of its own.
    fn string(&mut self, span: Span, text: &str, want: Option<&Type>) -> Option<Rt> {
        let ty = match want {
            Some(ty @ (Type::Ip | Type::Cidr | Type::Json)) => ty,
            _ => &Type::String,
        };
        match parse_value(ty, text) {
            Ok(value) => Some(Rt { span, ty: ty.clone(), kind: RtKind::Const(value) }),
            Err(reason) => {
                self.report(Diagnostic::at(&codes::BAD_VALUE, span, reason));
                None
            }
        }
    }

    fn list(&mut self, span: Span, items: &[Expr], want: Option<&Type>) -> Option<Rt> {
        let (element, json) = match want {
            Some(Type::List(of)) => (Some(&**of), false),
            Some(Type::Json) => (None, true),
            _ => (None, false),
        };
        let mut parts = Vec::with_capacity(items.len());
        for item in items {
            parts.push(self.check(item, element));
        }
        let parts: Vec<Rt> = parts.into_iter().collect::<Option<_>>()?;
        if json && parts.iter().all(|p| matches!(p.kind, RtKind::Const(_))) {
            let values: Option<Vec<_>> =
                parts.iter().map(|p| if let RtKind::Const(v) = &p.kind { Some(v.to_json()) } else { None }).collect();
            return Some(Rt { span, ty: Type::Json, kind: RtKind::Const(Value::Json(values?.into())) });
        }
        let mut of: Option<(Type, Span)> = None;
        for part in &parts {
            of = match of {
                None => Some((part.ty.clone(), part.span)),
                Some((ty, first)) => match common_type(&ty, &part.ty) {
                    Some(ty) => Some((ty, first)),
                    None => {
                        self.report(
                            Diagnostic::new(&codes::WRONG_TYPE, "a list's elements must have one type")
                                .primary(part.span, format!("this is {}", a_type(&part.ty)))
                                .label(first, format!("this is {}", a_type(&ty))),
                        );
                        return None;
                    }
                },
            };
        }
        let of = of.map(|(ty, _)| ty).or_else(|| element.cloned()).unwrap_or(Type::String);
        let parts = parts.into_iter().map(|p| if p.ty == of { p } else { converted(p, &of) }).collect();
        self.fold(Rt { span, ty: Type::List(Box::new(of)), kind: RtKind::List(parts) })
    }

    fn unary(&mut self, span: Span, op: UnaryOp, of: &Expr) -> Option<Rt> {
        let of = self.check(of, None)?;
        let (ty, name) = match op {
            UnaryOp::Neg => (Type::Int, "-"),
            UnaryOp::Not => (Type::Bool, "not"),
        };
        if of.ty != ty {
            self.report(
                Diagnostic::new(&codes::OPERATION, format!("`{name}` takes {}, not {}", a_type(&ty), a_type(&of.ty)))
                    .primary(of.span, format!("this is {}", a_type(&of.ty))),
            );
            return None;
        }
        self.fold(Rt { span, ty, kind: RtKind::Unary(op, Box::new(of)) })
    }

    fn binary(&mut self, span: Span, left: &Expr, op: &Spanned<BinaryOp>, right: &Expr) -> Option<Rt> {
        let (mut a, mut b);
        // What a constant left side decides, the right side need not have a value for.
        let mut decided = None;
        if matches!(op.node, BinaryOp::And | BinaryOp::Or) {
            a = self.check(left, None);
            if let Some(Rt { kind: RtKind::Const(value @ Value::Bool(v)), .. }) = &a
                && *v == (op.node == BinaryOp::Or)
            {
                decided = Some(value.clone());
            }
            self.dead += u32::from(decided.is_some());
            b = self.check(right, None);
            self.dead -= u32::from(decided.is_some());
        } else {
            a = self.check(left, None);
            b = self.check(right, None);
            if matches!(op.node, BinaryOp::Eq | BinaryOp::Ne) {
                // `ip == "10.0.0.1"`: the literal is an ip.
                a = self.literal_as(a, left, &b);
                b = self.literal_as(b, right, &a);
            }
        }
        let (a, b) = (a?, b?);
        match binary_type(op.node, &a.ty, &b.ty) {
            Ok(ty) if self.dead == 0 && decided.is_some() => {
                Some(Rt { span, ty, kind: RtKind::Const(decided.unwrap_or(Value::Bool(false))) })
            }
            Ok(ty) => self.fold(Rt { span, ty, kind: RtKind::Binary(op.node, Box::new(a), Box::new(b)) }),
            Err(refused) => {
                let code = if refused.secret { &codes::SECRET_COMPARED } else { &codes::OPERATION };
                let mut d = Diagnostic::new(code, refused.message)
                    .primary(op.span, "")
                    .label(a.span, format!("this is {}", a_type(&a.ty)))
                    .label(b.span, format!("this is {}", a_type(&b.ty)));
                d.help = refused.help;
                self.report(d);
                None
            }
        }
    }

    fn literal_as(&mut self, rt: Option<Rt>, expr: &Expr, other: &Option<Rt>) -> Option<Rt> {
        match (&expr.kind, other) {
            (ExprKind::Str(text), Some(Rt { ty: ty @ (Type::Ip | Type::Cidr), .. })) => {
                self.string(expr.span, text, Some(ty))
            }
            _ => rt,
        }
    }

    fn choice(&mut self, span: Span, then: &Expr, cond: &Expr, other: &Expr, want: Option<&Type>) -> Option<Rt> {
        let cond_rt = self.check(cond, Some(&Type::Bool));
        let taken = match &cond_rt {
            Some(Rt { kind: RtKind::Const(Value::Bool(v)), .. }) => Some(*v),
            _ => None,
        };
        let branch = |this: &mut Self, expr: &Expr, is: bool| {
            let dead = u32::from(taken == Some(!is));
            this.dead += dead;
            let rt = this.check(expr, want);
            this.dead -= dead;
            rt
        };
        let a = branch(self, then, true);
        let b = branch(self, other, false);
        let (cond, a, b) = (cond_rt?, a?, b?);
        if cond.ty != Type::Bool {
            self.report(
                Diagnostic::new(&codes::OPERATION, format!("a condition is a bool, not {}", a_type(&cond.ty)))
                    .primary(cond.span, format!("this is {}", a_type(&cond.ty)))
                    .help("compare, as in `x != 0` or `x != \"\"`"),
            );
            return None;
        }
        let text = |ty: &Type| is_scalar(ty) && !holds_secret(ty);
        let ty = match common_type(&a.ty, &b.ty) {
            Some(ty) => ty,
            // Where text is wanted, both become text.
            None if want == Some(&Type::String) && text(&a.ty) && text(&b.ty) => Type::String,
            None => {
                self.report(
                    Diagnostic::new(&codes::WRONG_TYPE, "both sides of `if … else` must have one type")
                        .primary(b.span, format!("this is {}", a_type(&b.ty)))
                        .label(a.span, format!("this is {}", a_type(&a.ty))),
                );
                return None;
            }
        };
        let fit = |rt: Rt| if rt.ty == ty { rt } else { converted(rt, &ty) };
        let (a, b) = (fit(a), fit(b));
        if let (Some(taken), 0) = (taken, self.dead) {
            return Some(Rt { span, ..if taken { a } else { b } });
        }
        let kind = RtKind::If { cond: Box::new(cond), then: Box::new(a), other: Box::new(b) };
        self.fold(Rt { span, ty, kind })
    }

    fn filter(
        &mut self,
        span: Span,
        value: &Expr,
        name: &Spanned<String>,
        args: &[Expr],
        want: Option<&Type>,
    ) -> Option<Rt> {
        let Some(filter) = Filter::named(&name.node) else {
            let names = filter::TABLE.iter().map(|s| s.name);
            let mut d =
                Diagnostic::at(&codes::UNKNOWN_FILTER, name.span, format!("there is no filter `{}`", name.node));
            d = match did_you_mean(&name.node, names.clone()) {
                Some(near) => {
                    d.help(format!("did you mean `{near}`?")).replace(format!("write `{near}`"), false, name.span, near)
                }
                None => d.help(format!("the filters are {}", names.collect::<Vec<_>>().join(", "))),
            };
            self.report(d);
            return None;
        };
        if filter == Filter::Raw && self.raw_at != Some(span) {
            self.report(
                Diagnostic::at(&codes::RAW_MISPLACED, name.span, "`raw` can't stand here")
                    .help("it is the last filter of a value in shell text, and inserts it there as code; leave it out"),
            );
            return None;
        }
        if filter == Filter::Default {
            return self.default(span, value, name, args, want);
        }
        let input = self.check(value, None);
        let signature = filter.signature();
        let required = signature.params.iter().filter(|p| p.default.is_none()).count();
        if args.len() < required || args.len() > signature.params.len() {
            self.wrong_count(signature, name, args.len());
            return None;
        }
        let mut parts = Vec::with_capacity(args.len());
        for (arg, param) in args.iter().zip(signature.params) {
            let part = self.check(arg, param.ty.as_ref()).and_then(|rt| match &param.ty {
                Some(Type::String) if rt.ty == Type::Secret => Some(rt),
                Some(ty) => coerce(rt, ty, &format!("`{}` of `{}`", param.name, signature.name), self.problems),
                None => Some(rt),
            });
            parts.push(part);
        }
        let input = input?;
        let parts: Vec<Rt> = parts.into_iter().collect::<Option<_>>()?;
        match filter.result(&input.ty) {
            Ok(ty) => {
                let ty = if parts.iter().any(Rt::is_secret) { tainted(&ty) } else { ty };
                self.fold(Rt { span, ty, kind: RtKind::Filter(filter, Box::new(input), parts) })
            }
            Err(reason) => {
                let mut d = Diagnostic::new(&codes::FILTER_INPUT, reason)
                    .primary(name.span, "")
                    .label(input.span, format!("this is {}", a_type(&input.ty)));
                if matches!(input.ty, Type::List(_)) {
                    d = d.help("make one text of the list first: `| join(\",\")`, or take an element: `x[0]`");
                }
                self.report(d);
                None
            }
        }
    }

    fn wrong_count(&mut self, signature: &filter::Signature, name: &Spanned<String>, given: usize) {
        let given = match given {
            0 => "none is given".to_owned(),
            1 => "one is given".to_owned(),
            n => format!("{n} are given"),
        };
        self.report(
            Diagnostic::at(
                &codes::FILTER_ARGUMENTS,
                name.span,
                format!("`{}` takes {}, and {given}", signature.name, arguments(signature)),
            )
            .help(format!("write `| {}`", signature.usage())),
        );
    }

    fn default(
        &mut self,
        span: Span,
        value: &Expr,
        name: &Spanned<String>,
        args: &[Expr],
        want: Option<&Type>,
    ) -> Option<Rt> {
        let outer = std::mem::replace(&mut self.may_miss, false);
        self.in_default += 1;
        let input = self.check(value, want);
        self.in_default -= 1;
        let may_miss = std::mem::replace(&mut self.may_miss, outer);
        let [arg] = args else {
            self.wrong_count(Filter::Default.signature(), name, args.len());
            return None;
        };
        let wish = input.as_ref().map(|i| i.ty.clone()).filter(|ty| *ty != Type::Json);
        let fallback = self.check(arg, wish.as_ref());
        let (input, fallback) = (input?, fallback?);
        if !may_miss {
            let mut d =
                Diagnostic::new(&codes::DEFAULT_UNUSED, "this always has a value, so that `default` does nothing")
                    .primary(name.span, "")
                    .label(input.span, "never unset");
            if matches!(value.kind, ExprKind::Name(_)) {
                d = d.help("an ARG's default stands in its own line: `ARG name = …`");
            }
            self.report(d);
        }
        let (ty, input, fallback) = match common_type(&input.ty, &fallback.ty) {
            Some(ty) => {
                let fit = |rt: Rt| if rt.ty == ty { rt } else { converted(rt, &ty) };
                // Wrapping what may be missing keeps it missing.
                (ty.clone(), fit(input), fit(fallback))
            }
            None if input.ty == Type::Json && fallback.ty == Type::String => {
                let as_json = |text: &str| Value::Json(text.into());
                let RtKind::Const(value) = &fallback.kind else {
                    return coerce(fallback, &Type::Json, "`default`'s value", self.problems);
                };
                let kind = RtKind::Const(as_json(&value.to_text()));
                (Type::Json, input, Rt { kind, ty: Type::Json, span: fallback.span })
            }
            None => {
                let ty = input.ty.clone();
                let fallback = coerce(fallback, &ty, "`default`'s value", self.problems)?;
                (ty, input, fallback)
            }
        };
        if self.dead > 0 {
            return Some(Rt { span, ty, kind: RtKind::Unset });
        }
        match &input.kind {
            RtKind::Missing => Some(Rt { span, ..fallback }),
            RtKind::Unset => Some(Rt { span, ty, kind: RtKind::Unset }),
            RtKind::Const(Value::Json(serde_json::Value::Null)) => Some(Rt { span, ..fallback }),
            RtKind::Const(_) => Some(Rt { span, ..input }),
            _ => Some(Rt { span, ty, kind: RtKind::Filter(Filter::Default, Box::new(input), vec![fallback]) }),
        }
    }

    /// Evaluates an operation whose parts are all constants. Parts without a value, or that are missing, make it
    /// the same.
    pub(super) fn fold(&mut self, rt: Rt) -> Option<Rt> {
        if self.dead > 0 {
            return Some(Rt { kind: RtKind::Unset, ..rt });
        }
        // Of these, all parts but the first may turn out not to be asked for.
        let lazy = matches!(rt.kind, RtKind::If { .. } | RtKind::Binary(BinaryOp::And | BinaryOp::Or, ..));
        let mut parts = Parts::default();
        let mut first = true;
        rt.each_part(&mut |part| {
            match part.kind {
                RtKind::Const(_) => {}
                RtKind::Unset => parts.unset = true,
                RtKind::Missing if first || !lazy => parts.missing = true,
                _ => parts.open = true,
            }
            first = false;
        });
        if parts.missing {
            return Some(Rt { kind: RtKind::Missing, ..rt });
        }
        if parts.unset {
            return Some(Rt { kind: RtKind::Unset, ..rt });
        }
        if parts.open {
            return Some(rt);
        }
        match eval_inner(&rt, &NoEnv) {
            Ok(value) => Some(Rt { kind: RtKind::Const(value), ..rt }),
            Err(Fail::Missing(_)) if self.in_default > 0 => Some(Rt { kind: RtKind::Missing, ..rt }),
            Err(fail) => {
                let error = fail.into_error();
                self.report(Diagnostic::at(&codes::NO_RESULT, error.span, error.message));
                None
            }
        }
    }
}

/// What an operation's parts are.
#[derive(Default)]
struct Parts {
    unset: bool,
    missing: bool,
    open: bool,
}

fn arguments(signature: &filter::Signature) -> String {
    let required = signature.params.iter().filter(|p| p.default.is_none()).count();
    match (required, signature.params.len()) {
        (0, 0) => "no argument".into(),
        (1, 1) => "one argument".into(),
        (a, b) if a == b => format!("{a} arguments"),
        (a, b) => format!("{a} or {b} arguments"),
    }
}
