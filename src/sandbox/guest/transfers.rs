//! Transfers: files to and from guests, by HTTPS to the hosts, with URLs that are good for one use.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::TryStreamExt;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Body as _, Frame};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use hyper::{Method as Verb, Response, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::io::ReaderStream;

use super::{Access, absolute, files};
use crate::sandbox::faults::{Answer, file, invalid_argument, of_file, permission_denied};
use crate::sandbox::guests::{Attributes, FileInfo, FileKind, Files, User};
use crate::sandbox::http::{Answered, Dropped, Request, body, plain};
use crate::sandbox::plan::Effect;
use crate::sandbox::server::{Call, Server, lock};
use crate::vsphere::wire::{
    FileTransferInformation, GuestFileAttributes, InitiateFileTransferFromGuest, InitiateFileTransferToGuest, Moref,
};

/// How long a URL is good for.
const VALID: Duration = Duration::from_secs(600);
/// Where transfers are, on the hosts.
const PATH: &str = "/guestFile";
const CHUNK: usize = 64 << 10;

/// Transfers that were begun and not yet made.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Transfers {
    open: Mutex<HashMap<String, Transfer>>,
}

#[derive(Debug)]
struct Transfer {
    vm: Moref,
    begun: Instant,
    files: Files,
    path: String,
    work: Work,
}

#[derive(Debug)]
enum Work {
    Put { size: u64, overwrite: bool, attributes: Attributes },
    Get { file: std::fs::File, size: u64 },
}

impl Transfers {
    fn open(&self, transfer: Transfer) -> String {
        let token = crate::sandbox::random_hex(26);
        let mut open = lock(&self.open);
        open.retain(|_, t| t.begun.elapsed() < VALID);
        open.insert(token.clone(), transfer);
        token
    }

    fn take(&self, token: &str) -> Option<Transfer> {
        lock(&self.open).remove(token).filter(|t| t.begun.elapsed() < VALID)
    }

    /// A machine's power has changed: its URLs are void.
    pub fn forget(&self, vm: &Moref) {
        lock(&self.open).retain(|_, t| t.vm != *vm);
    }
}

/// Whether an account may do something to a file, by its permission bits.
fn may(user: &User, info: &FileInfo, bit: u32) -> bool {
    let shift = match () {
        () if user.uid == 0 => return true,
        () if info.uid == user.uid => 6,
        () if info.gid == user.gid || user.groups.contains(&info.gid) => 3,
        () => 0,
    };
    info.mode >> shift & bit == bit
}

/// `InitiateFileTransferToGuest`.
pub(super) async fn to_guest(server: &Server, call: &Call, access: &Access) -> Answer<String> {
    let request: InitiateFileTransferToGuest = call.read()?;
    let path = request.guest_file_path;
    absolute(&path, "guestFilePath")?;
    let size = u64::try_from(request.file_size).map_err(|_| invalid_argument("fileSize"))?;
    let given = match &request.file_attributes {
        // The attributes may be empty, but they must be there.
        GuestFileAttributes::Other(element) if element.name.is_empty() => {
            return Err(invalid_argument("fileAttributes"));
        }
        given => files::attributes(given, access.windows.is_some())?,
    };
    let files = access.guest.files(&access.user.name);
    match files.stat(&path).await {
        Ok(info) => match info.kind {
            FileKind::Symlink | FileKind::Directory | FileKind::Other => return Err(invalid_argument("guestFilePath")),
            FileKind::File if !request.overwrite => return Err(file("FileAlreadyExists", &path)),
            FileKind::File if !may(&access.user, &info, 2) => return Err(permission_denied()),
            FileKind::File => {}
        },
        Err(error) if error.io_kind() == Some(std::io::ErrorKind::NotFound) => {
            let (parent, name) = path.rsplit_once('/').unwrap_or(("", &path));
            if name.is_empty() {
                return Err(invalid_argument("guestFilePath"));
            }
            let info = files.stat(&format!("{parent}/.")).await.map_err(|e| of_file(&e, &path))?;
            if !may(&access.user, &info, 3) {
                return Err(permission_denied());
            }
        }
        Err(error) => return Err(of_file(&error, &path)),
    }
    let work = Work::Put { size, overwrite: request.overwrite, attributes: given };
    Ok(url(server, call, access, files, path, work))
}

/// `InitiateFileTransferFromGuest`.
pub(super) async fn from_guest(server: &Server, call: &Call, access: &Access) -> Answer<FileTransferInformation> {
    let path = call.read::<InitiateFileTransferFromGuest>()?.guest_file_path;
    absolute(&path, "guestFilePath")?;
    let files = access.guest.files(&access.user.name);
    let (file, info) = files.open_read(&path).await.map_err(|e| of_file(&e, &path))?;
    let attributes = files::described(&info, access.windows.is_some());
    let size = i64::try_from(info.size).unwrap_or(i64::MAX);
    let url = url(server, call, access, files, path, Work::Get { file, size: info.size });
    Ok(FileTransferInformation { attributes: Some(attributes), size, url })
}

/// Opens a transfer; its URL. It names the host as the client can reach it: by the name it reached the API by.
fn url(server: &Server, call: &Call, access: &Access, files: Files, path: String, work: Work) -> String {
    let transfer = Transfer { vm: access.vm.clone(), begun: Instant::now(), files, path, work };
    let token = server.transfers.open(transfer);
    let host = if call.host.is_empty() { "localhost" } else { &call.host };
    format!("https://{host}:{}{PATH}?id=1&token={token}", server.fixed.transfer_port)
}

