//! The first program in a guest: what it finds, where it works, and that its batch runs once.

use super::*;

/// A guest of another login, whom no shell need know.
fn of_user(shell: &Shell, user: &str, home: &str) -> Guest {
    let login = Login { user: user.to_owned(), ..login() };
    let local = Local { home: Some(home.to_owned()), ..Local::default() };
    Guest::over(Wire::Local(local), &shell.path, &login, Options::default()).expect("a guest")
}

/// The program that begins a batch in a guest of which nothing is known.
fn first_program(guest: &Guest, batch: &Batch) -> Program {
    guest.first_program(None, Some((&batch.text, &batch.jobs))).expect("a program").expect("small")
}

async fn gone(guest: &Guest) {
    let (work, meeting) = (work(guest).await, unix::meeting_place(&guest.state().meeting));
    guest.cleanup().await.expect("cleaned");
    for place in [work, meeting] {
        assert!(fs::metadata(&place).is_err(), "{place} is left");
    }
}

#[test]
fn one_program_looks_and_runs_the_first_batch() {
    each_shell(async |guest, shell| {
        guest.cleanup().await.expect("nothing to do");
        assert_eq!(requests(guest), 0, "nothing is sent before something must be");
        let mut placed = None;
        let batch = guest.prepare(&[Job::sh(1, "echo hello")]).expect("prepared");
        let mut on_event = |event| {
            if let Event::Placed(ticket) = event {
                placed = Some(ticket);
            }
        };
        let outcome = guest.run_prepared(&batch, &mut on_event).await.expect("an end");
        assert_eq!(outcome.ends[0].exit, Exit::Code(0), "{}", shell.name);
        assert_eq!(local(guest).started.load(Ordering::Relaxed), 1);
        let placed = placed.expect("a better ticket");
        assert_eq!((&batch.ticket.work, &batch.ticket.boot), (&None, &None));
        assert_eq!((placed.number, placed.work), (batch.ticket.number, Some(work(guest).await)));
        assert_eq!(placed.boot, Some(guest.boot_id().await.expect("known")));
        assert!(!guest.state().met, "nothing was made below /tmp");
        assert_eq!(local(guest).started.load(Ordering::Relaxed), 1, "all of that was known");
    });
}

#[test]
fn the_work_directory_is_made_where_it_can_be() {
    let odd = tempfile::tempdir().expect("a directory");
    let odd = odd.path().join("it's a \"home\" of $x, ü");
    fs::create_dir(&odd).expect("made");
    let odd = odd.display().to_string();
    with_shells(async |shell| {
        // Its home isn't where we look; it has none; none that can be written.
        for (user, home, inside) in
            [("D\\me", odd.as_str(), Some(odd.as_str())), ("nobody", "", None), ("me@x", "/proc", None)]
        {
            let guest = of_user(shell, user, home);
            assert_eq!(out(&guest, Job::sh(1, "echo \"$USER\"")).await, format!("{user}\n"), "{}", shell.name);
            if inside.is_some() {
                assert_eq!(out(&guest, Job::sh(1, "echo \"$HOME\"; pwd")).await, format!("{home}\n{home}\n"));
            }
            let work = work(&guest).await;
            match inside {
                Some(inside) => assert!(work.starts_with(inside), "{work}"),
                None => assert!(work.starts_with("/var/"), "{work}"),
            }
            gone(&guest).await;
        }
    });
}

#[test]
fn a_full_file_system_is_no_place_to_work() {
    let full = tempfile::tempdir().expect("a directory");
    let mount = |args: &[&str]| Command::new(args[0]).args(&args[1..]).arg(full.path()).status().expect("mount");
    if !mount(&["mount", "-t", "tmpfs", "-o", "size=4k,mode=700", "full"]).success() {
        println!("not tested: no file system can be mounted here");
        return;
    }
    let _ = fs::write(full.path().join("f"), [7; 1 << 20]);
    let home = full.path().display().to_string();
    with_shells(async |shell| {
        let guest = of_user(shell, "me@full", &home);
        assert_eq!(out(&guest, Job::sh(1, "echo hello")).await, "hello\n", "{}", shell.name);
        assert!(work(&guest).await.starts_with("/var/"));
        gone(&guest).await;
    });
    let left = fs::read_dir(full.path()).expect("a list").count();
    assert!(mount(&["umount"]).success());
    assert_eq!(left, 1);
}

#[test]
fn a_first_program_that_is_started_twice_runs_its_batch_once() {
    with_shells(async |shell| {
        let dir = tempfile::tempdir().expect("a directory");
        for user in [me(), "me@elsewhere".to_owned()] {
            let guest = of_user(shell, &user, "");
            // Of its own: one that comes when all has been cleaned up finds nothing that tells it so.
            let count = dir.path().join(&user);
            let jobs = [Job::sh(1, format!("echo x >>{}; sleep 0.5; echo over", count.display()))];
            let batch = guest.prepare(&jobs).expect("prepared");
            let program = first_program(&guest, &batch);
            for _ in 0..4 {
                local(&guest).start(&program).expect("started");
            }
            let outcome = guest.run_prepared(&batch, &mut |_| {}).await.expect("an end");
            assert_eq!(outcome.ends[0].exit, Exit::Code(0), "{}", shell.name);
            assert_eq!(fs::read_to_string(&count).expect("there"), "x\n", "{}", shell.name);
            guest.cleanup().await.expect("cleaned");
        }
    });
}

