// SPDX-License-Identifier: LGPL-2.1-or-later
//! USB devices of the host, by what they are: they may change their socket (formatdomain, "Host device assignment").

use super::element::Element;
use super::mine::{free_names, is_of, mark};
use super::{change, Look, Said, ALWAYS};
use crate::config::UsbId;
use crate::host::domain::xml::{child, number};
use roxmltree::Node;

/// What our devices are called.
const NAME: &str = "usb";

/// What a USB host device is, if it is given by vendor and product.
fn id(hostdev: Node<'_, '_>) -> Option<UsbId> {
    let source = (hostdev.attribute("type") == Some("usb")).then(|| child(hostdev, "source"))??;
    let part = |name: &str| number(child(source, name)?.attribute("id")?).and_then(|id| u16::try_from(id).ok());
    Some(UsbId { vendor: part("vendor")?, product: part("product")? })
}

/// `usb`.
pub(super) fn usb(look: &Look<'_, '_>) -> Said {
    let Some(asked) = &look.request.guest.definition.usb else { return Ok(None) };
    let mut draft = look.draft();
    let there = look.devices("hostdev");
    for device in there.iter().filter(|device| is_of(**device, NAME)) {
        if !id(*device).is_some_and(|id| asked.contains(&id)) {
            draft.remove(*device);
        }
    }
    let mut names: Vec<String> =
        look.part("devices").map_or_else(Vec::new, |d| free_names(d, NAME).take(asked.len()).collect());
    names.reverse();
    for asked in asked {
        let device = there.iter().find(|device| id(**device).as_ref() == Some(asked));
        match device.and_then(|device| child(*device, "source")) {
            Some(source) if source.attribute("startupPolicy").is_none() => {
                draft.set(source, "startupPolicy", "optional");
            }
            Some(_) => {}
            None => {
                let number = |name: &str, id: u16| Element::new(name).with("id", format!("0x{id:04x}"));
                let source = Element::new("source")
                    .with("startupPolicy", "optional")
                    .children([number("vendor", asked.vendor), number("product", asked.product)]);
                let name = names.pop().unwrap_or_else(|| format!("{NAME}-0"));
                let device =
                    Element::new("hostdev").with("mode", "subsystem").with("type", "usb").with("managed", "yes");
                look.add(&mut draft, device.child(source).child(mark(&name)));
            }
        }
    }
    let why = "USB devices of the host; the guest starts without one that is not plugged in";
    Ok(change("usb", why, ALWAYS, draft))
}
