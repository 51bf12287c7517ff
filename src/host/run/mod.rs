// SPDX-License-Identifier: LGPL-2.1-or-later
//! Our own state, as it is read: what our programs left in `/run/vfio` and `/var/lib/vfio`.

pub mod boot_counter;
pub mod card_status;
pub mod claims;
pub mod guest_status;
pub mod marks;
pub mod sync_report;
