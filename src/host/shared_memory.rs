// SPDX-License-Identifier: LGPL-2.1-or-later
//! Files in `/dev/shm` by which guests share memory with programs of the host, as Looking Glass.

use super::accounts::{self, User};
use super::domain::SharedMemory;
use super::qemu;
use crate::root::Root;
use rustix::fs::{AtFlags, FileType};

/// Where they are.
pub const DIRECTORY: &str = "dev/shm";

/// The group whose members may look at what guests share: that of `/dev/kvm`, to which `vfio setup` adds the user.
pub const GROUP: &str = "kvm";

/// A shared memory of a domain, and what is at its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What the domain asks for.
    pub memory: SharedMemory,
    /// What is there.
    pub there: Option<There>,
}

/// What is at the place of a shared memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct There {
    /// Whether it is a file.
    pub is_file: bool,
    /// Its size in bytes.
    pub size: u64,
    /// Whose it is.
    pub uid: u32,
    /// Whether QEMU's user may read and write it.
    pub usable: bool,
    /// Whether others than its owner may write it.
    pub open: bool,
}

/// Looks at the places of a domain's shared memory. `user` is who runs QEMU, if that is not root.
pub fn look(root: &Root, shared: &[SharedMemory], user: Option<&User>) -> Vec<Found> {
    let there = |memory: &SharedMemory| {
        let path = format!("{DIRECTORY}/{}", memory.name);
        let (parent, name) = root.parent(&path).ok()?;
        // A link there is somebody's who wants another file to be written.
        let stat = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        Some(There {
            is_file: FileType::from_raw_mode(stat.st_mode).is_file(),
            size: u64::try_from(stat.st_size).unwrap_or(0),
            uid: stat.st_uid,
            open: stat.st_mode & 0o022 != 0,
            usable: user.is_none_or(|user| qemu::permits(root, user, &stat)),
        })
    };
    shared.iter().map(|memory| Found { memory: memory.clone(), there: there(memory) }).collect()
}

/// The number of the group, if the machine has it.
pub fn group(root: &Root) -> Option<u32> {
    let groups = accounts::groups(root).unwrap_or_default();
    groups.into_iter().find(|group| group.name == GROUP).map(|group| group.gid)
}
