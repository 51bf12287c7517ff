// SPDX-License-Identifier: LGPL-2.1-or-later
#![allow(clippy::unwrap_used)]

use super::*;
use crate::config::{parse_files, Config};
use crate::finding::codes::Code;
use crate::finding::Severity;
use crate::host::holders::Holder;
use crate::plan::{reset_now, select};

fn function(address: &str, ids: (u16, u16), class: u32, methods: &[&str]) -> Function {
    Function {
        reset_methods: Some(methods.iter().map(|method| (*method).to_owned()).collect()),
        ..Function::new(address.parse().unwrap(), ids, class)
    }
}

const RX580: (u16, u16) = (0x1002, 0x67df);
const RX6800: (u16, u16) = (0x1002, 0x73bf);
const RTX5070TI: (u16, u16) = (0x10de, 0x2c05);

/// A card with its sound function.
fn card(ids: (u16, u16), methods: &[&str]) -> Host {
    let functions = vec![
        function("0000:03:00.0", ids, 0x03_0000, methods),
        function("0000:03:00.1", (ids.0, 1), 0x04_0300, &["pm"]),
    ];
    Host { functions, vendor_reset: VendorReset::There, ..Host::default() }
}

fn config(reset: &str) -> Config {
    let text = format!("[gpu big]\ndevice = 0000:03:00.0\nreset = {reset}\n");
    parse_files(&[("/etc/vfio.conf", text.as_bytes())])
}

/// The steps and warnings for the card with this `reset`.
fn said(host: &Host, reset: &str) -> (Vec<String>, Vec<Finding>) {
    let config = config(reset);
    let selection = select::select_all(&config, host).pop().unwrap();
    let (steps, findings) = steps(&selection, host, false);
    (steps.iter().map(ToString::to_string).collect(), findings)
}

fn steps_of(host: &Host, reset: &str) -> Vec<String> {
    let (steps, findings) = said(host, reset);
    assert_eq!(findings, [], "{reset}");
    steps
}

/// The one warning, which has this code.
fn warning_of(host: &Host, reset: &str, code: Code) -> String {
    let (steps, mut findings) = said(host, reset);
    assert_eq!((steps.len(), findings.len()), (0, 1), "{reset}: {steps:?} {findings:?}");
    let finding = findings.remove(0);
    assert_eq!((finding.code, finding.severity), (code, Severity::Warning), "{finding}");
    finding.text
}

/// What `vfio doctor` says of the resets of the card.
fn checked(host: &Host, reset: &str) -> Vec<(Code, Severity)> {
    let config = config(reset);
    let selection = select::select_all(&config, host).pop().unwrap();
    reset_now::checks(&selection, host).iter().map(|check| (check.code, check.severity)).collect()
}

/// Why `vfio reset` does nothing; `method` is what it is told to use.
fn refusals(host: &Host, owner: Option<&str>, method: Option<Reset>) -> Vec<Code> {
    let config = config("auto");
    let selection = select::select_all(&config, host).pop().unwrap();
    let plan = reset_now::plan(&selection, host, owner, method);
    assert_ne!(plan.refusals.is_empty(), plan.functions.is_empty(), "{plan:?}");
    plan.refusals.iter().map(|finding| finding.code).collect()
}

/// 67 of them, each once: what vendor-reset's own udev rules write partly in upper case, and then never find.
#[test]
fn the_table_has_all_that_vendor_reset_knows() {
    let mut devices: Vec<u16> = SUPPORTED.iter().flat_map(|(_, devices)| devices.iter().copied()).collect();
    devices.sort_unstable();
    devices.dedup();
    assert_eq!(devices.len(), 67);
    assert_eq!(chip(0x1002, 0x67df), Some("Polaris 10"));
    assert_eq!(chip(0x1002, 0x734f), Some("Navi 14"));
    for (vendor, device) in [(0x1002, 0x73bf), (0x1002, 0x73ff), (0x1002, 0x744c), (0x1002, 0x1638), (0x10de, 0x67df)] {
        assert_eq!(chip(vendor, device), None, "{vendor:04x}:{device:04x}");
    }
}

#[test]
fn auto_leaves_most_cards_to_the_kernel() {
    for ids in [RX6800, (0x10de, 0x1e87), (0x8086, 0x56a0)] {
        assert_eq!(steps_of(&card(ids, &["pm", "bus"]), "auto"), [] as [&str; 0]);
    }
}

