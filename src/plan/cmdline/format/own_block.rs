// SPDX-License-Identifier: LGPL-2.1-or-later
//! Lines of ours in a file of others: a boot entry between two comments, which goes as it came.

use super::{own_line, Problem};
use std::ops::Range;

/// The line before ours.
pub const BEGIN: &str = "# vfio: a boot entry without it ([host] rescue-entry); it is made again, changes are lost";
/// The line after ours.
pub const END: &str = "# vfio: the end of that entry";

/// Where ours are: whole lines. Where the file's last line had no line end, ours has none either, and the line end before ours
/// goes with them. Errors: one does not end.
pub fn ranges(text: &str) -> Result<Vec<Range<usize>>, Problem> {
    let (mut found, mut begin, mut at) = (Vec::new(), None, 0);
    for whole in text.split_inclusive('\n') {
        let start = at;
        at += whole.len();
        match whole.trim() {
            BEGIN => begin = begin.or(Some(start)),
            END => {
                let Some(begin) = begin.take() else { continue };
                let is_open = !whole.ends_with('\n');
                found.push(if is_open { begin - line_end_before(text, begin)..at } else { begin..at });
            }
            _ => {}
        }
    }
    match begin {
        Some(begin) => Err(Problem {
            line: own_line::number(text, begin),
            message: format!("vfio's boot entry begins here and does not end: remove it, or put '{END}' after it"),
        }),
        None => Ok(found),
    }
}

/// The length of the line end before a line.
fn line_end_before(text: &str, at: usize) -> usize {
    let before = &text[..at];
    match () {
        () if before.ends_with("\r\n") => 2,
        () if before.ends_with('\n') => 1,
        () => 0,
    }
}

/// The text without ours.
pub fn without(text: &str) -> Result<String, Problem> {
    let mut new = String::with_capacity(text.len());
    let mut from = 0;
    for range in ranges(text)? {
        new.push_str(&text[from..range.start]);
        from = range.end;
    }
    new.push_str(&text[from..]);
    Ok(new)
}

/// The text with these lines of ours before the line that begins at `at`; at the end if that is there.
pub fn put(text: &str, at: usize, lines: &[String]) -> String {
    let line_end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let mut block =
        [BEGIN].into_iter().chain(lines.iter().map(String::as_str)).chain([END]).collect::<Vec<_>>().join(line_end);
    if at == text.len() && !text.is_empty() && !text.ends_with('\n') {
        block.insert_str(0, line_end);
    } else {
        block.push_str(line_end);
    }
    format!("{}{block}{}", &text[..at], &text[at..])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn own(lines: &[&str]) -> Vec<String> {
        lines.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn ours_go_as_they_came() {
        for text in ["a\n", "a", "", "a\r\n", "a\r\nb", "\n", "\r\n\r\n"] {
            let with = put(text, text.len(), &own(&["/x", "  cmdline: y"]));
            assert_eq!(without(&with).unwrap(), text, "{text:?}");
            assert_eq!(ranges(&with).unwrap().len(), 1);
        }
        let with = put("a {\n}\n", 4, &own(&["x"]));
        assert_eq!(with, format!("a {{\n{BEGIN}\nx\n{END}\n}}\n"));
        // What somebody has written behind ours stays.
        assert_eq!(without(&(put("a", 1, &own(&["x"])) + "\nb")).unwrap(), "a\nb");
    }

    #[test]
    fn one_that_does_not_end_is_named() {
        let problem = ranges(&format!("a\n  {BEGIN}\nb\n")).unwrap_err();
        assert_eq!(problem.line, 2);
        assert!(ranges(&format!("{END}\n")).unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn any_text_is_as_before(text in "([a-c/:#{} ]{0,4}(\n|\r\n)){0,6}[a-c/:]{0,3}") {
            for at in [0, text.rfind('\n').map_or(0, |at| at + 1), text.len()] {
                let with = put(&text, at, &own(&["/x", "y"]));
                prop_assert_eq!(without(&with).unwrap(), text.as_str());
            }
        }
    }
}
