//! Expressions, with canonical blanks. Literals stay as they were written.

use crate::source::Sources;
use crate::syntax::ast::{BinaryOp, Expr, ExprKind, UnaryOp};

/// The expression's text.
pub(super) fn render(expr: &Expr, sources: &Sources) -> String {
    let mut out = String::new();
    write(&mut out, expr, sources);
    out
}

fn write(out: &mut String, expr: &Expr, sources: &Sources) {
    match &expr.kind {
        ExprKind::Int(_)
        | ExprKind::Str(_)
        | ExprKind::Bool(_)
        | ExprKind::Duration(_)
        | ExprKind::Size(_)
        | ExprKind::Bad => out.push_str(sources.slice(expr.span)),
        ExprKind::Name(name) => out.push_str(name),
        ExprKind::List(items) => {
            out.push('[');
            list(out, items, sources);
            out.push(']');
        }
        ExprKind::Field(base, name) => {
            write(out, base, sources);
            out.push('.');
            out.push_str(&name.node);
        }
        ExprKind::Index(base, index) => {
            write(out, base, sources);
            out.push('[');
            write(out, index, sources);
            out.push(']');
        }
        ExprKind::Unary(op, inner) => {
            out.push_str(match op {
                UnaryOp::Neg => "-",
                UnaryOp::Not => "not ",
            });
            write(out, inner, sources);
        }
        ExprKind::Binary(left, op, right) => {
            write(out, left, sources);
            out.push(' ');
            out.push_str(operator(op.node));
            out.push(' ');
            write(out, right, sources);
        }
        ExprKind::If { then, cond, other } => {
            write(out, then, sources);
            out.push_str(" if ");
            write(out, cond, sources);
            out.push_str(" else ");
            write(out, other, sources);
        }
        ExprKind::Filter { value, name, args } => {
            write(out, value, sources);
            out.push_str(" | ");
            out.push_str(&name.node);
            if !args.is_empty() {
                out.push('(');
                list(out, args, sources);
                out.push(')');
            }
        }
        ExprKind::Paren(inner) => {
            out.push('(');
            write(out, inner, sources);
            out.push(')');
        }
    }
}

fn list(out: &mut String, items: &[Expr], sources: &Sources) {
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        write(out, item, sources);
    }
}

fn operator(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Mul => "*",
        BinaryOp::Div => "/",
        BinaryOp::Rem => "%",
        BinaryOp::Add => "+",
        BinaryOp::Sub => "-",
        BinaryOp::Eq => "==",
        BinaryOp::Ne => "!=",
        BinaryOp::Lt => "<",
        BinaryOp::Le => "<=",
        BinaryOp::Gt => ">",
        BinaryOp::Ge => ">=",
        BinaryOp::And => "and",
        BinaryOp::Or => "or",
    }
}
