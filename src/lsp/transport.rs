//! Messages over a pair of streams. `lsp-server` has this too, but takes memory for as many bytes as a message says
//! that it has, and a client may say anything.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::thread::{self, JoinHandle};

use lsp_server::{Connection, Message};

/// The longest message. The text of the largest VMWfile, twice escaped, fits in.
const MAX_BYTES: u64 = 256 << 20;
/// The longest line of a header.
const MAX_LINE: u64 = 4096;

/// The threads that read and write.
pub struct Transport {
    reader: JoinHandle<io::Result<()>>,
    writer: JoinHandle<io::Result<()>>,
}

impl Transport {
    /// Waits until both have ended, which they do when the connection is dropped and the client has said `exit` or is
    /// gone.
    ///
    /// # Errors
    /// When the client can't be written to, or what it wrote were no messages.
    pub fn join(self) -> io::Result<()> {
        let gone = |_| io::Error::other("a thread has ended unexpectedly");
        // What went wrong first is most often in what was read.
        self.reader.join().map_err(gone)??;
        self.writer.join().map_err(gone)?
    }
}

/// A connection over two streams.
pub fn over(input: impl Read + Send + 'static, mut output: impl Write + Send + 'static) -> (Connection, Transport) {
    let (server, client) = Connection::memory();
    let Connection { sender, receiver } = client;
    let writer = thread::spawn(move || receiver.into_iter().try_for_each(|message| message.write(&mut output)));
    let reader = thread::spawn(move || {
        let mut input = BufReader::new(input);
        while let Some(message) = read(&mut input)? {
            let exit = matches!(&message, Message::Notification(n) if n.method == "exit");
            if sender.send(message).is_err() || exit {
                break;
            }
        }
        Ok(())
    });
    (server, Transport { reader, writer })
}

fn wrong(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// The next message; None at the end of the stream.
fn read(input: &mut impl BufRead) -> io::Result<Option<Message>> {
    let mut length: Option<u64> = None;
    loop {
        let mut line = Vec::new();
        let read = input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(None);
        }
        let line = String::from_utf8_lossy(&line);
        let Some(line) = line.strip_suffix('\n') else { return Err(wrong("a header without an end".to_owned())) };
        let line = line.trim_end_matches('\r');
        if line.is_empty() {
            break;
        }
        let Some((name, value)) = line.split_once(':') else { return Err(wrong(format!("`{line}` is no header"))) };
        if name.trim().eq_ignore_ascii_case("content-length") {
            let value = value.trim();
            let parsed = value.parse().ok().filter(|n| *n <= MAX_BYTES);
            length = Some(parsed.ok_or_else(|| wrong(format!("a message can't have {value} bytes")))?);
        }
    }
    let length = length.ok_or_else(|| wrong("a message without Content-Length".to_owned()))?;
    // Grows with what arrives.
    let mut body = Vec::new();
    input.by_ref().take(length).read_to_end(&mut body)?;
    if (body.len() as u64) < length {
        return Err(wrong("the last message is not complete".to_owned()));
    }
    serde_json::from_slice(&body).map(Some).map_err(|e| wrong(format!("a message is no JSON-RPC: {e}")))
}
