// SPDX-License-Identifier: LGPL-2.1-or-later
//! One image of an option ROM: its header, its PCI data structure, and NVIDIA's extension of that.
//!
//! PCI Firmware Specification 3.3, 5.1; UEFI 2.10, 14.4.2; of NVIDIA's images nouveau's `nvkm/subdev/bios/{image,pcir,npde}.c`.

use super::numbers::{byte, long, word};
use serde::Serialize;

/// The unit of lengths, in bytes.
pub const BLOCK: usize = 512;
/// Where a header has the offset of the PCI data structure.
const POINTER: usize = 0x18;
/// The shortest PCI data structure, revision 0.
const STRUCTURE: usize = 0x18;
/// What an EFI image has at 4.
const EFI_SIGNATURE: u32 = 0x0ef1;
/// The most entries of a device list that are read; a board's ROM names a handful.
const MOST_DEVICES: usize = 256;
/// The bit of the last image, in PCIR's byte 0x15 and in NPDE's byte 0x0a.
const LAST: u8 = 0x80;

/// Code types (PCI Firmware Specification 3.3, 5.1.2). `0x70` and `0xe0` are NVIDIA's.
pub const X86: u8 = 0;
/// Code for UEFI.
pub const EFI: u8 = 3;
/// NVIDIA's NBSI data: nothing follows it, whatever its flags are.
const NBSI: u8 = 0x70;
/// Firmware for processors on NVIDIA's card.
const FWSEC: u8 = 0xe0;

/// How an image begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Signature {
    /// `55 AA`: an expansion ROM of PCI.
    Pci,
    /// `77 BB` or `56 4E`: for the card's own firmware, which a computer's passes over.
    Nvidia,
}

/// Where the length of an image is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LengthFrom {
    /// The PCI data structure.
    Pcir,
    /// NVIDIA's extension of it, which comes before it.
    Npde,
    /// The header of a legacy image whose PCI data structure has none.
    Header,
}

/// An image of an option ROM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Image {
    /// Where it begins in the file.
    pub offset: usize,
    /// How long it says that it is, in bytes; at least 512.
    pub length: usize,
    /// Where that is from.
    pub length_from: LengthFrom,
    /// How it begins.
    pub signature: Signature,
    /// What its code is for: 0 legacy x86, 3 EFI, ...
    pub code_type: u8,
    /// The vendor that it is for.
    pub vendor: u16,
    /// The device that it is for.
    pub device: u16,
    /// Further devices (revision 3 of the PCI data structure).
    pub devices: Vec<u16>,
    /// Class code, 24 bits.
    pub class: u32,
    /// Whether the PCI data structure says that it is the last: what a computer's firmware and the kernel go by.
    pub last: bool,
    /// What NVIDIA's extension says of that, where there is one.
    pub npde_last: Option<bool>,
    /// The machine of an EFI image (`IMAGE_FILE_MACHINE_*`): 0x8664 x64, 0xaa64, 0x014c IA32, 0x0ebc EBC.
    pub machine: Option<u16>,
    /// Whether the sum of a legacy image's bytes is 0, as it must be; `None` for others, and where it is cut off.
    pub sum_is_zero: Option<bool>,
    /// Whether the PCI data structure lies at a multiple of 4, without which Linux does not read it.
    pub aligned: bool,
}

/// Why there is no image at an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// It does not begin as one.
    #[error("it begins with {:02X} {:02X} and not with 55 AA", .0[0], .0[1])]
    Signature([u8; 2]),
    /// There are not even two bytes.
    #[error("nothing is there")]
    Nothing,
    /// The header has no offset of a PCI data structure, or one beyond the image's end.
    #[error("its header names no PCI data structure inside it")]
    Pointer,
    /// What is there is something else.
    #[error("it has no PCI data structure (PCIR)")]
    Structure,
    /// Neither the PCI data structure nor the header says how long it is.
    #[error("it does not say how long it is")]
    Length,
}

/// The beginning of an image, and its PCI data structure.
struct Head<'d> {
    signature: Signature,
    /// From the image to the end of the file.
    own: &'d [u8],
    /// Where the structure is in it.
    pointer: usize,
    /// From the structure to the end of the file: 24 bytes at least.
    structure: &'d [u8],
}

impl Head<'_> {
    fn read(data: &[u8], offset: usize) -> Result<Head<'_>, Flaw> {
        let own = data.get(offset..).unwrap_or_default();
        let signature = match own {
            [0x55, 0xaa, ..] => Signature::Pci,
            [0x77, 0xbb, ..] | [0x56, 0x4e, ..] => Signature::Nvidia,
            [first, second, ..] => return Err(Flaw::Signature([*first, *second])),
            _ => return Err(Flaw::Nothing),
        };
        let pointer = word(own, POINTER).map(usize::from).filter(|at| *at > 0).ok_or(Flaw::Pointer)?;
        let structure = own.get(pointer..).filter(|s| s.len() >= STRUCTURE).ok_or(Flaw::Pointer)?;
        match (structure.first_chunk::<4>(), signature) {
            (Some(b"PCIR"), _) | (Some(b"NPDS" | b"RGIS"), Signature::Nvidia) => {
                Ok(Head { signature, own, pointer, structure })
            }
            _ => Err(Flaw::Structure),
        }
    }
}

