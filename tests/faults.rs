// SPDX-License-Identifier: LGPL-2.1-or-later
//! One thing goes wrong, at every write in turn and in every way: the command says one sentence and exits 2, and the
//! machine is as it was, or as it was asked to be. What the kernel does not answer, the journal keeps for later.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::pairs::{
    framed, framed_simply, polaris, small, small_found_anew, small_resized, small_without_vfio, twins, FRAMED, POLARIS,
    SMALL, TWINS,
};
use common::text::Nodes;
use common::tree::Ran;
use common::{strace, Tree};
use std::process::Command;

const VFIO: &str = env!("CARGO_BIN_EXE_vfio");
const VFIO_BIND: &str = env!("CARGO_BIN_EXE_vfio-bind");

/// ENODEV is what a driver says that has let go meanwhile; the others are all the same to us.
const ERRNOS: [&str; 3] = ["EBUSY", "ENODEV", "EIO"];

/// Whether all functions are where a bind puts them.
fn bound(tree: &Tree, functions: &[(&str, &str)]) -> bool {
    functions.iter().all(|(address, _)| tree.driver(address).as_deref() == Some("vfio-pci"))
}

/// How many writes a command makes when nothing goes wrong.
fn writes(machine: fn() -> Tree, program: &str, arguments: &[&str]) -> u64 {
    let tree = machine();
    let ran = tree.run(program, arguments);
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    tree.count()
}

/// The attributes that a command writes when nothing goes wrong, and the modules that it loads, in order.
fn written(machine: fn() -> Tree, program: &str, arguments: &[&str]) -> Vec<String> {
    let tree = machine();
    let requests = strace::requests(&tree, program, arguments);
    assert_eq!(requests.len() as u64, tree.count(), "not every request is a write: {requests:?}");
    requests.into_iter().map(|mut words| words.swap_remove(1)).collect()
}

/// Whether a command may go on without it, and what it says then: a card that is reset otherwise than wished, or that may fall
/// asleep, is better than none.
fn forgiven(written: &str) -> Option<&'static str> {
    match written.rsplit('/').next() {
        Some("vendor_reset") => Some("vendor_reset: "),
        Some("reset_method") => Some("set reset_method to "),
        Some("control" | "d3cold_allowed") => Some("cannot be set to "),
        _ => None,
    }
}

/// A command that succeeded although a write had failed, and had not happened.
#[track_caller]
fn assert_forgiven(written: &str, ran: &Ran, what: &str) {
    let Some(words) = forgiven(written) else {
        panic!("{what}: it cannot have succeeded without {written}: {}", ran.stderr);
    };
    assert!(ran.stderr.contains(words), "{what}: nothing is said of {written}: {}", ran.stderr);
}

/// One sentence about the card, in one line. What would be run on a real system is not meant, nor what the kernel did
/// meanwhile.
#[track_caller]
fn assert_one_sentence(ran: &Ran, what: &str) {
    let lines: Vec<&str> = ran
        .stderr
        .lines()
        .filter(|line| {
            !["would run: ", "bound it first: this kernel", "when resizing one fails"].iter().any(|w| line.contains(w))
        })
        .collect();
    assert_eq!(lines.len(), 1, "{what}: {}", ran.stderr);
    assert!(lines[0].contains("[gpu big] "), "{what}: {}", ran.stderr);
}

#[track_caller]
fn assert_no_journal(tree: &Tree, what: &str) {
    assert!(!tree.exists("run/vfio/journal/big"), "{what}: something is left to undo");
}

/// Restores with nothing going wrong any more; then all is as it was.
#[track_caller]
fn restore(tree: &Tree, before: &Nodes, what: &str) {
    tree.no_faults();
    let ran = tree.run(VFIO, &["restore", "big"]);
    assert_eq!(ran.status, Some(0), "{what}: {}", ran.stderr);
    tree.assert_same(before, what);
    assert_no_journal(tree, what);
}

