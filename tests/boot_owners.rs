// SPDX-License-Identifier: LGPL-2.1-or-later
//! Tools that own boot entries: kernelstub, sdbootutil, rpm-ostree, bootc, proxmox-boot-tool. What they do not do although they
//! end well, what they would take out, and that status, doctor, sync and the next kernel agree. The stand-ins
//! (`boot-tools.sh`) say what they were compared with.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::boot_tools::{staged, BootMachine, BootTools};
use common::boots;
use std::ops::Deref;

const CONFIGURATION: &str = "[host]\niommu = on\nkernel-parameters = lab.word=1\n";
const INTEL: &str = "intel_iommu=on iommu=pt lab.word=1";
const AMD: &str = "iommu=pt lab.word=1";
/// What a deployment has.
const DEPLOYED: &str = "root=UUID=56 rw quiet rhgb ostree=/ostree/boot.1/fedora/x/0";

struct Machine(BootMachine);

impl Deref for Machine {
    type Target = BootMachine;

    fn deref(&self) -> &BootMachine {
        &self.0
    }
}

impl Machine {
    fn new(name: &str) -> Machine {
        Machine::of(boots::of(name))
    }

    fn of(boot: boots::Boot) -> Machine {
        let with = format!("{DEPLOYED} {INTEL}");
        Machine(BootMachine::new(&boot, CONFIGURATION, &[DEPLOYED, &with]))
    }

    fn tool(&self, words: &[&str]) {
        self.0.tool(words);
        BootTools::ran(&self.tree);
    }

    /// The next boot, with these parameters beside the usual ones.
    fn reboot(&self, usual: &str, parameters: &str) {
        self.tool(&["ostree", "admin", "finalize-staged"]);
        self.tree.write("proc/cmdline", format!("{} {parameters}", usual.trim_end()).trim_end());
    }

    /// Status, doctor and sync have nothing to say but what is right, and nothing is run.
    #[track_caller]
    fn is_well(&self) {
        BootTools::ran(&self.tree);
        self.said(&["cmdline", "status"], 0);
        let said = self.said(&["doctor", "--only", "boot", "--json"], 0);
        assert!(!said.contains("\"error\"") && !said.contains("\"warning\""), "{said}");
        self.said(&["sync"], 0);
        assert!(self.said(&["cmdline", "apply"], 0).contains("nothing to do"));
        assert_eq!(BootTools::ran(&self.tree), [""; 0]);
    }
}

/// After the reboot all is well, also when the tool has run for the next kernel; without the configuration nothing is left.
#[test]
fn the_next_boot_and_the_next_kernel_are_as_required() {
    for (name, parameters, next_kernel) in [
        ("pop-os", INTEL, &["kernelstub"][..]),
        ("opensuse-sdbootutil", AMD, &["sdbootutil", "update-all-entries"]),
        ("proxmox-zfs", INTEL, &["proxmox-boot-tool", "refresh"]),
        ("proxmox-grub", INTEL, &["proxmox-boot-tool", "refresh"]),
        ("fedora-silverblue", INTEL, &["ostree", "admin", "finalize-staged"]),
        ("fedora-bootc", INTEL, &["ostree", "admin", "finalize-staged"]),
    ] {
        let machine = Machine::new(name);
        let usual = machine.tree.read("proc/cmdline");
        machine.said(&["sync"], 0);
        machine.reboot(&usual, parameters);
        machine.is_well();
        machine.tool(next_kernel);
        machine.is_well();
        machine.tree.config("");
        machine.said(&["sync"], 0);
        machine.reboot(&usual, "");
        machine.is_well();
        assert!(!machine.tree.exists("var/lib/vfio/cmdline"), "{name}");
    }
}

/// kernelstub prints an error and ends with 0 where it finds no kernel.
#[test]
fn a_kernelstub_that_did_nothing_has_failed() {
    let machine = Machine::new("pop-os");
    machine.tree.remove("boot/vmlinuz-6.16.3-76061603-generic");
    let before = machine.tree.snapshot();
    let said = machine.said(&["cmdline", "apply"], 2);
    let why =
        "ended without an error, but /etc/kernelstub/configuration does not have intel_iommu=on iommu=pt lab.word=1: \
               Can't find the kernel image '/vmlinuz'!";
    assert!(said.contains(why) && said.matches("Can't find").count() == 1, "{said}");
    machine.tree.assert_same(&before, "nothing was done");
    assert!(!machine.tree.exists("var/lib/vfio/cmdline"));
}

