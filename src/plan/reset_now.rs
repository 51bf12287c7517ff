// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio reset` and its part of `vfio doctor`: a card that is reset now, or why not; and what is to be said of its resets.

use super::reset::{
    asks_for_module, by_module_now, chip, dead, offered, shares_bus, trouble, wants_flr, whole_bus, wishes,
};
use super::Finding;
use crate::config::Reset;
use crate::finding::codes::{self, Code};
use crate::finding::{Part, Severity};
use crate::host::reset::VendorReset;
use crate::host::{function, Function, Host};
use crate::pci::Address;
use crate::plan::selection::Selection;
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

/// The plan for a selection. `method` is what is to be used instead of what is configured; `owner` the guest that has the
/// card. Holders must have been looked for.
pub fn plan(selection: &Selection<'_>, host: &Host, owner: Option<&str>, method: Option<Reset>) -> ResetPlan {
    let gpu = selection.gpu;
    let mut plan = ResetPlan { gpu: gpu.name.clone(), ..ResetPlan::default() };
    let refusal = |code, text: String| Finding::card(gpu, &gpu.device.at, code, text);
    let selected = match &selection.selected {
        Ok(selected) => selected,
        Err(finding) => {
            plan.refusals.push(finding.clone());
            return plan;
        }
    };
    // All that a bus reset or a chip's reset may reach, whatever the method.
    let functions: Vec<&Function> = selected.functions.iter().filter_map(|address| host.function(*address)).collect();
    plan.refusals.extend(dead(gpu, &selected.functions, host));
    if let Some(owner) = owner {
        let refusal = refusal(codes::CARD_IN_GUEST, format!("belongs to [guest {owner}] now"));
        plan.refusals.push(refusal.hint(format!("'vfio guest stop {owner}' first")));
    }
    for function in &functions {
        let address = function.address;
        if let Some(holder) = host.holder(address) {
            let refusal = refusal(codes::CARD_HELD, format!("{address} is in use: {holder}"));
            plan.refusals.push(refusal.hint("end that first"));
        } else if let Some(driver) = function.driver.as_deref().filter(|driver| !function::is_vfio(driver)) {
            let text = format!("{address} is bound to {driver}, which would not survive a reset");
            let refusal = refusal(codes::CARD_BOUND_TO_HOST_DRIVER, text);
            plan.refusals.push(refusal.hint(format!("'vfio bind {}' first", gpu.name)));
        }
    }
    if !plan.refusals.is_empty() {
        return plan;
    }
    let asked = crate::config::Gpu { reset: method.unwrap_or(gpu.reset), ..gpu.clone() };
    let selection = Selection { gpu: &asked, selected: selection.selected.clone() };
    for wish in wishes(&selection, host).into_iter().rev() {
        let has_methods = host.function(wish.function).is_some_and(|f| f.reset_methods.is_some());
        match wish.problem {
            Some(problem) if method.is_some() => {
                plan.refusals.push(Finding { severity: Severity::Error, ..problem.at(&gpu.device.at) });
            }
            Some(problem) => plan.warnings.push(problem.at(&gpu.device.at)),
            None => {}
        }
        // With a method of one's own a function that does not offer it is left alone.
        if has_methods && (method.is_none_or(|m| m == Reset::Auto) || wish.methods.is_some()) {
            plan.functions.push((wish.function, wish.methods.filter(|methods| !methods.is_empty())));
        }
    }
    plan.load = asks_for_module(&selection, host) && by_module_now(host) && host.vendor_reset != VendorReset::Loaded;
    if plan.functions.is_empty() && plan.refusals.is_empty() {
        let text = "cannot be reset: the kernel knows no way for any of its functions";
        plan.refusals.push(refusal(codes::RESET_METHOD_UNAVAILABLE, text.to_owned()));
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
pub fn checks(selection: &Selection<'_>, host: &Host) -> Vec<Finding> {
    let gpu = selection.gpu;
    let check = |id, severity, code: Code, text: String| {
        Finding::check(Part::Reset, id, severity, code, format!("[gpu {}] {text}", gpu.name))
    };
    let Ok(selected) = &selection.selected else { return Vec::new() };
    let mut checks = Vec::new();
    if let Some(finding) = dead(gpu, &selected.functions, host) {
        checks.push(check("answer", Severity::Error, finding.code, finding.text));
        return checks;
    }
    let whole = whole_bus(selection, host) && selection.gpu.reset != Reset::None;
    let mut by_bus = 0;
    for wish in wishes(selection, host) {
        let Some(function) = host.function(wish.function) else { continue };
        if let Some(known) = trouble(function, host) {
            checks.push(check(
                "known",
                Severity::Note,
                codes::MAY_NOT_COME_BACK,
                format!("{}: {known}", function.address),
            ));
        }
        let (address, now) = (function.address, function.reset_methods.as_ref().map(|methods| methods.join(" ")));
        if let Some(problem) = wish.problem {
            checks.push(Finding { at: None, ..problem }.as_check(Part::Reset, "method", Severity::Warning));
            continue;
        }
        let offered = offered(function, host).unwrap_or_default().join(", ");
        let on_vfio = function.driver.as_deref().is_some_and(function::is_vfio);
        let (severity, code, text) = match (&wish.methods, now) {
            (Some(methods), Some(now)) if *methods == now && methods.is_empty() => {
                (Severity::Ok, codes::OK, "is not reset, as configured".to_owned())
            }
            (Some(methods), Some(now)) if *methods == now => {
                (Severity::Ok, codes::OK, format!("is reset by {methods}"))
            }
            (Some(methods), _) if on_vfio => {
                let text = format!("is not reset by '{methods}' yet: 'vfio bind {}'", gpu.name);
                (Severity::Warning, codes::RESET_METHOD_NOT_SET, text)
            }
            (Some(methods), _) => (Severity::Ok, codes::OK, format!("is reset by '{methods}' as soon as it is bound")),
            (None, _) if offered.is_empty() && whole => {
                by_bus += 1;
                continue;
            }
            (None, _) if offered.is_empty() && !function.is_display() => continue,
            (None, _) if offered.is_empty() => {
                let text = "cannot be reset: the next guest, and the host, find it as the last guest has left it";
                (Severity::Note, codes::CANNOT_BE_RESET, text.to_owned())
            }
            (None, _) => (Severity::Ok, codes::OK, format!("is reset in the kernel's own order: {offered}")),
        };
        checks.push(check("method", severity, code, format!("{address} {text}")));
    }
    if by_bus > 0 {
        let text = "is reset as a whole, by its bus, for a guest that has all of it".to_owned();
        checks.push(check("method", Severity::Ok, codes::OK, text));
    }
    if asks_for_module(selection, host) && host.vendor_reset == VendorReset::Unclear {
        let text = "this kernel takes only signed modules, and whether vendor-reset is signed cannot be told: it is compressed";
        checks.push(check("vendor-reset", Severity::Note, codes::SIGNATURE_UNKNOWN, text.to_owned()));
    }
    checks
}
