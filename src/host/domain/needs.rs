// SPDX-License-Identifier: LGPL-2.1-or-later
//! What a domain needs of the host.

use super::firmware::Firmware;
use crate::pci::Address;

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
    /// The CPUs of the host that its vCPUs are bound to; none if they are not.
    pub vcpu_cpus: Vec<u32>,
    /// The sockets of sound servers that it plays on.
    pub sound: Vec<String>,
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
}

/// A file that must be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeededFile {
    /// Its path on the host.
    pub path: String,
    /// What it is for: `disk`, `CD image`, `option ROM`, `firmware`, `kernel`, `initrd`.
    pub what: &'static str,
    /// It is not needed if this file is there: firmware variables are made from their template only once.
    pub unless: Option<String>,
}
