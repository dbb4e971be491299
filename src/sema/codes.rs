//! VMW150–VMW199: names. VMW200–VMW299 and VMW600–VMW699 stand in `codes_stages`.

use crate::diagnostic::codes;

pub use super::codes_stages::*;

codes! {
    /// Two things of one name.
    DUPLICATE_NAME = 150 "duplicate-name" Error
    about "Stages, ARGs, SECRETs, loop variables and the KEYs of a stage share one namespace, and nothing hides \
           anything else, so that a name means one thing wherever it is read. Two stages may each have a KEY, an ARG \
           or a loop variable of the same name, since those are reached through their stage."
    wrong "ARG web = \"nginx\"\nFROM debian-12 AS web\nRUN echo hello\n"
    right "ARG server = \"nginx\"\nFROM debian-12 AS web\nRUN echo hello\n";

    /// A name that the language keeps.
    RESERVED_NAME = 151 "reserved-name" Error
    about "`build`, `self`, `true`, `false`, `and`, `or`, `not`, `if` and `else` are words of the language. A KEY can't \
           have the name of an attribute either (`name`, `uuid`, `moref`, `hostname`, `ip`, and those reserved for \
           later: `ips`, `mac`, `host`, `os`, `folder`, `power`), since `stage.ip` would mean two things."
    wrong "FROM debian-12 AS web\nKEY ip FROM RUN hostname -I\n"
    right "FROM debian-12 AS web\nKEY addresses FROM RUN hostname -I\nRUN echo ${{ addresses }}\n";

    /// `self` where there is no machine.
    SELF_OUTSIDE_STAGE = 152 "self-outside-stage" Error
    about "`self` is the machine of the stage that it stands in. Before the first FROM there is none."
    wrong "ARG where = self.name\nFROM debian-12 AS web\nRUN echo ${{ where }}\n"
    right "FROM debian-12 AS web\nRUN echo ${{ self.name }}\n";

    /// An ARG further down.
    USED_BEFORE_DECLARED = 153 "used-before-declared" Error
    about "ARGs have their values in the order in which they are written, so that the default of one can use those \
           before it, and none hangs on itself."
    wrong "ARG url = \"https://\" + host_name\nARG host_name = \"example.org\"\nFROM debian-12 AS web\nRUN echo ${{ url }}\n"
    right "ARG host_name = \"example.org\"\nARG url = \"https://\" + host_name\nFROM debian-12 AS web\nRUN echo ${{ url }}\n";

    /// A key used above its KEY.
    KEY_BEFORE_CAPTURE = 154 "key-before-capture" Error
    about "The steps of a stage run in the order written, and a KEY has its value from its own place on. Here it is \
           used in a line before."
    wrong "FROM debian-12 AS web\nRUN echo ${{ token }}\nKEY token FROM RUN cat /etc/machine-id\n"
    right "FROM debian-12 AS web\nKEY token FROM RUN cat /etc/machine-id\nRUN echo ${{ token }}\n";

    /// A key or attribute without its owner.
    KEY_OF_OTHER_STAGE = 155 "name-needs-owner" Error
    about "A stage's own keys are used by their bare names. Those of another stage need its name before them, \
           `stage.key`, and the attributes of the own machine need `self`."
    wrong "FROM debian-12 AS first\nOUTPUT NONE\nKEY token FROM RUN cat /etc/machine-id\nFROM debian-12 AS second\nRUN echo ${{ token }}\n"
    right "FROM debian-12 AS first\nOUTPUT NONE\nKEY token FROM RUN cat /etc/machine-id\nFROM debian-12 AS second\nRUN echo ${{ first.token }}\n";

    /// `stage[v]` for a value that FOR doesn't have.
    NO_SUCH_REPLICA = 156 "no-such-replica" Error
    about "`stage[v]` is the replica whose loop value is `v`; it needs a stage with a FOR, and one of FOR's values. A \
           flag that means one machine needs an index where the stage makes several."
    wrong "FROM debian-12 AS web FOR n IN 1..3\nOUTPUT VM web${{ n }}\nFROM debian-12 AS check\nRUN ping -c1 ${{ web[4].ip }}\n"
    right "FROM debian-12 AS web FOR n IN 1..3\nOUTPUT VM web${{ n }}\nFROM debian-12 AS check\nRUN ping -c1 ${{ web[3].ip }}\n";

    /// A flag that names a stage or key that is not there.
    UNKNOWN_STAGE = 157 "unknown-stage" Error
    about "`--after` and `COPY --from` take a stage of this file, by the name that `FROM … AS name` gives it, and \
           `--after` a key of it. Templates of the inventory can't be copied from: make a stage FROM them."
    wrong "FROM debian-12 AS web\nRUN echo hello\nFROM debian-12 AS check\nRUN --after=wbe echo ready\n"
    right "FROM debian-12 AS web\nRUN echo hello\nFROM debian-12 AS check\nRUN --after=web echo ready\n";

    /// `ARG x: secret`.
    SECRET_ARG = 158 "secret-arg" Error
    about "Values of ARGs are given on command lines and stored in files, and stand in process lists, shell histories \
           and CI logs. What must stay secret is a SECRET: it is given through a variable, a file or a command, and \
           never shown."
    wrong "ARG password: secret\nFROM debian-12 AS web\nRUN echo ${{ password }} | chpasswd\n"
    right "SECRET password\nFROM debian-12 AS web\nRUN echo ${{ password }} | chpasswd\n";

    /// An attribute where it can't be known.
    ATTRIBUTE_TOO_EARLY = 159 "attribute-too-early" Error
    about "`name` is known at once, and so is the `ip` of a static ADDRESS; `uuid` and `moref` after the clone; \
           `hostname` and any other `ip` when the guest is ready and ADDRESS done. This place needs the value earlier \
           than that."
    wrong "FROM debian-12 AS web\nOUTPUT VM web\nANNOTATION I am ${{ self.uuid }}\n"
    right "FROM debian-12 AS web\nOUTPUT VM web\nANNOTATION I am ${{ self.name }}\nRUN echo ${{ self.uuid }}\n";

    /// An attribute of a machine that doesn't live on.
    ATTRIBUTE_OF_TRANSIENT = 160 "attribute-of-transient" Error
    about "The `uuid`, `moref`, `hostname` and `ip` of another stage mean something when that stage leaves a running \
           VM. A machine that becomes a template, or is deleted, or is left powered off has no address that another \
           could use."
    wrong "FROM debian-12 AS base\nRUN echo hello\nFROM debian-12 AS web\nRUN ping -c1 ${{ base.ip }}\n"
    right "FROM debian-12 AS base\nOUTPUT VM base\nRUN echo hello\nFROM debian-12 AS web\nRUN ping -c1 ${{ base.ip }}\n";

    /// What one family of guests has and the other hasn't.
    WRONG_FAMILY = 161 "wrong-guest-family" Error
    about "A guest is a Unix one or Windows (`FROM --os=windows`), and what only the other family has can't be done in it: \
           on Windows there is no USER (no sudo), no `--chown` and `--chmod`, no `#!` line, and the network is configured \
           by PowerShell or by vCenter's guest customization, not by nmcli, netplan or ifupdown."
    wrong "FROM --os=windows win-2022\nOUTPUT NONE\nUSER operator\nRUN Get-Date\n"
    right "FROM --os=windows win-2022\nOUTPUT NONE\nLOGIN operator\nRUN Get-Date\n";
}
