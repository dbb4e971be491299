//! Batches that one process starts and another one goes on with.

use super::*;

/// A batch that somebody else has started, as he would see it who comes after.
async fn come_after(shell: &Shell, ticket: &Ticket) -> Attached {
    let options = Options { grace: Duration::from_secs(1), ..Options::default() };
    let attached = Guest::claim(Wire::Local(Local::default()), &shell.path, &login(), options, ticket).await;
    let attached = attached.expect("attached");
    // Many are not cleaned up after, since the work directory is to be looked at once more.
    fs::remove_dir_all(unix::meeting_place(&attached.guest.state().meeting)).expect("removed");
    attached.guest.state().met = false;
    attached
}

/// All that [`Guest::follow`] says.
async fn follow(guest: &Guest, ticket: &Ticket, from: usize) -> (BatchOutcome, Vec<u8>, Vec<String>) {
    let (mut out, mut events) = (Vec::new(), Vec::new());
    let outcome = guest
        .follow(ticket, from, &mut |event| match event {
            Event::Output { bytes, .. } => out.extend(bytes),
            Event::Finished { id, exit, .. } => events.push(format!("{id}: {exit}")),
            Event::Started { id } => events.push(format!("{id} begins")),
            _ => {}
        })
        .await
        .expect("an end");
    (outcome, out, events)
}

/// Starts a batch and is gone as soon as its first job has begun; what is left is its ticket, as it was written down.
async fn begin_and_vanish(shell: &Shell, jobs: &[Job]) -> (Guest, Ticket) {
    let guest = fresh(&shell.path, Channel::Auto, Local::default());
    let batch = guest.prepare(jobs).expect("prepared");
    let written = serde_json::to_string(batch.ticket()).expect("written");
    let (began, begun) = tokio::sync::oneshot::channel();
    let mut began = Some(began);
    let mut on_event = |event| {
        if let Event::Started { .. } = event
            && let Some(began) = began.take()
        {
            let _ = began.send(());
        }
    };
    tokio::select! {
        _ = guest.run_prepared(&batch, &mut on_event) => panic!("it ended by itself"),
        _ = begun => {}
    }
    (guest, serde_json::from_str(&written).expect("read"))
}

#[test]
fn another_process_goes_on_with_a_batch() {
    each_shell(async |other, shell| {
        let dir = tempfile::tempdir().expect("a directory");
        let (count, go) = (dir.path().join("count").display().to_string(), dir.path().join("go"));
        let mut waits = Job::sh(
            11,
            format!("echo x >>{count}; echo one; until [ -e {} ]; do sleep 0.1; done; echo two; exit 4", go.display()),
        );
        waits.ok = vec![4];
        let mut secret = Job::sh(12, "echo hidden-Zq7");
        (secret.capture, secret.secret) = (true, true);
        let jobs = [waits, secret, Job::sh(13, "echo three; exit 9")];
        let (before, ticket) = begin_and_vanish(shell, &jobs).await;
        assert!(!serde_json::to_string(&ticket).expect("written").contains("hidden"));
        // While it runs, and once more when it is over.
        let attached = come_after(shell, &ticket).await;
        assert_eq!(attached.standing, Standing::Begun, "{}", shell.name);
        fs::write(&go, "").expect("written");
        let all = ["11 begins", "11: exit code 4", "12 begins", "12: exit code 0", "13 begins", "13: exit code 9"];
        for from in [0, 0, 1] {
            let (outcome, out, events) = follow(&attached.guest, &ticket, from).await;
            assert_eq!(events, all[from * 2..], "{}", shell.name);
            assert_eq!(String::from_utf8_lossy(&out), if from == 0 { "one\ntwo\nthree\n" } else { "three\n" });
            assert_eq!(outcome.ends[1 - from].captured.as_deref(), Some(b"hidden-Zq7\n".as_slice()));
            assert_eq!(outcome.failed(&jobs).map(|end| end.id), Some(13));
        }
        // All told before, its failure too: nothing is made up.
        assert_eq!(follow(&attached.guest, &ticket, 3).await.0.ends.len(), 0);
        assert_eq!(fs::read_to_string(&count).expect("there"), "x\n", "it ran once");
        // The next batch is another one, though both begin to count anew.
        assert_eq!(out(&attached.guest, Job::sh(1, "echo next")).await, "next\n");
        attached.guest.cleanup().await.expect("cleaned");
        assert!(fs::metadata(&work(&before).await).is_err());
        assert_eq!(out(other, Job::sh(1, "echo the other")).await, "the other\n");
    });
}

