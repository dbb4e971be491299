//! Faults: what failed on the server, by type with base types.

use super::declare::data;
use super::value::{Any, Field, Moref, Value, WireError};
use super::xml::Element;

data! {
    /// A message that a server has put into the session's language.
    LocalizableMessage {
        key: String = "key",
        arg: Vec<KeyAnyValue> = "arg",
        message: Option<String> = "message",
    }

    /// A key with a value of any type.
    KeyAnyValue {
        key: String = "key",
        value: Any = "value",
    }
}

/// A fault: its type, the server's words, and its fields.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fault {
    /// The type: `NoPermission`. Empty when the server named none.
    pub kind: String,
    /// `localizedMessage`, or the `faultstring` of a SOAP fault. May be empty.
    pub message: String,
    /// The fault's own fields.
    pub fields: Vec<Element>,
    /// `faultMessage`: what further led to it, outermost first.
    pub details: Vec<LocalizableMessage>,
    /// `faultCause`.
    pub cause: Option<Box<Fault>>,
}

impl Fault {
    /// A fault of that type, with a message.
    pub fn new(kind: impl Into<String>, message: impl Into<String>) -> Self {
        Fault { kind: kind.into(), message: message.into(), ..Fault::default() }
    }

    /// Adds a field.
    pub fn with<T: Field>(mut self, name: &str, value: T) -> Self {
        let mut holder = Element::default();
        value.write(name, &mut holder);
        self.fields.extend(holder.children);
        self
    }

    /// Whether it is of that type, or of one derived from it.
    pub fn is_a(&self, kind: &str) -> bool {
        self.kind == kind || kind == "MethodFault" || bases_of(&self.kind).any(|base| base == kind)
    }

    /// A field's text.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|e| e.name == name).map(|e| e.text.as_str()).filter(|text| !text.is_empty())
    }

    /// A field that refers to a managed object.
    pub fn object(&self, name: &str) -> Option<Moref> {
        self.fields.iter().find(|e| e.name == name).and_then(|e| Moref::from_element(e).ok())
    }

    /// All that the server says about it, each once, and not what stands in the one before: the message, the details, then
    /// the same of the causes.
    pub fn messages(&self) -> Vec<&str> {
        let mut out: Vec<&str> = Vec::new();
        let mut fault = Some(self);
        while let Some(f) = fault {
            let own = std::iter::once(f.message.as_str());
            for text in own.chain(f.details.iter().filter_map(|d| d.message.as_deref())) {
                let text = text.trim();
                if !text.is_empty() && !out.iter().any(|said| said.contains(text)) {
                    out.push(text);
                }
            }
            fault = f.cause.as_deref();
        }
        out
    }

    /// The fault's object as an element of that name, with its `xsi:type`.
    pub(super) fn detail_element(&self, name: &str) -> Element {
        let mut element = Element::new(name).typed(&self.kind);
        if let Some(cause) = &self.cause {
            element.children.push(cause.to_element("faultCause"));
        }
        self.details.write("faultMessage", &mut element);
        element.children.extend(self.fields.iter().cloned());
        element
    }

    fn from_detail(element: &Element, message: String) -> Self {
        let kind = element.xsi_type.clone().unwrap_or_default();
        let mut fault = Fault { kind, message, ..Fault::default() };
        for child in &element.children {
            match child.name.as_str() {
                "faultCause" => fault.cause = Fault::from_element(child).ok().map(Box::new),
                "faultMessage" => fault.details.extend(LocalizableMessage::from_element(child).ok()),
                _ => fault.fields.push(child.clone()),
            }
        }
        fault
    }

    /// Reads the `Fault` element of a SOAP body. Whatever is missing stays empty: a fault must never hide
    /// behind another error.
    pub(super) fn from_soap(element: &Element) -> Self {
        let message = element.child_text("faultstring").unwrap_or_default().trim().to_owned();
        let Some(detail) = element.child("detail").and_then(|d| d.children.first()) else {
            return Fault::new("", message);
        };
        let mut fault = Fault::from_detail(detail, message);
        if fault.kind.is_empty() {
            fault.kind = detail.name.strip_suffix("Fault").unwrap_or(&detail.name).to_owned();
        }
        fault
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.kind.as_str(), self.messages().join("; ")) {
            ("", text) => f.write_str(&text),
            (kind, text) if text.is_empty() => f.write_str(kind),
            (kind, text) => write!(f, "{kind}: {text}"),
        }
    }
}

