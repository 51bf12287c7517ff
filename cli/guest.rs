// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio guest`: what guests there are, how each is, what a start would do; start, stop, give back.

use crate::arguments::GuestVerb;
use crate::output::{self, Output, Text};
use crate::{check, guest_define, guest_edit, guest_notify, guest_start, Answer as Exit};
use anyhow::{bail, Context};
use serde::Serialize;
use std::time::Duration;
use vfio_suite::act::backend::tools::Tools;
use vfio_suite::act::backend::tools_for;
use vfio_suite::act::guest::give_back::{give_back, End};
use vfio_suite::act::guest::probe::Source;
use vfio_suite::act::guest::{self, services, start};
use vfio_suite::act::{lock, state};
use vfio_suite::config::{self, Config, Runner};
use vfio_suite::finding::codes;
use vfio_suite::finding::{Finding, Part, Severity};
use vfio_suite::host::run::guest_status::{self, GuestOutcome};
use vfio_suite::logger::complain;
use vfio_suite::root::{Root, RUN};

/// How long to wait for the guest's own programs.
const PATIENCE: Duration = Duration::from_secs(5);

/// Carries out a verb.
pub fn run(root: &Root, out: &Output, verb: &GuestVerb) -> anyhow::Result<Exit> {
    let tools = tools_for(root);
    let tools = tools.as_ref();
    match verb {
        GuestVerb::List => list(root, out),
        GuestVerb::Status(options) if options.watch => guest_start::watch(root, out, &options.name),
        GuestVerb::Status(options) => show(root, out, &options.name),
        GuestVerb::Plan(guest) => plan(root, tools, out, &guest.name),
        GuestVerb::Define(options) => guest_define::run(root, tools, out, options),
        GuestVerb::Edit(options) => guest_edit::run(root, tools, out, options),
        GuestVerb::Start(options) => guest_start::begin(root, tools, out, options),
        GuestVerb::Stop(guest) => stop(root, tools, out, &guest.name),
        GuestVerb::Restore(guest) => restore(root, tools, out, &guest.name),
        GuestVerb::Notify => guest_notify::run(root, tools, out),
    }
}

/// How a guest is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    /// It has its cards.
    HasCards,
    /// It has none; its last start, if there was one, went well.
    Off,
    /// Its last start was refused or failed.
    Failed,
    /// Something could not be given back.
    Stuck,
}

/// One guest, as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    guest: String,
    /// The libvirt domain; null for a guest that is a command.
    domain: Option<String>,
    gpus: Vec<String>,
    state: State,
    last: Option<GuestOutcome>,
    why: Vec<String>,
}

fn row(root: &Root, config: &Config, name: &str) -> Row {
    let section = config.guest(name);
    let last = guest_status::read(root, name);
    // Its content is root's alone to read; that it is there is enough.
    let has_cards = root.exists(&guest::journal_path(name));
    let state = match last.as_ref().map(|s| s.outcome) {
        Some(GuestOutcome::Stuck) => State::Stuck,
        Some(GuestOutcome::Failed) => State::Failed,
        _ if has_cards => State::HasCards,
        Some(GuestOutcome::Refused) => State::Failed,
        _ => State::Off,
    };
    Row {
        guest: name.to_owned(),
        domain: section.filter(|g| g.runner == Runner::Libvirt).map(|g| g.domain.clone()),
        gpus: section.map(|g| g.gpus.value.clone()).unwrap_or_default(),
        state,
        last: last.as_ref().map(|s| s.outcome),
        why: last.map(|s| s.why).unwrap_or_default(),
    }
}

fn word(state: State, out: &Output) -> String {
    match state {
        State::HasCards => out.good("has its cards"),
        State::Off => "off".to_owned(),
        State::Failed => out.bad("did not start"),
        State::Stuck => out.bad("not all is back with the host"),
    }
}

impl Row {
    /// Whether there is nothing to say of it.
    pub fn is_quiet(&self) -> bool {
        self.state == State::Off
    }

    /// Whether it is as it was asked to be.
    pub fn is_well(&self) -> bool {
        matches!(self.state, State::HasCards | State::Off)
    }

    /// The `[guest]` section's name.
    pub fn name(&self) -> &str {
        &self.guest
    }

    /// Whether it is the guest of this name.
    pub fn is_of(&self, name: &str) -> bool {
        self.guest == name
    }

