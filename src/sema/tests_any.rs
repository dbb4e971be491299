//! Whatever a file says, the check ends, explains itself, and what it gives is whole.

use proptest::prelude::*;

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
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

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
        stages in prop::collection::vec(
            (0..7_usize, prop::collection::vec(prop::sample::select(&LINES[29..53]), 0..6)), 1..6),
        target in any::<bool>(),
    ) {
        let openings = [
            "FROM t AS one\nOUTPUT VM one",
            "FROM t AS two\nOUTPUT VM two\nKEY k FROM RUN x\nKEY j = 1",
            "FROM t AS base",
            "FROM base AS three",
            "FROM t AS four FOR n IN 1..3\nOUTPUT VM four${{ n }}\nKEY k = n",
            "FROM t AS five FOR v IN ${{ list }}\nOUTPUT VM five${{ v }}\nADDRESS 10.0.0.1/24",
            "FROM t",
        ];
        let mut text = String::from("ARG a = 1\nARG b: int\nARG list = [\"x\", \"y\"]\nSECRET s\n");
        let mut used = Vec::new();
        for (opening, lines) in stages {
            if used.contains(&opening) {
                continue;
            }
            used.push(opening);
            text.push_str(&format!("{}\n{}\n", openings[opening], lines.join("\n")));
        }
        check_it(&text, &given(Purpose::Build, target))?;
    }

    #[test]
    fn any_text(text in "(?s)(FROM t AS a( FOR v IN)?|RUN |KEY k |COPY |ARG |[a-z${}<>=\"' \n\\\\.\\[\\]-]){0,40}") {
        check_it(&text, &given(Purpose::Lint, false))?;
    }
}
