// SPDX-License-Identifier: LGPL-2.1-or-later
//! How the last attempt to bring boot files and images up to date went, as `/run/vfio/sync` has it; and whether a package
//! manager is at work, which builds images itself.

use crate::root::{Root, RUN};
use serde::{Deserialize, Serialize};

/// The version of [`Report`]'s form.
pub const VERSION: u32 = 1;

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SyncOutcome {
    /// Everything was up to date.
    Nothing,
    /// Everything is up to date now.
    Done,
    /// All that can be done is done; something is left to a person.
    Noted,
    /// The configuration is wrong: nothing was touched.
    Refused,
    /// Something did not work.
    Failed,
}

impl SyncOutcome {
    /// The exit code that says so: 0 done, 1 something is left to a person, 2 errors.
    pub fn code(self) -> u8 {
        match self {
            SyncOutcome::Nothing | SyncOutcome::Done => 0,
            SyncOutcome::Noted => 1,
            SyncOutcome::Refused | SyncOutcome::Failed => 2,
        }
    }
}

/// What an attempt leaves behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// [`VERSION`].
    pub version: u32,
    /// How it went.
    pub outcome: SyncOutcome,
    /// What was done: a sentence each.
    pub did: Vec<String>,
    /// Why it was refused or failed, or what is left to a person: a sentence each.
    pub why: Vec<String>,
}

/// The path of the report.
pub fn path() -> String {
    format!("{RUN}/sync")
}

/// The last report of this boot; `None` if there was no attempt, or if the file is not ours to understand.
pub fn read(root: &Root) -> Option<Report> {
    let report: Report = serde_json::from_slice(&root.read(&path()).ok()?).ok()?;
    (report.version == VERSION).then_some(report)
}

/// Locks that a package manager holds while it installs.
const LOCKS: [(&str, &str); 3] =
    [("var/lib/dpkg/lock", "dpkg"), ("usr/lib/sysimage/rpm/.rpm.lock", "rpm"), ("var/lib/rpm/.rpm.lock", "rpm")];

/// The package manager that is at work, if one is: by the kernel's list of locks; pacman's is a file that comes and goes.
pub fn package_manager(root: &Root) -> Option<&'static str> {
    if root.exists("var/lib/pacman/db.lck") {
        return Some("pacman");
    }
    let held = root.read_text("proc/locks").ok()?;
    LOCKS
        .into_iter()
        .find(|(path, _)| root.stat(path).is_ok_and(|stat| is_locked(&held, stat.st_ino)))
        .map(|(_, name)| name)
}

/// Whether somebody holds a lock on this inode: `1: POSIX  ADVISORY  WRITE 923 fe:01:393233 0 EOF`; who waits for one has
/// `->` after the number (`fs/locks.c`). The device is left aside: some file systems have another name for it here.
fn is_locked(locks: &str, inode: u64) -> bool {
    locks.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let place = words.iter().rev().nth(2).and_then(|place| place.rsplit(':').next());
        !words.contains(&"->") && place.and_then(|number| number.parse().ok()) == Some(inode)
    })
}

#[cfg(test)]
mod tests {
    use crate::host::run::sync_report::is_locked;

    #[test]
    fn locks_as_the_kernel_lists_them() {
        let list = "1: FLOCK  ADVISORY  WRITE 923 fe:01:393233 0 EOF\n\
                    2: POSIX  ADVISORY  WRITE 77 00:1f:41 1073741826 1073742335\n\
                    2: -> POSIX  ADVISORY  WRITE 78 00:1f:42 0 EOF\n";
        assert!(is_locked(list, 393_233) && is_locked(list, 41));
        assert!(!is_locked(list, 42) && !is_locked(list, 0) && !is_locked("", 1) && !is_locked("x y z", 1));
    }
}
