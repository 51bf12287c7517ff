// SPDX-License-Identifier: LGPL-2.1-or-later
//! The program behind the boot-time units.
//!
//! - `vfio-bind early`: overrides for every card bound at boot, before anything loads a driver (`vfio-early.service`, and
//!   the initramfs).
//! - `vfio-bind gpu NAME`: binds one card (`vfio-bind@NAME.service`).
//! - `vfio-bind boot-ok [--now]`: this boot came up, in five minutes or now (`vfio-boot-ok.service`).

use std::fmt::Display;
use std::process::ExitCode;
use std::time::Duration;
use vfio_suite::act::card::{self, OnFailure};
use vfio_suite::act::live;
use vfio_suite::act::lock::Lock;
use vfio_suite::act::state;
use vfio_suite::config::{self, Bind, Config, Severity};
use vfio_suite::host::status::{self, Outcome, Status};
use vfio_suite::host::{Depth, Host};
use vfio_suite::logger::{self, Target};
use vfio_suite::plan::{self, bind, boot, idle, Plan};
use vfio_suite::root::Root;

/// Errors here are sentences for the log, made where they arise.
type Result<T> = std::result::Result<T, String>;

/// Says what an error is about.
fn about<E: Display>(what: &str) -> impl FnOnce(E) -> String + '_ {
    move |error| format!("{what}: {error}")
}

/// How long a machine must run after it reached its target to have come up.
const CAME_UP: Duration = Duration::from_secs(300);

fn main() -> ExitCode {
    if let Some(code) = live::run_as_child() {
        return code;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = Root::from_option(None).map_err(about("the root cannot be opened")).and_then(|root| {
        logger::start("vfio-bind", Target::KernelWithoutSystemd, root.is_system());
        match arguments[..] {
            ["early"] => early(&root),
            ["gpu", name] => gpu(&root, name),
            ["boot-ok"] => {
                std::thread::sleep(CAME_UP);
                came_up(&root)
            }
            ["boot-ok", "--now"] => came_up(&root),
            _ => {
                log::error!("say one of: early, gpu NAME, boot-ok [--now]");
                Ok(ExitCode::from(64))
            }
        }
    });
    result.unwrap_or_else(|error| {
        log::error!("{error}");
        ExitCode::from(2)
    })
}

fn came_up(root: &Root) -> Result<ExitCode> {
    state::boot_came_up(root).map_err(about("the boot counter cannot be written"))?;
    Ok(ExitCode::SUCCESS)
}

/// Sections bound at boot with everything about them that can forbid it, and the machine as those need it.
fn admitted<'c>(root: &Root, config: &'c Config, depth: Depth) -> (Vec<plan::select::Choice<'c>>, Host) {
    let mut host = Host::scan(root, depth);
    let mut choices = boot::choices(config, &host);
    host.look_closer(root, boot::functions(&choices));
    host.find_variants(root, &bind::asks_for_variants(&choices));
    boot::admit(&mut choices, &host);
    (choices, host)
}

