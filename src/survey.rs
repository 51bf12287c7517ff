// SPDX-License-Identifier: LGPL-2.1-or-later
//! Looking at the machine as far as a decision needs it, and deciding: what the doors share.

use crate::config::{Bind, Config, Gpu, Guest};
use crate::finding::codes;
use crate::host::boot::BootSystem;
use crate::host::run::card_status;
use crate::host::run::claims::claim_path;
use crate::host::run::marks;
use crate::host::{Depth, Host};
use crate::journal;
use crate::pci::{Address, Slot};
use crate::plan::already_decided::{settled, CardHistory};
use crate::plan::cmdline::parameters::{self, Parameter};
use crate::plan::guest::cards;
use crate::plan::select;
use crate::plan::selection::Selection;
use crate::plan::{bind, boot, rebar, reset, section, usage, Finding};
use crate::root::Root;

/// The sections bound at boot, each with its functions or why it is refused, and the machine as far as it was looked at:
/// near the cards if all of them are chosen by address and nothing is refused, else whole.
pub fn selections<'c>(root: &Root, config: &'c Config) -> (Vec<Selection<'c>>, Host) {
    if let Some(slots) = boot::slots_by_address(config) {
        let host = Host::scan_near(root, &slots);
        let selections = boot::selections(config, &host);
        if selections.iter().all(|c| c.selected.is_ok()) {
            return (selections, host);
        }
    }
    let mut host = whole(root, config);
    let selections = boot::selections(config, &host);
    // Of two that would leave the host without a display the boot display is refused.
    if host.boot_display.sign.is_some() || selections.len() < 2 || selections.iter().all(|c| c.selected.is_ok()) {
        return (selections, host);
    }
    host.find_boot_display(root);
    (boot::selections(config, &host), host)
}

/// All functions at `Depth::Boot`, and the boot display if a section asks for it.
pub fn whole(root: &Root, config: &Config) -> Host {
    let mut host = Host::scan(root, Depth::Boot);
    if boot::asks_for_boot_display(config) {
        host.find_boot_display(root);
    }
    host.find_virtual(root, &select::slots(config, &host));
    host
}

/// The same with what the IOMMU forbids and what carries data of the host refused as well, after the closer look that this
/// needs.
pub fn admitted<'c>(root: &Root, config: &'c Config, depth: Depth) -> (Vec<Selection<'c>>, Host) {
    let (mut selections, mut host) = match depth {
        Depth::Boot => selections(root, config),
        Depth::Full => {
            let host = Host::scan(root, Depth::Full);
            (boot::selections(config, &host), host)
        }
    };
    host.find_data(root, &boot::functions(&selections));
    match depth {
        Depth::Boot => inspect_groups(root, &mut selections, &mut host),
        Depth::Full => inspect(root, &mut selections, &mut host),
    }
    (selections, host)
}

/// One section on the running machine, whatever its `bind` says: its functions or why it is refused, and who holds them.
pub fn card_now<'c>(root: &Root, config: &'c Config, name: &str) -> Result<(Selection<'c>, Host), Finding> {
    let gpu = section(config, name)?;
    let mut host = Host::scan(root, Depth::Full);
    let mut selections = select::select_all(config, &host);
    selections.retain(|c| c.gpu.name == gpu.name);
    host.find_usage(root, &boot::functions(&selections));
    inspect(root, &mut selections, &mut host);
    host.find_holders_of_bound(root, &boot::functions(&selections));
    let selection = selections.pop().ok_or_else(|| {
        Finding::card(gpu, &gpu.at, codes::INTERNAL, "resolves to no card").hint("please report this")
    })?;
    Ok((selection, host))
}

/// All sections on the running machine, each with its functions or why not. Who holds them is not looked for.
pub fn cards_now<'c>(root: &Root, config: &'c Config) -> (Vec<Selection<'c>>, Host) {
    cards_of(root, config, Host::scan(root, Depth::Full))
}

/// The same on a machine that was looked at already, at `Depth::Full`.
pub fn cards_of<'c>(root: &Root, config: &'c Config, mut host: Host) -> (Vec<Selection<'c>>, Host) {
    let mut selections = select::select_all(config, &host);
    host.find_usage(root, &boot::functions(&selections));
    inspect(root, &mut selections, &mut host);
    (selections, host)
}

/// All sections as the next boot and the guests' starts will find them: those bound at boot as the boot judges them, the others
/// by what they mean. In the order of the file.
pub fn judged<'c>(root: &Root, config: &'c Config, host: &mut Host) -> Vec<Selection<'c>> {
    let mut selections = boot::selections(config, &boot::at_next_boot(host));
    selections.extend(select::select_all(config, host).into_iter().filter(|c| c.gpu.bind == Bind::Guest));
    selections.sort_by_key(|c| config.gpus.iter().position(|g| g.name == c.gpu.name));
    host.find_variants(root, &bind::asks_for_variants(&selections));
    host.find_usage(root, &boot::functions(&selections));
    host.find_direct(root, &boot::functions(&selections));
    boot::admit(&mut selections, host);
    boot::admit_groups(&mut selections, host);
    boot::without_iommu_first(&mut selections, host);
    selections
}

