//! The commands of PowerShell that are known here.

use std::fs;

use super::super::sys;
use super::commands;
use super::eval::{Shell, Sink, write_err};
use super::library::{self, duration, like, read_text, write_file};
use super::paths;
use super::process::{self, Start};
use super::value::{Done, Native, Thrown, Value};

/// A command's arguments, by name and by place.
struct Given {
    named: Vec<(String, Value)>,
    placed: Vec<Value>,
}

/// Parameters that take no value.
const SWITCHES: &[&str] = &[
    "force",
    "recurse",
    "wait",
    "passthru",
    "nonewline",
    "append",
    "asplaintext",
    "restart",
    "confirm",
    "nonewwindow",
    "unique",
];

impl Given {
    fn of(words: Vec<(Option<String>, Value)>) -> Self {
        let (mut named, mut placed) = (Vec::new(), Vec::new());
        let mut words = words.into_iter().peekable();
        while let Some((name, value)) = words.next() {
            match name {
                None => placed.push(value),
                Some(name) if name.ends_with(':') => named.push((name.trim_end_matches(':').to_owned(), value)),
                Some(name) if SWITCHES.contains(&name.as_str()) => named.push((name, Value::Bool(true))),
                Some(name) => {
                    let value = words.next_if(|(next, _)| next.is_none()).map_or(Value::Bool(true), |(_, value)| value);
                    named.push((name, value));
                }
            }
        }
        Given { named, placed }
    }

    fn name(&self, name: &str) -> Option<Value> {
        self.named.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
    }

    /// A parameter that may also be given by its place.
    fn value(&self, names: &[&str], place: usize) -> Option<Value> {
        names.iter().find_map(|name| self.name(name)).or_else(|| self.placed.get(place).cloned())
    }

    fn text(&self, names: &[&str], place: usize) -> Result<String, Thrown> {
        let value = self.value(names, place).filter(|value| !value.text().is_empty());
        value.map(|value| value.text()).ok_or_else(|| {
            let name = names.first().copied().unwrap_or_default();
            Thrown::of(
                "management.automation.parameterbindingexception",
                format!("Cannot bind argument to parameter '{name}' because it is null or an empty string."),
            )
        })
    }

    fn on(&self, name: &str) -> bool {
        self.name(name).is_some_and(|value| value.truth())
    }
}

const PATH: &[&str] = &["path", "literalpath", "filepath"];

/// Calls a command, or a program.
pub fn call(
    shell: &mut Shell,
    name: &str,
    arguments: Vec<(Option<String>, Value)>,
    input: Option<Vec<Value>>,
    out: &mut Sink<'_>,
) -> Done<()> {
    let lower = name.to_lowercase();
    let known = known(&lower);
    if !known && commands::program(name).is_some() {
        return program(shell, name, &arguments, out);
    }
    if !known {
        let there = paths::real(name);
        if lower.ends_with(".ps1") && there.is_file() {
            let text = read_text(name)?;
            return shell.evaluate(&text, out);
        }
        return Err(Thrown::of(
            "management.automation.commandnotfoundexception",
            format!(
                "The term '{name}' is not recognized as the name of a cmdlet, function, script file, or operable program. \
                 Check the spelling of the name, or if a path was included, verify that the path is correct and try again."
            ),
        )
        .into());
    }
    let given = Given::of(arguments);
    let silent = given
        .name("erroraction")
        .is_some_and(|value| matches!(value.text().to_lowercase().as_str(), "silentlycontinue" | "ignore"));
    match cmdlet(shell, &lower, &given, input, out) {
        Err(super::value::Flow::Throw(_)) if silent => Ok(()),
        other => other,
    }
}

