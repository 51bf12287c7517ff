// SPDX-License-Identifier: LGPL-2.1-or-later
//! Memory in a sentence.

/// Memory for a person: whole MiB, or GiB with one digit.
pub(super) fn amount(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;
    match bytes {
        0..GIB => format!("{} MiB", bytes / MIB),
        _ if bytes % GIB == 0 => format!("{} GiB", bytes / GIB),
        _ => format!("{}.{} GiB", bytes / GIB, bytes % GIB * 10 / GIB),
    }
}
