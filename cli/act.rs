// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio bind`, `vfio restore`, `vfio rescan`: changing one card now.

use crate::output::Output;
use crate::{check, DONE, ERRORS, NO};
use anyhow::{bail, Context};
use vfio_suite::act::card::{self, OnFailure};
use vfio_suite::act::lock::Lock;
use vfio_suite::act::state;
use vfio_suite::config::{self, Config};
use vfio_suite::host::status::{Outcome, Status};
use vfio_suite::host::{function, Depth, Host};
use vfio_suite::pci::Address;
use vfio_suite::plan::select::{self, Choice};
use vfio_suite::plan::{bind, boot, display, idle, rescan, section, Finding, Plan};
use vfio_suite::root::Root;

/// Says how it ended, and gives the exit code for it.
fn answer(out: &Output, status: &Status) -> anyhow::Result<u8> {
    let functions: Vec<String> = status.functions.iter().map(ToString::to_string).collect();
    let functions = functions.join(", ");
    if out.is_json() {
        out.json("vfio.act/1", status)?;
    } else {
        let gpu = &status.gpu;
        match status.outcome {
            Outcome::Bound => out.text(&format!("[gpu {gpu}] on vfio: {functions}\n"))?,
            Outcome::Restored => out.text(&format!("[gpu {gpu}] back with the host: {functions}\n"))?,
            Outcome::Refused | Outcome::Failed | Outcome::Stuck | Outcome::Reserved => {}
        }
    }
    status.why.iter().for_each(|why| eprintln!("vfio: {why}"));
    Ok(match status.outcome {
        Outcome::Bound | Outcome::Restored | Outcome::Reserved => DONE,
        Outcome::Refused => NO,
        Outcome::Failed | Outcome::Stuck => ERRORS,
    })
}

/// The section's choice on this machine, with the closer look that a plan needs.
fn choose<'c>(root: &Root, config: &'c Config, name: &str) -> anyhow::Result<(Choice<'c>, Host)> {
    check::report(config);
    let mut host = Host::scan(root, Depth::Full);
    if let Err(finding) = section(config, name) {
        bail!("{finding}");
    }
    let mut choices = select::all(config, &host);
    choices.retain(|c| c.gpu.name == name);
    boot::admit(&mut choices, &host);
    host.look_closer(root, boot::functions(&choices));
    host.find_variants(root, &bind::asks_for_variants(&choices));
    host.find_holders_of_bound(root, &boot::functions(&choices));
    match choices.pop() {
        Some(choice) => Ok((choice, host)),
        None => bail!("[gpu {name}] is not in the configuration"),
    }
}

/// The plan that `make` makes, unless something forbids it first.
fn plan_or_refusal(config: &Config, choice: &Choice<'_>, host: &Host, make: impl FnOnce() -> Plan) -> Plan {
    let forbidden = idle(config, host)
        .map(|text| Finding { gpu: choice.gpu.name.clone(), at: None, text })
        .or_else(|| choice.chosen.as_ref().err().cloned())
        .or_else(|| display::keep_one_now(choice, host));
    forbidden.map_or_else(make, Plan::refused)
}

/// Binds a card now.
pub fn bind(root: &Root, out: &Output, name: &str) -> anyhow::Result<u8> {
    let config = config::load(root);
    let _lock = Lock::take(root).context("/run/vfio/lock")?;
    let (choice, host) = choose(root, &config, name)?;
    let plan = plan_or_refusal(&config, &choice, &host, || bind::plan(&choice, &host));
    plan.warnings.iter().for_each(|warning| eprintln!("vfio: warning: {warning}"));
    answer(out, &card::carry_out(root, &plan, Outcome::Bound, OnFailure::UndoPlan))
}

/// Takes a card off the bus and finds it again.
pub fn rescan(root: &Root, out: &Output, name: &str) -> anyhow::Result<u8> {
    let config = config::load(root);
    let _lock = Lock::take(root).context("/run/vfio/lock")?;
    let (choice, host) = choose(root, &config, name)?;
    let plan = plan_or_refusal(&config, &choice, &host, || {
        let first: Option<Address> = choice.chosen.as_ref().ok().and_then(|c| c.functions.first().copied());
        let bridge = first.and_then(|f| function::parents(root, f).first().copied());
        rescan::plan(&choice, &host, bridge)
    });
    answer(out, &card::carry_out(root, &plan, Outcome::Bound, OnFailure::UndoPlan))
}

/// Gives a card back, from the journal alone: no configuration is needed for that.
pub fn restore(root: &Root, out: &Output, name: &str) -> anyhow::Result<u8> {
    let _lock = Lock::take(root).context("/run/vfio/lock")?;
    if let Some(status) = card::restore(root, name).with_context(|| format!("the journal of [gpu {name}]"))? {
        if status.outcome == Outcome::Restored {
            state::set_given_back(root, name, true).with_context(|| format!("/run/vfio/given-back/{name}"))?;
        }
        return answer(out, &status);
    }
    let config = config::load(root);
    let known = config.gpus.iter().any(|g| g.name == name) || config.disabled.iter().any(|d| d.name == name);
    if !known {
        let finding = section(&config, name).err().unwrap_or(Finding {
            gpu: name.to_owned(),
            at: None,
            text: "is unknown".to_owned(),
        });
        bail!("{finding}");
    }
    let status = Status { gpu: name.to_owned(), outcome: Outcome::Restored, why: Vec::new(), functions: Vec::new() };
    if out.is_json() {
        out.json("vfio.act/1", &status)?;
    } else {
        out.text(&format!("[gpu {name}] nothing to undo\n"))?;
    }
    Ok(DONE)
}
