// SPDX-License-Identifier: LGPL-2.1-or-later
//! The options of `vfio setup`.

use clap::{Args, ValueEnum};
use vfio_suite::config;
use vfio_suite::plan::wizard::card::GpuSelector;
use vfio_suite::plan::wizard::parts::Only;
use vfio_suite::plan::wizard::questions;
use vfio_suite::plan::wizard::request::{Asked, AudioWay, InputWay, Picture, Request, Vm, WayBack, When};

#[derive(Debug, Default, Args)]
pub struct SetupOptions {
    /// Give the card to this libvirt domain
    #[arg(long, value_name = "NAME", value_parser = domain)]
    pub vm: Option<String>,
    /// Choose the card: auto, an address, vendor:device, nvidia, amd or intel
    #[arg(long, value_name = "CARD")]
    pub gpu: Option<GpuSelector>,
    /// Choose when the card is with guests
    #[arg(long, value_name = "WHEN")]
    pub when: Option<WhenWord>,
    /// Choose how keyboard and mouse reach the guest
    #[arg(long, value_name = "WAY")]
    pub input: Option<InputWord>,
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

/// How keyboard and mouse reach the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum InputWord {
    /// evdev, if the guest's picture is on the card
    Auto,
    /// The host's own, which both Ctrl keys switch
    Evdev,
    /// As the domain has it
    None,
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

fn domain(text: &str) -> Result<String, String> {
    let wrong = text.is_empty() || text.contains('/') || text.starts_with('-') || text.len() > 255;
    let wrong = wrong || text.chars().any(char::is_control);
    if wrong {
        Err("this cannot be the name of a libvirt domain".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

fn picture(text: &str) -> Result<Picture, String> {
    questions::picture(text).ok_or_else(|| "expected a width and a height, as 2560x1440".to_owned())
}

/// As the configuration has it: what it refuses is refused here.
fn memory(text: &str) -> Result<String, String> {
    let section = format!("[gpu a]\ndevice = boot-display\n[guest b]\ngpus = a\nmemory = {text}\n");
    let config = config::parse_files(&[("/etc/vfio.conf", section.as_bytes())]);
    let taken = config.guest("b").is_some_and(|guest| guest.definition.memory.is_some());
    if taken && !text.contains('\n') {
        Ok(text.to_owned())
    } else {
        Err("expected a size, as 16G".to_owned())
    }
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
            gpu: self.gpu.clone(),
            when: asked(self.when, |word| match word {
                WhenWord::Auto => None,
                WhenWord::Boot => Some(When::Boot),
                WhenWord::Guest => Some(When::Guest),
            }),
            input: asked(self.input, |word| match word {
                InputWord::Auto => None,
                InputWord::Evdev => Some(InputWay::Evdev),
                InputWord::None => Some(InputWay::Leave),
            }),
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
