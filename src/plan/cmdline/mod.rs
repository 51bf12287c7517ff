// SPDX-License-Identifier: LGPL-2.1-or-later
//! The kernel's command line in every place that boot entries are made from: which parameters are required, what has to change
//! where, and what is ours in it.
//!
//! Only parameters that we put in are ever taken out; what was there before is the user's and stays, byte for byte.

mod base;
pub mod boot_file_status;
pub mod by_hand;
mod edit_file;
mod edit_line;
pub mod elsewhere;
pub mod format;
mod grub_menu;
mod hook_entries;
mod image_built;
pub mod line;
pub mod new_entry;
mod next_kernel;
pub mod not_found;
pub mod outcome;
mod own;
pub mod parameters;
pub mod record;
pub mod rescue_entry;
mod sdbootutil;
pub mod status;
mod tool_managed;
pub mod unchecked;

use crate::host::boot::identity::Identity;
use crate::host::boot::SIGNING_KEY;
use crate::host::boot::{BootFile, BootSystem, Content, Format, Loader, LoaderKind, Role};
use edit_file::{ours_alone, reads_as, shared, unique, Asked};
use format::Problem;
use own::{base_parameters, own_parameters};
use record::{Owned, Record};
use serde::Serialize;

/// What was asked for beside the parameters.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Parameters that are there already become ours, so that a revert takes them out; parameters that never had an effect go.
    pub adopt: bool,
    /// Entries for emergencies are changed too.
    pub rescue: bool,
    /// There is to be a boot entry without us (`[host] rescue-entry`); else it goes.
    pub rescue_entry: bool,
    /// Only this loader.
    pub only: Option<LoaderKind>,
}

/// A file that changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileChange {
    /// Whose it is.
    pub loader: LoaderKind,
    /// The file, below the root.
    pub path: String,
    /// How its command line stands in it.
    #[serde(rename = "grammar")]
    pub format: Format,
    /// What must be in it now; `None` if it must not be there.
    pub old: Option<String>,
    /// What will be in it; `None` if it goes.
    pub new: Option<String>,
    /// Parameters that come in.
    pub adds: Vec<String>,
    /// Parameters that go.
    pub removes: Vec<String>,
    /// Of an addon, what builds it: a program and its first arguments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub builder: Vec<String>,
}

impl FileChange {
    /// Whether the file keeps its time. Which of Fedora's two sources is the older one decides what the next kernel gets: if it is
    /// `/etc/kernel/cmdline`, that and every entry are made again from the other (`20-grub.install`).
    pub fn keeps_time(&self) -> bool {
        self.loader == LoaderKind::GrubBls && matches!(self.format, Format::GrubLinux | Format::Plain)
    }

    /// What it does, for a person.
    pub fn sentence(&self) -> String {
        let adds = self.adds.iter().map(|parameter| format!("+{parameter}"));
        let removes = self.removes.iter().map(|parameter| format!("-{parameter}"));
        let parameters: Vec<String> = adds.chain(removes).collect();
        match parameters.as_slice() {
            // Its kernel, or what else its text was made from, is another.
            [] => format!("/{}: the boot entry without VFIO is made again", self.path),
            parameters => format!("/{}: {}", self.path, parameters.join(" ")),
        }
    }
}

/// Something that is to be run after the files have changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ToolRun {
    /// Whose it is.
    pub loader: LoaderKind,
    /// The program and its arguments.
    #[serde(rename = "words")]
    pub command: Vec<String>,
    /// What takes its effect back; empty if it is run again once the files are as before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub undo: Vec<String>,
}

