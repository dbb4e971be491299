//! Every operator, filter and type rule, and what is said when one is broken.

use proptest::prelude::*;

use crate::diagnostic::Problems;
use crate::source::{SourceId, Span, Spanned};
use crate::syntax::ast::{BinaryOp, Expr, ExprKind, Type, UnaryOp};
use crate::syntax::tests::generate::cases;

use super::eval::eval;
use super::expr::{check_expr, check_expr_as};
use super::expr_world::{World, list, show};
use super::filter::{Filter, TABLE};
use super::types::type_name;
use super::value::Value;

/// `expression -> type value` for each, or the diagnostics.
fn table(lines: &[&str]) -> String {
    let mut out = String::new();
    for line in lines {
        let mut world = World::new();
        let (expr, mut problems) = world.expr(line);
        let rt = check_expr(&expr, &world, &mut problems);
        match rt {
            Some(rt) => out.push_str(&format!("{line} -> {} {}\n", type_name(&rt.ty), show(&rt))),
            None if problems.is_empty() => out.push_str(&format!("{line} -> NOTHING SAID\n")),
            None => out.push_str(&format!("{line}\n")),
        }
        out.push_str(&world.rendered(problems));
    }
    out
}

#[test]
fn constants_fold() {
    let out = table(&[
        "7",
        "-7",
        "\"a\\n\"",
        "true",
        "1h30m",
        "512MiB",
        "[1, 2]",
        "[]",
        "(1)",
        "1 + 2 * 3",
        "(1 + 2) * 3",
        "7 / 2",
        "-7 / 2",
        "m % 2",
        "7 - 8",
        "-n * 3",
        "max - 1",
        "min + 1",
        "name + n",
        "n + name",
        "\"a\" + true",
        "name + gw + net",
        "1 + 2 + \"x\" + 1 + 2",
        "mem + t + \"\"",
        "t + t",
        "t - 30s",
        "t * 2",
        "2 * t",
        "t / 3",
        "t / 30s",
        "mem * 2",
        "mem / 2",
        "mem / 128MiB",
        "mem - 12MiB",
        "1 == 1",
        "1 != 1",
        "name == \"web\"",
        "gw == \"10.0.0.1\"",
        "\"10.0.0.2\" != gw",
        "hosts == [\"a\", \"b\", \"c\"]",
        "cfg.port == 80",
        "cfg.name == name",
        "cfg.tls == true",
        "cfg.none == cfg.none",
        "t > 1m",
        "mem <= 512MiB",
        "1 < 2",
        "2 >= 2",
        "not flag",
        "not 1 == 2",
        "flag and off",
        "off or flag",
        "off and 1 / zero == 1",
        "flag or 1 / zero == 1",
        "1 if flag else 2",
        "\"x\" if n > 2 else \"y\"",
        "1 / zero if off else 3",
        "hosts[0]",
        "hosts[n]",
        "[1, 2][1]",
        "cfg.hosts",
        "cfg.hosts[1]",
        "cfg[\"port\"]",
        "cfg.none",
        "cfg.name + 1",
        "row.host",
        "row.cpus | int",
        "row",
        "build.id",
    ]);
    insta::assert_snapshot!(out);
}

#[test]
fn what_is_open_stays_so() {
    let out = table(&[
        "token",
        "port + 1",
        "port + 1 + n * 2",
        "\"p\" + port",
        "not ready",
        "token == \"x\"",
        "conf.a[0].b",
        "conf[token]",
        "words[port]",
        "manager.token",
        "self.ip",
        "worker.ip",
        "worker[1].ip",
        "worker[n - 1].ip",
        "worker.ip[0]",
        "worker.ip | join(\",\")",
        "1 if ready else 2",
        "token if flag else 2",
        "[token, \"x\"]",
        "worker[n - 9].ip if n > 9 else gw",
        "addr == \"10.0.0.1\"",
        "off and ready",
        "ready and off",
        "unset",
        "unset + 1",
        "unset == 1 and flag",
        "1 if unset == 1 else 2",
        "worker[unset].ip",
        "unset / 0",
        "pw",
        "pw + \"x\"",
        "1 + pw",
        "pw | base64",
        "pw | lines",
        "pw | lines | join(\",\")",
        "[pw, \"x\"]",
        "[\"x\", pw][0]",
        "pw if ready else \"none\"",
        "\"a\" | replace(\"a\", pw)",
        "[pw] | json",
    ]);
    insta::assert_snapshot!(out);
}

