//! Guest commands: what is run, what is refused, and hostile values in a real shell.

use std::io::Write as _;
use std::process::{Command as Process, Stdio};

use proptest::prelude::*;

use crate::diagnostic::Problems;
use crate::shell::Dialect;
use crate::source::Span;
use crate::syntax::ast::{Body, Command, Heredoc, Item, Text};
use crate::syntax::tests::generate::cases;

use super::expr_world::World;
use super::program::{Invocation, Os, Script};
use super::script::{ShellKind, check_command, render_script};
use super::template::render_template;

fn sh() -> ShellKind {
    ShellKind::default_of(Os::Unix)
}

/// A line of shell text, with the bodies of its heredocs.
fn line(world: &mut World, text: &str, bodies: &[(&str, &str)], shell: &ShellKind) -> (Option<Script>, String) {
    let (text, mut problems) = world.text(text);
    let heredocs: Vec<Heredoc> = bodies.iter().map(|(marker, body)| heredoc(world, &text, marker, body)).collect();
    let found = check_command(&Command::Shell(text), &heredocs, shell, world, &mut problems);
    (found.and_then(script), world.rendered(problems))
}

fn heredoc(world: &mut World, text: &Text, marker: &str, body: &str) -> Heredoc {
    let source = world.sources.slice(text.span).to_owned();
    let start = text.span.start as usize + source.find(marker).expect("the marker stands in the text");
    let name = marker.trim_start_matches("<<").trim_start_matches('-').trim_matches(['\'', '"']);
    Heredoc {
        marker: Span::new(text.span.source, start, start + marker.len()),
        name: name.to_owned(),
        quoted: marker.ends_with(['\'', '"']),
        strip: marker.starts_with("<<-"),
        body: world.text(body).0,
        end: text.span.after(),
    }
}

/// A script heredoc.
fn body(world: &mut World, text: &str, shell: &ShellKind) -> (Option<Script>, String) {
    let (text, mut problems) = world.text(text);
    let marker = text.span.after();
    let heredoc = Heredoc { marker, name: "EOF".into(), quoted: false, strip: false, body: text, end: marker };
    let found = check_command(&Command::Script, &[heredoc], shell, world, &mut problems);
    (found.and_then(script), world.rendered(problems))
}

fn script(invocation: Invocation) -> Option<Script> {
    match invocation {
        Invocation::Script(script) => Some(script),
        Invocation::Exec(_) => None,
    }
}

/// What is run, or what is said.
fn outcome(world: &World, (script, said): (Option<Script>, String)) -> String {
    let Some(script) = script else { return said };
    let flags = format!("{:?} errexit={} shebang={}", script.dialect, script.errexit, script.shebang);
    match render_script(&script, world) {
        Ok(run) => format!("{flags}\n{}{said}", run.text),
        Err(error) => format!("{flags}\nerror: {error}\n{said}"),
    }
}

#[test]
fn lines() {
    let mut out = String::new();
    for text in [
        "echo hello",
        "echo ${{ token }} \"a ${{ token }}\" 'b ${{ token }}' $(id ${{ token }})",
        "echo $((${{ n }} + ${{ port }}))",
        "echo ${{ hosts | join(\" \") }} # ${{ token }}",
        "start ${{ \"-v -x\" | raw }} ${{ token }}",
        "ssh host rm ${{ token | quote }}",
        "sh -c \"sleep ${{ n }}\"",
        "echo $${{ token }} ${{ cfg.port }} ${{ t }} ${{ mem }} ${{ off }}",
        "export PW=${{ pw }}",
        "worker${{ n | pad(3) }}.${{ name }}",
        // Refused:
        "echo `id ${{ token }}`",
        "echo ${{ hosts }}",
        "echo \"${HOME:-${{ token }}}\" $((${{ token }}))",
        "ssh host rm ${{ token }}",
        "sh -c \"rm ${{ token }}\"",
        "echo 'hello ${{ token }}",
        "echo \"hello",
        "echo ${{ nme }} `id ${{ token }}`",
        "start ${{ \"-v '\" | raw }} ${{ token }}",
        "start ${{ \"-v #\" | raw }} ${{ token }}",
        "echo \"${{ token | raw }}\"",
    ] {
        let mut world = World::new();
        let found = line(&mut world, text, &[], &sh());
        out.push_str(&format!("RUN {text}\n{}\n", outcome(&world, found)));
    }
    insta::assert_snapshot!(out);
}

#[test]
fn heredocs_of_the_shell() {
    let mut out = String::new();
    let table: [(&str, &[(&str, &str)]); 5] = [
        ("cat > /etc/motd <<EOF", &[("<<EOF", "hello ${{ token }}\n")]),
        ("cat <<-EOF > ${{ path }}", &[("<<-EOF", "a\n  ${{ n }} $HOME\n")]),
        ("cat <<-'EOF'; cat <<-\"B\"; cat <<C", &[("<<-'EOF'", "$(x)\n"), ("<<-\"B\"", ""), ("<<C", "${{ token }}\n")]),
        ("cat <<EOF", &[("<<EOF", "`id ${{ token }}`\n")]),
        ("sh <<EOF", &[("<<EOF", "rm ${{ token }}\n")]),
    ];
    for (text, bodies) in table {
        let mut world = World::new();
        let found = line(&mut world, text, bodies, &sh());
        out.push_str(&format!("RUN {text}\n{}\n", outcome(&world, found)));
    }
    insta::assert_snapshot!(out);
}

