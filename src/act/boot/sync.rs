// SPDX-License-Identifier: LGPL-2.1-or-later
//! Bringing boot entries and images up to date with the configuration: for `vfio-sync.service` and for `vfio sync`.

use crate::act::backend::tools::{Ran, Tools};
use crate::act::boot::error::BootError;
use crate::act::boot::unpack::unpacker_for;
use crate::act::boot::{boot_files, cmdline, made};
use crate::act::files;
use crate::act::lock::{Lock, LockError};
use crate::config::{self, Config};
use crate::host::boot::BootSystem;
use crate::host::initramfs::{self, Image, Initramfs};
use crate::host::run::sync_report::{self, Report, SyncOutcome};
use crate::host::Host;
use crate::plan::cmdline::parameters::Parameter;
use crate::plan::cmdline::record::Record;
use crate::plan::mkinitcpio;
use crate::plan::sync::{self as decide, CardNeed, Facts, Fit, SyncPlan, SyncStep, Synced};
use crate::plan::Finding;
use crate::root::{Root, RUN, STATE};
use crate::survey;
use crate::text::shell_command;
use std::io;
use std::time::{Duration, Instant};

/// How long an image may take; several kernels are built one after the other.
const BUILD: Duration = Duration::from_secs(600);
/// How long another attempt may take before this one gives up.
const PATIENCE: Duration = Duration::from_secs(1800);
/// How long to wait for a package manager.
const PACKAGES: Duration = Duration::from_secs(600);
/// How often to look whether it has ended.
const AGAIN: Duration = Duration::from_secs(1);

/// What of the machine an attempt, or a look at one, has to know.
#[derive(Debug)]
pub struct Snapshot {
    /// The configuration that the next boot has.
    pub config: Config,
    /// Boot loaders and their files.
    pub system: BootSystem,
    /// The parameters that the kernel needs for this configuration.
    pub parameters: Vec<Parameter>,
    /// Which parameters there are ours; an error keeps everything as it is.
    pub record: Result<Record, BootError>,
    /// The images.
    pub initramfs: Initramfs,
    /// What was last brought up to date.
    pub synced: Synced,
    /// Cards that the next boot will not bind, because the host's data is on them.
    pub refused: Vec<Finding>,
}

impl Snapshot {
    /// Looks, and into the images if they matter, or if all is to be known.
    pub fn at(root: &Root, everything: bool) -> Snapshot {
        let config = config::load_for_next_boot(root);
        let host = survey::whole(root, &config);
        Snapshot::of(root, config, host, everything)
    }

    /// The same, with all that can be known, of a machine that was looked at already.
    pub fn on(root: &Root, host: &Host) -> Snapshot {
        Snapshot::of(root, config::load_for_next_boot(root), host.clone(), true)
    }

    fn of(root: &Root, config: Config, host: Host, everything: bool) -> Snapshot {
        let (record, synced) = (cmdline::load_record(root), load_synced(root));
        let mut initramfs = Initramfs::scan(root, None);
        if everything && !initramfs.immutable || decide::must_look(&config, &initramfs, &synced) {
            initramfs = Initramfs::scan(root, Some(unpacker_for(root).as_ref()));
        }
        let (system, parameters) = survey::required_parameters_on(root, &config, &host);
        let refused = survey::with_data(root, &config, host);
        Snapshot { config, system, parameters, record, initramfs, synced, refused }
    }

    /// The same for a decision. Without a record nothing is known to be ours.
    pub fn facts<'f>(&'f self, record: &'f Record) -> Facts<'f> {
        Facts {
            system: &self.system,
            record,
            initramfs: &self.initramfs,
            synced: &self.synced,
            parameters: &self.parameters,
            refused: &self.refused,
        }
    }
}

fn synced_path() -> String {
    format!("{STATE}/synced")
}

/// What was last brought up to date. One that is lost or of another version: nothing was, and the images tell.
pub fn load_synced(root: &Root) -> Synced {
    let read = root.read(&synced_path()).ok().and_then(|bytes| serde_json::from_slice::<Synced>(&bytes).ok());
    read.filter(|synced| synced.version == decide::VERSION).unwrap_or_default()
}

