// SPDX-License-Identifier: LGPL-2.1-or-later
//! What the host has on each function: file systems, swap, network, keyboards, monitors, sound, the TPM.
//!
//! Read from the device tree of sysfs: the path of a disk, an interface or a keyboard names every function above it, also
//! those of another domain (VMD) and of a USB controller. A device of the host that hangs on no function (a keyboard on
//! the i8042, an fTPM that the firmware shows) is kept with no function, so that "the last one" can be told.

mod block;
mod input;
mod network;
mod storage;

pub use block::BlockUses;

use super::display::Display;
use super::Function;
use crate::pci::Address;
use crate::root::Root;
use serde::Serialize;
use std::fmt;

/// One thing that the host has on functions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// The functions that it hangs on, the outermost first: bridges, a VMD controller, the endpoint. None for what hangs on
    /// no PCI function.
    pub functions: Vec<Address>,
    /// What it is.
    #[serde(flatten)]
    pub what: Use,
}

/// What the host uses a function for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "use", rename_all = "kebab-case")]
pub enum Use {
    /// A file system is mounted.
    Mounted {
        /// Where; of several places the shortest path.
        at: String,
        /// The block device, `nvme0n1p2`.
        device: String,
    },
    /// The kernel swaps to it.
    Swap {
        /// The block device.
        device: String,
    },
    /// It is a part of something that the kernel runs and that is not mounted: LVM, dm-crypt, MD, bcache, ZFS, btrfs.
    Member {
        /// Of what, for a sentence: `LVM volume vg-data`.
        of: String,
        /// The block device.
        device: String,
    },
    /// A network interface with routes, or one that a file system is reached by.
    Network {
        /// The kernel's name of it.
        interface: String,
        /// The default route leads through it.
        default_route: bool,
        /// A mount point whose file system comes over the network, if one does.
        carries: Option<String>,
    },
    /// A keyboard.
    Keyboard {
        /// As it calls itself.
        name: String,
    },
    /// A mouse.
    Mouse {
        /// As it calls itself.
        name: String,
    },
    /// The machine's TPM.
    Tpm,
    /// A connected monitor.
    Monitor {
        /// `card1-DP-1`.
        connector: String,
    },
    /// Sound is being played or recorded.
    Sound {
        /// ALSA's card, `card1`.
        card: String,
    },
}

impl Use {
    /// Whether it is data of the host: no guest gets the function, whatever the configuration says.
    pub fn is_data(&self) -> bool {
        match self {
            Use::Mounted { .. } | Use::Swap { .. } | Use::Member { .. } => true,
            Use::Network { carries, .. } => carries.is_some(),
            _ => false,
        }
    }
}

/// The rest of a sentence that begins with the function.
impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Use::Mounted { at, device } if at == "/" => write!(f, "carries the root file system ({device})"),
            Use::Mounted { at, device } => write!(f, "carries the file system that is mounted at {at} ({device})"),
            Use::Swap { device } => write!(f, "carries swap ({device})"),
            Use::Member { of, device } => write!(f, "carries a part of {of} ({device})"),
            Use::Network { interface, carries: Some(at), .. } if at == "/" => {
                write!(f, "has the network interface {interface}, by which the root file system is reached")
            }
            Use::Network { interface, carries: Some(at), .. } => {
                write!(f, "has the network interface {interface}, by which the file system at {at} is reached")
            }
            Use::Network { interface, default_route: true, .. } => {
                write!(f, "has the network interface {interface} with the default route")
            }
            Use::Network { interface, .. } => write!(f, "has the network interface {interface}, which is in use"),
            Use::Keyboard { name } => write!(f, "has the keyboard '{name}'"),
            Use::Mouse { name } => write!(f, "has the mouse '{name}'"),
            Use::Tpm => f.write_str("is the security processor that the TPM runs on"),
            Use::Monitor { connector } => write!(f, "has the monitor at {connector}"),
            Use::Sound { card } => write!(f, "is playing or recording sound ({card})"),
        }
    }
}

/// Everything that the host has on functions. `asked` are those of which it also matters what shows nowhere: whether the
/// kernel lets their disks be opened exclusively.
pub(super) fn read_usage(root: &Root, functions: &[Function], displays: &[Display], asked: &[Address]) -> Vec<Usage> {
    let (mut found, over_network) = storage::read_storage(root, asked);
    found.extend(network::read_network(root, &over_network));
    found.extend(input::read_input(root));
    found.extend(input::tpm(root, functions));
    let monitors = displays.iter().flat_map(|display| {
        let connected = display.connectors.iter().filter(|connector| connector.connected);
        connected.map(|connector| Usage {
            functions: vec![display.function],
            what: Use::Monitor {
                connector: format!("{}-{}", display.card.as_deref().unwrap_or("card"), connector.name),
            },
        })
    });
    found.extend(monitors);
    found.extend(input::sound(root));
    found
}

/// What is data of the host, and nothing else: what a boot may still have to know.
pub(super) fn look_for_data(root: &Root, asked: &[Address]) -> Vec<Usage> {
    let (mut found, over_network) = storage::read_storage(root, asked);
    if !over_network.is_empty() {
        found.extend(network::read_network(root, &over_network));
    }
    found
}

/// The functions in what a link of sysfs says: `../../devices/pci0000:00/0000:00:14.0/usb1/...`.
fn functions_above(root: &Root, link: &str) -> Vec<Address> {
    let Ok(target) = root.read_link(link) else { return Vec::new() };
    target.components().filter_map(|part| Address::from_sysfs(part.as_os_str().as_encoded_bytes())).collect()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
