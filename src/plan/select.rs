// SPDX-License-Identifier: LGPL-2.1-or-later
//! Which functions a `[gpu]` section means: selector, identity, functions, `also`.

use super::{display, Finding};
use crate::config::{At, Bind, Config, Functions, Gpu, Selector};
use crate::finding::codes;
use crate::host::{Function, Host};
use crate::pci::{Address, Identity, Slot};
use crate::plan::card;
use crate::plan::device::Device;
use crate::plan::device::{candidates, only_device};
use crate::plan::selection::{Selected, Selection};

/// What every section means. A function that two sections claim belongs to the first of them.
pub fn select_all<'c>(config: &'c Config, host: &Host) -> Vec<Selection<'c>> {
    let mut selections: Vec<Selection<'c>> = Vec::new();
    for gpu in &config.gpus {
        let selected = select_one(gpu, host).and_then(|selected| match claimed(&selections, &selected) {
            Some((function, owner)) => Err(Finding::card(
                gpu,
                &gpu.device.at,
                codes::CARD_CLAIMED_TWICE,
                format!("claims {function}, which [gpu {}] ({}) has already", owner.name, owner.at),
            )
            .hint("name another card here, or remove this section")),
            None => Ok(selected),
        });
        selections.push(Selection { gpu, selected });
    }
    let taken: Vec<(&Gpu, Vec<Address>)> =
        selections.iter().filter_map(|c| Some((c.gpu, c.selected.as_ref().ok()?.functions.clone()))).collect();
    for selection in &mut selections {
        let with = |other: &Gpu| {
            let both = |gpus: &[String]| gpus.contains(&selection.gpu.name) && gpus.contains(&other.name);
            let guest = || config.guests.iter().any(|guest| both(&guest.gpus.value));
            other.name != selection.gpu.name
                && (other.bind == Bind::Boot || selection.gpu.bind == Bind::Guest && guest())
        };
        if let Ok(selected) = &mut selection.selected {
            if selection.gpu.functions == Functions::All {
                let theirs = |f: Address| taken.iter().any(|(_, functions)| functions.contains(&f));
                selected.notes.extend(card::rest(selection.gpu, &selected.card, theirs, host));
            }
            let beside = taken.iter().filter(|(other, _)| with(other));
            selected.beside = beside.map(|(other, functions)| (other.name.clone(), functions.clone())).collect();
        }
    }
    selections
}

/// The slots that the configuration could mean: where it matters which functions are virtual.
pub fn slots(config: &Config, host: &Host) -> Vec<Slot> {
    let could = |f: &&Function| {
        config.gpus.iter().any(|gpu| match gpu.device.value {
            Selector::Address(address) => address.slot == f.address.slot,
            Selector::Identity(identity) => identity.matches(f.vendor, f.device, f.subsystem),
            Selector::BootDisplay | Selector::NotBootDisplay => f.is_display(),
        })
    };
    let mut slots: Vec<Slot> = host.functions.iter().filter(could).map(|f| f.address.slot).collect();
    slots.dedup();
    slots
}

/// The first function that an earlier section has, and that section.
fn claimed<'c>(earlier: &[Selection<'c>], selected: &Selected) -> Option<(Address, &'c Gpu)> {
    earlier.iter().find_map(|selection| {
        let theirs = &selection.selected.as_ref().ok()?.functions;
        let function = selected.functions.iter().find(|f| theirs.contains(f))?;
        Some((*function, selection.gpu))
    })
}

