//! The cache, by the real binary: what is there as it would be made is taken as it is, without a request to its guest;
//! whatever makes a difference is noticed; a CHECKPOINT is gone on from; and nobody's machine is touched.

#![allow(clippy::unwrap_used)] // a test may
#![cfg(target_os = "linux")]

use crate::common;

use std::path::Path;

use common::project::{Built, Project, soon};
use common::site::Site;
use common::{DEADLINE, context, on_both, run};
use serde_json::Value;
use vmwbuild::vsphere::client::HardwareChange;

on_both! {
    given
    the_second_build_does_nothing
}

const MARK: &str = vmwbuild::cache::MARK;

/// What changes a vCenter or asks a guest for something.
const WORK: &[&str] = &[
    "CloneVM_Task",
    "PowerOnVM_Task",
    "ReconfigVM_Task",
    "MarkAsTemplate",
    "CreateSnapshot_Task",
    "Destroy_Task",
    "Rename_Task",
    "ShutdownGuest",
    "StartProgramInGuest",
    "ListFilesInGuest",
    "ListProcessesInGuest",
    "ValidateCredentialsInGuest",
    "InitiateFileTransferToGuest",
    "InitiateFileTransferFromGuest",
    "DeleteDirectoryInGuest",
    "DeleteFileInGuest",
    "MakeDirectoryInGuest",
];

/// What only these tests ask of a project.
impl Project {
    /// What is remembered of a machine.
    fn record(&self, name: &str) -> Option<Value> {
        let vm = self.moref(name);
        let extra = self.client(async |client| client.extra_config(&vm).await.unwrap());
        extra.get(MARK).and_then(|text| serde_json::from_str(text).ok())
    }

    fn set_record(&self, name: &str, text: &str) {
        let vm = self.moref(name);
        let change = HardwareChange { extra: vec![(MARK.to_owned(), text.to_owned())], ..HardwareChange::default() };
        self.client(async |client| {
            let inventory = client.inventory().await.unwrap();
            let entity = inventory.vm(name, None).unwrap();
            // A template takes it as a machine only.
            let pool = inventory.place(&Default::default(), entity).unwrap().pool;
            let template = entity.template;
            if template {
                client.mark_as_vm(&vm, &pool, None).await.unwrap();
            }
            client.reconfigure(&vm, &change, soon()).await.unwrap();
            if template {
                client.mark_as_template(&vm).await.unwrap();
            }
        });
    }

    /// The names of machines that hold checkpoints.
    fn checkpoints(&self) -> Vec<String> {
        self.machines().into_keys().filter(|n| n.starts_with(vmwbuild::cache::CHECKPOINT_PREFIX)).collect()
    }

    fn cache_ls(&self) -> Vec<Value> {
        let list: Value = serde_json::from_str(&self.done(&["cache", "ls", "--json"]).stdout()).unwrap();
        common::schema::Schema::new("cache.json").check(&list).unwrap_or_else(|e| panic!("{e}"));
        list.as_array().unwrap().clone()
    }
}

const CHAIN: &str = "ARG template\nARG word = \"hello\"\nARG more: bool = false\n\
    FROM ${{ template }} AS image\nOUTPUT TEMPLATE --exists=replace cache-image\n\
    COPY conf /root/conf\n\
    RUN echo ${{ word }} > /root/word\n\
    KEY answer: int FROM RUN echo 42\n\
    FROM image AS vm\nOUTPUT VM --exists=replace cache-vm\n\
    RUN echo ${{ image.answer }} > /root/answer\n\
    RUN --if=${{ more }} echo more > /root/more\n";

fn chain(site: Site) -> Project {
    let project = Project::new(site, &[("VMWfile", CHAIN), ("conf/a", "a\n"), ("conf/b", "b\n")]);
    let first = project.build(&[]);
    assert_eq!(first.result_of("image"), "built");
    assert_eq!(first.result_of("vm"), "built");
    project
}

fn the_second_build_does_nothing(site: Site) {
    let project = chain(site);
    let before = project.machines();
    let second = project.build(&[]);
    assert_eq!(second.how("image"), ("cached".to_owned(), vec!["cached".to_owned(); 3]));
    assert_eq!(second.how("vm"), ("cached".to_owned(), vec!["cached".to_owned()]));
    assert_eq!(second.count(WORK), 0, "{:?}", second.requests);
    // One request reads all that is compared.
    assert!(second.requests.values().sum::<u64>() <= 9, "{:?}", second.requests);
    assert_eq!(project.machines(), before);
    second.says("image CACHED template cache-image");
    second.says("VM cache-vm");
    assert_eq!(second.result["keys"]["image"]["answer"], 42, "{}", second.result);
    let outputs = second.result["outputs"].as_array().unwrap();
    assert!(outputs.len() == 2 && outputs.iter().all(|o| o["cached"] == true), "{outputs:?}");
    assert_eq!(project.read("cache-vm", "/root/answer"), "42\n");
    // A journal of a build that found everything there has left nothing.
    let builds = project.done(&["builds"]).stdout();
    assert_eq!(builds.lines().filter(|l| l.contains("  done ")).count(), 2, "{builds}");
}

