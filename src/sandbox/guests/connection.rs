//! The tool's end of connections: the same frames as in [`super::wire`], without blocking.

use super::wire::{self, Answer};
use super::{Error, Result};
use serde::Serialize;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::UnixStream;

/// A control socket: connections are handed over on it.
#[derive(Debug)]
pub struct Control(UnixStream);

/// A connection on which a request was sent.
#[derive(Debug)]
pub struct Connection(UnixStream);

impl Control {
    /// A control socket and the end for the other side.
    pub fn pair() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = blocking_pair()?;
        Ok((Self(ours), theirs))
    }

    /// Hands a new connection over and sends a request on it.
    pub async fn ask(&self, mark: u8, ask: &impl Serialize, descriptors: &[BorrowedFd<'_>]) -> io::Result<Connection> {
        let frame = wire::encode(ask)?;
        let (mut ours, theirs) = blocking_pair()?;
        write_some(&self.0, &[mark], &[theirs.as_fd()]).await?;
        drop(theirs);
        let sent = write_some(&ours, &frame, descriptors).await?;
        ours.write_all(frame.get(sent..).unwrap_or_default()).await?;
        Ok(Connection(ours))
    }
}

impl Connection {
    /// The next answer; None when the other side closed the connection or died.
    pub async fn next(&mut self) -> Result<Option<(Answer, Vec<OwnedFd>)>> {
        match self.read().await {
            Ok(answer) => Ok(answer),
            Err(error) if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => {
                Ok(None)
            }
            Err(error) => Err(Error::Internal(format!("an answer of the guests' side can't be read: {error}"))),
        }
    }

    async fn read(&mut self) -> io::Result<Option<(Answer, Vec<OwnedFd>)>> {
        let (mut head, mut descriptors) = ([0; 4], Vec::new());
        let got = loop {
            self.0.readable().await?;
            let attempt =
                self.0.try_io(Interest::READABLE, || wire::receive_some(&self.0, &mut head, &mut descriptors));
            match attempt {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => break other?,
            }
        };
        if got == 0 {
            return Ok(None);
        }
        self.0.read_exact(head.get_mut(got..).unwrap_or_default()).await?;
        let mut body = vec![0; wire::frame_length(head)?];
        self.0.read_exact(&mut body).await?;
        Ok(Some((serde_json::from_slice(&body)?, descriptors)))
    }
}

/// One end for tokio, and one to give away, which blocks.
fn blocking_pair() -> io::Result<(UnixStream, OwnedFd)> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    Ok((UnixStream::from_std(ours)?, theirs.into()))
}

async fn write_some(socket: &UnixStream, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
    loop {
        socket.writable().await?;
        match socket.try_io(Interest::WRITABLE, || wire::send_some(socket, bytes, descriptors)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // What the kernel says while too many descriptors are on their way; they arrive in a moment.
            Err(error) if error.raw_os_error() == Some(libc::ETOOMANYREFS) => tokio::task::yield_now().await,
            other => return other,
        }
    }
}