    /// Whether it has its cards now.
    pub fn has_cards(&self) -> bool {
        self.state == State::HasCards
    }

    /// Whether its last start was refused before anything was touched.
    pub fn was_refused(&self) -> bool {
        self.last == Some(GuestOutcome::Refused)
    }

    /// What is not well with it, as something that was found in a part of the machine.
    pub fn trouble(&self, part: Part) -> Vec<Finding> {
        if self.is_well() {
            return Vec::new();
        }
        let severity = if self.is_stuck() { Severity::Error } else { Severity::Warning };
        let what = if self.is_stuck() { "not all is back with the host" } else { "the last start failed" };
        let why: Vec<&str> = self.why.iter().map(|why| Finding::without_code(why)).collect();
        let text = format!("[guest {}] {what}: {}", self.guest, why.join("; "));
        let finding = Finding::check(part, "last", severity, codes::GUEST_NOT_WELL, text);
        let todo = format!("run 'vfio guest restore {}' to try again", self.guest);
        vec![if self.is_stuck() { finding.hint(todo) } else { finding }]
    }

    /// When that was written, in seconds since 1970.
    pub fn changed(&self, root: &Root) -> Option<i64> {
        root.stat(&guest_status::path(&self.guest)).ok().map(|stat| stat.st_mtime)
    }

    /// Whether something of it could not be given back.
    pub fn is_stuck(&self) -> bool {
        self.state == State::Stuck
    }

    /// Its state, why, and the way out.
    pub fn text(&self, out: &Output) -> Text {
        let name = &self.guest;
        let mut text = out.lines();
        text.line(format_args!("{}: {}", out.bold(&format!("[guest {name}]")), word(self.state, out)));
        self.why.iter().for_each(|why| text.line(format_args!("  {why}")));
        if self.is_stuck() {
            text.line(format_args!("  'vfio guest restore {name}' tries again"));
        }
        text
    }
}

/// The guests of the configuration, and those that still have something.
pub fn rows(root: &Root, config: &Config) -> Vec<Row> {
    let mut names: Vec<String> = config.guests.iter().map(|g| g.name.clone()).collect();
    names.extend(guest::with_journal(root));
    names.extend(guest_status::all(root).into_iter().filter(|s| s.outcome == GuestOutcome::Stuck).map(|s| s.guest));
    let mut rows: Vec<Row> = Vec::new();
    for name in names {
        if !rows.iter().any(|r| r.guest == name) {
            rows.push(row(root, config, &name));
        }
    }
    rows
}

/// Lists the guests of the configuration, and those that still have something.
fn list(root: &Root, out: &Output) -> anyhow::Result<Exit> {
    let config = config::load(root);
    check::report(&config);
    let rows = rows(root, &config);
    let well = if rows.iter().all(Row::is_well) { Exit::Done } else { Exit::No };
    if out.is_json() {
        #[derive(Serialize)]
        struct Answer {
            guests: Vec<Row>,
        }
        out.json("vfio.guests/1", &Answer { guests: rows })?;
    } else if rows.is_empty() {
        out.line("no guest is configured: see /etc/vfio.conf")?;
    } else {
        let cells = |r: &Row| {
            vec![
                format!("[guest {}]", r.guest),
                word(r.state, out),
                r.gpus.join(", "),
                r.domain.clone().unwrap_or_default(),
            ]
        };
        let mut text = out.lines();
        text.table(&rows.iter().map(cells).collect::<Vec<_>>());
        out.text(&text)?;
    }
    Ok(check::code(&config).max(well))
}

/// Says how one guest is.
fn show(root: &Root, out: &Output, name: &str) -> anyhow::Result<Exit> {
    let config = config::load(root);
    check::report(&config);
    let row = row(root, &config, name);
    if config.guest(name).is_none() && row.last.is_none() && row.state == State::Off {
        bail!("{}", start::section(&config, name).err().unwrap_or_default());
    }
    if out.is_json() {
        out.json("vfio.guest/1", &row)?;
    } else {
        out.text(&row.text(out))?;
    }
    Ok(check::code(&config).max(if row.is_well() { Exit::Done } else { Exit::No }))
}

