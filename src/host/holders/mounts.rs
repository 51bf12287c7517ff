// SPDX-License-Identifier: LGPL-2.1-or-later
//! Who holds a function without a process: mounts on its disks, swap, what is stacked on them.

use super::nodes::Node;
use super::Holder;
use crate::pci::Address;
use crate::root::Root;

/// Mounted disks and swap below the functions.
pub(super) fn mounts(root: &Root, nodes: &[(Address, Vec<Node>)]) -> Vec<(Address, Holder)> {
    let mut holders = Vec::new();
    // Not our own mounts: a unit's view of them is narrowed (ProtectHome= and the like).
    let mountinfo = root.read_text("proc/1/mountinfo").or_else(|_| root.read_text("proc/self/mountinfo"));
    let mountinfo = mountinfo.unwrap_or_default();
    let swaps = root.read_text("proc/swaps").unwrap_or_default();
    for (address, nodes) in nodes {
        for node in nodes.iter().filter(|n| n.is_disk()) {
            let mounted = mountinfo.lines().find_map(|line| mounted_at(line, node));
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

/// The place at which a line of mountinfo mounts a node: `ID PARENT MAJOR:MINOR ROOT PLACE OPTIONS... - TYPE SOURCE ...`
/// (proc_pid_mountinfo(5)). btrfs shows a number of its own, so the source is compared too.
fn mounted_at(line: &str, node: &Node) -> Option<String> {
    let mut fields = line.split(' ').skip(2);
    let (number, place) = (fields.next()?, fields.nth(1)?);
    let source = line.split_once(" - ").and_then(|(_, rest)| rest.split(' ').nth(1));
    let same = node.device.is_some_and(|device| number == format!("{}:{}", device.major, device.minor));
    (same || source == Some(&node.path)).then(|| place.to_owned())
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
        assert_eq!(mounted_at(ext4, &node).as_deref(), Some("/"));
        assert_eq!(mounted_at(btrfs, &node).as_deref(), Some("/home"));
        assert_eq!(mounted_at(other, &node), None);
        assert_eq!(mounted_at("", &node), None);
    }
}
