//! Windows guests, by the real binary on the sandbox, whose guests are taken for Windows there: what drives them is proven,
//! not how Windows behaves. And the scripts that are sent, by a grammar of PowerShell that others wrote.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // a test may

mod common;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use common::{DEADLINE, Run, context, run, vmwbuild};

/// Builds the file in `dir` on a sandbox with a template `win`.
fn build(dir: &Path, args: &[&str]) -> Run {
    let mut all = vec!["build", "--sandbox", "--sandbox-template", "win=windows", "--progress", "plain"];
    all.extend(["--color", "never", "--allow", "secret-in-plain-text", "."]);
    all.extend(args);
    run(vmwbuild(dir).args(all), DEADLINE)
}

fn built(text: &str) -> Run {
    let dir = context(&[("VMWfile", text)]);
    let done = build(dir.path(), &[]);
    assert_eq!(done.code, Some(0), "{done}");
    done
}

const HEAD: &str = "FROM --os=windows win AS a\nOUTPUT NONE\nLOGIN Administrator PASSWORD correct-horse\n";

/// What the guest has printed, line by line.
fn printed(done: &Run) -> Vec<String> {
    let lines = done.stderr().lines().chain(done.stdout().lines()).map(str::to_owned).collect::<Vec<_>>();
    lines.iter().filter_map(|line| line.split_once("  | ").map(|(_, said)| said.trim_end().to_owned())).collect()
}

#[test]
fn values_stay_values() {
    let hostile = "a'b\\\"c$(exit 9)`n;exit 8 #\u{2019} ${env:X}";
    let text = format!(
        "ARG v = \"{hostile}\"\n{HEAD}ENV IN=${{{{ v }}}}\n\
         RUN Write-Output ${{{{ v }}}}; Write-Output \"<${{{{ v }}}}>\"; Write-Output $env:IN\n\
         RUN <<EOF\n$x = @\"\n[${{{{ v }}}}]\n\"@\nWrite-Output $x\nEOF\n"
    );
    let done = built(&text);
    let value = hostile.replace("\\\"", "\"");
    let expected = [value.clone(), format!("<{value}>"), value.clone(), format!("[{value}]")];
    assert_eq!(printed(&done), expected, "{done}");
}

#[test]
fn commands_end_as_they_say() {
    let done = built(&format!(
        "{HEAD}RUN --ok=7 sandbox-exit 7\nRUN --ok=3010 [\"sandbox-exit\", \"3010\"]\n\
         RUN --allow-failure throw 'a mistake'\nRUN --allow-failure Get-Nothing\n\
         RUN --unless=\"exit 0\" exit 5\nRUN --retry=2 --delay=10ms <<EOF\n\
         Add-Content C:\\n.txt x\nif (@(Get-Content C:\\n.txt).Count -lt 3) {{ exit 1 }}\nWrite-Output third\nEOF\n\
         SHELL cmd\nRUN --ok=3010 exit /b 3010\nRUN echo out&& echo err 1>&2\nRUN --ok=9009 nothing-here\n"
    ));
    let said = printed(&done).join("\n");
    for text in ["a mistake", "The term 'Get-Nothing' is not recognized", "third", "out", "err"] {
        assert!(said.contains(text), "no {text:?} in {done}");
    }
    let dir = context(&[("VMWfile", &format!("{HEAD}RUN sandbox-exit 12; Write-Output later\n"))]);
    let failed = build(dir.path(), &[]);
    assert_eq!(failed.code, Some(5), "{failed}");
    assert!(failed.stderr().contains("exit code 12"), "{failed}");
}

