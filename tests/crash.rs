// SPDX-License-Identifier: LGPL-2.1-or-later
//! SIGKILL at any moment, then `vfio restore`: the machine is byte for byte as it was.
//!
//! The real programs run under strace(1), which kills them at the Nth call that matters: `fsync`, where a record of the
//! journal is written but not yet safe; `clone`, where it is safe and the kernel has not been asked; `poll`, where the
//! child that asks is at work and goes on alone. What the kernel was asked for, it finishes.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::pairs::{
    framed, lone_disk, polaris, small, small_found_anew, small_machine, small_resized, small_without_vfio, twins,
    FRAMED, POLARIS, SMALL, TWINS,
};
use common::strace::kill;
use common::text::Nodes;
use common::Tree;

const VFIO: &str = env!("CARGO_BIN_EXE_vfio");
const VFIO_BIND: &str = env!("CARGO_BIN_EXE_vfio-bind");

/// More than any of the programs has; what is still killed then would never end.
const MANY: u32 = 200;

/// The journal's records are made safe.
const SYNC: &str = "fsync,fdatasync";
/// The child that asks the kernel is started.
const START: &str = "clone,clone3,fork,vfork";
/// The child is waited for. The first such call is that of Rust's runtime, so the second waits for the first child.
const WAIT: &str = "poll,ppoll";

/// Whatever happened before: one restore, and all is as it was, with nothing left to undo.
#[track_caller]
fn restore(tree: &Tree, before: &Nodes, what: &str) {
    let ran = tree.run(VFIO, &["restore", "big"]);
    assert_eq!(ran.status, Some(0), "{what}: {}", ran.stderr);
    tree.assert_same(before, what);
    assert!(!tree.exists("run/vfio/journal/big"), "{what}: the journal is gone when all is undone");
}

/// Kills `program` at every call of each kind, each time on a fresh machine, and restores. Gives the number of kills.
fn kill_everywhere(machine: fn() -> Tree, program: &str, arguments: &[&str], bound: &[&str]) -> u32 {
    let mut kills = 0;
    for calls in [SYNC, START, WAIT] {
        for n in 1.. {
            assert!(n < MANY, "{calls} never end");
            let tree = machine();
            let before = tree.snapshot();
            if calls == WAIT {
                // The kernel takes its time over what the program waits for, and is still at it when it is killed.
                tree.faults(&format!("{} slow\n", n - 1));
            }
            let ran = kill(&tree, program, arguments, calls, n);
            let what = format!("{program} {arguments:?} killed at {calls} {n}");
            if let Some(ran) = ran {
                assert_eq!(ran.status, Some(0), "{}", ran.stderr);
                for address in bound {
                    assert_eq!(tree.driver(address).as_deref(), Some("vfio-pci"), "{address}");
                }
                restore(&tree, &before, "not killed");
                break;
            }
            kills += 1;
            restore(&tree, &before, &what);
        }
    }
    kills
}

#[test]
fn bind_killed_anywhere_is_undone() {
    let functions = TWINS.map(|(address, _)| address);
    let kills = kill_everywhere(twins, VFIO, &["bind", "big"], &functions);
    // Four overrides, unbinds and probes, each with three kinds of calls.
    assert!(kills >= 36, "only {kills} places to die in");
}

#[test]
fn bind_that_resizes_killed_anywhere_is_undone() {
    let functions = SMALL.map(|(address, _)| address);
    let kills = kill_everywhere(small_resized, VFIO, &["bind", "big"], &functions);
    assert!(kills >= 24, "only {kills} places to die in");
}

#[test]
fn bind_that_finds_the_card_anew_killed_anywhere_is_undone() {
    let functions = SMALL.map(|(address, _)| address);
    let kills = kill_everywhere(small_found_anew, VFIO, &["bind", "big"], &functions);
    assert!(kills >= 40, "only {kills} places to die in");
}

