// SPDX-License-Identifier: LGPL-2.1-or-later
//! Looking at the option ROMs that a guest is to have.

use crate::host::rom::source;
use crate::host::rom::{self, file};
use crate::host::{apparmor, qemu, qemu_conf, selinux, Function};
use crate::plan::guest::{DomainState, NoRom, RomFile};
use crate::plan::selection::Selection;
use crate::root::Root;

/// Looks at the files of the cards' `rom` and of the domain's host devices, each once. One that cannot be read is left out: it
/// is among the files with a problem.
pub(super) fn look(root: &Root, selections: &[Selection<'_>], domain: Option<&DomainState>) -> Vec<RomFile> {
    let mut paths: Vec<String> =
        selections.iter().filter_map(|selection| Some(selection.gpu.rom.as_ref()?.value.clone())).collect();
    if let Some(DomainState::Known { domain, .. }) = domain {
        paths.extend(domain.hostdevs.iter().filter_map(|device| device.rom.clone()));
    }
    files(root, paths)
}

/// Looks at files with option ROMs.
pub(super) fn files(root: &Root, mut paths: Vec<String>) -> Vec<RomFile> {
    paths.sort_unstable();
    paths.dedup();
    let rules = if paths.is_empty() { None } else { apparmor::rules(root) };
    let user = if paths.is_empty() { None } else { qemu_conf::user(root) };
    let look = |path: String| {
        let relative = path.trim_start_matches('/');
        let bytes = root.open_regular(relative).and_then(file::read).ok()?;
        let confined = rules.as_ref().filter(|rules| !rules.allow(&path)).map(|rules| rules.takes_packages);
        let closed = user.as_ref().and_then(|user| Some((qemu::unreadable(root, user, &path)?, user.name.clone())));
        Some(RomFile { rom: rom::read(&bytes, None), confined, closed, label: selinux::forbids(root, relative), path })
    };
    paths.into_iter().filter_map(look).collect()
}

/// Why a display has no option ROM of its own for a guest, if so. Of a card that shows none for another reason nothing is known.
pub(super) fn lacks(root: &Root, display: &Function) -> Option<NoRom> {
    const AMD: u16 = 0x1002;
    let there = source::look(root, display);
    match (there.shadow, there.bar) {
        (true, _) => Some(NoRom::Copy),
        (false, None) if display.vendor == AMD && there.vfct.is_some() => Some(NoRom::OfProcessor),
        _ => None,
    }
}
