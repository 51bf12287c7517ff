// SPDX-License-Identifier: LGPL-2.1-or-later
#![allow(clippy::unwrap_used)]

use super::super::tests::{function, machine, Case};
use super::*;
use crate::finding::codes::Code;
use crate::host::holders::Holder;

const MENDS: &str = "'vfio guest edit win10' adds";
const EDIT: &str = "change the domain ('virsh -c qemu:///system edit win10')";
const CARD: [(&str, bool); 2] = [("0000:09:00.0", true), ("0000:09:00.1", true)];

fn base() -> Case {
    let mut case = Case::new("[gpu big]\ndevice = 0000:09:00.0\nbind = guest\n[guest win10]\ngpus = big\n", machine());
    case.domain(&CARD);
    case
}

/// All that is said has this code and is about line `at`; the sentences are compared without the place.
fn compare(findings: &[Finding], code: Code, at: u32, expected: &[&str]) {
    let place = format!("/etc/vfio.conf:{at}: [guest win10] ");
    let texts: Vec<String> = findings.iter().map(ToString::to_string).collect();
    let strip = |text: &String| text.strip_prefix(&place).unwrap_or_else(|| panic!("{text}")).to_owned();
    assert_eq!(texts.iter().map(strip).collect::<Vec<_>>(), expected);
    assert!(findings.iter().all(|finding| finding.code == code), "{findings:?}");
}

fn fine(case: &Case) {
    assert_eq!(case.said(check), (Vec::new(), Vec::new()));
}

fn refused(case: &Case, code: Code, at: u32, expected: &[&str]) {
    let (refusals, warnings) = case.said(check);
    compare(&refusals, code, at, expected);
    assert_eq!(warnings, Vec::new());
}

fn warned(case: &Case, code: Code, at: u32, expected: &[&str]) {
    let (refusals, warnings) = case.said(check);
    compare(&warnings, code, at, expected);
    assert_eq!(refusals, Vec::new());
}

/// The domain gets these as well.
fn also(case: &mut Case, more: &[(&str, bool)]) {
    case.domain(&[&CARD[..], more].concat());
}

#[test]
fn a_domain_that_gets_the_card_and_no_more() {
    fine(&base());
    let mut case = base();
    case.context.domain = None;
    fine(&case);
    // We bind the card: whether libvirt would have does not matter.
    case.domain(&[("0000:09:00.0", false), ("0000:09:00.1", false)]);
    fine(&case);
}

#[test]
fn a_domain_that_is_not_there() {
    let mut case = base();
    case.context.domain = Some(DomainState::Unknown("there is no such domain".to_owned()));
    refused(&case, codes::DOMAIN_UNKNOWN, 4, &["cannot start domain win10: there is no such domain"]);
    let why = crate::host::domain::parse("<domain/>").unwrap_err();
    case.context.domain = Some(DomainState::Unknown(why));
    let text = format!("cannot start domain win10: its XML has no name in it; {EDIT}");
    refused(&case, codes::DOMAIN_XML, 4, &[&text]);
}

#[test]
fn a_domain_that_is_not_off() {
    let end = "end it first ('virsh -c qemu:///system destroy win10')";
    for (now, expected) in [
        (
            "running",
            "domain win10 is already running; shut it down first ('virsh -c qemu:///system shutdown win10')".to_owned(),
        ),
        (
            "idle",
            "domain win10 is already idle; shut it down first ('virsh -c qemu:///system shutdown win10')".to_owned(),
        ),
        ("in shutdown", "domain win10 is 'in shutdown'; wait until it is off".to_owned()),
        ("paused", format!("domain win10 is 'paused'; {end}")),
        ("crashed", format!("domain win10 is 'crashed'; {end}")),
        ("pmsuspended", format!("domain win10 is 'pmsuspended'; {end}")),
    ] {
        let mut case = base();
        let Some(DomainState::Known { state, domain }) = &mut case.context.domain else { unreachable!() };
        domain.hostdevs.clear();
        *state = now.to_owned();
        refused(&case, codes::DOMAIN_NOT_SHUT_OFF, 4, &[&expected]);
    }
}

#[test]
fn a_card_that_the_domain_does_not_get() {
    let mut case = base();
    case.domain(&[]);
    let text = format!(
        "domain win10 gets no function of [gpu big]; {MENDS} 0000:09:00.0 (VGA display), 0000:09:00.1 (audio) as PCI host \
         devices"
    );
    refused(&case, codes::DOMAIN_LACKS_CARD, 5, &[&text]);
    case.domain(&CARD[..1]);
    let text =
        format!("domain win10 does not get 0000:09:00.1 (audio) of [gpu big], which the host loses too; {MENDS} it");
    warned(&case, codes::DOMAIN_LACKS_FUNCTION, 5, &[&text]);
}

#[test]
fn what_also_names_is_not_missed() {
    let config = "[gpu big]\ndevice = 0000:09:00.0\nalso = 0000:05:00.0\nbind = guest\n[guest win10]\ngpus = big\n";
    let mut case = Case::new(config, machine());
    case.domain(&CARD);
    fine(&case);
    also(&mut case, &[("0000:05:00.0", true)]);
    fine(&case);
}

