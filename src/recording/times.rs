// SPDX-License-Identifier: LGPL-2.1-or-later
//! When files were changed last, as a file of a recording.

use super::{Node, Nodes, TIMES};
use crate::root::Root;
use std::fmt::Write as _;

/// libvirt's hooks for QEMU; when the directory was made is compared too.
const HOOKS: &str = "etc/libvirt/hooks/qemu.d";

/// When files were written that are compared by that. Of programs and hooks it counts when they came here.
pub(super) fn add(root: &Root, nodes: &mut Nodes) {
    let mut text = String::new();
    let is_hook = |path: &str| path.starts_with("etc/libvirt/hooks/");
    if let Some(seconds) = root.made(HOOKS) {
        let _ = writeln!(text, "{seconds}.000000000 {HOOKS}");
    }
    for path in nodes.iter().filter(|(path, node)| matches!(node, Node::Link(_)) && is_hook(path)).map(|(path, _)| path)
    {
        if let Ok(seconds) = root.changed(path) {
            let _ = writeln!(text, "{seconds}.000000000 {path}");
        }
    }
    for path in nodes.iter().filter(|(_, node)| matches!(node, Node::File(..))).map(|(path, _)| path) {
        let of_kernel = ["sys/", "proc/", "dev/", ".kernel/"].iter().any(|place| path.starts_with(place));
        let Some(stat) = (!of_kernel).then(|| root.stat(path).ok()).flatten() else { continue };
        let came = path.starts_with("usr/") || is_hook(path);
        let (seconds, nanoseconds) =
            if came { (stat.st_ctime, stat.st_ctime_nsec) } else { (stat.st_mtime, stat.st_mtime_nsec) };
        // A String takes everything.
        let _ = writeln!(text, "{seconds}.{nanoseconds:09} {path}");
    }
    nodes.insert(TIMES.to_owned(), Node::File(0o644, text.into_bytes()));
}

/// A line of [`TIMES`]: seconds, nanoseconds, path.
pub fn parse(line: &str) -> Option<(i64, u32, &str)> {
    let (stamp, path) = line.split_once(' ')?;
    let (seconds, nanoseconds) = stamp.split_once('.')?;
    Some((seconds.parse().ok()?, nanoseconds.parse().ok().filter(|n| *n < 1_000_000_000)?, path))
}
