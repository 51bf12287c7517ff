// SPDX-License-Identifier: LGPL-2.1-or-later
//! What an emulated display shows: QEMU's screenshots, in the format PPM.

use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::path::Path;

/// The colours of a picture.
pub fn colours(file: &Path) -> Result<BTreeSet<[u8; 3]>> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    // "P6", width and height, the highest value: a line each, as QEMU writes them; then three bytes a point.
    let end = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(2).map(|(at, _)| at + 1);
    let points = end.filter(|_| bytes.starts_with(b"P6\n")).and_then(|end| bytes.get(end..));
    let points = points.with_context(|| format!("{} is no PPM", file.display()))?;
    Ok(points.chunks_exact(3).map(|point| [point[0], point[1], point[2]]).collect())
}
