// SPDX-License-Identifier: LGPL-2.1-or-later
//! Making boot files as they should be: all of a plan, or nothing of it.
//!
//! The record is written first: after a power cut in the middle, what was put in is known as ours, and the next apply or
//! revert does the rest.

use crate::act::backend::complaint::first_error;
use crate::act::backend::tools::Tools;
use crate::act::boot::error::BootError;
use crate::act::boot::made::{attempt, failed, Made, Mark};
use crate::act::boot::{boot_files, taken_out};
use crate::act::files;
use crate::act::lock::{Lock, LockError};
use crate::host::boot::{entry, BootSystem, Format, LoaderKind};
use crate::host::run::boot_counter;
use crate::plan::cmdline::outcome::{self, Shortcoming};
use crate::plan::cmdline::record::{Record, VERSION};
use crate::plan::cmdline::{CmdlinePlan, FileChange, ToolRun};
use crate::root::{Root, RUN, STATE};
use crate::text::shell_command;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

/// `grub-mkconfig` looks for other systems on every disk; images of several kernels are rebuilt.
const TOOL: Duration = Duration::from_secs(1200);
/// How long to wait for another program of ours that changes boot files.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where file systems with boot files are mounted.
const BOOT: [&str; 3] = ["boot", "boot/efi", "efi"];

fn record_path() -> String {
    format!("{STATE}/cmdline")
}

/// From looking at boot files until they are changed, nobody else of ours changes them.
pub fn lock(root: &Root) -> Result<Lock, LockError> {
    Lock::take_within(root, &format!("{RUN}/cmdline-lock"), PATIENCE)
}

/// What is ours. One that cannot be read is an error: without it nothing may be taken out.
pub fn load_record(root: &Root) -> Result<Record, BootError> {
    let path = record_path();
    let bytes = match boot_files::read(root, &path) {
        Ok(None) => return Ok(Record::default()),
        Ok(Some(bytes)) => bytes,
        Err(error) => return Err(BootError::Unread { path, error }),
    };
    let record: Record = match serde_json::from_slice(&bytes) {
        Ok(record) => record,
        Err(error) => return Err(BootError::NoRecord { path, error }),
    };
    match record.version {
        VERSION => Ok(record),
        version => Err(BootError::NewerRecord { path, version }),
    }
}

fn save(root: &Root, record: &Record) -> Result<(), BootError> {
    let path = record_path();
    let saved = if record.is_empty() {
        files::remove(root, &path)
    } else {
        match serde_json::to_vec_pretty(record) {
            Ok(text) if text.len() as u64 >= boot_files::LIMIT => return Err(BootError::LargeRecord { path }),
            Ok(text) => files::replace(root, &path, &[text, b"\n".to_vec()].concat()),
            Err(error) => Err(error.into()),
        }
    };
    saved.map_err(|error| BootError::NotBegun { path, error })
}

/// Forgets files that are not there any more.
pub fn forget_what_is_gone(root: &Root) -> Result<(), BootError> {
    let before = load_record(root)?;
    let mut record = before.clone();
    record.boot_files.retain(|known, _| entry::is_there(root, known));
    record.rescue_entries.retain(|known| entry::is_there(root, known));
    if record == before {
        Ok(())
    } else {
        save(root, &record)
    }
}

/// What is ours before or after: whatever of it is found is ours.
fn either(before: &Record, after: &Record) -> Record {
    let mut all = before.clone();
    all.directories.extend(after.directories.iter().filter(|d| !before.directories.contains(d)).cloned());
    all.rescue_entries.extend(after.rescue_entries.iter().filter(|e| !before.rescue_entries.contains(e)).cloned());
    for (path, owned) in &after.boot_files {
        let there = all.boot_files.entry(path.clone()).or_default();
        let known: BTreeMap<String, usize> =
            there.iter().enumerate().rev().map(|(at, other)| (other.key.clone(), at)).collect();
        for one in owned {
            match known.get(&one.key).and_then(|at| there.get_mut(*at)) {
                Some(other) => {
                    let more = one
                        .parameters
                        .iter()
                        .filter(|parameter| !other.parameters.contains(parameter))
                        .cloned()
                        .collect::<Vec<_>>();
                    other.parameters.extend(more);
                    other.before.clone_from(&one.before);
                }
                None => there.push(one.clone()),
            }
        }
    }
    all
}

