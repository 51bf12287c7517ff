// SPDX-License-Identifier: LGPL-2.1-or-later
//! IOMMU groups: whether a guest could get them, and what the host would lose.

use super::{card, usage, Finding};
use crate::finding::codes;
use crate::host::{function, Function, Host};
use crate::pci::Address;
use crate::plan::device::Device;
use crate::plan::list::listed;
use crate::plan::selection::{Selected, Selection};
use serde::Serialize;

/// A member that keeps its group from guests: a driver that does not share (`driver_managed_dma` false,
/// `drivers/iommu/iommu.c`, `iommu_group_claim_dma_owner`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Blocker {
    /// The function.
    pub function: Address,
    /// The host driver that has it.
    pub driver: String,
}

/// Whether a function with this driver leaves its group to a guest: no driver, a vfio driver, pci-stub, and bridges'
/// own pcieport.
fn shares(function: &Function) -> bool {
    match function.driver.as_deref() {
        None | Some("pci-stub" | "pcieport") => true,
        Some(driver) => function::is_vfio(driver),
    }
}

/// Which members of a group keep it from guests now; none if it is viable.
pub fn blockers<'h>(members: impl Iterator<Item = &'h Function>) -> Vec<Blocker> {
    let blocker = |f: &Function| {
        let driver = f.driver.clone().filter(|_| !shares(f))?;
        Some(Blocker { function: f.address, driver })
    };
    members.filter_map(blocker).collect()
}

/// Why no guest can have these functions although the IOMMU translates for them: the firmware wants memory of their group
/// mapped 1:1. Kernels from 6.6 on refuse such a group to vfio (`drivers/iommu/iommu.c`, `__iommu_device_set_domain`), those
/// before with Intel's driver (`device_is_rmrr_locked`).
pub fn one_to_one(selection: &Selection<'_>, host: &Host) -> Option<Finding> {
    let intel = host.iommu.firmware == Some("DMAR");
    mapped(selection, host).filter(|_| intel || !is_before(&host.kernel, (6, 6)))
}

/// The same where the kernel does not refuse it yet.
pub fn one_to_one_later(selection: &Selection<'_>, host: &Host) -> Option<Finding> {
    let mut finding = mapped(selection, host)?.warning();
    finding.text.push_str("; this kernel does not look, later ones do");
    Some(finding).filter(|_| one_to_one(selection, host).is_none())
}

fn mapped(selection: &Selection<'_>, host: &Host) -> Option<Finding> {
    let selected = selection.selected.as_ref().ok()?;
    let groups: Vec<u32> = selected.functions.iter().filter_map(|a| host.function(*a)?.group).collect();
    let (group, place) = host.direct.iter().find(|(group, _)| groups.contains(group))?;
    let text = format!(
        "IOMMU group {group} cannot be given to guests: the firmware requires its memory to be mapped 1:1 ({place})"
    );
    let finding = Finding::card(selection.gpu, &selection.gpu.device.at, codes::GROUP_MAPPED_ONE_TO_ONE, text);
    Some(finding.hint(
        "a firmware update, another slot, or the switch for pre-boot DMA protection in the firmware's setup may help",
    ))
}

/// Whether a kernel's release is older than this one; what cannot be read is not.
fn is_before(release: &str, version: (u32, u32)) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse::<u32>().ok());
    let release = (numbers.next().flatten(), numbers.next().flatten());
    matches!(release, (Some(major), Some(minor)) if (major, minor) < version)
}

/// An `also` that is not in the card's group is refused: nothing asks for it, and it may be the host's disk. What is in the
/// card's slot may be named there as well as in `functions`.
pub fn foreign_also(selection: &Selection<'_>, host: &Host) -> Option<Finding> {
    let selected = selection.selected.as_ref().ok()?;
    let groups: Vec<u32> = selected.card.iter().filter_map(|a| host.function(*a)?.group).collect();
    let gpu = selection.gpu;
    let also = gpu
        .also
        .iter()
        .filter(|also| also.value.slot != selected.slot)
        .find(|also| host.function(also.value).is_some_and(|f| !f.group.is_some_and(|g| groups.contains(&g))))?;
    let kind = host.function(also.value).map_or("device", Function::kind);
    let text = format!("{} in 'also' ({kind}) is not in the card's IOMMU group", also.value);
    Some(Finding::card(gpu, &also.at, codes::ALSO_NOT_IN_GROUP, text).hint("remove it from this line"))
}

