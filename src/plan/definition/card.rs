// SPDX-License-Identifier: LGPL-2.1-or-later
//! The functions of the cards, as host devices (formatdomain, "Host device assignment").

use super::draft::Draft;
use super::element::Element;
use super::mine::{alias, is_of, mark, marked};
use super::request::Card;
use super::{change, Look, Said, ALWAYS, CARDS};
use crate::host::domain::pci::host_address;
use crate::host::domain::xml::{child, is, number};
use crate::pci::Address;
use roxmltree::Node;

/// The last slot of a conventional PCI bus.
const LAST_SLOT: u32 = 31;

/// The PCI host devices, each with its function.
fn given<'a, 'd>(look: &Look<'a, 'd>) -> Vec<(Node<'a, 'd>, Address)> {
    let pci = look.devices("hostdev").into_iter().filter(|hostdev| hostdev.attribute("type") == Some("pci"));
    pci.filter_map(|hostdev| Some((hostdev, host_address(child(hostdev, "source")?).ok()?))).collect()
}

/// `gpus`, and of their sections `functions` and `rom`.
pub(super) fn functions(look: &Look<'_, '_>) -> Said {
    let mut draft = look.draft();
    let given = given(look);
    let by_arguments = arguments(look);
    let mut taken = places(look);
    let all: Vec<Address> = look.request.cards.iter().flat_map(|card| card.functions.iter().copied()).collect();
    for card in look.request.cards {
        // What we added for a card that has another place now.
        let stale = given.iter().filter(|(device, at)| is_of(*device, &card.name) && !all.contains(at));
        let mut stale: Vec<Node<'_, '_>> = stale.map(|(device, _)| *device).collect();
        stale.reverse();
        let mut place = place_of(card, &given);
        for function in &card.functions {
            if by_arguments.contains(function) {
                continue;
            }
            if let Some((device, _)) = given.iter().find(|(_, at)| at == function) {
                adopt(&mut draft, *device, card, *function);
            } else if let Some(device) = stale.pop() {
                if let Some(source) = child(device, "source") {
                    draft.replace(source, &source_of(*function));
                }
                rom(&mut draft, device, card, *function);
            } else {
                let place = *place.get_or_insert_with(|| free_place(look, &mut taken));
                let device = hostdev(look, card, *function, place.filter(|_| card.functions.len() > 1));
                look.add(&mut draft, device);
            }
        }
        // A card that has fewer functions now.
        stale.into_iter().for_each(|device| draft.remove(device));
    }
    let names = look.request.cards.iter().map(|card| card.name.as_str()).collect::<Vec<_>>().join(", ");
    let why = format!("all functions of {names}; not managed: libvirt itself unbinds nothing under a desktop");
    Ok(change(CARDS, why, ALWAYS, draft))
}

/// A guest with a card has all of its memory pinned: a balloon could not give any back.
pub(super) fn balloon(look: &Look<'_, '_>) -> Said {
    if look.request.cards.is_empty() {
        return Ok(None);
    }
    let mut draft = look.draft();
    let none = Element::new("memballoon").with("model", "none");
    match look.devices("memballoon").first() {
        Some(there) if there.attribute("model") == Some("none") => {}
        Some(there) => draft.replace(*there, &none),
        None => look.add(&mut draft, none),
    }
    Ok(change(CARDS, "all of the memory is pinned for the card: no balloon can give any back", ALWAYS, draft))
}

/// Functions that arguments for QEMU itself name: whoever wrote those knows why.
fn arguments(look: &Look<'_, '_>) -> Vec<Address> {
    let domain = crate::host::domain::parse(look.text);
    let hostdevs = domain.map(|domain| domain.hostdevs).unwrap_or_default();
    let given = given(look);
    let mut all: Vec<Address> = hostdevs.into_iter().map(|device| device.address).collect();
    all.retain(|at| !given.iter().any(|(_, there)| there == at));
    all
}

/// A device that is there already: not managed, with an address in the guest, and with the ROM.
fn adopt(draft: &mut Draft<'_>, device: Node<'_, '_>, card: &Card, function: Address) {
    draft.set(device, "managed", "no");
    let unassigned = |n: &Node<'_, '_>| is(*n, "address") && n.attribute("type") == Some("unassigned");
    // The guest does not see such a function.
    device.children().filter(unassigned).for_each(|address| draft.remove(address));
    rom(draft, device, card, function);
}

/// The option ROM: on the function with the picture, and on no other.
fn rom(draft: &mut Draft<'_>, device: Node<'_, '_>, card: &Card, function: Address) {
    let Some(path) = &card.rom else { return };
    let there = child(device, "rom");
    match there {
        Some(there) if function == card.display => {
            if there.attribute("enabled") == Some("no") {
                draft.unset(there, "enabled");
            }
            draft.set(there, "file", path);
        }
        None if function == card.display => draft.insert(device, Element::new("rom").with("file", path)),
        Some(there) if there.attribute("file").is_some() => draft.unset(there, "file"),
        _ => {}
    }
}

