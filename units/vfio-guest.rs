// SPDX-License-Identifier: LGPL-2.1-or-later
//! Hands cards to a guest, supervises it, and gives everything back. Called by `vfio-guest@NAME.service`.
//!
//! `run NAME` hands over, starts the guest, and gives everything back when it has ended; `stop NAME` shuts it down and
//! waits for that; `give-back NAME` does what is left to do, from the journal, however the first one ended.

use libsystemd::daemon::{self, NotifyState};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use vfio_suite::act::backend::process::wait_for_process;
use vfio_suite::act::backend::tools::Tools;
use vfio_suite::act::backend::tools_for;
use vfio_suite::act::backend::{child, sysfs};
use vfio_suite::act::guest::error::GuestError;
use vfio_suite::act::guest::give_back::{give_back, End};
use vfio_suite::act::guest::hand_over::{carry_out, Work};
use vfio_suite::act::guest::probe::Source;
use vfio_suite::act::guest::runner::{self, Libvirt};
use vfio_suite::act::guest::{self, program, progress, start, GuestRecord};
use vfio_suite::act::state;
use vfio_suite::config::{self, Guest, Runner, Severity};
use vfio_suite::finding::Finding;
use vfio_suite::host::run::guest_status::GuestOutcome;
use vfio_suite::logger;
use vfio_suite::plan::guest::GuestStep;
use vfio_suite::root::Root;

/// How long to wait for a program of ours that is still at work for the same guest: libvirt's hook ends in a moment.
const PATIENCE: Duration = Duration::from_secs(30);
/// What giving back takes beside the guest's own shutdown: drivers, units, recoveries.
const GIVING_BACK: Duration = Duration::from_secs(300);

type Result<T> = std::result::Result<T, String>;

