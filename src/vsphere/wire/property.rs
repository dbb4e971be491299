//! The property collector and container views.

use super::declare::{data, methods, words};
use super::fault::Fault;
use super::value::{Any, Moref, Value, WireError};
use super::xml::Element;

data! {
    /// What to collect, of which objects.
    PropertyFilterSpec {
        prop_set: Vec<PropertySpec> = "propSet",
        object_set: Vec<ObjectSpec> = "objectSet",
        /// Without it one vanished object fails the whole call.
        report_missing_objects_in_results: Option<bool> = "reportMissingObjectsInResults",
    }

    /// Which properties of objects of a type.
    PropertySpec {
        kind: String = "type",
        all: Option<bool> = "all",
        path_set: Vec<String> = "pathSet",
    }

    /// An object to begin at.
    ObjectSpec {
        obj: Moref = "obj",
        /// Whether the object itself is left out.
        skip: Option<bool> = "skip",
        select_set: Vec<Selection> = "selectSet",
    }

    /// A way from one object to others, through a property that refers to them.
    TraversalSpec {
        name: Option<String> = "name",
        kind: String = "type",
        path: String = "path",
        skip: Option<bool> = "skip",
        select_set: Vec<Selection> = "selectSet",
    }

    /// A mention of a traversal by its name.
    SelectionSpec {
        name: Option<String> = "name",
    }

    /// Options of a retrieval.
    RetrieveOptions {
        max_objects: Option<i32> = "maxObjects",
    }

    /// A page of a retrieval.
    RetrieveResult {
        /// Present when there is more to fetch.
        token: Option<String> = "token",
        objects: Vec<ObjectContent> = "objects",
    }

    /// What was collected of one object.
    ObjectContent {
        obj: Moref = "obj",
        prop_set: Vec<DynamicProperty> = "propSet",
        missing_set: Vec<MissingProperty> = "missingSet",
    }

    /// A property with its value.
    DynamicProperty {
        name: String = "name",
        val: Any = "val",
    }

    /// A property that could not be read.
    MissingProperty {
        path: String = "path",
        fault: Fault = "fault",
    }

    /// Options of a wait.
    WaitOptions {
        max_wait_seconds: Option<i32> = "maxWaitSeconds",
        max_object_updates: Option<i32> = "maxObjectUpdates",
    }

    /// What has changed since a version.
    UpdateSet {
        version: String = "version",
        filter_set: Vec<PropertyFilterUpdate> = "filterSet",
        /// Whether there is more to fetch at once.
        truncated: Option<bool> = "truncated",
    }

    /// What has changed within one filter.
    PropertyFilterUpdate {
        filter: Moref = "filter",
        object_set: Vec<ObjectUpdate> = "objectSet",
        missing_set: Vec<MissingObject> = "missingSet",
    }

    /// What has changed of one object.
    ObjectUpdate {
        kind: ObjectUpdateKind = "kind",
        obj: Moref = "obj",
        change_set: Vec<PropertyChange> = "changeSet",
        missing_set: Vec<MissingProperty> = "missingSet",
    }

    /// One changed property. Its value is absent when it was unset.
    PropertyChange {
        name: String = "name",
        op: PropertyChangeOp = "op",
        val: Option<Any> = "val",
    }

    /// An object that could not be read.
    MissingObject {
        obj: Moref = "obj",
        fault: Fault = "fault",
    }
}

words! {
    /// How an object changed.
    ObjectUpdateKind = "ObjectUpdateKind" {
        Enter = "enter",
        Modify = "modify",
        Leave = "leave",
    }

    /// How a property changed.
    PropertyChangeOp = "PropertyChangeOp" {
        Add = "add",
        Assign = "assign",
        Remove = "remove",
        IndirectRemove = "indirectRemove",
    }
}

/// A step of a traversal.
#[derive(Clone, Debug, PartialEq)]
pub enum Selection {
    /// Follow a property.
    Traversal(TraversalSpec),
    /// As another traversal of that name.
    Named(SelectionSpec),
}

impl Value for Selection {
    const TYPE: &'static str = "SelectionSpec";
    fn to_element(&self, name: &str) -> Element {
        match self {
            Selection::Traversal(spec) => spec.to_element(name).typed(TraversalSpec::TYPE),
            Selection::Named(spec) => spec.to_element(name),
        }
    }
    fn from_element(element: &Element) -> Result<Self, WireError> {
        Ok(match element.xsi_type.as_deref() {
            Some(TraversalSpec::TYPE) => Selection::Traversal(TraversalSpec::from_element(element)?),
            _ => Selection::Named(SelectionSpec::from_element(element)?),
        })
    }
}

methods! {
    /// Collects properties; the result is absent when there are no objects.
    read RetrievePropertiesEx = "RetrievePropertiesEx" {
        spec_set: Vec<PropertyFilterSpec> = "specSet",
        options: RetrieveOptions = "options",
    } -> Option<RetrieveResult>;
    /// The older form, which other clients use; it never pages.
    read RetrieveProperties = "RetrieveProperties" {
        spec_set: Vec<PropertyFilterSpec> = "specSet",
    } -> Vec<ObjectContent>;
    /// The next page.
    write ContinueRetrievePropertiesEx = "ContinueRetrievePropertiesEx" {
        token: String = "token",
    } -> RetrieveResult;
    /// Gives up a paged retrieval.
    read CancelRetrievePropertiesEx = "CancelRetrievePropertiesEx" { token: String = "token", } -> ();
    /// A collector of one's own, for waiting.
    read CreatePropertyCollector = "CreatePropertyCollector" {} -> Moref;
    /// Ends a collector, its filters and its waits.
    read DestroyPropertyCollector = "DestroyPropertyCollector" {} -> ();
    /// Adds a filter to a collector.
    write CreateFilter = "CreateFilter" {
        spec: PropertyFilterSpec = "spec",
        partial_updates: bool = "partialUpdates",
    } -> Moref;
    /// Removes a filter.
    read DestroyPropertyFilter = "DestroyPropertyFilter" {} -> ();
    /// Waits until something differs from `version`; absent when nothing did in time.
    read WaitForUpdatesEx = "WaitForUpdatesEx" {
        version: Option<String> = "version",
        options: Option<WaitOptions> = "options",
    } -> Option<UpdateSet>;
    /// The older form, without a time limit.
    read WaitForUpdates = "WaitForUpdates" { version: Option<String> = "version", } -> UpdateSet;
    /// Looks for what differs from `version`, without waiting.
    read CheckForUpdates = "CheckForUpdates" { version: Option<String> = "version", } -> Option<UpdateSet>;
    /// Ends a wait from another connection.
    read CancelWaitForUpdates = "CancelWaitForUpdates" {} -> ();
    /// A view of all objects of some types under a container.
    read CreateContainerView = "CreateContainerView" {
        container: Moref = "container",
        kinds: Vec<String> = "type",
        recursive: bool = "recursive",
    } -> Moref;
    /// Ends a view.
    read DestroyView = "DestroyView" {} -> ();
}
