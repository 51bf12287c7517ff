// SPDX-License-Identifier: LGPL-2.1-or-later
//! A boot entry that kernel-install has just written.
//!
//! What it says comes from `/etc/kernel/cmdline`, or, where there is none, from the running kernel: parameters of ours that were
//! taken out of the configuration since, and what a single boot was given, come along. So what is ours goes first.

use super::record::{Owned, Record};
use super::{parameters_of, plan, CmdlinePlan, Options};
use crate::host::boot::{BootFile, BootSystem, Loader, LoaderKind, Role};
use crate::host::kernel_cmdline::KernelCmdline;

/// The entries of one kernel, and what their command line comes from.
#[derive(Debug, Default)]
pub struct NewEntries {
    /// The entries.
    pub entries: Vec<BootFile>,
    /// The file that their command line was made from; `None` if it was the running kernel's.
    pub source: Option<BootFile>,
    /// The entries of other kernels.
    pub others: Vec<BootFile>,
    /// Parameters of ours that were taken out of all boot files since the running kernel was started.
    pub taken_out: Vec<String>,
}

impl NewEntries {
    /// Whether a parameter has no place in the entries unless it is required.
    fn is_ours(&self, parameter: &String, record: &Record) -> bool {
        let Some(source) = &self.source else {
            return record.all_parameters().contains(&parameter.as_str())
                || self.taken_out.contains(parameter)
                || self.is_of_one_boot(parameter);
        };
        let from = parameters_of(source).unwrap_or_default().concat();
        let ours_there = record.boot_files.get(&source.key()).into_iter().flatten().flat_map(|owned| &owned.parameters);
        // The user's own parameter stays the user's on its way into the entry.
        let ours_there: Vec<&String> = ours_there.collect();
        record.all_parameters().contains(&parameter.as_str())
            && (!from.contains(parameter) || ours_there.contains(&parameter))
    }

    /// Whether a parameter switches vfio off and stands in no entry: somebody typed it, for the running boot alone.
    fn is_of_one_boot(&self, parameter: &String) -> bool {
        let of_entry = |entry: &BootFile| {
            entry.role == Role::Entry && parameters_of(entry).is_ok_and(|lines| lines.concat().contains(parameter))
        };
        KernelCmdline::parse(parameter).switched_off().is_some() && !self.others.iter().any(of_entry)
    }
}

/// Plans for the entries of a new kernel. Those for emergencies are without what is ours, as all others of their kind.
pub fn of_new_entries(new: &NewEntries, required: &[String], record: &Record) -> CmdlinePlan {
    let mut before = record.clone();
    for entry in &new.entries {
        let there = parameters_of(entry).unwrap_or_default().concat();
        let parameters: Vec<String> = there.into_iter().filter(|parameter| new.is_ours(parameter, record)).collect();
        before.boot_files.remove(&entry.key());
        if !parameters.is_empty() {
            before.boot_files.insert(entry.key(), vec![Owned { key: String::new(), parameters, before: None }]);
        }
    }
    let (rescue, entries) = new.entries.iter().cloned().partition(|entry| entry.role == Role::Rescue);
    let of = |boot_files: Vec<BootFile>, required: &[String], record: &Record| {
        let kind = LoaderKind::SystemdBoot;
        let loader = Loader { kind, boot_files, tools: Vec::new(), missing: Vec::new(), check: None };
        plan(&BootSystem { loaders: vec![loader], ..BootSystem::default() }, required, record, &Options::default())
    };
    let mut plan = of(entries, required, &before);
    let without = of(rescue, &[], &plan.record);
    plan.changes.extend(without.changes);
    plan.problems.extend(without.problems);
    plan.record = without.record;
    plan
}
