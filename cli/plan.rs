// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio plan`: what the next boot will do with each card, and why.

use crate::output::{Output, Text};
use crate::{check, DONE, NO};
use serde::Serialize;
use vfio_suite::config::{self, Bind, Config};
use vfio_suite::host::run::boot_counter::{self, Before, Boots, Obstacle};
use vfio_suite::host::{Depth, Host};
use vfio_suite::pci::Address;
use vfio_suite::plan::select::Choice;
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

fn card(choice: &Choice<'_>, boot: &[Choice<'_>], host: &Host, fresh: &Host) -> Card {
    let at_boot = choice.gpu.bind == Bind::Boot;
    let mut plan = match &choice.chosen {
        // Nobody has to do anything about a card that is elsewhere.
        Err(finding) if finding.absent => Plan {
            gpu: choice.gpu.name.clone(),
            notes: Some(finding.clone()).filter(|_| !choice.gpu.optional).into_iter().collect(),
            ..Plan::default()
        },
        Err(finding) => Plan::refused(finding.clone()),
        Ok(_) if at_boot => bind::plan(choice, fresh, &choice.gpu.bars),
        Ok(chosen) => Plan {
            gpu: choice.gpu.name.clone(),
            functions: chosen.functions.clone(),
            warnings: chosen.warnings.clone(),
            ..Plan::default()
        },
    };
    if choice.chosen.is_ok() {
        let mut warnings: Vec<Finding> = choice.chosen.iter().flat_map(|c| c.warnings.clone()).collect();
        warnings.extend(group::one_to_one_later(choice, fresh));
        warnings.extend(usage::losses(choice, fresh));
        if at_boot && rebar::asks(&choice.gpu.bars) {
            warnings.extend(rebar::plan(choice.gpu, &plan.functions, &choice.gpu.bars, fresh).1);
        }
        plan.warnings = warnings;
        plan.notes = choice.chosen.iter().flat_map(|c| c.notes.clone()).collect();
        plan.notes.extend(reset::notes(choice, fresh));
        match display::dark_at_boot(choice, boot, host).filter(|_| at_boot) {
            Some((dark, true)) => plan.warnings.push(dark),
            Some((dark, false)) => plan.notes.push(dark),
            None => {}
        }
    }
    let waits = |function: &&Address| !boot::may_reserve(**function, fresh, boot::Stage::Early);
    let late = if at_boot { plan.functions.iter().filter(waits).copied().collect() } else { Vec::new() };
    let absent = choice.chosen.as_ref().is_err_and(|finding| finding.absent);
    Card { bind: if at_boot { "boot" } else { "guest" }, absent, late, plan }
}

/// The cards, each with its plan for the next boot.
pub(crate) fn cards(root: &Root, config: &Config, host: &mut Host) -> Vec<Card> {
    let choices = survey::judged(root, config, host);
    host.look_at_bars(root, &boot::functions(&choices));
    let fresh = boot::at_next_boot(host);
    let boot: Vec<Choice<'_>> = choices.iter().filter(|c| c.gpu.bind == Bind::Boot).cloned().collect();
    choices.iter().map(|choice| card(choice, &boot, host, &fresh)).collect()
}

/// Says what the next boot will do.
pub fn run(root: &Root, out: &Output) -> anyhow::Result<u8> {
    let config = config::load(root);
    check::report(&config);
    let mut host = Host::scan(root, Depth::Full);
    // A boot that has come up by now does not count against the next one; one that is still coming up may.
    let before = match (boot_counter::obstacle(root), Boots::read(root)) {
        (Some(Obstacle::NoCount(why)), _) | (_, Err(why)) => Before::NotKnown(why),
        (_, Ok(now)) if now.boot == boot_counter::current(root) => Before::Failed(0),
        (_, Ok(earlier)) => earlier.before(""),
    };
    let forbidden = boot::forbidden(&config, &host, &before);
    let cards = cards(root, &config, &mut host);
    let refused = cards.iter().any(|c| !c.plan.refusals.is_empty());
    let code = check::code(&config).max(if refused || forbidden.is_some() { NO } else { DONE });
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
        plan.refusals.iter().for_each(|r| text.line(format_args!("  {r}")));
        plan.warnings.iter().for_each(|w| text.line(format_args!("  warning: {w}")));
        plan.notes.iter().for_each(|n| text.line(format_args!("  note: {n}")));
    }
    text
}
