// SPDX-License-Identifier: LGPL-2.1-or-later
//! What is written to one PCI function, and what is waited for after it: each a write or two of `Documentation/ABI/testing/sysfs-bus-pci`.

use crate::act::backend::kernel::{Kernel, KernelError};
use crate::act::card::error::FunctionError;
use crate::host::function::{self, attribute};
use crate::host::holders;
use crate::pci::Address;
use crate::root::{Root, PCI_BUS, PCI_DEVICES, PCI_DRIVERS};
use std::time::{Duration, Instant};

/// A BAR that gets another size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Resized {
    /// Its function.
    pub(crate) function: Address,
    /// Its number, 0 to 5.
    pub(crate) bar: u8,
}

/// How long to wait for what the kernel does on its own time: a found device, a driver that probes asynchronously.
const PATIENCE: Duration = Duration::from_secs(10);

/// Waits for something, some seconds at most; whether it came about.
pub(crate) fn wait_until(condition: impl Fn() -> bool) -> bool {
    let until = Instant::now() + PATIENCE;
    let mut pause = Duration::from_millis(1);
    while !condition() {
        if Instant::now() >= until {
            return false;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(100));
    }
    true
}

/// Waits for a function that the kernel was asked to look for; whether it is there.
pub(crate) fn appears(root: &Root, function: Address) -> bool {
    wait_until(|| root.exists(&format!("{PCI_DEVICES}/{function}")))
}

/// The same for one that was taken off the bus.
pub(crate) fn comes_back(root: &Root, function: Address) -> Result<(), FunctionError> {
    if appears(root, function) {
        Ok(())
    } else {
        Err(FunctionError::Gone)
    }
}

/// Writes `driver_override`; an empty line clears it.
pub(crate) fn set_override(kernel: &dyn Kernel, function: Address, driver: Option<&str>) -> Result<(), KernelError> {
    kernel.write(&attribute(function, "driver_override"), driver.unwrap_or_default())
}

/// Takes a function from a driver. One that the driver has let go of meanwhile (ENODEV) is as wished.
pub(crate) fn unbind(root: &Root, kernel: &dyn Kernel, function: Address, driver: &str) -> Result<(), KernelError> {
    match kernel.write(&format!("{PCI_DRIVERS}/{driver}/unbind"), &function.to_string()) {
        Err(_) if function::driver(root, function).is_none() => Ok(()),
        other => other,
    }
}

/// Asks the kernel to bind a function. Success says nothing of whether a driver took it.
pub(crate) fn probe(kernel: &dyn Kernel, function: Address) -> Result<(), KernelError> {
    kernel.write(&format!("{PCI_BUS}/drivers_probe"), &function.to_string())
}

/// Looks for devices below a bridge, or on the whole bus.
pub(crate) fn rescan(kernel: &dyn Kernel, below: Option<Address>) -> Result<(), KernelError> {
    match below {
        Some(bridge) => kernel.write(&attribute(bridge, "rescan"), "1"),
        None => kernel.write(&format!("{PCI_BUS}/rescan"), "1"),
    }
}

/// Binds what was plugged in while autoprobe was off: functions without driver and without override.
pub(crate) fn probe_newcomers(root: &Root, kernel: &dyn Kernel) {
    for name in root.list(PCI_DEVICES).unwrap_or_default() {
        let Some(address) = Address::from_sysfs(name.as_bytes()) else { continue };
        if function::driver(root, address).is_none() && function::driver_override(root, address).is_none() {
            // Most functions without a driver have none that fits; that is not an error.
            let _ = probe(kernel, address);
        }
    }
}

/// A guest that has started meanwhile, or a program on the host, must not lose what it has open.
pub(crate) fn nobody_holds(root: &Root, function: Address) -> Result<(), FunctionError> {
    match holders::find(root, &[function]).into_iter().next() {
        Some((_, holder)) => Err(FunctionError::Held(Box::new(holder))),
        None => Ok(()),
    }
}
