// SPDX-License-Identifier: LGPL-2.1-or-later
//! A line of a log: when it was written, by whom, and which PCI functions it names.

use crate::finding::codes::logs::LogSource;
use crate::pci::{Address, Slot};

/// Seconds of a day.
const DAY: i64 = 86_400;

/// A line, as far as it could be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'l> {
    /// When it was written, in seconds since 1970; `None` if that is not known.
    pub time: Option<i64>,
    /// Who wrote it.
    pub source: LogSource,
    /// What it says.
    pub text: &'l str,
}

/// A line as journalctl(1) prints it with `--output=short-unix --no-hostname`: `1700000000.123456 kernel: text`.
pub fn journal_line(line: &str) -> Line<'_> {
    let (time, rest) = match line.split_once(' ') {
        Some((stamp, rest)) if stamp.starts_with(|c: char| c.is_ascii_digit()) => {
            (stamp.split('.').next().and_then(|seconds| seconds.parse().ok()), rest)
        }
        _ => (None, line),
    };
    let (writer, text) = rest.split_once(": ").unwrap_or(("", rest));
    let source = match writer.split('[').next().unwrap_or_default() {
        "kernel" => LogSource::Kernel,
        "audit" => LogSource::Audit,
        _ => LogSource::Libvirt,
    };
    // Of what goes on in a second line, and of what names nobody, all is text.
    let is_name = !writer.is_empty() && !writer.contains(' ');
    Line { time, source, text: if is_name { text } else { rest } }
}

/// A line of a domain's log: QEMU writes the time as `2024-01-02T03:04:05.678901Z` (`util/error-report.c`), libvirt as
/// `2024-01-02 03:04:05.678+0000: ` (`src/util/virlog.c`), both in UTC.
pub fn domain_line(line: &str) -> Line<'_> {
    Line { time: line.get(..19).and_then(moment), source: LogSource::Qemu, text: line }
}

/// A line of audit.log: `type=AVC msg=audit(1700000000.123:456): text` (auditd.conf(5)).
pub fn audit_line(line: &str) -> Line<'_> {
    let stamp = line.split_once("audit(").and_then(|(_, rest)| rest.split('.').next());
    Line { time: stamp.and_then(|seconds| seconds.parse().ok()), source: LogSource::Audit, text: line }
}

/// Seconds since 1970 of `2024-01-02T03:04:05`, with a blank or a `T` in the middle.
pub fn moment(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let marks = [(4, b"-"), (7, b"-"), (13, b":"), (16, b":")];
    if bytes.len() != 19 || !matches!(bytes[10], b' ' | b'T') || marks.iter().any(|(at, mark)| bytes[*at] != mark[0]) {
        return None;
    }
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<u32>().ok().map(i64::from);
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    Some(days(year, month, day) * DAY + hour * 3600 + minute * 60 + second)
}

/// Days since 1970 of a date of the Gregorian calendar, with years that begin in March.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + (153 * month + 2) / 5 + day
        - 719_469
}

/// A moment as `2024-01-02 03:04:05 UTC`.
pub fn shown(time: i64) -> String {
    let (mut day, second) = (time.div_euclid(DAY), time.rem_euclid(DAY));
    // Steps of a year at most: exact whatever the year is.
    let mut year = 1970 + day.div_euclid(366);
    while days(year + 1, 1, 1) <= day {
        year += 1;
    }
    let month = (1..=12).rev().find(|month| days(year, *month, 1) <= day).unwrap_or(1);
    day -= days(year, month, 1);
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!("{year:04}-{month:02}-{:02} {hour:02}:{minute:02}:{:02} UTC", day + 1, second % 60)
}

/// The PCI functions that a line names, each once, in any form that is in use: `0000:01:00.0`, `01:00.0` as DMAR and lspci have
/// it, `PCI:0000:01:00` without a function as NVIDIA's driver does, `pci_0000_01_00_0` as libvirt calls node devices.
pub fn addresses(line: &str) -> Vec<Address> {
    let mut found: Vec<Address> = Vec::new();
    let is_part = |c: char| c.is_ascii_hexdigit() || matches!(c, ':' | '.' | '_');
    for word in line.split(|c: char| !is_part(c)) {
        // Words are short where they are addresses: nothing here grows with what somebody writes.
        let word = word.trim_matches(['.', ':', '_']);
        if !(7..=20).contains(&word.len()) {
            continue;
        }
        if let Some(address) = address(word).filter(|address| !found.contains(address)) {
            found.push(address);
        }
    }
    found
}

