//! Table tests of every rule, and that no text takes long or panics.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::source::own_time;

/// The holes of a test text: the first letter of the name is the kind.
pub(super) fn holes(text: &str) -> Vec<Hole> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(start) = text[from..].find("${{").map(|at| from + at) {
        let end = start + text[start..].find("}}").expect("a closed hole") + 2;
        let kind = match text[start + 3..end].trim().chars().next() {
            Some('n') => HoleKind::Int,
            Some('p') => HoleKind::Plain,
            Some('l') => HoleKind::List,
            Some('q') => HoleKind::Quoted,
            Some('r') => HoleKind::Raw,
            _ => HoleKind::Text,
        };
        found.push(Hole { start, end, kind });
        from = end;
    }
    found
}

fn names(holes: &[Hole]) -> Vec<String> {
    let name =
        |(i, h): (usize, &Hole)| if h.kind == HoleKind::Raw { "CODE".to_owned() } else { format!("_vmw{}", i + 1) };
    holes.iter().enumerate().map(name).collect()
}

/// What the text becomes, or why not.
fn outcome(dialect: Dialect, text: &str) -> String {
    let holes = holes(text);
    match read(dialect, text, &holes) {
        Ok(contexts) => weave(text, &holes, &contexts, &names(&holes)),
        Err(refusals) => {
            let one = |r: &Refusal| format!("{:?} at {:?}", r.kind, text.get(r.at.clone()).unwrap_or("?"));
            format!("! {}", refusals.iter().map(one).collect::<Vec<_>>().join("; "))
        }
    }
}

