// SPDX-License-Identifier: LGPL-2.1-or-later
//! CPUs: which are online, which are threads of one core, which share their last cache, and which are the small ones of a
//! hybrid processor.

use super::cpu_list::parse_list;
use super::numa::{self, Node};
use crate::root::Root;
use std::collections::BTreeMap;

/// One directory per CPU, beside files about all of them (Documentation/ABI/testing/sysfs-devices-system-cpu).
const CPUS: &str = "sys/devices/system/cpu";

/// The CPUs of a machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cpus {
    /// Those that are online, by number.
    pub online: Vec<Cpu>,
    /// Those that are there, online or not.
    pub present: Vec<u32>,
    /// The NUMA nodes; none where the kernel knows no NUMA.
    pub nodes: Vec<Node>,
}

/// A CPU as the kernel numbers them: one thread of a core.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cpu {
    /// Its number.
    pub number: u32,
    /// The online threads of its core, itself among them.
    pub core: Vec<u32>,
    /// The online CPUs that share its last cache (level 3), itself among them; where the kernel shows no such cache, those of
    /// its die.
    pub domain: Vec<u32>,
    /// Its NUMA node.
    pub node: Option<u32>,
    /// Whether it is one of the small cores of a hybrid processor (E core).
    pub efficient: bool,
}

impl Cpus {
    /// A CPU that is online.
    pub fn get(&self, number: u32) -> Option<&Cpu> {
        self.online.binary_search_by_key(&number, |cpu| cpu.number).ok().map(|at| &self.online[at])
    }

    /// The numbers of those that are online.
    pub fn numbers(&self) -> Vec<u32> {
        self.online.iter().map(|cpu| cpu.number).collect()
    }
}

/// Reads the CPUs. What the kernel does not show is the simplest that can be: a core of one thread, a die of the whole package.
pub fn read(root: &Root) -> Cpus {
    let text = |path: String| root.read_text(&path).ok();
    let all = |name: &str| text(format!("{CPUS}/{name}")).and_then(|list| parse_list(&list));
    let online = all("online").unwrap_or_default();
    let nodes = numa::nodes(root);
    // As the PMUs of a hybrid processor show them (arch/x86/events/intel/core.c, `intel_hybrid_get_attr_cpus`).
    let efficient = text("sys/devices/cpu_atom/cpus".to_owned()).and_then(|list| parse_list(&list)).unwrap_or_default();
    let mut packages: BTreeMap<(String, String), Vec<u32>> = BTreeMap::new();
    let place = |number: u32| {
        let id = |name: &str| text(format!("{CPUS}/cpu{number}/topology/{name}")).unwrap_or_default();
        (id("physical_package_id"), id("die_id"))
    };
    online.iter().for_each(|number| packages.entry(place(*number)).or_default().push(*number));
    let cpu = |number: u32| {
        let list = |path: &str| {
            let list = parse_list(&text(format!("{CPUS}/cpu{number}/{path}"))?)?;
            let list: Vec<u32> = list.into_iter().filter(|other| online.binary_search(other).is_ok()).collect();
            list.binary_search(&number).is_ok().then_some(list)
        };
        // Kernels before 5.3 have only the older name.
        let core = list("topology/core_cpus_list").or_else(|| list("topology/thread_siblings_list"));
        let die = || packages.get(&place(number)).cloned().unwrap_or_else(|| vec![number]);
        Cpu {
            number,
            core: core.unwrap_or_else(|| vec![number]),
            domain: list("cache/index3/shared_cpu_list").unwrap_or_else(die),
            node: nodes.iter().find(|node| node.cpus.binary_search(&number).is_ok()).map(|node| node.number),
            efficient: efficient.binary_search(&number).is_ok(),
        }
    };
    Cpus {
        online: online.iter().copied().map(cpu).collect(),
        present: all("present").unwrap_or_else(|| online.clone()),
        nodes,
    }
}

#[cfg(test)]
#[path = "cpus_tests.rs"]
mod tests;
