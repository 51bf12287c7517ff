// SPDX-License-Identifier: LGPL-2.1-or-later
//! When nothing is bound, and what is said then: no IOMMU, the only display, the switch, boots that did not come up.

use super::{boot, probed, CONFIGURATION};
use crate::checks::Checks;
use crate::machine::{Boot, Machine};
use crate::micro::Micro;
use crate::qemu::{self, Cut, Outcome};
use anyhow::Result;
use std::time::Duration;

/// The programs in the order of a boot, by hand; then the host's drivers come.
const BOOT_BY_HAND: &str = r#"
/usr/lib/vfio/vfio-bind early
fact early $?
mkdir /run/units
/usr/lib/systemd/system-generators/vfio-generator /run/units
fact generator $?
find /run/units -name '*.service' >/lab/units
modprobe -a bochs snd_hda_intel vfio_pci
vfio plan >/lab/plan 2>&1
/usr/lib/vfio/vfio-bind gpu big >/lab/gpu 2>&1
fact gpu $?
vfio status >/lab/status 2>&1
fact status $?
drivers
"#;

fn card_is_the_hosts(run: &Outcome, checks: &mut Checks) {
    checks.same("video function", run.fact("0000:01:00.0"), "bochs-drm");
    checks.same("audio function", run.fact("0000:01:00.1"), "snd_hda_intel");
    let dmesg = run.text("dmesg");
    checks.same("drivers that were tried on the card", probed(&dmesg, "0000:01:00.0"), ["bochs-drm"]);
    checks.same("drivers that were tried on the card", probed(&dmesg, "0000:01:00.1"), ["snd_hda_intel"]);
}

fn by_hand(name: &'static str, words: &'static str, devices: Option<Vec<String>>) -> Result<Outcome> {
    let mut micro = Micro::new(name, BOOT_BY_HAND);
    micro.words = words;
    micro.devices = devices.unwrap_or(micro.devices);
    micro.files.push(("etc/vfio.conf", CONFIGURATION.to_owned()));
    micro.run()
}

pub fn iommu_off() -> Result<()> {
    let run = by_hand("micro_iommu_off", "intel_iommu=off", None)?;
    let mut checks = Checks::default();
    card_is_the_hosts(&run, &mut checks);
    checks.line("`vfio status`", &run.text("status"), &["IOMMU is off", "intel_iommu=off"]);
    checks.same("exit of `vfio status`", run.fact("status"), "1");
    checks.line("`vfio plan`", &run.text("plan"), &["/etc/vfio.conf:", "intel_iommu=off"]);
    checks.done()
}

pub fn only_display() -> Result<()> {
    let run = by_hand("micro_only_display", "intel_iommu=on", Some(qemu::card(1)))?;
    let mut checks = Checks::default();
    card_is_the_hosts(&run, &mut checks);
    checks.no_line("units of the generator", &run.text("units"), &["vfio-bind@"]);
    checks.line("the kernel's log", &run.text("dmesg"), &["vfio-generator", "/etc/vfio.conf:2:", "last display"]);
    checks.line("`vfio status`", &run.text("status"), &["last display"]);
    checks.done()
}

/// What is looked at in a machine that has bound nothing.
const LOOK: &str = r#"
drivers
vfio status >/lab/status 2>&1
fact status $?
find /run/systemd/generator* -name '*vfio*' >/lab/units
fact active "$(ls /run/vfio 2>/dev/null | tr '\n' ' ')"
systemctl list-units --failed --plain --no-legend >/lab/failed
"#;

pub fn switched_off() -> Result<()> {
    let machine = Machine::new("machine_switched_off", &boot::dracut_disk())?;
    let mut boot = Boot::new("boot", LOOK);
    boot.words += " vfio=off";
    let run = machine.boot(&boot)?;
    let mut checks = Checks::default();
    card_is_the_hosts(&run, &mut checks);
    checks.same("units of the generator", run.text("units"), "");
    checks.line("`vfio status`", &run.text("status"), &["vfio=off"]);
    checks.same("units that failed", run.text("failed").trim(), "");
    checks.done()
}

pub fn failed_boots() -> Result<()> {
    let machine = Machine::new("machine_failed_boots", &boot::initramfs_tools_disk())?;
    for name in ["failed-1", "failed-2"] {
        let mut boot = Boot::new(name, "exit 1");
        // The card is bound, and then the power goes.
        boot.cut = Some(Cut { at: "Finished vfio-bind@big.service".to_owned(), after: Duration::ZERO });
        machine.boot(&boot)?;
    }
    let run = machine.boot(&Boot::new("boot", LOOK))?;
    let mut checks = Checks::default();
    // The overrides are there early; then it shows that two boots failed, and the host's drivers get the card.
    checks.same("video function", run.fact("0000:01:00.0"), "bochs-drm");
    checks.same("audio function", run.fact("0000:01:00.1"), "snd_hda_intel");
    checks.line("`vfio status`", &run.text("status"), &["the last 2 did not come up", "failed-boots = 2"]);
    checks.line("the journal", &run.text("journal"), &["vfio-bind", "the last 2 did not come up"]);
    checks.done()
}
