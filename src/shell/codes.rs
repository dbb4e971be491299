//! The codes of this room: VMW300 to VMW339.

use crate::diagnostic::{Code, Severity};

/// `unknown-shell`.
pub static UNKNOWN_SHELL: Code = Code {
    number: 300,
    name: "unknown-shell",
    severity: Severity::Error,
    about: "A value in shell text becomes a constant of that shell, in the form that its place needs. That takes \
            a reading of the text, and this interpreter's syntax isn't known. Known are `sh`, `dash`, `ash`, \
            `busybox`, `bash`, `ksh` and its relatives, `powershell`, `pwsh` and `cmd`. Give the value to the \
            script as an environment variable: `ENV NAME=${{ name }}` before the step, and what the language has \
            for reading it.",
    wrong: concat!(
        "ARG name\n",
        "FROM Debian AS web\n",
        "RUN <<EOF\n",
        "#!/usr/bin/python3\n",
        "print(${{ name }})\n",
        "EOF\n",
    ),
    right: concat!(
        "ARG name\n",
        "FROM Debian AS web\n",
        "ENV NAME=${{ name }}\n",
        "RUN <<'EOF'\n",
        "#!/usr/bin/python3\n",
        "import os\n",
        "print(os.environ[\"NAME\"])\n",
        "EOF\n",
    ),
};

/// `value-in-backticks`.
pub static BACKTICKS: Code = Code {
    number: 301,
    name: "value-in-backticks",
    severity: Severity::Error,
    about: "Between backticks a shell takes the text apart twice, with rules about backslashes that differ from \
            shell to shell, so no constant stands there safely. `$(…)` means the same and nests; write that.",
    wrong: concat!("ARG name\n", "FROM Debian AS web\n", "RUN echo `basename ${{ name }}`\n",),
    right: concat!("ARG name\n", "FROM Debian AS web\n", "RUN echo $(basename ${{ name }})\n",),
};

/// `value-in-parameter-expansion`.
pub static PARAMETER_EXPANSION: Code = Code {
    number: 302,
    name: "value-in-parameter-expansion",
    severity: Severity::Error,
    about: "Inside `${…}` a value could be a name, a pattern, a number or text, depending on the operator and on \
            the shell. Put it into a variable first and use that.",
    wrong: concat!("ARG name\n", "FROM Debian AS web\n", "RUN echo \"${HOME:-${{ name }}}\"\n",),
    right: concat!("ARG name\n", "FROM Debian AS web\n", "RUN other=${{ name }}; echo \"${HOME:-$other}\"\n",),
};

/// `value-in-dollar-quotes`.
pub static DOLLAR_QUOTES: Code = Code {
    number: 303,
    name: "value-in-dollar-quotes",
    severity: Severity::Error,
    about: "Inside `$'…'` backslashes are read, nothing is expanded, and POSIX shells don't know it, so no \
            constant can stand there. End the quote before the value and begin another after it.",
    wrong: concat!("ARG name\n", "FROM Debian AS web\n", "RUN echo $'a\\t${{ name }}'\n",),
    right: concat!("ARG name\n", "FROM Debian AS web\n", "RUN echo $'a\\t'${{ name }}\n",),
};

/// `value-as-heredoc-delimiter`.
pub static HEREDOC_DELIMITER: Code = Code {
    number: 304,
    name: "value-as-heredoc-delimiter",
    severity: Severity::Error,
    about: "A shell doesn't expand the delimiter of a here-document, and where the document ends must be known \
            before anything runs. Write a fixed word.",
    wrong: concat!(
        "ARG name\n",
        "FROM Debian AS web\n",
        "RUN <<SCRIPT\n",
        "cat <<${{ name }}\n",
        "hello\n",
        "SCRIPT\n",
    ),
    right: concat!(
        "ARG name\n",
        "FROM Debian AS web\n",
        "RUN <<SCRIPT\n",
        "cat <<EOF\n",
        "hello\n",
        "EOF\n",
        "SCRIPT\n",
    ),
};

/// `value-after-escape`.
pub static AFTER_ESCAPE: Code = Code {
    number: 305,
    name: "value-after-escape",
    severity: Severity::Error,
    about: "A value becomes a constant that begins with `$` or a quote. A backslash (in PowerShell a backtick) \
            or a `$` right before it would escape it or make something else of it. Put the backslash in quotes \
            (`'\\'${{ name }}`), or leave it away; for the shell's own `$$` write `\"$$\"${{ name }}`.",
    wrong: concat!("ARG name\n", "FROM Debian AS web\n", "RUN echo C:\\${{ name }}\n",),
    right: concat!("ARG name\n", "FROM Debian AS web\n", "RUN echo 'C:\\'${{ name }}\n",),
};

