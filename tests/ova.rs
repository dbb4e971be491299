//! OVAs: `FROM ova:` and `OUTPUT OVA`, on the simulator that others wrote as far as it goes, and on our sandbox; written
//! and read by govc too, and compared with what it sends.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may
#![cfg(target_os = "linux")]

use crate::common;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use common::ear::{Asked, Ear, alike, only};
use common::ova::{Form, OVF, Page, Web, archive, digest, disk, manifest, small};
use common::site::{Site, journal_of};
use common::{DEADLINE, Run, Running, context, on_both, run};
use serde_json::Value;
use vmwbuild::sandbox::{Effect, Rule};
use vmwbuild::vsphere::client::{Deadline, EntityKind, ImportRequest, PlacementRequest};
use vmwbuild::vsphere::wire::{Fault, OvfFile};

on_both! {
    via here:
    archives_of_every_form_are_imported
    what_is_no_ova_is_told_before_anything_is_made
    an_import_is_asked_for_as_govc_asks
    the_web_is_trusted_by_authorities_alone
}

fn vm(site: &Site, name: &str) -> Value {
    let json: Value = serde_json::from_str(&site.govc(&["vm.info", "-json", name])).unwrap();
    json["virtualMachines"][0].clone()
}

fn extra(vm: &Value, key: &str) -> Option<String> {
    let list = vm["config"]["extraConfig"].as_array().unwrap();
    list.iter().find(|e| e["key"] == key).map(|e| e["value"].as_str().unwrap().to_owned())
}

fn names(ova: &Path) -> Vec<String> {
    let mut archive = tar::Archive::new(std::fs::File::open(ova).unwrap());
    archive.entries().unwrap().map(|e| e.unwrap().path().unwrap().to_string_lossy().into_owned()).collect()
}

fn cached(run: &Run) -> bool {
    run.stdout().contains("CACHED") || run.stderr().contains("CACHED")
}

fn archives_of_every_form_are_imported(site: &Site) {
    let before = site.vms();
    let web = Web::start();
    let url = web.serve("/images/small.ova", Page::Whole(small(Form::Gnu)));
    let moved = web.serve("/latest", Page::Moved("/images/small.ova".to_owned()));
    let disk = disk();
    let made = [
        ("ustar.ova", "ova:ustar.ova".to_owned()),
        ("gnu.ova", "ova:./gnu.ova".to_owned()),
        ("pax.ova", "ova:/pax.ova".to_owned()),
        ("beside", "ova:beside/small.ovf".to_owned()),
        ("web", format!("ova:{url}")),
        ("moved", format!("ova:{moved}")),
    ];
    let beside = manifest(&[("small.ovf", OVF.as_bytes()), ("disk1.vmdk", &disk)]);
    for (at, (name, source)) in made.iter().enumerate() {
        let flags = if at == 0 { "--disks=thin " } else { "" };
        let network = if at == 1 { "NETWORK DC0_DVPG0\n" } else { "" };
        let text = format!(
            "CLUSTER DC0_C0\nFROM {flags}{source} AS a\nOUTPUT VM --off ova-{at}\n{network}CPU 2\nMEMORY 512MB\n\
             CONFIG guestinfo.role=web\nANNOTATION of {name}\n"
        );
        let dir = context(&[
            ("VMWfile", text.as_bytes()),
            ("ustar.ova", &small(Form::Ustar)),
            ("gnu.ova", &small(Form::Gnu)),
            ("pax.ova", &small(Form::Pax)),
            ("beside/small.ovf", OVF.as_bytes()),
            ("beside/disk1.vmdk", &disk),
            ("beside/small.mf", beside.as_bytes()),
        ]);
        let plan = run(&mut site.tool(dir.path(), &["plan"]), DEADLINE);
        assert!(plan.code == Some(0) && plan.stdout().contains(source.as_str()), "{plan}");
        let run = site.built(dir.path(), &[]);
        let vm = vm(site, &format!("ova-{at}"));
        let hardware = &vm["config"]["hardware"];
        assert_eq!((hardware["numCPU"].as_i64(), hardware["memoryMB"].as_i64()), (Some(2), Some(512)), "{run}");
        assert_eq!(vm["config"]["annotation"], format!("of {name}"));
        assert_eq!(extra(&vm, "guestinfo.role").as_deref(), Some("web"));
        assert!(extra(&vm, "vmwbuild.build").is_some() && extra(&vm, "vmwbuild.made").is_some(), "{run}");
        let devices = hardware["device"].as_array().unwrap();
        let disks: Vec<_> = devices.iter().filter(|d| d["capacityInKB"].is_number()).collect();
        assert_eq!((disks.len(), disks[0]["capacityInKB"].as_i64()), (1, Some(1 << 20)), "{disks:?}");
        let nics: Vec<_> = devices.iter().filter(|d| d["macAddress"].is_string()).collect();
        assert_eq!(nics.len(), 1, "{devices:?}");
        assert_eq!(nics[0]["backing"]["port"].is_object(), at == 1, "{nics:?}");
        // What is there as it would be made isn't made again, whatever it was made of.
        let again = site.built(dir.path(), &[]);
        assert!(cached(&again), "{again}");
    }
    // What its source holds is another: it is made anew.
    web.serve("/images/small.ova", Page::Whole(small(Form::Pax)));
    let text = format!("CLUSTER DC0_C0\nFROM ova:{url} AS a\nOUTPUT VM --off --exists=replace ova-4\nCPU 2\n");
    let dir = context(&[("VMWfile", text.as_str())]);
    let run = site.built(dir.path(), &[]);
    assert!(!cached(&run), "{run}");
    assert_eq!(site.vms().len(), before.len() + made.len());
    assert_eq!(site.sessions(), 0);
}

