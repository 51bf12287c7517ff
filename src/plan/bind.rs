// SPDX-License-Identifier: LGPL-2.1-or-later
//! Binding a card to vfio: overrides first, then unbinds, then how it is reset and how large its BARs are, then the module,
//! then probes.

use super::rebar::{self, Sizes};
use crate::config::Driver;
use crate::finding::codes;
use crate::host::Host;
use crate::pci::Address;
use crate::plan::selection::Selection;
use crate::plan::{framebuffer, group, reset, unbind, usage, Finding, Plan, Step};

/// Each function with the driver it should have.
pub fn desired(selection: &Selection<'_>, host: &Host) -> Vec<(Address, String)> {
    let Ok(selected) = &selection.selected else { return Vec::new() };
    let variant = |address: &Address| match selection.gpu.driver {
        Driver::Auto => host.variant(*address).map(|v| v.driver.clone()),
        Driver::VfioPci => None,
    };
    selected.functions.iter().map(|a| (*a, variant(a).unwrap_or_else(|| "vfio-pci".to_owned()))).collect()
}

/// The functions whose best vfio driver is asked for (`driver = auto`): what `Host::find_variants` is to look up.
pub fn asks_for_variants(selections: &[Selection<'_>]) -> Vec<Address> {
    let auto = selections.iter().filter(|c| c.gpu.driver == Driver::Auto);
    auto.flat_map(|c| c.selected.iter().flat_map(|c| c.functions.iter().copied())).collect()
}

/// The overrides that are not yet set.
pub fn overrides(desired: &[(Address, String)], host: &Host) -> Vec<Step> {
    desired
        .iter()
        .filter(|(address, driver)| host.function(*address).is_some_and(|f| f.driver_override.as_ref() != Some(driver)))
        .map(|(address, driver)| Step::Override { function: *address, driver: Some(driver.clone()) })
        .collect()
}

/// The modules of drivers that are not registered yet.
pub fn loads(desired: &[(Address, String)], host: &Host) -> Vec<Step> {
    let mut modules: Vec<String> = Vec::new();
    for (address, driver) in desired.iter().filter(|(_, driver)| !host.drivers.contains(driver)) {
        let variant = host.variant(*address).filter(|v| v.driver == *driver);
        let module = variant.map_or_else(|| "vfio_pci".to_owned(), |v| v.module.clone());
        if !modules.contains(&module) {
            modules.push(module);
        }
    }
    modules.into_iter().map(|module| Step::Load { module }).collect()
}

/// What a driver has is woken before it goes, and what it was allowed recorded while it is there: drivers change this when
/// they come and go.
pub fn awake_before<'a>(functions: &'a [Address], host: &'a Host) -> impl Iterator<Item = Step> + 'a {
    let driven = |a: &&Address| host.function(**a).is_some_and(|f| f.driver.is_some());
    functions.iter().filter(driven).map(|function| Step::Awake { function: *function })
}

/// The plan for a selection that nothing forbids, with these sizes of BARs, which must have been looked at if there are any.
/// Holders must have been looked for if a driver has a function.
pub fn plan(selection: &Selection<'_>, host: &Host, sizes: &Sizes) -> Plan {
    let desired = desired(selection, host);
    let functions: Vec<Address> = desired.iter().map(|(address, _)| *address).collect();
    let mut warnings = selection.selected.as_ref().map(|c| c.warnings.clone()).unwrap_or_default();
    warnings.extend(group::one_to_one_later(selection, host));
    warnings.extend(usage::losses(selection, host));
    let mut plan = Plan { gpu: selection.gpu.name.clone(), functions: functions.clone(), warnings, ..Plan::default() };

    let (mut resizes, mut remarks) =
        if rebar::asks(sizes) { rebar::plan(selection.gpu, &functions, sizes, host) } else { Default::default() };
    let there = |(address, driver): &(Address, String)| {
        host.function(*address).is_some_and(|f| f.driver.as_ref() == Some(driver))
    };
    // What a guest has open stays as large as it is.
    let busy = desired.iter().filter(|w| there(w)).find_map(|(a, _)| Some((*a, host.holder(*a)?)));
    if let Some((address, holder)) = busy.filter(|(a, _)| rebar::resized(&resizes, &functions).contains(a)) {
        let text = format!("{address} keeps its BARs as they are: {holder}");
        let finding = Finding::card(selection.gpu, &selection.gpu.at, codes::BAR_IN_USE, text).warning();
        (resizes, remarks) = (Vec::new(), vec![finding]);
    }
    // What was written to a function is lost with it.
    let (resets, findings) = reset::steps(selection, host, rebar::reenumerates(&resizes));
    plan.warnings.extend(findings);
    plan.warnings.extend(remarks);
    let mut resized = rebar::resized(&resizes, &functions);
    let reenumerates = rebar::reenumerates(&resizes);
    let reenumerate = if reenumerates { Vec::new() } else { framebuffer::reenumerated(&functions, host) };
    resized.extend(reenumerate.iter().map(|kept| kept.function));
    plan.warnings.extend(framebuffer::stays(selection.gpu, &functions, host));

    let moves = |w: &&(Address, String)| host.function(w.0).is_some() && (!there(w) || resized.contains(&w.0));
    let moving: Vec<Address> = desired.iter().filter(moves).map(|(address, _)| *address).collect();
    plan.refusals = unbind::forbids(selection.gpu, &moving, host);
    plan.refusals.extend(reset::dead(selection.gpu, &plan.functions, host));
    plan.refusals.extend(rebar::unplaced(selection.gpu, &resizes, host));
    if plan.refusals.is_empty() {
        plan.steps.extend(awake_before(&moving, host));
        plan.steps.extend(overrides(&desired, host));
        // No driver may have a function whose BAR is resized, vfio's neither.
        let apart = |(address, driver): &(Address, String)| {
            (*address, if resized.contains(address) { String::new() } else { driver.clone() })
        };
        plan.steps.extend(unbind::unbinds(&desired.iter().map(apart).collect::<Vec<_>>(), host));
        // Nobody draws on what is resized or re-enumerated, and nothing lies in the way of a guest.
        plan.steps.extend(framebuffer::evictions(&functions, host, reenumerates));
        for kept in reenumerate {
            let driver =
                desired.iter().find(|(a, _)| *a == kept.function).map_or("vfio-pci", |(_, driver)| driver.as_str());
            plan.steps.extend(framebuffer::reenumerate(kept, driver));
        }
        // A module that is loaded binds at once what waits for it, so these come first.
        let (first, then) = if reenumerates { (rebar::steps(resizes, &functions), resets) } else { (resets, resizes) };
        plan.steps.extend(first);
        plan.steps.extend(then);
        if !moving.is_empty() {
            plan.steps.extend(loads(&desired, host));
        }
        let probe = |(function, driver): &(Address, String)| {
            moving.contains(function).then(|| Step::Probe { function: *function, driver: driver.clone() })
        };
        plan.steps.extend(desired.iter().filter_map(probe));
        // vfio-pci lets what it gets sleep, whatever was written there before.
        let sleeps = |a: &&Address| moving.contains(a) || host.sleepers.contains(a);
        plan.steps.extend(functions.iter().filter(sleeps).map(|function| Step::Awake { function: *function }));
    }
    plan
}
