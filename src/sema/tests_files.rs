//! Files checked for what becomes of them, and for what is said of each sort of mistake.

use std::fmt::Write as _;

use insta::assert_snapshot;

use crate::syntax::ast::OutputKind;

use super::program::{Action, CopyFrom, EnvPiece, Program, TemplatePiece};
use super::tests::{Context, checked, inputs, outline, program};
use super::value::Value;
use super::{Inputs, Purpose};

fn build() -> Inputs {
    inputs(Purpose::Build)
}

fn lint() -> Inputs {
    inputs(Purpose::Lint)
}

fn with_args(mut inputs: Inputs, args: &[(&str, &str)]) -> Inputs {
    for (name, value) in args {
        inputs.args.insert((*name).to_owned(), ((*value).to_owned(), "--arg".to_owned()));
    }
    inputs
}

fn said(text: &str) -> String {
    checked(text, &build(), &Context::usual()).1
}

/// What is said of each of several files, one after another.
fn said_of(texts: &[&str]) -> String {
    let mut out = String::new();
    for text in texts {
        let _ = writeln!(out, "{text}\n{}", said(text));
    }
    out
}

fn built(text: &str, inputs: &Inputs, files: &Context) -> Program {
    let (program, said, _) = checked(text, inputs, files);
    match program {
        Some(program) => program,
        None => panic!("the file has errors:\n{said}"),
    }
}

#[test]
fn loops_over_ranges_lists_and_tables() {
    assert_snapshot!(outline(&program(
        "ARG names = [\"x\", \"y\"]\n\
         FROM debian-12 AS range FOR n IN 9..11\nOUTPUT VM range-${{ n | pad(3) }}\nRUN echo ${{ n * 2 }}\n\
         FROM debian-12 AS none FOR n IN 3..1\nOUTPUT VM none-${{ n }}\nRUN echo ${{ n }}\n\
         FROM debian-12 AS list FOR n IN ${{ names }}\nOUTPUT VM list-${{ n }}\nRUN echo ${{ n }}\n\
         FROM debian-12 AS table FOR v IN FILE hosts.csv\nOUTPUT VM ${{ v.host_name }}\nADDRESS ${{ v.address }}/24\nRUN echo ${{ v.host_name }}\n\
         FROM debian-12 AS all\nOUTPUT NONE\nRUN echo ${{ range.ip | join(\" \") }} ${{ table.ip | join(\" \") }} ${{ none.ip | join(\",\") }}\n\
         RUN echo ${{ table[\"web2\"].ip }} ${{ range[10].name }} ${{ list[\"y\"].uuid }}\n"
    )));
}

#[test]
fn mistakes_in_loops() {
    assert_snapshot!(said_of(&[
        "FROM t AS a FOR n IN 1..${{ \"x\" }}\nOUTPUT VM a${{ n }}\nRUN echo ${{ n }}\n",
        "ARG n: int = 3\nFROM t AS a FOR n IN 1..3\nOUTPUT VM a${{ n }}\n",
        "FROM t AS a FOR v IN FILE hosts.csv\nOUTPUT VM ${{ v.hostname }}\n",
        "FROM t AS a FOR v IN FILE hsts.csv\nOUTPUT VM ${{ v.host_name }}\nRUN echo ${{ v.what }}\n",
        "FROM t AS a FOR n IN 1..2\nOUTPUT VM a${{ n }}\nFROM t AS b\nRUN echo ${{ a[\"1\"].ip }}\n",
        "FROM t AS a\nOUTPUT VM a\nFROM t AS b\nRUN echo ${{ a[1].ip }}\n",
        "FROM t AS a FOR n IN ${{ b.uuid }}\nOUTPUT VM a${{ n }}\nFROM t AS b\nOUTPUT VM b\n",
        "FROM t AS a FOR n IN 1..2\nOUTPUT VM a${{ n }}\nRUN echo ${{ nn }}\nRUN --timeout=5 true\n",
    ]));
}

#[test]
fn bad_tables() {
    let mut out = String::new();
    for table in ["name\na\na\n", "the name\na\n", "a,a\n1,2\n", "a,b\n1\n", "a\n\u{0}\n", ""] {
        let files = Context::default().with("t.csv", table);
        let text = "FROM t AS a FOR v IN FILE t.csv\nOUTPUT VM ${{ v.a }}\n";
        let _ = writeln!(out, "{table:?}\n{}", checked(text, &build(), &files).1);
    }
    assert_snapshot!(out);
}

