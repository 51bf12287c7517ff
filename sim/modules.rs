// SPDX-License-Identifier: LGPL-2.1-or-later
//! Modules: loading with what they are built on, and unloading, as modprobe(8) does both.

use crate::device::Device;
use crate::driver::{self, Known};
use crate::error::failed;
use crate::tree::Tree;
use rustix::io::Errno;
use std::io;
use vfio_suite::root::{PCI_BUS, PCI_DRIVERS};

const PARKED: &str = ".kernel/parked-modules";

/// The nodes that NVIDIA's modules without a PCI driver make. `nvidia` itself goes by the functions that it drives.
const NODES: [(&str, &str); 3] =
    [("nvidia_drm", "/dev/dri/"), ("nvidia_modeset", "/dev/nvidia-modeset"), ("nvidia_uvm", "/dev/nvidia-uvm")];

/// A module's name as sysfs writes it.
fn plain(name: &str) -> String {
    name.replace('-', "_")
}

fn directory(module: &str) -> String {
    format!("sys/module/{module}")
}

/// What a module is built on.
fn depends(tree: &Tree<'_>, module: &str) -> io::Result<Vec<String>> {
    Ok(tree.fact("depends", module)?.unwrap_or_default())
}

/// Loads a module by its name, or all that match an alias. One that is there already is success.
pub(crate) fn load(tree: &Tree<'_>, name: &str) -> io::Result<()> {
    let by_alias = name.contains(':');
    let known = driver::known(tree)?;
    let desired: Vec<&Known> = if by_alias {
        known.iter().filter(|known| known.matches(name)).collect()
    } else {
        known.iter().filter(|known| known.module.as_deref().map(plain) == Some(plain(name))).collect()
    };
    if desired.is_empty() && (by_alias || !tree.root.exists(&directory(&plain(name)))) {
        return Err(Errno::NOENT.into());
    }
    for line in desired {
        register(tree, &known, line, line.module.as_deref().map(plain))?;
    }
    Ok(())
}

fn register(tree: &Tree<'_>, known: &[Known], line: &Known, module: Option<String>) -> io::Result<()> {
    if let Some(module) = module.as_ref().filter(|module| !tree.root.exists(&directory(module))) {
        show(tree, module)?;
    }
    if line.is_vfio() {
        tree.mkdir("sys/class/vfio-dev")?;
        tree.mkdir("dev/vfio")?;
        tree.make_file("dev/vfio/vfio", "", 0o666)?;
    }
    let Some(driver) = &line.driver else { return Ok(()) };
    let drivers = format!("{PCI_DRIVERS}/{driver}");
    if tree.root.exists(&drivers) {
        return Ok(());
    }
    let kept = module.as_ref().map(|module| format!("{PARKED}/{module}/drivers/{driver}"));
    match kept.filter(|kept| tree.root.exists(kept)) {
        Some(kept) => {
            tree.rename(&kept, &drivers)?;
            forget_parked(tree, module.as_deref().unwrap_or_default())?;
        }
        None => show_driver(tree, &drivers)?,
    }
    if let Some(module) = module.map(|module| directory(&module)) {
        tree.link(&format!("{drivers}/module"), &module)?;
        tree.mkdir(&format!("{module}/drivers"))?;
        tree.link(&format!("{module}/drivers/pci:{driver}"), &drivers)?;
    }
    if tree.root.read_text(&format!("{PCI_BUS}/drivers_autoprobe")).is_ok_and(|text| text == "0") {
        return Ok(());
    }
    driver::offer_all(tree, known, driver)
}

fn show_driver(tree: &Tree<'_>, directory: &str) -> io::Result<()> {
    tree.mkdir(directory)?;
    let attributes = ["bind", "new_id", "remove_id", "uevent", "unbind"];
    attributes.iter().try_for_each(|attribute| tree.make_file(&format!("{directory}/{attribute}"), "", 0o200))
}