#[test]
fn what_makes_a_difference_is_noticed() {
    let project = chain(Site::here().unwrap());
    let all = |built: &Built| (built.result_of("image"), built.result_of("vm"));
    let both = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    // Comments, NOTEs, blank lines and how things are written make none.
    let other = CHAIN
        .replace("RUN echo ${{ word }}", "# why\n\nNOTE Words\nrun --timeout=5m echo ${{   word }}")
        .replace("COPY conf /root/conf", "COPY \"conf\" '/root/conf'");
    project.write("VMWfile", &other);
    assert_eq!(all(&project.build(&[])), both("cached", "cached"));
    // The value of an argument, from the first stage on.
    let built = project.build(&["--arg", "word=bye"]);
    assert_eq!(all(&built), both("built", "built"));
    built.says("not taken from the cache: from step 2 on it is another: run --timeout=5m echo");
    assert_eq!(project.read("cache-vm", "/root/word"), "bye\n");
    assert_eq!(all(&project.build(&["--arg", "word=bye"])), both("cached", "cached"));
    // A later stage alone.
    let built = project.build(&["--arg", "word=bye", "--arg", "more=true"]);
    assert_eq!(all(&built), both("cached", "built"));
    assert_eq!(built.count(&["CloneVM_Task"]), 1, "the VM is cloned from the template that is there");
    assert_eq!(project.read("cache-vm", "/root/answer"), "42\n", "the key's value is known without running");
    // A file's contents, its mode, its name.
    let with = ["--arg", "word=bye", "--arg", "more=true"];
    project.write("conf/b", "c\n");
    let built = project.build(&with);
    assert_eq!(all(&built), both("built", "built"));
    built.says("from step 1 on it is another: COPY");
    assert_eq!(project.read("cache-vm", "/root/conf/b"), "c\n");
    let conf = project.dir.path().join("conf");
    std::fs::set_permissions(conf.join("b"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    assert_eq!(all(&project.build(&with)), both("built", "built"));
    std::fs::rename(conf.join("b"), conf.join("d")).unwrap();
    assert_eq!(all(&project.build(&with)), both("built", "built"));
    // A file that is held back makes no difference, nor when a file was touched.
    project.write(".vmwignore", "*.log\n");
    project.write("conf/x.log", "x\n");
    std::fs::File::open(conf.join("a")).unwrap().set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(all(&project.build(&with)), both("cached", "cached"));
    // Hardware.
    project.write("VMWfile", &other.replace("COPY", "CPU 2\nCOPY"));
    let built = project.build(&with);
    assert_eq!(all(&built), both("built", "built"));
    built.says("its source, its place, its hardware or its network is another");
    assert_eq!(all(&project.build(&with)), both("cached", "cached"));
    // The source template.
    let source = project.moref("linux");
    let change = HardwareChange { annotation: Some("another".to_owned()), ..HardwareChange::default() };
    project.client(async |client| client.reconfigure(&source, &change, soon()).await.unwrap());
    assert_eq!(all(&project.build(&with)), both("built", "built"));
    assert_eq!(all(&project.build(&with)), both("cached", "cached"));
}

#[test]
fn no_cache_makes_everything() {
    let project = chain(Site::here().unwrap());
    let before = project.machines();
    let built = project.build(&["--no-cache"]);
    assert_eq!((built.result_of("image"), built.result_of("vm")), ("built".to_owned(), "built".to_owned()));
    assert_ne!(project.moref("cache-image"), before["cache-image"]);
    assert_eq!(project.build(&[]).count(WORK), 0, "what it has made is known again");
    // A step that is never taken from the cache: its stage, and what is made from it.
    project.write("VMWfile", &CHAIN.replace("KEY answer: int FROM", "KEY --no-cache answer: int FROM"));
    for _ in 0..2 {
        let built = project.build(&[]);
        assert_eq!((built.result_of("image"), built.result_of("vm")), ("built".to_owned(), "built".to_owned()));
    }
}

#[test]
fn a_name_that_is_taken_says_why_it_is_not_taken_as_it_is() {
    let project = Project::on_sandbox(&[(
        "VMWfile",
        "ARG word = \"a\"\nFROM linux AS image\nOUTPUT TEMPLATE cache-image\nRUN echo ${{ word }}\n",
    )]);
    project.build(&[]);
    // `--exists=fail` is no failure where the same is there.
    assert_eq!(project.build(&[]).result_of("image"), "cached");
    let refused = project.try_build(&["--arg", "word=b"]);
    assert_eq!(refused.run.code, Some(5));
    refused.says("there is already a template");
    refused.says("can't take it as it is: from step 1 on it is another: RUN echo ${{ word }}");
    assert_eq!(refused.count(WORK), 0);
    let refused = project.try_build(&["--no-cache"]);
    assert_eq!(refused.run.code, Some(5));
    // Somebody else's VM of that name, and a copy of ours that somebody has made.
    let copied = project.record("cache-image").unwrap().to_string();
    project.destroy("cache-image");
    project.client(async |client| drop(common::embedded::clone_of(client, "linux", "cache-image").await));
    let refused = project.try_build(&[]);
    assert_eq!(refused.run.code, Some(5));
    refused.says("there is already a VM");
    project.set_record("cache-image", &copied);
    assert_eq!(project.try_build(&[]).run.code, Some(5), "what is remembered is of another machine");
    assert!(project.machines().contains_key("cache-image"));
}

#[test]
fn outputs_that_were_meddled_with_are_made_again() {
    let project = chain(Site::here().unwrap());
    // A digest that was tampered with, and one that can't be read.
    let record = project.record("cache-image").unwrap();
    let mut other = record.clone();
    other["digest"] = Value::from("0".repeat(64));
    for text in [other.to_string(), "{".to_owned(), "x".repeat(100_000), String::new()] {
        project.set_record("cache-image", &text);
        assert_eq!(project.build(&[]).result_of("image"), "built", "{text:.40}");
        assert_eq!(project.build(&[]).count(WORK), 0);
    }
    // Values that can't be: the stage that needs them makes the one that gives them.
    let mut other = project.record("cache-image").unwrap();
    other["keys"]["answer"] = Value::from("many");
    project.set_record("cache-image", &other.to_string());
    let built = project.build(&["--arg", "more=true"]);
    assert_eq!((built.result_of("image"), built.result_of("vm")), ("built".to_owned(), "built".to_owned()));
    assert_eq!(project.read("cache-vm", "/root/answer"), "42\n");
    // Deleted by hand: only that.
    project.destroy("cache-vm");
    let built = project.build(&["--arg", "more=true"]);
    assert_eq!((built.result_of("image"), built.result_of("vm")), ("cached".to_owned(), "built".to_owned()));
    // A VM that was to run and doesn't.
    let vm = project.moref("cache-vm");
    project.client(async |client| client.power_off(&vm, soon()).await.unwrap());
    let built = project.build(&["--arg", "more=true"]);
    assert_eq!((built.result_of("image"), built.result_of("vm")), ("cached".to_owned(), "built".to_owned()));
    built.says("doesn't run any more");
    // The template alone is gone: the VM uses its key, and is made anew with it.
    project.destroy("cache-image");
    let built = project.build(&["--arg", "more=true"]);
    assert_eq!((built.result_of("image"), built.result_of("vm")), ("built".to_owned(), "built".to_owned()));
    built.says("it uses what `image` gives, which is made anew");
}

#[test]
fn stages_that_leave_nothing_are_made_only_when_needed() {
    let file = "ARG more: bool = false\nFROM linux AS base\nOUTPUT NONE\nRUN echo base > /root/base\nKEY token FROM RUN date +%N\n\
        FROM base AS one\nOUTPUT TEMPLATE --exists=replace cache-one\nRUN true\n\
        FROM linux AS two\nOUTPUT TEMPLATE --exists=replace cache-two\nRUN echo ${{ base.token }} > /root/token\n\
        RUN --if=${{ more }} true\n\
        FROM linux AS check\nOUTPUT NONE\nRUN true\n";
    let project = Project::on_sandbox(&[("VMWfile", file)]);
    project.build(&[]);
    let built = project.build(&[]);
    for (machine, how) in [("base", "cached"), ("one", "cached"), ("two", "cached"), ("check", "built")] {
        assert_eq!(built.result_of(machine), how, "{machine}");
    }
    assert_eq!(built.count(&["CloneVM_Task"]), 1, "what leaves nothing for nobody is run for its own sake");
    // `two` is made: it needs the key, so that `base` is made, which `one` needs no more.
    let built = project.build(&["--arg", "more=true"]);
    for (machine, how) in [("base", "built"), ("one", "cached"), ("two", "built")] {
        assert_eq!(built.result_of(machine), how, "{machine}");
    }
}

#[test]
fn a_changed_secret_is_noticed_by_whoever_has_made_it() {
    let file = "SECRET pw\nSECRET door\nLOGIN root PASSWORD ${{ door }}\nFROM linux AS image\n\
        OUTPUT TEMPLATE --exists=replace cache-image\nRUN echo ${{ pw }} | sha256sum > /root/sum\n\
        KEY got FROM RUN echo ${{ pw }}\nKEY token: secret FROM RUN echo t0ps3cr3t-token\n\
        FROM linux AS user\nOUTPUT TEMPLATE --exists=replace cache-user\nRUN echo ${{ image.token }} | wc -c\n";
    let project = Project::on_sandbox(&[("VMWfile", file)]);
    let give = |pw: &str, door: &str| [format!("id=pw,cmd=echo {pw}"), format!("id=door,cmd=echo {door}")];
    let build = |dir: &Path, pw: &str, door: &str| {
        let [pw, door] = give(pw, door);
        let built = project.build_in(dir, &["--secret", &pw, "--secret", &door]);
        assert_eq!(built.run.code, Some(0), "{}", built.run);
        built
    };
    let own = project.dir.path();
    build(own, "s3cr3t-one", "open-sesame");
    let record = project.record("cache-image").unwrap();
    let text = record.to_string();
    assert!(!text.contains("s3cr3t") && !text.contains("t0ps3cr3t") && !text.contains("sesame"), "{text}");
    assert!(record["keys"].get("token").is_none() && record["keys"].get("got").is_none(), "{record}");
    assert_eq!(
        record["secrets"].as_object().unwrap().keys().collect::<Vec<_>>(),
        ["pw"],
        "a password to log in changes nothing"
    );
    assert_eq!(build(own, "s3cr3t-one", "open-sesame").count(WORK), 0);
    assert_eq!(build(own, "s3cr3t-one", "another-door").count(WORK), 0);
    let built = build(own, "s3cr3t-two", "open-sesame");
    assert_eq!((built.result_of("image"), built.result_of("user")), ("built".to_owned(), "built".to_owned()));
    built.says("the secret `pw` is another one");
    // Another user, or another machine, can't compare, and takes it for the same.
    let elsewhere = context(&[("VMWfile", file)]);
    assert_eq!(build(elsewhere.path(), "s3cr3t-three", "x").count(WORK), 0);
    // A secret key isn't kept anywhere: who needs it makes the stage that captures it.
    project.destroy("cache-user");
    let built = build(own, "s3cr3t-two", "open-sesame");
    assert_eq!((built.result_of("image"), built.result_of("user")), ("built".to_owned(), "built".to_owned()));
    let state = run(std::process::Command::new("grep").args(["-r", "-l", "s3cr3t"]).arg(own.join(".state")), DEADLINE);
    assert_eq!(state.stdout(), "", "a secret in the state directory");
    let key = std::fs::metadata(own.join(".state/cache.key")).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&key.permissions()) & 0o777, 0o600);
}

