//! Storage policies, which a service of its own tells of (`/pbm`). It is asked only where a policy is named.

use std::collections::BTreeMap;

use super::error::{Error, Result};
use super::rest::missing;
use super::session::Client;
use crate::vsphere::wire::{
    Element, Moref, PbmCheckRequirements, PbmPlacementCapabilityProfileRequirement, PbmPlacementHub,
    PbmPlacementRequirement, PbmProfile, PbmProfileId, PbmProfileResourceType, PbmQueryProfile, PbmRetrieveContent,
    PbmRetrieveServiceContent, PbmServiceInstanceContent,
};

/// The storage policies of a vCenter.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    all: Vec<PbmProfile>,
    /// What vCenter says of datastores, by the id of the policy.
    fits: BTreeMap<String, Fit>,
}

/// Which datastores a policy fits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fit {
    /// The policy's name.
    pub policy: String,
    /// Those that it fits.
    pub datastores: Vec<Moref>,
    /// Those that it doesn't fit, and why.
    pub others: Vec<(Moref, String)>,
}

impl Policies {
    /// The id of a policy, by its name.
    ///
    /// # Errors
    /// [`Error::NotFound`], with near names; [`Error::Ambiguous`].
    pub fn id(&self, name: &str) -> Result<&str> {
        let found: Vec<&PbmProfile> = self.all.iter().filter(|policy| policy.name == name).collect();
        match found.as_slice() {
            [one] => Ok(&one.profile_id.unique_id),
            [] => Err(missing(KIND, name, name, self.all.iter().map(|policy| policy.name.as_str()))),
            several => Err(Error::Ambiguous {
                kind: KIND,
                name: name.to_owned(),
                candidates: several.iter().map(|p| format!("{name} ({})", p.profile_id.unique_id)).collect(),
            }),
        }
    }

    /// Which datastores a policy fits, by its id; None: nobody has asked.
    pub fn fit(&self, id: &str) -> Option<&Fit> {
        self.fits.get(id)
    }
}

const KIND: &str = "storage policy";

impl Client {
    /// All storage policies that machines may be given; of those of these names also which datastores they fit.
    pub async fn storage_policies(&self, fitting: &[&str]) -> Result<Policies> {
        let service = Moref::new("PbmServiceInstance", "ServiceInstance");
        let content = self.call(&PbmRetrieveServiceContent { this: service }).await?;
        let manager = content.profile_manager.clone();
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
        let all = self.call(&PbmRetrieveContent { this: manager, profile_ids }).await?;
        let mut policies = Policies { all, fits: BTreeMap::new() };
        for name in fitting {
            // Whoever needs one that isn't there says so.
            if let Ok(id) = policies.id(name).map(str::to_owned) {
                let fit = self.fit(&content, name, &id).await?;
                policies.fits.insert(id, fit);
            }
        }
        Ok(policies)
    }

    /// Asks which datastores a policy fits.
    async fn fit(&self, service: &PbmServiceInstanceContent, name: &str, id: &str) -> Result<Fit> {
        let profile_id = PbmProfileId { unique_id: id.to_owned() };
        let follows = PbmPlacementRequirement::Profile(PbmPlacementCapabilityProfileRequirement { profile_id });
        let request = PbmCheckRequirements {
            this: service.placement_solver.clone(),
            hubs_to_search: Vec::new(),
            placement_subject_requirement: vec![follows],
        };
        let mut fit = Fit { policy: name.to_owned(), ..Fit::default() };
        for told in self.call(&request).await? {
            let PbmPlacementHub { hub_type, hub_id } = told.hub;
            let store = Moref::new(hub_type, hub_id);
            match told.error.first() {
                None => fit.datastores.push(store),
                Some(error) => fit.others.push((store, words(error))),
            }
        }
        Ok(fit)
    }
}

/// The words of a fault, or its kind.
fn words(error: &Element) -> String {
    let text = error.child_text("localizedMessage").map(str::trim).filter(|text| !text.is_empty());
    let kind = || error.child("fault").and_then(|fault| fault.xsi_type.as_deref());
    text.or_else(kind).unwrap_or("the storage doesn't follow the policy").to_owned()
}
