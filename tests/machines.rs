//! Commands on machines that exist, by the real binary: `exec`, `cp`, `plan`, `doctor`, `vcenter`, and profiles.
//! Each test that needs a server runs on the simulator that others wrote and on our sandbox.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // a test may

use crate::common;

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::replay::Replay;
use common::schema::Schema;
use common::site::Site;
use common::{DEADLINE, Run, Running, context, on_both, run, vmwbuild};
use regex::Regex;
use serde_json::Value;

on_both! {
    a_plan_tells_what_would_be_made_and_changes_nothing
    a_plan_tells_all_that_is_wrong_at_once
    a_doctor_explains_each_step
    a_selftest_leaves_a_transcript_that_can_be_played_again
    a_command_gets_input_and_gives_its_exit_code
    commands_are_as_govc_runs_them
    a_command_runs_on_many_machines
    machines_names_are_completed
    a_command_is_left_running
    ctrl_c_ends_the_guests_process
    machines_that_cannot_run_a_command_are_explained
    files_are_copied_both_ways
    copies_that_fail_leave_nothing_half_written
}

/// A machine that runs, called `name`.
fn machine(site: &Site, dir: &Path, names: &[&str]) {
    let stages: String = names.iter().map(|n| format!("FROM {}\nOUTPUT VM {n}\nRUN true\n", site.template())).collect();
    fs::write(dir.join("VMWfile"), stages).unwrap();
    site.built(dir, &[]);
}

fn ok(command: &mut Command) -> Run {
    let done = run(command, DEADLINE);
    assert_eq!(done.code, Some(0), "{done}");
    done
}

/// Runs it with something on standard input, through a pipe that is filled before it starts to look.
fn fed(command: &mut Command, input: &[u8]) -> Run {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(input).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let started = std::time::Instant::now();
    let child = command.stdin(file).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let out = child.wait_with_output().unwrap();
    Run { stdout: out.stdout, stderr: out.stderr, code: out.status.code(), elapsed: started.elapsed() }
}

/// Output without what differs from run to run.
fn steady(site: &Site, text: &str) -> String {
    let (url, user, ..) = site.server();
    let address = url.trim_start_matches("https://").split('/').next().unwrap();
    let port = address.rsplit(':').next().unwrap();
    let mut text = text.replace(address, "ADDRESS").replace(user, "USER").replace(port, "PORT");
    for (pattern, with) in [
        (r"vm-\d+", "vm-N"),
        (r"DVUplinks-\d+", "DVUplinks-N"),
        (r"\b([0-9A-F]{2}:){31}[0-9A-F]{2}\b", "SHA-256"),
        (r"[\d.]+ (B|[KMGT]iB)", "SIZE"),
        (r"API [\d.]+, speaking [\d.]+", "API V, speaking V"),
        (r"\d+ sessions with this one|this is the only session", "SESSIONS"),
        (r"/tmp/\.tmp\w+", "DIR"),
    ] {
        text = Regex::new(pattern).unwrap().replace_all(&text, with).into_owned();
    }
    text
}

/// What of ours a guest's directory for temporary files holds. The sandbox's guests see what lies in this machine's
/// own, which others may have left there.
fn left_in_tmp(listed: &str) -> Vec<&str> {
    listed.lines().filter(|name| name.contains("vmwbuild") && !Path::new("/var/tmp").join(name).exists()).collect()
}

/// One snapshot for each site.
macro_rules! shot {
    ($site:expr, $name:literal, $text:expr) => {
        let site = if $site.is_vcsim() { "vcsim" } else { "sandbox" };
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(format!("builds__machines__{site}-{}", $name), $text);
        });
    };
}

fn follows(schema: &str, text: &str) -> Value {
    let schema = Schema::new(schema);
    let value: Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"));
    schema.check(&value).unwrap();
    let mut wrong = value.clone();
    wrong["version"] = Value::from(2);
    assert!(schema.check(&wrong).is_err());
    value
}

const PLATFORM: &str = "ARG template\nARG workers: int = 2\n\
    FROM ${{ template }} AS image\nOUTPUT TEMPLATE p-image\nRUN true\n\
    FROM image AS manager\nOUTPUT VM p-manager\nMEMORY 512MiB\nKEY token FROM RUN echo 42\n\
    FROM image AS worker FOR n IN 1..${{ workers }}\nOUTPUT VM p-worker-${{ n }}\nRUN test ${{ manager.token }} = 42\n";

fn a_plan_tells_what_would_be_made_and_changes_nothing(site: &Site) {
    let dir = context(&[("VMWfile", PLATFORM)]);
    let template = format!("template={}", site.template());
    let before = site.machines();
    let plan = |more: &[&str]| {
        run(&mut site.tool(dir.path(), &[&["plan", "--color", "never", "--arg", &template], more].concat()), DEADLINE)
    };
    let done = plan(&[]);
    assert_eq!(done.code, Some(0), "{done}");
    shot!(site, "plan", steady(site, &format!("{}\n---\n{}", done.stderr(), done.stdout())));
    let json = follows("plan.json", &plan(&["--json", "--parallel", "3"]).stdout());
    assert_eq!((&json["can_start"], &json["parallel"]), (&Value::from(true), &Value::from(3)));
    assert_eq!(json["machines"].as_array().unwrap().len(), 4);
    assert_eq!(json["machines"][3]["wave"], 2);
    assert_eq!(json["machines"][3]["after"][1]["machine"], "manager");
    // A manager of 512 MiB needs that much for its swap file, beside what its disks take.
    assert!(json["machines"][1]["bytes"]["taken"].as_u64().unwrap() >= 512 << 20);
    assert_eq!(site.machines(), before);
    if let Site::Vcsim(sim) = site {
        let asked = sim.requests(true);
        let changes = ["CloneVM_Task", "ReconfigVM_Task", "PowerOnVM_Task", "MarkAsTemplate", "Destroy_Task"];
        assert!(changes.iter().all(|c| !asked.contains_key(*c)), "{asked:?}");
        assert_eq!(sim.sessions(), 0);
    }
}

