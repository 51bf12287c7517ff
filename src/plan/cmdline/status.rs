// SPDX-License-Identifier: LGPL-2.1-or-later
//! How the parameters are now: in the running kernel, in each boot file, in the record.

use super::record::Record;
use crate::host::boot::{BootSystem, Role};
use crate::plan::cmdline::boot_file_status::BootFileStatus;
use crate::plan::cmdline::elsewhere::{self, Elsewhere};
use crate::plan::cmdline::own::is_own;
use crate::plan::cmdline::parameters::Parameter;
use crate::plan::cmdline::{base, by_hand, format, missing, not_found, text_of, unchecked, unique};
use serde::Serialize;

/// All of it.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// The required parameters, and why each.
    #[serde(rename = "wanted")]
    pub required: Vec<Parameter>,
    /// Which loader started this boot, by the firmware's variables.
    pub booted: Option<String>,
    /// Wanted parameters that the running kernel did not get.
    pub running_missing: Vec<String>,
    /// Parameters of ours that it got and that are not required any more.
    #[serde(rename = "running_unwanted")]
    pub running_obsolete: Vec<String>,
    /// Why the parameters do not get where this machine boots from, if so: a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_found: Option<String>,
    /// Boot files, in the order in which they are changed.
    #[serde(rename = "places")]
    pub boot_files: Vec<BootFileStatus>,
    /// Whether this machine boots from elsewhere, and what tells so.
    pub elsewhere: Option<Elsewhere>,
    /// What was not looked at: sentences.
    #[serde(rename = "unseen")]
    pub unchecked: Vec<String>,
    /// Whether entries are made from something that is no file.
    #[serde(skip)]
    pub is_made: bool,
    /// What only a person can do so that the next boot has the required parameters: sentences.
    pub by_hand: Vec<String>,
}

impl Status {
    /// Whether no boot file was found that is known to start this system.
    pub fn is_unknown(&self) -> bool {
        let is_known = |boot_file: &BootFileStatus| boot_file.is_booted || !boot_file.exists;
        !self.is_made && self.by_hand.is_empty() && !self.boot_files.iter().any(is_known)
    }

    /// Whether every boot, this one included, has just what is required.
    pub fn is_as_required(&self) -> bool {
        let files = self.boot_files.iter().filter(|boot_file| boot_file.counts());
        self.running_missing.is_empty()
            && self.running_obsolete.is_empty()
            && self.not_found.is_none()
            && self.by_hand.is_empty()
            && (self.required.is_empty() || !self.is_unknown())
            && files.clone().all(|boot_file| boot_file.is_as_required())
    }
}

/// Compares.
pub fn status(system: &BootSystem, required: Vec<Parameter>, record: &Record) -> Status {
    let parameters: Vec<String> = required.iter().map(|parameter| parameter.parameter.clone()).collect();
    let running: Vec<String> = system.parameters.iter().map(str::to_owned).collect();
    let ours = record.all_parameters();
    let obsolete = |there: &[String]| -> Vec<String> {
        ours.iter()
            .filter(|w| !parameters.iter().any(|x| x == *w) && there.iter().any(|x| x == *w))
            .map(|w| (*w).to_owned())
            .collect()
    };
    let mut boot_files = Vec::new();
    for loader in &system.loaders {
        let base: Vec<String> = base::parameters(loader).unwrap_or_default();
        let is_left_over = system.left_over.contains(&loader.kind);
        for boot_file in loader.boot_files.iter().filter(|boot_file| boot_file.role != Role::Base) {
            let ours: Vec<String> = record
                .boot_files
                .get(&boot_file.key())
                .into_iter()
                .flatten()
                .flat_map(|owned| owned.parameters.clone())
                .collect();
            if is_left_over && ours.is_empty() {
                continue;
            }
            let lines = text_of(boot_file).and_then(|text| format::lines(boot_file.format, text));
            let mut lacks: Vec<String> = Vec::new();
            let mut there: Vec<String> = Vec::new();
            let mut starts = 0;
            for line in lines.as_ref().into_iter().flatten() {
                let is_own = is_own(boot_file.format, line, &system.identity);
                let is_ours_alone = boot_file.role == Role::WithoutVfio;
                let is_asked = is_own && !line.for_emergencies && !is_left_over && !is_ours_alone;
                if is_own || record.owned(&boot_file.key(), &line.key).is_some() {
                    there.extend_from_slice(&line.parameters);
                }
                if is_asked || is_own && boot_file.role == Role::Rescue {
                    let mut all = line.parameters.clone();
                    if boot_file.format.is_ours_alone() {
                        all.extend_from_slice(&base);
                    }
                    lacks.extend(missing(&parameters, &all));
                    starts += 1;
                }
            }
            lacks.sort();
            lacks.dedup();
            // A drop-in that is not there lacks what nobody else has.
            if boot_file.content.is_none() && boot_file.format.is_ours_alone() {
                lacks = missing(&parameters, &base);
            }
            let exists = boot_file.content.is_some() || boot_file.format.is_ours_alone() && !lacks.is_empty();
            let is_broken = lines.is_err() && !system.did_not_start(loader.kind);
            boot_files.push(BootFileStatus {
                loader: loader.kind,
                path: format!("/{}", boot_file.path),
                role: boot_file.role,
                exists,
                missing: lacks,
                ours: unique(ours),
                obsolete: obsolete(&there),
                is_booted: boot_file.role == Role::Source && lines.is_ok() || starts > 0 || is_broken,
                problem: lines.err().map(|problem| problem.message),
            });
        }
    }
    let running_missing = missing(&parameters, &running);
    Status {
        elsewhere: elsewhere::find(system, record, &running_missing, &boot_files),
        running_missing,
        running_obsolete: obsolete(&running),
        not_found: not_found::sentence(system, &parameters),
        booted: system.booted.clone().or_else(|| system.stub.clone()),
        boot_files,
        unchecked: unchecked::sentences(system),
        by_hand: by_hand::sentences(system, &parameters),
        is_made: !system.by_hand.is_empty(),
        required,
    }
}
