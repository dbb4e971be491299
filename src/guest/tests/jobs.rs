//! What jobs see, and how their ends are told.

use super::*;

#[test]
fn jobs_report_in_order_with_streams_apart() {
    each_shell(async |guest, shell| {
        let jobs =
            [Job::sh(7, "echo one; echo 'to err' >&2"), Job::sh(8, "echo two; exit 3"), Job::sh(9, "echo never")];
        let (outcome, said) = run(guest, &jobs).await;
        assert_eq!(String::from_utf8_lossy(&said.out), "one\ntwo\n", "{}", shell.name);
        assert_eq!(String::from_utf8_lossy(&said.err), "to err\n");
        assert_eq!(said.events, ["7 begins", "7: exit code 0, true", "8 begins", "8: exit code 3, false"]);
        assert_eq!(outcome.failed(&jobs).map(|end| end.id), Some(8));
    });
}

#[test]
fn allowed_failures_and_other_codes_go_on() {
    each_shell(async |guest, _| {
        let mut allowed = Job::sh(1, "exit 4");
        allowed.allow_failure = true;
        let mut other = Job::sh(2, "exit 5");
        other.ok = vec![0, 5];
        let jobs = [allowed, other, Job::sh(3, "true")];
        let (outcome, said) = run(guest, &jobs).await;
        assert!(outcome.failed(&jobs).is_none());
        assert_eq!(
            said.events,
            [
                "1 begins",
                "1: exit code 4, false",
                "2 begins",
                "2: exit code 5, true",
                "3 begins",
                "3: exit code 0, true"
            ]
        );
    });
}

#[test]
fn death_by_signal_is_not_an_exit_code() {
    each_shell(async |guest, shell| {
        for (script, exit) in [
            ("kill -KILL $$", Exit::Signal(9)),
            ("kill -TERM $$", Exit::Signal(15)),
            ("kill -SEGV $$", Exit::Signal(11)),
            ("exit 137", Exit::Code(137)),
            ("exit 255", Exit::Code(255)),
            ("nosuchcommand", Exit::Code(127)),
        ] {
            let (outcome, _) = run(guest, &[Job::sh(1, script)]).await;
            assert_eq!(outcome.ends[0].exit, exit, "{script} in {}", shell.name);
            assert!(!outcome.ends[0].success);
        }
    });
}

/// Whether the tests themselves were started with a signal ignored (in the background of a script, say): no shell can
/// undo that for its children, so it says nothing about ours.
fn ignored(signal: u32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & (1 << (signal - 1)) != 0)
}

#[test]
fn signals_are_not_ignored_in_jobs() {
    let signals = [("INT", 2), ("QUIT", 3), ("TERM", 15), ("HUP", 1), ("USR1", 10), ("USR2", 12)];
    let names: Vec<&str> = signals.iter().filter(|(_, number)| !ignored(*number)).map(|(name, _)| *name).collect();
    assert!(names.contains(&"TERM"));
    each_shell(async |guest, shell| {
        // A shell that was started with SIGINT ignored can't trap it.
        let script = format!("for s in {}; do trap 'echo got' $s; kill -$s $$; done", names.join(" "));
        let text = out(guest, Job::sh(1, script)).await;
        assert_eq!(text, "got\n".repeat(names.len()), "{}", shell.name);
    });
}

