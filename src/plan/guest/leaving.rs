// SPDX-License-Identifier: LGPL-2.1-or-later
//! What ends for a guest: which sessions end, which processes are asked to end, what becomes of the display manager; and
//! which processes would still hold the cards after all of that.

use super::taken::{all_of_nvidia, NVIDIA_UNITS};
use crate::config::{Guest, Handover};
use crate::finding::{codes, Finding};
use crate::host::holders::Holder;
use crate::host::home::Home;
use crate::host::Host;
use crate::pci::Address;
use crate::plan::display;
use crate::plan::guest::{is_up, GuestContext, Session};
use crate::plan::selection::Selection;

/// What ends for a guest.
#[derive(Debug, Default)]
pub(super) struct Leaving<'a> {
    /// Sessions that are ended, and why: which of their processes holds a card, if that is the reason.
    pub(super) sessions: Vec<(&'a Session, Option<&'a Holder>)>,
    /// Processes that are asked to end, since no end of a session ends them.
    pub(super) asked: Vec<&'a Holder>,
    /// The display manager, if it is stopped.
    pub(super) display_manager: Option<&'a str>,
    /// Sessions that end with it, though they hold nothing.
    pub(super) with_it: Vec<&'a Session>,
    /// Whether programs are told that the cards are going.
    pub(super) announced: bool,
    /// With `hot`: processes that show something on a card, and are told that it goes.
    told: Vec<&'a Holder>,
    /// Processes that will still hold a card, each once.
    pub(super) staying: Vec<&'a Holder>,
    /// A process that shows something on a card in a session of which nothing is known, and why.
    unknown: Option<(&'a Holder, &'a str)>,
}

/// A process and all that it holds of the cards.
struct Held<'a> {
    holder: &'a Holder,
    home: Home,
    /// What it shows something by, if it does.
    shows: Option<&'a Holder>,
    only_sound: bool,
}

fn counts(holder: &Holder) -> bool {
    holder.may_end().is_some() || !holder.is_certain()
}

/// Each process that holds one of the functions, or may, once, but for those that hold it for others.
fn processes<'a>(taken: &[Address], host: &'a Host) -> Vec<Held<'a>> {
    let mut found: Vec<Held<'a>> = Vec::new();
    for (_, holder) in host.holders.iter().filter(|(address, h)| taken.contains(address) && counts(h)) {
        let shows = holder.shows().then_some(holder);
        match found.iter_mut().find(|held| held.holder.pid == holder.pid) {
            Some(held) => {
                held.shows = held.shows.or(shows);
                held.only_sound &= holder.has_sound();
                // What outlives a session by one of its nodes, does.
                if holder.outlives_sessions() && !held.holder.outlives_sessions() {
                    held.holder = holder;
                }
            }
            None => found.push(Held { holder, home: holder.home(), shows, only_sound: holder.has_sound() }),
        }
    }
    found
}

/// What ends for this guest, which takes these functions of its cards from the host. Holders must have been looked for.
pub(super) fn leaving<'a>(
    guest: &Guest,
    selections: &[Selection<'_>],
    taken: &[Address],
    host: &'a Host,
    context: &'a GuestContext,
) -> Leaving<'a> {
    let mut leaving = Leaving::default();
    if taken.is_empty() || guest.handover == Handover::None {
        return leaving;
    }
    let held = processes(taken, host);
    let manager = context.display_manager.as_deref();
    let of_manager = |held: &Held<'_>| manager.is_some_and(|unit| held.home.is_of(unit));
    match guest.handover {
        Handover::Steal => {
            leaving.sessions = on_seats(context).map(|session| (session, None)).collect();
            leaving.display_manager = manager;
        }
        // The session of a user who has just logged in will have the only display open in a moment.
        Handover::Auto if manager.is_some() && display::goes_dark(selections, host) => {
            leaving.sessions = on_seats(context).map(|session| (session, None)).collect();
            leaving.display_manager = manager;
            leaving.end_holders(&held, true, context);
        }
        Handover::Auto => {
            leaving.end_holders(&held, held.iter().any(|h| h.holder.is_certain() && of_manager(h)), context);
        }
        Handover::Hot | Handover::None => leaving.announced = true,
    }
    if leaving.display_manager.is_some() {
        let goes = |session: &&Session| session.is_graphical() && session.managed;
        let others = context.sessions.iter().filter(goes).filter(|s| !leaving.ends(s));
        leaving.with_it = others.collect();
    }
    // A process that nothing ends is refused only where it could have been ended: with `hot` each is to release the card by
    // itself, and may.
    let stopped = stopped(guest, taken, host, context);
    for held in &held {
        let holder = held.holder;
        match &held.home {
            // A process that is not known to hold it is neither asked nor killed; it ends with its session or its unit all
            // the same.
            home if !holder.is_certain() => {
                let goes = leaving.ends_home(home) || stopped.iter().any(|unit| home.is_of(unit)) || of_manager(held);
                leaving.staying.extend((!goes).then_some(holder));
            }
            Home::System(_) if stopped.iter().any(|unit| held.home.is_of(unit)) || of_manager(held) => {}
            Home::System(_) if guest.kill_holders && guest.handover != Handover::Hot => leaving.asked.push(holder),
            Home::System(_) => leaving.staying.push(holder),
            _ if guest.handover == Handover::Hot => leaving.told.extend(held.shows),
            home if leaving.ends_home(home) => leaving.asked.extend(holder.outlives_sessions().then_some(holder)),
            // Sound servers have every card's mixer open, and come back as soon as they are needed: they follow udev.
            Home::Manager { .. } | Home::Session(_) if held.only_sound => leaving.announced = true,
            _ => leaving.asked.push(holder),
        }
    }
    leaving
}

