// SPDX-License-Identifier: LGPL-2.1-or-later
//! Describes a machine, function by function; `shown.rs` makes its tree.

use super::shown::Shown;
use super::text::Nodes;
use super::tree::Tree;

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
    ("-", "nvidia_modeset", &[]),
    ("-", "nvidia_drm", &[]),
    ("-", "nvidia_uvm", &[]),
];

/// What a module is built on, of those above.
pub const DEPENDS: &[(&str, &[&str])] =
    &[("nvidia_modeset", &["nvidia"]), ("nvidia_drm", &["nvidia_modeset"]), ("nvidia_uvm", &["nvidia"])];

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

    /// Whether it is a PCI-to-PCI bridge.
    pub fn is_bridge(&self) -> bool {
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
    /// What is on the bus.
    pub functions: Vec<Function>,
    /// Drivers that are loaded although they have no function.
    pub modules: Vec<&'static str>,
    /// The IOMMU's name.
    pub iommu: Option<&'static str>,
    /// The kernel's command line.
    pub cmdline: String,
    /// Lines of `.kernel/windows`.
    pub windows: Vec<String>,
    /// Whether a rescan binds nothing while `drivers_autoprobe` is 0.
    pub honours_autoprobe: bool,
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

    /// Loads a driver that has no function, or a module, with what it is built on.
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
