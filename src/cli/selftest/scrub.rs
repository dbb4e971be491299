//! Takes out of messages what tells whose they are, and keeps what a build depends on.
//!
//! A text is kept where it can only be a number, a date, a reference or a word of the API; every other one is replaced,
//! the same always by the same. So nothing has to be known as secret: what is not known as harmless goes.

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, Ipv6Addr};

use aho_corasick::AhoCorasick;

use crate::vsphere::wire::Element;

/// Elements whose text is a word of the API.
const WORDS: &[&str] = &[
    "type",
    "pathSet",
    "op",
    "kind",
    "state",
    "status",
    "version",
    "apiVersion",
    "apiType",
    "powerState",
    "connectionState",
    "toolsStatus",
    "toolsRunningStatus",
    "toolsVersionStatus",
    "toolsVersionStatus2",
    "guestFamily",
    "guestId",
    "guestState",
    "faultcode",
    "diskMoveType",
    "privId",
];

/// Elements whose text is of the build's own making: files in the guest, and what is started there. What they hold of
/// other names is replaced in a second pass.
const OURS: &[&str] = &[
    "path",
    "filePath",
    "guestFilePath",
    "programPath",
    "arguments",
    "workingDirectory",
    "matchPattern",
    "directoryPath",
    "prefix",
    "suffix",
    "parentDirectoryPath",
];

/// Properties whose text is a word of the API.
const PROPERTIES: &[&str] = &[
    "guest.guestFamily",
    "guest.guestId",
    "guest.guestState",
    "guest.toolsRunningStatus",
    "guest.toolsStatus",
    "guest.toolsVersion",
    "guest.toolsVersionStatus2",
    "config.guestId",
    "config.version",
];

/// What the server is, but for its identity.
const ABOUT: &[&str] = &["name", "fullName", "vendor", "build", "osType", "productLineId", "licenseProductName"];

/// Shorter texts aren't looked for within others.
const LEAST: usize = 4;

/// Remembers what was replaced by what.
#[derive(Default)]
pub(super) struct Scrubber {
    known: HashMap<String, String>,
    count: BTreeMap<&'static str, u32>,
}

impl Scrubber {
    /// The first pass.
    pub(super) fn scrub(&mut self, element: &mut Element) {
        let property = matches!(element.name.as_str(), "propSet" | "changeSet");
        let of = property.then(|| element.child_text("name").unwrap_or_default().to_owned());
        let about = element.name == "about" || element.xsi_type.as_deref() == Some("AboutInfo");
        for child in &mut element.children {
            let word = match (&of, child.name.as_str()) {
                (Some(_), "name") => true,
                (Some(of), "val") => PROPERTIES.contains(&of.as_str()),
                _ => about && ABOUT.contains(&child.name.as_str()),
            };
            if !word {
                self.text(child);
            }
            self.scrub(child);
        }
    }

    fn text(&mut self, element: &mut Element) {
        let Element { name, text, xsi_type, children, .. } = &*element;
        if text.is_empty() || harmless(text) {
            return;
        }
        // What a session has made is named after the session.
        let reference = element.attribute("type").is_some() && !text.contains('[');
        // An enumeration is the one typed value that has text and isn't XML Schema's own.
        let typed = xsi_type.as_deref().is_some_and(|t| t.starts_with(|c: char| c.is_ascii_uppercase()));
        let word = WORDS.contains(&name.as_str()) || OURS.contains(&name.as_str()) || reference;
        if word || (typed && children.is_empty() && element.attribute("type").is_none()) {
            return;
        }
        element.text = match name.as_str() {
            "password" => "*".to_owned(),
            // What is run, packed: of no use to a reader, and it can't be looked through.
            "envVariables" => text.split('=').next().unwrap_or_default().to_owned() + "=…",
            _ => self.instead(text),
        };
    }

    /// What stands for a text.
    pub(super) fn instead(&mut self, text: &str) -> String {
        if let Some(known) = self.known.get(text) {
            return known.clone();
        }
        let kind = kind_of(text);
        let number = self.count.entry(kind).or_default();
        *number += 1;
        let n = *number;
        let low = n % 254 + 1;
        let new = match kind {
            "ipv4" => format!("192.0.2.{low}"),
            "ipv6" => format!("2001:db8::{n:x}"),
            "mac" => format!("00:50:56:00:{:02x}:{:02x}", n >> 8 & 255, n & 255),
            "uuid" => format!("00000000-0000-0000-0000-{n:012}"),
            // The address of a transfer leaves the host open: whoever plays this again is it.
            "transfer" => format!("http://*/guestFile?id={n}"),
            "url" => format!("https://host-{n}.example.com/"),
            _ => format!("text-{n}"),
        };
        self.known.insert(text.to_owned(), new.clone());
        new
    }

    /// What replaces, in the texts that were kept, the names that have been found anywhere.
    pub(super) fn second(&self) -> Option<Second> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (old, new) in self.known.iter().filter(|(old, _)| old.len() >= LEAST) {
            pairs.push((old.clone(), new.clone()));
            // What the guest tells of itself comes as names of files.
            pairs.push((hex(old), hex(new)));
        }
        pairs.sort();
        let finder = AhoCorasick::builder()
            .match_kind(aho_corasick::MatchKind::LeftmostLongest)
            .build(pairs.iter().map(|(old, _)| old))
            .ok()?;
        Some(Second { finder, new: pairs.into_iter().map(|(_, new)| new).collect() })
    }
}

