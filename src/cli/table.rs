//! Columns for people.

use crate::diagnostic::text::visible;

/// Rows under a header, in columns as wide as they must be.
pub(super) fn table<const N: usize>(header: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    // What comes from vCenter may hold anything.
    let rows = std::iter::once(header.map(str::to_owned)).chain(rows).map(|row| row.map(|cell| visible(&cell)));
    let rows: Vec<[String; N]> = rows.collect();
    let width = |column: usize| rows.iter().filter_map(|r| r.get(column)).map(|c| c.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}", width = *width));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}
