// SPDX-License-Identifier: LGPL-2.1-or-later
//! In a test tree the simulator answers, for the kernel and for the system's programs: `vfio-sim` (`sim/`), which is built
//! beside our programs and not installed.
//!
//! A request is its arguments. It answers on standard output: with what a program would print, or, when it fails, with the
//! errno on a line of its own and the text of a program's error.

use crate::act::backend::child;
use crate::act::backend::kernel::{Kernel, KernelError};
use crate::act::backend::tools::{
    failed, not_ended, only_tells, read_aside, whole, Ran, Signal, ToolError, Tools, KEPT,
};
use crate::host::process::Process;
use crate::root::{Root, ROOT_VARIABLE};
use crate::text::shell_command;
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
    fn ask_kernel(&self, request: &[&str]) -> Result<(), KernelError> {
        let mut child = self.start(request)?;
        let output = child.stdout.take();
        match child::wait(child, DEADLINE)? {
            Some(true) => Ok(()),
            Some(false) => {
                let mut text = String::new();
                output.map(|pipe| pipe.take(FAILURE).read_to_string(&mut text)).transpose()?;
                Err(refusal(&text))
            }
            None => Err(KernelError::NoAnswer { deadline: DEADLINE }),
        }
    }

    /// Asks a program: whether it would end well, and what it would print, if that comes.
    fn ask_program(
        &self,
        words: &[&str],
        request: &[&str],
        deadline: Duration,
    ) -> Result<(bool, Option<String>), ToolError> {
        let mut child = self.start(request)?;
        let output = child.stdout.take().map(|pipe| read_aside(pipe, KEPT));
        let late = || not_ended(words, deadline);
        let well = child::wait(child, deadline)?.ok_or_else(late)?;
        let output = output.and_then(|reader| reader.recv_timeout(AFTERWARDS).ok());
        if well {
            return Ok((true, output));
        }
        match read_failure(&output.unwrap_or_default()) {
            Failure::Hangs => Err(late()),
            Failure::Errno(errno) => Err(ToolError::Io(errno.into())),
            Failure::Printed(text) => Ok((false, Some(text))),
            Failure::None => Err(ToolError::NoSimulator),
        }
    }

    fn ask_to_run(&self, words: &[&str], deadline: Duration) -> Result<(bool, Option<String>), ToolError> {
        let level = if only_tells(words) { log::Level::Debug } else { log::Level::Info };
        log::log!(level, "would run: {}", shell_command(words));
        let request: Vec<&str> = ["run"].iter().chain(words).copied().collect();
        self.ask_program(words, &request, deadline)
    }
}

/// The error that a failure of the kernel's is.
fn refusal(answer: &str) -> KernelError {
    match read_failure(answer) {
        Failure::Hangs => KernelError::NoAnswer { deadline: DEADLINE },
        Failure::Errno(errno) => KernelError::Refused(errno.into()),
        // What a modprobe prints.
        Failure::Printed(text) => KernelError::Refused(io::Error::other(text)),
        Failure::None => KernelError::Killed,
    }
}

/// The simulator: beside this program, or above it where this is a test.
fn program() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    program.ancestors().skip(1).take(2).map(|directory| directory.join("vfio-sim")).find(|path| path.is_file())
}

impl Kernel for Simulated<'_> {
    fn write(&self, attribute: &str, value: &str) -> Result<(), KernelError> {
        self.ask_kernel(&["write", attribute, value])
    }

    fn read(&self, attribute: &str, most: u64) -> Result<Vec<u8>, KernelError> {
        let mut child = self.start(&["read", attribute])?;
        let mut answer = Vec::new();
        child.stdout.take().map(|pipe| pipe.take(most).read_to_end(&mut answer)).transpose()?;
        match child::wait(child, DEADLINE)? {
            Some(true) => Ok(answer),
            Some(false) => Err(refusal(&String::from_utf8_lossy(&answer))),
            None => Err(KernelError::NoAnswer { deadline: DEADLINE }),
        }
    }

    fn modprobe(&self, module: &str) -> Result<(), KernelError> {
        log::info!("would run: modprobe {module}");
        self.ask_kernel(&["modprobe", module])
    }
}

impl Tools for Simulated<'_> {
    fn run(&self, words: &[&str], deadline: Duration) -> Result<String, ToolError> {
        match self.ask_to_run(words, deadline)? {
            (true, output) => whole(words, output),
            (false, printed) => Err(failed(words.first().copied().unwrap_or_default(), &printed.unwrap_or_default())),
        }
    }

    fn attempt(&self, words: &[&str], deadline: Duration) -> Result<Ran, ToolError> {
        let (well, printed) = self.ask_to_run(words, deadline)?;
        Ok(Ran { well, printed: printed.unwrap_or_default() })
    }

    fn signal(&self, process: &Process, signal: Signal) -> Result<(), ToolError> {
        if !process.is_there(self.root) {
            return Ok(());
        }
        let pid = process.pid;
        let name = if signal == Signal::Kill { "KILL" } else { "TERM" };
        log::info!("would send SIG{name} to {pid}");
        let request = ["signal", &pid.to_string(), name];
        match self.ask_program(&request, &request, DEADLINE)? {
            (true, _) => Ok(()),
            (false, printed) => Err(failed(request[0], &printed.unwrap_or_default())),
        }
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

/// What [`show_failure`] wrote.
#[derive(Debug, PartialEq, Eq)]
enum Failure {
    /// The kernel has not answered, or the program has not ended.
    Hangs,
    /// An errno and no more.
    Errno(Errno),
    /// What a program prints on standard error.
    Printed(String),
    /// The simulator was killed before it wrote anything.
    None,
}

fn read_failure(answer: &str) -> Failure {
    let (errno, text) = answer.split_once('\n').unwrap_or((answer, ""));
    match errno.trim().parse().map(Errno::from_raw_os_error) {
        Ok(Errno::TIMEDOUT) => Failure::Hangs,
        Ok(errno) if text.is_empty() => Failure::Errno(errno),
        Ok(_) => Failure::Printed(text.to_owned()),
        Err(_) => Failure::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_survives_the_way_between_two_processes() {
        let way = |error: io::Error| read_failure(&show_failure(&error));
        assert_eq!(way(io::ErrorKind::TimedOut.into()), Failure::Hangs);
        assert_eq!(way(Errno::NOENT.into()), Failure::Errno(Errno::NOENT));
        let text = "virsh: failed to get domain 'a\nb'";
        assert_eq!(way(io::Error::other(text)), Failure::Printed(text.to_owned()));
        assert_eq!(read_failure(""), Failure::None, "no answer is a failure");
    }
}
