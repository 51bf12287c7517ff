// SPDX-License-Identifier: LGPL-2.1-or-later
//! The sections: of each its type, its keys and how their values are read.

pub mod definition;
pub mod gpu;
pub mod guest;
pub mod host;
