//! Storage policies: what the policy service tells of them, and how a virtual machine is given one.

use super::declare::{data, family, methods};
use super::value::Moref;
use super::xml::Element;

data! {
    /// The managers of the policy service.
    PbmServiceInstanceContent {
        profile_manager: Moref = "profileManager",
        placement_solver: Moref = "placementSolver",
    }

    /// What a policy is called in the API.
    PbmProfileId {
        unique_id: String = "uniqueId",
    }

    /// What a policy is for: `STORAGE`.
    PbmProfileResourceType {
        resource_type: String = "resourceType",
    }

    /// A policy.
    PbmProfile {
        profile_id: PbmProfileId = "profileId",
        name: String = "name",
        description: Option<String> = "description",
    }

    /// A datastore, or a cluster of them: `Datastore` and its id.
    PbmPlacementHub {
        hub_type: String = "hubType",
        hub_id: String = "hubId",
    }

    /// That a policy is followed.
    PbmPlacementCapabilityProfileRequirement {
        profile_id: PbmProfileId = "profileId",
    }

    /// Whether a datastore suits what was asked for.
    PbmPlacementCompatibilityResult {
        hub: PbmPlacementHub = "hub",
        /// Why it doesn't; none: it does.
        error: Vec<Element> = "error",
    }

    /// The policy that a machine's files or a disk shall follow.
    VirtualMachineDefinedProfileSpec {
        profile_id: String = "profileId",
    }

    /// Where one disk of a clone shall be.
    VirtualMachineRelocateSpecDiskLocator {
        disk_id: i32 = "diskId",
        datastore: Moref = "datastore",
        disk_move_type: Option<String> = "diskMoveType",
        profile: Vec<VirtualMachineProfileSpec> = "profile",
    }
}

family! {
    /// What tells the storage policy of something.
    VirtualMachineProfileSpec {
        Defined(VirtualMachineDefinedProfileSpec),
    }

    /// What is asked of a datastore.
    PbmPlacementRequirement {
        Profile(PbmPlacementCapabilityProfileRequirement),
    }
}

impl VirtualMachineProfileSpec {
    /// That of a policy, by its id.
    pub fn of(id: &str) -> Self {
        VirtualMachineProfileSpec::Defined(VirtualMachineDefinedProfileSpec { profile_id: id.to_owned() })
    }
}

methods! {
    /// The managers of the policy service.
    pbm PbmRetrieveServiceContent = "PbmRetrieveServiceContent" {} -> PbmServiceInstanceContent;
    /// The ids of policies.
    pbm PbmQueryProfile = "PbmQueryProfile" {
        resource_type: PbmProfileResourceType = "resourceType",
        profile_category: Option<String> = "profileCategory",
    } -> Vec<PbmProfileId>;
    /// Policies, by their ids.
    pbm PbmRetrieveContent = "PbmRetrieveContent" { profile_ids: Vec<PbmProfileId> = "profileIds", } -> Vec<PbmProfile>;
    /// Which datastores suit what is asked of them; without a list of them each that there is.
    pbm PbmCheckRequirements = "PbmCheckRequirements" {
        hubs_to_search: Vec<PbmPlacementHub> = "hubsToSearch",
        placement_subject_requirement: Vec<PbmPlacementRequirement> = "placementSubjectRequirement",
    } -> Vec<PbmPlacementCompatibilityResult>;
}
