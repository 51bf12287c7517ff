// SPDX-License-Identifier: LGPL-2.1-or-later
//! A simulation of the kernel's PCI core on a tree of plain files.
//!
//! With `--root DIR` nothing of the running system is touched: what we would write to sysfs is answered here, and the
//! tree changes as the kernel would change it, errors included. The simulator keeps nothing in memory, so separate
//! processes see one machine. What plain files cannot say lies in `DIR/.kernel/` (all files optional, one fact a line,
//! `#` begins a comment):
//!
//! | file | lines | what |
//! |---|---|---|
//! | `drivers` | `DRIVER MODULE GLOB...` | what can be loaded, in the order in which it registers; `-` is "none" (built in; no PCI driver) |
//! | `dynids` | `DRIVER IDS...` | what was written to `new_id` |
//! | `roms/ADDRESS`, `rom-enabled/ADDRESS` | bytes | a function's option ROM; whether it may be read |
//! | `owned` | `GROUP` | IOMMU groups that a guest has open |
//! | `reset` | `ADDRESS METHOD...` | the reset methods a function has, in the kernel's order |
//! | `dies` | `ADDRESS [METHOD...]` | a function that answers no more after a reset, or after one by these methods |
//! | `windows` | `ADDRESS BYTES BASE` | the 64-bit prefetchable window of a bridge, or of a function that has one to itself |
//! | `resize` | see `resize.rs` | how this kernel resizes BARs |
//! | `faults` | `N ERRNO [late]`, `GLOB ERRNO [late]` | what goes wrong: the Nth write of all processes, or every write to such an attribute (`modprobe:MODULE`, `read:ATTRIBUTE`, `probe:DRIVER:ADDRESS`, `run:WORDS`, `signal:PID:NAME` for what is none; a blank in a glob is written `?`); `hang` and `slow` are errnos too; `late` takes effect first |
//! | `count` | `N` | how many writes, module loads, programs and signals there were |
//! | `removed/`, `groups/`, `parked/` | | functions off the bus, their empty groups, and what a driver had made of a function |
//! | `framebuffer` | | the line of `/proc/iomem` that the firmware's framebuffer's driver had, while it has let go of it |
//! | `depends` | `MODULE OTHER...` | what a module is built on: loaded before it, and its `holders` |
//! | `units/NAME`, `system-state` | see `units.rs` | units of systemd, and what `systemctl is-system-running` says |
//! | `sessions/ID` | see `logins.rs` | login sessions |
//! | `journal` | any | what `journalctl` prints of the units of vfio |
//! | `log`, `log-before` | `SECONDS.MICROS WRITER: TEXT` | what it prints of this boot and of the one before (`--output=short-unix`) |
//! | `domains/NAME.xml`, `domains/NAME`, `running/NAME`, `no-libvirt` | see `domains.rs` | libvirt's domains, and those that run |
//! | `stubborn` | `PID` | processes that disregard SIGTERM |
//! | `ran` | `WORDS...` | the user's own commands, as they were run |
//! | `parked-modules/`, `parked-processes/`, `parked-sessions/` | | what was unloaded and what has ended, for when it comes back |
//! | `huge-pages`, `compacted`, `dropped` | see `pages.rs` | how many huge pages can be had |
//! | `rescan-honours-autoprobe` | | its presence makes rescans respect `drivers_autoprobe`, as newer kernels do (`pci_bus_add_device` calls `device_initial_probe` there) |
//!
//! The errors are those of `drivers/base/{bus,dd,driver}.c`, `drivers/pci/{pci,pci-driver,pci-sysfs,setup-res}.c` and
//! `drivers/vfio/pci/` of 6.1 and 6.12.

use crate::device::Device;
use crate::parse::{found, line, number};
use crate::tree::Tree;
use crate::{driver, faults, hotplug, modules, pages, platform, reset, resize, rom, services};
use rustix::io::Errno;
use std::io;
use vfio_suite::act::backend::tools::Signal;
use vfio_suite::host::process::Process;
use vfio_suite::root::Root;

/// The kernel of a test tree.
#[derive(Debug)]
pub struct Simulator<'a> {
    root: &'a Root,
}

impl<'a> Simulator<'a> {
    /// The kernel of the machine below `root`.
    pub fn new(root: &'a Root) -> Self {
        Simulator { root }
    }

    /// Writes to an attribute.
    pub fn write(&self, attribute: &str, value: &str) -> io::Result<()> {
        let tree = Tree::lock(self.root)?;
        let attribute = attribute.trim_matches('/');
        // As in the running kernel, the value comes with a newline: an empty one alone would never reach the attribute.
        faults::around(&tree, attribute, || store(&tree, attribute, &format!("{value}\n")))
    }

    /// Reads an attribute whose content is not text.
    pub fn read(&self, attribute: &str) -> io::Result<Vec<u8>> {
        let tree = Tree::lock(self.root)?;
        let mut bytes = Vec::new();
        faults::around(&tree, &format!("read:{attribute}"), || {
            bytes = rom::read(&tree, attribute)?;
            Ok(())
        })?;
        Ok(bytes)
    }

    /// Loads a module.
    pub fn modprobe(&self, module: &str) -> io::Result<()> {
        let tree = Tree::lock(self.root)?;
        faults::around(&tree, &format!("modprobe:{module}"), || modules::load(&tree, module))
    }

    /// Runs a program of the system. Nothing takes time: a deadline passes only where a fault says so.
    pub fn run(&self, words: &[&str]) -> io::Result<String> {
        match services::only_told(self.root, words) {
            Some(told) => told,
            None => services::run(&Tree::lock(self.root)?, words),
        }
    }

