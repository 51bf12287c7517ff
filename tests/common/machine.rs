// SPDX-License-Identifier: LGPL-2.1-or-later
//! Builds the tree of a machine: what sysfs, procfs and /lib/modules show of it, laid out as the kernel does.

use super::text::{Node, Nodes};
use super::tree::Tree;
use std::collections::BTreeMap;

/// What can be loaded: driver, module, aliases. In the order in which they register, if they are.
pub const DRIVERS: &[(&str, &str, &[&str])] = &[
    ("pcieport", "-", &["pci:v*d*sv*sd*bc06sc04i00*", "pci:v*d*sv*sd*bc06sc04i01*"]),
    ("ahci", "ahci", &["pci:v*d*sv*sd*bc01sc06i01*"]),
    ("nvme", "nvme", &["pci:v*d*sv*sd*bc01sc08i02*"]),
    ("xhci_hcd", "xhci_pci", &["pci:v*d*sv*sd*bc0Csc03i30*"]),
    ("igc", "igc", &["pci:v00008086d000015F3sv*sd*bc*sc*i*"]),
    ("r8169", "r8169", &["pci:v000010ECd00008168sv*sd*bc*sc*i*"]),
    ("mlx5_core", "mlx5_core", &["pci:v000015B3d0000101Dsv*sd*bc*sc*i*", "pci:v000015B3d0000101Esv*sd*bc*sc*i*"]),
    ("i801_smbus", "i2c_i801", &["pci:v00008086d00007AA3sv*sd*bc*sc*i*", "pci:v00008086d0000A0A3sv*sd*bc*sc*i*"]),
    ("piix4_smbus", "i2c_piix4", &["pci:v00001022d0000790Bsv*sd*bc*sc*i*"]),
    ("ccp", "ccp", &["pci:v00001022d00001486sv*sd*bc*sc*i*"]),
    ("k10temp", "k10temp", &["pci:v00001022d00001443sv*sd*bc*sc*i*"]),
    (
        "snd_hda_intel",
        "snd_hda_intel",
        &[
            "pci:v00001002d*sv*sd*bc04sc03i00*",
            "pci:v00001022d*sv*sd*bc04sc03i00*",
            "pci:v000010DEd*sv*sd*bc04sc03i00*",
            "pci:v00008086d*sv*sd*bc04sc03i*",
        ],
    ),
    ("i915", "i915", &["pci:v00008086d00004680sv*sd*bc*sc*i*", "pci:v00008086d00009A49sv*sd*bc*sc*i*"]),
    ("amdgpu", "amdgpu", &["pci:v00001002d*sv*sd*bc03sc00i00*", "pci:v00001002d*sv*sd*bc03sc80i00*"]),
    ("nvidia", "nvidia", &["pci:v000010DEd*sv*sd*bc03sc00i00*", "pci:v000010DEd*sv*sd*bc03sc02i00*"]),
    ("nouveau", "nouveau", &["pci:v000010DEd*sv*sd*bc03sc*i*"]),
    ("nvidia-gpu", "i2c_nvidia_gpu", &["pci:v000010DEd*sv*sd*bc0Csc80i00*"]),
    ("ast", "ast", &["pci:v00001A03d00002000sv*sd*bc03sc*i*"]),
    ("bochs-drm", "bochs", &["pci:v00001234d00001111sv*sd*bc*sc*i*"]),
    ("pci-stub", "-", &[]),
    ("vfio-pci", "vfio_pci", &["vfio_pci:v*d*sv*sd*bc*sc*i*"]),
    ("mlx5_vfio_pci", "mlx5_vfio_pci", &["vfio_pci:v000015B3d0000101Esv*sd*bc*sc*i*"]),
    ("-", "vendor_reset", &[]),
];

/// The kernel that a machine says it runs.
pub const RELEASE: &str = "6.12.57+deb13-amd64";

/// Flags of a 64-bit prefetchable memory BAR, as `resource` shows them.
pub const MEMORY_64: u64 = 0x14_220c;
/// Flags of a 32-bit memory BAR.
pub const MEMORY_32: u64 = 0x4_0200;
/// Flags of an I/O BAR.
pub const PORTS: u64 = 0x4_0101;
/// Flags of an option ROM that is not enabled.
pub const ROM: u64 = 0x4_6200;

/// One base address register.
#[derive(Debug, Clone, Copy)]
pub struct Bar {
    /// 0 to 5, 6 for the option ROM.
    pub index: usize,
    /// Bytes.
    pub size: u64,
    /// As `resource` shows them.
    pub flags: u64,
    /// The sizes its Resizable BAR capability offers, as `resourceN_resize` shows them; 0 without one.
    pub sizes: u64,
}

