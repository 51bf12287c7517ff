// SPDX-License-Identifier: LGPL-2.1-or-later
//! The images of an option ROM, one after another, and where each reader of them stops.

use super::image::{Flaw, Image, BLOCK};
use super::numbers::{byte, long, word};

/// The most images that are read. NVIDIA's have eight at most.
const MOST: usize = 32;

/// How the chain of images ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The last image says that it is the last.
    Last,
    /// The last image says that another follows, and none does.
    NoMore,
    /// The last image is longer than what is left of the file, which is so many bytes.
    Cut(usize),
    /// What follows the last image begins as an image and is none.
    Broken(Flaw),
    /// There are more images than any ROM has.
    TooMany,
}

/// The images from an offset on, by NVIDIA's extension where there is one, and how they end.
pub(super) fn images(data: &[u8], start: usize) -> Result<(Vec<Image>, End), Flaw> {
    let mut images = vec![Image::read(data, start)?];
    // Each image is 512 bytes long at least.
    while let Some(image) = images.last().filter(|_| images.len() <= MOST) {
        let end = image.end();
        if end > data.len() {
            let left = data.len().saturating_sub(image.offset);
            return Ok((images, End::Cut(left)));
        }
        if image.is_last() {
            return Ok((images, End::Last));
        }
        match Image::read(data, end) {
            Ok(next) => images.push(next),
            Err(Flaw::Signature(_) | Flaw::Nothing) => return Ok((images, End::NoMore)),
            Err(flaw) => return Ok((images, End::Broken(flaw))),
        }
    }
    images.truncate(MOST);
    Ok((images, End::TooMany))
}

/// The end of what the kernel reads of a ROM that begins at an offset: it knows PCIR alone. The same rule as
/// `pci_get_rom_size()` in `drivers/pci/rom.c`, with the file in place of the window.
pub(super) fn end_for_kernel(data: &[u8], start: usize) -> usize {
    let mut end = start;
    for _ in 0..MOST {
        let image = data.get(end..).unwrap_or_default();
        let structure = word(image, 0x18).and_then(|at| image.get(usize::from(at)..)).unwrap_or_default();
        if !image.starts_with(&[0x55, 0xaa]) || long(structure, 0) != Some(u32::from_le_bytes(*b"PCIR")) {
            break;
        }
        let length = usize::from(word(structure, 0x10).unwrap_or_default()) * BLOCK;
        end = end.saturating_add(length).min(data.len());
        if length == 0 || byte(structure, 0x15).is_none_or(|indicator| indicator & 0x80 != 0) {
            break;
        }
    }
    end
}
