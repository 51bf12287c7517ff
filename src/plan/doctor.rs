// SPDX-License-Identifier: LGPL-2.1-or-later
//! What is well and what is not, why, and what to do about it: from facts to findings.

use super::cmdline::boot_file_status::BootFileStatus;
use super::cmdline::status::Status;
use super::sync::{self, Fit};
use crate::config::{Bind, Config};
use crate::finding::codes::{self, Code};
use crate::finding::{Finding, Part, Severity};
use crate::host::boot::BootSystem;
use crate::host::initramfs::{Image, Initramfs, Tool};
use crate::host::run::boot_counter::Obstacle;
use crate::host::run::sync_report::{Report, SyncOutcome};
use crate::plan::cmdline::unchecked;

/// What is known of how the machine boots.
#[derive(Debug)]
pub struct BootFacts<'f> {
    /// The configuration that the next boot has.
    pub config: &'f Config,
    /// Boot loaders and the running kernel parameters.
    pub system: &'f BootSystem,
    /// The parameters in every place; `Err` if what is ours is not known.
    pub status: Result<&'f Status, &'f str>,
    /// Why loaders are left as they are, by the plan of an apply.
    pub problems: &'f [String],
    /// What else the plan has to say.
    pub notes: &'f [String],
    /// Of these, why there is no boot entry without us although one is to be there.
    pub no_rescue_entry: &'f [String],
    /// The images, looked into.
    pub initramfs: &'f Initramfs,
    /// How the last attempt to bring all up to date went.
    pub report: Option<&'f Report>,
    /// Whether edits are noticed.
    pub watched: bool,
    /// Why no IOMMU works, and what to do; `None` if one does.
    pub no_iommu: Option<&'f (String, String)>,
    /// What keeps failed boots from being counted, if anything does.
    pub counter: Option<&'f Obstacle>,
}

const SYNC: &str = "run 'vfio sync'";
const REBOOT: &str = "reboot";

struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, id: &'static str, severity: Severity, code: Code, text: impl Into<String>, hint: Option<&str>) {
        let finding = Finding::check(Part::Boot, id, severity, code, text);
        self.0.push(Finding { hint: hint.map(Into::into), ..finding });
    }
}

/// Everything about how the machine boots.
pub fn boot(facts: &BootFacts<'_>) -> Vec<Finding> {
    let mut found = Findings(Vec::new());
    if let Some((why, hint)) = facts.no_iommu {
        // Nothing else matters as long as this is so.
        let level = if facts.config.gpus.is_empty() { Severity::Note } else { Severity::Error };
        found.add("iommu", level, codes::IOMMU_OFF, format!("no IOMMU: {why}"), Some(hint));
    }
    configuration(facts, &mut found);
    if facts.config.worst() == Some(Severity::Error) {
        // What counts when it is corrected is not known: nothing can be compared with it.
        return found.0;
    }
    match facts.status {
        Ok(status) => parameters(facts, status, &mut found),
        Err(why) => found.add("record", Severity::Error, codes::RECORD_UNREADABLE, why, None),
    }
    initramfs(facts, &mut found);
    counter(facts, &mut found);
    found.0
}

fn counter(facts: &BootFacts<'_>, found: &mut Findings) {
    let counts = facts.config.host.failed_boots > 0 && facts.config.gpus.iter().any(|gpu| gpu.bind == Bind::Boot);
    let otherwise = "or write failed-boots = 0 in [host]: then nothing is counted";
    match facts.counter.filter(|_| counts) {
        Some(Obstacle::NoCount(why)) => {
            let said = format!("failed boots cannot be counted, so the next boot binds nothing: {why}");
            let todo = format!("repair or remove what is wrong with /var/lib/vfio, {otherwise}");
            found.add("failed-boots", Severity::Error, codes::BOOTS_NOT_COUNTED, said, Some(&todo));
        }
        Some(Obstacle::NoMemory(why)) => {
            let said = format!("boots that do not come up are not counted: {why}");
            found.add(
                "failed-boots",
                Severity::Warning,
                codes::BOOTS_NOT_COUNTED,
                said,
                Some(&format!("keep /var/lib/vfio on a disk, {otherwise}")),
            );
        }
        None => {}
    }
}

