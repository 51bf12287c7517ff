// SPDX-License-Identifier: LGPL-2.1-or-later
//! A machine that boots from elsewhere: boot files have had the parameters since an earlier boot, and this one lacks them.

use super::boot_file_status::BootFileStatus;
use super::not_found;
use super::record::Record;
use crate::host::boot::{BootSystem, LoaderKind, Role};
use serde::Serialize;

/// Parameters that boot files have and the kernel did not get, and what tells where it was booted from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Elsewhere {
    /// These parameters.
    pub parameters: Vec<String>,
    /// What the firmware's variables and the kernel's command line say: `LoaderInfo: GRUB 2.12`.
    pub traces: Vec<String>,
    /// Where it probably boots from, and what to do.
    pub hint: String,
}

impl Elsewhere {
    /// What is so.
    pub fn sentence(&self) -> String {
        format!(
            "this machine boots from elsewhere: the kernel did not get {}, which the boot files have had since before this boot ({})",
            self.parameters.join(" "),
            self.traces.join("; ")
        )
    }
}

/// Finds out whether this boot came from boot files that are not known. `missing`: required parameters that the running
/// kernel did not get. A boot that a person chose to be without us is none: `vfio=off`, an entry for emergencies.
pub(super) fn find(
    system: &BootSystem,
    record: &Record,
    missing: &[String],
    boot_files: &[BootFileStatus],
) -> Option<Elsewhere> {
    let (then, now) = (&record.changed_in, &system.boot_id);
    if then.is_empty() || now.is_empty() || then == now || system.parameters.switched_off().is_some() {
        return None;
    }
    if chosen(system, boot_files).is_some_and(|file| file.role == Role::Rescue) {
        return None;
    }
    let ours = record.all_parameters();
    // What a boot file lacks has to come into it first.
    let counted = || boot_files.iter().filter(|file| file.counts());
    let is_there = |parameter: &&String| {
        ours.contains(&parameter.as_str()) && counted().all(|file| !file.missing.contains(parameter))
    };
    let parameters: Vec<String> = missing.iter().filter(is_there).cloned().collect();
    let is_elsewhere = !parameters.is_empty();
    is_elsewhere.then(|| Elsewhere { traces: traces(system), hint: hint(system, &parameters), parameters })
}

/// The file of the boot entry that was chosen, by its loader's own word (`LoaderEntrySelected`).
fn chosen<'f>(system: &BootSystem, boot_files: &'f [BootFileStatus]) -> Option<&'f BootFileStatus> {
    let entry = system.entry.as_deref()?;
    let name = |file: &&BootFileStatus| {
        let name = file.path.rsplit('/').next().unwrap_or_default();
        name == entry || name.strip_suffix(".conf") == Some(entry)
    };
    boot_files.iter().find(name)
}

/// The value of a parameter of the running kernel.
fn value<'s>(system: &'s BootSystem, key: &str) -> Option<&'s str> {
    system.parameters.iter().find_map(|parameter| parameter.strip_prefix(key)?.strip_prefix('='))
}

fn traces(system: &BootSystem) -> Vec<String> {
    let known = [
        ("LoaderInfo", system.booted.as_deref()),
        ("StubInfo", system.stub.as_deref()),
        ("LoaderEntrySelected", system.entry.as_deref()),
        ("BOOT_IMAGE", value(system, "BOOT_IMAGE")),
        ("initrd", value(system, "initrd")),
    ];
    let mut traces: Vec<String> =
        known.iter().filter_map(|(name, value)| value.map(|value| format!("{name}: {value}"))).collect();
    if traces.is_empty() {
        let line: Vec<&str> = system.parameters.iter().collect();
        traces.push(format!("/proc/cmdline: {}", line.join(" ")));
    }
    traces
}

/// The loader that started this boot, as far as its traces say.
pub(super) fn by_whom(system: &BootSystem) -> Option<&str> {
    // GRUB and those that write its way put the kernel's own path first.
    let grub = value(system, "BOOT_IMAGE").map(|_| "GRUB");
    system.booted.as_deref().or(grub)
}

/// Whether these files are of the loader that calls itself so.
fn is_of(kind: LoaderKind, name: &str) -> bool {
    kind.own_name().is_none_or(|own| name.to_lowercase().contains(&own.to_lowercase()))
}

fn hint(system: &BootSystem, parameters: &[String]) -> String {
    const THEN: &str = "then run 'vfio sync' and reboot";
    if let Some(sentence) = not_found::sentence(system, parameters).filter(|_| !system.unmounted.is_empty()) {
        return format!("{sentence}, and reboot");
    }
    let known = |name: &str| system.loaders.iter().any(|loader| is_of(loader.kind, name));
    let unified = |kind: LoaderKind| matches!(kind, LoaderKind::UkiAddon | LoaderKind::UkiRebuild);
    if let Some(other) = system.left_alone.first() {
        return format!(
            "/{} {}: change the boot entries there manually, or boot from this machine's own disk",
            other.at, other.why
        );
    }
    if system.stub.is_some() && !system.loaders.iter().any(|loader| unified(loader.kind)) {
        return format!("a unified kernel image was booted, and none is among the boot files: mount the EFI system partition that it is on, {THEN}");
    }
    match by_whom(system) {
        Some(name) if !known(name) => {
            format!("{name} was booted, and none of the boot files is its: mount the partition that it reads, {THEN}; if it reads none, {}", not_found::add(parameters))
        }
        Some(name) if name.to_lowercase().contains("grub") => format!(
            "look for a second GRUB, of another system or on the EFI system partition, whose menu is read instead ('efibootmgr' lists what the firmware starts): have this system's started, or its menu made again there, {THEN}"
        ),
        Some(name) => format!(
            "{name} probably reads another partition, or another entry was chosen in its menu ('bootctl list' and 'efibootmgr' show both): choose this system's entry, or mount that partition, {THEN}"
        ),
        None => format!(
            "the firmware or an unknown loader starts this kernel ('efibootmgr -u' shows with which command line): add the parameters there, or boot by the loader of the boot files, {THEN}"
        ),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "elsewhere_tests.rs"]
mod tests;
