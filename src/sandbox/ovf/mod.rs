//! OVF: machines that come and go as files.
//!
//! A disk that leaves is the machine's layers as [`Head`](super::guests::Head) describes them, and its descriptor says so
//! in the disk's format: no other hypervisor can read it, and another sandbox can. Its name ends in `.vmdk`, since
//! clients take only such files for disks. A disk that comes may be such an archive, and is then what the guest has; or a
//! VMDK, which nothing here can read: it is taken and dropped, and the sandbox's own template stands for it.

mod describe;
mod import;
mod lease;
mod transfer;

use std::sync::Arc;

use super::faults::{Answer, not_supported};
use super::server::{Call, Server};
use crate::vsphere::wire::Element;

pub(super) use lease::Lease;
pub(super) use transfer::{PATH, handle};

/// The format of disks that leave.
const FORMAT: &str = "urn:vmwbuild:sandbox-layers";

/// Whether a call is answered here.
pub(super) fn answers(call: &Call) -> bool {
    matches!(call.this.kind.as_str(), "OvfManager" | "HttpNfcLease")
        || matches!(call.method.as_str(), "ImportVApp" | "ExportVm")
}

/// Answers it.
pub(super) async fn dispatch(server: &Arc<Server>, call: &Call) -> Answer<Element> {
    match (call.this.kind.as_str(), call.method.as_str()) {
        ("OvfManager", "CreateImportSpec") => import::spec(server, call),
        ("OvfManager", "CreateDescriptor") => describe::descriptor(server, call),
        ("ResourcePool", "ImportVApp") => lease::import(server, call),
        ("VirtualMachine", "ExportVm") => lease::export(server, call),
        ("HttpNfcLease", "HttpNfcLeaseProgress") => lease::progress(server, call),
        ("HttpNfcLease", "HttpNfcLeaseGetManifest") => lease::manifest(server, call),
        ("HttpNfcLease", "HttpNfcLeaseComplete") => lease::complete(server, call).await,
        ("HttpNfcLease", "HttpNfcLeaseAbort") => lease::abort(server, call).await,
        (_, method) => Err(not_supported(method)),
    }
}
