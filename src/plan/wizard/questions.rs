// SPDX-License-Identifier: LGPL-2.1-or-later
//! What is still open, one question at a time: the next one depends on what was said so far.

use super::answers::{decide, system_of, Answers, NEW_DISK};
use super::card::GpuSelector;
use super::facts::{Card, Facts};
use super::request::{domain_name, Asked, AudioWay, InputWay, Picture, Request, Vm, WayBack, When};
use super::Stop;
use crate::config;
use crate::host::bars::show_size;
use crate::plan::definition::new_domain::{absolute_path, system_name, DiskWish};
use crate::plan::setup;

/// What a question is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// Which card.
    Card,
    /// Whether the screen may go dark.
    Dark,
    /// When the card is with guests.
    When,
    /// Which guest.
    Guest,
    /// Whether one that is not there is made.
    Make,
    /// The name of one that is made.
    Name,
    /// The image that it is installed from.
    Installer,
    /// The system that is installed.
    System,
    /// Its disk.
    Disk,
    /// Its memory.
    Memory,
    /// The image with the drivers for Windows.
    Drivers,
    /// Whether Looking Glass shows it.
    Glass,
    /// The largest picture.
    Picture,
    /// Keyboard and mouse.
    Input,
    /// Sound.
    Audio,
    /// The ways back.
    WayBack,
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// What it is about.
    pub topic: Topic,
    /// What is asked, a line each.
    pub lines: Vec<String>,
    /// What may be chosen, numbered from 1; empty where yes, no or a text is the answer.
    pub options: Vec<String>,
    /// What Enter alone means.
    pub default: String,
}

/// The answer is not one, or ends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// Ask again: why, as a sentence.
    Again(String),
    /// The person has had enough.
    End,
}

const PICTURE: Picture = Picture { width: 1920, height: 1080 };

/// The next question; none if all is known.
pub fn next(facts: &Facts, request: &Request) -> Result<Option<Question>, Stop> {
    if request.gpu.is_none() && facts.cards.len() > 1 {
        return Ok(Some(which_card(facts, request)));
    }
    let of_guest = match &request.vm {
        Vm::Open => Some(which_guest(facts)),
        Vm::New => Some(which_name(facts)),
        Vm::Domain(name) if facts.domain(name).is_none() => of_new_guest(facts, request, name),
        Vm::Domain(_) | Vm::HostOnly => None,
    };
    if of_guest.is_some() {
        return Ok(of_guest);
    }
    let answers = decide(facts, request)?;
    if answers.dark && !request.dark_is_right {
        return Ok(Some(may_go_dark()));
    }
    if request.when == Asked::Open && !answers.dark && answers.others.gpu(&answers.gpu).is_none() {
        return Ok(Some(at_which_time(&answers)));
    }
    let of_guest = answers.guest.as_deref().is_some_and(|name| answers.others.guest(name).is_none());
    if of_guest && request.looking_glass == Asked::Open && !answers.dark {
        return Ok(Some(by_looking_glass()));
    }
    if of_guest && request.input == Asked::Open && answers.usb.is_none() {
        return Ok(Some(which_input(facts, &answers)));
    }
    if of_guest && request.audio == Asked::Open {
        return Ok(Some(which_audio(facts, &answers)));
    }
    if answers.dark && request.way_back == Asked::Open {
        return Ok(Some(which_way_back(facts)));
    }
    Ok(None)
}

fn numbered(topic: Topic, line: &str, options: Vec<String>, default: usize) -> Question {
    Question { topic, lines: vec![line.to_owned()], options, default: default.to_string() }
}

fn which_card(facts: &Facts, request: &Request) -> Question {
    let shown = |card: &Card| {
        let shows = if card.monitors.is_empty() {
            "no monitor".to_owned()
        } else {
            format!("has {}", card.monitors.join(", "))
        };
        let session = if card.has_session { ", a session holds it" } else { "" };
        format!("{} ({}): {shows}{session}", card.title(), card.at())
    };
    let best = decide(facts, request).ok().map(|answers| answers.card.address);
    let at = facts.cards.iter().position(|card| best == Some(card.address)).unwrap_or(0);
    numbered(Topic::Card, "Which card is for guests?", facts.cards.iter().map(shown).collect(), at + 1)
}

