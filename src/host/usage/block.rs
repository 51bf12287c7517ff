// SPDX-License-Identifier: LGPL-2.1-or-later
//! What the host has on block devices that a guest is given as disks: by a path, as a SCSI device, with a USB device.
//!
//! A disk is in use when a partition of it is, a partition when its whole disk is; other partitions of the same disk do not
//! matter, and neither do other volumes of the same volume group.

use super::storage::{self, resolved, BLOCK};
use super::Use;
use crate::root::Root;
use rustix::fs::{major, minor, FileType};
use std::collections::BTreeMap;

/// What the host has on block devices, by the kernel's names, on every layer: the volume, the partition below it, the disk.
#[derive(Debug)]
pub struct BlockUses<'r> {
    root: &'r Root,
    uses: BTreeMap<String, Use>,
}

impl BlockUses<'_> {
    /// Reads what is mounted, swapped to, or a part of something.
    pub fn read(root: &Root) -> BlockUses<'_> {
        BlockUses { root, uses: storage::uses_of_all_layers(root) }
    }

    /// What the host has on the block device at a path; `None` as well for what is not one.
    pub fn of_path(&self, path: &str) -> Option<&Use> {
        let relative = path.trim_start_matches('/');
        let stat = self.root.stat(relative).ok();
        let number =
            stat.filter(|stat| FileType::from_raw_mode(stat.st_mode).is_block_device()).map(|stat| stat.st_rdev);
        let by_number = number
            .and_then(|number| self.root.link_name(&format!("sys/dev/block/{}:{}", major(number), minor(number))).ok());
        let name = match by_number {
            Some(name) => name,
            // In a test tree nodes are no devices, and a link may name what is not there.
            None => resolved(self.root, relative.strip_prefix("dev/")?),
        };
        self.of_device(&name)
    }

    /// What the host has on a SCSI device, as sysfs names it: `HOST:CHANNEL:TARGET:UNIT`.
    pub fn of_scsi(&self, name: &str) -> Option<&Use> {
        let disks = self.root.list(&format!("sys/bus/scsi/devices/{name}/block")).unwrap_or_default();
        disks.iter().find_map(|disk| self.of_device(disk))
    }

    /// What the host has on disks of a USB device, as sysfs names it: `3-1.2`.
    pub fn of_usb(&self, name: &str) -> Option<&Use> {
        let below = |device: &&String| {
            let link = self.root.read_link(&format!("{BLOCK}/{device}")).unwrap_or_default();
            link.components().any(|part| part.as_os_str() == name)
        };
        let device = self.uses.keys().find(below)?;
        self.uses.get(device)
    }

    fn of_device(&self, name: &str) -> Option<&Use> {
        if let Some(own) = self.uses.get(name) {
            return Some(own);
        }
        let is_partition = |device: &str| self.root.exists(&format!("{BLOCK}/{device}/partition"));
        if is_partition(name) {
            // .../block/sda/sda2
            let link = self.root.read_link(&format!("{BLOCK}/{name}")).ok()?;
            let disk = link.parent()?.file_name()?.to_str()?.to_owned();
            return self.uses.get(&disk);
        }
        let parts = self.root.directories(&format!("{BLOCK}/{name}")).unwrap_or_default();
        parts.iter().filter(|part| is_partition(part)).find_map(|part| self.uses.get(part.as_str()))
    }
}
