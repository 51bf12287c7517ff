// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio guest define` where something is missing, fails or is in the way: what it leaves. The session `39-guest-define` has what it
//! prints where all is well; `tests/libvirt.sh` has the real virt-install and libvirt judge what it makes.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{hosts, Tree};
use std::fs;
use std::os::unix::fs::PermissionsExt;

const VFIO: &str = env!("CARGO_BIN_EXE_vfio");
const DISK: &str = "var/lib/libvirt/images/w.qcow2";
const ALL: [&str; 6] = ["--disk", "64G", "--iso", "/srv/installer.iso", "--virtio-win", "/srv/drivers.iso"];

fn machine() -> Tree {
    let tree = hosts::unpack("igpu-amd");
    tree.config(
        "[gpu big]\ndevice = 0000:03:00.0\nbind = guest\n[guest w]\ngpus = big\nhandover = hot\ndisplay = card\n",
    );
    fs::create_dir_all(tree.join("var/lib/libvirt/images")).unwrap();
    for image in ["installer", "drivers"] {
        tree.write(&format!("srv/{image}.iso"), &format!("{}CD001", "\0".repeat(32769)));
    }
    tree
}

/// Runs `vfio guest define w`: its exit code, and what it prints.
fn define(tree: &Tree, options: &[&str]) -> (Option<i32>, String) {
    let ran = tree.run(VFIO, &[&["guest", "define", "w"], options].concat());
    (ran.status, format!("{}{}", ran.stdout, ran.stderr))
}

fn domain(tree: &Tree) -> Option<String> {
    fs::read_to_string(tree.join(".kernel/domains/w.xml")).ok()
}

/// Nothing was made: no domain, no disk, nothing that is kept.
fn assert_nothing(tree: &Tree, why: &str) {
    assert_eq!(domain(tree), None, "{why}");
    assert!(!tree.exists(DISK), "{why}: the disk is there");
    let kept = tree.join("var/lib/vfio/domains");
    assert!(!kept.exists() || fs::read_dir(kept).unwrap().next().is_none(), "{why}: something is kept");
}

#[test]
fn what_is_missing_or_fails_leaves_nothing() {
    let os = ["--os", "win11", "--yes"];
    for (fault, expected) in [
        ("*virt-install* ENOENT", "[virt-install-missing]"),
        ("*virt-install* EIO", "vfio: virt-install: "),
        ("*qemu-img*--version* ENOENT", "[qemu-img-missing]"),
        ("*qemu-img*create* ENOSPC", "vfio: qemu-img: "),
        ("*list*--all* EIO", "vfio: virsh: "),
        ("*define*--validate* EIO", "vfio: virsh: "),
    ] {
        let tree = machine();
        tree.faults(&format!("{fault}\n"));
        let (code, said) = define(&tree, &[&ALL[..], &os].concat());
        assert!(code == Some(2) && said.contains(expected), "{fault}: {code:?} {said}");
        assert_nothing(&tree, fault);
    }
    // libvirt takes it and leaves something out.
    let tree = machine();
    tree.write(".kernel/libvirt", "drops memballoon\n");
    let (code, said) = define(&tree, &[&ALL[..], &os].concat());
    assert!(code == Some(2) && said.contains("'gpus' asks for; it was removed again"), "{said}");
    assert_nothing(&tree, "libvirt drops the balloon");
}

#[test]
fn a_disk_goes_only_if_nothing_was_written_to_it() {
    for written in [false, true] {
        let tree = machine();
        let (code, said) = define(&tree, &[&ALL[..], &["--os", "win11", "--yes"]].concat());
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(fs::metadata(tree.join(DISK)).unwrap().permissions().mode() & 0o777, 0o600);
        if written {
            tree.write(DISK, "a system");
        }
        // An edit and its undo in between change nothing of that.
        tree.config(
            "[gpu big]\ndevice = 0000:03:00.0\nbind = guest\n[guest w]\ngpus = big\nhandover = hot\nhide = yes\n",
        );
        for undo in [&["--yes"][..], &["--undo", "--yes"]] {
            let ran = tree.run(VFIO, &[&["guest", "edit", "w"], undo].concat());
            assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
        }
        let (code, said) = define(&tree, &["--undo", "--yes"]);
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(tree.exists(DISK), written, "{said}");
        assert!(said.contains(&format!("/{DISK} {}", if written { "stays" } else { "is removed" })), "{said}");
        fs::remove_file(tree.join(DISK)).ok();
        assert_nothing(&tree, "after the undo");
    }
}

