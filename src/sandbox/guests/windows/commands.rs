//! The programs that a guest has that is taken for Windows.

use std::fs::{self, OpenOptions};
use std::os::fd::OwnedFd;

use super::super::sys;
use super::eval::{Shell, write_err, write_out};
use super::library;
use super::paths;
use super::process::{self, Start};

/// A program that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    PowerShell,
    Cmd,
    TaskKill,
    Hostname,
    Whoami,
    Shutdown,
    Sysprep,
    /// Ends with the code it is given: for trying out what happens then.
    Exit,
}

/// By its name, or its path.
pub fn program(name: &str) -> Option<Program> {
    let lower = name.to_lowercase().replace('/', "\\");
    let base = lower.rsplit('\\').next().unwrap_or_default();
    let base = base.strip_suffix(".exe").unwrap_or(base);
    let directory = lower.rsplit_once('\\').map(|(directory, _)| directory.to_owned());
    let system = "c:\\windows\\system32";
    let (found, home) = match base {
        "powershell" => (Program::PowerShell, format!("{system}\\windowspowershell\\v1.0")),
        "cmd" => (Program::Cmd, system.to_owned()),
        "taskkill" => (Program::TaskKill, system.to_owned()),
        "hostname" => (Program::Hostname, system.to_owned()),
        "whoami" => (Program::Whoami, system.to_owned()),
        "shutdown" => (Program::Shutdown, system.to_owned()),
        "sysprep" => (Program::Sysprep, format!("{system}\\sysprep")),
        "sandbox-exit" => (Program::Exit, system.to_owned()),
        _ => return None,
    };
    // Sysprep is on nobody's PATH.
    let there = directory.map_or(found != Program::Sysprep, |directory| directory == home);
    there.then_some(found)
}

/// A command line as programs of Windows take it apart.
pub fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut chars = line.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        if chars.peek().is_none() {
            return words;
        }
        let (mut word, mut quoted) = (String::new(), false);
        while let Some(c) = chars.next_if(|c| quoted || !c.is_whitespace()) {
            match c {
                '\\' => {
                    let mut count = 1;
                    while chars.next_if_eq(&'\\').is_some() {
                        count += 1;
                    }
                    if chars.peek() == Some(&'"') {
                        word.extend(std::iter::repeat_n('\\', count / 2));
                        if count % 2 == 1 {
                            chars.next();
                            word.push('"');
                        }
                    } else {
                        word.extend(std::iter::repeat_n('\\', count));
                    }
                }
                '"' if quoted && chars.peek() == Some(&'"') => {
                    chars.next();
                    word.push('"');
                }
                '"' => quoted = !quoted,
                c => word.push(c),
            }
        }
        words.push(word);
    }
}

/// Runs a program to its end.
pub fn run(program: Program, arguments: &str) -> i32 {
    let name = format!("{program:?}").to_lowercase();
    // The name is for lists of processes only.
    let _ = fs::write("/proc/self/comm", &name);
    let given = words(arguments);
    let has = |flag: &str| given.iter().any(|word| word.eq_ignore_ascii_case(flag));
    match program {
        Program::PowerShell => powershell(&given),
        Program::Cmd => cmd(arguments),
        Program::TaskKill => {
            let pid = given.iter().position(|word| word.eq_ignore_ascii_case("/pid"));
            let pid = pid.and_then(|at| given.get(at + 1)).and_then(|pid| pid.parse().ok());
            match pid.filter(|pid| process::end(*pid, has("/t"))) {
                Some(_) => 0,
                None => {
                    write_err("ERROR: The process was not found.\n");
                    128
                }
            }
        }
        Program::Hostname => {
            write_out(format!("{}\r\n", process::host_name()).as_bytes());
            0
        }
        Program::Whoami => {
            let (host, user) = (process::host_name().to_lowercase(), process::account().to_lowercase());
            write_out(format!("{host}\\{user}\r\n").as_bytes());
            0
        }
        Program::Shutdown => {
            let signal = if has("/r") { libc::SIGTERM } else { libc::SIGUSR1 };
            i32::from(sys::kill(1, signal).is_err())
        }
        Program::Sysprep => sysprep(&given),
        Program::Exit => given.first().and_then(|code| code.parse().ok()).unwrap_or(0),
    }
}