#[track_caller]
fn table(dialect: Dialect, rows: &[(&str, &str)]) {
    let wrong: Vec<String> = rows
        .iter()
        .filter_map(|(text, wanted)| {
            let got = outcome(dialect, text);
            (got != *wanted).then(|| format!("{text}\n  wanted {wanted}\n  got    {got}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn constants_by_context() {
    table(
        Dialect::Sh,
        &[
            ("echo ${{ x }}", r#"echo "${_vmw1}""#),
            ("echo a${{ x }}b${{ y }}${{ z }}", r#"echo a"${_vmw1}"b"${_vmw2}""${_vmw3}""#),
            (r#"echo "a ${{ x }} b""#, r#"echo "a ${_vmw1} b""#),
            ("echo 'a ${{ x }} b'", r#"echo 'a '"${_vmw1}"' b'"#),
            ("cat <<EOF\na ${{ x }}\nEOF\necho ${{ y }}", "cat <<EOF\na ${_vmw1}\nEOF\necho \"${_vmw2}\""),
            ("cat <<-EOF\n\ta ${{ x }}\n\tEOF", "cat <<-EOF\n\ta ${_vmw1}\n\tEOF"),
            ("cat <<'EOF'\na ${{ x }}\nEOF\necho ${{ y }}", "cat <<'EOF'\na ${{ x }}\nEOF\necho \"${_vmw2}\""),
            ("cat <<\\EOF\n${{ x }}\nEOF", "cat <<\\EOF\n${{ x }}\nEOF"),
            ("echo $((${{ n }} + 1))", "echo $(((${_vmw1}) + 1))"),
            (r#"echo "$((${{ n }} + 1)) ${{ x }}""#, r#"echo "$(((${_vmw1}) + 1)) ${_vmw2}""#),
            ("echo hi # about ${{ x }}\necho ${{ y }}", "echo hi # about \necho \"${_vmw2}\""),
            (r#"echo "$(cat ${{ x }})""#, r#"echo "$(cat "${_vmw1}")""#),
            (r#"echo "$(cat "${{ x }}")""#, r#"echo "$(cat "${_vmw1}")""#),
            (r#"echo "$(echo '${{ x }}')""#, r#"echo "$(echo ''"${_vmw1}"'')""#),
            (
                "cat <<EOF\n$(echo ${{ x }}) \"${{ y }}\" '${{ z }}'\nEOF",
                "cat <<EOF\n$(echo \"${_vmw1}\") \"${_vmw2}\" '${_vmw3}'\nEOF",
            ),
            ("a=${{ x }}; b='${{ y }}' c=\"${{ z }}\" env", r#"a="${_vmw1}"; b=''"${_vmw2}"'' c="${_vmw3}" env"#),
            ("case ${{ x }} in ${{ y }}) echo;; esac", r#"case "${_vmw1}" in "${_vmw2}") echo;; esac"#),
            (
                "x=$(case a in a) echo ${{ x }};; (b|c) echo '${{ y }}';; esac); echo \"${{ z }}\"",
                r#"x=$(case a in a) echo "${_vmw1}";; (b|c) echo ''"${_vmw2}"'';; esac); echo "${_vmw3}""#,
            ),
            (
                "for i in ${{ x }} b; do echo ${{ y }}; done > ${{ z }}",
                r#"for i in "${_vmw1}" b; do echo "${_vmw2}"; done > "${_vmw3}""#,
            ),
            ("f() { echo ${{ x }}; }; f", r#"f() { echo "${_vmw1}"; }; f"#),
            ("if [ ${{ x }} = y ]; then echo; fi", r#"if [ "${_vmw1}" = y ]; then echo; fi"#),
            ("echo ${#} # ' ${{ x }}\necho '${{ y }}'", "echo ${#} # ' \necho ''\"${_vmw2}\"''"),
            ("echo a#b ${{ x }}", r#"echo a#b "${_vmw1}""#),
            ("echo \\\n${{ x }}", "echo \\\n\"${_vmw1}\""),
            ("echo \\\\${{ x }}", r#"echo \\"${_vmw1}""#),
            (r"echo '\'${{ x }}", r#"echo '\'"${_vmw1}""#),
            (r#"echo "$$"${{ x }}"#, r#"echo "$$""${_vmw1}""#),
            ("echo ${{ r }} ${{ x }}", r#"echo CODE "${_vmw2}""#),
            ("${{ r }}", "CODE"),
            (
                "sed s/a/${{ x }}/ <<A <<'B'\n${{ y }}\nA\n${{ z }}\nB",
                "sed s/a/\"${_vmw1}\"/ <<A <<'B'\n${_vmw2}\nA\n${{ z }}\nB",
            ),
            ("echo $(( (1<<2) + ${{ n }} )) ${{ x }}", r#"echo $(( (1<<2) + (${_vmw1}) )) "${_vmw2}""#),
            ("echo $( (echo ${{ x }}); )", r#"echo $( (echo "${_vmw1}"); )"#),
            ("ls *.${{ x }} ~/${{ y }} [ab]${{ z }}", r#"ls *."${_vmw1}" ~/"${_vmw2}" [ab]"${_vmw3}""#),
            ("PGPASSWORD=${{ x }} psql -c 'select 1'", r#"PGPASSWORD="${_vmw1}" psql -c 'select 1'"#),
            ("echo é${{ x }}ü", r#"echo é"${_vmw1}"ü"#),
        ],
    );
    table(
        Dialect::Bash,
        &[
            ("((x = ${{ n }} + 1))", "((x = (${_vmw1}) + 1))"),
            (
                "for ((i=0; i<${{ n }}; i++)); do echo ${{ x }}; done",
                r#"for ((i=0; i<(${_vmw1}); i++)); do echo "${_vmw2}"; done"#,
            ),
            ("[[ ${{ x }} == a* && -n '${{ y }}' ]]", r#"[[ "${_vmw1}" == a* && -n ''"${_vmw2}"'' ]]"#),
            ("[[ ${{ n }} -eq 3 ]]", r#"[[ "${_vmw1}" -eq 3 ]]"#),
            ("[[ $x =~ ^(a|${{ x }})$ ]] && echo '${{ y }}'", r#"[[ $x =~ ^(a|"${_vmw1}")$ ]] && echo ''"${_vmw2}"''"#),
            ("a=(${{ x }} 'b ${{ y }}'); a[${{ n }}]=c", r#"a=("${_vmw1}" 'b '"${_vmw2}"''); a["${_vmw3}"]=c"#),
            ("cat <<< ${{ x }}; diff <(echo ${{ y }}) b", r#"cat <<< "${_vmw1}"; diff <(echo "${_vmw2}") b"#),
            ("function f { echo ${{ x }}; }", r#"function f { echo "${_vmw1}"; }"#),
            ("echo ${{ x }} &> ${{ y }} |& cat", r#"echo "${_vmw1}" &> "${_vmw2}" |& cat"#),
            ("((echo ${{ x }}) | cat)", r#"((echo "${_vmw1}") | cat)"#),
        ],
    );
}

#[test]
fn places_without_values() {
    table(
        Dialect::Sh,
        &[
            ("echo `echo ${{ x }}`", "! Backtick at \"`\""),
            ("echo \"`echo ${{ x }}`\"", "! Backtick at \"`\""),
            ("echo ${a:-${{ x }}}", "! ParameterExpansion at \"${\""),
            ("echo ${a:-$(echo ${{ x }})}", "! ParameterExpansion at \"${\""),
            ("echo \"${a#\"${{ x }}\"}\"", "! ParameterExpansion at \"${\""),
            ("echo $'a${{ x }}'", "! DollarSingle at \"$'\""),
            ("cat <<${{ x }}\na\n", "! HeredocDelimiter at \"<<${{ x }}\""),
            ("echo \\${{ x }}", "! AfterBackslash at \"\\\\\""),
            ("echo \"\\${{ x }}\"", "! AfterBackslash at \"\\\\\""),
            ("cat <<EOF\n\\${{ x }}\nEOF", "! AfterBackslash at \"\\\\\""),
            ("echo \"$$${{ x }}\"", "echo \"$$${_vmw1}\""),
            ("echo a$${{ x }}", "! AfterDollar at \"$\""),
            ("echo $((${{ x }}))", "! NotAnInt(Arithmetic) at \"${{ x }}\""),
            ("echo $((${{ p }}))", "! NotAnInt(Arithmetic) at \"${{ p }}\""),
            ("echo $((1${{ n }}))", "! GluedInArithmetic at \"1${{ n }}\""),
            ("echo $((${{ n }}0))", "! GluedInArithmetic at \"${{ n }}\""),
            ("echo ${{ l }}", "! List at \"${{ l }}\""),
            ("echo '${{ r }}'", "! RawNotBare at \"${{ r }}\""),
            ("${{ x }}=1", "! Name(\"an assignment\") at \"${{ x }}=\""),
            ("a${{ x }}=1 env", "! Name(\"an assignment\") at \"a${{ x }}=\""),
            ("for ${{ x }} in a; do :; done", "! Name(\"for\") at \"${{ x }}\""),
            ("read ${{ x }}", "! Name(\"read\") at \"read\""),
            ("read -r -p '${{ x }}' a", "read -r -p ''\"${_vmw1}\"'' a"),
            ("export ${{ x }}=1", "! Name(\"export\") at \"export\""),
            ("export \"a=${{ x }}\"", "export \"a=${_vmw1}\""),
            ("unset 'a[${{ x }}]'", "! Name(\"unset\") at \"unset\""),
            ("getopts ab ${{ x }}", "! Name(\"getopts\") at \"getopts\""),
            ("echo 'a", "echo 'a"),
            ("echo ${{ x }} 'a", "! Unreadable(\"this ' isn't closed\") at \"'\""),
            ("if true; then echo ${{ x }}", "! Unreadable(\"what begins here isn't ended\") at \" \""),
            ("((x = ${{ n }}))", "! Disagreement at \"${{ n }}\""),
            ("a[${{ n }}]=1", "a[\"${_vmw1}\"]=1"),
        ],
    );
    table(
        Dialect::Bash,
        &[
            ("[[ ${{ x }} -eq 1 ]]", "! NotAnInt(Comparison) at \"-eq\""),
            ("[[ 1 -lt \"${{ x }}\" ]]", "! NotAnInt(Comparison) at \"-lt\""),
            ("[ ${{ x }} -eq 1 ]", "[ \"${_vmw1}\" -eq 1 ]"),
            ("[[ -v ${{ x }} ]]", "! Name(\"[[ -v\") at \"-v\""),
            ("test -v ${{ x }}", "! Name(\"test -v\") at \"-v\""),
            ("printf -v ${{ x }} a", "! Name(\"printf -v\") at \"printf\""),
            ("printf -v${{ x }} a", "! Name(\"printf -v\") at \"printf\""),
            ("declare ${{ x }}=1", "! Name(\"declare\") at \"declare\""),
            ("declare -n a=${{ x }}", "! Name(\"declare -n\") at \"declare\""),
            ("declare -i a=${{ x }}", "! NotAnInt(IntegerVariable) at \"declare\""),
            ("declare -i a; a=${{ x }}", "! NotAnInt(IntegerVariable) at \"a\""),
            ("SECONDS=${{ x }}", "! NotAnInt(IntegerVariable) at \"SECONDS\""),
            ("mapfile -t ${{ x }} < f", "! Name(\"mapfile\") at \"mapfile\""),
            ("read -ra ${{ x }}", "! Name(\"read\") at \"read\""),
            ("let a=${{ x }}", "! NotAnInt(Let) at \"let\""),
            ("a[${{ x }}]=1", "! NotAnInt(Subscript) at \"${{ x }}\""),
            ("a=([${{ x }}]=1)", "! NotAnInt(Subscript) at \"${{ x }}\""),
            ("((${{ x }}))", "! NotAnInt(Arithmetic) at \"${{ x }}\""),
            ("echo $[${{ x }}]", "! NotAnInt(Arithmetic) at \"${{ x }}\""),
            ("${{ x }}() { :; }", "! Unreadable(\"a `(` stands right after a value\") at \"(\""),
            ("exec {${{ x }}}>f", "! Name(\"a redirection\") at \"{${{ x }}}\""),
        ],
    );
    table(
        Dialect::Ksh,
        &[
            ("[ ${{ x }} -eq 1 ]", "! NotAnInt(Comparison) at \"-eq\""),
            ("exit ${{ x }}", "! NotAnInt(KshArgument) at \"exit\""),
            ("printf '%d' ${{ x }}", "! NotAnInt(KshArgument) at \"printf\""),
            ("printf '%s' ${{ x }}", "printf '%s' \"${_vmw1}\""),
        ],
    );
}

#[test]
fn text_read_again() {
    let refused = |what: &str, at: &str| format!("! Reread({what:?}) at {at:?}");
    for (text, what, at) in [
        ("eval echo ${{ x }}", "eval", "eval"),
        ("eval \"echo ${{ x }}\"", "eval", "eval"),
        ("trap 'rm ${{ x }}' EXIT", "trap", "trap"),
        ("sh -c 'echo ${{ x }}'", "sh", "sh"),
        ("sh -c \"echo ${{ x }}\"", "sh", "sh"),
        ("/bin/bash -euxc 'echo ${{ x }}'", "bash", "/bin/bash"),
        ("bash -o pipefail -c 'echo ${{ x }}'", "bash", "bash"),
        ("su - postgres -c \"psql ${{ x }}\"", "su", "su"),
        ("su -c\"psql ${{ x }}\" postgres", "su", "su"),
        ("su --command=\"psql ${{ x }}\" postgres", "su", "su"),
        ("ssh -p 22 host echo ${{ x }}", "ssh", "ssh"),
        ("ssh host <<EOF\necho ${{ x }}\nEOF", "ssh", "ssh"),
        ("bash <<EOF\necho ${{ x }}\nEOF", "bash", "bash"),
        ("sudo -u root bash -s <<EOF\necho ${{ x }}\nEOF", "bash", "bash"),
        ("cat <<EOF | sudo sh\necho ${{ x }}\nEOF", "sh", "sh"),
        ("echo ${{ x }} | sh", "sh", "sh"),
        ("printf 'id %s' ${{ x }} | ssh host", "ssh", "ssh"),
        ("env A=b sh -c 'echo ${{ x }}'", "sh", "sh"),
        ("sudo -u root -- sh -c 'echo ${{ x }}'", "sh", "sh"),
        ("timeout -k 1 5 sh -c 'echo ${{ x }}'", "sh", "sh"),
        ("exec sh -c 'echo ${{ x }}'", "sh", "sh"),
        ("command eval ${{ x }}", "eval", "eval"),
        ("builtin eval ${{ x }}", "eval", "eval"),
        ("find . -exec sh -c 'echo ${{ x }}' \\;", "sh", "sh"),
        ("ls | xargs -n 1 sh -c 'echo ${{ x }}'", "sh", "sh"),
        ("xargs -I{} sh -c 'echo ${{ x }} {}'", "sh", "sh"),
        ("docker exec -it web bash -lc 'echo ${{ x }}'", "bash", "bash"),
        ("kubectl exec pod -- sh -c 'echo ${{ x }}'", "sh", "sh"),
        ("flock /tmp/l sh -c 'echo ${{ x }}'", "sh", "sh"),
        ("flock -w 5 /tmp/l -c 'echo ${{ x }}'", "flock", "flock"),
        ("sg web 'echo ${{ x }}'", "sg", "sg"),
        ("runuser -u web -- sh -c 'echo ${{ x }}'", "sh", "sh"),
        ("nohup nice -n 5 setsid sh -c 'echo ${{ x }}'", "sh", "sh"),
        ("$SUDO sh -c 'echo ${{ x }}'", "sh", "sh"),
        ("watch -n 1 echo ${{ x }}", "watch", "watch"),
        ("alias a='echo ${{ x }}'", "alias", "alias"),
        ("PS4=${{ x }}; set -x", "PS4", "PS4"),
        ("export PROMPT_COMMAND=${{ x }}", "export", "export"),
        ("busybox sh -c 'echo ${{ x }}'", "sh", "sh"),
        ("time -p sh -c 'echo ${{ x }}'", "sh", "sh"),
        ("if ! sh -c 'echo ${{ x }}'; then :; fi", "sh", "sh"),
        ("a=$(sh -c 'echo ${{ x }}')", "sh", "sh"),
    ] {
        assert_eq!(outcome(Dialect::Sh, text), refused(what, at), "{text}");
    }
    table(
        Dialect::Sh,
        &[
            ("sh -c 'echo ${{ n }} ${{ p }}'", "sh -c 'echo '\"${_vmw1}\"' '\"${_vmw2}\"''"),
            ("sh -c 'echo \"$1\"' sh ${{ x }}", "sh -c 'echo \"$1\"' sh \"${_vmw1}\""),
            ("sh script.sh ${{ x }}", "sh script.sh \"${_vmw1}\""),
            ("ssh root@${{ x }} id", "ssh root@\"${_vmw1}\" id"),
            ("echo ${{ x }} | ssh host 'cat > f'", "echo \"${_vmw1}\" | ssh host 'cat > f'"),
            ("curl ${{ x }} | sh", "curl \"${_vmw1}\" | sh"),
            ("useradd -s /bin/sh -c ${{ x }} web", "useradd -s /bin/sh -c \"${_vmw1}\" web"),
            ("sh -c \"echo ${{ q }}\"", "sh -c \"echo ${_vmw1}\""),
            ("ssh host echo ${{ q }}", "ssh host echo \"${_vmw1}\""),
            ("ssh host 'echo '${{ q }}", "ssh host 'echo '\"${_vmw1}\""),
            ("sh -c \"echo '${{ q }}'\"", "! QuotedTwice(\"sh\") at \"sh\""),
            ("sh -c \"echo \\\"${{ q }}\\\"\"", "! QuotedTwice(\"sh\") at \"sh\""),
            ("ssh host \"sh -c ${{ q }}\"", "! QuotedTwice(\"ssh\") at \"ssh\""),
            ("ssh host \"sh -c 'echo \\$1' sh ${{ q }}\"", "ssh host \"sh -c 'echo \\$1' sh ${_vmw1}\""),
            ("sh <<EOF\necho ${{ q }}\nEOF", "sh <<EOF\necho ${_vmw1}\nEOF"),
            ("sh <<EOF\necho '${{ q }}'\nEOF", "! QuotedTwice(\"sh\") at \"sh\""),
            ("eval ${{ r }}", "eval CODE"),
            ("echo eval ${{ x }}", "echo eval \"${_vmw1}\""),
        ],
    );
}

#[test]
fn powershell() {
    table(
        Dialect::PowerShell,
        &[
            ("New-Item ${{ x }}", "New-Item ${_vmw1}"),
            ("New-Item \"C:\\${{ x }}\\a\"", "New-Item \"C:\\${_vmw1}\\a\""),
            ("$a = @\"\n${{ x }}\n\"@\nf ${{ y }}", "$a = @\"\n${_vmw1}\n\"@\nf ${_vmw2}"),
            ("f(${{ x }}, ${{ y }}); g # ${{ z }}\nh ${{ w }}", "f(${_vmw1}, ${_vmw2}); g # \nh ${_vmw4}"),
            ("<# ${{ x }} #> f ${{ y }}", "<#  #> f ${_vmw2}"),
            ("\"a $(f ${{ x }} \"b\") ${{ y }}\"", "\"a $(f ${_vmw1} \"b\") ${_vmw2}\""),
            ("f '${{ x }}'", "! PsPlace at \"${{ x }}\""),
            ("f a${{ x }}", "! PsPlace at \"${{ x }}\""),
            ("f ${{ x }}.txt", "! PsPlace at \"${{ x }}\""),
            ("$a[${{ n }}]", "! PsPlace at \"${{ n }}\""),
            ("f @'\n${{ x }}\n'@", "! PsPlace at \"${{ x }}\""),
            ("cmd.exe --% ${{ x }}", "! PsPlace at \"${{ x }}\""),
            ("f `${{ x }}", "! AfterBackslash at \"`\""),
            ("f \"`${{ x }}\"", "! AfterBackslash at \"`\""),
            ("f \"$${{ x }}\"", "! AfterDollar at \"$\""),
            ("${{ x }} = 5", "! Name(\"an assignment\") at \"${{ x }}\""),
            ("f ${{ l }}", "! List at \"${{ l }}\""),
            ("iex ${{ x }}", "! Reread(\"iex\") at \"iex\""),
            ("${{ x }} | iex", "! Reread(\"iex\") at \"iex\""),
            ("powershell.exe -Command \"f ${{ x }}\"", "! Reread(\"powershell\") at \"powershell.exe\""),
            ("powershell -File a.ps1 ${{ x }}", "powershell -File a.ps1 ${_vmw1}"),
            (
                "& [scriptblock]::Create(\"f ${{ x }}\")",
                "! Reread(\"[scriptblock]::create\") at \"[scriptblock]::Create\"",
            ),
            ("cmd /c echo ${{ x }}", "! Reread(\"cmd\") at \"cmd\""),
            ("cmd /c echo ${{ n }}; f ${{ x }}", "cmd /c echo ${_vmw1}; f ${_vmw2}"),
            ("f \"${{ x }}", "! Unreadable(\"this string isn't closed\") at \"\\\"\""),
            ("${{ r }}; f \"${{ x }}\"", "CODE; f \"${_vmw2}\""),
        ],
    );
}

#[test]
fn cmd_takes_six_types() {
    table(
        Dialect::Cmd,
        &[
            ("echo ${{ x }}", "! CmdText at \"${{ x }}\""),
            ("echo ${{ q }}", "! CmdText at \"${{ q }}\""),
            ("echo ${{ n }} ${{ p }}", "echo _vmw1 _vmw2"),
            ("echo ${{ n }}>f", "! CmdPlace(Stream) at \">\""),
            ("echo a\"b\" ${{ n }}${{ n }}<f", "! CmdPlace(Stream) at \"<\""),
            ("echo ${{ n }} >f", "echo _vmw1 >f"),
            (">f echo ${{ n }}", ">f echo _vmw1"),
            ("echo \"${{ n }}>f\"", "echo \"_vmw1>f\""),
            ("echo \"a\nb ${{ n }}>f", "! CmdPlace(Stream) at \">\""),
            ("echo ${{ r \"q\" }} ${{ n }}>f", "! CmdPlace(Stream) at \">\""),
            ("echo %${{ n }}", "! CmdPlace(Name) at \"%\""),
            ("echo \"%%${{ p }}\"", "! CmdPlace(Name) at \"%\""),
            ("echo %~dp${{ n }}", "! CmdPlace(Name) at \"%~dp\""),
            (
                "echo %v${{ n }}% %v:~${{ n }},1% a~b${{ n }} 5%. ${{ n }}",
                "echo %v_vmw1% %v:~_vmw2,1% a~b_vmw3 5%. _vmw4",
            ),
            ("${{ p }} a", "! CmdPlace(Label) at \"${{ p }}\""),
            ("a\n  @${{ p }} a", "! CmdPlace(Label) at \"${{ p }}\""),
            ("a & ${{ p }}", "! CmdPlace(Label) at \"${{ p }}\""),
            ("a || ${{ p }}", "! CmdPlace(Label) at \"${{ p }}\""),
            ("a ^\n  ${{ p }} \\\n  ${{ n }}", "a ^\n  _vmw1 \\\n  _vmw2"),
            ("echo a ^& ${{ p }} \"& ${{ p }}\" (${{ n }})", "echo a ^& _vmw1 \"& _vmw2\" (_vmw3)"),
        ],
    );
}

#[test]
fn unknown_interpreter() {
    let text = "#!/usr/bin/python3\nprint(${{ x }})";
    let refused = read_for(text, text, &holes(text)).expect_err("python isn't known");
    assert_eq!(refused[0].kind, RefusalKind::UnknownShell("#!/usr/bin/python3".into()));
    assert_eq!(read_for("#!/usr/bin/python3", "print()", &[]), Ok(Vec::new()));
}

#[test]
fn quotes_left_open() {
    let open = |text: &str| unclosed_quote(Dialect::Sh, text, &holes(text)).map(|u| (u.at, u.quote));
    assert_eq!(open("echo it's"), Some((7, '\'')));
    assert_eq!(open("echo ${{ \"it's\" }} \"a"), Some((19, '"')));
    assert_eq!(open("echo $(echo `a)"), Some((12, '`')));
    assert_eq!(open("echo \"it's\" # it's"), None);
    assert_eq!(open("cat <<EOF\nit's\nEOF"), None);
    assert_eq!(open("if true"), None);
}

#[test]
fn bodies_without_interpolation() {
    let text = "cat <<'A' <<B\n${{ x }}\nA\n${{ y }}\nB\nx=$(cat <<\"C\"\n${{ z }}\nC\n)";
    let ranges = quoted_heredoc_ranges(Dialect::Sh, text, &holes(text));
    let bodies: Vec<&str> = ranges.iter().map(|r| &text[r.clone()]).collect();
    assert_eq!(bodies, ["${{ x }}\n", "${{ z }}\n"]);
}

#[test]
fn commands_of_a_text() {
    let text = "A=1 sudo -u web f 'x y' >out 2>&1 | g \"$(h ${{ x }})\"";
    let found = commands(Dialect::Sh, text, &holes(text));
    let names: Vec<_> = found.iter().map(|c| c.name().unwrap_or_default()).collect();
    assert_eq!(names, ["sudo", "h", "g"]);
    assert_eq!(found[0].assignments[0].name, "A");
    assert_eq!(found[0].words[4].text().as_deref(), Some("x y"));
    assert_eq!(found[0].redirects.iter().map(|r| r.operator.as_str()).collect::<Vec<_>>(), [">", ">&"]);
    assert_eq!(found[0].pipes_into, 1..3);
    assert_eq!(found[1].words[1].holes().collect::<Vec<_>>(), [0]);
    assert_eq!(&text[found[2].span.clone()], "g \"$(h ${{ x }})\"");
}

#[test]
fn foreign_text() {
    let lint = |text: &str| -> Vec<String> {
        let found = foreign_code(Dialect::Sh, text, &holes(text));
        found.iter().map(|f| format!("{} {}", f.hole, f.language)).collect()
    };
    assert_eq!(lint("awk '{print \"${{ x }}\"}' f"), ["0 awk"]);
    assert_eq!(lint("awk -v a=${{ x }} '{print a}' f"), [""; 0]);
    assert_eq!(lint("sudo sed -i -e 's/a/${{ x }}/' f"), ["0 sed"]);
    assert_eq!(lint("sed s/a/${{ x }}/ f"), ["0 sed"]);
    assert_eq!(lint("python3 -c 'print(\"${{ x }}\")' ${{ y }}"), ["0 Python"]);
    assert_eq!(lint("psql -Atc \"select '${{ x }}'\""), ["0 SQL"]);
    assert_eq!(lint("mysql <<EOF\nselect '${{ x }}'\nEOF"), ["0 SQL"]);
    assert_eq!(lint("mysql -e 'select ${{ n }}'"), [""; 0]);
    assert_eq!(lint("jq --arg a ${{ x }} '.b = $a'"), [""; 0]);
}

#[test]
fn arguments_in_a_process_list() {
    let lint = |text: &str| -> Vec<String> {
        let found = external_arguments(Dialect::Sh, text, &holes(text));
        found.iter().map(|f| format!("{} {}", f.hole, f.command)).collect()
    };
    assert_eq!(lint("mysql -p${{ x }}"), ["0 mysql"]);
    assert_eq!(lint("sudo mysql -p${{ x }}"), ["0 mysql"]);
    assert_eq!(lint("env PASS=${{ x }} mysql"), ["0 env"]);
    assert_eq!(lint("PASS=${{ x }} mysql; echo ${{ y }} | chpasswd; [ ${{ z }} = a ]"), [""; 0]);
    assert_eq!(lint("f() { :; }; f ${{ x }}; exec curl -u ${{ y }} ."), ["1 curl"]);
    assert_eq!(lint("cat <<EOF >f\n${{ x }}\nEOF"), [""; 0]);
}

#[test]
fn raw_code_is_read_again() {
    let text = "echo ${{ r }} '${{ x }}'";
    let (new, kept) = insert_raw(text, &holes(text), &[Some("it's"), None]);
    assert_eq!(new, "echo it's '${{ x }}'");
    assert_eq!(&new[kept[0].range()], "${{ x }}");
    assert!(read(Dialect::Sh, &new, &kept).is_err());
}

#[test]
fn assignments() {
    assert_eq!(assignment("_vmw1", "it's\n$x"), "_vmw1='it'\\''s\n$x'");
    assert_eq!(
        powershell_assignment("_vmw1", "é'"),
        "${_vmw1}=[Text.Encoding]::UTF8.GetString([Convert]::FromBase64String('w6kn'))"
    );
    assert_eq!(powershell_number("_vmw1", -5), "${_vmw1}=[long]'-5'");
}

#[test]
fn holes_out_of_order_are_refused() {
    let hole = |start, end| Hole { start, end, kind: HoleKind::Text };
    for bad in [
        vec![hole(3, 9), hole(0, 2)],
        vec![hole(0, 4), hole(3, 5)],
        vec![hole(2, 2)],
        vec![hole(5, 99)],
        vec![hole(1, 2)],
    ] {
        assert!(read(Dialect::Sh, "é echo aaaa", &bad).is_err(), "{bad:?}");
        assert!(read(Dialect::PowerShell, "é echo aaaa", &bad).is_err(), "{bad:?}");
    }
}

/// A text of 64 KiB that repeats something takes no longer than a plain one, by far.
#[test]
fn no_text_takes_long() {
    let units = [
        "(",
        "((",
        "$(",
        "$((",
        "`",
        "${",
        "${a:-",
        "\"",
        "'",
        "\"$(",
        "<<A ",
        "cat <<A\n",
        "cat <<A $(",
        "[[ ",
        "{ ",
        "if ",
        "case a in a) ",
        "$(case a in a) ",
        "a[",
        "a=(",
        "a[$(",
        "@(",
        "\\",
        "\\\n",
        "&& ",
        "| ",
        "; ",
        "f() ",
        "env ",
        "sh -c '",
        "eval ",
        "sudo ",
        "sh;",
        "sh|",
        "#",
        "<(",
        "$[",
        "!",
        "time ",
        "${{ x }}",
        "${{ x }} ",
        "$((${{ n }}+",
        "\n",
        "\t",
        "a=b ",
        "((a) ",
        "$((a) ",
        "echo ${{ x }} | sh;",
        "é",
        "[[ a =~ (",
        "declare -i a;",
        "cat <<A\nA\n",
        "a\\\n",
        "$'",
        "\"${a:-'",
        "`\\",
        "for a in ",
        "export a=",
        "read -a ",
        "ssh a ",
        "<<-A\n\t",
        "coproc ",
        "docker ",
        "find -exec sh -c a ",
        "xargs ",
        ">a ",
    ];
    // What sh reads, bash reads by the same code.
    let tails = ["\"'`)}]\nA\n echo ${{ x }}", "", " echo ${{ x }}"];
    for (dialect, tails) in [(Dialect::Sh, &tails[..1]), (Dialect::Bash, &tails), (Dialect::PowerShell, &tails)] {
        for unit in units {
            for tail in tails {
                let mut text = unit.repeat((MAX_TEXT - 100) / unit.len());
                text.push_str(tail);
                let holes = holes(&text);
                let start = own_time();
                let _ = read(dialect, &text, &holes);
                let _ = foreign_code(dialect, &text, &holes);
                let _ = external_arguments(dialect, &text, &holes);
                let _ = unclosed_quote(dialect, &text, &holes);
                let took = own_time() - start;
                assert!(took < Duration::from_secs(5), "{dialect:?} {unit:?} {tail:?}: {took:?}");
            }
        }
    }
    let long = "(".repeat(1_000_000) + "${{ x }}";
    let refused = read(Dialect::Sh, &long, &holes(&long)).expect_err("too long");
    assert_eq!(refused[0].kind, RefusalKind::TooLong);
}

#[test]
fn codes_are_numbered_in_order() {
    let numbers: Vec<u16> = codes::ALL.iter().map(|c| c.number).collect();
    assert!(numbers.is_sorted() && numbers.iter().all(|n| (300..340).contains(n)), "{numbers:?}");
}

/// Pieces of shell text that meet in any order.
fn soup() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => prop::sample::select(vec![
            "${{ x }}", "${{ n }}", "${{ q }}", "${{ r }}", "${{ l }}", " ", "\n", "'", "\"", "`", "\\", "$", "$(", ")", "((", "))",
            "$((", "${", "}", "{ ", "<<EOF", "\nEOF\n", "<<-'E'", "\nE\n", "case ", " in ", ";;", " esac", "[[ ", " ]]", "#", "|", "&", ";",
            "a=", "a[", "]=", "(", "if ", " then ", " fi ", "for i ", " do ", " done ", "eval ", "sh -c ", "-eq", "é", "\u{2019}", "@\"\n",
            "\n\"@", "declare -i ", "=~ ", "<(", ">", "$'", "\0", "\r", "f() ", "x",
        ]).prop_map(str::to_owned),
        1 => "[ -~]{0,6}",
        1 => any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// As many cases as `PROPTEST_CASES` says where it is set.
fn cases() -> ProptestConfig {
    let default = ProptestConfig::default();
    if std::env::var_os("PROPTEST_CASES").is_some() { default } else { ProptestConfig { cases: 3000, ..default } }
}

proptest! {
    #![proptest_config(cases())]

    /// The short cut of [`unclosed_quote`] agrees with the reading that it saves.
    #[test]
    fn toggles_that_close_are_no_unclosed_quote(text in soup()) {
        if toggles_close(&text) {
            let stop = own_reading(Dialect::Bash, &text, &[]).and_then(|r| r.stop);
            let quote = stop.filter(|s| matches!(s.why, Why::Unclosed('\'' | '"' | '`')));
            prop_assert_eq!(quote, None, "{}", text);
        }
    }

    #[test]
    fn no_text_panics(text in soup()) {
        let mut found = Vec::new();
        let mut from = 0;
        while let Some(start) = text[from..].find("${{").map(|at| from + at) {
            let Some(end) = text[start..].find("}}").map(|at| start + at + 2) else { break };
            let kind = match text.as_bytes().get(start + 4) {
                Some(b'n') => HoleKind::Int,
                Some(b'q') => HoleKind::Quoted,
                Some(b'r') => HoleKind::Raw,
                Some(b'l') => HoleKind::List,
                _ => HoleKind::Text,
            };
            found.push(Hole { start, end, kind });
            from = end;
        }
        for dialect in [Dialect::Sh, Dialect::Bash, Dialect::Ksh, Dialect::PowerShell, Dialect::Cmd] {
            match read(dialect, &text, &found) {
                Ok(contexts) => {
                    prop_assert_eq!(contexts.len(), found.len());
                    weave(&text, &found, &contexts, &names(&found));
                }
                Err(refusals) => {
                    prop_assert!(!refusals.is_empty());
                    for refusal in refusals {
                        prop_assert!(refusal.hole < found.len());
                        prop_assert!(text.get(refusal.at.clone()).is_some(), "{:?}", refusal);
                        explain(&refusal, "${{ x }}");
                    }
                }
            }
            commands(dialect, &text, &found);
            unclosed_quote(dialect, &text, &found);
            quoted_heredoc_ranges(dialect, &text, &found);
            foreign_code(dialect, &text, &found);
            external_arguments(dialect, &text, &found);
        }
    }

    #[test]
    fn any_holes_are_taken(text in "\\PC{0,40}", cuts in prop::collection::vec((0usize..60, 0usize..60), 0..4)) {
        let holes: Vec<Hole> = cuts.iter().map(|&(start, end)| Hole { start, end, kind: HoleKind::Text }).collect();
        for dialect in [Dialect::Sh, Dialect::PowerShell] {
            if let Ok(contexts) = read(dialect, &text, &holes) {
                weave(&text, &holes, &contexts, &names(&holes));
            }
        }
    }
}

/// A text that is too long is told once, however many values are in it.
#[test]
fn too_long_is_said_once() {
    let long = " ".repeat(MAX_TEXT) + &"echo ${{ x }} ".repeat(50);
    let refused = read(Dialect::Sh, &long, &holes(&long)).map_err(|refusals| refusals.len());
    assert_eq!(refused.err(), Some(1));
}

/// Every kind of refusal as its reader sees it; the place of the value is the primary one.
#[test]
fn refusals_in_words() {
    use crate::diagnostic::{Diagnostic, Style, render};
    use crate::source::{Sources, Span};
    let long = " ".repeat(MAX_TEXT) + "echo ${{ x }}";
    let mut all = String::new();
    for (interpreter, text) in [
        ("#!/usr/bin/python3", "print(${{ x }})"),
        ("sh", "echo `basename ${{ x }}`"),
        ("sh", "echo \"${HOME:-${{ x }}}\""),
        ("bash", "echo $'a\\t${{ x }}'"),
        ("sh", "cat <<${{ x }}\na\n"),
        ("sh", "echo C:\\${{ x }}"),
        ("sh", "echo a$${{ x }}"),
        ("sh", "echo $((${{ x }} + 1))"),
        ("bash", "[[ ${{ x }} -gt 1 ]]"),
        ("sh", "echo $((1${{ n }}))"),
        ("sh", "export ${{ x }}=1"),
        ("sh", "${{ x }}=1"),
        ("sh", "echo ${{ l }}"),
        ("sh", "ssh host \"echo ${{ x }}\""),
        ("sh", "sh -c \"echo '${{ q | quote }}'\""),
        ("sh", "echo \"${{ r | raw }}\""),
        ("sh", "((x = ${{ n }})); echo $x"),
        ("sh", "if true; then echo ${{ x }}"),
        ("powershell", "New-Item C:\\${{ x }}"),
        ("cmd", "echo ${{ x }}"),
        ("sh", &long),
    ] {
        let holes = holes(text);
        let mut sources = Sources::new();
        let shown = if text.len() > MAX_TEXT { text.trim_start() } else { text };
        let source = sources.add("VMWfile", None, shown);
        let shift = text.len() - shown.len();
        for refusal in read_for(interpreter, text, &holes).expect_err(shown) {
            let hole = &holes[refusal.hole];
            let words = explain(&refusal, &text[hole.range()]);
            let span = |r: Range<usize>| Span::new(source, r.start.saturating_sub(shift), r.end.saturating_sub(shift));
            let mut diagnostic = Diagnostic::at(words.code, span(hole.range()), words.message).help(words.help);
            if !words.cause.is_empty() {
                diagnostic = diagnostic.label(span(refusal.at.clone()), words.cause);
            }
            all.push_str(&render(&diagnostic, &sources, Style::plain()));
        }
    }
    insta::assert_snapshot!(all);
}
