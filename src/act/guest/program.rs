// SPDX-License-Identifier: LGPL-2.1-or-later
//! A guest that is a program: plain QEMU, or a script that ends with it.

use super::directory;
use super::error::GuestError;
use super::monitor::{self, Greeting};
use crate::act::backend::process::wait_for_process;
use crate::act::backend::tools::{Signal, Tools};
use crate::act::backend::{apart, child};
use crate::act::files;
use crate::host::accounts;
use crate::host::holders::Looker;
use crate::host::process::{started, Process};
use crate::pci::Address;
use crate::root::Root;
use crate::text::shell_command;
use std::io;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long QEMU may take to answer on its monitor: it may have to find and pin a lot of memory first.
const ANSWERING: Duration = Duration::from_secs(60);
/// How long a program without a monitor may take to open the card.
const OPENING: Duration = Duration::from_secs(10);
/// How long it must live with the card before it counts as started.
const LIVING: Duration = Duration::from_secs(1);
/// For a question to systemd.
const ASK: Duration = Duration::from_secs(20);
/// Between two looks at it.
const PAUSE: Duration = Duration::from_millis(50);
/// For a killed process to end: the kernel may still have to let go of the card.
const KILLED: Duration = Duration::from_secs(15);

fn path(guest: &str) -> String {
    format!("{}/program", directory(guest))
}

/// Remembers the guest's process.
pub fn remember(root: &Root, guest: &str, pid: u32) -> io::Result<()> {
    let started = started(root, pid).unwrap_or_default();
    files::replace(root, &path(guest), format!("{pid} {started}\n").as_bytes())
}

/// The guest's process, if it still runs.
pub fn process(root: &Root, guest: &str) -> Option<Process> {
    remembered(root, guest).filter(|process| process.is_there(root))
}

/// The guest's process, whether it runs or not.
pub(super) fn remembered(root: &Root, guest: &str) -> Option<Process> {
    let text = root.read_text(&path(guest)).ok()?;
    let (pid, start) = text.trim().split_once(' ')?;
    Some(Process { pid: pid.parse().ok()?, started: Some(start.to_owned()) })
}

/// Starts the program that is the guest, and waits until it counts as started: where its words name QEMU's monitor, when
/// QEMU answers there, else when it has the card and has lived with it for a second.
///
/// It runs apart from us and as its user (`act::backend::apart`).
pub fn start(
    root: &Root,
    tools: &dyn Tools,
    guest: &str,
    (command, user): (&[String], &str),
    functions: &[Address],
    left: Duration,
) -> Result<(), GuestError> {
    if !root.is_system() {
        log::info!("would run as {user}: {}", shell_command(command));
        return Ok(());
    }
    let program = command.first().cloned().unwrap_or_default();
    let (words, in_a_unit) = if apart::is_possible() {
        (apart::guest(guest, user, &groups(root), command), true)
    } else {
        (apart::guest_without_systemd(user, command), false)
    };
    let begin = Instant::now();
    let mut child = Command::new(&words[0]).args(&words[1..]).stdin(Stdio::null()).spawn()?;
    let pid = if in_a_unit { main_process(tools, guest, &mut child, left)? } else { Some(child.id()) };
    if let Some(pid) = pid {
        remember(root, guest, pid)?;
    }
    let looker = Looker::new(root);
    // Somebody who does not let itself be looked at is not this program.
    let has_card = || looker.find(functions).iter().any(|(_, holder)| holder.is_certain());
    let came = come_up(&mut child, monitor::socket(command), has_card, left);
    child::count_wait(begin);
    match came? {
        Start::Up => {}
        Start::Late(missed) => log::warn!("{program} runs, but {missed}"),
        Start::Ended(end) if !end.success() => {
            return Err(GuestError::EndedAtOnce { program, end, unit: in_a_unit.then(|| apart::unit(guest)) });
        }
        Start::Ended(_) if has_card() => return Err(GuestError::LeftTheCard { program }),
        // A guest may be over so soon.
        Start::Ended(_) => return Ok(()),
    }
    // It is waited for by its pidfd, which shows its end; collecting it is left to a thread.
    std::thread::spawn(move || child.wait());
    Ok(())
}

