// SPDX-License-Identifier: LGPL-2.1-or-later
//! What the suite is for, on a machine that starts from its own disk: install the package, edit the file, reboot, start the
//! guest. And with a piece of it broken on purpose, which has to show.

use super::{keep, probed};
use crate::checks::Checks;
use crate::desk;
use crate::efi::{EfiDisk, EfiMachine, Loader};
use crate::layers::Initramfs;
use crate::qemu::{self, Outcome};
use anyhow::{ensure, Result};
use std::time::Duration;

/// What the scripts share.
const LIBRARY: &str = include_str!("../guest/efi/boot.sh");

const SCRIPT: &str = include_str!("../guest/efi/mission.sh");

/// The functions of the card and of its twin, and the host's drivers for them.
const FUNCTIONS: [(&str, &str, &str); 2] =
    [("0000:01:00.0", "0000:02:00.0", "bochs-drm"), ("0000:01:00.1", "0000:02:00.1", "snd_hda_intel")];

/// What the user writes.
fn sections() -> String {
    let command = desk::QEMU.replace("NAME", "tiny").replace("WORDS", "");
    format!(
        "\n[gpu big]\ndevice = 0000:01:00.0\nidentity = 1234:1111\nbind = boot\n\n[guest tiny]\ngpus = big\n\
         runner = command\ncommand = {command}\nstart-timeout = 4min\nstop-timeout = 60s"
    )
}

/// Two images by dracut are made in it: a minute and a half each where the emulator has a processor for itself, else several.
const DEADLINE: Duration = Duration::from_secs(3600);

/// Installed, edited, rebooted; with nothing broken a guest has the card then, and the package is purged.
fn run(name: &str, boot: &str, disk: &EfiDisk, fault: Option<&str>) -> Result<Outcome> {
    let script = SCRIPT
        .replace("@FAULT@", fault.unwrap_or(":"))
        .replace("@WHOLE@", if fault.is_none() { "yes" } else { "no" })
        .replace("@SECTIONS@", &sections());
    let machine = EfiMachine::new(name, disk)?;
    let mut boot = EfiMachine::usual(boot, &format!("{LIBRARY}{script}"));
    boot.devices = [qemu::card(1), qemu::card(2), vec![qemu::host_display()]].concat();
    boot.reboots = true;
    boot.deadline = DEADLINE;
    machine.boot(&boot)
}

/// The edit has reached the next boot, and no driver of the host ever had the card there.
fn booted(run: &Outcome, checks: &mut Checks) {
    for (function, twin, driver) in FUNCTIONS {
        checks.same(&format!("{function} before"), run.fact(&format!("first.{function}")), driver);
        checks.same(&format!("{function} after the reboot"), run.fact(&format!("second.{function}")), "vfio-pci");
        checks.same(&format!("its twin {twin} after the reboot"), run.fact(&format!("second.{twin}")), driver);
        let kernel = run.text("kernel");
        checks.same(&format!("drivers that were tried on {function}"), probed(&kernel, function), ["vfio-pci"]);
        checks.same(&format!("drivers that were tried on {twin}"), probed(&kernel, twin), [driver]);
        checks.no_line("the kernel's log", &kernel, &[driver, function]);
    }
    // udev's rule asks for the unit too, later and with nobody waiting: the generator's part is that the machine waits.
    let wanted = run.fact("wanted");
    let waits = wanted.split(' ').any(|unit| unit == "sysinit.target");
    checks.same(&format!("sysinit.target waits for the card (who does: {wanted:?})"), waits, true);
    checks.same("vfio-sync had noticed the edit", run.fact("synced"), "0");
    checks.same(&format!("exit of vfio-sync; it said\n{}", run.text("sync")), run.fact("sync"), "0");
    // Debian's kernel switches an IOMMU on by itself.
    let line = run.fact("cmdline.second");
    checks.same(&format!("iommu=pt in {line:?}"), line.split(' ').any(|word| word == "iommu=pt"), true);
    checks.same(&format!("`vfio status`: {}", run.text("status")), run.fact("status"), "0");
    checks.same("units that failed", run.fact("failed"), "");
}

/// The whole of it; the record of the run stays beside the results.
fn mission(name: &str, loader: Loader, initramfs: Initramfs) -> Result<()> {
    let disk = EfiDisk { initramfs, host_drivers: true, ..EfiDisk::new(loader) };
    whole(name, &disk)?.1.done()
}

