// SPDX-License-Identifier: LGPL-2.1-or-later
//! File systems with boot files that are not mounted: what lies in their directories meanwhile is not what a loader reads.

use super::efi;
use super::esp::{is_below, is_partition, mounted_at, Partitions, MOUNTINFO};
use crate::host::mounts::{mounts, unescaped};
use crate::root::Root;

/// Where file systems with boot files are mounted, and below which.
const PLACES: [&str; 2] = ["boot", "efi"];

/// A file system with boot files that is not mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmounted {
    /// Where `/etc/fstab` has it, below the root; `None` if it is known by the loader alone.
    pub at: Option<String>,
    /// What would be mounted, as fstab writes it, or the device.
    pub what: String,
}

/// Those that fstab(5) names, and the partition that the firmware booted from. In a tree of which nobody knows the mounts: none.
pub(super) fn find(root: &Root, partitions: &Partitions) -> Vec<Unmounted> {
    let Ok(text) = root.read(MOUNTINFO) else { return Vec::new() };
    let mounts = mounts(&String::from_utf8_lossy(&text));
    let is_mounted = |at: &str| mounts.iter().any(|mount| mounted_at(mount) == at);
    let text = root.read("etc/fstab").unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let of_line = |line: &str| {
        let mut fields = line.split_whitespace();
        let (what, at) = (fields.next().filter(|what| !what.starts_with('#'))?, fields.next()?);
        let at = unescaped(at).trim_matches('/').to_owned();
        let is_one = PLACES.contains(&&*at) || is_below(&at, &PLACES);
        (is_one && !is_mounted(&at)).then(|| Unmounted { at: Some(at), what: unescaped(what) })
    };
    let mut found: Vec<Unmounted> = text.lines().filter_map(of_line).collect();
    let elsewhere = |uuid: &String| !mounts.iter().any(|mount| is_partition(root, mount, uuid));
    if found.is_empty() && partitions.esp.is_none() {
        let booted = efi::partition(root).filter(elsewhere);
        found.extend(booted.map(|uuid| Unmounted { at: None, what: format!("/dev/disk/by-partuuid/{uuid}") }));
    }
    found
}

/// Whether a file would be on one of these.
pub(super) fn hold(unmounted: &[Unmounted], partitions: &Partitions, path: &str) -> bool {
    partitions.is_on(path, unmounted.iter().filter_map(|unmounted| unmounted.at.as_deref()))
}
