// SPDX-License-Identifier: LGPL-2.1-or-later
#![allow(clippy::unwrap_used)]

use super::*;
use proptest::prelude::*;
use roms::{efi, legacy, nvgi, rom, vfct};

const CARD: (u16, u16) = (0x10de, 0x2482);

fn read_any(data: &[u8]) -> Result<Rom, NotRom> {
    read(data, None)
}

#[test]
fn a_legacy_and_an_efi_image() {
    let rom = read_any(&rom(&[legacy(CARD), efi(CARD).last()])).unwrap();
    let kinds: Vec<_> = rom.images.iter().map(|i| (i.offset, i.length, i.kind(), i.sum_is_zero)).collect();
    assert_eq!(kinds, [(0, 2048, "legacy x86", Some(true)), (2048, 2048, "EFI x64", None)]);
    assert_eq!((rom.end, rom.pci_end, rom.rest), (End::Last, 4096, Rest::Nothing));
    assert_eq!(rom.images[1].machine, Some(0x8664));
    assert_eq!(rom.for_firmware().count(), 2);
    assert_eq!(rom.images[0].class, 0x03_0000);
}

/// PCIR alone says that the first image is the last; by NVIDIA's extension two follow.
#[test]
fn the_extension_comes_before_the_structure() {
    let images = [legacy(CARD).last().npde(4, false), efi(CARD).last().npde(4, false), legacy(CARD).npde(4, true)];
    let rom = read_any(&rom(&images)).unwrap();
    assert_eq!((rom.images.len(), rom.end, rom.pci_end), (3, End::Last, 2048));
    assert_eq!(rom.for_firmware().count(), 1);
    assert_eq!(rom.firmware_end(), Some(6144));
    // Its length counts, too.
    let images = [roms::Image { says: Some(2), ..legacy(CARD) }.npde(4, false), efi(CARD).last()];
    let longer = read_any(&roms::rom(&images)).unwrap();
    assert_eq!((longer.images[0].length, longer.images[0].length_from), (2048, LengthFrom::Npde));
    assert_eq!(longer.images.len(), 2);
}

#[test]
fn images_of_the_cards_own_processors_are_passed_over() {
    let own = roms::Image { begins: [0x56, 0x4e], structure: *b"NPDS", code: 0xe0, ..legacy(CARD) };
    let nbsi = roms::Image { code: 0x70, ..legacy(CARD) }.npde(4, false);
    let rom = read_any(&rom(&[legacy(CARD), efi(CARD).last().npde(4, false), own, nbsi])).unwrap();
    assert_eq!(rom.end, End::Last, "nothing follows NBSI, whatever its flags are");
    assert_eq!(rom.images.iter().map(Image::kind).collect::<Vec<_>>()[2..], ["NVIDIA firmware", "NVIDIA NBSI"]);
    assert_eq!(rom.firmware_end(), Some(4096));
    let first = roms::Image { begins: [0x77, 0xbb], ..legacy(CARD) };
    assert_eq!(read_any(&roms::rom(&[first.last()])).unwrap().for_firmware().count(), 0);
}

#[test]
fn what_is_cut_off_says_how_much_is_there() {
    let whole = rom(&[legacy(CARD), efi(CARD).last()]);
    let cut = read_any(&whole[..3000]).unwrap();
    assert_eq!((cut.images.len(), cut.end), (2, End::Cut(952)));
    assert_eq!(read_any(&whole[..1024]).unwrap().end, End::Cut(1024));
    assert_eq!(read_any(&whole[..2048]).unwrap().end, End::NoMore);
}

#[test]
fn a_length_of_nothing_is_the_headers_or_none() {
    let none = |image: roms::Image| rom(&[roms::Image { says: Some(0), ..image }]);
    let header = read_any(&none(legacy(CARD).last())).unwrap();
    assert_eq!((header.images[0].length, header.images[0].length_from), (2048, LengthFrom::Header));
    assert_eq!(header.pci_end, 0, "the kernel reads nothing of it");
    assert_eq!(header.for_firmware().count(), 1, "SeaBIOS does");
    assert_eq!(read_any(&none(efi(CARD))), Err(NotRom::Flaw(Flaw::Length)));
}

