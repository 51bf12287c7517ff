// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio status`: how each card is now, against what is configured, and why.

use crate::output::{Output, Text};
use crate::sync::{left, line};
use crate::{check, cmdline, guest, Answer as Exit};
use serde::Serialize;
use vfio_suite::config::{self, Bind, Config};
use vfio_suite::finding::Finding;
use vfio_suite::host::detail::Detail;
use vfio_suite::host::display::Display;
use vfio_suite::host::run::boot_counter::{self, Before, BootCounter};
use vfio_suite::host::run::card_status::{self, Outcome, Status};
use vfio_suite::host::run::sync_report::{self, Report};
use vfio_suite::host::{detail, function, holders, reset, Depth, Host};
use vfio_suite::pci::Address;
use vfio_suite::plan::cmdline::elsewhere::Elsewhere;
use vfio_suite::plan::group::{blockers, Blocker};
use vfio_suite::plan::select;
use vfio_suite::plan::selection::Selection;
use vfio_suite::root::Root;
use vfio_suite::survey;

#[derive(Serialize)]
struct Answer {
    iommu: vfio_suite::host::iommu::Iommu,
    /// Why nothing is bound in this boot, if so.
    off: Option<String>,
    /// What can show something: DRM nodes and their connectors, the firmware's framebuffer.
    displays: Vec<Display>,
    /// Boots in a row before this one that did not come up.
    failed_boots: Option<u32>,
    cards: Vec<Card>,
    /// How boot entries and initramfs were last brought up to date in this boot; null if nobody tried.
    sync: Option<Report>,
    /// Whether this machine boots from elsewhere than from the boot files that vfio changed; null if not.
    elsewhere: Option<Elsewhere>,
    /// Guests that have cards, or whose last start did not work.
    guests: Vec<guest::Row>,
}

#[derive(Serialize)]
struct Card {
    gpu: String,
    /// `boot`, `guest`; null for a card that is not in the configuration any more.
    bind: Option<&'static str>,
    /// Whether it is as configured.
    ok: bool,
    state: State,
    why: Vec<String>,
    functions: Vec<Member>,
    blockers: Vec<Blocker>,
    last: Option<Outcome>,
    /// Whether all that is wrong with it is that the boot has not bound it, or that somebody has taken it from vfio since.
    #[serde(skip)]
    only_unbound: bool,
}

/// How a card is now, from what has its functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// All functions are on a vfio driver.
    Vfio,
    /// No function is.
    Host,
    /// Some are.
    Mixed,
    /// It is not there now.
    Absent,
    /// It is not to be told apart.
    Unknown,
}

#[derive(Serialize)]
struct Member {
    address: Address,
    driver: Option<String>,
    group: Option<u32>,
    /// `/dev/vfio/N`, where it is there.
    node: Option<String>,
    /// `/dev/vfio/devices/vfioN`, where it is there: by it QEMU has the function with iommufd, also where the kernel has no
    /// nodes of groups (`CONFIG_VFIO_GROUP`).
    device_node: Option<String>,
    #[serde(flatten)]
    detail: Detail,
}

fn state(members: &[Member]) -> State {
    let vfio = members.iter().filter(|m| m.driver.as_deref().is_some_and(function::is_vfio)).count();
    match (members.len(), vfio) {
        (0, _) => State::Unknown,
        (all, vfio) if all == vfio => State::Vfio,
        (_, 0) => State::Host,
        _ => State::Mixed,
    }
}

fn members(root: &Root, host: &Host, functions: &[Address]) -> Vec<Member> {
    let member = |f: &vfio_suite::host::Function| Member {
        address: f.address,
        driver: f.driver.clone(),
        group: f.group,
        node: f.group.map(|g| format!("dev/vfio/{g}")).filter(|n| root.exists(n)).map(|n| format!("/{n}")),
        device_node: holders::own_vfio_node(root, f.address).filter(|n| root.exists(n)).map(|n| format!("/{n}")),
        detail: detail::detail(root, f.address),
    };
    functions.iter().filter_map(|a| host.function(*a)).map(member).collect()
}

