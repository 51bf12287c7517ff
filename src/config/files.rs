// SPDX-License-Identifier: LGPL-2.1-or-later
//! Which files count, in which order, and which are refused: what they say is done with root's rights.

use super::access::{self, Untrusted};
use super::report::{Report, Said, Spot};
use crate::finding::codes::{self, Code};
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

/// Why a file or a directory is not read: what comes after its name in a sentence.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    /// What is to be a file is something else.
    #[error("is not a regular file")]
    NotAFile,
    /// Larger than `SIZE_LIMIT`.
    #[error("is larger than 1 MiB")]
    TooLarge,
    /// Text of two bytes a character.
    #[error("is UTF-16")]
    Utf16,
    /// A directory has more than `MOST_FILES`.
    #[error("has more than 256 files whose names end in .conf")]
    TooManyFiles,
    /// Others than root may change it.
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
    /// It is not there; a link that leads nowhere, once [`is_absent`] says that it is one.
    #[error("is a link that leads nowhere")]
    NotFound,
    /// The kernel's answer.
    #[error("cannot be read: {0}")]
    Io(io::Error),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Refusal {
        match error.kind() {
            io::ErrorKind::NotFound => Refusal::NotFound,
            _ => Refusal::Io(error),
        }
    }
}

impl Refusal {
    fn code(&self) -> Code {
        match self {
            Refusal::NotAFile => codes::CONFIG_NOT_A_FILE,
            Refusal::TooLarge => codes::CONFIG_TOO_LARGE,
            Refusal::Utf16 => codes::CONFIG_UTF16,
            Refusal::TooManyFiles => codes::CONFIG_TOO_MANY_FILES,
            Refusal::Untrusted(_) => codes::CONFIG_WRITABLE_BY_OTHERS,
            Refusal::NotFound => codes::CONFIG_DANGLING_LINK,
            Refusal::Io(_) => codes::CONFIG_UNREADABLE,
        }
    }

    fn hint(&self) -> &'static str {
        match self {
            Refusal::NotAFile => "put a text file there or remove it",
            Refusal::TooLarge => "is it a configuration file?",
            Refusal::Utf16 => "save it as UTF-8",
            Refusal::TooManyFiles => "remove some",
            Refusal::Untrusted(why) => why.hint(),
            Refusal::NotFound => "repair or remove it",
            Refusal::Io(_) => "",
        }
    }

    /// Says that `what` is not read, and what does not count therefore.
    fn tell(&self, report: &mut Report, path: &str, what: &str, lost: &str) {
        let file = report.file(&format!("/{path}"));
        report.error(
            Spot { file, line: 0 },
            Said::new(self.code(), &format_args!("{what} {self}; {lost}")).hint(&self.hint()),
        );
    }
}

/// An error where others may change what was looked at.
fn trusted(found: io::Result<Option<Untrusted>>) -> Result<(), Refusal> {
    match found? {
        None => Ok(()),
        Some(why) => Err(why.into()),
    }
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
                report.error(Spot { file, line: 0 }, Said::new(codes::CONFIG_FILES_TOO_LARGE, &message));
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
        let checked = match open_directory(root, dir) {
            Ok(fd) => trusted(access::others_may_replace(root, &fd)),
            Err(_) => Ok(()),
        };
        if let Err(refusal) = &checked {
            refusal.tell(report, dir.trim_start_matches('.'), "the directory", "no file below it counts");
        }
        self.0.push((dir.to_owned(), checked.is_ok()));
        checked.is_ok()
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
    let listed = each_name(root, dir, each);
    match listed.and(if too_many { Err(Refusal::TooManyFiles) } else { Ok(()) }) {
        Ok(()) => {}
        Err(refusal) if is_absent(root, dir, &refusal) => return Vec::new(),
        Err(refusal) => {
            refusal.tell(report, dir, "the directory", "no file in it counts");
            return Vec::new();
        }
    }
    if unreadable_names > 0 {
        let file = report.file(&format!("/{dir}"));
        let said = Said::new(codes::CONFIG_FILE_NAME, &"a file whose name is not printable UTF-8 is ignored");
        report.warning(Spot { file, line: 0 }, said.hint(&"give it another name"));
    }
    names
}

/// Lists a directory that others may not write.
fn each_name(root: &Root, dir: &str, each: impl FnMut(&[u8])) -> Result<(), Refusal> {
    trusted(access::others_may_write(root, open_directory(root, dir)?))?;
    Ok(root.for_each_name(dir, each)?)
}

/// Reads one file, unless it is missing or refused; inside, `None` is a mask.
fn read_one(root: &Root, report: &mut Report, path: &str) -> Option<Option<Vec<u8>>> {
    match open_and_read(root, path) {
        Ok(read) => Some(read),
        Err(refusal) if is_absent(root, path, &refusal) => None,
        Err(refusal) => {
            refusal.tell(report, path, "the file", "nothing in it counts");
            None
        }
    }
}

/// The bytes of a file, None of a mask. All checks are made on what was opened, so that nobody can swap it after them.
fn open_and_read(root: &Root, path: &str) -> Result<Option<Vec<u8>>, Refusal> {
    let file = match root.open_file(path) {
        Ok(file) => file,
        // In a test tree there may be no /dev/null that a mask could lead to.
        Err(_) if is_mask(root, path) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let meta = file.metadata()?;
    if !meta.is_file() {
        if is_mask(root, path) {
            return Ok(None);
        }
        return Err(Refusal::NotAFile);
    }
    trusted(access::others_may_write(root, &file))?;
    let mut bytes = Vec::with_capacity(meta.len().min(SIZE_LIMIT) as usize + 1);
    file.take(SIZE_LIMIT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > SIZE_LIMIT {
        return Err(Refusal::TooLarge);
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(Refusal::Utf16);
    }
    Ok(Some(bytes))
}

/// A link that says /dev/null: the administrator's way to switch a vendor's file off.
fn is_mask(root: &Root, path: &str) -> bool {
    root.read_link(path).is_ok_and(|target| target == Path::new("/dev/null"))
}

/// Whether it is simply not there. A link that leads nowhere is there: somebody meant something by it.
fn is_absent(root: &Root, path: &str, refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::NotFound) && root.read_link(path).is_err()
}