/// What a build says that can't be, as it says it: ports, paths and ids of their own taken out.
fn said(run: &Run, dir: &Path) -> String {
    let text = run.stderr().replace(&dir.display().to_string(), "DIR");
    let mut out = Vec::new();
    let own = [
        (r"127\.0\.0\.1:\d+|127\.0\.0\.1", "SERVER"),
        (r"vmwbuild-\d{8}-[0-9a-f]+", "vmwbuild-BUILD"),
        ("[0-9a-f]{64}", "DIGEST"),
        (r"(vm|session-lease)-?\d+", "$1-N"),
    ];
    let own = own.map(|(pattern, name)| (regex::Regex::new(pattern).unwrap(), name));
    let timed = regex::Regex::new(r"^ +\d+\.\d ").unwrap();
    for line in text.lines() {
        let line =
            own.iter().fold(line.to_owned(), |line, (pattern, name)| pattern.replace_all(&line, *name).into_owned());
        if !timed.is_match(&line) {
            out.push(line);
        }
    }
    out.join("\n").trim().to_owned()
}

fn what_is_no_ova_is_told_before_anything_is_made(site: &Site) {
    let before = site.vms();
    let web = Web::start();
    let disk = disk();
    let whole = small(Form::Gnu);
    let page = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>who are you?</body></html>".to_vec();
    let url = web.serve("/login.ova", Page::Whole([page.clone(), vec![b' '; 600]].concat()));
    web.serve("/away.ova", Page::Moved("ftp://elsewhere/away.ova".to_owned()));
    web.serve(
        "/disk-first.ova",
        Page::Whole(archive(Form::Gnu, &[("disk1.vmdk", &disk), ("small.ovf", OVF.as_bytes())])),
    );
    let wrong = manifest(&[("small.ovf", b"another"), ("disk1.vmdk", &disk)]);
    let eula = OVF.replace("<Info>a machine</Info>", "<Info>a machine</Info><EulaSection><Info>i</Info><License>Give  us\nyour soul.</License></EulaSection>\
         <ProductSection><Info>p</Info><Property ovf:key=\"hostname\" ovf:type=\"string\" ovf:userConfigurable=\"true\"/>\
         <Property ovf:key=\"fixed\" ovf:type=\"string\"/></ProductSection>");
    let several = "<Envelope xmlns=\"http://schemas.dmtf.org/ovf/envelope/1\"><VirtualSystemCollection/></Envelope>";
    let of = |ovf: &str| archive(Form::Gnu, &[("small.ovf", ovf.as_bytes()), ("disk1.vmdk", &disk)]);
    let files: &[(&str, Vec<u8>)] = &[
        ("empty.ova", Vec::new()),
        ("page.ova", page),
        ("short.ova", b"KDMV".to_vec()),
        ("noise.ova", vec![b'x'; 4096]),
        ("zip.ova", [b"PK\x03\x04".to_vec(), vec![0; 600]].concat()),
        ("cut.ova", whole[..whole.len() - 1024 - 600].to_vec()),
        ("no-descriptor.ova", archive(Form::Gnu, &[("disk1.vmdk", &disk)])),
        ("no-disk.ova", archive(Form::Gnu, &[("small.ovf", OVF.as_bytes())])),
        (
            "wrong-digest.ova",
            archive(Form::Gnu, &[("small.ovf", OVF.as_bytes()), ("small.mf", wrong.as_bytes()), ("disk1.vmdk", &disk)]),
        ),
        ("broken.ova", of("<Envelope><")),
        ("several.ova", of(several)),
        ("packed.ova", of(&OVF.replace("ovf:size=\"1024\"", "ovf:size=\"1024\" ovf:compression=\"gzip\""))),
        ("eula.ova", of(&eula)),
    ];
    let dir = context(files);
    let mut told = String::new();
    let sources = [
        "",
        "--accept-eula --property=hostnam=x ",
        "--accept-eula --property=fixed=x ",
        "--accept-eula --configuration=large ",
    ];
    let named = files.iter().map(|(name, _)| format!("ova:{name}"));
    let more = ["ova:nowhere.ova".to_owned(), format!("ova:{url}"), format!("ova:{}/nothing.ova", web.url)];
    let more = more.into_iter().chain(["away", "disk-first"].map(|name| format!("ova:{}/{name}.ova", web.url)));
    let flagged = sources[1..].iter().map(|flags| format!("{flags}ova:eula.ova"));
    for source in named.chain(more).chain(flagged) {
        std::fs::write(dir.path().join("VMWfile"), format!("CLUSTER DC0_C0\nFROM {source} AS a\nOUTPUT VM --off a\n"))
            .unwrap();
        let build = site.build(dir.path(), &[]);
        assert_eq!(build.code, Some(5), "{source}: {build}");
        let plan = run(&mut site.tool(dir.path(), &["plan"]), DEADLINE);
        assert_eq!(plan.code, Some(5), "{source}: {plan}");
        told += &format!("--- FROM {}\n{}\n\n", source.replace(&web.url, "http://SERVER"), said(&build, dir.path()));
    }
    if !site.is_vcsim() {
        insta::assert_snapshot!("what_is_no_ova", told);
    }
    assert_eq!(site.vms(), before);
    std::fs::write(
        dir.path().join("VMWfile"),
        "CLUSTER DC0_C0\nFROM --accept-eula --property=hostname=web ova:eula.ova AS a\nOUTPUT VM --off eula\n",
    )
    .unwrap();
    site.built(dir.path(), &[]);
    assert_eq!(site.sessions(), 0);
}

