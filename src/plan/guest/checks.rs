// SPDX-License-Identifier: LGPL-2.1-or-later
//! What must be so before a guest may start: claims, IOMMU, groups, drivers, memory, files.

use super::leaving::leaving;
use super::taken::{with_host, ROOT};
use crate::config::{Bind, Gpu, Guest, Handover, Runner, DEFAULT_USER};
use crate::finding::codes;
use crate::host::domain::{Domain, HugePages};
use crate::host::{function, Function, Host};
use crate::pci::Address;
use crate::plan::amount::amount;
use crate::plan::guest::{DomainState, GuestContext};
use crate::plan::selection::{Selected, Selection};
use crate::plan::{bind, boot, display, group, iommu, reset, unbind, usage, Finding};
use crate::text::shell_word;

/// Why the guest cannot start (errors), and what the user should know although it can (warnings). `selections` are those of
/// the guest's own sections; the host is one seen in full, with holders of all their functions.
pub(super) fn check(guest: &Guest, selections: &[Selection<'_>], host: &Host, context: &GuestContext) -> Vec<Finding> {
    let functions = boot::functions(selections);
    let ends = !leaving(guest, selections, &with_host(&functions, host), host, context).sessions.is_empty();
    let all = All { guest, selections, host, context, ends };
    let mut findings = Vec::new();
    for selection in selections {
        match &selection.selected {
            Err(finding) => findings.push(finding.for_guest(guest)),
            Ok(selected) => {
                let (_, resets) = reset::steps(selection, host, false);
                let losses = usage::losses(selection, host);
                let mapped = group::one_to_one_later(selection, host);
                let known = selected.warnings.iter().chain(&resets).chain(&losses).chain(&mapped);
                findings.extend(known.map(|warning| warning.for_guest(guest).warning()));
                findings.extend(all.card(selection, selected));
            }
        }
    }
    findings.extend(all.groups());
    findings.extend(all.vfio());
    findings.extend(all.way_back());
    findings.extend(all.files());
    findings.extend(all.user());
    findings.extend(all.bus());
    findings.extend(all.memory());
    findings
}

/// A function with what it is and the driver that it is bound to, for a sentence.
pub(super) fn show(function: &Function) -> String {
    format!("{} ({}, {})", function.address, function.kind(), function.driver.as_deref().unwrap_or("no driver"))
}

/// Everything there is to judge by.
struct All<'a> {
    guest: &'a Guest,
    selections: &'a [Selection<'a>],
    host: &'a Host,
    context: &'a GuestContext,
    /// Whether sessions end for it.
    ends: bool,
}

