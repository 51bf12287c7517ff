// SPDX-License-Identifier: LGPL-2.1-or-later
//! Giving everything back: the guest's journal read backwards, then forgotten. It needs no configuration, may be run again
//! after any crash of its own, and goes on past what cannot be given back: a desktop without sound is better than none.

use super::error::GuestError;
use super::hand_over::{announce, console_path, run_command};
use super::{
    account, acl, forget, isolation, journal_path, pages, progress, records, runner, services, shared_memory,
    sizes_path, stays_up, GuestRecord,
};
use crate::act::backend::kernel::Kernel;
use crate::act::backend::kernel_for;
use crate::act::backend::tools::Tools;
use crate::act::card::writes::{appears, rescan};
use crate::act::card::{self, power};
use crate::act::files;
use crate::act::lock::Lock;
use crate::act::state;
use crate::host::detail;
use crate::host::function::{self, attribute};
use crate::host::run::card_status::Outcome;
use crate::host::run::claims::{claim_path, CLAIMS};
use crate::host::run::guest_status::{self, GuestOutcome};
use crate::pci::Address;
use crate::plan::guest::GuestStep;
use crate::root::Root;
use crate::text::{self, shell_command};
use std::io;
use std::time::Duration;

/// For a command of the user's.
const COMMAND: Duration = Duration::from_secs(60);

/// What is known of the guest's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It may still run, and is shut down then.
    Unknown,
    /// It has ended: libvirt says so through its hook, in which it must not be asked.
    Certain,
}

/// Gives back what a guest has. The caller holds the guest's lock. `None` if it has nothing; else a sentence for each
/// thing that could not be given back.
pub fn give_back(
    root: &Root,
    tools: &dyn Tools,
    guest: &str,
    end: End,
    mut progress: impl FnMut(&str),
) -> io::Result<Option<Vec<String>>> {
    let records = records(root, guest)?;
    if records.is_empty() {
        forget(root, guest)?;
        return Ok(None);
    }
    let kernel = kernel_for(root);
    let mut work = Undo {
        root,
        tools,
        kernel: kernel.as_ref(),
        guest,
        end,
        cards: Vec::new(),
        came_back: Vec::new(),
        started: Vec::new(),
        begin: progress::uptime(),
    };
    let mut problems: Vec<String> = Vec::new();
    let mut left: Vec<&GuestRecord> = Vec::new();
    for (done, record) in records.iter().rev().enumerate() {
        // What is left is kept for the next attempt, claims included: nobody else may have such a card.
        if matches!(&record.step, GuestStep::Claim { gpu } if left.iter().any(|r| uses(&r.step, gpu))) {
            left.push(record);
        } else if let Err(error) = work.undo_record(record, &mut progress) {
            problems.push(format!("[guest {guest}] undoing '{}': {error}", record.step));
            left.push(record);
            if record.step.starts().is_some() {
                // The guest still has the card: nothing else can be given back.
                left.extend(records.iter().rev().skip(done + 1));
                break;
            }
        } else if matches!(record.step, GuestStep::Awake { .. }) && !left.is_empty() {
            // A card that comes back later is then as this guest has found it, and let sleep once more.
            left.push(record);
        }
    }
    // Last, for it takes some seconds: all else is back by then.
    for (record, unit, functions) in std::mem::take(&mut work.started) {
        progress(&format!("looking whether {unit} stays up"));
        if let Err(error) = stays_up::watch(root, tools, unit, &functions) {
            problems.push(format!("[guest {guest}] undoing '{}': {error}", record.step));
            left.push(record);
        }
    }
    settle(root, guest, &left)?;
    report(root, guest, &problems);
    Ok(Some(problems))
}

/// Whether a step is about this card.
fn uses(step: &GuestStep, card: &str) -> bool {
    match step {
        GuestStep::Reserve { gpu } | GuestStep::Bind { gpu } | GuestStep::Resize { gpu } => gpu == card,
        step => step.starts().is_some(),
    }
}

/// Forgets the guest, or keeps in its journal what is left to undo.
fn settle(root: &Root, guest: &str, left: &[&GuestRecord]) -> io::Result<()> {
    if left.is_empty() {
        return forget(root, guest);
    }
    let mut lines = Vec::new();
    for record in left.iter().rev() {
        serde_json::to_writer(&mut lines, record)?;
        lines.push(b'\n');
    }
    files::replace(root, &journal_path(guest), &lines)
}

