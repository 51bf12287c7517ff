// SPDX-License-Identifier: LGPL-2.1-or-later
//! The options of `vfio setup`.

use clap::{Args, ValueEnum};
use std::str::FromStr;
use vfio_suite::config;
use vfio_suite::plan::definition::new_domain::{absolute_path, system_name, DiskWish};
use vfio_suite::plan::wizard::card::GpuSelector;
use vfio_suite::plan::wizard::parts::Only;
use vfio_suite::plan::wizard::questions;
use vfio_suite::plan::wizard::request::{
    domain_name, Asked, AudioWay, InputWay, NewGuest, Picture, Request, Vm, WayBack, When,
};

#[derive(Debug, Default, Args)]
pub struct SetupOptions {
    /// Give the card to this libvirt domain
    #[arg(long, value_name = "NAME", value_parser = domain_name)]
    pub vm: Option<String>,
    /// Choose the card: auto, an address, vendor:device, nvidia, amd or intel
    #[arg(long, value_name = "CARD")]
    pub gpu: Option<GpuSelector>,
    /// If there is no such domain, make it, and install from this image of a CD-ROM
    #[arg(long, value_name = "FILE", value_parser = absolute_path)]
    pub iso: Option<String>,
    /// The new domain's disk: one that is there, or the size of one that is made [default: 120G]
    #[arg(long, value_name = "PATH|SIZE", value_parser = DiskWish::from_str)]
    pub disk: Option<DiskWish>,
    /// The new domain's system, as libosinfo names it [default: the Windows that its name begins with]
    #[arg(long, value_name = "ID", value_parser = system_name)]
    pub guest_os: Option<String>,
    /// Give the new domain this image with the drivers for Windows
    #[arg(long, value_name = "FILE", value_parser = absolute_path)]
    pub virtio_win: Option<String>,
    /// Choose when the card is with guests
    #[arg(long, value_name = "WHEN")]
    pub when: Option<WhenWord>,
    /// Choose how keyboard and mouse reach the guest: auto, evdev, usb:ADDRESS or none
    #[arg(long, value_name = "WAY", value_parser = input)]
    pub input: Option<Asked<InputWay>>,
    /// Choose where the guest's sound is heard
    #[arg(long, value_name = "WAY")]
    pub audio: Option<AudioWord>,
    /// Share memory for Looking Glass, for pictures of this size
    #[arg(long, value_name = "WIDTHxHEIGHT", num_args = 0..=1, require_equals = true, default_missing_value = "1920x1080")]
    #[arg(value_parser = picture)]
    pub looking_glass: Option<Picture>,
    /// Give the guest this much memory, as 16G
    #[arg(long, value_name = "SIZE", value_parser = memory)]
    pub memory: Option<String>,
    /// Keep the guest from seeing that it is a virtual machine
    #[arg(long, value_name = "WHETHER")]
    pub hide_vm: Option<HideWord>,
    /// Choose the ways in for when the screen stays dark
    #[arg(long, value_name = "WAY")]
    pub way_back: Option<WayBackWord>,
    /// Add this user to the groups, instead of the one who called sudo
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// Do this part only
    #[arg(long, value_name = "PART")]
    pub only: Option<OnlyWord>,
    /// Do the part 'services' only, without a question
    #[arg(long, conflicts_with_all = ["only", "vm", "gpu", "check"])]
    pub services: bool,
    /// Show what was found, and what is in the way
    #[arg(long, conflicts_with_all = ["undo", "yes"])]
    pub check: bool,
    /// Show the plan, ask nothing, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do it without a question
    #[arg(long, conflicts_with = "dry_run")]
    pub yes: bool,
    /// Undo what was done, and nothing else
    #[arg(long, conflicts_with_all = ["user", "vm", "gpu", "only"])]
    pub undo: bool,
    /// Taken for the sake of a guide's command lines: the desktop
    #[arg(long, value_name = "NAME", hide = true)]
    pub de: Option<String>,
    /// The same: the distribution
    #[arg(long, value_name = "NAME", hide = true)]
    pub os: Option<String>,
    /// The same: whether the card is of AMD's series 6000
    #[arg(long, value_name = "WHETHER", hide = true)]
    pub amd6000: Option<bool>,
}

/// When the card is with guests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WhenWord {
    /// From boot on, if the host can do without it
    Auto,
    /// From boot on
    Boot,
    /// Only while a guest runs
    Guest,
}

