//! Content libraries: `FROM library:` and `OUTPUT LIBRARY`, on the simulator that others wrote as far as it goes, and on
//! our sandbox; set up and read back by govc.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may

use crate::common;

use std::path::Path;
use std::time::{Duration, Instant};

use common::ova::{Form, OVF, app, archive, digest, disk};
use common::site::{Sandbox, Site};
use common::{Run, Running, context, on_both};
use serde_json::Value;
use vmwbuild::sandbox::{Effect, Rule};

on_both! {
    via here:
    an_item_is_left_and_gets_a_next_version
    an_ovf_item_is_deployed_as_a_machine
    what_is_wrong_with_items_is_told_before_anything_is_made
    a_vm_template_is_left_and_replaced
    an_item_is_found_by_its_id_and_renamed
}

#[test]
fn a_plan_names_the_privileges_that_items_need() {
    let withheld = ["--sandbox-withhold", "VApp.Export", "--sandbox-withhold", "VApp.Import"];
    let site = Site::Sandbox(Sandbox::start(&withheld));
    site.govc(&["library.create", "images"]);
    // Its privileges are what the server says of them: it makes the item all the same.
    site.built(context(&[("VMWfile", "FROM linux AS small\nOUTPUT LIBRARY images/small\nRUN true\n")]).path(), &[]);
    let dir = context(&[(
        "VMWfile",
        "CLUSTER DC0_C0\nFROM linux AS left\nOUTPUT LIBRARY images/base\nRUN true\nFROM library:images/small AS made\nOUTPUT VM made\n",
    )]);
    let plan = common::run(&mut site.tool(dir.path(), &["plan", "--color", "never"]), common::DEADLINE);
    assert_eq!(plan.code, Some(5), "{plan}");
    for lacks in ["the account lacks VApp.Export on /DC0/vm", "the account lacks VApp.Import on /DC0/host/"] {
        assert!(plan.stderr().contains(lacks), "{lacks}: {plan}");
    }
}

fn item(site: &Site, path: &str) -> Value {
    let text = site.govc(&["library.info", "-json", path]);
    let json: Value = serde_json::from_str(&text).unwrap();
    json.as_array().map_or(json.clone(), |list| list[0].clone())
}

fn an_item_is_left_and_gets_a_next_version(site: &Site) {
    site.govc(&["library.create", "images"]);
    let before = site.vms();
    let leaving = |flags: &str, more: &str| {
        let text = format!(
            "ARG template\nFROM ${{{{ template }}}} AS base\nOUTPUT {flags}LIBRARY images/base\n{more}RUN echo made > /root/made\n"
        );
        context(&[("VMWfile", text.as_str())])
    };
    let run = site.built(leaving("", "").path(), &[]);
    assert!(run.stdout().contains("library item images/base"), "{run}");
    let first = item(site, "/images/base");
    assert_eq!(first["type"], "ovf", "{first}");
    assert_eq!(site.vms(), before, "the machine itself doesn't stay");
    let run = site.build(leaving("", "").path(), &[]);
    assert!(run.code == Some(5) && run.stderr().contains("there is already a library item `images/base`"), "{run}");
    site.built(leaving("--exists=replace ", "OUTPUT TEMPLATE lib-base\n").path(), &[]);
    let second = item(site, "/images/base");
    assert_eq!(first["id"], second["id"], "the same item");
    if !site.is_vcsim() {
        // The simulator takes a next version, and keeps nothing of it.
        assert_ne!(first["content_version"], second["content_version"], "{second}");
    }
    assert!(site.vms().contains(&"lib-base".to_owned()));
    // What is there as it would be made isn't made again, nor taken again.
    let run = site.built(leaving("--exists=replace ", "OUTPUT TEMPLATE lib-base\n").path(), &[]);
    assert!(run.stdout().contains("CACHED") || run.stderr().contains("CACHED"), "{run}");
    assert_eq!(item(site, "/images/base")["content_version"], second["content_version"]);
    site.govc(&["library.rm", "/images/base"]);
    let run = site.built(leaving("", "OUTPUT TEMPLATE --exists=replace lib-base\n").path(), &[]);
    assert!(!run.stderr().contains("CACHED"), "the library has lost it: {run}");
    assert_eq!(item(site, "/images/base")["name"], "base");
    assert_eq!(site.sessions(), 0);
}

