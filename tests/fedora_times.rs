// SPDX-License-Identifier: LGPL-2.1-or-later
//! Fedora and RHEL: which of `/etc/kernel/cmdline` and `/etc/default/grub` is the older file decides what the next kernel gets
//! (`20-grub.install`). The stand-in for that plugin and what it was compared with: `boot-tools.sh`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::boot_tools::BootTools;
use common::{boots, Tree};
use std::fs::File;
use std::time::{Duration, SystemTime};

const CONFIGURATION: &str = "[host]\niommu = on\nkernel-parameters = lab.word=1\n";
const OURS: [&str; 3] = ["intel_iommu=on", "iommu=pt", "lab.word=1"];
const GRUB: &str = "etc/default/grub";
const CMDLINE: &str = "etc/kernel/cmdline";
const NEW: &str = "boot/loader/entries/5f-6.18.0.conf";

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
}

fn time(tree: &Tree, path: &str) -> SystemTime {
    tree.join(path).metadata().unwrap().modified().unwrap()
}

fn set_time(tree: &Tree, path: &str, time: SystemTime) {
    File::options().append(true).open(tree.join(path)).unwrap().set_modified(time).unwrap();
}

/// A machine whose files have parameters of their own, of these times.
fn machine(grub: u64, cmdline: u64) -> Tree {
    let tree = Tree::new(&boots::of("fedora").0);
    std::fs::create_dir(tree.join(".kernel")).unwrap();
    tree.write(GRUB, &tree.read(GRUB).replace("rhgb quiet", "rhgb quiet only.grub=1"));
    tree.write(CMDLINE, "root=UUID=56 ro rhgb quiet only.cmdline=1\n");
    set_time(&tree, GRUB, at(grub));
    set_time(&tree, CMDLINE, at(cmdline));
    tree.config(CONFIGURATION);
    tree
}

/// The parameters of the entry that the next kernel gets.
fn next_kernel(tools: &BootTools, tree: &Tree, whose: &str) -> Vec<String> {
    tools.tool(tree, &["20-grub.install", whose, "6.18.0"]);
    let entry = tree.read(NEW);
    let line = entry.lines().find_map(|line| line.strip_prefix("options ")).unwrap().to_owned();
    line.split_whitespace().map(str::to_owned).collect()
}

/// What the next kernel gets after an apply is what it would have got, and the parameters of vfio.
#[test]
fn the_next_kernel_gets_what_it_would_have_got_and_ours() {
    let tools = BootTools::new(&[]);
    for (grub, cmdline) in [(0, 0), (0, 5), (5, 0)] {
        for whose in ["fedora", "rhel"] {
            let what = format!("{whose}: {grub} {cmdline}");
            let without = next_kernel(&tools, &machine(grub, cmdline), whose);
            let tree = machine(grub, cmdline);
            let ran = tools.vfio(&tree, &["cmdline", "apply"]);
            assert_eq!(ran.status, Some(0), "{what}: {}", ran.stderr);
            let mut with = next_kernel(&tools, &tree, whose);
            let ours: Vec<String> = with.iter().filter(|word| OURS.contains(&word.as_str())).cloned().collect();
            with.retain(|word| !OURS.contains(&word.as_str()));
            assert_eq!((with, ours), (without, OURS.map(str::to_owned).to_vec()), "{what}");
        }
    }
}

/// Applied, applied again, reverted: bytes and times are as before.
#[test]
fn the_two_times_stay() {
    let tools = BootTools::new(&[]);
    for (grub, cmdline) in [(0, 0), (0, 5), (5, 0)] {
        let tree = machine(grub, cmdline);
        let all = tree.snapshot();
        let same =
            |what: &str| assert_eq!((time(&tree, GRUB), time(&tree, CMDLINE)), (at(grub), at(cmdline)), "{what}");
        for verb in [["cmdline", "apply"], ["cmdline", "apply"], ["cmdline", "revert"]] {
            let ran = tools.vfio(&tree, &verb);
            assert_eq!(ran.status, Some(0), "{verb:?}: {}", ran.stderr);
            same(verb[1]);
        }
        tree.assert_same(&all, "reverted");
    }
}

/// Regression: where one of the two had the parameters already, the other was written alone and became the newer one: at the next
/// kernel Fedora made everything again from it, and what only the first had was lost.
#[test]
fn a_file_that_is_changed_alone_does_not_become_the_newer_one() {
    let tools = BootTools::new(&[]);
    let tree = machine(0, 5);
    tree.write(CMDLINE, "root=UUID=56 ro only.cmdline=1 intel_iommu=on iommu=pt lab.word=1\n");
    set_time(&tree, CMDLINE, at(5));
    assert_eq!(tools.vfio(&tree, &["cmdline", "apply"]).status, Some(0));
    assert!(tree.read(GRUB).contains("only.grub=1 intel_iommu=on"), "{}", tree.read(GRUB));
    let next = next_kernel(&tools, &tree, "fedora");
    assert!(next.contains(&"only.cmdline=1".to_owned()), "{next:?}");
}

