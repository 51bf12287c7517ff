// SPDX-License-Identifier: LGPL-2.1-or-later
//! Option ROM files: whether one is what it is said to be.

/// No option ROM is larger, in bytes: the window of an expansion ROM has 16 MiB at most (PCI 3.0, 6.2.5.2).
pub const LARGEST: u64 = 16 << 20;

/// What is wrong with a file that is to be an option ROM, of so many bytes, which begins with these; `None` if nothing is.
pub fn problem(size: u64, begin: &[u8]) -> Option<String> {
    if size > LARGEST {
        return Some(format!("is not an option ROM: it is larger than {} MiB", LARGEST >> 20));
    }
    // PCI Firmware Specification 3.0, 5.1.
    (!begin.starts_with(&[0x55, 0xaa]))
        .then(|| "is not an option ROM: it does not begin with the bytes 55 AA".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Regression: 1 MiB was the limit, and there are larger ones.
    #[test]
    fn sizes_and_beginnings() {
        assert_eq!(problem(512, &[0x55, 0xaa, 0x40]), None);
        assert_eq!(problem(LARGEST, &[0x55, 0xaa]), None);
        assert!(problem(LARGEST + 1, &[0x55, 0xaa]).is_some_and(|why| why.contains("16 MiB")));
        for begin in [&[][..], &[0x55], &[0xaa, 0x55], b"MZ"] {
            assert!(problem(512, begin).is_some_and(|why| why.contains("55 AA")), "{begin:?}");
        }
    }
}