fn address(word: &str) -> Option<Address> {
    let plain;
    let word = if word.contains('_') {
        let mut parts = word.rsplitn(2, '_');
        let (function, slot) = (parts.next()?, parts.next()?);
        plain = format!("{}.{function}", slot.replace('_', ":"));
        plain.as_str()
    } else {
        word
    };
    let (slot, function) = match word.split_once('.') {
        Some((slot, function)) => (slot, Some(function)),
        None => (word, None),
    };
    let parts: Vec<&str> = slot.split(':').collect();
    let (domain, bus, device) = match (parts.as_slice(), function) {
        ([domain, bus, device], _) if (4..=8).contains(&domain.len()) => (*domain, *bus, *device),
        // Without a domain and a function it may as well be a time.
        ([bus, device], Some(_)) => ("0", *bus, *device),
        _ => return None,
    };
    let number = |text: &str| u32::from_str_radix(text, 16).ok();
    let byte = |text: &str| number(text).filter(|_| text.len() == 2).and_then(|number| u8::try_from(number).ok());
    let device = byte(device).filter(|device| *device < 32)?;
    let function = match function {
        None => 0,
        Some(text) => {
            number(text).filter(|function| text.len() == 1 && *function < 8).map(|function| function as u8)?
        }
    };
    Some(Slot { domain: number(domain)?, bus: byte(bus)?, device }.function(function))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_an_address_is_read() {
        for (line, expected) in [
            ("vfio-pci 0000:01:00.0: BAR 1", &["0000:01:00.0"][..]),
            ("DMAR: [DMA Read NO_PASID] Request device [01:00.0] fault addr 7a000000", &["0000:01:00.0"]),
            ("AMD-Vi: Event logged [IO_PAGE_FAULT device=0a:1f.7 domain=0x000e]", &["0000:0a:1f.7"]),
            ("NVRM: Xid (PCI:0000:01:00): 79, pid=1", &["0000:01:00.0"]),
            ("NVRM: GPU 0000:01:00.0: GPU has fallen off the bus.", &["0000:01:00.0"]),
            ("internal error: Unknown PCI header type '127' for device '0000:01:00.0'", &["0000:01:00.0"]),
            (r#"-device {"driver":"vfio-pci","host":"0000:0A:00.1","id":"hostdev1"}: x"#, &["0000:0a:00.1"]),
            ("node device pci_0000_01_00_0 is gone", &["0000:01:00.0"]),
            ("pcieport 10000:e0:06.0: AER: from 10000:e1:00.0", &["10000:e0:06.0", "10000:e1:00.0"]),
            ("/sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0/x", &["0000:00:01.0", "0000:01:00.0"]),
            ("0000:01:00.0 and 0000:01:00.0", &["0000:01:00.0"]),
            ("at 12:34:56 and 2024-01-02T03:04:05.678901Z", &[]),
            ("0000:01:20.0 0000:01:00.8 ::1 fe80:1:2.3 [mem 0xe0000000-0xefffffff 64bit]", &[]),
        ] {
            let found: Vec<String> = addresses(line).iter().map(ToString::to_string).collect();
            assert_eq!(found, expected, "{line}");
        }
    }

    #[test]
    fn moments_are_those_of_the_calendar() {
        for (text, time) in [
            ("1970-01-01T00:00:00", 0),
            ("2000-02-29 12:00:00", 951_825_600),
            ("2024-03-01T00:00:00", 1_709_251_200),
            ("2099-12-31 23:59:59", 4_102_444_799),
        ] {
            assert_eq!(moment(text), Some(time), "{text}");
            assert_eq!(shown(time), format!("{} UTC", text.replace('T', " ")));
        }
        for text in ["", "2024-13-01 00:00:00", "2024-01-01x00:00:00", "2024-01-01 0é:00:00", "+024-01-01 00:00:00 "] {
            assert_eq!(moment(text), None, "{text}");
        }
    }

    #[test]
    fn a_line_of_each_log_is_understood() {
        let line = journal_line("1700000000.123456 kernel: vfio-pci 0000:01:00.0: resetting");
        assert_eq!(
            (line.time, line.source, line.text),
            (Some(1_700_000_000), LogSource::Kernel, "vfio-pci 0000:01:00.0: resetting")
        );
        let line = journal_line("1700000000.123456 libvirtd[812]: internal error: x");
        assert_eq!((line.source, line.text), (LogSource::Libvirt, "internal error: x"));
        assert_eq!(journal_line("1700000000.1 audit[1]: AVC apparmor").source, LogSource::Audit);
        assert_eq!(journal_line("    goes on: here").text, "    goes on: here");
        let line = domain_line("2024-03-01T00:00:00.5Z qemu-system-x86_64: vfio: stuck");
        assert_eq!((line.time, line.source), (Some(1_709_251_200), LogSource::Qemu));
        assert_eq!(domain_line("é").time, None);
        assert_eq!(audit_line("type=AVC msg=audit(1700000000.123:456): x").time, Some(1_700_000_000));
    }
}