/// One that runs is not removed, and one that others have made neither.
#[test]
fn only_what_was_made_so_and_is_off_is_removed() {
    let tree = machine();
    let all = [&ALL[..], &["--os", "debian12", "--yes"]].concat();
    assert_eq!(define(&tree, &all).0, Some(0));
    tree.write(".kernel/domains/w", "saved\n");
    let (code, said) = define(&tree, &["--undo", "--yes"]);
    assert!(code == Some(2) && said.contains("[domain-has-saved-state]"), "{said}");
    assert!(domain(&tree).is_some() && tree.exists(DISK));
    tree.remove(".kernel/domains/w");
    // Somebody has removed it and made another.
    let other = domain(&tree).unwrap().replace("11111111-", "22222222-");
    tree.write(".kernel/domains/w.xml", &other);
    let (code, said) = define(&tree, &["--undo", "--yes"]);
    assert!(code == Some(2) && said.contains("[domain-not-ours]"), "{said}");
    assert_eq!(domain(&tree), Some(other));
}

/// A program that was killed before libvirt had the domain has left what it had written down, and perhaps the disk.
#[test]
fn what_was_left_by_a_program_that_was_killed_is_taken_up() {
    let all = [&ALL[..], &["--os", "win10", "--yes"]].concat();
    let killed = || {
        let tree = machine();
        assert_eq!(define(&tree, &all).0, Some(0));
        tree.remove(".kernel/domains/w.xml");
        tree
    };
    let undone = |tree: &Tree| {
        let (code, said) = define(tree, &["--undo", "--yes"]);
        assert_eq!(code, Some(0), "{said}");
    };
    let tree = killed();
    undone(&tree);
    assert_nothing(&tree, "after the undo");
    // The same again makes the disk again.
    let tree = killed();
    let (code, said) = define(&tree, &all);
    assert!(code == Some(0) && tree.exists(DISK), "{said}");
    undone(&tree);
    assert_nothing(&tree, "again, and after the undo");
    // One that somebody has written to is in the way of a new one, and named; who names it has it as it is, and it stays.
    let tree = killed();
    tree.write(DISK, "QFI\u{fb} a system");
    let (code, said) = define(&tree, &all);
    assert!(code == Some(2) && said.contains("exists already") && said.contains("[image-unusable]"), "{said}");
    let taken = [&["--disk", "/var/lib/libvirt/images/w.qcow2"], &all[2..]].concat();
    let (code, said) = define(&tree, &taken);
    assert_eq!(code, Some(0), "{said}");
    undone(&tree);
    assert!(tree.exists(DISK), "a disk that was there stays");
}

#[test]
fn each_system_gets_what_it_needs() {
    for (os, options, expected, not_expected) in [
        (
            "win11",
            &ALL[..],
            &["name=\"secure-boot\"", "enabled=\"yes\"", "bus=\"virtio\"", "<tpm ", "type=\"spice\""][..],
            "",
        ),
        ("debian12", &ALL[..4], &["enabled=\"no\"", "bus=\"virtio\"", "org.qemu.guest_agent.0"], "virtio-win"),
        // An installed Windows does not find its disk on another bus, and its picture may be on the card.
        ("win10", &["--disk", "/srv/old.img"][..], &["bus=\"sata\"", "<model type=\"none\"/>"], "cdrom"),
        (
            "generic",
            &["--disk", "/srv/old.img", "--memory", "3G"][..],
            &["bus=\"virtio\"", "machine=\"q35\"", ">3145728<", "qcow2"],
            "cdrom",
        ),
    ] {
        let tree = machine();
        fs::write(tree.join("srv/old.img"), b"QFI\xfb\0\0\0\x03").unwrap();
        let (code, said) = define(&tree, &[options, &["--os", os, "--yes"]].concat());
        assert_eq!(code, Some(0), "{os}: {said}");
        let xml = domain(&tree).unwrap();
        for part in expected {
            assert!(xml.contains(part), "{os}: no {part} in {xml}");
        }
        assert!(not_expected.is_empty() || !xml.contains(not_expected), "{os}: {xml}");
    }
}