fn a_plan_tells_all_that_is_wrong_at_once(site: &Site) {
    let template = site.template();
    let dir = context::<&str, &str>(&[]);
    machine(site, dir.path(), &["p-taken", "p-old"]);
    let dir = context(&[(
        "VMWfile",
        format!(
            "FROM {template}x AS a\nOUTPUT VM p-a\nRUN true\n\
             FROM {template} AS b\nOUTPUT TEMPLATE p-taken\nRUN true\n\
             FROM {template} AS c\nNETWORK nowhere\nOUTPUT VM p-c\nRUN true\n\
             FROM --linked {template} AS d\nOUTPUT VM p-d\nRUN true\n\
             FROM {template} AS e\nOUTPUT TEMPLATE --exists=replace p-old\nRUN true\n\
             FROM p-old AS f\nOUTPUT TEMPLATE p-f\nRUN true\n"
        ),
    )]);
    let plan =
        |more: &[&str]| run(&mut site.tool(dir.path(), &[&["plan", "--color", "never"], more].concat()), DEADLINE);
    let done = plan(&[]);
    assert_eq!(done.code, Some(5), "{done}");
    shot!(site, "plan-problems", steady(site, &format!("{}\n---\n{}", done.stderr(), done.stdout())));
    let json = follows("plan.json", &plan(&["--json"]).stdout());
    let errors = json["findings"].as_array().unwrap().iter().filter(|f| f["severity"] == "error").count();
    assert_eq!((errors, &json["can_start"]), (4, &Value::from(false)));
    // What a build says to it, it says too, but for what it finds only later.
    let built = site.build(dir.path(), &[]);
    assert_eq!(built.code, Some(5), "{built}");
    // A VMWfile with errors is told as such, in JSON too.
    fs::write(dir.path().join("VMWfile"), "FROM a AS b\nRUN ${{ nothing }}\n").unwrap();
    let done = plan(&["--json"]);
    assert_eq!(done.code, Some(1), "{done}");
    follows("plan.json", &done.stdout());
}

#[test]
fn a_plan_works_on_the_embedded_sandbox_and_names_missing_privileges() {
    let dir = context(&[(
        "VMWfile",
        "SECRET s\nFROM linux AS a\nOUTPUT VM p-a\nNETWORK \"VM Network\"\nRUN true\nENV x=${{ s }}\n",
    )]);
    let plan = |more: &[&str]| {
        run(
            vmwbuild(dir.path()).args(["plan", "--sandbox", "--color", "never", "--login", "root"]).args(more),
            DEADLINE,
        )
    };
    let done = plan(&[]);
    assert!(done.code == Some(0) && done.stdout().contains("privileges  none is missing"), "{done}");
    let without = ["--sandbox-withhold", "VirtualMachine.Interact.PowerOn", "--sandbox-withhold", "Network.Assign"];
    let done = plan(&without);
    assert_eq!(done.code, Some(5), "{done}");
    let said = done.stderr().lines().filter(|l| !l.starts_with("note:")).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!("plan-privileges", said);
    // Hosts of a sandbox have names that lead nowhere, which stops no build.
    let done = plan(&["--check-transfers"]);
    assert!(done.code == Some(0) && done.stderr().contains("VMW667"), "{done}");
    assert!(done.stdout().contains("transfers don't reach it"), "{done}");
}

fn a_doctor_explains_each_step(site: &Site) {
    let dir = context::<&str, &str>(&[]);
    let (url, user, password, thumbprint) = site.server();
    let doctor = |change: &dyn Fn(&mut Command), more: &[&str]| {
        let mut command = site.tool(dir.path(), &[&["doctor", "--color", "never"], more].concat());
        change(&mut command);
        run(&mut command, DEADLINE)
    };
    let both = |done: &Run| {
        steady(site, &format!("exit code {}\n{}---\n{}", done.code.unwrap(), done.stdout(), done.stderr()))
    };
    let done = doctor(&|_| (), &[]);
    shot!(site, "doctor", both(&done));
    let json = follows("doctor.json", &doctor(&|_| (), &["--json"]).stdout());
    assert_eq!((json["steps"].as_array().unwrap().len(), &json["exit_code"]), (11, &Value::from(0)));
    let wrong_password = doctor(
        &|c| {
            c.env("VMWBUILD_PASSWORD", "wrong");
        },
        &[],
    );
    shot!(site, "doctor-password", both(&wrong_password));
    assert_eq!(wrong_password.code, Some(3));
    let untrusted = doctor(
        &|c| {
            c.env_remove("VMWBUILD_THUMBPRINT");
        },
        &[],
    );
    shot!(site, "doctor-untrusted", both(&untrusted));
    // The flag that it shows is the one that helps.
    assert!(
        untrusted.code == Some(3) && untrusted.stdout().contains(&format!("--thumbprint {thumbprint}")),
        "{untrusted}"
    );
    let refused = doctor(
        &|c| {
            c.env("VMWBUILD_VCENTER", "127.0.0.1:1");
        },
        &[],
    );
    assert!(refused.code == Some(3) && refused.stdout().contains("FAILED  port"), "{refused}");
    let unknown = doctor(
        &|c| {
            c.env("VMWBUILD_VCENTER", "vc.invalid");
        },
        &[],
    );
    assert!(unknown.code == Some(3) && unknown.stdout().contains("FAILED  name"), "{unknown}");
    let none = doctor(
        &|c| {
            c.env_remove("VMWBUILD_VCENTER");
        },
        &[],
    );
    assert!(none.code == Some(2) && none.stdout().contains("FAILED  settings"), "{none}");
    follows(
        "doctor.json",
        &doctor(
            &|c| {
                c.env_remove("VMWBUILD_VCENTER");
            },
            &["--json"],
        )
        .stdout(),
    );
    for done in [&wrong_password, &untrusted, &refused, &unknown, &none] {
        assert!(!format!("{done}").contains(password) || password == "pass", "{done}");
    }
    // What vmwbuild saves is found again by its name.
    let save =
        ["vcenter", "add", "here", url, "--username", user, "--password-env", "VC_PW", "--thumbprint", thumbprint];
    ok(vmwbuild(dir.path()).args(save));
    let named = run(vmwbuild(dir.path()).args(["doctor", "--vcenter", "here"]).env("VC_PW", password), DEADLINE);
    assert!(named.code == Some(0) && named.stdout().contains("connection `here`, named by --vcenter"), "{named}");
}

