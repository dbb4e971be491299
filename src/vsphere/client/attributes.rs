//! Custom attributes of folders, which nobody else has to know: what several clients agree on by.

use std::collections::HashMap;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::error::{Error, Result};
use super::session::Client;
use crate::vsphere::wire::{
    AddCustomFieldDef, CurrentTime, CustomFieldDef, CustomFieldStringValue, Moref, RemoveCustomFieldDef, SetField,
};

impl Client {
    /// The server's own clock.
    pub async fn current_time(&self) -> Result<OffsetDateTime> {
        let service = Moref::new("ServiceInstance", "ServiceInstance");
        let text = self.call(&CurrentTime { this: service }).await?;
        OffsetDateTime::parse(&text, &Rfc3339).map_err(|e| Error::Protocol {
            address: self.address().to_owned(),
            call: "CurrentTime".to_owned(),
            detail: format!("`{text}` is no time: {e}"),
            excerpt: String::new(),
            lost_reply: false,
        })
    }

    /// Names and keys of the attributes whose names begin like that.
    pub async fn attributes_like(&self, prefix: &str) -> Result<Vec<(String, i32)>> {
        let manager = self.attributes()?;
        let fields: Vec<CustomFieldDef> = self.properties(&manager, &["field"]).await?.list("field");
        Ok(fields.into_iter().filter(|f| f.name.starts_with(prefix)).map(|f| (f.name, f.key)).collect())
    }

    /// Makes a folders' attribute; None: there is one of that name. Of several clients that try at once, one makes it.
    /// When the reply is lost nobody knows who did, and this fails.
    pub async fn add_folder_attribute(&self, name: &str) -> Result<Option<i32>> {
        let kind = Some("Folder".to_owned());
        match self.call(&AddCustomFieldDef { this: self.attributes()?, name: name.to_owned(), kind }).await {
            Ok(field) => Ok(Some(field.key)),
            Err(e) if e.is_fault("DuplicateName") => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Takes an attribute away; false: it is gone already. Of several clients that try at once, one does it: a key is
    /// never given twice.
    pub async fn remove_attribute(&self, key: i32) -> Result<bool> {
        match self.call(&RemoveCustomFieldDef { this: self.attributes()?, key }).await {
            Ok(()) => Ok(true),
            Err(e) if is_gone(&e) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Sets an attribute of the topmost folder; false: there is no such attribute any more.
    pub async fn set_root_attribute(&self, key: i32, value: &str) -> Result<bool> {
        let entity = self.content().root_folder.clone();
        match self.call_again(&SetField { this: self.attributes()?, entity, key, value: value.to_owned() }).await {
            Ok(()) => Ok(true),
            Err(e) if is_gone(&e) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// The values of the topmost folder's attributes, by their keys.
    pub async fn root_attributes(&self) -> Result<HashMap<i32, String>> {
        let read = self.properties(&self.content().root_folder.clone(), &["customValue"]).await?;
        let values: Vec<CustomFieldStringValue> = read.list("customValue");
        Ok(values.into_iter().map(|v| (v.key, v.value)).collect())
    }

    /// What keeps custom attributes.
    pub(super) fn attributes(&self) -> Result<Moref> {
        let manager = self.content().custom_fields_manager.clone();
        manager.ok_or_else(|| {
            Error::Unsupported(
                "this server has no custom attributes, which a vCenter has: connect to one, or leave LABEL out"
                    .to_owned(),
            )
        })
    }
}

/// Whether a key means nothing to the server: it says so in more than one way.
fn is_gone(error: &Error) -> bool {
    error.is_fault("InvalidArgument") || error.is_fault("NotFound") || error.is_fault("ManagedObjectNotFound")
}
