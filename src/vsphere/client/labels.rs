//! Custom attributes of objects.

use super::error::Result;
use super::session::Client;
use crate::vsphere::wire::{AddCustomFieldDef, CustomFieldDef, Moref, SetField};

/// The kind of objects that an attribute made here is for.
const KIND: &str = "VirtualMachine";

impl Client {
    /// Sets custom attributes of a virtual machine. Those that vCenter doesn't know yet are made, for virtual machines
    /// only.
    pub async fn label(&self, vm: &Moref, values: &[(String, String)]) -> Result<()> {
        let manager = self.attributes()?;
        let mut fields = self.fields(&manager).await?;
        for (name, value) in values {
            let key = match key_of(&fields, name) {
                Some(key) => key,
                None => {
                    let kind = Some(KIND.to_owned());
                    let add = AddCustomFieldDef { this: manager.clone(), name: name.clone(), kind };
                    match self.call(&add).await {
                        Ok(field) => {
                            fields.push(field.clone());
                            field.key
                        }
                        // Another machine of the build, or somebody else, was quicker; or the reply was lost.
                        Err(error) if error.lost_reply() || error.is_fault("DuplicateName") => {
                            fields = self.fields(&manager).await?;
                            key_of(&fields, name).ok_or(error)?
                        }
                        Err(error) => return Err(error),
                    }
                }
            };
            let set = SetField { this: manager.clone(), entity: vm.clone(), key, value: value.clone() };
            self.call_again(&set).await?;
        }
        Ok(())
    }

    async fn fields(&self, manager: &Moref) -> Result<Vec<CustomFieldDef>> {
        Ok(self.properties(manager, &["field"]).await?.list("field"))
    }
}

/// The key of an attribute that virtual machines can have.
fn key_of(fields: &[CustomFieldDef], name: &str) -> Option<i32> {
    let fits = |f: &&CustomFieldDef| {
        f.name == name && f.managed_object_type.as_deref().is_none_or(|kind| kind.is_empty() || kind == KIND)
    };
    fields.iter().find(fits).map(|f| f.key)
}