fn main() -> ExitCode {
    if let Some(code) = sysfs::run_as_child() {
        return code;
    }
    let arguments: Vec<String> = std::env::args_os().skip(1).map(|a| a.to_string_lossy().into_owned()).collect();
    let (verb, name) = match arguments.as_slice() {
        [verb, name] if matches!(verb.as_str(), "run" | "stop" | "give-back") && config::is_name(name) => (verb, name),
        _ => {
            logger::complain("vfio-guest: give 'run', 'stop' or 'give-back' and the name of a [guest] section");
            return ExitCode::from(64);
        }
    };
    let root = match Root::from_option(None) {
        Ok(root) => root,
        Err(error) => {
            logger::complain(format_args!("vfio-guest: the root cannot be opened: {error}"));
            return ExitCode::FAILURE;
        }
    };
    logger::start("vfio-guest");
    let tools = tools_for(&root);
    let done = match verb.as_str() {
        "run" => run(&root, tools.as_ref(), name),
        "stop" => stop(&root, tools.as_ref(), name),
        _ => give_all_back(&root, tools.as_ref(), name),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            log::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Tells systemd how far it is. Outside a unit nobody listens.
fn notify(states: &[NotifyState]) {
    if let Err(error) = daemon::notify(false, states) {
        log::debug!("systemd cannot be told: {error}");
    }
}

/// Says what is being done for a guest: to the journal, to systemd, and to who watches.
fn say(root: &Root, name: &str, text: &str) {
    log::info!("{text}");
    notify(&[NotifyState::Status(logger::state_line(text))]);
    progress::add(root, name, text);
}

/// Asks systemd for so much time from now on.
fn take_time(time: Duration) {
    notify(&[NotifyState::Other(format!("EXTEND_TIMEOUT_USEC={}", time.as_micros()))]);
}

fn about<E: std::fmt::Display>(what: &str) -> impl Fn(E) -> String + '_ {
    move |error| format!("{what}: {error}")
}

/// Hands over, starts, waits.
fn run(root: &Root, tools: &dyn Tools, name: &str) -> Result<ExitCode> {
    let lock = guest::lock(root, name, PATIENCE).map_err(about("/run/vfio/guest-locks"))?;
    let Some(_lock) = lock else {
        return Err(format!("[guest {name}] another program is at work for it"));
    };
    let config = config::load(root);
    config.diagnostics.iter().filter(|d| d.severity != Severity::Note).for_each(|d| log::warn!("{}", d.line()));
    let guest = start::section(&config, name).inspect_err(|why| refuse(root, name, std::slice::from_ref(why)))?;
    let handed_over = !guest::records(root, name).map_err(about("the journal"))?.is_empty();
    let runs = handed_over && is_up(root, tools, guest);
    if guest::only_supervise(root, name) && !runs {
        notify(&[NotifyState::Ready, NotifyState::Status("the guest has ended already".to_owned())]);
        log::info!("[guest {name}] has ended before it could be supervised");
        return Ok(ExitCode::SUCCESS);
    }
    if runs {
        say(root, name, &format!("{} runs; it was started through libvirt", guest.domain));
    } else {
        if handed_over {
            log::warn!("[guest {name}] an earlier start was not given back: that comes first");
            give_back(root, tools, name, End::Unknown, |text| say(root, name, text)).map_err(about("the journal"))?;
        }
        begin(root, tools, &config, guest)?;
    }
    notify(&[NotifyState::Ready, NotifyState::Status("the guest runs".to_owned())]);
    // Where nobody is told otherwise.
    log::info!("the guest runs");
    let _inhibitor = inhibit(root, guest);
    match guest.runner {
        Runner::Libvirt => {
            Libvirt { tools, uri: &guest.uri, domain: &guest.domain, guest: name }.wait_for_end(root, None);
        }
        Runner::Command => {
            if let Some(process) = program::process(root, name) {
                wait_for_process(root, &process, None);
            }
        }
    }
    if let Err(error) = guest::has_ended(root, name) {
        log::debug!("{error}");
    }
    say(root, name, "the guest has ended");
    // Here, and not by the program that systemd runs next, for that would have to be started first, with somebody before a
    // dark screen. What this cannot give back, that one tries once more.
    if let Some(problems) = gives_back(root, tools, name)? {
        problems.iter().for_each(|problem| log::warn!("{problem}; it is tried once more"));
    }
    Ok(ExitCode::SUCCESS)
}

fn is_up(root: &Root, tools: &dyn Tools, guest: &Guest) -> bool {
    match guest.runner {
        Runner::Libvirt => {
            let libvirt = Libvirt { tools, uri: &guest.uri, domain: &guest.domain, guest: &guest.name };
            libvirt.is_up(root) == Some(true)
        }
        Runner::Command => program::process(root, &guest.name).is_some(),
    }
}

fn refuse(root: &Root, name: &str, why: &[String]) {
    state::write_guest_status(root, name, GuestOutcome::Refused, why);
}

/// Hands over and starts the guest. What was done when this fails is given back by the program that runs after us.
fn begin(root: &Root, tools: &dyn Tools, config: &config::Config, guest: &Guest) -> Result<()> {
    let name = &guest.name;
    let clock = Clock::start();
    let until = Instant::now() + guest.start_timeout;
    progress::begin(root, name);
    say(root, name, "checking");
    let plan = start::plan(root, tools, config, guest, Source::Libvirt);
    plan.warnings.iter().for_each(|warning| log::warn!("{}", warning.line()));
    if let Some((last, others)) = plan.refusals.split_last() {
        others.iter().for_each(|refusal| log::error!("{}", refusal.line()));
        refuse(root, name, &plan.refusals.iter().map(Finding::line).collect::<Vec<_>>());
        return Err(last.line());
    }
    let warnings: Vec<String> = plan.warnings.iter().map(Finding::line).collect();
    state::write_guest_status(root, name, GuestOutcome::HandedOver, &warnings);
    let work = Work { root, tools, config, guest, until };
    let started = carry_out(&work, &plan, |step| say(root, name, &step.to_string())).and_then(|()| {
        let left = until.saturating_duration_since(Instant::now()).max(Duration::from_secs(1));
        let begun = match plan.steps.last() {
            Some(GuestStep::StartDomain { uri, domain, .. }) => {
                Libvirt { tools, uri, domain, guest: name }.start(left).map_err(GuestError::from)
            }
            Some(GuestStep::StartCommand { command, user, .. }) => {
                program::start(root, tools, name, (command, user), &plan.functions, left)
            }
            _ => Ok(()),
        };
        begun.map_err(|error| format!("[guest {name}] cannot be started: {error}"))
    });
    started
        .inspect(|()| clock.tell("started"))
        .inspect_err(|why| state::write_guest_status(root, name, GuestOutcome::Failed, std::slice::from_ref(why)))
}

/// How long something takes, and what part of it is ours.
struct Clock {
    begin: Instant,
    waited: Duration,
}

impl Clock {
    fn start() -> Clock {
        Clock { begin: Instant::now(), waited: child::waited() }
    }

    /// Tells the journal; nobody else cares.
    fn tell(&self, what: &str) {
        if !logger::is_read_by_journal() {
            return;
        }
        let (all, waited) = (self.begin.elapsed(), child::waited() - self.waited);
        let ours = all.saturating_sub(waited);
        log::info!("{what} in {} ms, {} ms of it ours", all.as_millis(), ours.as_millis());
    }
}

/// Keeps the machine from sleeping for as long as this program lives: systemd-inhibit ends with its pipe.
fn inhibit(root: &Root, guest: &Guest) -> Option<Child> {
    if !guest.inhibit_sleep || !root.is_system() {
        return None;
    }
    let why = format!("--why=the guest {} has a graphics card", guest.name);
    let mut command = Command::new("systemd-inhibit");
    command.args(["--what=sleep", "--mode=block", "--who=vfio", &why, "cat"]);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
    child.inspect_err(|error| log::warn!("the machine may go to sleep: systemd-inhibit: {error}")).ok()
}

/// Shuts the guest down, and lets `run` see its end.
fn stop(root: &Root, tools: &dyn Tools, name: &str) -> Result<ExitCode> {
    let records = guest::records(root, name).map_err(about("the journal"))?;
    let ended = guest::end_of(root, name) == End::Certain;
    for GuestRecord { step, .. } in records {
        if let Some(patience) = step.starts().filter(|_| !ended) {
            take_time(Duration::from_secs(patience) + GIVING_BACK);
            say(root, name, "shutting the guest down");
            runner::end(root, tools, name, &step).map_err(|error| format!("[guest {name}] {error}"))?;
        }
    }
    // systemd ends `run` when this one has ended: it is given the time to give back.
    match guest::lock(root, name, GIVING_BACK) {
        Ok(_) => Ok(ExitCode::SUCCESS),
        Err(error) => Err(about("/run/vfio/guest-locks")(error)),
    }
}

/// Gives everything back.
fn give_all_back(root: &Root, tools: &dyn Tools, name: &str) -> Result<ExitCode> {
    let lock = guest::lock(root, name, PATIENCE).map_err(about("/run/vfio/guest-locks"))?;
    let Some(_lock) = lock else {
        return Err(format!("[guest {name}] its cards stay where they are: another program is at work for it"));
    };
    let records = guest::records(root, name).map_err(about("the journal"))?;
    if let Some(patience) = records.iter().find_map(|record| record.step.starts()) {
        take_time(Duration::from_secs(patience) + GIVING_BACK);
    }
    match gives_back(root, tools, name)? {
        None => Ok(ExitCode::SUCCESS),
        Some(problems) => {
            problems.iter().for_each(|problem| log::error!("{problem}"));
            Ok(ExitCode::from(2))
        }
    }
}

/// Gives back what the guest has, with its lock held; what could not be given back, a sentence each.
fn gives_back(root: &Root, tools: &dyn Tools, name: &str) -> Result<Option<Vec<String>>> {
    let clock = Clock::start();
    let problems = give_back(root, tools, name, guest::end_of(root, name), |text| say(root, name, text))
        .map_err(about("the journal"))?;
    if problems.as_ref().is_some_and(Vec::is_empty) {
        clock.tell("given back");
        say(root, name, "everything is back with the host");
    }
    Ok(problems.filter(|problems| !problems.is_empty()))
}
