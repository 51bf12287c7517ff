// SPDX-License-Identifier: LGPL-2.1-or-later
//! Processes: directories in `/proc`. One that has ended is kept, for when the like of it is started again.

use crate::domains;
use crate::tree::Tree;
use std::io;
use vfio_suite::act::backend::tools::Signal;

const PARKED: &str = ".kernel/parked-processes";

/// Ends a process, if it is there.
pub(crate) fn park(tree: &Tree<'_>, pid: &str) -> io::Result<()> {
    let directory = format!("proc/{pid}");
    if !is_pid(pid) || !tree.root.exists(&directory) {
        return Ok(());
    }
    tree.mkdir(PARKED)?;
    tree.rename(&directory, &format!("{PARKED}/{pid}"))
}

/// Starts a process that has ended, as it was.
pub(crate) fn unpark(tree: &Tree<'_>, pid: &str) -> io::Result<()> {
    let kept = format!("{PARKED}/{pid}");
    if !is_pid(pid) || !tree.root.exists(&kept) {
        return Ok(());
    }
    tree.rename(&kept, &format!("proc/{pid}"))?;
    tree.rmdir(PARKED)
}

/// The display that a process would need and that is not there: it has ended with a node of DRM open which no driver
/// makes any more.
pub(crate) fn missing_display(tree: &Tree<'_>, pid: &str) -> Option<String> {
    let open = format!("{PARKED}/{pid}/fd");
    let targets = tree.list(&open).into_iter().filter_map(|fd| tree.root.read_link(&format!("{open}/{fd}")).ok());
    let mut nodes = targets.filter_map(|target| Some(target.to_str()?.strip_prefix("/dev/dri/")?.to_owned()));
    nodes.find(|node| !tree.root.exists(&format!("sys/class/drm/{node}")))
}

/// `kill(2)`: the signal ends the process, unless it is one that disregards SIGTERM. Nobody there is no error.
pub(crate) fn signal(tree: &Tree<'_>, pid: u32, signal: Signal) -> io::Result<()> {
    let pid = pid.to_string();
    let stubborn = tree.facts("stubborn")?.iter().any(|words| words[0] == pid);
    if signal == Signal::Term && stubborn {
        return Ok(());
    }
    match domains::of_process(tree, &pid)? {
        Some(domain) => domains::end(tree, &domain),
        None => park(tree, &pid),
    }
}

fn is_pid(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}
