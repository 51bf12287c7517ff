// SPDX-License-Identifier: LGPL-2.1-or-later
//! What runs the guest: a libvirt domain, or a program.
//!
//! libvirt is asked through virsh, a process a question: a connection that is held would be lost with every restart of
//! the daemon. What is waited for is QEMU itself, by its pidfd: it outlives the daemon, and its end is the guest's,
//! however it came about. Then the program waits until libvirt has noticed, too.

use super::error::GuestError;
use super::{directory, program};
use crate::act::backend::process::wait_for_process;
use crate::act::backend::tools::{failed, Signal, ToolError, Tools};
use crate::host::libvirt::{versions, Capabilities, DomainInfo, Version};
use crate::host::process::Process;
use crate::plan::guest::GuestStep;
use crate::root::Root;
use std::time::{Duration, Instant};

/// For a question to libvirt; its daemon may have to start first.
const ASK: Duration = Duration::from_secs(30);

/// A domain of libvirt.
#[derive(Debug, Clone, Copy)]
pub struct Libvirt<'t> {
    /// What runs virsh.
    pub tools: &'t dyn Tools,
    /// Where libvirt is.
    pub uri: &'t str,
    /// The domain's name.
    pub domain: &'t str,
    /// The guest that it is.
    pub guest: &'t str,
}