fn cards(root: &Root, config: &Config, host: &Host, judged: &[Selection<'_>], off: bool) -> Vec<Card> {
    let statuses = card_status::read_all(root);
    let last = |name: &str| statuses.iter().find(|s| s.gpu == name);
    let mut cards = Vec::new();
    for selection in select::select_all(config, host) {
        let gpu = selection.gpu;
        let at_boot = gpu.bind == Bind::Boot;
        let admitted = judged.iter().find(|c| c.gpu.name == gpu.name).unwrap_or(&selection);
        let functions = selection.selected.as_ref().map(|c| c.functions.clone()).unwrap_or_default();
        let members = members(root, host, &functions);
        let state = state(&members);
        let mut groups: Vec<u32> = members.iter().filter_map(|m| m.group).collect();
        groups.dedup();
        let blockers = match state {
            State::Vfio => groups.iter().flat_map(|g| blockers(host.group(*g))).collect(),
            _ => Vec::new(),
        };
        // What forbids it now counts more than what forbade it when it was last tried.
        let absent = admitted.selected.as_ref().is_err_and(Finding::is_absent);
        let mut why = match &admitted.selected {
            Err(_) if absent && gpu.optional => Vec::new(),
            Err(finding) => vec![finding.line()],
            Ok(_) => {
                last(&gpu.name).filter(|last| holds(last.outcome, at_boot, state)).map_or(vec![], |s| s.why.clone())
            }
        };
        // Written down when it was found out; nothing that was said before counts any more.
        why = reset::dead(root, &gpu.name).map_or(why, |dead| vec![format!("[gpu {}] {dead}", gpu.name)]);
        let only_unbound = at_boot && !off && !absent && why.is_empty() && state != State::Vfio;
        if only_unbound {
            why.push(format!(
                "[gpu {}] ({}) is to be bound at boot but is not: reboot, or 'vfio bind {}'",
                gpu.name, gpu.at, gpu.name
            ));
        }
        let ok = blockers.is_empty()
            && reset::dead(root, &gpu.name).is_none()
            && (absent || if at_boot { state == State::Vfio } else { admitted.selected.is_ok() && why.is_empty() });
        let state = if absent { State::Absent } else { state };
        let bind = Some(if at_boot { "boot" } else { "guest" });
        cards.push(Card {
            gpu: gpu.name.clone(),
            bind,
            ok,
            state,
            why,
            functions: members,
            blockers,
            last: last(&gpu.name).map(|s| s.outcome),
            only_unbound,
        });
    }
    // A card that was changed and is no longer configured is still to be given back.
    let gone = |s: &&Status| !config.gpus.iter().any(|g| g.name == s.gpu) && s.outcome != Outcome::Restored;
    for status in statuses.iter().filter(gone) {
        let functions = members(root, host, &status.functions);
        let mut why = status.why.clone();
        why.push(format!(
            "[gpu {}] is not in the configuration: 'vfio restore {}' gives it back",
            status.gpu, status.gpu
        ));
        let (gpu, last, state) = (status.gpu.clone(), Some(status.outcome), state(&functions));
        let (blockers, only_unbound) = (Vec::new(), false);
        cards.push(Card { gpu, bind: None, ok: false, state, why, functions, blockers, last, only_unbound });
    }
    cards
}

/// Whether the reason of a card's last act still counts: what was refused, or failed and was undone, is over once the card is
/// where it should be, and so is what was said of a card that is elsewhere by now.
fn holds(last: Outcome, at_boot: bool, state: State) -> bool {
    match last {
        Outcome::Stuck => true,
        Outcome::Bound | Outcome::Reserved => state == State::Vfio,
        Outcome::Restored => state == State::Host,
        Outcome::Refused | Outcome::Failed => state == State::Mixed || at_boot && state != State::Vfio,
    }
}

/// Something that is not as configured.
pub(crate) struct Trouble {
    /// A sentence.
    pub text: String,
    /// What puts it right, where that is known.
    pub todo: Option<String>,
}

/// What is not as configured on a machine that was looked at already; of cards that no guest could have at all the plan says why.
pub(crate) fn troubles(root: &Root, config: &Config, mut host: Host) -> Vec<Trouble> {
    let judged = survey::judged(root, config, &mut host);
    let off = vfio_suite::plan::idle(config, &host).or_else(|| host.off.clone());
    let refused = |gpu: &str| judged.iter().any(|c| c.gpu.name == gpu && c.selected.is_err());
    let cards = cards(root, config, &host, &judged, off.is_some());
    let mut troubles = Vec::new();
    for card in cards.iter().filter(|card| !card.ok && !refused(&card.gpu)) {
        let todo = card.only_unbound.then(|| format!("run 'vfio bind {}'", card.gpu));
        troubles.extend(card.why.iter().map(|why| Trouble { text: why.clone(), todo: todo.clone() }));
        let text = |blocker: &Blocker| format!("[gpu {}] {}", card.gpu, blocked(blocker));
        troubles.extend(card.blockers.iter().map(|blocker| Trouble { text: text(blocker), todo: None }));
    }
    troubles
}

/// What a member that is bound to a driver of the host does to its group.
fn blocked(blocker: &Blocker) -> String {
    format!("cannot be passed through while {} is bound to {}", blocker.function, blocker.driver)
}

/// Says how each card is.
pub fn run(root: &Root, out: &Output) -> anyhow::Result<Exit> {
    let config = config::load(root);
    check::report(&config);
    let mut host = Host::scan(root, Depth::Full);
    let judged = survey::judged(root, &config, &mut host);
    let before = BootCounter::read(root).map(|boots| boots.before(&boot_counter::current(root)));
    let failed_boots = before.ok().and_then(|before| match before {
        Before::Failed(boots) => Some(boots),
        Before::NotKnown(_) => None,
    });
    let off = vfio_suite::plan::idle(&config, &host).or_else(|| host.off.clone());
    let cards = cards(root, &config, &host, &judged, off.is_some());
    let guests: Vec<guest::Row> = guest::rows(root, &config).into_iter().filter(|g| !g.is_quiet()).collect();
    let sync = sync_report::read(root);
    let synced = sync.as_ref().and_then(line).is_none();
    let elsewhere = cmdline::elsewhere(root, &config);
    let well = synced && elsewhere.is_none() && cards.iter().all(|c| c.ok) && !guests.iter().any(guest::Row::is_stuck);
    let code = check::code(&config).max(if well { Exit::Done } else { Exit::No });
    let answer =
        Answer { iommu: host.iommu, off, displays: host.displays, failed_boots, cards, sync, elsewhere, guests };
    if out.is_json() {
        out.json("vfio.status/1", &answer)?;
    } else {
        out.text(&text(&answer, out))?;
    }
    Ok(code)
}

fn text(answer: &Answer, out: &Output) -> Text {
    let mut text = out.lines();
    let units = answer.iommu.units.join(", ");
    if answer.iommu.active {
        text.line(format_args!("IOMMU: {} ({units})", out.good("on")));
    } else {
        text.line(format_args!("IOMMU: {}", out.bad("off")));
    }
    if let Some(why) = &answer.off {
        text.line(out.bad(why));
    }
    if answer.cards.is_empty() {
        text.line("no card is configured: see /etc/vfio.conf");
    }
    for card in &answer.cards {
        let state = match card.state {
            State::Vfio => "on vfio",
            State::Host => "with the host",
            State::Mixed => "partly on vfio",
            State::Absent => "not there now",
            State::Unknown => "not found",
        };
        let state = if card.ok { out.good(state) } else { out.bad(state) };
        text.line(format_args!("{}: {state}", out.bold(&format!("[gpu {}]", card.gpu))));
        let row = |m: &Member| {
            let group = m.group.map_or("no group".to_owned(), |g| format!("group {g}"));
            let driver = m.driver.clone().unwrap_or_else(|| "no driver".to_owned());
            let nodes: Vec<&str> = [&m.node, &m.device_node].into_iter().flatten().map(String::as_str).collect();
            vec![m.address.to_string(), driver, group, nodes.join(", ")]
        };
        text.table(&card.functions.iter().map(row).collect::<Vec<_>>());
        card.blockers.iter().for_each(|b| text.line(format_args!("  {}", blocked(b))));
        card.why.iter().for_each(|why| text.line(format_args!("  {why}")));
    }
    answer.sync.as_ref().and_then(line).into_iter().for_each(|line| text.line(out.bad(&line)));
    answer.sync.iter().flat_map(left).for_each(|line| text.line(line));
    answer.elsewhere.iter().for_each(|elsewhere| cmdline::show_elsewhere(&mut text, elsewhere, out));
    answer.guests.iter().for_each(|guest| text.add(&guest.text(out)));
    text
}
