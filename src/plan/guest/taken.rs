// SPDX-License-Identifier: LGPL-2.1-or-later
//! What a hand-over takes from the host.

use crate::host::{function, Host};
use crate::pci::Address;

/// NVIDIA's modules in the order in which they can be unloaded; the last is the PCI driver's own.
pub const NVIDIA_MODULES: [&str; 5] = ["nvidia_drm", "nvidia_modeset", "nvidia_uvm", "nvidia_peermem", "nvidia"];

/// Services that keep NVIDIA's driver in use without a program that needs it.
pub const NVIDIA_UNITS: [&str; 3] =
    ["nvidia-persistenced.service", "nvidia-powerd.service", "nvidia-fabricmanager.service"];

/// The user that has every node already.
pub const ROOT: &str = "root";

/// The functions of `functions` that a driver of the host has.
pub fn with_host(functions: &[Address], host: &Host) -> Vec<Address> {
    let driven = |a: &&Address| {
        let driver = host.function(**a).and_then(|f| f.driver.as_deref());
        driver.is_some_and(|driver| !function::is_vfio(driver))
    };
    functions.iter().filter(driven).copied().collect()
}

/// Whether NVIDIA's own driver has one of the functions and nothing else: then its modules can go.
pub(super) fn all_of_nvidia(functions: &[Address], host: &Host) -> bool {
    let mut on_nvidia = host.functions.iter().filter(|f| f.driver.as_deref() == Some("nvidia")).peekable();
    on_nvidia.peek().is_some() && on_nvidia.all(|f| functions.contains(&f.address))
}
