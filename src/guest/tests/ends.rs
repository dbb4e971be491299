//! Jobs and batches that are ended, and those that end as nobody has asked for.

use super::*;

#[test]
fn a_timeout_ends_the_whole_tree() {
    each_shell(async |guest, shell| {
        let mark = format!("98765{}", shell.number);
        // In the foreground; in a session of its own and orphaned; deaf to SIGTERM; without our environment.
        let mut job = Job::sh(
            1,
            format!(
                "(setsid sleep {mark}.1 &) ; (trap '' TERM; sleep {mark}.2) & env -i sleep {mark}.3 & \
                 nohup sh -c 'trap \"\" TERM HUP; while :; do sleep {mark}.4; done' >/dev/null 2>&1 & echo started; sleep {mark}.5"
            ),
        );
        job.timeout = Some(Duration::from_millis(700));
        let began = Instant::now();
        let (outcome, said) = run(guest, &[job]).await;
        assert_eq!(outcome.ends[0].exit, Exit::TimedOut, "{}", shell.name);
        assert_eq!(String::from_utf8_lossy(&said.out), "started\n");
        assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
        assert_eq!(left(&mark), Vec::<String>::new(), "{}", shell.name);
    });
}

#[test]
fn background_processes_hold_nothing_up() {
    each_shell(async |guest, shell| {
        let began = Instant::now();
        // One keeps our files open, one doesn't.
        let text = out(guest, Job::sh(1, "sleep 300.25 & echo $!; sleep 300.25 >/dev/null 2>&1 & echo $!")).await;
        assert!(began.elapsed() < Duration::from_secs(3), "{}: {:?}", shell.name, began.elapsed());
        for pid in text.lines() {
            assert!(fs::metadata(format!("/proc/{pid}")).is_ok(), "{pid} was ended");
            let status = Command::new("kill").arg(pid).status().expect("kill");
            assert!(status.success());
        }
    });
}

#[test]
fn kill_all_ends_what_runs() {
    each_shell(async |guest, shell| {
        let mark = format!("98764{}", shell.number);
        let jobs = [Job::sh(1, format!("(setsid sleep {mark}.1 &); sleep {mark}.2")), Job::sh(2, "true")];
        let (began, begun) = tokio::sync::oneshot::channel();
        let mut began = Some(began);
        {
            let mut on_event = |event| {
                if let Event::Started { .. } = event
                    && let Some(began) = began.take()
                {
                    let _ = began.send(());
                }
            };
            let batch = guest.run_batch(&jobs, &mut on_event);
            tokio::select! {
                _ = batch => panic!("it ended by itself"),
                _ = begun => {}
            }
        }
        guest.kill_all().await.expect("killed");
        assert_eq!(left(&mark), Vec::<String>::new(), "{}", shell.name);
    });
}

#[test]
fn a_vanished_supervisor_is_no_success() {
    each_shell(async |guest, shell| {
        // As a restart of the guest does it: everything is gone at once.
        let work = work(guest).await;
        let jobs = [Job::sh(1, format!("kill -KILL $(cat {work}/b*/pids); sleep 1")), Job::sh(2, "true")];
        let outcome = guest.run_batch(&jobs, &mut |_| {}).await.expect("an end");
        assert_eq!(outcome.ends.len(), 1, "{}", shell.name);
        assert_eq!(outcome.ends[0].exit, Exit::Unknown, "{}", shell.name);
        assert!(!outcome.ends[0].success);
    });
}

#[test]
fn a_batch_cut_short_between_two_jobs_is_no_success() {
    each_shell(async |guest, shell| {
        // Whoever writes the log dies first, so that nobody tells of the end of the first job, which is a success; then the
        // one who would run the second.
        let work = work(guest).await;
        let script = format!(
            "read -r runner scribe <$(echo {work}/b*/pids); kill -KILL $scribe; (sleep 0.2; kill -KILL $runner) & exit 0"
        );
        let jobs = [Job::sh(1, script), Job::sh(2, "sleep 1"), Job::sh(3, "true")];
        let outcome = guest.run_batch(&jobs, &mut |_| {}).await.expect("an end");
        let ends: Vec<_> = outcome.ends.iter().map(|end| (end.id, end.exit)).collect();
        assert_eq!(ends, [(1, Exit::Code(0)), (2, Exit::Unknown)], "{}", shell.name);
        // The same without anybody to end the runner: it must not run on unseen.
        let dir = tempfile::tempdir().expect("a directory");
        let mark = dir.path().join("ran").display().to_string();
        let script = format!("read -r runner scribe <$(echo {work}/b*/pids); kill -KILL $scribe");
        let jobs = [Job::sh(1, script), Job::sh(2, "sleep 4"), Job::sh(3, format!("echo >{mark}"))];
        let outcome = guest.run_batch(&jobs, &mut |_| {}).await.expect("an end");
        assert!(outcome.failed(&jobs).is_some_and(|end| end.exit == Exit::Unknown), "{}", shell.name);
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert!(fs::metadata(&mark).is_err(), "{}", shell.name);
    });
}
