// SPDX-License-Identifier: LGPL-2.1-or-later
//! What is well and what is not, why, and what to do about it: from facts to findings.

use super::cmdline::status::{PlaceStatus, Status};
use super::sync::{self, Fit};
use crate::config::{Bind, Config, Severity};
use crate::host::boot::BootSystem;
use crate::host::initramfs::{Image, Initramfs, Tool};
use crate::host::run::boot_counter::Obstacle;
use crate::host::run::sync_report::{Report, SyncOutcome};
use crate::plan::cmdline::unchecked;
use serde::Serialize;

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Note,
    /// It will be well by itself, or after a reboot; or it is not known.
    Warning,
    /// The next boot is not as configured.
    Error,
}

/// A finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Which part of the machine: `boot`, `reset`, `display`.
    pub part: &'static str,
    /// What was looked at; the same in every version.
    pub id: &'static str,
    /// How it is.
    pub level: Level,
    /// One sentence.
    pub text: String,
    /// What to do, if anything.
    pub todo: Option<String>,
}

/// What is known of how the machine boots.
#[derive(Debug)]
pub struct BootFacts<'f> {
    /// The configuration that the next boot has.
    pub config: &'f Config,
    /// Boot loaders and the running kernel's words.
    pub system: &'f BootSystem,
    /// The words in every place; `Err` if what is ours is not known.
    pub status: Result<&'f Status, &'f str>,
    /// Why loaders are left as they are, by the plan of an apply.
    pub problems: &'f [String],
    /// What else the plan has to say.
    pub notes: &'f [String],
    /// The images, looked into.
    pub initramfs: &'f Initramfs,
    /// How the last attempt to bring all up to date went.
    pub report: Option<&'f Report>,
    /// Whether edits are noticed.
    pub watched: bool,
    /// Why no IOMMU works; `None` if one does.
    pub no_iommu: Option<&'f str>,
    /// What keeps failed boots from being counted, if anything does.
    pub counter: Option<&'f Obstacle>,
}

const SYNC: &str = "run 'vfio sync'";
const REBOOT: &str = "reboot";

struct Findings(Vec<Check>);

impl Findings {
    fn add(&mut self, id: &'static str, level: Level, text: String, todo: Option<&str>) {
        self.0.push(Check { part: "boot", id, level, text, todo: todo.map(str::to_owned) });
    }
}

