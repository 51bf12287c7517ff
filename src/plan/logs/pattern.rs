// SPDX-License-Identifier: LGPL-2.1-or-later
//! Parts of a line, with `*` for anything between them.

/// The pieces of a pattern between its stars.
pub(super) fn pieces(pattern: &'static str) -> impl Iterator<Item = &'static str> {
    pattern.split('*').filter(|piece| !piece.is_empty())
}

/// The longest piece: where a line has it, the others are looked for.
pub(super) fn anchor(pattern: &'static str) -> &'static str {
    pieces(pattern).max_by_key(|piece| piece.len()).unwrap_or(pattern)
}

/// Whether a line has all pieces of a pattern, in this order. The first place of each is enough, so this is linear.
pub(super) fn fits(pattern: &'static str, line: &str) -> bool {
    let mut rest = line;
    pieces(pattern).all(|piece| match rest.find(piece) {
        Some(at) => {
            rest = &rest[at + piece.len()..];
            true
        }
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_in_their_order() {
        for (pattern, line, expected) in [
            ("a*b", "xaybz", true),
            ("a*b", "ab", true),
            ("a*b", "ba", false),
            ("ab*ab", "ab", false),
            ("ab*ab", "abab", true),
            ("plain", "it is plain", true),
            ("plain", "it is pla in", false),
        ] {
            assert_eq!(fits(pattern, line), expected, "{pattern} {line}");
        }
        assert_eq!(anchor("BAR *: can't reserve [mem"), ": can't reserve [mem");
    }
}
