// SPDX-License-Identifier: LGPL-2.1-or-later
//! Parameters that the next kernel of Fedora and RHEL does not get, because only one of the two files has them that its entry may be
//! made from.

use super::own::{base_parameters, own_parameters};
use super::{missing, unique};
use crate::host::boot::next_kernel::NextKernel;
use crate::host::boot::{BootFile, BootSystem, Format, LoaderKind, Role};

/// What is lost, and what to do: a sentence.
pub(super) fn sentence(system: &BootSystem) -> Option<String> {
    let next = system.next_kernel?;
    let loader = system.loaders.iter().find(|loader| loader.kind == LoaderKind::GrubBls)?;
    let file =
        |format: Format| loader.boot_files.iter().find(|file| file.format == format && file.role == Role::Source);
    let (defaults, cmdline) = (file(Format::GrubLinux)?, file(Format::Plain)?);
    // What a shell makes of somebody's file cannot always be told.
    let of_grub = [base_parameters(defaults).ok()?, base_parameters(&debians(defaults)).ok()?].concat();
    let of_cmdline = base_parameters(cmdline).ok()?;
    let mut entries = loader
        .boot_files
        .iter()
        .filter(|file| file.role == Role::Entry)
        .filter_map(|file| own_parameters(file, &system.identity).ok().filter(|lines| !lines.is_empty()))
        .map(|lines| lines.concat());
    let first = entries.next().unwrap_or_default();
    let of_entries: Vec<String> =
        entries.fold(first, |all, entry| all.into_iter().filter(|parameter| entry.contains(parameter)).collect());
    let lost = |there: Vec<String>, then: &[String]| {
        let mut lost = missing(&unique(there), then);
        lost.retain(|parameter| !is_of_the_tool(parameter));
        (!lost.is_empty()).then(|| lost.join(" "))
    };
    match next {
        NextKernel::GrubDefaults => {
            let lost = lost([of_cmdline, of_entries].concat(), &of_grub)?;
            Some(format!(
                "/etc/kernel/cmdline is older than /etc/default/grub: at the next kernel grub2-mkconfig may make it and boot \
                 entries again from that file, without {lost}; add that to GRUB_CMDLINE_LINUX in /etc/default/grub, or 'touch' \
                 /etc/kernel/cmdline if that is the file to follow"
            ))
        }
        NextKernel::Cmdline => {
            let lost = lost(of_entries, &of_cmdline)?;
            Some(format!(
                "/etc/kernel/cmdline does not have what boot entries have: the entry of the next kernel is made from it, \
                 without {lost}; add that to it"
            ))
        }
    }
}

/// The same file, for the variable whose value comes behind.
fn debians(defaults: &BootFile) -> BootFile {
    BootFile { format: Format::GrubDefault, ..defaults.clone() }
}

/// What the tool adds itself, and variables of GRUB's.
fn is_of_the_tool(parameter: &str) -> bool {
    matches!(parameter, "ro" | "rw") || parameter.starts_with("root=") || parameter.starts_with('$')
}
