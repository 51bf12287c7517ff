// SPDX-License-Identifier: LGPL-2.1-or-later
//! Where the programs of the system are.

use crate::root::Root;

/// Where the system's own `PATH` leads: also what libvirt searches for a program of which it has only the name.
const PATH: [&str; 6] = ["usr/bin", "usr/sbin", "usr/local/bin", "usr/local/sbin", "bin", "sbin"];

/// The path of a program that is installed, below the root.
pub fn find(root: &Root, name: &str) -> Option<String> {
    PATH.iter().map(|directory| format!("{directory}/{name}")).find(|path| root.exists(path))
}
