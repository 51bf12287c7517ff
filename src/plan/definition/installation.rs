// SPDX-License-Identifier: LGPL-2.1-or-later
//! A domain that is only being made: what virt-install is asked for, and the disks, which are added to what it answers.
//!
//! virt-install would write the disks too, but makes a storage pool of each one's directory for it, even with `--dry-run` (seen
//! with 5.0.0, `tests/libvirt.sh`): of libvirt's own nothing may change before the user has said yes.

use super::element::Element;
use super::mine::mark;
use super::{change, Look, Said, ALWAYS};
use crate::config::{Definition as Keys, Display, Guest};
use crate::host::domain::xml::child;
use crate::host::image::Format;

/// What the user wants to be installed, and onto what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// The system, by libosinfo's short id.
    pub os: String,
    /// The guest's disk.
    pub disk: Disk,
    /// The installer's image, if something is to be installed.
    pub installer: Option<String>,
}

/// The disk of a new guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Where it is.
    pub path: String,
    /// How it is written.
    pub format: Format,
    /// Whether it is a block device.
    pub block: bool,
    /// Its size in bytes, if it is yet to be made.
    pub made: Option<u64>,
}

/// Where libvirt keeps disks. Its own, so that AppArmor, SELinux and libvirt's own tools know it.
pub const IMAGES: &str = "/var/lib/libvirt/images";

/// The name of the guest agent's channel.
const AGENT: &str = "unix,target.type=virtio,target.name=org.qemu.guest_agent.0";

impl Installation {
    /// Whether it is a Windows, which has no driver for virtio of its own.
    pub fn is_windows(&self) -> bool {
        self.os.starts_with("win")
    }

    /// Whether it wants Secure Boot and a TPM: Windows 11 and the servers of its age.
    fn wants_signatures(&self) -> bool {
        matches!(self.os.as_str(), "win11" | "win2k25")
    }

    /// Whether the disk has a system on it already that may not find it on another bus.
    pub fn is_installed_windows(&self) -> bool {
        self.is_windows() && self.installer.is_none() && self.disk.made.is_none()
    }

    /// The words by which virt-install describes a domain without disks, and changes nothing.
    pub fn words(&self, guest: &Guest, machine: Option<&'static str>) -> Vec<String> {
        let boot = if self.installer.is_some() { "uefi,hd,cdrom" } else { "uefi,hd" };
        let first =
            [("--connect", guest.uri.as_str()), ("--name", guest.domain.as_str()), ("--osinfo", self.os.as_str())];
        let last =
            [("--boot", boot), ("--disk", "none"), ("--network", "network=default,model=virtio"), ("--channel", AGENT)];
        // Left out, a system that libosinfo does not know gets an i440fx.
        let options = first.into_iter().chain(machine.map(|machine| ("--machine", machine))).chain(last);
        let mut words: Vec<String> =
            ["virt-install", "--print-xml", "--dry-run", "--import"].map(str::to_owned).to_vec();
        words.extend(options.flat_map(|(option, value)| [option.to_owned(), value.to_owned()]));
        if let Some(bytes) = guest.definition.memory {
            words.extend(["--memory".to_owned(), (bytes >> 20).to_string()]);
        }
        words
    }

    /// The guest's section with what a new domain needs beside what is written there.
    pub fn complete(&self, guest: &Guest, virtio_win: Option<String>, memory: Option<u64>) -> Guest {
        let keys = &guest.definition;
        let definition = Keys {
            memory: memory.or(keys.memory),
            virtio_win: virtio_win.or_else(|| keys.virtio_win.clone()),
            // Left out, each distribution chooses otherwise.
            secure_boot: keys.secure_boot.or(Some(self.wants_signatures())),
            tpm: keys.tpm.or(self.wants_signatures().then_some(true)),
            // The installer shows nothing on a card without its driver.
            display: keys.display.filter(|display| *display != Display::Card || self.installer.is_none()),
            ..keys.clone()
        };
        Guest { definition, ..guest.clone() }
    }
}

/// The path of a disk's source.
fn source<'a>(disk: roxmltree::Node<'a, '_>) -> Option<&'a str> {
    let source = child(disk, "source")?;
    source.attribute("file").or_else(|| source.attribute("dev"))
}

/// The guest's disk.
pub(super) fn disk(look: &Look<'_, '_>) -> Said {
    let Some(new) = look.request.installation else { return Ok(None) };
    let disk = &new.disk;
    let mut draft = look.draft();
    if look.devices("disk").into_iter().any(|there| source(there) == Some(&disk.path)) {
        return Ok(None);
    }
    let (kind, attribute) = if disk.block { ("block", "dev") } else { ("file", "file") };
    // A Windows that is on another bus does not start from virtio, even with its driver.
    let (target, bus) = if new.is_installed_windows() { ("sda", "sata") } else { ("vda", "virtio") };
    let driver = Element::new("driver").with("name", "qemu").with("type", disk.format.name()).with("discard", "unmap");
    let element = Element::new("disk").with("type", kind).with("device", "disk").children([
        driver,
        Element::new("source").with(attribute, &disk.path),
        Element::new("target").with("dev", target).with("bus", bus),
    ]);
    look.add(&mut draft, element);
    let why = match (disk.made, bus) {
        (Some(_), _) => format!("a new disk, {}, by virtio", disk.path),
        (None, "sata") => format!("{} by SATA, where an installed Windows finds it", disk.path),
        (None, _) => format!("{} by virtio", disk.path),
    };
    Ok(change("--disk", why, ALWAYS, draft))
}

/// The installer, as a CD-ROM that may be missing at a start: the first, for firmware starts from that.
pub(super) fn installer(look: &Look<'_, '_>) -> Said {
    let Some(path) = look.request.installation.and_then(|new| new.installer.as_deref()) else { return Ok(None) };
    if look.devices("disk").into_iter().any(|there| source(there) == Some(path)) {
        return Ok(None);
    }
    let mut draft = look.draft();
    let element = Element::new("disk").with("type", "file").with("device", "cdrom").children([
        Element::new("driver").with("name", "qemu").with("type", "raw"),
        Element::new("source").with("file", path).with("startupPolicy", "optional"),
        Element::new("target").with("dev", "sda").with("bus", "sata"),
        Element::new("readonly"),
        mark("installer-0"),
    ]);
    look.add(&mut draft, element);
    Ok(change("--iso", "the installer; the guest starts without the image too", ALWAYS, draft))
}
