// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio bind`, `vfio restore`, `vfio rescan`: changing one card now.

use crate::output::Output;
use crate::{check, Answer};
use anyhow::{anyhow, bail, Context};
use serde::Serialize;
use vfio_suite::act::card::{self, OnFailure};
use vfio_suite::act::lock::Lock;
use vfio_suite::act::state;
use vfio_suite::config::{self, Config};
use vfio_suite::finding::codes;
use vfio_suite::host::run::card_status::{Outcome, Status};
use vfio_suite::host::{bars, detail, reset, Host};
use vfio_suite::logger::complain;
use vfio_suite::pci::Address;
use vfio_suite::plan::selection::Selection;
use vfio_suite::plan::{bind, boot, display, idle, rescan, section, Finding, Plan};
use vfio_suite::root::Root;
use vfio_suite::survey;

/// How an act ended, for programs.
#[derive(Serialize)]
struct Ended<'a> {
    #[serde(flatten)]
    status: &'a Status,
    /// Whether anything was changed.
    changed: bool,
    /// Whether only a reboot brings the card back.
    reboot: bool,
}

/// Says how it ended, and gives the exit code for it; `planned` tells whether there was anything to do.
pub(crate) fn answer(root: &Root, out: &Output, status: &Status, planned: bool) -> anyhow::Result<Answer> {
    let functions: Vec<String> = status.functions.iter().map(ToString::to_string).collect();
    let functions = functions.join(", ");
    if out.is_json() {
        // What has failed was undone, or not all of it.
        let changed = planned && !matches!(status.outcome, Outcome::Refused | Outcome::Failed);
        let lost = status.functions.iter().any(|function| bars::loss(root, *function).is_some());
        let reboot = lost || reset::dead(root, &status.gpu).is_some();
        out.json("vfio.act/1", &Ended { status, changed, reboot })?;
    } else {
        let gpu = &status.gpu;
        match status.outcome {
            Outcome::Bound => out.line(format_args!("[gpu {gpu}] on vfio: {functions}"))?,
            Outcome::Restored => out.line(format_args!("[gpu {gpu}] back with the host: {functions}"))?,
            Outcome::Refused | Outcome::Failed | Outcome::Stuck | Outcome::Reserved => {}
        }
    }
    status.why.iter().for_each(|why| complain(format_args!("vfio: {why}")));
    Ok(match status.outcome {
        Outcome::Bound | Outcome::Restored | Outcome::Reserved => Answer::Done,
        Outcome::Refused => Answer::No,
        Outcome::Failed | Outcome::Stuck => Answer::Errors,
    })
}

/// The section on this machine as it is now; all that the configuration has to say is said first.
pub(crate) fn choose<'c>(root: &Root, config: &'c Config, name: &str) -> anyhow::Result<(Selection<'c>, Host)> {
    check::report(config);
    survey::card_now(root, config, name).map_err(|finding| anyhow!("{}", finding.line()))
}

/// The plan that `make` makes, unless something forbids it first.
pub(crate) fn plan_or_refusal(
    config: &Config,
    selection: &Selection<'_>,
    host: &Host,
    make: impl FnOnce() -> Plan,
) -> Plan {
    let forbidden = idle(config, host)
        .map(|text| Finding::card_named(&selection.gpu.name, codes::SWITCHED_OFF, text))
        .or_else(|| selection.selected.as_ref().err().cloned())
        .or_else(|| display::keep_one_now(selection, host));
    forbidden.map_or_else(make, Plan::refused)
}

/// Our turn. Only root may change anything.
pub(crate) fn lock(root: &Root) -> anyhow::Result<Lock> {
    Lock::take(root).map_err(|error| anyhow!("{}: {}", root.show("run/vfio/lock"), error.sentence()))
}

/// Binds a card now.
pub fn bind(root: &Root, out: &Output, name: &str) -> anyhow::Result<Answer> {
    let config = config::load(root);
    let _lock = lock(root)?;
    let (selection, mut host) = choose(root, &config, name)?;
    let functions = boot::functions(std::slice::from_ref(&selection));
    let sizes = survey::sizes_now(root, selection.gpu, &mut host, &functions);
    let plan = plan_or_refusal(&config, &selection, &host, || bind::plan(&selection, &host, &sizes));
    check::warn(&plan.warnings);
    let status = card::carry_out(root, &plan, Outcome::Bound, OnFailure::UndoPlan);
    answer(root, out, &status, !plan.steps.is_empty())
}

/// Takes a card off the bus and finds it again.
pub fn rescan(root: &Root, out: &Output, name: &str) -> anyhow::Result<Answer> {
    let config = config::load(root);
    let _lock = lock(root)?;
    let (selection, host) = choose(root, &config, name)?;
    let plan = plan_or_refusal(&config, &selection, &host, || {
        let functions = boot::functions(std::slice::from_ref(&selection));
        let above = |f: &Address| detail::parents(root, *f);
        // The nearest bridge above all of them, or the whole bus.
        let common = |bridge: &Address| functions.iter().all(|f| above(f).contains(bridge));
        let bridge = functions.first().and_then(|first| above(first).into_iter().find(common));
        rescan::plan(&selection, &host, bridge)
    });
    let status = card::carry_out(root, &plan, Outcome::Bound, OnFailure::UndoPlan);
    answer(root, out, &status, !plan.steps.is_empty())
}

/// Gives a card back, from the journal alone: no configuration is needed for that.
pub fn restore(root: &Root, out: &Output, name: &str) -> anyhow::Result<Answer> {
    let _lock = lock(root)?;
    if let Some(status) = card::restore(root, name, &mut Vec::new())
        .with_context(|| format!("the journal of [gpu {name}] cannot be read (a reboot brings everything back)"))?
    {
        if status.outcome == Outcome::Restored {
            state::set_given_back(root, name, true).with_context(|| format!("/run/vfio/given-back/{name}"))?;
        }
        return answer(root, out, &status, true);
    }
    let config = config::load(root);
    match section(&config, name) {
        Err(finding) if config.disabled_section("gpu", name).is_none() => bail!("{}", finding.line()),
        _ => {}
    }
    let status = Status { gpu: name.to_owned(), outcome: Outcome::Restored, why: Vec::new(), functions: Vec::new() };
    if out.is_json() {
        return answer(root, out, &status, false);
    }
    out.line(format_args!("[gpu {name}] nothing to undo"))?;
    Ok(Answer::Done)
}
