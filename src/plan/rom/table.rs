// SPDX-License-Identifier: LGPL-2.1-or-later
//! An ACPI table that gives a guest's driver the option ROM of a card as the firmware of a laptop does: by the method `_ROM` of
//! the card's device (ACPI 6.5, B.3.3), and with a battery beside it, without which some drivers for laptops refuse the card.
//!
//! AML is written as ACPI 6.5, 20.2 has it; docs/MUXLESS.md says what the table is for.

use std::str::FromStr;

/// The most that `_ROM` gives at once.
const MOST: u64 = 0x1000;

/// The longest table that QEMU takes (`acpi_table_install`, hw/acpi/core.c; seen with 7.2).
const LONGEST: usize = 0xffff;

/// What each of several tables has of a ROM that does not fit into one: a multiple of what is given at once, so that no call needs
/// more than two of them.
const PART: usize = 14 * MOST as usize;

/// More parts than any ROM has: their names end in two digits.
const MOST_PARTS: usize = 0x100;

/// Where a card is in the guest: each port on the way, from the root bus on, and the card itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place(Vec<(u8, u8)>);

/// A place that is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write the root port's slot and function in the guest, a slash, and the card's, as 02.5/00.0")]
pub struct NoPlace;

impl FromStr for Place {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Place, NoPlace> {
        let part = |part: &str| {
            let (device, function) = part.split_once('.')?;
            let number = |text: &str, most: u8| {
                let is_short = matches!(text.len(), 1 | 2) && text.bytes().all(|b| b.is_ascii_hexdigit());
                u8::from_str_radix(text, 16).ok().filter(|number| is_short && *number <= most)
            };
            Some((number(device, 0x1f)?, number(function, 7)?))
        };
        let parts: Option<Vec<_>> = text.split('/').map(part).collect();
        // Deeper than this no guest has ports.
        parts.filter(|parts| parts.len() <= 8).map(Place).ok_or(NoPlace)
    }
}

impl Place {
    /// The names that QEMU gives devices: `S` and slot and function as one number (`hw/i386/acpi-build.c`,
    /// `hw/acpi/pci-bridge.c`).
    fn segments(&self) -> Vec<[u8; 4]> {
        let named = |(device, function): &(u8, u8)| {
            let digit = |n: u8| b"0123456789ABCDEF"[usize::from(n & 15)];
            let number = device << 3 | function;
            [b'S', digit(number >> 4), digit(number), b'_']
        };
        [*b"_SB_", *b"PCI0"].into_iter().chain(self.0.iter().map(named)).collect()
    }

    /// Its path in ACPI's name space, as iasl(1) shows it.
    pub fn path(&self) -> String {
        let names = self.segments().into_iter().skip(1);
        let names = names.map(|name| String::from_utf8_lossy(&name).trim_end_matches('_').to_owned());
        format!("\\_SB.{}", names.collect::<Vec<_>>().join("."))
    }
}

/// The ROM is longer than tables can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the option ROM is too long for ACPI tables")]
pub struct TooLong;

/// The tables (SSDTs): one, where the ROM fits into it; else the first has the method and the others more of the ROM.
///
/// # Errors
/// The ROM is too long.
pub fn build(rom: &[u8], place: &Place, battery: bool) -> Result<Vec<Vec<u8>>, TooLong> {
    let beside =
        if battery { package(&[0x10], &[absolute(&[*b"_SB_"]), device_battery()].concat()) } else { Vec::new() };
    let scope = |content: &[Vec<u8>]| package(&[0x10], &[absolute(&place.segments()), content.concat()].concat());
    let whole = with_header(&[scope(&[part(0, rom), method(1)]), beside.clone()].concat());
    if whole.len() <= LONGEST {
        return Ok(vec![whole]);
    }
    let parts: Vec<&[u8]> = rom.chunks(PART).collect();
    if parts.len() > MOST_PARTS {
        return Err(TooLong);
    }
    let table = |(number, bytes): (usize, &&[u8])| match number {
        0 => with_header(&[scope(&[part(0, bytes), method(parts.len())]), beside.clone()].concat()),
        _ => with_header(&scope(&[part(number, bytes)])),
    };
    Ok(parts.iter().enumerate().map(table).collect())
}

