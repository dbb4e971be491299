//! Values of SECRETs: given by flags, made, or asked for on a terminal.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::{codes, settings, terminal};
use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::sema::program::Secret;

/// Where the value of a secret comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    Variable(String),
    File(PathBuf),
    Command(String),
}

/// What happens to a secret that nobody gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// It is asked for, if there is a terminal; else an error.
    Ask,
    /// It is made, with a note: the sandbox needs no real one.
    Generate,
    /// As `Ask`; but what the build has made itself is in use already, and can't be made again.
    Made,
}

/// The values in the program's order. Notes about generated ones come with them.
pub(crate) fn resolve(
    secrets: &[Secret],
    given: &[String],
    outs: &[String],
    missing: Missing,
) -> Result<(Vec<String>, Vec<String>), Vec<Diagnostic>> {
    let mut problems = Vec::new();
    let mut sources: Vec<(String, Source)> = Vec::new();
    for flag in given {
        match parse(flag) {
            Ok(pair) => sources.push(pair),
            Err(problem) => problems.push(problem),
        }
    }
    let mut destinations: Vec<(String, PathBuf)> = Vec::new();
    for flag in outs {
        match parse_out(flag) {
            Ok(pair) => destinations.push(pair),
            Err(problem) => problems.push(problem),
        }
    }
    let names = || secrets.iter().map(|s| s.name.as_str());
    let all = sources.iter().map(|(n, _)| ("--secret", n)).chain(destinations.iter().map(|(n, _)| ("--secret-out", n)));
    for (flag, name) in all {
        if !names().any(|n| n == name) {
            problems.push(unknown(flag, name, names()));
        }
    }
    let (mut values, mut notes) = (Vec::new(), Vec::new());
    for secret in secrets {
        let value = match sources.iter().rev().find(|(n, _)| *n == secret.name) {
            Some((_, source)) => read(&secret.name, source),
            None => match (secret.generate, missing) {
                (Some(_), Missing::Made) => Err(made(secret)),
                (Some(length), _) => generate(length as usize),
                (None, Missing::Generate) => {
                    notes.push(format!("secret `{}` is not given: the sandbox uses a generated value", secret.name));
                    generate(24)
                }
                (None, Missing::Ask | Missing::Made) => {
                    terminal::ask_secret(&secret.name).ok_or_else(|| absent(secret))
                }
            },
        };
        match value {
            Ok(value) => values.push(value),
            Err(problem) => problems.push(problem),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    for (name, path) in destinations {
        let value = secrets.iter().position(|s| s.name == name).and_then(|at| values.get(at));
        if let Some(value) = value
            && let Err(problem) = write(&path, value)
        {
            problems.push(problem);
        }
    }
    if problems.is_empty() { Ok((values, notes)) } else { Err(problems) }
}

/// `key=value` pairs separated by commas; `cmd=` takes the rest, commas included.
fn fields(flag: &str) -> Vec<(&str, &str)> {
    let mut out = Vec::new();
    let mut rest = flag;
    while !rest.is_empty() {
        if let Some(command) = rest.strip_prefix("cmd=") {
            out.push(("cmd", command));
            break;
        }
        let (field, after) = rest.split_once(',').unwrap_or((rest, ""));
        out.push(field.split_once('=').unwrap_or((field, "")));
        rest = after;
    }
    out
}

fn parse(flag: &str) -> Result<(String, Source), Diagnostic> {
    let fields = fields(flag);
    let get = |key: &str| fields.iter().find(|(k, v)| *k == key && !v.is_empty()).map(|(_, v)| (*v).to_owned());
    let known = fields.iter().all(|(k, _)| matches!(*k, "id" | "env" | "src" | "cmd"));
    let source = match (get("env"), get("src"), get("cmd")) {
        (Some(name), None, None) => Some(Source::Variable(name)),
        (None, Some(path), None) => Some(Source::File(path.into())),
        (None, None, Some(command)) => Some(Source::Command(command)),
        _ => None,
    };
    match (get("id"), source, known) {
        (Some(id), Some(source), true) => Ok((id, source)),
        _ => Err(Diagnostic::new(&codes::BAD_ARGUMENT, format!("can't understand `--secret {flag}`")).help(
            "it names the secret and one place its value comes from: `--secret id=token,env=TOKEN`, \
             `--secret id=token,src=token.txt` or `--secret id=token,cmd=\"pass show token\"`",
        )),
    }
}

/// What is wrong with the flags, and the secrets that a build without a terminal would lack. Nothing is read or run.
pub(crate) fn lacking(secrets: &[Secret], given: &[String]) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let mut names = Vec::new();
    for flag in given {
        match parse(flag) {
            Ok((name, _)) => names.push(name),
            Err(problem) => problems.push(problem),
        }
    }
    let declared = || secrets.iter().map(|s| s.name.as_str());
    for name in names.iter().filter(|n| !declared().any(|d| d == n.as_str())) {
        problems.push(unknown("--secret", name, declared()));
    }
    if !terminal::can_ask() {
        let without = secrets.iter().filter(|s| s.generate.is_none() && !names.contains(&s.name));
        problems.extend(without.map(absent));
    }
    problems
}

fn parse_out(flag: &str) -> Result<(String, PathBuf), Diagnostic> {
    let fields = fields(flag);
    let get = |key: &str| fields.iter().find(|(k, v)| *k == key && !v.is_empty()).map(|(_, v)| (*v).to_owned());
    match (get("id"), get("dst")) {
        (Some(id), Some(path)) => Ok((id, path.into())),
        _ => Err(Diagnostic::new(&codes::BAD_ARGUMENT, format!("can't understand `--secret-out {flag}`"))
            .help("as in `--secret-out id=token,dst=token.txt`")),
    }
}

fn unknown<'a>(flag: &str, name: &str, names: impl Iterator<Item = &'a str> + Clone) -> Diagnostic {
    let near = did_you_mean(name, names.clone());
    let help = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => match names.map(|n| format!("`{n}`")).collect::<Vec<_>>() {
            list if list.is_empty() => "the VMWfile (or the chosen target) uses no secret".to_owned(),
            list => format!("it declares {}", list.join(", ")),
        },
    };
    Diagnostic::new(&codes::SECRET_UNKNOWN, format!("`{flag}` names `{name}`, which the VMWfile doesn't declare"))
        .help(help)
}

