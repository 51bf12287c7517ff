// SPDX-License-Identifier: LGPL-2.1-or-later
//! Looking at the machine as far as a decision needs it, and deciding: what the doors share.

use crate::config::{Bind, Config, Gpu, Guest};
use crate::host::boot::BootSystem;
use crate::host::run::card_status;
use crate::host::run::claims::claim_path;
use crate::host::run::marks;
use crate::host::{Depth, Host};
use crate::journal;
use crate::pci::{Address, Slot};
use crate::plan::already_decided::{settled, SoFar};
use crate::plan::cmdline::parameters::{self, Word};
use crate::plan::guest::cards;
use crate::plan::select::{self, Choice};
use crate::plan::{bind, boot, rebar, reset, section, usage, Finding};
use crate::root::Root;

/// The sections bound at boot, each with its functions or why it is refused, and the machine as far as it was looked at:
/// near the cards if all of them are chosen by address and nothing is refused, else whole.
pub fn choices<'c>(root: &Root, config: &'c Config) -> (Vec<Choice<'c>>, Host) {
    if let Some(slots) = boot::slots_by_address(config) {
        let host = Host::scan_near(root, &slots);
        let choices = boot::choices(config, &host);
        if choices.iter().all(|c| c.chosen.is_ok()) {
            return (choices, host);
        }
    }
    let mut host = whole(root, config);
    let choices = boot::choices(config, &host);
    // Of two that would leave the host without a display the boot display is refused.
    if host.boot_display.sign.is_some() || choices.len() < 2 || choices.iter().all(|c| c.chosen.is_ok()) {
        return (choices, host);
    }
    host.find_boot_display(root);
    (boot::choices(config, &host), host)
}

/// All functions at `Depth::Boot`, and the boot display if a section asks for it.
fn whole(root: &Root, config: &Config) -> Host {
    let mut host = Host::scan(root, Depth::Boot);
    if boot::asks_for_boot_display(config) {
        host.find_boot_display(root);
    }
    host.find_virtual(root, &select::slots(config, &host));
    host
}

/// The same with what the IOMMU forbids and what carries data of the host refused as well, after the closer look that this
/// needs.
pub fn admitted<'c>(root: &Root, config: &'c Config, depth: Depth) -> (Vec<Choice<'c>>, Host) {
    let (mut choices, mut host) = match depth {
        Depth::Boot => choices(root, config),
        Depth::Full => {
            let host = Host::scan(root, Depth::Full);
            (boot::choices(config, &host), host)
        }
    };
    match depth {
        Depth::Boot => {
            host.find_data(root, &boot::functions(&choices));
            look_at_groups(root, &mut choices, &mut host);
        }
        Depth::Full => {
            host.find_data(root, &boot::functions(&choices));
            look_closer(root, &mut choices, &mut host);
        }
    }
    (choices, host)
}

/// One section on the running machine, whatever its `bind` says: its functions or why it is refused, and who holds them.
pub fn now<'c>(root: &Root, config: &'c Config, name: &str) -> Result<(Choice<'c>, Host), Finding> {
    let gpu = section(config, name)?;
    let mut host = Host::scan(root, Depth::Full);
    let mut choices = select::all(config, &host);
    choices.retain(|c| c.gpu.name == gpu.name);
    host.find_usage(root, &boot::functions(&choices));
    look_closer(root, &mut choices, &mut host);
    host.find_holders_of_bound(root, &boot::functions(&choices));
    let choice = choices.pop().ok_or_else(|| Finding::new(gpu, &gpu.at, "means nothing"))?;
    Ok((choice, host))
}

/// All sections on the running machine, each with its functions or why not. Who holds them is not looked for.
pub fn all_now<'c>(root: &Root, config: &'c Config) -> (Vec<Choice<'c>>, Host) {
    let mut host = Host::scan(root, Depth::Full);
    let mut choices = select::all(config, &host);
    host.find_usage(root, &boot::functions(&choices));
    look_closer(root, &mut choices, &mut host);
    (choices, host)
}

