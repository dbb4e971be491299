//! Unix guests: what is sent to them, as POSIX shell text.

mod facts;
mod launcher;

use std::fmt::Write;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

pub(super) use facts::{Found, Report, Standing};

use super::MAX_CAPTURE;
use super::archive::Placed;
use super::error::{Error, Result};
use super::family::{self, BatchPlan, Decoder, Facts, Family, Landed, Opening};
use super::job::{Body, Job, RunAs, Via};
use super::noway::NoWay;
use super::quote;
use super::wire::Program;
use launcher::Coding;

const OPEN: &str = include_str!("open.sh");
const BOOT_ID: &str = include_str!("bootid.sh");
const SUPERVISE: &str = include_str!("supervise.sh");
const BECOME: &str = include_str!("become.sh");

/// What programs are found in, for our own use and as the start of a job's PATH.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Largest value of the variable that carries a program, in bytes: with the rest of the request it stays below 64 KiB.
const ENVELOPE: usize = 56 << 10;

/// Bytes of output that are listed before the rate is limited.
const BUDGET: usize = 64 << 10;
/// The same where all of the output is wanted and nothing else can carry it.
const CAPTURE_BUDGET: usize = (1 << 20) + (64 << 10);

/// A script without comment lines and indentation, for the way. Its here-documents have none that count.
pub(super) fn squeeze(script: &str) -> String {
    let mut out = String::with_capacity(script.len());
    for line in script.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        out.push_str(line);
        out.push('\n');
    }
    out
}

/// Where a guest reports when nobody knows where its work directory is.
pub(super) fn meeting_place(nonce: &str) -> String {
    format!("/tmp/.vmwbuild-{nonce}")
}

/// Whether a user's name means the same in any place of shell text.
fn plain_name(user: &str) -> bool {
    user.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && user.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

/// Bytes as letters, digits, `_+/=.,:@-` and `%ooo`.
fn octal(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => out.push(char::from(*byte)),
            b'_' | b'+' | b'/' | b'=' | b'.' | b',' | b':' | b'@' => out.push(char::from(*byte)),
            _ => drop(write!(out, "%{byte:03o}")),
        }
    }
    out
}

/// Bytes as [`octal`] has them, but blanks as `,` and ends of lines as `@`: half the size, for text.
fn dense(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        match byte {
            b' ' => out.push(','),
            b'\n' => out.push('@'),
            b',' | b'@' => drop(write!(out, "%{byte:03o}")),
            _ => out.push_str(&octal(&[byte])),
        }
    }
    out
}

/// Guests with a POSIX shell, as one account: what can be said to them without knowing more.
#[derive(Clone)]
pub(super) struct Unix {
    /// The login.
    pub user: String,
    /// The shell's path.
    pub sh: String,
    /// Names the work directory and marks processes.
    pub name: String,
    /// Seconds between SIGTERM and SIGKILL.
    pub grace: u64,
}

impl Family for Unix {
    fn name(&self) -> &str {
        &self.name
    }

    fn meeting_place(&self, nonce: &str) -> String {
        meeting_place(nonce)
    }

    fn settle(&self, facts: Facts) -> Arc<dyn family::Settled> {
        Arc::new(Settled { unix: self.clone(), facts })
    }

    fn guess(&self) -> String {
        match self.user.as_str() {
            "root" => format!("/root/.vmwbuild-{}", self.name),
            user => format!("/home/{user}/.vmwbuild-{}", self.name),
        }
    }

