// SPDX-License-Identifier: LGPL-2.1-or-later
//! A process that need not be ours: held on to, and waited for.

use crate::aside;
use crate::host::process::Process;
use crate::root::Root;
use rustix::io::Errno;
use rustix::process::{pidfd_open, Pid, PidfdFlags};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// A process of the running system, held on to: from now on nobody else is meant. `None` if it has ended.
pub(crate) fn open_process(process: &Process) -> io::Result<Option<OwnedFd>> {
    let pid = i32::try_from(process.pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
    match pidfd_open(pid, PidfdFlags::empty()) {
        // What was opened may be another already; it is not when it has begun at the same time.
        Ok(open) => Ok(process.is_there(&Root::open(Path::new("/"))?).then_some(open)),
        Err(Errno::SRCH) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Waits for the end of a process that need not be ours, so long at most if there is a limit; whether it has ended.
pub fn wait_for_process(root: &Root, process: &Process, limit: Option<Duration>) -> bool {
    if !root.is_system() {
        return wait_in_tree(root, process, limit);
    }
    let fd = match open_process(process) {
        Ok(Some(fd)) => fd,
        // It has ended already.
        Ok(None) => return true,
        Err(error) => return wait_otherwise(root, process, limit, &error),
    };
    let until = limit.map(|limit| Instant::now() + limit);
    loop {
        let left = until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
        match aside::ready(&fd, left) {
            Ok(ended) => return ended,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return wait_otherwise(root, process, limit, &error),
        }
    }
}

fn wait_otherwise(root: &Root, process: &Process, limit: Option<Duration>, error: &io::Error) -> bool {
    log::warn!("cannot wait for process {}: {error}", process.pid);
    wait_in_tree(root, process, limit)
}

/// The same where there is nothing to wait on but the directory in /proc.
fn wait_in_tree(root: &Root, process: &Process, limit: Option<Duration>) -> bool {
    let until = limit.map(|limit| Instant::now() + limit);
    while process.is_there(root) {
        if until.is_some_and(|until| Instant::now() >= until) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::host::process;

    #[test]
    fn the_end_of_a_process_is_waited_for_with_a_limit_and_without() {
        let root = Root::open(Path::new("/")).unwrap();
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process { pid: child.id(), started: process::started(&root, child.id()) };
        assert!(!wait_for_process(&root, &process, Some(Duration::from_millis(20))));
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| wait_for_process(&root, &process, None));
            child.kill().unwrap();
            assert!(waits.join().unwrap());
        });
        child.wait().unwrap();
        assert!(wait_for_process(&root, &process, None), "it has ended already");
    }
}
