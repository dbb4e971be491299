//! Whatever a file says, the check ends, explains itself, and what it gives is whole.

use proptest::prelude::*;

use crate::syntax::tests::generate::cases;

use super::program::{Need, Origin, Program, Ref};
use super::tests::{Context, checked, inputs};
use super::{Inputs, Purpose, order, order_refs};

/// Lines that fit together often enough to make programs, and clash often enough to make errors.
const LINES: &[&str] = &[
    "ARG a = 1",
    "ARG b: int",
    "ARG list = [\"x\", \"y\"]",
    "ARG c = a + b",
    "SECRET s",
    "LOGIN root PASSWORD ${{ s }}",
    "FROM t AS one",
    "FROM t AS two",
    "FROM one AS three",
    "FROM two AS four FOR n IN 1..3",
    "FROM t AS five FOR v IN ${{ list }}",
    "FROM t AS six FOR n IN 1..${{ b }}",
    "FROM three",
    "FROM ${{ list[0] }} AS x",
    "OUTPUT VM m-${{ n }}",
    "OUTPUT VM m-${{ v }}",
    "OUTPUT VM m",
    "OUTPUT TEMPLATE t2",
    "OUTPUT NONE",
    "OUTPUT VM --off off-${{ a }}",
    "ADDRESS 10.0.0.${{ n }}/24 GATEWAY 10.0.0.254",
    "ADDRESS DHCP",
    "ADDRESS ${{ one.ip }}/24",
    "HOSTNAME h${{ n }}.local",
    "FOLDER f",
    "CPU ${{ a }}",
    "MEMORY 4GiB",
    "CONFIG guestinfo.x=${{ two.k }}",
    "ANNOTATION made at ${{ build.date }} by ${{ self.uuid }}",
    "WORKDIR sub",
    "ENV K=${{ k }} P=$PATH",
    "USER app",
    "SHELL bash",
    "NOTE do ${{ k }}",
    "RUN echo ${{ k }}",
    "RUN echo ${{ one.k }} ${{ two.ip }}",
    "RUN echo ${{ four[2].k }} ${{ four.k | join(\",\") }}",
    "RUN --if=${{ n > 1 }} echo ${{ four[n - 1].k }}",
    "RUN --after=one --serial echo",
    "RUN --after=four[1].k --retry=2 echo ${{ self.ip }}",
    "RUN --unless=\"test -f ${{ k }}\" echo",
    "KEY k FROM RUN hostname",
    "KEY k: int = 1 + a",
    "KEY k --if=${{ a == 1 }} FROM RUN x",
    "KEY j = two.j",
    "KEY j = one.j",
    "KEY l = five.k",
    "COPY --from=one /x /y",
    "COPY app.conf /etc/",
    "COPY --render app.conf other.conf /etc/",
    "REBOOT",
    "WAIT --interval=1s RUN test -f ${{ k | default(\"x\") }}",
    "FETCH /var/log/x logs/",
    "INCLUDE small.vmwfile",
    "INCLUDE VMWfile",
    "SEAL",
    "RUN echo ${{ nothing }}",
];

