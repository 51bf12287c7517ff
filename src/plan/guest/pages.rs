// SPDX-License-Identifier: LGPL-2.1-or-later
//! Huge pages for a guest's memory: whether they can come, and the step that has them come.
//!
//! The step stands before the desktop where that is not ended: then a start that fails for lack of pages has cost nobody
//! anything. Where the desktop is ended it stands there too and takes what comes, and once more after the desktop, whose memory
//! is free by then: only that one fails.

use super::checks::edit;
use super::{DomainState, GuestContext, GuestStep};
use crate::config::Guest;
use crate::finding::{codes, Finding};
use crate::host::domain::{Domain, HugePages};
use crate::host::numa;
use crate::plan::amount::amount;

/// Pages of this size and above are made of memory that is together from the start, of which there is none after a while.
const GIGANTIC: u64 = 1 << 30;

/// What a domain needs of huge pages that are not there yet.
struct Missing {
    /// The size of a page, in bytes.
    size: u64,
    /// How many must be free.
    count: u64,
    /// How many are.
    free: u64,
    /// The nodes on which they may be, the best first; none where the kernel knows no NUMA.
    nodes: Vec<u32>,
}

/// The size of a domain's huge pages, in bytes, if all of its memory is in pages of one size.
pub(super) fn size(domain: &Domain, context: &GuestContext) -> Option<u64> {
    match domain.huge_pages {
        HugePages::No | HugePages::Mixed => None,
        HugePages::Default => context.pages.default,
        HugePages::Size(bytes) => Some(bytes),
    }
}

fn domain(context: &GuestContext) -> Option<&Domain> {
    match &context.domain {
        Some(DomainState::Known { domain, .. }) => Some(domain),
        _ => None,
    }
}

fn missing(context: &GuestContext) -> Option<Missing> {
    let domain = domain(context)?;
    let size = size(domain, context).filter(|size| *size > 0)?;
    let all = context.pages.pool(size, None)?;
    let nodes = nodes(domain, context);
    let of_node = |node: &u32| context.pages.pool(size, Some(*node)).map_or(0, |pool| pool.free);
    let free = if nodes.is_empty() { all.usable() } else { all.usable().min(nodes.iter().map(of_node).sum()) };
    let count = domain.memory.div_ceil(size);
    (free < count).then_some(Missing { size, count, free, nodes })
}

/// The nodes that a domain's pages may be on: those that it names, else all; nearest to the card first.
fn nodes(domain: &Domain, context: &GuestContext) -> Vec<u32> {
    let is_meant = |node: &u32| domain.nodes.is_empty() || domain.nodes.contains(node);
    let mut nodes: Vec<u32> = context.nodes.iter().map(|node| node.number).filter(is_meant).collect();
    if let Some(card) = context.card_node {
        nodes.sort_by_key(|node| numa::distance(&context.nodes, card, *node));
    }
    nodes
}

/// Why a domain's pages cannot come (an error), or will only if something else ends (a warning). `ends`: sessions end for it.
pub(super) fn check(guest: &Guest, ends: bool, context: &GuestContext) -> Option<Finding> {
    let domain = domain(context)?;
    let needed = size(domain, context)?;
    let name = format!("domain {} needs {} in huge pages of {}", guest.domain, amount(domain.memory), amount(needed));
    let finding = |text: String| Finding::guest(guest, codes::HUGE_PAGES_NOT_FREE, text);
    if context.pages.known() && !context.pages.has(needed) {
        let text = format!("{name}, which the running kernel does not have");
        return Some(finding(text).hint(edit(guest)));
    }
    let missing = missing(context)?;
    let (free, more) = (missing.free.saturating_mul(needed), (missing.count - missing.free).saturating_mul(needed));
    let name = format!("{name}; {} are free", amount(free));
    let memory = &context.memory;
    let in_pages = context.pages.bytes();
    if !guest.before.is_empty() && (more > memory.available || needed >= GIGANTIC) {
        // Often a command reserves them just before the guest starts.
        return Some(finding(name).hint("it starts only if a 'before' command reserves the rest").warning());
    }
    if memory.total > 0 && more > memory.total.saturating_sub(in_pages) {
        let text = format!("{name}, and this machine has {} for more", amount(memory.total.saturating_sub(in_pages)));
        return Some(finding(text).hint(edit(guest)));
    }
    if memory.available > 0 && more > memory.available {
        let text = format!("{name}, and {} of memory are available for the rest", amount(memory.available));
        return Some(if ends {
            finding(text).hint("it starts only if the end of the desktop frees the rest").warning()
        } else {
            finding(text).hint(format!("end programs that use memory, or {}", edit(guest)))
        });
    }
    (needed >= GIGANTIC).then(|| {
        let words = format!("hugepagesz={}G hugepages={}", needed >> 30, missing.count);
        let text = format!("{name}, and a machine that has run for a while seldom has memory for more");
        finding(text).hint(format!("if it does not start, boot with '{words}'")).warning()
    })
}

/// The step that has the pages come that are not free yet. `later`: the step stands before the desktop's end, after which
/// another one follows.
pub(super) fn step(context: &GuestContext, later: bool) -> Option<GuestStep> {
    let Missing { size, count, nodes, .. } = missing(context)?;
    Some(GuestStep::HugePages { size, count, nodes, later })
}

#[cfg(test)]
#[path = "pages_tests.rs"]
mod tests;
