//! Windows guests, by the real binary on the sandbox, whose guests are taken for Windows there: what drives them is proven,
//! not how Windows behaves. And the scripts that are sent, by a grammar of PowerShell that others wrote.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // a test may

use crate::common;
#[path = "common/random.rs"]
mod random;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use common::wine::{Wine, windows_path};
use common::{DEADLINE, Run, context, run, vmwbuild};
use random::Random;

/// Builds the file in `dir` on a sandbox with a template `win`.
fn build(dir: &Path, args: &[&str]) -> Run {
    let mut all = vec!["build", "--sandbox", "--sandbox-template", "win=windows", "--progress", "plain"];
    all.extend(["--color", "never", "."]);
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
    let said = |line: &String| {
        line.split_once(" a  | ").or_else(|| line.split_once(" a  ! ")).map(|(_, said)| said.to_owned())
    };
    lines.iter().filter_map(said).map(|said| said.trim_end().to_owned()).collect()
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
    assert_eq!(failed.code, Some(4), "{failed}");
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
    assert_eq!(done.code, Some(6), "{done}");
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
         RUN Write-Output ((Get-Process wininit).StartTime.ToFileTimeUtc() -gt ${{ boot }})\n\
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
    let said = done.stderr() + &done.stdout();
    assert!(said.contains("web   | 10.9.8.7") || said.contains("web  | 10.9.8.7"), "{done}");
    assert_eq!(said.lines().filter(|line| line.ends_with("| True")).count(), 2, "{done}");
}

#[test]
fn the_wrong_family_is_told_before_anything_runs() {
    let dir = context(&[("VMWfile", "FROM win AS a\nOUTPUT NONE\nLOGIN Administrator PASSWORD x\nRUN echo hi\n")]);
    let done = build(dir.path(), &[]);
    assert!(done.stderr().contains("other-family") && !done.stderr().contains("[1/1]"), "{done}");
    fs::write(dir.path().join("VMWfile"), HEAD.replace(" win ", " linux ") + "RUN Get-Date\n").unwrap();
    let done = build(dir.path(), &[]);
    assert!(done.stderr().contains("other-family"), "{done}");
}

#[test]
fn exec_works_and_what_needs_a_posix_shell_is_refused() {
    use common::site::{Sandbox, Site};
    let site = Site::Sandbox(Sandbox::start(&["--template", "win=windows"]));
    let dir = context(&[("VMWfile", HEAD.replace("NONE", "VM w").as_str()), ("f", "x")]);
    site.built(dir.path(), &[]);
    let tool =
        |args: &[&str]| run(site.tool(dir.path(), args).env("VMWBUILD_LOGIN", "Administrator:correct-horse"), DEADLINE);
    let ran = tool(&["exec", "-n", "w", "--", "sandbox-exit", "3"]);
    assert_eq!(ran.code, Some(3), "{ran}");
    // Windows lets nobody in without a password.
    let mut nobody = site.tool(dir.path(), &["exec", "-n", "w", "--", "sandbox-exit", "3"]);
    let refused = run(nobody.env("VMWBUILD_LOGIN", "Administrator:"), DEADLINE);
    assert_eq!(refused.code, Some(4), "{refused}");
    assert!(refused.stderr().contains("guest-login-refused"), "{refused}");
    for args in [&["cp", "f", "w:/f"][..], &["exec", "-n", "--detach", "w", "--", "sandbox-exit", "3"]] {
        let refused = tool(args);
        assert_eq!(refused.code, Some(4), "{refused}");
        assert!(refused.stderr().contains("needs a POSIX shell, and `w` is Windows"), "{refused}");
    }
}

/// Customization by vCenter, on a server: what the machine is known by afterwards.
fn customized(site: &common::site::Site) {
    let text = format!(
        "SECRET pw\nFROM {} AS app\nOUTPUT VM app\nLOGIN root PASSWORD ${{{{ pw }}}}\n\
         ADDRESS --method=customize 10.1.2.3/24 GATEWAY 10.1.2.1 DNS 10.1.2.2 SEARCH example.org\n\
         HOSTNAME --method=customize web.example.org\nRUN echo ready\n",
        site.template()
    );
    let dir = context(&[("VMWfile", &text)]);
    site.built(dir.path(), &["--secret", "id=pw,env=HOME"]);
    assert_eq!(site.govc(&["object.collect", "-s", "/DC0/vm/app", "guest.hostName"]), "web\n");
    assert_eq!(site.govc(&["object.collect", "-s", "/DC0/vm/app", "guest.ipAddress"]), "10.1.2.3\n");
    assert_eq!(site.requests()["CustomizeVM_Task"], 1);
}

