// SPDX-License-Identifier: LGPL-2.1-or-later
//! What a domain needs of the host.

use super::firmware::Firmware;
use crate::host::qemu::Module;
use crate::pci::Address;
use std::collections::BTreeSet;

/// What matters of a domain for a hand-over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Domain {
    /// Its name.
    pub name: String,
    /// PCI functions of the host that it gets, whatever for: host devices, network interfaces, NVMe disks.
    pub hostdevs: Vec<HostDevice>,
    /// Disks, CD images, firmware and its variables: files and devices of the host that must be there.
    pub files: Vec<NeededFile>,
    /// Its memory, in bytes; 0 if the XML does not say.
    pub memory: u64,
    /// Whether its memory comes from huge pages.
    pub huge_pages: HugePages,
    /// What it boots with, if its XML says so.
    pub firmware: Option<Firmware>,
    /// The sockets of sound servers that it plays on.
    pub sound: Vec<String>,
    /// Parts of QEMU that it needs and that may be in packages of their own.
    pub modules: BTreeSet<Module>,
    /// Memory that it shares with programs of the host.
    pub shared: Vec<SharedMemory>,
    /// The sizes of huge pages, in bytes, for which a file system must be mounted; 0 for the host's default size. None where
    /// QEMU makes the memory itself (memfd).
    pub mounted_pages: Vec<u64>,
    /// What its network interfaces hang on.
    pub links: Vec<Link>,
    /// USB devices of the host without which it does not start.
    pub usb: Vec<UsbDevice>,
    /// SCSI devices of the host.
    pub scsi: Vec<ScsiDevice>,
    /// CPUs of the host to which parts of it are bound.
    pub pins: Vec<Pin>,
    /// NUMA nodes of the host from which its memory comes.
    pub nodes: Vec<u32>,
    /// Whether a program must be there that shares a directory with it, which libvirt looks for.
    pub virtiofsd: bool,
    /// The program that emulates it, and the machine that it is.
    pub machine: Option<Machine>,
    /// Devices that a `-set` argument for QEMU names, and that are libvirt's own: QEMU does not find them.
    pub sets: Vec<String>,
    /// Arguments for QEMU in which an option and its value are one word.
    pub joined: Vec<String>,
    /// The models of its emulated displays.
    pub displays: Vec<String>,
    /// Whether it gets a keyboard, a mouse or any USB device of the host, optional ones too.
    pub has_input: bool,
    /// Whether libvirt is to choose its UEFI firmware among what is installed.
    pub chooses_uefi: bool,
    /// Whether its addresses are as wide as the processor's: nothing says less.
    pub wide_addresses: bool,
    /// Whether it is made for Windows: its XML says so, or it has what only Windows uses.
    pub windows: bool,
}

impl Domain {
    /// The CPUs of the host that its vCPUs are bound to, in ascending order; none if they are not.
    pub fn vcpu_cpus(&self) -> Vec<u32> {
        let of_vcpus = self.pins.iter().filter(|pin| matches!(pin.what, "vcpupin" | "vcpu"));
        let cpus: BTreeSet<u32> = of_vcpus.flat_map(|pin| pin.cpus.iter().copied()).collect();
        cpus.into_iter().collect()
    }
}

/// Memory that a domain shares with programs of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedMemory {
    /// The name of its file in `/dev/shm`.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
}

/// Whether a domain's memory comes from huge pages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HugePages {
    /// Not from huge pages.
    #[default]
    No,
    /// All of it from huge pages of the host's default size.
    Default,
    /// All of it from huge pages of so many bytes.
    Size(u64),
    /// Some of it, or from several sizes: how much of which cannot be told from here.
    Mixed,
}

/// A PCI function of the host that a domain gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostDevice {
    /// Where it is on the host.
    pub address: Address,
    /// Whether libvirt binds it to vfio and back (`managed='yes'`).
    pub managed: bool,
    /// A file with its option ROM.
    pub rom: Option<String>,
    /// Whether the guest is to see no option ROM: `<rom bar='off'/>`, or `enabled='no'`.
    pub rom_off: bool,
    /// Whether the guest sees it. With `<address type='unassigned'/>` libvirt takes it from the host, and that is all.
    pub assigned: bool,
}

/// A file that must be there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NeededFile {
    /// Its path on the host.
    pub path: String,
    /// What it is for: `disk`, `CD image`, `option ROM`, `firmware`, `kernel`, `emulator`, `input device`, ...
    pub what: &'static str,
    /// It is not needed if this file is there: firmware variables are made from their template only once.
    pub unless: Option<String>,
    /// Whether the domain starts without it.
    pub optional: bool,
    /// Whether it is a directory.
    pub directory: bool,
    /// Whether the guest may write to it.
    pub written: bool,
}

impl NeededFile {
    /// A file that is only read, or a node that is no disk.
    pub fn new(path: impl Into<String>, what: &'static str) -> NeededFile {
        NeededFile { path: path.into(), what, ..NeededFile::default() }
    }
}

/// What a network interface hangs on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Link {
    /// A network of libvirt's.
    Network(String),
    /// A bridge of the host.
    Bridge(String),
    /// An interface of the host, which macvtap shares.
    Parent(String),
}

/// A USB device of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsbDevice {
    /// Vendor and product.
    pub id: Option<(u16, u16)>,
    /// Bus and device number.
    pub place: Option<(u32, u32)>,
}

/// A SCSI device of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScsiDevice {
    /// As sysfs names it: `HOST:CHANNEL:TARGET:UNIT`.
    pub name: String,
    /// Whether the guest may write to it.
    pub written: bool,
}

/// CPUs of the host to which a part of a domain is bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// The element: `vcpupin`, `emulatorpin`, ...
    pub what: &'static str,
    /// Which vCPU or I/O thread, if it is one of several.
    pub number: Option<String>,
    /// The CPUs.
    pub cpus: Vec<u32>,
}

/// The program that emulates a domain, and the machine that it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// The program.
    pub emulator: String,
    /// By what: `kvm`, `qemu`.
    pub by: String,
    /// The machine: `pc-q35-9.2`.
    pub name: String,
}
