//! The property collector: choosing objects by traversals, reading their properties, and noticing changes.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use indexmap::IndexMap;
use tokio_util::sync::CancellationToken;

use super::faults::{Answer, invalid_argument, not_found};
use super::inventory::is_a;
use super::properties::{self, Scope};
use crate::vsphere::wire::{
    Any, DynamicProperty, Fault, MissingObject, Moref, ObjectContent, ObjectSpec, ObjectUpdate, ObjectUpdateKind,
    PropertyChange, PropertyChangeOp, PropertyFilterSpec, PropertyFilterUpdate, PropertySpec, Selection, TraversalSpec,
    UpdateSet,
};

/// How many objects a page holds, asked for or not.
pub(super) const PAGE: usize = 100;

/// Properties of one object, by path.
type Values = BTreeMap<String, Any>;

/// What a filter covers now.
#[derive(Debug, Default)]
struct Covered {
    objects: IndexMap<Moref, Values>,
    /// Objects that were named but don't exist.
    missing: Vec<Moref>,
}

/// Collects what filters cover, as a retrieval answers it.
pub(super) fn retrieve(scope: &Scope<'_>, specs: &[PropertyFilterSpec]) -> Answer<Vec<ObjectContent>> {
    let mut all = Vec::new();
    for spec in specs {
        let covered = cover(scope, spec)?;
        all.extend(covered.objects.into_iter().map(|(obj, values)| ObjectContent {
            obj,
            prop_set: values.into_iter().map(|(name, val)| DynamicProperty { name, val }).collect(),
            missing_set: Vec::new(),
        }));
    }
    Ok(all)
}

fn cover(scope: &Scope<'_>, spec: &PropertyFilterSpec) -> Answer<Covered> {
    for set in &spec.prop_set {
        for path in &set.path_set {
            properties::check(&set.kind, path)?;
        }
    }
    let mut covered = Covered::default();
    let mut chosen: Vec<Moref> = Vec::new();
    let mut seen = HashSet::new();
    for from in &spec.object_set {
        if !scope.exists(&from.obj) {
            if spec.report_missing_objects_in_results != Some(true) {
                return Err(not_found(&from.obj));
            }
            covered.missing.push(from.obj.clone());
            continue;
        }
        let mut add = |object: &Moref| {
            if seen.insert(object.clone()) {
                chosen.push(object.clone());
            }
        };
        if from.skip != Some(true) {
            add(&from.obj);
        }
        walk(scope, &from.obj, &from.select_set, &mut add)?;
    }
    for object in chosen {
        let Some(values) = read(scope, &spec.prop_set, &object)? else { continue };
        covered.objects.insert(object, values);
    }
    Ok(covered)
}

/// Follows traversals from an object; `add` gets what they select.
fn walk(scope: &Scope<'_>, from: &Moref, selections: &[Selection], add: &mut impl FnMut(&Moref)) -> Answer<()> {
    let mut named = HashMap::new();
    collect_names(selections, &mut named);
    let mut open: VecDeque<(Moref, &[Selection])> = VecDeque::from([(from.clone(), selections)]);
    let mut done: HashSet<(Moref, *const TraversalSpec)> = HashSet::new();
    while let Some((object, selections)) = open.pop_front() {
        for selection in selections {
            let traversal: &TraversalSpec = match selection {
                Selection::Traversal(traversal) => traversal,
                Selection::Named(by) => {
                    let name = by.name.as_deref().unwrap_or_default();
                    named.get(name).copied().ok_or_else(|| invalid_argument("selectSet.name"))?
                }
            };
            if !is_a(&object.kind, &traversal.kind) || !done.insert((object.clone(), std::ptr::from_ref(traversal))) {
                continue;
            }
            for target in scope.follow(&object, &traversal.path) {
                if traversal.skip != Some(true) {
                    add(&target);
                }
                open.push_back((target, &traversal.select_set));
            }
        }
    }
    Ok(())
}

