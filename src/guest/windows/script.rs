//! The PowerShell file that a job is: environment and directory on its first line, then the command.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::guest::error::{Error, Result};
use crate::guest::job::{Body, EnvPiece, Interpreter, Job};

/// What every job begins with. The file removes itself: PowerShell has read it whole.
const HEAD: &str = "$ErrorActionPreference='Stop';$ProgressPreference='SilentlyContinue';\
                    $OutputEncoding=New-Object Text.UTF8Encoding $false;\
                    try{[Console]::OutputEncoding=$OutputEncoding}catch{};\
                    [IO.File]::Delete($PSCommandPath);\
                    function global:_vmwt($b){[Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($b))};";

/// Runs a program and ends as it does: nothing but Windows itself reads the arguments.
const EXEC: &str = "$i=New-Object Diagnostics.ProcessStartInfo;$i.FileName=$f;$i.Arguments=$a;$i.UseShellExecute=$false;\
                    $i.WorkingDirectory=(Get-Location).ProviderPath;\
                    try{$p=[Diagnostics.Process]::Start($i)}catch{[Console]::Error.WriteLine(\"$f`: \
                    $($_.Exception.InnerException.Message)\");exit 127};$p.WaitForExit();exit $p.ExitCode\n";

/// A text that PowerShell is to have.
fn text(value: &str) -> String {
    format!("(_vmwt '{}')", STANDARD.encode(value))
}

fn unsendable(job: &Job, why: &str) -> Error {
    Error::Unsendable { what: format!("job {}", job.id), why: why.to_owned() }
}

/// The whole file of a job, or of what tells whether it is needed.
pub(super) fn script(job: &Job, body: &Body) -> Result<String> {
    let mut out = HEAD.to_owned();
    variables(job, &mut out)?;
    let directory = match &job.workdir {
        Some(directory) if directory.contains('\0') => return Err(unsendable(job, "its directory has a NUL in it")),
        Some(directory) => text(directory),
        None => "$env:USERPROFILE".to_owned(),
    };
    let _ = write!(
        out,
        "[void][IO.Directory]::CreateDirectory({directory});Set-Location -LiteralPath {directory};\
         [Environment]::CurrentDirectory={directory};$global:LASTEXITCODE=0;"
    );
    match body {
        Body::Script { text: content, interpreter: Interpreter::Program { argv, .. } } => {
            interpreted(job, content, argv, &mut out)?;
        }
        Body::Script { interpreter: Interpreter::Shebang, .. } => {
            return Err(unsendable(job, "Windows doesn't read a `#!` line"));
        }
        Body::Exec(argv) => {
            let Some((program, rest)) = argv.split_first().filter(|(program, _)| !program.is_empty()) else {
                return Err(unsendable(job, "it names no program"));
            };
            if argv.iter().any(|word| word.contains('\0')) {
                return Err(unsendable(job, "an argument has a NUL character in it"));
            }
            let _ = write!(out, "$f={};$a={};{EXEC}", text(program), text(&command_line(rest)));
        }
        Body::Unpack { tar, .. } => unpack(job, tar, &mut out)?,
        Body::Read { path, delete } => {
            let _ = write!(
                out,
                "$f={};$b=[IO.File]::ReadAllBytes($f);$s=[Console]::OpenStandardOutput();$s.Write($b,0,$b.Length);$s.Flush()\n",
                text(path)
            );
            if *delete {
                out.push_str("[IO.File]::Delete($f)\n");
            }
        }
        Body::Exists(path) => {
            let _ = writeln!(
                out,
                "$f={};if([IO.File]::Exists($f) -or [IO.Directory]::Exists($f)){{exit 0}};exit 1",
                text(path)
            );
        }
        Body::Delete(path) => {
            let _ = writeln!(
                out,
                "$f={};if([IO.Directory]::Exists($f)){{[IO.Directory]::Delete($f,$true)}}else{{[IO.File]::Delete($f)}}",
                text(path)
            );
        }
        Body::HostName => out.push_str("Write-Output ([Environment]::MachineName)\n"),
        Body::Own(own) => {
            out.push('\n');
            out.push_str(own);
        }
    }
    Ok(out)
}

/// The job's own variables. Windows has none that are empty.
fn variables(job: &Job, out: &mut String) -> Result<()> {
    for variable in &job.env {
        let name = &variable.name;
        let bad = |why: &str| Error::Unsendable { what: format!("variable `{name}`"), why: why.to_owned() };
        let is_name = |name: &str| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '(' | ')'))
        };
        if !is_name(name) {
            return Err(bad("a name is letters, digits and `_`"));
        }
        let mut value = Vec::new();
        for piece in &variable.value {
            value.push(match piece {
                EnvPiece::Literal(text) if text.contains('\0') => {
                    return Err(bad("its value has a NUL character in it"));
                }
                EnvPiece::Literal(literal) => text(literal),
                EnvPiece::Variable(other) if is_name(other) => {
                    format!("[Environment]::GetEnvironmentVariable('{other}')")
                }
                EnvPiece::Variable(other) => return Err(bad(&format!("`{other}` in it is no variable's name"))),
            });
        }
        if value.is_empty() {
            value.push("''".to_owned());
        }
        let _ = write!(out, "[Environment]::SetEnvironmentVariable('{name}',{});", value.join("+"));
    }
    Ok(())
}

