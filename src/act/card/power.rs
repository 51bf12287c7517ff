// SPDX-License-Identifier: LGPL-2.1-or-later
//! Keeping cards awake for as long as they are with vfio or change hands.

use crate::act::backend::kernel::{Kernel, KernelError};
use crate::host::function::attribute;
use crate::host::power::{self, AWAKE};
use crate::pci::Address;
use crate::root::Root;

/// A power attribute that could not be set back.
#[derive(Debug, thiserror::Error)]
#[error("{function}: {name}: {source}")]
pub struct PowerError {
    /// The function or port.
    function: Address,
    /// Its attribute.
    name: String,
    /// What the kernel said.
    pub source: KernelError,
}

/// What functions or ports are allowed now, for a journal: a line each.
pub(crate) fn allowed(root: &Root, all: &[Address]) -> String {
    let allowed = power::allowed(root, all).into_iter();
    allowed.map(|(function, name, value)| format!("{function} {name} {value}\n")).collect()
}

/// Writes an attribute that is there and has another value.
fn write_if_other(
    root: &Root,
    kernel: &dyn Kernel,
    function: Address,
    name: &str,
    value: &str,
) -> Result<(), KernelError> {
    let path = attribute(function, name);
    match root.read_text(&path) {
        Ok(now) if now != value => kernel.write(&path, value),
        _ => Ok(()),
    }
}

/// Keeps functions or ports awake. One that cannot be is no reason not to have a guest.
pub(crate) fn keep_awake(root: &Root, kernel: &dyn Kernel, functions: &[Address]) -> Result<(), KernelError> {
    for function in functions.iter().copied() {
        for (name, value) in AWAKE {
            match write_if_other(root, kernel, function, name, value) {
                Err(error) if error.is_timeout() => return Err(error),
                Err(error) => log::warn!("{function}: {name} cannot be set to '{value}': {error}"),
                Ok(()) => {}
            }
        }
    }
    Ok(())
}

/// Allows them what they were allowed, the functions before the ports above them.
pub(crate) fn let_sleep(root: &Root, kernel: &dyn Kernel, allowed: &str) -> Result<(), PowerError> {
    let mut result = Ok(());
    for line in allowed.lines().rev() {
        let mut words = line.splitn(3, ' ');
        let (Some(function), Some(name), Some(value)) = (words.next(), words.next(), words.next()) else { continue };
        let Some(function) = Address::from_sysfs(function.as_bytes()) else { continue };
        let put = write_if_other(root, kernel, function, name, value);
        result = result.and(put.map_err(|source| PowerError { function, name: name.to_owned(), source }));
    }
    result
}
