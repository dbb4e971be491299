//! The customization specifications that ADDRESS and HOSTNAME begin with.

use super::codes;
use super::resolve::{Failed, failed};
use crate::diagnostic::Diagnostic;
use crate::sema::program::{Machine, Os};
use crate::source::Span;
use crate::vsphere::client::{Class, Specifications};

/// Those that a machine names, and where.
pub fn specs(machine: &Machine) -> impl Iterator<Item = (&str, Span)> {
    let addresses = machine.address.iter().chain(&machine.more_addresses);
    let of_addresses = addresses.filter_map(|address| Some((address.spec.as_deref()?, address.span)));
    of_addresses.chain(machine.hostname.iter().filter_map(|name| Some((name.spec.as_deref()?, name.span))))
}

/// Whether they are there, and for such a guest.
pub(super) fn check(machine: &Machine, kept: &Specifications) -> Result<(), Failed> {
    for (name, span) in specs(machine) {
        let windows = kept.is_windows(name).map_err(|e| failed(&e, span))?;
        if windows != (machine.os == Os::Windows) {
            let (kind, guest) = if windows { ("Windows", "is not") } else { ("Linux", "is Windows") };
            let message = format!("the specification `{name}` is for {kind}, and the guest {guest}");
            let help = "name a specification for such a guest, or say in FROM by `--os` what the guest is";
            return Err((
                Class::Operation,
                Diagnostic::new(&codes::OTHER_FAMILY, message).primary(span, "").help(help),
            ));
        }
    }
    Ok(())
}
