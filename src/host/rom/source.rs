// SPDX-License-Identifier: LGPL-2.1-or-later
//! Where a card's own option ROM can be read.

use super::{file, vfct, LARGEST};
use crate::host::bars;
use crate::host::display;
use crate::host::function::{attribute, Function};
use crate::pci::Address;
use crate::root::Root;
use serde::Serialize;
use std::io;

/// A place to read a card's option ROM from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The card itself, by its attribute `rom`.
    Sysfs,
    /// The firmware's table for AMD's cards.
    Vfct,
    /// What the driver of the host has read, in debugfs.
    Debugfs,
}

impl Source {
    /// How it is written.
    pub fn word(self) -> &'static str {
        match self {
            Source::Sysfs => "sysfs",
            Source::Vfct => "vfct",
            Source::Debugfs => "debugfs",
        }
    }
}

/// What there is of a function's option ROM.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Sources {
    /// The size of its ROM BAR or shadow, in bytes.
    pub bar: Option<u64>,
    /// Whether the function has the attribute `rom`.
    pub attribute: bool,
    /// Whether that shows a copy in memory, from 0xC0000 on, which the firmware has made at the start of the machine.
    pub shadow: bool,
    /// In the table of the firmware: whether it is there for the function's address, or for another with the same ids.
    pub vfct: Option<bool>,
    /// The file of the host's driver.
    pub debugfs: Option<String>,
}

/// `IORESOURCE_ROM_SHADOW` (`include/linux/ioport.h`): `pci_fixup_video()` sets it on the boot display.
const SHADOW: u64 = 1 << 1;
/// Where such a copy lies.
const COPY: std::ops::Range<u64> = 0xc_0000..0xe_0000;

/// Looks where a function's ROM can be read. Nothing is switched on for it.
pub fn look(root: &Root, function: &Function) -> Sources {
    let place = bars::rom_place(root, function.address);
    let shadow = |(start, _, flags): (u64, u64, u64)| flags & SHADOW != 0 || COPY.contains(&start);
    let entry = |table: &[u8]| {
        vfct::of_card(&vfct::entries(table), (function.vendor, function.device), function.address).map(|(_, same)| same)
    };
    Sources {
        bar: place.map(|(start, end, _)| end - start + 1),
        attribute: root.exists(&attribute(function.address, "rom")),
        shadow: place.is_some_and(shadow),
        vfct: table(root).ok().and_then(|table| entry(&table)),
        debugfs: debugfs(root, function.address),
    }
}

/// The bytes of the ROM that the firmware's table has for a function.
pub fn read_vfct(root: &Root, function: &Function) -> io::Result<Vec<u8>> {
    let table = table(root)?;
    let found = vfct::of_card(&vfct::entries(&table), (function.vendor, function.device), function.address);
    Ok(found.map(|(entry, _)| entry.image.to_vec()).unwrap_or_default())
}

/// The bytes of a file of debugfs.
pub fn read_debugfs(root: &Root, path: &str) -> io::Result<Vec<u8>> {
    file::read(root.open_file(path)?)
}

fn table(root: &Root) -> io::Result<Vec<u8>> {
    let table = file::read(root.open_file(vfct::PATH)?)?;
    if table.len() as u64 > LARGEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(table)
}

/// The file in which amdgpu or nouveau shows what it has read: below the number of the DRM node, or the address
/// (`amdgpu_debugfs_vbios_init`, `nouveau_drm_debugfs_init`).
fn debugfs(root: &Root, address: Address) -> Option<String> {
    let nodes = display::cards(root, address);
    let number = |node: &String| node.rsplit_once("/card").map(|(_, number)| number.to_owned());
    let names = nodes.iter().filter_map(number).chain([address.to_string()]);
    let files =
        names.flat_map(|name| ["amdgpu_vbios", "vbios.rom"].map(|file| format!("sys/kernel/debug/dri/{name}/{file}")));
    files.into_iter().find(|path| root.exists(path))
}