/// A module's directory, after those of what it is built on.
fn show(tree: &Tree<'_>, module: &str) -> io::Result<()> {
    for other in depends(tree, module)? {
        load(tree, &other)?;
        let holders = format!("{}/holders", directory(&other));
        tree.mkdir(&holders)?;
        tree.link(&format!("{holders}/{module}"), &directory(module))?;
        count(tree, &other, 1)?;
    }
    let kept = format!("{PARKED}/{module}/module");
    if tree.root.exists(&kept) {
        tree.rename(&kept, &directory(module))?;
        return forget_parked(tree, module);
    }
    tree.mkdir(&directory(module))?;
    tree.make_file(&format!("{}/initstate", directory(module)), "live\n", 0o444)?;
    tree.make_file(&format!("{}/refcnt", directory(module)), "0\n", 0o444)
}

/// What is empty below `.kernel/parked-modules` goes.
fn forget_parked(tree: &Tree<'_>, module: &str) -> io::Result<()> {
    tree.rmdir(&format!("{PARKED}/{module}/drivers"))?;
    tree.rmdir(&format!("{PARKED}/{module}"))?;
    tree.rmdir(PARKED)
}

fn references(tree: &Tree<'_>, module: &str) -> i64 {
    tree.root.read_text(&format!("{}/refcnt", directory(module))).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn count(tree: &Tree<'_>, module: &str, more: i64) -> io::Result<()> {
    let number = references(tree, module) + more;
    tree.put(&format!("{}/refcnt", directory(module)), &format!("{number}\n"))
}

/// The PCI drivers that a loaded module has registered.
fn drivers(tree: &Tree<'_>, module: &str) -> Vec<String> {
    let links = tree.list(&format!("{}/drivers", directory(module)));
    links.iter().filter_map(|link| link.strip_prefix("pci:")).map(str::to_owned).collect()
}

/// The functions that a driver has.
fn bound(tree: &Tree<'_>, driver: &str) -> Vec<Device> {
    Device::all(tree).into_iter().filter(|device| device.driver(tree).as_deref() == Some(driver)).collect()
}

/// `try_module_get()` somewhere: another module is built on it, or a process has one of its nodes open.
fn in_use(tree: &Tree<'_>, module: &str) -> bool {
    if references(tree, module) > 0 || !tree.list(&format!("{}/holders", directory(module))).is_empty() {
        return true;
    }
    let held = |driver: &str, prefix: &str| {
        bound(tree, driver).iter().any(|device| device.held(tree, |node| node.starts_with(prefix)))
    };
    match NODES.iter().find(|(name, _)| *name == module) {
        Some((_, prefix)) => held("nvidia", prefix),
        None => drivers(tree, module).iter().any(|driver| held(driver, "/dev/")),
    }
}

/// `modprobe -r`: the module goes, and then what it was built on, as far as nobody else uses it. One that is not loaded
/// is success.
pub(crate) fn remove(tree: &Tree<'_>, name: &str) -> io::Result<()> {
    let module = plain(name);
    if !tree.root.exists(&directory(&module)) {
        let known = driver::known(tree)?;
        return if known.iter().any(|known| known.module.as_deref().map(plain).as_ref() == Some(&module)) {
            Ok(())
        } else {
            Err(failed("modprobe", &format!("FATAL: Module {name} not found.")))
        };
    }
    if in_use(tree, &module) {
        return Err(failed("modprobe", &format!("FATAL: Module {module} is in use.")));
    }
    unload(tree, &module)
}

fn unload(tree: &Tree<'_>, module: &str) -> io::Result<()> {
    let kept = format!("{PARKED}/{module}");
    for driver in drivers(tree, module) {
        for device in bound(tree, &driver) {
            driver::release(tree, &device)?;
        }
        driver::forget_ids(tree, &driver)?;
        tree.mkdir(&format!("{kept}/drivers"))?;
        tree.rename(&format!("{PCI_DRIVERS}/{driver}"), &format!("{kept}/drivers/{driver}"))?;
    }
    tree.mkdir(&kept)?;
    tree.rename(&directory(module), &format!("{kept}/module"))?;
    let depends = depends(tree, module)?;
    for other in &depends {
        let holders = format!("{}/holders", directory(other));
        tree.unlink(&format!("{holders}/{module}"))?;
        tree.rmdir(&holders)?;
        count(tree, other, -1)?;
    }
    let unused = depends.iter().filter(|other| tree.root.exists(&directory(other)));
    unused.filter(|other| !in_use(tree, other)).try_for_each(|other| unload(tree, other))
}