    /// Sends a signal.
    pub fn signal(&self, process: &Process, signal: Signal) -> io::Result<()> {
        services::signal(&Tree::lock(self.root)?, process.pid, signal)
    }
}

/// What open(2) and write(2) of an attribute do.
fn store(tree: &Tree<'_>, attribute: &str, value: &str) -> io::Result<()> {
    // kernfs lets not even root write to an attribute without a write bit
    // (`KERNFS_ROOT_EXTRA_OPEN_PERM_CHECK`).
    let mode = tree.mode(attribute.split('@').next().unwrap_or_default())?;
    if mode & 0o222 == 0 {
        return Err(Errno::ACCESS.into());
    }
    let parts: Vec<&str> = attribute.split('/').collect();
    match parts.as_slice() {
        ["sys", "kernel", "mm", "hugepages", _, "nr_hugepages"]
        | ["sys", "devices", "system", "node", _, "hugepages", _, "nr_hugepages"] => {
            pages::store(tree, attribute, value)
        }
        // `store_scaling_governor()`, drivers/cpufreq/cpufreq.c
        ["sys", "devices", "system", "cpu", "cpufreq", policy, "scaling_governor"] => {
            let path = format!("sys/devices/system/cpu/cpufreq/{policy}/scaling_available_governors");
            let known = tree.root.read_text(&path).unwrap_or_default();
            if known.split_ascii_whitespace().any(|name| name == line(value)) {
                plain(tree, attribute, value, mode)
            } else {
                Err(Errno::INVAL.into())
            }
        }
        ["proc", "sys", "vm", "compact_memory"] => pages::help(tree, "compacted"),
        ["proc", "sys", "vm", "drop_caches"] => pages::help(tree, "dropped"),
        ["sys", "bus", "pci", "drivers_probe"] => driver::probe(tree, &found(tree, value)?),
        ["sys", "bus", "pci", "drivers_autoprobe"] => {
            tree.put(attribute, if value.starts_with('0') { "0\n" } else { "1\n" })
        }
        ["sys", "bus", "pci", "rescan"] => match number(value)? {
            0 => Ok(()),
            _ => hotplug::rescan(tree, "sys/devices"),
        },
        ["sys", "bus", "pci", "drivers", driver, "bind"] => driver::bind(tree, driver, &found(tree, value)?),
        ["sys", "bus", "pci", "drivers", driver, "unbind"] => driver::unbind(tree, driver, &found(tree, value)?),
        ["sys", "bus", "pci", "drivers", driver, "new_id"] => driver::new_id(tree, driver, value),
        ["sys", "bus", "pci", "drivers", driver, "remove_id"] => driver::remove_id(tree, driver, value),
        ["sys", "bus", "platform", "drivers", driver, "unbind"] => platform::unbind(tree, driver, line(value)),
        ["sys", "bus", "platform", "drivers", driver, "bind"] => platform::bind(tree, driver, line(value)),
        ["sys", "bus", "pci", "devices", name, "driver", "unbind"] => {
            let driver = found(tree, name)?.driver(tree).ok_or(Errno::NOENT)?;
            driver::unbind(tree, &driver, &found(tree, value)?)
        }
        // `control_store()`, drivers/base/power/sysfs.c
        ["sys", "bus", "pci", "devices", _, "power", "control"] if !matches!(line(value), "on" | "auto") => {
            Err(Errno::INVAL.into())
        }
        // `rescan_store()`, drivers/pci/pci-sysfs.c: for a bus with nothing on it the bridge's windows are laid out again.
        ["sys", "bus", "pci", "devices", name, "pci_bus", _, "rescan"] => match number(value)? {
            0 => Ok(()),
            _ => hotplug::rescan(tree, &found(tree, name)?.path),
        },
        ["sys", "bus", "pci", "devices", name, attribute] => {
            store_device(tree, &found(tree, name)?, attribute, value, mode)
        }
        _ => plain(tree, attribute, value, mode),
    }
}

/// A write to an attribute of a function.
fn store_device(tree: &Tree<'_>, device: &Device, attribute: &str, value: &str, mode: u32) -> io::Result<()> {
    match attribute {
        "driver_override" => device.set_override(tree, value),
        "remove" => match number(value)? {
            0 => Ok(()),
            _ => hotplug::remove(tree, device),
        },
        // The bus that the function sits on, and all below it.
        "rescan" => match number(value)? {
            0 => Ok(()),
            _ => hotplug::rescan(tree, device.bus()),
        },
        "reset_method" => reset::choose(tree, device, value),
        "d3cold_allowed" => tree.put(&device.file(attribute), if number(value)? == 0 { "0\n" } else { "1\n" }),
        "reset" => reset::reset(tree, device, value),
        "rom" => rom::enable(tree, device, value),
        _ if attribute.starts_with("config@") => resize::write_config(tree, device, attribute, value),
        _ => match attribute.strip_prefix("resource").and_then(|rest| rest.strip_suffix("_resize")) {
            Some(bar) => resize::resize(tree, device, bar, value),
            None => plain(tree, &device.file(attribute), value, mode),
        },
    }
}

/// An attribute that only remembers what was written.
fn plain(tree: &Tree<'_>, attribute: &str, value: &str, mode: u32) -> io::Result<()> {
    if mode & 0o444 == 0 {
        return Ok(());
    }
    tree.put(attribute, &format!("{}\n", line(value)))
}
