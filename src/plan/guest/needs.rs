// SPDX-License-Identifier: LGPL-2.1-or-later
//! What a libvirt domain needs of the host beside its cards: disks that are not the host's, networks, USB devices, CPUs, nodes,
//! huge pages, programs. What is missing ends a start after the desktop was stopped for it, so it is refused before.

use super::checks::edit;
use crate::config::Guest;
use crate::finding::codes::{self, Code};
use crate::host::cpu_list::show_list;
use crate::host::domain::{Domain, Firmware, Link, Pin, UsbDevice};
use crate::host::networks::LinkProblem;
use crate::host::qemu::Module;
use crate::host::usage::Use;
use crate::plan::amount::amount;
use crate::plan::list::listed;
use crate::plan::Finding;
use crate::text::{shell_word, short};

/// What the host has, and has not, of what a domain needs. What is not known is left out: it is nothing against a start.
#[derive(Debug, Clone, Default)]
pub struct HostSide {
    /// What the domain may write to and the host has its own data on: what it is called, and what the host has there.
    pub in_use: Vec<(String, Use)>,
    /// Networks and interfaces that cannot be used.
    pub links: Vec<(Link, LinkProblem)>,
    /// USB devices that are not there exactly once, and how often they are there.
    pub usb: Vec<(UsbDevice, usize)>,
    /// SCSI devices that are not there, as sysfs would name them.
    pub scsi: Vec<String>,
    /// CPUs that are online.
    pub online: Vec<u32>,
    /// CPUs that the kernel could ever bring online.
    pub possible: Vec<u32>,
    /// NUMA nodes that have memory.
    pub nodes: Vec<u32>,
    /// Sizes of huge pages, in bytes, of which no file system is mounted; 0 for the host's default size.
    pub not_mounted: Vec<u64>,
    /// The image of a saved state with which the domain would go on.
    pub saved: Option<String>,
    /// Machines that the domain's emulator knows.
    pub machines: Option<Vec<String>>,
    /// Parts of QEMU that the domain needs and that are not installed.
    pub modules: Vec<Module>,
    /// Whether no program shares directories.
    pub lacks_virtiofsd: bool,
    /// What to install where no UEFI firmware is there to choose from.
    pub lacks_uefi: Option<String>,
    /// How many bits of an address the IOMMU has, where the processor has more.
    pub address_bits: Option<u32>,
}

/// What ends the domain's start (errors), and what the user should know although it starts (warnings).
pub(super) fn check(guest: &Guest, domain: &Domain, host: &HostSide) -> Vec<Finding> {
    let all = All { guest, domain, host };
    let mut findings = Vec::new();
    findings.extend(all.saved());
    findings.extend(host.in_use.iter().map(|(name, what)| all.in_use(name, what)));
    findings.extend(of_definition(guest, domain, host));
    findings.extend(host.usb.iter().map(|(device, found)| all.usb(device, *found)));
    findings.extend(host.scsi.iter().map(|name| all.scsi(name)));
    findings.extend(domain.pins.iter().filter_map(|pin| all.pin(pin)));
    findings.extend(all.nodes());
    findings.extend(host.not_mounted.iter().map(|size| all.not_mounted(*size)));
    findings.extend(all.machine());
    findings.extend(all.virtiofsd());
    findings.extend(all.uefi());
    findings.extend(all.addresses());
    findings.extend(all.arguments());
    findings
}

/// What a definition can bring into a domain and the host does not have.
pub(super) fn of_definition(guest: &Guest, domain: &Domain, host: &HostSide) -> Vec<Finding> {
    let all = All { guest, domain, host };
    let links = host.links.iter().map(|(link, problem)| all.link(link, *problem));
    links.chain(host.modules.iter().map(|module| all.module(*module))).collect()
}

struct All<'a> {
    guest: &'a Guest,
    domain: &'a Domain,
    host: &'a HostSide,
}

