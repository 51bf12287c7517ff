// SPDX-License-Identifier: LGPL-2.1-or-later
//! Machines whose root is on what the configuration names: refused, and they boot, whatever an image holds.

use super::probed;
use crate::checks::Checks;
use crate::cpio::Archive;
use crate::images::Disk;
use crate::layers::Initramfs;
use crate::machine::{Boot, Machine};
use crate::qemu::{self, Outcome};
use anyhow::Result;

/// The disk's function.
const DISK: &str = "0000:04:00.0";

/// It is named: the host may lose it, says the file.
const NAMED: &str = "\
[gpu big]
device = 0000:03:00.0
identity = 1234:1111
also = 0000:04:00.0
bind = boot
";

/// Written past all checks: the disk itself is to be the card.
const PAST_ALL_CHECKS: &str = "[gpu disk]\ndevice = 0000:04:00.0\nbind = boot\n";

/// A card and the disk behind one switch, as below a chipset.
fn chipset(boot: &mut Boot) {
    let port = |n: u32| format!("-device xio3130-downstream,id=down{n},bus=up,chassis={0},slot={0}", n + 10);
    boot.devices = vec![
        "-device pcie-root-port,id=rp1,chassis=1,slot=1".to_owned(),
        "-device x3130-upstream,id=up,bus=rp1".to_owned(),
        port(1),
        port(2),
        "-device secondary-vga,bus=down1,addr=0.0,multifunction=on".to_owned(),
        "-device intel-hda,id=sound,bus=down1,addr=0.1,multifunction=on".to_owned(),
        "-device hda-output,bus=sound.0,audiodev=silence".to_owned(),
        qemu::host_display(),
    ];
    boot.attached = (vec!["-device nvme,drive=disk,serial=lab,bus=down2,addr=0.0".to_owned()], "/dev/nvme0n1");
}

/// The host has its disk, and nothing else ever tried to.
fn disk_is_the_hosts(checks: &mut Checks, run: &Outcome) {
    checks.same("the root", run.fact("root"), "/dev/nvme0n1");
    checks.same("what is written there", run.fact("written"), "lab");
    checks.same("the disk's driver", run.fact(DISK), "nvme");
    checks.same("drivers tried on the disk", probed(&run.text("dmesg"), DISK), ["nvme"]);
    checks.same("its override", run.fact("override"), "(null)");
    checks.same("the disk's driver after `vfio bind`", run.fact("after").split(' ').next(), Some("nvme"));
}

fn named(scenario: &'static str, initramfs: Initramfs) -> Result<()> {
    let disk = Disk {
        files: vec![
            ("etc/vfio.conf", NAMED.to_owned()),
            ("etc/fstab", "/dev/nvme0n1 / ext4 defaults,noatime 0 0\n".to_owned()),
        ],
        ..Disk::new(scenario, initramfs)
    };
    let machine = Machine::new(scenario, &disk)?;
    let script = include_str!("../guest/host/disk.sh");
    let mut boot = Boot::new("named", script);
    chipset(&mut boot);
    let run = machine.boot(&boot)?;
    let mut checks = Checks::default();
    disk_is_the_hosts(&mut checks, &run);
    checks.same("the card is the host's too", run.fact("0000:03:00.0"), "bochs-drm");
    for (verb, code) in [("check", "2"), ("plan", "1"), ("bind", "1")] {
        checks.same(&format!("exit of `vfio {verb}`"), run.fact(verb), code);
        let words = ["/etc/vfio.conf:4", DISK, "carries the root file system (nvme0n1)"];
        checks.line(&format!("`vfio {verb}`"), &run.text(verb), &words);
    }
    checks.no_line("`vfio plan`", &run.text("plan"), &["add it to 'also'"]);
    // Into a file, so a line each.
    let words = [DISK, "NVMe disk", "bound to nvme;", "carries the root file system (nvme0n1)"];
    checks.line("`vfio groups`", &run.text("groups"), &words);
    checks.same("units that failed", run.text("failed").trim(), "");

    let mut boot = Boot::new("past-all-checks", script);
    chipset(&mut boot);
    let mut archive = Archive::default();
    archive.file("etc/vfio.conf", 0o644, PAST_ALL_CHECKS.as_bytes());
    boot.over = archive.finish();
    let run = machine.boot(&boot)?;
    disk_is_the_hosts(&mut checks, &run);
    checks.line("the journal", &run.text("journal"), &["vfio-bind[", DISK, "carries the root file system"]);
    checks.same("units that failed", run.text("failed").trim(), "");
    checks.done()
}

pub fn initramfs_tools() -> Result<()> {
    named("machine_root_disk", Initramfs::InitramfsTools)
}

pub fn dracut() -> Result<()> {
    named("machine_root_disk_dracut", Initramfs::Dracut)
}

/// One of the disk's virtual functions is bound at boot. Somebody makes them while the machine boots.
const VIRTUAL: &str = "[gpu vf]\ndevice = 0000:01:00.1\nbind = boot\n\n[gpu pf]\ndevice = 0000:01:00.0\nbind = guest\n";

