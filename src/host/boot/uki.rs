// SPDX-License-Identifier: LGPL-2.1-or-later
//! Unified kernel images: a kernel, its initramfs and its command line in one program of the firmware.
//!
//! systemd's stub takes more of a command line from addons beside the image; any other image is rebuilt.

use super::esp::Partitions;
use super::generated::is_zfs_boot_menu;
use super::pe::Program;
use super::uki_conf::{self, Cmdline, UkiConf};
use super::{BootFile, Content, Format, Loader, LoaderKind, Role};
use crate::host::boot::probe::{assigned, below, files, join, program, text};
use crate::root::Root;
use std::collections::BTreeSet;

/// The first systemd whose stub takes addons from `loader/addons`.
const ADDONS_SINCE: u32 = 254;
/// Where ours is, on the partition with the images.
const ADDON: &str = "loader/addons/vfio.addon.efi";
/// What kernel-install(8) makes images from.
const CMDLINE: &str = "etc/kernel/cmdline";
/// What mkinitcpio adds to it, and ours there.
const DROP_INS: &str = "etc/cmdline.d";
const DROP_IN: &str = "etc/cmdline.d/vfio.conf";

/// An image.
struct Image {
    path: String,
    partition: String,
    /// The version of systemd's stub in it.
    stub: Option<u32>,
    machine: u16,
    command_line: Option<Result<String, &'static str>>,
}

/// Which tool rebuilds images.
enum Builder {
    Mkinitcpio(Vec<String>),
    KernelInstall,
}

/// Finds them.
pub(super) fn find(root: &Root, partitions: &Partitions, secure_boot: bool) -> Option<Loader> {
    let presets: Vec<String> =
        files(root, "etc/mkinitcpio.d", ".preset").iter().filter_map(|path| text(root, path)).collect();
    let made = presets.iter().flat_map(|preset| set_by(preset, "_uki")).collect::<Vec<_>>();
    let images = images(root, partitions, &made);
    if images.is_empty() {
        return None;
    }
    let builder = match (made.is_empty(), layout_is_uki(root)) {
        (false, _) => Some(Builder::Mkinitcpio(presets)),
        (true, true) => Some(Builder::KernelInstall),
        (true, false) => None,
    };
    let takes_addons = images.iter().all(|image| image.stub.is_some_and(|version| version >= ADDONS_SINCE));
    let addon = addon(root, &images, secure_boot);
    // What there is of ours already decides.
    let is_there = addon.boot_files.iter().any(|boot_file| boot_file.content.is_some());
    let complete = takes_addons && addon.missing.is_empty();
    if is_there || !root.exists(DROP_IN) && (complete || takes_addons && builder.is_none()) {
        return Some(addon);
    }
    Some(rebuild(root, &images, builder))
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
            paths.extend(there.into_iter().map(|path| (path, partition.to_owned())));
        }
    }
    let mut known: BTreeSet<String> = paths.iter().map(|(path, _)| path.to_ascii_lowercase()).collect();
    for path in made.iter().map(|path| path.trim_start_matches('/')) {
        let partition = partitions.all().filter(|at| path.starts_with(&format!("{at}/"))).max_by_key(|at| at.len());
        if let Some(partition) = partition.filter(|_| known.insert(path.to_ascii_lowercase())) {
            paths.push((path.to_owned(), partition.to_owned()));
        }
    }
    let made: BTreeSet<String> = made.iter().map(|path| path.trim_start_matches('/').to_ascii_lowercase()).collect();
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

/// What the names of this system's entries begin with (kernel-install(8)).
fn token(root: &Root) -> Option<String> {
    let first = |path: &str| text(root, path)?.lines().next().map(|line| line.trim().to_owned());
    first("etc/kernel/entry-token").or_else(|| first("etc/machine-id")).filter(|token| !token.is_empty())
}

