// SPDX-License-Identifier: LGPL-2.1-or-later
//! What was found on the machine.

use crate::finding::Finding;
use crate::host::leftovers::{Leftover, ModprobeLine};
use crate::host::software::Distribution;
use crate::pci::Address;
use crate::plan::setup::SetupContext;
use crate::plan::udev_sizes;

/// The machine, as far as a setup depends on it.
#[derive(Debug, Default)]
pub struct Facts {
    /// How it stands with the IOMMU.
    pub iommu: IommuState,
    /// Whose processor it is.
    pub processor: &'static str,
    /// The boot loaders, by name.
    pub loaders: Vec<&'static str>,
    /// What builds its initramfs.
    pub initramfs: Option<&'static str>,
    /// Whether Secure Boot is on.
    pub secure_boot: bool,
    /// Its graphics cards.
    pub cards: Vec<Card>,
    /// The distribution; `None` if its packages are not known.
    pub distribution: Option<Distribution>,
    /// What is installed.
    pub installed: Installed,
    /// Services, network, users and groups.
    pub system: SetupContext,
    /// Who is to use guests.
    pub user: Option<String>,
    /// Who is logged in with a desktop.
    pub desktops: Vec<String>,
    /// Whose sound server runs, and which.
    pub sound: Option<Sound>,
    /// USB hosts, each with its `vendor:device`.
    pub usb_hosts: Vec<(Address, String)>,
    /// Those of them that are alone in their IOMMU group, each with the keyboards and mice that are plugged into it.
    pub usb_alone: Vec<(Address, Vec<String>)>,
    /// Keyboards and mice by which a guest could be used, or why there are none.
    pub inputs: Option<Result<Vec<String>, String>>,
    /// The domains of libvirt, each with its text if that can be read.
    pub domains: Vec<(String, Option<String>)>,
    /// What others have left.
    pub leftovers: Vec<Leftover>,
    /// Files of udev rules that do nothing but write sizes of BARs, with what these say.
    pub rules: Vec<(String, Vec<udev_sizes::Found>)>,
    /// Files of modprobe.d(5) that are about passing cards through.
    pub modprobe: Vec<(String, Vec<ModprobeLine>)>,
    /// The commands that build all images of the initramfs anew.
    pub rebuild: Vec<Vec<String>>,
    /// The files of the configuration that the next boot has, below the root; without bytes a mask.
    pub files: Vec<(String, Option<Vec<u8>>)>,
    /// What `vfio setup` has written last, by path.
    pub written: Vec<(String, String)>,
}

/// The IOMMU.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum IommuState {
    /// It works; so many groups.
    On(usize),
    /// It is off, and a kernel parameter that a sync adds switches it on.
    AtNextBoot,
    /// It is off.
    Off {
        /// Why: what follows "the IOMMU".
        why: String,
        /// What to do.
        hint: String,
    },
    /// Not looked at.
    #[default]
    Unknown,
}

/// What is installed of what guests need.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Installed {
    /// libvirt's command.
    pub virsh: bool,
    /// libvirt's daemon.
    pub daemon: bool,
    /// The emulator.
    pub qemu: bool,
    /// UEFI for guests.
    pub firmware: bool,
    /// The emulated TPM.
    pub swtpm: bool,
    /// What a new domain begins with.
    pub virt_install: bool,
    /// The drivers for Windows, where distributions have them.
    pub virtio_win: bool,
}

/// A sound server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sound {
    /// As `audio` names it: `pipewire` or `pulseaudio`.
    pub server: &'static str,
    /// Whose it is.
    pub user: String,
}

/// A graphics card.
#[derive(Debug, Clone, Default)]
pub struct Card {
    /// Its display.
    pub address: Option<Address>,
    /// Who made it.
    pub vendor: u16,
    /// `vendor:device`, and the board's where it has one.
    pub ids: String,
    /// `vendor:device` of each of its functions.
    pub kinds: Vec<String>,
    /// By the list of PCI ids.
    pub name: Option<String>,
    /// Whether it is a part of the processor.
    pub integrated: bool,
    /// Whether the firmware shows its picture on it.
    pub boot_display: bool,
    /// Connectors with a monitor.
    pub monitors: Vec<String>,
    /// Whether somebody's session holds it.
    pub has_session: bool,
    /// Services of the system that hold it, beside the display manager.
    pub services: Vec<String>,
    /// How many functions it has.
    pub functions: usize,
    /// Its IOMMU group.
    pub group: Option<u32>,
    /// What else is in the group.
    pub beside: Vec<String>,
    /// How it can be reset.
    pub reset: Vec<String>,
    /// What is known of its kind.
    pub known: Option<String>,
    /// Its BARs that can be resized: number, size, sizes.
    pub bars: Vec<(u8, u64, Vec<u64>)>,
    /// Why no guest can have it.
    pub refusals: Vec<Finding>,
    /// Whether the host can do without it from boot on.
    pub at_boot: bool,
    /// Whether it is bound to a driver of vfio now.
    pub with_vfio: bool,
    /// The `[gpu]` section that means it, and the file that this is in, below the root.
    pub section: Option<(String, String)>,
}

impl Card {
    /// Its address as text.
    pub fn at(&self) -> String {
        self.address.map(|address| address.to_string()).unwrap_or_default()
    }

    /// What it is called.
    pub fn title(&self) -> &str {
        self.name.as_deref().unwrap_or("graphics card")
    }
}

impl Facts {
    /// Whether the machine has no picture left while a guest has this card.
    pub fn goes_dark(&self, card: &Card) -> bool {
        let others = || self.cards.iter().filter(|other| other.address != card.address);
        let shows = !card.monitors.is_empty() || card.boot_display || self.cards.len() == 1;
        shows && !others().any(|other| !other.monitors.is_empty())
    }

    /// The text of a domain; `None` if there is no such domain.
    pub fn domain(&self, name: &str) -> Option<&(String, Option<String>)> {
        self.domains.iter().find(|(domain, _)| domain == name)
    }
}
