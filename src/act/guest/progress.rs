// SPDX-License-Identifier: LGPL-2.1-or-later
//! What a guest's program is doing, for those who watch it (`host::run::guest_progress`).

use crate::act::files;
use crate::act::journal::Journal;
use crate::host::run::guest_progress::{path, Progress};
use crate::root::Root;
use nix::time::{clock_gettime, ClockId};
use std::time::Duration;

/// Forgets what the guest's program did in earlier starts.
pub fn begin(root: &Root, guest: &str) {
    if let Err(error) = files::replace(root, &path(guest), b"") {
        log::debug!("/{}: {error}", path(guest));
    }
}

/// Says what the guest's program is doing. Whoever watches sees it; nobody may, and nothing depends on it.
pub fn add(root: &Root, guest: &str, text: &str) {
    let progress = Progress { at: uptime().as_millis() as u64, text: text.to_owned() };
    let path = path(guest);
    if let Err(error) = Journal::open(root, &path).and_then(|mut journal| journal.add(&progress)) {
        log::debug!("/{path}: {error}");
    }
}

/// Time since the machine's start.
pub fn uptime() -> Duration {
    // There is such a clock.
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from)
}
