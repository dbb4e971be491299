//! The storage policies of a build: looked up before anything is changed.

use crate::sema::program::Program;
use crate::vsphere::client::{Client, Error, Policies};

/// Asks vCenter for its storage policies, where a program names one.
///
/// # Errors
/// vCenter can't tell.
pub async fn look_up(client: &Client, program: &Program) -> Result<Policies, Error> {
    match program.machines.iter().any(|machine| machine.policy.is_some()) {
        true => client.storage_policies().await,
        false => Ok(Policies::default()),
    }
}
