// SPDX-License-Identifier: LGPL-2.1-or-later
//! Who holds a function without a process: mounts on its disks, swap, what is stacked on them.

use super::nodes::Node;
use super::Holder;
use crate::host::mounts::{self, Mount};
use crate::pci::Address;
use crate::root::Root;

/// Mounted disks and swap below the functions.
pub(super) fn of_disks(root: &Root, nodes: &[(Address, Vec<Node>)]) -> Vec<(Address, Holder)> {
    let mut holders = Vec::new();
    if !nodes.iter().flat_map(|(_, nodes)| nodes).any(Node::is_disk) {
        return holders;
    }
    let mounts = mounts::of_system(root);
    let swaps = root.read_text("proc/swaps").unwrap_or_default();
    for (address, nodes) in nodes {
        for node in nodes.iter().filter(|n| n.is_disk()) {
            let mounted = mounts.iter().find(|mount| is_of(mount, node)).map(|mount| mount.at.clone());
            let swap = swaps.lines().any(|l| l.split_ascii_whitespace().next() == Some(&node.path));
            let stacked = node.stacked.first().cloned().or_else(|| claimed(root, node));
            if let Some(place) = mounted.or(stacked).or_else(|| swap.then(|| "swap".to_owned())) {
                holders.push((*address, Holder::mount(node.path.clone(), place)));
            }
        }
    }
    holders
}

/// Whether the kernel has claimed a disk for something that shows nowhere else (ZFS, a second disk of btrfs): then it
/// cannot be opened for oneself (open(2), `O_EXCL` on a block device). In a test tree nodes are no devices.
fn claimed(root: &Root, node: &Node) -> Option<String> {
    use rustix::fs::{Mode, OFlags};
    if !root.is_system() {
        return None;
    }
    let flags = OFlags::RDONLY | OFlags::EXCL | OFlags::NONBLOCK;
    let opened = root.open_at(node.path.trim_start_matches('/'), flags, Mode::empty());
    let busy = opened.is_err_and(|error| error.kind() == std::io::ErrorKind::ResourceBusy);
    busy.then(|| "the kernel".to_owned())
}

/// Whether a node is mounted here. btrfs shows a number of its own, so the source is compared too.
fn is_of(mount: &Mount, node: &Node) -> bool {
    let same = node.device.is_some_and(|device| mount.number == format!("{}:{}", device.major, device.minor));
    same || mount.source == node.path
}

#[cfg(test)]
mod tests {
    use super::super::nodes::Device;
    use super::*;

    #[test]
    fn mounts_are_known_by_number_and_by_source() {
        let path = "/dev/nvme0n1p2".to_owned();
        let node = Node { path, device: Some(Device { block: true, major: 259, minor: 2 }), stacked: Vec::new() };
        let ext4 = "29 1 259:2 / / rw,relatime shared:1 - ext4 /dev/disk/by-uuid/1 rw";
        let btrfs = "41 29 0:33 /home /home rw,relatime shared:2 - btrfs /dev/nvme0n1p2 rw,subvol=/home";
        let other = "42 29 259:3 / /srv rw - xfs /dev/nvme0n1p3 rw";
        let found: Vec<String> = mounts::mounts(&[ext4, btrfs, other, ""].join("\n"))
            .into_iter()
            .filter(|mount| is_of(mount, &node))
            .map(|mount| mount.at)
            .collect();
        assert_eq!(found, ["/", "/home"]);
    }
}
