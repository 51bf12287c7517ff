// SPDX-License-Identifier: LGPL-2.1-or-later
//! The device nodes of a function, and the devices that they lead to: a node has many paths, a device one number.

use crate::host::function;
use crate::pci::Address;
use crate::root::{Root, PCI_DEVICES, PCI_DRIVERS};

/// A device as the kernel numbers it, whatever path leads to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    /// Whether it is a block device: those have numbers of their own.
    pub block: bool,
    /// The driver's number.
    pub major: u32,
    /// Its number with that driver.
    pub minor: u32,
}

impl Device {
    pub(super) fn parse(number: &str, block: bool) -> Option<Device> {
        let (major, minor) = number.trim().split_once(':')?;
        Some(Device { block, major: major.parse().ok()?, minor: minor.parse().ok()? })
    }
}

/// A device node of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    /// Where the kernel has it made, below the root.
    pub(super) path: String,
    /// What it leads to, where the kernel says that.
    pub(super) device: Option<Device>,
    /// Device-mapper, md or bcache devices made of it.
    pub(super) stacked: Vec<String>,
}

impl Node {
    /// A character device, with the number that is in a file.
    fn named(root: &Root, path: String, number: &str) -> Node {
        let device = root.read_text(number).ok().and_then(|number| Device::parse(&number, false));
        Node { path, device, stacked: Vec::new() }
    }

    /// Whether it is a disk, or a part of one.
    pub(super) fn is_disk(&self) -> bool {
        self.device.is_some_and(|device| device.block)
    }

    /// Whether a guest has its function by it.
    pub(super) fn is_vfio(&self) -> bool {
        self.path.starts_with(VFIO)
    }
}

/// Where vfio's nodes are.
pub(super) const VFIO: &str = "/dev/vfio/";

/// Deep enough for a partition of a disk behind five USB hubs.
const DEPTH: usize = 24;

/// The device nodes of everything below a function: every directory whose `uevent` names one (`DEVNAME=`). vfio's own node
/// of a function is among them; that of its group is not below it.
pub(super) fn nodes(root: &Root, address: Address) -> Vec<Node> {
    let mut found = Vec::new();
    walk(root, &format!("{PCI_DEVICES}/{address}"), DEPTH, &mut found);
    if let Some(group) = function::group(root, address) {
        found.push(Node::named(root, format!("{VFIO}{group}"), &format!("sys/class/vfio/{group}/dev")));
        // Where there is no IOMMU and somebody has said that it shall do without (`drivers/vfio/group.c`).
        let without = format!("noiommu-{group}");
        if root.exists(&format!("sys/class/vfio/{without}")) {
            found.push(Node::named(root, format!("{VFIO}{without}"), &format!("sys/class/vfio/{without}/dev")));
        }
    }
    found.extend(beside_sysfs(root, address));
    found
}

/// The nodes by which a guest has a function, below the root: that of its group, and its own.
pub fn vfio_nodes(root: &Root, address: Address) -> Vec<String> {
    let vfio = nodes(root, address).into_iter().filter(Node::is_vfio);
    vfio.map(|node| node.path.trim_start_matches('/').to_owned()).collect()
}

/// The node of a function that is its own, below the root, by which QEMU has it with iommufd (`drivers/vfio/vfio_main.c`,
/// `vfio_devnode`): a kernel may have it beside the group's node, or instead of it.
pub fn own_vfio_node(root: &Root, address: Address) -> Option<String> {
    let names = root.list(&format!("{PCI_DEVICES}/{address}/vfio-dev")).ok()?;
    names.into_iter().next().map(|name| format!("dev/vfio/devices/{name}"))
}

