// SPDX-License-Identifier: LGPL-2.1-or-later
//! What is known by its form, wherever it stands: addresses of networks, ids of file systems and disks, keys.

use std::net::{Ipv4Addr, Ipv6Addr};

/// How long something is, and what kind of thing.
type Found = Option<(usize, &'static str)>;

/// Whether a character is a part of a word.
pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// What the text begins with. `before` is no part of a word.
pub fn at(text: &str) -> Found {
    let first = text.as_bytes().first()?;
    if !(first.is_ascii_alphanumeric() || matches!(first, b':' | b'-')) {
        return None;
    }
    named(text)
        .or_else(|| hexadecimal(text))
        .or_else(|| network(text))
        .or_else(|| disk_name(text))
        .or_else(|| export(text))
        .or_else(|| mail_or_domain(text))
        .or_else(|| long(text))
}

/// What the kernel shows that is nobody else's: UUIDs, MAC addresses, names of disks that no other has.
pub fn of_kernel(text: &str) -> Found {
    uuid(text).or_else(|| hex(text, &[2; 6], ':').map(|length| (length, "mac"))).or_else(|| named(text))
}

/// Whether a name that ends so is a file's.
pub fn is_of_file(end: &str) -> bool {
    FILES.contains(&format!(" {end} "))
}

/// The length of what `fits`.
fn run(text: &str, fits: impl Fn(char) -> bool) -> usize {
    text.find(|c| !fits(c)).unwrap_or(text.len())
}

/// Up to where something without blanks and quotes ends; what ends a sentence is no part of it.
pub fn token(text: &str) -> usize {
    let length = run(text, |c| !c.is_whitespace() && !matches!(c, '"' | '\'' | ',' | ';' | ')' | '<' | '>'));
    text[..length].trim_end_matches(['.', ':', '?', '!']).len()
}

/// Names that say what they are.
fn named(text: &str) -> Found {
    let begins = |prefix: &str| text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    let any = |prefixes: &[&str]| prefixes.iter().any(|prefix| begins(prefix));
    if any(&["ssh-rsa ", "ssh-dss ", "ssh-ed25519 ", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"]) {
        let kind = run(text, |c| !c.is_whitespace());
        let blank = run(&text[kind..], char::is_whitespace);
        return Some((kind + blank + token(&text[kind + blank..]), "key"));
    }
    if begins("-----BEGIN ") {
        // All that follows on the line: an end of it is escaped before it comes here.
        return Some((text.trim_end_matches('\n').len(), "key"));
    }
    if any(&["nqn.", "iqn.", "eui.", "naa.", "t10.", "wwn-", "SHA256:", "eyJ"]) {
        return Some((token(text), "id")).filter(|(length, _)| *length > 8);
    }
    // A network interface that is called by its address.
    let mac = any(&["enx", "wlx", "wwx"]) && hex(&text[3..], &[12], '-').is_some();
    mac.then_some((15, "mac"))
}

/// The length of groups of so many hexadecimal digits, if nothing of a word follows.
fn hex(text: &str, groups: &[usize], between: char) -> Option<usize> {
    let mut rest = text;
    for (index, length) in groups.iter().enumerate() {
        if index > 0 {
            rest = rest.strip_prefix(between)?;
        }
        let group = rest.get(..*length)?;
        if !group.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        rest = &rest[*length..];
    }
    let goes_on = |rest: &str| rest.starts_with(is_word);
    let one_more = rest.strip_prefix(between).is_some_and(goes_on);
    (!goes_on(rest) && !one_more).then_some(text.len() - rest.len())
}

fn uuid(text: &str) -> Found {
    hex(text, &[8, 4, 4, 4, 12], '-').map(|length| (length, "uuid"))
}

/// What may also stand within a word: a UUID, and behind `_` a MAC address as BlueZ has it (`dev_52_54_00_12_34_56`).
pub fn inside(text: &str, before: char) -> Found {
    let mac = || hex(text, &[2; 6], '_').filter(|_| before == '_').map(|length| (length, "mac"));
    if before.is_ascii_hexdigit() {
        None
    } else {
        uuid(text).or_else(mac)
    }
}

fn hexadecimal(text: &str) -> Found {
    let group = |groups: &[usize], between, kind| hex(text, groups, between).map(|length| (length, kind));
    uuid(text)
        // With 01- before it as PXE has it.
        .or_else(|| group(&[2; 7], '-', "mac"))
        .or_else(|| group(&[2; 6], '-', "mac"))
        .or_else(|| group(&[2; 20], ':', "mac"))
        .or_else(|| group(&[2; 8], ':', "id"))
        .or_else(|| group(&[2; 6], ':', "mac"))
        .or_else(|| group(&[2; 6], '_', "mac"))
        .or_else(|| group(&[4; 3], '.', "mac"))
        // An array of md, FAT, a partition of an MBR, the date that ISO 9660 has for an id.
        .or_else(|| group(&[8; 4], ':', "uuid"))
        .or_else(|| group(&[4, 4], '-', "uuid"))
        .or_else(|| group(&[8, 2], '-', "uuid"))
        .or_else(|| group(&[4, 2, 2, 2, 2, 2, 2], '-', "uuid"))
        .or_else(|| lvm(text))
        .or_else(|| digits(text))
}

/// A volume's id: six groups of letters and digits, and one more.
fn lvm(text: &str) -> Found {
    let mut rest = text;
    for (index, length) in [6, 4, 4, 4, 4, 4, 6].iter().enumerate() {
        rest = if index > 0 { rest.strip_prefix('-')? } else { rest };
        let group = rest.get(..*length)?;
        if !group.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return None;
        }
        rest = &rest[*length..];
    }
    (!rest.starts_with(is_word)).then_some((text.len() - rest.len(), "uuid"))
}

/// Many digits in a row: NTFS has 16, a machine 32, hashes 40 and more, ZFS up to 20 decimal ones; with 0x before them those
/// of a WWN, whose first digit says so (an address in memory never has that many).
fn digits(text: &str) -> Found {
    if let Some(number) = text.strip_prefix("0x") {
        let length = run(number, |c| c.is_ascii_hexdigit());
        let ends = !number[length..].starts_with(is_word);
        return (ends && length >= 16 && !number.starts_with('0')).then_some((2 + length, "id"));
    }
    let length = run(text, |c| c.is_ascii_hexdigit());
    if text[length..].starts_with(is_word) {
        return None;
    }
    let digits = text[..length].bytes().filter(u8::is_ascii_digit).count();
    let mixed = (1..length).contains(&digits);
    match length {
        16 if digits > 0 => Some((length, "uuid")),
        12 if mixed => Some((length, "mac")),
        _ if length > 16 || (digits == length && length > 14) => Some((length, "id")),
        _ => None,
    }
}

/// Addresses of the internet, with the port, the length of a network or the interface.
fn network(text: &str) -> Found {
    let after = |length: usize| {
        let more = match text[length..].strip_prefix(['/', ':', '%']) {
            Some(rest) if text[length..].starts_with('%') => 1 + run(rest, |c| is_word(c) || matches!(c, '-' | '.')),
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit()) => 1 + run(rest, |c| c.is_ascii_digit()),
            _ => 0,
        };
        Some((length + more, "ip"))
    };
    let v4 = run(text, |c| c.is_ascii_digit() || c == '.');
    let v4 = text[..v4].trim_end_matches('.').len();
    if text[..v4].parse::<Ipv4Addr>().is_ok() && !text[v4..].starts_with(|c| is_word(c) || c == '-') {
        return after(v4);
    }
    let v6 = run(text, |c| c.is_ascii_hexdigit() || matches!(c, ':' | '.'));
    let v6 = text[..v6].trim_end_matches('.');
    let v6 = if v6.ends_with("::") { v6 } else { v6.trim_end_matches(':') };
    let ends = !text[v6.len()..].starts_with(is_word);
    (ends && v6.len() > 2 && v6.parse::<Ipv6Addr>().is_ok()).then(|| after(v6.len()))?
}

