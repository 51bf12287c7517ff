// SPDX-License-Identifier: LGPL-2.1-or-later
//! Boot files and images: bringing them up to date with the configuration, and taking all of it back.

pub mod boot_files;
pub mod cmdline;
pub mod error;
mod made;
pub mod sync;
pub mod taken_out;
pub mod unpack;
