// SPDX-License-Identifier: LGPL-2.1-or-later
//! What is refused, before anything is touched or after the desktop was stopped and came back.

use super::*;
use vfio_suite::host::holders;

/// A start that is refused: nothing was touched, and the sentence has these words.
#[track_caller]
fn refused(tree: &Tree, guest: &str, words: &[&str]) {
    let before = tree.snapshot();
    let ran = tree.run(VFIO_GUEST, &["run", guest]);
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    words.iter().for_each(|word| assert!(ran.stderr.contains(word), "{word}: {}", ran.stderr));
    tree.assert_same(&before, "refused");
    assert!(!tree.exists(&format!("run/vfio/guests/{guest}/journal")), "nothing was begun");
    let status = tree.run(VFIO, &["guest", "status", guest]);
    assert_eq!(status.status, Some(1));
    words.iter().for_each(|word| assert!(status.stdout.contains(word), "{word}: {}", status.stdout));
}

#[test]
fn a_card_that_another_guest_has() {
    let tree = machine();
    let running = started(&tree, "demo");
    refused(&tree, "other", &["[guest demo]"]);
    assert!(domain::runs(&tree, "demo") && has_card(&tree));
    drop(running);
}

#[test]
fn a_domain_that_is_not_there_or_broken_or_running() {
    let tree = machine();
    std::fs::remove_file(tree.join(".kernel/domains/demo.xml")).unwrap();
    refused(&tree, "demo", &["failed to get domain 'demo'"]);
    domain::define(&tree, "demo", "<domain><name>demo</name");
    refused(&tree, "demo", &["[guest demo]"]);
    let tree = machine();
    tree.write(".kernel/no-libvirt", "");
    refused(&tree, "demo", &["Failed to connect"]);
}

#[test]
fn a_domain_without_the_card_and_one_without_its_disk() {
    let tree = machine();
    domain(&tree, "demo", &[], &[]);
    refused(&tree, "demo", &["0000:03:00.0"]);
    domain(&tree, "demo", &[VIDEO, SOUND], &[]);
    tree.remove("var/lib/libvirt/images/demo.qcow2");
    refused(&tree, "demo", &["/var/lib/libvirt/images/demo.qcow2"]);
}

#[test]
fn a_section_that_is_not_there_or_disabled() {
    let tree = machine();
    let ran = tree.run(VFIO_GUEST, &["run", "nobody"]);
    assert_eq!(ran.status, Some(1));
    assert!(ran.stderr.contains("there is demo, other"), "{}", ran.stderr);
    tree.config("[gpu big]\ndevice = 0000:03:00.0\n[guest demo]\ngpus = large\n");
    refused(&tree, "demo", &["/etc/vfio.conf:", "large"]);
    tree.config(&CONFIGURATION.replace("[gpu big]", "[host]\nenable = no\n[gpu big]"));
    refused(&tree, "demo", &["'enable' in [host]"]);
}

/// Who comes when the plan is made already: until then it is a refusal (making_way.rs).
#[test]
fn promise_2_who_holds_the_card_and_does_not_end_is_named_and_the_desktop_is_back() {
    let tree = machine();
    let open = desktop::nodes(&tree, VIDEO);
    desktop::stubborn(&tree, &[4000]);
    let before = tree.snapshot();
    tree.faults("run:/usr/bin/begin* slow\n");
    let running = Running::start(&tree, "demo");
    until("the plan", || tree.exists("run/vfio/guests/demo/journal"));
    desktop::process(&tree, 4000, "miner", 1000, "/system.slice/miner.service", &open);
    let ran = running.end();
    assert_eq!(ran.status, Some(1));
    for words in ["miner", "4000", "miner.service", "/dev/dri/card"] {
        assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
    }
    assert!(!ran.stderr.contains("keep other drivers"), "no driver was touched: {}", ran.stderr);
    tree.no_faults();
    let back = give_back(&tree, "demo");
    assert_eq!(back.status, Some(0), "{}", back.stderr);
    std::fs::remove_dir_all(tree.join("proc/4000")).unwrap();
    tree.assert_same(&before, "after a stubborn holder");
    assert_nothing_left(&tree, "after a stubborn holder");
}

#[test]
fn who_does_not_end_is_killed_if_the_configuration_says_so() {
    let tree = machine();
    tree.config(&CONFIGURATION.replace("gpus = big\n", "gpus = big\nkill-holders = yes\n"));
    let open = desktop::nodes(&tree, VIDEO);
    desktop::process(&tree, 4000, "miner", 1000, "/system.slice/miner.service", &open);
    desktop::stubborn(&tree, &[4000]);
    let running = started(&tree, "demo");
    assert!(!tree.exists("proc/4000") && has_card(&tree));
    guest_ends(&tree, "demo");
    let ran = running.end();
    assert!(ran.stderr.contains("killed (kill-holders = yes)"), "{}", ran.stderr);
    assert_eq!(give_back(&tree, "demo").status, Some(0));
    assert_nothing_left(&tree, "after a kill");
}

