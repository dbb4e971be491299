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
    let mut taken: BTreeMap<SourceId, BTreeMap<(u32, u32), &Edit>> = BTreeMap::new();
    let mut count = 0;
    for fix in list.into_iter().filter_map(|d| d.fix.as_ref()).filter(|f| all || f.safe) {
        let fits = fix.edits.iter().all(|edit| taken.get(&edit.span.source).is_none_or(|t| fits(t, edit)));
        if !fits || fix.edits.is_empty() {
            continue;
        }
        count += 1;
        for edit in &fix.edits {
            taken.entry(edit.span.source).or_default().insert((edit.span.start, edit.span.end), edit);
        }
    }
    let mut texts = BTreeMap::new();
    for (source, edits) in taken {
        let old = &sources.get(source).text;
        let mut new = String::with_capacity(old.len() + 64);
        let mut from = 0;
        for edit in edits.into_values() {
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

/// Whether an edit overlaps none of those that are taken. Two insertions at one place have no order.
fn fits(taken: &BTreeMap<(u32, u32), &Edit>, edit: &Edit) -> bool {
    let (start, end) = (edit.span.start, edit.span.end);
    let before = taken.range(..=(start, u32::MAX)).next_back().map(|(place, _)| *place);
    let after = taken.range((start.saturating_add(1), 0)..).next().map(|(place, _)| *place);
    before.is_none_or(|place| place.1 <= start && place != (start, end)) && after.is_none_or(|place| end < place.0)
}
