// SPDX-License-Identifier: LGPL-2.1-or-later
//! `limine.conf`: an entry begins with its name after slashes, and `cmdline: ...` in it is its command line. Before version 8,
//! `limine.cfg`: colons, and `CMDLINE=...`.
//!
//! Names of options are the same in capitals; blanks before a line do not count (Limine's CONFIG.md). Macros (`${...}`) are
//! parameters as others are.

use super::super::line::{self, Change, Cuts};
use super::refind::{title, unlike};
use super::{Line, Owner};
use std::ops::Range;

/// So many directories of the menu tell an entry from others.
const DEEP: usize = 16;
/// The directory in which limine-snapper-sync puts entries.
const SNAPSHOTS: &str = "Snapshots";
/// What stands before a machine-id(5) in the comments of limine-entry-tool.
const MACHINE: &str = "machine-id=";

/// An entry of the menu.
struct Entry {
    /// Its name after those of the directories that it is in.
    path: String,
    owner: Owner,
    protocol: Option<String>,
    /// The values of its command lines, with the sign before them, and the number of the line.
    found: Vec<(Range<usize>, usize)>,
}

/// The entries and directories from the top of the menu to where the reader is: the name of each, and what its comment says.
#[derive(Default)]
struct Way(Vec<(String, Option<String>)>);

impl Way {
    fn enter(&mut self, depth: usize, name: &str) {
        self.0.truncate(depth.saturating_sub(1));
        self.0.push((name.to_owned(), None));
    }

    fn comment(&mut self, text: &str) {
        let machine = text.split_whitespace().find_map(|part| part.strip_prefix(MACHINE));
        if let (Some((_, of)), Some(machine)) = (self.0.last_mut(), machine) {
            *of = Some(machine.to_owned());
        }
    }

    /// Names; what is deeper than any menu is told apart by numbers.
    fn path(&self) -> String {
        let names: Vec<&str> = self.0[self.0.len().saturating_sub(DEEP)..].iter().map(|(name, _)| &**name).collect();
        names.join("/")
    }

    fn owner(&self) -> Owner {
        if self.0.iter().any(|(name, _)| name.eq_ignore_ascii_case(SNAPSHOTS)) {
            return Owner::Snapshot;
        }
        let said = self.0.iter().rev().find_map(|(_, machine)| machine.clone());
        said.map_or(Owner::NotSaid, Owner::Machine)
    }
}

/// The option of a line: its name, and its value with the sign before it.
fn option(line: &str, sign: char) -> Option<(String, Range<usize>)> {
    let at = line.find(sign)?;
    Some((line[..at].trim_start_matches([' ', '\t']).to_ascii_lowercase(), at..line.len()))
}

/// The command lines of entries that start a Linux kernel.
pub fn lines(text: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut way = Way::default();
    let mut entry: Option<Entry> = None;
    let (mut at, mut option_sign) = (0, ':');
    for (number, whole) in text.split_inclusive('\n').enumerate() {
        let start = at;
        at += whole.len();
        let line = whole.trim_end_matches(['\n', '\r']);
        let bare = line.trim_start_matches([' ', '\t']);
        if let Some(sign @ ('/' | ':')) = bare.chars().next() {
            lines.extend(entry.take().map(|entry| of_entry(text, entry)).unwrap_or_default());
            option_sign = if sign == '/' { ':' } else { '=' };
            let name = bare.trim_start_matches(sign);
            way.enter(bare.len() - name.len(), title(name.strip_prefix('+').unwrap_or(name).trim()));
            entry = Some(Entry { path: way.path(), owner: way.owner(), protocol: None, found: Vec::new() });
            continue;
        }
        let (Some(entry), Some((name, value)), false) = (&mut entry, option(line, option_sign), bare.starts_with('#'))
        else {
            continue;
        };
        match name.as_str() {
            "protocol" | "kernel_proto" => {
                entry.protocol = Some(line[value.start + 1..].trim().to_ascii_lowercase());
            }
            "comment" => {
                way.comment(&line[value.start + 1..]);
                entry.owner = way.owner();
            }
            "cmdline" | "kernel_cmdline" => entry.found.push((start + value.start..start + value.end, number + 1)),
            _ => {}
        }
    }
    lines.extend(entry.map(|entry| of_entry(text, entry)).unwrap_or_default());
    unlike(&mut lines);
    lines
}

