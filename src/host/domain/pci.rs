// SPDX-License-Identifier: LGPL-2.1-or-later
//! PCI functions of the host that a domain is given.

use super::needs::{Domain, HostDevice, NeededFile};
use super::xml::{attribute, child, clip, is, number};
use crate::pci::{Address, Slot};
use roxmltree::Node;

/// The node by which QEMU maps memory for devices where it does not use groups for that.
pub(super) const IOMMUFD: &str = "/dev/iommu";

/// Whether a `<hostdev>` or an `<interface>` is a PCI function of the host; its address has the last word.
pub(super) fn is_host_device(device: Node<'_, '_>) -> bool {
    let kind = device.attribute("type");
    if is(device, "interface") {
        kind == Some("hostdev")
    } else {
        kind == Some("pci") && matches!(device.attribute("mode"), None | Some("subsystem"))
    }
}

/// A `<hostdev>`, or an `<interface>` that is one.
pub(super) fn host_device(device: Node<'_, '_>, found: &mut Domain) -> Result<(), String> {
    let Some(source) = child(device, "source") else {
        return Err("its XML has a PCI host device without a source".to_owned());
    };
    // An interface may be a USB device of the host.
    if child(source, "address").is_some_and(|a| matches!(a.attribute("type"), Some(kind) if kind != "pci")) {
        return Ok(());
    }
    let rom = child(device, "rom");
    let rom_off = rom.is_some_and(|rom| rom.attribute("enabled") == Some("no") || rom.attribute("bar") == Some("off"));
    let rom = rom.filter(|rom| rom.attribute("enabled") != Some("no")).and_then(|rom| attribute(rom, "file"));
    if let Some(path) = rom.clone() {
        found.files.push(NeededFile::new(path, "option ROM"));
    }
    if child(device, "driver").is_some_and(|driver| driver.attribute("iommufd") == Some("yes")) {
        found.files.push(NeededFile::new(IOMMUFD, "node of iommufd"));
    }
    let managed = device.attribute("managed") == Some("yes");
    let guest_address = child(device, "address").and_then(|address| address.attribute("type"));
    let assigned = guest_address != Some("unassigned");
    found.hostdevs.push(HostDevice { address: host_address(source)?, managed, rom, rom_off, assigned });
    Ok(())
}

/// The address in a `<source>`. What is left out is 0, and numbers are as in C: `0x1f`, `31`, `037`.
pub(crate) fn host_address(source: Node<'_, '_>) -> Result<Address, String> {
    let Some(address) = child(source, "address") else {
        return Err("its XML has a PCI host device without an address".to_owned());
    };
    let part = |name: &str, most: u32| {
        let Some(value) = address.attribute(name) else { return Ok(0) };
        number(value)
            .filter(|n| *n <= most)
            .ok_or_else(|| format!("its XML has a PCI host device whose {name} is '{}', which cannot be", clip(value)))
    };
    let domain = part("domain", u32::MAX)?;
    // The bounds fit the narrower types.
    let (bus, device) = (part("bus", 0xff)? as u8, part("slot", 0x1f)? as u8);
    Ok(Slot { domain, bus, device }.function(part("function", 7)? as u8))
}