fn a_command_gets_input_and_gives_its_exit_code(site: &Site) {
    let dir = context::<&str, &str>(&[]);
    machine(site, dir.path(), &["x"]);
    let exec = |args: &[&str]| site.exec(dir.path(), args);
    // Bytes go in and come out as they are; so do many of them, which take another way.
    for size in [0, 1, 700, 300_000] {
        let bytes: Vec<u8> = (0..size).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let done = fed(&mut exec(&["x", "--", "cat"]), &bytes);
        assert!(done.code == Some(0) && done.stdout == bytes, "{size}: {:?} {}", done.code, done.stderr());
    }
    // A pipe that fills only later needs -i, and without it that is said.
    let slow = |flags: &str| {
        let mut shell = Command::new("sh");
        let command = format!("(sleep 3; echo late) | \"$0\" exec x {flags} -- cat");
        shell.args(["-c", &command, env!("CARGO_BIN_EXE_vmwbuild")]).current_dir(dir.path());
        for (name, value) in exec(&[]).get_envs() {
            if let Some(value) = value {
                shell.env(name, value);
            }
        }
        run(&mut shell, DEADLINE)
    };
    assert_eq!(slow("-i").stdout(), "late\n");
    let done = slow("");
    assert!(done.stdout().is_empty() && done.stderr().contains("`-i` waits for it"), "{done}");
    let done = slow("-n");
    assert_eq!((done.stdout(), done.stderr()), (String::new(), String::new()));
    // Nothing of it stays, also where another user runs the command.
    let done = fed(&mut exec(&["x", "--user", "nobody", "--", "sh", "-c", "id -un; cat"]), b"for nobody\n");
    assert_eq!(done.stdout(), "nobody\nfor nobody\n", "{done}");
    let listed = ok(&mut exec(&["x", "--", "ls", "-A", "/tmp", "/var/tmp"])).stdout();
    assert_eq!(left_in_tmp(&listed), Vec::<&str>::new());
    // Exit codes are the command's; a signal is told as a shell does.
    let code = |args: &[&str]| run(&mut exec(args), DEADLINE).code;
    assert_eq!(code(&["x", "--", "sh", "-c", "exit 42"]), Some(42));
    assert_eq!(code(&["x", "--", "sh", "-c", "kill -9 $$"]), Some(137));
    assert_eq!(code(&["x", "--", "no-such-program"]), Some(127));
    assert_eq!(code(&["x", "--failure-code", "200", "--", "sh", "-c", "exit 5"]), Some(5));
    assert_eq!(code(&["xy", "--failure-code", "200", "--", "true"]), Some(200));
    assert_eq!(code(&["x", "--timeout", "1s", "--", "sleep", "60"]), Some(6));
    assert_eq!(code(&["x", "--timeout", "1s", "--failure-code", "200", "--", "sleep", "60"]), Some(200));
    let done =
        ok(&mut exec(&["x", "--env", "A=b c", "--workdir", "/usr", "--", "sh", "-c", "echo \"$A\"; pwd; echo e >&2"]));
    assert_eq!((done.stdout().as_str(), done.stderr().as_str()), ("b c\n/usr\n", "e\n"));
}

/// What govc prints of a command beside what we do. Its words are joined by a shell of the guest's agent.
fn commands_are_as_govc_runs_them(site: &Site) {
    let dir = context::<&str, &str>(&[]);
    machine(site, dir.path(), &["x"]);
    // The simulator's own shell would take govc's redirections for its own: `exec` hands them to one in the guest.
    let govc = |args: &[&str], words: &[&str]| {
        let exec: &[&str] = if site.is_vcsim() { &["exec"] } else { &[] };
        site.govc_try(&[&["guest.run", "-vm", "x"], args, exec, words].concat())
    };
    let scripts = [
        ("out", "echo to-out; echo to-err >&2"),
        ("code", "echo failing; exit 3"),
        ("bytes", "printf '\\000\\001\\377\\r\\n'; head -c 100000 /dev/zero"),
        ("lines", "i=0; while [ $i -lt 100000 ]; do echo line-$i; i=$((i+1)); done"),
    ];
    for (name, script) in scripts {
        ok(&mut site.exec(dir.path(), &["x", "--", "sh", "-c", &format!("cat > /root/{name}.sh <<'E'\n{script}\nE")]));
        let ours = run(&mut site.exec(dir.path(), &["x", "--", "/bin/sh", &format!("/root/{name}.sh")]), DEADLINE);
        let theirs = govc(&[], &["/bin/sh", &format!("/root/{name}.sh")]);
        assert_eq!(
            ours.stdout,
            theirs.stdout,
            "{name}: standard output of {} and {} bytes",
            ours.stdout.len(),
            theirs.stdout.len()
        );
        // govc prints its own word about an exit code to standard error.
        assert!(theirs.stderr().starts_with(&ours.stderr()), "{name}:\n{ours}\n{theirs}");
        assert_eq!(ours.code == Some(0), theirs.code == Some(0), "{name}:\n{ours}\n{theirs}");
        if name == "code" {
            assert_eq!(ours.code, Some(3));
        }
        if name == "lines" {
            assert_eq!(ours.stdout().lines().count(), 100_000);
        }
    }
    let ours = fed(&mut site.exec(dir.path(), &["x", "--", "/bin/cat"]), b"some input\n");
    let theirs = govc(&["-d", "some input\n"], &["/bin/cat"]);
    assert_eq!(ours.stdout(), theirs.stdout(), "{ours}\n{theirs}");
    assert_eq!(ours.stdout(), "some input\n");
}

