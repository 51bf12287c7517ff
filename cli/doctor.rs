// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio doctor`: what is well and what is not, why, and what to do about it.

use crate::arguments::DoctorPart;
use crate::output::{Output, Text};
use crate::Answer as Exit;
use serde::Serialize;
use vfio_suite::act::boot::sync::Snapshot;
use vfio_suite::config;
use vfio_suite::finding::{Finding, Severity};
use vfio_suite::host::iommu::Iommu;
use vfio_suite::host::run::{boot_counter, sync_report};
use vfio_suite::host::{Depth, Host};
use vfio_suite::plan::cmdline::{self, status::status, Options};
use vfio_suite::plan::doctor::{self, BootFacts};
use vfio_suite::plan::iommu::why_off;
use vfio_suite::plan::{boot as next_boot, display, reset_now};
use vfio_suite::root::Root;
use vfio_suite::survey;

#[derive(Serialize)]
struct Answer {
    /// How bad the worst finding is; null if there is none.
    worst: Option<Severity>,
    checks: Vec<Finding>,
}

/// Whether edits are noticed: the path unit is enabled, by the administrator or by the package.
fn is_watched(root: &Root) -> bool {
    let directories = ["etc/systemd/system", "usr/lib/systemd/system", "run/systemd/system"];
    let links = directories.iter().map(|directory| format!("{directory}/paths.target.wants/vfio-sync.path"));
    // A link to a unit that is not there is none.
    links.into_iter().any(|link| root.exists(&link))
}

fn boot(root: &Root) -> Vec<Finding> {
    let snapshot = Snapshot::at(root, true);
    let record = snapshot.record.as_ref().cloned().unwrap_or_default();
    let parameters: Vec<String> = snapshot.parameters.iter().map(|parameter| parameter.parameter.clone()).collect();
    let options = Options { rescue_entry: snapshot.config.host.needs_rescue_entry(), ..Options::default() };
    let plan = cmdline::plan(&snapshot.system, &parameters, &record, &options);
    let iommu = Iommu::scan(root);
    let status = status(&snapshot.system, snapshot.parameters.clone(), &record);
    let unknown = snapshot.record.as_ref().err().map(ToString::to_string);
    doctor::boot(&BootFacts {
        config: &snapshot.config,
        system: &snapshot.system,
        status: unknown.as_deref().map_or(Ok(&status), Err),
        problems: &plan.problems,
        notes: &plan.notes,
        no_rescue_entry: &plan.no_rescue_entry,
        initramfs: &snapshot.initramfs,
        report: sync_report::read(root).as_ref(),
        watched: is_watched(root),
        no_iommu: (!iommu.active || !Iommu::covers_pci(root))
            .then(|| why_off(&iommu, &snapshot.system.parameters))
            .as_ref(),
        counter: boot_counter::obstacle(root).as_ref(),
    })
}

fn resets(root: &Root) -> Vec<Finding> {
    let config = config::load(root);
    let (selections, host) = survey::cards_now(root, &config);
    selections.iter().flat_map(|selection| reset_now::checks(selection, &host)).collect()
}

fn displays(root: &Root) -> Vec<Finding> {
    let config = config::load(root);
    if config.gpus.is_empty() {
        return Vec::new();
    }
    let host = Host::scan(root, Depth::Full);
    display::checks(&next_boot::selections(&config, &next_boot::at_next_boot(&host)), &host)
}

/// Looks at all parts, or at one.
pub fn run(root: &Root, out: &Output, only: Option<DoctorPart>) -> anyhow::Result<Exit> {
    let checks = match only {
        Some(DoctorPart::Boot) => boot(root),
        Some(DoctorPart::Reset) => resets(root),
        Some(DoctorPart::Display) => displays(root),
        None => [boot(root), resets(root), displays(root)].concat(),
    };
    let worst = checks.iter().map(|check| check.severity).max();
    if out.is_json() {
        out.json("vfio.doctor/1", &Answer { worst, checks })?;
    } else {
        out.text(&text(&checks, out))?;
    }
    Ok(match worst {
        Some(Severity::Error) => Exit::Errors,
        Some(Severity::Warning) => Exit::No,
        Some(Severity::Ok | Severity::Note) | None => Exit::Done,
    })
}

fn text(checks: &[Finding], out: &Output) -> Text {
    let mut text = out.lines();
    if checks.is_empty() {
        text.line("nothing is configured, and nothing of vfio is in the way the machine boots");
    }
    for check in checks {
        let severity = match check.severity {
            Severity::Ok => out.good("ok"),
            Severity::Note => "note".to_owned(),
            Severity::Warning => out.bad("warning"),
            Severity::Error => out.bad("error"),
        };
        match check.severity {
            Severity::Ok => text.line(format_args!("{severity}: {}", check.text)),
            _ => text.line(format_args!("{severity}: {} [{}]", check.text, check.code)),
        }
        check.hint.iter().for_each(|hint| text.line(format_args!("  to do: {hint}")));
    }
    text
}