fn an_ovf_item_is_deployed_as_a_machine(site: &Site) {
    site.govc(&["library.create", "images"]);
    if site.is_vcsim() {
        let disk = disk();
        let manifest =
            format!("SHA256(small.ovf)= {}\nSHA256(disk1.vmdk)= {}\n", digest(OVF.as_bytes()), digest(&disk));
        let dir = context(&[("small.ovf", OVF.as_bytes()), ("disk1.vmdk", &disk), ("small.mf", manifest.as_bytes())]);
        let path = dir.path().join("small.ovf");
        site.govc(&["library.import", "images", &path.to_string_lossy()]);
    } else {
        let dir = context(&[(
            "VMWfile",
            "ARG template\nFROM ${{ template }} AS small\nOUTPUT LIBRARY images/small\nCPU 1\nMEMORY 256MB\nRUN echo inside > /root/item\n",
        )]);
        site.built(dir.path(), &[]);
    }
    let steps = if site.is_vcsim() { "" } else { "RUN grep -qx inside /root/item && echo more > /root/more\n" };
    let off = if site.is_vcsim() { "--off " } else { "" };
    let text = format!(
        "CLUSTER DC0_C0\nFROM library:images/small AS web\nOUTPUT VM {off}lib-web\nCPU 2\nMEMORY 512MB\nCONFIG guestinfo.role=web\nNIC NETWORK DC0_DVPG0\n{steps}"
    );
    let dir = context(&[("VMWfile", text.as_str())]);
    let plan = common::run(&mut site.tool(dir.path(), &["plan"]), common::DEADLINE);
    assert!(plan.code == Some(0) && plan.stdout().contains("library:images/small"), "{plan}");
    let run = site.built(dir.path(), &[]);
    let text = site.govc(&["vm.info", "-json", "lib-web"]);
    let vm: Value = serde_json::from_str(&text).unwrap();
    let config = &vm["virtualMachines"][0]["config"];
    assert_eq!((config["hardware"]["numCPU"].as_i64(), config["hardware"]["memoryMB"].as_i64()), (Some(2), Some(512)));
    let extra = config["extraConfig"].as_array().unwrap();
    let value = |key: &str| extra.iter().find(|e| e["key"] == key).map(|e| e["value"].clone());
    assert_eq!(value("guestinfo.role"), Some("web".into()));
    assert!(value("vmwbuild.build").is_some(), "{run}");
    assert!(!site.vms().iter().any(|vm| vm.starts_with("vmwbuild-")), "{:?}", site.vms());
    if !site.is_vcsim() {
        assert_eq!(site.guest("lib-web", "cat /root/more").trim(), "more");
        // A machine that is finished is found again by what it is made of.
        let run = site.built(dir.path(), &[]);
        assert!(run.stdout().contains("CACHED") || run.stderr().contains("CACHED"), "{run}");
    }
    assert_eq!(site.sessions(), 0);
}

fn what_is_wrong_with_items_is_told_before_anything_is_made(site: &Site) {
    site.govc(&["library.create", "images"]);
    let before = site.vms();
    let told = |text: &str, wanted: &[&str]| {
        let dir = context(&[("VMWfile", text)]);
        let build = site.build(dir.path(), &[]);
        assert_eq!(build.code, Some(5), "{build}");
        for text in wanted {
            assert!(build.stderr().contains(text), "{build}");
        }
    };
    let leaves = |name: &str| format!("ARG template\nFROM ${{{{ template }}}} AS a\nOUTPUT LIBRARY {name}\n");
    told(&leaves("imagse/a"), &["there is no content library `imagse`", "did you mean `images`?"]);
    told("FROM library:imgs/a AS a\nOUTPUT VM a\n", &["there is no content library `imgs`"]);
    site.built(context(&[("VMWfile", leaves("images/debian").as_str())]).path(), &[]);
    let from = |flags: &str, item: &str| format!("FROM {flags}library:images/{item} AS a\nOUTPUT VM --off a\n");
    told(&from("", "debain"), &["there is no library item `images/debain`", "did you mean `debian`?"]);
    told(&from("--linked ", "debian"), &["is deployed, not cloned"]);
    assert_eq!(site.vms(), before);
    let template = |flags: &str, name: &str| {
        format!("ARG template\nFROM ${{{{ template }}}} AS a\nOUTPUT {flags}--type=template LIBRARY images/{name}\n")
    };
    let taken =
        ["there is already a library item `images/debian`", "`OUTPUT --exists=replace --type=template LIBRARY …`"];
    told(&template("", "debian"), &taken);
    told(
        &template("", site.template()),
        &["there is already a template `/DC0/vm/", "a VM template of a library stands in"],
    );
    site.built(context(&[("VMWfile", template("", "golden").as_str())]).path(), &[]);
    let over = "ARG template\nFROM ${{ template }} AS a\nOUTPUT --exists=replace LIBRARY images/golden\n";
    told(over, &["is a VM template, no OVF", "`OUTPUT --type=template --exists=replace LIBRARY …`"]);
    if site.is_vcsim() {
        let dir = context(&[("iso", "no image")]);
        site.govc(&["library.import", "-n", "disc", "images", &dir.path().join("iso").to_string_lossy()]);
        told(&template("--exists=replace ", "disc"), &["is neither an OVF nor a VM template"]);
    }
}

