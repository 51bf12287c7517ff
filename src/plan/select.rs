// SPDX-License-Identifier: LGPL-2.1-or-later
//! Which functions a `[gpu]` section means: selector, identity, functions, `also`.

use super::Finding;
use crate::config::{Config, Functions, Gpu, Selector};
use crate::host::{Function, Host};
use crate::pci::{Address, Identity, Slot};

/// The functions of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// The card's slot.
    pub slot: Slot,
    /// The functions of the slot, then those of `also`, none twice.
    pub functions: Vec<Address>,
    /// What the user should know.
    pub warnings: Vec<Finding>,
}

/// A section and what it means on this machine.
#[derive(Debug, Clone)]
pub struct Choice<'c> {
    /// The section.
    pub gpu: &'c Gpu,
    /// Its functions, or why not.
    pub chosen: Result<Chosen, Finding>,
}

/// What every section means. A function that two sections claim belongs to the first of them.
pub fn all<'c>(config: &'c Config, host: &Host) -> Vec<Choice<'c>> {
    let mut choices: Vec<Choice<'c>> = Vec::new();
    for gpu in &config.gpus {
        let chosen = one(gpu, host).and_then(|chosen| match claimed(&choices, &chosen) {
            Some((function, owner)) => Err(Finding::new(
                gpu,
                &gpu.device.at,
                format!(
                    "claims {function}, which already belongs to [gpu {}] ({}); remove one of the two",
                    owner.name, owner.at
                ),
            )),
            None => Ok(chosen),
        });
        choices.push(Choice { gpu, chosen });
    }
    choices
}

/// The first function that an earlier section has, and that section.
fn claimed<'c>(earlier: &[Choice<'c>], chosen: &Chosen) -> Option<(Address, &'c Gpu)> {
    earlier.iter().find_map(|choice| {
        let theirs = &choice.chosen.as_ref().ok()?.functions;
        let function = chosen.functions.iter().find(|f| theirs.contains(f))?;
        Some((*function, choice.gpu))
    })
}

/// What one section means, other sections left aside.
pub fn one(gpu: &Gpu, host: &Host) -> Result<Chosen, Finding> {
    let refuse = |text: String| Finding::new(gpu, &gpu.device.at, text);
    let slot = match gpu.device.value {
        Selector::Address(address) => at_address(gpu, address, host)?,
        Selector::Identity(identity) => {
            let is = |f: &&Function| identity.matches(f.vendor, f.device, f.subsystem);
            only_slot(host.functions.iter().filter(is)).map_err(|slots| {
                refuse(match slots.is_empty() {
                    true => format!("no device {identity} is in this machine"),
                    false => {
                        format!("{identity} is there more than once; choose by address: {}", candidates(host, &slots))
                    }
                })
            })?
        }
        Selector::BootDisplay => only_slot(host.functions.iter().filter(|f| f.boot_vga)).map_err(|slots| {
            refuse(match slots.is_empty() {
                true => "this machine has no boot display (no function has boot_vga); choose by address".to_owned(),
                false => {
                    format!("there is more than one boot display; choose by address: {}", candidates(host, &slots))
                }
            })
        })?,
        Selector::NotBootDisplay => {
            if !host.functions.iter().any(|f| f.boot_vga) {
                return Err(refuse(
                    "which display is the boot display is not known (no function has boot_vga); choose by address"
                        .to_owned(),
                ));
            }
            let boot: Vec<Slot> = host.functions.iter().filter(|f| f.boot_vga).map(|f| f.address.slot).collect();
            only_slot(host.functions.iter().filter(|f| f.is_display() && !boot.contains(&f.address.slot))).map_err(
                |slots| {
                    refuse(match slots.is_empty() {
                        true => "there is no display besides the boot display".to_owned(),
                        false => format!(
                            "there is more than one display besides the boot display; choose by address: {}",
                            candidates(host, &slots)
                        ),
                    })
                },
            )?
        }
    };
    functions(gpu, slot, host)
}