/// One PCI function.
#[derive(Debug, Clone)]
pub struct Function {
    /// Its address.
    pub address: String,
    /// The address of the bridge above it.
    pub under: Option<String>,
    /// Vendor and device.
    pub ids: (u16, u16),
    /// Of the subsystem.
    pub subsystem: (u16, u16),
    /// 24 bits.
    pub class: u32,
    /// Revision.
    pub revision: u8,
    /// Who has it.
    pub driver: Option<&'static str>,
    /// What only may have it.
    pub driver_override: Option<&'static str>,
    /// The IOMMU group, if the machine has an IOMMU.
    pub group: Option<u32>,
    /// Reset methods.
    pub reset: &'static [&'static str],
    /// Base address registers.
    pub bars: Vec<Bar>,
    /// The firmware showed its messages here.
    pub boot_vga: bool,
    /// Monitors' sockets and whether something is plugged in.
    pub connectors: Vec<(&'static str, bool)>,
    /// NUMA node; -1 where the firmware says nothing.
    pub node: i32,
}

impl Function {
    /// A function that nobody drives.
    pub fn new(address: &str, ids: (u16, u16), class: u32) -> Function {
        Function {
            address: address.to_owned(),
            under: None,
            ids,
            subsystem: (0, 0),
            class,
            revision: 0,
            driver: None,
            driver_override: None,
            group: None,
            reset: &[],
            bars: Vec::new(),
            boot_vga: false,
            connectors: Vec::new(),
            node: -1,
        }
    }

    /// The bridge above it.
    pub fn under(mut self, bridge: &str) -> Function {
        self.under = Some(bridge.to_owned());
        self
    }

    /// Who made the board.
    pub fn subsystem(mut self, vendor: u16, device: u16) -> Function {
        self.subsystem = (vendor, device);
        self
    }

    /// Its IOMMU group.
    pub fn group(mut self, group: u32) -> Function {
        self.group = Some(group);
        self
    }

    /// Who has it.
    pub fn driver(mut self, driver: &'static str) -> Function {
        self.driver = Some(driver);
        self
    }