#[test]
fn includes() {
    let files = Context::default()
        .with("parts/base.vmwfile", "INCLUDE args.vmwfile\nFROM debian-12 AS base\nRUN echo ${{ from_parts }}\n")
        .with("parts/args.vmwfile", "ARG from_parts = \"p\"\n")
        .with("steps.vmwfile", "RUN one\nRUN two\n")
        .with("stage.vmwfile", "FROM debian-12 AS other\nRUN three\n");
    let text = "INCLUDE parts/base.vmwfile\nARG late = \"l\"\nFROM base AS web\nRUN echo ${{ late }}\nINCLUDE steps.vmwfile\nRUN four\n";
    assert_snapshot!(outline(&built(text, &build(), &files)));
    let wrong = "FROM debian-12 AS web\nRUN one\nINCLUDE stage.vmwfile\nRUN four\nRUN five\n";
    assert_snapshot!(checked(wrong, &build(), &files).1);
}

#[test]
fn includes_that_go_round_or_astray() {
    let files = Context::default()
        .with("a.vmwfile", "INCLUDE sub/b.vmwfile\n")
        .with("sub/b.vmwfile", "INCLUDE ../a.vmwfile\n")
        .with("broken.vmwfile", "RUN --timeoutt=1 x\n");
    let mut out = String::new();
    for text in ["INCLUDE a.vmwfile\n", "INCLUDE aa.vmwfile\n", "FROM t AS a\nINCLUDE broken.vmwfile\n"] {
        let _ = writeln!(out, "{text}\n{}", checked(text, &build(), &files).1);
    }
    assert_snapshot!(out);
}

#[test]
fn files_that_include_each_other_without_end_are_stopped() {
    let mut files = Context::default().with("f20.vmwfile", "ARG x = 1\n");
    for n in 0..20 {
        let next = n + 1;
        files = files.with(&format!("f{n}.vmwfile"), format!("INCLUDE f{next}.vmwfile\nINCLUDE f{next}.vmwfile\n"));
    }
    let (program, said, _) = checked("INCLUDE f0.vmwfile\nFROM t AS a\n", &build(), &files);
    assert!(program.is_none());
    assert!(said.contains("more than 1000 files are included"), "{said}");
}

#[test]
fn args() {
    let text = "ARG count: int = 2\nARG size = 512MiB\nARG label\nFROM t AS a\nMEMORY ${{ size }}\nRUN echo ${{ count + 1 }} ${{ label }}\n\
                FROM t AS b\nARG inner = label + \"-b\"\nRUN echo ${{ inner }}\n";
    let given = with_args(build(), &[("count", "7"), ("size", "1GiB"), ("label", "x"), ("inner", "y")]);
    let program = built(text, &given, &Context::usual());
    assert_eq!(program.machines[0].hardware.memory, Some(1 << 30));
    let mut out = String::new();
    for args in [
        vec![("label", "x"), ("count", "1O")],
        vec![("label", "x"), ("cuont", "1")],
        vec![("label", "x"), ("size", "12")],
        vec![],
    ] {
        let _ = writeln!(out, "{args:?}\n{}", checked(text, &with_args(build(), &args), &Context::usual()).1);
    }
    assert_snapshot!(out);
}

#[test]
fn an_argument_of_the_environment_may_be_for_another_file() {
    let mut inputs = build();
    inputs.args.insert("other".into(), ("1".into(), "VMWBUILD_ARG_other".into()));
    assert_eq!(checked("FROM t AS a\n", &inputs, &Context::usual()).1, "");
}

#[test]
fn lint_needs_no_values() {
    let text = "ARG count: int\nARG name\nFROM t AS a FOR n IN 1..${{ count }}\nOUTPUT VM ${{ name }}-${{ n }}\n\
                CPU ${{ count }}\nRUN --if=${{ count > 1 }} echo ${{ n + count }}\nKEY k: int = n * 2\nRUN echo ${{ a[1].k + 1 }} ${{ a.k | join(\",\") }}\nRUN --no-cache true\n\
                FROM t AS b\nOUTPUT OVA b.ova\nRUN echo ${{ a.k + 1 }}\n";
    let (program, said, _) = checked(text, &lint(), &Context::usual());
    assert!(program.is_none(), "adding to a list is an error in lint, too");
    assert_snapshot!(said);
    let (program, _, _) = checked(&text.replace("a.k + 1", "a.k | join(\" \")"), &lint(), &Context::usual());
    assert_snapshot!(program.as_ref().map(outline).unwrap_or_default());
}

#[test]
fn names_clash_and_what_is_said_once() {
    assert_snapshot!(said_of(&[
        "ARG a\nARG a = 1\nFROM t AS x\nRUN echo ${{ a }}\n",
        "FROM t AS x\nFROM t AS x\nRUN echo hi\n",
        "FROM t AS x FOR x IN 1..2\nOUTPUT VM a${{ x }}\n",
        "FROM t AS x\nKEY k FROM RUN a\nKEY k FROM RUN b\nRUN echo ${{ k }}\n",
        "FROM t AS build\nFROM build AS y\nRUN echo hi\n",
        "FROM t AS build-env\nFROM build-env AS y\nRUN echo hi\n",
        "FROM t AS a\nKEY k = 1\nFROM t AS b\nKEY k = 2\nRUN echo ${{ k }} ${{ a.k }}\n",
    ]));
}

