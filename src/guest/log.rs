//! The supervisor's log: records in the names of files, 64 to a directory. See `unix/supervise.sh`.

use base64::Engine;
use base64::alphabet::Alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::job::{Exit, Stream};

/// Records a directory.
const SEGMENT: u64 = 64;

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// A piece of what the guest's first program tells.
    Fact { bytes: Vec<u8> },
    /// All of that is told; its last word.
    Known { state: String },
    /// The job at that place in the batch begins.
    Begun { job: usize },
    /// It wrote these bytes.
    Output { job: usize, stream: Stream, bytes: Vec<u8> },
    /// It wrote what is in that file of the batch's directory.
    Chunk { job: usize, stream: Stream, file: u64, size: u64 },
    /// That many bytes are left out here.
    Gap { job: usize, stream: Stream, bytes: u64 },
    /// It was to be captured, and is larger than that may be.
    Large { job: usize, bytes: u64 },
    /// An attempt failed, another follows.
    Retry { job: usize, attempt: u32, exit: Exit },
    /// It is over.
    Finished { job: usize, end: End, attempts: u32, hundredths: u64 },
    /// The process that runs the jobs vanished.
    Dead,
    /// Nothing follows.
    Closed,
}

impl Record {
    /// The place of the job that it is about.
    pub fn job(&self) -> Option<usize> {
        match self {
            Record::Begun { job }
            | Record::Output { job, .. }
            | Record::Chunk { job, .. }
            | Record::Gap { job, .. }
            | Record::Large { job, .. }
            | Record::Retry { job, .. }
            | Record::Finished { job, .. } => Some(*job),
            Record::Fact { .. } | Record::Known { .. } | Record::Dead | Record::Closed => None,
        }
    }
}

/// How a job ended, in the guest's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It was run, or not needed.
    Exit(Exit),
    /// There is no way to become its user, for a reason with a number.
    NoWay(i32),
}

/// How far a log has been read.
#[derive(Clone, Debug, Default)]
pub(super) struct Cursor {
    next: u64,
}

impl Cursor {
    /// The directory that the next record is in.
    pub fn segment(&self) -> String {
        format!("s{}", self.next / SEGMENT)
    }

    /// The records that follow what was read before, as far as a listing of [`Cursor::segment`] holds them, and whether the
    /// next directory is to be listed at once. A listing may miss a file that is made meanwhile and yet
    /// have the one after it.
    pub fn take(&mut self, names: &[String]) -> Result<(Vec<Record>, bool), String> {
        let mut found: Vec<(u64, &str)> = names
            .iter()
            .filter_map(|name| {
                let (number, record) = name.split_once('.')?;
                Some((number.parse().ok()?, record))
            })
            .collect();
        found.sort_unstable();
        let mut records = Vec::new();
        let segment = self.next / SEGMENT;
        for (number, record) in found {
            if number == self.next {
                records.push(parse(record).ok_or_else(|| format!("record `{record}`"))?);
                self.next += 1;
            }
        }
        Ok((records, self.next / SEGMENT != segment))
    }
}

/// Base64 with `/` as `_`, which can't be in a name.
fn base64() -> GeneralPurpose {
    const CHARACTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+_";
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::RequireCanonical);
    // The alphabet is a constant of 64 different characters.
    let alphabet = Alphabet::new(CHARACTERS).unwrap_or(base64::alphabet::STANDARD);
    GeneralPurpose::new(&alphabet, config)
}