#[test]
fn defaults() {
    let out = table(&[
        "maybe | default(\"x\")",
        "never | default(\"x\")",
        "(maybe + \"-\") | default(\"x\")",
        "maybe | upper | default(\"x\")",
        "(\"a\" + never) | default(\"x\")",
        "cfg.port | default(80)",
        "cfg.nope | default(80)",
        "cfg.none | default(\"d\")",
        "cfg.nope.deeper[3] | default(\"d\")",
        "conf.port | default(80)",
        "cfg.hosts[9] | default(\"z\")",
        "(never if ready else \"b\") | default(\"x\")",
        "token | default(\"x\")",
        "never | default(pw)",
        "maybe | default(never | default(\"y\"))",
        "(maybe | default(1)) + \"z\"",
        "\"ok\" if flag else maybe",
        "maybe",
        "never",
        "maybe + \"x\"",
        "n | default(3)",
        "maybe | default",
        "maybe | default([1])",
        "maybe | default(1, 2)",
        "self.token | default(\"x\")",
        "port | default(\"x\")",
    ]);
    insta::assert_snapshot!(out);
}

#[test]
fn filters() {
    let out = table(&[
        "path | quote",
        "\"  a b \\n\" | trim",
        "name | upper",
        "\"ÀB\" | lower",
        "\"a.b.c\" | replace(\".\", \"-\")",
        "n | replace(2, \"two\")",
        "\"hello\" | base64",
        "name | json",
        "hosts | json",
        "cfg.hosts | json",
        "n | json",
        "t | json",
        "\"a\\nb\\n\" | lines",
        "\"\" | lines",
        "hosts | join(\"+\")",
        "nums | join(\"\")",
        "[] | join(\",\")",
        "n | pad(3)",
        "m | pad(4)",
        "name | pad(5, \" \")",
        "n | pad(0)",
        "path | basename",
        "path | dirname",
        "\"/\" | basename",
        "\"//\" | dirname",
        "\"a\" | dirname",
        "\"a/b/\" | basename",
        "\"a//b/\" | dirname",
        "\"\" | basename",
        "\"\" | dirname",
        "\"/a\" | dirname",
        "digits | int",
        "cfg.port | int",
        "mem | int",
        "t | int",
        "\"10.0.0.3\" | ip",
        "net | ip",
        "net | host(1)",
        "net | host(-1)",
        "net | host(255)",
        "net6 | host(10)",
        "net | netmask",
        "net6 | netmask",
        "net | prefix",
        "net | host(n) | replace(\".\", \"-\")",
        "1 + 2 | pad(2)",
    ]);
    insta::assert_snapshot!(out);
}

#[test]
fn filter_mistakes() {
    let out = table(&[
        "name | lowr",
        "name | frobnicate",
        "n | host(1)",
        "hosts | upper",
        "name | join(\",\")",
        "pw | int",
        "flag | int",
        "name | replace(\".\")",
        "name | upper(1)",
        "n | pad",
        "n | pad(\"x\")",
        "n | pad(1, 2, 3)",
        "n | pad(-1)",
        "n | pad(1001)",
        "n | pad(3, \"ab\")",
        "name | replace(\"\", \"x\")",
        "name | int",
        "name | ip",
        "net | host(256)",
        "net | host(-257)",
        "hosts | raw",
        "name | raw",
        "(name | raw) + \"x\"",
        "name | replace(hosts, \"x\")",
        "\"10.0.0.1/24\" | prefix",
    ]);
    insta::assert_snapshot!(out);
}

