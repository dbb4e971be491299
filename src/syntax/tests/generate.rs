//! Right programs, made up at random: every instruction, in every layout that the language allows.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Enough cases for every run, and as many as `PROPTEST_CASES` says where it is set.
pub(crate) fn cases(usual: u32) -> ProptestConfig {
    let default = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if std::env::var_os("PROPTEST_CASES").is_some() { default } else { ProptestConfig { cases: usual, ..default } }
}

/// A whole file without anything wrong in its syntax. Escape characters are backslashes, and no backtick occurs.
pub(crate) fn program() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        1 => Just(String::new()),
        1 => comment(),
        12 => instruction(),
    ];
    vec(line, 0..25).prop_map(|lines| lines.into_iter().map(|l| l + "\n").collect())
}

fn comment() -> impl Strategy<Value = String> {
    ("[ \t]{0,3}", "[ a-z$'\"{}\\\\<]{0,12}").prop_map(|(indent, text)| format!("{indent}#{text}"))
}

fn name() -> impl Strategy<Value = String> {
    "v[a-z0-9_]{0,5}"
}

/// What stands between two words.
fn gap() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => Just(" ".to_owned()),
        1 => Just("  \t".to_owned()),
        1 => Just(" \\\n  ".to_owned()),
        1 => Just("\\ \n # it's <<a comment\n\t".to_owned()),
    ]
}

fn expr() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "[0-9]{1,4}",
        name(),
        select(vec!["true", "false", "1h30m", "512MiB", "8GB", "build.id", "self.ip", "\"\"", "\"a\\\"b\\\\n\\n }\""])
            .prop_map(str::to_owned),
        "\"[a-z <'#]{0,6}\"",
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let op = select(vec!["+", "-", "*", "/", "%", "and", "or"]);
        let blank = select(vec!["", " ", "  "]);
        prop_oneof![
            (inner.clone(), op, inner.clone(), blank.clone()).prop_map(|(a, op, b, blank)| {
                let blank = if op.len() > 1 { " " } else { blank };
                format!("{a}{blank}{op}{blank}{b}")
            }),
            (inner.clone(), select(vec!["==", "!=", "<", ">="]), inner.clone())
                .prop_map(|(a, op, b)| format!("(({a}) {op} ({b}))")),
            inner.clone().prop_map(|a| format!("( {a} )")),
            inner.clone().prop_map(|a| format!("(not {a})")),
            inner.clone().prop_map(|a| format!("-({a})")),
            vec(inner.clone(), 0..3).prop_map(|l| format!("[{}]", l.join(" , "))),
            (name(), name(), inner.clone()).prop_map(|(a, b, i)| format!("{a}[ {i} ].{b}")),
            (inner.clone(), select(vec!["trim", "default(1)", "join( \",\" )", "pad(3,\"0\")"]), blank)
                .prop_map(|(a, f, blank)| format!("({a}{blank}|{blank}{f})")),
            (inner.clone(), inner.clone(), inner).prop_map(|(a, c, b)| format!("({a} if {c} else {b})")),
        ]
    })
}

fn hole() -> impl Strategy<Value = String> {
    (expr(), select(vec!["", " "])).prop_map(|(e, b)| format!("${{{{{b}{e}{b}}}}}"))
}

fn word() -> impl Strategy<Value = String> {
    let first = prop_oneof![
        4 => "w[a-zA-Z0-9/._:@%+,=~#\\\\-]{0,6}w",
        1 => hole(),
    ];
    let piece = prop_oneof![
        3 => "[a-z0-9/._]{1,4}",
        2 => "'[a-z \"$#{]{0,5}'",
        1 => Just("'${{ x }}'".to_owned()),
        2 => "\"[a-z '#]{0,5}\"",
        1 => hole(),
        1 => hole().prop_map(|h| format!("\"a {h} \\\\ \\\"\"")),
        1 => Just("$${{".to_owned()),
        1 => Just("$5".to_owned()),
        1 => Just("a\\\nb".to_owned()),
        1 => Just("\"c \\\n  # inside\n d\"".to_owned()),
    ];
    (first, vec(piece, 0..3)).prop_map(|(a, rest)| a + &rest.concat())
}

fn quoted() -> impl Strategy<Value = String> {
    prop_oneof!["\"[a-z '#]{0,8}\"", hole().prop_map(|h| format!("\"x{h}\"")), Just("\"a\\n\\t\\\\\"".to_owned())]
}

