// SPDX-License-Identifier: LGPL-2.1-or-later
//! Which huge pages a guest's memory needs, on machines with more and less memory.

use super::*;
use crate::finding::{codes, Severity};
use crate::host::numa::Node;
use crate::host::pages::{HugePagePools, Pool};
use crate::plan::guest::tests::{machine, Case};
use crate::plan::guest::Memory;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// A guest of 8 GiB in pages of `size`, on a machine of 32 GiB of which 20 are available, with these pools.
fn case(guest: &str, size: HugePages, pools: &[Pool]) -> Case {
    let text =
        format!("[gpu big]\ndevice = 0000:09:00.0\nbind = guest\n[guest win10]\ngpus = big\nhandover = hot\n{guest}");
    let mut case = Case::new(&text, machine());
    case.domain(&[("0000:09:00.0", true), ("0000:09:00.1", true)]);
    let Some(DomainState::Known { domain, .. }) = &mut case.context.domain else { unreachable!() };
    (domain.memory, domain.huge_pages) = (8 * GIB, size);
    case.context.memory = Memory { total: 32 * GIB, available: 20 * GIB };
    case.context.pages = HugePagePools { default: Some(2 * MIB), pools: pools.to_vec(), mounts: Vec::new() };
    case
}

fn pool(size: u64, node: Option<u32>, total: u64, free: u64) -> Pool {
    Pool { size, node, total, free, ..Pool::default() }
}

/// What the plan says of huge pages, and its steps for them.
fn planned(case: &Case) -> (Vec<String>, Vec<GuestStep>) {
    let plan = case.planned();
    let of_pages = |finding: &&Finding| finding.code == codes::HUGE_PAGES_NOT_FREE;
    let said = plan.refusals.iter().chain(&plan.warnings).filter(of_pages);
    let word = |severity| if severity == Severity::Error { "refused" } else { "warned" };
    let said = said
        .map(|finding| {
            format!("{}: {}", word(finding.severity), finding.line().trim_end_matches(" [huge-pages-not-free]"))
        })
        .collect();
    let steps = plan.steps.into_iter().filter(|step| matches!(step, GuestStep::HugePages { .. })).collect();
    (said, steps)
}

#[test]
fn what_is_missing_is_made_where_the_card_is() {
    let two = [pool(2 * MIB, None, 10, 10), pool(2 * MIB, Some(0), 10, 10), pool(2 * MIB, Some(1), 0, 0)];
    let mut case = case("", HugePages::Default, &two);
    let node =
        |number, cpus: &[u32], distances: &[u32]| Node { number, cpus: cpus.to_vec(), distances: distances.to_vec() };
    case.context.nodes = vec![node(0, &[0], &[10, 21]), node(1, &[1], &[21, 10])];
    case.context.card_node = Some(1);
    let step = |nodes: &[u32]| GuestStep::HugePages { size: 2 * MIB, count: 4096, nodes: nodes.to_vec(), later: false };
    assert_eq!(planned(&case), (vec![], vec![step(&[1, 0])]));
    assert_eq!(step(&[]).to_string(), "have 4096 huge pages of 2 MiB free");
    case.context.card_node = None;
    assert_eq!(planned(&case), (vec![], vec![step(&[0, 1])]));
    // What <numatune> names counts more than where the card is.
    case.context.card_node = Some(1);
    let Some(DomainState::Known { domain, .. }) = &mut case.context.domain else { unreachable!() };
    domain.nodes = vec![0];
    assert_eq!(planned(&case), (vec![], vec![step(&[0])]));
}

#[test]
fn what_is_free_is_not_made() {
    let case = case("", HugePages::Size(2 * MIB), &[pool(2 * MIB, None, 5000, 4096)]);
    assert_eq!(planned(&case), (vec![], vec![]));
    let reserved = Pool { reserved: 1, ..pool(2 * MIB, None, 5000, 4096) };
    let (said, steps) = planned(&self::case("", HugePages::Size(2 * MIB), &[reserved]));
    assert_eq!((said.len(), steps.len()), (0, 1), "somebody has mapped one and will touch it");
}

#[test]
fn pages_that_cannot_come_are_refused_before_anything_is_done() {
    let needs = "/etc/vfio.conf:4: [guest win10] domain win10 needs 8 GiB in huge pages of";
    let edit = "change the domain ('virsh -c qemu:///system edit win10')";
    let two = HugePages::Size(2 * MIB);
    let (said, steps) = planned(&case("", HugePages::Size(16 * MIB), &[pool(2 * MIB, None, 0, 0)]));
    assert_eq!(said, [format!("refused: {needs} 16 MiB, which the running kernel does not have; {edit}")]);
    assert!(steps.is_empty());
    // 28 of the 32 GiB are in huge pages that others use.
    let (said, _) = planned(&case("", two, &[pool(2 * MIB, None, 14 * 1024, 512)]));
    assert_eq!(said, [format!("refused: {needs} 2 MiB; 1 GiB are free, and this machine has 4 GiB for more; {edit}")]);
    let mut little = case("", two, &[pool(2 * MIB, None, 0, 0)]);
    little.context.memory.available = 6 * GIB;
    let (said, _) = planned(&little);
    let text = format!("{needs} 2 MiB; 0 MiB are free, and 6 GiB of memory are available for the rest");
    assert_eq!(said, [format!("refused: {text}; end programs that use memory, or {edit}")]);
    little = case("before = /usr/local/bin/reserve\n", two, &[pool(2 * MIB, None, 0, 0)]);
    little.context.memory.available = 6 * GIB;
    let (said, steps) = planned(&little);
    let text = format!("{needs} 2 MiB; 0 MiB are free; it starts only if a 'before' command reserves the rest");
    assert_eq!((said, steps.len()), (vec![format!("warned: {text}")], 1));
}

#[test]
fn gigantic_pages_are_asked_for_with_a_word_of_warning() {
    let (said, steps) = planned(&case("", HugePages::Size(GIB), &[pool(GIB, None, 2, 2)]));
    let text = "/etc/vfio.conf:4: [guest win10] domain win10 needs 8 GiB in huge pages of 1 GiB; 2 GiB are free, and a machine \
                that has run for a while seldom has memory for more; if it does not start, boot with 'hugepagesz=1G hugepages=8'";
    assert_eq!((said, steps.len()), (vec![format!("warned: {text}")], 1));
}