#[test]
fn what_is_no_rom_says_why() {
    let said = |data: &[u8]| read_any(data).unwrap_err().to_string();
    assert_eq!(read_any(b""), Err(NotRom::Empty));
    assert_eq!(read_any(&[0xff; 4096]), Err(NotRom::Uniform(0xff)));
    assert_eq!(read_any(&[0; 512]), Err(NotRom::Uniform(0)));
    assert_eq!(read_any(b"<!DOCTYPE html>"), Err(NotRom::Flaw(Flaw::Signature(*b"<!"))));
    assert!(said(b"MZ").contains("begins with 4D 5A and not with 55 AA"), "{}", said(b"MZ"));
    assert_eq!(read_any(&[0x55, 0xaa, 4]), Err(NotRom::Flaw(Flaw::Pointer)));
    let broken = |image: roms::Image| read_any(&rom(&[image])).unwrap_err();
    let mut none = rom(&[legacy(CARD)]);
    none[0x18] = 0;
    assert_eq!(read_any(&none), Err(NotRom::Flaw(Flaw::Pointer)));
    assert_eq!(broken(roms::Image { pointer: 2047, ..legacy(CARD) }), NotRom::Flaw(Flaw::Pointer));
    assert_eq!(broken(roms::Image { structure: *b"RICP", ..legacy(CARD) }), NotRom::Flaw(Flaw::Structure));
    assert_eq!(broken(roms::Image { structure: *b"NPDS", ..legacy(CARD) }), NotRom::Flaw(Flaw::Structure));
    // Regression: 1 MiB was the limit, and there are larger ones.
    let mut large = rom(&[legacy(CARD), efi(CARD).last()]);
    large.resize(16 << 20, 0xff);
    assert_eq!(read_any(&large).unwrap().rest, Rest::Padding((16 << 20) - 4096));
    large.push(0xff);
    assert_eq!(read_any(&large), Err(NotRom::TooLarge));
}

#[test]
fn the_chain_ends_where_it_does_not_go_on() {
    let images = vec![legacy(CARD); 40];
    let many = read_any(&rom(&images)).unwrap();
    assert_eq!((many.images.len(), many.end), (32, End::TooMany));
    let broken = roms::Image { structure: *b"XXXX", ..efi(CARD) };
    assert_eq!(read_any(&rom(&[legacy(CARD), broken])).unwrap().end, End::Broken(Flaw::Structure));
    let mut data = rom(&[legacy(CARD).last()]);
    data.extend(b"leftover");
    assert_eq!(read_any(&data).unwrap().rest, Rest::Data(8));
}

#[test]
fn a_header_of_the_flash_memory_is_passed_over() {
    let own = rom(&[legacy(CARD), efi(CARD).last()]);
    for version in 1..=3 {
        let found = read_any(&[nvgi(version), own.clone()].concat()).unwrap();
        assert_eq!((found.front, found.start()), (Front::Nvgi { version }, nvgi(version).len()));
    }
    // Of a version that is not known, and of something else: by the first image of the card's vendor.
    let other = rom(&[legacy((0x8086, 1)).last()]);
    for front in [nvgi(4), vec![0x11; 516], [vec![7; 512], other].concat()] {
        let data = [front.clone(), own.clone()].concat();
        let found = read(&data, Some(0x10de)).unwrap();
        assert_eq!((found.front, found.start()), (Front::Unknown, front.len()));
    }
    // A header that points into nothing, or between two multiples of 4.
    for to in [u32::MAX, 3, 0x80_0000] {
        let mut data = [nvgi(2), own.clone()].concat();
        data[0x44..0x48].copy_from_slice(&to.to_le_bytes());
        assert_eq!(read_any(&data).unwrap().front, Front::Unknown, "{to:#x}");
    }
}