/// The number that a version begins with.
fn number(version: &str) -> Option<u32> {
    version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// What a preset sets names that end so to: in quotes or not, or a list of words in brackets.
fn set_by(preset: &str, end: &str) -> Vec<String> {
    let value = |line: &str| {
        let (name, value) = line.trim().split_once('=')?;
        let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let value = value.trim_matches(['"', '\'', '(', ')', ' ']);
        (is_name && name.ends_with(end) && !value.is_empty()).then(|| value.to_owned())
    };
    preset.lines().filter_map(value).collect()
}

/// Whether kernel-install(8) makes images.
fn layout_is_uki(root: &Root) -> bool {
    let mut settings = Vec::new();
    for directory in ["etc/kernel", "run/kernel", "usr/local/lib/kernel", "usr/lib/kernel"] {
        settings.push(format!("{directory}/install.conf"));
        settings.extend(files(root, &format!("{directory}/install.conf.d"), ".conf").into_iter().rev());
    }
    // The first that says anything: what is in /etc comes first. Drop-ins come after what they add to.
    let said = settings.iter().filter_map(|path| assigned(&text(root, path)?, "layout"));
    said.into_iter().next().is_some_and(|layout| layout == "uki")
}

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
            let keys = "a signing key (SecureBootPrivateKey= and SecureBootCertificate= in /etc/kernel/uki.conf)";
            missing.push(keys.to_owned());
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
fn rebuild(root: &Root, images: &[Image], builder: Option<Builder>) -> Loader {
    let (source, words) = match builder {
        Some(Builder::Mkinitcpio(presets)) => (mkinitcpio(root, &presets), &["mkinitcpio", "-P"]),
        Some(Builder::KernelInstall) => (vec![of_kernel_install(root)], &["kernel-install", "add-all"]),
        None => {
            let why = format!(
                "is of an image (/{}) built by a tool that vfio does not know: have that tool add the parameters",
                images[0].path
            );
            (vec![unreadable(CMDLINE, why)], &["", ""])
        }
    };
    let tool: Vec<String> = words.iter().filter(|word| !word.is_empty()).map(|word| (*word).to_owned()).collect();
    let is_missing = |name: &String| match program(root, name) {
        None => true,
        // Before 255 there was no such verb; the program was a script, or names all its verbs.
        Some(path) => name == "kernel-install" && root.read(&path).is_ok_and(|bytes| !contains(&bytes, b"add-all")),
    };
    let missing = tool.first().filter(|name| is_missing(name)).map(|name| match name.as_str() {
        "kernel-install" => "a kernel-install that knows add-all (systemd 255)".to_owned(),
        other => other.to_owned(),
    });
    let mut boot_files = source;
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
        tools: if tool.is_empty() { Vec::new() } else { vec![tool] },
        missing: missing.into_iter().collect(),
        check: None,
    }
}

fn contains(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

fn unreadable(path: &str, why: String) -> BootFile {
    BootFile {
        path: path.to_owned(),
        format: Format::Plain,
        role: Role::Source,
        content: Some(Content::Unreadable(why)),
    }
}

/// What mkinitcpio makes a command line from.
fn mkinitcpio(root: &Root, presets: &[String]) -> Vec<BootFile> {
    // A preset may name another file, and then nothing else is read.
    let named = presets.iter().flat_map(|preset| set_by(preset, "_cmdline"));
    let told = presets.iter().flat_map(|preset| set_by(preset, "_options")).filter_map(|given| {
        let (_, rest) = given.split_once("--cmdline")?;
        Some(rest.trim_start_matches(['=', ' ', '"', '\'']).split([' ', '"', '\'']).next()?.to_owned())
    });
    let mut named: Vec<String> = named.chain(told).collect();
    named.sort_unstable();
    named.dedup();
    if !named.is_empty() {
        let path = |named: &String| named.trim_start_matches('/').to_owned();
        return named.iter().map(|file| BootFile::read(root, &path(file), Format::Plain, Role::Source)).collect();
    }
    // Ours is never the first of its kind: then mkinitcpio would no longer take the command line from where it does.
    let others: Vec<String> = files(root, DROP_INS, ".conf").into_iter().filter(|path| path != DROP_IN).collect();
    if others.is_empty() {
        let ours = root.exists(DROP_IN).then(|| BootFile::read(root, DROP_IN, Format::DropIn, Role::Source));
        return [from_cmdline(root)].into_iter().chain(ours).collect();
    }
    // Both at once: which of them counts is the version's business, so nothing there is sure to be in an image.
    let sure = !root.exists(CMDLINE) && !root.exists("usr/lib/kernel/cmdline");
    let base = others.iter().filter(|_| sure).map(|path| BootFile::read(root, path, Format::Plain, Role::Base));
    base.chain([BootFile::read(root, DROP_IN, Format::DropIn, Role::Source)]).collect()
}

/// What kernel-install(8) makes an image's command line from. `Cmdline=` of `uki.conf` counts where its plugin says so.
fn of_kernel_install(root: &Root) -> BootFile {
    let settings = UkiConf::read(root);
    match settings.cmdline().filter(|_| uki_conf::counts(root)) {
        None => from_cmdline(root),
        Some(Cmdline::File(path)) => {
            let file = BootFile::read(root, &path, Format::Plain, Role::Source);
            match file.content {
                Some(_) => file,
                None => {
                    unreadable(&path, format!("is not there, and Cmdline= in /{} names it: write it", settings.path))
                }
            }
        }
        Some(Cmdline::Text) => {
            let why = "has Cmdline=, which counts instead of /etc/kernel/cmdline: move its value there".to_owned();
            unreadable(&settings.path, why)
        }
    }
}

/// `/etc/kernel/cmdline`, if images are made from it.
fn from_cmdline(root: &Root) -> BootFile {
    if root.exists(CMDLINE) {
        return BootFile::read(root, CMDLINE, Format::Plain, Role::Source);
    }
    let why = "is not there, so images get whatever the running kernel was booted with: \
               write into it what /proc/cmdline says, without BOOT_IMAGE= and initrd=";
    unreadable(CMDLINE, why.to_owned())
}
