//! What is sent for each instruction, compared field by field with what govc or pyVmomi sends for the same job, as both go
//! over the wire: to the simulator that others wrote, and to our sandbox. A difference is listed with its reason, and any
//! other one fails.

#![allow(clippy::unwrap_used)] // a test may

use crate::common;

use common::ear::{Asked, Ear, Fields, Otherwise, alike, all, but, differences, only};
use common::ova::{OVF, app, disk};
use common::site::Site;
use common::{DEADLINE, context, on_both};
use vmwbuild::vsphere::client::{Adapter, Client, Customization, Deadline, EntityKind};
use vmwbuild::vsphere::wire::{Element, Moref};

on_both! {
    via here:
    a_guest_is_customized_as_govc_does
    a_kept_specification_is_filled_in_as_govc_does
    what_govc_cannot_say_of_a_guest_is_said_as_pyvmomi_does
    tags_are_attached_as_govc_does
    custom_attributes_are_set_as_govc_does
    snapshots_are_made_and_used_as_govc_does
    a_machine_is_cloned_and_changed_as_govc_and_pyvmomi_do
    a_machine_is_cloned_by_a_policy_as_pyvmomi_does
    a_library_item_is_left_and_deployed_as_govc_does
    properties_of_an_item_are_set_as_govc_does
    a_vm_template_is_left_in_a_library_as_govc_does
    machines_are_switched_and_marked_as_govc_does
}

/// A storage policy that both servers have.
const POLICY: &str = "vSAN Default Storage Policy";
/// Its id.
const POLICY_ID: &str = "aa6d5a82-1c88-45da-85d3-3d74b91a5bad";
/// Where machines are put.
const POOL: &str = "/DC0/host/DC0_C0/Resources";

pub fn soon() -> Deadline {
    Deadline::after(DEADLINE)
}

/// A clone of the template that nobody has done anything with.
pub fn fresh(site: &Site, name: &str) {
    site.govc(&["vm.clone", "-vm", site.template(), "-pool", POOL, "-on=false", name]);
}

pub async fn vm(client: &Client, name: &str) -> Moref {
    client.inventory().await.unwrap().vm(name, None).unwrap().moref.clone()
}

/// The id of a machine.
pub fn id(site: &Site, name: &str) -> String {
    site.with_client(async |client| vm(client, name).await.value)
}

