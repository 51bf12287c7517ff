// SPDX-License-Identifier: LGPL-2.1-or-later
//! Letting QEMU's user reach a socket in a user's own directory, and taking that back.
//!
//! The directory is the user's, who may put anything there at any time: no link is followed, and only what belongs to that user
//! is touched.

use super::error::GuestError;
use crate::posix_acl::{Acl, NAME};
use crate::root::Root;
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags, Stat, XattrFlags};
use rustix::io::Errno;
use std::io;

/// What is permitted on a directory: to pass through it. On a socket: to connect (unix(7)), which is writing.
const PASS: u16 = 1;
const CONNECT: u16 = 6;

/// The longest value of an extended attribute (`XATTR_SIZE_MAX`, include/uapi/linux/limits.h).
const LONGEST: usize = 65536;

/// A directory or a socket of a user's.
struct Place {
    file: OwnedFd,
    stat: Stat,
    path: String,
}

impl Place {
    /// Opens what is there and belongs to `owner`, without following a link and without touching it.
    fn open(root: &Root, path: &str, owner: u32) -> io::Result<Place> {
        let relative = path.trim_start_matches('/');
        // `/run/user/UID` is the system's to make; what is below it is not.
        let own = format!("run/user/{owner}");
        let below = relative.strip_prefix(&own).filter(|rest| rest.is_empty() || rest.starts_with('/'));
        let below = below.ok_or_else(|| io::Error::other("it is not below the user's own directory"))?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = root.open_at(&own, flags, Mode::empty())?;
        for name in below.split('/').filter(|name| !name.is_empty()) {
            file = rustix::fs::openat(&file, name, flags, Mode::empty())?;
        }
        let stat = rustix::fs::fstat(&file)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if stat.st_uid != owner {
            return Err(io::Error::other(format!("it belongs to user {} and not to user {owner}", stat.st_uid)));
        }
        if !(kind.is_dir() || kind == FileType::Socket) {
            return Err(io::Error::other("it is neither a directory nor a socket"));
        }
        Ok(Place { file, stat, path: path.to_owned() })
    }

    /// By what the kernel knows it, whatever its path leads to by now.
    fn link(&self) -> String {
        format!("/proc/self/fd/{}", self.file.as_raw_fd())
    }

    /// What its attribute says; `None` if it has only its mode.
    fn attribute(&self) -> io::Result<Option<Vec<u8>>> {
        let mut value = vec![0; LONGEST];
        match rustix::fs::getxattr(self.link(), NAME, &mut value[..]) {
            Ok(length) => {
                value.truncate(length);
                Ok(Some(value))
            }
            Err(Errno::NODATA) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn acl(&self) -> io::Result<Acl> {
        match self.attribute()? {
            None => Ok(Acl::of_mode(self.stat.st_mode)),
            Some(value) => Acl::parse(&value).ok_or_else(|| io::Error::other("its access control list is unknown")),
        }
    }

    /// A list that says no more than a mode is kept by the kernel as the mode.
    fn set(&self, acl: &Acl) -> io::Result<()> {
        Ok(rustix::fs::setxattr(self.link(), NAME, &acl.value(), XattrFlags::empty())?)
    }

    fn permissions(&self) -> u16 {
        if FileType::from_raw_mode(self.stat.st_mode).is_dir() {
            PASS
        } else {
            CONNECT
        }
    }

    fn identity(&self) -> String {
        format!("{}:{}", self.stat.st_dev, self.stat.st_ino)
    }
}

/// What the places permit now, for a journal: a line each, `DEVICE:INODE ACL PATH`. What cannot be looked at has no line; sharing
/// says why.
pub(super) fn permitted(root: &Root, paths: &[String], owner: u32) -> String {
    let line = |path: &String| {
        let place = Place::open(root, path, owner).ok()?;
        let acl = place.acl().ok()?;
        let hex: String = acl.value().iter().map(|byte| format!("{byte:02x}")).collect();
        Some(format!("{} {hex} {path}\n", place.identity()))
    };
    paths.iter().filter_map(line).collect()
}

/// Lets a user pass through the directories and connect to the socket. Only what has a line in the journal is changed.
pub(super) fn share(root: &Root, paths: &[String], owner: u32, user: u32) -> Result<(), GuestError> {
    for path in paths {
        let shared = Place::open(root, path, owner).and_then(|place| {
            let acl = place.acl()?;
            place.set(&acl.with(user, place.permissions()))
        });
        shared.map_err(|error| GuestError::NotShared { path: path.clone(), error })?;
    }
    Ok(())
}

/// Takes that back: what nobody has changed since is exactly as it was; else only this user's entry is. A socket that was made
/// anew, as that of a server that was started again, was never shared.
pub(super) fn take_back(root: &Root, permitted: &str, owner: u32, user: u32) -> Result<(), GuestError> {
    let mut result = Ok(());
    for line in permitted.lines().rev() {
        let mut words = line.splitn(3, ' ');
        let (Some(identity), Some(hex), Some(path)) = (words.next(), words.next(), words.next()) else { continue };
        let Some(former) = bytes(hex).and_then(|value| Acl::parse(&value)) else { continue };
        // What has gone with its session is nobody's.
        let Ok(place) = Place::open(root, path, owner) else { continue };
        if place.identity() != identity {
            continue;
        }
        let restored = place.acl().and_then(|now| {
            let ours = former.with(user, place.permissions());
            match () {
                () if now == former => Ok(()),
                () if now == ours => place.set(&former),
                () => place.set(&now.with_former(user, &former)),
            }
        });
        if let Err(error) = restored {
            result = Err(GuestError::NotShared { path: place.path.clone(), error });
        }
    }
    result
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    hex.as_bytes().chunks(2).map(digits).collect()
}

#[cfg(test)]
#[path = "acl_tests.rs"]
mod tests;
