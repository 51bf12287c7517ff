// SPDX-License-Identifier: LGPL-2.1-or-later
//! How much memory the guest has, and of which pages (formatdomain, "Memory Allocation", "Memory Backing").

use super::element::Element;
use super::{change, Look, Said, ALWAYS};
use crate::config::Pages;
use crate::finding::codes;
use crate::host::domain::xml::{child, size as bytes, text};
use crate::host::libvirt::Version;
use roxmltree::Node;

const KIB: u64 = 1024;

/// What an element with a number and a unit means, in bytes.
fn amount(node: Node<'_, '_>) -> Option<u64> {
    bytes(&text(node), node.attribute("unit").unwrap_or("KiB"))
}

/// The size of the pages of which the guest's memory is to be made, in bytes.
fn page(look: &Look<'_, '_>) -> Option<u64> {
    match look.request.guest.definition.hugepages? {
        Pages::Size(size) => Some(size),
        Pages::No => None,
    }
}

/// `memory`.
pub(super) fn size(look: &Look<'_, '_>) -> Said {
    let definition = &look.request.guest.definition;
    let there = look.part("memory").and_then(amount);
    let page = page(look).unwrap_or(KIB);
    // QEMU ends where a memory of huge pages is not a whole number of them.
    let Some(desired) = definition.memory.or(there.filter(|there| there % page != 0)) else { return Ok(None) };
    let desired = desired.next_multiple_of(page);
    let current = look.part("currentMemory").and_then(amount);
    if there == Some(desired) && current.is_none_or(|current| current == desired) {
        return Ok(None);
    }
    if look.part("cpu").and_then(|cpu| child(cpu, "numa")).is_some() {
        let text = "'memory' cannot be changed: the domain divides it among NUMA cells of its own";
        return Err(look.refuse(codes::DEFINITION_UNCLEAR, text).hint("change the cells by hand, or remove 'memory'"));
    }
    if look.part("maxMemory").is_some() {
        let text = "'memory' cannot be changed: the domain has slots for more memory (maxMemory)";
        return Err(look.refuse(codes::DEFINITION_UNCLEAR, text).hint("remove maxMemory by hand, or remove 'memory'"));
    }
    let mut draft = look.draft();
    for name in ["memory", "currentMemory"] {
        match look.part(name) {
            Some(node) if amount(node) != Some(desired) => {
                draft.set(node, "unit", "KiB");
                draft.set_text(node, &(desired / KIB).to_string());
            }
            Some(_) => {}
            None if name == "memory" => {
                let element = Element::new(name).with("unit", "KiB").text(desired / KIB);
                draft.insert(look.domain, element);
            }
            None => {}
        }
    }
    let key = if definition.memory.is_some() { "memory" } else { "hugepages" };
    let why = format!("{} MiB, all of it from the start: a card's guest cannot give any back", desired >> 20);
    Ok(change(key, why, ALWAYS, draft))
}

/// `hugepages`.
pub(super) fn huge_pages(look: &Look<'_, '_>) -> Said {
    let mut draft = look.draft();
    let backing = look.part("memoryBacking");
    let there = backing.and_then(|backing| child(backing, "hugepages"));
    let size = match look.request.guest.definition.hugepages {
        None => return Ok(None),
        Some(Pages::No) => {
            there.into_iter().for_each(|pages| draft.remove(pages));
            return Ok(change("hugepages", "memory in pages of the usual size", ALWAYS, draft));
        }
        Some(Pages::Size(size)) => size,
    };
    let page = Element::new("page").with("size", size / KIB).with("unit", "KiB");
    let pages = Element::new("hugepages").child(page);
    let source = || Element::new("source").with("type", "memfd");
    let access = || Element::new("access").with("mode", "shared");
    let Some(backing) = backing else {
        let all = Element::new("memoryBacking").children([pages, source(), access()]);
        draft.insert(look.domain, all);
        return Ok(change("hugepages", why(size), MEMFD, draft));
    };
    match there {
        Some(there) if is_of(there, size) => {}
        Some(there) => draft.replace(there, &pages),
        None => draft.insert(backing, pages),
    }
    match child(backing, "source") {
        Some(there) => draft.set(there, "type", "memfd"),
        None => draft.insert(backing, source()),
    }
    match child(backing, "access") {
        Some(there) => draft.set(there, "mode", "shared"),
        None => draft.insert(backing, access()),
    }
    Ok(change("hugepages", why(size), MEMFD, draft))
}

/// Since when libvirt has memory of memfd.
const MEMFD: Version = Version(4, 10, 0);

fn why(size: u64) -> String {
    let (amount, unit) = if size >= 1 << 30 { (size >> 30, "GiB") } else { (size >> 20, "MiB") };
    format!("memory in pages of {amount} {unit}, by memfd, which needs no mount of hugetlbfs")
}

/// Whether all memory is in pages of this size.
fn is_of(pages: Node<'_, '_>, size: u64) -> bool {
    let mut all = pages.children().filter(Node::is_element);
    let (first, more) = (all.next(), all.next());
    let of_size = |page: Node<'_, '_>| {
        let unit = page.attribute("unit").unwrap_or("KiB");
        page.attribute("nodeset").is_none() && bytes(page.attribute("size").unwrap_or_default(), unit) == Some(size)
    };
    first.is_some_and(of_size) && more.is_none()
}