/// What a generalized image is known by here: the next boot gives it a name of its own.
fn sysprep(given: &[String]) -> i32 {
    let has = |flag: &str| given.iter().any(|word| word.eq_ignore_ascii_case(flag));
    if !has("/generalize") || !has("/oobe") {
        write_err("sysprep: /generalize and /oobe are wanted here\n");
        return 1;
    }
    let _ = fs::create_dir_all(paths::real("C:\\Windows\\System32\\Sysprep"));
    if library::write_file("C:\\Windows\\System32\\Sysprep\\Sysprep_succeeded.tag", b"", false).is_err() {
        return 1;
    }
    match () {
        () if has("/shutdown") => i32::from(sys::kill(1, libc::SIGUSR1).is_err()),
        () if has("/reboot") => i32::from(sys::kill(1, libc::SIGTERM).is_err()),
        () => 0,
    }
}

fn powershell(given: &[String]) -> i32 {
    let mut at = 0;
    while let Some(word) = given.get(at) {
        let flag = word.trim_start_matches(['-', '/']).to_lowercase();
        match flag.as_str() {
            "noprofile" | "noninteractive" | "nologo" => at += 1,
            "executionpolicy" | "outputformat" | "inputformat" | "version" | "windowstyle" => at += 2,
            "file" | "f" => {
                let Some(path) = given.get(at + 1) else { return 64 };
                let text = match library::read_text(path) {
                    Ok(text) => text,
                    Err(_) => {
                        write_err(&format!("The argument '{path}' to the -File parameter does not exist.\n"));
                        return -196_608;
                    }
                };
                let mut shell = Shell::new();
                let whole = paths::shown(&paths::real(path));
                shell.set("pscommandpath", whole.as_str().into());
                shell.set("psscriptroot", whole.rsplit_once('\\').map_or("", |(root, _)| root).into());
                let rest = given.iter().skip(at + 2).map(|word| word.as_str().into()).collect();
                shell.set("args", super::value::Value::list(rest));
                return shell.main(&text);
            }
            "command" | "c" => {
                let text: Vec<&str> = given.iter().skip(at + 1).map(String::as_str).collect();
                return Shell::new().main(&text.join(" "));
            }
            _ => {
                let text: Vec<&str> = given.iter().skip(at).map(String::as_str).collect();
                return Shell::new().main(&text.join(" "));
            }
        }
    }
    0
}

/// `cmd /c …`: plain commands, redirections, `&`, `&&` and `||`.
fn cmd(arguments: &str) -> i32 {
    let lower = arguments.to_lowercase();
    let Some(at) = lower.find("/c") else { return 0 };
    let line = arguments.get(at + 2..).unwrap_or_default().trim();
    // `/s`: the outermost quotes go.
    let line = line.strip_prefix('"').and_then(|l| l.strip_suffix('"')).unwrap_or(line);
    Batch::default().line(line)
}

#[derive(Default)]
struct Batch {
    /// Of the last command.
    level: i32,
    ended: bool,
}

impl Batch {
    fn file(&mut self, path: &str) -> i32 {
        let text = match library::read_text(path) {
            Ok(text) => text,
            Err(error) => {
                write_err(&format!("{}\n", error.message));
                return 1;
            }
        };
        let text = text.replace("\r\n", "\n").replace("^\n", "");
        for line in text.lines() {
            self.line(line.trim_start_matches('@'));
            if self.ended {
                break;
            }
        }
        self.level
    }

    fn line(&mut self, line: &str) -> i32 {
        let line = self.expand(line);
        let mut rest = line.as_str();
        let mut run = true;
        loop {
            let (command, joined, after) = split(rest);
            if run && !command.trim().is_empty() {
                self.level = self.command(command.trim());
            }
            if self.ended || joined.is_empty() {
                return self.level;
            }
            run = match joined {
                "&&" => self.level == 0,
                "||" => self.level != 0,
                _ => true,
            };
            rest = after;
        }
    }

    /// `%NAME%`
    fn expand(&self, line: &str) -> String {
        let mut out = String::new();
        let mut rest = line;
        while let Some((before, after)) = rest.split_once('%') {
            out.push_str(before);
            match after.split_once('%') {
                Some((name, left)) if !name.is_empty() && !name.contains(' ') => {
                    match name.to_lowercase().as_str() {
                        "errorlevel" => out.push_str(&self.level.to_string()),
                        _ => out.push_str(&library::env(name).unwrap_or_default()),
                    }
                    rest = left;
                }
                _ => {
                    out.push('%');
                    rest = after;
                }
            }
        }
        out + rest
    }

