//! Storage policies, at `/pbm`: those that every vCenter has from the beginning. They are told of and may be named;
//! there is no storage here that they could ask anything of, but for those that are about a kind of storage.

use super::faults::{Answer, invalid_argument, not_authenticated, not_found, unknown_method};
use super::inventory::Body;
use super::server::{Call, Server};
use crate::vsphere::wire::{
    Element, Moref, PbmCheckRequirements, PbmPlacementCompatibilityResult, PbmPlacementHub, PbmPlacementRequirement,
    PbmProfile, PbmProfileId, PbmProfileResourceType, PbmServiceInstanceContent, Value, VirtualMachineProfileSpec,
    VirtualMachineRelocateSpec,
};

/// Names and ids.
const POLICIES: &[(&str, &str)] = &[
    ("VM Encryption Policy", "4d5f673c-536f-11e6-beb8-9e71128cae77"),
    ("vSAN Default Storage Policy", "aa6d5a82-1c88-45da-85d3-3d74b91a5bad"),
    ("VVol No Requirements Policy", "f4e5bade-15a2-4805-bf8e-52318c4ce443"),
    ("Host-local PMem Default Storage Policy", "c268da1b-b343-49f7-a468-b1deeb7078e0"),
];

/// Those for a kind of storage that isn't here, and what they miss.
const FOR_OTHERS: &[(&str, &str)] = &[
    ("f4e5bade-15a2-4805-bf8e-52318c4ce443", "The datastore is not a virtual volume datastore."),
    ("c268da1b-b343-49f7-a468-b1deeb7078e0", "The datastore is not a persistent memory datastore."),
];

/// Answers a call to the policy service.
pub(super) fn dispatch(server: &Server, call: &Call) -> Answer<Element> {
    let manager = Moref::new("PbmProfileProfileManager", "ProfileManager");
    let solver = Moref::new("PbmPlacementSolver", "placementSolver");
    match (call.this.kind.as_str(), call.method.as_str()) {
        ("PbmServiceInstance", "PbmRetrieveServiceContent") => {
            call.answer(&PbmServiceInstanceContent { profile_manager: manager, placement_solver: solver })
        }
        _ if call.session.is_none() => Err(not_authenticated(&call.this)),
        ("PbmProfileProfileManager", "PbmQueryProfile") => {
            let of: PbmProfileResourceType = call.arg("resourceType")?;
            let category: Option<String> = call.arg("profileCategory")?;
            let all = of.resource_type == "STORAGE" && category.is_none_or(|category| category == "REQUIREMENT");
            let ids = POLICIES.iter().filter(|_| all).map(|(_, id)| PbmProfileId { unique_id: (*id).to_owned() });
            call.answer(&ids.collect::<Vec<_>>())
        }
        ("PbmProfileProfileManager", "PbmRetrieveContent") => {
            let ids: Vec<PbmProfileId> = call.arg("profileIds")?;
            let policies = ids.into_iter().map(|id| {
                let (name, _) = named(&id.unique_id).ok_or_else(|| invalid_argument("profileIds"))?;
                Ok(PbmProfile { profile_id: id, name: (*name).to_owned(), description: None })
            });
            let policies = policies.collect::<Answer<Vec<_>>>()?;
            let mut response = call.answer(&policies)?;
            // Clients tell the kinds of policies apart.
            response.children.iter_mut().for_each(|c| c.xsi_type = Some("PbmCapabilityProfile".to_owned()));
            Ok(response)
        }
        ("PbmPlacementSolver", "PbmCheckRequirements") => {
            let asked: PbmCheckRequirements = call.read()?;
            call.answer(&fitting(server, &asked)?)
        }
        ("PbmServiceInstance" | "PbmProfileProfileManager" | "PbmPlacementSolver", method) => {
            Err(unknown_method(&call.this, method))
        }
        _ => Err(not_found(&call.this)),
    }
}

/// Which datastores suit what is asked of them.
fn fitting(server: &Server, asked: &PbmCheckRequirements) -> Answer<Vec<PbmPlacementCompatibilityResult>> {
    let mut missed = None;
    for requirement in &asked.placement_subject_requirement {
        let PbmPlacementRequirement::Profile(wanted) = requirement else {
            return Err(invalid_argument("placementSubjectRequirement"));
        };
        let id = &wanted.profile_id.unique_id;
        named(id).ok_or_else(|| invalid_argument("placementSubjectRequirement"))?;
        missed = missed.or_else(|| FOR_OTHERS.iter().find(|(other, _)| other == id).map(|(_, why)| *why));
    }
    let state = server.lock();
    let all = state.inventory.all().filter(|(_, node)| matches!(node.body, Body::Datastore));
    let hubs = all.map(|(store, _)| PbmPlacementHub { hub_type: store.kind.clone(), hub_id: store.value.clone() });
    let hubs = hubs.filter(|hub| asked.hubs_to_search.is_empty() || asked.hubs_to_search.contains(hub));
    let judged = hubs.map(|hub| {
        let fault = |why: &str| {
            let fault = Element::new("fault").typed("PbmCompatibilityCheckFault").with(hub.to_element("hub"));
            Element::new("error").with(fault).with(Element::text("localizedMessage", why))
        };
        let error = missed.map(fault).into_iter().collect();
        PbmPlacementCompatibilityResult { hub, error }
    });
    Ok(judged.collect())
}

fn named(id: &str) -> Option<&'static (&'static str, &'static str)> {
    POLICIES.iter().find(|(_, known)| *known == id)
}

/// Whether there is a policy of that id.
pub(super) fn is_policy(id: &str) -> bool {
    named(id).is_some()
}

/// Whether the policies that a machine is to follow are there.
pub(super) fn check(spec: &VirtualMachineRelocateSpec) -> Answer<()> {
    let unknown = |profiles: &[VirtualMachineProfileSpec]| {
        profiles.iter().any(|profile| match profile {
            VirtualMachineProfileSpec::Defined(defined) => named(&defined.profile_id).is_none(),
            VirtualMachineProfileSpec::Other(_) => false,
        })
    };
    if unknown(&spec.profile) {
        return Err(invalid_argument("spec.location.profile"));
    }
    match spec.disk.iter().any(|disk| unknown(&disk.profile)) {
        true => Err(invalid_argument("spec.location.disk.profile")),
        false => Ok(()),
    }
}
