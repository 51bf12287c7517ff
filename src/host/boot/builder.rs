// SPDX-License-Identifier: LGPL-2.1-or-later
//! What makes unified kernel images, and what it makes their command lines from: mkinitcpio, kernel-install(8), Gentoo's
//! installkernel.

use crate::host::boot::mkinitcpio::{self, Cmdline, Preset};
use crate::host::boot::probe::{assigned, files, join, program, program_holds, text};
use crate::host::boot::uki_conf::{self, UkiConf};
use crate::host::boot::{BootFile, Format, Role};
use crate::root::Root;

/// What images are made from.
pub(super) const CMDLINE: &str = "etc/kernel/cmdline";
const NO_CMDLINE: &str = "is not there, so images get whatever the running kernel was booted with: \
                          write into it what /proc/cmdline says, without BOOT_IMAGE= and initrd=";
/// What mkinitcpio adds to it, and ours there.
const DROP_INS: &str = "etc/cmdline.d";
const DROP_IN: &str = "etc/cmdline.d/vfio.conf";

/// Which tool rebuilds images.
pub(super) enum Builder {
    /// By its presets that make one.
    Mkinitcpio(Vec<Preset>),
    /// kernel-install(8).
    KernelInstall,
    /// Gentoo's.
    Installkernel,
}

impl Builder {
    pub(super) fn find(root: &Root) -> Option<Builder> {
        let mut presets = mkinitcpio::presets(root);
        presets.retain(|preset| preset.uki.is_some());
        match (presets.is_empty(), layout_is_uki(root)) {
            (false, _) => Some(Builder::Mkinitcpio(presets)),
            (true, true) if is_gentoo(root) => Some(Builder::Installkernel),
            (true, true) => Some(Builder::KernelInstall),
            (true, false) => None,
        }
    }

    /// What it is run with.
    pub(super) fn command(&self) -> Vec<String> {
        let words = match self {
            Builder::Mkinitcpio(_) => ["mkinitcpio", "-P"],
            Builder::KernelInstall => ["kernel-install", "add-all"],
            Builder::Installkernel => ["installkernel", "--all"],
        };
        words.map(str::to_owned).to_vec()
    }

    /// The files that it makes command lines from.
    pub(super) fn sources(&self, root: &Root) -> Vec<BootFile> {
        match self {
            Builder::Mkinitcpio(presets) => of_presets(root, presets),
            Builder::KernelInstall => vec![of_kernel_install(root)],
            Builder::Installkernel => vec![of_installkernel(root)],
        }
    }

    /// What is not there for it.
    pub(super) fn missing(&self, root: &Root) -> Option<String> {
        let name = self.command().swap_remove(0);
        let path = program(root, &name);
        match self {
            // Before 255 there was no such verb; the program was a script, or names all its verbs.
            Builder::KernelInstall if !path.as_ref().is_some_and(|path| program_holds(root, path, b"add-all")) => {
                Some("a kernel-install that knows add-all (systemd 255)".to_owned())
            }
            Builder::Mkinitcpio(_) if path.is_none() => Some(name),
            _ => None,
        }
    }
}

/// Whether Gentoo's installkernel makes the images, by itself or by way of kernel-install: version 56 or newer, which can
/// make all of them again.
pub(in crate::host) fn is_gentoo(root: &Root) -> bool {
    program(root, "installkernel").is_some_and(|path| program_holds(root, &path, b"--all|-a)"))
}

/// What makes the unified kernel images again, if that is known and there.
pub(in crate::host) fn builder(root: &Root) -> Option<Vec<String>> {
    Builder::find(root).filter(|builder| builder.missing(root).is_none()).map(|builder| builder.command())
}

/// Whether kernel-install(8) makes images.
fn layout_is_uki(root: &Root) -> bool {
    setting(root, "layout").as_deref() == Some("uki")
}

/// What `install.conf` says.
fn setting(root: &Root, key: &str) -> Option<String> {
    let mut settings = Vec::new();
    for directory in ["etc/kernel", "run/kernel", "usr/local/lib/kernel", "usr/lib/kernel"] {
        settings.push(format!("{directory}/install.conf"));
        settings.extend(files(root, &format!("{directory}/install.conf.d"), ".conf").into_iter().rev());
    }
    // The first that says anything: what is in /etc comes first. Drop-ins come after what they add to.
    settings.iter().find_map(|path| assigned(&text(root, path)?, key))
}

/// What mkinitcpio makes command lines from.
fn of_presets(root: &Root, presets: &[Preset]) -> Vec<BootFile> {
    let mut found: Vec<BootFile> = Vec::new();
    for preset in presets {
        let of_it = match &preset.cmdline {
            Cmdline::Usual => usual(root),
            Cmdline::From(path) if root.list(path).is_ok() => of_folder(root, path, Vec::new()),
            Cmdline::From(path) => vec![BootFile::read(root, path, Format::Plain, Role::Source)],
            Cmdline::Nowhere => {
                let why =
                    "makes an image without a command line (--no-cmdline): add the parameters where the image gets \
                           them from, or take that option out";
                // ukify is told none then, and takes its own.
                vec![of_uki_conf(root).unwrap_or_else(|| unreadable(&preset.file, why.to_owned()))]
            }
        };
        found.extend(of_it.into_iter().filter(|new| found.iter().all(|old| old.path != new.path)).collect::<Vec<_>>());
    }
    found
}

