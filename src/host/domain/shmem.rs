// SPDX-License-Identifier: LGPL-2.1-or-later
//! Memory that a domain shares with programs of the host (formatdomain, "Shared memory device").

use super::needs::{Domain, SharedMemory};
use super::xml::{child, size, text};
use roxmltree::Node;

/// libvirt's size where none is given (`qemuBuildShmemBackendMemProps`, src/qemu/qemu_command.c).
const USUAL: u64 = 4 << 20;

/// `<shmem>`: QEMU opens `/dev/shm/NAME`, unless a server has the memory.
pub(super) fn shared_memory(device: Node<'_, '_>, found: &mut Domain) {
    let model = child(device, "model").and_then(|model| model.attribute("type"));
    let name = device.attribute("name").unwrap_or_default();
    if child(device, "server").is_some() || !matches!(model, Some("ivshmem-plain" | "ivshmem")) {
        return;
    }
    if name.is_empty() || name.contains('/') || matches!(name, "." | "..") {
        return;
    }
    let bytes = child(device, "size").and_then(|node| size(&text(node), node.attribute("unit").unwrap_or("b")));
    found.shared.push(SharedMemory { name: name.to_owned(), size: bytes.unwrap_or(USUAL) });
}
