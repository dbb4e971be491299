//! ADDRESS and HOSTNAME by the distribution's own packages, through the real binary, in guests of the sandbox.
//!
//! What stands in for something is `systemctl` and `udevadm` where netplan asks for them: a guest of the sandbox has no
//! systemd. What netplan then starts is real.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // a test may

use crate::common;

use std::path::Path;

use common::site::{Sandbox, Site};
use common::{DEADLINE, Run, context, left_out, run, setting, vmwbuild};
use tempfile::TempDir;

/// Starts what NetworkManager needs, and NetworkManager.
const MANAGER: &str = "#!/bin/sh\nmkdir -p /run/dbus\ndbus-daemon --system --fork\nNetworkManager\n\
                       until nmcli -t -f RUNNING general | grep -qx running; do sleep 0.1; done 2>/dev/null\n";

/// Stands for systemd: starts and stops the two services that netplan has.
const SYSTEMCTL: &str = r#"#!/bin/sh
end() {
	[ -e "$1" ] || return 0
	pid=$(cat "$1")
	kill "$pid"
	while kill -0 "$pid"; do sleep 0.05; done
} 2>/dev/null
case "$*" in
"daemon-reload") ;;
"stop "*NetworkManager.service) end /run/NetworkManager/NetworkManager.pid ;;
"start "*NetworkManager.service) NetworkManager ;;
"restart systemd-networkd.service")
	end /run/networkd.pid
	mkdir -p /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp
	chown -R systemd-network:systemd-network /run/systemd/netif
	setsid /lib/systemd/systemd-networkd >/var/log/networkd.log 2>&1 </dev/null &
	echo $! >/run/networkd.pid
	;;
"--quiet is-"*|"is-"*) exit 1 ;;
esac
"#;

/// Serves DHCP behind a second interface of the guest.
const SERVER: &str = r#"#!/bin/sh
ip netns add server
ip link add lan0 type veth peer name lan1 netns server
ip link set lan0 up
inside() {
	# ip netns exec would mount a /sys, which a guest may not.
	nsenter --net=/run/netns/server "$@"
}
inside ip link set lan1 up
inside ip addr add 10.66.0.1/24 dev lan1
cat >/run/udhcpd.conf <<EOS
start 10.66.0.50
end 10.66.0.50
interface lan1
lease_file /run/udhcpd.leases
option subnet 255.255.255.0
option router 10.66.0.1
option dns 10.66.0.1
EOS
touch /run/udhcpd.leases
inside busybox udhcpd -S /run/udhcpd.conf
"#;

/// Prints what the guest's network is like.
const LOOK: &str = r"#!/bin/sh
for family in -4 -6; do
	ip $family -o addr show dev eth0 scope global | awk '{ print $2, $4 }'
	ip $family route show default | sed 's/ *\(proto\|metric\|pref\) [a-z0-9]*//g; s/ *onlink//; s/ *$//'
done
sed '/^#/d' /etc/resolv.conf
";

/// The root file system with the packages; None: tests that need what tests/setup makes are left out.
fn packages() -> Option<String> {
    if std::env::var_os("VMWBUILD_TEST_NETWORK_ROOT").is_none() && left_out() {
        return None;
    }
    Some(setting("VMWBUILD_TEST_NETWORK_ROOT"))
}

/// A VMWfile with stages that templates for the tests come from: `manager` with NetworkManager that runs, `plain` with
/// netplan and ifupdown, `classic` with ifupdown only.
fn project(text: &str) -> TempDir {
    let templates = "FROM net AS plain\nOUTPUT TEMPLATE t-plain\nCOPY --chmod=0755 look /usr/local/bin/look\n\
                     COPY --chmod=0755 systemctl /usr/local/sbin/systemctl\n\
                     RUN ln -s /bin/true /usr/local/sbin/udevadm && echo 'nameserver 10.0.0.1' > /etc/resolv.conf\n\
                     FROM plain AS manager\nOUTPUT TEMPLATE t-manager\nCOPY --chmod=0755 manager /etc/rc.local\n\
                     FROM plain AS classic\nOUTPUT TEMPLATE t-classic\nRUN rm /usr/sbin/netplan /usr/bin/nmcli\n";
    context(&[
        ("VMWfile", format!("{templates}{text}").as_str()),
        ("look", LOOK),
        ("manager", MANAGER),
        ("systemctl", SYSTEMCTL),
        ("server", SERVER),
    ])
}

