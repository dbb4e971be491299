//! What the account may do, asked before it is tried.

use std::collections::BTreeSet;

use super::error::Result;
use super::session::Client;
use crate::vsphere::wire::{HasPrivilegeOnEntities, Moref, UserSession};

impl Client {
    /// Those of the privileges wanted that the session lacks, by object, in one request. None where the server can't
    /// say: it has no authorization manager, or one that doesn't know the question.
    pub async fn lacking(&self, wanted: &[(Moref, Vec<String>)]) -> Result<Option<Vec<(Moref, Vec<String>)>>> {
        let content = self.content();
        let (Some(manager), Some(sessions)) = (&content.authorization_manager, &content.session_manager) else {
            return Ok(None);
        };
        if wanted.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let session: Option<UserSession> = self.properties(sessions, &["currentSession"]).await?.get("currentSession");
        let Some(session) = session else { return Ok(None) };
        let entities: BTreeSet<&Moref> = wanted.iter().map(|(object, _)| object).collect();
        let privileges: BTreeSet<&String> = wanted.iter().flat_map(|(_, list)| list).collect();
        let ask = HasPrivilegeOnEntities {
            this: manager.clone(),
            entity: entities.into_iter().cloned().collect(),
            session_id: session.key,
            priv_id: privileges.into_iter().cloned().collect(),
        };
        let known = match self.call(&ask).await {
            Ok(known) => known,
            Err(e) if ["NotSupported", "NotImplemented", "MethodNotFound"].iter().any(|k| e.is_fault(k)) => {
                return Ok(None);
            }
            Err(e) => return Err(e),
        };
        let lacks = |object: &Moref, privilege: &String| {
            let of_object = known.iter().filter(|k| k.entity == *object).flat_map(|k| &k.priv_availability);
            of_object.into_iter().any(|p| p.priv_id == *privilege && !p.is_granted)
        };
        let lacking = wanted.iter().filter_map(|(object, list)| {
            let list: Vec<String> = list.iter().filter(|p| lacks(object, p)).cloned().collect();
            (!list.is_empty()).then(|| (object.clone(), list))
        });
        Ok(Some(lacking.collect()))
    }
}
