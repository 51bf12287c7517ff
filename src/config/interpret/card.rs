// SPDX-License-Identifier: LGPL-2.1-or-later
//! `[gpu NAME]`: what its keys say, and that no two sections mean the same card.

use super::Reader;
use crate::config::report::{Said, Spot};
use crate::config::sections::gpu::{self, BARS};
use crate::config::values;
use crate::config::{At, Bind, Driver, Functions, Gpu, RebarMethod, Reset, Selector};
use crate::finding::codes;

/// Reads a `[gpu NAME]`. `devices` are those of the sections before it.
pub(super) fn gpu(mut r: Reader<'_, '_>, devices: &mut Vec<(Spot, String, Selector)>) -> Option<Gpu> {
    let begin = r.section.spot;
    let name = r.section.name.to_owned();
    let device = r.get("device", gpu::selector);
    let identity = r.get("identity", gpu::identity);
    let functions = r.get("functions", gpu::functions);
    let optional = r.or("optional", false, values::boolean);
    let also = r.get("also", gpu::addresses);
    let bind = r.or("bind", Bind::Boot, gpu::bind);
    let driver = r.or("driver", Driver::VfioPci, gpu::driver);
    let bars = BARS.map(|key| r.get(key, gpu::bar));
    let rebar_method = r.or("rebar-method", RebarMethod::Kernel, gpu::rebar_method);
    let reset = r.or("reset", Reset::Auto, gpu::reset);
    let rom = r.get("rom", values::absolute_path);
    r.warn_of_comment("rom");
    let acpi_table = r.get("acpi-table", values::absolute_path);
    r.warn_of_comment("acpi-table");
    let only_display = r.or("only-display", false, values::boolean);

    let Some(device) = device else {
        // Where another error stands, it may have been about this very line.
        if r.section.why.is_none() {
            let said = format!("[gpu {name}] has no 'device'");
            let said = Said::new(codes::NO_DEVICE, &said).hint(&"write device = and the card's address");
            r.section.fail(r.report, begin, said);
        }
        return None;
    };
    let at = r.spot("device").unwrap_or(begin);
    match devices.iter().find(|(_, _, selector)| *selector == device.value) {
        // What is disabled claims nothing: the good one of two must not suffer from the bad.
        None if r.section.why.is_some() => {}
        None => devices.push((at, name.clone(), device.value)),
        Some((first, owner, selector)) => {
            let place = r.report.seen_from(at, *first);
            let hint = match selector {
                Selector::Identity(_) => {
                    "if there are two such cards, name each by its address ('vfio groups' lists them)"
                }
                _ => "each card has one section",
            };
            let text = format!("{selector} is already the device of [gpu {owner}] ({place})");
            r.section.fail(r.report, at, Said::new(codes::DEVICE_TWICE, &text).hint(&hint));
        }
    }
    Some(Gpu {
        identity,
        also: useful_also(&mut r, device.value, also),
        name,
        at: r.report.location(begin),
        device,
        functions: match functions {
            Some(At { value: Some(value), at }) => Functions::Listed(At { value, at }),
            _ => Functions::All,
        },
        optional,
        bind,
        driver,
        bars,
        rebar_method,
        reset,
        rom,
        acpi_table,
        only_display,
    })
}

/// `also` names what is outside the card's own slot.
fn useful_also(
    r: &mut Reader<'_, '_>,
    device: Selector,
    also: Option<At<Vec<crate::pci::Address>>>,
) -> Vec<At<crate::pci::Address>> {
    let (Some(also), Some(spot)) = (also, r.spot("also")) else { return Vec::new() };
    let mut list = Vec::new();
    for address in also.value {
        if matches!(device, Selector::Address(own) if own.slot == address.slot) {
            let text = format!("'also' names {address}, which is in the card's own slot");
            let said = Said::new(codes::ALSO_IN_OWN_SLOT, &text);
            r.report.warning(spot, said.hint(&"'functions' is for the functions of this slot"));
        } else {
            list.push(At { value: address, at: also.at.clone() });
        }
    }
    list
}
