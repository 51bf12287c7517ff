// SPDX-License-Identifier: LGPL-2.1-or-later
//! What the host would lose with a card: data is never taken; the last keyboard only if the file names its function.

use super::Finding;
use crate::config::{Functions, Location, Selector};
use crate::finding::codes;
use crate::host::usage::{Usage, Use};
use crate::host::{Function, Host};
use crate::pci::Address;
use crate::plan::list::listed;
use crate::plan::selection::Selection;

/// The host's data on a function, for a sentence that begins with the function: `carries the root file system (sda2)`. The
/// root file system comes first.
pub fn data(host: &Host, function: Address) -> Option<String> {
    let is_root = |what: &Use| match what {
        Use::Mounted { at, .. } => at == "/",
        Use::Network { carries, .. } => carries.as_deref() == Some("/"),
        _ => false,
    };
    let data = || host.usage_of(function).filter(|what| what.is_data());
    data().find(|what| is_root(what)).or_else(|| data().next()).map(ToString::to_string)
}

/// The line of the configuration by which a section has a function, the name of the key, and whether the line names it.
fn naming_line<'c>(selection: &Selection<'c>, function: Address) -> (&'c Location, &'static str, bool) {
    let gpu = selection.gpu;
    if let Some(also) = gpu.also.iter().find(|also| also.value == function) {
        return (&also.at, "also", true);
    }
    match &gpu.functions {
        Functions::Listed(listed) => (&listed.at, "functions", true),
        Functions::All => (&gpu.device.at, "device", gpu.device.value == Selector::Address(function)),
    }
}

/// Why a section cannot be: one of its functions carries data of the host, or the last keyboard although no line names it.
pub fn forbids(selection: &Selection<'_>, host: &Host) -> Option<Finding> {
    let selected = selection.selected.as_ref().ok()?;
    let kind = |function: Address| host.function(function).map_or("device", Function::kind);
    let carries = selected.functions.iter().find_map(|function| Some((*function, data(host, *function)?)));
    if let Some((function, data)) = carries {
        let (at, key, _) = naming_line(selection, function);
        let way = match key {
            "also" => "remove it from this line",
            "functions" => "leave it out of this line",
            _ => "choose another device",
        };
        let text = format!("{function} ({}) {data}: no guest can have it", kind(function));
        return Some(Finding::card(selection.gpu, at, codes::HOST_DATA_ON_DEVICE, text).hint(way));
    }
    let (function, name) = last_keyboard(&selected.functions, host)?;
    let (at, _, named) = naming_line(selection, function);
    if named {
        return None;
    }
    let numbers: Vec<String> = selected
        .functions
        .iter()
        .filter(|other| other.slot == selected.slot)
        .map(|other| other.function.to_string())
        .collect();
    let text = format!("{function} ({}) has the host's last keyboard, '{name}'", kind(function));
    let hint =
        format!("plug in another elsewhere, or write 'functions = {}' if the host may lose it", numbers.join(","));
    Some(Finding::card(selection.gpu, at, codes::LAST_KEYBOARD, text).hint(hint))
}

/// The function of these that the host's last keyboard hangs on, and the keyboard's name: others have none, and neither has
/// anything beside the bus.
fn last_keyboard(functions: &[Address], host: &Host) -> Option<(Address, String)> {
    let mut last = None;
    for usage in &host.usage {
        let Use::Keyboard { name } = &usage.what else { continue };
        let function = usage.functions.iter().rev().find(|function| functions.contains(function))?;
        last.get_or_insert((*function, name.clone()));
    }
    last
}

/// What the host loses with these functions, besides monitors: a sentence for each function.
pub fn losses(selection: &Selection<'_>, host: &Host) -> Vec<Finding> {
    let Ok(selected) = &selection.selected else { return Vec::new() };
    let last = last_keyboard(&selected.functions, host).map(|(function, _)| function);
    let mut findings = Vec::new();
    for function in &selected.functions {
        let matters = |usage: &&Usage| usage.functions.contains(function) && !usage.what.is_data();
        let mut lost: Vec<String> = Vec::new();
        for usage in host.usage.iter().filter(matters) {
            let text = match &usage.what {
                Use::Network { interface, default_route: true, .. } => {
                    format!("the network interface {interface}, which has the default route")
                }
                Use::Network { interface, .. } => format!("the network interface {interface}, which is in use"),
                Use::Keyboard { name } if last == Some(*function) => format!("its last keyboard, '{name}'"),
                Use::Keyboard { name } => format!("the keyboard '{name}'"),
                Use::Mouse { name } => format!("the mouse '{name}'"),
                Use::Tpm => "its TPM".to_owned(),
                // Monitors have sentences of their own, with where a picture remains; sound comes with every card.
                _ => continue,
            };
            // A keyboard with keys for sound and power shows itself several times.
            if !lost.contains(&text) {
                lost.push(text);
            }
        }
        if !lost.is_empty() {
            let (at, _, _) = naming_line(selection, *function);
            let kind = host.function(*function).map_or("device", Function::kind);
            let text = format!("with {function} ({kind}) the host loses {}", listed(&lost));
            findings.push(Finding::card(selection.gpu, at, codes::HOST_LOSES, text).warning());
        }
    }
    findings
}

#[cfg(test)]
#[path = "usage_tests.rs"]
mod tests;