/// Both have made one call of these, and the same one.
#[track_caller]
fn same(ours: &[Asked], theirs: &[Asked], call: &str, knowingly: &[Otherwise<'_>]) {
    alike(&only(ours, call).fields(), &only(theirs, call).fields(), knowingly);
}

/// Whatever is said otherwise, is seen.
#[test]
fn no_difference_is_overlooked() {
    const WHOLE: &str = r#"<CustomizeVM_Task><_this type="VirtualMachine">vm-1</_this><spec><identity xsi:type="CustomizationLinuxPrep"><hostName xsi:type="CustomizationFixedName"><name>www</name></hostName><domain>a</domain></identity><globalIPSettings><dns>1</dns><dns>2</dns></globalIPSettings></spec></CustomizeVM_Task>"#;
    let whole = Asked::soap(WHOLE).fields();
    let seen = |changed: &str, knowingly: &[Otherwise<'_>]| {
        assert_ne!(changed, WHOLE);
        differences(&Asked::soap(changed).fields(), &whole, knowingly)
    };
    assert_eq!(differences(&whole, &whole, &[]), Vec::<String>::new());
    for (from, to) in [
        ("CustomizeVM_Task", "ReconfigVM_Task"),
        ("vm-1", "vm-2"),
        ("\"VirtualMachine\"", "\"Folder\""),
        ("www", "ww"),
        ("www", ""),
        ("CustomizationLinuxPrep", "CustomizationSysprep"),
        (" xsi:type=\"CustomizationLinuxPrep\"", ""),
        ("<domain>a</domain>", ""),
        ("<domain>a</domain>", "<domain>a</domain><timeZone/>"),
        ("<domain>a</domain>", "<domain>a</domain><domain>a</domain>"),
        ("<dns>1</dns><dns>2</dns>", "<dns>2</dns><dns>1</dns>"),
        ("<dns>2</dns>", ""),
        ("<hostName", "<domain>a</domain><hostName"),
    ] {
        assert_ne!(seen(&WHOLE.replace(from, to), &[]), Vec::<String>::new(), "{from} {to}");
    }
    // The order of a schema.
    let (name, domain) = WHOLE.split_once("<domain>a</domain>").unwrap();
    let moved = format!("{}{domain}", name.replace("<hostName", "<domain>a</domain><hostName"));
    assert_eq!(seen(&moved, &[]), ["the same fields are in another order"]);
    // What is listed is that difference, and is there.
    let other = WHOLE.replace("www", "w3");
    let known = |ours, theirs| [but("/spec/identity/hostName/name", ours, theirs, "it is")];
    assert_eq!(seen(&other, &known(Some("w3"), Some("www"))), Vec::<String>::new());
    for (ours, theirs) in [(Some("w4"), Some("www")), (Some("w3"), None), (None, Some("www"))] {
        assert_eq!(seen(&other, &known(ours, theirs)).len(), 1);
    }
    assert_eq!(
        seen(&other, &[known(Some("w3"), Some("www")), [but("/spec/none", None, Some("a"), "?")]].concat()).len(),
        1
    );
}

fn a_guest_is_customized_as_govc_does(site: &Site) {
    let ear = Ear::before(site);
    let ours = ear.build(
        "FROM TEMPLATE-OF-SITE AS web\nOUTPUT VM --off web\n\
         ADDRESS --method=customize 10.1.2.3/22 GATEWAY 10.1.2.1 DNS 10.1.2.2 10.1.2.4 SEARCH example.org lan\n\
         HOSTNAME --method=customize www.example.org\nRUN true\n",
    );
    let theirs = ear.govc(&[
        "vm.customize",
        "-vm",
        "web",
        "-name",
        "www",
        "-domain",
        "example.org",
        "-ip",
        "10.1.2.3",
        "-netmask",
        "255.255.252.0",
        "-gateway",
        "10.1.2.1",
        "-dns-server",
        "10.1.2.2,10.1.2.4",
        "-dns-suffix",
        "example.org",
        "-dns-suffix",
        "lan",
    ]);
    same(&ours, &theirs, "CustomizeVM_Task", &[]);
}

fn a_kept_specification_is_filled_in_as_govc_does(site: &Site) {
    let ear = Ear::before(site);
    let kept = if site.is_vcsim() { "vcsim-linux-static" } else { "sandbox-linux-static" };
    // Mask, gateway, DNS and time zone are the specification's.
    let ours = ear.build(&format!(
        "FROM TEMPLATE-OF-SITE AS web\nOUTPUT VM --off web\nADDRESS --method=customize --spec={kept} 10.0.0.3/24\n\
         HOSTNAME --method=customize db01\nRUN true\n"
    ));
    let theirs = ear.govc(&[
        "vm.customize",
        "-vm",
        "web",
        "-name",
        "db01",
        "-ip",
        "10.0.0.3",
        "-netmask",
        "255.255.255.0",
        kept,
    ]);
    same(&ours, &theirs, "GetCustomizationSpec", &[]);
    same(&ours, &theirs, "CustomizeVM_Task", &[]);
    let sent = only(&ours, "CustomizeVM_Task").fields();
    for (field, kept) in
        [("nicSettingMap/adapter/gateway", "10.0.0.1"), ("globalIPSettings/dnsServerList", "127.0.1.1")]
    {
        assert_eq!(sent.get(&format!("/spec/{field}")), Some(kept), "{sent:#?}");
    }
    // Nothing but the name of the specification is said.
    fresh(site, "as-kept");
    let plain = Customization { spec: Some(kept.to_owned()), ..Customization::default() };
    let ours = ear.client(async |client| {
        client.customize(&vm(client, "as-kept").await, &plain, soon()).await.unwrap();
    });
    fresh(site, "as-kept-too");
    let theirs = ear.govc(&["vm.customize", "-vm", "as-kept-too", kept]);
    let them = only(&theirs, "CustomizeVM_Task").fields().with(&[(&id(site, "as-kept-too"), "THE VM")]);
    alike(&only(&ours, "CustomizeVM_Task").fields().with(&[(&id(site, "as-kept"), "THE VM")]), &them, &[]);
}

fn what_govc_cannot_say_of_a_guest_is_said_as_pyvmomi_does(site: &Site) {
    let ear = Ear::before(site);
    let ip = |text: &str| text.parse().unwrap();
    let two = Customization {
        host_name: Some("six".to_owned()),
        adapters: vec![
            Some(Adapter {
                address: Some((ip("2001:db8::5"), 64)),
                gateway: Some(ip("2001:db8::1")),
                dns: vec![ip("2001:db8::53")],
            }),
            None,
        ],
        search: vec!["example.org".to_owned()],
        ..Customization::default()
    };
    for name in ["six", "peer-six"] {
        fresh(site, name);
        site.govc(&["vm.network.add", "-vm", name, "-net", "VM Network"]);
    }
    let ours = ear.client(async |client| {
        client.customize(&vm(client, "six").await, &two, soon()).await.unwrap();
    });
    let theirs = ear.python("tests/alike.py", &["six", "peer-six"]);
    let ours = only(&ours, "CustomizeVM_Task").fields().with(&[(&id(site, "six"), "THE VM")]);
    alike(&ours, &only(&theirs, "CustomizeVM_Task").fields().with(&[(&id(site, "peer-six"), "THE VM")]), &[]);
}

#[test]
fn windows_is_customized_as_govc_does() {
    let Some(site) = Site::vcsim() else { return };
    let ear = Ear::before(&site);
    let wanted = |spec: Option<&str>| Customization {
        spec: spec.map(str::to_owned),
        windows: true,
        host_name: Some("app01".to_owned()),
        adapters: vec![Some(Adapter {
            address: Some(("10.0.0.178".parse().unwrap(), 24)),
            gateway: Some("10.0.0.1".parse().unwrap()),
            dns: vec!["10.0.0.2".parse().unwrap(), "10.0.0.4".parse().unwrap()],
        })],
        search: vec!["a.example".to_owned()],
        ..Customization::default()
    };
    let said = [
        "-name",
        "app01",
        "-ip",
        "10.0.0.178",
        "-netmask",
        "255.255.255.0",
        "-gateway",
        "10.0.0.1",
        "-dns-server",
        "10.0.0.2,10.0.0.4",
        "-dns-suffix",
        "a.example",
    ];
    let asks = "Sysprep stops and asks for it on the console where it is empty";
    let fresh_one = [
        but("/spec/identity/guiUnattended/timeZone", Some("85"), Some("0"), "GMT, and not the date line"),
        but("/spec/identity/userData/fullName", Some("Administrator"), Some(""), asks),
        but("/spec/identity/userData/orgName", Some("-"), Some(""), asks),
        but(
            "/spec/identity/identification/joinWorkgroup",
            Some("WORKGROUP"),
            None,
            "a machine is in a workgroup or in a domain",
        ),
        but("/spec/identity/identification", None, Some(""), "there is something in it"),
    ];
    for (n, (spec, knowingly)) in [(None, &fresh_one[..]), (Some("vcsim-windows-domain"), &[])].into_iter().enumerate()
    {
        let (own, peer) = (format!("own-{n}"), format!("peer-{n}"));
        fresh(&site, &own);
        fresh(&site, &peer);
        let ours = ear.client(async |client| {
            client.customize(&vm(client, &own).await, &wanted(spec), soon()).await.unwrap();
        });
        let kind = match spec {
            Some(name) => vec![name],
            None => vec![],
        };
        let mut args = vec!["vm.customize", "-vm", &peer, "-type", "Windows"];
        args.extend(said);
        args.extend(kind);
        let theirs = ear.govc(&args);
        let ours = only(&ours, "CustomizeVM_Task").fields().with(&[(&id(&site, &own), "THE VM")]);
        alike(&ours, &only(&theirs, "CustomizeVM_Task").fields().with(&[(&id(&site, &peer), "THE VM")]), knowingly);
    }
}

fn tags_are_attached_as_govc_does(site: &Site) {
    site.govc(&["tags.category.create", "role"]);
    site.govc(&["tags.create", "-c", "role", "web"]);
    let ear = Ear::before(site);
    let ours = ear.build("FROM TEMPLATE-OF-SITE AS web\nOUTPUT VM --off web\nTAG role/web\n");
    let theirs = ear.govc(&["tags.attach", "-c", "role", "web", "/DC0/vm/web"]);
    let attached = only(&ours, "POST tag-association?attach-multiple-tags-to-object").fields();
    let tag = attached.get("/tag_ids[1]").unwrap().to_owned();
    let word = [(tag.as_str(), "TAG")];
    let one = "all tags of a machine by one request, and not by one for each";
    alike(
        &attached.with(&word),
        &only(&theirs, "POST tag-association?attach").fields().with(&word),
        &[
            but(
                "path",
                Some("/rest/com/vmware/cis/tagging/tag-association?~action=attach-multiple-tags-to-object"),
                Some("/rest/com/vmware/cis/tagging/tag-association/id:TAG?~action=attach"),
                one,
            ),
            but("/tag_ids[1]", Some("TAG"), None, one),
        ],
    );
    // What is looked up before.
    for call in ["POST session", "DELETE session", "GET tag"] {
        same(&ours, &theirs, call, &[]);
    }
    let category = only(&theirs, "POST tag?list-tags-for-category").fields().get("/category_id").unwrap().to_owned();
    let word = [(category.as_str(), "CATEGORY")];
    alike(
        &only(&ours, "POST tag?list-tags-for-category").fields().with(&word),
        &only(&theirs, "POST tag?list-tags-for-category").fields().with(&word),
        &[but("/category_id", None, Some("CATEGORY"), "it is in the path")],
    );
    let (mine, other) = (all(&ours, "GET category"), all(&theirs, "GET category"));
    assert_eq!((mine.len(), other.len()), (2, 2), "the list and the one that there is");
    mine.iter().zip(other).for_each(|(mine, other)| alike(&mine.fields(), &other.fields(), &[]));
}

fn custom_attributes_are_set_as_govc_does(site: &Site) {
    let ear = Ear::before(site);
    let ours = ear.build("FROM TEMPLATE-OF-SITE AS web\nOUTPUT VM --off web\nLABEL owner=\"web & team\"\n");
    let added = ear.govc(&["fields.add", "-type", "VirtualMachine", "peer"]);
    let theirs = ear.govc(&["fields.set", "peer", "web & team", "vm/web"]);
    let (mine, other) = (only(&ours, "AddCustomFieldDef").fields(), only(&added, "AddCustomFieldDef").fields());
    alike(&mine.with(&[("owner", "NAME")]), &other.with(&[("peer", "NAME")]), &[]);
    let set = |asked: &[Asked]| {
        let fields = only(asked, "SetField").fields();
        let key = fields.get("/key").unwrap().to_owned();
        assert!(key.parse::<i32>().is_ok_and(|key| key >= 0), "{fields:#?}");
        fields.with(&[(&key, "KEY")])
    };
    alike(&set(&ours), &set(&theirs), &[]);
}

fn snapshots_are_made_and_used_as_govc_does(site: &Site) {
    let ear = Ear::before(site);
    let ours = ear.build("FROM TEMPLATE-OF-SITE AS web\nOUTPUT VM --off --snapshot=\"be/fore\" web\nRUN true\n");
    let made = only(&ours, "CreateSnapshot_Task").fields();
    let about = made.get("/description").unwrap().to_owned();
    // Without the memory: what comes of it boots.
    let theirs = ear.govc(&["snapshot.create", "-vm", "web", "-m=false", "-d", &about, "peer"]);
    let word = |name: &'static str| [(name, "NAME")];
    alike(&made.with(&word("be%2ffore")), &only(&theirs, "CreateSnapshot_Task").fields().with(&word("peer")), &[]);
    let of = |name: &str| {
        site.with_client(async |client| {
            let mut open = client.snapshots(&vm(client, "web").await).await.unwrap();
            while let Some(tree) = open.pop() {
                if tree.name == name {
                    return tree.snapshot;
                }
                open.extend(tree.child_snapshot_list);
            }
            panic!("no {name}")
        })
    };
    let snapshot = of("peer");
    let ours = ear.client(async |client| client.revert_to_snapshot(&snapshot, soon()).await.unwrap());
    let theirs = ear.govc(&["snapshot.revert", "-vm", "web", "peer"]);
    same(
        &ours,
        &theirs,
        "RevertToSnapshot_Task",
        &[but("/suppressPowerOn", None, Some("false"), "which is what nothing means")],
    );
    let ours = ear.client(async |client| client.remove_snapshot(&snapshot, soon()).await.unwrap());
    let first = of("be%2ffore");
    let theirs = ear.govc(&["snapshot.remove", "-vm", "web", &first.value]);
    let word = |id: &Moref| [(id.value.clone(), "SNAPSHOT")];
    let named = |asked: &[Asked], id: &Moref| {
        let words = word(id);
        let words: Vec<(&str, &str)> = words.iter().map(|(id, word)| (id.as_str(), *word)).collect();
        only(asked, "RemoveSnapshot_Task").fields().with(&words)
    };
    alike(&named(&ours, &snapshot), &named(&theirs, &first), &[]);
}

/// The options that a build marks its machines with.
fn is_mark(element: &Element) -> bool {
    element.child_text("key").is_some_and(|key| key.starts_with("vmwbuild."))
}

fn a_machine_is_cloned_and_changed_as_govc_and_pyvmomi_do(site: &Site) {
    let ear = Ear::before(site);
    let asked = ear.build(
        "FROM TEMPLATE-OF-SITE AS web\nOUTPUT VM --off own\nCPU 4 CORES 2\nMEMORY 512MB\nANNOTATION it's <ours> & more\n\
         CONFIG guestinfo.role=web guestinfo.empty=\"\"\n",
    );
    let asked = only(&asked, "CloneVM_Task");
    let ours = asked.fields_but(is_mark).with(&[("own", "NAME")]);
    let theirs = ear.python("tests/alike.py", &["clone", site.template(), "peer"]);
    alike(&ours, &only(&theirs, "CloneVM_Task").fields().with(&[("peer", "NAME")]), &[]);

    // govc clones first, and changes then what it has made.
    let plain = asked.fields_but(|element| element.name == "config").with(&[("own", "NAME")]);
    let cloning = ["vm.clone", "-vm", site.template(), "-pool", POOL, "-on=false", "-ds", "LocalDS_0"];
    let cloned = ear.govc(&[&cloning[..], &["peer-clone"]].concat());
    let cloned = only(&cloned, "CloneVM_Task").fields().with(&[("peer-clone", "NAME")]);
    alike(&plain, &cloned, &into_folder(&cloned));
    let theirs = ear.govc(&[
        "vm.change",
        "-vm",
        "peer-clone",
        "-c",
        "4",
        "-m",
        "512",
        "-annotation",
        "it's <ours> & more",
        "-e",
        "guestinfo.role=web",
        "-e",
        "guestinfo.empty=",
    ]);
    alike(
        &ours.below("/spec/config"),
        &only(&theirs, "ReconfigVM_Task").fields().below("/spec"),
        &[but("/numCoresPerSocket", Some("2"), None, "govc doesn't know of it, and pyVmomi says the same")],
    );

    // Of a snapshot: a disk on top of its own.
    site.govc(&["snapshot.create", "-vm", "peer-clone", "-m=false", "clean"]);
    let linked = ear.build("FROM --linked --snapshot=clean peer-clone AS web\nOUTPUT VM --off own-linked\n");
    let linked = only(&linked, "CloneVM_Task").fields_but(|element| element.name == "config");
    let cloning =
        ["vm.clone", "-vm", "peer-clone", "-pool", POOL, "-on=false", "-ds", "LocalDS_0", "-snapshot", "clean"];
    let theirs = ear.govc(&[&cloning[..], &["-link", "peer-linked"]].concat());
    let theirs = only(&theirs, "CloneVM_Task").fields().with(&[("peer-linked", "NAME")]);
    alike(&linked.with(&[("own-linked", "NAME")]), &theirs, &into_folder(&theirs));
}

fn a_library_item_is_left_and_deployed_as_govc_does(site: &Site) {
    site.govc(&["library.create", "images"]);
    let ear = Ear::before(site);
    let ours = ear.build("FROM TEMPLATE-OF-SITE AS web\nOUTPUT LIBRARY images/own\nOUTPUT VM --off web\n");
    let theirs = ear.govc(&["library.clone", "-ovf", "-vm", "web", "images", "theirs"]);
    for call in ["POST session", "POST library?find", "GET library"] {
        same(&ours, &theirs, call, &[]);
    }
    let left = only(&ours, "POST library-item").fields();
    let (about, machine) = (left.get("/create_spec/description").unwrap().to_owned(), id(site, "web"));
    assert!(about.starts_with("made by vmwbuild, build "), "{about}");
    let source = left.get("/source/id").unwrap().to_owned();
    alike(
        &left.with(&[("own", "NAME"), (&about, "ABOUT"), (&source, "THE VM")]),
        &only(&theirs, "POST library-item").fields().with(&[("theirs", "NAME"), (&machine, "THE VM")]),
        &[but("/create_spec/description", Some("ABOUT"), None, "whose item it is, for whoever cleans up")],
    );
    // The next version of an item, which govc can't make: all but the target is as it was.
    let next = ear.build("FROM TEMPLATE-OF-SITE AS other\nOUTPUT --exists=replace LIBRARY images/theirs\n");
    let next = only(&next, "POST library-item").fields();
    let (about, source) =
        (next.get("/create_spec/description").unwrap().to_owned(), next.get("/source/id").unwrap().to_owned());
    let (library, item) = (library_id(site, "images"), library_id(site, "images/theirs"));
    let why = "a version of that item, and no other one of the name";
    alike(
        &next.with(&[("theirs", "NAME"), (&about, "ABOUT"), (&source, "THE VM"), (&item, "ITEM")]),
        &only(&theirs, "POST library-item").fields().with(&[
            ("theirs", "NAME"),
            (&machine, "THE VM"),
            (&library, "LIBRARY"),
        ]),
        &[
            but("/create_spec/description", Some("ABOUT"), None, "whose item it is, for whoever cleans up"),
            but("/target/library_item_id", Some("ITEM"), None, why),
            but("/target/library_id", None, Some("LIBRARY"), why),
        ],
    );

    if site.is_vcsim() {
        // What it makes of a machine is no item that can be deployed.
        let dir = context(&[("small.ovf", OVF.as_bytes()), ("disk1.vmdk", &disk())]);
        site.govc(&["library.import", "images", &dir.path().join("small.ovf").to_string_lossy()]);
    } else {
        site.govc(&["library.clone", "-ovf", "-vm", "web", "images", "small"]);
    }
    let place = ["-ds", "LocalDS_0", "-pool", POOL, "-folder", "/DC0/vm"];
    let policy = format!("DATASTORE --policy=\"{POLICY}\" LocalDS_0\n");
    // Nobody has read a licence unless the file says so: else vCenter refuses an item that has one.
    let unread = but("/deployment_spec/accept_all_EULA", Some("false"), Some("true"), "govc has always read it");
    let cases = [("", "", &[][..], Some(unread)), (&policy, "--accept-eula ", &["-profile", POLICY_ID], None)];
    for (policy, accept, flags, licence) in cases {
        let name = format!("dep{}", flags.len());
        let ours = ear.build(&format!(
            "CLUSTER DC0_C0\n{policy}FROM {accept}library:images/small AS web\nOUTPUT VM --off {name}\n"
        ));
        let peer = format!("peer-{name}");
        let theirs = ear.govc(&[&["library.deploy"], flags, &place, &["/images/small", &peer]].concat());
        for call in ["POST session", "POST library?find", "GET library", "POST item?find", "GET item"] {
            same(&ours, &theirs, call, &[]);
        }
        let made = only(&ours, "POST library-item?deploy").fields();
        let passing = made.get("/deployment_spec/name").unwrap().to_owned();
        assert!(passing.starts_with("vmwbuild-"), "{passing}");
        let empty = "nothing is chosen and nothing set";
        let option = "com.vmware.vcenter.ovf.deployment_option_params";
        let property = "com.vmware.vcenter.ovf.property_params";
        alike(
            &made.with(&[(&passing, "NAME")]),
            &only(&theirs, "POST library-item?deploy").fields().with(&[(&peer, "NAME")]),
            &[
                but("/deployment_spec/additional_parameters[1]/@class", None, Some(option), empty),
                but("/deployment_spec/additional_parameters[1]/type", None, Some("DeploymentOptionParams"), empty),
                but("/deployment_spec/additional_parameters[2]/@class", None, Some(property), empty),
                but("/deployment_spec/additional_parameters[2]/type", None, Some("PropertyParams"), empty),
            ]
            .into_iter()
            .chain(licence)
            .collect::<Vec<_>>(),
        );
        // What a deployment can't be given is changed afterwards.
    }
}

fn properties_of_an_item_are_set_as_govc_does(site: &Site) {
    site.govc(&["library.create", "images"]);
    let properties = r#""PropertyMapping": [{"Key": "hostname", "Value": "web"}, {"Key": "port", "Value": "81"}]"#;
    let deployment = if site.is_vcsim() { r#""Deployment": "large", "# } else { "" };
    let options = format!("{{{deployment}{properties}}}");
    let dir = context(&[("app.ovf", app().as_bytes()), ("disk1.vmdk", &disk()), ("options.json", options.as_bytes())]);
    let file = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
    // The sandbox takes no items from outside; what it captures has its properties, and no configurations.
    if site.is_vcsim() {
        site.govc(&["library.import", "images", &file("app.ovf")]);
    } else {
        let place = ["-ds", "LocalDS_0", "-pool", POOL, "-name", "app"];
        site.govc(&[&["import.ovf"], &place[..], &[&file("app.ovf")]].concat());
        site.govc(&["library.clone", "-ovf", "-vm", "app", "images", "app"]);
    }
    let ear = Ear::before(site);
    let configuration = if site.is_vcsim() { "--configuration=large " } else { "" };
    let ours = ear.build(&format!(
        "CLUSTER DC0_C0\nFROM --accept-eula {configuration}--property=hostname=web --property=port=81 library:images/app AS web\n\
         OUTPUT VM --off own\n"
    ));
    let ours = only(&ours, "POST library-item?deploy").fields();
    let place = ["-ds", "LocalDS_0", "-pool", POOL, "-folder", "/DC0/vm"];
    let options = file("options.json");
    let asks = [&["library.deploy", "-options", &options], &place[..], &["/images/app", "peer"]].concat();
    let theirs = only(&ear.govc(&asks), "POST library-item?deploy").fields();
    if site.is_vcsim() {
        let why = "the properties' own parameters have no such field in the API";
        let passing = ours.get("/deployment_spec/name").unwrap().to_owned();
        alike(
            &ours.with(&[(&passing, "NAME")]),
            &theirs.with(&[("peer", "NAME")]),
            &[but("/deployment_spec/additional_parameters[2]/selected_key", None, Some("large"), why)],
        );
    } else {
        alike(
            &ours.below("/deployment_spec/additional_parameters[1]"),
            &theirs.below("/deployment_spec/additional_parameters[2]"),
            &[],
        );
    }
}

fn a_vm_template_is_left_in_a_library_as_govc_does(site: &Site) {
    site.govc(&["library.create", "images"]);
    let ear = Ear::before(site);
    let policy = format!("DATASTORE --policy=\"{POLICY}\" LocalDS_0\n");
    for (policy, flags) in [("", &[][..]), (policy.as_str(), &["-profile", POLICY_ID])] {
        let name = format!("tmpl{}", flags.len());
        let ours = ear.build(&format!(
            "CLUSTER DC0_C0\n{policy}FROM TEMPLATE-OF-SITE AS web\nOUTPUT --type=template LIBRARY images/{name}\nOUTPUT VM --off {name}-vm\n"
        ));
        let (peer, machine) = (format!("peer-{name}"), format!("{name}-vm"));
        let place = ["-vm", &machine, "-pool", POOL, "-ds", "LocalDS_0", "-folder", "/DC0/vm"];
        let theirs = ear.govc(&[&["library.clone"], flags, &place[..], &["images", &peer]].concat());
        let left = only(&ours, "POST library-items").fields();
        let said = |field: &str| left.get(field).unwrap().to_owned();
        let (about, source, passing) = (said("/spec/description"), said("/spec/source_vm"), said("/spec/name"));
        assert!(passing.starts_with(&format!("{name}-new-")), "{passing}");
        alike(
            &left.clone().with(&[(&passing, "NAME"), (&about, "ABOUT"), (&source, "THE VM")]),
            &only(&theirs, "POST library-items").fields().with(&[(&peer, "NAME"), (&id(site, &machine), "THE VM")]),
            &[but("/spec/description", Some("ABOUT"), None, "whose item it is, for whoever cleans up")],
        );
        // It gets its name once it is whole.
        let renamed = ear.govc(&["library.update", "-n", "renamed", &format!("images/{peer}")]);
        let word = |asked: &[Asked], name: &str, path: &str| {
            only(asked, "PATCH item").fields().with(&[(name, "NAME"), (&library_id(site, path), "ITEM")])
        };
        alike(&word(&ours, &name, &format!("images/{name}")), &word(&renamed, "renamed", "images/renamed"), &[]);
        let own = library_id(site, &format!("images/{name}"));
        let removed = ear.client(async |client| {
            let item = client.library_item_of(&own).await.unwrap().unwrap();
            client.delete_item(&item).await.unwrap();
        });
        let other = library_id(site, "images/renamed");
        let theirs = ear.govc(&["library.rm", "images/renamed"]);
        let word = |asked: &[Asked], id: &str| only(asked, "DELETE item").fields().with(&[(id, "ITEM")]);
        alike(&word(&removed, &own), &word(&theirs, &other), &[]);
    }
}

fn library_id(site: &Site, path: &str) -> String {
    let text = site.govc(&["library.info", "-json", &format!("/{path}")]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    json[0]["id"].as_str().unwrap().to_owned()
}

fn a_machine_is_cloned_by_a_policy_as_pyvmomi_does(site: &Site) {
    let ear = Ear::before(site);
    let ours = ear.build(&format!(
        "DATASTORE --policy=\"{POLICY}\" LocalDS_0\nFROM TEMPLATE-OF-SITE AS web\nOUTPUT VM --off own\n"
    ));
    let theirs = ear.python("tests/alike.py", &["policy", site.template(), "peer", POLICY]);
    for call in ["PbmRetrieveServiceContent", "PbmQueryProfile", "PbmRetrieveContent"] {
        same(&ours, &theirs, call, &[]);
    }
    // Which datastores it fits.
    let chosen =
        ear.build(&format!("DATASTORE --policy=\"{POLICY}\"\nFROM TEMPLATE-OF-SITE AS web\nOUTPUT VM --off chosen\n"));
    let asked = ear.govc(&["storage.policy.info", "-s", POLICY]);
    let asked = only(&asked, "PbmCheckRequirements").fields();
    let all = "nothing means all that there are, which govc lists";
    alike(
        &only(&chosen, "PbmCheckRequirements").fields(),
        &asked,
        &[
            but("/hubsToSearch/hubType", None, Some("Datastore"), all),
            but("/hubsToSearch/hubId", None, asked.get("/hubsToSearch/hubId"), all),
        ],
    );
    let ours = only(&ours, "CloneVM_Task").fields_but(|element| element.name == "config").with(&[("own", "NAME")]);
    assert_eq!(ours.get("/spec/location/profile/profileId"), Some(POLICY_ID));
    assert_eq!(ours.get("/spec/location/disk/profile/profileId"), Some(POLICY_ID));
    alike(&ours, &only(&theirs, "CloneVM_Task").fields().with(&[("peer", "NAME")]), &[]);
}

/// govc says the folder twice.
fn into_folder(theirs: &Fields) -> [Otherwise<'_>; 2] {
    let why = "the folder is said already";
    [
        but("/spec/location/folder#type", None, Some("Folder"), why),
        but("/spec/location/folder", None, theirs.get("/folder"), why),
    ]
}

fn machines_are_switched_and_marked_as_govc_does(site: &Site) {
    let ear = Ear::before(site);
    let ours = ear.build("FROM TEMPLATE-OF-SITE AS web\nOUTPUT VM --off web\nRUN true\nREBOOT\nRUN true\n");
    let theirs = ear.govc(&["vm.power", "-on", "web"]);
    same(&ours, &theirs, "PowerOnVM_Task", &[]);
    site.govc(&["vm.ip", "web"]);
    same(&ours, &ear.govc(&["vm.power", "-r", "web"]), "RebootGuest", &[]);
    site.govc(&["vm.ip", "web"]);
    same(&ours, &ear.govc(&["vm.power", "-s", "web"]), "ShutdownGuest", &[]);

    // What no instruction asks for by itself: ours first, then theirs on the same machine.
    let does = |work: Work, args: &[&str], call: &str, before: &[&str]| {
        let ours = ear.client(async |client| {
            let vm = vm(client, "peer").await;
            match work {
                Work::Reset => client.reset(&vm, soon()).await.unwrap(),
                Work::Off => client.power_off(&vm, soon()).await.unwrap(),
                Work::Template => client.mark_as_template(&vm).await.unwrap(),
                Work::Machine => {
                    let inventory = client.inventory().await.unwrap();
                    let cluster = inventory.find(EntityKind::Cluster, "DC0_C0", None).unwrap();
                    client.mark_as_vm(&vm, &cluster.reference("resourcePool").unwrap(), None).await.unwrap();
                }
                Work::Rename => client.rename(&vm, "a/b%c", soon()).await.unwrap(),
            }
        });
        if !before.is_empty() {
            site.govc(before);
        }
        same(&ours, &ear.govc(args), call, &[]);
    };
    fresh(site, "peer");
    site.govc(&["vm.power", "-on", "peer"]);
    does(Work::Reset, &["vm.power", "-reset", "peer"], "ResetVM_Task", &[]);
    does(Work::Off, &["vm.power", "-off", "peer"], "PowerOffVM_Task", &["vm.power", "-on", "peer"]);
    does(Work::Template, &["vm.markastemplate", "peer"], "MarkAsTemplate", &["vm.markasvm", "-pool", POOL, "peer"]);
    let marking = ["vm.markasvm", "-pool", POOL, "peer"];
    does(Work::Machine, &marking, "MarkAsVirtualMachine", &["vm.markastemplate", "peer"]);
    // govc leaves it to the user to write a name as vCenter does.
    let encoded = "a%2fb%25c";
    let back = ["object.rename", &format!("/DC0/vm/{encoded}"), "peer"];
    does(Work::Rename, &["object.rename", "/DC0/vm/peer", encoded], "Rename_Task", &back);
    site.govc(&back);
    let own = id(site, "peer");
    site.govc(&["vm.power", "-on", "peer"]);
    let ours = ear.client(async |client| client.destroy_vm(&vm(client, "peer").await, soon()).await.unwrap());
    fresh(site, "peer");
    let other = id(site, "peer");
    site.govc(&["vm.power", "-on", "peer"]);
    let theirs = ear.govc(&["vm.destroy", "peer"]);
    for call in ["PowerOffVM_Task", "Destroy_Task"] {
        let of = |asked: &[Asked], id: &str| only(asked, call).fields().with(&[(id, "THE VM")]);
        alike(&of(&ours, &own), &of(&theirs, &other), &[]);
    }
}

/// What is done to a machine.
enum Work {
    Reset,
    Off,
    Template,
    Machine,
    Rename,
}