/// The vendor of an image of PCI at an offset, if one is there. It looks at a few bytes, however long the image is.
pub(super) fn vendor(data: &[u8], offset: usize) -> Option<u16> {
    let head = Head::read(data, offset).ok().filter(|head| head.signature == Signature::Pci)?;
    word(head.structure, 4)
}

impl Image {
    /// Reads the image at an offset.
    pub(super) fn read(data: &[u8], offset: usize) -> Result<Image, Flaw> {
        let Head { signature, own, pointer, structure } = Head::read(data, offset)?;
        let at = |at| word(structure, at).unwrap_or_default();
        let (code_type, indicator) = (structure[0x14], structure[0x15]);
        let npde = Extension::read(own, pointer + usize::from(at(0x0a))).filter(|_| code_type != NBSI);
        let legacy = code_type == X86 && signature == Signature::Pci;
        let init = usize::from(own.get(2).copied().unwrap_or_default()) * BLOCK;
        let (length, length_from) = match (npde.as_ref().map(|npde| npde.length), usize::from(at(0x10)) * BLOCK) {
            (Some(length), _) if length > 0 => (length, LengthFrom::Npde),
            (_, length) if length > 0 => (length, LengthFrom::Pcir),
            _ if legacy && init > 0 => (init, LengthFrom::Header),
            _ => return Err(Flaw::Length),
        };
        // What an image says of itself is in it: without what follows it is the same image.
        if pointer + STRUCTURE > length {
            return Err(Flaw::Pointer);
        }
        let sum = |code: &[u8]| code.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)) == 0;
        let efi = code_type == EFI && long(own, 4) == Some(EFI_SIGNATURE);
        Ok(Image {
            offset,
            length,
            length_from,
            signature,
            code_type,
            vendor: at(4),
            device: at(6),
            devices: devices(structure),
            class: u32::from(at(0x0e)) << 8 | u32::from(structure[0x0d]),
            last: indicator & LAST != 0,
            npde_last: npde.map(|npde| npde.last),
            machine: if efi { word(own, 0x0a) } else { None },
            sum_is_zero: if legacy && init > 0 { own.get(..init).map(sum) } else { None },
            aligned: pointer % 4 == 0,
        })
    }

    /// The offset of what follows it.
    pub fn end(&self) -> usize {
        self.offset.saturating_add(self.length)
    }

    /// Whether nothing follows it, by NVIDIA's extension where there is one.
    pub(super) fn is_last(&self) -> bool {
        self.code_type == NBSI || self.npde_last.unwrap_or(self.last)
    }

    /// Whether a computer's firmware can run it.
    pub fn is_for_firmware(&self) -> bool {
        self.signature == Signature::Pci && matches!(self.code_type, X86 | EFI)
    }

    /// Whether it is for that device, by its own id or its list.
    pub fn names(&self, device: u16) -> bool {
        self.device == device || self.devices.contains(&device)
    }

    /// What it is for, in words.
    pub fn kind(&self) -> &'static str {
        match (self.code_type, self.machine) {
            (X86, _) => "legacy x86",
            (1, _) => "Open Firmware",
            (2, _) => "PA-RISC",
            (EFI, Some(0x8664)) => "EFI x64",
            (EFI, Some(0xaa64)) => "EFI AArch64",
            (EFI, Some(0x014c)) => "EFI IA32",
            (EFI, Some(0x0ebc)) => "EFI byte code",
            (EFI, Some(_)) => "EFI of another machine",
            (EFI, None) => "EFI without its header",
            (NBSI, _) => "NVIDIA NBSI",
            (FWSEC, _) => "NVIDIA firmware",
            _ => "unknown",
        }
    }
}

/// NVIDIA's extension of a PCI data structure.
struct Extension {
    /// Bytes.
    length: usize,
    last: bool,
}

impl Extension {
    /// How much of it is read.
    const SIZE: usize = 0x0b;

    /// It lies behind the PCI data structure, at the next multiple of 16 (`nvbios_npdeTe`).
    fn read(image: &[u8], end: usize) -> Option<Extension> {
        let at = end.checked_next_multiple_of(16)?;
        let own = image.get(at..)?;
        if !own.starts_with(b"NPDE") {
            return None;
        }
        let found = Extension { length: usize::from(word(own, 8)?) * BLOCK, last: byte(own, 0x0a)? & LAST != 0 };
        Some(found).filter(|found| found.length == 0 || at + Extension::SIZE <= found.length)
    }
}

/// The device list of a PCI data structure of revision 3: numbers until one is 0, at an offset from the structure.
fn devices(structure: &[u8]) -> Vec<u16> {
    let (list, revision) = (usize::from(word(structure, 8).unwrap_or_default()), structure[0x0c]);
    if revision < 3 || list == 0 {
        return Vec::new();
    }
    let numbers = (0..MOST_DEVICES).map_while(|n| word(structure, list + 2 * n));
    numbers.take_while(|number| *number != 0).collect()
}
