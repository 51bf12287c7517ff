// SPDX-License-Identifier: LGPL-2.1-or-later
//! Carrying out a hand-over: each step is journalled, then made.

use super::error::GuestError;
use super::{account, acl, append_record, isolation, pages, services, shared_memory, sizes_path, GuestRecord};
use crate::act::backend::child;
use crate::act::backend::kernel_for;
use crate::act::backend::tools::{Signal, ToolError, Tools};
use crate::act::card::power;
use crate::act::card::{self, OnFailure};
use crate::act::files;
use crate::act::lock::Lock;
use crate::config::{Config, Guest};
use crate::host::display;
use crate::host::holders::{self, Holder, Looker};
use crate::host::power::with_ports;
use crate::host::run::card_status::Outcome;
use crate::host::run::claims::claim_path;
use crate::pci::Address;
use crate::plan::guest::{GuestPlan, GuestStep};
use crate::plan::{bind, boot, rebar, Plan};
use crate::root::Root;
use crate::survey;
use std::time::{Duration, Instant};

/// How long those who hold the card are left alone since their session was ended: it needs a moment.
const GRACE: Duration = Duration::from_millis(500);
/// How long they have to end when they were asked.
const TERM: Duration = Duration::from_secs(10);
/// And when they were killed: the kernel may still have to close what they had open.
const KILL: Duration = Duration::from_secs(10);
/// Between two looks at those who hold the card: at first, and at most.
const SHORT: Duration = Duration::from_millis(5);
const LONG: Duration = Duration::from_millis(100);
/// How often it is waited once more, for somebody who has opened the card since nobody held it: services of a user whose
/// session has just ended may only be starting.
const WAITS: usize = 3;
/// For unloading a module.
const UNLOAD: Duration = Duration::from_secs(30);
/// For telling programs that watch for devices.
const ANNOUNCE: Duration = Duration::from_secs(10);

/// What a hand-over works with.
#[derive(Debug, Clone, Copy)]
pub struct Work<'a> {
    /// Where.
    pub root: &'a Root,
    /// What runs the system's programs.
    pub tools: &'a dyn Tools,
    /// What the user asked for.
    pub config: &'a Config,
    /// The guest.
    pub guest: &'a Guest,
    /// When it must be done (`start-timeout`).
    pub until: Instant,
}

/// Carries out all steps but the start itself, which is only recorded: who starts the guest depends on the door. Stops at
/// the first step that does not come about, with a sentence; nothing is undone here.
pub fn carry_out(work: &Work<'_>, plan: &GuestPlan, mut progress: impl FnMut(&GuestStep)) -> Result<(), String> {
    // When the last of the sessions was ended. Units have no processes left when they have been stopped.
    let mut ended: Option<Instant> = None;
    // Who was told that the card is going is given a moment, too, and has no session's end to go with.
    let told = plan.steps.iter().any(|step| matches!(step, GuestStep::Announce { .. }));
    // Who was asked to end with them.
    let mut asked: Vec<u32> = Vec::new();
    for step in &plan.steps {
        let sentence = |error: GuestError| format!("[guest {}] {step}: {error}", work.guest.name);
        if Instant::now() >= work.until {
            let seconds = work.guest.start_timeout.as_secs();
            return Err(sentence(GuestError::NotBegun { seconds }));
        }
        progress(step);
        let before = match step {
            GuestStep::Console { console } => work.root.read_text(&console_path(console)).ok(),
            GuestStep::Awake { functions } => Some(power::allowed(work.root, &with_ports(work.root, functions))),
            GuestStep::Give { functions, .. } => Some(account::owners(work.root, functions)),
            GuestStep::ShareSound { owner, paths, .. } => Some(acl::permitted(work.root, paths, *owner)),
            GuestStep::SpeedUp { cpus } => Some(isolation::speeds(work.root, cpus)),
            GuestStep::Confine { .. } => match isolation::allowed(work.tools) {
                Ok(allowed) => Some(allowed),
                // What is not known could not be given back, and the guest runs without.
                Err(error) => {
                    log::warn!("{}", sentence(error.into()));
                    continue;
                }
            },
            _ => None,
        };
        let record = GuestRecord { step: step.clone(), before };
        append_record(work.root, &work.guest.name, &record).map_err(|error| sentence(error.into()))?;
        let grace = Grace { since: ended, told };
        let mut made = make_step(work, step, &grace, &mut asked);
        if matches!(step, GuestStep::EndSession { .. } | GuestStep::Announce { .. }) {
            ended = Some(Instant::now());
        }
        if matches!(step, GuestStep::Bind { .. } | GuestStep::Resize { .. }) {
            let waits = plan.steps.iter().filter(|step| matches!(step, GuestStep::LetGo { .. }));
            for wait in waits.cycle().take(WAITS) {
                if !matches!(made, Err(GuestError::Held(_))) {
                    break;
                }
                progress(wait);
                // Who has let go and opened it again is asked again.
                asked.clear();
                make_step(work, wait, &Grace::default(), &mut asked).map_err(sentence)?;
                made = make_step(work, step, &Grace::default(), &mut asked);
            }
        }
        made.map_err(sentence)?;
    }
    Ok(())
}