/// An OVA with properties, imported and left in a library.
fn with_an_app(site: &Site) -> tempfile::TempDir {
    site.govc(&["library.create", "images"]);
    let ova = archive(Form::Gnu, &[("app.ovf", app().as_bytes()), ("disk1.vmdk", &disk())]);
    let text = "CLUSTER DC0_C0\nFROM --property=port=90 ova:app.ova AS app\nOUTPUT LIBRARY images/app\nOUTPUT VM --off first\n\
        FROM app AS template\nOUTPUT --type=template LIBRARY images/golden\n";
    let dir = context(&[("app.ova", ova.as_slice()), ("VMWfile", text.as_bytes())]);
    site.built(dir.path(), &[]);
    dir
}

fn set_of(site: &Site, name: &str) -> Vec<(String, String)> {
    let text = site.govc(&["vm.info", "-json", name]);
    let vm: Value = serde_json::from_str(&text).unwrap();
    let extra = vm["virtualMachines"][0]["config"]["extraConfig"].as_array().unwrap().clone();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let all = extra.iter().map(|e| (text(&e["key"]), text(&e["value"])));
    all.filter(|(key, _)| key.starts_with("ovf.")).collect()
}

#[test]
fn properties_of_an_item_are_set_and_held_to_what_it_tells() {
    let site = Site::here().unwrap();
    let dir = with_an_app(&site);
    let before = site.vms();
    let mut told = String::new();
    for source in [
        "library:images/app",
        "--property=hostnam=web library:images/app",
        "--property=fixed=other library:images/app",
        "--property=hostname= library:images/app",
        "--property=hostname=much-too-long library:images/app",
        "--property=hostname=web --property=port=http library:images/app",
        "--property=hostname=web --property=port=65536 library:images/app",
        "--property=hostname=web --property=size=m library:images/app",
        "--property=hostname=web --configuration=large library:images/app",
        "--property=hostname=web library:images/golden",
        "--configuration=large library:images/golden",
    ] {
        let text = format!("CLUSTER DC0_C0\nFROM {source} AS a\nOUTPUT VM a\nRUN true\n");
        std::fs::write(dir.path().join("VMWfile"), text).unwrap();
        let build = site.build(dir.path(), &[]);
        let plan = common::run(&mut site.tool(dir.path(), &["plan"]), common::DEADLINE);
        assert!(build.code == Some(5) && plan.code == Some(5), "{source}: {build}{plan}");
        told += &format!("--- FROM {source}\n{}\n\n", errors(&build));
    }
    insta::assert_snapshot!("what_an_item_does_not_let_set", told);
    assert_eq!(site.vms(), before);
    let text = "CLUSTER DC0_C0\nFROM --property=hostname=web --property=size=l library:images/app AS a FOR n IN 1..2\n\
        OUTPUT VM --off set-${{ n }}\n";
    std::fs::write(dir.path().join("VMWfile"), text).unwrap();
    site.built(dir.path(), &[]);
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    for name in ["set-1", "set-2"] {
        assert_eq!(set_of(&site, name), [pair("ovf.hostname", "web"), pair("ovf.size", "l")]);
    }
    assert_eq!(site.sessions(), 0);
}

/// What a run says is wrong.
fn errors(run: &Run) -> String {
    let text = run.stderr();
    let timed = regex::Regex::new(r"^ +\d+\.\d ").unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| !timed.is_match(line)).collect();
    lines.join("\n").replace("127.0.0.1", "SERVER").trim().to_owned()
}

