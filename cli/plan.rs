// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio plan`: what the next boot will do with each card, and why.

use crate::output::{Output, Text};
use crate::{check, Answer as Exit};
use serde::Serialize;
use vfio_suite::config::{self, Bind, Config};
use vfio_suite::host::run::boot_counter::{self, Before, BootCounter, Obstacle};
use vfio_suite::host::{Depth, Host};
use vfio_suite::pci::Address;
use vfio_suite::plan::selection::Selection;
use vfio_suite::plan::{bind, boot, display, group, rebar, reset, usage, Finding, Plan};
use vfio_suite::root::Root;
use vfio_suite::survey;

#[derive(Serialize)]
struct Answer {
    /// Why the next boot binds nothing at all, if so.
    forbidden: Option<String>,
    cards: Vec<Card>,
}

#[derive(Serialize)]
pub(crate) struct Card {
    bind: &'static str,
    /// Whether it is not there now.
    absent: bool,
    /// Functions that are taken only when file systems are mounted: they may carry some.
    late: Vec<Address>,
    #[serde(flatten)]
    pub(crate) plan: Plan,
}

fn card(selection: &Selection<'_>, boot: &[Selection<'_>], host: &Host, fresh: &Host) -> Card {
    let at_boot = selection.gpu.bind == Bind::Boot;
    let mut plan = match &selection.selected {
        // Nobody has to do anything about a card that is elsewhere.
        Err(finding) if finding.is_absent() => Plan {
            gpu: selection.gpu.name.clone(),
            notes: Some(finding.clone().note()).filter(|_| !selection.gpu.optional).into_iter().collect(),
            ..Plan::default()
        },
        Err(finding) => Plan::refused(finding.clone()),
        Ok(_) if at_boot => bind::plan(selection, fresh, &selection.gpu.bars),
        Ok(selected) => Plan {
            gpu: selection.gpu.name.clone(),
            functions: selected.functions.clone(),
            warnings: selected.warnings.clone(),
            ..Plan::default()
        },
    };
    if selection.selected.is_ok() {
        let mut warnings: Vec<Finding> = selection.selected.iter().flat_map(|c| c.warnings.clone()).collect();
        warnings.extend(group::one_to_one_later(selection, fresh));
        warnings.extend(usage::losses(selection, fresh));
        if at_boot && rebar::asks(&selection.gpu.bars) {
            warnings.extend(rebar::plan(selection.gpu, &plan.functions, &selection.gpu.bars, fresh).1);
        }
        plan.warnings = warnings;
        plan.notes = selection.selected.iter().flat_map(|c| c.notes.clone()).collect();
        plan.notes.extend(reset::notes(selection, fresh));
        match display::dark_at_boot(selection, boot, host).filter(|_| at_boot) {
            Some((dark, true)) => plan.warnings.push(dark.warning()),
            Some((dark, false)) => plan.notes.push(dark.note()),
            None => {}
        }
    }
    let waits = |function: &&Address| !boot::may_reserve(**function, fresh, boot::Stage::Early);
    let late = if at_boot { plan.functions.iter().filter(waits).copied().collect() } else { Vec::new() };
    let absent = selection.selected.as_ref().is_err_and(Finding::is_absent);
    Card { bind: if at_boot { "boot" } else { "guest" }, absent, late, plan }
}

/// The cards, each with its plan for the next boot.
pub(crate) fn cards(root: &Root, config: &Config, host: &mut Host) -> Vec<Card> {
    let selections = survey::judged(root, config, host);
    host.inspect_bars(root, &boot::functions(&selections));
    let fresh = boot::at_next_boot(host);
    let boot: Vec<Selection<'_>> = selections.iter().filter(|c| c.gpu.bind == Bind::Boot).cloned().collect();
    selections.iter().map(|selection| card(selection, &boot, host, &fresh)).collect()
}

/// Says what the next boot will do.
pub fn run(root: &Root, out: &Output) -> anyhow::Result<Exit> {
    let config = config::load(root);
    check::report(&config);
    let mut host = Host::scan(root, Depth::Full);
    // A boot that has come up by now does not count against the next one; one that is still coming up may.
    let before = match (boot_counter::obstacle(root), BootCounter::read(root)) {
        (Some(Obstacle::NoCount(why)), _) | (_, Err(why)) => Before::NotKnown(why),
        (_, Ok(now)) if now.boot == boot_counter::current(root) => Before::Failed(0),
        (_, Ok(earlier)) => earlier.before(""),
    };
    let forbidden = boot::forbidden(&config, &host, &before);
    let cards = cards(root, &config, &mut host);
    let refused = cards.iter().any(|c| !c.plan.refusals.is_empty());
    let code = check::code(&config).max(if refused || forbidden.is_some() { Exit::No } else { Exit::Done });
    let answer = Answer { forbidden, cards };
    if out.is_json() {
        out.json("vfio.plan/1", &answer)?;
    } else {
        out.text(&text(&answer, out))?;
    }
    Ok(code)
}

fn text(answer: &Answer, out: &Output) -> Text {
    let mut text = out.lines();
    if let Some(why) = &answer.forbidden {
        text.line(out.bad(why));
    }
    if answer.cards.is_empty() {
        text.line("no [gpu] section: nothing is bound at boot");
    }
    for card in &answer.cards {
        let plan = &card.plan;
        let functions: Vec<String> = plan.functions.iter().map(ToString::to_string).collect();
        let what = match (card.bind, plan.refusals.is_empty()) {
            _ if card.absent => "not there now".to_owned(),
            (_, false) => out.bad("refused"),
            ("boot", true) if answer.forbidden.is_some() => "would be bound at boot".to_owned(),
            ("boot", true) if !card.late.is_empty() && card.late.len() == plan.functions.len() => {
                out.good("bound at boot, when file systems are mounted and none is on it")
            }
            ("boot", true) => out.good("bound at boot, before any host driver"),
            _ => "left to the host until a guest starts".to_owned(),
        };
        text.line(format_args!("{}: {what}", out.bold(&format!("[gpu {}]", plan.gpu))));
        if !functions.is_empty() {
            text.line(format_args!("  functions: {}", functions.join(", ")));
        }
        if !card.late.is_empty() && card.late.len() < plan.functions.len() {
            let late: Vec<String> = card.late.iter().map(ToString::to_string).collect();
            text.line(format_args!("  when file systems are mounted: {}", late.join(", ")));
        }
        text.numbered(&plan.steps);
        plan.refusals.iter().for_each(|r| text.line(format_args!("  {}", r.line())));
        plan.warnings.iter().for_each(|w| text.line(format_args!("  warning: {}", w.line())));
        plan.notes.iter().for_each(|n| text.line(format_args!("  note: {}", n.line())));
    }
    text
}
