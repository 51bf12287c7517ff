// SPDX-License-Identifier: LGPL-2.1-or-later
//! Boot files that a person edited after we did.

use crate::boot_file::{desired, split};
use crate::common::hand;

/// Up to eight edits of three bytes each, their number first; then what [`crate::boot_file`] takes.
pub fn check(data: &[u8]) {
    let Some((count, rest)) = data.split_first() else { return };
    let count = usize::from(count % 8) * 3;
    if rest.len() < count {
        return;
    }
    let (edits, file) = rest.split_at(count);
    let edits: Vec<(u16, u8)> =
        edits.chunks_exact(3).map(|edit| (u16::from_le_bytes([edit[0], edit[1]]), edit[2])).collect();
    if let Some((format, text)) = split(file) {
        hand::check(format, &text, &desired(), &edits);
    }
}
