// SPDX-License-Identifier: LGPL-2.1-or-later
//! What our programs last did with each card, as they left it in `/run/vfio/status`.

use crate::pci::Address;
use crate::root::{Root, RUN};
use serde::{Deserialize, Serialize};

/// How the last act on a card ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Host drivers are kept away; binding follows.
    Reserved,
    /// Every function is on its vfio driver.
    Bound,
    /// Nothing was touched; `why` says what forbade it.
    Refused,
    /// A step failed and what was done is undone; `why` says which.
    Failed,
    /// A step failed and not all could be undone; `why` says what is left to do.
    Stuck,
    /// The host has it back.
    Restored,
}

/// One card's status file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The `[gpu]` section's name.
    pub gpu: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it was refused or failed: one sentence each.
    pub why: Vec<String>,
    /// The functions it was about.
    pub functions: Vec<Address>,
}

/// The path of a card's status.
pub fn path(gpu: &str) -> String {
    format!("{RUN}/status/{gpu}")
}

/// All statuses, by name. A file that is not ours to understand is left out.
pub fn read_all(root: &Root) -> Vec<Status> {
    let names = root.list(&format!("{RUN}/status")).unwrap_or_default();
    // A name that begins with a dot is what a killed program left half-written.
    let names = names.iter().filter(|name| !name.starts_with('.'));
    names.filter_map(|name| serde_json::from_slice(&root.read(&path(name)).ok()?).ok()).collect()
}