impl All<'_> {
    /// All functions that the guest gets.
    fn ours(&self) -> Vec<Address> {
        let selected = self.selections.iter().filter_map(|c| c.selected.as_ref().ok());
        selected.flat_map(|c| c.functions.iter().copied()).collect()
    }

    /// The domain, if the guest is one and it can be understood.
    fn domain(&self) -> Option<&Domain> {
        match &self.context.domain {
            Some(DomainState::Known { domain, .. }) => Some(domain),
            _ => None,
        }
    }

    /// The user that is to run the command does not exist.
    fn user(&self) -> Option<Finding> {
        let Guest { user, .. } = self.guest;
        if self.guest.runner != Runner::Command || user == ROOT || self.context.user.is_some() {
            return None;
        }
        let hint = if user == DEFAULT_USER {
            "'systemd-sysusers' creates it; or set 'user' to the user that is to run the command"
        } else {
            "set 'user' to one that 'getent passwd' lists"
        };
        let text = format!("there is no user '{user}' to run its command");
        Some(Finding::guest(self.guest, codes::NO_SUCH_USER, text).hint(hint))
    }

    /// systemd cannot be asked to run commands.
    fn bus(&self) -> Option<Finding> {
        let Guest { runner, before, after, .. } = self.guest;
        let has_commands = *runner == Runner::Command || !before.is_empty() || !after.is_empty();
        let text = "systemd is asked through D-Bus to run its commands, and there is no D-Bus here";
        let finding = || Finding::guest(self.guest, codes::NO_DBUS, text).hint("install dbus");
        (self.context.lacks_bus && has_commands).then(finding)
    }

    /// Functions of a card that must still be moved to the driver they should have.
    fn moving(&self, selection: &Selection<'_>) -> Vec<&Function> {
        let desired = bind::desired(selection, self.host);
        let moves = |(address, driver): &(Address, String)| {
            self.host.function(*address).filter(|f| f.driver.as_ref() != Some(driver))
        };
        desired.iter().filter_map(moves).collect()
    }

    /// What speaks against one card. Once it is another guest's, or no guest could have it, the rest does not matter.
    fn card(&self, selection: &Selection<'_>, selected: &Selected) -> Vec<Finding> {
        let gpu = selection.gpu;
        if let Some(finding) = self.claimed(gpu).or_else(|| self.in_a_guest(gpu, selected)) {
            return vec![finding];
        }
        let forbidden = iommu::without(selection, &selected.functions, self.host)
            .or_else(|| group::one_to_one(selection, self.host))
            .or_else(|| group::foreign_also(selection, self.host))
            .or_else(|| reset::dead(gpu, &selected.functions, self.host));
        if let Some(finding) = forbidden {
            return vec![finding.for_guest(self.guest)];
        }
        let mut findings = self.release(selection);
        findings.extend(self.last_display(selection, selected));
        findings.iter().map(|finding| finding.for_guest(self.guest)).collect()
    }

    /// Another guest of the configuration has the card.
    fn claimed(&self, gpu: &Gpu) -> Option<Finding> {
        let (_, owner) = self.context.claims.iter().find(|(card, o)| *card == gpu.name && *o != self.guest.name)?;
        let text = format!("[gpu {}] belongs to [guest {owner}] now", gpu.name);
        let finding = Finding::guest_at(self.guest, &self.guest.gpus.at, codes::CARD_IN_GUEST, text);
        Some(finding.hint(format!("'vfio guest stop {owner}' first")))
    }

    /// A guest that vfio has not started has the card: to end it as a mere holder would be the loss of its work.
    fn in_a_guest(&self, gpu: &Gpu, selected: &Selected) -> Option<Finding> {
        let held = self.host.holders.iter().filter(|(address, _)| selected.functions.contains(address));
        let (address, holder) = held.into_iter().find(|(_, holder)| holder.node.starts_with("/dev/vfio/"))?;
        let text = format!("{address} is already in use by a guest: {holder}");
        let finding = Finding::card(gpu, &gpu.device.at, codes::CARD_IN_FOREIGN_GUEST, text);
        Some(finding.hint("shut that guest down first").for_guest(self.guest))
    }

    /// Functions that are bound to a host driver and cannot be unbound from it. Processes that hold a card are not a
    /// reason: the hand-over ends them, or waits for them.
    fn release(&self, selection: &Selection<'_>) -> Vec<Finding> {
        let gpu = selection.gpu;
        let on_host = |f: &&Function| f.driver.as_deref().is_some_and(|driver| !function::is_vfio(driver));
        let moving: Vec<&Function> = self.moving(selection).into_iter().filter(on_host).collect();
        if self.guest.handover == Handover::None && !moving.is_empty() {
            let bound = |f: &&Function| format!("{} to {}", f.address, f.driver.as_deref().unwrap_or("none"));
            let bound = moving.iter().map(bound).collect::<Vec<_>>().join(", ");
            let way = match gpu.bind {
                Bind::Boot => format!("'vfio bind {}' first, or reboot", gpu.name),
                Bind::Guest => "set 'bind = boot' and reboot, or use 'handover = auto'".to_owned(),
            };
            let text = format!(
                "is not bound to vfio ({bound}), and 'handover = none' unbinds nothing from the host's drivers"
            );
            return vec![Finding::card(gpu, &gpu.device.at, codes::CARD_NOT_BOUND, text).hint(way)];
        }
        let mut findings = Vec::new();
        for function in moving {
            let (address, driver) = (function.address, function.driver.as_deref().unwrap_or_default());
            let mut held = self.host.holders.iter().filter(|(held, _)| *held == address);
            if let Some((_, mount)) = held.find(|(_, holder)| holder.is_mount()) {
                let text = format!("{address} stays bound to {driver}: {mount}");
                findings.push(Finding::card(gpu, &gpu.device.at, codes::CARD_HELD, text).hint("unmount it first"));
            } else if let Some(other) = self.keeps_nvidia().filter(|_| driver == "nvidia") {
                let text = format!(
                    "{address} stays bound to nvidia, which does not release it while nvidia_drm is loaded, and the host \
                     needs that module for {}",
                    other.address
                );
                let finding = Finding::card(gpu, &gpu.device.at, codes::NVIDIA_DRM_LOADED, text);
                findings.push(finding.hint("use 'bind = boot' and reboot"));
            } else {
                findings.extend(unbind::stays(gpu, function));
            }
        }
        findings
    }

    /// A card that stays bound to NVIDIA's driver, and so keeps its modules loaded: it matters if nvidia_drm is among them.
    fn keeps_nvidia(&self) -> Option<&Function> {
        let drm = self.host.nvidia_drm || self.context.modules.iter().any(|module| module == "nvidia_drm");
        self.others_on_nvidia().filter(|_| drm)
    }

    fn others_on_nvidia(&self) -> Option<&Function> {
        let ours = self.ours();
        let nvidia = |f: &&Function| f.driver.as_deref() == Some("nvidia");
        self.host.functions.iter().filter(nvidia).find(|f| !ours.contains(&f.address))
    }

    /// Sessions that stay need something to be seen on.
    fn last_display(&self, selection: &Selection<'_>, selected: &Selected) -> Option<Finding> {
        let shown = |f: &Function| f.has_outputs() && !f.is_given_away();
        let shows = selected.functions.iter().filter_map(|a| self.host.function(*a)).any(shown);
        let matters = self.guest.handover == Handover::Hot && shows && !selection.gpu.only_display;
        if !matters || display::keeps_one(self.selections, self.host) {
            return None;
        }
        let text = "is the host's last display, and with 'handover = hot' the host's sessions stay";
        let finding = Finding::card(selection.gpu, &selection.gpu.device.at, codes::LAST_DISPLAY, text);
        Some(finding.hint("use 'handover = auto'"))
    }

    /// Functions that share a group with the guest's and keep it from every guest. What libvirt itself moves to vfio
    /// before the guest starts does not.
    fn groups(&self) -> Vec<Finding> {
        let ours = self.ours();
        let moved = |address: Address| {
            self.domain().is_some_and(|d| d.hostdevs.iter().any(|device| device.managed && device.address == address))
        };
        let (mut seen, mut findings) = (Vec::new(), Vec::new());
        for selection in self.selections {
            let Ok(selected) = &selection.selected else { continue };
            for number in selected.functions.iter().filter_map(|a| self.host.function(*a)?.group) {
                if seen.contains(&number) {
                    continue;
                }
                seen.push(number);
                let members = self.host.group(number).filter(|f| !ours.contains(&f.address));
                for blocker in group::blockers(members).iter().filter(|b| !moved(b.function)) {
                    let Some(function) = self.host.function(blocker.function) else { continue };
                    let (text, way) = blocks(function, number, selected);
                    let finding = Finding::card(selection.gpu, &selection.gpu.device.at, codes::GROUP_NOT_VIABLE, text);
                    findings.push(finding.hint(way).for_guest(self.guest));
                }
            }
        }
        findings
    }

    /// The driver that the cards are to be moved to.
    fn vfio(&self) -> Option<Finding> {
        let moving = self.selections.iter().find(|selection| !self.moving(selection).is_empty());
        let gpu = moving.filter(|_| !self.context.vfio_available)?.gpu;
        let text = "needs vfio-pci, which is not there for the running kernel";
        let finding = Finding::card(gpu, &self.guest.at, codes::VFIO_PCI_MISSING, text);
        Some(finding.hint("if the kernel was updated, reboot").for_guest(self.guest))
    }

    /// Modules that the hand-over unloads and that could not be loaded again.
    fn way_back(&self) -> Option<Finding> {
        let host_has = |f: &&Function| f.driver.as_deref() == Some("nvidia");
        let taken = self.selections.iter().find(|selection| self.moving(selection).iter().any(host_has))?;
        let unloads = self.guest.handover != Handover::None && self.others_on_nvidia().is_none();
        let missing = &self.context.unloadable_missing;
        if !unloads || missing.is_empty() {
            return None;
        }
        let text = format!(
            "could not be given back to the host: {} would be unloaded, and {} not there for the running kernel",
            missing.join(", "),
            if missing.len() == 1 { "is" } else { "are" }
        );
        let finding = Finding::card(taken.gpu, &taken.gpu.device.at, codes::MODULE_NOT_RELOADABLE, text);
        Some(finding.hint("if the kernel or the driver was updated, reboot").for_guest(self.guest))
    }

    /// Files that are not as they must be.
    fn files(&self) -> Vec<Finding> {
        let guest = self.guest;
        let finding = |file: &super::FileProblem| {
            let text = format!("the {} {} {}", file.what, file.path, file.problem);
            let roms =
                self.selections.iter().filter_map(|selection| Some((selection.gpu, selection.gpu.rom.as_ref()?)));
            if let Some((gpu, rom)) = roms.into_iter().find(|(_, rom)| rom.value == file.path) {
                let finding = Finding::card(gpu, &rom.at, codes::GUEST_FILE, text);
                return finding.hint("put that right or remove this line").for_guest(guest);
            }
            let way = match guest.runner {
                Runner::Libvirt => edit(guest),
                Runner::Command => "change 'command'".to_owned(),
            };
            Finding::guest(guest, codes::GUEST_FILE, text).hint(format!("put that right or {way}"))
        };
        self.context.files.iter().map(finding).collect()
    }

    /// A guest with a card has all of its memory, from the start on: vfio pins it.
    fn memory(&self) -> Option<Finding> {
        let domain = self.domain()?;
        let (guest, memory, needs) = (self.guest, &self.context.memory, domain.memory);
        let name = format!("domain {} needs {}", guest.domain, amount(needs));
        if memory.total > 0 && needs > memory.total {
            let text = format!("{name} of memory and this machine has {}", amount(memory.total));
            return Some(Finding::guest(guest, codes::MEMORY_EXCEEDS_MACHINE, text).hint(edit(guest)));
        }
        // Huge pages are no part of what is available.
        if domain.huge_pages != HugePages::No || memory.available == 0 || needs <= memory.available {
            return None;
        }
        let text = format!("{name} of memory and {} are available", amount(memory.available));
        let finding = Finding::guest(guest, codes::MEMORY_NOT_AVAILABLE, text).warning();
        Some(finding.hint(if self.ends || guest.handover == Handover::Steal {
            "it starts only if the end of the desktop frees the rest"
        } else {
            "end programs that use memory, or it may not start"
        }))
    }
}

/// Why a member of a card's group keeps it from guests, and what to do.
fn blocks(function: &Function, group: u32, selected: &Selected) -> (String, &'static str) {
    let shown = show(function);
    if function.is_bridge() {
        (
            format!("{shown} shares IOMMU group {group} and its driver keeps the group from guests"),
            "keep that driver from loading",
        )
    } else if function.address.slot == selected.slot {
        (
            format!("{shown} is a function of the same card in IOMMU group {group} and stays with the host"),
            "use 'functions = all'",
        )
    } else {
        (
            format!("{shown} shares IOMMU group {group} and keeps the group from guests"),
            "if the host may lose this device, add it to 'also', else put the card into another slot",
        )
    }
}

/// How the domain is changed.
pub(super) fn edit(guest: &Guest) -> String {
    format!("change the domain ('virsh -c {} edit {}')", shell_word(&guest.uri), shell_word(&guest.domain))
}

#[cfg(test)]
#[path = "checks_tests.rs"]
mod tests;
