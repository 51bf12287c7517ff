// SPDX-License-Identifier: LGPL-2.1-or-later
//! A boot entry that kernel-install has just written.
//!
//! What it says comes from `/etc/kernel/cmdline`, or, where there is none, from the running kernel: parameters of ours that were
//! taken out of the configuration since, and what a single boot was given, come along. So what is ours goes first.

use super::record::{Owned, Record};
use super::{parameters_of, plan, CmdlinePlan, Options};
use crate::host::boot::{BootFile, BootSystem, Loader, LoaderKind};

/// Plans for these entries of one kernel. `source` is the file that their command line was made from, if it was one.
pub fn of_new_entries(
    entries: Vec<BootFile>,
    source: Option<&BootFile>,
    required: &[String],
    record: &Record,
) -> CmdlinePlan {
    let from: Vec<String> = source.and_then(|boot_file| parameters_of(boot_file).ok()).unwrap_or_default().concat();
    let ours_there = source.and_then(|boot_file| record.boot_files.get(&boot_file.key())).into_iter().flatten();
    let ours_there: Vec<&String> = ours_there.flat_map(|owned| &owned.parameters).collect();
    let all = record.all_parameters();
    // The user's own parameter stays the user's on its way into the entry.
    let is_ours = |parameter: &String| {
        all.contains(&parameter.as_str()) && (!from.contains(parameter) || ours_there.contains(&parameter))
    };
    let mut before = record.clone();
    for entry in &entries {
        let parameters: Vec<String> = parameters_of(entry)
            .unwrap_or_default()
            .concat()
            .into_iter()
            .filter(|parameter| is_ours(parameter))
            .collect();
        before.boot_files.remove(&entry.key());
        if !parameters.is_empty() {
            before.boot_files.insert(entry.key(), vec![Owned { key: String::new(), parameters, before: None }]);
        }
    }
    let loader = Loader {
        kind: LoaderKind::SystemdBoot,
        boot_files: entries,
        tools: Vec::new(),
        missing: Vec::new(),
        check: None,
    };
    plan(&BootSystem { loaders: vec![loader], ..BootSystem::default() }, required, &before, &Options::default())
}
