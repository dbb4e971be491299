//! For people.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr;

use super::model::{Argument, Guest, Key, Machine, Outline, Output, Place, Step, Wait};

/// The most characters of a step or value in a line.
const MAX_TEXT: usize = 88;

/// A program as text.
pub fn text(outline: &Outline) -> String {
    let mut out = String::new();
    let global: Vec<&Argument> = outline.args.iter().filter(|a| a.machine.is_none()).collect();
    let rows = global.iter().map(|a| argument(a)).chain(outline.secrets.iter().map(|s| {
        let generate = s.generate.map(|n| format!(", made if none is given ({n} characters)")).unwrap_or_default();
        let used = if s.used_by.is_empty() { "used by nothing".to_owned() } else { format!("for {}", few(&s.used_by)) };
        [format!("SECRET {}", s.name), format!("{used}{generate}"), at(&s.place)]
    }));
    table(&mut out, "", &rows.collect::<Vec<_>>());
    for stage in outline.stages.iter().filter(|s| s.replicated) {
        let name = stage.name.clone().unwrap_or_else(|| "a stage".to_owned());
        let machines = if stage.machines.is_empty() { "none".to_owned() } else { few(&stage.machines) };
        if !out.is_empty() {
            out.push('\n');
        }
        let _ = writeln!(out, "{name} is {}: {machines}", machines_count(stage.machines.len()));
    }
    for machine in &outline.machines {
        if !out.is_empty() {
            out.push('\n');
        }
        self::machine(&mut out, machine, &outline.args);
    }
    out
}

fn argument(arg: &Argument) -> [String; 3] {
    let value = arg.value.as_ref().map_or("no value".to_owned(), |v| format!("= {}", one_line(v)));
    let from = if arg.given_by == "default" { "the default".to_owned() } else { format!("by {}", arg.given_by) };
    [format!("ARG {}: {}", arg.name, arg.ty), format!("{value}  ({from})"), at(&arg.place)]
}

fn machine(out: &mut String, machine: &Machine, args: &[Argument]) {
    let _ = writeln!(out, "{}  ({})", machine.label, at(&machine.place));
    let mut facts: Vec<[String; 3]> = Vec::new();
    let mut fact = |name: &str, value: String| facts.push([name.to_owned(), value, String::new()]);
    let mut from = match (&machine.from.machine, &machine.from.inventory) {
        (Some(label), _) => format!("{label}, of this build"),
        (None, Some(name)) => format!("{name}, of the inventory"),
        (None, None) => String::new(),
    };
    if machine.from.linked {
        from.push_str(", linked");
    }
    if let Some(snapshot) = &machine.from.snapshot {
        let _ = write!(from, ", its snapshot {snapshot}");
    }
    fact("from", from);
    for output in &machine.outputs {
        fact("leaves", self::output(output));
    }
    for placed in &machine.placement {
        let default = if placed.default { "  (the file's default)" } else { "" };
        fact(&placed.keyword.to_lowercase(), format!("{}{default}", placed.value));
    }
    let hardware = &machine.hardware;
    if let Some(cpus) = hardware.cpus {
        let plural = |n: u32| if n == 1 { "" } else { "s" };
        let cores = hardware.cores.map(|c| format!(", {c} core{} a socket", plural(c))).unwrap_or_default();
        fact("cpus", format!("{cpus}{cores}"));
    }
    if let Some(memory) = &hardware.memory {
        fact("memory", memory.clone());
    }
    for pair in &hardware.config {
        fact("config", one_line(&format!("{}={}", pair.name, pair.value)));
    }
    if let Some(annotation) = &hardware.annotation {
        fact("annotation", one_line(annotation));
    }
    for change in &hardware.devices {
        fact("hardware", change.clone());
    }
    for pair in &hardware.labels {
        fact("label", one_line(&format!("{}={}", pair.name, pair.value)));
    }
    for tag in &hardware.tags {
        fact("tag", one_line(tag));
    }
    for address in machine.address.iter().chain(&machine.more_addresses) {
        let mut text = address.cidr.clone().unwrap_or_else(|| "DHCP".to_owned());
        if let Some(gateway) = &address.gateway {
            let _ = write!(text, ", gateway {gateway}");
        }
        if !address.dns.is_empty() {
            let _ = write!(text, ", DNS {}", address.dns.join(" "));
        }
        if !address.search.is_empty() {
            let _ = write!(text, ", search {}", address.search.join(" "));
        }
        if address.nic != 1 {
            let _ = write!(text, ", adapter {}", address.nic);
        }
        fact("address", text);
    }
    if let Some(hostname) = &machine.hostname {
        fact("hostname", hostname.clone());
    }
    for arg in args.iter().filter(|a| a.machine.as_ref() == Some(&machine.label)) {
        let [name, value, _] = argument(arg);
        fact("arg", format!("{} {value}", name.trim_start_matches("ARG ")));
    }
    for wait in &machine.waits_for {
        fact("waits", format!("{} for {}", doing(wait), target(wait)));
    }
    table(out, "  ", &facts);
    if !machine.steps.is_empty() {
        out.push_str("  steps\n");
    }
    let mut guest: Option<&Guest> = None;
    for step in &machine.steps {
        if guest != Some(&step.guest) {
            let _ = writeln!(out, "       {}", context(&step.guest));
            guest = Some(&step.guest);
        }
        self::step(out, step);
    }
    if !machine.keys.is_empty() {
        out.push_str("  keys\n");
        table(out, "    ", &machine.keys.iter().map(key).collect::<Vec<_>>());
    }
}