/// The second pass.
pub(super) struct Second {
    finder: AhoCorasick,
    new: Vec<String>,
}

impl Second {
    pub(super) fn scrub(&self, element: &mut Element) {
        if OURS.contains(&element.name.as_str()) {
            element.text = self.finder.replace_all(&element.text, &self.new);
        }
        element.children.iter_mut().for_each(|child| self.scrub(child));
    }
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// A number, a truth, or a date.
fn harmless(text: &str) -> bool {
    let date = || {
        let bytes = text.as_bytes();
        bytes.len() >= 19
            && bytes.get(4) == Some(&b'-')
            && bytes.get(10) == Some(&b'T')
            && text.chars().all(|c| c.is_ascii_digit() || matches!(c, '-' | ':' | '.' | 'T' | 'Z' | '+'))
    };
    matches!(text, "true" | "false") || text.parse::<f64>().is_ok_and(f64::is_finite) || date()
}

fn kind_of(text: &str) -> &'static str {
    let hex = |part: &str, len: usize| part.len() == len && part.chars().all(|c| c.is_ascii_hexdigit());
    let parts = |by: char, lens: &[usize]| {
        text.split(by).count() == lens.len() && text.split(by).zip(lens).all(|(part, len)| hex(part, *len))
    };
    if text.parse::<Ipv4Addr>().is_ok() {
        "ipv4"
    } else if text.parse::<Ipv6Addr>().is_ok() {
        "ipv6"
    } else if parts(':', &[2; 6]) {
        "mac"
    } else if parts('-', &[8, 4, 4, 4, 12]) {
        "uuid"
    } else if text.contains("://") && text.contains("/guestFile") {
        "transfer"
    } else if text.contains("://") {
        "url"
    } else {
        "text"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vsphere::wire::Limits;

    fn scrubbed(xml: &str) -> String {
        let mut element = Element::parse(xml.as_bytes(), Limits::default()).unwrap_or_default();
        let mut scrubber = Scrubber::default();
        scrubber.scrub(&mut element);
        if let Some(second) = scrubber.second() {
            second.scrub(&mut element);
        }
        let xml = element.to_xml().unwrap_or_default();
        xml.split_once('>').map(|(_, rest)| rest.to_owned()).unwrap_or_default()
    }

    #[test]
    fn what_is_not_known_as_harmless_goes() {
        let xml = "<r><name>prod-db</name><address>10.1.2.3</address><mac>00:11:22:aa:bb:cc</mac><again>prod-db</again>\
                   <uuid>4211f8a0-1111-2222-3333-0123456789ab</uuid><n>42</n><on>true</on><at>2026-01-02T03:04:05.6Z</at>\
                   <url>https://esx1.corp/guestFile?id=9&amp;token=52ab</url><password>hunter2</password></r>";
        assert_eq!(
            scrubbed(xml),
            "<name>text-1</name><address>192.0.2.2</address><mac>00:50:56:00:00:01</mac><again>text-1</again>\
             <uuid>00000000-0000-0000-0000-000000000001</uuid><n>42</n><on>true</on><at>2026-01-02T03:04:05.6Z</at>\
             <url>http://*/guestFile?id=1</url><password>*</password></r>"
        );
    }

    #[test]
    fn words_of_the_api_stay() {
        let xml = "<r><propSet><name>guest.toolsRunningStatus</name><val>guestToolsRunning</val></propSet>\
                   <propSet><name>name</name><val>prod-db</val></propSet><vm type=\"VirtualMachine\">vm-7</vm></r>";
        assert_eq!(
            scrubbed(xml),
            "<propSet><name>guest.toolsRunningStatus</name><val>guestToolsRunning</val></propSet>\
             <propSet><name>name</name><val>text-1</val></propSet><vm type=\"VirtualMachine\">vm-7</vm></r>"
        );
    }

    #[test]
    fn names_within_kept_texts_go_too() {
        let xml = "<r><username>jsmith</username><filePath>/home/jsmith/.vmwbuild</filePath></r>";
        assert_eq!(scrubbed(xml), "<username>text-1</username><filePath>/home/text-1/.vmwbuild</filePath></r>");
        let told = |name: &str| format!("<path>0.{}</path></r>", hex(&format!("home=/home/{name}")));
        let told_by = format!("<username>text-1</username>{}", told("text-1"));
        assert_eq!(scrubbed(&format!("<r><username>jsmith</username>{}", told("jsmith"))), told_by);
    }

    #[test]
    fn what_a_session_has_made_does_not_name_it() {
        let xml = "<r><filter type=\"PropertyFilter\">session[52ab]7</filter><a type=\"Task\">task-9</a></r>";
        assert_eq!(scrubbed(xml), "<filter type=\"PropertyFilter\">text-1</filter><a type=\"Task\">task-9</a></r>");
    }
}
