// SPDX-License-Identifier: LGPL-2.1-or-later
//! Every answer: what was asked for, else what an earlier run has written, else what is best for this machine.

use super::card::{choose, GpuSelector};
use super::facts::{Card, Facts, IommuState};
use super::request::{Asked, AudioWay, InputWay, Picture, Request, Vm, WayBack, When};
use super::{path_of, Stop};
use crate::config::{self, Audio, Bind, Config, Display, Guest, Input, LookingGlass, Selector};
use crate::finding::codes;
use crate::finding::Severity;
use crate::pci::Address;
use crate::plan::definition::new_domain::{DiskWish, Wish};
use crate::plan::proposal;
use crate::plan::udev_sizes::{self, Found};

/// Every answer.
#[derive(Debug, Clone)]
pub struct Answers {
    /// The name of the guest's section, if there is a guest.
    pub guest: Option<String>,
    /// Its libvirt domain.
    pub domain: Option<String>,
    /// Whether that domain is there.
    pub has_domain: bool,
    /// What a domain that is not there is made from, if it is to be made.
    pub new: Option<Wish>,
    /// The file of the configuration, below the root.
    pub path: String,
    /// The card.
    pub card: Card,
    /// The name of its section.
    pub gpu: String,
    /// When it is with guests.
    pub when: When,
    /// Whether no picture is left while a guest has it.
    pub dark: bool,
    /// Keyboard and mouse.
    pub input: InputWay,
    /// The USB host that the guest has: the name of its section, its address, its `vendor:device`.
    pub usb: Option<(String, Address, String)>,
    /// Sound.
    pub audio: AudioWay,
    /// Whether the picture is on the card alone.
    pub display: bool,
    /// Looking Glass.
    pub looking_glass: Option<Picture>,
    /// Whether the guest is kept from seeing that it is a virtual machine; nothing: as its domain has it.
    pub hide: Option<bool>,
    /// Its memory, as the configuration writes it.
    pub memory: Option<String>,
    /// The ways back.
    pub way_back: WayBack,
    /// Services that are stopped for the guest.
    pub stop_units: Vec<String>,
    /// Sizes of the card's BARs: number and bytes.
    pub bars: Vec<(u8, u64)>,
    /// What the other files of the configuration say.
    pub others: Config,
    /// Whether the file was changed by somebody else since it was written: it stays as it is.
    pub is_theirs: bool,
}

/// The configuration of some files.
fn parse(files: &[(String, Option<Vec<u8>>)], take: impl Fn(&str) -> bool) -> Config {
    let taken: Vec<_> = files.iter().filter(|(path, _)| take(path)).cloned().collect();
    config::parse_lasting(&taken)
}

/// A name that a section may have: of a domain's name what may stand in one.
fn section_name(domain: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || "_.:-".contains(c) { c } else { '-' };
    let name: String = domain.chars().map(allowed).collect();
    let name = name.trim_start_matches(['.', '-']);
    if name.is_empty() {
        "guest".to_owned()
    } else {
        name.chars().take(64).collect()
    }
}

/// What a new domain is made from.
fn wish(request: &Request, domain: &str) -> Result<Wish, Stop> {
    let new = &request.new;
    let installer = new.installer.clone().flatten();
    let os = new.os.clone().or_else(|| system_of(domain, installer.as_deref()));
    let os = os.ok_or_else(|| {
        let text = format!("which system {domain} is to have is not known");
        let hint = "say it with '--guest-os'; 'virt-install --osinfo list' prints all, and generic fits any";
        Stop::new(codes::SETUP_ANSWER_UNFIT, text, hint).usage()
    })?;
    let disk = new.disk.clone().unwrap_or(DiskWish::New(NEW_DISK));
    Ok(Wish { os, disk, installer, virtio_win: new.virtio_win.clone().flatten(), memory: None })
}

/// The size of a disk of which nothing was said; its file grows as the guest writes.
pub const NEW_DISK: u64 = 120 << 30;

/// The Windows that a domain or its installer's image is named after, by libosinfo's short id.
pub fn system_of(domain: &str, installer: Option<&str>) -> Option<String> {
    let file = installer.and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    let names = [domain.to_ascii_lowercase(), file.to_ascii_lowercase()];
    ["win11", "win10"].into_iter().find(|os| names.iter().any(|name| name.starts_with(os))).map(str::to_owned)
}

