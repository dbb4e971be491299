//! The codes of what can be wrong with a VMWfile's text.

use crate::diagnostic::{Code, Severity};

/// `unknown-instruction`
pub static UNKNOWN_INSTRUCTION: Code = Code {
    number: 1,
    name: "unknown-instruction",
    severity: Severity::Error,
    about: "A line begins with a word that is no instruction. Instructions are written in any case, one on a line; a line that goes on must end in the escape character (`\\`, or what `# escape=` chose). A word near an instruction's is answered with that instruction.",
    wrong: "FROM base AS web\nRUNN echo hello\n",
    right: "FROM base AS web\nRUN echo hello\n",
};

/// `unexpected-argument`
pub static UNEXPECTED_ARGUMENT: Code = Code {
    number: 2,
    name: "unexpected-argument",
    severity: Severity::Error,
    about: "An instruction has more arguments than it takes, or one in a place where another kind of word stands. Blanks separate arguments: a value with blanks in it must stand in quotes.",
    wrong: "FROM base AS web\nWORKDIR /opt/my app\n",
    right: "FROM base AS web\nWORKDIR \"/opt/my app\"\n",
};

/// `missing-argument`
pub static MISSING_ARGUMENT: Code = Code {
    number: 3,
    name: "missing-argument",
    severity: Severity::Error,
    about: "An instruction ends before everything that it needs has been said.",
    wrong: "FROM base AS\n",
    right: "FROM base AS web\n",
};

/// `unknown-flag`
pub static UNKNOWN_FLAG: Code = Code {
    number: 4,
    name: "unknown-flag",
    severity: Severity::Error,
    about: "A word that begins with `--` is a flag of the instruction, wherever it stands among the words, and this instruction has none of that name. Where the word is meant as an argument, put a lone `--` before it: flags end there. Before shell text and prose, flags come first; after the first other word everything belongs to the text.",
    wrong: "FROM base AS web\nRUN --timeoutt=5m echo hello\n",
    right: "FROM base AS web\nRUN --timeout=5m echo hello\n",
};

/// `flag-value`
pub static FLAG_VALUE: Code = Code {
    number: 5,
    name: "flag-value",
    severity: Severity::Error,
    about: "Some flags take a value, which stands after `=` without blanks (`--timeout=5m`); others stand for themselves and take none (`--linked`).",
    wrong: "FROM base AS web\nRUN --timeout 5m echo hello\n",
    right: "FROM base AS web\nRUN --timeout=5m echo hello\n",
};

/// `unterminated-heredoc`
pub static UNTERMINATED_HEREDOC: Code = Code {
    number: 6,
    name: "unterminated-heredoc",
    severity: Severity::Error,
    about: "A heredoc's body goes on until a line that holds its name and nothing else: no indentation, no blank after it, the same case. With `<<-` the terminator may be indented, and the indentation that all lines of the body share is taken off. Where a line nearly is the terminator, it is shown.",
    wrong: "FROM base AS web\nRUN <<EOF\necho hello\n  EOF\nRUN echo done\n",
    right: "FROM base AS web\nRUN <<EOF\necho hello\nEOF\nRUN echo done\n",
};

/// `bad-heredoc`
pub static BAD_HEREDOC: Code = Code {
    number: 7,
    name: "bad-heredoc",
    severity: Severity::Error,
    about: "A heredoc's marker is `<<` and a name of letters, digits, `_`, `.` and `-`, perhaps in quotes, known when the file is read: no value can be its name. Eight may stand on a line. Only commands and COPY take heredocs.",
    wrong: "FROM base AS web\nENV MOTD=<<EOF\nhello\nEOF\n",
    right: "FROM base AS web\nCOPY <<EOF /etc/motd\nhello\nEOF\n",
};

/// `script-tail`
pub static SCRIPT_TAIL: Code = Code {
    number: 8,
    name: "script-tail",
    severity: Severity::Error,
    about: "One heredoc alone is a script: it is run as a file of its own, and nothing else stands on its line. Beside a command it is that command's input. A comment or a second heredoc makes neither.",
    wrong: "FROM base AS web\nRUN <<EOF # greet\necho hello\nEOF\n",
    right: "FROM base AS web\n# greet\nRUN <<EOF\necho hello\nEOF\n",
};

