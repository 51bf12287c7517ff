// SPDX-License-Identifier: LGPL-2.1-or-later
//! Systems that come as an image: rpm-ostree's and bootc's. The kernel parameters belong to a deployment.
//!
//! With ostree a change makes a new deployment, which is *staged*: until the shutdown it stands in
//! `/run/ostree/staged-deployment` alone, and no boot entry has it (ostree-finalize-staged.service writes it). bootc's other
//! backend, composefs, has no command that changes parameters: they come from the image.

use super::esp::Partitions;
use super::{gvariant, BootFile, Content, Format, Loader, LoaderKind, Role};
use crate::host::boot::probe::{files, missing_program, program, program_holds, text};
use crate::host::kernel_cmdline::KernelCmdline;
use crate::root::Root;
use std::io::ErrorKind;

/// What ostree makes when the system booted from a deployment.
const BOOTED: &str = "run/ostree-booted";
/// Where boot entries are.
const ENTRIES: &str = "boot/loader/entries";
/// The deployment of the next boot, until the shutdown.
const STAGED: &str = "run/ostree/staged-deployment";
/// bootc's command that gives parameters an owner, as it stands in the program; its arguments in `plan::cmdline::tool_managed`.
const OPTIONS_FOR_SOURCE: &[u8] = b"set-options-for-source";

/// Whether the system is an image as a whole, its initramfs included.
pub(in crate::host) fn is_image(root: &Root) -> bool {
    root.exists(BOOTED) || is_composefs(root)
}

/// Whether bootc booted this system with its composefs backend, which leaves no mark in `/run`
/// (bootc, crates/lib/src/bootc_composefs/status.rs, `composefs_booted`).
fn is_composefs(root: &Root) -> bool {
    KernelCmdline::read(root)
        .iter()
        .any(|parameter| parameter.strip_prefix("composefs=").is_some_and(|id| !id.is_empty()))
}

/// Finds what changes the parameters of such a system.
pub(super) fn find(root: &Root, partitions: &Partitions) -> Option<Loader> {
    if root.exists(BOOTED) {
        Some(of_deployment(root))
    } else {
        is_composefs(root).then(|| of_image(root, partitions))
    }
}

fn of_deployment(root: &Root) -> Loader {
    // rpm-ostree changes what bootc deploys as well: both are ostree's.
    let by_bootc = program(root, "rpm-ostree").is_none().then(|| program(root, "bootc")).flatten();
    let (kind, missing) = match by_bootc {
        None => (LoaderKind::RpmOstree, missing_program(root, "rpm-ostree")),
        Some(path) if program_holds(root, &path, OPTIONS_FOR_SOURCE) => (LoaderKind::Bootc, Vec::new()),
        Some(_) => (LoaderKind::Bootc, vec!["a bootc that knows set-options-for-source (1.16)".to_owned()]),
    };
    let boot_files = staged(root).or_else(|| newest(root)).into_iter().collect();
    Loader { kind, boot_files, tools: Vec::new(), missing, check: None }
}

/// The deployment that is staged, as the entry that it will have. One whose parameters are not said has the booted one's.
fn staged(root: &Root) -> Option<BootFile> {
    let content = match root.read(STAGED) {
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => Content::Unreadable(format!("cannot be read: {error}")),
        Ok(bytes) => match gvariant::strings(&bytes, "kargs") {
            Ok(None) => return None,
            Ok(Some(parameters)) => Content::Text(format!("options {}\n", parameters.join(" "))),
            Err(gvariant::NoDictionary) => Content::Unreadable(
                "is not as ostree writes it: run 'ostree admin status' to see what is staged".to_owned(),
            ),
        },
    };
    Some(BootFile { path: STAGED.to_owned(), format: Format::RpmOstree, role: Role::Entry, content: Some(content) })
}

/// The newest deployment's entry, which shows what the next will have.
fn newest(root: &Root) -> Option<BootFile> {
    let entries = files(root, ENTRIES, ".conf");
    let entries = entries.into_iter().filter(|path| path.rsplit('/').next().is_some_and(|n| n.starts_with("ostree-")));
    let version = |path: &String| -> u64 {
        let number = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>().parse().ok();
        let said = text(root, path).and_then(|text| {
            let value = text.lines().find_map(|line| line.strip_prefix("version "))?;
            value.trim().parse().ok()
        });
        said.or_else(|| number(path.rsplit('/').next()?)).unwrap_or_default()
    };
    entries.max_by_key(version).map(|path| BootFile::read(root, &path, Format::RpmOstree, Role::Entry))
}

/// With composefs: the entries that bootc wrote are looked at.
fn of_image(root: &Root, partitions: &Partitions) -> Loader {
    let mut directories = vec![ENTRIES.to_owned()];
    directories.extend(partitions.each(root, "loader/entries").into_iter().filter(|path| path != ENTRIES));
    let entries = directories.iter().flat_map(|directory| files(root, directory, ".conf"));
    let entries = entries.filter(|path| path.rsplit('/').next().is_some_and(|name| name.starts_with("bootc_")));
    let boot_files = entries.map(|path| BootFile::read(root, &path, Format::Bls, Role::Generated)).collect();
    Loader { kind: LoaderKind::BootcImage, boot_files, tools: Vec::new(), missing: Vec::new(), check: None }
}
