// SPDX-License-Identifier: LGPL-2.1-or-later
//! Which known name an unknown one was probably meant to be.

/// The hint `did you mean 'device'?`, where a name is near.
pub fn did_you_mean<'n>(word: &str, names: impl IntoIterator<Item = &'n str>) -> Option<String> {
    nearest(word, names).map(|name| format!("did you mean '{name}'?"))
}

/// The name that differs from `word` by few slips of the finger: less than every third letter, at most three.
pub fn nearest<'n>(word: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let near = |name: &'n str| {
        let allowed = (word.len().min(name.len()) / 3).clamp(1, 3);
        let slips = distance(word.as_bytes(), name.as_bytes())?;
        // Of a word of two letters nothing would be left.
        (slips <= allowed && slips < word.len().max(1)).then_some((slips, name))
    };
    names.into_iter().filter_map(near).min_by_key(|(slips, _)| *slips).map(|(_, name)| name)
}

/// How many letters were left out, added, changed or swapped with their neighbour; upper and lower case are one.
/// None for what is too long to be a slip.
fn distance(a: &[u8], b: &[u8]) -> Option<usize> {
    const LONGEST: usize = 40;
    if a.len() > LONGEST || b.len() > LONGEST {
        return None;
    }
    let same = |i: usize, j: usize| a[i].eq_ignore_ascii_case(&b[j]);
    let mut before = [0; LONGEST + 1];
    let mut last: [usize; LONGEST + 1] = std::array::from_fn(|j| j);
    for i in 0..a.len() {
        let mut row = [0; LONGEST + 1];
        row[0] = i + 1;
        for j in 0..b.len() {
            let changed = last[j] + usize::from(!same(i, j));
            row[j + 1] = changed.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && same(i, j - 1) && same(i - 1, j) {
                row[j + 1] = row[j + 1].min(before[j - 1] + 1);
            }
        }
        before = last;
        last = row;
    }
    Some(last[b.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_counted() {
        for (a, b, slips) in [
            ("", "", 0),
            ("device", "device", 0),
            ("Device", "device", 0),
            ("devcie", "device", 1),
            ("devic", "device", 1),
            ("devicee", "device", 1),
            ("only_display", "only-display", 1),
            ("kitten", "sitting", 3),
            ("", "abc", 3),
        ] {
            assert_eq!(distance(a.as_bytes(), b.as_bytes()), Some(slips), "{a} {b}");
            assert_eq!(distance(b.as_bytes(), a.as_bytes()), Some(slips), "{b} {a}");
        }
        assert_eq!(distance(&[b'a'; 41], b"device"), None);
    }

    #[test]
    fn only_near_names_are_offered() {
        let names = ["device", "identity", "functions", "only-display"].iter().copied();
        for (word, name) in [
            ("devcie", Some("device")),
            ("DEVICE", Some("device")),
            ("idendity", Some("identity")),
            ("only_display", Some("only-display")),
            ("onyldispaly", Some("only-display")),
            ("only_dxxxlay", None),
            ("colour", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, names.clone()), name, "{word}");
        }
    }
}