/// What has to be done so that every boot entry has the required parameters and no others of ours.
#[derive(Debug, Clone, Default, Serialize)]
pub struct CmdlinePlan {
    /// Files, in order.
    pub changes: Vec<FileChange>,
    /// Programs, in order, after the files.
    pub tools: Vec<ToolRun>,
    /// What is ours when all of it is done.
    #[serde(skip)]
    pub record: Record,
    /// Files that the programs make.
    #[serde(skip)]
    pub generated: Vec<(LoaderKind, String)>,
    /// The parameters that every entry is to have then.
    #[serde(skip)]
    pub required: Vec<String>,
    /// Parameters that were ours and are not required any more.
    #[serde(skip)]
    pub gone: Vec<String>,
    /// Why a loader is left as it is: sentences.
    pub problems: Vec<String>,
    /// What else there is to know.
    pub notes: Vec<String>,
    /// Why there is no boot entry without us although one is to be there: sentences, which are among the notes.
    #[serde(skip)]
    pub no_rescue_entry: Vec<String>,
}

impl CmdlinePlan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.tools.is_empty()
    }
}

/// Parameters that are no parameters of any kernel, and that guides tell people to add: `amd_iommu=on` (`drivers/iommu/amd/init.c`,
/// `parse_amd_iommu_options`). They go when the user asks for it.
pub const WITHOUT_EFFECT: [&str; 1] = ["amd_iommu=on"];

/// Plans for all loaders. No required parameters: everything of ours goes.
pub fn plan(system: &BootSystem, required: &[String], record: &Record, options: &Options) -> CmdlinePlan {
    let gone = record.all_parameters().into_iter().map(str::to_owned).filter(|ours| !required.contains(ours));
    let mut plan = CmdlinePlan {
        record: record.clone(),
        required: required.to_vec(),
        gone: gone.collect(),
        ..CmdlinePlan::default()
    };
    let running: Vec<String> = system.parameters.iter().map(str::to_owned).collect();
    // Where nothing is known the verbs say it, and it is not an error.
    if !system.is_unknown() && !missing(required, &running).is_empty() {
        plan.problems.extend(not_found::sentence(system, required));
    }
    let identity = &system.identity;
    let loaders: Vec<&Loader> =
        system.loaders.iter().filter(|l| options.only.is_none_or(|only| only == l.kind)).collect();
    for loader in &loaders {
        let required = if system.left_over.contains(&loader.kind) { &[] } else { required };
        let part = match loader.kind {
            LoaderKind::BootcImage => image_built::check(system, loader, required).map(|()| Part::default()),
            _ => of_loader(loader, required, record, options, identity),
        };
        let is_wanted = options.rescue_entry && !system.left_over.contains(&loader.kind);
        let asked = rescue_entry::Asked { system, is_wanted, record };
        let part = part.map(|mut part| {
            rescue_entry::add(loader, &mut part, &asked);
            part
        });
        match part.and_then(|part| plan.take(loader, part, record, identity)) {
            Ok(()) => {}
            // What did not boot keeps no boot from being as required.
            Err(sentence) if system.did_not_start(loader.kind) => {
                plan.notes.push(format!("{sentence} ({} did not start this boot)", loader.kind.name()));
            }
            Err(sentence) => plan.problems.push(sentence),
        }
    }
    plan.problems.extend(by_hand::sentences(system, required));
    if plan.problems.is_empty() && !required.is_empty() && !loaders.is_empty() {
        plan.problems.extend(own::nothing_is_reached(&loaders, required, identity));
    }
    plan
}

/// The part of a plan that one loader needs.
#[derive(Default)]
struct Part {
    changes: Vec<FileChange>,
    runs: Vec<ToolRun>,
    owned: Vec<(String, Vec<Owned>)>,
    /// Files that are on record then also where nothing in them is ours.
    known: Vec<String>,
    notes: Vec<String>,
    /// Files that have the boot entry without us in them then.
    rescue_entries: Vec<String>,
    /// Whether what a tool made lacks it, or still has it.
    menu_is_behind: bool,
    /// Why there is none, if so: a sentence.
    no_rescue_entry: Option<String>,
}

