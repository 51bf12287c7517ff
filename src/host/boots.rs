// SPDX-License-Identifier: LGPL-2.1-or-later
//! The failed-boot counter, as it is kept in `/var/lib/vfio/boots`.
//!
//! A boot that tries to bind is counted as failed when it begins, and taken back when it came up: when the default
//! target was reached and the machine then ran for five minutes or was shut down cleanly.

use crate::root::{Root, STATE};
use serde::{Deserialize, Serialize};

/// What the file holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boots {
    /// The boot that was counted last (`/proc/sys/kernel/random/boot_id`).
    pub boot: String,
    /// Boots in a row that did not come up, that one included until it does.
    pub failed: u32,
}

/// The path of the file.
pub fn path() -> String {
    format!("{STATE}/boots")
}

/// This boot's id; empty where there is none (a test tree).
pub fn current(root: &Root) -> String {
    root.read_text("proc/sys/kernel/random/boot_id").unwrap_or_default()
}

impl Boots {
    /// Reads the counter. A missing or broken file counts as no failed boot: it must never keep a GPU from its guest
    /// for ever.
    pub fn read(root: &Root) -> Boots {
        let bytes = root.read(&path()).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// Boots in a row before the boot `current` that did not come up.
    pub fn failed_before(&self, current: &str) -> u32 {
        if self.boot == current {
            self.failed.saturating_sub(1)
        } else {
            self.failed
        }
    }

    /// The counter after the boot `current` has begun; the same however often it is asked in one boot.
    pub fn begun(&self, current: &str) -> Boots {
        if self.boot == current {
            self.clone()
        } else {
            Boots { boot: current.to_owned(), failed: self.failed.saturating_add(1) }
        }
    }

    /// The counter after the boot `current` came up.
    pub fn came_up(current: &str) -> Boots {
        Boots { boot: current.to_owned(), failed: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_boots_that_are_cut_are_two_failed_boots() {
        let mut boots = Boots::default();
        for (boot, before) in [("a", 0), ("b", 1), ("c", 2)] {
            boots = boots.begun(boot);
            assert_eq!(boots.failed_before(boot), before, "{boot}");
            assert_eq!(boots.begun(boot), boots, "a second program in the same boot counts nothing");
        }
        boots = Boots::came_up("c");
        assert_eq!(boots.failed_before("c"), 0);
        assert_eq!(boots.begun("d").failed_before("d"), 0);
    }
}