    fn first(&self, opening: &Opening<'_>, batch: Option<(&str, &[Job])>) -> Option<Program> {
        let mut text = format!(
            "NONCE={} STAMP={} NAME={} GUESS={} KNOWN={} OLD={}\n",
            opening.meeting,
            opening.stamp,
            self.name,
            quote(opening.guess),
            quote(opening.claim.and_then(|claim| claim.work).or(opening.known).unwrap_or_default()),
            quote(&opening.old.map(meeting_place).unwrap_or_default()),
        );
        let number = opening.claim.map(|claim| claim.number.to_string()).unwrap_or_default();
        let ahead = if batch.is_some() { "1" } else { "" };
        let unpacks = |job: &Job| matches!(job.body, Body::Unpack { .. });
        let need = if batch.is_some_and(|(_, jobs)| jobs.iter().any(unpacks)) { "1" } else { "" };
        let _ = writeln!(text, "BATCH={number} AHEAD={ahead} NEED={need}");
        if let Some(place) = opening.claim.and_then(|claim| claim.meeting) {
            let _ = writeln!(text, "rm -rf {}", quote(&meeting_place(place)));
        }
        // A tilde is expanded in front of a plain name only.
        match plain_name(&self.user) {
            true => drop(writeln!(text, "home=~{}", self.user)),
            false => text.push_str("home=\n"),
        }
        text.push_str(&squeeze(BOOT_ID));
        let become_user = format!("BECOME={}\n", quote(&squeeze(BECOME)));
        let run = become_user + &squeeze(BOOT_ID) + &squeeze(SUPERVISE);
        text.push_str(&squeeze(OPEN).replace("@RUN@\n", &run));
        if let Some((batch, _)) = batch {
            text.push_str(batch);
        }
        // Neither a base64 program nor a shell that prints without one is certain, so: octal numbers, and sed.
        let arguments = r#"-c 'eval "$(printf %b "$(echo "$VMWBUILD"|sed "s/,/ /g;s/%/\\\\0/g;s/@/\\\\0012/g")")"'"#;
        let value = dense(&text);
        (value.len() <= ENVELOPE).then(|| Program {
            path: self.sh.clone(),
            arguments: arguments.to_owned(),
            env: vec![format!("PATH={PATH}"), format!("VMWBUILD={value}")],
        })
    }

    fn batch(&self, plan: &BatchPlan<'_>) -> Result<String> {
        let delimiter = format!("VMW_{}", plan.nonce);
        let n = plan.number;
        // What the first program found is told before anything else. What earlier batches have left goes.
        let mut text = format!(
            "mkdir b{n} 2>/dev/null && mkdir b{n}/s0 || exit 0\necho \"$boot\" >b{n}/boot\ncd b{n} || exit\n\
             if [ -n \"$AHEAD\" ] && [ \"$work\" = \"$GUESS\" ]; then\nreport s0\necho \"$seq\" >first\nfi\n\
             set --\nfor d in ../b[0-9]* ../p[0-9]* ../in.{n} ../in.{n}.*; do\n\
             [ \"$d\" = ../b{n} ] || [ ! -e \"$d\" ] || set -- \"$@\" \"$d\"\ndone\n\
             [ $# = 0 ] || rm -rf \"$@\"\n",
        );
        let mut main = self.settings(&format!("{}.{n}", self.name), plan.nonce, plan.chunk);
        main.push_str("batch\n");
        let coding = Coding { delimiter: &delimiter, octal: plan.octal };
        let mut passwords: Vec<&str> = Vec::new();
        for (index, job) in plan.jobs.iter().enumerate() {
            let become_user = self.becoming(job.run_as.as_ref(), plan.password, &mut passwords)?;
            main.push_str(&job_line(index, job, plan.chunk, &become_user));
            let bodies = [(Some(&job.body), "l"), (job.unless.as_ref(), "u")];
            for (body, suffix) in bodies.into_iter().filter_map(|(body, suffix)| Some((body?, suffix))) {
                let launcher = launcher::launcher(self, job, body, &format!("{index}.{suffix}s"), coding)?;
                launcher::here_document(&mut text, &format!("{index}.{suffix}"), &launcher, &delimiter)?;
            }
        }
        for (number, password) in passwords.iter().enumerate() {
            launcher::here_document(&mut text, &format!("w{number}"), password, &delimiter)?;
        }
        main.push_str("end\n");
        launcher::here_document(&mut text, "main", &main, &delimiter)?;
        text.push_str("unset VMWBUILD VMWBUILD_TO\n");
        let sh = quote(&self.sh);
        let _ =
            writeln!(text, "command -v setsid >/dev/null 2>&1 && exec setsid {sh} main\ntrap '' HUP\nexec {sh} main");
        Ok(text)
    }
}

