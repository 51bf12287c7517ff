// SPDX-License-Identifier: LGPL-2.1-or-later
//! Who makes way for a guest: which sessions end, who is asked to, what becomes of the display manager; and who would still
//! hold the cards after all of that.

use super::hand_over::{all_of_nvidia, NVIDIA_UNITS};
use crate::config::{Guest, Handover};
use crate::host::holders::Holder;
use crate::host::home::Home;
use crate::host::Host;
use crate::pci::Address;
use crate::plan::display;
use crate::plan::guest::{is_up, Session, Surroundings};
use crate::plan::select::Choice;
use crate::plan::Remark;

/// Who makes way.
#[derive(Debug, Default)]
pub(super) struct Leaving<'a> {
    /// Sessions that are ended, and why: who of them holds a card, if that is the reason.
    pub(super) sessions: Vec<(&'a Session, Option<&'a Holder>)>,
    /// Processes that are asked to end, since no end of a session ends them.
    pub(super) asked: Vec<&'a Holder>,
    /// The display manager, if it is stopped.
    pub(super) display_manager: Option<&'a str>,
    /// Sessions that end with it, though they hold nothing.
    pub(super) with_it: Vec<&'a Session>,
    /// Whether programs are told that the cards are going.
    pub(super) announced: bool,
    /// Who will still hold a card, a process each.
    pub(super) staying: Vec<&'a Holder>,
    /// Who shows something on a card in a session of which nothing is known, and why.
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

/// Who makes way for this guest, which takes these functions of its cards from the host. Holders must have been looked for.
pub(super) fn leaving<'a>(
    guest: &Guest,
    choices: &[Choice<'_>],
    taken: &[Address],
    host: &'a Host,
    around: &'a Surroundings,
) -> Leaving<'a> {
    let mut leaving = Leaving::default();
    if taken.is_empty() || guest.handover == Handover::None {
        return leaving;
    }
    let held = processes(taken, host);
    let manager = around.display_manager.as_deref();
    let of_manager = |held: &Held<'_>| manager.is_some_and(|unit| held.home.is_of(unit));
    match guest.handover {
        Handover::Steal => {
            leaving.sessions = on_seats(around).map(|session| (session, None)).collect();
            leaving.display_manager = manager;
        }
        // Whoever has only just been greeted will have the only display open in a moment.
        Handover::Auto if manager.is_some() && display::goes_dark(choices, host) => {
            leaving.sessions = on_seats(around).map(|session| (session, None)).collect();
            leaving.display_manager = manager;
            leaving.end_holders(&held, true, around);
        }
        Handover::Auto => {
            leaving.end_holders(&held, held.iter().any(|h| h.holder.is_certain() && of_manager(h)), around);
        }
        Handover::Hot | Handover::None => leaving.announced = true,
    }
    if leaving.display_manager.is_some() {
        let goes = |session: &&Session| session.is_graphical() && session.managed;
        let others = around.sessions.iter().filter(goes).filter(|s| !leaving.ends(s));
        leaving.with_it = others.collect();
    }
    // What nobody ends is only in the way where somebody could be: with `hot` each is to let go by itself, and may.
    let stopped = stopped(guest, taken, host, around);
    for held in &held {
        let holder = held.holder;
        match &held.home {
            // Who is not known to hold it is neither asked nor killed; with its session or its unit it ends all the same.
            home if !holder.is_certain() => {
                let goes = leaving.ends_home(home) || stopped.iter().any(|unit| home.is_of(unit)) || of_manager(held);
                leaving.staying.extend((!goes).then_some(holder));
            }
            Home::System(_) if stopped.iter().any(|unit| held.home.is_of(unit)) || of_manager(held) => {}
            Home::System(_) if guest.kill_holders && guest.handover != Handover::Hot => leaving.asked.push(holder),
            Home::System(_) => leaving.staying.push(holder),
            _ if guest.handover == Handover::Hot => {}
            home if leaving.ends_home(home) => leaving.asked.extend(holder.outlives_sessions().then_some(holder)),
            // Sound servers have every card's mixer open, and come back as soon as they are needed: they follow udev.
            Home::Manager { .. } | Home::Session(_) if held.only_sound => leaving.announced = true,
            _ => leaving.asked.push(holder),
        }
    }
    leaving
}

/// Units that are stopped besides the display manager, by their own names.
fn stopped<'a>(guest: &'a Guest, taken: &[Address], host: &Host, around: &'a Surroundings) -> Vec<&'a str> {
    let nvidia = all_of_nvidia(taken, host);
    let wanted =
        |name: &str| guest.stop_units.iter().any(|unit| unit == name) || nvidia && NVIDIA_UNITS.contains(&name);
    let units = around.units.iter().filter(|unit| wanted(&unit.name) && is_up(&unit.state));
    units.map(|unit| unit.id.as_str()).collect()
}

/// Graphical sessions on the seats of the cards.
fn on_seats(around: &Surroundings) -> impl Iterator<Item = &Session> {
    around.sessions.iter().filter(|s| s.is_graphical() && around.seats.contains(&s.seat))
}

