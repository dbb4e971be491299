use super::*;
use crate::sema::tests::{TASTE, program};

fn edge_list(text: &str) -> String {
    let program = program(text);
    let dag = lower(&program);
    let name = |node: Node| {
        let label = program.machine(node.machine()).label.clone();
        match node {
            Node::Clone(_) => format!("{label} clone"),
            Node::Boot(_) => format!("{label} boot"),
            Node::Network(_) => format!("{label} network"),
            Node::Step(step) => format!("{label} step {}", step.index),
            Node::Export(_) => format!("{label} export"),
            Node::Finish(_) => format!("{label} finish"),
        }
    };
    let mut out = String::new();
    for (from, to, reason) in dag.edges() {
        out.push_str(&format!("{} -> {} ({:?})\n", name(from), name(to), reason.why));
    }
    out
}

#[test]
fn the_taste_of_the_language() {
    insta::assert_snapshot!(edge_list(TASTE));
}

#[test]
fn it_is_drawn() {
    let program = program(TASTE);
    insta::assert_snapshot!(dot(&view(&lower(&program), &program, Grain::Steps)));
}

#[test]
fn a_template_without_steps_never_boots() {
    insta::assert_snapshot!(edge_list("FROM debian-12 AS base\nCPU 2\n"), @r"base clone -> base finish (Sequence)");
    insta::assert_snapshot!(edge_list("FROM debian-12 AS base\nOUTPUT VM --off base\n"), @r"base clone -> base finish (Sequence)");
    insta::assert_snapshot!(edge_list("FROM debian-12 AS base\nOUTPUT VM base\n"), @r"
    base clone -> base boot (Sequence)
    base boot -> base finish (Sequence)
    ");
    insta::assert_snapshot!(edge_list("FROM debian-12 AS base\nHOSTNAME base\n"), @r"
    base clone -> base boot (Sequence)
    base boot -> base network (Sequence)
    base network -> base finish (Sequence)
    ");
}

#[test]
fn edges_only_where_one_needs_the_other() {
    insta::assert_snapshot!(edge_list(
        "FROM debian-12 AS a\nOUTPUT VM a\nRUN one\nKEY token FROM RUN two\nRUN three\n\
         FROM debian-12 AS b\nOUTPUT VM b\nRUN four\nRUN five ${{ a.token }} ${{ a.ip }} ${{ a.uuid }}\n\
         RUN --after=a six\nRUN --after=a.token seven\n"
    ));
}

#[test]
fn copying_from_a_machine_stands_between_its_last_step_and_its_end() {
    insta::assert_snapshot!(edge_list(
        "FROM debian-12 AS maker\nOUTPUT NONE\nRUN make\n\
         FROM debian-12 AS app\nRUN one\nCOPY --from=maker /out/app /usr/bin/app\nRUN two\n"
    ));
}

#[test]
fn replicas_one_at_a_time() {
    insta::assert_snapshot!(edge_list(
        "FROM debian-12 AS node FOR n IN 1..3\nOUTPUT VM node${{ n }}\nRUN one\nRUN --serial two\n"
    ));
}

#[test]
fn labels_are_escaped() {
    let program = program("FROM debian-12 AS a\nRUN echo \"a \\\\ b\" '${HOME}'\nNOTE it's \"so\"\nRUN true\n");
    let drawn = dot(&view(&lower(&program), &program, Grain::Steps));
    assert!(drawn.contains(r#"label="RUN echo \"a \\\\ b\" '${HOME}'""#), "{drawn}");
    assert!(drawn.contains(r#"label="it's \"so\"""#), "{drawn}");
}

#[test]
fn everything_has_an_order() {
    let program = program(TASTE);
    let dag = lower(&program);
    let order = dag.order().expect("no cycle");
    assert_eq!(order.len(), dag.nodes().count());
    for (from, to, _) in dag.edges() {
        let place = |node| order.iter().position(|n| *n == node);
        assert!(place(from) < place(to));
    }
}

/// The examples have nothing wrong, and what they need of each other is drawn.
#[test]
fn the_examples() {
    use crate::sema::Purpose;
    use crate::sema::tests::{Context, checked, inputs};
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut found = 0;
    for entry in std::fs::read_dir(&root).expect("the examples are there").flatten() {
        let Ok(text) = std::fs::read_to_string(entry.path().join("VMWfile")) else { continue };
        let mut files = Context::default();
        for file in ignore::Walk::new(entry.path()).flatten().filter(|e| e.path().is_file()) {
            let path = file.path().strip_prefix(entry.path()).expect("it is inside").to_string_lossy().into_owned();
            files = files.with(&path, std::fs::read(file.path()).expect("it can be read"));
        }
        let (program, said, _) = checked(&text, &inputs(Purpose::Build), &files);
        assert_eq!(said, "", "of {}", entry.path().display());
        let program = program.expect("a file without errors is a program");
        let dag = lower(&program);
        assert!(dag.order().is_some());
        let drawn = dot(&view(&dag, &program, Grain::Steps));
        assert_eq!(drawn.matches("subgraph").count(), program.machines.len());
        found += 1;
    }
    assert!(found >= 6, "only {found} examples");
}
