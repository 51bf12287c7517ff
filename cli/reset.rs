// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio reset`: how each function can be reset, and resetting a card now.

use crate::act::{choose, lock};
use crate::output::{Output, Text};
use crate::{check, Answer as Exit};
use serde::Serialize;
use vfio_suite::act::card::reset::{self, Done};
use vfio_suite::act::guest;
use vfio_suite::config::{self, Reset};
use vfio_suite::logger::complain;
use vfio_suite::pci::Address;
use vfio_suite::plan::reset::{dead, wishes};
use vfio_suite::plan::reset_now::{effect, known, plan, ResetPlan};
use vfio_suite::root::Root;
use vfio_suite::survey;

/// What a card can be reset by.
#[derive(Serialize)]
struct Card {
    gpu: String,
    /// `reset` of its section.
    configured: &'static str,
    /// Why it must be left alone until the next boot; null if it answers.
    dead: Option<String>,
    functions: Vec<Member>,
}

#[derive(Serialize)]
struct Member {
    address: Address,
    ids: String,
    driver: Option<String>,
    /// What `reset_method` showed before we wrote anything, and what each would do; null if the kernel knows no way.
    methods: Option<Vec<Method>>,
    /// What it shows now.
    now: Option<Vec<String>>,
    /// What the table of known cards says; null if it says nothing.
    known: Option<String>,
    /// What `reset_method` is to show when it is bound; null leaves the kernel's order.
    desired: Option<String>,
    /// Why that is not what was asked for.
    problem: Option<String>,
}

#[derive(Serialize)]
struct Method {
    name: String,
    effect: &'static str,
}

#[derive(Serialize)]
struct Table {
    cards: Vec<Card>,
}

/// Shows how all configured cards can be reset.
pub fn show(root: &Root, out: &Output) -> anyhow::Result<Exit> {
    let config = config::load(root);
    check::report(&config);
    let (selections, host) = survey::cards_now(root, &config);
    let mut cards = Vec::new();
    for selection in &selections {
        let functions = selection.selected.as_ref().map(|c| c.functions.as_slice()).unwrap_or_default();
        let members = wishes(selection, &host).into_iter().filter_map(|wish| {
            let function = host.function(wish.function)?;
            let method = |name: &String| Method { name: name.clone(), effect: effect(name, function, &host) };
            let before = host.reset_before.iter().find(|(address, _)| *address == function.address);
            let methods = before.map(|(_, methods)| methods).or(function.reset_methods.as_ref());
            Some(Member {
                address: function.address,
                ids: function.ids(),
                driver: function.driver.clone(),
                methods: methods.map(|methods| methods.iter().map(method).collect()),
                now: function.reset_methods.clone(),
                known: known(function, &host),
                desired: wish.methods,
                problem: wish.problem.map(|problem| problem.sentence()),
            })
        });
        cards.push(Card {
            gpu: selection.gpu.name.clone(),
            configured: selection.gpu.reset.word(),
            dead: dead(selection.gpu, functions, &host).map(|finding| finding.text),
            functions: members.collect(),
        });
    }
    let well = cards.iter().all(|card| card.dead.is_none() && card.functions.iter().all(|f| f.problem.is_none()));
    if out.is_json() {
        out.json("vfio.reset/1", &Table { cards })?;
    } else {
        out.text(&text(&cards, out))?;
    }
    Ok(check::code(&config).max(if well { Exit::Done } else { Exit::No }))
}

fn text(cards: &[Card], out: &Output) -> Text {
    let mut text = out.lines();
    if cards.is_empty() {
        text.line("no card is configured: see /etc/vfio.conf");
    }
    for card in cards {
        text.line(format_args!("{}: reset = {}", out.bold(&format!("[gpu {}]", card.gpu)), card.configured));
        card.dead.iter().for_each(|why| text.line(format_args!("  {}", out.bad(why))));
        for member in &card.functions {
            let driver = member.driver.as_deref().unwrap_or("no driver");
            text.line(format_args!("  {} ({}, {driver})", member.address, member.ids));
            let row = |method: &Method| vec![format!("  {}", method.name), method.effect.to_owned()];
            match &member.methods {
                None => text.line("    the kernel knows no way to reset it"),
                Some(methods) if methods.is_empty() => text.line("    all its methods are switched off"),
                Some(methods) => text.table(&methods.iter().map(row).collect::<Vec<_>>()),
            }
            member.known.iter().for_each(|known| text.line(format_args!("    known: {known}")));
            let names = member.methods.iter().flatten().map(|method| &method.name);
            if let Some(now) = member.now.as_ref().filter(|now| !names.eq(now.iter())) {
                text.line(format_args!("    now: {}", shown(&now.join(" "))));
            }
            member
                .desired
                .iter()
                .for_each(|desired| text.line(format_args!("    when it is bound: {}", shown(desired))));
            member.problem.iter().for_each(|problem| text.line(format_args!("    {}", out.bad(problem))));
        }
    }
    text
}

fn shown(methods: &str) -> &str {
    if methods.is_empty() {
        "not reset"
    } else {
        methods
    }
}

#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    plan: ResetPlan,
    /// Whether it was only said what would be done.
    dry_run: bool,
    /// What became of each function.
    done: Vec<Done>,
}

/// Resets a card now, if no guest has it and no driver of the host.
pub fn run(root: &Root, out: &Output, name: &str, method: Option<Reset>, dry_run: bool) -> anyhow::Result<Exit> {
    let config = config::load(root);
    // A caller that only looks needs no rights.
    let _lock = if dry_run { None } else { Some(lock(root)?) };
    let (selection, host) = choose(root, &config, name)?;
    let plan = plan(&selection, &host, guest::owner(root, name).as_deref(), method);
    check::warn(&plan.warnings);
    let done = if dry_run || !plan.refusals.is_empty() { Vec::new() } else { reset::reset(root, &plan)? };
    check::refuse(&plan.refusals);
    done.iter()
        .filter_map(|done| done.problem.as_ref())
        .for_each(|why| complain(format_args!("vfio: [gpu {name}] {why}")));
    let code = match (plan.refusals.is_empty(), done.iter().all(|done| done.problem.is_none())) {
        (false, _) => Exit::No,
        (true, true) => Exit::Done,
        (true, false) => Exit::Errors,
    };
    if out.is_json() {
        out.json("vfio.reset-now/1", &Answer { plan, dry_run, done })?;
        return Ok(code);
    }
    for (function, methods) in plan.functions.iter().filter(|_| dry_run) {
        let now = || host.function(*function).and_then(|f| f.reset_methods.as_ref()).map(|m| m.join(" "));
        let methods = methods.clone().or_else(now).unwrap_or_default();
        out.line(format_args!("[gpu {name}] {function} would be reset by {methods}"))?;
    }
    for done in done.iter().filter(|done| done.problem.is_none()) {
        out.line(format_args!("[gpu {name}] {} was reset by {}", done.function, done.methods.join(" ")))?;
    }
    Ok(code)
}
