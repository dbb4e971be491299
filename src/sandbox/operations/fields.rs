//! Custom attributes.

use crate::sandbox::faults::{Answer, duplicate_name, invalid_argument};
use crate::sandbox::inventory::is_a;
use crate::sandbox::server::{Call, Server};
use crate::vsphere::wire::{AddCustomFieldDef, CustomFieldDef, Moref, SetField};

impl Server {
    /// `AddCustomFieldDef`.
    pub(in crate::sandbox) fn add_field(&self, call: &Call) -> Answer<CustomFieldDef> {
        let request: AddCustomFieldDef = call.read()?;
        let mut state = self.lock();
        let fields = &state.inventory.fields;
        // An attribute of all kinds and one of a single kind can't have one name either.
        let clash = |f: &&CustomFieldDef| {
            let alike = f.managed_object_type.is_none() || request.kind.is_none();
            f.name == request.name && (alike || f.managed_object_type == request.kind)
        };
        if fields.iter().find(clash).is_some() {
            return Err(duplicate_name(&request.name, &call.this));
        }
        if request.name.trim().is_empty() {
            return Err(invalid_argument("name"));
        }
        let last = fields.iter().map(|f| f.key).chain([state.inventory.last_field, 100]).max().unwrap_or(100);
        let key = last + 1;
        let field = CustomFieldDef {
            key,
            name: request.name,
            kind: "string".to_owned(),
            managed_object_type: request.kind.filter(|kind| !kind.is_empty()),
        };
        state.inventory.last_field = key;
        state.inventory.fields.push(field.clone());
        state.inventory.touch(&call.this);
        Ok(field)
    }

    /// `RenameCustomFieldDef`.
    pub(in crate::sandbox) fn rename_field(&self, call: &Call) -> Answer<()> {
        let (key, name): (i32, String) = (call.arg("key")?, call.arg("name")?);
        let mut state = self.lock();
        if state.inventory.fields.iter().any(|f| f.name == name && f.key != key) {
            return Err(duplicate_name(&name, &call.this));
        }
        let field = state.inventory.fields.iter_mut().find(|f| f.key == key);
        field.ok_or_else(|| invalid_argument("key"))?.name = name;
        state.inventory.touch(&call.this);
        Ok(())
    }

    /// `RemoveCustomFieldDef`; its values go with it.
    pub(in crate::sandbox) fn remove_field(&self, call: &Call) -> Answer<()> {
        let key: i32 = call.arg("key")?;
        let mut state = self.lock();
        let before = state.inventory.fields.len();
        state.inventory.fields.retain(|f| f.key != key);
        if state.inventory.fields.len() == before {
            return Err(invalid_argument("key"));
        }
        let has = |labels: &[(i32, String)]| labels.iter().any(|(own, _)| *own == key);
        let labelled = state.inventory.vms().filter(|(_, _, vm)| has(&vm.labels));
        let labelled: Vec<Moref> = labelled.map(|(object, ..)| object.clone()).collect();
        for vm in labelled {
            state.inventory.change_vm(&vm)?.labels.retain(|(own, _)| *own != key);
        }
        state.inventory.labels.values_mut().for_each(|labels| labels.retain(|(own, _)| *own != key));
        state.inventory.touch(&call.this);
        Ok(())
    }

    /// `SetField`.
    pub(in crate::sandbox) fn set_field(&self, call: &Call) -> Answer<()> {
        let request: SetField = call.read()?;
        let mut state = self.lock();
        let field = state.inventory.fields.iter().find(|f| f.key == request.key);
        let kind = field.ok_or_else(|| invalid_argument("key"))?.managed_object_type.clone();
        if kind.is_some_and(|kind| !is_a(&request.entity.kind, &kind)) {
            return Err(invalid_argument("key"));
        }
        let labels = if request.entity.kind == "VirtualMachine" {
            &mut state.inventory.change_vm(&request.entity)?.labels
        } else {
            state.inventory.node(&request.entity)?;
            state.inventory.touch(&request.entity);
            state.inventory.labels.entry(request.entity).or_default()
        };
        labels.retain(|(key, _)| *key != request.key);
        if !request.value.is_empty() {
            labels.push((request.key, request.value));
        }
        Ok(())
    }
}
