// SPDX-License-Identifier: LGPL-2.1-or-later
//! Describes a PCI function.

use super::parts::Part;

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
    /// What its driver has made of it, beside displays and sound cards.
    pub parts: Vec<Part>,
    /// The physical function, if this is a virtual one.
    pub physfn: Option<String>,
    /// The virtual functions that it may have, if it is a physical one.
    pub vfs: Option<u16>,
    /// The seat that its display belongs to, if not to the first.
    pub seat: Option<&'static str>,
    /// Whether it can be unplugged, as the firmware says: `removable` or `fixed`.
    pub removable: Option<&'static str>,
    /// The kernel says that the machine started on this display: since 6.18.
    pub boot_display: bool,
    /// Somebody plays sound on it.
    pub plays: bool,
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
            parts: Vec::new(),
            physfn: None,
            vfs: None,
            seat: None,
            removable: None,
            boot_display: false,
            plays: false,
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

    /// Something that its driver has made of it.
    pub fn has(mut self, part: Part) -> Function {
        self.parts.push(part);
        self
    }

    /// It may have so many virtual functions.
    pub fn virtual_functions(mut self, total: u16) -> Function {
        self.vfs = Some(total);
        self
    }

    /// It is a virtual function of that one.
    pub fn virtual_of(mut self, physical: &str) -> Function {
        self.physfn = Some(physical.to_owned());
        self
    }

    /// The firmware showed its messages here.
    pub fn boots(mut self) -> Function {
        self.boot_vga = true;
        self
    }

    /// Its display is another seat's.
    pub fn seat(mut self, seat: &'static str) -> Function {
        self.seat = Some(seat);
        self
    }

    /// It can be unplugged while the machine runs.
    pub fn removable(mut self) -> Function {
        self.removable = Some("removable");
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
