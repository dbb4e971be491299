//! The script that turns into a job: environment, directory, and then the command in its place.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{PATH, Unix, octal, plain_name};
use crate::guest::error::{Error, Result};
use crate::guest::job::{Body, EnvPiece, Interpreter, Job};
use crate::guest::quote;

/// How data stands in a script.
#[derive(Clone, Copy)]
pub(super) struct Coding<'a> {
    /// Ends here-documents; nobody guesses it.
    pub delimiter: &'a str,
    /// Whether archives are octal numbers, for guests without a decoder; else base64.
    pub octal: bool,
}

/// Appends a command that makes a file of this text.
pub(super) fn here_document(text: &mut String, file: &str, content: &str, delimiter: &str) -> Result<()> {
    if content.contains('\0') {
        return Err(Error::Unsendable {
            what: "a script".to_owned(),
            why: "it has a NUL character in it, and no shell reads past that".to_owned(),
        });
    }
    // Here-documents nest (a job's script in its launcher in the batch), and a script may have our own delimiter in it
    // only if somebody guessed a random number.
    let mut delimiter = delimiter.to_owned();
    while content.lines().any(|line| line == delimiter) {
        delimiter.push('_');
    }
    let newline = if content.ends_with('\n') || content.is_empty() { "" } else { "\n" };
    let _ = writeln!(text, "cat >{file} <<'{delimiter}'\n{content}{newline}{delimiter}");
    Ok(())
}

/// The launcher of a job, or of what tells whether it is needed. Its arguments: a directory of its user's, where its script
/// gets the name `script`; a locale; the guest's decoder; the login's home directory.
pub(super) fn launcher(unix: &Unix, job: &Job, body: &Body, script: &str, coding: Coding<'_>) -> Result<String> {
    let delimiter = coding.delimiter;
    let mut text = String::from("rm -f \"$0\"\n");
    let path = format!("\"$1/{script}\"");
    let own = ours(body);
    let command = match own.as_ref().unwrap_or(body) {
        Body::Read { .. } | Body::Exists(_) | Body::Delete(_) | Body::HostName | Body::Own(_) => String::new(),
        Body::Script { text: content, interpreter } => {
            let (argv, shell) = interpreter_words(content, interpreter)?;
            let content = if shell { removing_itself(content) } else { content.clone() };
            here_document(&mut text, &path, &content, delimiter)?;
            format!("exec {argv} {path}\n")
        }
        Body::Exec(argv) => {
            if argv.iter().any(|word| word.contains('\0')) {
                return Err(unsendable(job, "an argument has a NUL character in it"));
            }
            match argv.first() {
                Some(program) if !program.is_empty() => format!("exec {}\n", words(argv)),
                _ => return Err(unsendable(job, "it names no program")),
            }
        }
        Body::Unpack { tar, owner } => unpack(job, coding, tar, owner.as_deref())?,
    };
    text.push_str("umask 022\n");
    environment(unix, job, &mut text);
    match &job.workdir {
        Some(directory) if directory.contains('\0') => return Err(unsendable(job, "its directory has a NUL in it")),
        Some(directory) => {
            let directory = quote(directory);
            let _ = writeln!(text, "[ -d {directory} ] || mkdir -p -- {directory}\ncd -- {directory} || exit 126");
        }
        None => text.push_str("cd 2>/dev/null || cd /\n"),
    }
    text.push_str("unset OLDPWD\n");
    // Last, lest it changes what the lines before do.
    variables(job, &mut text)?;
    text.push_str(&command);
    Ok(text)
}

/// What is asked for by what it does, as a script.
fn ours(body: &Body) -> Option<Body> {
    let text = match body {
        Body::Read { path, delete } => {
            let path = quote(path);
            let rm = if *delete { format!(" && rm -f -- {path}") } else { String::new() };
            format!("cat < {path}{rm}\n")
        }
        Body::Exists(path) => format!("[ -e {path} ] || [ -h {path} ]\n", path = quote(path)),
        Body::Delete(path) => format!("rm -rf -- {}\n", quote(path)),
        Body::HostName => "uname -n\n".to_owned(),
        Body::Own(text) => text.clone(),
        Body::Script { .. } | Body::Exec(_) | Body::Unpack { .. } => return None,
    };
    Some(Body::Script { text, interpreter: Interpreter::sh() })
}

fn unsendable(job: &Job, why: &str) -> Error {
    Error::Unsendable { what: format!("job {}", job.id), why: why.to_owned() }
}

fn words(list: &[String]) -> String {
    list.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ")
}

/// What every job has in its environment.
fn environment(unix: &Unix, job: &Job, text: &mut String) {
    match job.run_as.as_ref().filter(|run_as| run_as.user != unix.user) {
        Some(run_as) => {
            let user = quote(&run_as.user);
            // sudo, su and their kin set HOME, and not all of them always to the new user's.
            if plain_name(&run_as.user) {
                let _ = writeln!(text, "home=~{}\ncase $home in /*) HOME=$home ;; esac", run_as.user);
            }
            let _ = writeln!(text, "USER={user} LOGNAME={user}");
        }
        None => {
            let _ = writeln!(text, "HOME=$4 USER={u} LOGNAME={u}", u = quote(&unix.user));
        }
    }
    let _ = writeln!(text, "PATH={PATH} SHELL=/bin/sh LANG=$2\nexport HOME USER LOGNAME PATH SHELL LANG\nunset TERM",);
}