/// Carries out a plan; what there is to know then: sentences. On any failure everything is as it was, and the error is one
/// sentence. What takes our parameters out never fails because of a file of somebody else's from which a tool makes GRUB's menu.
pub fn apply(
    root: &Root,
    tools: &dyn Tools,
    plan: &CmdlinePlan,
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<String>, BootError> {
    let before = load_record(root)?;
    let mut after = plan.record.clone();
    after.directories.extend(missing_directories(root, plan));
    let is_made = |known: &String| plan.changes.iter().any(|change| change.path == *known);
    after.rescue_entries.retain(|known| is_made(known) || entry::is_there(root, known));
    if !plan.is_empty() {
        after.changed_in = boot_counter::current(root);
    }
    let mut work = Work {
        root,
        tools,
        done: Vec::new(),
        ran: Vec::new(),
        made: None,
        menus: made_files(root, plan),
        left: Vec::new(),
    };
    for change in &plan.changes {
        work.is_as_planned(change)?;
    }
    if !plan.is_empty() {
        save(root, &either(&before, &after))?;
    }
    let result = work.carry_out(plan, &before, progress);
    match result {
        Ok(()) if after == before && plan.is_empty() => Ok(Vec::new()),
        Ok(()) => {
            // Boot entries go with their kernels.
            after.boot_files.retain(|known, _| entry::is_there(root, known));
            remove_directories(root, &mut after);
            save(root, &after)?;
            taken_out::remember(root, &before, &after);
            Ok(work.left)
        }
        Err(why) => {
            let mut then = work.take_back(plan);
            after.boot_files.clone_from(&before.boot_files);
            after.rescue_entries.clone_from(&before.rescue_entries);
            remove_directories(root, &mut after);
            then.extend(save(root, &before).err().map(|error| error.to_string()));
            Err(BootError::TakenBack { why: Box::new(why), then })
        }
    }
}

/// The directories that have to be made for new files, outermost first.
fn missing_directories(root: &Root, plan: &CmdlinePlan) -> Vec<String> {
    let mut missing = Vec::new();
    for change in plan.changes.iter().filter(|change| change.old.is_none()) {
        let above = change.path.match_indices('/').map(|(at, _)| &change.path[..at]);
        for directory in above.filter(|directory| !root.exists(directory)) {
            if !missing.iter().any(|other| other == directory) {
                missing.push(directory.to_owned());
            }
        }
    }
    missing
}

/// Removes the directories that were made for files of ours and are empty again.
fn remove_directories(root: &Root, record: &mut Record) {
    let used = |directory: &str| {
        let mut files = record.boot_files.keys().chain(&record.rescue_entries);
        files.any(|path| path.starts_with(&format!("{directory}/")))
    };
    let gone: Vec<String> = record.directories.iter().filter(|directory| !used(directory)).cloned().collect();
    for directory in gone.iter().rev() {
        // What somebody else has put in there keeps it.
        if let Err(error) = files::remove_dir(root, directory) {
            log::debug!("/{directory}: {error}");
        }
    }
    record.directories.retain(|directory| !gone.contains(directory));
}

/// Has what tools have written last: grub-mkconfig renames a menu that it has not synced, of which some file systems keep an
/// empty file when the power goes.
fn settle(root: &Root) -> Result<(), BootError> {
    // In a test tree the simulator wrote.
    let boot_files = BOOT.iter().filter(|_| root.is_system());
    for boot_file in boot_files {
        let Ok(directory) = root.open_at(boot_file, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()) else {
            continue;
        };
        let failed = |error: Errno| BootError::File { path: (*boot_file).to_owned(), error: error.into() };
        rustix::fs::syncfs(directory).map_err(failed)?;
    }
    Ok(())
}

/// The files that the tools of a plan make, each with what tells whether a tool has written it since.
fn made_files(root: &Root, plan: &CmdlinePlan) -> Vec<(LoaderKind, String, Option<Mark>)> {
    let of = |(loader, path): &(LoaderKind, String)| (*loader, path.clone(), Mark::of(root, path));
    plan.generated.iter().map(of).collect()
}

struct Work<'a> {
    root: &'a Root,
    tools: &'a dyn Tools,
    /// What was changed, with the bytes that were there.
    done: Vec<(&'a FileChange, Option<Vec<u8>>)>,
    ran: Vec<&'a ToolRun>,
    /// What decides instead of exit codes, as it was before.
    made: Option<Made>,
    /// What the tools make, as it was before.
    menus: Vec<(LoaderKind, String, Option<Mark>)>,
    /// What could not be done, and does not matter: sentences.
    left: Vec<String>,
}

impl<'a> Work<'a> {
    /// Somebody may have changed the file since it was looked at.
    fn is_as_planned(&self, change: &FileChange) -> Result<(), BootError> {
        let path = &change.path;
        let there =
            boot_files::read(self.root, path).map_err(|error| BootError::NotBegun { path: path.clone(), error })?;
        // Of an addon the plan knows its command line only.
        let same = match change.format {
            Format::Addon => there.is_some() == change.old.is_some(),
            _ => there.as_deref() == change.old.as_ref().map(String::as_bytes),
        };
        if same {
            Ok(())
        } else {
            Err(BootError::Changed { path: path.clone() })
        }
    }

    fn carry_out(
        &mut self,
        plan: &'a CmdlinePlan,
        before: &Record,
        progress: &mut dyn FnMut(&str),
    ) -> Result<(), BootError> {
        for change in &plan.changes {
            progress(&change.sentence());
            let path = &change.path;
            let failed = |error| BootError::File { path: path.clone(), error };
            let old = boot_files::read(self.root, path).map_err(failed)?;
            self.done.push((change, old));
            match (&change.new, change.format) {
                (None, _) => files::remove(self.root, path).map_err(failed)?,
                (Some(line), Format::Addon) => self.build(change, line.trim_end())?,
                (Some(text), _) => self.write(change, text.as_bytes()).map_err(failed)?,
            }
        }
        if plan.tools.is_empty() {
            return Ok(());
        }
        let made = self.made.insert(Made::look(self.root));
        let (mut complaint, mut failure) = (None, None);
        for run in &plan.tools {
            progress(&shell_command(&run.command));
            self.ran.push(run);
            let ran = attempt(self.tools, &run.command, TOOL)?;
            let printed = &ran.printed;
            if !ran.well {
                let error = failed(&run.command, &ran);
                if plan.required.is_empty() && run.loader.makes_a_menu() {
                    self.left.push(format!("{error}; {}", leaves(run)));
                    continue;
                }
                if !outcome::decides(run.loader) {
                    return Err(error.into());
                }
                failure = failure.or(Some(error));
                continue;
            }
            if let Some(shortcoming) = outcome::refused(run, printed) {
                return Err(BootError::Unmade { shortcoming, complaint: None });
            }
            complaint = complaint.or_else(|| first_error(printed).map(str::to_owned));
        }
        settle(self.root)?;
        let mut system = BootSystem::scan(self.root);
        if failure.is_none() {
            made.leave_out_old(self.root, &mut system);
        }
        let is_there = system.loaders.iter().any(|loader| outcome::decides(loader.kind));
        match (outcome::shortcoming(&system, plan, before), failure) {
            (Some(Shortcoming::Menu(sentence)), None) if plan.required.is_empty() => {
                // One whose tool failed is said already.
                if self.left.is_empty() {
                    self.left.push(sentence);
                }
                Ok(())
            }
            (None, None) => Ok(()),
            (None, Some(error)) if is_there => {
                progress(&format!("{error}; what it made has the parameters all the same"));
                Ok(())
            }
            (_, Some(error)) => Err(error.into()),
            (Some(shortcoming), None) => Err(BootError::Unmade { shortcoming, complaint }),
        }
    }

    fn write(&self, change: &FileChange, content: &[u8]) -> io::Result<()> {
        let path = &change.path;
        if let Some((directory, _)) = path.rsplit_once('/') {
            files::make_dirs(self.root, directory)?;
        }
        match change.format {
            _ if change.keeps_time() => boot_files::write_keeping_time(self.root, path, content),
            Format::GrubScript => boot_files::write_program(self.root, path, content),
            _ => boot_files::write(self.root, path, content),
        }
    }

    /// Has an addon built beside our run state, and puts it where it belongs in one piece.
    fn build(&self, change: &FileChange, line: &str) -> Result<(), BootError> {
        let made = format!("{RUN}/addon.efi");
        let (line, output) = (format!("--cmdline={line}"), format!("--output={}", self.root.show(&made)));
        let mut command: Vec<&str> = change.builder.iter().map(String::as_str).collect();
        if command.is_empty() {
            command = vec!["ukify", "build"];
        }
        command.extend([line.as_str(), output.as_str()]);
        let failed = |path: &str, error| BootError::File { path: path.to_owned(), error };
        files::make_dirs(self.root, RUN).map_err(|error| failed(RUN, error))?;
        self.tools.run(&command, TOOL)?;
        let bytes = boot_files::read(self.root, &made).map_err(|error| failed(&made, error))?;
        let bytes = bytes.ok_or_else(|| BootError::NoAddon { tool: command[0].to_owned() })?;
        self.write(change, &bytes).map_err(|error| failed(&change.path, error))?;
        files::remove(self.root, &made).map_err(|error| failed(&made, error))
    }

    /// Whether what the tools of a loader make is as it was before they ran, as far as its files are known.
    fn made_nothing(&self, loader: LoaderKind) -> bool {
        let mut files = self.menus.iter().filter(|(of, ..)| *of == loader).peekable();
        files.peek().is_some() && files.all(|(_, path, before)| Mark::of(self.root, path) == *before)
    }

    /// Makes everything as it was; what did not work.
    fn take_back(&mut self, plan: &CmdlinePlan) -> Vec<String> {
        let mut problems = Vec::new();
        for (change, old) in std::mem::take(&mut self.done).into_iter().rev() {
            let path = &change.path;
            let back = match &old {
                Some(bytes) if boot_files::read(self.root, path).ok().flatten().as_ref() == Some(bytes) => Ok(()),
                Some(bytes) => self.write(change, bytes),
                None => files::remove(self.root, path),
            };
            let failed = |error| BootError::NotPutBack { path: path.clone(), error }.to_string();
            problems.extend(back.err().map(failed));
        }
        for run in std::mem::take(&mut self.ran).into_iter().rev() {
            if run.undo.is_empty() && self.made_nothing(run.loader) {
                continue;
            }
            // One without an undo makes the same from the files, which are as before.
            let command = if run.undo.is_empty() { &run.command } else { &run.undo };
            let is_right =
                || outcome::decides(run.loader) && self.made.as_ref().is_some_and(|made| made.is_as_before(self.root));
            if is_right() {
                continue;
            }
            problems.extend(match attempt(self.tools, command, TOOL) {
                Err(error) => Some(error.to_string()),
                Ok(ran) if ran.well || is_right() => None,
                Ok(ran) => Some(failed(command, &ran).to_string()),
            });
        }
        if problems.is_empty() && !plan.changes.is_empty() {
            problems.push("everything is as it was".to_owned());
        }
        problems
    }
}

/// What it means that a tool did not run.
fn leaves(run: &ToolRun) -> String {
    format!("what {} makes is not up to date until it runs again", run.command.first().map_or("it", String::as_str))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "cmdline_tests.rs"]
mod tests;
