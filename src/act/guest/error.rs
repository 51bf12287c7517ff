// SPDX-License-Identifier: LGPL-2.1-or-later
//! Why a step of a hand-over did not come about, or was not undone.

use crate::act::backend::kernel::KernelError;
use crate::act::backend::tools::ToolError;
use crate::act::card::power::PowerError;
use crate::act::lock::LockError;
use crate::text::line;
use std::io;
use std::process::ExitStatus;

/// What kept a step from being made or undone.
#[derive(Debug, thiserror::Error)]
pub enum GuestError {
    /// A process holds the card, so that what was to be done with it was refused; it may be tried again.
    #[error("{0}")]
    Held(String),
    /// The card could not be bound, or not be given back; what was found.
    #[error("{0}")]
    Card(String),
    /// Another guest has the card since the plan was made.
    #[error("it belongs to [guest {owner}] now")]
    Claimed {
        /// That guest.
        owner: String,
    },
    /// The card's section is gone since the plan was made.
    #[error("it is not in the configuration any more")]
    NotConfigured,
    /// The time for the start was over before.
    #[error("not begun within {seconds} s (start-timeout)")]
    NotBegun {
        /// The time, in seconds.
        seconds: u64,
    },
    /// The user of the guest is gone since the plan was made.
    #[error("there is no user '{user}' any more")]
    NoUser {
        /// The user's name.
        user: String,
    },
    /// Not all huge pages came.
    #[error("{count} of {size} MiB are needed and {free} came; end programs that use memory, or boot with 'hugepagesz={size}M hugepages={count}'")]
    HugePages {
        /// How many are needed.
        count: u64,
        /// The size of a page, in MiB.
        size: u64,
        /// How many are free.
        free: u64,
    },
    /// A directory or a socket of a user cannot be shared, or not be taken back.
    #[error("{path}: {error}")]
    NotShared {
        /// Its path.
        path: String,
        /// What the kernel said, or what is there.
        error: io::Error,
    },
    /// A node cannot be given to anybody else.
    #[error("/{node}: {error}")]
    Node {
        /// The node.
        node: String,
        /// What the kernel said.
        error: io::Error,
    },
    /// A unit was started again and has ended again.
    #[error("it was started again and does not stay up{}", last_said(.said, .unit))]
    NotUp {
        /// The unit.
        unit: String,
        /// The last line that it wrote itself.
        said: String,
    },
    /// systemd has not started the guest's unit in time.
    #[error("systemd has not started {unit} within {seconds} s")]
    NoProcess {
        /// The unit.
        unit: String,
        /// The time, in seconds.
        seconds: u64,
    },
    /// The guest's program has ended before it was up.
    #[error("{program} has ended at once{}", ended_how(*.end, .unit.as_deref()))]
    EndedAtOnce {
        /// The program.
        program: String,
        /// How.
        end: ExitStatus,
        /// The unit in which it ran, if it had one.
        unit: Option<String>,
    },
    /// The guest's program has ended and left the card to another.
    #[error("{program} has left the card to another process: it must stay in the foreground (without -daemonize)")]
    LeftTheCard {
        /// The program.
        program: String,
    },
    /// The guest's process cannot be ended.
    #[error("{what} does not end")]
    DoesNotEnd {
        /// The process.
        what: String,
    },
    /// Another program of ours is at work.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The kernel.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The kernel, of a power attribute.
    #[error(transparent)]
    Power(#[from] PowerError),
    /// A program of the system.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// A file of ours, or a process.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What a unit said last, and where there is more.
fn last_said(said: &str, unit: &str) -> String {
    let more = format!("'journalctl -u {unit}' shows its messages");
    if said.is_empty() {
        format!("; {more}")
    } else {
        format!(": \"{}\"; {more}", line(said))
    }
}

/// How a program ended, and where it says why.
fn ended_how(end: ExitStatus, unit: Option<&str>) -> String {
    match unit {
        // systemd-run says that of one that a signal has ended, or that systemd could not start.
        Some(unit) if end.code() == Some(255) => format!("; 'journalctl -u {unit}' shows why"),
        Some(unit) => format!(" ({end}); 'journalctl -u {unit}' shows its messages"),
        None => format!(" ({end}); its messages are above"),
    }
}
