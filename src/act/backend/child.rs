// SPDX-License-Identifier: LGPL-2.1-or-later
//! Children with a deadline: what can block for ever is done by them.
//!
//! An unbind may wait inside the kernel in a state that no signal ends. A child that hangs there is left behind; the
//! program itself goes on, reports it, and can still undo what it did elsewhere.

use crate::aside;
pub(crate) use crate::aside::is_called;
use rustix::io::Errno;
use rustix::process::{pidfd_open, Pid, PidfdFlags};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Runs a child that ends with [`answer`]: its error is ours. `TimedOut` if it has not ended within the deadline.
pub(crate) fn ask(command: &mut Command, deadline: Duration) -> io::Result<()> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let answer = child.stdout.take();
    if wait(child, deadline)? {
        return Ok(());
    }
    answer.map_or(Ok(Errno::IO.raw_os_error()), |mut pipe| heard(&mut pipe)).and_then(as_result)
}

/// What a child says: an errno in the machine's own bytes, 0 for none. An exit status could not hold all of the kernel's.
pub(crate) fn heard(pipe: &mut ChildStdout) -> io::Result<i32> {
    let mut errno = [0; size_of::<i32>()];
    // It comes as a whole, or not at all.
    if pipe.read(&mut errno)? != errno.len() {
        return Err(io::Error::other("the child that writes was killed"));
    }
    Ok(i32::from_ne_bytes(errno))
}

/// What an errno means.
pub(crate) fn as_result(errno: i32) -> io::Result<()> {
    match errno {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

/// Says that to whoever started us.
pub(crate) fn say(result: &io::Result<()>) -> io::Result<()> {
    let errno = match result {
        Ok(()) => 0,
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Errno::TIMEDOUT.raw_os_error(),
        Err(error) => error.raw_os_error().unwrap_or(Errno::IO.raw_os_error()),
    };
    rustix::io::write(rustix::stdio::stdout(), &errno.to_ne_bytes())?;
    Ok(())
}

/// Ends a child that was asked one thing.
pub(crate) fn answer(result: io::Result<()>) -> ExitCode {
    match (say(&result), result) {
        (Ok(()), Ok(())) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// What this program has spent waiting for others, in microseconds.
static WAITED: AtomicU64 = AtomicU64::new(0);

/// What this program has spent waiting for others: the kernel, systemd, libvirt, whoever holds a card.
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

/// Waits for a child, but not longer than this; whether it ended well.
pub(crate) fn wait(child: Child, deadline: Duration) -> io::Result<bool> {
    let begin = Instant::now();
    let ended = wait_uncounted(child, deadline);
    count_wait(begin);
    ended
}

fn wait_uncounted(mut child: Child, deadline: Duration) -> io::Result<bool> {
    if let Ok(pid) = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()) {
        if let Err(error) = ready(&pid, deadline) {
            // It may not even take this signal. It is ours to leave behind; systemd keeps it in our cgroup.
            let _ = child.kill();
            return Err(error);
        }
    }
    Ok(child.wait()?.success())
}

/// Waits for something to read, but not longer than this: `TimedOut`.
pub(crate) fn wait_for(source: &impl AsFd, deadline: Duration) -> io::Result<()> {
    let begin = Instant::now();
    let came = ready(source, deadline);
    count_wait(begin);
    came
}

fn ready(source: &impl AsFd, deadline: Duration) -> io::Result<()> {
    if aside::ready(source, deadline)? {
        Ok(())
    } else {
        Err(aside::no_answer(deadline))
    }
}
