//! The storage policies of a build: looked up before anything is changed.

use crate::plan::PlacementDefaults;
use crate::sema::program::{BY_POLICY, Program};
use crate::syntax::Keyword;
use crate::vsphere::client::{Client, Error, Policies};

/// Asks vCenter for its storage policies, where a program names one, and which datastores they fit, where it names none.
///
/// # Errors
/// vCenter can't tell.
pub async fn look_up(client: &Client, program: &Program, places: &PlacementDefaults) -> Result<Policies, Error> {
    let (mut named, mut fitting) = (false, Vec::new());
    for machine in &program.machines {
        let Some(policy) = machine.policy.as_ref().map(|policy| policy.value.as_str()) else { continue };
        named = true;
        let store = places.resolve(Keyword::Datastore, &machine.placement, &machine.default_placement);
        if store == Some(BY_POLICY) && !fitting.contains(&policy) {
            fitting.push(policy);
        }
    }
    match named {
        true => client.storage_policies(&fitting).await,
        false => Ok(Policies::default()),
    }
}
