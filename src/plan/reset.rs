// SPDX-License-Identifier: LGPL-2.1-or-later
//! How each function of a card is to be reset, from `reset` and a small table of what works. docs/RESET.md has its sources.

use super::{Finding, Step};
use crate::config::{Gpu, Reset};
use crate::finding::codes;
use crate::host::reset::{VendorReset, MODULE, RESET_METHOD};
use crate::host::{Function, Host};
use crate::pci::Address;
use crate::plan::selection::Selection;

/// What vendor-reset resets, by device ids of vendor 1002 (its src/device-db.h). Navi 2x and later are not among them.
const SUPPORTED: [(&str, &[u16]); 9] = [
    (
        "Polaris 10",
        &[0x67c0, 0x67c1, 0x67c2, 0x67c4, 0x67c7, 0x67c8, 0x67c9, 0x67ca, 0x67cc, 0x67cf, 0x67d0, 0x67df, 0x6fdf],
    ),
    ("Polaris 11", &[0x67e0, 0x67e1, 0x67e3, 0x67e7, 0x67e8, 0x67e9, 0x67eb, 0x67ef, 0x67ff]),
    ("Polaris 12", &[0x6980, 0x6981, 0x6985, 0x6986, 0x6987, 0x6995, 0x6997, 0x699f]),
    (
        "Vega 10",
        &[
            0x6860, 0x6861, 0x6862, 0x6863, 0x6864, 0x6867, 0x6868, 0x6869, 0x686a, 0x686b, 0x686c, 0x686d, 0x686e,
            0x686f, 0x687f,
        ],
    ),
    ("Vega 20", &[0x66a0, 0x66a1, 0x66a2, 0x66a3, 0x66a4, 0x66a7, 0x66af]),
    ("MI100", &[0x738c]),
    ("Navi 10", &[0x7310, 0x7312, 0x7318, 0x7319, 0x731a, 0x731b, 0x731e, 0x731f]),
    ("Navi 12", &[0x7360, 0x7362]),
    ("Navi 14", &[0x7340, 0x7341, 0x7347, 0x734f]),
];

/// The chip of these ids, if vendor-reset resets it.
pub fn chip(vendor: u16, device: u16) -> Option<&'static str> {
    let known = |(_, devices): &&(&str, &[u16])| vendor == 0x1002 && devices.contains(&device);
    SUPPORTED.iter().find(known).map(|(chip, _)| *chip)
}

/// The chip of a function that vendor-reset resets.
fn supported(function: &Function) -> Option<&'static str> {
    chip(function.vendor, function.device)
}

/// GeForce and RTX cards of NVIDIA's Blackwell generation (GB202, GB203, GB205, GB206, GB207), which come back from a
/// function-level reset only.
pub fn wants_flr(function: &Function) -> bool {
    function.vendor == 0x10de && matches!(function.device, 0x2b80..=0x2dff | 0x2f00..=0x2fff) && function.is_display()
}

/// What is known of chips that do not always come back to the host, or to the next guest, however they are reset; docs/RESET.md
/// has the sources.
pub fn trouble(function: &Function, host: &Host) -> Option<&'static str> {
    if super::card::is_apu(function, host) {
        return Some(
            "the graphics of AMD's processors often do not come back after a guest has had them, by no method that is known; a \
             reboot brings them back",
        );
    }
    // Navi 3x and 4x (drivers/gpu/drm/amd/amdgpu/amdgpu_drv.c knows them by their classes, pci.ids by these numbers).
    let later = function.vendor == 0x1002 && matches!(function.device, 0x7440..=0x749f | 0x7550..=0x759f);
    (later && function.is_display()).then_some(
        "some cards of the RX 7000 and 9000 series do not come back after a guest has had them, but for a suspend of the \
         machine; whether this one does shows at the second start of a guest",
    )
}

/// What is known of a card's chips, a sentence each.
pub fn notes(selection: &Selection<'_>, host: &Host) -> Vec<Finding> {
    let known = |f: &Function| trouble(f, host).map(|text| format!("{}: {text}", f.address));
    let sentences = own_functions(selection, host).into_iter().filter_map(known);
    let note = |text| Finding::card(selection.gpu, &selection.gpu.device.at, codes::MAY_NOT_COME_BACK, text).note();
    sentences.map(note).collect()
}

/// Whether a card's functions are all that is on their bus: then vfio resets the bus for a guest that has them all
/// (`vfio_pci_dev_set_hot_reset`), and it does not matter what each offers. Not on a bus of the host bridge's own.
pub fn whole_bus(selection: &Selection<'_>, host: &Host) -> bool {
    let Ok(selected) = &selection.selected else { return false };
    let bus = |slot: crate::pci::Slot| (slot.domain, slot.bus);
    let mut there = host.functions.iter().filter(|f| bus(f.address.slot) == bus(selected.slot));
    let own = |f: &Function| !f.is_bridge() && !f.is_virtual() && selected.functions.contains(&f.address);
    selected.slot.bus != 0 && selected.card.iter().all(|f| bus(f.slot) == bus(selected.slot)) && there.all(own)
}

