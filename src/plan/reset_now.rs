// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio reset` and its part of `vfio doctor`: a card that is reset now, or why not; and what is to be said of its resets.

use super::doctor::{Check, Level};
use super::reset::{
    asks_for_module, by_module_now, chip, dead, offered, shares_bus, trouble, wants_flr, whole_bus, wishes,
};
use super::select::Choice;
use super::Finding;
use crate::config::Reset;
use crate::host::reset::VendorReset;
use crate::host::{function, Function, Host};
use crate::pci::Address;
use serde::Serialize;

/// What `vfio reset` does to a card.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ResetPlan {
    /// The `[gpu]` section's name.
    pub gpu: String,
    /// Whether vendor-reset must be loaded before.
    pub load: bool,
    /// Each function in order, with the methods by which it is reset; `None` is what it shows now.
    pub functions: Vec<(Address, Option<String>)>,
    /// Why nothing is done, if so.
    pub refusals: Vec<Finding>,
    /// What the user should know although it is.
    pub warnings: Vec<Finding>,
}

/// The plan for a choice. `method` is what is to be used instead of what is configured; `owner` the guest that has the
/// card. Holders must have been looked for.
pub fn plan(choice: &Choice<'_>, host: &Host, owner: Option<&str>, method: Option<Reset>) -> ResetPlan {
    let gpu = choice.gpu;
    let mut plan = ResetPlan { gpu: gpu.name.clone(), ..ResetPlan::default() };
    let finding = |text: String| Finding::new(gpu, &gpu.device.at, text);
    let chosen = match &choice.chosen {
        Ok(chosen) => chosen,
        Err(finding) => {
            plan.refusals.push(finding.clone());
            return plan;
        }
    };
    // All that a bus reset or a chip's reset may reach, whatever the method.
    let functions: Vec<&Function> = chosen.functions.iter().filter_map(|address| host.function(*address)).collect();
    plan.refusals.extend(dead(gpu, &chosen.functions, host));
    if let Some(owner) = owner {
        plan.refusals.push(finding(format!("belongs to [guest {owner}] now; 'vfio guest stop {owner}' first")));
    }
    for function in &functions {
        let address = function.address;
        if let Some(holder) = host.holder(address) {
            plan.refusals.push(finding(format!("{address} is in use: {holder}; end that first")));
        } else if let Some(driver) = function.driver.as_deref().filter(|driver| !function::is_vfio(driver)) {
            let text = format!(
                "{address} is with {driver}, which a reset would pull the rug from under; 'vfio bind {}' first",
                gpu.name
            );
            plan.refusals.push(finding(text));
        }
    }
    if !plan.refusals.is_empty() {
        return plan;
    }
    let asked = crate::config::Gpu { reset: method.unwrap_or(gpu.reset), ..gpu.clone() };
    let choice = Choice { gpu: &asked, chosen: choice.chosen.clone() };
    for wish in wishes(&choice, host).into_iter().rev() {
        let has_methods = host.function(wish.function).is_some_and(|f| f.reset_methods.is_some());
        match wish.problem {
            Some(text) if method.is_some() => plan.refusals.push(finding(text)),
            Some(text) => plan.warnings.push(finding(text)),
            None => {}
        }
        // With a method of one's own a function that does not offer it is left alone.
        if has_methods && (method.is_none_or(|m| m == Reset::Auto) || wish.methods.is_some()) {
            plan.functions.push((wish.function, wish.methods.filter(|methods| !methods.is_empty())));
        }
    }
    plan.load = asks_for_module(&choice, host) && by_module_now(host) && host.vendor_reset != VendorReset::Loaded;
    if plan.functions.is_empty() && plan.refusals.is_empty() {
        plan.refusals.push(finding("cannot be reset: the kernel knows no way for any of its functions".to_owned()));
    }
    if !plan.refusals.is_empty() {
        plan.functions.clear();
    }
    plan
}

