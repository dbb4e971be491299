//! For tests: names with values of every kind.

use indexmap::IndexMap;

use crate::diagnostic::{Problems, Style, render_all};
use crate::source::{SourceId, Sources, Span, Spanned};
use crate::syntax::ast::{Expr, ExprKind, Piece, Quote, Text, Type};

use super::eval::Env;
use super::expr::{Lookup, Owner, Resolved, Scope, Why};
use super::program::{Attr, MachineId, Ref, Rt, RtKind, SecretId, StageId};
use super::value::Value;
use super::value_parse::parse_value;

/// The declarations that second labels point at: the first source of every world.
const DECLARATIONS: &str = "SECRET pw\nKEY --if=${{ flag }} maybe FROM RUN true\n";

/// What an expression may name.
pub(super) struct World {
    pub sources: Sources,
    /// Constants are keys instead, whose values the running build gives.
    pub late: bool,
    /// The value of `hostile`, a key.
    pub hostile: String,
}

pub(super) fn list(of: Type) -> Type {
    Type::List(Box::new(of))
}

impl World {
    pub fn new() -> Self {
        let mut sources = Sources::new();
        sources.add("declared", None, DECLARATIONS);
        World { sources, late: false, hostile: String::new() }
    }

    /// Parses an expression, as a source of its own.
    pub fn expr(&mut self, text: &str) -> (Expr, Problems) {
        let id = self.sources.add("expr", None, text);
        let mut problems = Problems::new();
        let expr = crate::syntax::parse_expr(&self.sources, id, &mut problems);
        (expr, problems)
    }

    /// Shell text, prose or a body in which only `${{ … }}` is special, as a source of its own.
    pub fn text(&mut self, text: &str) -> (Text, Problems) {
        let id = self.sources.add("text", None, text);
        let mut problems = Problems::new();
        let mut pieces = Vec::new();
        let mut at = 0;
        while let Some(start) = text[at..].find("${{").map(|i| at + i) {
            let end = text[start..].find("}}").map_or(text.len(), |i| start + i + 2);
            let escaped = text[..start].ends_with('$');
            let literal_end = if escaped { start - 1 } else { start };
            if at < literal_end {
                pieces.push(literal(id, text, at, literal_end));
            }
            if escaped {
                pieces.push(Piece::Escaped { span: Span::new(id, start - 1, start + 3), quote: Quote::Bare });
                at = start + 3;
                continue;
            }
            // A source of the same length, so that the spans fit.
            let inner = format!("{}{}", " ".repeat(start + 3), &text[start + 3..end - 2]);
            let (mut expr, found) = self.expr(&inner);
            respan(&mut expr, id);
            problems.extend(found);
            pieces.push(Piece::Hole { span: Span::new(id, start, end), quote: Quote::Bare, expr });
            at = end;
        }
        if at < text.len() {
            pieces.push(literal(id, text, at, text.len()));
        }
        (Text { span: Span::new(id, 0, text.len()), pieces }, problems)
    }

    pub fn rendered(&self, problems: Problems) -> String {
        render_all(&problems.sorted(), &self.sources, Style::plain())
    }

    fn declared(from: usize, to: usize) -> Span {
        Span::new(SourceId(0), from, to)
    }

