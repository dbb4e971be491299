//! Why a command can't be run as another user, and what to do about it.

use std::fmt;

/// Programs by which one becomes another user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Becoming {
    /// `runuser`.
    Runuser,
    /// `su`.
    Su,
    /// `sudo`.
    Sudo,
    /// `doas`.
    Doas,
}

impl fmt::Display for Becoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Becoming::Runuser => "runuser",
            Becoming::Su => "su",
            Becoming::Sudo => "sudo",
            Becoming::Doas => "doas",
        })
    }
}

/// Why there is no way to become a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoWay {
    /// That can't be a user's name.
    NoName,
    /// Nobody is called so.
    NoUser,
    /// What was asked for does it for root only.
    NotRoot,
    /// The guest has nothing for root.
    NothingForRoot,
    /// Nor for anybody else.
    Nothing,
    /// The guest doesn't have what was asked for.
    Lacks(Becoming),
    /// sudo can't be given a password: nothing in the work directory can be run.
    NoExec,
    /// The guest is Windows.
    Windows,
    /// The rules don't allow it.
    Forbidden(Becoming),
    /// It asks for a password, and none was given.
    NoPassword(Becoming),
    /// The password is wrong.
    WrongPassword,
    /// It does nothing without a terminal.
    Terminal(Becoming),
    /// It has not the rights that it needs itself.
    Powerless(Becoming),
    /// Another reason, in its own words.
    Refused(Becoming),
    /// A reason that this program doesn't know.
    Unknown,
}

impl NoWay {
    /// By its number in the supervisor, and what was said on standard error.
    pub(super) fn of(number: i32, said: &str) -> Self {
        match number {
            0 => NoWay::NoUser,
            1 => NoWay::NotRoot,
            2 => NoWay::NothingForRoot,
            3 => NoWay::Nothing,
            4 => NoWay::Lacks(Becoming::Runuser),
            5 => NoWay::Lacks(Becoming::Su),
            6 => NoWay::Lacks(Becoming::Sudo),
            7 => NoWay::Lacks(Becoming::Doas),
            8 => match refused(Becoming::Sudo, said) {
                NoWay::NoPassword(_) => NoWay::NoExec,
                other => other,
            },
            10 => refused(Becoming::Runuser, said),
            11 => refused(Becoming::Su, said),
            12 => refused(Becoming::Sudo, said),
            13 => refused(Becoming::Doas, said),
            _ => NoWay::Unknown,
        }
    }

    /// What to do about it.
    pub(super) fn help(self, login: &str, user: &str) -> String {
        match self {
            NoWay::NoName => "a user's name is not empty, begins without `-`, and has no `:` in it".to_owned(),
            NoWay::NoUser => format!("make the account in a step before, as in `RUN useradd --create-home {user}`"),
            NoWay::NotRoot => "log in as root, or leave `--via` out: sudo or doas does it then".to_owned(),
            NoWay::NothingForRoot | NoWay::Nothing | NoWay::Lacks(_) => {
                "install it (sudo is a package of that name), leave `--via` out where the guest has another one, or log \
                 in as that user"
                    .to_owned()
            }
            NoWay::NoExec => "sudo gets the password from a program in the work directory, which is in the account's \
                 home, /var/lib or /var/tmp: mount that without `noexec`, or allow it without a password (NOPASSWD in \
                 sudoers)"
                .to_owned(),
            NoWay::Windows => "log in as that user: `LOGIN user PASSWORD ${{ password }}`".to_owned(),
            NoWay::Forbidden(Becoming::Sudo) => format!(
                "as root in the guest, `visudo -f /etc/sudoers.d/build` and `{login} ALL=(ALL) ALL`, or put the account \
                 into the guest's group for that (sudo, wheel); a rule for some commands only is not enough, for \
                 /bin/sh is run. Or log in as root"
            ),
            NoWay::Forbidden(Becoming::Doas) | NoWay::NoPassword(Becoming::Doas) => format!(
                "write `permit nopass {login} as {user}` into the guest's doas.conf: doas takes a password from a \
                 terminal alone. Or use sudo, or log in as root"
            ),
            NoWay::NoPassword(_) => format!(
                "give the LOGIN of `{login}` its password, or say it here: `USER {user} PASSWORD ${{{{ sudo_password }}}}`; \
                 or allow it without one (NOPASSWD in sudoers)"
            ),
            NoWay::WrongPassword => format!(
                "sudo asks for the password of `{login}`, or by `targetpw` or `rootpw` in sudoers for another one's: say \
                 the right one with `USER {user} PASSWORD ${{{{ sudo_password }}}}`. It was tried once only, lest the \
                 account is locked"
            ),
            NoWay::Terminal(_) => format!(
                "write `Defaults:{login} !requiretty` into the guest's sudoers (by `visudo`): no command of a build has \
                 a terminal"
            ),
            NoWay::Powerless(by) => format!(
                "in the guest, {by} must be root's and have its set-user-id bit, on a file system that is not mounted \
                 `nosuid`: install its package again"
            ),
            NoWay::Forbidden(_) | NoWay::Refused(_) | NoWay::Unknown => {
                "look in the guest's log what it minds (an account that is locked or expired, PAM); or log in as root, or allow it otherwise (sudoers, doas.conf)".to_owned()
            }
        }
    }
}

