// SPDX-License-Identifier: LGPL-2.1-or-later
//! The shared memory of Looking Glass (formatdomain, "Shared memory device"; looking-glass.io, "libvirt/QEMU").

use super::element::Element;
use super::mine::mark;
use super::{change, Look, Said};
use crate::config::{Handover, LookingGlass};
use crate::finding::codes;
use crate::host::domain::xml::{child, size, text};
use crate::host::libvirt::Version;

/// Since when libvirt has `ivshmem-plain`.
const PLAIN: Version = Version(1, 3, 3);

/// Its name, which is that of the file in `/dev/shm`.
const NAME: &str = "looking-glass";

/// The size for pictures of a width and a height, in MiB: two of them, 10 MiB, and up to the next power of two.
fn mebibytes(width: u32, height: u32, hdr: bool) -> u64 {
    let pixels = u64::from(width) * u64::from(height) * if hdr { 8 } else { 4 };
    (pixels * 2).div_ceil(1 << 20).saturating_add(10).next_power_of_two()
}

/// `looking-glass`.
pub(super) fn shared_memory(look: &Look<'_, '_>) -> Said {
    let all = look.devices("shmem");
    let there = all.iter().find(|shmem| shmem.attribute("name") == Some(NAME));
    let mut draft = look.draft();
    let (width, height, hdr) = match look.request.guest.definition.looking_glass {
        None => return Ok(None),
        Some(LookingGlass::No) => {
            there.into_iter().for_each(|shmem| draft.remove(*shmem));
            return Ok(change("looking-glass", "no memory is shared with the guest", PLAIN, draft));
        }
        Some(LookingGlass::Picture { width, height, hdr }) => (width, height, hdr),
    };
    if look.request.guest.handover == Handover::Steal {
        let text = "'looking-glass' shows the picture on the desktop, which handover = steal ends";
        return Err(look
            .refuse(codes::LOOKING_GLASS_WITHOUT_DESKTOP, text)
            .hint("use 'handover = hot' or 'bind = boot'"));
    }
    // The node of the module kvmfr serves the same client in the place of the file.
    let by_module = |node: &roxmltree::Node<'_, '_>| node.attribute("value").is_some_and(|v| v.contains("/dev/kvmfr"));
    if look.arguments().iter().any(by_module) {
        return Ok(None);
    }
    let size_needed = mebibytes(width, height, hdr);
    let why = format!("{size_needed} MiB of shared memory, in which the host finds the picture of {width}x{height}");
    let element = Element::new("shmem")
        .with("name", NAME)
        .child(Element::new("model").with("type", "ivshmem-plain"))
        .child(Element::new("size").with("unit", "M").text(size_needed))
        .child(mark(NAME));
    match there {
        None => {
            // The guest's program takes the first one.
            match all.first() {
                Some(first) => draft.insert_before(*first, &element),
                None => look.add(&mut draft, element),
            }
        }
        Some(there) => match child(*there, "size") {
            Some(node) => {
                let now = size(&text(node), node.attribute("unit").unwrap_or("b"));
                // A larger one that somebody chose does no harm.
                if now.is_none_or(|now| now >> 20 < size_needed) {
                    draft.set(node, "unit", "M");
                    draft.set_text(node, &size_needed.to_string());
                }
            }
            None => draft.insert(*there, Element::new("size").with("unit", "M").text(size_needed)),
        },
    }
    Ok(change("looking-glass", why, PLAIN, draft))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of Looking Glass's documentation ("Determining memory").
    #[test]
    fn sizes_are_those_of_the_documentation() {
        for (width, height, hdr, expected) in [
            (1920, 1080, false, 32),
            (1920, 1200, false, 32),
            (1920, 1080, true, 64),
            (2560, 1440, false, 64),
            (2560, 1440, true, 128),
            (3840, 2160, false, 128),
            (3840, 2160, true, 256),
        ] {
            assert_eq!(mebibytes(width, height, hdr), expected, "{width}x{height} {hdr}");
        }
    }
}