/// What there is in a library.
fn listed(site: &Site, library: &str) -> Vec<String> {
    let mut all: Vec<String> = site
        .govc(&["library.ls", &format!("/{library}/*")])
        .lines()
        .map(|l| l.replace(&format!("/{library}/"), ""))
        .collect();
    all.sort();
    all
}

fn a_vm_template_is_left_and_replaced(site: &Site) {
    site.govc(&["library.create", "images"]);
    let before = site.vms();
    let leaving = |flags: &str, word: &str| {
        let text = format!(
            "ARG template\nFROM ${{{{ template }}}} AS base\nOUTPUT {flags}--type=template LIBRARY images/base\n\
             RUN echo {word} > /root/made\n"
        );
        context(&[("VMWfile", text.as_str())])
    };
    let with = |more: &str| {
        let mut all = before.clone();
        all.push(more.to_owned());
        all.sort();
        all
    };
    let run = site.built(leaving("", "first").path(), &[]);
    assert!(run.stdout().contains("library item images/base"), "{run}");
    let first = item(site, "/images/base");
    assert_eq!(first["type"], "vm-template", "{first}");
    if !site.is_vcsim() {
        assert_eq!(site.vms(), with("base"), "the template behind it, and not the machine itself");
    }
    // It is a copy of what was built, and nobody's to destroy.
    let ls = common::run(&mut site.tool(Path::new("."), &["ls"]), common::DEADLINE);
    assert!(ls.code == Some(0) && !ls.stdout().contains("base"), "{ls}");
    let used = |word: &str| {
        // The simulator doesn't say which template is behind an item.
        if !site.is_vcsim() {
            let text = "FROM library:images/base AS web\nOUTPUT --exists=replace VM lib-web\nRUN true\n";
            site.built(context(&[("VMWfile", text)]).path(), &[]);
            assert_eq!(site.guest("lib-web", "cat /root/made").trim(), word);
        }
    };
    used("first");
    let refused = site.build(leaving("", "second").path(), &[]);
    assert_eq!(refused.code, Some(5), "{refused}");
    site.built(leaving("--exists=replace ", "second").path(), &[]);
    let second = item(site, "/images/base");
    assert_ne!(first["id"], second["id"], "another item of the same name");
    assert_eq!(listed(site, "images"), ["base"]);
    used("second");
    // What a machine is made of is a template of the inventory, and known by it.
    if !site.is_vcsim() {
        let dir =
            context(&[("VMWfile", "FROM library:images/base AS web\nOUTPUT --exists=replace VM lib-web\nRUN true\n")]);
        assert!(site.built(dir.path(), &[]).stderr().contains("CACHED"));
    }
    // One that is kept costs no machine.
    let names = site.vms();
    let kept = site.built(leaving("--exists=keep ", "third").path(), &[]);
    assert!(kept.stderr().contains("`images/base` is kept as it is") && !kept.stderr().contains("cloning"), "{kept}");
    assert_eq!((item(site, "/images/base")["id"].clone(), site.vms()), (second["id"].clone(), names));
    // An OVF becomes a VM template.
    site.built(
        context(&[("VMWfile", "ARG template\nFROM ${{ template }} AS o\nOUTPUT LIBRARY images/other\nRUN true\n")])
            .path(),
        &[],
    );
    assert_eq!(item(site, "/images/other")["type"], "ovf");
    let text = "ARG template\nFROM ${{ template }} AS o\nOUTPUT --exists=replace --type=template LIBRARY images/other\n\
        OUTPUT TEMPLATE lib-other\nRUN true\n";
    let dir = context(&[("VMWfile", text)]);
    site.built(dir.path(), &[]);
    assert_eq!(item(site, "/images/other")["type"], "vm-template");
    assert_eq!(listed(site, "images"), ["base", "other"]);
    // With a template beside it, it is known again.
    let known = item(site, "/images/other")["id"].clone();
    let run = site.built(dir.path(), &[]);
    assert!(run.stderr().contains("CACHED") || run.stdout().contains("CACHED"), "{run}");
    assert_eq!(item(site, "/images/other")["id"], known);
    assert_eq!(site.sessions(), 0);
}

