// SPDX-License-Identifier: LGPL-2.1-or-later
//! Binding a card to vfio: overrides first, then unbinds, then how it is reset, then the module, then probes.

use super::select::Choice;
use super::{group, release, reset, Plan, Step};
use crate::config::Driver;
use crate::host::Host;
use crate::pci::Address;

/// Each function with the driver it should have.
pub fn wanted(choice: &Choice<'_>, host: &Host) -> Vec<(Address, String)> {
    let Ok(chosen) = &choice.chosen else { return Vec::new() };
    let variant = |address: &Address| match choice.gpu.driver {
        Driver::Auto => host.variant(*address).map(|v| v.driver.clone()),
        Driver::VfioPci => None,
    };
    chosen.functions.iter().map(|a| (*a, variant(a).unwrap_or_else(|| "vfio-pci".to_owned()))).collect()
}

/// The functions whose best vfio driver is asked for (`driver = auto`): what `Host::find_variants` is to look up.
pub fn asks_for_variants(choices: &[Choice<'_>]) -> Vec<Address> {
    let auto = choices.iter().filter(|c| c.gpu.driver == Driver::Auto);
    auto.flat_map(|c| c.chosen.iter().flat_map(|c| c.functions.iter().copied())).collect()
}

/// The overrides that are not yet set.
pub fn overrides(wanted: &[(Address, String)], host: &Host) -> Vec<Step> {
    wanted
        .iter()
        .filter(|(address, driver)| host.function(*address).is_some_and(|f| f.driver_override.as_ref() != Some(driver)))
        .map(|(address, driver)| Step::Override { function: *address, driver: Some(driver.clone()) })
        .collect()
}

/// The modules of drivers that are not registered yet.
pub fn loads(wanted: &[(Address, String)], host: &Host) -> Vec<Step> {
    let mut modules: Vec<String> = Vec::new();
    for (address, driver) in wanted.iter().filter(|(_, driver)| !host.drivers.contains(driver)) {
        let variant = host.variant(*address).filter(|v| v.driver == *driver);
        let module = variant.map_or_else(|| "vfio_pci".to_owned(), |v| v.module.clone());
        if !modules.contains(&module) {
            modules.push(module);
        }
    }
    modules.into_iter().map(|module| Step::Load { module }).collect()
}

/// The plan for a choice that nothing forbids. Holders must have been looked for if a host driver has a function.
pub fn plan(choice: &Choice<'_>, host: &Host) -> Plan {
    let wanted = wanted(choice, host);
    let functions: Vec<Address> = wanted.iter().map(|(address, _)| *address).collect();
    let mut warnings = choice.chosen.as_ref().map(|c| c.warnings.clone()).unwrap_or_default();
    warnings.extend(group::left_out(choice, host));
    let (resets, findings) = reset::steps(choice, host, false);
    warnings.extend(findings);
    let mut plan = Plan { gpu: choice.gpu.name.clone(), functions, warnings, ..Plan::default() };

    let moving: Vec<Address> = wanted
        .iter()
        .filter(|(address, driver)| host.function(*address).is_some_and(|f| f.driver.as_ref() != Some(driver)))
        .map(|(address, _)| *address)
        .collect();
    plan.refusals = release::forbids(choice.gpu, &moving, host);
    plan.refusals.extend(reset::dead(choice.gpu, &plan.functions, host));
    if plan.refusals.is_empty() {
        plan.steps.extend(overrides(&wanted, host));
        plan.steps.extend(release::unbinds(&wanted, host));
        // A module that is loaded binds at once what waits for it, so these come first.
        plan.steps.extend(resets);
        if !moving.is_empty() {
            plan.steps.extend(loads(&wanted, host));
        }
        let probe = |(function, driver): &(Address, String)| {
            moving.contains(function).then(|| Step::Probe { function: *function, driver: driver.clone() })
        };
        plan.steps.extend(wanted.iter().filter_map(probe));
    }
    plan
}
