// SPDX-License-Identifier: LGPL-2.1-or-later
//! What has to be brought up to date after an edit, so that the next boot does what the configuration says: the parameters in
//! the boot entries, and the initramfs where it reserves other cards than the configuration wants.

use super::cmdline::record::Record;
use super::cmdline::{self, CmdlinePlan, Options};
use super::{mkinitcpio, Finding};
use crate::config::{self, Bind, Config, Driver, Functions, Gpu, Severity};
use crate::host::boot::mkinitcpio_hook;
use crate::host::boot::BootSystem;
use crate::host::initramfs::{Image, Initramfs, Tool};
use crate::plan::cmdline::not_found;
use crate::plan::cmdline::parameters::{self, Parameter};
use serde::{Deserialize, Serialize};

/// The version of [`Synced`]'s form.
pub const VERSION: u32 = 1;

/// A card as the initramfs must know it: what changes nothing there is not in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardNeed {
    /// The section's name.
    pub gpu: String,
    /// How it is chosen.
    pub device: String,
    /// What must be at the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// Which functions; all if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub functions: Option<Vec<u8>>,
    /// Further endpoints.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
    /// Whether the best vfio driver is looked for.
    #[serde(default)]
    pub best_driver: bool,
    /// Whether it may be the only display.
    #[serde(default)]
    pub only_display: bool,
}

impl CardNeed {
    fn of(gpu: &Gpu) -> CardNeed {
        CardNeed {
            gpu: gpu.name.clone(),
            device: gpu.device.value.to_string(),
            identity: gpu.identity.as_ref().map(|identity| identity.value.to_string()),
            functions: match &gpu.functions {
                Functions::All => None,
                Functions::Listed(listed) => Some(listed.value.clone()),
            },
            also: gpu.also.iter().map(|also| also.value.to_string()).collect(),
            best_driver: gpu.driver == Driver::Auto,
            only_display: gpu.only_display,
        }
    }
}

/// The cards that the initramfs has to reserve.
pub fn needs(config: &Config) -> Vec<CardNeed> {
    let at_boot = config.gpus.iter().filter(|gpu| config.host.enable && gpu.bind == Bind::Boot);
    at_boot.map(CardNeed::of).collect()
}

/// What was last brought up to date: `/var/lib/vfio/synced`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Synced {
    /// [`VERSION`].
    pub version: u32,
    /// The kernel parameters that boot entries were to have.
    #[serde(rename = "words")]
    pub parameters: Vec<String>,
    /// The cards that the initramfs was to reserve.
    pub cards: Vec<CardNeed>,
}

impl Default for Synced {
    fn default() -> Self {
        Synced { version: VERSION, parameters: Vec::new(), cards: Vec::new() }
    }
}

/// What of the machine the decision needs.
#[derive(Debug)]
pub struct Facts<'f> {
    /// Boot loaders and their files.
    pub system: &'f BootSystem,
    /// Which parameters there are ours.
    pub record: &'f Record,
    /// The images, looked into where [`must_look`] says so.
    pub initramfs: &'f Initramfs,
    /// What was last brought up to date.
    pub synced: &'f Synced,
    /// The parameters that the kernel needs for this configuration.
    pub parameters: &'f [Parameter],
    /// Cards that the next boot will not bind, because the host's data is on them.
    pub refused: &'f [Finding],
}

/// Something to do.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum SyncStep {
    /// Have mkinitcpio run our hook, or no longer: a drop-in of ours.
    Hook {
        /// The file, below the root.
        path: String,
        /// What will be in it; `None` if it goes.
        text: Option<String>,
    },
    /// Change boot entries.
    Words {
        /// How.
        plan: Box<CmdlinePlan>,
    },
    /// Rebuild images.
    Initramfs {
        /// Programs, in order; none if the step before makes the images anyway.
        runs: Vec<Vec<String>>,
        /// Why: a sentence each.
        why: Vec<String>,
    },
}

/// What has to be brought up to date.
#[derive(Debug, Clone, Default)]
pub struct SyncPlan {
    /// Why nothing is done at all: the errors of the configuration, with path and line.
    pub refusals: Vec<String>,
    /// What to do, in order.
    pub steps: Vec<SyncStep>,
    /// What is left undone, and what that means.
    pub notes: Vec<String>,
    /// What is up to date when all of it is done.
    pub synced: Synced,
}

