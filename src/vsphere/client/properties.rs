//! Reading properties, page after page.

use std::collections::BTreeMap;

use super::error::{Error, Result};
use super::session::Client;
use crate::vsphere::wire::{
    Any, ContinueRetrievePropertiesEx, Fault, MissingProperty, Moref, ObjectContent, ObjectSpec, PropertyFilterSpec,
    PropertySpec, RetrieveOptions, RetrievePropertiesEx, Value,
};

/// Most pages of one retrieval; a server that never stops paging is broken.
const PAGES: usize = 100_000;

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

    /// The properties of a retrieved object.
    pub(super) fn of(content: ObjectContent) -> Self {
        Properties { values: content.prop_set.into_iter().map(|p| (p.name, p.val)).collect() }
    }
}

impl Client {
    /// Properties of one object, in one request. Fails when the account may not read one of them.
    pub async fn properties(&self, object: &Moref, paths: &[&str]) -> Result<Properties> {
        let found = self.retrieve(spec_of(std::slice::from_ref(object), paths)).await?;
        let content = found.into_iter().find(|c| c.obj == *object);
        let fault = |fault: Fault| Error::Fault {
            call: "RetrievePropertiesEx".to_owned(),
            object: object.clone(),
            fault: Box::new(fault),
        };
        let Some(content) = content else {
            let gone = Fault::new("ManagedObjectNotFound", "the object no longer exists");
            return Err(fault(gone.with("obj", object.clone())));
        };
        match content.missing_set.iter().find(|m| m.fault.is_a("NoPermission") || m.fault.is_a("ManagedObjectNotFound"))
        {
            Some(missing) => Err(fault(missing.fault.clone())),
            None => Ok(Properties::of(content)),
        }
    }

    /// Properties of several objects of one kind, in one request (and more where the server pages). Objects that
    /// have vanished are left out, and so are properties that can't be read.
    pub async fn properties_of(&self, objects: &[Moref], paths: &[&str]) -> Result<Vec<(Moref, Properties)>> {
        if objects.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.retrieve(spec_of(objects, paths)).await?;
        Ok(found.into_iter().map(|content| (content.obj.clone(), Properties::of(content))).collect())
    }

    /// Retrieves all that a filter covers. Without a session a server doesn't fail the call: it answers that each
    /// property is missing.
    pub(super) async fn retrieve(&self, spec: PropertyFilterSpec) -> Result<Vec<ObjectContent>> {
        let generation = self.generation();
        let objects = match self.retrieve_pages(spec.clone()).await {
            // A lost page isn't given again.
            Err(lost) if lost.lost_reply() => self.retrieve_pages(spec.clone()).await?,
            other => other?,
        };
        if !objects.iter().any(|o| unauthenticated(&o.missing_set)) {
            return Ok(objects);
        }
        self.renew(generation).await?;
        self.retrieve_pages(spec).await
    }

    /// Servers page even when they aren't asked to.
    async fn retrieve_pages(&self, spec: PropertyFilterSpec) -> Result<Vec<ObjectContent>> {
        let collector = self.content().property_collector.clone();
        let options = RetrieveOptions::default();
        let request = RetrievePropertiesEx { this: collector.clone(), spec_set: vec![spec], options };
        let Some(mut page) = self.call(&request).await? else { return Ok(Vec::new()) };
        let mut objects = page.objects;
        for _ in 0..PAGES {
            let Some(token) = page.token.take() else { return Ok(objects) };
            page = self.call(&ContinueRetrievePropertiesEx { this: collector.clone(), token }).await?;
            objects.append(&mut page.objects);
        }
        Err(Error::Protocol {
            address: self.address().to_owned(),
            call: "ContinueRetrievePropertiesEx".to_owned(),
            detail: "it never stops paging".to_owned(),
            excerpt: String::new(),
            lost_reply: false,
        })
    }
}

/// Whether properties are missing because the session has ended.
pub(super) fn unauthenticated(missing: &[MissingProperty]) -> bool {
    missing.iter().any(|m| m.fault.is_a("NotAuthenticated"))
}

/// A filter for some properties of given objects of one kind.
pub(super) fn spec_of(objects: &[Moref], paths: &[&str]) -> PropertyFilterSpec {
    let kind = objects.first().map(|o| o.kind.clone()).unwrap_or_default();
    let path_set = paths.iter().map(|p| (*p).to_owned()).collect();
    PropertyFilterSpec {
        prop_set: vec![PropertySpec { kind, all: None, path_set }],
        object_set: objects.iter().map(|obj| ObjectSpec { obj: obj.clone(), ..ObjectSpec::default() }).collect(),
        report_missing_objects_in_results: Some(true),
    }
}
