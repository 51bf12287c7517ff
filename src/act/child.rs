// SPDX-License-Identifier: LGPL-2.1-or-later
//! Children with a deadline: what can block for ever is done by them.
//!
//! An unbind may wait inside the kernel in a state that no signal ends. A child that hangs there is left behind; the
//! program itself goes on, reports it, and can still undo what it did elsewhere.

use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::{pidfd_open, Pid, PidfdFlags};
use std::io::{self, Read};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Runs a child that ends with [`answer`]: its error is ours. `TimedOut` if it has not ended within the deadline.
pub(super) fn ask(command: &mut Command, deadline: Duration) -> io::Result<()> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let answer = child.stdout.take();
    if wait(child, deadline)? {
        return Ok(());
    }
    let mut text = String::new();
    if let Some(mut pipe) = answer {
        pipe.read_to_string(&mut text)?;
    }
    Err(match text.trim().parse() {
        Ok(errno) => io::Error::from_raw_os_error(errno),
        Err(_) => io::Error::other("the child that writes was killed"),
    })
}

/// Ends a child: nothing, or the errno on standard output. An exit status could not hold all of the kernel's.
pub(super) fn answer(result: io::Result<()>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    let timed_out = error.kind() == io::ErrorKind::TimedOut;
    let other = if timed_out { Errno::TIMEDOUT } else { Errno::IO };
    println!("{}", error.raw_os_error().unwrap_or(other.raw_os_error()));
    ExitCode::FAILURE
}

/// What this program has spent waiting for others, in microseconds.
static WAITED: AtomicU64 = AtomicU64::new(0);

/// What this program has spent waiting for others: the kernel, systemd, libvirt, whoever holds a card.
pub fn waited() -> Duration {
    Duration::from_micros(WAITED.load(Ordering::Relaxed))
}

/// Counts a wait.
pub fn count_wait(since: Instant) {
    let waited = since.elapsed();
    WAITED.fetch_add(waited.as_secs() * 1_000_000 + u64::from(waited.subsec_micros()), Ordering::Relaxed);
}

/// Waits for a child, but not longer than this; whether it ended well.
pub(super) fn wait(child: Child, deadline: Duration) -> io::Result<bool> {
    let begin = Instant::now();
    let ended = wait_uncounted(child, deadline);
    count_wait(begin);
    ended
}

fn wait_uncounted(mut child: Child, deadline: Duration) -> io::Result<bool> {
    if let Ok(pid) = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()) {
        let mut fds = [PollFd::new(&pid, PollFlags::IN)];
        let timeout = Timespec { tv_sec: i64::try_from(deadline.as_secs()).unwrap_or(i64::MAX), tv_nsec: 0 };
        if poll(&mut fds, Some(&timeout))? == 0 {
            // It may not even take this signal. It is ours to leave behind; systemd keeps it in our cgroup.
            let _ = child.kill();
            let text = format!("the kernel has not answered within {} s", deadline.as_secs());
            return Err(io::Error::new(io::ErrorKind::TimedOut, text));
        }
    }
    Ok(child.wait()?.success())
}
