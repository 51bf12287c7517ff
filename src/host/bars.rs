// SPDX-License-Identifier: LGPL-2.1-or-later
//! Base address registers and their sizes.

use super::function::attribute;
use crate::pci::Address;
use crate::root::{Root, RUN};

/// One base address register that decodes something.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Bar {
    /// 0 to 5.
    pub index: u8,
    /// Where it begins; 0 if the kernel could not place it.
    pub start: u64,
    /// Size in bytes.
    pub size: u64,
    /// Resource flags (`include/linux/ioport.h`); 0 if unassigned.
    pub flags: u64,
    /// Sizes in bytes that the Resizable BAR capability offers; empty without one.
    pub sizes: Vec<u64>,
}

/// `IORESOURCE_UNSET`: the kernel has found no place for it.
const UNSET: u64 = 0x2000_0000;

impl Bar {
    /// Whether the kernel has found a place for it: without one its function must get no driver.
    pub fn is_placed(&self) -> bool {
        self.size > 0 && self.start > 0 && self.flags & !UNSET == self.flags && self.flags > 0
    }
}

/// A size as it is written in the configuration: 256M, 16G.
pub fn show_size(bytes: u64) -> String {
    let unit = (bytes.trailing_zeros() % u64::BITS / 10).min(4);
    format!("{}{}", bytes >> (10 * unit), ["", "K", "M", "G", "T"][unit as usize])
}

/// Line 7 of `resource` is the option ROM (`PCI_ROM_RESOURCE`).
const ROM: usize = 6;

/// `start end flags`, hexadecimal with 0x.
fn parse_resource(text: &str) -> Option<(u64, u64, u64)> {
    let mut numbers = text.split_ascii_whitespace().map(|n| u64::from_str_radix(n.trim_start_matches("0x"), 16).ok());
    Some((numbers.next()??, numbers.next()??, numbers.next()??))
}

/// Where the kernel has a function's option ROM: start, end, flags; `None` if the function has none.
pub fn rom_place(root: &Root, address: Address) -> Option<(u64, u64, u64)> {
    let text = root.read_text(&attribute(address, "resource")).ok()?;
    text.lines().nth(ROM).and_then(parse_resource).filter(|(start, end, _)| end > start)
}

/// Start and end of what each line of `resource` holds; 0 and 0 where it holds nothing.
pub(super) fn places(root: &Root, address: Address) -> Vec<(u64, u64)> {
    let text = root.read_text(&attribute(address, "resource")).unwrap_or_default();
    text.lines()
        .map(|text| parse_resource(text).filter(|(start, end, _)| end > start).map_or((0, 0), |(s, e, _)| (s, e)))
        .collect()
}

/// Sizes from the bitmap in `resourceN_resize`: bit n stands for 2^(n+20) bytes (Documentation/ABI/testing/sysfs-bus-pci).
fn sizes(bitmap: u64) -> Vec<u64> {
    (0..44).filter(|n| bitmap & (1 << n) != 0).map(|n| 1 << (n + 20)).collect()
}

/// The registers in use, and the option ROM's size.
pub fn read(root: &Root, address: Address) -> (Vec<Bar>, Option<u64>) {
    let text = root.read_text(&attribute(address, "resource")).unwrap_or_default();
    let (mut bars, mut rom) = (Vec::new(), None);
    for (index, text) in text.lines().take(ROM + 1).enumerate() {
        let Some((start, end, flags)) = parse_resource(text) else { continue };
        let size = end.checked_sub(start).filter(|d| *d > 0).and_then(|d| d.checked_add(1)).unwrap_or(0);
        if index == ROM {
            rom = Some(size).filter(|size| *size > 0);
            continue;
        }
        let resize = root.read_text(&attribute(address, &format!("resource{index}_resize"))).ok();
        let sizes = resize.and_then(|bits| u64::from_str_radix(&bits, 16).ok()).map(sizes).unwrap_or_default();
        if size > 0 || !sizes.is_empty() {
            // The enumeration is bounded by ROM, so the index fits.
            bars.push(Bar { index: index as u8, start, size, flags, sizes });
        }
    }
    (bars, rom)
}

