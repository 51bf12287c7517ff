// SPDX-License-Identifier: LGPL-2.1-or-later
//! Option ROM files.

use vfio_suite::host::rom;

/// A size of eight bytes, then how the file begins.
pub fn check(data: &[u8]) {
    let (size, begin) = data.split_at(data.len().min(8));
    let mut bytes = [0; 8];
    bytes[..size.len()].copy_from_slice(size);
    let size = u64::from_le_bytes(bytes);
    let problem = rom::problem(size, begin);
    assert_eq!(problem.is_none(), size <= rom::LARGEST && begin.starts_with(&[0x55, 0xaa]));
}
