// SPDX-License-Identifier: LGPL-2.1-or-later
//! What a user reads first of a start: what ends for it, how that comes back, and the way in while there is no picture.

use super::leaving::Leaving;
use super::{GuestContext, GuestStep, Session};
use crate::config::{Config, Guest};
use crate::host::holders::Holder;
use crate::host::home::Home;
use crate::host::Host;
use crate::plan::boot;
use crate::plan::display;
use crate::plan::list::listed;
use crate::plan::selection::Selection;
use serde::Serialize;

/// What a start costs the user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Meanwhile {
    /// Sessions of users that end, each as a sentence: whose, where, with which desktop.
    pub ends: Vec<String>,
    /// Units that are stopped and started again afterwards.
    pub stops: Vec<String>,
    /// Processes that are asked to end, and that nothing starts again.
    pub asked: Vec<String>,
    /// Monitors that show nothing of the host.
    pub dark: Vec<String>,
    /// How it comes back.
    pub back: Option<String>,
    /// How somebody elsewhere gets in, where this machine has no picture.
    pub way_in: Option<String>,
}

impl Meanwhile {
    /// Whether a session of a user's ends.
    pub fn ends_sessions(&self) -> bool {
        !self.ends.is_empty()
    }

    /// What the user loses, a line each, what counts most first.
    pub fn losses(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.ends.iter().map(|session| format!("ends: {session}: save first")).collect();
        if !self.stops.is_empty() {
            lines.push(format!("stops: {}", self.stops.join(", ")));
        }
        lines.extend(self.asked.iter().map(|process| format!("asked to end: {process}")));
        if !self.dark.is_empty() {
            lines.push(format!("dark: {}", self.dark.join(", ")));
        }
        lines
    }

    /// How it comes back, a line each.
    pub fn returns(&self) -> Vec<String> {
        let back = self.back.iter().map(|back| format!("back: {back}"));
        back.chain(self.way_in.iter().map(|way| format!("way in: {way}"))).collect()
    }
}

/// What a start with these steps costs.
pub(super) fn meanwhile(
    config: &Config,
    guest: &Guest,
    selections: &[Selection<'_>],
    (leaving, steps): (&Leaving<'_>, &[GuestStep]),
    host: &Host,
    context: &GuestContext,
) -> Meanwhile {
    let ending = leaving.sessions.iter().map(|(session, _)| *session).chain(leaving.with_it.iter().copied());
    let users: Vec<&Session> = ending.filter(|session| !session.greeter).collect();
    let ends: Vec<String> = users.iter().map(|session| show(session, host)).collect();
    let stops: Vec<String> = steps
        .iter()
        .filter_map(|step| match step {
            GuestStep::StopUnit { unit, .. } => Some(unit.clone()),
            _ => None,
        })
        .collect();
    let functions = boot::functions(selections);
    let dark = display::dark(&functions, &functions, host).map(|dark| dark.connectors).unwrap_or_default();
    let is_dark = display::goes_dark(selections, host);
    let mut names: Vec<String> = users.iter().map(|session| session.user.clone()).collect();
    names.dedup();
    let mut comes: Vec<String> = Vec::new();
    if !stops.is_empty() {
        let are = if stops.len() == 1 { "is" } else { "are" };
        comes.push(format!("{} {are} started again", listed(&stops)));
    }
    match &names[..] {
        [] => {}
        [one] => comes.push(format!("{one} logs in again")),
        several => comes.push(format!("each of {} logs in again", listed(several))),
    }
    let back = (!comes.is_empty()).then(|| format!("when the guest has ended, {}", comes.join(", and ")));
    let asked = leaving.asked.iter().map(|holder| holder.who()).collect();
    let way_in = is_dark.then(|| way_in(config, guest, names.first(), context)).flatten();
    Meanwhile { ends, stops, asked, dark, back, way_in }
}

/// A session, by its desktop.
fn show(session: &Session, host: &Host) -> String {
    let its = |holder: &&Holder| holder.home() == Home::Session(session.id.clone());
    let programs = host.holders.iter().map(|(_, holder)| holder).filter(its).map(|holder| holder.command.as_str());
    let of = match desktop(&session.desktop, programs) {
        Some(desktop) => format!("the {desktop} session of {}", session.user),
        None => format!("the session of {}", session.user),
    };
    match session.seat.as_str() {
        "" => format!("{of} ({})", session.id),
        seat => format!("{of} on {seat} ({})", session.id),
    }
}

/// What users call desktops: by the word that the desktop has for itself (`XDG_SESSION_DESKTOP`), and by the program that shows
/// it.
const DESKTOPS: [(&str, &[&str], &[&str]); 9] = [
    ("Plasma", &["plasma", "kde"], &["kwin_wayland", "kwin_x11"]),
    ("GNOME", &["gnome", "ubuntu"], &["gnome-shell"]),
    ("Cinnamon", &["cinnamon"], &["cinnamon"]),
    ("COSMIC", &["cosmic"], &["cosmic-comp"]),
    ("Xfce", &["xfce", "xubuntu"], &["xfwm4"]),
    ("MATE", &["mate"], &["marco"]),
    ("LXQt", &["lxqt"], &[]),
    ("Hyprland", &["hyprland"], &["Hyprland", ".Hyprland-wrapp"]),
    ("Sway", &["sway"], &["sway"]),
];

fn desktop<'h>(word: &str, mut programs: impl Iterator<Item = &'h str>) -> Option<String> {
    if word.is_empty() {
        let by = |program: &str| DESKTOPS.iter().find(|(.., programs)| programs.contains(&program));
        return programs.find_map(by).map(|(name, ..)| (*name).to_owned());
    }
    let lower = word.to_ascii_lowercase();
    let known = DESKTOPS.iter().find(|(_, words, _)| words.iter().any(|start| lower.starts_with(start)));
    Some(known.map_or(word, |(name, ..)| name).to_owned())
}

/// The way in from elsewhere.
fn way_in(config: &Config, guest: &Guest, user: Option<&String>, context: &GuestContext) -> Option<String> {
    let stop = format!("'vfio guest stop {}' ends the guest", guest.name);
    let way = match (&context.way_in.ssh, &context.way_in.serial) {
        (Some(port), _) => {
            let option = if *port == 22 { String::new() } else { format!(" -p {port}") };
            let command = match (context.way_in.addresses.first(), user) {
                (Some(address), Some(user)) => format!("'ssh{option} {user}@{address}'"),
                (Some(address), None) => format!("'ssh{option} {address}'"),
                (None, _) => format!("ssh{option} to this machine"),
            };
            Some(format!("{command}, then {stop}"))
        }
        (None, Some(line)) => Some(format!("the login on {line}, then {stop}")),
        (None, None) => None,
    };
    let rescue = config.host.rescue_entry.then(|| "after a reboot, the boot entry without VFIO".to_owned());
    let ways: Vec<String> = way.into_iter().chain(rescue).collect();
    (!ways.is_empty()).then(|| ways.join("; "))
}

#[cfg(test)]
#[path = "meanwhile_tests.rs"]
mod tests;