/// Answers a request to the hosts' port.
pub(in crate::sandbox) async fn handle(server: Arc<Server>, request: Request, _: SocketAddr) -> Answered {
    if request.uri().path().starts_with(crate::sandbox::ovf::PATH) {
        return crate::sandbox::ovf::handle(server, request).await;
    }
    let token = request.uri().query().and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix("token=")));
    let wanted = request.uri().path() == PATH;
    let verb = request.method().clone();
    if !wanted || (verb != Verb::PUT && verb != Verb::GET) {
        return Ok(plain(StatusCode::NOT_FOUND, "there is nothing here\n"));
    }
    let token = token.unwrap_or_default().to_owned();
    let (mut lose, mut full, mut rate) = (false, false, None);
    server.count(&format!("{verb} guestFile"));
    for effect in server.strike(verb.as_str()) {
        match effect {
            Effect::DropBefore => return Err(Dropped),
            Effect::DropAfter => lose = true,
            Effect::Unavailable => {
                return Ok(plain(StatusCode::SERVICE_UNAVAILABLE, "503 Service Unavailable (injected)\n"));
            }
            Effect::DiskFull => full = true,
            Effect::Slow(time) => tokio::time::sleep(time).await,
            Effect::Rate(given) => rate = Some(given),
            Effect::ExpireSession
            | Effect::Fault(_)
            | Effect::NoPermission
            | Effect::ToolsAway
            | Effect::ToolsRestart(_)
            | Effect::TaskFault(_)
            | Effect::CutShort
            | Effect::Question => {
                server.transfers.take(&token);
                return Ok(plain(StatusCode::INTERNAL_SERVER_ERROR, "the transfer failed (injected)\n"));
            }
        }
    }
    let Some(transfer) = server.transfers.take(&token) else {
        return Ok(plain(StatusCode::NOT_FOUND, "the transfer's URL is not valid (any more)\n"));
    };
    if full {
        return Ok(plain(StatusCode::INTERNAL_SERVER_ERROR, "no space left on device\n"));
    }
    let Transfer { files, path, work, .. } = transfer;
    let response = match (verb, work) {
        (Verb::PUT, Work::Put { size, overwrite, attributes }) => {
            let pace = (server.config.patience, rate);
            match put(request, (&files, &path), size, overwrite, attributes, pace).await {
                Ok(()) => Response::new(body(Bytes::new())),
                Err((status, why)) => plain(status, &format!("{why}\n")),
            }
        }
        (Verb::GET, Work::Get { file, size }) => get(file, size, rate),
        _ => plain(StatusCode::METHOD_NOT_ALLOWED, "the transfer's URL is for the other direction\n"),
    };
    if lose { Err(Dropped) } else { Ok(response) }
}

type Refused = (StatusCode, String);

async fn put(
    request: Request,
    (files, path): (&Files, &str),
    size: u64,
    overwrite: bool,
    attributes: Attributes,
    (patience, rate): (Duration, Option<u64>),
) -> Result<(), Refused> {
    let failed = |why: String| (StatusCode::INTERNAL_SERVER_ERROR, why);
    let length =
        request.headers().get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
    match length {
        None if !request.body().is_end_stream() => {
            return Err((StatusCode::LENGTH_REQUIRED, "the request has no Content-Length".to_owned()));
        }
        // Real hosts can't write empty files.
        None | Some(0) => return Err(failed("an internal error occurred".to_owned())),
        Some(length) if length != size => {
            return Err(failed(format!("the request has {length} bytes, and {size} were announced")));
        }
        Some(_) => {}
    }
    let mode = attributes.mode.unwrap_or(0o644);
    let file = files.open_write(path, overwrite, mode).await.map_err(|e| failed(e.to_string()))?;
    let mut file = tokio::fs::File::from_std(file);
    let mut content = request.into_body();
    let mut received = 0u64;
    loop {
        let frame = tokio::time::timeout(patience, content.frame()).await;
        let Some(frame) = frame.map_err(|_| failed("the rest of the file doesn't come".to_owned()))? else { break };
        let frame = frame.map_err(|e| failed(format!("the request broke off: {e}")))?;
        if let Ok(chunk) = frame.into_data() {
            received += chunk.len() as u64;
            file.write_all(&chunk).await.map_err(|e| failed(e.to_string()))?;
            paced(rate, chunk.len()).await;
        }
    }
    file.flush().await.map_err(|e| failed(e.to_string()))?;
    drop(file);
    if received != size {
        return Err(failed(format!("{received} bytes arrived, and {size} were announced")));
    }
    let attributes = Attributes { mode: Some(mode), ..attributes };
    files.set_attributes(path, attributes).await.map_err(|e| failed(e.to_string()))
}

/// As long as so many bytes take, where that is limited.
async fn paced(rate: Option<u64>, bytes: usize) {
    match rate {
        None => {}
        Some(0) => std::future::pending().await,
        Some(rate) => tokio::time::sleep(Duration::from_secs_f64(bytes as f64 / rate as f64)).await,
    }
}

fn get(file: std::fs::File, size: u64, rate: Option<u64>) -> Response<crate::sandbox::http::Body> {
    let content = tokio::fs::File::from_std(file).take(size);
    let frames = ReaderStream::with_capacity(content, CHUNK).and_then(move |piece| async move {
        paced(rate, piece.len()).await;
        Ok(Frame::data(piece))
    });
    let mut response = Response::new(BodyExt::boxed(StreamBody::new(frames)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(size));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    response
}
