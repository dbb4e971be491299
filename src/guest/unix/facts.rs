//! What the first look at a guest finds.

use std::collections::BTreeSet;

use crate::guest::log::hex;

/// What a guest has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::guest) struct Facts {
    /// The login's number.
    pub uid: u32,
    /// `Linux`, `FreeBSD`.
    pub os: String,
    /// Its home directory.
    pub home: String,
    /// The work directory; empty when none could be made.
    pub work: String,
    /// How output becomes names.
    pub encoder: Encoder,
    /// How data comes in.
    pub decoder: Decoder,
    /// The shortest pause, in seconds as `sleep` takes it.
    pub tick: String,
    /// A locale that reads UTF-8, else `C`.
    pub lang: String,
    /// Changes with each restart.
    pub boot: String,
    /// The programs that were asked for and are there.
    pub tools: BTreeSet<String>,
}

/// How a guest makes names of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::guest) enum Encoder {
    /// `base64`, which breaks lines.
    Base64,
    /// `base64`, which doesn't.
    Fold,
    /// `openssl base64`.
    Openssl,
    /// `od`.
    Hex,
}

impl Encoder {
    /// The command, characters for 12288 bytes, and the letters of records.
    pub fn command(self) -> (&'static str, u32, char, char) {
        match self {
            Encoder::Base64 => ("base64|tr / _", 16384, 'o', 'e'),
            Encoder::Fold => ("base64|tr / _|fold -w 76", 16384, 'o', 'e'),
            Encoder::Openssl => ("openssl base64|tr / _", 16384, 'o', 'e'),
            Encoder::Hex => ("od -An -v -tx1|tr -d \" \"", 24576, 'x', 'y'),
        }
    }
}

/// How a guest decodes data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::guest) enum Decoder {
    /// `base64 -d`.
    Base64,
    /// `openssl base64 -d`.
    Openssl,
    /// Octal numbers for `printf`.
    None,
}

/// What is asked about a batch of another process.
pub(in crate::guest) struct Claim<'a> {
    /// Its number.
    pub number: u64,
    /// Its work directory.
    pub work: &'a str,
    /// Where that process was reported to first, to be removed.
    pub meeting: &'a str,
}

/// How that batch stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::guest) enum Standing {
    /// It never began and can't any more. Fresh: nor was there a work directory.
    Never { fresh: bool },
    /// It began when the guest's boot was this one; empty when nobody knows.
    Begun { boot: String },
}

impl Standing {
    fn read(text: &str) -> Option<Self> {
        let get = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        match get("batch")? {
            "begun" => Some(Standing::Begun { boot: get("began").unwrap_or_default().to_owned() }),
            said @ ("fresh" | "old") => Some(Standing::Never { fresh: said == "fresh" }),
            _ => None,
        }
    }
}

impl Facts {
    /// Reads the names in the meeting place; `None` while they are not all there.
    pub fn parse(names: &[String]) -> Option<Result<(Self, Option<Standing>), String>> {
        let mut found: Vec<(u32, &str)> = names
            .iter()
            .filter_map(|name| {
                let (number, data) = name.split_once('.')?;
                Some((number.parse().ok()?, data))
            })
            .collect();
        found.sort_unstable();
        let (last, parts) = found.split_last()?;
        if last.1 != "z" || u32::try_from(parts.len()) != Ok(last.0) {
            return None;
        }
        let text: String = parts.iter().map(|(_, data)| *data).collect();
        Some(match hex(&text).map(String::from_utf8) {
            Some(Ok(text)) => Self::read(&text).map(|facts| (facts, Standing::read(&text))),
            _ => Err(format!("`{text}` is no hexadecimal text")),
        })
    }

    fn read(text: &str) -> Result<Self, String> {
        let get = |key: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
                .ok_or_else(|| format!("no `{key}` in {text:?}"))
        };
        Ok(Facts {
            uid: get("uid")?.parse().map_err(|_| format!("uid in {text:?}"))?,
            os: get("os")?.to_owned(),
            home: get("home")?.to_owned(),
            work: get("work")?.to_owned(),
            encoder: match get("enc")? {
                "base64" => Encoder::Base64,
                "fold" => Encoder::Fold,
                "openssl" => Encoder::Openssl,
                _ => Encoder::Hex,
            },
            decoder: match get("dec")? {
                "base64" => Decoder::Base64,
                "openssl" => Decoder::Openssl,
                _ => Decoder::None,
            },
            tick: if get("tick")? == "1" { "1".to_owned() } else { "0.25".to_owned() },
            lang: get("lang")?.to_owned(),
            boot: get("boot")?.to_owned(),
            tools: get("tools")?.split_whitespace().map(str::to_owned).collect(),
        })
    }
}