fn which_guest(facts: &Facts) -> Question {
    let mut options: Vec<String> = facts.domains.iter().map(|(name, _)| name.clone()).collect();
    options.push("a new one".to_owned());
    options.push("none: only prepare the host".to_owned());
    numbered(Topic::Guest, "Which guest?", options, 1)
}

fn words(topic: Topic, line: &str, default: &str) -> Question {
    Question { topic, lines: vec![line.to_owned()], options: Vec::new(), default: default.to_owned() }
}

fn which_name(facts: &Facts) -> Question {
    let free = ["win11", "win11-2", "guest"].into_iter().find(|name| facts.domain(name).is_none());
    words(Topic::Name, "The name of the new guest", free.unwrap_or("guest-2"))
}

/// An answer that says that there is no such file.
const NONE: &str = "none";

/// What is open of a guest that libvirt does not have.
fn of_new_guest(facts: &Facts, request: &Request, name: &str) -> Option<Question> {
    let new = &request.new;
    if new.wanted.is_none() && !new.is_wanted() {
        return Some(words(Topic::Make, &format!("libvirt has no domain {name}. Is it to be made?"), "y"));
    }
    if !new.is_wanted() {
        return None;
    }
    let Some(installer) = &new.installer else {
        return Some(words(Topic::Installer, "The image to install from (ISO), as /srv/win11.iso", NONE));
    };
    let system = new.os.clone().or_else(|| system_of(name, installer.as_deref()));
    let Some(system) = system else {
        return Some(words(Topic::System, "Its system, as 'virt-install --osinfo list' names it", "generic"));
    };
    if new.disk.is_none() {
        let line = "Its disk: the size of a new one, or the path of one that is there";
        return Some(words(Topic::Disk, line, &show_size(NEW_DISK)));
    }
    if request.memory.is_none() {
        return Some(words(Topic::Memory, "Its memory", "8G"));
    }
    let needs_drivers = system.starts_with("win") && installer.is_some() && !facts.installed.virtio_win;
    (needs_drivers && new.virtio_win.is_none()).then(|| {
        let lines = [
            "The image with the drivers for Windows, as /srv/virtio-win.iso: without",
            "them its set-up finds no disk",
        ];
        let lines = lines.map(str::to_owned).to_vec();
        Question { topic: Topic::Drivers, lines, options: Vec::new(), default: NONE.to_owned() }
    })
}

fn may_go_dark() -> Question {
    let lines = [
        "No other card has a monitor: the host has this one until the guest starts,",
        "and gets it back when the guest ends. The session on it ends at each start:",
        "save first. Go on?",
    ];
    let lines = lines.map(str::to_owned).to_vec();
    Question { topic: Topic::Dark, lines, options: Vec::new(), default: "y".to_owned() }
}

fn at_which_time(answers: &Answers) -> Question {
    let options = vec![
        "always, from boot on: the host never uses it, and guests start at once".to_owned(),
        "only while a guest runs: programs of the host may use it meanwhile".to_owned(),
    ];
    numbered(Topic::When, "When is the card with guests?", options, if answers.when == When::Boot { 1 } else { 2 })
}

fn by_looking_glass() -> Question {
    let lines = [
        "Is the guest to be seen in a window of the host (Looking Glass)? A program of",
        "it has to run in the guest, and the card needs a monitor or a dummy plug.",
    ];
    let lines = lines.map(str::to_owned).to_vec();
    Question { topic: Topic::Glass, lines, options: Vec::new(), default: "n".to_owned() }
}

