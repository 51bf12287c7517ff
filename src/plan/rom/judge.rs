// SPDX-License-Identifier: LGPL-2.1-or-later
//! What is to be said of an option ROM: by itself, for a card, and for the firmware of a guest.

use crate::finding::codes::{self, Code};
use crate::finding::Section;
use crate::host::domain::Firmware;
use crate::host::rom::image::{EFI, X86};
use crate::host::rom::{End, Front, Image, LengthFrom, NotRom, Rest, Rom};
use crate::plan::Finding;

/// What a ROM is to serve; what is not known is not judged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Purpose {
    /// Vendor and device of the card.
    pub card: Option<(u16, u16)>,
    /// What the guest boots with.
    pub firmware: Option<Firmware>,
}

/// What there is to say of a file, the worst first. Each text is the rest of a sentence that begins with the file.
pub fn judge(rom: Result<&Rom, NotRom>, purpose: Purpose) -> Vec<Finding> {
    let rom = match rom {
        Ok(rom) => rom,
        Err(why) => {
            let finding = error(codes::ROM_INVALID, why.to_string());
            return vec![finding.hint("'vfio rom dump' reads the card's own; docs/ROM.md lists other sources")];
        }
    };
    let mut findings: Vec<Finding> = front(rom).into_iter().chain(chain(rom)).collect();
    findings.extend(purpose.card.and_then(|card| identity(rom, card)));
    findings.extend(for_firmware(rom, purpose));
    findings.extend(rom.images.iter().enumerate().filter_map(|(n, image)| length(n, image)));
    findings.extend(rom.images.iter().enumerate().filter_map(|(n, image)| checksum(n, image)));
    findings.extend(rom.for_firmware().find(|image| !image.aligned).map(|image| {
        let text = format!("has its PCI data structure of the image at {:#x} at no multiple of 4", image.offset);
        error(codes::ROM_NOT_ALIGNED, text).hint("newer Linux guests do not read it").note()
    }));
    // Of an image that is broken more is said above.
    if let (Rest::Data(bytes), End::Last | End::NoMore) = (rom.rest, rom.end) {
        let text = format!("has {bytes} bytes behind its last image that no firmware reads");
        findings.push(error(codes::ROM_REST, text).hint("'vfio rom trim' removes them").note());
    }
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

fn error(code: Code, text: impl Into<String>) -> Finding {
    Finding::about(Section::Configuration, code, text)
}

/// An image for a sentence; a person counts from 1.
fn show(n: usize, image: &Image) -> String {
    format!("image {} ({}) at {:#x}", n + 1, image.kind(), image.offset)
}

/// A guest's firmware looks for the first image at the beginning.
fn front(rom: &Rom) -> Option<Finding> {
    let start = rom.start();
    let text = match rom.front {
        Front::Nothing => return None,
        Front::Nvgi { .. } => format!("has NVIDIA's flash header of {start} bytes before its first image"),
        Front::Unknown => format!("has {start} bytes of something else before its first image"),
    };
    let hint = "'vfio rom trim IN OUT' writes the ROM without it";
    Some(error(codes::ROM_FLASH_HEADER, text).hint(hint))
}

fn chain(rom: &Rom) -> Option<Finding> {
    let last = rom.images.len().checked_sub(1)?;
    let image = rom.images.get(last)?;
    let shown = show(last, image);
    match rom.end {
        End::Last => None,
        End::Cut(left) => {
            let text = format!("is cut off: {shown} has {} bytes, and {left} of them are there", image.length);
            Some(error(codes::ROM_TRUNCATED, text).hint("get the ROM again"))
        }
        End::TooMany => Some(error(codes::ROM_INVALID, format!("has more than {} images", rom.images.len()))),
        End::Broken(flaw) => {
            let text = format!("says that another image follows at {:#x}: {flaw}", image.end());
            Some(error(codes::ROM_CHAIN, text).hint("firmware uses those before it").warning())
        }
        // Firmware goes by PCIR: what NVIDIA's extension says is for the card, and is missing from a ROM that was trimmed.
        End::NoMore if image.last => None,
        End::NoMore => {
            let text = format!("has {shown} as its last, which says that another follows");
            Some(error(codes::ROM_CHAIN, text).hint("firmware uses those that are there").warning())
        }
    }
    .or_else(|| hidden(rom))
}

/// Images that firmware could run and does not come to.
fn hidden(rom: &Rom) -> Option<Finding> {
    let reached = rom.for_firmware().count();
    let (n, image) = rom.images.iter().enumerate().filter(|(_, image)| image.is_for_firmware()).nth(reached)?;
    let text = format!("hides {} from firmware, which stops at {:#x}", show(n, image), rom.pci_end);
    Some(error(codes::ROM_HIDDEN_IMAGES, text).hint("it works without that image").warning())
}

/// Whether a ROM is a card's. A subsystem is in no ROM.
fn identity(rom: &Rom, (vendor, device): (u16, u16)) -> Option<Finding> {
    let card = format!("{vendor:04x}:{device:04x}");
    let ours = || rom.images.iter().filter(|image| image.is_for_firmware());
    if let Some(other) = ours().find(|image| image.vendor != vendor) {
        let text = format!("is for {:04x}:{:04x}, and the card is {card}", other.vendor, other.device);
        return Some(error(codes::ROM_OTHER_CARD, text).hint("get the card's own ROM"));
    }
    if let Some(other) = ours().next().filter(|_| !ours().any(|image| image.names(device))) {
        let text = format!("is for {:04x}:{:04x}, and the card is {card}", other.vendor, other.device);
        let hint = "some ROMs serve several devices; make sure that this one is for this card";
        return Some(error(codes::ROM_OTHER_DEVICE, text).hint(hint).warning());
    }
    let other = ours().find(|image| image.class >> 16 != 3)?;
    let text = format!("is for a device of class {:06x}, which is not a display", other.class);
    Some(error(codes::ROM_CLASS, text).hint("get the card's own ROM").warning())
}

/// Whether a guest's firmware finds an image that it can run. The guest's machine is the host's: no other gets a device.
pub fn runs_with(rom: &Rom, firmware: Firmware) -> bool {
    /// `IMAGE_FILE_MACHINE_*`: the machine's own, and the byte code that every one runs.
    const MACHINES: [u16; 2] = [if cfg!(target_arch = "aarch64") { 0xaa64 } else { 0x8664 }, 0x0ebc];
    rom.for_firmware().any(|image| match firmware {
        Firmware::Uefi => image.code_type == EFI && image.machine.is_some_and(|machine| MACHINES.contains(&machine)),
        Firmware::Bios => image.code_type == X86,
    })
}

/// What the guest's firmware makes of it.
fn for_firmware(rom: &Rom, purpose: Purpose) -> Option<Finding> {
    const NO_PICTURE: &str = "the card shows nothing before the guest's driver starts";
    if rom.for_firmware().next().is_none() {
        let text = "has neither a legacy nor an EFI image";
        return Some(error(codes::ROM_NO_CODE, text).hint("a guest's firmware does not use it").warning());
    }
    match purpose.firmware? {
        Firmware::Uefi if !runs_with(rom, Firmware::Uefi) => {
            let text = "has no EFI image for this machine, and the guest boots with UEFI";
            Some(error(codes::ROM_NO_EFI, text).hint(NO_PICTURE).warning())
        }
        Firmware::Bios if !runs_with(rom, Firmware::Bios) => {
            let text = "has no legacy image, and the guest boots with a BIOS";
            Some(error(codes::ROM_NO_LEGACY, text).hint(NO_PICTURE).warning())
        }
        _ => None,
    }
}

fn length(n: usize, image: &Image) -> Option<Finding> {
    let without = image.length_from == LengthFrom::Header;
    let text = || format!("has no length in the PCI data structure of {}", show(n, image));
    let hint = format!("its header's is taken, {} bytes; UEFI and Linux stop there", image.length);
    without.then(|| error(codes::ROM_NO_LENGTH, text()).hint(hint).warning())
}

/// Of Intel's processors the sum is wrong as a rule: their firmware changes the copy that it gives away.
fn checksum(n: usize, image: &Image) -> Option<Finding> {
    const INTEL: u16 = 0x8086;
    if image.sum_is_zero != Some(false) {
        return None;
    }
    let text = format!("has a wrong checksum in {}", show(n, image));
    let finding = error(codes::ROM_CHECKSUM, text);
    Some(if image.vendor == INTEL {
        finding.hint("that is usual of Intel's").note()
    } else {
        finding.hint("it was changed, or is a copy that was already initialised").warning()
    })
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
