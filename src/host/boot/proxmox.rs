// SPDX-License-Identifier: LGPL-2.1-or-later
//! Proxmox VE where proxmox-boot-tool copies kernels to EFI system partitions: with ZFS, on some machines without.
//!
//! These partitions are not mounted. On each of them the tool makes entries for systemd-boot from the first line of
//! `/etc/kernel/cmdline`, or, where GRUB is on it, a menu from `/etc/default/grub` (proxmox-kernel-helper,
//! src/proxmox-boot/zz-proxmox-boot).

use super::efi::Variables;
use super::esp::Partitions;
use super::{grub, BootFile, Format, Loader, LoaderKind, Role};
use crate::host::boot::probe::{missing_program, text};
use crate::root::Root;

/// The partitions: the UUIDs of their file systems, a line each.
const PARTITIONS: &str = "etc/kernel/proxmox-boot-uuids";
/// What its entries are made from.
const CMDLINE: &str = "etc/kernel/cmdline";
const TOOL: &str = "proxmox-boot-tool";

/// Finds it: the loaders whose files the tool reads. None where it looks after no partition.
pub(super) fn find(root: &Root, partitions: &Partitions, variables: &Variables) -> Option<Vec<Loader>> {
    let list = text(root, PARTITIONS)?;
    // A last line without a line end is not read.
    let uuids: Vec<&str> =
        list.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).filter(|uuid| !uuid.is_empty()).collect();
    if uuids.is_empty() {
        return None;
    }
    let booted = variables.loader.as_deref();
    // systemd-boot always says who it is; GRUB does so since 2.12.
    let (by_systemd_boot, by_grub) = match booted {
        _ if !root.exists("sys/firmware/efi") => (false, true),
        Some(loader) if loader.contains("systemd-boot") => (true, false),
        Some(_) => (false, true),
        None => (root.exists(CMDLINE), true),
    };
    let refresh = vec![TOOL.to_owned(), "refresh".to_owned()];
    let mut loaders = Vec::new();
    if let Some(mut grub) = grub::find(root, partitions).filter(|_| by_grub) {
        grub.tools.push(refresh.clone());
        grub.missing.extend(missing_program(root, TOOL));
        loaders.push(grub);
    }
    if by_systemd_boot || loaders.is_empty() {
        loaders.push(Loader {
            kind: LoaderKind::Proxmox,
            boot_files: vec![source(root, &uuids)],
            tools: vec![refresh],
            missing: missing_program(root, TOOL),
            check: None,
        });
    }
    Some(loaders)
}

fn source(root: &Root, uuids: &[&str]) -> BootFile {
    let there = root.list("dev/disk/by-uuid").unwrap_or_default();
    let unreadable = |path, why: &str| BootFile::unreadable(path, Format::FirstLine, why);
    // Another partition it warns of and skips, and answers success.
    if !uuids.iter().any(|uuid| there.iter().any(|other| other == uuid)) {
        let why = "names no partition that is there, so proxmox-boot-tool copies nothing: run 'proxmox-boot-tool clean', then \
                   'proxmox-boot-tool init' with the EFI system partition";
        return unreadable(PARTITIONS, why);
    }
    let file = BootFile::read(root, CMDLINE, Format::FirstLine, Role::Source);
    if file.content.is_none() {
        let why =
            "is not there, so entries get whatever the running kernel was booted with: write into its first line what \
                   /proc/cmdline says, without initrd=";
        return unreadable(CMDLINE, why);
    }
    file
}