fn a_command_runs_on_many_machines(site: &Site) {
    let dir = context::<&str, &str>(&[]);
    machine(site, dir.path(), &["web-1", "web-22", "db"]);
    let all = |args: &[&str]| run(&mut site.exec(dir.path(), args), DEADLINE);
    let sorted = |text: String| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let done = all(&["--all", "web-*", "--", "sh", "-c", "echo one; printf two"]);
    assert_eq!(done.code, Some(0), "{done}");
    assert_eq!(sorted(done.stdout()), ["web-1  | one", "web-1  | two", "web-22 | one", "web-22 | two"]);
    // Which is which can be told, and the worst counts.
    ok(&mut site.exec(dir.path(), &["db", "--", "sh", "-c", "echo 7 > /root/code"]));
    let script = "[ ! -e /root/code ] || exit $(cat /root/code)";
    let done = all(&["--all", "web-?", "--all", "d*", "--parallel", "1", "--", "sh", "-c", script]);
    assert_eq!((done.code, sorted(done.stderr())), (Some(7), vec!["db    | exit code 7".to_owned()]), "{done}");
    // A machine that can't is told with what to do; the others run.
    site.govc(&["vm.power", "-off", "-force", "web-22"]);
    let done = all(&["--color", "never", "--all", "web-*", "--", "echo", "here"]);
    assert_eq!((done.code, done.stdout().as_str()), (Some(5), "web-1  | here\n"), "{done}");
    assert!(done.stderr().contains("web-22 | failed: `/DC0/vm/web-22` isn't powered on"), "{done}");
    let done = all(&["--color", "never", "--all", "nothing*", "--", "true"]);
    assert!(done.code == Some(5) && done.stderr().contains("VMW672"), "{done}");
    let done = all(&["--all", "*", "web-1", "--", "true"]);
    assert_eq!(done.code, Some(2), "{done}");
}

fn a_selftest_leaves_a_transcript_that_can_be_played_again(site: &Site) {
    let dir = context::<&str, &str>(&[("again/VMWfile", include_str!("../src/cli/selftest/VMWfile"))]);
    fs::write(dir.path().join("again/large"), vec![b'x'; 200 << 10]).unwrap();
    let selftest = |template: &str| {
        let args = ["doctor", "--color", "never", "--json", "--selftest", template, "-o", "transcript"];
        let done = run(&mut site.tool(dir.path(), &args), DEADLINE);
        let told = follows("doctor.json", &done.stdout());
        let step = told["steps"].as_array().unwrap().last().unwrap().clone();
        assert_eq!(step["step"], "self-test", "{done}");
        assert_eq!(step["verdict"], if done.code == Some(0) { "ok" } else { "failed" }, "{done}");
        let transcript = fs::read_to_string(dir.path().join("transcript")).unwrap();
        let schema = Schema::new("transcript.json");
        transcript.lines().for_each(|line| schema.check(&serde_json::from_str(line).unwrap()).unwrap());
        (done.code.unwrap(), transcript)
    };
    let again = |transcript: &str| {
        let replay = Replay::start(transcript);
        let mut command = vmwbuild(dir.path());
        command.args(["build", "again", "--progress", "plain", "--arg", &format!("template={}", replay.template)]);
        command.env("VMWBUILD_VCENTER", &replay.url).env("VMWBUILD_USERNAME", "anybody");
        command.env("VMWBUILD_PASSWORD", "any").env("VMWBUILD_LOGIN", "root:any");
        let done = run(&mut command, DEADLINE);
        assert_eq!(done.code, Some(replay.exit_code), "{done}\nleft: {:?}", replay.left());
        done
    };

    let (code, transcript) = selftest(site.template());
    assert_eq!(code, 0, "{transcript}");
    let machines = site.govc(&["find", "/", "-type", "m", "-name", "vmwbuild-*"]);
    assert_eq!(machines, "", "nothing stays");
    let (url, user, password, thumbprint) = site.server();
    let address = url.trim_start_matches("https://").split('/').next().unwrap();
    for secret in [user, password, thumbprint, address, "guest-password", "DC0", "LocalDS", "VM Network", ">root<"] {
        assert!(!transcript.contains(secret), "{secret} is in the transcript");
    }
    if site.template().contains('-') {
        assert!(!transcript.contains(site.template()));
    }
    let done = again(&transcript);
    assert!(
        done.stdout().contains("RUN --allow-failure exit 3") || done.stderr().contains("RUN --allow-failure exit 3")
    );

    // What fails is written down, too.
    let (code, transcript) = selftest("nothing-of-that-name");
    assert_eq!(code, 5, "{transcript}");
    assert!(!transcript.contains("nothing-of-that-name"));
    again(&transcript);
    // A place where nothing can be written is told before anything is cloned.
    let args = ["doctor", "--color", "never", "--selftest", site.template(), "-o", "no/such/place"];
    let done = run(&mut site.tool(dir.path(), &args), DEADLINE);
    assert!(done.code == Some(2) && done.stderr().contains("VMW688"), "{done}");
}