impl CmdlinePlan {
    /// Errors: what its tool makes would lose something; then nothing of this loader is changed.
    fn take(&mut self, loader: &Loader, part: Part, before: &Record, identity: &Identity) -> Result<(), String> {
        let mut record = self.record.clone();
        for (path, owned) in part.owned {
            if owned.is_empty() {
                record.boot_files.remove(&path)
            } else {
                record.boot_files.insert(path, owned)
            };
        }
        for path in part.known {
            record.boot_files.entry(path).or_default();
        }
        record.rescue_entries.retain(|known| loader.boot_files.iter().all(|boot_file| boot_file.path != *known));
        record.rescue_entries.extend(part.rescue_entries);
        // What a tool made may lack what its sources have: an apply that was cut off before it ran.
        let builds = part.changes.iter().any(|change| !change.builder.is_empty());
        let is_behind = || part.menu_is_behind || is_behind(loader, &record, before, identity);
        if !builds && part.runs.is_empty() && (!part.changes.is_empty() || is_behind()) {
            if loader.kind == LoaderKind::Sdbootutil {
                let ours: Vec<String> = [ours_of(loader, before), ours_of(loader, &record)].concat();
                let ours: Vec<&str> = ours.iter().map(String::as_str).collect();
                sdbootutil::check(loader, &part.changes, &ours)?;
            }
            loader.tools.iter().for_each(|command| self.run_last(loader.kind, command.clone()));
            let made = loader.boot_files.iter().filter(|boot_file| boot_file.role == Role::Generated);
            self.generated.extend(made.map(|boot_file| (loader.kind, boot_file.path.clone())));
            let outcomes = loader
                .boot_files
                .iter()
                .filter(|boot_file| boot_file.role == Role::Generated && boot_file.content.is_some());
            let checks = outcomes.filter_map(|p| Some([loader.check.clone()?, vec![format!("/{}", p.path)]].concat()));
            checks.for_each(|command| self.run_last(loader.kind, command));
        }
        self.record = record;
        self.notes.extend(part.notes.into_iter().chain(part.no_rescue_entry.clone()));
        self.no_rescue_entry.extend(part.no_rescue_entry);
        self.tools.extend(part.runs);
        self.changes.extend(part.changes);
        Ok(())
    }

    /// Has a tool run after all others. One that two loaders need runs once.
    fn run_last(&mut self, loader: LoaderKind, command: Vec<String>) {
        self.tools.retain(|run| run.command != command);
        self.tools.push(ToolRun { loader, command, undo: Vec::new() });
    }
}

/// Whether what a tool made from the sources does not have what is in them.
fn is_behind(loader: &Loader, now: &Record, before: &Record, identity: &Identity) -> bool {
    let (want, had) = (ours_of(loader, now), ours_of(loader, before));
    let gone = had.iter().filter(|parameter| !want.contains(parameter));
    let outcomes = loader.boot_files.iter().filter(|boot_file| boot_file.role == Role::Generated);
    let mut outcomes = outcomes.filter_map(|boot_file| own_parameters(boot_file, identity).ok());
    // A menu without an entry of this system has nothing that could be made.
    outcomes.any(|lines| {
        let there = lines.concat();
        !lines.is_empty() && want.iter().any(|parameter| !there.contains(parameter))
            || gone.clone().any(|parameter| there.contains(parameter))
    })
}

/// What is ours in the sources of a loader, or in the files that its tool keeps.
fn ours_of(loader: &Loader, record: &Record) -> Vec<String> {
    let of =
        |file: &BootFile| record.boot_files.get(&file.key()).into_iter().flatten().flat_map(|o| o.parameters.clone());
    let sources = loader.boot_files.iter().filter(|p| p.role == Role::Source || p.format.is_changed_by_a_tool());
    let mut parameters: Vec<String> = sources.flat_map(of).collect();
    parameters.sort_unstable();
    parameters.dedup();
    parameters
}

fn text_of(boot_file: &BootFile) -> Result<&str, Problem> {
    match &boot_file.content {
        None => Ok(""),
        Some(Content::Text(text)) => Ok(text),
        Some(Content::Unreadable(why)) => Err(Problem { line: 0, message: why.clone() }),
    }
}

/// The parameters of each command line in a file.
fn parameters_of(boot_file: &BootFile) -> Result<Vec<Vec<String>>, Problem> {
    let lines = format::lines(boot_file.format, text_of(boot_file)?)?;
    Ok(lines.into_iter().map(|line| line.parameters).collect())
}

