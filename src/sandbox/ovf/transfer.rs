//! The files of leases, on the hosts' port.

use std::fs::File;
use std::io::Seek;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use hyper::{Method as Verb, Response, StatusCode};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt;
use tokio_util::io::ReaderStream;

use crate::sandbox::guests::Head;
use crate::sandbox::http::{Answered, Body, Dropped, Request, body, plain};
use crate::sandbox::plan::Effect;
use crate::sandbox::server::Server;
use crate::vsphere::wire::{HttpNfcLeaseManifestEntry, HttpNfcLeaseState, Moref};

/// Where they are: lease and file follow.
pub(in crate::sandbox) const PATH: &str = "/nfc/";
/// What a VMDK for streams begins with.
const VMDK: &[u8] = b"KDMV";
const CHUNK: usize = 64 << 10;

/// Answers a request for one.
pub(in crate::sandbox) async fn handle(server: Arc<Server>, request: Request) -> Answered {
    let path = request.uri().path().strip_prefix(PATH).unwrap_or_default().to_owned();
    let (lease, name) = path.split_once('/').unwrap_or_default();
    let lease = Moref::new("HttpNfcLease", lease);
    let verb = request.method().clone();
    server.count(&format!("{verb} nfc"));
    let (mut lose, mut cut) = (false, false);
    for effect in server.strike(&format!("{verb} nfc")) {
        match effect {
            Effect::DropBefore => return Err(Dropped),
            Effect::DropAfter => lose = true,
            Effect::CutShort => cut = true,
            Effect::Unavailable => {
                return Ok(plain(StatusCode::SERVICE_UNAVAILABLE, "503 Service Unavailable (injected)\n"));
            }
            Effect::DiskFull => {
                return Ok(plain(StatusCode::INTERNAL_SERVER_ERROR, "no space left on the datastore\n"));
            }
            Effect::Slow(time) => tokio::time::sleep(time).await,
            _ => return Ok(plain(StatusCode::INTERNAL_SERVER_ERROR, "the transfer failed (injected)\n")),
        }
    }
    let found = {
        let state = server.lock();
        let held = state.leases.get(&lease).filter(|held| held.state == HttpNfcLeaseState::Ready);
        held.and_then(|held| Some((held.imports, held.files.iter().find(|file| file.name == name)?.clone())))
    };
    let Some((imports, file)) = found else {
        return Ok(plain(StatusCode::NOT_FOUND, "there is no such file, or its lease is over\n"));
    };
    let response = match (verb, file.content) {
        (Verb::POST | Verb::PUT, _) if imports => match put(&server, request, &lease, name, cut).await {
            Ok(()) => Response::new(body(Bytes::new())),
            Err(None) => return Err(Dropped),
            Err(Some(why)) => plain(StatusCode::INTERNAL_SERVER_ERROR, &format!("{why}\n")),
        },
        (Verb::GET, Some(content)) if !imports => match get(&server, &lease, &content, cut) {
            Ok(response) => response,
            Err(e) => plain(StatusCode::INTERNAL_SERVER_ERROR, &format!("the disk can't be read: {e}\n")),
        },
        _ => plain(StatusCode::METHOD_NOT_ALLOWED, "the lease is for the other direction\n"),
    };
    if lose { Err(Dropped) } else { Ok(response) }
}

/// Takes a file. None: the connection is to break.
async fn put(server: &Server, request: Request, lease: &Moref, name: &str, cut: bool) -> Result<(), Option<String>> {
    let unwritable = |e: std::io::Error| Some(format!("the disk can't be written: {e}"));
    let length = request.headers().get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
    let file = NamedTempFile::new().map_err(unwritable)?;
    let mut sink = tokio::fs::File::from_std(file.reopen().map_err(unwritable)?);
    let mut content = request.into_body();
    let mut received = 0u64;
    let (mut sha1, mut sha256) = (Sha1::new(), Sha256::new());
    loop {
        let frame = tokio::time::timeout(server.config.patience, content.frame()).await;
        let Some(frame) = frame.map_err(|_| Some("the rest of the disk doesn't come".to_owned()))? else { break };
        let frame = frame.map_err(|e| Some(format!("the request broke off: {e}")))?;
        let Ok(chunk) = frame.into_data() else { continue };
        received += chunk.len() as u64;
        sha1.update(&chunk);
        sha256.update(&chunk);
        server.renew_lease(lease);
        if cut && length.is_none_or(|length: u64| received * 2 >= length) {
            return Err(None);
        }
        sink.write_all(&chunk).await.map_err(unwritable)?;
    }
    sink.flush().await.map_err(unwritable)?;
    drop(sink);
    if length.is_some_and(|length| length != received) {
        return Err(Some(format!("{received} bytes arrived, and {} were announced", length.unwrap_or_default())));
    }
    let head = what(server, file.as_file()).map_err(Some)?;
    if let Some(held) = server.lock().leases.get_mut(lease)
        && let Some(own) = held.files.iter_mut().find(|own| own.name == name)
    {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        own.entry = Some(HttpNfcLeaseManifestEntry {
            sha1: hex(&sha1.finalize()),
            checksum: Some(hex(&sha256.finalize())),
            checksum_type: Some("sha256".to_owned()),
            size: i64::try_from(received).unwrap_or(i64::MAX),
            disk: true,
            ..HttpNfcLeaseManifestEntry::default()
        });
        own.head = head;
        own.content = own.head.is_some().then(|| Arc::new(file));
    }
    Ok(())
}

/// What a disk that has come is: layers, or a VMDK that is dropped.
fn what(server: &Server, mut file: &File) -> Result<Option<Head>, String> {
    let unreadable = |e: std::io::Error| format!("the disk can't be read: {e}");
    let mut magic = [0; 4];
    file.rewind().map_err(unreadable)?;
    let read = std::io::Read::read(&mut file, &mut magic).map_err(unreadable)?;
    file.rewind().map_err(unreadable)?;
    if magic.get(..read) == Some(VMDK) {
        return Ok(None);
    }
    let head = Head::read(file).map_err(|why| format!("the disk is neither a VMDK for streams nor layers: {why}"))?;
    let known = head.template == crate::sandbox::DEFAULT_TEMPLATE
        || server.config.templates.iter().any(|(name, _)| *name == head.template);
    match known {
        true => Ok(Some(head)),
        false => Err(format!("the disk's layers lie on a template `{}`, which this sandbox lacks", head.template)),
    }
}

fn get(server: &Arc<Server>, lease: &Moref, content: &NamedTempFile, cut: bool) -> std::io::Result<Response<Body>> {
    let own = content.reopen()?;
    let size = own.metadata()?.len();
    let (server, lease) = (Arc::clone(server), lease.clone());
    let mut sent = 0u64;
    let frames = ReaderStream::with_capacity(tokio::fs::File::from_std(own), CHUNK).and_then(move |chunk| {
        sent += chunk.len() as u64;
        server.renew_lease(&lease);
        let broken = cut && sent * 2 >= size;
        let frame = if broken { Err(std::io::Error::other("cut short")) } else { Ok(Frame::data(chunk)) };
        std::future::ready(frame)
    });
    let mut response = Response::new(BodyExt::boxed(StreamBody::new(frames)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(size));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-vnd.vmware-streamVmdk"));
    Ok(response)
}
