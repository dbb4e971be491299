//! Which command a simple command runs in the end: `sudo -u root timeout 5 sh -c …` is also `timeout` and `sh`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use super::command::Word;
use super::dialect::base_name;

/// A command that is run, directly or by another.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Its name and its arguments.
    pub words: &'a [Word],
}

impl<'a> Call<'a> {
    /// Its name without directories. Only calls with a name that is plain text are made.
    pub fn name(&self) -> Cow<'a, str> {
        match self.words.first().and_then(Word::text) {
            Some(Cow::Borrowed(text)) => Cow::Borrowed(base_name(text)),
            Some(Cow::Owned(text)) => Cow::Owned(base_name(&text).to_owned()),
            None => Cow::Borrowed(""),
        }
    }

    /// Its arguments.
    pub fn args(&self) -> &'a [Word] {
        self.words.get(1..).unwrap_or_default()
    }
}

/// Commands that run commands, at most: `env env env …` is nobody's text.
const MAX_CHAIN: usize = 32;

/// How a command that runs another one is written.
struct Wrapper {
    names: &'static [&'static str],
    /// The options whose argument is a word of its own.
    with_argument: &'static [&'static str],
    /// The arguments before the command.
    before: usize,
}

const WRAPPERS: &[Wrapper] = &[
    Wrapper { names: &["exec"], with_argument: &["-a"], before: 0 },
    Wrapper {
        names: &["command", "builtin", "nohup", "setsid", "busybox", "toybox", "dbus-run-session", "fakeroot"],
        with_argument: &[],
        before: 0,
    },
    Wrapper { names: &["env"], with_argument: &["-u", "--unset", "-C", "--chdir", "-a", "--argv0"], before: 0 },
    Wrapper {
        names: &["sudo"],
        with_argument: &[
            "-u", "-g", "-h", "-p", "-C", "-r", "-t", "-T", "-U", "-D", "-R", "--user", "--group", "--host",
            "--prompt", "--chdir", "--chroot", "--role", "--type",
        ],
        before: 0,
    },
    Wrapper { names: &["doas"], with_argument: &["-u", "-C"], before: 0 },
    Wrapper { names: &["nice"], with_argument: &["-n", "--adjustment"], before: 0 },
    Wrapper { names: &["ionice"], with_argument: &["-c", "-n", "-p", "-P", "-u", "--class", "--classdata"], before: 0 },
    Wrapper { names: &["timeout"], with_argument: &["-k", "-s", "--kill-after", "--signal"], before: 1 },
    Wrapper { names: &["stdbuf"], with_argument: &["-i", "-o", "-e", "--input", "--output", "--error"], before: 0 },
    Wrapper { names: &["time"], with_argument: &["-f", "-o", "--format", "--output"], before: 0 },
    Wrapper { names: &["chroot", "gosu", "su-exec"], with_argument: &[], before: 1 },
    Wrapper { names: &["chrt", "taskset"], with_argument: &["-T", "-P", "-D"], before: 1 },
    Wrapper { names: &["setarch"], with_argument: &[], before: 1 },
    Wrapper {
        names: &["xargs"],
        with_argument: &[
            "-I",
            "-n",
            "-P",
            "-L",
            "-d",
            "-a",
            "-s",
            "-E",
            "--replace",
            "--max-args",
            "--max-procs",
            "--max-lines",
            "--delimiter",
            "--arg-file",
        ],
        before: 0,
    },
    Wrapper { names: &["flock"], with_argument: &["-w", "-E", "--timeout", "--conflict-exit-code"], before: 1 },
    Wrapper { names: &["sshpass"], with_argument: &["-p", "-f", "-d", "-P"], before: 0 },
    Wrapper {
        names: &["setpriv", "unshare", "prlimit", "strace", "ltrace", "nsenter"],
        with_argument: &[
            "-e", "-o", "-p", "-s", "-u", "-S", "-G", "-t", "-P", "-E", "--reuid", "--regid", "--groups", "--target",
        ],
        before: 0,
    },
    Wrapper {
        names: &["systemd-run", "systemd-inhibit"],
        with_argument: &["-p", "-u", "-E", "-t", "-M", "-H", "--unit", "--property", "--setenv", "--uid", "--gid"],
        before: 0,
    },
    Wrapper { names: &["linux32", "linux64", "catchsegv", "eatmydata"], with_argument: &[], before: 0 },
];

static BY_NAME: LazyLock<HashMap<&str, &Wrapper>> =
    LazyLock::new(|| WRAPPERS.iter().flat_map(|w| w.names.iter().map(move |name| (*name, w))).collect());

/// Tools that run commands elsewhere and have too many options to know: a shell with an option among their arguments
/// is taken for one that they run.
const REMOTE: &[&str] = &[
    "docker",
    "podman",
    "nerdctl",
    "kubectl",
    "oc",
    "crictl",
    "ctr",
    "lxc",
    "incus",
    "machinectl",
    "virsh",
    "vagrant",
    "docker-compose",
    "podman-compose",
    "multipass",
    "distrobox",
    "toolbox",
    "buildah",
    "firejail",
    "systemd-nspawn",
    "chronic",
    "parallel",
    "nsjail",
    "bwrap",
];

