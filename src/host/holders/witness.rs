// SPDX-License-Identifier: LGPL-2.1-or-later
//! Somebody whom `/proc` does not show: a descriptor on its way through a socket, or one that io_uring keeps, is no
//! process's, and the device is open all the same. Two of the kernel's own counts tell of that without being wrong.
//!
//! - DRM's list of a card's open files. What the kernel itself has open, for its console, is not on it
//!   (`drm_clients_info()`, `filelist_internal`).
//! - The uses of a vfio driver's module: one for each open device (`vfio_df_device_first_open()`), and none else. It tells
//!   of a card only if nobody else's function is with that driver.
//!
//! Not asked are the uses of a host driver's module, which are those of all its cards and of the kernel's own users, and
//! what descriptors of DRM say of themselves (`drm-pdev` in `fdinfo`): it tells no more than the device's number, but for
//! devices that are gone, and waits for locks of a driver that may hang.

use super::nodes::Node;
use super::{Holder, Seen};
use crate::host::function;
use crate::pci::Address;
use crate::root::{Root, PCI_DRIVERS};

/// Where DRM tells of its cards, to root.
const DRI: &str = "sys/kernel/debug/dri";

/// Functions that are open though none of the holders has them.
pub(super) fn unchecked(
    root: &Root,
    desired: &[(Address, Vec<Node>)],
    found: &[(Address, Holder)],
) -> Vec<(Address, Holder)> {
    let has = |address: Address, nodes: &str| {
        found.iter().any(|(held, holder)| *held == address && (holder.node.starts_with(nodes) || !holder.is_certain()))
    };
    let mut unchecked = Vec::new();
    for (address, nodes) in desired {
        let card = nodes.iter().find(|node| node.path.starts_with("/dev/dri/card"));
        let open = card.and_then(|card| Some((card, clients(root, *address, card)?)));
        if let Some((card, why)) = open.filter(|_| !has(*address, "/dev/dri/")) {
            unchecked.push((*address, unseen_holder(card.path.clone(), why)));
        }
    }
    let functions: Vec<Address> = desired.iter().map(|(address, _)| *address).collect();
    for (address, nodes) in desired {
        let Some(node) = nodes.iter().find(|node| node.is_vfio()) else { continue };
        let used = || functions.iter().any(|function| has(*function, super::nodes::VFIO));
        if let Some(why) = uses(root, *address, &functions).filter(|_| !used()) {
            unchecked.push((*address, unseen_holder(node.path.clone(), why)));
        }
    }
    unchecked
}

fn unseen_holder(node: String, why: String) -> Holder {
    Holder { node, command: why, seen: Seen::Unseen, ..Holder::default() }
}

/// What DRM says of the files that are open of a card, if any is.
fn clients(root: &Root, address: Address, card: &Node) -> Option<String> {
    let minor = card.path.strip_prefix("/dev/dri/card")?;
    let directory = format!("{DRI}/{minor}");
    let name = root.read_text(&format!("{directory}/name")).ok()?;
    let device = format!("dev={address}");
    name.split_ascii_whitespace().find(|word| *word == device)?;
    let clients = root.read_text(&format!("{directory}/clients")).ok()?;
    // Below a line with what the columns are.
    let count = clients.lines().skip(1).filter(|line| !line.trim().is_empty()).count();
    (count > 0).then(|| format!("{count} in /{directory}/clients"))
}

/// Whether a function is with a vfio driver of which no device at all is open.
pub(super) fn is_idle(root: &Root, address: Address) -> bool {
    let driver = function::driver(root, address).filter(|driver| function::is_vfio(driver));
    driver.and_then(|driver| count(root, &driver)).is_some_and(|(_, count)| count == 0)
}

/// How often a driver's module is in use, and where that is said. One that is built in counts nothing.
fn count(root: &Root, driver: &str) -> Option<(String, i32)> {
    let module = root.link_name(&format!("{PCI_DRIVERS}/{driver}/module")).ok()?;
    let count = root.read_text(&format!("sys/module/{module}/refcnt")).ok()?.parse().ok()?;
    Some((format!("sys/module/{module}"), count))
}

/// How often the module of a function's vfio driver is in use, if it is, and by nobody's functions but these.
fn uses(root: &Root, address: Address, functions: &[Address]) -> Option<String> {
    let driver = function::driver(root, address).filter(|driver| function::is_vfio(driver))?;
    let directory = format!("{PCI_DRIVERS}/{driver}");
    let mut bound = root.list(&directory).ok()?.into_iter().filter_map(|name| Address::from_sysfs(name.as_bytes()));
    if !bound.all(|bound| functions.contains(&bound)) {
        return None;
    }
    let (module, count) = count(root, &driver)?;
    // What is built on it uses it, too.
    (count > 0 && !root.holds_anything(&format!("{module}/holders"))).then(|| format!("{count} in /{module}/refcnt"))
}
