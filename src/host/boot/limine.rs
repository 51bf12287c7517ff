// SPDX-License-Identifier: LGPL-2.1-or-later
//! Limine: one file for the menu, written by a person or by limine-entry-tool.

use super::esp::Partitions;
use super::{BootFile, Content, Format, Loader, LoaderKind, Role};
use crate::host::boot::probe::{below, files, first_program, join, text};
use crate::root::Root;
use std::io::Read;

/// What limine-entry-tool makes the menu from.
const DEFAULT: &str = "etc/default/limine";
/// Where Limine looks on a partition, and beside itself.
const MENUS: [&str; 5] = ["boot/limine/limine", "boot/limine", "limine/limine", "limine", "EFI/limine/limine"];

/// Where its programs are on a partition.
const PROGRAMS: [&str; 5] = ["EFI/BOOT", "EFI/limine", "boot/limine", "limine", ""];
/// No Limine is larger, in bytes.
const PROGRAM_LIMIT: u64 = 8 << 20;
/// What stands before the checksum in a Limine.
const MARK: &[u8] = b"++CONFIG_B2SUM_SIGNATURE++";

/// Finds it.
pub(super) fn find(root: &Root, partitions: &Partitions) -> Option<Loader> {
    let menus = menus(root, partitions);
    if menus.is_empty() {
        return None;
    }
    let tool = first_program(root, &["limine-update", "limine-mkinitcpio"]);
    let made = root.exists(DEFAULT).then_some(tool).flatten();
    let mut boot_files = Vec::new();
    if made.is_some() {
        boot_files.push(source(root));
    }
    let role = if made.is_some() { Role::Generated } else { Role::Entry };
    boot_files.extend(menus.iter().map(|path| menu(root, path, role)));
    // The tool enrolls what it makes.
    if let (Role::Entry, Some(program)) = (role, enrolled(root, partitions)) {
        let why = format!(
            "its checksum is enrolled in /{program}, which would refuse it when changed: change it by hand and enroll it \
             anew (limine enroll-config)"
        );
        boot_files.iter_mut().for_each(|boot_file| boot_file.content = Some(Content::Unreadable(why.clone())));
    }
    Some(Loader {
        kind: LoaderKind::Limine,
        boot_files,
        tools: made.into_iter().map(|tool| vec![tool.to_owned()]).collect(),
        missing: Vec::new(),
        check: None,
    })
}

/// The tool's file. One that says nothing of command lines gets no parameter of ours: it would be the first, and the tool would
/// no longer take the rest from where it does.
fn source(root: &Root) -> BootFile {
    let mut boot_file = BootFile::read(root, DEFAULT, Format::LimineDefault, Role::Source);
    let says =
        text(root, DEFAULT).is_none_or(|text| text.lines().any(|l| l.trim_start().starts_with("KERNEL_CMDLINE[")));
    if !says {
        let why = "sets no KERNEL_CMDLINE[default]: set it to what /proc/cmdline says, without BOOT_IMAGE= and initrd=";
        boot_file.content = Some(Content::Unreadable(why.to_owned()));
    }
    boot_file
}

/// The Limine that has the checksum of its configuration in itself, if one has.
fn enrolled(root: &Root, partitions: &Partitions) -> Option<String> {
    let directories = partitions.all().chain(["boot", ""]).flat_map(|at| {
        PROGRAMS.iter().filter_map(
            move |directory| if directory.is_empty() { Some(at.to_owned()) } else { below(root, at, directory) },
        )
    });
    let programs = directories.flat_map(|at| [files(root, &at, ".efi"), files(root, &at, "-bios.sys")].concat());
    programs.into_iter().find(|path| has_checksum(root, path))
}

/// Whether a program has a place for a checksum and one in it (Limine's `limine enroll-config`): 128 hexadecimal digits after
/// a mark, not all of them zero.
fn has_checksum(root: &Root, path: &str) -> bool {
    let mut bytes = Vec::new();
    let read = root.open_regular(path).and_then(|file| file.take(PROGRAM_LIMIT).read_to_end(&mut bytes));
    let Some(at) = read.ok().and_then(|_| bytes.windows(MARK.len()).position(|window| window == MARK)) else {
        return false;
    };
    let digits = bytes.get(at + MARK.len()..at + MARK.len() + 128).unwrap_or_default();
    digits.iter().all(u8::is_ascii_hexdigit) && digits.iter().any(|digit| *digit != b'0')
}

/// A menu. Limine before 8 had another format.
fn menu(root: &Root, path: &str, role: Role) -> BootFile {
    let mut boot_file = BootFile::read(root, path, Format::Limine, role);
    if path.ends_with(".cfg") {
        let why = "is in the format of Limine before 8: update Limine and write a limine.conf";
        boot_file.content = Some(Content::Unreadable(why.to_owned()));
    }
    boot_file
}

/// The menus that are there: those of today, else one of the old format.
fn menus(root: &Root, partitions: &Partitions) -> Vec<String> {
    let there = |end: &str| {
        let mut found: Vec<String> = Vec::new();
        // A machine without UEFI reads them from the root or /boot.
        let boot_files = partitions.all().chain(["boot", ""]);
        for at in boot_files {
            let usual = MENUS.iter().filter_map(|menu| below(root, at, &format!("{menu}.{end}")));
            found.extend(usual);
        }
        // Beside the program that a firmware starts that has forgotten its settings.
        let beside = partitions.all().filter_map(|at| below(root, at, &join("EFI/BOOT", &format!("limine.{end}"))));
        found.extend(beside);
        let mut seen: Vec<(u64, u64)> = Vec::new();
        found.retain(|path| {
            let Ok(stat) = root.stat(path) else { return false };
            // The partition may be one of the places.
            let known = seen.contains(&(stat.st_dev, stat.st_ino));
            seen.push((stat.st_dev, stat.st_ino));
            !known
        });
        found
    };
    let now = there("conf");
    if now.is_empty() {
        there("cfg")
    } else {
        now
    }
}
