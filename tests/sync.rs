// SPDX-License-Identifier: LGPL-2.1-or-later
//! After an edit: what is brought up to date, what is left alone, and what is said of it. The images are the model's, as our
//! hooks fill them; real ones, packed in every way, are read at the end.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::tree::Ran;
use common::{hosts, pe, Tree};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use vfio_suite::act::boot::sync;
use vfio_suite::act::boot::unpack::Programs;
use vfio_suite::host::initramfs::image::{self, Seen, Unseen};
use vfio_suite::host::run::sync_report::{Report, SyncOutcome};
use vfio_suite::root::Root;

const VFIO: &str = env!("CARGO_BIN_EXE_vfio");
const VFIO_SYNC: &str = env!("CARGO_BIN_EXE_vfio-sync");
const RELEASE: &str = "6.12.48+deb13-amd64";
const IMAGE: &str = "boot/initrd.img-6.12.48+deb13-amd64";
const MARK: &str = "var/lib/vfio/initramfs";

/// No word is wanted that is not there: these tests are about images.
const HOST: &str = "[host]\niommu-passthrough = no\n";
const CARD: &str = "[host]\niommu-passthrough = no\n[gpu big]\ndevice = 0000:03:00.0\n";

/// A Debian machine with one kernel, as its package left it.
fn debian() -> Tree {
    let tree = hosts::unpack("igpu-amd");
    tree.write("usr/sbin/update-initramfs", "");
    tree.write(&format!("lib/modules/{RELEASE}/modules.dep"), "");
    tree.write("boot/grub/grub.cfg", "");
    tree.config(HOST);
    model(&tree, &["update-initramfs", "-u", "-k", "all"]);
    tree
}

fn model(tree: &Tree, words: &[&str]) {
    let ran = tree.simulate(&[&["run"], words].concat());
    assert_eq!(ran.status, Some(0), "{words:?}: {}{}", ran.stdout, ran.stderr);
}

fn run(tree: &Tree) -> Ran {
    tree.run(VFIO, &["sync"])
}

fn report(tree: &Tree) -> Report {
    serde_json::from_str(&tree.read("run/vfio/sync")).unwrap()
}

/// How often a tool was to build an image.
fn builds(ran: &Ran) -> usize {
    ran.stdout.matches("building the initramfs").count()
}

/// What of ours is in an image of a tree, or why it cannot be known.
fn seen(tree: &Tree, path: &str) -> Result<Seen, Unseen> {
    image::read_image(&tree.root(), &[path.to_owned()], &Programs)
}

#[test]
fn an_unedited_package_does_nothing_and_leaves_no_trace() {
    let tree = debian();
    tree.config(include_str!("../vfio.conf"));
    let before = tree.times().into_iter().filter(|(path, _)| path.to_str().is_some_and(|p| p.contains("/boot/")));
    let before: Vec<_> = before.collect();
    let ran = run(&tree);
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), ""));
    assert_eq!(ran.stdout, "boot entries and initramfs are up to date\n");
    assert_eq!(report(&tree).outcome, SyncOutcome::Nothing);
    assert!(!tree.exists("var/lib/vfio/synced") && !tree.exists(MARK));
    let after: Vec<_> =
        tree.times().into_iter().filter(|(path, _)| path.to_str().is_some_and(|p| p.contains("/boot/"))).collect();
    assert_eq!(before, after);
}

