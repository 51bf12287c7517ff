// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio sync`: boot entries and initramfs brought up to date now, as `vfio-sync.service` does it after an edit.

use crate::output::Output;
use crate::{check, Answer};
use vfio_suite::act::backend::tools_for;
use vfio_suite::act::boot::sync;
use vfio_suite::config;
use vfio_suite::host::run::sync_report::{Report, SyncOutcome};
use vfio_suite::logger::complain;
use vfio_suite::root::Root;

/// What the last attempt says on one line, if it did not work.
pub fn line(report: &Report) -> Option<String> {
    let how = match report.outcome {
        SyncOutcome::Refused => "refused",
        SyncOutcome::Failed => "failed",
        SyncOutcome::Nothing | SyncOutcome::Done | SyncOutcome::Noted => return None,
    };
    let why = report.why.first().map(String::as_str).unwrap_or_default();
    Some(format!("boot entries and initramfs: the last sync {how}: {why}"))
}

/// Brings everything up to date.
pub fn run(root: &Root, out: &Output) -> anyhow::Result<Answer> {
    let config = config::load_for_next_boot(root);
    let report = {
        let mut progress = |text: &str| {
            if !out.is_json() {
                // The reader may have gone; the work goes on.
                let _ = out.line(format_args!("{text}"));
            }
        };
        sync::run(root, tools_for(root).as_ref(), &mut progress)?
    };
    if out.is_json() {
        out.json("vfio.sync/1", &report)?;
    } else {
        match report.outcome {
            SyncOutcome::Nothing => out.line("boot entries and initramfs are up to date")?,
            SyncOutcome::Done => out.line("boot entries and initramfs are up to date now")?,
            SyncOutcome::Noted | SyncOutcome::Refused | SyncOutcome::Failed => {}
        }
    }
    match report.outcome {
        // The configuration's own findings, with how bad each is.
        SyncOutcome::Refused => check::report(&config),
        _ => report.why.iter().for_each(|why| complain(format_args!("vfio: {why}"))),
    }
    if report.outcome == SyncOutcome::Refused {
        complain("vfio: the configuration is wrong: boot entries and initramfs are as they were");
    }
    Ok(match report.outcome {
        SyncOutcome::Nothing | SyncOutcome::Done => Answer::Done,
        SyncOutcome::Noted => Answer::No,
        SyncOutcome::Refused | SyncOutcome::Failed => Answer::Errors,
    })
}
