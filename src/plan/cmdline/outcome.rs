// SPDX-License-Identifier: LGPL-2.1-or-later
//! What tools have made of a plan. Some end without an error and have done nothing, so what they made is read again and
//! decides; of what cannot be read, what they printed.

use super::own::{base_parameters, own_parameters};
use super::record::Record;
use super::{grub_menu, missing, ours_of, CmdlinePlan, ToolRun};
use crate::host::boot::identity::Identity;
use crate::host::boot::{BootFile, BootSystem, Loader, LoaderKind, Role};
use crate::text::shell_command;

/// What a tool that ended well has not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Shortcoming {
    /// A file is not as it was to be.
    #[error("'{tool}' ended without an error, but /{path} {}", what(lacks, keeps))]
    File {
        /// The tool and its arguments.
        tool: String,
        /// The file, below the root.
        path: String,
        /// Parameters that are not in it.
        lacks: Vec<String>,
        /// Parameters that are still in it.
        keeps: Vec<String>,
    },
    /// No entry of a menu is as it was to be: a sentence.
    #[error("{0}")]
    Menu(String),
    /// It says so itself.
    #[error("'{tool}' ended without an error, but: {why}")]
    Said {
        /// The tool and its arguments.
        tool: String,
        /// Its line.
        why: String,
    },
}

fn what(lacks: &[String], keeps: &[String]) -> String {
    let part = |begin: &str, parameters: &[String]| {
        (!parameters.is_empty()).then(|| format!("{begin} {}", parameters.join(" ")))
    };
    [part("does not have", lacks), part("still has", keeps)].into_iter().flatten().collect::<Vec<_>>().join(" and ")
}

/// What is wrong with the files that tools made, if anything. `system` was looked at after they ran, `before` is what was
/// ours before.
pub fn shortcoming(system: &BootSystem, plan: &CmdlinePlan, before: &Record) -> Option<Shortcoming> {
    let judged = system.loaders.iter().filter(|loader| is_judged(loader.kind));
    let of_tool = judged.into_iter().find_map(|loader| {
        let run = plan.tools.iter().find(|run| run.loader == loader.kind)?;
        of_loader(loader, run, plan, before, &system.identity)
    });
    of_tool.or_else(|| grub_menu::shortcoming(system, plan).map(Shortcoming::Menu))
}

/// Whether every file of such a loader that is looked at comes from its tool.
fn is_judged(kind: LoaderKind) -> bool {
    use LoaderKind::{Bootc, ClrBootManager, Kernelstub, Limine, RpmOstree, Sdbootutil};
    matches!(kind, Kernelstub | Sdbootutil | RpmOstree | Bootc | Limine | ClrBootManager) || decides(kind)
}

/// Whether what the tool of such a loader made decides, and its exit code does not: mkinitcpio ends with an error after a
/// module was not found, and its image is good.
pub fn decides(kind: LoaderKind) -> bool {
    kind == LoaderKind::UkiRebuild
}

fn of_loader(
    loader: &Loader,
    run: &ToolRun,
    plan: &CmdlinePlan,
    before: &Record,
    identity: &Identity,
) -> Option<Shortcoming> {
    let (want, had) = (ours_of(loader, &plan.record), ours_of(loader, before));
    // What others have there as well, or a user has meanwhile written.
    let is_source = |file: &&BootFile| file.role == Role::Source && !file.format.is_changed_by_a_tool();
    let base = loader.boot_files.iter().filter(|file| file.role == Role::Base || is_source(file));
    let theirs: Vec<String> = base.filter_map(|file| base_parameters(file).ok()).flatten().collect();
    let gone: Vec<String> = had.into_iter().filter(|one| !want.contains(one) && !theirs.contains(one)).collect();
    let made = |file: &&BootFile| file.role == Role::Generated || file.format.is_changed_by_a_tool();
    let of_file = |file: &BootFile| {
        let lines = own_parameters(file, identity).ok().filter(|lines| !lines.is_empty())?;
        let there = lines.concat();
        let lacks = missing(&want, &there);
        let keeps: Vec<String> = gone.iter().filter(|parameter| there.contains(parameter)).cloned().collect();
        let path = file.path.clone();
        let wrong = !lacks.is_empty() || !keeps.is_empty();
        wrong.then(|| Shortcoming::File { tool: shell_command(&run.command), path, lacks, keeps })
    };
    loader.boot_files.iter().filter(made).find_map(of_file)
}