/// Whether a command of that name is one of ours.
fn known(name: &str) -> bool {
    const KNOWN: &[&str] = &[
        "write-output",
        "echo",
        "write-host",
        "write-error",
        "write-warning",
        "write-verbose",
        "out-null",
        "out-string",
        "start-sleep",
        "sleep",
        "get-content",
        "cat",
        "type",
        "gc",
        "set-content",
        "add-content",
        "out-file",
        "new-item",
        "mkdir",
        "remove-item",
        "rm",
        "del",
        "test-path",
        "get-childitem",
        "ls",
        "dir",
        "join-path",
        "split-path",
        "set-location",
        "cd",
        "get-location",
        "pwd",
        "invoke-expression",
        "iex",
        "get-process",
        "stop-process",
        "new-object",
        "restart-computer",
        "stop-computer",
        "rename-computer",
        "foreach-object",
        "%",
        "where-object",
        "?",
        "select-object",
        "sort-object",
        "measure-object",
        "get-date",
        "get-wmiobject",
        "get-ciminstance",
        "copy-item",
        "cp",
        "move-item",
        "mv",
        "start-process",
        "get-netadapter",
        "new-netipaddress",
        "remove-netipaddress",
        "get-netipaddress",
        "set-dnsclientserveraddress",
        "set-dnsclient",
        "set-dnsclientglobalsetting",
        "set-netipinterface",
        "remove-netroute",
        "restart-netadapter",
        "get-itemproperty",
        "set-itemproperty",
    ];
    KNOWN.contains(&name)
}

/// What is given to a program, as one line.
fn line(arguments: &[(Option<String>, Value)]) -> String {
    let mut out = String::new();
    for (name, value) in arguments {
        let words: Vec<String> = match name {
            Some(name) if name.ends_with(':') => vec![format!("-{name}{}", value.text())],
            Some(name) => vec![format!("-{name}")],
            None => value.parts().iter().map(Value::text).collect(),
        };
        for word in words {
            if !out.is_empty() {
                out.push(' ');
            }
            // As Windows PowerShell does it: quotes inside are left as they are.
            match word.contains(' ') || word.is_empty() {
                true => out.push_str(&format!("\"{word}\"")),
                false => out.push_str(&word),
            }
        }
    }
    out
}

/// Runs a program: what it prints goes on, line by line where somebody takes it.
fn program(shell: &mut Shell, name: &str, arguments: &[(Option<String>, Value)], out: &mut Sink<'_>) -> Done<()> {
    let mut start = Start { program: name.to_owned(), arguments: line(arguments), ..Start::default() };
    let Sink::Collect(into) = out else {
        let code = process::complete(start)?;
        shell.set("global:lastexitcode", Value::Int(i64::from(code)));
        return Ok(());
    };
    let broken = |e: std::io::Error| Thrown::io(&e, name);
    let file = tempfile::tempfile_in("/").or_else(|_| tempfile::tempfile()).map_err(broken)?;
    start.streams[1] = Some(file.try_clone().map_err(broken)?.into());
    let code = process::complete(start)?;
    shell.set("global:lastexitcode", Value::Int(i64::from(code)));
    let mut file = file;
    let mut bytes = Vec::new();
    std::io::Seek::rewind(&mut file)
        .and_then(|()| std::io::Read::read_to_end(&mut file, &mut bytes))
        .map_err(broken)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    into.extend(text.lines().map(Value::from));
    Ok(())
}

