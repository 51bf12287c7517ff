// SPDX-License-Identifier: LGPL-2.1-or-later
//! libvirt's hook for QEMU domains (libvirt's "Hooks for specific system management"), as one of `qemu.d`.
//!
//! Called as `50-vfio DOMAIN OPERATION SUB-OPERATION EXTRA` with the domain's XML on standard input, and waited for by
//! libvirt, which must not be asked anything meanwhile. It prints nothing on standard output, and has nothing to say about
//! domains that are not ours. What it does is in the journal, as messages of `vfio`: libvirt shows standard error only to
//! the program that asked for a start that the hook refuses.

use std::io::Read;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use vfio_suite::act::backend::sysfs;
use vfio_suite::act::backend::tools::{ToolError, Tools};
use vfio_suite::act::backend::tools_for;
use vfio_suite::act::guest::give_back::{give_back, End};
use vfio_suite::act::guest::hand_over::{carry_out, Work};
use vfio_suite::act::guest::probe::Source;
use vfio_suite::act::guest::{self, services, start};
use vfio_suite::act::state;
use vfio_suite::config::{self, Config, Runner};
use vfio_suite::finding::{Finding, Section};
use vfio_suite::host::domain;
use vfio_suite::host::run::guest_status::GuestOutcome;
use vfio_suite::logger;
use vfio_suite::plan::guest::without_section;
use vfio_suite::root::Root;
use vfio_suite::survey;
use vfio_suite::text;

