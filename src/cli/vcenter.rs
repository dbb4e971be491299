//! `vmwbuild vcenter`: connections by name, in a file that only their owner can read.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::settings::{Env, From};
use super::{args, codes, secrets, settings, terminal};
use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::source::Sources;
use crate::vsphere::client::{Endpoint, Thumbprint};

/// The file's name in the configuration directory.
const FILE: &str = "vcenters.toml";

/// A connection that was saved.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Saved {
    #[serde(skip)]
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) username: Option<String>,
    pub(crate) password_command: Option<String>,
    pub(crate) password_env: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) thumbprint: Option<String>,
    pub(crate) ca: Option<String>,
}

impl Saved {
    /// The password, from wherever it is said to be.
    pub(crate) fn password(&self, env: Env<'_>) -> Result<Option<From<String>>, Diagnostic> {
        let what = format!("the password of connection `{}`", self.name);
        if let Some(command) = &self.password_command {
            let value = secrets::run(&what, command)?;
            // vCenter would only say that the password is wrong, and count the attempt.
            if value.is_empty() || value.contains('\n') {
                let printed = if value.is_empty() { "printed nothing" } else { "printed more than one line" };
                let text = format!("{what}: the command `{command}` {printed}");
                let help = "run it by hand: it is to print the password, and nothing else, to standard output";
                return Err(Diagnostic::new(&codes::SECRET_UNREADABLE, text).help(help));
            }
            return Ok(Some(From { value, origin: format!("the password command of connection `{}`", self.name) }));
        }
        if let Some(variable) = &self.password_env {
            let value = env(variable).filter(|v| !v.is_empty()).ok_or_else(|| {
                let text = format!("{what} is to come from the variable {variable}, which isn't set");
                Diagnostic::new(&codes::SECRET_UNREADABLE, text).help(format!("export {variable}"))
            })?;
            return Ok(Some(From { value, origin: format!("{variable}, as connection `{}` says", self.name) }));
        }
        Ok(self.password.clone().map(|value| From { value, origin: format!("connection `{}`", self.name) }))
    }

    fn password_from(&self) -> String {
        match (&self.password_command, &self.password_env, &self.password) {
            (Some(_), ..) => "a command".to_owned(),
            (None, Some(variable), _) => format!("${variable}"),
            (None, None, Some(_)) => "the file".to_owned(),
            (None, None, None) => "asked for".to_owned(),
        }
    }
}

/// Writes a file that only its user can read, whole or not at all; the directory is made where there is none.
pub(super) fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)?;
    // A temporary file is its owner's alone, mode 0600, from the beginning.
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(text.as_bytes())?;
    file.persist(path)?;
    Ok(())
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Content {
    #[serde(rename = "use")]
    used: Option<String>,
    #[serde(default)]
    vcenter: BTreeMap<String, Saved>,
}

/// All saved connections.
#[derive(Default)]
pub(crate) struct Book {
    path: Option<PathBuf>,
    used: Option<String>,
    list: Vec<Saved>,
}