fn cmdlet(shell: &mut Shell, name: &str, given: &Given, input: Option<Vec<Value>>, out: &mut Sink<'_>) -> Done<()> {
    let piped = input.clone().unwrap_or_default();
    match name {
        "write-output" | "echo" => {
            let values = if input.is_some() { piped } else { given.placed.iter().flat_map(Value::parts).collect() };
            values.into_iter().for_each(|value| out.put(value));
        }
        "write-host" => {
            let text = given.placed.iter().map(Value::text).collect::<Vec<_>>().join(" ");
            let end = if given.on("nonewline") { "" } else { "\r\n" };
            super::eval::write_out(format!("{text}{end}").as_bytes());
        }
        "write-error" => {
            let message = given.text(&["message"], 0)?;
            if shell.get("erroractionpreference").text().eq_ignore_ascii_case("stop") {
                return Err(Thrown::of("microsoft.powershell.commands.writeerrorexception", message).into());
            }
            write_err(&format!("{message}\n"));
        }
        "write-warning" => super::eval::write_out(format!("WARNING: {}\r\n", given.text(&["message"], 0)?).as_bytes()),
        "write-verbose" | "out-null" => {}
        "out-string" => out.put(piped.iter().map(|v| v.text() + "\r\n").collect::<String>().into()),
        "start-sleep" | "sleep" => {
            let ms = match given.name("milliseconds") {
                Some(ms) => ms.int()?,
                None => (given.value(&["seconds", "s"], 0).unwrap_or(Value::Null).double()? * 1000.0) as i64,
            };
            std::thread::sleep(duration(ms));
        }
        "invoke-expression" | "iex" => {
            let text = match piped.first() {
                Some(text) => text.text(),
                None => given.text(&["command"], 0)?,
            };
            return shell.evaluate(&text, out);
        }
        "new-object" => out.put(object(&given.text(&["typename"], 0)?, given)?),
        "get-process" => {
            let pid = given.name("id").map(|id| id.int()).transpose()?;
            let named = given.value(&["name"], 0).filter(|_| pid.is_none()).map(|name| name.text());
            let found = process::find(named.as_deref(), pid);
            if found.is_empty() {
                let what = named.unwrap_or_else(|| pid.unwrap_or_default().to_string());
                let kind = "microsoft.powershell.commands.processcommandexception";
                return Err(
                    Thrown::of(kind, format!("Cannot find a process with the name or identifier \"{what}\".")).into()
                );
            }
            found.into_iter().for_each(|process| out.put(process));
        }
        "stop-process" => {
            let pid = given.value(&["id"], 0).unwrap_or(Value::Null).int()?;
            if !process::end(i32::try_from(pid).unwrap_or_default(), false) {
                return Err(Thrown::new(format!("Cannot find a process with the process identifier {pid}.")).into());
            }
        }
        "restart-computer" | "stop-computer" => {
            let signal = if name == "restart-computer" { libc::SIGTERM } else { libc::SIGUSR1 };
            sys::kill(1, signal).map_err(|e| Thrown::new(e.to_string()))?;
        }
        "rename-computer" => rename(given)?,
        "get-itemproperty" => {
            let key = given.text(PATH, 0)?.to_lowercase();
            let found = registry().into_iter().filter(|(k, _, _)| *k == key).map(|(_, name, value)| (name, value));
            let all: Vec<(String, String)> = found.collect();
            let fields = all.iter().map(|(name, value)| (name.as_str(), Value::from(value.as_str()))).collect();
            out.put(Value::object("registrykey", Native::None, fields));
        }
        "set-itemproperty" => {
            let (key, name) = (given.text(PATH, 0)?.to_lowercase(), given.text(&["name"], 1)?.to_lowercase());
            let value = given.value(&["value"], 2).unwrap_or(Value::Null).text();
            let mut all = registry();
            all.retain(|(k, n, _)| (k, n) != (&key, &name));
            all.push((key, name, value));
            let text: String = all.iter().map(|(k, n, v)| format!("{k}\t{n}\t{v}\n")).collect();
            write_file(REGISTRY, text.as_bytes(), false)?;
        }
        "foreach-object" | "%" => {
            let Some(Value::Code(code)) = given.value(&["process"], 0) else {
                return Err(Thrown::new("ForEach-Object needs a script block.").into());
            };
            for value in piped {
                shell.each(&code, value, out)?;
            }
        }
        "where-object" | "?" => {
            let Some(Value::Code(code)) = given.value(&["filterscript"], 0) else {
                return Err(Thrown::new("Where-Object needs a script block.").into());
            };
            for value in piped {
                let mut kept = Vec::new();
                shell.each(&code, value.clone(), &mut Sink::Collect(&mut kept))?;
                if Value::collected(kept).truth() {
                    out.put(value);
                }
            }
        }
        "select-object" => select(given, piped, out)?,
        "sort-object" => {
            let mut all = piped;
            match given.value(&["property"], 0) {
                Some(property) => {
                    let name = property.text().to_lowercase();
                    let key = |v: &Value| library::member(v, &name).unwrap_or(Value::Null);
                    all.sort_by_key(|v| (key(v).int().unwrap_or(i64::MAX), key(v).text()));
                }
                None => all.sort_by_key(|v| (v.int().unwrap_or(i64::MAX), v.text().to_lowercase())),
            }
            all.into_iter().for_each(|value| out.put(value));
        }
        "measure-object" => {
            let count = Value::Int(i64::try_from(piped.len()).unwrap_or(i64::MAX));
            out.put(Value::object("measureinfo", Native::None, vec![("count", count)]));
        }
        "get-date" => {
            let now = time::OffsetDateTime::now_utc();
            let text = now.format(&time::format_description::well_known::Rfc3339).unwrap_or_default();
            out.put(Value::object("datetime", Native::None, vec![("tostring", text.into())]));
        }
        "get-wmiobject" | "get-ciminstance" => system(&given.text(&["class", "classname"], 0)?, out)?,
        "start-process" => {
            let arguments = given.value(&["argumentlist"], 1).unwrap_or(Value::Null);
            let arguments = arguments.parts().iter().map(Value::text).collect::<Vec<_>>().join(" ");
            let program = given.text(&["filepath"], 0)?;
            let (pid, told) = process::spawn(Start { program, arguments, ..Start::default() })?;
            let started = process::known(pid, Some(told));
            if given.on("wait") {
                library::method(&started, "waitforexit", &[])?;
            }
            if given.on("passthru") {
                out.put(started);
            }
        }
        name if name.contains("-net") || name.contains("-dns") => network(name, given, &piped, out)?,
        _ => files(name, given, input, out)?,
    }
    Ok(())
}