fn collect_names<'a>(selections: &'a [Selection], named: &mut HashMap<&'a str, &'a TraversalSpec>) {
    for selection in selections {
        if let Selection::Traversal(traversal) = selection {
            if let Some(name) = &traversal.name {
                named.insert(name, traversal);
            }
            collect_names(&traversal.select_set, named);
        }
    }
}

/// An object's properties; none when no property set is for objects of its kind.
fn read(scope: &Scope<'_>, sets: &[PropertySpec], object: &Moref) -> Answer<Option<Values>> {
    // All that are for its type or for one that it derives from count together.
    let mut fitting = sets.iter().filter(|set| is_a(&object.kind, &set.kind)).peekable();
    if fitting.peek().is_none() {
        return Ok(None);
    }
    let mut values = Values::new();
    for set in fitting {
        let mut paths: Vec<&str> = set.path_set.iter().map(String::as_str).collect();
        if set.all == Some(true) {
            for name in properties::names(&object.kind) {
                paths.push(name);
            }
        }
        for path in paths {
            match scope.read(object, path) {
                Ok(Some(any)) => {
                    values.insert(path.to_owned(), any);
                }
                Ok(None) => {}
                Err(fault) => return Err(fault),
            }
        }
    }
    Ok(Some(values))
}

/// A collector with its filters.
#[derive(Debug, Default)]
pub(super) struct Collector {
    filters: Vec<Filter>,
    version: u64,
    /// The last answer with the version that it was for: it is repeated when the reply was lost.
    last: Option<(String, UpdateSet)>,
    /// Cancelled to end the waits of now.
    pub cancel: CancellationToken,
}

#[derive(Debug)]
struct Filter {
    object: Moref,
    spec: PropertyFilterSpec,
    known: IndexMap<Moref, Values>,
    missing: Vec<Moref>,
    /// The clock when it was last evaluated; none when it must be.
    evaluated: Option<u64>,
}

impl Collector {
    pub fn filters(&self) -> Vec<Moref> {
        self.filters.iter().map(|f| f.object.clone()).collect()
    }

    pub fn has_filter(&self, object: &Moref) -> bool {
        self.filters.iter().any(|f| f.object == *object)
    }

    /// The objects that alone its filters depend on; none when they may depend on anything.
    pub fn interest(&self) -> Option<Vec<Moref>> {
        let mut objects = Vec::new();
        for set in self.filters.iter().flat_map(|f| &f.spec.object_set) {
            if !depends_on_itself(set) {
                return None;
            }
            objects.push(set.obj.clone());
        }
        Some(objects)
    }

    /// Adds a filter.
    pub fn add(&mut self, object: Moref, spec: PropertyFilterSpec) {
        let (known, missing) = (IndexMap::new(), Vec::new());
        self.filters.push(Filter { object, spec, known, missing, evaluated: None });
    }

    /// Removes a filter; whether there was one.
    pub fn remove(&mut self, object: &Moref) -> bool {
        let before = self.filters.len();
        self.filters.retain(|f| f.object != *object);
        self.filters.len() != before
    }

    /// Ends the waits of now; later ones wait again.
    pub fn end_waits(&mut self) {
        std::mem::take(&mut self.cancel).cancel();
    }

    /// What differs from `version`, at most `limit` objects; none when nothing does.
    pub fn updates(&mut self, scope: &Scope<'_>, version: &str, limit: usize) -> Answer<Option<UpdateSet>> {
        if version.is_empty() {
            for filter in &mut self.filters {
                filter.known.clear();
                filter.missing.clear();
                filter.evaluated = None;
            }
        } else if version != self.version.to_string() {
            return match &self.last {
                Some((before, set)) if before == version => Ok(Some(set.clone())),
                _ => {
                    Err(Fault::new("InvalidCollectorVersion", "The version is not one that this collector has given."))
                }
            };
        }
        let mut left = limit;
        let mut filter_set = Vec::new();
        for filter in &mut self.filters {
            if left == 0 {
                break;
            }
            if let Some(update) = filter.updates(scope, &mut left)? {
                filter_set.push(update);
            }
        }
        if filter_set.is_empty() {
            return Ok(None);
        }
        self.version += 1;
        let truncated = (left == 0).then_some(true);
        let set = UpdateSet { version: self.version.to_string(), filter_set, truncated };
        self.last = Some((version.to_owned(), set.clone()));
        Ok(Some(set))
    }
}

