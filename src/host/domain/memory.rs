// SPDX-License-Identifier: LGPL-2.1-or-later
//! Where a domain's memory comes from.

use super::needs::HugePages;
use super::xml::{child, clip, is, size};
use roxmltree::Node;

/// What `<memoryBacking>` says of huge pages.
pub(super) fn huge_pages(domain: Node<'_, '_>) -> Result<HugePages, String> {
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
