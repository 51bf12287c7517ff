// SPDX-License-Identifier: LGPL-2.1-or-later
//! Gentoo's installkernel without systemd's kernel-install: `installkernel --all` with the layouts that put images on the
//! EFI system partition, dracut for the initramfs and ukify for unified kernel images.
//!
//! After the real program (projg2/installkernel-gentoo, version 68: `installkernel`, `52-dracut.install`,
//! `60-ukify.install`), which was run in a tree of Debian 13 with dracut 106: what a file replaces is kept beside it, and
//! the initramfs is made in another place and moved.

use crate::images::{self, Kind};
use crate::tree::Tree;
use std::io;
use vfio_suite::host::boot::assignments::Assignments;

/// `installkernel --all`: whether all went well, and what it printed.
pub(crate) fn all(tree: &Tree<'_>) -> io::Result<(bool, String)> {
    let conf = ["etc/kernel/install.conf", "usr/lib/kernel/install.conf"];
    let Some(conf) = conf.into_iter().find_map(|path| tree.root.read_text(path).ok()) else {
        return Ok((false, "No install.conf found at \n".to_owned()));
    };
    let set = Assignments::read(&conf);
    for key in ["layout", "initrd_generator", "uki_generator"] {
        if set.text(key).is_none() {
            return Ok((false, format!("No {key}= configured by /etc/kernel/install.conf\n")));
        }
    }
    let os = Assignments::read(&tree.root.read_text("etc/os-release").unwrap_or_default());
    let (layout, uki) = (set.text("layout").unwrap_or_default(), set.text("uki_generator").unwrap_or_default());
    let mut printed = String::new();
    for release in tree.list("lib/modules") {
        let own = |name: &str| format!("lib/modules/{release}/{name}");
        if !tree.root.exists(&own("vmlinuz")) || !tree.root.exists(&own("System.map")) {
            continue;
        }
        let kernel = tree.root.read(&own("vmlinuz"))?;
        let initramfs = images::image(tree, Kind::Systemd, true)?;
        if layout == "uki" && uki == "ukify" {
            let directory = on_esp(tree, "EFI/Linux");
            let id = os.text("ID").unwrap_or("linux");
            let line = tree.root.read_text("etc/kernel/cmdline").ok().map(|line| line.trim_end().to_owned());
            let path = kept(tree, &format!("{directory}/{id}-{release}"), ".efi")?;
            images::put_uki(tree, &path, &release, line.as_deref(), &initramfs)?;
            printed.push_str("Wrote unsigned uki.efi\n");
        } else {
            let (directory, end) = match layout {
                "efistub" => (on_esp(tree, &format!("EFI/{}", os.text("NAME").unwrap_or("Linux"))), ".efi"),
                _ => ("boot".to_owned(), ""),
            };
            tree.put(&kept(tree, &format!("{directory}/vmlinuz-{release}"), end)?, &kernel)?;
            tree.put(&kept(tree, &format!("{directory}/initramfs-{release}"), ".img")?, &initramfs)?;
            tree.put(&kept(tree, &format!("{directory}/System.map-{release}"), "")?, "")?;
        }
    }
    Ok((true, printed))
}

/// The folder on the ESP, or `/boot` where none is found.
fn on_esp(tree: &Tree<'_>, folder: &str) -> String {
    let candidates = ["boot/EFI", "boot/efi", "boot", "efi"].map(|esp| format!("{esp}/{folder}"));
    candidates.into_iter().find(|path| tree.root.list(path).is_ok()).unwrap_or_else(|| "boot".to_owned())
}

/// The path of a file that is about to be replaced; what is there is kept.
fn kept(tree: &Tree<'_>, stem: &str, end: &str) -> io::Result<String> {
    let path = format!("{stem}{end}");
    let old = if end == ".efi" { format!("{stem}-old.efi") } else { format!("{path}.old") };
    if tree.root.exists(&path) {
        tree.rename(&path, &old)?;
    }
    Ok(path)
}