impl Unix {
    /// How a job of the batch becomes its user, as the last words of its line: the wish that the supervisor knows, the
    /// user, and the number of the password that sudo is told when it asks.
    fn becoming<'a>(&self, run_as: Option<&'a RunAs>, login: &'a str, passwords: &mut Vec<&'a str>) -> Result<String> {
        let Some(run_as) = run_as.filter(|run_as| run_as.user != self.user) else {
            return Ok("- - -".to_owned());
        };
        if run_as.user.is_empty() || run_as.user.starts_with('-') || run_as.user.contains(['\0', '\n', ':']) {
            let why = NoWay::NoName;
            return Err(Error::RunAs { login: self.user.clone(), user: run_as.user.clone(), why, said: String::new() });
        }
        let wish = match run_as.via {
            Via::Auto => "auto",
            Via::Runuser => "runuser",
            Via::Su => "su",
            Via::Sudo => "sudo",
            Via::Doas => "doas",
        };
        let password = run_as.password.as_deref().unwrap_or(login);
        // From root nobody asks.
        let asks = matches!(run_as.via, Via::Auto | Via::Sudo) && self.user != "root" && !password.is_empty();
        let number = match asks {
            false => "-".to_owned(),
            true if password.contains(['\0', '\n', '\r']) => {
                return Err(Error::Unsendable {
                    what: "the password for sudo".to_owned(),
                    why: "sudo reads one line, and it has more".to_owned(),
                });
            }
            true => {
                let at = passwords.iter().position(|known| *known == password).unwrap_or_else(|| {
                    passwords.push(password);
                    passwords.len() - 1
                });
                at.to_string()
            }
        };
        Ok(format!("{wish} {} {number}", quote(&run_as.user)))
    }

    /// The settings and functions of the supervisor, for a script in a directory of the work directory.
    fn settings(&self, mark: &str, nonce: &str, chunk: bool) -> String {
        let (sh, grace, chunk) = (quote(&self.sh), self.grace, u8::from(chunk));
        format!("SH={sh} GRACE={grace} MARK={mark} NONCE={nonce} CHUNK={chunk}\n. ../run\n")
    }
}

/// One line of a batch's main: the job's settings.
fn job_line(index: usize, job: &Job, chunk: bool, become_user: &str) -> String {
    let limit = job.timeout.map_or(0, |t| t.as_millis().div_ceil(10).max(1));
    let delay = job.delay.as_secs_f64();
    let oks: Vec<String> = job.ok.iter().map(i32::to_string).collect();
    let budget = if job.capture && !chunk { CAPTURE_BUDGET } else { BUDGET };
    let most = if job.capture { MAX_CAPTURE } else { 0 };
    format!(
        "job {index} {limit} {} {delay:.3}/{} '{}' {} '{budget} {most}' {become_user}\n",
        job.retry,
        delay.ceil(),
        oks.join(" "),
        u8::from(job.allow_failure),
    )
}

/// What begins with something large that has arrived, and ends with its removal: it takes as much room as what is made of it.
fn arrived(before: &str, landed: &Landed, sha256: &str) -> String {
    let gone: Vec<String> = landed.remove.iter().map(|path| quote(path)).collect();
    let mut text = format!("gone() {{\nrm -rf {}\n}}\ntrap gone EXIT\n{before}", gone.join(" "));
    if !before.is_empty() {
        text.push_str("umask 022\n");
    }
    let _ = writeln!(
        text,
        "if command -v sha256sum >/dev/null 2>&1; then\n\
         case $(sha256sum <{}) in {sha256}*) ;; *) echo 'it arrived damaged' >&2; exit 1 ;; esac\nfi",
        quote(&landed.file)
    );
    text
}

/// What `find -size` counts in, in bytes.
const BLOCK: u64 = 512;