impl<'a> Leaving<'a> {
    /// Whether a session is ended.
    fn ends(&self, session: &Session) -> bool {
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
    /// for its greeter; nobody else. Who draws or computes there without showing anything is asked to end by itself.
    fn end_holders(&mut self, held: &[Held<'a>], manager_holds: bool, around: &'a Surroundings) {
        if let Some(why) = &around.no_logind {
            let of_session = held.iter().filter(|h| matches!(h.home, Home::Session(_) | Home::Manager { .. }));
            self.unknown = of_session.filter_map(|held| held.shows).next().map(|holder| (holder, why.as_str()));
        }
        for (held, shown) in held.iter().filter_map(|held| Some((held, held.shows?))) {
            let its = |session: &&Session| match &held.home {
                Home::Session(id) => session.id == *id,
                Home::Manager { uid, .. } => session.uid == *uid,
                _ => false,
            };
            // A compositor that somebody has started in a text login is asked to end; the login stays.
            around.sessions.iter().filter(|s| s.is_graphical()).filter(its).for_each(|s| self.end(s, Some(shown)));
        }
        if !manager_holds && !self.sessions.iter().any(|(session, _)| session.managed) {
            return;
        }
        let Some(manager) = around.display_manager.as_deref() else { return };
        let managed = |s: &&Session| s.is_graphical() && s.managed;
        let elsewhere =
            around.sessions.iter().filter(managed).any(|s| !around.seats.contains(&s.seat) && !self.ends(s));
        on_seats(around).filter(managed).for_each(|session| self.end(session, None));
        if elsewhere && !around.seats.iter().any(|seat| seat == "seat0") {
            // A seat other than the first is gone when its display is said to be (sd-login(3)): then the display manager
            // has nowhere to greet anybody, and the sessions of other seats live on.
            self.announced = true;
        } else {
            self.display_manager = Some(manager);
        }
    }
}

/// What speaks against the start, and what the user should know: who would still hold a card when everybody has made way,
/// and which sessions end that could be spared.
pub(super) fn remarks(
    guest: &Guest,
    choices: &[Choice<'_>],
    leaving: &Leaving<'_>,
    host: &Host,
) -> (Vec<Remark>, Vec<Remark>) {
    let (mut refusals, mut warnings) = (Vec::new(), Vec::new());
    if let Some((holder, why)) = leaving.unknown {
        let text = format!("{holder}, and logind does not say in which session: {why}; try again");
        refusals.push(Remark::new(guest, text));
    }
    let mut units: Vec<String> = Vec::new();
    for holder in &leaving.staying {
        let program = holder.executable.as_ref().map(|path| format!(" ({path})")).unwrap_or_default();
        let so = match holder.is_certain() {
            true => format!("{holder}{program}, and would still have it when the guest starts"),
            false => holder.to_string(),
        };
        match way(holder) {
            Way::Unit(unit) if units.contains(&unit) => {}
            Way::Unit(unit) if guest.stop_units.contains(&unit) => {
                refusals.push(Remark::new(guest, format!("{so}, though {unit} is not active; end it first")));
                units.push(unit);
            }
            Way::Unit(unit) => {
                let way = match guest.stop_units.is_empty() {
                    true => format!("write 'stop-units = {unit}'"),
                    false => format!("add {unit} to 'stop-units'"),
                };
                refusals.push(Remark::new(guest, format!("{so}; {way}")));
                units.push(unit);
            }
            // It is looked whether they did before anything else is done.
            Way::ByHand(_) if !guest.before.is_empty() && !holder.is_everybody() => {
                warnings.push(Remark::new(guest, format!("{so}; it starts only if a 'before' command ends that")));
            }
            Way::ByHand(way) => refusals.push(Remark::new(guest, format!("{so}; {way}"))),
        }
    }
    if let Some(unit) = leaving.display_manager.filter(|_| !leaving.with_it.is_empty()) {
        let others = leaving.with_it.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let end = if leaving.with_it.len() == 1 { "ends" } else { "end" };
        let way = match guest.handover {
            Handover::Steal => "'handover = auto' stops it only if the card cannot be had otherwise",
            _ => "a card that is bound at boot ('bind = boot') takes nobody's session",
        };
        warnings.push(Remark::new(guest, format!("{others} {end} too, for {unit} serves all seats; {way}")));
    }
    // Where the host keeps no other display everybody expects the desktop to end.
    if guest.handover == Handover::Auto && !display::goes_dark(choices, host) {
        for (session, holder) in leaving.sessions.iter().filter_map(|(session, why)| Some((session, (*why)?))) {
            let text = format!(
                "{session} ends, for {holder}; 'bind = boot' keeps it from this card, with 'handover = hot' it may let go \
                 and live on"
            );
            warnings.push(Remark::new(guest, text));
        }
    }
    (refusals, warnings)
}

/// What helps against somebody who stays.
enum Way {
    /// This unit can be stopped, and started again.
    Unit(String),
    /// A person, or a command, must do this.
    ByHand(&'static str),
}

fn way(holder: &Holder) -> Way {
    if holder.pid.is_none() {
        return Way::ByHand("find out who it is, and try again");
    }
    let home = holder.home();
    let Home::System(path) = &home else { return Way::ByHand("end it first") };
    if path.contains("/machine-qemu") {
        return Way::ByHand("shut that guest down first");
    }
    if home.is_contained() {
        return Way::ByHand("stop that container first");
    }
    // The outermost is the system's; a service may have control groups of its own below.
    let service = path.split('/').find(|part| part.ends_with(".service"));
    service.map_or(Way::ByHand("end it first, or set 'kill-holders = yes'"), |unit| Way::Unit(unit.to_owned()))
}