#[test]
fn scripts() {
    let mut out = String::new();
    for text in [
        "set -u\necho ${{ token }}\n",
        "#!/bin/bash -e\necho ${{ token }}\n",
        "#!/usr/bin/env python3\nprint('hello')\n",
        "#!/usr/bin/env python3\nprint(${{ token }})\n",
        "#!/bin/${{ name }}\necho\n",
        "cat <<'X'\n${{ not | an expression + }}\nX\necho ${{ token }}\n",
        "echo 'a\nb ${{ token }}'\n",
        "#!/bin/sh",
        "",
    ] {
        let mut world = World::new();
        let found = body(&mut world, text, &sh());
        out.push_str(&format!("<<EOF\n{text}EOF\n{}\n", outcome(&world, found)));
    }
    insta::assert_snapshot!(out);
}

#[test]
fn other_shells() {
    let mut out = String::new();
    let shell = |words: &[&str]| {
        let words: Vec<Option<String>> = words.iter().map(|w| Some((*w).to_owned())).collect();
        ShellKind::of(&words, Span::new(crate::source::SourceId(0), 0, 6))
    };
    for (words, text) in [
        (&["bash", "-o", "pipefail"][..], "echo ${{ token }}"),
        (&["/usr/bin/env", "bash"][..], "echo ${{ token }}"),
        (&["fish"][..], "echo ${{ token }} ${{ n }}"),
        (&["fish"][..], "echo hello"),
        (&["powershell"][..], "Write-Output ${{ token }} \"a ${{ port }}\""),
        (&["powershell"][..], "Write-Output 'a ${{ token }}'"),
        (&["cmd"][..], "echo ${{ port }} ${{ off }}"),
        (&["cmd"][..], "echo ${{ token }}"),
    ] {
        let mut world = World::new();
        let kind = shell(words);
        let found = line(&mut world, text, &[], &kind);
        out.push_str(&format!("SHELL {words:?} RUN {text}\n{}\n", outcome(&world, found)));
    }
    let unknown = ShellKind::of(&[None], Span::new(crate::source::SourceId(0), 0, 6));
    assert_eq!(unknown.dialect, None);
    assert_eq!(shell(&["C:\\Program Files\\PowerShell\\7\\pwsh.exe"]).dialect, Some(Dialect::PowerShell));
    insta::assert_snapshot!(out);
}

#[test]
fn exec_arrays() {
    let mut out = String::new();
    for argv in [
        &["/usr/bin/printf", "%s", "a ${{ token }}", "${{ pw }}"][..],
        &["sh", "-c", "echo \"$1\"", "sh", "${{ token }}"][..],
        &["sh", "-ec", "echo ${{ n }} ${{ token | quote }}"][..],
        &["sh", "-c", "echo ${{ token }}"][..],
        &["bash", "-c", "-e", "echo ${{ token }}"][..],
        &["bash", "-o", "pipefail", "-c", "echo \"${{ n }} ${{ token | quote }}\""][..],
        &["sh", "script.sh", "-c", "echo ${{ token }}"][..],
        &["sudo", "-u", "app", "sh", "-c", "echo ${{ name }}"][..],
        &["ssh", "host", "rm", "${{ token }}"][..],
        &["ssh", "host", "rm ${{ token | quote }}"][..],
        &["powershell", "-Command", "Start-Sleep ${{ n }}"][..],
        &["powershell", "-Command", "echo", "${{ token }}"][..],
        &["cmd.exe", "/c", "dir", "${{ token }}"][..],
        &["setup.BAT", "${{ n }}"][..],
        &["${{ hosts }}"][..],
        &["echo", "${{ name | raw }}"][..],
    ] {
        let mut world = World::new();
        let mut problems = Problems::new();
        let texts: Vec<Text> = argv.iter().map(|a| world.text(a).0).collect();
        let found = check_command(&Command::Exec(texts), &[], &sh(), &world, &mut problems);
        let found = match found {
            Some(Invocation::Exec(argv)) => {
                let argv: Vec<_> = argv.iter().map(|a| render_template(a, &world).map(|r| r.text)).collect();
                format!("{argv:?}\n")
            }
            _ => String::new(),
        };
        out.push_str(&format!("RUN {argv:?}\n{found}{}\n", world.rendered(problems)));
    }
    insta::assert_snapshot!(out);
}

