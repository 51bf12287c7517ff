// SPDX-License-Identifier: LGPL-2.1-or-later
//! The attribute `rom` of a function (`pci_write_rom()`, `pci_read_rom()` in `drivers/pci/pci-sysfs.c`, `pci_map_rom()` in
//! `drivers/pci/rom.c`).

use crate::device::Device;
use crate::parse::found;
use crate::tree::Tree;
use rustix::io::Errno;
use std::io;
use vfio_suite::host::rom;

fn mark(device: &Device) -> String {
    format!(".kernel/rom-enabled/{}", device.name)
}

/// Writing switches reading off by a 0 and on by anything else; the image is not replaced.
pub(crate) fn enable(tree: &Tree<'_>, device: &Device, value: &str) -> io::Result<()> {
    if value == "0\n" {
        return tree.unlink(&mark(device));
    }
    tree.mkdir(".kernel/rom-enabled")?;
    tree.put(&mark(device), "")
}

/// What can be read of it: as much as the images have by their PCI data structures. A function that sleeps answers with ones.
pub(crate) fn read(tree: &Tree<'_>, attribute: &str) -> io::Result<Vec<u8>> {
    let parts: Vec<&str> = attribute.trim_matches('/').split('/').collect();
    let ["sys", "bus", "pci", "devices", name, "rom"] = parts[..] else { return Err(Errno::NOENT.into()) };
    let device = found(tree, name)?;
    tree.mode(attribute)?;
    if !tree.root.exists(&mark(&device)) {
        return Err(Errno::INVAL.into());
    }
    let state = |attribute: &str| tree.root.read_text(&device.file(attribute)).unwrap_or_default();
    let sleeps = state("power_state") == "D3hot" && state("power/control") != "on";
    let bytes = rom::file::read(tree.root.open_regular(&format!(".kernel/roms/{name}")).map_err(|_| Errno::IO)?)?;
    match rom::read(&bytes, None) {
        Ok(rom) if !sleeps && rom.start() == 0 && rom.pci_end > 0 => Ok(bytes[..rom.pci_end].to_vec()),
        _ => Err(Errno::IO.into()),
    }
}
