// SPDX-License-Identifier: LGPL-2.1-or-later
//! What cannot be foreseen, on the real programs: killed at any system call; any write answered by an error; a clock that is
//! a year off; little memory; a hundred at once. Nothing is lost, and trees are compared byte by byte.
//!
//! `VFIO_KILLS` says how many kills all tests together make (100; "make check-all": 1000).
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::boot_tools::BootTools;
use common::halfway::{files, old_or_new};
use common::pairs::twins;
use common::text::Nodes;
use common::tree::Ran;
use common::{moments, strace, Tree};
use std::process::{Command, Stdio};

const VFIO: &str = env!("CARGO_BIN_EXE_vfio");

/// A panic is 101 or a signal, never one of these.
#[track_caller]
fn ended_in_order(ran: &Ran, what: &str) {
    assert!(matches!(ran.status, Some(0..=3)), "{what}: {:?}: {}", ran.status, ran.stderr);
    assert!(!ran.stderr.contains("panicked"), "{what}: {}", ran.stderr);
}

fn booted(tools: &BootTools, name: &str) -> Tree {
    tools.machine(name, "[host]\niommu = on\nkernel-parameters = lab.word=1\n")
}

/// Each file has its old or its new text, whole; the next apply does the rest, and the next revert takes all of it back.
#[track_caller]
fn old_or_new_and_back(tools: &BootTools, tree: &Tree, old: &Nodes, new: &Nodes, what: &str) {
    old_or_new(tree, old, new, what);
    for (verb, expected) in [("apply", new), ("revert", old)] {
        let ran = tools.vfio(tree, &["cmdline", verb]);
        assert_eq!(ran.status, Some(0), "{what}, then {verb}: {}", ran.stderr);
        assert_eq!(&files(tree), expected, "{what}, then {verb}");
    }
}

/// The card that was bound is restored, and nothing is left to undo.
#[track_caller]
fn all_is_restored(tree: &Tree, before: &Nodes, what: &str) {
    let ran = tree.run(VFIO, &["restore", "big"]);
    assert_eq!(ran.status, Some(0), "{what}: {}", ran.stderr);
    tree.assert_same(before, what);
    assert!(!tree.exists("run/vfio/journal/big"), "{what}: something is left to undo");
}

const LOADERS: [&str; 3] = ["fedora", "arch-systemd-boot", "debian-grub"];

#[test]
fn boot_files_killed_at_a_random_moment() {
    let tools = BootTools::new(&[]);
    for (number, name) in LOADERS.into_iter().enumerate() {
        let tree = booted(&tools, name);
        let old = files(&tree);
        let calls = strace::count(&tree, &tools.program(), &["cmdline", "apply"], "all");
        let new = files(&tree);
        assert!(old != new && calls > 100, "{name}: {calls}");
        for n in moments::drawn(calls, 12).into_iter().map(|n| n + number as u32) {
            let tree = booted(&tools, name);
            strace::kill(&tree, &tools.program(), &["cmdline", "apply"], "all", n);
            old_or_new_and_back(&tools, &tree, &old, &new, &format!("{name}: killed at call {n}"));
        }
    }
}

#[test]
fn sync_killed_at_a_random_moment() {
    let tools = BootTools::new(&[]);
    let tree = booted(&tools, "debian-grub");
    let old = files(&tree);
    let calls = strace::count(&tree, &tools.sync(), &[], "all");
    let ran = tree.run(&tools.sync(), &[]);
    ended_in_order(&ran, "sync");
    let new = files(&tree);
    assert!(old != new && calls > 100, "{calls}");
    for n in moments::drawn(calls, 4) {
        let tree = booted(&tools, "debian-grub");
        strace::kill(&tree, &tools.sync(), &[], "all", n);
        let what = format!("vfio-sync killed at call {n}");
        old_or_new(&tree, &old, &new, &what);
        let again = tree.run(&tools.sync(), &[]);
        ended_in_order(&again, &what);
        assert_eq!(files(&tree), new, "{what}, and run again");
    }
}

#[test]
fn restore_killed_at_a_random_moment() {
    let machine = || {
        let tree = twins();
        let before = tree.snapshot();
        let ran = tree.run(VFIO, &["bind", "big"]);
        assert_eq!(ran.status, Some(0), "{}", ran.stderr);
        (tree, before)
    };
    let (tree, _) = machine();
    let calls = strace::count(&tree, VFIO, &["restore", "big"], "all");
    assert!(calls > 100, "{calls}");
    for n in moments::drawn(calls, 4) {
        let (tree, before) = machine();
        strace::kill(&tree, VFIO, &["restore", "big"], "all", n);
        all_is_restored(&tree, &before, &format!("killed at call {n}"));
    }
}

#[test]
fn boot_files_that_cannot_be_written() {
    let tools = BootTools::new(&[]);
    let mut failed = 0;
    for name in LOADERS {
        let tree = booted(&tools, name);
        let old = files(&tree);
        assert_eq!(tools.vfio(&tree, &["cmdline", "apply"]).status, Some(0));
        let new = files(&tree);
        for (calls, n, error) in moments::failing_writes() {
            let tree = booted(&tools, name);
            let what = format!("{name}: {calls} {n}: {error}");
            let ran =
                strace::run(&tree, &tools.program(), &["cmdline", "apply"], calls, &format!("error={error}:when={n}"));
            ended_in_order(&ran, &what);
            if ran.status == Some(2) {
                assert!(!ran.stderr.trim().is_empty(), "{what}: it does not say why");
                failed += 1;
            }
            old_or_new_and_back(&tools, &tree, &old, &new, &what);
        }
    }
    assert!(failed > 20, "only {failed} failed");
}

