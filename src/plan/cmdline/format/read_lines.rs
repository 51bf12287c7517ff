// SPDX-License-Identifier: LGPL-2.1-or-later
//! A command line in lines that a script reads with `while read`: lines that begin with `#` are left out, and so is a last
//! line without a line end (sdbootutil, `create_boot_options`).

use super::super::line::{self, Change, Cuts};
use super::Line;

/// The text with what is not read blanked out, every byte where it was.
fn read(text: &str) -> String {
    let blank = |line: &str| {
        if line.trim_start().starts_with('#') || !line.ends_with('\n') {
            line.bytes().map(|b| if b == b'\n' { '\n' } else { ' ' }).collect()
        } else {
            line.to_owned()
        }
    };
    text.split_inclusive('\n').map(blank).collect()
}

/// The one command line, which is the whole file.
pub fn lines(text: &str) -> Vec<Line> {
    vec![Line { parameters: super::parameters(&read(text)), ..Line::new("", 1, 0..text.len()) }]
}

/// Changes it.
pub fn edit(raw: &str, change: &Change<'_>) -> Option<String> {
    let cuts = line::cuts(&read(raw), change);
    // Where no parameter is left, a line of its own, before what has no line end.
    let cuts = match (cuts.insert_at, cuts.insert.is_empty()) {
        (0, false) => Cuts { insert: format!("{}\n", cuts.insert), ..cuts },
        _ => cuts,
    };
    cuts.apply(raw)
}

/// A last line without a line end: its number, from 1, and its parameters, of which there is at least one.
pub fn open_line(text: &str) -> Option<(usize, Vec<String>)> {
    let (at, last) = text.split_inclusive('\n').enumerate().last().filter(|(_, line)| !line.ends_with('\n'))?;
    let parameters = super::parameters(last);
    (!last.trim_start().starts_with('#') && !parameters.is_empty()).then_some((at + 1, parameters))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_script_reads() {
        // Seen with sdbootutil of August 2026: its own reader, on these bytes.
        for (text, parameters) in [
            ("root=UUID=78 quiet\n", "root=UUID=78 quiet"),
            ("root=UUID=78 quiet", ""),
            ("a\nb", "a"),
            ("#c\n  #d\n  x=1  y  \nz\n\n", "x=1 y z"),
            ("", ""),
        ] {
            assert_eq!(lines(text)[0].parameters.join(" "), parameters, "{text:?}");
        }
        assert_eq!(open_line("a\nb c"), Some((2, vec!["b".to_owned(), "c".to_owned()])));
        assert_eq!((open_line("a\n"), open_line("a\n "), open_line("a\n# b"), open_line("")), (None, None, None, None));
    }

    #[test]
    fn parameters_go_where_they_are_read() {
        let added = |raw: &str| edit(raw, &Change { remove: &[], add: &["iommu=pt".to_owned()] }).unwrap_or_default();
        for (raw, with) in [
            ("ro\n", "ro iommu=pt\n"),
            ("ro\nquiet", "ro iommu=pt\nquiet"),
            ("ro", "iommu=pt\nro"),
            ("# x\n", "iommu=pt\n# x\n"),
            ("", "iommu=pt\n"),
        ] {
            assert_eq!(added(raw), with, "{raw:?}");
            assert!(lines(with)[0].parameters.contains(&"iommu=pt".to_owned()), "{with:?}");
        }
    }
}