#[test]
fn mistakes() {
    let out = table(&[
        "nme",
        "zzzzzz",
        "manager.tokn",
        "self.zzzzzz",
        "build.uuid",
        "row.hots",
        "manager",
        "self",
        "build",
        "worker[1]",
        "manager.token.x",
        "worker[3].ip",
        "worker[port].ip",
        "self[1].ip",
        "worker[\"x\" * 2].ip",
        "name.first",
        "gw[0]",
        "n[0]",
        "hosts[\"a\"]",
        "cfg[true]",
        "hosts[pw]",
        "hosts[3]",
        "hosts[-1]",
        "[][0]",
        "cfg.nope",
        "cfg.port.x",
        "cfg.hosts[2]",
        "cfg[0]",
        "1 / 0",
        "1 % zero",
        "max + 1",
        "min - 1",
        "-min",
        "max * 2",
        "min / -1",
        "t / 0",
        "t - 2m",
        "mem - 1GiB",
        "t * -1",
        "mem / 0MiB",
        "t / 0s",
        "name * 2",
        "name - 1",
        "flag + 1",
        "flag + true",
        "gw + 1",
        "hosts + 1",
        "hosts + hosts",
        "t + mem",
        "t + 1",
        "mem * mem",
        "name < \"x\"",
        "1 < \"2\"",
        "gw < gw",
        "cfg.port < 3",
        "1 == \"1\"",
        "flag == 1",
        "gw == net",
        "gw == \"nonsense\"",
        "pw == \"x\"",
        "pw < pw",
        "[pw] == [\"x\"]",
        "1 and flag",
        "flag or name",
        "not n",
        "-name",
        "-t",
        "1 if n else 2",
        "1 if flag else \"x\"",
        "[1, \"x\"]",
        "nme + other + n * name",
        "maybe if nme else 2",
        "off and nme",
        "1 if flag else 1 * name",
    ]);
    insta::assert_snapshot!(out);
}

#[test]
fn wanted_types() {
    let mut out = String::new();
    for (text, want) in [
        ("\"10.0.0.1\"", Type::Ip),
        ("\"10.0.0.300\"", Type::Ip),
        ("\"10.0.0.1/8\" if ready else \"10.0.0.2/8\"", Type::Cidr),
        ("[\"10.0.0.1\", \"::1\"]", list(Type::Ip)),
        ("[]", list(Type::Int)),
        ("\"{\\\"a\\\": 1}\"", Type::Json),
        ("[1, \"a\", [true]]", Type::Json),
        ("5", Type::Json),
        ("port", Type::Json),
        ("\"5\"", Type::Int),
        ("digits", Type::Int),
        ("token", Type::Ip),
        ("net", Type::Ip),
        ("n", Type::String),
        ("port", Type::String),
        ("1 if ready else \"x\"", Type::String),
        ("worker.ip", list(Type::String)),
        ("pw", Type::String),
        ("token", Type::Secret),
        ("name", Type::Secret),
        ("hosts", list(Type::Secret)),
        ("512", Type::Size),
        ("90", Type::Duration),
        ("hosts", Type::String),
        ("name", list(Type::String)),
        ("nums", Type::Int),
        ("unset", Type::String),
        ("maybe | default(\"10.0.0.1\")", Type::String),
    ] {
        let mut world = World::new();
        let (expr, mut problems) = world.expr(text);
        let rt = check_expr_as(&expr, &want, "the gateway", &world, &mut problems);
        let found = rt.map_or("-".into(), |rt| format!("{} {}", type_name(&rt.ty), show(&rt)));
        out.push_str(&format!("{text} as {} -> {found}\n{}", type_name(&want), world.rendered(problems)));
    }
    insta::assert_snapshot!(out);
}

#[test]
fn every_filter_has_its_row_and_its_example_is_true() {
    for signature in TABLE {
        assert_eq!(signature.filter.signature().name, signature.name);
        assert_eq!(Filter::named(signature.name), Some(signature.filter));
        let (text, wanted) = signature.example;
        let text = text.replace("config.", "cfg.").replace("network", "net").replace("address", "\"10.0.0.101\"");
        if signature.filter == Filter::Raw {
            continue;
        }
        let mut world = World::new();
        let (expr, mut problems) = world.expr(&text);
        let rt = check_expr(&expr, &world, &mut problems);
        assert!(problems.is_empty(), "{text}: {}", world.rendered(problems));
        let value = rt.and_then(|rt| eval(&rt, &world).ok()).map(|v| v.to_text());
        assert_eq!(value.as_deref(), Some(wanted), "{text}");
    }
}

