// SPDX-License-Identifier: LGPL-2.1-or-later
//! Writing files that are not ours: whole or not at all, and with the owner, mode and attributes that they had.

use crate::act::files::sync_dir;
use crate::root::Root;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags, Timespec, Timestamps, XattrFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read, Write};

/// No boot file that we change is larger, in bytes. An addon is one page and a command line.
pub(crate) const LIMIT: u64 = 4 << 20;
/// The file system of EFI system partitions (`MSDOS_SUPER_MAGIC`).
const FAT: rustix::fs::FsWord = 0x4d44;
/// More power cuts in the middle of a change than any file system without a check survives.
pub(crate) const LEFTOVERS: u32 = 100;
/// Links that lead to links, before it is a circle.
const LINKS: u32 = 8;

/// What is in a file; `None` if it is not there.
pub fn read(root: &Root, path: &str) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let file = match root.open_regular(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    file.take(LIMIT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LIMIT {
        Err(io::Error::new(io::ErrorKind::InvalidData, "larger than 4 MiB"))
    } else {
        Ok(Some(bytes))
    }
}

/// Replaces what is in a file, or makes it: a temporary file beside it, fsync, rename, fsync of both. A program that reads it,
/// also after a power cut, sees the old or the new. A link stays a link: what it leads to is replaced.
pub fn write(root: &Root, path: &str, content: &[u8]) -> io::Result<()> {
    put(root, path, content, How { keeps_time: false, mode: 0o644 })
}

/// The same; the file keeps the time of its last change.
pub fn write_keeping_time(root: &Root, path: &str, content: &[u8]) -> io::Result<()> {
    put(root, path, content, How { keeps_time: true, mode: 0o644 })
}

/// The same with a program: a new one may be run by everybody.
pub fn write_program(root: &Root, path: &str, content: &[u8]) -> io::Result<()> {
    put(root, path, content, How { keeps_time: false, mode: 0o755 })
}

/// How a file is written.
struct How {
    /// Whether it keeps the time of its last change.
    keeps_time: bool,
    /// The mode of a new one.
    mode: u32,
}

fn put(root: &Root, path: &str, content: &[u8], how: How) -> io::Result<()> {
    let path = resolve(root, path)?;
    let (parent, name) = root.parent(&path)?;
    let old =
        match rustix::fs::openat(&parent, name, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) {
            Ok(old) => Some(old),
            Err(Errno::NOENT) => None,
            Err(error) => return Err(error.into()),
        };
    let (temporary, mut file) = beside(&parent, name, if old.is_some() { 0o600 } else { how.mode })?;
    let result = (|| {
        file.write_all(content)?;
        if let Some(old) = &old {
            copy_attributes(old, &file)?;
            if how.keeps_time {
                copy_times(old, &file)?;
            }
        }
        file.sync_all()?;
        rustix::fs::renameat(&parent, temporary.as_str(), &parent, name)?;
        // On FAT where a file begins stands in its directory's entry, and belongs to the file: a sync of the directory alone
        // writes the entry without it, and frees what the old one still leads to (fs/fat/namei_vfat.c, vfat_rename).
        file.sync_all()?;
        sync_dir(&parent)
    })();
    if result.is_err() {
        // The error that matters is the one above; a leftover is only litter.
        let _ = rustix::fs::unlinkat(&parent, temporary.as_str(), AtFlags::empty());
    }
    result
}

/// A new file beside one that is replaced, and its name. No loader takes it for an entry: it does not end as they do.
fn beside(parent: &OwnedFd, name: &str, mode: u32) -> io::Result<(String, File)> {
    let temporary = |number: u32| match number {
        0 => format!(".{name}.vfio-new"),
        number => format!(".{name}.vfio-new{number}"),
    };
    // What a power cut has left on FAT may be a second name of what the file itself is now: to remove it, or to write to it,
    // would free the file's clusters. That is for fsck.vfat.
    if !is_fat(parent) {
        let _ = rustix::fs::unlinkat(parent, temporary(0), AtFlags::empty());
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    for number in 0..LEFTOVERS {
        match rustix::fs::openat(parent, temporary(number), flags, Mode::from_raw_mode(mode)) {
            Err(Errno::EXIST) => {}
            opened => return Ok((temporary(number), File::from(opened?))),
        }
    }
    let why = "power cuts have left too many files beside it (.vfio-new): check the file system, then remove them";
    Err(io::Error::new(io::ErrorKind::AlreadyExists, why))
}

/// Where a path leads to in the end. What is not there leads to itself.
fn resolve(root: &Root, path: &str) -> io::Result<String> {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        let Ok(target) = root.read_link(&path) else { return Ok(path) };
        let target = target.to_str().ok_or(io::ErrorKind::InvalidInput)?;
        path = match target.strip_prefix('/') {
            Some(absolute) => absolute.to_owned(),
            None => {
                let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
                format!("{directory}/{target}")
            }
        };
    }
    Err(Errno::LOOP.into())
}

/// Owner, mode and extended attributes (SELinux's label among them). A file system that has none of these (FAT) needs none.
fn copy_attributes(old: &OwnedFd, new: &File) -> io::Result<()> {
    let (was, is) = (rustix::fs::fstat(old)?, rustix::fs::fstat(new)?);
    if (was.st_uid, was.st_gid) != (is.st_uid, is.st_gid) {
        let owner = rustix::fs::Uid::from_raw(was.st_uid);
        rustix::fs::fchown(new, Some(owner), Some(rustix::fs::Gid::from_raw(was.st_gid)))?;
    }
    if was.st_mode != is.st_mode {
        match rustix::fs::fchmod(new, Mode::from_raw_mode(was.st_mode)) {
            // All files have the mode of the mount.
            Err(Errno::PERM) if is_fat(new) => {}
            Err(Errno::OPNOTSUPP) => {}
            other => other?,
        }
    }
    for name in attributes(old)? {
        let mut value = vec![0; 64 << 10];
        let length = rustix::fs::fgetxattr(old.as_fd(), name.as_str(), value.as_mut_slice())?;
        match rustix::fs::fsetxattr(new, name.as_str(), &value[..length], XattrFlags::empty()) {
            // Integrity measurements belong to the content, and only the kernel writes them.
            Err(_) if name.starts_with("security.ima") || name.starts_with("security.evm") => {}
            other => other?,
        }
    }
    Ok(())
}

fn copy_times(old: &OwnedFd, new: &File) -> io::Result<()> {
    let was = rustix::fs::fstat(old)?;
    let last_access = Timespec { tv_sec: was.st_atime, tv_nsec: was.st_atime_nsec as _ };
    let last_modification = Timespec { tv_sec: was.st_mtime, tv_nsec: was.st_mtime_nsec as _ };
    Ok(rustix::fs::futimens(new, &Timestamps { last_access, last_modification })?)
}

fn is_fat(file: impl AsFd) -> bool {
    rustix::fs::fstatfs(file).is_ok_and(|about| about.f_type == FAT)
}

fn attributes(file: &OwnedFd) -> io::Result<Vec<String>> {
    let mut names = vec![0; 64 << 10];
    let length = match rustix::fs::flistxattr(file.as_fd(), names.as_mut_slice()) {
        Ok(length) => length,
        Err(Errno::OPNOTSUPP) => 0,
        Err(error) => return Err(error.into()),
    };
    let names = names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Ok(names.filter_map(|name| String::from_utf8(name.to_vec()).ok()).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::os::unix::fs::{symlink, MetadataExt, PermissionsExt};

    #[test]
    fn a_file_keeps_its_mode_and_a_link_stays_one() {
        let tree = tempfile::tempdir().unwrap();
        let root = Root::open(tree.path()).unwrap();
        std::fs::create_dir_all(tree.path().join("etc/real")).unwrap();
        let file = tree.path().join("etc/real/grub");
        std::fs::write(&file, "old").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        symlink("real/grub", tree.path().join("etc/relative")).unwrap();
        symlink("/etc/relative", tree.path().join("etc/absolute")).unwrap();
        std::fs::write(tree.path().join("etc/real/.grub.vfio-new"), "left by a power cut").unwrap();
        let number = std::fs::metadata(&file).unwrap().ino();
        write(&root, "etc/absolute", b"new").unwrap();
        let now = std::fs::metadata(&file).unwrap();
        assert_eq!((now.mode() & 0o7777, now.ino() == number), (0o640, false), "replaced, with its mode");
        assert_eq!(read(&root, "etc/absolute").unwrap().unwrap(), b"new");
        assert!(tree.path().join("etc/absolute").is_symlink() && tree.path().join("etc/relative").is_symlink());
        assert_eq!(std::fs::read_dir(tree.path().join("etc/real")).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn extended_attributes_come_along() {
        let tree = tempfile::tempdir().unwrap();
        let root = Root::open(tree.path()).unwrap();
        let file = tree.path().join("entry.conf");
        std::fs::write(&file, "old").unwrap();
        let value = b"a value";
        match rustix::fs::setxattr(&file, "user.vfio", value, XattrFlags::empty()) {
            // A file system without them has nothing to keep.
            Err(Errno::OPNOTSUPP) => {
                let why = format!("{} has no extended attributes: set TMPDIR", tree.path().display());
                assert!(std::env::var_os("VFIO_SKIP_NOTHING").is_none(), "{why}");
                // The output of a test that passes is kept back, but for what is written to standard error itself.
                let line = format!("\nSKIPPED extended_attributes_come_along: {why}\n");
                return io::stderr().write_all(line.as_bytes()).unwrap();
            }
            set => set.unwrap(),
        }
        write(&root, "entry.conf", b"new").unwrap();
        let mut buffer = [0; 32];
        let length = rustix::fs::getxattr(&file, "user.vfio", buffer.as_mut_slice()).unwrap();
        assert_eq!(&buffer[..length], value);
    }

    #[test]
    fn a_circle_of_links_is_an_error() {
        let tree = tempfile::tempdir().unwrap();
        symlink("b", tree.path().join("a")).unwrap();
        symlink("a", tree.path().join("b")).unwrap();
        let root = Root::open(tree.path()).unwrap();
        assert!(write(&root, "a", b"new").is_err());
    }
}
