// SPDX-License-Identifier: LGPL-2.1-or-later
//! A guest that is a program: plain QEMU, or a script that ends with it.

use super::directory;
use super::runner::wait_for_process;
use crate::act::files;
use crate::act::tools::{Signal, Tools};
use crate::root::Root;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// For an answer of QEMU's monitor.
const ANSWER: Duration = Duration::from_secs(5);
/// For a killed process to end: the kernel may still have to let go of the card.
const KILLED: Duration = Duration::from_secs(15);

fn path(guest: &str) -> String {
    format!("{}/program", directory(guest))
}

/// When a process was started, in the kernel's ticks: with the pid it names one process for good (proc_pid_stat(5)).
fn started(root: &Root, pid: u32) -> Option<String> {
    let stat = root.read_text(&format!("proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(19).map(str::to_owned)
}

/// Remembers the guest's process.
pub fn remember(root: &Root, guest: &str, pid: u32) -> io::Result<()> {
    let started = started(root, pid).unwrap_or_default();
    files::replace(root, &path(guest), format!("{pid} {started}\n").as_bytes())
}

/// The guest's process, if it still runs.
pub fn process(root: &Root, guest: &str) -> Option<u32> {
    let text = root.read_text(&path(guest)).ok()?;
    let (pid, start) = text.trim().split_once(' ')?;
    let pid = pid.parse().ok()?;
    started(root, pid).filter(|now| now == start).map(|_| pid)
}

/// Ends it: by the power button if its words name a monitor socket, else by SIGTERM; then by force.
pub fn end(root: &Root, tools: &dyn Tools, guest: &str, command: &[String], patience: Duration) -> io::Result<()> {
    let Some(pid) = process(root, guest) else { return Ok(()) };
    let asked = monitor(command).is_some_and(|socket| match power_button(socket) {
        Ok(()) => true,
        Err(error) => {
            log::warn!("QEMU's monitor at {socket} does not take the power button: {error}");
            false
        }
    });
    if !asked {
        tools.signal(pid, Signal::Term)?;
    }
    if wait_for_process(root, pid, Some(patience)) {
        return Ok(());
    }
    log::warn!("the guest has not ended within {} s: it is killed", patience.as_secs());
    tools.signal(pid, Signal::Kill)?;
    match wait_for_process(root, pid, Some(KILLED)) {
        true => Ok(()),
        false => Err(io::Error::other(format!("process {pid} does not end"))),
    }
}

/// The socket of QEMU's machine protocol, if the command's words name one: `-qmp unix:PATH,server=on`.
fn monitor(command: &[String]) -> Option<&str> {
    let at = command.iter().position(|word| word == "-qmp" || word == "--qmp")?;
    command.get(at + 1)?.strip_prefix("unix:")?.split(',').next()
}

/// `system_powerdown`, as QEMU's machine protocol wants it (qemu-qmp-ref(7)).
fn power_button(socket: &str) -> io::Result<()> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.set_write_timeout(Some(ANSWER))?;
    let mut answers = BufReader::new(stream.try_clone()?).lines();
    let mut next = |awaited: &str| -> io::Result<()> {
        for line in answers.by_ref() {
            let answer: serde_json::Value = serde_json::from_str(&line?)?;
            if let Some(error) = answer.get("error") {
                return Err(io::Error::other(error.to_string()));
            }
            if answer.get(awaited).is_some() {
                return Ok(());
            }
        }
        Err(io::ErrorKind::UnexpectedEof.into())
    };
    next("QMP")?;
    (&stream).write_all(b"{\"execute\":\"qmp_capabilities\"}\n")?;
    next("return")?;
    (&stream).write_all(b"{\"execute\":\"system_powerdown\"}\n")?;
    next("return")
}
