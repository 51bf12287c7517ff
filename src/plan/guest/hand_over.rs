// SPDX-License-Identifier: LGPL-2.1-or-later
//! The steps of a hand-over, in order.
//!
//! The user's own commands and the desktop come first, then the wait until no process holds the card; only then is any driver
//! touched. What sleeps is woken before, and what it was allowed is recorded while its driver is still there: drivers change
//! it when they go. Overrides stand before a driver goes, so that no other can come.

use super::leaving::{self, Leaving};
use super::rom_checks;
use super::taken::{all_of_nvidia, with_host, NVIDIA_MODULES, NVIDIA_UNITS, ROOT};
use super::{isolation, meanwhile, pages, shared_memory, sound, traps};
use crate::config::{Config, Guest, Handover, Runner};
use crate::finding::{codes, Finding, Severity};
use crate::host::{function, Host};
use crate::pci::Address;
use crate::plan::guest::{checks, domain_checks, is_up, GuestContext, GuestPlan, GuestStep, Session};
use crate::plan::select;
use crate::plan::selection::Selection;
use crate::plan::{boot, idle, rebar};

/// The sections of a guest's cards, each with its functions or why not.
pub fn cards<'c>(config: &'c Config, guest: &Guest, host: &Host) -> Vec<Selection<'c>> {
    let mut selections = select::select_all(config, host);
    selections.retain(|c| guest.gpus.value.contains(&c.gpu.name));
    selections
}

