// SPDX-License-Identifier: LGPL-2.1-or-later
//! One thing goes wrong at every act of a hand-over in turn: the reason is said, and the whole desktop is back.

use super::*;

/// How many acts a start has when nothing goes wrong: writes, module loads, programs.
fn acts() -> u64 {
    let tree = full_machine();
    let running = started(&tree, "demo");
    let acts = tree.count();
    drop(running);
    acts
}

#[test]
fn a_failure_at_any_act_gives_the_whole_desktop_back() {
    let acts = acts();
    assert!(acts > 10, "a hand-over is more than {acts} acts");
    for late in ["", " late"] {
        for n in 1..=acts {
            let tree = full_machine();
            let before = tree.snapshot();
            tree.faults(&format!("{n} EIO{late}\n"));
            let what = format!("act {n} of {acts} fails{late}");
            let mut running = Running::start(&tree, "demo");
            let handed_over = || tree.read("run/vfio/guest-status/demo").contains("handed-over");
            let mut ended = running.ends_or(&what, || domain::runs(&tree, "demo") && handed_over());
            // A start that fails too late has a guest that runs all the same; its program ends in a moment.
            let settle = Instant::now();
            while !ended && settle.elapsed() < Duration::from_millis(if late.is_empty() { 0 } else { 300 }) {
                ended = running.has_ended();
                std::thread::sleep(Duration::from_millis(10));
            }
            let runs = !ended;
            tree.no_faults();
            if runs {
                // What failed was no part of the hand-over that matters: a question, or a reset of nothing.
                assert!(has_card(&tree), "{what}: the guest runs without its card");
                guest_ends(&tree, "demo");
            }
            let ran = running.end();
            // A guest that ran has the answer of one that ran well, whatever failed before.
            assert_eq!(ran.status, Some(if runs { 0 } else { 1 }), "{what}: {}", ran.stderr);
            if !runs {
                let last = ran.stderr.lines().last().unwrap_or_default();
                assert!(last.contains("[guest demo]"), "{what}: {}", ran.stderr);
            }
            let back = give_back(&tree, "demo");
            assert_eq!(back.status, Some(0), "{what}: {}", back.stderr);
            log_in_again(&tree, &what);
            tree.assert_same(&before, &what);
            assert_nothing_left(&tree, &what);
        }
    }
}

#[test]
fn the_reason_stays_when_all_is_back() {
    let tree = machine();
    tree.faults("run:virsh*start* EIO\n");
    let ran = tree.run(VFIO_GUEST, &["run", "demo"]);
    assert_eq!(ran.status, Some(1));
    assert_eq!(give_back(&tree, "demo").status, Some(0));
    let ran = tree.run(VFIO, &["guest", "status", "demo"]);
    assert_eq!(ran.status, Some(1));
    assert!(ran.stdout.contains("did not start") && ran.stdout.contains("cannot be started"), "{}", ran.stdout);
}

#[test]
fn a_driver_that_does_not_take_its_card_back_is_asked_again_after_a_reset() {
    let tree = machine();
    let before = tree.snapshot();
    let running = started(&tree, "demo");
    // Whatever is tried, the driver's probe fails.
    tree.faults(&format!("probe:amdgpu:{VIDEO} EIO\n"));
    guest_ends(&tree, "demo");
    let ran = running.end();
    assert_eq!(ran.status, Some(0));
    assert!(ran.stderr.contains("it is tried once more"), "{}", ran.stderr);
    let back = give_back(&tree, "demo");
    assert_eq!(back.status, Some(2), "{}", back.stderr);
    assert!(back.stderr.contains("trying a reset") && back.stderr.contains("taking it off the bus"), "{}", back.stderr);
    assert_eq!(desktop::unit_state(&tree, ALIAS).as_deref(), Some("failed"), "the desktop is tried all the same");
    let ran = tree.run(VFIO, &["guest", "status", "demo"]);
    assert!(ran.stdout.contains("vfio guest restore demo"), "{}", ran.stdout);
    // Nobody else gets it meanwhile.
    let ran = tree.run(VFIO_GUEST, &["run", "other"]);
    assert_eq!(ran.status, Some(1));
    assert!(ran.stderr.contains("demo"), "{}", ran.stderr);
    tree.no_faults();
    let ran = tree.run(VFIO, &["guest", "restore", "demo"]);
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    tree.assert_same(&before, "after the second attempt");
    assert_nothing_left(&tree, "after the second attempt");
}