fn configuration(facts: &BootFacts<'_>, found: &mut Findings) {
    for error in facts.config.diagnostics.iter().filter(|d| d.severity == Severity::Error) {
        let todo = "correct it; until then boot entries and initramfs stay as they are";
        let finding = error.as_check(Part::Boot, "configuration", Severity::Error);
        let todo = finding.hint.as_ref().map_or(todo.to_owned(), |hint| format!("{hint}; {todo}"));
        found.0.push(finding.hint(todo));
    }
    if let Some(parameter) = facts.system.parameters.switched_off() {
        let text = format!("the kernel command line of this boot says '{parameter}': nothing is bound in it");
        found.add("switch", Severity::Warning, codes::SWITCHED_OFF, text, Some("boot without it"));
    }
    if !facts.config.host.enable {
        let text = "'enable' in [host] is not 'yes': nothing is bound, and no boot entry needs a kernel parameter";
        found.add("switch", Severity::Note, codes::SWITCHED_OFF, text, None);
    }
    match facts.report {
        Some(report) if report.outcome == SyncOutcome::Failed => {
            let why = report.why.join("; ");
            found.add(
                "sync",
                Severity::Warning,
                codes::SYNC_FAILED,
                format!("the last sync failed: {why}"),
                Some(SYNC),
            );
        }
        _ => {}
    }
    if !facts.watched {
        let text = "vfio-sync.path is not enabled: edits are not picked up";
        found.add(
            "sync",
            Severity::Note,
            codes::EDITS_NOT_WATCHED,
            text,
            Some("run 'systemctl enable --now vfio-sync.path', or 'vfio sync' after an edit"),
        );
    }
}

fn list(parameters: &[String]) -> String {
    parameters.join(" ")
}

fn parameters(facts: &BootFacts<'_>, status: &Status, found: &mut Findings) {
    let files: Vec<&BootFileStatus> = status.boot_files.iter().filter(|boot_file| boot_file.counts()).collect();
    let unknown = facts.system.is_unknown();
    let elsewhere = status.elsewhere.as_ref();
    if let Some(elsewhere) = elsewhere {
        let said = elsewhere.sentence();
        found.add("running-kernel", Severity::Error, codes::BOOTS_FROM_ELSEWHERE, said, Some(&elsewhere.hint));
    }
    for parameter in &status.required {
        let text = &parameter.parameter;
        if elsewhere.is_some_and(|elsewhere| elsewhere.parameters.contains(text)) {
            // Said above.
        } else if !status.running_missing.contains(text) {
            found.add(
                "running-kernel",
                Severity::Ok,
                codes::OK,
                format!("the running kernel has '{text}' ({})", parameter.why),
                None,
            );
        } else if unknown {
            let todo = format!("add '{text}' to the kernel command line manually, then reboot");
            let said = format!(
                "the running kernel does not have '{text}' ({}), and no boot loader that vfio knows was found",
                parameter.why
            );
            found.add("running-kernel", Severity::Error, codes::PARAMETER_NOT_RUNNING, said, Some(&todo));
        } else {
            let said = format!("the running kernel does not have '{text}' ({})", parameter.why);
            let todo = if status.not_found.is_some() {
                "make boot files accessible as said below, run 'vfio sync', then reboot"
            } else if files.is_empty() || files.iter().any(|boot_file| boot_file.missing.contains(text)) {
                "run 'vfio sync', then reboot"
            } else {
                REBOOT
            };
            found.add("running-kernel", Severity::Warning, codes::PARAMETER_NOT_RUNNING, said, Some(todo));
        }
    }
    if !status.running_obsolete.is_empty() {
        let said = format!(
            "the running kernel still has parameters that are no longer required: {}",
            list(&status.running_obsolete)
        );
        found.add("running-kernel", Severity::Warning, codes::PARAMETER_OBSOLETE, said, Some(REBOOT));
    }
    let wrong: Vec<&&BootFileStatus> = files.iter().filter(|boot_file| !boot_file.is_as_required()).collect();
    for boot_file in &wrong {
        let mut parts = Vec::new();
        if !boot_file.missing.is_empty() {
            parts.push(format!("does not have {}", list(&boot_file.missing)));
        }
        if !boot_file.obsolete.is_empty() {
            parts.push(format!("still has {}", list(&boot_file.obsolete)));
        }
        parts.extend(boot_file.problem.iter().map(|problem| format!("is left as it is: {problem}")));
        let said = format!("{} {}", boot_file.path, parts.join(", "));
        found.add("boot-entries", Severity::Error, codes::BOOT_FILE_NOT_AS_REQUIRED, said, Some(SYNC));
    }
    let mine = |boot_file: &&&BootFileStatus| {
        status.required.iter().any(|parameter| boot_file.ours.contains(&parameter.parameter))
    };
    if wrong.is_empty() && !files.is_empty() && !status.required.is_empty() {
        let (all, ours) = (files.len(), files.iter().filter(mine).count());
        let said = format!("boot files with all required parameters: {all} ({ours} of them changed by vfio)");
        found.add("boot-entries", Severity::Ok, codes::OK, said, None);
    }
    for problem in facts.problems {
        if Some(problem) == status.not_found.as_ref() {
            // What this machine boots from is said above, with what to do.
            if elsewhere.is_none() {
                found.add("boot-entries", Severity::Error, codes::BOOT_FILES_NOT_FOUND, problem, None);
            }
            continue;
        }
        // Said of the file already where it is one.
        if !wrong.iter().any(|boot_file| boot_file.problem.is_some() && problem.starts_with(&boot_file.path)) {
            found.add("boot-entries", Severity::Error, codes::BOOT_FILE_LEFT_ALONE, problem, None);
        }
    }
    let notes = facts.notes.iter().cloned().chain(unchecked::sentences(facts.system));
    for note in notes {
        let (severity, code) = if facts.no_rescue_entry.contains(&note) {
            (Severity::Warning, codes::NO_RESCUE_ENTRY)
        } else {
            (Severity::Note, codes::BOOT_FILES_NOTE)
        };
        found.add("boot-entries", severity, code, note, None);
    }
}

