// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio cards`: what cards there are, what each is to the host, what a guest would get with it, and the lines for the
//! configuration.

use crate::output::{Output, Text};
use crate::{plan, Answer as Exit};
use serde::Serialize;
use vfio_suite::config::{self, Config};
use vfio_suite::finding::Finding;
use vfio_suite::host::bars::show_size;
use vfio_suite::host::holders;
use vfio_suite::host::pci_ids::Names;
use vfio_suite::host::{Depth, Function, Host};
use vfio_suite::pci::Address;
use vfio_suite::plan::card::own_functions;
use vfio_suite::plan::device::Device;
use vfio_suite::plan::display::muxless;
use vfio_suite::plan::{proposal, reset_now, select};
use vfio_suite::root::Root;

/// How far what is said of a card stands in.
const INDENT: usize = 14;

#[derive(Serialize)]
struct Answer {
    cards: Vec<Card>,
}

/// A graphics card.
#[derive(Serialize)]
pub struct Card {
    pub address: Address,
    pub ids: String,
    pub name: Option<String>,
    /// The `[gpu]` section that means it, if one does.
    pub gpu: Option<String>,
    pub boot_display: bool,
    pub functions: Vec<Member>,
    /// Connectors with a monitor.
    pub monitors: Vec<String>,
    /// Who holds it now.
    pub holders: Vec<String>,
    pub group: Option<u32>,
    /// What else is in its group.
    pub beside: Vec<Member>,
    /// In the order in which the kernel tries them; null if it knows none.
    pub reset_methods: Option<Vec<String>>,
    /// What is known of cards of its kind.
    pub known: Option<String>,
    pub bars: Vec<Bar>,
    /// Why no guest can have it, if so.
    pub refusals: Vec<Finding>,
    pub warnings: Vec<Finding>,
    pub notes: Vec<Finding>,
    /// The section for the configuration, a line each; none if a section means it already, or if no guest could have it.
    pub lines: Vec<String>,
}

/// A function.
#[derive(Serialize)]
pub struct Member {
    pub address: Address,
    pub kind: &'static str,
    pub driver: Option<String>,
    /// What the host has on it.
    pub uses: Vec<String>,
}

/// A BAR that can be resized.
#[derive(Serialize)]
pub struct Bar {
    pub function: Address,
    pub index: u8,
    pub now: u64,
    pub sizes: Vec<u64>,
}

/// Shows the cards.
pub fn run(root: &Root, out: &Output) -> anyhow::Result<Exit> {
    let (cards, _) = look(root, &config::load(root));
    let answer = Answer { cards };
    if out.is_json() {
        out.json("vfio.cards/1", &answer)?;
    } else {
        out.text(&text(&answer, out))?;
    }
    Ok(if answer.cards.is_empty() { Exit::No } else { Exit::Done })
}

/// All graphics cards, and the machine as far as it was looked at for them.
pub fn look(root: &Root, config: &Config) -> (Vec<Card>, Host) {
    let mut host = Host::scan(root, Depth::Full);
    let displays: Vec<Function> = displays(&host);
    let functions: Vec<Address> = displays.iter().flat_map(|display| own(display, &host)).collect();
    host.find_usage(root, &functions);
    host.inspect_bars(root, &functions);
    host.find_holders_of_bound(root, &functions);
    holders::name_users(root, &mut host.holders);
    let names = Names::read(root, &host.functions);
    let mut taken: Vec<String> = config.gpus.iter().map(|gpu| gpu.name.clone()).collect();
    let cards = displays.iter().map(|display| card(root, display, config, &host, &names, &mut taken)).collect();
    (cards, host)
}

/// One display of each card.
fn displays(host: &Host) -> Vec<Function> {
    let mut devices: Vec<Device> = Vec::new();
    let mut found = Vec::new();
    for function in host.functions.iter().filter(|function| function.is_display()) {
        if !devices.contains(&Device::of(function)) {
            devices.push(Device::of(function));
            found.push(function.clone());
        }
    }
    found
}

fn own(display: &Function, host: &Host) -> Vec<Address> {
    own_functions(&Device::of(display).members(host), |function| function.address == display.address)
}

