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

/// Where it is written which guest has a card.
pub const CLAIMS: &str = "run/vfio/claims";

/// The file that says which guest has a card.
pub fn claim_path(gpu: &str) -> String {
    format!("{CLAIMS}/{gpu}")
}

/// The guest that has a card.
pub fn owner(root: &Root, gpu: &str) -> Option<String> {
    root.read_text(&claim_path(gpu)).ok()
}

/// Cards that guests have: the card's and the guest's name.
pub fn claims(root: &Root) -> Vec<(String, String)> {
    let cards = root.list(CLAIMS).unwrap_or_default();
    let cards = cards.into_iter().filter(|name| !name.starts_with('.'));
    cards.filter_map(|gpu| owner(root, &gpu).map(|guest| (gpu, guest))).collect()
}
