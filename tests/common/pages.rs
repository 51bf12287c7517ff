// SPDX-License-Identifier: LGPL-2.1-or-later
//! Huge pages of 2 MiB on NUMA nodes (`sim/pages.rs` says how many there can be).

use super::Tree;
use vfio_suite::host::pages;

const SIZE: u64 = 2 << 20;

/// Nodes with so many pages each, all free.
pub fn nodes(tree: &Tree, free: &[u64]) {
    let distances = |node: usize| {
        let each = (0..free.len()).map(|other| if other == node { "10" } else { "21" });
        each.collect::<Vec<_>>().join(" ")
    };
    for (node, free) in free.iter().enumerate() {
        pool(tree, Some(node as u32), *free);
        tree.write(&format!("sys/devices/system/node/node{node}/cpulist"), &format!("{node}\n"));
        tree.write(&format!("sys/devices/system/node/node{node}/distance"), &format!("{}\n", distances(node)));
    }
    pool(tree, None, free.iter().sum());
    for file in ["compact_memory", "drop_caches"] {
        tree.write(&format!("proc/sys/vm/{file}"), "");
    }
}

fn pool(tree: &Tree, node: Option<u32>, free: u64) {
    let directory = pages::directory(SIZE, node);
    for (name, number) in [("nr_hugepages", free), ("free_hugepages", free), ("surplus_hugepages", 0)] {
        tree.write(&format!("{directory}/{name}"), &format!("{number}\n"));
    }
}

/// How many there are on a node.
pub fn number(tree: &Tree, node: u32) -> u64 {
    tree.read(&path(node)).trim().parse().unwrap()
}

/// The attribute by which a node gets them.
pub fn path(node: u32) -> String {
    pages::number_path(SIZE, Some(node))
}
