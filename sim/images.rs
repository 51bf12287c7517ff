// SPDX-License-Identifier: LGPL-2.1-or-later
//! The tools that build an initramfs, as far as our hooks in them go: what they put into an image, and where they write it.

use crate::error::unknown;
use crate::tree::Tree;
use std::io;
use vfio_suite::host::initramfs::Initramfs;
use vfio_suite::root::STATE;

/// Runs `update-initramfs`, `mkinitcpio` or `dracut`.
pub(crate) fn build(tree: &Tree<'_>, program: &str, arguments: &[&str]) -> io::Result<String> {
    let releases = tree.root.list("lib/modules").unwrap_or_default();
    let all = |name: fn(&str) -> String| releases.iter().map(|release| name(release)).collect::<Vec<_>>();
    let hooked = program != "mkinitcpio" || Initramfs::scan(tree.root, None).hooked;
    let paths = match (program, arguments) {
        ("update-initramfs", ["-u", "-k", "all"]) => all(|release| format!("boot/initrd.img-{release}")),
        ("dracut", ["--force", "--regenerate-all"]) => all(|release| format!("boot/initramfs-{release}.img")),
        ("dracut", ["--force", path, release]) if releases.iter().any(|r| r == release) => {
            vec![path.trim_start_matches('/').to_owned()]
        }
        ("mkinitcpio", ["-P"]) => {
            let package = |release: &String| tree.root.read_text(&format!("lib/modules/{release}/pkgbase"));
            releases.iter().flat_map(package).map(|package| format!("boot/initramfs-{package}.img")).collect()
        }
        _ => return Err(unknown(program, arguments)),
    };
    for path in &paths {
        tree.put(path, &image(tree, program, hooked)?)?;
    }
    Ok(paths.iter().map(|path| format!("{program}: Generating /{path}\n")).collect())
}

/// An image, not packed: what our hook adds if a card is configured, after something that is there anyway.
fn image(tree: &Tree<'_>, program: &str, hooked: bool) -> io::Result<String> {
    let mut text = entry("init", 0o10_0755, "#!/bin/sh\n");
    let files = Initramfs::scan(tree.root, None).files;
    let gpu = |line: &str| line.trim().strip_prefix('[').is_some_and(|line| line.trim_start().starts_with("gpu"));
    let configured = files.iter().flat_map(|(_, text)| text).any(|text| String::from_utf8_lossy(text).lines().any(gpu));
    if configured && hooked {
        let unit = "usr/lib/systemd/system/vfio-early.service";
        match program {
            "update-initramfs" => text.push_str(&entry("scripts/init-top/00-vfio", 0o10_0755, "#!/bin/sh\n")),
            "mkinitcpio" => text.push_str(&entry("hooks/vfio", 0o10_0755, "#!/usr/bin/ash\n")),
            _ => {
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
