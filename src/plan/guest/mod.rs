// SPDX-License-Identifier: LGPL-2.1-or-later
//! What happens when a guest starts: from the host's desktop to the running guest, step by step.
//!
//! Everything that can be checked is checked here, before the first step that anybody would notice. What undoes a step
//! is not here: the guest's journal records what was before it.

mod checks;
mod domain_checks;
mod hand_over;
mod leaving;
#[cfg(test)]
mod tests;

pub use hand_over::{cards, plan, with_host, NVIDIA_MODULES, NVIDIA_UNITS, ROOT};

use super::Finding;
use crate::config::{Guest, Location};
use crate::host::accounts::User;
use crate::host::domain::Domain;
use crate::host::holders::Holder;
use crate::pci::Address;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One step of a hand-over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum GuestStep {
    /// The card belongs to this guest from now on.
    Claim {
        /// The `[gpu]` section's name.
        gpu: String,
    },
    /// A command of the user's, run when all has been given back; here it is only remembered.
    After {
        /// The program and its arguments.
        command: Vec<String>,
    },
    /// A command of the user's, run now.
    Before {
        /// The program and its arguments.
        command: Vec<String>,
    },
    /// See that a process that no step ends has let go of the card since the plan was made: a command of the user's was to
    /// end it.
    Gone {
        /// Who, and what it held.
        holder: Holder,
    },
    /// Stop a unit of the system that is active; it is started again when all has been given back.
    StopUnit {
        /// Its name.
        unit: String,
        /// Login sessions that end with it though they have nothing to do with the card, as they are shown.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        ends: Vec<String>,
    },
    /// End a login session.
    EndSession {
        /// Its id, as `loginctl` knows it.
        session: String,
        /// Whose it is.
        user: String,
        /// The seat that it is on.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        seat: String,
    },
    /// Ask a process that holds the card and does not end with a session to end.
    AskToEnd {
        /// Who, and what it holds.
        holder: Holder,
    },
    /// Tell programs that watch for devices that the card's display and sound are going, so that they let go of them.
    Announce {
        /// The card's functions.
        functions: Vec<Address>,
    },
    /// Wait until nobody holds the card.
    LetGo {
        /// The card's functions.
        functions: Vec<Address>,
        /// Ask whoever still holds it to end (SIGTERM).
        end: bool,
        /// Kill whoever does not.
        kill: bool,
    },
    /// Let no driver but vfio's have the card from now on.
    Reserve {
        /// The `[gpu]` section's name.
        gpu: String,
    },
    /// Take the text console from a framebuffer.
    Console {
        /// `vtcon1`.
        console: String,
    },
    /// Unload a module that would not let go of its devices otherwise.
    Unload {
        /// Its name.
        module: String,
    },
    /// Keep functions and the ports above them from sleeping: what sleeps deeply may not wake up, or with a reset not be
    /// there.
    Awake {
        /// The cards' functions.
        functions: Vec<Address>,
    },
    /// Bind the card to vfio, as `vfio bind` does, with a journal of its own.
    Bind {
        /// The `[gpu]` section's name.
        gpu: String,
    },
    /// Give the BARs of a card that is with vfio already the sizes that this guest wants.
    Resize {
        /// The `[gpu]` section's name.
        gpu: String,
    },
    /// Give the nodes by which a guest has the cards to the user who runs it.
    Give {
        /// The cards' functions.
        functions: Vec<Address>,
        /// The user.
        user: String,
    },
    /// Start the libvirt domain.
    StartDomain {
        /// Where libvirt is.
        uri: String,
        /// The domain.
        domain: String,
        /// How long it may take to shut down, in seconds.
        patience: u64,
    },
    /// Start the program that is the guest.
    StartCommand {
        /// The program and its arguments, addresses filled in.
        command: Vec<String>,
        /// Who runs it.
        #[serde(default = "by_root")]
        user: String,
        /// How long it may take to end, in seconds.
        patience: u64,
    },
}

impl GuestStep {
    /// Whether the step starts the guest; then, how long the guest may take to end, in seconds.
    pub fn starts(&self) -> Option<u64> {
        match self {
            GuestStep::StartDomain { patience, .. } | GuestStep::StartCommand { patience, .. } => Some(*patience),
            _ => None,
        }
    }
}

