// SPDX-License-Identifier: LGPL-2.1-or-later
//! Files of the host that must be there when a domain starts: firmware, kernels, disks.

use super::needs::{Domain, HostDevice, Machine, NeededFile};
use super::pci::host_address;
use super::xml::{attribute, child, is, text};
use roxmltree::Node;

/// What `<os>` names: the firmware, a kernel.
pub(super) fn boot_files(os: Node<'_, '_>, found: &mut Domain) {
    let mut need = |path: String, what, unless| {
        if !path.is_empty() {
            found.files.push(NeededFile { unless, ..NeededFile::new(path, what) });
        }
    };
    for part in os.children().filter(Node::is_element) {
        match part.tag_name().name() {
            "loader" => need(text(part), "firmware", None),
            // Where the XML names no template libvirt finds it by the loader.
            "nvram" => {
                let template = attribute(part, "template").unwrap_or_default();
                match variables(part, &found.name) {
                    Variables::File(path) => need(template, "firmware", Some(path)),
                    Variables::Block(path) => need(path, "firmware variables", None),
                    Variables::Elsewhere => {}
                }
            }
            "varstore" => need(attribute(part, "template").unwrap_or_default(), "firmware", attribute(part, "path")),
            "kernel" => need(text(part), "kernel", None),
            "initrd" => need(text(part), "initrd", None),
            "dtb" => need(text(part), "device tree", None),
            "acpi" => {
                for table in part.children().filter(|n| is(*n, "table")) {
                    need(text(table), "ACPI table", None);
                }
            }
            _ => {}
        }
    }
}

/// Where the firmware's variables are.
enum Variables {
    /// In a file, which libvirt makes from the template if it is not there.
    File(String),
    /// On a block device, which must be there.
    Block(String),
    /// Reached over the network.
    Elsewhere,
}

/// Where `<nvram>` says that the firmware's variables are; where it says nothing, they are where libvirt puts them
/// (`qemuDomainNVRAMPathFormat`).
fn variables(nvram: Node<'_, '_>, name: &str) -> Variables {
    let source = child(nvram, "source");
    let path = match nvram.attribute("type") {
        None => Some(text(nvram)).filter(|path| !path.is_empty()),
        Some("file") => source.and_then(|source| attribute(source, "file")),
        Some("block") => {
            return source.and_then(|source| attribute(source, "dev")).map_or(Variables::Elsewhere, Variables::Block)
        }
        Some(_) => return Variables::Elsewhere,
    };
    let suffix = if nvram.attribute("format") == Some("qcow2") { "qcow2" } else { "fd" };
    Variables::File(path.unwrap_or_else(|| format!("/var/lib/libvirt/qemu/nvram/{name}_VARS.{suffix}")))
}

/// The emulator, and the machine that it is to be.
pub(super) fn emulator(domain: Node<'_, '_>, found: &mut Domain) {
    let emulator = child(domain, "devices").and_then(|devices| child(devices, "emulator")).map(text);
    let Some(emulator) = emulator.filter(|path| path.starts_with('/')) else { return };
    found.files.push(NeededFile::new(emulator.clone(), "emulator"));
    let kind = child(domain, "os").and_then(|os| child(os, "type"));
    found.machine = kind.and_then(|kind| attribute(kind, "machine")).map(|name| Machine {
        emulator,
        by: domain.attribute("type").unwrap_or_default().to_owned(),
        name,
    });
}

/// A disk, and what the XML says lies below it.
pub(super) fn disk(disk: Node<'_, '_>, found: &mut Domain) -> Result<(), String> {
    let what = match disk.attribute("device") {
        Some("cdrom") => "CD image",
        Some("floppy") => "floppy image",
        _ => "disk",
    };
    // A guest writes to the uppermost layer alone.
    let mut written = what != "CD image" && child(disk, "readonly").is_none();
    let mut layer = Some(disk);
    while let Some(here) = layer {
        if let Some(source) = child(here, "source") {
            let path = match here.attribute("type") {
                None | Some("file") => attribute(source, "file"),
                Some("block") => attribute(source, "dev"),
                // QEMU drives the disk itself, through vfio.
                Some("nvme") => {
                    let managed = source.attribute("managed") == Some("yes");
                    let address = host_address(source)?;
                    found.hostdevs.push(HostDevice { address, managed, rom: None, rom_off: false, assigned: true });
                    None
                }
                _ => None,
            };
            // libvirt drops the disk where it is missing.
            let optional = source.attribute("startupPolicy") == Some("optional");
            if let Some(path) = path {
                found.files.push(NeededFile { written, optional, ..NeededFile::new(path, what) });
            }
        }
        written = false;
        layer = child(here, "backingStore");
    }
    Ok(())
}
