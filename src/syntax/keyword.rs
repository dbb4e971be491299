//! The keywords. What each takes, and what is said of it, stands in the instruction table.

macro_rules! keywords {
    ($($name:ident)*) => {
        /// An instruction's keyword.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs)] // each is the keyword of that name
        pub enum Keyword {
            $($name,)*
        }

        impl Keyword {
            /// All of them, in the order in which they are documented.
            pub const ALL: &[Keyword] = &[$(Keyword::$name),*];
        }
    };
}

keywords! {
    Arg Secret Include From On Output Datacenter Cluster Host Pool Datastore Folder Network Cpu Memory Disk
    Nic Cdrom Hardware Config Annotation Label Tag Address Hostname Login User Workdir Env Shell Run Key Copy
    Fetch Reboot Wait Note Checkpoint Snapshot Seal OnFail Healthcheck OnRemove Serial
}
