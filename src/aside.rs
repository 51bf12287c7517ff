// SPDX-License-Identifier: LGPL-2.1-or-later
//! Reading that may block for ever: a child of ours does it, with a deadline.
//!
//! `/proc/PID/maps` waits for a lock of that process, a file for the server of its file system, a disk for its controller:
//! some of that in a state that no signal ends. A child that hangs there is left behind. It is this program, started again
//! under another name, which no argument can bring about; [`serve`] is the first that a program calls if it may have one.

use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::fd::AsFd;
use rustix::process::{pidfd_open, Pid, PidfdFlags, Signal};
use std::io::{self, BufRead, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a child that was killed is waited for. It has nothing that anybody waits for, such as a lock.
const KILLED: Duration = Duration::from_millis(500);

/// Whether this program has been through [`serve`]: one that has not would not be a child that answers.
static CAN_SERVE: AtomicBool = AtomicBool::new(false);

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The kernel has kept the child from answering.
    #[error("the kernel has not answered within {} s", deadline.as_secs())]
    NoAnswer {
        /// How long it was waited for.
        deadline: Duration,
    },
    /// The child has ended without an answer.
    #[error("the child that reads was killed")]
    Killed,
    /// The child cannot be talked to.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Whether this program was started under a name: the starting program says it, apart from the arguments (`execve(2)`). Started
/// by its path it never is one of ours, for those have no slash and are no program's.
pub fn is_called(name: &str) -> bool {
    std::env::args_os().next().is_some_and(|first| first == name)
}

/// If the program was started as the child of this name: answers questions, a line each, for as long as somebody asks, and
/// gives its exit code.
pub fn serve(name: &str, answer: impl Fn(&str) -> String) -> Option<ExitCode> {
    if !is_called(name) || std::env::args_os().len() != 1 {
        CAN_SERVE.store(true, Ordering::Relaxed);
        return None;
    }
    // Nobody needs it any longer than who has started it, not even while it hangs.
    if rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).is_err() {
        return Some(ExitCode::FAILURE);
    }
    let mut output = io::stdout();
    for question in io::stdin().lock().lines() {
        let Ok(question) = question else { break };
        if writeln!(output, "{}", answer(&question)).and_then(|()| output.flush()).is_err() {
            break;
        }
    }
    Some(ExitCode::SUCCESS)
}

/// A child that is asked.
#[derive(Debug)]
pub struct Aside {
    child: Child,
    to: ChildStdin,
    from: ChildStdout,
}

impl Aside {
    /// Starts the child of this name; `None` if this program has none, as a test that is not a program of ours.
    pub fn start(name: &str) -> io::Result<Option<Aside>> {
        if !CAN_SERVE.load(Ordering::Relaxed) {
            return Ok(None);
        }
        Aside::of(Command::new("/proc/self/exe").arg0(name)).map(Some)
    }

    fn of(command: &mut Command) -> io::Result<Aside> {
        // It has nothing to say on standard error; left behind, it would keep open what our caller reads to its end.
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(to), Some(from)) => Ok(Aside { child, to, from }),
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// The answer to a question, which is one line. After an error nothing more is to be asked.
    pub fn ask(&mut self, question: &str, deadline: Duration) -> Result<String, AskError> {
        let until = Instant::now() + deadline;
        self.to.write_all(&[question.as_bytes(), b"\n"].concat())?;
        let mut answer = Vec::new();
        let mut buffer = [0; 1 << 14];
        while answer.last() != Some(&b'\n') {
            if !ready(&self.from, until.saturating_duration_since(Instant::now()))? {
                return Err(AskError::NoAnswer { deadline });
            }
            match self.from.read(&mut buffer)? {
                0 => return Err(AskError::Killed),
                length => answer.extend_from_slice(&buffer[..length]),
            }
        }
        String::from_utf8(answer).map_err(|_| AskError::Io(io::ErrorKind::InvalidData.into()))
    }
}

impl Drop for Aside {
    /// It only reads, so it need not come to an end by itself. One that not even this ends is left behind.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let ended = pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty())
            .is_ok_and(|pid| ready(&pid, KILLED).unwrap_or(false));
        if ended {
            let _ = self.child.wait();
        }
    }
}

/// Waits for something to read, but not longer than this; whether there is anything.
pub fn ready(source: &impl AsFd, limit: Duration) -> io::Result<bool> {
    let limit =
        Timespec { tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX), tv_nsec: limit.subsec_nanos().into() };
    Ok(poll(&mut [PollFd::new(source, PollFlags::IN)], Some(&limit))? > 0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn child(script: &str) -> Aside {
        Aside::of(Command::new("/bin/sh").args(["-c", script])).unwrap()
    }

    #[test]
    fn one_child_answers_again_and_again() {
        let mut aside = child("while read -r line; do echo \"<$line>\"; done");
        for question in ["one", "", &"two".repeat(20_000)] {
            assert_eq!(aside.ask(question, LONG).unwrap(), format!("<{question}>\n"));
        }
    }

    #[test]
    fn a_child_that_hangs_is_left_behind() {
        let mut aside = child("read -r line; echo yes; read -r line; printf n; exec sleep 300");
        assert_eq!(aside.ask("one", LONG).unwrap(), "yes\n");
        let begin = Instant::now();
        let error = aside.ask("two", Duration::from_secs(1)).unwrap_err();
        assert!(matches!(error, AskError::NoAnswer { .. }), "{error}");
        drop(aside);
        assert!(begin.elapsed() < LONG / 2);
    }

    #[test]
    fn a_child_that_is_gone_is_an_error_and_no_answer() {
        let mut aside = child("read -r line; printf half; kill -9 $$");
        assert!(matches!(aside.ask("one", LONG).unwrap_err(), AskError::Killed));
    }

    /// What is not a program of ours would run its tests again.
    #[test]
    fn who_cannot_serve_is_not_started() {
        assert!(Aside::start("vfio-test-of-nothing").unwrap().is_none());
    }
}
