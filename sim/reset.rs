// SPDX-License-Identifier: LGPL-2.1-or-later
//! How a function can be reset, and what may become of it.

use crate::device::Device;
use crate::parse::{line, number};
use crate::tree::Tree;
use rustix::io::Errno;
use std::io;
use vfio_suite::host::reset::MODULE;
use vfio_suite::plan::reset::chip;

/// Every method the kernel knows (`pci_reset_fn_methods`).
const METHODS: [&str; 7] = ["device_specific", "acpi", "flr", "af_flr", "pm", "bus", "cxl_bus"];

/// What a function is found with; a tree that does not say so is taken by what the attribute says now.
fn found_with(tree: &Tree<'_>, device: &Device) -> io::Result<Vec<String>> {
    let mut methods = match tree.fact("reset", &device.name)? {
        Some(methods) => methods,
        None => {
            let now = tree.root.read_text(&device.file("reset_method"))?;
            now.split_whitespace().map(str::to_owned).collect()
        }
    };
    // vendor-reset makes the kernel's device-specific method work for the cards that it knows.
    let id = |attribute: &str| device.id(tree, attribute).and_then(|id| u16::try_from(id).ok());
    let known = id("vendor").zip(id("device")).is_some_and(|(vendor, device)| chip(vendor, device).is_some());
    if known && tree.root.exists(&format!("sys/module/{MODULE}")) && !methods.iter().any(|m| m == METHODS[0]) {
        methods.insert(0, METHODS[0].to_owned());
    }
    Ok(methods)
}

/// What a function supports now. `pci_parent_bus_reset()` wants it to be alone on its bus; function 0 is when it is found,
/// and keeps the method in its list.
fn supported(tree: &Tree<'_>, device: &Device) -> io::Result<Vec<String>> {
    let mut methods = found_with(tree, device)?;
    let beside = |other: &Device| other.bus() == device.bus() && other.name != device.name;
    if Device::all(tree).iter().any(beside) {
        methods.retain(|method| method != "bus");
    }
    Ok(methods)
}

/// `reset_method`: a list in the order wanted, `default`, or an empty line for none. What is not supported is EINVAL
/// and changes nothing.
pub(crate) fn choose(tree: &Tree<'_>, device: &Device, value: &str) -> io::Result<()> {
    let supported = supported(tree, device)?;
    let selected: Vec<&str> = match line(value) {
        "default" => supported.iter().map(String::as_str).collect(),
        list => list.split(' ').map(str::trim).filter(|word| !word.is_empty()).collect(),
    };
    if selected.len() > METHODS.len() || !selected.iter().all(|word| supported.iter().any(|method| method == word)) {
        return Err(Errno::INVAL.into());
    }
    show(tree, device, &selected)
}

fn show(tree: &Tree<'_>, device: &Device, methods: &[&str]) -> io::Result<()> {
    let end = if methods.is_empty() { "" } else { "\n" };
    tree.put(&device.file("reset_method"), &format!("{}{end}", methods.join(" ")))
}

/// What a new function starts with.
pub(crate) fn forget(tree: &Tree<'_>, device: &Device) -> io::Result<()> {
    if tree.fact("reset", &device.name)?.is_none() {
        return Ok(());
    }
    let methods = found_with(tree, device)?;
    show(tree, device, &methods.iter().map(String::as_str).collect::<Vec<_>>())
}

/// `reset`: only `1` is a request. The methods are tried in order, the next where one does not apply; ENOTTY if none does.
pub(crate) fn reset(tree: &Tree<'_>, device: &Device, value: &str) -> io::Result<()> {
    if number(value)? != 1 {
        return Err(Errno::INVAL.into());
    }
    let now = tree.root.read_text(&device.file("reset_method"))?;
    let supported = supported(tree, device)?;
    let Some(method) = now.split_whitespace().find(|method| supported.iter().any(|other| other == method)) else {
        return Err(Errno::NOTTY.into());
    };
    let dies = tree.fact("dies", &device.name)?;
    if dies.is_some_and(|by| by.is_empty() || by.iter().any(|by| by == method)) {
        // Nobody answers any more, and reads of nobody are ones. The kernel does not look.
        let file = device.file("config");
        let length = tree.root.read(&file)?.len();
        tree.put(&file, &vec![0xff; length])?;
    }
    Ok(())
}
