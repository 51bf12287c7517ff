// SPDX-License-Identifier: LGPL-2.1-or-later
//! Which files count, in which order, and which are refused: what they say is done with root's rights.

use super::report::{Report, Spot};
use crate::root::{Root, CONFIG_FILE};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The largest file that is read.
const SIZE_LIMIT: u64 = 1 << 20;

/// A file that counts.
#[derive(Debug)]
pub(super) struct Text {
    /// Its number in the report.
    pub(super) file: u32,
    /// What is in it.
    pub(super) bytes: Vec<u8>,
}

/// Reads the main file and the drop-ins of these directories, in the order in which they count. What is wrong is reported
/// and left out.
pub(super) fn read_all(root: &Root, dirs: &[&str], report: &mut Report) -> Vec<Text> {
    let mut texts = Vec::new();
    read_one(root, report, CONFIG_FILE, &mut texts);
    let mut drop_ins: Vec<(String, usize)> = Vec::new();
    for (number, dir) in dirs.iter().enumerate() {
        drop_ins.extend(names(root, report, dir).into_iter().map(|name| (name, number)));
    }
    for (name, dir) in in_order(drop_ins) {
        read_one(root, report, &format!("{}/{name}", dirs[dir]), &mut texts);
    }
    texts
}

/// Drop-ins, each with the number of its directory, in the order in which they count. Of equal names the later
/// directory's counts.
pub(super) fn in_order(drop_ins: Vec<(String, usize)>) -> Vec<(String, usize)> {
    let mut ordered: Vec<(String, usize)> = Vec::new();
    // Put in place one by one: there is a handful, and a sort is 4 KB in each program of the boot.
    for (name, dir) in drop_ins {
        match ordered.binary_search_by(|(other, _)| other.cmp(&name)) {
            Ok(at) => ordered[at].1 = dir.max(ordered[at].1),
            Err(at) => ordered.insert(at, (name, dir)),
        }
    }
    ordered
}

/// The names of the drop-ins in a directory. None if it is not there, or if others may put files into it.
fn names(root: &Root, report: &mut Report, dir: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut unreadable_names = 0;
    let each = |name: &[u8]| {
        if name.starts_with(b".") || !name.ends_with(b".conf") {
            return;
        }
        match std::str::from_utf8(name) {
            Ok(name) if !name.contains(char::is_control) => names.push(name.to_owned()),
            _ => unreadable_names += 1,
        }
    };
    let listed = root.stat(dir).and_then(|stat| {
        let refused = others_may_write(root, (stat.st_uid, stat.st_gid), stat.st_mode)?;
        match refused {
            Some(why) => Err(io::Error::other(why)),
            None => root.for_each_name(dir, each),
        }
    });
    match listed {
        Ok(()) => {}
        Err(error) if is_absent(root, dir, &error) => return Vec::new(),
        Err(error) => {
            let file = report.file(&format!("/{dir}"));
            let why = what_is_wrong(&error, "the directory");
            report.error(Spot { file, line: 0 }, &format_args!("{why}; no file in it counts"));
            return Vec::new();
        }
    }
    if unreadable_names > 0 {
        let file = report.file(&format!("/{dir}"));
        let message = "a file whose name is not printable UTF-8 is ignored; give it another name";
        report.warning(Spot { file, line: 0 }, &message);
    }
    names
}

/// Reads one file, unless it is missing or masked.
fn read_one(root: &Root, report: &mut Report, path: &str, texts: &mut Vec<Text>) {
    let read = open_and_read(root, path);
    let bytes = match read {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return,
        Err(error) if is_absent(root, path, &error) => return,
        Err(error) => {
            let file = report.file(&format!("/{path}"));
            let why = what_is_wrong(&error, "the file");
            report.error(Spot { file, line: 0 }, &format_args!("{why}; nothing in it counts"));
            return;
        }
    };
    let file = report.file(&format!("/{path}"));
    texts.push(Text { file, bytes });
}

