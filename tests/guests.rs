//! Guests that truly run. What needs root or an ordinary user says so; everything else runs as whoever starts it.
#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use vmwbuild::sandbox::guests::{
    BootSpec, Config, Ended, Error, ExecSpec, Exit, Facts, FileKind, Guest, Guests, Ids, LayerId, Limit, NewName, Parent,
    TemplateSource,
};

/// The program to re-execute; another copy where this user can't read the one that cargo built.
fn program() -> PathBuf {
    std::env::var_os("VMWBUILD_TEST_PROGRAM").map_or_else(|| env!("CARGO_BIN_EXE_vmwbuild").into(), PathBuf::from)
}

fn config() -> Config {
    Config {
        executable: Some(program()),
        single_id: std::env::var_os("VMWBUILD_TEST_SINGLE_ID").is_some(),
        ..Config::default()
    }
}

async fn with_host() -> Guests {
    let guests = Guests::start(config()).await.unwrap();
    guests.add_template("linux", TemplateSource::Host).await.unwrap();
    guests
}

fn linux() -> Parent {
    Parent::Template("linux".to_owned())
}

async fn boot(guests: &Guests) -> Guest {
    let layer = guests.new_layer(linux()).await.unwrap();
    guests.boot(layer, BootSpec::default()).await.unwrap()
}

/// A shell's output (both streams) and how it ended.
async fn sh_as(guest: &Guest, user: &str, script: &str) -> (String, Exit) {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let output = File::from(OwnedFd::from(writer));
    let spec = ExecSpec {
        program: "/bin/sh".to_owned(),
        argv: vec!["sh".to_owned(), "-c".to_owned(), script.to_owned()],
        env: vec![("PATH".to_owned(), "/usr/sbin:/usr/bin:/sbin:/bin".to_owned())],
        user: user.to_owned(),
        stderr: Some(output.try_clone().unwrap()),
        stdout: Some(output),
        ..ExecSpec::default()
    };
    let process = guest.exec(spec).await.unwrap();
    let text = tokio::task::spawn_blocking(move || {
        let mut text = Vec::new();
        reader.read_to_end(&mut text).unwrap();
        String::from_utf8_lossy(&text).into_owned()
    });
    let text = text.await.unwrap();
    (text, process.wait().await)
}

async fn sh(guest: &Guest, script: &str) -> (String, Exit) {
    sh_as(guest, "", script).await
}

async fn ok(guest: &Guest, script: &str) -> String {
    let (text, exit) = sh(guest, script).await;
    assert_eq!(exit, Exit::Code(0), "`{script}` said: {text}");
    text
}

#[tokio::test]
async fn runs_a_program_and_tells_its_output_and_end() {
    let guests = with_host().await;
    let guest = boot(&guests).await;
    assert_eq!(sh(&guest, "echo out; echo err >&2; exit 7").await, ("out\nerr\n".to_owned(), Exit::Code(7)));
    assert_eq!(sh(&guest, "kill -9 $$").await.1, Exit::Signal(9));
    assert_eq!(ok(&guest, "id -u; pwd").await, "0\n/root\n");
    guest.stop().await.unwrap();
    assert_eq!(guest.has_ended(), Some(Ended::Stopped));
    guests.close().await;
}