#[test]
fn attributes_of_a_machine_that_is_there_are_known() {
    let file = "ARG more: bool = false\nFROM linux AS server\nOUTPUT VM --exists=replace cache-server\nHOSTNAME server1\n\
        RUN true\n\
        FROM linux AS client\nOUTPUT VM --exists=replace cache-client\n\
        RUN echo ${{ server.ip }} ${{ server.hostname }} ${{ server.uuid }} ${{ server.moref }} > /root/server\n\
        RUN --if=${{ more }} true\n";
    let project = Project::on_sandbox(&[("VMWfile", file)]);
    project.build(&[]);
    let first = project.read("cache-client", "/root/server");
    assert_eq!(project.build(&[]).count(WORK), 0);
    let built = project.build(&["--arg", "more=true"]);
    assert_eq!((built.result_of("server"), built.result_of("client")), ("cached".to_owned(), "built".to_owned()));
    assert_eq!(project.read("cache-client", "/root/server"), first);
    assert!(first.contains(" server1 "), "{first}");
}

#[test]
fn files_of_another_guest_are_fetched_from_one_that_is_made() {
    let file = "ARG more: bool = false\nFROM linux AS maker\nOUTPUT TEMPLATE --exists=replace cache-maker\n\
        RUN echo made > /root/made\n\
        FROM linux AS taker\nOUTPUT VM --exists=replace cache-taker\nCOPY --from=maker /root/made /root/taken\n\
        RUN --if=${{ more }} true\n\
        FROM linux AS fetcher\nOUTPUT TEMPLATE --exists=replace cache-fetcher\nFETCH /etc/hostname out\n";
    let project = Project::on_sandbox(&[("VMWfile", file)]);
    project.build(&[]);
    std::fs::remove_file(project.dir.path().join("out")).unwrap();
    let built = project.build(&[]);
    assert_eq!((built.result_of("maker"), built.result_of("taker")), ("cached".to_owned(), "cached".to_owned()));
    assert_eq!(built.result_of("fetcher"), "built", "what it leaves is here");
    assert!(project.dir.path().join("out").exists());
    let built = project.build(&["--arg", "more=true"]);
    assert_eq!((built.result_of("maker"), built.result_of("taker")), ("built".to_owned(), "built".to_owned()));
    assert_eq!(project.read("cache-taker", "/root/taken"), "made\n");
}

