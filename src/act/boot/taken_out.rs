// SPDX-License-Identifier: LGPL-2.1-or-later
//! Parameters of ours that were taken out of boot files since the running kernel was started: it has them still, and a tool that
//! makes a new entry from its command line would bake them in. The list goes with the next boot, as they do.

use crate::act::files;
use crate::host::run::taken_out;
use crate::plan::cmdline::record::Record;
use crate::root::Root;

/// Remembers what an act took out, and forgets what it put in again.
pub(super) fn remember(root: &Root, before: &Record, after: &Record) {
    let (had, has) = (before.all_parameters(), after.all_parameters());
    let known = taken_out::read(root);
    let mut now: Vec<String> = known
        .iter()
        .map(String::as_str)
        .chain(had)
        .filter(|parameter| !has.contains(parameter))
        .map(str::to_owned)
        .collect();
    now.sort_unstable();
    now.dedup();
    if now == known {
        return;
    }
    let path = taken_out::path();
    let saved = if now.is_empty() { files::remove(root, &path) } else { files::replace_json(root, &path, &now) };
    // Without it a new entry keeps a parameter that nobody needs: no reason to take everything back.
    if let Err(error) = saved {
        log::warn!("/{path}: {error}");
    }
}
