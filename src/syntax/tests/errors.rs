//! What is said of wrong files: source and rendered message together.

use super::parse;
use crate::diagnostic::{Style, render_all};
use crate::syntax::codes;

/// Each: a name, and a file with something wrong.
const CASES: &[(&str, &str)] = &[
    ("unknown instruction, near", "FROM base AS web\nRUNN echo hello\n"),
    ("unknown instruction, several in a file", "FORM base AS web\nRUN echo ok\nCOPPY a b\nHOSTNMAE web\n"),
    ("unknown instruction, a command", "FROM base AS web\nsystemctl enable nginx\n"),
    ("unknown instruction, an assignment", "version = \"1.2\"\nFROM base AS web\n"),
    ("unknown instruction, quoted", "FROM base AS web\n\"RUN\" echo\n"),
    ("unexpected argument, value with blanks", "FROM base AS web\nWORKDIR /opt/my app\n"),
    ("unexpected argument, FOR without IN", "FROM base AS web FOR n 1..3\n"),
    ("unexpected argument, ADDRESS", "FROM base AS web\nADDRESS 10.0.0.1/24 10.0.0.254\n"),
    ("unexpected argument, type without colon", "ARG n int = 3\n"),
    ("unexpected argument, no blank", "FROM base AS web\nRUN[\"echo\", \"x\"]\n"),
    ("missing argument, alias", "FROM base AS\n"),
    ("missing argument, nothing at all", "FROM\nRUN\nNOTE\nCOPY a\nENV\nARG\nOUTPUT VM\nKEY a\nWAIT\n"),
    ("missing argument, default", "ARG a =\n"),
    ("unknown flag, near", "FROM base AS web\nRUN --timeoutt=5m echo hello\n"),
    ("unknown flag, of another instruction", "FROM base AS web\nCOPY --linked a b\n"),
    ("unknown flag, the command's", "FROM base AS web\nRUN --verbose make\n"),
    ("flag value, apart", "FROM base AS web\nRUN --timeout 5m echo hello\n"),
    ("flag value, none needed", "FROM --linked=yes base AS web\n"),
    ("flag value, missing", "FROM base AS web\nRUN --user= echo\n"),
    ("flag value, one of a few", "FROM --os=window base AS web\n"),
    ("heredoc, indented terminator", "FROM base AS web\nRUN <<EOF\n  echo hello\n  EOF\nNOTE done\n"),
    ("heredoc, case and blanks", "FROM base AS web\nRUN <<EOF\necho hello\nEof\nRUN <<EOF\necho\nEOF  \nRUNN x\n"),
    ("heredoc, never ends", "FROM base AS web\nRUN <<EOF\necho hello\nRUNN x\nRUN echo\n"),
    ("heredoc, misspelt", "FROM base AS web\nRUN <<SCRIPT\necho hello\nSCRPIT\nRUNN x\n"),
    ("heredoc, where none stands", "FROM base AS web\nENV MOTD=<<EOF\nhello\nEOF\nRUN true\n"),
    ("heredoc, name from a value", "FROM base AS web\nRUN cat <<${{ x }}\nhello\nEOF\nRUN true\n"),
    ("heredoc, backslash", "FROM base AS web\nRUN cat <<\\EOF\nhello $x\nEOF\n"),
    (
        "heredoc, nine",
        "FROM base AS web\nRUN cat <<A <<B <<C <<D <<E <<F <<G <<H <<I\nA\nB\nC\nD\nE\nF\nG\nH\nI\nRUN true\n",
    ),
    ("script tail, comment", "FROM base AS web\nRUN <<EOF # greet\necho hello\nEOF\n"),
    ("script tail, two", "FROM base AS web\nRUN <<A <<B\na\nA\nb\nB\n"),
    (
        "missing continuation",
        "FROM base AS web\nRUN apt-get update\n  && apt-get upgrade -y\n  && apt-get clean\nRUN true\n",
    ),
    ("missing continuation, pipe", "FROM base AS web\nRUN cat a\n| sort\n"),
    ("missing continuation, flag", "FROM base AS web\nRUN docker run \\\n    --name web\n    --detach nginx\n"),
    ("missing continuation, word", "FROM base AS web\nRUN apt-get install -y \\\n    curl\n    git\n    jq\n"),
    ("swallowed instruction", "FROM base AS web\nRUN apt-get install -y \\\n    curl \\\nRUN echo world\n"),
    ("swallowed instruction, after an empty line", "FROM base AS web\nRUN echo \\\n\n# next\nRUN echo world\n"),
    ("blank in continuation", "FROM base AS web\nRUN echo hello \\\n\n\n  world\n"),
    ("continuation at end", "FROM base AS web\nRUN echo hello \\"),
    ("continuation at end, then empty lines", "FROM base AS web\nRUN echo hello \\\n\n"),
    ("comment swallows", "FROM base AS web\nRUN apt-get install -y curl # a tool \\\n    git\n"),
    ("comment after the escape", "FROM base AS web\nRUN apt-get install -y \\ # tools\n    git\n"),
    ("shell variable", "FROM base AS web\nWORKDIR $HOME/app\n"),
    ("shell variable with default", "FROM base AS web\nHOSTNAME ${NAME:-web}.local\n"),
    ("shell variable in quotes", "FROM base AS web\nLABEL owner=\"${OWNER}\" cost='$5' home='$HOME' path=\"${X#/}\"\n"),
    ("shell variable in an array", "FROM base AS web\nRUN [\"echo\", \"$HOME\"]\n"),
    ("shell variable in prose", "FROM base AS web\nNOTE Install $PACKAGE for $5\n"),
    (
        "shell variable, where it is right",
        "FROM base AS web\nENV PATH=/opt/bin:$PATH X=\"${Y:-z}\"\nRUN echo $HOME ${X:-y}\nRUN --unless=\"test -d $HOME\" --env=A=$B true\nCOPY <<EOF /a\n$HOME\nEOF\n",
    ),
    ("exec array, single quotes", "FROM base AS web\nRUN ['echo', 'it is \"so\"']\n"),
    (
        "exec array, broken",
        "FROM base AS web\nRUN [\"echo\" \"hello\"]\nRUN [\"echo\", hello]\nRUN []\nRUN [ -f /x ] && true\nRUN [ 'a' = 'b' ]\n",
    ),
    ("inline comment, an argument too many", "FROM base AS web # the web server\nCPU 4 # four\nRUN echo\n"),
    ("inline comment, taken as arguments", "FROM base AS web\nTAG environment/test # for now\nCOPY a b # both\n"),
    ("inline comment, among pairs", "FROM base AS web\nENV A=1 # one of them\n"),
    ("inline comment, after an expression", "ARG n: int = 2 # two\n"),
    ("pair without equals", "FROM base AS web\nENV LANG C\nENV GREETING hello big world\nLABEL owner\nENV A=b c\n"),
    ("directive with a typo", "# escpae=`\n# vmwfil=1\nFROM base AS web\n"),
    ("directive of Dockerfiles", "# syntax=docker/dockerfile:1\nFROM base AS web\n"),
    ("directive value", "# escape=^\n# vmwfile=2\n# vmwfile=x\nFROM base AS web\n"),
    ("directive, misplaced", "# Build the web server.\n# escape=`\nFROM base AS web\n"),
    (
        "Dockerfile's instructions",
        "FROM base AS web\nEXPOSE 80\nCMD nginx\nENTRYPOINT [\"nginx\"]\nADD a b\nVOLUME /data\nONBUILD RUN x\nMAINTAINER me\nSTOPSIGNAL 9\nHEALTHCHECK CMD curl localhost\nHEALTHCHECK NONE\n",
    ),
    (
        "Dockerfile's flags",
        "FROM --platform=linux/amd64 base AS web\nRUN --mount=type=cache,target=/x make\nCOPY --link a b\n",
    ),
    (
        "Go template",
        "FROM base AS web\nHOSTNAME web.{{ .site }}\nLABEL a=\"{{user `x`}}\"\nRUN docker inspect --format '{{.State}}' x\n",
    ),
    ("Go template, a line", "{{ $x := flag \"x\" }}\nFROM base AS web\n"),
    (
        "HCL",
        "source \"vsphere-clone\" \"web\" {\n  template = \"base\"\n  disk {\n    size = 1\n  }\n}\n\nFROM base AS web\nRUNN x\n",
    ),
    ("JSON", "{\n  \"label\": \"web\",\n  \"version\": \"0.1\"\n}\n"),
    ("unclosed quote", "FROM base AS web\nWORKDIR \"/opt/my app\nHOSTNAME 'web\nLABEL a=don't\n"),
    ("unknown escape", "FROM base AS web\nWORKDIR \"C:\\Windows\"\nLABEL a=\"x\\\"y\\\\z\\n\"\n"),
    (
        "unclosed interpolation",
        "FROM base AS web\nHOSTNAME ${{ site\nRUN echo ${{ site } && true\nRUN echo $${{ site\n",
    ),
    ("interpolation over lines", "FROM base AS web\nRUN echo ${{ site + \\\n  \"x\" }}\n"),
    (
        "bad expressions",
        "ARG a: int = 1 +\nARG b = (1 + 2\nARG c = [1, 2\nARG d = a b\nARG e = x if y\nARG f = 1 < 2 < 3\nARG g = a | \"x\"\nARG h = lower(a)\nARG i = ()\nARG j = a.\nARG k = a + not b\nARG l = x[]\n",
    ),
    (
        "bad holes",
        "FROM base AS web\nHOSTNAME ${{ }}\nHOSTNAME ${{ ! }}\nHOSTNAME ${{ a b }}\nHOSTNAME ${{ {x} }}\nHOSTNAME ${{ else }}\n",
    ),
    (
        "foreign operators",
        "ARG b: bool = a && !c || d = e\nARG t = a ? b : c\nARG u = a ?? b\nARG s = 'text'\nARG n = a not in b\n",
    ),
    (
        "bad literals",
        "ARG a = 99999999999999999999\nARG b: duration = 10min\nARG c: size = 5G\nARG d = 1.5\nARG e = 12abc\nARG f: size = 1.5GB\nARG g: size = 8gb\n",
    ),
    (
        "unquoted text",
        "ARG image = centos:7\nARG net = 10.0.0.0/24\nARG path = /opt/x\nARG title = the web server\nARG v = 1.2.3\nARG x=\\\\srv\n",
    ),
    ("needless interpolation", "ARG a = ${{ b }}\nARG c = 1 + ${{ b }}\nFROM base AS web\nKEY k = ${{ a }}\n"),
    ("bad name", "ARG my-arg = 1\nSECRET 1st\nFROM base AS build-env\nKEY a.b FROM RUN x\nFROM base AS ${{ x }}\n"),
    ("unknown type", "ARG n: integer = 1\nARG l: list = []\nARG m: list<sting> = []\nARG o: = 1\nARG p: foo = 1\n"),
    (
        "unknown word, OUTPUT",
        "FROM base AS web\nOUTPUT TEMPLAET web\nOUTPUT my-template\nOUTPUT IMAGE x\nOUTPUT NONE x\n",
    ),
    (
        "unknown word, FOR",
        "FROM base AS web FOR n IN hosts\nFROM base AS db FOR n IN [1, 2]\nFROM base AS lb FOR n IN 5\n",
    ),
    ("range of a name", "FROM base AS web FOR i IN 1..n\n"),
    (
        "unknown pragma",
        "# vmw: alow(relative-workdir)\n# vwm: allow(x)\n# vmw: allow\n# vmw: something else\n# vmw: allow(x)\n# note: allow this\nFROM base AS web\n",
    ),
    (
        "words of other tools",
        "FROM base AS web\nIF x\nFOREACH x\nTEMPLATE x\nVM x\nEXEC ls\nUPLOAD a b\nSLEEP 5\nIP 10.0.0.1\nSET a 1\nPOWEROFF\nwhile true\nFIDDLE x\n",
    ),
    ("YAML, a playbook", "# web\n---\n- hosts: all\n  tasks:\n"),
    ("pair without a name", "FROM base AS web\nENV =x\nENV A =x\n"),
    ("YAML, a list", "- name: x\n"),
    ("YAML, a compose file", "services:\n  web:\n    image: x\n"),
    (
        "WAIT, KEY, ONFAIL in wrong forms",
        "FROM base AS web\nWAIT SOMETHING\nKEY k FROM curl x\nONFAIL echo x\nKEY k: int\nCPU 4 CORE 2\nDISK\nSEAL x\nSECRET a b\n",
    ),
];

