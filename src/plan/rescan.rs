// SPDX-License-Identifier: LGPL-2.1-or-later
//! Taking a card off the bus and finding it again, without the host's driver getting it in between.

use crate::finding::codes;
use crate::host::Host;
use crate::pci::Address;
use crate::plan::selection::Selection;
use crate::plan::{bind, framebuffer, reset, unbind, Finding, Plan, Step};

/// The plan for a selection that nothing forbids; `bridge` is the port above the card.
///
/// A device that is found again is a new one to the kernel: its override is lost and a loaded host driver would bind it
/// before anybody hears of it (`drivers/pci/bus.c`, `pci_bus_add_device`). So autoprobe is off until the overrides stand.
/// Kernels whose `pci_bus_add_device` calls `device_attach` do not ask for autoprobe; there a host driver that is loaded
/// has the card for a moment, and it is taken from it at once.
pub fn plan(selection: &Selection<'_>, host: &Host, bridge: Option<Address>) -> Plan {
    let desired = bind::desired(selection, host);
    let functions: Vec<Address> = desired.iter().map(|(address, _)| *address).collect();
    let mut warnings = selection.selected.as_ref().map(|c| c.warnings.clone()).unwrap_or_default();
    let (resets, findings) = reset::steps(selection, host, true);
    warnings.extend(findings);
    let mut plan = Plan { gpu: selection.gpu.name.clone(), functions: functions.clone(), warnings, ..Plan::default() };
    plan.refusals = unbind::forbids(selection.gpu, &functions, host);
    plan.refusals.extend(reset::dead(selection.gpu, &functions, host));
    // Its ids read as ones: only its physical function's driver finds it (`pci_iov_add_virtfn`).
    if let Some(function) = functions.iter().filter_map(|a| host.function(*a)).find(|f| f.is_virtual()) {
        let text = format!("{} is a virtual function, which no rescan finds again", function.address);
        plan.refusals.push(Finding::card(selection.gpu, &selection.gpu.device.at, codes::VIRTUAL_FUNCTION, text));
    }
    if !plan.refusals.is_empty() {
        return plan;
    }
    plan.steps.extend(framebuffer::evictions(&functions, host, true));
    plan.steps.extend(bind::awake_before(&functions, host));
    plan.steps.extend(bind::loads(&desired, host));
    plan.steps.push(Step::Autoprobe { on: false });
    plan.steps.extend(functions.iter().rev().map(|function| Step::Remove { function: *function }));
    plan.steps.push(Step::Rescan { below: bridge, expect: functions.clone() });
    for (function, driver) in &desired {
        plan.steps.push(Step::Override { function: *function, driver: Some(driver.clone()) });
    }
    plan.steps.extend(desired.iter().rev().map(|(function, _)| Step::Free { function: *function }));
    // What was written to a function is lost with it.
    plan.steps.extend(resets);
    for (function, driver) in desired {
        plan.steps.push(Step::Probe { function, driver });
    }
    plan.steps.extend(functions.into_iter().map(|function| Step::Awake { function }));
    plan.steps.push(Step::Autoprobe { on: true });
    plan
}
