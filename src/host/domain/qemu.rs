// SPDX-License-Identifier: LGPL-2.1-or-later
//! Arguments for QEMU itself: libvirt knows nothing of what they give to the guest.

use super::needs::{Domain, HostDevice, NeededFile};
use super::sound::socket_of_pulseaudio;
use super::xml::{clip, QEMU};
use crate::pci::{Address, Slot};
use roxmltree::Node;
use serde_json::Value;

/// Where QEMU's options take a file, and whether the guest writes to it (QEMU's `qemu-options.hx`).
const FILES: [(&str, &str, bool); 12] = [
    ("kernel", "kernel", false),
    ("initrd", "initrd", false),
    ("dtb", "device tree", false),
    ("bios", "firmware", false),
    ("pflash", "firmware", false),
    ("cdrom", "CD image", false),
    ("hda", "disk", true),
    ("hdb", "disk", true),
    ("hdc", "disk", true),
    ("hdd", "disk", true),
    ("sd", "disk", true),
    ("readconfig", "configuration file", false),
];

/// What the arguments give to the guest, and what they need of the host.
pub(super) fn qemu_arguments(domain: Node<'_, '_>, found: &mut Domain) -> Result<(), String> {
    let commandline = domain.children().filter(|n| n.has_tag_name((QEMU, "commandline")));
    let arguments = commandline.flat_map(|c| c.children()).filter(|n| n.has_tag_name((QEMU, "arg")));
    let mut values = arguments.filter_map(|argument| argument.attribute("value")).peekable();
    // Devices that were made of words: those `-set` finds.
    let mut known: Vec<String> = Vec::new();
    while let Some(option) = values.next() {
        let Some(name) = option.strip_prefix("--").or_else(|| option.strip_prefix('-')) else { continue };
        if name.contains(char::is_whitespace) {
            found.joined.push(option.to_owned());
            continue;
        }
        // The next word is this option's value, unless it is an option itself: many have none.
        let Some(value) = values.next_if(|value| !value.starts_with('-')) else { continue };
        match name {
            "device" => device(&Properties::read(name, value, "driver")?, found, &mut known)?,
            "object" => object(&Properties::read(name, value, "qom-type")?, found),
            "audiodev" => audio(&Properties::read(name, value, "driver")?, found),
            "drive" => drive(&Properties::read(name, value, "")?, found),
            "acpitable" | "smbios" => {
                let file = Properties::read(name, value, "")?.get("file").map(str::to_owned);
                found.files.extend(file.map(|path| NeededFile::new(path, "ACPI or SMBIOS table")));
            }
            "set" => {
                let named = value.strip_prefix("device.").and_then(|rest| rest.split(['.', '=']).next());
                found.sets.extend(named.filter(|id| !known.iter().any(|k| k == id)).map(str::to_owned));
            }
            _ => {
                let file = FILES.iter().find(|(option, ..)| *option == name);
                found.files.extend(
                    file.map(|(_, what, written)| NeededFile { written: *written, ..NeededFile::new(value, what) }),
                );
            }
        }
    }
    Ok(())
}

/// The properties of a device or another object.
struct Properties(Vec<(String, String)>);

impl Properties {
    /// Reads JSON, or words: `NAME=VALUE`, with commas between them; a comma in a value is written twice. The first word may
    /// be the value of the property `first` alone (QEMU's `util/keyval.c` and `util/qemu-option.c`).
    fn read(option: &str, text: &str, first: &str) -> Result<Properties, String> {
        if text.starts_with('{') {
            let wrong = || format!("its XML has an argument '-{option}' for QEMU that is not JSON: '{}'", clip(text));
            let Ok(Value::Object(map)) = serde_json::from_str(text) else { return Err(wrong()) };
            let plain = |value: Value| match value {
                Value::String(text) => text,
                other => other.to_string(),
            };
            return Ok(Properties(map.into_iter().map(|(name, value)| (name, plain(value))).collect()));
        }
        let mut properties = Vec::new();
        let mut rest = Some(text);
        while let Some(text) = rest {
            let mut word = String::new();
            let mut left = text;
            rest = loop {
                let Some((before, after)) = left.split_once(',') else {
                    word.push_str(left);
                    break None;
                };
                word.push_str(before);
                match after.strip_prefix(',') {
                    Some(after) => {
                        word.push(',');
                        left = after;
                    }
                    None => break Some(after),
                }
            };
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name.to_owned(), value.to_owned()),
                None if properties.is_empty() => (first.to_owned(), word),
                None => (word, "on".to_owned()),
            };
            properties.push((name, value));
        }
        Ok(Properties(properties))
    }

    /// A property that is there and not empty. Of several the last one counts.
    fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.iter().rev().find_map(|(n, value)| (n == name).then_some(value.as_str()));
        value.filter(|value| !value.is_empty())
    }
}

