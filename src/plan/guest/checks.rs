// SPDX-License-Identifier: LGPL-2.1-or-later
//! What must be so before a guest may start: claims, IOMMU, groups, drivers, memory, files.

use super::{Remark, Surroundings};
use crate::config::Guest;
use crate::host::Host;
use crate::plan::select::Choice;

/// Why the guest cannot start, and what the user should know although it can: refusals, warnings.
pub(super) fn check(
    _guest: &Guest,
    _choices: &[Choice<'_>],
    _host: &Host,
    _around: &Surroundings,
) -> (Vec<Remark>, Vec<Remark>) {
    (Vec::new(), Vec::new())
}