#[test]
fn every_card_counts() {
    let config = "[gpu big]\ndevice = 0000:09:00.0\n[gpu usb]\ndevice = 0000:00:14.0\n[guest win10]\ngpus = big, usb\n";
    let mut case = Case::new(config, machine());
    case.domain(&CARD);
    let text = format!(
        "domain win10 gets no function of [gpu usb]; {MENDS} 0000:00:14.0 (USB controller) as a PCI host device"
    );
    refused(&case, codes::DOMAIN_LACKS_CARD, 6, &[&text]);
}

#[test]
fn what_else_the_domain_gets() {
    let refusals = [
        (codes::DOMAIN_DEVICE_ABSENT, ("0000:77:00.0", true), format!("gets 0000:77:00.0, but nothing is there; {EDIT}")),
        (
            codes::BRIDGE_IS_NEVER_GIVEN,
            ("0000:00:01.0", true),
            format!("also gets 0000:00:01.0 (PCI bridge, pcieport), and a bridge is never given to a guest; {EDIT}"),
        ),
        (
            codes::DOMAIN_GETS_HOST_DISPLAY,
            ("0000:00:02.0", true),
            format!(
                "also gets 0000:00:02.0 (VGA display, i915), which is the host's; name it in a [gpu] section or {EDIT}"
            ),
        ),
        (
            codes::HOSTDEV_NOT_MANAGED,
            ("0000:05:00.0", false),
            format!(
                "also gets 0000:05:00.0 (network, igc), which is neither bound to vfio nor managed; write managed='yes' \
                 there: {EDIT}"
            ),
        ),
    ];
    for (code, device, expected) in refusals {
        let mut case = base();
        // Named twice, said once.
        also(&mut case, &[device, device]);
        refused(&case, code, 5, &[&format!("domain win10 {expected}")]);
    }
    let mut case = base();
    also(&mut case, &[("0000:05:00.0", true)]);
    warned(
        &case,
        codes::DOMAIN_GETS_HOST_DEVICE,
        5,
        &["domain win10 also gets 0000:05:00.0 (network, igc), which libvirt itself unbinds from the host's driver; make \
           sure that the host does not need it"],
    );
}

#[test]
fn what_the_host_does_not_have_it_does_not_lose() {
    for (address, managed, driver) in [
        ("0000:05:00.0", true, Some("vfio-pci")),
        ("0000:05:00.0", false, Some("vfio-pci")),
        ("0000:05:00.0", true, None),
        ("0000:00:02.0", false, Some("vfio-pci")),
        ("0000:00:02.0", true, None),
    ] {
        let mut case = base();
        case.driver(address, driver);
        also(&mut case, &[(address, managed)]);
        fine(&case);
    }
}

#[test]
fn a_card_of_another_section() {
    let config = "[gpu big]\ndevice = 0000:09:00.0\n[guest win10]\ngpus = big\n[gpu small]\ndevice = 0000:00:02.0\n";
    let mut case = Case::new(config, machine());
    // Whether it is on vfio already does not matter: another guest may have it.
    for driver in ["i915", "vfio-pci"] {
        case.driver("0000:00:02.0", Some(driver));
        also(&mut case, &[("0000:00:02.0", true)]);
        let text = format!(
            "domain win10 also gets 0000:00:02.0 (VGA display, {driver}), which belongs to [gpu small]; add 'small' to \
             'gpus' or {EDIT}"
        );
        refused(&case, codes::DOMAIN_GETS_OTHER_CARD, 4, &[&text]);
    }
}

#[test]
fn a_function_of_the_card_that_the_section_leaves_out() {
    let config = "[gpu big]\ndevice = 0000:09:00.0\nfunctions = 0\n[guest win10]\ngpus = big\n";
    let mut case = Case::new(config, machine());
    let text = format!(
        "domain win10 also gets 0000:09:00.1 (audio, snd_hda_intel), which 'functions' of [gpu big] does not list; add it \
         there or {EDIT}"
    );
    case.domain(&CARD);
    warned(&case, codes::DOMAIN_GETS_UNLISTED_FUNCTION, 5, &[&text]);
    case.domain(&[("0000:09:00.0", false), ("0000:09:00.1", false)]);
    refused(&case, codes::DOMAIN_GETS_UNLISTED_FUNCTION, 5, &[&text]);
}

#[test]
fn a_disk_that_the_host_has_mounted() {
    let mut case = base();
    let disk = function("0000:01:00.0", 0x01_0802, 9, Some("nvme"));
    let holder = Holder::mount("/dev/nvme0n1p2".into(), "/".into());
    case.host.holders = vec![(disk.address, holder)];
    case.host.functions.push(disk);
    also(&mut case, &[("0000:01:00.0", true)]);
    let text = format!(
        "domain win10 also gets 0000:01:00.0 (NVMe disk, nvme), but /dev/nvme0n1p2 is mounted or in use at /; unmount it \
         first or {EDIT}"
    );
    refused(&case, codes::HOST_DATA_ON_DEVICE, 5, &[&text]);
}
