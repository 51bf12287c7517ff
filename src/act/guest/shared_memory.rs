// SPDX-License-Identifier: LGPL-2.1-or-later
//! Making the file of a guest's shared memory, and removing it.

use super::error::GuestError;
use crate::host::shared_memory::DIRECTORY;
use crate::root::Root;
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid, XattrFlags};
use std::io;

/// Read and written by QEMU's user and by the members of the group.
const MODE: u32 = 0o660;

/// What a confined QEMU may read and write there (`svirt_tmpfs_t`, virt.te of the reference policy).
const LABEL: &[u8] = b"system_u:object_r:svirt_tmpfs_t:s0\0";

fn fail(name: &str) -> impl Fn(io::Error) -> GuestError + '_ {
    move |error| GuestError::NotShared { path: format!("/{DIRECTORY}/{name}"), error }
}

/// Makes the file anew: one that a former start has left has another size or another owner.
pub(super) fn make(root: &Root, name: &str, size: u64, (uid, gid): (u32, u32)) -> Result<(), GuestError> {
    remove(root, name, uid)?;
    let made = (|| {
        let path = format!("{DIRECTORY}/{name}");
        let (parent, file) = root.parent(&path)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(parent, file, flags, Mode::empty())?;
        rustix::fs::fchown(&file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
        rustix::fs::ftruncate(&file, size)?;
        if root.exists("sys/fs/selinux/enforce") {
            if let Err(error) = rustix::fs::fsetxattr(&file, "security.selinux", LABEL, XattrFlags::empty()) {
                log::debug!("/{DIRECTORY}/{name}: {error}");
            }
        }
        // Last: until then nobody but root opens it.
        rustix::fs::fchmod(&file, Mode::from_raw_mode(MODE))?;
        Ok(())
    })();
    made.map_err(fail(name))
}

/// Removes the file, if it is one that we made or that QEMU did.
pub(super) fn remove(root: &Root, name: &str, uid: u32) -> Result<(), GuestError> {
    let removed = (|| {
        let path = format!("{DIRECTORY}/{name}");
        let (parent, file) = root.parent(&path)?;
        let stat = rustix::fs::statat(&parent, file, AtFlags::SYMLINK_NOFOLLOW)?;
        // Between being made and being given away it is root's.
        let ours = stat.st_uid == uid || stat.st_uid == rustix::process::geteuid().as_raw();
        if ours && FileType::from_raw_mode(stat.st_mode).is_file() {
            rustix::fs::unlinkat(parent, file, AtFlags::empty())?;
        }
        Ok(())
    })();
    match removed {
        Err(error) if io::Error::kind(&error) == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(fail(name)),
    }
}