fn leaf() -> impl Strategy<Value = ExprKind> {
    let name = |names: &'static [&'static str]| prop::sample::select(names).prop_map(|n| ExprKind::Name(n.to_owned()));
    prop_oneof![
        any::<i64>().prop_map(ExprKind::Int),
        (-3i64..4).prop_map(ExprKind::Int),
        "[ -~]{0,4}".prop_map(ExprKind::Str),
        any::<bool>().prop_map(ExprKind::Bool),
        (0u64..100).prop_map(|s| ExprKind::Duration(std::time::Duration::from_secs(s))),
        prop::sample::select(vec![0u64, 1, 1024, 1 << 29, u64::MAX]).prop_map(ExprKind::Size),
        name(&["n", "m", "zero", "min", "max"]),
        name(&["name", "path", "digits", "flag", "off", "gw", "net", "net6", "t", "mem", "cfg", "hosts", "nums"]),
        name(&[
            "pw", "token", "port", "ready", "conf", "words", "maybe", "never", "unset", "row", "self", "worker",
            "build", "nope"
        ]),
    ]
}

/// Expressions whose names and constants are all sorts of things; most are wrong somewhere.
fn expression() -> impl Strategy<Value = Expr> {
    let node = |kind| Expr { span: Span::new(SourceId(0), 0, 1), kind };
    let at = Span::new(SourceId(0), 0, 1);
    leaf().prop_map(node).prop_recursive(5, 40, 4, move |inner| {
        let ops = [
            BinaryOp::Mul,
            BinaryOp::Div,
            BinaryOp::Rem,
            BinaryOp::Add,
            BinaryOp::Sub,
            BinaryOp::Eq,
            BinaryOp::Ne,
            BinaryOp::Lt,
            BinaryOp::Le,
            BinaryOp::Gt,
            BinaryOp::Ge,
            BinaryOp::And,
            BinaryOp::Or,
        ];
        let bx = |e: Expr| Box::new(e);
        prop_oneof![
            3 => (inner.clone(), prop::sample::select(ops.to_vec()), inner.clone())
                .prop_map(move |(a, op, b)| ExprKind::Binary(bx(a), Spanned::new(op, at), bx(b))),
            1 => (any::<bool>(), inner.clone()).prop_map(move |(neg, e)| {
                ExprKind::Unary(if neg { UnaryOp::Neg } else { UnaryOp::Not }, bx(e))
            }),
            1 => (inner.clone(), inner.clone(), inner.clone())
                .prop_map(move |(then, cond, other)| ExprKind::If { then: bx(then), cond: bx(cond), other: bx(other) }),
            1 => prop::collection::vec(inner.clone(), 0..3).prop_map(ExprKind::List),
            1 => (inner.clone(), prop::sample::select(vec!["port", "hosts", "none", "ip", "token", "host"]))
                .prop_map(move |(e, f)| ExprKind::Field(bx(e), Spanned::new(f.to_owned(), at))),
            1 => (inner.clone(), inner.clone()).prop_map(move |(e, i)| ExprKind::Index(bx(e), bx(i))),
            3 => (inner.clone(), prop::sample::select(TABLE), prop::collection::vec(inner, 0..3)).prop_map(
                move |(value, signature, args)| ExprKind::Filter {
                    value: bx(value),
                    name: Spanned::new(signature.name.to_owned(), at),
                    args,
                }
            ),
        ]
        .prop_map(node)
    })
}

fn at() -> Span {
    Span::new(SourceId(0), 0, 1)
}

fn node(kind: ExprKind) -> Expr {
    Expr { span: at(), kind }
}

fn filtered(value: Expr, name: &str, args: Vec<Expr>) -> Expr {
    node(ExprKind::Filter { value: Box::new(value), name: Spanned::new(name.to_owned(), at()), args })
}

fn operation(a: Expr, op: BinaryOp, b: Expr) -> Expr {
    node(ExprKind::Binary(Box::new(a), Spanned::new(op, at()), Box::new(b)))
}