/// Stages that others refer to; they come first, and are always there.
const START: &str = "\
ARG a = 1
ARG b: int
ARG list = [\"x\", \"y\"]
SECRET s
LOGIN root PASSWORD ${{ s }}
FROM t AS one
OUTPUT VM one
RUN --after=base echo ${{ two.late }}
KEY k FROM RUN x
FROM t AS two
OUTPUT VM two
ADDRESS 10.0.0.2/24
KEY k: int = 7
KEY late: secret FROM RUN echo ${{ s }}
FROM t AS base
ENV K=1
FROM base AS four FOR n IN 1..3
OUTPUT VM four${{ n }}
KEY k --if=${{ n == 1 }} FROM RUN x
KEY m = n
";

/// Further stages.
const OPENINGS: &[&str] = &[
    "FROM base AS three\nOUTPUT NONE\n",
    "FROM t AS five FOR v IN ${{ list }}\nOUTPUT VM five${{ v }}\nADDRESS ${{ one.ip }}/24\n",
    "FROM t\n",
    "FROM one AS wrong\n",
    "FROM base AS six FOR v IN FILE hosts.csv\nOUTPUT VM ${{ v.host_name }}\nCONFIG guestinfo.x=${{ two.k }}\n",
    "FROM base AS seven FOR n IN 2..1\nOUTPUT VM seven${{ n }}\n",
    "FROM t AS eight\nOUTPUT VM eight\nHOSTNAME ${{ one.k }}\nANNOTATION ${{ two.ip }}\n",
];

/// Steps that refer to them; `#` is a number of its own for each.
const STEPS: &[&str] = &[
    "RUN echo ${{ one.k }} ${{ two.ip }} ${{ one.ip }} ${{ self.ip }}",
    "RUN echo ${{ four[1].k }} ${{ four.m | join(\",\") }}",
    "RUN echo ${{ four.uuid | join(\",\") }}",
    "RUN --if=${{ a == 2 }} echo ${{ four[2].k | default(\"\") }}",
    "RUN --serial --retry=2 --delay=1s echo ${{ two.late }}",
    "RUN --after=one --after=two.k echo",
    "RUN --after=four[1].k echo ${{ self.hostname }}",
    "RUN --unless=\"test -f ${{ one.k }}\" echo",
    "KEY k# FROM RUN hostname",
    "KEY k# = two.k + 1\nRUN echo ${{ k# }}",
    "KEY k#: secret FROM FILE /etc/key DELETE",
    "COPY --from=base /x /y",
    "COPY --from=four[2] /x${{ one.k }} /y",
    "COPY app.conf *.conf /etc/",
    "COPY --render app.conf other.conf /etc/",
    "NOTE Restart\nREBOOT",
    "WAIT --interval=1s RUN test -f x",
    "WORKDIR sub",
    "ENV K=${{ two.k }} P=$PATH",
    "USER app",
    "FETCH /var/log/x logs/",
];

fn whole(program: &Program, purpose: Purpose) {
    for (index, machine) in program.machines.iter().enumerate() {
        assert_eq!(machine.id.0 as usize, index);
        assert!(program.stages.get(machine.stage.0 as usize).is_some_and(|s| s.machines.contains(&machine.id)));
        assert!(!machine.outputs.is_empty());
        if let Origin::Machine(parent) = machine.origin {
            assert!(parent < machine.id, "a machine comes after those it is made from");
        }
        for (at, step) in machine.steps.iter().enumerate() {
            assert_eq!((step.id.machine, step.id.index as usize), (machine.id, at));
            assert!(!step.text.is_empty());
            for need in &step.needs {
                match need {
                    Need::Step(id) => assert!(program.machine(id.machine).steps.len() > id.index as usize),
                    Need::Finished(id) | Need::Attr(id, _) => assert!(program.machines.len() > id.0 as usize),
                }
            }
        }
        order_refs::machine(machine, &mut |reference, _| match reference {
            Ref::Secret(id) => assert!(program.secrets.len() > id.0 as usize),
            Ref::Key(id, name) => {
                let key = program.machine(*id).keys.get(name).expect("the key is there");
                assert!(key.optional || key.step.is_some());
            }
            Ref::Attr(id, attr) => assert!(program.machine(*id).wanted.contains(attr)),
        });
    }
    assert!(order::cycles(program).is_empty());
    if purpose == Purpose::Build {
        assert!(!format!("{program:?}").contains("Unset"), "a build knows all its values");
    }
}

fn check_it(text: &str, inputs: &Inputs) -> Result<(), TestCaseError> {
    let (program, said, codes) = checked(text, inputs, &Context::usual());
    prop_assert!(codes.iter().all(|c| c.number != 299), "unexplained:\n{text}\n{said}");
    match program {
        Some(program) => whole(&program, inputs.purpose),
        None => prop_assert!(!codes.is_empty(), "no program, and nothing said:\n{text}"),
    }
    let (_, again, _) = checked(text, inputs, &Context::usual());
    prop_assert_eq!(said, again);
    Ok(())
}

fn given(purpose: Purpose, target: bool) -> Inputs {
    let mut inputs = inputs(purpose);
    if purpose == Purpose::Build {
        inputs.args.insert("b".into(), ("2".into(), "--arg".into()));
    }
    if target {
        inputs.targets = vec!["one".into()];
    }
    inputs
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn files_of_lines(
        lines in prop::collection::vec(prop::sample::select(LINES), 1..16),
        build in any::<bool>(),
        target in any::<bool>(),
    ) {
        let purpose = if build { Purpose::Build } else { Purpose::Lint };
        let text = format!("ARG b: int\nARG a = 1\n{}\n", lines.join("\n"));
        check_it(&text, &given(purpose, target))?;
    }

    #[test]
    fn files_of_whole_stages(
        stages in prop::collection::btree_map(
            0..OPENINGS.len(), prop::collection::vec(prop::sample::select(STEPS), 0..5), 1..5),
        target in any::<bool>(),
    ) {
        let mut text = String::from(START);
        for (opening, lines) in stages {
            text.push_str(OPENINGS[opening]);
            for (number, line) in lines.iter().enumerate() {
                text.push_str(&line.replace('#', &format!("{opening}{number}")));
                text.push('\n');
            }
        }
        check_it(&text, &given(Purpose::Build, target))?;
    }

    #[test]
    fn any_text(text in "(?s)(FROM t AS a( FOR v IN)?|RUN |KEY k |COPY |ARG |[a-z${}<>=\"' \n\\\\.\\[\\]-]){0,40}") {
        check_it(&text, &given(Purpose::Lint, false))?;
    }
}