/// `value-not-an-int`.
pub static NOT_AN_INT: Code = Code {
    number: 306,
    name: "value-not-an-int",
    severity: Severity::Error,
    about: "Where a shell evaluates arithmetic (`$((…))`, `((…))`, subscripts, `[[ … -eq … ]]`, `let`, variables \
            declared with `-i`) it runs the text that it is given: a value such as `a[$(reboot)]` would be \
            executed there. So only an int may stand in such a place. Declare the type of the ARG or KEY, or \
            convert with `| int`.",
    wrong: concat!("ARG count\n", "FROM Debian AS web\n", "RUN echo $((${{ count }} + 1))\n",),
    right: concat!("ARG count: int\n", "FROM Debian AS web\n", "RUN echo $((${{ count }} + 1))\n",),
};

/// `value-as-name`.
pub static AS_NAME: Code = Code {
    number: 307,
    name: "value-as-name",
    severity: Severity::Error,
    about: "Here the shell takes the text for the name of a variable or function. Shells evaluate subscripts in \
            such names (`read 'a[$(reboot)]'` runs it), and a name that only the run knows can't be checked. Use \
            a fixed name; a value is data.",
    wrong: concat!("ARG name\n", "FROM Debian AS web\n", "RUN export ${{ name }}=1\n",),
    right: concat!("ARG name\n", "FROM Debian AS web\n", "RUN export SETTING=${{ name }}\n",),
};

/// `list-in-shell-text`.
pub static LIST: Code = Code {
    number: 308,
    name: "list-in-shell-text",
    severity: Severity::Error,
    about: "A value in shell text is part of one word, and a list is not one text. Join it, or use it in FOR.",
    wrong: concat!("ARG names: list<string> = [\"a\", \"b\"]\n", "FROM Debian AS web\n", "RUN echo ${{ names }}\n",),
    right: concat!(
        "ARG names: list<string> = [\"a\", \"b\"]\n",
        "FROM Debian AS web\n",
        "RUN echo ${{ names | join(\",\") }}\n",
    ),
};

/// `value-in-text-read-again`.
pub static REREAD: Code = Code {
    number: 309,
    name: "value-in-text-read-again",
    severity: Severity::Error,
    about: "This command takes its argument or input for code and reads it again (`eval`, `trap`, `sh -c`, `su \
            -c`, `ssh host …`, a here-document for a shell). A value in it would be code. Only what can't be \
            code may stand there (int, bool, ip, cidr, duration, size), or what `| quote` made one word. Best \
            give the value as an argument: `sh -c '… \"$1\"' sh ${{ name }}`.",
    wrong: concat!("ARG name\n", "FROM Debian AS web\n", "RUN sh -c \"echo ${{ name }}\"\n",),
    right: concat!("ARG name\n", "FROM Debian AS web\n", "RUN sh -c 'echo \"$1\"' sh ${{ name }}\n",),
};

/// `raw-in-quotes`.
pub static RAW_NOT_BARE: Code = Code {
    number: 310,
    name: "raw-in-quotes",
    severity: Severity::Error,
    about: "`| raw` inserts a value as code, and code stands outside quotes, here-documents and arithmetic. \
            Inside quotes leave `raw` away: the value arrives as it is.",
    wrong: concat!("ARG name\n", "FROM Debian AS web\n", "RUN echo \"${{ name | raw }}\"\n",),
    right: concat!("ARG name\n", "FROM Debian AS web\n", "RUN echo \"${{ name }}\"\n",),
};

/// `unsure-shell-text`.
pub static UNSURE: Code = Code {
    number: 311,
    name: "unsure-shell-text",
    severity: Severity::Error,
    about: "Two readings of the shell text, or two kinds of shell that may be called `sh`, don't agree on \
            whether this value stands in quotes, in arithmetic or bare. Where that isn't certain no value is \
            put. Name the shell (`SHELL bash`) if the text is for one only, write it more simply, or give the \
            value as an environment variable.",
    wrong: concat!("ARG count: int\n", "FROM Debian AS web\n", "RUN ((x = ${{ count }} + 1)); echo $x\n",),
    right: concat!("ARG count: int\n", "FROM Debian AS web\n", "RUN x=$((${{ count }} + 1)); echo $x\n",),
};

/// `unreadable-shell-text`.
pub static UNREADABLE: Code = Code {
    number: 312,
    name: "unreadable-shell-text",
    severity: Severity::Error,
    about: "A value can only stand in shell text that can be read: quotes, brackets and here-documents closed, \
            and nothing about which shells differ. The message says what stands in the way. Mend the text, or \
            give the value as an environment variable, which needs no reading.",
    wrong: concat!("ARG name\n", "FROM Debian AS web\n", "RUN <<EOF\n", "if true; then echo ${{ name }}\n", "EOF\n",),
    right: concat!(
        "ARG name\n",
        "FROM Debian AS web\n",
        "RUN <<EOF\n",
        "if true; then echo ${{ name }}; fi\n",
        "EOF\n",
    ),
};

