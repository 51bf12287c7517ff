// SPDX-License-Identifier: LGPL-2.1-or-later
//! Entries and files beside this system's own: snapshots, other systems, what a removed loader left behind, what tools make.
//! The machines are `tests/common/boots_limine.rs` and `boots_made.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::boot_tools::BootMachine;
use common::boots::{self, Boot};
use std::ops::Deref;

const PARAMETER: &str = "iommu=pt";

/// A machine that wants one parameter, with its tools.
struct Bench(BootMachine);

impl Deref for Bench {
    type Target = BootMachine;

    fn deref(&self) -> &BootMachine {
        &self.0
    }
}

impl Bench {
    fn new(boot: &Boot) -> Bench {
        Bench(BootMachine::new(boot, "[host]\niommu = on\n", &[]))
    }

    fn of(name: &str) -> Bench {
        Bench::new(&boots::of(name))
    }

    /// The next boot has what an entry of its own had.
    fn reboot(&self, with: &str) {
        let line = self.tree.read("proc/cmdline");
        self.tree.write("proc/cmdline", &format!("{} {with}\n", line.trim_end()));
    }
}

/// The words of each line of a file that says this, sorted.
fn words(text: &str, what: &str) -> Vec<Vec<String>> {
    let words = |line: &str| {
        let mut words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        words.sort();
        words
    };
    text.lines().filter(|line| line.contains(what)).map(words).collect()
}

/// The same with one more.
fn with(mut words: Vec<String>) -> Vec<String> {
    words.push(PARAMETER.to_owned());
    words.sort();
    words
}

#[test]
fn snapshots_and_other_systems_keep_what_they_had() {
    let bench = Bench::of("omarchy-limine");
    bench.tools.tool(&bench.tree, &["limine-update"]);
    let before = bench.tree.read("boot/limine.conf");
    bench.said(&["cmdline", "apply"], 0);
    let after = bench.tree.read("boot/limine.conf");
    let (was, is) = (words(&before, "cmdline:"), words(&after, "cmdline:"));
    assert_eq!(is[0], with(was[0].clone()));
    // A snapshot's, and another machine's.
    assert_eq!(is[2..], was[2..]);
    bench.reboot(PARAMETER);
    let status = bench.said(&["cmdline", "status"], 0);
    assert!(!status.contains("without"), "{status}");
    // A kernel's update has the tool make the menu again.
    bench.tools.tool(&bench.tree, &["limine-update"]);
    assert_eq!(bench.tree.read("boot/limine.conf"), after);
    assert!(bench.said(&["cmdline", "apply"], 0).contains("nothing to do"));
    bench.said(&["cmdline", "revert"], 0);
    assert_eq!(bench.tree.read("boot/limine.conf"), before);
    assert!(!bench.tree.exists("etc/limine-entry-tool.d/zz-vfio.conf"));
}

/// Whatever the tool puts between what its files add: no parameter grows together with another's.
#[test]
fn a_drop_in_of_limine_stands_alone() {
    let bench = Bench::of("omarchy-limine");
    bench.tree.write("etc/default/limine", "KERNEL_CMDLINE[default]+=root=/dev/mapper/root rw\n");
    bench.said(&["cmdline", "apply"], 0);
    let menu = bench.tree.read("boot/limine.conf");
    assert!(menu.contains(&format!(" {PARAMETER} root=/dev/mapper/root rw\n")), "{menu}");
}

