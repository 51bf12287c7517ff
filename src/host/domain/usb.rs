// SPDX-License-Identifier: LGPL-2.1-or-later
//! USB and SCSI devices of the host that a domain is given.

use super::needs::{Domain, ScsiDevice, UsbDevice};
use super::xml::{child, clip, number};
use roxmltree::Node;

/// A USB `<hostdev>`. libvirt leaves out one that is optional and not there.
pub(super) fn usb_device(device: Node<'_, '_>, found: &mut Domain) -> Result<(), String> {
    let Some(source) = child(device, "source") else { return Ok(()) };
    found.has_input = true;
    if source.attribute("startupPolicy") == Some("optional") {
        return Ok(());
    }
    let value = |element: &str, name: &str| -> Result<Option<u32>, String> {
        let Some(value) = child(source, element).and_then(|e| e.attribute(name)) else { return Ok(None) };
        let wrong = || format!("its XML has a USB host device whose {element} is '{}', which cannot be", clip(value));
        number(value).filter(|n| *n <= 0xffff).map(Some).ok_or_else(wrong)
    };
    let id = value("vendor", "id")?.zip(value("product", "id")?);
    let place = value("address", "bus")?.zip(value("address", "device")?);
    if id.is_some() || place.is_some() {
        // The bounds fit the narrower types.
        let id = id.map(|(vendor, product)| (vendor as u16, product as u16));
        found.usb.push(UsbDevice { id, place });
    }
    Ok(())
}

/// A SCSI `<hostdev>` that is one of the host's own: another protocol has no adapter.
pub(super) fn scsi_device(device: Node<'_, '_>, found: &mut Domain) -> Result<(), String> {
    let Some(source) = child(device, "source") else { return Ok(()) };
    let (Some(adapter), Some(address)) = (child(source, "adapter"), child(source, "address")) else { return Ok(()) };
    let host = adapter.attribute("name").and_then(|name| name.strip_prefix("scsi_host")?.parse::<u32>().ok());
    let Some(host) = host else { return Ok(()) };
    let part = |name: &str| {
        let value = address.attribute(name).unwrap_or("0");
        number(value)
            .ok_or_else(|| format!("its XML has a SCSI host device whose {name} is '{}', which cannot be", clip(value)))
    };
    let name = format!("{host}:{}:{}:{}", part("bus")?, part("target")?, part("unit")?);
    found.scsi.push(ScsiDevice { name, written: child(device, "readonly").is_none() });
    Ok(())
}
