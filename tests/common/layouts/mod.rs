// SPDX-License-Identifier: LGPL-2.1-or-later
//! Machines that are only in code: layouts of our own after the public structure of real ones. Ids, classes, bridges and
//! IOMMU groups are those that people's listings show; what is mounted, plugged in and routed is made up.

pub mod amd;
pub mod boards;
pub mod hybrid;
pub mod intel;
pub mod servers;
pub mod storage;
pub mod virtuals;

use super::machine::Machine;

/// Every one by its name.
pub fn all() -> Vec<(&'static str, Machine)> {
    [amd::all(), hybrid::all(), intel::all(), servers::all(), storage::all(), virtuals::all()].concat()
}
