// SPDX-License-Identifier: LGPL-2.1-or-later
//! The steps of a hand-over, in order.
//!
//! The user's own commands and the desktop come first, then the wait until nobody holds the card; only then is any driver
//! touched. What sleeps is woken before, and what it was allowed is recorded while its driver is still there: drivers change
//! it when they go. Overrides stand before a driver goes, so that no other can come.

use super::leaving::{self, Leaving};
use crate::config::{Config, Guest, Handover, Runner};
use crate::host::{function, Host};
use crate::pci::Address;
use crate::plan::guest::{checks, domain_checks, is_up, GuestPlan, GuestStep, Session, Surroundings};
use crate::plan::select::{self, Choice};
use crate::plan::Remark;
use crate::plan::{boot, idle, rebar};

/// NVIDIA's modules in the order in which they can be unloaded; the last is the PCI driver's own.
pub const NVIDIA_MODULES: [&str; 5] = ["nvidia_drm", "nvidia_modeset", "nvidia_uvm", "nvidia_peermem", "nvidia"];

/// Services that keep NVIDIA's driver in use on behalf of nobody in particular.
pub const NVIDIA_UNITS: [&str; 3] =
    ["nvidia-persistenced.service", "nvidia-powerd.service", "nvidia-fabricmanager.service"];

/// Who has every node already.
pub const ROOT: &str = "root";

/// The sections of a guest's cards, each with its functions or why not.
pub fn cards<'c>(config: &'c Config, guest: &Guest, host: &Host) -> Vec<Choice<'c>> {
    let mut choices = select::all(config, host);
    choices.retain(|c| guest.gpus.value.contains(&c.gpu.name));
    choices
}

/// The functions of `functions` that a driver of the host has.
pub fn with_host(functions: &[Address], host: &Host) -> Vec<Address> {
    let driven = |a: &&Address| {
        let driver = host.function(**a).and_then(|f| f.driver.as_deref());
        driver.is_some_and(|driver| !function::is_vfio(driver))
    };
    functions.iter().filter(driven).copied().collect()
}

/// Whether NVIDIA's own driver has one of the functions and nothing else: then its modules can go.
pub(super) fn all_of_nvidia(functions: &[Address], host: &Host) -> bool {
    let mut on_nvidia = host.functions.iter().filter(|f| f.driver.as_deref() == Some("nvidia")).peekable();
    on_nvidia.peek().is_some() && on_nvidia.all(|f| functions.contains(&f.address))
}

/// The plan for a guest that is to be started. `choices` are its cards, looked at closely.
pub fn plan(config: &Config, guest: &Guest, choices: &[Choice<'_>], host: &Host, around: &Surroundings) -> GuestPlan {
    let functions = boot::functions(choices);
    let mut plan = GuestPlan { guest: guest.name.clone(), functions: functions.clone(), ..GuestPlan::default() };
    if let Some(text) = idle(config, host) {
        plan.refusals.push(Remark { guest: guest.name.clone(), at: None, text });
        return plan;
    }
    let (refusals, warnings) = checks::check(guest, choices, host, around);
    plan.refusals.extend(refusals);
    plan.warnings.extend(warnings);
    let taken = with_host(&functions, host);
    let leaving = leaving::leaving(guest, choices, &taken, host, around);
    let (refusals, farewells) = leaving::remarks(guest, choices, &leaving, host);
    plan.refusals.extend(refusals);
    let mut resized = Vec::new();
    for choice in choices.iter().filter(|c| c.chosen.is_ok()) {
        let functions = boot::functions(std::slice::from_ref(choice));
        let (resizes, warnings) = rebar::plan(choice.gpu, &functions, &rebar::wanted(choice.gpu, Some(guest)), host);
        plan.warnings.extend(warnings.iter().map(|warning| Remark::of(guest, warning)));
        plan.refusals.extend(rebar::unplaced(choice.gpu, &resizes, host).iter().map(|why| Remark::of(guest, why)));
        if !resizes.is_empty() {
            resized.push(choice.gpu.name.as_str());
        }
    }
    if guest.runner == Runner::Libvirt {
        let others = others(config, guest, host);
        let (refusals, warnings) = domain_checks::check(guest, choices, &others, host, around);
        plan.refusals.extend(refusals);
        plan.warnings.extend(warnings);
    }
    if let Some(why) = &around.no_systemd {
        // What is not known to run would not be started again.
        let text = format!("systemd does not say which units run: {why}; try again");
        plan.refusals.push(Remark::new(guest, text));
    }
    if plan.refusals.is_empty() {
        // Nobody goes for a guest that is not started.
        plan.warnings.extend(farewells);
        plan.steps = steps(guest, choices, &resized, (&functions, &taken), &leaving, host, around);
    }
    plan
}

/// The functions of cards that are not this guest's, each with the section's name.
fn others(config: &Config, guest: &Guest, host: &Host) -> Vec<(Address, String)> {
    let theirs = select::all(config, host).into_iter().filter(|c| !guest.gpus.value.contains(&c.gpu.name));
    let named = |c: Choice<'_>| {
        let name = c.gpu.name.clone();
        c.chosen
            .map(|c| c.functions)
            .unwrap_or_default()
            .into_iter()
            .map(move |f| (f, name.clone()))
            .collect::<Vec<_>>()
    };
    theirs.flat_map(named).collect()
}

