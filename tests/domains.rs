// SPDX-License-Identifier: LGPL-2.1-or-later
//! Domains as virt-manager and people write them, and what is found in them: `tests/golden/domains/NAME.xml` and
//! `NAME.txt`. `UPDATE_GOLDEN=1 cargo test --test domains` writes what is found; read the difference then. Those with devices
//! are valid by libvirt 12.8's `domain.rng` (`xmllint --relaxng`).
#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use vfio_suite::host::cpu_list::show_list;
use vfio_suite::host::domain::{parse, Domain};

/// Everything found, a line for each thing.
fn show(domain: &Domain) -> String {
    let mut out = format!("name {}\nmemory {} ({:?})\n", domain.name, domain.memory, domain.huge_pages);
    for device in &domain.hostdevs {
        let managed = match (device.managed, device.assigned) {
            (true, true) => "managed",
            (false, true) => "not managed",
            (true, false) => "managed, not assigned",
            (false, false) => "not managed, not assigned",
        };
        writeln!(out, "host device {} {managed} {}", device.address, device.rom.as_deref().unwrap_or("-")).unwrap();
    }
    for file in &domain.files {
        let unless = file.unless.as_ref().map(|path| format!(" unless {path}")).unwrap_or_default();
        let marks = [(file.written, " (written)"), (file.directory, " (directory)"), (file.optional, " (optional)")];
        let marks: String = marks.iter().filter(|(is, _)| *is).map(|(_, mark)| *mark).collect();
        writeln!(out, "{} {}{unless}{marks}", file.what, file.path).unwrap();
    }
    domain.mounted_pages.iter().for_each(|size| writeln!(out, "mounted huge pages {size}").unwrap());
    domain.links.iter().for_each(|link| writeln!(out, "link {link:?}").unwrap());
    domain.sound.iter().for_each(|socket| writeln!(out, "sound server {socket}").unwrap());
    domain.usb.iter().for_each(|device| writeln!(out, "USB {:04x?} {:?}", device.id, device.place).unwrap());
    for device in &domain.scsi {
        writeln!(out, "SCSI {}{}", device.name, if device.written { " (written)" } else { "" }).unwrap();
    }
    for pin in &domain.pins {
        writeln!(out, "{} {} to {}", pin.what, pin.number.as_deref().unwrap_or("-"), show_list(&pin.cpus)).unwrap();
    }
    if !domain.nodes.is_empty() {
        writeln!(out, "nodes {}", show_list(&domain.nodes)).unwrap();
    }
    if domain.virtiofsd {
        out.push_str("virtiofsd\n");
    }
    if let Some(machine) = &domain.machine {
        writeln!(out, "machine {} of {} by {}", machine.name, machine.emulator, machine.by).unwrap();
    }
    domain.displays.iter().for_each(|model| writeln!(out, "display {model}").unwrap());
    for (is, what) in [(domain.has_input, "input of the host"), (domain.windows, "Windows")] {
        if is {
            writeln!(out, "{what}").unwrap();
        }
    }
    domain.sets.iter().for_each(|id| writeln!(out, "-set {id}").unwrap());
    domain.joined.iter().for_each(|argument| writeln!(out, "one word: {argument}").unwrap());
    out
}

#[test]
fn domains_mean_what_they_meant() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/domains");
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let files = fs::read_dir(&golden).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<_> = files.filter(|path| path.extension().is_some_and(|e| e == "xml")).collect();
    cases.sort();
    assert!(cases.len() >= 75, "cases are missing");
    let mut differing = Vec::new();
    for case in cases {
        let found = match parse(&fs::read_to_string(&case).unwrap()) {
            Ok(domain) => show(&domain),
            Err(sentence) => format!("error: {sentence}\n"),
        };
        let expected = case.with_extension("txt");
        if update {
            fs::write(&expected, &found).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != found {
            differing.push(format!("{} should say:\n{found}", expected.display()));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

/// Pieces of real domains, in any order: nearly right, which random text never is.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("<domain type='kvm'>".to_owned()),
        Just("</domain>".to_owned()),
        Just("<name>a</name>".to_owned()),
        Just("<devices>".to_owned()),
        Just("</devices>".to_owned()),
        Just("<hostdev mode='subsystem' type='pci' managed='yes'>".to_owned()),
        Just("</hostdev>".to_owned()),
        Just("<source>".to_owned()),
        Just("</source>".to_owned()),
        Just("<disk type='file'><source file='/x'/></disk>".to_owned()),
        Just("<!DOCTYPE a [<!ENTITY b 'c'>]>".to_owned()),
        Just("&b;&#0;".to_owned()),
        Just("<!--".to_owned()),
        Just("<![CDATA[".to_owned()),
        "<address (domain|bus|slot|function)='\\PC{0,8}'/>",
        "<memory unit='[kmgtpeKMGbBi]{0,4}'>[0-9]{0,22}</memory>",
        "\\PC{0,12}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the text is: a domain, or one line that says why not.
    #[test]
    fn every_text_gets_an_answer(text in "\\PC{0,400}") {
        if let Err(sentence) = parse(&text) {
            prop_assert!(sentence.lines().count() == 1 && sentence.starts_with("its XML "), "{sentence}");
        }
    }

    #[test]
    fn every_mixture_of_pieces_gets_an_answer(pieces in proptest::collection::vec(piece(), 0..24)) {
        let text = pieces.concat();
        for text in [text.clone(), format!("<domain><name>a</name><devices>{text}</devices></domain>")] {
            if let Err(sentence) = parse(&text) {
                prop_assert!(sentence.lines().count() == 1 && sentence.starts_with("its XML "), "{sentence}");
            }
        }
    }

    /// What is written is what is read, in every way to write a number.
    #[test]
    fn addresses_are_read_back(domain in 0u32..=0xffff, bus in 0u8.., slot in 0u8..32, function in 0u8..8, way in 0..3) {
        let number = |n: u32| match way {
            0 => format!("0x{n:02x}"),
            1 => n.to_string(),
            _ => format!("0{n:o}"),
        };
        let xml = format!(
            "<domain><name>a</name><devices><hostdev type='pci'><source><address domain='{}' bus='{}' slot='{}' \
             function='{}'/></source></hostdev></devices></domain>",
            number(domain), number(bus.into()), number(slot.into()), number(function.into())
        );
        let found = parse(&xml).unwrap();
        let expected = format!("{domain:04x}:{bus:02x}:{slot:02x}.{function}");
        prop_assert_eq!(found.hostdevs[0].address.to_string(), expected);
    }
}
