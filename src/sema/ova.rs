//! `FROM ova:FILE|URL`: where the file is, and what is said beside it. Most of that may be said beside `library:` too.

use super::check::Checker;
use super::codes;
use super::context::inside;
use super::instruction::flag_usage;
use super::names_scope::{Moment, Place};
use super::program::{Disks, LIBRARY, MachineId, OVA, Origin, Ova};
use super::text::check_static_text;
use crate::diagnostic::{Diagnostic, Problems};
use crate::source::Span;
use crate::syntax::ast::Instruction;

/// The flags that mean something for an OVA only.
const FLAGS: &[&str] = &["property", "configuration", "disks", "accept-eula"];

/// Where an OVA is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OvaPlace {
    /// A file below the context.
    File(std::path::PathBuf),
    /// On a web server.
    Web(String),
}

/// The place of `ova:FILE|URL`; None: it is none.
pub fn ova_place(name: &str) -> Option<OvaPlace> {
    let place = name.strip_prefix(OVA)?;
    if is_url(place) {
        return Some(OvaPlace::Web(place.to_owned()));
    }
    inside(place).filter(|path| !path.as_os_str().is_empty()).map(OvaPlace::File)
}

fn is_url(place: &str) -> bool {
    let place = place.to_ascii_lowercase();
    place.starts_with("https://") || place.starts_with("http://")
}

/// What can't be a source.
pub(super) fn source(name: &str, from: &Instruction, span: Span, problems: &mut Problems) -> Option<()> {
    let place = name.strip_prefix(OVA).unwrap_or_default();
    let path = place.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    let wrong = if place.trim().is_empty() {
        Some((
            "this FROM names no file",
            "as in `FROM ova:images/debian.ova`, or `FROM ova:https://example.com/debian.ova`",
        ))
    } else if is_url(place) {
        match place.split('/').nth(2) {
            Some(host) if host.contains('@') => Some((
                "the URL has a user or a password in it, which anybody could read",
                "offer the file without a login",
            )),
            _ if path.ends_with(".ovf") => {
                Some(("a descriptor alone can't be fetched from the web", "offer an OVA, which has the disks in it"))
            }
            _ => None,
        }
    } else if place.contains("://") {
        Some(("an OVA is fetched by http or https", "or write the path of a file"))
    } else if inside(place).is_none() {
        Some((
            "the file is not below the context",
            "put it there, or choose another context: `vmwbuild build DIRECTORY`",
        ))
    } else if !path.ends_with(".ova") && !path.ends_with(".ovf") {
        Some(("this is no OVA by its name", "name a file that ends in `.ova`, or in `.ovf` with its disks beside it"))
    } else {
        None
    };
    if let Some((message, help)) = wrong {
        problems.push(Diagnostic::at(&codes::BAD_ARGUMENT, span, message).help(help));
        return None;
    }
    for flag in from.flags.iter().filter(|f| matches!(f.name.node.as_str(), "linked" | "snapshot")) {
        problems.push(
            Diagnostic::at(
                &codes::BAD_ARGUMENT,
                flag.span,
                format!("an OVA is imported, not cloned: `--{}` can't be", flag.name.node),
            )
            .help("leave it out; a stage of its own may be cloned from by `--linked`"),
        );
    }
    Some(())
}

impl Checker<'_> {
    /// The flags of a FROM of an OVA, or of an item of a library.
    pub(super) fn ova(
        &self,
        id: MachineId,
        from: &Instruction,
        origin: Option<&Origin>,
        problems: &mut Problems,
    ) -> Ova {
        let is_one = matches!(origin, Some(Origin::Inventory { name, .. }) if name.starts_with(OVA));
        // A source that isn't known, or wrong, may be one.
        let unknown = origin.is_none() || matches!(origin, Some(Origin::Inventory { name, .. }) if name.is_empty());
        let library = matches!(origin, Some(Origin::Inventory { name, .. }) if name.starts_with(LIBRARY));
        if !is_one {
            for flag in from.flags.iter().filter(|f| !unknown && FLAGS.contains(&f.name.node.as_str())) {
                let also = match flag.name.node.as_str() {
                    "disks" => "",
                    _ if library => continue,
                    _ => " and `FROM library:`",
                };
                let text = format!("`--{}` means something for `FROM ova:`{also} only", flag.name.node);
                problems.push(Diagnostic::at(&codes::FLAG_WITHOUT_EFFECT, flag.span, text).help("leave it out"));
            }
            if !library {
                return Ova::default();
            }
        }
        let place = Place::Stage { machine: id, line: 0, moment: Moment::Before("a flag of a FROM") };
        let mut ova = Ova {
            configuration: self.flag_text(from, "configuration", "the configuration of an OVA", place, problems),
            accepts: from.flag("accept-eula").is_some(),
            disks: match self.flag_word(from, "disks", place, problems).as_deref() {
                Some("thin") if is_one => Some(Disks::Thin),
                Some("thick") if is_one => Some(Disks::Thick),
                Some("eager") if is_one => Some(Disks::Eager),
                _ => None,
            },
            properties: Vec::new(),
        };
        for flag in from.flags.iter().filter(|f| f.name.node == "property") {
            let Some(text) = &flag.value else { continue };
            let value = check_static_text(text, flag_usage("a property of an OVA"), &self.view(place), problems);
            let Some(value) = value.and_then(super::text::Known::value) else { continue };
            let wrong = match value.split_once('=') {
                Some((key, _)) if key.trim().is_empty() => Some("this property has no name".to_owned()),
                Some((key, _)) if ova.properties.iter().any(|(other, ..)| other == key) => {
                    Some(format!("the property `{key}` is given twice"))
                }
                Some((key, value)) => {
                    ova.properties.push((key.to_owned(), value.to_owned(), flag.span));
                    None
                }
                None => Some(format!("`{value}` gives no property a value")),
            };
            if let Some(message) = wrong {
                problems.push(
                    Diagnostic::at(&codes::BAD_ARGUMENT, text.span, message)
                        .help("write `--property=KEY=VALUE`, each once, as in `--property=hostname=web`"),
                );
            }
        }
        ova
    }
}