#[test]
fn vcenter_customizes_a_guest_of_the_simulator() {
    if let Some(site) = common::site::Site::vcsim() {
        customized(&site);
    }
}

#[test]
fn vcenter_customizes_a_guest_of_the_sandbox() {
    let Some(site) = common::site::Site::here() else { return };
    customized(&site);
    let inside = |vm: &str, command: &str| site.guest(vm, command).split_whitespace().collect::<Vec<_>>().join(" ");
    let names = "cat /etc/resolv.conf";
    assert_eq!(inside("app", names), "nameserver 10.1.2.2 search example.org");
    assert!(inside("app", "ip route").starts_with("default via 10.1.2.1 dev eth0"), "{}", inside("app", "ip route"));
    // The same of IPv6, over whatever the name servers were before.
    let text = format!(
        "FROM {} AS six\nOUTPUT VM six\n\
         ADDRESS --method=customize fd00:1::7/64 GATEWAY fd00:1::1 DNS fd00:1::53 10.9.9.9 SEARCH a.example b.example\n\
         RUN echo ready\n",
        site.template()
    );
    site.built(context(&[("VMWfile", &text)]).path(), &[]);
    assert_eq!(inside("six", names), "nameserver fd00:1::53 nameserver 10.9.9.9 search a.example b.example");
    let addresses = inside("six", "ip -6 -o addr show dev eth0 scope global");
    assert!(addresses.contains("fd00:1::7/64") && !addresses.contains("tentative"), "{addresses}");
    assert!(
        inside("six", "ip -6 route").contains("default via fd00:1::1 dev eth0"),
        "{}",
        inside("six", "ip -6 route")
    );
    assert_eq!(site.govc(&["object.collect", "-s", "/DC0/vm/six", "guest.ipAddress"]), "fd00:1::7\n");
    // By a specification that the server keeps.
    let text = format!(
        "SECRET pw\nFROM {} AS other\nOUTPUT VM other\nLOGIN root PASSWORD ${{{{ pw }}}}\n\
         HOSTNAME --method=customize --spec=SPEC db01\nRUN hostname\n",
        site.template()
    );
    let dir = context(&[("VMWfile", &text.replace("SPEC", "sandbox-linux"))]);
    site.built(dir.path(), &["--secret", "id=pw,env=HOME"]);
    assert_eq!(site.govc(&["object.collect", "-s", "/DC0/vm/other", "guest.hostName"]), "db01\n");
}

#[test]
fn a_specification_that_does_not_fit_is_told_before_anything_is_cloned() {
    for site in [common::site::Site::vcsim(), common::site::Site::here()] {
        let Some(site) = site else { continue };
        let kept = if site.is_vcsim() { "vcsim" } else { "sandbox" };
        let machines = site.vms();
        let windows = if site.is_vcsim() { "vcsim-windows-static" } else { "sandbox-windows" };
        for (line, said) in [
            (format!("HOSTNAME --method=customize --spec={kept}-linx db"), format!("did you mean `{kept}-linux`?")),
            (
                format!("ADDRESS --method=customize --spec={kept}-linx DHCP"),
                format!("no customization specification `{kept}-linx`"),
            ),
            (
                format!("HOSTNAME --method=customize --spec={windows} db"),
                format!("the specification `{windows}` is for Windows, and the guest is not"),
            ),
        ] {
            let text = format!("FROM {} AS a\nOUTPUT VM a\n{line}\nRUN true\n", site.template());
            let dir = context(&[("VMWfile", &text)]);
            let planned = run(&mut site.tool(dir.path(), &["plan"]), DEADLINE);
            for run in [planned, site.build(dir.path(), &[])] {
                assert_eq!(run.code, Some(5), "{run}");
                assert!(run.stderr().contains(&said) && run.stderr().contains("VMWfile:3"), "{said}: {run}");
            }
        }
        assert_eq!(site.vms(), machines);
    }
}

