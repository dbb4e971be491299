//! HTTPS: accepting connections, and what a request and an answer are.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::server::Server;

/// A body of an answer: whole or a stream.
pub(super) type Body = BoxBody<Bytes, io::Error>;
/// A request as it comes.
pub(super) type Request = hyper::Request<Incoming>;

/// Ends the connection without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is dropped")]
pub(super) struct Dropped;

/// What answers requests.
pub(super) type Answered = Result<Response<Body>, Dropped>;

/// A whole body.
pub(super) fn body(content: impl Into<Bytes>) -> Body {
    Full::new(content.into()).map_err(|never: Infallible| match never {}).boxed()
}

/// An answer of text.
pub(super) fn answer(status: StatusCode, kind: &'static str, content: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(body(content));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// An answer of plain text.
pub(super) fn plain(status: StatusCode, content: &str) -> Response<Body> {
    answer(status, "text/plain; charset=utf-8", content.to_owned())
}

/// Reads a request's body, up to that many bytes, as long as some come within `patience`.
pub(super) async fn read(request: Request, limit: usize, patience: Duration) -> Result<Bytes, Response<Body>> {
    let mut body = Limited::new(request.into_body(), limit);
    let mut content = BytesMut::new();
    loop {
        match tokio::time::timeout(patience, body.frame()).await {
            Ok(None) => return Ok(content.freeze()),
            Ok(Some(Ok(frame))) => {
                if let Ok(piece) = frame.into_data() {
                    content.extend_from_slice(&piece);
                }
            }
            Ok(Some(Err(e))) => {
                return Err(plain(StatusCode::PAYLOAD_TOO_LARGE, &format!("the request can't be read: {e}\n")));
            }
            Err(_) => return Err(plain(StatusCode::REQUEST_TIMEOUT, "the rest of the request doesn't come\n")),
        }
    }
}

/// Accepts connections until the server closes; `handle` answers each request.
pub(super) async fn serve<H, F>(server: Arc<Server>, listener: TcpListener, acceptor: TlsAcceptor, handle: H)
where
    H: Fn(Arc<Server>, Request, SocketAddr) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Answered> + Send + 'static,
{
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = server.closing.cancelled() => return,
        };
        let Ok((stream, peer)) = accepted else {
            // Out of descriptors, most likely: the next try may find some.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (acceptor, handle, connected) = (acceptor.clone(), handle.clone(), server.clone());
        server.background.spawn(async move {
            // Small answers must not wait for more to come.
            let _ = stream.set_nodelay(true);
            let patience = connected.config.patience;
            let shaken = tokio::time::timeout(patience, acceptor.accept(stream));
            let Ok(Ok(stream)) = shaken.await else { return };
            let closing = connected.closing.clone();
            let service = service_fn(move |request| handle(connected.clone(), request, peer));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(patience)
                .serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                // A connection that breaks is the client's business.
                _ = connection => {}
                () = closing.cancelled() => {}
            }
        });
    }
}
