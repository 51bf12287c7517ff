// SPDX-License-Identifier: LGPL-2.1-or-later
//! A libvirt domain, from its XML (libvirt's "Domain XML format"): what it is given of the host.

use crate::pci::{Address, Slot};
use crate::text::short;
use roxmltree::{Document, Node, ParsingOptions};
use std::borrow::Cow;

/// What matters of a domain for a hand-over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Domain {
    /// Its name.
    pub name: String,
    /// PCI functions of the host that it gets, whatever for: host devices, network interfaces, NVMe disks.
    pub hostdevs: Vec<HostDevice>,
    /// Disks, CD images, firmware and its variables: files and devices of the host that must be there.
    pub files: Vec<NeededFile>,
    /// Its memory, in bytes; 0 if the XML does not say.
    pub memory: u64,
    /// Whether its memory comes from huge pages.
    pub huge_pages: HugePages,
}

/// Where a domain's memory comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HugePages {
    /// Not from huge pages.
    #[default]
    No,
    /// All of it from huge pages of the host's default size.
    Default,
    /// All of it from huge pages of so many bytes.
    Size(u64),
    /// Some of it, or from several sizes: how much of which cannot be told from here.
    Mixed,
}

/// A PCI function of the host that a domain gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostDevice {
    /// Where it is on the host.
    pub address: Address,
    /// Whether libvirt binds it to vfio and back (`managed='yes'`).
    pub managed: bool,
    /// A file with its option ROM.
    pub rom: Option<String>,
}

/// A file that must be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeededFile {
    /// Its path on the host.
    pub path: String,
    /// What it is for: `disk`, `CD image`, `option ROM`, `firmware`, `kernel`, `initrd`.
    pub what: &'static str,
    /// It is not needed if this file is there: firmware variables are made from their template only once.
    pub unless: Option<String>,
}

/// The namespace of QEMU's own arguments (libvirt's "QEMU command-line passthrough").
const QEMU: &str = "http://libvirt.org/schemas/domain/qemu/1.0";

/// No domain is larger, in bytes: libvirt's own protocol carries no longer texts (`REMOTE_STRING_MAX`).
pub const LARGEST: usize = 4 << 20;

/// No domain has more elements, texts and comments; it keeps memory bounded, whatever the text is.
const MOST_NODES: u32 = 200_000;

/// The most attributes of an element. The parser compares each with all before it in the element.
const MOST_ATTRIBUTES: usize = 100;

/// The most namespaces that are declared. The parser looks for each prefix among them.
const MOST_NAMESPACES: usize = 256;

/// The most CDATA sections; libvirt makes none. The parser copies the text before one to put them together.
const MOST_CDATA: usize = 100;

/// The most functions of the host, and the most files, that a domain may have. They are compared with each other and looked
/// at one by one.
const MOST_DEVICES: usize = 256;

/// How deep elements may lie in each other; libvirt's own need not twenty. The parser calls itself for each level.
const DEEPEST: usize = 256;

/// The longest part of a foreign text in a message, in bytes.
const LONGEST: usize = 200;