/// What one section means, other sections left aside.
pub fn select_one(gpu: &Gpu, host: &Host) -> Result<Selected, Finding> {
    let mut warnings = Vec::new();
    let device = match gpu.device.value {
        Selector::Address(address) => at_address(gpu, address, host)?,
        Selector::Identity(identity) => {
            let is = |f: &&Function| identity.matches(f.vendor, f.device, f.subsystem);
            only_device(host.functions.iter().filter(is)).map_err(|devices| {
                if devices.is_empty() {
                    Finding::absent(gpu, format_args!("no device {identity} is in this machine"))
                } else {
                    let text = format!("{identity} is there more than once");
                    Finding::card(gpu, &gpu.device.at, codes::CARD_AMBIGUOUS, text)
                        .hint(format!("choose by address: {}", candidates(host, &devices)))
                }
            })?
        }
        Selector::BootDisplay | Selector::NotBootDisplay => {
            let (device, findings) = display::by_role(gpu, host)?;
            warnings = findings;
            device
        }
    };
    if let Some(finding) = display::identity(gpu, &device, host) {
        return Err(finding);
    }
    let mut selected = functions(gpu, device, host)?;
    selected.warnings.extend(warnings);
    Ok(selected)
}

/// The device at an address, if what sits there is what should.
fn at_address(gpu: &Gpu, address: Address, host: &Host) -> Result<Device, Finding> {
    let refuse =
        |text: String, hint: String| Err(Finding::card(gpu, &gpu.device.at, codes::CARD_IS_ANOTHER, text).hint(hint));
    let expected = gpu.identity.as_ref().map(|i| i.value);
    let moved = || expected.and_then(|e| moved(e, address, host));
    match (host.function(address), expected) {
        (Some(f), Some(identity)) if !identity.matches(f.vendor, f.device, f.subsystem) => {
            let subsystem = f.subsystem.filter(|_| identity.subsystem.is_some());
            let there = Identity { vendor: f.vendor, device: f.device, subsystem };
            match moved() {
                Some(new) => refuse(
                    format!("{address} is {there} now, not {identity}"),
                    format!("if the card has moved, change this line to 'device = {new}'"),
                ),
                None => refuse(
                    format!("{address} is {there}, not {identity}"),
                    format!(
                        "put the card back, or if this is the one you mean change the identity to 'identity = {there}'"
                    ),
                ),
            }
        }
        (Some(f), _) => Ok(Device::of(f)),
        (None, _) => match (moved(), expected) {
            (Some(new), Some(identity)) => refuse(
                format!("nothing is at {address}, but one {identity} is elsewhere"),
                format!("if it has moved, change this line to 'device = {new}'"),
            ),
            _ => Err(absent(gpu, address, host)),
        },
    }
}

/// Nothing is at an address.
fn absent(gpu: &Gpu, address: Address, host: &Host) -> Finding {
    let finding = Finding::absent(gpu, format_args!("nothing is at {address}"));
    match displays(host) {
        Some(displays) => finding.hint(format!("displays are at: {displays}")),
        None => finding.hint("no display was found"),
    }
}

/// Where the expected device is, if it is in exactly one other slot.
fn moved(expected: Identity, from: Address, host: &Host) -> Option<Address> {
    let found =
        host.functions.iter().filter(|f| f.address != from && expected.matches(f.vendor, f.device, f.subsystem));
    let device = only_device(found.clone()).ok()?;
    found.filter(|f| Device::of(f) == device).map(|f| f.address).next()
}

fn displays(host: &Host) -> Option<String> {
    let displays: Vec<String> =
        host.functions.iter().filter(|f| f.is_display()).map(|f| format!("{} ({})", f.address, f.ids())).collect();
    (!displays.is_empty()).then(|| displays.join(", "))
}