#[test]
fn nothing_follows_from_a_mistake() {
    assert_snapshot!(said_of(&[
        "ARG a = b + 1\nARG c = a\nFROM t AS x\nRUN echo ${{ a }} ${{ c }}\n",
        "FROM t AS x\nKEY k = nothing\nRUN echo ${{ k }}\nFROM t AS y\nRUN echo ${{ x.k }}\n",
        "FROM y AS x\nFROM x AS y\nRUN echo ${{ x.name }}\nRUN --after=x true\n",
        "FROM t AS x\nOUTPUT VM x\nADDRESS 10.0.0.1\nFROM t AS y\nRUN echo ${{ x.ip }}\n",
        "FROM t AS x\nRUN echo ${{ }}\nRUN echo ${{ 1 + }}\n",
        "FORM t AS x\nOUTPUT TEMPLATE x\nKEY k FROM RUN k\nFROM t AS y\nRUN echo ${{ x.k }}\n",
    ]));
}

#[test]
fn keys_of_replicas() {
    assert_snapshot!(outline(&program(
        "FROM t AS cp FOR n IN 1..3\nOUTPUT VM cp${{ n }}\n\
         KEY token --if=${{ n == 1 }} FROM RUN make-token\n\
         RUN --if=${{ n > 1 }} join ${{ cp[1].token }}\n\
         KEY done_at: int = n * 10\n\
         RUN --if=${{ n > 1 }} after ${{ cp[n - 1].done_at }}\n\
         FROM t AS w\nRUN join ${{ cp[1].token }} ${{ cp.done_at | join(\",\") }}\n"
    )));
}

#[test]
fn keys_that_may_be_unset() {
    assert_snapshot!(said_of(&[
        "ARG on = true\nFROM t AS a\nKEY k --if=${{ on }} FROM RUN x\nRUN echo ${{ k }}\n",
        "FROM t AS a\nKEY k --unless=\"test -f /x\" FROM RUN x\nRUN echo ${{ k }} ${{ k | default(\"none\") }}\n",
        "FROM t AS a\nKEY k --allow-failure FROM RUN x\nFROM t AS b\nRUN echo ${{ a.k }}\n",
        "FROM t AS a FOR n IN 1..2\nOUTPUT VM a${{ n }}\nKEY k --if=${{ n == 1 }} FROM RUN x\nFROM t AS b\nRUN echo ${{ a[2].k }}\n",
        "FROM t AS a FOR n IN 1..2\nOUTPUT VM a${{ n }}\nKEY k --if=${{ n == 1 }} FROM RUN x\nRUN echo ${{ k }}\n",
    ]));
}

#[test]
fn a_default_that_one_replica_needs_is_not_needless() {
    let fine = "FROM t AS a FOR n IN 1..2\nOUTPUT VM a${{ n }}\nKEY k --if=${{ n == 1 }} FROM RUN x\nRUN echo ${{ k | default(\"\") }}\n\
                FROM t AS b FOR m IN 1..2\nOUTPUT VM b${{ m }}\nRUN echo ${{ a[m].k | default(\"\") }}\nRUN --if=${{ m > 2 }} echo ${{ a[m].k | default(\"\") }}\n";
    assert_eq!(said(fine), "");
    let needless = "ARG x = \"1\"\nFROM t AS a FOR n IN 1..2\nOUTPUT VM a${{ n }}\nRUN echo ${{ x | default(\"\") }}\n";
    assert_eq!(said(needless).matches("VMW112").count(), 1);
}

#[test]
fn cycles_between_steps() {
    assert_snapshot!(said_of(&[
        // Through the end of a stage.
        "FROM t AS a\nRUN echo ${{ b.k }}\nFROM a AS b\nKEY k FROM RUN x\n",
        // By order alone.
        "FROM t AS a\nRUN --after=b one\nFROM t AS b\nRUN --after=a two\n",
        // A machine and itself.
        "FROM t AS a\nRUN --after=a one\n",
        // Replicas in a circle.
        "FROM t AS a FOR n IN 1..2\nOUTPUT VM a${{ n }}\nRUN echo ${{ a[3 - n].k }}\nKEY k FROM RUN x\n",
        // All replicas, the own one too.
        "FROM t AS a FOR n IN 1..2\nOUTPUT VM a${{ n }}\nRUN echo ${{ a.k | join(\",\") }}\nKEY k FROM RUN x\n",
        // Copies.
        "FROM t AS a\nCOPY --from=b /x /x\nFROM t AS b\nCOPY --from=a /y /y\n",
        // Addresses.
        "FROM t AS a\nOUTPUT VM a\nADDRESS ${{ b.ip }}/24\nFROM t AS b\nOUTPUT VM b\nADDRESS ${{ a.ip }}/24\n",
        // Values of keys.
        "FROM t AS a\nKEY x = b.y\nFROM t AS b\nKEY y = a.x\n",
        // Three stages.
        "FROM t AS a\nKEY k FROM RUN echo ${{ c.k }}\nFROM t AS b\nKEY k FROM RUN echo ${{ a.k }}\nFROM t AS c\nRUN first\nKEY k FROM RUN echo ${{ b.k }}\n",
        "FROM b AS a\nFROM c AS b\nFROM a AS c\n",
        "FROM a AS a\n",
    ]));
}

