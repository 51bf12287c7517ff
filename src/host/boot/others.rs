// SPDX-License-Identifier: LGPL-2.1-or-later
//! Tools that own the entries of the loader behind them: rpm-ostree, Pop!_OS's kernelstub, openSUSE's sdbootutil. Where one
//! of them is, nothing else is to touch those entries.

use super::esp::Partitions;
use super::systemd_boot;
use super::{BootFile, Content, Format, Loader, LoaderKind, Role};
use crate::host::boot::probe::{assigned, content, files, program, text};
use crate::root::Root;

/// rpm-ostree, alone or below bootc: the newest deployment's entry shows what the next will have.
pub(super) fn rpm_ostree(root: &Root) -> Option<Loader> {
    if !root.exists("run/ostree-booted") {
        return None;
    }
    let entries = files(root, "boot/loader/entries", ".conf");
    let entries = entries.into_iter().filter(|path| path.rsplit('/').next().is_some_and(|n| n.starts_with("ostree-")));
    let version = |path: &String| -> u64 {
        let number = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>().parse().ok();
        let said = text(root, path).and_then(|text| {
            let value = text.lines().find_map(|line| line.strip_prefix("version "))?;
            value.trim().parse().ok()
        });
        said.or_else(|| number(path.rsplit('/').next()?)).unwrap_or_default()
    };
    let newest = entries.max_by_key(version);
    Some(Loader {
        kind: LoaderKind::RpmOstree,
        boot_files: newest.iter().map(|path| BootFile::read(root, path, Format::RpmOstree, Role::Entry)).collect(),
        tools: Vec::new(),
        missing: missing(root, "rpm-ostree"),
        check: None,
    })
}

/// kernelstub: its own list of parameters, and the entries it makes for systemd-boot.
pub(super) fn kernelstub(root: &Root, partitions: &Partitions) -> Option<Loader> {
    const SETTINGS: &str = "etc/kernelstub/configuration";
    // On a machine without UEFI Pop!_OS has GRUB, and this file without a use.
    let esp = partitions.esp.as_deref()?;
    let settings = content(root, SETTINGS)?;
    let mut boot_files = vec![BootFile {
        path: SETTINGS.to_owned(),
        format: Format::Kernelstub,
        role: Role::Source,
        content: Some(settings),
    }];
    let directory = crate::host::boot::probe::below(root, esp, "loader/entries");
    // The recovery system's entry is not made from it.
    let mut entries = systemd_boot::entries(root, directory.into_iter());
    entries.retain(|boot_file| boot_file.role == Role::Entry);
    boot_files.extend(entries.into_iter().map(|boot_file| BootFile { role: Role::Generated, ..boot_file }));
    Some(Loader {
        kind: LoaderKind::Kernelstub,
        boot_files,
        tools: Vec::new(),
        missing: missing(root, "kernelstub"),
        check: None,
    })
}

/// sdbootutil, for systemd-boot or for GRUB with entries. Full-disk encryption may be bound to what it wrote, so entries are
/// made by it alone.
pub(super) fn sdbootutil(root: &Root, partitions: &Partitions) -> Option<Loader> {
    const DROP_INS: &str = "etc/kernel/cmdline.d";
    let script = text(root, &program(root, "sdbootutil")?);
    // It may be installed beside a GRUB of the old kind, whose menu is made by grub2-mkconfig.
    let settings = text(root, "etc/sysconfig/bootloader").unwrap_or_default();
    let directories = partitions.each(root, "loader/entries");
    let is_it = match assigned(&settings, "LOADER_TYPE").as_deref() {
        Some("systemd-boot" | "grub2-bls") => true,
        Some("grub2" | "grub2-efi" | "none") => false,
        _ => !directories.is_empty() && !root.exists("boot/grub2/grub.cfg"),
    };
    if !is_it {
        return None;
    }
    let mut boot_files = Vec::new();
    // Drop-ins came later.
    if script.is_none_or(|script| script.contains("cmdline.d")) {
        let others = files(root, DROP_INS, "").into_iter().filter(|path| !path.ends_with("/vfio.conf"));
        boot_files.extend(others.map(|path| BootFile::read(root, &path, Format::Plain, Role::Base)));
        boot_files.push(BootFile::read(root, &format!("{DROP_INS}/vfio.conf"), Format::DropIn, Role::Source));
    } else {
        boot_files.push(BootFile::read(root, "etc/kernel/cmdline", Format::Plain, Role::Source));
    }
    // Entries of snapshots keep what they had.
    let entries = systemd_boot::entries(root, directories.into_iter());
    let now = |boot_file: &BootFile| match &boot_file.content {
        Some(Content::Text(text)) => !text.contains("\nsort-key   snapper-"),
        _ => true,
    };
    boot_files.extend(entries.into_iter().filter(now).map(|boot_file| BootFile { role: Role::Generated, ..boot_file }));
    Some(Loader {
        kind: LoaderKind::Sdbootutil,
        boot_files,
        tools: vec![vec!["sdbootutil".to_owned(), "update-all-entries".to_owned()]],
        missing: Vec::new(),
        check: None,
    })
}

fn missing(root: &Root, name: &str) -> Vec<String> {
    if program(root, name).is_some() {
        Vec::new()
    } else {
        vec![name.to_owned()]
    }
}
