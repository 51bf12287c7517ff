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
use vfio_suite::config;
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
    let guest = options.guest.as_deref();
    let mut checks = Vec::new();
    if options.last {
        checks = parts::last(root, &config, guest);
    } else {
        let asked = PARTS.iter().filter(|part| match options.only {
            Some(only) => only == **part,
            // How the machine boots and what its other cards do is not this guest's.
            None => guest.is_none() || matches!(part, DoctorPart::Guests | DoctorPart::Logs),
        });
        for part in asked {
            let found = parts::look(root, &config, *part, guest, &checks);
            checks.extend(found);
        }
    }
    let fixes = fix::fixes(&checks);
    let worst = checks.iter().map(|check| check.severity).max();
    if out.is_json() {
        out.json("vfio.doctor/1", &Answer { worst, checks, fixes })?;
    } else {
        // Who asks for a part wants to see what is well in it, too.
        out.text(&show::text(&checks, options.only.is_some() || options.all || options.last, out))?;
        if options.fix && worst >= Some(Severity::Warning) {
            return fix::run(root, out, options, &checks);
        }
    }
    Ok(match worst {
        Some(Severity::Error) => Exit::Errors,
        Some(Severity::Warning) => Exit::No,
        Some(Severity::Ok | Severity::Note) | None => Exit::Done,
    })
}