impl fmt::Display for GuestStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |functions: &[Address]| functions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match self {
            GuestStep::Claim { gpu } => write!(f, "reserve [gpu {gpu}] for this guest"),
            GuestStep::After { command } => write!(f, "remember to run '{}' afterwards", command.join(" ")),
            GuestStep::Before { command } => write!(f, "run '{}'", command.join(" ")),
            GuestStep::Gone { holder } => write!(f, "see that {} has let go", holder.who()),
            GuestStep::StopUnit { unit, ends } if ends.is_empty() => write!(f, "stop {unit}"),
            GuestStep::StopUnit { unit, ends } => write!(f, "stop {unit}, which ends {}", ends.join(", ")),
            GuestStep::EndSession { session, user, seat } => {
                write!(f, "end {}", show_session(session, user, seat))
            }
            GuestStep::AskToEnd { holder } => write!(f, "ask {} to end", holder.who()),
            GuestStep::Announce { functions } => write!(f, "announce that {} is going", list(functions)),
            GuestStep::LetGo { functions, .. } => write!(f, "wait until nobody holds {}", list(functions)),
            GuestStep::Reserve { gpu } => write!(f, "keep other drivers from [gpu {gpu}]"),
            GuestStep::Console { console } => write!(f, "take the text console from {console}"),
            GuestStep::Unload { module } => write!(f, "unload module {module}"),
            GuestStep::Awake { functions } => write!(f, "keep {} awake", list(functions)),
            GuestStep::Bind { gpu } => write!(f, "bind [gpu {gpu}] to vfio"),
            GuestStep::Resize { gpu } => write!(f, "resize the BARs of [gpu {gpu}]"),
            GuestStep::Give { functions, user } => write!(f, "give {} to the user {user}", list(functions)),
            GuestStep::StartDomain { domain, .. } => write!(f, "start domain {domain}"),
            GuestStep::StartCommand { command, .. } => {
                write!(f, "start {}", command.first().map_or("nothing", String::as_str))
            }
        }
    }
}

/// Who runs what a journal of a version before users has.
fn by_root() -> String {
    "root".to_owned()
}

/// A session in a sentence.
fn show_session(id: &str, user: &str, seat: &str) -> String {
    match seat {
        "" => format!("session {id} of {user}"),
        seat => format!("session {id} of {user} on {seat}"),
    }
}

/// A sentence about a guest, and the line of the configuration that it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// The `[guest]` section's name.
    pub guest: String,
    /// The line; `None` where the configuration has no part in it.
    pub at: Option<Location>,
    /// One sentence: what is so and what to do.
    pub text: String,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(at) = &self.at {
            write!(f, "{at}: ")?;
        }
        write!(f, "[guest {}] {}", self.guest, self.text)
    }
}

impl Remark {
    /// A remark about a guest's section.
    pub fn new(guest: &Guest, text: impl Into<String>) -> Remark {
        Remark::at(guest, &guest.at, text)
    }

    /// A remark about a line of the configuration.
    pub fn at(guest: &Guest, at: &Location, text: impl Into<String>) -> Remark {
        Remark { guest: guest.name.clone(), at: Some(at.clone()), text: text.into() }
    }

    /// What is known of a card, as a remark about the guest that is to have it.
    pub fn of(guest: &Guest, finding: &Finding) -> Remark {
        let at = finding.at.clone().or_else(|| Some(guest.gpus.at.clone()));
        Remark { guest: guest.name.clone(), at, text: format!("[gpu {}] {}", finding.gpu, finding.text) }
    }
}

/// What should happen when a guest starts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct GuestPlan {
    /// The `[guest]` section's name.
    pub guest: String,
    /// All functions that it gets.
    pub functions: Vec<Address>,
    /// The steps, in order; none if it is refused.
    pub steps: Vec<GuestStep>,
    /// Why the guest is not started, if it is not.
    pub refusals: Vec<Remark>,
    /// What the user should know although it is.
    pub warnings: Vec<Remark>,
}

