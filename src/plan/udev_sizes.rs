// SPDX-License-Identifier: LGPL-2.1-or-later
//! Udev rules that write BAR sizes, as guides pass them on, to lines of our configuration.

use crate::host::bars::show_size;
use std::fmt::Write;

/// What rules say of one card.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// As `device` takes it: vendor and device, or an address.
    pub device: String,
    /// Number and bytes of each BAR, sorted.
    pub bars: Vec<(u8, u64)>,
}

/// All cards in the text of a rules file, and a sentence for each line that writes a size and cannot be understood.
pub fn read(text: &str) -> (Vec<Found>, Vec<String>) {
    let (mut found, mut problems): (Vec<Found>, Vec<String>) = (Vec::new(), Vec::new());
    let joined = text.replace("\\\n", " ");
    for line in joined.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        let words = words(line);
        let matched = |key: &str| words.iter().find(|(k, op, _)| *k == key && *op == "==").map(|(_, _, value)| *value);
        let ids = matched("ATTR{vendor}").zip(matched("ATTR{device}")).and_then(|(v, d)| Some((id(v)?, id(d)?)));
        let address = matched("KERNEL").filter(|name| name.parse::<crate::pci::Address>().is_ok());
        let device = address.map(str::to_owned).or_else(|| ids.map(|(v, d)| format!("{v:04x}:{d:04x}")));
        for (key, _, value) in words.iter().filter(|(_, op, _)| *op == "=") {
            let Some(bar) = key.strip_prefix("ATTR{resource").and_then(|rest| rest.strip_suffix("_resize}")) else {
                continue;
            };
            let bar = bar.parse::<u8>().ok().filter(|bar| *bar < 6);
            let size = number(value).filter(|n| *n < 28).map(|n| 1 << (n + 20));
            let (Some(device), Some(bar), Some(size)) = (&device, bar, size) else {
                problems.push(format!("'{line}' does not say which card it means, or which size"));
                continue;
            };
            let at = found.iter().position(|f| f.device == *device).unwrap_or_else(|| {
                found.push(Found { device: device.clone(), bars: Vec::new() });
                found.len() - 1
            });
            // The last rule is the one that udev writes last.
            found[at].bars.retain(|(other, _)| *other != bar);
            found[at].bars.push((bar, size));
            found[at].bars.sort_unstable();
        }
    }
    (found, problems)
}

/// The lines of a section.
pub fn section(name: &str, found: &Found) -> String {
    let mut text = format!("[gpu {name}]\ndevice = {}\n", found.device);
    for (bar, size) in &found.bars {
        // Writing to a text does not fail.
        let _ = writeln!(text, "bar{bar} = {}", show_size(*size));
    }
    text
}

/// Vendor and device of ids as they are written, `1002:73bf`.
fn ids_of(text: &str) -> Option<(u16, u16)> {
    let mut ids = text.split(':').map_while(|id| u16::from_str_radix(id, 16).ok());
    ids.next().zip(ids.next())
}

/// Whether a card is one of AMD's RX 6000 series (Navi 21 to 24), by its vendor and device.
fn is_navi_2((vendor, device): (u16, u16)) -> bool {
    vendor == 0x1002 && matches!(device, 0x73a0..=0x73ff | 0x7420..=0x743f)
}

/// The same, by its ids as they are written.
pub fn is_of_amd_6000(ids: &str) -> bool {
    ids_of(ids).is_some_and(is_navi_2)
}

/// What is known to go wrong with these sizes.
pub fn remark(found: &Found) -> Option<String> {
    let card = ids_of(&found.device)?;
    found.bars.iter().any(|(bar, size)| *bar == 2 && is_too_large(card, *size)).then(|| {
        format!(
            "{}: Windows' driver for an RX 6000 reports Code 43 unless BAR 2 has 8M; write bar2 = 8M for it",
            found.device
        )
    })
}

/// Whether Windows' driver for this card, by vendor and device, reports Code 43 with a BAR 2 of this size: the RX 6000 series
/// (Navi 21 to 24) wants 8M.
pub fn is_too_large(card: (u16, u16), size: u64) -> bool {
    is_navi_2(card) && size > 8 << 20
}