/// Expressions of a type, so that most pass the check and go deep.
fn typed(ty: &Type, depth: u32) -> BoxedStrategy<Expr> {
    let name = |names: &'static [&'static str]| {
        prop::sample::select(names).prop_map(|n| node(ExprKind::Name(n.to_owned()))).boxed()
    };
    let int = || (-3i64..4).prop_map(|v| node(ExprKind::Int(v))).boxed();
    let leaf = match ty {
        Type::Int => prop_oneof![name(&["n", "m", "zero", "min", "max", "port"]), int()].boxed(),
        Type::Bool => name(&["flag", "off", "ready"]),
        Type::Ip => name(&["gw", "addr"]),
        Type::Cidr => name(&["net", "net6"]),
        Type::Duration => name(&["t"]),
        Type::Size => name(&["mem"]),
        Type::Json => name(&["cfg", "conf"]),
        Type::Secret => name(&["pw", "hidden"]),
        Type::List(_) => name(&["hosts", "words"]),
        Type::String => prop_oneof![
            name(&["name", "path", "digits", "token"]),
            "[a-c0-9/ ]{0,4}".prop_map(|t| node(ExprKind::Str(t)))
        ]
        .boxed(),
    };
    if depth == 0 {
        return leaf;
    }
    let deep = |ty: Type| typed(&ty, depth - 1);
    let arithmetic =
        prop::sample::select(vec![BinaryOp::Add, BinaryOp::Sub, BinaryOp::Mul, BinaryOp::Div, BinaryOp::Rem]);
    let order =
        prop::sample::select(vec![BinaryOp::Lt, BinaryOp::Le, BinaryOp::Gt, BinaryOp::Ge, BinaryOp::Eq, BinaryOp::Ne]);
    let logic = prop::sample::select(vec![BinaryOp::And, BinaryOp::Or]);
    let any_text =
        prop::sample::select(vec![Type::String, Type::Int, Type::Bool, Type::Json, Type::Ip, Type::Duration]);
    let choice = (deep(ty.clone()), deep(Type::Bool), deep(ty.clone())).prop_map(|(then, cond, other)| {
        node(ExprKind::If { then: Box::new(then), cond: Box::new(cond), other: Box::new(other) })
    });
    let own = match ty {
        Type::Int => prop_oneof![
            (deep(Type::Int), arithmetic, deep(Type::Int)).prop_map(|(a, op, b)| operation(a, op, b)),
            deep(Type::Int).prop_map(|e| node(ExprKind::Unary(UnaryOp::Neg, Box::new(e)))),
            deep(Type::Cidr).prop_map(|e| filtered(e, "prefix", vec![])),
            deep(Type::String).prop_map(|e| filtered(e, "int", vec![])),
            deep(Type::Size).prop_map(|e| filtered(e, "int", vec![])),
            (deep(Type::Size), deep(Type::Size)).prop_map(|(a, b)| operation(a, BinaryOp::Div, b)),
        ]
        .boxed(),
        Type::Bool => prop_oneof![
            (deep(Type::Int), order.clone(), deep(Type::Int)).prop_map(|(a, op, b)| operation(a, op, b)),
            (deep(Type::Duration), order, deep(Type::Duration)).prop_map(|(a, op, b)| operation(a, op, b)),
            (deep(Type::Bool), logic, deep(Type::Bool)).prop_map(|(a, op, b)| operation(a, op, b)),
            (deep(Type::Json), deep(Type::String)).prop_map(|(a, b)| operation(a, BinaryOp::Eq, b)),
            (deep(list(Type::String)), deep(list(Type::String))).prop_map(|(a, b)| operation(a, BinaryOp::Ne, b)),
            deep(Type::Bool).prop_map(|e| node(ExprKind::Unary(UnaryOp::Not, Box::new(e)))),
        ]
        .boxed(),
        Type::Duration | Type::Size => (deep(ty.clone()), deep(Type::Int), any::<bool>())
            .prop_map(|(a, b, mul)| operation(a, if mul { BinaryOp::Mul } else { BinaryOp::Div }, b))
            .boxed(),
        Type::Ip => prop_oneof![
            (deep(Type::Cidr), deep(Type::Int)).prop_map(|(e, n)| filtered(e, "host", vec![n])),
            deep(Type::Cidr).prop_map(|e| filtered(e, "netmask", vec![])),
        ]
        .boxed(),
        Type::Json => prop_oneof![
            (deep(Type::Json), prop::sample::select(vec!["port", "hosts", "none", "tls"]))
                .prop_map(|(e, f)| node(ExprKind::Field(Box::new(e), Spanned::new(f.to_owned(), at())))),
            (deep(Type::Json), deep(Type::Int)).prop_map(|(e, i)| node(ExprKind::Index(Box::new(e), Box::new(i)))),
            (deep(Type::Json), deep(Type::Int)).prop_map(|(e, d)| filtered(e, "default", vec![d])),
        ]
        .boxed(),
        Type::Secret => prop_oneof![
            (deep(Type::Secret), deep(Type::String)).prop_map(|(a, b)| operation(a, BinaryOp::Add, b)),
            (deep(Type::String), deep(Type::Secret)).prop_map(|(a, b)| filtered(a, "replace", vec![b.clone(), b])),
            deep(Type::Secret).prop_map(|e| filtered(e, "base64", vec![])),
        ]
        .boxed(),
        Type::List(_) => prop_oneof![
            deep(Type::String).prop_map(|e| filtered(e, "lines", vec![])),
            prop::collection::vec(deep(Type::String), 1..3).prop_map(|items| node(ExprKind::List(items))),
        ]
        .boxed(),
        Type::String => prop_oneof![
            (deep(Type::String), any_text.clone().prop_flat_map(move |ty| typed(&ty, depth - 1)))
                .prop_map(|(a, b)| operation(a, BinaryOp::Add, b)),
            (
                any_text.prop_flat_map(move |ty| typed(&ty, depth - 1)),
                prop::sample::select(vec!["quote", "trim", "upper", "lower", "base64", "json", "basename", "dirname"])
            )
                .prop_map(|(e, f)| filtered(e, f, vec![])),
            (deep(Type::Int), deep(Type::Int)).prop_map(|(e, n)| filtered(e, "pad", vec![n])),
            (deep(list(Type::String)), deep(Type::String)).prop_map(|(e, s)| filtered(e, "join", vec![s])),
            (deep(list(Type::String)), deep(Type::Int))
                .prop_map(|(e, i)| node(ExprKind::Index(Box::new(e), Box::new(i)))),
            (prop::sample::select(vec!["maybe", "never"]), deep(Type::String)).prop_map(|(n, d)| filtered(
                node(ExprKind::Name(n.to_owned())),
                "default",
                vec![d]
            )),
        ]
        .boxed(),
        Type::Cidr => leaf.clone(),
    };
    prop_oneof![2 => leaf, 5 => own, 1 => choice].boxed()
}

