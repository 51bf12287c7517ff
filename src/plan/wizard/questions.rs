// SPDX-License-Identifier: LGPL-2.1-or-later
//! What is still open, one question at a time: the next one depends on what was said so far.

use super::answers::{decide, Answers};
use super::card::GpuSelector;
use super::facts::{Card, Facts};
use super::request::{Asked, AudioWay, InputWay, Picture, Request, Vm, WayBack, When};
use super::Stop;
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
    if request.vm == Vm::Open && !facts.domains.is_empty() {
        return Ok(Some(which_guest(facts)));
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
    if of_guest && request.input == Asked::Open {
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
    options.push("none: only prepare the host".to_owned());
    numbered(Topic::Guest, "Which guest?", options, 1)
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

fn which_input(facts: &Facts, answers: &Answers) -> Question {
    let names = match &facts.inputs {
        Some(Ok(names)) => format!(": {}", names.join(", ")),
        Some(Err(why)) => format!(" (not possible: {why})"),
        None => String::new(),
    };
    let options =
        vec![format!("share the host's, both Ctrl keys switch (evdev){names}"), "leave the domain as it is".to_owned()];
    let default = if answers.input == InputWay::Evdev { 1 } else { 2 };
    numbered(Topic::Input, "Keyboard and mouse of the guest", options, default)
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
        return take_word(request, question.topic, said);
    }
    let most = question.options.len();
    let again = || Refused::Again(format!("answer with a number from 1 to {most}"));
    let number = said.parse::<usize>().ok().filter(|number| (1..=most).contains(number)).ok_or_else(again)?;
    let at = number - 1;
    match question.topic {
        Topic::Card => request.gpu = facts.cards.get(at).and_then(|card| card.address).map(GpuSelector::Address),
        Topic::Guest => {
            request.vm = facts.domains.get(at).map_or(Vm::HostOnly, |(name, _)| Vm::Domain(name.clone()));
        }
        Topic::When => request.when = Asked::Is(if at == 0 { When::Boot } else { When::Guest }),
        Topic::Input => {
            if let (0, Some(Err(why))) = (at, &facts.inputs) {
                return Err(Refused::Again(why.clone()));
            }
            request.input = Asked::Is(if at == 0 { InputWay::Evdev } else { InputWay::Leave });
        }
        Topic::Audio => request.audio = audio_ways(facts).get(at).map_or(Asked::Auto, |way| Asked::Is(*way)),
        Topic::WayBack => request.way_back = ways_back(facts).get(at).map_or(Asked::Auto, |(_, way)| Asked::Is(*way)),
        Topic::Dark | Topic::Glass | Topic::Picture => {}
    }
    Ok(())
}

fn take_word(request: &mut Request, topic: Topic, said: &str) -> Result<(), Refused> {
    let yes = match said.to_ascii_lowercase().as_str() {
        "y" | "yes" => Some(true),
        "n" | "no" => Some(false),
        _ => None,
    };
    let again = Err(Refused::Again("answer with y or n".to_owned()));
    match (topic, yes) {
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