/// The list keeps its order and what is in it twice, and comes back byte for byte.
#[test]
fn kernelstub_gets_the_whole_list() {
    let machine = Machine::new("pop-os");
    let list = ["a=1", "b", "a=1", "quiet", "hugepagesz=1G", "hugepages=4", "hugepagesz=2M", "hugepages=64"];
    let settings = boots::kernelstub(&list);
    machine.tree.write("etc/kernelstub/configuration", &settings);
    machine.said(&["cmdline", "apply"], 0);
    let said = BootTools::ran(&machine.tree);
    assert_eq!(said, [format!("kernelstub -o {} {INTEL}", list.join(" "))]);
    machine.said(&["cmdline", "revert"], 0);
    assert_eq!(machine.tree.read("etc/kernelstub/configuration"), settings);
    // An entry that is behind is made again.
    machine.said(&["cmdline", "apply"], 0);
    let entry = "boot/efi/loader/entries/Pop_OS-current.conf";
    machine.tree.write(entry, &machine.tree.read(entry).replace(" iommu=pt", ""));
    BootTools::ran(&machine.tree);
    machine.said(&["cmdline", "apply"], 0);
    assert_eq!(BootTools::ran(&machine.tree), ["kernelstub"]);
    assert!(machine.tree.read(entry).contains(" iommu=pt"));
}

/// Before it has run for the first time its list is elsewhere.
#[test]
fn kernelstub_before_its_first_run() {
    let first = boots::kernelstub(&["quiet", "splash"]);
    let boot = boots::of("pop-os").without("etc/kernelstub/configuration").file("etc/default/kernelstub", &first);
    let machine = Machine::of(boot);
    machine.said(&["cmdline", "apply"], 0);
    assert_eq!(machine.tree.read("etc/default/kernelstub"), first);
    assert_eq!(
        machine.tree.read("etc/kernelstub/configuration"),
        boots::kernelstub(&["quiet", "splash", "intel_iommu=on", "iommu=pt", "lab.word=1"])
    );
    machine.said(&["cmdline", "revert"], 0);
    // What kernelstub writes whenever it runs stays.
    assert_eq!(machine.tree.read("etc/kernelstub/configuration"), first);
    assert!(!machine.tree.exists("var/lib/vfio/cmdline"));
}

#[test]
fn values_that_kernelstub_would_change_are_refused() {
    let machine = Machine::new("pop-os");
    machine.tree.config("[host]\niommu = on\nkernel-parameters = x=\"1  2\"\n");
    let before = machine.tree.snapshot();
    let said = machine.said(&["cmdline", "apply"], 2);
    assert!(said.contains("/etc/kernelstub/configuration: has a value in quotes"), "{said}");
    machine.tree.assert_same(&before, "nothing was done");
}

/// What a tool would take out of entries is found before it runs, and the line to mend is named.
#[test]
fn sdbootutil_takes_nothing_out() {
    let line = "root=UUID=78 splash=silent";
    let entry = "boot/efi/loader/entries/opensuse-6.17.2-1-default-4.conf";
    for (path, from, to, why) in [
        (
            "etc/kernel/cmdline",
            "silent\n",
            "silent",
            "/etc/kernel/cmdline:1: has no line end, and sdbootutil leaves such a line out, so 'splash=silent' would go",
        ),
        (
            entry,
            "silent",
            "silent only=here",
            "entries/opensuse-6.17.2-1-default-4.conf: 'only=here' stands in this entry alone",
        ),
        ("etc/kernel/cmdline", line, "root=UUID=78 splash=silent a|b", "sdbootutil cannot write 'a|b'"),
        (entry, "root=UUID=78", "root=UUID=99", "is not of the running system"),
        (entry, "snapshots/4", "snapshots/2", "is not of the running system"),
    ] {
        let machine = Machine::new("opensuse-sdbootutil");
        machine.tree.write(path, &machine.tree.read(path).replace(from, to));
        let before = machine.tree.snapshot();
        for arguments in [&["cmdline", "plan"][..], &["cmdline", "apply"]] {
            let said = machine.said(arguments, 2);
            assert!(said.contains(why), "{said}");
        }
        assert!(machine.said(&["doctor", "--only", "boot"], 2).contains(why));
        machine.tree.assert_same(&before, why);
        assert_eq!(BootTools::ran(&machine.tree), [""; 0]);
    }
    // The same before a revert.
    let machine = Machine::new("opensuse-sdbootutil");
    machine.said(&["cmdline", "apply"], 0);
    machine.tree.write("etc/kernel/cmdline", line);
    let before = machine.tree.snapshot();
    assert!(machine.said(&["cmdline", "revert"], 2).contains("/etc/kernel/cmdline:1: has no line end"));
    machine.tree.assert_same(&before, "nothing was reverted");
    machine.tree.write("etc/kernel/cmdline", &format!("{line}\n"));
    machine.said(&["cmdline", "revert"], 0);
    assert!(!machine.tree.read(entry).contains("iommu=pt") && !machine.tree.exists("var/lib/vfio/cmdline"));
}

