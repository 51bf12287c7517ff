// SPDX-License-Identifier: LGPL-2.1-or-later
//! The images that the machine boots with: what makes them, where they are, and what of ours is in them.

pub mod cpio;
pub mod error;
pub mod image;

use super::boot::esp::Partitions;
use super::boot::mkinitcpio;
use super::boot::mkinitcpio_hook::Hook;
use super::boot::ostree;
use super::boot::pe::Program;
use super::boot::{builder, uki};
use crate::config;
use crate::root::{Root, STATE};
use image::{Seen, Unpack, Unseen};
use serde::Serialize;

/// What makes the images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tool {
    /// `update-initramfs`: of initramfs-tools, or of dracut in its place.
    UpdateInitramfs,
    /// `mkinitcpio`.
    Mkinitcpio,
    /// `dracut`.
    Dracut,
    /// `booster`, for which there is no hook of ours.
    Booster,
}

impl Tool {
    /// The program.
    pub fn name(self) -> &'static str {
        match self {
            Tool::UpdateInitramfs => "update-initramfs",
            Tool::Mkinitcpio => "mkinitcpio",
            Tool::Dracut => "dracut",
            Tool::Booster => "booster",
        }
    }
}

/// An image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its files, below the root; the loader puts several one after the other.
    pub paths: Vec<String>,
    /// The kernel that it is for, where it is known.
    pub release: Option<String>,
    /// When it was made last, in nanoseconds.
    pub made: i64,
    /// What of ours is in it, or why that is not known.
    pub seen: Result<Seen, Unseen>,
}

impl Image {
    /// Its name for a person: the file that our things are in.
    pub fn name(&self) -> String {
        self.paths.last().map(|path| format!("/{path}")).unwrap_or_default()
    }

    /// Whether it is in one program of the firmware with its kernel. What builds the images of an initramfs does not
    /// build these, or not under this name.
    pub fn is_unified(&self) -> bool {
        self.paths.last().is_some_and(|path| path.len() > 4 && path[path.len() - 4..].eq_ignore_ascii_case(".efi"))
    }
}

/// The images and what makes them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Initramfs {
    /// What makes them.
    pub tool: Option<Tool>,
    /// Whether the system is of the kind whose images come whole from elsewhere (rpm-ostree, bootc).
    pub immutable: bool,
    /// Whether rpm-ostree is there, which can build one for such a system all the same.
    pub by_rpm_ostree: bool,
    /// Whether an image with something of ours was ever made here.
    pub marked: bool,
    /// What makes the unified kernel images again, if that is known and there: a program and its arguments.
    pub unified_by: Option<Vec<String>>,
    /// Whether mkinitcpio knows of our hook.
    pub hook: Hook,
    /// Whether Gentoo's installkernel puts the images where the loader looks.
    pub installkernel: bool,
    /// The images of installed kernels.
    pub images: Vec<Image>,
    /// The configuration as it would be put into an image: by path, `None` for a mask.
    pub files: Vec<(String, Option<Vec<u8>>)>,
    /// When the configuration was changed last, in nanoseconds.
    pub changed: i64,
}

impl Initramfs {
    /// Looks for the images, and into them if `unpack` is given.
    pub fn scan(root: &Root, unpack: Option<&dyn Unpack>) -> Initramfs {
        let files = configuration(root);
        let changed = files.iter().filter_map(|(path, _)| modified(root, path)).max().unwrap_or_default();
        let tool = tool(root);
        let mut found = Initramfs {
            tool,
            immutable: ostree::is_image(root),
            by_rpm_ostree: is_installed(root, "rpm-ostree"),
            marked: root.exists(&format!("{STATE}/initramfs")),
            unified_by: builder::builder(root),
            hook: Hook::read(root),
            installkernel: builder::is_gentoo(root),
            images: images(root, tool),
            files,
            changed,
        };
        if let Some(unpack) = unpack {
            found.images.iter_mut().for_each(|image| image.seen = image::read_image(root, &image.paths, unpack));
        }
        found
    }
}

fn modified(root: &Root, path: &str) -> Option<i64> {
    let stat = root.stat(path).ok()?;
    Some(stat.st_mtime.saturating_mul(1_000_000_000).saturating_add(i64::try_from(stat.st_mtime_nsec).ok()?))
}

fn is_installed(root: &Root, name: &str) -> bool {
    ["usr/bin", "usr/sbin", "bin", "sbin"].iter().any(|directory| root.exists(&format!("{directory}/{name}")))
}

fn tool(root: &Root) -> Option<Tool> {
    let there = |name: &str| is_installed(root, name);
    // The order: what a distribution puts before another tool comes first.
    let all = [Tool::UpdateInitramfs, Tool::Mkinitcpio, Tool::Dracut, Tool::Booster];
    all.into_iter().find(|tool| match tool {
        // Laid ready on systems that build with another one: with no preset it makes nothing.
        Tool::Mkinitcpio => there("mkinitcpio") && root.holds_anything("etc/mkinitcpio.d"),
        tool => there(tool.name()),
    })
}

