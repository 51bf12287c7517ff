// SPDX-License-Identifier: LGPL-2.1-or-later
//! Sizes of BARs: which of those that a function offers comes nearest to what is asked for and has room, and in which
//! order they are set.

use super::{Finding, Plan, Step};
use crate::config::{At, BarSize, Gpu, Guest, RebarMethod};
use crate::finding::codes;
use crate::host::bars::{show_size, Bar};
use crate::host::bridge_window::BridgeWindow;
use crate::host::function::is_vfio;
use crate::host::Host;
use crate::pci::Address;
use crate::plan::selection::Selection;

/// The sizes wanted of `bar0` to `bar5`.
pub type Sizes = [Option<At<BarSize>>; 6];

/// What a card's section wants, or a guest's for this card.
pub fn desired(gpu: &Gpu, guest: Option<&Guest>) -> Sizes {
    let mut sizes = gpu.bars.clone();
    for own in guest.into_iter().flat_map(|guest| &guest.bars).filter(|own| own.gpu == gpu.name) {
        sizes[usize::from(own.bar)] = Some(own.size.clone());
    }
    sizes
}

/// Whether anything is wanted at all: if not, nobody needs to look at BARs.
pub fn asks(sizes: &Sizes) -> bool {
    sizes.iter().any(Option::is_some)
}

/// Why a BAR cannot be larger, or cannot change at all: the rest of a sentence about it.
pub fn limit(window: &BridgeWindow) -> String {
    match (window.pinned, window.within) {
        (Some((bridge, other)), _) => {
            format!("the window of bridge {bridge} cannot move: {other} has a place in it too")
        }
        (None, Some(bridge)) => format!("bridge {bridge} has no more room for it in its window"),
        (None, None) => {
            "the root bus has no more room for it; look for 'Above 4G decoding' in the firmware's setup".to_owned()
        }
    }
}

/// Whether BARs of these sizes have room together: where the largest has its place, the others must too.
pub fn fits(window: &BridgeWindow, sizes: &[u64]) -> bool {
    let Some(free) = &window.free else { return true };
    let (largest, sum) = (sizes.iter().copied().max().unwrap_or(1), sizes.iter().sum::<u64>());
    free.iter().any(|(start, bytes)| {
        let place = start.checked_next_multiple_of(largest.max(1));
        let within = place.and_then(|place| place.checked_sub(*start)?.checked_add(largest));
        within.is_some_and(|within| within <= *bytes) && sum <= *bytes
    })
}

/// The size that a BAR is to have, were there room for it; `None` if none is as small as that.
fn choose(wish: BarSize, bar: &Bar, window: &BridgeWindow) -> Option<u64> {
    let most = match wish {
        BarSize::Bytes(bytes) => bytes,
        BarSize::Max => u64::MAX,
        BarSize::Min => *bar.sizes.first()?,
        BarSize::Firmware => window.firmware.iter().find(|(n, _)| *n == bar.index).map_or(bar.size, |(_, size)| *size),
    };
    bar.sizes.iter().rev().find(|size| **size <= most).copied()
}

/// A BAR and the size it is to have.
#[derive(Debug, Clone, Copy)]
struct Goal<'r> {
    bar: &'r Bar,
    size: u64,
}

impl Goal<'_> {
    /// The next size, nearer to the present one.
    fn smaller(&self) -> Option<u64> {
        self.bar.sizes.iter().rev().find(|s| **s < self.size && **s >= self.bar.size).copied()
    }
}