/// What a method does to a function.
pub fn effect(method: &str, function: &Function, host: &Host) -> &'static str {
    let by_module = chip(function.vendor, function.device).is_some() && host.vendor_reset == VendorReset::Loaded;
    match method {
        "device_specific" if by_module => "vendor-reset resets the whole chip",
        "device_specific" => "what the kernel knows for just this device",
        "acpi" => "the firmware resets it (_RST)",
        "flr" => "resets this function and no other",
        "af_flr" => "resets this function and no other, as conventional PCI has it",
        "pm" => "sends it to D3hot and back, which resets little of many cards",
        "bus" if shares_bus(function, host) => "listed since it was found, but not possible: others share its bus",
        "bus" => "resets the bus: the link to the card goes down and up",
        "cxl_bus" => "resets the CXL bus",
        _ => "unknown to this version",
    }
}

/// What the table of known cards says of a function.
pub fn known(function: &Function, host: &Host) -> Option<String> {
    let by_module = chip(function.vendor, function.device).map(|chip| format!("{chip}: vendor-reset"));
    let flr = || wants_flr(function).then(|| "Blackwell: flr before all others".to_owned());
    by_module.or_else(flr).or_else(|| trouble(function, host).map(str::to_owned))
}

/// What is to be said of the resets of a card.
pub fn checks(choice: &Choice<'_>, host: &Host) -> Vec<Check> {
    let gpu = choice.gpu;
    let check = |id, level, text: String| Check {
        part: "reset",
        id,
        level,
        text: format!("[gpu {}] {text}", gpu.name),
        todo: None,
    };
    let Ok(chosen) = &choice.chosen else { return Vec::new() };
    let mut checks = Vec::new();
    if let Some(finding) = dead(gpu, &chosen.functions, host) {
        checks.push(check("answer", Level::Error, finding.text));
        return checks;
    }
    let whole = whole_bus(choice, host) && choice.gpu.reset != Reset::None;
    let mut by_bus = 0;
    for wish in wishes(choice, host) {
        let Some(function) = host.function(wish.function) else { continue };
        if let Some(known) = trouble(function, host) {
            checks.push(check("known", Level::Note, format!("{}: {known}", function.address)));
        }
        let (address, now) = (function.address, function.reset_methods.as_ref().map(|methods| methods.join(" ")));
        if let Some(text) = wish.problem {
            checks.push(check("method", Level::Warning, text));
            continue;
        }
        let offered = offered(function, host).unwrap_or_default().join(", ");
        let on_vfio = function.driver.as_deref().is_some_and(function::is_vfio);
        let (level, text) = match (&wish.methods, now) {
            (Some(methods), Some(now)) if *methods == now && methods.is_empty() => {
                (Level::Ok, "is not reset, as configured".to_owned())
            }
            (Some(methods), Some(now)) if *methods == now => (Level::Ok, format!("is reset by {methods}")),
            (Some(methods), _) if on_vfio => {
                (Level::Warning, format!("is not reset by '{methods}' yet: 'vfio bind {}'", gpu.name))
            }
            (Some(methods), _) => (Level::Ok, format!("is reset by '{methods}' as soon as it is bound")),
            (None, _) if offered.is_empty() && whole => {
                by_bus += 1;
                continue;
            }
            (None, _) if offered.is_empty() && !function.is_display() => continue,
            (None, _) if offered.is_empty() => {
                let text = "cannot be reset: the next guest, and the host, find it as the last guest has left it";
                (Level::Note, text.to_owned())
            }
            (None, _) => (Level::Ok, format!("is reset in the kernel's own order: {offered}")),
        };
        checks.push(check("method", level, format!("{address} {text}")));
    }
    if by_bus > 0 {
        let text = "is reset as a whole, by its bus, for a guest that has all of it".to_owned();
        checks.push(check("method", Level::Ok, text));
    }
    if asks_for_module(choice, host) && host.vendor_reset == VendorReset::Unclear {
        let text = "this kernel takes only signed modules, and whether vendor-reset is signed cannot be told: it is compressed";
        checks.push(check("vendor-reset", Level::Note, text.to_owned()));
    }
    checks
}
