// SPDX-License-Identifier: LGPL-2.1-or-later
//! Whether a unit that was started again stays up. A display manager may start well and end a moment later, because the card's
//! outputs are not there yet or its greeter fails: then nobody sees anything, though systemd has started it.

use super::error::GuestError;
use super::services::{self, blocks, value};
use crate::act::backend::child;
use crate::act::backend::tools::Tools;
use crate::act::card::writes::wait_until;
use crate::host::display;
use crate::pci::Address;
use crate::root::Root;
use std::time::{Duration, Instant};

/// For a question.
const ASK: Duration = Duration::from_secs(20);
/// How often it is looked at, and the time between: most that fail do so within a second.
const LOOKS: u32 = 6;
const BETWEEN: Duration = Duration::from_secs(1);
/// So often it is started before it is given up, the first time by whoever asks.
const STARTS: u32 = 2;

/// How a unit is.
#[derive(Debug, PartialEq, Eq)]
struct State {
    /// `active`, `failed`, `activating`, ...
    active: String,
    /// How often systemd has started it by itself since somebody asked for it; nothing for what is no service.
    restarts: String,
}

/// Watches a unit that was started a moment ago. One that ends is started again once the card has a connector; `functions` are
/// the card's.
pub(super) fn watch(root: &Root, tools: &dyn Tools, unit: &str, functions: &[Address]) -> Result<(), GuestError> {
    for round in 1..=STARTS {
        if stays(root, tools, unit) || services::going_down(tools) {
            return Ok(());
        }
        if round < STARTS {
            log::warn!("{unit} does not stay up: it is started again");
            let since = Instant::now();
            let connector = || functions.iter().any(|function| display::has_connector(root, *function));
            if root.is_system() && !wait_until(connector) {
                log::info!("no function that came back has a connector");
            }
            child::count_wait(since);
            if let Err(error) = services::start(tools, unit) {
                log::info!("{error}");
            }
        }
    }
    Err(GuestError::NotUp { unit: unit.to_owned(), said: last_line(tools, unit) })
}

/// Whether it is up each time. What systemd does not tell counts as well: nothing is wrong that is known.
fn stays(root: &Root, tools: &dyn Tools, unit: &str) -> bool {
    let Some(first) = state(tools, unit) else { return true };
    let is_up = |state: &State| matches!(state.active.as_str(), "active" | "reloading");
    let mut up = is_up(&first);
    for _ in 1..LOOKS {
        if !up {
            break;
        }
        // A simulated one changes by being looked at.
        if root.is_system() {
            let since = Instant::now();
            std::thread::sleep(BETWEEN);
            child::count_wait(since);
        }
        up = state(tools, unit).is_none_or(|now| is_up(&now) && now.restarts == first.restarts);
    }
    up
}

fn state(tools: &dyn Tools, unit: &str) -> Option<State> {
    let text = tools.run(&["systemctl", "show", "--property=ActiveState,NRestarts", "--", unit], ASK);
    let text = text.inspect_err(|error| log::info!("{unit}: {error}")).ok()?;
    let block = blocks(&text).next()?;
    Some(State { active: value(&block, "ActiveState").to_owned(), restarts: value(&block, "NRestarts").to_owned() })
}

/// The last line of the unit's own, and not of systemd's about it; "" if there is none.
fn last_line(tools: &dyn Tools, unit: &str) -> String {
    let of_unit = format!("_SYSTEMD_UNIT={unit}");
    let text =
        tools.run(&["journalctl", "--quiet", "--no-pager", "--output=cat", "--lines=1", "--boot", &of_unit], ASK);
    let text = text.inspect_err(|error| log::info!("{error}")).unwrap_or_default();
    text.lines().last().unwrap_or_default().trim().to_owned()
}