#[test]
fn the_environment_is_small_and_ours_stays_out() {
    each_shell(async |guest, shell| {
        let mut job = Job::new(1, Body::Exec(vec!["env".into()]));
        let hostile = "'; rm -rf / #\n$(id) `id` \"\\\t\u{1F600} ${HOME} !!";
        job.env = vec![
            EnvVar { name: "A".into(), value: vec![EnvPiece::Literal(hostile.into())] },
            EnvVar {
                name: "PATH".into(),
                value: vec![EnvPiece::Literal("/opt/my bin:".into()), EnvPiece::Variable("PATH".into())],
            },
            EnvVar {
                name: "B".into(),
                value: vec![
                    EnvPiece::Literal("<".into()),
                    EnvPiece::Variable("A".into()),
                    EnvPiece::Literal(">".into()),
                ],
            },
            EnvVar { name: "C".into(), value: vec![EnvPiece::Variable("UNSET_IS_EMPTY".into())] },
        ];
        let text = out(guest, job).await;
        assert!(text.contains(&format!("A={hostile}\n")), "{text}");
        assert!(text.contains(&format!("B=<{hostile}>\n")), "{text}");
        assert!(text.contains("\nC=\n") || text.starts_with("C=\n"), "{text}");
        assert!(
            text.contains("PATH=/opt/my bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"),
            "{text}"
        );
        let mut names: Vec<&str> = text
            .lines()
            .filter_map(|line| line.split_once('=').map(|(name, _)| name))
            .filter(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
            .filter(|name| !matches!(*name, "PWD" | "SHLVL" | "_"))
            .collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(
            names,
            ["A", "B", "C", "HOME", "LANG", "LOGNAME", "PATH", "SHELL", "USER", "VMWBUILD_JOB"],
            "{}",
            shell.name
        );
    });
}

#[test]
fn standard_input_is_closed_and_arguments_are_whole() {
    each_shell(async |guest, _| {
        assert_eq!(out(guest, Job::sh(1, "cat; read x || echo eof")).await, "eof\n");
        let argv = ["printf", "<%s>\n", "a b", "$(id)", "'", "\"", "new\nline", "", "*", "-e", "ü\\n"];
        let text = out(guest, Job::new(2, Body::Exec(argv.iter().map(|w| (*w).to_owned()).collect()))).await;
        assert_eq!(text, "<a b>\n<$(id)>\n<'>\n<\">\n<new\nline>\n<>\n<*>\n<-e>\n<ü\\n>\n");
    });
}

#[test]
fn interpreters_directories_and_errexit() {
    each_shell(async |guest, _| {
        let script = |text: &str, interpreter| Job::new(1, Body::Script { text: text.into(), interpreter });
        let bash = Interpreter::Program { argv: vec!["bash".into(), "-o".into(), "pipefail".into()], errexit: true };
        let (outcome, said) = run(guest, &[script("[[ a == a ]] && echo yes\nfalse | true\necho no", bash)]).await;
        assert_eq!((outcome.ends[0].exit, said.out.as_slice()), (Exit::Code(1), b"yes\n".as_slice()));
        let text = "#!/usr/bin/awk -f\nBEGIN { print \"from awk\" }\n";
        assert_eq!(out(guest, script(text, Interpreter::Shebang)).await, "from awk\n");
        let text = "#! /bin/bash -e\necho $((LINENO)); false; echo no\n";
        let (outcome, said) = run(guest, &[script(text, Interpreter::Shebang)]).await;
        assert_eq!((outcome.ends[0].exit, said.out.as_slice()), (Exit::Code(1), b"2\n".as_slice()));
        let dir = tempfile::tempdir().expect("a directory");
        let path = format!("{}/it's a \"dir\"/$x\n/-y", dir.path().display());
        let mut job = Job::sh(1, "pwd; umask; ls -A");
        job.workdir = Some(path.clone());
        assert_eq!(out(guest, job).await, format!("{path}\n0022\n"));
        let text = "cat <<'A'\nVMW_0\n$x\nA\ncat <<B\n$((1 + 1))\nB\nprintf 'no newline at the end'";
        assert_eq!(out(guest, Job::sh(1, text)).await, "VMW_0\n$x\n2\nno newline at the end");
    });
}

#[test]
fn scripts_are_gone_once_read_and_secrets_are_in_no_list() {
    each_shell(async |guest, shell| {
        let work = work(guest).await;
        let secret = format!("s3cr3t-Zq{}-value", shell.number);
        let text = format!(
            "x='{secret}'; echo \"$x\"; ls -la \"$0\" 2>&1 | grep -c 'No such'; grep -rl \"$x\" {work} | grep -v '/[0-9]*[.][0-9]*[.]out$'; \
             for f in /proc/[0-9]*/cmdline /proc/[0-9]*/environ; do tr '\\0' '\\n' <$f; done 2>/dev/null | grep -c \"$x\"; true"
        );
        let mut job = Job::sh(1, text);
        job.secret = true;
        job.capture = true;
        let (outcome, said) = run(guest, &[job]).await;
        let captured = String::from_utf8_lossy(outcome.ends[0].captured.as_deref().expect("captured")).into_owned();
        // The grep that counts is itself the one that has it in its arguments.
        assert!(captured.starts_with(&format!("{secret}\n1\n")), "{}: {captured}", shell.name);
        assert!(captured.lines().skip(2).all(|l| l == "0" || l == "1"), "{}: {captured}", shell.name);
        assert!(said.out.is_empty(), "secret output in events");
    });
}

#[test]
fn unless_and_retries() {
    each_shell(async |guest, shell| {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("count").display().to_string();
        let mut job = Job::sh(1, format!("echo x >>{file}; echo try; [ $(wc -l <{file}) -ge 3 ]"));
        job.retry = 3;
        job.delay = Duration::from_millis(10);
        job.capture = true;
        job.unless = Some(Body::Script { text: "echo hidden; false".into(), interpreter: Interpreter::sh() });
        let (outcome, said) = run(guest, &[job.clone()]).await;
        assert_eq!(
            said.events,
            ["1 begins", "1: attempt 1: exit code 1", "1: attempt 2: exit code 1", "1: exit code 0, true"],
            "{}",
            shell.name
        );
        assert_eq!((outcome.ends[0].attempts, outcome.ends[0].captured.as_deref()), (3, Some(b"try\n".as_slice())));
        assert_eq!(said.out, b"try\ntry\ntry\n");
        job.unless = Some(Body::Exec(vec!["test".into(), "-e".into(), file]));
        let (outcome, said) = run(guest, &[job, Job::sh(2, "true")]).await;
        assert_eq!(outcome.ends[0].exit, Exit::Skipped);
        assert_eq!(said.events, ["1 begins", "1: skipped, true", "2 begins", "2: exit code 0, true"]);
        assert!(said.out.is_empty());
    });
}
