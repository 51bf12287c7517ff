// SPDX-License-Identifier: LGPL-2.1-or-later
//! A tree of files as one text (`tests/hosts/README.md` has the format), on disk.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{symlink, OpenOptionsExt, PermissionsExt};
use std::path::Path;
pub use vfio_suite::recording::{render, Node, Nodes};

/// The tree of a text. Panics on a text that is none: it is ours, or a recording that someone will look at.
pub fn parse(text: &str) -> Nodes {
    vfio_suite::recording::parse(text).unwrap_or_else(|error| panic!("{error}"))
}

/// Makes the files below `root`.
pub fn write(nodes: &Nodes, root: &Path) {
    let mut made = "";
    for (path, node) in nodes {
        let at = root.join(path);
        let (directory, _) = path.rsplit_once('/').unwrap_or(("", path));
        if directory != made {
            fs::create_dir_all(root.join(directory)).unwrap();
            made = directory;
        }
        match node {
            Node::Directory => fs::create_dir_all(&at).unwrap(),
            Node::Link(target) => symlink(target, &at).unwrap(),
            Node::File(mode, content) => {
                let mut file = fs::File::options().write(true).create_new(true).mode(*mode).open(&at).unwrap();
                file.write_all(content).unwrap();
                // Bits that the umask takes away.
                if mode & 0o022 != 0 {
                    file.set_permissions(fs::Permissions::from_mode(*mode)).unwrap();
                }
            }
        }
    }
}

/// Everything below `root` but what `skip` names; directories too if they are empty or `all` are wanted.
pub fn read(root: &Path, skip: &dyn Fn(&str) -> bool) -> Nodes {
    let mut nodes = Nodes::new();
    walk(root, "", skip, &mut nodes);
    nodes
}

fn walk(root: &Path, below: &str, skip: &dyn Fn(&str) -> bool, nodes: &mut Nodes) {
    let mut empty = true;
    for entry in fs::read_dir(root.join(below)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        if skip(&path) {
            continue;
        }
        empty = false;
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            walk(root, &path, skip, nodes);
        } else if kind.is_symlink() {
            let target = fs::read_link(entry.path()).unwrap().into_os_string().into_string().unwrap();
            nodes.insert(path, Node::Link(target));
        } else {
            let mode = entry.metadata().unwrap().permissions().mode() & 0o7777;
            // A socket has no content.
            let content = if kind.is_file() { read_file(&entry.path(), mode) } else { Vec::new() };
            nodes.insert(path, Node::File(mode, content));
        }
    }
    if empty && !below.is_empty() {
        nodes.insert(below.to_owned(), Node::Directory);
    }
}

/// A file's content. One without read permission (an attribute that only takes writes) is opened all the same: who owns
/// it may.
fn read_file(path: &Path, mode: u32) -> Vec<u8> {
    match fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            fs::set_permissions(path, fs::Permissions::from_mode(mode | 0o400)).unwrap();
            let content = fs::read(path).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
            content
        }
        content => content.unwrap(),
    }
}