/// Keys, operators and values of a rule: `KEY{attribute}=="value"`, with commas between them.
fn words(line: &str) -> Vec<(&str, &str, &str)> {
    let mut words = Vec::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('"') {
        let Some((value, next)) = after.split_once('"') else { break };
        // e"..." and i"..." are quoted otherwise.
        let before = before.trim_end_matches(['e', 'i']).trim_end();
        let key = before.trim_end_matches(['=', '!', '+', '-', ':']);
        words.push((key.trim_matches([',', ' ', '\t']), &before[key.len()..], value));
        rest = next;
    }
    words
}

/// Four hexadecimal digits after 0x.
fn id(text: &str) -> Option<u16> {
    u16::from_str_radix(text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?, 16).ok()
}

/// A number as the attribute takes it: decimal, 0x and hexadecimal, 0 and octal.
fn number(text: &str) -> Option<u32> {
    match (text.strip_prefix("0x"), text.strip_prefix('0').filter(|rest| !rest.is_empty())) {
        (Some(hex), _) => u32::from_str_radix(hex, 16).ok(),
        (None, Some(octal)) => u32::from_str_radix(octal, 8).ok(),
        (None, None) => text.parse().ok(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::{parse_files, BarSize};

    /// As a guide has it.
    const RULES: &str = r#"# /etc/udev/rules.d/01-amd.rules
ACTION=="add", SUBSYSTEM=="pci", ATTR{vendor}=="0x1002", ATTR{device}=="0x73bf", ATTR{resource0_resize}="14"
ACTION=="add", SUBSYSTEM=="pci", ATTR{vendor}=="0x1002", ATTR{device}=="0x73bf", ATTR{resource2_resize}="8"
"#;

    #[test]
    fn a_guides_rules_become_a_section() {
        let (found, problems) = read(RULES);
        assert_eq!((found.len(), problems.len()), (1, 0), "{problems:?}");
        let text = section("big", &found[0]);
        assert_eq!(text, "[gpu big]\ndevice = 1002:73bf\nbar0 = 16G\nbar2 = 256M\n");
        let config = parse_files(&[("/etc/vfio.conf", text.as_bytes())]);
        assert_eq!(config.diagnostics, []);
        let size = |bar: usize| config.gpus[0].bars[bar].as_ref().map(|at| at.value);
        assert_eq!((size(0), size(2)), (Some(BarSize::Bytes(16 << 30)), Some(BarSize::Bytes(256 << 20))));
        assert!(remark(&found[0]).unwrap().contains("bar2 = 8M"));
        let good = Found { bars: vec![(0, 16 << 30), (2, 8 << 20)], ..found[0].clone() };
        assert_eq!(remark(&good), None);
        let other = Found { device: "10de:2684".to_owned(), ..found[0].clone() };
        assert_eq!(remark(&other), None);
    }

    #[test]
    fn other_ways_to_write_a_rule() {
        let rules = "KERNEL==\"0000:03:00.0\", \\\n ATTR{resource1_resize}=\"0x0f\"\n\
            ATTR{vendor}==\"0x8086\",ATTR{device}==i\"0xE20B\",ATTR{resource2_resize}=\"015\", ATTR{resource2_resize}=\"14\"\n\
            ATTR{resource0_resize}==\"14\", RUN+=\"x\"\n";
        let (found, problems) = read(rules);
        assert_eq!(problems, [] as [&str; 0]);
        assert_eq!(found[0], Found { device: "0000:03:00.0".to_owned(), bars: vec![(1, 32 << 30)] });
        assert_eq!(found[1], Found { device: "8086:e20b".to_owned(), bars: vec![(2, 16 << 30)] });
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn what_cannot_be_understood_is_said() {
        for rule in [
            "ATTR{resource0_resize}=\"14\"",
            "ATTR{vendor}==\"0x1002\", ATTR{resource0_resize}=\"14\"",
            "KERNEL==\"0000:03:00.0\", ATTR{resource0_resize}=\"max\"",
            "KERNEL==\"0000:03:00.0\", ATTR{resource7_resize}=\"14\"",
            "KERNEL==\"0000:03:00.0\", ATTR{resource0_resize}=\"99\"",
        ] {
            let (found, problems) = read(rule);
            assert_eq!((found.len(), problems.len()), (0, 1), "{rule}");
        }
        assert_eq!(read("# ATTR{resource0_resize}=\"14\"\n\"\n\"\"\"==\n"), (Vec::new(), Vec::new()));
    }
}
