// SPDX-License-Identifier: LGPL-2.1-or-later
//! Where the guest's sound is heard (formatdomain, "Audio backends", "Sound devices").

use super::draft::Draft;
use super::element::Element;
use super::{change, Look, Said, QEMU};
use crate::config::Audio;
use crate::finding::codes;
use crate::host::domain::xml::child;
use crate::host::domain::JACK;
use crate::host::libvirt::Version;
use roxmltree::Node;

/// Since when libvirt has `<audio>`, and with `type='pipewire'`.
const BACKENDS: Version = Version(7, 2, 0);
const PIPEWIRE: Version = Version(9, 10, 0);

/// `audio`.
pub(super) fn audio(look: &Look<'_, '_>) -> Said {
    let mut draft = look.draft();
    let kind = match look.request.guest.definition.audio {
        None | Some(Audio::Keep) => return Ok(None),
        Some(Audio::Card) => {
            look.devices("sound").into_iter().for_each(|sound| draft.remove(sound));
            for audio in look.devices("audio").into_iter().filter(|a| a.attribute("type") != Some("none")) {
                draft.replace(audio, &backend(audio.attribute("id").unwrap_or("1"), "none"));
            }
            return Ok(change("audio", "the guest's sound is the card's own, by HDMI or DisplayPort", BACKENDS, draft));
        }
        Some(kind) => kind,
    };
    let directory = match &look.request.facts.audio {
        Some(Ok(directory)) => directory,
        Some(Err(why)) => return Err(look.refuse(codes::AUDIO_USER_UNKNOWN, why.clone())),
        None => return Ok(None),
    };
    let backends = look.devices("audio");
    let sounds = look.devices("sound");
    // The backend of the first sound device, else the first there is.
    let used = sounds.first().and_then(|sound| child(*sound, "audio")).and_then(|audio| audio.attribute("id"));
    let there = backends.iter().find(|a| used.is_none() || a.attribute("id") == used).or(backends.first());
    let id = there.and_then(|audio| audio.attribute("id")).or(used).unwrap_or("1");
    let (desired, why, needs) = match kind {
        Audio::Pulseaudio => {
            let server = format!("{directory}/pulse/native");
            let element = backend(id, "pulseaudio").with("serverName", &server);
            (element, format!("sound by PulseAudio at {server}"), BACKENDS)
        }
        Audio::Jack => {
            let input = Element::new("input").with("clientName", &look.request.guest.name);
            let output = Element::new("output").with("clientName", &look.request.guest.name);
            set_variable(look, &mut draft, directory);
            (backend(id, "jack").children([input, output]), format!("sound by JACK of {directory}"), BACKENDS)
        }
        _ => {
            let element = backend(id, "pipewire").with("runtimeDir", directory);
            (element, format!("sound by PipeWire of {directory}"), PIPEWIRE)
        }
    };
    match there {
        Some(there) if is_right(*there, kind, directory) => {}
        Some(there) => draft.replace(*there, &desired),
        None => look.add(&mut draft, desired),
    }
    match sounds.first() {
        None => {
            let sound = Element::new("sound").with("model", "ich9").child(Element::new("audio").with("id", id));
            look.add(&mut draft, sound);
        }
        Some(sound) if child(*sound, "audio").is_none() && backends.len() > 1 => {
            draft.insert(*sound, Element::new("audio").with("id", id));
        }
        Some(_) => {}
    }
    Ok(change("audio", why, needs, draft))
}

fn backend(id: &str, kind: &str) -> Element {
    Element::new("audio").with("id", id).with("type", kind)
}

/// Whether a backend is of this kind and plays where it should; what else it says is the user's.
fn is_right(audio: Node<'_, '_>, kind: Audio, directory: &str) -> bool {
    match kind {
        Audio::Pulseaudio => {
            let server = audio.attribute("serverName").map(|name| name.strip_prefix("unix:").unwrap_or(name));
            audio.attribute("type") == Some("pulseaudio") && server == Some(&format!("{directory}/pulse/native"))
        }
        Audio::Jack => audio.attribute("type") == Some("jack"),
        _ => audio.attribute("type") == Some("pipewire") && audio.attribute("runtimeDir") == Some(directory),
    }
}

/// A variable of QEMU's environment.
fn set_variable(look: &Look<'_, '_>, draft: &mut Draft<'_>, value: &str) {
    let lists = || look.domain.children().filter(|n| n.has_tag_name((QEMU, "commandline")));
    let is_it = |n: &Node<'_, '_>| n.has_tag_name((QEMU, "env")) && n.attribute("name") == Some(JACK);
    if let Some(there) = lists().flat_map(|list| list.children()).find(is_it) {
        return draft.set(there, "value", value);
    }
    let prefix = look.domain.lookup_prefix(QEMU).unwrap_or("qemu");
    let variable = Element::new(&format!("{prefix}:env")).with("name", JACK).with("value", value);
    match lists().next() {
        Some(list) => draft.insert(list, variable),
        None => {
            let list = Element::new(&format!("{prefix}:commandline"));
            let list = if look.domain.lookup_prefix(QEMU).is_none() { list.with("xmlns:qemu", QEMU) } else { list };
            draft.insert(look.domain, list.child(variable));
        }
    }
}
