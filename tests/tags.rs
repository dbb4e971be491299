//! TAG and `ON TAG`, by the REST API: on the simulator that others wrote and on our sandbox, set up and read back by
//! govc.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may

use crate::common;

use common::site::Site;
use common::{context, on_both};

on_both! {
    via here:
    machines_and_templates_have_their_tags
    what_is_wrong_with_tags_is_told_before_anything_is_cloned
    machines_are_chosen_by_tag
    a_session_that_has_ended_is_opened_again
}

/// Categories and tags to work with.
fn tagged(site: &Site) {
    site.govc(&["tags.category.create", "environment"]);
    site.govc(&["tags.category.create", "-m", "-t", "VirtualMachine", "role"]);
    site.govc(&["tags.category.create", "-t", "Datastore", "storage"]);
    for (category, tag) in
        [("environment", "test"), ("environment", "production"), ("role", "web"), ("role", "a/b"), ("storage", "fast")]
    {
        site.govc(&["tags.create", "-c", category, tag]);
    }
}

fn attached(site: &Site, tag: &str) -> Vec<String> {
    let listed = site.govc(&["tags.attached.ls", "-l", tag]);
    let path = |line: &str| site.govc(&["ls", "-L", line.rsplit(' ').next().unwrap()]);
    let name = |line: &str| path(line).trim().rsplit('/').next().unwrap().to_owned();
    let mut lines: Vec<String> = listed.lines().map(name).collect();
    lines.sort();
    lines
}

fn machines_and_templates_have_their_tags(site: &Site) {
    tagged(site);
    let dir = context(&[(
        "VMWfile",
        "ARG template\nARG env = \"test\"\nFROM ${{ template }} AS base\nOUTPUT TEMPLATE tg-base\nTAG environment/production\n\
         FROM base AS web FOR n IN 1..2\nOUTPUT VM --off tg${{ n }}\nOUTPUT TEMPLATE tg-t${{ n }}\n\
         TAG environment/${{ env }} role/web\nTAG role/a/b\n",
    )]);
    site.built(dir.path(), &[]);
    let web = ["tg-t1", "tg-t2", "tg1", "tg2"];
    assert_eq!(attached(site, "test"), web);
    assert_eq!(attached(site, "web"), web);
    assert_eq!(attached(site, "a/b"), web);
    // A clone inherits none.
    assert_eq!(attached(site, "production"), ["tg-base"]);
    assert_eq!(site.sessions(), 0, "both sessions are ended");
}

fn what_is_wrong_with_tags_is_told_before_anything_is_cloned(site: &Site) {
    tagged(site);
    let before = site.vms();
    let wrong = |lines: &str| {
        let text = format!("ARG template\nFROM ${{{{ template }}}} AS web\nOUTPUT VM --off tg-wrong\n{lines}");
        let dir = context(&[("VMWfile", text.as_str())]);
        let build = site.build(dir.path(), &[]);
        assert_eq!(build.code, Some(5), "{build}");
        let template = format!("template={}", site.template());
        let plan = common::run(&mut site.tool(dir.path(), &["plan", "--arg", &template]), common::DEADLINE);
        assert_eq!(plan.code, Some(5), "{plan}");
        let told = |run: &common::Run| {
            let all = run.stderr();
            all.lines().find(|l| l.trim_start().starts_with("x ")).map(str::to_owned)
        };
        assert!(told(&build).is_some() && told(&build) == told(&plan), "{build}\n{plan}");
        build.stderr()
    };
    let said = wrong("TAG enviroment/test\n");
    assert!(said.contains("there is no category of tags `enviroment`"), "{said}");
    assert!(said.contains("did you mean `environment`?"), "{said}");
    let said = wrong("TAG environment/prodution\n");
    assert!(said.contains("there is no tag `environment/prodution`"), "{said}");
    assert!(said.contains("did you mean `production`?"), "{said}");
    let said = wrong("TAG role/nothing-like-it\n");
    assert!(said.contains("there are: a/b, web"), "{said}");
    let said = wrong("TAG environment/test environment/production\n");
    assert!(said.contains("one tag of the category `environment` at most"), "{said}");
    let said = wrong("TAG storage/fast\n");
    assert!(said.contains("aren't for virtual machines"), "{said}");
    assert_eq!(site.vms(), before);
}

fn machines_are_chosen_by_tag(site: &Site) {
    tagged(site);
    let dir = context(&[(
        "VMWfile",
        "ARG template\nFROM ${{ template }} AS m FOR n IN 1..3\nOUTPUT VM on-${{ n }}\nRUN true\n",
    )]);
    site.built(dir.path(), &[]);
    for n in [1, 3] {
        site.govc(&["tags.attach", "-c", "role", "web", &format!("/DC0/vm/on-{n}")]);
    }
    let dir = context(&[("VMWfile", "ON TAG role/web AS web\nRUN echo here > /root/tagged\n")]);
    site.built(dir.path(), &[]);
    for (n, there) in [(1, "yes"), (2, "no"), (3, "yes")] {
        let said = site.guest(&format!("on-{n}"), "test -e /root/tagged && echo yes || echo no");
        assert_eq!(said.trim(), there, "on-{n}");
    }
    let dir = context(&[("VMWfile", "ON TAG role/wb AS web\nRUN true\n")]);
    let run = site.build(dir.path(), &[]);
    assert!(run.code == Some(5) && run.stderr().contains("did you mean `web`?"), "{run}");
    let dir = context(&[("VMWfile", "ON TAG environment/test AS web\nRUN true\n")]);
    let run = site.build(dir.path(), &[]);
    assert!(run.code == Some(5) && run.stderr().contains("no machine has the tag `environment/test`"), "{run}");
}

fn a_session_that_has_ended_is_opened_again(site: &Site) {
    tagged(site);
    site.with_client(async |client| {
        let tagging = client.tags(&["role"]).await.unwrap();
        assert!(tagging.tag("role", "web").is_ok());
        site.expire_rest();
        let tagging = client.tags(&["environment"]).await.unwrap();
        assert!(tagging.tag("environment", "test").is_ok());
    });
    assert_eq!(site.sessions(), 0);
}

#[test]
fn what_the_rest_api_refuses_is_told() {
    use vmwbuild::sandbox::{Effect, Rule};
    let Some(site) = Site::here() else { return };
    tagged(&site);
    let dir = context(&[("VMWfile", "ARG template\nFROM ${{ template }} AS web\nOUTPUT VM --off tg\nTAG role/web\n")]);
    let name = "POST tag-association?attach-multiple-tags-to-object";
    site.meddle(|sandbox| sandbox.inject(Rule::once(name, Effect::NoPermission)));
    let run = site.build(dir.path(), &[]);
    assert_eq!(run.code, Some(5), "{run}");
    assert!(run.stderr().contains("can't attach the tags"), "{run}");
    assert!(run.stderr().contains("the account lacks a privilege (injected) (unauthorized)"), "{run}");
    assert!(!site.vms().contains(&"tg".to_owned()), "what was half-made is removed");
    // A lost answer and a busy server are no reason to give up; nor is a session that has ended meanwhile.
    for (name, effect) in [
        (name, Effect::DropAfter),
        (name, Effect::ExpireSession),
        ("GET category", Effect::Unavailable),
        ("POST session", Effect::DropBefore),
    ] {
        site.meddle(|sandbox| sandbox.inject(Rule::once(name, effect)));
    }
    site.built(dir.path(), &[]);
    assert_eq!(attached(&site, "web"), ["tg"]);
    assert_eq!(site.sessions(), 0);
}
