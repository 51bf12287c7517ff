// SPDX-License-Identifier: LGPL-2.1-or-later
//! Who holds a function: processes with one of its device nodes open or mapped, and mounts on its disks.
//!
//! A driver's `remove` waits for its users: `snd_card_free()` for every open sound node, nvidia for its usage count,
//! vfio-pci for the open group. So nothing is unbound while this finds somebody.

mod look;
mod mounts;
mod nodes;
mod opened;
mod question;
mod witness;
mod words;

pub use look::{find_here, run_as_child, Looker};
pub use nodes::{own_vfio_node, vfio_nodes, Device};

use super::home::Home;
use super::process::Process;
use crate::host::accounts;
use crate::pci::Address;
use crate::root::Root;
use serde::{Deserialize, Serialize};

/// Somebody who holds a function.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The device node it holds, or the mount point.
    pub node: String,
    /// The process; `None` for a mount.
    pub pid: Option<u32>,
    /// Its command name.
    pub command: String,
    /// Whose process it is: the user's id, or the name ([`name_users`]).
    pub user: Option<String>,
    /// The systemd unit it runs in, where it can be told.
    pub unit: Option<String>,
    /// The program it runs, where we may know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executable: Option<String>,
    /// How much of it is known.
    #[serde(default, skip_serializing_if = "Seen::is_plain")]
    pub seen: Seen,
    /// What else is known of it. A journal needs none of that.
    #[serde(skip)]
    pub facts: Facts,
}

/// What is known of a holder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Seen {
    /// It holds the device.
    #[default]
    Holds,
    /// It has not let itself be looked at in time, so it may hold it. `node` is what was to be read; without a process none
    /// could be looked at, and `command` says why.
    Unanswered,
    /// The kernel says that the node is open, and no process shows it. `command` is where the kernel says so.
    Unseen,
}

impl Seen {
    fn is_plain(&self) -> bool {
        *self == Seen::Holds
    }
}

/// What is known of a holder's process beside what people are told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Its control group.
    pub cgroup: Option<String>,
    /// When it was started, in the kernel's ticks.
    pub started: Option<String>,
    /// Its parent.
    pub parent: Option<u32>,
    /// The device that the node leads to.
    pub device: Option<Device>,
    /// The function that it holds.
    pub function: Option<Address>,
}

/// Services that hold devices on behalf of others and let go when those end, or look at a device for a moment when it comes
/// (udev): none of them is ever asked to end.
const ON_BEHALF: [&str; 4] = ["systemd-logind.service", "elogind.service", "seatd.service", "systemd-udevd.service"];

impl Holder {
    /// The process, if it is one that may be asked to end: one that is known to hold the device, for itself.
    pub fn may_end(&self) -> Option<u32> {
        self.pid.filter(|pid| *pid > 1 && self.is_certain() && !self.is_on_behalf())
    }

    /// The process itself, not another that has its number by now.
    pub fn process(&self) -> Option<Process> {
        Some(Process { pid: self.pid?, started: self.facts.started.clone() })
    }

    /// Whether it is known to hold the device.
    pub fn is_certain(&self) -> bool {
        self.seen == Seen::Holds
    }

    /// Whether it is not a process, but a disk that is in use.
    pub fn is_mount(&self) -> bool {
        self.pid.is_none() && self.is_certain()
    }

    /// Whether it holds the device for others. Names are anybody's to take: that of a command, of a file, of a control group
    /// below one's own. So what counts is who alone can have made it so: a unit of the system's manager, root, process 1.
    pub fn is_on_behalf(&self) -> bool {
        match self.home() {
            Home::System(path) => {
                let mut parts = path.split('/').skip(1);
                let unit = (parts.next() == Some("system.slice")).then(|| parts.next()).flatten();
                match unit {
                    Some(unit) if ON_BEHALF.contains(&unit) => true,
                    // Another service of the system may call its program as it likes.
                    Some(unit) if unit.ends_with(".service") => false,
                    _ => !self.home().is_contained() && self.is_seat_manager(),
                }
            }
            // As a part of the session that it serves.
            Home::Session(_) => self.is_seat_manager(),
            // A user's manager keeps what its services have given it to keep. Nothing that it has started is a child of
            // process 1, not even what has lost its parent.
            Home::Manager { below, .. } => below == "init.scope" && self.facts.parent == Some(1),
            Home::Unknown => self.is_seat_manager(),
        }
    }

