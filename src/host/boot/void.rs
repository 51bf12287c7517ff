// SPDX-License-Identifier: LGPL-2.1-or-later
//! Void's kernel hook, which writes entries for systemd-boot (`srcpkgs/systemd-boot/files/kernel.d/systemd-boot.post-install` of
//! void-packages).

use super::{BootFile, Format, Role};
use crate::host::boot::probe::{assigned, text};
use crate::root::Root;

/// What it reads.
const SETTINGS: &str = "etc/default/systemd-boot";

/// What it is told, if it is.
pub(super) fn source(root: &Root) -> Option<BootFile> {
    let is_set = assigned(&text(root, SETTINGS)?, "CMDLINE").is_some_and(|line| !line.is_empty());
    is_set.then(|| BootFile::read(root, SETTINGS, Format::VoidHook, Role::Source))
}

/// What it takes where it is told no command line; `None` where it is told one, or does nothing.
pub(super) fn not_told(root: &Root) -> Option<String> {
    let settings = text(root, SETTINGS)?;
    let is_set = |name: &str| assigned(&settings, name).is_some_and(|value| !value.is_empty());
    let is_hook = root.exists("etc/kernel.d/post-install/50-systemd-boot") && !is_set("SYSTEMD_BOOT_DISABLE");
    if !is_hook || is_set("CMDLINE") {
        return None;
    }
    let of_root = |line: &str| {
        let mut fields = line.split_whitespace();
        let (device, at, kind) = (fields.next()?, fields.next()?, fields.next()?);
        (at == "/" && !device.starts_with('#')).then(|| format!("rootfstype={kind} root={device} quiet rw"))
    };
    text(root, "etc/fstab")?.lines().find_map(of_root)
}
