//! Programs that want a terminal.

use crate::lint::rule::*;

/// `needs-terminal`.
pub static CODE: Code = Code {
    number: 350,
    name: "needs-terminal",
    severity: Severity::Warning,
    about: "Guest commands have no terminal: nobody sees what they draw, and nobody answers. A program that \
            needs one fails at once or waits until the step's deadline. Use the option or the other program that \
            does without: `chpasswd` for `passwd`, `--password-stdin`, `sed -i` for an editor, `cat` for a \
            pager.",
    wrong: concat!("FROM Debian AS web\n", "RUN vi /etc/hosts\n",),
    right: concat!("FROM Debian AS web\n", "RUN echo 10.0.0.1 gateway >> /etc/hosts\n",),
};

pub(super) static RULE: Rule = Rule::new(&CODE, check);

fn check(cx: &Cx<'_>, out: &mut Problems) {
    for ran in cx.ran {
        if let Some(help) = needs(ran) {
            let message = format!("`{}` needs a terminal, and there is none", ran.name);
            out.push(Diagnostic::at(&CODE, ran.name_span(), message).help(help));
        }
    }
}

/// What to do instead, if it needs one.
fn needs(ran: &Ran<'_>) -> Option<&'static str> {
    // Whether it reads a file or a pipe.
    let input = || {
        ran.command().is_some_and(|c| c.redirects.iter().any(|r| r.operator.starts_with('<')))
            || ran.shell.commands.iter().any(|c| c.pipes_into.contains(&ran.index))
    };
    match &*ran.name {
        "vi" | "vim" if ran.letter('s') || ran.has(&["-es", "-Es"]) => None,
        "vi" | "vim" | "nvim" | "nano" | "emacs" | "pico" | "joe" | "mcedit" | "visudo" | "vipw" | "vigr" => {
            if ran.name == "visudo" && ran.letter('c') {
                return None;
            }
            Some("change the file with `sed -i`, or bring it with COPY")
        }
        "top" | "htop" | "atop" if !ran.letter('b') => Some("`top -b -n 1` prints once"),
        "less" | "more" | "most" => Some("use `cat`, `head` or `tail`"),
        "passwd" if !ran.has(&["--stdin", "-l", "-u", "-d", "-e", "-S", "--lock", "--unlock", "--delete"]) => {
            Some("`chpasswd` reads `user:password` lines from its standard input")
        }
        "mysql" | "mariadb" | "mysqldump" if ran.has(&["-p", "--password"]) && !ran.has(&["--password="]) => {
            let given = ran.args.iter().any(|a| a.starts_with("--password="));
            (!given).then_some("give the password as the variable MYSQL_PWD or in an option file")
        }
        "crontab" if ran.letter('e') => Some("`crontab FILE` takes a file, `crontab -` standard input"),
        "systemctl" if ran.args.first().is_some_and(|a| a == "edit") => {
            Some("write the drop-in with COPY: `/etc/systemd/system/UNIT.d/override.conf`")
        }
        "dialog" | "whiptail" | "nmtui" | "raspi-config" | "tasksel" | "cfdisk" | "screen" | "tmux" | "minicom" => {
            let detached = ran.letter('d') || ran.has(&["install"]);
            (!detached).then_some("use a program that takes its answers as arguments")
        }
        "su" if ran.depth == 0 && !input() && !ran.has(&["-c", "--command"]) && !ran.letter('c') => {
            Some("write `USER name` before the step, or `RUN --user=name`")
        }
        "sudo" if ran.letter('i') || ran.letter('s') || ran.has(&["su"]) => {
            let command = ran.operands().next().is_some_and(|(_, w)| w != "su");
            (!command && !input()).then_some("write `USER root` before the step, or `RUN --user=root`")
        }
        "fdisk" | "parted" if !input() && ran.operands().count() <= 1 && !ran.letter('l') && !ran.letter('s') => {
            Some("`sfdisk` and `parted -s` take what is to be done as input and arguments")
        }
        "ssh-keygen"
            if !ran.has(&["-A"])
                && !ran.letter('N')
                && !ran.letter('l')
                && !ran.letter('y')
                && !ran.letter('R')
                && !ran.letter('F')
                && !ran.letter('e')
                && !input() =>
        {
            Some("`-N ''` gives the empty passphrase, `-f FILE` the place")
        }
        "adduser"
            if !ran.has(&["--disabled-password", "--disabled-login", "-D", "--system", "-S"])
                && !input()
                && ran.operands().count() == 1
                && !ran.args.iter().any(|a| a == "-m" || a == "-r") =>
        {
            Some("add `--disabled-password --gecos ''`, or use `useradd`")
        }
        _ => None,
    }
}
