// SPDX-License-Identifier: LGPL-2.1-or-later
//! Why a step of a hand-over did not come about.

use crate::act::lock::LockError;
use std::io;

/// What kept a step from being made.
#[derive(Debug, thiserror::Error)]
pub(super) enum HandOverError {
    /// A process holds the card, so that what was to be done with it was refused; it may be tried again.
    #[error("{0}")]
    Held(String),
    /// The card could not be bound; what was found.
    #[error("{0}")]
    Card(String),
    /// Another guest has the card since the plan was made.
    #[error("it belongs to [guest {owner}] now")]
    Claimed {
        /// That guest.
        owner: String,
    },
    /// The card's section is gone since the plan was made.
    #[error("it is not in the configuration any more")]
    NotConfigured,
    /// The time for the start was over before.
    #[error("not begun within {seconds} s (start-timeout)")]
    NotBegun {
        /// The time, in seconds.
        seconds: u64,
    },
    /// Another program of ours is at work.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The kernel, or a program of the system.
    #[error(transparent)]
    Io(#[from] io::Error),
}