/// What surrounds the guest: services, sessions, libvirt, files. Asked for by `act::guest::look`.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// Why systemd could not be asked about units, if so.
    pub no_systemd: Option<String>,
    /// Why logind could not be asked about sessions, if so.
    pub no_logind: Option<String>,
    /// Whether there is no D-Bus, by which systemd is asked to run the guest's commands.
    pub lacks_bus: bool,
    /// Units asked about; those that do not exist are left out.
    pub units: Vec<Unit>,
    /// The display manager's own unit, if one is there and active.
    pub display_manager: Option<String>,
    /// The seats that the cards' displays belong to.
    pub seats: Vec<String>,
    /// Login sessions of all seats, and of none; only asked for if they may matter.
    pub sessions: Vec<Session>,
    /// What libvirt says of the domain; `None` for a guest that is a command.
    pub domain: Option<DomainState>,
    /// The user who runs the command of a guest that is one; `None` if the machine knows nobody of that name.
    pub user: Option<User>,
    /// Cards that belong to a guest already: card, guest.
    pub claims: Vec<(String, String)>,
    /// Text consoles: name, whether it is a framebuffer's, whether it is bound.
    pub consoles: Vec<Console>,
    /// Modules that are loaded, of those that matter for a hand-over (NVIDIA's).
    pub modules: Vec<String>,
    /// Those of them that are not there for the running kernel: what is unloaded could not be loaded again.
    pub unloadable_missing: Vec<String>,
    /// Whether vfio-pci is registered, or its module is there for the running kernel.
    pub vfio_available: bool,
    /// Files the guest needs, and what is wrong with each that is not as it must be.
    pub files: Vec<FileProblem>,
    /// Memory in bytes: of the machine, and free for a guest now.
    pub memory: Memory,
}

/// Whether a unit in this state must be stopped to have it down.
pub fn is_up(state: &str) -> bool {
    matches!(state, "active" | "activating" | "reloading" | "refreshing")
}

/// A unit of the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// The name by which it was asked for.
    pub name: String,
    /// Its own name, an alias resolved.
    pub id: String,
    /// `active`, `inactive`, `failed`, ...
    pub state: String,
}

/// A login session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub user: String,
    /// The user's number.
    pub uid: String,
    /// `wayland`, `x11`, `tty`, ...
    pub kind: String,
    /// Its seat; empty for one from elsewhere.
    pub seat: String,
    /// The process that opened it.
    pub leader: Option<u32>,
    /// Whether the display manager has opened it, and ends it when it is stopped.
    pub managed: bool,
}

impl Session {
    /// Whether it shows something on its seat's display.
    pub fn is_graphical(&self) -> bool {
        matches!(self.kind.as_str(), "wayland" | "x11" | "mir")
    }
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&show_session(&self.id, &self.user, &self.seat))
    }
}

/// What libvirt says of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DomainState {
    /// There is no such domain, libvirt does not answer, or its XML cannot be understood: the rest of a sentence that
    /// begins with "cannot start domain NAME: "; of the XML, what `host::domain::parse` says.
    Unknown(String),
    /// It is there.
    Known {
        /// `shut off`, `running`, ...
        state: String,
        /// What it is made of.
        domain: Box<Domain>,
    },
}

/// A text console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Console {
    /// `vtcon1`.
    pub name: String,
    /// Whether it shows on a framebuffer.
    pub framebuffer: bool,
    /// Whether it has virtual terminals now.
    pub bound: bool,
}

/// A file that the guest needs and that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileProblem {
    /// Its path.
    pub path: String,
    /// What it is for: `disk`, `option ROM`, `firmware`, ... (`NeededFile::what`).
    pub what: &'static str,
    /// What is wrong: `is not there`, `cannot be read: ...`.
    pub problem: String,
}

/// Memory, in bytes; 0 where it is not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// `MemTotal`.
    pub total: u64,
    /// `MemAvailable`.
    pub available: u64,
    /// What is in free huge pages of the size that the domain asks for (`Domain::huge_pages`); `None` if not known.
    pub free_huge: Option<u64>,
}
