use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::sema::program::{MachineId, Program, SecretId, StepId};
use crate::sema::tests::{TASTE, program};

/// A world in which every source and every file is known.
fn world(program: &Program) -> World {
    let mut world = World::default();
    for machine in &program.machines {
        world.sources.insert(machine.id, "template vm-1 1".to_owned());
        world.places.insert(machine.id, "datastore-1 pool-1".to_owned());
        world.files.extend(machine.steps.iter().map(|s| (s.id, Sink::new("files").end())));
    }
    world
}

fn made(text: &str) -> Vec<Recipe> {
    let program = program(text);
    recipes(&program, &world(&program))
}

/// The digests of each machine: before its steps, after each, and of all of it.
fn digests(text: &str) -> Vec<Vec<Result<Digest, Unknown>>> {
    let of = |r: &Recipe| {
        let marks = std::iter::once(&r.base).chain(&r.steps).chain([&r.whole]);
        marks.map(|m| m.digest.clone()).collect()
    };
    made(text).iter().map(of).collect()
}

fn whole(text: &str) -> Digest {
    made(text)[0].whole.digest.clone().unwrap()
}

/// Lines of a stage that mean something each, and the same written otherwise.
const LINES: &[(&str, &str)] = &[
    ("RUN echo one", "# why\nrun echo one"),
    ("RUN echo two", "\nNOTE Two\nRUN --timeout=10m echo two"),
    ("RUN echo one  two", "RUN --retry=2 --delay=1s echo one  two"),
    ("RUN [\"echo\", \"one\"]", "RUN   [ \"echo\" ,\"one\" ]"),
    ("RUN echo ${{ word }}", "RUN echo ${{word   }}"),
    ("RUN echo ${{ n + 1 }} ${{ word | upper }}", "RUN echo ${{n+1}} ${{ word|upper }}"),
    ("RUN --allow-failure echo one", "RUN --allow-failure --timeout=1h echo one"),
    ("RUN --ok=0,3 echo one", "RUN --ok=0,3 --delay=2s --retry=1 echo one"),
    ("RUN --user=app echo one", "run --user=app echo one"),
    ("RUN --unless=\"true\" echo one", "RUN --unless=true echo one"),
    ("COPY app.conf /etc/", "COPY \"app.conf\" '/etc/'"),
    ("COPY --chmod=0600 app.conf /etc/", "copy app.conf --chmod=0600 /etc/"),
    ("COPY <<EOF /etc/motd\nhello\nEOF", "COPY <<END /etc/motd\nhello\nEND"),
    ("COPY <<EOF /etc/motd\nhello ${{ word }}\nEOF", "COPY <<EOF /etc/motd\nhello ${{word}}\nEOF"),
    ("REBOOT", "reboot"),
    ("WAIT FILE /x", "WAIT --interval=1s --timeout=3m FILE /x"),
    ("CHECKPOINT here", "CHECKPOINT there"),
    ("RUN <<EOF\necho one\nEOF", "RUN <<END\necho one\nEND"),
    ("ENV A=1\nRUN echo env", "ENV  A=1\n# c\nRUN echo env"),
    ("ENV A=2\nRUN echo env", "ENV A=\"2\"\nRUN echo env"),
    ("WORKDIR /srv\nRUN echo dir", "WORKDIR \"/srv\"\nRUN echo dir"),
    ("RUN echo ${{ pw }}", "RUN echo ${{pw}}"),
];

