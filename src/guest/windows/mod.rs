//! Windows guests: what is sent to them, as text for PowerShell.
//!
//! A program is `powershell.exe` with a constant command line, which runs the text that stands in base64 in its variables: no
//! list of processes shows that. Every such text begins with the functions of `supervise.ps1`; a value in it is base64 again,
//! so that none can become code.

mod script;

use std::fmt::Write;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::MAX_CAPTURE;
use super::archive::Placed;
use super::error::{Error, Result};
use super::family::{self, BatchPlan, Facts, Family, Landed, Opening};
use super::job::{Body, Job};
use super::noway::NoWay;
use super::unix::squeeze;
use super::wire::Program;

const SUPERVISE: &str = include_str!("supervise.ps1");
const TAR: &str = include_str!("tar.ps1");

/// Where Windows is. Tools of vSphere look a program up by its whole path, before anything can be asked.
const ROOT: &str = "C:\\Windows";
const POWERSHELL: &str = "C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe";

/// What runs the text. No double quotes are in it.
const ARGUMENTS: &str = "-NoProfile -NonInteractive -ExecutionPolicy Bypass -Command \"$t='';foreach($i in 0..9){$t+=\
                         [Environment]::GetEnvironmentVariable('VMWBUILD'+$i)};Invoke-Expression \
                         ([Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($t)))\"";

/// Largest text that goes in a request: with the rest it stays below 64 KiB.
const ENVELOPE: usize = 56 << 10;
/// Windows allows 32767 characters to a variable.
const VARIABLE: usize = 30_000;

/// Bytes of output that are listed before the rate is limited.
const BUDGET: usize = 64 << 10;
/// The same where all of the output is wanted and nothing else can carry it.
const CAPTURE_BUDGET: usize = (1 << 20) + (64 << 10);

/// A text that PowerShell is to have: a constant expression, whatever is in it.
fn text(value: &str) -> String {
    format!("(Text '{}')", STANDARD.encode(value))
}

