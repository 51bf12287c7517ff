// SPDX-License-Identifier: LGPL-2.1-or-later
//! openSUSE's sdbootutil, for systemd-boot or for GRUB with entries. Full-disk encryption may be bound to what it wrote, so
//! entries are made by it alone.

use super::esp::Partitions;
use super::systemd_boot;
use super::{BootFile, Content, Format, Loader, LoaderKind, Role};
use crate::host::boot::probe::{assigned, files, program, text};
use crate::host::kernel_cmdline::KernelCmdline;
use crate::host::mounts;
use crate::root::Root;

/// What it reads, the first that is there (`create_boot_options`).
const CMDLINES: [&str; 2] = ["etc/kernel/cmdline", "usr/lib/kernel/cmdline"];
/// What it adds to that; files of the same name in the second count instead of those in the first, which has this name.
const DROP_INS: [&str; 2] = ["usr/kernel/cmdline.d", "etc/kernel/cmdline.d"];
/// Ours among them.
const OURS: &str = "etc/kernel/cmdline.d/vfio.conf";

/// Finds it.
pub(super) fn find(root: &Root, partitions: &Partitions) -> Option<Loader> {
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
    // Drop-ins came in March 2026.
    let mut boot_files = sources(root, script.is_none_or(|script| script.contains("cmdline.d")));
    let entries = systemd_boot::entries(root, directories.into_iter());
    let own = OwnRoot::read(root);
    let (mine, others): (Vec<BootFile>, Vec<BootFile>) =
        entries.into_iter().partition(|entry| own.is_matched(root, entry));
    match others.into_iter().next().filter(|_| mine.is_empty()) {
        Some(entry) => {
            let why = "is not of the running system, by its root= and rootflags=subvol=, nor is any other entry: \
                       sdbootutil would change none";
            boot_files =
                vec![BootFile { content: Some(Content::Unreadable(why.to_owned())), role: Role::Source, ..entry }];
        }
        None => boot_files.extend(mine.into_iter().map(|entry| BootFile { role: Role::Generated, ..entry })),
    }
    Some(Loader {
        kind: LoaderKind::Sdbootutil,
        boot_files,
        tools: vec![vec!["sdbootutil".to_owned(), "update-all-entries".to_owned()]],
        missing: Vec::new(),
        check: None,
    })
}

/// What it makes command lines from, in its order.
fn sources(root: &Root, with_drop_ins: bool) -> Vec<BootFile> {
    let Some(cmdline) = CMDLINES.into_iter().find(|path| root.exists(path)) else {
        let why = "is not there, so entries get whatever the running kernel was booted with: write into it what /proc/cmdline \
                   says, without BOOT_IMAGE= and initrd=";
        return vec![BootFile::unreadable(CMDLINES[0], Format::ReadLines, why)];
    };
    if !with_drop_ins {
        return vec![BootFile::read(root, cmdline, Format::ReadLines, Role::Source)];
    }
    let [first, second] = DROP_INS.map(|directory| files(root, directory, ""));
    let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let hidden = |path: &String| second.iter().any(|other| name(other) == name(path));
    let mut paths: Vec<String> = first.into_iter().filter(|path| !hidden(path)).collect();
    paths.extend(second.iter().filter(|path| *path != OURS).cloned());
    let base = [cmdline.to_owned()].into_iter().chain(paths);
    let base = base.map(|path| BootFile::read(root, &path, Format::ReadLines, Role::Base));
    base.chain([BootFile::read(root, OURS, Format::DropIn, Role::Source)]).collect()
}

/// What tells this system's entries from others: it changes those alone (`update_entries_for_subvol`).
struct OwnRoot {
    /// What is mounted at `/`: the device, as findmnt(8) names it.
    source: String,
    /// The snapshot that is mounted there.
    subvolume: Option<String>,
}

impl OwnRoot {
    fn read(root: &Root) -> OwnRoot {
        let mounts = mounts::of_system(root);
        let Some(mount) = mounts.iter().rfind(|mount| mount.at == "/") else {
            return OwnRoot { source: String::new(), subvolume: None };
        };
        let part = mount.part.trim_start_matches('/');
        let is_snapshot = part.split_once("/.snapshots/").is_some_and(|(_, rest)| rest.ends_with("/snapshot"));
        OwnRoot { source: mount.source.clone(), subvolume: is_snapshot.then(|| part.to_owned()) }
    }

    /// Whether it takes an entry for one of this system.
    fn is_matched(&self, root: &Root, entry: &BootFile) -> bool {
        let Some(Content::Text(text)) = &entry.content else { return true };
        let options = text.lines().filter_map(|line| line.trim_start().strip_prefix("options"));
        let parameters = KernelCmdline::parse(&options.collect::<Vec<_>>().join(" "));
        let mut parameters = parameters.iter();
        if !parameters.by_ref().any(|parameter| parameter.strip_prefix("root=").is_some_and(|id| self.is_own(root, id)))
        {
            return false;
        }
        let Some(subvolume) = &self.subvolume else { return true };
        parameters.any(|parameter| {
            parameter.strip_prefix("rootflags=subvol=").is_some_and(|at| at.starts_with(subvolume.as_str()))
        })
    }

    /// Whether a value of `root=` names what is mounted at `/`. Where that cannot be known it is said to.
    fn is_own(&self, root: &Root, id: &str) -> bool {
        if self.source.is_empty() || id == self.source {
            return true;
        }
        let by = |key: &str| id.strip_prefix(key).map(|value| (key.trim_end_matches('=').to_ascii_lowercase(), value));
        let Some((kind, value)) = ["UUID=", "LABEL=", "PARTUUID=", "PARTLABEL="].into_iter().find_map(by) else {
            return false;
        };
        let directory = format!("dev/disk/by-{kind}");
        if !root.exists(&directory) {
            return true;
        }
        let device = self.source.trim_start_matches('/');
        // A name of the device mapper's is a link to its number.
        let device =
            root.link_name(device).unwrap_or_else(|_| device.rsplit('/').next().unwrap_or_default().to_owned());
        root.link_name(&format!("{directory}/{value}")).is_ok_and(|name| name == device)
    }
}