/// The attribute by which a console gets or loses its virtual terminals.
pub(super) fn console_path(console: &str) -> String {
    format!("sys/class/vtconsole/{console}/bind")
}

/// What processes that hold the card may count on before they are asked to end.
#[derive(Debug, Clone, Copy, Default)]
struct Grace {
    /// When the last of the sessions was ended; `None` if none was.
    since: Option<Instant>,
    /// Whether they were told that the card is going.
    told: bool,
}

/// How far a process that holds the card is pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Pressure {
    /// It is waited for.
    Wait,
    /// It is asked to end.
    Ask,
    /// It is killed, if it does not end when asked.
    Kill,
}

fn make_step(work: &Work<'_>, step: &GuestStep, grace: &Grace, asked: &mut Vec<u32>) -> Result<(), GuestError> {
    let Work { root, tools, .. } = *work;
    let left = work.until.saturating_duration_since(Instant::now());
    match step {
        GuestStep::Claim { gpu } => claim(root, gpu, &work.guest.name),
        GuestStep::After { .. } | GuestStep::StartDomain { .. } | GuestStep::StartCommand { .. } => Ok(()),
        GuestStep::Before { command } => Ok(run_command(tools, command, left)?),
        GuestStep::Gone { holder } if holders::still_holds(root, holder) => Err(GuestError::Held(holder.to_string())),
        GuestStep::Gone { .. } => Ok(()),
        GuestStep::HugePages { size, count, nodes, later } => {
            let asked = pages::Asked { size: *size, count: *count, nodes, later: *later, until: work.until };
            pages::make(root, &work.guest.name, step, &asked)
        }
        GuestStep::ShareSound { owner, paths, uid, .. } => acl::share(root, paths, *owner, *uid),
        GuestStep::ShareMemory { name, size, uid, gid } => shared_memory::make(root, name, *size, (*uid, *gid)),
        GuestStep::SpeedUp { cpus } => isolation::speed_up(root, kernel_for(root).as_ref(), cpus),
        GuestStep::Confine { cpus } => {
            isolation::confine(tools, cpus);
            Ok(())
        }
        GuestStep::StopUnit { unit, .. } => Ok(services::stop(tools, unit, left)?),
        GuestStep::EndSession { session, .. } => Ok(services::end_session(tools, session)?),
        GuestStep::AskToEnd { holder } => Ok(ask_to_end(root, tools, holder, asked)?),
        GuestStep::Announce { functions } => Ok(announce(root, tools, functions, true)?),
        GuestStep::LetGo { functions, end, kill } => {
            let pressure = match (*end, *kill) {
                (false, _) => Pressure::Wait,
                (true, false) => Pressure::Ask,
                (true, true) => Pressure::Kill,
            };
            wait_until_released(work, functions, grace, asked, pressure)
        }
        GuestStep::Reserve { gpu } => bind_card(work, gpu, true, None),
        GuestStep::Console { console } => Ok(kernel_for(root).write(&console_path(console), "0")?),
        GuestStep::Unload { module } => {
            tools.run(&["modprobe", "-r", "--", module], UNLOAD)?;
            Ok(())
        }
        GuestStep::Awake { functions } => {
            Ok(power::keep_awake(root, kernel_for(root).as_ref(), &with_ports(root, functions))?)
        }
        GuestStep::Give { functions, user } => account::give(root, tools, functions, user),
        GuestStep::Bind { gpu } | GuestStep::Resize { gpu } => {
            let journal = matches!(step, GuestStep::Resize { .. }).then(|| sizes_path(&work.guest.name, gpu));
            bind_card(work, gpu, false, journal)
        }
    }
}

