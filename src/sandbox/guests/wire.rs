//! What tool, warden and guests' inits say to each other.
//!
//! Every request has a connection of its own: the asker makes a socket pair, sends a request into one end and hands
//! the other end over on a long-lived control socket. Answers come back on the same connection, which closes when
//! there is no more to say. Nothing needs numbering, and a process that dies closes its connections.
//!
//! A frame is its length (32 bits, little endian) and JSON; descriptors travel with the length.

use super::{
    Attributes, BootSpec, Ended, Error, Exit, Facts, FileInfo, GuestId, Ids, LayerId, LayerInfo, NetworkReport,
    NewName, Parent, ProcessInfo, User,
};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

/// Longest frame taken from the other side, in bytes.
pub const MAX_FRAME: usize = 64 << 20;
/// Most descriptors that travel with one frame.
const MAX_DESCRIPTORS: usize = 4;
/// Marks a connection handed over on a control socket.
pub const CONNECTION: u8 = b'c';
/// Marks a connection whose request init itself answers, not a helper.
pub const FOR_INIT: u8 = b'i';

/// What the tool tells the janitor first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Start {
    pub state: Option<PathBuf>,
    pub store_bytes: Option<u64>,
    pub ids: Option<Ids>,
}

/// What the tool asks the warden.
#[derive(Debug, Serialize, Deserialize)]
pub enum Ask {
    Start(Start),
    AddTemplate {
        name: String,
        source: Source,
    },
    NewLayer {
        parent: Parent,
    },
    Freeze {
        layer: LayerId,
    },
    Copy {
        layer: LayerId,
    },
    Delete {
        layer: LayerId,
    },
    /// Writes what lies on a template down to it, into a file that travels along.
    Pack {
        parent: Parent,
    },
    /// Fills a fresh layer with one of those that a file holds, which travels along.
    Unpack {
        layer: LayerId,
        number: u32,
    },
    Layers,
    /// With the guest's end of its control socket. Answered by `Booted` and, when it ends, by `Ended`.
    Boot {
        layer: LayerId,
        spec: BootSpec,
    },
    Stop {
        guest: GuestId,
    },
}

/// A template's source; a tar archive travels as a descriptor.
#[derive(Debug, Serialize, Deserialize)]
pub enum Source {
    Host,
    Directory(PathBuf),
    Tar,
}

/// What the tool asks a guest.
#[derive(Debug, Serialize, Deserialize)]
pub enum GuestAsk {
    Exec(ExecAsk),
    Kill {
        user: String,
        pid: u32,
        signal: i32,
    },
    Processes,
    User {
        name: String,
    },
    File {
        user: String,
        op: FileOp,
    },
    /// For init itself: tell of the network, now and whenever it changes.
    Watch,
    /// For init itself: end, after letting processes end for so many milliseconds.
    Shutdown {
        grace_ms: u64,
    },
}

/// A program to run. Descriptors: one that tells of failure to execute, then the standard ones that are given.
#[derive(Debug, Serialize, Deserialize)]
pub struct ExecAsk {
    pub program: String,
    pub argv: Vec<String>,
    pub env: Vec<(String, String)>,
    pub cwd: Option<String>,
    pub user: String,
    pub new_session: bool,
    pub given: [bool; 3],
}

/// A file operation.
#[derive(Debug, Serialize, Deserialize)]
pub enum FileOp {
    OpenRead { path: String },
    OpenWrite { path: String, overwrite: bool, mode: u32 },
    Stat { path: String },
    List { path: String },
    MakeDir { path: String, parents: bool, mode: u32 },
    RemoveFile { path: String },
    RemoveDir { path: String, recursive: bool },
    Rename { from: String, to: String, overwrite: bool },
    SetAttributes { path: String, attributes: Attributes },
    MakeTempDir(NewName),
    MakeTempFile(NewName),
}

/// Every answer, of the warden and of guests.
#[derive(Debug, Serialize, Deserialize)]
pub enum Answer {
    Done,
    Facts(Facts),
    Layer(LayerId),
    Layers(Vec<LayerInfo>),
    Booted(GuestId),
    Ended(Ended),
    Started(u32),
    Exit(Exit),
    Info(FileInfo),
    List(Vec<FileInfo>),
    Processes(Vec<ProcessInfo>),
    User(User),
    Network(NetworkReport),
    Path(String),
    Failed(Error),
}

/// Encodes a frame.
pub fn encode(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, message)?;
    let length = u32::try_from(frame.len().saturating_sub(4)).map_err(io::Error::other)?;
    if let Some(head) = frame.first_chunk_mut() {
        *head = length.to_le_bytes();
    }
    Ok(frame)
}

/// Decodes the length at the head of a frame.
pub fn frame_length(head: [u8; 4]) -> io::Result<usize> {
    let length = usize::try_from(u32::from_le_bytes(head)).map_err(io::Error::other)?;
    if length > MAX_FRAME { Err(io::Error::other("a message is too long")) } else { Ok(length) }
}

/// Sends bytes with descriptors; how many bytes went.
pub fn send_some(socket: impl AsFd, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::other("too many descriptors for one message"));
    }
    Ok(sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?)
}

/// Receives bytes and descriptors; how many bytes came, 0 at the end.
pub fn receive_some(socket: impl AsFd, bytes: &mut [u8], descriptors: &mut Vec<OwnedFd>) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let message = recvmsg(socket, &mut [IoSliceMut::new(bytes)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = part {
            descriptors.extend(received);
        }
    }
    if message.flags.contains(ReturnFlags::CTRUNC) {
        return Err(io::Error::other("descriptors were lost: too many are open"));
    }
    Ok(message.bytes)
}

/// Sends a message, waiting as needed.
pub fn send(socket: &UnixStream, message: &impl Serialize, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let frame = encode(message)?;
    let sent = send_some(socket, &frame, descriptors)?;
    (&*socket).write_all(frame.get(sent..).unwrap_or_default())
}

/// Sends a message unless that would mean waiting; for those that must never wait. Whether it went: whoever doesn't
/// read the few bytes of an answer gets none.
pub fn send_at_once(socket: &UnixStream, message: &impl Serialize) -> bool {
    encode(message).is_ok_and(|frame| {
        rustix::net::send(socket, &frame, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) == Ok(frame.len())
    })
}

/// Receives a message, waiting as needed; None at the end.
pub fn receive<T: DeserializeOwned>(socket: &UnixStream) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let (mut head, mut descriptors) = ([0; 4], Vec::new());
    let got = receive_some(socket, &mut head, &mut descriptors)?;
    if got == 0 {
        return Ok(None);
    }
    (&*socket).read_exact(head.get_mut(got..).unwrap_or_default())?;
    let mut body = vec![0; frame_length(head)?];
    (&*socket).read_exact(&mut body)?;
    Ok(Some((serde_json::from_slice(&body)?, descriptors)))
}

/// Takes a connection from a control socket: its mark and itself; None at the end.
pub fn accept(control: &UnixStream) -> io::Result<Option<(u8, UnixStream)>> {
    let (mut mark, mut descriptors) = ([0], Vec::new());
    if receive_some(control, &mut mark, &mut descriptors)? == 0 {
        return Ok(None);
    }
    let connection = descriptors.pop().ok_or_else(|| io::Error::other("a connection without a descriptor"))?;
    Ok(Some((mark[0], connection.into())))
}