#[test]
fn auto_has_vendor_reset_loaded_before_it_is_chosen() {
    let expected = ["load module vendor_reset", "0000:03:00.0: set reset_method to 'device_specific'"];
    for reset in ["auto", "vendor-reset"] {
        let mut host = card(RX580, &["pm", "bus"]);
        assert_eq!(steps_of(&host, reset), expected);
        host.vendor_reset = VendorReset::Loaded;
        assert_eq!(steps_of(&host, reset), expected[1..]);
        host.functions[0].reset_methods = Some(vec!["device_specific".to_owned()]);
        assert_eq!(steps_of(&host, reset), [] as [&str; 0], "nothing is written that is there");
    }
    assert_eq!(steps_of(&card(RX580, &["pm"]), "pm"), [] as [&str; 0], "another method needs no module");
}

#[test]
fn vendor_reset_that_cannot_be_had_is_said_and_the_kernels_order_stays() {
    let mut host = card(RX580, &["pm", "bus"]);
    for (module, words) in [
        (VendorReset::Absent, "is not installed"),
        (VendorReset::Elsewhere(vec!["6.1.0-40-amd64".to_owned()]), "only for 6.1.0-40-amd64"),
        (VendorReset::Unsigned, "is not signed"),
    ] {
        host.vendor_reset = module;
        for reset in ["auto", "vendor-reset"] {
            let text = warning_of(&host, reset, codes::VENDOR_RESET_MISSING);
            assert!(text.contains("(Polaris 10)") && text.contains(words), "{text}");
        }
        assert_eq!(checked(&host, "auto")[0], (codes::VENDOR_RESET_MISSING, Severity::Warning));
    }
}

#[test]
fn vendor_reset_is_never_for_cards_that_it_does_not_know() {
    let text = warning_of(&card(RX6800, &["pm", "bus"]), "vendor-reset", codes::RESET_METHOD_UNAVAILABLE);
    assert!(text.contains("(1002:73bf) is not supported by vendor-reset"), "{text}");
}

#[test]
fn a_method_is_set_where_it_is_offered() {
    let host = card(RTX5070TI, &["flr", "pm", "bus"]);
    assert_eq!(
        steps_of(&host, "flr"),
        ["0000:03:00.0: set reset_method to 'flr'"],
        "the sound has none, and no word of it"
    );
    assert_eq!(steps_of(&host, "pm"), ["0000:03:00.0: set reset_method to 'pm'"], "the sound has just that");
    let both = ["0000:03:00.0: set reset_method to ''", "0000:03:00.1: set reset_method to ''"];
    assert_eq!(steps_of(&host, "none"), both);
}

#[test]
fn a_method_that_is_not_offered_is_said_with_those_that_are() {
    let text = warning_of(&card(RX6800, &["pm", "bus"]), "flr", codes::RESET_METHOD_UNAVAILABLE);
    assert!(text.starts_with("0000:03:00.0 cannot be reset by flr, only by pm;"), "{text}");
    let mut host = card(RX6800, &["pm"]);
    host.functions[0].reset_methods = None;
    assert!(warning_of(&host, "pm", codes::RESET_METHOD_UNAVAILABLE).contains("knows no way"));
}

#[test]
fn a_bus_is_reset_for_a_function_that_is_alone_there() {
    let mut host = card(RX6800, &["pm", "bus"]);
    let text = warning_of(&host, "bus", codes::RESET_METHOD_UNAVAILABLE);
    assert!(text.contains("shares its bus with other functions"), "{text}");
    host.functions.truncate(1);
    assert_eq!(steps_of(&host, "bus"), ["0000:03:00.0: set reset_method to 'bus'"]);
}

#[test]
fn blackwell_is_reset_by_flr_first() {
    assert_eq!(steps_of(&card(RTX5070TI, &["flr", "pm", "bus"]), "auto"), [] as [&str; 0]);
    let order = steps_of(&card(RTX5070TI, &["pm", "bus", "flr"]), "auto");
    assert_eq!(order, ["0000:03:00.0: set reset_method to 'flr pm'"], "and not by a bus that it shares");
    assert_eq!(steps_of(&card(RTX5070TI, &["pm"]), "auto"), [] as [&str; 0]);
}

