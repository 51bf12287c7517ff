// SPDX-License-Identifier: LGPL-2.1-or-later
//! Boot entries for emergencies: the way out, which stays without our parameters.

/// Words in the titles of boot entries that are there for emergencies.
const EMERGENCIES: [&str; 6] = ["rescue", "recovery", "fallback", "emergency", "single-user", "minimal options"];

/// Whether a boot entry is for emergencies, by its name or its title.
pub fn is_for_emergencies(title: &str) -> bool {
    let title = title.to_ascii_lowercase();
    EMERGENCIES.iter().any(|word| title.contains(word))
}