/// A drop-in without a line end is not read by sdbootutil, so what stands in it is not there.
#[test]
fn sdbootutil_does_not_read_an_open_line() {
    let machine = Machine::new("opensuse-sdbootutil");
    machine.tree.write("etc/kernel/cmdline.d/10-mine.conf", "iommu=pt");
    let said = machine.said(&["cmdline", "apply"], 0);
    assert!(
        said.contains("/etc/kernel/cmdline.d/10-mine.conf:1: has no line end, so sdbootutil does not read iommu=pt")
    );
    assert_eq!(machine.tree.read("etc/kernel/cmdline.d/vfio.conf"), "iommu=pt lab.word=1\n");
    // With one it is, and ours has the rest. A parameter of theirs against ours is named.
    let machine = Machine::new("opensuse-sdbootutil");
    machine.tree.write("etc/kernel/cmdline.d/10-mine.conf", "iommu=pt\n");
    machine.tree.write("etc/kernel/cmdline.d/20-mine.conf", "iommu.passthrough=0\n");
    let said = machine.said(&["cmdline", "apply"], 0);
    assert!(said.contains("/etc/kernel/cmdline.d/20-mine.conf: 'iommu.passthrough=0' is against what"), "{said}");
    assert_eq!(machine.tree.read("etc/kernel/cmdline.d/vfio.conf"), "lab.word=1\n");
}

/// Without a source the running kernel's parameters would be baked in.
#[test]
fn tools_without_a_source_are_not_run() {
    for name in ["opensuse-sdbootutil", "proxmox-zfs"] {
        let machine = Machine::of(boots::of(name).without("etc/kernel/cmdline"));
        let said = machine.said(&["cmdline", "apply"], 2);
        assert!(said.contains("/etc/kernel/cmdline: is not there, so entries get whatever"), "{name}: {said}");
        assert_eq!(BootTools::ran(&machine.tree), [""; 0], "{name}");
    }
}

/// A deployment is staged until the shutdown: what it has counts.
#[test]
fn a_staged_deployment_is_the_next_boot() {
    for (name, tool) in [("fedora-silverblue", "rpm-ostree kargs "), ("fedora-bootc", "bootc loader-entries ")] {
        let machine = Machine::new(name);
        let (usual, entry) = (machine.tree.read("proc/cmdline"), "boot/loader.1/entries/ostree-2.conf");
        let before = machine.tree.read(entry);
        let said = machine.said(&["cmdline", "apply"], 0);
        assert!(said.contains("it counts from the next boot on"), "{name}: {said}");
        assert_eq!(machine.tree.read(entry), before, "{name}: it is staged");
        let said = machine.said(&["cmdline", "status"], 1);
        assert!(said.contains("(takes effect at the next boot)") && said.contains("as required"), "{name}: {said}");
        let said = machine.said(&["doctor", "--only", "boot", "--json"], 1);
        assert!(!said.contains("\"error\""), "{name}: {said}");
        BootTools::ran(&machine.tree);
        assert!(machine.said(&["cmdline", "apply"], 0).contains("nothing to do"), "{name}");
        machine.said(&["sync"], 0);
        assert_eq!(BootTools::ran(&machine.tree), [""; 0], "{name}");

        // A revert before the reboot.
        machine.said(&["cmdline", "revert"], 0);
        let ran = BootTools::ran(&machine.tree);
        assert!(ran.len() == 1 && ran[0].starts_with(tool), "{name}: {ran:?}");
        assert!(!machine.tree.exists("var/lib/vfio/cmdline"), "{name}");
        machine.reboot(&usual, "");
        assert_eq!(machine.tree.read(entry), before, "{name}: nothing stays");

        // Somebody took the staged deployment back: nothing is there to revert.
        machine.said(&["cmdline", "apply"], 0);
        std::fs::remove_dir_all(machine.tree.join("run/ostree")).unwrap();
        assert!(machine.said(&["cmdline", "revert"], 0).contains("nothing to do"), "{name}");
        assert!(!machine.tree.exists("var/lib/vfio/cmdline"), "{name}");
    }
}

