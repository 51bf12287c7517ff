// SPDX-License-Identifier: LGPL-2.1-or-later
//! Which sections and keys there are, and which one an unknown name was probably meant to be.

use super::sections::{gpu, guest, host};

/// What a section is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `[host]`.
    Host,
    /// `[gpu NAME]`.
    Gpu,
    /// `[guest NAME]`.
    Guest,
}

impl Kind {
    /// All of them.
    pub(super) const ALL: [Kind; 3] = [Kind::Host, Kind::Gpu, Kind::Guest];

    /// The word in the header.
    pub(super) fn word(self) -> &'static str {
        match self {
            Kind::Host => "host",
            Kind::Gpu => "gpu",
            Kind::Guest => "guest",
        }
    }

    /// The keys that such a section may have.
    pub(super) fn keys(self) -> &'static [&'static str] {
        match self {
            Kind::Host => host::KEYS,
            Kind::Gpu => gpu::KEYS,
            Kind::Guest => guest::KEYS,
        }
    }

    /// The key, if such a section can have it.
    pub(super) fn key(self, name: &str) -> Option<&str> {
        let known = self.keys().contains(&name) || (self == Kind::Guest && guest::guest_bar(name).is_some());
        known.then_some(name)
    }
}

/// `; did you mean 'device'?`, or nothing where no name is near.
pub(super) fn did_you_mean<'n>(word: &str, names: impl IntoIterator<Item = &'n str>) -> String {
    match nearest(word, names) {
        Some(name) => format!("; did you mean '{name}'?"),
        None => String::new(),
    }
}

/// The name that differs from `word` by few slips of the finger: less than every third letter, at most three.
pub(super) fn nearest<'n>(word: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
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
        let gpu = Kind::Gpu.keys().iter().copied();
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
            assert_eq!(nearest(word, gpu.clone()), name, "{word}");
        }
    }

    #[test]
    fn no_key_is_in_two_sections() {
        for kind in Kind::ALL {
            for other in Kind::ALL {
                let both = kind.keys().iter().any(|key| other.key(key).is_some());
                assert_eq!(both, kind == other);
            }
        }
    }
}