/// Units that are stopped besides the display manager, by their own names.
fn stopped<'a>(guest: &'a Guest, taken: &[Address], host: &Host, context: &'a GuestContext) -> Vec<&'a str> {
    let nvidia = all_of_nvidia(taken, host);
    let desired =
        |name: &str| guest.stop_units.iter().any(|unit| unit == name) || nvidia && NVIDIA_UNITS.contains(&name);
    let units = context.units.iter().filter(|unit| desired(&unit.name) && is_up(&unit.state));
    units.map(|unit| unit.id.as_str()).collect()
}

/// Graphical sessions on the seats of the cards.
fn on_seats(context: &GuestContext) -> impl Iterator<Item = &Session> {
    context.sessions.iter().filter(|s| s.is_graphical() && context.seats.contains(&s.seat))
}

impl<'a> Leaving<'a> {
    /// Whether a session is ended.
    pub(super) fn ends(&self, session: &Session) -> bool {
        self.sessions.iter().any(|(ended, _)| ended.id == session.id)
    }

    /// Whether what belongs there ends, or may outlive the end, of a session that is ended.
    fn ends_home(&self, home: &Home) -> bool {
        self.sessions.iter().any(|(session, _)| match home {
            Home::Session(id) => session.id == *id,
            Home::Manager { uid, .. } => session.uid == *uid,
            _ => false,
        })
    }

    fn end(&mut self, session: &'a Session, why: Option<&'a Holder>) {
        if !self.ends(session) {
            self.sessions.push((session, why));
        }
    }

