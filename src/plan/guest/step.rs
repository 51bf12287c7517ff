// SPDX-License-Identifier: LGPL-2.1-or-later
//! The steps of a hand-over.

use super::taken::ROOT;
use crate::host::cpu_list::show_list;
use crate::host::holders::Holder;
use crate::pci::Address;
use crate::plan::amount::amount;
use crate::text::shell_command;
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
    /// Check that a process that no step ends has released the card since the plan was made: a command of the user's was to
    /// end it.
    Gone {
        /// The process, and what it held.
        holder: Holder,
    },
    /// Have so many huge pages free for the guest: those that are missing are made, and are gone again when the guest is.
    HugePages {
        /// The size of a page, in bytes.
        size: u64,
        /// How many must be free.
        count: u64,
        /// The NUMA nodes on which they may be, the best first; none where the kernel knows no NUMA.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        nodes: Vec<u32>,
        /// Whether what does not come is asked for once more by a later step.
        #[serde(default)]
        later: bool,
    },
    /// Let the user that QEMU runs as reach the socket of a sound server in another user's directory.
    ShareSound {
        /// Whose directory it is.
        owner: u32,
        /// The directories on the way, the outermost first, and the socket.
        paths: Vec<String>,
        /// The user that QEMU runs as.
        user: String,
        /// The number of that user.
        uid: u32,
    },
    /// Make the file by which the guest shares memory with programs of the host.
    ShareMemory {
        /// Its name in `/dev/shm`.
        name: String,
        /// Its size in bytes.
        size: u64,
        /// The user that QEMU runs as.
        uid: u32,
        /// The group whose members may use it too.
        gid: u32,
    },
    /// Have CPUs run at full speed.
    SpeedUp {
        /// Their numbers.
        cpus: Vec<u32>,
    },
    /// Keep the host's own programs on these CPUs.
    Confine {
        /// Their numbers.
        cpus: Vec<u32>,
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
        /// The process, and what it holds.
        holder: Holder,
    },
    /// Tell programs that watch for devices that the card's display and sound are removed, so that they release them.
    Announce {
        /// The card's functions.
        functions: Vec<Address>,
    },
    /// Wait until no process holds the card.
    LetGo {
        /// The card's functions.
        functions: Vec<Address>,
        /// Ask processes that still hold it to end (SIGTERM).
        end: bool,
        /// Kill those that do not.
        kill: bool,
    },
    /// Let no driver but vfio's have the card from now on.
    Reserve {
        /// The `[gpu]` section's name.
        gpu: String,
    },
    /// Unbind the text console from a framebuffer.
    Console {
        /// `vtcon1`.
        console: String,
    },
    /// Unload a module that would not release its devices otherwise.
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
    /// Give the BARs of a card that is already bound to vfio the sizes that this guest requires.
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
        /// The user that runs it.
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
            GuestStep::After { command } => write!(f, "remember to run '{}' afterwards", shell_command(command)),
            GuestStep::Before { command } => write!(f, "run '{}'", shell_command(command)),
            GuestStep::Gone { holder } => write!(f, "check that {} has released the card", holder.who()),
            GuestStep::HugePages { size, count, later, .. } => {
                let as_far = if *later { ", as far as they come now" } else { "" };
                write!(f, "have {count} huge pages of {} free{as_far}", amount(*size))
            }
            GuestStep::ShareSound { paths, user, .. } => {
                write!(f, "let {user} connect to {}", paths.last().map_or("nothing", String::as_str))
            }
            GuestStep::ShareMemory { name, size, .. } => {
                write!(f, "make the shared memory /dev/shm/{name} of {}", amount(*size))
            }
            GuestStep::SpeedUp { cpus } => write!(f, "run CPUs {} at full speed", show_list(cpus)),
            GuestStep::Confine { cpus } => write!(f, "keep the host's programs on CPUs {}", show_list(cpus)),
            GuestStep::StopUnit { unit, ends } if ends.is_empty() => write!(f, "stop {unit}"),
            GuestStep::StopUnit { unit, ends } => write!(f, "stop {unit}, which ends {}", ends.join(", ")),
            GuestStep::EndSession { session, user, seat } => {
                write!(f, "end {}", show_session(session, user, seat))
            }
            GuestStep::AskToEnd { holder } => write!(f, "ask {} to end", holder.who()),
            GuestStep::Announce { functions } => write!(f, "announce the removal of {}", list(functions)),
            GuestStep::LetGo { functions, .. } => write!(f, "wait until nobody holds {}", list(functions)),
            GuestStep::Reserve { gpu } => write!(f, "keep other drivers from [gpu {gpu}]"),
            GuestStep::Console { console } => write!(f, "unbind the text console {console}"),
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

/// The user that runs what a journal of a version before users has.
fn by_root() -> String {
    ROOT.to_owned()
}

/// A session in a sentence.
pub(super) fn show_session(id: &str, user: &str, seat: &str) -> String {
    match seat {
        "" => format!("session {id} of {user}"),
        seat => format!("session {id} of {user} on {seat}"),
    }
}
