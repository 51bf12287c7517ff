// SPDX-License-Identifier: LGPL-2.1-or-later
//! What we rely on the kernel to do. If one of these fails on a new kernel, the design must be looked at, not the test.

use crate::checks::Checks;
use crate::micro::Micro;
use anyhow::Result;

const SCRIPT: &str = r#"
cd /sys/bus/pci/devices
card=0000:01:00.0
# An override alone keeps every other driver away, whatever is loaded afterwards.
fact override.unset "$(cat $card/driver_override)"
echo none >$card/driver_override
modprobe bochs
fact driver.none "$(driver $card)"
fact driver.twin "$(driver 0000:02:00.0)"
# drivers_probe answers success although nothing was bound.
echo $card >/sys/bus/pci/drivers_probe
fact probe.none "$? $(driver $card)"
# The name of the override is a driver's, not a module's; an absent driver leaves the function without one.
echo vfio-pci >$card/driver_override
echo $card >/sys/bus/pci/drivers_probe
fact probe.absent "$? $(driver $card)"
modprobe vfio-pci
echo $card >/sys/bus/pci/drivers_probe
fact probe.vfio "$? $(driver $card)"
fact group "$(basename $(readlink $card/iommu_group))"
fact node "$(ls /dev/vfio | tr '\n' ' ')"
# Emptying the override does not unbind.
echo >$card/driver_override
fact override.emptied "$(cat $card/driver_override) $(driver $card)"
# A driver that does not match refuses; the function's own takes it back.
echo $card >/sys/bus/pci/drivers/vfio-pci/unbind
(echo $card >/sys/bus/pci/drivers/vfio-pci/bind) 2>/dev/null
fact bind.unmatched "$? $(driver $card)"
echo $card >/sys/bus/pci/drivers_probe
fact probe.home "$? $(driver $card)"
# remove and rescan make a new device, and the override is lost: the host driver has it before userspace hears of it.
# Up to Debian 13's kernel drivers_autoprobe does not help: pci_bus_add_device() attaches without asking it.
echo vfio-pci >$card/driver_override
echo 1 >$card/remove
echo 1 >/sys/bus/pci/rescan
fact rescan.override "$(cat $card/driver_override) $(driver $card)"
echo 0 >/sys/bus/pci/drivers_autoprobe
echo 1 >$card/remove
echo 1 >/sys/bus/pci/rescan
fact rescan.autoprobe_off "$(driver $card)"
echo 1 >/sys/bus/pci/drivers_autoprobe
# A new id for vfio-pci decides only if vfio-pci was registered before the host driver: drivers are asked in the order
# of their registration.
echo 1234 1111 >/sys/bus/pci/drivers/vfio-pci/new_id
echo 1 >$card/remove
echo 1 >/sys/bus/pci/rescan
fact rescan.id_later "$(driver $card)"
echo 1234 1111 >/sys/bus/pci/drivers/vfio-pci/remove_id
rmmod bochs
modprobe bochs
echo 1234 1111 >/sys/bus/pci/drivers/vfio-pci/new_id
fact new_id.twin "$(driver 0000:02:00.0)"
echo 1 >$card/remove
echo 1 >/sys/bus/pci/rescan
fact rescan.id_earlier "$(driver $card)"
echo 1234 1111 >/sys/bus/pci/drivers/vfio-pci/remove_id
# While somebody owns the IOMMU group, no host driver can take a function of it.
fact iommu "$(ls /sys/class/iommu | tr '\n' ' ')"
fact kernel "$(uname -r)"
"#;

/// `quiet`: who has a function that was found while autoprobe was off.
fn kernel_facts(name: &'static str, suite: &'static str, quiet: &'static str) -> Result<()> {
    let mut micro = Micro::new(name, SCRIPT);
    micro.suite = suite;
    let run = micro.run()?;
    let mut checks = Checks::default();
    for (fact, value) in [
        ("override.unset", "(null)"),
        ("driver.none", "none"),
        ("driver.twin", "bochs-drm"),
        ("probe.none", "0 none"),
        ("probe.absent", "0 none"),
        ("probe.vfio", "0 vfio-pci"),
        ("override.emptied", "(null) vfio-pci"),
        ("bind.unmatched", "1 none"),
        ("probe.home", "0 bochs-drm"),
        ("rescan.override", "(null) bochs-drm"),
        ("rescan.autoprobe_off", quiet),
        ("rescan.id_later", "bochs-drm"),
        ("new_id.twin", "bochs-drm"),
        ("rescan.id_earlier", "vfio-pci"),
    ] {
        checks.same(fact, run.fact(fact), value);
    }
    checks.same("node", run.fact("node"), format!("{} vfio ", run.fact("group")));
    checks.line("iommu", run.fact("iommu"), &["dmar"]);
    checks.line("log of probing", &run.text("dmesg"), &["0000:02:00.0", "probing driver bochs-drm with device"]);
    checks.done()
}

pub fn kernel_facts_trixie() -> Result<()> {
    kernel_facts("micro_kernel_facts", "trixie", "bochs-drm")
}

pub fn kernel_facts_bookworm() -> Result<()> {
    kernel_facts("micro_kernel_facts_bookworm", "bookworm", "bochs-drm")
}

pub fn kernel_facts_backports() -> Result<()> {
    kernel_facts("micro_kernel_facts_backports", "trixie-backports", "none")
}