#[test]
fn stages_may_need_each_other_as_long_as_steps_do_not() {
    assert_snapshot!(outline(&program(
        "FROM t AS a\nOUTPUT VM a\nKEY k FROM RUN one\nRUN two ${{ b.k }}\nFROM t AS b\nOUTPUT VM b\nKEY k FROM RUN echo ${{ a.k }}\nRUN echo ${{ a.hostname }}\n"
    )));
}

#[test]
fn targets_build_what_they_need() {
    let text = "SECRET one\nSECRET two\nARG value\nFROM t AS base\nRUN base\n\
                FROM base AS first\nOUTPUT VM first\nKEY k FROM RUN echo ${{ one }}\n\
                FROM t AS unneeded\nARG needed_there\nTAG a/b\nRUN echo ${{ two }} ${{ first.k }} ${{ needed_there }}\n\
                FROM t AS second\nOUTPUT VM second\nRUN echo ${{ first.k }} ${{ value }}\n";
    let mut inputs = with_args(build(), &[("value", "v")]);
    inputs.targets = vec!["second".into()];
    let program = built(text, &inputs, &Context::usual());
    let secrets: Vec<&str> = program.secrets.iter().map(|s| s.name.as_str()).collect();
    let stages: Vec<_> = program.stages.iter().map(|s| s.name.as_deref().unwrap_or_default()).collect();
    assert_eq!((secrets, stages), (vec!["one"], vec!["base", "first", "second"]));
    assert_snapshot!(outline(&program));
    let mut out = String::new();
    for target in ["secnd", "nothing"] {
        inputs.targets = vec![target.into()];
        out.push_str(&checked(text, &inputs, &Context::usual()).1);
    }
    assert_snapshot!(out);
}

#[test]
fn what_a_stage_hands_on() {
    let program = program(
        "LOGIN root\nSECRET pw\nFROM t AS base\nLOGIN admin PASSWORD ${{ pw }}\nUSER app --via=sudo\nWORKDIR /srv\nWORKDIR app\nENV A=1 B=$A:2\nSHELL bash\nRUN one\n\
         FROM base AS child\nADDRESS DHCP\nWORKDIR ../x\nENV A=3\nRUN --user=root --env=C=4 two\nRUN three\n\
         FROM t AS plain\nRUN four\n",
    );
    let text = |t: &super::program::Template| t.as_literal().map(str::to_owned);
    let child = &program.machines[1];
    let context = &child.steps[0].context;
    assert_eq!(context.workdir.as_ref().and_then(text).as_deref(), Some("/srv/app/../x"));
    assert_eq!(context.shell.iter().filter_map(text).collect::<Vec<_>>(), ["bash"]);
    let user = context.user.as_ref().expect("a user");
    assert_eq!((text(&user.name).as_deref(), user.via), (Some("root"), super::program::Via::Sudo));
    assert_eq!(context.env.iter().map(|v| v.name.as_str()).collect::<Vec<_>>(), ["A", "B", "A", "C"]);
    assert_eq!(
        context.env[1].value,
        [EnvPiece::Variable("A".into()), EnvPiece::Literal(":2".into())],
        "the guest's variable stays the guest's"
    );
    assert_eq!(child.steps[1].context.env.len(), 3, "--env is of its step only");
    let login = child.context.login.as_ref().expect("a login");
    assert!(matches!(login.password.as_ref().expect("a password").pieces.as_slice(), [TemplatePiece::Value(_)]));
    assert!(program.machines[2].context.login.is_none(), "the global one is a default, behind the command line's");
    assert!(program.machines[2].default_login.is_some());
}

#[test]
fn outputs() {
    let program = program(
        "FROM t AS a\nOUTPUT TEMPLATE tpl/a\nOUTPUT VM --off a-vm\nFROM t\nRUN x\nFROM t AS c\nOUTPUT --exists=replace TEMPLATE c\nOUTPUT VM cv\n\
         FROM a AS d\nOUTPUT NONE\nRUN echo ${{ self.name }} ${{ a.name }}\n",
    );
    let kinds =
        |i: usize| program.machines[i].outputs.iter().map(|o| (o.kind, o.name.clone(), o.off)).collect::<Vec<_>>();
    assert_eq!(
        kinds(0),
        [(OutputKind::Template, "tpl/a".into(), false), (OutputKind::Vm, "a-vm".into(), true)],
        "of several kinds"
    );
    assert_eq!(kinds(1), [(OutputKind::None, String::new(), false)], "without a name: nothing");
    let names: Vec<&str> = program.machines.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(names, ["a-vm", "shop-stage-2", "cv", "shop-d"]);
}

