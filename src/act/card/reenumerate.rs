// SPDX-License-Identifier: LGPL-2.1-or-later
//! Giving a BAR another size where the kernel's own way finds no room: its function is taken off the bus and found again.

use crate::act::backend::kernel::Kernel;
use crate::act::card::error::FunctionError;
use crate::act::card::writes::{appears, comes_back, nobody_holds, set_override, unbind, Resized};
use crate::host::bars;
use crate::host::bridge_window;
use crate::host::function::{self, attribute};
use crate::pci::Address;
use crate::root::Root;
use rustix::io::Errno;
use std::io;

/// Writes a size into the register of a BAR, takes all below a bridge off the bus and has the kernel scan for it again, which
/// gives the window of an empty bridge a new place (`rescan_store` in `drivers/pci/pci-sysfs.c`, `pci_rescan_bus_bridge_resize`).
/// Overrides outlast it. The kernel puts nothing back by itself.
pub(crate) fn reenumerate(
    root: &Root,
    kernel: &dyn Kernel,
    resized: Resized,
    size: u64,
    bridge: Address,
) -> Result<(), FunctionError> {
    const COMMAND: usize = 4;
    const MEMORY: u8 = 2;
    let Resized { function, bar } = resized;
    let below = bridge_window::with_all_below(root, bridge);
    for f in &below[1..] {
        let Some(driver) = function::driver(root, *f).filter(|_| bridge_window::children(root, *f).is_empty()) else {
            continue;
        };
        nobody_holds(root, *f)?;
        unbind(root, kernel, *f, &driver)?;
    }
    let register = bars::size_register(root, function, bar).ok_or(FunctionError::NoSizeRegister)?;
    let kept = below[1..].iter().filter_map(|f| Some((*f, function::driver_override(root, *f)?)));
    let kept: Vec<(Address, String)> = kept.collect();
    // While it answers at its addresses, its size must not change (PCI Express, 7.8.6). Its next driver switches that on again.
    if let Some(command) = config_byte(root, function, COMMAND).filter(|command| command & MEMORY != 0) {
        kernel.write_config(function, COMMAND, command & !MEMORY)?;
    }
    kernel.write_config(function, register, size_code(size))?;
    for child in bridge_window::children(root, bridge).into_iter().rev() {
        kernel.write(&attribute(child, "remove"), "1")?;
    }
    rescan_below(root, kernel, bridge)?;
    if let Some(f) = below.iter().find(|f| !appears(root, **f)) {
        return Err(FunctionError::OtherGone(*f));
    }
    Ok(kept.iter().try_for_each(|(f, driver)| set_override(kernel, *f, Some(driver)))?)
}

/// What stands for a size in the register: 2^(number+20) bytes, from 1 MiB to 128 TiB.
fn size_code(size: u64) -> u8 {
    size.trailing_zeros().saturating_sub(20) as u8 & 0x3f
}

/// A byte of configuration space.
fn config_byte(root: &Root, function: Address, at: usize) -> Option<u8> {
    let mut config = [0; 4096];
    root.read_into(&attribute(function, "config"), &mut config).ok()?.get(at).copied()
}

/// Has the kernel look for what is below a bridge.
fn rescan_below(root: &Root, kernel: &dyn Kernel, bridge: Address) -> Result<(), FunctionError> {
    let buses = attribute(bridge, "pci_bus");
    let bus = root.list(&buses)?.into_iter().next().ok_or(Errno::NOENT).map_err(io::Error::from)?;
    Ok(kernel.write(&format!("{buses}/{bus}/rescan"), "1")?)
}

/// Gives a BAR the size that it had, by the register of it; also where its function was off the bus when we were ended.
/// Whether all BARs have a place is asked when all of them had their turn.
pub(crate) fn restore_size(
    root: &Root,
    kernel: &dyn Kernel,
    resized: Resized,
    bridge: Address,
    before: Option<&str>,
) -> Result<(), FunctionError> {
    let Resized { function, bar } = resized;
    // A program that was ended on the way may have left any of them off the bus.
    rescan_below(root, kernel, bridge)?;
    comes_back(root, function)?;
    let Some(size) = before.and_then(|text| text.parse::<u64>().ok()) else { return Ok(()) };
    let is_so = || bars::bar(root, function, bar).is_some_and(|b| b.size == size && b.is_placed());
    let register = bars::size_register(root, function, bar).and_then(|at| config_byte(root, function, at));
    if is_so() && register.is_none_or(|now| now == size_code(size)) && bars::loss(root, function).is_none() {
        return Ok(());
    }
    reenumerate(root, kernel, resized, size, bridge)?;
    if is_so() || bars::loss(root, function).is_some() {
        return Ok(());
    }
    Err(FunctionError::OtherSize(size))
}
