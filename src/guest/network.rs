//! Scripts that give a guest its address and name.

use std::net::IpAddr;

use ipnet::IpNet;

/// What configures the guest's network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum NetworkMethod {
    /// What the guest has, in the order NetworkManager, netplan, ifupdown.
    #[default]
    Auto,
    /// NetworkManager, through `nmcli`.
    Nmcli,
    /// A file below /etc/netplan.
    Netplan,
    /// /etc/network/interfaces.
    Ifupdown,
}

/// The address that one network interface is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// None: from DHCP.
    pub address: Option<IpNet>,
    /// Default gateway.
    pub gateway: Option<IpAddr>,
    /// Name servers.
    pub dns: Vec<IpAddr>,
    /// Search domains.
    pub search: Vec<String>,
    /// The interface, by name. None: by [`Address::nic`].
    pub device: Option<String>,
    /// Which interface, from 1, in the order of their numbers in the guest.
    pub nic: u32,
}

/// A POSIX script, for root, that gives an interface its address, now and after each boot, and fails unless the
/// address is seen on the interface in the end. Running it twice does no harm.
pub fn network_script(_method: NetworkMethod, _address: &Address) -> String {
    String::new()
}

/// A POSIX script, for root, that gives the guest its host name, now and after each boot. Running it twice does no harm.
pub fn hostname_script(_name: &str) -> String {
    String::new()
}
