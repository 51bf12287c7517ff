// SPDX-License-Identifier: LGPL-2.1-or-later
//! How a boot file is now, against what is required.

use crate::host::boot::{LoaderKind, Role};
use serde::Serialize;

/// A boot file.
#[derive(Debug, Clone, Serialize)]
pub struct BootFileStatus {
    /// Whose it is.
    pub loader: LoaderKind,
    /// The file.
    pub path: String,
    /// What it is to its loader.
    pub role: Role,
    /// Whether it is there.
    pub exists: bool,
    /// Wanted parameters that are missing in it, or in one of its command lines.
    pub missing: Vec<String>,
    /// Parameters in it that are ours.
    pub ours: Vec<String>,
    /// Of these, what is not required any more.
    #[serde(rename = "unwanted")]
    pub obsolete: Vec<String>,
    /// Why it cannot be read, if so.
    pub problem: Option<String>,
    /// Whether what is in it is in a boot of this system: it has a command line, and its loader may be the one that boots.
    #[serde(skip)]
    pub is_booted: bool,
}

impl BootFileStatus {
    /// Whether a parameter that is missing here is missing in a boot.
    pub fn counts(&self) -> bool {
        self.exists && self.is_booted && matches!(self.role, Role::Source | Role::Entry | Role::Generated)
    }

    /// Whether it has all that is required and nothing of ours that is not.
    pub fn is_as_required(&self) -> bool {
        self.missing.is_empty() && self.obsolete.is_empty() && self.problem.is_none()
    }
}
