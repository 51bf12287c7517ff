// SPDX-License-Identifier: LGPL-2.1-or-later
//! A command line as text: its parameters, and how one is taken out or put in while every other byte stays.

use crate::host::kernel_cmdline::is_space;
use std::collections::BTreeMap;
use std::ops::Range;

/// Whether the last byte of the character is 0xa0. The kernel takes that byte for a blank, so what comes next is a new parameter;
/// the bytes before it stay with the parameter before.
fn ends_with_a0(c: char) -> bool {
    c.encode_utf8(&mut [0; 4]).as_bytes().last() == Some(&0xa0)
}

/// Where the parameters of a command line are. White space parts parameters, except inside double quotes (`lib/cmdline.c`, `next_arg`).
pub fn parameters(line: &str) -> Vec<Range<usize>> {
    let (mut found, mut start, mut quoted) = (Vec::new(), None, false);
    for (at, c) in line.char_indices() {
        if ends_with_a0(c) && !quoted {
            found.push(start.take().unwrap_or(at)..at + c.len_utf8());
            continue;
        }
        if c.is_ascii() && is_space(c as u8) && !quoted {
            found.extend(start.take().map(|start| start..at));
            continue;
        }
        quoted ^= c == '"';
        start.get_or_insert(at);
    }
    found.extend(start.map(|start| start..line.len()));
    found
}

/// What changes in a command line: parameters taken out, then parameters put in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change<'w> {
    /// Parameters to take out; of one that is there more than once, the last.
    pub remove: &'w [String],
    /// Parameters to put in after the last one.
    pub add: &'w [String],
}

/// What one change of a text is, as pieces: what to cut out, and where to put something in. [`edit`] applies it to plain text;
/// a file that quotes its command line applies it to its own quoted form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cuts {
    /// Ranges to cut out, in order; none overlaps another.
    pub cut: Vec<Range<usize>>,
    /// Where to put parameters in.
    pub insert_at: usize,
    /// What to put in there; blanks included.
    pub insert: String,
}

/// Finds what to cut and what to put in. With each parameter goes the one blank before it, or, if it is the first or something
/// else is before it, the one after it: what [`Change::add`] put in is taken out whole, and white space that somebody else
/// wrote stays.
pub fn cuts(line: &str, change: &Change<'_>) -> Cuts {
    let all = parameters(line);
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for parameter in change.remove {
        *counts.entry(parameter).or_default() += 1;
    }
    let mut gone = vec![false; all.len()];
    for (range, gone) in all.iter().zip(&mut gone).rev() {
        if let Some(count) = counts.get_mut(&line[range.clone()]).filter(|count| **count > 0) {
            (*count, *gone) = (*count - 1, true);
        }
    }
    // Only a blank: a line end belongs to the file.
    let blank = |at: usize| line.as_bytes().get(at) == Some(&b' ');
    let mut cut: Vec<Range<usize>> = Vec::new();
    // Whether a parameter that stays is before the one that is looked at.
    let mut first = true;
    for (at, range) in all.iter().enumerate() {
        if !gone[at] {
            first = false;
            continue;
        }
        // The blank before it may have gone with the parameter before that.
        let free = cut.last().map_or(0, |before| before.end);
        let before = range.start.checked_sub(1).filter(|before| *before >= free && blank(*before));
        cut.push(match before {
            Some(before) if !first => before..range.end,
            _ if at + 1 < all.len() && blank(range.end) => range.start..range.end + 1,
            _ => range.clone(),
        });
    }
    let last = all.iter().zip(&gone).rfind(|(_, gone)| !**gone).map(|(range, _)| range.end);
    let parameters = change.add.join(" ");
    let (insert_at, insert) = match last {
        _ if parameters.is_empty() => (line.len(), parameters),
        Some(end) => (end, format!(" {parameters}")),
        None => (0, parameters),
    };
    Cuts { cut, insert_at, insert }
}

/// Makes changes in a text, each a range and what comes in its place. Of two at one place the one that only puts something
/// in comes first. `None` where two overlap, or where one is outside of the text or within a character: nothing is
/// guessed then.
pub fn apply(text: &str, mut edits: Vec<(Range<usize>, String)>) -> Option<String> {
    edits.sort_by_key(|(range, insert)| (range.start, insert.is_empty()));
    let (mut new, mut from) = (String::with_capacity(text.len()), 0);
    for (range, insert) in edits {
        new.push_str(text.get(from..range.start)?);
        text.get(range.clone())?;
        new.push_str(&insert);
        from = range.end;
    }
    new.push_str(text.get(from..)?);
    Some(new)
}

