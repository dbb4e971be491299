//! Finding again what an earlier process of ours has made, or was about to make.

use std::collections::BTreeMap;

use super::endpoint::Deadline;
use super::error::{Error, Result};
use super::session::Client;
use crate::vsphere::wire::{Moref, OptionValue, TaskInfo, TaskState};

impl Client {
    /// A virtual machine's extra configuration.
    pub async fn extra_config(&self, vm: &Moref) -> Result<BTreeMap<String, String>> {
        let properties = self.properties(vm, &["config.extraConfig"]).await?;
        let options: Vec<OptionValue> = properties.list("config.extraConfig");
        Ok(options.into_iter().map(|o| (o.key, o.value.text().to_owned())).collect())
    }

    /// Returns when no clone of this source that is known to the server is under way any more: whoever asked for one
    /// and never had an answer can then look for it by its name.
    pub async fn clones_settled(&self, source: &Moref, deadline: Deadline) -> Result<()> {
        let recent: Vec<Moref> = self.properties(source, &["recentTask"]).await?.list("recentTask");
        for (task, properties) in self.properties_of(&recent, &["info"]).await? {
            let Some(info) = properties.get::<TaskInfo>("info") else { continue };
            let open = matches!(info.state, TaskState::Queued | TaskState::Running);
            if open && info.description_id.starts_with("VirtualMachine.clone") {
                match self.wait_task(&task, "wait for another clone", deadline).await {
                    Ok(_) | Err(Error::Task { .. }) => {}
                    Err(e) if e.is_fault("ManagedObjectNotFound") => {}
                    Err(other) => return Err(other),
                }
            }
        }
        Ok(())
    }
}
