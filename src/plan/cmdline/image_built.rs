// SPDX-License-Identifier: LGPL-2.1-or-later
//! Systems whose kernel parameters come with their image: nothing here changes them.

use super::by_hand::quoted;
use super::{missing, parameters_of};
use crate::host::boot::{BootSystem, Loader};

/// What to add to the image, if anything: a sentence. `bootc loader-entries set-options-for-source` does not know composefs
/// (bootc 1.16, crates/lib/src/cli.rs: it asks for the ostree storage), and an entry is made again with every deployment.
pub(super) fn check(system: &BootSystem, loader: &Loader, required: &[String]) -> Result<(), String> {
    let running: Vec<String> = system.parameters.iter().map(str::to_owned).collect();
    let entries: Vec<Vec<String>> =
        loader.boot_files.iter().filter_map(|entry| Some(parameters_of(entry).ok()?.concat())).collect();
    let lacking = match entries.as_slice() {
        [] => missing(required, &running),
        entries => {
            let lacks =
                |parameter: &&String| entries.iter().any(|entry| !missing(&[(*parameter).clone()], entry).is_empty());
            required.iter().filter(lacks).cloned().collect()
        }
    };
    if lacking.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = lacking.iter().map(|parameter| quoted(parameter)).collect();
    Err(format!(
        "the kernel parameters of this system come with its image (bootc with composefs): add 'kargs = [{}]' to a file in \
         /usr/lib/bootc/kargs.d where the image is built",
        list.join(", ")
    ))
}
