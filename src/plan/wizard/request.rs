// SPDX-License-Identifier: LGPL-2.1-or-later
//! What a person has asked for, by options or by answers.

use super::card::GpuSelector;
use crate::pci::Address;
use crate::plan::definition::new_domain::DiskWish;

/// One thing that may be asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Asked<T> {
    /// Nothing was said yet: it may be asked.
    #[default]
    Open,
    /// What is best here.
    Auto,
    /// This.
    Is(T),
}

impl<T: Copy> Asked<T> {
    /// What was said.
    pub fn said(self) -> Option<T> {
        match self {
            Asked::Is(value) => Some(value),
            Asked::Open | Asked::Auto => None,
        }
    }
}

/// When a card is with guests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// From boot on.
    Boot,
    /// While a guest runs.
    Guest,
}

/// How the guest is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputWay {
    /// It shares the host's keyboard and mouse.
    Evdev,
    /// It has this USB host, and all that is plugged into it.
    Usb(Address),
    /// As its domain has it.
    Leave,
}

/// Where the guest's sound is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AudioWay {
    /// From the card itself.
    Card,
    /// From the host's PipeWire.
    Pipewire,
    /// From the host's PulseAudio.
    Pulseaudio,
    /// As its domain has it.
    Leave,
}

/// A picture that Looking Glass shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picture {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
}

/// What there is to get in with when the screen stays dark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WayBack {
    /// An SSH server at every boot.
    pub ssh: bool,
    /// A boot entry without vfio.
    pub entry: bool,
}

/// Which guest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Vm {
    /// Nothing was said.
    #[default]
    Open,
    /// None: the host is prepared only.
    HostOnly,
    /// One that is to be made, and has no name yet.
    New,
    /// The libvirt domain of this name.
    Domain(String),
}

/// What a guest that libvirt does not have yet is made from.
#[derive(Debug, Clone, Default)]
pub struct NewGuest {
    /// Whether it is to be made; `None` if nothing was said.
    pub wanted: Option<bool>,
    /// Its system, by libosinfo's short id.
    pub os: Option<String>,
    /// Its disk.
    pub disk: Option<DiskWish>,
    /// The installer's image; `Some(None)`: nothing is installed.
    pub installer: Option<Option<String>>,
    /// The image with the drivers for Windows; `Some(None)`: none.
    pub virtio_win: Option<Option<String>>,
}

impl NewGuest {
    /// Whether it is to be made: a person has said so, or has said what from.
    pub fn is_wanted(&self) -> bool {
        self.wanted.unwrap_or(self.disk.is_some() || matches!(self.installer, Some(Some(_))))
    }
}

/// All of it.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The guest.
    pub vm: Vm,
    /// What it is made from, if it is not there.
    pub new: NewGuest,
    /// The card; none if nothing was said.
    pub gpu: Option<GpuSelector>,
    /// When the card is with guests.
    pub when: Asked<When>,
    /// Keyboard and mouse.
    pub input: Asked<InputWay>,
    /// Sound.
    pub audio: Asked<AudioWay>,
    /// Looking Glass; `Is(None)` is without.
    pub looking_glass: Asked<Option<Picture>>,
    /// Whether the guest is kept from seeing that it is a virtual machine.
    pub hide: Asked<bool>,
    /// The guest's memory, as the configuration writes it.
    pub memory: Option<String>,
    /// The ways back.
    pub way_back: Asked<WayBack>,
    /// The screen may go dark at each start of the guest: a person has said so, or is not asked.
    pub dark_is_right: bool,
}

/// A name that a libvirt domain may have, and that no program takes for an option.
pub fn domain_name(text: &str) -> Result<String, String> {
    let wrong = text.is_empty() || text.contains('/') || text.starts_with('-') || text.len() > 255;
    let wrong = wrong || text.chars().any(char::is_control);
    if wrong {
        Err("this cannot be the name of a libvirt domain".to_owned())
    } else {
        Ok(text.to_owned())
    }
}