/// Decides about everything.
pub fn decide(facts: &Facts, request: &Request) -> Result<Answers, Stop> {
    if let IommuState::Off { why, hint } = &facts.iommu {
        return Err(Stop::new(codes::IOMMU_OFF, why.clone(), hint.clone()));
    }
    let whole = parse(&facts.files, |_| true);
    if let Some(error) = whole.diagnostics.iter().find(|finding| finding.severity == Severity::Error) {
        return Err(Stop { finding: Box::new(error.clone()), usage: false });
    }
    let domain = domain(facts, request);
    let guest = domain.as_deref().map(section_name);
    let card = card(facts, request, guest.as_deref())?.clone();
    let path = path_of(guest.as_deref().unwrap_or(&of_host(&card, &whole)));
    let text = |files: &[(String, Option<Vec<u8>>)]| {
        let bytes = files.iter().find(|(other, _)| *other == path).and_then(|(_, bytes)| bytes.clone());
        bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    };
    let written = facts.written.iter().find(|(other, _)| *other == path).map(|(_, text)| text);
    let is_theirs = text(&facts.files).is_some_and(|text| Some(&text) != written);
    let others = parse(&facts.files, |other| other != path || is_theirs);
    let earlier = if is_theirs { Config::default() } else { parse(&facts.files, |other| other == path) };
    let section = card.section.as_ref().filter(|(_, file)| *file != path || is_theirs).map(|(name, _)| name.clone());
    let taken: Vec<String> = others.gpus.iter().map(|gpu| gpu.name.clone()).collect();
    let of_earlier = || earlier.gpus.first().map(|gpu| gpu.name.clone());
    let gpu = section.or_else(of_earlier).unwrap_or_else(|| proposal::name(card.vendor, &taken));
    let before = guest.as_deref().and_then(|name| earlier.guest(name));
    let dark = facts.goes_dark(&card);
    let when = when(&card, request, others.gpu(&gpu).or(earlier.gpu(&gpu)).map(|gpu| gpu.bind));
    let looking_glass = looking_glass(request, before);
    // An earlier run has seen the monitors that a card has no longer to show while vfio has it.
    let shows =
        before.map_or(dark || !card.monitors.is_empty(), |before| before.definition.display == Some(Display::Card));
    let usb_before = earlier.gpus.iter().find_map(|gpu| match gpu.device.value {
        Selector::Address(address) if facts.usb_hosts.iter().any(|(host, _)| *host == address) => Some(address),
        _ => None,
    });
    let on_card = guest.is_some() && looking_glass.is_none() && shows;
    let has_domain = domain.as_deref().is_some_and(|name| facts.domain(name).is_some());
    let new = domain.as_deref().filter(|_| !has_domain && request.new.is_wanted());
    let new = new.map(|name| wish(request, name)).transpose()?;
    // An installer shows nothing on a card without the card's driver.
    let installs = new.as_ref().is_some_and(|wish| wish.installer.is_some());
    let is_known = |known: &Guest| guest.as_deref() == Some(known.name.as_str());
    let input = input(facts, request, before.map(|before| (before, usb_before)), on_card)?;
    let answers = Answers {
        usb: usb(facts, input, &taken),
        input,
        audio: audio(facts, request, before, on_card, looking_glass.is_some())?,
        display: on_card && !installs,
        hide: hide(request, before),
        memory: request.memory.clone().or_else(|| before.and_then(memory)),
        way_back: way_back(request, dark && !others.guests.iter().any(is_known), &earlier),
        stop_units: stop_units(&card, when, before),
        bars: bars(facts, &card, earlier.gpu(&gpu)),
        guest,
        domain,
        has_domain,
        new,
        path,
        card,
        gpu,
        when,
        dark,
        looking_glass,
        others,
        is_theirs,
    };
    answers.refuse_what_does_not_fit(facts, request)?;
    Ok(answers)
}

/// The file of a host without a guest is named after the card.
fn of_host(card: &Card, whole: &Config) -> String {
    let taken: Vec<String> = whole.gpus.iter().map(|gpu| gpu.name.clone()).collect();
    card.section.as_ref().map_or_else(|| proposal::name(card.vendor, &taken), |(name, _)| name.clone())
}

/// The guest: the one that was named, or the only one there is.
fn domain(facts: &Facts, request: &Request) -> Option<String> {
    match (&request.vm, facts.domains.as_slice()) {
        (Vm::Domain(name), _) => Some(name.clone()),
        (Vm::Open, [(only, _)]) => Some(only.clone()),
        _ => None,
    }
}