fn array() -> impl Strategy<Value = String> {
    (vec(quoted(), 1..4), gap()).prop_map(|(items, gap)| format!("[{}]", items.join(&format!(" ,{gap}"))))
}

/// Shell text, without heredocs.
fn shell() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-z0-9/._=-]{1,6}",
        1 => hole(),
        1 => hole().prop_map(|h| format!("\"x {h} $HOME\"")),
        1 => hole().prop_map(|h| format!("'x {h} <<y'")),
        1 => select(vec![
            "&&", "|", "> /x", "$(a \"b\")", "$((1 << 2))", "${A:-b}", "<<< x", "\"$(a \"b <<c\")\"", "a#b", "\\\"", "$'\\''",
            "é∂", "$${{", "2>&1", "\\<<", "{{.Names}}", "[ -f x ]", "--flag",
        ])
        .prop_map(str::to_owned),
    ];
    ("[a-z]{1,6}", vec((gap(), piece), 0..6))
        .prop_map(|(first, rest)| rest.into_iter().fold(first, |all, (gap, piece)| all + &gap + &piece))
}

/// A heredoc's marker, and body with terminator.
fn heredoc(name: &'static str) -> impl Strategy<Value = (String, String)> {
    let line = prop_oneof![
        4 => "[ \t]{0,4}[a-z$\"'#\\\\]{0,6}",
        2 => hole().prop_map(|h| format!("  a {h}")),
        1 => Just("$${{ RUN x".to_owned()),
        1 => Just("FROM x".to_owned()),
    ];
    (vec(line, 0..5), any::<bool>(), 0..4_usize).prop_map(move |(lines, strip, quote)| {
        let dash = if strip { "-" } else { "" };
        let quoted = ["", "'", "\"", " \""][quote];
        let close = quoted.trim();
        let end = if strip { "\t " } else { "" };
        let body: String = lines.into_iter().map(|l| l + "\n").collect();
        (format!("<<{dash}{quoted}{name}{close}"), format!("{body}{end}{name}"))
    })
}

/// A guest command: the line's text, and what follows the line.
fn command() -> impl Strategy<Value = (String, String)> {
    prop_oneof![
        4 => shell().prop_map(|s| (s, String::new())),
        1 => array().prop_map(|s| (s, String::new())),
        1 => heredoc("EOF").prop_map(|(m, b)| (m, format!("\n{b}"))),
        1 => (shell(), heredoc("A"), heredoc("B.c"), gap())
            .prop_map(|(s, (m1, b1), (m2, b2), gap)| (format!("{s} {m1}{gap}{m2}"), format!("\n{b1}\n{b2}"))),
    ]
}

fn flags() -> impl Strategy<Value = Vec<String>> {
    let flag = prop_oneof![
        Just("--serial".to_owned()),
        Just("--allow-failure".to_owned()),
        word().prop_map(|w| format!("--timeout={w}")),
        word().prop_map(|w| format!("--user={w}")),
        Just("--env=A=$B".to_owned()),
        Just("--unless=\"test -d $HOME\"".to_owned()),
        hole().prop_map(|h| format!("--if={h}")),
    ];
    vec(flag, 0..3)
}

/// Words in their places, with gaps between; flags anywhere among them.
fn words(list: Vec<BoxedStrategy<String>>) -> BoxedStrategy<String> {
    let count = list.len();
    (list, vec(gap(), count))
        .prop_map(|(words, gaps)| gaps.into_iter().zip(words).map(|(g, w)| g + &w).collect())
        .boxed()
}

fn fixed(word: &'static str) -> BoxedStrategy<String> {
    Just(word.to_owned()).boxed()
}

