// SPDX-License-Identifier: LGPL-2.1-or-later
//! systemd and logind, asked through systemctl and loginctl.
//!
//! Their programs, not D-Bus of our own: a hand-over asks a handful of times, and what these print with `show` is as
//! stable as the bus interface (systemctl(1), loginctl(1)).

use crate::act::backend::child;
use crate::act::backend::tools::{ToolError, Tools};
use crate::act::card::writes::wait_until;
use crate::host::display;
use crate::pci::Address;
use crate::plan::guest::Session;
use crate::root::Root;
use std::time::{Duration, Instant};

/// For a question.
const ASK: Duration = Duration::from_secs(20);
/// For a unit to start; systemd's own default is 90 s.
const UNIT: Duration = Duration::from_secs(100);

/// What systemd says of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Its own name, an alias resolved.
    pub id: String,
    /// `active`, `inactive`, `failed`, `activating`, `deactivating`.
    pub state: String,
}

/// The blocks of `KEY=value` lines that `show` prints, one a subject, an empty line between.
pub(in crate::act) fn blocks(text: &str) -> impl Iterator<Item = Vec<(&str, &str)>> {
    let texts = text.split("\n\n").filter(|block| !block.trim().is_empty());
    texts.map(|block| block.lines().filter_map(|line| line.split_once('=')).collect())
}

/// The value of a key; nothing if it was not printed.
pub(in crate::act) fn value<'t>(block: &[(&'t str, &'t str)], key: &str) -> &'t str {
    block.iter().find_map(|(k, v)| (*k == key).then_some(*v)).unwrap_or_default()
}

/// Asks about units; those that systemd does not know are left out.
pub fn units(tools: &dyn Tools, names: &[&str]) -> Result<Vec<(String, Unit)>, ToolError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let mut words = vec!["systemctl", "show", "--property=Id,LoadState,ActiveState", "--"];
    words.extend(names);
    let text = tools.run(&words, ASK)?;
    let known = |(name, block): (&&str, Vec<(&str, &str)>)| {
        (value(&block, "LoadState") != "not-found").then(|| {
            let unit = Unit { id: value(&block, "Id").to_owned(), state: value(&block, "ActiveState").to_owned() };
            ((*name).to_owned(), unit)
        })
    };
    let told: Vec<_> = blocks(&text).collect();
    // Half an answer would be taken for a machine without a display manager.
    all_told("systemctl", told.len(), names.len())?;
    Ok(names.iter().zip(told).filter_map(known).collect())
}

/// Stops a unit and waits until it has stopped, so long at most.
pub fn stop(tools: &dyn Tools, unit: &str, deadline: Duration) -> Result<(), ToolError> {
    tools.run(&["systemctl", "stop", "--", unit], deadline).map(drop)
}

/// Starts a unit and waits until it has started. How often it was started before does not count.
pub fn start(tools: &dyn Tools, unit: &str) -> Result<(), ToolError> {
    let start = || tools.run(&["systemctl", "start", "--", unit], UNIT).map(drop);
    // Asked for only now: a unit that starts at once has nothing to reset.
    start().or_else(|_| {
        tools.run(&["systemctl", "reset-failed", "--", unit], ASK)?;
        start()
    })
}

/// Asks for a unit without waiting for it.
pub fn start_later(tools: &dyn Tools, unit: &str) -> Result<(), ToolError> {
    tools.run(&["systemctl", "--no-block", "start", "--", unit], ASK).map(drop)
}

/// Waits until udev has dealt with the displays of functions that came back after `begin` (uptime): only then does logind
/// know the card as one of its seat. Sound, sensors and all else that has come need not be waited for.
pub fn settle(root: &Root, tools: &dyn Tools, functions: &[Address], begin: Duration) {
    let cards = functions.iter().flat_map(|function| display::cards(root, *function));
    let displays: Vec<String> = cards.filter_map(|card| root.read_text(&format!("{card}/dev")).ok()).collect();
    // A test tree has no udev that would write anything down.
    if root.is_system() && !displays.is_empty() {
        let since = Instant::now();
        let seen = displays.iter().all(|number| wait_until(|| seen_by_udev(root, number) >= Some(begin)));
        child::count_wait(since);
        if seen {
            return;
        }
    }
    if let Err(error) = tools.run(&["udevadm", "settle", "--timeout=15"], ASK) {
        log::info!("udev is still at work: {error}");
    }
}

