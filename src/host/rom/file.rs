// SPDX-License-Identifier: LGPL-2.1-or-later
//! The bytes of a file that is to be an option ROM.

use super::LARGEST;
use std::fs::File;
use std::io::{self, Read};

/// All of a file, or one byte more than the largest ROM has.
pub fn read(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