fn made(secret: &Secret) -> Diagnostic {
    let name = &secret.name;
    let text = format!("the secret `{name}` was made by the build, and no journal holds it");
    Diagnostic::new(&codes::SECRET_MISSING, text).primary(secret.span, "declared here").help(format!(
        "give it from the file that `--secret-out` wrote: `--secret id={name},src=FILE`; else clean up and build anew"
    ))
}

fn absent(secret: &Secret) -> Diagnostic {
    let name = &secret.name;
    Diagnostic::new(&codes::SECRET_MISSING, format!("the secret `{name}` was given no value"))
        .primary(secret.span, "declared here")
        .help(format!(
            "give it by `--secret id={name},env=VARIABLE`, `--secret id={name},src=FILE` or \
             `--secret id={name},cmd=COMMAND`, or let it be made: `SECRET {name} GENERATE 24`"
        ))
}

fn read(name: &str, source: &Source) -> Result<String, Diagnostic> {
    let failed = |text: String| Diagnostic::new(&codes::SECRET_UNREADABLE, text);
    let value = match source {
        Source::Variable(variable) => std::env::var(variable).map_err(|e| {
            let why = match e {
                std::env::VarError::NotPresent => "isn't set",
                std::env::VarError::NotUnicode(_) => "isn't UTF-8 text",
            };
            failed(format!("secret `{name}`: the variable {variable} {why}")).help(format!("export {variable}"))
        })?,
        Source::File(path) => settings::read_secret(path, &format!("secret `{name}`"))?,
        Source::Command(command) => run(&format!("secret `{name}`"), command)?,
    };
    if value.contains('\0') {
        let text = format!("secret `{name}` has a NUL byte in it, which no guest command can be given");
        let help = "give it in base64 and decode it in the guest: `printf %s ${{ name }} | base64 -d`";
        return Err(failed(text).help(help));
    }
    if value.is_empty() {
        return Err(
            failed(format!("secret `{name}` is empty")).help("an empty secret is refused, since it hides nothing")
        );
    }
    Ok(value)
}

