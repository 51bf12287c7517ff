// SPDX-License-Identifier: LGPL-2.1-or-later
//! Which system this is (os-release(5)).

use crate::root::Root;

/// The text of os-release: the administrator's, or else the one that came with the system; empty without either.
pub fn read(root: &Root) -> String {
    root.read_text("etc/os-release").or_else(|_| root.read_text("usr/lib/os-release")).unwrap_or_default()
}

/// The value of a key, without quotes around it.
pub fn value<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
    Some(line.trim().trim_matches(['"', '\'']))
}
