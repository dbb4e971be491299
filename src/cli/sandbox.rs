//! `vmwbuild sandbox`, and the server behind `build --sandbox`.
use super::args;
use crate::diagnostic::Diagnostic;
use crate::vsphere::client::Endpoint;
pub(crate) struct Handle;
impl Handle {
    pub(crate) async fn stop(self) {}
}
pub(crate) async fn embedded(_o: &args::SandboxOptions) -> Result<(Endpoint, Handle), Diagnostic> {
    Err(Diagnostic::new(&super::codes::NO_VCENTER, "not yet"))
}
pub(crate) fn run(_o: &args::Sandbox, _c: args::When) -> u8 {
    2
}
