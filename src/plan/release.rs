// SPDX-License-Identifier: LGPL-2.1-or-later
//! Taking a function from a host driver: only from drivers that let go, and only while nobody holds it.

use super::{Finding, Step};
use crate::config::Gpu;
use crate::host::{function, Function, Host};
use crate::pci::Address;

/// Host drivers whose `remove` is known to end when nobody uses the device. A driver that is not here may hang with the
/// device's lock held, and the host with it. No disks: who uses them cannot be told for certain (ZFS, multipath).
const LET_GO: [&str; 23] = [
    "amdgpu",
    "radeon",
    "nouveau",
    "nvidia",
    "i915",
    "xe",
    "ast",
    "mgag200",
    "bochs-drm",
    "cirrus",
    "cirrus-qemu",
    "qxl",
    "virtio-pci",
    "snd_hda_intel",
    "xhci_hcd",
    "nvidia-gpu",
    "i2c-designware-pci",
    "e1000e",
    "igb",
    "igc",
    "ixgbe",
    "r8169",
    "pci-stub",
];

/// Why one of these functions cannot be taken from its host driver now.
pub fn forbids(gpu: &Gpu, functions: &[Address], host: &Host) -> Vec<Finding> {
    let mut findings = Vec::new();
    for function in functions.iter().filter_map(|a| host.function(*a)) {
        let address = function.address;
        let Some(driver) = function.driver.as_deref() else { continue };
        if let Some(holder) = host.holder(address) {
            findings.push(Finding::new(
                gpu,
                &gpu.device.at,
                format!("{address} stays with {driver}: {holder}; end it and try again"),
            ));
        } else if driver == "nvidia" && host.nvidia_drm {
            // It is a user inside the kernel, which no process shows, and nvidia waits for it for ever.
            let text = format!("{address} stays with nvidia, which does not let go while nvidia_drm is loaded; unload that first, or use 'bind = boot' and reboot");
            findings.push(Finding::new(gpu, &gpu.device.at, text));
        } else {
            findings.extend(stays(gpu, function));
        }
    }
    findings
}

/// Why a function cannot be taken from its host driver at any time while the system runs, whoever holds it.
pub fn stays(gpu: &Gpu, function: &Function) -> Option<Finding> {
    let driver = function.driver.as_deref().filter(|d| !function::is_vfio(d) && !LET_GO.contains(d))?;
    let address = function.address;
    let text = format!("{address} stays with {driver}, which is not known to let go of a device while the system runs; use 'bind = boot' and reboot");
    Some(Finding::new(gpu, &gpu.device.at, text))
}

/// The functions of a list that a driver other than `wanted` has, last function first: audio leaves before video.
pub fn unbinds(functions: &[(Address, String)], host: &Host) -> Vec<Step> {
    let mut steps: Vec<Step> = functions
        .iter()
        .filter_map(|(address, wanted)| {
            let driver = host.function(*address)?.driver.clone().filter(|d| d != wanted)?;
            Some(Step::Unbind { function: *address, driver })
        })
        .collect();
    steps.reverse();
    steps
}
