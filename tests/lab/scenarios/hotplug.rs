// SPDX-License-Identifier: LGPL-2.1-or-later
//! A card that is plugged into a running machine: its host driver loaded or not, the card held or not; and the rescan.

use super::{probed, CONFIGURATION};
use crate::checks::Checks;
use crate::images::Disk;
use crate::layers::Initramfs;
use crate::machine::{Boot, Machine};
use crate::micro::Micro;
use crate::qemu;
use anyhow::Result;

/// A card is plugged in at 0000:01:00 four times over; 0000:02:00 gets an identical one that the host keeps. The host's
/// own display has another driver, so that bochs is not loaded before a card is there.
const SCRIPT: &str = r#"
card=0000:01:00
add() {
	host qmp "{\"execute\":\"device_add\",\"arguments\":{\"driver\":\"intel-hda\",\"id\":\"card$1a\",
		\"bus\":\"rp$1\",\"addr\":\"0.1\",\"multifunction\":true}}" >/dev/null
	host qmp "{\"execute\":\"device_add\",\"arguments\":{\"driver\":\"secondary-vga\",\"id\":\"card$1v\",
		\"bus\":\"rp$1\",\"addr\":\"0.0\",\"multifunction\":true}}" >/dev/null
}
# The slot's button: the kernel lets go of both functions after five seconds.
take_out() {
	host qmp "{\"execute\":\"device_del\",\"arguments\":{\"id\":\"card1v\"}}" >/dev/null
	until_true 60 gone
	until_true 60 sh -c '! systemctl is-active --quiet vfio-bind@big.service'
	dmesg --clear
}
gone() { [ ! -e /sys/bus/pci/devices/$card.0 ] && [ ! -e /sys/bus/pci/devices/$card.1 ]; }
has() { [ "$(driver $1)" = $2 ]; }
both() { has $card.0 vfio-pci && has $card.1 vfio-pci; }
settled() { both && udevadm settle; }

fact loaded "$(lsmod | grep -c '^bochs\|^snd_hda_intel')"
dmesg --clear
add 1
until_true 150 settled
drivers plugged.
fact groups "$(for f in 0 1; do basename "$(readlink /sys/bus/pci/devices/$card.$f/iommu_group)"; done | uniq | wc -l)"
dmesg -r >/lab/dmesg.plugged

add 2
until_true 150 has 0000:02:00.1 snd_hda_intel
until_true 150 has 0000:02:00.0 bochs-drm
take_out
add 1
until_true 150 settled
drivers moved.
dmesg -r >/lab/dmesg.moved

take_out
(
	# Faster than udev: the node is there as soon as the driver is, and a moment before it can be opened (ENODEV).
	renice -n -10 -p $(exec sh -c 'echo $PPID') >/dev/null
	until set -- /sys/bus/pci/devices/$card.0/drm/card* && true <"/dev/dri/${1##*/}"; do :; done 2>/dev/null
	exec 3<"/dev/dri/${1##*/}"
	exec sleep 900
) &
holder=$!
fact holder $holder
add 1
until_true 150 systemctl is-failed --quiet vfio-bind@big.service
drivers held.
vfio status >/lab/status.held 2>&1
journalctl -b -u vfio-bind@big.service -o cat >/lab/journal.held
kill $holder
vfio bind big >/lab/bind 2>&1
fact bind $?
drivers bound.

dmesg --clear
vfio rescan big >/lab/rescan 2>&1
fact rescan $?
drivers rescanned.
dmesg -r >/lab/dmesg.rescanned
"#;

/// The host's drivers are loaded, the card is on vfio-pci, and is taken off the bus and found again.
const RESCAN: &str = r#"
modprobe vfio_pci
modprobe -a bochs snd_hda_intel
vfio bind big >/lab/bind 2>&1
fact bind $?
cat /sys/bus/pci/drivers_autoprobe >/lab/autoprobe
dmesg -c >/dev/null
vfio rescan big >/lab/rescan 2>&1
fact rescan $?
cat /sys/bus/pci/drivers_autoprobe >>/lab/autoprobe
drivers
for function in 0 1; do
	fact override.$function "$(cat /sys/bus/pci/devices/0000:01:00.$function/driver_override)"
done
"#;

