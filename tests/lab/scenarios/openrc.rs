// SPDX-License-Identifier: LGPL-2.1-or-later
//! A machine without systemd as its init: Debian's OpenRC, whose scripts for the base system are those of Devuan too.

use super::probed;
use crate::checks::Checks;
use crate::desk;
use crate::images::Disk;
use crate::layers::Initramfs;
use crate::machine::{Boot, Machine};
use anyhow::Result;

/// systemd's init counts as essential: something has to be the first process.
const PACKAGES: &str = "--allow-remove-essential openrc initscripts orphan-sysvinit-scripts sysvinit-core dbus procps \
     systemd-sysv- libpam-systemd-";

pub fn openrc() -> Result<()> {
    let command = desk::QEMU.replace("NAME", "tiny").replace("WORDS", "");
    let configuration = format!(
        "{}\n[guest tiny]\ngpus = big\nrunner = command\ncommand = {command}\nstart-timeout = 4min\nstop-timeout = 60s\n",
        super::CONFIGURATION
    );
    let modules = "bochs\nsnd_hda_intel\n".to_owned();
    let disk = Disk {
        packages: PACKAGES,
        openrc: true,
        files: vec![
            ("etc/vfio.conf", configuration),
            // Debian's kmod script loads these when udev has started; the initramfs before.
            ("etc/modules", modules.clone()),
            ("etc/initramfs-tools/modules", modules),
            ("etc/rc.local", "#!/bin/sh\nsetsid /usr/lib/lab/run </dev/null >/dev/null 2>&1 &\n".to_owned()),
        ],
        copies: vec![(crate::extra::pocket()?, "var/lib/libvirt/boot/pocket")],
        commands: vec![
            user().to_owned(),
            "rc-update add vfio-bind sysinit && rc-update add vfio-boot default".to_owned(),
        ],
        ..Disk::new("openrc", Initramfs::InitramfsTools)
    };
    let machine = Machine::new("machine_openrc", &disk)?;
    let run = machine.boot(&Boot::new("boot", include_str!("../guest/openrc.sh")))?;
    let mut checks = Checks::default();
    checks.same("the first process", run.fact("init"), "init");
    checks.same(&format!("vfio-boot is started: {}", run.text("services")), run.fact("boot"), "0");
    checks.same("services that crashed", run.fact("crashed"), "");
    checks.same(&format!("`vfio status`: {}", run.text("status")), run.fact("status"), "0");
    for (function, twin, driver) in
        [("0000:01:00.0", "0000:02:00.0", "bochs-drm"), ("0000:01:00.1", "0000:02:00.1", "snd_hda_intel")]
    {
        for when in ["first", "guest", "ended"] {
            checks.same(&format!("{function}, {when}"), run.fact(&format!("{when}.{function}")), "vfio-pci");
            checks.same(&format!("its twin {twin}, {when}"), run.fact(&format!("{when}.{twin}")), driver);
        }
        let dmesg = run.text("dmesg");
        checks.same(&format!("drivers that were tried on {function}"), probed(&dmesg, function), ["vfio-pci"]);
    }
    checks.same(&format!("the guest's start: {}", run.text("start")), run.fact("start"), "0");
    checks.same(&format!("the guest's kernel runs; said: {}", run.text("said")), run.fact("waits"), "0");
    checks.same("whose QEMU is", run.fact("user"), "vfio-guest");
    checks.line("the card as the guest sees it", &run.text("serial"), &["1234:1111 class 038000"]);
    checks.line("how the guest ended", &run.text("serial"), &["pocket: power button"]);
    for what in ["stop", "over", "boot-stop"] {
        checks.same(&format!("{what}: {}", run.text(what)), run.fact(what), "0");
    }
    checks.same("what is left in /run/vfio", run.fact("left"), "");
    checks.done()
}

/// How the user of guests is made, as the manual for packagers has it.
fn user() -> &'static str {
    let manual = include_str!("../../../docs/PACKAGING.md");
    manual.lines().map(str::trim).find(|line| line.starts_with("useradd ")).unwrap_or("false")
}
