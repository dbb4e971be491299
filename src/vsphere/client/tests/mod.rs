//! The client against a real HTTP server that misbehaves on purpose.

mod endpoints;
mod http;
mod lookups;
mod machines;
mod server;
mod tls;
mod waits;

use std::time::Duration;

use server::Server;

use super::{Client, Deadline, Error};

/// More than any of these tests needs.
fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(30))
}

async fn connect(server: &Server) -> Client {
    Client::connect(server.endpoint(), soon()).await.expect("a session")
}

/// Why no session can be had.
async fn failure(server: &Server) -> Error {
    Client::connect(server.endpoint(), soon()).await.map(|_| ()).expect_err("no session")
}
