//! Every rule's examples, pragmas, levels and mends.

use std::path::Path;

use super::{Config, Level, fix, lint, rules, settle};
use crate::diagnostic::{Code, Diagnostic, Problems, Severity, Style, render_all};
use crate::sema::tests::{Context, inputs};
use crate::sema::{Purpose, check};
use crate::source::Sources;
use crate::syntax;

/// A file parsed, checked and linted.
pub(super) fn linted(text: &str, config: &Config) -> (Vec<Diagnostic>, Sources) {
    let mut sources = Sources::new();
    let files = Context::usual().with("VMWfile", text);
    let id = sources.add("VMWfile", Some(Path::new("/project/VMWfile")), text);
    let mut problems = Problems::new();
    let file = syntax::parse(&sources, id, &mut problems);
    let program = check(&mut sources, &file, &inputs(Purpose::Lint), &files, &mut problems);
    let asts = [(id, &file)];
    problems.extend(lint(&asts, program.as_ref(), &sources, config));
    let settled = settle(problems, &asts, &sources, config, program.is_some());
    (settled.sorted(), sources)
}

fn said(list: &[Diagnostic], sources: &Sources) -> String {
    render_all(list, sources, Style::plain())
}

/// The configuration under which a code is on.
fn config_for(code: &Code) -> Config {
    let mut config = Config::default();
    if rules().iter().any(|r| r.code == code && r.opt_in) {
        config.set(code.name, Level::Warn).expect("a lint of ours");
    }
    config
}

#[test]
fn every_wrong_example_raises_its_lint_alone_and_every_right_one_none() {
    let mut failures = String::new();
    // ShellCheck's has none: no rule of ours raises it.
    for code in super::codes::ALL.iter().filter(|c| !c.wrong.is_empty()) {
        let config = config_for(code);
        let (found, sources) = linted(code.wrong, &config);
        if found.iter().map(|d| d.code).collect::<Vec<_>>() != [*code] {
            failures.push_str(&format!("--- the wrong example of {} {}\n{}", code, code.name, said(&found, &sources)));
        }
        let (found, sources) = linted(code.right, &config);
        if !found.is_empty() {
            failures.push_str(&format!("--- the right example of {} {}\n{}", code, code.name, said(&found, &sources)));
        }
    }
    assert_eq!(failures, "");
}

#[test]
fn what_is_said_of_the_wrong_examples() {
    let mut out = String::new();
    for code in super::codes::ALL.iter().filter(|c| !c.wrong.is_empty()) {
        let (found, sources) = linted(code.wrong, &config_for(code));
        out.push_str(&said(&found, &sources));
    }
    insta::assert_snapshot!(out);
}