fn object(kind: &str, given: &Given) -> Result<Value, Thrown> {
    let kind = kind.to_lowercase();
    let kind = kind.strip_prefix("system.").unwrap_or(&kind);
    let args = given.value(&["argumentlist"], 1).map(|v| match v {
        Value::List(list) => list.borrow().clone(),
        other => vec![other],
    });
    let args = args.unwrap_or_default();
    let first = args.first().cloned().unwrap_or(Value::Null);
    Ok(match kind {
        "byte[]" => Value::bytes(vec![0; first.size()?.min(1 << 26)]),
        "text.utf8encoding" => {
            let strict = args.get(1).is_some_and(Value::truth);
            Value::object("text.encoding", Native::Utf8 { strict }, vec![])
        }
        "diagnostics.processstartinfo" => Value::object(kind, Native::None, vec![]),
        "io.fileinfo" => {
            let path = first.text();
            let meta = fs::metadata(paths::real(&path)).map_err(|e| Thrown::io(&e, &path))?;
            let length = Value::Int(i64::try_from(meta.len()).unwrap_or(i64::MAX));
            Value::object(kind, Native::None, vec![("length", length), ("fullname", path.into())])
        }
        "psobject" | "object" => Value::object("pscustomobject", Native::None, vec![]),
        _ => {
            return Err(Thrown::new(format!(
                "Cannot find type [{kind}]: the sandbox's stand-in for PowerShell doesn't know it."
            )));
        }
    })
}

/// Where values of the registry are kept, a line each.
const REGISTRY: &str = "C:\\Windows\\System32\\config\\registry";

fn registry() -> Vec<(String, String, String)> {
    let text = read_text(REGISTRY).unwrap_or_default();
    let part = |line: &str| {
        let mut parts = line.splitn(3, '\t').map(str::to_owned);
        Some((parts.next()?, parts.next()?, parts.next()?))
    };
    text.lines().filter_map(part).collect()
}

