//! Operators' precedence, over the flat list that the grammar gives.

use std::collections::VecDeque;

use super::ast::{BinaryOp, Expr, ExprKind, UnaryOp};
use super::codes;
use super::cx::Cx;
use super::expr::{Built, Reported};
use crate::diagnostic::Diagnostic;
use crate::source::{Span, Spanned};

/// An operand or operator.
pub(super) enum Tok {
    Prefix(UnaryOp, Span),
    Operand(Expr),
    Call { name: Spanned<String>, args: Vec<Expr>, span: Span },
    Op(Op, Span),
}

/// An operator between two operands.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Op {
    Binary(BinaryOp),
    If,
    Else,
    Pipe,
}

/// The expression that a list of operands and operators is; `span` is all of it.
pub(super) fn climb(cx: &mut Cx<'_>, toks: VecDeque<Tok>, span: Span) -> Built<Expr> {
    let mut climb = Climb { toks, end: span };
    let result = climb.pipe(cx)?;
    match climb.toks.front() {
        None => Ok(result),
        Some(_) => Err(climb.unexpected(cx)),
    }
}

/// Precedence climbing over a flat list. Its depth is bounded by the limit on an expression's terms.
struct Climb {
    toks: VecDeque<Tok>,
    end: Span,
}

impl Climb {
    fn take(&mut self, wanted: impl Fn(Op) -> bool) -> Option<(Op, Span)> {
        match self.toks.front() {
            Some(Tok::Op(op, span)) if wanted(*op) => {
                let found = (*op, *span);
                self.toks.pop_front();
                Some(found)
            }
            _ => None,
        }
    }

    fn unexpected(&self, cx: &mut Cx<'_>) -> Reported {
        let (span, what) = match self.toks.front() {
            Some(Tok::Prefix(_, span) | Tok::Op(_, span) | Tok::Call { span, .. }) => (*span, cx.slice(*span)),
            Some(Tok::Operand(expr)) => (expr.span, cx.slice(expr.span)),
            None => (self.end.after(), "its end"),
        };
        let diagnostic = Diagnostic::at(&codes::BAD_EXPRESSION, span, format!("`{what}` can't stand here"));
        cx.push(match self.toks.front() {
            Some(Tok::Op(Op::Else, _)) => diagnostic.help("`else` belongs to `x if condition else y`"),
            Some(Tok::Op(Op::Binary(_), _)) => diagnostic.help("comparisons are not chained: join two by `and`"),
            Some(Tok::Prefix(UnaryOp::Not, _)) => diagnostic.help("put parentheses around `not …`"),
            _ => diagnostic.help("use parentheses to say what belongs together"),
        });
        Reported
    }

    fn pipe(&mut self, cx: &mut Cx<'_>) -> Built<Expr> {
        let mut value = self.ternary(cx)?;
        while self.take(|op| op == Op::Pipe).is_some() {
            let (name, args, end) = match self.toks.pop_front() {
                Some(Tok::Call { name, args, span }) => (name, args, span),
                Some(Tok::Operand(Expr { span, kind: ExprKind::Name(name) })) => {
                    (Spanned::new(name, span), Vec::new(), span)
                }
                other => {
                    let span = match other {
                        Some(Tok::Operand(expr)) => expr.span,
                        Some(Tok::Prefix(_, span) | Tok::Op(_, span)) => span,
                        _ => self.end.after(),
                    };
                    let text = cx.slice(span);
                    cx.push(
                        Diagnostic::at(
                            &codes::BAD_EXPRESSION,
                            span,
                            format!("a filter's name stands after `|`, not `{text}`"),
                        )
                        .help("write `value | trim`; for a field of its result, `(value | json).field`"),
                    );
                    return Err(Reported);
                }
            };
            let span = value.span.to(end);
            value = Expr { span, kind: ExprKind::Filter { value: Box::new(value), name, args } };
        }
        Ok(value)
    }

    fn ternary(&mut self, cx: &mut Cx<'_>) -> Built<Expr> {
        let then = self.binary(cx, 0)?;
        let Some((_, at)) = self.take(|op| op == Op::If) else { return Ok(then) };
        let cond = self.binary(cx, 0)?;
        if self.take(|op| op == Op::Else).is_none() {
            cx.push(
                Diagnostic::at(&codes::BAD_EXPRESSION, at, "`if` lacks its `else`")
                    .help("write `x if condition else y`"),
            );
            return Err(Reported);
        }
        let other = self.ternary(cx)?;
        let span = then.span.to(other.span);
        Ok(Expr { span, kind: ExprKind::If { then: Box::new(then), cond: Box::new(cond), other: Box::new(other) } })
    }

    /// Levels from loose to tight: or, and, not, comparison, sum, product, unary.
    fn binary(&mut self, cx: &mut Cx<'_>, level: u8) -> Built<Expr> {
        if level == 2 {
            if let Some(Tok::Prefix(UnaryOp::Not, span)) = self.toks.front() {
                let at = *span;
                self.toks.pop_front();
                let inner = self.binary(cx, 2)?;
                return Ok(Expr { span: at.to(inner.span), kind: ExprKind::Unary(UnaryOp::Not, Box::new(inner)) });
            }
            return self.binary(cx, 3);
        }
        if level == 6 {
            return self.unary(cx);
        }
        let mut left = self.binary(cx, level + 1)?;
        while let Some((Op::Binary(op), at)) = self.take(|op| matches!(op, Op::Binary(b) if level_of(b) == level)) {
            let right = self.binary(cx, level + 1)?;
            let span = left.span.to(right.span);
            left = Expr { span, kind: ExprKind::Binary(Box::new(left), Spanned::new(op, at), Box::new(right)) };
            if level == 3 {
                break;
            }
        }
        Ok(left)
    }

    fn unary(&mut self, cx: &mut Cx<'_>) -> Built<Expr> {
        match self.toks.pop_front() {
            Some(Tok::Prefix(UnaryOp::Neg, at)) => {
                let inner = self.unary(cx)?;
                Ok(Expr { span: at.to(inner.span), kind: ExprKind::Unary(UnaryOp::Neg, Box::new(inner)) })
            }
            Some(Tok::Operand(expr)) => Ok(expr),
            Some(Tok::Call { name, span, args }) => {
                let diagnostic = Diagnostic::at(
                    &codes::BAD_EXPRESSION,
                    span,
                    format!("there are no functions: `{}` is called", name.node),
                );
                cx.push(match args.first() {
                    Some(first) => {
                        let value = cx.slice(first.span);
                        diagnostic.help(format!("a filter stands after its value: `{value} | {}`", name.node))
                    }
                    None => diagnostic.help("a filter stands after its value: `value | filter`"),
                });
                Err(Reported)
            }
            Some(other) => {
                self.toks.push_front(other);
                Err(self.unexpected(cx))
            }
            None => Err(self.unexpected(cx)),
        }
    }
}

fn level_of(op: BinaryOp) -> u8 {
    match op {
        BinaryOp::Or => 0,
        BinaryOp::And => 1,
        BinaryOp::Eq | BinaryOp::Ne | BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge => 3,
        BinaryOp::Add | BinaryOp::Sub => 4,
        BinaryOp::Mul | BinaryOp::Div | BinaryOp::Rem => 5,
    }
}