fn instruction() -> impl Strategy<Value = String> {
    let one = select(vec![
        "DATACENTER",
        "cluster",
        "Host",
        "POOL",
        "DATASTORE",
        "FOLDER",
        "NETWORK",
        "MEMORY",
        "HOSTNAME",
        "USER",
        "WORKDIR",
        "SNAPSHOT",
        "SERIAL",
        "CHECKPOINT",
        "INCLUDE",
        "SHELL",
        "LOGIN",
        "CPU",
        "FROM",
        "ADDRESS",
        "DISK",
        "nic",
        "CDROM",
        "TAG",
    ]);
    let typed = select(vec!["", ": int", " :list<string>", ": secret"]);
    let pair = (select(vec!["a", "B_c", "guestinfo.x", "\"d e\"", "f/g:h"]), prop_oneof![word(), Just(String::new())])
        .prop_map(|(k, v)| format!("{k}={v}"));
    let step = prop_oneof![
        (flags(), gap(), command()).prop_map(|(flags, gap, (text, docs))| {
            let flags: String = flags.into_iter().map(|f| format!("{gap}{f}")).collect();
            format!("RUN{flags}{gap}{text}{docs}")
        }),
        (
            select(vec!["HEALTHCHECK RUN", "ONREMOVE run", "WAIT RUN", "OnFail RUN", "KEY v: secret FROM RUN"]),
            gap(),
            command()
        )
            .prop_map(|(keyword, gap, (text, docs))| format!("{keyword}{gap}{text}{docs}")),
        (flags(), words(vec![word().boxed(), word().boxed()]))
            .prop_map(|(flags, words)| format!("COPY{words} {}", flags.join(" "))),
        (flags(), words(vec![word().boxed(), word().boxed(), word().boxed()]))
            .prop_map(|(flags, words)| format!("FETCH {}{words}", flags.join("\t"))),
        (heredoc("X"), heredoc("Y-1"), word(), gap())
            .prop_map(|((m1, b1), (m2, b2), dest, gap)| format!("COPY {m1}{gap}{m2}{gap}{dest}\n{b1}\n{b2}")),
        (name(), expr(), gap()).prop_map(|(n, e, gap)| format!("KEY{gap}{n} = {e}")),
        words(vec![name().boxed(), fixed("From"), fixed("FILE"), word().boxed(), fixed("delete")])
            .prop_map(|w| format!("key{w}")),
        select(vec!["REBOOT", "SEAL", "WAIT tools", "wait \\\n OFF", "WAIT --timeout=1m IP", "CHECKPOINT"])
            .prop_map(str::to_owned),
    ];
    let settings = prop_oneof![
        (one, words(vec![word().boxed()])).prop_map(|(k, w)| format!("{k}{w}")),
        (name(), typed, expr()).prop_map(|(n, t, e)| format!("ARG {n}{t} = {e}")),
        words(vec![name().boxed(), fixed("generate"), word().boxed()]).prop_map(|w| format!("SECRET{w}")),
        words(vec![
            word().boxed(),
            fixed("AS"),
            name().boxed(),
            fixed("for"),
            name().boxed(),
            fixed("IN"),
            prop_oneof![
                Just("1..3".to_owned()),
                (hole(), hole()).prop_map(|(a, b)| format!("{a}..{b}")),
                hole(),
                word().prop_map(|w| format!("FILE {w}")),
            ]
            .boxed()
        ])
        .prop_map(|w| format!("from --os=unix{w}")),
        words(vec![select(vec!["VM", "template", "LIBRARY"]).prop_map(str::to_owned).boxed(), word().boxed()])
            .prop_map(|w| format!("OUTPUT --exists=keep{w}")),
        (select(vec!["ENV", "LABEL", "config", "HARDWARE"]), vec((gap(), pair), 1..4)).prop_map(|(k, pairs)| {
            let pairs: String = pairs.into_iter().map(|(gap, pair)| gap + &pair).collect();
            format!("{k}{pairs}")
        }),
        words(vec![fixed("dhcp"), fixed("DNS"), word().boxed(), word().boxed(), fixed("GATEWAY"), word().boxed()])
            .prop_map(|w| format!("ADDRESS{w}")),
        words(vec![word().boxed(), fixed("password"), word().boxed()]).prop_map(|w| format!("LOGIN{w}")),
        words(vec![word().boxed(), fixed("password"), word().boxed()]).prop_map(|w| format!("USER{w}")),
        array().prop_map(|a| format!("SHELL {a}")),
        (select(vec!["NOTE", "annotation"]), "[a-z]{1,5}", gap(), hole(), "[ a-z'\"#<]{0,8}")
            .prop_map(|(k, a, gap, h, b)| format!("{k} {a}{gap}{h}{b}")),
        words(vec![fixed("--"), fixed("--w"), word().boxed()]).prop_map(|w| format!("TAG{w}")),
        Just("ON 'web*' AS webs".to_owned()),
    ];
    prop_oneof![step, settings]
}
