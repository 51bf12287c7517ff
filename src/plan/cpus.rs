// SPDX-License-Identifier: LGPL-2.1-or-later
//! Which CPUs a guest gets: whole cores of one last-level cache, near its card and away from CPU 0, which the host's kernel
//! likes best.

use crate::config::Cpus as Wish;
use crate::host::cpu_list::show_list;
use crate::host::cpus::{Cpu, Cpus};
use crate::host::numa;
use std::cmp::Reverse;

/// The CPUs of a guest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chosen {
    /// The host's CPU of each virtual one, in their order: the threads of a core follow each other.
    pub pinned: Vec<u32>,
    /// How many threads each core of the guest has.
    pub threads: u32,
    /// The CPUs that are left: for QEMU's own threads, and for the host. All of them if none is left.
    pub others: Vec<u32>,
    /// How many last-level caches the CPUs lie in.
    pub caches: usize,
}

impl Chosen {
    /// How many cores the guest has.
    pub fn cores(&self) -> usize {
        self.pinned.len() / (self.threads.max(1) as usize)
    }
}

/// Why no CPUs can be chosen: the rest of a sentence that begins with the key and its value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotChosen {
    /// The machine has a single core, or the kernel does not show any.
    #[error("finds no core that the host could spare: this machine has {cores}")]
    NoneToSpare {
        /// How many it has.
        cores: usize,
    },
    /// The number is not one of whole cores.
    #[error("is not a number of whole cores: the cores here have {threads} threads each; write {less} or {more}")]
    HalfCore {
        /// Threads of a core.
        threads: u32,
        /// The next smaller number that is possible.
        less: u32,
        /// The next larger one.
        more: u32,
    },
    /// There are not so many.
    #[error("is more than the {most} CPUs that a guest can get here{}", if *.small > 0 { format!(" without the {small} efficient cores; name CPUs to use those") } else { String::new() })]
    TooMany {
        /// How many there are at most, with one core left to the host.
        most: usize,
        /// How many small cores were left out.
        small: usize,
    },
    /// A CPU of the list is not there.
    #[error("names CPU {}, which this machine does not have (it has {})", show_list(missing), show_list(present))]
    Missing {
        /// What is not there.
        missing: Vec<u32>,
        /// What is.
        present: Vec<u32>,
    },
    /// A CPU of the list is there and switched off.
    #[error("names CPU {}, which is offline (online are {})", show_list(offline), show_list(online))]
    Offline {
        /// What is offline.
        offline: Vec<u32>,
        /// What is not.
        online: Vec<u32>,
    },
    /// The list is empty.
    #[error("names no CPU")]
    Empty,
}

/// A core: its threads, and where it is.
#[derive(Debug, Clone)]
struct Core<'c> {
    threads: Vec<u32>,
    of: &'c Cpu,
}

/// Chooses the CPUs of a guest whose card is on this NUMA node, if that is known.
///
/// Nearness comes before everything: a last-level cache on the card's node that holds CPU 0 is better than one on another node,
/// from which all of the guest's memory would be far. Among those that are equally near, one without CPU 0 comes first, then
/// the one with most cores. Within a cache cores are taken from its end, so that CPU 0 and what follows it stay with the host.
///
/// # Errors
/// What is asked for cannot be had.
pub fn choose(wish: &Wish, cpus: &Cpus, node: Option<u32>) -> Result<Chosen, NotChosen> {
    match wish {
        Wish::List(list) => listed(list, cpus),
        Wish::Auto => {
            let (cores, small) = sorted(cpus, node);
            let half = cpus.online.len() / 2;
            let first = cores.first().map(|core| core.of.domain.clone()).unwrap_or_default();
            let all = cores.len() + small;
            let mut taken: Vec<Core<'_>> = Vec::new();
            for core in cores.into_iter().filter(|core| core.of.domain == first && !core.threads.contains(&0)) {
                let threads: usize = taken.iter().map(|core| core.threads.len()).sum();
                if threads + core.threads.len() <= half {
                    taken.push(core);
                }
            }
            if taken.is_empty() {
                return Err(NotChosen::NoneToSpare { cores: all });
            }
            Ok(chosen(taken, cpus))
        }
        Wish::Number(count) => counted(*count, cpus, node),
    }
}