#[test]
fn linked_clones_of_a_cached_stage_and_several_outputs() {
    let file = "ARG more: bool = false\nFROM linux AS image\nOUTPUT TEMPLATE --exists=replace cache-image\n\
        OUTPUT VM --off --exists=replace cache-copy\nRUN echo image > /root/image\n\
        FROM image --linked AS vm\nOUTPUT VM --exists=replace cache-vm\nRUN --if=${{ more }} true\nRUN true\n";
    let project = Project::on_sandbox(&[("VMWfile", file)]);
    project.build(&[]);
    assert_eq!(project.build(&[]).count(WORK), 0);
    let built = project.build(&["--arg", "more=true"]);
    assert_eq!((built.result_of("image"), built.result_of("vm")), ("cached".to_owned(), "built".to_owned()));
    assert_eq!(project.read("cache-vm", "/root/image"), "image\n");
    project.destroy("cache-image");
    let built = project.build(&["--arg", "more=true"]);
    assert_eq!(built.result_of("image"), "built");
    assert_eq!(built.result_of("vm"), "built", "it shares the disks of one that is made anew");
}

const CHECKED: &str = "ARG last = \"last\"\nARG first = \"first\"\nFROM linux AS image\nOUTPUT TEMPLATE --exists=replace cache-image\n\
    RUN echo ${{ first }} >> /root/log\n\
    KEY word FROM RUN echo a word\n\
    KEY token: secret FROM RUN echo t0ken\n\
    CHECKPOINT installed\n\
    RUN echo second ${{ word }} >> /root/log\n\
    RUN ${{ last | raw }}\n\
    FROM image AS vm\nOUTPUT VM --exists=replace cache-vm\nRUN echo vm ${{ image.word }} >> /root/log\n";