/// `missing-continuation`
pub static MISSING_CONTINUATION: Code = Code {
    number: 9,
    name: "missing-continuation",
    severity: Severity::Error,
    about: "A line begins with what only goes on with a command (`&&`, `||`, `|`, `;`, `--flag`), so the line before it lacks the escape character at its end.",
    wrong: "FROM base AS web\nRUN apt-get update\n && apt-get upgrade -y\n",
    right: "FROM base AS web\nRUN apt-get update \\\n && apt-get upgrade -y\n",
};

/// `swallowed-instruction`
pub static SWALLOWED_INSTRUCTION: Code = Code {
    number: 10,
    name: "swallowed-instruction",
    severity: Severity::Error,
    about: "A line ends in the escape character, and the next line begins with an instruction: it would become an argument of the line before. Where it is meant as one, indent it.",
    wrong: "FROM base AS web\nRUN echo hello \\\nRUN echo world\n",
    right: "FROM base AS web\nRUN echo hello\nRUN echo world\n",
};

/// `blank-in-continuation`
pub static BLANK_IN_CONTINUATION: Code = Code {
    number: 11,
    name: "blank-in-continuation",
    severity: Severity::Error,
    about: "A line that goes on is followed by an empty one. Either the line was to end, and the escape character is too much, or the empty line is. Comment lines may stand inside a continued line.",
    wrong: "FROM base AS web\nRUN echo hello \\\n\n  world\n",
    right: "FROM base AS web\nRUN echo hello \\\n  world\n",
};

/// `continuation-at-end`
pub static CONTINUATION_AT_END: Code = Code {
    number: 12,
    name: "continuation-at-end",
    severity: Severity::Error,
    about: "The file's last line ends in the escape character, so it goes on, but nothing follows.",
    wrong: "FROM base AS web\nRUN echo hello \\\n",
    right: "FROM base AS web\nRUN echo hello\n",
};

/// `comment-swallows-line`
pub static COMMENT_SWALLOWS: Code = Code {
    number: 13,
    name: "comment-swallows-line",
    severity: Severity::Error,
    about: "A `#` in the middle of a line is a comment for the guest's shell and an argument elsewhere. Inside a continued line it would take the rest of the command with it, or split it. A comment on a line of its own may stand inside a continued line.",
    wrong: "FROM base AS web\nRUN apt-get install -y curl # for the check \\\n    git\n",
    right: "FROM base AS web\nRUN apt-get install -y curl \\\n    # for the check\n    git\n",
};

/// `shell-variable`
pub static SHELL_VARIABLE: Code = Code {
    number: 14,
    name: "shell-variable",
    severity: Severity::Error,
    about: "`$NAME` and `${NAME}` belong to the guest's shell and mean something in shell text and in ENV's values only. A value of the VMWfile is put in by `${{ name }}`. For the characters themselves write `'$NAME'`.",
    wrong: "FROM base AS web\nWORKDIR $HOME/app\n",
    right: "ARG home = \"/home/app\"\nFROM base AS web\nWORKDIR ${{ home }}/app\n",
};

/// `exec-array`
pub static EXEC_ARRAY: Code = Code {
    number: 15,
    name: "exec-array",
    severity: Severity::Error,
    about: "The array form takes strings in double quotes with commas between, like JSON: `[\"exe\", \"arg\"]`.",
    wrong: "FROM base AS web\nRUN ['echo', 'hello']\n",
    right: "FROM base AS web\nRUN [\"echo\", \"hello\"]\n",
};

/// `inline-comment`
pub static INLINE_COMMENT: Code = Code {
    number: 16,
    name: "inline-comment",
    severity: Severity::Warning,
    about: "A comment is a line of its own. A `#` after something else is text, so what looks like a comment is passed as arguments. Put it on the line above, or quote the word.",
    wrong: "FROM base AS web\nADDRESS DHCP SEARCH example.com # for now\n",
    right: "FROM base AS web\n# for now\nADDRESS DHCP SEARCH example.com\n",
};

/// `pair-without-equals`
pub static PAIR_WITHOUT_EQUALS: Code = Code {
    number: 17,
    name: "pair-without-equals",
    severity: Severity::Error,
    about: "ENV, LABEL, CONFIG and HARDWARE take `key=value`, as many as wanted, with blanks between. A value with blanks stands in quotes.",
    wrong: "FROM base AS web\nENV LANG C\n",
    right: "FROM base AS web\nENV LANG=C\n",
};

