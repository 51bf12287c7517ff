// SPDX-License-Identifier: LGPL-2.1-or-later
//! What the host has of what a libvirt domain needs beside its cards. libvirt is not asked: its hook may not.

use crate::host::domain::{Domain, Link};
use crate::host::usage::BlockUses;
use crate::host::{cpu_list, iommu, networks, pages, qemu, software, usb};
use crate::plan::guest::HostSide;
use crate::plan::packages::Program;
use crate::root::Root;

const CPUS: &str = "sys/devices/system/cpu";

/// Looks for what a domain needs. `system` says whether it is one of the system's libvirt, of whose files much is
/// read.
pub(super) fn look(root: &Root, domain: &Domain, system: bool) -> HostSide {
    let mut host = HostSide::default();
    look_at_devices(root, domain, &mut host);
    if !domain.pins.is_empty() {
        let list = |name: &str| {
            let text = root.read_text(&format!("{CPUS}/{name}")).unwrap_or_default();
            cpu_list::parse_list(&text).unwrap_or_default()
        };
        (host.online, host.possible) = (list("online"), list("possible"));
    }
    if !domain.nodes.is_empty() {
        let text = root.read_text("sys/devices/system/node/has_memory").unwrap_or_default();
        host.nodes = cpu_list::parse_list(&text).unwrap_or_default();
    }
    if !domain.mounted_pages.is_empty() {
        let pages = pages::read(root);
        host.not_mounted.clone_from(&domain.mounted_pages);
        host.not_mounted.sort_unstable();
        host.not_mounted.dedup();
        host.not_mounted.retain(|size| !pages.is_mounted(Some(*size).filter(|size| *size > 0)));
    }
    host.links = domain.links.iter().filter_map(|link| Some((link.clone(), problem(root, link, system)?))).collect();
    // Another QEMU has its own.
    if domain.machine.as_ref().is_none_or(|machine| machine.emulator.starts_with("/usr/bin/")) {
        host.modules = domain.modules.iter().copied().filter(|module| module.is_missing(root)).collect();
    }
    host.lacks_virtiofsd = domain.virtiofsd && !qemu::has_virtiofsd(root);
    host.address_bits = iommu::address_bits(root).filter(|_| domain.wide_addresses);
    if domain.chooses_uefi && !qemu::has_uefi(root) {
        host.lacks_uefi = Some(Program::Uefi.missing(software::distribution(root)).1);
    }
    if system {
        host.saved = qemu::saved_image(root, &domain.name);
        let machine = domain.machine.as_ref();
        host.machines = machine.and_then(|machine| qemu::machines(root, &machine.emulator, &machine.by));
    }
    host
}

fn problem(root: &Root, link: &Link, system: bool) -> Option<networks::LinkProblem> {
    match link {
        // A session's networks are its own.
        Link::Network(name) => system.then(|| networks::network_problem(root, name))?,
        Link::Bridge(name) => networks::interface_problem(root, name, true),
        Link::Parent(name) => networks::interface_problem(root, name, false),
    }
}

/// Disks that the domain may write to and that are the host's, and devices of the host that are not there.
fn look_at_devices(root: &Root, domain: &Domain, host: &mut HostSide) {
    let written: Vec<_> = domain.files.iter().filter(|file| file.written).collect();
    if written.is_empty() && domain.scsi.is_empty() && domain.usb.is_empty() {
        return;
    }
    let uses = BlockUses::read(root);
    for file in written {
        let what = uses.of_path(&file.path).filter(|what| what.is_data());
        host.in_use.extend(what.map(|what| (format!("the {} {}", file.what, file.path), what.clone())));
    }
    for device in &domain.scsi {
        let what = uses.of_scsi(&device.name).filter(|what| device.written && what.is_data());
        host.in_use.extend(what.map(|what| (format!("the SCSI device {}", device.name), what.clone())));
        if !root.exists(&format!("sys/bus/scsi/devices/{}", device.name)) {
            host.scsi.push(device.name.clone());
        }
    }
    let plugged = if domain.usb.is_empty() { Vec::new() } else { usb::devices(root) };
    for device in &domain.usb {
        let found: Vec<_> = plugged.iter().filter(|found| usb::is(found, device.id, device.place)).collect();
        for found in &found {
            let what = uses.of_usb(&found.name).filter(|what| what.is_data());
            let name = || format!("the USB device {:04x}:{:04x}", found.id.0, found.id.1);
            host.in_use.extend(what.map(|what| (name(), what.clone())));
        }
        // Of several of one kind libvirt takes none (`virHostdevFindUSBDevice`).
        if found.len() != 1 {
            host.usb.push((*device, found.len()));
        }
    }
}