/// `-device`: a PCI function of the host, by its address or by its place in sysfs.
fn device(device: &Properties, found: &mut Domain, known: &mut Vec<String>) -> Result<(), String> {
    known.extend(device.get("id").map(str::to_owned));
    found.has_input |=
        matches!(device.get("driver"), Some(driver) if driver == "usb-host" || driver.starts_with("virtio-input-host"));
    if !matches!(device.get("driver"), Some("vfio-pci" | "vfio-pci-nohotplug")) {
        return Ok(());
    }
    if device.get("iommufd").is_some() {
        found.files.push(NeededFile::new(super::pci::IOMMUFD, "node of iommufd"));
    }
    // QEMU looks at the place in sysfs first (`hw/vfio/pci.c`). What is no function there is a mediated device.
    let address = match (device.get("sysfsdev"), device.get("host")) {
        (Some(path), _) => path.trim_end_matches('/').rsplit('/').next().and_then(|name| name.parse().ok()),
        (None, Some(host)) => Some(address(host).ok_or_else(|| {
            format!("its XML has a vfio-pci argument for QEMU whose host is '{}', which is not an address", clip(host))
        })?),
        (None, None) => None,
    };
    let Some(address) = address else { return Ok(()) };
    let rom = device.get("romfile").map(str::to_owned);
    if let Some(path) = rom.clone() {
        found.files.push(NeededFile::new(path, "option ROM"));
    }
    let rom_off = device.get("rombar") == Some("0");
    found.hostdevs.push(HostDevice { address, managed: false, rom, rom_off, assigned: true });
    Ok(())
}

/// An address as QEMU reads it: `[DOMAIN:]BUS:SLOT.FUNCTION`, without leading zeros (`hw/core/qdev-properties-system.c`).
fn address(text: &str) -> Option<Address> {
    let hex = |text: &str, most: u32| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit());
        digits.then(|| u32::from_str_radix(text, 16).ok().filter(|n| *n <= most))?
    };
    let (place, function) = text.split_once('.')?;
    let mut parts = place.rsplit(':');
    let (device, bus) = (hex(parts.next()?, 0x1f)?, hex(parts.next()?, 0xff)?);
    let domain = parts.next().map_or(Some(0), |domain| hex(domain, u32::MAX))?;
    if parts.next().is_some() {
        return None;
    }
    // The bounds fit the narrower types.
    Some(Slot { domain, bus: bus as u8, device: device as u8 }.function(hex(function, 7)? as u8))
}

/// `-object`: a keyboard or a mouse of the host, or memory that another program maps too.
fn object(object: &Properties, found: &mut Domain) {
    match object.get("qom-type") {
        Some("input-linux") => {
            found.has_input = true;
            found.files.extend(object.get("evdev").map(|path| NeededFile::new(path, "input device")));
        }
        // Of other files QEMU makes those that are not there.
        Some("memory-backend-file") => {
            let path = object.get("mem-path").filter(|path| path.starts_with("/dev/kvmfr"));
            found.files.extend(path.map(|path| NeededFile::new(path, KVMFR)));
        }
        _ => {}
    }
}

/// What the node of the module kvmfr is called.
pub const KVMFR: &str = "shared memory of kvmfr";

/// `-audiodev`: the socket of a sound server.
fn audio(audio: &Properties, found: &mut Domain) {
    if audio.get("driver") == Some("pa") {
        found.files.extend(audio.get("server").and_then(socket_of_pulseaudio));
    }
}

/// `-drive`: a disk, if its file is a path.
fn drive(drive: &Properties, found: &mut Domain) {
    let Some(path) = drive.get("file").filter(|path| path.starts_with('/')) else { return };
    let read_only = matches!(drive.get("readonly").or(drive.get("read-only")), Some("on" | "yes" | "true"));
    let (what, written) = match (drive.get("if"), drive.get("media")) {
        (Some("pflash"), _) => ("firmware", false),
        (_, Some("cdrom")) => ("CD image", false),
        _ => ("disk", !read_only && drive.get("snapshot") != Some("on")),
    };
    found.files.push(NeededFile { written, ..NeededFile::new(path, what) });
}
