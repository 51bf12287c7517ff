// SPDX-License-Identifier: LGPL-2.1-or-later
//! What the kernel shows of a machine: sysfs, procfs and /lib/modules, laid out as the kernel does.

use super::below::Numbers;
use super::machine::{Framebuffer, Function, Machine, DEPENDS, DRIVERS, MEMORY_64, PORTS, RELEASE};
use super::text::{Node, Nodes};
use std::collections::BTreeMap;

/// The nodes so far, and what is handed out one by one.
#[derive(Default)]
pub struct Shown {
    /// What is shown so far.
    pub nodes: Nodes,
    /// Of each function, by address.
    paths: BTreeMap<String, String>,
    memory_64: u64,
    memory_32: u64,
    ports: u64,
    /// Whether the firmware's framebuffer is where `boot_vga` says, as on most machines.
    boot_vga_has_it: bool,
    pub(super) cards: u32,
    pub(super) sounds: u32,
    pub(super) vfios: u32,
    /// Of each block device by its name: its path and number.
    pub blocks: BTreeMap<String, (String, (u32, u32))>,
    /// Of each network interface by its name.
    pub interfaces: BTreeMap<String, String>,
    pub(super) numbers: Numbers,
}

impl Shown {
    pub fn file(&mut self, path: impl Into<String>, mode: u32, content: impl Into<Vec<u8>>) {
        self.nodes.insert(path.into(), Node::File(mode, content.into()));
    }

    /// A directory that may stay empty.
    pub fn directory(&mut self, path: impl Into<String>) {
        self.nodes.insert(path.into(), Node::Directory);
    }

    /// A link as sysfs makes it: relative, by way of /sys.
    pub fn link(&mut self, path: impl Into<String>, to: &str) {
        let path = path.into();
        let up = "../".repeat(path.matches('/').count() - 1);
        self.nodes.insert(path, Node::Link(format!("{up}{}", to.strip_prefix("sys/").unwrap())));
    }

    /// A device of a bus or class, `class/block`: its `uevent`, the links between the two, and that of a class's device to
    /// what it is on (`device_add_class_symlinks()`, drivers/base/core.c): all but partitions have it.
    pub fn device(&mut self, path: &str, subsystem: &str, uevent: &str) {
        self.file(format!("{path}/uevent"), 0o644, uevent);
        let (above, _) = path.rsplit_once('/').unwrap();
        let class = subsystem.strip_prefix("class/").unwrap_or("/");
        let above = above.strip_suffix(class).and_then(|above| above.strip_suffix('/')).unwrap_or(above).to_owned();
        if class != "/" && self.nodes.contains_key(&format!("{above}/uevent")) && !uevent.contains("DEVTYPE=partition")
        {
            self.link(format!("{path}/device"), &above);
        }
        self.link(format!("{path}/subsystem"), &format!("sys/{subsystem}"));
        let name = path.rsplit_once('/').unwrap().1;
        let devices = if subsystem.starts_with("bus/") { "/devices" } else { "" };
        self.link(format!("sys/{subsystem}{devices}/{name}"), path);
    }

    /// A device with a node below `/dev`: also `dev`, and the link by its number.
    pub fn node(&mut self, path: &str, subsystem: &str, (major, minor): (u32, u32), name: &str, more: &str) {
        let uevent = format!("MAJOR={major}\nMINOR={minor}\nDEVNAME={name}\n{more}");
        self.device(path, subsystem, &uevent);
        self.file(format!("{path}/dev"), 0o444, format!("{major}:{minor}\n"));
        let kind = if subsystem == "class/block" { "block" } else { "char" };
        self.link(format!("sys/dev/{kind}/{major}:{minor}"), path);
    }

