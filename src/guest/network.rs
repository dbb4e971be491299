//! Scripts that give a guest its address and name.

use std::fmt::Write;
use std::net::IpAddr;

use ipnet::IpNet;

use super::job::Body;
use super::quote;
use super::unix::squeeze;
use super::windows;

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
pub fn network_script(method: NetworkMethod, address: &Address) -> String {
    settings(method, address, "") + &squeeze(include_str!("unix/network.sh"))
}

/// What [`network_script`] is for Windows, where PowerShell does it.
pub fn windows_network(address: &Address) -> Body {
    let text = |ip: Option<String>| ip.unwrap_or_default();
    let family = match address.address {
        None => "dhcp",
        Some(IpNet::V4(_)) => "IPv4",
        Some(IpNet::V6(_)) => "IPv6",
    };
    let dns: Vec<String> = address.dns.iter().map(IpAddr::to_string).collect();
    windows::configured(
        &[
            ("device", text(address.device.clone())),
            ("nic", address.nic.max(1).to_string()),
            ("family", family.to_owned()),
            ("address", text(address.address.map(|net| net.addr().to_string()))),
            ("prefix", text(address.address.map(|net| net.prefix_len().to_string()))),
            ("gateway", text(address.gateway.map(|ip| ip.to_string()))),
            ("dns", dns.join(" ")),
            ("search", address.search.join(" ")),
        ],
        include_str!("windows/network.ps1"),
    )
}

/// What [`hostname_script`] is for Windows: it ends with 3010 when a restart is needed for the name to count.
pub fn windows_hostname(name: &str) -> Body {
    windows::configured(&[("name", name.to_owned())], include_str!("windows/hostname.ps1"))
}

fn settings(method: NetworkMethod, address: &Address, conf: &str) -> String {
    let method = match method {
        NetworkMethod::Auto => "auto",
        NetworkMethod::Nmcli => "nmcli",
        NetworkMethod::Netplan => "netplan",
        NetworkMethod::Ifupdown => "ifupdown",
    };
    let words = |v4: bool| {
        let list: Vec<String> = address.dns.iter().filter(|ip| ip.is_ipv4() == v4).map(IpAddr::to_string).collect();
        list.join(" ")
    };
    let family = match address.address {
        None => "dhcp",
        Some(IpNet::V4(_)) => "4",
        Some(IpNet::V6(_)) => "6",
    };
    let text = |value: Option<String>| value.unwrap_or_default();
    let netmask = address.address.map(|net| match net {
        IpNet::V4(net) => net.netmask().to_string(),
        IpNet::V6(net) => net.prefix_len().to_string(),
    });
    let mut script = String::new();
    for (name, value) in [
        ("method", method.to_owned()),
        ("dev", text(address.device.clone())),
        ("nic", address.nic.max(1).to_string()),
        ("family", family.to_owned()),
        ("address", text(address.address.map(|net| net.addr().to_string()))),
        ("prefix", text(address.address.map(|net| net.prefix_len().to_string()))),
        ("netmask", text(netmask)),
        ("gateway", text(address.gateway.map(|ip| ip.to_string()))),
        ("dns4", words(true)),
        ("dns6", words(false)),
        ("search", address.search.join(" ")),
        ("conf", conf.to_owned()),
    ] {
        let _ = writeln!(script, "{name}={}", quote(&value));
    }
    script
}

/// A POSIX script, for root, that gives the guest its host name, now and after each boot. Running it twice does no harm.
pub fn hostname_script(name: &str) -> String {
    named(name, "")
}

