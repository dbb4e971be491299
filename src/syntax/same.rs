//! Comparing what two files say.

use std::sync::Arc;

use super::ast::{
    Body, Command, CopySource, Expr, ExprKind, File, For, ForOver, Instruction, Item, KeyFrom, OnFail, Pair, Piece,
    Text, WaitFor,
};
use crate::source::{SourceId, Span, Spanned};

/// Whether two files say the same: equal but for where things stand, how literal text is cut into pieces, and how
/// many blank lines stand together (or at the ends of the file).
pub fn same(a: &File, b: &File) -> bool {
    bare(a) == bare(b)
}

const NOWHERE: Span = Span { source: SourceId(0), start: 0, end: 0 };

/// The file without places.
fn bare(file: &File) -> File {
    let mut items: Vec<Item> = Vec::new();
    for item in &file.items {
        let mut item = item.clone();
        match &mut item {
            Item::Blank(span) => {
                if matches!(items.last(), None | Some(Item::Blank(_))) {
                    continue;
                }
                *span = NOWHERE;
            }
            Item::Comment(text) => comment(text),
            Item::Directive { span, .. } => *span = NOWHERE,
            Item::Instruction(instruction) => self::instruction(Arc::make_mut(instruction)),
        }
        items.push(item);
    }
    while matches!(items.last(), Some(Item::Blank(_))) {
        items.pop();
    }
    File { source: SourceId(0), escape: file.escape, items }
}

fn spanned<T>(node: &mut Spanned<T>) {
    node.span = NOWHERE;
}

/// Blanks at a comment's end say nothing.
fn comment(it: &mut Spanned<String>) {
    spanned(it);
    it.node.truncate(it.node.trim_end().len());
}

fn instruction(it: &mut Instruction) {
    it.span = NOWHERE;
    spanned(&mut it.keyword);
    for flag in &mut it.flags {
        flag.span = NOWHERE;
        spanned(&mut flag.name);
        optional(&mut flag.value);
    }
    for doc in &mut it.heredocs {
        doc.marker = NOWHERE;
        doc.end = NOWHERE;
        text(&mut doc.body);
    }
    it.comments.iter_mut().for_each(comment);
    body(&mut it.body);
}

fn optional(it: &mut Option<Text>) {
    if let Some(it) = it {
        text(it);
    }
}

fn texts(list: &mut [Text]) {
    list.iter_mut().for_each(text);
}

fn text(it: &mut Text) {
    it.span = NOWHERE;
    let mut pieces: Vec<Piece> = Vec::with_capacity(it.pieces.len());
    for mut piece in it.pieces.drain(..) {
        match &mut piece {
            Piece::Literal { span, text, quote } => {
                *span = NOWHERE;
                if let Some(Piece::Literal { text: before, quote: same, .. }) = pieces.last_mut()
                    && *same == *quote
                {
                    before.push_str(text);
                    continue;
                }
            }
            Piece::Escaped { span, .. } => *span = NOWHERE,
            Piece::Hole { span, expr, .. } => {
                *span = NOWHERE;
                self::expr(expr);
            }
        }
        pieces.push(piece);
    }
    it.pieces = pieces;
}

fn expr(it: &mut Expr) {
    it.span = NOWHERE;
    match &mut it.kind {
        ExprKind::Int(_)
        | ExprKind::Str(_)
        | ExprKind::Bool(_)
        | ExprKind::Duration(_)
        | ExprKind::Size(_)
        | ExprKind::Name(_)
        | ExprKind::Bad => {}
        ExprKind::List(items) => items.iter_mut().for_each(expr),
        ExprKind::Field(base, name) => {
            expr(base);
            spanned(name);
        }
        ExprKind::Index(base, index) => {
            expr(base);
            expr(index);
        }
        ExprKind::Unary(_, inner) | ExprKind::Paren(inner) => expr(inner),
        ExprKind::Binary(left, op, right) => {
            expr(left);
            spanned(op);
            expr(right);
        }
        ExprKind::If { then, cond, other } => {
            expr(then);
            expr(cond);
            expr(other);
        }
        ExprKind::Filter { value, name, args } => {
            expr(value);
            spanned(name);
            args.iter_mut().for_each(expr);
        }
    }
}

