//! Every text and expression of an instruction.

use crate::syntax::ast::{
    Body, Command, CopySource, Expr, ExprKind, ForOver, Instruction, KeyFrom, OnFail, Piece, Text, WaitFor,
};

/// Every text of an instruction, flags and heredocs included.
pub fn texts<'a>(instruction: &'a Instruction, visit: &mut dyn FnMut(&'a Text)) {
    instruction.flags.iter().filter_map(|f| f.value.as_ref()).for_each(&mut *visit);
    instruction.heredocs.iter().map(|h| &h.body).for_each(&mut *visit);
    match &instruction.body {
        Body::Arg { .. } | Body::Reboot | Body::Seal => {}
        Body::Secret { generate, .. } => generate.iter().for_each(visit),
        Body::Include { path } => visit(path),
        Body::From { source, replicas, .. } => {
            visit(source);
            match replicas.as_ref().map(|r| &r.over) {
                Some(ForOver::Range { from, to }) => [from, to].into_iter().for_each(visit),
                Some(ForOver::Csv(path)) => visit(path),
                Some(ForOver::List(_)) | None => {}
            }
        }
        Body::On { selector: words, .. }
        | Body::Disk { words }
        | Body::Nic { words }
        | Body::Cdrom { words }
        | Body::Tag { words }
        | Body::Shell { argv: words, .. } => words.iter().for_each(visit),
        Body::Output { name, .. } | Body::Checkpoint { name } | Body::Placement { value: name } => {
            name.iter().for_each(visit)
        }
        Body::Memory { size: text }
        | Body::Annotation { text }
        | Body::Hostname { name: text }
        | Body::Workdir { path: text }
        | Body::Note { text }
        | Body::Snapshot { name: text }
        | Body::Serial { count: text } => visit(text),
        Body::Cpu { count, cores } => std::iter::once(count).chain(cores).for_each(visit),
        Body::Hardware { pairs } | Body::Config { pairs } | Body::Label { pairs } | Body::Env { pairs } => {
            pairs.iter().map(|p| &p.value).for_each(visit);
        }
        Body::Address { cidr, gateway, dns, search, device } => {
            cidr.iter().chain(gateway).chain(dns).chain(search).chain(device).for_each(visit);
        }
        Body::Login { user, password } | Body::User { name: user, password } => {
            std::iter::once(user).chain(password).for_each(visit)
        }
        Body::Run { command } | Body::Healthcheck { command } | Body::OnRemove { command } => words(command, visit),
        Body::Key { from, .. } => match from {
            KeyFrom::Run(command) => words(command, visit),
            KeyFrom::File { path, .. } => visit(path),
            KeyFrom::Value(_) => {}
        },
        Body::Copy { sources, dest } => {
            for source in sources {
                match source {
                    CopySource::Path(text) => visit(text),
                    CopySource::Heredoc(_) => {}
                }
            }
            visit(dest);
        }
        Body::Fetch { paths, dest } => paths.iter().chain([dest]).for_each(visit),
        Body::Wait { what } => match what {
            WaitFor::Tools | WaitFor::Ip | WaitFor::Login | WaitFor::Off => {}
            WaitFor::File(text) => visit(text),
            WaitFor::Run(command) => words(command, visit),
        },
        Body::OnFail { action } => match action {
            OnFail::Run(command) => words(command, visit),
            OnFail::Fetch { paths, dest } => paths.iter().chain([dest]).for_each(visit),
            OnFail::Revert(text) => visit(text),
        },
    }
}

fn words<'a>(command: &'a Command, visit: &mut dyn FnMut(&'a Text)) {
    match command {
        Command::Shell(text) => visit(text),
        Command::Exec(argv) => argv.iter().for_each(visit),
        // Its text is the instruction's heredoc.
        Command::Script => {}
    }
}

/// Every expression of an instruction, parts of others included, the whole before its parts.
pub fn exprs<'a>(instruction: &'a Instruction, visit: &mut dyn FnMut(&'a Expr)) {
    match &instruction.body {
        Body::Arg { default: Some(expr), .. } | Body::Key { from: KeyFrom::Value(expr), .. } => parts(expr, visit),
        Body::From { replicas: Some(replicas), .. } => {
            if let ForOver::List(expr) = &replicas.over {
                parts(expr, visit);
            }
        }
        _ => {}
    }
    texts(instruction, &mut |text| {
        for piece in &text.pieces {
            if let Piece::Hole { expr, .. } = piece {
                parts(expr, visit);
            }
        }
    });
}

fn parts<'a>(expr: &'a Expr, visit: &mut dyn FnMut(&'a Expr)) {
    visit(expr);
    match &expr.kind {
        ExprKind::Int(_)
        | ExprKind::Str(_)
        | ExprKind::Bool(_)
        | ExprKind::Duration(_)
        | ExprKind::Size(_)
        | ExprKind::Name(_)
        | ExprKind::Bad => {}
        ExprKind::List(items) => items.iter().for_each(|e| parts(e, visit)),
        ExprKind::Field(inner, _) | ExprKind::Unary(_, inner) | ExprKind::Paren(inner) => parts(inner, visit),
        ExprKind::Index(a, b) | ExprKind::Binary(a, _, b) => {
            parts(a, visit);
            parts(b, visit);
        }
        ExprKind::If { then, cond, other } => [then, cond, other].into_iter().for_each(|e| parts(e, visit)),
        ExprKind::Filter { value, args, .. } => {
            parts(value, visit);
            args.iter().for_each(|e| parts(e, visit));
        }
    }
}
