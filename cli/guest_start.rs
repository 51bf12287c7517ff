// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio guest start` and `vfio guest status --watch`: what a start costs is said before it, what happens as it happens.

use crate::arguments::StartOptions;
use crate::guest::{rows, Row};
use crate::output::Output;
use crate::{check, Answer as Exit};
use anyhow::bail;
use serde::Serialize;
use std::time::Duration;
use vfio_suite::act::backend::tools::{ToolError, Tools};
use vfio_suite::act::guest::probe::Source;
use vfio_suite::act::guest::{self, progress, start};
use vfio_suite::config::{self, Config, Guest};
use vfio_suite::host::run::guest_progress;
use vfio_suite::host::run::guest_status::{self, GuestOutcome};
use vfio_suite::host::{Depth, Host};
use vfio_suite::logger::complain;
use vfio_suite::root::Root;

/// Between two looks at what a guest's program has done.
const OFTEN: Duration = Duration::from_millis(100);

#[derive(Serialize)]
struct Answer<'a> {
    guest: &'a str,
    /// Whether the guest runs now.
    runs: bool,
    /// Whether it was started by this.
    changed: bool,
    why: Vec<String>,
}

/// Starts the unit: a hand-over must not be a child of the session that it ends.
pub fn begin(root: &Root, tools: &dyn Tools, out: &Output, options: &StartOptions) -> anyhow::Result<Exit> {
    let name = options.name.as_str();
    let config = config::load(root);
    check::report(&config);
    let section = start::section(&config, name).map_err(anyhow::Error::msg)?;
    if !options.yes && !may_begin(root, tools, out, &config, section)? {
        out.line(format_args!("[guest {name}] is not started"))?;
        return Ok(Exit::No);
    }
    let limit = section.start_timeout + section.stop_timeout + Duration::from_secs(300);
    let unit = guest::unit(name);
    let mut shown = Shown::from_now();
    let started = std::thread::scope(|scope| {
        let starting = scope.spawn(|| tools.run(&["systemctl", "start", "--", &unit], limit));
        while !starting.is_finished() {
            shown.show(root, out, name)?;
            std::thread::sleep(OFTEN);
        }
        shown.show(root, out, name)?;
        match starting.join() {
            Ok(started) => Ok(started),
            Err(_) => bail!("the start of {unit} was lost"),
        }
    })?;
    end(root, out, &config, name, started, &shown)
}

/// Asks where somebody can be asked and a session would end.
fn may_begin(root: &Root, tools: &dyn Tools, out: &Output, config: &Config, guest: &Guest) -> anyhow::Result<bool> {
    if !out.can_ask() {
        return Ok(true);
    }
    let plan = start::plan(root, tools, config, guest, Source::Libvirt);
    // What is refused ends nothing, and the unit says why.
    if !plan.refusals.is_empty() || !plan.meanwhile.ends_sessions() {
        return Ok(true);
    }
    let mut text = out.lines();
    plan.meanwhile.losses().iter().for_each(|loss| text.line(loss));
    plan.warnings.iter().for_each(|warning| text.line(format_args!("warning: {}", warning.line())));
    plan.meanwhile.returns().iter().for_each(|line| text.line(line));
    out.text(&text)?;
    Ok(out.ask(&format!("Start [guest {}]?", guest.name))?.unwrap_or(true))
}

