//! Formatting: only the lines that change, so that the cursor and folds stay.

use gen_lsp_types::{Position, Range, TextEdit};
use similar::{DiffOp, TextDiff};

use super::server::Asked;
use crate::diagnostic::Problems;
use crate::source::Sources;

/// The edits that make the file canonical, or those that touch a range. None for a file with syntax errors.
pub(super) fn format(asked: &Asked<'_>, range: Option<Range>) -> Option<Vec<TextEdit>> {
    let (mut sources, mut problems) = (Sources::new(), Problems::new());
    let id = sources.add("VMWfile", None, asked.text());
    let file = crate::syntax::parse(&sources, id, &mut problems);
    if problems.has_errors() {
        return None;
    }
    let (old, new) = (asked.text(), crate::format::format(&file, &sources));
    let diff = TextDiff::from_lines(old, new.as_str());
    let lines = diff.new_slices();
    let mut edits = Vec::new();
    for op in diff.ops().iter().filter(|op| !matches!(op, DiffOp::Equal { .. })) {
        let (from, to) = (op.old_range(), op.new_range());
        if let Some(range) = range {
            let (first, last) = (range.start.line as usize, range.end.line as usize);
            let touches = from.start <= last && first <= from.end.saturating_sub(1).max(from.start);
            if !touches {
                continue;
            }
        }
        let place = |line: usize| {
            if line < diff.old_slices().len() {
                Position { line: line as u32, character: 0 }
            } else {
                asked.encoding.position(asked.source(), old.len() as u32)
            }
        };
        let text = lines.get(to).unwrap_or_default().concat();
        edits.push(TextEdit { range: Range { start: place(from.start), end: place(from.end) }, new_text: text });
    }
    Some(edits)
}
