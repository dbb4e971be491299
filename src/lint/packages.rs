//! Package managers.

use super::commands::Ran;

/// Which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Apt,
    Yum,
    Zypper,
    Pacman,
    Apk,
}

/// A package manager's call.
pub(super) struct Call<'a> {
    pub kind: Kind,
    /// `install`, `upgrade`; pacman's operation.
    pub verb: &'a str,
    /// The index of the verb among the arguments.
    pub at: usize,
    /// What it is done to, with their indices among the arguments.
    pub packages: Vec<(usize, &'a str)>,
}

/// Options whose argument is a word of its own.
const WITH_ARGUMENT: &[&str] = &[
    "-c",
    "-o",
    "-t",
    "-x",
    "-d",
    "-e",
    "-r",
    "-R",
    "--repo",
    "--enablerepo",
    "--disablerepo",
    "--exclude",
    "--option",
];

/// What a command does to packages.
pub(super) fn call<'a>(ran: &'a Ran<'_>) -> Option<Call<'a>> {
    let kind = match &*ran.name {
        "apt-get" | "apt" | "aptitude" => Kind::Apt,
        "yum" | "dnf" | "dnf5" | "microdnf" | "tdnf" => Kind::Yum,
        "zypper" => Kind::Zypper,
        "pacman" => Kind::Pacman,
        "apk" => Kind::Apk,
        _ => return None,
    };
    let mut verb = None;
    let mut packages = Vec::new();
    let mut skip = false;
    for (index, arg) in ran.args.iter().enumerate() {
        if std::mem::take(&mut skip) {
            continue;
        }
        let option = arg.starts_with('-');
        if kind == Kind::Pacman && option && !arg.starts_with("--") && verb.is_none() {
            verb = Some((index, &**arg));
        } else if option {
            // `-y` of zypper's `-y install` and the like stands alone; `-qy` too.
            skip = kind != Kind::Pacman && WITH_ARGUMENT.contains(&&**arg);
        } else if verb.is_none() {
            verb = Some((index, &**arg));
        } else {
            packages.push((index, &**arg));
        }
    }
    let (at, verb) = verb?;
    Some(Call { kind, verb, at, packages })
}

impl Call<'_> {
    /// Whether it installs what is named.
    pub fn installs(&self) -> bool {
        match self.kind {
            Kind::Apk => self.verb == "add",
            Kind::Pacman => self.verb.starts_with("-S") && !self.packages.is_empty(),
            Kind::Zypper => matches!(self.verb, "install" | "in"),
            Kind::Apt | Kind::Yum => matches!(self.verb, "install" | "reinstall" | "localinstall" | "groupinstall"),
        }
    }

    /// Whether it upgrades everything there is.
    pub fn upgrades_all(&self) -> bool {
        self.packages.is_empty()
            && match self.kind {
                Kind::Apt => matches!(self.verb, "upgrade" | "dist-upgrade" | "full-upgrade" | "safe-upgrade"),
                Kind::Yum => matches!(self.verb, "upgrade" | "update" | "distro-sync" | "upgrade-minimal"),
                Kind::Zypper => matches!(self.verb, "update" | "up" | "dup" | "dist-upgrade" | "patch"),
                Kind::Pacman => self.verb.starts_with("-S") && self.verb.contains('u'),
                Kind::Apk => self.verb == "upgrade",
            }
    }

    /// Whether it takes packages away.
    pub fn removes(&self) -> bool {
        match self.kind {
            Kind::Apt => matches!(self.verb, "remove" | "purge" | "autoremove"),
            Kind::Yum => matches!(self.verb, "remove" | "erase" | "autoremove"),
            Kind::Zypper => matches!(self.verb, "remove" | "rm"),
            Kind::Pacman => self.verb.starts_with("-R"),
            Kind::Apk => self.verb == "del",
        }
    }
}

/// A package manager of a programming language.
pub(super) struct Language {
    names: &'static [&'static str],
    verbs: &'static [&'static str],
    /// What stands between a package and its version.
    version: &'static str,
    /// The option that keeps nothing of what is downloaded; empty where there is none.
    pub no_cache: &'static str,
    /// What removes what was kept; empty where it stays small.
    pub clean: &'static str,
}

const LANGUAGES: &[Language] = &[
    Language {
        names: &["pip", "pip3"],
        verbs: &["install"],
        version: "==",
        no_cache: "--no-cache-dir",
        clean: "pip cache purge",
    },
    Language { names: &["gem"], verbs: &["install"], version: ":", no_cache: "", clean: "" },
    Language {
        names: &["npm"],
        verbs: &["install", "i"],
        version: "@",
        no_cache: "",
        clean: "npm cache clean --force",
    },
    Language {
        names: &["yarn"],
        verbs: &["add", "install", "global"],
        version: "@",
        no_cache: "",
        clean: "yarn cache clean",
    },
    Language { names: &["go"], verbs: &["install"], version: "@", no_cache: "", clean: "" },
];

/// Options of theirs whose argument is a word of its own.
const LANGUAGE_ARGUMENT: &[&str] = &[
    "-r",
    "--requirement",
    "-c",
    "--constraint",
    "-i",
    "--index-url",
    "--extra-index-url",
    "-t",
    "--target",
    "--prefix",
];

/// The package manager of a language that a command is, and what it installs, with their indices among the arguments.
pub(super) fn language<'a>(ran: &'a Ran<'_>) -> Option<(&'static Language, Vec<(usize, &'a str)>)> {
    let language = LANGUAGES.iter().find(|l| ran.is(l.names))?;
    let mut words = Vec::new();
    let mut skip = false;
    for (index, arg) in ran.args.iter().enumerate() {
        if !std::mem::take(&mut skip) {
            skip = LANGUAGE_ARGUMENT.contains(&&**arg);
            if !arg.starts_with('-') {
                words.push((index, &**arg));
            }
        }
    }
    let (_, verb) = words.first()?;
    if !language.verbs.contains(verb) {
        return None;
    }
    let packages = words.into_iter().skip(1).filter(|(_, w)| *w != "add").collect();
    Some((language, packages))
}

impl Language {
    /// Whether a command removes what it has kept.
    pub fn cleans(&self, ran: &Ran<'_>) -> bool {
        ran.is(self.names) && ran.operands().next().is_some_and(|(_, verb)| verb == "cache")
            || ran.name == "rm" && ran.args.iter().any(|a| a.contains(".cache") || a.contains(".npm"))
    }

    /// Whether a version stands with the package, or it is none by name: a file, a directory, an address.
    pub fn pins(&self, ran: &Ran<'_>, package: &str) -> bool {
        if self.version == "@" && package.ends_with("@latest") {
            return false;
        }
        // `@scope/name` has its `@` first.
        let named = package.get(1..).unwrap_or_default();
        let elsewhere = package.starts_with(['.', '/', '~']) || package.contains("://") || package.ends_with(".whl");
        named.contains(self.version)
            || self.version == "==" && named.contains(['<', '>', '~', '='])
            || self.version == ":" && ran.has(&["-v", "--version"])
            || elsewhere
    }
}
