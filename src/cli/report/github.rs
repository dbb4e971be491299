//! Annotations of GitHub Actions: workflow commands on standard output.

use super::{Checked, advice, all, range};
use crate::diagnostic::{Diagnostic, Severity};
use crate::source::Sources;

/// Writes all findings.
pub(crate) fn write(checked: &[Checked]) -> String {
    all(checked).map(|(d, sources)| command(&d, sources)).collect()
}

/// One finding's command.
pub(crate) fn command(d: &Diagnostic, sources: &Sources) -> String {
    let command = match d.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Advice => "notice",
    };
    let mut properties = Vec::new();
    if let Some(label) = &d.primary {
        let place = range(label.span, sources);
        properties.push(format!("file={}", property(&place.file)));
        properties.push(format!("line={},col={}", place.start.0, place.start.1));
        properties.push(format!("endLine={}", place.end.0));
        // Columns are only shown on one line.
        if place.start.0 == place.end.0 {
            properties.push(format!("endColumn={}", place.end.1));
        }
    }
    properties.push(format!("title={}", property(&format!("{} {}", d.id(), d.code.name))));
    let advice = advice(d);
    let text = if advice.is_empty() { d.message.clone() } else { format!("{}\n{advice}", d.message) };
    format!("::{command} {}::{}\n", properties.join(","), data(&text))
}

/// Text after `::`.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property's value.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
