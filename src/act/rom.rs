// SPDX-License-Identifier: LGPL-2.1-or-later
//! Reading a card's own option ROM.

use crate::act::backend::kernel::{Kernel, KernelError};
use crate::act::backend::kernel_for;
use crate::act::card::power::{self, PowerError};
use crate::host::function::{attribute, Function};
use crate::host::power::with_ports;
use crate::host::rom::source::{self, Source, Sources};
use crate::host::rom::LARGEST;
use crate::pci::Address;
use crate::root::Root;
use nix::sys::signal::{SigSet, Signal};
use std::io;

/// Why a ROM was not read.
#[derive(Debug, thiserror::Error)]
pub enum RomError {
    /// A file could not be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The kernel does not switch it on, or gives nothing.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// It was read, and the card may not sleep as before.
    #[error(transparent)]
    Power(#[from] PowerError),
}

impl RomError {
    /// The kernel's errno, if it gave one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            RomError::Io(error) => error.raw_os_error(),
            RomError::Kernel(error) => error.errno().map(|errno| errno.raw_os_error()),
            RomError::Power(_) => None,
        }
    }
}

/// Reads a function's ROM from one source. For the card itself the caller holds the [`crate::act::lock::Lock`].
pub fn read(root: &Root, function: &Function, there: &Sources, from: Source) -> Result<Vec<u8>, RomError> {
    match (from, &there.debugfs) {
        (Source::Sysfs, _) => read_own(root, function.address),
        (Source::Vfct, _) => Ok(source::read_vfct(root, function)?),
        (Source::Debugfs, Some(path)) => Ok(source::read_debugfs(root, path)?),
        (Source::Debugfs, None) => Err(io::Error::from(io::ErrorKind::NotFound).into()),
    }
}

/// Reads it of the card, which is kept awake for it and allowed afterwards what it was allowed.
fn read_own(root: &Root, function: Address) -> Result<Vec<u8>, RomError> {
    let _undisturbed = Undisturbed::begin();
    let kernel = kernel_for(root);
    let functions = with_ports(root, &[function]);
    let allowed = power::allowed(root, &functions);
    let awake = power::keep_awake(root, kernel.as_ref(), &functions);
    let hangs = awake.as_ref().is_err_and(KernelError::is_timeout);
    let read = awake.and_then(|()| read_enabled(kernel.as_ref(), function));
    // A function that the kernel still works on is left alone.
    if hangs || read.as_ref().is_err_and(KernelError::is_timeout) {
        return Ok(read?);
    }
    let slept = power::let_sleep(root, kernel.as_ref(), &allowed);
    let bytes = read?;
    slept?;
    Ok(bytes)
}

/// Switches reading on (`rom` in Documentation/ABI/testing/sysfs-bus-pci), and off again however it went.
fn read_enabled(kernel: &dyn Kernel, function: Address) -> Result<Vec<u8>, KernelError> {
    let path = attribute(function, "rom");
    let read = kernel.write(&path, "1").and_then(|()| kernel.read(&path, LARGEST + 1));
    if read.as_ref().is_err_and(KernelError::is_timeout) {
        return read;
    }
    let off = match kernel.write(&path, "0") {
        // A key that interrupts us interrupts the child that writes: the next has a new one.
        Err(KernelError::Killed) => kernel.write(&path, "0"),
        other => other,
    };
    read.and_then(|bytes| off.map(|()| bytes))
}

/// Signals that would end the program wait until this is dropped.
struct Undisturbed(Option<SigSet>);

impl Undisturbed {
    fn begin() -> Undisturbed {
        let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect();
        let before = SigSet::thread_get_mask().ok();
        // Where they cannot be kept back they do what they always did.
        Undisturbed(before.filter(|_| signals.thread_block().is_ok()))
    }
}

impl Drop for Undisturbed {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = before.thread_set_mask();
        }
    }
}