    /// Shows all of a machine.
    pub fn machine(&mut self, machine: &Machine) {
        (self.memory_64, self.memory_32, self.ports) = (0x80_0000_0000, 0x8000_0000, 0x3000);
        self.boot_vga_has_it = machine.framebuffer.is_none();
        self.file("sys/bus/pci/drivers_autoprobe", 0o644, "1\n");
        self.file("sys/bus/pci/drivers_probe", 0o200, "");
        self.file("sys/bus/pci/rescan", 0o200, "");
        self.directory("sys/class/drm");
        self.directory("sys/class/sound");
        self.directory("sys/kernel/iommu_groups");
        self.consoles();
        let mut functions: Vec<&Function> = machine.functions.iter().collect();
        functions.sort_by_key(|function| &function.address);
        for driver in machine.modules.iter().copied().chain(functions.iter().filter_map(|f| f.driver)) {
            self.registered(driver);
        }
        if functions.iter().any(|f| f.is_bridge()) {
            self.registered("pcieport");
        }
        if let Some(name) = machine.iommu {
            // An SMMU is a platform device (`arm_smmu_device_probe()`, drivers/iommu/arm/arm-smmu-v3).
            let above = if name.starts_with("smmu") { "platform/arm-smmu-v3.0.auto" } else { "virtual" };
            self.directory(format!("sys/devices/{above}/iommu/{name}/devices"));
            self.link(format!("sys/class/iommu/{name}"), &format!("sys/devices/{above}/iommu/{name}"));
        }
        let mut iomem = String::new();
        for function in &functions {
            self.function(function, machine, &mut iomem);
        }
        for function in functions.iter().filter(|function| function.physfn.is_some()) {
            self.virtual_function(function, &functions);
        }
        self.file("proc/iomem", 0o400, iomem);
        self.file("proc/cmdline", 0o444, format!("{}\n", machine.cmdline));
        self.file("proc/sys/kernel/osrelease", 0o444, format!("{RELEASE}\n"));
        self.file("proc/sys/kernel/random/boot_id", 0o444, "7d0f4f0e-6a3c-4d0c-8f5e-b7f0f6c3a9d1\n");
        self.modules(machine);
        self.around(machine);
        // A directory that is not empty is named by what is in it.
        let empty = |path: &String| {
            let below = format!("{path}/");
            !self.nodes.range(below.clone()..).next().is_some_and(|(next, _)| next.starts_with(&below))
        };
        let directories = self.nodes.iter().filter(|(_, node)| **node == Node::Directory).map(|(path, _)| path);
        let filled: Vec<String> = directories.filter(|path| !empty(path)).cloned().collect();
        for path in filled {
            self.nodes.remove(&path);
        }
    }

    /// The dummy console, and that of a framebuffer.
    fn consoles(&mut self) {
        for (n, name, bound) in [(0, "(S) dummy device", "0"), (1, "(M) frame buffer device", "1")] {
            let device = format!("sys/devices/virtual/vtconsole/vtcon{n}");
            self.file(format!("{device}/bind"), 0o644, format!("{bound}\n"));
            self.file(format!("{device}/name"), 0o444, format!("{name}\n"));
            self.link(format!("sys/class/vtconsole/vtcon{n}"), &device);
        }
    }

    /// A driver that is loaded or built in, with its module and what that is built on.
    fn registered(&mut self, name: &str) {
        let (driver, module, _) =
            DRIVERS.iter().find(|(driver, module, _)| *driver == name || *module == name).unwrap();
        if *module != "-" && !self.nodes.contains_key(&format!("sys/module/{module}/initstate")) {
            self.file(format!("sys/module/{module}/initstate"), 0o444, "live\n");
            self.file(format!("sys/module/{module}/refcnt"), 0o444, "0\n");
            for other in DEPENDS.iter().filter(|(above, _)| above == module).flat_map(|(_, depends)| *depends) {
                self.registered(other);
                self.link(format!("sys/module/{other}/holders/{module}"), &format!("sys/module/{module}"));
                let holders = format!("sys/module/{other}/holders/");
                let users = self.nodes.keys().filter(|path| path.starts_with(&holders)).count();
                self.file(format!("sys/module/{other}/refcnt"), 0o444, format!("{users}\n"));
            }
        }
        if *driver == "-" {
            return;
        }
        let directory = format!("sys/bus/pci/drivers/{driver}");
        for attribute in ["bind", "new_id", "remove_id", "uevent", "unbind"] {
            self.file(format!("{directory}/{attribute}"), 0o200, "");
        }
        if *module != "-" {
            self.link(format!("{directory}/module"), &format!("sys/module/{module}"));
            self.link(format!("sys/module/{module}/drivers/pci:{driver}"), &directory);
        }
        if *driver == "vfio-pci" {
            self.file("dev/vfio/vfio", 0o666, "");
            self.directory("sys/class/vfio-dev");
        }
    }