/// The name of a disk with its serial number, as udev makes it: `nvme-Samsung_SSD_990_PRO_2TB_S7DNNJ0W`.
fn disk_name(text: &str) -> Found {
    const BUSES: [&str; 14] = [
        "ata-",
        "nvme-",
        "scsi-",
        "usb-",
        "mmc-",
        "virtio-",
        "ieee1394-",
        "memstick-",
        "dm-uuid-",
        "dm-name-",
        "md-uuid-",
        "md-name-",
        "lvm-pv-uuid-",
        "raid-",
    ];
    let length = run(text, |c| is_word(c) || matches!(c, '-' | '.' | ':'));
    let name = &text[..length];
    let serial = name.contains('_') && name.bytes().any(|b| b.is_ascii_digit()) || name.contains("uuid-");
    (BUSES.iter().any(|bus| name.starts_with(bus)) && (serial || name.contains("-name-"))).then_some((length, "disk"))
}

/// A directory of another machine, as NFS has it: `nas:/export`.
fn export(text: &str) -> Found {
    let host = run(text, |c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '@'));
    (host > 1 && text[host..].starts_with(":/")).then(|| (token(text), "export"))
}

/// What a name with dots ends with if it is a file or a unit, and no domain of the internet.
const FILES: &str = " automount aml bin bls cfg conf cpio csv d device efi fd gz hook img install iso json ko link log lz4 mount \
    netdev network nvram path preset py qcow2 raw rom rs rules scope service sh slice snapshot so socket swap target timer \
    tmp txt vmdk vdi wants xml xz zst zstd bak old new orig default pid sock sizes stub kver lock sys dll exe md vfd fstab vars ";

