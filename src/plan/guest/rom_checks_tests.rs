// SPDX-License-Identifier: LGPL-2.1-or-later
#![allow(clippy::unwrap_used)]

use super::*;
use crate::config::{self, Config};
use crate::finding::codes::Code;
use crate::finding::Severity;
use crate::host::domain::{self, Firmware};
use crate::host::rom::roms::{efi, legacy};
use crate::host::rom::{self, roms, NotRom};
use crate::host::Function;
use crate::plan::select;

const AMD: (u16, u16) = (0x1002, 0x73bf);
const PATH: &str = "/var/lib/vfio/big.rom";

/// A machine with an RX 6800, whose section has a ROM.
struct Case {
    config: Config,
    host: Host,
    context: GuestContext,
}

fn case(more: &str, rom: Result<&[u8], NotRom>) -> Case {
    let text = format!("[gpu big]\ndevice = 0000:03:00.0\nrom = {PATH}\n[guest win10]\ngpus = big\n{more}");
    let config = config::parse_files(&[("/etc/vfio.conf", text.as_bytes())]);
    let mut host = Host::default();
    host.functions.push(Function::new("0000:03:00.0".parse().unwrap(), AMD, 0x03_0000));
    let rom = rom.and_then(|bytes| rom::read(bytes, None));
    let file = RomFile { path: PATH.to_owned(), rom, confined: None, closed: None, label: None };
    let context = GuestContext { roms: vec![file], ..GuestContext::default() };
    Case { config, host, context }
}

impl Case {
    /// With a domain whose device has this.
    fn domain(mut self, os: &str, rom: &str) -> Case {
        let device = "<source><address domain='0' bus='3' slot='0' function='0'/></source>";
        let xml = format!(
            "<domain><name>win10</name>{os}<devices><hostdev mode='subsystem' type='pci'>{device}{rom}</hostdev></devices></domain>"
        );
        let domain = Box::new(domain::parse(&xml).unwrap());
        self.context.domain = Some(DomainState::Known { state: "shut off".to_owned(), domain });
        self
    }

    fn findings(&self) -> Vec<Finding> {
        let selections = select::select_all(&self.config, &self.host);
        check(&self.config.guests[0], &selections, &self.host, &self.context)
    }

    fn said(&self) -> Vec<(Code, Severity)> {
        self.findings().iter().map(|finding| (finding.code, finding.severity)).collect()
    }
}

const OVMF: &str = "<os firmware='efi'><type arch='x86_64'>hvm</type></os>";
const SEABIOS: &str = "<os><type arch='x86_64'>hvm</type></os>";
const ITS: &str = "<rom file='/var/lib/vfio/big.rom'/>";

fn good() -> Vec<u8> {
    roms::rom(&[legacy(AMD), efi(AMD).last()])
}

#[test]
fn a_rom_that_the_domain_has_is_judged_for_its_firmware() {
    use Severity::{Error, Warning};
    assert_eq!(case("", Ok(&good())).domain(OVMF, ITS).said(), []);
    let old = roms::rom(&[legacy(AMD).last()]);
    assert_eq!(case("", Ok(&old)).domain(OVMF, ITS).said(), [(codes::ROM_NO_EFI, Warning)]);
    assert_eq!(case("", Ok(&old)).domain(SEABIOS, ITS).said(), []);
    let new = roms::rom(&[efi(AMD).last()]);
    assert_eq!(case("", Ok(&new)).domain(SEABIOS, ITS).said(), [(codes::ROM_NO_LEGACY, Warning)]);
    let other = roms::rom(&[legacy((0x10de, 0x2482)).last()]);
    let case = case("", Ok(&other)).domain(SEABIOS, ITS);
    assert_eq!(case.said(), [(codes::ROM_OTHER_CARD, Error)]);
    let line = case.findings()[0].to_string();
    let expected = "/etc/vfio.conf:3: [guest win10] [gpu big] the option ROM /var/lib/vfio/big.rom is for 10de:2482, and the card is \
                    1002:73bf; get the card's own ROM";
    assert_eq!(line, expected);
}

#[test]
fn what_a_domain_boots_with() {
    let firmware = |os: &str| {
        let case = case("", Ok(&good())).domain(os, "");
        match case.context.domain.unwrap() {
            DomainState::Known { domain, .. } => domain.firmware,
            DomainState::Unknown(why) => panic!("{why}"),
        }
    };
    assert_eq!(firmware("<os><loader type='pflash'>/x.fd</loader></os>"), Some(Firmware::Uefi));
    assert_eq!(firmware("<os><loader type='rom'>/x.fd</loader></os>"), None, "it may be either");
    assert_eq!(firmware("<os firmware='bios'/>"), Some(Firmware::Bios));
    assert_eq!(firmware("<os><type arch='aarch64'>hvm</type></os>"), None);
    assert_eq!(firmware(SEABIOS), Some(Firmware::Bios));
}

