// SPDX-License-Identifier: LGPL-2.1-or-later
//! The memory that a guest shares with programs of the host. QEMU would make the file as its own user's alone, and leaves it: a
//! program of the desktop could not open it, and a guest that needs more memory would not start with it.

use super::{GuestContext, GuestStep};
use crate::config::Guest;
use crate::finding::{codes, Finding};
use crate::host::accounts::User;
use crate::host::shared_memory::{Found, There};
use crate::plan::amount::amount;

/// What is shared, and with whom.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shared {
    /// Each shared memory of the domain.
    pub found: Vec<Found>,
    /// The user that QEMU runs as; `None` for root.
    pub user: Option<User>,
    /// The group whose members may look at it.
    pub group: Option<u32>,
}

/// Whether QEMU starts with what is there, and whoever made it wants it so.
fn is_right(found: &Found, there: &There) -> bool {
    // QEMU gives an empty file its size.
    there.is_file && there.usable && (there.size == 0 || there.size >= found.memory.size)
}

impl Shared {
    fn uid(&self) -> u32 {
        self.user.as_ref().map_or(0, |user| user.uid)
    }

    /// Whether a former start has left it: QEMU's own, which nobody else can use.
    fn is_left_over(&self, there: &There) -> bool {
        there.is_file && (there.uid == self.uid() || there.uid == 0)
    }
}

/// What is in the way of the guest's shared memory.
pub(super) fn check(guest: &Guest, context: &GuestContext) -> Vec<Finding> {
    let shared = &context.shared;
    let problem = |found: &Found| {
        let there = found.there.filter(|there| !is_right(found, there) && !shared.is_left_over(there))?;
        let path = format!("/dev/shm/{}", found.memory.name);
        let what = match () {
            () if !there.is_file => "it is not a file".to_owned(),
            () if !there.usable => format!("it belongs to user {}, and QEMU may not write it", there.uid),
            () => format!("it has {} and the guest needs {}", amount(there.size), amount(found.memory.size)),
        };
        let text = format!("the shared memory {path} is in the way: {what}");
        let hint = format!("remove it ('rm {path}'), and what makes it (tmpfiles.d): vfio makes it for the guest");
        Some(Finding::guest(guest, codes::SHARED_MEMORY, text).hint(hint))
    };
    shared.found.iter().filter_map(problem).collect()
}

/// The steps that make it; none where what is there is right.
pub(super) fn steps(context: &GuestContext) -> Vec<GuestStep> {
    let shared = &context.shared;
    let stays = |found: &Found, there: &There| is_right(found, there) && (there.open || !shared.is_left_over(there));
    let needed = shared.found.iter().filter(|found| !found.there.is_some_and(|there| stays(found, &there)));
    let step = |found: &Found| GuestStep::ShareMemory {
        name: found.memory.name.clone(),
        size: found.memory.size,
        uid: shared.uid(),
        gid: shared.group.or(shared.user.as_ref().map(|user| user.gid)).unwrap_or(0),
    };
    needed.map(step).collect()
}
