//! Storage policies, clusters of datastores, and clusters that choose the host: built by the real binary on the simulator
//! that others wrote and on our sandbox.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may

use crate::common;

use std::collections::BTreeSet;
use std::process::Command;

use common::ova::{Form, small};
use common::site::{Sandbox, Site};
use common::{Vcsim, context, on_both};
use vmwbuild::vsphere::client::{EntityKind, Error, PlacementRequest};
use vmwbuild::vsphere::wire::{Element, Limits};

const POLICY: &str = "vSAN Default Storage Policy";
const POLICY_ID: &str = "aa6d5a82-1c88-45da-85d3-3d74b91a5bad";

on_both! {
    via here:
    a_machine_is_built_by_a_policy
    a_datastore_is_chosen_that_a_policy_fits
    an_unknown_policy_is_told_before_anything_is_cloned
    the_cluster_chooses_the_host
    a_session_that_has_ended_is_opened_again
}

/// The parts of that name in the messages of a log.
fn logged(log: &str, name: &str) -> Vec<Element> {
    let (begin, end) = (format!("<{name} "), format!("</{name}>"));
    let parts = log.split(&begin).skip(1).filter_map(|rest| rest.split_once(&end));
    let whole = |(inner, _): (&str, &str)| {
        let text = format!("<{name} xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" {inner}{end}");
        Element::parse(text.as_bytes(), Limits::default()).unwrap_or_else(|e| panic!("{e}: {text}"))
    };
    parts.map(whole).collect()
}

/// Every value of an element with its path; types that the schema implies are not always said.
fn fields(element: &Element, path: &str, out: &mut BTreeSet<String>) {
    let path = format!("{path}/{}", element.name);
    if element.name == "profile" {
        out.insert(format!("{path} is a {}", element.xsi_type.as_deref().unwrap_or("?")));
    }
    if element.children.is_empty() {
        out.insert(format!("{path} = {}", element.text.trim()));
    }
    element.children.iter().for_each(|child| fields(child, &path, out));
}

fn location(clone: &Element) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    fields(clone.child("spec").unwrap().child("location").unwrap(), "", &mut out);
    out
}

fn policy_calls(site: &Site) -> u64 {
    site.requests().iter().filter(|(method, _)| method.starts_with("Pbm")).map(|(_, n)| n).sum()
}

fn a_machine_is_built_by_a_policy(site: &Site) {
    assert!(site.govc(&["storage.policy.ls"]).contains(POLICY));
    let before = policy_calls(site);
    let plain = context(&[("VMWfile", "ARG template\nFROM ${{ template }} AS a\nOUTPUT TEMPLATE st-a\n")]);
    site.built(plain.path(), &[]);
    assert_eq!(policy_calls(site), before, "nobody named a policy");
    let text = format!(
        "ARG template\nARG policy = \"{POLICY}\"\nDATASTORE --policy=${{{{ policy }}}} LocalDS_0\n\
         FROM ${{{{ template }}}} AS web\nOUTPUT TEMPLATE st-t\nOUTPUT VM st-web\nDISK ADD 1GB\nRUN true\n"
    );
    let dir = context(&[("VMWfile", &text)]);
    let planned = common::run(&mut plan(site, dir.path()), common::DEADLINE);
    assert!(planned.stdout().contains(&format!("storage policy `{POLICY}`")), "{planned}");
    site.built(dir.path(), &[]);
    assert_eq!(policy_calls(site) - before, 6, "three for the plan, three for the build");
    let again = site.built(dir.path(), &[]);
    assert!(again.stderr().contains("CACHED"), "{again}");
    // Another policy makes another machine.
    let other = site.build(dir.path(), &["--arg", "policy=VM Encryption Policy"]);
    assert!(other.code != Some(0) && other.stderr().contains("there is already a"), "{other}");
}

