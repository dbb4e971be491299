//! Settings from flags and variables: our own first, then the peers' in their order. Each remembers where it
//! came from, for `-v`.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;

use super::args;
use super::codes;
use super::project::Defaults;
use super::vcenter::{Book, Saved};
use crate::diagnostic::Diagnostic;
use crate::engine::{GuestLogin, LoginDefaults};
use crate::plan::PlacementDefaults;
use crate::syntax::Keyword;

/// The environment, as a function so that tests can give their own.
pub(crate) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A value and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct From<T> {
    pub(crate) value: T,
    pub(crate) origin: String,
}

/// How to reach vCenter.
pub(crate) struct Connection {
    /// The name of the saved connection that it is.
    pub(crate) saved: Option<String>,
    pub(crate) url: From<String>,
    pub(crate) username: Option<From<String>>,
    pub(crate) password: Option<From<String>>,
    pub(crate) insecure: Option<From<bool>>,
    pub(crate) thumbprint: Option<From<String>>,
    pub(crate) ca: Option<From<PathBuf>>,
}

impl Connection {
    /// Lines for `-v`; the password's origin only, and no user information of the URL.
    pub(crate) fn origins(&self) -> Vec<String> {
        let mut lines = vec![format!("vcenter {} (from {})", without_userinfo(&self.url.value), self.url.origin)];
        if let Some(user) = &self.username {
            lines.push(format!("username {} (from {})", user.value, user.origin));
        }
        if let Some(password) = &self.password {
            lines.push(format!("password (from {})", password.origin));
        }
        if let Some(insecure) = &self.insecure {
            lines.push(format!("insecure {} (from {})", insecure.value, insecure.origin));
        }
        if let Some(thumbprint) = &self.thumbprint {
            lines.push(format!("thumbprint {} (from {})", thumbprint.value, thumbprint.origin));
        }
        if let Some(ca) = &self.ca {
            lines.push(format!("ca {} (from {})", ca.value.display(), ca.origin));
        }
        lines
    }
}

/// A URL as it may be shown.
pub(crate) fn without_userinfo(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(s, r)| (s, r));
    // Users and passwords with `@` or `/` in them happen, unescaped: the last `@` is what counts.
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    if scheme.is_empty() { host.to_owned() } else { format!("{scheme}://{host}") }
}

fn variable(env: Env<'_>, names: &[&str]) -> Option<From<String>> {
    names.iter().find_map(|name| {
        let value = env(name)?;
        (!value.is_empty()).then(|| From { value, origin: (*name).to_owned() })
    })
}

fn flag(value: &Option<String>, name: &str) -> Option<From<String>> {
    value.as_ref().map(|v| From { value: v.clone(), origin: format!("--{name}") })
}

fn is_true(text: &str) -> bool {
    matches!(text.to_ascii_lowercase().as_str(), "1" | "true" | "t" | "yes" | "on")
}

/// The first line of a file that holds one secret; one trailing line end is taken off.
pub(crate) fn read_secret(path: &Path, what: &str) -> Result<String, Diagnostic> {
    let text = crate::source::read_file_text(path).map_err(|e| {
        Diagnostic::new(&codes::SECRET_UNREADABLE, format!("can't read {what} from `{}`: {e}", path.display()))
            .help("check the path and its permissions")
    })?;
    let trimmed = text.strip_suffix('\n').map_or(text.as_str(), |t| t.strip_suffix('\r').unwrap_or(t));
    Ok(trimmed.to_owned())
}

/// Which vCenter, and the saved connection if it is called by the name of one. The order: the flag, our own variable,
/// profile or project, the peers' variables, the connection that `vmwbuild vcenter use` has chosen.
fn vcenter<'a>(
    flags: &args::Connection,
    env: Env<'_>,
    defaults: &Defaults,
    book: &'a Book,
) -> Option<(From<String>, Option<&'a Saved>)> {
    let named = flag(&flags.vcenter, "vcenter")
        .or_else(|| variable(env, &["VMWBUILD_VCENTER"]))
        .or_else(|| defaults.vcenter.clone())
        .or_else(|| variable(env, &["GOVC_URL", "VSPHERE_SERVER", "INFRAKIT_VSPHERE_VCURL"]))
        .or_else(|| book.used().map(|value| From { value, origin: "`vmwbuild vcenter use`".to_owned() }))?;
    let Some(saved) = book.get(&named.value) else { return Some((named, None)) };
    let origin = format!("connection `{}`, named by {}", named.value, named.origin);
    Some((From { value: saved.url.clone(), origin }, Some(saved)))
}