fn at(boot_file: &BootFile, line: usize) -> String {
    match line {
        0 => format!("/{}", boot_file.path),
        line => format!("/{}:{line}", boot_file.path),
    }
}

fn said(boot_file: &BootFile, problem: &Problem) -> String {
    format!("{}: {}", at(boot_file, problem.line), problem.message)
}

fn of_loader(
    loader: &Loader,
    required: &[String],
    record: &Record,
    options: &Options,
    identity: &Identity,
) -> Result<Part, String> {
    let mut part = Part::default();
    // What every entry has anyway. To take ours out it need not be known.
    let base = match required.is_empty() {
        true => Vec::new(),
        false if options.adopt => {
            let adopted = base::adopt(loader, required);
            part.changes = adopted.changes;
            part.notes = adopted.notes;
            adopted.base
        }
        false => base::parameters(loader)?,
    };
    for boot_file in base::files(loader) {
        let there = base_parameters(boot_file).unwrap_or_default();
        part.notes.extend(against(required, &there, boot_file, 0));
    }
    if loader.kind == LoaderKind::Sdbootutil && !required.is_empty() {
        part.notes.extend(sdbootutil::notes(loader));
    }
    // Of several drop-ins of ours the last counts: the others go.
    let last = loader.boot_files.iter().rfind(|boot_file| boot_file.format == Format::GrubDropIn);
    for boot_file in &loader.boot_files {
        let of_hook = hook_entries::ours(loader, boot_file, record);
        let ours = record.boot_files.get(&boot_file.key()).or(of_hook.as_ref());
        match boot_file.role {
            Role::Base | Role::Generated | Role::WithoutVfio => continue,
            Role::Rescue if !options.rescue && ours.is_none() => continue,
            // Nothing to put in and nothing to take out: however it is written, it is right.
            _ if required.is_empty() && ours.is_none() => continue,
            _ => {}
        }
        if boot_file.format.is_changed_by_a_tool() {
            let mine = ours.map(Vec::as_slice).unwrap_or_default();
            let (runs, owned) = tool_managed::change(loader.kind, boot_file, required, mine, options)
                .map_err(|p| said(boot_file, &p))?;
            part.runs.extend(runs);
            part.owned.push((boot_file.key(), owned));
            continue;
        }
        let (change, owned) = if boot_file.format.is_ours_alone() {
            let counts =
                boot_file.format != Format::GrubDropIn || last.is_some_and(|last| std::ptr::eq(last, boot_file));
            let parameters = if counts { missing(required, &base) } else { Vec::new() };
            ours_alone(loader, boot_file, &parameters)
        } else {
            let asked = Asked { required, ours: ours.map(Vec::as_slice).unwrap_or_default(), options, identity };
            shared(loader, boot_file, &asked, &mut part.notes)
        }
        .map_err(|problem| said(boot_file, &problem))?;
        part.changes.extend(change);
        part.owned.push((boot_file.key(), owned));
    }
    part.known = hook_entries::known(loader, &part.owned);
    if !part.changes.is_empty() || !part.runs.is_empty() {
        if let Some(tool) = loader.missing.first() {
            let todo = match tool.as_str() {
                SIGNING_KEY => "write there where your key and its certificate are",
                _ => "install it",
            };
            return Err(format!(
                "{tool} is not there, and without it {} cannot be changed: {todo}, or add these parameters manually: {}",
                loader.kind.name(),
                required.join(" ")
            ));
        }
    }
    Ok(part)
}

/// The required parameters that are not there in any form.
fn missing(required: &[String], there: &[String]) -> Vec<String> {
    required.iter().filter(|parameter| !parameters::is_there(parameter, there)).cloned().collect()
}

/// A parameter of somebody else's against the required ones: a sentence.
fn against(required: &[String], there: &[String], boot_file: &BootFile, line: usize) -> Option<String> {
    let parameter = parameters::against(required, there)?;
    Some(format!("{}: '{parameter}' is against what /etc/vfio.conf wants; it is left there", at(boot_file, line)))
}
