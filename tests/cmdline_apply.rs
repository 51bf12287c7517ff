// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio cmdline` on whole machines, with the real program and stand-ins for the tools of boot loaders: what it puts in,
//! that the next boot is as required, and that an undo is exact.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::boot_tools::BootTools;
use common::halfway::files;
use common::text::{Node, Nodes};
use common::tree::differences;
use common::{boots, Tree};
use std::collections::BTreeSet;
use std::process::Command;
use vfio_suite::host::boot::Format;
use vfio_suite::plan::cmdline::format;

const CONFIGURATION: &str = "[host]\niommu = on\nkernel-parameters = lab.word=1\n";
const INTEL: &str = "intel_iommu=on iommu=pt lab.word=1";
const AMD: &str = "iommu=pt lab.word=1";

const IMAGE: &str = "efi/EFI/Linux/arch-linux.efi";
const FALLBACK: &str = "efi/EFI/Linux/arch-linux-fallback.efi";

/// What an apply does on a machine.
struct Expected {
    /// The parameters that are put in.
    parameters: &'static str,
    /// The files that have other bytes then, or that are new.
    files: &'static [&'static str],
    /// How the tools begin that are run, in order.
    tools: &'static [&'static str],
}

/// `None` where nothing may be changed.
fn expected(name: &str) -> Option<Expected> {
    let (parameters, files, tools): (_, &[&str], &[&str]) = match name {
        "arch-grub" => (
            INTEL,
            &["boot/grub/grub.cfg", "etc/default/grub"],
            &["grub-mkconfig -o /boot/grub/grub.cfg", "grub-script-check /boot/grub/grub.cfg"],
        ),
        "arch-systemd-boot" => (INTEL, &["boot/loader/entries/arch.conf"], &[]),
        "arch-uki" => (AMD, &[FALLBACK, IMAGE, "etc/kernel/cmdline"], &["mkinitcpio -P"]),
        "arch-uki-drop-ins" => (AMD, &[FALLBACK, IMAGE, "etc/cmdline.d/vfio.conf"], &["mkinitcpio -P"]),
        "arch-uki-no-source" | "bootc-composefs" | "nothing-known" => return None,
        "archinstall-limine" => (INTEL, &["boot/EFI/arch-limine/limine.conf"], &[]),
        "cachyos-limine-layers" => (AMD, &["boot/limine.conf", "etc/default/limine"], &["limine-update"]),
        "cachyos-limine-plain" => {
            (AMD, &["boot/EFI/arch-limine/limine.conf", "boot/limine.conf", "etc/default/limine"], &["limine-update"])
        }
        "limine-kernel-cmdline" => (AMD, &["boot/limine.conf", "etc/kernel/cmdline"], &["limine-update"]),
        "omarchy-limine" => (AMD, &["boot/limine.conf", "etc/limine-entry-tool.d/zz-vfio.conf"], &["limine-update"]),
        "void-update-limine" => (INTEL, &["boot/limine.conf", "etc/default/limine"], &["update-limine"]),
        "left-over-grub" => (INTEL, &["boot/efi/loader/entries/5f-6.12.conf"], &[]),
        "nixos" | "void-systemd-boot-no-source" | "zfsbootmenu" => return None,
        "refind-include" => (AMD, &["boot/EFI/refind/manual.conf"], &[]),
        "solus" => (
            AMD,
            &["boot/loader/entries/Solus-current-6.12.41-321.conf", "etc/kernel/cmdline.d/vfio.conf"],
            &["clr-boot-manager update"],
        ),
        "void-systemd-boot" => {
            (AMD, &["boot/loader/entries/void-x86_64-6.12.41_1.conf", "etc/default/systemd-boot"], &[])
        }
        "cachyos-limine" => (INTEL, &["boot/limine.conf", "etc/default/limine"], &["limine-update"]),
        "cachyos-sdboot-manage" => {
            (AMD, &["boot/loader/entries/linux-cachyos.conf", "etc/sdboot-manage.conf"], &["sdboot-manage gen"])
        }
        "debian-grub" => (
            INTEL,
            &["boot/grub/grub.cfg", "etc/default/grub.d/95-vfio.cfg"],
            &["update-grub", "grub-script-check /boot/grub/grub.cfg"],
        ),
        "debian-systemd-boot" => (
            INTEL,
            &[
                "boot/efi/loader/entries/5f-6.12.48+deb13-amd64.conf",
                "boot/efi/loader/entries/5f-6.12.57+deb13-amd64+3-1.conf",
                "etc/kernel/cmdline",
            ],
            &[],
        ),
        "debian-uki" => (INTEL, &["boot/efi/loader/addons/vfio.addon.efi"], &["ukify build --stub="]),
        "debian-uki-secure-boot" => (INTEL, &["boot/efi/loader/addons/vfio.addon.efi"], &["ukify build --stub="]),
        "fedora" => (
            INTEL,
            &["boot/loader/entries/5f-6.17.4-300.fc43.x86_64.conf", "etc/default/grub", "etc/kernel/cmdline"],
            &[],
        ),
        // Staged: until the shutdown it stands below /run alone.
        "fedora-bootc" => (INTEL, &[], &["bootc loader-entries set-options-for-source --source vfio --options "]),
        "fedora-silverblue" => (INTEL, &[], &["rpm-ostree kargs "]),
        "gentoo-grub" => {
            (INTEL, &["boot/grub/grub.cfg", "etc/default/grub"], &["grub-mkconfig -o /boot/grub/grub.cfg"])
        }
        "limine-by-hand" => (INTEL, &["boot/limine/limine.conf"], &[]),
        "opensuse-grub" => (
            AMD,
            &["boot/grub2/grub.cfg", "etc/default/grub"],
            &["grub2-mkconfig -o /boot/grub2/grub.cfg", "grub2-script-check /boot/grub2/grub.cfg"],
        ),
        "opensuse-sdbootutil" => (
            AMD,
            &["boot/efi/loader/entries/opensuse-6.17.2-1-default-4.conf", "etc/kernel/cmdline.d/vfio.conf"],
            &["sdbootutil update-all-entries"],
        ),
        "pop-os" => (
            INTEL,
            &["boot/efi/loader/entries/Pop_OS-current.conf", "etc/kernelstub/configuration"],
            &["kernelstub -o quiet hugepagesz=1G hugepages=4 hugepagesz=2M hugepages=64 intel_iommu=on "],
        ),
        "proxmox-grub" => (
            INTEL,
            &[
                "boot/grub/grub.cfg",
                "etc/default/grub.d/95-vfio.cfg",
                "unmounted/ABCD-1234/grub/grub.cfg",
                "unmounted/ABCD-5678/grub/grub.cfg",
            ],
            &["update-grub", "proxmox-boot-tool refresh", "grub-script-check /boot/grub/grub.cfg"],
        ),
        "proxmox-zfs" => (
            INTEL,
            &[
                "etc/kernel/cmdline",
                "unmounted/ABCD-1234/loader/entries/proxmox-6.8.12-1-pve.conf",
                "unmounted/ABCD-5678/loader/entries/proxmox-6.8.12-1-pve.conf",
            ],
            &["proxmox-boot-tool refresh"],
        ),
        "refind" => (AMD, &["boot/EFI/refind/refind.conf", "boot/refind_linux.conf"], &[]),
        "ubuntu-cloud" => (
            AMD,
            &["boot/grub/grub.cfg", "etc/default/grub.d/zz-vfio.cfg"],
            &["update-grub", "grub-script-check /boot/grub/grub.cfg"],
        ),
        other => panic!("it is not said what an apply changes on {other}"),
    };
    Some(Expected { parameters, files, tools })
}

