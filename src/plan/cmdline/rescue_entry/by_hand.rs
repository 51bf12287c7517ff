// SPDX-License-Identifier: LGPL-2.1-or-later
//! Loaders for which no boot entry without us can be made: why, and how a person boots without us once.

use crate::host::boot::{BootSystem, LoaderKind};
use crate::plan::cmdline::elsewhere::by_whom;

/// Why there can be none.
pub(super) fn of_loader(kind: LoaderKind) -> &'static str {
    match kind {
        LoaderKind::UkiAddon | LoaderKind::UkiRebuild => {
            "what builds a unified kernel image cannot be told to put a second command line into it"
        }
        LoaderKind::RpmOstree | LoaderKind::Bootc | LoaderKind::BootcImage => {
            "boot entries belong to deployments, and come and go with them"
        }
        LoaderKind::Nixos => "NixOS makes all boot entries from its configuration",
        LoaderKind::ZfsBootMenu => "ZFSBootMenu has one command line for each dataset",
        LoaderKind::Proxmox => "proxmox-boot-tool makes all boot entries, on partitions that are not mounted",
        LoaderKind::Limine => "the tool that writes limine.conf makes all entries of this system",
        LoaderKind::Refind => "no options of this system were found that it could be made from",
        _ => "its tool makes all boot entries, and removes others",
    }
}

/// All of it, for a person.
pub(super) fn sentence(system: &BootSystem, kind: LoaderKind, why: &str) -> String {
    format!(
        "{}: no boot entry without VFIO ([host] rescue-entry): {why}; to boot without it once, {}",
        kind.name(),
        how(system, kind)
    )
}

/// How `vfio=off` is typed for one boot.
fn how(system: &BootSystem, kind: LoaderKind) -> &'static str {
    let unified = matches!(kind, LoaderKind::UkiAddon | LoaderKind::UkiRebuild);
    if unified && system.secure_boot {
        return "switch Secure Boot off in the firmware's setup (with it the command line of an image cannot be edited), press 'e' \
                in the menu and add vfio=off; or let two boots fail, then nothing is bound (failed-boots)";
    }
    let name = kind.own_name().filter(|_| !unified).or_else(|| by_whom(system)).unwrap_or_default();
    let starts = |loader: &str| name.contains(loader);
    match () {
        () if kind == LoaderKind::ZfsBootMenu => "press Ctrl+E in its menu and add vfio=off",
        () if starts("GRUB") => {
            "press 'e' in its menu, add vfio=off to the line that begins with 'linux', then press Ctrl+X"
        }
        () if starts("systemd-boot") || unified => {
            "press 'e' in the menu of systemd-boot, add vfio=off, then press Enter"
        }
        () if starts("Limine") => "press 'e' in its menu, add vfio=off to the line 'cmdline', then press F10",
        () if starts("rEFInd") => "press F2 twice in its menu and add vfio=off",
        () => "add vfio=off to the kernel command line in the menu of the boot loader ('e' in most)",
    }
}