fn pairs(list: &mut [Pair]) {
    for pair in list {
        spanned(&mut pair.key);
        text(&mut pair.value);
    }
}

fn command(it: &mut Command) {
    match it {
        Command::Shell(it) => text(it),
        Command::Exec(argv) => texts(argv),
        Command::Script => {}
    }
}

fn replicas(it: &mut For) {
    it.span = NOWHERE;
    spanned(&mut it.var);
    match &mut it.over {
        ForOver::Range { from, to } => {
            text(from);
            text(to);
        }
        ForOver::List(list) => expr(list),
        ForOver::Csv(path) => text(path),
    }
}

fn body(it: &mut Body) {
    match it {
        Body::Arg { name, ty, default } => {
            spanned(name);
            ty.iter_mut().for_each(spanned);
            default.iter_mut().for_each(expr);
        }
        Body::Secret { name, generate } => {
            spanned(name);
            optional(generate);
        }
        Body::From { source, alias, replicas: over } => {
            text(source);
            alias.iter_mut().for_each(spanned);
            over.iter_mut().for_each(replicas);
        }
        Body::On { selector, alias } => {
            texts(selector);
            alias.iter_mut().for_each(spanned);
        }
        Body::Output { kind, name } => {
            spanned(kind);
            optional(name);
        }
        Body::Cpu { count, cores } => {
            text(count);
            optional(cores);
        }
        Body::Disk { words } | Body::Nic { words } | Body::Cdrom { words } | Body::Tag { words } => texts(words),
        Body::Hardware { pairs: list }
        | Body::Config { pairs: list }
        | Body::Label { pairs: list }
        | Body::Env { pairs: list } => pairs(list),
        Body::Address { cidr, gateway, dns, search, device } => {
            optional(cidr);
            optional(gateway);
            texts(dns);
            texts(search);
            optional(device);
        }
        Body::Login { user, password } | Body::User { name: user, password } => {
            text(user);
            optional(password);
        }
        Body::Include { path: it }
        | Body::Memory { size: it }
        | Body::Annotation { text: it }
        | Body::Hostname { name: it }
        | Body::Workdir { path: it }
        | Body::Note { text: it }
        | Body::Snapshot { name: it }
        | Body::Serial { count: it } => text(it),
        Body::Shell { argv, array: _ } => texts(argv),
        Body::Run { command: it } | Body::Healthcheck { command: it } | Body::OnRemove { command: it } => command(it),
        Body::Key { name, ty, from } => {
            spanned(name);
            ty.iter_mut().for_each(spanned);
            match from {
                KeyFrom::Run(it) => command(it),
                KeyFrom::File { path, delete: _ } => text(path),
                KeyFrom::Value(it) => expr(it),
            }
        }
        Body::Copy { sources, dest } => {
            for source in sources {
                match source {
                    CopySource::Path(path) => text(path),
                    CopySource::Heredoc(_) => {}
                }
            }
            text(dest);
        }
        Body::Fetch { paths, dest } => {
            texts(paths);
            text(dest);
        }
        Body::Checkpoint { name } | Body::Placement { value: name } => optional(name),
        Body::Reboot | Body::Seal => {}
        Body::Wait { what } => match what {
            WaitFor::Tools | WaitFor::Ip | WaitFor::Login | WaitFor::Off => {}
            WaitFor::File(path) => text(path),
            WaitFor::Run(it) => command(it),
        },
        Body::OnFail { action } => match action {
            OnFail::Run(it) => command(it),
            OnFail::Fetch { paths, dest } => {
                texts(paths);
                text(dest);
            }
            OnFail::Revert(name) => text(name),
        },
    }
}

/// Where two files first differ in what they say, for messages of tests.
#[cfg(test)]
pub(crate) fn difference(a: &File, b: &File) -> Option<String> {
    let (a, b) = (bare(a), bare(b));
    let pair = a.items.iter().zip(&b.items).find(|(x, y)| x != y);
    match pair {
        Some((x, y)) => Some(format!("{x:?}\n---\n{y:?}")),
        None if a != b => Some(format!("{} and {} items", a.items.len(), b.items.len())),
        None => None,
    }
}
