// SPDX-License-Identifier: LGPL-2.1-or-later
//! The first screen: what was found, and what of it is in the way.

use super::answers::Answers;
use super::facts::{Card, Facts, IommuState};
use super::packages::{self, For};
use super::parts::{Kind, WizardPlan};
use crate::plan::setup;
use serde::Serialize;

/// How it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// As guests need it.
    Good,
    /// Not yet.
    Open,
    /// In the way.
    Bad,
}

impl Mark {
    /// The sign in the first column.
    pub fn sign(self) -> &'static str {
        match self {
            Mark::Good => "+",
            Mark::Open => "!",
            Mark::Bad => "x",
        }
    }
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// How it stands.
    pub mark: Mark,
    /// What it is about.
    pub about: String,
    /// A line each.
    pub lines: Vec<String>,
}

/// Rows below a heading.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Block {
    /// The heading.
    pub title: String,
    /// What is below it.
    pub rows: Vec<Row>,
}

fn row(mark: Mark, about: &str, line: impl Into<String>) -> Row {
    Row { mark, about: about.to_owned(), lines: vec![line.into()] }
}

/// Good, or open.
fn good(is_good: bool) -> Mark {
    if is_good {
        Mark::Good
    } else {
        Mark::Open
    }
}

/// All of it. Without answers a plan cannot be made, and why that is so is told elsewhere.
pub fn blocks(facts: &Facts, answers: Option<&Answers>, plan: Option<&WizardPlan>) -> Vec<Block> {
    let mut rows = vec![processor(facts), boots(facts)];
    rows.extend(facts.cards.iter().map(|card| of_card(card, answers)));
    if facts.cards.is_empty() {
        rows.push(row(Mark::Bad, "card", "the kernel shows no graphics card"));
    }
    rows.extend(programs(facts, answers));
    rows.extend(user(facts));
    rows.extend(answers.filter(|answers| answers.dark).map(|_| way_back(facts)));
    let mut blocks = vec![Block { title: "This machine".to_owned(), rows }];
    blocks.push(guests(facts, answers, plan));
    let leftovers: Vec<Row> =
        facts.leftovers.iter().map(|leftover| row(Mark::Open, "", leftover.path.as_str())).collect();
    let mut seen: Vec<Row> = Vec::new();
    leftovers.into_iter().for_each(|row| {
        if !seen.contains(&row) {
            seen.push(row);
        }
    });
    if !seen.is_empty() {
        blocks.push(Block { title: "Left from other ways of passing cards through".to_owned(), rows: seen });
    }
    blocks
}

fn processor(facts: &Facts) -> Row {
    let (mark, text) = match &facts.iommu {
        IommuState::On(groups) => (Mark::Good, format!("{}, IOMMU on ({groups} groups)", facts.processor)),
        IommuState::AtNextBoot => {
            (Mark::Open, format!("{}, IOMMU off: a kernel parameter is missing", facts.processor))
        }
        IommuState::Off { .. } | IommuState::Unknown => (Mark::Bad, format!("{}, IOMMU off", facts.processor)),
    };
    row(mark, "processor", text)
}

fn boots(facts: &Facts) -> Row {
    let loaders =
        if facts.loaders.is_empty() { "a loader that is not known".to_owned() } else { facts.loaders.join(", ") };
    let initramfs = facts.initramfs.map(|tool| format!("; initramfs by {tool}")).unwrap_or_default();
    let signed = if facts.secure_boot { "; Secure Boot on" } else { "" };
    row(good(!facts.loaders.is_empty()), "boots by", format!("{loaders}{initramfs}{signed}"))
}

