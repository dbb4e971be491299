//! Storage policies: what the policy service tells of them, and how a virtual machine is given one.

use super::declare::{data, family, methods};
use super::value::Moref;

data! {
    /// The managers of the policy service.
    PbmServiceInstanceContent {
        profile_manager: Moref = "profileManager",
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
}
