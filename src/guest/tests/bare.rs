//! Guests that have little more than a shell.

use super::*;

/// A directory of programs as in a guest without base64, openssl and setsid, whose `sleep` takes whole seconds only.
fn few_programs() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    for from in ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"] {
        for entry in fs::read_dir(from).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if !["base64", "openssl", "setsid", "sleep"].iter().any(|left_out| *left_out == name) {
                // Most are in several of them.
                let _ = std::os::unix::fs::symlink(entry.path(), dir.path().join(name));
            }
        }
    }
    let sleep = dir.path().join("sleep");
    fs::write(&sleep, "#!/bin/sh\ncase $1 in *.*) exit 1 ;; esac\nexec /bin/sleep \"$1\"\n").expect("written");
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(&sleep, fs::Permissions::from_mode(0o755)).expect("set");
    dir
}

#[test]
fn a_guest_without_base64_setsid_and_short_pauses_does_too() {
    let programs = few_programs();
    with_shells(async |shell| {
        let path = Some(programs.path().display().to_string());
        let new = || {
            let local = Local { no_transfers: true, path: path.clone(), ..Local::default() };
            fresh(&shell.path, Channel::Auto, local)
        };
        let guest = new();
        let mark = format!("97531{}", shell.number);
        let mut timed = Job::sh(2, format!("sleep {mark}.1 & sleep {mark}.2"));
        timed.timeout = Some(Duration::from_millis(500));
        let jobs = [Job::sh(1, "printf 'a\\000\\377\\\\ %%d'; echo \"it's\" >&2"), timed];
        let (outcome, said) = run(&guest, &jobs).await;
        assert_eq!((said.out.as_slice(), said.err.as_slice()), (b"a\0\xff\\ %d".as_slice(), b"it's\n".as_slice()));
        assert_eq!(outcome.ends[1].exit, Exit::TimedOut, "{}", shell.name);
        assert_eq!(left(&mark), Vec::<String>::new());
        // Busybox finds its own first.
        let found = guest.settled().await.expect("known").facts().decoder;
        assert_eq!(found == family::Decoder::None, shell.name != "busybox");
        guest.cleanup().await.expect("cleaned");
        let there = tempfile::tempdir().expect("a directory");
        let path = there.path().join("f");
        // The first of them is refused by a guest that was believed to have a decoder.
        let guest = new();
        for size in [3000, 200_000] {
            let content: Vec<u8> = (0..=255).cycle().take(size).collect();
            let entry = CopyEntry {
                path: path.display().to_string(),
                content: CopyContent::Bytes(content.clone()),
                mode: 0o644,
            };
            guest.copy_in(&[entry], None, None, None).await.expect("copied");
            assert!(fs::read(&path).expect("there") == content, "{} {size}", shell.name);
        }
        guest.cleanup().await.expect("cleaned");
    });
}
