// SPDX-License-Identifier: LGPL-2.1-or-later
//! Which process is meant: its number alone may be another's by now.

use crate::root::Root;

/// A process: its number, and when it was started. Together they name one for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// When it was started, in the kernel's ticks; `None` where nobody knows, as in a test tree.
    pub started: Option<String>,
}

impl Process {
    /// The process that has this number now; `None` if there is none.
    pub fn now(root: &Root, pid: u32) -> Option<Process> {
        let process = Process { pid, started: started(root, pid) };
        (process.started.is_some() || !root.is_system() && root.exists(&format!("proc/{pid}"))).then_some(process)
    }

    /// Whether it is still there, and no other that has its number.
    pub fn is_there(&self, root: &Root) -> bool {
        Process::now(root, self.pid).is_some_and(|now| now == *self)
    }
}

/// When a process was started, in the kernel's ticks (proc_pid_stat(5)).
pub fn started(root: &Root, pid: u32) -> Option<String> {
    field(root, pid, 19)
}

/// When this boot began, in seconds since 1970 (`/proc/stat`, proc_stat(5)).
pub fn booted(root: &Root) -> Option<i64> {
    let text = root.read_text("proc/stat").ok()?;
    text.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok())
}

/// A field of `/proc/PID/stat`, counted from the one after the command, which may contain anything: state, parent, ...
fn field(root: &Root, pid: u32, number: usize) -> Option<String> {
    let stat = root.read_text(&format!("proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(number).map(str::to_owned)
}

/// Whether a process is stopped, so that it does nothing more until somebody lets it go on.
pub fn is_stopped(root: &Root, pid: u32) -> bool {
    field(root, pid, 0).is_some_and(|state| state == "T")
}

/// A process's parent.
pub fn parent(root: &Root, pid: u32) -> Option<u32> {
    field(root, pid, 1)?.parse().ok()
}

/// The names of all programs that run, as the kernel shows them: at most 15 bytes each.
pub fn commands(root: &Root) -> Vec<String> {
    let numbers = root.list("proc").unwrap_or_default();
    let numbers = numbers.iter().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    numbers.filter_map(|number| root.read_text(&format!("proc/{number}/comm")).ok()).collect()
}