/// Reads a domain's XML.
///
/// # Errors
/// A sentence: it is not XML, it is not a domain, or a value in it cannot be understood.
pub fn parse(xml: &str) -> Result<Domain, String> {
    if let Some(what) = too_much(xml) {
        return Err(format!("its XML cannot be read: {what}"));
    }
    // A document type is refused by default: libvirt makes none, and entities can blow a text up.
    let how = ParsingOptions { nodes_limit: MOST_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(xml, how)
        .map_err(|error| format!("its XML cannot be read: {}", clip(&error.to_string())))?;
    let domain = document.root_element();
    if !is(domain, "domain") {
        return Err(format!("its XML describes a '{}' and no domain", clip(domain.tag_name().name())));
    }
    let name = child(domain, "name").map(text).unwrap_or_default();
    if name.is_empty() {
        return Err("its XML has no name in it".to_owned());
    }
    let mut found = Domain { name, ..Domain::default() };
    if let Some(memory) = child(domain, "memory") {
        let value = text(memory);
        found.memory = size(&value, memory.attribute("unit").unwrap_or("KiB"))
            .ok_or_else(|| format!("its XML has a memory of '{}', which is not a size", clip(&value)))?;
    }
    found.huge_pages = huge_pages(domain)?;
    if let Some(os) = child(domain, "os") {
        boot_files(os, &mut found.files);
    }
    let devices = child(domain, "devices");
    for device in devices.iter().flat_map(|d| d.children()).filter(|d| d.tag_name().namespace().is_none()) {
        match device.tag_name().name() {
            "hostdev" | "interface" if is_host_device(device) => host_device(device, &mut found)?,
            "disk" => disk(device, &mut found)?,
            _ => {}
        }
    }
    qemu_arguments(domain, &mut found)?;
    if found.hostdevs.len().max(found.files.len()) > MOST_DEVICES {
        Err(format!("its XML names more than {MOST_DEVICES} devices or files of the host"))
    } else {
        Ok(found)
    }
}

/// What a text has more of than any domain, of those things for which the parser takes more than twice the time for twice as
/// many. It is counted in one pass, as far as the text is well-formed: where it is not, the parser stops.
fn too_much(xml: &str) -> Option<String> {
    if xml.len() > LARGEST {
        return Some(format!("it is larger than {} MiB", LARGEST >> 20));
    }
    if xml.matches("xmlns").count() > MOST_NAMESPACES {
        return Some(format!("it declares more than {MOST_NAMESPACES} namespaces"));
    }
    let (mut rest, mut depth, mut sections) = (xml, 0usize, 0usize);
    while let Some(at) = rest.find('<') {
        rest = &rest[at..];
        let skipped = [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>")].iter().find_map(|(open, close)| {
            let inside = rest.strip_prefix(open)?;
            sections += usize::from(open.ends_with('['));
            Some(inside.find(close).map_or("", |end| &inside[end + close.len()..]))
        });
        if sections > MOST_CDATA {
            return Some(format!("it has more than {MOST_CDATA} CDATA sections"));
        }
        if let Some(skipped) = skipped {
            rest = skipped;
            continue;
        }
        if rest.starts_with("</") {
            depth = depth.saturating_sub(1);
            rest = &rest[2..];
            continue;
        }
        // A start tag ends at the first '>' outside of quotes.
        let (mut quote, mut attributes) = (None, 0);
        let end = rest.bytes().position(|b| match (quote, b) {
            (None, b'>') => true,
            (None, b'"' | b'\'') => {
                quote = Some(b);
                false
            }
            (None, b'=') => {
                attributes += 1;
                attributes > MOST_ATTRIBUTES
            }
            (Some(open), close) if open == close => {
                quote = None;
                false
            }
            _ => false,
        });
        if attributes > MOST_ATTRIBUTES {
            return Some(format!("an element has more than {MOST_ATTRIBUTES} attributes"));
        }
        let end = end?;
        depth += usize::from(!rest[..end].ends_with('/'));
        if depth > DEEPEST {
            return Some(format!("its elements lie more than {DEEPEST} deep in each other"));
        }
        rest = &rest[end + 1..];
    }
    None
}

/// Whether this is an element of libvirt's own with this name.
fn is(node: Node<'_, '_>, name: &str) -> bool {
    node.is_element() && node.tag_name().namespace().is_none() && node.tag_name().name() == name
}

fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.children().find(|n| is(*n, name))
}

fn text(node: Node<'_, '_>) -> String {
    node.text().unwrap_or_default().trim().to_owned()
}

/// A value that is there and not empty.
fn attribute(node: Node<'_, '_>, name: &str) -> Option<String> {
    node.attribute(name).filter(|value| !value.is_empty()).map(str::to_owned)
}

/// A foreign text for a message: short, and nothing in it moves a cursor.
fn clip(text: &str) -> Cow<'_, str> {
    short(text, LONGEST)
}

/// A number with a unit, in bytes (`virScaleInteger`: `KB` is 1000, `K` and `KiB` are 1024, in any case of letters).
fn size(number: &str, unit: &str) -> Option<u64> {
    let number: u64 = number.parse().ok()?;
    let unit = unit.to_ascii_lowercase();
    let scale = match unit.as_str() {
        "b" | "byte" | "bytes" => 1,
        _ => {
            let (power, rest) = (unit.chars().next()?, unit.get(1..)?);
            let base: u64 = match rest {
                "" | "ib" => 1024,
                "b" => 1000,
                _ => return None,
            };
            base.checked_pow(match power {
                'k' => 1,
                'm' => 2,
                'g' => 3,
                't' => 4,
                'p' => 5,
                'e' => 6,
                _ => return None,
            })?
        }
    };
    number.checked_mul(scale)
}

