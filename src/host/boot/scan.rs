// SPDX-License-Identifier: LGPL-2.1-or-later
//! Putting together what the machine boots with.

use super::efi::Variables;
use super::esp::Partitions;
use super::identity::Identity;
use super::{
    generated, grub, kernels, kernelstub, limine, next_kernel, ostree, proxmox, refind, sdbootutil, systemd_boot, uki,
    unmounted,
};
use super::{BootSystem, Loader, LoaderKind, Role};
use crate::host::iommu::Iommu;
use crate::host::kernel_cmdline::KernelCmdline;
use crate::host::platform::Platform;
use crate::host::run::boot_counter;
use crate::root::Root;
use std::io::ErrorKind;

impl BootSystem {
    /// Looks at what the machine boots with. What cannot be read is left out, or said where it stands.
    pub fn scan(root: &Root) -> BootSystem {
        let variables = Variables::read(root);
        let partitions = Partitions::find(root);
        let unmounted = unmounted::find(root, &partitions);
        let mut loaders = loaders(root, &partitions, &variables);
        loaders.retain(|loader| {
            loader.boot_files.iter().all(|file| !unmounted::hold(&unmounted, &partitions, &file.path))
        });
        // Without these variables the order is that of the search.
        let (booted, stub) = (variables.loader.as_deref(), variables.stub.is_some());
        loaders.sort_by_key(|loader| rank(loader.kind, booted, stub));
        let iommu = Iommu::scan(root);
        let started: Vec<LoaderKind> =
            loaders.iter().map(|loader| loader.kind).filter(|kind| rank(*kind, booted, stub) < NOT_SAID).collect();
        let parameters = KernelCmdline::read(root);
        BootSystem {
            left_over: left_over(&mut loaders, &started),
            next_kernel: next_kernel::find(root, &loaders),
            by_hand: generated::by_hand(root, &loaders),
            identity: Identity::read(root, &parameters),
            started,
            loaders,
            closed: closed(root, &partitions),
            left_alone: partitions.left_alone,
            unmounted,
            vendor: kernels::vendor(root),
            platform: Platform::scan(root),
            has_iommu: iommu.firmware.is_some() || iommu.active && Iommu::covers_pci(root),
            kernels: kernels::scan(root),
            parameters,
            boot_id: boot_counter::current(root),
            booted: variables.loader,
            stub: variables.stub,
            entry: variables.entry,
            secure_boot: variables.secure_boot,
        }
    }

    /// Whether nothing says with what this machine boots, as far as can be seen.
    pub fn is_unknown(&self) -> bool {
        let said =
            self.booted.is_some() || self.stub.is_some() || !self.unmounted.is_empty() || !self.by_hand.is_empty();
        self.loaders.is_empty() && self.closed.is_empty() && !said
    }

    /// Whether the files of what started this boot are among those that were found; if nobody says what that was, any.
    pub fn is_found(&self) -> bool {
        let (booted, stub) = (self.booted.as_deref(), self.stub.is_some());
        let said = booted.is_some_and(|booted| LoaderKind::own_names().any(|name| booted.contains(name))) || stub;
        // A stub that says nothing may have booted all the same.
        let is_it =
            |kind| rank(kind, booted, stub) < NOT_SAID || matches!(kind, LoaderKind::UkiAddon | LoaderKind::UkiRebuild);
        self.loaders.iter().any(|loader| !said || is_it(loader.kind))
    }
}

/// Directories of boot files that are not to be read. What lies in one of them is part of it.
fn closed(root: &Root, partitions: &Partitions) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for path in ["boot"].into_iter().chain(partitions.all()).chain([grub::ENTRIES]) {
        let is_in =
            |outer: &String| path.strip_prefix(outer.as_str()).is_some_and(|r| r.is_empty() || r.starts_with('/'));
        let refused = root.list(path).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied);
        if refused && !found.iter().any(is_in) {
            found.push(path.to_owned());
        }
    }
    found
}

fn loaders(root: &Root, partitions: &Partitions, variables: &Variables) -> Vec<Loader> {
    // The tool that owns the entries of the loader behind it is the only one to be told.
    let owner = ostree::find(root, partitions)
        .or_else(|| kernelstub::find(root, partitions))
        .or_else(|| sdbootutil::find(root, partitions))
        .or_else(|| generated::owner(root, partitions));
    if let Some(owner) = owner {
        return vec![owner];
    }
    if let Some(owners) = proxmox::find(root, partitions, variables) {
        return owners;
    }
    let grub = grub::find(root, partitions);
    let with_entries = grub.as_ref().is_some_and(|loader| loader.kind == LoaderKind::GrubBls);
    let mut systemd_boot = systemd_boot::find(root, partitions, variables, with_entries.then_some(grub::ENTRIES));
    let limine = limine::find(root, partitions);
    // limine-entry-tool may make unified kernel images; their command lines are its own then.
    let makes_images = limine.as_ref().is_some_and(|loader| !loader.tools.is_empty());
    let uki = if makes_images { None } else { uki::find(root, partitions, variables.secure_boot) };
    // One file is one loader's: the one's that has to build something after a change.
    if let (Some(loader), Some(uki)) = (&mut systemd_boot, &uki) {
        loader.boot_files.retain(|boot_file| uki.boot_files.iter().all(|other| other.path != boot_file.path));
    }
    let found = [grub, systemd_boot, uki, limine, refind::find(root, partitions, variables)];
    found.into_iter().flatten().filter_map(|loader| own_part(loader, partitions)).collect()
}

/// A loader without its files on what is left alone; `None` if it has no others. What a tool makes there it makes anyway.
fn own_part(mut loader: Loader, partitions: &Partitions) -> Option<Loader> {
    let before = loader.boot_files.len();
    loader.boot_files.retain(|boot_file| boot_file.role == Role::Generated || !partitions.leave_alone(&boot_file.path));
    let is_whole = loader.boot_files.len() == before;
    (is_whole || loader.boot_files.iter().any(|boot_file| boot_file.role != Role::Generated)).then_some(loader)
}

/// Loaders whose tool is gone while another one is known to have started this boot: a package that was removed leaves its
/// settings and its menu behind. What is ours in these goes; nothing is run.
fn left_over(loaders: &mut [Loader], started: &[LoaderKind]) -> Vec<LoaderKind> {
    let is_left =
        |loader: &Loader| !started.is_empty() && !started.contains(&loader.kind) && !loader.missing.is_empty();
    let mut found = Vec::new();
    for loader in loaders.iter_mut().filter(|loader| is_left(loader)) {
        loader.missing.clear();
        loader.tools.clear();
        loader.check = None;
        found.push(loader.kind);
    }
    found
}

/// The rank of a loader of which nobody says that it booted.
const NOT_SAID: u8 = 2;

/// Which loader comes first: the one that booted the kernel, then the one that started that. What owns the entries of the loader
/// behind it has no name there.
fn rank(kind: LoaderKind, booted: Option<&str>, stub: bool) -> u8 {
    match (kind, kind.own_name()) {
        (LoaderKind::UkiAddon | LoaderKind::UkiRebuild, _) if stub => 0,
        (_, Some(name)) if booted.is_some_and(|booted| booted.contains(name)) => 1,
        (_, Some(_)) => NOT_SAID,
        (_, None) => 0,
    }
}
