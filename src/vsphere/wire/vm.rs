//! Virtual machines: cloning, configuration, power, snapshots.

use super::declare::{data, methods, words};
use super::device::{Description, VirtualDeviceConfigSpec};
use super::policy::{VirtualMachineProfileSpec, VirtualMachineRelocateSpecDiskLocator};
use super::service::OptionValue;
use super::value::Moref;
use super::xml::Element;

data! {
    /// What a clone shall be.
    VirtualMachineCloneSpec {
        location: VirtualMachineRelocateSpec = "location",
        template: bool = "template",
        config: Option<VirtualMachineConfigSpec> = "config",
        customization: Option<Element> = "customization",
        power_on: bool = "powerOn",
        snapshot: Option<Moref> = "snapshot",
        memory: Option<bool> = "memory",
    }

    /// Where it shall be.
    VirtualMachineRelocateSpec {
        folder: Option<Moref> = "folder",
        datastore: Option<Moref> = "datastore",
        /// `createNewChildDiskBacking` for a linked clone.
        disk_move_type: Option<String> = "diskMoveType",
        /// Required when cloning from a template.
        pool: Option<Moref> = "pool",
        host: Option<Moref> = "host",
        disk: Vec<VirtualMachineRelocateSpecDiskLocator> = "disk",
        transform: Option<String> = "transform",
        device_change: Vec<VirtualDeviceConfigSpec> = "deviceChange",
        /// The storage policy of its own files.
        profile: Vec<VirtualMachineProfileSpec> = "profile",
    }

    /// Changes of the configuration; what is absent stays as it is.
    VirtualMachineConfigSpec {
        change_version: Option<String> = "changeVersion",
        name: Option<String> = "name",
        version: Option<String> = "version",
        uuid: Option<String> = "uuid",
        instance_uuid: Option<String> = "instanceUuid",
        guest_id: Option<String> = "guestId",
        annotation: Option<String> = "annotation",
        files: Option<Element> = "files",
        tools: Option<Element> = "tools",
        flags: Option<Element> = "flags",
        num_cpus: Option<i32> = "numCPUs",
        num_cores_per_socket: Option<i32> = "numCoresPerSocket",
        memory_mb: Option<i64> = "memoryMB",
        memory_hot_add_enabled: Option<bool> = "memoryHotAddEnabled",
        cpu_hot_add_enabled: Option<bool> = "cpuHotAddEnabled",
        device_change: Vec<VirtualDeviceConfigSpec> = "deviceChange",
        /// An empty value removes the key.
        extra_config: Vec<OptionValue> = "extraConfig",
        boot_options: Option<VirtualMachineBootOptions> = "bootOptions",
        /// `bios` or `efi`.
        firmware: Option<String> = "firmware",
        nested_hv_enabled: Option<bool> = "nestedHVEnabled",
    }

    /// How a virtual machine starts; what is absent stays as it is.
    VirtualMachineBootOptions {
        efi_secure_boot_enabled: Option<bool> = "efiSecureBootEnabled",
    }

    /// A question that keeps a virtual machine from going on.
    VirtualMachineQuestionInfo {
        id: String = "id",
        text: String = "text",
        choice: ChoiceOption = "choice",
    }

    /// The answers that may be given.
    ChoiceOption {
        value_is_readonly: Option<bool> = "valueIsReadonly",
        choice_info: Vec<ElementDescription> = "choiceInfo",
        default_index: Option<i32> = "defaultIndex",
    }

    /// One answer.
    ElementDescription {
        label: String = "label",
        summary: String = "summary",
        key: String = "key",
    }

    /// The snapshots of a virtual machine.
    VirtualMachineSnapshotInfo {
        current_snapshot: Option<Moref> = "currentSnapshot",
        root_snapshot_list: Vec<VirtualMachineSnapshotTree> = "rootSnapshotList",
    }

    /// A snapshot with those made after it.
    VirtualMachineSnapshotTree {
        snapshot: Moref = "snapshot",
        vm: Moref = "vm",
        name: String = "name",
        description: String = "description",
        id: Option<i32> = "id",
        create_time: String = "createTime",
        state: PowerState = "state",
        quiesced: bool = "quiesced",
        backup_manifest: Option<String> = "backupManifest",
        child_snapshot_list: Vec<VirtualMachineSnapshotTree> = "childSnapshotList",
        replay_supported: Option<bool> = "replaySupported",
    }
}

words! {
    /// Whether a virtual machine runs.
    PowerState = "VirtualMachinePowerState" {
        On = "poweredOn",
        Off = "poweredOff",
        Suspended = "suspended",
    }
}

impl From<Description> for ElementDescription {
    fn from(d: Description) -> Self {
        ElementDescription { label: d.label, summary: d.summary, key: String::new() }
    }
}

methods! {
    /// Clones a virtual machine or template.
    write CloneVmTask = "CloneVM_Task" {
        folder: Moref = "folder",
        name: String = "name",
        spec: VirtualMachineCloneSpec = "spec",
    } -> Moref;
    /// Changes the configuration.
    write ReconfigVmTask = "ReconfigVM_Task" { spec: VirtualMachineConfigSpec = "spec", } -> Moref;
    /// Upgrades the virtual hardware.
    write UpgradeVmTask = "UpgradeVM_Task" { version: Option<String> = "version", } -> Moref;
    /// Powers on.
    write PowerOnVmTask = "PowerOnVM_Task" { host: Option<Moref> = "host", } -> Moref;
    /// Powers off, hard.
    write PowerOffVmTask = "PowerOffVM_Task" {} -> Moref;
    /// Resets, hard.
    write ResetVmTask = "ResetVM_Task" {} -> Moref;
    /// Asks the guest to shut down; returns at once.
    write ShutdownGuest = "ShutdownGuest" {} -> ();
    /// Asks the guest to restart; returns at once.
    write RebootGuest = "RebootGuest" {} -> ();
    /// Makes a template of a powered-off virtual machine.
    write MarkAsTemplate = "MarkAsTemplate" {} -> ();
    /// Makes a virtual machine of a template.
    write MarkAsVirtualMachine = "MarkAsVirtualMachine" {
        pool: Moref = "pool",
        host: Option<Moref> = "host",
    } -> ();
    /// Renames any managed entity.
    write RenameTask = "Rename_Task" { new_name: String = "newName", } -> Moref;
    /// Deletes any managed entity, with its files.
    write DestroyTask = "Destroy_Task" {} -> Moref;
    /// Moves entities into a folder.
    write MoveIntoFolderTask = "MoveIntoFolder_Task" { list: Vec<Moref> = "list", } -> Moref;
    /// Makes a folder.
    write CreateFolder = "CreateFolder" { name: String = "name", } -> Moref;
    /// Makes a snapshot.
    write CreateSnapshotTask = "CreateSnapshot_Task" {
        name: String = "name",
        description: Option<String> = "description",
        memory: bool = "memory",
        quiesce: bool = "quiesce",
    } -> Moref;
    /// Deletes a snapshot.
    write RemoveSnapshotTask = "RemoveSnapshot_Task" {
        remove_children: bool = "removeChildren",
        consolidate: Option<bool> = "consolidate",
    } -> Moref;
    /// Goes back to a snapshot.
    write RevertToSnapshotTask = "RevertToSnapshot_Task" {
        host: Option<Moref> = "host",
        suppress_power_on: Option<bool> = "suppressPowerOn",
    } -> Moref;
    /// Answers a pending question.
    write AnswerVm = "AnswerVM" {
        question_id: String = "questionId",
        answer_choice: String = "answerChoice",
    } -> ();
}
