// SPDX-License-Identifier: LGPL-2.1-or-later
//! A tree of files as one text (`tests/hosts/README.md` has the format).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{symlink, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A directory, named although nothing is in it.
    Directory,
    /// A file: permissions and content.
    File(u32, Vec<u8>),
    /// A link, and what it says.
    Link(String),
}

/// Everything below a root, by path without a leading slash.
pub type Nodes = BTreeMap<String, Node>;

/// The text of a tree.
pub fn render(nodes: &Nodes) -> String {
    let mut text = String::new();
    let mut current = None;
    for (path, node) in nodes {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        if *node == Node::Directory {
            writeln!(text, "/{path}/").unwrap();
            current = Some(path.as_str());
            continue;
        }
        if current != Some(directory) {
            writeln!(text, "/{directory}").unwrap();
            current = Some(directory);
        }
        match node {
            Node::File(mode, content) => writeln!(text, " {name} {mode:03o} {}", escape(content)).unwrap(),
            Node::Link(target) => writeln!(text, " {name} -> {target}").unwrap(),
            Node::Directory => unreachable!("handled above"),
        }
    }
    text
}

/// The tree of a text. Panics on a text that is none: it is ours, or a recording that someone will look at.
pub fn parse(text: &str) -> Nodes {
    let mut nodes = Nodes::new();
    let mut directory = String::new();
    for (n, line) in text.lines().enumerate() {
        let wrong = |what: &str| -> ! { panic!("line {}: {what}: {line:?}", n + 1) };
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(path) = line.strip_prefix('/') {
            directory = path.trim_end_matches('/').to_owned();
            if path.ends_with('/') {
                nodes.insert(directory.clone(), Node::Directory);
            }
            continue;
        }
        let Some((name, rest)) = line.strip_prefix(' ').and_then(|line| line.split_once(' ')) else {
            wrong("neither a directory nor an entry")
        };
        let path = if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") };
        let node = match rest.split_once(' ') {
            Some(("->", target)) => Node::Link(target.to_owned()),
            Some((mode, content)) => match u32::from_str_radix(mode, 8) {
                Ok(mode) => Node::File(mode, unescape(content)),
                Err(_) => wrong("no permissions"),
            },
            None => wrong("no content"),
        };
        if nodes.insert(path, node).is_some() {
            wrong("twice");
        }
    }
    nodes
}

fn escape(content: &[u8]) -> String {
    let mut text = String::new();
    for byte in content {
        match byte {
            b'\n' => text.push_str("\\n"),
            b'\t' => text.push_str("\\t"),
            b'\\' => text.push_str("\\\\"),
            b' '..=b'~' => text.push(char::from(*byte)),
            other => write!(text, "\\x{other:02x}").unwrap(),
        }
    }
    text
}

fn unescape(text: &str) -> Vec<u8> {
    let mut content = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            content.push(byte);
            continue;
        }
        content.push(match bytes.next() {
            Some(b'n') => b'\n',
            Some(b't') => b'\t',
            Some(b'\\') => b'\\',
            Some(b'x') => {
                let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            other => panic!("unknown escape {other:?} in {text:?}"),
        });
    }
    content
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