/// A kernel that asks for autoprobe when it finds a device (newer than Debian 13's) never lets a host driver have the
/// card. An older one does for a moment, and the card is taken from it, which is said.
fn rescan_on(name: &'static str, suite: &'static str, asks: bool) -> Result<()> {
    let mut micro = Micro::new(name, RESCAN);
    micro.suite = suite;
    micro.files.push(("etc/vfio.conf", CONFIGURATION.to_owned()));
    let run = micro.run()?;
    let mut checks = Checks::default();
    checks.same("exit of `vfio bind`", run.fact("bind"), "0");
    checks.same("exit of `vfio rescan`", run.fact("rescan"), "0");
    for (function, host) in [("0", "bochs-drm"), ("1", "snd_hda_intel")] {
        let address = format!("0000:01:00.{function}");
        checks.same(&address, run.fact(&address), "vfio-pci");
        checks.same("its override", run.fact(&format!("override.{function}")), "vfio-pci");
        let tried = if asks { vec!["vfio-pci"] } else { vec![host, "vfio-pci"] };
        checks.same("drivers tried on it by the rescan", probed(&run.text("dmesg"), &address), tried);
        let said = crate::checks::has(&run.text("rescan"), &[&address, host]);
        checks.same("a host driver that was faster is named", said, !asks);
    }
    checks.same("the twin", run.fact("0000:02:00.0"), "bochs-drm");
    checks.same("the twin's audio", run.fact("0000:02:00.1"), "snd_hda_intel");
    checks.same("autoprobe before and after", run.text("autoprobe"), "1\n1\n");
    checks.done()
}

pub fn rescan() -> Result<()> {
    rescan_on("micro_rescan", "trixie-backports", true)
}

pub fn rescan_older_kernel() -> Result<()> {
    rescan_on("micro_rescan_older_kernel", "trixie", false)
}

pub fn hotplug() -> Result<()> {
    let mut disk = Disk::new("plain", Initramfs::InitramfsTools);
    disk.files = vec![("etc/vfio.conf", CONFIGURATION.to_owned())];
    let machine = Machine::new("machine_hotplug", &disk)?;
    let mut boot = Boot::new("boot", SCRIPT);
    boot.devices = vec![qemu::port(1), qemu::port(2), "-device cirrus-vga,addr=0x10".to_owned()];
    let run = machine.boot(&boot)?;
    let mut checks = Checks::default();
    checks.same("host drivers loaded at the start", run.fact("loaded"), "0");
    checks.same("IOMMU groups of the plugged card", run.fact("groups"), "1");
    for when in ["plugged", "moved", "bound", "rescanned"] {
        for function in ["0000:01:00.0", "0000:01:00.1"] {
            checks.same(&format!("{function} when {when}"), run.fact(&format!("{when}.{function}")), "vfio-pci");
        }
    }
    // Without its host driver: never tried. With it: the kernel is faster than anybody, and the card is moved.
    for (function, host) in [("0000:01:00.0", "bochs-drm"), ("0000:01:00.1", "snd_hda_intel")] {
        let tried = |file: &str| probed(&run.text(file), function).iter().map(ToString::to_string).collect::<Vec<_>>();
        checks.same("drivers tried on the plugged card", tried("dmesg.plugged"), ["vfio-pci"]);
        checks.same("drivers tried on it beside its twin", tried("dmesg.moved"), [host, "vfio-pci"]);
        checks.same(
            "driver tried last by the rescan",
            tried("dmesg.rescanned").last().cloned(),
            Some("vfio-pci".into()),
        );
    }
    for when in ["moved", "held", "bound", "rescanned"] {
        checks.same(&format!("the twin when {when}"), run.fact(&format!("{when}.0000:02:00.0")), "bochs-drm");
        checks.same(&format!("the twin when {when}"), run.fact(&format!("{when}.0000:02:00.1")), "snd_hda_intel");
    }
    checks.same("the held function", run.fact("held.0000:01:00.0"), "bochs-drm");
    let holder = run.fact("holder");
    checks.line("`vfio status` about the held card", &run.text("status.held"), &["0000:01:00.0", holder]);
    checks.line("the unit's journal about it", &run.text("journal.held"), &["0000:01:00.0", holder]);
    checks.same("exit of `vfio bind` when nobody holds it", run.fact("bind"), "0");
    checks.same("exit of `vfio rescan`", run.fact("rescan"), "0");
    checks.done()
}