fn a_datastore_is_chosen_that_a_policy_fits(site: &Site) {
    let before = policy_calls(site);
    let text = format!(
        "ARG template\nARG policy = \"{POLICY}\"\nDATASTORE --policy=${{{{ policy }}}}\n\
         FROM ${{{{ template }}}} AS web FOR n IN 1..2\nOUTPUT VM --off st-fit${{{{ n }}}}\n"
    );
    let dir = context(&[("VMWfile", &text)]);
    let planned = common::run(&mut plan(site, dir.path()), common::DEADLINE);
    assert!(planned.stdout().contains(&format!("storage policy `{POLICY}`")), "{planned}");
    assert_eq!(policy_calls(site) - before, 4, "one question for both machines");
    // What is named isn't asked about.
    let before = policy_calls(site);
    let named = common::run(plan(site, dir.path()).args(["--datastore", "LocalDS_0"]), common::DEADLINE);
    assert_eq!((named.code, policy_calls(site) - before), (Some(0), 3), "{named}");
    site.built(dir.path(), &[]);
    assert!(site.govc(&["vm.info", "-r", "st-fit1"]).contains("LocalDS_0"));
    assert!(site.built(dir.path(), &[]).stderr().contains("CACHED"));
    let shown = common::run(&mut site.tool(dir.path(), &["show", "--arg", "template=t"]), common::DEADLINE);
    assert!(shown.stdout().contains(&format!("one that `{POLICY}` fits")), "{shown}");
    if site.is_vcsim() {
        // The simulator's storage suits every policy.
        return;
    }
    let machines = site.vms();
    let policy = "VVol No Requirements Policy";
    let arg = format!("policy={policy}");
    for told in [
        common::run(plan(site, dir.path()).args(["--arg", &arg]), common::DEADLINE),
        site.build(dir.path(), &["--arg", &arg]),
    ] {
        assert_eq!(told.code, Some(5), "{told}");
        for said in [
            format!("no machine can be put on the datastores of the storage policy `{policy}`"),
            "LocalDS_0 doesn't suit it: The datastore is not a virtual volume datastore.".to_owned(),
            "VMWfile:3".to_owned(),
        ] {
            assert!(told.stderr().contains(&said), "{said}: {told}");
        }
    }
    assert_eq!(site.vms(), machines);
}

#[test]
fn of_the_datastores_that_a_policy_fits_the_roomiest_usable_one_is_taken() {
    let Some(vcsim) = Vcsim::start(&["-datastores", "3"]) else { return };
    let site = Site::Vcsim(vcsim);
    let maintain = |store: &str, mode: &str| {
        site.sim().control("POST", &format!("/maintenance?datastore={store}&mode={mode}"));
    };
    let build = |name: &str, lines: &str, args: &[&str]| {
        let text = format!("ARG template\n{lines}FROM ${{{{ template }}}} AS web\nOUTPUT VM --off {name}\n");
        let dir = context(&[("VMWfile", &text)]);
        (site.build(dir.path(), args), dir)
    };
    let on = |name: &str| {
        let info = site.govc(&["vm.info", "-r", name]);
        let line = info.lines().find(|line| line.trim_start().starts_with("Storage:")).unwrap();
        line.rsplit(' ').next().unwrap().to_owned()
    };
    let by_policy = format!("DATASTORE --policy=\"{POLICY}\"\n");
    let (first, dir) = build("st-a", &by_policy, &[]);
    assert_eq!(first.code, Some(0), "{first}");
    let mut left = vec!["LocalDS_0", "LocalDS_1", "LocalDS_2"];
    let chosen = on("st-a");
    assert!(left.contains(&chosen.as_str()), "{chosen}");
    left.retain(|store| *store != chosen);
    // Another one is the roomiest now: a machine that is there stays what it is.
    maintain(&chosen, "inMaintenance");
    let again = site.built(dir.path(), &[]);
    assert!(again.stderr().contains("CACHED"), "{again}");
    let (second, _dir) = build("st-b", &by_policy, &[]);
    assert_eq!(second.code, Some(0), "{second}");
    assert!(left.contains(&on("st-b").as_str()), "{}", on("st-b"));
    // A stage's own stands for the file's, and a name for the choice.
    let (named, last) = (left[0], left[1]);
    let (run, _dir) = build("st-c", &format!("DATASTORE {chosen}\n"), &[]);
    assert!(run.code == Some(0) && on("st-c") == chosen, "{run}");
    maintain(named, "inMaintenance");
    let text = format!(
        "ARG template\nDATASTORE {named}\nFROM ${{{{ template }}}} AS web\nOUTPUT VM --off st-d\n{by_policy}\
         FROM ${{{{ template }}}} AS db\nOUTPUT VM --off st-e\n"
    );
    site.built(context(&[("VMWfile", &text)]).path(), &[]);
    assert_eq!((on("st-d").as_str(), on("st-e").as_str()), (last, named));
    let (run, _dir) = build("st-f", &by_policy, &["--datastore", named]);
    assert!(run.code == Some(0) && on("st-f") == named, "{run}");
    maintain(last, "inMaintenance");
    let (run, _dir) = build("st-g", &by_policy, &[]);
    assert_eq!(run.code, Some(5), "{run}");
    assert!(run.stderr().contains(&format!("{last} is in maintenance mode")), "{run}");
}

