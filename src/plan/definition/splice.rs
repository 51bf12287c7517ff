// SPDX-License-Identifier: LGPL-2.1-or-later
//! Replacing bytes of a text at known places, so that all others stay as they are.

use serde::Serialize;
use std::ops::Range;

/// A range of bytes that becomes another text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Splice {
    /// Which bytes of the text, from 0; empty where something is put in.
    pub range: Range<usize>,
    /// What stands there afterwards.
    pub text: String,
}

/// The text with all splices made. They are taken in the order of their places; of two at one place the one that was given
/// first comes first. One that begins before the end of the one before it, or outside of the text, is left out.
pub fn apply(text: &str, splices: &[Splice]) -> String {
    let mut sorted: Vec<&Splice> = splices.iter().collect();
    sorted.sort_by_key(|splice| (splice.range.start, splice.range.end));
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    for Splice { range, text: new } in sorted {
        let Some(before) = text.get(at..range.start).filter(|_| text.get(range.clone()).is_some()) else { continue };
        out.push_str(before);
        out.push_str(new);
        at = range.end;
    }
    out.push_str(&text[at..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn splice(range: Range<usize>, text: &str) -> Splice {
        Splice { range, text: text.to_owned() }
    }

    #[test]
    fn bytes_outside_of_splices_stay() {
        let splices = [splice(4..5, "E"), splice(0..0, "<"), splice(1..3, ""), splice(1..1, "+"), splice(1..1, "-")];
        assert_eq!(apply("abcdef", &splices), "<a+-dEf");
        assert_eq!(apply("abcdef", &[]), "abcdef");
    }

    #[test]
    fn a_splice_that_does_not_fit_is_left_out() {
        assert_eq!(apply("aß", &[splice(2..3, "x"), splice(7..9, "y"), splice(0..1, "b")]), "bß");
        assert_eq!(apply("abcd", &[splice(0..3, "x"), splice(1..4, "y")]), "xd");
    }
}