/// A new name counts from the next restart on.
fn rename(given: &Given) -> Result<(), Thrown> {
    let name = given.text(&["newname"], 0)?;
    let fits = name.len() <= 63 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if !fits || name.chars().all(|c| c.is_ascii_digit()) {
        return Err(Thrown::new(format!("Skip computer with new name '{name}' because the new name is not valid.")));
    }
    fs::write("/etc/hostname", name + "\n").map_err(|e| Thrown::io(&e, "the computer's name"))?;
    if given.on("restart") {
        sys::kill(1, libc::SIGTERM).map_err(|e| Thrown::new(e.to_string()))?;
    }
    Ok(())
}

fn select(given: &Given, piped: Vec<Value>, out: &mut Sink<'_>) -> Result<(), Thrown> {
    let mut all = piped;
    if let Some(first) = given.name("first") {
        all.truncate(first.size()?);
    }
    if let Some(last) = given.name("last") {
        all = all.split_off(all.len().saturating_sub(last.size()?));
    }
    if let Some(name) = given.name("expandproperty") {
        let name = name.text().to_lowercase();
        all = all.iter().map(|value| library::member(value, &name)).collect::<Result<_, _>>()?;
    }
    all.into_iter().for_each(|value| out.put(value));
    Ok(())
}

fn system(class: &str, out: &mut Sink<'_>) -> Result<(), Thrown> {
    match class.to_lowercase().as_str() {
        "win32_operatingsystem" => out.put(Value::object(
            "win32_operatingsystem",
            Native::None,
            vec![
                ("caption", "Microsoft Windows Server 2019 Standard (sandbox)".into()),
                ("version", "10.0.17763".into()),
            ],
        )),
        "win32_computersystem" => out.put(Value::object(
            "win32_computersystem",
            Native::None,
            vec![
                ("name", process::host_name().to_uppercase().into()),
                ("partofdomain", Value::Bool(false)),
                ("domain", "WORKGROUP".into()),
            ],
        )),
        _ => return Err(Thrown::new(format!("Invalid class \"{class}\""))),
    }
    Ok(())
}

fn missing(path: &str) -> Thrown {
    Thrown::of(
        "management.automation.itemnotfoundexception",
        format!("Cannot find path '{path}' because it does not exist."),
    )
}