fn file(lines: &[usize], other: bool) -> String {
    let mut text = "ARG word = \"w\"\nARG n: int = 2\nSECRET pw\nFROM t AS a\nOUTPUT TEMPLATE a\n".to_owned();
    for line in lines {
        let (one, two) = LINES[*line];
        text.push_str(if other { two } else { one });
        text.push('\n');
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_same_program_has_the_same_digests(lines in prop::collection::vec(0..LINES.len(), 0..8)) {
        let one = digests(&file(&lines, false));
        prop_assert_eq!(&one, &digests(&file(&lines, false)));
        prop_assert_eq!(&one, &digests(&file(&lines, true)), "written otherwise");
    }

    #[test]
    fn a_line_makes_a_difference_from_its_place_on(
        lines in prop::collection::vec(0..LINES.len(), 1..8),
        at in any::<prop::sample::Index>(),
        other in 0..LINES.len(),
        how in 0..3,
    ) {
        let at = at.index(lines.len());
        let mut changed = lines.clone();
        match how {
            0 => changed[at] = other,
            1 => drop(changed.remove(at)),
            _ => changed.insert(at, other),
        }
        prop_assume!(changed != lines);
        let (before, after) = (&digests(&file(&lines, false))[0], &digests(&file(&changed, false))[0]);
        let first = lines.iter().zip(&changed).take_while(|(a, b)| a == b).count();
        prop_assert_eq!(&before[..=first], &after[..=first], "what comes before it is the same");
        let mut all: Vec<_> = before[first + 1..].iter().chain(&after[first + 1..]).collect();
        let count = all.len();
        all.sort_by_key(|d| d.as_ref().map(ToString::to_string).unwrap_or_default());
        all.dedup();
        prop_assert_eq!(all.len(), count, "what comes after it is another, everywhere");
    }
}

#[test]
fn what_lies_outside_of_the_file_makes_a_difference() {
    let program = program("FROM t AS a\nOUTPUT TEMPLATE a\nCOPY app.conf /etc/\nRUN x\n");
    let own = world(&program);
    let of = |world: &World| recipes(&program, world)[0].whole.digest.clone();
    let (id, step) = (MachineId(0), StepId { machine: MachineId(0), index: 0 });
    let mut seen = vec![of(&own)];
    let mut other = own.clone();
    other.sources.insert(id, "template vm-1 2".to_owned());
    seen.push(of(&other));
    let mut other = own.clone();
    other.places.insert(id, "datastore-2 pool-1".to_owned());
    seen.push(of(&other));
    let mut other = own.clone();
    other.files.insert(step, Sink::new("other files").end());
    seen.push(of(&other));
    let mut other = own.clone();
    other.users[1] = Some("builder".to_owned());
    seen.push(of(&other));
    other.users[0] = Some("root".to_owned());
    seen.push(of(&other));
    let mut other = own.clone();
    other.files.clear();
    assert_eq!(of(&other), Err(Unknown::Files(step)));
    let mut other = own;
    other.sources.clear();
    assert_eq!(of(&other), Err(Unknown::Source));
    for (at, one) in seen.iter().enumerate() {
        assert!(seen.iter().skip(at + 1).all(|two| one != two), "{at}: {seen:?}");
    }
}

#[test]
fn hardware_network_and_outputs_make_a_difference() {
    let stage = |lines: &str| format!("FROM t AS a\n{lines}RUN x\n");
    let all = [
        "OUTPUT TEMPLATE a\n",
        "OUTPUT VM a\n",
        "OUTPUT VM --off a\n",
        "OUTPUT TEMPLATE a\nCPU 2\n",
        "OUTPUT TEMPLATE a\nCPU 2 CORES 2\n",
        "OUTPUT TEMPLATE a\nMEMORY 2GiB\n",
        "OUTPUT TEMPLATE a\nCONFIG a=b\n",
        "OUTPUT TEMPLATE a\nCONFIG a=c\n",
        "OUTPUT TEMPLATE a\nANNOTATION text\n",
        "OUTPUT TEMPLATE a\nHOSTNAME a.local\n",
        "OUTPUT TEMPLATE a\nADDRESS 10.0.0.1/24\n",
        "OUTPUT TEMPLATE a\nADDRESS 10.0.0.1/24 GATEWAY 10.0.0.254\n",
        "OUTPUT TEMPLATE a\nADDRESS --method=netplan 10.0.0.1/24\n",
    ];
    let digests: Vec<Digest> = all.iter().map(|lines| whole(&stage(lines))).collect();
    for (at, one) in digests.iter().enumerate() {
        assert!(digests.iter().skip(at + 1).all(|two| one != two), "{}", all[at]);
    }
    // The name of an output is where it is looked for; what is done with one that is there is no part of it.
    assert_eq!(digests[0], whole(&stage("OUTPUT TEMPLATE --exists=replace b\n")));
}

#[test]
fn a_stage_has_all_that_it_is_made_from() {
    let of = |first: &str| made(&format!("FROM t AS a\nRUN {first}\nFROM a AS b\nRUN y\n"))[1].whole.digest.clone();
    assert_ne!(of("x"), of("z"));
    assert_eq!(of("x"), of("x"));
    assert_eq!(of("--no-cache x"), Err(Unknown::Other(MachineId(0))));
}

#[test]
fn values_of_others_count_by_what_makes_them() {
    let of = |first: &str| {
        let text = format!("FROM t AS a\nOUTPUT VM a\nKEY k FROM RUN {first}\nFROM t AS b\nRUN echo ${{{{ a.k }}}}\n");
        made(&text)[1].clone()
    };
    assert_ne!(of("x").whole.digest, of("z").whole.digest);
    assert_eq!(of("x").whole.values.into_iter().collect::<Vec<_>>(), [MachineId(0)]);
    assert!(of("x").base.values.is_empty());
    // Stages that use each other's values.
    let taste = made(TASTE);
    assert!(taste.iter().all(|r| r.whole.digest.is_ok()));
    let both = made(
        "FROM t AS a\nOUTPUT VM a\nKEY k FROM RUN x\nRUN echo ${{ b.k }}\n\
         FROM t AS b\nOUTPUT VM b\nKEY k FROM RUN x\nRUN echo ${{ a.k }}\n",
    );
    assert!(both.iter().all(|r| r.whole.digest.is_ok() && r.whole.values.len() == 2));
}

#[test]
fn a_secret_counts_by_its_name_and_one_that_logs_in_not_at_all() {
    let text = "SECRET pw\nSECRET door\nLOGIN root PASSWORD ${{ door }}\nFROM t AS a\nRUN one\nRUN echo ${{ pw }}\n";
    let recipe = &made(text)[0];
    assert_eq!(recipe.whole.secrets.iter().copied().collect::<Vec<_>>(), [SecretId(0)]);
    assert!(recipe.steps[0].secrets.is_empty());
    let other = text.replace("door", "gate");
    assert_eq!(recipe.whole.digest, made(&other)[0].whole.digest);
    assert_ne!(recipe.whole.digest, made(&text.replace("pw", "pass"))[0].whole.digest);
}

#[test]
fn what_is_never_taken_from_the_cache() {
    let of = |line: &str| made(&format!("FROM t AS a\nRUN x\n{line}\nRUN y\n"))[0].clone();
    let step = StepId { machine: MachineId(0), index: 1 };
    let recipe = of("RUN --no-cache z");
    assert_eq!(recipe.whole.digest, Err(Unknown::NoCache(step)));
    assert!(recipe.steps[0].digest.is_ok(), "a checkpoint before it can be gone on from");
    assert_eq!(of("FETCH /etc/motd out").whole.digest, Err(Unknown::Fetches(step)));
}

fn found(build: &str) -> Found {
    Found { build: build.to_owned(), ..Found::default() }
}

fn verdicts(text: &str, all: &[(u32, Result<Found, String>)]) -> Vec<Verdict> {
    let program = program(text);
    let recipes = recipes(&program, &world(&program));
    let found: BTreeMap<_, _> = all.iter().map(|(id, f)| (MachineId(*id), f.clone())).collect();
    decide(&program, &recipes, &found, &BTreeMap::new(), &BTreeSet::new()).0
}

#[test]
fn whoever_uses_a_value_is_made_with_whoever_gives_it() {
    let text = "FROM t AS a\nOUTPUT VM a\nKEY k FROM RUN x\nFROM t AS b\nRUN echo ${{ a.k }}\n";
    let giver = Found { keys: ["k".to_owned()].into(), ..found("b1") };
    let user = |build: &str| Found { needs: [("a".to_owned(), build.to_owned())].into(), ..found("b1") };
    let gone = || Err("gone".to_owned());
    let both = verdicts(text, &[(0, Ok(giver.clone())), (1, Ok(user("b1")))]);
    assert_eq!(both, [Verdict::Cached, Verdict::Cached]);
    // The user alone is made: the value is known.
    assert!(!verdicts(text, &[(0, Ok(giver.clone())), (1, gone())])[0].is_made());
    // It isn't known: both.
    assert!(verdicts(text, &[(0, Ok(found("b1"))), (1, gone())]).iter().all(Verdict::is_made));
    // The giver is made: the value may be another.
    assert!(verdicts(text, &[(0, gone()), (1, Ok(user("b1")))]).iter().all(Verdict::is_made));
    // It was made again by a build that didn't get as far as the user.
    let stale = verdicts(text, &[(0, Ok(giver)), (1, Ok(user("b0")))]);
    assert_eq!(stale[0], Verdict::Cached);
    assert_eq!(stale[1], Verdict::Made("it was made with what an earlier `a` gave".to_owned()));
}

#[test]
fn what_leaves_nothing_is_made_for_those_that_need_it() {
    let text =
        "FROM t AS base\nOUTPUT NONE\nKEY k FROM RUN x\nFROM base AS a\nRUN y\nFROM t AS b\nRUN echo ${{ base.k }}\n";
    let user = |build: &str| Found { needs: [("base".to_owned(), build.to_owned())].into(), ..found("b1") };
    let all = |a, b| verdicts(text, &[(1, a), (2, b)]);
    assert_eq!(all(Ok(found("b1")), Ok(user("b1"))), [Verdict::Unneeded, Verdict::Cached, Verdict::Cached]);
    // `a` is made from it, and `b` uses its value, which is another then.
    assert!(all(Err("gone".to_owned()), Ok(user("b1"))).iter().all(Verdict::is_made));
    assert!(verdicts("FROM t AS a\nOUTPUT NONE\nRUN x\n", &[])[0].is_made(), "for its own sake");
}

#[test]
fn what_was_made_without_the_cache_makes_others_outdated() {
    let text = "FROM t AS a\nRUN x\nFROM a AS b\nRUN y\n";
    let fresh = Found { fresh: true, ..found("b2") };
    let child = |build: &str| Found { needs: [("a".to_owned(), build.to_owned())].into(), ..found("b1") };
    assert!(!verdicts(text, &[(0, Ok(fresh.clone())), (1, Ok(child("b2")))])[1].is_made());
    assert!(verdicts(text, &[(0, Ok(fresh)), (1, Ok(child("b1")))])[1].is_made());
    // Made by the same recipe, if not by the same build, it is as good.
    assert!(!verdicts(text, &[(0, Ok(found("b2"))), (1, Ok(child("b1")))])[1].is_made());
    assert!(!verdicts(text, &[(0, Err("gone".to_owned())), (1, Ok(child("b1")))])[1].is_made());
}

#[test]
fn records_are_read_as_they_were_written_and_nothing_else_is() {
    let record = Record {
        digest: whole("FROM t AS a\nRUN x\n").to_string(),
        vm: Some("vm-7".to_owned()),
        build: "b1".to_owned(),
        keys: [("a".to_owned(), Some("1".to_owned())), ("b".to_owned(), None)].into(),
        ..Record::default()
    };
    let read = Record::of(&record.to_text().unwrap()).unwrap();
    assert_eq!(read, Record { v: 1, ..record.clone() });
    assert_eq!(Digest::parse(&read.digest).map(|d| d.to_string()), Some(read.digest));
    for text in ["", "{}", "null", "{\"v\":2}", "[1]", "{\"v\":1,\"digest\":7}"] {
        assert_eq!(Record::of(text), None, "{text}");
    }
    assert_eq!(Digest::parse("é"), None);
    // Too much for a machine's configuration: what can be worked out again is left out first.
    let large = Record { steps: vec!["0123456789ab".to_owned(); 5000], ..record.clone() };
    assert!(Record::of(&large.to_text().unwrap()).unwrap().steps.is_empty());
    let huge = Record { keys: [("a".to_owned(), Some("x".repeat(30_000)))].into(), ..record };
    assert!(Record::of(&huge.to_text().unwrap()).unwrap().keys.is_empty());
    let name = checkpoint_name(&whole("FROM t AS a\n"), &"b".repeat(200));
    assert!(name.len() <= 80 && name.starts_with(CHECKPOINT_PREFIX), "{name}");
}