/// Shells that read code after `-c` or from standard input.
pub(super) const SHELLS: &[&str] =
    &["sh", "bash", "dash", "ash", "ksh", "ksh93", "mksh", "zsh", "rbash", "fish", "csh", "tcsh"];

/// All that a simple command runs, the outermost first. A name that isn't plain text is none, but what follows a
/// name like `$SUDO` is looked at.
pub fn calls(words: &[Word]) -> Vec<Call<'_>> {
    let mut found = Vec::new();
    let mut rest = words;
    for _ in 0..MAX_CHAIN {
        let Some(first) = rest.first() else { break };
        let Some(name) = first.text() else {
            if first.holes().next().is_some() || !first.leading_text().is_empty() {
                break;
            }
            rest = rest.get(1..).unwrap_or_default();
            continue;
        };
        let call = Call { words: rest };
        found.push(call);
        let name = base_name(&name);
        let args = call.args();
        if name == "find" {
            let is_exec =
                |w: &Word| w.text().is_some_and(|t| matches!(t.as_ref(), "-exec" | "-execdir" | "-ok" | "-okdir"));
            let starts = args.iter().enumerate().filter(|(_, w)| is_exec(w)).map(|(at, _)| at);
            for at in starts.take(MAX_CHAIN) {
                let inner = args.get(at + 1..).unwrap_or_default();
                let end = inner.iter().position(|w| w.text().is_some_and(|t| t == ";")).unwrap_or(inner.len());
                if let Some(shell) = shell_with_option(inner.get(..end).unwrap_or_default()) {
                    found.push(Call { words: shell });
                }
            }
            break;
        }
        if REMOTE.contains(&name) {
            if let Some(shell) = shell_with_option(args) {
                found.push(Call { words: shell });
            }
            break;
        }
        if name == "runuser" {
            // With `-u` it runs a command; without, it is `su`.
            let user =
                args.iter().position(|w| w.leading_text().starts_with("-u") || w.leading_text().starts_with("--user"));
            let Some(user) = user else { break };
            let apart = args.get(user).and_then(Word::text).is_some_and(|t| t == "-u" || t == "--user");
            rest = skip_options(args.get(user + 1 + usize::from(apart)..).unwrap_or_default(), &[]);
            continue;
        }
        let Some(wrapper) = BY_NAME.get(name) else { break };
        let mut inner = skip_options(args, wrapper.with_argument);
        inner = inner.get(wrapper.before..).unwrap_or_default();
        if wrapper.before > 0 {
            inner = skip_options(inner, &[]);
        }
        if matches!(name, "env" | "sudo" | "doas") {
            let assignments = inner.iter().take_while(|w| is_assignment(w)).count();
            inner = inner.get(assignments..).unwrap_or_default();
        }
        rest = inner;
    }
    found
}

fn is_assignment(word: &Word) -> bool {
    word.pieces.iter().any(|p| matches!(p, super::Piece::Text { text, .. } if text.contains('=')))
}

/// From the first shell that an option follows.
fn shell_with_option(words: &[Word]) -> Option<&[Word]> {
    let at = words.windows(2).position(|pair| {
        let [shell, option] = pair else { return false };
        shell.text().is_some_and(|t| SHELLS.contains(&base_name(&t))) && option.leading_text().starts_with('-')
    })?;
    words.get(at..)
}

/// Past the options of a command, `--` included.
pub(super) fn skip_options<'a>(mut words: &'a [Word], with_argument: &[&str]) -> &'a [Word] {
    while let Some(word) = words.first() {
        let taken = option_words(word, with_argument);
        if taken == 0 {
            break;
        }
        words = words.get(taken..).unwrap_or_default();
        if word.text().is_some_and(|t| t == "--") {
            break;
        }
    }
    words
}

/// How many words an option takes; 0 for a word that is none.
pub(super) fn option_words(word: &Word, with_argument: &[&str]) -> usize {
    let lead = word.leading_text();
    if !lead.starts_with('-') || lead == "-" && word.pieces.len() == 1 {
        return 0;
    }
    let Some(text) = word.text() else { return 1 };
    if text.starts_with("--") {
        return 1 + usize::from(with_argument.contains(&text.as_ref()));
    }
    // `-nu root`: the first letter that takes an argument takes the rest of the word, if there is one.
    let takes = |letter: char| with_argument.iter().any(|o| o.strip_prefix('-') == Some(letter.to_string().as_str()));
    let letters = text.trim_start_matches('-');
    match letters.char_indices().find(|&(_, letter)| takes(letter)) {
        Some((at, letter)) if at + letter.len_utf8() == letters.len() => 2,
        Some(_) | None => 1,
    }
}
