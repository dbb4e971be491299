//! Files in and out, other users, and what nobody else may read.

use std::path::Path;
use std::sync::atomic::AtomicU64;

use super::*;

#[test]
fn the_work_directory_is_private() {
    use std::os::unix::fs::PermissionsExt;
    each_shell(async |guest, _| {
        out(guest, Job::sh(1, "true")).await;
        let work = PathBuf::from(work(guest).await);
        let mut todo = vec![work];
        while let Some(path) = todo.pop() {
            let meta = fs::symlink_metadata(&path).expect("there");
            let mode = meta.permissions().mode() & 0o777;
            assert_eq!(mode, if meta.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
            if meta.is_dir() {
                todo.extend(fs::read_dir(&path).expect("a list").map(|e| e.expect("an entry").path()));
            }
        }
    });
}

#[test]
fn another_user_runs_it_and_reads_its_own_script_only() {
    if me() != "root" {
        // Nobody else can become somebody else without a password.
        return;
    }
    each_shell(async |guest, shell| {
        for via in [Via::Auto, Via::Su, Via::Runuser] {
            let mut job = Job::sh(
                1,
                "secret=abc; id -un; echo $HOME $USER $LOGNAME; echo \"${0%/*}\" >&2; ls -ln \"$0\" 2>&1 | grep -c 'No such'; exit 9",
            );
            job.run_as = Some(RunAs { via, ..RunAs::new("nobody") });
            job.env = vec![EnvVar { name: "A".into(), value: vec![EnvPiece::Literal("x y".into())] }];
            job.ok = vec![9];
            let (_, said) = run(guest, &[job]).await;
            let (text, place) = (String::from_utf8_lossy(&said.out), String::from_utf8_lossy(&said.err));
            assert!(place.contains("/.vmwbuild-") && fs::metadata(place.trim()).is_err(), "{place} is left");
            assert_eq!(text, "nobody\n/nonexistent nobody nobody\n1\n", "{} {via:?}", shell.name);
        }
        let mut job = Job::sh(1, "true");
        job.run_as = Some(RunAs::new("no-such-user"));
        let error = guest.run(job).await.map(|end| end.exit).expect_err("no such user");
        assert_eq!(error.to_string(), "user `root` can't run commands as `no-such-user`: the guest has no such user");
        let mut job = Job::sh(1, format!("sleep 87654{}", shell.number));
        job.run_as = Some(RunAs::new("nobody"));
        job.timeout = Some(Duration::from_millis(500));
        let (outcome, _) = run(guest, &[job]).await;
        assert_eq!(outcome.ends[0].exit, Exit::TimedOut);
        assert_eq!(left(&format!("87654{}", shell.number)), Vec::<String>::new());
    });
}

#[test]
fn files_go_in_and_come_out() {
    for (channel, no_transfers) in [(Channel::Auto, false), (Channel::Auto, true), (Channel::Vcenter, false)] {
        each_shell_with(channel, no_transfers, async |guest, shell| {
            let there = tempfile::tempdir().expect("a directory");
            let here = tempfile::tempdir().expect("a directory");
            let root = there.path().display().to_string();
            let big: Vec<u8> = (0..3_000_000u32)
                .flat_map(|n| (n.wrapping_mul(2_654_435_761) >> 13).to_le_bytes())
                // More than goes inline or in a few parts.
                .take(if guest.transfers() { 700_000 } else { 200_000 })
                .collect();
            let local = here.path().join("big");
            fs::write(&local, &big).expect("written");
            let entry = |path: &str, content, mode| CopyEntry { path: format!("{root}/{path}"), content, mode };
            let small = [
                entry("a b/it's \"q\" $x\nü", CopyContent::Bytes(b"one\0two\n\xff".to_vec()), 0o640),
                entry("empty", CopyContent::Bytes(Vec::new()), 0o644),
                entry("dir", CopyContent::Directory, 0o700),
                entry("link", CopyContent::Symlink("a b".into()), 0o777),
            ];
            guest.copy_in(&small, None, None, None).await.expect("copied");
            use std::os::unix::fs::{MetadataExt, PermissionsExt};
            let file = there.path().join("a b/it's \"q\" $x\nü");
            assert_eq!(fs::read(&file).expect("there"), b"one\0two\n\xff", "{}", shell.name);
            assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o640);
            assert_eq!(fs::metadata(there.path().join("empty")).expect("there").len(), 0);
            assert!(there.path().join("link/it's \"q\" $x\nü").exists());
            let large = [
                entry("sub/big", CopyContent::File(local.clone()), 0o755),
                entry("sub", CopyContent::Directory, 0o755),
            ];
            let owner = (me() == "root").then_some("nobody:daemon");
            guest.copy_in(&large, owner, None, None).await.expect("copied");
            assert!(fs::read(there.path().join("sub/big")).expect("there") == big, "{}: {channel:?}", shell.name);
            if owner.is_some() {
                assert_eq!(fs::metadata(there.path().join("sub/big")).expect("there").uid(), 65534);
            }

            let dest = here.path().join("fetched");
            let written = guest.copy_out(&[format!("{root}/empty")], &dest, false, None, None).await.expect("fetched");
            assert_eq!((written, fs::read(&dest).expect("there").len()), (vec![dest.clone()], 0));
            let dest = here.path().join("many");
            let paths = [format!("{root}/a b"), format!("{root}/sub/big")];
            guest.copy_out(&paths, &dest, false, None, None).await.expect("fetched");
            assert!(fs::read(dest.join("big")).expect("there") == big);
            assert_eq!(fs::read(dest.join("a b/it's \"q\" $x\nü")).expect("there"), b"one\0two\n\xff");
            let error = guest.copy_out(&[format!("{root}/none")], &dest, false, None, None).await.expect_err("missing");
            assert_eq!(error.to_string(), format!("can't copy `{root}/none`: {root}/none: no such file or directory"));

            assert!(guest.file_exists(&format!("{root}/empty")).await.expect("asked"));
            guest.delete(&format!("{root}/empty")).await.expect("deleted");
            assert!(!guest.file_exists(&format!("{root}/empty")).await.expect("asked"));
            assert_eq!(
                guest.read_file(&format!("{root}/link/it's \"q\" $x\nü"), 100, None).await.expect("read"),
                b"one\0two\n\xff"
            );
        });
    }
}

