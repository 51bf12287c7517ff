// SPDX-License-Identifier: LGPL-2.1-or-later
//! Keeping cards awake for as long as they change hands and guests have them.

use crate::act::kernel::Kernel;
use crate::host::function::{self, attribute};
use crate::pci::Address;
use crate::root::Root;
use std::io;

/// What keeps a function awake: no power state from which only the platform wakes it, no sleep while nobody uses it.
const AWAKE: [(&str, &str); 2] = [("d3cold_allowed", "0"), ("power/control", "on")];

/// The functions with the ports above them, from the root down: nobody wakes behind a port that sleeps.
fn with_ports(root: &Root, functions: &[Address]) -> Vec<Address> {
    let mut all: Vec<Address> = Vec::new();
    for function in functions {
        let ports = function::parents(root, *function).into_iter().rev();
        for address in ports.chain([*function]) {
            if !all.contains(&address) {
                all.push(address);
            }
        }
    }
    all
}

/// What they are allowed now, a line each: address, attribute, value. What has no such attribute is left out.
pub(super) fn allowed(root: &Root, functions: &[Address]) -> String {
    let mut lines = String::new();
    for function in with_ports(root, functions) {
        for (name, _) in AWAKE {
            if let Ok(value) = root.read_text(&attribute(function, name)) {
                lines.push_str(&format!("{function} {name} {value}\n"));
            }
        }
    }
    lines
}

/// Writes an attribute that is there and has another value.
fn put(root: &Root, kernel: &dyn Kernel, function: Address, name: &str, value: &str) -> io::Result<()> {
    let path = attribute(function, name);
    match root.read_text(&path) {
        Ok(now) if now != value => kernel.write(&path, value),
        _ => Ok(()),
    }
}

/// Keeps functions and ports awake. One that cannot be is no reason not to have a guest.
pub(super) fn keep_awake(root: &Root, kernel: &dyn Kernel, functions: &[Address]) -> io::Result<()> {
    for function in with_ports(root, functions) {
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
pub(super) fn let_sleep(root: &Root, kernel: &dyn Kernel, allowed: &str) -> io::Result<()> {
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
