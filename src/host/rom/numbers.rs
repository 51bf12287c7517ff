// SPDX-License-Identifier: LGPL-2.1-or-later
//! Little-endian numbers at an offset; `None` where they would lie beyond the end.

/// One byte.
pub(super) fn byte(data: &[u8], at: usize) -> Option<u8> {
    data.get(at).copied()
}

/// Two bytes.
pub(super) fn word(data: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(data.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

/// Four bytes.
pub(super) fn long(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(data.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// Four bytes as an offset.
pub(super) fn offset(data: &[u8], at: usize) -> Option<usize> {
    usize::try_from(long(data, at)?).ok()
}