/// Names in a directory that begin with a dot.
fn hidden(directory: &Path) -> Vec<String> {
    let names = fs::read_dir(directory).expect("a directory").map(|e| e.expect("an entry").file_name());
    names.map(|n| n.to_string_lossy().into_owned()).filter(|n| n.starts_with('.')).collect()
}

/// What is large needs room on the file system that it is for, and no second copy there if it is one file.
#[test]
fn large_files_arrive_where_they_go() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    each_shell(async |guest, shell| {
        let (there, here) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        let there = there.path();
        let local = here.path().join("big");
        let big: Vec<u8> = (0..9u32 << 18).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        fs::write(&local, &big).expect("written");
        let then = std::time::UNIX_EPOCH + Duration::from_secs(1_234_567_890);
        fs::File::options().append(true).open(&local).and_then(|f| f.set_modified(then)).expect("an old one");
        let entry = |path: &Path, content| CopyEntry { path: path.display().to_string(), content, mode: 0o4751 };
        let file = || CopyContent::File(local.clone());
        let owner = (me() == "root").then_some("nobody:daemon");

        let dest = there.join("a 'b\nü/sub/big");
        guest.copy_in(&[entry(&dest, file())], owner, None, None).await.expect("copied");
        let check = |path: &Path| {
            let meta = fs::symlink_metadata(path).expect("there");
            assert!(meta.is_file() && fs::read(path).expect("read") == big, "{}: {}", shell.name, path.display());
            assert_eq!((meta.permissions().mode() & 0o7777, meta.mtime()), (0o4751, 1_234_567_890), "{}", shell.name);
            meta
        };
        let meta = check(&dest);
        if owner.is_some() {
            assert_eq!(meta.uid(), 65534);
        }
        let parent = fs::metadata(there.join("a 'b\nü")).expect("made");
        assert_eq!((parent.permissions().mode() & 0o777, hidden(dest.parent().expect("one"))), (0o755, vec![]));

        let small = there.join("small");
        guest.copy_in(&[entry(&small, CopyContent::Bytes(b"x".to_vec()))], owner, None, None).await.expect("copied");
        assert_eq!(fs::metadata(small).expect("there").permissions().mode() & 0o7777, 0o4751, "{}", shell.name);

        // A link is replaced, as a file is, and a directory is not.
        let link = there.join("link");
        std::os::unix::fs::symlink(dest.parent().expect("one"), &link).expect("a link");
        for _ in 0..2 {
            guest.copy_in(&[entry(&link, file())], None, None, None).await.expect("copied");
            check(&link);
        }
        fs::create_dir(there.join("dir")).expect("made");
        let error = guest.copy_in(&[entry(&there.join("dir"), file())], None, None, None).await.expect_err("refused");
        let path = there.join("dir").display().to_string();
        assert_eq!(error.to_string(), format!("can't copy `{path}`: {path}: is a directory"), "{}", shell.name);
        assert_eq!((hidden(there), hidden(&there.join("dir"))), (vec![], vec![]), "{}", shell.name);

        // Back, by a name that is longer than a header's, and through a link.
        let long = there.join("n".repeat(200));
        fs::rename(&dest, &long).expect("renamed");
        std::os::unix::fs::symlink(&long, there.join("to-it")).expect("a link");
        for (at, path) in [&long, &there.join("to-it")].into_iter().enumerate() {
            let to = here.path().join(format!("back-{at}"));
            let paths = [path.display().to_string()];
            let told = Arc::new(AtomicU64::new(0));
            let moved: OnMoved = {
                let told = told.clone();
                Arc::new(move |moved, _| told.store(moved, Ordering::Relaxed))
            };
            guest.copy_out(&paths, &to, false, None, Some(moved)).await.expect("fetched");
            assert!(fs::read(&to).expect("there") == big, "{}", shell.name);
            let meta = fs::metadata(&to).expect("there");
            assert_eq!((meta.permissions().mode() & 0o777, meta.mtime()), (0o751, 1_234_567_890), "{}", shell.name);
            // What isn't a file is packed, which shows by its size.
            assert_eq!(told.load(Ordering::Relaxed) == big.len() as u64, at == 0, "{}", shell.name);
        }
        assert_eq!(hidden(here.path()), Vec::<String>::new());
        // Several are an archive, which is there, too, for as long as it is unpacked.
        let many = there.join("many");
        let entries = [entry(&many, CopyContent::Directory), entry(&many.join("big"), file())];
        guest.copy_in(&entries, owner, None, None).await.expect("copied");
        check(&many.join("big"));
        assert_eq!((hidden(there), hidden(&many)), (vec![], vec![]), "{}", shell.name);
    });
}

