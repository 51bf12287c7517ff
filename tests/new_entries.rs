// SPDX-License-Identifier: LGPL-2.1-or-later
//! kernel-install's plugin on entries that were just written: what of them is ours goes, whatever they were made from.
//! `kernel-install.sh` has the real kernel-install run it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::boots::{self, Boot};
use common::tree::Ran;
use common::Tree;

const VFIO: &str = env!("CARGO_BIN_EXE_vfio");
const PLUGIN: &str = env!("CARGO_BIN_EXE_vfio-kernel-install");
const CONFIGURATION: &str = "[host]\niommu = on\nkernel-parameters = lab.word=1\n";
const OURS: &str = "intel_iommu=on iommu=pt lab.word=1";
const ID: &str = "5f";
const NEW: &str = "6.18.0-1";

/// systemd-boot and kernel-install on Debian, with an entry of an older kernel; without `/etc/kernel/cmdline` new entries come from
/// the running kernel.
fn machine(cmdline: Option<&str>) -> Tree {
    let boot = boots::of("debian-systemd-boot").without("etc/kernel/cmdline");
    let boot = cmdline.iter().fold(boot, |boot: Boot, line| boot.file("etc/kernel/cmdline", &format!("{line}\n")));
    let tree = Tree::new(&boot.0);
    tree.config(CONFIGURATION);
    tree
}

fn path(name: &str) -> String {
    format!("boot/efi/loader/entries/{name}.conf")
}

/// What 90-loaderentry.install writes, and 90-ucode-loaderentry-fallback.install of EndeavourOS (eos-systemd-boot, 5c76a19):
/// entries of these names, whose line is `/etc/kernel/cmdline`, or else the running kernel's without `initrd=` and `BOOT_IMAGE=`.
fn write_entries(tree: &Tree, names: &[&str]) {
    let line =
        if tree.exists("etc/kernel/cmdline") { tree.read("etc/kernel/cmdline") } else { tree.read("proc/cmdline") };
    let words = line.split_whitespace().filter(|word| !word.starts_with("initrd=") && !word.starts_with("BOOT_IMAGE="));
    let line = words.collect::<Vec<_>>().join(" ");
    for name in names {
        let version = name.strip_prefix("5f-").unwrap();
        let entry = format!(
            "title      Linux\nversion    {version}\nmachine-id {ID}\nsort-key   x\noptions    {line}\nlinux      /5f/{NEW}/linux\n"
        );
        tree.write(&path(name), &entry);
    }
}

fn plugin(tree: &Tree, arguments: &[&str]) -> Ran {
    let mut command = tree.command(PLUGIN);
    let boot = tree.join("boot/efi");
    command.args(arguments).env("KERNEL_INSTALL_LAYOUT", "bls").env("KERNEL_INSTALL_BOOT_ROOT", &boot);
    command.env("KERNEL_INSTALL_MACHINE_ID", ID).env("KERNEL_INSTALL_ENTRY_TOKEN", ID);
    let ran: Ran = command.output().unwrap().into();
    assert_eq!((ran.status, ran.stdout.as_str(), ran.stderr.as_str()), (Some(0), "", ""), "{arguments:?}");
    ran
}

/// A new kernel with entries of these names: the options of each.
fn next_kernel(tree: &Tree, names: &[&str]) -> Vec<String> {
    write_entries(tree, names);
    plugin(tree, &["add", NEW, "/boot/efi/5f/6.18.0-1", "/boot/vmlinuz"]);
    names.iter().map(|name| options(tree, name)).collect()
}

fn options(tree: &Tree, name: &str) -> String {
    let entry = tree.read(&path(name));
    entry.lines().find_map(|line| line.strip_prefix("options")).unwrap().trim().to_owned()
}

fn cmdline(tree: &Tree, verb: &str) {
    let ran = tree.run(VFIO, &["cmdline", verb]);
    assert_eq!(ran.status, Some(0), "{verb}: {}{}", ran.stdout, ran.stderr);
}

/// The next boot, with this line: what was kept for the boot that is over is gone.
fn reboot(tree: &Tree, line: &str) {
    tree.write("proc/cmdline", &format!("{line}\n"));
    let _ = std::fs::remove_dir_all(tree.join("run/vfio"));
}

/// Regression: the entry with the other image kept what it got from /etc/kernel/cmdline when everything was taken out.
#[test]
fn the_entry_with_the_other_image_too() {
    for names in [["5f-6.18.0-1", "5f-6.18.0-1-fallback"], ["5f-6.18.0-1+3", "5f-6.18.0-1-fallback+3"]] {
        let tree = machine(Some("root=UUID=f0 ro quiet"));
        cmdline(&tree, "apply");
        let after = next_kernel(&tree, &names);
        assert_eq!(after, [format!("root=UUID=f0 ro quiet {OURS}"), "root=UUID=f0 ro quiet".to_owned()]);
        // Again, as a new image of the same kernel has it done.
        assert_eq!(next_kernel(&tree, &names), after);
        cmdline(&tree, "apply");
        cmdline(&tree, "revert");
        let plain = "root=UUID=f0 ro quiet".to_owned();
        assert_eq!(names.map(|name| options(&tree, name)), [plain.clone(), plain]);
        assert!(!tree.exists("var/lib/vfio/cmdline"));
    }
}

