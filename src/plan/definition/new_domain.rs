// SPDX-License-Identifier: LGPL-2.1-or-later
//! Whether a domain can be made: what the user asks for, against what is there.

use super::installation::{Disk, Installation, IMAGES};
use crate::config::{self, Guest, Runner};
use crate::finding::{codes, Finding};
use crate::host::image::{Format, Image};
use crate::text::shell_word;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// What the user asks for on the command line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// The system, by libosinfo's short id.
    pub os: String,
    /// The guest's disk.
    pub disk: DiskWish,
    /// The installer's image.
    pub installer: Option<String>,
    /// The image with the drivers for Windows.
    pub virtio_win: Option<String>,
    /// In bytes.
    pub memory: Option<u64>,
}

/// The disk that the user asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiskWish {
    /// One that is there.
    Path(String),
    /// A new one of so many bytes.
    New(u64),
}

impl DiskWish {
    /// Where the disk is, or is to be.
    pub fn path(&self, guest: &Guest) -> String {
        match self {
            DiskWish::Path(path) => path.clone(),
            DiskWish::New(_) => format!("{IMAGES}/{}.qcow2", guest.domain),
        }
    }
}

/// A mistyped size is smaller.
const SMALLEST_DISK: u64 = 1 << 20;

impl FromStr for DiskWish {
    type Err = String;

    /// `PATH|SIZE`.
    fn from_str(text: &str) -> Result<DiskWish, String> {
        if text.starts_with('/') {
            return absolute_path(text).map(DiskWish::Path);
        }
        match config::size(text) {
            Some(bytes) if bytes >= SMALLEST_DISK => Ok(DiskWish::New(bytes)),
            Some(_) => Err("a disk has at least 1M".to_owned()),
            None => Err("this is neither an absolute path nor a size, as 64G".to_owned()),
        }
    }
}

/// The path of a file that libvirt is told.
pub fn absolute_path(text: &str) -> Result<String, String> {
    if text.starts_with('/') && !text.ends_with('/') && !text.contains(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err("this is not the absolute path of a file".to_owned())
    }
}

/// A system's name as libosinfo has it: nothing that virt-install takes for another option.
pub fn system_name(text: &str) -> Result<String, String> {
    if !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b))
        && !text.starts_with('-')
    {
        Ok(text.to_owned())
    } else {
        Err("this cannot be the name of a system; 'virt-install --osinfo list' prints them".to_owned())
    }
}

/// What was found at a path; `None` if nothing is there, and what the system says if it cannot be looked at.
pub type Looked = Result<Option<Image>, String>;

/// What there is of what is asked for.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Whether libvirt has a domain of this name.
    pub exists: bool,
    /// At the disk's path.
    pub disk: Looked,
    /// At the installer's path.
    pub installer: Looked,
    /// At the path of the drivers for Windows: that of the command line, that of the section, or the distribution's.
    pub virtio_win: Option<(String, Looked)>,
}

/// What is to be installed, or why that cannot be.
pub fn judge(guest: &Guest, wish: &Wish, there: &Surroundings) -> Result<Installation, Vec<Finding>> {
    if guest.runner == Runner::Command {
        return Err(super::refusals(guest, &Default::default()).into_iter().take(1).collect());
    }
    if there.exists {
        let text = format!("domain {} exists already", guest.domain);
        let hint = format!("'vfio guest edit {}' brings it to what the section says", guest.name);
        return Err(vec![Finding::guest(guest, codes::DOMAIN_EXISTS, text).hint(hint)]);
    }
    let mut refusals = Vec::new();
    let disk = disk(guest, wish, &there.disk).map_err(|finding| refusals.push(finding)).ok();
    let drivers = wish.virtio_win.as_ref().and(there.virtio_win.as_ref());
    let images = wish.installer.iter().map(|path| ("--iso", path, &there.installer));
    let images = images.chain(drivers.map(|(path, looked)| ("--virtio-win", path, looked)));
    refusals.extend(images.filter_map(|(option, path, looked)| cdrom(guest, option, path, looked)));
    match disk.filter(|_| refusals.is_empty()) {
        Some(disk) => Ok(Installation { os: wish.os.clone(), disk, installer: wish.installer.clone() }),
        None => Err(refusals),
    }
}

fn refuse(guest: &Guest, text: String, hint: impl Into<String>) -> Finding {
    Finding::guest(guest, codes::IMAGE_UNUSABLE, text).hint(hint)
}

fn disk(guest: &Guest, wish: &Wish, looked: &Looked) -> Result<Disk, Finding> {
    let path = wish.disk.path(guest);
    let made = match wish.disk {
        DiskWish::New(bytes) => Some(bytes),
        DiskWish::Path(_) => None,
    };
    match (looked, made) {
        (Ok(None), Some(_)) => Ok(Disk { path, format: Format::Qcow2, block: false, made }),
        (Ok(Some(_)), Some(_)) => {
            let hint = format!("'--disk {}' uses it as it is", shell_word(&path));
            Err(refuse(guest, format!("the disk {path} exists already"), hint))
        }
        (Ok(Some(image)), None) if image.is_cdrom && wish.installer.is_none() => {
            let text = format!("{path} is the image of a CD-ROM and not a disk");
            Err(refuse(guest, text, "give it with '--iso', and a disk with '--disk'"))
        }
        (Ok(Some(image)), None) => Ok(Disk { path, format: image.format, block: image.block, made }),
        (Ok(None), None) => {
            let hint = "give a size, as '--disk 64G', to have a new disk made";
            Err(refuse(guest, format!("the disk {path} is not there"), hint))
        }
        (Err(why), _) => Err(refuse(guest, format!("the disk {path} cannot be used: {why}"), "give another '--disk'")),
    }
}