#[test]
fn bind_that_moves_a_framebuffer_killed_anywhere_is_undone() {
    let kills = kill_everywhere(framed, VFIO, &["bind", "big"], &[FRAMED[0].0]);
    assert!(kills >= 9, "only {kills} places to die in");
}

/// vfio-pci takes what waits for it as soon as it is loaded, before any record says that a function was bound.
#[test]
fn bind_that_loads_its_module_killed_anywhere_is_undone() {
    let functions = SMALL.map(|(address, _)| address);
    let kills = kill_everywhere(small_without_vfio, VFIO, &["bind", "big"], &functions);
    assert!(kills >= 20, "only {kills} places to die in");
}

#[test]
fn bind_that_chooses_a_reset_method_killed_anywhere_is_undone() {
    let functions = POLARIS.map(|(address, _)| address);
    let kills = kill_everywhere(polaris, VFIO, &["bind", "big"], &functions);
    assert!(kills >= 24, "only {kills} places to die in");
}

#[test]
fn a_reset_killed_anywhere_leaves_the_list_of_methods_as_it_was() {
    let kills = kill_everywhere(lone_disk, VFIO, &["reset", "big", "--method", "bus"], &[]);
    assert!(kills >= 7, "only {kills} places to die in");
}

#[test]
fn the_boot_time_binding_killed_anywhere_is_undone() {
    let functions = TWINS.map(|(address, _)| address);
    let kills = kill_everywhere(twins, VFIO_BIND, &["gpu", "big"], &functions);
    assert!(kills >= 36, "only {kills} places to die in");
}

/// At boot no host driver has anything yet, so there is nothing to give back to: restore finds the host's drivers, and
/// leaves no override behind.
#[test]
fn a_boot_killed_anywhere_ends_with_the_host() {
    let booting = || {
        let mut machine = small_machine().without_vfio();
        for function in machine.functions.iter_mut().filter(|function| function.class >> 8 != 0x0604) {
            function.driver = None;
        }
        let tree = machine.build();
        tree.config("[gpu big]\ndevice = 0000:03:00.0\n");
        tree
    };
    for (arguments, least) in [(&["early"][..], 2), (&["gpu", "big"], 3)] {
        for n in 1.. {
            assert!(n < MANY, "{arguments:?} never ends");
            let tree = booting();
            if arguments[0] == "gpu" {
                assert_eq!(tree.run(VFIO_BIND, &["early"]).status, Some(0));
            }
            let ended = kill(&tree, VFIO_BIND, arguments, START, n).is_some();
            let ran = tree.run(VFIO, &["restore", "big"]);
            let what = format!("{arguments:?} killed at clone {n}: {}", ran.stderr);
            assert_eq!(ran.status, Some(0), "{what}");
            let touched = n > 1 || arguments[0] == "gpu" || ended;
            for (address, driver) in SMALL {
                assert_eq!(tree.attribute(address, "driver_override"), "(null)\n", "{what}");
                let now = tree.driver(address);
                // Killed before its first step, there is no word of a card that the host's drivers have not found yet.
                assert!(now.as_deref() == Some(driver) || (now.is_none() && !touched), "{what}: {now:?}");
            }
            assert!(!tree.exists("run/vfio/journal/big"), "{what}");
            if ended {
                assert!(n > least, "{arguments:?}: only {n} places to die in");
                break;
            }
        }
    }
}

#[test]
fn the_early_override_killed_anywhere_is_undone() {
    let kills = kill_everywhere(twins, VFIO_BIND, &["early"], &[]);
    assert!(kills >= 12, "only {kills} places to die in");
}

#[test]
fn rescan_killed_anywhere_is_undone() {
    let functions = SMALL.map(|(address, _)| address);
    let kills = kill_everywhere(small, VFIO, &["rescan", "big"], &functions);
    assert!(kills >= 30, "only {kills} places to die in");
    // A kernel that binds nothing while autoprobe is off goes another way.
    let newer = || {
        let tree = small();
        tree.write(".kernel/rescan-honours-autoprobe", "");
        tree
    };
    let kills = kill_everywhere(newer, VFIO, &["rescan", "big"], &functions);
    assert!(kills >= 30, "only {kills} places to die in");
}

