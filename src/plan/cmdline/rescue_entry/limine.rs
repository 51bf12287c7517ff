// SPDX-License-Identifier: LGPL-2.1-or-later
//! The boot entry without us at the end of a `limine.conf`, made from the first entry of this system.

use super::{parameters, Line};
use crate::host::boot::rescue_entry::TITLE;
use crate::host::boot::Format;
use crate::plan::cmdline::format::{self, Problem};
use crate::plan::cmdline::line::Change;

/// An entry or a directory of the menu: its sign, how deep it is, whether it is shown opened, its name.
struct Header<'t> {
    sign: char,
    depth: usize,
    is_open: bool,
    name: &'t str,
}

impl<'t> Header<'t> {
    fn of(line: &'t str) -> Option<Header<'t>> {
        let bare = line.trim();
        let sign = bare.chars().next().filter(|sign| matches!(sign, '/' | ':'))?;
        let rest = bare.trim_start_matches(sign);
        let name = rest.strip_prefix('+').unwrap_or(rest).trim();
        Some(Header { sign, depth: bare.len() - rest.len(), is_open: rest.starts_with('+'), name })
    }
}

/// The lines of ours, from a text without any.
pub(super) fn lines(text: &str, line: &Line, ours: &[String]) -> Result<Vec<String>, Problem> {
    let all: Vec<&str> = text.lines().collect();
    let at = line.number.saturating_sub(1);
    let begin = all.iter().take(at).rposition(|line| Header::of(line).is_some()).unwrap_or_default();
    let mut way: Vec<Header<'_>> = Vec::new();
    for header in all.iter().take(begin + 1).filter_map(|line| Header::of(line)) {
        way.truncate(header.depth.saturating_sub(1));
        way.push(header);
    }
    let names: Vec<&str> = way.iter().map(|header| header.name).collect();
    let sign = way.last().map_or('/', |header| header.sign);
    let mut found = vec![format!("{sign}{}{TITLE}", names.join(", "))];
    for (number, other) in all.iter().enumerate().skip(begin + 1) {
        match other.trim() {
            _ if Header::of(other).is_some() => break,
            "" => {}
            comment if comment.starts_with('#') => {}
            _ if number == at => {
                let raw = &text[line.span.clone()];
                let key = other.strip_suffix(raw).unwrap_or_default();
                let change = Change { remove: ours, add: &parameters(&line.parameters) };
                found.push(format!("{key}{}", format::edit(Format::Limine, raw, &change)?));
            }
            _ => found.push((*other).to_owned()),
        }
    }
    Ok(found)
}

/// The number that `default_entry` says, if that is behind the last entry that is shown: Limine takes another one then, and
/// with one more entry it would be that.
pub(super) fn default_behind_last(text: &str) -> Option<usize> {
    let value = |line: &str| {
        let (key, value) = line.split_once([':', '='])?;
        if key.trim().eq_ignore_ascii_case("default_entry") {
            value.trim().parse::<usize>().ok()
        } else {
            None
        }
    };
    let default = text.lines().take_while(|line| Header::of(line).is_none()).filter_map(value).next()?;
    // Whether each directory on the way is opened.
    let (mut open, mut shown): (Vec<bool>, usize) = (Vec::new(), 0);
    for header in text.lines().filter_map(Header::of) {
        open.truncate(header.depth.saturating_sub(1));
        shown += usize::from(open.iter().all(|open| *open));
        open.push(header.is_open);
    }
    (default > shown).then_some(default)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn made(text: &str) -> Vec<String> {
        let line = format::lines(Format::Limine, text).unwrap().remove(0);
        lines(text, &line, &["iommu=pt".to_owned()]).unwrap()
    }

    #[test]
    fn an_entry_from_the_first_of_this_system() {
        let text = "timeout: 5\n\n/Arch Linux\n    protocol: linux\n    # x\n    path: boot():/vmlinuz\n    \
                    cmdline: root=UUID=1 rw iommu=pt ${X}\n    module_path: boot():/initrd\n\n/Other\n    cmdline: root=x\n";
        assert_eq!(
            made(text),
            [
                "/Arch Linux (without VFIO)",
                "    protocol: linux",
                "    path: boot():/vmlinuz",
                "    cmdline: root=UUID=1 rw ${X} vfio=off",
                "    module_path: boot():/initrd",
            ]
        );
        let deep = "/+Arch\n//Tools\n///x\n//linux\nprotocol: linux\ncmdline: ro\n";
        assert_eq!(made(deep)[..2], ["/Arch, linux (without VFIO)", "protocol: linux"]);
        assert_eq!(
            made(":Arch\nPROTOCOL=linux\nCMDLINE=ro")[..],
            [":Arch (without VFIO)", "PROTOCOL=linux", "CMDLINE=ro vfio=off"]
        );
    }

    #[test]
    fn a_default_that_would_be_ours() {
        for (text, behind) in [
            ("default_entry: 2\n/a\n/b\n", None),
            ("default_entry: 3\n/a\n/b\n", Some(3)),
            ("DEFAULT_ENTRY=3\n:a\n:b\n", Some(3)),
            ("default_entry: 3\n/+a\n//b\n//c\n", None),
            ("default_entry: 3\n/a\n//b\n//c\n", Some(3)),
            ("default_entry: a\n/a\n", None),
            ("/a\ndefault_entry: 3\n", None),
            ("/a\n", None),
        ] {
            assert_eq!(default_behind_last(text), behind, "{text}");
        }
    }
}
