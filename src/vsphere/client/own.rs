//! Finding again what an earlier process of ours has made, or was about to make.

use std::collections::BTreeMap;

use super::endpoint::Deadline;
use super::error::{Error, Result};
use super::session::Client;
use super::vm::CloneRequest;
use crate::vsphere::wire::{Moref, OptionValue, TaskInfo, TaskState};

impl Client {
    /// A virtual machine's extra configuration.
    pub async fn extra_config(&self, vm: &Moref) -> Result<BTreeMap<String, String>> {
        let properties = self.properties(vm, &["config.extraConfig"]).await?;
        let options: Vec<OptionValue> = properties.list("config.extraConfig");
        Ok(options.into_iter().map(|o| (o.key, o.value.text().to_owned())).collect())
    }

    /// What has come of a clone whose reply was lost. It waits until no clone of the source is under way any more, then
    /// looks for a machine of that name that bears what the request asks to be set in its extraConfig: one that bears
    /// nothing of ours isn't ours. None: the request has made nothing, and may be sent again.
    pub async fn lost_clone(&self, source: &Moref, clone: &CloneRequest, deadline: Deadline) -> Result<Option<Moref>> {
        self.clones_settled(source, deadline).await?;
        let Some(vm) = self.vm_in_folder(&clone.placement.folder, &clone.name).await? else { return Ok(None) };
        let marks = &clone.hardware.extra;
        let extra = self.extra_config(&vm).await?;
        // What is asked to be empty isn't there.
        let has = |key: &String, value: &String| extra.get(key).map_or("", String::as_str) == value;
        let ours = marks.iter().any(|(_, value)| !value.is_empty()) && marks.iter().all(|(key, value)| has(key, value));
        Ok(ours.then_some(vm))
    }

    /// Returns when no clone of this source that is known to the server is under way any more: whoever asked for one
    /// and never had an answer can then look for it by its name. What is deployed into a resource pool comes from no
    /// machine: then nothing is to be under way in the pool.
    pub async fn clones_settled(&self, source: &Moref, deadline: Deadline) -> Result<()> {
        let operation = if source.kind == "VirtualMachine" { "VirtualMachine.clone" } else { "" };
        self.settled(source, operation, deadline).await
    }

    /// Returns when nothing that the server knows of is done with a machine any more.
    pub async fn at_rest(&self, vm: &Moref, deadline: Deadline) -> Result<()> {
        self.settled(vm, "", deadline).await
    }

    /// Returns when no task of that kind on an object is under way any more.
    pub(super) async fn settled(&self, object: &Moref, operation: &str, deadline: Deadline) -> Result<()> {
        let recent: Vec<Moref> = self.properties(object, &["recentTask"]).await?.list("recentTask");
        for (task, properties) in self.properties_of(&recent, &["info"]).await? {
            let Some(info) = properties.get::<TaskInfo>("info") else { continue };
            let open = matches!(info.state, TaskState::Queued | TaskState::Running);
            if open && info.description_id.starts_with(operation) {
                match self.wait_task(&task, "wait for another task", deadline).await {
                    Ok(_) | Err(Error::Task { .. }) => {}
                    Err(e) if e.is_fault("ManagedObjectNotFound") => {}
                    Err(other) => return Err(other),
                }
            }
        }
        Ok(())
    }
}
