// SPDX-License-Identifier: LGPL-2.1-or-later
//! One PCI function of the tree.

use crate::made;
use crate::tree::Tree;
use rustix::io::Errno;
use std::io;
use vfio_suite::host::holders;
use vfio_suite::pci::Address;
use vfio_suite::root::{IOMMU_GROUPS, PCI_DEVICES};

/// Drivers that let their functions sleep when they come and forbid it when they go; vfio-pci does, too.
const SLEEPERS: [&str; 2] = ["amdgpu", "snd_hda_intel"];

/// The fact that the kernel has no nodes of groups (`CONFIG_VFIO_GROUP`).
pub(crate) const NO_GROUP: &str = ".kernel/no-vfio-group";

/// A function on the bus.
#[derive(Debug)]
pub(crate) struct Device {
    /// Its address as sysfs writes it.
    pub(crate) name: String,
    /// Its directory, below `sys/devices`.
    pub(crate) path: String,
}

impl Device {
    /// The function of an address, if it is on the bus.
    pub(crate) fn find(tree: &Tree<'_>, name: &str) -> Option<Device> {
        Address::from_sysfs(name.as_bytes())?;
        let link = format!("{PCI_DEVICES}/{name}");
        let path = match tree.root.read_link(&link) {
            Ok(target) => format!("sys/{}", target.to_str()?.trim_start_matches("../")),
            // A tree may have directories where sysfs has links.
            Err(_) => link,
        };
        tree.root.exists(&path).then(|| Device { name: name.to_owned(), path })
    }

    /// All functions on the bus.
    pub(crate) fn all(tree: &Tree<'_>) -> Vec<Device> {
        tree.list(PCI_DEVICES).iter().filter_map(|name| Device::find(tree, name)).collect()
    }

    /// An attribute's path.
    pub(crate) fn file(&self, attribute: &str) -> String {
        format!("{}/{attribute}", self.path)
    }