/// Reduces what is to grow until all have room. A kernel that is known to be bad is not asked for what it may not undo: to
/// move a BAR within a window that cannot move.
fn make_fit(window: &BridgeWindow, goals: &mut [Goal<'_>], bad: bool) {
    while !(bad && window.pinned.is_some()) {
        let size = |bar: &Bar| goals.iter().find(|g| g.bar.index == bar.index).map_or(bar.size, |g| g.size);
        let sizes: Vec<u64> = window.together().map(size).collect();
        if fits(window, &sizes) {
            return;
        }
        let growing = goals.iter_mut().filter(|goal| goal.smaller().is_some());
        match growing.max_by_key(|goal| goal.size) {
            Some(goal) => goal.size = goal.smaller().unwrap_or(goal.bar.size),
            None => break,
        }
    }
    // What is there has its place; nothing else has.
    goals.iter_mut().for_each(|goal| goal.size = goal.bar.size);
}

/// The largest size that a BAR could have as things are.
pub fn largest(window: &BridgeWindow, bar: &Bar, bad: bool) -> u64 {
    let mut goals = [Goal { bar, size: bar.sizes.last().copied().unwrap_or(bar.size) }];
    make_fit(window, &mut goals, bad);
    goals[0].size
}

/// The steps that bring a card's BARs to these sizes, shrinking before growing, and what the user should know.
pub fn plan(gpu: &Gpu, functions: &[Address], sizes: &Sizes, host: &Host) -> (Vec<Step>, Vec<Finding>) {
    let (mut resizes, mut warnings) = (Vec::new(), Vec::new());
    let windows: Vec<_> = host.windows.iter().filter(|(function, _)| functions.contains(function)).collect();
    let mut warn = |at: &At<BarSize>, code, text: String| {
        warnings.push(Finding::card(gpu, &at.at, code, text).warning());
    };
    let offers = |window: &BridgeWindow, index: usize| {
        window.bars.iter().any(|bar| usize::from(bar.index) == index && !bar.sizes.is_empty())
    };
    for (index, at) in sizes.iter().enumerate() {
        if let Some(at) = at.as_ref().filter(|_| !windows.iter().any(|(_, window)| offers(window, index))) {
            warn(
                at,
                codes::BAR_NOT_RESIZABLE,
                format!("bar{index} has no effect: no function of the card has a BAR {index} that can be resized"),
            );
        }
    }
    let by_rescan = gpu.rebar_method == RebarMethod::Rescan;
    let known_bad = known_bad(&host.kernel).filter(|_| !by_rescan);
    for (n, (function, window)) in windows.iter().enumerate() {
        let mut goals: Vec<Goal<'_>> = Vec::new();
        let mut hoped = Vec::new();
        for bar in window.bars.iter().filter(|bar| !bar.sizes.is_empty()) {
            let index = usize::from(bar.index);
            // The first function that offers it is meant.
            let first = !windows[..n].iter().any(|(_, window)| offers(window, index));
            let Some(at) = sizes.get(index).and_then(Option::as_ref).filter(|_| first) else { continue };
            let Some(size) = choose(at.value, bar, window) else {
                let least = show_size(bar.sizes[0]);
                warn(
                    at,
                    codes::BAR_SIZE_NOT_OFFERED,
                    format!("{function}: BAR {index} stays as it is: the smallest size that it offers is {least}"),
                );
                continue;
            };
            if let BarSize::Bytes(asked) = at.value {
                if asked != size {
                    let (asked, size) = (show_size(asked), show_size(size));
                    warn(
                        at,
                        codes::BAR_SIZE_NOT_OFFERED,
                        format!("{function}: BAR {index} does not offer {asked}: it gets {size}"),
                    );
                }
            }
            goals.push(Goal { bar, size });
            hoped.push((at, size));
        }
        // What else of the card is in the window is re-enumerated with it: how much space is free then is not known.
        let pinned_by_itself = window.pinned.is_some_and(|(_, other)| functions.contains(&other));
        if !(by_rescan && pinned_by_itself) {
            make_fit(window, &mut goals, known_bad.is_some());
        }
        let prevented = no_rescan(window, host).filter(|_| by_rescan);
        let asked = hoped.first().map(|(at, _)| *at);
        for (goal, (at, hoped)) in goals.iter().zip(hoped) {
            if goal.size != hoped && at.value != BarSize::Max && prevented.is_none() {
                let Bar { index, .. } = goal.bar;
                let (hoped, size) = (show_size(hoped), show_size(goal.size));
                warn(
                    at,
                    codes::BAR_LACKS_SPACE,
                    format!("{function}: BAR {index} gets {size} instead of {hoped}: {}", limit(window)),
                );
            }
        }
        let changed = goals.iter().filter(|goal| goal.size != goal.bar.size || !goal.bar.is_placed());
        let changed: Vec<_> = changed
            .map(|Goal { bar, size }| {
                let below = window.alone_below.filter(|_| by_rescan);
                (*size > bar.size, Step::Resize { function: *function, bar: bar.index, size: *size, below })
            })
            .collect();
        match prevented.filter(|_| !changed.is_empty()) {
            Some(why) => {
                let text = format!("{function}: its BARs stay as they are, for rebar-method = rescan {why}");
                if let Some(at) = asked {
                    warn(at, codes::BAR_RESCAN_IMPOSSIBLE, text);
                }
            }
            None => resizes.extend(changed),
        }
    }
    if let (Some(why), false) = (known_bad, resizes.is_empty()) {
        let text = format!("kernel {} {why}: a card that loses a BAR needs a reboot", host.kernel);
        warnings.push(Finding::card(gpu, &gpu.at, codes::KERNEL_MAY_LOSE_BARS, text).warning());
    }
    // Smaller ones first: they make room.
    let mut steps = Vec::new();
    for growing in [false, true] {
        steps.extend(resizes.iter().filter(|(grows, _)| *grows == growing).map(|(_, step)| step.clone()));
    }
    (steps, warnings)
}

/// Why a kernel is not asked for these sizes at all: a BAR has no place, and one that is known to be bad may crash when such a
/// BAR is resized (6.1.176 was seen to, in `kernfs_find_ns` below `resource_resize_store`), or forget it.
pub fn unplaced(gpu: &Gpu, resizes: &[Step], host: &Host) -> Option<Finding> {
    known_bad(&host.kernel)?;
    let has_no_place = |function: &Address, index: u8| {
        let window = host.windows.iter().find(|(of, _)| of == function).map(|(_, window)| window);
        window.is_some_and(|window| window.bars.iter().any(|bar| bar.index == index && !bar.is_placed()))
    };
    let (function, bar) = resizes.iter().find_map(|step| match step {
        Step::Resize { function, bar, below: None, .. } if has_no_place(function, *bar) => Some((function, bar)),
        _ => None,
    })?;
    let text = format!(
        "{function} has no place for its BAR {bar} any more, and kernel {} cannot give it one without harm",
        host.kernel
    );
    Some(Finding::card(gpu, &gpu.device.at, codes::BAR_LOST, text).hint("reboot"))
}

/// Why a card cannot be taken off the bus for its BARs: the rest of a sentence about `rebar-method = rescan`.
fn no_rescan(window: &BridgeWindow, host: &Host) -> Option<&'static str> {
    match window.alone_below {
        None => Some("needs a bridge above the card with nothing else below it, and there is none"),
        Some(_) if host.locked_down => Some("writes configuration space, and this kernel is locked down (Secure Boot)"),
        Some(_) => None,
    }
}