fn whole(name: &str, disk: &EfiDisk) -> Result<(Outcome, Checks)> {
    let run = run(name, "boot", disk, None)?;
    for file in ["../console.log", "kernel.first", "kernel.second", "sync"] {
        keep(name, file, &run)?;
    }
    let mut checks = Checks::default();
    booted(&run, &mut checks);
    checks.same("a package that nobody has configured changes", run.text("installed"), with_hook(&run));
    checks.same(&format!("the guest's start: {}", run.text("guest")), run.fact("start"), "0");
    checks.line("the card as the guest sees it", &run.text("serial"), &["1234:1111 class 038000"]);
    checks.line("its audio as the guest sees it", &run.text("serial"), &["8086:2668 class 040300"]);
    checks.same("the guest's stop", run.fact("stop"), "0");
    checks.line("how the guest ended", &run.text("serial"), &["pocket: power button"]);
    for (function, ..) in FUNCTIONS {
        for when in ["guest", "ended"] {
            checks.same(&format!("{function}, {when}"), run.fact(&format!("{when}.{function}")), "vfio-pci");
        }
    }
    checks.same("exit of the purge", run.fact("purge"), "0");
    checks.same("boot files after the purge", run.text("after"), run.text("before"));
    Ok((run, checks))
}

/// The boot files before the installation, and the package's own one.
fn with_hook(run: &Outcome) -> String {
    let (before, installed) = (run.text("before"), run.text("installed"));
    let ours = installed.lines().filter(|line| line.ends_with("/etc/kernel/postinst.d/xx-vfio"));
    let mut lines: Vec<&str> = before.lines().chain(ours).collect();
    lines.sort_by_key(|line| line.split_once("  ").map(|(_, path)| path.to_owned()));
    lines.iter().map(|line| format!("{line}\n")).collect()
}

pub fn systemd_boot() -> Result<()> {
    mission("efi_mission_systemd_boot", Loader::SystemdBoot, Initramfs::InitramfsTools)
}

pub fn systemd_boot_dracut() -> Result<()> {
    mission("efi_mission_systemd_boot_dracut", Loader::SystemdBoot, Initramfs::Dracut)
}

pub fn grub() -> Result<()> {
    mission("efi_mission_grub", Loader::Grub, Initramfs::Dracut)
}

/// Has the kernel of Debian's backports in the place of the suite's own.
const BACKPORTS: &[&str] = &[
    "sed 's/ trixie / trixie-backports /' /etc/apt/sources.list >/etc/apt/sources.list.d/backports.list",
    "apt-get -q update",
    "INITRD=No apt-get -y purge linux-image-amd64 \"linux-image-$(ls /usr/lib/modules)\"",
    "INITRD=No apt-get -y --no-install-recommends -t trixie-backports install linux-image-amd64",
    "apt-get clean",
];

pub fn backports() -> Result<()> {
    let disk = EfiDisk { host_drivers: true, commands: BACKPORTS, ..EfiDisk::new(Loader::SystemdBoot) };
    let (run, mut checks) = whole("efi_mission_backports", &disk)?;
    let kernel = run.text("kernel");
    let release = kernel.split_once("Linux version ").and_then(|(_, rest)| rest.split(' ').next()).unwrap_or_default();
    checks.same(
        &format!("the suite's own kernel: {release}"),
        release.is_empty() || release.starts_with("6.12."),
        false,
    );
    checks.done()
}

/// With a piece broken on purpose the scenario must fail, for that reason: these words are in what it then says.
fn fault(name: &str, initramfs: Initramfs, how: &str, words: &str) -> Result<()> {
    // The disks of the scenarios in which nothing is broken.
    let loader = if initramfs == Initramfs::Dracut { Loader::Grub } else { Loader::SystemdBoot };
    let disk = EfiDisk { initramfs, host_drivers: true, ..EfiDisk::new(loader) };
    let run = run(name, "boot", &disk, Some(how))?;
    let mut checks = Checks::default();
    booted(&run, &mut checks);
    let said = checks.done().err().map(|error| format!("{error:#}")).unwrap_or_default();
    println!("{name}: {said}");
    ensure!(said.contains(words), "the fault does not show; what does: {said}");
    Ok(())
}

/// What is said where the host's driver had the card first.
const TRIED: &str = "drivers that were tried on 0000:01:00.0: [\"bochs-drm\"";

pub fn fault_sync() -> Result<()> {
    let how = "printf '#!/bin/sh\\nexit 0\\n' >/usr/lib/vfio/vfio-sync";
    fault("efi_mission_fault_sync", Initramfs::InitramfsTools, how, TRIED)
}

pub fn fault_generator() -> Result<()> {
    let how = "printf '#!/bin/sh\\nexit 0\\n' >/usr/lib/systemd/system-generators/vfio-generator";
    let words = "sysinit.target waits for the card";
    fault("efi_mission_fault_generator", Initramfs::InitramfsTools, how, words)
}

pub fn fault_initramfs_tools() -> Result<()> {
    let how = "sed -i '2i exit 0' /usr/share/initramfs-tools/scripts/init-top/00-vfio";
    fault("efi_mission_fault_initramfs_tools", Initramfs::InitramfsTools, how, TRIED)
}

pub fn fault_dracut() -> Result<()> {
    let how = "sed -i 's/^install() {/&\\n    return 0/' /usr/lib/dracut/modules.d/50vfio/module-setup.sh";
    fault("efi_mission_fault_dracut", Initramfs::Dracut, how, TRIED)
}