/// The card: the one that was named; the one that an earlier run has chosen for this guest; the one that the host can do without.
fn card<'f>(facts: &'f Facts, request: &Request, guest: Option<&str>) -> Result<&'f Card, Stop> {
    let selector = request.gpu.clone().unwrap_or(GpuSelector::Auto);
    if selector == GpuSelector::Auto {
        let ours = |card: &&Card| {
            let of = card.section.as_ref().map(|(_, file)| file.as_str());
            guest.map_or_else(
                || of.is_some_and(|of| facts.written.iter().any(|(path, _)| path == of)),
                |guest| of == Some(path_of(guest).as_str()),
            )
        };
        if let Some(card) = facts.cards.iter().find(ours) {
            return Ok(card);
        }
    }
    choose(facts, &selector)
}

fn when(card: &Card, request: &Request, before: Option<Bind>) -> When {
    let before = before.map(|bind| if bind == Bind::Boot { When::Boot } else { When::Guest });
    let best = if card.at_boot { When::Boot } else { When::Guest };
    request.when.said().or(before).unwrap_or(best)
}

fn looking_glass(request: &Request, before: Option<&Guest>) -> Option<Picture> {
    let before = || match before?.definition.looking_glass? {
        LookingGlass::Picture { width, height, .. } => Some(Picture { width, height }),
        LookingGlass::No => None,
    };
    request.looking_glass.said().unwrap_or_else(before)
}

/// The USB host as a section of its own, with a name that no other has.
fn usb(facts: &Facts, input: InputWay, taken: &[String]) -> Option<(String, Address, String)> {
    let InputWay::Usb(address) = input else { return None };
    let (_, ids) = facts.usb_hosts.iter().find(|(host, _)| *host == address)?;
    let name = ["usb", "usb-host", "usb-input"].into_iter().find(|name| !taken.iter().any(|other| other == name))?;
    Some((name.to_owned(), address, ids.clone()))
}

fn input(
    facts: &Facts,
    request: &Request,
    before: Option<(&Guest, Option<Address>)>,
    on_card: bool,
) -> Result<InputWay, Stop> {
    let before = before.map(|(before, usb)| match (usb, &before.definition.input) {
        (Some(address), _) => InputWay::Usb(address),
        (None, Some(Input::Auto | Input::Paths(_))) => InputWay::Evdev,
        _ => InputWay::Leave,
    });
    if let Asked::Is(InputWay::Usb(address)) = request.input {
        if !facts.usb_hosts.iter().any(|(host, _)| *host == address) {
            let all: Vec<String> = facts.usb_hosts.iter().map(|(host, _)| host.to_string()).collect();
            let hint = if all.is_empty() { "there is none".to_owned() } else { format!("there is {}", all.join(", ")) };
            return Err(Stop::new(codes::SETUP_ANSWER_UNFIT, format!("{address} is not a USB host"), hint).usage());
        }
    }
    let found = matches!(facts.inputs, Some(Ok(_)));
    if let (Asked::Is(InputWay::Evdev), Some(Err(why))) = (request.input, &facts.inputs) {
        let hint = "connect them, or use '--input=none'".to_owned();
        return Err(Stop::new(codes::SETUP_ANSWER_UNFIT, format!("'--input=evdev': {why}"), hint));
    }
    let best = if on_card && found { InputWay::Evdev } else { InputWay::Leave };
    Ok(request.input.said().or(before).unwrap_or(best))
}

fn audio(
    facts: &Facts,
    request: &Request,
    before: Option<&Guest>,
    on_card: bool,
    glass: bool,
) -> Result<AudioWay, Stop> {
    let before = before.map(|before| match before.definition.audio {
        Some(Audio::Card) => AudioWay::Card,
        Some(Audio::Pipewire) => AudioWay::Pipewire,
        Some(Audio::Pulseaudio) => AudioWay::Pulseaudio,
        _ => AudioWay::Leave,
    });
    let server =
        facts
            .sound
            .as_ref()
            .map(|sound| if sound.server == "pipewire" { AudioWay::Pipewire } else { AudioWay::Pulseaudio });
    let best = match server {
        _ if on_card => AudioWay::Card,
        Some(server) if glass => server,
        _ => AudioWay::Leave,
    };
    let said = request.audio.said().or(before).unwrap_or(best);
    if matches!(said, AudioWay::Pipewire | AudioWay::Pulseaudio)
        && facts.sound.is_none()
        && before.is_none()
        && facts.user.is_none()
    {
        let text = "whose sound server is to play the guest's sound is not known";
        return Err(Stop::new(codes::SETUP_ANSWER_UNFIT, text, "say whose with '--user=NAME'").usage());
    }
    Ok(said)
}

