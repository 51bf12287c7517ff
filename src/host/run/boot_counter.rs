// SPDX-License-Identifier: LGPL-2.1-or-later
//! The failed-boot counter, as it is kept in `/var/lib/vfio/boots`.
//!
//! A boot that tries to bind is counted as failed when it begins, and taken back when it came up: when the default
//! target was reached and the machine then ran for five minutes or was shut down cleanly.
//!
//! It is written whole or not at all, so a file that says nothing is not one that we left: what was counted is not known
//! then, and nothing is bound until a boot came up. It is kept in one place only. A second one would not be safer: variables
//! of the firmware are in flash that wears out and on some boards may not be filled, and /boot or the EFI system partition
//! would be written at every boot, before anything else is sound.

use crate::root::{Root, STATE};
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;

/// What the file holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootCounter {
    /// The boot that was counted last (`/proc/sys/kernel/random/boot_id`).
    pub boot: String,
    /// Boots in a row that did not come up, that one included until it does.
    pub failed: u32,
    /// Whether there may have been more: the file was broken, and no boot came up since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lost: bool,
}

/// What is known of the boots before one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Before {
    /// So many in a row did not come up.
    Failed(u32),
    /// Nothing: why, as a part of a sentence.
    NotKnown(String),
}

/// The path of the file.
pub fn path() -> String {
    format!("{STATE}/boots")
}

/// This boot's id; empty where there is none (a test tree).
pub fn current(root: &Root) -> String {
    root.read_text("proc/sys/kernel/random/boot_id").unwrap_or_default()
}

impl BootCounter {
    /// Reads the counter. One that is not there has counted nothing yet; an error says what is wrong with one that is there.
    pub fn read(root: &Root) -> Result<BootCounter, String> {
        let bytes = match root.read_regular(&path()) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BootCounter::default()),
            Err(error) => return Err(format!("/{} cannot be read ({error})", path())),
        };
        serde_json::from_slice(&bytes).map_err(|_| format!("/{} is broken", path()))
    }

    /// What is known of the boots before the boot `current`.
    pub fn before(&self, current: &str) -> Before {
        match self.lost {
            true => Before::NotKnown(format!("/{} was broken, and no boot came up since", path())),
            false if self.boot == current => Before::Failed(self.failed.saturating_sub(1)),
            false => Before::Failed(self.failed),
        }
    }

    /// The counter after the boot `current` has begun; the same however often it is asked in one boot.
    pub fn begun(&self, current: &str) -> BootCounter {
        if self.boot == current {
            self.clone()
        } else {
            BootCounter { boot: current.to_owned(), failed: self.failed.saturating_add(1), lost: self.lost }
        }
    }

    /// The counter that the boot `current` begins in place of a broken one.
    pub fn anew(current: &str) -> BootCounter {
        BootCounter { boot: current.to_owned(), failed: 1, lost: true }
    }

    /// The counter after the boot `current` came up.
    pub fn came_up(current: &str) -> BootCounter {
        BootCounter { boot: current.to_owned(), ..BootCounter::default() }
    }
}

/// What keeps boots from being counted, as far as it shows without writing: what is wrong, as a part of a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// The next boot cannot count, so it binds nothing.
    NoCount(String),
    /// It counts, and the boot after it does not know.
    NoMemory(String),
}

/// Looks for one.
pub fn obstacle(root: &Root) -> Option<Obstacle> {
    if let Err(why) = BootCounter::read(root) {
        return Some(Obstacle::NoCount(why));
    }
    let above = STATE.match_indices('/').map(|(at, _)| &STATE[..at]).chain([STATE]);
    let place = above.rev().find(|path| root.exists(path))?;
    let stat = root.stat(place).ok()?;
    if stat.st_mode & 0o17_0000 != 0o04_0000 {
        return Some(Obstacle::NoCount(format!("/{place} is not a directory")));
    }
    let room = root.room(place).ok()?;
    match (room.read_only, room.blocks, room.in_memory) {
        (true, ..) => Some(Obstacle::NoCount(format!("/{place} is on a file system that is mounted read-only"))),
        (_, 0, _) => Some(Obstacle::NoCount(format!("/{place} is on a file system that is full"))),
        // Trees of tests may lie there.
        (.., true) if root.is_system() => {
            Some(Obstacle::NoMemory(format!("/{place} is in memory: what is counted there is gone at the next boot")))
        }
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn two_boots_that_are_cut_are_two_failed_boots() {
        let mut boots = BootCounter::default();
        for (boot, before) in [("a", 0), ("b", 1), ("c", 2)] {
            boots = boots.begun(boot);
            assert_eq!(boots.before(boot), Before::Failed(before), "{boot}");
            assert_eq!(boots.begun(boot), boots, "a second program in the same boot counts nothing");
        }
        boots = BootCounter::came_up("c");
        assert_eq!(boots.before("c"), Before::Failed(0));
        assert_eq!(boots.begun("d").before("d"), Before::Failed(0));
    }

    #[test]
    fn what_was_lost_is_lost_until_a_boot_came_up() {
        let mut boots = BootCounter::anew("a");
        for boot in ["a", "b"] {
            boots = boots.begun(boot);
            let read: BootCounter = serde_json::from_slice(&serde_json::to_vec(&boots).unwrap()).unwrap();
            assert!(matches!(read.before(boot), Before::NotKnown(_)), "{boot}");
        }
        assert_eq!(BootCounter::came_up("b").before("b"), Before::Failed(0));
        // As it was written by the first release.
        let old: BootCounter = serde_json::from_str(r#"{"boot": "a", "failed": 2}"#).unwrap();
        assert_eq!(old.before("b"), Before::Failed(2));
    }

    /// Regression: whatever was there counted as no failed boot.
    #[test]
    fn a_counter_that_says_nothing_is_an_error() {
        let tree = tempfile::tempdir().unwrap();
        let root = Root::open(tree.path()).unwrap();
        assert_eq!((BootCounter::read(&root), obstacle(&root)), (Ok(BootCounter::default()), None));
        let file = tree.path().join(path());
        std::fs::create_dir_all(&file).unwrap();
        assert_eq!(
            BootCounter::read(&root).unwrap_err(),
            "/var/lib/vfio/boots cannot be read (it is not a regular file)"
        );
        std::fs::remove_dir(&file).unwrap();
        for text in ["", "{\"boot\": \"a\", \"fai", "{\"boot\": \"a\", \"failed\": -1}", "\0\0\0\0", "[]"] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(BootCounter::read(&root).unwrap_err(), "/var/lib/vfio/boots is broken", "{text:?}");
        }
        std::fs::remove_dir_all(tree.path().join("var/lib/vfio")).unwrap();
        std::fs::write(tree.path().join("var/lib/vfio"), "").unwrap();
        assert!(BootCounter::read(&root).is_err() && obstacle(&root).is_some());
    }
}