fn walk(root: &Root, dir: &str, depth: usize, found: &mut Vec<Node>) {
    if let Ok(uevent) = root.read_text(&format!("{dir}/uevent")) {
        let value = |key: &str| uevent.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix('='));
        // No driver waits for those who read a keyboard or whether a plug is in its jack: to them it is pulled out.
        if let Some(name) = value("DEVNAME").filter(|name| !name.starts_with("input/")) {
            let number = format!("{}:{}", value("MAJOR").unwrap_or("?"), value("MINOR").unwrap_or("?"));
            let block = value("DEVTYPE").is_some_and(|t| t == "disk" || t == "partition");
            let stacked = if block { root.list(&format!("{dir}/holders")).unwrap_or_default() } else { Vec::new() };
            found.push(Node { path: format!("/dev/{name}"), device: Device::parse(&number, block), stacked });
        }
    }
    if depth == 0 {
        return;
    }
    // Links lead out of the subtree (driver, subsystem, iommu_group); another function's devices are not ours.
    for name in root.directories(dir).unwrap_or_default() {
        if Address::from_sysfs(name.as_bytes()).is_none() {
            walk(root, &format!("{dir}/{name}"), depth - 1, found);
        }
    }
}

/// Nodes that drivers make without sysfs showing whose they are: NVIDIA's own, by the minor that it prints, and those that
/// all cards of a driver share. With another card on the driver nobody can tell for which of them a process has these open.
fn beside_sysfs(root: &Root, address: Address) -> Vec<Node> {
    let Some(driver) = function::driver(root, address) else { return Vec::new() };
    let alone = || {
        let functions = root.list(&format!("{PCI_DRIVERS}/{driver}")).unwrap_or_default();
        functions.iter().filter(|name| name.contains(':')).count() == 1
    };
    match driver.as_str() {
        "nvidia" => nvidia(root, address, alone()),
        // drivers/gpu/drm/amd/amdkfd
        "amdgpu" if root.exists("sys/class/kfd/kfd") && alone() => {
            vec![Node::named(root, "/dev/kfd".to_owned(), "sys/class/kfd/kfd/dev")]
        }
        _ => Vec::new(),
    }
}

/// NVIDIA's nodes, whose numbers are no secret either (`nvidia-modprobe`'s and nv-linux.h's): its drivers are in
/// `/proc/devices`, the minors are fixed.
fn nvidia(root: &Root, address: Address, alone: bool) -> Vec<Node> {
    // (node, drivers' names in /proc/devices, minor)
    const SHARED: [(&str, &[&str], u32); 4] = [
        ("nvidiactl", &["nvidia-frontend", "nvidia", "nvidiactl"], 255),
        ("nvidia-modeset", &["nvidia-frontend", "nvidia-modeset", "nvidia"], 254),
        ("nvidia-uvm", &["nvidia-uvm"], 0),
        ("nvidia-uvm-tools", &["nvidia-uvm"], 1),
    ];
    let devices = root.read_text("proc/devices").unwrap_or_default();
    let major = |names: &[&str]| {
        let characters = devices.lines().take_while(|line| !line.starts_with("Block"));
        let numbered =
            |line: &str| line.trim().split_once(' ').map(|(number, name)| (number.to_owned(), name.to_owned()));
        let majors: Vec<(String, String)> = characters.filter_map(numbered).collect();
        let of = |name: &&str| majors.iter().find(|(_, n)| n == name).and_then(|(number, _)| number.parse().ok());
        names.iter().find_map(of)
    };
    let node = |name: String, drivers: &[&str], minor: u32| {
        let device = major(drivers).map(|major| Device { block: false, major, minor });
        Node { path: format!("/dev/{name}"), device, stacked: Vec::new() }
    };
    let information = root.read_text(&format!("proc/driver/nvidia/gpus/{address}/information")).unwrap_or_default();
    let minor = information.lines().find_map(|l| l.strip_prefix("Device Minor:")?.trim().parse::<u32>().ok());
    let mut found: Vec<Node> =
        minor.map(|minor| node(format!("nvidia{minor}"), &["nvidia-frontend", "nvidia"], minor)).into_iter().collect();
    if alone {
        found.extend(SHARED.iter().map(|(name, drivers, minor)| node((*name).to_owned(), drivers, *minor)));
    }
    found
}