impl Cuts {
    /// Makes the change in a text of which the command line was found at the same offsets; `None` as [`apply`].
    pub fn apply(self, text: &str) -> Option<String> {
        let mut edits: Vec<(Range<usize>, String)> = self.cut.into_iter().map(|range| (range, String::new())).collect();
        if !self.insert.is_empty() {
            edits.push((self.insert_at..self.insert_at, self.insert));
        }
        apply(text, edits)
    }
}

/// Changes a command line that is plain text; `None` as [`apply`].
pub fn edit(line: &str, change: &Change<'_>) -> Option<String> {
    cuts(line, change).apply(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(line: &str, remove: &[&str], add: &[&str]) -> String {
        let own = |parameters: &[&str]| parameters.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        edit(line, &Change { remove: &own(remove), add: &own(add) }).unwrap_or_default()
    }

    #[test]
    fn words_are_put_in_and_taken_out_and_the_rest_stays() {
        for (line, with) in [
            ("", "iommu=pt a=b"),
            ("quiet", "quiet iommu=pt a=b"),
            ("  quiet   splash \n", "  quiet   splash iommu=pt a=b \n"),
            ("\n", "iommu=pt a=b\n"),
            ("a=\"b c\" ", "a=\"b c\" iommu=pt a=b "),
            ("\tquiet\t", "\tquiet iommu=pt a=b\t"),
        ] {
            assert_eq!(changed(line, &[], &["iommu=pt", "a=b"]), with, "{line:?}");
            assert_eq!(changed(with, &["iommu=pt", "a=b"], &[]), line, "{with:?}");
            assert_eq!(changed(with, &["a=b", "iommu=pt"], &[]), line, "{with:?}");
        }
    }

    #[test]
    fn a_word_in_the_middle_takes_one_blank_with_it() {
        assert_eq!(changed("a iommu=pt  b", &["iommu=pt"], &[]), "a  b");
        assert_eq!(changed("iommu=pt  b", &["iommu=pt"], &[]), " b");
        assert_eq!(changed("iommu=pt x=y b", &["iommu=pt", "x=y"], &[]), "b");
        assert_eq!(changed("a iommu=pt b iommu=pt", &["iommu=pt"], &["c"]), "a iommu=pt b c");
        assert_eq!(changed("a iommu=pt", &["iommu=pt"], &["iommu=nopt"]), "a iommu=nopt");
        // One blank is not cut out twice, and white space of somebody else's stays.
        assert_eq!(changed("quiet\tiommu=pt x=y", &["iommu=pt", "x=y"], &[]), "quiet\t");
        assert_eq!(changed("quiet\tiommu=pt x=y b", &["iommu=pt", "x=y"], &[]), "quiet\tb");
        assert_eq!(changed("quiet iommu=pt\u{b}x=y\u{c}b", &["iommu=pt", "x=y"], &[]), "quiet\u{b}\u{c}b");
        // No part of a parameter is a parameter.
        assert_eq!(changed("xiommu=pt iommu=pty \"iommu=pt\"", &["iommu=pt"], &[]), "xiommu=pt iommu=pty \"iommu=pt\"");
    }

    /// What the kernel takes for white space parts parameters, and nothing else does.
    #[test]
    fn words_are_the_kernels() {
        let parameters =
            |line: &str| parameters(line).into_iter().map(|range| line[range].to_owned()).collect::<Vec<_>>();
        assert_eq!(parameters("a\u{b}b\u{c}c\td\re\nf"), ["a", "b", "c", "d", "e", "f"]);
        assert_eq!(parameters("iommu=pt\u{a0}b"), ["iommu=pt\u{a0}", "b"]);
        assert_eq!(
            parameters("\u{a0}iommu=pt voil\u{e0}iommu=pt \"a\u{a0}b\""),
            ["\u{a0}", "iommu=pt", "voil\u{e0}", "iommu=pt", "\"a\u{a0}b\""]
        );
        assert_eq!(parameters("a\u{85}b\u{2003}c\u{1c}d"), ["a\u{85}b\u{2003}c\u{1c}d"]);
    }

    #[test]
    fn changes_that_overlap_are_none() {
        let cut =
            |ranges: &[Range<usize>]| apply("\u{e4}bcd", ranges.iter().map(|r| (r.clone(), String::new())).collect());
        assert_eq!(cut(&[0..2, 3..5]).as_deref(), Some("b"));
        assert_eq!(cut(&[2..4, 3..5]), None);
        assert_eq!(cut(&[0..1, 2..3]), None);
        assert_eq!(cut(&[2..3, 4..9]), None);
    }
}
