// SPDX-License-Identifier: LGPL-2.1-or-later
//! Limine: one file for the menu, written by a person or by a tool (`limine_tool`).

use super::esp::Partitions;
use super::{limine_tool, BootFile, Content, Format, Loader, LoaderKind, Role};
use crate::host::boot::probe::{below, files, join};
use crate::root::Root;
use std::io::Read;

/// Where Limine looks on a partition. Since 10.3 it looks beside itself first, before that here alone and in another order
/// (its CONFIG.md, "Location of the config file").
const MENUS: [&str; 4] = ["boot/limine/limine", "boot/limine", "limine/limine", "limine"];

/// Where its programs are on a partition, but for the directories in `EFI`.
const PROGRAMS: [&str; 3] = ["boot/limine", "limine", ""];
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
    let maker = limine_tool::find(root);
    // The tool's is at the top of its partition; others are left over, or shadow it, and are looked after as if written by hand.
    let at_top = |path: &&String| partitions.all().any(|at| below(root, at, "limine.conf").as_ref() == Some(*path));
    let made = maker.as_ref().map(|_| menus.iter().find(at_top));
    let role = |path: &String| match made {
        Some(None) => Role::Generated,
        Some(Some(made)) if made == path => Role::Generated,
        _ => Role::Entry,
    };
    let mut entries: Vec<BootFile> = menus.iter().map(|path| menu(root, path, role(path))).collect();
    // The tool enrolls what it makes.
    if let (None, Some(program)) = (&maker, enrolled(root, partitions)) {
        let why = format!(
            "its checksum is enrolled in /{program}, which would refuse it when changed: change it by hand and enroll it \
             anew (limine enroll-config)"
        );
        entries.iter_mut().for_each(|boot_file| boot_file.content = Some(Content::Unreadable(why.clone())));
    }
    let (mut boot_files, tool) = maker.map_or((Vec::new(), None), |maker| (maker.sources, Some(maker.tool)));
    boot_files.extend(entries);
    Some(Loader {
        kind: LoaderKind::Limine,
        boot_files,
        tools: tool.into_iter().map(|tool| vec![tool.to_owned()]).collect(),
        missing: Vec::new(),
        check: None,
    })
}

/// The directories in `EFI`, in which loaders are.
fn vendors(root: &Root, partitions: &Partitions) -> Vec<String> {
    let names = |efi: String| root.list(&efi).unwrap_or_default().into_iter().map(move |name| join(&efi, &name));
    partitions.each(root, "EFI").into_iter().flat_map(names).collect()
}

/// The Limine that has the checksum of its configuration in itself, if one has.
fn enrolled(root: &Root, partitions: &Partitions) -> Option<String> {
    let directories = partitions.all().chain(["boot", ""]).flat_map(|at| {
        PROGRAMS.iter().filter_map(
            move |directory| if directory.is_empty() { Some(at.to_owned()) } else { below(root, at, directory) },
        )
    });
    let directories = vendors(root, partitions).into_iter().chain(directories);
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
    let vendors = vendors(root, partitions);
    let there = |end: &str| {
        let beside = vendors.iter().filter_map(|at| below(root, at, &format!("limine.{end}")));
        let mut found: Vec<String> = beside.collect();
        // A machine without UEFI reads them from the root or /boot.
        for at in partitions.all().chain(["boot", ""]) {
            found.extend(MENUS.iter().filter_map(|menu| below(root, at, &format!("{menu}.{end}"))));
        }
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
