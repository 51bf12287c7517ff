// SPDX-License-Identifier: LGPL-2.1-or-later
//! Boot entries that are made from something else: by clr-boot-manager, from a NixOS configuration, by ZFSBootMenu, by Void's
//! kernel hook. Their source is changed, or what to do manually is said.

use super::esp::Partitions;
use super::{systemd_boot, void, BootFile, Format, Loader, LoaderKind, Role};
use crate::host::boot::probe::{files, program};
use crate::host::mounts;
use crate::root::Root;

/// What NixOS's next boot has: a file of the system that the boot entries are made for.
const NIXOS: &str = "nix/var/nix/profiles/system/kernel-params";
/// Directories in `EFI` in which ZFSBootMenu is (its UEFI guide; `ImageDir` of generate-zbm(5)).
const ZFS_BOOT_MENU: [&str; 2] = ["zbm", "zfsbootmenu"];

/// Kernel parameters that nobody but a person can add.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ByHand {
    /// NixOS: `boot.kernelParams`.
    Nixos,
    /// A property of a dataset.
    ZfsBootMenu {
        /// The dataset that is the root file system.
        dataset: String,
        /// Whether ZFSBootMenu's own program for it is there, zbm-kcl(8).
        has_program: bool,
    },
    /// Void's kernel hook makes the entries of new kernels from a command line that is not set: the one that it takes then.
    Void(String),
}

/// The tool or system that makes all entries of this machine.
pub(super) fn owner(root: &Root, partitions: &Partitions) -> Option<Loader> {
    nixos(root).or_else(|| clr_boot_manager(root, partitions)).or_else(|| zfs_boot_menu(root, partitions))
}

fn nixos(root: &Root) -> Option<Loader> {
    if !root.exists("etc/NIXOS") {
        return None;
    }
    let now = BootFile::read(root, NIXOS, Format::Plain, Role::Generated);
    Some(made_by(LoaderKind::Nixos, vec![now]))
}

/// clr-boot-manager, Solus's: entries on an ESP that it mounts itself (`src/lib/cmdline.c`, `cbm_parse_cmdline_files`).
fn clr_boot_manager(root: &Root, partitions: &Partitions) -> Option<Loader> {
    const DROP_INS: &str = "etc/kernel/cmdline.d";
    const OURS: &str = "etc/kernel/cmdline.d/vfio.conf";
    program(root, "clr-boot-manager")?;
    // A file of the same name masks a vendor's.
    let own = files(root, DROP_INS, ".conf");
    let is_masked = |path: &String| own.iter().any(|own| own.rsplit('/').next() == path.rsplit('/').next());
    let vendor = files(root, "usr/share/kernel/cmdline.d", ".conf").into_iter().filter(|path| !is_masked(path));
    let others =
        vendor.chain(["etc/kernel/cmdline".to_owned()]).chain(own.iter().filter(|path| *path != OURS).cloned());
    let others = others.filter(|path| root.exists(path)).collect::<Vec<_>>();
    let mut boot_files: Vec<BootFile> =
        others.iter().map(|path| BootFile::read(root, path, Format::Plain, Role::Base)).collect();
    boot_files.push(BootFile::read(root, OURS, Format::DropIn, Role::Source));
    let entries = systemd_boot::entries(root, partitions.each(root, "loader/entries").into_iter());
    boot_files.extend(entries.into_iter().map(|boot_file| BootFile { role: Role::Generated, ..boot_file }));
    let mut loader = made_by(LoaderKind::ClrBootManager, boot_files);
    loader.tools.push(vec!["clr-boot-manager".to_owned(), "update".to_owned()]);
    Some(loader)
}

/// ZFSBootMenu is a Linux itself that starts this one's kernel: its image and its command line are not this system's.
fn zfs_boot_menu(root: &Root, partitions: &Partitions) -> Option<Loader> {
    dataset(root)?;
    let mut vendors = partitions.each(root, "EFI").into_iter().flat_map(|efi| root.list(&efi).unwrap_or_default());
    let is_there = vendors.any(|name| is_zfs_boot_menu(&name)) || root.exists("etc/zfsbootmenu/config.yaml");
    is_there.then(|| made_by(LoaderKind::ZfsBootMenu, Vec::new()))
}

/// Whether a directory in `EFI` is ZFSBootMenu's, by its name.
pub(super) fn is_zfs_boot_menu(name: &str) -> bool {
    ZFS_BOOT_MENU.iter().any(|there| name.eq_ignore_ascii_case(there))
}

/// The dataset that is the root file system, if one is.
fn dataset(root: &Root) -> Option<String> {
    let mount = mounts::of_system(root).into_iter().rfind(|mount| mount.at == "/")?;
    (mount.kind == "zfs").then_some(mount.source)
}

fn made_by(kind: LoaderKind, boot_files: Vec<BootFile>) -> Loader {
    Loader { kind, boot_files, tools: Vec::new(), missing: Vec::new(), check: None }
}

/// What a person has to do for these loaders.
pub(super) fn by_hand(root: &Root, loaders: &[Loader]) -> Vec<ByHand> {
    let of = |loader: &Loader| match loader.kind {
        LoaderKind::Nixos => Some(ByHand::Nixos),
        LoaderKind::ZfsBootMenu => {
            let has_program = program(root, "zbm-kcl").is_some();
            Some(ByHand::ZfsBootMenu { dataset: dataset(root)?, has_program })
        }
        LoaderKind::SystemdBoot => void::not_told(root).map(ByHand::Void),
        _ => None,
    };
    loaders.iter().filter_map(of).collect()
}
