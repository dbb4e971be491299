//! The network of a guest, by the kernel's own messages: links, addresses, and what changes.

use super::{NicReport, NicSpec};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};

const DONE: u16 = 3;
const NEW_LINK: u16 = 16;
const GET_LINK: u16 = 18;
const NEW_ADDRESS: u16 = 20;
const GET_ADDRESS: u16 = 22;
const REQUEST: u16 = 0x1;
const ACKNOWLEDGE: u16 = 0x4;
const DUMP: u16 = 0x300;
const CREATE_NEW: u16 = 0x400 | 0x200;

/// Attributes of links and addresses; some numbers mean one thing for one and another for the other.
const ADDRESS: u16 = 1;
const LOCAL: u16 = 2;
const NAME: u16 = 3;
const LINK_INFO: u16 = 18;
const NAMESPACE: u16 = 28;
const KIND: u16 = 1;
const DATA: u16 = 2;
const PEER: u16 = 1;

const UP: u32 = 1;
const LOOPBACK: u32 = 8;
const RUNNING: u32 = 0x40;
/// An address that isn't known yet to be nobody else's.
const TENTATIVE: u8 = 0x40;
const LINK_GROUP: u32 = 1;
const IPV4_GROUP: u32 = 0x10;
const IPV6_GROUP: u32 = 0x100;

/// Turns the loopback interface on. It is number 1 in every network namespace.
pub fn loopback_up() -> io::Result<()> {
    exchange(NEW_LINK, 0, &link_header(1))
}

/// Gives another network namespace an interface that is up and has a carrier; its other end stays in this one under
/// the name `end`, up and without an address. To the guest it is an Ethernet card.
pub fn add_pair(name: &str, mac: Option<[u8; 6]>, namespace: &OwnedFd, end: &str) -> io::Result<()> {
    let mut body = named_link(name, mac);
    attribute(&mut body, NAMESPACE, &namespace.as_raw_fd().to_ne_bytes());
    let (mut data, mut info) = (Vec::new(), Vec::new());
    // It can't be up before both are there.
    let mut peer = vec![0; 16];
    attribute(&mut peer, NAME, &[end.as_bytes(), &[0]].concat());
    attribute(&mut data, PEER, &peer);
    attribute(&mut info, KIND, b"veth");
    attribute(&mut info, DATA, &data);
    attribute(&mut body, LINK_INFO, &info);
    exchange(NEW_LINK, CREATE_NEW, &body)?;
    exchange(NEW_LINK, 0, &link_header(index(end)?))
}

/// Adds an interface that leads nowhere.
pub fn add_dummy(name: &str, mac: Option<[u8; 6]>) -> io::Result<()> {
    let mut body = named_link(name, mac);
    let mut info = Vec::new();
    attribute(&mut info, KIND, b"dummy");
    attribute(&mut body, LINK_INFO, &info);
    exchange(NEW_LINK, CREATE_NEW, &body)
}

/// Gives the guest whose namespaces these are the interfaces that it lacks and, where that is wanted, their addresses.
/// What this kernel can't make, a guest doesn't have.
pub fn complete(nics: &[NicSpec], addresses: bool) -> io::Result<()> {
    for (number, nic) in nics.iter().enumerate() {
        let name = nic_name(number);
        if index(&name).is_err() && add_dummy(&name, nic.mac).is_err() {
            continue;
        }
        if let Some((ip, prefix)) = nic.address.filter(|_| addresses) {
            let mut body = vec![if ip.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 }.to_ne_bytes()[0], prefix];
            body.extend([0, 0]);
            body.extend(index(&name)?.to_ne_bytes());
            attribute(&mut body, LOCAL, &octets(ip));
            attribute(&mut body, ADDRESS, &octets(ip));
            exchange(NEW_ADDRESS, CREATE_NEW, &body)?;
        }
    }
    Ok(())
}

/// The name of a network card in the guest, counted from 0.
pub fn nic_name(number: usize) -> String {
    format!("eth{number}")
}

