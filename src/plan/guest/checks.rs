// SPDX-License-Identifier: LGPL-2.1-or-later
//! What must be so before a guest may start: claims, IOMMU, groups, drivers, memory, files.

use super::hand_over::{with_host, ROOT};
use super::leaving::leaving;
use crate::config::{Bind, Gpu, Guest, Handover, Runner, DEFAULT_USER};
use crate::host::domain::{Domain, HugePages};
use crate::host::{function, Function, Host};
use crate::pci::Address;
use crate::plan::guest::{DomainState, Surroundings};
use crate::plan::select::{Choice, Chosen};
use crate::plan::Remark;
use crate::plan::{bind, boot, display, group, iommu, reset, unbind, usage, Finding};

/// Why the guest cannot start, and what the user should know although it can: refusals, warnings. `choices` are those of
/// the guest's own sections; the host is one seen in full, with holders of all their functions.
pub(super) fn check(
    guest: &Guest,
    choices: &[Choice<'_>],
    host: &Host,
    around: &Surroundings,
) -> (Vec<Remark>, Vec<Remark>) {
    let functions = boot::functions(choices);
    let ends = !leaving(guest, choices, &with_host(&functions, host), host, around).sessions.is_empty();
    let all = All { guest, choices, host, around, ends };
    let (mut refusals, mut warnings) = (Vec::new(), Vec::new());
    for choice in choices {
        match &choice.chosen {
            Err(finding) => refusals.push(Remark::of(guest, finding)),
            Ok(chosen) => {
                let (_, resets) = reset::steps(choice, host, false);
                let losses = usage::losses(choice, host);
                let mapped = group::one_to_one_later(choice, host);
                let known = chosen.warnings.iter().chain(&resets).chain(&losses).chain(&mapped);
                warnings.extend(known.map(|warning| Remark::of(guest, warning)));
                refusals.extend(all.card(choice, chosen));
            }
        }
    }
    refusals.extend(all.groups());
    refusals.extend(all.vfio());
    refusals.extend(all.way_back());
    refusals.extend(all.files());
    refusals.extend(all.user());
    refusals.extend(all.bus());
    all.memory(&mut refusals, &mut warnings);
    (refusals, warnings)
}

/// A function with what it is and who has it, for a sentence.
pub(super) fn show(function: &Function) -> String {
    format!("{} ({}, {})", function.address, function.kind(), function.driver.as_deref().unwrap_or("no driver"))
}

/// Everything there is to judge by.
struct All<'a> {
    guest: &'a Guest,
    choices: &'a [Choice<'a>],
    host: &'a Host,
    around: &'a Surroundings,
    /// Whether sessions end for it.
    ends: bool,
}