/// What mkinitcpio reads where a preset names nothing: one of two files, and since 36 a folder as well.
fn usual(root: &Root) -> Vec<BootFile> {
    let file = [CMDLINE, "usr/lib/kernel/cmdline"].into_iter().find(|path| root.exists(path));
    let others = drop_ins(root, DROP_INS);
    match file {
        Some(CMDLINE) if others.is_empty() => {
            let ours = root.exists(DROP_IN).then(|| BootFile::read(root, DROP_IN, Format::DropIn, Role::Source));
            [BootFile::read(root, CMDLINE, Format::Plain, Role::Source)].into_iter().chain(ours).collect()
        }
        None if others.is_empty() => vec![unreadable(CMDLINE, NO_CMDLINE.to_owned())],
        file => of_folder(root, DROP_INS, file.map(str::to_owned).into_iter().collect()),
    }
}

/// A folder of drop-ins, after other files, with one of ours in it. Ours is never the first of its kind: then the command
/// line would no longer be taken from where it is.
fn of_folder(root: &Root, folder: &str, first: Vec<String>) -> Vec<BootFile> {
    let ours = format!("{}/vfio.conf", folder.trim_end_matches('/'));
    let others: Vec<String> = first.into_iter().chain(drop_ins(root, folder)).collect();
    if others.is_empty() {
        let why = "has no file that ends in .conf, so images get whatever the running kernel was booted with: write into one \
                   what /proc/cmdline says, without BOOT_IMAGE= and initrd=";
        return vec![unreadable(folder, why.to_owned())];
    }
    let base = others.iter().map(|path| BootFile::read(root, path, Format::Plain, Role::Base));
    base.chain([BootFile::read(root, &ours, Format::DropIn, Role::Source)]).collect()
}

/// The drop-ins of others in a folder and below it, as mkinitcpio looks for them: it does not go into links.
fn drop_ins(root: &Root, folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.trim_end_matches('/').to_owned()];
    while let Some(folder) = folders.pop() {
        // No one has as many.
        if root.read_link(&folder).is_ok() || found.len() > 1000 {
            continue;
        }
        for name in root.list(&folder).unwrap_or_default() {
            let path = join(&folder, &name);
            if root.list(&path).is_ok() {
                folders.push(path);
            } else if name.ends_with(".conf") && name != "vfio.conf" {
                found.push(path);
            }
        }
    }
    found.sort_unstable();
    found
}

/// What Gentoo's installkernel makes command lines from.
fn of_installkernel(root: &Root) -> BootFile {
    if setting(root, "uki_generator").as_deref() == Some("dracut") {
        let why = "is where dracut takes the command line of images from: write kernel_cmdline+=\" PARAMETERS \" into a file \
                   there, then run 'installkernel --all'";
        return unreadable("etc/dracut.conf.d", why.to_owned());
    }
    match [CMDLINE, "usr/lib/kernel/cmdline"].into_iter().find(|path| root.exists(path)) {
        Some(CMDLINE) => BootFile::read(root, CMDLINE, Format::Plain, Role::Source),
        Some(path) => unreadable(path, "is not for changes: copy it to /etc/kernel/cmdline".to_owned()),
        // Without either ukify is told nothing.
        None => of_uki_conf(root).unwrap_or_else(|| unreadable(CMDLINE, NO_CMDLINE.to_owned())),
    }
}

/// What kernel-install(8) makes an image's command line from. `Cmdline=` of `uki.conf` counts where its plugin says so.
fn of_kernel_install(root: &Root) -> BootFile {
    let own = if uki_conf::counts(root) { of_uki_conf(root) } else { None };
    own.unwrap_or_else(|| from_cmdline(root))
}

/// What `Cmdline=` of `uki.conf` names, if it is there.
fn of_uki_conf(root: &Root) -> Option<BootFile> {
    let settings = UkiConf::read(root);
    Some(match settings.cmdline()? {
        uki_conf::Cmdline::File(path) => {
            let file = BootFile::read(root, &path, Format::Plain, Role::Source);
            match file.content {
                Some(_) => file,
                None => {
                    unreadable(&path, format!("is not there, and Cmdline= in /{} names it: write it", settings.path))
                }
            }
        }
        uki_conf::Cmdline::Text => {
            let why = "has Cmdline=, which counts instead of /etc/kernel/cmdline: move its value there".to_owned();
            unreadable(&settings.path, why)
        }
    })
}

/// `/etc/kernel/cmdline`, if images are made from it.
fn from_cmdline(root: &Root) -> BootFile {
    if root.exists(CMDLINE) {
        BootFile::read(root, CMDLINE, Format::Plain, Role::Source)
    } else {
        unreadable(CMDLINE, NO_CMDLINE.to_owned())
    }
}

/// A source that is not changed, and why.
pub(super) fn unreadable(path: &str, why: String) -> BootFile {
    BootFile::unreadable(path, Format::Plain, why)
}
