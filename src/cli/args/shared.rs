//! What several commands take: which VMWfile, which vCenter, where, as whom.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use clap_complete::ArgValueCompleter;

use crate::cli::complete;

/// Which VMWfile, and what it is given.
#[derive(Args, Debug, Clone, Default)]
pub(crate) struct Input {
    /// A directory (its VMWfile is built, COPY reads from it) or a VMWfile
    #[arg(value_name = "CONTEXT", default_value = ".")]
    pub(crate) context: PathBuf,

    /// The VMWfile, if it isn't CONTEXT/VMWfile; `-` reads standard input
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,

    /// Only this stage and what it needs; may be repeated
    #[arg(long = "target", value_name = "STAGE", add = ArgValueCompleter::new(complete::stages))]
    pub(crate) targets: Vec<String>,

    /// The value of an ARG; may be repeated. Also: VMWBUILD_ARG_name in the environment
    #[arg(long = "arg", value_name = "NAME=VALUE", add = ArgValueCompleter::new(complete::arg_names))]
    pub(crate) args: Vec<String>,

    /// A file of ARG values: `name = value` lines, TOML (.toml) or JSON (.json); may be repeated, later ones win
    #[arg(long = "args", value_name = "FILE")]
    pub(crate) arg_files: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) profile: Profile,
}

/// How machines are removed.
#[derive(Args, Debug, Clone, Default)]
pub(crate) struct Removal {
    /// Say what would be removed, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Don't ask
    #[arg(short = 'y', long)]
    pub(crate) yes: bool,
}

/// Which profile.
#[derive(Args, Debug, Clone, Default)]
pub(crate) struct Profile {
    /// Take ARGs, placement and vCenter from `[profile.NAME]` in vmwbuild.toml
    #[arg(long, value_name = "NAME", env = "VMWBUILD_PROFILE")]
    pub(crate) profile: Option<String>,
}

/// The vCenter. Each flag has a variable; the peers' variables are honoured after our own.
#[derive(Args, Debug, Default, Clone)]
#[command(next_help_heading = "vCenter")]
pub(crate) struct Connection {
    /// vCenter's address (`host`, `host:port`, `https://[user[:password]@]host[/sdk]`), or the name of a saved one
    /// [env: VMWBUILD_VCENTER, GOVC_URL, VSPHERE_SERVER, INFRAKIT_VSPHERE_VCURL]
    #[arg(long, value_name = "URL|NAME")]
    pub(crate) vcenter: Option<String>,

    /// The account [env: VMWBUILD_USERNAME, GOVC_USERNAME, VSPHERE_USER]
    #[arg(long, value_name = "USER")]
    pub(crate) username: Option<String>,

    /// A file with the password; asked for on a terminal if nothing gives it
    /// [env: VMWBUILD_PASSWORD_FILE, VMWBUILD_PASSWORD, GOVC_PASSWORD, VSPHERE_PASSWORD]
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,

    /// Don't verify the server's certificate at all; `--thumbprint` is safer
    /// [env: VMWBUILD_INSECURE, GOVC_INSECURE, VSPHERE_ALLOW_UNVERIFIED_SSL]
    #[arg(long)]
    pub(crate) insecure: bool,

    /// Accept the certificate with this SHA-256 or SHA-1 thumbprint though its CA is unknown
    /// [env: VMWBUILD_THUMBPRINT, GOVC_TLS_KNOWN_HOSTS]
    #[arg(long, value_name = "HEX")]
    pub(crate) thumbprint: Option<String>,

    /// Trust the certificate authorities in this PEM file too [env: VMWBUILD_CA, GOVC_TLS_CA_CERTS]
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
}

/// Placement of machines where the VMWfile's stages don't say. Each flag has a variable VMWBUILD_…, and GOVC_…
/// and INFRAKIT_VSPHERE_VC… are honoured.
#[derive(Args, Debug, Default, Clone)]
#[command(next_help_heading = "Placement, where the VMWfile's stages don't say")]
pub(crate) struct Placement {
    /// Datacenter [env: VMWBUILD_DATACENTER, GOVC_DATACENTER, INFRAKIT_VSPHERE_VCDATACENTER]
    #[arg(long, value_name = "NAME")]
    pub(crate) datacenter: Option<String>,
    /// Cluster [env: VMWBUILD_CLUSTER, GOVC_CLUSTER]
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster: Option<String>,
    /// ESXi host [env: VMWBUILD_HOST, GOVC_HOST, INFRAKIT_VSPHERE_VCHOST]
    #[arg(long, value_name = "NAME")]
    pub(crate) host: Option<String>,
    /// Resource pool [env: VMWBUILD_POOL, GOVC_RESOURCE_POOL]
    #[arg(long, value_name = "NAME")]
    pub(crate) pool: Option<String>,
    /// Datastore [env: VMWBUILD_DATASTORE, GOVC_DATASTORE, INFRAKIT_VSPHERE_VCDATASTORE]
    #[arg(long, value_name = "NAME")]
    pub(crate) datastore: Option<String>,
    /// VM folder [env: VMWBUILD_FOLDER, GOVC_FOLDER]
    #[arg(long, value_name = "PATH")]
    pub(crate) folder: Option<String>,
    /// Network or port group of the first NIC [env: VMWBUILD_NETWORK, GOVC_NETWORK, INFRAKIT_VSPHERE_VCNETWORK]
    #[arg(long, value_name = "NAME")]
    pub(crate) network: Option<String>,
}

/// The guest account where no stage has a LOGIN.
#[derive(Args, Debug, Default, Clone)]
#[command(next_help_heading = "Guest account, where the VMWfile's stages have no LOGIN")]
pub(crate) struct GuestLogin {
    /// The guest's user [env: VMWBUILD_LOGIN (user:password), GOVC_GUEST_LOGIN, INFRAKIT_VSPHERE_VMUSER]
    #[arg(long, value_name = "USER")]
    pub(crate) login: Option<String>,
    /// A file with that user's password [env: VMWBUILD_LOGIN_PASSWORD_FILE, INFRAKIT_VSPHERE_VMPASS]
    #[arg(long, value_name = "FILE", requires = "login")]
    pub(crate) login_password_file: Option<PathBuf>,
}

/// `--guest-channel`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GuestChannel {
    Auto,
    Vcenter,
    Transfer,
}
