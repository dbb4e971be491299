//! What the logs of CI systems understand: groups that fold.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where a build's log is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Ci {
    /// Nowhere in particular.
    #[default]
    None,
    /// GitHub Actions: workflow commands.
    Github,
    /// GitLab: sections.
    Gitlab,
}

impl Ci {
    /// The line that begins a group.
    pub(super) fn begin(self, name: &str, title: &str, at: Duration, began: SystemTime) -> Option<String> {
        match self {
            Ci::None => None,
            Ci::Github => Some(format!("::group::{}", title.replace('%', "%25"))),
            Ci::Gitlab => {
                let time = unix(at, began);
                Some(format!("\x1b[0Ksection_start:{time}:{name}[collapsed=true]\r\x1b[0K{title}"))
            }
        }
    }

    /// The line that ends it.
    pub(super) fn end(self, name: &str, at: Duration, began: SystemTime) -> Option<String> {
        match self {
            Ci::None => None,
            Ci::Github => Some("::endgroup::".to_owned()),
            Ci::Gitlab => Some(format!("\x1b[0Ksection_end:{}:{name}\r\x1b[0K", unix(at, began))),
        }
    }

    /// A line that others have a say in: it must not command the CI system. Ours begin with a time, so a command at a
    /// line's beginning (`::error::`) is none; GitHub obeys its old form anywhere in a line. GitLab's need control
    /// characters, which no line of ours has.
    pub fn tame(self, line: &str) -> String {
        match self {
            Ci::Github => {
                let line = line.replace("##[", "## [");
                // Blanks before it don't matter to GitHub.
                if line.trim_start().starts_with("::") { line.replacen("::", ": :", 1) } else { line }
            }
            Ci::None | Ci::Gitlab => line.to_owned(),
        }
    }
}

fn unix(at: Duration, began: SystemTime) -> u64 {
    (began + at).duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}
