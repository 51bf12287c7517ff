// SPDX-License-Identifier: LGPL-2.1-or-later
//! Making the system ready for guests, and undoing it: a record in `/var/lib/vfio/setup`, synced, before each step.

use super::files;
use super::guest::services::{blocks, value};
use super::journal::Journal;
use super::lock::{Lock, LockError};
use crate::act::backend::tools::{ToolError, Tools};
use crate::host::{accounts, networks};
use crate::journal;
use crate::plan::setup::{self, Init, Record, Service, SetupContext, SetupStep};
use crate::root::{Root, RUN, STATE};
use crate::text::shell_command;
use std::io;
use std::time::Duration;

/// A unit may take systemd's 90 s to start.
const DEADLINE: Duration = Duration::from_secs(100);
/// For another program of ours that does the same.
const PATIENCE: Duration = Duration::from_secs(120);
/// systemd disables more than it is told to, which is enabled again after that.
const ROUNDS: u32 = 3;

/// Why the system was not set up, or not as it was before.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A step of several did not come about.
    #[error("{0}; 'vfio setup --services --undo' takes back what was done, the same command again goes on")]
    Step(Box<SetupError>),
    /// The programs say that all is well, and it is not.
    #[error("'{commands}' succeeded, and nothing came of it")]
    NothingCame {
        /// What was run.
        commands: String,
    },
    /// Guests would lose their network, or who looks after them.
    #[error("shut down what runs first: {names}")]
    GuestsRun {
        /// Their domains.
        names: String,
    },
    /// The journal cannot be written.
    #[error("/{place}: {0}", place = path())]
    Journal(io::Error),
    /// The journal cannot be read.
    #[error("/{place}: it does not say what was set up: {0}", place = path())]
    Unread(io::Error),
    /// A program of the system.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// What there is cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What was done, one JSON record a line.
pub fn path() -> String {
    format!("{STATE}/setup")
}

/// One at a time.
pub fn lock(root: &Root) -> Result<Lock, LockError> {
    Lock::take_within(root, &format!("{RUN}/setup-lock"), PATIENCE)
}

/// What there is.
pub fn probe_context(root: &Root, tools: &dyn Tools) -> Result<SetupContext, SetupError> {
    // As sd_booted(3) and OpenRC's own scripts ask.
    let init = match () {
        () if root.exists("run/systemd/system") => Some(Init::Systemd),
        () if root.exists("run/openrc") => Some(Init::OpenRc),
        () => None,
    };
    let services = match init {
        Some(Init::Systemd) => units(tools)?,
        Some(Init::OpenRc) => openrc(root)?,
        None => Vec::new(),
    };
    let network = networks::find(root, setup::NETWORK);
    let network = network.map_err(|error| error.to_string()).transpose();
    Ok(SetupContext { init, services, network, users: accounts::users(root)?, groups: accounts::groups(root)? })
}

/// libvirt's units that are there.
fn units(tools: &dyn Tools) -> Result<Vec<Service>, ToolError> {
    let mut names: Vec<String> = setup::UNITS.iter().map(|unit| (*unit).to_owned()).collect();
    for driver in setup::DRIVERS {
        names.extend([".service", ".socket", "-ro.socket", "-admin.socket"].map(|kind| format!("virt{driver}d{kind}")));
    }
    let mut words = vec!["systemctl", "show", "--property=Id,LoadState,ActiveState,UnitFileState", "--"];
    words.extend(names.iter().map(String::as_str));
    let text = tools.run(&words, DEADLINE)?;
    let service = |block: Vec<(&str, &str)>| Service {
        name: value(&block, "Id").to_owned(),
        enabled: value(&block, "UnitFileState") == "enabled",
        active: matches!(value(&block, "ActiveState"), "active" | "activating" | "reloading"),
        masked: value(&block, "LoadState") == "masked",
    };
    let there = |block: &Vec<(&str, &str)>| !matches!(value(block, "LoadState"), "not-found" | "");
    Ok(blocks(&text).filter(there).map(service).collect())
}

/// libvirt's scripts of OpenRC, by the links that it keeps.
fn openrc(root: &Root) -> io::Result<Vec<Service>> {
    let list = |path: &str| match root.list(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        names => names,
    };
    let started = list("run/openrc/started")?;
    let mut enabled = Vec::new();
    for level in list("etc/runlevels")? {
        enabled.extend(list(&format!("etc/runlevels/{level}"))?);
    }
    let there = setup::OPENRC_SERVICES.iter().filter(|name| root.exists(&format!("etc/init.d/{name}")));
    let service = |name: &&str| Service {
        name: (*name).to_owned(),
        enabled: enabled.iter().any(|other| other == name),
        active: started.iter().any(|other| other == name),
        masked: false,
    };
    Ok(there.map(service).collect())
}