fn an_item_is_found_by_its_id_and_renamed(site: &Site) {
    site.govc(&["library.create", "images"]);
    site.govc(&[
        "library.clone",
        "-vm",
        site.template(),
        "-pool",
        "/DC0/host/DC0_C0/Resources",
        "-ds",
        "LocalDS_0",
        "images",
        "base",
    ]);
    let id = item(site, "/images/base")["id"].as_str().unwrap().to_owned();
    site.with_client(async |client| {
        let item = client.library_item_of(&id).await.unwrap().unwrap();
        client.rename_item(&item, "renamed").await.unwrap();
        assert_eq!(client.library_item_of(&id).await.unwrap().unwrap().name, "renamed");
        client.delete_item(&item).await.unwrap();
        assert!(client.library_item_of(&id).await.unwrap().is_none());
    });
}

#[test]
fn a_template_of_a_library_is_cloned() {
    let Some(site) = Site::here() else { return };
    site.govc(&["library.create", "images"]);
    site.govc(&["library.clone", "-vm", site.template(), "-cluster", "DC0_C0", "images", "golden"]);
    assert_eq!(item(&site, "/images/golden")["type"], "vm-template");
    let dir =
        context(&[("VMWfile", "FROM library:images/golden AS web\nOUTPUT VM lib-vm\nRUN echo here > /root/made\n")]);
    site.built(dir.path(), &[]);
    assert_eq!(site.guest("lib-vm", "cat /root/made").trim(), "here");
    let run = site.built(dir.path(), &[]);
    assert!(run.stdout().contains("CACHED") || run.stderr().contains("CACHED"), "{run}");
}

#[test]
fn nothing_is_left_of_what_fails() {
    let Some(site) = Site::here() else { return };
    site.govc(&["library.create", "images"]);
    let before = site.vms();
    let dir = context(&[("VMWfile", "ARG template\nFROM ${{ template }} AS a\nOUTPUT LIBRARY images/a\nRUN true\n")]);
    site.meddle(|sandbox| sandbox.inject(Rule::once("POST library-item", Effect::NoPermission)));
    let run = site.build(dir.path(), &[]);
    assert!(run.code == Some(5) && run.stderr().contains("can't leave `images/a` in the content library"), "{run}");
    // The item is made, and the answer lost: it is ours, and half of it is worth nothing.
    site.meddle(|sandbox| sandbox.inject(Rule::once("POST library-item", Effect::DropAfter)));
    let run = site.build(dir.path(), &[]);
    assert_eq!(run.code, Some(3), "{run}");
    assert_eq!(site.govc(&["library.ls", "/images/*"]).trim(), "");
    assert_eq!(site.vms(), before);
    site.built(dir.path(), &[]);
    let deploying = context(&[("VMWfile", "CLUSTER DC0_C0\nFROM library:images/a AS b\nOUTPUT VM lib-b\nRUN false\n")]);
    let run = site.build(deploying.path(), &[]);
    assert_eq!(run.code, Some(4), "{run}");
    assert_eq!(site.vms(), before);
    // A deployment whose answer was lost is found by its name.
    let deploying = context(&[("VMWfile", "CLUSTER DC0_C0\nFROM library:images/a AS b\nOUTPUT VM lib-b\nRUN true\n")]);
    site.meddle(|sandbox| sandbox.inject(Rule::once("POST library-item?deploy", Effect::DropAfter)));
    site.built(deploying.path(), &[]);
    assert_eq!(site.vms().len(), before.len() + 1, "{:?}", site.vms());
    assert_eq!(site.sessions(), 0);
}

/// A sandbox in which clones, deployments and captures take long enough to be killed in.
fn slow() -> Site {
    let config = common::embedded::config();
    Site::Sandbox(Sandbox::with(vmwbuild::sandbox::Config { clone_delay: Duration::from_secs(1), ..config }))
}

/// A build whose process ends while the server carries that request out.
fn killed_during(site: &Site, dir: &Path, request: &str) {
    killed_during_one(site, dir, request, 1);
}

/// The same in the first or a later one of these requests.
fn killed_during_one(site: &Site, dir: &Path, request: &str, nth: u64) {
    let count = || site.requests().get(request).copied().unwrap_or_default();
    let (before, begun) = (count(), Instant::now());
    let running = Running::start(&mut site.with_state(dir, &["build", "--progress", "plain"]));
    while count() < before + nth {
        assert!(begun.elapsed() < common::DEADLINE, "it has never come to {request}");
        std::thread::yield_now();
    }
    running.signal("KILL");
    assert_eq!(running.finish(common::DEADLINE).code, None);
}

