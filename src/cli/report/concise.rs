//! A line each: `VMWfile:3:1: warning[VMW357 reboot-in-run] …`.

use crate::diagnostic::text::visible;

use super::{Checked, all, range, severity};

/// Writes all findings.
pub(crate) fn write(checked: &[Checked]) -> String {
    let mut out = String::new();
    for (d, sources) in all(checked) {
        if let Some(label) = &d.primary {
            let place = range(label.span, sources);
            out.push_str(&format!("{}:{}:{}: ", visible(&place.file), place.start.0, place.start.1));
        }
        out.push_str(&format!("{}[{} {}] {}\n", severity(d.severity), d.id(), d.code.name, visible(&d.message)));
    }
    out
}