/// The slot of an address, if what sits there is what should.
fn at_address(gpu: &Gpu, address: Address, host: &Host) -> Result<Slot, Finding> {
    let refuse = |text: String| Err(Finding::new(gpu, &gpu.device.at, text));
    let expected = gpu.identity.as_ref().map(|i| i.value);
    let moved = || expected.and_then(|e| moved(e, address, host));
    match (host.function(address), expected) {
        (Some(f), Some(identity)) if !identity.matches(f.vendor, f.device, f.subsystem) => {
            let subsystem = f.subsystem.filter(|_| identity.subsystem.is_some());
            let there = Identity { vendor: f.vendor, device: f.device, subsystem };
            refuse(match moved() {
                Some(new) => format!(
                    "{address} is {there} now, not {identity}; if the card has moved, change this line to 'device = {new}'"
                ),
                None => format!(
                    "{address} is {there}, not {identity}; put the card back, or if this is the one you mean change the \
                     identity to 'identity = {there}'"
                ),
            })
        }
        (Some(_), _) => Ok(address.slot),
        (None, _) => refuse(match (moved(), expected) {
            (Some(new), Some(identity)) => format!(
                "nothing is at {address}, but one {identity} is elsewhere; if it has moved, change this line to 'device = {new}'"
            ),
            _ => format!("nothing is at {address}; displays are at: {}", displays(host)),
        }),
    }
}

/// Where the expected device is, if it is in exactly one other slot.
fn moved(expected: Identity, from: Address, host: &Host) -> Option<Address> {
    let found =
        host.functions.iter().filter(|f| f.address != from && expected.matches(f.vendor, f.device, f.subsystem));
    let slot = only_slot(found.clone()).ok()?;
    found.map(|f| f.address).find(|a| a.slot == slot)
}

/// The one slot that all these functions are in, or all their slots.
fn only_slot<'h>(functions: impl Iterator<Item = &'h Function>) -> Result<Slot, Vec<Slot>> {
    let mut slots: Vec<Slot> = functions.map(|f| f.address.slot).collect();
    slots.dedup();
    match slots[..] {
        [slot] => Ok(slot),
        _ => Err(slots),
    }
}

/// Slots as a user would write them.
fn candidates(host: &Host, slots: &[Slot]) -> String {
    let show = |slot: &Slot| {
        let function = host.slot(*slot).first();
        function.map_or(slot.to_string(), |f| format!("'device = {}' ({})", f.address, f.ids()))
    };
    slots.iter().map(show).collect::<Vec<_>>().join(" or ")
}

fn displays(host: &Host) -> String {
    let displays: Vec<String> =
        host.functions.iter().filter(|f| f.is_display()).map(|f| format!("{} ({})", f.address, f.ids())).collect();
    if displays.is_empty() {
        return "nowhere".to_owned();
    }
    displays.join(", ")
}

/// The functions of a slot that the section asks for, and `also`.
fn functions(gpu: &Gpu, slot: Slot, host: &Host) -> Result<Chosen, Finding> {
    let mut warnings = Vec::new();
    let all = host.slot(slot);
    let mut functions: Vec<Address> = match &gpu.functions {
        Functions::All => all.iter().filter(|f| !f.is_bridge()).map(|f| f.address).collect(),
        Functions::Listed(listed) => {
            let there = |n: &u8| host.function(slot.function(*n)).is_some_and(|f| !f.is_bridge());
            if let Some(missing) = listed.value.iter().find(|n| !there(n)) {
                let has: Vec<String> =
                    all.iter().filter(|f| !f.is_bridge()).map(|f| f.address.function.to_string()).collect();
                let text = format!("{slot} has no function {missing} to give away; it has {}", has.join(", "));
                let finding = Finding::new(gpu, &listed.at, text);
                // A card that is being plugged in shows its functions one after the other.
                if !listed.value.iter().any(&there) {
                    return Err(finding);
                }
                warnings.push(finding);
            }
            listed.value.iter().filter(|n| there(n)).map(|n| slot.function(*n)).collect()
        }
    };
    if functions.is_empty() {
        return Err(Finding::new(
            gpu,
            &gpu.device.at,
            format!("{slot} is a bridge; a bridge is never given to a guest"),
        ));
    }
    for also in &gpu.also {
        let address = also.value;
        match host.function(address) {
            None => warnings.push(Finding::new(gpu, &also.at, format!("nothing is at {address}, which 'also' names"))),
            Some(f) if f.is_bridge() => {
                let text = format!("{address} in 'also' is a {}; a bridge is never given to a guest", f.kind());
                return Err(Finding::new(gpu, &also.at, text));
            }
            Some(_) if functions.contains(&address) => {}
            Some(_) => functions.push(address),
        }
    }
    if !functions.iter().filter_map(|a| host.function(*a)).any(|f| matches!(f.class >> 16, 0x03 | 0x12)) {
        let kind = host.function(functions[0]).map_or("device", Function::kind);
        warnings.push(Finding::new(gpu, &gpu.device.at, format!("{slot} is no graphics card ({kind})")));
    }
    Ok(Chosen { slot, functions, warnings })
}
