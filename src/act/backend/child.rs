// SPDX-License-Identifier: LGPL-2.1-or-later
//! Children with a deadline: what can block for ever is done by them.
//!
//! An unbind may wait inside the kernel in a state that no signal ends. A child that hangs there is left behind; the
//! program itself goes on, reports it, and can still undo what it did elsewhere.

use crate::aside;
use rustix::process::{pidfd_open, Pid, PidfdFlags};
use std::io;
use std::os::fd::AsFd;
use std::process::Child;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What this program has spent waiting for others, in microseconds.
static WAITED: AtomicU64 = AtomicU64::new(0);

/// What this program has spent waiting for others: the kernel, systemd, libvirt, processes that hold a card.
pub fn waited() -> Duration {
    Duration::from_micros(WAITED.load(Ordering::Relaxed))
}

/// Counts a wait.
pub fn count_wait(since: Instant) {
    WAITED.fetch_add(micros(since.elapsed()), Ordering::Relaxed);
}

/// Does one thing in a thread of its own while another is done here. What they wait for counts once: as long as the
/// slower of them.
pub fn both<A: Send, B>(aside: impl FnOnce() -> A + Send, here: impl FnOnce() -> B) -> (A, B) {
    let (before, begin) = (waited(), Instant::now());
    let done = std::thread::scope(|scope| {
        let aside = scope.spawn(aside);
        let here = here();
        (aside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), here)
    });
    WAITED.store(micros(before), Ordering::Relaxed);
    count_wait(begin);
    done
}

fn micros(time: Duration) -> u64 {
    time.as_secs() * 1_000_000 + u64::from(time.subsec_micros())
}

/// Waits for a child, but not longer than this; whether it ended well. `None` if it has not ended: it was killed then, and
/// may be left behind.
pub(crate) fn wait(child: Child, deadline: Duration) -> io::Result<Option<bool>> {
    let begin = Instant::now();
    let ended = wait_uncounted(child, deadline);
    count_wait(begin);
    ended
}

fn wait_uncounted(mut child: Child, deadline: Duration) -> io::Result<Option<bool>> {
    if let Ok(pid) = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()) {
        let ended = aside::ready(&pid, deadline);
        if !matches!(ended, Ok(true)) {
            // It may not even take this signal. It is ours to leave behind; systemd keeps it in our cgroup.
            let _ = child.kill();
            return ended.map(|_| None);
        }
    }
    Ok(Some(child.wait()?.success()))
}

/// Waits for something to read, but not longer than this; whether there is anything.
pub(crate) fn wait_for(source: &impl AsFd, deadline: Duration) -> io::Result<bool> {
    let begin = Instant::now();
    let came = aside::ready(source, deadline);
    count_wait(begin);
    came
}