/// The description header (ACPI 6.5, 5.2.6); the sum of all bytes is 0.
fn with_header(body: &[u8]) -> Vec<u8> {
    const HEADER: usize = 36;
    let mut table = b"SSDT".to_vec();
    table.extend(u32::try_from(HEADER + body.len()).unwrap_or(u32::MAX).to_le_bytes());
    // Revision 2: integers have 64 bits. The checksum comes last.
    table.extend([2, 0]);
    table.extend(b"VFIO  ROMTABLE");
    table.extend(1u32.to_le_bytes());
    table.extend(b"VFIO");
    table.extend(1u32.to_le_bytes());
    table.extend(body);
    let sum = table.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    table[9] = sum.wrapping_neg();
    table
}

/// An operator, the length of what it holds, counted from the length on, and what it holds.
fn package(operator: &[u8], content: &[u8]) -> Vec<u8> {
    // One byte for less than 64, else a nibble and up to three further bytes.
    let length = |bytes: usize| content.len() + bytes;
    let bytes = (2..4).find(|bytes| length(*bytes) < 1 << (8 * bytes - 4)).unwrap_or(4);
    let mut out = operator.to_vec();
    match length(1) {
        short @ 0..64 => out.push(short as u8),
        _ => {
            let all = length(bytes);
            out.push(((bytes - 1) << 6 | all & 15) as u8);
            out.extend((0..bytes - 1).map(|byte| (all >> (4 + 8 * byte)) as u8));
        }
    }
    out.extend(content);
    out
}

/// A name from the root on.
fn absolute(segments: &[[u8; 4]]) -> Vec<u8> {
    let mut name = vec![b'\\'];
    match segments.len() {
        1 => {}
        2 => name.push(0x2e),
        several => name.extend([0x2f, several as u8]),
    }
    name.extend(segments.concat());
    name
}

fn integer(number: u64) -> Vec<u8> {
    match number {
        0 | 1 => vec![number as u8],
        2..=0xff => vec![0x0a, number as u8],
        0x100..=0xffff => [&[0x0b], &(number as u16).to_le_bytes()[..]].concat(),
        0x1_0000..=0xffff_ffff => [&[0x0c], &(number as u32).to_le_bytes()[..]].concat(),
        _ => [&[0x0e], &number.to_le_bytes()[..]].concat(),
    }
}

fn string(text: &str) -> Vec<u8> {
    [&[0x0d], text.as_bytes(), &[0]].concat()
}

/// The name of a part of the ROM.
fn name_of_part(number: usize) -> [u8; 4] {
    let digit = |n: usize| b"0123456789ABCDEF"[n & 15];
    [b'V', b'R', digit(number >> 4), digit(number)]
}

/// `Name (VR00, Buffer () {...})`
fn part(number: usize, bytes: &[u8]) -> Vec<u8> {
    let buffer = package(&[0x11], &[&integer(bytes.len() as u64), bytes].concat());
    [&[0x08], &name_of_part(number)[..], &buffer].concat()
}

const ARG0: u8 = 0x68;
const ARG1: u8 = 0x69;
const LOCAL0: u8 = 0x60;
const LOCAL1: u8 = 0x61;
const LOCAL2: u8 = 0x62;
const LOCAL3: u8 = 0x63;
const LOCAL4: u8 = 0x64;
const STORE: u8 = 0x70;
const ADD: u8 = 0x72;
const CONCATENATE: u8 = 0x73;
const SUBTRACT: u8 = 0x74;
const DIVIDE: u8 = 0x78;
const EQUAL: u8 = 0x93;
const GREATER: u8 = 0x94;
const MID: u8 = 0x9e;
const RETURN: u8 = 0xa4;