/// A user who runs a virtual machine may have the processor's help: `/dev/kvm` is this group's, where there is one.
fn groups(root: &Root) -> Vec<&'static str> {
    const KVM: &str = "kvm";
    let known = accounts::groups(root).unwrap_or_default().iter().any(|group| group.name == KVM);
    if known {
        vec![KVM]
    } else {
        Vec::new()
    }
}

/// The process that systemd has started for a guest, while `child` waits for its end; none if it has ended already.
fn main_process(tools: &dyn Tools, guest: &str, child: &mut Child, left: Duration) -> Result<Option<u32>, GuestError> {
    let begin = Instant::now();
    let unit = apart::unit(guest);
    loop {
        let text = tools.run(&["systemctl", "show", "--property=MainPID", "--value", "--", &unit], ASK)?;
        match text.trim().parse() {
            Ok(0) | Err(_) => {}
            Ok(pid) => return Ok(Some(pid)),
        }
        if child.try_wait()?.is_some() {
            return Ok(None);
        }
        if begin.elapsed() >= left {
            return Err(GuestError::NoProcess { unit, seconds: left.as_secs() });
        }
        std::thread::sleep(PAUSE);
    }
}

/// How a program has come up.
#[derive(Debug, PartialEq, Eq)]
enum Start {
    /// The guest is there.
    Up,
    /// The program runs; what is missing did not come in time.
    Late(&'static str),
    /// It has ended meanwhile.
    Ended(ExitStatus),
}

fn come_up(child: &mut Child, monitor: Option<&str>, has_card: impl Fn() -> bool, left: Duration) -> io::Result<Start> {
    let begin = Instant::now();
    let mut greeting = monitor.map(Greeting::new);
    let mut opened = None;
    loop {
        let up = match &mut greeting {
            Some(greeting) => greeting.has_come(PAUSE),
            None => {
                if opened.is_none() && has_card() {
                    opened = Some(Instant::now());
                }
                std::thread::sleep(PAUSE);
                opened.is_some_and(|at| at.elapsed() >= LIVING)
            }
        };
        // Asked for last: one that has answered and ended has ended.
        if let Some(end) = child.try_wait()? {
            return Ok(Start::Ended(end));
        }
        let (limit, missed) = match greeting {
            Some(_) => (ANSWERING, "its monitor does not answer"),
            None => (OPENING, "has not opened the card"),
        };
        match up {
            true => return Ok(Start::Up),
            false if opened.is_none() && begin.elapsed() >= limit.min(left) => return Ok(Start::Late(missed)),
            false => {}
        }
    }
}

/// Ends it: by the power button if its words name a monitor socket, else by SIGTERM; then by force.
pub fn end(
    root: &Root,
    tools: &dyn Tools,
    guest: &str,
    command: &[String],
    patience: Duration,
) -> Result<(), GuestError> {
    let Some(process) = process(root, guest) else { return Ok(()) };
    let asked = monitor::socket(command).is_some_and(|socket| match monitor::power_button(socket) {
        Ok(()) => true,
        Err(error) => {
            log::warn!("QEMU's monitor at {socket} does not take the power button: {error}");
            false
        }
    });
    if !asked {
        tools.signal(&process, Signal::Term)?;
    }
    if wait_for_process(root, &process, Some(patience)) {
        return Ok(());
    }
    log::warn!("the guest has not ended within {} s: it is killed", patience.as_secs());
    tools.signal(&process, Signal::Kill)?;
    if wait_for_process(root, &process, Some(KILLED)) {
        Ok(())
    } else {
        Err(GuestError::DoesNotEnd { what: format!("process {}", process.pid) })
    }
}

#[cfg(test)]
#[path = "program_tests.rs"]
mod tests;