/// The functions of a device that the section asks for, and `also`.
fn functions(gpu: &Gpu, device: Device, host: &Host) -> Result<Selected, Finding> {
    let slot = device.slot;
    let (mut warnings, mut notes) = (Vec::new(), Vec::new());
    let card = match &gpu.functions {
        Functions::All => {
            let mut card = card::own_functions(&device.members(host), |f| match gpu.device.value {
                Selector::Address(address) => f.address == address,
                Selector::Identity(identity) => identity.matches(f.vendor, f.device, f.subsystem),
                Selector::BootDisplay | Selector::NotBootDisplay => f.is_display(),
            });
            let behind = host.behind.iter().find(|(display, _)| card.contains(display));
            card.extend(behind.into_iter().flat_map(|(_, functions)| functions.iter().copied()));
            card
        }
        Functions::Listed(listed) => listed_functions(gpu, device, listed, host, &mut warnings)?,
    };
    if card.is_empty() {
        return Err(Finding::card(
            gpu,
            &gpu.device.at,
            codes::BRIDGE_IS_NEVER_GIVEN,
            format!("{slot} is a bridge, and a bridge is never given to a guest"),
        ));
    }
    let mut functions = card.clone();
    for also in &gpu.also {
        let address = also.value;
        match host.function(address) {
            None => warnings.push(
                Finding::card(
                    gpu,
                    &also.at,
                    codes::ALSO_ABSENT,
                    format!("nothing is at {address}, which 'also' names"),
                )
                .warning(),
            ),
            Some(f) if f.is_bridge() => {
                let text = format!("{address} in 'also' is a {}, and a bridge is never given to a guest", f.kind());
                return Err(Finding::card(gpu, &also.at, codes::BRIDGE_IS_NEVER_GIVEN, text));
            }
            Some(_) if functions.contains(&address) => {}
            Some(_) => functions.push(address),
        }
    }
    if let Some((only, physical)) = device.only.and_then(|only| Some((only, host.function(only)?.physfn?))) {
        let text = format!("{only} is a virtual function: it is there when the driver of {physical} has made it");
        notes.push(Finding::card(gpu, &gpu.device.at, codes::VIRTUAL_FUNCTION, text).note());
    }
    if !functions.iter().filter_map(|a| host.function(*a)).any(card::is_main) {
        let function = host.function(functions[0]);
        let kind = function.map_or("device", Function::kind);
        let text = format!("{} is not a graphics card ({kind})", functions[0]);
        let finding = Finding::card(gpu, &gpu.device.at, codes::NOT_A_GRAPHICS_CARD, text);
        // Guests get USB controllers for their keyboards, and setup itself writes such sections.
        if function.is_some_and(Function::is_usb_controller) {
            notes.push(finding.note());
        } else {
            warnings.push(finding.warning());
        }
    }
    Ok(Selected { slot, card, functions, beside: Vec::new(), warnings, notes })
}

/// The functions that `functions` lists, if one of them is there.
fn listed_functions(
    gpu: &Gpu,
    device: Device,
    listed: &At<Vec<u8>>,
    host: &Host,
    warnings: &mut Vec<Finding>,
) -> Result<Vec<Address>, Finding> {
    let slot = device.slot;
    let members = device.members(host);
    let there = |n: &u8| members.iter().any(|f| f.address == slot.function(*n));
    if let Some(missing) = listed.value.iter().find(|n| !there(n)) {
        let has: Vec<String> = members.iter().map(|f| f.address.function.to_string()).collect();
        let missing_is = host.function(slot.function(*missing)).filter(|f| f.is_virtual());
        let (text, hint) = match (device.only, missing_is) {
            (Some(only), _) => (
                format!("{only} is a virtual function, a device of its own: 'functions' can list no other beside it"),
                "give each a [gpu] section".to_owned(),
            ),
            (None, Some(f)) => (
                format!("{} is a virtual function, a device of its own", f.address),
                format!("give it a [gpu] section with 'device = {}'", f.address),
            ),
            (None, None) => {
                (format!("{slot} has no function {missing} to give away"), format!("it has {}", has.join(", ")))
            }
        };
        let finding = Finding::card(gpu, &listed.at, codes::FUNCTION_ABSENT, text).hint(hint);
        // A card that is being plugged in shows its functions one after the other.
        if !listed.value.iter().any(&there) || device.only.is_some() || missing_is.is_some() {
            return Err(finding);
        }
        warnings.push(finding.warning());
    }
    Ok(listed.value.iter().filter(|n| there(n)).map(|n| slot.function(*n)).collect())
}
