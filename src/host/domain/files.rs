// SPDX-License-Identifier: LGPL-2.1-or-later
//! Files of the host that must be there when a domain starts: firmware, kernels, disks.

use super::needs::{Domain, HostDevice, NeededFile};
use super::pci::host_address;
use super::xml::{attribute, child, text};
use roxmltree::Node;

/// What `<os>` names: the firmware, a kernel.
pub(super) fn boot_files(os: Node<'_, '_>, files: &mut Vec<NeededFile>) {
    let mut need = |path: String, what, unless| {
        if !path.is_empty() {
            files.push(NeededFile { path, what, unless });
        }
    };
    for part in os.children().filter(Node::is_element) {
        match part.tag_name().name() {
            "loader" => need(text(part), "firmware", None),
            // The file for the variables may be missing: libvirt makes it from the template, which it finds by the
            // loader where the XML names none.
            "nvram" => {
                let variables = Some(text(part)).filter(|path| !path.is_empty());
                need(attribute(part, "template").unwrap_or_default(), "firmware", variables);
            }
            "kernel" => need(text(part), "kernel", None),
            "initrd" => need(text(part), "initrd", None),
            _ => {}
        }
    }
}

/// A disk, and what the XML says lies below it.
pub(super) fn disk(disk: Node<'_, '_>, found: &mut Domain) -> Result<(), String> {
    let what = match disk.attribute("device") {
        Some("cdrom") => "CD image",
        Some("floppy") => "floppy image",
        _ => "disk",
    };
    let mut layer = Some(disk);
    while let Some(here) = layer {
        if let Some(source) = child(here, "source") {
            let path = match here.attribute("type") {
                None | Some("file") => attribute(source, "file"),
                Some("block") => attribute(source, "dev"),
                // QEMU drives the disk itself, through vfio.
                Some("nvme") => {
                    let managed = source.attribute("managed") == Some("yes");
                    found.hostdevs.push(HostDevice { address: host_address(source)?, managed, rom: None });
                    None
                }
                _ => None,
            };
            // libvirt drops the disk where it is missing.
            let optional = source.attribute("startupPolicy") == Some("optional");
            if let Some(path) = path.filter(|_| !optional) {
                found.files.push(NeededFile { path, what, unless: None });
            }
        }
        layer = child(here, "backingStore");
    }
    Ok(())
}
