// SPDX-License-Identifier: LGPL-2.1-or-later
//! What of a file is the ROM that a guest can use.

use crate::host::rom::{End, Rom};
use std::ops::Range;

/// Why a file cannot be trimmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CannotTrim {
    /// What is missing cannot be put back.
    #[error("is cut off inside its last image")]
    Cut,
    /// There is nothing to keep.
    #[error("has no image that a guest's firmware runs; --keep-all keeps the others")]
    NoCode,
}

/// The bytes to keep: from the first image to the last that a guest's firmware runs, or with `all` to the last of all. No byte
/// between is changed.
///
/// # Errors
/// The file does not have the last image whole, or has none for firmware.
pub fn trim(rom: &Rom, all: bool) -> Result<Range<usize>, CannotTrim> {
    let last = rom.images.last().map(|image| image.end());
    let end = if all { last } else { rom.firmware_end() }.ok_or(CannotTrim::NoCode)?;
    if matches!(rom.end, End::Cut(_)) && Some(end) == last {
        return Err(CannotTrim::Cut);
    }
    Ok(rom.start()..end)
}
