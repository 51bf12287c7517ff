// SPDX-License-Identifier: LGPL-2.1-or-later
//! Who may write a file or a directory: by its owner and mode, and by its access list (acl(5)).

use crate::posix_acl::{self, Entry, GROUP, MASK, USER, WRITE};
use crate::root::Root;
use rustix::fd::AsFd;
use rustix::io::Errno;
use std::io;

/// No list that anybody wrote by hand is longer, in bytes.
const LONGEST: usize = 4096;

/// Why others than root may change a file or a directory, or why nobody can tell: what comes after its name in a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Untrusted {
    /// Its owner.
    #[error("belongs to another user than root")]
    Owner,
    /// Its mode.
    #[error("may be written by everybody")]
    Everybody,
    /// Its group and its mode.
    #[error("may be written by a group other than root's")]
    Group,
    /// Its access list.
    #[error("may be written by others by its access list")]
    List,
    /// Its access list is longer than `LONGEST`.
    #[error("has an access list that is too long to be judged")]
    LongList,
    /// Its access list is of a form that is not known here.
    #[error("has an access list that cannot be read")]
    UnknownList,
}

impl Untrusted {
    /// What to do.
    pub(super) fn hint(self) -> &'static str {
        match self {
            Untrusted::Owner => "run chown root:root on it",
            Untrusted::Everybody | Untrusted::Group => "run chmod go-w on it",
            Untrusted::List | Untrusted::LongList | Untrusted::UnknownList => "run setfacl -b on it",
        }
    }
}

/// Why others than root may change it, if they may. In a test tree the tree's owner stands for root.
pub(super) fn others_may_write(root: &Root, file: impl AsFd) -> io::Result<Option<Untrusted>> {
    let stat = rustix::fs::fstat(&file)?;
    let roots = roots(root)?;
    if let Some(why) = untrusted((stat.st_uid, stat.st_gid), stat.st_mode, roots) {
        return Ok(Some(why));
    }
    let mut list = [0; LONGEST];
    match rustix::fs::fgetxattr(&file, posix_acl::NAME, &mut list[..]) {
        Ok(length) => Ok(untrusted_list(&list[..length.min(LONGEST)], roots)),
        // There is none, or there can be none.
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
        Err(Errno::RANGE) => Ok(Some(Untrusted::LongList)),
        Err(error) => Err(error.into()),
    }
}

/// The same of a directory above, which is only passed through. Of a sticky one of root's others cannot remove or replace what is
/// root's (inode(7), `S_ISVTX`): the root of an initramfs is such a one (tmpfs, `mm/shmem.c`).
pub(super) fn others_may_replace(root: &Root, directory: impl AsFd) -> io::Result<Option<Untrusted>> {
    let stat = rustix::fs::fstat(&directory)?;
    let is_sticky = stat.st_mode & 0o1000 != 0;
    if is_sticky && untrusted((stat.st_uid, stat.st_gid), 0, roots(root)?).is_none() {
        return Ok(None);
    }
    others_may_write(root, directory)
}

/// The user and the group who count as root's beside root.
fn roots(root: &Root) -> io::Result<(u32, u32)> {
    if root.is_system() {
        Ok((0, 0))
    } else {
        root.owner()
    }
}

/// The rule of owner and mode.
fn untrusted((uid, gid): (u32, u32), mode: u32, roots: (u32, u32)) -> Option<Untrusted> {
    if uid != 0 && uid != roots.0 {
        Some(Untrusted::Owner)
    } else if mode & 0o002 != 0 {
        Some(Untrusted::Everybody)
    } else if mode & 0o020 != 0 && gid != 0 && gid != roots.1 {
        Some(Untrusted::Group)
    } else {
        None
    }
}

/// The same of an access list: nobody named in it may write but root.
fn untrusted_list(list: &[u8], roots: (u32, u32)) -> Option<Untrusted> {
    const UNKNOWN: Option<Untrusted> = Some(Untrusted::UnknownList);
    let Some(mut entries) = posix_acl::entries(list) else { return UNKNOWN };
    // What the mask does not allow nobody named has.
    let mask = entries.clone().find(|entry| entry.tag == MASK);
    let may = mask.is_none_or(|mask| mask.permissions & WRITE != 0);
    let other = |Entry { tag, permissions: rights, id }: Entry| {
        let own = if tag == USER { roots.0 } else { roots.1 };
        matches!(tag, USER | GROUP) && rights & WRITE != 0 && id != 0 && id != own
    };
    (may && entries.any(other)).then_some(Untrusted::List)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::posix_acl::VERSION;

    fn list(entries: &[(u16, u16, u32)]) -> Vec<u8> {
        let entry = |(tag, rights, id): &(u16, u16, u32)| {
            [&tag.to_le_bytes()[..], &rights.to_le_bytes(), &id.to_le_bytes()].concat()
        };
        VERSION.to_le_bytes().into_iter().chain(entries.iter().flat_map(entry)).collect()
    }

    /// Regression: an access list was not looked at, and its mask is all that shows in the mode.
    #[test]
    fn who_may_write_by_a_list() {
        const ALL: u32 = u32::MAX;
        let (owner, group, mask) = ((0x01, 6, ALL), (0x04, 4, ALL), (MASK, 6, ALL));
        for (entries, trusted) in [
            (&[owner, group, mask, (0x20, 4, ALL)][..], true),
            (&[owner, (USER, 6, 1000), group, mask], false),
            (&[owner, (USER, 2, 1000), group, mask], false),
            (&[owner, (USER, 5, 1000), group, mask], true),
            (&[owner, (USER, 6, 1000), group, (MASK, 4, ALL)], true),
            (&[owner, (USER, 6, 0), group, mask], true),
            (&[owner, group, (GROUP, 6, 100), mask], false),
            (&[owner, group, (GROUP, 6, 0), mask], true),
            (&[owner, group, (GROUP, 6, 100)], false),
        ] {
            assert_eq!(untrusted_list(&list(entries), (0, 0)).is_none(), trusted, "{entries:?}");
        }
        // In a test tree its owner stands for root.
        assert_eq!(untrusted_list(&list(&[owner, (USER, 6, 1000), group, mask]), (1000, 1000)), None);
        for bytes in [&b""[..], b"\x02\0\0", b"\x01\0\0\0", b"\x02\0\0\0\x02"] {
            assert!(untrusted_list(bytes, (0, 0)).is_some(), "{bytes:?}");
        }
    }

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
