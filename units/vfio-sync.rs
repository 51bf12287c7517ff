// SPDX-License-Identifier: LGPL-2.1-or-later
//! Brings boot entries and images up to date after an edit of the configuration. Called by `vfio-sync.service`, which
//! `vfio-sync.path` starts; takes no arguments.

use libsystemd::daemon::{self, NotifyState};
use std::process::ExitCode;
use vfio_suite::act::backend::tools_for;
use vfio_suite::act::boot::sync;
use vfio_suite::host::run::sync_report::{Report, SyncOutcome};
use vfio_suite::logger;
use vfio_suite::root::Root;

fn main() -> ExitCode {
    if std::env::args_os().len() != 1 {
        logger::complain("vfio-sync: takes no arguments; 'vfio sync' is for people");
        return ExitCode::from(64);
    }
    let root = match Root::from_option(None) {
        Ok(root) => root,
        Err(error) => {
            logger::complain(format_args!("vfio-sync: the root cannot be opened: {error}"));
            return ExitCode::from(2);
        }
    };
    logger::start("vfio-sync");
    // Nobody writes a test tree but the test.
    let settle = |root: &Root| {
        if root.is_system() {
            sync::settle(root);
        }
    };
    let tools = tools_for(&root);
    sync::until_settled(&root, settle, || match sync::run(&root, tools.as_ref(), &mut say) {
        Ok(report) => tell(&report),
        Err(error) => {
            log::error!("{error}");
            ExitCode::from(2)
        }
    })
}

fn notify(text: &str) {
    // Outside a unit nobody listens.
    if let Err(error) = daemon::notify(false, &[NotifyState::Status(logger::state_line(text))]) {
        log::debug!("systemd cannot be told: {error}");
    }
}

fn say(text: &str) {
    log::info!("{text}");
    notify(text);
}

/// Says in the journal how it went.
fn tell(report: &Report) -> ExitCode {
    let level = match report.outcome {
        SyncOutcome::Nothing | SyncOutcome::Done => log::Level::Info,
        SyncOutcome::Noted => log::Level::Warn,
        SyncOutcome::Refused | SyncOutcome::Failed => log::Level::Error,
    };
    report.why.iter().for_each(|why| log::log!(level, "{why}"));
    match report.outcome {
        SyncOutcome::Nothing => say("boot entries and initramfs were up to date"),
        SyncOutcome::Done => say("boot entries and initramfs are up to date: the next boot is as configured"),
        SyncOutcome::Noted => say("everything that can be updated automatically is up to date"),
        SyncOutcome::Refused => say("the configuration is wrong: boot entries and initramfs are as they were"),
        SyncOutcome::Failed => say("boot entries or initramfs could not be brought up to date"),
    }
    ExitCode::from(report.outcome.code())
}
