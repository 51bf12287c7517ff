// SPDX-License-Identifier: LGPL-2.1-or-later
//! libvirt's virtual networks, from its own files: its daemon need not run for it (`src/network/bridge_driver.c`:
//! `configDir`, `autostartDir` and `stateDir` of the system's daemon).

use crate::root::Root;
use std::io;

/// Where networks are defined.
const DEFINED: &str = "etc/libvirt/qemu/networks";
/// A link for each that its daemon starts.
const AUTOSTART: &str = "etc/libvirt/qemu/networks/autostart";
/// A file for each that is up.
const UP: &str = "run/libvirt/network";

/// A network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// Whether it is up.
    pub active: bool,
    /// Whether libvirt's daemon starts it.
    pub autostart: bool,
}

/// A network by its name; none if it is not defined. Where libvirt's folder is root's alone, others get `PermissionDenied`.
pub fn find(root: &Root, name: &str) -> io::Result<Option<Network>> {
    let file = format!("{name}.xml");
    let has = |directory: &str| match root.list(directory) {
        Ok(names) => Ok(names.contains(&file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(io::Error::new(error.kind(), format!("/{directory}: {error}"))),
    };
    if has(DEFINED)? {
        Ok(Some(Network { active: has(UP)?, autostart: has(AUTOSTART)? }))
    } else {
        Ok(None)
    }
}
