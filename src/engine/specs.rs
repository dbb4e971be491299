//! The customization specifications of a build: looked up before anything is changed.

use crate::plan;
use crate::sema::program::Program;
use crate::vsphere::client::{Client, Error, Specifications};

/// Asks vCenter for those that it keeps, where a program names one.
///
/// # Errors
/// vCenter can't tell.
pub async fn look_up(client: &Client, program: &Program) -> Result<Specifications, Error> {
    match program.machines.iter().any(|machine| plan::specs(machine).next().is_some()) {
        true => client.specifications().await,
        false => Ok(Specifications::default()),
    }
}
