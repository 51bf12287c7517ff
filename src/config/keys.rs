// SPDX-License-Identifier: LGPL-2.1-or-later
//! Which sections and keys there are, and which one an unknown name was probably meant to be.

use super::sections::{definition, gpu, guest, host};

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
    pub(super) fn keys(self) -> impl Iterator<Item = &'static str> {
        let lists = match self {
            Kind::Host => [host::KEYS, &[]],
            Kind::Gpu => [gpu::KEYS, &[]],
            Kind::Guest => [guest::KEYS, definition::KEYS],
        };
        lists.into_iter().flatten().copied()
    }

    /// The key, if such a section can have it.
    pub(super) fn key(self, name: &str) -> Option<&str> {
        let known = self.keys().any(|key| key == name) || (self == Kind::Guest && guest::guest_bar(name).is_some());
        known.then_some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_is_in_two_sections() {
        for kind in Kind::ALL {
            for other in Kind::ALL {
                let both = kind.keys().any(|key| other.key(key).is_some());
                assert_eq!(both, kind == other);
            }
        }
    }
}
