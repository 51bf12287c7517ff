// SPDX-License-Identifier: LGPL-2.1-or-later
//! Random machines, random configurations, random commands: what is bound is all on vfio, what was not asked for is
//! untouched, and when everything is given back the machine is byte for byte as it was.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::machine::RELEASE;
use common::text::{Node, Nodes};
use common::tree::without_vfio_module;
use common::{cards, Function, Machine, Tree};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::cell::Cell;
use std::fmt::Write;

const VFIO: &str = env!("CARGO_BIN_EXE_vfio");

/// How many sections a configuration has: `g0` and so on.
const SECTIONS: usize = 2;

/// What a slot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rx6800,
    Rx6700xt,
    Rx580,
    Rtx2080,
    Gtx1650m,
    Disk,
}

/// In which state the host has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// On its host drivers, as after a boot without us.
    Host,
    /// On vfio already, by somebody else's hand.
    Vfio,
    /// On its host drivers, with overrides that name just these.
    Pinned,
    /// Kept from every driver.
    Reserved,
}

#[derive(Debug, Clone)]
struct Card {
    kind: Kind,
    state: State,
    /// Behind a switch of its own.
    switch: bool,
    /// In the IOMMU group of the slot before it.
    shares: bool,
}

#[derive(Debug, Clone)]
struct Section {
    /// Which slot; one that does not exist is a missing card.
    slot: usize,
    /// 0 address, 1 address and identity, 2 identity, 3 boot-display, 4 not-boot-display.
    selector: u8,
    /// A bit for each function; none is "all".
    functions: u8,
    /// A slot whose first function is in `also`.
    also: Option<usize>,
    only_display: bool,
    auto: bool,
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Bind(usize),
    Rescan(usize),
    Restore(usize),
}

#[derive(Debug, Clone)]
struct Case {
    cards: Vec<Card>,
    /// Which of the cards the firmware shows its messages on.
    boot: usize,
    igpu: bool,
    vfio_loaded: bool,
    newer_kernel: bool,
    sections: Vec<Section>,
    acts: Vec<Act>,
}

impl Card {
    fn functions(&self, n: usize) -> Vec<Function> {
        let root_port = format!("0000:00:{:02x}.0", n + 1);
        let slot = format!("0000:{:02x}:00", n * 3 + 3);
        let group = 40 + n as u32 * 4;
        let mut functions = vec![cards::port(&root_port, (0x8086, 0x460d), group)];
        let mut under = root_port.clone();
        if self.switch {
            let (up, down) = (format!("0000:{:02x}:00.0", n * 3 + 1), format!("0000:{:02x}:00.0", n * 3 + 2));
            functions.extend(cards::amd_switch(&up, &down, &root_port, (group + 1, group + 2)));
            under = down;
        }
        let group = if self.shares && n > 0 { group - 1 } else { group + 3 };
        let mut card = match self.kind {
            Kind::Rx6800 => cards::rx6800(&slot, &under, group).to_vec(),
            Kind::Rx6700xt => cards::rx6700xt(&slot, &under, group).to_vec(),
            Kind::Rx580 => cards::rx580(&slot, &under, group).to_vec(),
            Kind::Rtx2080 => cards::rtx2080(&slot, &under, group).to_vec(),
            Kind::Gtx1650m => vec![cards::gtx1650m(&format!("{slot}.0"), &under, group)],
            Kind::Disk => vec![cards::nvme(&format!("{slot}.0"), &under, group)],
        };
        for function in &mut card {
            match self.state {
                State::Host => {}
                State::Vfio => {
                    (function.driver, function.driver_override) = (Some("vfio-pci"), Some("vfio-pci"));
                    function.connectors.clear();
                }
                State::Pinned => function.driver_override = function.driver,
                State::Reserved => (function.driver, function.driver_override) = (None, Some("none")),
            }
        }
        functions.extend(card);
        functions
    }

    fn identity(&self) -> &'static str {
        match self.kind {
            Kind::Rx6800 => "1002:73bf",
            Kind::Rx6700xt => "1002:73df",
            Kind::Rx580 => "1002:67df",
            Kind::Rtx2080 => "10de:1e87",
            Kind::Gtx1650m => "10de:1f9d",
            Kind::Disk => "144d:a80a",
        }
    }
}

fn address(slot: usize) -> String {
    format!("0000:{:02x}:00.0", slot * 3 + 3)
}

