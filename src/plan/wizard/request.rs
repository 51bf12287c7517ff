// SPDX-License-Identifier: LGPL-2.1-or-later
//! What a person has asked for, by options or by answers.

use super::card::GpuSelector;

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
    /// The libvirt domain of this name.
    Domain(String),
}

/// All of it.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The guest.
    pub vm: Vm,
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