/// A command that fails at its Nth write, for every N and errno: nothing but words is left of it.
fn fail_everywhere(machine: fn() -> Tree, program: &str, arguments: &[&str], functions: &[(&str, &str)]) {
    let written = written(machine, program, arguments);
    let writes = written.len();
    assert!(writes >= functions.len() * 3, "only {writes} writes");
    for (n, path) in (1..).zip(&written) {
        for errno in ERRNOS {
            for late in ["", "late"] {
                let what = format!("{arguments:?}: write {n} of {writes} ({path}): {errno} {late}");
                let tree = machine();
                let before = tree.snapshot();
                tree.faults(&format!("{n} {errno} {late}\n"));
                let ran = tree.run(program, arguments);
                match ran.status {
                    // What failed had happened all the same, and that is all that counts.
                    Some(0) => {
                        if late.is_empty() {
                            assert_forgiven(path, &ran, &what);
                        }
                        assert!(bound(&tree, functions), "{what}: said to have succeeded");
                        restore(&tree, &before, &what);
                    }
                    Some(1 | 2) => {
                        assert_one_sentence(&ran, &what);
                        tree.assert_same(&before, &what);
                        assert_no_journal(&tree, &what);
                    }
                    other => panic!("{what}: exit {other:?}: {}", ran.stderr),
                }
                if program == VFIO {
                    assert_ne!(ran.status, Some(1), "{what}: an error is exit 2");
                }
            }
        }
    }
}

#[test]
fn bind_that_fails_leaves_nothing() {
    fail_everywhere(twins, VFIO, &["bind", "big"], &TWINS);
}

#[test]
fn bind_at_boot_that_fails_leaves_nothing() {
    fail_everywhere(small, VFIO_BIND, &["gpu", "big"], &SMALL);
}

/// What fails without touching a BAR, whatever the errno; all sizes are back.
#[test]
fn bind_that_resizes_and_fails_leaves_nothing() {
    fail_everywhere(small_resized, VFIO, &["bind", "big"], &SMALL);
    fail_everywhere(small_resized, VFIO_BIND, &["gpu", "big"], &SMALL);
    fail_everywhere(small_found_anew, VFIO, &["bind", "big"], &SMALL);
}

#[test]
fn bind_that_moves_a_framebuffer_and_fails_leaves_nothing() {
    fail_everywhere(framed, VFIO, &["bind", "big"], &FRAMED);
    fail_everywhere(framed, VFIO_BIND, &["gpu", "big"], &FRAMED);
}

/// What the kernel does not give back of a framebuffer keeps no card from the host.
#[test]
fn a_framebuffer_that_does_not_come_back_is_no_error() {
    for fault in ["EIO", "ENODEV", "hang"] {
        let tree = framed();
        assert_eq!(tree.run(VFIO, &["bind", "big"]).status, Some(0));
        tree.faults(&format!("*/efi-framebuffer/bind {fault}\n"));
        let ran = tree.run(VFIO, &["restore", "big"]);
        assert_eq!(ran.status, Some(0), "{fault}: {}", ran.stderr);
        assert_eq!(tree.driver(FRAMED[0].0), None);
        assert_no_journal(&tree, fault);
    }
}

/// The memory of a simple-framebuffer goes with its function only: that is found anew, and the framebuffer is gone.
#[test]
fn a_function_that_is_found_anew_for_its_framebuffer_is_there_whatever_fails() {
    for (program, arguments) in [(VFIO, ["bind", "big"]), (VFIO_BIND, ["gpu", "big"])] {
        let writes = writes(framed_simply, program, &arguments);
        assert!(writes >= 8, "only {writes} writes");
        for n in 0..=writes {
            for fault in ["EIO", "EBUSY late"] {
                let what = format!("{arguments:?}: write {n} of {writes}: {fault}");
                let tree = framed_simply();
                tree.faults(&format!("{n} {fault}\n"));
                let ran = tree.run(program, &arguments);
                let vfio = tree.driver(FRAMED[0].0).is_some();
                assert_eq!(vfio, ran.status == Some(0), "{what}: {}", ran.stderr);
                assert!(!vfio || !tree.read("proc/iomem").contains("BOOTFB"), "{what}: it is still in the way");
                tree.no_faults();
                assert_eq!(tree.run(VFIO, &["restore", "big"]).status, Some(0), "{what}");
                assert_eq!(tree.driver(FRAMED[0].0), None, "{what}");
                assert_eq!(tree.attribute(FRAMED[0].0, "driver_override"), "(null)\n", "{what}");
                assert_eq!(tree.read("sys/bus/pci/drivers_autoprobe"), "1\n", "{what}");
                assert_no_journal(&tree, &what);
            }
        }
    }
}

