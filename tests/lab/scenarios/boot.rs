// SPDX-License-Identifier: LGPL-2.1-or-later
//! From /etc/vfio.conf to a card on vfio-pci, on machines that boot: with each initramfs generator, and host drivers
//! that are loaded as early as a distribution can load them.

use super::{probed, CONFIGURATION};
use crate::checks::Checks;
use crate::images::Disk;
use crate::layers::Initramfs;
use crate::machine::{Boot, Machine};
use crate::qemu::Outcome;
use anyhow::Result;
use serde_json::Value;

/// dracut, with the host's drivers forced into the initramfs and loaded there before udev starts.
pub fn dracut_disk() -> Disk {
    let force = "force_drivers+=\" bochs snd_hda_intel \"\n".to_owned();
    Disk {
        files: vec![("etc/vfio.conf", CONFIGURATION.to_owned()), ("etc/dracut.conf.d/force.conf", force)],
        ..Disk::new("dracut", Initramfs::Dracut)
    }
}

/// Sections that cannot be, around one that can.
const BAD_AND_GOOD: &str = "\
[gpu broken]
device = 0000:zz:00.0
bind = boot

[gpu big]
device = 0000:01:00.0
identity = 1234:1111
bind = boot
colour = blue

[gpu gone]
device = 0000:09:00.0
bind = boot
";

/// initramfs-tools, with the host's drivers in the initramfs and in modules-load.d, and a file with errors.
pub fn initramfs_tools_disk() -> Disk {
    let modules = "bochs\nsnd_hda_intel\n".to_owned();
    Disk {
        files: vec![
            ("etc/vfio.conf", BAD_AND_GOOD.to_owned()),
            ("etc/modules-load.d/lab.conf", modules.clone()),
            ("etc/initramfs-tools/modules", modules),
        ],
        report: vec!["unmkinitramfs /boot/initrd.img-* /tmp/initrd; cat $(find /tmp/initrd -path '*/init-top/ORDER'); rm -r /tmp/initrd"],
        ..Disk::new("initramfs-tools", Initramfs::InitramfsTools)
    }
}

/// What is looked at in a machine that has bound a card; then a guest in the guest gets it.
const SCRIPT: &str = r#"
drivers
fact group "$(basename "$(readlink /sys/bus/pci/devices/0000:01:00.0/iommu_group)")"
fact node "$(ls /dev/vfio | sort | tr '\n' ' ')"
vfio status >/lab/status.txt
fact status $?
vfio status --json >/lab/status.json
vfio groups --json >/lab/groups.json
systemctl list-units --failed --plain --no-legend >/lab/failed
printf 'info pci\nquit\n' | timeout 200 qemu-system-x86_64 -machine q35 -accel tcg -m 32 -S -nodefaults -display none \
	-monitor stdio -device vfio-pci,host=0000:01:00.0 -device vfio-pci,host=0000:01:00.1 >/lab/nested 2>&1
fact nested $?
"#;

/// Whether `vfio groups --json` calls the group of a function viable.
fn viable(groups: &Value, address: &str) -> Option<bool> {
    let has = |group: &&Value| group["functions"].as_array().is_some_and(|f| f.iter().any(|f| f["address"] == address));
    groups["groups"].as_array()?.iter().find(has)?["viable"].as_bool()
}

fn card_is_bound(run: &Outcome, checks: &mut Checks) -> Result<()> {
    let (status, groups) = (run.json("status.json")?, run.json("groups.json")?);
    checks.same("state of the card in `vfio status --json`", &status["cards"][0]["state"], "vfio");
    checks.same("the card's group is viable", viable(&groups, "0000:01:00.0"), Some(true));
    checks.same("its twin's group is viable", viable(&groups, "0000:02:00.0"), Some(false));
    checks.same("video function", run.fact("0000:01:00.0"), "vfio-pci");
    checks.same("audio function", run.fact("0000:01:00.1"), "vfio-pci");
    checks.same("the twin's video function", run.fact("0000:02:00.0"), "bochs-drm");
    checks.same("the twin's audio function", run.fact("0000:02:00.1"), "snd_hda_intel");
    let dmesg = run.text("dmesg");
    for (function, driver) in [("00.0", "bochs-drm"), ("00.1", "snd_hda_intel")] {
        checks.same(
            "drivers that were tried on the card",
            probed(&dmesg, &format!("0000:01:{function}")),
            ["vfio-pci"],
        );
        checks.same("drivers that were tried on its twin", probed(&dmesg, &format!("0000:02:{function}")), [driver]);
    }
    checks.no_line("the kernel's log", &dmesg, &["bochs-drm", "0000:01:00.0"]);
    checks.no_line("the kernel's log", &dmesg, &["snd_hda_intel", "0000:01:00.1"]);
    checks.same("/dev/vfio", run.fact("node"), format!("{} vfio ", run.fact("group")));
    checks.same("units that failed", run.text("failed").trim(), "");
    checks.same("exit of the nested QEMU", run.fact("nested"), "0");
    checks.line("the nested QEMU's devices", &run.text("nested"), &["1234:1111"]);
    checks.line("the nested QEMU's devices", &run.text("nested"), &["8086:2668"]);
    checks.no_line("the nested QEMU", &run.text("nested"), &["not viable"]);
    Ok(())
}

pub fn dracut() -> Result<()> {
    let machine = Machine::new("machine_dracut", &dracut_disk())?;
    let run = machine.boot(&Boot::new("boot", SCRIPT))?;
    let mut checks = Checks::default();
    card_is_bound(&run, &mut checks)?;
    checks.same("exit of `vfio status`", run.fact("status"), "0");
    checks.done()
}

pub fn initramfs_tools() -> Result<()> {
    let machine = Machine::new("machine_initramfs_tools", &initramfs_tools_disk())?;
    let run = machine.boot(&Boot::new("boot", SCRIPT))?;
    let mut checks = Checks::default();
    card_is_bound(&run, &mut checks)?;
    let order = machine.report()?;
    let place = |name: &str| order.lines().position(|line| line.contains(name));
    let (ours, udev) = (place("/scripts/init-top/00-vfio"), place("/scripts/init-top/udev"));
    checks.same("our script and udev's in init-top", ours.is_some() && udev.is_some() && ours < udev, true);
    // What is wrong in the file is said where one looks first, and the good section has worked all the same.
    let dmesg = run.text("dmesg");
    checks.line("the kernel's log", &dmesg, &["vfio-generator", "/etc/vfio.conf:2:", "0000:zz:00.0"]);
    checks.line("the kernel's log", &dmesg, &["vfio-generator", "/etc/vfio.conf:9:", "colour"]);
    checks.line("the kernel's log", &dmesg, &["vfio-generator", "/etc/vfio.conf:12:", "0000:09:00.0"]);
    checks.done()
}