/// The sections of a guest's cards on the running machine. Who holds them is for the caller to look for, if it matters.
pub fn of_guest<'c>(root: &Root, config: &'c Config, guest: &Guest) -> (Vec<Selection<'c>>, Host) {
    of_guest_on(root, config, guest, Host::scan(root, Depth::Full))
}

/// The same on a machine that was looked at already, at `Depth::Full`.
pub fn of_guest_on<'c>(root: &Root, config: &'c Config, guest: &Guest, mut host: Host) -> (Vec<Selection<'c>>, Host) {
    let mut selections = cards(config, guest, &host);
    host.find_usage(root, &boot::functions(&selections));
    inspect_card(root, &mut selections, &mut host);
    if selections.iter().any(|c| rebar::asks(&rebar::desired(c.gpu, Some(guest)))) {
        host.inspect_bars(root, &boot::functions(&selections));
    }
    (selections, host)
}

/// All sections, each with what it chooses now, for a domain that no guest is. Nothing is looked at closely: libvirt waits.
pub fn chosen<'c>(root: &Root, config: &'c Config) -> (Vec<Selection<'c>>, Host) {
    let host = whole(root, config);
    (select::select_all(config, &host), host)
}

/// The closer look at what was chosen that overrides need, and what is refused by it.
fn inspect_groups(root: &Root, selections: &mut [Selection<'_>], host: &mut Host) {
    inspect_each(root, selections, host);
    boot::admit_groups(selections, host);
}

fn inspect_each(root: &Root, selections: &mut [Selection<'_>], host: &mut Host) {
    host.inspect(root, boot::functions(selections));
    host.find_variants(root, &bind::asks_for_variants(selections));
    boot::admit(selections, host);
}

/// The same, and what binding needs.
fn inspect(root: &Root, selections: &mut [Selection<'_>], host: &mut Host) {
    inspect_card(root, selections, host);
    boot::admit_groups(selections, host);
}

/// The closer look without the groups: whether the cards answer as well, and how they can be reset.
fn inspect_card(root: &Root, selections: &mut [Selection<'_>], host: &mut Host) {
    inspect_each(root, selections, host);
    host.find_dead(root, &boot::functions(selections));
    host.find_sleepers(root, &boot::functions(selections));
    host.reset_before =
        selections.iter().flat_map(|selection| journal::reset_before(root, &selection.gpu.name)).collect();
    host.find_vendor_reset(root, selections.iter().any(|selection| reset::asks_for_module(selection, host)));
}

/// The sizes that a card's BARs are to have now, after a look at these BARs if any size is asked for. While a guest has the
/// card they are the guest's business: nobody else asks for any.
pub fn sizes_now(root: &Root, gpu: &Gpu, host: &mut Host, functions: &[Address]) -> rebar::Sizes {
    if root.exists(&claim_path(&gpu.name)) {
        return rebar::Sizes::default();
    }
    let sizes = rebar::desired(gpu, None);
    if rebar::asks(&sizes) {
        host.inspect_bars(root, functions);
    }
    sizes
}

/// What the machine boots with, and which parameters its kernel needs for this configuration.
pub fn required_parameters(root: &Root, config: &Config) -> (BootSystem, Vec<Parameter>) {
    required_parameters_on(root, config, &whole(root, config))
}

/// The same on a machine that was looked at already.
pub fn required_parameters_on(root: &Root, config: &Config, host: &Host) -> (BootSystem, Vec<Parameter>) {
    let system = BootSystem::scan(root);
    let selections = select::select_all(config, host);
    // Intel's own graphics are always at 00:02.0 (drivers/iommu/intel/iommu.c knows them by class on the root bus).
    let integrated = boot::functions(&selections).iter().any(|a| a.slot == Slot { domain: 0, bus: 0, device: 2 });
    let parameters = parameters::parameters(config, &system, integrated);
    (system, parameters)
}

/// The sections bound at boot that the host's data forbids, each with why, on a machine that was looked at already.
pub fn with_data(root: &Root, config: &Config, mut host: Host) -> Vec<Finding> {
    let selections = boot::selections(config, &host);
    host.find_data(root, &boot::functions(&selections));
    selections.iter().filter_map(|selection| usage::forbids(selection, &host)).collect()
}

/// Why the unit of a card has nothing to do, if so.
pub fn nothing_to_do(root: &Root, gpu: &str) -> Option<String> {
    settled(&CardHistory {
        gpu,
        given_back: root.exists(&marks::given_back_path(gpu)),
        last: card_status::read_all(root).into_iter().find(|s| s.gpu == gpu).map(|s| s.outcome),
        boot_is_over: root.exists(&marks::booted_path()),
        decided_at_boot: marks::decided_at_boot(root, gpu),
    })
}