#[test]
fn bind_that_loads_its_module_and_fails_leaves_nothing() {
    fail_everywhere(small_without_vfio, VFIO, &["bind", "big"], &SMALL);
}

#[test]
fn bind_that_chooses_a_reset_method_and_fails_leaves_nothing() {
    fail_everywhere(polaris, VFIO, &["bind", "big"], &POLARIS);
    fail_everywhere(polaris, VFIO, &["rescan", "big"], &POLARIS);
}

/// The kernel holds on to the write of a reset method: the function is left alone, and the rest is undone.
#[test]
fn a_reset_method_that_hangs_is_left_for_later() {
    let tree = polaris();
    let before = tree.snapshot();
    tree.faults("*/reset_method hang\n");
    let ran = tree.run(VFIO, &["bind", "big"]);
    assert_eq!(ran.status, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("is left as it is"), "{}", ran.stderr);
    restore(&tree, &before, "the kernel answers again");
}

#[test]
fn rescan_that_fails_leaves_nothing() {
    fail_everywhere(small, VFIO, &["rescan", "big"], &SMALL);
    let newer = || {
        let tree = small();
        tree.write(".kernel/rescan-honours-autoprobe", "");
        tree
    };
    fail_everywhere(newer, VFIO, &["rescan", "big"], &SMALL);
}

/// A card that is on vfio stays there when its rescan fails, and what the journal knew of its binding stays undoable.
#[test]
fn rescan_of_a_bound_card_that_fails_leaves_it_bound() {
    let bound_small = || {
        let tree = small();
        assert_eq!(tree.run(VFIO, &["bind", "big"]).status, Some(0));
        tree.no_faults();
        tree
    };
    let written = written(bound_small, VFIO, &["rescan", "big"]);
    for (n, path) in (1..).zip(&written) {
        for fault in ["EIO", "EIO late", "hang"] {
            let what = format!("rescan of a bound card: write {n} ({path}): {fault}");
            let tree = small();
            let before = tree.snapshot();
            assert_eq!(tree.run(VFIO, &["bind", "big"]).status, Some(0));
            let between = tree.snapshot();
            tree.faults(&format!("{n} {fault}\n"));
            let ran = tree.run(VFIO, &["rescan", "big"]);
            match ran.status {
                Some(0) => {
                    if !fault.ends_with("late") {
                        assert_forgiven(path, &ran, &what);
                    }
                    assert!(bound(&tree, &SMALL), "{what}");
                }
                Some(2) if fault == "hang" => {}
                Some(2) => tree.assert_same(&between, &what),
                other => panic!("{what}: exit {other:?}: {}", ran.stderr),
            }
            restore(&tree, &before, &what);
        }
    }
}

#[test]
fn a_write_that_hangs_leaves_the_rest_undone_and_the_journal() {
    let writes = writes(twins, VFIO, &["bind", "big"]);
    for n in 1..=writes {
        for late in ["", "late"] {
            let what = format!("write {n} of {writes} hangs {late}");
            let tree = twins();
            let before = tree.snapshot();
            tree.faults(&format!("{n} hang {late}\n"));
            let ran = tree.run(VFIO, &["bind", "big"]);
            if ran.status == Some(0) {
                assert_eq!(late, "late", "{what}: it cannot have succeeded");
                assert!(bound(&tree, &TWINS), "{what}");
                restore(&tree, &before, &what);
                continue;
            }
            assert_eq!(ran.status, Some(2), "{what}: {}", ran.stderr);
            assert!(ran.stderr.contains("[gpu big] "), "{what}: {}", ran.stderr);
            assert!(tree.exists("run/vfio/journal/big"), "{what}: the journal is needed when the kernel answers");
            assert!(tree.read("run/vfio/status/big").contains("stuck"), "{what}");
            // Only one function is in the kernel's hands; the others are back.
            let away = TWINS.iter().filter(|(address, driver)| tree.driver(address).as_deref() != Some(driver));
            assert!(away.count() <= 1, "{what}");
            restore(&tree, &before, &what);
        }
    }
}