#[test]
fn a_card_comes_changes_and_goes() {
    let tree = debian();
    tree.config(CARD);
    let ran = run(&tree);
    assert_eq!((ran.status, builds(&ran)), (Some(0), 1), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(report(&tree).outcome, SyncOutcome::Done);
    assert_eq!(report(&tree).did, ["ran update-initramfs -u -k all"]);
    let there = seen(&tree, IMAGE).unwrap();
    assert!(there.program && there.run);
    assert_eq!(there.files, [("etc/vfio.conf".to_owned(), Some(CARD.as_bytes().to_vec()))]);

    // Once is enough; what does not concern the image does not build it.
    for text in [CARD.to_owned(), format!("# {CARD}bar0 = 16G\nreset = bus\n"), format!("{CARD}bar2 = 8M\n")] {
        tree.config(&text.replace("# [host]", "[host]"));
        let ran = run(&tree);
        assert_eq!((ran.status, builds(&ran)), (Some(0), 0), "{}{}", ran.stdout, ran.stderr);
        assert_eq!(report(&tree).outcome, SyncOutcome::Nothing);
    }
    tree.config(&format!("{CARD}functions = 0\n"));
    assert_eq!(builds(&run(&tree)), 1);
    tree.write("etc/vfio.conf.d/10.conf", "[gpu big]\nbind = guest\n");
    assert_eq!(builds(&run(&tree)), 1);
    assert!(tree.exists(MARK), "the program is still in the image");

    tree.remove("etc/vfio.conf.d/10.conf");
    tree.config(HOST);
    assert_eq!(builds(&run(&tree)), 0, "the image that knew of no card for the boot is right as it is");
    tree.config(CARD);
    run(&tree);
    tree.config(HOST);
    assert_eq!(builds(&run(&tree)), 1);
    assert!(!seen(&tree, IMAGE).unwrap().program);
    assert!(!tree.exists(MARK) && !tree.exists("var/lib/vfio/synced"), "nothing of ours is left");
}

#[test]
fn a_file_that_is_gone_is_no_configuration() {
    let tree = debian();
    tree.config(CARD);
    run(&tree);
    tree.remove("etc/vfio.conf");
    let ran = run(&tree);
    assert_eq!((ran.status, builds(&ran)), (Some(0), 1), "{}", ran.stderr);
    assert!(!seen(&tree, IMAGE).unwrap().program);
}

#[test]
fn a_wrong_file_changes_nothing_and_is_said_until_it_is_right() {
    let tree = debian();
    tree.config(CARD);
    run(&tree);
    let (image, synced) = (tree.read(IMAGE), tree.read("var/lib/vfio/synced"));
    tree.config(&format!("{CARD}bind = sometimes\n"));
    let ran = run(&tree);
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(2), ""));
    assert!(ran.stderr.starts_with("/etc/vfio.conf:5: error: "), "{}", ran.stderr);
    assert_eq!((tree.read(IMAGE), tree.read("var/lib/vfio/synced")), (image, synced));

    let status = tree.run(VFIO, &["status"]);
    let line = status.stdout.lines().last().unwrap();
    assert!(line.starts_with("boot entries and initramfs: the last sync refused: /etc/vfio.conf:5: "), "{line}");
    assert_eq!(status.status, Some(2));
    tree.config(CARD);
    assert_eq!(run(&tree).status, Some(0));
    assert!(!tree.run(VFIO, &["status"]).stdout.contains("last sync"));
}

#[test]
fn the_services_program_does_the_same_and_says_it_to_the_journal() {
    let tree = debian();
    tree.config(CARD);
    let journal = |tree: &Tree| -> Ran { tree.run_in_journal(tree.command(VFIO_SYNC)) };
    let ran = journal(&tree);
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(0), ""));
    assert!(ran.stderr.contains("<6>building the initramfs: update-initramfs -u -k all\n"), "{}", ran.stderr);
    assert!(ran.stderr.ends_with("<6>boot entries and initramfs are up to date: the next boot is as configured\n"));
    tree.config("[gpu big]\n");
    let ran = journal(&tree);
    assert_eq!(ran.status, Some(2));
    assert!(ran.stderr.starts_with("<3>/etc/vfio.conf:1: "), "{}", ran.stderr);
    let ran: Ran = tree.command(VFIO_SYNC).arg("now").output().unwrap().into();
    assert_eq!(ran.status, Some(64));
}