/// Finds the connection. The password is not asked for here.
pub(crate) fn connection(
    flags: &args::Connection,
    env: Env<'_>,
    defaults: &Defaults,
    book: &Book,
) -> Result<Connection, Diagnostic> {
    let (url, saved) = vcenter(flags, env, defaults, book).ok_or_else(|| {
        Diagnostic::new(&codes::NO_VCENTER, "no vCenter is named").help(
            "give `--vcenter https://vcenter.example.com`, set VMWBUILD_VCENTER (GOVC_URL and VSPHERE_SERVER are read \
             too), or save one by `vmwbuild vcenter add`; `build --sandbox` works without any vCenter",
        )
    })?;
    let of_saved = |value: Option<&String>| {
        let name = saved.map(|s| s.name.as_str()).unwrap_or_default();
        value.map(|v| From { value: v.clone(), origin: format!("connection `{name}`") })
    };
    // A saved connection is one whole: variables that were exported for another server have no part in it.
    let environment = |names: &[&str]| if saved.is_some() { None } else { variable(env, names) };
    let username = flag(&flags.username, "username")
        .or_else(|| of_saved(saved.and_then(|s| s.username.as_ref())))
        .or_else(|| environment(&["VMWBUILD_USERNAME", "GOVC_USERNAME", "VSPHERE_USER"]));
    let username = username.map(|u| secret_or_path(u, "GOVC_USERNAME")).transpose()?;
    let password = match (&flags.password_file, saved) {
        (Some(path), _) => Some(From { value: read_secret(path, "the password")?, origin: "--password-file".into() }),
        (None, Some(saved)) => saved.password(env)?,
        (None, None) => match variable(env, &["VMWBUILD_PASSWORD_FILE"]) {
            Some(file) => {
                Some(From { value: read_secret(Path::new(&file.value), "the password")?, origin: file.origin })
            }
            None => variable(env, &["VMWBUILD_PASSWORD", "GOVC_PASSWORD", "VSPHERE_PASSWORD"])
                .map(|p| secret_or_path(p, "GOVC_PASSWORD"))
                .transpose()?,
        },
    };
    let insecure = if flags.insecure {
        Some(From { value: true, origin: "--insecure".into() })
    } else {
        environment(&["VMWBUILD_INSECURE", "GOVC_INSECURE", "VSPHERE_ALLOW_UNVERIFIED_SSL"])
            .map(|v| From { value: is_true(&v.value), origin: v.origin })
    };
    let mut thumbprint = flag(&flags.thumbprint, "thumbprint")
        .or_else(|| of_saved(saved.and_then(|s| s.thumbprint.as_ref())))
        .or_else(|| environment(&["VMWBUILD_THUMBPRINT"]));
    if thumbprint.is_none()
        && let Some(known) = environment(&["GOVC_TLS_KNOWN_HOSTS"])
    {
        thumbprint = known_host(&known.value, &url.value).map(|value| From { value, origin: known.origin });
    }
    let ca = match &flags.ca {
        Some(path) => Some(From { value: path.clone(), origin: "--ca".into() }),
        None => of_saved(saved.and_then(|s| s.ca.as_ref()))
            .or_else(|| environment(&["VMWBUILD_CA", "GOVC_TLS_CA_CERTS"]))
            .map(|v| From { value: PathBuf::from(v.value), origin: v.origin }),
    };
    let password = match password {
        // Named by its address, and nothing gives a password: a saved connection with that account may.
        None if saved.is_none() => {
            let of = |s: &&Saved| without_userinfo(&s.url) == without_userinfo(&url.value);
            let account = |s: &&Saved| username.as_ref().is_none_or(|u| s.username.as_ref() == Some(&u.value));
            book.all().find(|s| of(s) && account(s)).map(|s| s.password(env)).transpose()?.flatten()
        }
        given => given,
    };
    let saved = saved.map(|s| s.name.clone());
    Ok(Connection { saved, url, username, password, insecure, thumbprint, ca })
}