/// `unknown-directive`
pub static UNKNOWN_DIRECTIVE: Code = Code {
    number: 18,
    name: "unknown-directive",
    severity: Severity::Warning,
    about: "A comment at the top of the file looks like a directive, but isn't one: it would do nothing. The directives are `# escape=` and `# vmwfile=`.",
    wrong: "# escpae=`\nFROM base AS web\n",
    right: "# escape=`\nFROM base AS web\n",
};

/// `directive-value`
pub static DIRECTIVE_VALUE: Code = Code {
    number: 19,
    name: "directive-value",
    severity: Severity::Error,
    about: "A directive has a value that isn't known. `# escape=` takes the backslash or the backtick, `# vmwfile=` the version of the language, which is 1.",
    wrong: "# vmwfile=2\nFROM base AS web\n",
    right: "# vmwfile=1\nFROM base AS web\n",
};

/// `misplaced-directive`
pub static MISPLACED_DIRECTIVE: Code = Code {
    number: 20,
    name: "misplaced-directive",
    severity: Severity::Warning,
    about: "Directives stand before everything else, even other comments: here it is a plain comment and does nothing. The same one twice says nothing new either.",
    wrong: "# Build the web server.\n# vmwfile=1\nFROM base AS web\n",
    right: "# vmwfile=1\n# Build the web server.\nFROM base AS web\n",
};

/// `dockerfile-instruction`
pub static DOCKERFILE: Code = Code {
    number: 21,
    name: "dockerfile-instruction",
    severity: Severity::Error,
    about: "A VMWfile looks like a Dockerfile, but it makes machines. What only makes sense for containers isn't there, and each has a counterpart that the message names.",
    wrong: "FROM base AS web\nCMD nginx\n",
    right: "FROM base AS web\nRUN systemctl enable nginx\n",
};

/// `go-template`
pub static GO_TEMPLATE: Code = Code {
    number: 22,
    name: "go-template",
    severity: Severity::Error,
    about: "`{{ … }}` is what Packer and Go templates write. A value is put into a VMWfile by `${{ expression }}`, and its name stands there without a dot.",
    wrong: "ARG site = \"a\"\nFROM base AS web\nHOSTNAME web.{{ .site }}\n",
    right: "ARG site = \"a\"\nFROM base AS web\nHOSTNAME web.${{ site }}\n",
};

/// `hcl-block`
pub static HCL_BLOCK: Code = Code {
    number: 23,
    name: "hcl-block",
    severity: Severity::Error,
    about: "This is a block of Packer's or Terraform's language. A VMWfile has no blocks: a stage opens with FROM and ends where the next begins.",
    wrong: "source \"vsphere-clone\" \"web\" {\n  template = \"base\"\n}\n",
    right: "FROM base AS web\n",
};

/// `json-file`
pub static JSON_FILE: Code = Code {
    number: 24,
    name: "json-file",
    severity: Severity::Error,
    about: "The file is JSON, not a VMWfile. The deployments of vmwscript are JSON; `vmwbuild convert` turns one into a VMWfile.",
    wrong: "{ \"label\": \"web\", \"version\": \"0.1\" }\n",
    right: "FROM base AS web\n",
};

/// `yaml-file`
pub static YAML_FILE: Code = Code {
    number: 41,
    name: "yaml-file",
    severity: Severity::Error,
    about: "The file is YAML (a playbook, a pipeline, a compose file), not a VMWfile. A VMWfile has one instruction a line and no structure by indentation.",
    wrong: "---\n- hosts: web\n  tasks:\n    - name: greet\n      command: echo hello\n",
    right: "FROM base AS web\nNOTE greet\nRUN echo hello\n",
};

/// `unclosed-quote`
pub static UNCLOSED_QUOTE: Code = Code {
    number: 25,
    name: "unclosed-quote",
    severity: Severity::Error,
    about: "A quote was opened and the line ends before it is closed. In words, `\"…\"` and `'…'` must close on their (continued) line; a quote that is meant as itself stands in quotes of the other kind.",
    wrong: "FROM base AS web\nWORKDIR \"/opt/my app\n",
    right: "FROM base AS web\nWORKDIR \"/opt/my app\"\n",
};

