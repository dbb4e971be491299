//! Messages in the shapes that real servers and other clients send.

use crate::vsphere::wire::*;

/// An answer in the shape of vCenter's.
fn reply(body: &str) -> Reply {
    let document = format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenc="http://schemas.xmlsoap.org/soap/encoding/"
 xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"
 xmlns:xsd="http://www.w3.org/2001/XMLSchema"
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<soapenv:Body>
{body}
</soapenv:Body>
</soapenv:Envelope>"#
    );
    parse_reply(document.as_bytes(), Limits::default()).expect("a reply")
}

fn response<M: Method>(body: &str) -> M::Returns {
    match reply(body) {
        Reply::Body(body) => M::from_response(&body).expect("a response"),
        Reply::Fault(fault) => panic!("{fault}"),
    }
}

/// What a message is after it went over the wire and back.
fn request<M: Method>(method: &M) -> M {
    let document = request_document(&method.to_body(), None).expect("it can be written");
    M::from_body(&parse_request(document.as_bytes(), Limits::default()).expect("it can be read").body).expect("it")
}

#[test]
fn a_retrieval_page_with_what_is_missing() {
    let page = response::<RetrievePropertiesEx>(
        r#"<RetrievePropertiesExResponse xmlns="urn:vim25"><returnval><token>0</token><objects>
        <obj type="VirtualMachine">vm-42</obj>
        <propSet><name>name</name><val xsi:type="xsd:string">a%2fb</val></propSet>
        <propSet><name>config.template</name><val xsi:type="xsd:boolean">true</val></propSet>
        <propSet><name>datastore</name><val xsi:type="ArrayOfManagedObjectReference">
          <ManagedObjectReference type="Datastore" xsi:type="ManagedObjectReference">datastore-1</ManagedObjectReference>
          <ManagedObjectReference type="Datastore" xsi:type="ManagedObjectReference">datastore-2</ManagedObjectReference></val></propSet>
        <propSet><name>runtime.powerState</name><val xsi:type="VirtualMachinePowerState">poweredOff</val></propSet>
        <missingSet><path>runtime.host</path><fault><fault xsi:type="NoPermission">
          <object type="HostSystem">host-9</object><privilegeId>System.Read</privilegeId></fault>
          <localizedMessage>Permission to perform this operation was denied.</localizedMessage></fault></missingSet>
        </objects></returnval></RetrievePropertiesExResponse>"#,
    );
    let page = page.expect("a page");
    assert_eq!(page.token.as_deref(), Some("0"));
    let object = &page.objects[0];
    let value = |name: &str| &object.prop_set.iter().find(|p| p.name == name).expect(name).val;
    assert_eq!(value("name").text(), "a%2fb");
    assert_eq!(value("config.template").get::<bool>(), Ok(true));
    assert_eq!(value("datastore").list::<Moref>().expect("two").len(), 2);
    assert_eq!(value("runtime.powerState").get::<PowerState>(), Ok(PowerState::Off));
    assert!(value("name").get::<i32>().is_err());
    let missing = &object.missing_set[0];
    assert!(missing.fault.is_a("SecurityError"));
    assert_eq!(missing.fault.object("object"), Some(Moref::new("HostSystem", "host-9")));
    assert_eq!(missing.fault.field("privilegeId"), Some("System.Read"));

    let nothing = response::<RetrievePropertiesEx>(r#"<RetrievePropertiesExResponse xmlns="urn:vim25"/>"#);
    assert_eq!(nothing, None);
}

#[test]
fn a_task_that_failed() {
    let updates = response::<WaitForUpdatesEx>(
        r#"<WaitForUpdatesExResponse xmlns="urn:vim25"><returnval><version>7</version><filterSet>
        <filter type="PropertyFilter">session[1]52</filter><objectSet><kind>modify</kind><obj type="Task">task-7</obj>
        <changeSet><name>info</name><op>assign</op><val xsi:type="TaskInfo"><key>task-7</key><task type="Task">task-7</task>
        <description><key>com.vmware.vim.Task</key><message>Cloning</message></description>
        <name>CloneVM_Task</name><descriptionId>VirtualMachine.clone</descriptionId>
        <entity type="VirtualMachine">vm-1</entity><entityName>t</entityName><state>error</state>
        <cancelled>false</cancelled><cancelable>false</cancelable>
        <error><fault xsi:type="CannotAccessFile"><faultCause><fault xsi:type="FileLocked"><file>[DS] t/t.vmdk</file></fault>
          <localizedMessage>Locked by host 1</localizedMessage></faultCause>
          <faultMessage><key>msg.x</key><arg><key>1</key><value xsi:type="xsd:string">x</value></arg><message>Failed to lock the file</message></faultMessage>
          <file>[DS] t/t.vmdk</file></fault>
          <localizedMessage>Cannot access file [DS] t/t.vmdk</localizedMessage></error>
        <progress>30</progress><reason xsi:type="TaskReasonUser"><userName>me</userName></reason>
        <queueTime>2026-01-01T00:00:00.123Z</queueTime><eventChainId>99</eventChainId></val></changeSet></objectSet></filterSet>
        </returnval></WaitForUpdatesExResponse>"#,
    );
    let change = &updates.expect("updates").filter_set[0].object_set[0].change_set[0];
    let info: TaskInfo = change.val.as_ref().expect("a value").get().expect("a task's state");
    assert_eq!((info.state, info.progress, info.cancelable), (TaskState::Error, Some(30), false));
    let fault = info.error.expect("a fault");
    assert!(
        fault.is_a("CannotAccessFile")
            && fault.is_a("FileFault")
            && fault.is_a("VimFault")
            && !fault.is_a("FileLocked")
    );
    assert_eq!(fault.messages(), ["Cannot access file [DS] t/t.vmdk", "Failed to lock the file", "Locked by host 1"]);
    assert_eq!(fault.field("file"), Some("[DS] t/t.vmdk"));

    let quiet =
        response::<WaitForUpdatesEx>(r#"<WaitForUpdatesExResponse xmlns="urn:vim25"></WaitForUpdatesExResponse>"#);
    assert_eq!(quiet, None);
}

#[test]
fn faults_in_every_shape() {
    let fault = |detail: &str| {
        let body = format!(
            "<soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring>It failed.</faultstring>{detail}</soapenv:Fault>"
        );
        match reply(&body) {
            Reply::Fault(fault) => fault,
            Reply::Body(body) => panic!("{body:?}"),
        }
    };
    let typed = fault(
        r#"<detail><NotAuthenticatedFault xmlns="urn:vim25" xsi:type="NotAuthenticated"><object type="Folder">group-d1</object><privilegeId>System.View</privilegeId></NotAuthenticatedFault></detail>"#,
    );
    assert!(typed.kind == "NotAuthenticated" && typed.is_a("NoPermission") && typed.is_a("RuntimeFault"));
    assert_eq!(typed.to_string(), "NotAuthenticated: It failed.");
    let prefixed = fault(
        r#"<detail><v:InvalidPropertyFault xmlns:v="urn:vim25" xmlns:q="http://www.w3.org/2001/XMLSchema-instance" q:type="v:InvalidProperty"><v:name>config.nope</v:name></v:InvalidPropertyFault></detail>"#,
    );
    assert_eq!((prefixed.kind.as_str(), prefixed.field("name")), ("InvalidProperty", Some("config.nope")));
    assert_eq!(fault("<detail><InvalidLoginFault/></detail>").kind, "InvalidLogin", "by the element's name");
    assert_eq!(fault("").to_string(), "It failed.");
    assert_eq!(fault("<detail/>").kind, "");
    let unknown = fault(r#"<detail><XFault xsi:type="SomethingNew"/></detail>"#);
    assert!(unknown.is_a("SomethingNew") && unknown.is_a("MethodFault") && !unknown.is_a("VimFault"));
}

#[test]
fn faults_survive_the_way_over_the_wire() {
    let inner = Fault::new("FileLocked", "locked").with("file", "a <b>".to_owned());
    let mut fault = Fault::new("NoPermission", "denied")
        .with("object", Moref::new("VirtualMachine", "vm-1"))
        .with("privilegeId", "VirtualMachine.Interact.PowerOn".to_owned());
    fault.cause = Some(Box::new(inner));
    fault.details.push(LocalizableMessage { key: "k".into(), arg: Vec::new(), message: Some("m".into()) });
    let document = fault_document(&fault).expect("it can be written");
    assert_eq!(parse_reply(document.as_bytes(), Limits::default()), Ok(Reply::Fault(fault.clone())));
    assert_eq!(Fault::from_element(&fault.to_element("error")), Ok(fault));
}

#[test]
fn every_fault_type_leads_to_the_root() {
    for kind in ["InvalidGuestLogin", "FileNotFound", "VAppTaskInProgress", "RestrictedVersion", "DeviceNotFound"] {
        assert_eq!(bases_of(kind).last(), Some("MethodFault"), "{kind}");
    }
    assert_eq!(bases_of("NoSuchFault").next(), None);
}

#[test]
fn a_clone_as_another_client_asks_for_it() {
    // As govc writes it: its own prefixes, and types wherever they could differ.
    let document = r#"<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Header><operationID xmlns="http://www.w3.org/2001/XMLSchema">abc</operationID></Header>
<Body><CloneVM_Task xmlns="urn:vim25"><_this type="VirtualMachine">vm-57</_this><folder type="Folder">group-3</folder><name>x</name>
<spec><location><folder type="Folder">group-3</folder><datastore type="Datastore">datastore-1</datastore><pool type="ResourcePool">resgroup-27</pool>
<deviceChange XMLSchema-instance:type="VirtualDeviceConfigSpec" xmlns:XMLSchema-instance="http://www.w3.org/2001/XMLSchema-instance">
<operation>edit</operation><device XMLSchema-instance:type="VirtualVmxnet3"><key>4000</key>
<backing XMLSchema-instance:type="VirtualEthernetCardDistributedVirtualPortBackingInfo"><port><switchUuid>50 2b</switchUuid><portgroupKey>dvportgroup-13</portgroupKey></port></backing>
<somethingNew><x>1</x></somethingNew></device></deviceChange></location>
<template>false</template><powerOn>true</powerOn></spec></CloneVM_Task></Body></Envelope>"#;
    let read = parse_request(document.as_bytes(), Limits::default()).expect("a request");
    assert_eq!(read.operation_id.as_deref(), Some("abc"));
    let clone = CloneVmTask::from_body(&read.body).expect("a clone");
    assert_eq!(clone.this, Moref::new("VirtualMachine", "vm-57"));
    assert_eq!(clone.spec.location.pool, Some(Moref::new("ResourcePool", "resgroup-27")));
    let change = &clone.spec.location.device_change[0];
    assert_eq!(change.operation, Some(DeviceOperation::Edit));
    let nic = Nic::of(&change.device).expect("an adapter");
    assert!(
        matches!(nic.backing(), Some(NicBacking::Port(p)) if p.port.portgroup_key.as_deref() == Some("dvportgroup-13"))
    );
    assert_eq!(request(&clone), clone);
    let again = request_document(&clone.to_body(), None).expect("it can be written");
    assert!(
        again.contains("<device xsi:type=\"VirtualVmxnet3\">") && again.contains("<somethingNew><x>1</x>"),
        "{again}"
    );
}

#[test]
fn an_adapter_keeps_all_but_what_is_changed() {
    let device = Element::parse(
        br#"<VirtualDevice xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="VirtualVmxnet3"><key>4001</key>
        <deviceInfo><label>Network adapter 2</label><summary>old</summary></deviceInfo>
        <backing xsi:type="VirtualEthernetCardNetworkBackingInfo"><deviceName>old</deviceName><useAutoDetect>false</useAutoDetect></backing>
        <connectable><startConnected>false</startConnected><allowGuestControl>true</allowGuestControl><connected>false</connected><status>ok</status></connectable>
        <controllerKey>100</controllerKey><unitNumber>8</unitNumber><macAddress>00:50:56:01:02:03</macAddress><future>1</future></VirtualDevice>"#,
        Limits::default(),
    )
    .expect("a device");
    let mut nic = Nic::of(&device).expect("an adapter");
    assert_eq!(
        (nic.key(), nic.label(), nic.mac(), nic.start_connected()),
        (Ok(4001), "Network adapter 2", Some("00:50:56:01:02:03"), Some(false))
    );
    nic.attach(&NicBacking::Opaque(VirtualEthernetCardOpaqueNetworkBackingInfo {
        opaque_network_id: "id".into(),
        opaque_network_type: "nsx.LogicalSwitch".into(),
    }));
    assert!(matches!(nic.backing(), Some(NicBacking::Opaque(_))));
    assert_eq!(nic.start_connected(), Some(true));
    let names: Vec<&str> = nic.device().children.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(
        names,
        ["key", "deviceInfo", "backing", "connectable", "controllerKey", "unitNumber", "macAddress", "future"]
    );

    // One that has neither backing nor state gets them where the schema wants them.
    let bare = Element::new("device")
        .typed("VirtualE1000")
        .with(Element::text("key", "1"))
        .with(Element::text("controllerKey", "100"));
    let mut bare = Nic::of(&bare).expect("an adapter");
    bare.attach(&NicBacking::Network(VirtualEthernetCardNetworkBackingInfo {
        device_name: "n".into(),
        ..Default::default()
    }));
    let names: Vec<&str> = bare.device().children.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["key", "backing", "connectable", "controllerKey"]);
    assert_eq!(Nic::of(&Element::new("device").typed("VirtualDisk")), None);
}

#[test]
fn guest_operations_both_ways() {
    let auth = GuestAuthentication::NamePassword(NamePasswordAuthentication {
        interactive_session: false,
        username: "root".into(),
        password: "a&b<c>\"'".into(),
    });
    let start = StartProgramInGuest {
        this: Moref::new("GuestProcessManager", "p"),
        vm: Moref::new("VirtualMachine", "vm-1"),
        auth: auth.clone(),
        spec: GuestProgramSpec {
            program_path: "/bin/sh".into(),
            arguments: " -c 'x'\r\n\t".into(),
            working_directory: None,
            env_variables: vec!["A=1".into(), "B=".into()],
        },
    };
    assert_eq!(request(&start), start);
    let written = request_document(&start.to_body(), None).expect("it can be written");
    assert!(
        written.contains(
            "<auth xsi:type=\"NamePasswordAuthentication\"><interactiveSession>false</interactiveSession><username>root"
        ),
        "{written}"
    );

    let put = InitiateFileTransferToGuest {
        auth,
        guest_file_path: "/f".into(),
        file_attributes: GuestFileAttributes::Posix(GuestPosixFileAttributes {
            permissions: Some(0o755),
            ..Default::default()
        }),
        file_size: 1,
        ..Default::default()
    };
    let written = request_document(&put.to_body(), None).expect("it can be written");
    assert!(
        written.contains(
            "<fileAttributes xsi:type=\"GuestPosixFileAttributes\"><permissions>493</permissions></fileAttributes>"
        ),
        "{written}"
    );
    assert_eq!(request(&put), put);

    let files = response::<ListFilesInGuest>(
        r#"<ListFilesInGuestResponse xmlns="urn:vim25"><returnval><files><path>0007.out</path><type>symlink</type><size>12</size>
        <attributes xsi:type="GuestPosixFileAttributes"><modificationTime>2026-01-01T00:00:00Z</modificationTime>
        <symlinkTarget>aGVsbG8=</symlinkTarget><ownerId>0</ownerId><groupId>0</groupId><permissions>511</permissions></attributes></files>
        <remaining>3</remaining></returnval></ListFilesInGuestResponse>"#,
    );
    assert_eq!(files.remaining, 3);
    match &files.files[0].attributes {
        GuestFileAttributes::Posix(posix) => assert_eq!(posix.symlink_target.as_deref(), Some("aGVsbG8=")),
        other => panic!("{other:?}"),
    }
    let processes = response::<ListProcessesInGuest>(
        r#"<ListProcessesInGuestResponse xmlns="urn:vim25"><returnval><name>sh</name><pid>17</pid><owner>root</owner><cmdLine>"/bin/sh" x</cmdLine>
        <startTime>2026-01-01T00:00:00Z</startTime></returnval><returnval><name>true</name><pid>18</pid><owner>root</owner><cmdLine/>
        <startTime>2026-01-01T00:00:00Z</startTime><endTime>2026-01-01T00:00:01Z</endTime><exitCode>0</exitCode></returnval></ListProcessesInGuestResponse>"#,
    );
    assert_eq!(processes.iter().map(|p| (p.pid, p.exit_code)).collect::<Vec<_>>(), [(17, None), (18, Some(0))]);
}

#[test]
fn selections_both_ways() {
    let traversal = TraversalSpec {
        name: Some("walk".into()),
        kind: "Folder".into(),
        path: "childEntity".into(),
        skip: Some(false),
        select_set: vec![Selection::Named(SelectionSpec { name: Some("walk".into()) })],
    };
    let retrieve = RetrievePropertiesEx {
        this: Moref::new("PropertyCollector", "pc"),
        spec_set: vec![PropertyFilterSpec {
            prop_set: vec![PropertySpec { kind: "Folder".into(), all: None, path_set: vec!["name".into()] }],
            object_set: vec![ObjectSpec {
                obj: Moref::new("Folder", "group-d1"),
                skip: Some(true),
                select_set: vec![Selection::Traversal(traversal)],
            }],
            report_missing_objects_in_results: Some(true),
        }],
        options: RetrieveOptions::default(),
    };
    assert_eq!(request(&retrieve), retrieve);
}

#[test]
fn values_of_any_type_say_which() {
    let kinds = [
        (Any::of(&"x".to_owned()), "string"),
        (Any::of(&true), "boolean"),
        (Any::of(&1i32), "int"),
        (Any::of(&1i64), "long"),
        (Any::of(&Moref::new("Folder", "f")), "ManagedObjectReference"),
        (Any::of(&PowerState::On), "VirtualMachinePowerState"),
        (Any::of(&TaskInfo::default()), "TaskInfo"),
        (Any::of(&NicBacking::Network(Default::default())), "VirtualEthernetCardNetworkBackingInfo"),
        (Any::array("string", &["a".to_owned()]), "ArrayOfString"),
        (Any::array("ManagedObjectReference", &[Moref::new("Task", "t")]), "ArrayOfManagedObjectReference"),
    ];
    for (value, kind) in kinds {
        assert_eq!(value.kind(), kind);
        let written = Element::new("a").with(value.to_element("val")).to_xml().expect("it can be written");
        let read = Element::parse(written.as_bytes(), Limits::default()).expect("it can be read");
        assert_eq!(Any::from_element(read.child("val").expect("val")), Ok(value), "{written}");
    }
    assert_eq!(
        Any::array("string", &["a".to_owned(), "b".to_owned()]).list::<String>(),
        Ok(vec!["a".to_owned(), "b".to_owned()])
    );
}
