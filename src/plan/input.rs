// SPDX-License-Identifier: LGPL-2.1-or-later
//! Which keyboards and mice a guest gets by evdev when the user lets us choose (`input = auto`).

use crate::host::input::{InputDevice, Kind};

/// An input device for a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// The path by which the guest gets it, one that is the same after a reboot.
    pub path: String,
    /// What it is.
    pub kind: Kind,
}

/// Why none can be chosen: a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoInput {
    /// There is no such device.
    #[error("no {} of this machine's own was found", kind_name(*.0))]
    None(Kind),
    /// All there is has been made by programs.
    #[error("the only {} is '{name}', which {} has made: what it reads is taken from the guest", kind_name(*.kind), makers(.by))]
    OnlyVirtual {
        /// What it is.
        kind: Kind,
        /// As it calls itself.
        name: String,
        /// The programs that may have made it.
        by: Vec<String>,
    },
    /// A device has no path that lasts.
    #[error("'{name}' has no link below /dev/input/by-id or /dev/input/by-path")]
    NoLink {
        /// As it calls itself.
        name: String,
    },
}

/// The keyboards and mice of a machine: those with letter keys first, of which the first is the one that takes all others with
/// it when the user toggles; then the mice. What a program has made is left out. `makers` are the programs that make some.
///
/// # Errors
/// There is no keyboard, or no mouse, or one without a path that lasts.
pub fn choose(devices: &[InputDevice], makers: &[String]) -> Result<Vec<Input>, NoInput> {
    let mut chosen = Vec::new();
    for kind in [Kind::Keyboard, Kind::Mouse] {
        let of_kind = || devices.iter().filter(|device| device.kind == kind);
        let mut own: Vec<&InputDevice> = of_kind().filter(|device| !device.is_virtual).collect();
        if own.is_empty() {
            let only = of_kind().next().map(|device| NoInput::OnlyVirtual {
                kind,
                name: device.name.clone(),
                by: makers.to_vec(),
            });
            return Err(only.unwrap_or(NoInput::None(kind)));
        }
        // A mouse with keys that send letters is a keyboard too, and not the one that anybody types on.
        let with_other = |device: &&InputDevice| {
            let same =
                |other: &InputDevice| other.kind != kind && !device.place.is_empty() && other.place == device.place;
            devices.iter().any(same)
        };
        own.sort_by_key(with_other);
        for device in own {
            let path = device.links.first().ok_or_else(|| NoInput::NoLink { name: device.name.clone() })?;
            if !chosen.iter().any(|input: &Input| input.path == *path) {
                chosen.push(Input { path: path.clone(), kind });
            }
        }
    }
    Ok(chosen)
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Keyboard => "keyboard",
        Kind::Mouse => "mouse",
    }
}

fn makers(names: &[String]) -> String {
    match names {
        [] => "a program".to_owned(),
        names => names.join(" or "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str, kind: Kind, place: &str, links: &[&str]) -> InputDevice {
        InputDevice {
            input: format!("input-{name}"),
            name: name.to_owned(),
            kind,
            node: Some(format!("/dev/input/{name}")),
            links: links.iter().map(|link| format!("/dev/input/by-id/{link}")).collect(),
            place: place.to_owned(),
            is_virtual: place.is_empty(),
        }
    }

    fn paths(devices: &[InputDevice]) -> Vec<String> {
        choose(devices, &[]).unwrap_or_default().into_iter().map(|input| input.path).collect()
    }

    #[test]
    fn the_keyboard_that_somebody_types_on_comes_first() {
        let gaming = [
            device("mouse keys", Kind::Keyboard, "usb-1", &["mouse-if01-event-kbd"]),
            device("mouse", Kind::Mouse, "usb-1", &["mouse-event-mouse"]),
            device("board", Kind::Keyboard, "usb-2", &["board-event-kbd"]),
            device("virtual", Kind::Keyboard, "", &["none-event-kbd"]),
        ];
        let expected = ["board-event-kbd", "mouse-if01-event-kbd", "mouse-event-mouse"];
        assert_eq!(paths(&gaming), expected.map(|link| format!("/dev/input/by-id/{link}")));
    }

    #[test]
    fn a_path_is_given_once() {
        let twice = [
            device("board", Kind::Keyboard, "usb-2", &["same-event-kbd"]),
            device("other", Kind::Keyboard, "usb-3", &["same-event-kbd"]),
            device("mouse", Kind::Mouse, "usb-1", &["mouse-event-mouse"]),
        ];
        assert_eq!(paths(&twice).len(), 2);
    }

    #[test]
    fn what_is_missing_is_named() {
        let mouse = device("mouse", Kind::Mouse, "usb-1", &["mouse-event-mouse"]);
        let made = device("keyd virtual keyboard", Kind::Keyboard, "", &[]);
        let plain = device("board", Kind::Keyboard, "usb-2", &[]);
        for (devices, by, sentence) in [
            (vec![mouse.clone()], vec![], "no keyboard of this machine's own was found"),
            (
                vec![made.clone(), mouse.clone()],
                vec!["keyd".to_owned()],
                "the only keyboard is 'keyd virtual keyboard', which keyd has made: what it reads is taken from the guest",
            ),
            (
                vec![plain, mouse],
                vec![],
                "'board' has no link below /dev/input/by-id or /dev/input/by-path",
            ),
        ] {
            assert_eq!(choose(&devices, &by).map_err(|error| error.to_string()), Err(sentence.to_owned()));
        }
    }
}
