// SPDX-License-Identifier: LGPL-2.1-or-later
//! What happens at boot: which cards are bound, and what forbids the others.

use super::{bind, card, display, group, idle, iommu, usage, Finding, Plan};
use crate::config::{Bind, Config, Functions, Selector};
use crate::finding::codes;
use crate::host::run::boot_counter::Before;
use crate::host::{Function, Host};
use crate::pci::{Address, Slot};
use crate::plan::select;
use crate::plan::selection::Selection;

/// The sections bound at boot, each with its functions or why it is refused: selection, then the last display.
///
/// Needs no more of the host than `Depth::Boot`. IOMMU groups are judged by [`admit`] after a closer look.
pub fn selections<'c>(config: &'c Config, host: &Host) -> Vec<Selection<'c>> {
    if !config.gpus.iter().any(|g| g.bind == Bind::Boot) {
        return Vec::new();
    }
    let mut selections = select::select_all(config, host);
    selections.retain(|c| c.gpu.bind == Bind::Boot);
    display::keep_one_at_boot(&mut selections, host);
    selections
}

/// Whether a section chooses by which display is the boot display.
pub fn asks_for_boot_display(config: &Config) -> bool {
    config.gpus.iter().any(|g| matches!(g.device.value, Selector::BootDisplay | Selector::NotBootDisplay))
}

/// The machine as it will be when the next boot decides: no driver has anything, no override is set, no guest has a card, and
/// the firmware's framebuffer lies where it did.
pub fn at_next_boot(host: &Host) -> Host {
    let fresh = |f: &Function| Function { driver: None, driver_override: None, ..f.clone() };
    let mut windows = host.windows.clone();
    for window in windows.iter_mut().map(|(_, window)| window) {
        for bar in &mut window.bars {
            bar.size = window.firmware.iter().find(|(n, _)| *n == bar.index).map_or(bar.size, |(_, size)| *size);
        }
    }
    let mut displays = host.displays.clone();
    displays.iter_mut().for_each(|display| display.firmware_framebuffer |= display.boot);
    let functions = host.functions.iter().map(fresh).collect();
    Host { functions, displays, drivers: Vec::new(), off: None, windows, ..host.clone() }
}

/// The slots that the configuration names, if it chooses all cards by address: then no others need to be looked at,
/// unless something is refused and the refusal is to say what there is instead.
pub fn slots_by_address(config: &Config) -> Option<Vec<Slot>> {
    let mut slots = Vec::new();
    for gpu in &config.gpus {
        let Selector::Address(address) = gpu.device.value else { return None };
        slots.push(address.slot);
        slots.extend(gpu.also.iter().map(|also| also.value.slot));
    }
    Some(slots)
}