    /// `auto`: sessions that show something on a card end, and the display manager where it would only open the card again,
    /// for its greeter; nothing else. A process that draws or computes there without showing anything is asked to end by
    /// itself.
    fn end_holders(&mut self, held: &[Held<'a>], manager_holds: bool, context: &'a GuestContext) {
        if let Some(why) = &context.no_logind {
            let of_session = held.iter().filter(|h| matches!(h.home, Home::Session(_) | Home::Manager { .. }));
            self.unknown = of_session.filter_map(|held| held.shows).next().map(|holder| (holder, why.as_str()));
        }
        for (held, shown) in held.iter().filter_map(|held| Some((held, held.shows?))) {
            let its = |session: &&Session| match &held.home {
                Home::Session(id) => session.id == *id,
                Home::Manager { uid, .. } => session.uid == *uid,
                _ => false,
            };
            // A compositor that a user has started in a text login is asked to end; the login stays.
            context.sessions.iter().filter(|s| s.is_graphical()).filter(its).for_each(|s| self.end(s, Some(shown)));
        }
        if !manager_holds && !self.sessions.iter().any(|(session, _)| session.managed) {
            return;
        }
        let Some(manager) = context.display_manager.as_deref() else { return };
        let managed = |s: &&Session| s.is_graphical() && s.managed;
        let elsewhere =
            context.sessions.iter().filter(managed).any(|s| !context.seats.contains(&s.seat) && !self.ends(s));
        on_seats(context).filter(managed).for_each(|session| self.end(session, None));
        if elsewhere && !context.seats.iter().any(|seat| seat == "seat0") {
            // A seat other than the first is gone when its display is said to be (sd-login(3)): then the display manager
            // has nowhere to greet anybody, and the sessions of other seats live on.
            self.announced = true;
        } else {
            self.display_manager = Some(manager);
        }
    }
}

/// What speaks against the start (errors), and what the user should know (warnings): which processes would still hold a card
/// when all else has ended, and which sessions end that could be spared.
pub(super) fn findings(
    guest: &Guest,
    selections: &[Selection<'_>],
    leaving: &Leaving<'_>,
    host: &Host,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some((holder, why)) = leaving.unknown {
        let text = format!("{holder}, and logind does not say in which session: {why}");
        findings.push(Finding::guest(guest, codes::LOGIND_DOES_NOT_ANSWER, text).hint("try again"));
    }
    let mut units: Vec<String> = Vec::new();
    for holder in &leaving.staying {
        let program = holder.executable.as_ref().map(|path| format!(" ({path})")).unwrap_or_default();
        let (code, text) = if holder.is_certain() {
            (codes::CARD_HELD, format!("{holder}{program}, and would still hold the card when the guest starts"))
        } else {
            (codes::HOLDER_UNKNOWN, holder.to_string())
        };
        let finding = |text: String| Finding::guest(guest, code, text);
        match way(holder) {
            Way::Unit(unit) if units.contains(&unit) => {}
            Way::Unit(unit) if guest.stop_units.contains(&unit) => {
                findings.push(finding(format!("{text}, though {unit} is not active")).hint("end that process first"));
                units.push(unit);
            }
            Way::Unit(unit) => {
                findings.push(finding(text).hint(if guest.stop_units.is_empty() {
                    format!("write 'stop-units = {unit}'")
                } else {
                    format!("add {unit} to 'stop-units'")
                }));
                units.push(unit);
            }
            // Whether they did is looked at before anything else is done.
            Way::Manually(_) if !guest.before.is_empty() && !holder.is_everybody() => {
                let hint = "the guest starts only if a 'before' command ends that process";
                findings.push(finding(text).hint(hint).warning());
            }
            Way::Manually(way) => findings.push(finding(text).hint(way)),
        }
    }
    if let Some(unit) = leaving.display_manager.filter(|_| !leaving.with_it.is_empty()) {
        let others = leaving.with_it.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let end = if leaving.with_it.len() == 1 { "ends" } else { "end" };
        let text = format!("{others} {end} too, because {unit} serves all seats");
        let finding = Finding::guest(guest, codes::UNRELATED_SESSION_ENDS, text).warning();
        findings.push(finding.hint(match guest.handover {
            Handover::Steal => "'handover = auto' stops it only if the card cannot be had otherwise",
            _ => "a card that is bound at boot ('bind = boot') ends no session",
        }));
    }
    for holder in &leaving.told {
        let text = format!("{holder}, is told that the card goes, and may crash");
        let finding = Finding::guest(guest, codes::SESSION_MAY_END, text).warning();
        findings.push(finding.hint("save the work in that session first; 'handover = auto' ends it in order"));
    }
    // Where the host keeps no other display everybody expects the desktop to end.
    if guest.handover == Handover::Auto && !display::goes_dark(selections, host) {
        for (session, holder) in leaving.sessions.iter().filter_map(|(session, why)| Some((session, (*why)?))) {
            let text = format!("{session} ends, because {holder}");
            let finding = Finding::guest(guest, codes::SESSION_ENDS, text).warning();
            findings.push(finding.hint(
                "'bind = boot' keeps the session from this card; with 'handover = hot' it may release the card and live on",
            ));
        }
    }
    findings
}

/// What helps against a process that stays.
enum Way {
    /// This unit can be stopped, and started again.
    Unit(String),
    /// A person, or a command, must do this.
    Manually(&'static str),
}

fn way(holder: &Holder) -> Way {
    if holder.pid.is_none() {
        return Way::Manually("find out which process it is, and try again");
    }
    let home = holder.home();
    let Home::System(path) = &home else { return Way::Manually("end it first") };
    if path.contains("/machine-qemu") {
        return Way::Manually("shut that guest down first");
    }
    if home.is_contained() {
        return Way::Manually("stop that container first");
    }
    // The outermost is the system's; a service may have control groups of its own below.
    let service = path.split('/').find(|part| part.ends_with(".service"));
    service.map_or(Way::Manually("end it first, or set 'kill-holders = yes'"), |unit| Way::Unit(unit.to_owned()))
}

#[cfg(test)]
#[path = "leaving_tests.rs"]
mod tests;