/// The output of a command that gives a secret; `what` it is, for messages.
pub(crate) fn run(what: &str, command: &str) -> Result<String, Diagnostic> {
    let failed =
        |why: String| Diagnostic::new(&codes::SECRET_UNREADABLE, format!("{what}: the command `{command}` {why}"));
    let (shell, flag) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
    let output = std::process::Command::new(shell)
        .args([flag, command])
        .stdin(std::process::Stdio::null())
        .stderr(std::process::Stdio::inherit())
        .output()
        .map_err(|e| failed(format!("can't be started: {e}")))?;
    if !output.status.success() {
        return Err(failed(format!("failed ({})", output.status)));
    }
    let text = String::from_utf8(output.stdout).map_err(|_| failed("printed what isn't UTF-8 text".to_owned()))?;
    Ok(text.strip_suffix('\n').map_or(text.as_str(), |t| t.strip_suffix('\r').unwrap_or(t)).to_owned())
}

/// Random letters and digits: nothing a shell, URL or configuration file would trip over.
fn generate(length: usize) -> Result<String, Diagnostic> {
    const SIGNS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";
    let mut out = String::with_capacity(length);
    while out.len() < length {
        let mut bytes = [0u8; 64];
        getrandom::fill(&mut bytes).map_err(|e| {
            Diagnostic::new(&codes::SECRET_UNREADABLE, format!("can't make a secret: no source of randomness ({e})"))
        })?;
        // Bytes past the largest multiple would make the first signs likelier.
        let limit = 256 - 256 % SIGNS.len();
        let fair = bytes.iter().filter(|b| usize::from(**b) < limit);
        let signs = fair.filter_map(|b| SIGNS.get(usize::from(*b) % SIGNS.len()).copied().map(char::from));
        out.extend(signs.take(length - out.len()));
    }
    Ok(out)
}

fn write(path: &Path, value: &str) -> Result<(), Diagnostic> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let result = options.open(path).and_then(|mut file| {
        #[cfg(unix)]
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        file.write_all(value.as_bytes())
    });
    result.map_err(|e| Diagnostic::new(&codes::OUTPUT_UNWRITABLE, format!("can't write `{}`: {e}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{SourceId, Span};

    fn secret(name: &str, generate: Option<u32>) -> Secret {
        Secret { name: name.into(), span: Span::new(SourceId(0), 0, 0), generate }
    }

    #[test]
    fn a_value_comes_from_a_file_or_a_command() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pw");
        std::fs::write(&file, "s3cret\n").unwrap();
        let flags = [format!("id=a,src={}", file.display()), "id=b,cmd=echo one, two".to_owned()];
        let (values, _) = resolve(&[secret("a", None), secret("b", None)], &flags, &[], Missing::Ask).unwrap();
        assert_eq!(values, ["s3cret", "one, two"]);
    }

    #[test]
    fn generated_ones_differ_and_can_be_kept() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("made");
        let outs = [format!("id=a,dst={}", out.display())];
        let (values, _) = resolve(&[secret("a", Some(40)), secret("b", Some(40))], &[], &outs, Missing::Ask).unwrap();
        assert_eq!((values[0].len(), values[1].len()), (40, 40));
        assert_ne!(values[0], values[1]);
        assert_eq!(std::fs::read_to_string(&out).unwrap(), values[0]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn mistakes_are_all_reported() {
        let flags =
            ["id=a".to_owned(), "id=tokne,env=X".to_owned(), "id=token,env=VMWBUILD_NO_SUCH_VARIABLE".to_owned()];
        let problems = resolve(&[secret("token", None)], &flags, &[], Missing::Ask).unwrap_err();
        let names: Vec<_> = problems.iter().map(|d| d.code.name).collect();
        assert_eq!(names, ["bad-flag-value", "secret-unknown", "secret-unreadable"]);
        assert_eq!(problems[1].help.as_deref(), Some("did you mean `token`?"));
    }
}