/// Whether images must be looked into: some may have to have our files, or to lose them.
pub fn must_look(config: &Config, initramfs: &Initramfs, synced: &Synced) -> bool {
    !initramfs.immutable && (may_be_in(initramfs, synced) || !needs(config).is_empty())
}

/// Whether something of ours may be in an image.
fn may_be_in(initramfs: &Initramfs, synced: &Synced) -> bool {
    initramfs.marked || !synced.cards.is_empty()
}

/// How an image stands to the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fit {
    /// It reserves what the configuration wants.
    Right,
    /// It does not: why, as a sentence.
    Wrong(String),
    /// It cannot be looked into: why, as a sentence.
    Unknown(String),
}

/// How an image stands to what is needed.
pub fn fit(image: &Image, needs: &[CardNeed]) -> Fit {
    let seen = match &image.seen {
        Ok(seen) => seen,
        Err(unseen) => return Fit::Unknown(unseen.why.clone()),
    };
    let name = image.name();
    let has = if seen.program && seen.run { self::needs(&config::parse_lasting(&seen.files)) } else { Vec::new() };
    if has == needs {
        return Fit::Right;
    }
    Fit::Wrong(match (has.is_empty(), needs.is_empty()) {
        (true, _) if seen.program && !seen.run => format!("{name} has vfio-bind, but nothing that starts it"),
        (true, _) => format!("{name} does not reserve {}", names(needs)),
        (_, true) => format!("{name} still reserves {}", names(&has)),
        _ => format!("{name} reserves {} by an older configuration", names(&has)),
    })
}

fn names(cards: &[CardNeed]) -> String {
    let names: Vec<String> = cards.iter().map(|card| format!("[gpu {}]", card.gpu)).collect();
    names.join(", ")
}

/// Decides.
pub fn plan(config: &Config, facts: &Facts<'_>) -> SyncPlan {
    let errors = config.diagnostics.iter().filter(|d| d.severity == Severity::Error);
    let refusals: Vec<String> = errors.map(ToString::to_string).collect();
    if !refusals.is_empty() {
        return SyncPlan { refusals, synced: facts.synced.clone(), ..SyncPlan::default() };
    }
    let parameters: Vec<String> = facts.parameters.iter().map(|parameter| parameter.parameter.clone()).collect();
    let needs = needs(config);
    let mut plan = SyncPlan::default();
    let options = Options { rescue_entry: config.host.needs_rescue_entry(), ..Options::default() };
    let line = cmdline::plan(facts.system, &parameters, facts.record, &options);
    plan.notes.extend(line.problems.iter().chain(&line.notes).cloned());
    let running: Vec<String> = facts.system.parameters.iter().map(str::to_owned).collect();
    let lacking: Vec<String> =
        parameters.iter().filter(|parameter| !parameters::is_there(parameter, &running)).cloned().collect();
    if facts.system.is_unknown() {
        plan.notes.extend(not_found::sentence(facts.system, &lacking));
    }
    // Their section stands in the image all the same: what reserves there leaves disks alone.
    plan.notes.extend(facts.refused.iter().map(ToString::to_string));
    let (build, notes) = build(facts, &needs);
    plan.notes.extend(notes);
    // Before anything that makes images.
    let builds = build.iter().flat_map(|(runs, _)| runs).any(|run| run[0] == Tool::Mkinitcpio.name());
    let is_required = !needs.is_empty() && facts.initramfs.tool == Some(Tool::Mkinitcpio);
    let drop_in = mkinitcpio::drop_in(&facts.initramfs.hook, is_required, builds);
    plan.steps.extend(
        drop_in.map(|text| SyncStep::Hook { path: mkinitcpio_hook::DROP_IN.to_owned(), text: text.map(str::to_owned) }),
    );
    let build = build.map(|(runs, why)| {
        // mkinitcpio makes an image with the parameters in it: once is enough.
        let made = |run: &Vec<String>| line.tools.iter().any(|tool| tool.command == *run);
        SyncStep::Initramfs { runs: runs.into_iter().filter(|run| !made(run)).collect(), why }
    });
    if !line.is_empty() {
        plan.steps.push(SyncStep::Words { plan: Box::new(line) });
    }
    plan.steps.extend(build);
    plan.synced = Synced { version: VERSION, parameters, cards: needs };
    plan
}

/// The programs to run for the images, and why; and what there is to know where none helps.
type Build = (Option<(Vec<Vec<String>>, Vec<String>)>, Vec<String>);