/// An address of mail, or a name of the internet.
fn mail_or_domain(text: &str) -> Found {
    let name = |text: &str| run(text, |c| c.is_alphanumeric() || matches!(c, '.' | '-'));
    let user = run(text, |c| is_word(c) || matches!(c, '.' | '-' | '+' | '%' | '='));
    if let Some(host) = text[user..].strip_prefix('@') {
        let end = host[..name(host)].trim_end_matches(['.', '-']);
        return is_domain(end).then_some((user + 1 + end.len(), "mail"));
    }
    let end = text[..name(text)].trim_end_matches(['.', '-']);
    // A parameter of a module is none.
    let ends = !text[end.len()..].starts_with(|c| is_word(c) || c == '=');
    (ends && is_domain(end)).then_some((end.len(), "domain"))
}

/// Whether the last part can be a domain of the top level and is not a file's.
fn is_domain(name: &str) -> bool {
    let Some((above, last)) = name.rsplit_once('.') else { return false };
    let top = last.len() > 1 && last.chars().all(char::is_alphabetic) || last.starts_with("xn--");
    let parts = above.split('.').all(|part| !part.is_empty()) && above.contains(char::is_alphabetic);
    top && parts && !FILES.contains(&format!(" {last} "))
}

/// What is as long and as mixed as only keys are; and those of products, five times five letters and digits.
fn long(text: &str) -> Found {
    let length = run(text, |c| c.is_ascii_alphanumeric() || matches!(c, '+' | '=' | '_'));
    let has = |fits: fn(&u8) -> bool| text[..length].bytes().filter(fits).count();
    let (digits, small, capitals) = (has(u8::is_ascii_digit), has(u8::is_ascii_lowercase), has(u8::is_ascii_uppercase));
    // A module's alias is as long, and says what a report is for.
    let alias = text.starts_with("v0000");
    if length >= 20 && digits > 1 && !alias && (small > 1 && capitals > 1 || small == 0 && capitals > 5) {
        return Some((length, "key"));
    }
    let product = text.len() >= 29 && text.is_char_boundary(29) && {
        let mut groups = text[..29].split('-');
        groups.all(|group| group.len() == 5 && group.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()))
    };
    (product && !text[29..].starts_with(is_word)).then_some((29, "key"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_known_by_its_form() {
        for (text, kind) in [
            ("0b8e1a2c-1234-4abc-9def-0123456789ab", "uuid"),
            ("1A2B-3C4D", "uuid"),
            ("1a2b3c4d-02", "uuid"),
            ("01D9A3B4C5D6E7F8", "uuid"),
            ("2f3a4b5c:6d7e8f90:a1b2c3d4:e5f60718", "uuid"),
            ("2023-01-02-03-04-05-00", "uuid"),
            ("AbCdEf-0123-4567-89ab-cdEF-ghij-klmnop", "uuid"),
            ("0123456789abcdef0123456789abcdef", "id"),
            ("12345678901234567", "id"),
            ("0x5000c500a1b2c3d4", "id"),
            ("wwn-0x5000c500a1b2c3d4-part1", "id"),
            ("eui.0025385b71b0a1c2", "id"),
            ("naa.5000c500a1b2c3d4", "id"),
            ("nqn.2014-08.org.nvmexpress:uuid:0b8e1a2c", "id"),
            ("iqn.2001-04.com.example:storage.disk1", "id"),
            ("SHA256:AbCdEfGhIjKlMnOp0123456789", "id"),
            ("52:54:00:12:34:56", "mac"),
            ("01-52-54-00-12-34-56", "mac"),
            ("52-54-00-12-34-56", "mac"),
            ("dev_52_54_00_12_34_56".trim_start_matches("dev_"), "mac"),
            ("5254.0012.3456", "mac"),
            ("525400abcdef", "mac"),
            ("enx525400123456", "mac"),
            ("192.168.178.20", "ip"),
            ("192.168.178.20:5900", "ip"),
            ("192.168.178.0/24", "ip"),
            ("fe80::1a2b:3cff:fe4d:5e6f%eth0", "ip"),
            ("2001:db8:1:2:3:4:5:6", "ip"),
            ("2001:db8::/32", "ip"),
            ("nvme-Samsung_SSD_990_PRO_2TB_S7DNNJ0W-part2", "disk"),
            ("ata-WDC_WD40EFRX-68N32N0_WD-WCC7K1234567", "disk"),
            ("dm-name-vg-anna", "disk"),
            ("anna.smith@example.com", "mail"),
            ("nas:/srv/anna", "export"),
            ("nas.corp.example.com", "domain"),
            ("tower.local", "domain"),
            ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA", "key"),
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIi.abc", "id"),
            ("ghp_16C7e42F292c6912E7710c838", "key"),
            ("AKIAIOSFODNN7EXAMPL2", "key"),
            ("VK7JG-NPHTM-C97JM-9MPGT-3V66T", "key"),
        ] {
            assert_eq!(at(text), Some((text.len(), kind)), "{text}");
            let sentence = format!("{text}, and more");
            assert_eq!(at(&sentence), Some((text.len(), kind)), "{sentence}");
        }
    }

    #[test]
    fn what_a_report_is_for_is_of_no_kind() {
        for text in [
            "0000:03:00.0",
            "10000:e1:00.0",
            "1002:73bf",
            "1002:73bf:1da2:e445",
            "6.12.94+deb13-amd64",
            "6.12.0-rc1",
            "vfio.conf",
            "/etc/vfio.conf:3",
            "vfio-bind@big.service",
            "user@1000.service",
            "session-2.scope",
            "nvme0n1p2",
            "card0-HDMI-A-1",
            "snd_hda_intel",
            "vfio_pci.ids=10de:1e87",
            "amdgpu.dc=1",
            "i915.enable_guc=3",
            "initramfs-6.12.94.img",
            "0.1.0",
            "0x0000008000000000",
            "0x030000",
            "efi",
            "e.g. this",
            "70-vfio.rules",
            "vmlinuz-6.12.94+deb13-amd64",
            "part",
            "v00001002d000073BFsv00001DA2sd0000E445bc03sc00i00",
            "dmar0",
            "feed",
            "12",
            "IOMMU",
            "::",
        ] {
            assert_eq!(at(text), None, "{text}");
        }
    }
}