    /// How it can be reset.
    pub fn reset(mut self, methods: &'static [&'static str]) -> Function {
        self.reset = methods;
        self
    }

    /// A base address register.
    pub fn bar(mut self, index: usize, size: u64, flags: u64, sizes: u64) -> Function {
        self.bars.push(Bar { index, size, flags, sizes });
        self
    }

    /// Sockets.
    pub fn connectors(mut self, connectors: &[(&'static str, bool)]) -> Function {
        self.connectors = connectors.to_vec();
        self
    }

    fn is_bridge(&self) -> bool {
        self.class >> 8 == 0x0604
    }

    /// `pci:v...`.
    pub fn modalias(&self) -> String {
        let ((vendor, device), (sv, sd)) = (self.ids, self.subsystem);
        let [_, base, sub, interface] = self.class.to_be_bytes();
        format!("pci:v{vendor:08X}d{device:08X}sv{sv:08X}sd{sd:08X}bc{base:02X}sc{sub:02X}i{interface:02X}")
    }
}

/// A machine.
#[derive(Debug, Clone)]
pub struct Machine {
    functions: Vec<Function>,
    modules: Vec<&'static str>,
    iommu: Option<&'static str>,
    cmdline: String,
    windows: Vec<String>,
    honours_autoprobe: bool,
}

impl Default for Machine {
    fn default() -> Machine {
        Machine::new()
    }
}

impl Machine {
    /// A machine with an Intel IOMMU, vfio-pci loaded, and nothing on the bus.
    pub fn new() -> Machine {
        Machine {
            functions: Vec::new(),
            modules: vec!["vfio-pci"],
            iommu: Some("dmar0"),
            cmdline: format!(
                "BOOT_IMAGE=/boot/vmlinuz-{RELEASE} root=UUID=2c3ab8d2-1f0b-4a6e-9c57-0d2f5b3f6c1e ro quiet"
            ),
            windows: Vec::new(),
            honours_autoprobe: false,
        }
    }

    /// Adds functions.
    pub fn with(mut self, functions: impl IntoIterator<Item = Function>) -> Machine {
        self.functions.extend(functions);
        self
    }

    /// Loads a driver that has no function.
    pub fn load(mut self, driver: &'static str) -> Machine {
        self.modules.push(driver);
        self
    }

    /// vfio-pci is not loaded yet.
    pub fn without_vfio(mut self) -> Machine {
        self.modules.retain(|driver| *driver != "vfio-pci");
        self
    }

    /// The IOMMU's name in `/sys/class/iommu`; none switches it off.
    pub fn iommu(mut self, name: Option<&'static str>) -> Machine {
        self.iommu = name;
        self
    }

    /// More words on the kernel's command line.
    pub fn words(mut self, words: &str) -> Machine {
        self.cmdline = format!("{} {words}", self.cmdline);
        self
    }

    /// A bridge's, or a function's, 64-bit prefetchable window.
    pub fn window(mut self, address: &str, bytes: u64, base: u64) -> Machine {
        self.windows.push(format!("{address} {bytes:#x} {base:#x}"));
        self
    }

    /// A kernel in which a rescan binds nothing while `drivers_autoprobe` is 0.
    pub fn rescan_honours_autoprobe(mut self) -> Machine {
        self.honours_autoprobe = true;
        self
    }

    /// Its functions.
    pub fn functions_mut(&mut self) -> &mut Vec<Function> {
        &mut self.functions
    }

    /// Makes it.
    pub fn build(&self) -> Tree {
        Tree::new(&self.nodes())
    }

    /// What the kernel shows of it.
    pub fn nodes(&self) -> Nodes {
        let mut shown = Shown::default();
        shown.machine(self);
        shown.nodes
    }
}

/// The nodes so far, and what is handed out one by one.
#[derive(Default)]
struct Shown {
    nodes: Nodes,
    /// Of each function, by address.
    paths: BTreeMap<String, String>,
    memory_64: u64,
    memory_32: u64,
    ports: u64,
    cards: u32,
    sounds: u32,
    vfios: u32,
}

impl Shown {
    fn file(&mut self, path: impl Into<String>, mode: u32, content: impl Into<Vec<u8>>) {
        self.nodes.insert(path.into(), Node::File(mode, content.into()));
    }

    fn directory(&mut self, path: impl Into<String>) {
        self.nodes.insert(path.into(), Node::Directory);
    }

    /// A link as sysfs makes it: relative, by way of /sys.
    fn link(&mut self, path: impl Into<String>, to: &str) {
        let path = path.into();
        let up = "../".repeat(path.matches('/').count() - 1);
        self.nodes.insert(path, Node::Link(format!("{up}{}", to.strip_prefix("sys/").unwrap())));
    }

    fn machine(&mut self, machine: &Machine) {
        (self.memory_64, self.memory_32, self.ports) = (0x80_0000_0000, 0x8000_0000, 0x3000);
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
            self.directory(format!("sys/devices/virtual/iommu/{name}/devices"));
            self.link(format!("sys/class/iommu/{name}"), &format!("sys/devices/virtual/iommu/{name}"));
        }
        let mut iomem = String::new();
        for function in &functions {
            self.function(function, machine.iommu.is_some(), &mut iomem);
        }
        self.file("proc/iomem", 0o400, iomem);
        self.file("proc/cmdline", 0o444, format!("{}\n", machine.cmdline));
        self.file("proc/sys/kernel/osrelease", 0o444, format!("{RELEASE}\n"));
        self.file("proc/sys/kernel/random/boot_id", 0o444, "7d0f4f0e-6a3c-4d0c-8f5e-b7f0f6c3a9d1\n");
        self.modules(machine);
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

    /// A driver that is loaded or built in, with its module.
    fn registered(&mut self, name: &str) {
        let (driver, module, _) =
            DRIVERS.iter().find(|(driver, module, _)| *driver == name || *module == name).unwrap();
        if *module != "-" {
            self.file(format!("sys/module/{module}/initstate"), 0o444, "live\n");
            self.file(format!("sys/module/{module}/refcnt"), 0o444, "0\n");
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

    fn function(&mut self, function: &Function, iommu: bool, iomem: &mut String) {
        let address = &function.address;
        let above = match &function.under {
            Some(bridge) => self.paths.get(bridge).unwrap_or_else(|| panic!("{address}: no bridge {bridge}")).clone(),
            None => format!("sys/devices/pci{}", &address[..address.len() - 5]),
        };
        let path = format!("{above}/{address}");
        self.paths.insert(address.clone(), path.clone());
        self.link(format!("sys/bus/pci/devices/{address}"), &path);
        self.attributes(function, &path, iomem);
        if let Some(driver) = function.driver {
            let directory = format!("sys/bus/pci/drivers/{driver}");
            self.link(format!("{path}/driver"), &directory);
            self.link(format!("{directory}/{address}"), &path);
            self.made_by_driver(function, driver, &path);
        }
        let Some(group) = function.group.filter(|_| iommu) else { return };
        let directory = format!("sys/kernel/iommu_groups/{group}");
        self.nodes.remove("sys/kernel/iommu_groups");
        self.link(format!("{path}/iommu_group"), &directory);
        self.link(format!("{directory}/devices/{address}"), &path);
        self.file(format!("{directory}/reserved_regions"), 0o444, "0x00000000fee00000 0x00000000feefffff msi\n");
        self.file(format!("{directory}/type"), 0o644, "DMA-FQ\n");
        if function.driver.is_some_and(|driver| driver.contains("vfio")) {
            self.file(format!("dev/vfio/{group}"), 0o600, "");
        }
    }

    /// Plain attributes, as `pci_create_sysfs_dev_files` and `dev_uevent` show them.
    fn attributes(&mut self, function: &Function, path: &str, iomem: &mut String) {
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
        let resource = self.resource(function, iomem);
        self.file(format!("{path}/resource"), 0o444, resource);
    }

    /// `resource`: the BARs get the next place that fits, the 64-bit ones of a function the largest first.
    fn resource(&mut self, function: &Function, iomem: &mut String) -> String {
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
                if function.boot_vga && bar.index == 0 && function.driver.is_none() {
                    *iomem += &format!("    {start:08x}-{:08x} : BOOTFB\n", start + 0x7e_8fff);
                }
            }
        }
        lines.iter().map(|(start, end, flags)| format!("{start:#018x} {end:#018x} {flags:#018x}\n")).collect()
    }

    /// Cards of DRM and ALSA, and vfio's device.
    fn made_by_driver(&mut self, function: &Function, driver: &str, path: &str) {
        let (sub, base) = (function.class >> 8 & 0xff, function.class >> 16);
        if driver.contains("vfio") {
            let device = format!("{path}/vfio-dev/vfio{}", self.vfios);
            self.file(format!("{device}/uevent"), 0o644, format!("DEVNAME=vfio/devices/vfio{}\n", self.vfios));
            self.nodes.remove("sys/class/vfio-dev");
            self.link(format!("sys/class/vfio-dev/vfio{}", self.vfios), &device);
            self.vfios += 1;
        } else if base == 0x03 {
            let number = self.cards;
            self.cards += 1;
            let (card, render) = (format!("card{number}"), format!("renderD{}", 128 + number));
            self.character_device("drm", &format!("{path}/drm/{card}"), (226, number), &format!("dri/{card}"));
            self.character_device(
                "drm",
                &format!("{path}/drm/{render}"),
                (226, 128 + number),
                &format!("dri/{render}"),
            );
            for (name, connected) in &function.connectors {
                let connector = format!("{path}/drm/{card}/{card}-{name}");
                let status = if *connected { "connected" } else { "disconnected" };
                self.file(format!("{connector}/uevent"), 0o644, "");
                self.file(format!("{connector}/status"), 0o644, format!("{status}\n"));
                self.file(format!("{connector}/enabled"), 0o444, if *connected { "enabled\n" } else { "disabled\n" });
                self.link(format!("sys/class/drm/{card}-{name}"), &connector);
            }
        } else if (base, sub) == (0x04, 0x03) {
            let card = self.sounds;
            self.sounds += 1;
            let device = format!("{path}/sound/card{card}");
            self.file(format!("{device}/id"), 0o644, format!("HDMI{card}\n"));
            self.file(format!("{device}/uevent"), 0o644, "");
            self.nodes.remove("sys/class/sound");
            self.link(format!("sys/class/sound/card{card}"), &device);
            let control = format!("controlC{card}");
            self.character_device("sound", &format!("{device}/{control}"), (116, card * 32), &format!("snd/{control}"));
        }
    }

    fn character_device(&mut self, class: &str, path: &str, (major, minor): (u32, u32), node: &str) {
        self.file(format!("{path}/dev"), 0o444, format!("{major}:{minor}\n"));
        self.file(format!("{path}/uevent"), 0o644, format!("MAJOR={major}\nMINOR={minor}\nDEVNAME={node}\n"));
        self.nodes.remove(&format!("sys/class/{class}"));
        self.link(format!("sys/class/{class}/{}", path.rsplit_once('/').unwrap().1), path);
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
