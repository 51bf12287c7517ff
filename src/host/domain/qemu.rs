// SPDX-License-Identifier: LGPL-2.1-or-later
//! Arguments for QEMU itself: libvirt knows nothing of what they give to the guest.

use super::needs::{Domain, HostDevice, NeededFile};
use super::xml::clip;
use roxmltree::Node;

/// The namespace of QEMU's own arguments (libvirt's "QEMU command-line passthrough").
pub(crate) const QEMU: &str = "http://libvirt.org/schemas/domain/qemu/1.0";

/// `-device vfio-pci,host=...` among arguments for QEMU itself: a host device that libvirt knows nothing of.
pub(super) fn qemu_arguments(domain: Node<'_, '_>, found: &mut Domain) -> Result<(), String> {
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