fn machines_names_are_completed(site: &Site) {
    let dir = context::<&str, &str>(&[("web.conf", "x\n")]);
    machine(site, dir.path(), &["web-1", "web-2"]);
    // What bash sends for the line so far; the last word is the one that the cursor is at.
    let offered = |line: &[&str], change: &dyn Fn(&mut Command)| {
        let mut command = site.tool(dir.path(), &["--", "vmwbuild"]);
        command.args(line).env("VMWBUILD_COMPLETE", "bash").env("VMWBUILD_CACHE_DIR", dir.path().join("cache"));
        command.env("_CLAP_COMPLETE_INDEX", line.len().to_string()).env("_CLAP_COMPLETE_COMP_TYPE", "9");
        command.env("_CLAP_COMPLETE_SPACE", "true").env("_CLAP_IFS", "\n");
        change(&mut command);
        let done = ok(&mut command);
        assert_eq!(done.stderr(), "");
        done.stdout().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let as_it_is = |_: &mut Command| {};
    let both = ["web-1", "web-2"];
    assert_eq!(offered(&["exec", "we"], &as_it_is), both);
    assert!(!offered(&["exec", ""], &as_it_is).iter().any(|name| name == site.template()), "templates don't run");
    assert_eq!(offered(&["cp", "we"], &as_it_is), ["web.conf", "web-1:/", "web-2:/"]);

    // Kept, for this user only, and not under a name that tells of the server.
    let kept: Vec<_> = fs::read_dir(dir.path().join("cache/names")).unwrap().map(|e| e.unwrap().path()).collect();
    let [kept] = kept.as_slice() else { panic!("{kept:?}") };
    assert_eq!(fs::metadata(kept).unwrap().permissions().mode() & 0o777, 0o600);
    // While it is fresh nobody is asked; a wrong password shows that.
    let wrong = |command: &mut Command| _ = command.env("VMWBUILD_PASSWORD", "wrong");
    site.govc(&["vm.destroy", "web-2"]);
    assert_eq!(offered(&["exec", "we"], &wrong), both);
    let age = |seconds| {
        let time = std::time::SystemTime::now() - Duration::from_secs(seconds);
        fs::File::options().write(true).open(kept).unwrap().set_modified(time).unwrap();
    };
    age(120);
    assert_eq!(offered(&["exec", "we"], &wrong), both, "an old list is better than none");
    age(2 * 24 * 3600);
    assert_eq!(offered(&["exec", "we"], &wrong), Vec::<String>::new());
    age(120);
    assert_eq!(offered(&["exec", "we"], &as_it_is), ["web-1"]);

    // Another account has a list of its own; what needs a question or a command is not asked.
    let nobody = |command: &mut Command| _ = command.env_remove("VMWBUILD_PASSWORD");
    assert_eq!(offered(&["exec", "--username", "other", "we"], &nobody), Vec::<String>::new());
    // Commands that look at the inventory leave the list fresh.
    age(120);
    let mut exec = site.exec(dir.path(), &["web-1", "--", "true"]);
    ok(exec.env("VMWBUILD_CACHE_DIR", dir.path().join("cache")));
    assert_eq!(offered(&["exec", "we"], &wrong), ["web-1"]);
}

fn a_command_is_left_running(site: &Site) {
    let dir = context::<&str, &str>(&[]);
    machine(site, dir.path(), &["x"]);
    let script = "read word; echo got $word; until [ -e /root/go ]; do sleep 0.1; done; echo to-err >&2; exit 9";
    let done = fed(&mut site.exec(dir.path(), &["x", "--detach", "--", "sh", "-c", script]), b"input\n");
    assert!(done.code == Some(0) && done.stdout().is_empty(), "{done}");
    let said = done.stderr();
    let place = said.lines().next().unwrap().split(" to ").nth(1).unwrap().split("/out").next().unwrap().to_owned();
    let look = |script: &str| ok(&mut site.exec(dir.path(), &["x", "--", "sh", "-c", script])).stdout();
    assert_eq!(look(&format!("cat {place}/out; ls {place}")), "got input\nerr\nout\npid\n");
    let wait = format!(
        "touch /root/go; until [ -e {place}/rc ]; do sleep 0.05; done; cat {place}/rc {place}/err; stat -c %a {place}"
    );
    assert_eq!(look(&wait), "9\nto-err\n700\n");
    // What it says works as it says it.
    let line = said.lines().find(|l| l.starts_with("remove:")).unwrap();
    let words: Vec<&str> = line.split_whitespace().skip(3).collect();
    ok(&mut site.exec(dir.path(), &words));
    assert_eq!(left_in_tmp(&look("ls -A /var/tmp")), Vec::<&str>::new());
}

fn ctrl_c_ends_the_guests_process(site: &Site) {
    let dir = context::<&str, &str>(&[]);
    machine(site, dir.path(), &["x", "y"]);
    for target in [&["x"][..], &["--all", "?"]] {
        let script = "sleep 4711 & echo begun; wait";
        let running = Running::start(&mut site.exec(dir.path(), &[target, &["--", "sh", "-c", script]].concat()));
        running.wait_for("begun", Duration::from_secs(60));
        running.signal("INT");
        let done = running.finish(DEADLINE);
        assert_eq!(done.code, Some(130), "{done}");
        let count = "grep -l '^sleep.4711' /proc/[0-9]*/cmdline 2>/dev/null | wc -l";
        assert_eq!(ok(&mut site.exec(dir.path(), &["x", "--", "sh", "-c", count])).stdout().trim(), "0");
    }
}

fn machines_that_cannot_run_a_command_are_explained(site: &Site) {
    let dir = context::<&str, &str>(&[]);
    machine(site, dir.path(), &["shop", "sleeper"]);
    site.govc(&["vm.power", "-off", "-force", "sleeper"]);
    site.govc(&["folder.create", "/DC0/vm/other"]);
    let twin = "FROM shop\nOUTPUT VM --off other/shop\n";
    fs::write(dir.path().join("VMWfile"), twin).unwrap();
    site.built(dir.path(), &["--on-error", "clean"]);
    let mut all = String::new();
    for (target, code) in [("shpo", 5), ("shop", 5), ("sleeper", 5), (site.template(), 5)] {
        let done = run(&mut site.tool(dir.path(), &["exec", "--color", "never", target, "--", "true"]), DEADLINE);
        assert_eq!((done.code, done.stdout().as_str()), (Some(code), ""), "{target}: {done}");
        all.push_str(&format!("$ vmwbuild exec {target} -- true\n{}\n", done.stderr()));
        let there = format!("{target}:/etc/hostname");
        let done = run(&mut site.tool(dir.path(), &["cp", "--color", "never", &there, "-"]), DEADLINE);
        assert!(all.ends_with(&format!("{}\n", done.stderr())), "{done}");
    }
    shot!(site, "exec-refused", steady(site, &all));
    // Whole paths tell twins apart.
    ok(&mut site.exec(dir.path(), &["/DC0/vm/shop", "--", "true"]));
}

#[test]
fn a_wrong_guest_password_is_tried_once() {
    let sandbox = common::site::Sandbox::start(&["--sandbox-login", "root:right", "--state", "state"]);
    let site = Site::Sandbox(sandbox);
    let dir = context(&[(
        "VMWfile",
        "LOGIN root PASSWORD right\nFROM linux FOR n IN 1..3\nOUTPUT VM m-${{ n }}\nRUN true\n",
    )]);
    let (url, user, password, thumbprint) = site.server();
    let mut build = vmwbuild(dir.path());
    build
        .args(["build", "--vcenter", url, "--username", user, "--thumbprint", thumbprint])
        .env("VMWBUILD_PASSWORD", password);
    ok(&mut build);
    for (target, words) in [(&["m-1"][..], "refuses user `root`"), (&["--all", "m-*"], "the other 2 weren't tried")] {
        let args = [&["exec", "--color", "never"], target, &["--", "true"]].concat();
        let done = run(&mut site.tool(dir.path(), &args), DEADLINE);
        assert_eq!(done.code, Some(4), "{done}");
        let said = done.stderr().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(words) && said.matches("VMW").count() == 1, "{done}");
        assert!(!done.stderr().contains("guest-password"), "{done}");
    }
}