fn steps(
    guest: &Guest,
    choices: &[Choice<'_>],
    resized: &[&str],
    (functions, taken): (&[Address], &[Address]),
    leaving: &Leaving<'_>,
    host: &Host,
    around: &Surroundings,
) -> Vec<GuestStep> {
    let mut steps: Vec<GuestStep> = Vec::new();
    steps.extend(choices.iter().map(|c| GuestStep::Claim { gpu: c.gpu.name.clone() }));
    // The journal is read backwards: the first command is remembered last.
    steps.extend(guest.after.iter().rev().map(|command| GuestStep::After { command: command.clone() }));
    steps.extend(guest.before.iter().map(|command| GuestStep::Before { command: command.clone() }));
    steps.extend(leaving.staying.iter().map(|holder| GuestStep::Gone { holder: (*holder).clone() }));
    if !taken.is_empty() {
        steps.extend(desktop(guest, taken, leaving, host, around));
    }
    let off_vfio = |c: &&Choice<'_>| {
        let functions = c.chosen.as_ref().map(|c| c.functions.as_slice()).unwrap_or_default();
        let on_vfio = |a: &Address| host.function(*a).and_then(|f| f.driver.as_deref()).is_some_and(function::is_vfio);
        !functions.iter().all(on_vfio)
    };
    let stays = |c: &&Choice<'_>| !off_vfio(c) && resized.contains(&c.gpu.name.as_str());
    let resized: Vec<String> = choices.iter().filter(stays).map(|c| c.gpu.name.clone()).collect();
    let moved: Vec<String> = choices.iter().filter(off_vfio).map(|c| c.gpu.name.clone()).collect();
    // Once more by whoever binds: vfio-pci lets what it gets sleep, whatever was written there before.
    steps.push(GuestStep::Awake { functions: functions.to_vec() });
    steps.extend(moved.iter().map(|gpu| GuestStep::Reserve { gpu: gpu.clone() }));
    if all_of_nvidia(taken, host) {
        // The framebuffer of nvidia_drm counts as a user of its module.
        let consoles = around.consoles.iter().filter(|c| c.framebuffer && c.bound);
        steps.extend(consoles.map(|c| GuestStep::Console { console: c.name.clone() }));
        let loaded = NVIDIA_MODULES.iter().filter(|m| around.modules.iter().any(|loaded| loaded == *m));
        steps.extend(loaded.map(|m| GuestStep::Unload { module: (*m).to_owned() }));
    }
    if !moved.is_empty() || !resized.is_empty() {
        steps.extend(moved.into_iter().map(|gpu| GuestStep::Bind { gpu }));
        steps.extend(resized.into_iter().map(|gpu| GuestStep::Resize { gpu }));
    }
    let patience = guest.stop_timeout.as_secs();
    if guest.runner == Runner::Command && guest.user != ROOT {
        steps.push(GuestStep::Give { functions: functions.to_vec(), user: guest.user.clone() });
    }
    steps.push(match guest.runner {
        Runner::Libvirt => GuestStep::StartDomain { uri: guest.uri.clone(), domain: guest.domain.clone(), patience },
        Runner::Command => {
            let command = filled(&guest.command, functions);
            GuestStep::StartCommand { command, user: guest.user.clone(), patience }
        }
    });
    steps
}

/// What ends the host's use of these functions.
fn desktop(
    guest: &Guest,
    taken: &[Address],
    leaving: &Leaving<'_>,
    host: &Host,
    around: &Surroundings,
) -> Vec<GuestStep> {
    let end = |session: &Session| GuestStep::EndSession {
        session: session.id.clone(),
        user: session.user.clone(),
        seat: session.seat.clone(),
    };
    // Before the display manager: once that has stopped, logind calls its sessions closing, and ends no more of them.
    let mut steps: Vec<GuestStep> = leaving.sessions.iter().map(|(session, _)| end(session)).collect();
    // After the sessions, whose programs would have them started again; before units that take time to stop.
    steps.extend(leaving.asked.iter().map(|holder| GuestStep::AskToEnd { holder: (*holder).clone() }));
    let hot = guest.handover == Handover::Hot;
    let announce = || leaving.announced.then(|| GuestStep::Announce { functions: taken.to_vec() });
    if !hot {
        steps.extend(announce());
    }
    let mut stop = |unit: &str, ends: Vec<String>| steps.push(GuestStep::StopUnit { unit: unit.to_owned(), ends });
    if let Some(unit) = leaving.display_manager {
        stop(unit, leaving.with_it.iter().map(ToString::to_string).collect());
    }
    let active = |name: &&str| around.units.iter().any(|unit| unit.name == *name && is_up(&unit.state));
    guest.stop_units.iter().map(String::as_str).filter(active).for_each(|unit| stop(unit, Vec::new()));
    if all_of_nvidia(taken, host) {
        NVIDIA_UNITS.into_iter().filter(active).for_each(|unit| stop(unit, Vec::new()));
    }
    if hot {
        steps.extend(announce());
    }
    steps.push(GuestStep::LetGo { functions: taken.to_vec(), end: !hot, kill: guest.kill_holders });
    steps
}

/// The words of a command with `{bdf}` replaced by the first function's address and `{bdfs}` by all, with commas.
fn filled(command: &[String], functions: &[Address]) -> Vec<String> {
    let first = functions.first().map(ToString::to_string).unwrap_or_default();
    let all: Vec<String> = functions.iter().map(ToString::to_string).collect();
    command.iter().map(|word| word.replace("{bdfs}", &all.join(",")).replace("{bdf}", &first)).collect()
}