impl fmt::Display for NoWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoWay::NoName => f.write_str("that is no user name"),
            NoWay::NoUser => f.write_str("the guest has no such user"),
            NoWay::NotRoot => f.write_str("su and runuser work without a password only from root"),
            NoWay::NothingForRoot => f.write_str("the guest has none of runuser, su, sudo and doas"),
            NoWay::Nothing => f.write_str("the guest has neither sudo nor doas"),
            NoWay::Lacks(by) => write!(f, "the guest has no {by}"),
            NoWay::NoExec => f.write_str("no program can be run in the work directory, and sudo asks for a password"),
            NoWay::Windows => f.write_str("on Windows nobody becomes another user in mid-session"),
            NoWay::Forbidden(by) => write!(f, "{by} doesn't allow it"),
            NoWay::NoPassword(Becoming::Doas) => {
                f.write_str("doas asks for a password on a terminal, and there is none")
            }
            NoWay::NoPassword(by) => write!(f, "{by} asks for a password, and none was given"),
            NoWay::WrongPassword => f.write_str("sudo refuses the password"),
            NoWay::Terminal(by) => write!(f, "{by} wants a terminal"),
            NoWay::Powerless(by) => write!(f, "{by} has not the rights that it needs itself"),
            NoWay::Refused(by) => write!(f, "{by} refuses"),
            NoWay::Unknown => f.write_str("the guest knows no way"),
        }
    }
}

/// What a program means that has refused. Its words are its own, and English: it was told to speak so.
fn refused(by: Becoming, said: &str) -> NoWay {
    let has = |words: &[&str]| words.iter().any(|w| said.contains(w));
    // The password first: who has given a wrong one is told more behind it.
    if by == Becoming::Sudo && has(&["try again", "incorrect password", "Authentication failed"]) {
        NoWay::WrongPassword
    } else if has(&["must have a tty"]) {
        NoWay::Terminal(by)
    } else if has(&["account validation", "expired"]) {
        NoWay::Refused(by)
    } else if has(&[
        "not in the sudoers",
        "is not allowed to",
        "may not run sudo",
        "Operation not permitted",
        "doas is not enabled",
    ]) {
        NoWay::Forbidden(by)
    } else if has(&[
        "password is required",
        "password was provided",
        "authentication is required",
        "Authentication required",
        "Authorization required",
        "a tty is required",
    ]) {
        NoWay::NoPassword(by)
    } else if has(&["setuid", "effective uid", "no new privileges", "nosuid"]) {
        NoWay::Powerless(by)
    } else {
        NoWay::Refused(by)
    }
}

/// A program's words, for a note: without the text of ours that it repeats, and short.
pub(super) fn words(said: &[u8]) -> String {
    const MOST: usize = 400;
    let mut said = String::from_utf8_lossy(said).trim().to_owned();
    // `'/bin/sh -c …' as root`: the command is our own, and says nothing to anybody.
    if let Some(start) = said.find("eval \"$(dd bs=1") {
        let end = said.rfind("' as ").filter(|end| *end > start).unwrap_or(said.len());
        said.replace_range(start..end, "…");
    }
    if let Some((at, _)) = said.char_indices().nth(MOST) {
        said.truncate(at);
        said.push('…');
    }
    super::visible(&said)
}