/// Whether steps take the card off the bus.
pub fn reenumerates(steps: &[Step]) -> bool {
    steps.iter().any(|step| matches!(step, Step::Resize { below: Some(_), .. }))
}

/// The steps that resize, with what goes around them where the card is re-enumerated: as for any rescan, no driver of the host
/// may be faster than its override.
pub fn steps(resizes: Vec<Step>, functions: &[Address]) -> Vec<Step> {
    if !reenumerates(&resizes) {
        return resizes;
    }
    let mut steps = vec![Step::Autoprobe { on: false }];
    steps.extend(resizes);
    steps.extend(functions.iter().rev().map(|function| Step::Free { function: *function }));
    steps.push(Step::Autoprobe { on: true });
    steps
}

/// Sizes set by hand: of a card that no driver has, or vfio's while no guest uses it. `owner` is the guest that has the card.
pub fn set(selection: &Selection<'_>, host: &Host, sizes: &Sizes, owner: Option<&str>) -> Plan {
    let gpu = selection.gpu;
    let functions = selection.selected.as_ref().map(|selected| selected.functions.clone()).unwrap_or_default();
    let (resizes, warnings) = plan(gpu, &functions, sizes, host);
    let mut plan = Plan { gpu: gpu.name.clone(), functions, warnings, ..Plan::default() };
    plan.refusals.extend(unplaced(gpu, &resizes, host));
    let mut refuse = |code, text: String, hint: String| {
        plan.refusals.push(Finding::card(gpu, &gpu.device.at, code, text).hint(hint));
    };
    if let Some(guest) = owner {
        refuse(
            codes::CARD_IN_GUEST,
            format!("belongs to [guest {guest}] now"),
            format!("'vfio guest stop {guest}' first"),
        );
    }
    let mut moved: Vec<(Address, String)> = Vec::new();
    let reenumerate = reenumerates(&resizes);
    let resized = resized(&resizes, &plan.functions);
    for function in host.functions.iter().filter(|f| resized.contains(&f.address)) {
        let (name, address) = (&gpu.name, function.address);
        let Some(driver) = &function.driver else {
            if reenumerate {
                refuse(
                    codes::CARD_HAS_NO_DRIVER,
                    format!("{address} has no driver, and after a rescan any driver may bind it"),
                    format!("'vfio bind {name}' first"),
                );
            }
            continue;
        };
        if let Some(holder) = host.holder(address) {
            refuse(codes::CARD_HELD, format!("{address} is in use: {holder}"), "end it and try again".to_owned());
        } else if is_vfio(driver) {
            moved.push((address, driver.clone()));
        } else {
            refuse(
                codes::CARD_BOUND_TO_HOST_DRIVER,
                format!(
                    "{address} is bound to {driver}, and a BAR is resized only while the function is bound to no driver of \
                     the host"
                ),
                format!("'vfio bind {name}' first, or write the sizes into the configuration"),
            );
        }
    }
    if plan.refusals.is_empty() {
        let unbind =
            |(function, driver): &(Address, String)| Step::Unbind { function: *function, driver: driver.clone() };
        let awake: Vec<Step> = moved.iter().map(|(function, _)| Step::Awake { function: *function }).collect();
        plan.steps.extend(awake.iter().cloned());
        plan.steps.extend(moved.iter().map(unbind));
        plan.steps.extend(steps(resizes, &plan.functions));
        plan.steps.extend(moved.into_iter().map(|(function, driver)| Step::Probe { function, driver }));
        plan.steps.extend(awake);
    }
    plan
}

/// What is wrong with how a kernel resizes BARs, if anything is.
pub fn known_bad(release: &str) -> Option<&'static str> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse::<u32>().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    match (next(), next(), next()) {
        (7, 0, _) => Some("may place a bridge's window wrongly when a BAR is resized"),
        // `pci_do_resource_release_and_resize` came with 6.19, and with 6.12.107 of the stable kernels. That one still loses a
        // BAR on the root bus that has no room there, 6.12.117 does not any more: no such size is asked for.
        (6, 12, 107..) | (6, 19.., _) | (7.., _, _) => None,
        _ => Some("does not always put the other BARs back when resizing one fails"),
    }
}

/// The functions that no driver may have while these steps are made: those that are resized, or all of the card.
pub fn resized(steps: &[Step], functions: &[Address]) -> Vec<Address> {
    if reenumerates(steps) {
        return functions.to_vec();
    }
    let function = |step: &Step| match step {
        Step::Resize { function, .. } => Some(*function),
        _ => None,
    };
    steps.iter().filter_map(function).collect()
}

#[cfg(test)]
#[path = "rebar_tests.rs"]
mod tests;