/// The records of what was done; none if nothing was.
pub fn records(root: &Root) -> Result<Vec<Record>, SetupError> {
    journal::read_all(root, &path()).map_err(SetupError::Unread)
}

fn run(tools: &dyn Tools, words: &[String], progress: &mut dyn FnMut(&str)) -> Result<(), ToolError> {
    progress(&shell_command(words));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    tools.run(&words, DEADLINE).map(drop)
}

/// Makes steps so, one after the other, until one fails.
pub fn carry_out(
    root: &Root,
    tools: &dyn Tools,
    steps: &[SetupStep],
    progress: &mut dyn FnMut(&str),
) -> Result<(), SetupError> {
    for step in steps {
        carry_out_step(root, tools, step, progress).map_err(|error| SetupError::Step(Box::new(error)))?;
    }
    Ok(())
}

fn carry_out_step(
    root: &Root,
    tools: &dyn Tools,
    step: &SetupStep,
    progress: &mut dyn FnMut(&str),
) -> Result<(), SetupError> {
    let before = probe_context(root, tools)?;
    let noted = Journal::open(root, &path()).and_then(|mut journal| journal.add(&before.record(step)));
    noted.map_err(SetupError::Journal)?;
    // A step before it may have brought it about: libvirt starts the networks that it is to start.
    if !before.is_so(step) {
        setup::commands(step, &before).iter().try_for_each(|words| run(tools, words, progress))?;
    }
    if probe_context(root, tools)?.is_so(step) {
        Ok(())
    } else {
        let commands: Vec<String> = setup::commands(step, &before).iter().map(|words| shell_command(words)).collect();
        Err(SetupError::NothingCame { commands: commands.join("; ") })
    }
}

/// Why nothing may be undone now: guests that run would lose their network, or who looks after them.
pub fn in_the_way(root: &Root, tools: &dyn Tools, records: &[Record]) -> Result<(), SetupError> {
    if !records.iter().any(setup::disturbs_guests) || !probe_context(root, tools)?.libvirt_answers() {
        return Ok(());
    }
    let words = setup::running_guests();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let names = tools.run(&words, DEADLINE)?;
    let names: Vec<&str> = names.split_whitespace().collect();
    match names.as_slice() {
        [] => Ok(()),
        names => Err(SetupError::GuestsRun { names: names.join(", ") }),
    }
}

/// Undoes what was done, the last first. What cannot be undone stays written down, with one sentence each.
pub fn undo(root: &Root, tools: &dyn Tools, progress: &mut dyn FnMut(&str)) -> Result<Vec<String>, SetupError> {
    let records = records(root)?;
    in_the_way(root, tools, &records)?;
    let (mut left, mut problems) = (Vec::new(), Vec::new());
    for record in records.into_iter().rev() {
        // Without libvirt nobody could put its network back.
        if setup::waits_for_network(&record, &left) {
            left.insert(0, record);
            continue;
        }
        if let Err(error) = undo_record(root, tools, &record, progress) {
            problems.push(error.to_string());
            left.insert(0, record);
        }
    }
    let saved = match left.as_slice() {
        [] => files::remove(root, &path()),
        left => left
            .iter()
            .map(|record| Ok(serde_json::to_string(record)? + "\n"))
            .collect::<io::Result<String>>()
            .and_then(|text| files::replace(root, &path(), text.as_bytes())),
    };
    saved.map_err(SetupError::Journal)?;
    Ok(problems)
}

fn undo_record(
    root: &Root,
    tools: &dyn Tools,
    record: &Record,
    progress: &mut dyn FnMut(&str),
) -> Result<(), SetupError> {
    let mut now = probe_context(root, tools)?;
    for _ in 0..ROUNDS {
        let commands = setup::undo(record, &now);
        if commands.is_empty() {
            return Ok(());
        }
        commands.iter().try_for_each(|words| run(tools, words, progress))?;
        now = probe_context(root, tools)?;
    }
    match setup::undo(record, &now).first() {
        None => Ok(()),
        Some(words) => Err(SetupError::NothingCame { commands: shell_command(words) }),
    }
}