/// A compositor gets a moment to end with its session; what the user's manager runs beside it would not end.
#[test]
fn who_outlives_a_session_is_known_by_its_control_group() {
    let tree = machine();
    let manager = "/user.slice/user-1000.slice/user@1000.service";
    let functions = [VIDEO, SOUND].map(|address| address.parse().unwrap());
    let outlives = |pid: u32| {
        let found = holders::find(&tree.root(), &functions);
        found.iter().any(|(_, holder)| holder.pid == Some(pid) && holder.outlives_sessions())
    };
    let (card, sound) = (&desktop::nodes(&tree, VIDEO)[0], &desktop::nodes(&tree, SOUND)[0]);
    for (pid, cgroup, node, expected) in [
        (4000, format!("{manager}/app.slice/music.service"), sound, true),
        (4001, format!("{manager}/background.slice/index.service"), card, true),
        (4002, format!("{manager}/session.slice/org.gnome.Shell@wayland.service"), card, false),
        (4003, format!("{manager}/session.slice/pipewire.service"), sound, true),
        (4004, "/user.slice/user-1000.slice/session-2.scope".to_owned(), sound, false),
        (4005, "/system.slice/colord.service".to_owned(), card, false),
    ] {
        desktop::process(&tree, pid, "holder", 1000, &cgroup, std::slice::from_ref(node));
        assert_eq!(outlives(pid), expected, "{cgroup}");
    }
    desktop::process(&tree, 4006, "systemd", 1000, &format!("{manager}/init.scope"), std::slice::from_ref(card));
    tree.write("proc/4006/stat", &stat(4006, 1, 77));
    assert!(!outlives(4006), "it holds what its services hold");
}

/// A machine on whose card a service of the user's plays, process 4000.
fn machine_with_music() -> Tree {
    let tree = machine();
    let open = desktop::nodes(&tree, SOUND);
    let service = "/user.slice/user-1000.slice/user@1000.service/app.slice/music.service";
    desktop::process(&tree, 4000, "aplay", 1000, service, &open);
    tree
}

/// They end while the display manager does, not after it.
#[test]
fn who_outlives_a_session_is_asked_to_end_before_the_display_manager_is_stopped() {
    let tree = machine_with_music();
    let running = started(&tree, "demo");
    assert!(!tree.exists("proc/4000") && has_card(&tree));
    guest_ends(&tree, "demo");
    let ran = running.end();
    let told = |words: &str| ran.stderr.find(words).unwrap_or_else(|| panic!("{words}: {}", ran.stderr));
    let asked = told("ask aplay (pid 4000, user 1000, music.service) to end");
    assert!(told("end session 2 of ada") < asked && asked < told("stop gdm.service"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("asked to end"), "nobody was left to be asked: {}", ran.stderr);
    assert_eq!(give_back(&tree, "demo").status, Some(0));
    assert_nothing_left(&tree, "after an early question");
}

/// Being asked is not all: it is waited for, named, and all comes back.
#[test]
fn who_was_asked_early_and_does_not_end_is_named() {
    let tree = machine_with_music();
    desktop::stubborn(&tree, &[4000]);
    let before = tree.snapshot();
    let ran = tree.run(VFIO_GUEST, &["run", "demo"]);
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("aplay (pid 4000, user 1000, music.service) has /dev/snd/"), "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("asked to end").count(), 0, "it is asked once: {}", ran.stderr);
    assert_eq!(give_back(&tree, "demo").status, Some(0));
    tree.assert_same(&before, "after a stubborn player");
}

/// Services of a user that are only starting when the session ends.
#[test]
fn who_opens_the_card_after_the_wait_is_waited_for_too() {
    let tree = machine();
    let open = desktop::nodes(&tree, VIDEO);
    tree.faults("*driver_override* slow\n");
    let running = Running::start(&tree, "demo");
    until("the reservation", || {
        std::fs::read_to_string(tree.join("run/vfio/guests/demo/journal")).is_ok_and(|text| text.contains("reserve"))
    });
    desktop::process(&tree, 4000, "pipewire", 1000, "/user.slice/pipewire.service", &open);
    until("the guest", || domain::runs(&tree, "demo"));
    assert!(!tree.exists("proc/4000") && has_card(&tree));
    guest_ends(&tree, "demo");
    let ran = running.end();
    assert!(ran.stderr.contains("pipewire"), "{}", ran.stderr);
    assert_eq!(give_back(&tree, "demo").status, Some(0));
    assert_nothing_left(&tree, "after a late holder");
}

#[test]
fn a_hot_hand_over_ends_nobody() {
    let tree = machine();
    tree.config(&CONFIGURATION.replace("gpus = big\n", "gpus = big\nhandover = hot\n"));
    let before = tree.snapshot();
    let ran = tree.run(VFIO_GUEST, &["run", "demo"]);
    assert_eq!(ran.status, Some(1));
    assert!(ran.stderr.contains("gnome-shell"), "{}", ran.stderr);
    assert!(tree.exists("proc/2100") && !ran.stderr.contains("would send SIG"), "{}", ran.stderr);
    assert_eq!(desktop::unit_state(&tree, ALIAS).as_deref(), Some("active"));
    assert_eq!(give_back(&tree, "demo").status, Some(0));
    tree.assert_same(&before, "after a hot hand-over that nobody made way for");
}
