// SPDX-License-Identifier: LGPL-2.1-or-later
//! What can be the name of a section.

/// The longest section name: it becomes a unit's instance and a file's name, and both end at 255 bytes.
const LONGEST_NAME: usize = 128;

/// Why a text cannot be a section's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadName {
    /// It is longer than `LONGEST_NAME`.
    TooLong,
    /// It begins as a hidden file or an option does.
    Beginning,
    /// It has characters that a unit's name may not have as they are.
    Characters,
}

impl BadName {
    /// What comes after "cannot be a name" in a sentence.
    pub(super) fn why(self) -> &'static str {
        match self {
            BadName::TooLong => ": it is longer than 128 bytes",
            BadName::Beginning => ": it may not begin with '.' or '-'",
            BadName::Characters => "",
        }
    }

    /// What to do; nothing where `why` says it.
    pub(super) fn hint(self) -> &'static str {
        match self {
            BadName::Characters => "use letters, digits, '_', '.', ':' and '-' only",
            BadName::TooLong | BadName::Beginning => "",
        }
    }
}

/// Whether a name can stand in a unit's name as it is (systemd.unit(5)), and in a file's.
pub(super) fn check_name(name: &str) -> Result<(), BadName> {
    if name.len() > LONGEST_NAME {
        return Err(BadName::TooLong);
    }
    if name.starts_with(['.', '-']) {
        return Err(BadName::Beginning);
    }
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.:-".contains(&b)) {
        return Err(BadName::Characters);
    }
    Ok(())
}
