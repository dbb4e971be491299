//! Custom attributes.

use super::declare::{data, methods};
use super::value::Moref;

data! {
    /// A custom attribute.
    CustomFieldDef {
        key: i32 = "key",
        name: String = "name",
        /// Of its values: always text.
        kind: String = "type",
        /// The kind of objects that have it; none: all.
        managed_object_type: Option<String> = "managedObjectType",
    }

    /// A custom attribute's value.
    CustomFieldStringValue {
        key: i32 = "key",
        value: String = "value",
    }
}

methods! {
    /// Makes a custom attribute.
    write AddCustomFieldDef = "AddCustomFieldDef" {
        name: String = "name",
        kind: Option<String> = "moType",
    } -> CustomFieldDef;
    /// Sets the value of one.
    read SetField = "SetField" {
        entity: Moref = "entity",
        key: i32 = "key",
        value: String = "value",
    } -> ();    /// Takes a custom attribute away, and all its values.
    write RemoveCustomFieldDef = "RemoveCustomFieldDef" {
        key: i32 = "key",
    } -> ();
}
