// SPDX-License-Identifier: LGPL-2.1-or-later
//! Marks of this boot: files that say something by being there.

use crate::root::{Root, RUN};

/// The file whose presence lets the udev rule ask our helper.
pub fn active_path() -> String {
    format!("{RUN}/active")
}

/// Whether this boot has heard of a card.
pub fn decided_at_boot(root: &Root, gpu: &str) -> bool {
    root.read_text(&active_path()).is_ok_and(|names| names.lines().any(|name| name == gpu))
}

/// The file that says that the early part of the boot is over (tmpfiles.d): what is configured from then on waits for the
/// next one.
pub fn booted_path() -> String {
    format!("{RUN}/booted")
}

/// The file that says that a person gave a card back to the host in this boot.
pub fn given_back_path(gpu: &str) -> String {
    format!("{RUN}/given-back/{gpu}")
}