/// A project whose first build has failed after its checkpoint.
fn checked() -> Project {
    let project = Project::on_sandbox(&[("VMWfile", CHECKED)]);
    let failed = project.try_build(&["--arg", "last=exit 3"]);
    assert_eq!(failed.run.code, Some(4), "{}", failed.run);
    assert_eq!(project.checkpoints().len(), 1, "{}", failed.run);
    project
}

#[test]
fn a_checkpoint_is_gone_on_from() {
    let project = checked();
    let holder = project.checkpoints().remove(0);
    // Nothing else is left, and the checkpoint is no leftover.
    assert!(!project.machines().keys().any(|n| n == "cache-image" || n.starts_with("vmwbuild-2")));
    let clean = project.done(&["clean", "--all", "--yes"]);
    assert!(clean.stderr().contains("no build has left anything"), "{clean}");
    assert!(!project.done(&["builds"]).stdout().contains("left:"));
    let plan = project.done(&["plan", "--arg", "last=true"]);
    assert!(
        plan.stdout().contains(&format!("goes on   from the checkpoint `installed` (/DC0/vm/{holder}): 4 of 6")),
        "{plan}"
    );
    let built = project.build(&["--arg", "last=true"]);
    let steps = ["cached", "cached", "cached", "cached", "done", "done"].map(str::to_owned);
    assert_eq!(built.how("image"), ("built".to_owned(), steps.to_vec()));
    assert_eq!(built.result["keys"]["image"]["word"], "a word");
    assert_eq!(project.read("cache-vm", "/root/log"), "first\nsecond a word\nvm a word\n");
    assert_eq!(project.checkpoints(), std::slice::from_ref(&holder), "it is not made again");
    // What is made from it stands by itself.
    project.done(&["cache", "prune", "--all", "--yes"]);
    assert!(project.checkpoints().is_empty());
    assert_eq!(project.build(&["--arg", "last=true"]).count(WORK), 0);
    assert_eq!(project.read("cache-vm", "/root/log"), "first\nsecond a word\nvm a word\n");
    // A change before it: from the beginning, with a checkpoint of its own.
    let built = project.build(&["--arg", "last=true", "--arg", "first=other"]);
    assert_eq!(built.how("image").1, ["done"; 6].map(str::to_owned));
    assert_eq!(project.checkpoints().len(), 1);
    // `--no-cache` goes on from none.
    let built = project.build(&["--arg", "last=true", "--arg", "first=other", "--no-cache"]);
    assert_eq!(built.how("image").1, ["done"; 6].map(str::to_owned));
    let plan = project.done(&["plan", "--arg", "last=true", "--arg", "first=other"]);
    assert_eq!(plan.stdout().matches("CACHED").count(), 2, "{plan}");
}

