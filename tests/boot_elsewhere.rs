// SPDX-License-Identifier: LGPL-2.1-or-later
//! Boot files that are not mounted, or not where they usually are: what is said then, and that nothing is written beside them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::boot_tools::BootTools;
use common::boots::{self, Boot};
use common::tree::Ran;
use common::Tree;

const CONFIGURATION: &str = "[host]\niommu = on\nkernel-parameters = lab.word=1\n";
const ROOT: (&str, &str, &str) = ("/", "ext4", "/dev/nvme0n1p2");

/// A machine without what is below a directory, as if nothing were mounted there.
fn without(mut boot: Boot, directory: &str) -> Boot {
    boot.0.retain(|path, _| !path.starts_with(&format!("{directory}/")));
    boot.0.insert(directory.to_owned(), common::text::Node::Directory);
    boot
}

fn tree(boot: &Boot) -> Tree {
    let tree = Tree::new(&boot.0);
    std::fs::create_dir_all(tree.join(".kernel")).unwrap();
    tree.config(CONFIGURATION);
    tree
}

/// Every verb that looks or acts says this, and no verb says that there is no loader, or changes anything.
fn said_by_all(boot: &Boot, why: &str) {
    let tools = BootTools::new(&[]);
    let tree = tree(boot);
    let all = tree.snapshot();
    let verbs: [&[&str]; 5] =
        [&["cmdline", "status"], &["cmdline", "plan"], &["cmdline", "apply"], &["sync"], &["doctor", "--only", "boot"]];
    for verb in verbs {
        let Ran { status, stdout, stderr } = tools.vfio(&tree, verb);
        let said = format!("{stdout}{stderr}");
        assert_ne!(status, Some(0), "{verb:?}: {said}");
        assert!(said.contains(why), "{verb:?}: {said}");
        assert!(said.contains("vfio sync") || verb == ["sync"], "{verb:?}: {said}");
        assert!(!said.contains("no boot loader"), "{verb:?}: {said}");
        assert!(said.contains("[boot-files-not-found]") || verb[0] != "doctor", "{said}");
        assert_eq!(BootTools::ran(&tree), [""; 0], "{verb:?}");
    }
    let ran = tools.vfio(&tree, &["cmdline", "revert"]);
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    tree.assert_same(&all, why);
}

#[test]
fn a_boot_that_is_mounted_by_hand() {
    // As Gentoo's handbook and Arch's wiki have it.
    let boot = without(boots::of("gentoo-grub"), "boot")
        .file("etc/fstab", "# /etc/fstab\n/dev/sda1  /boot  ext2  noauto,noatime  1 2\n/dev/sda3 / ext4 noatime 0 1\n")
        .mounts(&[("/", "ext4", "/dev/sda3")]);
    said_by_all(&boot, "/boot is not mounted");
    // What lies in its directory meanwhile is not what GRUB reads.
    let boot = boot.file("boot/grub/grub.cfg", "linux /vmlinuz root=/dev/sda3 ro\n");
    said_by_all(&boot, "/boot is not mounted");
}

/// Regression: the stub of the EFI system partition, which only leads to the menu, was taken for the menu.
#[test]
fn a_boot_that_is_not_mounted_beside_an_esp_that_is() {
    for (name, file, kind) in [("debian-grub", "etc/default/grub", "ext4"), ("fedora", "etc/default/grub", "xfs")] {
        let boot = boots::of(name);
        let esp: Vec<_> = boot.0.clone().into_iter().filter(|(path, _)| path.starts_with("boot/efi/")).collect();
        let mut boot = without(boot, "boot");
        boot.0.extend(esp);
        let boot = boot
            .file("etc/fstab", &format!("UUID=ab / ext4 defaults 0 1\nUUID=cd\t/boot\t{kind} noauto 0 2\n"))
            .mounts(&[ROOT, ("/boot/efi", "vfat", "/dev/nvme0n1p1")]);
        assert!(boot.0.contains_key(file));
        said_by_all(&boot, "/boot is not mounted");
    }
}

