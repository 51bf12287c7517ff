// SPDX-License-Identifier: LGPL-2.1-or-later
//! Which parameters in which boot file are ours: kept in `/var/lib/vfio/cmdline`. What is not in here is the user's.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the record's form.
pub const VERSION: u32 = 1;

/// All that is ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// [`VERSION`].
    pub version: u32,
    /// By file, below the root, as it is known (`BootFile::key`): what is ours in it.
    #[serde(rename = "places")]
    pub boot_files: BTreeMap<String, Vec<Owned>>,
    /// Directories that were made for files of ours, outermost first: they go with the last file, if they are empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub directories: Vec<String>,
    /// Files, below the root, with the boot entry without us in them, or that are it (`[host] rescue-entry`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rescue_entries: Vec<String>,
    /// The boot in which boot files were last changed (`/proc/sys/kernel/random/boot_id`); empty where it is not known. What
    /// they say counts in every later one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub changed_in: String,
}

impl Default for Record {
    fn default() -> Self {
        Record {
            version: VERSION,
            boot_files: BTreeMap::new(),
            directories: Vec::new(),
            rescue_entries: Vec::new(),
            changed_in: String::new(),
        }
    }
}

/// What is ours in one command line of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owned {
    /// Which command line of the file (see `Line::key`); empty for a file that is ours alone.
    pub key: String,
    /// Our parameters, in order.
    #[serde(rename = "words")]
    pub parameters: Vec<String>,
    /// The raw text of the command line without them, as it was when they came in. With it an undo is exact even where
    /// quotes had to be added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
}

impl Record {
    /// What is ours in one command line of a file.
    pub fn owned(&self, path: &str, key: &str) -> Option<&Owned> {
        self.boot_files.get(path)?.iter().find(|owned| owned.key == key)
    }

    /// Every parameter that is ours anywhere.
    pub fn all_parameters(&self) -> Vec<&str> {
        let mut parameters: Vec<&str> =
            self.boot_files.values().flatten().flat_map(|o| &o.parameters).map(String::as_str).collect();
        parameters.sort_unstable();
        parameters.dedup();
        parameters
    }

    /// Whether nothing is ours.
    pub fn is_empty(&self) -> bool {
        self.boot_files.is_empty() && self.directories.is_empty() && self.rescue_entries.is_empty()
    }
}
