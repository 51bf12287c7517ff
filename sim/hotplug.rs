// SPDX-License-Identifier: LGPL-2.1-or-later
//! Taking functions off the bus, and finding them.
//!
//! A function that is off the bus keeps its directory below `.kernel/removed`, under its path with `!` for `/`: a test
//! can put a card there that was never plugged in. Found again it is a new function: no override, no driver but one
//! that takes it now.

use crate::device::Device;
use crate::tree::Tree;
use crate::{driver, platform, reset, resize};
use std::io;
use vfio_suite::pci::Address;
use vfio_suite::root::{IOMMU_GROUPS, PCI_BUS, PCI_DEVICES};

const REMOVED: &str = ".kernel/removed";
const EMPTY_GROUPS: &str = ".kernel/groups";

/// The functions in and below a directory of `sys/devices`, parents first.
fn functions(tree: &Tree<'_>, path: &str, into: &mut Vec<Device>) {
    let Some((_, name)) = path.rsplit_once('/') else { return };
    if Address::from_sysfs(name.as_bytes()).is_none() {
        return;
    }
    into.push(Device { name: name.to_owned(), path: path.to_owned() });
    for child in tree.list(path) {
        functions(tree, &format!("{path}/{child}"), into);
    }
}

/// `remove`: the function and, if it is a bridge, everything below it goes, each taken from its driver first.
pub(crate) fn remove(tree: &Tree<'_>, device: &Device) -> io::Result<()> {
    let mut all = Vec::new();
    functions(tree, &device.path, &mut all);
    for function in all.iter().rev() {
        driver::release(tree, function)?;
    }
    for function in all.iter().rev() {
        platform::remove(tree, function)?;
        let link = format!("{PCI_DEVICES}/{}", function.name);
        // A tree may have directories where sysfs has links: those move as a whole, below.
        if function.path != link {
            tree.unlink(&link)?;
        }
        if let Some(group) = function.group(tree) {
            leave_group(tree, &group, &function.name)?;
        }
    }
    tree.mkdir(REMOVED)?;
    tree.rename(&device.path, &format!("{REMOVED}/{}", device.path.replace('/', "!")))
}

/// A group is gone with its last function.
fn leave_group(tree: &Tree<'_>, group: &str, name: &str) -> io::Result<()> {
    let directory = format!("{IOMMU_GROUPS}/{group}");
    tree.unlink(&format!("{directory}/devices/{name}"))?;
    if tree.list(&format!("{directory}/devices")).is_empty() {
        tree.mkdir(EMPTY_GROUPS)?;
        tree.rename(&directory, &format!("{EMPTY_GROUPS}/{group}"))?;
    }
    Ok(())
}

fn join_group(tree: &Tree<'_>, group: &str, device: &Device) -> io::Result<()> {
    let directory = format!("{IOMMU_GROUPS}/{group}");
    if !tree.root.exists(&directory) {
        let kept = format!("{EMPTY_GROUPS}/{group}");
        if tree.root.exists(&kept) {
            tree.rename(&kept, &directory)?;
            tree.rmdir(EMPTY_GROUPS)?;
        } else {
            tree.mkdir(&format!("{directory}/devices"))?;
        }
    }
    tree.link(&format!("{directory}/devices/{}", device.name), &device.path)
}

/// `rescan`: what is not on the bus at or below `bus` is found. The functions appear, then the drivers that are
/// registered take what matches.
pub(crate) fn rescan(tree: &Tree<'_>, bus: &str) -> io::Result<()> {
    let mut found = Vec::new();
    // Sorted, so a bridge comes before what was below it.
    for name in tree.list(REMOVED) {
        let path = name.replace('!', "/");
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        let below = parent == bus || parent.strip_prefix(bus).is_some_and(|rest| rest.starts_with('/'));
        if below && tree.root.exists(parent) && !tree.root.exists(&path) {
            tree.rename(&format!("{REMOVED}/{name}"), &path)?;
            functions(tree, &path, &mut found);
        }
    }
    tree.rmdir(REMOVED)?;
    for device in &found {
        let link = format!("{PCI_DEVICES}/{}", device.name);
        if device.path != link {
            tree.link(&link, &device.path)?;
        }
        if let Some(group) = device.group(tree) {
            join_group(tree, &group, device)?;
        }
        device.set_override(tree, "\n")?;
        reset::forget(tree, device)?;
        resize::found(tree, device)?;
    }
    // `pci_bus_add_device` of 6.1 and 6.12 calls `device_attach`, which never looks at drivers_autoprobe.
    let off = tree.root.read_text(&format!("{PCI_BUS}/drivers_autoprobe")).is_ok_and(|text| text == "0");
    if off && tree.root.exists(".kernel/rescan-honours-autoprobe") {
        return Ok(());
    }
    found.iter().try_for_each(|device| driver::meet(tree, device))
}
