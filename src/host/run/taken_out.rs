// SPDX-License-Identifier: LGPL-2.1-or-later
//! Parameters of ours that the running kernel may have, and that no boot file has any more.

use crate::root::{Root, RUN};

/// Where they are kept until the next boot.
pub fn path() -> String {
    format!("{RUN}/taken-out")
}

/// Reads them. A list that is lost, or is not one, is empty.
pub fn read(root: &Root) -> Vec<String> {
    root.read(&path()).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}