#[test]
fn outputs_that_clash() {
    assert_snapshot!(said_of(&[
        "FROM t AS a\nOUTPUT VM x\nFROM t AS b\nOUTPUT VM x\n",
        "FROM t AS a\nFROM t AS b\nOUTPUT VM a\n",
        "FROM t AS a\nOUTPUT NONE\nOUTPUT VM x\n",
        "FROM t AS a\nOUTPUT VM \"a\tb\"\n",
        "ARG n = \"\"\nFROM t AS a\nOUTPUT VM dir/${{ n }}\n",
        "FROM t AS a\nOUTPUT TEMPLATE xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n",
        "FROM t AS a\nOUTPUT --exists=replce VM a\n",
        "FROM t AS a\nOUTPUT --off TEMPLATE b\n",
        "FROM t AS a\nOUTPUT VM a\nRUN x\nFROM t AS b\nOUTPUT VM b${{ a.uuid }}\nFROM t AS c\nOUTPUT VM ${{ self.name }}\n",
    ]));
    assert_eq!(
        said("FROM t AS a\nFOLDER one\nOUTPUT VM x\nFROM t AS b\nFOLDER two\nOUTPUT VM x\n"),
        "",
        "in two folders they are two names"
    );
}

#[test]
fn machines() {
    let program = program(
        "CLUSTER c1\nNETWORK \"VM Network\"\nFROM t AS a\nOUTPUT VM a\nDATASTORE ssd\nCPU 4 CORES 2\nMEMORY 8GB\n\
         CONFIG guestinfo.a=1 guestinfo.b=${{ self.name }}\nANNOTATION It's ${{ build.id }}, \"so\"\nHOSTNAME a.local\n\
         ADDRESS --method=nmcli 10.0.0.${{ 1 + 1 }}/24 GATEWAY 10.0.0.1 DNS 8.8.8.8 1.1.1.1 SEARCH a.local DEVICE eth1\nRUN echo ${{ self.ip }}\n",
    );
    let machine = &program.machines[0];
    assert_eq!(
        (machine.hardware.cpus, machine.hardware.cores, machine.hardware.memory),
        (Some(4), Some(2), Some(8 << 30))
    );
    let literal = |t: &super::program::Template| t.as_literal().map(str::to_owned).unwrap_or_default();
    let config: Vec<(String, String)> = machine.hardware.config.iter().map(|(k, v)| (k.clone(), literal(v))).collect();
    assert_eq!(config, [("guestinfo.a".into(), "1".into()), ("guestinfo.b".into(), "a".into())]);
    assert_eq!(machine.hardware.annotation.as_ref().map(literal).as_deref(), Some("It's b1, \"so\""));
    assert_eq!(machine.placement.len(), 1);
    assert_eq!(machine.default_placement.len(), 2);
    let address = machine.address.as_ref().expect("an address");
    assert_eq!((address.dns.len(), address.search.len(), address.device.is_some()), (2, 1, true));
    assert!(machine.wanted.is_empty(), "a static address is a constant");
}

#[test]
fn mistakes_in_machines() {
    assert_snapshot!(said_of(&[
        "FROM t AS a\nCPU 0\nMEMORY 1\n",
        "FROM t AS a\nCPU 4 CORES 3\n",
        "FROM t AS a\nCONFIG x=1 x=2\n",
        "ARG bell = \"\u{7}\"\nFROM t AS a\nCONFIG x=${{ bell }}\nANNOTATION ding ${{ bell }}\n",
        "SECRET s\nFROM t AS a\nCONFIG x=${{ s }}\nANNOTATION ${{ s }}\nWORKDIR /${{ s }}\nNOTE ${{ s }}\nRUN x\n",
        "FROM t AS a\nHOSTNAME not_a/host\n",
        "FROM t AS a\nADDRESS 10.0.0.1/24 GATEWAY 10.0.0.1/24 DNS dns.local\n",
        "FROM t AS a\nADDRESS ${{ self.ip }}/24\n",
        "FROM t AS a\nDATASTORE x\nDATASTORE y\n",
        "POOL a\nPOOL b\nFROM t AS a\n",
        "FROM t AS a\nADDRESS --nic=2 --method=powershell DHCP\n",
        "FROM ova:x.ova AS a\nOUTPUT LIBRARY a/b\nOUTPUT --after=a --snapshot=s OVA x.ova\n",
        "FROM --linked --snapshot=s ova:../x.ova AS a\nRUN x\n",
        "FROM --linked --snapshot=s ova:x.ova AS a\nRUN x\n",
        "FROM ova: AS a\nRUN x\nFROM ova:x.iso AS b\nRUN x\nFROM ova:ftp://h/x.ova AS c\nRUN x\nFROM ova:https://u:p@h/x.ova AS d\nRUN x\n",
        "FROM --property=nothing --property=a=1 --property=a=2 --disks=fat ova:x.ova AS a\nRUN x\n",
        "SECRET s\nFROM --property=a=${{ s }} ova:x.ova AS a\nRUN x\n",
        "FROM --property=a=1 --configuration=c --disks=thin --accept-eula t AS a\nRUN x\n",
        "FROM t AS a\nOUTPUT OVA x.img\nFROM t AS b\nOUTPUT OVA x.ova\nFROM t AS c\nOUTPUT OVA x.ova\nOUTPUT VM y\n",
        "FROM --os=windows t AS a\nADDRESS --method=nmcli DHCP\nRUN --user=b dir\nCOPY --chmod=0644 <<EOF x\n\nEOF\n",
        "FROM t AS a\nTAG a/b\nTAG a/b noslash\n",
        "FROM library:only AS a\nOUTPUT LIBRARY only\n",
        "FROM t AS a\nOUTPUT VM x\nOUTPUT --exists=keep LIBRARY a/b\n",
        "FROM t AS a\nOUTPUT VM x\nOUTPUT LIBRARY a/b\n",
        "FROM t AS a\nOUTPUT --snapshot=s LIBRARY a/b\n",
        "FROM t AS a FOR n IN 1..2\nOUTPUT LIBRARY a/b\n",
        "FROM t AS a\nOUTPUT --type=template TEMPLATE b\nOUTPUT --type=vmdk LIBRARY a/b\n",
        "FROM t AS a\nOUTPUT TEMPLATE b\nFROM t AS c\nOUTPUT --type=template LIBRARY x/b\nOUTPUT VM --off d\n",
        "FROM t AS a\nFOLDER x\nOUTPUT TEMPLATE b\nFROM t AS c\nOUTPUT --type=template LIBRARY x/b\nOUTPUT VM --off d\n",
        &format!("FROM t AS a\nOUTPUT --type=template LIBRARY x/{}\n", "b".repeat(81)),
    ]));
}

