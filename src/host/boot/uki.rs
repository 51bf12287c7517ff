// SPDX-License-Identifier: LGPL-2.1-or-later
//! Unified kernel images: a kernel, its initramfs and its command line in one program of the firmware.
//!
//! systemd's stub takes more of a command line from addons beside the image; any other image is rebuilt.

use super::esp::Partitions;
use super::generated::is_zfs_boot_menu;
use super::pe::Program;
use super::uki_conf::UkiConf;
use super::{BootFile, Content, Format, Loader, LoaderKind, Role};
use crate::host::boot::builder::{unreadable, Builder, CMDLINE};
use crate::host::boot::probe::{below, files, join, program, text};
use crate::root::Root;
use std::collections::BTreeSet;

/// The first systemd whose stub takes addons from `loader/addons`.
const ADDONS_SINCE: u32 = 254;
/// Where ours is, on the partition with the images.
const ADDON: &str = "loader/addons/vfio.addon.efi";

/// An image.
struct Image {
    path: String,
    partition: String,
    /// The version of systemd's stub in it.
    stub: Option<u32>,
    machine: u16,
    command_line: Option<Result<String, &'static str>>,
}

/// Finds them.
pub(super) fn find(root: &Root, partitions: &Partitions, secure_boot: bool) -> Option<Loader> {
    let builder = Builder::find(root);
    let made: Vec<String> = match &builder {
        Some(Builder::Mkinitcpio(presets)) => presets.iter().filter_map(|preset| preset.uki.clone()).collect(),
        _ => Vec::new(),
    };
    let images = images(root, partitions, &made);
    if images.is_empty() {
        return None;
    }
    let takes_addons = images.iter().all(|image| image.stub.is_some_and(|version| version >= ADDONS_SINCE));
    let addon = addon(root, &images, secure_boot);
    // What there is of ours already decides.
    let is_there = addon.boot_files.iter().any(|boot_file| boot_file.content.is_some());
    let complete = takes_addons && addon.missing.is_empty();
    let sources = builder.as_ref().map(|builder| builder.sources(root)).unwrap_or_default();
    let is_dropped_in = sources.iter().any(|source| source.format == Format::DropIn && source.content.is_some());
    if is_there || !is_dropped_in && (complete || takes_addons && builder.is_none()) {
        return Some(addon);
    }
    Some(rebuild(&images, builder.as_ref(), sources, root))
}

/// The images that are installed: where loaders look for them, where the firmware may, and where mkinitcpio puts them.
fn images(root: &Root, partitions: &Partitions, made: &[String]) -> Vec<Image> {
    let mut paths: Vec<(String, String)> = Vec::new();
    for partition in partitions.all() {
        let Some(efi) = below(root, partition, "EFI") else { continue };
        let vendors = root.list(&efi).unwrap_or_default();
        // A Linux of its own, not this system's.
        for vendor in vendors.into_iter().filter(|vendor| !is_zfs_boot_menu(vendor)) {
            let there = files(root, &join(&efi, &vendor), ".efi");
            let there = there.into_iter().filter(|path| !is_backup(root, path));
            paths.extend(there.map(|path| (path, partition.to_owned())));
        }
    }
    let mut known: BTreeSet<String> = paths.iter().map(|(path, _)| path.to_ascii_lowercase()).collect();
    for path in made.iter().map(String::as_str) {
        let partition = partitions.all().filter(|at| path.starts_with(&format!("{at}/"))).max_by_key(|at| at.len());
        if let Some(partition) = partition.filter(|_| known.insert(path.to_ascii_lowercase())) {
            paths.push((path.to_owned(), partition.to_owned()));
        }
    }
    let made: BTreeSet<String> = made.iter().map(|path| path.to_ascii_lowercase()).collect();
    let image = |(path, partition): (String, String)| {
        let program = Program::open(root, &path).filter(|program| program.has(".linux"))?;
        let version = program.marker().filter(|(name, _)| name == "systemd-stub").and_then(|(_, v)| number(&v));
        Some(Image { machine: program.machine, stub: version, command_line: program.command_line(), path, partition })
    };
    let all: Vec<Image> = paths.into_iter().filter_map(image).collect();
    // Another system's may lie on the same ESP; if none is known to be this one's, all are.
    let token = token(root);
    let is_own = |image: &Image| {
        let name = image.path.rsplit('/').next().unwrap_or_default();
        made.contains(&image.path.to_ascii_lowercase())
            || token.as_deref().is_some_and(|token| name.strip_prefix(token).is_some_and(|rest| rest.starts_with('-')))
    };
    let any = all.iter().any(is_own);
    all.into_iter().filter(|image| !any || is_own(image)).collect()
}

/// Whether an image is what another one has replaced: Gentoo's installkernel keeps that beside it.
pub(in crate::host) fn is_backup(root: &Root, path: &str) -> bool {
    path.strip_suffix("-old.efi").is_some_and(|stem| root.exists(&format!("{stem}.efi")))
}

