// SPDX-License-Identifier: LGPL-2.1-or-later
//! Processes that do not let themselves be looked at, and what the kernel counts that no process shows.
#![allow(clippy::unwrap_used)]

use super::*;
use rustix::fs::{mknodat, FileType, Mode, CWD};
use std::fs;
use std::os::unix::fs::symlink;
use tempfile::TempDir;

const CARD: &str = "0000:03:00.0";
const SOUND: &str = "0000:03:00.1";

/// A card with a DRM node and a sound device, of these drivers.
fn machine(video: &str, sound: &str) -> TempDir {
    let tree = tempfile::tempdir().unwrap();
    for (address, driver, node, number) in [(CARD, video, "dri/card0", 226), (SOUND, sound, "snd/controlC0", 116)] {
        let device = format!("sys/bus/pci/devices/{address}");
        put(&tree, &format!("{device}/thing/uevent"), &format!("MAJOR={number}\nMINOR=0\nDEVNAME={node}\n"));
        put(&tree, &format!("sys/bus/pci/drivers/{driver}/bind"), "");
        link(&tree, &format!("../../drivers/{driver}"), &format!("{device}/driver"));
        link(&tree, "/sys/kernel/iommu_groups/15", &format!("{device}/iommu_group"));
        link(&tree, &format!("../../devices/{address}"), &format!("sys/bus/pci/drivers/{driver}/{address}"));
    }
    fs::create_dir_all(tree.path().join("proc")).unwrap();
    tree
}

