//! Mends applied to the text.

use std::collections::BTreeMap;

use crate::diagnostic::{Diagnostic, Edit};
use crate::source::{SourceId, Sources};

/// What mending gave.
#[derive(Clone, Debug, Default)]
pub struct Mended {
    /// The new text of every file that changes.
    pub texts: BTreeMap<SourceId, String>,
    /// How many diagnostics are mended.
    pub count: usize,
}

/// Applies the mends of `list` in its order, those that aren't safe only if `all`. One that overlaps an earlier one
/// is left for the next round.
pub fn apply<'a>(list: impl IntoIterator<Item = &'a Diagnostic>, sources: &Sources, all: bool) -> Mended {
    let mut taken: BTreeMap<SourceId, Vec<&Edit>> = BTreeMap::new();
    let mut count = 0;
    for fix in list.into_iter().filter_map(|d| d.fix.as_ref()).filter(|f| all || f.safe) {
        let fits = fix.edits.iter().all(|edit| {
            let earlier = taken.get(&edit.span.source).map(Vec::as_slice).unwrap_or_default();
            // Two insertions at one place have no order, unless they are the same.
            earlier.iter().all(|e| e.span.end <= edit.span.start && e.span != edit.span || edit.span.end < e.span.start)
        });
        if !fits || fix.edits.is_empty() {
            continue;
        }
        count += 1;
        for edit in &fix.edits {
            taken.entry(edit.span.source).or_default().push(edit);
        }
    }
    let mut texts = BTreeMap::new();
    for (source, mut edits) in taken {
        let old = &sources.get(source).text;
        edits.sort_by_key(|e| e.span);
        let mut new = String::with_capacity(old.len() + 64);
        let mut from = 0;
        for edit in edits {
            let (start, end) = (edit.span.start as usize, edit.span.end as usize);
            new.push_str(old.get(from..start).unwrap_or_default());
            new.push_str(&edit.text);
            from = end;
        }
        new.push_str(old.get(from..).unwrap_or_default());
        texts.insert(source, new);
    }
    Mended { texts, count }
}
