// SPDX-License-Identifier: LGPL-2.1-or-later
//! The file of the configuration that an answer becomes. What another file says already is not said again.

use super::answers::Answers;
use super::facts::Facts;
use super::request::{AudioWay, InputWay, When};
use crate::host::bars::show_size;
use std::fmt::Write;

/// What is to be in the file; `None` if the other files say all of it.
pub fn text(answers: &Answers, facts: &Facts) -> Option<String> {
    let sections = [host(answers), gpu(answers), usb(answers), guest(answers, facts)];
    let sections: Vec<String> = sections.into_iter().flatten().collect();
    (!sections.is_empty())
        .then(|| format!("# Written by 'vfio setup'; 'vfio setup --undo' removes it.\n{}", sections.join("\n")))
}

fn host(answers: &Answers) -> Option<String> {
    let asked = answers.way_back.entry && !answers.others.host.needs_rescue_entry();
    asked.then(|| "[host]\nrescue-entry = yes\n".to_owned())
}

fn gpu(answers: &Answers) -> Option<String> {
    if answers.others.gpu(&answers.gpu).is_some() {
        return None;
    }
    let bind = bind(answers);
    let card = &answers.card;
    let mut text = format!("[gpu {}]\ndevice = {}\nidentity = {}\nbind = {bind}\n", answers.gpu, card.at(), card.ids);
    for (bar, size) in &answers.bars {
        // Writing to a text does not fail.
        let _ = writeln!(text, "bar{bar} = {}", show_size(*size));
    }
    Some(text)
}

fn bind(answers: &Answers) -> &'static str {
    match answers.when {
        When::Boot => "boot",
        When::Guest => "guest",
    }
}

/// With the guest, whose section names it.
fn usb(answers: &Answers) -> Option<String> {
    let (name, address, ids) = answers.usb.as_ref()?;
    if answers.others.guest(answers.guest.as_ref()?).is_some() {
        return None;
    }
    Some(format!("[gpu {name}]\ndevice = {address}\nidentity = {ids}\nbind = {}\n", bind(answers)))
}

fn guest(answers: &Answers, facts: &Facts) -> Option<String> {
    let (name, domain) = (answers.guest.as_ref()?, answers.domain.as_ref()?);
    if answers.others.guest(name).is_some() {
        return None;
    }
    let usb = answers.usb.as_ref().map(|(section, ..)| format!(" {section}")).unwrap_or_default();
    let mut text = format!("[guest {name}]\ngpus = {}{usb}\n", answers.gpu);
    let mut add = |key: &str, value: &str| {
        let _ = writeln!(text, "{key} = {value}");
    };
    if name != domain {
        add("domain", domain);
    }
    match answers.when {
        When::Boot => add("handover", "none"),
        // The desktop that shows the picture stays.
        When::Guest if answers.looking_glass.is_some() => add("handover", "hot"),
        When::Guest => {}
    }
    if !answers.stop_units.is_empty() {
        add("stop-units", &answers.stop_units.join(" "));
    }
    if answers.display {
        add("display", "card");
    }
    if let Some(picture) = answers.looking_glass {
        add("looking-glass", &format!("{}x{}", picture.width, picture.height));
    }
    if answers.input == InputWay::Evdev {
        add("input", "auto");
    }
    match answers.audio {
        AudioWay::Card => add("audio", "card"),
        AudioWay::Pipewire => add("audio", "pipewire"),
        AudioWay::Pulseaudio => add("audio", "pulseaudio"),
        AudioWay::Leave => {}
    }
    if matches!(answers.audio, AudioWay::Pipewire | AudioWay::Pulseaudio) {
        let whose = facts.sound.as_ref().map(|sound| &sound.user).or(facts.user.as_ref());
        whose.iter().for_each(|user| add("audio-user", user));
    }
    match answers.hide {
        Some(true) => add("hide", "yes"),
        Some(false) => add("hide", "no"),
        None => {}
    }
    if let Some(memory) = &answers.memory {
        add("memory", memory);
    }
    Some(text)
}