/// All sections as the next boot and the guests' starts will find them: those bound at boot as the boot judges them, the others
/// by what they mean. In the order of the file.
pub fn judged<'c>(root: &Root, config: &'c Config, host: &mut Host) -> Vec<Choice<'c>> {
    let mut choices = boot::choices(config, &boot::at_next_boot(host));
    choices.extend(select::all(config, host).into_iter().filter(|c| c.gpu.bind == Bind::Guest));
    choices.sort_by_key(|c| config.gpus.iter().position(|g| g.name == c.gpu.name));
    host.find_variants(root, &bind::asks_for_variants(&choices));
    host.find_usage(root, &boot::functions(&choices));
    host.find_direct(root, &boot::functions(&choices));
    boot::admit(&mut choices, host);
    boot::admit_groups(&mut choices, host);
    boot::without_iommu_first(&mut choices, host);
    choices
}

/// The sections of a guest's cards on the running machine. Who holds them is for the caller to look for, if it matters.
pub fn of_guest<'c>(root: &Root, config: &'c Config, guest: &Guest) -> (Vec<Choice<'c>>, Host) {
    let mut host = Host::scan(root, Depth::Full);
    let mut choices = cards(config, guest, &host);
    host.find_usage(root, &boot::functions(&choices));
    look_at_card(root, &mut choices, &mut host);
    if choices.iter().any(|c| rebar::asks(&rebar::wanted(c.gpu, Some(guest)))) {
        host.look_at_bars(root, &boot::functions(&choices));
    }
    (choices, host)
}

/// The closer look at what was chosen that overrides need, and what is refused by it.
fn look_at_groups(root: &Root, choices: &mut [Choice<'_>], host: &mut Host) {
    look_at_each(root, choices, host);
    boot::admit_groups(choices, host);
}

fn look_at_each(root: &Root, choices: &mut [Choice<'_>], host: &mut Host) {
    host.look_closer(root, boot::functions(choices));
    host.find_variants(root, &bind::asks_for_variants(choices));
    boot::admit(choices, host);
}

/// The same, and what binding needs.
fn look_closer(root: &Root, choices: &mut [Choice<'_>], host: &mut Host) {
    look_at_card(root, choices, host);
    boot::admit_groups(choices, host);
}

/// The closer look without the groups: whether the cards answer as well, and how they can be reset.
fn look_at_card(root: &Root, choices: &mut [Choice<'_>], host: &mut Host) {
    look_at_each(root, choices, host);
    host.find_dead(root, &boot::functions(choices));
    host.find_sleepers(root, &boot::functions(choices));
    host.reset_before = choices.iter().flat_map(|choice| journal::reset_before(root, &choice.gpu.name)).collect();
    host.find_vendor_reset(root, choices.iter().any(|choice| reset::asks_for_module(choice, host)));
}

/// The sizes that a card's BARs are to have now, after a look at these BARs if any size is asked for. While a guest has the
/// card they are the guest's business: nobody else asks for any.
pub fn sizes_now(root: &Root, gpu: &Gpu, host: &mut Host, functions: &[Address]) -> rebar::Sizes {
    if root.exists(&claim_path(&gpu.name)) {
        return rebar::Sizes::default();
    }
    let sizes = rebar::wanted(gpu, None);
    if rebar::asks(&sizes) {
        host.look_at_bars(root, functions);
    }
    sizes
}

/// What the machine boots with, and which words its kernel needs for this configuration.
pub fn boot_words(root: &Root, config: &Config) -> (BootSystem, Vec<Word>) {
    let system = BootSystem::scan(root);
    let host = whole(root, config);
    let choices = select::all(config, &host);
    // Intel's own graphics are always at 00:02.0 (drivers/iommu/intel/iommu.c knows them by class on the root bus).
    let integrated = boot::functions(&choices).iter().any(|a| a.slot == Slot { domain: 0, bus: 0, device: 2 });
    let words = parameters::words(config, &system, integrated);
    (system, words)
}

/// The sections bound at boot that the host's data forbids, each with why.
pub fn with_data(root: &Root, config: &Config) -> Vec<Finding> {
    let mut host = whole(root, config);
    let choices = boot::choices(config, &host);
    host.find_data(root, &boot::functions(&choices));
    choices.iter().filter_map(|choice| usage::forbids(choice, &host)).collect()
}

/// Why the unit of a card has nothing to do, if so.
pub fn nothing_to_do(root: &Root, gpu: &str) -> Option<String> {
    settled(&SoFar {
        gpu,
        given_back: root.exists(&marks::given_back_path(gpu)),
        last: card_status::read_all(root).into_iter().find(|s| s.gpu == gpu).map(|s| s.outcome),
        boot_is_over: root.exists(&marks::booted_path()),
        decided_at_boot: marks::decided_at_boot(root, gpu),
    })
}
