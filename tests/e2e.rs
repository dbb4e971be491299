//! The real binary against a vCenter that others wrote, with guests that run
//! commands for real, checked by a client that others wrote.

use crate::common;

use common::{DEADLINE, Vcsim, run};

/// The machine room itself, before anything of ours is trusted to it: what a build
/// leaves in a machine is in the clones of the template made of it.
#[test]
fn a_clone_of_a_template_has_what_the_template_was_left_with() {
    let Some(vcsim) = Vcsim::start(&[]) else { return };
    let clone = |from: &str, to: &str| {
        vcsim.govc(&["vm.clone", "-vm", from, "-pool", "DC0_C0/Resources", "-on=false", to]);
        vcsim.govc(&["vm.power", "-on", to]);
    };

    clone("debian-template", "first");
    assert_eq!(vcsim.guest_run("first", "echo built >/root/mark && id -u"), "0\n");
    vcsim.govc(&["vm.power", "-off", "first"]);
    vcsim.govc(&["vm.markastemplate", "first"]);
    clone("first", "second");
    assert_eq!(vcsim.guest_run("second", "cat /root/mark"), "built\n");

    // The template that it all began with is as it was.
    clone("debian-template", "third");
    assert_eq!(vcsim.guest_run("third", "test ! -e /root/mark && echo clean"), "clean\n");

    // A template of a template's template.
    vcsim.guest_run("second", "echo again >>/root/mark");
    clone("second", "fourth");
    assert_eq!(vcsim.guest_run("fourth", "cat /root/mark"), "built\nagain\n");
    assert_eq!(vcsim.containers().len(), 4, "one for each machine that was on: {:?}", vcsim.containers());
}

/// Two simulators with machines of the same name don't see each other's guests,
/// and each takes only its own along when it ends.
#[test]
fn simulators_side_by_side_are_apart() {
    let Some(one) = Vcsim::start(&[]) else { return };
    let Some(two) = Vcsim::start(&[]) else { return };
    for vcsim in [&one, &two] {
        vcsim.govc(&["vm.clone", "-vm", "debian-template", "-pool", "DC0_C0/Resources", "same"]);
    }
    one.guest_run("same", "touch /mine");
    let there = two.guest_try("same", "ls /mine");
    assert!(there.code == Some(2) && there.stderr().contains("No such file"), "{there}");

    let of_one = one.containers();
    assert_eq!(of_one.len(), 1);
    drop(one);
    let left = common::docker(&["ps", "--all", "--format", "{{.Names}}"]).stdout();
    assert!(!left.contains(&of_one[0]), "{left}");
    assert_eq!(two.guest_run("same", "echo alive"), "alive\n");
}

/// A simulator that was killed could not clean up; the next one does.
#[test]
fn what_a_killed_simulator_left_is_gone_with_the_next() {
    let Some(killed) = Vcsim::start(&[]) else { return };
    killed.govc(&["vm.clone", "-vm", "debian-template", "-pool", "DC0_C0/Resources", "orphan"]);
    assert_eq!(killed.containers().len(), 1);
    killed.kill();
    let Some(next) = Vcsim::start(&[]) else { return };
    assert_eq!(killed.containers(), Vec::<String>::new());
    assert_eq!(next.containers(), Vec::<String>::new());
}

/// The switches that the tests of failures stand on.
#[test]
fn the_simulator_fails_when_told_to() {
    let Some(vcsim) = Vcsim::start(&["-guest-password", "guest-password"]) else { return };
    let about = |password: &str| {
        let mut command = vcsim.govc_command(&["about"]);
        run(command.env("GOVC_PASSWORD", password), DEADLINE)
    };
    let refused = about("wrong");
    assert!(refused.code == Some(1) && refused.stderr().contains("Login failure"), "{refused}");

    vcsim.control("POST", "/fault?method=Login&type=NoPermission");
    let fault = about(&vcsim.ready.password);
    assert!(fault.code == Some(1) && fault.stderr().contains("Fault injected"), "{fault}");
    vcsim.control("POST", "/status?method=Login&code=503");
    let unavailable = about(&vcsim.ready.password);
    assert!(unavailable.code == Some(1) && unavailable.stderr().contains("503"), "{unavailable}");
    vcsim.control("POST", "/drop?method=Login");
    let dropped = about(&vcsim.ready.password);
    assert!(dropped.code == Some(1) && dropped.stderr().contains("EOF"), "{dropped}");

    vcsim.requests(true);
    let good = about(&vcsim.ready.password);
    assert_eq!(good.code, Some(0), "each of the faults was for once: {good}");
    assert_eq!(vcsim.requests(false).get("Login"), Some(&1));

    vcsim.control("POST", "/delay?method=Login&ms=700");
    let late = about(&vcsim.ready.password);
    assert!(late.code == Some(0) && late.elapsed.as_millis() >= 700, "{late}");
    vcsim.control("POST", "/clear");

    vcsim.govc(&["vm.clone", "-vm", "debian-template", "-pool", "DC0_C0/Resources", "vm"]);
    assert_eq!(vcsim.guest_run("vm", r#"printf %s\\n "it's" 'a $HOME; b'"#), "it's\na $HOME; b\n");
    let mut stranger = vcsim.govc_command(&["guest.run", "-vm", "vm", "/bin/true"]);
    let stranger = run(stranger.env("GOVC_GUEST_LOGIN", "root:wrong"), DEADLINE);
    assert!(stranger.code != Some(0) && stranger.stderr().contains("InvalidGuestLogin"), "{stranger}");

    vcsim.control("POST", "/expire");
    assert_eq!(vcsim.sessions(), 0);

    // In mid-run: govc makes a view after its login.
    vcsim.control("POST", "/expire?method=CreateContainerView");
    let find = run(&mut vcsim.govc_command(&["find", "/", "-type", "m"]), DEADLINE);
    assert!(find.code == Some(1) && find.stderr().contains("NotAuthenticated"), "{find}");

    vcsim.control("POST", "/gone?method=CreateContainerView");
    let find = run(&mut vcsim.govc_command(&["find", "/", "-type", "m"]), DEADLINE);
    assert_eq!(find.code, Some(1), "{find}");
    let gone = about(&vcsim.ready.password);
    assert!(gone.code == Some(1) && gone.stderr().contains("refused"), "{gone}");
}
