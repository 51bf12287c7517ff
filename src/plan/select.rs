// SPDX-License-Identifier: LGPL-2.1-or-later
//! Which functions a `[gpu]` section means: selector, identity, functions, `also`.

use super::card::{self, Device};
use super::{display, Finding};
use crate::config::{At, Bind, Config, Functions, Gpu, Selector};
use crate::host::{Function, Host};
use crate::pci::{Address, Identity, Slot};

/// The functions of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// The card's slot.
    pub slot: Slot,
    /// The functions that are the card: what a guest is to get.
    pub card: Vec<Address>,
    /// These, then those of `also`, which the host loses too; none twice.
    pub functions: Vec<Address>,
    /// What other sections take at the same time, by their names: what is bound at boot, and a guest's other cards.
    pub beside: Vec<(String, Vec<Address>)>,
    /// What the user should know.
    pub warnings: Vec<Finding>,
    /// What is worth a word where somebody asks, and needs nothing done.
    pub notes: Vec<Finding>,
}

impl Chosen {
    /// Whether a function is one of the card's.
    pub fn is_card(&self, function: Address) -> bool {
        self.card.contains(&function)
    }
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
                    "claims {function}, which [gpu {}] ({}) has already; name another card here, or remove this section",
                    owner.name, owner.at
                ),
            )),
            None => Ok(chosen),
        });
        choices.push(Choice { gpu, chosen });
    }
    let taken: Vec<(&Gpu, Vec<Address>)> =
        choices.iter().filter_map(|c| Some((c.gpu, c.chosen.as_ref().ok()?.functions.clone()))).collect();
    for choice in &mut choices {
        let with = |other: &Gpu| {
            let both = |gpus: &[String]| gpus.contains(&choice.gpu.name) && gpus.contains(&other.name);
            let guest = || config.guests.iter().any(|guest| both(&guest.gpus.value));
            other.name != choice.gpu.name && (other.bind == Bind::Boot || choice.gpu.bind == Bind::Guest && guest())
        };
        if let Ok(chosen) = &mut choice.chosen {
            if choice.gpu.functions == Functions::All {
                let theirs = |f: Address| taken.iter().any(|(_, functions)| functions.contains(&f));
                chosen.notes.extend(card::rest(choice.gpu, &chosen.card, theirs, host));
            }
            let beside = taken.iter().filter(|(other, _)| with(other));
            chosen.beside = beside.map(|(other, functions)| (other.name.clone(), functions.clone())).collect();
        }
    }
    choices
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
    let mut warnings = Vec::new();
    let device = match gpu.device.value {
        Selector::Address(address) => at_address(gpu, address, host)?,
        Selector::Identity(identity) => {
            let is = |f: &&Function| identity.matches(f.vendor, f.device, f.subsystem);
            only_device(host.functions.iter().filter(is)).map_err(|devices| match devices.is_empty() {
                true => Finding::absent(gpu, format_args!("no device {identity} is in this machine")),
                false => refuse(format!(
                    "{identity} is there more than once; choose by address: {}",
                    candidates(host, &devices)
                )),
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
    let mut chosen = functions(gpu, device, host)?;
    chosen.warnings.extend(warnings);
    Ok(chosen)
}

/// The device at an address, if what sits there is what should.
fn at_address(gpu: &Gpu, address: Address, host: &Host) -> Result<Device, Finding> {
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
        (Some(f), _) => Ok(Device::of(f)),
        (None, _) => refuse(match (moved(), expected) {
            (Some(new), Some(identity)) => format!(
                "nothing is at {address}, but one {identity} is elsewhere; if it has moved, change this line to 'device = {new}'"
            ),
            _ => return Err(absent(gpu, address, host)),
        }),
    }
}

/// Nothing is at an address.
fn absent(gpu: &Gpu, address: Address, host: &Host) -> Finding {
    Finding::absent(gpu, format_args!("nothing is at {address}; displays are at: {}", displays(host)))
}

/// Where the expected device is, if it is in exactly one other slot.
fn moved(expected: Identity, from: Address, host: &Host) -> Option<Address> {
    let found =
        host.functions.iter().filter(|f| f.address != from && expected.matches(f.vendor, f.device, f.subsystem));
    let device = only_device(found.clone()).ok()?;
    found.filter(|f| Device::of(f) == device).map(|f| f.address).next()
}

/// The one device that all these functions are, or all their devices.
pub(super) fn only_device<'h>(functions: impl Iterator<Item = &'h Function>) -> Result<Device, Vec<Device>> {
    let mut devices: Vec<Device> = Vec::new();
    for device in functions.map(Device::of) {
        if !devices.contains(&device) {
            devices.push(device);
        }
    }
    match devices[..] {
        [device] => Ok(device),
        _ => Err(devices),
    }
}

/// Devices as a user would write them.
pub(super) fn candidates(host: &Host, devices: &[Device]) -> String {
    let show = |device: &Device| {
        let function = device.members(host).first().copied().or_else(|| host.slot(device.slot).first());
        let monitors = monitors(host, device).map(|monitors| format!(", {monitors}")).unwrap_or_default();
        function.map_or(device.slot.to_string(), |f| format!("'device = {}' ({}{monitors})", f.address, f.ids()))
    };
    devices.iter().map(show).collect::<Vec<_>>().join(" or ")
}

/// Which monitors a device has; `None` if it has no connectors that anybody knows of.
fn monitors(host: &Host, device: &Device) -> Option<String> {
    let members = device.members(host);
    let displays = host.displays.iter().filter(|d| members.iter().any(|f| f.address == d.function));
    let connectors: Vec<_> = displays.flat_map(|d| &d.connectors).collect();
    let connected: Vec<&str> = connectors.iter().filter(|c| c.connected).map(|c| c.name.as_str()).collect();
    match (connectors.is_empty(), connected.is_empty()) {
        (true, _) => None,
        (false, true) => Some("no monitor connected".to_owned()),
        (false, false) => Some(format!("monitor at {}", connected.join(", "))),
    }
}

fn displays(host: &Host) -> String {
    let displays: Vec<String> =
        host.functions.iter().filter(|f| f.is_display()).map(|f| format!("{} ({})", f.address, f.ids())).collect();
    if displays.is_empty() {
        return "nowhere".to_owned();
    }
    displays.join(", ")
}

/// The functions of a device that the section asks for, and `also`.
fn functions(gpu: &Gpu, device: Device, host: &Host) -> Result<Chosen, Finding> {
    let slot = device.slot;
    let (mut warnings, mut notes) = (Vec::new(), Vec::new());
    let card = match &gpu.functions {
        Functions::All => {
            let mut card = card::own(&device.members(host), |f| match gpu.device.value {
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
        return Err(Finding::new(
            gpu,
            &gpu.device.at,
            format!("{slot} is a bridge; a bridge is never given to a guest"),
        ));
    }
    let mut functions = card.clone();
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
    if let Some((only, physical)) = device.only.and_then(|only| Some((only, host.function(only)?.physfn?))) {
        let text = format!("{only} is a virtual function: it is there when the driver of {physical} has made it");
        notes.push(Finding::new(gpu, &gpu.device.at, text));
    }
    if !functions.iter().filter_map(|a| host.function(*a)).any(|f| matches!(f.class >> 16, 0x03 | 0x12)) {
        let kind = host.function(functions[0]).map_or("device", Function::kind);
        warnings.push(Finding::new(gpu, &gpu.device.at, format!("{} is no graphics card ({kind})", functions[0])));
    }
    Ok(Chosen { slot, card, functions, beside: Vec::new(), warnings, notes })
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
        let text = match (device.only, missing_is) {
            (Some(only), _) => format!(
                "{only} is a virtual function, a device of its own: 'functions' can list no other beside it; give each \
                 a [gpu] section"
            ),
            (None, Some(f)) => format!(
                "{} is a virtual function, a device of its own; give it a [gpu] section with 'device = {}'",
                f.address, f.address
            ),
            (None, None) => format!("{slot} has no function {missing} to give away; it has {}", has.join(", ")),
        };
        let finding = Finding::new(gpu, &listed.at, text);
        // A card that is being plugged in shows its functions one after the other.
        if !listed.value.iter().any(&there) || device.only.is_some() || missing_is.is_some() {
            return Err(finding);
        }
        warnings.push(finding);
    }
    Ok(listed.value.iter().filter(|n| there(n)).map(|n| slot.function(*n)).collect())
}