fn after(site: &Site, dir: &Path, args: &[&str]) -> Run {
    let run = common::run(&mut site.with_state(dir, args), common::DEADLINE);
    assert_eq!(run.code, Some(0), "{run}");
    run
}

#[test]
fn a_deployment_that_was_killed_is_gone_on_with_or_cleaned() {
    let site = slow();
    site.govc(&["library.create", "images"]);
    let base = "FROM linux AS a\nOUTPUT LIBRARY images/a\nRUN true\n";
    site.built(context(&[("VMWfile", base)]).path(), &[]);
    let before = site.vms();
    let text = "CLUSTER DC0_C0\nFROM library:images/a AS b\nOUTPUT VM lib-b\nRUN echo once >> /root/count\n";
    let deploys = || site.requests()["POST library-item?deploy"];
    // Cleaned up: what the server has made after all goes too.
    let dir = context(&[("VMWfile", text)]);
    killed_during(&site, dir.path(), "POST library-item?deploy");
    let cleaned = after(&site, dir.path(), &["clean", "--yes"]);
    assert!(cleaned.stdout().contains("removed /DC0/vm/vmwbuild-"), "{cleaned}");
    assert_eq!(site.vms(), before);
    // Gone on with: what the server makes is waited for, and nothing is deployed twice.
    let dir = context(&[("VMWfile", text)]);
    killed_during(&site, dir.path(), "POST library-item?deploy");
    let asked = deploys();
    after(&site, dir.path(), &["resume", "--progress", "plain"]);
    assert_eq!(deploys(), asked);
    assert_eq!(site.vms().len(), before.len() + 1, "{:?}", site.vms());
    assert_eq!(site.guest("lib-b", "cat /root/count").trim(), "once");
    // Killed where it has its name, or is about to.
    site.govc(&["vm.destroy", "lib-b"]);
    for (what, request) in [("clean", "Rename_Task"), ("resume", "Rename_Task"), ("clean", "ReconfigVM_Task")] {
        let dir = context(&[("VMWfile", text)]);
        killed_during(&site, dir.path(), request);
        match what {
            "clean" => drop(after(&site, dir.path(), &["clean", "--yes"])),
            _ => {
                after(&site, dir.path(), &["resume", "--progress", "plain"]);
                site.govc(&["vm.destroy", "lib-b"]);
            }
        }
        assert_eq!(site.vms(), before, "{what} after {request}");
    }
}

#[test]
fn a_capture_that_was_killed_is_gone_on_with_or_cleaned() {
    let site = slow();
    site.govc(&["library.create", "images"]);
    let before = site.vms();
    let text = "FROM linux AS a\nOUTPUT LIBRARY images/a\nRUN echo once >> /root/count\n";
    let dir = context(&[("VMWfile", text)]);
    killed_during(&site, dir.path(), "POST library-item");
    let cleaned = after(&site, dir.path(), &["clean", "--yes"]);
    assert!(cleaned.stdout().contains("removed library item images/a"), "{cleaned}");
    assert_eq!(site.govc(&["library.ls", "/images/*"]).trim(), "");
    assert_eq!(site.vms(), before);
    let dir = context(&[("VMWfile", text)]);
    killed_during(&site, dir.path(), "POST library-item");
    let resumed = after(&site, dir.path(), &["resume", "--progress", "plain"]);
    assert!(resumed.stdout().contains("library item images/a"), "{resumed}");
    assert_eq!(site.vms(), before);
    let deploying = "CLUSTER DC0_C0\nFROM library:images/a AS b\nOUTPUT VM lib-b\nRUN echo twice >> /root/count\n";
    site.built(context(&[("VMWfile", deploying)]).path(), &[]);
    assert_eq!(site.guest("lib-b", "cat /root/count"), "once\ntwice\n");
    // An item that was there before stays, whatever has come of its next version.
    let dir = context(&[("VMWfile", text.replace("LIBRARY", "--exists=replace LIBRARY"))]);
    killed_during(&site, dir.path(), "POST library-item");
    after(&site, dir.path(), &["clean", "--yes"]);
    assert_eq!(item(&site, "/images/a")["name"], "a");
    site.govc(&["vm.destroy", "lib-b"]);
    assert_eq!(site.vms(), before);
    // Gone on with, it has one that is whole.
    let newer = text.replace("LIBRARY", "--exists=replace LIBRARY").replace("once", "newer");
    let dir = context(&[("VMWfile", newer)]);
    killed_during(&site, dir.path(), "POST library-item");
    after(&site, dir.path(), &["resume", "--progress", "plain"]);
    site.built(context(&[("VMWfile", deploying)]).path(), &[]);
    assert_eq!(site.guest("lib-b", "cat /root/count"), "newer\ntwice\n");
    site.govc(&["vm.destroy", "lib-b"]);
    assert_eq!(site.vms(), before);
}