/// govc lets these variables name a file instead of holding the value.
fn secret_or_path(setting: From<String>, which: &str) -> Result<From<String>, Diagnostic> {
    if setting.origin == which && Path::new(&setting.value).is_file() {
        let value = read_secret(Path::new(&setting.value), which)?;
        return Ok(From { value, origin: format!("the file that {which} names") });
    }
    Ok(setting)
}

/// govc's known-hosts file: `host thumbprint` a line, several files separated by `:`.
fn known_host(files: &str, url: &str) -> Option<String> {
    let address = without_userinfo(url);
    let address = address.split_once("://").map_or(address.as_str(), |(_, rest)| rest);
    let address = address.split('/').next().unwrap_or_default();
    let with_port = if address.contains(':') { address.to_owned() } else { format!("{address}:443") };
    files.split(':').filter_map(|file| std::fs::read_to_string(file).ok()).find_map(|text| {
        text.lines().find_map(|line| {
            let (host, print) = line.split_once(char::is_whitespace)?;
            (host == address || host == with_port).then(|| print.trim().to_owned())
        })
    })
}

/// Placement from flags, the profile and the project, and variables.
pub(crate) fn placement(flags: &args::Placement, env: Env<'_>, defaults: &Defaults) -> PlacementDefaults {
    type Row<'a> = (Keyword, &'a Option<String>, &'a [&'a str]);
    let rows: [Row<'_>; 7] = [
        (
            Keyword::Datacenter,
            &flags.datacenter,
            &["VMWBUILD_DATACENTER", "GOVC_DATACENTER", "INFRAKIT_VSPHERE_VCDATACENTER"],
        ),
        (Keyword::Cluster, &flags.cluster, &["VMWBUILD_CLUSTER", "GOVC_CLUSTER"]),
        (Keyword::Host, &flags.host, &["VMWBUILD_HOST", "GOVC_HOST", "INFRAKIT_VSPHERE_VCHOST"]),
        (Keyword::Pool, &flags.pool, &["VMWBUILD_POOL", "GOVC_RESOURCE_POOL"]),
        (
            Keyword::Datastore,
            &flags.datastore,
            &["VMWBUILD_DATASTORE", "GOVC_DATASTORE", "INFRAKIT_VSPHERE_VCDATASTORE"],
        ),
        (Keyword::Folder, &flags.folder, &["VMWBUILD_FOLDER", "GOVC_FOLDER"]),
        (Keyword::Network, &flags.network, &["VMWBUILD_NETWORK", "GOVC_NETWORK", "INFRAKIT_VSPHERE_VCNETWORK"]),
    ];
    let (mut command_line, mut environment) = (IndexMap::new(), IndexMap::new());
    for (keyword, given, names) in rows {
        if let Some(value) = given.as_ref().or_else(|| defaults.chosen.get(&keyword)) {
            command_line.insert(keyword, value.clone());
        }
        let (own, peers) = names.split_at(1);
        let found = variable(env, own).map(|v| v.value);
        let found = found.or_else(|| defaults.placement.get(&keyword).cloned());
        if let Some(found) = found.or_else(|| variable(env, peers).map(|v| v.value)) {
            environment.insert(keyword, found);
        }
    }
    PlacementDefaults { command_line, environment }
}

