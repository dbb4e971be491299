//! Who waits for which object to change: with hundreds of machines, most changes concern one or two of those who wait.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::vsphere::wire::Moref;

/// All who wait.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    next: u64,
    by_object: HashMap<Moref, Vec<(u64, Arc<Notify>)>>,
    /// Those whom every change may concern.
    general: Vec<(u64, Arc<Notify>)>,
}

/// A place among those who wait, to be given back by [`Waiters::leave`].
#[derive(Debug)]
pub(super) struct Place {
    number: u64,
    objects: Option<Vec<Moref>>,
}

impl Waiters {
    /// Waits for changes of these objects; of any object when there are none given.
    pub fn enter(&mut self, objects: Option<Vec<Moref>>, notify: &Arc<Notify>) -> Place {
        self.next += 1;
        let number = self.next;
        match &objects {
            Some(objects) => {
                for object in objects {
                    self.by_object.entry(object.clone()).or_default().push((number, notify.clone()));
                }
            }
            None => self.general.push((number, notify.clone())),
        }
        Place { number, objects }
    }

    /// Waits no more.
    pub fn leave(&mut self, place: &Place) {
        self.general.retain(|(number, _)| *number != place.number);
        for object in place.objects.iter().flatten() {
            if let Some(waiting) = self.by_object.get_mut(object) {
                waiting.retain(|(number, _)| *number != place.number);
                if waiting.is_empty() {
                    self.by_object.remove(object);
                }
            }
        }
    }

    /// Wakes those whom changes of these objects concern.
    pub fn wake(&self, changed: &[Moref]) {
        for object in changed {
            for (_, notify) in self.by_object.get(object).into_iter().flatten() {
                notify.notify_one();
            }
        }
        if !changed.is_empty() {
            for (_, notify) in &self.general {
                notify.notify_one();
            }
        }
    }
}