fn the_web_is_trusted_by_authorities_alone(site: &Site) {
    let before = site.vms();
    let (web, other, named) = (Web::secure("127.0.0.1"), Web::secure("127.0.0.1"), Web::secure("files.example.com"));
    let plain = Web::start();
    let file = Page::Whole(small(Form::Gnu));
    web.serve("/small.ova", file.clone());
    web.serve("/moved.ova", Page::Moved("/small.ova?key=hidden".to_owned()));
    web.serve("/small.ova?key=hidden", file.clone());
    web.serve("/other.ova", Page::Moved(other.serve("/small.ova?key=hidden", file.clone())));
    web.serve("/plain.ova", Page::Moved(plain.serve("/small.ova", file.clone())));
    web.serve("/round.ova", Page::Moved("/round.ova".to_owned()));
    web.serve("/login.ova", Page::Refused("401 Unauthorized"));
    web.serve("/forbidden.ova", Page::Refused("403 Forbidden"));
    named.serve("/small.ova", file);
    let dir = context(&[
        ("web.pem", web.ca_pem.as_bytes()),
        ("named.pem", named.ca_pem.as_bytes()),
        ("both.pem", format!("{}{}", web.ca_pem, other.ca_pem).as_bytes()),
    ]);
    let ca = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
    let (ca_web, ca_named, ca_both) = (ca("web.pem"), ca("named.pem"), ca("both.pem"));
    let (trusted, not_it, both) = (["--ca", &ca_web], ["--ca", &ca_named], ["--ca", &ca_both]);
    let names = [(&web.url, "https://WEB"), (&other.url, "https://OTHER"), (&named.url, "https://NAMED")];
    let shown = |text: String| {
        let text = names.iter().fold(text, |text, (url, name)| text.replace(*url, name));
        let address = |url: &str| url.trim_start_matches("https://").to_owned();
        names.iter().fold(text, |text, (url, name)| text.replace(&address(url), &address(name)))
    };
    let write = |source: &str| {
        let text = format!("CLUSTER DC0_C0\nFROM ova:{source} AS a\nOUTPUT VM --off web-ova\n");
        std::fs::write(dir.path().join("VMWfile"), text).unwrap();
    };
    let thumbprints = regex::Regex::new("[0-9A-F]{2}(:[0-9A-F]{2}){31}").unwrap();
    let mut told = String::new();
    let refused: &[(&str, &str, &[&str])] = &[
        (&web.url, "small", &[]),
        (&web.url, "small", &["--insecure"]),
        (&web.url, "small", &not_it),
        (&named.url, "small", &not_it),
        (&web.url, "other", &trusted),
        (&web.url, "plain", &trusted),
        (&web.url, "round", &trusted),
        (&web.url, "login", &trusted),
        (&web.url, "forbidden", &trusted),
        (&web.url, "nothing", &trusted),
    ];
    for (server, name, flags) in refused {
        let source = format!("{server}/{name}.ova");
        write(&source);
        let run = site.build(dir.path(), flags);
        assert!(matches!(run.code, Some(3 | 5)), "{source}: {run}");
        let flags: Vec<String> = flags.iter().map(|f| f.replace(&dir.path().display().to_string(), "DIR")).collect();
        let stderr = Run { stderr: shown(run.stderr()).into_bytes(), ..run };
        told += &format!("--- FROM ova:{source} {}\n{}\n\n", flags.join(" "), said(&stderr, dir.path()));
    }
    let told = thumbprints.replace_all(&shown(told), "THUMBPRINT").into_owned();
    assert!(!told.contains("hidden"), "{told}");
    if !site.is_vcsim() {
        insta::assert_snapshot!("the_web_is_trusted", told);
    }
    assert_eq!(site.vms(), before);
    assert!(!plain.asked.lock().unwrap().contains_key("/small.ova"), "it was asked without encryption");
    for (name, flags) in [("small", &trusted), ("moved", &trusted), ("other", &both)] {
        write(&format!("{}/{name}.ova", web.url));
        site.built(dir.path(), flags);
        assert!(site.vms().contains(&"web-ova".to_owned()), "{name}");
        site.govc(&["vm.destroy", "web-ova"]);
    }
    assert_eq!(site.vms(), before);
    assert_eq!(site.sessions(), 0);
}

/// A machine with files that are hard to keep, as an OVA in `out/small.ova`.
const SMALL: &str = "ARG template\nFROM ${{ template }} AS small\nOUTPUT OVA out/small.ova\nCPU 2\nMEMORY 512MB\n\
    ANNOTATION a \"small\" <machine>\nDISK ADD 2GB\n\
    RUN <<EOF\nmkdir -p /opt/own/deep && cd /opt/own\necho inside > item\nln item deep/same\nln -s ../item deep/link\n\
    chmod 4711 item\nchown 12:34 deep\ntouch -d 2001-02-03T04:05:06Z deep\nmkfifo pipe\n\
    rm -rf /usr/share/doc /etc/motd\nrm -rf /usr/share/misc && mkdir /usr/share/misc && echo new > /usr/share/misc/new\n\
    printf %0200d 0 > \"$(printf %0200d 1)\"\ntouch \"a name with blanks\"\nEOF\n";

