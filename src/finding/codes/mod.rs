// SPDX-License-Identifier: LGPL-2.1-or-later
//! All codes of messages, each with what it means and what to do: docs/MESSAGES.md is made from this.

use serde::Serialize;
use std::fmt;

/// Which message a finding is: the same in every version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Code(&'static str);

impl Code {
    /// As it is printed.
    pub fn name(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// A code, explained.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Explanation {
    /// The code.
    pub code: Code,
    /// What it means.
    pub means: &'static str,
    /// What to do.
    pub todo: &'static str,
}

/// Constants of codes, and the list of them with their explanations: `NAME "code" "what it means" "what to do";`
macro_rules! codes {
    ($($name:ident $code:literal $means:literal $todo:literal;)*) => {
        $(#[doc = concat!("`", $code, "`, explained in [`super::ALL`].")] pub const $name: super::Code = super::Code($code);)*
        /// All of this file.
        pub const ALL: &[super::Explanation] = &[$(super::Explanation { code: $name, means: $means, todo: $todo }),*];
    };
}

mod boot;
mod card;
mod configuration;
mod definition;
mod doctor;
mod guest;
pub mod logs;
mod rom;
mod setup;

pub use boot::*;
pub use card::*;
pub use configuration::*;
pub use definition::*;
pub use doctor::*;
pub use guest::*;
pub use rom::*;
pub use setup::*;

/// The areas of codes but for those of logs.
const AREAS: [(&str, &[Explanation]); 8] = [
    ("Configuration", configuration::ALL),
    ("Cards", card::ALL),
    ("Guests", guest::ALL),
    ("Definitions of domains", definition::ALL),
    ("Option ROMs", rom::ALL),
    ("Boot", boot::ALL),
    ("Doctor", doctor::ALL),
    ("Setup", setup::ALL),
];

/// All codes, one after the other.
pub fn all() -> impl Iterator<Item = &'static Explanation> {
    ALL.iter().flat_map(|(_, codes)| *codes)
}

/// Whether a word is a code.
pub fn is_code(word: &str) -> bool {
    all().any(|of| of.code.name() == word)
}

/// All codes: of the configuration, of cards, of guests and their domains, of option ROMs, of how the machine boots, of lines in logs.
pub const ALL: [(&str, &[Explanation]); AREAS.len() + logs::ALL.len()] = {
    let mut all = [("", &[] as &[Explanation]); AREAS.len() + logs::ALL.len()];
    let mut area = 0;
    while area < all.len() {
        all[area] = if area < AREAS.len() { AREAS[area] } else { logs::ALL[area - AREAS.len()] };
        area += 1;
    }
    all
};