fn index(name: &str) -> io::Result<u32> {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    Ok(rustix::net::netdevice::name_to_index(&socket, name)?)
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

/// A socket that can be read when a link or an address has changed.
pub fn changes() -> io::Result<OwnedFd> {
    let socket = socket(SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
    rustix::net::bind(&socket, &SocketAddrNetlink::new(0, LINK_GROUP | IPV4_GROUP | IPV6_GROUP))?;
    Ok(socket)
}

/// Takes all that a socket of [`changes`] tells: it matters only that something changed.
pub fn take_changes(socket: &OwnedFd) {
    // An overrun is an error once, and says that something changed, too.
    while !matches!(
        rustix::net::recv(socket, &mut [0_u8; 4096][..], RecvFlags::TRUNC),
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::BADF)
    ) {}
}

/// The interfaces of this network namespace but loopback ones, with their addresses.
pub fn nics() -> io::Result<Vec<NicReport>> {
    let mut found: Vec<(u32, NicReport)> = Vec::new();
    for message in dump(GET_LINK, &link_header(0))? {
        let (Some(index), Some(flags), Some(rest)) = (word(&message, 4), word(&message, 8), message.get(16..)) else {
            continue;
        };
        if flags & LOOPBACK != 0 {
            continue;
        }
        let mut nic = NicReport {
            name: String::new(),
            mac: None,
            up: flags & UP != 0 && flags & RUNNING != 0,
            addresses: vec![],
        };
        for (kind, value) in attributes(rest) {
            match kind {
                NAME => nic.name = String::from_utf8_lossy(value).trim_end_matches('\0').to_owned(),
                ADDRESS => nic.mac = value.try_into().ok(),
                _ => {}
            }
        }
        found.push((index, nic));
    }
    found.sort_by_key(|(index, _)| *index);
    for message in dump(GET_ADDRESS, &[0; 8])? {
        let (&[_, prefix, flags, _, ..], Some(index)) = (message.as_slice(), word(&message, 4)) else { continue };
        let Some((_, nic)) = found.iter_mut().find(|(number, _)| *number == index) else { continue };
        let mut ip = None;
        for (kind, value) in attributes(message.get(8..).unwrap_or_default()) {
            // On a link between two points the address is the other side's, and LOCAL this one's.
            if kind == LOCAL || kind == ADDRESS && ip.is_none() {
                let v4 = <[u8; 4]>::try_from(value).ok().map(IpAddr::from);
                ip = v4.or_else(|| <[u8; 16]>::try_from(value).ok().map(IpAddr::from));
            }
        }
        if let Some(ip) = ip.filter(|_| flags & TENTATIVE == 0) {
            nic.addresses.push((ip, prefix));
        }
    }
    Ok(found.into_iter().map(|(_, nic)| nic).collect())
}

/// `struct ifinfomsg` of an interface that is to be up.
fn link_header(index: u32) -> Vec<u8> {
    let mut header = vec![0; 4];
    header.extend(index.to_ne_bytes());
    header.extend(UP.to_ne_bytes());
    header.extend(UP.to_ne_bytes());
    header
}

fn named_link(name: &str, mac: Option<[u8; 6]>) -> Vec<u8> {
    let mut body = link_header(0);
    attribute(&mut body, NAME, &[name.as_bytes(), &[0]].concat());
    if let Some(mac) = mac {
        attribute(&mut body, ADDRESS, &mac);
    }
    body
}

/// Appends an attribute, padded to four bytes.
fn attribute(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(value.len().saturating_add(4)).unwrap_or(u16::MAX);
    body.extend(length.to_ne_bytes());
    body.extend(kind.to_ne_bytes());
    body.extend(value);
    body.resize(body.len().next_multiple_of(4), 0);
}

/// The attributes in a piece of a message.
fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let &[a, b, c, d, ..] = bytes else { return None };
        let length = usize::from(u16::from_ne_bytes([a, b]));
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes([c, d]), value))
    })
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_ne_bytes)
}

fn socket(flags: SocketFlags) -> io::Result<OwnedFd> {
    // Protocol 0 is routing.
    Ok(rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?)
}

fn send(socket: &OwnedFd, kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
    let length = u32::try_from(body.len().saturating_add(16)).unwrap_or(u32::MAX);
    let mut message = length.to_ne_bytes().to_vec();
    message.extend(kind.to_ne_bytes());
    message.extend((REQUEST | flags).to_ne_bytes());
    message.extend([0; 8]);
    message.extend(body);
    rustix::net::send(socket, &message, SendFlags::empty())?;
    Ok(())
}

/// Sends a request and takes the kernel's acknowledgement.
fn exchange(kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
    let socket = socket(SocketFlags::CLOEXEC)?;
    send(&socket, kind, ACKNOWLEDGE | flags, body)?;
    let mut answer = [0_u8; 256];
    let (_, length) = rustix::net::recv(&socket, &mut answer[..], RecvFlags::empty())?;
    // A header of 16 bytes, then the negated error number; 0 is success.
    let code = answer.get(16..20).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes);
    match code {
        Some(0) if length >= 20 => Ok(()),
        Some(code) if length >= 20 => Err(io::Error::from_raw_os_error(code.saturating_neg())),
        _ => Err(io::Error::other("the kernel's answer is too short")),
    }
}

/// Asks for all of a kind; the bodies of the answers.
fn dump(kind: u16, body: &[u8]) -> io::Result<Vec<Vec<u8>>> {
    let socket = socket(SocketFlags::CLOEXEC)?;
    send(&socket, kind, DUMP, body)?;
    let mut found = Vec::new();
    let mut buffer = vec![0_u8; 32 << 10];
    loop {
        let (_, length) = rustix::net::recv(&socket, &mut buffer[..], RecvFlags::empty())?;
        let mut rest = buffer.get(..length).unwrap_or_default();
        while let (Some(size), Some(&[a, b])) = (word(rest, 0), rest.get(4..6)) {
            let answer = u16::from_ne_bytes([a, b]);
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            let Some(message) = rest.get(16..size) else { return Err(io::Error::other("a cut answer of the kernel")) };
            // 2 is an error.
            if answer == DONE || answer == 2 {
                return Ok(found);
            }
            found.push(message.to_vec());
            rest = rest.get(size.next_multiple_of(4)..).unwrap_or_default();
        }
        if length == 0 {
            return Ok(found);
        }
    }
}