/// That everything is there.
const LOOK: &str = "RUN <<EOF\ncd /opt/own\ntest \"$(cat deep/link)\" = inside\ntest item -ef deep/same\n\
    test \"$(stat -c %a item)\" = 4711\ntest \"$(stat -c %u:%g deep)\" = 12:34\ntest \"$(stat -c %Y deep)\" = 981173106\n\
    test -p pipe\ntest ! -e /usr/share/doc && test ! -e /etc/motd\n\
    test \"$(ls /usr/share/misc)\" = new\ntest \"$(wc -c < \"$(printf %0200d 1)\")\" = 200\ntest -f \"a name with blanks\"\n\
    test -x /bin/sh\nEOF\n";

#[test]
fn an_exported_machine_has_its_files_in_another_vcenter() {
    let (Some(one), Some(other)) = (Site::here(), Site::here()) else { return };
    let before = one.vms();
    let dir = context(&[("VMWfile", SMALL)]);
    let run = one.built(dir.path(), &[]);
    assert!(run.stdout().contains("OVA out/small.ova"), "{run}");
    assert_eq!(one.vms(), before, "the machine itself doesn't stay");
    let ova = dir.path().join("out/small.ova");
    assert_eq!(names(&ova), ["small.ovf", "small.mf", "small-disk-0.layers.vmdk"]);
    assert_eq!(std::fs::read_dir(dir.path().join("out")).unwrap().count(), 1, "nothing is left beside it");
    let mut contents = BTreeMap::new();
    for entry in tar::Archive::new(std::fs::File::open(&ova).unwrap()).entries().unwrap() {
        let mut entry = entry.unwrap();
        assert_eq!((entry.header().mtime().unwrap(), entry.header().uid().unwrap()), (0, 0));
        let (mut content, name) = (Vec::new(), entry.path().unwrap().to_string_lossy().into_owned());
        std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
        contents.insert(name, content);
    }
    let line = |name: &str| format!("SHA256({name})= {}\n", digest(&contents[name]));
    let manifest = String::from_utf8(contents["small.mf"].clone()).unwrap();
    assert_eq!(manifest, line("small.ovf") + &line("small-disk-0.layers.vmdk"));

    let text = format!(
        "CLUSTER DC0_C0\nFROM ova:small.ova AS web\nOUTPUT VM web\nOUTPUT TEMPLATE web-image\nNETWORK DC0_DVPG0\nCPU 1\n{LOOK}RUN touch /opt/own/more\n\
         FROM web-image AS more\nOUTPUT VM web-2\nRUN test -e /opt/own/more && test ! -e /etc/motd\n"
    );
    let imports = context(&[
        ("VMWfile", text.replace("FROM web-image", "FROM web").replace("OUTPUT VM web\n", "").as_bytes()),
        ("small.ova", &std::fs::read(&ova).unwrap()),
    ]);
    let run = other.built(imports.path(), &[]);
    let info = vm(&other, "web-2");
    let hardware = &info["config"]["hardware"];
    assert_eq!((hardware["numCPU"].as_i64(), hardware["memoryMB"].as_i64()), (Some(1), Some(512)), "{run}");
    assert_eq!(info["config"]["annotation"], "a \"small\" <machine>");
    let sizes: Vec<_> =
        hardware["device"].as_array().unwrap().iter().filter_map(|d| d["capacityInKB"].as_i64()).collect();
    assert_eq!(sizes, [16 << 20, 2 << 20]);
    assert!(cached(&other.built(imports.path(), &[])));
    // What was imported can be exported again, and that imported again.
    let back = context(&[("VMWfile", "FROM web-image AS a\nOUTPUT OVA small.ova\n")]);
    other.built(back.path(), &[]);
    let text = format!("CLUSTER DC0_C0\nFROM ova:small.ova AS a\nOUTPUT NONE\n{LOOK}");
    std::fs::write(back.path().join("VMWfile"), text).unwrap();
    one.built(back.path(), &[]);
    assert_eq!((one.sessions(), other.sessions()), (0, 0));
    assert_eq!(one.vms(), before);
}

