//! Output, listed and transferred.

use super::*;

#[test]
fn output_is_binary_safe_and_live() {
    each_shell(async |guest, shell| {
        let script = "i=0; while [ $i -lt 256 ]; do printf \"\\\\$(printf %03o $i)\"; i=$((i + 1)); done";
        let (_, said) = run(guest, &[Job::sh(1, script)]).await;
        assert_eq!(said.out, (0..=255).collect::<Vec<u8>>(), "{}", shell.name);
        // The first line arrives while the job waits for us to have it.
        let dir = tempfile::tempdir().expect("a directory");
        let go = dir.path().join("go");
        let text = format!("echo early; until [ -e {} ]; do sleep 0.05; done; echo late", go.display());
        let mut job = Job::sh(1, text);
        job.timeout = Some(Duration::from_secs(30));
        let mut all = Vec::new();
        let mut on_event = |event| {
            if let Event::Output { bytes, .. } = event {
                all.extend(bytes);
                fs::write(&go, "").expect("written");
            }
        };
        let outcome = guest.run_batch(&[job], &mut on_event).await.expect("it runs");
        assert_eq!(outcome.ends[0].exit, Exit::Code(0), "{}", shell.name);
        assert_eq!(all, b"early\nlate\n");
    });
}

#[test]
fn fifty_megabytes_come_whole_by_transfers_and_abridged_without() {
    use sha2::{Digest, Sha256};
    let script = "head -c 52428800 /dev/zero | tr '\\0' 'x'; echo; echo the end";
    each_shell(async |guest, shell| {
        let (mut size, mut digest) = (0, Sha256::new());
        let mut largest = 0;
        guest
            .run_batch(&[Job::sh(1, script)], &mut |event| {
                if let Event::Output { bytes, .. } = event {
                    size += bytes.len();
                    largest = largest.max(bytes.len());
                    digest.update(&bytes);
                }
            })
            .await
            .expect("it runs");
        assert_eq!(size, 52_428_800 + 9, "{}", shell.name);
        let mut want = Sha256::new();
        want.update(vec![b'x'; 52_428_800]);
        want.update(b"\nthe end\n");
        assert_eq!(digest.finalize(), want.finalize());
        assert!(largest <= 65536);
    });
    each_shell_with(Channel::Vcenter, false, async |guest, _| {
        let (_, said) = run(guest, &[Job::sh(1, script)]).await;
        assert_eq!(said.out.len() as u64 + said.omitted, 52_428_800 + 9);
        assert!(said.out.ends_with(b"x\nthe end\n"));
        assert!(said.out.len() < 400_000, "{}", said.out.len());
    });
}

#[test]
fn captures_are_whole_up_to_a_mebibyte() {
    for (channel, no_transfers) in [(Channel::Auto, false), (Channel::Auto, true), (Channel::Vcenter, false)] {
        each_shell_with(channel, no_transfers, async |guest, shell| {
            let mut job = Job::sh(1, "head -c 1048576 /dev/zero | tr '\\0' k");
            job.capture = true;
            job.secret = true;
            let (outcome, said) = run(guest, &[job]).await;
            let captured = outcome.ends[0].captured.clone().expect("captured");
            assert!(captured == vec![b'k'; 1 << 20], "{} {channel:?}: {} bytes", shell.name, captured.len());
            assert!(said.out.is_empty());
        });
    }
}

#[test]
fn what_is_too_large_to_be_captured_is_noticed_in_the_guest() {
    each_shell(async |guest, shell| {
        // It would go on for a minute, and the next job for ever.
        let mark = format!("98763{}", shell.number);
        let mut job = Job::sh(1, format!("head -c 1048577 /dev/zero | tr '\\0' k; sleep {mark}.1"));
        (job.capture, job.secret) = (true, true);
        let before = requests(guest);
        let began = Instant::now();
        let jobs = [job, Job::sh(2, format!("sleep {mark}.2"))];
        let error = guest.run_batch(&jobs, &mut |_| {}).await.err().expect("too large");
        assert!(matches!(error, Error::TooLarge { .. }), "{error}");
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
        // Nothing of it was listed: that would be a hundred times as many.
        assert!(requests(guest) - before < 40, "{} requests", requests(guest) - before);
        assert_eq!(left(&mark), Vec::<String>::new(), "{}", shell.name);
        assert_eq!(out(guest, Job::sh(3, "echo next")).await, "next\n");
    });
}

#[test]
fn a_long_batch_costs_few_requests() {
    each_shell(async |guest, shell| {
        let jobs: Vec<Job> = (0..100).map(|n| Job::sh(n, format!("echo {n}"))).collect();
        let before = requests(guest);
        let began = Instant::now();
        let (outcome, said) = run(guest, &jobs).await;
        let requests = requests(guest) - before;
        assert_eq!(outcome.ends.len(), 100);
        assert_eq!(said.out, (0..100).map(|n| format!("{n}\n")).collect::<String>().into_bytes());
        // So many that a slow machine must not have more of them for it than a few a second.
        let most = 20.0 + began.elapsed().as_secs_f64() * 7.0;
        assert!((requests as f64) < most, "{}: {requests} requests in {:?}", shell.name, began.elapsed());
    });
}