    /// What modprobe knows, and the model of the kernel.
    fn modules(&mut self, machine: &Machine) {
        let mut aliases = String::from("# Aliases extracted from modules themselves.\n");
        let mut known = String::new();
        let mut builtin = String::new();
        for (driver, module, globs) in DRIVERS {
            known += &format!("{driver} {module} {}\n", globs.join(" "));
            match *module {
                "-" => builtin += &format!("kernel/drivers/pci/{driver}.ko\n"),
                module => aliases.extend(globs.iter().map(|glob| format!("alias {glob} {module}\n"))),
            }
        }
        self.file(format!("lib/modules/{RELEASE}/modules.alias"), 0o644, aliases);
        self.file(format!("lib/modules/{RELEASE}/modules.builtin"), 0o644, builtin);
        self.file(".kernel/drivers", 0o644, known);
        let depends = DEPENDS.iter().map(|(module, others)| format!("{module} {}\n", others.join(" ")));
        self.file(".kernel/depends", 0o644, depends.collect::<String>());
        let resets = machine.functions.iter().filter(|f| !f.reset.is_empty());
        let resets: String = resets.map(|f| format!("{} {}\n", f.address, f.reset.join(" "))).collect();
        self.file(".kernel/reset", 0o644, resets);
        if !machine.windows.is_empty() {
            self.file(".kernel/windows", 0o644, machine.windows.join("\n") + "\n");
        }
        if machine.honours_autoprobe {
            self.file(".kernel/rescan-honours-autoprobe", 0o644, "");
        }
    }

    fn function(&mut self, function: &Function, machine: &Machine, iomem: &mut String) {
        let address = &function.address;
        let bus = &address[..address.len() - 5];
        let above = match &function.under {
            Some(bridge) => {
                let path = self.paths.get(bridge).unwrap_or_else(|| panic!("{address}: no bridge {bridge}")).clone();
                // Intel's VMD makes a host bridge of a domain of its own below itself (`vmd_enable_domain()`).
                if bridge.split(':').next() == address.split(':').next() {
                    path
                } else {
                    format!("{path}/pci{bus}")
                }
            }
            None => match machine.bridges_at.iter().find(|(of, _)| of == &bus) {
                Some((_, directory)) => format!("sys/devices/{directory}/pci{bus}"),
                None => format!("sys/devices/pci{bus}"),
            },
        };
        let path = format!("{above}/{address}");
        self.paths.insert(address.clone(), path.clone());
        self.link(format!("sys/bus/pci/devices/{address}"), &path);
        let framebuffer = machine.framebuffer.as_ref().filter(|framebuffer| framebuffer.on == *address);
        self.attributes(function, &path, framebuffer, iomem);
        if let Some(framebuffer) = framebuffer {
            self.framebuffer(framebuffer, &path);
        }
        if let Some(driver) = function.driver {
            let directory = format!("sys/bus/pci/drivers/{driver}");
            self.link(format!("{path}/driver"), &directory);
            self.link(format!("{directory}/{address}"), &path);
            self.made_by_driver(function, driver, &path, machine.inhabited);
        }
        function.parts.iter().for_each(|part| self.part(&path, part));
        let Some(group) = function.group.filter(|_| machine.iommu.is_some()) else { return };
        let directory = format!("sys/kernel/iommu_groups/{group}");
        self.link(format!("{path}/iommu_group"), &directory);
        self.link(format!("{directory}/devices/{address}"), &path);
        self.file(format!("{directory}/reserved_regions"), 0o444, "0x00000000fee00000 0x00000000feefffff msi\n");
        self.file(format!("{directory}/type"), 0o644, "DMA-FQ\n");
        if function.driver.is_some_and(|driver| driver.contains("vfio")) {
            self.file(format!("dev/vfio/{group}"), 0o600, "");
        }
    }