impl Book {
    /// Reads the file of the configuration directory; none is an empty one.
    pub(crate) fn read(env: Env<'_>) -> Result<Book, Diagnostic> {
        let Some(path) = directory(env).map(|d| d.join(FILE)) else { return Ok(Book::default()) };
        let shown = path.display().to_string();
        let bad = |text: String| Diagnostic::new(&codes::BAD_CONNECTIONS, text);
        let text = match crate::source::read_file_text(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Book { path: Some(path), ..Book::default() });
            }
            Err(e) => {
                return Err(bad(format!("can't read the saved connections in `{shown}`: {e}"))
                    .help("check the file's permissions, or name another directory by VMWBUILD_CONFIG_DIR"));
            }
        };
        #[cfg(unix)]
        if let Ok(meta) = std::fs::metadata(&path) {
            use std::os::unix::fs::PermissionsExt;
            if meta.permissions().mode() & 0o077 != 0 {
                return Err(bad(format!("others may read or change the saved connections in `{shown}`"))
                    .help(format!("take that away: `chmod 600 {shown}`")));
            }
        }
        // Nothing of the text is quoted: a password may stand in it.
        let content: Content = toml::from_str(&text).map_err(|e| {
            let line = e.span().map(|s| text.get(..s.start).unwrap_or_default().lines().count().max(1));
            let place = line.map(|l| format!(" (line {l})")).unwrap_or_default();
            bad(format!("can't understand the saved connections in `{shown}`{place}: {}", without_values(e.message())))
                .help("mend it, or remove it and save them anew by `vmwbuild vcenter add`")
        })?;
        let list = content.vcenter.into_iter().map(|(name, saved)| Saved { name, ..saved }).collect();
        Ok(Book { path: Some(path), used: content.used, list })
    }

    /// All of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Saved> {
        self.list.iter()
    }

    /// The connection of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&Saved> {
        self.list.iter().find(|s| s.name == name)
    }

    /// The same, and whoever needs a command's password has none.
    pub(crate) fn without_commands(mut self) -> Book {
        for saved in &mut self.list {
            if saved.password_command.take().is_some() {
                saved.password_env = None;
                saved.password = None;
            }
        }
        self
    }

    /// The name of the one that is used where nothing names any.
    pub(crate) fn used(&self) -> Option<String> {
        self.used.clone().filter(|name| self.get(name).is_some())
    }

    fn write(&self) -> Result<(), Diagnostic> {
        let Some(path) = &self.path else {
            let text =
                "there is no place for saved connections: neither VMWBUILD_CONFIG_DIR, XDG_CONFIG_HOME nor HOME is set";
            return Err(Diagnostic::new(&codes::BAD_CONNECTIONS, text).help("set VMWBUILD_CONFIG_DIR to a directory"));
        };
        write_private(path, &self.text())
            .map_err(|e| Diagnostic::new(&codes::OUTPUT_UNWRITABLE, format!("can't write `{}`: {e}", path.display())))
    }

    fn text(&self) -> String {
        let mut out = String::from("# Written by `vmwbuild vcenter`.\n");
        // JSON's strings are TOML's, but for DEL.
        let quoted = |text: &str| serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f");
        if let Some(used) = self.used() {
            out.push_str(&format!("use = {}\n", quoted(&used)));
        }
        for saved in &self.list {
            out.push_str(&format!("\n[vcenter.{}]\nurl = {}\n", quoted(&saved.name), quoted(&saved.url)));
            let rows = [
                ("username", &saved.username),
                ("password-command", &saved.password_command),
                ("password-env", &saved.password_env),
                ("password", &saved.password),
                ("thumbprint", &saved.thumbprint),
                ("ca", &saved.ca),
            ];
            for (key, value) in rows {
                if let Some(value) = value {
                    out.push_str(&format!("{key} = {}\n", quoted(value)));
                }
            }
        }
        out
    }

    fn unknown(&self, name: &str) -> Diagnostic {
        let names = self.list.iter().map(|s| s.name.as_str());
        let help = match did_you_mean(name, names.clone()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => match names.collect::<Vec<_>>().join(", ") {
                list if list.is_empty() => "there are none: `vmwbuild vcenter add NAME URL` saves one".to_owned(),
                list => format!("there are: {list}"),
            },
        };
        Diagnostic::new(&codes::NO_CONNECTION, format!("there is no saved connection `{name}`")).help(help)
    }
}

/// TOML's word for what is wrong, without what it quotes of the file: the names that are expected stay.
fn without_values(message: &str) -> String {
    let (said, expected) = match message.rsplit_once(", expected ") {
        Some((said, expected)) => (said, Some(expected)),
        None => (message, None),
    };
    // A key that is mistyped, and nothing else, may be repeated.
    if let Some(key) = said.strip_prefix("unknown field `").and_then(|s| s.strip_suffix('`'))
        && key.len() < 20
        && key.chars().all(|c| c.is_ascii_lowercase() || c == '-' || c == '_')
    {
        return message.to_owned();
    }
    // What is quoted may hold quotes itself: nothing after the first one is trusted.
    let said = said.split_once(['`', '"', '\'']).map_or(said, |(before, _)| before.trim_end());
    // Our own type's name tells nobody anything.
    match expected.map(|e| e.strip_prefix("struct ").map_or(e, |_| "a table")) {
        Some(expected) => format!("{said}, expected {expected}"),
        None => said.to_owned(),
    }
}