/// As `LocalizedMethodFault`.
impl Value for Fault {
    const TYPE: &'static str = "LocalizedMethodFault";
    fn to_element(&self, name: &str) -> Element {
        let element = Element::new(name).with(self.detail_element("fault"));
        element.with(Element::text("localizedMessage", &self.message))
    }
    fn from_element(element: &Element) -> Result<Self, WireError> {
        let detail = element.child("fault").ok_or_else(|| WireError::missing(element, "fault"))?;
        let message = element.child_text("localizedMessage").unwrap_or_default().trim().to_owned();
        Ok(Fault::from_detail(detail, message))
    }
}

/// The base types of a fault type, nearest first; none for a type that isn't known.
pub fn bases_of(kind: &str) -> impl Iterator<Item = &'static str> {
    let base = |kind: &str| BASES.iter().find(|(name, _)| *name == kind).map(|(_, base)| *base);
    std::iter::successors(base(kind), move |kind| base(kind))
}

/// Fault types and what they derive from.
#[rustfmt::skip]
const BASES: &[(&str, &str)] = &[
    ("ActiveVMsBlockingEVC", "EVCConfigFault"),
    ("AlreadyExists", "VimFault"),
    ("ApplicationQuiesceFault", "SnapshotFault"),
    ("CannotAccessFile", "FileFault"),
    ("CannotCreateFile", "FileFault"),
    ("CannotModifyConfigCpuRequirements", "MigrationFault"),
    ("CannotMoveVmWithDeltaDisk", "MigrationFault"),
    ("CannotUseNetwork", "VmConfigFault"),
    ("ConcurrentAccess", "VimFault"),
    ("CpuIncompatible", "VirtualHardwareCompatibilityIssue"),
    ("CustomizationFault", "VimFault"),
    ("CustomizationPending", "CustomizationFault"),
    ("DatacenterMismatch", "MigrationFault"),
    ("DatastoreNotWritableOnHost", "InvalidDatastore"),
    ("DeviceNotFound", "InvalidDeviceSpec"),
    ("DeviceNotSupported", "VirtualHardwareCompatibilityIssue"),
    ("DeviceUnsupportedForVmPlatform", "InvalidDeviceSpec"),
    ("DisallowedOperationOnFailoverHost", "RuntimeFault"),
    ("DiskNotSupported", "VirtualHardwareCompatibilityIssue"),
    ("DrsDisabledOnVm", "VimFault"),
    ("DuplicateName", "VimFault"),
    ("DvsFault", "VimFault"),
    ("EVCConfigFault", "VimFault"),
    ("FeatureRequirementsNotMet", "VirtualHardwareCompatibilityIssue"),
    ("FileAlreadyExists", "FileFault"),
    ("FileBackedPortNotSupported", "DeviceNotSupported"),
    ("FileFault", "VimFault"),
    ("FileLocked", "FileFault"),
    ("FileNotFound", "FileFault"),
    ("FileNotWritable", "FileFault"),
    ("FileTooLarge", "FileFault"),
    ("FilesystemQuiesceFault", "SnapshotFault"),
    ("FilterInUse", "ResourceInUse"),
    ("GenericVmConfigFault", "VmConfigFault"),
    ("GuestAuthenticationChallenge", "GuestOperationsFault"),
    ("GuestComponentsOutOfDate", "GuestOperationsFault"),
    ("GuestMultipleMappings", "GuestOperationsFault"),
    ("GuestOperationsFault", "VimFault"),
    ("GuestOperationsUnavailable", "GuestOperationsFault"),
    ("GuestPermissionDenied", "GuestOperationsFault"),
    ("GuestProcessNotFound", "GuestOperationsFault"),
    ("GuestRegistryFault", "GuestOperationsFault"),
    ("GuestRegistryKeyFault", "GuestRegistryFault"),
    ("HostCommunication", "RuntimeFault"),
    ("HostConfigFault", "VimFault"),
    ("HostConnectFault", "VimFault"),
    ("HostInventoryFull", "NotEnoughLicenses"),
    ("HostNotConnected", "HostCommunication"),
    ("HostNotReachable", "HostCommunication"),
    ("HostPowerOpFailed", "VimFault"),
    ("InaccessibleDatastore", "InvalidDatastore"),
    ("InsufficientCpuResourcesFault", "InsufficientResourcesFault"),
    ("InsufficientFailoverResourcesFault", "InsufficientResourcesFault"),
    ("InsufficientHostCapacityFault", "InsufficientResourcesFault"),
    ("InsufficientMemoryResourcesFault", "InsufficientResourcesFault"),
    ("InsufficientResourcesFault", "VimFault"),
    ("InsufficientStandbyResource", "InsufficientResourcesFault"),
    ("InsufficientStorageSpace", "InsufficientResourcesFault"),
    ("InvalidArgument", "RuntimeFault"),
    ("InvalidCollectorVersion", "MethodFault"),
    ("InvalidController", "InvalidDeviceSpec"),
    ("InvalidDatastore", "VimFault"),
    ("InvalidDeviceBacking", "InvalidDeviceSpec"),
    ("InvalidDeviceOperation", "InvalidDeviceSpec"),
    ("InvalidDeviceSpec", "InvalidVmConfig"),
    ("InvalidFolder", "VimFault"),
    ("InvalidFormat", "VmConfigFault"),
    ("InvalidGuestLogin", "GuestOperationsFault"),
    ("InvalidHostState", "InvalidState"),
    ("InvalidLocale", "VimFault"),
    ("InvalidLogin", "VimFault"),
    ("InvalidName", "VimFault"),
    ("InvalidPowerState", "InvalidState"),
    ("InvalidProperty", "MethodFault"),
    ("InvalidPropertyValue", "VAppPropertyFault"),
    ("InvalidRequest", "RuntimeFault"),
    ("InvalidResourcePoolStructureFault", "InsufficientResourcesFault"),
    ("InvalidState", "VimFault"),
    ("InvalidType", "InvalidRequest"),
    ("InvalidVmConfig", "VmConfigFault"),
    ("IpHostnameGeneratorError", "CustomizationFault"),
    ("LicenseExpired", "NotEnoughLicenses"),
    ("LicenseRestricted", "NotEnoughLicenses"),
    ("LicenseServerUnavailable", "VimFault"),
    ("LinuxVolumeNotClean", "CustomizationFault"),
    ("ManagedObjectNotFound", "RuntimeFault"),
    ("MemorySnapshotOnIndependentDisk", "SnapshotFault"),
    ("MethodNotFound", "InvalidRequest"),
    ("MigrationFault", "VimFault"),
    ("MismatchedNetworkPolicies", "MigrationFault"),
    ("MissingController", "InvalidDeviceSpec"),
    ("MissingPowerOnConfiguration", "VAppConfigFault"),
    ("MultipleSnapshotsNotSupported", "SnapshotFault"),
    ("NasConfigFault", "HostConfigFault"),
    ("NetworkDisruptedAndConfigRolledBack", "VimFault"),
    ("NetworkInaccessible", "NasConfigFault"),
    ("NoActiveHostInCluster", "InvalidState"),
    ("NoClientCertificate", "VimFault"),
    ("NoCompatibleDatastore", "VimFault"),
    ("NoCompatibleHost", "VimFault"),
    ("NoCompatibleHostWithAccessToDevice", "NoCompatibleHost"),
    ("NoDiskSpace", "FileFault"),
    ("NoHost", "HostConnectFault"),
    ("NoPermission", "SecurityError"),
    ("NoSubjectName", "VimFault"),
    ("NotAuthenticated", "NoPermission"),
    ("NotEnoughCpus", "VirtualHardwareCompatibilityIssue"),
    ("NotEnoughLicenses", "RuntimeFault"),
    ("NotFound", "VimFault"),
    ("NotImplemented", "RuntimeFault"),
    ("NotSupported", "RuntimeFault"),
    ("NotUserConfigurableProperty", "VAppPropertyFault"),
    ("OperationDisabledByGuest", "GuestOperationsFault"),
    ("OperationNotSupportedByGuest", "GuestOperationsFault"),
    ("OutOfBounds", "VimFault"),
    ("PasswordExpired", "InvalidLogin"),
    ("QuarantineModeFault", "VmConfigFault"),
    ("QuestionPending", "InvalidState"),
    ("RDMNotSupported", "DeviceNotSupported"),
    ("ReadOnlyDisksWithLegacyDestination", "MigrationFault"),
    ("RecordReplayDisabled", "VimFault"),
    ("RequestCanceled", "RuntimeFault"),
    ("ResourceInUse", "VimFault"),
    ("ResourceNotAvailable", "VimFault"),
    ("RestrictedVersion", "SecurityError"),
    ("RuntimeFault", "MethodFault"),
    ("SSLVerifyFault", "HostConnectFault"),
    ("SSPIChallenge", "VimFault"),
    ("SecurityError", "RuntimeFault"),
    ("SharedBusControllerNotSupported", "DeviceNotSupported"),
    ("SnapshotCopyNotSupported", "MigrationFault"),
    ("SnapshotFault", "VimFault"),
    ("StorageDrsCannotMoveVmInUserFolder", "VimFault"),
    ("SwapPlacementOverrideNotSupported", "InvalidVmConfig"),
    ("SystemError", "RuntimeFault"),
    ("TaskInProgress", "VimFault"),
    ("Timedout", "VimFault"),
    ("TooManyDevices", "InvalidVmConfig"),
    ("TooManyDisksOnLegacyHost", "MigrationFault"),
    ("TooManyGuestLogons", "GuestOperationsFault"),
    ("TooManyHosts", "HostConnectFault"),
    ("TooManySnapshotLevels", "SnapshotFault"),
    ("ToolsUnavailable", "VimFault"),
    ("UnconfiguredPropertyValue", "InvalidPropertyValue"),
    ("UncustomizableGuest", "CustomizationFault"),
    ("UnexpectedFault", "RuntimeFault"),
    ("UnrecognizedHost", "VimFault"),
    ("UnsupportedGuest", "InvalidVmConfig"),
    ("UnsupportedVmxLocation", "VmConfigFault"),
    ("UserNotFound", "VimFault"),
    ("VAppConfigFault", "VimFault"),
    ("VAppNotRunning", "VmConfigFault"),
    ("VAppPropertyFault", "VmConfigFault"),
    ("VAppTaskInProgress", "TaskInProgress"),
    ("VimFault", "MethodFault"),
    ("VirtualHardwareCompatibilityIssue", "VmConfigFault"),
    ("VirtualHardwareVersionNotSupported", "VirtualHardwareCompatibilityIssue"),
    ("VmConfigFault", "VimFault"),
    ("VmFaultToleranceIssue", "VimFault"),
    ("VmMonitorIncompatibleForFaultTolerance", "VimFault"),
    ("VmPowerOnDisabled", "InvalidState"),
    ("VmSmpFaultToleranceTooManyVMsOnHost", "InsufficientResourcesFault"),
    ("VmToolsUpgradeFault", "VimFault"),
];