fn card(root: &Root, display: &Function, config: &Config, host: &Host, names: &Names, taken: &mut Vec<String>) -> Card {
    let functions = own(display, host);
    let member = |function: &Function| Member {
        address: function.address,
        kind: function.kind(),
        driver: function.driver.clone(),
        uses: host.usage_of(function.address).map(ToString::to_string).collect(),
    };
    let beside = display.group.into_iter().flat_map(|group| host.group(group));
    let beside = beside.filter(|function| !functions.contains(&function.address) && !function.is_bridge());
    let monitors = host.displays.iter().filter(|of| functions.contains(&of.function)).flat_map(|of| {
        let connected = of.connectors.iter().filter(|connector| connector.connected);
        connected.map(|connector| format!("{}-{}", of.card.as_deref().unwrap_or_default(), connector.name))
    });
    let bars =
        host.windows.iter().filter(|(function, _)| functions.contains(function)).flat_map(|(function, window)| {
            let resizable = window.bars.iter().filter(|bar| !bar.sizes.is_empty());
            resizable.map(|bar| Bar { function: *function, index: bar.index, now: bar.size, sizes: bar.sizes.clone() })
        });
    let means = |gpu: &&config::Gpu| {
        let selections = select::select_all(config, host);
        let mut of_it = selections.iter().filter(|selection| selection.gpu.name == gpu.name);
        of_it.any(|selection| selection.selected.as_ref().is_ok_and(|of| of.functions.contains(&display.address)))
    };
    let gpu = config.gpus.iter().find(means).map(|gpu| gpu.name.clone());
    let name = proposal::name(display.vendor, taken);
    let section = proposal::section(&name, display, host);
    // What this machine makes of it, as the other verbs would say of that section.
    let proposed = config::parse_files(&[("/etc/vfio.conf", section.as_bytes())]);
    let judged = plan::cards(root, &proposed, &mut host.clone()).pop().map(|card| card.plan);
    let (refusals, warnings, mut notes) =
        judged.map(|plan| (plan.refusals, plan.warnings, plan.notes)).unwrap_or_default();
    notes.extend(muxless(&name, &functions, host));
    let shown = gpu.is_none() && refusals.is_empty();
    if shown {
        taken.push(name);
    }
    Card {
        address: display.address,
        ids: display.ids(),
        name: names.of(display).map(str::to_owned),
        boot_display: host.is_boot_display(display.address),
        functions: functions.iter().filter_map(|function| host.function(*function)).map(member).collect(),
        monitors: monitors.collect(),
        holders: host.holders.iter().filter(|(of, _)| functions.contains(of)).map(|(_, who)| who.to_string()).collect(),
        group: display.group,
        beside: beside.map(member).collect(),
        reset_methods: display.reset_methods.clone(),
        known: reset_now::known(display, host),
        bars: bars.collect(),
        refusals,
        warnings,
        notes,
        lines: if shown { section.lines().map(str::to_owned).collect() } else { Vec::new() },
        gpu,
    }
}

fn text(answer: &Answer, out: &Output) -> Text {
    let (mut text, width) = (out.lines(), out.width());
    if answer.cards.is_empty() {
        text.line("this machine has no graphics card that the kernel shows");
    }
    for (number, card) in answer.cards.iter().enumerate() {
        if number > 0 {
            text.line("");
        }
        let boot = if card.boot_display { ", the boot display" } else { "" };
        let name = card.name.as_deref().unwrap_or("graphics card");
        text.line(format_args!("{}  {name} ({}){boot}", out.bold(&card.address.to_string()), card.ids));
        details(card, &mut text, width);
        for (word, findings) in [("refused", &card.refusals), ("warning", &card.warnings), ("note", &card.notes)] {
            for finding in findings {
                let said = format!("{} [{}]", finding.sentence(), finding.code);
                text.row(INDENT, word, &said, width);
            }
        }
        match &card.gpu {
            Some(gpu) => text.row(INDENT, "configured", &format!("[gpu {gpu}]"), width),
            // Of a card that no guest could have the reasons stand above.
            None if card.lines.is_empty() => {}
            None => {
                text.row(INDENT, "to use it", "add to /etc/vfio.conf:", width);
                card.lines.iter().for_each(|line| text.line(format_args!("{:INDENT$}  {line}", "")));
            }
        }
    }
    text
}

fn details(card: &Card, text: &mut Text, width: usize) {
    let member = |member: &Member| {
        let driver = member.driver.as_deref().map_or("no driver".to_owned(), |driver| format!("bound to {driver}"));
        let uses: String = member.uses.iter().map(|what| format!("; {what}")).collect();
        format!("{} {}, {driver}{uses}", member.address, member.kind)
    };
    card.functions.iter().for_each(|function| text.row(INDENT, "function", &member(function), width));
    let monitors = if card.monitors.is_empty() { "none connected".to_owned() } else { card.monitors.join(", ") };
    text.row(INDENT, "monitors", &monitors, width);
    card.holders.iter().for_each(|holder| text.row(INDENT, "held by", holder, width));
    match card.group {
        Some(group) if card.beside.is_empty() => {
            text.row(INDENT, "IOMMU group", &format!("{group}, of its own"), width);
        }
        Some(group) => text.row(INDENT, "IOMMU group", &format!("{group}, which also has"), width),
        None => text.row(INDENT, "IOMMU group", "none", width),
    }
    card.beside.iter().for_each(|beside| text.row(INDENT, "", &member(beside), width));
    let reset = card.reset_methods.as_ref().filter(|methods| !methods.is_empty());
    text.row(
        INDENT,
        "reset",
        &reset.map_or("none that the kernel knows".to_owned(), |methods| methods.join(", ")),
        width,
    );
    card.known.iter().for_each(|known| text.row(INDENT, "known", known, width));
    for bar in &card.bars {
        let sizes: Vec<String> = bar.sizes.iter().map(|size| show_size(*size)).collect();
        let said = format!("{} BAR {}: {}, can be {}", bar.function, bar.index, show_size(bar.now), sizes.join(" "));
        text.row(INDENT, "resizable", &said, width);
    }
}
