// SPDX-License-Identifier: LGPL-2.1-or-later
//! UEFI with or without Secure Boot, by features and never by a path: libvirt finds the files of this distribution
//! (formatdomain, "BIOS bootloader"; docs/interop/firmware.json of QEMU).

use super::element::Element;
use super::{change, Look, Said};
use crate::finding::codes;
use crate::host::domain::document;
use crate::host::domain::xml::{attribute, child, is, text};
use crate::host::libvirt::Version;
use roxmltree::Node;

/// Since when libvirt chooses a firmware by its features.
const FEATURES: Version = Version(7, 2, 0);

/// What there is of firmware.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Now {
    /// BIOS.
    Bios,
    /// UEFI; whether it checks signatures, as far as that can be seen.
    Efi(bool),
    /// One without variables, or one that libvirt is yet to choose and might choose wrong.
    Unclear,
}

fn now(os: Node<'_, '_>) -> Now {
    let loader = child(os, "loader");
    let is_flash = loader.is_some_and(|loader| loader.attribute("type") == Some("pflash"));
    let by_features = os.attribute("firmware") == Some("efi");
    if !by_features && !is_flash {
        return Now::Bios;
    }
    // A ROM has no variables; and without 'pflash' libvirt may choose one where Secure Boot is off.
    if !is_flash {
        return Now::Unclear;
    }
    let features = child(os, "firmware");
    let feature = |name: &str| {
        let mut all = features.iter().flat_map(|f| f.children()).filter(|n| is(*n, "feature"));
        all.find(|n| n.attribute("name") == Some(name)).and_then(|n| n.attribute("enabled"))
    };
    match (feature("secure-boot"), feature("enrolled-keys")) {
        (Some("no"), _) | (_, Some("no")) => Now::Efi(false),
        (Some("yes"), Some("yes")) => Now::Efi(true),
        // Left out, libvirt takes the first that fits.
        _ if by_features && loader.is_some_and(|loader| loader.text().unwrap_or_default().trim().is_empty()) => {
            Now::Unclear
        }
        _ => Now::Efi(loader.is_some_and(|loader| loader.attribute("secure") == Some("yes"))),
    }
}

/// `secure-boot`.
pub(super) fn secure_boot(look: &Look<'_, '_>) -> Said {
    let Some(desired) = look.request.guest.definition.secure_boot else { return Ok(None) };
    let Some(os) = look.part("os") else { return Ok(None) };
    let now = now(os);
    if now == Now::Efi(desired) || (now == Now::Bios && !desired) {
        return Ok(None);
    }
    let word = if desired { "yes" } else { "no" };
    let refuse = |code, text: String| look.refuse(code, text);
    if now == Now::Bios && look.devices("disk").iter().any(|d| matches!(d.attribute("device"), None | Some("disk"))) {
        let text = format!(
            "'secure-boot = {word}' needs UEFI, and the domain boots by BIOS: what is installed would not boot"
        );
        return Err(refuse(codes::FIRMWARE_CHANGE, text).hint("make another domain for it"));
    }
    let machine = child(os, "type").and_then(|kind| kind.attribute("machine")).unwrap_or_default();
    if desired && !(machine.contains("q35") || machine.contains("virt")) {
        let text = format!("'secure-boot = yes' needs a Q35 machine, and the domain has {machine}");
        return Err(refuse(codes::FIRMWARE_CHANGE, text).hint("make another domain for it"));
    }
    let capable = look.request.facts.capabilities;
    if capable.is_some_and(|c| !c.efi || (desired && !c.secure_boot)) {
        let text = format!("'secure-boot = {word}' needs a UEFI firmware that libvirt does not find");
        let package = "install ovmf (Debian, Ubuntu), edk2-ovmf (Fedora, Arch Linux) or qemu-ovmf-x86_64 (openSUSE)";
        return Err(refuse(codes::FIRMWARE_MISSING, text).hint(package));
    }
    if look.request.facts.has_variables && !look.request.reset_variables {
        let text = format!(
            "'secure-boot = {word}' needs another firmware, and with it the guest's UEFI variables begin anew: Windows' \
             BitLocker will ask for its recovery key"
        );
        return Err(refuse(codes::FIRMWARE_CHANGE, text).hint("use --reset-nvram, or remove 'secure-boot'"));
    }
    let mut draft = look.draft();
    draft.set(os, "firmware", "efi");
    let old = |n: &Node<'_, '_>| ["firmware", "loader", "nvram", "varstore"].iter().any(|name| is(*n, name));
    os.children().filter(old).for_each(|part| draft.remove(part));
    let feature = |name: &str| Element::new("feature").with("enabled", word).with("name", name);
    let features = [feature("enrolled-keys"), feature("secure-boot")];
    draft.insert(os, Element::new("firmware").children(features));
    let loader = Element::new("loader").with("type", "pflash");
    draft.insert(os, if desired { loader.with("secure", "yes") } else { loader });
    match look.part("features") {
        Some(there) if child(there, "acpi").is_none() => draft.insert(there, Element::new("acpi")),
        Some(_) => {}
        None => draft.insert(look.domain, Element::new("features").child(Element::new("acpi"))),
    }
    let why = if desired {
        "a UEFI firmware that checks signatures, with Microsoft's keys; libvirt finds its files"
    } else {
        "a UEFI firmware that checks no signatures, with variables; libvirt finds its files"
    };
    Ok(change("secure-boot", why, FEATURES, draft))
}

/// Where the UEFI variables of a domain lie, if its text says so and they are a file.
pub fn variables(xml: &str) -> Option<String> {
    let document = document(xml).ok()?;
    let nvram = child(child(document.root_element(), "os")?, "nvram")?;
    child(nvram, "source")
        .and_then(|source| attribute(source, "file"))
        .or(Some(text(nvram)).filter(|p| p.starts_with('/')))
}
