// SPDX-License-Identifier: LGPL-2.1-or-later
//! A command line as text: its words, and how one is taken out or put in while every other byte stays.

use std::ops::Range;

/// Where the words of a command line are. Blanks part words, except inside double quotes (`lib/cmdline.c`, `next_arg`).
pub fn words(line: &str) -> Vec<Range<usize>> {
    let (mut found, mut start, mut quoted) = (Vec::new(), None, false);
    for (at, c) in line.char_indices() {
        if c.is_ascii_whitespace() && !quoted {
            found.extend(start.take().map(|start| start..at));
            continue;
        }
        quoted ^= c == '"';
        start.get_or_insert(at);
    }
    found.extend(start.map(|start| start..line.len()));
    found
}

/// What changes in a command line: words taken out, then words put in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change<'w> {
    /// Words to take out; of one that is there more than once, the last.
    pub remove: &'w [String],
    /// Words to put in after the last one.
    pub add: &'w [String],
}

/// What one change of a text is, as pieces: what to cut out, and where to put something in. [`edit`] applies it to plain text;
/// a file that
/// quotes its command line applies it to its own quoted form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cuts {
    /// Ranges to cut out, in order.
    pub cut: Vec<Range<usize>>,
    /// Where to put words in.
    pub insert_at: usize,
    /// What to put in there; blanks included.
    pub insert: String,
}

/// Finds what to cut and what to put in. With each word goes the one blank before it, or, if it is the first, the one after
/// it: what [`Change::add`] put in is taken out whole.
pub fn cuts(line: &str, change: &Change<'_>) -> Cuts {
    let all = words(line);
    let mut gone: Vec<usize> = Vec::new();
    for word in change.remove {
        let last = (0..all.len()).rev().find(|at| !gone.contains(at) && line[all[*at].clone()] == **word);
        gone.extend(last);
    }
    gone.sort_unstable();
    let mut cut = Vec::new();
    // Whether a word that stays is before the one that is looked at.
    let mut first = true;
    for (at, range) in all.iter().enumerate() {
        if !gone.contains(&at) {
            first = false;
            continue;
        }
        // Only a blank: a line end belongs to the file.
        let blank = |at: usize| line.as_bytes().get(at) == Some(&b' ');
        cut.push(if !first && range.start > 0 && blank(range.start - 1) {
            range.start - 1..range.end
        } else if at + 1 < all.len() && blank(range.end) {
            range.start..range.end + 1
        } else {
            range.clone()
        });
    }
    let last = (0..all.len()).rev().find(|at| !gone.contains(at)).map(|at| all[at].end);
    let words = change.add.join(" ");
    let (insert_at, insert) = match last {
        _ if words.is_empty() => (line.len(), words),
        Some(end) => (end, format!(" {words}")),
        None => (0, words),
    };
    Cuts { cut, insert_at, insert }
}

impl Cuts {
    /// Makes the change in a text of which the command line was found at the same offsets.
    pub fn apply(&self, text: &str) -> String {
        let mut changed = String::with_capacity(text.len() + self.insert.len());
        let mut inserted = self.insert.is_empty();
        let mut from = 0;
        for range in self.cut.iter().chain([&(text.len()..text.len())]) {
            if !inserted && self.insert_at <= range.start {
                changed.push_str(&text[from..self.insert_at]);
                changed.push_str(&self.insert);
                (from, inserted) = (self.insert_at, true);
            }
            changed.push_str(&text[from..range.start]);
            from = range.end;
        }
        changed
    }
}

/// Changes a command line that is plain text.
pub fn edit(line: &str, change: &Change<'_>) -> String {
    cuts(line, change).apply(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(line: &str, remove: &[&str], add: &[&str]) -> String {
        let own = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        edit(line, &Change { remove: &own(remove), add: &own(add) })
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
        // No part of a word is a word.
        assert_eq!(changed("xiommu=pt iommu=pty \"iommu=pt\"", &["iommu=pt"], &[]), "xiommu=pt iommu=pty \"iommu=pt\"");
    }
}