/// When udev first dealt with a device (its property `USEC_INITIALIZED`), since the machine's start.
fn seen_by_udev(root: &Root, number: &str) -> Option<Duration> {
    let data = root.read_text(&format!("run/udev/data/c{number}")).ok()?;
    let usec = data.lines().find_map(|line| line.strip_prefix("I:"))?;
    Some(Duration::from_micros(usec.parse().ok()?))
}

/// Whether the machine is on its way down: no unit can be started then.
pub fn going_down(tools: &dyn Tools) -> bool {
    let state = tools.run(&["systemctl", "show", "--property=SystemState"], ASK);
    state.is_ok_and(|state| state.trim() == "SystemState=stopping")
}

/// Fails where a program has not told of everything that it was asked for.
fn all_told(program: &str, told: usize, asked: usize) -> Result<(), ToolError> {
    if told == asked {
        return Ok(());
    }
    Err(ToolError::NotAllTold { program: program.to_owned(), told, asked })
}

/// The sessions of all seats, and of none. Whoever is in a session that is not known is only asked to end, so an answer that
/// does not come is an error.
pub fn sessions(tools: &dyn Tools) -> Result<Vec<Session>, ToolError> {
    let text = session_list(tools)?;
    let ids = session_ids(&text);
    if let Ok(sessions) = shown(tools, &ids) {
        return Ok(sessions);
    }
    // One that has ended meanwhile is none, and keeps loginctl from telling of the others.
    let mut sessions = Vec::new();
    for id in ids {
        match shown(tools, &[id]) {
            Ok(its) => sessions.extend(its),
            Err(error) if session_ids(&session_list(tools)?).contains(&id) => return Err(error),
            Err(_) => {}
        }
    }
    Ok(sessions)
}

fn session_list(tools: &dyn Tools) -> Result<String, ToolError> {
    tools.run(&["loginctl", "list-sessions", "--no-legend"], ASK)
}

/// The id is the first column, whatever else this version of loginctl shows.
fn session_ids(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.split_whitespace().next()).collect()
}

fn shown(tools: &dyn Tools, ids: &[&str]) -> Result<Vec<Session>, ToolError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let properties = ["Id", "User", "Name", "Seat", "Leader", "Type", "State", "Desktop", "Class"]
        .map(|p| format!("--property={p}"));
    let mut words = vec!["loginctl", "show-session"];
    words.extend(properties.iter().map(String::as_str));
    words.extend(ids);
    let text = tools.run(&words, ASK)?;
    let told: Vec<_> = blocks(&text).collect();
    all_told("loginctl", told.len(), ids.len())?;
    // logind ends no session that is closing; what is left of it is asked to end like everybody else.
    Ok(told.iter().filter(|block| value(block, "State") != "closing").map(|block| session(block)).collect())
}

fn session(block: &[(&str, &str)]) -> Session {
    let text = |key| value(block, key).to_owned();
    Session {
        id: text("Id"),
        user: text("Name"),
        uid: text("User"),
        kind: text("Type"),
        desktop: text("Desktop"),
        greeter: value(block, "Class") == "greeter",
        seat: text("Seat"),
        leader: value(block, "Leader").parse().ok(),
        managed: false,
    }
}

/// Ends a session. One that has ended already is not an error.
pub fn end_session(tools: &dyn Tools, id: &str) -> Result<(), ToolError> {
    let Err(error) = tools.run(&["loginctl", "terminate-session", id], ASK) else { return Ok(()) };
    match tools.run(&["loginctl", "show-session", "--property=Id", id], ASK) {
        Ok(_) => Err(error),
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
#[path = "services_tests.rs"]
mod tests;
