// SPDX-License-Identifier: LGPL-2.1-or-later
//! SIGKILL at any moment of `vfio cmdline apply` and `revert`: every boot file has its old or its new text, whole; and the next
//! apply, or the next revert, does what is left.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::boot_tools::BootTools;
use common::halfway::{files, old_or_new};
use common::{boots, strace, Tree};
use std::process::{Command, Stdio};

const VFIO: &str = env!("CARGO_BIN_EXE_vfio");
/// What makes a change last, and what makes it seen.
const CALLS: [&str; 2] = ["fsync,fdatasync", "rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat"];
/// More than any of them has.
const MANY: u32 = 200;
const CONFIGURATION: &str = "[host]\niommu = on\nkernel-parameters = lab.word=1\n";
/// The same with a boot entry without us.
const RESCUE: &str = "[host]\niommu = on\nkernel-parameters = lab.word=1\nrescue-entry = yes\n";

#[track_caller]
fn run(tools: &BootTools, tree: &Tree, verb: &str, what: &str) {
    let ran = tools.vfio(tree, &["cmdline", verb]);
    assert_eq!(ran.status, Some(0), "{what}: {verb}: {}", ran.stderr);
}

#[test]
fn promise_3_killed_at_any_moment_and_done_again() {
    killed_at_any_moment(&["fedora", "arch-systemd-boot", "debian-grub"], CONFIGURATION);
}

#[test]
fn promise_3_with_a_boot_entry_without_us() {
    killed_at_any_moment(&["arch-systemd-boot", "debian-grub", "limine-by-hand"], RESCUE);
}

fn killed_at_any_moment(names: &[&str], configuration: &str) {
    let tools = BootTools::new(&[]);
    let machine = |name: &str| tools.machine(name, configuration);
    for name in names {
        let tree = machine(name);
        let old = files(&tree);
        run(&tools, &tree, "apply", name);
        let new = files(&tree);
        assert_ne!(old, new, "{name}");
        let mut kills = 0;
        for verb in ["apply", "revert"] {
            for calls in CALLS {
                for n in 1.. {
                    assert!(n < MANY, "{calls} never end");
                    let tree = machine(name);
                    if verb == "revert" {
                        run(&tools, &tree, "apply", name);
                    }
                    let what = format!("{name}: {verb} killed at {calls} {n}");
                    let was_killed = strace::kill(&tree, &tools.program(), &["cmdline", verb], calls, n).is_none();
                    old_or_new(&tree, &old, &new, &what);
                    // Whatever comes next finds its way from here.
                    if n % 2 == 0 {
                        run(&tools, &tree, "apply", &what);
                        assert_eq!(files(&tree), new, "{what}, and applied");
                    }
                    run(&tools, &tree, "revert", &what);
                    assert_eq!(files(&tree), old, "{what}, and reverted");
                    if !was_killed {
                        break;
                    }
                    kills += 1;
                }
            }
        }
        assert!(kills >= 12, "{name}: only {kills} moments");
    }
}

/// On FAT the directory's entry of a renamed file is written with the file, not with the directory: the file first, or the
/// entry leads to what was freed (docs/BOOT-FILES.md).
#[test]
fn a_renamed_boot_file_is_synced_before_its_directory() {
    let tree = Tree::new(&boots::of("arch-systemd-boot").0);
    tree.config(CONFIGURATION);
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut strace = Command::new("strace");
    strace.args(["-qq", "-y", "-s", "300", "-e", "trace=fsync,fdatasync,rename,renameat,renameat2", "-o"]);
    strace.arg(log.path()).args([VFIO, "cmdline", "apply"]).env("VFIO_ROOT", tree.path());
    assert!(strace.stdout(Stdio::null()).status().unwrap().success());
    let text = std::fs::read_to_string(log.path()).unwrap();
    let calls: Vec<&str> = text.lines().collect();
    let mut renamed = 0;
    for (at, call) in calls.iter().enumerate().filter(|(_, call)| call.contains(".vfio-new")) {
        // renameat(5</tmp/x/loader/entries>, ".a.conf.vfio-new", 5</tmp/x/loader/entries>, "a.conf") = 0
        let Some(rest) = call.strip_prefix("rename") else { continue };
        let directory = rest.split(['<', '>']).nth(1).unwrap();
        let name = rest.rsplit('"').nth(1).unwrap();
        let synced: Vec<&str> = calls[at + 1..at + 3].iter().filter_map(|call| call.split(['<', '>']).nth(1)).collect();
        assert_eq!(synced, [&*format!("{directory}/{name}"), directory], "after {call}");
        renamed += 1;
    }
    assert!(renamed > 0, "{text}");
}