    /// The directory that the function lies in: the bridge above it, or the host bridge.
    pub(crate) fn bus(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(bus, _)| bus)
    }

    /// The driver that has it.
    pub(crate) fn driver(&self, tree: &Tree<'_>) -> Option<String> {
        tree.root.link_name(&self.file("driver")).ok()
    }

    /// The number of its IOMMU group.
    pub(crate) fn group(&self, tree: &Tree<'_>) -> Option<String> {
        tree.root.link_name(&self.file("iommu_group")).ok()
    }

    /// Whether a guest has its IOMMU group open.
    pub(crate) fn owned(&self, tree: &Tree<'_>) -> io::Result<bool> {
        let Some(group) = self.group(tree) else { return Ok(false) };
        Ok(tree.facts("owned")?.iter().any(|words| words[0] == group))
    }

    /// Whether a process has a device node of it open that is one of `which`.
    pub(crate) fn held(&self, tree: &Tree<'_>, which: impl Fn(&str) -> bool) -> bool {
        let Some(address) = Address::from_sysfs(self.name.as_bytes()) else { return false };
        let held = holders::find_here(tree.root, &[address]);
        held.iter().any(|(_, holder)| holder.pid.is_some() && which(&holder.node))
    }

    /// What modules are looked up by.
    pub(crate) fn modalias(&self, tree: &Tree<'_>) -> String {
        tree.root.read_text(&self.file("modalias")).unwrap_or_default()
    }

    /// A number that an attribute has in hexadecimal, with `0x` before it.
    pub(crate) fn id(&self, tree: &Tree<'_>, attribute: &str) -> Option<u32> {
        let text = tree.root.read_text(&self.file(attribute)).ok()?;
        u32::from_str_radix(text.strip_prefix("0x")?, 16).ok()
    }

    /// Whether it is a bridge. The kernel looks at the header type; of the classes only 0604 and 0607 have one of their
    /// own.
    pub(crate) fn is_bridge(&self, tree: &Tree<'_>) -> bool {
        matches!(self.id(tree, "class").map(|class| class >> 8), Some(0x0604 | 0x0607 | 0x0609))
    }

    /// The only driver that may take it.
    pub(crate) fn driver_override(&self, tree: &Tree<'_>) -> Option<String> {
        let text = tree.root.read(&self.file("driver_override")).ok()?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let name = text.strip_suffix('\n').unwrap_or(&text);
        (name != "(null)").then(|| name.to_owned())
    }

    /// `driver_set_override()`: the first line counts, an empty one clears. Nothing is bound or unbound by it.
    pub(crate) fn set_override(&self, tree: &Tree<'_>, value: &str) -> io::Result<()> {
        // A page, less the newline and the NUL that reading it back needs.
        if value.len() >= 4095 {
            return Err(Errno::INVAL.into());
        }
        let value = value.split('\0').next().unwrap_or_default();
        let name = value.split('\n').next().unwrap_or_default();
        let shown = if name.is_empty() { "(null)" } else { name };
        tree.put(&self.file("driver_override"), &format!("{shown}\n"))
    }

    /// Makes the links and files of a bound function.
    pub(crate) fn show_bound(&self, tree: &Tree<'_>, driver: &str, vfio: bool) -> io::Result<()> {
        let directory = format!("sys/bus/pci/drivers/{driver}");
        tree.link(&self.file("driver"), &directory)?;
        tree.link(&format!("{directory}/{}", self.name), &self.path)?;
        self.show_driver_in_uevent(tree, Some(driver))?;
        // vfio-pci puts an idle function to sleep (`disable_idle_d3` is off by default).
        self.show_power(tree, if vfio { "D3hot" } else { "D0" })?;
        if vfio || SLEEPERS.contains(&driver) {
            self.let_sleep(tree, true)?;
        }
        made::unpark(tree, self, driver)?;
        if vfio {
            self.make_vfio_nodes(tree)?;
        }
        Ok(())
    }

    /// Undoes it; what the driver had made of the function is kept for the next time.
    pub(crate) fn show_unbound(&self, tree: &Tree<'_>, driver: &str, vfio: bool) -> io::Result<()> {
        if vfio {
            self.remove_vfio_nodes(tree)?;
        }
        made::park(tree, self, driver)?;
        tree.unlink(&self.file("driver"))?;
        tree.unlink(&format!("sys/bus/pci/drivers/{driver}/{}", self.name))?;
        self.show_driver_in_uevent(tree, None)?;
        // A driver that goes leaves a function in a state that the core does not know (`pci_device_remove`).
        self.show_power(tree, "unknown")?;
        if vfio || SLEEPERS.contains(&driver) {
            self.let_sleep(tree, false)?;
        }
        Ok(())
    }

    /// `pm_runtime_allow()` and `pm_runtime_forbid()`.
    fn let_sleep(&self, tree: &Tree<'_>, may: bool) -> io::Result<()> {
        let file = self.file("power/control");
        if tree.root.exists(&file) {
            tree.put(&file, if may { "auto\n" } else { "on\n" })?;
        }
        Ok(())
    }

    fn show_power(&self, tree: &Tree<'_>, state: &str) -> io::Result<()> {
        let file = self.file("power_state");
        if tree.root.exists(&file) {
            tree.put(&file, &format!("{state}\n"))?;
        }
        Ok(())
    }

    fn show_driver_in_uevent(&self, tree: &Tree<'_>, driver: Option<&str>) -> io::Result<()> {
        let file = self.file("uevent");
        let Ok(old) = tree.root.read(&file) else { return Ok(()) };
        let old = String::from_utf8_lossy(&old).into_owned();
        let mut new: String = driver.map(|driver| format!("DRIVER={driver}\n")).unwrap_or_default();
        new.extend(old.split_inclusive('\n').filter(|line| !line.starts_with("DRIVER=")));
        tree.put(&file, &new)
    }

    /// `vfio-dev/vfioN` of the function and `/dev/vfio/GROUP`; `/dev/vfio/devices/vfioN` where `.kernel/vfio-cdev` says that
    /// the kernel has such nodes (`CONFIG_VFIO_DEVICE_CDEV`).
    fn make_vfio_nodes(&self, tree: &Tree<'_>) -> io::Result<()> {
        let class = "sys/class/vfio-dev";
        let taken = tree.list(class);
        let name = (0..).map(|n| format!("vfio{n}")).find(|name| !taken.contains(name)).unwrap_or_default();
        let directory = self.file(&format!("vfio-dev/{name}"));
        tree.mkdir(&directory)?;
        tree.make_file(&format!("{directory}/uevent"), &format!("DEVNAME=vfio/devices/{name}\n"), 0o644)?;
        if tree.root.exists(class) {
            tree.link(&format!("{class}/{name}"), &directory)?;
        }
        if tree.root.exists(".kernel/vfio-cdev") {
            tree.mkdir("dev/vfio/devices")?;
            tree.make_file(&format!("dev/vfio/devices/{name}"), "", 0o600)?;
        }
        match self.group(tree) {
            _ if tree.root.exists(NO_GROUP) => Ok(()),
            Some(group) if tree.root.exists("dev/vfio") => tree.make_file(&format!("dev/vfio/{group}"), "", 0o600),
            _ => Ok(()),
        }
    }

    /// The function's own node, below `/dev/vfio`.
    pub(crate) fn own_node(&self, tree: &Tree<'_>) -> Option<String> {
        tree.list(&self.file("vfio-dev")).first().map(|name| format!("devices/{name}"))
    }

    fn remove_vfio_nodes(&self, tree: &Tree<'_>) -> io::Result<()> {
        for name in tree.list(&self.file("vfio-dev")) {
            let directory = self.file(&format!("vfio-dev/{name}"));
            tree.unlink(&format!("dev/vfio/devices/{name}"))?;
            tree.unlink(&format!("sys/class/vfio-dev/{name}"))?;
            tree.unlink(&format!("{directory}/uevent"))?;
            tree.rmdir(&directory)?;
        }
        tree.rmdir(&self.file("vfio-dev"))?;
        // The group's node stays as long as one of its functions is with vfio.
        let Some(group) = self.group(tree) else { return Ok(()) };
        let members = tree.list(&format!("{IOMMU_GROUPS}/{group}/devices"));
        let left = members.iter().any(|name| tree.root.exists(&format!("{PCI_DEVICES}/{name}/vfio-dev")));
        if left {
            return Ok(());
        }
        tree.unlink(&format!("dev/vfio/{group}"))
    }
}