/// A change that fails half way: the file that was written already has its old text and its old time.
#[test]
fn a_change_that_is_taken_back_leaves_the_times() {
    let tools = BootTools::new(&[]);
    let tree = machine(0, 5);
    // A directory where the temporary file of the last entry would be, in every name that it may have.
    let entry = "boot/loader/entries/.5f-6.17.4-300.fc43.x86_64.conf.vfio-new";
    for number in 0..100 {
        let name = if number == 0 { entry.to_owned() } else { format!("{entry}{number}") };
        std::fs::create_dir(tree.join(&name)).unwrap();
    }
    let all = tree.snapshot();
    let ran = tools.vfio(&tree, &["cmdline", "apply"]);
    assert!(ran.status == Some(2) && ran.stderr.contains("everything is as it was"), "{}", ran.stderr);
    assert_eq!((time(&tree, GRUB), time(&tree, CMDLINE)), (at(0), at(5)));
    tree.assert_same(&all, "taken back");
}

/// What Fedora's plugin asks.
const PLUGIN: &str = "#!/usr/bin/bash\nif [[ /etc/kernel/cmdline -ot /etc/default/grub ]]; then\n    grub2-mkconfig -o /etc/grub2.cfg\nfi\n";

fn said(tools: &BootTools, tree: &Tree, arguments: &[&str]) -> String {
    let ran = tools.vfio(tree, arguments);
    format!("{}{}", ran.stdout, ran.stderr)
}

/// What only one of the two files has, and would be lost at the next kernel, is told before, with what keeps it; and following
/// that does.
#[test]
fn what_the_next_kernel_would_lose_is_told() {
    let tools = BootTools::new(&[]);
    let entry = "boot/loader/entries/5f-6.17.4-300.fc43.x86_64.conf";
    for (grub, cmdline, lost) in [(5, 0, "only.cmdline=1"), (0, 5, "only.entry=1"), (0, 0, "only.entry=1")] {
        let machine = || {
            let tree = machine(grub, cmdline);
            tree.write("usr/lib/kernel/install.d/20-grub.install", PLUGIN);
            tree.write(entry, &tree.read(entry).replace("rhgb quiet", "rhgb quiet only.entry=1 only.grub=1"));
            if cmdline >= grub {
                tree.write(CMDLINE, "root=UUID=56 ro rhgb quiet only.cmdline=1 only.grub=1\n");
                set_time(&tree, CMDLINE, at(cmdline));
            } else {
                tree.write(GRUB, &tree.read(GRUB).replace("only.grub=1", "only.grub=1 only.entry=1"));
                set_time(&tree, GRUB, at(grub));
            }
            tree
        };
        let tree = machine();
        let sentence = format!("without {lost};");
        for verb in [&["cmdline", "plan"][..], &["cmdline", "status"], &["doctor", "--only", "boot"]] {
            let said = said(&tools, &tree, verb);
            let told = said.split_whitespace().collect::<Vec<_>>().join(" ").matches(&sentence).count();
            assert_eq!(told, 1, "{grub} {cmdline} {verb:?}: {said}");
        }
        assert_eq!(tools.vfio(&tree, &["cmdline", "apply"]).status, Some(0));
        assert!(!next_kernel(&tools, &tree, "fedora").contains(&lost.to_owned()), "{grub} {cmdline}: what it warns of");
        // As the sentence says.
        let tree = machine();
        if cmdline < grub {
            set_time(&tree, CMDLINE, at(grub + 1));
            tree.write(CMDLINE, &tree.read(CMDLINE).replace("quiet", "quiet only.entry=1 only.grub=1"));
        } else {
            tree.write(CMDLINE, &tree.read(CMDLINE).replace("quiet", "quiet only.entry=1"));
        }
        assert!(!said(&tools, &tree, &["cmdline", "plan"]).contains("of the next kernel"), "{grub} {cmdline}");
        assert_eq!(tools.vfio(&tree, &["cmdline", "apply"]).status, Some(0));
        assert!(next_kernel(&tools, &tree, "fedora").contains(&lost.to_owned()), "{grub} {cmdline}");
    }
    // Nothing is lost, and nobody compares.
    let tree = Tree::new(&boots::of("fedora").0);
    tree.write("usr/lib/kernel/install.d/20-grub.install", PLUGIN);
    tree.config(CONFIGURATION);
    assert!(!said(&tools, &tree, &["cmdline", "plan"]).contains("without"));
    let tree = machine(5, 0);
    assert!(!said(&tools, &tree, &["cmdline", "plan"]).contains("without"));
}
