// SPDX-License-Identifier: LGPL-2.1-or-later
//! A `[gpu]` section and what it means on this machine.

use crate::config::Gpu;
use crate::finding::Finding;
use crate::pci::{Address, Slot};

/// The functions of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected {
    /// The card's slot.
    pub slot: Slot,
    /// The functions that are the card: what a guest is to get.
    pub card: Vec<Address>,
    /// These, then those of `also`, which the host loses too; none twice.
    pub functions: Vec<Address>,
    /// What other sections take at the same time, by their names: what is bound at boot, and a guest's other cards.
    pub beside: Vec<(String, Vec<Address>)>,
    /// What the user should know.
    pub warnings: Vec<Finding>,
    /// What is worth a word where somebody asks, and needs nothing done.
    pub notes: Vec<Finding>,
}

impl Selected {
    /// Whether a function is one of the card's.
    pub fn is_card(&self, function: Address) -> bool {
        self.card.contains(&function)
    }
}

/// A section and what it means on this machine.
#[derive(Debug, Clone)]
pub struct Selection<'c> {
    /// The section.
    pub gpu: &'c Gpu,
    /// Its functions, or why not.
    pub selected: Result<Selected, Finding>,
}