/// Where the configuration is.
fn directory(env: Env<'_>) -> Option<PathBuf> {
    let set = |name: &str| env(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    set("VMWBUILD_CONFIG_DIR")
        .or_else(|| Some(set("XDG_CONFIG_HOME").filter(|p| p.is_absolute())?.join("vmwbuild")))
        .or_else(|| Some(set("HOME")?.join(".config/vmwbuild")))
}

/// Runs it; the exit code.
pub(crate) fn run(options: &args::Vcenter, color: args::When) -> u8 {
    let env = |name: &str| std::env::var(name).ok();
    let done = Book::read(&env).and_then(|book| match &options.command {
        args::VcenterCommand::Add(add) => added(book, add),
        args::VcenterCommand::Use { name } => used(book, name),
        args::VcenterCommand::Ls => {
            if book.list.is_empty() {
                terminal::say("there are no saved connections: `vmwbuild vcenter add NAME URL` saves one");
            }
            terminal::tell(&listed(&book));
            Ok(())
        }
        args::VcenterCommand::Rm { name } => removed(book, name),
    });
    match done {
        Ok(()) => 0,
        Err(problem) => {
            terminal::show([&problem], &Sources::new(), color);
            2
        }
    }
}

fn added(mut book: Book, add: &args::VcenterAdd) -> Result<(), Diagnostic> {
    let bad = |text: String| Diagnostic::new(&codes::BAD_ARGUMENT, text);
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if add.name.is_empty() || !add.name.chars().all(plain) {
        return Err(bad(format!("`{}` can't be the name of a connection", add.name))
            .help("use letters, digits, `-` and `_`, as in `prod`"));
    }
    if book.get(&add.name).is_some() && !add.replace {
        return Err(bad(format!("there is a connection `{}` already", add.name)).help("`--replace` replaces it"));
    }
    let endpoint = Endpoint::parse(&add.url).map_err(|e| e.diagnostic())?;
    if !endpoint.password.is_empty() {
        return Err(bad("the URL holds a password, and passwords aren't saved".to_owned())
            .help("leave it out, and say where it comes from: `--password-command` or `--password-env`"));
    }
    if let Some(print) = &add.thumbprint {
        Thumbprint::parse(print).map_err(|e| e.diagnostic())?;
    }
    let strange = [&add.username, &add.password_command, &add.password_env].into_iter().flatten();
    if let Some(text) = strange.into_iter().find(|t| t.chars().any(char::is_control)) {
        return Err(bad(format!("`{}` has control characters in it", text.escape_default())));
    }
    // The command may be called from anywhere later.
    let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone()).display().to_string();
    let ca = add.ca.as_ref().map(absolute);
    let password = match add.store_password {
        false => None,
        true => {
            let asked = terminal::ask_secret(&format!("Password of {}", add.url));
            let given = asked.or_else(|| std::io::read_to_string(std::io::stdin().lock()).ok());
            let given = given.map(|g| g.trim_end_matches(['\n', '\r']).to_owned()).filter(|g| !g.is_empty());
            Some(given.ok_or_else(|| bad("no password was given".to_owned()).help("write it to standard input"))?)
        }
    };
    let given_user = Some(endpoint.username).filter(|u| !u.is_empty());
    book.list.retain(|s| s.name != add.name);
    book.list.push(Saved {
        name: add.name.clone(),
        url: settings::without_userinfo(&add.url),
        username: add.username.clone().or(given_user),
        password_command: add.password_command.clone(),
        password_env: add.password_env.clone(),
        password,
        thumbprint: add.thumbprint.clone(),
        ca,
    });
    if add.make_default {
        book.used = Some(add.name.clone());
    }
    book.write()
}

fn used(mut book: Book, name: &str) -> Result<(), Diagnostic> {
    if book.get(name).is_none() {
        return Err(book.unknown(name));
    }
    book.used = Some(name.to_owned());
    book.write()
}

fn removed(mut book: Book, name: &str) -> Result<(), Diagnostic> {
    if book.get(name).is_none() {
        return Err(book.unknown(name));
    }
    book.list.retain(|s| s.name != name);
    book.write()
}

/// A line each, the used one marked.
fn listed(book: &Book) -> String {
    let used = book.used();
    let rows: Vec<[String; 4]> = book
        .list
        .iter()
        .map(|s| {
            let mark = if used.as_deref() == Some(&s.name) { "* " } else { "  " };
            let user = s.username.clone().unwrap_or_else(|| "(asked for)".to_owned());
            [format!("{mark}{}", s.name), s.url.clone(), user, format!("password: {}", s.password_from())]
        })
        .collect();
    let mut widths = [0; 4];
    for row in &rows {
        widths.iter_mut().zip(row).for_each(|(width, text)| *width = (*width).max(text.chars().count()));
    }
    let line = |row: &[String; 4]| {
        let padded: String = row.iter().zip(widths).map(|(text, width)| format!("{text:<width$}  ")).collect();
        format!("{}\n", padded.trim_end())
    };
    rows.iter().map(line).collect()
}
