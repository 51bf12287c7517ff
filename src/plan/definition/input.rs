// SPDX-License-Identifier: LGPL-2.1-or-later
//! Keyboards and mice of the host that the guest shares (formatdomain, "Input devices", type `evdev`). libvirt gives QEMU the
//! nodes, the cgroup's permission and the label itself: qemu.conf stays as it is.

use super::element::Element;
use super::mine::{free_names, is_of, mark};
use super::{change, Look, Said};
use crate::config::Input;
use crate::finding::codes;
use crate::host::domain::xml::{attribute, child};
use crate::host::input::Kind;
use crate::host::libvirt::Version;
use crate::plan::input::Input as Device;
use roxmltree::Node;

/// Since when libvirt has `type='evdev'`, and `grabToggle`.
const EVDEV: Version = Version(7, 4, 0);
const TOGGLE: Version = Version(7, 6, 0);

/// What our devices are called.
const NAME: &str = "input";

/// The path of a device that is one of the host's.
fn source(input: Node<'_, '_>) -> Option<String> {
    (input.attribute("type") == Some("evdev")).then(|| attribute(child(input, "source")?, "dev"))?
}

/// The path in an argument for QEMU that makes an `input-linux` object, in either of its forms.
fn object(argument: Node<'_, '_>) -> Option<String> {
    let value = argument.attribute("value")?;
    if let Some(options) = value.strip_prefix("input-linux,") {
        return options.split(',').find_map(|option| option.strip_prefix("evdev=")).map(str::to_owned);
    }
    let json: serde_json::Value = value.starts_with('{').then(|| serde_json::from_str(value).ok())??;
    let is_object = json.get("qom-type").and_then(|kind| kind.as_str()) == Some("input-linux");
    is_object.then(|| json.get("evdev")?.as_str().map(str::to_owned))?
}

/// `input`.
pub(super) fn input(look: &Look<'_, '_>) -> Said {
    let definition = &look.request.guest.definition;
    let inputs = &look.request.facts.inputs;
    let chosen = match (&definition.input, &inputs.chosen) {
        (None, _) => return Ok(None),
        (Some(Input::None), _) => &[][..],
        (Some(_), Some(Ok(chosen))) => chosen,
        (Some(_), Some(Err(why))) => return Err(look.refuse(codes::INPUT_NOT_FOUND, why.clone())),
        (Some(_), None) => return Ok(None),
    };
    let mut draft = look.draft();
    let there = look.devices("input");
    let is_chosen = |path: &str| chosen.iter().any(|node| inputs.is_same(&node.path, path));
    // What we added and what is not asked for any more; with 'none' everything.
    for device in &there {
        let Some(path) = source(*device) else { continue };
        if !is_chosen(&path) && (is_of(*device, NAME) || definition.input == Some(Input::None)) {
            draft.remove(*device);
        }
    }
    let arguments = look.arguments();
    for (at, argument) in arguments.iter().enumerate() {
        let Some(path) = object(*argument) else { continue };
        let option = at.checked_sub(1).map(|before| arguments[before]);
        let option = option.filter(|option| option.attribute("value") == Some("-object"));
        if let Some(option) = option.filter(|_| is_chosen(&path) || definition.input == Some(Input::None)) {
            draft.remove(option);
            draft.remove(*argument);
        }
    }
    let toggle = definition.input_toggle.unwrap_or("ctrl-ctrl");
    let mut names: Box<dyn Iterator<Item = String>> = match look.part("devices") {
        Some(devices) => Box::new(free_names(devices, NAME)),
        None => Box::new((0..).map(|number| format!("{NAME}-{number}"))),
    };
    let first = chosen.iter().position(|node| node.kind == Kind::Keyboard);
    for (at, node) in chosen.iter().enumerate() {
        let grabs = first == Some(at);
        let device = there.iter().find(|device| source(**device).is_some_and(|path| inputs.is_same(&path, &node.path)));
        match device.and_then(|device| child(*device, "source")) {
            Some(source) if grabs => {
                draft.set(source, "grab", "all");
                if definition.input_toggle.is_some() || source.attribute("grabToggle").is_none() {
                    draft.set(source, "grabToggle", toggle);
                }
                draft.set(source, "repeat", "on");
            }
            Some(_) => {}
            None => {
                let name = names.next().unwrap_or_default();
                look.add(&mut draft, device_of(node, grabs.then_some(toggle)).child(mark(&name)));
            }
        }
    }
    // A pointer by its place is for a picture in a window: the guest would move by both.
    let has_mouse = chosen.iter().any(|node| node.kind == Kind::Mouse);
    let shown = look.devices("graphics").iter().any(|g| g.attribute("type") != Some("spice"))
        || (definition.looking_glass.is_none() && !look.devices("graphics").is_empty());
    if has_mouse && !shown {
        there.iter().filter(|d| d.attribute("type") == Some("tablet")).for_each(|tablet| draft.remove(*tablet));
    }
    let why = match chosen.len() {
        0 => "keyboard and mouse stay with the host".to_owned(),
        _ => format!("{} {toggle} moves them between host and guest", subject(chosen)),
    };
    Ok(change("input", why, if first.is_some() { TOGGLE } else { EVDEV }, draft))
}

fn subject(chosen: &[Device]) -> &'static str {
    match (chosen.iter().any(|node| node.kind == Kind::Keyboard), chosen.iter().any(|node| node.kind == Kind::Mouse)) {
        (true, true) => "the host's keyboard and mouse:",
        (true, false) => "the host's keyboard:",
        _ => "the host's mouse:",
    }
}

/// The device of an event node; the keyboard that grabs all has the keys that do so.
fn device_of(node: &Device, toggle: Option<&str>) -> Element {
    let mut source = Element::new("source").with("dev", &node.path);
    if let Some(toggle) = toggle {
        source = source.with("grab", "all").with("grabToggle", toggle).with("repeat", "on");
    }
    Element::new("input").with("type", "evdev").child(source)
}
