// SPDX-License-Identifier: LGPL-2.1-or-later
//! Which words in which boot file are ours: kept in `/var/lib/vfio/cmdline`. What is not in here is the user's.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the record's form.
pub const VERSION: u32 = 1;

/// All that is ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// [`VERSION`].
    pub version: u32,
    /// By file, below the root, as it is known (`Place::key`): what is ours in it.
    pub places: BTreeMap<String, Vec<Owned>>,
    /// Directories that were made for files of ours, outermost first: they go with the last file, if they are empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub directories: Vec<String>,
}

impl Default for Record {
    fn default() -> Self {
        Record { version: VERSION, places: BTreeMap::new(), directories: Vec::new() }
    }
}

/// What is ours in one command line of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owned {
    /// Which command line of the file (see `Line::key`); empty for a file that is ours alone.
    pub key: String,
    /// Our words, in order.
    pub words: Vec<String>,
    /// The raw text of the command line without them, as it was when they came in. With it an undo is exact even where
    /// quotes had to be added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
}

impl Record {
    /// What is ours in one command line of a file.
    pub fn owned(&self, path: &str, key: &str) -> Option<&Owned> {
        self.places.get(path)?.iter().find(|owned| owned.key == key)
    }

    /// Every word that is ours anywhere.
    pub fn all_words(&self) -> Vec<&str> {
        let mut words: Vec<&str> = self.places.values().flatten().flat_map(|o| &o.words).map(String::as_str).collect();
        words.sort_unstable();
        words.dedup();
        words
    }

    /// Whether nothing is ours.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty() && self.directories.is_empty()
    }
}