/// What cannot be read is said, and the record stays.
#[test]
fn a_staged_deployment_that_cannot_be_read() {
    let machine = Machine::new("fedora-silverblue");
    machine.said(&["cmdline", "apply"], 0);
    let record = machine.tree.read("var/lib/vfio/cmdline");
    machine.tree.write("run/ostree/staged-deployment", "something else");
    for verb in ["apply", "revert"] {
        let said = machine.said(&["cmdline", verb], 2);
        assert!(said.contains("/run/ostree/staged-deployment: is not as ostree writes it"), "{verb}: {said}");
        assert_eq!(machine.tree.read("var/lib/vfio/cmdline"), record, "{verb}");
    }
    // One that was staged for something else has the parameters of the booted one, unless it says its own.
    let line = format!("{DEPLOYED} {INTEL}");
    std::fs::write(machine.tree.join("run/ostree/staged-deployment"), staged(&line)).unwrap();
    assert!(machine.said(&["cmdline", "apply"], 0).contains("nothing to do"));
}

/// bootc that is too old to change parameters, and none at all.
#[test]
fn an_image_without_its_tool_is_said() {
    for (boot, why) in [
        (
            boots::of("fedora-bootc").programs(&["usr/bin/bootc"]),
            "a bootc that knows set-options-for-source (1.16) is not there",
        ),
        (boots::of("fedora-bootc").without("usr/bin/bootc"), "rpm-ostree is not there"),
    ] {
        let machine = Machine::of(boot);
        let before = machine.tree.snapshot();
        let said = machine.said(&["cmdline", "apply"], 2);
        assert!(said.contains(why), "{said}");
        machine.tree.assert_same(&before, why);
    }
}

/// With composefs parameters come with the image, and so does the initramfs: nothing here is changed or built.
#[test]
fn an_image_with_composefs_is_left_alone() {
    let machine = Machine::new("bootc-composefs");
    machine.tree.config(&format!("{CONFIGURATION}[gpu big]\ndevice = 0000:03:00.0\n"));
    let (before, usual) = (machine.tree.snapshot(), machine.tree.read("proc/cmdline"));
    let why = "add 'kargs = [\"intel_iommu=on\", \"iommu=pt\", \"lab.word=1\"]' to a file in /usr/lib/bootc/kargs.d";
    let said = machine.said(&["sync"], 1);
    assert!(said.contains(why) && said.contains("is not built here"), "{said}");
    assert!(machine.said(&["doctor", "--only", "boot"], 2).contains(why));
    machine.tree.assert_same(&before, "sync");
    assert_eq!(BootTools::ran(&machine.tree), [""; 0]);
    // Once the image has them, all is well.
    let entry = "boot/efi/loader/entries/bootc_fedora-43.20251125.0-1.conf";
    machine.tree.write(entry, &machine.tree.read(entry).replace("composefs=2aa5", &format!("composefs=2aa5 {INTEL}")));
    machine.reboot(&usual, INTEL);
    machine.tree.config(CONFIGURATION);
    machine.is_well();
}

/// proxmox-boot-tool skips partitions and kernels, and ends with 0.
#[test]
fn a_partition_that_was_skipped_is_a_failure() {
    let first = "etc/kernel/cmdline";
    let skipped = "mount of /dev/disk/by-uuid/ABCD-5678 failed - skipping";
    let no_kernel = "No linux-image /boot/vmlinuz-6.8.12-1-pve found - skipping";
    for (name, changed, why) in [
        ("proxmox-zfs", "unmounted/ABCD-5678/unmountable", skipped),
        ("proxmox-grub", "unmounted/ABCD-5678/unmountable", skipped),
        ("proxmox-zfs", "", no_kernel),
    ] {
        let machine = Machine::new(name);
        match changed {
            "" => machine.tree.remove("boot/vmlinuz-6.8.12-1-pve"),
            path => machine.tree.write(path, ""),
        }
        let before = machine.tree.read("etc/default/grub");
        let said = machine.said(&["cmdline", "apply"], 2);
        assert!(said.contains(&format!("'proxmox-boot-tool refresh' ended without an error, but: {why}")), "{said}");
        assert_eq!(said.matches("ended without an error").count(), 1, "{said}");
        assert_eq!(machine.tree.read("etc/default/grub"), before);
        assert!(!machine.tree.exists("etc/default/grub.d/95-vfio.cfg") && !machine.tree.exists("var/lib/vfio/cmdline"));
        assert!(!machine.tree.exists(first) || !machine.tree.read(first).contains("iommu"));
    }
    // A disk of a mirror that is gone is warned of by the tool.
    let machine = Machine::new("proxmox-zfs");
    machine.tree.remove("dev/disk/by-uuid/ABCD-5678");
    machine.said(&["cmdline", "apply"], 0);
    let entry = |uuid: &str| machine.tree.read(&format!("unmounted/{uuid}/loader/entries/proxmox-6.8.12-1-pve.conf"));
    assert!(entry("ABCD-1234").contains(INTEL) && !entry("ABCD-5678").contains("iommu"));
}

