//! What can be wrong before a build begins: arguments, files, secrets, settings.

use crate::diagnostic::codes;

codes! {
    NO_SUCH_FILE 670 "no-such-file"
        "What is to be copied isn't there, or the directory that it is to be copied into.";
    IN_THE_WAY 671 "in-the-way"
        "A file isn't put in the place of a directory, nor a directory in the place of a file.";
    NO_MACHINE 672 "no-machine"
        "No machine has a name that fits the pattern of `exec --all`.";
    NOT_A_VCENTER 673 "not-a-vcenter"
        "The server is a single ESXi host, or lacks what a vCenter has: machines can't be cloned there, or nothing can be \
         done in their guests.";
    NOTHING_SEEN 674 "nothing-seen"
        "The account can log in, but has no role on any datacenter, so nothing can be found or made.";
    NOBODY_TO_ASK 675 "nobody-to-ask"
        "`build --on-error ask` asks on the terminal what becomes of a failure, so standard input and standard error must be \
         one. In scripts and CI, say beforehand: `--on-error clean`, `keep` or `continue`.";
    NOT_RUNNING 676 "not-running"
        "A command can run only in a guest that is up: its machine powered on, VMware Tools (open-vm-tools) running.";
    BAD_CONNECTIONS 677 "bad-connections"
        "The file with the saved connections (`vcenters.toml` in $VMWBUILD_CONFIG_DIR, else in `vmwbuild` below \
         $XDG_CONFIG_HOME or ~/.config) can't be used: it isn't what `vmwbuild vcenter` writes, or others than its owner \
         may read it.";
    NO_CONNECTION 678 "no-connection"
        "There is no saved connection of that name. `vmwbuild vcenter ls` lists them.";
    COPY_ARGUMENTS 679 "copy-arguments"
        "`vmwbuild cp` copies between this machine and one guest: one side is `VM:/absolute/path`, the other a path here, \
         or `-` for standard input or output.";
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
        "A file that the command line asks to be written, or standard output, can't be.";
    CREDENTIALS_MISSING 689 "credentials-missing"
        "vCenter's user name or password is given by no flag and no variable, and there is no terminal to ask on.";
    SELFTEST 699 "selftest-failed"
        "The small build of `vmwbuild doctor --selftest` didn't end well. What went wrong stands above; the transcript \
         has all that was said, with other words in place of names, addresses and accounts.";
    BAD_CONFIG 696 "bad-config"
        "A `vmwbuild.toml`, or a flag that sets the level of a lint, can't be understood. The file has the tables \
         `[lint]` (with the lists `allow`, `warn` and `deny` of lints' names, and the table `per-file-ignores` from \
         patterns to such lists), `[args]` (values for ARGs), `[placement]` (datacenter, cluster, host, pool, datastore, \
         folder, network), the key `vcenter`, and `[profile.NAME]` with these three for `--profile NAME`.";
    SHELLCHECK_FAILED 697 "shellcheck-failed"
        "`lint --shellcheck` runs the program `shellcheck`, which must be on PATH (version 0.7.0 or later; Debian, \
         Fedora, Homebrew and others have it as a package). It isn't there, or didn't do its work.";
}