fn initramfs(facts: &BootFacts<'_>, found: &mut Findings) {
    let initramfs = facts.initramfs;
    let needs = sync::needs(facts.config);
    if initramfs.immutable {
        if !needs.is_empty() {
            let said = sync::immutable(&needs, initramfs);
            found.add("initramfs", Severity::Note, codes::INITRAMFS_NOT_BUILT, said, None);
        }
        return;
    }
    if initramfs.images.is_empty() && !needs.is_empty() && initramfs.tool.is_some() {
        let said = "no image of an installed kernel was found in /boot or on the EFI system partition";
        let hint = "mount what the boot loader reads, then run 'vfio sync'";
        found.add("initramfs", Severity::Warning, codes::INITRAMFS_NOT_FOUND, said, Some(hint));
    }
    for image in &initramfs.images {
        match sync::fit(image, &needs) {
            Fit::Right if needs.is_empty() && !initramfs.marked => {}
            Fit::Right => right(facts, image, needs.is_empty(), found),
            Fit::Wrong(said) => {
                let todo = match initramfs.tool {
                    Some(Tool::Booster) => "use another tool for it: booster has no place for vfio",
                    _ if image.is_unified() && initramfs.unified_by.is_none() => {
                        "rebuild it with the tool that made it: 'mkinitcpio -P', 'kernel-install add-all' or dracut"
                    }
                    None => "rebuild it manually: no program was found that does",
                    Some(_) => SYNC,
                };
                found.add("initramfs", Severity::Error, codes::INITRAMFS_NOT_AS_REQUIRED, said, Some(todo));
            }
            Fit::Unknown(why) if needs.is_empty() && !initramfs.marked => drop(why),
            // The next best thing to looking.
            Fit::Unknown(why) if image.made < initramfs.changed => {
                let said = format!("{why}; it is older than the configuration");
                found.add("initramfs", Severity::Warning, codes::INITRAMFS_UNREADABLE, said, Some(SYNC));
            }
            Fit::Unknown(why) => {
                let said = format!("{why}; it is newer than the configuration");
                let hint = damaged(image, initramfs);
                found.add("initramfs", Severity::Warning, codes::INITRAMFS_UNREADABLE, said, hint.as_deref());
            }
        }
    }
}

/// What is to be done with an image that its tool has not written to its end.
fn damaged(image: &Image, initramfs: &Initramfs) -> Option<String> {
    image.seen.as_ref().err().filter(|unseen| unseen.damaged)?;
    let runs: Vec<String> = sync::rebuild(initramfs).iter().map(|run| run.join(" ")).collect();
    let how = if runs.is_empty() { String::new() } else { format!(": {}", runs.join("; ")) };
    Some(format!("whatever built it last may have been interrupted: rebuild it before the next boot{how}"))
}

fn right(facts: &BootFacts<'_>, image: &Image, nothing: bool, found: &mut Findings) {
    let Ok(seen) = &image.seen else { return };
    let name = image.name();
    if nothing {
        found.add("initramfs", Severity::Ok, codes::OK, format!("{name} reserves no card, as configured"), None);
        return;
    }
    let module = if seen.vfio_pci { "with vfio_pci" } else { "without vfio_pci, which it does not need" };
    let said = format!("{name} reserves the cards of the configuration ({module})");
    found.add("initramfs", Severity::Ok, codes::OK, said, None);
    if !seen.rule {
        let said = format!("{name} has no udev rule of vfio: a card that appears late is not reserved in it");
        found.add("initramfs", Severity::Warning, codes::INITRAMFS_LACKS_RULE, said, Some("rebuild it"));
    }
    let differs = |(path, text): &(String, Option<Vec<u8>>)| {
        !facts.initramfs.files.iter().any(|(other, there)| other == path && there == text)
    };
    if seen.files.iter().any(differs) || seen.files.len() != facts.initramfs.files.len() {
        let said = format!("{name} has another text of the configuration, which means the same for it");
        found.add("initramfs", Severity::Note, codes::INITRAMFS_OTHER_TEXT, said, None);
    }
}

#[cfg(test)]
#[path = "doctor_tests.rs"]
mod tests;