fn plan(site: &Site, dir: &std::path::Path) -> Command {
    site.tool(dir, &["plan", "--arg", &format!("template={}", site.template())])
}

fn an_unknown_policy_is_told_before_anything_is_cloned(site: &Site) {
    let machines = site.vms();
    for (policy, said) in [
        ("vSAN Default Storage Polcy", "did you mean `vSAN Default Storage Policy`?"),
        ("gold", "there are: Host-local PMem Default Storage Policy, VM Encryption Policy,"),
    ] {
        let text = format!(
            "ARG template\nFROM ${{{{ template }}}} AS web\nOUTPUT VM st-none\nDATASTORE --policy=\"{policy}\" LocalDS_0\n"
        );
        let dir = context(&[("VMWfile", &text)]);
        let planned = common::run(&mut plan(site, dir.path()), common::DEADLINE);
        for run in [planned, site.build(dir.path(), &[])] {
            assert_eq!(run.code, Some(5), "{run}");
            assert!(run.stderr().contains(&format!("there is no storage policy `{policy}`")), "{run}");
            assert!(run.stderr().contains("VMWfile:4:20") && run.stderr().contains(said), "{run}");
        }
    }
    assert_eq!(site.vms(), machines);
}

#[test]
fn a_plan_names_the_privilege_that_policies_need() {
    let site = Site::Sandbox(Sandbox::start(&["--sandbox-withhold", "StorageProfile.View"]));
    let plan = |policy: &str| {
        let text = format!("FROM linux AS web\nOUTPUT VM st-web\nDATASTORE {policy}LocalDS_0\n");
        common::run(&mut site.tool(context(&[("VMWfile", &text)]).path(), &["plan"]), common::DEADLINE)
    };
    let planned = plan("");
    assert_eq!(planned.code, Some(0), "nobody named a policy: {planned}");
    let planned = plan(&format!("--policy=\"{POLICY}\" "));
    assert_eq!(planned.code, Some(5), "{planned}");
    assert!(planned.stderr().contains("the account lacks StorageProfile.View on /\n"), "{planned}");
}

#[test]
fn a_recorder_hears_of_no_session() {
    let Some(site) = Site::here() else { return };
    let messages = site.client_requests(async |client| drop(client.storage_policies(&[]).await.unwrap()));
    let log = messages.iter().map(|message| String::from_utf8_lossy(message)).collect::<Vec<_>>().join("\n");
    assert!(log.contains("PbmQueryProfile") && !log.contains("</vcSessionCookie>"), "{log}");
}

fn the_cluster_chooses_the_host(site: &Site) {
    let dir = context(&[(
        "VMWfile",
        "ARG template\nCLUSTER DC0_C0\nFROM ${{ template }} AS web FOR n IN 1..2\nOUTPUT VM --off st-drs${{ n }}\n",
    )]);
    site.built(dir.path(), &[]);
    site.with_client(async |client| {
        let inventory = client.inventory().await.unwrap();
        let cluster = inventory.find(EntityKind::Cluster, "DC0_C0", None).unwrap();
        for name in ["st-drs1", "st-drs2"] {
            let vm = inventory.vm(name, None).unwrap();
            let pool = client.properties(&vm.moref, &["resourcePool"]).await.unwrap().get("resourcePool");
            assert_eq!(pool, cluster.reference("resourcePool"), "{name}");
            let host = inventory.get(vm.host.as_ref().unwrap()).unwrap();
            assert_eq!(host.parent.as_ref(), Some(&cluster.moref), "{name}");
        }
    });
}

