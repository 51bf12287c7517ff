// SPDX-License-Identifier: LGPL-2.1-or-later
//! What stands before the first image of a file that was read from a card's flash memory.

use super::image::{self, BLOCK};
use super::numbers::{long, offset};
use serde::Serialize;

/// How far into a file the first image is looked for, in bytes.
const FARTHEST: usize = 1 << 20;
/// Between NVIDIA's flash status and its directory of the ROM, in version 3 of its header.
const FLASH_STATUS: usize = 4096;

/// What stands before the first image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Front {
    /// Nothing.
    Nothing,
    /// NVIDIA's header of what its flash memory holds, of that version.
    Nvgi {
        /// 1 to 3.
        version: u8,
    },
    /// Something else.
    Unknown,
}

/// Where the first image is: at the beginning, where NVIDIA's header says, or the first place that has an image of this
/// vendor.
pub(super) fn find(data: &[u8], vendor: Option<u16>) -> Option<(usize, Front)> {
    if data.starts_with(&[0x55, 0xaa]) {
        return Some((0, Front::Nothing));
    }
    let is_known = |found: u16| vendor.map_or(!matches!(found, 0 | 0xffff), |vendor| found == vendor);
    let fits = |at: &usize| image::vendor(data, *at).is_some_and(is_known);
    if let Some((start, version)) = nvgi(data).filter(|(start, _)| start % 4 == 0 && fits(start)) {
        return Some((start, Front::Nvgi { version }));
    }
    let places = |step| (step..data.len().min(FARTHEST)).step_by(step);
    let start = places(BLOCK).chain(places(4)).find(fits)?;
    Some((start, Front::Unknown))
}

/// The offset of the ROM by NVIDIA's header, and its version (Documentation/gpu/nova/core/vbios.rst; nova-core's
/// `vbios.rs`).
fn nvgi(data: &[u8]) -> Option<(usize, u8)> {
    if !data.starts_with(b"NVGI") {
        return None;
    }
    let fixed = long(data, 4)?;
    // The masks leave what fits.
    let (version, size) = ((fixed >> 8 & 0xff) as u8, (fixed >> 16 & 0x7fff) as usize);
    let start = match version {
        1 | 2 => offset(data, size + 4)?,
        3 => {
            let total = (long(data, 8)? & 0xf_ffff) as usize;
            let directory = offset(data, total)?.checked_add(FLASH_STATUS)?;
            data.get(directory..).filter(|directory| directory.starts_with(b"RFRD"))?;
            offset(data, directory.checked_add(8)?)?
        }
        _ => return None,
    };
    Some((start, version))
}
