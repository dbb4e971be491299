//! Downloads left in a template.

use crate::lint::rule::*;

/// `caches-in-template`.
pub static CODE: Code = Code {
    number: 368,
    name: "caches-in-template",
    severity: Severity::Advice,
    about: "The stage leaves a template, and what the package manager downloaded stays in it: every clone \
            carries it, and it is out of date by then. Clean up in a last step: `apt-get clean`, `yum clean \
            all`, `dnf clean all`, `zypper clean --all`.",
    wrong: concat!("FROM Centos AS web\n", "OUTPUT TEMPLATE web-image\n", "RUN yum install -y nginx\n",),
    right: concat!(
        "FROM Centos AS web\n",
        "OUTPUT TEMPLATE web-image\n",
        "RUN yum install -y nginx\n",
        "RUN yum clean all\n",
    ),
};

pub(super) static RULE: Rule = Rule::new(&CODE, check);

fn check(cx: &Cx<'_>, out: &mut Problems) {
    for (index, _) in cx.stages.iter().enumerate().filter(|(_, s)| s.leaves_template()) {
        let mut last: Option<(&Ran<'_>, packages::Kind)> = None;
        for ran in cx.ran_in(index) {
            if cleans(ran) {
                last = None;
            } else if let Some(call) = packages::call(ran)
                && (call.installs() || call.upgrades_all())
                && !ran.has(&["--no-cache"])
            {
                last = Some((ran, call.kind));
            }
        }
        languages(cx, index, out);
        let Some((ran, kind)) = last else { continue };
        let command = match kind {
            packages::Kind::Apt => "apt-get clean",
            packages::Kind::Yum if ran.name == "yum" => "yum clean all",
            packages::Kind::Yum => "dnf clean all",
            packages::Kind::Zypper => "zypper clean --all",
            packages::Kind::Pacman => "pacman -Scc --noconfirm",
            packages::Kind::Apk => "rm -rf /var/cache/apk/*",
        };
        let found = Diagnostic::at(&CODE, ran.span(), "what was downloaded stays in the template");
        out.push(found.help(format!("add `RUN {command}` as a last step")));
    }
}

/// What package managers of programming languages keep, the last of each.
fn languages(cx: &Cx<'_>, stage: usize, out: &mut Problems) {
    let mut kept: Vec<(&Ran<'_>, &packages::Language)> = Vec::new();
    for ran in cx.ran_in(stage) {
        kept.retain(|(_, language)| !language.cleans(ran));
        let Some((language, _)) = packages::language(ran).filter(|(l, _)| !l.clean.is_empty()) else { continue };
        let none =
            !language.no_cache.is_empty() && (ran.has(&[language.no_cache]) || ran.shell.has_env("PIP_NO_CACHE_DIR"));
        if !none {
            kept.retain(|(_, other)| other.clean != language.clean);
            kept.push((ran, language));
        }
    }
    for (ran, language) in kept {
        let option = match language.no_cache {
            "" => String::new(),
            option => format!(", or give it `{option}`"),
        };
        let found = Diagnostic::at(&CODE, ran.span(), "what was downloaded stays in the template");
        out.push(found.help(format!("add `RUN {}` as a last step{option}", language.clean)));
    }
}

fn cleans(ran: &Ran<'_>) -> bool {
    packages::call(ran)
        .is_some_and(|c| matches!(c.verb, "clean" | "-Scc" | "-Sc" | "cache" | "autoclean" | "distclean"))
        || ran.name == "rm" && ran.args.iter().any(|a| a.starts_with("/var/cache/") || a.starts_with("/var/lib/apt"))
        || ran.is(&["cloud-init", "virt-sysprep"]) && ran.has(&["clean"])
}
