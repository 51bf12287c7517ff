// SPDX-License-Identifier: LGPL-2.1-or-later
//! USB devices, as the kernel numbers them (`drivers/usb/core/sysfs.c`).

use crate::root::Root;

/// A USB device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsbDevice {
    /// As sysfs names it: `3-1.2`.
    pub name: String,
    /// Vendor and product.
    pub id: (u16, u16),
    /// Bus and device number.
    pub place: (u32, u32),
}

/// All USB devices but hubs at the roots; what cannot be read is left out.
pub fn devices(root: &Root) -> Vec<UsbDevice> {
    const DEVICES: &str = "sys/bus/usb/devices";
    let device = |name: String| {
        // Interfaces of devices have a colon, root hubs are called `usb1`.
        if name.contains(':') || name.starts_with("usb") {
            return None;
        }
        let text = |attribute: &str| root.read_text(&format!("{DEVICES}/{name}/{attribute}")).ok();
        let hex = |attribute: &str| u16::from_str_radix(&text(attribute)?, 16).ok();
        let decimal = |attribute: &str| text(attribute)?.parse().ok();
        let id = (hex("idVendor")?, hex("idProduct")?);
        Some(UsbDevice { id, place: (decimal("busnum")?, decimal("devnum")?), name })
    };
    root.list(DEVICES).unwrap_or_default().into_iter().filter_map(device).collect()
}

/// Whether a device is the one that is asked for: by vendor and product, by bus and device number, or by both.
pub fn is(device: &UsbDevice, id: Option<(u16, u16)>, place: Option<(u32, u32)>) -> bool {
    id.is_none_or(|id| device.id == id) && place.is_none_or(|place| device.place == place)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn devices_are_told_by_kind_and_by_place() {
        let tree = tempfile::tempdir().unwrap();
        for (name, id, place) in
            [("3-1", ("046d", "c52b"), (3, 7)), ("3-2.1", ("046d", "c52b"), (3, 9)), ("usb3", ("1d6b", "0002"), (3, 1))]
        {
            let directory = tree.path().join("sys/bus/usb/devices").join(name);
            fs::create_dir_all(&directory).unwrap();
            let (bus, number) = (place.0.to_string(), place.1.to_string());
            for (file, text) in [("idVendor", id.0), ("idProduct", id.1), ("busnum", &*bus), ("devnum", &*number)] {
                fs::write(directory.join(file), format!("{text}\n")).unwrap();
            }
        }
        fs::create_dir_all(tree.path().join("sys/bus/usb/devices/3-1:1.0")).unwrap();
        let all = devices(&Root::open(tree.path()).unwrap());
        let found = |id, place| all.iter().filter(|d| is(d, id, place)).map(|d| d.name.as_str()).collect::<Vec<_>>();
        assert_eq!(found(Some((0x046d, 0xc52b)), None), ["3-1", "3-2.1"]);
        assert_eq!(found(Some((0x046d, 0xc52b)), Some((3, 9))), ["3-2.1"]);
        assert_eq!(found(None, Some((3, 7))), ["3-1"]);
        assert!(found(Some((0x1d6b, 2)), None).is_empty(), "a root hub is given to nobody");
    }
}