/// All functions of choices that are not refused: what to look at more closely.
pub fn functions(selections: &[Selection<'_>]) -> Vec<Address> {
    selections.iter().filter_map(|c| c.selected.as_ref().ok()).flat_map(|c| c.functions.iter().copied()).collect()
}

/// Refuses choices that would take data of the host, that the IOMMU forbids, `also` from outside the group, and physical
/// functions with virtual ones.
pub fn admit(selections: &mut [Selection<'_>], host: &Host) {
    for selection in selections.iter_mut() {
        let Ok(selected) = &selection.selected else { continue };
        let finding = usage::forbids(selection, host)
            .or_else(|| iommu::without(selection, &selected.functions, host))
            .or_else(|| group::one_to_one(selection, host))
            .or_else(|| group::foreign_also(selection, host))
            .or_else(|| card::with_virtual(selection, host))
            .or_else(|| lost(selection, &selected.functions, host));
        if let Some(finding) = finding {
            selection.selected = Err(finding);
        }
    }
}

/// Refuses choices whose groups the host does not leave. Not asked of a guest's start, which knows more: what libvirt takes
/// from the host for this guest.
pub fn admit_groups(selections: &mut [Selection<'_>], host: &Host) {
    // What one section does not take after all may keep its group from another.
    loop {
        let refused: Vec<String> =
            selections.iter().filter(|c| c.selected.is_err()).map(|c| c.gpu.name.clone()).collect();
        for selection in selections.iter_mut() {
            if let Some(finding) = group::not_viable(selection, &refused, host) {
                selection.selected = Err(finding);
            }
        }
        if selections.iter().filter(|c| c.selected.is_err()).count() == refused.len() {
            return;
        }
    }
}

/// Where no IOMMU works, that is what is said of every card that is there, before what could be fixed: but for data of the
/// host on it, which no IOMMU changes.
pub fn without_iommu_first(selections: &mut [Selection<'_>], host: &Host) {
    for selection in selections.iter_mut().filter(|selection| selection.selected.is_err()) {
        let meant = Selection { gpu: selection.gpu, selected: select::select_one(selection.gpu, host) };
        let Some(functions) = meant.selected.as_ref().ok().map(|selected| &selected.functions) else { continue };
        let Some(without) = iommu::without(&meant, functions, host) else { continue };
        selection.selected = Err(usage::forbids(&meant, host).unwrap_or(without));
    }
}

/// A function without a place for one of its BARs gets no driver: amdgpu was seen to hang in its probe, and a guest could not
/// use it either.
fn lost(selection: &Selection<'_>, functions: &[Address], host: &Host) -> Option<Finding> {
    let (function, bar) = host.lost.iter().find(|(function, _)| functions.contains(function))?;
    let text = format!("{function} has no place for its BAR {bar} any more since one was resized");
    Some(Finding::card(selection.gpu, &selection.gpu.device.at, codes::BAR_LOST, text).hint("reboot"))
}

/// How far the boot has come when functions are reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// In the initramfs, and in the system before its file systems are mounted: whatever the machine may need to reach them,
    /// or to ask for a passphrase, stays with the host, whatever the configuration says.
    Early,
    /// The early part of the boot is over: what carries nothing of the host can be reserved at once.
    Running,
}

/// Whether an override may keep the host's drivers from a function at this stage. What it may not keep them from is taken by
/// `vfio-bind gpu`, when file systems are mounted and nothing of the host is on it.
pub fn may_reserve(function: Address, host: &Host, stage: Stage) -> bool {
    stage == Stage::Running || !host.function(function).is_some_and(Function::may_be_needed_for_root)
}

/// Whether a section has functions that are taken late, after local file systems are mounted.
pub fn waits_for_file_systems(selection: &Selection<'_>, host: &Host) -> bool {
    let functions = selection.selected.as_ref().map(|c| c.functions.as_slice()).unwrap_or_default();
    functions.iter().any(|function| !may_reserve(*function, host, Stage::Early))
}

/// The early plans: overrides only, so that whatever loads in whatever order, no host driver can take the functions.
pub fn early(selections: &[Selection<'_>], host: &Host) -> Vec<Plan> {
    let plan = |selection: &Selection<'_>| match &selection.selected {
        Err(finding) => Plan::refused(finding.clone()),
        Ok(_) => {
            let mut desired = bind::desired(selection, host);
            desired.retain(|(function, _)| may_reserve(*function, host, Stage::Early));
            Plan {
                gpu: selection.gpu.name.clone(),
                functions: desired.iter().map(|(function, _)| *function).collect(),
                steps: bind::overrides(&desired, host),
                ..Plan::default()
            }
        }
    };
    selections.iter().map(plan).collect()
}

/// Why no card is bound in this boot: the switch, `enable = no`, or too many boots that did not come up.
pub fn forbidden(config: &Config, host: &Host, before: &Before) -> Option<String> {
    let limit = config.host.failed_boots;
    let counted = || match before {
        Before::Failed(failed) => (*failed >= limit).then(|| {
            format!(
                "nothing is bound in this boot because the last {failed} did not come up (failed-boots = {limit}); \
                 when this one comes up, the next one binds again"
            )
        }),
        // Fails closed: boot after boot could fail with the card bound, and nobody would know.
        Before::NotKnown(why) => Some(format!(
            "nothing is bound in this boot because it is not known how many before it did not come up: {why}; \
             when it can be written and a boot comes up, the next one binds again (failed-boots = 0 asks for no count)"
        )),
    };
    idle(config, host).or_else(|| if limit > 0 { counted() } else { None })
}

/// Whether a section could mean this function, judged from the function's own slot and what is above it: what a udev helper
/// that runs once per function can afford. `above` gives the bridges above a function, the nearest first. `look` gives the functions of its slot; it is asked only if a section does not choose by
/// address.
pub fn concerns(
    config: &Config,
    function: Address,
    look: impl Fn() -> Vec<Function>,
    above: impl Fn(Address) -> Vec<Address>,
) -> bool {
    let named = config.gpus.iter().filter(|g| g.bind == Bind::Boot).any(|gpu| {
        let named = gpu.also.iter().any(|a| a.value == function);
        let listed = match &gpu.functions {
            Functions::All => true,
            Functions::Listed(listed) => listed.value.contains(&function.function),
        };
        let selected = match gpu.device.value {
            Selector::Address(address) => address.slot == function.slot,
            Selector::Identity(identity) => look().iter().any(|f| identity.matches(f.vendor, f.device, f.subsystem)),
            Selector::BootDisplay | Selector::NotBootDisplay => look().iter().any(Function::is_display),
        };
        named || (listed && selected)
    });
    named || may_be_behind(config, function, look, above)
}

/// Whether a function could be behind the switch of a card that a section means: below the same upstream port as the card's
/// display. Where the card is not chosen by address, any sound or USB behind a switch could be.
fn may_be_behind(
    config: &Config,
    function: Address,
    look: impl Fn() -> Vec<Function>,
    above: impl Fn(Address) -> Vec<Address>,
) -> bool {
    let mut gpus = config.gpus.iter().filter(|g| g.bind == Bind::Boot && g.functions == Functions::All).peekable();
    if gpus.peek().is_none() {
        return false;
    }
    // A downstream port, an upstream port, and the port of the slot.
    let [_, upstream, _, ..] = above(function)[..] else { return false };
    gpus.any(|gpu| match gpu.device.value {
        Selector::Address(address) => above(address).get(1) == Some(&upstream),
        _ => look().iter().any(|f| f.address == function && card::goes_with_main(f)),
    })
}
