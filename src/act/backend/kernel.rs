// SPDX-License-Identifier: LGPL-2.1-or-later
//! What answers our writes: the running kernel, or in a test tree the simulator.

use crate::host::function::attribute;
use crate::pci::Address;
use rustix::io::Errno;
use std::io;
use std::time::Duration;

/// Why the kernel did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// It refused: its errno.
    #[error(transparent)]
    Refused(#[from] io::Error),
    /// It has not answered within the deadline; the write may still take effect, and a further one may hang as well.
    #[error("the kernel has not answered within {} s", deadline.as_secs())]
    NoAnswer {
        /// How long it was waited for.
        deadline: Duration,
    },
    /// modprobe(8) failed; it says itself why.
    #[error("modprobe cannot load {module} (see the line above, or the kernel log)")]
    Module {
        /// The module, or the modalias.
        module: String,
    },
    /// The process that makes the writes has ended without an answer.
    #[error("the child that writes was killed")]
    Killed,
}

impl KernelError {
    /// Whether the kernel may still work on it.
    pub fn is_timeout(&self) -> bool {
        matches!(self, KernelError::NoAnswer { .. })
    }

    /// Its errno, if it gave one.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            KernelError::Refused(error) => error.raw_os_error().map(Errno::from_raw_os_error),
            _ => None,
        }
    }
}

/// The kernel as the steps see it. Reading goes through [`crate::root::Root`]; only changes come here.
pub trait Kernel: std::fmt::Debug {
    /// Writes `value` and a newline to an attribute (a path below the root, as `sys/bus/pci/drivers_probe`) in one
    /// `write(2)`.
    ///
    /// Errors: the kernel's errno, or no answer within the deadline.
    fn write(&self, attribute: &str, value: &str) -> Result<(), KernelError>;

    /// Writes a byte into a function's configuration space: `config@PLACE` as an attribute, and the byte in hexadecimal.
    fn write_config(&self, function: Address, place: usize, byte: u8) -> Result<(), KernelError> {
        self.write(&attribute(function, &format!("config@{place}")), &format!("{byte:02x}"))
    }

    /// Reads an attribute whose content is not text, of so many bytes at most.
    ///
    /// Errors: the kernel's errno.
    fn read(&self, attribute: &str, most: u64) -> Result<Vec<u8>, KernelError>;

    /// Loads a module, by its name or by a device's modalias, as modprobe(8) does.
    fn modprobe(&self, module: &str) -> Result<(), KernelError>;
}
