// SPDX-License-Identifier: LGPL-2.1-or-later
//! `/etc/kernel/cmdline`: nothing but the command line (kernel-install(8)).
//!
//! Line ends are blanks to it, and lines that begin with `#` are comments (systemd before 253 passes those on to the kernel).

use super::super::line::{self, Change, Cuts};
use super::Line;

/// The text with its comments blanked out, every byte where it was.
fn without_comments(text: &str) -> String {
    let blank = |line: &str| {
        if line.trim_start().starts_with('#') {
            line.bytes().map(|b| if b == b'\n' { '\n' } else { ' ' }).collect()
        } else {
            line.to_owned()
        }
    };
    text.split_inclusive('\n').map(blank).collect()
}

/// The one command line, which is the whole file.
pub fn lines(text: &str) -> Vec<Line> {
    let bare = without_comments(text);
    let parameters = line::parameters(&bare).into_iter().map(|range| bare[range].to_owned()).collect();
    vec![Line { parameters, ..Line::new("", 1, 0..text.len()) }]
}

/// Changes it.
pub fn edit(raw: &str, change: &Change<'_>) -> Option<String> {
    let bare = without_comments(raw);
    let mut cuts = line::cuts(&bare, change);
    if cuts.insert_at == 0 && !cuts.insert.is_empty() {
        cuts = in_a_line_of_its_own(raw, cuts);
    }
    cuts.apply(raw)
}

/// Where no parameter is left: the first line that is not a comment, or one after all of them.
fn in_a_line_of_its_own(raw: &str, cuts: Cuts) -> Cuts {
    let mut at = 0;
    for line in raw.split_inclusive('\n') {
        if !line.trim_start().starts_with('#') {
            return Cuts { insert_at: at, ..cuts };
        }
        at += line.len();
    }
    let before = if raw.is_empty() || raw.ends_with('\n') { "" } else { "\n" };
    Cuts { insert: format!("{before}{}\n", cuts.insert), insert_at: raw.len(), ..cuts }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(raw: &str) -> String {
        edit(raw, &Change { remove: &[], add: &["iommu=pt".to_owned()] }).unwrap_or_default()
    }

    #[test]
    fn words_go_after_the_last_word_and_never_into_a_comment() {
        for (raw, with) in [
            ("root=/dev/vda ro\n", "root=/dev/vda ro iommu=pt\n"),
            ("root=/dev/vda ro", "root=/dev/vda ro iommu=pt"),
            ("root=/dev/vda\r\nro\r\n", "root=/dev/vda\r\nro iommu=pt\r\n"),
            ("ro\n# iommu=pt\n", "ro iommu=pt\n# iommu=pt\n"),
            ("# only this", "# only this\niommu=pt\n"),
            ("# only this\n\n", "# only this\niommu=pt\n"),
            ("", "iommu=pt\n"),
            ("\n", "iommu=pt\n"),
        ] {
            assert_eq!(added(raw), with, "{raw:?}");
            assert_eq!(lines(with)[0].parameters.last().map(String::as_str), Some("iommu=pt"), "{with:?}");
        }
    }

    #[test]
    fn a_word_of_ours_is_found_in_any_line() {
        let ours = ["iommu=pt".to_owned()];
        let gone = |raw: &str| edit(raw, &Change { remove: &ours, add: &[] }).unwrap_or_default();
        assert_eq!(gone("ro iommu=pt\nquiet\n"), "ro\nquiet\n");
        assert_eq!(gone("# x\niommu=pt\nquiet\n"), "# x\n\nquiet\n");
    }
}
