// SPDX-License-Identifier: LGPL-2.1-or-later
//! The emulated display (formatdomain, "Graphical framebuffers", "Video devices"). What belongs to Spice goes together: libvirt
//! refuses a domain that has one part without the others.

use super::draft::Draft;
use super::element::Element;
use super::{change, Look, Said, ALWAYS};
use crate::config::{Display, LookingGlass};
use crate::host::domain::xml::{attribute, child};
use crate::host::libvirt::Version;
use roxmltree::Node;

/// Since when there is `<model type='none'/>`.
const NO_VIDEO: Version = Version(4, 6, 0);

/// Only this machine can reach it.
const LOCAL: &str = "127.0.0.1";

/// Whether the guest's picture is shown by Looking Glass, which needs Spice for keyboard and mouse.
fn by_looking_glass(look: &Look<'_, '_>) -> bool {
    matches!(look.request.guest.definition.looking_glass, Some(LookingGlass::Picture { .. }))
}

/// `display`.
pub(super) fn display(look: &Look<'_, '_>) -> Said {
    let mut draft = look.draft();
    match look.request.guest.definition.display {
        None | Some(Display::Keep) => {
            if by_looking_glass(look) {
                keep_spice(look, &mut draft);
            }
            Ok(change("looking-glass", "Looking Glass brings keyboard and mouse to the guest by Spice", ALWAYS, draft))
        }
        Some(Display::Card) => {
            let glass = by_looking_glass(look);
            if glass {
                keep_spice(look, &mut draft);
            } else {
                remove_spice(look, &mut draft);
            }
            for graphics in look.devices("graphics") {
                let is_spice = graphics.attribute("type") == Some("spice");
                if !(glass && is_spice) {
                    draft.remove(graphics);
                }
            }
            one_video(look, &mut draft, "none", |model| model == "none");
            off_hostdevs(look, &mut draft);
            let why = if glass {
                "the guest's picture is on the card alone; Spice stays for keyboard and mouse"
            } else {
                "the guest's picture is on the card alone; what belongs to Spice goes with it"
            };
            Ok(change("display", why, NO_VIDEO, draft))
        }
        Some(Display::Vnc) => {
            remove_spice(look, &mut draft);
            for graphics in look.devices("graphics").into_iter().filter(|g| g.attribute("type") == Some("spice")) {
                draft.remove(graphics);
            }
            local_vnc(look, &mut draft);
            // QXL is Spice's.
            one_video(look, &mut draft, "vga", |model| !matches!(model, "none" | "qxl"));
            Ok(change("display", "a way in on this machine by VNC, where the card stays dark", ALWAYS, draft))
        }
    }
}

/// What works only with Spice.
fn remove_spice(look: &Look<'_, '_>, draft: &mut Draft<'_>) {
    for name in ["channel", "redirdev", "smartcard"] {
        let of_spice = |device: &Node<'_, '_>| matches!(device.attribute("type"), Some("spicevmc" | "spiceport"));
        look.devices(name).into_iter().filter(of_spice).for_each(|device| draft.remove(device));
    }
    for audio in look.devices("audio").into_iter().filter(|a| a.attribute("type") == Some("spice")) {
        let none = Element::new("audio").with("id", audio.attribute("id").unwrap_or("1")).with("type", "none");
        draft.replace(audio, &none);
    }
}

/// Spice as Looking Glass needs it, on this machine only.
fn keep_spice(look: &Look<'_, '_>, draft: &mut Draft<'_>) {
    if look.devices("graphics").iter().any(|g| g.attribute("type") == Some("spice")) {
        return;
    }
    let listen = Element::new("listen").with("type", "address").with("address", LOCAL);
    let spice = Element::new("graphics").with("type", "spice").with("autoport", "yes").with("listen", LOCAL);
    look.add(draft, spice.child(listen));
}

/// VNC on this machine, and nobody else's.
fn local_vnc(look: &Look<'_, '_>, draft: &mut Draft<'_>) {
    let mut vnc = look.devices("graphics").into_iter().filter(|g| g.attribute("type") == Some("vnc")).peekable();
    if vnc.peek().is_none() {
        let listen = Element::new("listen").with("type", "address").with("address", LOCAL);
        let vnc = Element::new("graphics").with("type", "vnc").with("autoport", "yes").with("listen", LOCAL);
        return look.add(draft, vnc.child(listen));
    }
    let is_local = |address: &str| matches!(address, LOCAL | "localhost" | "::1");
    for graphics in vnc {
        if attribute(graphics, "listen").is_some_and(|address| !is_local(&address)) {
            draft.set(graphics, "listen", LOCAL);
        }
        for listen in graphics.children().filter(|n| n.has_tag_name("listen")) {
            let is_open = match listen.attribute("type") {
                Some("address") => listen.attribute("address").is_some_and(|address| !is_local(address)),
                Some("network") => true,
                _ => false,
            };
            if is_open {
                draft.replace(listen, &Element::new("listen").with("type", "address").with("address", LOCAL));
            }
        }
    }
}

/// One video device of a model, unless there is one that will do.
fn one_video(look: &Look<'_, '_>, draft: &mut Draft<'_>, model: &str, will_do: impl Fn(&str) -> bool) {
    let videos = look.devices("video");
    let of = |video: Node<'_, '_>| {
        let model = child(video, "model");
        // One that draws in three dimensions needs Spice or a display of its own for it.
        let draws = |m: &Node<'_, '_>| child(*m, "acceleration").is_some_and(|a| a.attribute("accel3d") == Some("yes"));
        model.filter(|m| !draws(m)).and_then(|m| attribute(m, "type")).unwrap_or_default()
    };
    let keep = videos.iter().find(|video| will_do(&of(**video)));
    let new = Element::new("video").child(Element::new("model").with("type", model));
    // Without any other display than the card's there is one video device, and it is none.
    let alone = model == "none";
    match (keep, videos.first()) {
        (Some(keep), _) if alone => {
            videos.iter().filter(|video| *video != keep).for_each(|video| draft.remove(*video));
        }
        (Some(_), _) => {}
        (None, Some(first)) => {
            draft.replace(*first, &new);
            videos.iter().skip(1).for_each(|video| draft.remove(*video));
        }
        (None, None) => look.add(draft, new),
    }
}

/// A mediated device shows its picture on an emulated display only.
fn off_hostdevs(look: &Look<'_, '_>, draft: &mut Draft<'_>) {
    for hostdev in look.devices("hostdev").into_iter().filter(|h| h.attribute("display") == Some("on")) {
        draft.set(hostdev, "display", "off");
        draft.unset(hostdev, "ramfb");
    }
}
