// SPDX-License-Identifier: LGPL-2.1-or-later
#![allow(clippy::unwrap_used)]

use super::*;
use crate::finding::Severity;
use crate::host::rom::{self, roms};
use crate::plan::rom::trim::{trim, CannotTrim};
use proptest::prelude::*;
use roms::{efi, legacy, nvgi};

const CARD: (u16, u16) = (0x10de, 0x2482);

fn said(data: &[u8], purpose: Purpose) -> Vec<(Code, Severity)> {
    let rom = rom::read(data, None);
    judge(rom.as_ref().map_err(|why| *why), purpose).iter().map(|f| (f.code, f.severity)).collect()
}

fn alone(images: &[roms::Image]) -> Vec<(Code, Severity)> {
    said(&roms::rom(images), Purpose::default())
}

fn with(images: &[roms::Image], firmware: Firmware) -> Vec<(Code, Severity)> {
    said(&roms::rom(images), Purpose { card: Some(CARD), firmware: Some(firmware) })
}

#[test]
fn a_good_rom_is_not_complained_of() {
    for firmware in [Firmware::Uefi, Firmware::Bios] {
        assert_eq!(with(&[legacy(CARD), efi(CARD).last()], firmware), []);
    }
}

#[test]
fn each_flaw_has_its_code() {
    use Severity::{Error, Note, Warning};
    assert_eq!(said(b"", Purpose::default()), [(codes::ROM_INVALID, Error)]);
    assert_eq!(alone(&vec![legacy(CARD); 40])[0], (codes::ROM_INVALID, Error));
    let good = roms::rom(&[legacy(CARD), efi(CARD).last()]);
    assert_eq!(said(&[nvgi(1), good.clone()].concat(), Purpose::default()), [(codes::ROM_FLASH_HEADER, Error)]);
    assert_eq!(said(&[vec![9; 512], good.clone()].concat(), Purpose::default()), [(codes::ROM_FLASH_HEADER, Error)]);
    assert_eq!(said(&good[..3000], Purpose::default()), [(codes::ROM_TRUNCATED, Error)]);
    assert_eq!(said(&[&good[..], b"x"].concat(), Purpose::default()), [(codes::ROM_REST, Note)]);
    assert_eq!(alone(&[legacy(CARD)]), [(codes::ROM_CHAIN, Warning)]);
    let broken = roms::Image { structure: *b"XXXX", ..efi(CARD) };
    assert_eq!(alone(&[legacy(CARD), broken]), [(codes::ROM_CHAIN, Warning)]);
    assert_eq!(alone(&[roms::Image { says: Some(0), ..legacy(CARD).last() }]), [(codes::ROM_NO_LENGTH, Warning)]);
    assert_eq!(alone(&[roms::Image { pointer: 0x42, ..legacy(CARD).last() }]), [(codes::ROM_NOT_ALIGNED, Note)]);
    let changed = |ids| roms::Image { sums: false, ..legacy(ids).last() };
    assert_eq!(alone(&[changed(CARD)]), [(codes::ROM_CHECKSUM, Warning)]);
    assert_eq!(alone(&[changed((0x8086, 0x0406))]), [(codes::ROM_CHECKSUM, Note)]);
    assert_eq!(alone(&[roms::Image { code: 1, ..legacy(CARD).last() }]), [(codes::ROM_NO_CODE, Warning)]);
    let hides = [legacy(CARD).last().npde(4, false), efi(CARD).last().npde(4, true)];
    assert_eq!(alone(&hides), [(codes::ROM_HIDDEN_IMAGES, Warning)]);
}

#[test]
fn a_rom_is_the_cards_or_not() {
    use Severity::{Error, Warning};
    let of = |ids| with(&[legacy(ids), efi(ids).last()], Firmware::Uefi);
    assert_eq!(of((0x1002, 0x73bf)), [(codes::ROM_OTHER_CARD, Error)]);
    assert_eq!(of((0x10de, 0x2484)), [(codes::ROM_OTHER_DEVICE, Warning)]);
    let list = roms::Image { devices: vec![0x2482], ..legacy((0x10de, 0x2484)) };
    assert_eq!(with(&[list, efi((0x10de, 0x2484)).last()], Firmware::Uefi), []);
    let network = roms::Image { class: 0x02_0000, ..legacy(CARD).last() };
    assert_eq!(with(&[network], Firmware::Bios), [(codes::ROM_CLASS, Warning)]);
}

