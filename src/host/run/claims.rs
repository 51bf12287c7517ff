// SPDX-License-Identifier: LGPL-2.1-or-later
//! Which guest has a card: `/run/vfio/claims/NAME` has the guest's name for as long as it does.

use crate::root::Root;

/// Where it is written which guest has a card.
pub const CLAIMS: &str = "run/vfio/claims";

/// The file that says which guest has a card.
pub fn claim_path(gpu: &str) -> String {
    format!("{CLAIMS}/{gpu}")
}

/// The guest that has a card.
pub fn owner(root: &Root, gpu: &str) -> Option<String> {
    root.read_text(&claim_path(gpu)).ok()
}

/// Cards that guests have: the card's and the guest's name.
pub fn claims(root: &Root) -> Vec<(String, String)> {
    let cards = root.list(CLAIMS).unwrap_or_default();
    let cards = cards.into_iter().filter(|name| !name.starts_with('.'));
    cards.filter_map(|gpu| owner(root, &gpu).map(|guest| (gpu, guest))).collect()
}