fn main() -> ExitCode {
    if let Some(code) = sysfs::run_as_child() {
        return code;
    }
    let arguments: Vec<String> = std::env::args_os().skip(1).map(|a| a.to_string_lossy().into_owned()).collect();
    // A domain's name is not a path (libvirt's `virDomainDefPostParse`).
    let [domain, operation, part, _extra] = arguments.as_slice() else { return usage() };
    if domain.is_empty() || domain.contains('/') {
        return usage();
    }
    let Ok(root) = Root::from_option(None) else { return ExitCode::SUCCESS };
    logger::journal::start("vfio", root.is_system());
    let tools = tools_for(&root);
    let done = match (operation.as_str(), part.as_str()) {
        ("prepare", "begin") => prepare(&root, tools.as_ref(), domain),
        ("started", "begin") => started(&root, tools.as_ref(), domain),
        ("release", "end") => release(&root, tools.as_ref(), domain),
        // Among the others is `reconnect`: a restarted daemon would kill a running guest over a failure.
        _ => Ok(()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentences) => {
            // In a test tree both would go to the same place.
            if root.is_system() {
                sentences.lines().for_each(|sentence| log::error!("{sentence}"));
            }
            sentences.lines().for_each(logger::complain);
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    logger::complain("vfio-libvirt-hook: libvirt calls this with a domain, an operation, its part and one word more");
    ExitCode::from(64)
}

/// The domain is about to start: hands over, unless the unit has done that already.
fn prepare(root: &Root, tools: &dyn Tools, domain: &str) -> Result<(), String> {
    let config = config::load(root);
    let ours = config.guests.iter().find(|g| g.runner == Runner::Libvirt && g.domain == domain);
    let Some(guest) = ours else {
        // A section of this name that does not count must not let the domain take the host's display by surprise.
        let disabled = config.disabled_section("guest", domain);
        return disabled.map_or_else(
            || prepare_foreign(root, &config),
            |d| {
                let why = Finding { section: Section::Guest(domain.to_owned()), ..d.why.clone() };
                Err(why.line())
            },
        );
    };
    let name = &guest.name;
    let lock = guest::lock(root, name, Duration::ZERO).map_err(|e| format!("[guest {name}] {e}"))?;
    let Some(_lock) = lock else {
        let ready = guest::records(root, name).is_ok_and(|r| r.iter().any(|r| r.step.starts().is_some()));
        let sentence = || format!("[guest {name}] is being handed its cards by vfio-guest@{name}.service");
        return if ready { Ok(()) } else { Err(sentence()) };
    };
    let journal = |error: std::io::Error| format!("[guest {name}] the journal: {error}");
    if !guest::records(root, name).map_err(journal)?.is_empty() {
        // What was left by a start whose end nobody saw.
        log::warn!("[guest {name}] an earlier start was not given back: that comes first");
        give_all_back(root, tools, name).map_err(journal)?;
    }
    let xml = read_description().map_err(|e| format!("[guest {name}] libvirt's description of the domain: {e}"))?;
    let plan = start::plan(root, tools, &config, guest, Source::Hook(&xml));
    if !plan.refusals.is_empty() {
        let why: Vec<String> = plan.refusals.iter().map(Finding::line).collect();
        state::write_guest_status(root, name, GuestOutcome::Refused, &why);
        return Err(sentences(&why));
    }
    let warnings: Vec<String> = plan.warnings.iter().map(Finding::line).collect();
    warnings.iter().for_each(|warning| log::warn!("{warning}"));
    state::write_guest_status(root, name, GuestOutcome::HandedOver, &warnings);
    let work = Work { root, tools, config: &config, guest, until: Instant::now() + guest.start_timeout };
    carry_out(&work, &plan, |step| log::info!("[guest {name}] {step}")).map_err(|why| {
        state::write_guest_status(root, name, GuestOutcome::Failed, std::slice::from_ref(&why));
        let problems = give_all_back(root, tools, name).unwrap_or_else(|e| vec![journal(e)]);
        sentences(&[vec![why], problems].concat())
    })
}

fn read_description() -> std::io::Result<String> {
    let mut xml = String::new();
    std::io::stdin().take(domain::LARGEST as u64 + 1).read_to_string(&mut xml)?;
    Ok(xml)
}

/// A domain that no section names is about to start: it is refused if it gets a configured card that the host has.
fn prepare_foreign(root: &Root, config: &Config) -> Result<(), String> {
    if config.gpus.is_empty() {
        return Ok(());
    }
    // Of what cannot be read nothing is known, and it is not ours.
    let described = read_description().map_err(|error| error.to_string()).and_then(|xml| domain::parse(&xml));
    let described = match described {
        Ok(described) => described,
        Err(why) => {
            log::warn!("a domain that no [guest] section names is not looked at: {why}");
            return Ok(());
        }
    };
    if described.hostdevs.is_empty() {
        return Ok(());
    }
    let (selections, host) = survey::chosen(root, config);
    match without_section::refusal(config, &selections, &described, &host) {
        Some(why) => Err(text::line(&why.line()).into_owned()),
        None => Ok(()),
    }
}

/// Sentences, a line each, whatever names are in them.
fn sentences(sentences: &[String]) -> String {
    let lines: Vec<_> = sentences.iter().map(|sentence| text::line(sentence)).collect();
    lines.join("\n")
}

/// Gives everything back; a sentence for each thing that could not be.
fn give_all_back(root: &Root, tools: &dyn Tools, name: &str) -> std::io::Result<Vec<String>> {
    let done = give_back(root, tools, name, End::Certain, |what| log::info!("[guest {name}] {what}"))?;
    if done.as_ref().is_some_and(Vec::is_empty) {
        log::info!("[guest {name}] everything is back with the host");
    }
    Ok(done.unwrap_or_default())
}

/// The domain runs: its unit becomes its supervisor, unless it is already.
fn started(root: &Root, tools: &dyn Tools, domain: &str) -> Result<(), String> {
    let Some(name) = guest::of_domain(root, domain) else { return Ok(()) };
    // The program that has the lock supervises it.
    if guest::lock(root, &name, Duration::ZERO).is_ok_and(|lock| lock.is_none()) {
        return Ok(());
    }
    let unit = guest::unit(&name);
    // The guest runs all the same; the card comes back through `release`.
    let asked = guest::ask_for_supervisor(root, &name)
        .map_err(ToolError::from)
        .and_then(|()| services::start_later(tools, &unit));
    if let Err(error) = asked {
        guest::only_supervise(root, &name);
        log::warn!("{unit}: {error}");
    }
    Ok(())
}

/// The domain has ended, or did not start: gives back, unless a supervisor does.
fn release(root: &Root, tools: &dyn Tools, domain: &str) -> Result<(), String> {
    let Some(name) = guest::of_domain(root, domain) else { return Ok(()) };
    match guest::lock(root, &name, Duration::ZERO) {
        Ok(None) => Ok(()),
        Ok(Some(_lock)) => {
            let problems = give_all_back(root, tools, &name).map_err(|e| format!("[guest {name}] the journal: {e}"))?;
            if problems.is_empty() {
                Ok(())
            } else {
                Err(sentences(&problems))
            }
        }
        Err(error) => Err(format!("[guest {name}] {error}")),
    }
}