#[test]
fn a_specification_of_cloud_inits_is_used_whole() {
    let Some(site) = common::site::Site::vcsim() else { return };
    let ear = common::ear::Ear::before(&site);
    ear.python("tests/alike.py", &["cloud-init", "whole"]);
    let asked =
        ear.build("FROM TEMPLATE-OF-SITE AS a\nOUTPUT VM a\nADDRESS --method=customize --spec=whole DHCP\nRUN true\n");
    let sent = common::ear::only(&asked, "CustomizeVM_Task").fields();
    assert_eq!(sent.get("/spec/identity@type"), Some("CustomizationCloudinitPrep"), "{sent:#?}");
    assert_eq!(sent.get("/spec/nicSettingMap"), None, "{sent:#?}");
    assert_eq!(site.govc(&["object.collect", "-s", "/DC0/vm/a", "guest.hostName"]), "of-cloud-init\n");
    let text =
        "ARG template\nFROM ${{ template }} AS b\nOUTPUT VM b\nHOSTNAME --method=customize --spec=whole b\nRUN true\n";
    let dir = context(&[("VMWfile", text)]);
    let refused = site.build(dir.path(), &[]);
    assert!(refused.code != Some(0) && refused.stderr().contains("is data of cloud-init's"), "{refused}");
    assert!(!site.vms().contains(&"b".to_owned()), "{refused}");
}

#[test]
fn a_plan_names_the_privileges_that_customization_needs() {
    let withheld = ["VirtualMachine.Provisioning.Customize", "VirtualMachine.Provisioning.ReadCustSpecs"];
    let args: Vec<&str> = withheld.iter().flat_map(|privilege| ["--sandbox-withhold", privilege]).collect();
    let site = common::site::Site::Sandbox(common::site::Sandbox::start(&args));
    let plan = |line: &str| {
        let text = format!("FROM linux AS a\nOUTPUT VM a\n{line}RUN true\n");
        run(&mut site.tool(context(&[("VMWfile", &text)]).path(), &["plan"]), DEADLINE)
    };
    assert_eq!(plan("HOSTNAME db\n").code, Some(0));
    let told = plan("HOSTNAME --method=customize --spec=sandbox-linux db\n");
    assert_eq!(told.code, Some(5), "{told}");
    for privilege in withheld {
        assert!(told.stderr().contains(&format!("the account lacks {privilege} on /")), "{told}");
    }
}

#[test]
fn vcenter_customizes_windows_on_the_sandbox() {
    let done = built(
        "FROM --os=windows win AS a\nOUTPUT NONE\nLOGIN Administrator PASSWORD correct-horse\n\
         ADDRESS --method=customize 10.4.5.6/24\nHOSTNAME --method=customize app01\nRUN hostname\n\
         RUN Write-Output (Get-NetIPAddress -InterfaceAlias (Get-NetAdapter).Name).IPAddress\n",
    );
    let said = printed(&done);
    assert!(said.contains(&"app01".to_owned()) && said.contains(&"10.4.5.6".to_owned()), "{done}");
}

