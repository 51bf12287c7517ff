// SPDX-License-Identifier: LGPL-2.1-or-later
//! What a driver makes of a function: directories that are there only while it is bound, and the links that lead to the
//! devices in them.

use crate::device::Device;
use crate::tree::Tree;
use std::io;
use vfio_suite::pci::Address;

/// Directories of classes. Those of DRM, framebuffers and sound cards are what people look for; the others are what else
/// sits beside a GPU.
const CLASSES: [&str; 9] = ["drm", "graphics", "sound", "backlight", "hwmon", "net", "nvme", "infiniband", "ieee80211"];

/// Devices that are numbered: `usb1`, `i2c-4`, `ata1`, `host0`, `virtio0`.
const NUMBERED: [&str; 5] = ["usb", "i2c-", "ata", "host", "virtio"];

/// Names in the function's directory that its driver made.
fn made(tree: &Tree<'_>, device: &Device) -> Vec<String> {
    let numbered = |name: &str| {
        let number = NUMBERED.iter().find_map(|prefix| name.strip_prefix(prefix));
        number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
    };
    let by_driver = |name: &String| CLASSES.contains(&name.as_str()) || numbered(name);
    tree.list(&device.path).into_iter().filter(by_driver).collect()
}

/// Keeps what a driver that goes had made, for when it comes back.
pub(crate) fn park(tree: &Tree<'_>, device: &Device, driver: &str) -> io::Result<()> {
    let parked = format!(".kernel/parked/{}/{driver}", device.name);
    for name in made(tree, device) {
        each_link(tree, &device.file(&name), &name, &mut |link, _| tree.unlink(link))?;
        tree.mkdir(&parked)?;
        tree.rename(&device.file(&name), &format!("{parked}/{name}"))?;
    }
    Ok(())
}

/// Brings it back.
pub(crate) fn unpark(tree: &Tree<'_>, device: &Device, driver: &str) -> io::Result<()> {
    let of_device = format!(".kernel/parked/{}", device.name);
    let parked = format!("{of_device}/{driver}");
    for name in tree.list(&parked) {
        tree.rename(&format!("{parked}/{name}"), &device.file(&name))?;
        each_link(tree, &device.file(&name), &name, &mut |link, target| tree.link(link, target))?;
    }
    for empty in [parked.as_str(), of_device.as_str(), ".kernel/parked"] {
        tree.rmdir(empty)?;
    }
    Ok(())
}

/// Calls `each` with every link that leads to a device at or below `path`, and with that device: those of its class or bus,
/// and that of its number. A device that does not say what it belongs to belongs to the class of what it is in.
fn each_link(
    tree: &Tree<'_>,
    path: &str,
    class: &str,
    each: &mut dyn FnMut(&str, &str) -> io::Result<()>,
) -> io::Result<()> {
    let (_, name) = path.rsplit_once('/').unwrap_or(("", path));
    let subsystem = tree.root.link_name(&format!("{path}/subsystem")).unwrap_or_else(|_| class.to_owned());
    // Devices have a uevent; attributes, `power` and the like have none.
    if tree.root.exists(&format!("{path}/uevent")) {
        let number = tree.root.read_text(&format!("{path}/dev")).unwrap_or_default();
        let kind = if subsystem == "block" { "block" } else { "char" };
        let links = [
            (format!("sys/class/{subsystem}"), name),
            (format!("sys/bus/{subsystem}/devices"), name),
            (format!("sys/dev/{kind}"), number.trim()),
        ];
        for (directory, name) in links.iter().filter(|(_, name)| !name.is_empty()) {
            if tree.root.exists(directory) {
                each(&format!("{directory}/{name}"), path)?;
            }
        }
    }
    for child in tree.root.directories(path).unwrap_or_default() {
        if Address::from_sysfs(child.as_bytes()).is_none() {
            each_link(tree, &format!("{path}/{child}"), &subsystem, each)?;
        }
    }
    Ok(())
}