/// What the names of this system's entries begin with (kernel-install(8)).
fn token(root: &Root) -> Option<String> {
    let first = |path: &str| text(root, path)?.lines().next().map(|line| line.trim().to_owned());
    first("etc/kernel/entry-token").or_else(|| first("etc/machine-id")).filter(|token| !token.is_empty())
}

/// The number that a version begins with.
fn number(version: &str) -> Option<u32> {
    version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// What an addon cannot be signed without. No package has it: it is the machine's owner's.
pub const SIGNING_KEY: &str =
    "a signing key (SecureBootPrivateKey= and SecureBootCertificate= in /etc/kernel/uki.conf)";

/// An addon on every partition that has images.
fn addon(root: &Root, images: &[Image], secure_boot: bool) -> Loader {
    let mut partitions: Vec<&str> = images.iter().map(|image| image.partition.as_str()).collect();
    partitions.sort_unstable();
    partitions.dedup();
    let boot_file = |partition: &&str| {
        let path = below(root, partition, ADDON).unwrap_or_else(|| join(partition, ADDON));
        let content = root.exists(&path).then(|| addon_content(root, &path));
        BootFile { path, format: Format::Addon, role: Role::Source, content }
    };
    let boot_files = partitions.iter().map(boot_file).collect();
    let mut missing = Vec::new();
    // Before 255 it was no program for people yet.
    let hidden = || root.exists("usr/lib/systemd/ukify").then_some("/usr/lib/systemd/ukify");
    let ukify = program(root, "ukify").map(|_| "ukify").or_else(hidden);
    if ukify.is_none() {
        missing.push("ukify".to_owned());
    }
    let mut command = vec![ukify.unwrap_or("ukify").to_owned(), "build".to_owned()];
    match images.first().and_then(|image| architecture(image.machine)) {
        Some(architecture) => {
            let stub = format!("usr/lib/systemd/boot/efi/addon{architecture}.efi.stub");
            if !root.exists(&stub) {
                missing.push(format!("/{stub}"));
            }
            command.push(format!("--stub=/{stub}"));
        }
        None => missing.push("an addon stub of systemd for this processor".to_owned()),
    }
    let settings = UkiConf::read(root);
    let said = |key: &str| settings.get(key);
    match (said("SecureBootPrivateKey"), said("SecureBootCertificate")) {
        (Some(key), Some(certificate)) => {
            command.push(format!("--secureboot-private-key={key}"));
            command.push(format!("--secureboot-certificate={certificate}"));
            for (name, switch) in [("SigningEngine", "--signing-engine"), ("SecureBootSigningTool", "--signtool")] {
                command.extend(said(name).map(|value| format!("{switch}={value}")));
            }
        }
        _ if secure_boot => {
            missing.push(SIGNING_KEY.to_owned());
        }
        _ => {}
    }
    Loader { kind: LoaderKind::UkiAddon, boot_files, tools: vec![command], missing, check: None }
}

fn addon_content(root: &Root, path: &str) -> Content {
    let unreadable = |why: &str| Content::Unreadable(why.to_owned());
    match Program::open(root, path).map(|program| program.command_line()) {
        Some(Some(Ok(text))) => Content::Text(text),
        Some(Some(Err(why))) => unreadable(&format!("{why}: remove it")),
        Some(None) => unreadable("has no command line, so it is not of vfio: give it another name"),
        None => unreadable("is not an EFI program: remove it"),
    }
}

/// The name of a processor in the firmware's files (`IMAGE_FILE_MACHINE_*`).
fn architecture(machine: u16) -> Option<&'static str> {
    Some(match machine {
        0x8664 => "x64",
        0x014c => "ia32",
        0xaa64 => "aa64",
        0x01c2 | 0x01c4 => "arm",
        0x5064 => "riscv64",
        0x6264 => "loongarch64",
        _ => return None,
    })
}

/// The images themselves, and what their builder reads.
fn rebuild(images: &[Image], builder: Option<&Builder>, sources: Vec<BootFile>, root: &Root) -> Loader {
    let mut boot_files = sources;
    if builder.is_none() {
        let why = format!(
            "is of an image (/{}) built by a tool that vfio does not know: have that tool add the parameters",
            images[0].path
        );
        boot_files.push(unreadable(CMDLINE, why));
    }
    boot_files.extend(images.iter().filter_map(|image| {
        let content = match image.command_line.as_ref()? {
            Ok(text) => Content::Text(text.clone()),
            Err(why) => Content::Unreadable((*why).to_owned()),
        };
        Some(BootFile {
            path: image.path.clone(),
            format: Format::Plain,
            role: Role::Generated,
            content: Some(content),
        })
    }));
    Loader {
        kind: LoaderKind::UkiRebuild,
        boot_files,
        tools: builder.iter().map(|builder| builder.command()).collect(),
        missing: builder.iter().filter_map(|builder| builder.missing(root)).collect(),
        check: None,
    }
}