/// What a deployment has in it, of [`boots`] and with these parameters.
const IMAGES: [&str; 1] = ["root=UUID=56 rw quiet rhgb ostree=/ostree/boot.1/fedora/x/0"];

/// Tools that can build addons and deployments with these parameters and without.
fn tools(parameters: &str) -> BootTools {
    let with = IMAGES.map(|line| format!("{line} {parameters}"));
    let all: Vec<&str> = IMAGES.into_iter().chain(with.iter().map(String::as_str)).chain([parameters]).collect();
    BootTools::new(&all)
}

/// The machine without an addon of ours, and what is generated as its tool makes it.
fn machine(name: &str, tools: &BootTools) -> Tree {
    let mut boot = boots::of(name);
    boot.0.remove("boot/efi/loader/addons/vfio.addon.efi");
    let tree = Tree::new(&boot.0);
    std::fs::create_dir(tree.join(".kernel")).unwrap();
    match name {
        "debian-grub" | "ubuntu-cloud" => tools.tool(&tree, &["update-grub"]),
        "arch-grub" | "gentoo-grub" => tools.tool(&tree, &["grub-mkconfig", "-o", "/boot/grub/grub.cfg"]),
        "opensuse-grub" => tools.tool(&tree, &["grub2-mkconfig", "-o", "/boot/grub2/grub.cfg"]),
        "arch-uki" | "arch-uki-drop-ins" => tools.tool(&tree, &["mkinitcpio", "-P"]),
        "opensuse-sdbootutil" => tools.tool(&tree, &["sdbootutil", "update-all-entries"]),
        "proxmox-grub" => {
            tools.tool(&tree, &["update-grub"]);
            tools.tool(&tree, &["proxmox-boot-tool", "refresh"]);
        }
        "proxmox-zfs" => tools.tool(&tree, &["proxmox-boot-tool", "refresh"]),
        "void-update-limine" => tools.tool(&tree, &["update-limine"]),
        "solus" => tools.tool(&tree, &["clr-boot-manager", "update"]),
        _ if tree.exists("usr/bin/limine-update") => tools.tool(&tree, &["limine-update"]),
        _ => {}
    }
    tree.config(CONFIGURATION);
    BootTools::ran(&tree);
    tree
}