#[test]
fn an_esp_that_is_not_mounted() {
    // In fstab, and not mounted.
    let fstab = "UUID=12-34 /boot/efi vfat umask=0077,noauto 0 1\n";
    let boot = without(boots::of("debian-systemd-boot"), "boot/efi").mounts(&[ROOT]).file("etc/fstab", fstab);
    said_by_all(&boot, "/boot/efi is not mounted");
    // Known by the loader alone.
    let boot = without(boots::of("arch-systemd-boot"), "boot").mounts(&[ROOT]);
    said_by_all(&boot, "/dev/disk/by-partuuid/6f1a9c2e-0001-4b1d-9e55-0a0b0c0d0e0f");
}

/// A loader that booted and whose files are not found is named; it is not said that there is none.
#[test]
fn a_loader_that_booted_and_whose_files_are_not_found() {
    let boot = boots::of("debian-grub").without("boot/grub/grub.cfg");
    said_by_all(&boot, "GRUB 2.12-9+deb13u2");
}

/// What fstab has beside that, and mounts that are there, are nobody's business.
#[test]
fn other_file_systems_that_are_not_mounted() {
    let fstab = "UUID=12-34 /mnt/stick vfat noauto 0 1\nUUID=ab /boot/efi vfat defaults 0 2\nUUID=cd none swap sw 0 0\n/x /boot/a ext4\n";
    let boot = boots::of("debian-grub").file("etc/fstab", fstab);
    let (tools, tree) = (BootTools::new(&[]), tree(&boot));
    let ran = tools.vfio(&tree, &["cmdline", "apply"]);
    assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(!ran.stdout.contains("mounted"), "{}", ran.stdout);
}

/// GRUB's menu in the root of the ESP (`grub-install --boot-directory=/efi`).
#[test]
fn a_menu_on_the_esp() {
    let menu = "menuentry 'Arch Linux' {\n\tlinux /vmlinuz-linux root=UUID=ef rw loglevel=3 quiet\n}\n";
    let boot = boots::of("arch-grub").without("boot/grub/grub.cfg").file("efi/grub/grub.cfg", menu);
    let (tools, tree) = (BootTools::new(&[]), tree(&boot));
    tools.tool(&tree, &["grub-mkconfig", "-o", "/efi/grub/grub.cfg"]);
    BootTools::ran(&tree);
    let all = tree.snapshot();
    let ran = tools.vfio(&tree, &["cmdline", "apply"]);
    assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(BootTools::ran(&tree), ["grub-mkconfig -o /efi/grub/grub.cfg", "grub-script-check /efi/grub/grub.cfg"]);
    assert!(tree.read("efi/grub/grub.cfg").contains("quiet intel_iommu=on iommu=pt lab.word=1\n"));
    let ran = tools.vfio(&tree, &["cmdline", "apply"]);
    assert!(ran.stdout.contains("nothing to do"), "{}", ran.stdout);
    assert_eq!(tools.vfio(&tree, &["cmdline", "revert"]).status, Some(0));
    tree.assert_same(&all, "reverted");
}

/// Once a later boot lacks the parameters, what this machine boots from is told of once, and not a second time in other words.
#[test]
fn what_boots_from_elsewhere_is_told_of_once() {
    let tools = BootTools::new(&[]);
    let tree = tree(&boots::of("arch-systemd-boot"));
    tree.write("proc/sys/kernel/random/boot_id", "boot-1\n");
    assert_eq!(tools.vfio(&tree, &["cmdline", "apply"]).status, Some(0));
    tree.write("proc/sys/kernel/random/boot_id", "boot-2\n");
    let name = "sys/firmware/efi/efivars/LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
    let text = "rEFInd 0.14.2\0".encode_utf16().flat_map(u16::to_le_bytes);
    std::fs::write(tree.join(name), [6, 0, 0, 0].into_iter().chain(text).collect::<Vec<u8>>()).unwrap();
    for verb in [["doctor", "--only", "boot"].as_slice(), &["cmdline", "status"]] {
        let said = tools.vfio(&tree, verb).stdout;
        assert!(said.contains("boots from elsewhere") && said.contains("if it reads none, add these"), "{said}");
        assert_eq!(said.matches("mount the").count(), 1, "{said}");
        assert!(!said.contains("[boot-files-not-found]"), "{said}");
    }
}
