// SPDX-License-Identifier: LGPL-2.1-or-later
//! How a guest's last start or end went, for `vfio status` and `vfio guest status`.

use crate::root::{Root, RUN};
use serde::{Deserialize, Serialize};

/// Where a guest is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GuestOutcome {
    /// It was not started; nothing was touched.
    Refused,
    /// It has its cards, and is being started or runs.
    HandedOver,
    /// A step failed; what was done is undone or being undone.
    Failed,
    /// Everything is back with the host.
    Returned,
    /// Not all could be given back.
    Stuck,
}

/// A guest's status file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestStatus {
    /// The `[guest]` section's name.
    pub guest: String,
    /// How it went.
    pub outcome: GuestOutcome,
    /// Why: one sentence each.
    pub why: Vec<String>,
}

/// The path of a guest's status.
pub fn path(guest: &str) -> String {
    format!("{RUN}/guest-status/{guest}")
}

/// A guest's status, if it was ever started in this boot.
pub fn read(root: &Root, guest: &str) -> Option<GuestStatus> {
    serde_json::from_slice(&root.read(&path(guest)).ok()?).ok()
}

/// The guests that have a status, by name.
pub fn all(root: &Root) -> Vec<GuestStatus> {
    let names = root.list(&format!("{RUN}/guest-status")).unwrap_or_default();
    names.iter().filter(|name| !name.starts_with('.')).filter_map(|name| read(root, name)).collect()
}