/// Runs a command of the user's; what it prints is logged.
pub(super) fn run_command(tools: &dyn Tools, command: &[String], deadline: Duration) -> Result<(), ToolError> {
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    tools.run_aloud(&words, deadline)
}

/// Writes down whose the card is. One that another guest has is refused, though the plan did not see it yet.
fn claim(root: &Root, gpu: &str, guest: &str) -> Result<(), GuestError> {
    let _lock = Lock::take(root)?;
    match crate::host::run::claims::owner(root, gpu).filter(|owner| owner != guest) {
        Some(owner) => Err(GuestError::Claimed { owner }),
        None => Ok(files::replace(root, &claim_path(gpu), format!("{guest}\n").as_bytes())?),
    }
}

/// Has udev say that the displays and sound cards of these functions are going, or have come back, though they stay:
/// compositors and sound servers that follow udev close a card that is said to be gone. A sound card has come when it has
/// changed (udev's 78-sound-card.rules).
pub(super) fn announce(root: &Root, tools: &dyn Tools, functions: &[Address], going: bool) -> Result<(), ToolError> {
    for function in functions {
        for (cards, comes) in [(display::cards(root, *function), "add"), (display::sound(root, *function), "change")] {
            let action = format!("--action={}", if going { "remove" } else { comes });
            for card in cards {
                tools.run(&["udevadm", "trigger", &action, &format!("/{card}")], ANNOUNCE)?;
            }
        }
    }
    Ok(())
}

/// Asks a process that was seen to hold a card to end. One that has let go meanwhile is left alone.
fn ask_to_end(root: &Root, tools: &dyn Tools, holder: &Holder, asked: &mut Vec<u32>) -> Result<(), ToolError> {
    let Some(pid) = holder.may_end().filter(|_| holders::still_holds(root, holder)) else { return Ok(()) };
    asked.push(pid);
    signal(tools, holder, Signal::Term)
}

/// Sends a signal to a holder, and to nobody else who has its number by now.
fn signal(tools: &dyn Tools, holder: &Holder, signal: Signal) -> Result<(), ToolError> {
    holder.process().map_or(Ok(()), |process| tools.signal(&process, signal))
}

