// SPDX-License-Identifier: LGPL-2.1-or-later
//! What a selector can mean, and how such devices are shown to choose from.

use crate::host::{Function, Host};
use crate::pci::{Address, Slot};

/// What a selector can mean: a virtual function, which is a device of its own, or all else of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    /// The slot.
    pub slot: Slot,
    /// The virtual function, if it is one.
    pub only: Option<Address>,
}

impl Device {
    /// The device that a function is, or is a part of.
    pub fn of(function: &Function) -> Device {
        Device { slot: function.address.slot, only: function.is_virtual().then_some(function.address) }
    }

    /// Its functions that could be given away, in order.
    pub fn members<'h>(&self, host: &'h Host) -> Vec<&'h Function> {
        let members = host.slot(self.slot).iter().filter(|f| !f.is_bridge());
        members.filter(|f| self.only.map_or(!f.is_virtual(), |only| f.address == only)).collect()
    }
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