#[test]
fn a_vm_template_that_fails_leaves_the_one_before() {
    let Some(site) = Site::here() else { return };
    site.govc(&["library.create", "images"]);
    let before = site.vms();
    let text = |word: &str, more: &str| {
        format!(
            "ARG template\nFROM ${{{{ template }}}} AS a\nOUTPUT --exists=replace --type=template {more}LIBRARY images/a\n\
             RUN echo {word} > /root/made\n"
        )
    };
    let build = |text: &str| site.build(context(&[("VMWfile", text)]).path(), &[]);
    // Nothing is left where there was nothing.
    site.meddle(|sandbox| sandbox.inject(Rule::once("POST library-items", Effect::NoPermission)));
    let run = build(&text("none", ""));
    assert!(run.code == Some(5) && run.stderr().contains("in the content library"), "{run}");
    assert_eq!((site.vms(), listed(&site, "images")), (before.clone(), Vec::new()));
    site.built(context(&[("VMWfile", text("first", "").as_str())]).path(), &[]);
    let (first, with) = (item(&site, "/images/a"), site.vms());
    let as_before = |run: &Run| {
        assert_eq!(item(&site, "/images/a")["id"], first["id"], "{run}");
        assert_eq!((site.vms(), listed(&site, "images")), (with.clone(), vec!["a".to_owned()]), "{run}");
    };
    // The first name is given to the old one, the second to the new one.
    for rename in [1, 2] {
        let rule = Rule::once("PATCH item", Effect::NoPermission).after(rename - 1);
        site.meddle(|sandbox| sandbox.inject(rule.clone()));
        let run = build(&text("second", ""));
        assert!(run.code == Some(5) && run.stderr().contains("can't rename the library item"), "{rename}: {run}");
        as_before(&run);
    }
    // A test on a clone says no.
    let tested =
        format!("{}FROM a AS test\nOUTPUT NONE\nRUN grep -q wanted /root/made\n", text("second", "--after=test "));
    let run = build(&tested);
    assert_eq!(run.code, Some(4), "{run}");
    as_before(&run);
    // The answer is lost, and nothing is made twice.
    let made = || site.requests()["POST library-items"];
    let asked = made();
    site.meddle(|sandbox| sandbox.inject(Rule::once("POST library-items", Effect::DropAfter)));
    site.built(context(&[("VMWfile", tested.replace("echo second", "echo wanted").as_str())]).path(), &[]);
    assert_eq!(made(), asked + 1);
    assert_ne!(item(&site, "/images/a")["id"], first["id"]);
    assert_eq!((site.vms(), listed(&site, "images")), (with, vec!["a".to_owned()]));
    assert_eq!(site.sessions(), 0);
}