fn build(facts: &Facts<'_>, needs: &[CardNeed]) -> Build {
    let initramfs = facts.initramfs;
    let changed = facts.synced.cards != needs;
    let note = |text: String| (None, vec![text]);
    if initramfs.immutable {
        return if needs.is_empty() { (None, Vec::new()) } else { note(immutable(needs, initramfs)) };
    }
    if needs.is_empty() && !may_be_in(initramfs, facts.synced) {
        return (None, Vec::new());
    }
    let mut wrong: Vec<&Image> = Vec::new();
    let mut why = Vec::new();
    let mut unified_is_wrong = false;
    // What builds the images of an initramfs does not build unified ones, or not under this name.
    let is_built = |image: &&Image| !image.is_unified() || initramfs.unified_by.is_some();
    for image in initramfs.images.iter().filter(is_built) {
        match fit(image, needs) {
            Fit::Right => continue,
            Fit::Wrong(sentence) => why.push(sentence),
            // Only what was done last says how it is.
            Fit::Unknown(_) if !changed => continue,
            Fit::Unknown(sentence) => why.push(sentence),
        }
        if image.is_unified() {
            unified_is_wrong = true;
        } else {
            wrong.push(image);
        }
    }
    let none = !initramfs.images.iter().any(|image| is_built(&image));
    if none && initramfs.tool.is_some() && changed {
        why.push("no image of an installed kernel was found in /boot or on the EFI system partition".to_owned());
    }
    if why.is_empty() {
        return (None, Vec::new());
    }
    let by_itself = match initramfs.tool {
        _ if wrong.is_empty() && unified_is_wrong => Vec::new(),
        None | Some(Tool::Booster) => {
            return note(format!("{}; {}", why.join("; "), nobody(initramfs.tool)));
        }
        Some(tool) => runs(tool, &wrong, initramfs),
    };
    // It may put into its images what was built before it.
    let unified = initramfs.unified_by.iter().filter(|run| unified_is_wrong && !by_itself.contains(run)).cloned();
    let runs = by_itself.iter().cloned().chain(unified).collect();
    (Some((runs, why)), Vec::new())
}

/// What it costs that an image is not built here.
pub fn immutable(needs: &[CardNeed], initramfs: &Initramfs) -> String {
    let todo = if initramfs.by_rpm_ostree {
        "'rpm-ostree initramfs --enable' builds one here, with vfio in it"
    } else {
        "install vfio where the image is built, before its initramfs is"
    };
    format!(
        "the initramfs of this system comes with it and is not built here: {} is reserved only after it, so a driver that \
         it loads has the card first ({todo})",
        names(needs)
    )
}

fn nobody(tool: Option<Tool>) -> &'static str {
    match tool {
        Some(Tool::Booster) => "booster has no place for vfio in its images: the card is reserved only after them",
        _ => "no program was found that builds it (update-initramfs, dracut, mkinitcpio): rebuild it manually",
    }
}

/// The commands that build all images anew, whatever is in them.
pub fn rebuild(initramfs: &Initramfs) -> Vec<Vec<String>> {
    let tool = initramfs.tool.filter(|_| !initramfs.immutable);
    tool.map(|tool| runs(tool, &[], initramfs)).unwrap_or_default()
}

fn runs(tool: Tool, wrong: &[&Image], initramfs: &Initramfs) -> Vec<Vec<String>> {
    let command = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
    match tool {
        Tool::UpdateInitramfs => vec![command(&["update-initramfs", "-u", "-k", "all"])],
        Tool::Mkinitcpio => vec![command(&["mkinitcpio", "-P"])],
        // By name: without one dracut writes where it thinks the loader looks.
        Tool::Dracut => {
            // As Gentoo's installkernel tells it, whatever dracut.conf says.
            let options: &[&str] = if initramfs.installkernel { &["--force", "--no-uefi"] } else { &["--force"] };
            let one = |image: &&Image| {
                let name = image.name();
                Some(command(&[&["dracut"], options, &[name.as_str(), image.release.as_deref()?]].concat()))
            };
            let all: Option<Vec<_>> = wrong.iter().map(one).collect();
            match all {
                Some(all) if !all.is_empty() => all,
                // It knows where its images belong.
                _ if initramfs.installkernel => vec![command(&["installkernel", "--all"])],
                _ => vec![command(&["dracut", "--force", "--regenerate-all"])],
            }
        }
        Tool::Booster => Vec::new(),
    }
}

#[cfg(test)]
#[path = "sync_tests.rs"]
mod tests;