/// Says how it ended.
fn end(
    root: &Root,
    out: &Output,
    config: &Config,
    name: &str,
    started: Result<String, ToolError>,
    shown: &Shown,
) -> anyhow::Result<Exit> {
    let time = shown.seconds().map(|seconds| format!(" ({seconds:.1} s)")).unwrap_or_default();
    let Err(error) = started else {
        // The unit's condition counts as success.
        let idle = vfio_suite::plan::idle(config, &Host::scan(root, Depth::Boot));
        let runs = idle.is_none();
        if out.is_json() {
            let why = idle.clone().into_iter().collect();
            out.json("vfio.guest-start/1", &Answer { guest: name, runs, changed: runs, why })?;
        }
        match idle {
            Some(why) => complain(format_args!("vfio: [guest {name}] was not started: {why}")),
            None if out.is_json() => {}
            None => out.line(format_args!("[guest {name}] runs{time}"))?,
        }
        return Ok(if runs { Exit::Done } else { Exit::No });
    };
    let status = guest_status::read(root, name);
    let refused = status.as_ref().is_some_and(|status| status.outcome == GuestOutcome::Refused);
    let why = status.map(|status| status.why).unwrap_or_default();
    if out.is_json() {
        out.json("vfio.guest-start/1", &Answer { guest: name, runs: false, changed: !refused, why: why.clone() })?;
    } else if shown.seconds().is_some() {
        let how = if refused { "was refused" } else { "failed" };
        out.line(format_args!("[guest {name}] {how}{time}"))?;
    }
    why.iter().for_each(|why| complain(format_args!("vfio: {why}")));
    if why.is_empty() {
        let error = error.to_string();
        bail!("{}; 'journalctl -u {}' says why", error.trim_end_matches('.'), guest::unit(name));
    }
    Ok(Exit::Errors)
}

/// What has been shown of a guest's progress.
struct Shown {
    /// When it began, in milliseconds since the machine's start: what is older is not shown.
    since: u64,
    lines: usize,
    /// When the first thing and the last were begun.
    span: Option<(u64, u64)>,
}

impl Shown {
    fn from_now() -> Shown {
        Shown { since: progress::uptime().as_millis() as u64, lines: 0, span: None }
    }

    /// All since the last start.
    fn from_start() -> Shown {
        Shown { since: 0, ..Shown::from_now() }
    }

    /// Shows what has come since.
    fn show(&mut self, root: &Root, out: &Output, name: &str) -> anyhow::Result<()> {
        let all = guest_progress::read(root, name);
        // A start forgets what was before it.
        if all.len() < self.lines {
            (self.lines, self.span) = (0, None);
        }
        for step in all.iter().skip(self.lines).filter(|step| step.at >= self.since) {
            let (first, _) = *self.span.get_or_insert((step.at, step.at));
            self.span = Some((first, step.at));
            if !out.is_json() {
                let seconds = step.at.saturating_sub(first) as f64 / 1000.0;
                out.line(format_args!("{seconds:7.1} s  {}", step.text))?;
            }
        }
        self.lines = all.len();
        Ok(())
    }

    /// How long it has taken since the first thing that was shown.
    fn seconds(&self) -> Option<f64> {
        let (first, _) = self.span?;
        let now = progress::uptime().as_millis() as u64;
        Some(now.saturating_sub(first) as f64 / 1000.0)
    }
}

/// Shows how a guest is, and what changes, until the reader has gone.
pub fn watch(root: &Root, out: &Output, name: &str) -> anyhow::Result<Exit> {
    let config = config::load(root);
    let row = |config: &Config| rows(root, config).into_iter().find(|row| row.is_of(name));
    let mut last = row(&config);
    // Of a start that has ended the steps are over.
    let mut shown = if last.as_ref().is_some_and(Row::has_cards) { Shown::from_start() } else { Shown::from_now() };
    show_row(out, last.as_ref())?;
    loop {
        shown.show(root, out, name)?;
        let now = row(&config);
        if now != last {
            show_row(out, now.as_ref())?;
            last = now;
        }
        if out.reader_has_gone(OFTEN)? {
            return Ok(last.filter(|row| !row.is_well()).map_or(Exit::Done, |_| Exit::No));
        }
    }
}

fn show_row(out: &Output, row: Option<&Row>) -> anyhow::Result<()> {
    match row {
        Some(row) if out.is_json() => out.json("vfio.guest/1", row),
        Some(row) => out.text(&row.text(out)),
        None => Ok(()),
    }
}
