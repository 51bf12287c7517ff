// SPDX-License-Identifier: LGPL-2.1-or-later
//! The ACPI table VFCT, in which the firmware leaves the ROMs of AMD's cards (`atombios.h`: `VFCT_IMAGE_HEADER`,
//! `UEFI_ACPI_VFCT`; read by amdgpu's `amdgpu_acpi_vfct_bios`).

use super::numbers::{long, offset, word};
use crate::pci::{Address, Slot};

/// The table, where it is there; only root reads it.
pub const PATH: &str = "sys/firmware/acpi/tables/VFCT";
/// Where the table has the offset of the first image.
const FIRST: usize = 0x34;
/// What stands before each image.
const HEADER: usize = 28;
/// The most images that are looked at.
const MOST: usize = 32;

/// One image of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'t> {
    /// Where the firmware saw the card: its numbers of buses, which are not always the kernel's. The domain is not told.
    pub address: Address,
    /// Vendor and device.
    pub ids: (u16, u16),
    /// Those of the subsystem.
    pub subsystem: (u16, u16),
    /// The ROM.
    pub image: &'t [u8],
}

/// The images, as far as the table has them whole.
pub fn entries(table: &[u8]) -> Vec<Entry<'_>> {
    let mut found = Vec::new();
    // The length that the table says of itself counts, where the file is longer.
    let length = offset(table, 4).unwrap_or_default();
    let Some(table) = table.get(..length.min(table.len())).filter(|table| table.starts_with(b"VFCT")) else {
        return found;
    };
    let Some(mut at) = offset(table, FIRST) else { return found };
    while let Some(entry) = entry(table, at).filter(|_| found.len() < MOST) {
        at += HEADER + entry.image.len();
        found.push(entry);
    }
    found
}

fn entry(table: &[u8], at: usize) -> Option<Entry<'_>> {
    let header = table.get(at..at.checked_add(HEADER)?)?;
    let length = offset(header, 24).filter(|length| *length > 0)?;
    let image = table.get(at + HEADER..)?.get(..length)?;
    let part = |at, most| u8::try_from(long(header, at)?).ok().filter(|part| *part <= most);
    let slot = Slot { domain: 0, bus: part(0, 0xff)?, device: part(4, 0x1f)? };
    let pair = |at| Some((word(header, at)?, word(header, at + 2)?));
    Some(Entry { address: slot.function(part(8, 7)?), ids: pair(12)?, subsystem: pair(16)?, image })
}

/// The image of a card: by its ids first, since the firmware's addresses may be others; of several the one at its address.
/// Whether the address is the card's comes with it.
pub fn of_card<'t>(entries: &[Entry<'t>], ids: (u16, u16), address: Address) -> Option<(Entry<'t>, bool)> {
    let same = |entry: &&Entry<'_>| {
        let (ours, theirs) = (address.slot, entry.address.slot);
        (ours.bus, ours.device, address.function) == (theirs.bus, theirs.device, entry.address.function)
    };
    let mut fitting = entries.iter().filter(|entry| entry.ids == ids);
    let first = fitting.clone().next()?;
    let found = fitting.find(same).unwrap_or(first);
    Some((*found, same(&found)))
}