/// Everything about how the machine boots.
pub fn boot(facts: &BootFacts<'_>) -> Vec<Check> {
    let mut found = Findings(Vec::new());
    if let Some(why) = facts.no_iommu {
        // Nothing else matters as long as this is so.
        let level = if facts.config.gpus.is_empty() { Level::Note } else { Level::Error };
        found.add("iommu", level, format!("no IOMMU: {why}"), None);
    }
    configuration(facts, &mut found);
    if facts.config.worst() == Some(Severity::Error) {
        // What counts when it is corrected is not known: nothing can be compared with it.
        return found.0;
    }
    match facts.status {
        Ok(status) => words(facts, status, &mut found),
        Err(why) => found.add("record", Level::Error, why.to_owned(), None),
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
            found.add("failed-boots", Level::Error, said, Some(&todo));
        }
        Some(Obstacle::NoMemory(why)) => {
            let said = format!("boots that do not come up are not counted: {why}");
            found.add(
                "failed-boots",
                Level::Warning,
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
        found.add("configuration", Level::Error, error.to_string(), Some(todo));
    }
    if let Some(word) = facts.system.words.switched_off() {
        let text = format!("the kernel command line of this boot says '{word}': nothing is bound in it");
        found.add("switch", Level::Warning, text, Some("boot without it"));
    }
    if !facts.config.host.enable {
        let text = "'enable' in [host] is not 'yes': nothing is bound, and no boot entry needs a word".to_owned();
        found.add("switch", Level::Note, text, None);
    }
    match facts.report {
        Some(report) if report.outcome == SyncOutcome::Failed => {
            let why = report.why.join("; ");
            found.add("sync", Level::Warning, format!("the last sync failed: {why}"), Some(SYNC));
        }
        _ => {}
    }
    if !facts.watched {
        let text = "vfio-sync.path is not enabled: nobody notices an edit".to_owned();
        found.add(
            "sync",
            Level::Note,
            text,
            Some("run 'systemctl enable --now vfio-sync.path', or 'vfio sync' after an edit"),
        );
    }
}

fn list(words: &[String]) -> String {
    words.join(" ")
}

fn words(facts: &BootFacts<'_>, status: &Status, found: &mut Findings) {
    let files: Vec<&PlaceStatus> = status.places.iter().filter(|place| place.counts()).collect();
    let unknown = facts.system.is_unknown();
    for word in &status.wanted {
        let text = &word.word;
        if !status.running_missing.contains(text) {
            found.add("running-kernel", Level::Ok, format!("the running kernel has '{text}' ({})", word.why), None);
        } else if unknown {
            let todo = format!("add '{text}' to the kernel's command line by hand, then reboot");
            let said = format!(
                "the running kernel does not have '{text}' ({}), and no boot loader that vfio knows was found",
                word.why
            );
            found.add("running-kernel", Level::Error, said, Some(&todo));
        } else {
            let said = format!("the running kernel does not have '{text}' ({})", word.why);
            let todo = match files.is_empty() || files.iter().any(|place| place.missing.contains(text)) {
                true => "run 'vfio sync', then reboot",
                false => REBOOT,
            };
            found.add("running-kernel", Level::Warning, said, Some(todo));
        }
    }
    if !status.running_unwanted.is_empty() {
        let said =
            format!("the running kernel still has what is not wanted any more: {}", list(&status.running_unwanted));
        found.add("running-kernel", Level::Warning, said, Some(REBOOT));
    }
    let wrong: Vec<&&PlaceStatus> = files.iter().filter(|place| !place.is_as_wanted()).collect();
    for place in &wrong {
        let mut parts = Vec::new();
        if !place.missing.is_empty() {
            parts.push(format!("does not have {}", list(&place.missing)));
        }
        if !place.unwanted.is_empty() {
            parts.push(format!("still has {}", list(&place.unwanted)));
        }
        parts.extend(place.problem.iter().map(|problem| format!("is left as it is: {problem}")));
        found.add("boot-entries", Level::Error, format!("{} {}", place.path, parts.join(", ")), Some(SYNC));
    }
    let mine = |place: &&&PlaceStatus| status.wanted.iter().any(|word| place.ours.contains(&word.word));
    if wrong.is_empty() && !files.is_empty() && !status.wanted.is_empty() {
        let (all, ours) = (files.len(), files.iter().filter(mine).count());
        let said =
            format!("boot files that have all that is wanted: {all}, of these with words of ours on record: {ours}");
        found.add("boot-entries", Level::Ok, said, None);
    }
    for problem in facts.problems {
        // Said of the file already where it is one.
        if !wrong.iter().any(|place| problem.starts_with(&place.path)) {
            found.add("boot-entries", Level::Error, problem.clone(), None);
        }
    }
    let notes = facts.notes.iter().cloned().chain(unchecked::sentences(facts.system));
    notes.for_each(|note| found.add("boot-entries", Level::Note, note, None));
}

fn initramfs(facts: &BootFacts<'_>, found: &mut Findings) {
    let initramfs = facts.initramfs;
    let needs = sync::needs(facts.config);
    if initramfs.immutable {
        if !needs.is_empty() {
            found.add("initramfs", Level::Note, sync::immutable(&needs), None);
        }
        return;
    }
    if initramfs.images.is_empty() && !needs.is_empty() && initramfs.tool.is_some() {
        let said = "no image of an installed kernel was found in /boot or on the EFI system partition".to_owned();
        found.add("initramfs", Level::Warning, said, Some("mount what the boot loader reads, then run 'vfio sync'"));
    }
    for image in &initramfs.images {
        match sync::fit(image, &needs) {
            Fit::Right if needs.is_empty() && !initramfs.marked => {}
            Fit::Right => right(facts, image, needs.is_empty(), found),
            Fit::Wrong(said) => {
                let todo = match initramfs.tool {
                    Some(Tool::Mkinitcpio) if !initramfs.hooked && !needs.is_empty() => {
                        "add 'vfio' to HOOKS in /etc/mkinitcpio.conf, then run 'vfio sync'"
                    }
                    Some(Tool::Booster) => "use another tool for it: booster has no place for vfio",
                    _ if image.is_unified() => {
                        "build it anew with what made it: 'mkinitcpio -P', 'kernel-install add-all' or dracut"
                    }
                    None => "build it anew by hand: no program was found that does",
                    Some(_) => SYNC,
                };
                found.add("initramfs", Level::Error, said, Some(todo));
            }
            Fit::Unknown(why) if needs.is_empty() && !initramfs.marked => drop(why),
            // The next best thing to looking.
            Fit::Unknown(why) if image.made < initramfs.changed => {
                let said = format!("{why}; it is older than the configuration");
                found.add("initramfs", Level::Warning, said, Some(SYNC));
            }
            Fit::Unknown(why) => {
                found.add("initramfs", Level::Warning, format!("{why}; it is newer than the configuration"), None);
            }
        }
    }
}

fn right(facts: &BootFacts<'_>, image: &Image, nothing: bool, found: &mut Findings) {
    let Ok(seen) = &image.seen else { return };
    let name = image.name();
    if nothing {
        found.add("initramfs", Level::Ok, format!("{name} reserves no card, as configured"), None);
        return;
    }
    let module = if seen.vfio_pci { "with vfio_pci" } else { "without vfio_pci, which it does not need" };
    found.add("initramfs", Level::Ok, format!("{name} reserves the cards of the configuration ({module})"), None);
    if !seen.rule {
        let said = format!("{name} has no udev rule of vfio: a card that appears late is not reserved in it");
        found.add("initramfs", Level::Warning, said, Some("build it anew"));
    }
    let differs = |(path, text): &(String, Option<Vec<u8>>)| {
        !facts.initramfs.files.iter().any(|(other, there)| other == path && there == text)
    };
    if seen.files.iter().any(differs) || seen.files.len() != facts.initramfs.files.len() {
        let said = format!("{name} has another text of the configuration, which means the same for it");
        found.add("initramfs", Level::Note, said, None);
    }
}

#[cfg(test)]
#[path = "doctor_tests.rs"]
mod tests;