#[test]
fn a_checkpoint_that_is_not_whole_is_not_gone_on_from() {
    let project = checked();
    let holder = project.checkpoints().remove(0);
    let record = project.record(&holder).unwrap();
    let from_the_beginning = |project: &Project, why: &str| {
        let failed = project.try_build(&["--arg", "last=exit 4"]);
        assert_eq!(failed.run.code, Some(4), "{why}: {}", failed.run);
        assert_eq!(failed.how("image").1[..5], ["done"; 5].map(str::to_owned), "{why}");
    };
    // A digest that was tampered with.
    let mut other = record.clone();
    other["digest"] = Value::from("f".repeat(64));
    project.set_record(&holder, &other.to_string());
    from_the_beginning(&project, "another digest");
    project.done(&["cache", "prune", "--all", "--yes"]);
    // Its snapshot is gone: it is useless, and goes.
    from_the_beginning(&project, "pruned");
    let holder = project.checkpoints().remove(0);
    let vm = project.moref(&holder);
    project.client(async |client| {
        let trees = client.snapshots(&vm).await.unwrap();
        client.remove_snapshot(&trees[0].snapshot, soon()).await.unwrap();
    });
    assert_eq!(project.cache_ls()[0]["useless"], "its snapshot is gone");
    from_the_beginning(&project, "no snapshot");
    assert_eq!(project.checkpoints().len(), 2);
    let pruned = project.done(&["cache", "prune", "--yes"]);
    assert!(pruned.stdout().contains(&holder), "{pruned}");
    assert_eq!(project.checkpoints().len(), 1, "the one that is whole stays");
    // Somebody has run it and changed it: the snapshot is what it was.
    let holder = project.checkpoints().remove(0);
    let vm = project.moref(&holder);
    project.client(async |client| {
        let guest = common::embedded::boot(client, &vm).await;
        assert_eq!(common::embedded::run(&guest, "echo meddled >> /root/log").await, 0);
    });
    let built = project.build(&["--arg", "last=true"]);
    assert_eq!(built.how("image").1[3], "cached");
    assert_eq!(project.read("cache-vm", "/root/log"), "first\nsecond a word\nvm a word\n");
}

#[test]
fn somebody_elses_machines_are_never_pruned() {
    let project = checked();
    let holder = project.checkpoints().remove(0);
    let (vm, record) = (project.moref(&holder), project.record(&holder).unwrap().to_string());
    // One of that name that isn't ours, one that bears a copy of the record, ours under another name.
    let foreign = format!("{}0123456789ab-mine", vmwbuild::cache::CHECKPOINT_PREFIX);
    let copy = format!("{}0123456789ab-copy", vmwbuild::cache::CHECKPOINT_PREFIX);
    project.client(async |client| {
        common::embedded::clone_of(client, "linux", &foreign).await;
        common::embedded::clone_of(client, &holder, &copy).await;
        client.rename(&vm, "precious", soon()).await.unwrap();
    });
    project.set_record(&foreign, &record);
    let pruned = project.done(&["cache", "prune", "--all", "--yes"]);
    assert!(pruned.stdout().is_empty(), "{pruned}");
    assert!(pruned.stderr().contains("precious: it has been renamed"), "{pruned}");
    let names = project.machines();
    assert!([foreign.as_str(), copy.as_str(), "precious"].iter().all(|n| names.contains_key(*n)), "{names:?}");
    // Nor gone on from.
    let failed = project.try_build(&["--arg", "last=exit 4"]);
    assert_eq!(failed.how("image").1[0], "done");
    // What prune would do can be looked at first, and isn't done without a word.
    let dry = project.done(&["cache", "prune", "--all", "--dry-run"]);
    assert!(dry.stdout().contains("would remove"), "{dry}");
    assert_eq!(project.tool(&["cache", "prune", "--all"]).code, Some(2));
    assert!(project.done(&["cache", "prune", "--older-than", "1h", "--yes"]).stdout().is_empty());
    assert!(project.done(&["cache", "prune"]).stderr().contains("nothing to remove"));
    assert_eq!(project.done(&["cache", "prune", "--older-than", "0s", "--yes"]).stdout().lines().count(), 1);
}