#[test]
fn the_exact_line_is_said_where_no_layer_of_limine_has_one() {
    let bench =
        Bench::new(&boots::of("limine-kernel-cmdline").without("etc/kernel/cmdline").file("etc/default/limine", ""));
    let said = bench.said(&["cmdline", "apply"], 2);
    let line = "KERNEL_CMDLINE[default]+=cryptdevice=PARTUUID=f9:root root=/dev/mapper/root rw";
    assert!(said.contains(line) && !said.contains("initrd="), "{said}");
    // From a snapshot it would be the snapshot's.
    bench.tree.write("proc/cmdline", "root=/dev/mapper/root rootflags=subvol=/@/.snapshots/1/snapshot\n");
    let said = bench.said(&["cmdline", "apply"], 2);
    assert!(said.contains("/etc/kernel/cmdline") && !said.contains("subvol="), "{said}");
    // A kernel's own line in a file that is not ours.
    let bench = Bench::of("omarchy-limine");
    bench.tree.write("etc/limine-entry-tool.d/lts.conf", "KERNEL_CMDLINE[linux-lts]=root=/dev/mapper/root\n");
    let said = bench.said(&["cmdline", "apply"], 2);
    assert!(said.contains("/etc/limine-entry-tool.d/lts.conf: sets KERNEL_CMDLINE[linux-lts]"), "{said}");
    // For emergencies it is left alone.
    bench.tree.write("etc/limine-entry-tool.d/lts.conf", "KERNEL_CMDLINE[fallback]=root=/dev/mapper/root\n");
    bench.said(&["cmdline", "apply"], 0);
}

#[test]
fn another_distribution_in_a_menu_is_left_alone_and_said() {
    for (name, path, other) in [
        ("archinstall-limine", "boot/EFI/arch-limine/limine.conf", "root=PARTUUID=cd-34 ro quiet"),
        ("refind-include", "boot/EFI/refind/manual.conf", "root=UUID=bb rw"),
    ] {
        let bench = Bench::of(name);
        let before = bench.tree.read(path);
        let said = bench.said(&["cmdline", "plan"], 0);
        assert!(said.contains("'Debian' starts another system"), "{name}: {said}");
        bench.said(&["cmdline", "apply"], 0);
        let after = bench.tree.read(path);
        assert!(words(&after, other).iter().flatten().all(|word| !word.contains(PARAMETER)), "{name}: {after}");
        assert_eq!(after.matches(PARAMETER).count(), 1, "{name}: the one entry of this system");
        // With those for emergencies, of which one of the menus has one.
        bench.said(&["cmdline", "apply", "--rescue"], 0);
        let emergencies = usize::from(after.contains("fallback"));
        assert_eq!(bench.tree.read(path).matches(PARAMETER).count(), 1 + emergencies, "{name}");
        bench.said(&["cmdline", "revert"], 0);
        assert_eq!(bench.tree.read(path), before, "{name}");
    }
    // Two systems without a machine-id in their entries on one ESP.
    let bench =
        Bench::new(&boots::of("arch-systemd-boot").file(
            "boot/loader/entries/debian.conf",
            "title Debian\nlinux /debian/linux\noptions root=PARTUUID=34 ro\n",
        ));
    let said = bench.said(&["cmdline", "apply"], 0);
    assert!(!said.contains("debian.conf: +"), "{said}");
    assert!(!bench.tree.read("boot/loader/entries/debian.conf").contains(PARAMETER));
}

/// Of an earlier version, which knew nothing of snapshots.
#[test]
fn what_was_put_into_a_snapshot_before_is_taken_out() {
    let menu = "/+Arch\n//linux\nprotocol: linux\ncmdline: root=/dev/sda2 rw iommu=pt\n//Snapshots\n///1\n\
                protocol: linux\ncmdline: root=/dev/sda2 rw iommu=pt\n";
    let bench =
        Bench::new(&boots::of("limine-by-hand").without("boot/limine.cfg").file("boot/limine/limine.conf", menu));
    let owned = |key: &str| format!("{{\"key\": \"{key}\", \"words\": [\"iommu=pt\"]}}");
    let record = format!(
        "{{\"version\": 1, \"places\": {{\"boot/limine/limine.conf\": [{}, {}]}}}}",
        owned("Arch/linux"),
        owned("Arch/Snapshots/1")
    );
    bench.tree.write("var/lib/vfio/cmdline", &record);
    bench.tree.write("proc/cpuinfo", "vendor_id\t: AuthenticAMD\n");
    bench.said(&["cmdline", "apply"], 0);
    let menu = bench.tree.read("boot/limine/limine.conf");
    assert_eq!(menu.matches(PARAMETER).count(), 1, "{menu}");
    bench.said(&["cmdline", "revert"], 0);
    assert_eq!(bench.tree.read("boot/limine/limine.conf").matches(PARAMETER).count(), 0);
}