/// A card that is on vfio already, as before most rescans: what the journal holds of its binding stays undoable.
#[test]
fn rescan_of_a_bound_card_killed_anywhere_is_undone() {
    for calls in [SYNC, START] {
        for n in 1.. {
            assert!(n < MANY, "{calls} never end");
            let tree = small();
            let before = tree.snapshot();
            assert_eq!(tree.run(VFIO, &["bind", "big"]).status, Some(0));
            let ended = kill(&tree, VFIO, &["rescan", "big"], calls, n).is_some();
            restore(&tree, &before, &format!("rescan of a bound card killed at {calls} {n}"));
            if ended {
                assert!(n > 8, "{calls}: only {n} places to die in");
                break;
            }
        }
    }
}

#[test]
fn restore_killed_anywhere_is_finished_by_the_next() {
    for calls in [SYNC, START, WAIT] {
        for n in 1.. {
            assert!(n < MANY, "{calls} never end");
            let tree = twins();
            let before = tree.snapshot();
            let ran = tree.run(VFIO, &["bind", "big"]);
            assert_eq!(ran.status, Some(0), "{}", ran.stderr);
            if calls == WAIT {
                tree.faults(&format!("{} slow\n", n - 1));
            }
            let ended = kill(&tree, VFIO, &["restore", "big"], calls, n).is_some();
            restore(&tree, &before, &format!("restore killed at {calls} {n}"));
            if ended {
                assert!(n > 1, "{calls}: nothing was killed");
                break;
            }
        }
    }
}

#[test]
fn bind_killed_and_then_restore_killed_is_finished_by_the_next() {
    let mut pairs = 0;
    for first in 1.. {
        assert!(first < MANY, "bind never ends");
        let mut bind_ended = false;
        for second in 1.. {
            assert!(second < MANY, "restore never ends");
            let tree = small();
            let before = tree.snapshot();
            bind_ended = kill(&tree, VFIO, &["bind", "big"], START, first).is_some();
            let ended = kill(&tree, VFIO, &["restore", "big"], START, second).is_some();
            restore(&tree, &before, &format!("bind killed at clone {first}, restore at {second}"));
            pairs += 1;
            if ended {
                break;
            }
        }
        if bind_ended {
            break;
        }
    }
    assert!(pairs > 30, "only {pairs} pairs of places to die in");
}

#[test]
fn bind_killed_anywhere_can_simply_be_run_again() {
    for n in 1.. {
        assert!(n < MANY, "bind never ends");
        let tree = small();
        let before = tree.snapshot();
        let ended = kill(&tree, VFIO, &["bind", "big"], START, n).is_some();
        let ran = tree.run(VFIO, &["bind", "big"]);
        assert_eq!(ran.status, Some(0), "after a kill at clone {n}: {}", ran.stderr);
        for address in ["0000:03:00.0", "0000:03:00.1"] {
            assert_eq!(tree.driver(address).as_deref(), Some("vfio-pci"), "after a kill at clone {n}");
        }
        restore(&tree, &before, &format!("bind killed at clone {n}, run again"));
        if ended {
            break;
        }
    }
}

#[test]
fn a_journal_cut_in_the_middle_of_its_last_record_still_undoes() {
    let tree = small();
    let before = tree.snapshot();
    kill(&tree, VFIO, &["bind", "big"], SYNC, 7);
    let journal = tree.read("run/vfio/journal/big");
    assert!(journal.lines().count() > 1, "{journal:?}");
    // The last record was not yet safe when the program died: any part of it may be on disk.
    let last = journal.trim_end().rfind('\n').unwrap() + 1;
    for cut in [last + 1, last + 20, journal.len() - 1] {
        tree.write("run/vfio/journal/big", &journal[..cut]);
        let ran = tree.run(VFIO, &["status", "--json"]);
        assert!(ran.stderr.is_empty(), "{}", ran.stderr);
    }
    restore(&tree, &before, "cut");
}
