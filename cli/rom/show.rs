// SPDX-License-Identifier: LGPL-2.1-or-later
//! An option ROM as text and as JSON.

use super::Read;
use crate::check;
use crate::output::{Output, Text};
use serde::Serialize;
use vfio_suite::finding::Finding;
use vfio_suite::host::domain::Firmware;
use vfio_suite::host::rom::{End, Front, Image, Rest, Rom};
use vfio_suite::plan::rom::judge::runs_with;

#[derive(Serialize)]
struct Answer<'r> {
    file: &'r str,
    size: usize,
    /// Left out where the file has no image.
    #[serde(flatten)]
    rom: Option<Structure<'r>>,
    findings: &'r [Finding],
}

#[derive(Serialize)]
struct Structure<'r> {
    front: Front,
    start: usize,
    images: &'r [Image],
    end: &'static str,
    pci_end: usize,
    behind: usize,
    uefi: bool,
    bios: bool,
}

impl<'r> Answer<'r> {
    fn of(read: &'r Read) -> Answer<'r> {
        let structure = |rom: &'r Rom| Structure {
            front: rom.front,
            start: rom.start(),
            images: &rom.images,
            end: match rom.end {
                End::Last => "last",
                End::NoMore => "no-more",
                End::Cut(_) => "cut",
                End::Broken(_) => "broken",
                End::TooMany => "too-many",
            },
            pci_end: rom.pci_end,
            behind: match rom.rest {
                Rest::Nothing => 0,
                Rest::Padding(bytes) | Rest::Data(bytes) => bytes,
            },
            uefi: runs_with(rom, Firmware::Uefi),
            bios: runs_with(rom, Firmware::Bios),
        };
        let rom = read.rom.as_ref().ok().map(structure);
        Answer { file: &read.name, size: read.bytes.len(), rom, findings: &read.findings }
    }
}

/// Shows one ROM, image by image, and what is to be said of it.
pub(super) fn show(out: &Output, read: &Read) -> anyhow::Result<()> {
    if out.is_json() {
        return out.json("vfio.rom/1", &Answer::of(read));
    }
    let mut text = out.lines();
    text.line(out.bold(&format!("{}: {} bytes", read.name, read.bytes.len())));
    if let Ok(rom) = &read.rom {
        structure(&mut text, rom);
    }
    read.findings.iter().for_each(|finding| text.line(check::line(finding)));
    out.text(&text)
}

/// Shows what is to be said of ROMs, and nothing else.
pub(super) fn verdicts(out: &Output, all: &[Read]) -> anyhow::Result<()> {
    #[derive(Serialize)]
    struct Roms<'r> {
        roms: Vec<Answer<'r>>,
    }
    if out.is_json() {
        return out.json("vfio.rom-check/1", &Roms { roms: all.iter().map(Answer::of).collect() });
    }
    let mut text = out.lines();
    for read in all {
        read.findings.iter().for_each(|finding| text.line(check::line(finding)));
        if read.findings.is_empty() {
            text.line(format_args!("{}: nothing is wrong with it", read.name));
        }
    }
    if all.is_empty() {
        text.line("no [gpu] section has 'rom'");
    }
    out.text(&text)
}

fn structure(text: &mut Text, rom: &Rom) {
    match rom.front {
        Front::Nothing => {}
        Front::Nvgi { version } => {
            text.line(format_args!(
                "  before the images: NVIDIA's flash header, version {version}, {} bytes",
                rom.start()
            ));
        }
        Front::Unknown => text.line(format_args!("  before the images: {} bytes of something else", rom.start())),
    }
    let head = ["image", "at", "bytes", "code", "for", "class", "checksum", "last by"].map(str::to_owned).to_vec();
    let rows = rom.images.iter().enumerate().map(|(n, image)| row(n, image));
    text.table(&std::iter::once(head).chain(rows).collect::<Vec<_>>());
    match rom.rest {
        Rest::Nothing => {}
        Rest::Padding(bytes) => text.line(format_args!("  behind the images: {bytes} bytes of padding")),
        Rest::Data(bytes) => text.line(format_args!("  behind the images: {bytes} bytes of something else")),
    }
    text.line(format_args!("  firmware and Linux read it up to {:#x}", rom.pci_end));
    let yes = |firmware| if runs_with(rom, firmware) { "yes" } else { "no" };
    text.line(format_args!(
        "  usable by UEFI (OVMF): {}; by a BIOS (SeaBIOS): {}",
        yes(Firmware::Uefi),
        yes(Firmware::Bios)
    ));
}

fn row(n: usize, image: &Image) -> Vec<String> {
    let devices = image.devices.iter().map(|device| format!(" {device:04x}")).collect::<String>();
    let sum = match image.sum_is_zero {
        Some(true) => "right",
        Some(false) => "wrong",
        None => "-",
    };
    let last = match (image.last, image.npde_last) {
        (true, Some(true)) => "PCIR, NPDE",
        (true, _) => "PCIR",
        (false, Some(true)) => "NPDE",
        (false, _) => "-",
    };
    vec![
        (n + 1).to_string(),
        format!("{:#x}", image.offset),
        image.length.to_string(),
        image.kind().to_owned(),
        format!("{:04x}:{:04x}{devices}", image.vendor, image.device),
        format!("{:06x}", image.class),
        sum.to_owned(),
        last.to_owned(),
    ]
}