    /// Plain attributes, as `pci_create_sysfs_dev_files` and `dev_uevent` show them.
    fn attributes(&mut self, function: &Function, path: &str, framebuffer: Option<&Framebuffer>, iomem: &mut String) {
        let ((vendor, device), (sv, sd)) = (function.ids, function.subsystem);
        let class = function.class;
        let mut show = |name: &str, mode: u32, content: String| self.file(format!("{path}/{name}"), mode, content);
        show("vendor", 0o444, format!("0x{vendor:04x}\n"));
        show("device", 0o444, format!("0x{device:04x}\n"));
        show("subsystem_vendor", 0o444, format!("0x{sv:04x}\n"));
        show("subsystem_device", 0o444, format!("0x{sd:04x}\n"));
        show("class", 0o444, format!("0x{class:06x}\n"));
        show("revision", 0o444, format!("0x{:02x}\n", function.revision));
        show("modalias", 0o444, format!("{}\n", function.modalias()));
        show("driver_override", 0o644, format!("{}\n", function.driver_override.unwrap_or("(null)")));
        show("numa_node", 0o644, format!("{}\n", function.node));
        show("remove", 0o220, String::new());
        show("rescan", 0o220, String::new());
        // A function that a driver let go of is in a state that the core does not know.
        let power = match function.driver {
            None => "unknown",
            Some(driver) if driver.contains("vfio") => "D3hot",
            Some(_) => "D0",
        };
        show("power_state", 0o444, format!("{power}\n"));
        show("d3cold_allowed", 0o644, "1\n".to_owned());
        // Those drivers that let their functions sleep, the ports among them; vfio-pci does.
        let sleeps =
            |driver: &str| driver.contains("vfio") || ["amdgpu", "snd_hda_intel", "pcieport"].contains(&driver);
        let control = if function.driver.is_some_and(sleeps) { "auto" } else { "on" };
        show("power/control", 0o644, format!("{control}\n"));
        let driver = function.driver.map(|driver| format!("DRIVER={driver}\n")).unwrap_or_default();
        let uevent = format!(
            "{driver}PCI_CLASS={class:04X}\nPCI_ID={vendor:04X}:{device:04X}\nPCI_SUBSYS_ID={sv:04X}:{sd:04X}\n\
             PCI_SLOT_NAME={}\nMODALIAS={}\n",
            function.address,
            function.modalias()
        );
        show("uevent", 0o644, uevent);
        if !function.reset.is_empty() {
            show("reset", 0o200, String::new());
            show("reset_method", 0o644, format!("{}\n", function.reset.join(" ")));
        }
        if let Some(total) = function.vfs {
            show("sriov_totalvfs", 0o444, format!("{total}\n"));
            show("sriov_numvfs", 0o644, "0\n".to_owned());
            show("sriov_drivers_autoprobe", 0o644, "1\n".to_owned());
        }
        if let Some(removable) = function.removable {
            show("removable", 0o444, format!("{removable}\n"));
        }
        if class >> 8 == 0x0300 {
            show("boot_vga", 0o444, format!("{}\n", u8::from(function.boot_vga)));
        }
        for bar in function.bars.iter().filter(|bar| bar.sizes != 0) {
            show(&format!("resource{}_resize", bar.index), 0o644, format!("{:016x}\n", bar.sizes));
        }
        if function.bars.iter().any(|bar| bar.index == 6) {
            show("rom", 0o600, String::new());
        }
        let config = config_space(function);
        self.nodes.insert(format!("{path}/config"), Node::File(0o644, config));
        let resource = self.resource(function, framebuffer, iomem);
        self.file(format!("{path}/resource"), 0o444, resource);
    }

