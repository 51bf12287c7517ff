// SPDX-License-Identifier: LGPL-2.1-or-later
//! How a function can be reset.

use super::device::Device;
use super::tree::Tree;
use super::{line, number};
use rustix::io::Errno;
use std::io;

/// Every method the kernel knows (`pci_reset_fn_methods`).
const METHODS: [&str; 7] = ["device_specific", "acpi", "flr", "af_flr", "pm", "bus", "cxl_bus"];

/// What a function supports; a tree that does not say so is taken by what the attribute says now.
fn supported(tree: &Tree<'_>, device: &Device) -> io::Result<Vec<String>> {
    let mut methods = match tree.fact("reset", &device.name)? {
        Some(methods) => methods,
        None => {
            let now = tree.root.read_text(&device.file("reset_method"))?;
            now.split_whitespace().map(str::to_owned).collect()
        }
    };
    // vendor-reset makes the kernel's device-specific method work for the cards that it knows; the model takes it to
    // know every display.
    let display = device.id(tree, "class").is_some_and(|class| class >> 16 == 0x03);
    if display && tree.root.exists("sys/module/vendor_reset") && !methods.iter().any(|m| m == METHODS[0]) {
        methods.insert(0, METHODS[0].to_owned());
    }
    Ok(methods)
}

/// `reset_method`: a list in the order wanted, `default`, or an empty line for none. What is not supported is EINVAL
/// and changes nothing.
pub(super) fn choose(tree: &Tree<'_>, device: &Device, value: &str) -> io::Result<()> {
    let file = device.file("reset_method");
    let supported = supported(tree, device)?;
    let chosen: Vec<&str> = match line(value) {
        "default" => supported.iter().map(String::as_str).collect(),
        list => list.split(' ').map(str::trim).filter(|word| !word.is_empty()).collect(),
    };
    if chosen.len() > METHODS.len() || !chosen.iter().all(|word| supported.iter().any(|method| method == word)) {
        return Err(Errno::INVAL.into());
    }
    let end = if chosen.is_empty() { "" } else { "\n" };
    tree.put(&file, &format!("{}{end}", chosen.join(" ")))
}

/// What a new function starts with.
pub(super) fn forget(tree: &Tree<'_>, device: &Device) -> io::Result<()> {
    match tree.fact("reset", &device.name)? {
        Some(_) => choose(tree, device, "default"),
        None => Ok(()),
    }
}

/// `reset`: only `1` is a request; ENOTTY if there is no method.
pub(super) fn reset(tree: &Tree<'_>, device: &Device, value: &str) -> io::Result<()> {
    if number(value)? != 1 {
        return Err(Errno::INVAL.into());
    }
    match tree.root.read_text(&device.file("reset_method"))?.is_empty() {
        true => Err(Errno::NOTTY.into()),
        false => Ok(()),
    }
}