fn files(name: &str, given: &Given, input: Option<Vec<Value>>, out: &mut Sink<'_>) -> Result<(), Thrown> {
    let lines = |values: &[Value]| values.iter().flat_map(Value::parts).map(|v| v.text() + "\r\n").collect::<String>();
    match name {
        "get-location" | "pwd" => {
            out.put(Value::object(
                "pathinfo",
                Native::None,
                vec![
                    ("path", paths::shown(&std::env::current_dir().unwrap_or_default()).into()),
                    ("providerpath", paths::shown(&std::env::current_dir().unwrap_or_default()).into()),
                    ("tostring", paths::shown(&std::env::current_dir().unwrap_or_default()).into()),
                ],
            ));
            return Ok(());
        }
        "join-path" => {
            let (path, child) = (given.text(PATH, 0)?, given.text(&["childpath"], 1)?);
            out.put(format!("{}\\{}", path.trim_end_matches('\\'), child.trim_start_matches('\\')).into());
            return Ok(());
        }
        _ => {}
    }
    let path = match (name, given.value(PATH, 0)) {
        ("get-childitem" | "ls" | "dir", None) => ".".to_owned(),
        _ => given.text(PATH, 0)?,
    };
    let real = paths::real(&path);
    let io = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::NotFound => missing(&path),
        _ => Thrown::io(&e, &path),
    };
    match name {
        "get-content" | "cat" | "type" | "gc" => {
            if !real.exists() {
                return Err(missing(&path));
            }
            let text = read_text(&path)?;
            match given.on("raw") {
                true => out.put(text.into()),
                false => text.lines().for_each(|line| out.put(line.into())),
            }
        }
        "set-content" | "add-content" | "out-file" => {
            let values = match given.value(&["value"], 1) {
                Some(value) => vec![value],
                None => input.unwrap_or_default(),
            };
            let mut text = lines(&values);
            if given.on("nonewline") {
                text.truncate(text.len().saturating_sub(2));
            }
            write_file(&path, text.as_bytes(), name == "add-content" || given.on("append"))?;
        }
        "new-item" | "mkdir" => {
            let directory = name == "mkdir"
                || given
                    .value(&["itemtype", "type"], usize::MAX)
                    .is_some_and(|v| v.text().eq_ignore_ascii_case("directory"));
            if directory {
                fs::create_dir_all(&real).map_err(io)?;
            } else {
                if real.exists() && !given.on("force") {
                    return Err(Thrown::of("io.ioexception", format!("The file '{path}' already exists.")));
                }
                if let Some(parent) = real.parent().filter(|_| given.on("force")) {
                    fs::create_dir_all(parent).map_err(io)?;
                }
                let value = given.name("value").map(|v| v.text()).unwrap_or_default();
                write_file(&path, value.as_bytes(), false)?;
            }
            out.put(item(&real));
        }
        "remove-item" | "rm" | "del" => {
            let meta = real.symlink_metadata().map_err(|_| missing(&path))?;
            match (meta.is_dir(), given.on("recurse")) {
                (true, true) => fs::remove_dir_all(&real).map_err(io)?,
                (true, false) => fs::remove_dir(&real).map_err(io)?,
                (false, _) => fs::remove_file(&real).map_err(io)?,
            }
        }
        "test-path" => {
            let kind = given.value(&["pathtype"], usize::MAX).map(|v| v.text().to_lowercase());
            out.put(Value::Bool(match kind.as_deref() {
                Some("leaf") => real.is_file(),
                Some("container") => real.is_dir(),
                _ => real.exists(),
            }));
        }
        "get-childitem" | "ls" | "dir" => {
            if real.is_file() {
                out.put(item(&real));
                return Ok(());
            }
            let filter = given.name("filter").map_or("*".to_owned(), |v| v.text());
            let mut all: Vec<_> = fs::read_dir(&real).map_err(io)?.flatten().map(|entry| entry.path()).collect();
            all.sort();
            for entry in all {
                if like(&entry.file_name().unwrap_or_default().to_string_lossy(), &filter) {
                    out.put(item(&entry));
                }
            }
        }
        "split-path" => {
            let (parent, leaf) = path.rsplit_once('\\').unwrap_or(("", &path));
            out.put(if given.on("leaf") { leaf.into() } else { parent.into() });
        }
        "set-location" | "cd" => std::env::set_current_dir(&real).map_err(|_| missing(&path))?,
        "copy-item" | "cp" | "move-item" | "mv" => {
            let to = paths::real(&given.text(&["destination"], 1)?);
            let to = if to.is_dir() { to.join(real.file_name().unwrap_or_default()) } else { to };
            match name {
                "move-item" | "mv" => fs::rename(&real, to).map_err(io)?,
                _ if real.is_dir() => {
                    super::super::tree::copy(&real, &to, super::super::tree::Attributes::Guest).map_err(io)?
                }
                _ => fs::copy(&real, to).map(drop).map_err(io)?,
            }
        }
        _ => return Err(Thrown::new(format!("The sandbox's stand-in for PowerShell doesn't know {name}."))),
    }
    Ok(())
}

fn item(real: &std::path::Path) -> Value {
    let name = real.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let length = real.metadata().map_or(0, |meta| i64::try_from(meta.len()).unwrap_or(i64::MAX));
    Value::object(
        "io.fileinfo",
        Native::None,
        vec![
            ("name", name.as_str().into()),
            ("fullname", paths::shown(real).into()),
            ("length", Value::Int(length)),
            ("tostring", name.into()),
        ],
    )
}