const MAKE_VIRTUAL: &str = "\
[Unit]
DefaultDependencies=no
After=systemd-remount-fs.service
Before=sysinit.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'echo 2 >/sys/bus/pci/devices/0000:01:00.0/sriov_numvfs'

[Install]
WantedBy=sysinit.target
";

pub fn virtual_function() -> Result<()> {
    let disk = Disk {
        files: vec![
            ("etc/vfio.conf", VIRTUAL.to_owned()),
            ("etc/fstab", "/dev/nvme0n1 / ext4 defaults,noatime 0 0\n".to_owned()),
            ("etc/systemd/system/lab-virtual.service", MAKE_VIRTUAL.to_owned()),
        ],
        commands: vec!["systemctl enable lab-virtual.service".to_owned()],
        ..Disk::new("machine_virtual_function", Initramfs::InitramfsTools)
    };
    let machine = Machine::new("machine_virtual_function", &disk)?;
    let mut boot = Boot::new("boot", include_str!("../guest/host/vf.sh"));
    boot.devices = vec![
        "-device pcie-root-port,id=rp1,chassis=1,slot=1".to_owned(),
        "-device nvme-subsys,id=lab".to_owned(),
        qemu::host_display(),
    ];
    let physical =
        "-device nvme,serial=lab,subsys=lab,bus=rp1,sriov_max_vfs=2,sriov_vq_flexible=4,sriov_vi_flexible=2,\
                    max_ioqpairs=6,msix_qsize=7";
    boot.attached = (vec![physical.to_owned(), "-device nvme-ns,drive=disk,nsid=1".to_owned()], "/dev/nvme0n1");
    let run = machine.boot(&boot)?;
    let mut checks = Checks::default();
    checks.same("virtual functions", run.fact("made"), "2");
    checks.same("the root", run.fact("root"), "/dev/nvme0n1");
    checks.same("what is written there", run.fact("written"), "lab");
    checks.same("the physical function's driver", run.fact("0000:01:00.0"), "nvme");
    checks.same("the virtual function's driver", run.fact("0000:01:00.1"), "vfio-pci");
    checks.same("the other's", run.fact("0000:01:00.2") != "vfio-pci", true);
    checks.same("its id registers", run.fact("raw"), "ffffffff");
    checks.same("exit of `vfio status`", run.fact("status"), "1");
    checks.line("`vfio status`", &run.text("status"), &["[gpu vf]", "on vfio"]);
    checks.line("`vfio bind pf`", &run.text("bind"), &["0000:01:00.0", "carries the root file system"]);
    checks.same("the physical function's driver after it", run.fact("after.pf"), "nvme");
    checks.same("exit of the nested QEMU", run.fact("nested"), "0");
    checks.no_line("the nested QEMU", &run.text("nested"), &["not viable"]);
    checks.same("units that failed", run.text("failed").trim(), "");
    checks.done()
}

/// The firmware draws on a display of class 0380, which vfio-pci itself leaves its framebuffer on.
const BOOT_DISPLAY: &str = "[host]\nheadless = yes\n\n[gpu boot]\ndevice = boot-display\nbind = boot\n";

pub fn framebuffer() -> Result<()> {
    let disk = Disk {
        files: vec![("etc/vfio.conf", BOOT_DISPLAY.to_owned())],
        ..Disk::new("machine_framebuffer", Initramfs::InitramfsTools)
    };
    let machine = Machine::new("machine_framebuffer", &disk)?;
    let mut checks = Checks::default();
    let boot = |name: &str, words: &str| {
        let mut boot = Boot::new(name, include_str!("../guest/host/framebuffer.sh"));
        boot.devices = vec![qemu::port(1), "-device bochs-display,id=bootcard,bus=rp1,addr=0.0".to_owned()];
        boot.ovmf = true;
        boot.words = format!("intel_iommu=on {words}");
        boot
    };
    let run = machine.boot(&boot("boot", ""))?;
    checks.same("its class", run.fact("class"), "0x038000");
    checks.same("the card's driver", run.fact("bound"), "vfio-pci");
    checks.same("exit of `vfio status`", run.fact("status"), "0");
    checks.same("drivers tried on the card", probed(&run.text("kernel"), "0000:01:00.0"), ["vfio-pci"]);
    checks.same("exit of the nested QEMU", run.fact("nested"), "0");
    checks.line("the nested QEMU's devices", &run.text("nested"), &["1234:1111"]);
    checks.no_line("the kernel, of the guest", &run.text("dmesg.nested"), &["can't reserve"]);
    checks.same("exit of `vfio restore`", run.fact("restore"), "0");
    checks.same("the card's driver then", run.fact("restored"), "bochs-drm");
    checks.same("its override", run.fact("override"), "(null)");
    checks.same("units that failed", run.text("failed").trim(), "");
    // Without us the framebuffer is in the way: that is what the scenario is about.
    let run = machine.boot(&boot("by-hand", "vfio=off module_blacklist=bochs"))?;
    checks.line("the kernel, of a guest without us", &run.text("dmesg.by_hand"), &["0000:01:00.0", "can't reserve"]);
    checks.done()
}
