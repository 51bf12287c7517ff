// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio rebar`: the resizable BARs of cards, how large they are and can be; setting them by hand.

use crate::act::{answer, choose, lock, plan_or_refusal};
use crate::arguments::RebarVerb;
use crate::output::{Output, Text};
use crate::{check, Answer as Exit};
use anyhow::{bail, Context};
use serde::Serialize;
use std::path::Path;
use vfio_suite::act::card::{self, OnFailure};
use vfio_suite::act::guest;
use vfio_suite::config::{self, At, BarSize, Config, Location};
use vfio_suite::host::bars::{show_size, Bar};
use vfio_suite::host::bridge_window::BridgeWindow;
use vfio_suite::host::run::card_status::Outcome;
use vfio_suite::host::{function, Depth, Host};
use vfio_suite::logger::complain;
use vfio_suite::pci::Address;
use vfio_suite::plan::rebar::{self, Sizes};
use vfio_suite::plan::{boot, select, udev_sizes, Plan};
use vfio_suite::root::Root;

#[derive(Serialize)]
struct Answer {
    kernel: String,
    /// What is wrong with how this kernel resizes BARs.
    known_bad: Option<&'static str>,
    functions: Vec<Card>,
}

#[derive(Serialize)]
struct Card {
    gpu: Option<String>,
    function: Address,
    bars: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    index: u8,
    now: u64,
    placed: bool,
    firmware: Option<u64>,
    sizes: Vec<u64>,
    /// What fits, of its sizes.
    largest: u64,
    /// Whether it is known what fits; if not, `largest` is the largest of its sizes.
    known: bool,
    /// Why not the largest of its sizes.
    why: Option<String>,
}

fn row(window: &BridgeWindow, bar: &Bar, bad: bool) -> Row {
    let largest = rebar::largest(window, bar, bad);
    let why = match &window.free {
        None => Some("the free addresses are not known; run this as root".to_owned()),
        Some(_) => bar.sizes.last().filter(|most| **most > largest).map(|_| rebar::limit(window)),
    };
    let firmware = window.firmware.iter().find(|(index, _)| *index == bar.index).map(|(_, size)| *size);
    let (known, sizes) = (window.free.is_some(), bar.sizes.clone());
    Row { index: bar.index, now: bar.size, placed: bar.is_placed(), firmware, sizes, largest, known, why }
}

/// Shows one card, or every function of the machine that has a resizable BAR.
fn show(root: &Root, out: &Output, name: Option<&str>) -> anyhow::Result<Exit> {
    let config = config::load(root);
    check::report(&config);
    let mut host = Host::scan(root, Depth::Full);
    let selections = select::select_all(&config, &host);
    let functions: Vec<Address> = match name {
        None => host.functions.iter().map(|f| f.address).collect(),
        Some(name) => match selections.iter().find(|c| c.gpu.name == name).map(|c| &c.selected) {
            Some(Ok(selected)) => selected.functions.clone(),
            Some(Err(finding)) => bail!("{}", finding.line()),
            None => match vfio_suite::plan::section(&config, name) {
                Err(finding) => bail!("{}", finding.line()),
                Ok(gpu) => bail!("[gpu {}] means nothing", gpu.name),
            },
        },
    };
    host.inspect_bars(root, &functions);
    let owner = |function: &Address| {
        let has = |c: &&vfio_suite::plan::selection::Selection<'_>| {
            c.selected.as_ref().is_ok_and(|c| c.functions.contains(function))
        };
        selections.iter().find(has).map(|c| c.gpu.name.clone())
    };
    let bad = rebar::known_bad(&host.kernel).is_some();
    let card = |(function, window): &(Address, BridgeWindow)| {
        let bars = window.bars.iter().filter(|bar| !bar.sizes.is_empty()).map(|bar| row(window, bar, bad)).collect();
        Card { gpu: owner(function), function: *function, bars }
    };
    let functions = host.windows.iter().map(card).collect();
    let answer = Answer { known_bad: rebar::known_bad(&host.kernel), kernel: host.kernel.clone(), functions };
    if out.is_json() {
        out.json("vfio.rebar/1", &answer)?;
    } else {
        out.text(&text(&answer, out))?;
    }
    Ok(if answer.functions.is_empty() { Exit::No } else { Exit::Done })
}

/// `256M to 16G` where none between is left out.
fn offered(sizes: &[u64]) -> String {
    let whole = sizes.windows(2).all(|pair| pair[1] == pair[0] * 2);
    match sizes {
        [first, .., last] if whole => format!("{} to {}", show_size(*first), show_size(*last)),
        sizes => sizes.iter().map(|size| show_size(*size)).collect::<Vec<_>>().join(" "),
    }
}

fn text(answer: &Answer, out: &Output) -> Text {
    let mut text = out.lines();
    if answer.functions.is_empty() {
        text.line("no BAR here can be resized");
        return text;
    }
    for card in &answer.functions {
        let name = card.gpu.as_ref().map(|gpu| format!(" [gpu {gpu}]")).unwrap_or_default();
        text.line(out.bold(&format!("{}{name}", card.function)));
        let head = ["BAR", "now", "firmware", "offers", "fits", "why not larger"].map(str::to_owned).to_vec();
        let line = |row: &Row| {
            let size = |size: Option<u64>| size.map_or("?".to_owned(), show_size);
            let now = if row.placed { show_size(row.now) } else { out.bad("no place") };
            let largest = row.known.then_some(row.largest);
            let why = row.why.clone().unwrap_or_default();
            vec![row.index.to_string(), now, size(row.firmware), offered(&row.sizes), size(largest), why]
        };
        let rows: Vec<Vec<String>> = std::iter::once(head).chain(card.bars.iter().map(line)).collect();
        text.table(&rows);
    }
    if let Some(why) = answer.known_bad {
        text.line(format_args!("warning: kernel {} {why}", answer.kernel));
    }
    text
}