/// Reads one record; the number before it is gone.
fn parse(record: &str) -> Option<Record> {
    if let Some(fact) = record.strip_prefix('i') {
        return Some(Record::Fact { bytes: (fact.replace('%', "/") + "\n").into_bytes() });
    }
    if let Some(fact) = record.strip_prefix('h') {
        return Some(Record::Fact { bytes: hex(fact)? });
    }
    if let Some(state) = record.strip_prefix('k') {
        return Some(Record::Known { state: state.to_owned() });
    }
    let mut parts = record.split('.');
    let head = parts.next()?;
    let kind = head.get(..1)?;
    let rest = head.get(1..)?;
    let job = || rest.parse::<usize>().ok();
    let parsed = match kind {
        "b" => Record::Begun { job: job()? },
        "o" | "e" | "x" | "y" => {
            let data = parts.next()?;
            let bytes = if matches!(kind, "x" | "y") { hex(data)? } else { base64().decode(data).ok()? };
            let stream = if matches!(kind, "o" | "x") { Stream::Out } else { Stream::Err };
            Record::Output { job: job()?, stream, bytes }
        }
        "O" | "E" => Record::Chunk {
            job: job()?,
            stream: if kind == "O" { Stream::Out } else { Stream::Err },
            file: parts.next()?.parse().ok()?,
            size: parts.next()?.parse().ok()?,
        },
        "g" => Record::Gap {
            stream: if rest.starts_with(['o', 'x']) { Stream::Out } else { Stream::Err },
            job: rest.get(1..)?.parse().ok()?,
            bytes: parts.next()?.parse().ok()?,
        },
        "m" => Record::Large { job: job()?, bytes: parts.next()?.parse().ok()? },
        "r" => {
            let attempt = parts.next()?.parse().ok()?;
            let End::Exit(exit) = end(parts.next()?)? else { return None };
            Record::Retry { job: job()?, attempt, exit }
        }
        "f" => {
            let end = end(parts.next()?)?;
            Record::Finished {
                job: job()?,
                end,
                attempts: parts.next()?.parse().ok()?,
                hundredths: parts.next()?.parse().ok()?,
            }
        }
        "d" => Record::Dead,
        "z" => Record::Closed,
        _ => return None,
    };
    parts.next().is_none().then_some(parsed)
}

/// How an attempt ended: a letter and a number.
pub(super) fn end(text: &str) -> Option<End> {
    let number = || text.get(1..)?.parse::<i32>().ok();
    Some(match text.get(..1)? {
        "e" => End::Exit(Exit::Code(number()?)),
        "s" => End::Exit(Exit::Signal(number()?)),
        "t" => End::Exit(Exit::TimedOut),
        "n" => End::Exit(Exit::Skipped),
        "k" => End::Exit(Exit::Killed),
        "a" => End::NoWay(number()?),
        _ => return None,
    })
}

/// Hexadecimal text.
fn hex(text: &str) -> Option<Vec<u8>> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| match pair {
            [_, _] => u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok(),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn records_come_in_order_and_none_is_taken_early() {
        let mut cursor = Cursor::default();
        let names = |list: &[&str]| list.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let (records, more) = cursor.take(&names(&["2.z", "0.b0", ".", "..", "s0"])).expect("records");
        assert_eq!((records, more), (vec![Record::Begun { job: 0 }], false));
        let (records, _) = cursor.take(&names(&["2.z", "0.b0", "1.o0.aGk="])).expect("records");
        assert_eq!(
            records,
            vec![Record::Output { job: 0, stream: Stream::Out, bytes: b"hi".to_vec() }, Record::Closed]
        );
    }

    #[test]
    fn a_full_directory_leads_to_the_next() {
        let mut cursor = Cursor::default();
        let names: Vec<String> = (0..64).map(|n| format!("{n}.b{n}")).collect();
        let (records, more) = cursor.take(&names).expect("records");
        assert_eq!((records.len(), more, cursor.segment().as_str()), (64, true, "s1"));
    }

    #[test]
    fn foreign_names_are_an_error_not_a_record() {
        assert_eq!(Cursor::default().take(&["0.q1".to_owned()]), Err("record `q1`".to_owned()));
    }

    proptest! {
        #[test]
        fn any_name_is_read_or_refused(name in "\\PC{0,40}") {
            let _ = parse(&name);
        }
    }
}