    /// The constants, by name.
    pub fn constant(name: &str) -> Option<Value> {
        let (ty, text) = match name {
            "n" => (Type::Int, "2"),
            "m" => (Type::Int, "-7"),
            "zero" => (Type::Int, "0"),
            "min" => (Type::Int, "-9223372036854775808"),
            "max" => (Type::Int, "9223372036854775807"),
            "name" => (Type::String, "web"),
            "path" => (Type::String, "/srv/it's here/a.tar"),
            "digits" => (Type::String, " 42 "),
            "flag" => (Type::Bool, "true"),
            "off" => (Type::Bool, "false"),
            "gw" => (Type::Ip, "10.0.0.1"),
            "net" => (Type::Cidr, "10.0.0.7/24"),
            "net6" => (Type::Cidr, "fd00::/64"),
            "t" => (Type::Duration, "90s"),
            "mem" => (Type::Size, "512MiB"),
            "cfg" => (Type::Json, r#"{"port": 80, "tls": true, "hosts": ["a", "b"], "none": null, "name": "web"}"#),
            "hosts" => (list(Type::String), r#"["a", "b", "c"]"#),
            "nums" => (list(Type::Int), "[3, 1, 2]"),
            _ => return None,
        };
        parse_value(&ty, text).ok()
    }

    fn value(rt: Rt) -> Result<Resolved, Lookup> {
        Ok(Resolved::Value { rt, optional: None, declared: None })
    }

    fn key(name: &str, ty: Type, span: Span) -> Rt {
        Rt { span, ty, kind: RtKind::Ref(Ref::Key(MachineId(0), name.to_owned())) }
    }
}

fn literal(id: SourceId, text: &str, start: usize, end: usize) -> Piece {
    Piece::Literal { span: Span::new(id, start, end), text: text[start..end].to_owned(), quote: Quote::Bare }
}

/// Moves an expression to another source.
fn respan(expr: &mut Expr, id: SourceId) {
    expr.span.source = id;
    match &mut expr.kind {
        ExprKind::List(items) => items.iter_mut().for_each(|e| respan(e, id)),
        ExprKind::Field(of, name) => {
            name.span.source = id;
            respan(of, id);
        }
        ExprKind::Index(a, b) => [a, b].into_iter().for_each(|e| respan(e, id)),
        ExprKind::Unary(_, of) | ExprKind::Paren(of) => respan(of, id),
        ExprKind::Binary(a, op, b) => {
            op.span.source = id;
            [a, b].into_iter().for_each(|e| respan(e, id));
        }
        ExprKind::If { then, cond, other } => [then, cond, other].into_iter().for_each(|e| respan(e, id)),
        ExprKind::Filter { value, name, args } => {
            name.span.source = id;
            respan(value, id);
            args.iter_mut().for_each(|e| respan(e, id));
        }
        ExprKind::Int(_)
        | ExprKind::Str(_)
        | ExprKind::Bool(_)
        | ExprKind::Duration(_)
        | ExprKind::Size(_)
        | ExprKind::Name(_)
        | ExprKind::Bad => {}
    }
}

impl Scope for World {
    fn resolve(&self, name: &str, span: Span) -> Result<Resolved, Lookup> {
        if let Some(value) = World::constant(name) {
            let ty = value.type_of();
            let kind =
                if self.late { RtKind::Ref(Ref::Key(MachineId(0), name.to_owned())) } else { RtKind::Const(value) };
            return World::value(Rt { span, ty, kind });
        }
        match name {
            "pw" => World::value(Rt { span, ty: Type::Secret, kind: RtKind::Ref(Ref::Secret(SecretId(0))) }),
            "token" | "hostile" => World::value(World::key(name, Type::String, span)),
            "port" => World::value(World::key(name, Type::Int, span)),
            "ready" => World::value(World::key(name, Type::Bool, span)),
            "addr" => World::value(World::key(name, Type::Ip, span)),
            "conf" => World::value(World::key(name, Type::Json, span)),
            "words" => World::value(World::key(name, list(Type::String), span)),
            "hidden" => World::value(World::key(name, Type::Secret, span)),
            "maybe" => Ok(Resolved::Value {
                rt: World::key(name, Type::String, span),
                optional: Some(Why { span: World::declared(14, 30), text: "captured only if this holds".into() }),
                declared: Some(Why { span: World::declared(31, 36), text: "captured here".into() }),
            }),
            "never" => Ok(Resolved::Never {
                ty: Type::String,
                why: Why { span: World::declared(14, 30), text: "this is false".into() },
            }),
            "unset" => World::value(Rt { span, ty: Type::Int, kind: RtKind::Unset }),
            "row" => Ok(Resolved::Row(IndexMap::from([
                ("host".to_owned(), "web1".to_owned()),
                ("cpus".to_owned(), "4".to_owned()),
            ]))),
            "build" => Ok(Resolved::Owner(Owner::Build)),
            "self" => Ok(Resolved::Owner(Owner::Machine(MachineId(0)))),
            "manager" => Ok(Resolved::Owner(Owner::Stage(StageId(0)))),
            "worker" => Ok(Resolved::Owner(Owner::Stage(StageId(1)))),
            _ => Err(Lookup::UnknownName),
        }
    }

    fn names(&self) -> Vec<String> {
        let names = ["n", "name", "path", "flag", "hosts", "pw", "token", "port", "manager", "worker", "self"];
        names.map(str::to_owned).to_vec()
    }

    fn member(&self, owner: &Owner, name: &Spanned<String>) -> Result<Resolved, Lookup> {
        let span = name.span;
        let attr = |machine, attr| Rt { span, ty: Type::Ip, kind: RtKind::Ref(Ref::Attr(MachineId(machine), attr)) };
        match (owner, name.node.as_str()) {
            (Owner::Build, "id") => {
                World::value(Rt { span, ty: Type::String, kind: RtKind::Const(Value::Str("b1".into())) })
            }
            (Owner::Build, _) => Err(Lookup::Unknown { candidates: vec!["id".into(), "date".into()] }),
            (Owner::Machine(_) | Owner::Stage(StageId(0)), "token") => {
                World::value(World::key("token", Type::String, span))
            }
            (Owner::Machine(_) | Owner::Stage(StageId(0)), "ip") => World::value(attr(0, Attr::Ip)),
            (Owner::Stage(_), "ip") => World::value(Rt {
                span,
                ty: list(Type::Ip),
                kind: RtKind::List(vec![attr(1, Attr::Ip), attr(2, Attr::Ip)]),
            }),
            (Owner::Replica(_, Value::Int(v @ 1..=2)), "ip") => {
                World::value(attr(u32::try_from(*v).unwrap_or(0), Attr::Ip))
            }
            (Owner::AnyReplica(_), "ip") => World::value(Rt { span, ty: Type::Ip, kind: RtKind::Unset }),
            (Owner::Replica(..), "ip") => Err(Lookup::Unknown { candidates: Vec::new() }),
            _ => Err(Lookup::Unknown { candidates: vec!["ip".into(), "token".into(), "hostname".into()] }),
        }
    }

    fn sources(&self) -> &Sources {
        &self.sources
    }
}

impl Env for World {
    fn get(&self, of: &Ref) -> Option<Value> {
        match of {
            Ref::Secret(_) => Some(Value::Secret("s3cr3t'\"$(x)".into())),
            Ref::Attr(..) => Some(Value::Ip([10, 0, 0, 101].into())),
            Ref::Key(_, name) => World::constant(name).or_else(|| match name.as_str() {
                "token" => Some(Value::Str("tok".into())),
                "hostile" => Some(Value::Str(self.hostile.clone())),
                "port" => Some(Value::Int(8080)),
                "ready" => Some(Value::Bool(true)),
                "addr" => Some(Value::Ip([10, 0, 0, 9].into())),
                "conf" => World::constant("cfg"),
                "words" => World::constant("hosts"),
                "hidden" => Some(Value::Secret("hush".into())),
                _ => None,
            }),
        }
    }
}

/// An expression, shortly: constants as they are, what is open in angle brackets.
pub(super) fn show(rt: &Rt) -> String {
    match &rt.kind {
        RtKind::Const(value) => format!("{value:?}"),
        RtKind::Ref(Ref::Secret(_)) => "<secret>".into(),
        RtKind::Ref(Ref::Key(_, name)) => format!("<{name}>"),
        RtKind::Ref(Ref::Attr(machine, attr)) => format!("<{}.{attr:?}>", machine.0),
        RtKind::Unset => "<unset>".into(),
        RtKind::Missing => "<missing>".into(),
        RtKind::Convert(of) => format!("convert({})", show(of)),
        RtKind::List(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(", ")),
        RtKind::Field(of, name) => format!("{}.{name}", show(of)),
        RtKind::Index(of, at) => format!("{}[{}]", show(of), show(at)),
        RtKind::Unary(op, of) => format!("({op:?} {})", show(of)),
        RtKind::Binary(op, a, b) => format!("({} {op:?} {})", show(a), show(b)),
        RtKind::If { cond, then, other } => format!("({} if {} else {})", show(then), show(cond), show(other)),
        RtKind::Filter(filter, of, args) => {
            format!("{filter:?}({})", std::iter::once(&**of).chain(args).map(show).collect::<Vec<_>>().join(", "))
        }
    }
}