/// `shell-text-too-long`.
pub static TOO_LONG: Code = Code {
    number: 313,
    name: "shell-text-too-long",
    severity: Severity::Error,
    about: "Shell text with values in it may have 64 KiB. Copy a longer script with COPY and run it with \
            arguments.",
    wrong: "",
    right: "",
};

/// `value-inside-powershell-word`.
pub static POWERSHELL_PLACE: Code = Code {
    number: 314,
    name: "value-inside-powershell-word",
    severity: Severity::Error,
    about: "In PowerShell a value stands as a whole argument, in `\"…\"` or in a here-string `@\"…\"@`. Inside a \
            bare word, a name, `'…'` or after `--%` it would be taken apart or not be expanded. Put the word in \
            double quotes.",
    wrong: concat!("ARG name\n", "FROM --os=windows Windows AS web\n", "RUN New-Item C:\\${{ name }}\n",),
    right: concat!("ARG name\n", "FROM --os=windows Windows AS web\n", "RUN New-Item \"C:\\${{ name }}\"\n",),
};

/// `text-for-cmd`.
pub static CMD_VALUE: Code = Code {
    number: 315,
    name: "text-for-cmd",
    severity: Severity::Error,
    about: "`cmd` expands `%`, `!` and `^` inside quotes as well and has no quoting that holds, so only values \
            that can't be code stand in its text: int, bool, ip, cidr, duration, size. Use PowerShell, or an \
            environment variable.",
    wrong: concat!("ARG name\n", "FROM --os=windows Windows AS web\n", "SHELL cmd\n", "RUN echo ${{ name }}\n",),
    right: concat!("ARG name\n", "FROM --os=windows Windows AS web\n", "RUN Write-Output ${{ name }}\n",),
};

/// `value-glued-in-arithmetic`.
pub static GLUED_NUMBER: Code = Code {
    number: 317,
    name: "value-glued-in-arithmetic",
    severity: Severity::Error,
    about: "In arithmetic a value is a whole number, put in parentheses, and can't be a part of a longer number \
            or of a name. Build the text outside the arithmetic.",
    wrong: concat!("ARG n: int\n", "FROM Debian AS web\n", "RUN echo $((1${{ n }} + 1))\n",),
    right: concat!("ARG n: int\n", "FROM Debian AS web\n", "RUN number=1${{ n }}; echo $((number + 1))\n",),
};

/// `quoted-value-in-quotes`.
pub static QUOTED_TWICE: Code = Code {
    number: 318,
    name: "quoted-value-in-quotes",
    severity: Severity::Error,
    about: "`| quote` makes a value one word of shell text, with quotes of its own. In text that is read again \
            it must stand bare: inside quotes its own quotes would end them, and what follows would be code.",
    wrong: concat!("ARG name\n", "FROM Debian AS web\n", "RUN sh -c \"echo 'hello ${{ name | quote }}'\"\n",),
    right: concat!("ARG name\n", "FROM Debian AS web\n", "RUN sh -c \"echo 'hello '${{ name | quote }}\"\n",),
};

/// `value-misread-by-cmd`.
pub static CMD_PLACE: Code = Code {
    number: 319,
    name: "value-misread-by-cmd",
    severity: Severity::Error,
    about: "`cmd` reads a batch file's lines after values are put in. Right before `>` or `<` a single digit is the \
            number of a stream: `echo 2>f` writes nothing to the file. `%5` is the batch file's fifth argument, and a \
            line that begins with `:`, as the address `::1` does, is a label. Put a blank or another word between.",
    wrong: concat!(
        "ARG n: int\n",
        "FROM --os=windows Windows AS web\n",
        "SHELL cmd\n",
        "RUN echo ${{ n }}>C:\\n.txt\n",
    ),
    right: concat!(
        "ARG n: int\n",
        "FROM --os=windows Windows AS web\n",
        "SHELL cmd\n",
        "RUN >C:\\n.txt echo ${{ n }}\n",
    ),
};

/// All of them.
pub static ALL: &[&Code] = &[
    &UNKNOWN_SHELL,
    &BACKTICKS,
    &PARAMETER_EXPANSION,
    &DOLLAR_QUOTES,
    &HEREDOC_DELIMITER,
    &AFTER_ESCAPE,
    &NOT_AN_INT,
    &AS_NAME,
    &LIST,
    &REREAD,
    &RAW_NOT_BARE,
    &UNSURE,
    &UNREADABLE,
    &TOO_LONG,
    &POWERSHELL_PLACE,
    &CMD_VALUE,
    &GLUED_NUMBER,
    &QUOTED_TWICE,
    &CMD_PLACE,
];