#[test]
fn a_secret_is_named_for_masking_and_a_nul_refused() {
    let mut world = World::new();
    let (found, said) = line(&mut world, "echo ${{ pw }} ${{ pw | base64 }} ${{ hostile }}", &[], &sh());
    let found = found.expect(&said);
    let run = render_script(&found, &world).expect("all is known");
    assert_eq!(run.secrets, ["s3cr3t'\"$(x)", "czNjcjN0JyIkKHgp"]);
    assert!(!format!("{run:?}").contains("s3cr3t"));
    world.hostile = "a\0b".into();
    let error = render_script(&found, &world).expect_err("NUL can't be held");
    assert_eq!(error.message, "the value has a NUL character, which no shell variable can hold");
}

/// Runs a script in the system's `sh` and gives what it prints.
fn run(text: &str) -> Vec<u8> {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(text.as_bytes()).expect("written");
    let out = Process::new("sh").arg("-e").arg(file.path()).stdin(Stdio::null()).output().expect("sh runs");
    assert!(out.status.success(), "{}\n{text}", String::from_utf8_lossy(&out.stderr));
    out.stdout
}

fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~\n\t]{0,12}",
        "[^\0]{0,8}",
        prop::sample::select(vec![
            "'; rm -rf / #",
            "\"; id; \"",
            "$(id)",
            "`id`",
            "${HOME}",
            "$HOME",
            "EOF",
            "EOF\n",
            "\nEOF\nid\n",
            "\\",
            "a\\",
            "'",
            "''",
            "\"",
            "*",
            "?",
            "[a]",
            "~",
            "-n",
            "-e",
            "#",
            "!",
            "!!",
            "a b",
            " ",
            "\n",
            "\n\n",
            "x\n",
            "$((1/0))",
            "a[$(id)]",
            "}",
            "${",
            "$",
            "&",
            "|",
            ";",
            "<",
            ">",
            "(",
            ")",
            "%s",
            "\\n",
            "\u{1b}[31m",
            "ä€😀",
        ])
        .prop_map(str::to_owned),
    ]
}

proptest! {
    #![proptest_config(cases(48))]

    /// A value arrives byte for byte wherever it may stand, and nothing in it is executed.
    #[test]
    fn hostile_values_arrive(value in hostile()) {
        let mut world = World { hostile: value.clone(), ..World::new() };
        let text = "printf '%s|' ${{ hostile }} \"${{ hostile }}\" '${{ hostile }}' a${{ hostile }}b \"$(printf %s. ${{ hostile }})\" # ${{ hostile }}";
        let (found, said) = line(&mut world, text, &[], &sh());
        let found = found.expect(&said);
        let out = run(&render_script(&found, &world).expect("all is known").text);
        prop_assert_eq!(String::from_utf8_lossy(&out), format!("{value}|{value}|{value}|a{value}b|{value}.|"));

        let (found, said) = line(&mut world, "cat <<-EOF", &[("<<-EOF", "[${{ hostile }}]\n")], &sh());
        let found = found.expect(&said);
        let out = run(&render_script(&found, &world).expect("all is known").text);
        prop_assert_eq!(String::from_utf8_lossy(&out), format!("[{value}]\n"));
    }
}

/// The commands of a file's RUNs, through the parser.
fn parsed(text: &str) -> String {
    let mut world = World::new();
    let id = world.sources.add("VMWfile", None, text);
    let mut problems = Problems::new();
    let file = crate::syntax::parse(&world.sources, id, &mut problems);
    let mut out = String::new();
    for item in &file.items {
        let Item::Instruction(instruction) = item else { continue };
        let Body::Run { command } = &instruction.body else { continue };
        let found = check_command(command, &instruction.heredocs, &sh(), &world, &mut problems);
        out.push_str(&outcome(&world, (found.and_then(script), String::new())));
        out.push('\n');
    }
    out + &world.rendered(problems)
}

#[test]
fn from_the_source() {
    let unix = parsed(concat!(
        "FROM debian\n",
        "RUN echo one ${{ token }} \\\n",
        "# a comment between\n",
        "  two \"${{ token }}\"\n",
        "RUN cat <<-EOF > /tmp/x && cat <<'B' \\\n",
        "      && echo `id ${{ name }}`\n",
        "    first ${{ n }}\n",
        "      second\n",
        "    EOF\n",
        "plain ${{ n }} $HOME\n",
        "B\n",
        "RUN <<EOF\n",
        "cat <<'X'\n",
        "${{ not an expression }}\n",
        "X\n",
        "echo $${{ n }} ${{ n }}\n",
        "EOF\n",
        "RUN <<-'EOF'\n",
        "  echo ${{ n }}\n",
        "  EOF\n",
    ));
    insta::assert_snapshot!(unix);
    let windows = parsed(concat!(
        "# escape=`\r\nFROM debian\r\n",
        "RUN echo 'a\\' `\r\n  ${{ token }}\r\n",
        "RUN cat `\r\n <<-EOF `\r\n > /tmp/x\r\n\tx\r\n\t  y ${{ n }}\r\n\tEOF\r\n",
        "RUN echo `\r\n \"${HOME:-${{ n }}}\"\r\n",
    ));
    insta::assert_snapshot!(windows);
}