#[test]
fn what_is_there_is_replaced_or_kept_as_asked() {
    let Some(site) = Site::here() else { return };
    let leaving = |flags: &str, more: &str| {
        format!(
            "ARG template\nFROM ${{{{ template }}}} AS a\nOUTPUT {flags}OVA a.ova\nOUTPUT --exists=keep TEMPLATE ova-a\nRUN true\n{more}"
        )
    };
    let dir = context(&[("VMWfile", leaving("", "").as_str()), ("a.ova", "something else")]);
    let file = dir.path().join("a.ova");
    let write = |text: String| std::fs::write(dir.path().join("VMWfile"), text).unwrap();
    let run = site.build(dir.path(), &[]);
    assert_eq!(run.code, Some(5), "{run}");
    insta::assert_snapshot!("a_file_in_the_way", said(&run, dir.path()));
    let clones = || site.requests().get("CloneVM_Task").copied().unwrap_or_default();
    let alone = leaving("--exists=keep ", "").replace("OUTPUT --exists=keep TEMPLATE ova-a\n", "");
    let asked = clones();
    // With nothing else to leave, there is nothing to make; what is made from it needs it.
    for (more, made) in [
        ("", 0),
        ("FROM a AS b\nOUTPUT NONE\nRUN true\n", 2),
        ("FROM a AS b\nOUTPUT VM --off --exists=replace ova-b\n", 2),
    ] {
        let before = clones();
        write(alone.clone() + more);
        let run = site.built(dir.path(), &[]);
        assert!(run.stderr().contains("`a.ova` is kept as it is"), "{run}");
        assert_eq!(clones(), before + made, "{more}: {run}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "something else");
        let arg = format!("template={}", site.template());
        let plan = common::run(&mut site.tool(dir.path(), &["plan", "--arg", &arg]), DEADLINE);
        assert_eq!(plan.code, Some(0), "{plan}");
    }
    assert_eq!(clones(), asked + 4);
    site.govc(&["vm.destroy", "ova-b"]);
    // A test on a clone decides whether it is published.
    let test = |how: &str| format!("FROM a AS test\nOUTPUT NONE\nRUN {how}\n");
    write(
        leaving("--exists=replace --after=test ", &test("false")).replace("OUTPUT --exists=keep TEMPLATE ova-a\n", ""),
    );
    let run = site.build(dir.path(), &[]);
    assert_eq!(run.code, Some(4), "{run}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "something else");
    write(leaving("--exists=replace --after=test ", &test("true")).replace("--exists=keep TEMPLATE", "TEMPLATE"));
    site.built(dir.path(), &[]);
    assert_eq!(names(&file), ["a.ovf", "a.mf", "a-disk-0.layers.vmdk"]);
    // The template is there, and the file: nothing is to be done. Without the file it is made again.
    let run = site.built(dir.path(), &[]);
    assert!(cached(&run), "{run}");
    std::fs::remove_file(&file).unwrap();
    write(
        std::fs::read_to_string(dir.path().join("VMWfile"))
            .unwrap()
            .replace("OUTPUT TEMPLATE", "OUTPUT --exists=replace TEMPLATE"),
    );
    let run = site.built(dir.path(), &[]);
    assert!(!cached(&run) && file.exists(), "{run}");
    assert_eq!(site.sessions(), 0);
}

/// Waits until the server has been asked something, once more than it was.
fn until_asked(site: &Site, method: &str, before: Option<u64>, running: &Running) {
    let begun = Instant::now();
    while site.requests().get(method).copied() == before {
        assert!(begun.elapsed() < DEADLINE, "no {method} by {}", running.id());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_goes_wrong_under_a_lease_is_told_and_nothing_is_left() {
    let Some(site) = Site::here() else { return };
    let dir = context(&[("VMWfile", SMALL)]);
    site.built(dir.path(), &[]);
    let ova = std::fs::read(dir.path().join("out/small.ova")).unwrap();
    let before = site.vms();
    let spoilt = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut ova = ova.clone();
        change(&mut ova);
        ova
    };
    let at = ova.windows(6).position(|w| w == b"inside").unwrap();
    let web = Web::start();
    web.serve("/cut.ova", Page::Cut(ova[..ova.len() - 2000].to_vec(), ova.len()));
    let imports = context(&[
        ("small.ova", ova.clone()),
        ("changed.ova", spoilt(&|ova| ova[at] = b'I')),
        ("unknown.ova", {
            let foreign = b"not a disk at all, but as long as one should be".repeat(40);
            let ovf = OVF.replace("disk1.vmdk", "raw.vmdk");
            archive(Form::Gnu, &[("small.ovf", ovf.as_bytes()), ("raw.vmdk", &foreign)])
        }),
        ("odd.ova", {
            let ovf = OVF.replace("<rasd:ResourceSubType>E1000<", "<rasd:ResourceSubType>Token Ring<");
            archive(Form::Gnu, &[("small.ovf", ovf.as_bytes()), ("disk1.vmdk", &disk())])
        }),
    ]);
    let full =
        |kind: &str| Effect::TaskFault(Box::new(Fault::new(kind, "Insufficient disk space on datastore 'LocalDS_0'.")));
    let cases: Vec<(&str, String, Option<Rule>, i32)> = vec![
        ("the upload is cut", "small.ova".into(), Some(Rule::once("POST nfc", Effect::CutShort)), 5),
        ("the datastore is full", "small.ova".into(), Some(Rule::once("POST nfc", Effect::DiskFull)), 5),
        ("the lease fails", "small.ova".into(), Some(Rule::once("ImportVApp", full("InsufficientStorageSpace"))), 5),
        ("no right to import", "small.ova".into(), Some(Rule::once("ImportVApp", Effect::NoPermission)), 5),
        ("no right to complete", "small.ova".into(), Some(Rule::once("HttpNfcLeaseComplete", Effect::NoPermission)), 5),
        ("a file was changed", "changed.ova".into(), None, 5),
        ("a disk that nobody knows", "unknown.ova".into(), None, 5),
        ("hardware that nobody has", "odd.ova".into(), None, 5),
        ("the download is cut", format!("{}/cut.ova", web.url), None, 5),
    ];
    let mut told = String::new();
    for (what, file, rule, code) in cases {
        let text = format!("CLUSTER DC0_C0\nFROM ova:{file} AS a\nOUTPUT VM --off a\n");
        std::fs::write(imports.path().join("VMWfile"), text).unwrap();
        if let Some(rule) = rule {
            site.meddle(|sandbox| sandbox.inject(rule));
        }
        let run = site.build(imports.path(), &[]);
        assert_eq!(run.code, Some(code), "{what}: {run}");
        assert_eq!(site.vms(), before, "{what}: {run}");
        told += &format!("--- {what}\n{}\n\n", said(&run, imports.path()));
    }
    // The answer is lost, and everything done: it is gone on with.
    std::fs::write(imports.path().join("VMWfile"), "CLUSTER DC0_C0\nFROM ova:small.ova AS a\nOUTPUT NONE\n").unwrap();
    site.meddle(|sandbox| sandbox.inject(Rule::once("HttpNfcLeaseComplete", Effect::DropAfter)));
    site.built(imports.path(), &[]);

    let exports: Vec<(&str, Option<Rule>)> = vec![
        ("no right to export", Some(Rule::once("ExportVm", Effect::NoPermission))),
        ("the lease fails", Some(Rule::once("ExportVm", full("FileFault")))),
        ("the download is cut", Some(Rule::once("GET nfc", Effect::CutShort))),
        ("the download is refused", Some(Rule::once("GET nfc", Effect::DiskFull))),
        ("no descriptor", Some(Rule::once("CreateDescriptor", Effect::NoPermission))),
        ("no directory", None),
    ];
    let leaves = context(&[("VMWfile", "ARG template\nFROM ${{ template }} AS a\nOUTPUT OVA out/a.ova\n")]);
    for (what, rule) in exports {
        match rule {
            Some(rule) => site.meddle(|sandbox| sandbox.inject(rule)),
            None => {
                std::fs::remove_dir(leaves.path().join("out")).unwrap();
                std::fs::write(leaves.path().join("out"), "a file").unwrap();
            }
        }
        let run = site.build(leaves.path(), &[]);
        assert_eq!(run.code, Some(5), "{what}: {run}");
        assert_eq!(site.vms(), before, "{what}: {run}");
        if what != "no directory" {
            assert_eq!(
                std::fs::read_dir(leaves.path().join("out")).unwrap().count(),
                0,
                "{what}: nothing half is left"
            );
        }
        told += &format!("--- {what}\n{}\n\n", said(&run, leaves.path()));
    }
    insta::assert_snapshot!("under_a_lease", told);
    assert_eq!(site.sessions(), 0);
}

#[test]
fn a_full_disk_is_told() {
    let Some(site) = Site::here() else { return };
    let dir = context(&[(
        "VMWfile",
        "ARG template\nFROM ${{ template }} AS a\nOUTPUT OVA full/a.ova\nRUN head -c 2000000 /dev/urandom > /root/much\n",
    )]);
    let full = dir.path().join("full");
    std::fs::create_dir(&full).unwrap();
    let mount = std::process::Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "none"]).arg(&full).output();
    // Only root may make a small file system.
    if !mount.is_ok_and(|done| done.status.success()) {
        return;
    }
    let run = site.build(dir.path(), &[]);
    let left = std::fs::read_dir(&full).unwrap().count();
    let _ = std::process::Command::new("umount").arg(&full).status();
    assert_eq!((run.code, left), (Some(5), 0), "{run}");
    insta::assert_snapshot!("a_full_disk", said(&run, dir.path()));
}

#[test]
fn a_lease_lives_as_long_as_its_build() {
    let config = vmwbuild::sandbox::Config { lease_timeout: Duration::from_secs(1), ..common::embedded::config() };
    let Some(site) = Site::with(config) else { return };
    let before = site.vms();
    let dir = context(&[
        ("VMWfile", b"CLUSTER DC0_C0\nFROM ova:small.ova AS a\nOUTPUT VM --off a\n".to_vec()),
        ("small.ova", small(Form::Gnu)),
    ]);
    let slow =
        |time| site.meddle(|sandbox| sandbox.inject(Rule::once("POST nfc", Effect::Slow(Duration::from_secs(time)))));
    // Longer than the lease lives without a sign of life.
    slow(3);
    site.built(dir.path(), &[]);
    assert!(site.requests()["HttpNfcLeaseProgress"] >= 3, "{:?}", site.requests());
    site.govc(&["vm.destroy", "a"]);
    // One that is stopped leaves nothing.
    slow(60);
    let posts = site.requests().get("POST nfc").copied();
    let stopped = Running::start(&mut site.command(dir.path(), &[]));
    until_asked(&site, "POST nfc", posts, &stopped);
    stopped.signal("INT");
    let run = stopped.finish(DEADLINE);
    assert_eq!(run.code, Some(130), "{run}");
    assert_eq!(site.vms(), before, "{run}");
    // After one that was killed the server itself tidies up, when nothing is heard any more.
    slow(60);
    let posts = site.requests().get("POST nfc").copied();
    let killed = Running::start(&mut site.with_state(dir.path(), &["build", "--progress", "plain"]));
    until_asked(&site, "POST nfc", posts, &killed);
    killed.signal("KILL");
    killed.finish(DEADLINE);
    let begun = Instant::now();
    while site.vms() != before {
        assert!(begun.elapsed() < DEADLINE, "the lease never ends");
        std::thread::sleep(Duration::from_millis(50));
    }
    let run = run_with(&site, dir.path(), &["resume", "--progress", "plain"]);
    assert_eq!(run.code, Some(0), "{run}");
    assert_eq!(site.vms().len(), before.len() + 1);
}

fn run_with(site: &Site, dir: &Path, args: &[&str]) -> Run {
    run(&mut site.with_state(dir, args), DEADLINE)
}

/// A build that imports and exports is killed at each line of its journal, and gone on with or cleaned up.
#[test]
fn a_build_that_was_killed_anywhere_is_gone_on_with_or_cleaned() {
    // A lease whose name was lost ends by itself.
    let config = vmwbuild::sandbox::Config { lease_timeout: Duration::from_secs(2), ..common::embedded::config() };
    let Some(site) = Site::with(config) else { return };
    let first = context(&[("VMWfile", SMALL)]);
    site.built(first.path(), &[]);
    let ova = std::fs::read(first.path().join("out/small.ova")).unwrap();
    let before = site.vms();
    let text = "CLUSTER DC0_C0\nFROM ova:small.ova AS a\nOUTPUT VM --off ${{ p }}-a\nOUTPUT OVA out/a.ova\nRUN echo once >> /root/count\n";
    let text = format!("ARG p\n{text}");
    let build = |dir: &Path, prefix: &str, die: &str| site.build_dying(dir, &format!("p={prefix}"), die);
    let fresh = || context(&[("VMWfile", text.as_bytes()), ("small.ova", &ova[..])]);
    let complete = |dir: &Path, prefix: &str, how: &str| {
        assert_eq!(names(&dir.join("out/a.ova")), ["a.ovf", "a.mf", "a-disk-0.layers.vmdk"], "{how}");
        assert_eq!(std::fs::read_dir(dir.join("out")).unwrap().count(), 1, "{how}: nothing is left beside it");
        let mut left = site.vms();
        left.retain(|vm| !before.contains(vm));
        assert_eq!(left, [format!("{prefix}-a")], "{how}");
        site.govc(&["vm.destroy", &format!("{prefix}-a")]);
    };
    let whole = fresh();
    let run = build(whole.path(), "whole", "");
    assert_eq!(run.code, Some(0), "{run}");
    complete(whole.path(), "whole", "undisturbed");
    let lines = journal_of(whole.path()).lines().count() - 1;
    let places = (1..=lines).flat_map(|n| [format!("before:{n}"), n.to_string()]).take(2 * lines - 1);
    for (at, place) in
        places.enumerate().filter(|(at, _)| std::env::var_os("VMWBUILD_TEST_SOAK").is_some() || at % 2 == 0)
    {
        let (dir, prefix) = (fresh(), format!("k{at}"));
        let killed = build(dir.path(), &prefix, &place);
        assert_eq!(killed.code, None, "{place}: {killed}");
        if at % 4 == 0 {
            let resumed = run_with(&site, dir.path(), &["resume", "--progress", "plain"]);
            assert_eq!(resumed.code, Some(0), "{place}: {resumed}\n{}", journal_of(dir.path()));
            complete(dir.path(), &prefix, &place);
        } else {
            let cleaned = run_with(&site, dir.path(), &["clean", "--yes"]);
            assert_eq!(cleaned.code, Some(0), "{place}: {cleaned}\n{}", journal_of(dir.path()));
            if site.vms().contains(&format!("{prefix}-a")) {
                // It was complete, and the user's.
                assert!(journal_of(dir.path()).contains("\"is\":\"published\""), "{place}: {cleaned}");
                site.govc(&["vm.destroy", &format!("{prefix}-a")]);
            }
            let out = dir.path().join("out");
            assert!(
                !out.exists() || std::fs::read_dir(&out).unwrap().all(|f| f.unwrap().file_name() == "a.ova"),
                "{place}"
            );
        }
        assert_eq!(site.vms(), before, "{place}");
    }
}

#[test]
fn govc_exports_what_we_import_and_imports_what_we_export() {
    let Some(site) = Site::here() else { return };
    let dir = context(&[("VMWfile", SMALL)]);
    site.built(dir.path(), &[]);
    let ova = dir.path().join("out/small.ova");
    let pool = "/DC0/host/DC0_C0/Resources";
    site.govc(&["import.ova", "-m", "-name", "by-govc", "-pool", pool, &ova.to_string_lossy()]);
    assert_eq!(vm(&site, "by-govc")["config"]["hardware"]["numCPU"], 2);
    let out = dir.path().join("govc");
    site.govc(&["export.ovf", "-sha", "256", "-vm", "by-govc", &out.to_string_lossy()]);
    site.govc(&["vm.power", "-on", "by-govc"]);
    assert_eq!(
        site.guest("by-govc", "cat /opt/own/deep/link; test ! -e /etc/motd && echo gone").trim(),
        "inside\ngone"
    );
    let text = format!("CLUSTER DC0_C0\nFROM ova:govc/by-govc/by-govc.ovf AS a\nOUTPUT NONE\n{LOOK}");
    std::fs::write(dir.path().join("VMWfile"), text).unwrap();
    site.built(dir.path(), &[]);
    let refused = site.govc_try(&["export.ovf", "-vm", "by-govc", "-f", &out.to_string_lossy()]);
    assert!(refused.code != Some(0) && refused.stderr().contains("Powered on"), "{refused}");
    site.govc(&["vm.power", "-off", "-force", "by-govc"]);
    site.govc(&["vm.destroy", "by-govc"]);
}

/// Holds these calls of ours against govc's: each once, and the same but for names that each has chosen and what the
/// server has made for each.
fn the_same(ours: &[Asked], theirs: &[Asked], calls: &[&str]) {
    const OWN: &[&str] = &["_this", "uuid", "macAddress", "key", "controllerKey", "device"];
    let order = |asked: &[Asked]| -> Vec<String> {
        asked.iter().map(Asked::call).filter(|call| calls.contains(&call.as_str())).collect()
    };
    assert_eq!(order(ours), calls);
    assert_eq!(order(theirs), calls);
    for call in calls {
        let of = |asked: &[Asked], name: &str| {
            let (disk, file) = (format!("{name}-disk-0.layers.vmdk"), format!("[LocalDS_0] {name}/disk-0.vmdk"));
            only(asked, call).fields().own(OWN).with(&[(name, "NAME"), (&disk, "DISK"), (&file, "FILE")])
        };
        alike(&of(ours, "by-us"), &of(theirs, "by-govc"), &[]);
    }
}

fn an_import_is_asked_for_as_govc_asks(site: &Site) {
    let options = r#"{"DiskProvisioning":"thin","NetworkMapping":[{"Name":"VM Network","Network":"VM Network"}]}"#;
    let dir = context(&[("small.ova", small(Form::Gnu)), ("options", options.as_bytes().to_vec())]);
    let path = |name: &str| dir.path().join(name).display().to_string();
    let pool = "/DC0/host/DC0_C0/Resources";
    let (ova, options) = (path("small.ova"), path("options"));
    let ear = Ear::before(site);
    let theirs =
        ear.govc(&["import.ova", "-name", "by-govc", "-pool", pool, "-ds", "LocalDS_0", "-options", &options, &ova]);
    let ours = ear.client(async |client| {
        let inventory = client.inventory().await.unwrap();
        let root = inventory.all(EntityKind::Datacenter).next().unwrap();
        let wanted = PlacementRequest {
            cluster: Some("DC0_C0".to_owned()),
            datastore: Some("LocalDS_0".to_owned()),
            ..PlacementRequest::default()
        };
        let place = inventory.place(&wanted, root).unwrap();
        let network = inventory.find(EntityKind::Network, "VM Network", None).unwrap().moref.clone();
        let request = ImportRequest {
            name: "by-us".to_owned(),
            descriptor: OVF.to_owned(),
            networks: vec![("VM Network".to_owned(), network)],
            provisioning: Some("thin".to_owned()),
            ..ImportRequest::default()
        };
        let spec = client.import_spec(&request, &place).await.unwrap();
        let lease = client.import_vapp(spec.import_spec.unwrap(), &place).await.unwrap();
        let soon = Deadline::after(DEADLINE);
        let lease = client.lease_ready(&lease, "import it", soon).await.unwrap();
        let (item, url) = (&spec.file_item[0], &lease.info.device_url[0]);
        assert_eq!(item.device_id, url.import_key);
        let disk = disk();
        let size = disk.len() as u64;
        let body = futures_util::stream::iter([Ok(bytes::Bytes::from(disk))]);
        client.send_disk(url, (&item.path, size, item.create), body).await.unwrap();
        client.complete_lease(&lease.moref, soon).await.unwrap();
    });
    the_same(&ours, &theirs, &["CreateImportSpec", "ImportVApp", "HttpNfcLeaseComplete"]);
}

#[test]
fn an_export_is_asked_for_as_govc_asks() {
    let Some(site) = Site::here() else { return };
    let out = tempfile::tempdir().unwrap();
    site.govc(&["vm.clone", "-vm", site.template(), "-pool", "/DC0/host/DC0_C0/Resources", "-on=false", "leaving"]);
    let ear = Ear::before(&site);
    let theirs = ear.govc(&["export.ovf", "-name", "by-govc", "-vm", "leaving", &out.path().to_string_lossy()]);
    let ours = ear.client(async |client| {
        let inventory = client.inventory().await.unwrap();
        let vm = inventory.vm("leaving", None).unwrap().moref.clone();
        let lease = client.export_vm(&vm).await.unwrap();
        let soon = Deadline::after(DEADLINE);
        let lease = client.lease_ready(&lease, "export it", soon).await.unwrap();
        let url = &lease.info.device_url[0];
        let mut disk = client.fetch_disk(url, "disk").await.unwrap();
        let mut size = 0;
        while let Some(piece) = disk.chunk().await.unwrap() {
            size += piece.len() as i64;
        }
        client.complete_lease(&lease.moref, soon).await.unwrap();
        let path = format!("by-us-{}", url.target_id.clone().unwrap());
        let file = OvfFile { device_id: url.key.clone(), path, size, ..OvfFile::default() };
        client.descriptor(&vm, "by-us", vec![file]).await.unwrap();
    });
    the_same(&ours, &theirs, &["ExportVm", "HttpNfcLeaseComplete", "CreateDescriptor"]);
}

#[test]
fn a_server_that_exports_nothing_is_told() {
    let Some(site) = Site::vcsim() else { return };
    let before = site.vms();
    let dir = context(&[("VMWfile", "ARG template\nFROM ${{ template }} AS a\nOUTPUT OVA out/a.ova\n")]);
    let run = site.build(dir.path(), &[]);
    assert_eq!(run.code, Some(5), "{run}");
    insta::assert_snapshot!("no_export", said(&run, dir.path()));
    assert_eq!(site.vms(), before);
    assert_eq!(std::fs::read_dir(dir.path().join("out")).unwrap().count(), 0);
}