/// Regression: whoever wanted the cards back from a supervisor that is stopped (SIGSTOP) heard that "another program is at work".
#[test]
fn a_supervisor_that_is_stopped_is_named_with_the_way_forward() {
    use nix::fcntl::{Flock, FlockArg};
    use nix::sys::stat::{major, minor};
    use std::os::unix::fs::MetadataExt;
    let tree = machine();
    tree.write("run/vfio/guest-locks/demo", "");
    let lock = std::fs::File::options().append(true).open(tree.join("run/vfio/guest-locks/demo")).unwrap();
    let lock = Flock::lock(lock, FlockArg::LockExclusive).unwrap();
    let meta = lock.metadata().unwrap();
    let (major, minor) = (major(meta.dev()), minor(meta.dev()));
    let of =
        |inode: u64, process: u32| format!("FLOCK  ADVISORY  WRITE {process} {major:02x}:{minor:02x}:{inode} 0 EOF");
    let waits = format!("2: -> {}", of(meta.ino(), 5));
    let locks = format!("1: {}\n2: {}\n{waits}\n", of(meta.ino() + 1, 4), of(meta.ino(), 4321));
    tree.write("proc/locks", &locks);
    for (state, part) in [
        ("T (stopped)", "process 4321, which is at work for it, is stopped: 'kill -CONT 4321' lets it go on"),
        ("S (sleeping)", "process 4321 is at work for it: wait until it has ended"),
    ] {
        tree.write("proc/4321/stat", &format!("4321 (vfio-guest) x) {} 1 4321\n", &state[..1]));
        let ran = tree.run(VFIO, &["guest", "restore", "demo"]);
        assert_eq!(ran.status, Some(2), "{state}: {}", ran.stderr);
        assert!(ran.stderr.contains(part) && ran.stderr.lines().count() == 1, "{state}: {}", ran.stderr);
    }
}

/// Has the display manager end a moment after so many of its starts.
fn display_manager_ends(tree: &Tree, starts: u32) {
    let path = format!(".kernel/units/{}", desktop::DISPLAY_MANAGER);
    let text = tree.read(&path);
    let others = text.lines().filter(|line| !line.starts_with("ends "));
    let lines: String = others.map(|line| format!("{line}\n")).collect();
    tree.write(&path, &format!("{lines}ends {starts}\n"));
}

#[test]
fn a_display_manager_that_ends_at_once_is_started_again() {
    let tree = machine();
    let running = started(&tree, "demo");
    display_manager_ends(&tree, 1);
    guest_ends(&tree, "demo");
    let ran = running.end();
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("gdm.service does not stay up: it is started again"), "{}", ran.stderr);
    assert!(ran.stderr.contains("everything is back"), "{}", ran.stderr);
    assert_eq!(desktop::unit_state(&tree, ALIAS).as_deref(), Some("active"));
    assert_nothing_left(&tree, "after the second start");
}

#[test]
fn a_display_manager_that_does_not_stay_up_is_not_back() {
    let tree = machine();
    let running = started(&tree, "demo");
    display_manager_ends(&tree, 9);
    tree.write(".kernel/journal", "greeter: hello\ngreeter: no outputs\n");
    guest_ends(&tree, "demo");
    let ran = running.end();
    assert!(!ran.stderr.contains("everything is back"), "{}", ran.stderr);
    assert_eq!(tree.driver(VIDEO).as_deref(), Some("amdgpu"), "all but the display manager is back");
    let why = "undoing 'stop gdm.service': it was started again and does not stay up: \"greeter: no outputs\"";
    assert!(ran.stderr.contains(why) && ran.stderr.contains("it is tried once more"), "{}", ran.stderr);
    let back = give_back(&tree, "demo");
    assert_eq!(back.status, Some(2), "{}", back.stderr);
    let status = tree.run(VFIO, &["guest", "status", "demo"]);
    assert!(status.stdout.contains(why), "{}", status.stdout);
    // Whoever logs in is told as well, until it is back.
    assert!(tree.read("run/vfio/not-back").contains(why));
    display_manager_ends(&tree, 0);
    let ran = tree.run(VFIO, &["guest", "restore", "demo"]);
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    assert!(!tree.exists("run/vfio/not-back"));
    assert_nothing_left(&tree, "after the third attempt");
}