fn huge_pages(domain: Node<'_, '_>) -> Result<HugePages, String> {
    let Some(backing) = child(domain, "memoryBacking").and_then(|backing| child(backing, "hugepages")) else {
        return Ok(HugePages::No);
    };
    let pages: Vec<Node<'_, '_>> = backing.children().filter(|n| is(*n, "page")).collect();
    match pages[..] {
        [] => Ok(HugePages::Default),
        [page] if page.attribute("nodeset").is_none() => {
            let value = page.attribute("size").unwrap_or_default();
            let bytes = size(value, page.attribute("unit").unwrap_or("KiB")).filter(|bytes| *bytes > 0);
            let bytes =
                bytes.ok_or_else(|| format!("its XML has huge pages of '{}', which is not a size", clip(value)))?;
            Ok(HugePages::Size(bytes))
        }
        _ => Ok(HugePages::Mixed),
    }
}

/// What `<os>` names: the firmware, a kernel.
fn boot_files(os: Node<'_, '_>, files: &mut Vec<NeededFile>) {
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
fn disk(disk: Node<'_, '_>, found: &mut Domain) -> Result<(), String> {
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

/// Whether a `<hostdev>` or an `<interface>` is a PCI function of the host; its address has the last word.
fn is_host_device(device: Node<'_, '_>) -> bool {
    let kind = device.attribute("type");
    if is(device, "interface") {
        kind == Some("hostdev")
    } else {
        kind == Some("pci") && matches!(device.attribute("mode"), None | Some("subsystem"))
    }
}

/// A `<hostdev>`, or an `<interface>` that is one.
fn host_device(device: Node<'_, '_>, found: &mut Domain) -> Result<(), String> {
    let Some(source) = child(device, "source") else {
        return Err("its XML has a PCI host device without a source".to_owned());
    };
    // An interface may be a USB device of the host.
    if child(source, "address").is_some_and(|a| matches!(a.attribute("type"), Some(kind) if kind != "pci")) {
        return Ok(());
    }
    let rom = child(device, "rom").filter(|rom| rom.attribute("enabled") != Some("no"));
    let rom = rom.and_then(|rom| attribute(rom, "file"));
    if let Some(path) = rom.clone() {
        found.files.push(NeededFile { path, what: "option ROM", unless: None });
    }
    let managed = device.attribute("managed") == Some("yes");
    found.hostdevs.push(HostDevice { address: host_address(source)?, managed, rom });
    Ok(())
}

/// The address in a `<source>`. What is left out is 0, and numbers are as in C: `0x1f`, `31`, `037`.
fn host_address(source: Node<'_, '_>) -> Result<Address, String> {
    let Some(address) = child(source, "address") else {
        return Err("its XML has a PCI host device without an address".to_owned());
    };
    let part = |name: &str, most: u32| {
        let Some(value) = address.attribute(name) else { return Ok(0) };
        number(value)
            .filter(|n| *n <= most)
            .ok_or_else(|| format!("its XML has a PCI host device whose {name} is '{}', which cannot be", clip(value)))
    };
    let domain = part("domain", u32::MAX)?;
    // The bounds fit the narrower types.
    let (bus, device) = (part("bus", 0xff)? as u8, part("slot", 0x1f)? as u8);
    Ok(Slot { domain, bus, device }.function(part("function", 7)? as u8))
}

/// A number as `strtoul` reads it with base 0, but without a sign.
fn number(text: &str) -> Option<u32> {
    let (digits, base) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&text[2..], 16),
        [b'0', _, ..] => (&text[1..], 8),
        _ => (text, 10),
    };
    // `from_str_radix` would take a sign.
    digits.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, base).ok())?
}

/// `-device vfio-pci,host=...` among arguments for QEMU itself: a host device that libvirt knows nothing of.
fn qemu_arguments(domain: Node<'_, '_>, found: &mut Domain) -> Result<(), String> {
    let commandline = domain.children().filter(|n| n.has_tag_name((QEMU, "commandline")));
    let arguments = commandline.flat_map(|c| c.children()).filter(|n| n.has_tag_name((QEMU, "arg")));
    for value in arguments.filter_map(|argument| argument.attribute("value")) {
        let mut parts = value.split(',');
        if !matches!(parts.next(), Some("vfio-pci" | "vfio-pci-nohotplug")) {
            continue;
        }
        let option = |key: &str| parts.clone().find_map(|part| part.strip_prefix(key)?.strip_prefix('='));
        let Some(host) = option("host") else { continue };
        let address = host.parse().map_err(|_| {
            format!("its XML has a vfio-pci argument for QEMU whose host is '{}', which is not an address", clip(host))
        })?;
        let rom = option("romfile").filter(|path| !path.is_empty()).map(str::to_owned);
        if let Some(path) = rom.clone() {
            found.files.push(NeededFile { path, what: "option ROM", unless: None });
        }
        found.hostdevs.push(HostDevice { address, managed: false, rom });
    }
    Ok(())
}

#[cfg(test)]
#[path = "domain_tests.rs"]
mod tests;
