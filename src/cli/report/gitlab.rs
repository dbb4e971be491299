//! GitLab's code quality report.

use serde_json::{Value, json};

use super::{Checked, Fingerprints, advice, all, range};
use crate::diagnostic::Severity;

/// Writes all findings. Those without a place are of the file itself, since the format wants one.
pub(crate) fn write(checked: &[Checked]) -> String {
    let mut prints = Fingerprints::default();
    let list: Vec<Value> = all(checked)
        .map(|(d, sources)| {
            let (print, count) = prints.of(&d, sources);
            let severity = match d.severity {
                Severity::Error => "critical",
                Severity::Warning => "minor",
                Severity::Advice => "info",
            };
            let (path, line) = match &d.primary {
                Some(label) => {
                    let place = range(label.span, sources);
                    (place.file, place.start.0)
                }
                None => (sources.iter().next().map_or_else(|| "VMWfile".to_owned(), |(_, s)| s.name.clone()), 1),
            };
            let advice = advice(&d);
            let text = if advice.is_empty() { d.message.clone() } else { format!("{}; {advice}", d.message) };
            json!({
                "description": text,
                "check_name": format!("{} {}", d.id(), d.code.name),
                "fingerprint": format!("{print}{count:04x}"),
                "severity": severity,
                "location": { "path": path, "lines": { "begin": line } },
            })
        })
        .collect();
    format!("{:#}\n", Value::Array(list))
}
