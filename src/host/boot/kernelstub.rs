// SPDX-License-Identifier: LGPL-2.1-or-later
//! Pop!_OS's kernelstub: its own list of parameters, and the entries that it makes of it for systemd-boot.

use super::esp::Partitions;
use super::systemd_boot;
use super::{BootFile, Format, Loader, LoaderKind, Role};
use crate::host::boot::entry::KERNELSTUB;
use crate::host::boot::probe::{below, content, missing_program, program};
use crate::root::Root;

/// Where it takes the list from as long as the file above is not there (kernelstub/config.py, `load_config`).
const FIRST_SETTINGS: &str = "etc/default/kernelstub";

/// Finds it.
pub(super) fn find(root: &Root, partitions: &Partitions) -> Option<Loader> {
    // On a machine without UEFI Pop!_OS has GRUB, and this file without a use.
    let esp = partitions.esp.as_deref()?;
    let missing = missing_program(root, "kernelstub");
    let first = || content(root, FIRST_SETTINGS).filter(|_| program(root, "kernelstub").is_some());
    let (path, settings) = match content(root, KERNELSTUB) {
        Some(settings) => (KERNELSTUB, settings),
        None => (FIRST_SETTINGS, first()?),
    };
    let mut boot_files = vec![BootFile {
        path: path.to_owned(),
        format: Format::Kernelstub,
        role: Role::Source,
        content: Some(settings),
    }];
    let directory = below(root, esp, "loader/entries");
    let entries = systemd_boot::entries(root, directory.into_iter());
    let made = entries.into_iter().filter(|entry| is_made(root, &entry.path));
    boot_files.extend(made.map(|boot_file| BootFile { role: Role::Generated, ..boot_file }));
    // Without an option it makes its entries again.
    let tools = vec![vec!["kernelstub".to_owned()]];
    Some(Loader { kind: LoaderKind::Kernelstub, boot_files, tools, missing, check: None })
}

/// Whether it writes an entry again (kernelstub/installer.py): `NAME-current`, and with a second kernel `NAME-oldkern`. The
/// recovery system's is made by another tool, any other by a person.
fn is_made(root: &Root, path: &str) -> bool {
    path.ends_with("-current.conf") || path.ends_with("-oldkern.conf") && has_two_kernels(root)
}

/// Whether there are two kernels with their images (kernelstub/kernel_option.py).
fn has_two_kernels(root: &Root) -> bool {
    let names = root.list("boot").unwrap_or_default();
    let versions = names.iter().filter_map(|name| name.strip_prefix("vmlinuz-"));
    versions.filter(|version| names.iter().any(|name| name.strip_prefix("initrd.img-") == Some(version))).count() > 1
}