fn source_of(function: Address) -> Element {
    let slot = function.slot;
    let address = Element::new("address")
        .with("domain", format!("0x{:04x}", slot.domain))
        .with("bus", format!("0x{:02x}", slot.bus))
        .with("slot", format!("0x{:02x}", slot.device))
        .with("function", format!("0x{:x}", function.function));
    Element::new("source").child(address)
}

/// Where devices are in the guest: bus and slot.
type Place = (u32, u32);

fn hostdev(look: &Look<'_, '_>, card: &Card, function: Address, place: Option<Place>) -> Element {
    let mut device = Element::new("hostdev").with("mode", "subsystem").with("type", "pci").with("managed", "no");
    device = device.child(source_of(function)).child(mark(&free_alias(look, card, function)));
    if let Some(path) = card.rom.as_ref().filter(|_| function == card.display) {
        device = device.child(Element::new("rom").with("file", path));
    }
    let Some((bus, slot)) = place else { return device };
    let mut address = Element::new("address")
        .with("type", "pci")
        .with("domain", "0x0000")
        .with("bus", format!("0x{bus:02x}"))
        .with("slot", format!("0x{slot:02x}"))
        .with("function", format!("0x{:x}", function.function));
    if function.function == 0 {
        address = address.with("multifunction", "on");
    }
    device.child(address)
}

/// An alias that no device has: with the function's number, or with the next that is free.
fn free_alias(look: &Look<'_, '_>, card: &Card, function: Address) -> String {
    let devices = look.part("devices");
    let is_taken = |name: &String| {
        let mut all = devices.iter().flat_map(|devices| devices.children()).filter_map(marked);
        all.any(|taken| alias(name).ends_with(&format!("-vfio-{taken}")))
    };
    let own = format!("{}-{}", card.name, function.function);
    let others = (8..).map(|number| format!("{}-{number}", card.name));
    std::iter::once(own).chain(others).find(|name| !is_taken(name)).unwrap_or_default()
}

/// The PCI addresses that devices have in the guest; places that are handed out are added.
fn places(look: &Look<'_, '_>) -> Vec<Place> {
    let devices = look.part("devices");
    devices.iter().flat_map(|devices| devices.children()).filter_map(place).collect()
}

/// Where a device is in the guest.
fn place(device: Node<'_, '_>) -> Option<Place> {
    let address = device.children().find(|n| is(*n, "address") && n.attribute("type") == Some("pci"))?;
    let part = |name: &str| address.attribute(name).and_then(number);
    Some((part("bus")?, part("slot")?))
}

/// Where functions of this card are already; `None` if none is, and `Some(None)` if libvirt is to choose.
fn place_of(card: &Card, given: &[(Node<'_, '_>, Address)]) -> Option<Option<Place>> {
    let own: Vec<&(Node<'_, '_>, Address)> = given.iter().filter(|(_, at)| card.functions.contains(at)).collect();
    let first = own.first()?;
    // Only where each is at its own number the others fit in between.
    let fits = |(device, at): &&(Node<'_, '_>, Address)| {
        let address = child(*device, "address").and_then(|a| a.attribute("function")).and_then(number);
        address == Some(u32::from(at.function)) && place(*device) == place(first.0)
    };
    Some(own.iter().all(fits).then(|| place(first.0)).flatten())
}

/// A slot for a card of several functions.
fn free_place(look: &Look<'_, '_>, taken: &mut Vec<Place>) -> Option<Place> {
    let controllers = look.devices("controller");
    let pci: Vec<&Node<'_, '_>> = controllers.iter().filter(|c| c.attribute("type") == Some("pci")).collect();
    let index = |c: &&&Node<'_, '_>| c.attribute("index").and_then(number);
    let machine = look.part("os").and_then(|os| child(os, "type")).and_then(|kind| kind.attribute("machine"));
    let is_express = machine.is_some_and(|machine| machine.contains("q35") || machine.contains("virt"))
        || pci.iter().any(|c| c.attribute("model") == Some("pcie-root"));
    let place = if is_express {
        let ports = pci.iter().filter(|c| c.attribute("model") == Some("pcie-root-port")).filter_map(|c| index(&c));
        let mut free: Vec<u32> = ports.filter(|port| !taken.iter().any(|(bus, _)| bus == port)).collect();
        free.sort_unstable();
        // libvirt adds the ports that are missing up to a bus that is named.
        let next = pci.iter().filter_map(|c| index(&c)).chain(taken.iter().map(|(bus, _)| *bus)).max().unwrap_or(0) + 1;
        (free.first().copied().unwrap_or(next), 0)
    } else {
        // The first three are the chipset's and the display's.
        (0, (3..=LAST_SLOT).find(|slot| !taken.contains(&(0, *slot)))?)
    };
    taken.push(place);
    Some(place)
}
