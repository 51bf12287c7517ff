// SPDX-License-Identifier: LGPL-2.1-or-later
//! Login sessions. `.kernel/sessions/ID` has a line each, all optional: `seat SEAT`, `name USER`, `user UID`,
//! `type TYPE`, `desktop NAME`, `class CLASS`, `state STATE`, `scope UNIT`, `leader PID`, `process PID` (any number), and `manager UNIT`: the user's manager
//! (`user@1000.service`), a unit that ends with the last of its sessions and starts with the first.
//!
//! A session that has ended is kept in `.kernel/parked-sessions`: who logs in again gets the same.

use crate::error::{failed, unknown};
use crate::tree::Tree;
use crate::{processes, units};
use std::io;
use vfio_suite::root::Root;

const SESSIONS: &str = ".kernel/sessions";
const PARKED: &str = ".kernel/parked-sessions";

/// What `loginctl show-session` prints, in its own order, and where it stands.
const PROPERTIES: [(&str, &str); 9] = [
    ("User", "user"),
    ("Name", "name"),
    ("Seat", "seat"),
    ("Scope", "scope"),
    ("Leader", "leader"),
    ("Type", "type"),
    ("Desktop", "desktop"),
    ("Class", "class"),
    ("State", "state"),
];

fn exists(tree: &Tree<'_>, id: &str) -> bool {
    !id.contains('/') && tree.root.exists(&format!("{SESSIONS}/{id}"))
}

/// A fact of a session that is there.
fn fact(tree: &Tree<'_>, id: &str, key: &str) -> io::Result<Option<String>> {
    Ok(tree.fact(&format!("sessions/{id}"), key)?.and_then(|words| words.into_iter().next()))
}

/// The seat of a session, which has ended or not.
pub(crate) fn seat_of(tree: &Tree<'_>, id: &str) -> io::Result<Option<String>> {
    let ended = tree.fact(&format!("parked-sessions/{id}"), "seat")?;
    Ok(fact(tree, id, "seat")?.or_else(|| ended.and_then(|words| words.into_iter().next())))
}