#[test]
fn surroundings_and_keys() {
    let done = built(&format!(
        "{HEAD}WORKDIR C:\\Work\nENV A=one B=${{{{ \"two \" + \"words\" }}}} PATH=$PATH;C:\\Tools\n\
         RUN Write-Output $env:A $env:B (Get-Location).Path $env:USERNAME; Write-Output $env:PATH.EndsWith(';C:\\Tools')\n\
         KEY n: int FROM RUN Write-Output 42\nKEY text FROM RUN Write-Output 'grün'\nRUN Set-Content f.txt 'from a file'\n\
         KEY file FROM FILE c:\\WORK\\F.TXT DELETE\n\
         RUN Write-Output \"${{{{ n + 1 }}}} ${{{{ text }}}} ${{{{ file }}}} $(Test-Path f.txt)\"\n\
         RUN [Environment]::SetEnvironmentVariable('SET', 'by an installer', 'Machine')\nRUN Write-Output $env:SET\n"
    ));
    let said = printed(&done);
    let expected = ["one", "two words", "C:\\Work", "Administrator", "True"];
    assert_eq!(said.get(..5).unwrap(), expected, "{done}");
    assert!(said.contains(&"43 grün from a file False".to_owned()), "{done}");
    assert_eq!(said.last().unwrap(), "by an installer", "{done}");
}

#[test]
fn old_output_becomes_text() {
    // 0x81 is ü where consoles have code page 850, and no UTF-8.
    let done = built(&format!(
        "{HEAD}RUN <<EOF\n$out = [Console]::OpenStandardOutput()\n\
         $bytes = [Convert]::FromBase64String('Z3KBbg0K')\n$out.Write($bytes, 0, $bytes.Length)\nEOF\n"
    ));
    assert_eq!(printed(&done), ["grün"], "{done}");
}

