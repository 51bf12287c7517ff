// SPDX-License-Identifier: LGPL-2.1-or-later
#![allow(clippy::unwrap_used)]

use super::*;
use crate::host::domain::{parse, Link};
use crate::host::networks::LinkProblem;
use crate::host::rom::NotRom;

fn file(path: &str) -> RomFile {
    RomFile { path: path.to_owned(), rom: Err(NotRom::Empty), confined: None, closed: None, label: None }
}

#[test]
fn what_the_next_start_needs_is_said_and_keeps_nobody_from_defining() {
    let text = "[gpu big]\ndevice = 0000:09:00.0\nbind = guest\n[guest win10]\ngpus = big\n";
    let config = crate::config::parse_files(&[("/etc/vfio.conf", text.as_bytes())]);
    let guest = config.guest("win10").unwrap();
    let domain = parse("<domain type='kvm'><name>win10</name></domain>").unwrap();
    assert_eq!(check(guest, &domain, &[], &NextStart::default()), Vec::new());
    let mut found = NextStart::default();
    found.host.links = vec![(Link::Network("default".to_owned()), LinkProblem::NotActive)];
    // Of the saved state, as of all that is not about the definition, others speak.
    found.host.saved = Some("/saved".to_owned());
    let closed = Some(("/srv".to_owned(), "libvirt-qemu".to_owned()));
    found.roms = vec![file("/fine"), RomFile { closed, ..file("/srv/big.rom") }];
    found.outsiders = vec![("ada".to_owned(), vec!["libvirt", "kvm"]), ("eve".to_owned(), vec!["kvm"])];
    let said = check(guest, &domain, &[], &found);
    assert!(said.iter().all(|finding| finding.severity == crate::finding::Severity::Warning));
    assert_eq!(said[3].code, codes::USER_NOT_IN_GROUP);
    let said: Vec<String> = said.iter().map(Finding::sentence).collect();
    assert_eq!(
        said,
        [
            "domain win10 needs libvirt's network 'default', which is not active; start it ('virsh -c qemu:///system net-start \
             default')",
            "the option ROM /srv/big.rom cannot be read by QEMU: 'libvirt-qemu', who runs QEMU, may not enter its directory; \
             'chmod o+x /srv'",
            "ada, who is logged in with a desktop, is not in the groups libvirt and kvm; 'vfio setup --services --user ada' adds \
             them; it counts from the next login on",
            "eve, who is logged in with a desktop, is not in the group kvm; 'vfio setup --services --user eve' adds them; it \
             counts from the next login on",
        ]
    );
}

/// A laptop's second GPU: somebody must be able to see the guest.
#[test]
fn a_card_without_outputs_needs_another_display() {
    let config = crate::config::parse_files(&[(
        "/etc/vfio.conf",
        b"[gpu big]\ndevice = 0000:01:00.0\n[guest win10]\ngpus = big\n".as_slice(),
    )]);
    let guest = config.guest("win10").unwrap();
    let at = |text: &str| text.parse().unwrap();
    let card = |shown_by| Card {
        name: "big".to_owned(),
        functions: vec![at("0000:01:00.0")],
        display: at("0000:01:00.0"),
        rom: None,
        acpi_table: None,
        shown_by,
    };
    let without = card(Some(at("0000:00:02.0")));
    let said = |devices: &str, cards: &[Card]| {
        let domain = parse(&format!("<domain><name>win10</name><devices>{devices}</devices></domain>")).unwrap();
        check(guest, &domain, cards, &NextStart::default()).iter().map(Finding::sentence).collect::<Vec<_>>()
    };
    let none = "<video><model type='none'/></video>";
    assert_eq!(
        said(none, std::slice::from_ref(&without)),
        [
            "[gpu big] has no outputs (0000:00:02.0 has the laptop's panel), and domain win10 has no other display: nobody sees \
             the guest; write 'looking-glass', or 'display = vnc' as long as the guest is set up: docs/MUXLESS.md"
        ]
    );
    let shmem = "<shmem name='looking-glass'><model type='ivshmem-plain'/><size unit='M'>32</size></shmem>";
    for devices in [shmem, "<video><model type='vga'/></video>"] {
        assert_eq!(said(devices, std::slice::from_ref(&without)), [""; 0], "{devices}");
    }
    assert_eq!(said(none, &[card(None)]), [""; 0], "it has outputs");
    assert_eq!(said(none, &[without, card(None)]), [""; 0], "another card has some");
}