    fn command(&mut self, line: &str) -> i32 {
        let (line, streams) = match redirected(line) {
            Ok(redirected) => redirected,
            Err(path) => {
                write_err(&format!("The system cannot find the path specified: {path}\n"));
                return 1;
            }
        };
        let line = line.trim();
        let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        match name.to_lowercase().as_str() {
            "rem" | "chcp" | "setlocal" | "endlocal" | "title" => 0,
            "echo" | "echo." if rest.eq_ignore_ascii_case("off") => 0,
            "echo" | "echo." => {
                let text = format!("{rest}\r\n");
                match streams.into_iter().nth(1).flatten() {
                    Some(file) => i32::from(rustix::io::write(&file, text.as_bytes()).is_err()),
                    None => {
                        write_out(text.as_bytes());
                        0
                    }
                }
            }
            "set" => {
                let rest = rest.trim_matches('"');
                if let Some((name, value)) = rest.split_once('=') {
                    library::set_env(name, value);
                }
                0
            }
            "exit" => {
                let code = rest.to_lowercase().replace("/b", "");
                self.ended = true;
                if code.trim().is_empty() { self.level } else { code.trim().parse().unwrap_or(1) }
            }
            "cd" | "chdir" => match std::env::set_current_dir(paths::real(rest.trim_matches('"'))) {
                Ok(()) => 0,
                Err(_) => {
                    write_err("The system cannot find the path specified.\n");
                    1
                }
            },
            "mkdir" | "md" => i32::from(fs::create_dir_all(paths::real(rest.trim_matches('"'))).is_err()),
            "type" => match fs::read(paths::real(rest.trim_matches('"'))) {
                Ok(bytes) => {
                    write_out(&bytes);
                    0
                }
                Err(_) => {
                    write_err("The system cannot find the file specified.\n");
                    1
                }
            },
            "call" => self.command(rest),
            _ => {
                let program = words(line).into_iter().next().unwrap_or_default();
                if program.to_lowercase().ends_with(".cmd") || program.to_lowercase().ends_with(".bat") {
                    return Batch::default().file(&program);
                }
                let start = Start {
                    arguments: after_first(line).to_owned(),
                    program: program.clone(),
                    directory: None,
                    streams,
                };
                match process::complete(start) {
                    Ok(code) => code,
                    Err(_) => {
                        write_err(&format!(
                            "'{program}' is not recognized as an internal or external command,\noperable program or batch file.\n"
                        ));
                        9009
                    }
                }
            }
        }
    }
}

/// What stands behind the first word.
fn after_first(line: &str) -> &str {
    let mut quoted = false;
    for (at, c) in line.char_indices() {
        match c {
            '"' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => return line.get(at..).unwrap_or_default().trim_start(),
            _ => {}
        }
    }
    ""
}

/// The first command of a line, what joins it to the next, and the rest.
fn split(line: &str) -> (&str, &str, &str) {
    let mut quoted = false;
    for (at, c) in line.char_indices() {
        let rest = line.get(at..).unwrap_or_default();
        match c {
            '"' => quoted = !quoted,
            // `2>&1` joins nothing.
            '&' if line.get(..at).is_some_and(|before| before.ends_with('>')) => {}
            '&' | '|' if !quoted => {
                let joined = ["&&", "||", "&"].into_iter().find(|j| rest.starts_with(j)).unwrap_or("&");
                let before = line.get(..at).unwrap_or_default();
                return (before, joined, rest.get(joined.len()..).unwrap_or_default());
            }
            _ => {}
        }
    }
    (line, "", "")
}

/// A command without its redirections, and the files that they name.
fn redirected(line: &str) -> Result<(String, [Option<OwnedFd>; 3]), String> {
    let mut streams: [Option<OwnedFd>; 3] = [None, None, None];
    let mut out = String::new();
    let mut quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '"' {
            quoted = !quoted;
        }
        if quoted || !matches!(c, '>' | '<') {
            out.push(c);
            continue;
        }
        let number = match c {
            '<' => 0,
            _ if out.ends_with(" 2") => 2,
            _ => 1,
        };
        if number == 2 || out.ends_with(" 1") {
            out.pop();
        }
        let append = chars.next_if_eq(&'>').is_some();
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        let mut path = String::new();
        while let Some(c) = chars.next_if(|c| !c.is_whitespace()) {
            path.push(c);
        }
        let path = path.trim_matches('"');
        if let "&1" | "&2" = path {
            let joined = if path == "&1" { 1 } else { 2 };
            let same = match streams.get(joined).and_then(Option::as_ref) {
                Some(stream) => stream.try_clone(),
                None => sys::standard(joined as i32),
            };
            if let (Ok(same), Some(slot)) = (same, streams.get_mut(number)) {
                *slot = Some(same);
            }
            continue;
        }
        let real = if path.eq_ignore_ascii_case("nul") { "/dev/null".into() } else { paths::real(path) };
        let file = match number {
            0 => fs::File::open(real),
            _ => OpenOptions::new().create(true).write(true).append(append).truncate(!append).open(real),
        };
        let file = file.map_err(|_| path.to_owned())?;
        if let Some(slot) = streams.get_mut(number) {
            *slot = Some(file.into());
        }
    }
    Ok((out, streams))
}