/// Whoever is interrupted while something arrives, or killed, or has to try again.
#[test]
fn what_has_arrived_for_nobody_goes() {
    with_shells(async |shell| {
        let there = tempfile::tempdir().expect("a directory");
        let dest = there.path().join("big").display().to_string();
        let name = format!("landed-{}-{}", std::process::id(), shell.number);
        let open = || {
            let options = Options { name: Some(name.clone()), ..Options::default() };
            Guest::over(Wire::Local(Local::default()), &shell.path, &login(), options).expect("a guest")
        };
        let killed = open();
        let landed = killed.land(1, &dest).await.expect("asked").expect("it can");
        fs::write(&landed.file, "half of it").expect("written");
        assert_eq!(hidden(there.path()).len(), 1, "{}", shell.name);
        let again = killed.land(2, &dest).await.expect("asked").expect("it can");
        assert!(fs::metadata(&landed.file).is_err() && hidden(there.path()).len() == 1, "{}", shell.name);
        drop(killed);
        let guest = open();
        guest.look().await.expect("it tells what it has");
        assert_eq!(hidden(there.path()).len(), 0, "{}: {}", shell.name, again.file);
        guest.land(3, &dest).await.expect("asked").expect("it can");
        guest.cleanup().await.expect("cleaned");
        assert_eq!(hidden(there.path()).len(), 0, "{}", shell.name);
    });
}
