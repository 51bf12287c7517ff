// SPDX-License-Identifier: LGPL-2.1-or-later
//! Option ROMs, by their structure: what a file holds, and where a card's own ROM can be read.

mod chain;
pub mod file;
mod front;
pub mod image;
mod numbers;
pub mod source;
pub mod vfct;

pub use chain::End;
pub use front::Front;
pub use image::{Flaw, Image, LengthFrom, Signature};

use image::BLOCK;

/// No option ROM is larger, in bytes: the window of an expansion ROM has 16 MiB at most (PCI 3.0, 6.2.5.2).
pub const LARGEST: u64 = 16 << 20;

/// An option ROM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rom {
    /// The size of the file, in bytes.
    pub size: usize,
    /// What stands before the first image.
    pub front: Front,
    /// The images, in order; never none.
    pub images: Vec<Image>,
    /// How they end.
    pub end: End,
    /// The end of what a computer's firmware and the kernel read.
    pub pci_end: usize,
    /// What stands behind the last image.
    pub rest: Rest,
}

/// What stands behind the last image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// Nothing.
    Nothing,
    /// So many bytes, all `FF` or all `00`: flash memory that was not written.
    Padding(usize),
    /// So many bytes of something else.
    Data(usize),
}

/// Why a file is not an option ROM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotRom {
    /// It has no bytes.
    #[error("is not an option ROM: it is empty")]
    Empty,
    /// It is larger than any.
    #[error("is not an option ROM: it is larger than {} MiB", LARGEST >> 20)]
    TooLarge,
    /// Every byte is the same: what is read of a card that does not answer.
    #[error("is not an option ROM: every byte of it is {0:02X}, as is read from a card that sleeps or hides its ROM")]
    Uniform(u8),
    /// There is no image in it.
    #[error("is not an option ROM: {0}")]
    Flaw(#[from] Flaw),
}

/// Reads an option ROM. A ROM that does not begin at the beginning is looked for as that of `vendor`, or of any.
///
/// # Errors
/// The file has no image in it, and why.
pub fn read(data: &[u8], vendor: Option<u16>) -> Result<Rom, NotRom> {
    let first = *data.first().ok_or(NotRom::Empty)?;
    if data.len() as u64 > LARGEST {
        return Err(NotRom::TooLarge);
    }
    if data.iter().all(|byte| *byte == first) {
        return Err(NotRom::Uniform(first));
    }
    let (start, front) = front::find(data, vendor).unwrap_or((0, Front::Nothing));
    let (images, end) = chain::images(data, start)?;
    let behind = data.get(images.last().map_or(start, Image::end)..).unwrap_or_default();
    let rest = match behind.first() {
        None => Rest::Nothing,
        Some(fill @ (0 | 0xff)) if behind.iter().all(|byte| byte == fill) => Rest::Padding(behind.len()),
        Some(_) => Rest::Data(behind.len()),
    };
    Ok(Rom { size: data.len(), front, images, end, pci_end: chain::end_for_kernel(data, start), rest })
}

impl Rom {
    /// Where the first image begins.
    pub fn start(&self) -> usize {
        self.images.first().map_or(0, |image| image.offset)
    }

    /// The images that a computer's firmware comes to and can run. It stops where PCIR says that an image is the last;
    /// of the first image it needs no length.
    pub fn for_firmware(&self) -> impl Iterator<Item = &Image> {
        let reached = self.pci_end.max(self.start() + BLOCK);
        self.images.iter().filter(move |image| image.is_for_firmware() && image.offset < reached)
    }

    /// The end of the last image that a computer's firmware could run, wherever it stops.
    pub fn firmware_end(&self) -> Option<usize> {
        self.images.iter().rev().find(|image| image.is_for_firmware()).map(Image::end)
    }
}

/// ROMs for tests.
#[cfg(test)]
#[path = "../../../tests/common/roms.rs"]
#[allow(dead_code, clippy::unwrap_used)]
pub(crate) mod roms;
#[cfg(test)]
#[path = "tests.rs"]
mod tests;