fn counted(count: u32, cpus: &Cpus, node: Option<u32>) -> Result<Chosen, NotChosen> {
    let (cores, small) = sorted(cpus, node);
    if count == 0 {
        return Err(NotChosen::Empty);
    }
    let threads = cores.iter().map(|core| core.threads.len() as u32).max().unwrap_or(1);
    let all: usize = cores.iter().map(|core| core.threads.len()).sum();
    // One core stays with the host; the small ones are enough for it.
    let kept = if small > 0 { 0 } else { cores.last().map_or(0, |core| core.threads.len()) };
    let most = all.saturating_sub(kept);
    if count as usize > most {
        return Err(NotChosen::TooMany { most, small });
    }
    let mut left = count as usize;
    let mut taken = Vec::new();
    // A core that has lost a thread (offline) is taken where it fits, and passed over where it does not.
    for core in cores {
        if core.threads.len() <= left {
            left -= core.threads.len();
            taken.push(core);
        }
    }
    if left > 0 {
        let less = (count - count % threads).max(threads);
        let more = less + threads;
        return Err(NotChosen::HalfCore { threads, less, more });
    }
    Ok(chosen(taken, cpus))
}

fn listed(list: &[u32], cpus: &Cpus) -> Result<Chosen, NotChosen> {
    let without = |list: &[u32], known: &[u32]| -> Vec<u32> {
        list.iter().copied().filter(|cpu| known.binary_search(cpu).is_err()).collect()
    };
    let missing = without(list, &cpus.present);
    if !missing.is_empty() {
        return Err(NotChosen::Missing { missing, present: cpus.present.clone() });
    }
    let offline = without(list, &cpus.numbers());
    if !offline.is_empty() {
        return Err(NotChosen::Offline { offline, online: cpus.numbers() });
    }
    if list.is_empty() {
        return Err(NotChosen::Empty);
    }
    let asked = |core: Core<'_>| {
        let threads: Vec<u32> = core.threads.iter().copied().filter(|cpu| list.contains(cpu)).collect();
        (!threads.is_empty()).then_some(threads)
    };
    let of_lists = |(threads, of)| Core { threads, of };
    let taken =
        cores(cpus).into_iter().filter_map(|core| Some((asked(core.clone())?, core.of))).map(of_lists).collect();
    Ok(chosen(taken, cpus))
}

/// The guest's CPUs from the cores that were taken.
fn chosen(mut taken: Vec<Core<'_>>, cpus: &Cpus) -> Chosen {
    taken.sort_by_key(|core| core.threads.first().copied());
    // A guest's cores are all alike: where the host's are not, or one lends a thread only, each CPU is a core.
    let first = taken.first().map_or(1, |core| core.threads.len());
    let alike = taken.iter().all(|core| core.threads.len() == first && core.of.core.len() == first);
    let mut caches: Vec<&[u32]> = taken.iter().map(|core| core.of.domain.as_slice()).collect();
    caches.sort_unstable();
    caches.dedup();
    let caches = caches.len();
    let pinned: Vec<u32> = taken.into_iter().flat_map(|core| core.threads).collect();
    let mut sorted_pins = pinned.clone();
    sorted_pins.sort_unstable();
    let mut others: Vec<u32> =
        cpus.numbers().into_iter().filter(|cpu| sorted_pins.binary_search(cpu).is_err()).collect();
    if others.is_empty() {
        others = cpus.numbers();
    }
    Chosen { pinned, threads: if alike { first as u32 } else { 1 }, others, caches }
}

/// The cores of a machine, each once, by their first thread.
fn cores(cpus: &Cpus) -> Vec<Core<'_>> {
    let first = |cpu: &&Cpu| cpu.core.first() == Some(&cpu.number);
    cpus.online.iter().filter(first).map(|cpu| Core { threads: cpu.core.clone(), of: cpu }).collect()
}

/// The cores that a guest may get, the best first, and how many small ones were left out.
fn sorted(cpus: &Cpus, node: Option<u32>) -> (Vec<Core<'_>>, usize) {
    let (small, mut large): (Vec<_>, Vec<_>) = cores(cpus).into_iter().partition(|core| core.of.efficient);
    let far = |core: &Core<'_>| match (node, core.of.node) {
        (Some(card), Some(its)) => numa::distance(&cpus.nodes, card, its),
        _ => 0,
    };
    large.sort_by_cached_key(|core| {
        let domain = &core.of.domain;
        let place = (far(core), domain.first() == Some(&0), Reverse(domain.len()), domain.first().copied());
        (place, core.threads.contains(&0), Reverse(core.threads.first().copied()))
    });
    (large, small.len())
}

#[cfg(test)]
#[path = "cpus_tests.rs"]
mod tests;
