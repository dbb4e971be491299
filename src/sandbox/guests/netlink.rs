//! The few network settings of a guest: its loopback is up, and it may have an interface that leads nowhere.

use rustix::net::{AddressFamily, SocketFlags, SocketType};
use std::io;

const NEW_LINK: u16 = 16;
const NEW_ADDRESS: u16 = 20;
const REQUEST_WITH_ANSWER: u16 = 0x1 | 0x4;
const CREATE_NEW: u16 = 0x400 | 0x200;
const ADDRESS: u16 = 1;
const LOCAL: u16 = 2;
const NAME: u16 = 3;
const LINK_INFO: u16 = 18;
const KIND: u16 = 1;
const UP: u32 = 1;
const INET: u8 = 2;

/// Turns the loopback interface on. It is number 1 in every network namespace.
pub fn loopback_up() -> io::Result<()> {
    exchange(NEW_LINK, 0, &link_header(1))
}

/// Adds an interface of kind `dummy` and turns it on.
pub fn add_dummy(name: &str, mac: Option<[u8; 6]>, address: Option<([u8; 4], u8)>) -> io::Result<()> {
    let mut body = link_header(0);
    let mut name_bytes = name.as_bytes().to_vec();
    name_bytes.push(0);
    attribute(&mut body, NAME, &name_bytes);
    if let Some(mac) = mac {
        attribute(&mut body, ADDRESS, &mac);
    }
    let mut kind = Vec::new();
    attribute(&mut kind, KIND, b"dummy");
    attribute(&mut body, LINK_INFO, &kind);
    exchange(NEW_LINK, CREATE_NEW, &body)?;
    let Some((ip, prefix)) = address else { return Ok(()) };
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    let index = rustix::net::netdevice::name_to_index(&socket, name)?;
    let mut body = vec![INET, prefix, 0, 0];
    body.extend(index.to_ne_bytes());
    attribute(&mut body, LOCAL, &ip);
    attribute(&mut body, ADDRESS, &ip);
    exchange(NEW_ADDRESS, CREATE_NEW, &body)
}

/// `struct ifinfomsg` of an interface that is to be up.
fn link_header(index: u32) -> Vec<u8> {
    let mut header = vec![0; 4];
    header.extend(index.to_ne_bytes());
    header.extend(UP.to_ne_bytes());
    header.extend(UP.to_ne_bytes());
    header
}

/// Appends an attribute, padded to four bytes.
fn attribute(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(value.len().saturating_add(4)).unwrap_or(u16::MAX);
    body.extend(length.to_ne_bytes());
    body.extend(kind.to_ne_bytes());
    body.extend(value);
    body.resize(body.len().next_multiple_of(4), 0);
}

/// Sends a request and takes the kernel's acknowledgement.
fn exchange(kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
    let socket = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        None, // protocol 0 is routing
    )?;
    let length = u32::try_from(body.len().saturating_add(16)).unwrap_or(u32::MAX);
    let mut message = length.to_ne_bytes().to_vec();
    message.extend(kind.to_ne_bytes());
    message.extend((REQUEST_WITH_ANSWER | flags).to_ne_bytes());
    message.extend([0; 8]);
    message.extend(body);
    rustix::net::send(&socket, &message, rustix::net::SendFlags::empty())?;
    let mut answer = [0_u8; 256];
    let (_, length) = rustix::net::recv(&socket, &mut answer[..], rustix::net::RecvFlags::empty())?;
    // A header of 16 bytes, then the negated error number; 0 is success.
    let code = answer.get(16..20).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes);
    match code {
        Some(0) if length >= 20 => Ok(()),
        Some(code) if length >= 20 => Err(io::Error::from_raw_os_error(code.saturating_neg())),
        _ => Err(io::Error::other("the kernel's answer is too short")),
    }
}