/// `If (OPERATOR (left, right)) { content }`
fn when(operator: u8, left: u8, right: u64, content: &[Vec<u8>]) -> Vec<u8> {
    package(&[0xa0], &[vec![operator, left], integer(right), content.concat()].concat())
}

/// `Mid (VR00, from, length)`: behind the end it gives what there is.
fn mid(number: usize, from: &[u8], length: u8) -> Vec<u8> {
    [&[MID], &name_of_part(number)[..], from, &[length, 0]].concat()
}

/// `Method (_ROM, 2)`: offset and length, of which at most 4096 bytes are given.
///
/// With several parts: `Divide (Arg0, PART, Local2, Local1)`, and for each part `If (Local1 == number) { Local3 = Mid (VR00, Local2,
/// Local0); Local4 = Local2 + Local0; If (Local4 > PART) { Local4 -= PART; Concatenate (Local3, Mid (VR01, 0, Local4), Local3) };
/// Return (Local3) }`, and behind the last part nothing.
fn method(parts: usize) -> Vec<u8> {
    let mut content = b"_ROM\x02".to_vec();
    content.extend([STORE, ARG1, LOCAL0]);
    content.extend(when(GREATER, LOCAL0, MOST, &[vec![STORE], integer(MOST), vec![LOCAL0]]));
    if parts == 1 {
        content.push(RETURN);
        content.extend(mid(0, &[ARG0], LOCAL0));
        return package(&[0x14], &content);
    }
    let part = PART as u64;
    content.extend([vec![DIVIDE, ARG0], integer(part), vec![LOCAL2, LOCAL1]].concat());
    for number in 0..parts {
        let mut of_part = vec![vec![STORE], mid(number, &[LOCAL2], LOCAL0), vec![LOCAL3]];
        if number + 1 < parts {
            let rest = [vec![SUBTRACT, LOCAL4], integer(part), vec![LOCAL4]].concat();
            let next = [vec![CONCATENATE, LOCAL3], mid(number + 1, &[0], LOCAL4), vec![LOCAL3]].concat();
            of_part.push(vec![ADD, LOCAL2, LOCAL0, LOCAL4]);
            of_part.push(when(GREATER, LOCAL4, part, &[rest, next]));
        }
        of_part.push(vec![RETURN, LOCAL3]);
        content.extend(when(EQUAL, LOCAL1, number as u64, &of_part));
    }
    content.push(RETURN);
    content.extend(package(&[0x11], &[0]));
    package(&[0x14], &content)
}

/// A method without arguments that returns what is given.
fn returns(name: &[u8; 4], what: &[u8]) -> Vec<u8> {
    package(&[0x14], &[&name[..], &[0, 0xa4], what].concat())
}

/// A battery that is full and stays so (ACPI 6.5, 10.2.2).
fn device_battery() -> Vec<u8> {
    const FULL: u64 = 5000;
    const VOLTAGE: u64 = 11100;
    let list = |elements: &[Vec<u8>]| package(&[0x12], &[vec![elements.len() as u8], elements.concat()].concat());
    // In mAh and mV; rechargeable; where the system warns; how fine it measures; model, serial number, type, vendor.
    let numbers = [1, FULL, FULL, 1, VOLTAGE, FULL / 20, FULL / 50, 1, 1].map(integer);
    let words = ["", "", "LION", "VFIO"].map(string);
    let about = list(&[&numbers[..], &words[..]].concat());
    // Neither charging nor discharging.
    let state = list(&[0, 0, FULL, VOLTAGE].map(integer));
    let name = |name: &[u8; 4], value: &[u8]| [&[0x08], &name[..], value].concat();
    // `PNP0C0A`, compressed (ACPI 6.5, 19.3.4, "EISAID").
    let id = [0x0c, 0x41, 0xd0, 0x0c, 0x0a];
    let content = [
        b"VBAT".to_vec(),
        name(b"_HID", &id),
        name(b"_UID", &integer(1)),
        returns(b"_STA", &integer(0x1f)),
        returns(b"_BIF", &about),
        returns(b"_BST", &state),
    ];
    package(&[0x5b, 0x82], &content.concat())
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
