// SPDX-License-Identifier: LGPL-2.1-or-later
//! The files of a recording, in a directory of their own.

use crate::recording::{self, Node, Nodes, TIMES};
use rustix::fs::{AtFlags, Timespec, Timestamps, UTIME_OMIT};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{symlink, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Makes the files below a directory that is empty and nobody else's. Links come last: nothing is written by way of one.
pub fn unpack(nodes: &Nodes, directory: &Path) -> io::Result<()> {
    let times = times(nodes);
    for (path, node) in nodes {
        let at = directory.join(path);
        match node {
            Node::Directory => fs::create_dir_all(&at)?,
            Node::File(mode, content) => {
                make_above(&at)?;
                let mut file = fs::File::options().write(true).create_new(true).mode(0o600).open(&at)?;
                file.write_all(content)?;
                if let Some(times) = times.get(path.as_str()) {
                    rustix::fs::futimens(&file, times)?;
                }
                file.set_permissions(fs::Permissions::from_mode(mode & 0o777))?;
            }
            Node::Link(_) => {}
        }
    }
    for (path, node) in nodes {
        if let Node::Link(target) = node {
            let at = directory.join(path);
            make_above(&at)?;
            symlink(target, &at)?;
            if let Some(times) = times.get(path.as_str()) {
                rustix::fs::utimensat(rustix::fs::CWD, &at, times, AtFlags::SYMLINK_NOFOLLOW)?;
            }
        }
    }
    // Last: what is put into a directory changes it. A path is taken for one if something was put there.
    for (path, times) in &times {
        let below = format!("{path}/");
        if nodes.range(below.clone()..).next().is_some_and(|(node, _)| node.starts_with(&below)) {
            let at = directory.join(path);
            rustix::fs::utimensat(rustix::fs::CWD, &at, times, AtFlags::SYMLINK_NOFOLLOW)?;
        }
    }
    Ok(())
}

fn make_above(at: &Path) -> io::Result<()> {
    at.parent().map_or(Ok(()), fs::create_dir_all)
}

/// When files were written, as far as the recording says it.
fn times(nodes: &Nodes) -> BTreeMap<String, Timestamps> {
    let Some(Node::File(_, text)) = nodes.get(TIMES) else { return BTreeMap::new() };
    let text = String::from_utf8_lossy(text);
    let time = |line: &str| {
        let (seconds, nanoseconds, path) = recording::times::parse(line)?;
        let written = Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() };
        let read = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
        Some((path.to_owned(), Timestamps { last_access: read, last_modification: written }))
    };
    text.lines().filter_map(time).collect()
}