/// `unknown-escape`
pub static UNKNOWN_ESCAPE: Code = Code {
    number: 26,
    name: "unknown-escape",
    severity: Severity::Error,
    about: "In `\"…\"` the escape character stands before `\"`, `n`, `t` or itself. Before anything else it is an error rather than a surprise: `\"C:\\temp\"` would hold a tab. Double it, or write `'…'`, where nothing is escaped.",
    wrong: "FROM base AS web\nWORKDIR \"C:\\Windows\"\n",
    right: "FROM base AS web\nWORKDIR 'C:\\Windows'\n",
};

/// `unclosed-interpolation`
pub static UNCLOSED_INTERPOLATION: Code = Code {
    number: 27,
    name: "unclosed-interpolation",
    severity: Severity::Error,
    about: "`${{` opens an expression, which `}}` must close on the same line. For the characters `${{` themselves write `$${{`.",
    wrong: "ARG site = \"a\"\nFROM base AS web\nHOSTNAME ${{ site\n",
    right: "ARG site = \"a\"\nFROM base AS web\nHOSTNAME ${{ site }}\n",
};

/// `bad-expression`
pub static BAD_EXPRESSION: Code = Code {
    number: 28,
    name: "bad-expression",
    severity: Severity::Error,
    about: "An expression can't be read: something is missing, left over, or in a wrong place. Expressions have values (`7`, `\"text\"`, `name`, `stage.key`), operators (`+ - * / % == != < <= > >= not and or`), `x if c else y`, and filters after `|`.",
    wrong: "ARG n: int = 1 +\n",
    right: "ARG n: int = 1 + 1\n",
};

/// `foreign-operator`
pub static FOREIGN_OPERATOR: Code = Code {
    number: 29,
    name: "foreign-operator",
    severity: Severity::Error,
    about: "An operator as other languages write it. Here they are `and`, `or`, `not`, `==`, and `x if condition else y`; text stands in double quotes; `| default(x)` gives a value where there is none.",
    wrong: "ARG a: bool = true\nARG b: bool = a && true\n",
    right: "ARG a: bool = true\nARG b: bool = a and true\n",
};

/// `bad-literal`
pub static BAD_LITERAL: Code = Code {
    number: 30,
    name: "bad-literal",
    severity: Severity::Error,
    about: "A number, duration or size that can't be read. An int has 64 bits and no fraction; a duration is `90s`, `10m`, `1h30m`; a size is `512MiB`, `8GB`. Addresses and versions are text and stand in quotes.",
    wrong: "ARG t: duration = 10min\n",
    right: "ARG t: duration = 10m\n",
};

/// `unquoted-text`
pub static UNQUOTED_TEXT: Code = Code {
    number: 31,
    name: "unquoted-text",
    severity: Severity::Error,
    about: "What stands after `=` in ARG and KEY is an expression, and text in an expression stands in double quotes.",
    wrong: "ARG image = centos:7\n",
    right: "ARG image = \"centos:7\"\n",
};

/// `needless-interpolation`
pub static NEEDLESS_INTERPOLATION: Code = Code {
    number: 32,
    name: "needless-interpolation",
    severity: Severity::Error,
    about: "Here an expression stands already, so `${{ … }}` around it, or around a part of it, is too much.",
    wrong: "ARG a = \"x\"\nARG b = ${{ a }}\n",
    right: "ARG a = \"x\"\nARG b = a\n",
};

/// `bad-name`
pub static BAD_NAME: Code = Code {
    number: 33,
    name: "bad-name",
    severity: Severity::Error,
    about: "Names of stages, ARGs, SECRETs, KEYs and loop variables are made of letters, digits and `_`, and don't begin with a digit, so that they can stand in expressions: `build-env` would be a difference there.",
    wrong: "FROM base AS build-env\n",
    right: "FROM base AS build_env\n",
};

/// `unknown-type`
pub static UNKNOWN_TYPE: Code = Code {
    number: 34,
    name: "unknown-type",
    severity: Severity::Error,
    about: "The types are `string int bool ip cidr duration size json secret` and `list<T>` of one of these.",
    wrong: "ARG n: integer = 1\n",
    right: "ARG n: int = 1\n",
};