impl Case {
    fn build(&self) -> Tree {
        let mut machine = Machine::new();
        if !self.vfio_loaded && self.cards.iter().all(|card| card.state != State::Vfio) {
            machine = machine.without_vfio();
        }
        if self.newer_kernel {
            machine = machine.rescan_honours_autoprobe();
        }
        if self.igpu {
            machine = machine.with([cards::igpu(0x4680, 1).connectors(&[("HDMI-A-1", true)])]);
        }
        for (n, card) in self.cards.iter().enumerate() {
            let mut functions = card.functions(n);
            for function in functions.iter_mut().filter(|f| f.class >> 8 == 0x0300) {
                function.boot_vga = n == self.boot;
            }
            machine = machine.with(functions);
        }
        let tree = machine.build();
        tree.write(&format!("lib/modules/{RELEASE}/modules.dep"), "updates/dkms/vendor-reset.ko:\n");
        tree.config(&self.config());
        tree
    }

    fn config(&self) -> String {
        let mut text = String::new();
        for (n, section) in self.sections.iter().enumerate() {
            let identity = self.cards.get(section.slot).map_or("1002:73bf", Card::identity);
            let device = match section.selector {
                0 | 1 => address(section.slot),
                2 => identity.to_owned(),
                3 => "boot-display".to_owned(),
                _ => "not-boot-display".to_owned(),
            };
            write!(text, "[gpu g{n}]\ndevice = {device}\nbind = guest\n").unwrap();
            if section.selector == 1 {
                writeln!(text, "identity = {identity}").unwrap();
            }
            let numbers: Vec<String> =
                (0..8).filter(|f| section.functions >> f & 1 == 1).map(|f| f.to_string()).collect();
            if !numbers.is_empty() {
                writeln!(text, "functions = {}", numbers.join(",")).unwrap();
            }
            if let Some(also) = section.also {
                writeln!(text, "also = {}", address(also)).unwrap();
            }
            if section.only_display {
                text.push_str("only-display = yes\n");
            }
            if section.auto {
                text.push_str("driver = auto\n");
            }
        }
        text
    }
}

fn card() -> impl Strategy<Value = Card> {
    let kind = prop_oneof![
        3 => Just(Kind::Rx6800),
        1 => Just(Kind::Rx6700xt),
        2 => Just(Kind::Rx580),
        2 => Just(Kind::Rtx2080),
        1 => Just(Kind::Gtx1650m),
        1 => Just(Kind::Disk),
    ];
    let state = prop_oneof![
        6 => Just(State::Host),
        1 => Just(State::Vfio),
        1 => Just(State::Pinned),
        1 => Just(State::Reserved),
    ];
    (kind, state, any::<bool>(), prop::bool::weighted(0.2)).prop_map(|(kind, state, switch, shares)| Card {
        kind,
        state,
        switch,
        shares,
    })
}

fn section() -> impl Strategy<Value = Section> {
    let functions = prop_oneof![5 => Just(0u8), 1 => 1u8..16];
    let also = prop_oneof![4 => Just(None), 1 => (0usize..4).prop_map(Some)];
    let selector = prop_oneof![4 => Just(0u8), 3 => Just(1), 2 => Just(2), 1 => Just(3), 1 => Just(4)];
    (0usize..9, selector, functions, also, prop::bool::weighted(0.7), any::<bool>()).prop_map(
        |(slot, selector, functions, also, only_display, auto)| Section {
            slot,
            selector,
            functions,
            also,
            only_display,
            auto,
        },
    )
}

fn case() -> impl Strategy<Value = Case> {
    // The last one is no section of the configuration.
    let names = prop_oneof![9 => 0..SECTIONS, 1 => Just(SECTIONS)];
    let act = (0u8..5, names).prop_map(|(act, section)| match act {
        0..=2 => Act::Bind(section),
        3 => Act::Rescan(section),
        _ => Act::Restore(section),
    });
    let machine = (prop::collection::vec(card(), 1..4), 0usize..4, any::<bool>(), any::<bool>(), any::<bool>());
    let commands = (prop::collection::vec(section(), SECTIONS), prop::collection::vec(act, 1..6));
    (machine, commands).prop_map(|((cards, boot, igpu, vfio_loaded, newer_kernel), (mut sections, acts))| Case {
        // Of nine, eight are there.
        sections: {
            sections.iter_mut().filter(|s| s.slot < 8).for_each(|s| s.slot %= cards.len());
            sections
        },
        cards,
        boot,
        igpu,
        vfio_loaded,
        newer_kernel,
        acts,
    })
}

