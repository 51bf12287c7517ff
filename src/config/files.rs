// SPDX-License-Identifier: LGPL-2.1-or-later
//! Which files count, in which order, and which are refused: what they say is done with root's rights.

use super::access;
use super::report::{Report, Spot};
use crate::root::{Root, CONFIG_FILE};
use rustix::fs::{Mode, OFlags};
use std::io::{self, Read};
use std::path::Path;

/// The largest file that is read.
const SIZE_LIMIT: u64 = 1 << 20;
/// So many bytes all files have together: all of them are read once per function of the machine during boot.
const TOTAL_LIMIT: usize = 4 << 20;
/// So many files a directory of drop-ins has.
const MOST_FILES: usize = 256;

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
    each(root, dirs, report, |report, path, bytes| {
        let Some(bytes) = bytes else { return };
        let file = report.file(&format!("/{path}"));
        texts.push(Text { file, bytes });
    });
    texts
}

/// The files that count in these directories, as [`read_all`] reads them: of each the path and the bytes, of a mask none.
pub(super) fn that_count(root: &Root, dirs: &[&str]) -> Vec<(String, Option<Vec<u8>>)> {
    let mut files = Vec::new();
    each(root, dirs, &mut Report::default(), |_, path, bytes| files.push((path.to_owned(), bytes)));
    files
}

/// Gives each file that counts to `take`, in order.
fn each(root: &Root, dirs: &[&str], report: &mut Report, mut take: impl FnMut(&mut Report, &str, Option<Vec<u8>>)) {
    let mut ways = Ways::default();
    let mut left = TOTAL_LIMIT;
    let mut one = |report: &mut Report, path: &str| {
        let bytes = read_one(root, report, path);
        let Some(bytes) = bytes else { return };
        let length = bytes.as_ref().map_or(0, Vec::len);
        match left.checked_sub(length) {
            Some(rest) => {
                left = rest;
                take(report, path, bytes);
            }
            None => {
                let file = report.file(&format!("/{path}"));
                let message = "all files together have more than 4 MiB; nothing in this one counts";
                report.error(Spot { file, line: 0 }, &message);
            }
        }
    };
    if ways.are_closed(root, report, CONFIG_FILE) {
        one(report, CONFIG_FILE);
    }
    let mut drop_ins: Vec<(String, usize)> = Vec::new();
    for (number, dir) in dirs.iter().enumerate() {
        if ways.are_closed(root, report, dir) {
            drop_ins.extend(names(root, report, dir).into_iter().map(|name| (name, number)));
        }
    }
    for (name, dir) in in_order(drop_ins) {
        one(report, &format!("{}/{name}", dirs[dir]));
    }
}

/// The directories above files, looked at once each: who may write one of them may put another file in the place of one that
/// is below it.
#[derive(Default)]
struct Ways(Vec<(String, bool)>);

impl Ways {
    /// Whether nobody but root may write the directories above a path. Says of each only once that it is not so.
    fn are_closed(&mut self, root: &Root, report: &mut Report, path: &str) -> bool {
        let above = path.match_indices('/').map(|(at, _)| &path[..at]);
        std::iter::once(".").chain(above).all(|dir| self.is_closed(root, report, dir))
    }

    fn is_closed(&mut self, root: &Root, report: &mut Report, dir: &str) -> bool {
        if let Some((_, closed)) = self.0.iter().find(|(known, _)| known == dir) {
            return *closed;
        }
        // One that is not there has nothing below it, and one that cannot be opened says so there.
        let why = open_directory(root, dir).ok().map(|fd| access::others_may_replace(root, &fd));
        let closed = match why {
            None | Some(Ok(None)) => true,
            Some(Ok(Some(why))) => {
                let file = report.file(&format!("/{}", dir.trim_start_matches('.')));
                report.error(Spot { file, line: 0 }, &format_args!("the directory {why}; no file below it counts"));
                false
            }
            Some(Err(error)) => {
                let file = report.file(&format!("/{}", dir.trim_start_matches('.')));
                let why = what_is_wrong(&error, "the directory");
                report.error(Spot { file, line: 0 }, &format_args!("{why}; no file below it counts"));
                false
            }
        };
        self.0.push((dir.to_owned(), closed));
        closed
    }
}

fn open_directory(root: &Root, dir: &str) -> io::Result<rustix::fd::OwnedFd> {
    root.open_at(dir, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())
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
    let (mut unreadable_names, mut too_many) = (0, false);
    let each = |name: &[u8]| {
        if name.starts_with(b".") || !name.ends_with(b".conf") {
            return;
        }
        match std::str::from_utf8(name) {
            _ if names.len() == MOST_FILES => too_many = true,
            Ok(name) if !name.contains(char::is_control) => names.push(name.to_owned()),
            _ => unreadable_names += 1,
        }
    };
    let listed = open_directory(root, dir).and_then(|fd| match access::others_may_write(root, &fd)? {
        Some(why) => Err(io::Error::other(why)),
        None => root.for_each_name(dir, each),
    });
    let listed = match (listed, too_many) {
        (Ok(()), true) => Err(io::Error::other("has more than 256 files whose names end in .conf; remove some")),
        (listed, _) => listed,
    };
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

/// Reads one file, unless it is missing or refused; inside, `None` is a mask.
fn read_one(root: &Root, report: &mut Report, path: &str) -> Option<Option<Vec<u8>>> {
    match open_and_read(root, path) {
        Ok(read) => Some(read),
        Err(error) if is_absent(root, path, &error) => None,
        Err(error) => {
            let file = report.file(&format!("/{path}"));
            let why = what_is_wrong(&error, "the file");
            report.error(Spot { file, line: 0 }, &format_args!("{why}; nothing in it counts"));
            None
        }
    }
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
    if let Some(why) = access::others_may_write(root, &file)? {
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

/// The sentence for a refusal or an error of the system.
fn what_is_wrong(error: &io::Error, what: &str) -> String {
    match (error.kind(), error.raw_os_error()) {
        (io::ErrorKind::NotFound, _) => format!("{what} is a link that leads nowhere; repair or remove it"),
        (_, Some(_)) => format!("{what} cannot be read: {error}"),
        (_, None) => format!("{what} {error}"),
    }
}
