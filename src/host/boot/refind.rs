// SPDX-License-Identifier: LGPL-2.1-or-later
//! rEFInd: a file of command lines beside the kernels, and stanzas in its own.

use super::efi::Variables;
use super::esp::Partitions;
use super::generated::is_zfs_boot_menu;
use super::{BootFile, Format, Loader, LoaderKind, Role};
use crate::host::boot::probe::{below, join, text};
use crate::root::Root;

/// The file beside kernels.
const LINUX: &str = "refind_linux.conf";

/// Finds it.
pub(super) fn find(root: &Root, partitions: &Partitions, variables: &Variables) -> Option<Loader> {
    let efi: Vec<String> = partitions.each(root, "EFI");
    let vendors: Vec<String> = efi
        .iter()
        .flat_map(|efi| root.list(efi).unwrap_or_default().into_iter().map(move |name| join(efi, &name)))
        .collect();
    let mut settings: Vec<String> =
        vendors.iter().filter_map(|directory| below(root, directory, "refind.conf")).collect();
    let included: Vec<String> = settings.iter().flat_map(|path| included(root, path)).collect();
    settings.extend(included);
    let booted = variables.loader.as_deref().is_some_and(|loader| loader.contains("rEFInd"));
    if settings.is_empty() && !booted {
        return None;
    }
    // Beside ZFSBootMenu's kernel lie its own options.
    let is_own = |directory: &&str| !directory.rsplit('/').next().is_some_and(is_zfs_boot_menu);
    let mut paths: Vec<String> = ["boot", ""]
        .into_iter()
        .chain(partitions.all())
        .chain(vendors.iter().map(String::as_str).filter(is_own))
        .filter_map(|directory| below(root, directory, LINUX))
        .collect();
    paths.sort_unstable();
    paths.dedup();
    let mut boot_files: Vec<_> =
        paths.iter().map(|path| BootFile::read(root, path, Format::RefindLinux, Role::Entry)).collect();
    let with_stanzas = settings.iter().filter(|path| text(root, path).is_none_or(|text| has_stanza(&text)));
    boot_files.extend(with_stanzas.map(|path| BootFile::read(root, path, Format::Refind, Role::Entry)));
    if boot_files.is_empty() {
        return None;
    }
    Some(Loader { kind: LoaderKind::Refind, boot_files, tools: Vec::new(), missing: Vec::new(), check: None })
}

/// The files that a `refind.conf` includes, from its own directory (rEFInd's documentation, `include`; what these include is
/// not read).
fn included(root: &Root, path: &str) -> Vec<String> {
    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    let file = |line: &str| {
        let (name, file) = line.trim().split_once([' ', '\t'])?;
        let file = file.trim().trim_matches('"');
        if name.eq_ignore_ascii_case("include") {
            below(root, directory, file)
        } else {
            None
        }
    };
    text(root, path).unwrap_or_default().lines().filter_map(file).collect()
}

/// Whether there is a stanza that is not disabled: the file as it comes is full of those.
fn has_stanza(text: &str) -> bool {
    let (mut depth, mut counts) = (0_u32, false);
    for line in text.lines() {
        let line = line.trim();
        let first = line.split_whitespace().next().unwrap_or_default();
        let opens = line.ends_with('{');
        match first {
            "menuentry" if depth == 0 && opens => (depth, counts) = (1, true),
            "submenuentry" if depth == 1 && opens => depth = 2,
            // In a submenu it is about that one only.
            "disabled" if depth == 1 => counts = false,
            "}" => {
                depth = depth.saturating_sub(1);
                if depth == 0 && std::mem::take(&mut counts) {
                    return true;
                }
            }
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stanzas_that_come_with_it_are_disabled() {
        let stanza = |last: &str| {
            format!("# menuentry x {{\ntimeout 20\nmenuentry \"Arch\" {{\n  submenuentry \"b\" {{\n    disabled\n  }}\n{last}}}\n")
        };
        assert!(has_stanza(&stanza("")));
        assert!(!has_stanza(&stanza("  disabled\n")));
        assert!(has_stanza(&(stanza("  disabled\n") + &stanza(""))));
        assert!(!has_stanza("menuentry x {\n"));
        assert!(!has_stanza("}\n}\n"));
    }
}