/// Waits until nobody holds the functions: those whose session was `ended` are given a moment from then on and then asked to
/// end, those that do not end with it at once, unless they were `told` that the card is going or `asked` before, and all are
/// killed if the user wants it so.
fn wait_until_released(
    work: &Work<'_>,
    functions: &[Address],
    grace: &Grace,
    asked: &mut Vec<u32>,
    pressure: Pressure,
) -> Result<(), GuestError> {
    let start = Instant::now();
    let left_alone = GRACE.saturating_sub(start.duration_since(grace.since.unwrap_or(start)));
    let mut killed: Vec<u32> = Vec::new();
    let mut pause = SHORT;
    let limit = left_alone + TERM + if pressure == Pressure::Kill { KILL } else { Duration::ZERO };
    let mut holders: Vec<(Address, Holder)> = Vec::new();
    let looker = Looker::new(work.root);
    loop {
        // Everybody is looked at only when those who are known have let go: until then one of them is enough.
        holders.retain(|(_, holder)| looker.still_holds(holder));
        if holders.is_empty() {
            holders = looker.find(functions);
        }
        if holders.is_empty() {
            return Ok(());
        }
        let since = Instant::now();
        holders::name_users(work.root, &mut holders);
        if start.elapsed() >= limit || Instant::now() >= work.until {
            return Err(GuestError::Held(named(&holders)));
        }
        for (_, holder) in &holders {
            let Some(pid) = holder.may_end().filter(|_| pressure >= Pressure::Ask) else { continue };
            let alone = start.elapsed() < left_alone && (grace.told || !holder.outlives_sessions());
            if !alone && !asked.contains(&pid) {
                log::info!("{holder}: asked to end");
                signal(work.tools, holder, Signal::Term)?;
                asked.push(pid);
                pause = SHORT;
            } else if pressure == Pressure::Kill && start.elapsed() >= left_alone + TERM && !killed.contains(&pid) {
                log::warn!("{holder}: killed (kill-holders = yes)");
                signal(work.tools, holder, Signal::Kill)?;
                killed.push(pid);
            }
        }
        std::thread::sleep(pause);
        child::count_wait(since);
        pause = (pause * 2).min(LONG);
    }
}

/// Everyone who holds something, each once.
fn named(holders: &[(Address, Holder)]) -> String {
    let mut names: Vec<String> = Vec::new();
    let mut seen: Vec<Option<u32>> = Vec::new();
    for (_, holder) in holders {
        if holder.pid.is_none() || !seen.contains(&holder.pid) {
            seen.push(holder.pid);
            names.push(holder.to_string());
        }
    }
    format!("{}; end it and try again", names.join("; "))
}

/// Binds a card as it is now, or only keeps other drivers away from it. A journal other than the card's own is for what is
/// undone before the card's.
fn bind_card(work: &Work<'_>, gpu: &str, only_reserve: bool, journal: Option<String>) -> Result<(), GuestError> {
    let _lock = Lock::take(work.root)?;
    let plan = card_plan(work, gpu, only_reserve)?;
    let done = if only_reserve { Outcome::Reserved } else { Outcome::Bound };
    plan.warnings.iter().filter(|_| !only_reserve).for_each(|warning| log::warn!("{warning}"));
    let status = card::carry_out_in(work.root, &plan, done, OnFailure::UndoPlan, journal);
    match status.outcome {
        outcome if outcome == done => Ok(()),
        // What is refused here is what a process holds.
        Outcome::Refused => Err(GuestError::Held(status.why.join("; "))),
        _ => Err(GuestError::Card(status.why.join("; "))),
    }
}

fn card_plan(work: &Work<'_>, gpu: &str, only_reserve: bool) -> Result<Plan, GuestError> {
    let Work { root, config, guest, .. } = *work;
    let (mut selections, mut host) = survey::of_guest(root, config, guest);
    selections.retain(|c| c.gpu.name == gpu);
    let functions = boot::functions(&selections);
    let selection = selections.pop().ok_or(GuestError::NotConfigured)?;
    if let Err(finding) = &selection.selected {
        return Err(GuestError::Card(finding.line()));
    }
    if only_reserve {
        let steps = bind::overrides(&bind::desired(&selection, &host), &host);
        return Ok(Plan { gpu: gpu.to_owned(), functions, steps, ..Plan::default() });
    }
    host.find_holders_of_bound(root, &functions);
    Ok(bind::plan(&selection, &host, &rebar::desired(selection.gpu, Some(guest))))
}