impl All<'_> {
    /// All functions that the guest gets.
    fn ours(&self) -> Vec<Address> {
        let chosen = self.choices.iter().filter_map(|c| c.chosen.as_ref().ok());
        chosen.flat_map(|c| c.functions.iter().copied()).collect()
    }

    /// The domain, if the guest is one and it can be understood.
    fn domain(&self) -> Option<&Domain> {
        match &self.around.domain {
            Some(DomainState::Known { domain, .. }) => Some(domain),
            _ => None,
        }
    }

    /// Nobody who could run the command.
    fn user(&self) -> Option<Remark> {
        let Guest { user, .. } = self.guest;
        if self.guest.runner != Runner::Command || user == ROOT || self.around.user.is_some() {
            return None;
        }
        let hint = match user == DEFAULT_USER {
            true => "'systemd-sysusers' makes it; or write user = and the one who is to run the command",
            false => "write user = and one that 'getent passwd' lists",
        };
        Some(Remark::new(self.guest, format!("there is no user '{user}' to run its command; {hint}")))
    }

    /// Nobody who could be asked to run commands.
    fn bus(&self) -> Option<Remark> {
        let Guest { runner, before, after, .. } = self.guest;
        let has_commands = *runner == Runner::Command || !before.is_empty() || !after.is_empty();
        let text = "systemd is asked by D-Bus to run its commands, and there is no D-Bus here; install dbus";
        (self.around.lacks_bus && has_commands).then(|| Remark::new(self.guest, text))
    }

    /// Functions of a card that must still be moved to the driver they should have.
    fn moving(&self, choice: &Choice<'_>) -> Vec<&Function> {
        let wanted = bind::wanted(choice, self.host);
        let moves = |(address, driver): &(Address, String)| {
            self.host.function(*address).filter(|f| f.driver.as_ref() != Some(driver))
        };
        wanted.iter().filter_map(moves).collect()
    }

    /// What speaks against one card. Once it is somebody else's, or no guest could have it, the rest does not matter.
    fn card(&self, choice: &Choice<'_>, chosen: &Chosen) -> Vec<Remark> {
        let gpu = choice.gpu;
        if let Some(remark) = self.claimed(gpu).or_else(|| self.in_a_guest(gpu, chosen)) {
            return vec![remark];
        }
        let forbidden = iommu::without(choice, &chosen.functions, self.host)
            .or_else(|| group::one_to_one(choice, self.host))
            .or_else(|| group::foreign_also(choice, self.host))
            .or_else(|| reset::dead(gpu, &chosen.functions, self.host));
        if let Some(finding) = forbidden {
            return vec![Remark::of(self.guest, &finding)];
        }
        let mut findings = self.release(choice);
        findings.extend(self.last_display(choice, chosen));
        findings.iter().map(|finding| Remark::of(self.guest, finding)).collect()
    }

    /// Another guest of the configuration has the card.
    fn claimed(&self, gpu: &Gpu) -> Option<Remark> {
        let (_, owner) = self.around.claims.iter().find(|(card, o)| *card == gpu.name && *o != self.guest.name)?;
        let text = format!("[gpu {}] belongs to [guest {owner}] now; 'vfio guest stop {owner}' first", gpu.name);
        Some(Remark::at(self.guest, &self.guest.gpus.at, text))
    }

    /// A guest that is none of ours has the card: to end it as a mere holder would be the loss of its work.
    fn in_a_guest(&self, gpu: &Gpu, chosen: &Chosen) -> Option<Remark> {
        let held = self.host.holders.iter().filter(|(address, _)| chosen.functions.contains(address));
        let (address, holder) = held.into_iter().find(|(_, holder)| holder.node.starts_with("/dev/vfio/"))?;
        let text = format!("{address} is in use by a guest already: {holder}; shut that down first");
        Some(Remark::of(self.guest, &Finding::new(gpu, &gpu.device.at, text)))
    }

    /// Functions that a host driver has and that will not come from it. Processes that hold a card are no reason: the
    /// hand-over ends them, or waits for them.
    fn release(&self, choice: &Choice<'_>) -> Vec<Finding> {
        let gpu = choice.gpu;
        let on_host = |f: &&Function| f.driver.as_deref().is_some_and(|driver| !function::is_vfio(driver));
        let moving: Vec<&Function> = self.moving(choice).into_iter().filter(on_host).collect();
        if self.guest.handover == Handover::None && !moving.is_empty() {
            let has = |f: &&Function| format!("{} has {}", f.address, f.driver.as_deref().unwrap_or("none"));
            let has = moving.iter().map(has).collect::<Vec<_>>().join(", ");
            let way = match gpu.bind {
                Bind::Boot => format!("'vfio bind {}' first, or reboot", gpu.name),
                Bind::Guest => "set 'bind = boot' and reboot, or use 'handover = auto'".to_owned(),
            };
            let text = format!("is not on vfio ({has}), and 'handover = none' takes nothing from the host; {way}");
            return vec![Finding::new(gpu, &gpu.device.at, text)];
        }
        let mut findings = Vec::new();
        for function in moving {
            let (address, driver) = (function.address, function.driver.as_deref().unwrap_or_default());
            let mut held = self.host.holders.iter().filter(|(held, _)| *held == address);
            if let Some((_, mount)) = held.find(|(_, holder)| holder.is_mount()) {
                let text = format!("{address} stays with {driver}: {mount}; unmount it first");
                findings.push(Finding::new(gpu, &gpu.device.at, text));
            } else if let Some(other) = self.keeps_nvidia().filter(|_| driver == "nvidia") {
                let text = format!(
                    "{address} stays with nvidia, which does not let go while nvidia_drm is loaded, and the host needs \
                     that for {}; use 'bind = boot' and reboot",
                    other.address
                );
                findings.push(Finding::new(gpu, &gpu.device.at, text));
            } else {
                findings.extend(unbind::stays(gpu, function));
            }
        }
        findings
    }

    /// A card that stays on NVIDIA's driver with the host, and so keeps its modules loaded: it matters if nvidia_drm is
    /// among them.
    fn keeps_nvidia(&self) -> Option<&Function> {
        let drm = self.host.nvidia_drm || self.around.modules.iter().any(|module| module == "nvidia_drm");
        self.others_on_nvidia().filter(|_| drm)
    }

    fn others_on_nvidia(&self) -> Option<&Function> {
        let ours = self.ours();
        let nvidia = |f: &&Function| f.driver.as_deref() == Some("nvidia");
        self.host.functions.iter().filter(nvidia).find(|f| !ours.contains(&f.address))
    }

    /// Sessions that stay need something to be seen on.
    fn last_display(&self, choice: &Choice<'_>, chosen: &Chosen) -> Option<Finding> {
        let shown = |f: &Function| f.has_outputs() && !f.is_given_away();
        let shows = chosen.functions.iter().filter_map(|a| self.host.function(*a)).any(shown);
        let matters = self.guest.handover == Handover::Hot && shows && !choice.gpu.only_display;
        if !matters || display::keeps_one(self.choices, self.host) {
            return None;
        }
        let text =
            "is the host's last display, and with 'handover = hot' the host's sessions stay; use 'handover = auto'";
        Some(Finding::new(choice.gpu, &choice.gpu.device.at, text))
    }

    /// Functions that share a group with the guest's and keep it from every guest. What libvirt itself moves to vfio
    /// before the guest starts does not.
    fn groups(&self) -> Vec<Remark> {
        let ours = self.ours();
        let moved = |address: Address| {
            self.domain().is_some_and(|d| d.hostdevs.iter().any(|device| device.managed && device.address == address))
        };
        let (mut seen, mut remarks) = (Vec::new(), Vec::new());
        for choice in self.choices {
            let Ok(chosen) = &choice.chosen else { continue };
            for number in chosen.functions.iter().filter_map(|a| self.host.function(*a)?.group) {
                if seen.contains(&number) {
                    continue;
                }
                seen.push(number);
                let members = self.host.group(number).filter(|f| !ours.contains(&f.address));
                for blocker in group::blockers(members).iter().filter(|b| !moved(b.function)) {
                    let Some(function) = self.host.function(blocker.function) else { continue };
                    let text = blocks(function, number, chosen);
                    let finding = Finding::new(choice.gpu, &choice.gpu.device.at, text);
                    remarks.push(Remark::of(self.guest, &finding));
                }
            }
        }
        remarks
    }

    /// The driver that the cards are to be moved to.
    fn vfio(&self) -> Option<Remark> {
        let moving = self.choices.iter().find(|choice| !self.moving(choice).is_empty());
        let gpu = moving.filter(|_| !self.around.vfio_available)?.gpu;
        let text = "needs vfio-pci, which is not there for the running kernel; if the kernel was updated, reboot";
        Some(Remark::of(self.guest, &Finding::new(gpu, &self.guest.at, text)))
    }

    /// Modules that the hand-over unloads and that could not come back.
    fn way_back(&self) -> Option<Remark> {
        let host_has = |f: &&Function| f.driver.as_deref() == Some("nvidia");
        let taken = self.choices.iter().find(|choice| self.moving(choice).iter().any(host_has))?;
        let unloads = self.guest.handover != Handover::None && self.others_on_nvidia().is_none();
        let missing = &self.around.unloadable_missing;
        if !unloads || missing.is_empty() {
            return None;
        }
        let text = format!(
            "would not come back to the host: {} would be unloaded, and {} not there for the running kernel; if the \
             kernel or the driver was updated, reboot",
            missing.join(", "),
            if missing.len() == 1 { "is" } else { "are" }
        );
        Some(Remark::of(self.guest, &Finding::new(taken.gpu, &taken.gpu.device.at, text)))
    }

    /// Files that are not as they must be.
    fn files(&self) -> Vec<Remark> {
        let guest = self.guest;
        let remark = |file: &super::FileProblem| {
            let (path, what, problem) = (&file.path, file.what, &file.problem);
            let roms = self.choices.iter().filter_map(|choice| Some((choice.gpu, choice.gpu.rom.as_ref()?)));
            if let Some((gpu, rom)) = roms.into_iter().find(|(_, rom)| rom.value == *path) {
                let text = format!("the {what} {path} {problem}; put that right or remove this line");
                return Remark::of(guest, &Finding::new(gpu, &rom.at, text));
            }
            let way = match guest.runner {
                Runner::Libvirt => edit(guest),
                Runner::Command => "change 'command'".to_owned(),
            };
            Remark::new(guest, format!("the {what} {path} {problem}; put that right or {way}"))
        };
        self.around.files.iter().map(remark).collect()
    }

    /// A guest with a card has all of its memory, from the start on: vfio pins it.
    fn memory(&self, refusals: &mut Vec<Remark>, warnings: &mut Vec<Remark>) {
        let Some(domain) = self.domain() else { return };
        let (guest, memory, needs) = (self.guest, &self.around.memory, domain.memory);
        let name = format!("domain {} needs {}", guest.domain, amount(needs));
        if memory.total > 0 && needs > memory.total {
            let text = format!("{name} of memory and this machine has {}; {}", amount(memory.total), edit(guest));
            refusals.push(Remark::new(guest, text));
            return;
        }
        let size = match domain.huge_pages {
            HugePages::No if memory.available > 0 && needs > memory.available => {
                let way = match self.ends || guest.handover == Handover::Steal {
                    true => "it starts only if the end of the desktop frees the rest",
                    false => "end something, or it may not start",
                };
                let text = format!("{name} of memory and {} are available; {way}", amount(memory.available));
                warnings.push(Remark::new(guest, text));
                return;
            }
            HugePages::No | HugePages::Mixed => return,
            HugePages::Default => String::new(),
            HugePages::Size(bytes) => format!(" of {}", amount(bytes)),
        };
        let Some(free) = memory.free_huge.filter(|free| needs > *free) else { return };
        let text = format!("{name} in huge pages{size} and {} are free", amount(free));
        // Many let a command reserve them just before the guest starts.
        if guest.before.is_empty() {
            let text = format!("{text}; reserve more or {}", edit(guest));
            refusals.push(Remark::new(guest, text));
        } else {
            let text = format!("{text}; it starts only if a 'before' command reserves the rest");
            warnings.push(Remark::new(guest, text));
        }
    }
}

/// Why a member of a card's group keeps it from guests, and what to do.
fn blocks(function: &Function, group: u32, chosen: &Chosen) -> String {
    let shown = show(function);
    if function.is_bridge() {
        format!("{shown} shares IOMMU group {group} and its driver keeps the group from guests; keep that driver from loading")
    } else if function.address.slot == chosen.slot {
        format!("{shown} is a function of the same card in IOMMU group {group} and stays with the host; use 'functions = all'")
    } else {
        format!(
            "{shown} shares IOMMU group {group} and keeps it from guests; if the host may lose it, add it to 'also', else \
             put the card into another slot"
        )
    }
}

/// How the domain is changed.
pub(super) fn edit(guest: &Guest) -> String {
    format!("change the domain ('virsh -c {} edit {}')", guest.uri, guest.domain)
}

/// Memory for a person.
fn amount(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;
    match bytes {
        0..GIB => format!("{} MiB", bytes / MIB),
        _ if bytes % GIB == 0 => format!("{} GiB", bytes / GIB),
        _ => format!("{}.{} GiB", bytes / GIB, bytes % GIB * 10 / GIB),
    }
}

#[cfg(test)]
#[path = "checks_tests.rs"]
mod tests;
