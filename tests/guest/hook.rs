// SPDX-License-Identifier: LGPL-2.1-or-later
//! libvirt's hook: a start from virt-manager or virsh.

use super::*;
use vfio_suite::act::guest;

/// What libvirt does when a domain starts.
fn libvirt_starts(tree: &Tree, name: &str) {
    let ran = hook(tree, name, "prepare", "begin");
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(0), ""), "{}", ran.stderr);
    let virsh = ["run", "virsh", "--connect", "qemu:///system", "start", "--", name];
    assert_eq!(tree.simulate(&virsh).status, Some(0));
    for operation in ["start", "started"] {
        let ran = hook(tree, name, operation, "begin");
        assert_eq!((ran.status, ran.stdout.as_str()), (Some(0), ""), "{}", ran.stderr);
    }
}

/// And when it has ended.
fn libvirt_stopped(tree: &Tree, name: &str) {
    for operation in ["stopped", "release"] {
        let ran = hook(tree, name, operation, "end");
        assert_eq!((ran.status, ran.stdout.as_str()), (Some(0), ""), "{operation}: {}", ran.stderr);
    }
}

#[test]
fn a_start_through_libvirt_without_a_supervisor() {
    let tree = machine();
    let before = tree.snapshot();
    libvirt_starts(&tree, "demo");
    assert!(has_card(&tree) && domain::runs(&tree, "demo"));
    // A restarted daemon finds its domain again.
    assert_eq!(hook(&tree, "demo", "reconnect", "begin").status, Some(0));
    guest_ends(&tree, "demo");
    libvirt_stopped(&tree, "demo");
    // The unit was asked for; here nobody started it.
    desktop_as_before(&tree, &before);
}

#[track_caller]
fn desktop_as_before(tree: &Tree, before: &common::text::Nodes) {
    let _ = std::fs::remove_file(tree.join(".kernel/units/vfio-guest@demo.service"));
    tree.assert_same(before, "after a start through libvirt");
    assert_nothing_left(tree, "after a start through libvirt");
}

#[test]
fn the_unit_takes_over_what_the_hook_has_handed_over() {
    let tree = machine();
    let before = tree.snapshot();
    libvirt_starts(&tree, "demo");
    let running = Running::start(&tree, "demo");
    until("the supervisor", || guest::lock(&tree.root(), "demo", Duration::ZERO).unwrap().is_none());
    // With a supervisor the hook gives nothing back.
    assert_eq!(hook(&tree, "demo", "release", "end").status, Some(0));
    assert!(has_card(&tree));
    guest_ends(&tree, "demo");
    let ran = running.end();
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    assert_eq!(give_back(&tree, "demo").status, Some(0));
    libvirt_stopped(&tree, "demo");
    desktop_as_before(&tree, &before);
}

#[test]
fn a_guest_that_ends_before_its_unit_is_up_is_not_started_again() {
    let tree = machine();
    desktop::unit(&tree, "vfio-guest@demo.service", &["state inactive"]);
    libvirt_starts(&tree, "demo");
    guest_ends(&tree, "demo");
    libvirt_stopped(&tree, "demo");
    // What the hook asked for comes only now.
    let ran = tree.run(VFIO_GUEST, &["run", "demo"]);
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("has ended before it could be supervised"), "{}", ran.stderr);
    assert_nothing_left(&tree, "after a guest that ended at once");
    // A person's start is a start.
    drop(started(&tree, "demo"));
}

#[test]
fn a_start_by_the_unit_finds_the_hook_silent() {
    let tree = machine();
    let before = tree.snapshot();
    let running = started(&tree, "demo");
    for (operation, sub) in [("prepare", "begin"), ("start", "begin"), ("started", "begin"), ("reconnect", "begin")] {
        let ran = hook(&tree, "demo", operation, sub);
        assert_eq!((ran.status, ran.stdout + &ran.stderr), (Some(0), String::new()), "{operation}");
    }
    guest_ends(&tree, "demo");
    libvirt_stopped(&tree, "demo");
    assert_eq!(running.end().status, Some(0));
    assert_eq!(give_back(&tree, "demo").status, Some(0));
    desktop_as_before(&tree, &before);
}

#[test]
fn a_domain_that_is_not_ours_is_left_alone_whatever_is_asked() {
    let tree = machine();
    domain(&tree, "plain", &[], &[]);
    let before = tree.snapshot();
    for operation in ["prepare", "start", "started", "reconnect", "attach", "migrate", "restore"] {
        let ran = hook(&tree, "plain", operation, "begin");
        assert_eq!((ran.status, ran.stdout + &ran.stderr), (Some(0), String::new()), "{operation}");
    }
    libvirt_stopped(&tree, "plain");
    tree.assert_same(&before, "not ours");
}