/// Whether what a filter covers of an object changes with that object alone.
fn depends_on_itself(set: &ObjectSpec) -> bool {
    set.select_set.is_empty() && matches!(set.obj.kind.as_str(), "VirtualMachine" | "Task")
}

impl Filter {
    /// Whether nothing that it covers can have changed since it was evaluated.
    fn is_current(&self, scope: &Scope<'_>) -> bool {
        let Some(evaluated) = self.evaluated else { return false };
        let inventory = scope.inventory();
        evaluated == inventory.clock
            || self.spec.object_set.iter().all(|set| depends_on_itself(set) && inventory.changed(&set.obj) <= evaluated)
    }

    fn updates(&mut self, scope: &Scope<'_>, left: &mut usize) -> Answer<Option<PropertyFilterUpdate>> {
        if self.is_current(scope) {
            return Ok(None);
        }
        // What vanished while it was watched is a leaving object, not a failing call.
        let spec = match self.evaluated {
            Some(_) => &PropertyFilterSpec { report_missing_objects_in_results: Some(true), ..self.spec.clone() },
            None => &self.spec,
        };
        let now = cover(scope, spec)?;
        let mut update = PropertyFilterUpdate { filter: self.object.clone(), ..PropertyFilterUpdate::default() };
        let gone: Vec<Moref> = self.known.keys().filter(|o| !now.objects.contains_key(*o)).cloned().collect();
        for object in gone.into_iter().take(*left) {
            self.known.shift_remove(&object);
            update.object_set.push(ObjectUpdate {
                kind: ObjectUpdateKind::Leave,
                obj: object,
                change_set: Vec::new(),
                missing_set: Vec::new(),
            });
        }
        *left = left.saturating_sub(update.object_set.len());
        for (object, values) in now.objects {
            let (kind, change_set) = match self.known.get(&object) {
                Some(old) => (ObjectUpdateKind::Modify, differences(old, &values)),
                None => (ObjectUpdateKind::Enter, differences(&Values::new(), &values)),
            };
            if kind == ObjectUpdateKind::Modify && change_set.is_empty() {
                continue;
            }
            if *left == 0 {
                // The rest comes with the next call.
                return Ok(Some(update));
            }
            *left -= 1;
            self.known.insert(object.clone(), values);
            update.object_set.push(ObjectUpdate { kind, obj: object, change_set, missing_set: Vec::new() });
        }
        for object in now.missing {
            if !self.missing.contains(&object) {
                update.missing_set.push(MissingObject { fault: not_found(&object), obj: object.clone() });
                self.missing.push(object);
            }
        }
        self.evaluated = Some(scope.inventory().clock);
        let empty = update.object_set.is_empty() && update.missing_set.is_empty();
        Ok((!empty).then_some(update))
    }
}

fn differences(old: &Values, new: &Values) -> Vec<PropertyChange> {
    let assigned = new.iter().filter(|(name, val)| old.get(*name) != Some(val)).map(|(name, val)| PropertyChange {
        name: name.clone(),
        op: PropertyChangeOp::Assign,
        val: Some(val.clone()),
    });
    let unset = old.keys().filter(|name| !new.contains_key(*name));
    let unset = unset.map(|name| PropertyChange { name: name.clone(), op: PropertyChangeOp::Assign, val: None });
    assigned.chain(unset).collect()
}