fn save_synced(root: &Root, synced: &Synced) -> io::Result<()> {
    if *synced == Synced::default() {
        return files::remove(root, &synced_path());
    }
    files::replace_json(root, &synced_path(), synced)
}

/// One attempt.
struct Attempt<'a> {
    root: &'a Root,
    tools: &'a dyn Tools,
    progress: &'a mut dyn FnMut(&str),
    did: Vec<String>,
    failed: Vec<String>,
    /// What is left to a person: a sentence each.
    noted: Vec<String>,
    /// Whether an image that was built has what is ours in it.
    is_in: bool,
}

/// Brings everything up to date, and leaves a report of it. Errors: it could not even begin.
pub fn run(root: &Root, tools: &dyn Tools, progress: &mut dyn FnMut(&str)) -> Result<Report, BootError> {
    let _lock = lock(root, progress)?;
    let mut attempt =
        Attempt { root, tools, progress, did: Vec::new(), failed: Vec::new(), noted: Vec::new(), is_in: false };
    let report = attempt.make();
    files::replace_json(root, &sync_report::path(), &report)
        .map_err(|error| BootError::File { path: sync_report::path(), error })?;
    Ok(report)
}

/// How often an attempt is repeated because the configuration was written meanwhile.
const ROUNDS: u32 = 10;

/// Runs attempts until the configuration is as it was when the last one began: what is written while one runs is not
/// lost, for systemd starts no unit that is being started already. `settle` waits until the writer has finished.
pub fn until_settled<T>(root: &Root, settle: impl Fn(&Root), mut attempt: impl FnMut() -> T) -> T {
    for _ in 1..ROUNDS {
        settle(root);
        let before = initramfs::configuration(root);
        let result = attempt();
        if initramfs::configuration(root) == before {
            return result;
        }
        log::info!("the configuration was written again meanwhile");
    }
    attempt()
}

/// Waits until the configuration has not changed for a while: editors write in several steps, and people save twice.
pub fn settle(root: &Root) {
    let until = Instant::now() + SETTLED * 10;
    let mut before = initramfs::configuration(root);
    loop {
        std::thread::sleep(SETTLED);
        let now = initramfs::configuration(root);
        if now == before || Instant::now() >= until {
            return;
        }
        before = now;
    }
}

/// How long nobody must have written.
const SETTLED: Duration = Duration::from_secs(2);

/// Never two at once.
fn lock(root: &Root, progress: &mut dyn FnMut(&str)) -> Result<Lock, BootError> {
    let path = format!("{RUN}/sync-lock");
    let failed = |error: LockError| BootError::Lock { path: path.clone(), error };
    match Lock::take_within(root, &path, Duration::ZERO) {
        Err(LockError::Busy) => {
            progress("waiting for another vfio sync");
            Lock::take_within(root, &path, PATIENCE).map_err(failed)
        }
        other => other.map_err(failed),
    }
}