#[test]
fn a_build_that_fails_is_tried_again() {
    let tree = debian();
    tree.config(CARD);
    tree.faults("run:update-initramfs* ENOSPC\n");
    let ran = run(&tree);
    assert_eq!(ran.status, Some(2), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("the initramfs was not built: update-initramfs: "), "{}", ran.stderr);
    assert!(tree.run(VFIO, &["status"]).stdout.contains("the last sync failed: the initramfs was not built: "));
    tree.no_faults();
    let ran = run(&tree);
    assert_eq!((ran.status, builds(&ran)), (Some(0), 1), "{}", ran.stderr);
}

#[test]
fn an_image_that_is_wrong_after_the_build_is_a_failure() {
    let tree = debian();
    // Of another tool, for a kernel that is installed.
    let other = format!("boot/initramfs-{RELEASE}.img");
    tree.write(&other, &tree.read(IMAGE));
    tree.config(CARD);
    let ran = run(&tree);
    assert_eq!((ran.status, builds(&ran)), (Some(2), 1), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(
        ran.stderr.lines().last().unwrap(),
        format!("vfio: /{other} does not reserve [gpu big]: nothing that ran builds it")
    );
    assert!(seen(&tree, IMAGE).unwrap().program);
    tree.remove(&other);
    assert_eq!(run(&tree).status, Some(0));
    assert_eq!(report(&tree).outcome, SyncOutcome::Nothing);
}

#[test]
fn dracut_is_told_which_image() {
    let tree = hosts::unpack("igpu-amd");
    tree.write("usr/bin/dracut", "");
    tree.write(&format!("lib/modules/{RELEASE}/modules.dep"), "");
    tree.write("efi/EFI/systemd/systemd-bootx64.efi", "");
    let path = format!("efi/0123abcd/{RELEASE}/initrd");
    tree.write(&path, "");
    tree.config(CARD);
    let ran = run(&tree);
    assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(
        ran.stdout.contains(&format!("building the initramfs: dracut --force /{path} {RELEASE}\n")),
        "{}",
        ran.stdout
    );
    assert!(seen(&tree, &path).unwrap().run);
}

#[test]
fn an_immutable_system_keeps_its_image_and_says_what_that_costs() {
    let tree = debian();
    tree.write("run/ostree-booted", "");
    tree.config(CARD);
    let image = tree.read(IMAGE);
    let ran = run(&tree);
    assert_eq!((ran.status, builds(&ran)), (Some(1), 0));
    assert!(ran.stderr.contains("is not built here: [gpu big] is reserved only after it"), "{}", ran.stderr);
    assert_eq!(tree.read(IMAGE), image);
    assert_eq!(report(&tree).outcome, SyncOutcome::Noted);
}

#[test]
fn never_two_at_once() {
    let tree = debian();
    tree.config(CARD);
    let runs: Vec<_> = (0..4)
        .map(|_| tree.command(VFIO).arg("sync").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
        .collect();
    let runs: Vec<Ran> = runs.into_iter().map(|child| child.wait_with_output().unwrap().into()).collect();
    assert!(runs.iter().all(|ran| ran.status == Some(0)), "{runs:?}");
    assert_eq!(runs.iter().map(builds).sum::<usize>(), 1, "{runs:?}");
}

#[test]
fn a_package_manager_is_waited_for() {
    let tree = debian();
    tree.config(CARD);
    tree.write("var/lib/pacman/db.lck", "");
    let child = tree.command(VFIO).arg("sync").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert!(!seen(&tree, IMAGE).unwrap().program, "it has not waited");
    tree.remove("var/lib/pacman/db.lck");
    let ran: Ran = child.wait_with_output().unwrap().into();
    assert!(ran.stdout.starts_with("waiting for pacman to end\n"), "{}", ran.stdout);
    assert_eq!((ran.status, builds(&ran)), (Some(0), 1));
}

/// The same machine with systemd-boot and an entry of type 1.
fn with_entry(tree: &Tree) -> &'static str {
    let entry = "efi/loader/entries/0123abcd-6.12.48+deb13-amd64.conf";
    tree.write("efi/EFI/systemd/systemd-bootx64.efi", "");
    tree.write("efi/loader/loader.conf", "timeout 3\n");
    tree.write(entry, "title Debian\nlinux /0123abcd/linux\noptions root=/dev/vda2 quiet\n");
    entry
}

#[test]
fn words_and_images_are_brought_up_to_date_in_one_go() {
    let tree = debian();
    let entry = with_entry(&tree);
    let before = tree.read(entry);
    tree.config("[gpu big]\ndevice = 0000:03:00.0\n");
    let ran = run(&tree);
    assert_eq!((ran.status, builds(&ran)), (Some(0), 1), "{}{}", ran.stdout, ran.stderr);
    assert!(tree.read(entry).contains("options root=/dev/vda2 quiet ") && tree.read(entry).contains(" iommu=pt\n"));
    assert_eq!(report(&tree).did.len(), 2, "{:?}", report(&tree).did);
    assert!(sync::load_synced(&tree.root()).parameters.contains(&"iommu=pt".to_owned()));
    let doctor = tree.run(VFIO, &["doctor", "--only", "boot"]);
    assert!(doctor.stdout.contains("warning: the running kernel does not have 'iommu=pt'"), "{}", doctor.stdout);
    assert!(doctor.stdout.contains("\n  to do: reboot\n"), "{}", doctor.stdout);
    assert!(doctor.stdout.contains("ok: boot files with all required parameters: 1 (1 of them changed by vfio)"));

    // The next boot is as configured; nothing is left to say but who notices an edit.
    let line = tree.read("proc/cmdline").replace("quiet", "quiet iommu=pt");
    tree.remove("proc/cmdline");
    tree.write("proc/cmdline", &line);
    assert_eq!(tree.run(VFIO, &["doctor", "--only", "boot"]).status, Some(0));
    // A user's edit of the entry is seen, and repaired.
    tree.write(entry, &before);
    let doctor = tree.run(VFIO, &["doctor", "--only", "boot"]);
    assert!(doctor.stdout.contains(&format!("error: /{entry} does not have ")), "{}", doctor.stdout);
    assert_eq!(
        (doctor.status, run(&tree).status, tree.run(VFIO, &["doctor", "--only", "boot"]).status),
        (Some(2), Some(0), Some(0))
    );

    tree.config("");
    let ran = run(&tree);
    assert_eq!((ran.status, builds(&ran)), (Some(0), 1), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(tree.read(entry), before);
    assert!(!tree.exists("var/lib/vfio/synced") && !tree.exists("var/lib/vfio/cmdline") && !tree.exists(MARK));
}

/// `doctor --fix`: what it would run is shown first and nothing is done; it is done when told, and what undoes it brings every
/// byte back. That a sync may be killed at any moment is tested in `any_moment.rs`.
#[test]
fn what_doctor_fixes_by_a_sync_is_undone() {
    let tree = debian();
    let entry = with_entry(&tree);
    tree.config("[gpu big]\ndevice = 0000:03:00.0\n");
    let before = (tree.read(entry), tree.snapshot());
    let ran = tree.run(VFIO, &["doctor", "--only", "boot", "--fix"]);
    assert!(
        ran.stdout.contains("\nfix: vfio sync (undone by 'vfio cmdline revert')\nnothing was run: "),
        "{}",
        ran.stdout
    );
    assert_eq!(ran.status, Some(64));
    tree.assert_same(&before.1, "what is only shown changes nothing");
    let ran = tree.run(VFIO, &["doctor", "--only", "boot", "--fix", "--yes"]);
    assert!(ran.stdout.contains("\n$ vfio sync\n"), "{}", ran.stdout);
    assert!(tree.read(entry).contains(" iommu=pt"), "{}", ran.stderr);
    let again = tree.run(VFIO, &["doctor", "--only", "boot"]);
    assert!(!again.stdout.contains("run 'vfio sync'\n"), "{}", again.stdout);
    let ran = tree.run(VFIO, &["cmdline", "revert"]);
    assert_eq!((ran.status, tree.read(entry)), (Some(0), before.0), "{}", ran.stderr);
}

#[test]
fn a_boot_file_that_cannot_be_written_does_not_keep_the_image_old() {
    let tree = debian();
    let entry = with_entry(&tree);
    tree.config("[gpu big]\ndevice = 0000:03:00.0\n");
    // What is ours is not known any more: nothing may be changed in boot files.
    tree.write("var/lib/vfio/cmdline", "torn");
    let before = tree.read(entry);
    let ran = run(&tree);
    assert_eq!((ran.status, builds(&ran)), (Some(2), 1), "{}{}", ran.stdout, ran.stderr);
    assert!(
        ran.stderr.contains("/var/lib/vfio/cmdline: it does not say which parameters vfio added"),
        "{}",
        ran.stderr
    );
    assert_eq!(tree.read(entry), before);
    assert!(sync::load_synced(&tree.root()).parameters.is_empty(), "what was not done is not recorded as done");
    assert_eq!(sync::load_synced(&tree.root()).cards.len(), 1);
    assert!(tree.run(VFIO, &["doctor", "--only", "boot"]).stdout.contains("error: /var/lib/vfio/cmdline: "));
}

#[test]
fn json_has_all_of_it() {
    let tree = debian();
    tree.config(CARD);
    let ran = tree.run(VFIO, &["sync", "--json"]);
    let answer: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(answer["schema"], "vfio.sync/1");
    assert_eq!(answer["outcome"], "done");
    assert_eq!(answer["did"][0], "ran update-initramfs -u -k all");
    let status: serde_json::Value = serde_json::from_str(&tree.run(VFIO, &["status", "--json"]).stdout).unwrap();
    assert_eq!(status["sync"]["outcome"], "done");
}

#[test]
fn what_was_synced_is_read_only_if_it_is_understood() {
    let tree = debian();
    for text in ["", "{", "{\"version\":99,\"words\":[\"a\"],\"cards\":[]}\n"] {
        tree.write("var/lib/vfio/synced", text);
        assert_eq!(sync::load_synced(&tree.root()), Default::default(), "{text}");
    }
}

/// It is looked into, but no tool that makes an initramfs writes it.
#[test]
fn the_initramfs_in_a_unified_kernel_image() {
    let tree = debian();
    let unified = |name: &str, release: &str, initrd: &str| {
        let image = pe::program(&[(".uname", release.as_bytes()), (".initrd", initrd.as_bytes()), (".linux", b"x")]);
        let path = tree.path().join("boot/efi/EFI/Linux").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, image).unwrap();
    };
    let without = tree.read(IMAGE);
    unified("own.efi", RELEASE, &without);
    unified("of-another-system.efi", "6.6.0-other", &without);
    tree.config(CARD);
    assert_eq!(builds(&run(&tree)), 1);
    let said = tree.run(VFIO, &["doctor", "--only", "boot"]).stdout;
    assert!(said.contains("error: /boot/efi/EFI/Linux/own.efi does not reserve [gpu big]"), "{said}");
    assert!(said.contains("'kernel-install add-all'") && !said.contains("of-another-system.efi does"), "{said}");
    assert_eq!(builds(&run(&tree)), 0, "nothing that it builds would change that one");
    unified("own.efi", RELEASE, &tree.read(IMAGE));
    let said = tree.run(VFIO, &["doctor", "--only", "boot"]).stdout;
    assert!(said.contains("/boot/efi/EFI/Linux/own.efi reserves the cards of the configuration"), "{said}");
}

/// What update-initramfs, dkms and people leave beside an image when they are interrupted, or keep of the one before, is nobody's
/// image: sync builds because of none of it, doctor speaks of none, and it stays.
#[test]
fn what_an_interrupted_build_leaves_is_no_image() {
    let tree = debian();
    let old = tree.read(IMAGE);
    tree.config(CARD);
    assert_eq!(builds(&run(&tree)), 1);
    let new = tree.read(IMAGE);
    let entry = format!("boot/efi/5f/{RELEASE}");
    tree.write(&format!("{entry}/initrd.img-{RELEASE}"), &new);
    let mut left = Vec::new();
    for image in [IMAGE.to_owned(), format!("{entry}/initrd.img-{RELEASE}")] {
        for ending in [".new", ".dpkg-bak", ".bak", ".old-dkms", "~"] {
            left.push(format!("{image}{ending}"));
            // Half of one, or the one before.
            tree.write(left.last().unwrap(), if ending == ".new" { &new[..new.len() / 2] } else { &old });
        }
    }
    let unified = pe::program(&[(".uname", RELEASE.as_bytes()), (".initrd", old.as_bytes()), (".linux", b"x")]);
    left.push("boot/efi/EFI/Linux/own.efi.bak".to_owned());
    let path = tree.path().join(left.last().unwrap());
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, unified).unwrap();
    let times = || left.iter().map(|path| tree.times().remove(&tree.path().join(path))).collect::<Vec<_>>();
    let before = times();
    assert_eq!(builds(&run(&tree)), 0);
    assert_eq!(times(), before);
    let said = tree.run(VFIO, &["doctor", "--only", "boot"]).stdout;
    for image in [format!("/{IMAGE}"), format!("/{entry}/initrd.img-{RELEASE}")] {
        assert!(said.contains(&format!("{image} reserves the cards of the configuration")), "{image}: {said}");
    }
    for path in &left {
        assert!(!said.contains(path.as_str()), "{path}: {said}");
    }
}

