//! The whole way, by the real binary: VMWfile in, templates and machines out. Each test runs on the simulator that
//! others wrote and on our sandbox, and what was built is looked at with somebody else's client.

#![allow(clippy::unwrap_used)] // a test may

use crate::common;

use std::time::Duration;

use common::site::Site;
use common::{Running, context, on_both};

on_both! {
    a_template_is_made_from_a_template
    a_platform_shares_a_token_made_while_it_is_built
    a_secret_shows_up_nowhere
    a_failed_command_is_reported_and_nothing_stays
    a_failed_machine_can_be_kept
    commands_of_every_kind_run
    output_of_fifty_megabytes_passes
    a_command_that_never_ends_is_ended
    files_arrive_as_they_are
    hostile_values_stay_values
    an_interrupted_build_leaves_nothing
    a_taken_name_is_refused_and_replaced_on_request
    flags_of_steps_do_what_they_say
    files_come_back_and_pass_between_machines
    a_machine_is_rebooted
    placement_and_hardware_are_applied
    wrong_names_are_answered_with_near_ones
    examples_are_built
    a_command_runs_on_a_machine_that_exists
}

fn a_template_is_made_from_a_template(site: &Site) {
    let dir = context(&[(
        "VMWfile",
        "ARG template\nFROM ${{ template }} AS image\nOUTPUT TEMPLATE t-image\nRUN echo one > /root/made\n\
         FROM image AS next\nOUTPUT TEMPLATE t-next\nRUN echo two >> /root/made\n\
         FROM next AS vm\nOUTPUT VM t-vm\nRUN test \"$(cat /root/made | tr '\\n' ' ')\" = 'one two '\n",
    )]);
    let run = site.built(dir.path(), &[]);
    assert_eq!(
        run.stdout().lines().map(|l| l.split("  ").next().unwrap()).collect::<Vec<_>>(),
        ["template t-image", "template t-next", "VM t-vm"]
    );
    assert_eq!(site.guest("t-vm", "cat /root/made"), "one\ntwo\n");
    // The guest has nothing of ours left in it.
    assert_eq!(site.guest("t-vm", "ls -A /root | grep -i vmw || true"), "");
    let templates = site.govc(&["find", "/", "-type", "m", "-config.template", "true"]);
    assert!(
        templates.contains("t-image") && templates.contains("t-next") && !templates.contains("t-vm"),
        "{templates}"
    );
    // What was built can be cloned by anybody.
    site.govc(&["vm.clone", "-vm", "t-next", "-pool", "DC0_C0/Resources", "-on=true", "t-clone"]);
    let waited = std::time::Instant::now();
    let ready = |info: &str| {
        // Servers that never say whether operations are possible leave that out.
        info.contains("\"toolsRunningStatus\":\"guestToolsRunning\"")
            && !info.contains("\"guestOperationsReady\":false")
    };
    while !ready(&site.govc(&["vm.info", "-json", "t-clone"]).replace(' ', "")) {
        assert!(waited.elapsed() < Duration::from_secs(30), "the clone's Tools don't start");
    }
    assert_eq!(site.guest("t-clone", "cat /root/made"), "one\ntwo\n");
}

fn a_platform_shares_a_token_made_while_it_is_built(site: &Site) {
    let dir = context(&[(
        "VMWfile",
        "ARG template\nARG workers: int = 3\n\
         FROM ${{ template }} AS manager\nOUTPUT VM p-manager\n\
         KEY token: secret FROM RUN od -An -N16 -tx1 /dev/urandom | tr -d ' \\n'\n\
         RUN printf %s ${{ token }} | sha256sum > /root/hash\n\
         FROM ${{ template }} AS worker FOR n IN 1..${{ workers }}\nOUTPUT VM p-worker-${{ n }}\n\
         RUN printf %s ${{ manager.token }} | sha256sum > /root/hash\n",
    )]);
    let run = site.built(dir.path(), &[]);
    let hash = site.guest("p-manager", "cat /root/hash");
    assert_eq!(hash.len(), 64 + 4, "{hash:?}");
    for n in 1..=3 {
        assert_eq!(site.guest(&format!("p-worker-{n}"), "cat /root/hash"), hash);
    }
    assert!(!run.stderr().contains("***"), "nothing was masked, since nothing was printed: {run}");
}

