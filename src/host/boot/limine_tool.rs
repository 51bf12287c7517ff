// SPDX-License-Identifier: LGPL-2.1-or-later
//! What Limine's menu is made from: limine-entry-tool's files, in layers, or those of other tools.
//!
//! limine-entry-tool reads its layers one after the other. `KERNEL_CMDLINE[default]=` begins the command line of all kernels
//! again, `+=` adds to it; a kernel with a key of its own has nothing of `default`. Where no layer has the key, the command
//! line is `/etc/kernel/cmdline`, or else the running kernel's (its README.md, "Kernel Command Line Configuration", and
//! `load_config` in its `limine-common-functions`, 1.38).

use super::emergency::is_for_emergencies;
use super::{BootFile, Content, Format, Role};
use crate::host::boot::probe::{assigned, files, first_program, program, text};
use crate::host::kernel_cmdline::KernelCmdline;
use crate::root::Root;
use std::collections::BTreeSet;

/// The last layer, and the file of other tools.
pub(super) const DEFAULT: &str = "etc/default/limine";
/// The layers of packages and of the administrator.
const VENDOR: &str = "usr/share/limine-entry-tool.d";
const MAIN: &str = "etc/limine-entry-tool.conf";
const DROP_INS: &str = "etc/limine-entry-tool.d";
/// Ours among them: after all others.
const OURS: &str = "etc/limine-entry-tool.d/zz-vfio.conf";
/// The key of all kernels without one of their own.
const ALL: &str = "default";

/// What makes the menu.
pub(super) struct Maker {
    /// What it reads.
    pub sources: Vec<BootFile>,
    /// How it is run.
    pub tool: &'static str,
}

/// Finds it; `None` if the menu is written by hand.
pub(super) fn find(root: &Root) -> Option<Maker> {
    let default = text(root, DEFAULT).unwrap_or_default();
    let is_other = assigned(&default, "LIMINE_CMDLINE_LINUX_DEFAULT").is_some();
    if is_other && program(root, "update-limine").is_some() {
        let sources = vec![BootFile::read(root, DEFAULT, Format::LimineShell, Role::Source)];
        return Some(Maker { sources, tool: "update-limine" });
    }
    let tool = first_program(root, &["limine-update", "limine-mkinitcpio"])?;
    let layers = layers(root);
    if layers.is_empty() {
        return None;
    }
    Some(Maker { sources: sources(root, &layers), tool })
}

/// A layer, and what it says of command lines: the key, and whether it adds to what was there.
struct Layer {
    path: String,
    keys: Vec<(String, bool)>,
}

impl Layer {
    fn has(&self, key: &str) -> bool {
        self.keys.iter().any(|(name, _)| name == key)
    }

    fn begins_again(&self, key: &str) -> bool {
        self.keys.iter().any(|(name, adds)| name == key && !adds)
    }

    /// Kernels with a command line of their own, but for those that are for emergencies.
    fn single(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|(name, _)| name.as_str()).filter(|name| *name != ALL && !is_for_emergencies(name))
    }
}

/// The layers that are there, the lowest first; ours is none of them.
fn layers(root: &Root) -> Vec<Layer> {
    let mut paths = files(root, VENDOR, ".conf");
    paths.extend([MAIN.to_owned()]);
    paths.extend(files(root, DROP_INS, ".conf"));
    paths.extend([DEFAULT.to_owned()]);
    paths.retain(|path| path != OURS && root.exists(path));
    let keys = |path: &str| text(root, path).unwrap_or_default().lines().filter_map(key).collect();
    paths.into_iter().map(|path| Layer { keys: keys(&path), path }).collect()
}

/// The key that a line sets, and whether it adds to it.
fn key(line: &str) -> Option<(String, bool)> {
    let (name, rest) = line.trim_start().strip_prefix("KERNEL_CMDLINE[")?.split_once(']')?;
    let rest = rest.trim_start();
    (rest.starts_with("+=") || rest.starts_with('='))
        .then(|| (name.trim_matches(['"', '\'']).to_owned(), rest.starts_with('+')))
}

fn sources(root: &Root, layers: &[Layer]) -> Vec<BootFile> {
    let read = |path: &str, role| BootFile::read(root, path, Format::LimineDefault, role);
    // What is no text says nothing, and is said itself.
    let mut files = layers.iter().map(|layer| read(&layer.path, Role::Source));
    if let Some(broken) = files.find(|boot_file| matches!(boot_file.content, Some(Content::Unreadable(_)))) {
        return vec![broken];
    }
    let last = layers.last().filter(|layer| layer.path == DEFAULT);
    let mut found = Vec::new();
    // A kernel's own command line is changed where people write: in the last layer.
    let keys = last.into_iter().flat_map(|last| &last.keys);
    let replaced: BTreeSet<&str> = keys.filter(|(_, adds)| !adds).map(|(name, _)| name.as_str()).collect();
    for layer in layers.iter().filter(|layer| layer.path != DEFAULT) {
        if let Some(single) = layer.single().find(|key| !replaced.contains(key)) {
            let why =
                format!("sets KERNEL_CMDLINE[{single}], which vfio changes in /{DEFAULT} only: move that line there");
            found.push(unreadable(&layer.path, why));
        }
    }
    let has_single = last.is_some_and(|last| last.single().next().is_some());
    let Some(set_by) = layers.iter().rfind(|layer| layer.has(ALL)) else {
        if has_single {
            found.push(read(DEFAULT, Role::Source));
        }
        let line = "etc/kernel/cmdline";
        found.push(if root.exists(line) {
            BootFile::read(root, line, Format::Plain, Role::Source)
        } else {
            unreadable(DEFAULT, nowhere(root))
        });
        return found;
    };
    let knows_drop_ins = root.exists(DROP_INS) || root.exists(VENDOR);
    let is_last = set_by.path == DEFAULT;
    // A plain `=` there would silence a drop-in, and a file that has to be changed anyway is changed in one place.
    if !knows_drop_ins || is_last && (set_by.begins_again(ALL) || has_single) {
        found.push(read(&set_by.path, Role::Source));
        if has_single && !is_last {
            found.push(read(DEFAULT, Role::Source));
        }
        return found;
    }
    let begin = layers.iter().rposition(|layer| layer.begins_again(ALL)).unwrap_or(0);
    found.extend(layers[begin..].iter().filter(|layer| layer.has(ALL)).map(|layer| read(&layer.path, Role::Base)));
    if has_single {
        found.push(read(DEFAULT, Role::Source));
    }
    found.push(BootFile::read(root, OURS, Format::LimineDropIn, Role::Source));
    found
}

/// What to do where no layer says anything. To set the key would end what the tool does without it.
fn nowhere(root: &Root) -> String {
    let running = KernelCmdline::read(root);
    let is_own = |parameter: &&str| !["BOOT_IMAGE=", "initrd="].iter().any(|start| parameter.starts_with(start));
    let line: Vec<&str> = running.iter().filter(is_own).collect();
    // A snapshot's command line is none to keep.
    if line.is_empty() || line.iter().any(|parameter| parameter.contains(".snapshots/")) {
        return "has no KERNEL_CMDLINE[default], nor is there /etc/kernel/cmdline: write this system's command line to \
                the latter"
            .to_owned();
    }
    format!("has no KERNEL_CMDLINE[default]: add the line KERNEL_CMDLINE[default]+={}", line.join(" "))
}

fn unreadable(path: &str, why: String) -> BootFile {
    BootFile::unreadable(path, Format::LimineDefault, why)
}