/// Runs a program on bytes.
fn through(words: &[&str], dir: &Path, input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(words[0])
        .args(&words[1..])
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}; tests/setup-debian.sh installs it", words[0]));
    let mut pipe = child.stdin.take().unwrap();
    let bytes = input.to_vec();
    let writer = std::thread::spawn(move || pipe.write_all(&bytes));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "{words:?}");
    output.stdout
}

/// An archive of a directory, as the distributions' tools make it.
fn archive(dir: &Path) -> Vec<u8> {
    let list = Command::new("find").arg(".").current_dir(dir).output().unwrap().stdout;
    through(&["cpio", "--quiet", "-o", "-H", "newc"], dir, &list)
}

/// Real cpio, packed by real programs, after an archive with microcode that is not packed.
#[test]
fn images_are_read_however_they_are_packed() {
    let image = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &[u8]| {
        let path = image.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let large: Vec<u8> = (0..3_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    write("usr/lib/vfio/vfio-bind", &large);
    write("scripts/init-top/00-vfio", b"#!/bin/sh\n");
    write("usr/lib/udev/rules.d/70-vfio.rules", b"");
    write("usr/lib/modules/6.12/kernel/drivers/vfio/pci/vfio-pci.ko.xz", b"");
    write("etc/vfio.conf", b"[gpu big]\n");
    write("opt/linked.conf", b"[host]\n");
    write("zz/behind", b"[host]\nenable = no\n");
    write("etc/vfio.conf.d/.hidden.conf", b"x");
    let link = |target: &str, path: &str| std::os::unix::fs::symlink(target, image.path().join(path)).unwrap();
    link("/dev/null", "etc/vfio.conf.d/10-masked.conf");
    link("../../opt/linked.conf", "etc/vfio.conf.d/20-linked.conf");
    link("/zz/behind", "etc/vfio.conf.d/30-linked.conf");
    link("/nowhere", "etc/vfio.conf.d/40-dangling.conf");
    // dracut makes one file of equal ones; only the last name in the archive has the content.
    std::fs::hard_link(image.path().join("etc/vfio.conf"), image.path().join("etc/vfio.conf.d/50-same.conf")).unwrap();
    std::fs::hard_link(image.path().join("etc/vfio.conf"), image.path().join("zz/same")).unwrap();
    let main = archive(image.path());

    let early = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(early.path().join("kernel/x86/microcode")).unwrap();
    std::fs::write(early.path().join("kernel/x86/microcode/GenuineIntel.bin"), &large[..100_001]).unwrap();
    let early = archive(early.path());

    let tree = tempfile::tempdir().unwrap();
    let root = Root::open(tree.path()).unwrap();
    let text = |text: &[u8]| Some(text.to_vec());
    let expected = Seen {
        program: true,
        run: true,
        rule: true,
        vfio_pci: true,
        files: vec![
            ("etc/vfio.conf".to_owned(), text(b"[gpu big]\n")),
            ("etc/vfio.conf.d/10-masked.conf".to_owned(), None),
            ("etc/vfio.conf.d/20-linked.conf".to_owned(), text(b"[host]\n")),
            ("etc/vfio.conf.d/30-linked.conf".to_owned(), text(b"[host]\nenable = no\n")),
            ("etc/vfio.conf.d/50-same.conf".to_owned(), text(b"[gpu big]\n")),
        ],
    };
    let packers: [&[&str]; 8] = [
        &["cat"],
        &["gzip", "-c"],
        &["xz", "-c", "--check=crc32"],
        &["xz", "-c", "--format=lzma"],
        &["zstd", "-qc", "-19"],
        &["zstd", "-qc", "--long=31"],
        &["lz4", "-lc"],
        &["bzip2", "-c"],
    ];
    for packer in packers {
        let packed = through(packer, tree.path(), &main);
        for front in [&b""[..], &early] {
            std::fs::write(tree.path().join("image"), [front, &packed].concat()).unwrap();
            let found = image::read_image(&root, &["image".to_owned()], &Programs);
            assert_eq!(found.as_ref(), Ok(&expected), "{packer:?}, {} bytes before it", front.len());
        }
        // In two files, as kernel-install leaves them beside a boot entry.
        std::fs::write(tree.path().join("microcode"), &early).unwrap();
        std::fs::write(tree.path().join("image"), &packed).unwrap();
        let found = image::read_image(&root, &["microcode".to_owned(), "image".to_owned()], &Programs);
        assert_eq!(found.as_ref(), Ok(&expected), "{packer:?}");
        // In a unified kernel image, with sections before and behind.
        let sections = [(".cmdline", &b"quiet"[..]), (".initrd", &[&early, &packed[..]].concat()), (".linux", &large)];
        std::fs::write(tree.path().join("image.efi"), pe::program(&sections)).unwrap();
        assert_eq!(
            image::read_image(&root, &["image.efi".to_owned()], &Programs).as_ref(),
            Ok(&expected),
            "{packer:?}"
        );
        // Cut in the middle, as a full disk leaves it.
        std::fs::write(tree.path().join("image"), &packed[..packed.len() / 2]).unwrap();
        let found = image::read_image(&root, &["image".to_owned()], &Programs);
        let Unseen { why, damaged } = found.expect_err("half an image is no image");
        assert!(damaged && why.starts_with("/image cannot be looked into: "), "{packer:?}: {why}");
    }
    for (bytes, why, damaged) in [
        (&b"MZ\x90\0 a unified kernel image"[..], "it is packed in a way that is not known", false),
        (b"070701", "it ends in the middle of a file", true),
    ] {
        std::fs::write(tree.path().join("image"), bytes).unwrap();
        let found = image::read_image(&root, &["image".to_owned()], &Programs);
        assert_eq!(found, Err(Unseen { why: format!("/image cannot be looked into: {why}"), damaged }));
    }
}
