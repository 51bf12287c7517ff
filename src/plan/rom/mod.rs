// SPDX-License-Identifier: LGPL-2.1-or-later
//! Option ROMs: what is to be said of one, and what of a file is the ROM.

pub mod dump;
pub mod judge;
pub mod table;
pub mod trim;

use crate::host::{Function, Host};
use crate::plan::selection::Selection;

/// The function of a card that its option ROM belongs to: its display.
pub fn function<'h>(selection: &Selection<'_>, host: &'h Host) -> Option<&'h Function> {
    let selected = selection.selected.as_ref().ok()?;
    selected.card.iter().filter_map(|address| host.function(*address)).find(|function| function.is_display())
}
