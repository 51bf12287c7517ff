// SPDX-License-Identifier: LGPL-2.1-or-later
//! systemd-boot with entries of type 1 (UAPI Boot Loader Specification): text files on the ESP or on `XBOOTLDR`.

use super::efi::Variables;
use super::esp::Partitions;
use super::pe::Program;
use super::{entry, void, BootFile, Content, Format, Loader, LoaderKind, Role};
use crate::host::boot::probe::{self, assigned, files, program, text};
use crate::root::Root;

/// What Arch's and CachyOS's tool makes entries from.
const SDBOOT_MANAGE: &str = "etc/sdboot-manage.conf";

/// Whether it is installed, or booted.
pub(super) fn is_there(root: &Root, partitions: &Partitions, variables: &Variables) -> bool {
    let Some(esp) = partitions.esp.as_deref() else { return false };
    let named = |name: &str| probe::below(root, esp, name);
    let own = named("EFI/systemd").map(|directory| files(root, &directory, ".efi")).unwrap_or_default();
    // Where a firmware looks that has forgotten its settings.
    let usual = named("EFI/BOOT").map(|directory| files(root, &directory, ".efi")).unwrap_or_default();
    let is_it = |path: &String| {
        Program::open(root, path).and_then(|program| program.marker()).is_some_and(|(name, _)| name == "systemd-boot")
    };
    let is_named = |path: &String| path.rsplit('/').next().is_some_and(|name| name.starts_with("systemd-boot"));
    variables.loader.as_deref().is_some_and(|loader| loader.starts_with("systemd-boot"))
        || own.iter().any(is_named)
        || usual.iter().any(is_it)
}

/// Finds it. `claimed` says which directory of entries is another loader's.
pub(super) fn find(
    root: &Root,
    partitions: &Partitions,
    variables: &Variables,
    claimed: Option<&str>,
) -> Option<Loader> {
    if !is_there(root, partitions, variables) {
        return None;
    }
    let directories = partitions.each(root, "loader/entries").into_iter();
    let entries = entries(root, directories.filter(|directory| Some(directory.as_str()) != claimed));
    if entries.is_empty() {
        return None;
    }
    let mut boot_files = Vec::new();
    let (mut tools, mut missing) = (Vec::new(), Vec::new());
    if root.exists("etc/kernel/cmdline") {
        boot_files.push(BootFile::read(root, "etc/kernel/cmdline", Format::Plain, Role::Source));
    }
    if let Some(settings) = text(root, SDBOOT_MANAGE) {
        boot_files.push(BootFile::read(root, SDBOOT_MANAGE, Format::SdbootManage, Role::Source));
        // Who keeps it from making entries has entries of their own, and it would remove them.
        if assigned(&settings, "NO_AUTOGEN").as_deref() != Some("yes") {
            match program(root, "sdboot-manage") {
                Some(_) => tools.push(vec!["sdboot-manage".to_owned(), "gen".to_owned()]),
                None => missing.push("sdboot-manage".to_owned()),
            }
        }
    }
    boot_files.extend(void::source(root));
    boot_files.extend(entries);
    Some(Loader { kind: LoaderKind::SystemdBoot, boot_files, tools, missing, check: None })
}

/// The entries in some directories that boot a kernel with a command line.
pub(super) fn entries(root: &Root, directories: impl Iterator<Item = String>) -> Vec<BootFile> {
    directories
        .flat_map(|directory| files(root, &directory, ".conf"))
        .filter_map(|path| own_entry(root, &path))
        .collect()
}

fn own_entry(root: &Root, path: &str) -> Option<BootFile> {
    let boot_file = BootFile::entry(root, path);
    if let Some(Content::Text(text)) = &boot_file.content {
        let value = |key: &str| entry::value(text, key);
        // Another system's, on the same ESP.
        let machine = probe::text(root, "etc/machine-id");
        if value("machine-id").zip(machine.as_deref().map(str::trim)).is_some_and(|(its, this)| its != this) {
            return None;
        }
        // A program of the firmware has no command line of ours: Windows, a shell, a memory test.
        let kernel = value("linux")?;
        if kernel.to_ascii_lowercase().contains("memtest") {
            return None;
        }
    }
    Some(boot_file)
}
