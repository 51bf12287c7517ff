// SPDX-License-Identifier: LGPL-2.1-or-later
//! What a domain boots with.

use super::xml::{child, text};
use roxmltree::Node;

/// What a guest boots with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Firmware {
    /// UEFI: OVMF. It runs EFI images.
    Uefi,
    /// A BIOS: SeaBIOS. It runs legacy images.
    Bios,
}

/// Whether libvirt chooses the UEFI firmware: `<os firmware='efi'>` without the file (formatdomain, "BIOS bootloader").
pub(super) fn chooses_uefi(os: Node<'_, '_>) -> bool {
    let file = child(os, "loader").map(text).filter(|path| !path.is_empty());
    os.attribute("firmware") == Some("efi") && file.is_none()
}

/// By what `<os>` says: `firmware`, or the type of the loader. A loader in one file may be either.
pub(super) fn firmware(os: Node<'_, '_>) -> Option<Firmware> {
    let is_pc = || {
        child(os, "type").and_then(|kind| kind.attribute("arch")).is_none_or(|arch| arch == "x86_64" || arch == "i686")
    };
    match (os.attribute("firmware"), child(os, "loader")) {
        (Some("efi"), _) => Some(Firmware::Uefi),
        (Some("bios"), _) => Some(Firmware::Bios),
        (_, Some(loader)) if loader.attribute("type") == Some("pflash") => Some(Firmware::Uefi),
        (None, None) if is_pc() => Some(Firmware::Bios),
        _ => None,
    }
}
