// SPDX-License-Identifier: LGPL-2.1-or-later
//! Each trap, and what only looks like it.
#![allow(clippy::unwrap_used)]

use super::super::tests::{function, machine, Case};
use super::*;
use crate::finding::codes::Code;
use crate::host::domain::HostDevice;
use crate::host::way_in::WayIn;
use crate::pci::Address;

const CARD: &str = "0000:09:00.0";

/// A machine whose only display is an RX 6800 with a BAR 2 of 8M, a guest with everything that it needs, and more lines in the
/// sections of both.
fn case(gpu: &str, guest: &str) -> Case {
    let mut host = machine();
    host.functions.retain(|function| function.address.to_string() != "0000:00:02.0");
    let config = format!("[gpu only]\ndevice = {CARD}\nbind = guest\n{gpu}[guest win10]\ngpus = only\n{guest}");
    let mut case = Case::new(&config, host);
    (case.at(CARD).vendor, case.at(CARD).device) = (0x1002, 0x73bf);
    case.domain(&[(CARD, true), ("0000:09:00.1", true)]);
    case.context.way_in = WayIn { ssh: Some(22), ..WayIn::default() };
    case.context.bar2 = vec![(address(CARD), 8 << 20)];
    let domain = domain(&mut case);
    domain.has_input = true;
    domain.windows = true;
    case
}

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

fn domain(case: &mut Case) -> &mut Domain {
    let Some(DomainState::Known { domain, .. }) = &mut case.context.domain else { unreachable!() };
    domain
}

/// The codes of the warnings, and that nothing is refused.
fn said(case: &Case) -> Vec<Code> {
    let plan = case.planned();
    assert!(plan.refusals.is_empty(), "{:?}", plan.refusals);
    plan.warnings.iter().map(|warning| warning.code).collect()
}

/// Graphics of the processor, with which the host keeps a picture.
fn with_another_display(case: &mut Case) {
    case.host.functions.push(function("0000:00:02.0", 0x03_0000, 0, Some("i915")));
}

#[test]
fn a_guest_that_has_what_it_needs_is_warned_of_nothing() {
    assert_eq!(said(&case("", "")), []);
}

#[test]
fn a_display_that_nobody_sees() {
    let mut case = case("", "");
    domain(&mut case).displays = vec!["qxl".to_owned()];
    assert_eq!(said(&case), [codes::EMULATED_DISPLAY_FIRST]);
    with_another_display(&mut case);
    assert_eq!(said(&case), []);
    for (key, expected) in [("keep", vec![]), ("vnc", vec![]), ("card", vec![codes::EMULATED_DISPLAY_FIRST])] {
        let mut case = self::case("", &format!("display = {key}\n"));
        domain(&mut case).displays = vec!["virtio".to_owned()];
        assert_eq!(said(&case), expected, "{key}");
    }
}

#[test]
fn nobody_could_type() {
    let mut case = case("", "");
    domain(&mut case).has_input = false;
    assert_eq!(said(&case), [codes::NO_INPUT]);
    let mut seen = case.clone();
    with_another_display(&mut seen);
    assert_eq!(said(&seen), []);
    // A USB controller of the host, which is bound to vfio already; the card's own is none.
    let device =
        |at: &str| HostDevice { address: address(at), managed: true, rom: None, rom_off: false, assigned: true };
    case.driver("0000:00:14.0", Some("vfio-pci"));
    case.host.functions.push(function("0000:09:00.2", 0x0c_0330, 15, Some("vfio-pci")));
    domain(&mut case).hostdevs.push(device("0000:09:00.2"));
    assert_eq!(said(&case), [codes::NO_INPUT]);
    domain(&mut case).hostdevs.push(device("0000:00:14.0"));
    assert_eq!(said(&case), []);
}

#[test]
fn a_bar_that_windows_cannot_take() {
    let large = |case: &mut Case| case.context.bar2 = vec![(address(CARD), 256 << 20)];
    let of = |gpu: &str, guest: &str| {
        let mut case = case(gpu, guest);
        large(&mut case);
        case
    };
    let warned = vec![codes::BAR_TOO_LARGE_FOR_WINDOWS];
    assert_eq!(said(&of("", "")), warned);
    assert!(!said(&of("", "only.bar2 = 8M\n")).contains(&codes::BAR_TOO_LARGE_FOR_WINDOWS));
    let mut linux = of("", "");
    domain(&mut linux).windows = false;
    assert_eq!(said(&linux), []);
    // An RX 7900, and a card of NVIDIA's.
    for card in [(0x1002, 0x744c), (0x10de, 0x73bf)] {
        let mut other = of("", "");
        (other.at(CARD).vendor, other.at(CARD).device) = card;
        assert_eq!(said(&other), [], "{card:04x?}");
    }
}

#[test]
fn a_card_that_has_no_rom_to_show() {
    let of = |gpu: &str, why| {
        let mut case = case(gpu, "");
        case.context.no_rom = vec![(address(CARD), why)];
        case
    };
    for why in [NoRom::Copy, NoRom::OfProcessor] {
        assert_eq!(said(&of("", why)), [codes::ROM_NEEDED], "{why:?}");
    }
    let given = of("rom = /var/lib/vfio/only.rom\n", NoRom::Copy);
    assert!(!said(&given).contains(&codes::ROM_NEEDED));
    let mut by_domain = of("", NoRom::Copy);
    domain(&mut by_domain).hostdevs[0].rom = Some("/var/lib/vfio/only.rom".to_owned());
    assert_eq!(said(&by_domain), []);
    let mut off = of("", NoRom::Copy);
    domain(&mut off).hostdevs[0].rom_off = true;
    assert_eq!(said(&off), [], "<rom bar='off'/>: the user knows that the guest needs none");
}

#[test]
fn nobody_gets_in_from_elsewhere() {
    let mut case = case("", "");
    case.context.way_in = WayIn::default();
    assert_eq!(said(&case), [codes::NO_WAY_IN]);
    let mut by_line = case.clone();
    by_line.context.way_in.serial = Some("ttyS0".to_owned());
    assert_eq!(said(&by_line), []);
    with_another_display(&mut case);
    assert_eq!(said(&case), []);
}