/// A time as `touch -t` takes it, in UTC.
fn stamp(epoch: u64) -> Option<String> {
    let time = time::OffsetDateTime::from_unix_timestamp(i64::try_from(epoch).ok()?).ok()?;
    let (date, hour, minute, second) = (time.date(), time.hour(), time.minute(), time.second());
    let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
    (1970..=9999).contains(&year).then(|| format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}.{second:02}"))
}

/// A guest with a POSIX shell, of which is known what it has.
pub(super) struct Settled {
    /// What was known before.
    pub unix: Unix,
    /// What was found there.
    pub facts: Facts,
}

impl Settled {
    /// A program that evaluates this text, if that fits in a request.
    fn evaluate(&self, text: &str) -> Option<Program> {
        let (arguments, value) = match self.facts.decoder {
            Decoder::Base64 => (r#"-c 'eval "$(echo "$VMWBUILD"|base64 -d)"'"#, STANDARD.encode(text)),
            Decoder::Openssl => (r#"-c 'eval "$(echo "$VMWBUILD"|openssl base64 -d -A)"'"#, STANDARD.encode(text)),
            Decoder::None => {
                (r#"-c 'eval "$(printf %b "$(echo "$VMWBUILD"|sed "s/%/\\\\0/g")")"'"#, octal(text.as_bytes()))
            }
        };
        (value.len() <= ENVELOPE).then(|| self.program(arguments, vec![format!("VMWBUILD={value}")]))
    }

    fn program(&self, arguments: &str, mut env: Vec<String>) -> Program {
        env.insert(0, format!("PATH={PATH}"));
        Program { path: self.unix.sh.clone(), arguments: arguments.to_owned(), env }
    }

    fn settings(&self, mark: &str, chunk: bool) -> String {
        self.unix.settings(mark, "none", chunk)
    }

    fn mark(&self, batch: u64) -> String {
        format!("{}.{batch}", self.unix.name)
    }

    /// A program of a text that always fits.
    fn small(&self, text: &str) -> Program {
        self.evaluate(text).unwrap_or_else(|| self.program("-c 'exit 1'", Vec::new()))
    }
}

impl family::Settled for Settled {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn batch_directory(&self, batch: u64) -> String {
        format!("{}/b{batch}", self.facts.work)
    }

    fn whole(&self, batch: &str, meeting: Option<&str>) -> String {
        format!(
            "umask 077\n{rm}cd {work} || exit\nAHEAD=\n{bootid}bootid\n{batch}",
            rm = meeting.map(|nonce| format!("rm -rf {}\n", meeting_place(nonce))).unwrap_or_default(),
            work = quote(&self.facts.work),
            bootid = squeeze(BOOT_ID),
        )
    }

    fn start(&self, text: &str) -> Option<Program> {
        self.evaluate(text)
    }

    fn start_uploaded(&self, batch: u64) -> Program {
        let text = format!("cd {} && . ./in.{batch}\n", quote(&self.facts.work));
        self.small(&text)
    }

    fn parts(&self, path: &str, content: &[u8]) -> Vec<Program> {
        let size = match self.facts.decoder {
            Decoder::Base64 | Decoder::Openssl => ENVELOPE / 4 * 3,
            Decoder::None => ENVELOPE / 4,
        };
        let store = |command: &str| {
            format!(
                r#"-c 'umask 077;echo "$VMWBUILD"|{command} >"$VMWBUILD_TO.t"&&mv "$VMWBUILD_TO.t" "$VMWBUILD_TO"'"#
            )
        };
        content
            .chunks(size)
            .enumerate()
            .map(|(index, part)| {
                let (arguments, value) = match self.facts.decoder {
                    Decoder::Base64 => (store("base64 -d"), STANDARD.encode(part)),
                    Decoder::Openssl => (store("openssl base64 -d -A"), STANDARD.encode(part)),
                    Decoder::None => (store(r#"{ x=$(sed "s/%/\\\\0/g");printf %b "$x"; }"#), octal(part)),
                };
                self.program(&arguments, vec![format!("VMWBUILD_TO={path}.{index}"), format!("VMWBUILD={value}")])
            })
            .collect()
    }

    fn join_parts(&self, path: &str, count: usize) -> String {
        // Programs run side by side: the parts come in any order, and this one may be the first.
        format!(
            "umask 077\nto={path}\ni=0\nn=0\n\
             while [ \"$i\" -lt {count} ]; do\n\
             if [ -f \"$to.$i\" ]; then i=$((i + 1)); continue; fi\n\
             n=$((n + 1))\n[ \"$n\" -gt 600 ] && exit 1\nsleep {tick}\ndone\n\
             i=0\nwhile [ \"$i\" -lt {count} ]; do cat \"$to.$i\" && rm -f \"$to.$i\" || exit 1; i=$((i + 1)); done >\"$to\"\n",
            path = quote(path),
            tick = self.facts.tick,
        )
    }

    fn start_parts(&self, batch: u64, count: usize) -> Program {
        let work = quote(&self.facts.work);
        let join = self.join_parts(&format!("{}/in.{batch}", self.facts.work), count);
        self.small(&format!("cd {work} || exit\n[ -d b{batch} ] && exit\n{join}. ./in.{batch}\n"))
    }

    fn attach(&self, batch: u64, job: usize) -> Program {
        self.small(&format!(
            "cd {dir} || exit\n{settings}pids\nbootid\nread -r began <boot\nif [ \"$boot\" = \"$began\" ]; then\n\
             alive \"$scribe\" && exit\n\
             if alive \"$runner\"; then\ntrue >stop\nendtree \"$runner\" $$ \"$MARK.\"\nkill -KILL \"$runner\"\nfi\n\
             fi 2>/dev/null\n\
             said=-\nfor f in {job}.*.rc; do\n\
             if [ -s \"$f\" ]; then read -r verdict how num took <\"$f\"; [ \"$verdict\" = done ] && said=$how$num.$took; fi\n\
             done\ndead \"$said\"\n",
            dir = quote(&self.batch_directory(batch)),
            settings = self.settings(&self.mark(batch), false),
        ))
    }

    fn kill(&self, batch: u64) -> Program {
        // The scribe does it. Should it be gone, then we. A batch that has not begun never will.
        self.small(&format!(
            "cd {work} || exit\nmkdir b{batch} 2>/dev/null && new=1 || new=\ncd b{batch} || exit\n{settings}\
             [ -n \"$new\" ] && echo old >void\nif [ -s void ]; then\ndead k0.0\nexit\nfi\n\
             pids\nbootid\nread -r began <boot\n[ \"$boot\" = \"$began\" ] || scribe= runner=\n\
             if alive \"$scribe\"; then\nkill -TERM \"$scribe\"\nnow\nlast=$((t + (GRACE + 12) * 100))\n\
             while alive \"$scribe\"; do sleep \"$TICK\"; now; [ \"$t\" -ge \"$last\" ] && break; done\nfi\n\
             if alive \"$scribe\" || alive \"$runner\"; then\n\
             true >stop\nkill -KILL \"$scribe\"\nendtree \"$runner\" $$ \"$MARK.\"\nkill -KILL \"$runner\"\nfi 2>/dev/null\n\
             dead k0.0\n",
            work = quote(&self.facts.work),
            settings = self.settings(&self.mark(batch), false),
        ))
    }

    fn publish(&self, number: u64, path: &str) -> (Program, String) {
        let directory = format!("{}/p{number}", self.facts.work);
        let text = format!(
            "umask 077\ncd {work} && mkdir p{number} && mkdir p{number}/s0 && cd p{number} || exit 0\n{settings}\
             newlog\nk=0\npos=0\ntokens=0\ngot=1\nexec 4<{path}\n\
             while [ \"$got\" -gt 0 ]; do emit \"$OUT\" 'dd bs=12288 count=1 <&4 2>/dev/null'; done\nrec z\n",
            work = quote(&self.facts.work),
            settings = self.settings("none", false),
            path = quote(path),
        );
        (self.small(&text), directory)
    }

    fn land(&self, number: u64, stamp: u64, path: &str) -> Option<Body> {
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        // What landed before and hasn't been put anywhere was for a try that is over. A directory that somebody else has made is
        // not taken for ours.
        Some(Body::Own(format!(
            "for l in {work}/l.*; do [ -s \"$l\" ] && rm -rf \"$(cat \"$l\")\" \"$l\"; done\n\
             d={path}\n[ -d \"$d\" ] && [ ! -h \"$d\" ] || d={parent}\n\
             mkdir -p \"$d/\" 2>/dev/null\numask 077\nd=$d/.vmwbuild-{name}.{number}\n\
             mkdir \"$d\" 2>/dev/null || exit 0\nprintf '%s\\n' \"$d\" >{work}/l.{stamp}.{number} && printf %s \"$d\" || rmdir \"$d\"\n",
            path = quote(path),
            parent = quote(parent),
            name = self.unix.name,
            work = quote(&self.facts.work),
        )))
    }

    fn put(&self, before: &str, landed: &Landed, sha256: &str, file: Placed<'_>, owner: Option<&str>) -> Body {
        let mut text = arrived(before, landed, sha256);
        let (from, to) = (quote(&landed.file), quote(file.path));
        // As tar does it: a link is replaced, a directory is not.
        let _ = writeln!(
            text,
            "if [ -h {to} ]; then rm -f {to}; elif [ -d {to} ]; then echo {to}': is a directory' >&2; exit 1; fi"
        );
        match owner {
            Some(owner) => drop(writeln!(text, "chown {} {from} || exit 1", quote(owner))),
            None => text.push_str(&format!("[ \"$(id -u)\" != 0 ] || chown 0:0 {from} || exit 1\n")),
        }
        if let Some(stamp) = stamp(file.modified) {
            let _ = writeln!(text, "TZ=UTC0 touch -t {stamp} {from}");
        }
        let _ = writeln!(text, "chmod {:o} {from} && mv -f {from} {to} || exit 1", file.mode);
        Body::Own(text)
    }

    fn unpack(&self, before: &str, landed: &Landed, sha256: &str, owners: Option<(&str, &[(String, u32)])>) -> Body {
        let mut text = arrived(before, landed, sha256);
        let _ = writeln!(text, "cd / && tar xpf {} || exit 1", quote(&landed.file));
        if let Some((owner, paths)) = owners {
            launcher::chown(&mut text, owner, paths);
        }
        Body::Own(text)
    }

    fn pack(&self, archive: &str, paths: &[String], limit: usize, bare: Option<u64>) -> Body {
        let mut words = String::new();
        for path in paths {
            let _ = write!(words, " {}", quote(&format!("./{}", path.trim_start_matches('/'))));
        }
        let bare = bare.map_or_else(String::new, |bytes| {
            format!(
                "p={}\nif [ -n \"$(find \"$p\" -prune -type f -size +{} 2>/dev/null)\" ] && [ -r \"$p\" ] && \
                 s=$(stat -c '%s %a %Y' \"$p\" 2>/dev/null); then echo \"bare $s\"; exit; fi\n",
                words.trim_start(),
                bytes / BLOCK
            )
        });
        // The file must not be readable by others, but by the login. Of a file that grows meanwhile, GNU tar takes what
        // it had at first, and ends with 1.
        Body::Own(format!(
            "cd / || exit\n{bare}f=cf\nfor p in{words}; do\n\
             if [ -h \"$p\" ]; then f=chf; elif [ ! -e \"$p\" ]; then echo \"/${{p#./}}: no such file or directory\" >&2; exit 1; fi\n\
             done\numask 077\ntar $f {archive}{words}\n\
             case $? in 0) ;; 1) case $(tar --version 2>/dev/null) in *GNU*) ;; *) exit 1 ;; esac ;; *) exit 1 ;; esac\n[ \"$(id -u)\" = {uid} ] || chown {uid} {archive} || exit 1\n\
             size=$(wc -c <{archive})\nsize=$((size))\necho \"$size\"\n\
             if [ \"$size\" -le {limit} ]; then cat {archive}; rm -f {archive}; fi\n",
            archive = quote(archive),
            uid = self.facts.uid,
        ))
    }
}