impl Attempt<'_> {
    fn make(&mut self) -> Report {
        self.wait_for_packages();
        // From looking to changing nobody else of ours changes boot files.
        let lock = match cmdline::lock(self.root) {
            Ok(lock) => lock,
            Err(error) => return self.report(SyncOutcome::Failed, vec![format!("boot files: {error}")]),
        };
        let snapshot = Snapshot::at(self.root, false);
        let (record, known) = match &snapshot.record {
            Ok(record) => (record.clone(), true),
            Err(error) => {
                self.failed.push(error.to_string());
                (Record::default(), false)
            }
        };
        let plan = decide::plan(&snapshot.config, &snapshot.facts(&record));
        if !plan.refusals.is_empty() {
            return self.report(SyncOutcome::Refused, plan.refusals);
        }
        let mut up_to_date = snapshot.synced.clone();
        let mut left = Vec::new();
        let hook = plan.steps.iter().find_map(|step| match step {
            SyncStep::Hook { path, text } => Some((path, text.as_ref())),
            _ => None,
        });
        let new_hook = hook.filter(|(path, text)| self.put_hook(path, *text) && text.is_some());
        let parameters = plan.steps.iter().find_map(|step| match step {
            SyncStep::Words { plan } => Some(plan),
            _ => None,
        });
        if let Some(line) = parameters.filter(|_| known) {
            match cmdline::apply(self.root, self.tools, line, self.progress) {
                Err(error) => self.failed.push(error.to_string()),
                Ok(sentences) => {
                    left = sentences;
                    self.did.extend(line.changes.iter().map(|change| change.sentence()));
                    self.did.extend(line.tools.iter().map(|tool| format!("ran {}", shell_command(&tool.command))));
                }
            }
        }
        drop(lock);
        // What is left to a person is not done yet.
        if self.failed.is_empty() && left.is_empty() && !snapshot.system.is_unknown() {
            up_to_date.parameters.clone_from(&plan.synced.parameters);
        }
        if self.build(&snapshot, &plan) {
            up_to_date.cards.clone_from(&plan.synced.cards);
        }
        // mkinitcpio was told by a preset to read something else.
        if let Some((path, _)) = new_hook.filter(|_| !self.is_in) {
            self.put_hook(path, None);
        }
        if let Err(error) = save_synced(self.root, &up_to_date) {
            self.failed.push(format!("/{}: {error}", synced_path()));
        }
        let notes: Vec<String> = plan.notes.into_iter().chain(std::mem::take(&mut self.noted)).chain(left).collect();
        let outcome = match (self.failed.is_empty(), notes.is_empty(), self.did.is_empty()) {
            (false, ..) => SyncOutcome::Failed,
            (true, false, _) => SyncOutcome::Noted,
            (true, true, false) => SyncOutcome::Done,
            (true, true, true) => SyncOutcome::Nothing,
        };
        self.report(outcome, notes)
    }

    fn report(&mut self, outcome: SyncOutcome, more: Vec<String>) -> Report {
        let mut why = std::mem::take(&mut self.failed);
        why.extend(more);
        Report { version: sync_report::VERSION, outcome, did: std::mem::take(&mut self.did), why }
    }

    /// A package manager builds images itself, and two builds of one image spoil it.
    fn wait_for_packages(&mut self) {
        let until = Instant::now() + PACKAGES;
        let mut said = false;
        while let Some(name) = sync_report::package_manager(self.root) {
            if !said {
                (self.progress)(&format!("waiting for {name} to end"));
                said = true;
            }
            if Instant::now() >= until {
                log::warn!("{name} is still at work after {} s: not waiting any longer", PACKAGES.as_secs());
                return;
            }
            std::thread::sleep(AGAIN);
        }
    }

    /// Writes the drop-in of mkinitcpio's, or removes it; whether that worked.
    fn put_hook(&mut self, path: &str, text: Option<&String>) -> bool {
        let (done, sentence) = match text {
            Some(text) => (boot_files::write(self.root, path, text.as_bytes()), "has mkinitcpio run the hook 'vfio'"),
            None => (files::remove(self.root, path), "removed"),
        };
        match done {
            Ok(()) => {
                let sentence = format!("/{path}: {sentence}");
                (self.progress)(&sentence);
                self.did.push(sentence);
            }
            Err(ref error) => self.failed.push(format!("/{path}: {error}")),
        }
        done.is_ok()
    }

    /// Builds images if need be, and looks whether they are right then.
    fn build(&mut self, snapshot: &Snapshot, plan: &SyncPlan) -> bool {
        let build = plan.steps.iter().find_map(|step| match step {
            SyncStep::Initramfs { runs, why } => Some((runs, why)),
            _ => None,
        });
        let Some((runs, why)) = build else {
            // An image that is still wrong, which nothing here can build, is in the notes.
            let wrong = |image| matches!(decide::fit(image, &plan.synced.cards), Fit::Wrong(_));
            return !snapshot.initramfs.images.iter().any(wrong);
        };
        why.iter().for_each(|why| (self.progress)(why));
        let mut ran = Vec::new();
        for run in runs {
            (self.progress)(&format!("building the initramfs: {}", shell_command(run)));
            match made::attempt(self.tools, run, BUILD) {
                Ok(how) => ran.push((run, how)),
                Err(error) => {
                    self.failed.push(format!("the initramfs was not built: {error}"));
                    return false;
                }
            }
            self.did.push(format!("ran {}", shell_command(run)));
        }
        (self.progress)("looking into the initramfs");
        let built = Initramfs::scan(self.root, Some(unpacker_for(self.root).as_ref()));
        let right = self.judge(snapshot, &built, &plan.synced.cards, &ran);
        self.is_in = built.images.iter().any(|image| image.seen.as_ref().is_ok_and(|seen| seen.program && seen.run));
        let clean = |image: &Image| image.seen.as_ref().is_ok_and(|seen| !seen.program);
        if right && built.images.iter().all(clean) {
            // No image has anything of ours any more: none has to be looked into.
            if let Err(error) = files::remove(self.root, &format!("{STATE}/initramfs")) {
                log::debug!("/{STATE}/initramfs: {error}");
            }
        }
        right
    }

    /// Whether the images are right: what is in them decides, and no program's exit code.
    fn judge(
        &mut self,
        snapshot: &Snapshot,
        built: &Initramfs,
        cards: &[CardNeed],
        ran: &[(&Vec<String>, Ran)],
    ) -> bool {
        let mut failures = ran.iter().filter(|(_, how)| !how.well);
        let failure = failures.next().map(|(run, how)| made::failed(run, how));
        let (mut right, mut known) = (true, !built.images.is_empty());
        let mut wrong = Vec::new();
        for image in &built.images {
            let sentence = match decide::fit(image, cards) {
                Fit::Right => continue,
                Fit::Unknown(_) => {
                    known = false;
                    continue;
                }
                Fit::Wrong(sentence) => sentence,
            };
            right = false;
            let why = ran.iter().find_map(|(_, how)| mkinitcpio::why_without(&how.printed, &image.name()));
            if let Some(why) = why.filter(|_| !cards.is_empty()) {
                wrong.push(format!("{sentence}: {why}"));
            } else if failure.is_none() {
                let before = snapshot.initramfs.images.iter().find(|other| other.paths == image.paths);
                wrong.push(if before.is_some_and(|before| before.made == image.made) {
                    format!("{sentence}: nothing that ran builds it")
                } else {
                    format!("{sentence}, although it was rebuilt")
                });
            } else {
                wrong.push(sentence);
            }
        }
        match failure {
            Some(error) if right && known => {
                self.noted
                    .push(format!("{error}; the images have what vfio needs in them, and may lack something else"));
            }
            Some(error) => {
                self.failed.push(format!("the initramfs was not built: {error}"));
                right = false;
            }
            None if built.images.is_empty() => {
                self.noted.push(
                    "it was built, and no image of an installed kernel is found: mount what the boot loader reads"
                        .into(),
                );
            }
            None => {}
        }
        self.failed.extend(wrong);
        right
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_while_an_attempt_runs_is_not_lost() {
        let tree = tempfile::tempdir().unwrap();
        let root = Root::open(tree.path()).unwrap();
        std::fs::create_dir(tree.path().join("etc")).unwrap();
        let file = tree.path().join("etc/vfio.conf");
        std::fs::write(&file, "1").unwrap();
        let mut seen = Vec::new();
        until_settled(
            &root,
            |_| {},
            || {
                seen.push(std::fs::read_to_string(&file).unwrap_or_default());
                match seen.len() {
                    1 => std::fs::write(&file, "2").unwrap(),
                    2 => std::fs::remove_file(&file).unwrap(),
                    _ => {}
                }
            },
        );
        assert_eq!(seen, ["1", "2", ""]);
        // One who writes for ever is not waited for for ever.
        let mut rounds = 0;
        until_settled(
            &root,
            |_| {},
            || {
                rounds += 1;
                std::fs::write(&file, rounds.to_string()).unwrap();
            },
        );
        assert_eq!(rounds, ROUNDS);
    }
}