/// The ways of keyboard and mouse, in the order of the question.
fn input_ways(facts: &Facts) -> Vec<InputWay> {
    let hosts = facts.usb_alone.iter().map(|(address, _)| InputWay::Usb(*address));
    [InputWay::Evdev].into_iter().chain(hosts).chain([InputWay::Leave]).collect()
}

fn which_input(facts: &Facts, answers: &Answers) -> Question {
    let names = match &facts.inputs {
        Some(Ok(names)) => format!(": {}", names.join(", ")),
        Some(Err(why)) => format!(" (not possible: {why})"),
        None => String::new(),
    };
    let shown = |way: &InputWay| match way {
        InputWay::Evdev => format!("share the host's, both Ctrl keys switch (evdev){names}"),
        InputWay::Usb(address) => {
            let host = facts.usb_alone.iter().find(|(host, _)| host == address);
            let devices = host.map(|(_, devices)| devices.join(", ")).filter(|devices| !devices.is_empty());
            let devices = devices.map_or(" (no keyboard now)".to_owned(), |devices| format!(": {devices}"));
            format!("take the USB host {address} and all on it{devices}")
        }
        InputWay::Leave => "leave the domain as it is".to_owned(),
    };
    let ways = input_ways(facts);
    let at = ways.iter().position(|way| *way == answers.input).unwrap_or(ways.len() - 1);
    numbered(Topic::Input, "Keyboard and mouse of the guest", ways.iter().map(shown).collect(), at + 1)
}

/// The ways that sound can go, in the order of the question.
fn audio_ways(facts: &Facts) -> Vec<AudioWay> {
    let server = facts.sound.as_ref().map(|sound| match sound.server {
        "pipewire" => AudioWay::Pipewire,
        _ => AudioWay::Pulseaudio,
    });
    [Some(AudioWay::Card), server, Some(AudioWay::Leave)].into_iter().flatten().collect()
}

fn which_audio(facts: &Facts, answers: &Answers) -> Question {
    let user = facts.sound.as_ref().map(|sound| sound.user.as_str()).unwrap_or_default();
    let shown = |way: &AudioWay| match way {
        AudioWay::Card => "the card's own, through the monitor".to_owned(),
        AudioWay::Pipewire => format!("PipeWire of {user}"),
        AudioWay::Pulseaudio => format!("PulseAudio of {user}"),
        AudioWay::Leave => "leave the domain as it is".to_owned(),
    };
    let ways = audio_ways(facts);
    let at = ways.iter().position(|way| *way == answers.audio).unwrap_or(ways.len() - 1);
    numbered(Topic::Audio, "Sound of the guest", ways.iter().map(shown).collect(), at + 1)
}

/// The ways back, in the order of the question.
fn ways_back(facts: &Facts) -> Vec<(&'static str, WayBack)> {
    let entry = ("a boot entry without vfio", WayBack { ssh: false, entry: true });
    let mut ways = vec![entry];
    if setup::ssh(&facts.system).is_some() {
        ways.insert(
            0,
            ("both: an SSH server at every boot, and a boot entry without vfio", WayBack { ssh: true, entry: true }),
        );
        ways.push(("an SSH server at every boot", WayBack { ssh: true, entry: false }));
    }
    ways.push(("neither", WayBack { ssh: false, entry: false }));
    ways
}

fn which_way_back(facts: &Facts) -> Question {
    let options = ways_back(facts).iter().map(|(text, _)| (*text).to_owned()).collect();
    numbered(Topic::WayBack, "A way back, for when the screen stays dark", options, 1)
}