#[test]
fn a_vm_template_whose_build_was_killed_anywhere_is_left_or_the_one_before_stays() {
    let site = Site::Sandbox(Sandbox::start(&["--boot-delay", "20ms"]));
    site.govc(&["library.create", "images"]);
    let before = site.vms();
    let text = "ARG p\nFROM linux AS a\nOUTPUT --exists=replace --type=template LIBRARY images/a\nRUN echo ${{ p }} > /root/made\n";
    let build = |dir: &Path, p: &str, die: &str| site.build_dying(dir, &format!("p={p}"), die);
    let first = context(&[("VMWfile", text)]);
    let run = build(first.path(), "first", "");
    assert_eq!(run.code, Some(0), "{run}");
    let with = site.vms();
    let journal = |dir: &Path| {
        let build = std::fs::read_dir(dir.join(".state/builds")).unwrap().next().unwrap().unwrap().path();
        std::fs::read_to_string(build.join("journal.jsonl")).unwrap()
    };
    let whole = context(&[("VMWfile", text)]);
    let run = build(whole.path(), "whole", "");
    assert_eq!(run.code, Some(0), "{run}");
    // What comes before the item, and after it, is as of every other output. The first line is the header.
    let line = |of: &str| journal(whole.path()).lines().position(|line| line.contains(of)).unwrap();
    let (begun, ended) = (line("\"leaving\""), line("\"left-item\""));
    for n in begun..=ended {
        for (at, die) in [format!("before:{n}"), n.to_string()].into_iter().enumerate() {
            let ways = ["resume", "clean"].into_iter().skip((n + at) % 2);
            for way in ways.take(if std::env::var_os("VMWBUILD_TEST_SOAK").is_some() { 2 } else { 1 }) {
                let old = item(&site, "/images/a")["id"].clone();
                let (dir, p) = (context(&[("VMWfile", text)]), format!("{way}-{}", die.replace(':', "-")));
                let killed = build(dir.path(), &p, &die);
                assert_eq!(killed.code, None, "{die}: {killed}");
                let now = listed(&site, "images");
                let whole = now.iter().any(|item| item == "a")
                    || now.iter().any(|i| i.contains("-new-")) && now.iter().any(|i| i.contains("-replaced-"));
                assert!(whole, "{die}: {now:?}");
                let args: &[&str] =
                    if way == "resume" { &["resume", "--progress", "plain"] } else { &["clean", "--yes"] };
                let run = after(&site, dir.path(), args);
                assert_eq!(listed(&site, "images"), ["a"], "{die}: {run}\n{}", journal(dir.path()));
                assert_eq!(site.vms(), with, "{die}: {run}\n{}", journal(dir.path()));
                let new = item(&site, "/images/a")["id"] != old;
                if way == "resume" {
                    assert!(new, "{die}: {run}\n{}", journal(dir.path()));
                }
                let made = context(&[("VMWfile", "FROM library:images/a AS b\nOUTPUT VM lib-b\nRUN true\n")]);
                if new {
                    site.built(made.path(), &[]);
                    assert_eq!(site.guest("lib-b", "cat /root/made").trim(), p, "{die}");
                    site.govc(&["vm.destroy", "lib-b"]);
                }
            }
        }
    }
    site.govc(&["library.rm", "/images/a"]);
    assert_eq!(site.vms(), before, "the template goes with its item");
}

#[test]
fn a_swap_of_vm_templates_that_was_killed_is_ended_or_undone() {
    let Some(site) = Site::here() else { return };
    site.govc(&["library.create", "images"]);
    let text = |word: &str| {
        format!(
            "FROM linux AS a\nOUTPUT --exists=replace --type=template LIBRARY images/a\nRUN echo {word} > /root/made\n"
        )
    };
    site.built(context(&[("VMWfile", text("first").as_str())]).path(), &[]);
    let with = site.vms();
    // Before the old one steps aside, before the new one has its name, and before the old one goes.
    let moments = [("PATCH item", 1), ("PATCH item", 2), ("DELETE item", 1)];
    for (at, (request, nth)) in moments.into_iter().enumerate() {
        for way in ["clean", "resume"] {
            let old = item(&site, "/images/a")["id"].clone();
            let word = format!("{way}-{at}");
            let dir = context(&[("VMWfile", text(&word).as_str())]);
            let slow = Rule::once(request, Effect::Slow(common::DEADLINE)).after(nth - 1);
            site.meddle(|sandbox| sandbox.inject(slow));
            killed_during_one(&site, dir.path(), request, nth.into());
            let (now, case) = (listed(&site, "images"), format!("{way} after {nth} {request}"));
            assert_eq!(now.len(), 2, "{case}: {now:?}");
            assert_eq!(now.contains(&"a".to_owned()), at != 1, "{case}: {now:?}");
            let run = match way {
                "clean" => after(&site, dir.path(), &["clean", "--yes"]),
                _ => after(&site, dir.path(), &["resume", "--progress", "plain"]),
            };
            assert_eq!((listed(&site, "images"), site.vms()), (vec!["a".to_owned()], with.clone()), "{case}: {run}");
            if way == "clean" {
                // One that has its name is the user's.
                assert_eq!(item(&site, "/images/a")["id"] == old, at < 2, "{case}: {run}");
            } else {
                let using = "FROM library:images/a AS b\nOUTPUT VM lib-b\nRUN true\n";
                site.built(context(&[("VMWfile", using)]).path(), &[]);
                assert_eq!(site.guest("lib-b", "cat /root/made").trim(), word, "{case}");
                site.govc(&["vm.destroy", "lib-b"]);
            }
        }
    }
}