/// A program of a text, if that fits in a request.
fn program(text: &str) -> Option<Program> {
    let value = STANDARD.encode(text);
    if value.len() > ENVELOPE {
        return None;
    }
    let mut env = vec![
        format!("SystemRoot={ROOT}"),
        "SystemDrive=C:".to_owned(),
        format!("Path={ROOT}\\System32;{ROOT};{ROOT}\\System32\\Wbem;{ROOT}\\System32\\WindowsPowerShell\\v1.0"),
        "PATHEXT=.COM;.EXE;.BAT;.CMD".to_owned(),
    ];
    let mut rest = value.as_str();
    for number in 0.. {
        let (part, after) = rest.split_at(rest.len().min(VARIABLE));
        env.push(format!("VMWBUILD{number}={part}"));
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    Some(Program { path: POWERSHELL.to_owned(), arguments: ARGUMENTS.to_owned(), env })
}

/// A program of a text that always fits.
fn small(text: &str) -> Program {
    program(text).unwrap_or_else(|| Program {
        path: POWERSHELL.to_owned(),
        arguments: "-NoProfile -Command exit".to_owned(),
        env: Vec::new(),
    })
}

/// Windows, as one account: what can be said to it without knowing more.
#[derive(Clone)]
pub(super) struct Windows {
    /// The login.
    pub user: String,
    /// Names the work directory.
    pub name: String,
}

impl Windows {
    /// What every program begins with.
    fn head(&self) -> String {
        // The name has letters, digits and `-`.
        format!("$name = '{}'\n{}", self.name, squeeze(SUPERVISE))
    }

    /// What a job is, as a table.
    fn job(&self, job: &Job, chunk: bool) -> Result<String> {
        if let Some(run_as) = job.run_as.as_ref().filter(|run_as| !same_account(&run_as.user, &self.user)) {
            let (why, said) = (NoWay::Windows, String::new());
            return Err(Error::RunAs { login: self.user.clone(), user: run_as.user.clone(), why, said });
        }
        let oks: Vec<String> = job.ok.iter().map(i32::to_string).collect();
        let raw = matches!(job.body, Body::Read { .. } | Body::Own(_));
        let encoded = |body: &Body| {
            // PowerShell reads a file without a mark in the old encoding.
            script::script(job, body).map(|script| STANDARD.encode(format!("\u{feff}{script}")))
        };
        let mut out = String::new();
        let _ = write!(
            out,
            "@{{ limit = {}; retry = {}; delay = {}; oks = @({}); allowed = ${}; budget = {}; most = {}; raw = ${raw}",
            job.timeout.map_or(0, |t| t.as_millis().max(1)),
            job.retry,
            job.delay.as_millis(),
            oks.join(", "),
            job.allow_failure,
            if job.capture && !chunk { CAPTURE_BUDGET } else { BUDGET },
            if job.capture { MAX_CAPTURE } else { 0 },
        );
        if let Some(unless) = &job.unless {
            let _ = write!(out, "; unless = '{}'", encoded(unless)?);
        }
        let _ = write!(out, "; script = '{}' }}", encoded(&job.body)?);
        Ok(out)
    }
}

/// Whether two names are the same account's: case doesn't matter, and a login may name its domain.
fn same_account(one: &str, other: &str) -> bool {
    let bare = |name: &str| {
        let name = name.rsplit('\\').next().unwrap_or(name);
        name.split('@').next().unwrap_or(name).to_lowercase()
    };
    bare(one) == bare(other)
}

impl Family for Windows {
    fn name(&self) -> &str {
        &self.name
    }

    fn guess(&self) -> String {
        let user = self.user.rsplit('\\').next().unwrap_or_default();
        let user = user.split('@').next().unwrap_or_default();
        format!("C:\\Users\\{user}\\.vmwbuild-{}", self.name)
    }

    fn meeting_place(&self, nonce: &str) -> String {
        format!("C:\\Users\\Public\\.vmwbuild-{nonce}")
    }

    fn first(&self, opening: &Opening<'_>, batch: Option<(&str, &[Job])>) -> Option<Program> {
        let mut out = self.head();
        let old = [opening.old, opening.claim.and_then(|claim| claim.meeting)];
        for place in old.into_iter().flatten() {
            let place = text(&self.meeting_place(place));
            let _ = writeln!(out, "if ([IO.Directory]::Exists({place})) {{ [IO.Directory]::Delete({place}, $true) }}");
        }
        let known = opening.claim.and_then(|claim| claim.work).or(opening.known).unwrap_or_default();
        let number = opening.claim.map(|claim| claim.number.to_string()).unwrap_or_default();
        let ahead = match batch {
            Some((batch, _)) => {
                out.push_str(batch);
                "$number"
            }
            None => "''",
        };
        let (guess, known) = (text(opening.guess), text(known));
        let _ = writeln!(out, "Open '{}' {} {guess} {known} '{number}' {ahead}", opening.meeting, opening.stamp);
        if batch.is_some() {
            out.push_str("Batch $jobs\n");
        }
        program(&out)
    }

    fn batch(&self, plan: &BatchPlan<'_>) -> Result<String> {
        let jobs = plan.jobs.iter().map(|job| self.job(job, plan.chunk)).collect::<Result<Vec<_>>>()?;
        Ok(format!("$number = '{}'\n$chunk = ${}\n$jobs = @(\n{}\n)\n", plan.number, plan.chunk, jobs.join(",\n")))
    }

    fn settle(&self, facts: Facts) -> Arc<dyn family::Settled> {
        Arc::new(Settled { windows: self.clone(), facts })
    }
}

/// Windows of which is known what it has.
struct Settled {
    windows: Windows,
    facts: Facts,
}

impl Settled {
    /// What a program begins with that has to do with a batch.
    fn about(&self, batch: u64) -> String {
        let work = text(&self.facts.work);
        format!("{}$work = {work}\n$dir = \"$work\\b{batch}\"\n", self.windows.head())
    }
}

impl family::Settled for Settled {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn batch_directory(&self, batch: u64) -> String {
        format!("{}\\b{batch}", self.facts.work)
    }

    fn whole(&self, batch: &str, meeting: Option<&str>) -> String {
        let mut out = self.windows.head();
        if let Some(place) = meeting {
            let place = text(&self.windows.meeting_place(place));
            let _ = writeln!(out, "if ([IO.Directory]::Exists({place})) {{ [IO.Directory]::Delete({place}, $true) }}");
        }
        let _ = writeln!(out, "$work = {}\n{batch}Enter $number\nBatch $jobs", text(&self.facts.work));
        out
    }

    fn start(&self, text: &str) -> Option<Program> {
        program(text)
    }

    fn start_uploaded(&self, batch: u64) -> Program {
        let path = STANDARD.encode(format!("{}\\in.{batch}", self.facts.work));
        small(&format!(
            "$in = [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String('{path}'))\n\
             Invoke-Expression ([IO.File]::ReadAllText($in))\n"
        ))
    }

    fn parts(&self, path: &str, content: &[u8]) -> Vec<Program> {
        // Base64 in base64.
        let size = ENVELOPE / 16 * 8;
        let part = |(index, part): (usize, &[u8])| {
            let path = STANDARD.encode(format!("{}.{index}", path.replace('/', "\\")));
            small(&format!(
                "$to = [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String('{path}'))\n\
                 [IO.File]::WriteAllBytes(\"$to.t\", [Convert]::FromBase64String('{}'))\n\
                 if ([IO.File]::Exists($to)) {{ [IO.File]::Delete($to) }}\n[IO.File]::Move(\"$to.t\", $to)\n",
                STANDARD.encode(part)
            ))
        };
        content.chunks(size).enumerate().map(part).collect()
    }

    fn join_parts(&self, path: &str, count: usize) -> String {
        // Programs run side by side: the parts come in any order, and this one may be the first.
        format!(
            "$to = [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String('{path}'))\n$n = 0\n\
             for ($i = 0; $i -lt {count}; $i += 0) {{\nif ([IO.File]::Exists(\"$to.$i\")) {{ $i += 1; continue }}\n\
             $n += 1\nif ($n -gt 600) {{ throw 'a part of it never arrived' }}\nStart-Sleep -Milliseconds 250\n}}\n\
             $whole = [IO.File]::Create($to)\nfor ($i = 0; $i -lt {count}; $i += 1) {{\n\
             $part = [IO.File]::ReadAllBytes(\"$to.$i\")\n$whole.Write($part, 0, $part.Length)\n\
             [IO.File]::Delete(\"$to.$i\")\n}}\n$whole.Close()\n",
            path = STANDARD.encode(path.replace('/', "\\")),
        )
    }

    fn start_parts(&self, batch: u64, count: usize) -> Program {
        let path = format!("{}\\in.{batch}", self.facts.work);
        let join = self.join_parts(&path, count);
        small(&format!(
            "$dir = [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String('{}'))\n\
             if ([IO.Directory]::Exists($dir)) {{ exit }}\n{join}Invoke-Expression ([IO.File]::ReadAllText($to))\n",
            STANDARD.encode(self.batch_directory(batch))
        ))
    }

    fn attach(&self, batch: u64, _job: usize) -> Program {
        small(&format!(
            "{}if (Alive) {{ exit }}\n\
             if ([IO.File]::Exists(\"$dir\\boot\") -and [IO.File]::ReadAllText(\"$dir\\boot\") -eq (Boot)) {{ Endchild }}\n\
             Dead '-'\n",
            self.about(batch)
        ))
    }

    fn kill(&self, batch: u64) -> Program {
        // The batch's own process does it. Should it be gone, then we. A batch that has not begun never will.
        small(&format!(
            "{}if (-not [IO.Directory]::Exists($dir)) {{\n[void][IO.Directory]::CreateDirectory($dir)\n\
             [IO.File]::WriteAllText(\"$dir\\void\", 'old')\n}}\nif ([IO.File]::Exists(\"$dir\\void\")) {{\n\
             Dead 'k0.0'\nexit\n}}\nTouch \"$dir\\stop\"\n\
             $until = $watch.ElapsedMilliseconds + 25000\nwhile ((Alive) -and $watch.ElapsedMilliseconds -lt $until) {{\n\
             Start-Sleep -Milliseconds 50\n}}\nif (Alive) {{\n\
             Endtree ([int][IO.File]::ReadAllText(\"$dir\\runner\").Split(' ')[0])\n}}\n\
             if ([IO.File]::Exists(\"$dir\\boot\") -and [IO.File]::ReadAllText(\"$dir\\boot\") -eq (Boot)) {{ Endchild }}\n\
             Dead 'k0.0'\n",
            self.about(batch)
        ))
    }

    fn publish(&self, number: u64, path: &str) -> (Program, String) {
        let directory = format!("{}\\p{number}", self.facts.work);
        let program = small(&format!(
            "{}$work = {}\n$dir = \"$work\\p{number}\"\nif ([IO.Directory]::Exists($dir)) {{ exit }}\n\
             [void][IO.Directory]::CreateDirectory(\"$dir\\s0\")\nNewlog\n$chunk = $false\n$tokens = 1099511627776\n\
             $from = @{{ file = [IO.File]::OpenRead({}) }}\nDrain $from 'o' 'O' 0 $true $true\nRec 'z'\n",
            self.windows.head(),
            text(&self.facts.work),
            text(&path.replace('/', "\\")),
        ));
        (program, directory)
    }

    fn land(&self, _: u64, _: u64, _: &str) -> Option<Body> {
        None
    }

    fn put(&self, _: &str, _: &Landed, _: &str, _: Placed<'_>, _: Option<&str>) -> Body {
        Body::Own("throw 'nothing lands here'\n".to_owned())
    }

    fn unpack(&self, before: &str, landed: &Landed, _sha256: &str, _owners: Option<(&str, &[(String, u32)])>) -> Body {
        let archive = text(&landed.file.replace('/', "\\"));
        Body::Own(format!("{TEXT}{before}{}Unpack {archive}\n", squeeze(TAR)))
    }

    fn pack(&self, archive: &str, paths: &[String], limit: usize, _: Option<u64>) -> Body {
        let paths: Vec<String> = paths.iter().map(|path| text(&path.replace('/', "\\"))).collect();
        let archive = text(&archive.replace('/', "\\"));
        Body::Own(format!("{TEXT}{}Pack {archive} @({}) {limit}\n", squeeze(TAR), paths.join(", ")))
    }
}

/// [`text`] for scripts that begin with nothing else.
const TEXT: &str =
    "function Text($data) { return [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($data)) }\n";

/// A whole script that configures something in a guest: our own settings, and what uses them.
pub(super) fn configured(settings: &[(&str, String)], script: &str) -> Body {
    let mut out = TEXT.to_owned();
    for (name, value) in settings {
        let _ = writeln!(out, "${name} = {}", text(value));
    }
    Body::Own(out + &squeeze(script))
}