#[test]
fn numbers_and_names_are_apart_and_in_our_ranges() {
    let mut numbers: Vec<u16> = super::codes::ALL.iter().map(|c| c.number).collect();
    assert!(numbers.is_sorted(), "{numbers:?}");
    numbers.dedup();
    assert_eq!(numbers.len(), super::codes::ALL.len());
    for code in super::codes::ALL {
        let n = code.number;
        assert!(matches!(n, 230..=249 | 350..=399 | 400..=449 | 500..=549), "{code} {}", code.name);
        assert!(code.severity != Severity::Error, "{code}: a lint is no error");
        assert!(code.about.len() > 60 && code.about.ends_with('.'), "{code}");
        assert!(code.name.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{}", code.name);
    }
}

/// A mend leaves a file that parses, is mended of that finding, and needs no second round.
#[test]
fn mends_hold() {
    let mut mended = 0;
    // ShellCheck's has none: no rule of ours raises it.
    for code in super::codes::ALL.iter().filter(|c| !c.wrong.is_empty()) {
        let config = config_for(code);
        let (found, sources) = linted(code.wrong, &config);
        for diagnostic in found.iter().filter(|d| d.fix.is_some()) {
            mended += 1;
            let new = fix::apply([diagnostic], &sources, true);
            let text = new.texts.values().next().expect("one file changes");
            let (after, sources) = linted(text, &config);
            assert!(
                !after.iter().any(|d| d.code == diagnostic.code || d.severity == Severity::Error),
                "{} {}: it became\n{text}\n{}",
                code,
                code.name,
                said(&after, &sources)
            );
        }
    }
    assert!(mended >= 15, "only {mended} examples have a mend");
}

#[test]
fn only_safe_mends_are_applied_unless_told() {
    let text = "from Debian AS web\nRUN reboot\nRUN yum install nginx\n";
    let (found, sources) = linted(text, &Config::default());
    let safe = fix::apply(&found, &sources, false);
    assert_eq!(safe.texts.values().next().unwrap(), "FROM Debian AS web\nRUN reboot\nRUN yum install -y nginx\n");
    let all = fix::apply(&found, &sources, true);
    assert_eq!(all.texts.values().next().unwrap(), "FROM Debian AS web\nREBOOT\nRUN yum install -y nginx\n");
    let (found, sources) = linted(safe.texts.values().next().unwrap(), &Config::default());
    assert_eq!(fix::apply(&found, &sources, false).count, 0, "once is enough");
}

#[test]
fn pragmas_allow_what_they_stand_above() {
    let codes =
        |text: &str| -> Vec<&'static str> { linted(text, &Config::default()).0.iter().map(|d| d.code.name).collect() };
    assert_eq!(codes("FROM Debian AS web\n# vmw: allow(reboot-in-run)\nRUN reboot\n"), [""; 0]);
    assert_eq!(codes("FROM Debian AS web\n# vmw: allow(VMW357)\n# Because.\nRUN reboot\n"), [""; 0]);
    assert_eq!(
        codes("FROM Debian AS web\n# vmw: allow(reboot-in-run)\nRUN reboot\nRUN reboot\n"),
        ["reboot-in-run"],
        "one line only"
    );
    assert_eq!(
        codes("FROM Debian AS web\n# vmw: allow(reboot-in-run)\n\nRUN reboot\n"),
        ["unused-pragma", "reboot-in-run"],
        "an empty line between"
    );
    assert_eq!(codes("# vmw: allow-file(reboot-in-run)\nFROM Debian AS web\nRUN reboot\nRUN reboot\n"), [""; 0]);
    assert_eq!(
        codes("FROM Debian AS web\n# vmw: allow(reboot-in-run, apt-for-people)\nRUN apt update && reboot\n"),
        [""; 0]
    );
    assert_eq!(codes("FROM Debian AS web\nRUN true && \\\n  # vmw: allow(reboot-in-run)\n  reboot\n"), [""; 0]);
    assert_eq!(
        codes("FROM Debian AS web\n# vmw: allow(apt-for-people)\nRUN <<EOF\ntrue\napt update\nEOF\n"),
        [""; 0],
        "a heredoc belongs to its line"
    );
    assert_eq!(codes("# vmw: allow-file(unknown-name)\nFROM Debian AS web\n"), ["unknown-lint"], "an error");
    assert_eq!(
        codes("# vmw: allow-file(template-keeps-identity)\nFROM Debian AS web\n"),
        [""; 0],
        "what is off can't be met"
    );
}

#[test]
fn errors_stay() {
    let (found, _) =
        linted("# vmw: allow-file(unknown-name)\nFROM Debian AS web\nRUN echo ${{ nothing }}\n", &Config::default());
    assert!(found.iter().any(|d| d.code.name == "unknown-name"), "{found:?}");
}

#[test]
fn an_unused_name_is_taken_out_of_its_pragma() {
    let text = "FROM Debian AS web\n# vmw: allow(cd-lost, reboot-in-run)\nRUN reboot\n";
    let (found, sources) = linted(text, &Config::default());
    let new = fix::apply(&found, &sources, false);
    assert_eq!(new.texts.values().next().unwrap(), "FROM Debian AS web\n# vmw: allow(reboot-in-run)\nRUN reboot\n");
    let text = "FROM Debian AS web\n  # vmw: allow(cd-lost)\nREBOOT\n";
    let (found, sources) = linted(text, &Config::default());
    assert_eq!(fix::apply(&found, &sources, false).texts.values().next().unwrap(), "FROM Debian AS web\nREBOOT\n");
}

#[test]
fn levels() {
    let text = "from Debian AS web\nRUN reboot\n";
    let with = |set: &[(&str, Level)]| -> Vec<(&'static str, Severity)> {
        let mut config = Config::default();
        for (name, level) in set {
            config.set(name, *level).expect("it exists");
        }
        linted(text, &config).0.iter().map(|d| (d.code.name, d.severity)).collect()
    };
    assert_eq!(with(&[]), [("keyword-case", Severity::Advice), ("reboot-in-run", Severity::Warning)]);
    assert_eq!(with(&[("all", Level::Allow)]), []);
    assert_eq!(with(&[("all", Level::Allow), ("VMW357", Level::Deny)]), [("reboot-in-run", Severity::Error)]);
    assert_eq!(
        with(&[("keyword-case", Level::Warn), ("reboot-in-run", Level::Allow)]),
        [("keyword-case", Severity::Warning)]
    );
    assert_eq!(with(&[("all", Level::Deny)]), [("keyword-case", Severity::Error), ("reboot-in-run", Severity::Error)]);
    let unknown = Config::default().set("reboot-in-ru", Level::Deny).expect_err("there is none");
    assert_eq!(unknown.help, "did you mean `reboot-in-run`?");
    let error = Config::default().set("unknown-name", Level::Allow).expect_err("an error");
    assert_eq!(error.message, "`unknown-name` is an error, not a lint");
}

/// Whatever is wrong with a file: rules neither stumble nor hide its errors.
#[test]
fn no_example_of_any_code_makes_a_rule_stumble() {
    let rooms: [&[&Code]; 6] = [
        syntax::codes::ALL,
        crate::sema::codes_values::ALL,
        crate::sema::codes::ALL,
        crate::sema::codes_stages::ALL,
        crate::shell::codes::ALL,
        super::codes::ALL,
    ];
    let mut all = Config::default();
    for rule in rules() {
        all.set(rule.code.name, Level::Deny).expect("a lint of ours");
    }
    for code in rooms.into_iter().flatten().filter(|c| !c.wrong.is_empty()) {
        let (found, sources) = linted(code.wrong, &all);
        let mut none = Config::default();
        none.set("all", Level::Allow).expect("all");
        let errors = |list: &[Diagnostic]| -> Vec<String> {
            let errors = list.iter().filter(|d| d.code.severity == Severity::Error);
            errors.map(|d| d.message.clone()).collect()
        };
        assert_eq!(errors(&found), errors(&linted(code.wrong, &none).0), "{code}");
        let mended = fix::apply(&found, &sources, true);
        for text in mended.texts.values() {
            linted(text, &all);
        }
        linted(code.right, &all);
    }
}

/// Package managers of programming languages, in a stage that leaves a template.
#[test]
fn packages_of_languages() {
    let mut config = Config::default();
    config.set("unpinned-package", Level::Warn).expect("a lint of ours");
    let cases: &[(&str, &[&str])] = &[
        ("RUN pip install --no-cache-dir flask", &["unpinned-package"]),
        ("RUN pip3 install --no-cache-dir flask==3.0 'django>=5' ./mine -r requirements.txt", &[]),
        ("RUN pip install flask==3.0", &["caches-in-template"]),
        ("RUN pip install flask==3.0\nRUN pip cache purge", &[]),
        ("RUN pip install flask==3.0\nRUN rm -rf /root/.cache", &[]),
        ("ENV PIP_NO_CACHE_DIR=1\nRUN pip install flask==3.0", &[]),
        ("RUN gem install rails", &["unpinned-package"]),
        ("RUN gem install rails:7.1 && gem install rake -v 13.0", &[]),
        ("RUN npm install -g @angular/cli left-pad@1.3 && npm cache clean --force", &["unpinned-package"]),
        ("RUN yarn global add serve@14", &["caches-in-template"]),
        ("RUN go install example.com/tool@latest", &["unpinned-package"]),
        ("RUN go install example.com/tool@v1.2.3", &[]),
        ("RUN pip list", &[]),
    ];
    let mut failures = String::new();
    for (line, wanted) in cases {
        let text = format!("FROM Debian AS web\nOUTPUT TEMPLATE web-image\n{line}\n");
        let (found, sources) = linted(&text, &config);
        if found.iter().map(|d| d.code.name).collect::<Vec<_>>() != *wanted {
            failures.push_str(&format!("--- {line}\n{}", said(&found, &sources)));
        }
    }
    assert_eq!(failures, "");
}

/// Files that must raise nothing, and others that must raise exactly something, beyond the examples.
#[test]
fn near_misses() {
    let cases: &[(&str, &[&str])] = &[
        ("RUN apt-get install -qy nginx", &["debconf-asks"]),
        ("RUN DEBIAN_FRONTEND=noninteractive apt-get -qq install nginx", &[]),
        ("RUN --env=DEBIAN_FRONTEND=noninteractive apt-get install -y nginx", &[]),
        ("RUN [\"yum\", \"install\", \"nginx\"]", &["package-manager-asks"]),
        ("RUN yes | yum install nginx", &[]),
        ("RUN echo vi top less", &[]),
        ("RUN su - app -c 'make install'", &[]),
        ("RUN sudo su", &["needs-terminal"]),
        ("RUN ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id", &[]),
        ("RUN top -b -n 1", &[]),
        ("RUN mysql -p wordpress", &["needs-terminal"]),
        ("RUN mysql -phunter2 wordpress", &["secret-in-plain-text"]),
        ("RUN echo 'root:hunter2' | chpasswd", &["secret-in-plain-text"]),
        ("RUN PASSWORD_FILE=/etc/x true", &[]),
        ("RUN systemctl restart nginx", &[]),
        ("RUN echo reboot later", &[]),
        ("RUN shutdown -c", &[]),
        ("RUN /opt/app/server >/dev/null 2>&1 &", &[]),
        ("RUN a & b & wait", &[]),
        ("RUN true && echo 'a & b'", &[]),
        ("RUN cd /srv && make", &[]),
        ("RUN (cd /srv && make)", &[]),
        ("RUN export A=1 && make", &[]),
        ("RUN chmod 1777 /var/tmp/shared", &[]),
        ("RUN curl -fsS https://example.com/ >/dev/null", &[]),
        ("RUN wget -qO- https://example.com/ | tar xz", &[]),
        ("RUN dnf upgrade -y -x open-vm-tools", &[]),
        ("ENV PATH=/usr/local/bin:/usr/bin:/bin", &[]),
        ("RUN apt-mark hold open-vm-tools && DEBIAN_FRONTEND=noninteractive apt-get upgrade -y", &[]),
        ("WORKDIR /srv\nWORKDIR app", &[]),
        ("SHELL python3\nRUN reboot", &[]),
        ("COPY <<EOF app.conf\na\nEOF", &["relative-destination"]),
        ("WORKDIR /srv\nCOPY <<EOF app.conf\na\nEOF", &[]),
        ("COPY <<EOF C:\\app.conf\na\nEOF", &[]),
    ];
    let mut failures = String::new();
    for (line, wanted) in cases {
        let (found, sources) = linted(&format!("FROM Debian AS web\n{line}\n"), &Config::default());
        if found.iter().map(|d| d.code.name).collect::<Vec<_>>() != *wanted {
            failures.push_str(&format!("--- {line}\n{}", said(&found, &sources)));
        }
    }
    assert_eq!(failures, "");
}

/// Who writes a name in another language's way is told so; that it would be unused is no news.
#[test]
fn a_name_that_is_written_wrongly_is_used() {
    let lines =
        ["USER $size", "USER ${size:-x}", "WORKDIR /srv/{{ .size }}", "RUNN echo ${{ size }}", "USER ${{ sise }}"];
    for line in lines {
        let (found, sources) = linted(&format!("ARG size = \"x\"\nFROM Debian AS web\n{line}\n"), &Config::default());
        assert!(found.iter().all(|d| d.code.name != "unused-arg"), "{}", said(&found, &sources));
    }
    // Neither an unknown name that is far from it nor one that is another's is meant for it.
    for line in ["USER ${{ elsewhere }}", "KEY sise FROM RUN x\nRUN echo ${{ sise }} ${{ elsewhere }}"] {
        let (found, sources) = linted(&format!("ARG size = \"x\"\nFROM Debian AS web\n{line}\n"), &Config::default());
        assert!(found.iter().any(|d| d.code.name == "unused-arg"), "{}", said(&found, &sources));
    }
}

/// Whose braces are ours, and whose aren't.
#[test]
fn braces_of_other_tools_are_left_alone() {
    let places = |text: &str| -> Vec<String> {
        let (found, sources) = linted(text, &Config::default());
        let ours = found.iter().filter(|d| d.code.name == "braces-without-dollar");
        ours.map(|d| sources.slice(d.primary.as_ref().expect("a place").span).to_owned()).collect()
    };
    let head = "ARG port: int = 80\nARG names = \"x\"\nSECRET pw\nFROM Debian AS db\nOUTPUT VM db\nKEY token FROM RUN cat /t\n\
                FROM Debian AS web FOR i IN 1..2\nOUTPUT VM web${{ i }}\n";
    for (line, wanted) in [
        ("RUN echo {{ port }} '{{names}}' {{ i }} {{ pw }}\n", &["{{ port }}", "{{names}}", "{{ i }}", "{{ pw }}"][..]),
        ("RUN echo {{ db.token }} {{ db.ip }} $${{ port }} ${{ port }}\n", &["{{ db.token }}", "{{ db.ip }}"]),
        ("RUN [\"echo\", \"{{ port }}\"]\n", &["{{ port }}"]),
        ("RUN <<EOF\necho '{{ port }}'\nEOF\n", &["{{ port }}"]),
        ("COPY <<EOF /x\nlisten {{ port }}\nEOF\n", &["{{ port }}"]),
        // A Go template, Jinja, mustache, what isn't declared, what takes nothing.
        ("RUN docker ps --format '{{.Names}} {{ .port }} {{json .}}'\n", &[]),
        ("COPY <<EOF /x\n{% if port %}listen {{ port }}{% endif %}\nEOF\n", &[]),
        ("COPY <<EOF /x\nlisten {{ port }} {{ server_name }}\nEOF\n", &[]),
        ("RUN echo {{{ port }}} {{ port | upper }} {{ token }} {{ web.token }}\n", &[]),
        ("RUN <<'EOF'\necho {{ port }}\nEOF\n", &[]),
        ("RUN echo {{ port\n", &[]),
    ] {
        assert_eq!(places(&format!("{head}{line}")), wanted, "{line}");
    }
}
