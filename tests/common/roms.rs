// SPDX-License-Identifier: LGPL-2.1-or-later
//! Makes option ROMs, image by image: of every structure that a card, its vendor's tools or a copy may have.

/// One image.
#[derive(Debug, Clone)]
pub struct Image {
    /// The first two bytes.
    pub begins: [u8; 2],
    /// What the PCI data structure begins with.
    pub structure: [u8; 4],
    /// Where it is.
    pub pointer: u16,
    /// Vendor and device.
    pub ids: (u16, u16),
    /// Further devices.
    pub devices: Vec<u16>,
    /// Class code.
    pub class: u32,
    /// 0 legacy, 3 EFI.
    pub code: u8,
    /// How many blocks of 512 bytes it is long.
    pub blocks: u16,
    /// How long the PCI data structure says it is, if not that.
    pub says: Option<u16>,
    /// How long the header says it is, if not that.
    pub init: Option<u8>,
    /// Whether the PCI data structure says that it is the last.
    pub last: bool,
    /// NVIDIA's extension: blocks, last.
    pub npde: Option<(u16, bool)>,
    /// The machine of an EFI image.
    pub machine: u16,
    /// Whether the sum of a legacy image is made right.
    pub sums: bool,
}

/// A legacy image for a card.
pub fn legacy(ids: (u16, u16)) -> Image {
    Image {
        begins: [0x55, 0xaa],
        structure: *b"PCIR",
        pointer: 0x40,
        ids,
        devices: Vec::new(),
        class: 0x03_0000,
        code: 0,
        blocks: 4,
        says: None,
        init: None,
        last: false,
        npde: None,
        machine: 0x8664,
        sums: true,
    }
}

/// An image for UEFI.
pub fn efi(ids: (u16, u16)) -> Image {
    Image { code: 3, ..legacy(ids) }
}

impl Image {
    /// As the last.
    pub fn last(self) -> Image {
        Image { last: true, ..self }
    }

    /// With NVIDIA's extension.
    pub fn npde(self, blocks: u16, last: bool) -> Image {
        Image { npde: Some((blocks, last)), ..self }
    }

    /// Its bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..usize::from(self.blocks) * 512).map(|n| (n * 7 % 251) as u8).collect();
        let mut put = |at: usize, what: &[u8]| {
            if let Some(place) = bytes.get_mut(at..at + what.len()) {
                place.copy_from_slice(what);
            }
        };
        put(0, &self.begins);
        let init = self.init.map_or(self.blocks, u16::from);
        if self.code == 3 {
            put(2, &init.to_le_bytes());
            put(4, &0x0ef1u32.to_le_bytes());
            put(8, &0x0bu16.to_le_bytes());
            put(10, &self.machine.to_le_bytes());
            put(12, &[0, 0]);
        } else {
            put(2, &[init as u8]);
        }
        put(0x18, &self.pointer.to_le_bytes());
        let at = usize::from(self.pointer);
        let revision = if self.devices.is_empty() { 0 } else { 3 };
        let length: u16 = if revision == 3 { 0x1c } else { 0x18 };
        let list: u16 = if revision == 3 { 0x60 } else { 0 };
        put(at, &[0; 0x60]);
        put(at, &self.structure);
        put(at + 4, &self.ids.0.to_le_bytes());
        put(at + 6, &self.ids.1.to_le_bytes());
        put(at + 8, &list.to_le_bytes());
        put(at + 0x0a, &length.to_le_bytes());
        put(at + 0x0c, &[revision]);
        put(at + 0x0d, &self.class.to_le_bytes()[..3]);
        put(at + 0x10, &self.says.unwrap_or(self.blocks).to_le_bytes());
        put(at + 0x14, &[self.code, if self.last { 0x80 } else { 0 }]);
        let end: &[u16] = if list > 0 { &[0] } else { &[] };
        for (n, device) in self.devices.iter().chain(end).enumerate() {
            put(at + usize::from(list) + 2 * n, &device.to_le_bytes());
        }
        if let Some((blocks, last)) = self.npde {
            let at = (at + usize::from(length)).next_multiple_of(16);
            put(at, b"NPDE");
            put(at + 8, &blocks.to_le_bytes());
            put(at + 10, &[if last { 0x80 } else { 0 }]);
        }
        if self.code == 0 {
            let covered = (usize::from(init as u8) * 512).min(bytes.len());
            if let Some((last, rest)) = bytes[..covered].split_last_mut() {
                let sum = rest.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
                *last = sum.wrapping_neg().wrapping_add(u8::from(!self.sums));
            }
        }
        bytes
    }
}

/// Images, one after another.
pub fn rom(images: &[Image]) -> Vec<u8> {
    images.iter().flat_map(Image::bytes).collect()
}

/// NVIDIA's flash header of that version, which ends where the ROM begins.
pub fn nvgi(version: u8) -> Vec<u8> {
    const FIXED: usize = 0x40;
    let start: usize = if version == 3 { 0x2800 } else { 0xa00 };
    let mut bytes = vec![0x5a; start];
    let mut put = |at: usize, number: u32| bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
    put(0, u32::from_le_bytes(*b"NVGI"));
    put(4, u32::from(version) << 8 | (FIXED as u32) << 16);
    put(8, 0x100);
    put(FIXED + 4, start as u32);
    if version == 3 {
        put(0x100, 0x800);
        put(0x1800, u32::from_le_bytes(*b"RFRD"));
        put(0x1808, start as u32);
    }
    bytes
}

/// One image of the ACPI table VFCT: bus, device, function, its ids, the ROM.
pub type VfctEntry<'r> = ((u32, u32, u32), (u16, u16), &'r [u8]);

/// The ACPI table VFCT.
pub fn vfct(entries: &[VfctEntry<'_>]) -> Vec<u8> {
    let mut bytes = vec![0; 0x4c];
    bytes[..4].copy_from_slice(b"VFCT");
    bytes[0x34..0x38].copy_from_slice(&0x4cu32.to_le_bytes());
    for ((bus, device, function), (vendor, id), rom) in entries {
        [bus, device, function].iter().for_each(|number| bytes.extend(number.to_le_bytes()));
        [vendor, id, &0x1da2, &0xe445].iter().for_each(|number| bytes.extend(number.to_le_bytes()));
        bytes.extend(0xc5u32.to_le_bytes());
        bytes.extend((rom.len() as u32).to_le_bytes());
        bytes.extend(*rom);
    }
    let length = bytes.len() as u32;
    bytes[4..8].copy_from_slice(&length.to_le_bytes());
    bytes
}