/// Leaves word of how it went. Why a start failed stays: that is what the user wants to know.
fn report(root: &Root, guest: &str, problems: &[String]) {
    let before = guest_status::read(root, guest).filter(|s| s.outcome == GuestOutcome::Failed);
    let mut why = before.as_ref().map(|s| s.why.clone()).unwrap_or_default();
    let outcome = match (problems.is_empty(), before.is_some()) {
        (true, true) => GuestOutcome::Failed,
        (true, false) => GuestOutcome::Returned,
        (false, _) => GuestOutcome::Stuck,
    };
    why.extend(problems.iter().cloned());
    state::write_guest_status(root, guest, outcome, &why);
    if root.is_system() && !problems.is_empty() {
        // Nobody may see more of this machine by now than its text console.
        let text = problems.iter().map(|problem| format!("vfio: {}\r\n", text::line(problem))).collect::<String>();
        if let Err(error) = kernel_for(root).write("dev/console", &text) {
            log::info!("/dev/console: {error}");
        }
    }
}

/// A unit that was started again: by which record, and the functions that came back before it.
type Started<'r> = (&'r GuestRecord, &'r str, Vec<Address>);

struct Undo<'a> {
    root: &'a Root,
    tools: &'a dyn Tools,
    kernel: &'a dyn Kernel,
    guest: &'a str,
    end: End,
    /// Cards that have been given back.
    cards: Vec<String>,
    /// Functions that came back with them, for which udev has not been waited for yet.
    came_back: Vec<Address>,
    /// Units that were started again.
    started: Vec<Started<'a>>,
    /// When it began, since the machine's start, as udev writes it down.
    begin: Duration,
}

impl<'a> Undo<'a> {
    /// Undoes one step.
    fn undo_record(&mut self, record: &'a GuestRecord, progress: &mut impl FnMut(&str)) -> Result<(), GuestError> {
        let Undo { root, tools, guest, .. } = *self;
        match &record.step {
            step if step.starts().is_some() && self.end == End::Certain => Ok(()),
            step @ (GuestStep::StartDomain { .. } | GuestStep::StartCommand { .. }) => {
                progress("waiting for the guest to end");
                runner::end(root, tools, guest, step)
            }
            GuestStep::Bind { gpu } | GuestStep::Reserve { gpu } if self.cards.contains(gpu) => Ok(()),
            GuestStep::Bind { gpu } | GuestStep::Reserve { gpu } => {
                progress(&format!("giving [gpu {gpu}] back to the host"));
                self.came_back.extend(give_card_back(root, gpu)?);
                self.cards.push(gpu.clone());
                Ok(())
            }
            GuestStep::Resize { gpu } => {
                progress(&format!("giving the BARs of [gpu {gpu}] their sizes back"));
                let _lock = Lock::take(root)?;
                let problems = card::undo_sizes(root, gpu, &sizes_path(guest, gpu))?;
                if problems.is_empty() {
                    Ok(())
                } else {
                    Err(GuestError::Card(problems.join("; ")))
                }
            }
            GuestStep::Unload { module } => Ok(self.kernel.modprobe(module)?),
            GuestStep::Console { console } => {
                self.console(console, record.before.as_deref());
                Ok(())
            }
            GuestStep::Awake { .. } => {
                Ok(power::let_sleep(root, self.kernel, record.before.as_deref().unwrap_or_default())?)
            }
            GuestStep::HugePages { size, .. } => {
                pages::give_back(root, self.kernel, *size, record.before.as_deref().unwrap_or_default())
            }
            GuestStep::ShareSound { owner, uid, .. } => {
                acl::take_back(root, record.before.as_deref().unwrap_or_default(), *owner, *uid)
            }
            GuestStep::ShareMemory { name, uid, .. } => shared_memory::remove(root, name, *uid),
            GuestStep::SpeedUp { .. } => {
                isolation::slow_down(root, self.kernel, record.before.as_deref().unwrap_or_default())
            }
            GuestStep::Confine { .. } => Ok(isolation::release(tools, record.before.as_deref().unwrap_or_default())?),
            GuestStep::Give { .. } => account::take_back(root, record.before.as_deref().unwrap_or_default()),
            GuestStep::Announce { functions } => Ok(announce(root, tools, functions, false)?),
            GuestStep::StopUnit { unit, .. } => {
                let came_back = std::mem::take(&mut self.came_back);
                if !came_back.is_empty() {
                    services::settle(root, tools, &came_back, self.begin);
                }
                progress(&format!("starting {unit}"));
                let done = services::start(tools, unit);
                if done.is_ok() {
                    self.started.push((record, unit, came_back));
                }
                match done {
                    // systemd starts nothing then. It is asked only now, for it mostly is not so.
                    Err(_) if services::going_down(tools) => {
                        log::info!("{unit} stays down: so does the machine");
                        Ok(())
                    }
                    other => Ok(other?),
                }
            }
            GuestStep::After { command } => {
                progress(&format!("running {}", shell_command(command)));
                Ok(run_command(tools, command, COMMAND)?)
            }
            GuestStep::Claim { gpu } => give_claim_up(root, gpu, guest),
            GuestStep::Before { .. }
            | GuestStep::EndSession { .. }
            | GuestStep::AskToEnd { .. }
            | GuestStep::Gone { .. }
            | GuestStep::LetGo { .. } => Ok(()),
        }
    }

