// SPDX-License-Identifier: LGPL-2.1-or-later
//! What a definition must know of the machine: looked at only where a key needs it.

use crate::act::backend::tools::Tools;
use crate::act::guest::account;
use crate::act::guest::services;
use crate::config::{self, Audio, Guest};
use crate::host::cpu_list::show_list;
use crate::host::platform::{Architecture, Platform};
use crate::host::{cpus, input, iommu, numa};
use crate::plan::cpus::{choose, Chosen};
use crate::plan::definition::request::{Card, Facts, Inputs};
use crate::plan::definition::variables;
use crate::plan::input::{self as choice, Input};
use crate::root::Root;

/// Looks at the machine. libvirt is not asked: its hook may not.
pub(crate) fn of_machine(root: &Root, tools: &dyn Tools, guest: &Guest, cards: &[Card], xml: &str) -> Facts {
    let definition = &guest.definition;
    let plays = matches!(definition.audio, Some(Audio::Pipewire | Audio::Pulseaudio | Audio::Jack));
    let mut facts = Facts {
        has_variables: variables(xml).is_some_and(|path| root.exists(path.trim_start_matches('/'))),
        audio: plays.then(|| audio(root, tools, guest)),
        ..Facts::default()
    };
    if let Some(asked) = &definition.input {
        facts.inputs = inputs(root, asked);
    }
    if let Some(asked) = &definition.cpus {
        facts.cpus = Some(processors(root, asked, cards));
        facts.amd = Platform::scan(root).architecture == Architecture::Amd;
        facts.address_bits = iommu::address_bits(root);
    }
    facts
}

/// The host's processors for the guest's.
fn processors(root: &Root, asked: &config::Cpus, cards: &[Card]) -> Result<Chosen, String> {
    let value = match asked {
        config::Cpus::Auto => "auto".to_owned(),
        config::Cpus::Number(number) => number.to_string(),
        config::Cpus::List(list) => show_list(list),
    };
    let node = cards.first().and_then(|card| numa::of_function(root, card.display));
    choose(asked, &cpus::read(root), node).map_err(|why| format!("'cpus = {value}' {why}"))
}

/// The host's keyboards and mice for the guest.
fn inputs(root: &Root, asked: &config::Input) -> Inputs {
    let devices = input::devices(root);
    let links = devices.iter().map(|device| device.node.iter().chain(&device.links).cloned().collect());
    let links: Vec<Vec<String>> = links.collect();
    let named = |path: &String| {
        let at = links.iter().position(|links| links.contains(path));
        let missing = || format!("'input' names {path}, which is not a keyboard or a mouse of this machine");
        at.map(|at| Input { path: path.clone(), kind: devices[at].kind }).ok_or_else(missing)
    };
    let chosen = match asked {
        config::Input::None => None,
        config::Input::Auto => {
            let chosen = choice::choose(&devices, &input::makers(root));
            Some(chosen.map_err(|why| format!("'input = auto': {why}")))
        }
        config::Input::Paths(paths) => Some(paths.iter().map(named).collect()),
    };
    Inputs { chosen, links }
}

/// Where the sound server of the guest's user listens.
fn audio(root: &Root, tools: &dyn Tools, guest: &Guest) -> Result<String, String> {
    let directory = |uid: u32| format!("/run/user/{uid}");
    if let Some(user) = &guest.definition.audio_user {
        let found = account::find(root, tools, user);
        let missing = || format!("there is no user '{user}', whom 'audio-user' names");
        return found.map(|user| directory(user.uid)).ok_or_else(missing);
    }
    let sessions =
        services::sessions(tools).map_err(|error| format!("logind does not tell who is logged in: {error}"))?;
    let mut users: Vec<(u32, String)> = sessions
        .iter()
        .filter(|session| session.is_graphical() && !session.seat.is_empty())
        .filter_map(|session| Some((session.uid.parse().ok()?, session.user.clone())))
        .collect();
    users.sort();
    users.dedup();
    match users.as_slice() {
        [(uid, _)] => Ok(directory(*uid)),
        [] => Err("no user is logged in with a desktop, and 'audio-user' names none".to_owned()),
        several => {
            let names: Vec<&str> = several.iter().map(|(_, name)| name.as_str()).collect();
            Err(format!("{} are logged in with a desktop, and 'audio-user' names none of them", names.join(", ")))
        }
    }
}