/// Whether a function has another beside it on its bus: then a reset of the bus is none of the function alone. The kernel
/// lists `bus` for function 0 all the same, for it looks when that is found, and the others come later.
pub fn shares_bus(function: &Function, host: &Host) -> bool {
    let bus = |f: &Function| (f.address.slot.domain, f.address.slot.bus);
    host.functions.iter().any(|other| bus(other) == bus(function) && other.address != function.address)
}

/// The methods that a function offers, in the kernel's order, also if we have written another list since; `None` if the
/// kernel knows no way to reset it.
pub fn offered(function: &Function, host: &Host) -> Option<Vec<String>> {
    let before = host.reset_before.iter().find(|(address, _)| *address == function.address).map(|(_, methods)| methods);
    let methods = before.or(function.reset_methods.as_ref())?;
    // The bus of a virtual function is its physical function's, or one that the kernel made up (`virtfn_add_bus`).
    let alone = !function.is_virtual() && !shares_bus(function, host);
    Some(methods.iter().filter(|method| alone || *method != "bus").cloned().collect())
}

/// What is to become of the resets of one function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The function.
    pub function: Address,
    /// What `reset_method` is to show; `None` leaves the kernel's order.
    pub methods: Option<String>,
    /// Why that is not what was asked for, or not what is known to work, if so.
    pub problem: Option<Finding>,
}

/// The functions that are the card; what is in `also` is reset as the kernel likes.
fn own_functions<'h>(selection: &Selection<'_>, host: &'h Host) -> Vec<&'h Function> {
    let Ok(selected) = &selection.selected else { return Vec::new() };
    selected.card.iter().filter_map(|address| host.function(*address)).collect()
}

/// Whether vendor-reset is wanted for one of a card's functions, by what they are alone.
pub fn asks_for_module(selection: &Selection<'_>, host: &Host) -> bool {
    matches!(selection.gpu.reset, Reset::Auto | Reset::VendorReset)
        && own_functions(selection, host).into_iter().any(|function| supported(function).is_some())
}

/// What is wished for each function of a card.
pub fn wishes(selection: &Selection<'_>, host: &Host) -> Vec<Wish> {
    let functions = own_functions(selection, host);
    // What the user means by "the card", where its functions differ.
    let main = functions.iter().find(|f| f.is_display()).or(functions.first()).map(|f| f.address);
    let wish = |function: &&Function| {
        let desired = methods_of(selection.gpu, function, host);
        let (methods, problem) = desired.map_or_else(|problem| (None, Some(problem)), |methods| (methods, None));
        let problem = problem.filter(|_| Some(function.address) == main || supported(function).is_some());
        Wish { function: function.address, methods, problem }
    };
    functions.iter().map(wish).collect()
}

/// What one function's `reset_method` is to show, or why the kernel's order must do.
fn methods_of(gpu: &Gpu, function: &Function, host: &Host) -> Result<Option<String>, Finding> {
    let name = match gpu.reset {
        Reset::Auto if supported(function).is_some() => return by_module(gpu, function, host).map(Some),
        Reset::Auto => return Ok(flr_first(function, host)),
        Reset::None => return Ok(function.reset_methods.as_ref().map(|_| String::new())),
        Reset::VendorReset => return by_module(gpu, function, host).map(Some),
        Reset::Flr => "flr",
        Reset::Pm => "pm",
        Reset::Bus => "bus",
        Reset::DeviceSpecific => "device_specific",
    };
    let (address, offered) = (function.address, offered(function, host));
    match offered {
        Some(methods) if methods.iter().any(|method| method == name) => Ok(Some(name.to_owned())),
        // It is offered as soon as it is asked for.
        Some(_) if name == "device_specific" && host.vendor_reset == VendorReset::Loaded => by_module(gpu, function, host).map(Some),
        Some(_) if name == "bus" && shares_bus(function, host) => Err(unavailable(
            gpu,
            format!(
                "{address} shares its bus with other functions, and the kernel resets a bus for one function only if that \
                 function is alone there; vfio itself resets the bus for a guest that has all of them; the kernel's own \
                 order stays"
            ),
        )),
        Some(methods) if methods.is_empty() => {
            Err(unavailable(gpu, format!("{address} cannot be reset by {name}: its methods were all switched off")))
        }
        Some(methods) => {
            let methods = methods.join(", ");
            let text = format!("{address} cannot be reset by {name}, only by {methods}; the kernel's own order stays");
            Err(unavailable(gpu, text))
        }
        None => {
            Err(unavailable(gpu, format!("{address} cannot be reset by {name}: the kernel knows no way to reset it")))
        }
    }
}