#[test]
fn mistakes_in_what_lives_on() {
    assert_snapshot!(said_of(&[
        "ON 'web*' AS a\nOUTPUT VM x\nMEMORY 1GiB\nDATASTORE d\nADDRESS DHCP\nCHECKPOINT\nHEALTHCHECK RUN x\nRUN x\n",
        "ON one two AS a\nRUN x\n",
        "ON 'web*' AS a\nRUN x\nOUTPUT VM x\n",
        "ON '' AS a\nRUN x\n",
        "ON 'web*' AS a\nSERIAL 0\nSERIAL 2\nRUN x\n",
        "FROM t AS a\nSERIAL 1\nRUN x\n",
        "FROM t AS a\nOUTPUT NONE\nSNAPSHOT s\nRUN x\n",
        "ON 'web*' AS a\nSNAPSHOT one\nONFAIL REVERT two\nRUN x\n",
        "ON 'web*' AS a\nRUN x\nFROM a AS b\nRUN x\n",
        "FROM t AS a\nOUTPUT VM a\nKEY k FROM RUN x\nHEALTHCHECK RUN x ${{ k }}\nONREMOVE --on=b RUN x ${{ self.ip }}\n",
        "FROM t AS a\nOUTPUT VM a\nHEALTHCHECK RUN x\nHEALTHCHECK RUN y\n",
    ]));
}

#[test]
fn machines_that_exist_are_replicas_known_by_name() {
    let text = "ON 'web*' AS web\nSERIAL --max-failures=1 1\nKEY v: int FROM RUN x\nFROM t AS a\nRUN echo ${{ web.v | join(\",\") }} ${{ web[\"web-2\"].v }}\n";
    let one = |n: u32| super::existing::Existing {
        label: format!("web-{n}"),
        name: format!("web-{n}"),
        path: format!("/DC/vm/web-{n}"),
        moref: format!("vm-{n}"),
    };
    let existing = Some([("name web*".to_owned(), vec![one(1), one(2), one(3)])].into());
    let inputs = Inputs { existing, ..build() };
    let (program, said, _) = checked(text, &inputs, &Context::usual());
    let program = program.unwrap_or_else(|| panic!("{said}"));
    assert_eq!(program.machines.len(), 4);
    assert_eq!(program.selectors.len(), 1);
    assert_eq!(program.machines[2].label, "web[web-3]");
    assert_eq!(program.machines[2].name, "web-3");
    let before = program.machines[2].serial.map(|s| (s.after, s.max_failures));
    assert_eq!(before, Some((Some(super::program::MachineId(1)), 1)));
    // Looked for, and nothing found.
    let none = Inputs { existing: Some([("name web*".to_owned(), vec![])].into()), ..build() };
    let (program, said, _) = checked("ON 'web*' AS web\nRUN x\n", &none, &Context::usual());
    assert!(program.unwrap_or_else(|| panic!("{said}")).machines.is_empty());
}