fn a_secret_shows_up_nowhere(site: &Site) {
    let secret = "s3cr3t-Va1ue'with\"quotes";
    let dir = context(&[
        (
            "VMWfile",
            "ARG template\nSECRET pw\nFROM ${{ template }} AS app\nOUTPUT VM s-app\n\
             RUN cat /proc/[0-9]*/cmdline | tr '\\0' '\\n' > /root/cmdlines; printf %s ${{ pw }} > /root/pw\n\
             RUN cat /root/pw; base64 /root/pw; cat /root/pw >&2\n\
             KEY copy: secret FROM RUN cat /root/pw\n\
             RUN printf %s ${{ copy }}\n\
             COPY <<EOF /root/file\n${{ pw }}\nEOF\n\
             RUN --env=PW=${{ pw }} printf %s \"$PW\" | cmp - /root/pw\n\
             RUN cat /proc/[0-9]*/cmdline | tr '\\0' '\\n' >> /root/cmdlines; echo ${{ pw }} > /dev/null\n\
             RUN echo ${{ pw }} >&2; exit 9\n",
        ),
        ("pw", secret),
    ]);
    let run = site.build(dir.path(), &["--secret", "id=pw,src=pw", "--on-error", "keep", "-v"]);
    assert_eq!(run.code, Some(4), "{run}");
    let said = format!("{}{}", run.stdout(), run.stderr());
    for part in [secret, "s3cr3t", "Va1ue"] {
        assert!(!said.contains(part), "{part} is in: {said}");
    }
    assert!(said.contains("***"), "{said}");
    assert_eq!(site.guest("s-app", "cat /root/pw"), secret);
    assert_eq!(site.guest("s-app", "cat /root/file"), format!("{secret}\n"));
    let lines = site.guest("s-app", "cat /root/cmdlines");
    assert!(lines.contains("sh") && !lines.contains("s3cr3t"), "{lines}");
    assert!(!site.log().contains("s3cr3t"));
}

fn a_failed_command_is_reported_and_nothing_stays(site: &Site) {
    let before = site.machines();
    let dir = context(&[(
        "VMWfile",
        "ARG template\nFROM ${{ template }} AS image\nOUTPUT TEMPLATE f-image\nRUN true\n\
         RUN echo 'the disk is on fire' >&2; exit 7\nRUN echo never\n",
    )]);
    let run = site.build(dir.path(), &[]);
    assert_eq!(run.code, Some(4), "{run}");
    let stderr = run.stderr();
    for part in ["exit code 7", "the disk is on fire", "VMWfile:5", "step-failed", "--on-error keep"] {
        assert!(stderr.contains(part), "{part:?} is missing in:\n{stderr}");
    }
    assert!(!stderr.contains("echo never\n") || !stderr.contains("[3/3] done"), "{stderr}");
    assert_eq!(site.machines(), before, "{run}");
}

fn a_failed_machine_can_be_kept(site: &Site) {
    let dir = context(&[(
        "VMWfile",
        "ARG template\nFROM ${{ template }} AS image\nOUTPUT VM k-image\nRUN echo here > /root/here\nRUN exit 3\n",
    )]);
    let run = site.build(dir.path(), &["--on-error", "keep"]);
    assert_eq!(run.code, Some(4), "{run}");
    assert!(run.stderr().contains("/k-image"), "{run}");
    assert_eq!(site.guest("k-image", "cat /root/here"), "here\n");
}

fn commands_of_every_kind_run(site: &Site) {
    let dir = context(&[(
        "VMWfile",
        concat!(
            "ARG template\nFROM ${{ template }} AS c\nOUTPUT VM c-vm\n",
            "# Standard input is closed: this ends at once.\nRUN cat\n",
            "# A process stays, the step ends.\nRUN sleep 600 >/dev/null 2>&1 &\n",
            "# PATH and the environment are those of a login.\n",
            "RUN command -v ls && test \"$HOME\" = /root && test \"$USER\" = root && echo \"$PATH\" | grep -q /usr/sbin\n",
            "# Bytes that are no text.\nRUN printf '\\377\\376\\000binary\\001\\n'\n",
            "RUN [\"sh\", \"-c\", \"test \\\"$1\\\" = 'a b'\", \"sh\", \"a b\"]\n",
            "RUN <<EOF\nfalse || true\ncd /tmp\ntest \"$PWD\" = /tmp\nEOF\n",
            "RUN <<EOF\n#!/bin/sh\nfalse\ntrue\nEOF\n",
            "RUN cat > /root/motd <<EOF\n$HOME is home\nEOF\n",
            "RUN test \"$(cat /root/motd)\" = '/root is home'\n",
            "WORKDIR /srv/app\nRUN test \"$PWD\" = /srv/app\nWORKDIR sub\nRUN test \"$PWD\" = /srv/app/sub\n",
            "ENV A=one B=\"two $A\" PATH=/opt/bin:$PATH\nRUN test \"$B\" = 'two one' && test \"${PATH%%:*}\" = /opt/bin\n",
            "USER nobody\nRUN test \"$(id -un)\" = nobody\nUSER root\n",
            "SHELL bash\nRUN [[ a == a ]]\nSHELL sh\n",
            "RUN yes 'long line' | head -n 3000 | wc -l >&2\n",
        ),
    )]);
    let run = site.built(dir.path(), &[]);
    let alive = site.guest("c-vm", "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c 'sleep 600' || true");
    assert_eq!(alive, "1\n", "the background process is still there: {run}");
}