/// The paths that two trees do not have alike.
fn changed(old: &Nodes, new: &Nodes) -> Vec<String> {
    let paths: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    paths.into_iter().filter(|path| old.get(*path) != new.get(*path)).cloned().collect()
}

/// The words of a file, without the quotation marks and commas around them, sorted.
fn words(node: Option<&Node>) -> Vec<String> {
    let Some(Node::File(_, bytes)) = node else { return Vec::new() };
    let text = String::from_utf8_lossy(bytes);
    let mut words: Vec<String> =
        text.split_whitespace().map(|word| word.trim_matches(['"', ',', '[', ']']).to_owned()).collect();
    words.sort();
    words
}

/// What is in the second list and not in the first, each as often as it is there.
fn added(old: &[String], new: &[String]) -> Vec<String> {
    let mut old = old.to_vec();
    let mut added = new.to_vec();
    added.retain(|word| match old.iter().position(|other| other == word) {
        Some(at) => {
            old.remove(at);
            false
        }
        None => true,
    });
    added
}

/// The machine boots with these parameters beside its own.
fn reboot(tools: &BootTools, tree: &Tree, before: &str, parameters: &str) {
    tools.tool(tree, &["ostree", "admin", "finalize-staged"]);
    BootTools::ran(tree);
    tree.write("proc/cmdline", format!("{} {parameters}", before.trim_end()).trim_end());
}

#[test]
fn every_machine_gets_the_parameters_and_is_then_as_before() {
    for (name, _) in boots::all() {
        let Some(expected) = expected(name) else { continue };
        let tools = tools(expected.parameters);
        let tree = machine(name, &tools);
        let vfio = |arguments: &[&str]| tools.vfio(&tree, arguments);
        let (all, old) = (tree.snapshot(), files(&tree));
        let line = tree.read("proc/cmdline");
        assert_eq!(vfio(&["cmdline", "status"]).status, Some(1), "{name}: nothing is applied yet");

        let ran = vfio(&["cmdline", "apply"]);
        assert_eq!(ran.status, Some(0), "{name}: {}{}", ran.stdout, ran.stderr);
        let new = files(&tree);
        assert_eq!(changed(&old, &new), expected.files, "{name}: {}", differences(&old, &new));
        let said = BootTools::ran(&tree);
        let as_said = said.iter().zip(expected.tools).all(|(ran, begin)| ran.starts_with(begin));
        assert!(as_said && said.len() == expected.tools.len(), "{name}: {said:?}");
        // Which line a program of the firmware got is looked at by the stand-in that builds it.
        for path in expected.files.iter().filter(|path| !path.ends_with(".efi")) {
            let (was, is) = (words(old.get(*path)), words(new.get(*path)));
            assert_eq!(added(&is, &was), [""; 0], "{name}: /{path} has lost something");
            let added = added(&was, &is);
            let ours = |word: &String| expected.parameters.split(' ').any(|parameter| word.contains(parameter));
            let all_there =
                expected.parameters.split(' ').all(|parameter| added.iter().any(|word| word.contains(parameter)));
            assert!(all_there, "{name}: /{path} has got {added:?}");
            assert!(added.iter().all(ours) || !old.contains_key(*path), "{name}: /{path} has got {added:?}");
        }

        assert_eq!(vfio(&["cmdline", "status"]).status, Some(1), "{name}: the running kernel has none of it");
        reboot(&tools, &tree, &line, expected.parameters);
        let ran = vfio(&["cmdline", "status"]);
        assert_eq!(ran.status, Some(0), "{name}: after the next boot: {}{}", ran.stdout, ran.stderr);
        let ran = vfio(&["cmdline", "apply"]);
        assert_eq!((ran.status, ran.stdout.contains("nothing to do")), (Some(0), true), "{name}: {}", ran.stdout);
        assert_eq!(BootTools::ran(&tree), [""; 0], "{name}: applied twice");
        let ran = vfio(&["sync"]);
        assert!(
            ran.status == Some(0) && ran.stdout.ends_with("are up to date\n"),
            "{name}: {}{}",
            ran.stdout,
            ran.stderr
        );
        let ran = vfio(&["doctor", "--only", "boot"]);
        assert!(!ran.stdout.contains("boot-file-"), "{name}: {}", ran.stdout);

        let ran = vfio(&["cmdline", "revert"]);
        assert_eq!(ran.status, Some(0), "{name}: {}{}", ran.stdout, ran.stderr);
        reboot(&tools, &tree, &line, "");
        tree.write("proc/cmdline", &line);
        tree.assert_same(&all, &format!("{name}: reverted"));
        assert!(!tree.exists("var/lib/vfio/cmdline"), "{name}: something is still on record");
    }
}