/// The machine without what a loaded module adds: what is found anew while vendor-reset is loaded offers that
/// (`drivers/pci/pci.c`, `pci_init_reset_methods`), and the module stays.
fn machine(tree: &Tree) -> Nodes {
    let mut nodes = without_vfio_module(tree.snapshot());
    for (path, node) in &mut nodes {
        if let Node::File(_, content) = node {
            if path.ends_with("/reset_method") && content.starts_with(b"device_specific ") {
                content.drain(..b"device_specific ".len());
            }
        }
    }
    nodes
}

/// Paths that may differ when these functions change hands.
fn concerns(path: &str, functions: &[String]) -> bool {
    functions.iter().any(|function| path.contains(function.as_str()))
        || ["sys/class/", "sys/dev/", "dev/vfio", ".kernel/parked"].iter().any(|shared| path.starts_with(shared))
}

/// The functions that a command said it was about.
fn functions(json: &str) -> Vec<String> {
    let answer: serde_json::Value = serde_json::from_str(json).unwrap_or_else(|e| panic!("{e}: {json}"));
    let list = answer["functions"].as_array().unwrap();
    list.iter().map(|function| function.as_str().unwrap().to_owned()).collect()
}

fn check(case: &Case, acted: &Cell<u32>) -> Result<(), TestCaseError> {
    let tree = case.build();
    let before = machine(&tree);
    let say = |what: &str| format!("{what}\n{}{case:#?}", case.config());
    for act in &case.acts {
        let (verb, section) = match act {
            Act::Bind(section) => ("bind", section),
            Act::Rescan(section) => ("rescan", section),
            Act::Restore(section) => ("restore", section),
        };
        let name = format!("g{section}");
        let earlier = machine(&tree);
        let ran = tree.run(VFIO, &["--json", verb, &name]);
        let what = || say(&format!("vfio {verb} {name}: {:?}\n{}{}", ran.status, ran.stdout, ran.stderr));
        if *section >= case.sections.len() {
            prop_assert!(ran.status != Some(0), "there is no such section, yet {}", what());
            prop_assert!(ran.stderr.contains(&name), "it does not say which: {}", what());
        }
        match ran.status {
            Some(0) => {
                let concerned = functions(&ran.stdout);
                if verb != "restore" {
                    prop_assert!(!concerned.is_empty(), "{}", what());
                    acted.set(acted.get() + 1);
                    for function in &concerned {
                        let driver = tree.driver(function);
                        prop_assert_eq!(driver.as_deref(), Some("vfio-pci"), "{}", what());
                    }
                }
                let now = machine(&tree);
                let other = |path: &&String| !concerns(path, &concerned);
                for path in earlier.keys().chain(now.keys()).filter(other) {
                    prop_assert_eq!(earlier.get(path), now.get(path), "{}: {}", path, what());
                }
            }
            Some(1 | 2) => {
                prop_assert!(ran.stderr.contains("gpu "), "it does not say why: {}", what());
                let differences = common::tree::differences(&earlier, &machine(&tree));
                prop_assert!(differences.is_empty(), "refused, yet\n{}{}", differences, what());
            }
            _ => prop_assert!(false, "{}", what()),
        }
    }
    for section in 0..=SECTIONS {
        let name = format!("g{section}");
        let ran = tree.run(VFIO, &["restore", &name]);
        let known = section < case.sections.len();
        prop_assert_eq!(ran.status == Some(0), known, "restore {}: {}", name, say(&ran.stderr));
    }
    let differences = common::tree::differences(&before, &machine(&tree));
    prop_assert!(differences.is_empty(), "{}", say(&differences));
    prop_assert!(tree.root().list("run/vfio/journal").unwrap_or_default().is_empty(), "{}", say("a journal is left"));
    Ok(())
}

/// `PROPTEST_CASES` makes it more than 60.
#[test]
fn whatever_is_done_can_be_undone() {
    let cases = std::env::var("PROPTEST_CASES").map_or(60, |text| text.parse().unwrap());
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let acted = Cell::new(0);
    if let Err(error) = TestRunner::new(config).run(&case(), |case| check(&case, &acted)) {
        panic!("{error}");
    }
    // Refusals alone would prove nothing; about one act in three is carried out.
    assert!(acted.get() >= cases / 4, "only {} acts were carried out in {cases} cases", acted.get());
}
