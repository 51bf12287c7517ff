// SPDX-License-Identifier: LGPL-2.1-or-later
//! Having huge pages made for a guest, and giving back just those
//! (Documentation/admin-guide/mm/hugetlbpage.rst).
//!
//! The kernel makes as many as it finds memory for and says nothing of the others, so the number is read back.

use super::error::GuestError;
use super::{append_record, GuestRecord};
use crate::act::backend::kernel::Kernel;
use crate::act::backend::kernel_for;
use crate::host::pages::{number, number_path, pool};
use crate::plan::guest::GuestStep;
use crate::root::Root;
use std::time::Instant;

/// What is asked for with one write, in bytes: the kernel moves memory for it, and must answer within a write's deadline.
const CHUNK: u64 = 4 << 30;

/// What helps where memory is there and not together (Documentation/admin-guide/sysctl/vm.rst): it is moved; then what is kept
/// of files and names is dropped, which is slow for everybody afterwards, and it is moved once more.
const HELPS: [(&str, &str); 3] =
    [("proc/sys/vm/compact_memory", "1"), ("proc/sys/vm/drop_caches", "3"), ("proc/sys/vm/compact_memory", "1")];

/// The pages that are asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    /// The size of a page, in bytes.
    pub(super) size: u64,
    /// How many must be free.
    pub(super) count: u64,
    /// Where they may be, the best first; none for anywhere.
    pub(super) nodes: &'a [u32],
    /// Whether what does not come is asked for once more later.
    pub(super) later: bool,
    /// When nothing more is tried.
    pub(super) until: Instant,
}

impl Asked<'_> {
    /// How many of them are free.
    fn free(&self, root: &Root) -> u64 {
        let all = pool(root, self.size, None).map_or(0, |pool| pool.usable());
        let of_node = |node: &u32| pool(root, self.size, Some(*node)).map_or(0, |pool| pool.free);
        if self.nodes.is_empty() {
            all
        } else {
            all.min(self.nodes.iter().map(of_node).sum())
        }
    }
}

/// Has pages made until as many are free as are asked for, each node's in the journal before: `NODE BEFORE AFTER`.
pub(super) fn make(root: &Root, guest: &str, step: &GuestStep, asked: &Asked<'_>) -> Result<(), GuestError> {
    let kernel = kernel_for(root);
    let missing = || asked.count.saturating_sub(asked.free(root));
    let places = if asked.nodes.is_empty() { vec![None] } else { asked.nodes.iter().copied().map(Some).collect() };
    for place in places {
        let more = missing();
        let Some(before) = number(root, asked.size, place).filter(|_| more > 0) else { continue };
        let shown = place.map_or("-".to_owned(), |node| node.to_string());
        let before_and_after = Some(format!("{shown} {before} {}", before.saturating_add(more)));
        append_record(root, guest, &GuestRecord { step: step.clone(), before: before_and_after })?;
        fill(root, kernel.as_ref(), asked, place, before.saturating_add(more))?;
    }
    let (free, size) = (asked.free(root), asked.size >> 20);
    match (free < asked.count, asked.later) {
        (true, true) => log::info!("{free} of {} huge pages of {size} MiB are free by now", asked.count),
        (true, false) => return Err(GuestError::HugePages { count: asked.count, size, free }),
        (false, _) => {}
    }
    Ok(())
}

/// Asks for pages in one place until there are so many, or no more come.
fn fill(
    root: &Root,
    kernel: &dyn Kernel,
    asked: &Asked<'_>,
    place: Option<u32>,
    target: u64,
) -> Result<(), GuestError> {
    let path = number_path(asked.size, place);
    let chunk = (CHUNK / asked.size.max(1)).max(1);
    // While the desktop is there its files are left in memory.
    let mut helps = HELPS.iter().take(if asked.later { 1 } else { HELPS.len() });
    while let Some(now) = number(root, asked.size, place).filter(|now| *now < target) {
        let next = now.saturating_add(chunk).min(target);
        kernel.write(&path, &next.to_string())?;
        if number(root, asked.size, place).is_some_and(|now| now >= next) {
            continue;
        }
        let help = helps.next().filter(|_| Instant::now() < asked.until);
        let Some((path, value)) = help else { break };
        match kernel.write(path, value) {
            Err(error) if error.is_timeout() => return Err(error.into()),
            Err(error) => log::info!("/{path}: {error}"),
            Ok(()) => {}
        }
    }
    Ok(())
}

/// Takes back what was made in one place: `NODE BEFORE AFTER`. What others have had made since stays. Fewer than `AFTER` means
/// that not all came: then there are as many as before.
pub(super) fn give_back(root: &Root, kernel: &dyn Kernel, size: u64, made: &str) -> Result<(), GuestError> {
    let mut words = made.split(' ');
    let (Some(place), Some(before), Some(after)) = (words.next(), words.next(), words.next()) else { return Ok(()) };
    let (Ok(before), Ok(after)) = (before.parse::<u64>(), after.parse::<u64>()) else { return Ok(()) };
    let place = place.parse().ok();
    let Some(now) = number(root, size, place) else { return Ok(()) };
    let then = match now.checked_sub(after) {
        Some(others) => before.saturating_add(others),
        None => before.min(now),
    };
    // Those that a process still uses go when it has ended.
    if then == now {
        Ok(())
    } else {
        Ok(kernel.write(&number_path(size, place), &then.to_string())?)
    }
}
