//! Finding a task whose reference was lost together with the reply.

use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::error::Result;
use super::session::Client;
use crate::vsphere::wire::{CurrentTime, Moref, TaskInfo};

/// How much earlier than our call, by the server's clock, a task may seem to have been queued.
const SLACK: Duration = Duration::from_secs(5);

impl Client {
    /// The task that a call on `object` began, no longer ago than `ago`: the only recent one whose description begins
    /// with `operation`. None when there is no such task, or more than one. Only for objects that nobody else works on.
    pub(super) async fn lost_task(&self, object: &Moref, operation: &str, ago: Duration) -> Result<Option<Moref>> {
        let service = Moref::new("ServiceInstance", "ServiceInstance");
        let now = self.call(&CurrentTime { this: service }).await?;
        let Some(oldest) = instant(&now).and_then(|now| now.checked_sub((ago + SLACK).try_into().ok()?)) else {
            return Ok(None);
        };
        let recent: Vec<Moref> = self.properties(object, &["recentTask"]).await?.list("recentTask");
        let infos = self.properties_of(&recent, &["info"]).await?;
        let candidates: Vec<Moref> = infos
            .into_iter()
            .filter_map(|(task, p)| Some((task, p.get::<TaskInfo>("info")?)))
            .filter(|(_, info)| info.description_id.starts_with(operation))
            .filter(|(_, info)| instant(&info.queue_time).is_some_and(|queued| queued >= oldest))
            .map(|(task, _)| task)
            .collect();
        Ok(match candidates.as_slice() {
            [one] => Some(one.clone()),
            _ => None,
        })
    }
}

fn instant(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text.trim(), &Rfc3339).ok()
}
