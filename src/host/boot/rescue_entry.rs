// SPDX-License-Identifier: LGPL-2.1-or-later
//! The boot entry without vfio (`[host] rescue-entry`): under which names it is there, so that everybody knows it as ours.
//!
//! It is the last in every menu. systemd-boot puts entries without a `sort-key` behind those with one and sorts them by
//! `strverscmp_improved`, the greatest name first: it leaves out `_`, and nothing but `~` is less than `-`, which bootctl
//! does not allow in a name (`src/boot/boot.c`, `boot_entry_compare`; `src/shared/efi-loader.c`, `efi_loader_entry_name_valid`).
//! To GRUB `~` is less than anything (`vercmp` of `blscfg.c`, `filevercmp` of `blsuki.c`).

/// Its name for systemd-boot, in the directory of the other entries.
pub const SYSTEMD_BOOT: &str = "_-vfio-off.conf";
/// Its name for GRUB with boot entries.
pub const GRUB_ENTRY: &str = "~vfio-off.conf";
/// The script by which it gets into a menu that `grub-mkconfig` makes, below the root.
pub const GRUB_SCRIPT: &str = "etc/grub.d/41_vfio";
/// What its title ends with, wherever it is.
pub const TITLE: &str = " (without VFIO)";

/// Whether the name of a boot entry (type 1) is ours.
pub fn is_ours(path: &str) -> bool {
    matches!(path.rsplit('/').next().unwrap_or(path), SYSTEMD_BOOT | GRUB_ENTRY)
}
