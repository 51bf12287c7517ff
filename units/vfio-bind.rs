// SPDX-License-Identifier: LGPL-2.1-or-later
//! The program behind the boot-time units.
//!
//! - `vfio-bind early`: overrides for every card bound at boot, before anything loads a driver (`vfio-early.service`, and
//!   the initramfs).
//! - `vfio-bind gpu NAME`: binds one card (`vfio-bind@NAME.service`).
//! - `vfio-bind boot-ok [--now]`: this boot came up, in five minutes or now (`vfio-boot-ok.service`).
//! - `vfio-bind files`: the files of the configuration that count for the next boot, for what builds an initramfs.

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;
use vfio_suite::act::backend::sysfs;
use vfio_suite::act::card::{self, OnFailure};
use vfio_suite::act::lock::Lock;
use vfio_suite::act::state;
use vfio_suite::config::{self, Bind, Config, Severity};
use vfio_suite::host::display::BootSign;
use vfio_suite::host::run::card_status::{Outcome, Status};
use vfio_suite::host::{Depth, Host};
use vfio_suite::logger;
use vfio_suite::logger::boot::Target;
use vfio_suite::pci::{Address, Slot};
use vfio_suite::plan::{self, bind, boot, idle, Plan};
use vfio_suite::root::Root;
use vfio_suite::survey;

/// Errors here are sentences for the log, made where they arise.
type Result<T> = std::result::Result<T, String>;

/// Says what an error is about.
fn about<E: Display>(what: &str) -> impl FnOnce(E) -> String + '_ {
    move |error| format!("{what}: {error}")
}

/// How long a machine must run after it reached its target to have come up.
const CAME_UP: Duration = Duration::from_secs(300);

fn main() -> ExitCode {
    if let Some(code) = sysfs::run_as_child() {
        return code;
    }
    // What is not text is none of our words.
    let arguments: Vec<String> = std::env::args_os().skip(1).map(|a| a.to_string_lossy().into_owned()).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = Root::from_option(None).map_err(about("the root cannot be opened")).and_then(|root| {
        logger::boot::start("vfio-bind", Target::KernelWithoutSystemd, root.is_system());
        match arguments[..] {
            ["early"] => early(&root),
            ["gpu", name] => gpu(&root, name),
            ["boot-ok"] => {
                std::thread::sleep(CAME_UP);
                came_up(&root)
            }
            ["boot-ok", "--now"] => came_up(&root),
            ["files"] => files(&root),
            _ => {
                log::error!("say one of: early, gpu NAME, boot-ok [--now], files");
                Ok(ExitCode::from(64))
            }
        }
    });
    result.unwrap_or_else(|error| {
        log::error!("{error}");
        ExitCode::from(2)
    })
}

/// Prints the files that an image gets, a line each. What is refused here is not among them: in the image it would belong to
/// root and be trusted.
fn files(root: &Root) -> Result<ExitCode> {
    let files = config::lasting_files(root);
    let lines: String = files.into_iter().map(|(path, _)| format!("/{path}\n")).collect();
    std::io::stdout().write_all(lines.as_bytes()).map_err(about("standard output"))?;
    Ok(ExitCode::SUCCESS)
}

