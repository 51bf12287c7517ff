// SPDX-License-Identifier: LGPL-2.1-or-later
//! NUMA nodes: their CPUs, how far they are from each other, and which of them a function is on.

use super::cpu_list::parse_list;
use super::function::attribute;
use crate::pci::Address;
use crate::root::Root;

/// One directory per node, beside files about all of them.
pub const NODES: &str = "sys/devices/system/node";

/// A NUMA node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    /// Its number.
    pub number: u32,
    /// Its CPUs, online ones only (`drivers/base/node.c`, `cpulist_read`); a node may have none.
    pub cpus: Vec<u32>,
    /// How far it is from each node, in the order of the nodes: 10 from itself (`node_read_distance`).
    pub distances: Vec<u32>,
}

/// The nodes of the machine by number; none where the kernel knows no NUMA.
pub fn nodes(root: &Root) -> Vec<Node> {
    let numbers = |name: String| name.strip_prefix("node")?.parse().ok();
    let mut numbers: Vec<u32> = root.list(NODES).unwrap_or_default().into_iter().filter_map(numbers).collect();
    numbers.sort_unstable();
    let node = |number: u32| {
        let text = |name: &str| root.read_text(&format!("{NODES}/node{number}/{name}")).unwrap_or_default();
        Node {
            number,
            cpus: parse_list(&text("cpulist")).unwrap_or_default(),
            distances: text("distance").split_ascii_whitespace().map_while(|word| word.parse().ok()).collect(),
        }
    };
    numbers.into_iter().map(node).collect()
}

/// The node that a function is on. Where the firmware does not say, the kernel shows -1: `None`.
pub fn of_function(root: &Root, function: Address) -> Option<u32> {
    root.read_text(&attribute(function, "numa_node")).ok()?.parse().ok()
}

/// How far two nodes are from each other. A distance that the kernel does not tell counts as the one that it has for "another
/// node" (`REMOTE_DISTANCE`, include/linux/topology.h).
pub fn distance(nodes: &[Node], from: u32, to: u32) -> u32 {
    const LOCAL: u32 = 10;
    const REMOTE: u32 = 20;
    let told = || {
        let place = nodes.iter().position(|node| node.number == to)?;
        nodes.iter().find(|node| node.number == from)?.distances.get(place).copied()
    };
    told().unwrap_or(if from == to { LOCAL } else { REMOTE })
}
