// SPDX-License-Identifier: LGPL-2.1-or-later
//! Huge pages. `.kernel/huge-pages` has a line for each pool, `KIB NODE MOST [COMPACTED [DROPPED]]`: how many there can be on a
//! node (`-` on a machine without nodes), how many once memory was compacted, and how many once caches were dropped as well. A
//! pool without a line has memory for all that are asked for. `.kernel/compacted` and `.kernel/dropped` say that this was done.
//!
//! As `nr_hugepages_store_common()` and `set_max_huge_pages()` of mm/hugetlb.c do it: fewer than asked for is no error, and what
//! is in use when fewer are asked for becomes surplus.

use crate::parse::line;
use crate::tree::Tree;
use rustix::io::Errno;
use std::io;
use vfio_suite::host::domain::{self, HugePages};
use vfio_suite::host::pages::{self, Pool};

const NODES: &str = "sys/devices/system/node";

/// A write to `nr_hugepages`.
pub(crate) fn store(tree: &Tree<'_>, attribute: &str, value: &str) -> io::Result<()> {
    let asked: u64 = line(value).parse().map_err(|_| Errno::INVAL)?;
    let parts: Vec<&str> = attribute.split('/').collect();
    let kib = parts.iter().find_map(|part| part.strip_prefix("hugepages-")?.strip_suffix("kB")).ok_or(Errno::NOENT)?;
    let node =
        attribute.strip_prefix(NODES).and_then(|rest| rest.split('/').nth(1)?.strip_prefix("node")?.parse().ok());
    let size = kib.parse::<u64>().map_err(|_| Errno::NOENT)? * 1024;
    match node {
        Some(_) => set(tree, size, node, asked)?,
        // Without a node they come from all in turn; here from the first that has memory.
        None => {
            let nodes = nodes(tree);
            let others = |but: u32| -> u64 {
                nodes.iter().filter(|n| **n != but).filter_map(|n| pages::number(tree.root, size, Some(*n))).sum()
            };
            if nodes.is_empty() {
                set(tree, size, None, asked)?;
            }
            for node in &nodes {
                set(tree, size, Some(*node), asked.saturating_sub(others(*node)))?;
            }
        }
    }
    sum(tree, size)
}

/// A write to what compacts memory or drops caches.
pub(crate) fn help(tree: &Tree<'_>, what: &str) -> io::Result<()> {
    tree.put(&format!(".kernel/{what}"), "")
}

fn nodes(tree: &Tree<'_>) -> Vec<u32> {
    tree.list(NODES).iter().filter_map(|name| name.strip_prefix("node")?.parse().ok()).collect()
}

/// How many pages there can be in a pool.
fn most(tree: &Tree<'_>, size: u64, node: Option<u32>) -> io::Result<u64> {
    let node = node.map_or("-".to_owned(), |node| node.to_string());
    let kib = (size / 1024).to_string();
    let pools = tree.facts("huge-pages")?;
    let Some(words) = pools.iter().find(|words| words[0] == kib && words.get(1) == Some(&node)) else {
        return Ok(u64::MAX);
    };
    let helped =
        ["compacted", "dropped"].iter().take_while(|fact| tree.root.exists(&format!(".kernel/{fact}"))).count();
    let word = words.get(2 + helped).or(words.last()).map(|word| word.parse());
    word.and_then(Result::ok).ok_or_else(|| Errno::INVAL.into())
}

fn set(tree: &Tree<'_>, size: u64, node: Option<u32>, asked: u64) -> io::Result<()> {
    let pool = pages::pool(tree.root, size, node).ok_or(Errno::NOENT)?;
    let used = pool.total - pool.free;
    let own = pool.total - pool.surplus;
    let own = if asked > own { asked.min(most(tree, size, node)?.max(own)) } else { asked };
    let total = own.max(used);
    write(tree, &Pool { total, free: total - used, surplus: total - own, ..pool })
}

fn write(tree: &Tree<'_>, pool: &Pool) -> io::Result<()> {
    let directory = pages::directory(pool.size, pool.node);
    for (name, number) in
        [("nr_hugepages", pool.total), ("free_hugepages", pool.free), ("surplus_hugepages", pool.surplus)]
    {
        tree.put(&format!("{directory}/{name}"), &format!("{number}\n"))?;
    }
    Ok(())
}

/// What there is of all nodes together.
fn sum(tree: &Tree<'_>, size: u64) -> io::Result<()> {
    let nodes = nodes(tree);
    let Some(all) = pages::pool(tree.root, size, None).filter(|_| !nodes.is_empty()) else { return Ok(()) };
    let mut all = Pool { total: 0, free: 0, surplus: 0, ..all };
    for pool in nodes.iter().filter_map(|node| pages::pool(tree.root, size, Some(*node))) {
        all = Pool {
            total: all.total + pool.total,
            free: all.free + pool.free,
            surplus: all.surplus + pool.surplus,
            ..all
        };
    }
    write(tree, &all)
}

/// How many huge pages of which size a domain's memory takes; nothing for one that takes none.
fn taken(tree: &Tree<'_>, xml: &str) -> Option<(u64, u64)> {
    let domain = domain::parse(xml).ok()?;
    let size = match domain.huge_pages {
        HugePages::Size(size) => size,
        HugePages::Default => pages::read(tree.root).default?,
        HugePages::No | HugePages::Mixed => return None,
    };
    Some((size, domain.memory.div_ceil(size)))
}

/// QEMU takes all of its memory at its start; whether it is there.
pub(crate) fn take(tree: &Tree<'_>, xml: &str) -> io::Result<bool> {
    let Some((size, count)) = taken(tree, xml) else { return Ok(true) };
    if pages::pool(tree.root, size, None).is_none_or(|pool| pool.usable() < count) {
        return Ok(false);
    }
    spread(tree, size, count, |pool, left| {
        let now = pool.free.min(left);
        (Pool { free: pool.free - now, ..pool }, now)
    })?;
    Ok(true)
}

/// The kernel has the pages of a process that has ended; those that are too many by now are gone.
pub(crate) fn leave(tree: &Tree<'_>, xml: &str) -> io::Result<()> {
    let Some((size, count)) = taken(tree, xml) else { return Ok(()) };
    spread(tree, size, count, |pool, left| {
        let now = (pool.total - pool.free).min(left);
        let gone = now.min(pool.surplus);
        let pool =
            Pool { total: pool.total - gone, free: pool.free + now - gone, surplus: pool.surplus - gone, ..pool };
        (pool, now)
    })
}

/// Changes pools in turn until so many pages were dealt with.
fn spread(tree: &Tree<'_>, size: u64, count: u64, change: impl Fn(Pool, u64) -> (Pool, u64)) -> io::Result<()> {
    let mut left = count;
    let nodes = nodes(tree);
    let places = if nodes.is_empty() { vec![None] } else { nodes.into_iter().map(Some).collect() };
    for pool in places.into_iter().filter_map(|place| pages::pool(tree.root, size, place)) {
        let (pool, done) = change(pool, left);
        write(tree, &pool)?;
        left -= done;
    }
    sum(tree, size)
}