#[test]
fn files_go_both_ways() {
    let long = format!("deep/{}/x.txt", "d".repeat(120));
    let dir = context(&[("tree/a.txt", "a"), ("tree/sub/empty", ""), (&format!("tree/{long}"), "far")]);
    let big: Vec<u8> = (0..700_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    fs::write(dir.path().join("tree/big.bin"), &big).unwrap();
    let text = format!(
        "{HEAD}WORKDIR C:\\Data\nCOPY tree C:\\Data\\tree\nCOPY tree/a.txt sub\\b.txt\nCOPY <<EOF C:\\Data\\\nx\nEOF\n\
         RUN Write-Output (Get-Content tree\\sub\\empty).Length (Get-Content C:\\Data\\sub\\b.txt)\n\
         FETCH C:\\Data\\tree back/\nFETCH tree\\big.bin big.bin\nFETCH C:\\Data\\sub\\b.txt b.txt\n"
    );
    fs::write(dir.path().join("VMWfile"), text.replace("COPY <<EOF C:\\Data\\\n", "COPY <<EOF C:\\Data\\c.txt\n"))
        .unwrap();
    for channel in ["auto", "vcenter"] {
        let done = build(dir.path(), &["--guest-channel", channel]);
        assert_eq!(done.code, Some(0), "{done}");
        let back = dir.path().join("back/tree");
        assert_eq!(fs::read(back.join("big.bin")).unwrap(), big);
        assert_eq!(fs::read(dir.path().join("big.bin")).unwrap(), big);
        assert_eq!(fs::read_to_string(back.join(&long)).unwrap(), "far");
        assert_eq!(fs::read_to_string(back.join("sub/empty")).unwrap(), "");
        assert_eq!(fs::read_to_string(dir.path().join("b.txt")).unwrap(), "a");
        fs::remove_dir_all(dir.path().join("back")).unwrap();
    }
}

#[test]
fn much_output_comes_whole_and_while_it_runs() {
    let script = "for ($i = 1; $i -le 30000; $i += 1) { Write-Output \"line $i\" }";
    for channel in ["auto", "vcenter"] {
        let dir = context(&[("VMWfile", &format!("{HEAD}RUN {script}\n"))]);
        let done = build(dir.path(), &["--guest-channel", channel]);
        let said = printed(&done);
        assert_eq!((said.first().unwrap().as_str(), said.last().unwrap().as_str()), ("line 1", "line 30000"), "{done}");
        if channel == "auto" {
            assert_eq!(said.len(), 30000);
        }
    }
    let dir = context(&[("VMWfile", &format!("{HEAD}RUN Write-Output first; Start-Sleep 300\n"))]);
    let began = Instant::now();
    let text = fs::read_to_string(dir.path().join("VMWfile")).unwrap();
    fs::write(dir.path().join("VMWfile"), text.replace("RUN ", "RUN --timeout=3s ")).unwrap();
    let done = build(dir.path(), &[]);
    assert_eq!(printed(&done), ["first"], "{done}");
    assert_eq!(done.code, Some(5), "{done}");
    assert!(done.stderr().contains("timed out"), "{done}");
    assert!(began.elapsed() < Duration::from_secs(60), "the command was waited for");
}

#[test]
fn a_timeout_ends_all_that_was_started() {
    // What the step has started would go on writing.
    let done = built(&format!(
        "{HEAD}RUN --allow-failure --timeout=1s <<EOF\n\
         powershell -Command \"while (1 -eq 1) {{ Add-Content C:\\beat.txt x; Start-Sleep -Milliseconds 20 }}\"\nEOF\n\
         RUN <<EOF\n$before = (Get-ChildItem C:\\beat.txt).Length\nStart-Sleep -Milliseconds 300\n\
         Write-Output ($before -gt 0) ((Get-ChildItem C:\\beat.txt).Length -eq $before)\nEOF\n"
    ));
    assert_eq!(printed(&done), ["True", "True"], "{done}");
}

#[test]
fn restarts_names_and_other_accounts() {
    let done = built(
        "FROM --os=windows win AS a\nOUTPUT NONE\nLOGIN Administrator PASSWORD correct-horse\n\
         HOSTNAME dc01.corp.example\nKEY boot FROM RUN Write-Output ([string](Get-Process wininit).StartTime.ToFileTimeUtc())\n\
         RUN Write-Output (hostname)\nRUN --reboot-on=3010 exit 3010\nREBOOT\nWAIT RUN Get-Process wininit\n\
         WAIT FILE C:\\Windows\\System32\n\
         RUN Write-Output ((Get-Process wininit).StartTime.ToFileTimeUtc() -gt [long]${{ boot }})\n\
         LOGIN CORP\\operator PASSWORD another-horse\nRUN Write-Output $env:USERNAME\n",
    );
    assert_eq!(
        printed(&done).iter().filter(|l| !l.chars().all(|c| c.is_ascii_digit())).collect::<Vec<_>>(),
        ["dc01", "True", "operator"],
        "{done}"
    );
    let said = done.stderr() + &done.stdout();
    // The name's, the exit code's, and the one that was asked for.
    assert!(said.matches("waiting for the restart").count() == 3, "{done}");
}

#[test]
fn an_address_is_given_by_powershell_and_a_template_sealed() {
    let done = built(
        "FROM --os=windows win AS base\nOUTPUT TEMPLATE golden\nLOGIN Administrator PASSWORD correct-horse\n\
         RUN New-Item -Force C:\\made.txt\nSEAL\n\
         FROM base AS web\nOUTPUT NONE\nADDRESS 10.9.8.7/24 GATEWAY 10.9.8.1 DNS 10.9.8.2\n\
         RUN Write-Output (Test-Path C:\\made.txt) (Test-Path C:\\Windows\\System32\\Sysprep\\Sysprep_succeeded.tag)\n\
         RUN Write-Output (Get-NetIPAddress -InterfaceAlias (Get-NetAdapter).Name).IPAddress\n",
    );
    let said = printed(&done);
    assert!(said.contains(&"10.9.8.7".to_owned()), "{done}");
    assert_eq!(said.iter().filter(|line| *line == "True").count(), 2, "{done}");
}

#[test]
fn the_wrong_family_is_told_before_anything_runs() {
    let dir = context(&[("VMWfile", "FROM win AS a\nOUTPUT NONE\nLOGIN Administrator PASSWORD x\nRUN echo hi\n")]);
    let done = build(dir.path(), &[]);
    assert_eq!(done.code, Some(3), "{done}");
    assert!(done.stderr().contains("other-family"), "{done}");
    fs::write(dir.path().join("VMWfile"), HEAD.replace(" win ", " linux ") + "RUN Get-Date\n").unwrap();
    let done = build(dir.path(), &[]);
    assert!(done.stderr().contains("other-family"), "{done}");
}

#[test]
fn an_empty_password_is_refused() {
    let dir = context(&[("VMWfile", "FROM --os=windows win AS a\nOUTPUT NONE\nLOGIN Administrator\nRUN Get-Date\n")]);
    let done = build(dir.path(), &["--login-window", "0s"]);
    assert_ne!(done.code, Some(0), "{done}");
}