/// What proxmox-boot-tool says of a partition that it has written to, and of a kernel there.
const COPIED: [&str; 2] = ["Copying and configuring kernels on ", "Copying kernel "];

/// What is wrong by what a tool printed, although it ended without an error.
pub fn refused(run: &ToolRun, printed: &str) -> Option<Shortcoming> {
    if run.command.first().map(String::as_str) != Some("proxmox-boot-tool") {
        return None;
    }
    // It skips what it cannot mount or does not know, and goes on (src/proxmox-boot/zz-proxmox-boot, `update_esp_func`).
    let lines = || printed.lines().map(str::trim);
    let skipped = |line: &&str| {
        line.ends_with("skipping") && ["mount", "creation of", "/dev/"].iter().any(|b| line.starts_with(b))
    };
    let nothing = || !COPIED.iter().all(|begin| lines().any(|line| line.starts_with(begin)));
    let why = lines().find(skipped).or_else(|| nothing().then(|| last_complaint(printed)))?;
    Some(Shortcoming::Said { tool: shell_command(&run.command), why: why.to_owned() })
}

/// The last line that says what was left out.
fn last_complaint(printed: &str) -> &str {
    let complaint = |line: &&str| line.contains("skipping") && !line.starts_with("Hook script 'proxmox-auto-removal'");
    printed.lines().map(str::trim).rfind(complaint).unwrap_or("it copied no kernel to any partition")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refresh() -> ToolRun {
        let command = ["proxmox-boot-tool", "refresh"].map(str::to_owned).to_vec();
        ToolRun { loader: LoaderKind::Proxmox, command, undo: Vec::new() }
    }

    /// What proxmox-boot-tool 8.1.0 printed when it was run, with exit status 0 each time.
    #[test]
    fn a_success_that_was_none() {
        let begin = "Running hook script 'zz-proxmox-boot'..\n\
                     Re-executing '/etc/kernel/postinst.d/zz-proxmox-boot' in new private mount namespace..\n\
                     Hook script 'proxmox-auto-removal' not found or not executable, skipping.\n";
        let one = "Copying and configuring kernels on /dev/disk/by-uuid/ABCD-1234\n\
                   \tCopying kernel and creating boot-entry for 6.8.12-1-pve\n";
        let gone =
            "WARN: /dev/disk/by-uuid/ABCD-5678 does not exist - clean '/etc/kernel/proxmox-boot-uuids'! - skipping\n";
        let unmounted = "mount: /dev/disk/by-uuid/ABCD-1234: can't read superblock\n\
                         mount of /dev/disk/by-uuid/ABCD-1234 failed - skipping\n";
        let no_kernel = "Copying and configuring kernels on /dev/disk/by-uuid/ABCD-1234\n\
                         No linux-image /boot/vmlinuz-6.8.12-1-pve found - skipping\n";
        for (printed, why) in [
            (one.to_owned(), None),
            (format!("{one}{gone}"), None),
            (format!("{one}{unmounted}"), Some("mount of /dev/disk/by-uuid/ABCD-1234 failed - skipping")),
            (unmounted.to_owned(), Some("mount of /dev/disk/by-uuid/ABCD-1234 failed - skipping")),
            (gone.to_owned(), Some(gone.trim())),
            (no_kernel.to_owned(), Some("No linux-image /boot/vmlinuz-6.8.12-1-pve found - skipping")),
            (String::new(), Some("it copied no kernel to any partition")),
        ] {
            let said = refused(&refresh(), &format!("{begin}{printed}")).map(|shortcoming| shortcoming.to_string());
            let expected = why.map(|why| format!("'proxmox-boot-tool refresh' ended without an error, but: {why}"));
            assert_eq!(said, expected, "{printed}");
        }
        let another = ToolRun { command: vec!["update-grub".to_owned()], ..refresh() };
        assert_eq!(refused(&another, ""), None);
    }
}