/// The bytes of a file, None of a mask. All checks are made on what was opened, so that nobody can swap it after them.
fn open_and_read(root: &Root, path: &str) -> io::Result<Option<Vec<u8>>> {
    let file = match root.open_file(path) {
        Ok(file) => file,
        // In a test tree there may be no /dev/null that a mask could lead to.
        Err(_) if is_mask(root, path) => return Ok(None),
        Err(error) => return Err(error),
    };
    let meta = file.metadata()?;
    if !meta.is_file() {
        if is_mask(root, path) {
            return Ok(None);
        }
        return Err(io::Error::other("is not a regular file; put a text file there or remove it"));
    }
    if let Some(why) = others_may_write(root, (meta.uid(), meta.gid()), meta.mode())? {
        return Err(io::Error::other(why));
    }
    let mut bytes = Vec::with_capacity(meta.len().min(SIZE_LIMIT) as usize + 1);
    file.take(SIZE_LIMIT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > SIZE_LIMIT {
        return Err(io::Error::other("is larger than 1 MiB; is it a configuration file?"));
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(io::Error::other("is UTF-16; save it as UTF-8"));
    }
    Ok(Some(bytes))
}

/// A link that says /dev/null: the administrator's way to switch a vendor's file off.
fn is_mask(root: &Root, path: &str) -> bool {
    root.read_link(path).is_ok_and(|target| target == Path::new("/dev/null"))
}

/// Whether it is simply not there. A link that leads nowhere is there: somebody meant something by it.
fn is_absent(root: &Root, path: &str, error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound && root.read_link(path).is_err()
}

/// Why others than root may change it, if they may. In a test tree the tree's owner stands for root.
fn others_may_write(root: &Root, owner: (u32, u32), mode: u32) -> io::Result<Option<&'static str>> {
    let roots = if root.is_system() { (0, 0) } else { root.owner()? };
    Ok(untrusted(owner, mode, roots))
}

/// The rule itself.
fn untrusted((uid, gid): (u32, u32), mode: u32, roots: (u32, u32)) -> Option<&'static str> {
    if uid != 0 && uid != roots.0 {
        Some("belongs to another user than root; run chown root:root on it")
    } else if mode & 0o002 != 0 {
        Some("may be written by everybody; run chmod go-w on it")
    } else if mode & 0o020 != 0 && gid != 0 && gid != roots.1 {
        Some("may be written by a group other than root's; run chmod go-w on it")
    } else {
        None
    }
}

/// The sentence for a refusal or an error of the system.
fn what_is_wrong(error: &io::Error, what: &str) -> String {
    match (error.kind(), error.raw_os_error()) {
        (io::ErrorKind::NotFound, _) => format!("{what} is a link that leads nowhere; repair or remove it"),
        (_, Some(_)) => format!("{what} cannot be read: {error}"),
        (_, None) => format!("{what} {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_write() {
        const USER: (u32, u32) = (1000, 1000);
        let table = [
            ((0, 0), 0o644, (0, 0), true),
            ((0, 0), 0o664, (0, 0), true),
            ((0, 0), 0o646, (0, 0), false),
            ((0, 5), 0o664, (0, 0), false),
            ((0, 5), 0o644, (0, 0), true),
            ((0, 0), 0o1777, (0, 0), false),
            ((1000, 0), 0o644, (0, 0), false),
            ((1000, 1000), 0o600, (0, 0), false),
            ((1000, 1000), 0o644, USER, true),
            ((1000, 1000), 0o664, USER, true),
            ((1000, 100), 0o664, USER, false),
            ((1000, 1000), 0o666, USER, false),
            ((1001, 1000), 0o644, USER, false),
            ((0, 0), 0o644, USER, true),
        ];
        for (owner, mode, roots, trusted) in table {
            assert_eq!(untrusted(owner, mode, roots).is_none(), trusted, "{owner:?} {mode:o} {roots:?}");
        }
    }
}