fn a_session_that_has_ended_is_opened_again(site: &Site) {
    site.with_client(async |client| {
        client.storage_policies(&[]).await.unwrap();
        site.expire();
        assert_eq!(client.storage_policies(&[]).await.unwrap().id(POLICY).unwrap(), POLICY_ID);
    });
    assert_eq!(site.sessions(), 0);
}

#[test]
fn what_is_sent_for_policies_and_clusters() {
    let Some(vcsim) = Vcsim::start(&["-trace", "-hosts", "3"]) else { return };
    let site = Site::Vcsim(vcsim);
    let text = format!(
        "ARG template\nCLUSTER DC0_C0\nFROM ${{{{ template }}}} AS base\nOUTPUT TEMPLATE st-base\n\
         DATASTORE --policy=\"{POLICY}\" LocalDS_0\nDISK ADD 1GB\nFROM base AS web\nOUTPUT VM --off st-web\n\
         FROM ova:small.ova AS ova\nOUTPUT VM --off st-ova\nDATASTORE --policy=\"{POLICY}\" LocalDS_0\n"
    );
    let dir = context(&[("VMWfile", text.into_bytes()), ("small.ova", small(Form::Gnu))]);
    site.built(dir.path(), &[]);
    let log = site.log();
    let clones = logged(&log, "CloneVM_Task");
    assert_eq!(clones.len(), 2);
    for clone in &clones {
        let location = location(clone);
        assert!(location.iter().any(|field| field.starts_with("/location/pool = ")), "{location:?}");
        assert!(!location.iter().any(|field| field.starts_with("/location/host")), "the cluster chooses: {location:?}");
    }
    let policies = |clone: &Element| location(clone).iter().filter(|f| f.contains(POLICY_ID)).count();
    assert_eq!((policies(&clones[0]), policies(&clones[1])), (2, 0), "the stage's own policy is the stage's alone");
    let added = logged(&log, "ReconfigVM_Task");
    let added: Vec<_> =
        added.iter().filter(|call| call.child("spec").unwrap().child("deviceChange").is_some()).collect();
    let profile = added[0].child("spec").unwrap().child("deviceChange").unwrap().child("profile");
    assert_eq!(profile.and_then(|p| p.child_text("profileId")), Some(POLICY_ID));
    let imports = logged(&log, "ImportVApp");
    let config = imports[0].child("spec").unwrap().child("configSpec").unwrap();
    let of =
        |profile: Option<&Element>| profile.map(|p| (p.xsi_type.clone(), p.child_text("profileId").map(str::to_owned)));
    let wanted = Some((Some("VirtualMachineDefinedProfileSpec".to_owned()), Some(POLICY_ID.to_owned())));
    assert_eq!(of(config.child("vmProfile")), wanted);
    let behind = config.children.iter().skip_while(|child| child.name != "vmProfile").skip(1);
    assert_eq!(behind.count(), 0, "the schema has an order");
    for change in config.children_named("deviceChange") {
        let is_disk = change.child("device").unwrap().xsi_type.as_deref() == Some("VirtualDisk");
        assert_eq!(of(change.child("profile")), wanted.clone().filter(|_| is_disk));
        assert!(!is_disk || change.children.last().unwrap().name == "profile", "it comes behind the device");
    }
}

#[test]
fn the_sandbox_deploys_by_no_policy_that_it_lacks() {
    if common::left_out() {
        return;
    }
    let Some(site) = Site::here() else { return };
    site.govc(&["library.create", "images"]);
    site.govc(&["library.clone", "-ovf", "-vm", "linux", "images", "small"]);
    let place = ["-ds", "LocalDS_0", "-pool", "/DC0/host/DC0_C0/Resources", "-folder", "/DC0/vm"];
    let refused = [&["library.deploy", "-profile", "gold"][..], &place, &["/images/small", "st-none"]].concat();
    let refused = site.govc_try(&refused);
    assert!(refused.code != Some(0) && refused.stderr().contains("404 Not Found"), "{refused}");
}