/// The images of the kernels that are installed: those with modules.
fn images(root: &Root, tool: Option<Tool>) -> Vec<Image> {
    let mut found: Vec<Image> = Vec::new();
    let mut add = |paths: Vec<String>, release: Option<&str>| {
        let there = paths.iter().all(|path| root.stat(path).is_ok_and(|stat| stat.st_mode & 0o17_0000 == 0o10_0000));
        if !paths.is_empty() && there && !found.iter().any(|image| image.paths == paths) {
            let made = paths.iter().filter_map(|path| modified(root, path)).min().unwrap_or_default();
            let seen = Err(Unseen::default());
            found.push(Image { paths, release: release.map(str::to_owned), made, seen });
        }
    };
    let mut releases = root.list("lib/modules").unwrap_or_default();
    releases.retain(|release| root.holds_anything(&format!("lib/modules/{release}")));
    // What the firmware's loaders read, wherever it is mounted. A mount of one in another would show its files twice.
    let found_partitions = Partitions::find(root);
    let mut partitions = vec!["boot"];
    partitions.extend(found_partitions.all().filter(|partition| *partition != "boot"));
    let package = |release: &str| root.read_text(&format!("lib/modules/{release}/pkgbase")).ok();
    // What mkinitcpio makes is where its presets say, and nowhere else. The ones for emergencies are left alone.
    let mut presets = if tool == Some(Tool::Mkinitcpio) { mkinitcpio::presets(root) } else { Vec::new() };
    presets.retain(|preset| !preset.is_fallback());
    for preset in &presets {
        let is_its = |release: &&String| package(release).is_some_and(|package| preset.is_of(&package));
        let release = releases.iter().find(is_its).map(String::as_str);
        [&preset.image, &preset.uki].into_iter().flatten().for_each(|path| add(vec![path.clone()], release));
    }
    for release in &releases {
        for path in [format!("initrd.img-{release}"), format!("initramfs-{release}.img"), format!("initrd-{release}")] {
            add(vec![format!("boot/{path}")], Some(release));
        }
        // Arch: a kernel's package instead of its release.
        if let Some(package) = package(release).filter(|_| presets.is_empty()) {
            add(vec![format!("boot/initramfs-{package}.img")], Some(release));
        }
        // Gentoo's installkernel, with the layout efistub.
        for vendor in found_partitions.each(root, "EFI").iter().flat_map(|efi| below(root, efi)) {
            add(vec![format!("{vendor}/initramfs-{release}.img")], Some(release));
        }
        for partition in &partitions {
            for token in root.list(partition).unwrap_or_default() {
                let directory = format!("{partition}/{token}/{release}");
                let names = root.list(&directory).unwrap_or_default();
                let names = names.iter().filter(|name| name.starts_with("initrd") || name.starts_with("initramfs"));
                let names = names.filter(|name| !is_put_aside(name));
                add(names.map(|name| format!("{directory}/{name}")).collect(), Some(release));
            }
        }
    }
    for directory in found_partitions.each(root, "EFI/Linux") {
        for name in root.list(&directory).unwrap_or_default() {
            let path = format!("{directory}/{name}");
            // No loader starts what has another ending.
            let is_program = name.to_ascii_lowercase().ends_with(".efi");
            if !is_program || uki::is_backup(root, &path) || name.contains("-fallback") {
                continue;
            }
            // Another system's may lie beside them.
            let release = unified(root, &path).and_then(|of| releases.iter().find(|release| **release == of));
            if let Some(release) = release {
                add(vec![path], Some(release));
            }
        }
    }
    for name in root.list("boot").unwrap_or_default().into_iter().filter(|_| presets.is_empty()) {
        if name.starts_with("initramfs-linux") && name.ends_with(".img") && !name.ends_with("-fallback.img") {
            let path = vec![format!("boot/{name}")];
            if !found.iter().any(|image| image.paths == path) {
                let made = modified(root, &path[0]).unwrap_or_default();
                found.push(Image { paths: path, release: None, made, seen: Err(Unseen::default()) });
            }
        }
    }
    found
}

/// Whether a name is of what tools that build images write before they rename it, or keep of the image before: update-initramfs,
/// dkms, editors. Where one was interrupted it stays, and no boot entry names it.
fn is_put_aside(name: &str) -> bool {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending).unwrap_or_default();
    ["new", "bak", "dpkg-bak", "old", "old-dkms", "tmp"].contains(&ending) || name.ends_with('~')
}

/// The directories in a directory.
fn below(root: &Root, directory: &str) -> Vec<String> {
    root.directories(directory).unwrap_or_default().into_iter().map(|name| format!("{directory}/{name}")).collect()
}

/// The kernel of a unified kernel image with an initramfs.
fn unified(root: &Root, path: &str) -> Option<String> {
    let program = Program::open(root, path).filter(|program| program.has(".initrd"))?;
    let name = String::from_utf8(program.section(".uname")?).ok()?;
    Some(name.trim_end_matches(['\0', '\n']).to_owned())
}

/// The files of the configuration, as the tools put them into images.
pub fn configuration(root: &Root) -> Vec<(String, Option<Vec<u8>>)> {
    let mut files = config::lasting_files(root);
    files.sort_unstable();
    files
}
