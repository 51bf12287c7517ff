// SPDX-License-Identifier: LGPL-2.1-or-later
//! The section of the configuration that gives a card to guests: lines to paste.

use crate::host::{Function, Host};
use crate::plan::device::Device;

/// A section for the card that a display is on: chosen by its address, kept by its identity.
pub fn section(name: &str, function: &Function, host: &Host) -> String {
    let bind = if can_bind_at_boot(function, host) { "boot" } else { "guest" };
    format!("[gpu {name}]\ndevice = {}\nidentity = {}\nbind = {bind}\n", function.address, function.ids())
}

/// Whether the host can do without a card from boot on. A display that the firmware or a monitor needs is left to the host until
/// a guest starts.
pub fn can_bind_at_boot(function: &Function, host: &Host) -> bool {
    let members = Device::of(function).members(host);
    let has_monitor = host
        .displays
        .iter()
        .filter(|display| members.iter().any(|member| member.address == display.function))
        .flat_map(|display| &display.connectors)
        .any(|connector| connector.connected);
    let others = host.functions.iter().any(|other| {
        other.has_outputs()
            && !other.is_virtual()
            && !other.is_given_away()
            && other.address.slot != function.address.slot
    });
    others && !has_monitor && !host.is_boot_display(function.address)
}

/// A name for a section that no other has: of the maker, with a number from the second on.
pub fn name(vendor: u16, taken: &[String]) -> String {
    let maker = match vendor {
        0x10de => "nvidia",
        0x1002 => "amd",
        0x8086 => "intel",
        _ => "card",
    };
    let numbered = (2..).map(|number| format!("{maker}{number}"));
    std::iter::once(maker.to_owned()).chain(numbered).find(|name| !taken.contains(name)).unwrap_or_default()
}
