// SPDX-License-Identifier: LGPL-2.1-or-later
//! What the logs say of the cards: from lines to findings.
//!
//! Three steps: [`search`] finds the lines that a rule of `finding::codes::logs` knows, [`cards`] leaves those about cards of
//! the configuration, [`gather`] makes one finding of each rule and function.

pub mod cards;
pub mod gather;
pub mod parse;
mod pattern;
pub mod search;

#[cfg(test)]
mod rules_tests;