#[test]
fn flags_of_steps() {
    let program = program(
        "FROM t AS a FOR n IN 1..2\nOUTPUT VM a${{ n }}\nNOTE The ${{ n }}th\n\
         RUN --unless=\"test -f /x${{ n }}\" --timeout=10m --retry=${{ n }} --delay=1s --ok=0,2 --reboot-on=3010 --allow-failure one\n\
         WAIT --interval=2s --timeout=1m RUN true\n",
    );
    let step = &program.machines[1].steps[0];
    let options = &step.options;
    assert!(options.unless.is_some() && options.allow_failure);
    assert_eq!((options.retry, options.delay.as_secs(), options.timeout.map(|t| t.as_secs())), (2, 1, Some(600)));
    assert_eq!((options.ok.as_slice(), options.reboot_on.as_slice()), ([0, 2].as_slice(), [3010].as_slice()));
    assert_eq!(step.note.as_ref().and_then(|n| n.as_literal()), Some("The 2th"));
    assert!(program.machines[1].steps[1].note.is_none(), "a NOTE is of one step");
}

#[test]
fn mistakes_in_flags() {
    assert_snapshot!(said_of(&[
        "FROM t AS a\nRUN --timeout=0s x\nRUN --retry=-1 x\nRUN --ok=0,two x\nRUN --timeout=5 x\nRUN --retry=x x\n",
        "FROM t AS a\nKEY k FROM RUN x\nRUN --if=${{ k == \"\" }} x\nRUN --if=yes x\n",
        "FROM t AS a\nRUN --env=1x=2 x\nRUN --env=x x\nENV 1=2\n",
        "FROM t AS a\nRUN --serial x\nREBOOT --ok=1\nCOPY --env=A=1 app.conf /etc/\n",
        "FROM t AS a\nUSER x --via=sud\nRUN x\n",
        "SECRET pw\nFROM t AS a\nUSER x PASSWORD ${{ pw }} --via=su\nRUN x\nUSER y PASWORD ${{ pw }}\nUSER ${{ pw }}\nRUN x\n",
        "FROM t AS a\nOUTPUT TEMPLATE a\nSEAL --user=x\n",
        "FROM t AS a\nKEY k FROM RUN x\nFROM t AS b\nRUN --after=a.kk x\nRUN --after=a[1] x\n",
    ]));
}

#[test]
fn copies() {
    let files = Context::usual()
        .with("site/index.html", "<p>${{ self.name }}</p>\n")
        .with("site/logo.png", [0xff, 0xd8, 0x00])
        .with("odd[1].txt", "x");
    let text = "SECRET s\nFROM t AS maker\nOUTPUT NONE\nRUN x\nFROM t AS a\nOUTPUT VM a\n\
                COPY *.conf /etc/app/\nCOPY --chown=root:root --chmod=0640 --render site /srv/www\n\
                COPY odd[1].txt /x\nCOPY --from=maker /out/a /out/b /usr/bin/\nCOPY <<EOF /etc/x\nhello ${{ s }} $HOME\nEOF\n\
                COPY . /all/\n";
    let program = built(text, &build(), &files);
    let mut out = String::new();
    for step in &program.machines[1].steps {
        let Action::Copy(copy) = &step.action else { panic!("only copies") };
        let _ = writeln!(out, "{}", step.text);
        for source in &copy.sources {
            let _ = match source {
                CopyFrom::Path(path) => writeln!(out, "  path {:?}", path.as_literal()),
                CopyFrom::Inline(text) => writeln!(out, "  text of {} pieces", text.pieces.len()),
            };
        }
        for (path, text) in copy.render.iter().flatten() {
            let _ = writeln!(out, "  rendered {} = {:?}", path.display(), text.as_literal());
        }
        let _ = writeln!(out, "  to {:?} mode {:?} from {:?}", copy.dest.as_literal(), copy.chmod, copy.from);
    }
    assert_snapshot!(out);
}

#[test]
fn mistakes_in_copies() {
    let files = Context::usual().with("site/index.html", "<p>\n${{ nothing }}</p>\n");
    let mut out = String::new();
    for text in [
        "FROM t AS a\nCOPY --render site /srv\n",
        "FROM t AS a\nCOPY sit/index.html /srv\nCOPY site/indx.html /srv\nCOPY *.txt /srv/\nCOPY /etc/passwd /srv\n",
        "FROM t AS a\nCOPY app.conf other.conf /etc\n",
        "FROM t AS a\nCOPY --chmod=999 app.conf /etc\nCOPY --chmod=u+x app.conf /etc\n",
        "FROM t AS a\nCOPY --from=a /x /y\nCOPY --from=b /x /y\nFROM t AS b FOR n IN 1..2\nOUTPUT VM b${{ n }}\n",
        "FROM t AS a\nCOPY --from=c /x /y\nFETCH /a /b out\n",
    ] {
        let _ = writeln!(out, "{text}\n{}", checked(text, &build(), &files).1);
    }
    assert_snapshot!(out);
}

