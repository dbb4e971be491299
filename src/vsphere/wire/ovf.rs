//! OVF: what a machine is described by, and the leases under which its disks are sent and fetched.

use super::declare::{data, methods, words};
use super::fault::Fault;
use super::value::Moref;
use super::xml::Element;

data! {
    /// A key with its value.
    KeyValue {
        key: String = "key",
        value: String = "value",
    }

    /// What a network of a descriptor is attached to.
    OvfNetworkMapping {
        name: String = "name",
        network: Moref = "network",
    }

    /// How a descriptor is to be understood.
    OvfCreateImportSpecParams {
        locale: String = "locale",
        /// Which of its configurations; empty: its default.
        deployment_option: String = "deploymentOption",
        entity_name: String = "entityName",
        host_system: Option<Moref> = "hostSystem",
        network_mapping: Vec<OvfNetworkMapping> = "networkMapping",
        ip_allocation_policy: Option<String> = "ipAllocationPolicy",
        ip_protocol: Option<String> = "ipProtocol",
        property_mapping: Vec<KeyValue> = "propertyMapping",
        disk_provisioning: Option<String> = "diskProvisioning",
    }

    /// What a descriptor means here.
    OvfCreateImportSpecResult {
        /// To be handed to ImportVApp, with its `xsi:type`.
        import_spec: Option<Element> = "importSpec",
        file_item: Vec<OvfFileItem> = "fileItem",
        warning: Vec<Fault> = "warning",
        error: Vec<Fault> = "error",
    }

    /// A file to be sent.
    OvfFileItem {
        /// As the lease calls it, in its `importKey`.
        device_id: String = "deviceId",
        path: String = "path",
        compression_method: Option<String> = "compressionMethod",
        chunk_size: Option<i64> = "chunkSize",
        size: Option<i64> = "size",
        cim_type: i32 = "cimType",
        /// Whether the file is to be made: no disk, but an image.
        create: bool = "create",
    }

    /// What a descriptor is to be made of.
    OvfCreateDescriptorParams {
        ovf_files: Vec<OvfFile> = "ovfFiles",
        name: Option<String> = "name",
        description: Option<String> = "description",
        include_image_files: Option<bool> = "includeImageFiles",
    }

    /// A file that was fetched.
    OvfFile {
        /// As the lease calls it, in its `key`.
        device_id: String = "deviceId",
        path: String = "path",
        compression_method: Option<String> = "compressionMethod",
        chunk_size: Option<i64> = "chunkSize",
        size: i64 = "size",
        capacity: Option<i64> = "capacity",
        populated_size: Option<i64> = "populatedSize",
    }

    /// A descriptor.
    OvfCreateDescriptorResult {
        ovf_descriptor: String = "ovfDescriptor",
        error: Vec<Fault> = "error",
        warning: Vec<Fault> = "warning",
        include_image_files: Option<bool> = "includeImageFiles",
    }

    /// What a lease is for.
    HttpNfcLeaseInfo {
        lease: Moref = "lease",
        entity: Moref = "entity",
        device_url: Vec<HttpNfcLeaseDeviceUrl> = "deviceUrl",
        total_disk_capacity_in_kb: i64 = "totalDiskCapacityInKB",
        /// In seconds, without a sign of life.
        lease_timeout: i32 = "leaseTimeout",
    }

    /// Where a file of a lease is.
    HttpNfcLeaseDeviceUrl {
        key: String = "key",
        import_key: String = "importKey",
        url: String = "url",
        ssl_thumbprint: String = "sslThumbprint",
        disk: Option<bool> = "disk",
        target_id: Option<String> = "targetId",
        datastore_key: Option<String> = "datastoreKey",
        file_size: Option<i64> = "fileSize",
    }

    /// A file of a lease as it has come, or gone.
    HttpNfcLeaseManifestEntry {
        key: String = "key",
        sha1: String = "sha1",
        checksum: Option<String> = "checksum",
        checksum_type: Option<String> = "checksumType",
        size: i64 = "size",
        disk: bool = "disk",
    }
}

words! {
    /// How a lease stands.
    HttpNfcLeaseState = "HttpNfcLeaseState" {
        Initializing = "initializing",
        Ready = "ready",
        Done = "done",
        Error = "error",
    }
}

methods! {
    /// What a descriptor means here.
    read CreateImportSpec = "CreateImportSpec" {
        ovf_descriptor: String = "ovfDescriptor",
        resource_pool: Moref = "resourcePool",
        datastore: Moref = "datastore",
        cisp: OvfCreateImportSpecParams = "cisp",
    } -> OvfCreateImportSpecResult;
    /// A machine's descriptor.
    read CreateDescriptor = "CreateDescriptor" {
        obj: Moref = "obj",
        cdp: OvfCreateDescriptorParams = "cdp",
    } -> OvfCreateDescriptorResult;
    /// Makes the machine, and a lease to send its disks.
    write ImportVApp = "ImportVApp" {
        spec: Element = "spec",
        folder: Option<Moref> = "folder",
        host: Option<Moref> = "host",
    } -> Moref;
    /// A lease to fetch a machine's disks.
    write ExportVm = "ExportVm" {} -> Moref;
    /// Tells how far it is, and keeps the lease.
    read HttpNfcLeaseProgress = "HttpNfcLeaseProgress" { percent: i32 = "percent", } -> ();
    /// Ends a lease well.
    write HttpNfcLeaseComplete = "HttpNfcLeaseComplete" {} -> ();
    /// Ends a lease otherwise: a machine that was being made is removed.
    write HttpNfcLeaseAbort = "HttpNfcLeaseAbort" { fault: Option<Fault> = "fault", } -> ();
}
