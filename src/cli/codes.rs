//! What can be wrong before a build begins: arguments, files, secrets, settings.

use crate::diagnostic::codes;

codes! {
    FILE_UNREADABLE 680 "file-unreadable"
        "A VMWfile, or another file that the command line names, can't be read: it isn't there, is a directory, or \
         its permissions forbid it. Without a file name, `vmwbuild build DIR` reads `DIR/VMWfile`.";
    FILE_NOT_TEXT 681 "file-not-text"
        "A VMWfile is UTF-8 text. This one isn't: it may be another kind of file, or saved in another encoding.";
    BAD_ARGUMENT 682 "bad-flag-value"
        "The value of a flag hasn't the form that the flag needs; the message shows the form.";
    ARGS_FILE 683 "bad-args-file"
        "A file given by `--args` can't be understood. It holds `name = value` lines, or TOML (`.toml`), or one JSON \
         object (`.json`); values are text, numbers, true, false, or lists of these.";
    SECRET_MISSING 684 "secret-missing"
        "A SECRET of the VMWfile was given no value. Give it from a variable (`--secret id=NAME,env=VAR`), a file \
         (`--secret id=NAME,src=FILE`) or a command (`--secret id=NAME,cmd=COMMAND`); on a terminal it is asked for; \
         with `SECRET name GENERATE 24` it is made.";
    SECRET_UNREADABLE 685 "secret-unreadable"
        "A secret or password can't be read from the file, variable or command that should give it.";
    SECRET_UNKNOWN 686 "secret-unknown"
        "`--secret` or `--secret-out` names a secret that the VMWfile doesn't declare.";
    NO_VCENTER 687 "no-vcenter"
        "No vCenter is named by a flag or a variable, so there is nothing to build on. `--sandbox` builds without one.";
    OUTPUT_UNWRITABLE 688 "output-unwritable"
        "A file that the command line asks to be written can't be.";
    CREDENTIALS_MISSING 689 "credentials-missing"
        "vCenter's user name or password is given by no flag and no variable, and there is no terminal to ask on.";
    NOT_RUNNING 676 "not-running"
        "A command can run only in a guest that is up: its machine powered on, VMware Tools (open-vm-tools) running.";
    BAD_CONFIG 696 "bad-config"
        "A `vmwbuild.toml`, or a flag that sets the level of a lint, can't be understood. The file has the tables \
         `[lint]` (with the lists `allow`, `warn` and `deny` of lints' names, and the table `per-file-ignores` from \
         patterns to such lists) and `[args]` (values for ARGs).";
    SHELLCHECK_FAILED 697 "shellcheck-failed"
        "`lint --shellcheck` runs the program `shellcheck`, which must be on PATH (version 0.7.0 or later; Debian, \
         Fedora, Homebrew and others have it as a package). It isn't there, or didn't do its work.";
}