#[test]
fn the_firmware_needs_an_image_of_its_kind() {
    use Severity::Warning;
    assert_eq!(with(&[legacy(CARD).last()], Firmware::Uefi), [(codes::ROM_NO_EFI, Warning)]);
    assert_eq!(with(&[efi(CARD).last()], Firmware::Bios), [(codes::ROM_NO_LEGACY, Warning)]);
    let foreign = roms::Image { machine: 0x014c, ..efi(CARD).last() };
    assert_eq!(with(&[foreign], Firmware::Uefi), [(codes::ROM_NO_EFI, Warning)]);
    // Where it is, and firmware does not come to it.
    let hides = [legacy(CARD).last().npde(4, false), efi(CARD).last().npde(4, true)];
    assert_eq!(with(&hides, Firmware::Uefi)[1], (codes::ROM_NO_EFI, Warning));
}

/// What NVIDIA's extension says is for the card: a ROM that was trimmed is no worse for it.
#[test]
fn a_trimmed_rom_is_not_complained_of() {
    let own = roms::Image { code: 0xe0, ..legacy(CARD) }.npde(4, true);
    let data = [nvgi(2), roms::rom(&[legacy(CARD).npde(4, false), efi(CARD).last().npde(4, false), own])].concat();
    let kept = trim(&rom::read(&data, None).unwrap(), false).unwrap();
    assert_eq!(kept, 0xa00..0xa00 + 4096);
    assert_eq!(said(&data[kept], Purpose { card: Some(CARD), firmware: Some(Firmware::Uefi) }), []);
    let all = trim(&rom::read(&data, None).unwrap(), true).unwrap();
    assert_eq!(all, 0xa00..0xa00 + 6144);
}

#[test]
fn what_cannot_be_kept_is_not_trimmed() {
    let good = roms::rom(&[legacy(CARD), efi(CARD).last()]);
    let trimmed = |data: &[u8], all| trim(&rom::read(data, None).unwrap(), all);
    assert_eq!(trimmed(&good[..3000], false), Err(CannotTrim::Cut));
    let own = roms::rom(&[roms::Image { code: 0xe0, ..legacy(CARD).last() }]);
    assert_eq!(trimmed(&own, false), Err(CannotTrim::NoCode));
    assert_eq!(trimmed(&own, true), Ok(0..2048));
    // Of an image that is not kept it does not matter.
    let before = [good, own].concat();
    let unlast = roms::rom(&[legacy(CARD), efi(CARD), roms::Image { code: 0xe0, ..legacy(CARD).last() }]);
    assert_eq!(trimmed(&unlast[..unlast.len() - 9], false), Ok(0..4096));
    assert_eq!(trimmed(&before, false), Ok(0..4096));
}

fn any_images() -> impl Strategy<Value = Vec<roms::Image>> {
    let image = (0..4usize, 1..6u16, any::<bool>(), proptest::option::of(any::<bool>()));
    proptest::collection::vec(image, 1..6).prop_map(|images| {
        let image = |(code, blocks, last, npde): (usize, u16, bool, Option<bool>)| {
            let code = [0, 3, 0xe0, 0x70][code];
            let npde = npde.map(|last| (blocks, last));
            roms::Image { code, blocks, last, npde, ..legacy(CARD) }
        };
        images.into_iter().map(image).collect()
    })
}

proptest! {
    #[test]
    fn to_trim_twice_is_to_trim_once(images in any_images(), all: bool, rest in proptest::collection::vec(any::<u8>(), 0..64)) {
        let data = [roms::rom(&images), rest].concat();
        let Ok(kept) = trim(&rom::read(&data, None).unwrap(), all) else { return Ok(()) };
        let once = &data[kept];
        let again = trim(&rom::read(once, None).unwrap(), all);
        prop_assert_eq!(again, Ok(0..once.len()));
    }

    #[test]
    fn a_header_before_it_makes_no_difference(images in any_images(), version in 1..=3u8) {
        let data = roms::rom(&images);
        let Ok(kept) = trim(&rom::read(&data, None).unwrap(), false) else { return Ok(()) };
        let headed = [nvgi(version), data.clone()].concat();
        let Ok(found) = trim(&rom::read(&headed, None).unwrap(), false) else { return Err(TestCaseError::fail("refused")) };
        prop_assert_eq!(&headed[found], &data[kept]);
    }
}
