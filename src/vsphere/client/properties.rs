//! Reading properties.
use std::collections::BTreeMap;

use super::error::Result;
use super::session::Client;
use crate::vsphere::wire::{Any, Moref, Value};

/// Properties of one object, by path. What is unset on the server is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Properties {
    /// The values.
    pub values: BTreeMap<String, Any>,
}

impl Properties {
    /// A property, if it is set and readable as a `T`.
    pub fn get<T: Value>(&self, path: &str) -> Option<T> {
        self.values.get(path).and_then(|v| v.get().ok())
    }

    /// A list property; empty when unset.
    pub fn list<T: Value>(&self, path: &str) -> Vec<T> {
        self.values.get(path).and_then(|v| v.list().ok()).unwrap_or_default()
    }

    /// A text property.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.values.get(path).map(Any::text)
    }
}

impl Client {
    /// Properties of one object, in one request.
    pub async fn properties(&self, _object: &Moref, _paths: &[&str]) -> Result<Properties> {
        unimplemented!()
    }

    /// Properties of several objects of one kind, in one request (and more where the server pages). Objects that
    /// have vanished are left out.
    pub async fn properties_of(&self, _objects: &[Moref], _paths: &[&str]) -> Result<Vec<(Moref, Properties)>> {
        unimplemented!()
    }
}