#[test]
fn what_the_cache_holds_is_listed() {
    let project = checked();
    project.build(&["--arg", "last=true"]);
    let list = project.cache_ls();
    let kinds: Vec<&str> = list.iter().map(|h| h["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["template", "VM", "checkpoint"], "{list:?}");
    let checkpoint = &list[2];
    assert_eq!((&checkpoint["stage"], &checkpoint["checkpoint"]["name"]), (&"image".into(), &"installed".into()));
    assert_eq!(checkpoint["checkpoint"]["step"], 4);
    assert!(checkpoint["size"].as_u64().is_some() && checkpoint["useless"].is_null());
    let text = project.done(&["cache", "ls"]).stdout();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.len() == 4 && lines[0].starts_with("KIND"), "{text}");
    assert!(lines[3].contains("image `installed` after step 4") && lines[3].starts_with("checkpoint  "), "{text}");
}

/// How many lines the journal of an undisturbed build has.
fn lines(project: &Project) -> Vec<String> {
    let builds = project.dir.path().join(".state/builds");
    let mut all: Vec<_> = std::fs::read_dir(&builds).unwrap().map(|b| b.unwrap().path()).collect();
    all.sort_by_key(|b| std::fs::metadata(b).unwrap().modified().unwrap());
    let text = std::fs::read_to_string(all.last().unwrap().join("journal.jsonl")).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_build_that_is_killed_around_its_checkpoint_is_gone_on_with() {
    let project = Project::on_sandbox(&[("VMWfile", CHECKED)]);
    project.build(&["--arg", "last=true"]);
    let whole = lines(&project);
    let at = |text: &str| whole.iter().position(|l| l.contains(text)).unwrap_or_else(|| panic!("{text}: {whole:#?}"));
    // From the clone of the checkpoint's machine to the step after it.
    let (first, last) = (at("vmwbuild-checkpoint-"), at("\"node\":\"step\",\"step\":3") + 2);
    let places = (first..=last).flat_map(|line| [format!("before:{line}"), line.to_string()]);
    for place in places.chain([String::new()]) {
        for name in ["cache-image", "cache-vm"] {
            project.destroy(name);
        }
        project.done(&["cache", "prune", "--all", "--yes"]);
        if !place.is_empty() {
            let mut command = project.site.with_state(project.dir.path(), &["build", "--arg", "last=true"]);
            let killed = run(command.env("VMWBUILD_TEST_DIE_AT", &place), DEADLINE);
            assert_eq!(killed.code, None, "{place}: {killed}");
            project.done(&["resume"]);
        } else {
            project.build(&["--arg", "last=true"]);
        }
        assert_eq!(project.read("cache-vm", "/root/log"), "first\nsecond a word\nvm a word\n", "{place}");
        assert_eq!(project.checkpoints().len(), 1, "{place}");
        assert!(project.cache_ls().iter().all(|h| h["useless"].is_null()), "{place}: {:?}", project.cache_ls());
        assert_eq!(project.build(&["--arg", "last=true"]).count(WORK), 0, "{place}: all is known again");
    }
    // Killed, and cleaned up: a half-made checkpoint is removed.
    for name in ["cache-image", "cache-vm"] {
        project.destroy(name);
    }
    project.done(&["cache", "prune", "--all", "--yes"]);
    let mut command = project.site.with_state(project.dir.path(), &["build", "--arg", "last=true"]);
    run(command.env("VMWBUILD_TEST_DIE_AT", (first + 2).to_string()), DEADLINE);
    assert_eq!(project.checkpoints().len(), 1);
    project.done(&["clean", "--yes"]);
    assert!(project.checkpoints().is_empty());
}

#[test]
fn a_build_from_a_checkpoint_that_is_killed_is_gone_on_with() {
    let project = checked();
    let holder = project.checkpoints().remove(0);
    project.build(&["--arg", "last=true"]);
    let whole = lines(&project);
    let at = |text: &str| whole.iter().position(|l| l.contains(text)).unwrap_or_else(|| panic!("{text}: {whole:#?}"));
    let (first, last) = (at("\"is\":\"start\""), at("\"is\":\"batch\""));
    for place in (first..=last).flat_map(|line| [format!("before:{line}"), line.to_string()]) {
        for name in ["cache-image", "cache-vm"] {
            project.destroy(name);
        }
        let mut command = project.site.with_state(project.dir.path(), &["build", "--arg", "last=true"]);
        let killed = run(command.env("VMWBUILD_TEST_DIE_AT", &place), DEADLINE);
        assert_eq!(killed.code, None, "{place}: {killed}");
        project.done(&["resume"]);
        assert_eq!(project.read("cache-vm", "/root/log"), "first\nsecond a word\nvm a word\n", "{place}");
        assert_eq!(project.checkpoints(), std::slice::from_ref(&holder), "{place}");
    }
}

#[test]
fn two_builds_at_once_do_not_disturb_each_other() {
    let project = Project::on_sandbox(&[("VMWfile", &CHECKED.replace("--exists=replace ", ""))]);
    let file =
        CHECKED.replace("--exists=replace ", "").replace("cache-image", "cache-two").replace("cache-vm", "cache-vm2");
    let other = context(&[("VMWfile", &file)]);
    std::thread::scope(|scope| {
        let second = scope.spawn(|| {
            run(
                &mut project.site.with_state(other.path(), &["build", "--progress", "plain", "--arg", "last=true"]),
                DEADLINE,
            )
        });
        let first = project.try_build(&["--arg", "last=true"]);
        assert_eq!(first.run.code, Some(0), "{}", first.run);
        let second = second.join().unwrap();
        assert_eq!(second.code, Some(0), "{second}");
    });
    // Both have the same beginning: each may have made a checkpoint, and prune leaves the newest.
    let count = project.checkpoints().len();
    assert!((1..=2).contains(&count), "{count}");
    project.done(&["cache", "prune", "--yes"]);
    assert_eq!(project.checkpoints().len(), 1);
    assert_eq!(project.build(&["--arg", "last=true"]).count(WORK), 0);
    assert_eq!(project.build_in(other.path(), &["--arg", "last=true"]).count(WORK), 0);
    for vm in ["cache-vm", "cache-vm2"] {
        assert_eq!(project.read(vm, "/root/log"), "first\nsecond a word\nvm a word\n");
    }
    // Replicas share one, whichever comes first.
    let replicas = "FROM linux AS r FOR n IN 1..3\nOUTPUT TEMPLATE cache-r${{ n }}\nRUN echo same\nCHECKPOINT\nRUN echo ${{ n }}\n";
    project.write("VMWfile", replicas);
    project.build(&[]);
    assert_eq!(project.checkpoints().len(), 2);
}

#[test]
fn a_checkpoint_that_vanishes_is_no_failure() {
    let project = checked();
    let holder = project.checkpoints().remove(0);
    // The server takes its time with the clone from the checkpoint: it has been looked at, and is removed meanwhile.
    let clones = || project.site.requests().get("CloneVM_Task").copied().unwrap_or_default();
    let before = clones();
    project.site.meddle(|s| s.inject(vmwbuild::sandbox::Rule::parse("CloneVM_Task:slow=4000").unwrap()));
    let built = std::thread::scope(|scope| {
        let build = scope.spawn(|| project.build(&["--arg", "last=true"]));
        while clones() == before {
            assert!(!build.is_finished(), "no clone was asked for");
            std::thread::yield_now();
        }
        project.destroy(&holder);
        build.join().unwrap()
    });
    built.says("is gone: made from its source");
    assert_eq!(built.how("image"), ("built".to_owned(), ["done"; 6].map(str::to_owned).to_vec()));
    assert_eq!(project.read("cache-vm", "/root/log"), "first\nsecond a word\nvm a word\n");
    assert!(!project.checkpoints().contains(&holder));
}

#[test]
fn a_build_that_reads_a_large_file_hears_ctrl_c() {
    let project =
        Project::on_sandbox(&[("VMWfile", "FROM linux AS image\nOUTPUT TEMPLATE cache-image\nCOPY big /big\n")]);
    // A hole takes no place on the disk, and minutes to read.
    let file = std::fs::File::create(project.dir.path().join("big")).unwrap();
    file.set_len(1 << 40).unwrap();
    let mut command = project.site.with_state(project.dir.path(), &["build", "--progress", "plain"]);
    let running = common::Running::start(&mut command);
    // The sources were asked for: what is copied is read next.
    let asked = || project.site.requests().get("RetrievePropertiesEx").copied().unwrap_or_default();
    let open = |pid: u32| {
        let files = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        files.filter_map(|f| std::fs::read_link(f.path()).ok()).any(|to| to.ends_with("big"))
    };
    let begun = std::time::Instant::now();
    while !open(running.id()) {
        assert!(begun.elapsed() < DEADLINE, "it isn't read, after {} requests", asked());
        std::thread::yield_now();
    }
    running.signal("INT");
    let done = running.finish(DEADLINE);
    assert_eq!(done.code, Some(130), "{done}");
    assert!(project.machines().keys().all(|name| name == "linux"), "{done}");
}

#[test]
fn a_file_that_changes_while_it_is_copied_is_not_remembered() {
    let file = "FROM linux AS image\nOUTPUT TEMPLATE --exists=replace cache-image\nRUN sleep 2\nCOPY conf /root/conf\nRUN true\n";
    let project = Project::on_sandbox(&[("VMWfile", file), ("conf/a", "a\n")]);
    std::thread::scope(|scope| {
        let build = scope.spawn(|| project.build(&[]));
        // The machine is there: what is compared has been read, and the COPY is still to come.
        while !project.machines().contains_key("cache-image") {
            std::thread::yield_now();
        }
        project.write("conf/a", "b\n");
        assert_eq!(build.join().unwrap().result_of("image"), "built");
    });
    assert_eq!(project.record("cache-image"), None);
    assert_eq!(project.build(&[]).result_of("image"), "built");
    assert_eq!(project.build(&[]).count(WORK), 0);
}

#[test]
fn a_checkpoint_is_kept_on_vcsim() {
    // Whose guests are containers: a clone there begins with the template's files, so that only the way is tested.
    let Some(site) = Site::vcsim() else { return };
    let file = "ARG template\nFROM ${{ template }} AS image\nOUTPUT TEMPLATE cache-image\nRUN echo one\nCHECKPOINT\n\
        RUN echo two\n";
    let project = Project::new(site, &[("VMWfile", file)]);
    project.build(&[]);
    let holder = project.checkpoints().remove(0);
    let vm = project.moref(&holder);
    let snapshots = project.client(async |client| client.snapshots(&vm).await.unwrap());
    assert_eq!(snapshots.len(), 1);
    let list = project.cache_ls();
    assert!(list.len() == 2 && list.iter().all(|h| h["useless"].is_null()), "{list:?}");
    project
        .write("VMWfile", &file.replace("two", "three").replace("TEMPLATE cache", "TEMPLATE --exists=replace cache"));
    let built = project.build(&[]);
    assert_eq!(built.how("image").1, ["cached", "cached", "done"].map(str::to_owned));
    let pruned = project.done(&["cache", "prune", "--all", "--yes"]);
    assert!(pruned.stdout().contains(&holder), "{pruned}");
}