/// Writes the overrides. Runs twice a boot: in the initramfs, where nobody else would say what is wrong, and in the
/// system, where the generator and `vfio-bind gpu` do.
fn early(root: &Root) -> Result<ExitCode> {
    let config = config::load(root);
    let level = if logger::under_systemd() { log::Level::Debug } else { log::Level::Warn };
    for diagnostic in config.diagnostics.iter().filter(|d| d.severity != Severity::Note) {
        log::log!(level, "{diagnostic}");
    }
    let reserved = status::read_all(root).into_iter().filter(|s| s.outcome == Outcome::Reserved);
    let reserved: Vec<Status> = reserved.collect();
    if reserved.is_empty() && !config.gpus.iter().any(|g| g.bind == Bind::Boot) {
        return Ok(ExitCode::SUCCESS);
    }
    let _lock = Lock::take(root).map_err(about("/run/vfio/lock"))?;
    let (mut choices, host) = admitted(root, &config, Depth::Boot);
    let idle = idle(&config, &host);
    if idle.is_some() {
        choices.clear();
    }
    release_unwanted(root, &reserved, &choices)?;
    if let Some(why) = idle {
        log::info!("{why}");
        return Ok(ExitCode::SUCCESS);
    }
    if !config.gpus.iter().any(|g| g.bind == Bind::Boot) {
        return Ok(ExitCode::SUCCESS);
    }
    state::set_active(root, true).map_err(about("/run/vfio/active cannot be written"))?;
    let mut code = ExitCode::SUCCESS;
    for plan in boot::early(&choices, &host) {
        for refusal in &plan.refusals {
            log::log!(level, "{refusal}");
        }
        if plan.steps.is_empty() {
            continue;
        }
        let status = card::carry_out(root, &plan, Outcome::Reserved, OnFailure::GiveToHost);
        if status.outcome == Outcome::Reserved {
            let functions: Vec<String> = status.functions.iter().map(ToString::to_string).collect();
            log::info!("[gpu {}] {} kept from host drivers", status.gpu, functions.join(", "));
        } else {
            status.why.iter().for_each(|why| log::error!("{why}"));
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

/// Gives back what the initramfs reserved by a configuration that is older than the system's and wants it no more.
fn release_unwanted(root: &Root, reserved: &[Status], choices: &[plan::select::Choice<'_>]) -> Result<()> {
    for status in reserved {
        let wanted = |c: &plan::select::Choice<'_>| {
            c.gpu.name == status.gpu && c.chosen.as_ref().is_ok_and(|c| c.functions == status.functions)
        };
        if !choices.iter().any(wanted) {
            log::info!("[gpu {}] was reserved in the initramfs, whose configuration is older: given back", status.gpu);
            card::restore(root, &status.gpu).map_err(about("the journal cannot be read"))?;
        }
    }
    Ok(())
}

/// Binds one card.
fn gpu(root: &Root, name: &str) -> Result<ExitCode> {
    let _lock = Lock::take(root).map_err(about("/run/vfio/lock"))?;
    let config = config::load(root);
    let failed_before = state::begin_boot(root).unwrap_or_else(|error| {
        log::warn!("failed boots cannot be counted: {error}");
        0
    });
    let (choices, mut host) = admitted(root, &config, Depth::Full);
    if let Some(why) = boot::forbidden(&config, &host, failed_before) {
        log::warn!("[gpu {name}] {why}");
        state::set_off(root, &why).map_err(about("/run/vfio/off cannot be written"))?;
        return give_back(root, name, why).map(|()| ExitCode::SUCCESS);
    }
    let section = match plan::section(&config, name) {
        Ok(section) => section,
        Err(finding) => return Err(finding.to_string()),
    };
    let Some(choice) = choices.iter().find(|c| c.gpu.name == name) else {
        return Err(format!("[gpu {name}] ({}) says 'bind = guest': only a guest's start binds it", section.at));
    };
    let plan = match &choice.chosen {
        Err(finding) => Plan::refused(finding.clone()),
        Ok(chosen) => {
            host.find_holders_of_bound(root, &chosen.functions);
            bind::plan(choice, &host)
        }
    };
    for warning in &plan.warnings {
        log::warn!("{warning}");
    }
    let status = card::carry_out(root, &plan, Outcome::Bound, OnFailure::GiveToHost);
    if status.outcome == Outcome::Bound {
        let functions: Vec<String> = status.functions.iter().map(ToString::to_string).collect();
        log::info!("[gpu {name}] bound: {}", functions.join(", "));
        return Ok(ExitCode::SUCCESS);
    }
    status.why.iter().for_each(|why| log::error!("{why}"));
    if status.outcome == Outcome::Refused {
        // The early overrides would keep the host's drivers away from a card that no guest gets either.
        give_back(root, name, status.why.join("; "))?;
    }
    Ok(ExitCode::FAILURE)
}

/// Undoes what was done early in this boot, and leaves word of why.
fn give_back(root: &Root, name: &str, why: String) -> Result<()> {
    let restored = card::restore(root, name).map_err(about("the journal cannot be read"))?;
    let functions = restored.map(|s| s.functions).unwrap_or_default();
    let status = Status { gpu: name.to_owned(), outcome: Outcome::Refused, why: vec![why], functions };
    state::write_status(root, &status).map_err(about("the status cannot be written"))
}