#[test]
fn text_of_steps_is_one_line() {
    let program = program(
        "FROM t AS a\nRUN   echo a && \\\n    # a comment\n    echo b \\\n    --c\nRUN <<EOF\necho x\nEOF\nRUN\techo '\\'\n",
    );
    let texts: Vec<&str> = program.machines[0].steps.iter().map(|s| s.text.as_str()).collect();
    assert_eq!(texts, ["RUN echo a && echo b --c", "RUN <<EOF echo x …", "RUN echo '\\'"]);
}

#[test]
fn the_same_is_said_every_time() {
    let text =
        "FROM t AS a FOR n IN 1..5\nOUTPUT VM a\nRUN ${{ x }} ${{ y }}\nRUN --after=q x\nFROM a AS b\nRUN ${{ a.z }}\n";
    let first = said(text);
    for _ in 0..5 {
        assert_eq!(said(text), first);
    }
    assert_eq!(first.matches("VMW100").count(), 2, "each mistake is told once, not for each replica:\n{first}");
}

#[test]
fn a_replica_is_known_by_its_value() {
    let program = program("FROM t AS a FOR n IN 1..2\nOUTPUT VM a${{ n }}\n");
    let replicas: Vec<_> = program.machines.iter().map(|m| (m.label.as_str(), m.replica.clone())).collect();
    assert_eq!(replicas, [("a[1]", Some(Value::Int(1))), ("a[2]", Some(Value::Int(2)))]);
}

/// Walking a long chain must not exhaust the stack, nor take more than linear time.
#[test]
fn long_files() {
    let many = "REBOOT\n".repeat(20_000);
    assert_eq!(program(&format!("FROM t AS a\n{many}")).machines[0].steps.len(), 20_000);
    let text =
        format!("FROM t AS a\nRUN ${{{{ b.k }}}}\n{many}KEY k = 1\nFROM t AS b\nRUN ${{{{ a.k }}}}\n{many}KEY k = 1\n");
    let (program, _, found) = checked(&text, &build(), &Context::usual());
    assert!(program.is_none() && found.iter().all(|c| c.number == 221) && found.len() == 1);
}

#[test]
fn long_chains_of_stages() {
    for backwards in [false, true] {
        let (mut keys, mut ips, mut clones) = (String::new(), String::new(), String::new());
        for n in 0..2000 {
            let other = if backwards { n + 1 } else { n - 1 };
            let end = !(0..2000).contains(&other);
            let key = if end { "1".to_owned() } else { format!("s{other}.k + 1") };
            keys.push_str(&format!("FROM t AS s{n}\nKEY k = {key}\n"));
            let ip = if end { "10.0.0.1".to_owned() } else { format!("${{{{ s{other}.ip }}}}") };
            ips.push_str(&format!("FROM t AS s{n}\nOUTPUT VM s{n}\nADDRESS {ip}/24\n"));
            let source = if end { "t".to_owned() } else { format!("s{other}") };
            clones.push_str(&format!("FROM {source} AS s{n}\nRUN x\n"));
        }
        for text in [keys, ips, clones] {
            assert_eq!(program(&text).machines.len(), 2000);
        }
    }
}

#[test]
fn a_thousand_replicas() {
    let text =
        "FROM t AS a FOR n IN 1..1000\nOUTPUT VM a${{ n }}\nKEY k = n\nKEY l = a[1].k\nFROM t AS b\nKEY all = a.k\n";
    let program = program(text);
    assert_eq!((program.machines.len(), program.machines[1000].steps[0].needs.len()), (1001, 1000));
}

#[test]
fn habits_of_other_tools() {
    assert_snapshot!(said_of(&[
        "ARG image = debian\nFROM debian-12 AS web\nRUN echo ${{ env.HOME }} ${{ secrets.token }} ${{ vars.x }}\n",
        "ARG cpus = 2\nARG on: bool = true\nFROM debian-12 AS web\nCPU cpus\nRUN --if=on echo\n",
        "ARG a: int = \"3\"\nARG b: size = \"1GB\"\nARG c: bool = yes\nARG d: bool = \"maybe\"\nARG e = null\nFROM debian-12 AS web\nRUN echo\n",
        "FROM debian-12 AS web\nSHELL [\"/bin/bash\", \"-c\"]\nRUN echo\nSHELL [\"bash\", \"-lc\"]\nRUN echo\n",
        "FROM debian-12 AS web\nCOPY --user=app app.conf /etc/app.conf\n",
        "FROM debian-12 AS web\nMEMORY 4096\nRUN --timeout=30 echo\n",
        "FROM debian-12 AS web\nLOGIN root:hunter2\nRUN echo\n",
        "FROM debian-12 AS web\nWORKDIR \"C:\\temp\"\nCOPY app.conf \"/etc/a\\nb\"\n",
        "ARG name = \"x\"\nFROM debian-12 AS web\nRUN echo {{ name }} {{ .name }} '{{.Names}}' $${{ name }}\nRUN <<EOF\necho '{{ name }}'\nEOF\n",
    ]));
}