#[test]
fn what_was_not_started_never_is_once_somebody_asked() {
    each_shell(async |guest, shell| {
        let dir = tempfile::tempdir().expect("a directory");
        let mark = dir.path().join("ran");
        guest.look().await.expect("known");
        let batch = guest.prepare(&[Job::sh(1, format!("echo x >>{}", mark.display()))]).expect("prepared");
        let ticket = batch.ticket().clone();
        for _ in 0..2 {
            let attached = come_after(shell, &ticket).await;
            assert_eq!(attached.standing, Standing::NeverStarted, "{}", shell.name);
            // Its start arrives late, as one that was on its way when its sender was ended.
            let settled = guest.settled().await.expect("known");
            let program = settled.start(&settled.whole(&batch.text, None)).expect("small");
            let mut child = Command::new(&program.path);
            child.args(["-c", "eval \"$(echo \"$VMWBUILD\"|base64 -d)\""]).env_clear();
            child.envs(program.env.iter().filter_map(|v| v.split_once('=')));
            assert!(child.status().expect("a shell").success());
            local(guest).start(&program).expect("started");
        }
        let attached = come_after(shell, &ticket).await;
        assert_eq!(out(&attached.guest, Job::sh(1, "echo anew")).await, "anew\n");
        assert!(!mark.exists(), "{}", shell.name);
        fs::remove_dir_all(&work(guest).await).expect("removed");
        let mut batch = guest.prepare(&[Job::sh(1, "true")]).expect("prepared");
        assert_eq!(come_after(shell, batch.ticket()).await.standing, Standing::Lost, "{}", shell.name);
        assert_eq!(come_after(shell, batch.ticket()).await.standing, Standing::Lost, "{}", shell.name);
        // Not there, and the guest was restarted since.
        batch.ticket.boot = Some("another".to_owned());
        batch.ticket.number += 1;
        assert_eq!(come_after(shell, batch.ticket()).await.standing, Standing::Lost, "{}", shell.name);
        batch.ticket.user = "nobody".to_owned();
        let refused =
            Guest::claim(Wire::Local(Local::default()), &shell.path, &guest.login, Options::default(), batch.ticket())
                .await;
        assert!(matches!(refused, Err(Error::OtherLogin { .. })));
    });
}

#[test]
fn what_is_ended_before_it_starts_never_does() {
    each_shell(async |guest, shell| {
        let dir = tempfile::tempdir().expect("a directory");
        let mark = dir.path().join("ran");
        let jobs = [Job::sh(1, format!("echo x >>{}", mark.display()))];
        let batch = guest.prepare(&jobs).expect("prepared");
        guest.state().running = Some((batch.ticket.number, 0));
        let began = Instant::now();
        guest.kill_all().await.expect("ended");
        assert!(began.elapsed() < Duration::from_secs(8), "{}: {:?}", shell.name, began.elapsed());
        let outcome = guest.run_prepared(&batch, &mut |_| {}).await.expect("an end");
        assert_eq!(outcome.ends.iter().map(|end| end.exit).collect::<Vec<_>>(), [Exit::Killed], "{}", shell.name);
        assert!(!mark.exists(), "{}", shell.name);
    });
}

#[test]
fn a_batch_that_died_with_its_boot_says_where() {
    each_shell(async |_, shell| {
        let dir = tempfile::tempdir().expect("a directory");
        let begun = dir.path().join("begun");
        let jobs = [
            Job::sh(1, "sleep 0.3; echo first"),
            Job::sh(2, format!("echo second; echo >{}; sleep 20", begun.display())),
            Job::sh(3, "echo third"),
        ];
        let (before, ticket) = begin_and_vanish(shell, &jobs).await;
        while !begun.exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let batch = PathBuf::from(&work(&before).await).join(format!("b{}", ticket.number));
        // As after a restart: nobody is left, and the boot is another one.
        let pids = fs::read_to_string(batch.join("pids")).expect("there");
        Command::new("kill").arg("-KILL").args(pids.split_whitespace()).status().expect("kill");
        fs::write(batch.join("boot"), "another\n").expect("written");
        let attached = come_after(shell, &ticket).await;
        assert_eq!(attached.standing, Standing::Restarted, "{}", shell.name);
        let (outcome, _, events) = follow(&attached.guest, &ticket, 0).await;
        assert_eq!(events.last().map(String::as_str), Some("2: ended without a trace"), "{}: {events:?}", shell.name);
        assert_eq!(outcome.failed(&jobs).map(|end| end.id), Some(2));
        attached.guest.cleanup().await.expect("cleaned");
    });
}

/// A process that is killed when it has only looked has told nobody where the guest was to report.
#[test]
fn the_next_process_removes_where_one_before_was_reported_to() {
    with_shells(async |shell| {
        let name = format!("looked-{}-{}", std::process::id(), shell.number);
        let look = async || {
            let options = Options { name: Some(name.clone()), ..Options::default() };
            let guest = Guest::over(Wire::Local(Local::default()), &shell.path, &login(), options).expect("a guest");
            guest.look().await.expect("it tells what it has");
            let meeting = unix::meeting_place(&guest.state().meeting);
            assert!(fs::metadata(&meeting).is_ok(), "{}: {meeting}", shell.name);
            (guest, meeting)
        };
        let (killed, before) = look().await;
        drop(killed);
        let (guest, own) = look().await;
        assert!(fs::metadata(&before).is_err(), "{}: {before} is left", shell.name);
        guest.cleanup().await.expect("cleaned");
        assert!(fs::metadata(&own).is_err(), "{}: {own} is left", shell.name);
    });
}
