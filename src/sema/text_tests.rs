//! Words, prose and arguments.

use crate::diagnostic::Problems;
use crate::source::Span;
use crate::syntax::ast::{Piece, Quote, Text, Type};

use super::expr_world::{World, list, show};
use super::program::{EnvPiece, TemplatePiece};
use super::template::render_template;
use super::text::{Secrets, Usage, check_arg, check_env, check_static, check_text, split_pair};
use super::types::type_name;

fn open() -> Usage<'static> {
    Usage { what: "the text", secrets: Secrets::Allowed }
}

fn stored() -> Usage<'static> {
    Usage { what: "an annotation", secrets: Secrets::Refused("what vCenter stores can be read there") }
}

#[test]
fn templates() {
    let mut out = String::new();
    for (text, usage) in [
        ("plain", open()),
        ("", open()),
        ("a ${{ n }}-${{ name }} $${{ x }}", open()),
        ("a ${{ token }} ${{ n }} b", open()),
        ("${{ pw }}:${{ unset }}", open()),
        ("is ${{ pw }}, ${{ pw | base64 }}", stored()),
        ("${{ hosts }} ${{ nme }} ${{ name | raw }}", open()),
    ] {
        let mut world = World::new();
        let (text, mut problems) = world.text(text);
        let source = world.sources.slice(text.span).to_owned();
        let found = check_text(&text, usage, &world, &mut problems);
        let found = found.map_or("-".into(), |t| {
            let pieces: Vec<String> = t
                .pieces
                .iter()
                .map(|p| match p {
                    TemplatePiece::Literal(text) => format!("{text:?}"),
                    TemplatePiece::Value(rt) => show(rt),
                })
                .collect();
            let text = render_template(&t, &world).map_or_else(|e| format!("error: {e}"), |r| r.text);
            format!("{} = {text:?}", pieces.join(" "))
        });
        out.push_str(&format!("{source} -> {found}\n{}", world.rendered(problems)));
    }
    insta::assert_snapshot!(out);
}

#[test]
fn arguments() {
    let mut out = String::new();
    for (text, want) in [
        ("10.0.0.5/24", Type::Cidr),
        ("10.0.0.${{ 100 + n }}/24", Type::Cidr),
        ("10.0.0.${{ 300 + n }}/24", Type::Cidr),
        ("10.0.0.${{ port }}/24", Type::Cidr),
        ("${{ net }}", Type::Cidr),
        ("${{ gw }}", Type::Cidr),
        ("${{ name }}", Type::Cidr),
        ("${{ \"10.0.0.1/8\" }}", Type::Cidr),
        ("4", Type::Int),
        ("${{ n }}", Type::Int),
        ("${{ digits }}", Type::Int),
        ("four", Type::Int),
        ("512", Type::Size),
        ("${{ n }}GiB", Type::Size),
        ("${{ unset }}GiB", Type::Size),
        ("${{ mem * n }}", Type::Size),
        ("${{ n }}", Type::String),
        ("${{ port }}", Type::String),
        ("x-${{ port }}", Type::String),
        ("${{ hosts }}", list(Type::String)),
        ("${{ pw }}", Type::String),
        ("x${{ pw }}", Type::String),
        ("x${{ pw }}", Type::Int),
    ] {
        for fixed in [false, true] {
            let mut world = World::new();
            let (text, mut problems) = world.text(text);
            let source = world.sources.slice(text.span).to_owned();
            let found = if fixed {
                check_static(&text, &want, open(), &world, &mut problems).map(|k| format!("{k:?}"))
            } else {
                check_arg(&text, &want, open(), &world, &mut problems)
                    .map(|rt| format!("{} {}", type_name(&rt.ty), show(&rt)))
            };
            let kind = if fixed { "static" } else { "argument" };
            let found = found.unwrap_or("-".into());
            let said = world.rendered(problems);
            out.push_str(&format!("{source} as {kind} {} -> {found}\n{said}", type_name(&want)));
        }
    }
    insta::assert_snapshot!(out);
}

fn word(world: &mut World, parts: &[(&str, Quote)]) -> Text {
    let source: String = parts.iter().map(|(text, _)| *text).collect();
    let id = world.sources.add("word", None, source.as_str());
    let mut at = 0;
    let pieces = parts
        .iter()
        .map(|(text, quote)| {
            let span = Span::new(id, at, at + text.len());
            at += text.len();
            Piece::Literal { span, text: (*text).to_owned(), quote: *quote }
        })
        .collect();
    Text { span: Span::new(id, 0, source.len()), pieces }
}

#[test]
fn env_values() {
    let table: [(&[(&str, Quote)], &str); 9] = [
        (&[("/opt/bin:$PATH", Quote::Bare)], "[Literal(\"/opt/bin:\"), Variable(\"PATH\")]"),
        (&[("${A}${B_1}x", Quote::Double)], "[Variable(\"A\"), Variable(\"B_1\"), Literal(\"x\")]"),
        (&[("$PATH${X", Quote::Single)], "[Literal(\"$PATH${X\")]"),
        (&[("a$", Quote::Bare)], "[Literal(\"a$\")]"),
        (&[("$1 $$ $-", Quote::Double)], "[Literal(\"$1 $$ $-\")]"),
        (&[("a", Quote::Bare), ("$B", Quote::Single), ("$C", Quote::Bare)], "[Literal(\"a$B\"), Variable(\"C\")]"),
        (&[("${X:-y}", Quote::Bare)], "-"),
        (&[("${}", Quote::Bare)], "-"),
        (&[("$ÄB", Quote::Bare)], "[Literal(\"$ÄB\")]"),
    ];
    for (parts, wanted) in table {
        let mut world = World::new();
        let text = word(&mut world, parts);
        let mut problems = Problems::new();
        let found = check_env(&text, &world, &mut problems);
        assert_eq!(found.is_none(), problems.has_errors());
        assert_eq!(found.map_or("-".into(), |f: Vec<EnvPiece>| format!("{f:?}")), wanted, "{parts:?}");
    }
}

#[test]
fn pairs() {
    let mut world = World::new();
    let text = word(&mut world, &[("KEY=a=b", Quote::Bare), ("c", Quote::Single)]);
    let (key, value) = split_pair(&text).expect("has an `=`");
    assert_eq!((key.node.as_str(), world.sources.slice(key.span)), ("KEY", "KEY"));
    assert_eq!((value.literal().as_deref(), world.sources.slice(value.span)), (Some("a=bc"), "a=bc"));
    assert!(split_pair(&word(&mut world, &[("KEY", Quote::Bare)])).is_none());
}