fn put(tree: &TempDir, path: &str, text: &str) {
    let path = tree.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn link(tree: &TempDir, target: &str, path: &str) {
    let path = tree.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    symlink(target, path).unwrap();
}

fn process(tree: &TempDir, pid: u32, command: &str, open: &[&str]) {
    put(tree, &format!("proc/{pid}/comm"), &format!("{command}\n"));
    put(tree, &format!("proc/{pid}/maps"), "");
    fs::create_dir_all(tree.path().join(format!("proc/{pid}/fd"))).unwrap();
    (3..).zip(open).for_each(|(fd, node)| link(tree, node, &format!("proc/{pid}/fd/{fd}")));
}

/// A process whose mappings nobody can read.
fn hanging(tree: &TempDir, pid: u32, open: &[&str]) {
    process(tree, pid, "stuck", open);
    let maps = tree.path().join(format!("proc/{pid}/maps"));
    fs::remove_file(&maps).unwrap();
    mknodat(CWD, &maps, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

fn found(tree: &TempDir) -> Vec<(String, Option<u32>, String, Seen)> {
    let root = Root::open(tree.path()).unwrap();
    let functions = [CARD, SOUND].map(|address| address.parse().unwrap());
    let row = |(function, h): (Address, Holder)| (function.to_string(), h.pid, h.node, h.seen);
    find_here(&root, &functions).into_iter().map(row).collect()
}

fn row(function: &str, pid: u32, node: &str, seen: Seen) -> (String, Option<u32>, String, Seen) {
    (function.to_owned(), Some(pid).filter(|pid| *pid > 0), node.to_owned(), seen)
}

/// Regression: a compositor in a test tree was not seen where our own program had its number by chance.
#[test]
fn a_process_of_a_test_tree_may_have_our_number() {
    let tree = machine("amdgpu", "snd_hda_intel");
    let pid = std::process::id();
    process(&tree, pid, "gnome-shell", &["/dev/dri/card0"]);
    assert_eq!(found(&tree), [row(CARD, pid, "/dev/dri/card0", Seen::Holds)]);
}

/// Regression: one process whose `maps` did not answer stopped everything for as long as it did not.
#[test]
fn who_does_not_answer_is_named_and_all_others_are_looked_at() {
    let tree = machine("amdgpu", "snd_hda_intel");
    // More than look at first: a thread is started for each that is held up.
    (100..110).for_each(|pid| hanging(&tree, pid, &[]));
    hanging(&tree, 200, &["/dev/dri/card0"]);
    process(&tree, 300, "game", &["/dev/snd/controlC0"]);
    process(&tree, 301, "idle", &["/dev/null"]);
    let mut expected = Vec::new();
    for pid in 100..110 {
        let maps = format!("/proc/{pid}/maps");
        expected.extend([CARD, SOUND].map(|function| row(function, pid, &maps, Seen::Unanswered)));
    }
    expected.push(row(CARD, 200, "/dev/dri/card0", Seen::Holds));
    expected.push(row(SOUND, 300, "/dev/snd/controlC0", Seen::Holds));
    assert_eq!(found(&tree), expected);
}

fn vfio() -> TempDir {
    let tree = machine("vfio-pci", "vfio-pci");
    link(&tree, "../../../../module/vfio_pci", "sys/bus/pci/drivers/vfio-pci/module");
    tree
}

/// With vfio it is known whether anything is open, even if a process does not answer.
#[test]
fn who_does_not_answer_keeps_no_card_that_nobody_has_open() {
    let tree = vfio();
    hanging(&tree, 100, &[]);
    put(&tree, "sys/module/vfio_pci/refcnt", "0\n");
    assert_eq!(found(&tree), []);
    put(&tree, "sys/module/vfio_pci/refcnt", "1\n");
    let maps = "/proc/100/maps";
    assert_eq!(found(&tree), [row(CARD, 100, maps, Seen::Unanswered), row(SOUND, 100, maps, Seen::Unanswered)]);
}

/// A descriptor on its way through a socket is not a process's.
#[test]
fn what_vfio_counts_and_no_process_shows_is_held() {
    let tree = vfio();
    put(&tree, "sys/module/vfio_pci/refcnt", "1\n");
    let unchecked = |function| row(function, 0, "/dev/vfio/15", Seen::Unseen);
    assert_eq!(found(&tree), [unchecked(CARD), unchecked(SOUND)]);
    // Somebody else's card may be the one, or another module.
    link(&tree, "../../devices/0000:09:00.0", "sys/bus/pci/drivers/vfio-pci/0000:09:00.0");
    assert_eq!(found(&tree), []);
    fs::remove_file(tree.path().join("sys/bus/pci/drivers/vfio-pci/0000:09:00.0")).unwrap();
    put(&tree, "sys/module/vfio_pci/holders/mlx5_vfio_pci", "");
    assert_eq!(found(&tree), []);
    fs::remove_dir_all(tree.path().join("sys/module/vfio_pci/holders")).unwrap();
    process(&tree, 300, "qemu", &["/dev/vfio/15"]);
    let held = |function| row(function, 300, "/dev/vfio/15", Seen::Holds);
    assert_eq!(found(&tree), [held(CARD), held(SOUND)]);
}

#[test]
fn what_drm_counts_and_no_process_shows_is_held() {
    let tree = machine("amdgpu", "snd_hda_intel");
    let header = "             command  tgid dev master a   uid      magic                 name id\n";
    let name =
        |address: &str| put(&tree, "sys/kernel/debug/dri/0/name", &format!("amdgpu dev={address} unique={address}\n"));
    let clients = |text: &str| put(&tree, "sys/kernel/debug/dri/0/clients", &format!("{header}{text}"));
    name(CARD);
    clients("");
    assert_eq!(found(&tree), [], "the console is none of them");
    clients("            weston  2100   0   y    y  1000          0\n");
    assert_eq!(found(&tree), [row(CARD, 0, "/dev/dri/card0", Seen::Unseen)]);
    // Another card may have this number by now.
    name("0000:04:00.0");
    assert_eq!(found(&tree), []);
    name(CARD);
    process(&tree, 300, "weston", &["/dev/dri/card0"]);
    assert_eq!(found(&tree), [row(CARD, 300, "/dev/dri/card0", Seen::Holds)]);
}
