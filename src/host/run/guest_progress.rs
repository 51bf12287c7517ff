// SPDX-License-Identifier: LGPL-2.1-or-later
//! What the program of a guest is doing, line by line, as `vfio guest start` and `vfio guest status --watch` show it.

use crate::root::{Root, RUN};
use serde::{Deserialize, Serialize};

/// Something that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// When, in milliseconds since the machine's start.
    pub at: u64,
    /// What, as the journal has it.
    pub text: String,
}

/// The path of what a guest's program has said since its last start.
pub fn path(guest: &str) -> String {
    format!("{RUN}/guest-progress/{guest}")
}

/// All of that, in order. A line that is only half written yet is left out.
pub fn read(root: &Root, guest: &str) -> Vec<Progress> {
    let bytes = root.read(&path(guest)).unwrap_or_default();
    bytes.split_inclusive(|byte| *byte == b'\n').map_while(|line| serde_json::from_slice(line).ok()).collect()
}
