//! VMW100–VMW149: names, types, values, shell text.

use crate::diagnostic::codes;

codes! {
    /// A name that nothing has.
    UNKNOWN_NAME = 100 "unknown-name" Error
    about "The expression uses a name that no ARG, SECRET, loop variable, stage or key of this stage has. Names are \
           checked before anything runs, so that a build never stops half-way for a slip of the keyboard. Correct \
           the name, or declare it; a key of another stage is written with its stage, `stage.key`."
    wrong "ARG version = \"1.2\"\nFROM debian-12\nOUTPUT NONE\nRUN echo ${{ verison }}\n"
    right "ARG version = \"1.2\"\nFROM debian-12\nOUTPUT NONE\nRUN echo ${{ version }}\n";

    /// A key or attribute that a stage doesn't have.
    UNKNOWN_MEMBER = 101 "unknown-member" Error
    about "After a stage's name, `self` or `build` and a dot stands a key that the stage captures or one of the \
           attributes (`name`, `uuid`, `moref`, `hostname`, `ip`; for `build`: `id`, `date`); after the variable of \
           a FOR over a CSV file, a column. This one is none of them."
    wrong "FROM debian-12 AS web\nOUTPUT VM web\nRUN echo ${{ self.adress }}\n"
    right "FROM debian-12 AS web\nOUTPUT VM web\nRUN echo ${{ self.ip }}\n";

    /// A filter that there is not.
    UNKNOWN_FILTER = 102 "unknown-filter" Error
    about "After `|` stands the name of a filter, and there is none of this name. The filters are a fixed set: raw, \
           quote, trim, upper, lower, replace, default, base64, json, lines, join, pad, basename, dirname, int, ip, \
           host, netmask, prefix."
    wrong "ARG name = \"Web\"\nFROM debian-12\nOUTPUT NONE\nRUN echo ${{ name | lowr }}\n"
    right "ARG name = \"Web\"\nFROM debian-12\nOUTPUT NONE\nRUN echo ${{ name | lower }}\n";

    /// A value of another type than the place takes.
    WRONG_TYPE = 103 "wrong-type" Error
    about "The place takes a value of one type and the expression has another. Types are never guessed from a \
           value's looks: declare the ARG or KEY with the type (`ARG gateway: ip`), or convert the value with a \
           filter (`| int`, `| ip`, `| join(\",\")`)."
    wrong "ARG cpus = \"4\"\nFROM debian-12\nOUTPUT NONE\nCPU ${{ cpus }}\n"
    right "ARG cpus: int = 4\nFROM debian-12\nOUTPUT NONE\nCPU ${{ cpus }}\n";

    /// An operator that doesn't take such values.
    OPERATION = 104 "operation" Error
    about "The operator doesn't take values of these types. Arithmetic is for ints, durations and sizes; `+` also \
           joins, when a side is a string; `and`, `or`, `not` and `if` take bools and nothing else; only values of \
           one type are compared."
    wrong "ARG port = \"80\"\nFROM debian-12\nOUTPUT NONE\nRUN echo ${{ port * 2 }}\n"
    right "ARG port: int = 80\nFROM debian-12\nOUTPUT NONE\nRUN echo ${{ port * 2 }}\n";

    /// A filter that doesn't take such a value.
    FILTER_INPUT = 105 "filter-input" Error
    about "The filter doesn't take a value of this type: `host`, `netmask` and `prefix` take a cidr, `join` a list, \
           and the text filters anything but a list."
    wrong "ARG address: ip = \"10.0.0.5\"\nFROM debian-12\nOUTPUT NONE\nRUN echo ${{ address | netmask }}\n"
    right "ARG address: cidr = \"10.0.0.5/24\"\nFROM debian-12\nOUTPUT NONE\nRUN echo ${{ address | netmask }}\n";

    /// A filter with too few or too many arguments.
    FILTER_ARGUMENTS = 106 "filter-arguments" Error
    about "The filter takes another number of arguments. The help shows how it is written."
    wrong "FROM debian-12\nOUTPUT NONE\nRUN echo ${{ \"a.b\" | replace(\".\") }}\n"
    right "FROM debian-12\nOUTPUT NONE\nRUN echo ${{ \"a.b\" | replace(\".\", \"-\") }}\n";

    /// A machine where a value is needed.
    NOT_A_VALUE = 107 "not-a-value" Error
    about "A stage, `self` and `build` have members but no value of their own: say which one is meant, as in \
           `manager.ip` or `self.name`. With FOR, `worker.ip` is a list and `worker[1].ip` one replica's."
    wrong "FROM debian-12 AS web\nOUTPUT VM web\nRUN echo ${{ self }}\n"
    right "FROM debian-12 AS web\nOUTPUT VM web\nRUN echo ${{ self.name }}\n";

    /// A field or element of something that has none.
    NO_FIELDS = 108 "no-fields" Error
    about "Only json has fields, and only lists and json have elements."
    wrong "ARG name = \"web\"\nFROM debian-12\nOUTPUT NONE\nRUN echo ${{ name.first }}\n"
    right "ARG name: json = \"{\\\"first\\\": \\\"web\\\"}\"\nFROM debian-12\nOUTPUT NONE\nRUN echo ${{ name.first }}\n";

    /// Constants whose operation has no result.
    NO_RESULT = 109 "no-result" Error
    about "The expression has no value: a number that does not fit into 64 bits, a division by zero, an index \
           outside the list, a field that the json does not have. Since everything in it is known before the build, \
           it is refused now. A field that may be missing is read through `| default`."
    wrong "FROM debian-12\nOUTPUT NONE\nRUN echo ${{ 1 / 0 }}\n"
    right "FROM debian-12\nOUTPUT NONE\nRUN echo ${{ 1 / 1 }}\n";

    /// Text that is none of the type wanted.
    BAD_VALUE = 110 "bad-value" Error
    about "The text can't be read as a value of the type that is wanted here. The message shows the text; an int is \
           decimal digits, a cidr has its prefix length, a duration and a size have their unit."
    wrong "FROM debian-12\nOUTPUT NONE\nADDRESS 10.0.0.300/24\n"
    right "FROM debian-12\nOUTPUT NONE\nADDRESS 10.0.0.30/24\n";

    /// An unset key without a default.
    KEY_MAY_BE_UNSET = 111 "key-may-be-unset" Error
    about "The step that captures the key has `--if`, `--unless` or `--allow-failure`, so that there may be no value \
           when this one is needed. Say with `| default(…)` what stands for it then."
    wrong "FROM debian-12\nOUTPUT NONE\nKEY --allow-failure kernel FROM RUN uname -r\nRUN echo ${{ kernel }}\n"
    right "FROM debian-12\nOUTPUT NONE\nKEY --allow-failure kernel FROM RUN uname -r\nRUN echo ${{ kernel | default(\"unknown\") }}\n";

    /// A default that can't be needed.
    DEFAULT_UNUSED = 112 "default-unused" Warning
    about "`default` stands in for a key that may be unset or a json field that may be missing. What stands before \
           it here always has a value. The default of an ARG is written where the ARG is declared."
    wrong "ARG port = 80\nFROM debian-12\nOUTPUT NONE\nRUN echo ${{ port | default(8080) }}\n"
    right "ARG port = 8080\nFROM debian-12\nOUTPUT NONE\nRUN echo ${{ port }}\n";

    /// A value from the running build where it must be known before.
    NOT_KNOWN_YET = 113 "not-known-yet" Error
    about "What machines are made, their names, placement, size and which steps run is decided before the build \
           starts, so that it can be checked and shown first. Only constants, ARGs, loop variables and `build.…` can \
           say it; keys, secrets and attributes are known while the build runs."
    wrong "FROM debian-12 AS a\nOUTPUT VM a\n\nFROM debian-12\nOUTPUT VM ${{ a.name }}-${{ a.uuid }}\n"
    right "FROM debian-12 AS a\nOUTPUT VM a\n\nFROM debian-12\nOUTPUT VM ${{ a.name }}-2\n";

    /// A comparison with a secret.
    SECRET_COMPARED = 114 "secret-compared" Error
    about "What depends on the comparison of a secret shows something of it: in the plan, the log, the order of \
           steps. Compare it in the guest's shell if it must be."
    wrong "SECRET token\nFROM debian-12\nOUTPUT NONE\nRUN echo ${{ \"yes\" if token == \"\" else \"no\" }}\n"
    right "SECRET token\nFROM debian-12\nOUTPUT NONE\nRUN test -n ${{ token }} && echo yes\n";

    /// A secret where it would be shown.
    SECRET_SHOWN = 115 "secret-shown" Error
    about "A secret, and what is computed from one, may stand in LOGIN, ENV, KEY, shell text, COPY bodies and exec \
           arrays. Anywhere else it would be stored in vCenter, shown in the log or written to the disk of this \
           machine, where others can read it."
    wrong "SECRET token\nFROM debian-12\nOUTPUT NONE\nANNOTATION token is ${{ token }}\n"
    right "SECRET token\nFROM debian-12\nOUTPUT NONE\nENV TOKEN=${{ token }}\n";

    /// A list where one text is needed.
    LIST_IN_TEXT = 116 "list-in-text" Error
    about "A list has no text of its own: whether its elements are separated by blanks, commas or line ends is for \
           you to say, with `| join(…)`; or take one element, `list[0]`."
    wrong "ARG hosts: list<string> = [\"a\", \"b\"]\nFROM debian-12\nOUTPUT NONE\nANNOTATION for ${{ hosts }}\n"
    right "ARG hosts: list<string> = [\"a\", \"b\"]\nFROM debian-12\nOUTPUT NONE\nANNOTATION for ${{ hosts | join(\",\") }}\n";

    /// `raw` where it means nothing.
    RAW_MISPLACED = 117 "raw-misplaced" Error
    about "`| raw` inserts a value into shell text as code. It is the last filter of the value, and means nothing \
           outside shell text, where a value is never code."
    wrong "ARG name = \"web\"\nFROM debian-12\nOUTPUT NONE\nHOSTNAME ${{ name | raw }}\n"
    right "ARG name = \"web\"\nFROM debian-12\nOUTPUT NONE\nHOSTNAME ${{ name }}\n";

    /// A `${…}` in ENV that is more than a name.
    ENV_EXPANSION = 118 "env-expansion" Error
    about "An ENV value may name the guest's variables as `$NAME` and `${NAME}`, which are expanded when the step \
           runs. It is no shell text: there is no `${NAME:-word}` and the like. For the characters themselves use \
           `'…'`; for more, set the variable in the command."
    wrong "FROM debian-12\nOUTPUT NONE\nENV LEVEL=${LEVEL:-info}\n"
    right "FROM debian-12\nOUTPUT NONE\nENV LEVEL=info\n";

    /// An expression nested beyond reason.
    TOO_DEEP = 119 "expression-too-deep" Error
    about "Expressions may be nested 200 deep. Take it apart with ARGs or KEYs."
    wrong ""
    right "";

    /// Code of `| raw` that changes the meaning of what stands around it.
    RAW_CHANGES_TEXT = 131 "raw-changes-text" Error
    about "The code that `| raw` inserts changes how the shell reads the text around the other values: it opens a \
           quote or closes one, begins a comment or a heredoc. Then those values would be code too. Insert whole \
           words and commands only."
    wrong "ARG options = \"-v '\"\nARG name = \"web\"\nFROM debian-12\nOUTPUT NONE\nRUN start ${{ options | raw }} ${{ name }}\n"
    right "ARG options = \"-v\"\nARG name = \"web\"\nFROM debian-12\nOUTPUT NONE\nRUN start ${{ options | raw }} ${{ name }}\n";

    /// A shell quote that is never closed.
    UNCLOSED_QUOTE = 132 "unclosed-shell-quote" Error
    about "The command ends inside a quote, so the shell would look for its end in vain. An apostrophe in prose is the \
           usual cause: put the text in double quotes. A RUN's command ends with its line; text of several lines \
           stands in a script heredoc, `RUN <<EOF`, or the line is continued with `\\`."
    wrong "FROM debian-12\nOUTPUT NONE\nRUN echo it's done\n"
    right "FROM debian-12\nOUTPUT NONE\nRUN echo \"it's done\"\n";

    /// A value given to a batch file.
    BATCH_ARGUMENT = 133 "batch-argument" Error
    about "Windows runs `.bat` and `.cmd` files through cmd.exe, which reads their arguments as code: no quoting is \
           safe there. Give the value through the environment, `ENV NAME=${{ … }}`."
    wrong "ARG name = \"web\"\nFROM --os=windows win-2022\nOUTPUT NONE\nRUN [\"setup.bat\", \"${{ name }}\"]\n"
    right "ARG name = \"web\"\nFROM --os=windows win-2022\nOUTPUT NONE\nENV NAME=${{ name }}\nRUN [\"setup.bat\"]\n";

    /// A value in a script's `#!` line.
    VALUE_IN_SHEBANG = 134 "value-in-shebang" Error
    about "The `#!` line names the script's interpreter and must be known before the build; the kernel reads it, and \
           no shell variable means anything there."
    wrong "ARG shell = \"bash\"\nFROM debian-12\nOUTPUT NONE\nRUN <<EOF\n#!/bin/${{ shell }}\necho hello\nEOF\n"
    right "FROM debian-12\nOUTPUT NONE\nRUN <<EOF\n#!/bin/bash\necho hello\nEOF\n";
}

#[cfg(test)]
mod tests {
    use super::ALL;
    use crate::diagnostic::{Problems, Style, render_all};
    use crate::source::Sources;

    #[test]
    fn numbers_are_apart_and_examples_parse() {
        let mut numbers: Vec<u16> = ALL.iter().map(|c| c.number).collect();
        numbers.dedup();
        assert_eq!(numbers.len(), ALL.len());
        assert!(numbers.iter().all(|n| (100..150).contains(n)));
        for code in ALL {
            for text in [code.wrong, code.right] {
                let mut sources = Sources::new();
                let id = sources.add(code.name, None, text);
                let mut problems = Problems::new();
                crate::syntax::parse(&sources, id, &mut problems);
                let said = render_all(problems.iter(), &sources, Style::plain());
                assert!(problems.is_empty(), "{said}");
            }
        }
    }
}
