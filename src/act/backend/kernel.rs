// SPDX-License-Identifier: LGPL-2.1-or-later
//! What answers our writes: the running kernel, or in a test tree the simulator.

use crate::host::function::attribute;
use crate::pci::Address;
use std::io;

/// The kernel as the steps see it. Reading goes through [`crate::root::Root`]; only changes come here.
pub trait Kernel: std::fmt::Debug {
    /// Writes `value` and a newline to an attribute (a path below the root, as `sys/bus/pci/drivers_probe`) in one
    /// `write(2)`.
    ///
    /// Errors are the kernel's errno. `TimedOut` means that the kernel has not answered within the deadline; the write
    /// may still take effect.
    fn write(&self, attribute: &str, value: &str) -> io::Result<()>;

    /// Writes a byte into a function's configuration space: `config@PLACE` as an attribute, and the byte in hexadecimal.
    fn write_config(&self, function: Address, place: usize, byte: u8) -> io::Result<()> {
        self.write(&attribute(function, &format!("config@{place}")), &format!("{byte:02x}"))
    }

    /// Loads a module, by its name or by a device's modalias, as modprobe(8) does.
    fn modprobe(&self, module: &str) -> io::Result<()>;
}