/// A method that was asked for and cannot be had.
fn unavailable(gpu: &Gpu, text: String) -> Finding {
    Finding::card(gpu, &gpu.at, codes::RESET_METHOD_UNAVAILABLE, text).warning()
}

/// The order in which FLR comes first, if another does and it should.
fn flr_first(function: &Function, host: &Host) -> Option<String> {
    let methods = offered(function, host).filter(|_| wants_flr(function))?;
    let (flr, others): (Vec<_>, Vec<_>) = methods.iter().map(String::as_str).partition(|method| *method == "flr");
    let first = methods.first().is_some_and(|method| method == "flr");
    (!first && !flr.is_empty()).then(|| [flr, others].concat().join(" "))
}

/// vendor-reset, if it supports the function and can be had.
fn by_module(gpu: &Gpu, function: &Function, host: &Host) -> Result<String, Finding> {
    let (address, ids) = (function.address, function.ids());
    let problem = |code, text: String| Finding::card(gpu, &gpu.at, code, text).warning();
    let Some(chip) = supported(function) else {
        let text = format!(
            "{address} ({ids}) is not supported by vendor-reset, only Polaris, Vega 10 and 20, MI100 and Navi 10, 12 and 14 \
             are; nothing is known that resets others better than the kernel's own order, which stays"
        );
        return Err(problem(codes::RESET_METHOD_UNAVAILABLE, text));
    };
    if function.reset_methods.is_none() {
        let text = format!("{address} ({chip}) shows no reset methods: it was found before vendor-reset was loaded");
        return Err(problem(codes::VENDOR_RESET_MISSING, text).hint("load that and use 'vfio rescan'"));
    }
    let missing = |why: &str| {
        let text = format!("{address} ({chip}) often does not come back from the kernel's own resets, and {why}");
        problem(codes::VENDOR_RESET_MISSING, text)
    };
    match &host.vendor_reset {
        VendorReset::Loaded | VendorReset::There | VendorReset::Unclear | VendorReset::NotAsked => {
            Ok("device_specific".to_owned())
        }
        VendorReset::Absent => Err(missing("vendor-reset is not installed").hint("install it")),
        VendorReset::Elsewhere(kernels) => {
            let kernels = kernels.join(", ");
            let why = format!("vendor-reset is not built for the running kernel, only for {kernels}");
            Err(missing(&why).hint("build it for this one ('dkms autoinstall')"))
        }
        VendorReset::Unsigned => {
            let why = "vendor-reset is not signed, which this kernel requires (Secure Boot)";
            Err(missing(why).hint("sign it with a key that the firmware knows, or switch Secure Boot off"))
        }
    }
}

/// Whether vendor-reset can be had.
pub fn by_module_now(host: &Host) -> bool {
    matches!(host.vendor_reset, VendorReset::Loaded | VendorReset::There | VendorReset::Unclear)
}

/// The steps that bring the resets of a card in order, before it is bound, and what the user should know. `reenumerate`: the
/// functions are about to be found again, with the kernel's own order.
pub fn steps(selection: &Selection<'_>, host: &Host, reenumerate: bool) -> (Vec<Step>, Vec<Finding>) {
    let (mut steps, mut findings) = (Vec::new(), Vec::new());
    for Wish { function, methods, problem } in wishes(selection, host) {
        findings.extend(problem);
        let now = host.function(function).and_then(|f| f.reset_methods.as_ref());
        if let Some(value) = methods.filter(|desired| reenumerate || now.is_some_and(|now| now.join(" ") != *desired)) {
            steps.push(Step::Set { function, attribute: RESET_METHOD.to_owned(), value });
        }
    }
    let by_module = asks_for_module(selection, host) && !steps.is_empty();
    if by_module && host.vendor_reset != VendorReset::Loaded {
        steps.insert(0, Step::Load { module: MODULE.to_owned() });
    }
    (steps, findings)
}

/// Why a card must be left alone until the next boot, if so: it did not answer, or does not.
pub fn dead(gpu: &Gpu, functions: &[Address], host: &Host) -> Option<Finding> {
    let marked = host.dead.iter().find(|(name, _)| *name == gpu.name).map(|(_, why)| why.clone());
    let silent = || functions.iter().find(|f| host.silent.contains(f)).map(|function| silent(*function));
    marked.or_else(silent).map(|text| Finding::card(gpu, &gpu.device.at, codes::CARD_DOES_NOT_ANSWER, text))
}

/// What is said of a function that does not answer.
pub fn silent(function: Address) -> String {
    format!(
        "{function} does not answer any more (all that is read from it is ones): no driver and no guest gets the card \
         before the next boot; if it does not answer then either, switch the machine off and on"
    )
}

#[cfg(test)]
#[path = "reset_tests.rs"]
mod tests;
