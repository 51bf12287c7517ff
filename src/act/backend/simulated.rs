// SPDX-License-Identifier: LGPL-2.1-or-later
//! In a test tree the simulator answers, for the kernel and for the system's programs: `vfio-sim` (`sim/`), which is built
//! beside our programs and not installed.
//!
//! A request is its arguments. It answers on standard output: with what a program would print, or, when it fails, with the
//! errno on a line of its own and the text of a program's error.

use crate::act::backend::child;
use crate::act::backend::kernel::Kernel;
use crate::act::backend::tools::{late, only_tells, read_aside, whole, Signal, Tools};
use crate::host::process::Process;
use crate::root::{Root, ROOT_VARIABLE};
use rustix::io::Errno;
use std::io::{self, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The simulator answers at once, unless the machine is very busy.
const DEADLINE: Duration = Duration::from_secs(60);
/// For the rest of an answer when the simulator has ended.
const AFTERWARDS: Duration = Duration::from_secs(5);
/// The most of a failure that is read, in bytes.
const FAILURE: u64 = 4096;

/// The kernel and the programs of a test tree.
#[derive(Debug)]
pub struct Simulated<'a> {
    root: &'a Root,
}

impl<'a> Simulated<'a> {
    /// The machine of a test tree.
    pub fn new(root: &'a Root) -> Self {
        Simulated { root }
    }

    fn start(&self, request: &[&str]) -> io::Result<Child> {
        let Some(program) = program() else {
            let text =
                "vfio-sim, which answers for the kernel in a test tree, is not there: it is built from the source \
                        ('cargo build') and not installed";
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        };
        let mut command = Command::new(program);
        command.args(request).env(ROOT_VARIABLE, self.root.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()
    }

    /// Asks the kernel, which says nothing but an errno.
    fn ask_kernel(&self, request: &[&str]) -> io::Result<()> {
        let mut child = self.start(request)?;
        let output = child.stdout.take();
        match child::wait(child, DEADLINE) {
            Ok(true) => Ok(()),
            Ok(false) => {
                let mut text = String::new();
                output.map(|pipe| pipe.take(FAILURE).read_to_string(&mut text)).transpose()?;
                Err(match read_failure(&text) {
                    error if error.kind() == io::ErrorKind::TimedOut => no_answer(),
                    error => error,
                })
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(no_answer()),
            Err(error) => Err(error),
        }
    }

    /// Asks a program: what it would print, if that comes, or the error of its failure.
    fn ask_program(&self, request: &[&str], deadline: Duration) -> io::Result<Option<String>> {
        let mut child = self.start(request)?;
        let output = child.stdout.take().map(read_aside);
        let well = child::wait(child, deadline)?;
        let output = output.and_then(|reader| reader.recv_timeout(AFTERWARDS).ok());
        if well {
            Ok(output)
        } else {
            Err(read_failure(&output.unwrap_or_default()))
        }
    }
}

fn no_answer() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the kernel has not answered in time")
}

/// The simulator: beside this program, or above it where this is a test.
fn program() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    program.ancestors().skip(1).take(2).map(|directory| directory.join("vfio-sim")).find(|path| path.is_file())
}

impl Kernel for Simulated<'_> {
    fn write(&self, attribute: &str, value: &str) -> io::Result<()> {
        self.ask_kernel(&["write", attribute, value])
    }

    fn modprobe(&self, module: &str) -> io::Result<()> {
        log::info!("would run: modprobe {module}");
        self.ask_kernel(&["modprobe", module])
    }
}

impl Tools for Simulated<'_> {
    fn run(&self, words: &[&str], deadline: Duration) -> io::Result<String> {
        let level = if only_tells(words) { log::Level::Debug } else { log::Level::Info };
        log::log!(level, "would run: {}", words.join(" "));
        let request: Vec<&str> = ["run"].iter().chain(words).copied().collect();
        whole(words, self.ask_program(&request, deadline).map_err(|error| late(words, deadline, error))?)
    }

    fn signal(&self, process: &Process, signal: Signal) -> io::Result<()> {
        if !process.is_there(self.root) {
            return Ok(());
        }
        let pid = process.pid;
        let name = if signal == Signal::Kill { "KILL" } else { "TERM" };
        log::info!("would send SIG{name} to {pid}");
        self.ask_program(&["signal", &pid.to_string(), name], DEADLINE).map(drop)
    }
}

/// The text of a failure.
pub fn show_failure(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::TimedOut {
        return format!("{}\n", Errno::TIMEDOUT.raw_os_error());
    }
    match error.raw_os_error() {
        Some(errno) => format!("{errno}\n"),
        None => format!("{}\n{error}", Errno::IO.raw_os_error()),
    }
}

/// The failure that [`show_failure`] wrote.
fn read_failure(answer: &str) -> io::Error {
    let (errno, text) = answer.split_once('\n').unwrap_or((answer, ""));
    match errno.trim().parse().map(Errno::from_raw_os_error) {
        Ok(Errno::TIMEDOUT) => io::ErrorKind::TimedOut.into(),
        Ok(errno) if text.is_empty() => errno.into(),
        Ok(_) => io::Error::other(text),
        Err(_) => io::Error::other("the simulator was killed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_survives_the_way_between_two_processes() {
        let way = |error: io::Error| read_failure(&show_failure(&error));
        assert_eq!(way(io::ErrorKind::TimedOut.into()).kind(), io::ErrorKind::TimedOut);
        assert_eq!(way(Errno::NOENT.into()).raw_os_error(), Some(2));
        let text = "virsh: failed to get domain 'a\nb'";
        let error = way(io::Error::other(text));
        assert_eq!((error.raw_os_error(), error.to_string().as_str()), (None, text));
        assert!(read_failure("").to_string().contains("killed"), "no answer is a failure");
    }
}