/// A script and who reads it.
fn interpreted(job: &Job, content: &str, argv: &[String], out: &mut String) -> Result<()> {
    if content.contains('\0') {
        return Err(unsendable(job, "its script has a NUL character in it"));
    }
    let program = argv.first().map_or("powershell", String::as_str);
    let base = program.rsplit(['/', '\\']).next().unwrap_or_default().to_ascii_lowercase();
    let base = base.strip_suffix(".exe").unwrap_or(&base);
    let rest = argv.get(1..).unwrap_or_default();
    match base {
        // What reads this already.
        "powershell" if rest.is_empty() => {
            out.push_str(content);
            if !content.ends_with('\n') {
                out.push('\n');
            }
            out.push_str("exit $LASTEXITCODE\n");
        }
        "powershell" | "pwsh" => {
            let script = format!("\u{feff}$ErrorActionPreference='Stop'\n{content}\nexit $LASTEXITCODE\n");
            // `-Command` would take the path for code.
            let mut words: Vec<String> =
                rest.iter().filter(|word| !word.eq_ignore_ascii_case("-command")).cloned().collect();
            for word in ["-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass", "-File"] {
                words.push(word.to_owned());
            }
            through(&script, "ps1", program, &command_line(&words), out);
        }
        "cmd" => {
            // UTF-8, read and written; a batch file's lines end as Windows has them.
            let lines = content.replace("\r\n", "\n").replace('\n', "\r\n");
            let script = format!("@echo off\r\nchcp 65001 >nul\r\n{lines}");
            through(&script, "cmd", "cmd.exe", "/d /s /c", out);
        }
        _ => through(content, "txt", program, &command_line(rest), out),
    }
    Ok(())
}

/// Leaves a script in a file beside this one, and runs a program with its path. The file goes with the batch's directory.
fn through(script: &str, kind: &str, program: &str, arguments: &str, out: &mut String) {
    let path = if kind == "cmd" { "\"\"$s\"\"" } else { "\"$s\"" };
    let path = path.replace('"', "`\"");
    let _ = write!(
        out,
        "$s=$PSCommandPath+'.{kind}';[IO.File]::WriteAllBytes($s,[Convert]::FromBase64String('{}'));$f={};$a={}+\" {path}\";",
        STANDARD.encode(script),
        text(program),
        text(arguments),
    );
    out.push_str(EXEC);
}

/// Arguments as programs of Windows take a command line apart.
fn command_line(words: &[String]) -> String {
    let mut out = String::new();
    for word in words {
        if !out.is_empty() {
            out.push(' ');
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:\\=+,@".contains(c);
        if !word.is_empty() && word.chars().all(plain) {
            out.push_str(word);
            continue;
        }
        out.push('"');
        let mut backslashes = 0;
        for c in word.chars() {
            // Backslashes count double before a quote only.
            if c == '"' {
                out.extend(std::iter::repeat_n('\\', backslashes + 1));
            }
            backslashes = if c == '\\' { backslashes + 1 } else { 0 };
            out.push(c);
        }
        out.extend(std::iter::repeat_n('\\', backslashes));
        out.push('"');
    }
    out
}

/// Files and directories of a small archive, one by one.
fn unpack(job: &Job, tar: &[u8], out: &mut String) -> Result<()> {
    let broken = |e: std::io::Error| unsendable(job, &e.to_string());
    let mut archive = tar::Archive::new(tar);
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let path = entry.path().map_err(broken)?.to_string_lossy().replace('/', "\\");
        // `C\dir\file`
        let (drive, rest) = path.split_at_checked(1).unwrap_or_default();
        let path = format!("{drive}:{}", rest.trim_end_matches('\\'));
        match entry.header().entry_type() {
            tar::EntryType::Directory => {
                let _ = writeln!(out, "[void][IO.Directory]::CreateDirectory({})", text(&path));
            }
            tar::EntryType::Regular => {
                let mut bytes = Vec::new();
                std::io::Read::read_to_end(&mut entry, &mut bytes).map_err(broken)?;
                let _ = writeln!(
                    out,
                    "$f={};[void][IO.Directory]::CreateDirectory([IO.Path]::GetDirectoryName($f));\
                     [IO.File]::WriteAllBytes($f,[Convert]::FromBase64String('{}'))",
                    text(&path),
                    STANDARD.encode(&bytes)
                );
            }
            _ => return Err(unsendable(job, &format!("`{path}` is neither a file nor a directory"))),
        }
    }
    Ok(())
}