/// Regression: what was typed for one boot became every later kernel's.
#[test]
fn the_switch_of_one_boot_is_not_baked_in() {
    for switch in ["vfio=off", "rd.vfio=off", "vfio=0"] {
        let tree = machine(None);
        cmdline(&tree, "apply");
        reboot(&tree, &format!("root=UUID=f0 ro quiet {OURS} {switch}"));
        assert_eq!(next_kernel(&tree, &["5f-6.18.0-1"]), [format!("root=UUID=f0 ro quiet {OURS}")], "{switch}");
        cmdline(&tree, "revert");
        assert_eq!(options(&tree, "5f-6.18.0-1"), "root=UUID=f0 ro quiet", "{switch}");
    }
}

/// One that stands in an entry was meant to stay, and what a file says is the file's.
#[test]
fn a_switch_that_is_meant_to_stay_stays() {
    let tree = machine(None);
    let older = path("5f-6.12.48+deb13-amd64");
    tree.write(&older, &tree.read(&older).replace(" quiet", " quiet vfio=off"));
    reboot(&tree, "root=UUID=f0 ro quiet vfio=off");
    assert_eq!(next_kernel(&tree, &["5f-6.18.0-1"]), [format!("root=UUID=f0 ro quiet vfio=off {OURS}")]);
    let tree = machine(Some("root=UUID=f0 ro vfio=off"));
    assert_eq!(next_kernel(&tree, &["5f-6.18.0-1"]), [format!("root=UUID=f0 ro vfio=off {OURS}")]);
    // An entry for emergencies that has it says nothing of the others.
    let tree = machine(None);
    tree.write(&path("5f-rescue"), "title Linux (rescue)\nlinux /vmlinuz\noptions root=UUID=f0 ro vfio=off\n");
    reboot(&tree, "root=UUID=f0 ro quiet vfio=off");
    assert_eq!(next_kernel(&tree, &["5f-6.18.0-1"]), [format!("root=UUID=f0 ro quiet {OURS}")]);
}

/// Regression: parameters that were taken out stayed in a kernel that was installed before the next boot, as the user's.
#[test]
fn what_was_taken_out_in_this_boot_does_not_come_back() {
    let line = "root=UUID=f0 ro quiet";
    for (verb, configuration, rest) in
        [("revert", CONFIGURATION, ""), ("apply", "[host]\niommu = on\niommu-passthrough = no\n", " intel_iommu=on")]
    {
        let tree = machine(None);
        cmdline(&tree, "apply");
        reboot(&tree, &format!("{line} {OURS}"));
        tree.config(configuration);
        cmdline(&tree, verb);
        // After a revert nothing is required as long as the package is there to say so: that is what its removal is like.
        if verb == "revert" {
            tree.config("[host]\nenable = no\n");
        }
        assert_eq!(next_kernel(&tree, &["5f-6.18.0-1"]), [format!("{line}{rest}")], "{verb}");
        // Put in again, it is required, and no longer taken out.
        tree.config(CONFIGURATION);
        cmdline(&tree, "apply");
        assert!(!tree.exists("run/vfio/taken-out"), "{verb}");
        assert_eq!(next_kernel(&tree, &["5f-6.18.0-1"]), [format!("{line} {OURS}")], "{verb}");
        // In the next boot the user may have it.
        cmdline(&tree, "revert");
        reboot(&tree, &format!("{line} lab.word=1"));
        tree.config("[host]\nenable = no\n");
        assert_eq!(next_kernel(&tree, &["5f-6.18.0-1"]), [format!("{line} lab.word=1")], "{verb}");
    }
}

/// The boot entry without us is that of the newest kernel there is, whether one came or went.
#[test]
fn the_entry_without_us_follows_the_newest_kernel() {
    let ours = path("_-vfio-off");
    let kernel =
        |tree: &Tree| tree.read(&ours).lines().find_map(|line| line.strip_prefix("linux")).unwrap().trim().to_owned();
    for (name, source) in [("5f-6.18.0-1", None), ("5f-6.18.0-1+3", Some("root=UUID=f0 ro quiet"))] {
        let tree = machine(source);
        reboot(&tree, "root=UUID=f0 ro quiet");
        tree.config(&format!("{CONFIGURATION}rescue-entry = yes\n"));
        cmdline(&tree, "apply");
        assert_eq!(kernel(&tree), "/5f/6.12.57+deb13-amd64/linux");
        assert_eq!(next_kernel(&tree, &[name]), [format!("root=UUID=f0 ro quiet {OURS}")]);
        assert_eq!(kernel(&tree), "/5f/6.18.0-1/linux");
        assert!(tree.read(&ours).contains("root=UUID=f0 ro quiet vfio=off\n"), "{}", tree.read(&ours));
        // Booted by it, the next kernel is not switched off, and the entry stays one.
        reboot(&tree, "root=UUID=f0 ro quiet vfio=off");
        assert_eq!(next_kernel(&tree, &[name]), [format!("root=UUID=f0 ro quiet {OURS}")]);
        tree.remove(&path(name));
        plugin(&tree, &["remove", NEW, "/boot/efi/5f/6.18.0-1"]);
        assert_eq!(kernel(&tree), "/5f/6.12.57+deb13-amd64/linux");
        for name in ["5f-6.12.48+deb13-amd64", "5f-6.12.57+deb13-amd64+3-1"] {
            tree.remove(&path(name));
        }
        plugin(&tree, &["remove", "6.12.57+deb13-amd64", "/boot/efi/5f/6.12.57+deb13-amd64"]);
        assert!(!tree.exists(&ours), "there is no kernel any more");
    }
}

/// Where nobody asks for it, the plugin looks for nothing.
#[test]
fn without_the_key_there_is_no_entry_without_us() {
    let tree = machine(None);
    next_kernel(&tree, &["5f-6.18.0-1"]);
    assert!(!tree.exists(&path("_-vfio-off")));
}