/// Where the guest's sound is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AudioWord {
    /// The card's own, if the guest's picture is on the card
    Auto,
    /// The user's PipeWire
    Pipewire,
    /// The user's PulseAudio
    Pulse,
    /// The card's own
    Card,
    /// As the domain has it
    None,
}

/// Whether the guest is kept from seeing that it is a virtual machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HideWord {
    /// As the domain has it
    Auto,
    /// It does not see it
    Yes,
    /// It sees it
    No,
}

/// What there is to get in with when the screen stays dark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WayBackWord {
    /// The boot entry, if there is only one card
    Auto,
    /// An SSH server and a boot entry without vfio
    Both,
    /// An SSH server at every boot
    Ssh,
    /// A boot entry without vfio
    Entry,
    /// Neither
    None,
}

/// A part of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnlyWord {
    /// libvirt's services and network, and the user's groups
    Services,
    /// Packages
    Packages,
    /// The configuration
    Config,
    /// The guest's domain
    Guest,
    /// Boot entries and initramfs
    Boot,
}

fn picture(text: &str) -> Result<Picture, String> {
    questions::picture(text).ok_or_else(|| "expected a width and a height, as 2560x1440".to_owned())
}

/// `auto`, `evdev`, `usb:ADDRESS` or `none`.
fn input(text: &str) -> Result<Asked<InputWay>, String> {
    let address = |text: &str| text.parse().or_else(|_| format!("0000:{text}").parse()).ok();
    match (text, text.strip_prefix("usb:").and_then(address)) {
        ("auto", _) => Ok(Asked::Auto),
        ("evdev", _) => Ok(Asked::Is(InputWay::Evdev)),
        ("none", _) => Ok(Asked::Is(InputWay::Leave)),
        (_, Some(address)) => Ok(Asked::Is(InputWay::Usb(address))),
        _ => Err("expected auto, evdev, none, or usb: and the address of a USB host, as usb:0000:0c:00.3".to_owned()),
    }
}

/// As the configuration has it: what it refuses is refused here.
fn memory(text: &str) -> Result<String, String> {
    config::memory_size(text).map(|_| text.to_owned())
}

/// An option that may be left out, or be `auto`.
fn asked<W, T>(word: Option<W>, value: impl Fn(W) -> Option<T>) -> Asked<T> {
    match word.map(value) {
        None => Asked::Open,
        Some(None) => Asked::Auto,
        Some(Some(value)) => Asked::Is(value),
    }
}

impl SetupOptions {
    /// What was asked for.
    pub fn request(&self) -> Request {
        let way = |ssh, entry| Some(WayBack { ssh, entry });
        Request {
            vm: self.vm.clone().map_or(Vm::Open, Vm::Domain),
            new: NewGuest {
                wanted: None,
                os: self.guest_os.clone(),
                disk: self.disk.clone(),
                installer: self.iso.clone().map(Some),
                virtio_win: self.virtio_win.clone().map(Some),
            },
            gpu: self.gpu.clone(),
            when: asked(self.when, |word| match word {
                WhenWord::Auto => None,
                WhenWord::Boot => Some(When::Boot),
                WhenWord::Guest => Some(When::Guest),
            }),
            input: self.input.unwrap_or_default(),
            audio: asked(self.audio, |word| match word {
                AudioWord::Auto => None,
                AudioWord::Pipewire => Some(AudioWay::Pipewire),
                AudioWord::Pulse => Some(AudioWay::Pulseaudio),
                AudioWord::Card => Some(AudioWay::Card),
                AudioWord::None => Some(AudioWay::Leave),
            }),
            looking_glass: self.looking_glass.map_or(Asked::Open, |picture| Asked::Is(Some(picture))),
            hide: asked(self.hide_vm, |word| match word {
                HideWord::Auto => None,
                HideWord::Yes => Some(true),
                HideWord::No => Some(false),
            }),
            memory: self.memory.clone(),
            way_back: asked(self.way_back, |word| match word {
                WayBackWord::Auto => None,
                WayBackWord::Both => way(true, true),
                WayBackWord::Ssh => way(true, false),
                WayBackWord::Entry => way(false, true),
                WayBackWord::None => way(false, false),
            }),
            dark_is_right: self.yes,
        }
    }

    /// Which part is made.
    pub fn part(&self) -> Option<Only> {
        self.only.map(|word| match word {
            OnlyWord::Services => Only::Services,
            OnlyWord::Packages => Only::Packages,
            OnlyWord::Config => Only::Config,
            OnlyWord::Guest => Only::Guest,
            OnlyWord::Boot => Only::Boot,
        })
    }
}