/// `unknown-word`
pub static UNKNOWN_WORD: Code = Code {
    number: 35,
    name: "unknown-word",
    severity: Severity::Error,
    about: "In this place stands one of a few words, and this is none of them.",
    wrong: "FROM base AS web\nOUTPUT TEMPLAET web\n",
    right: "FROM base AS web\nOUTPUT TEMPLATE web\n",
};

/// `too-large`
pub static TOO_LARGE: Code = Code {
    number: 36,
    name: "too-large",
    severity: Severity::Error,
    about: "A limit that no file written by hand comes near, there to answer a wrong file quickly: 64 MiB a file, 1 MiB a line with its continuations, 4 KiB, 256 terms and 64 levels of parentheses an expression, 100 unterminated heredocs a file.",
    wrong: "",
    right: "",
};

/// `too-many-errors`
pub static TOO_MANY: Code = Code {
    number: 37,
    name: "too-many-errors",
    severity: Severity::Error,
    about: "The file has more errors than anybody reads at once. The first few hundred are shown, and then how many were left out.",
    wrong: "",
    right: "",
};

/// `not-text`
pub static NOT_TEXT: Code = Code {
    number: 38,
    name: "not-text",
    severity: Severity::Error,
    about: "A VMWfile is UTF-8 text. This file has bytes that aren't, or a NUL: it may be a binary file, or text in another encoding (UTF-16 is what some Windows editors write).",
    wrong: "",
    right: "",
};

/// `unknown-pragma`
pub static UNKNOWN_PRAGMA: Code = Code {
    number: 39,
    name: "unknown-pragma",
    severity: Severity::Warning,
    about: "A comment looks like a pragma for the linter, but isn't one, and would do nothing. They are `# vmw: allow(name)` above a line, and `# vmw: allow-file(name)`.",
    wrong: "# vmw: alow(relative-workdir)\nFROM base AS web\n",
    right: "# vmw: allow(relative-workdir)\nFROM base AS web\n",
};

/// `range-name`
pub static RANGE_NAME: Code = Code {
    number: 40,
    name: "range-name",
    severity: Severity::Error,
    about: "The ends of `FOR v IN a..b` are ints, or expressions in `${{ … }}`.",
    wrong: "ARG n: int = 3\nFROM base AS web FOR i IN 1..n\nOUTPUT VM web${{ i }}\n",
    right: "ARG n: int = 3\nFROM base AS web FOR i IN 1..${{ n }}\nOUTPUT VM web${{ i }}\n",
};

/// All of them, by number.
pub static ALL: &[&Code] = &[
    &UNKNOWN_INSTRUCTION,
    &UNEXPECTED_ARGUMENT,
    &MISSING_ARGUMENT,
    &UNKNOWN_FLAG,
    &FLAG_VALUE,
    &UNTERMINATED_HEREDOC,
    &BAD_HEREDOC,
    &SCRIPT_TAIL,
    &MISSING_CONTINUATION,
    &SWALLOWED_INSTRUCTION,
    &BLANK_IN_CONTINUATION,
    &CONTINUATION_AT_END,
    &COMMENT_SWALLOWS,
    &SHELL_VARIABLE,
    &EXEC_ARRAY,
    &INLINE_COMMENT,
    &PAIR_WITHOUT_EQUALS,
    &UNKNOWN_DIRECTIVE,
    &DIRECTIVE_VALUE,
    &MISPLACED_DIRECTIVE,
    &DOCKERFILE,
    &GO_TEMPLATE,
    &HCL_BLOCK,
    &JSON_FILE,
    &UNCLOSED_QUOTE,
    &UNKNOWN_ESCAPE,
    &UNCLOSED_INTERPOLATION,
    &BAD_EXPRESSION,
    &FOREIGN_OPERATOR,
    &BAD_LITERAL,
    &UNQUOTED_TEXT,
    &NEEDLESS_INTERPOLATION,
    &BAD_NAME,
    &UNKNOWN_TYPE,
    &UNKNOWN_WORD,
    &TOO_LARGE,
    &TOO_MANY,
    &NOT_TEXT,
    &UNKNOWN_PRAGMA,
    &RANGE_NAME,
    &YAML_FILE,
];