/// Whether a host driver takes such a function in practice, by its class: what has no driver before the boot's first modules
/// are loaded is judged as it will be. Nobody drives host bridges, memory controllers, interrupt controllers and the like.
fn is_driven(function: &Function) -> bool {
    match (function.class >> 16, function.class >> 8 & 0xff) {
        (0x01..=0x04 | 0x07 | 0x09 | 0x0c..=0x10 | 0x12, _) => true,
        // SD hosts, of all "generic system peripherals".
        (0x08, sub) => sub == 0x05,
        _ => false,
    }
}

/// Why no guest could get the card: a member of one of its groups stays with the host, whose driver does not share the group
/// (`drivers/iommu/iommu.c`, `iommu_group_claim_dma_owner`). The same at boot, where no driver has anything yet, and later.
/// `refused` names sections that take nothing after all.
pub fn not_viable(selection: &Selection<'_>, refused: &[String], host: &Host) -> Option<Finding> {
    let selected = selection.selected.as_ref().ok()?;
    let mut groups: Vec<u32> = selected.functions.iter().filter_map(|a| host.function(*a)?.group).collect();
    groups.sort_unstable();
    groups.dedup();
    let others = selected.beside.iter().filter(|(name, _)| !refused.contains(name));
    let taken: Vec<Address> = others.flat_map(|(_, functions)| functions).chain(&selected.functions).copied().collect();
    let keeps = |f: &&Function| match f.driver {
        Some(_) => !shares(f),
        None => is_driven(f) && !host.words.gives_away(f.vendor, f.device),
    };
    let members = groups.iter().flat_map(|group| host.group(*group));
    let kept: Vec<&Function> = members.filter(|f| !taken.contains(&f.address)).filter(keeps).collect();
    if kept.is_empty() {
        return None;
    }
    let shown = |f: &&Function| match &f.driver {
        Some(driver) => format!("{} ({}, {driver})", f.address, f.kind()),
        None => format!("{} ({})", f.address, f.kind()),
    };
    let group = match groups[..] {
        [group] => format!("IOMMU group {group}"),
        _ => "its IOMMU groups".to_owned(),
    };
    let text = format!(
        "no guest can have it: {group} also has {}, and the host's {} the whole group from guests",
        listed(&kept.iter().map(shown).collect::<Vec<_>>()),
        if kept.len() == 1 { "driver for that keeps" } else { "drivers for these keep" },
    );
    let finding = Finding::card(selection.gpu, &selection.gpu.device.at, codes::GROUP_NOT_VIABLE, text);
    Some(finding.hint(way_out(selected, &kept, host)))
}

/// What can be done about members of the card's groups that the host keeps.
fn way_out(selected: &Selected, kept: &[&Function], host: &Host) -> String {
    const ACS: &str =
        "a kernel with the ACS override patch may split the group ('pcie_acs_override=downstream,multifunction'; \
                       other kernels do not know the word)";
    let (it, them) = if kept.len() == 1 { ("it", "that") } else { ("them", "all of these") };
    if let Some(bridge) = kept.iter().find(|f| f.is_bridge()) {
        let driver = bridge.driver.as_deref().unwrap_or_default();
        return format!("keep {driver} from taking {}, a bridge, or use another slot", bridge.address);
    }
    let slot_of_own = "another slot may have a group of its own, and ";
    // What the host lives on is never advised to be given up.
    if let Some((needed, data)) = kept.iter().find_map(|f| Some((f.address, usage::data(host, f.address)?))) {
        return format!("{needed} {data}, so it stays; {slot_of_own}{ACS}");
    }
    let disk = kept.iter().any(|f| f.class >> 16 == 0x01);
    if disk && !host.whole {
        // What is on it is not looked for in the boot path.
        return "'vfio plan' says what can be done".to_owned();
    }
    let within = kept.iter().all(|f| f.address.slot == selected.slot);
    let ask = if within {
        let members = host.slot(selected.slot).iter().filter(|f| !f.is_bridge() && !f.is_virtual());
        let desired = members.filter(|f| selected.is_card(f.address) || kept.iter().any(|k| k.address == f.address));
        let numbers: Vec<String> = desired.map(|f| f.address.function.to_string()).collect();
        let own = card::own_functions(&Device::of(kept[0]).members(host), |_| true);
        if kept.iter().all(|f| own.contains(&f.address)) {
            return "leave 'functions' out of this section, for these are of the same card".to_owned();
        }
        format!("list {it} too ('functions = {}')", numbers.join(","))
    } else {
        let addresses: Vec<String> = kept.iter().map(|f| f.address.to_string()).collect();
        format!("add {it} to 'also' ({})", addresses.join(", "))
    };
    let disks = if disk { " (not with a disk among them that the host uses)" } else { "" };
    let slot = if within { "" } else { slot_of_own };
    format!("if the host can do without {them}, {ask}{disks}; else {slot}{ACS}")
}