/// Takes an answer.
pub fn take(facts: &Facts, request: &mut Request, question: &Question, said: &str) -> Result<(), Refused> {
    let said = said.trim();
    let said = if said.is_empty() { question.default.as_str() } else { said };
    if question.options.is_empty() {
        return take_word(facts, request, question.topic, said);
    }
    let most = question.options.len();
    let again = || Refused::Again(format!("answer with a number from 1 to {most}"));
    let number = said.parse::<usize>().ok().filter(|number| (1..=most).contains(number)).ok_or_else(again)?;
    let at = number - 1;
    match question.topic {
        Topic::Card => request.gpu = facts.cards.get(at).and_then(|card| card.address).map(GpuSelector::Address),
        Topic::Guest => {
            let other = if at == facts.domains.len() { Vm::New } else { Vm::HostOnly };
            request.vm = facts.domains.get(at).map_or(other, |(name, _)| Vm::Domain(name.clone()));
        }
        Topic::When => request.when = Asked::Is(if at == 0 { When::Boot } else { When::Guest }),
        Topic::Input => {
            let way = input_ways(facts).get(at).copied().unwrap_or(InputWay::Leave);
            if let (InputWay::Evdev, Some(Err(why))) = (way, &facts.inputs) {
                return Err(Refused::Again(why.clone()));
            }
            request.input = Asked::Is(way);
        }
        Topic::Audio => request.audio = audio_ways(facts).get(at).map_or(Asked::Auto, |way| Asked::Is(*way)),
        Topic::WayBack => request.way_back = ways_back(facts).get(at).map_or(Asked::Auto, |(_, way)| Asked::Is(*way)),
        _ => {}
    }
    Ok(())
}

fn take_word(facts: &Facts, request: &mut Request, topic: Topic, said: &str) -> Result<(), Refused> {
    let yes = match said.to_ascii_lowercase().as_str() {
        "y" | "yes" => Some(true),
        "n" | "no" => Some(false),
        _ => None,
    };
    let again = Err(Refused::Again("answer with y or n".to_owned()));
    let file = || if said == NONE { Ok(None) } else { absolute_path(said).map(Some).map_err(Refused::Again) };
    match (topic, yes) {
        (Topic::Make, Some(yes)) => request.new.wanted = Some(yes),
        (Topic::Name, _) => {
            let name = domain_name(said).map_err(Refused::Again)?;
            if facts.domain(&name).is_some() {
                return Err(Refused::Again("libvirt has a domain of this name already".to_owned()));
            }
            (request.vm, request.new.wanted) = (Vm::Domain(name), Some(true));
        }
        (Topic::Installer, _) => request.new.installer = Some(file()?),
        (Topic::Drivers, _) => request.new.virtio_win = Some(file()?),
        (Topic::System, _) => request.new.os = Some(system_name(said).map_err(Refused::Again)?),
        (Topic::Disk, _) => request.new.disk = Some(said.parse::<DiskWish>().map_err(Refused::Again)?),
        (Topic::Memory, _) => {
            config::memory_size(said).map_err(Refused::Again)?;
            request.memory = Some(said.to_owned());
        }
        (Topic::Dark, Some(true)) => request.dark_is_right = true,
        (Topic::Dark, Some(false)) => return Err(Refused::End),
        (Topic::Glass, Some(false)) => request.looking_glass = Asked::Is(None),
        (Topic::Glass, Some(true)) => request.looking_glass = Asked::Is(Some(PICTURE)),
        (Topic::Picture, _) => match picture(said) {
            Some(picture) => request.looking_glass = Asked::Is(Some(picture)),
            None => return Err(Refused::Again("answer with a width and a height, as 2560x1440".to_owned())),
        },
        _ => return again,
    }
    Ok(())
}

/// The question that follows a yes to Looking Glass.
pub fn largest_picture() -> Question {
    Question {
        topic: Topic::Picture,
        lines: vec!["Its largest picture, in pixels".to_owned()],
        options: Vec::new(),
        default: format!("{}x{}", PICTURE.width, PICTURE.height),
    }
}

/// A width and a height: `2560x1440`.
pub fn picture(text: &str) -> Option<Picture> {
    let (width, height) = text.split_once('x')?;
    let side = |text: &str| text.parse::<u32>().ok().filter(|side| (1..=16384).contains(side));
    Some(Picture { width: side(width)?, height: side(height)? })
}
