// SPDX-License-Identifier: LGPL-2.1-or-later
//! Keeping the host's own programs off the CPUs of a guest, and those CPUs fast, for as long as it runs
//! (systemd.resource-control(5), `AllowedCPUs=`; Documentation/admin-guide/pm/cpufreq.rst).

use super::error::GuestError;
use super::services::{blocks, value};
use crate::act::backend::kernel::Kernel;
use crate::act::backend::tools::{ToolError, Tools};
use crate::host::cpu_list::show_list;
use crate::host::governor;
use crate::root::Root;
use std::time::Duration;

/// For a question, and for a change that systemd makes in the control groups of all that is in a slice.
const ASK: Duration = Duration::from_secs(20);

/// What the host's own programs are in; guests of libvirt are in `machine.slice`.
const UNITS: [&str; 3] = ["system.slice", "user.slice", "init.scope"];

/// The settings of these CPUs for a journal: a line each, `POLICY ATTRIBUTE VALUE`.
pub(super) fn speeds(root: &Root, cpus: &[u32]) -> String {
    let settings = governor::settings(root, cpus).into_iter();
    settings.map(|(policy, name, value)| format!("{policy} {name} {value}\n")).collect()
}

/// Has these CPUs run at full speed. One that cannot is no reason not to have a guest.
pub(super) fn speed_up(root: &Root, kernel: &dyn Kernel, cpus: &[u32]) -> Result<(), GuestError> {
    for (policy, name, value) in governor::settings(root, cpus) {
        if value == governor::FAST {
            continue;
        }
        let path = governor::attribute(&policy, name);
        match kernel.write(&path, governor::FAST) {
            Err(error) if error.is_timeout() => return Err(error.into()),
            Err(error) => log::warn!("/{path} cannot be set to '{}': {error}", governor::FAST),
            Ok(()) => {}
        }
    }
    Ok(())
}

/// Gives them their former settings, the governor before the preference, which some governors do not let anybody change.
pub(super) fn slow_down(root: &Root, kernel: &dyn Kernel, speeds: &str) -> Result<(), GuestError> {
    let mut result = Ok(());
    for line in speeds.lines() {
        let mut words = line.splitn(3, ' ');
        let (Some(policy), Some(name), Some(value)) = (words.next(), words.next(), words.next()) else { continue };
        let path = governor::attribute(policy, name);
        // A CPU that went offline has taken its policy with it.
        if root.read_text(&path).is_ok_and(|now| now != value) {
            result = result.and(kernel.write(&path, value));
        }
    }
    Ok(result?)
}

/// The CPUs that the host's own programs may use now, for a journal: a line each, `UNIT CPUS`. Nothing means all.
pub(super) fn allowed(tools: &dyn Tools) -> Result<String, ToolError> {
    let mut words = vec!["systemctl", "show", "--property=Id,AllowedCPUs", "--"];
    words.extend(UNITS);
    let text = tools.run(&words, ASK)?;
    let line = |block: Vec<(&str, &str)>| format!("{} {}\n", value(&block, "Id"), value(&block, "AllowedCPUs"));
    Ok(blocks(&text).map(line).collect())
}

/// Lets the host's own programs use these CPUs only. That some cannot be kept there is no reason not to have a guest.
pub(super) fn confine(tools: &dyn Tools, cpus: &[u32]) {
    let list = show_list(cpus);
    for unit in UNITS {
        if let Err(error) = allow(tools, unit, &list) {
            log::warn!("{unit} stays on all CPUs: {error}");
        }
    }
}

/// Lets them use what they could before.
pub(super) fn release(tools: &dyn Tools, allowed: &str) -> Result<(), ToolError> {
    let mut result = Ok(());
    for (unit, cpus) in allowed.lines().filter_map(|line| line.split_once(' ')) {
        result = result.and(allow(tools, unit, cpus));
    }
    result
}

fn allow(tools: &dyn Tools, unit: &str, cpus: &str) -> Result<(), ToolError> {
    // As `show` writes it, by blanks; a list of a user's would do as well.
    let setting = format!("AllowedCPUs={cpus}");
    tools.run(&["systemctl", "set-property", "--runtime", "--", unit, &setting], ASK).map(drop)
}