/// `0=16G`, `bar2=8M`.
fn sizes(words: &[String]) -> anyhow::Result<Sizes> {
    let mut sizes = Sizes::default();
    for word in words {
        let parts = word.split_once('=').map(|(bar, size)| (bar.trim_start_matches("bar").parse::<usize>(), size));
        let Some((Ok(bar @ 0..=5), size)) = parts else {
            bail!("'{word}' is not BAR=SIZE with a BAR from 0 to 5; write it as 0=16G or bar2=8M");
        };
        let value = config::bar_size(size).map_err(|why| anyhow::anyhow!("'{word}': {why}"))?;
        sizes[bar] = Some(At { value, at: Location { path: word.as_str().into(), line: 0 } });
    }
    Ok(sizes)
}

/// What would be done, for programs.
#[derive(Serialize)]
struct Planned<'a> {
    #[serde(flatten)]
    plan: &'a Plan,
    /// Whether anything was changed: a dry run changes nothing.
    changed: bool,
    /// Whether a reboot is required for it: never.
    reboot: bool,
}

/// Brings a card to these sizes, or only says how.
fn change(
    root: &Root,
    out: &Output,
    config: &Config,
    name: &str,
    dry: bool,
    sizes: impl FnOnce(&Host) -> Sizes,
) -> anyhow::Result<Exit> {
    let _lock = if dry { None } else { Some(lock(root)?) };
    let (selection, mut host) = choose(root, config, name)?;
    host.inspect_bars(root, &boot::functions(std::slice::from_ref(&selection)));
    let sizes = sizes(&host);
    let owner = guest::owner(root, name);
    let plan = plan_or_refusal(config, &selection, &host, || rebar::set(&selection, &host, &sizes, owner.as_deref()));
    if dry {
        if out.is_json() {
            out.json("vfio.rebar-plan/1", &Planned { plan: &plan, changed: false, reboot: false })?;
        } else {
            let mut text = out.lines();
            text.numbered(&plan.steps);
            if plan.steps.is_empty() {
                text.line("nothing to do");
            }
            out.text(&text)?;
        }
        check::warn(&plan.warnings);
        check::refuse(&plan.refusals);
        return Ok(if plan.refusals.is_empty() { Exit::Done } else { Exit::No });
    }
    check::warn(&plan.warnings);
    let vfio = |f: &Address| function::driver(root, *f).is_some_and(|driver| function::is_vfio(&driver));
    let bound = plan.functions.iter().all(vfio);
    let done = if bound { Outcome::Bound } else { Outcome::Restored };
    let status = card::carry_out(root, &plan, done, OnFailure::UndoPlan);
    if status.outcome == done && !out.is_json() {
        show(root, out, Some(name))
    } else {
        answer(root, out, &status, !plan.steps.is_empty())
    }
}

/// Prints what rules of udev mean, as sections of the configuration; nothing is changed.
fn adopt(out: &Output, config: &Config, file: &Path) -> anyhow::Result<Exit> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let (found, problems) = udev_sizes::read(&text);
    for (n, found) in found.iter().enumerate() {
        // A card that has a section keeps its name.
        let known = config.gpus.iter().find(|gpu| gpu.device.value.to_string() == found.device);
        let known = known.or_else(|| {
            let same =
                |gpu: &&config::Gpu| gpu.identity.as_ref().is_some_and(|id| id.value.to_string() == found.device);
            config.gpus.iter().find(same)
        });
        let name = known.map_or_else(|| format!("card{n}"), |gpu| gpu.name.clone());
        let mut text = out.lines();
        text.lines(&udev_sizes::section(&name, found));
        out.text(&text)?;
        udev_sizes::remark(found).iter().for_each(|remark| complain(format_args!("vfio: warning: {remark}")));
    }
    problems.iter().for_each(|problem| complain(format_args!("vfio: {}: {problem}", file.display())));
    Ok(if found.is_empty() || !problems.is_empty() { Exit::No } else { Exit::Done })
}

/// Runs one of the verbs, or shows.
pub fn run(root: &Root, out: &Output, name: Option<&str>, verb: Option<&RebarVerb>) -> anyhow::Result<Exit> {
    let config = config::load(root);
    match verb {
        None => show(root, out, name),
        Some(RebarVerb::Set { name, sizes: words, dry_run }) => {
            let sizes = sizes(words)?;
            change(root, out, &config, name, *dry_run, |_| sizes)
        }
        Some(RebarVerb::Adopt { file }) => adopt(out, &config, file),
        Some(RebarVerb::Restore(gpu)) => change(root, out, &config, &gpu.name, false, |host| {
            let mut sizes = Sizes::default();
            for (_, window) in &host.windows {
                for bar in window.bars.iter().filter(|bar| !bar.sizes.is_empty()) {
                    let at = Location { path: "vfio rebar restore".into(), line: 0 };
                    sizes[usize::from(bar.index)] = Some(At { value: BarSize::Firmware, at });
                }
            }
            sizes
        }),
    }
}