#[test]
fn restore_that_fails_keeps_the_journal_and_says_so_and_the_next_one_finishes() {
    restore_fails(small, 6);
}

#[test]
fn restore_that_fails_to_resize_finishes_the_next_time() {
    restore_fails(small_resized, 8);
    restore_fails(small_found_anew, 12);
}

fn restore_fails(machine: fn() -> Tree, least: u64) {
    let count = |tree: &Tree| {
        tree.no_faults();
        assert_eq!(tree.run(VFIO, &["restore", "big"]).status, Some(0));
        tree.count()
    };
    let ready = || {
        let tree = machine();
        let before = tree.snapshot();
        let ran = tree.run(VFIO, &["bind", "big"]);
        assert_eq!(ran.status, Some(0), "{}", ran.stderr);
        (tree, before)
    };
    let writes = count(&ready().0);
    assert!(writes >= least, "only {writes} writes");
    for n in 1..=writes {
        for fault in ["EBUSY", "EBUSY late", "EINVAL", "EIO", "EIO late", "hang", "hang late"] {
            let what = format!("restore: write {n} of {writes}: {fault}");
            let (tree, before) = ready();
            tree.faults(&format!("{n} {fault}\n"));
            let ran = tree.run(VFIO, &["restore", "big"]);
            match ran.status {
                Some(0) => tree.assert_same(&before, &what),
                Some(2) => {
                    assert!(ran.stderr.contains("[gpu big] "), "{what}: {}", ran.stderr);
                    assert!(tree.exists("run/vfio/journal/big"), "{what}: the journal is needed");
                }
                other => panic!("{what}: exit {other:?}: {}", ran.stderr),
            }
            restore(&tree, &before, &what);
        }
    }
}

/// The same attribute refuses for as long as the fault lasts, undo included.
#[test]
fn what_always_fails_is_said_and_finished_when_it_no_longer_does() {
    for fault in [
        "*/0000:42:00.1/driver_override EIO",
        "*/drivers/xhci_hcd/unbind EBUSY",
        "*/drivers/*/unbind EBUSY",
        "*/drivers_probe EINVAL",
        "probe:vfio-pci:0000:42:00.3 EIO",
        "probe:vfio-pci:* EINVAL",
        "*/drivers/nvidia/unbind hang",
    ] {
        let tree = twins();
        let before = tree.snapshot();
        tree.faults(&format!("{fault}\n"));
        let ran = tree.run(VFIO, &["bind", "big"]);
        assert_eq!(ran.status, Some(2), "{fault}: {}", ran.stderr);
        assert!(ran.stderr.lines().all(|line| line.starts_with("vfio: [gpu big] ") || line.contains("left as it is")));
        restore(&tree, &before, fault);
    }
}

/// A host driver that does not take its function back is named, and the rest goes back all the same.
#[test]
fn a_host_driver_that_does_not_come_back_is_named() {
    let tree = small();
    let before = tree.snapshot();
    assert_eq!(tree.run(VFIO, &["bind", "big"]).status, Some(0));
    tree.faults("probe:amdgpu:* EIO\n");
    let ran = tree.run(VFIO, &["restore", "big"]);
    assert_eq!(ran.status, Some(2));
    assert!(ran.stderr.contains("0000:03:00.0") && ran.stderr.contains("amdgpu"), "{}", ran.stderr);
    assert_eq!(tree.driver("0000:03:00.1").as_deref(), Some("snd_hda_intel"));
    assert_eq!(tree.driver("0000:03:00.0"), None);
    restore(&tree, &before, "amdgpu is well again");
}