#[test]
fn what_is_left_of_a_loader_is_no_error() {
    let bench = Bench::of("left-over-grub");
    let said = bench.said(&["cmdline", "apply"], 0);
    assert!(said.contains("changed: systemd-boot;"), "{said}");
    bench.reboot("intel_iommu=on iommu=pt");
    let status = bench.said(&["cmdline", "status"], 0);
    assert!(status.contains("/etc/default/grub, /boot/grub/grub.cfg are taken for what is left of it"), "{status}");
    let doctor = bench.said(&["doctor", "--only", "boot"], 0);
    assert!(!doctor.contains("grub-mkconfig"), "{doctor}");
    assert!(!bench.tree.read("etc/default/grub").contains(PARAMETER));
    // What was put in while it was there goes.
    let bench = Bench::of("left-over-grub");
    bench.tree.write("usr/bin/grub-mkconfig", "#!/bin/sh\n. ${sysconfdir}/default/grub\n");
    bench.said(&["cmdline", "apply"], 0);
    assert!(bench.tree.read("etc/default/grub").contains(PARAMETER));
    bench.tree.remove("usr/bin/grub-mkconfig");
    bench.said(&["cmdline", "revert"], 0);
    assert_eq!(bench.tree.read("etc/default/grub"), "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\n");
    // Nobody says what booted: it may be this one.
    let loader = "sys/firmware/efi/efivars/LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
    let said = Bench::new(&boots::of("left-over-grub").without(loader)).said(&["cmdline", "apply"], 2);
    assert!(said.contains("grub-mkconfig is not there"), "{said}");
    // Of another loader a menu that cannot be changed.
    let menu = ":Linux\nPROTOCOL=linux\nCMDLINE=root=UUID=ab ro\n";
    let bench = Bench::new(&boots::of("arch-systemd-boot").file("boot/limine.cfg", menu));
    let said = bench.said(&["cmdline", "apply"], 0);
    assert!(said.contains("Limine before 8") && said.contains("did not start this boot"), "{said}");
}

#[test]
fn a_menu_without_a_linux_shows_nothing() {
    let windows = "timeout: 5\n/Windows\n    protocol: efi\n    path: boot():/EFI/Microsoft/Boot/bootmgfw.efi\n";
    let bench = Bench::new(&boots::of("archinstall-limine").file("boot/EFI/arch-limine/limine.conf", windows));
    let said = bench.said(&["cmdline", "apply"], 2);
    assert!(said.contains("no entry of this system is in /boot/EFI/arch-limine/limine.conf"), "{said}");
    bench.reboot("intel_iommu=on iommu=pt");
    let status = bench.said(&["cmdline", "status"], 1);
    assert!(status.contains("no boot loader that vfio knows"), "{status}");
}

#[test]
fn what_a_person_has_to_do_is_said_until_it_is_done() {
    let bench = Bench::of("nixos");
    let line = "boot.kernelParams = [ \"iommu=pt\" ];";
    for verb in ["status", "plan"] {
        let status = if verb == "status" { 1 } else { 2 };
        let said = bench.said(&["cmdline", verb], status);
        assert!(said.contains(line), "{said}");
    }
    assert!(bench.said(&["doctor", "--only", "boot"], 2).contains(line));
    assert!(bench.said(&["sync"], 1).contains(line));
    // nixos-rebuild makes another system, which the profile leads to.
    bench.tree.write("nix/store/y/kernel-params", "loglevel=4 iommu=pt");
    bench.tree.remove("nix/var/nix/profiles/system-7-link");
    std::os::unix::fs::symlink("../../../store/y", bench.tree.join("nix/var/nix/profiles/system-7-link")).unwrap();
    assert!(bench.said(&["cmdline", "apply"], 0).contains("nothing to do"));
    bench.reboot(PARAMETER);
    assert!(!bench.said(&["cmdline", "status"], 0).contains("without"));

    let bench = Bench::of("zfsbootmenu");
    assert!(bench.said(&["cmdline", "status"], 1).contains("zbm-kcl -a 'iommu=pt' zroot/ROOT/void"));
    bench.reboot(PARAMETER);
    assert!(!bench.said(&["cmdline", "status"], 0).contains("zbm-kcl"));

    let bench = Bench::of("void-systemd-boot-no-source");
    let said = bench.said(&["cmdline", "apply"], 2);
    assert!(said.contains("CMDLINE=\"rootfstype=ext4 root=UUID=0a quiet rw iommu=pt\""), "{said}");
    assert!(bench.tree.read("boot/loader/entries/void-x86_64-6.12.41_1.conf").contains(PARAMETER));
}

