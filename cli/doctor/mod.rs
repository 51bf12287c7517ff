// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio doctor`: what is well and what is not, why, and what to do about it.

mod explain;
mod fix;
mod parts;
mod show;

use crate::arguments::{DoctorOptions, DoctorPart};
use crate::output::Output;
use crate::Answer as Exit;
use serde::Serialize;
use vfio_suite::act::guest::start;
use vfio_suite::config::{self, Config};
use vfio_suite::finding::{Finding, Severity};
use vfio_suite::root::Root;

#[derive(Serialize)]
struct Answer {
    /// How bad the worst finding is; null if there is none.
    worst: Option<Severity>,
    checks: Vec<Finding>,
    /// What `--fix` would run.
    fixes: Vec<fix::Fix>,
}

/// All parts, in the order in which they are looked at: what an earlier one says a later one does not say again.
const PARTS: [DoctorPart; 7] = [
    DoctorPart::Boot,
    DoctorPart::Reset,
    DoctorPart::Display,
    DoctorPart::Cards,
    DoctorPart::Guests,
    DoctorPart::System,
    DoctorPart::Logs,
];

/// Looks at all parts, or at one.
pub fn run(root: &Root, out: &Output, options: &DoctorOptions) -> anyhow::Result<Exit> {
    if let Some(line) = &options.explain {
        return explain::run(out, line);
    }
    let config = config::load(root);
    if let Some(guest) = &options.guest {
        start::section(&config, guest).map_err(anyhow::Error::msg)?;
    }
    let checks = look(root, &config, options);
    if out.is_json() {
        let (worst, fixes) = (worst(&checks), fix::fixes(&checks));
        out.json("vfio.doctor/1", &Answer { worst, checks: checks.clone(), fixes })?;
        return Ok(code(&checks));
    }
    // Who asks for a part wants to see what is well in it, too.
    let with_well = options.only.is_some() || options.all || options.last;
    out.text(&show::text(&checks, with_well, out))?;
    if !options.fix || worst(&checks) < Some(Severity::Warning) {
        return Ok(code(&checks));
    }
    match fix::run(root, out, options, &checks)? {
        Err(code) => Ok(code),
        // One fix may have put right what another finding was about, and may have failed: what is left is looked for.
        Ok(made) => {
            let left = look(root, &config::load(root), options);
            out.text(&show::text(&left, false, out))?;
            Ok(if made == Exit::Errors { code(&left).max(made) } else { code(&left) })
        }
    }
}

/// How bad the worst of it is.
fn worst(checks: &[Finding]) -> Option<Severity> {
    checks.iter().map(|check| check.severity).max()
}

fn code(checks: &[Finding]) -> Exit {
    match worst(checks) {
        Some(Severity::Error) => Exit::Errors,
        Some(Severity::Warning) => Exit::No,
        Some(Severity::Ok | Severity::Note) | None => Exit::Done,
    }
}

/// All that is asked for.
fn look(root: &Root, config: &Config, options: &DoctorOptions) -> Vec<Finding> {
    let guest = options.guest.as_deref();
    let machine = parts::Machine::scan(root, config);
    let mut checks = Vec::new();
    if options.last {
        checks = parts::last(&machine, guest);
    } else {
        let asked = PARTS.iter().filter(|part| match options.only {
            Some(only) => only == **part,
            // How the machine boots and what its other cards do is not this guest's.
            None => guest.is_none() || matches!(part, DoctorPart::Guests | DoctorPart::Logs),
        });
        for part in asked {
            let found = parts::look(&machine, *part, guest, &checks);
            checks.extend(found);
        }
    }
    checks
}
