//! The codes of this room: VMW630 to VMW669.

use crate::diagnostic::codes;

codes! {
    BAD_JSON 630 "bad-json" Error
        "The file given to `vmwbuild convert` isn't JSON, nor a playbook (JSON with Go-template calls, `{{ … }}`, \
         around and inside it). The message shows the first place that can't be read; nothing is converted.";
    NOT_A_DEPLOYMENT 631 "not-a-deployment" Error
        "The file is JSON, but not a deployment of vmwscript: that is one object with a list `deployment`, whose \
         items have a `name` and a `task` with `inputTemplate`, `outputName`, `outputType` and `commands`.";
    UNKNOWN_FIELD 632 "unknown-field" Warning
        "vmwscript has no field of this name, and ignored it; it may be a slip of the pen (names are compared \
         without regard to case). Nothing in the VMWfile comes from it.";
    WRONG_KIND 633 "wrong-kind" Warning
        "The field has a value of another kind than vmwscript expected there, which it refused. What can be \
         understood is kept; see whether the VMWfile says what was meant.";
    NO_COUNTERPART 634 "no-counterpart" Warning
        "What stands here has no place in a VMWfile: vCenter's address and account, for example, are settings of \
         whoever builds, not of what is built. The message says where it belongs now.";
    PASSWORD_TAKEN_OUT 635 "password-taken-out" Warning
        "A password stood in the deployment in clear. The VMWfile has a SECRET in its place, and its value must be \
         given: `--secret id=NAME,env=VARIABLE` or `--secret id=NAME,src=FILE`; on a terminal it is asked for. \
         A password that was stored in a file that others could read should be changed.";
    NOT_WAITED_FOR 636 "not-waited-for" Warning
        "vmwscript didn't wait for a step with `ignore`, and never learned how it ended. A VMWfile's steps are done \
         one after the other: the step is waited for, and with `--allow-failure` its failure changes nothing. For \
         a command that is meant to stay in the background, end it with `&`, or make it a service.";
    TEMPLATE_CALL 637 "template-call" Warning
        "The playbook calls a function, or uses a statement, that needs the tool it was written for. Where a value \
         comes of it, the VMWfile has an ARG in its place, to be given by `--arg`.";
    MISSING_FIELD 638 "missing-field" Warning
        "A field that vmwscript needed is absent or empty. The VMWfile has something usable in its place; the \
         message says what.";
    UNKNOWN_STEP 639 "unknown-step" Warning
        "vmwscript knew two types of commands, `execute` and `download`, and passed over others. The VMWfile has a \
         comment in its place.";
    KEY_NOT_CAPTURED 640 "key-not-captured" Warning
        "`execKey` runs what an earlier `download` stored under a `resultKey`. No download before this step has \
         that key, so vmwscript would have run nothing. The VMWfile has a comment in its place.";
    OTHER_USER 641 "other-user" Warning
        "vmwscript put `sudo -n -u USER` before the text of the command. So only the first command was run as that \
         user; what follows `;`, `&&`, `||` or `|`, redirections and `$HOME` were the guest account's. In a VMWfile \
         USER holds for the whole command. That is mostly what was meant; see whether it is here.";
    FAILURES_STOP 642 "failures-stop" Advice
        "vmwscript logged a command's exit code and went on. In a VMWfile a command that fails ends its stage, \
         unless its step has `--allow-failure` or lists the exit code in `--ok=`.";
    TEXT_AFTER_END 643 "text-after-end" Warning
        "There is more in the file after the deployment's closing brace. vmwscript didn't read it, and nothing in \
         the VMWfile comes from it.";
    CONTROL_CHARACTER 644 "control-character" Warning
        "The text contains characters such as NUL or ESC that can't stand in a VMWfile. They were left out.";
    REPEATED_FIELD 645 "repeated-field" Warning
        "The object has a field twice. vmwscript took the last one, and so does the VMWfile.";
    PASSWORD_LEFT 646 "password-left" Warning
        "A command contains what looks like a password, in a place where it can't be taken out safely, inside \
         other quotes for example. It stands in the VMWfile as it did in the deployment: declare a SECRET and put \
         `${{ name }}` in its place.";
    RUNNING_SOURCE 647 "clone-of-a-build" Warning
        "A task clones what another task of the same file leaves running, or makes only later. A VMWfile clones \
         finished templates: let the first task make one.";
    SECRET_SHOWN 648 "secret-in-a-name" Warning
        "A variable whose name says that it is a password is used in a name or a note, which anybody can read. A \
         SECRET isn't allowed there; the VMWfile has the variable's name in its place.";
}