/// The guest account from flags and variables.
pub(crate) fn login(flags: &args::GuestLogin, env: Env<'_>) -> Result<LoginDefaults, Diagnostic> {
    let command_line = match &flags.login {
        // It isn't repeated: what stands behind the colon is a password.
        Some(user) if user.contains(':') => {
            let text = "`--login` takes a user's name alone, without a password behind a colon";
            let help = "whoever is on this machine sees what stands in a command line: give the password by \
                        `--login-password-file FILE`, or both by `VMWBUILD_LOGIN=user:password`";
            return Err(Diagnostic::new(&codes::BAD_ARGUMENT, text).help(help));
        }
        Some(user) => {
            let password = match (&flags.login_password_file, env("VMWBUILD_LOGIN_PASSWORD_FILE")) {
                (Some(path), _) => Some(read_secret(path, "the guest password")?),
                (None, Some(path)) => Some(read_secret(Path::new(&path), "the guest password")?),
                (None, None) => None,
            };
            Some(GuestLogin { user: user.clone(), password })
        }
        None => None,
    };
    let environment = match variable(env, &["VMWBUILD_LOGIN", "GOVC_GUEST_LOGIN"]) {
        Some(both) => Some(match both.value.split_once(':') {
            Some((user, password)) => GuestLogin { user: user.to_owned(), password: Some(password.to_owned()) },
            None => GuestLogin { user: both.value, password: None },
        }),
        None => variable(env, &["INFRAKIT_VSPHERE_VMUSER"])
            .map(|user| GuestLogin { user: user.value, password: env("INFRAKIT_VSPHERE_VMPASS") }),
    };
    Ok(LoginDefaults { command_line, environment })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        move |name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
    }

    fn connect(flags: &args::Connection, env: Env<'_>) -> Result<Connection, Diagnostic> {
        connection(flags, env, &Defaults::default(), &Book::default())
    }

    #[test]
    fn our_own_variables_stand_before_the_peers() {
        let env = with(&[("GOVC_URL", "g"), ("VSPHERE_SERVER", "t"), ("INFRAKIT_VSPHERE_VCURL", "i")]);
        let got = connect(&args::Connection::default(), &env).map(|c| c.url);
        assert_eq!(got.ok(), Some(From { value: "g".into(), origin: "GOVC_URL".into() }));
        let env = with(&[("GOVC_URL", "g"), ("VMWBUILD_VCENTER", "v"), ("GOVC_INSECURE", "1")]);
        let flags = args::Connection { vcenter: Some("f".into()), ..Default::default() };
        let got = connect(&flags, &env).ok();
        assert_eq!(got.as_ref().map(|c| c.url.origin.as_str()), Some("--vcenter"));
        assert_eq!(got.and_then(|c| c.insecure).map(|i| i.value), Some(true));
    }

    #[test]
    fn a_url_is_shown_without_its_password() {
        assert_eq!(without_userinfo("https://u@vsphere.local:p@ss@vc.example/sdk"), "https://vc.example/sdk");
        assert_eq!(without_userinfo("vc.example"), "vc.example");
        assert_eq!(without_userinfo("u:p/w@vc"), "vc");
    }

    #[test]
    fn a_missing_vcenter_says_what_to_do() {
        let error = connect(&args::Connection::default(), &with(&[])).err();
        assert_eq!(error.map(|d| d.code.name), Some("no-vcenter"));
    }

    #[test]
    fn a_password_in_a_flag_is_refused_and_not_repeated() {
        let flags = args::GuestLogin { login: Some("root:s3cret".into()), login_password_file: None };
        let refused = login(&flags, &with(&[])).expect_err("a password");
        assert_eq!(refused.code.name, "bad-flag-value");
        assert!(!format!("{refused:?}").contains("s3cret"), "{refused:?}");
    }

    #[test]
    fn the_guest_account_comes_from_the_peers_too() {
        let env = with(&[("INFRAKIT_VSPHERE_VMUSER", "root"), ("INFRAKIT_VSPHERE_VMPASS", "pw")]);
        let got = login(&args::GuestLogin::default(), &env).ok().and_then(|l| l.environment);
        assert_eq!(got, Some(GuestLogin { user: "root".into(), password: Some("pw".into()) }));
        let env = with(&[("GOVC_GUEST_LOGIN", "a:b:c")]);
        let got = login(&args::GuestLogin::default(), &env).ok().and_then(|l| l.environment);
        assert_eq!(got, Some(GuestLogin { user: "a".into(), password: Some("b:c".into()) }));
    }
}