#[test]
fn what_the_domain_has_counts() {
    use Severity::{Error, Warning};
    let junk: &[u8] = b"junk";
    let without = case("", Ok(&good())).domain(OVMF, "");
    assert_eq!(without.said(), [(codes::ROM_NOT_IN_DOMAIN, Warning)]);
    let hint = without.findings()[0].hint.clone().unwrap();
    assert!(hint.contains("vfio guest edit"), "{hint}");
    let other = case("", Ok(&good())).domain(OVMF, "<rom file='/other.rom'/>");
    assert_eq!(other.said(), [(codes::ROM_OTHER_IN_DOMAIN, Warning)]);
    // A file that the guest does not see keeps it from nothing, one that it sees does.
    let unused = case("", Ok(junk)).domain(OVMF, "");
    assert_eq!(unused.said(), [(codes::ROM_NOT_IN_DOMAIN, Warning), (codes::ROM_INVALID, Warning)]);
    assert_eq!(case("", Ok(junk)).domain(OVMF, ITS).said(), [(codes::ROM_INVALID, Error)]);
    let mut seen = case("", Ok(&good())).domain(OVMF, "<rom file='/other.rom'/>");
    let rom = rom::read(junk, None);
    seen.context.roms.push(RomFile { path: "/other.rom".to_owned(), rom, confined: None, closed: None, label: None });
    assert_eq!(seen.said()[1], (codes::ROM_INVALID, Error));
}

#[test]
fn a_command_has_it_or_not() {
    use Severity::{Error, Warning};
    let command = |words: &str| case(&format!("runner = command\ncommand = {words}\n"), Ok(&good())).said();
    assert_eq!(command("qemu -device vfio-pci,host={bdf},romfile={rom}"), []);
    assert_eq!(command("qemu -device vfio-pci,host={bdf},romfile=/var/lib/vfio/big.rom"), []);
    assert_eq!(command("qemu -device vfio-pci,host={bdf}"), [(codes::ROM_NOT_IN_COMMAND, Warning)]);
    let mut none = case("runner = command\ncommand = qemu -device vfio-pci,host={bdf},romfile={rom}\n", Ok(&good()));
    none.config.gpus[0].rom = None;
    assert_eq!(none.said(), [(codes::ROM_NOT_SET, Error)]);
}

#[test]
fn who_confines_qemu_lets_it_read_the_file() {
    let confined = |packages, uri: &str| {
        let mut case = case(uri, Ok(&good())).domain(OVMF, ITS);
        case.context.roms[0].confined = Some(packages);
        case.findings().into_iter().map(|finding| finding.line()).collect::<Vec<_>>()
    };
    let said = confined(false, "").concat();
    assert!(said.contains("move it to /usr/share/vgabios/big.rom") && said.ends_with("[rom-apparmor]"), "{said}");
    assert!(confined(true, "").concat().contains("move it to /var/lib/vfio/big.rom"));
    assert_eq!(confined(true, "uri = qemu+ssh://elsewhere/system\n"), [""; 0], "another machine's");
    let mut case = case("", Ok(&good())).domain(OVMF, ITS);
    for (place, expected) in [
        (PATH, "may not read it; 'chmod 644 /var/lib/vfio/big.rom'"),
        ("/var/lib", "may not enter its directory; 'chmod o+x /var/lib'"),
    ] {
        let mut case = self::case("", Ok(&good())).domain(OVMF, ITS);
        case.context.roms[0].closed = Some((place.to_owned(), "qemu".to_owned()));
        let said = case.findings()[0].line();
        assert!(said.contains(expected) && said.ends_with("[rom-permissions]"), "{said}");
    }
    case.context.roms[0].label = Some("var_lib_t".to_owned());
    let said = case.findings()[0].line();
    assert!(said.contains("files of type var_lib_t") && said.contains("[rom-selinux]"), "{said}");
    // The rule is an expression, in quotes for the shell.
    let rule =
        r"semanage fcontext -a -t virt_content_t '/var/lib/vfio/big\.rom' && restorecon -v /var/lib/vfio/big.rom";
    assert!(said.contains(rule), "{said}");
}
