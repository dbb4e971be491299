//! How a sandbox is to be.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::guests::TemplateSource;
use super::plan::Rule;

/// The template that is always there: the host's own system.
pub const DEFAULT_TEMPLATE: &str = "linux";

/// How a sandbox is to be.
#[derive(Debug)]
pub struct Config {
    /// Where the API listens; port 0 takes a free one. Transfers get a free port at the same address.
    pub listen: SocketAddr,
    /// Templates by name, beside [`DEFAULT_TEMPLATE`] (which one of that name replaces).
    pub templates: Vec<(String, TemplateSource)>,
    /// Templates, among these, whose guests are taken for Windows.
    pub windows: Vec<String>,
    /// Accounts of guests with their passwords. Without any, every password is right for every account that the
    /// guest has.
    pub logins: Vec<(String, String)>,
    /// Who may log in to the API.
    pub username: String,
    /// With this password; empty makes one up.
    pub password: String,
    /// How long a guest takes from power-on to being ready for guest operations, in addition to what it really takes.
    pub boot_delay: Duration,
    /// How long after that the guest's address is reported.
    pub address_delay: Duration,
    /// How long a clone takes, in addition to what it really takes.
    pub clone_delay: Duration,
    /// How long processes may take to end when a guest shuts down, before they are killed.
    pub shutdown_grace: Duration,
    /// How often the agent in guests looks for processes that have ended.
    pub exit_poll: Duration,
    /// How long ended processes are remembered.
    pub exit_memory: Duration,
    /// How long a lease to send or fetch disks lives without a sign of life.
    pub lease_timeout: Duration,
    /// How long a session may be idle.
    pub session_idle: Duration,
    /// How long a client may take to shake hands, to send a request's head, and between two pieces of its body.
    pub patience: Duration,
    /// Most processes of a guest.
    pub guest_processes: u32,
    /// A directory that keeps everything across restarts; None keeps nothing.
    pub state: Option<PathBuf>,
    /// Whether guests run. Without, as on a system that has nothing to run them in, the first operation in one fails.
    pub guests: bool,
    /// The program to re-execute for guests; None is this one. A test names the built binary.
    pub executable: Option<PathBuf>,
    /// What goes wrong on purpose.
    pub faults: Vec<Rule>,
    /// Decides the faults that come by chance.
    pub seed: u64,
    /// Privileges that the account is said to lack; what needs them works nevertheless.
    pub withheld: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            templates: Vec::new(),
            windows: Vec::new(),
            logins: Vec::new(),
            username: "administrator@vsphere.local".to_owned(),
            password: String::new(),
            boot_delay: Duration::from_millis(100),
            address_delay: Duration::from_millis(50),
            clone_delay: Duration::ZERO,
            shutdown_grace: Duration::from_secs(5),
            exit_poll: Duration::from_millis(5),
            exit_memory: Duration::from_secs(300),
            lease_timeout: Duration::from_secs(300),
            session_idle: Duration::from_secs(30 * 60),
            patience: Duration::from_secs(30),
            guest_processes: 4096,
            state: None,
            guests: true,
            executable: None,
            faults: Vec::new(),
            seed: 0,
            withheld: Vec::new(),
        }
    }
}