#[test]
fn journals_that_cannot_be_written() {
    let mut failed = 0;
    for (calls, n, error) in moments::failing_writes() {
        let tree = twins();
        let before = tree.snapshot();
        for verb in ["bind", "restore"] {
            let what = format!("{verb}, {calls} {n}: {error}");
            let ran = strace::run(&tree, VFIO, &[verb, "big"], calls, &format!("error={error}:when={n}"));
            ended_in_order(&ran, &what);
            failed += u32::from(ran.status == Some(2));
        }
        all_is_restored(&tree, &before, &format!("{calls} {n}: {error}"));
    }
    assert!(failed > 10, "only {failed} failed");
}

/// Files from the year to come or the year before: what is decided is decided by what is in them.
#[test]
fn a_clock_that_is_a_year_off() {
    let tools = BootTools::new(&[]);
    for offset in ["+1 year", "-1 year", "@0"] {
        let tree = booted(&tools, "debian-grub");
        let old = files(&tree);
        for path in ["etc/vfio.conf", "etc/default/grub"] {
            let touch = Command::new("touch").arg("-d").arg(offset).arg(tree.join(path)).status();
            assert!(touch.unwrap().success());
        }
        let first = tree.run(&tools.sync(), &[]);
        ended_in_order(&first, offset);
        let new = files(&tree);
        assert_ne!(old, new, "{offset}");
        // The clock has jumped meanwhile: nothing more is to be done, and all of it can be taken back.
        for path in ["var/lib/vfio/synced", "run/vfio/sync"] {
            let touch = Command::new("touch").args(["-c", "-d", "+1 year"]).arg(tree.join(path)).status();
            assert!(touch.unwrap().success());
        }
        let second = tree.run(&tools.sync(), &[]);
        ended_in_order(&second, offset);
        assert_eq!(files(&tree), new, "{offset}");
        assert_eq!(tools.vfio(&tree, &["cmdline", "revert"]).status, Some(0), "{offset}");
    }
}

/// Nothing asks what time it is: deadlines count from when they began.
#[test]
fn no_program_reads_the_time_of_day() {
    let mut todo: Vec<std::path::PathBuf> = ["src", "cli", "units", "udev", "generators", "libvirt", "kernel-install"]
        .iter()
        .map(|folder| std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder))
        .collect();
    let mut looked = 0;
    while let Some(path) = todo.pop() {
        if path.is_dir() {
            todo.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            looked += 1;
            for word in ["SystemTime", "UNIX_EPOCH", "ClockId::Realtime"] {
                assert!(!text.contains(word), "{} reads the time of day ({word})", path.display());
            }
        }
    }
    assert!(looked > 100, "{looked}");
}

/// With less and less memory it ends with a message or does its work, and never half of it.
#[test]
fn little_memory() {
    let tools = BootTools::new(&[]);
    let tree = booted(&tools, "debian-grub");
    let old = files(&tree);
    assert_eq!(tools.vfio(&tree, &["cmdline", "apply"]).status, Some(0));
    let new = files(&tree);
    for kib in [6_000, 7_000, 8_000, 9_000, 10_000, 12_000, 16_000] {
        let tree = booted(&tools, "debian-grub");
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit -v {kib}; exec \"$0\" cmdline apply")]).arg(tools.program());
        shell.env("VFIO_ROOT", tree.path()).stdin(Stdio::null());
        // Whatever it makes of it: an allocation that fails ends a program at once, as a crash does. A tool that it leaves behind
        // still has its standard error: with that, all have ended.
        shell.output().unwrap();
        old_or_new_and_back(&tools, &tree, &old, &new, &format!("{kib} KiB"));
    }
}

/// Whoever comes first does it; all others wait or find it done.
#[test]
fn a_hundred_at_once() {
    let tools = BootTools::new(&[]);
    let tree = booted(&tools, "debian-grub");
    let old = files(&tree);
    let start = |verb: &str| {
        let mut command = tree.command(&tools.program());
        command.args(["cmdline", verb]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    };
    let mut all: Vec<_> = (0..100).map(|n| start(if n % 3 == 2 { "revert" } else { "apply" })).collect();
    for child in &mut all {
        let status = child.wait().unwrap();
        assert!(matches!(status.code(), Some(0..=2)), "{status}");
    }
    let ran = tools.vfio(&tree, &["cmdline", "apply"]);
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    let new = files(&tree);
    old_or_new_and_back(&tools, &tree, &old, &new, "a hundred at once");

    let tree = twins();
    let before = tree.snapshot();
    let start = |verb: &str| {
        let mut command = tree.command(VFIO);
        command.args([verb, "big"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    };
    let mut all: Vec<_> = (0..100).map(|n| start(if n % 3 == 2 { "restore" } else { "bind" })).collect();
    for child in &mut all {
        let status = child.wait().unwrap();
        assert!(matches!(status.code(), Some(0..=2)), "{status}");
    }
    assert_eq!(tree.run(VFIO, &["restore", "big"]).status, Some(0));
    tree.assert_same(&before, "a hundred at once");
}
