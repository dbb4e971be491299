//! vmwscript's deployments to VMWfiles.
//!
//! A deployment is JSON, or a playbook: JSON with Go-template calls around and inside it. [`json`] reads it with
//! its places, [`template`] the calls, [`model`] makes a deployment of it and says what it can't keep, [`write`]
//! puts it down as a VMWfile. The result is text that the parser reads without errors; its canonical form and its
//! check are the caller's.

pub mod codes;
mod fields;
mod inputs;
mod json;
mod model;
mod names;
mod passwords;
mod template;
#[cfg(test)]
mod tests;
mod words;
mod write;

use std::collections::BTreeSet;

use crate::diagnostic::Problems;
use crate::source::{SourceId, Sources, Span};

/// What [`convert`] makes.
#[derive(Debug)]
pub struct Converted {
    /// The VMWfile.
    pub text: String,
    /// Where passwords stand in the original; whoever shows lines of it should [`hide`] them.
    pub passwords: Vec<Span>,
}

/// How [`convert`] writes.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The RUN instructions, counted from 0 through the whole result, whose values are given in the environment
    /// instead of in their text: for those whose text can't hold a value.
    pub by_environment: BTreeSet<usize>,
}

/// Makes a VMWfile of a deployment. What has no counterpart is a warning at its place; `None`, and an error, when
/// the file can't be read at all.
pub fn convert(sources: &Sources, id: SourceId, options: &Options, problems: &mut Problems) -> Option<Converted> {
    let text = std::sync::Arc::clone(&sources.get(id).text);
    let document = json::read(&text, id, problems)?;
    let mut hidden = passwords::Hidden::of(&text, id);
    let deployment = model::read(document, &mut hidden, problems)?;
    let text = write::vmwfile(&deployment, options);
    Some(Converted { text, passwords: hidden.spans() })
}

/// Where passwords stand in a text that needn't be readable as a deployment.
pub fn passwords(sources: &Sources, id: SourceId) -> Vec<Span> {
    passwords::Hidden::of(&sources.get(id).text, id).spans()
}

/// The text with asterisks where the spans are; every other byte keeps its place.
pub fn hide(text: &str, spans: &[Span]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for span in spans {
        let (start, end) = (span.start as usize, span.end as usize);
        if !text.is_char_boundary(start) || !text.is_char_boundary(end) {
            continue;
        }
        if let Some(part) = bytes.get_mut(start..end) {
            part.fill(b'*');
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}
