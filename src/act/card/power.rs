// SPDX-License-Identifier: LGPL-2.1-or-later
//! Keeping cards awake for as long as they are with vfio or change hands.

use crate::act::backend::kernel::Kernel;
use crate::host::function::attribute;
use crate::host::power::{self, AWAKE};
use crate::pci::Address;
use crate::root::Root;
use std::io;

/// What functions or ports are allowed now, for a journal: a line each.
pub(crate) fn allowed(root: &Root, all: &[Address]) -> String {
    let allowed = power::allowed(root, all).into_iter();
    allowed.map(|(function, name, value)| format!("{function} {name} {value}\n")).collect()
}

/// Writes an attribute that is there and has another value.
fn put(root: &Root, kernel: &dyn Kernel, function: Address, name: &str, value: &str) -> io::Result<()> {
    let path = attribute(function, name);
    match root.read_text(&path) {
        Ok(now) if now != value => kernel.write(&path, value),
        _ => Ok(()),
    }
}

/// Keeps functions or ports awake. One that cannot be is no reason not to have a guest.
pub(crate) fn keep_awake(root: &Root, kernel: &dyn Kernel, functions: &[Address]) -> io::Result<()> {
    for function in functions.iter().copied() {
        for (name, value) in AWAKE {
            match put(root, kernel, function, name, value) {
                Err(error) if error.kind() == io::ErrorKind::TimedOut => return Err(error),
                Err(error) => log::warn!("{function}: {name} cannot be set to '{value}': {error}"),
                Ok(()) => {}
            }
        }
    }
    Ok(())
}

/// Allows them what they were allowed, the functions before the ports above them.
pub(crate) fn let_sleep(root: &Root, kernel: &dyn Kernel, allowed: &str) -> io::Result<()> {
    let mut result = Ok(());
    for line in allowed.lines().rev() {
        let mut words = line.splitn(3, ' ');
        let (Some(function), Some(name), Some(value)) = (words.next(), words.next(), words.next()) else { continue };
        let Some(function) = Address::from_sysfs(function.as_bytes()) else { continue };
        let put = put(root, kernel, function, name, value);
        result = result.and(put.map_err(|error| io::Error::new(error.kind(), format!("{function}: {name}: {error}"))));
    }
    result
}
