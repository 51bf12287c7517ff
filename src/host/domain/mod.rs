// SPDX-License-Identifier: LGPL-2.1-or-later
//! A libvirt domain, from its XML (libvirt's "Domain XML format"): what it is given of the host.

mod cpus;
mod devices;
mod files;
mod firmware;
mod limits;
mod links;
mod memory;
mod needs;
pub(crate) mod pci;
mod qemu;
mod shmem;
mod sound;
mod usb;
pub(crate) mod xml;

pub use devices::PROGRAM;
pub use firmware::Firmware;
pub use limits::LARGEST;
pub use needs::{Domain, HostDevice, HugePages, Link, Machine, NeededFile, Pin, ScsiDevice, SharedMemory, UsbDevice};
pub use qemu::KVMFR;
pub use sound::JACK;

use crate::host::qemu::Module;
use limits::{too_much, MOST_DEVICES, MOST_NODES};
use roxmltree::{Document, ParsingOptions};
use xml::{child, clip, is, text};

/// Reads an XML text of libvirt's.
///
/// # Errors
/// A sentence that begins with "its XML": it is not XML, or has more of something than a domain has.
pub(crate) fn document(xml: &str) -> Result<Document<'_>, String> {
    if let Some(what) = too_much(xml) {
        return Err(format!("its XML cannot be read: {what}"));
    }
    // A document type is refused by default: libvirt makes none, and entities can blow a text up.
    let how = ParsingOptions { nodes_limit: MOST_NODES, ..ParsingOptions::default() };
    Document::parse_with_options(xml, how)
        .map_err(|error| format!("its XML cannot be read: {}", clip(&error.to_string())))
}

/// Reads a domain's XML.
///
/// # Errors
/// A sentence: it is not XML, it is not a domain, or a value in it cannot be understood.
pub fn parse(xml: &str) -> Result<Domain, String> {
    let document = document(xml)?;
    let domain = document.root_element();
    if !is(domain, "domain") {
        return Err(format!("its XML describes a '{}' and no domain", clip(domain.tag_name().name())));
    }
    let name = child(domain, "name").map(text).unwrap_or_default();
    if name.is_empty() {
        return Err("its XML has no name in it".to_owned());
    }
    let mut found = Domain { name, ..Domain::default() };
    memory::memory(domain, &mut found)?;
    cpus::pins(domain, &mut found)?;
    files::emulator(domain, &mut found);
    if let Some(os) = child(domain, "os") {
        found.firmware = firmware::firmware(os);
        found.chooses_uefi = firmware::chooses_uefi(os);
        files::boot_files(os, &mut found);
    }
    let devices = child(domain, "devices");
    for device in devices.iter().flat_map(|d| d.children()).filter(|d| d.tag_name().namespace().is_none()) {
        match device.tag_name().name() {
            "hostdev" | "interface" if pci::is_host_device(device) => pci::host_device(device, &mut found)?,
            "hostdev" => match device.attribute("type") {
                Some("usb") => usb::usb_device(device, &mut found)?,
                Some("scsi") => usb::scsi_device(device, &mut found)?,
                _ => {}
            },
            "interface" => links::interface(device, &mut found),
            "disk" => files::disk(device, &mut found)?,
            "input" => devices::input(device, &mut found),
            "video" => devices::video(device, &mut found),
            "tpm" => devices::tpm(device, &mut found),
            "audio" => {
                sound::audio(device, &mut found);
                found.modules.extend(device.attribute("type").and_then(Module::of_sound));
            }
            "graphics" if device.attribute("type") == Some("spice") => {
                found.modules.insert(Module::Spice);
            }
            "filesystem" => devices::filesystem(device, &mut found),
            "shmem" => shmem::shared_memory(device, &mut found),
            "rng" => devices::rng(device, &mut found),
            _ => {}
        }
    }
    if child(domain, "iommufd").is_some_and(|iommufd| iommufd.attribute("enabled") == Some("yes")) {
        found.files.push(NeededFile::new(pci::IOMMUFD, "node of iommufd"));
    }
    sound::jack(domain, &mut found);
    found.windows = devices::is_windows(domain);
    found.wide_addresses = cpus::has_wide_addresses(domain);
    qemu::qemu_arguments(domain, &mut found)?;
    let most = [
        found.hostdevs.len(),
        found.files.len(),
        found.links.len() + found.shared.len(),
        found.usb.len() + found.scsi.len(),
        found.sets.len() + found.joined.len(),
    ];
    if most.into_iter().any(|number| number > MOST_DEVICES) {
        Err(format!("its XML names more than {MOST_DEVICES} devices or files of the host"))
    } else {
        Ok(found)
    }
}

#[cfg(test)]
mod tests;