impl Libvirt<'_> {
    fn virsh(&self, words: &[&str], deadline: Duration) -> Result<String, ToolError> {
        let mut all = vec!["virsh", "--connect", self.uri];
        all.extend(words);
        all.extend(["--", self.domain]);
        self.tools.run(&all, deadline)
    }

    /// `shut off`, `running`, `paused`, ...
    pub fn state(&self) -> Result<String, ToolError> {
        Ok(self.virsh(&["domstate"], ASK)?.trim().to_owned())
    }

    /// Its XML, as it will be when it is started next.
    pub fn description(&self) -> Result<String, ToolError> {
        self.virsh(&["dumpxml", "--inactive"], ASK)
    }

    /// The same with its passwords, which a change of the domain would lose otherwise.
    pub fn whole_description(&self) -> Result<String, ToolError> {
        self.virsh(&["dumpxml", "--inactive", "--security-info"], ASK)
    }

    /// What is so of it beside its XML.
    pub fn info(&self) -> Result<DomainInfo, ToolError> {
        Ok(DomainInfo::parse(&self.virsh(&["dominfo"], ASK)?))
    }

    /// The names of all domains that there are.
    pub fn names(&self) -> Result<Vec<String>, ToolError> {
        let text = self.tools.run(&["virsh", "--connect", self.uri, "list", "--all", "--name"], ASK)?;
        Ok(text.lines().map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect())
    }

    /// Makes it what a file says; if asked to, only if libvirt's schema knows all that is in it.
    pub fn define(&self, file: &str, validate: bool) -> Result<(), ToolError> {
        let mut words = vec!["virsh", "--connect", self.uri, "define"];
        words.extend(validate.then_some("--validate"));
        words.extend(["--", file]);
        let ran = self.tools.attempt(&words, ASK)?;
        // What libvirt's schema says has further lines behind the one that says what is wrong.
        let why = ran.printed.lines().rev().find(|line| line.starts_with("error: ")).unwrap_or(&ran.printed);
        if ran.well {
            Ok(())
        } else {
            Err(failed("virsh", why))
        }
    }

    /// Whether libvirt has it, running or not.
    pub fn exists(&self) -> Result<bool, ToolError> {
        let names = self.tools.run(&["virsh", "--connect", self.uri, "list", "--all", "--name"], ASK)?;
        Ok(names.lines().any(|name| name == self.domain))
    }

    /// Takes it out of libvirt; its UEFI variables stay, and if libvirt can be told so the state of its TPM.
    pub fn undefine(&self, keep_tpm: bool) -> Result<(), ToolError> {
        let words: &[&str] =
            if keep_tpm { &["undefine", "--keep-nvram", "--keep-tpm"] } else { &["undefine", "--keep-nvram"] };
        self.virsh(words, ASK).map(drop)
    }

    /// The versions of libvirt and of QEMU.
    pub fn versions(&self) -> Result<(Option<Version>, Option<Version>), ToolError> {
        Ok(versions(&self.tools.run(&["virsh", "--connect", self.uri, "version", "--daemon"], ASK)?))
    }

    /// What QEMU can do for a machine type; `None` if the answer cannot be read.
    pub fn capabilities(&self, machine: &str) -> Result<Option<Capabilities>, ToolError> {
        let words = ["virsh", "--connect", self.uri, "domcapabilities", "--machine", machine];
        Ok(Capabilities::parse(&self.tools.run(&words, ASK)?))
    }

    /// Starts it.
    pub fn start(&self, deadline: Duration) -> Result<(), ToolError> {
        self.virsh(&["start"], deadline).map(drop)
    }

    /// Presses its power button.
    pub fn shutdown(&self) -> Result<(), ToolError> {
        self.virsh(&["shutdown", "--mode", "acpi"], ASK).map(drop)
    }

    /// Switches it off.
    pub fn destroy(&self) -> Result<(), ToolError> {
        self.virsh(&["destroy"], ASK).map(drop)
    }

    /// Remembers QEMU's process for as long as its guest has anything.
    fn remember(&self, root: &Root, process: &Process) {
        if program::remembered(root, self.guest).as_ref() == Some(process) || !root.exists(&directory(self.guest)) {
            return;
        }
        if let Err(error) = program::remember(root, self.guest, process.pid) {
            log::debug!("{error}");
        }
    }

    /// The file in which the system's libvirt keeps QEMU's pid for as long as the domain is there.
    fn pid_file(&self) -> String {
        format!("run/libvirt/qemu/{}.pid", self.domain)
    }

    /// Whether it is the system's own libvirt, which keeps such files.
    pub(crate) fn is_local(&self) -> bool {
        self.uri.ends_with(":///system")
    }

    /// QEMU's process. While libvirt's daemon is down the file outlives it, and its number may be another's by then: not
    /// that of one that was seen before.
    pub fn process(&self, root: &Root) -> Option<Process> {
        let process = Process::now(root, root.read_text(&self.pid_file()).ok()?.trim().parse().ok()?)?;
        let before = program::remembered(root, self.guest).filter(|before| before.pid == process.pid);
        before.is_none_or(|before| before == process).then_some(process)
    }

    /// Whether it is there in any state but off. The system's libvirt need not be asked: its files say so, also while its
    /// daemon is down. `None` if libvirt is asked and does not answer.
    pub fn is_up(&self, root: &Root) -> Option<bool> {
        if self.is_local() && root.exists("run/libvirt/qemu") {
            return Some(root.exists(&self.pid_file()));
        }
        self.state().ok().map(|state| state != "shut off")
    }

    /// Waits until the domain is off, so long at most if there is a limit; whether it is.
    ///
    /// The end of QEMU is not enough. When libvirt notices it, be it minutes later, it resets the domain's functions that
    /// are not with vfio: a card that its host driver had again by then would lose its registers under a desktop that goes
    /// on. Only then libvirt forgets the domain, and the file with the pid goes.
    pub fn wait_for_end(&self, root: &Root, limit: Option<Duration>) -> bool {
        let until = limit.map(|limit| Instant::now() + limit);
        let left = || until.map(|until| until.saturating_duration_since(Instant::now()));
        // When its process was last seen to end.
        let mut ended: Option<Instant> = None;
        loop {
            if let Some(process) = self.process(root) {
                self.remember(root, &process);
                if !wait_for_process(root, &process, left()) {
                    return false;
                }
                ended = Some(Instant::now());
            } else if self.is_local() {
                ended.get_or_insert_with(Instant::now);
            }
            if self.is_up(root) == Some(false) {
                return true;
            }
            if left().is_some_and(|left| left.is_zero()) {
                return false;
            }
            match ended.map(|at| at.elapsed()) {
                Some(since) if since >= NOTICE => {
                    if self.is_given_up(since) {
                        return true;
                    }
                    std::thread::sleep(RESTART);
                }
                // A session's libvirt has been asked just now, and is again.
                _ => std::thread::sleep(PAUSE),
            }
        }
    }

    /// Whether libvirt has not forgotten a domain whose QEMU ended so long ago, and is not going to. Asking it is what
    /// starts its daemon, if only the socket is there.
    fn is_given_up(&self, since: Duration) -> bool {
        let why = match self.state() {
            Ok(state) if state == "shut off" => return true,
            Ok(_) if since < AT_WORK => return false,
            Ok(state) => format!("it still says '{state}'"),
            // It may only just be restarting.
            Err(_) if since < DOWN => return false,
            Err(error) => error.to_string(),
        };
        log::warn!(
            "libvirt has not noticed the end of {}: {why}; when it does, it resets the card, and the display that is on it \
             then goes dark: start what is on it again",
            self.domain
        );
        true
    }

    /// Presses the power button until the domain is off; whether it is. Once is not enough: a system that has not yet come
    /// up does not hear it.
    fn press(&self, root: &Root, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        loop {
            if let Err(error) = self.shutdown() {
                // One that has just ended need not be asked; a daemon that is restarting is asked again.
                if self.wait_for_end(root, Some(PAUSE)) {
                    return true;
                }
                if self.state().is_err() && Instant::now() < until {
                    std::thread::sleep(RESTART);
                    continue;
                }
                // One that is paused or has crashed cannot be asked.
                log::warn!("{} cannot be shut down, so it is switched off: {error}", self.domain);
                return false;
            }
            let left = until.saturating_duration_since(Instant::now());
            if self.wait_for_end(root, Some(left.min(AGAIN))) {
                return true;
            }
            if left <= AGAIN {
                log::warn!("{} has not shut down within {} s: it is switched off", self.domain, patience.as_secs());
                return false;
            }
        }
    }

    /// Shuts it down: by the power button, then by force. Nothing to do if it is off.
    pub fn end(&self, root: &Root, patience: Duration) -> Result<(), GuestError> {
        // One that is only just being started has no file yet: libvirt is asked, if it answers.
        if self.process(root).is_none() && self.state().map_or(true, |state| state == "shut off") {
            return Ok(());
        }
        if self.press(root, patience) {
            return Ok(());
        }
        let destroyed = self.destroy();
        if self.wait_for_end(root, Some(KILLED)) {
            return Ok(());
        }
        if let Some(process) = self.process(root) {
            // If libvirt cannot end it: the card is in use until its process ends.
            if destroyed.is_err() {
                self.tools.signal(&process, Signal::Kill)?;
            }
            if destroyed.is_ok() || !wait_for_process(root, &process, Some(KILLED)) {
                return Err(GuestError::DoesNotEnd { what: format!("QEMU (pid {})", process.pid) });
            }
        }
        // Its process has ended, so this comes to an end.
        self.wait_for_end(root, None);
        Ok(())
    }
}