impl All<'_> {
    /// A sentence about the domain, with what to do.
    fn finding(&self, code: Code, text: impl AsRef<str>, hint: impl Into<String>) -> Finding {
        Finding::guest(self.guest, code, format!("domain {} {}", self.guest.domain, text.as_ref())).hint(hint)
    }

    /// libvirt would not start the domain as it is now, but go on with one that was saved, with the devices of then.
    fn saved(&self) -> Option<Finding> {
        let image = self.host.saved.as_ref()?;
        let text = format!("would go on from its saved state ({image}), with the devices that it had then");
        let Guest { uri, domain, .. } = self.guest;
        let command = format!("virsh -c {} managedsave-remove {}", shell_word(uri), shell_word(domain));
        Some(self.finding(codes::DOMAIN_IS_SAVED, text, format!("give that state up ('{command}')")))
    }

    fn in_use(&self, name: &str, what: &Use) -> Finding {
        let text = format!("may write to {name}, which {what}");
        let hint = format!("unmount it first or {}", edit(self.guest));
        self.finding(codes::HOST_DATA_ON_DEVICE, text, hint)
    }

    fn link(&self, link: &Link, problem: LinkProblem) -> Finding {
        let uri = shell_word(&self.guest.uri);
        let edit = edit(self.guest);
        match (link, problem) {
            (Link::Network(name), LinkProblem::NotActive) => {
                let command = format!("virsh -c {uri} net-start {}", shell_word(name));
                let text = format!("needs libvirt's network '{name}', which is not active");
                self.finding(codes::NETWORK_NOT_ACTIVE, text, format!("start it ('{command}')"))
            }
            (Link::Network(name), _) => {
                let text = format!("needs libvirt's network '{name}', which is not defined");
                self.finding(
                    codes::NETWORK_NOT_ACTIVE,
                    text,
                    format!("define it ('virsh -c {uri} net-define') or {edit}"),
                )
            }
            (Link::Bridge(name), LinkProblem::NoBridge) => {
                let text = format!("needs the bridge {name}, and the network interface {name} is not one");
                self.finding(codes::INTERFACE_MISSING, text, format!("make a bridge or {edit}"))
            }
            (Link::Bridge(name), _) => {
                let text = format!("needs the bridge {name}, which is not there");
                self.finding(codes::INTERFACE_MISSING, text, format!("make it or {edit}"))
            }
            (Link::Parent(name), _) => {
                let text = format!("needs the network interface {name}, which is not there");
                self.finding(codes::INTERFACE_MISSING, text, format!("see 'ip link' for its name now, or {edit}"))
            }
        }
    }

    fn usb(&self, device: &UsbDevice, found: usize) -> Finding {
        let name = match (device.id, device.place) {
            (Some((vendor, product)), None) => format!("{vendor:04x}:{product:04x}"),
            (_, Some((bus, number))) => format!("{number} on bus {bus}"),
            (None, None) => "without a name".to_owned(),
        };
        let edit = edit(self.guest);
        if found == 0 {
            let text = format!("needs the USB device {name}, which is not there");
            let hint = format!("plug it in, or write startupPolicy='optional' at its <source>: {edit}");
            self.finding(codes::USB_DEVICE_MISSING, text, hint)
        } else {
            let text = format!("needs the USB device {name}, and there are {found} of them");
            let hint = format!("name one by <address bus=... device=...>: {edit}");
            self.finding(codes::USB_DEVICE_MISSING, text, hint)
        }
    }

    fn scsi(&self, name: &str) -> Finding {
        let text = format!("needs the SCSI device {name}, which is not there");
        self.finding(
            codes::SCSI_DEVICE_MISSING,
            text,
            format!("see 'lsscsi' for its address now: {}", edit(self.guest)),
        )
    }

    /// A mask without a CPU that is online is refused (sched_setaffinity(2)), and so is one with a CPU that can never be
    /// (`kernel/cgroup/cpuset.c`, `update_cpumask`). The others of a list are enough.
    fn pin(&self, pin: &Pin) -> Option<Finding> {
        if self.host.online.is_empty() {
            return None;
        }
        let not_in = |set: &[u32]| -> Vec<u32> {
            pin.cpus.iter().copied().filter(|cpu| set.binary_search(cpu).is_err()).collect()
        };
        let (offline, never) = (not_in(&self.host.online), not_in(&self.host.possible));
        let number = pin.number.as_ref().map(|number| format!(" {}", short(number, 20))).unwrap_or_default();
        let bound = format!("binds {}{number} to", pin.what);
        let what = |cpus: &[u32]| {
            let verb = if cpus.len() == 1 { "is" } else { "are" };
            let noun = if cpus.len() == 1 { "CPU" } else { "CPUs" };
            (format!("{noun} {}", show_list(cpus)), verb)
        };
        let online = show_list(&self.host.online);
        if !never.is_empty() && !self.host.possible.is_empty() {
            let (cpus, _) = what(&never);
            let text = format!("{bound} {cpus}, and this machine has only {online}");
            Some(self.finding(codes::CPU_NOT_ONLINE, text, edit(self.guest)))
        } else if offline.len() == pin.cpus.len() {
            let (cpus, verb) = what(&offline);
            let text = format!("{bound} {cpus}, which {verb} not online");
            Some(self.finding(codes::CPU_NOT_ONLINE, text, format!("online are {online}: {}", edit(self.guest))))
        } else {
            None
        }
    }

    /// A node without memory is not taken either (`virNumaNodesetIsAvailable`).
    fn nodes(&self) -> Option<Finding> {
        if self.host.nodes.is_empty() {
            return None;
        }
        let missing = |node: &u32| self.host.nodes.binary_search(node).is_err();
        let missing: Vec<u32> = self.domain.nodes.iter().copied().filter(missing).collect();
        if missing.is_empty() {
            return None;
        }
        let noun = if missing.len() == 1 { "node" } else { "nodes" };
        let text = format!(
            "takes its memory from NUMA {noun} {}, and this machine has memory in {}",
            show_list(&missing),
            show_list(&self.host.nodes)
        );
        Some(self.finding(codes::NUMA_NODE_MISSING, text, edit(self.guest)))
    }

    fn not_mounted(&self, size: u64) -> Finding {
        let (pages, option) = match size {
            0 => ("huge pages".to_owned(), String::new()),
            size => (format!("huge pages of {}", amount(size)), format!(" -o pagesize={}M", size >> 20)),
        };
        let text = format!("needs a mounted file system of {pages}, and there is none");
        let hint = format!(
            "write <source type='memfd'/> in <memoryBacking>, which needs none, or mount one ('mount -t hugetlbfs{option} \
             hugetlbfs DIRECTORY') and restart libvirt's daemon"
        );
        self.finding(codes::HUGE_PAGES_NOT_MOUNTED, text, hint)
    }

    fn machine(&self) -> Option<Finding> {
        let (machine, known) = (self.domain.machine.as_ref()?, self.host.machines.as_ref()?);
        if known.contains(&machine.name) {
            return None;
        }
        let text =
            format!("is a machine of the type {}, which {} does not know", short(&machine.name, 80), machine.emulator);
        let hint = format!(
            "'{} -machine help' lists those that it knows: {}",
            shell_word(&machine.emulator),
            edit(self.guest)
        );
        Some(self.finding(codes::MACHINE_UNKNOWN, text, hint))
    }

    fn module(&self, module: Module) -> Finding {
        let (text, packages) = match module {
            Module::Pipewire => ("plays by PipeWire", "qemu-system-gui (Debian, Ubuntu) or qemu-audio-pipewire"),
            Module::Pulseaudio => ("plays by PulseAudio", "qemu-system-gui (Debian, Ubuntu) or qemu-audio-pa"),
            Module::Jack => ("plays by JACK", "qemu-system-gui (Debian, Ubuntu) or qemu-audio-jack"),
            Module::Spice => (
                "is shown by Spice",
                "qemu-system-modules-spice (Debian, Ubuntu), qemu-spice (openSUSE) or qemu-ui-spice-core",
            ),
        };
        let text = format!("{text}, and that part of QEMU is not installed");
        self.finding(codes::QEMU_PART_MISSING, text, format!("install {packages}"))
    }

    fn virtiofsd(&self) -> Option<Finding> {
        let text = "shares a directory by virtiofs, and no virtiofsd is installed";
        self.host.lacks_virtiofsd.then(|| self.finding(codes::VIRTIOFSD_MISSING, text, "install virtiofsd"))
    }

    fn uefi(&self) -> Option<Finding> {
        let todo = self.host.lacks_uefi.as_ref()?;
        let text = "has UEFI firmware that libvirt chooses, and none is installed";
        Some(self.finding(codes::UEFI_MISSING, text, todo.clone()))
    }

    /// OVMF puts large BARs at the end of the addresses that the guest's processor has. What the IOMMU cannot reach is not
    /// mapped for the card.
    fn addresses(&self) -> Option<Finding> {
        let bits = self.host.address_bits.filter(|_| self.domain.wide_addresses)?;
        if self.domain.firmware != Some(Firmware::Uefi) {
            return None;
        }
        let text = format!("has addresses as wide as the processor's, of which the IOMMU reaches only {bits} bits");
        let hint = format!(
            "if the guest hangs or the card has no memory there, write <maxphysaddr mode='passthrough' limit='{bits}'/> in \
             <cpu> (libvirt 9.3 or later): {}",
            edit(self.guest)
        );
        Some(self.finding(codes::ADDRESSES_TOO_WIDE, text, hint).warning())
    }

    /// Arguments with which QEMU ends at once.
    fn arguments(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut sets: Vec<String> = self.domain.sets.iter().map(|id| short(id, 80).into_owned()).collect();
        sets.dedup();
        if !sets.is_empty() {
            let text = format!(
                "has arguments '-set device.{}...' for QEMU, which does not find libvirt's own devices by that",
                listed(&sets)
            );
            let hint = format!("write <qemu:override> for that device (libvirt 8.2 or later): {}", edit(self.guest));
            findings.push(self.finding(codes::QEMU_ARGUMENT, text, hint));
        }
        for joined in &self.domain.joined {
            let text = format!("has the argument '{}' for QEMU, which takes it as one word", short(joined, 80));
            let hint = format!("write the option and its value as two <qemu:arg>: {}", edit(self.guest));
            findings.push(self.finding(codes::QEMU_ARGUMENT, text, hint));
        }
        findings
    }
}

#[cfg(test)]
#[path = "needs_tests.rs"]
mod tests;