/// Where a Resizable BAR capability says how large a BAR is: the place of that byte of its control register in configuration
/// space, of which only root is shown enough (`PCI_EXT_CAP_ID_REBAR`, `PCI_REBAR_CTRL` in `include/uapi/linux/pci_regs.h`).
pub fn size_register(root: &Root, address: Address, bar: u8) -> Option<usize> {
    const CAPABILITY: u32 = 0x15;
    /// The first extended capability; each has two words at least.
    const FIRST: usize = 0x100;
    let mut config = [0; 4096];
    let config = root.read_into(&attribute(address, "config"), &mut config).ok()?;
    let word = |at: usize| Some(u32::from_le_bytes(config.get(at..at + 4)?.try_into().ok()?));
    let mut at = FIRST;
    for _ in 0..(4096 - FIRST) / 8 {
        let head = word(at)?;
        if head & 0xffff == CAPABILITY {
            let mut controls = (0..word(at + 8)? as usize >> 5 & 7).map(|n| at + 8 + 8 * n);
            return controls.find(|at| word(*at).is_some_and(|c| c & 7 == u32::from(bar))).map(|at| at + 1);
        }
        at = head as usize >> 20 & !3;
        if at < FIRST {
            break;
        }
    }
    None
}

/// The path of what is remembered of a function's BARs since before the first was resized in this boot: its modalias, then
/// number and bytes of each that had a place.
pub fn remembered_path(address: Address) -> String {
    format!("{RUN}/bars/{address}")
}

/// Number and size of each BAR of a function that has a place.
pub fn placed(root: &Root, address: Address) -> Vec<(u8, u64)> {
    read(root, address).0.iter().filter(|bar| bar.is_placed()).map(|bar| (bar.index, bar.size)).collect()
}

/// The BARs that a function had before any was resized in this boot: as the firmware left them, or a host driver. None if
/// nothing was resized, or if another card is there now.
pub fn remembered(root: &Root, address: Address) -> Option<Vec<(u8, u64)>> {
    let text = root.read_text(&remembered_path(address)).ok()?;
    let (modalias, bars) = text.split_once('\n')?;
    if root.read_text(&attribute(address, "modalias")).ok()? != modalias {
        return None;
    }
    let bar = |line: &str| {
        let (index, size) = line.split_once(' ')?;
        Some((index.parse().ok()?, size.parse().ok()?))
    };
    Some(bars.lines().filter_map(bar).collect())
}

/// The first BAR of a function that had a place and has lost it.
pub fn lost(root: &Root, address: Address) -> Option<u8> {
    let had = remembered(root, address)?;
    let has = placed(root, address);
    had.iter().find(|(index, _)| !has.iter().any(|(now, _)| now == index)).map(|(index, _)| *index)
}

/// One BAR of a function; `None` if it is not there.
pub fn bar(root: &Root, function: Address, index: u8) -> Option<Bar> {
    read(root, function).0.into_iter().find(|bar| bar.index == index)
}

/// The size of a BAR as it is now.
pub fn size(root: &Root, function: Address, index: u8) -> Option<u64> {
    bar(root, function, index).map(|bar| bar.size)
}

/// What is wrong with a function that has lost the place of a BAR.
pub fn loss(root: &Root, function: Address) -> Option<String> {
    let bar = lost(root, function)?;
    Some(format!("{function} has no place for its BAR {bar} any more and gets no driver; reboot"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bitmap_bits_are_powers_of_two_from_one_mebibyte() {
        assert_eq!(sizes(0x100), [256 << 20]);
        assert_eq!(sizes(0x3f00).last(), Some(&(8 << 30)));
    }

    #[test]
    fn sizes_are_shown_as_they_are_written() {
        for (bytes, text) in
            [(256 << 20, "256M"), (1 << 34, "16G"), (1 << 47, "128T"), (4096, "4K"), (48, "48"), (0, "0")]
        {
            assert_eq!(show_size(bytes), text);
        }
    }

    #[test]
    fn a_broken_line_is_no_register() {
        assert_eq!(parse_resource("0x1 0x2"), None);
        assert_eq!(parse_resource("0x1 0x2 zz"), None);
        assert_eq!(
            parse_resource("0x0000000000000010 0x000000000000001f 0x0000000000140204"),
            Some((16, 31, 0x140204))
        );
    }
}