/// Shuts down the guest that a step has started, whatever it is. Nothing to do if it has ended.
pub fn end(root: &Root, tools: &dyn Tools, guest: &str, step: &GuestStep) -> Result<(), GuestError> {
    let patience = Duration::from_secs(step.starts().unwrap_or_default());
    match step {
        GuestStep::StartDomain { uri, domain, .. } => Libvirt { tools, uri, domain, guest }.end(root, patience),
        GuestStep::StartCommand { command, .. } => program::end(root, tools, guest, command, patience),
        _ => Ok(()),
    }
}

/// How long libvirt may take to notice that QEMU has ended before it is asked.
const NOTICE: Duration = Duration::from_secs(5);
/// How long after QEMU's end the daemon may be down.
const DOWN: Duration = Duration::from_secs(15);
/// How long after QEMU's end a daemon that answers may be at work.
const AT_WORK: Duration = Duration::from_secs(120);
/// For a QEMU that was switched off or killed to end.
const KILLED: Duration = Duration::from_secs(15);
/// Between two presses of the power button.
const AGAIN: Duration = Duration::from_secs(10);
/// What a daemon that restarts is given before it is asked again.
const RESTART: Duration = Duration::from_secs(1);
/// Between two questions to libvirt.
const PAUSE: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::guest::answers::Answers;
    use std::io;

    /// A card that goes back before libvirt has noticed QEMU's end is reset under its host driver.
    #[test]
    fn a_libvirt_that_is_at_work_is_waited_for() {
        let (down, running) = (Err(io::ErrorKind::ConnectionRefused), Ok("running\n"));
        for (answer, since, given_up) in [
            (Ok("shut off\n"), NOTICE, true),
            (running, NOTICE, false),
            (running, AT_WORK - RESTART, false),
            (running, AT_WORK, true),
            (down, NOTICE, false),
            (down, DOWN - RESTART, false),
            (down, DOWN, true),
        ] {
            let tools = Answers::new(&[answer]);
            let libvirt = Libvirt { tools: &tools, uri: "qemu:///system", domain: "win10", guest: "win10" };
            assert_eq!(libvirt.is_given_up(since), given_up, "{answer:?} after {since:?}");
            assert!(tools.all_given());
        }
    }
}