/// Whether somebody is on a seat.
pub(crate) fn is_used(tree: &Tree<'_>, seat: &str) -> io::Result<bool> {
    for id in tree.list(SESSIONS) {
        if fact(tree, &id, "seat")?.as_deref() == Some(seat) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The processes of a session, which has ended or not.
fn processes_of(tree: &Tree<'_>, directory: &str, id: &str) -> io::Result<Vec<String>> {
    let file = format!("{}/{id}", directory.trim_start_matches(".kernel/"));
    let lines = tree.facts(&file)?.into_iter().filter(|words| matches!(words[0].as_str(), "leader" | "process"));
    Ok(lines.filter_map(|words| words.into_iter().nth(1)).collect())
}

/// The processes of a session that has ended.
pub(crate) fn parked_processes(tree: &Tree<'_>, id: &str) -> io::Result<Vec<String>> {
    processes_of(tree, PARKED, id)
}

/// Whether a session has this scope.
pub(crate) fn has_scope(tree: &Tree<'_>, unit: &str) -> io::Result<bool> {
    for id in tree.list(SESSIONS) {
        if fact(tree, &id, "scope")?.as_deref() == Some(unit) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Ends a session, if it is there, and its user's manager if it was the last.
pub(crate) fn end(tree: &Tree<'_>, id: &str) -> io::Result<()> {
    if !exists(tree, id) {
        return Ok(());
    }
    let manager = fact(tree, id, "manager")?;
    for pid in processes_of(tree, SESSIONS, id)? {
        processes::park(tree, &pid)?;
    }
    tree.mkdir(PARKED)?;
    tree.rename(&format!("{SESSIONS}/{id}"), &format!("{PARKED}/{id}"))?;
    let Some(manager) = manager else { return Ok(()) };
    for other in tree.list(SESSIONS) {
        if fact(tree, &other, "manager")?.as_ref() == Some(&manager) {
            return Ok(());
        }
    }
    units::switch(tree, &manager, false)
}

/// Logs in again, if the session has ended.
pub(crate) fn revive(tree: &Tree<'_>, id: &str) -> io::Result<()> {
    let kept = format!("{PARKED}/{id}");
    if id.contains('/') || !tree.root.exists(&kept) {
        return Ok(());
    }
    for pid in parked_processes(tree, id)? {
        processes::unpark(tree, &pid)?;
    }
    tree.mkdir(SESSIONS)?;
    tree.rename(&kept, &format!("{SESSIONS}/{id}"))?;
    tree.rmdir(PARKED)?;
    match fact(tree, id, "manager")? {
        Some(manager) => units::switch(tree, &manager, true),
        None => Ok(()),
    }
}

/// `loginctl list-users --no-legend`, without waiting for a turn.
pub(crate) fn users(root: &Root) -> String {
    let line = |id: String| {
        let text = root.read_text(&format!("{SESSIONS}/{id}")).unwrap_or_default();
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')).unwrap_or("-");
        format!("{:>5} {} no active\n", value("user"), value("name"))
    };
    root.list(SESSIONS).unwrap_or_default().into_iter().map(line).collect()
}

/// `loginctl ARGUMENTS`.
pub(crate) fn loginctl(tree: &Tree<'_>, arguments: &[&str]) -> io::Result<String> {
    match *arguments {
        ["show-seat", "--property=Sessions", seat] => {
            let mut sessions = Vec::new();
            for id in tree.list(SESSIONS) {
                if fact(tree, &id, "seat")?.as_deref() == Some(seat) {
                    sessions.push(id);
                }
            }
            if seat != "seat0" && sessions.is_empty() {
                return Err(failed(
                    "loginctl",
                    &format!("Failed to get path for seat '{seat}': No seat '{seat}' known"),
                ));
            }
            Ok(format!("Sessions={}\n", sessions.join(" ")))
        }
        ["list-sessions", "--no-legend"] => {
            let line = |id: &String| {
                let value = |key| Ok::<_, io::Error>(fact(tree, id, key)?.unwrap_or_else(|| "-".to_owned()));
                Ok(format!("{id:>5} {:>4} {} {}\n", value("user")?, value("name")?, value("seat")?))
            };
            tree.list(SESSIONS).iter().map(line).collect()
        }
        ["show-session", ref rest @ ..] => {
            let (options, ids): (Vec<&str>, Vec<&str>) = rest.iter().partition(|word| word.starts_with("--"));
            if options.is_empty() || ids.is_empty() {
                return Err(unknown("loginctl", arguments));
            }
            let blocks = ids.iter().map(|id| show_session(tree, arguments, &options, id));
            Ok(blocks.collect::<io::Result<Vec<String>>>()?.join("\n"))
        }
        ["terminate-session", id] if exists(tree, id) => {
            let seat = seat_of(tree, id)?;
            end(tree, id)?;
            seat.map_or(Ok(()), |seat| units::greet(tree, &seat, true))?;
            Ok(String::new())
        }
        ["terminate-session", id] => {
            Err(failed("loginctl", &format!("Could not terminate session: No session '{id}' known")))
        }
        _ => Err(unknown("loginctl", arguments)),
    }
}

fn show_session(tree: &Tree<'_>, all: &[&str], options: &[&str], id: &str) -> io::Result<String> {
    let desired: Option<Vec<&str>> = options.iter().map(|option| option.strip_prefix("--property=")).collect();
    let known = |name: &&str| *name == "Id" || PROPERTIES.iter().any(|(known, _)| known == name);
    let Some(desired) = desired.filter(|names| names.iter().all(known)) else { return Err(unknown("loginctl", all)) };
    if !exists(tree, id) {
        return Err(failed("loginctl", &format!("Failed to get path for session '{id}': No session '{id}' known")));
    }
    let mut text = String::new();
    if desired.contains(&"Id") {
        text.push_str(&format!("Id={id}\n"));
    }
    for (name, key) in PROPERTIES.iter().filter(|(name, _)| desired.contains(name)) {
        text.push_str(&format!("{name}={}\n", fact(tree, id, key)?.unwrap_or_default()));
    }
    Ok(text)
}