fn came_up(root: &Root) -> Result<ExitCode> {
    state::boot_came_up(root).map_err(about("the boot counter cannot be written"))?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the overrides. Runs twice a boot: in the initramfs, where nobody else would say what is wrong, and in the
/// system, where the generator and `vfio-bind gpu` do.
fn early(root: &Root) -> Result<ExitCode> {
    let config = config::load_without_guests(root);
    let level = if logger::is_read_by_journal() { log::Level::Debug } else { log::Level::Warn };
    for diagnostic in config.diagnostics.iter().filter(|d| d.severity != Severity::Note) {
        log::log!(level, "{}", diagnostic.line());
    }
    let reserved = card::reserved(root);
    if reserved.is_empty() && !config.gpus.iter().any(|g| g.bind == Bind::Boot) {
        return Ok(ExitCode::SUCCESS);
    }
    let _lock = Lock::take(root).map_err(about("/run/vfio/lock"))?;
    let (mut selections, mut host) = survey::admitted(root, &config, Depth::Boot);
    let idle = idle(&config, &host);
    if idle.is_some() {
        selections.clear();
    }
    if release_unwanted(root, &reserved, &selections) && idle.is_none() {
        // A display that is the host's again may let another go.
        (selections, host) = survey::admitted(root, &config, Depth::Boot);
    }
    if let Some(why) = idle {
        log::info!("{why}");
        return Ok(ExitCode::SUCCESS);
    }
    if !config.gpus.iter().any(|g| g.bind == Bind::Boot) {
        return Ok(ExitCode::SUCCESS);
    }
    if let (Some(BootSign::Framebuffer), [boot]) = (host.boot_display.sign, &host.boot_display.functions[..]) {
        state::remember_boot_display(root, *boot).map_err(about("/run/vfio/boot-display cannot be written"))?;
    }
    let names: Vec<&str> = config.gpus.iter().filter(|g| g.bind == Bind::Boot).map(|g| g.name.as_str()).collect();
    state::set_active(root, &names).map_err(about("/run/vfio/active cannot be written"))?;
    let mut code = ExitCode::SUCCESS;
    for plan in boot::early(&selections, &host) {
        let optional = config.gpu(&plan.gpu).is_some_and(|gpu| gpu.optional);
        for refusal in plan.refusals.iter().filter(|refusal| !(refusal.is_absent() && optional)) {
            log::log!(if refusal.is_absent() { log::Level::Info.max(level) } else { level }, "{}", refusal.line());
        }
        if plan.steps.is_empty() {
            continue;
        }
        let status = card::carry_out(root, &plan, Outcome::Reserved, OnFailure::UndoPlan);
        if status.outcome == Outcome::Reserved {
            let functions: Vec<String> = status.functions.iter().map(ToString::to_string).collect();
            log::info!("[gpu {}] {} kept from host drivers", status.gpu, functions.join(", "));
        } else {
            status.why.iter().for_each(|why| log::error!("{why}"));
            code = ExitCode::from(2);
        }
    }
    Ok(code)
}

/// Lets go of what the initramfs reserved by a configuration that is older than the system's and wants it no more. No
/// driver is loaded for it here: udev does that in a moment, when all overrides stand. Says whether there was any.
fn release_unwanted(
    root: &Root,
    reserved: &[(String, Vec<Address>)],
    selections: &[plan::selection::Selection<'_>],
) -> bool {
    let mut any = false;
    for (gpu, functions) in reserved {
        let desired = |c: &plan::selection::Selection<'_>| {
            c.gpu.name == *gpu && c.selected.as_ref().is_ok_and(|c| functions.iter().all(|f| c.functions.contains(f)))
        };
        if selections.iter().any(desired) {
            continue;
        }
        log::info!("[gpu {gpu}] was reserved in the initramfs, whose configuration is older: given back");
        card::release(root, gpu).iter().for_each(|problem| log::error!("{problem}"));
        any = true;
    }
    any
}

/// Binds one card. Ends well when it is refused too: the decision is made, and a unit that failed would be started again
/// by every later transaction.
fn gpu(root: &Root, name: &str) -> Result<ExitCode> {
    if !config::is_name(name) {
        log::error!("'{name}' cannot be the name of a [gpu] section");
        return Ok(ExitCode::from(64));
    }
    let _lock = Lock::take(root).map_err(about("/run/vfio/lock"))?;
    if let Some(why) = survey::nothing_to_do(root, name) {
        log::info!("[gpu {name}] {why}");
        return Ok(ExitCode::SUCCESS);
    }
    let config = config::load_without_guests(root);
    // A card may show its functions one after the other: look again when those that were there are bound.
    for _ in 0..4 {
        match gpu_once(root, &config, name)? {
            Bound::All { slot, seen } if Host::scan_slot(root, slot).len() > seen => {}
            Bound::All { .. } => break,
            Bound::Not(code) => return Ok(code),
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// How an attempt to bind a card ended.
enum Bound {
    /// It is on vfio.
    All {
        /// Its slot.
        slot: Slot,
        /// How many functions the slot had when it was looked at.
        seen: usize,
    },
    /// It is not.
    Not(ExitCode),
}

/// One attempt.
fn gpu_once(root: &Root, config: &Config, name: &str) -> Result<Bound> {
    let (selections, mut host) = survey::admitted(root, config, Depth::Full);
    let selection = match (plan::section(config, name), selections.iter().find(|c| c.gpu.name == name)) {
        (Ok(_), Some(selection)) => selection,
        (Ok(section), None) => {
            let why = format!("({}) says 'bind = guest': only a guest's start binds it", section.at);
            return Err(format!("[gpu {name}] {why}"));
        }
        (Err(finding), _) => {
            give_back(root, name, &[finding.line()]);
            return Err(finding.line());
        }
    };
    if let Some(why) = boot::forbidden(config, &host, &state::begin_boot(root)) {
        log::warn!("[gpu {name}] {why}");
        give_back(root, name, std::slice::from_ref(&why));
        state::set_off(root, &why).map_err(about("/run/vfio/off cannot be written"))?;
        return Ok(Bound::Not(ExitCode::SUCCESS));
    }
    let plan = match &selection.selected {
        Err(finding) => Plan::refused(finding.clone()),
        Ok(selected) => {
            host.find_holders_of_bound(root, &selected.functions);
            let sizes = survey::sizes_now(root, selection.gpu, &mut host, &selected.functions);
            bind::plan(selection, &host, &sizes)
        }
    };
    for warning in &plan.warnings {
        log::warn!("{}", warning.line());
    }
    let status = card::carry_out(root, &plan, Outcome::Bound, OnFailure::GiveToHost);
    if let (Outcome::Bound, Ok(selected)) = (status.outcome, &selection.selected) {
        let functions: Vec<String> = status.functions.iter().map(ToString::to_string).collect();
        log::info!("[gpu {name}] bound: {}", functions.join(", "));
        return Ok(Bound::All { slot: selected.slot, seen: host.slot(selected.slot).len() });
    }
    status.why.iter().for_each(|why| log::error!("{why}"));
    if status.outcome != Outcome::Refused {
        return Ok(Bound::Not(ExitCode::from(2)));
    }
    // The early overrides would keep the host's drivers away from a card that no guest gets either.
    give_back(root, name, &status.why);
    Ok(Bound::Not(ExitCode::SUCCESS))
}

/// Undoes what was done early in this boot, and leaves word of why; what could not be undone counts more.
fn give_back(root: &Root, name: &str, why: &[String]) {
    let refused = |functions| Status { gpu: name.to_owned(), outcome: Outcome::Refused, why: why.to_vec(), functions };
    let status = match card::restore(root, name, &mut Vec::new()) {
        Ok(Some(status)) if status.outcome == Outcome::Restored => refused(status.functions),
        Ok(Some(status)) => {
            status.why.iter().for_each(|why| log::error!("{why}"));
            return;
        }
        Ok(None) => refused(Vec::new()),
        Err(error) => {
            log::error!("[gpu {name}] the journal cannot be read: {error}");
            return;
        }
    };
    if let Err(error) = state::write_status(root, &status) {
        log::error!("the status of [gpu {name}] cannot be written: {error}");
    }
}