    /// Gives a text console its virtual terminals back, if it had them. One whose framebuffer is gone for good has none to
    /// show them on: the driver's new framebuffer has a console of its own.
    fn console(&self, console: &str, before: Option<&str>) {
        let path = console_path(console);
        if before == Some("1") && self.root.exists(&path) {
            if let Err(error) = self.kernel.write(&path, "1") {
                log::info!("{console} does not come back: {error}");
            }
        }
    }
}

/// The card belongs to nobody from now on, if it belonged to this guest.
fn give_claim_up(root: &Root, gpu: &str, guest: &str) -> Result<(), GuestError> {
    let _lock = Lock::take(root)?;
    // What a program that was killed left half-written.
    let unfinished = format!(".{gpu}.");
    for name in root.list(CLAIMS).unwrap_or_default().iter().filter(|name| name.starts_with(&unfinished)) {
        files::remove(root, &format!("{CLAIMS}/{name}"))?;
    }
    match root.read_text(&claim_path(gpu)) {
        Ok(owner) if owner == guest => Ok(files::remove(root, &claim_path(gpu))?),
        _ => Ok(()),
    }
}

/// Gives a card back, and tries harder where its driver does not take it: with a reset, then off the bus and on again.
/// Its functions; none if there was nothing to give back.
fn give_card_back(root: &Root, gpu: &str) -> Result<Vec<Address>, GuestError> {
    let _lock = Lock::take(root)?;
    let kernel = kernel_for(root);
    let mut hanging = Vec::new();
    let mut last = match card::restore(root, gpu, &mut hanging)? {
        Some(status) if status.outcome != Outcome::Restored => status,
        back => return Ok(back.map(|status| status.functions).unwrap_or_default()),
    };
    for (way, recover) in [("a reset", reset as Recovery), ("taking it off the bus", off_and_on)] {
        // Somebody holds it, or the kernel still works on it: neither is made better by more writes.
        if last.outcome != Outcome::Stuck || !hanging.is_empty() {
            break;
        }
        log::warn!("{}; trying {way}", last.why.join("; "));
        let homeless: Vec<Address> =
            last.functions.iter().copied().filter(|f| function::driver(root, *f).is_none()).collect();
        recover(root, kernel.as_ref(), &homeless);
        match card::restore(root, gpu, &mut hanging)? {
            Some(status) if status.outcome != Outcome::Restored => last = status,
            _ => {
                log::warn!("[gpu {gpu}] came back after {way}");
                return Ok(last.functions);
            }
        }
    }
    Err(GuestError::Card(last.why.join("; ")))
}

/// A way to have a driver take functions that it did not take.
type Recovery = fn(&Root, &dyn Kernel, &[Address]);

fn reset(root: &Root, kernel: &dyn Kernel, functions: &[Address]) {
    for function in functions.iter().filter(|f| root.exists(&attribute(**f, "reset"))) {
        if let Err(error) = kernel.write(&attribute(*function, "reset"), "1") {
            log::info!("{function} cannot be reset: {error}");
        }
    }
}

fn off_and_on(root: &Root, kernel: &dyn Kernel, functions: &[Address]) {
    for function in functions {
        let bridge = detail::parents(root, *function).first().copied();
        let removed = kernel.write(&attribute(*function, "remove"), "1");
        let found = removed.and_then(|()| rescan(kernel, bridge));
        if let Err(error) = found {
            log::warn!("{function}: {error}");
        }
        appears(root, *function);
    }
}
