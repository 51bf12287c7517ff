// SPDX-License-Identifier: LGPL-2.1-or-later
//! The tools that build an initramfs, as far as our hooks in them go: what they put into an image, and where they write it.

use crate::error::unknown;
use crate::tree::Tree;
use crate::{installkernel, mkinitcpio, pe};
use std::io;
use vfio_suite::host::initramfs::Initramfs;
use vfio_suite::root::STATE;

/// Runs `update-initramfs`, `mkinitcpio`, `dracut` or `installkernel`.
pub(crate) fn build(tree: &Tree<'_>, program: &str, arguments: &[&str]) -> io::Result<String> {
    let releases = tree.root.list("lib/modules").unwrap_or_default();
    let all = |name: fn(&str) -> String| releases.iter().map(|release| name(release)).collect::<Vec<_>>();
    let (kind, paths) = match (program, arguments) {
        ("mkinitcpio", ["-P"]) => return answer(mkinitcpio::all_presets(tree)?),
        ("installkernel", ["--all"]) => return answer(installkernel::all(tree)?),
        ("update-initramfs", ["-u", "-k", "all"]) => {
            (Kind::InitramfsTools, all(|release| format!("boot/initrd.img-{release}")))
        }
        ("dracut", ["--force", "--regenerate-all"]) => {
            (Kind::Systemd, all(|release| format!("boot/initramfs-{release}.img")))
        }
        ("dracut", ["--force", path, release] | ["--force", "--no-uefi", path, release])
            if releases.iter().any(|r| r == release) =>
        {
            (Kind::Systemd, vec![path.trim_start_matches('/').to_owned()])
        }
        _ => return Err(unknown(program, arguments)),
    };
    for path in &paths {
        tree.put(path, &image(tree, kind, true)?)?;
    }
    Ok(paths.iter().map(|path| format!("{program}: Generating /{path}\n")).collect())
}

/// What a program printed, as it ended.
fn answer((well, printed): (bool, String)) -> io::Result<String> {
    if well {
        Ok(printed)
    } else {
        Err(io::Error::other(printed))
    }
}

/// How an image starts our program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A script of initramfs-tools.
    InitramfsTools,
    /// A hook of mkinitcpio's own init.
    Busybox,
    /// A unit.
    Systemd,
}

/// A unified kernel image; without a line there is no section for it.
pub(crate) fn put_uki(
    tree: &Tree<'_>,
    path: &str,
    release: &str,
    line: Option<&str>,
    initramfs: &str,
) -> io::Result<()> {
    let magic = pe::marker("systemd-stub 258.1-1-arch");
    let mut sections: Vec<(&str, &[u8])> = vec![(".sdmagic", &magic), (".uname", release.as_bytes())];
    sections.extend(line.map(|line| (".cmdline", line.as_bytes())));
    sections.extend([(".initrd", initramfs.as_bytes()), (".linux", &b"kernel"[..])]);
    tree.put(path.trim_start_matches('/'), &pe::program(&sections))
}

/// An image, not packed: what our hook adds if a card is configured, after something that is there anyway.
pub(crate) fn image(tree: &Tree<'_>, kind: Kind, hooked: bool) -> io::Result<String> {
    let mut text = entry("init", 0o10_0755, "#!/bin/sh\n");
    let files = Initramfs::scan(tree.root, None).files;
    let gpu = |line: &str| line.trim().strip_prefix('[').is_some_and(|line| line.trim_start().starts_with("gpu"));
    let configured = files.iter().flat_map(|(_, text)| text).any(|text| String::from_utf8_lossy(text).lines().any(gpu));
    if configured && hooked {
        match kind {
            Kind::InitramfsTools => text.push_str(&entry("scripts/init-top/00-vfio", 0o10_0755, "#!/bin/sh\n")),
            Kind::Busybox => text.push_str(&entry("hooks/vfio", 0o10_0755, "#!/usr/bin/ash\n")),
            Kind::Systemd => {
                let unit = "usr/lib/systemd/system/vfio-early.service";
                let link = "usr/lib/systemd/system/sysinit.target.wants/vfio-early.service";
                text.push_str(&entry(unit, 0o10_0644, "[Unit]\n"));
                text.push_str(&entry(link, 0o12_0777, "../vfio-early.service"));
            }
        }
        text.push_str(&entry("usr/lib/udev/rules.d/70-vfio.rules", 0o10_0644, "rule"));
        text.push_str(&entry("usr/lib/vfio/vfio-bind", 0o10_0755, "program"));
        for (path, content) in &files {
            text.push_str(&match content {
                Some(content) => entry(path, 0o10_0644, &String::from_utf8_lossy(content)),
                None => entry(path, 0o12_0777, "/dev/null"),
            });
        }
        crate::tree::make(tree.root, STATE)?;
        tree.put(&format!("{STATE}/initramfs"), "")?;
    }
    text.push_str(&entry("TRAILER!!!", 0, ""));
    Ok(text)
}

/// One entry of a "newc" archive.
fn entry(name: &str, mode: u32, content: &str) -> String {
    let padded = |mut text: String| {
        text.extend(std::iter::repeat_n('\0', text.len().next_multiple_of(4) - text.len()));
        text
    };
    let numbers = [1, mode as usize, 0, 0, 1, 0, content.len(), 0, 0, 0, 0, name.len() + 1, 0];
    let numbers: String = numbers.iter().map(|number| format!("{number:08x}")).collect();
    padded(format!("{}{content}", padded(format!("070701{numbers}{name}\0"))))
}
