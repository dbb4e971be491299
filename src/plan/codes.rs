//! What keeps a build from starting, apart from what vSphere itself reports.

use crate::diagnostic::{Code, Severity};

macro_rules! codes {
    ($($name:ident $number:literal $kebab:literal $($severity:ident)? $about:literal;)*) => {
        $(
            #[doc = $about]
            pub static $name: Code = Code {
                number: $number,
                name: $kebab,
                severity: codes!(@severity $($severity)?),
                about: $about,
                wrong: "",
                right: "",
            };
        )*
        /// All of them, by number.
        pub static ALL: &[&Code] = &[$(&$name),*];
    };
    (@severity) => { Severity::Error };
    (@severity $severity:ident) => { Severity::$severity };
}

codes! {
    PRIVILEGE_MISSING 660 "privilege-to-be-missed"
        "The account lacks a privilege that the build will use, so a task of the build would fail with NoPermission. \
         Only `vmwbuild plan` and `vmwbuild doctor` ask before; docs/settings.md lists what is needed.";
    OTHER_FAMILY 661 "other-family"
        "The guest of the source is of another family than `FROM --os` says, or a customization specification is for \
         another one: commands for a POSIX shell don't run in Windows, nor the other way round.";
    NO_SPACE 662 "no-space"
        "The datastore that the build would write to has less free space than the clones take, or isn't accessible. A \
         full clone takes what its source's files take now; a linked clone next to nothing; a machine that is powered \
         on a swap file as large as its memory.";
    NO_HOST 663 "no-host"
        "None of the hosts where the machine could run is connected and out of maintenance mode.";
    LITTLE_SPACE 664 "little-space" Warning
        "The datastore has room for the clones as they are made, but not for all that their thin disks may grow to.";
    SOURCE_RUNS 665 "source-runs" Warning
        "A VM that is powered on is cloned as its disks are at that moment, as after a power failure. File systems \
         recover from that, but a database may not.";
    NO_TOOLS 666 "no-tools" Warning
        "vCenter has no record of VMware Tools in the source: either they aren't installed, and then no command can be \
         run in a clone of it, or it never ran in this vCenter.";
    NO_TRANSFERS 667 "no-transfers" Warning
        "File transfers go straight to the ESXi host that runs a machine, on TCP 443, and from here that doesn't work \
         for some hosts. Commands, their output and small files go through vCenter and work nevertheless.";
    DEVICES_DIFFER 668 "devices-differ"
        "DISK and NIC name a device by the number of its label in vCenter (`Hard disk 1`, `Network adapter 1`), and the \
         source has none of that number; or a disk would shrink, which vSphere can't, or lies on a snapshot, so that it \
         can't grow.";
    TAG_MISFIT 669 "tag-misfit"
        "A tag can't be a machine's: its category is for other kinds of objects, or allows one tag an object and the \
         machine would have two.";
    ITEM_MISFIT 719 "library-item-misfit"
        "A content library or an item of it can't be used so: machines are made of items with an OVF or a VM template, an OVF \
         has only the properties and configurations that vCenter tells of it, \
         OUTPUT LIBRARY leaves OVF items and, with `--type=template`, VM templates, and a subscribed library takes none.";
    OVA_UNUSABLE 728 "ova-unusable"
        "The file that a FROM names can't be used as an OVA: it isn't there, it is something else (a web server's error \
         page, a compressed archive), it ends in the middle, it lacks a file that its descriptor names, or a file in it \
         is another than its manifest says. A manifest's signature isn't looked at.";
    OVA_MISFIT 729 "ova-misfit"
        "An OVA can't be imported as the FROM says: it holds several machines, has no such property or configuration, has \
         a licence agreement that nobody has accepted, or vCenter refuses its descriptor.";
    KEPT_SILENT 720 "kept-machine-silent"
        "A machine is there, and `OUTPUT --exists=keep` leaves it as it is; but a machine that is to be made needs a key, an \
         address or a file of it, and it can't be asked: it is powered off or a template, or what it gave isn't there any \
         more (`KEY … FROM FILE … DELETE`).";
    NAME_TAKEN 691 "name-taken"
        "There is already a machine or template of the name that an OUTPUT gives, in the same folder. \
         `OUTPUT --exists=replace` swaps it for the new one once everything is built, and `--exists=keep` leaves it as it \
         is and makes only what isn't there.";
    NO_SNAPSHOT 694 "no-snapshot"
        "A linked clone shares the disks of a snapshot, and `FROM --snapshot` clones from one: the source has none, or none \
         of the name given.";
}