#[test]
fn a_device_list_names_further_devices() {
    let image = roms::Image { devices: vec![0x2484, 0x2488], ..legacy(CARD).last() };
    let rom = read_any(&rom(&[image])).unwrap();
    assert_eq!(rom.images[0].devices, [0x2484, 0x2488]);
    assert!(rom.images[0].names(0x2482) && rom.images[0].names(0x2488) && !rom.images[0].names(0x2489));
}

#[test]
fn the_table_of_the_firmware_has_a_rom_for_each_card() {
    let (amd, at) = ((0x1002, 0x73bf), |text: &str| text.parse::<crate::pci::Address>().unwrap());
    let (one, two) = (rom(&[legacy(amd).last()]), rom(&[legacy(amd), legacy(amd).last()]));
    let table = vfct(&[((3, 0, 0), amd, &one), ((10, 0, 0), amd, &two), ((4, 0, 0), (0x1002, 0x1638), &one)]);
    let entries = vfct::entries(&table);
    assert_eq!(entries.len(), 3);
    let size = |ids, address| vfct::of_card(&entries, ids, at(address)).map(|(entry, same)| (entry.image.len(), same));
    assert_eq!(size(amd, "0000:03:00.0"), Some((2048, true)));
    assert_eq!(size(amd, "0000:0a:00.0"), Some((4096, true)));
    assert_eq!(size(amd, "0000:0b:00.0"), Some((2048, false)), "the firmware numbered the buses otherwise");
    assert_eq!(size((0x1002, 1), "0000:03:00.0"), None);
    assert_eq!(entries[0].subsystem, (0x1da2, 0xe445));
    // Cut in the last image, in its header, and in the table's own.
    for (length, whole) in [(table.len() - 1, 2), (0x4c + 2048 + 28 + 5, 1), (0x36, 0), (0, 0)] {
        assert_eq!(vfct::entries(&table[..length]).len(), whole, "{length}");
    }
    let mut other = table.clone();
    other[..4].copy_from_slice(b"SSDT");
    assert!(vfct::entries(&other).is_empty());
    let mut endless = table;
    endless[0x34..0x38].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(vfct::entries(&endless).is_empty());
}

fn any_image() -> impl Strategy<Value = roms::Image> {
    let shape = (0..6u8, 1..6u16, any::<bool>(), proptest::option::of((0..6u16, any::<bool>())));
    (shape, proptest::option::of(0..8u16), 0..3u8, 0..0x80u16).prop_map(
        |((code, blocks, last, npde), says, begins, pointer)| roms::Image {
            code: [0, 3, 3, 0xe0, 0x70, 1][usize::from(code)],
            blocks,
            last,
            npde,
            says,
            begins: [[0x55, 0xaa], [0x55, 0xaa], [0x77, 0xbb]][usize::from(begins)],
            pointer: 0x1c + pointer,
            ..legacy(CARD)
        },
    )
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(data in proptest::collection::vec(any::<u8>(), 0..4096)) {
        let _ = read_any(&data);
        let _ = vfct::entries(&data);
    }

    #[test]
    fn images_follow_each_other_inside_the_file(
        images in proptest::collection::vec(any_image(), 1..8),
        cut in 0..12_000usize,
        front in proptest::sample::select(vec![0u8, 1, 2, 3, 9]),
    ) {
        let mut data = if front == 0 { Vec::new() } else { nvgi(front) };
        data.extend(rom(&images));
        data.truncate(data.len().saturating_sub(cut));
        let Ok(rom) = read_any(&data) else { return Ok(()) };
        prop_assert!((1..=32).contains(&rom.images.len()));
        prop_assert!(rom.pci_end <= data.len());
        let mut end = rom.start();
        for image in &rom.images {
            prop_assert_eq!(image.offset, end);
            prop_assert!(image.offset < data.len() && image.length >= 512);
            end = image.end();
        }
        prop_assert_eq!(end > data.len(), matches!(rom.end, End::Cut(_)));
    }
}
