//! Which shell a text is for.

/// A family of shells that read text alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// `sh`, dash, ash and busybox: whatever the guest has under that name, so that text must mean the same to a
    /// POSIX shell and to bash.
    Sh,
    /// bash, with `((…))`, `[[ ]]`, arrays and the like.
    Bash,
    /// ksh and its relatives; as bash, and evaluates arithmetic in more places.
    Ksh,
    /// Windows PowerShell and `pwsh`.
    PowerShell,
    /// `cmd.exe`.
    Cmd,
}

impl Dialect {
    /// Whether it is one of the Bourne shells.
    pub fn is_posix(self) -> bool {
        match self {
            Dialect::Sh | Dialect::Bash | Dialect::Ksh => true,
            Dialect::PowerShell | Dialect::Cmd => false,
        }
    }
}

/// The dialect of an interpreter: a SHELL name or path (`bash`, `/bin/sh`, `powershell.exe`) or a whole `#!` line
/// (`#!/usr/bin/env bash`, `#!/bin/sh -e`). None for one that isn't known, in whose text no value may stand.
pub fn dialect_of(interpreter: &str) -> Option<Dialect> {
    let line = interpreter.lines().next().unwrap_or("").trim();
    let line = line.strip_prefix("#!").map_or(line, str::trim_start);
    let mut words = line.split_ascii_whitespace();
    let mut name = base_name(words.next()?);
    if name == "env" || name == "busybox" {
        // `env -S bash -e`, `env LC_ALL=C bash`: the first word that is neither a flag nor an assignment.
        name = base_name(words.find(|w| !w.starts_with('-') && !w.contains('='))?);
    }
    named(name)
}

fn named(name: &str) -> Option<Dialect> {
    let name = name.to_ascii_lowercase();
    Some(match name.strip_suffix(".exe").unwrap_or(&name) {
        "sh" | "dash" | "ash" => Dialect::Sh,
        "bash" | "rbash" => Dialect::Bash,
        "ksh" | "ksh93" | "ksh88" | "rksh" | "mksh" | "pdksh" | "oksh" | "lksh" => Dialect::Ksh,
        "powershell" | "pwsh" => Dialect::PowerShell,
        "cmd" => Dialect::Cmd,
        _ => return None,
    })
}

/// The last part of a path, whichever slash it is written with.
pub(super) fn base_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpreters() {
        for (text, wanted) in [
            ("sh", Some(Dialect::Sh)),
            ("/bin/sh", Some(Dialect::Sh)),
            ("#!/bin/sh -e", Some(Dialect::Sh)),
            ("#! /bin/sh\necho", Some(Dialect::Sh)),
            ("#!/bin/busybox sh", Some(Dialect::Sh)),
            ("dash", Some(Dialect::Sh)),
            ("#!/usr/bin/env bash", Some(Dialect::Bash)),
            ("#!/usr/bin/env -S LC_ALL=C bash -eu", Some(Dialect::Bash)),
            ("mksh", Some(Dialect::Ksh)),
            ("PowerShell.exe", Some(Dialect::PowerShell)),
            ("C:\\Windows\\System32\\cmd.exe", Some(Dialect::Cmd)),
            ("zsh", None),
            ("#!/usr/bin/python3", None),
            ("#!/usr/bin/env", None),
            ("", None),
        ] {
            assert_eq!(dialect_of(text), wanted, "{text}");
        }
    }
}