fn of_entry(text: &str, entry: Entry) -> Vec<Line> {
    let is_kernel = entry.protocol.is_none_or(|protocol| protocol == "linux");
    let of = |(span, number): (Range<usize>, usize)| {
        let value = &text[span.start + 1..span.end];
        let parameters: Vec<String> =
            line::parameters(value).into_iter().map(|range| value[range].to_owned()).collect();
        // Firmware may be asked to start a kernel too; what else it starts takes no parameters of ours.
        let listed = is_kernel || parameters.iter().any(|parameter| parameter.starts_with("root="));
        let owner = entry.owner.clone();
        listed.then(|| Line { owner, ..Line::of_entry(&entry.path, number, span, parameters) })
    };
    entry.found.into_iter().filter_map(of).collect()
}

/// Changes it. The raw text is the value and the sign before it.
pub fn edit(raw: &str, change: &Change<'_>) -> Option<String> {
    let Some(sign) = raw.chars().next() else { return Some(String::new()) };
    let value = &raw[sign.len_utf8()..];
    let mut cuts = line::cuts(value, change);
    if cuts.insert_at == 0 && !cuts.insert.is_empty() {
        let blanks = value.len() - value.trim_start_matches([' ', '\t']).len();
        let blank = if blanks == 0 && sign == ':' { " " } else { "" };
        cuts = Cuts { insert_at: blanks, insert: format!("{blank}{}", cuts.insert), ..cuts };
    }
    Some(format!("{sign}{}", cuts.apply(value)?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<(String, usize, String)> {
        lines(text).into_iter().map(|l| (l.key, l.number, text[l.span].to_owned())).collect()
    }

    #[test]
    fn entries_of_both_syntaxes() {
        let new =
            "timeout: 5\n${OPTS}=quiet\n/+Arch\n  comment: a: b\n  //linux\n  protocol: linux\n  #cmdline: no\n  \
                   cmdline: root=UUID=1 rw ${OPTS}\n  //linux\n  Protocol: Linux\n\tKERNEL_CMDLINE:ro\r\n/Windows\n  \
                   protocol: efi\n  cmdline: x\n/UKI\n  protocol: efi\n  cmdline: root=/dev/vda\n";
        assert_eq!(
            shown(new),
            [
                ("Arch/linux".to_owned(), 8, ": root=UUID=1 rw ${OPTS}".to_owned()),
                ("Arch/linux #2".to_owned(), 11, ":ro".to_owned()),
                ("UKI".to_owned(), 17, ": root=/dev/vda".to_owned()),
            ]
        );
        let old = "TIMEOUT=5\n:Arch\nPROTOCOL=linux\nCMDLINE=root=/dev/vda rw\n:Other\nPROTOCOL=limine\nCMDLINE=x\n";
        assert_eq!(shown(old), [("Arch".to_owned(), 4, "=root=/dev/vda rw".to_owned())]);
    }

    #[test]
    fn entries_say_whose_they_are() {
        let menu = "/+CachyOS\ncomment: CachyOS\ncomment: machine-id=5f order-priority=50\n//linux\ncmdline: a\n\
                    //linux-fallback\ncmdline: b\n//Snapshots\n///2026-11-01\n////linux\ncmdline: c\n\
                    /Other\n//linux\ncmdline: d\n/Debian (rescue)\ncmdline: e\n/x\ncmdline: ro single\n";
        let found = lines(menu);
        let said: Vec<(bool, &Owner)> = found.iter().map(|line| (line.for_emergencies, &line.owner)).collect();
        let machine = Owner::Machine("5f".to_owned());
        let not = Owner::NotSaid;
        assert_eq!(
            said,
            [(false, &machine), (true, &machine), (false, &Owner::Snapshot), (false, &not), (true, &not), (true, &not)]
        );
    }

    #[test]
    fn words_go_after_the_last() {
        let add = ["iommu=pt".to_owned()];
        for (raw, with) in [
            (": ro ${X} ", ": ro ${X} iommu=pt "),
            (":", ": iommu=pt"),
            (":  ", ":  iommu=pt"),
            ("=", "=iommu=pt"),
            ("=ro", "=ro iommu=pt"),
        ] {
            assert_eq!(edit(raw, &Change { remove: &[], add: &add }).as_deref(), Some(with));
        }
        assert_eq!(edit(": iommu=pt", &Change { remove: &add, add: &["a".to_owned()] }).as_deref(), Some(": a"));
    }
}