fn output_of_fifty_megabytes_passes(site: &Site) {
    let dir = context(&[(
        "VMWfile",
        "ARG template\nFROM ${{ template }} AS o\nRUN head -c 50000000 /dev/zero | tr '\\0' x | fold -w 99; echo the-end\n",
    )]);
    // Without events to check: they would double what this test is about.
    let run = common::run(&mut site.command(dir.path(), &[]), common::DEADLINE);
    assert_eq!(run.code, Some(0), "{run}");
    assert!(run.stderr().contains("the-end"), "{}", &run.stderr()[run.stderr().len().saturating_sub(2000)..]);
}

fn a_command_that_never_ends_is_ended(site: &Site) {
    let dir = context(&[(
        "VMWfile",
        "ARG template\nFROM ${{ template }} AS e\nOUTPUT VM e-vm\n\
         RUN --timeout=2s sh -c 'sleep 4711 & sleep 4711'\n",
    )]);
    let run = site.build(dir.path(), &["--on-error", "keep"]);
    assert_eq!(run.code, Some(6), "{run}");
    assert!(run.stderr().contains("timed out"), "{run}");
    let left = site.guest("e-vm", "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c 'sleep 471[1]' || true");
    assert_eq!(left, "0\n");

    let dir = context(&[("VMWfile", "ARG template\nFROM ${{ template }} AS e\nRUN kill -9 $$\n")]);
    let run = site.build(dir.path(), &[]);
    assert_eq!(run.code, Some(4), "{run}");
    assert!(run.stderr().contains("signal 9"), "{run}");
}