fn files_are_copied_both_ways(site: &Site) {
    let dir =
        context(&[("tree/a", "A\n"), ("tree/sub/b.sh", "#!/bin/sh\necho b\n"), ("tree/.hidden", ""), ("one", "1\n")]);
    machine(site, dir.path(), &["x"]);
    fs::set_permissions(dir.path().join("tree/sub/b.sh"), fs::Permissions::from_mode(0o750)).unwrap();
    fs::set_permissions(dir.path().join("tree/sub"), fs::Permissions::from_mode(0o711)).unwrap();
    std::os::unix::fs::symlink("a", dir.path().join("tree/link")).unwrap();
    let big: Vec<u8> = (0..900_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    fs::write(dir.path().join("big"), &big).unwrap();
    let cp = |from: &str, to: &str| ok(&mut site.tool(dir.path(), &["cp", from, to]));
    // The one directory of ours in /root is that of the command that looks.
    let look = |script: &str| ok(&mut site.exec(dir.path(), &["x", "--", "sh", "-c", script])).stdout();
    cp("tree", "x:/root/copy");
    assert_eq!(
        look("cd /root/copy; find . | sort | tr '\\n' ' '; stat -c %a sub sub/b.sh; readlink link; sub/b.sh"),
        ". ./.hidden ./a ./link ./sub ./sub/b.sh 711\n750\na\nb\n"
    );
    // Into a directory that is there it goes by its name; what is there already stays, or is replaced.
    look("echo mine > /root/copy/mine; mkdir /root/into; ln -s /root/copy /root/into/tree");
    cp("one", "x:/root/copy/");
    cp("one", "x:/root/copy/a");
    cp("tree", "x:/root/into");
    assert_eq!(look("cat /root/copy/one /root/copy/a /root/copy/mine"), "1\nA\nmine\n");
    cp("big", "x:/root/big");
    assert_eq!(look("ls -A /root | grep -c vmwbuild; wc -c < /root/big").as_str(), "1\n900000\n");
    cp("x:/root/copy", "back");
    let read = |path: &str| fs::read(dir.path().join(path)).unwrap();
    assert_eq!(read("back/sub/b.sh"), read("tree/sub/b.sh"));
    assert_eq!(fs::metadata(dir.path().join("back/sub/b.sh")).unwrap().permissions().mode() & 0o7777, 0o750);
    assert_eq!(fs::read_link(dir.path().join("back/link")).unwrap(), Path::new("a"));
    assert_eq!(read("back/.hidden"), b"");
    cp("x:/root/big", ".");
    assert_eq!(read("big"), big);
    // Standard input and output.
    let done = fed(&mut site.tool(dir.path(), &["cp", "-", "x:/root/piped"]), &big);
    assert_eq!(done.code, Some(0), "{done}");
    assert_eq!(cp("x:/root/piped", "-").stdout, big);
    let owned = ["cp", "--owner", "nobody", "one", "x:/root/owned"];
    ok(&mut site.tool(dir.path(), &owned));
    assert_eq!(look("stat -c %U /root/owned"), "nobody\n");
}

fn copies_that_fail_leave_nothing_half_written(site: &Site) {
    let dir = context(&[("tree/a", "A\n"), ("file", "F\n"), ("down/x", "")]);
    machine(site, dir.path(), &["x"]);
    fs::write(dir.path().join("big"), vec![7u8; 3 << 20]).unwrap();
    let look = |script: &str| ok(&mut site.exec(dir.path(), &["x", "--", "sh", "-c", script])).stdout();
    look("mkdir /root/dir; echo old > /root/file; mkdir -p /root/etc/deep");
    let mut all = String::new();
    for (from, to, code) in [
        ("tree", "x:/root/file", 4),
        ("file", "x:/root/nowhere/file", 4),
        ("file", "x:/root/nowhere/", 4),
        ("file", "x:/root/file/", 4),
        ("nothing", "x:/root/", 2),
        ("x:/root/nothing", "got", 4),
        ("x:/root/file", "nowhere/got", 2),
        ("x:/root/dir", "file", 4),
        ("x:/root/dir", "-", 4),
        ("x:/root/file", "x:/root/other", 2),
        ("file", "other", 2),
        ("file", "x:root", 2),
    ] {
        let done = run(&mut site.tool(dir.path(), &["cp", "--color", "never", from, to]), DEADLINE);
        assert_eq!((done.code, done.stdout.len()), (Some(code), 0), "{from} {to}: {done}");
        all.push_str(&format!("$ vmwbuild cp {from} {to}\n{}\n", done.stderr()));
    }
    shot!(site, "cp-refused", steady(site, &all));
    let done = run(&mut site.tool(dir.path(), &["cp", "file", "x:/root/dir/file"]), DEADLINE);
    assert_eq!(done.code, Some(0), "{done}");
    assert_eq!(look("cat /root/file; ls -A /root | grep -c vmwbuild; ls /root/dir"), "old\n1\nfile\n");
    // A disk that is full there: the old file stays as it was.
    if !site.is_vcsim() {
        look("mkdir /root/small && mount -t tmpfs -o size=1m none /root/small && echo old > /root/small/big");
        let done = run(&mut site.tool(dir.path(), &["cp", "--color", "never", "big", "x:/root/small"]), DEADLINE);
        assert!(done.code == Some(4) && done.stderr().contains("0 KiB are free"), "{done}");
        assert!(!done.stderr().contains(".vmwbuild-"), "{done}");
        assert_eq!(look("cat /root/small/big; ls -A /root/small"), "old\nbig\n");
    }
    // And here: files may not be larger than 1 MiB, which is an error as a full disk is.
    look("head -c 3000000 /dev/zero > /root/big");
    fs::write(dir.path().join("down/big"), "old").unwrap();
    let mut limited = Command::new("sh");
    let limit = "trap '' XFSZ; ulimit -f 2048; exec \"$0\" cp --color never x:/root/big down/big";
    limited.args(["-c", limit, env!("CARGO_BIN_EXE_vmwbuild")]).current_dir(dir.path());
    for (name, value) in site.tool(dir.path(), &[]).get_envs() {
        if let Some(value) = value {
            limited.env(name, value);
        }
    }
    let done = run(&mut limited, DEADLINE);
    assert!(done.code == Some(4) && done.stderr().contains("File too large"), "{done}");
    assert_eq!(fs::read(dir.path().join("down/big")).unwrap(), b"old");
    let mut names: Vec<String> =
        fs::read_dir(dir.path().join("down")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["big", "x"]);
}

#[test]
fn connections_are_saved_by_name() {
    let dir = context::<&str, &str>(&[]);
    let file = dir.path().join(".vmwbuild-config/vcenters.toml");
    let vcenter =
        |args: &[&str]| run(vmwbuild(dir.path()).arg("vcenter").args(args).args(["--color", "never"]), DEADLINE);
    let good = |args: &[&str]| {
        let done = vcenter(args);
        assert_eq!(done.code, Some(0), "{done}");
        done.stdout()
    };
    good(&[
        "add",
        "prod",
        "https://vc.example.com",
        "--username",
        "b@vsphere.local",
        "--password-command",
        "echo \"s3\\cret\"",
    ]);
    good(&["add", "lab", "root@vc.lab/sdk", "--password-env", "LAB_PW", "--use"]);
    good(&["add", "asked", "10.0.0.1:8443"]);
    insta::assert_snapshot!("vcenter-ls", good(&["ls"]));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let mut child = vmwbuild(dir.path());
    child.args(["vcenter", "add", "kept", "vc.kept", "--store-password"]);
    assert_eq!(fed(&mut child, b"p\"w\n").code, Some(0));
    insta::assert_snapshot!("vcenter-file", fs::read_to_string(&file).unwrap());
    // Where each setting comes from.
    let origins = |change: &dyn Fn(&mut Command)| {
        let mut command = vmwbuild(dir.path());
        command.args(["exec", "-v", "--login", "root", "x", "--", "true"]).env("VMWBUILD_LOGIN", "root:pw");
        change(&mut command);
        run(&mut command, Duration::from_secs(60)).stderr().lines().take(3).collect::<Vec<_>>().join("\n")
    };
    let used = origins(&|c| {
        c.env("LAB_PW", "pw");
    });
    let named = origins(&|c| {
        c.env("VMWBUILD_VCENTER", "prod").env("GOVC_URL", "other").env("GOVC_USERNAME", "o");
    });
    let peers = origins(&|c| {
        c.env("GOVC_URL", "127.0.0.1:1").env("GOVC_USERNAME", "o").env("GOVC_PASSWORD", "pw");
    });
    let unset = origins(&|_| ());
    insta::assert_snapshot!("vcenter-origins", format!("{used}\n---\n{named}\n---\n{peers}\n---\n{unset}"));
    // Mistakes.
    let mut all = String::new();
    for args in [
        &["use", "pord"][..],
        &["rm", "nothing"],
        &["add", "prod", "vc"],
        &["add", "a b", "vc"],
        &["add", "n", "https://u:secret@vc"],
        &["add", "n", "ftp://vc"],
        &["add", "n", "vc", "--thumbprint", "xyz"],
    ] {
        let done = vcenter(args);
        assert_eq!((done.code, done.stdout().as_str()), (Some(2), ""), "{done}");
        assert!(!done.stderr().contains("secret"), "{done}");
        all.push_str(&done.stderr());
    }
    insta::assert_snapshot!("vcenter-mistakes", all);
    good(&["rm", "lab"]);
    good(&["add", "prod", "vc2.example.com", "--replace"]);
    assert!(!good(&["ls"]).contains('*'));
    // A file that others can read is refused, and one that makes no sense is told without its content.
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let done = vcenter(&["ls"]);
    assert!(done.code == Some(2) && done.stderr().contains("chmod 600"), "{done}");
    fs::write(&file, "[vcenter.a]\nurl = \"x\"\npasword = \"s3cret\"\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let done = vcenter(&["ls"]);
    assert!(done.code == Some(2) && done.stderr().contains("pasword") && !done.stderr().contains("s3cret"), "{done}");
}

#[test]
fn what_is_wrong_with_saved_connections_is_told_without_their_passwords() {
    let dir = context(&[(".vmwbuild-config/vcenters.toml", "")]);
    let file = dir.path().join(".vmwbuild-config/vcenters.toml");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    for (wrong, words) in [
        ("[vcenter.a]\nurl = \"x\"\npassword = 90817263\n", "expected a string"),
        ("[vcenter.a]\nurl = \"x\"\npassword = [\"90817263\"]\n", "(line 3)"),
        ("[vcenter]\na = \"90817263\"\n", "expected a table"),
        ("[vcenter]\na = \"q, expected \\\"90817263\"\n", "(line 2)"),
        ("[vcenter.a]\nurl = \"x\"\n\"password=90817263\" = 1\n", "unknown field"),
    ] {
        fs::write(&file, wrong).unwrap();
        let done = run(vmwbuild(dir.path()).args(["vcenter", "ls", "--color", "never"]), DEADLINE);
        assert!(done.code == Some(2) && done.stderr().contains(words), "{wrong}: {done}");
        assert!(!done.stderr().contains("90817263"), "{wrong}: {done}");
    }
}

#[test]
fn a_stored_password_with_odd_signs_can_be_read_again() {
    let dir = context::<&str, &str>(&[]);
    let mut add = vmwbuild(dir.path());
    add.args(["vcenter", "add", "lab", "vc.lab", "--store-password"]);
    assert_eq!(fed(&mut add, b"a\x7f\x1b\"\\b\n").code, Some(0));
    ok(vmwbuild(dir.path()).args(["vcenter", "ls"]));
}

#[test]
fn a_password_command_prints_one_line() {
    for (command, words) in [("true", "printed nothing"), ("echo s3cret; echo more", "printed more than one")] {
        let dir = context::<&str, &str>(&[]);
        let save = ["vcenter", "add", "lab", "127.0.0.1:1", "--username", "u", "--password-command", command];
        ok(vmwbuild(dir.path()).args(save));
        let mut exec = vmwbuild(dir.path());
        exec.args(["exec", "--vcenter", "lab", "x", "--color", "never", "--", "true"]).env("VMWBUILD_LOGIN", "root:pw");
        let done = run(&mut exec, DEADLINE);
        assert!(done.code == Some(2) && done.stderr().contains(words), "{done}");
    }
}

#[test]
fn a_profile_gives_args_placement_and_vcenter() {
    let site = Site::sandbox().unwrap();
    let (url, user, password, thumbprint) = site.server();
    let config = "vcenter = \"nowhere.invalid\"\n[args]\nname = \"of-project\"\nother = \"x\"\n[placement]\nfolder = \"vm\"\n\
        [profile.prod]\nvcenter = \"here\"\n[profile.prod.args]\nname = \"of-prod\"\n\
        [profile.prod.placement]\ndatastore = \"nothing\"\n\
        [profile.good]\nvcenter = \"here\"\n";
    let dir = context(&[
        ("vmwbuild.toml", config),
        ("sub/VMWfile", "ARG name = \"of-file\"\nFROM linux\nOUTPUT VM ${{ name }}\nRUN true\n"),
    ]);
    let save =
        ["vcenter", "add", "here", url, "--username", user, "--password-env", "VC_PW", "--thumbprint", thumbprint];
    ok(vmwbuild(dir.path()).args(save));
    let plan = |args: &[&str], env: &[(&str, &str)]| {
        let mut command = vmwbuild(dir.path());
        command
            .args(["plan", "--color", "never", "sub"])
            .args(args)
            .env("VC_PW", password)
            .env("VMWBUILD_LOGIN", "root:any");
        command.envs(env.iter().copied());
        run(&mut command, DEADLINE)
    };
    let done = plan(&["--profile", "good"], &[]);
    assert!(done.code == Some(0) && done.stdout().contains("/of-project"), "{done}");
    // A flag stands before a profile, and that before the project.
    let done = plan(&["--datastore", "sandbox"], &[("VMWBUILD_PROFILE", "prod")]);
    assert!(done.stdout().contains("/of-prod") || done.stderr().contains("sandbox"), "{done}");
    let done = plan(&["--profile", "prod"], &[]);
    assert!(done.code == Some(5) && done.stderr().contains("no datastore `nothing`"), "{done}");
    let done = plan(&["--profile", "good", "--arg", "name=of-flag"], &[]);
    assert!(done.stdout().contains("/of-flag"), "{done}");
    let done = plan(&["--profile", "good"], &[("VMWBUILD_ARG_name", "of-variable")]);
    assert!(done.stdout().contains("/of-variable"), "{done}");
    // Without a profile it is the project's vCenter; a flag wins.
    let done = plan(&[], &[("VMWBUILD_USERNAME", "u"), ("VMWBUILD_PASSWORD", "p")]);
    assert!(done.code == Some(3) && done.stderr().contains("nowhere.invalid"), "{done}");
    assert_eq!(plan(&["--vcenter", "here"], &[]).code, Some(0));
    let mut all = String::new();
    let mut told = |done: Run| {
        assert_eq!(done.code, Some(2), "{done}");
        all.push_str(&done.stderr().replace(&dir.path().canonicalize().unwrap().display().to_string(), "DIR"));
    };
    told(plan(&["--profile", "prd"], &[]));
    for wrong in [
        "vcentre = \"x\"\n",
        "[placement]\ndatstore = \"x\"\n",
        "[profile.p]\nargz = {}\n",
        "[profile.p.placement]\nx = \"\"\n",
        "args = 3\n",
    ] {
        fs::write(dir.path().join("vmwbuild.toml"), wrong).unwrap();
        told(plan(&["--vcenter", "here"], &[]));
    }
    fs::remove_file(dir.path().join("vmwbuild.toml")).unwrap();
    told(plan(&["--vcenter", "here", "--profile", "p"], &[]));
    insta::assert_snapshot!("profile-mistakes", all);
}

/// How long commands take by `exec` and by `govc guest.run`, in turns: `cargo test --test builds machines:: -- --ignored
/// --nocapture`. It judges nothing: the figures are printed, and depend on what else the machine does.
#[test]
#[ignore = "measures: wants a machine that does nothing else"]
fn exec_beside_govc() {
    let Some(site) = Site::vcsim() else { return };
    let dir = context::<&str, &str>(&[]);
    machine(&site, dir.path(), &["x"]);
    let median = |mut list: Vec<Duration>| {
        list.sort();
        list[list.len() / 2]
    };
    for (what, script) in
        [("true", "true"), ("100,000 lines", "i=0; while [ $i -lt 100000 ]; do echo line-$i; i=$((i+1)); done")]
    {
        ok(&mut site.exec(dir.path(), &["x", "--", "sh", "-c", &format!("printf '%s\\n' '{script}' > /root/s")]));
        let (mut ours, mut theirs, mut own) = (Vec::new(), Vec::new(), Vec::new());
        let container = site.sim().containers().pop().unwrap();
        for _ in 0..5 {
            ours.push(ok(&mut site.exec(dir.path(), &["x", "--", "sh", "/root/s"])).elapsed);
            theirs.push(site.govc_try(&["guest.run", "-vm", "x", "exec", "/bin/sh", "/root/s"]).elapsed);
            own.push(common::docker(&["exec", &container, "sh", "/root/s"]).elapsed);
        }
        let (ours, theirs, own) = (median(ours), median(theirs), median(own));
        println!("{what}: vmwbuild exec {ours:?}, govc guest.run {theirs:?}, podman exec {own:?}");
        let (ours, theirs) = (ours.saturating_sub(own), theirs.saturating_sub(own));
        println!(
            "  beyond the guest's own cost: {ours:?} and {theirs:?}, {:.2}",
            ours.as_secs_f64() / theirs.as_secs_f64()
        );
    }
}