fn hide(request: &Request, before: Option<&Guest>) -> Option<bool> {
    let before = || before?.definition.hide.as_ref().map(|hide| *hide != config::Hide::No);
    request.hide.said().or_else(before)
}

fn memory(before: &Guest) -> Option<String> {
    before.definition.memory.map(crate::host::bars::show_size)
}

/// An entry in the boot menu harms nobody; a server that others can reach is only started where a person says so.
fn way_back(request: &Request, dark: bool, earlier: &Config) -> WayBack {
    let best = WayBack { ssh: false, entry: dark || earlier.host.needs_rescue_entry() };
    request.way_back.said().unwrap_or(best)
}

/// What holds the card and does not end with a session.
fn stop_units(card: &Card, when: When, before: Option<&Guest>) -> Vec<String> {
    if when == When::Boot {
        return Vec::new();
    }
    let mut units: Vec<String> = before.map(|before| before.stop_units.clone()).unwrap_or_default();
    for unit in &card.services {
        if !units.contains(unit) {
            units.push(unit.clone());
        }
    }
    units
}

/// Sizes: those that udev rules write for the card, but for one that a guest's driver cannot take.
fn bars(facts: &Facts, card: &Card, before: Option<&config::Gpu>) -> Vec<(u8, u64)> {
    let is_it = |found: &&Found| card.ids.starts_with(&found.device) || found.device == card.at();
    let rules = facts.rules.iter().flat_map(|(_, found)| found).filter(is_it).flat_map(|found| found.bars.clone());
    let mut bars: Vec<(u8, u64)> = rules.collect();
    for (number, size) in before.iter().flat_map(|gpu| (0u8..).zip(&gpu.bars)) {
        if let Some(config::BarSize::Bytes(bytes)) = size.as_ref().map(|size| size.value) {
            bars.retain(|(other, _)| *other != number);
            bars.push((number, bytes));
        }
    }
    // What is there now counts where nothing else is asked for.
    let now = |number: u8| card.bars.iter().find(|(other, ..)| *other == number).map(|(_, now, _)| *now);
    let second = bars.iter().find(|(number, _)| *number == 2).map(|(_, size)| *size).or_else(|| now(2));
    let asked = Found { device: card.ids.clone(), bars: second.map(|size| (2, size)).into_iter().collect() };
    let can = card.bars.iter().any(|(number, _, sizes)| *number == 2 && sizes.contains(&(8 << 20)));
    if can && udev_sizes::remark(&asked).is_some() {
        bars.retain(|(number, _)| *number != 2);
        bars.push((2, 8 << 20));
    }
    bars.sort_unstable();
    bars
}

impl Answers {
    fn refuse_what_does_not_fit(&self, facts: &Facts, request: &Request) -> Result<(), Stop> {
        let unfit = |text: &str, hint: &str| Stop::new(codes::SETUP_ANSWER_UNFIT, text, hint.to_owned());
        if self.looking_glass.is_some() && self.dark {
            let text = "Looking Glass shows the guest's picture on the host's desktop, and no card is left for that";
            return Err(unfit(text, "leave '--looking-glass' out, or connect a monitor to another card").usage());
        }
        if self.guest.is_none() && self.usb.is_some() {
            return Err(
                unfit("'--input=usb:ADDRESS' is for a guest, and none is named", "name one with '--vm=NAME'").usage()
            );
        }
        if self.guest.is_none() && request.new.is_wanted() {
            return Err(
                unfit("'--iso' and '--disk' are for a guest, and none is named", "name one with '--vm=NAME'").usage()
            );
        }
        if self.looking_glass.is_some() && self.guest.is_none() {
            return Err(
                unfit("'--looking-glass' is for a guest, and none is named", "name one with '--vm=NAME'").usage()
            );
        }
        let off = facts.iommu == IommuState::AtNextBoot;
        match self.card.refusals.iter().find(|finding| !(off && finding.code == codes::IOMMU_OFF)) {
            Some(finding) => Err(Stop::of(finding)),
            None => Ok(()),
        }
    }
}