fn named(name: &str, conf: &str) -> String {
    format!("name={}\nconf={}\n{}", quote(name), quote(conf), squeeze(include_str!("unix/hostname.sh")))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::process::Command;

    use super::*;

    /// Every program that would change this machine's network. In a test they are functions, which stand before what is
    /// on PATH and before busybox's own, and call what the test has in their place; what it hasn't fails.
    const DANGEROUS: [&str; 9] =
        ["ip", "nmcli", "netplan", "ifup", "ifdown", "resolvconf", "systemctl", "hostnamectl", "hostname"];

    /// Programs that say that they were called, and a directory in the place of the root.
    fn stage(tools: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a directory");
        for sub in ["bin", "etc/netplan", "etc/network/interfaces.d"] {
            fs::create_dir_all(dir.path().join(sub)).expect("a directory");
        }
        for name in DANGEROUS {
            let body = tools.iter().find(|(tool, _)| *tool == name).map_or("exit 1", |(_, body)| body);
            let text = format!("d={}\necho \"{name} $*\" >>$d/calls\n{body}\n", dir.path().display());
            fs::write(dir.path().join("bin").join(name), text).expect("a program");
        }
        dir
    }

    fn run(dir: &Path, script: &str, shell: &[&str]) -> (i32, String) {
        let (program, args) = shell.split_first().expect("a shell");
        let mut guarded = String::new();
        for name in DANGEROUS {
            let _ = writeln!(guarded, "{name}() {{\n/bin/sh {}/bin/{name} \"$@\"\n}}", dir.display());
        }
        guarded.push_str(script);
        let output = Command::new(program).args(args).arg("-c").arg(guarded).output().expect("a shell");
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    const SHELLS: [&[&str]; 3] = [&["dash"], &["bash"], &["busybox", "sh"]];
    /// An interface that every machine has, with an address that it has.
    fn loopback() -> Address {
        Address {
            address: Some("127.0.0.1/8".parse().expect("a network")),
            gateway: Some("127.0.0.254".parse().expect("an address")),
            dns: vec!["9.9.9.9".parse().expect("an address"), "2620:fe::fe".parse().expect("an address")],
            search: vec!["example.com".into(), "local".into()],
            device: Some("lo".into()),
            nic: 1,
        }
    }

    /// What `ip` says.
    const IP: (&str, &str) = ("ip", "echo '1: lo    inet 127.0.0.1/8 scope host lo'");

    #[test]
    fn ifupdown_gets_one_stanza_however_often() {
        for shell in SHELLS {
            let dir = stage(&[IP, ("ifup", ""), ("ifdown", ""), ("resolvconf", "")]);
            let file = dir.path().join("etc/network/interfaces");
            let old = "# by hand\nauto lo eth0\niface lo inet dhcp\n    hostname x\niface eth0 inet dhcp\n\nsource /etc/network/interfaces.d/*\n";
            fs::write(&file, old).expect("written");
            let script = settings(NetworkMethod::Ifupdown, &loopback(), &dir.path().display().to_string())
                + &squeeze(include_str!("unix/network.sh"));
            for _ in 0..2 {
                assert_eq!(run(dir.path(), &script, shell), (0, String::new()), "{shell:?}");
                insta::allow_duplicates! {
                    insta::assert_snapshot!(fs::read_to_string(&file).expect("there"), @r"
                    # by hand
                    auto eth0
                    iface eth0 inet dhcp

                    source /etc/network/interfaces.d/*
                    auto lo
                    iface lo inet static
                        address 127.0.0.1
                        netmask 255.0.0.0
                        gateway 127.0.0.254
                        dns-nameservers 9.9.9.9 2620:fe::fe
                        dns-search example.com local
                    ");
                }
            }
        }
    }

    #[test]
    fn netplan_gets_a_file_and_addresses_of_others_go() {
        for shell in SHELLS {
            let dir = stage(&[IP, ("netplan", "")]);
            let plans = dir.path().join("etc/netplan");
            fs::write(plans.join("50-cloud-init.yaml"), "network:\n  ethernets:\n    lo:\n      dhcp4: true\n")
                .expect("written");
            fs::write(plans.join("60-old.yaml"), "network:\n  ethernets:\n    lo:\n      addresses: [10.1.1.1/8]\n")
                .expect("written");
            let script = settings(NetworkMethod::Netplan, &loopback(), &dir.path().display().to_string())
                + &squeeze(include_str!("unix/network.sh"));
            assert_eq!(run(dir.path(), &script, shell).0, 0, "{shell:?}");
            assert_eq!(run(dir.path(), &script, shell), (0, String::new()), "{shell:?}");
            assert!(plans.join("60-old.yaml.vmwbuild-saved").exists() && plans.join("50-cloud-init.yaml").exists());
            insta::allow_duplicates! {
                insta::assert_snapshot!(fs::read_to_string(plans.join("99-vmwbuild-lo.yaml")).expect("there"), @r#"
                network:
                  version: 2
                  ethernets:
                    lo:
                      dhcp4: false
                      addresses: ["127.0.0.1/8"]
                      routes: [{to: "0.0.0.0/0", via: "127.0.0.254"}]
                      nameservers:
                        addresses: ["9.9.9.9", "2620:fe::fe"]
                        search: ["example.com", "local"]
                "#);
            }
        }
    }

    #[test]
    fn network_manager_gets_a_connection_of_ours() {
        for shell in SHELLS {
            let nmcli = "case $* in *RUNNING*) echo running ;; 't connection show'*|'-t connection show'*) [ -e $d/added ] ;; *add*) touch $d/added ;; esac";
            let dir = stage(&[IP, ("nmcli", nmcli)]);
            let script = network_script(NetworkMethod::Auto, &loopback());
            assert_eq!(run(dir.path(), &script, shell), (0, String::new()), "{shell:?}");
            insta::allow_duplicates! {
                insta::assert_snapshot!(fs::read_to_string(dir.path().join("calls")).expect("there"), @r"
                nmcli -t -f RUNNING general
                nmcli -t -f RUNNING general
                nmcli -t connection show vmwbuild-lo
                nmcli connection add type ethernet con-name vmwbuild-lo ifname lo
                nmcli connection modify vmwbuild-lo connection.interface-name lo connection.autoconnect yes connection.autoconnect-priority 100 ipv4.dns 9.9.9.9 ipv4.dns-search example.com local ipv6.dns 2620:fe::fe ipv6.dns-search example.com local ipv4.method manual ipv4.addresses 127.0.0.1/8 ipv4.gateway 127.0.0.254 ipv6.method auto ipv6.addresses  ipv6.gateway 
                nmcli --wait 60 connection up vmwbuild-lo
                ip -o addr show dev lo
                ");
            }
        }
    }

    #[test]
    fn what_cannot_be_done_is_told() {
        let dir = stage(&[IP]);
        let mut address = loopback();
        address.device = Some("nosuch0".into());
        let (code, said) = run(dir.path(), &network_script(NetworkMethod::Auto, &address), SHELLS[0]);
        assert!(code == 1 && said.starts_with("the guest has no network interface nosuch0; it has:"), "{said}");
    }

    #[test]
    fn a_name_is_written_once() {
        for shell in SHELLS {
            let dir = stage(&[]);
            fs::write(dir.path().join("etc/hosts"), "127.0.0.1 localhost\n127.0.1.1 old.example old\n")
                .expect("written");
            for _ in 0..2 {
                let script = named("web01.example.com", &dir.path().display().to_string());
                assert_eq!(run(dir.path(), &script, shell), (0, String::new()), "{shell:?}");
            }
            let read = |file: &str| fs::read_to_string(dir.path().join(file)).expect("there");
            assert_eq!(read("etc/hostname"), "web01.example.com\n");
            assert_eq!(read("etc/hosts"), "127.0.0.1 localhost\n127.0.1.1 web01.example.com web01\n");
        }
    }
}
