// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio doctor`: what is well and what is not, why, and what to do about it.

use crate::output::{Output, Text};
use crate::{DoctorPart, DONE, ERRORS, NO};
use serde::Serialize;
use vfio_suite::act::boot::sync::Look;
use vfio_suite::config;
use vfio_suite::host::iommu::Iommu;
use vfio_suite::host::run::{boot_counter, sync_report};
use vfio_suite::host::{Depth, Host};
use vfio_suite::plan::cmdline::{self, status::status, Options};
use vfio_suite::plan::doctor::{self, BootFacts, Check, Level};
use vfio_suite::plan::iommu::why_off;
use vfio_suite::plan::{boot as next_boot, display, reset_now};
use vfio_suite::root::Root;
use vfio_suite::survey;

#[derive(Serialize)]
struct Answer {
    /// How bad the worst finding is; null if there is none.
    worst: Option<Level>,
    checks: Vec<Check>,
}

/// Whether edits are noticed: the path unit is enabled, by the administrator or by the package.
fn is_watched(root: &Root) -> bool {
    let places = ["etc/systemd/system", "usr/lib/systemd/system", "run/systemd/system"];
    let links = places.iter().map(|place| format!("{place}/paths.target.wants/vfio-sync.path"));
    // A link to a unit that is not there is none.
    links.into_iter().any(|link| root.exists(&link))
}

fn boot(root: &Root) -> Vec<Check> {
    let look = Look::at(root, true);
    let record = look.record.clone().unwrap_or_default();
    let words: Vec<String> = look.words.iter().map(|word| word.word.clone()).collect();
    let plan = cmdline::plan(&look.system, &words, &record, &Options::default());
    let iommu = Iommu::scan(root);
    let status = status(&look.system, look.words.clone(), &record);
    doctor::boot(&BootFacts {
        config: &look.config,
        system: &look.system,
        status: look.record.as_ref().map(|_| &status).map_err(String::as_str),
        problems: &plan.problems,
        notes: &plan.notes,
        initramfs: &look.initramfs,
        report: sync_report::read(root).as_ref(),
        watched: is_watched(root),
        no_iommu: (!iommu.active || !Iommu::covers_pci(root)).then(|| why_off(&iommu, &look.system.words)).as_deref(),
        counter: boot_counter::obstacle(root).as_ref(),
    })
}

fn resets(root: &Root) -> Vec<Check> {
    let config = config::load(root);
    let (choices, host) = survey::all_now(root, &config);
    choices.iter().flat_map(|choice| reset_now::checks(choice, &host)).collect()
}

fn displays(root: &Root) -> Vec<Check> {
    let config = config::load(root);
    if config.gpus.is_empty() {
        return Vec::new();
    }
    let host = Host::scan(root, Depth::Full);
    display::checks(&next_boot::choices(&config, &next_boot::at_next_boot(&host)), &host)
}

/// Looks at all parts, or at one.
pub fn run(root: &Root, out: &Output, only: Option<DoctorPart>) -> anyhow::Result<u8> {
    let checks = match only {
        Some(DoctorPart::Boot) => boot(root),
        Some(DoctorPart::Reset) => resets(root),
        Some(DoctorPart::Display) => displays(root),
        None => [boot(root), resets(root), displays(root)].concat(),
    };
    let worst = checks.iter().map(|check| check.level).max();
    if out.is_json() {
        out.json("vfio.doctor/1", &Answer { worst, checks })?;
    } else {
        out.text(&text(&checks, out))?;
    }
    Ok(match worst {
        Some(Level::Error) => ERRORS,
        Some(Level::Warning) => NO,
        Some(Level::Ok | Level::Note) | None => DONE,
    })
}

fn text(checks: &[Check], out: &Output) -> Text {
    let mut text = out.lines();
    if checks.is_empty() {
        text.line("nothing is configured, and nothing of vfio is in the way the machine boots");
    }
    for check in checks {
        let word = match check.level {
            Level::Ok => out.good("ok"),
            Level::Note => "note".to_owned(),
            Level::Warning => out.bad("warning"),
            Level::Error => out.bad("error"),
        };
        text.line(format_args!("{word}: {}", check.text));
        check.todo.iter().for_each(|todo| text.line(format_args!("  to do: {todo}")));
    }
    text
}
