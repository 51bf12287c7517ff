// SPDX-License-Identifier: LGPL-2.1-or-later
//! Writing our own state files: whole or not at all.

use crate::root::Root;
use rustix::fs::{AtFlags, Mode, OFlags};
use serde::Serialize;
use std::fs::File;
use std::io::{self, Write};

/// What others may read.
const SHARED: u32 = 0o644;
/// What root alone may read.
const PRIVATE: u32 = 0o600;

/// Makes a directory and those above it.
pub fn make_dirs(root: &Root, path: &str) -> io::Result<()> {
    for (at, _) in path.match_indices('/').chain([(path.len(), "")]) {
        let (parent, name) = root.parent(&path[..at])?;
        match rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Makes a directory that only root may look into, in those above it.
pub fn make_private_dir(root: &Root, path: &str) -> io::Result<()> {
    if let Some((above, _)) = path.rsplit_once('/') {
        make_dirs(root, above)?;
    }
    let (parent, name) = root.parent(path)?;
    match rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o700)) {
        Err(rustix::io::Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(()) => sync_dir(&parent),
    }
}

/// Makes an empty file that only root may read; one that is there is `AlreadyExists`.
pub fn create_private(root: &Root, path: &str) -> io::Result<()> {
    let (parent, name) = root.parent(path)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(&parent, name, flags, Mode::from_raw_mode(PRIVATE))?;
    sync_dir(&parent)
}

/// Replaces a file that only root may read, as [`replace`] does.
pub fn replace_private(root: &Root, path: &str, content: &[u8]) -> io::Result<()> {
    replace_with(root, path, content, PRIVATE)
}

/// Replaces a file: temporary file in the same directory, fsync, rename, fsync of the directory. A program that reads it, even
/// after a power cut, sees the old or the new content.
pub fn replace(root: &Root, path: &str, content: &[u8]) -> io::Result<()> {
    replace_with(root, path, content, SHARED)
}

fn replace_with(root: &Root, path: &str, content: &[u8], mode: u32) -> io::Result<()> {
    if let Some((dir, _)) = path.rsplit_once('/') {
        make_dirs(root, dir)?;
    }
    let (parent, name) = root.parent(path)?;
    let temporary = format!(".{name}.{}", std::process::id());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let result = (|| {
        let mut file = File::from(rustix::fs::openat(&parent, temporary.as_str(), flags, Mode::from_raw_mode(mode))?);
        file.write_all(content)?;
        file.sync_all()?;
        rustix::fs::renameat(&parent, temporary.as_str(), &parent, name)?;
        sync_dir(&parent)
    })();
    if result.is_err() {
        // The error that matters is the one above; a leftover is only litter.
        let _ = rustix::fs::unlinkat(&parent, temporary.as_str(), AtFlags::empty());
    }
    result
}

/// Removes what a program has left that was killed while it replaced this file.
pub fn remove_temporaries(root: &Root, path: &str) -> io::Result<()> {
    let (directory, name) = path.rsplit_once('/').unwrap_or((".", path));
    let beginning = format!(".{name}.");
    let is_pid = |rest: &str| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit());
    let left = root.list(directory).unwrap_or_default();
    let mut left = left.iter().filter(|other| other.strip_prefix(&beginning).is_some_and(is_pid));
    left.try_for_each(|other| remove(root, &format!("{directory}/{other}")))
}

/// The same with a value as JSON, on a line.
pub fn replace_json(root: &Root, path: &str, value: &impl Serialize) -> io::Result<()> {
    let mut json = serde_json::to_vec(value)?;
    json.push(b'\n');
    replace(root, path, &json)
}

/// Makes renames and removals in a directory last. `parent` is an O_PATH descriptor, which itself cannot be synced.
pub(super) fn sync_dir(parent: &rustix::fd::OwnedFd) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = rustix::fs::openat(parent, ".", flags, Mode::empty())?;
    Ok(rustix::fs::fsync(dir)?)
}

/// Gives a file another name in its directory; one that is not there stays away.
pub fn rename(root: &Root, from: &str, to: &str) -> io::Result<()> {
    let renamed = root.parent(from).and_then(|(parent, name)| {
        let (other, new) = root.parent(to)?;
        rustix::fs::renameat(&parent, name, &other, new)?;
        sync_dir(&other)
    });
    match renamed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Gives a file another name in its directory; one that is there already is `AlreadyExists`, and stays.
pub fn rename_new(root: &Root, from: &str, to: &str) -> io::Result<()> {
    let (parent, name) = root.parent(from)?;
    let (other, new) = root.parent(to)?;
    rustix::fs::linkat(&parent, name, &other, new, AtFlags::empty())?;
    rustix::fs::unlinkat(&parent, name, AtFlags::empty())?;
    sync_dir(&other)
}

/// Removes a file; one that is not there is removed already.
pub fn remove(root: &Root, path: &str) -> io::Result<()> {
    unlink(root, path, AtFlags::empty())
}

/// Removes an empty directory; one that is not there is removed already.
pub fn remove_dir(root: &Root, path: &str) -> io::Result<()> {
    unlink(root, path, AtFlags::REMOVEDIR)
}

fn unlink(root: &Root, path: &str, flags: AtFlags) -> io::Result<()> {
    let removed = root.parent(path).and_then(|(parent, name)| {
        rustix::fs::unlinkat(&parent, name, flags)?;
        sync_dir(&parent)
    });
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Opens a file to append to it, and makes it if need be.
pub fn append(root: &Root, path: &str) -> io::Result<File> {
    if let Some((dir, _)) = path.rsplit_once('/') {
        make_dirs(root, dir)?;
    }
    let (parent, name) = root.parent(path)?;
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // Root's alone: a user who may open the lock may keep everybody waiting.
    let file = rustix::fs::openat(&parent, name, flags, Mode::from_raw_mode(0o600))?;
    sync_dir(&parent)?;
    Ok(File::from(file))
}
