// SPDX-License-Identifier: LGPL-2.1-or-later
//! What happens when a guest starts: from the host's desktop to the running guest, step by step.
//!
//! Everything that can be checked is checked here, before the first step that anybody would notice. What undoes a step
//! is not here: the guest's journal records what was before it.

mod checks;
mod domain_checks;
mod hand_over;
mod isolation;
mod leaving;
mod meanwhile;
mod needs;
pub mod next_start;
mod pages;
mod rom_checks;
mod shared_memory;
mod sound;
mod step;
mod taken;
#[cfg(test)]
mod tests;
mod traps;
pub mod without_section;

pub use hand_over::{cards, plan};
pub use taken::{with_host, NVIDIA_MODULES, NVIDIA_UNITS, ROOT};

pub use isolation::CpuContext;
pub use meanwhile::Meanwhile;
pub use needs::HostSide;
pub use shared_memory::Shared;
pub use sound::SoundServer;
pub use step::GuestStep;
pub use traps::NoRom;

use crate::finding::{Finding, Severity};
use crate::host::accounts::User;
use crate::host::domain::Domain;
use crate::host::numa::Node;
use crate::host::pages::HugePagePools;
use crate::host::rom::{NotRom, Rom};
use crate::host::way_in::WayIn;
use crate::pci::Address;
use crate::plan::definition::Definition;
use serde::Serialize;
use std::fmt;
use step::show_session;

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
    pub refusals: Vec<Finding>,
    /// What the user should know although it is.
    pub warnings: Vec<Finding>,
    /// What the user loses for it, how that comes back, and the way in meanwhile.
    pub meanwhile: Meanwhile,
}

impl GuestPlan {
    /// Errors among these are refusals; the others are warnings. No sentence is said twice.
    fn add(&mut self, findings: impl IntoIterator<Item = Finding>) {
        for finding in findings {
            // The same may be true of each of several cards.
            let said = |list: &[Finding]| list.iter().any(|known| known.text == finding.text && known.at == finding.at);
            if said(&self.refusals) || said(&self.warnings) {
                continue;
            }
            match finding.severity {
                Severity::Error => self.refusals.push(finding),
                _ => self.warnings.push(finding),
            }
        }
    }
}

/// What surrounds the guest: services, sessions, libvirt, files. Asked for by `act::guest::probe`.
#[derive(Debug, Clone, Default)]
pub struct GuestContext {
    /// Why systemd could not be asked about units, if so.
    pub no_systemd: Option<String>,
    /// What only systemd could stop for this guest, where another init runs.
    pub only_systemd_stops: Option<String>,
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
    /// The user who runs the command of a guest that is one; `None` if the machine has no user of that name.
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
    /// What the section's keys would change in the domain; nothing where none is written.
    pub definition: Definition,
    /// The option ROMs that it is to have, as far as they can be read.
    pub roms: Vec<RomFile>,
    /// Memory in bytes: of the machine, and free for a guest now.
    pub memory: Memory,
    /// CPUs of the machine; only looked at if the guest is to have some for itself.
    pub cpus: CpuContext,
    /// Sound servers of users that the domain plays on.
    pub sound: Vec<SoundServer>,
    /// The user that QEMU runs as, if that is not root; only looked at if there are such servers.
    pub qemu_user: Option<User>,
    /// Memory that the domain shares with programs of the host.
    pub shared: Shared,
    /// Huge pages of the machine; only looked at if the domain's memory comes from them.
    pub pages: HugePagePools,
    /// The NUMA nodes of the machine, with the same condition.
    pub nodes: Vec<Node>,
    /// The node of the guest's first card, if that is known.
    pub card_node: Option<u32>,
    /// What the host has of what the domain needs beside its cards.
    pub host: HostSide,
    /// The ways into this machine that need no picture; only looked for if it shows none meanwhile.
    pub way_in: WayIn,
    /// The size of BAR 2 of the cards' displays.
    pub bar2: Vec<(Address, u64)>,
    /// Displays that have no option ROM of their own for a guest.
    pub no_rom: Vec<(Address, NoRom)>,
}

/// Whether a unit in this state runs, so that it must be stopped.
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
    /// What the desktop calls itself: `plasma`, `gnome`, ...; empty where it does not.
    pub desktop: String,
    /// Whether it only asks who wants to log in.
    pub greeter: bool,
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

/// An option ROM that the guest is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RomFile {
    /// Its path.
    pub path: String,
    /// What is in it.
    pub rom: Result<Rom, NotRom>,
    /// AppArmor keeps a domain's QEMU from reading it; whether rules of packages count here.
    pub confined: Option<bool>,
    /// What QEMU's user may not read or enter on the way to it, and the user.
    pub closed: Option<(String, String)>,
    /// The SELinux type that keeps QEMU from reading it.
    pub label: Option<String>,
}

/// Memory, in bytes; 0 where it is not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// `MemTotal`.
    pub total: u64,
    /// `MemAvailable`.
    pub available: u64,
}