#[test]
fn messages() {
    let mut seen = std::collections::BTreeSet::new();
    for (name, text) in CASES {
        let (sources, _, problems) = parse(text);
        seen.extend(problems.iter().map(|d| d.code.number));
        let rendered = render_all(&problems, &sources, Style::plain());
        insta::with_settings!({ description => *text, omit_expression => true, prepend_module_to_snapshot => false, snapshot_path => "../snapshots" }, {
            insta::assert_snapshot!(name.replace([' ', ',', '\''], "_"), rendered);
        });
    }
    let elsewhere = [&codes::TOO_LARGE, &codes::TOO_MANY, &codes::NOT_TEXT].map(|c| c.number);
    let missing: Vec<u16> =
        codes::ALL.iter().map(|c| c.number).filter(|n| !seen.contains(n) && !elsewhere.contains(n)).collect();
    assert!(missing.is_empty(), "codes without a case: {missing:?}");
}

#[test]
fn examples_of_codes() {
    for code in codes::ALL.iter().filter(|c| !c.wrong.is_empty()) {
        let (_, _, wrong) = parse(code.wrong);
        let found: Vec<u16> = wrong.iter().map(|d| d.code.number).collect();
        assert_eq!(found, [code.number], "{code} {}: the wrong example", code.name);
        let (_, _, right) = parse(code.right);
        assert!(right.is_empty(), "{code} {}: the right example: {right:?}", code.name);
    }
}