fn of_card(card: &Card, answers: Option<&Answers>) -> Row {
    let meant = answers.is_some_and(|answers| answers.card.address == card.address);
    let mut lines = vec![format!("{} ({}, {})", card.title(), card.at(), card.ids)];
    let shows = match card.monitors.as_slice() {
        [] if card.with_vfio => "is with vfio".to_owned(),
        [] => "no monitor".to_owned(),
        monitors => format!("has {}", monitors.join(", ")),
    };
    let session = if card.has_session { "; a session holds it" } else { "" };
    let boot = if card.boot_display { "; the boot display" } else { "" };
    let guest = if meant { "; for the guest" } else { "" };
    lines.push(format!("{shows}{session}{boot}{guest}"));
    match (card.group, card.beside.as_slice()) {
        (Some(group), []) => lines.push(format!("IOMMU group {group}, of its own")),
        (Some(group), beside) => lines.push(format!("IOMMU group {group}, which also has {}", beside.join(", "))),
        (None, _) => {}
    }
    let reset = if card.reset.is_empty() { "none that the kernel knows".to_owned() } else { card.reset.join(", ") };
    let known = card.known.as_ref().map(|known| format!("; known: {known}")).unwrap_or_default();
    lines.push(format!("reset: {reset}{known}"));
    let mark = if meant && !card.refusals.is_empty() { Mark::Bad } else { Mark::Good };
    Row { mark, about: "card".to_owned(), lines }
}

fn programs(facts: &Facts, answers: Option<&Answers>) -> Vec<Row> {
    let missing = packages::missing(facts, answers.map_or(For::Nobody, For::of));
    let packages = if missing.programs.is_empty() {
        row(Mark::Good, "packages", "all that guests need is installed")
    } else {
        row(Mark::Open, "packages", format!("not installed: {}", missing.programs.join(", ")))
    };
    let system = setup::plan(&facts.system, None);
    let open = system.steps.iter().any(|step| !matches!(step, setup::SetupStep::Join { .. }));
    let libvirt = match (facts.installed.daemon, open) {
        (false, _) => return vec![packages],
        (true, true) => row(Mark::Open, "libvirt", "installed, not ready: services or network"),
        (true, false) => row(Mark::Good, "libvirt", "ready"),
    };
    vec![packages, libvirt]
}

fn user(facts: &Facts) -> Option<Row> {
    let user = facts.user.as_deref()?;
    let plan = setup::plan(&facts.system, Some(user));
    let groups = plan.steps.iter().filter_map(|step| match step {
        setup::SetupStep::Join { group, .. } => Some(group.as_str()),
        _ => None,
    });
    let groups: Vec<&str> = groups.collect();
    Some(if groups.is_empty() {
        row(Mark::Good, "user", format!("{user} is in the groups that guests need"))
    } else {
        row(Mark::Open, "user", format!("{user} is not in {}", groups.join(", ")))
    })
}

fn way_back(facts: &Facts) -> Row {
    let runs =
        facts.system.services.iter().any(|service| setup::SSH.contains(&service.name.as_str()) && service.active);
    if runs {
        row(Mark::Good, "way back", "an SSH server runs")
    } else {
        row(Mark::Open, "way back", "no SSH server runs: with one card there is no other way in")
    }
}

fn guests(facts: &Facts, answers: Option<&Answers>, plan: Option<&WizardPlan>) -> Block {
    let title = |text: &str| text.to_owned();
    let Some((answers, domain)) = answers.and_then(|answers| Some((answers, answers.domain.as_ref()?))) else {
        let names: Vec<&str> = facts.domains.iter().map(|(name, _)| name.as_str()).collect();
        let line = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        return Block { title: title("Guests of libvirt"), rows: vec![row(Mark::Good, "", line)] };
    };
    let part = plan.and_then(|plan| plan.parts.iter().find(|part| part.kind == Kind::Guest));
    let rows = match (answers.has_domain, part) {
        (true, _) if plan.is_none() => vec![row(Mark::Good, "", "is a domain of libvirt")],
        (false, _) => vec![row(Mark::Open, "", "there is no such domain yet")],
        (true, None) => vec![row(Mark::Good, "", "is what its section says")],
        (true, Some(part)) => part.lines.iter().map(|line| row(Mark::Open, "lacks", line.as_str())).collect(),
    };
    Block { title: format!("The guest {domain}"), rows }
}
