//! VMW200–VMW299: stages and the graph. VMW600–VMW699: what can't be executed yet, and what a build lacks.

use crate::diagnostic::codes;

codes! {
    /// An instruction before the first FROM.
    OUTSIDE_STAGE = 200 "outside-stage" Error
    about "Before the first FROM stand ARG, SECRET, INCLUDE, and placement and LOGIN as defaults for all stages. \
           Everything else says something of a machine, so a FROM must stand before it. A stage that an included \
           file opens ends with that file."
    wrong "RUN echo hello\nFROM debian-12 AS web\n"
    right "FROM debian-12 AS web\nRUN echo hello\n";

    /// An instruction after the first step that stands before it.
    MISPLACED = 201 "misplaced-instruction" Error
    about "Placement, what changes the machine, OUTPUT, ADDRESS and HOSTNAME are done before the machine's first step, \
           whatever line they stand in; so that a file reads in the order in which things happen, they stand before \
           it."
    wrong "FROM debian-12 AS web\nRUN echo hello\nOUTPUT VM web\n"
    right "FROM debian-12 AS web\nOUTPUT VM web\nRUN echo hello\n";

    /// SECRET in a stage.
    GLOBAL_ONLY = 202 "global-only" Error
    about "A SECRET is asked for once, before the build, and is the same for all stages: it stands before the first \
           FROM."
    wrong "FROM debian-12 AS web\nSECRET password\nRUN echo ${{ password }} | chpasswd\n"
    right "SECRET password\nFROM debian-12 AS web\nRUN echo ${{ password }} | chpasswd\n";

    /// What doesn't go with machines that exist.
    NOT_ON_EXISTING = 260 "not-on-existing" Error
    about "The machines of an ON exist: its steps run on them as they are. What shapes a machine that is made (OUTPUT, \
           placement, hardware, ADDRESS, HOSTNAME, CHECKPOINT) has no meaning there; and SERIAL, which bounds how many \
           machines are worked on at a time, has one there only."
    wrong "ON 'web*' AS web\nMEMORY 2GiB\nRUN apt-get -qy upgrade\n"
    right "ON 'web*' AS web\nRUN apt-get -qy upgrade\n";

    /// What is gone when it would be used.
    NOT_LASTING = 262 "not-lasting" Error
    about "HEALTHCHECK and ONREMOVE are run by `vmwbuild up` when the build that has made the machine is long over: keys and \
           addresses that only that build knew aren't known any more. Names, ARGs, SECRETs and loop values are."
    wrong "FROM debian-12 AS web\nOUTPUT VM web\nKEY port: int FROM RUN cat /etc/port\nHEALTHCHECK RUN nc -z localhost ${{ port }}\n"
    right "FROM debian-12 AS web\nOUTPUT VM web\nHEALTHCHECK RUN nc -z localhost \"$(cat /etc/port)\"\n";

    /// A snapshot that isn't there, or doesn't stay.
    BAD_REVERT = 261 "snapshot-without-effect" Error
    about "`ONFAIL REVERT name` goes back to the snapshot that `SNAPSHOT name` of the same stage has made. A snapshot is \
           of use on a machine that stays: that of an ON, or one with an OUTPUT."
    wrong "ON 'web*' AS web\nONFAIL REVERT before\nRUN apt-get -qy upgrade\n"
    right "ON 'web*' AS web\nSNAPSHOT before\nONFAIL REVERT before\nRUN apt-get -qy upgrade\n";

    /// Something given twice of which there can be one.
    GIVEN_TWICE = 203 "given-twice" Error
    about "A machine has one memory, one address, one place to live. Given twice, one of the lines would be ignored in \
           silence."
    wrong "FROM debian-12 AS web\nMEMORY 1GiB\nMEMORY 2GiB\nRUN echo hello\n"
    right "FROM debian-12 AS web\nMEMORY 2GiB\nRUN echo hello\n";

    /// A flag given twice.
    REPEATED_FLAG = 204 "repeated-flag" Error
    about "The flag stands twice on one instruction, and only one of its values could count. `--env` and `--after` may \
           be repeated."
    wrong "FROM debian-12 AS web\nRUN --timeout=1m --timeout=5m echo hello\n"
    right "FROM debian-12 AS web\nRUN --timeout=5m echo hello\n";

    /// A flag that does nothing here.
    FLAG_WITHOUT_EFFECT = 205 "flag-without-effect" Warning
    about "The flag is known, but in this place there is nothing that it could change: `--delay` without `--retry`, \
           `--ok` where no command runs, `--serial` in a stage without FOR."
    wrong "FROM debian-12 AS web\nRUN --delay=5s echo hello\n"
    right "FROM debian-12 AS web\nRUN --retry=3 --delay=5s echo hello\n";

    /// A value that its place can't take.
    BAD_ARGUMENT = 206 "bad-argument" Error
    about "The value has the right type, but is not one that this place can take: a memory that vSphere can't give, \
           permissions that are not octal, an empty name."
    wrong "FROM debian-12 AS web\nMEMORY 1023MiB\nRUN echo hello\n"
    right "FROM debian-12 AS web\nMEMORY 1024MiB\nRUN echo hello\n";

    /// A NOTE that no step follows.
    NOTE_WITHOUT_STEP = 207 "note-without-step" Warning
    about "NOTE is the title of the next step. Here none follows, or another NOTE comes first, and the text would \
           never be shown."
    wrong "FROM debian-12 AS web\nRUN echo hello\nNOTE Say hello\n"
    right "FROM debian-12 AS web\nNOTE Say hello\nRUN echo hello\n";

    /// A file that includes itself.
    INCLUDE_CYCLE = 208 "include-cycle" Error
    about "An included file's lines are read in the place of the INCLUDE; a file that includes itself, directly or by \
           way of others, would never end."
    wrong "INCLUDE VMWfile\nFROM debian-12 AS web\nRUN echo hello\n"
    right "FROM debian-12 AS web\nRUN echo hello\n";

    /// The path of an INCLUDE has a value in it.
    INCLUDE_NOT_LITERAL = 209 "include-not-literal" Error
    about "The lines of a file are known before any value is: the path of an INCLUDE is literal, relative to the file \
           that it stands in."
    wrong "ARG flavor = \"small\"\nINCLUDE ${{ flavor }}.vmwfile\nFROM debian-12 AS web\nRUN echo hello\n"
    right "INCLUDE small.vmwfile\nFROM debian-12 AS web\nRUN echo hello\n";

    /// Two machines of one name.
    SAME_OUTPUT = 210 "same-output" Error
    about "Two machines or templates in one folder of vCenter can't have the same name, so the second could not be \
           made. With FOR the name must hang on the loop variable."
    wrong "FROM debian-12 AS web FOR n IN 1..2\nOUTPUT VM web\n"
    right "FROM debian-12 AS web FOR n IN 1..2\nOUTPUT VM web${{ n }}\n";

    /// An output that is its own source.
    OUTPUT_IS_SOURCE = 211 "output-is-source" Error
    about "The stage is made from a template of the very name that it leaves. Since the template exists, the build \
           could only fail at its end. To renew a template from itself, let the new one take the old one's place \
           with `--exists=replace`, which is done at the very end."
    wrong "FROM debian-12 AS base\nOUTPUT TEMPLATE debian-12\nRUN apt-get -y upgrade\n"
    right "FROM debian-12 AS base\nOUTPUT --exists=replace TEMPLATE debian-12\nRUN apt-get -y upgrade\n";

    /// FOR without OUTPUT.
    OUTPUT_NEEDED = 212 "output-needed" Error
    about "A stage without OUTPUT leaves a template of its own name. With FOR several machines would have that name, \
           so it must be said what each leaves."
    wrong "FROM debian-12 AS web FOR n IN 1..2\nRUN echo hello\n"
    right "FROM debian-12 AS web FOR n IN 1..2\nOUTPUT VM web${{ n }}\nRUN echo hello\n";

    /// Two OUTPUTs of one kind.
    OUTPUT_TWICE = 213 "output-twice" Error
    about "A stage may leave things of several kinds, a template and a VM, say; but one of each, and OUTPUT NONE stands \
           alone."
    wrong "FROM debian-12 AS web\nOUTPUT VM web1\nOUTPUT VM web2\n"
    right "FROM debian-12 AS web FOR n IN 1..2\nOUTPUT VM web${{ n }}\n";

    /// A name that vCenter doesn't take.
    BAD_OUTPUT_NAME = 214 "bad-output-name" Error
    about "vCenter takes names of 1 to 80 characters without control characters. A name that is empty often comes of \
           an ARG with an empty default."
    wrong "ARG name = \"\"\nFROM debian-12 AS web\nOUTPUT VM ${{ name }}\n"
    right "ARG name = \"web\"\nFROM debian-12 AS webserver\nOUTPUT VM ${{ name }}\n";

    /// FROM a stage that leaves a running VM.
    RUNNING_SOURCE = 215 "running-source" Error
    about "A clone is taken when its source is finished and powered off. A stage that leaves a running VM never is. Put \
           what both need into a stage of its own, which leaves a template or nothing, and make both FROM it."
    wrong "FROM debian-12 AS web\nOUTPUT VM web\nFROM web AS other\nRUN echo hello\n"
    right "FROM debian-12 AS base\nFROM base AS web\nOUTPUT VM web\nFROM base AS other\nRUN echo hello\n";

    /// FROM a stage that makes several machines.
    REPLICATED_SOURCE = 216 "ambiguous-source" Error
    about "A stage with FOR makes several machines, and which of them is meant can't be said in a FROM. A stage whose \
           name is computed must stand before it is used."
    wrong "FROM debian-12 AS web FOR n IN 1..2\nOUTPUT TEMPLATE web${{ n }}\nFROM web AS other\nRUN echo hello\n"
    right "FROM debian-12 AS base\nFROM base AS web FOR n IN 1..2\nOUTPUT TEMPLATE web${{ n }}\nFROM base AS other\nRUN echo hello\n";

    /// More replicas than a stage may have.
    TOO_MANY_REPLICAS = 217 "too-many-replicas" Error
    about "A stage makes at most 1000 machines. More are a slip in most files, and would be noticed late."
    wrong "FROM debian-12 AS web FOR n IN 1..100000\nOUTPUT VM web${{ n }}\n"
    right "FROM debian-12 AS web FOR n IN 1..10\nOUTPUT VM web${{ n }}\n";

    /// A FOR with a value twice.
    DUPLICATE_REPLICA = 218 "duplicate-replica" Error
    about "Each value of a FOR makes one machine, which is known by it: `stage[value]`. Of a CSV file the first column \
           names the replicas."
    wrong "FROM debian-12 AS web FOR n IN ${{ [\"a\", \"b\", \"a\"] }}\nOUTPUT VM web-${{ n }}\n"
    right "FROM debian-12 AS web FOR n IN ${{ [\"a\", \"b\"] }}\nOUTPUT VM web-${{ n }}\n";

    /// A FOR over something that is no list.
    BAD_FOR = 219 "for-not-a-list" Error
    about "FOR runs over a range of ints (`1..3`), a list (`${{ names }}`) or the rows of a CSV file (`FILE hosts.csv`)."
    wrong "ARG names = \"a b\"\nFROM debian-12 AS web FOR n IN ${{ names }}\nOUTPUT VM web-${{ n }}\n"
    right "ARG names = [\"a\", \"b\"]\nFROM debian-12 AS web FOR n IN ${{ names }}\nOUTPUT VM web-${{ n }}\n";

    /// A CSV file that FOR can't run over.
    BAD_CSV = 220 "bad-csv" Error
    about "The file of a FOR is CSV in UTF-8, beside the VMWfile or at a path relative to it. Its first line names the \
           columns, as they are used in `v.column`; the first column names the replicas."
    wrong "FROM debian-12 AS web FOR v IN FILE missing.csv\nOUTPUT VM ${{ v.host_name }}\n"
    right "FROM debian-12 AS web FOR v IN FILE hosts.csv\nOUTPUT VM ${{ v.host_name }}\n";

    /// Steps that wait for each other.
    STEP_CYCLE = 221 "cycle" Error
    about "These steps wait for each other, so none of them could ever begin. Stages may need each other back and \
           forth, as long as their steps don't: a step waits for the very step that captures a key, for the end of \
           the stage that its machine is FROM, and for what `--after` and `COPY --from` say, and each machine's steps \
           run in order. Break the chain at one of the places shown."
    wrong "FROM debian-12 AS a\nOUTPUT VM a\nRUN echo ${{ b.token }}\nKEY token FROM RUN cat /etc/machine-id\nFROM debian-12 AS b\nOUTPUT VM b\nRUN echo ${{ a.token }}\nKEY token FROM RUN cat /etc/machine-id\n"
    right "FROM debian-12 AS a\nOUTPUT VM a\nKEY token FROM RUN cat /etc/machine-id\nRUN echo ${{ b.token }}\nFROM debian-12 AS b\nOUTPUT VM b\nKEY token FROM RUN cat /etc/machine-id\nRUN echo ${{ a.token }}\n";

    /// Several things to one file.
    DIRECTORY_NEEDED = 222 "directory-needed" Error
    about "COPY and FETCH of several things put them into a directory: the destination ends in `/`."
    wrong "FROM debian-12 AS web\nCOPY *.conf /etc/app\n"
    right "FROM debian-12 AS web\nCOPY *.conf /etc/app/\n";

    /// A file of COPY that is not in the context.
    OUTSIDE_CONTEXT = 223 "outside-context" Error
    about "COPY takes files of the context, the directory that the build is given, so that a VMWfile means the same on \
           every machine. Paths are relative to it, and can't lead out of it."
    wrong "FROM debian-12 AS web\nCOPY ../app.conf /etc/app.conf\n"
    right "FROM debian-12 AS web\nCOPY app.conf /etc/app.conf\n";

    /// A file that is not without stages.
    NO_STAGE = 224 "no-stage" Error
    about "The file has no FROM, so there is nothing to build. A file that is only included has none with good reason; \
           build the file that includes it."
    wrong "ARG name = \"web\"\n"
    right "ARG name = \"web\"\nFROM debian-12 AS base\nOUTPUT VM ${{ name }}\n";

    /// A fault of the check.
    UNEXPLAINED = 299 "unexplained" Error
    about "The check could not make sense of a line and has no reason to give: a fault of vmwbuild, which rather stops \
           than builds something else than is written. Please report it with the file."
    wrong ""
    right "";

    /// What this version can't execute yet.
    NOT_EXECUTED = 600 "not-executed-yet" Error
    about "The language has this already, so that files which use it stay valid, but this version can't execute it. It \
           is never accepted and ignored: a build stops here, before anything is contacted; `lint` only warns."
    wrong "FROM debian-12 AS web\nOUTPUT VM web\nRUN true\nFROM debian-12 AS db\nRUN echo ${{ web.mac }}\n"
    right "FROM debian-12 AS web\nOUTPUT VM web\nRUN true\nFROM debian-12 AS db\nRUN echo ${{ web.ip }}\n";

    /// An ARG without a value.
    MISSING_ARG = 610 "missing-arg" Error
    about "The ARG has no default, so the build must be given its value: with `--arg name=value`, in a file with \
           `--args FILE`, or as the variable `VMWBUILD_ARG_name`."
    wrong "ARG version\nFROM debian-12 AS web\nRUN echo ${{ version }}\n"
    right "ARG version = \"1.2\"\nFROM debian-12 AS web\nRUN echo ${{ version }}\n";

    /// A value that is not of the ARG's type.
    BAD_ARG_VALUE = 611 "bad-arg-value" Error
    about "The value that was given for the ARG can't be read as the ARG's type. Where the type isn't written it is \
           that of the default."
    wrong ""
    right "";

    /// A value for an ARG that isn't there.
    UNKNOWN_ARG = 612 "unknown-arg" Error
    about "A value was given for an ARG that the file doesn't have. It would be ignored in silence, so it is an error. \
           Variables `VMWBUILD_ARG_…` that no ARG asks for are left alone, since they may be meant for another file."
    wrong ""
    right "";

    /// `--target` of a stage that isn't there.
    UNKNOWN_TARGET = 613 "unknown-target" Error
    about "`--target` takes the name of a stage, as `FROM … AS name` gives it. That stage and what it needs are built."
    wrong ""
    right "";

    /// A file that INCLUDE can't read.
    INCLUDE_NOT_FOUND = 620 "include-not-found" Error
    about "The path of an INCLUDE is relative to the file that it stands in; there is no such file, or it can't be \
           read."
    wrong "INCLUDE missing.vmwfile\nFROM debian-12 AS web\nRUN echo hello\n"
    right "INCLUDE small.vmwfile\nFROM debian-12 AS web\nRUN echo hello\n";

    /// A file that COPY doesn't find.
    COPY_NOT_FOUND = 621 "copy-not-found" Error
    about "The sources of a COPY are relative to the context, the directory that the build is given; nothing there has \
           this name, or what has it is, or has below it, a device, socket or named pipe, which can't be sent. It is looked \
           for before the build begins, so that an hour of steps does not end in a slip."
    wrong "FROM debian-12 AS web\nCOPY ap.conf /etc/app.conf\n"
    right "FROM debian-12 AS web\nCOPY app.conf /etc/app.conf\n";
}
