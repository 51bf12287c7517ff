// SPDX-License-Identifier: LGPL-2.1-or-later
//! A value, and where it was written.

use crate::finding::Location;

/// A value, and where it was written (the section's header where it is the default).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub at: Location,
}