/// What a grammar of PowerShell makes of texts: the shapes of their trees, and the lines that it can't read.
fn trees(texts: &[String]) -> Option<Vec<(String, Vec<u64>)>> {
    if common::left_out() {
        return None;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut python = std::process::Command::new(common::setting("VMWBUILD_TEST_PYTHON"));
    python.arg(root.join("tests/tree_sitter/powershell.py"));
    python.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut child = python.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let asked = serde_json::to_vec(texts).unwrap();
    let writer = std::thread::spawn(move || std::io::Write::write_all(&mut input, &asked).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let answers: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    let lines = |v: &serde_json::Value| v["wrong"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
    Some(answers.iter().map(|v| (v["shape"].as_str().unwrap().to_owned(), lines(v))).collect())
}

#[test]
fn the_scripts_for_guests_are_powershell() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = ["supervise", "tar", "network", "hostname"].map(|name| format!("src/guest/windows/{name}.ps1"));
    let names: Vec<String> = names.into_iter().chain(["src/sema/seal.ps1".to_owned()]).collect();
    let texts: Vec<String> = names.iter().map(|name| fs::read_to_string(root.join(name)).unwrap()).collect();
    let Some(found) = trees(&texts) else { return };
    for (name, (_, wrong)) in names.iter().zip(found) {
        assert!(wrong.is_empty(), "{name}: lines {wrong:?}");
    }
}

/// Whatever a value is, the script is the same program: the grammar sees the same tree.
#[test]
fn no_value_changes_what_a_script_is() {
    use vmwbuild::shell::{Dialect, Hole, HoleKind, powershell_assignment, read, weave};
    const HOLE: &str = "${{ x }}";
    let places = [
        "Write-Output ${{ x }}",
        "New-Item -Path \"C:\\${{ x }}\\a\" -Force",
        "$a = @\"\n${{ x }} and ${{ x }}\n\"@\nWrite-Output $a",
        "if (${{ x }} -eq 'a') { throw \"not ${{ x }}\" }",
        "f(${{ x }}, ${{ x }}); g # ${{ x }}",
        "\"a $(f ${{ x }} \"b\") ${{ x }}\"",
        "@{ a = ${{ x }}; b = @(${{ x }}, 1) } | ForEach-Object { $_.a }",
        "<# ${{ x }} #> try { f ${{ x }} } catch { g \"${{ x }}`n\" }",
    ];
    let values = [
        "a",
        "",
        "'",
        "''",
        "\"",
        "`",
        "`n",
        "$x",
        "${x}",
        "$(exit 7)",
        "$($x)",
        "@\"",
        "\"@",
        "\n\"@\nexit 7\n@\"\n",
        "'@",
        "\u{2018}; exit 7; \u{2019}",
        "\u{201c}$(exit)\u{201d}",
        "#",
        "<#",
        "#>",
        "; exit 7",
        "| iex",
        "& cmd",
        "--%",
        ")",
        "}",
        "\r\n",
        "\t",
        "%PATH%",
        "\u{feff}",
        "é\u{1f600}",
        "] ::",
        "-Force",
        "\\",
        "`\"`",
        "$env:Path",
    ];
    let mut texts = Vec::new();
    for place in places {
        let holes: Vec<Hole> =
            place.match_indices(HOLE).map(|(at, _)| Hole::new(at..at + HOLE.len(), HoleKind::Text)).collect();
        let contexts = read(Dialect::PowerShell, place, &holes).expect("places for values");
        let names: Vec<String> = (1..=holes.len()).map(|n| format!("_vmw{n}")).collect();
        for value in values {
            let prelude: String = names.iter().map(|name| powershell_assignment(name, value) + "\n").collect();
            texts.push(prelude + &weave(place, &holes, &contexts, &names) + "\n");
        }
    }
    let Some(found) = trees(&texts) else { return };
    for (place, (texts, found)) in places.iter().zip(texts.chunks(values.len()).zip(found.chunks(values.len()))) {
        for (text, (shape, wrong)) in texts.iter().zip(found) {
            assert!(wrong.is_empty(), "{place}: lines {wrong:?} of {text}");
            assert_eq!(*shape, found[0].0, "{place}: {text}");
        }
    }
}

/// Writes PowerShell with values in it.
struct Writer(Random);

impl Writer {
    fn lines(&mut self, depth: usize) -> String {
        (0..1 + self.0.below(3)).map(|_| self.statement(depth) + "\n").collect()
    }

    fn statement(&mut self, depth: usize) -> String {
        let deep = depth > 0;
        loop {
            return match self.0.below(13) {
                0 | 1 => format!("Write-Output {} {}", self.word(depth), self.word(depth)),
                2 => format!("$a = {}", self.expression(depth)),
                3 => format!("f -Name {} | g {}", self.word(depth), self.word(depth)),
                4 => format!("$t = @\"\n{}\nand {}\n\"@", self.text(0), self.text(depth)),
                5 => "# it's `$( ${{ x }} \" {".to_owned(),
                6 => "<# it's\n ${{ x }} \" #> f".to_owned(),
                7 => format!("$h = @{{ k = {}; 'l' = {} }}", self.expression(depth), self.expression(depth)),
                8 => format!("throw {}", self.expression(0)),
                9 if deep => {
                    let (one, two) = (self.lines(depth - 1), self.lines(depth - 1));
                    format!("if ({} -eq {}) {{\n{one}}} else {{\n{two}}}", self.expression(0), self.expression(0))
                }
                10 if deep => {
                    let body = self.lines(depth - 1);
                    format!("foreach ($i in {}, 1) {{\n{body}}}", self.expression(0))
                }
                11 if deep => format!("try {{\n{}}} catch {{\n{}}}", self.lines(depth - 1), self.lines(depth - 1)),
                12 if deep => format!("& {{\n{}}}", self.lines(depth - 1)),
                _ => continue,
            };
        }
    }

    fn word(&mut self, depth: usize) -> String {
        match self.0.below(5) {
            0 | 1 => "${{ x }}".to_owned(),
            2 => format!("\"{}\"", self.text(depth)),
            3 => format!("({})", self.expression(depth)),
            _ => self.0.one(&["'lit''eral'", "$b", "plain", "C:\\dir\\file"]).to_owned(),
        }
    }

    fn expression(&mut self, depth: usize) -> String {
        match self.0.below(6) {
            0 | 1 => "${{ x }}".to_owned(),
            2 | 3 => format!("\"{}\"", self.text(depth)),
            4 if depth > 0 => format!("@({}, {})", self.expression(depth - 1), self.expression(depth - 1)),
            _ => self.0.one(&["'lit''eral'", "$b", "1"]).to_owned(),
        }
    }

    /// What stands in double quotes.
    fn text(&mut self, depth: usize) -> String {
        let mut text = String::from("a");
        for _ in 0..self.0.below(4) {
            text.push_str(&match self.0.below(8) {
                0..=2 => " ${{ x }}".to_owned(),
                3 if depth > 0 => format!(" $(g {})", self.word(depth - 1)),
                _ => self.0.one(&["`n", " $b", "`$c", "''", " (d) ", "${{ x }}${{ x }}"]).to_owned(),
            });
        }
        text
    }

    /// A value made of what could end a string, begin a command or be taken for another character.
    fn value(&mut self) -> String {
        const PARTS: &[&str] = &[
            "'",
            "''",
            "\"",
            "`",
            "``",
            "`\"",
            "$",
            "$(",
            "${",
            "@\"\n",
            "\n\"@",
            "@'\n",
            "\n'@",
            "\u{2018}",
            "\u{2019}",
            "\u{201a}",
            "\u{201b}",
            "\u{201c}",
            "\u{201d}",
            "\u{201e}",
            ";",
            "|",
            "&",
            "&&",
            "#",
            "<#",
            "#>",
            "{",
            "}",
            ")",
            "(",
            "]",
            "[",
            ",",
            "--%",
            " -",
            "\u{2013}",
            "\u{2014}",
            "\u{2015}",
            "\n",
            "\r",
            "\r\n",
            "\t",
            "\u{0b}",
            "\u{0c}",
            "\u{85}",
            "\u{a0}",
            "\u{2028}",
            "\u{2029}",
            "\u{feff}",
            "\u{7f}",
            "\u{1}",
            "\u{1b}[0m",
            "exit 7",
            "$env:X",
            "iex",
            "%PATH%",
            "\\",
            "/",
            "é",
            "\u{1f600}",
            "a",
            " ",
            "0x",
            "1e3",
            "$null",
            "_vmw1",
            "=",
            "<",
            ">",
            "2>&1",
            "*>",
        ];
        (0..self.0.below(7)).map(|_| self.0.one(PARTS)).collect()
    }
}

/// The same for generated scripts and values. A failure names its seed.
#[test]
fn no_generated_value_changes_what_a_generated_script_is() {
    use vmwbuild::shell::{Dialect, Hole, HoleKind, powershell_assignment, read, weave};
    const HOLE: &str = "${{ x }}";
    const VALUES: usize = 12;
    let (mut texts, mut seeds) = (Vec::new(), Vec::new());
    let mut refused = 0;
    for seed in 0..150u64 {
        let mut writer = Writer(Random(seed));
        let place = writer.lines(2);
        let holes: Vec<Hole> =
            place.match_indices(HOLE).map(|(at, _)| Hole::new(at..at + HOLE.len(), HoleKind::Text)).collect();
        let Ok(contexts) = read(Dialect::PowerShell, &place, &holes) else {
            refused += 1;
            continue;
        };
        let names: Vec<String> = (1..=holes.len()).map(|n| format!("_vmw{n}")).collect();
        let woven = weave(&place, &holes, &contexts, &names) + "\n";
        for at in 0..=VALUES {
            // The first is harmless: what the others are held to.
            let value = |w: &mut Writer| if at == 0 { "a".to_owned() } else { w.value() };
            let prelude: String =
                names.iter().map(|name| powershell_assignment(name, &value(&mut writer)) + "\n").collect();
            texts.push(prelude + &woven);
        }
        seeds.push(seed);
    }
    assert!(refused < 30, "{refused} scripts have values where none may stand");
    let Some(found) = trees(&texts) else { return };
    let mut read = 0;
    for (seed, (texts, found)) in seeds.iter().zip(texts.chunks(VALUES + 1).zip(found.chunks(VALUES + 1))) {
        // What that grammar can't read even so, it tells nothing of.
        let Some((shape, _)) = found.first().filter(|(_, wrong)| wrong.is_empty()) else { continue };
        read += 1;
        for (text, (other, wrong)) in texts.iter().zip(found) {
            assert!(wrong.is_empty(), "seed {seed}: lines {wrong:?} of {text}");
            assert_eq!(other, shape, "seed {seed}: {text}");
        }
    }
    assert!(read > 100, "only {read} scripts could be read");
}

/// A value of a type that may stand in a text for `cmd`, as the language writes it.
fn value_for_cmd(random: &mut Random) -> String {
    let bits = u128::from(random.next()) << 64 | u128::from(random.next());
    let v6 = std::net::Ipv6Addr::from(bits & [0xffff, u128::MAX, u128::MAX << 64, 1][random.below(4)]);
    let v4 = std::net::Ipv4Addr::from(random.next() as u32);
    match random.below(8) {
        0 => (random.next() as i64).to_string(),
        1 | 2 => random.below(10).to_string(),
        3 => v4.to_string(),
        4 => v6.to_string(),
        5 => format!("{v6}/{}", random.below(129)),
        6 => random.one(&["90s", "1h30m", "250ms", "10GiB", "512MiB", "0s", "1KiB"]).to_owned(),
        _ => random.one(&["true", "false"]).to_owned(),
    }
}

/// What our reader lets stand in a batch file is read by `cmd` as it is: the same file says the same with other values,
/// but for these. Wine is large, so it is set up only when asked for: VMWBUILD_TEST_WINE=1 tests/run.
#[test]
fn cmd_takes_values_for_what_they_are() {
    use vmwbuild::shell::{Dialect, Hole, HoleKind, read, weave};
    const HOLE: &str = "${{ x }}";
    let Some(wine) = Wine::new() else { return };
    let around: &[&str] =
        &[">", "<", ">>", " ", "", "a", "\"", "%", "%%", "%~", "^", "&", "|", ":", "(", ")", "=", ",", ";", "@", "5"];
    let lines = [
        "echo LEFT${{ x }}RIGHT",
        "echo \"LEFT${{ x }}RIGHT",
        "(echo LEFT${{ x }}RIGHT)",
        "${{ x }}RIGHT",
        "set _vmwq=LEFT${{ x }}RIGHT\nset _vmwq",
        "for %%a in (LEFT${{ x }}RIGHT) do echo [%%a]",
        "for %%f in (z) do echo LEFT${{ x }}RIGHT",
        "echo one ^\n LEFT${{ x }}RIGHT",
        "if \"LEFT${{ x }}RIGHT\"==\"a\" (echo yes) else echo no LEFT${{ x }}RIGHT",
        "call :sub LEFT${{ x }}RIGHT\ngoto :eof\n:sub\necho [%1] [%2] ${{ x }}",
        ">f.txt echo LEFT${{ x }}RIGHT\ntype f.txt",
    ];
    let root = wine.home.path();
    let (mut driver, mut cases, mut refused) = ("@echo off\r\n".to_owned(), Vec::new(), 0);
    for seed in 0..120u64 {
        let mut random = Random(seed);
        let line = lines[seed as usize % lines.len()];
        // What stands after `<` or `>` names a file, which isn't the same with another value.
        let text = line.replace("LEFT", random.one(&around[3..])).replace("RIGHT", random.one(around)) + "\necho after";
        let holes: Vec<Hole> =
            text.match_indices(HOLE).map(|(at, _)| Hole::new(at..at + HOLE.len(), HoleKind::Plain)).collect();
        let Ok(contexts) = read(Dialect::Cmd, &text, &holes) else {
            refused += 1;
            continue;
        };
        for values in 0..3 {
            // The first is a word that means nothing: what the others are held to.
            let mut value = if values == 0 { "Qzq".to_owned() } else { value_for_cmd(&mut random) };
            // Wine takes what begins a list for a label too.
            while value.starts_with(':') && line.contains("in (LEFT") {
                value = value_for_cmd(&mut random);
            }
            let woven = weave(&text, &holes, &contexts, &vec![value.clone(); holes.len()]);
            let name = format!("case{seed}-{values}");
            fs::create_dir(root.join(&name)).unwrap();
            let file = format!("@echo off\r\nchcp 65001 >nul\r\n{}\r\n", woven.replace('\n', "\r\n"));
            fs::write(root.join(format!("{name}.cmd")), file).unwrap();
            let place = windows_path(root);
            driver +=
                &format!("cd /d {place}\\{name}\r\n%ComSpec% /d /c {place}\\{name}.cmd <nul >..\\{name}.out 2>&1\r\n");
            cases.push((name, text.clone(), value));
        }
    }
    fs::write(root.join("all.cmd"), driver + "exit /b 0\r\n").unwrap();
    let done = wine.cmd(&root.join("all.cmd"));
    assert_eq!(done.code, Some(0), "{done}");
    let outcome = |name: &str| {
        let mut files: Vec<_> = fs::read_dir(root.join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let left = files.iter().map(|file| {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            format!("{name}: {}", String::from_utf8_lossy(&fs::read(file).unwrap()))
        });
        let said = String::from_utf8_lossy(&fs::read(root.join(format!("{name}.out"))).unwrap()).into_owned();
        left.fold(said, |all, one| all + &one)
    };
    let mut ran = 0;
    for case in cases.chunks(3) {
        let wanted = outcome(&case[0].0);
        // Not all that is made here is a batch file.
        ran += usize::from(wanted.contains("after"));
        for (name, text, value) in &case[1..] {
            let got = outcome(name).replace(name.as_str(), &case[0].0);
            assert_eq!(got, wanted.replace("Qzq", value), "{value} in {name}:\n{text}");
        }
    }
    assert!(ran > 50 && refused < 75, "{ran} batch files ran, {refused} were refused");
}

/// A directory service, which nobody can build here, is planned: all is checked but what its guests would say.
#[test]
fn the_domain_of_the_examples_is_planned() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut plan = vmwbuild(root);
    plan.args(["plan", "examples/windows-domain", "--sandbox", "--sandbox-template", "windows-2022=windows"]);
    plan.args(["--color", "never", "--secret", "id=admin_password,env=ADMIN"]).env("ADMIN", "correct-horse");
    let done = run(&mut plan, DEADLINE);
    assert_eq!(done.code, Some(0), "{done}");
    let said = done.stdout();
    for line in [
        "  from      /DC0/vm/windows-2022 (template vm-22, Microsoft Windows Server 2019 (64-bit), Tools 12389)",
        "  makes     VM /DC0/vm/dc01",
        "  makes     VM /DC0/vm/app01",
        "  waits for controller: needs its `sid` before step 1",
        "privileges  none is missing",
    ] {
        assert!(said.lines().any(|l| l == line), "{line}: {done}");
    }
    assert!(!format!("{said}{}", done.stderr()).contains("correct-horse"), "{done}");
}