/// Says what a start would do.
fn plan(root: &Root, tools: &dyn Tools, out: &Output, name: &str) -> anyhow::Result<Exit> {
    let config = config::load(root);
    check::report(&config);
    let section = start::section(&config, name).map_err(anyhow::Error::msg)?;
    let plan = start::plan(root, tools, &config, section, Source::Libvirt);
    output::warn_of_unseen(root);
    if out.is_json() {
        out.json("vfio.guest-plan/1", &plan)?;
    } else {
        let mut text = out.lines();
        plan.meanwhile.losses().iter().for_each(|loss| text.line(loss));
        plan.refusals.iter().for_each(|r| text.line(out.bad(&format!("refused: {}", r.line()))));
        plan.warnings.iter().for_each(|w| text.line(format_args!("warning: {}", w.line())));
        plan.steps.iter().enumerate().for_each(|(n, step)| text.line(format_args!("{:2}. {step}", n + 1)));
        plan.meanwhile.returns().iter().for_each(|line| text.line(line));
        out.text(&text)?;
    }
    Ok(check::code(&config).max(if plan.refusals.is_empty() { Exit::Done } else { Exit::No }))
}

/// Stops the unit, which gives everything back; what has no unit is given back here.
fn stop(root: &Root, tools: &dyn Tools, out: &Output, name: &str) -> anyhow::Result<Exit> {
    let has_cards = root.exists(&guest::journal_path(name));
    if !has_cards {
        // A name that nobody knows is a mistake, not a guest that is off.
        start::section(&config::load(root), name).map_err(anyhow::Error::msg)?;
    }
    tools.run(&["systemctl", "stop", "--", &guest::unit(name)], Duration::from_secs(3600))?;
    if root.exists(&guest::journal_path(name)) {
        return give_all_back(root, tools, out, name);
    }
    out.line(format_args!("[guest {name}] is off"))?;
    Ok(Exit::Done)
}

/// Gives back what a guest has without its unit, for the case that this has failed.
fn restore(root: &Root, tools: &dyn Tools, out: &Output, name: &str) -> anyhow::Result<Exit> {
    let active = services::units(tools, &[&guest::unit(name)])?
        .into_iter()
        .any(|(_, u)| u.state != "inactive" && u.state != "failed");
    if active {
        // systemd would wait for minutes before it wakes it up.
        if let Some((_, true)) = guest_lock_holder(root, name) {
            bail!(at_work(root, name));
        }
        return stop(root, tools, out, name);
    }
    give_all_back(root, tools, out, name)
}

fn guest_lock_holder(root: &Root, name: &str) -> Option<(u32, bool)> {
    lock::holder(root, &format!("{RUN}/guest-locks/{name}"))
}

/// Who is at work for a guest, and what to do about it.
fn at_work(root: &Root, name: &str) -> String {
    match guest_lock_holder(root, name) {
        Some((process, true)) => format!(
            "[guest {name}] process {process}, which is at work for it, is stopped: 'kill -CONT {process}' lets it go on; \
             'kill -KILL {process}' ends it, and then 'vfio guest restore {name}' gives back what is left"
        ),
        Some((process, false)) => format!(
            "[guest {name}] process {process} is at work for it: wait until it has ended, or stop the guest by \
             'vfio guest stop {name}'"
        ),
        None => format!("[guest {name}] another program is at work for it: try again when it has ended"),
    }
}

fn give_all_back(root: &Root, tools: &dyn Tools, out: &Output, name: &str) -> anyhow::Result<Exit> {
    let Some(_lock) = guest::lock(root, name, PATIENCE).context("/run/vfio/guest-locks")? else {
        bail!(at_work(root, name));
    };
    match give_back(root, tools, name, End::Unknown, |_| {}).context("the journal")? {
        None => {
            // What was said of something that is not there any more is over.
            if guest_status::read(root, name).is_some_and(|status| status.outcome == GuestOutcome::Stuck) {
                state::write_guest_status(root, name, GuestOutcome::Returned, &[]);
            }
            out.line(format_args!("[guest {name}] has nothing to give back"))?;
        }
        Some(problems) if problems.is_empty() => {
            out.line(format_args!("[guest {name}] everything is back with the host"))?;
        }
        Some(problems) => {
            problems.iter().for_each(|problem| complain(format_args!("vfio: {problem}")));
            return Ok(Exit::Errors);
        }
    }
    Ok(Exit::Done)
}