/// The entry of a new kernel is made with the source.
#[test]
fn the_next_kernel_of_solus_and_void() {
    let bench = Bench::of("solus");
    bench.said(&["cmdline", "apply"], 0);
    let (now, next) = ("Solus-current-6.12.41-321.conf", "Solus-current-6.12.57-330.conf");
    let entry = bench.tree.read(&format!("boot/loader/entries/{now}"));
    bench.tree.write(&format!("boot/loader/entries/{next}"), "title Solus\nlinux /x\noptions root=PARTUUID=9c x\n");
    bench.tools.tool(&bench.tree, &["clr-boot-manager", "update"]);
    let options = |text: &str| words(text, "options").concat();
    assert_eq!(options(&bench.tree.read(&format!("boot/loader/entries/{next}"))), options(&entry));
    bench.said(&["cmdline", "revert"], 0);
    assert!(!bench.tree.read(&format!("boot/loader/entries/{next}")).contains(PARAMETER));

    let bench = Bench::of("void-systemd-boot");
    bench.said(&["cmdline", "apply"], 0);
    assert!(bench.tree.read("etc/default/systemd-boot").ends_with("CMDLINE=\"root=UUID=0a rw quiet iommu=pt\"\n"));
}

/// Void's kernel hook has its new entry from `CMDLINE`, ours included, and tells nobody.
#[test]
fn an_entry_that_voids_hook_wrote_between_keeps_nothing_of_ours() {
    let (first, next) = ("6.12.41_1", "6.12.57_1");
    let entry = |version: &str| format!("boot/loader/entries/void-x86_64-{version}.conf");
    let plain = |version: &str| {
        let machine = Bench::of("void-systemd-boot");
        machine.tool(&["50-systemd-boot", version]);
        machine.tree.read(&entry(version))
    };
    let bench = Bench::of("void-systemd-boot");
    let before = bench.tree.snapshot();
    bench.said(&["cmdline", "apply"], 0);
    bench.tool(&["50-systemd-boot", next]);
    bench.tool(&["50-systemd-boot", first]);
    assert!(bench.tree.read(&entry(next)).contains(PARAMETER));
    assert!(bench.said(&["cmdline", "apply"], 0).contains("nothing to do"));
    bench.said(&["cmdline", "revert"], 0);
    assert_eq!(bench.tree.read(&entry(next)), plain(next));
    bench.tree.remove(&entry(next));
    bench.tree.assert_same(&before, "reverted");

    // Written between an apply and one with other parameters.
    let bench = Bench::of("void-systemd-boot");
    bench.said(&["cmdline", "apply"], 0);
    bench.tool(&["50-systemd-boot", next]);
    bench.tree.config("[host]\niommu = on\niommu-passthrough = no\nkernel-parameters = lab.word=1\n");
    bench.said(&["cmdline", "apply"], 0);
    for version in [first, next] {
        let options = words(&bench.tree.read(&entry(version)), "options").concat();
        assert_eq!(options, ["lab.word=1", "options", "quiet", "root=UUID=0a", "rw"], "{version}");
    }
    bench.said(&["cmdline", "revert"], 0);
    assert_eq!([first, next].map(|version| bench.tree.read(&entry(version))), [first, next].map(plain));

    // What the user has in an entry, and not in the source, stays the user's.
    let bench = Bench::of("void-systemd-boot");
    let theirs = bench.tree.read(&entry(first)).replace("rw quiet", "rw quiet iommu=pt");
    bench.tree.write(&entry(first), &theirs);
    bench.said(&["cmdline", "apply"], 0);
    bench.tool(&["50-systemd-boot", next]);
    bench.said(&["cmdline", "revert"], 0);
    assert_eq!((bench.tree.read(&entry(first)), bench.tree.read(&entry(next))), (theirs, plain(next)));
    assert!(!bench.tree.exists("var/lib/vfio/cmdline"));
}