#[test]
fn a_first_batch_that_was_not_started_never_is_once_somebody_asked() {
    with_shells(async |shell| {
        let dir = tempfile::tempdir().expect("a directory");
        let mark = dir.path().join("ran");
        let guest = fresh(&shell.path, Channel::Auto, Local::default());
        let batch = guest.prepare(&[Job::sh(1, format!("echo x >>{}", mark.display()))]).expect("prepared");
        let program = first_program(&guest, &batch);
        let claim = async |ticket: &Ticket| {
            let claimed =
                Guest::claim(Wire::Local(Local::default()), &shell.path, &login(), Options::default(), ticket).await;
            claimed.expect("attached")
        };
        let attached = claim(&batch.ticket).await;
        assert_eq!(attached.standing, Standing::NeverStarted, "{}", shell.name);
        // Its start arrives late, and is over when it has found what there is.
        let mut child = Command::new(&program.path);
        child.args(["-c", "eval \"$(printf %b \"$(echo \"$VMWBUILD\"|sed 's/,/ /g;s/%/\\\\0/g;s/@/\\\\0012/g')\")\""]);
        child.env_clear().envs(program.env.iter().filter_map(|v| v.split_once('=')));
        child.stderr(Stdio::null());
        assert!(child.status().expect("a shell").success(), "{}", shell.name);
        assert_eq!(out(&attached.guest, Job::sh(1, "echo anew")).await, "anew\n");
        assert!(!mark.exists(), "{}", shell.name);
        attached.guest.cleanup().await.expect("cleaned");
        // A guest that was restarted since may have run it and forgotten.
        let mut ticket = guest.prepare(&[Job::sh(1, "true")]).expect("prepared").ticket;
        ticket.written = 0;
        let attached = claim(&ticket).await;
        assert_eq!(attached.standing, Standing::Lost, "{}", shell.name);
        gone(&attached.guest).await;
    });
}

#[test]
fn what_is_ended_before_anything_is_known_never_starts() {
    with_shells(async |shell| {
        let dir = tempfile::tempdir().expect("a directory");
        let mark = dir.path().join("ran");
        let guest = fresh(&shell.path, Channel::Auto, Local::default());
        let jobs = [Job::sh(1, format!("sleep 98762{}; echo x >>{}", shell.number, mark.display()))];
        for started in [false, true] {
            let batch = guest.prepare(&jobs).expect("prepared");
            guest.state().running = Some((batch.ticket.number, 0));
            guest.state().settled = None;
            let program = first_program(&guest, &batch);
            if started {
                local(&guest).start(&program).expect("started");
                let begun = format!("{}/b{}/pids", guest.family.guess(), batch.ticket.number);
                while fs::metadata(&begun).is_err() && guest.login.user == "root" {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
            guest.kill_all().await.expect("ended");
            let outcome = guest.run_prepared(&batch, &mut |_| {}).await.expect("an end");
            let ends: Vec<_> = outcome.ends.iter().map(|end| end.exit).collect();
            assert_eq!(ends, [Exit::Killed], "{}", shell.name);
            assert_eq!(left(&format!("98762{}", shell.number)), Vec::<String>::new());
        }
        assert!(!mark.exists(), "{}", shell.name);
        // The program that found its batch ended may be on its way still, to remove the place of the last report.
        let meeting = unix::meeting_place(&guest.state().meeting);
        let began = Instant::now();
        while !guest.state().met && fs::metadata(&meeting).is_ok() && began.elapsed() < Duration::from_secs(30) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        gone(&guest).await;
    });
}

#[test]
fn a_first_batch_may_be_larger_than_a_request() {
    each_shell(async |guest, shell| {
        let text = format!("x='{}'; echo ${{#x}}", "a '\\'' ".repeat(20_000));
        assert_eq!(out(guest, Job::sh(1, text)).await, "80000\n", "{}", shell.name);
        let (work, boot) = (work(guest).await, guest.boot_id().await.expect("known"));
        let before = local(guest).started.load(Ordering::Relaxed);
        guest.state().settled = None;
        assert_eq!(out(guest, Job::sh(1, "echo again")).await, "again\n");
        assert_eq!(local(guest).started.load(Ordering::Relaxed), before + 1, "as after a restart");
        let settled = guest.settled().await.expect("known");
        assert_eq!((&settled.facts().work, &settled.facts().boot), (&work, &boot));
    });
}