    /// Whether it is a seat manager that root runs outside of systemd's units.
    fn is_seat_manager(&self) -> bool {
        let program = self.executable.as_deref().and_then(|path| path.rsplit('/').next());
        let by_root = self.user.as_deref().is_some_and(|user| matches!(user, "0" | "root"));
        by_root && matches!(program, Some("elogind" | "elogind-daemon" | "seatd"))
    }

    /// Where it belongs.
    pub fn home(&self) -> Home {
        Home::of(self.facts.cgroup.as_deref())
    }

    /// Whether it has to be asked to end because it does not end with a session: all that a user's manager runs outside
    /// its `session.slice` (systemd.special(7)), where compositors are, and of that slice those that have sound open. The
    /// manager itself ends some time after the last session.
    pub fn outlives_sessions(&self) -> bool {
        let Home::Manager { below, .. } = self.home() else { return false };
        let in_session = below.starts_with("session.slice/") && !self.node.starts_with(SOUND);
        !below.is_empty() && !in_session && self.may_end().is_some()
    }

    /// Whether what it has open is for sound.
    pub fn has_sound(&self) -> bool {
        self.node.starts_with(SOUND)
    }

    /// Whether what it has open is for showing something: the node by which a display is set (DRM's primary node, a
    /// framebuffer, NVIDIA's of the same purpose). Those who only draw or compute have others.
    pub fn shows(&self) -> bool {
        ["/dev/dri/card", "/dev/fb", "/dev/nvidia-modeset"].iter().any(|node| self.node.starts_with(node))
    }

    /// A disk that is mounted, or in use in another way, at a place.
    pub fn mount(node: String, place: String) -> Holder {
        Holder { node, command: place, ..Holder::default() }
    }

    /// No process could be looked at.
    fn unanswered(why: String) -> Holder {
        Holder { node: "/proc".to_owned(), command: why, seen: Seen::Unanswered, ..Holder::default() }
    }

    /// Whether this is nobody in particular: nobody could be looked at.
    pub fn is_everybody(&self) -> bool {
        self.pid.is_none() && self.seen == Seen::Unanswered
    }

    /// Who it is, without what it holds: `aplay (pid 712, user ada, music.service)`.
    pub fn who(&self) -> String {
        let Some(pid) = self.pid else { return self.command.clone() };
        let more = self.user.iter().map(|user| format!(", user {user}"));
        let more = more.chain(self.unit.iter().map(|unit| format!(", {unit}")));
        format!("{} (pid {pid}{})", self.command, more.collect::<String>())
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.seen, self.pid) {
            (Seen::Holds, Some(_)) => write!(f, "{} has {} open", self.who(), self.node),
            (Seen::Holds, None) => write!(f, "{} is mounted or in use at {}", self.node, self.command),
            (Seen::Unanswered, Some(_)) => {
                write!(f, "{} has not let {} be read in time, so it may have the device mapped", self.who(), self.node)
            }
            (Seen::Unanswered, None) => {
                write!(f, "nobody knows who has the device open, for {} could not be read: {}", self.node, self.command)
            }
            (Seen::Unseen, _) => {
                let why = "somebody whom /proc does not show (a descriptor in a socket or of io_uring)";
                write!(f, "{} is open by {why}: {}", self.node, self.command)
            }
        }
    }
}

/// Where the nodes of sound are.
const SOUND: &str = "/dev/snd/";

/// What holds one of `functions`: mounts first, then processes. A process that cannot be looked at may be one.
pub fn find(root: &Root, functions: &[Address]) -> Vec<(Address, Holder)> {
    Looker::new(root).find(functions)
}

/// Whether somebody who was found still holds what was found, or may.
pub fn still_holds(root: &Root, holder: &Holder) -> bool {
    Looker::new(root).still_holds(holder)
}

/// Replaces users' ids by their names, where the system's own list has them. For programs that people read; at boot the id
/// is enough.
pub fn name_users(root: &Root, holders: &mut [(Address, Holder)]) {
    let users = accounts::users(root).unwrap_or_default();
    for (_, holder) in holders {
        let user = users.iter().find(|user| holder.user == Some(user.uid.to_string()));
        if let Some(user) = user {
            holder.user = Some(user.name.clone());
        }
    }
}

#[cfg(test)]
#[path = "who_tests.rs"]
mod tests;