/// The job's own variables.
fn variables(job: &Job, text: &mut String) -> Result<()> {
    for variable in &job.env {
        let name = &variable.name;
        if !is_name(name) {
            return Err(Error::Unsendable {
                what: format!("variable `{name}`"),
                why: "a name is a letter or `_`, then letters, digits and `_`".to_owned(),
            });
        }
        let _ = write!(text, "{name}=");
        for piece in &variable.value {
            match piece {
                EnvPiece::Literal(value) if value.contains('\0') => {
                    return Err(Error::Unsendable {
                        what: format!("variable `{name}`"),
                        why: "its value has a NUL character in it".to_owned(),
                    });
                }
                EnvPiece::Literal(value) => text.push_str(&quote(value)),
                EnvPiece::Variable(other) if is_name(other) => {
                    let _ = write!(text, "\"${{{other}-}}\"");
                }
                EnvPiece::Variable(other) => {
                    return Err(Error::Unsendable {
                        what: format!("variable `{name}`"),
                        why: format!("`{other}` in it is no variable's name"),
                    });
                }
            }
        }
        let _ = writeln!(text, "\nexport {name}");
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The shells whose scripts remove themselves.
fn is_shell(word: &str) -> bool {
    let name = word.rsplit('/').next().unwrap_or_default();
    matches!(name, "sh" | "bash" | "dash" | "ash" | "ksh" | "ksh93" | "mksh" | "zsh")
}

/// The words before a script's path, and whether it is a shell that we know.
fn interpreter_words(content: &str, interpreter: &Interpreter) -> Result<(String, bool)> {
    match interpreter {
        Interpreter::Program { argv, errexit } => {
            let shell = argv.iter().any(|word| is_shell(word));
            // `-c` would take the script's path for a command.
            let mut argv: Vec<String> = argv.iter().filter(|word| !shell || *word != "-c").cloned().collect();
            if shell && *errexit {
                argv.push("-e".to_owned());
            }
            if argv.is_empty() {
                argv.push("sh".to_owned());
            }
            Ok((words(&argv), shell))
        }
        Interpreter::Shebang => {
            // As the kernel reads it: a program and at most one argument. Our own reading works on file systems
            // that are mounted noexec.
            let line = content.strip_prefix("#!").and_then(|rest| rest.lines().next()).unwrap_or_default().trim();
            let (program, argument) = match line.split_once([' ', '\t']) {
                Some((program, argument)) => (program, Some(argument.trim())),
                None => (line, None),
            };
            if program.is_empty() {
                return Err(Error::Unsendable {
                    what: "a script".to_owned(),
                    why: "its first line names no interpreter".to_owned(),
                });
            }
            let argv: Vec<String> = [Some(program), argument].into_iter().flatten().map(str::to_owned).collect();
            let shell = is_shell(program) || argument.is_some_and(is_shell);
            Ok((words(&argv), shell))
        }
    }
}

/// A shell's script that removes itself, on its first line lest others get new numbers. The shell has it open.
fn removing_itself(content: &str) -> String {
    const REMOVE: &str = "rm -f -- \"$0\"; ";
    match content.strip_prefix("#!").and_then(|_| content.split_once('\n')) {
        Some((first, rest)) => format!("{first}\n{REMOVE}{rest}"),
        None => format!("{REMOVE}{content}"),
    }
}

/// Unpacks an archive that stands in the launcher itself.
fn unpack(job: &Job, coding: Coding<'_>, tar: &[u8], owner: Option<&str>) -> Result<String> {
    let (decode, size) = match coding.octal {
        true => (r#"while read -r l; do printf %b "$l"; done"#, 240),
        false => ("case $3 in openssl) openssl base64 -d ;; *) base64 -d ;; esac", 57),
    };
    let delimiter = coding.delimiter;
    let mut text = format!("cd / && {{\n{decode}\n}} <<'{delimiter}_' | tar xpf - || exit 1\n");
    for part in tar.chunks(size) {
        match coding.octal {
            true => text.push_str(&octal(part).replace('%', "\\0")),
            false => text.push_str(&STANDARD.encode(part)),
        }
        text.push('\n');
    }
    let _ = writeln!(text, "{delimiter}_");
    if let Some(owner) = owner {
        let mut paths = Vec::new();
        let mut archive = tar::Archive::new(tar);
        for entry in archive.entries().map_err(|e| unsendable(job, &e.to_string()))? {
            let entry = entry.map_err(|e| unsendable(job, &e.to_string()))?;
            let path = entry.path().map_err(|e| unsendable(job, &e.to_string()))?;
            let mode = if entry.header().entry_type().is_symlink() { 0 } else { entry.header().mode().unwrap_or(0) };
            paths.push((path.to_string_lossy().into_owned(), mode));
        }
        chown(&mut text, owner, &paths);
    }
    text.push_str("exit\n");
    Ok(text)
}

/// Appends commands that give paths, relative to `/`, to an owner. Their modes are those that they have: who gives a file
/// away takes its set-user-ID and set-group-ID bits.
pub(super) fn chown(text: &mut String, owner: &str, paths: &[(String, u32)]) {
    let word = |path: &str| quote(&format!("./{}", path.trim_start_matches('/')));
    for group in paths.chunks(50) {
        let _ = write!(text, "chown -h {}", quote(owner));
        for (path, _) in group {
            let _ = write!(text, " {}", word(path));
        }
        text.push_str(" || exit 1\n");
    }
    for (path, mode) in paths.iter().filter(|(_, mode)| mode & 0o6000 != 0) {
        let _ = writeln!(text, "chmod {mode:o} {} || exit 1", word(path));
    }
}