/// The plan for a guest that is to be started. `selections` are its cards, looked at closely.
pub fn plan(
    config: &Config,
    guest: &Guest,
    selections: &[Selection<'_>],
    host: &Host,
    context: &GuestContext,
) -> GuestPlan {
    let functions = boot::functions(selections);
    let mut plan = GuestPlan { guest: guest.name.clone(), functions: functions.clone(), ..GuestPlan::default() };
    if let Some(text) = idle(config, host) {
        plan.refusals.push(Finding { at: None, ..Finding::guest(guest, codes::SWITCHED_OFF, text) });
        return plan;
    }
    plan.add(checks::check(guest, selections, host, context));
    plan.add(rom_checks::check(guest, selections, host, context));
    let taken = with_host(&functions, host);
    let leaving = leaving::leaving(guest, selections, &taken, host, context);
    let (refusals, farewells): (Vec<_>, Vec<_>) =
        leaving::findings(guest, selections, &leaving, host).into_iter().partition(|f| f.severity == Severity::Error);
    plan.add(refusals);
    plan.add(pages::check(guest, !leaving.sessions.is_empty() || guest.handover == Handover::Steal, context));
    plan.add(sound::check(guest, &leaving, context));
    plan.add(shared_memory::check(guest, context));
    plan.add(isolation::check(guest, context));
    let mut resized = Vec::new();
    for selection in selections.iter().filter(|c| c.selected.is_ok()) {
        let functions = boot::functions(std::slice::from_ref(selection));
        let (resizes, warnings) =
            rebar::plan(selection.gpu, &functions, &rebar::desired(selection.gpu, Some(guest)), host);
        plan.add(warnings.iter().map(|warning| warning.for_guest(guest).warning()));
        plan.add(rebar::unplaced(selection.gpu, &resizes, host).iter().map(|why| why.for_guest(guest)));
        if !resizes.is_empty() {
            resized.push(selection.gpu.name.as_str());
        }
    }
    if guest.runner == Runner::Libvirt {
        let others = others(config, guest, host);
        plan.add(domain_checks::check(guest, selections, &others, host, context));
    }
    if let Some(why) = &context.no_systemd {
        // What is not known to run would not be started again.
        let text = format!("systemd does not say which units run: {why}");
        plan.refusals.push(Finding::guest(guest, codes::SYSTEMD_DOES_NOT_ANSWER, text).hint("try again"));
    }
    if let Some(what) = &context.only_systemd_stops {
        let text = format!("{what} would have to be stopped, which needs systemd, and another init runs here");
        let hint = "bind the card at boot, or end what uses it and stop the display manager first";
        plan.refusals.push(Finding::guest(guest, codes::NEEDS_SYSTEMD, text).hint(hint));
    }
    if plan.refusals.is_empty() {
        // Nothing ends for a guest that is not started.
        plan.add(farewells);
        plan.add(traps::check(guest, selections, host, context));
        plan.steps = steps(guest, selections, &resized, (&functions, &taken), &leaving, host, context);
        plan.meanwhile = meanwhile::meanwhile(config, guest, selections, (&leaving, &plan.steps), host, context);
    }
    plan
}

/// The functions of cards that are not this guest's, each with the section's name.
fn others(config: &Config, guest: &Guest, host: &Host) -> Vec<(Address, String)> {
    let theirs = select::select_all(config, host).into_iter().filter(|c| !guest.gpus.value.contains(&c.gpu.name));
    let named = |c: Selection<'_>| {
        let name = c.gpu.name.clone();
        c.selected
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
    selections: &[Selection<'_>],
    resized: &[&str],
    (functions, taken): (&[Address], &[Address]),
    leaving: &Leaving<'_>,
    host: &Host,
    context: &GuestContext,
) -> Vec<GuestStep> {
    let mut steps: Vec<GuestStep> = Vec::new();
    steps.extend(selections.iter().map(|c| GuestStep::Claim { gpu: c.gpu.name.clone() }));
    // The journal is read backwards: the first command is remembered last.
    steps.extend(guest.after.iter().rev().map(|command| GuestStep::After { command: command.clone() }));
    steps.extend(guest.before.iter().map(|command| GuestStep::Before { command: command.clone() }));
    steps.extend(leaving.staying.iter().map(|holder| GuestStep::Gone { holder: (*holder).clone() }));
    let ends = !leaving.sessions.is_empty() || leaving.display_manager.is_some();
    steps.extend(sound::steps(context));
    steps.extend(shared_memory::steps(context));
    steps.extend(pages::step(context, ends));
    if !taken.is_empty() {
        steps.extend(desktop(guest, taken, leaving, host, context));
    }
    if ends {
        steps.extend(pages::step(context, false));
    }
    let off_vfio = |c: &&Selection<'_>| {
        let functions = c.selected.as_ref().map(|c| c.functions.as_slice()).unwrap_or_default();
        let on_vfio = |a: &Address| host.function(*a).and_then(|f| f.driver.as_deref()).is_some_and(function::is_vfio);
        !functions.iter().all(on_vfio)
    };
    let stays = |c: &&Selection<'_>| !off_vfio(c) && resized.contains(&c.gpu.name.as_str());
    let resized: Vec<String> = selections.iter().filter(stays).map(|c| c.gpu.name.clone()).collect();
    let moved: Vec<String> = selections.iter().filter(off_vfio).map(|c| c.gpu.name.clone()).collect();
    // Once more when the card is bound: vfio-pci lets what it gets sleep, whatever was written there before.
    steps.push(GuestStep::Awake { functions: functions.to_vec() });
    steps.extend(moved.iter().map(|gpu| GuestStep::Reserve { gpu: gpu.clone() }));
    if all_of_nvidia(taken, host) {
        // The framebuffer of nvidia_drm counts as a user of its module.
        let consoles = context.consoles.iter().filter(|c| c.framebuffer && c.bound);
        steps.extend(consoles.map(|c| GuestStep::Console { console: c.name.clone() }));
        let loaded = NVIDIA_MODULES.iter().filter(|m| context.modules.iter().any(|loaded| loaded == *m));
        steps.extend(loaded.map(|m| GuestStep::Unload { module: (*m).to_owned() }));
    }
    if !moved.is_empty() || !resized.is_empty() {
        steps.extend(moved.into_iter().map(|gpu| GuestStep::Bind { gpu }));
        steps.extend(resized.into_iter().map(|gpu| GuestStep::Resize { gpu }));
    }
    steps.extend(isolation::steps(guest, context));
    let patience = guest.stop_timeout.as_secs();
    if guest.runner == Runner::Command && guest.user != ROOT {
        steps.push(GuestStep::Give { functions: functions.to_vec(), user: guest.user.clone() });
    }
    steps.push(match guest.runner {
        Runner::Libvirt => GuestStep::StartDomain { uri: guest.uri.clone(), domain: guest.domain.clone(), patience },
        Runner::Command => {
            let rom = selections.first().and_then(|c| c.gpu.rom.as_ref()).map(|rom| rom.value.as_str());
            let command = filled(&guest.command, functions, rom.unwrap_or_default());
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
    context: &GuestContext,
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
    let active = |name: &&str| context.units.iter().any(|unit| unit.name == *name && is_up(&unit.state));
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

/// The arguments of a command with `{bdf}` replaced by the first function's address and `{bdfs}` by all, with commas,
/// and `{rom}` by the path of the first card's option ROM.
fn filled(command: &[String], functions: &[Address], rom: &str) -> Vec<String> {
    let first = functions.first().map(ToString::to_string).unwrap_or_default();
    let all: Vec<String> = functions.iter().map(ToString::to_string).collect();
    let all = all.join(",");
    let fill =
        |argument: &String| argument.replace("{bdfs}", &all).replace("{bdf}", &first).replace(rom_checks::PLACE, rom);
    command.iter().map(fill).collect()
}
