//! Guest customization: what vCenter configures in a guest by itself.

use super::declare::{data, methods};
use super::xml::Element;

data! {
    /// How a guest's customization stands.
    GuestInfoCustomizationInfo {
        customization_status: String = "customizationStatus",
        start_time: Option<String> = "startTime",
        end_time: Option<String> = "endTime",
        error_msg: Option<String> = "errorMsg",
    }

    /// What is said about a specification that the server keeps.
    CustomizationSpecInfo {
        name: String = "name",
        description: Option<String> = "description",
        /// `Linux` or `Windows`.
        kind: String = "type",
        change_version: Option<String> = "changeVersion",
    }
}

methods! {
    /// Has a guest customized when it is powered on next.
    write CustomizeVmTask = "CustomizeVM_Task" { spec: Element = "spec", } -> super::value::Moref;
    /// A specification that the server keeps, with what is said about it.
    read GetCustomizationSpec = "GetCustomizationSpec" { name: String = "name", } -> Element;
}
