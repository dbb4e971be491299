//! Storage policies, which a service of its own tells of (`/pbm`). It is asked only where a policy is named.

use super::error::{Error, Result};
use super::rest::missing;
use super::session::Client;
use crate::vsphere::wire::{
    Moref, PbmProfile, PbmProfileResourceType, PbmQueryProfile, PbmRetrieveContent, PbmRetrieveServiceContent,
};

/// The storage policies of a vCenter.
#[derive(Clone, Debug, Default)]
pub struct Policies(Vec<PbmProfile>);

impl Policies {
    /// The id of a policy, by its name.
    ///
    /// # Errors
    /// [`Error::NotFound`], with near names; [`Error::Ambiguous`].
    pub fn id(&self, name: &str) -> Result<&str> {
        let found: Vec<&PbmProfile> = self.0.iter().filter(|policy| policy.name == name).collect();
        match found.as_slice() {
            [one] => Ok(&one.profile_id.unique_id),
            [] => Err(missing(KIND, name, name, self.0.iter().map(|policy| policy.name.as_str()))),
            several => Err(Error::Ambiguous {
                kind: KIND,
                name: name.to_owned(),
                candidates: several.iter().map(|p| format!("{name} ({})", p.profile_id.unique_id)).collect(),
            }),
        }
    }
}

const KIND: &str = "storage policy";

impl Client {
    /// All storage policies that machines may be given.
    pub async fn storage_policies(&self) -> Result<Policies> {
        let service = Moref::new("PbmServiceInstance", "ServiceInstance");
        let manager = self.call(&PbmRetrieveServiceContent { this: service }).await?.profile_manager;
        let query = PbmQueryProfile {
            this: manager.clone(),
            resource_type: PbmProfileResourceType { resource_type: "STORAGE".to_owned() },
            // Others are those that a storage array gives to its datastores.
            profile_category: Some("REQUIREMENT".to_owned()),
        };
        let profile_ids = self.call(&query).await?;
        if profile_ids.is_empty() {
            return Ok(Policies::default());
        }
        self.call(&PbmRetrieveContent { this: manager, profile_ids }).await.map(Policies)
    }
}