fn output(output: &Output) -> String {
    let mut text = match output.kind {
        "NONE" => return "nothing".to_owned(),
        "TEMPLATE" => format!("template {}", output.name),
        "LIBRARY" if output.as_template => format!("library item {}, a VM template", output.name),
        "LIBRARY" => format!("library item {}", output.name),
        kind => format!("{kind} {}", output.name),
    };
    match output.exists {
        "replace" => text.push_str(", in place of one of that name"),
        "keep" => text.push_str(", unless there is one of that name"),
        _ => {}
    }
    if output.off {
        text.push_str(", powered off");
    }
    if !output.after.is_empty() {
        let _ = write!(text, ", once {} ended well", output.after.join(", "));
    }
    if let Some(snapshot) = &output.snapshot {
        let _ = write!(text, ", with a snapshot {snapshot}");
    }
    text
}

fn step(out: &mut String, step: &Step) {
    let _ = writeln!(out, "  {:>3}  {}", step.number, one_line(&step.text));
    if let Some(note) = &step.note {
        let _ = writeln!(out, "       # {}", one_line(note));
    }
    let mut options = Vec::new();
    if let Some(timeout) = &step.timeout {
        options.push(format!("at most {timeout}"));
    }
    if step.retry > 0 {
        let times = if step.retry == 1 { "once more".to_owned() } else { format!("{} times more", step.retry) };
        options.push(format!("tried {times} if it fails"));
    }
    if step.allow_failure {
        options.push("may fail".to_owned());
    }
    if !options.is_empty() {
        let _ = writeln!(out, "       {}", options.join(", "));
    }
    for wait in &step.waits_for {
        let _ = writeln!(out, "       waits for {}", target(wait));
    }
}

fn context(guest: &Guest) -> String {
    let login = guest.login.as_deref().unwrap_or("the command line's account");
    let mut text = format!("as {login}");
    if let Some(user) = &guest.user {
        let _ = write!(text, ", who becomes {user}");
    }
    if let Some(workdir) = &guest.workdir {
        let _ = write!(text, ", in {workdir}");
    }
    if !guest.shell.is_empty() && guest.shell != ["sh"] {
        let _ = write!(text, ", by {}", guest.shell.join(" "));
    }
    if !guest.env.is_empty() {
        let pairs: Vec<String> = guest.env.iter().map(|e| format!("{}={}", e.name, e.value)).collect();
        let _ = write!(text, ", with {}", pairs.join(" "));
    }
    one_line(&text)
}

fn key(key: &Key) -> [String; 3] {
    let from = match (key.step, key.from) {
        (Some(step), Some("file")) => format!("a file, in step {step}"),
        (Some(step), Some("value")) => format!("computed, in step {step}"),
        (Some(step), _) => format!("a command's output, in step {step}"),
        (None, _) => "never captured (--if)".to_owned(),
    };
    let optional = if key.optional { ", may stay unset" } else { "" };
    let used = if key.used_by.is_empty() { "used by nothing".to_owned() } else { format!("for {}", few(&key.used_by)) };
    [format!("{}: {}", key.name, key.ty), format!("{from}{optional}"), used]
}

fn doing(wait: &Wait) -> &'static str {
    match wait.what {
        "clone" => "its clone",
        "start" => "its start",
        "network" => "its network",
        "export" => "what others copy",
        _ => "its end",
    }
}

fn target(wait: &Wait) -> String {
    let of = match (wait.of, wait.step) {
        (_, Some(step)) => format!("step {step} of {}", wait.machine),
        ("finish", None) => format!("{} to be finished", wait.machine),
        ("export", None) => format!("files of {}", wait.machine),
        (of, None) => format!("the {of} of {}", wait.machine),
    };
    match &wait.name {
        Some(name) => format!("{of}  ({} {name})", wait.why),
        None => of,
    }
}

fn machines_count(count: usize) -> String {
    if count == 1 { "1 machine".to_owned() } else { format!("{count} machines") }
}

/// The first few of a list, and how many more.
fn few(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(6).map(String::as_str).collect();
    match names.len().saturating_sub(6) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn at(place: &Place) -> String {
    format!("{}:{}", place.file, place.line)
}

fn one_line(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.chars().count() <= MAX_TEXT {
        return line;
    }
    let mut short: String = line.chars().take(MAX_TEXT - 1).collect();
    short.push('…');
    short
}

/// Three columns; the last may be empty.
fn table(out: &mut String, indent: &str, rows: &[[String; 3]]) {
    let width = |column: fn(&[String; 3]) -> &String| rows.iter().map(|r| column(r).width()).max().unwrap_or(0).min(44);
    let (first, second) = (width(|[a, _, _]| a), width(|[_, b, _]| b));
    for [a, b, c] in rows {
        let pad = |text: &str, to: usize| " ".repeat(to.saturating_sub(text.width()));
        let mut line = format!("{indent}{a}{}  {b}", pad(a, first));
        if !c.is_empty() {
            let _ = write!(line, "{}  {c}", pad(b, second));
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
}