/// The network's commands, over the guest's own `ip`.
fn network(name: &str, given: &Given, piped: &[Value], out: &mut Sink<'_>) -> Result<(), Thrown> {
    let ip = |args: &[&str]| -> Result<String, Thrown> {
        let ran = std::process::Command::new("/sbin/ip").env_clear().args(args).output();
        let ran = ran.or_else(|_| std::process::Command::new("/usr/sbin/ip").env_clear().args(args).output());
        let ran = ran.map_err(|e| Thrown::new(format!("The guest has no network to configure: {e}")))?;
        if ran.status.success() {
            return Ok(String::from_utf8_lossy(&ran.stdout).into_owned());
        }
        Err(Thrown::new(String::from_utf8_lossy(&ran.stderr).trim().to_owned()))
    };
    let device = || -> Result<String, Thrown> {
        let wanted = given.value(&["interfacealias", "interfaceindex", "name"], 0);
        let wanted = wanted.or_else(|| piped.first().cloned()).map(|v| match &v {
            Value::Object(_) => library::member(&v, "name"),
            _ => Ok(v),
        });
        let wanted = wanted.transpose()?.unwrap_or(Value::Null).text();
        let all = ip(&["-o", "link", "show"])?;
        let found = all.lines().find_map(|line| {
            let mut parts = line.splitn(3, ": ");
            let (index, name) = (parts.next()?.trim(), parts.next()?.split('@').next()?);
            (index == wanted || name.eq_ignore_ascii_case(&wanted)).then(|| name.to_owned())
        });
        found.ok_or_else(|| Thrown::new(format!("No MSFT_NetAdapter objects found with property '{wanted}'.")))
    };
    match name {
        "get-netadapter" => {
            let all = ip(&["-o", "link", "show"])?;
            for line in all.lines() {
                let mut parts = line.splitn(3, ": ");
                let (Some(index), Some(name)) = (parts.next(), parts.next()) else { continue };
                let name = name.split('@').next().unwrap_or_default();
                let wanted = given.value(&["name", "interfacealias"], 0).is_none_or(|w| like(name, &w.text()));
                if name == "lo" || !wanted {
                    continue;
                }
                let index = Value::Int(index.trim().parse().unwrap_or_default());
                let fields = vec![
                    ("name", Value::from(name)),
                    ("interfacealias", Value::from(name)),
                    ("ifindex", index.clone()),
                    ("interfaceindex", index),
                    ("status", Value::from("Up")),
                    ("tostring", Value::from(name)),
                ];
                out.put(Value::object("netadapter", Native::None, fields));
            }
        }
        "new-netipaddress" => {
            let (address, prefix) = (given.text(&["ipaddress"], 1)?, given.text(&["prefixlength"], 2)?);
            let device = device()?;
            ip(&["addr", "replace", &format!("{address}/{prefix}"), "dev", &device])?;
            ip(&["link", "set", &device, "up"])?;
            if let Some(gateway) = given.name("defaultgateway") {
                ip(&["route", "replace", "default", "via", &gateway.text(), "dev", &device])?;
            }
        }
        "remove-netipaddress" => {
            let device = device()?;
            ip(&["addr", "flush", "dev", &device, "scope", "global"])?;
        }
        "get-netipaddress" => {
            let device = device()?;
            for line in ip(&["-o", "addr", "show", "dev", &device])?.lines() {
                let Some(address) = line.split_whitespace().nth(3) else { continue };
                let (address, prefix) = address.split_once('/').unwrap_or((address, "32"));
                let fields = vec![
                    ("ipaddress", Value::from(address)),
                    ("prefixlength", Value::Int(prefix.parse().unwrap_or_default())),
                    ("addressstate", Value::from("Preferred")),
                    ("tostring", Value::from(address)),
                ];
                out.put(Value::object("netipaddress", Native::None, fields));
            }
        }
        // What they change has nothing here that would use it.
        _ => {}
    }
    Ok(())
}