#[test]
fn a_hand_over_that_fails_refuses_the_start_and_gives_back() {
    let tree = machine();
    let before = tree.snapshot();
    tree.faults("modprobe:* EIO\n*drivers_probe EIO\n");
    let ran = hook(&tree, "demo", "prepare", "begin");
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(1), ""), "{}", ran.stderr);
    assert!(ran.stderr.contains("[guest demo]"), "{}", ran.stderr);
    tree.no_faults();
    libvirt_stopped(&tree, "demo");
    if tree.exists("run/vfio/guests/demo") {
        assert_eq!(give_back(&tree, "demo").status, Some(0));
    }
    desktop_as_before(&tree, &before);
}

#[test]
fn a_second_domain_for_the_card_is_refused() {
    let tree = machine();
    libvirt_starts(&tree, "demo");
    let ran = hook(&tree, "other", "prepare", "begin");
    assert_eq!(ran.status, Some(1));
    assert!(ran.stderr.contains("[guest demo]"), "{}", ran.stderr);
    assert_eq!(hook(&tree, "other", "release", "end").status, Some(0));
    assert!(has_card(&tree) && tree.read("run/vfio/claims/big") == "demo\n");
}

#[test]
fn a_description_that_is_no_xml_is_refused() {
    let tree = machine();
    domain::define(&tree, "demo", "\0\0 nothing");
    let ran = hook(&tree, "demo", "prepare", "begin");
    assert_eq!(ran.status, Some(1));
    assert!(ran.stderr.contains("[guest demo]"), "{}", ran.stderr);
}

#[test]
fn wrong_usage() {
    let tree = machine();
    assert_eq!(tree.run(HOOK, &[]).status, Some(64));
    assert_eq!(tree.run(HOOK, &["demo"]).status, Some(64));
    assert_eq!(tree.run(VFIO_GUEST, &["run"]).status, Some(64));
    assert_eq!(tree.run(VFIO_GUEST, &["run", "../demo"]).status, Some(64));
}

/// A domain that no section names gets the card that the desktop is on.
#[test]
fn a_card_of_the_host_is_not_taken_by_a_domain_without_a_section() {
    let tree = machine();
    domain(&tree, "plain", &[VIDEO, SOUND], &[]);
    let before = tree.snapshot();
    let ran = hook(&tree, "plain", "prepare", "begin");
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(1), ""));
    for words in [
        "[guest plain]",
        VIDEO,
        "[gpu big]",
        "printf '%s\\n' \"[guest plain]\" \"gpus = big\"",
        "[domain-without-section]",
    ] {
        assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
    }
    tree.assert_same(&before, "refused");
    // What it costs the host nothing to give is let through.
    for configuration in [CONFIGURATION.replace("[gpu big]", "[host]\nenable = no\n[gpu big]"), String::new()] {
        tree.config(&configuration);
        assert_eq!(hook(&tree, "plain", "prepare", "begin").status, Some(0), "{configuration}");
    }
    tree.config(CONFIGURATION);
    tree.write("proc/cmdline", "quiet vfio=off\n");
    assert_eq!(hook(&tree, "plain", "prepare", "begin").status, Some(0));
}

/// Without the hook libvirt takes managed functions itself, and gives them back when QEMU has ended.
#[test]
fn what_libvirt_takes_itself_is_what_the_hook_refuses() {
    let tree = machine();
    domain(&tree, "plain", &[VIDEO, SOUND], &[]);
    let drivers = [VIDEO, SOUND].map(|address| tree.driver(address));
    let starts =
        |name: &str| tree.simulate(&["run", "virsh", "--connect", "qemu:///system", "start", "--", name]).status;
    // ALSA's driver waits for the program that plays: nothing may hold the sound.
    for entry in std::fs::read_dir(tree.join("proc")).unwrap() {
        let fds = entry.unwrap().path().join("fd");
        if fds.is_dir() {
            std::fs::remove_dir_all(&fds).unwrap();
        }
    }
    assert_eq!(starts("plain"), Some(0));
    assert!(has_card(&tree), "libvirt has taken it from under the desktop");
    guest_ends(&tree, "plain");
    assert_eq!([VIDEO, SOUND].map(|address| tree.driver(address)), drivers);
    // One that is not managed must have been detached before.
    let xml = tree.read(".kernel/domains/plain.xml").replace("managed='yes'", "managed='no'");
    domain::define(&tree, "plain", &xml);
    assert_ne!(starts("plain"), Some(0));
    assert_eq!([VIDEO, SOUND].map(|address| tree.driver(address)), drivers);
    // Of several that are to be taken, none stays taken when one cannot be.
    let xml = tree.read(".kernel/domains/plain.xml").replacen("managed='no'", "managed='yes'", 1);
    domain::define(&tree, "plain", &xml);
    assert_ne!(starts("plain"), Some(0));
    assert_eq!([VIDEO, SOUND].map(|address| tree.driver(address)), drivers);
}
