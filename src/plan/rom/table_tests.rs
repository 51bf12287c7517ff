// SPDX-License-Identifier: LGPL-2.1-or-later
#![allow(clippy::unwrap_used)]

use super::*;

fn place(text: &str) -> Place {
    text.parse().unwrap()
}

#[test]
fn a_place_is_slots_and_functions() {
    assert_eq!(place("02.0/00.0").path(), "\\_SB.PCI0.S10.S00");
    assert_eq!(place("2.5/0.0").path(), "\\_SB.PCI0.S15.S00");
    assert_eq!(place("1f.3").path(), "\\_SB.PCI0.SFB");
    for text in
        ["", "02", "02.0/", "/00.0", "20.0", "02.8", "002.0", "+2.0", "00:02.0", "02.0/0.0/0.0/0.0/0.0/0.0/0.0/0.0/0.0"]
    {
        assert_eq!(text.parse::<Place>(), Err(NoPlace), "{text}");
    }
}

/// The forms of a length, at the ends of each (ACPI 6.5, 20.2.4).
#[test]
fn lengths_have_as_many_bytes_as_they_need() {
    let of = |bytes: usize| package(&[0x11], &vec![0; bytes]);
    assert_eq!(of(62)[..2], [0x11, 63]);
    assert_eq!(of(63)[..3], [0x11, 0x41, 0x04]);
    assert_eq!(of(0xffd)[..3], [0x11, 0x4f, 0xff]);
    assert_eq!(of(0xffe)[..4], [0x11, 0x81, 0x00, 0x01]);
    assert_eq!(of(0xf_fffc)[..4], [0x11, 0x8f, 0xff, 0xff]);
    assert_eq!(of(0xf_fffd)[..5], [0x11, 0xc1, 0x00, 0x00, 0x01]);
}

#[test]
fn the_header_says_how_long_a_table_is_and_the_sum_is_0() {
    for (length, battery, tables) in
        [(3, false, 1), (3, true, 1), (65_000, true, 1), (65_536, true, 2), (200_000, false, 4)]
    {
        let all = build(&vec![0x55; length], &place("02.0/00.0"), battery).unwrap();
        assert_eq!(all.len(), tables, "{length}");
        for table in &all {
            assert!(table.len() <= 0xffff);
            assert_eq!(table[4..8], u32::try_from(table.len()).unwrap().to_le_bytes());
            assert_eq!(table.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)), 0);
        }
        assert_eq!(all[0].windows(4).any(|name| name == b"VBAT"), battery);
    }
    assert_eq!(build(&vec![0; 16 << 20], &place("02.0/00.0"), false), Err(TooLong));
}
