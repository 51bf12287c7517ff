// SPDX-License-Identifier: LGPL-2.1-or-later
//! What the child that looks at processes is asked.

use super::nodes;
use crate::pci::Address;
use std::path::PathBuf;

/// What the child is asked.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) root: PathBuf,
    pub(super) ourselves: u32,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    /// The processes that hold one of these.
    Holders(Vec<Address>),
    /// Whether a process still has a node open.
    Still(u32, Address, nodes::Node),
}