#[test]
fn of_a_cluster_of_datastores_a_member_is_taken_that_can_be_used() {
    let Some(vcsim) = Vcsim::start(&["-datastores", "4", "-clusters", "2"]) else { return };
    let site = Site::Vcsim(vcsim);
    site.govc(&["folder.create", "-pod", "/DC0/datastore/pod"]);
    site.govc(&["folder.create", "-pod", "/DC0/datastore/empty"]);
    for member in ["LocalDS_1", "LocalDS_2", "LocalDS_3"] {
        site.govc(&["object.mv", &format!("/DC0/datastore/{member}"), "/DC0/datastore/pod"]);
    }
    let members = ["LocalDS_1", "LocalDS_2", "LocalDS_3"];
    let maintain = |member: &str, mode: &str| {
        site.sim().control("POST", &format!("/maintenance?datastore={member}&mode={mode}"));
    };
    let chosen = |cluster: &str, pod: &str| {
        site.with_client(async |client| {
            let inventory = client.inventory().await.unwrap();
            let source = inventory.vm(site.template(), None).unwrap();
            let some = |text: &str| Some(text.to_owned());
            let request =
                PlacementRequest { cluster: some(cluster), datastore: some(pod), ..PlacementRequest::default() };
            let placed = inventory.place(&request, source);
            placed.map(|place| inventory.get(&place.datastore).unwrap().name.clone())
        })
    };
    // Whichever is the roomiest: what is left when it is being emptied, and the next, is the third.
    let mut left: Vec<&str> = members.to_vec();
    for mode in ["inMaintenance", "enteringMaintenance"] {
        let taken = chosen("DC0_C0", "pod").unwrap();
        assert!(left.contains(&taken.as_str()), "{taken}");
        left.retain(|member| *member != taken);
        maintain(&taken, mode);
    }
    let last = chosen("DC0_C0", "pod").unwrap();
    assert_eq!(left, [last.as_str()]);
    maintain(&last, "inMaintenance");
    let dir = context(&[(
        "VMWfile",
        "ARG template\nARG pod = \"pod\"\nCLUSTER DC0_C0\nFROM ${{ template }} AS web\nDATASTORE ${{ pod }}\nOUTPUT VM --off st-pod\n",
    )]);
    let machines = site.vms();
    let run = site.build(dir.path(), &[]);
    assert_eq!(run.code, Some(5), "{run}");
    for said in
        ["no machine can be put on the datastore cluster `pod`", "LocalDS_2 is in maintenance mode", "VMWfile:5"]
    {
        assert!(run.stderr().contains(said), "{said}: {run}");
    }
    let run = site.build(dir.path(), &["--arg", "pod=empty"]);
    assert!(run.stderr().contains("it has no datastores that the account sees"), "{run}");
    assert_eq!(site.vms(), machines);
    // A member that the hosts of one cluster don't reach is taken for machines of the other alone.
    site.govc(&["folder.create", "-pod", "/DC0/datastore/split"]);
    let files = tempfile::tempdir().unwrap();
    for n in [0, 1] {
        let path = files.path().join(n.to_string());
        std::fs::create_dir(&path).unwrap();
        let (name, host) = (format!("of-{n}"), format!("/DC0/host/DC0_C{n}/DC0_C{n}_H0"));
        site.govc(&["datastore.create", "-type", "local", "-name", &name, "-path", path.to_str().unwrap(), &host]);
        site.govc(&["object.mv", &format!("/DC0/datastore/{name}"), "/DC0/datastore/split"]);
    }
    for n in [0, 1] {
        assert_eq!(chosen(&format!("DC0_C{n}"), "split").unwrap(), format!("of-{n}"));
    }
    maintain("of-0", "inMaintenance");
    let Err(Error::Unusable { why, .. }) = chosen("DC0_C0", "split") else { panic!("nothing can be put there") };
    assert_eq!(why, ["of-0 is in maintenance mode", "of-1 isn't reached from /DC0/host/DC0_C0"]);
    maintain("LocalDS_2", "normal");
    site.built(dir.path(), &[]);
    assert!(site.govc(&["vm.info", "-r", "st-pod"]).contains("LocalDS_2"));
}
