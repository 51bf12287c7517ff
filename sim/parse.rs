// SPDX-License-Identifier: LGPL-2.1-or-later
//! What is written to an attribute, as the kernel reads it.

use crate::device::Device;
use crate::tree::Tree;
use rustix::io::Errno;
use std::io;

/// The function that a value names.
pub(crate) fn found(tree: &Tree<'_>, value: &str) -> io::Result<Device> {
    Device::find(tree, line(value)).ok_or(Errno::NODEV.into())
}

/// A value without the one newline at its end that the kernel disregards.
pub(crate) fn line(value: &str) -> &str {
    value.strip_suffix('\n').unwrap_or(value)
}

/// A number as `kstrtoul(value, 0)` reads it: decimal, 0x and hexadecimal, or 0 and octal.
pub(crate) fn number(value: &str) -> io::Result<u64> {
    let digits = line(value);
    let digits = digits.strip_prefix('+').unwrap_or(digits);
    let (digits, base) = match (digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")), digits) {
        (Some(hex), _) => (hex, 16),
        (None, digits) if digits.len() > 1 && digits.starts_with('0') => (&digits[1..], 8),
        (None, digits) => (digits, 10),
    };
    if digits.starts_with('+') {
        return Err(Errno::INVAL.into());
    }
    u64::from_str_radix(digits, base).map_err(|_| Errno::INVAL.into())
}

#[cfg(test)]
mod tests {
    use crate::parse::number;

    #[test]
    fn numbers_as_the_kernel_reads_them() {
        for (text, value) in [("1", 1), ("1\n", 1), ("0x9", 9), ("010", 8), ("0", 0), ("+14\n", 14), ("0Xff", 255)] {
            assert_eq!(number(text).ok(), Some(value), "{text:?}");
        }
        for text in ["", "\n", "abc", "-1", "1 ", " 1", "1\n\n", "0x", "08", "++1", "0x+1", "99999999999999999999"] {
            assert!(number(text).is_err(), "{text:?}");
        }
    }
}
