// SPDX-License-Identifier: LGPL-2.1-or-later
//! In a test tree no program of the system runs: the model in `vfio` answers for it, with what the program would print.
//!
//! Apart from the kernel's side of a rehearsal, for the programs of the boot path run no tools and stay small.

use crate::act::backend::child;
use crate::act::backend::simulated::Rehearsal;
use crate::act::backend::tools::{read_aside, Signal, Tools};
use crate::act::model::ModelKernel;
use crate::host::process::{self, Process};
use crate::root::Root;
use rustix::io::Errno;
use std::io::{self, Write};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

/// For the rest of an answer when the model has ended.
const AFTERWARDS: Duration = Duration::from_secs(5);

impl Rehearsal<'_> {
    /// Asks the model: its answer is what a program would print, or the errno and the text of its failure.
    fn ask_tools(&self, request: &[&str], deadline: Duration) -> io::Result<String> {
        let mut child = self.question(request).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().map(read_aside);
        let well = child::wait(child, deadline)?;
        let output = output.and_then(|reader| reader.recv_timeout(AFTERWARDS).ok()).unwrap_or_default();
        match well {
            true => Ok(output),
            false => Err(failure(&output)),
        }
    }
}

/// The error that the model wrote.
fn failure(answer: &str) -> io::Error {
    let (errno, text) = answer.split_once('\n').unwrap_or((answer, ""));
    match errno.trim().parse().map(Errno::from_raw_os_error) {
        Ok(Errno::TIMEDOUT) => io::ErrorKind::TimedOut.into(),
        Ok(errno) if text.is_empty() => errno.into(),
        Ok(_) => io::Error::other(text),
        Err(_) => io::Error::other("the model of the system's tools was killed"),
    }
}

/// The text of an error, which [`failure`] understands.
fn failed(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::TimedOut {
        return format!("{}\n", Errno::TIMEDOUT.raw_os_error());
    }
    match error.raw_os_error() {
        Some(errno) => format!("{errno}\n"),
        None => format!("{}\n{error}", Errno::IO.raw_os_error()),
    }
}

/// Whether a program only tells something. What changes something is shown to the user of a rehearsal.
fn only_tells(words: &[&str]) -> bool {
    match words {
        ["systemctl", "show" | "is-system-running", ..] => true,
        ["loginctl", "list-sessions" | "list-users", ..] | ["journalctl", ..] => true,
        ["loginctl", verb, ..] => verb.starts_with("show-"),
        ["virsh", "--connect", _, verb, ..] => matches!(*verb, "domstate" | "dumpxml" | "list"),
        _ => false,
    }
}

impl Tools for Rehearsal<'_> {
    fn run(&self, words: &[&str], deadline: Duration) -> io::Result<String> {
        let level = if only_tells(words) { log::Level::Debug } else { log::Level::Info };
        log::log!(level, "would run: {}", words.join(" "));
        let request: Vec<&str> = ["run"].iter().chain(words).copied().collect();
        self.ask_tools(&request, deadline).map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => {
                let program = words.first().copied().unwrap_or_default();
                let text = format!("{program} has not ended within {} s", deadline.as_secs());
                io::Error::new(io::ErrorKind::TimedOut, text)
            }
            _ => error,
        })
    }

    fn signal(&self, process: &Process, signal: Signal) -> io::Result<()> {
        if !process.is_there(self.root()) {
            return Ok(());
        }
        let pid = process.pid;
        let name = if signal == Signal::Kill { "KILL" } else { "TERM" };
        log::info!("would send SIG{name} to {pid}");
        self.ask_tools(&["signal", &pid.to_string(), name], crate::act::backend::simulated::DEADLINE).map(drop)
    }
}

/// Answers a request as the model: what a program prints and success; or failure, with the errno and, for a program
/// that ran and failed, its text.
pub(crate) fn answer(request: &[&str]) -> ExitCode {
    let result = Root::from_option(None).and_then(|root| {
        let model = ModelKernel::new(&root);
        match *request {
            _ if root.is_system() => Err(io::Error::from(io::ErrorKind::PermissionDenied)),
            ["run", ref words @ ..] => model.run(words, crate::act::backend::simulated::DEADLINE),
            ["signal", pid, "TERM"] => model.signal(&numbered(&root, pid)?, Signal::Term).map(|()| String::new()),
            ["signal", pid, "KILL"] => model.signal(&numbered(&root, pid)?, Signal::Kill).map(|()| String::new()),
            _ => Err(io::Error::from(io::ErrorKind::InvalidInput)),
        }
    });
    let (code, text) = match result {
        Ok(output) => (ExitCode::SUCCESS, output),
        Err(error) => (ExitCode::FAILURE, failed(&error)),
    };
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => code,
        Err(_) => ExitCode::FAILURE,
    }
}

fn numbered(root: &Root, text: &str) -> io::Result<Process> {
    let pid = text.parse().map_err(|_| io::ErrorKind::InvalidInput)?;
    Ok(Process { pid, started: process::started(root, pid) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_survives_the_way_between_two_processes() {
        let way = |error: io::Error| failure(&failed(&error));
        assert_eq!(way(io::ErrorKind::TimedOut.into()).kind(), io::ErrorKind::TimedOut);
        assert_eq!(way(Errno::NOENT.into()).raw_os_error(), Some(2));
        let text = "virsh: failed to get domain 'a\nb'";
        let error = way(io::Error::other(text));
        assert_eq!((error.raw_os_error(), error.to_string().as_str()), (None, text));
        assert!(failure("").to_string().contains("killed"), "no answer is a failure");
    }

    #[test]
    fn what_only_tells_is_not_shown_as_done() {
        assert!(only_tells(&["virsh", "--connect", "qemu:///system", "domstate", "--", "a"]));
        assert!(only_tells(&["loginctl", "list-sessions", "--no-legend"]));
        assert!(!only_tells(&["systemctl", "stop", "--", "a.service"]) && !only_tells(&["/bin/true"]));
    }
}