fn build(root: &str, dir: &Path, target: &[&str]) -> Run {
    let template = format!("net={root}");
    let args = ["build", "--sandbox", "--progress", "plain", "--color", "never", "--sandbox-template", &template];
    run(vmwbuild(dir).args(args).args(target), DEADLINE)
}

/// Builds the stages; they must succeed.
fn built(text: &str, targets: &[&str]) -> Option<TempDir> {
    let root = packages()?;
    let dir = project(text);
    let targets: Vec<&str> = targets.iter().flat_map(|target| ["--target", target]).collect();
    let done = build(&root, dir.path(), &targets);
    assert_eq!(done.code, Some(0), "{done}");
    Some(dir)
}

fn read(dir: &TempDir, name: &str) -> String {
    std::fs::read_to_string(dir.path().join(name)).unwrap()
}

#[test]
fn network_manager_holds_an_address_over_a_restart_and_changes_it() {
    let text = "FROM manager AS first\nOUTPUT TEMPLATE t-first\n\
                ADDRESS 10.1.2.3/24 GATEWAY 10.1.2.1 DNS 9.9.9.9 2620:fe::fe SEARCH example.org lan\n\
                RUN look > /tmp/look\nFETCH /tmp/look first\nREBOOT\n\
                RUN n=0; until look | grep -q 10.1.2.3; do n=$((n + 1)); test $n -lt 100; sleep 0.1; done\n\
                FROM first AS second\nOUTPUT TEMPLATE t-second\nADDRESS fd00:1::5/64 GATEWAY fd00:1::1 DNS 2620:fe::fe\n\
                RUN look > /tmp/look && nmcli -t -f NAME connection show --active | grep eth0 >> /tmp/look\nFETCH /tmp/look second\n\
                FROM second AS third\nOUTPUT VM third\nADDRESS --method=nmcli 10.1.2.9/24 DEVICE eth0\n\
                RUN look > /tmp/look\nFETCH /tmp/look third\n";
    let Some(dir) = built(text, &["third"]) else { return };
    insta::assert_snapshot!(read(&dir, "first"), @r"
    eth0 10.1.2.3/24
    default via 10.1.2.1 dev eth0
    search example.org lan
    nameserver 9.9.9.9
    nameserver 2620:fe::fe
    ");
    insta::assert_snapshot!(read(&dir, "second"), @r"
    eth0 fd00:1::5/64
    default via fd00:1::1 dev eth0
    nameserver 2620:fe::fe
    vmwbuild-eth0
    ");
    insta::assert_snapshot!(read(&dir, "third"), @"eth0 10.1.2.9/24");
}

#[test]
fn ifupdown_is_found_where_there_is_nothing_else() {
    let text = "FROM classic AS first\nOUTPUT TEMPLATE t-first\n\
                ADDRESS 10.1.2.3/24 GATEWAY 10.1.2.1 DNS 9.9.9.9 2620:fe::fe SEARCH example.org lan\n\
                COPY --chmod=0755 <<EOS /etc/rc.local\n#!/bin/sh\nifup -a\nEOS\n\
                RUN look > /tmp/look\nFETCH /tmp/look first\nREBOOT\nRUN look > /tmp/look\nFETCH /tmp/look again\n\
                FROM first AS second\nOUTPUT VM second\nADDRESS fd00:1::5/64 GATEWAY fd00:1::1 DNS 2620:fe::fe\n\
                RUN look > /tmp/look && grep -A9 eth0 /etc/network/interfaces >> /tmp/look\nFETCH /tmp/look second\n";
    let Some(dir) = built(text, &["second"]) else { return };
    insta::assert_snapshot!(read(&dir, "first"), @r"
    eth0 10.1.2.3/24
    default via 10.1.2.1 dev eth0
    nameserver 9.9.9.9
    nameserver 2620:fe::fe
    search example.org lan
    ");
    assert_eq!(read(&dir, "again"), read(&dir, "first"));
    insta::assert_snapshot!(read(&dir, "second"), @r"
    eth0 fd00:1::5/64
    default via fd00:1::1 dev eth0
    nameserver 2620:fe::fe
    auto eth0
    iface eth0 inet6 static
        address fd00:1::5
        netmask 64
        gateway fd00:1::1
        dns-nameservers 2620:fe::fe
    ");
}

#[test]
fn netplan_is_found_where_network_manager_does_not_run() {
    // networkd writes no resolv.conf of its own: it tells resolved, which isn't here.
    let text = "FROM plain AS first\nOUTPUT TEMPLATE t-first\n\
                ADDRESS 10.1.2.3/24 GATEWAY 10.1.2.1 DNS 9.9.9.9 2620:fe::fe SEARCH example.org lan\n\
                RUN look > /tmp/look && netplan get >> /tmp/look && ls /run/systemd/network >> /tmp/look\n\
                FETCH /tmp/look first\n\
                FROM first AS second\nOUTPUT VM second\nADDRESS fd00:1::5/64 GATEWAY fd00:1::1 DNS 2620:fe::fe\n\
                RUN look > /tmp/look && grep DNS /run/systemd/network/* >> /tmp/look\nFETCH /tmp/look second\n";
    let Some(dir) = built(text, &["second"]) else { return };
    insta::assert_snapshot!(read(&dir, "first"), @r#"
    eth0 10.1.2.3/24
    default via 10.1.2.1 dev eth0
    nameserver 10.0.0.1
    network:
      version: 2
      ethernets:
        eth0:
          addresses:
          - "10.1.2.3/24"
          nameservers:
            addresses:
            - 9.9.9.9
            - 2620:fe::fe
            search:
            - example.org
            - lan
          dhcp4: false
          routes:
          - to: "0.0.0.0/0"
            via: "10.1.2.1"
    10-netplan-eth0.network
    "#);
    insta::assert_snapshot!(read(&dir, "second"), @r"
    eth0 fd00:1::5/64
    default via fd00:1::1 dev eth0
    nameserver 10.0.0.1
    DNS=2620:fe::fe
    ");
}

#[test]
fn netplan_tells_network_manager_where_it_is_the_renderer() {
    let text = "FROM manager AS base\nOUTPUT TEMPLATE t-base\n\
                COPY --chmod=0600 <<EOS /etc/netplan/01-network-manager-all.yaml\n\
                network:\n  version: 2\n  renderer: NetworkManager\nEOS\n\
                FROM base AS app\nOUTPUT VM app\n\
                ADDRESS --method=netplan 10.1.2.3/24 GATEWAY 10.1.2.1 DNS 9.9.9.9 SEARCH example.org\n\
                RUN look > /tmp/look && nmcli -t -f NAME connection show --active | grep eth0 >> /tmp/look\n\
                FETCH /tmp/look app\n";
    let Some(dir) = built(text, &["app"]) else { return };
    insta::assert_snapshot!(read(&dir, "app"), @r"
    eth0 10.1.2.3/24
    default via 10.1.2.1 dev eth0
    search example.org
    nameserver 9.9.9.9
    netplan-eth0
    ");
}

#[test]
fn a_lease_is_taken_from_a_server_on_the_device_that_is_named() {
    let text = "FROM classic AS base\nOUTPUT TEMPLATE t-base\nCOPY --chmod=0755 server /etc/rc.local\n\
                FROM base AS app\nOUTPUT VM app\nADDRESS DHCP DEVICE lan0\n\
                RUN ip -4 -o addr show dev lan0 | awk '{ print $2, $4 }' > /tmp/look\nFETCH /tmp/look app\n\
                FROM manager AS base2\nOUTPUT TEMPLATE t-base2\nCOPY --chmod=0755 server /etc/server\n\
                RUN echo /etc/server >> /etc/rc.local\n\
                FROM base2 AS app2\nOUTPUT VM app2\nADDRESS DHCP DEVICE lan0\n\
                RUN ip -4 -o addr show dev lan0 | awk '{ print $2, $4 }' > /tmp/look\nFETCH /tmp/look app2\n";
    let Some(dir) = built(text, &["app", "app2"]) else { return };
    assert_eq!(read(&dir, "app"), "lan0 10.66.0.50/24\n");
    assert_eq!(read(&dir, "app2"), "lan0 10.66.0.50/24\n");
}

#[test]
fn another_machine_uses_the_address_and_the_name() {
    let text = "FROM classic AS web FOR n IN 1..2\nOUTPUT VM web-${{ n }}\nADDRESS 10.1.2.${{ 10 + n }}/24\n\
                HOSTNAME web${{ n }}.example.org\n\
                RUN test \"$(hostname)\" = web${{ n }}.example.org && grep -v '^#' /etc/hosts > /tmp/hosts\n\
                FETCH /tmp/hosts hosts-${{ n }}\n\
                FROM classic AS app\nOUTPUT VM app\n\
                RUN echo ${{ web.ip | join(\",\") }} ${{ web.hostname | join(\",\") }} > /tmp/known\n\
                FETCH /tmp/known known\n";
    let Some(dir) = built(text, &["app"]) else { return };
    assert_eq!(read(&dir, "known"), "10.1.2.11,10.1.2.12 web1.example.org,web2.example.org\n");
    insta::assert_snapshot!(read(&dir, "hosts-1"), @r"
    127.0.0.1	localhost
    127.0.1.1 web1.example.org web1
    ");
}

/// What is said when the network can't be configured. The machine's own lines only: where a build stops is timing.
#[test]
fn what_the_guest_cannot_do_is_told() {
    let Some(root) = packages() else { return };
    let text = "FROM plain AS device\nOUTPUT VM device\nADDRESS 10.1.2.3/24 DEVICE ens9\n\
                FROM plain AS lacking\nOUTPUT VM lacking\nADDRESS --method=nmcli 10.1.2.3/24\n\
                FROM classic AS absent\nOUTPUT VM absent\nADDRESS --method=netplan 10.1.2.3/24\n\
                FROM classic AS bare\nOUTPUT TEMPLATE t-bare\nRUN rm /sbin/ifup\n\
                FROM bare AS none\nOUTPUT VM none\nADDRESS 10.1.2.3/24\n\
                FROM classic AS refused\nOUTPUT VM refused\nADDRESS 10.1.2.3/24 GATEWAY 224.0.0.1\n\
                FROM classic AS unserved\nOUTPUT VM unserved\nADDRESS DHCP\n";
    let dir = project(text);
    let mut all = String::new();
    for (target, code) in [("device", 4), ("lacking", 4), ("absent", 4), ("none", 4), ("refused", 4), ("unserved", 4)] {
        let done = build(&root, dir.path(), &["--target", target]);
        assert_eq!(done.code, Some(code), "{target}: {done}");
        let said = done.stderr();
        let at = said.find("VMW340").unwrap();
        all += &format!("---- {target}\n{}\n", &said[at..]);
    }
    insta::assert_snapshot!(all);
}

#[test]
fn vcenter_learns_what_the_guest_has() {
    let Some(root) = packages() else { return };
    let template = format!("net={root}");
    let site = Site::Sandbox(Sandbox::start(&["--sandbox-template", &template]));
    let text = "FROM classic AS app\nOUTPUT VM app\nADDRESS 10.1.2.3/24\nHOSTNAME web.example.org\n\
                FROM net AS other\nOUTPUT VM other\nRUN true\n";
    let dir = project(text);
    site.built(dir.path(), &["--target", "app", "--target", "other"]);
    let collect = |vm: &str, what: &str| site.govc(&["object.collect", "-s", &format!("/DC0/vm/{vm}"), what]);
    assert_eq!(collect("app", "guest.ipAddress"), "10.1.2.3\n");
    assert_eq!(collect("app", "guest.hostName"), "web.example.org\n");
    assert_eq!(site.govc(&["vm.ip", "-a", "app"]).split(',').next().unwrap().trim(), "10.1.2.3");
    // Without ADDRESS it has the one that the sandbox gives, on the card whose MAC vCenter knows.
    let given = collect("other", "guest.ipAddress");
    assert!(given.starts_with("10.0."), "{given}");
    let seen = site.guest("other", "ip -o -4 addr show dev eth0; cat /sys/class/net/eth0/address");
    let mac = site.govc(&["device.info", "-json", "-vm", "other", "ethernet-0"]);
    assert!(seen.contains(&format!(" {}/8 ", given.trim())), "{seen}");
    assert!(mac.contains(seen.lines().last().unwrap()), "{mac}\n{seen}");
    // A change by hand is seen too.
    site.guest("other", "ip addr flush dev eth0; ip addr add 10.3.3.3/16 dev eth0");
    site.govc(&["object.collect", "/DC0/vm/other", "-guest.ipAddress", "10.3.3.3"]);
    let net = site.govc(&["object.collect", "-json", "/DC0/vm/other", "guest.net"]);
    let net: String = net.split_whitespace().collect();
    assert!(net.contains(r#""ipAddress":"10.3.3.3","prefixLength":16"#), "{net}");
}

/// As somebody who isn't root runs the sandbox: with one user id for all accounts of a guest.
#[test]
fn an_ordinary_user_gives_addresses_and_names_too() {
    let Some(root) = packages() else { return };
    if !rustix::process::geteuid().is_root() {
        // Whoever runs this is one: the other tests show the same.
        return;
    }
    // What lies in a template can be replaced by such a guest, but not changed in place.
    let text = "FROM net AS plain\nOUTPUT TEMPLATE t-plain\nRUN rm -f /usr/sbin/netplan /usr/bin/nmcli\n\
                FROM plain AS app\nOUTPUT VM app\nADDRESS 10.1.2.3/24 GATEWAY 10.1.2.1 DNS 10.1.2.2\n\
                HOSTNAME web.example.org\nCOPY --chmod=0755 look /usr/local/bin/look\nRUN look; hostname\n";
    let dir = context(&[("VMWfile", text), ("look", LOOK)]);
    // In a place of its own: the user may not look into root's directories.
    let place = tempfile::Builder::new().prefix("vmwbuild-user-").tempdir_in("/tmp").unwrap();
    let at = |name: &str| place.path().join(name);
    for name in ["home", "net"] {
        std::fs::create_dir(at(name)).unwrap();
    }
    std::fs::copy(env!("CARGO_BIN_EXE_vmwbuild"), at("vmwbuild")).unwrap();
    let moved = std::process::Command::new("cp").arg("-r").arg(dir.path()).arg(at("project")).status().unwrap();
    let owned =
        std::process::Command::new("chown").args(["-R", "12345:12345"]).arg(at("project")).arg(at("home")).status();
    assert!(moved.success() && owned.unwrap().success());
    let open = std::process::Command::new("chmod").arg("755").arg(place.path()).arg(at("vmwbuild")).status().unwrap();
    assert!(open.success());
    let mut command = std::process::Command::new("unshare");
    let script = "mount --bind \"$0\" \"$1/net\" && cd \"$1/project\" && exec setpriv --reuid 12345 --regid 12345 \
                  --clear-groups env -i PATH=\"$PATH\" HOME=\"$1/home\" \"$1/vmwbuild\" build --sandbox \
                  --progress plain --color never --target app --sandbox-template \"net=$1/net\"";
    command.args(["--mount", "sh", "-c", script, &root]).arg(place.path());
    let done = run(&mut command, DEADLINE);
    assert_eq!(done.code, Some(0), "{done}");
    let said = done.stderr();
    assert!(said.contains("note: this user has no subordinate ids"), "{said}");
    for line in ["eth0 10.1.2.3/24", "default via 10.1.2.1 dev eth0", "nameserver 10.1.2.2", "web.example.org"] {
        assert!(said.lines().any(|l| l.ends_with(&format!("| {line}"))), "no {line:?}: {done}");
    }
    assert!(done.stdout().contains("VM app  10.1.2.3"), "{done}");
}
