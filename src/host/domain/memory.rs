// SPDX-License-Identifier: LGPL-2.1-or-later
//! Where a domain's memory comes from.

use super::limits::MOST_BOUND;
use super::needs::{Domain, HugePages};
use super::xml::{attribute, child, clip, is, number_set, size, text};
use roxmltree::Node;

/// What is said of a domain's memory: how much, from what pages, from which nodes.
pub(super) fn memory(domain: Node<'_, '_>, found: &mut Domain) -> Result<(), String> {
    if let Some(memory) = child(domain, "memory") {
        let value = text(memory);
        found.memory = size(&value, memory.attribute("unit").unwrap_or("KiB"))
            .ok_or_else(|| format!("its XML has a memory of '{}', which is not a size", clip(&value)))?;
    }
    found.nodes = nodes(domain)?;
    let backing = child(domain, "memoryBacking");
    let Some(pages) = backing.and_then(|backing| child(backing, "hugepages")) else { return Ok(()) };
    let of_memfd = backing.and_then(|backing| child(backing, "source")).and_then(|source| source.attribute("type"));
    let pages: Vec<Node<'_, '_>> = pages.children().filter(|n| is(*n, "page")).collect();
    let sizes = pages.iter().map(|page| page_size(*page)).collect::<Result<Vec<u64>, String>>()?;
    found.huge_pages = match (&pages[..], &sizes[..]) {
        ([], _) => HugePages::Default,
        ([page], [bytes]) if page.attribute("nodeset").is_none() => HugePages::Size(*bytes),
        _ => HugePages::Mixed,
    };
    if of_memfd != Some("memfd") {
        // Pages of 4 KiB may be named too, and come from nowhere else than all memory.
        found.mounted_pages = if sizes.is_empty() { vec![0] } else { sizes };
        found.mounted_pages.retain(|size| *size != 4096);
    }
    Ok(())
}

fn page_size(page: Node<'_, '_>) -> Result<u64, String> {
    let value = page.attribute("size").unwrap_or_default();
    let bytes = size(value, page.attribute("unit").unwrap_or("KiB")).filter(|bytes| *bytes > 0);
    bytes.ok_or_else(|| format!("its XML has huge pages of '{}', which is not a size", clip(value)))
}

/// The nodes of the host that `<numatune>` names.
fn nodes(domain: Node<'_, '_>) -> Result<Vec<u32>, String> {
    let parts = child(domain, "numatune").into_iter().flat_map(|tune| tune.children());
    let named: Vec<String> = parts
        .filter(|n| is(*n, "memory") || is(*n, "memnode"))
        .filter_map(|part| attribute(part, "nodeset"))
        .take(MOST_BOUND)
        .collect();
    let mut all = Vec::new();
    for nodes in named {
        let nodes = number_set(&nodes)
            .ok_or_else(|| format!("its XML has a nodeset of '{}', which is not a list of nodes", clip(&nodes)))?;
        all.extend(nodes);
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}