#[test]
fn what_is_found_again_is_set_again() {
    let mut host = card(RX580, &["device_specific"]);
    host.vendor_reset = VendorReset::Loaded;
    let config = parse_files(&[("/etc/vfio.conf", &b"[gpu big]\ndevice = 0000:03:00.0\n"[..])]);
    let selection = select::select_all(&config, &host).pop().unwrap();
    assert_eq!(steps(&selection, &host, true).0.len(), 1);
}

#[test]
fn a_method_that_is_not_there_yet_is_said_of_a_card_that_is_bound() {
    let mut host = card(RTX5070TI, &["pm", "flr"]);
    let first = |host: &Host| checked(host, "flr")[0];
    assert_eq!(first(&host), (codes::OK, Severity::Ok), "it is set when the card is bound");
    host.functions[0].driver = Some("vfio-pci".to_owned());
    assert_eq!(first(&host), (codes::RESET_METHOD_NOT_SET, Severity::Warning));
    host.functions[0].reset_methods = Some(vec!["flr".to_owned()]);
    assert_eq!(first(&host), (codes::OK, Severity::Ok));
}

#[test]
fn a_display_without_any_method_cannot_be_reset() {
    let mut host = card((0x8086, 0x56a0), &["bus"]);
    // Something that is not the card's shares the bus, so that is not reset either.
    host.functions.push(function("0000:03:01.0", (0x8086, 2), 0x02_0000, &["bus"]));
    assert_eq!(checked(&host, "auto"), [(codes::CANNOT_BE_RESET, Severity::Note), (codes::OK, Severity::Ok)]);
    host.functions.pop();
    assert!(checked(&host, "auto").iter().all(|(code, _)| *code == codes::OK), "by its bus as a whole");
}

#[test]
fn a_signature_that_cannot_be_told_is_noted() {
    let mut host = card(RX580, &["pm", "bus"]);
    host.vendor_reset = VendorReset::Unclear;
    assert!(checked(&host, "auto").contains(&(codes::SIGNATURE_UNKNOWN, Severity::Note)));
    host.vendor_reset = VendorReset::There;
    assert!(checked(&host, "auto").iter().all(|(code, _)| *code != codes::SIGNATURE_UNKNOWN));
}

#[test]
fn why_a_card_is_not_reset_now() {
    let mut host = card(RTX5070TI, &["flr", "bus"]);
    assert_eq!(refusals(&host, None, None), []);
    assert_eq!(refusals(&host, Some("win10"), None), [codes::CARD_IN_GUEST]);
    assert_eq!(refusals(&host, None, Some(Reset::Bus)), [codes::RESET_METHOD_UNAVAILABLE]);
    let address = host.functions[0].address;
    host.functions[0].driver = Some("nvidia".to_owned());
    assert_eq!(refusals(&host, None, None), [codes::CARD_BOUND_TO_HOST_DRIVER]);
    host.holders = vec![(address, Holder { node: "/dev/nvidia0".to_owned(), pid: Some(7), ..Holder::default() })];
    assert_eq!(refusals(&host, None, None), [codes::CARD_HELD]);
    host.holders.clear();
    host.functions[0].driver = Some("vfio-pci".to_owned());
    host.functions.iter_mut().for_each(|function| function.reset_methods = None);
    assert_eq!(refusals(&host, None, None), [codes::RESET_METHOD_UNAVAILABLE]);
}

#[test]
fn a_card_that_does_not_answer_is_left_alone() {
    let mut host = card(RTX5070TI, &["flr"]);
    host.silent = vec![host.functions[1].address];
    assert_eq!(refusals(&host, None, None), [codes::CARD_DOES_NOT_ANSWER]);
    assert_eq!(checked(&host, "auto"), [(codes::CARD_DOES_NOT_ANSWER, Severity::Error)]);
    host.silent.clear();
    // It has not answered since the last boot.
    host.dead = vec![("big".to_owned(), "it did not answer".to_owned())];
    assert_eq!(refusals(&host, None, None), [codes::CARD_DOES_NOT_ANSWER]);
    host.dead[0].0 = "other".to_owned();
    assert_eq!(refusals(&host, None, None), []);
}