fn any_type() -> impl Strategy<Value = Expr> {
    let types = vec![
        Type::Int,
        Type::Bool,
        Type::Duration,
        Type::Size,
        Type::Ip,
        Type::Json,
        Type::Secret,
        Type::String,
        list(Type::String),
    ];
    prop_oneof![
        3 => prop::sample::select(types).prop_flat_map(|ty| typed(&ty, 3)),
        1 => expression(),
    ]
}

proptest! {
    #![proptest_config(cases(2000))]

    /// The check never panics, says something when it refuses, gives what evaluates to the type it promises; and a
    /// constant is what the same expression gives when all names in it are known only to the running build.
    #[test]
    fn folding_is_evaluating(expr in any_type()) {
        let world = World::new();
        let mut problems = Problems::new();
        let folded = check_expr(&expr, &world, &mut problems);
        prop_assert!(folded.is_some() || problems.has_errors());
        let Some(folded) = folded else { return Ok(()) };
        let value = eval(&folded, &world);
        if let Ok(value) = &value {
            let empty = matches!(value, Value::List(items) if items.is_empty());
            prop_assert!(empty || value.type_of() == folded.ty, "{:?} is no {}", value, type_name(&folded.ty));
        }
        let late = World { late: true, ..World::new() };
        let mut problems = Problems::new();
        if let (Some(open), Ok(value)) = (check_expr(&expr, &late, &mut problems), value) {
            prop_assert_eq!(&open.ty, &folded.ty);
            prop_assert_eq!(eval(&open, &late), Ok(value));
        }
    }

    /// Nothing that a secret went into is anything but a secret.
    #[test]
    fn secrets_stain(expr in any_type()) {
        let world = World::new();
        let mut problems = Problems::new();
        if let Some(rt) = check_expr(&expr, &world, &mut problems) {
            let mut open = false;
            rt.refs(&mut |of, _| open |= matches!(of, super::program::Ref::Secret(_)));
            prop_assert!(!open || rt.is_secret(), "{}", show(&rt));
            if let Err(error) = eval(&rt, &world) {
                prop_assert!(!error.message.contains("s3cr3t"), "{}", error.message);
            }
        }
    }
}
