// SPDX-License-Identifier: LGPL-2.1-or-later
//! Boot files that cannot be changed where they are: on a file system that is not mounted, or nobody knows where.

use crate::host::boot::{BootSystem, Unmounted};

/// Why the parameters do not get where this machine boots from, and what to do; `None` if they do, or if only root may look.
pub fn sentence(system: &BootSystem, parameters: &[String]) -> Option<String> {
    if parameters.is_empty() || system.is_found() || !system.closed.is_empty() || !system.by_hand.is_empty() {
        return None;
    }
    let by_hand = add(parameters);
    let loader = system.booted.as_ref().or(system.stub.as_ref());
    Some(match (system.unmounted.as_slice(), loader) {
        ([], None) => self::by_hand(parameters),
        ([], Some(loader)) if !system.left_alone.is_empty() => {
            format!("{loader} started this boot from where vfio changes nothing: {by_hand}")
        }
        ([], Some(loader)) => format!(
            "{loader} started this boot, and its boot files were not found: mount the file system that they are on, \
             then run 'vfio sync'; if they are on none, {by_hand}"
        ),
        (unmounted, _) => {
            let places: Vec<String> = unmounted.iter().map(place).collect();
            let (are, them) = if places.len() == 1 { ("is", "it") } else { ("are", "them") };
            format!(
                "{} {are} not mounted, so the boot files on {them} are not changed: mount {them}, then run 'vfio sync'",
                places.join(" and ")
            )
        }
    })
}

/// What to do where no loader is known.
pub fn by_hand(parameters: &[String]) -> String {
    format!("no boot loader that vfio knows was found: {}", add(parameters))
}

/// What a person has to do then.
pub(super) fn add(parameters: &[String]) -> String {
    format!("add these parameters to the kernel command line manually: {}", parameters.join(" "))
}

fn place(unmounted: &Unmounted) -> String {
    match &unmounted.at {
        Some(at) => format!("/{at}"),
        None => format!("the partition that this machine boots from ({})", unmounted.what),
    }
}
