//! What goes over the wire: XML, SOAP envelopes, hand-written vim25 types (only those used), and faults.
//!
//! Every type is declared once and serves both directions, so that the client and a server share it.

mod customize;
mod declare;
mod device;
mod envelope;
mod fault;
mod fields;
mod guest;
mod ovf;
mod policy;
mod property;
mod service;
mod soap;
mod value;
mod vm;
pub mod xml;

#[cfg(test)]
mod tests;

pub use customize::*;
pub use device::*;
pub use envelope::*;
pub use fault::{Fault, LocalizableMessage, bases_of};
pub use fields::*;
pub use guest::*;
pub use ovf::*;
pub use policy::*;
pub use property::*;
pub use service::*;
pub use soap::{
    Method, Reply, Request, Service, fault_document, parse_reply, parse_request, request_document, response_document,
    service_document,
};
pub use value::{Any, Field, Moref, Value, WireError};
pub use vm::*;
pub use xml::{Element, Limits, XmlError};