/// vfio-pci cannot be loaded: nothing is taken from the host.
#[test]
fn a_module_that_cannot_be_loaded_is_named() {
    for fault in ["modprobe:vfio* ENOENT", "modprobe:vfio* EPERM", "modprobe:* hang"] {
        let tree = small_without_vfio();
        let before = tree.snapshot();
        tree.faults(&format!("{fault}\n"));
        let ran = tree.run(VFIO, &["bind", "big"]);
        assert_eq!(ran.status, Some(2), "{fault}");
        assert_one_sentence(&ran, fault);
        assert!(ran.stderr.contains("vfio_pci"), "{}", ran.stderr);
        tree.assert_same(&before, fault);
    }
}

/// The journal's directory cannot be written: no step is begun.
#[test]
fn without_a_journal_nothing_is_changed() {
    let tree = small();
    let before = tree.snapshot();
    // A file where a directory should be stops even root.
    tree.write("run/vfio/journal", "");
    let ran = tree.run(VFIO, &["bind", "big"]);
    assert_eq!(ran.status, Some(2), "{}", ran.stderr);
    assert_one_sentence(&ran, "no journal");
    tree.assert_same(&before, "no journal");
    assert_eq!(tree.count(), 0, "the kernel was asked for nothing");
}

/// Runs a script where mounts are nobody else's; `None` where that is not allowed (a build without any rights).
fn with_own_mounts(tree: &Tree, script: &str) -> Option<Ran> {
    let root = is_root();
    let mut command = Command::new("unshare");
    command.args(if root { &["--mount"][..] } else { &["--map-root-user", "--mount"] }).args(["sh", "-eu", "-c"]);
    command.arg(format!("mount -t tmpfs -o size=64k none /mnt || exit 99\numount /mnt\n{script}"));
    command.env("VFIO_ROOT", tree.path()).env("T", tree.path()).env("BIND", VFIO_BIND);
    let ran = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let ran = Ran { status: ran.status.code(), stdout: text(ran.stdout), stderr: text(ran.stderr) };
    (ran.status != Some(99) && !ran.stderr.contains("unshare:")).then_some(ran)
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0)
}

/// Regression: with /var full or read-only, boot after boot that did not come up bound the card.
#[test]
fn boots_that_cannot_be_counted_bind_nothing() {
    let full = "mount -t tmpfs -o size=64k none $T/var\nmkdir -p $T/var/lib/vfio\n\
                cat /dev/zero >$T/var/fill 2>/dev/null || true\n";
    let read_only = "mount -t tmpfs -o size=64k none $T/var\nmkdir -p $T/var/lib/vfio\nmount -o remount,ro $T/var\n";
    for (what, mount, why) in [("full", full, "No space left"), ("read-only", read_only, "Read-only file system")] {
        let tree = small();
        std::fs::create_dir_all(tree.join("var")).unwrap();
        tree.write("proc/sys/kernel/random/boot_id", "boot\n");
        let before = tree.snapshot();
        let boots =
            "for n in 1 2 3 4; do\necho boot-$n >$T/proc/sys/kernel/random/boot_id\n$BIND early\n$BIND gpu big\n\
                     rm -r $T/run/vfio\ndone\necho boot >$T/proc/sys/kernel/random/boot_id\n";
        let Some(ran) = with_own_mounts(&tree, &format!("{mount}{boots}")) else { return };
        assert_eq!(ran.status, Some(0), "{what}: {}", ran.stderr);
        let said = ran.stderr.lines().filter(|line| line.contains("cannot be written") && line.contains(why)).count();
        assert_eq!(said, 4, "{what}: {}", ran.stderr);
        tree.assert_same(&before, what);
    }
}

#[test]
fn a_card_that_a_guest_has_open_is_not_torn_from_it() {
    let tree = small();
    let before = tree.snapshot();
    assert_eq!(tree.run(VFIO, &["bind", "big"]).status, Some(0));
    tree.write(".kernel/owned", "11\n");
    let ran = tree.run(VFIO, &["restore", "big"]);
    assert_ne!(ran.status, Some(0));
    assert!(ran.stderr.contains("[gpu big] "), "{}", ran.stderr);
    assert!(bound(&tree, &SMALL), "the guest keeps every function");
    tree.remove(".kernel/owned");
    restore(&tree, &before, "the guest has ended");
}