/// Where nothing can be changed it is said, and nothing is.
#[test]
fn what_cannot_be_changed_is_said() {
    let tools = tools(AMD);
    for (name, status, why) in [
        ("nothing-known", 1, "add these parameters to the kernel command line manually: iommu=pt lab.word=1"),
        ("arch-uki-no-source", 2, "/etc/kernel/cmdline: is not there"),
        (
            "bootc-composefs",
            2,
            "add 'kargs = [\"intel_iommu=on\", \"iommu=pt\", \"lab.word=1\"]' to a file in /usr/lib/bootc",
        ),
        ("nixos", 2, "boot.kernelParams = [ \"iommu=pt\" \"lab.word=1\" ];"),
        ("zfsbootmenu", 2, "run zbm-kcl -a 'iommu=pt lab.word=1' zroot/ROOT/void, then reboot"),
    ] {
        assert!(expected(name).is_none());
        let tree = machine(name, &tools);
        let all = tree.snapshot();
        for verb in ["apply", "revert"] {
            let ran = tools.vfio(&tree, &["cmdline", verb]);
            let said = format!("{}{}", ran.stdout, ran.stderr);
            if verb == "apply" {
                assert!(ran.status == Some(status) && said.contains(why), "{name}: {:?}: {said}", ran.status);
            }
            tree.assert_same(&all, &format!("{name}: {verb}"));
        }
        assert_eq!(BootTools::ran(&tree), [""; 0], "{name}");
    }
}

/// Each parameter of ours is listed once, in however many command lines of a file it is, and each loader once.
#[test]
fn nothing_is_said_twice() {
    let line = |title: &str| format!("\"{title}\"  \"root=UUID=aa rw\"\n");
    let tree = Tree::new(&boots::of("refind").file("boot/refind_linux.conf", &(line("a") + &line("b") + &line("c"))).0);
    tree.config(CONFIGURATION);
    let tools = tools(AMD);
    assert_eq!(tools.vfio(&tree, &["cmdline", "apply"]).status, Some(0));
    let said = tools.vfio(&tree, &["cmdline", "status"]).stdout;
    let row = said.lines().find(|line| line.contains("refind_linux.conf")).unwrap();
    assert_eq!(row.matches("lab.word=1").count(), 1, "{row}");
    // GRUB's file, systemd-boot's entries, GRUB's tool.
    let mut both = boots::of("debian-systemd-boot");
    both.0.extend(boots::of("debian-grub").0);
    let tree = Tree::new(&both.0);
    tree.config(CONFIGURATION);
    std::fs::create_dir(tree.join(".kernel")).unwrap();
    let ran = tools.vfio(&tree, &["cmdline", "apply"]);
    assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("\nchanged: GRUB, systemd-boot; it counts"), "{}", ran.stdout);
}

/// A tool that fails: all files are as they were, and nothing is on record.
#[test]
fn a_tool_that_fails_takes_everything_back() {
    // The stand-in for ukify builds another addon only.
    let tools = tools("nothing");
    let tree = machine("debian-uki", &tools);
    let all = tree.snapshot();
    let ran = tools.vfio(&tree, &["cmdline", "apply"]);
    assert!(ran.status == Some(2) && ran.stderr.contains("addon with 'intel_iommu=on"), "{}", ran.stderr);
    BootTools::ran(&tree);
    tree.assert_same(&all, "ukify fails");
    assert!(!tree.exists("var/lib/vfio/cmdline"));
}

#[test]
fn a_shell_gets_the_words_of_a_drop_in() {
    let words = ["a=\"b c\"".to_owned(), "x=$y`z\\".to_owned()];
    let text = format::whole(Format::GrubDropIn, &words);
    let script = format!("GRUB_CMDLINE_LINUX_DEFAULT=quiet\n{text}printf %s \"$GRUB_CMDLINE_LINUX_DEFAULT\"");
    let printed = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert_eq!(String::from_utf8(printed.stdout).unwrap(), "quiet a=\"b c\" x=$y`z\\");
}