/// The partitions are not mounted, and that is said.
#[test]
fn what_is_on_partitions_of_proxmox_is_not_shown() {
    let note = "the partitions that /etc/kernel/proxmox-boot-uuids names are not mounted";
    for name in ["proxmox-zfs", "proxmox-grub"] {
        assert_eq!(Machine::new(name).said(&["cmdline", "status"], 1).matches(note).count(), 1, "{name}");
    }
    assert!(!Machine::new("debian-grub").said(&["cmdline", "status"], 1).contains(note));
}

/// Only the first line of its source counts, whatever is in it.
#[test]
fn proxmox_reads_one_line() {
    let line = "root=ZFS=rpool/ROOT/pve-1 boot=zfs";
    for (text, with, why) in [
        (format!("{line}\nquiet\n"), Some(format!("{line} {INTEL}\nquiet\n")), ""),
        (line.to_owned(), Some(format!("{line} {INTEL}")), ""),
        (format!("{line} \r\n"), Some(format!("{line} {INTEL} \r\n")), ""),
        (
            format!("# {line}\n{line}\n"),
            None,
            "/etc/kernel/cmdline:1: is a comment, and proxmox-boot-tool reads no other line",
        ),
        (format!("\n{line}\n"), None, "/etc/kernel/cmdline:1: has no root="),
    ] {
        let machine = Machine::new("proxmox-zfs");
        machine.tree.write("etc/kernel/cmdline", &text);
        let said = machine.said(&["cmdline", "apply"], if with.is_some() { 0 } else { 2 });
        assert!(said.contains(why), "{said}");
        assert_eq!(machine.tree.read("etc/kernel/cmdline"), with.unwrap_or_else(|| text.clone()));
        machine.vfio(&["cmdline", "revert"]);
        assert_eq!(machine.tree.read("etc/kernel/cmdline"), text);
    }
}

/// Which loader is on the partitions is not seen: what booted says it, or both sources are looked after.
#[test]
fn proxmox_with_either_loader() {
    let zfs = boots::of("proxmox-zfs");
    let variable = "sys/firmware/efi/efivars/LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
    let refresh = "proxmox-boot-tool refresh";
    let (grub, cmdline) = ("etc/default/grub.d/95-vfio.cfg", "etc/kernel/cmdline");
    for (boot, changed, tools) in [
        (zfs.clone(), &[cmdline][..], &[refresh][..]),
        (zfs.clone().variable("LoaderInfo", "GRUB 2.12"), &[grub], &["update-grub", refresh]),
        (
            zfs.clone().without(variable).file("sys/firmware/efi/fw_platform_size", "64"),
            &[cmdline, grub],
            &["update-grub", refresh],
        ),
        // It looks after none: GRUB is as on any Debian.
        (zfs.clone().without(variable).file("etc/kernel/proxmox-boot-uuids", ""), &[grub], &["update-grub"]),
        // A last line without a line end is not read by it.
        (zfs.clone().without(variable).file("etc/kernel/proxmox-boot-uuids", "ABCD-1234"), &[grub], &["update-grub"]),
    ] {
        let machine = Machine::of(boot);
        machine.tool(&["update-grub"]);
        machine.said(&["cmdline", "apply"], 0);
        let has = |path: &str| machine.tree.exists(path) && machine.tree.read(path).contains("lab.word=1");
        let found: Vec<&str> = [cmdline, grub].into_iter().filter(|path| has(path)).collect();
        assert_eq!(found, changed);
        let mut ran = BootTools::ran(&machine.tree);
        ran.retain(|run| !run.starts_with("grub-script-check"));
        assert_eq!(ran, tools, "{changed:?}");
    }
    let machine = Machine::of(zfs.file("etc/kernel/proxmox-boot-uuids", "FFFF-0000\n"));
    let said = machine.said(&["cmdline", "apply"], 2);
    assert!(said.contains("/etc/kernel/proxmox-boot-uuids: names no partition that is there"), "{said}");
}