/// Why an image is not a CD-ROM's.
fn cdrom(guest: &Guest, option: &str, path: &str, looked: &Looked) -> Option<Finding> {
    let text = match looked {
        Ok(Some(image)) if image.is_cdrom => return None,
        Ok(Some(_)) => format!("{path} is not the image of a CD-ROM (ISO 9660)"),
        Ok(None) => format!("{path} is not there"),
        Err(why) => format!("{path} cannot be used: {why}"),
    };
    Some(refuse(guest, text, format!("give another '{option}'; a download may have saved a web page in its place")))
}

/// The image with the drivers for Windows that the guest is to have, and what is to be known of it.
pub fn drivers(guest: &Guest, new: &Installation, there: &Surroundings) -> (Option<String>, Option<Finding>) {
    if !new.is_windows() {
        return (None, None);
    }
    let why = match &there.virtio_win {
        Some((path, Ok(Some(image)))) if image.is_cdrom => return (Some(path.clone()), None),
        Some((path, _)) => {
            format!("{path}, which has the drivers for Windows, is not there or is not the image of a CD-ROM")
        }
        None => "no image with the drivers for Windows is given".to_owned(),
    };
    let text = format!("{why}: Windows set-up will find no disk");
    let hint = "download virtio-win.iso (https://github.com/virtio-win/virtio-win-pkg-scripts), and repeat with '--virtio-win FILE'";
    let warning = Finding::guest(guest, codes::VIRTIO_WIN_MISSING, text).hint(hint).warning();
    (None, new.installer.is_some().then_some(warning))
}

/// virt-install, by which a new domain begins, is not there.
pub fn no_virt_install(guest: &Guest) -> Finding {
    let text = "a new domain begins with what virt-install recommends, and virt-install is not installed";
    let hint = "install virtinst (Debian, Ubuntu), virt-install (Fedora, Arch Linux, openSUSE) or app-emulation/virt-manager (Gentoo)";
    Finding::guest(guest, codes::VIRT_INSTALL_MISSING, text).hint(hint)
}

/// qemu-img, which makes disks, is not there.
pub fn no_qemu_img(guest: &Guest) -> Finding {
    let text = "a new disk is made by qemu-img, which is not installed";
    let hint =
        "install qemu-utils (Debian, Ubuntu), qemu-img (Fedora, Arch Linux, openSUSE) or app-emulation/qemu (Gentoo)";
    Finding::guest(guest, codes::QEMU_IMG_MISSING, text).hint(hint)
}

/// virt-install knows no such system.
pub fn unknown_os(guest: &Guest, os: &str) -> Finding {
    let text = format!("virt-install knows no system '{os}'");
    let hint = "'virt-install --osinfo list' prints those that it knows, and generic fits any";
    Finding::guest(guest, codes::OS_UNKNOWN, text).hint(hint)
}

/// virt-install has no advice on how much memory the system needs.
pub fn memory_needed(guest: &Guest, os: &str) -> Finding {
    let text = format!("virt-install does not know how much memory '{os}' needs");
    Finding::guest(guest, codes::MEMORY_NEEDED, text).hint("give it with '--memory', as '--memory 8G', or set 'memory'")
}

/// What the user does next, a sentence each.
pub fn next_steps(guest: &Guest, new: &Installation, virtio_win: Option<&str>) -> Vec<String> {
    let mut steps = Vec::new();
    let name = &guest.name;
    if new.installer.is_some() {
        steps.push(format!(
            "'vfio guest start {name}' starts the installer; until it is done, it is shown by Spice ('virt-viewer -c {} {}')",
            guest.uri,
            shell_word(&guest.domain)
        ));
    }
    if new.is_windows() && new.installer.is_some() {
        let letters = virtio_win.map_or("the drivers' CD", |_| "the second CD drive");
        let folder = folder(&new.os);
        steps.push(format!(
            "Windows set-up shows no disk where it asks for a place to install to: choose Load driver, Browse, {letters}, \
             viostor\\{folder}\\amd64; then the disk is there"
        ));
        steps.push(format!(
            "where set-up asks for a network: Load driver or Install driver, NetKVM\\{folder}\\amd64; after the installation \
             run virtio-win-guest-tools.exe from the same CD"
        ));
    }
    if new.is_installed_windows() {
        steps.push(
            "the disk is on SATA: Windows does not start from virtio before its driver has seen a disk there; add a second, small \
             virtio disk, start Windows once, and only then change the bus of the first"
                .to_owned(),
        );
    }
    if new.installer.is_some() {
        steps.push(format!(
            "when the card's driver is in the guest, set 'display = card' in [guest {name}] and run 'vfio guest edit {name}'"
        ));
    }
    steps
}

/// The folder of the drivers on virtio-win's CD.
fn folder(os: &str) -> &'static str {
    match os {
        "win11" => "w11",
        "win10" => "w10",
        "win8.1" | "win8" => "w8.1",
        "win7" => "w7",
        "win2k25" => "2k25",
        "win2k22" => "2k22",
        "win2k19" => "2k19",
        "win2k16" => "2k16",
        _ => "<version>",
    }
}
