//! vSphere: what goes over the wire, and the client.

pub mod client;
pub mod codes;
pub mod wire;