    /// `resource`: the BARs get the next place that fits, the 64-bit ones of a function the largest first.
    fn resource(&mut self, function: &Function, framebuffer: Option<&Framebuffer>, iomem: &mut String) -> String {
        let mut lines = vec![(0, 0, 0); if function.is_bridge() { 17 } else { 13 }];
        let mut bars = function.bars.clone();
        bars.sort_by_key(|bar| (std::cmp::Reverse(bar.size), bar.index));
        // A card with Resizable BARs has a window of its own.
        if bars.iter().any(|bar| bar.sizes != 0) {
            self.memory_64 = self.memory_64.next_multiple_of(32 << 30);
        }
        for bar in bars {
            let next = match bar.flags {
                MEMORY_64 => &mut self.memory_64,
                PORTS => &mut self.ports,
                _ => &mut self.memory_32,
            };
            let start = next.next_multiple_of(bar.size);
            *next = start + bar.size;
            let end = start + bar.size - 1;
            lines[bar.index] = (start, end, bar.flags);
            if bar.flags != PORTS && bar.index != 6 {
                *iomem += &format!("  {start:08x}-{end:08x} : {}\n", function.address);
                if let Some(framebuffer) = framebuffer.filter(|framebuffer| framebuffer.bar == bar.index) {
                    // The platform device's resource, and in it that of the driver which has it.
                    let range = format!("{start:08x}-{:08x}", start + 0x7e_8fff);
                    match framebuffer.claim {
                        name @ ("BOOTFB" | "efifb" | "vesafb") => *iomem += &format!("    {range} : {name}\n"),
                        name => *iomem += &format!("    {range} : BOOTFB\n      {range} : {name}\n"),
                    }
                } else if self.boot_vga_has_it && function.boot_vga && bar.index == 0 && function.driver.is_none() {
                    *iomem += &format!("    {start:08x}-{:08x} : BOOTFB\n", start + 0x7e_8fff);
                }
            }
        }
        lines.iter().map(|(start, end, flags)| format!("{start:#018x} {end:#018x} {flags:#018x}\n")).collect()
    }

    /// A virtual function and the physical one that it is of (`pci_iov_sysfs_link()`, drivers/pci/iov.c). Its own ids read
    /// as ones in configuration space (SR-IOV specification 3.4.1.1 and 3.4.1.2); sysfs has those of the capability.
    fn virtual_function(&mut self, function: &Function, all: &[&Function]) {
        let physical = function.physfn.as_ref().unwrap();
        let (own, other) = (self.paths[&function.address].clone(), self.paths[physical].clone());
        let siblings = all.iter().filter(|of| of.physfn.as_ref() == Some(physical));
        let at = siblings.clone().position(|of| of.address == function.address).unwrap();
        self.link(format!("{own}/physfn"), &other);
        self.link(format!("{other}/virtfn{at}"), &own);
        self.file(format!("{other}/sriov_numvfs"), 0o644, format!("{}\n", siblings.count()));
        self.file(format!("{other}/sriov_vf_device"), 0o444, format!("{:x}\n", function.ids.1));
        if let Some(Node::File(_, config)) = self.nodes.get_mut(&format!("{own}/config")) {
            config[..4].fill(0xff);
        }
    }
}

/// The first 64 bytes of configuration space, without the addresses in the BARs.
fn config_space(function: &Function) -> Vec<u8> {
    let mut config = vec![0; 64];
    let mut put = |at: usize, value: u16| config[at..at + 2].copy_from_slice(&value.to_le_bytes());
    put(0x00, function.ids.0);
    put(0x02, function.ids.1);
    put(0x04, if function.driver.is_some() { 0x0006 } else { 0 });
    put(0x06, 0x0010);
    if !function.is_bridge() {
        put(0x2c, function.subsystem.0);
        put(0x2e, function.subsystem.1);
    }
    config[0x08] = function.revision;
    config[0x09..0x0c].copy_from_slice(&function.class.to_le_bytes()[..3]);
    config[0x0e] = u8::from(function.is_bridge());
    config
}