fn files_arrive_as_they_are(site: &Site) {
    let big: Vec<u8> = (0..20_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let dir = context(&[
        ("big", big.as_slice()),
        ("empty", b""),
        ("sub/a name with 'quotes\" and blanks", b"odd\n"),
        ("sub/deep/er/file", b"deep\n"),
        ("held.back", b"no\n"),
        (".vmwignore", b"*.back\n"),
        (
            "VMWfile",
            b"ARG template\nFROM ${{ template }} AS f\nOUTPUT VM f-vm\n\
              COPY big empty /opt/files/\nCOPY sub /opt/sub\nCOPY --chmod=0750 --chown=nobody empty /opt/owned\n\
              COPY . /opt/all/\nCOPY <<'EOF' /opt/text\n${{ not.a.value }} $HOME\nEOF\n\
              COPY --render template.txt /opt/rendered\n",
        ),
        ("template.txt", b"from ${{ template }}\n"),
    ]);
    let run = site.built(dir.path(), &[]);
    let sum = site.guest("f-vm", "sha256sum < /opt/files/big | cut -d' ' -f1");
    assert_eq!(sum.trim(), sha256(&big), "{run}");
    assert_eq!(site.guest("f-vm", "stat -c %s /opt/files/empty"), "0\n");
    assert_eq!(site.guest("f-vm", "cat /opt/sub/a*; cat /opt/sub/deep/er/file"), "odd\ndeep\n");
    assert_eq!(site.guest("f-vm", "stat -c '%a %U' /opt/owned"), "750 nobody\n");
    assert_eq!(site.guest("f-vm", "ls /opt/all | grep -c back || true"), "0\n");
    assert_eq!(site.guest("f-vm", "cat /opt/text"), "${{ not.a.value }} $HOME\n");
    assert_eq!(site.guest("f-vm", "cat /opt/rendered"), format!("from {}\n", site.template()));
}

fn sha256(data: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(data).iter().map(|b| format!("{b:02x}")).collect()
}

fn hostile_values_stay_values(site: &Site) {
    let evil = "'; rm -rf / #\n$(touch /root/pwned) `touch /root/pwned` \" \\ * ?\nEOF\n${IFS}\u{7f}ünï";
    let dir = context(&[
        (
            "VMWfile",
            "ARG template\nFROM ${{ template }} AS source\nOUTPUT NONE\n\
             COPY evil /root/evil\nKEY evil FROM FILE /root/evil\n\
             FROM ${{ template }} AS h\nOUTPUT VM h-vm\n\
             RUN printf %s ${{ source.evil }} > /root/bare\n\
             RUN printf %s '${{ source.evil }}' > /root/single\n\
             RUN printf %s \"${{ source.evil }}\" > /root/double\n\
             RUN cat > /root/heredoc <<EOF\n${{ source.evil }}\nEOF\n\
             RUN <<END\nprintf %s ${{ source.evil }} > /root/script\nEND\n\
             RUN [\"sh\", \"-c\", \"printf %s \\\"$1\\\" > /root/exec\", \"sh\", \"${{ source.evil }}\"]\n\
             RUN sh -c 'printf %s \"$1\" > /root/again' sh ${{ source.evil }}\n\
             COPY <<END /root/copied\n${{ source.evil }}\nEND\n\
             ENV EVIL=${{ source.evil }}\nRUN printf %s \"$EVIL\" > /root/env\n",
        ),
        ("evil", evil),
    ]);
    let run = site.built(dir.path(), &[]);
    for name in ["bare", "single", "double", "script", "exec", "again", "env"] {
        assert_eq!(site.guest("h-vm", &format!("cat /root/{name}")), evil, "{name}: {run}");
    }
    for name in ["heredoc", "copied"] {
        assert_eq!(site.guest("h-vm", &format!("cat /root/{name}")), format!("{evil}\n"), "{name}: {run}");
    }
    assert_eq!(site.guest("h-vm", "ls /root/pwned 2>/dev/null || echo none"), "none\n");
}

fn an_interrupted_build_leaves_nothing(site: &Site) {
    let before = site.machines();
    let dir = context(&[(
        "VMWfile",
        "ARG template\nFROM ${{ template }} AS i\nOUTPUT VM i-vm\nRUN echo it-runs; sleep 300\n\
         FROM ${{ template }} AS j\nOUTPUT TEMPLATE i-template\nRUN sleep 300\n",
    )]);
    let building = Running::start(&mut site.command(dir.path(), &[]));
    building.wait_for("it-runs", Duration::from_secs(60));
    building.signal("INT");
    let run = building.finish(Duration::from_secs(90));
    assert_eq!(run.code, Some(130), "{run}");
    assert!(run.stderr().contains("interrupted"), "{run}");
    assert_eq!(site.machines(), before, "{run}");
}

fn a_taken_name_is_refused_and_replaced_on_request(site: &Site) {
    let file = |word: &str, flag: &str| {
        format!(
            "ARG template\nFROM ${{{{ template }}}} AS r\nOUTPUT TEMPLATE {flag} r-image\nRUN echo {word} > /root/word\n"
        )
    };
    let dir = context(&[("VMWfile", file("old", ""))]);
    site.built(dir.path(), &[]);
    let before = site.machines();

    // What is there is what would be made, and would be taken as it is.
    let run = site.build(dir.path(), &["--no-cache"]);
    assert_eq!(run.code, Some(5), "{run}");
    for part in ["already", "r-image", "--exists=replace", "VMWfile:3"] {
        assert!(run.stderr().contains(part), "{part:?}: {run}");
    }
    assert_eq!(site.machines(), before);

    // A build that fails does not touch the old one.
    std::fs::write(dir.path().join("VMWfile"), file("new", "--exists=replace") + "RUN exit 1\n").unwrap();
    assert_eq!(site.build(dir.path(), &[]).code, Some(4));
    assert_eq!(site.machines(), before);

    std::fs::write(dir.path().join("VMWfile"), file("new", "--exists=replace")).unwrap();
    site.built(dir.path(), &[]);
    assert_eq!(site.machines(), before);
    let check = context(&[("VMWfile", "FROM r-image AS c\nRUN test \"$(cat /root/word)\" = new\n")]);
    site.built(check.path(), &[]);
}

fn flags_of_steps_do_what_they_say(site: &Site) {
    let dir = context(&[(
        "VMWfile",
        concat!(
            "ARG template\nARG extra: bool = false\nFROM ${{ template }} AS s\nOUTPUT VM fl-vm\n",
            "RUN --ok=0,3 exit 3\n",
            "RUN --if=${{ extra }} touch /root/extra\n",
            "RUN --if=${{ not extra }} touch /root/plain\n",
            "RUN --unless=\"test -e /root/plain\" touch /root/unless\n",
            "RUN --allow-failure exit 5\n",
            "RUN --retry=3 --delay=1s echo try >> /root/tries; test $(wc -l < /root/tries) -ge 3\n",
            "RUN --user=nobody test \"$(id -un)\" = nobody\n",
            "RUN --env=ONE=1 --env=TWO=2 test \"$ONE$TWO\" = 12\n",
            "KEY maybe --allow-failure FROM RUN exit 1\n",
            "KEY count: int FROM RUN echo ' 41 '\nRUN test $((${{ count }} + 1)) = 42\n",
            "KEY list: list<string> FROM RUN printf 'a\\nb c\\n'\nRUN test ${{ list | join(\"+\") }} = 'a+b c'\n",
            "KEY object: json FROM RUN echo '{\"name\": [1, \"two\"]}'\nRUN test ${{ object.name[1] }} = two\n",
            "RUN echo ${{ maybe | default(\"none\") }} > /root/maybe\n",
            "RUN (sleep 1; touch /root/later) >/dev/null 2>&1 &\nWAIT FILE /root/later --timeout=30s\n",
            "WAIT RUN --timeout=30s test -e /root/later\n",
        ),
    )]);
    let run = site.built(dir.path(), &[]);
    let listing = site.guest("fl-vm", "cd /root; ls -1 plain extra unless 2>/dev/null; wc -l < tries; cat maybe");
    assert_eq!(listing, "plain\n3\nnone\n", "{run}");
}

fn files_come_back_and_pass_between_machines(site: &Site) {
    let dir = context(&[(
        "VMWfile",
        "ARG template\nFROM ${{ template }} AS a\nOUTPUT NONE\n\
         RUN mkdir -p /root/out/sub && echo made > /root/out/file && echo deep > /root/out/sub/file\n\
         FETCH /root/out/file result.txt\nFETCH /root/out fetched/\n\
         FROM ${{ template }} AS b\nOUTPUT VM x-vm\n\
         COPY --from=a /root/out /opt/from-a\nCOPY --from=a /root/out/file /opt/one\n\
         RUN test \"$(cat /opt/from-a/sub/file /opt/one | tr '\\n' ' ')\" = 'deep made '\n",
    )]);
    site.built(dir.path(), &[]);
    let read = |p: &str| std::fs::read_to_string(dir.path().join(p)).unwrap_or_else(|e| panic!("{p}: {e}"));
    assert_eq!(read("result.txt"), "made\n");
    assert_eq!(read("fetched/out/sub/file"), "deep\n");
    assert!(!site.machines().iter().any(|m| m.contains("vmwbuild-")), "{:?}", site.machines());
}

fn a_machine_is_rebooted(site: &Site) {
    let dir = context(&[(
        "VMWfile",
        "ARG template\nFROM ${{ template }} AS b\nOUTPUT VM b-vm\nRUN sleep 601 >/dev/null 2>&1 & touch /root/before\n\
         REBOOT\nWAIT TOOLS\nRUN test -e /root/before && ! cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep 'sleep 60[1]'\n\
         RUN --reboot-on=194 exit 194\nRUN touch /root/after\n",
    )]);
    site.built(dir.path(), &[]);
    assert_eq!(site.guest("b-vm", "ls /root/before /root/after"), "/root/after\n/root/before\n");
}

fn placement_and_hardware_are_applied(site: &Site) {
    let dir = context(&[(
        "VMWfile",
        "ARG template\nDATACENTER DC0\nDATASTORE LocalDS_0\nFROM ${{ template }} AS p\nOUTPUT VM --off pl-vm\n\
         POOL /DC0/host/DC0_C0/Resources\nNETWORK VM Network\nCPU 3\nMEMORY 512MiB\n\
         CONFIG guestinfo.role=web vmwbuild.test=\"a b\"\n",
    )]);
    let dir = {
        // A name with a blank is quoted.
        let text = std::fs::read_to_string(dir.path().join("VMWfile")).unwrap();
        std::fs::write(dir.path().join("VMWfile"), text.replace("NETWORK VM Network", "NETWORK \"VM Network\""))
            .unwrap();
        dir
    };
    site.built(dir.path(), &[]);
    let info = site.govc(&["vm.info", "-e", "-r", "pl-vm"]);
    for part in ["3 vCPU(s)", "512MB", "poweredOff", "guestinfo.role:", "web", "a b", "VM Network"] {
        assert!(info.contains(part), "{part:?} in {info}");
    }
}

fn wrong_names_are_answered_with_near_ones(site: &Site) {
    let near: String = site.template().chars().rev().skip(1).collect::<String>().chars().rev().collect();
    let dir = context(&[(
        "VMWfile",
        format!(
            "FROM {near} AS a\nOUTPUT VM w-a\nDATASTORE LocalDS_9\nRUN true\nFROM {} AS b\nOUTPUT VM w-b\nFOLDER nope\n",
            site.template()
        ),
    )]);
    let before = site.machines();
    let run = site.build(dir.path(), &[]);
    assert_eq!(run.code, Some(5), "{run}");
    for part in [near.as_str(), site.template(), "nope", "VMWfile:1"] {
        assert!(run.stderr().contains(part), "{part:?}: {run}");
    }
    assert_eq!(site.machines(), before);
}

fn examples_are_built(site: &Site) {
    let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    site.govc(&["library.create", "images"]);
    for name in ["hello", "update-template", "cluster", "secrets", "library-pipeline"] {
        let dir = tempfile::tempdir().unwrap();
        copy(&examples.join(name), dir.path());
        std::fs::write(dir.path().join("pw"), "guest-password\n").unwrap();
        let file = dir.path().join("VMWfile");
        if site.is_vcsim() {
            // It exports no machines.
            let text = std::fs::read_to_string(&file).unwrap();
            let kept: Vec<&str> = text.lines().filter(|line| !line.contains(" OVA ")).collect();
            std::fs::write(&file, kept.join("\n") + "\n").unwrap();
        }
        let run = site.built(dir.path(), &["--secret", "id=root_password,src=pw"]);
        if !site.is_vcsim() && name == "library-pipeline" {
            std::fs::rename(dir.path().join("deploy.vmwfile"), &file).unwrap();
            let cluster = std::fs::read_to_string(&file).unwrap().replace("FROM ova", "CLUSTER DC0_C0\nFROM ova");
            std::fs::write(&file, cluster).unwrap();
            site.built(dir.path(), &["--secret", "id=root_password,src=pw"]);
        }
        assert!(!run.stdout().is_empty(), "{name}: {run}");
    }
    assert_eq!(
        site.guest("hello", "/opt/hello/greet | cut -d: -f2"),
        " Hello from a guest that nobody has a network to\n"
    );
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir_all(&to).unwrap();
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn a_command_runs_on_a_machine_that_exists(site: &Site) {
    let dir = context(&[("VMWfile", "ARG template\nFROM ${{ template }} AS x\nOUTPUT VM ex-vm\nRUN true\n")]);
    site.built(dir.path(), &[]);
    let exec = |args: &[&str]| common::run(&mut site.exec(dir.path(), args), common::DEADLINE);
    let run = exec(&["ex-vm", "--", "sh", "-c", "echo out; printf 'a\\000\\377'; echo err >&2; exit 7"]);
    assert_eq!(run.code, Some(7), "{run}");
    assert_eq!(run.stdout, b"out\na\0\xff", "{run}");
    assert_eq!(run.stderr(), "err\n");
    let run = exec(&[
        "ex-vm",
        "--user",
        "nobody",
        "--env",
        "A=b c",
        "--workdir",
        "/tmp",
        "--",
        "sh",
        "-c",
        "id -un; pwd; echo $A",
    ]);
    assert_eq!(run.stdout(), "nobody\n/tmp\nb c\n", "{run}");
    let run = exec(&["ex-vm", "--", "seq", "100000"]);
    assert_eq!(run.stdout().lines().count(), 100_000, "{}", run.stderr());
    let run = exec(&["ex-vm", "--timeout", "1s", "--", "sleep", "4712"]);
    assert_eq!(run.code, Some(6), "{run}");
    let running = Running::start(&mut site.exec(dir.path(), &["ex-vm", "--", "sh", "-c", "echo it-runs; sleep 4712"]));
    running.wait_for("it-runs", Duration::from_secs(60));
    running.signal("INT");
    let run = running.finish(Duration::from_secs(60));
    assert_eq!(run.code, Some(130), "{run}");
    let left = site.guest("ex-vm", "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c 'sleep 471[2]' || true");
    assert_eq!(left, "0\n");
    assert_eq!(site.guest("ex-vm", "ls -A /root | grep -i vmw || true"), "", "{run}");
    let run = exec(&["ex-vn", "--", "true"]);
    assert_eq!(run.code, Some(5), "{run}");
    assert!(run.stderr().contains("ex-vm"), "{run}");
}

/// Servers that fail, refuse and go away.
mod trouble {
    use super::*;

    on_both! {
        via here:
        a_wrong_password_is_refused_once
        an_unknown_certificate_is_refused_with_its_thumbprint
        an_expired_session_is_renewed
        a_server_that_goes_away_is_reported
        transfers_can_be_done_without
    }

    fn sleeper() -> tempfile::TempDir {
        context(&[(
            "VMWfile",
            "ARG template\nFROM ${{ template }} AS t\nOUTPUT VM tr-vm\nRUN echo it-runs; sleep 3; echo it-is-over\nRUN echo more\n",
        )])
    }

    fn a_wrong_password_is_refused_once(site: &Site) {
        let (dir, server) = (sleeper(), site.connection());
        std::fs::write(dir.path().join("wrong"), "not-the-password").unwrap();
        let mut command = common::vmwbuild(dir.path());
        command.args(["build", "--vcenter", &server.url, "--username", &server.username]);
        command.args(["--password-file", "wrong", "--thumbprint", &server.sha256]);
        command.args(["--arg", &format!("template={}", site.template()), "--login", "root"]);
        let run = common::run(&mut command, common::DEADLINE);
        assert_eq!(run.code, Some(3), "{run}");
        assert!(run.stderr().contains("login"), "{run}");
        assert!(!run.stderr().contains("not-the-password"), "{run}");
        assert_eq!(site.requests().get("Login"), Some(&1));
    }

    fn an_unknown_certificate_is_refused_with_its_thumbprint(site: &Site) {
        let (dir, server) = (sleeper(), site.connection());
        std::fs::write(dir.path().join("pw"), &server.password).unwrap();
        std::fs::write(dir.path().join("ca.pem"), &server.ca_pem).unwrap();
        let build = |extra: &[&str]| {
            let mut command = common::vmwbuild(dir.path());
            command.args(["build", "--progress", "plain", "--vcenter", &server.url]);
            command.args(["--username", &server.username, "--password-file", "pw", "--login", "root"]);
            command.args(["--arg", "template=no-such-template"]).args(extra);
            common::run(&mut command, common::DEADLINE)
        };
        let run = build(&[]);
        assert_eq!(run.code, Some(3), "{run}");
        assert!(run.stderr().contains("--thumbprint"), "{run}");
        let run = build(&["--thumbprint", &"ab:".repeat(32)[..95]]);
        assert_eq!(run.code, Some(3), "{run}");
        // Trusted in any of these ways, it gets as far as the template that isn't there.
        for trust in [
            &["--ca", "ca.pem"][..],
            &["--insecure"],
            &["--thumbprint", &server.sha1],
            &["--thumbprint", &server.sha256],
        ] {
            let run = build(trust);
            assert_eq!(run.code, Some(5), "{trust:?}: {run}");
        }
    }

    fn an_expired_session_is_renewed(site: &Site) {
        let dir = sleeper();
        let building = Running::start(&mut site.command(dir.path(), &[]));
        building.wait_for("it-runs", Duration::from_secs(60));
        site.expire();
        let run = building.finish(Duration::from_secs(90));
        assert_eq!(run.code, Some(0), "{run}");
        assert!(run.stderr().contains("it-is-over") && run.stderr().contains("more"), "{run}");
        assert_eq!(site.sessions(), 0, "logged out");
    }

    fn a_server_that_goes_away_is_reported(site: &Site) {
        let dir = sleeper();
        let building = Running::start(&mut site.command(dir.path(), &[]));
        building.wait_for("it-runs", Duration::from_secs(60));
        site.go_away();
        let run = building.finish(Duration::from_secs(110));
        assert_eq!(run.code, Some(3), "{run}");
        assert!(run.stderr().contains("tr-vm"), "what is left behind is named: {run}");
    }

    /// Everything goes through vCenter when the way to the ESXi host is closed.
    fn transfers_can_be_done_without(site: &Site) {
        let dir = context(&[
            ("file", vec![b'x'; 300_000].as_slice()),
            (
                "VMWfile",
                b"ARG template\nFROM ${{ template }} AS v\nOUTPUT VM v-vm\nCOPY file /opt/file\n\
                  RUN test \"$(wc -c < /opt/file)\" = 300000 && echo arrived\nFETCH /opt/file back\n",
            ),
        ]);
        site.break_transfers();
        let run = site.built(dir.path(), &["--guest-channel", "vcenter"]);
        assert!(run.stderr().contains("arrived"), "{run}");
        assert_eq!(std::fs::read(dir.path().join("back")).unwrap(), vec![b'x'; 300_000]);
        let requests = site.requests();
        assert!(!requests.keys().any(|method| method.contains("guestFile")), "{requests:?}");
        // Left to itself it finds that out, says so once, and gets there all the same.
        let dir = context(&[
            ("file", vec![b'y'; 300_000].as_slice()),
            ("VMWfile", b"ARG template\nFROM ${{ template }} AS w\nCOPY file /opt/file\nRUN wc -c < /opt/file\n"),
        ]);
        let run = site.built(dir.path(), &[]);
        assert!(run.stderr().contains("300000"), "{run}");
    }

    #[test]
    fn a_missing_account_is_told_before_anything_is_contacted() {
        let dir = context(&[(
            "VMWfile",
            "FROM t AS a\nNOTE first\nRUN true\nFROM a AS b FOR n IN 1..3\nOUTPUT VM b${{ n }}\nRUN true\n",
        )]);
        let mut command = common::vmwbuild(dir.path());
        command.args(["build", "--vcenter", "https://127.0.0.1:9", "--username", "u"]).env("VMWBUILD_PASSWORD", "p");
        let run = common::run(&mut command, common::DEADLINE);
        assert_eq!(run.code, Some(1), "{run}");
        assert_eq!(run.stderr().matches("no-login").count(), 2, "once a stage: {run}");
    }

    #[test]
    fn nothing_listens_there() {
        let dir = sleeper();
        std::fs::write(dir.path().join("pw"), "x").unwrap();
        let mut command = common::vmwbuild(dir.path());
        command.args(["build", "--vcenter", "https://127.0.0.1:9", "--username", "u", "--password-file", "pw"]);
        command.args(["--arg", "template=x", "--login", "root"]);
        let run = common::run(&mut command, common::DEADLINE);
        assert_eq!(run.code, Some(3), "{run}");
        assert!(run.stderr().contains("127.0.0.1:9"), "{run}");
    }
}

/// How little is asked for.
mod thrift {
    use super::*;

    on_both! {
        via here:
        a_command_costs_one_start
        keys_in_a_row_go_over_together
    }

    /// The requests of a build, by method.
    fn of(site: &Site, text: &str) -> impl Fn(&str) -> u64 + use<> {
        let dir = context(&[("VMWfile", format!("ARG template\nFROM ${{{{ template }}}} AS m\nOUTPUT NONE\n{text}"))]);
        let before = site.requests();
        site.built(dir.path(), &[]);
        let after = site.requests();
        move |method| after.get(method).copied().unwrap_or_default() - before.get(method).copied().unwrap_or_default()
    }

    fn a_command_costs_one_start(site: &Site) {
        let count = of(site, "RUN echo one\nRUN echo two\nCOPY <<EOF /srv/file\ntext\nEOF\nRUN test -s /srv/file\n");
        assert_eq!((count("StartProgramInGuest"), count("DeleteDirectoryInGuest")), (1, 1));
        // Five things are followed: the clone, the power-on, the guest, the power-off and the deletion. A collector that
        // is idle again in time serves the next.
        assert_eq!(count("CreateFilter"), 5);
        assert!(count("CreatePropertyCollector") < 5);
    }

    fn keys_in_a_row_go_over_together(site: &Site) {
        let keys = "KEY a FROM RUN echo 1\nKEY b: int FROM RUN echo 2\nKEY c: secret FROM RUN echo three\n";
        let count = of(site, &format!("{keys}RUN test ${{{{ a }}}}${{{{ b }}}}${{{{ c }}}} = 12three\n"));
        assert_eq!(count("StartProgramInGuest"), 2);
        // Not those that others wait for.
        let count =
            of(site, &format!("{keys}FROM ${{{{ template }}}} AS n\nOUTPUT NONE\nRUN test ${{{{ m.a }}}} = 1\n"));
        assert_eq!(count("StartProgramInGuest"), 3);
    }
}
