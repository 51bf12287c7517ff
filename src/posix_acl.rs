// SPDX-License-Identifier: LGPL-2.1-or-later
//! Access control lists (acl(5)) as the kernel keeps them in an extended attribute (include/uapi/linux/posix_acl_xattr.h): a
//! version, then entries of a tag, permissions and an id, in little-endian.

/// The attribute.
pub const NAME: &str = "system.posix_acl_access";

/// The version of its form.
pub const VERSION: u32 = 2;
/// The size of an entry, in bytes.
const SIZE: usize = 8;
/// The id of an entry that is nobody's.
const NOBODY: u32 = u32::MAX;

const USER_OBJ: u16 = 0x01;
/// The tag of a named user (include/uapi/linux/posix_acl.h).
pub const USER: u16 = 0x02;
const GROUP_OBJ: u16 = 0x04;
/// The tag of a named group.
pub const GROUP: u16 = 0x08;
/// The tag of the mask, which limits all but the owner and others.
pub const MASK: u16 = 0x10;
const OTHER: u16 = 0x20;
/// The permission to write.
pub const WRITE: u16 = 0x02;

/// An entry: what it is about, what it permits (4 read, 2 write, 1 execute), and who, if it is about somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// What it is about.
    pub tag: u16,
    /// What it permits.
    pub permissions: u16,
    /// The user or the group, if it is about one.
    pub id: u32,
}

/// The entries of the attribute's value; `None` if it is of a form that is not known here.
pub fn entries(value: &[u8]) -> Option<impl Iterator<Item = Entry> + Clone + '_> {
    let (version, entries) = value.split_first_chunk::<4>()?;
    if u32::from_le_bytes(*version) != VERSION || entries.len() % SIZE != 0 {
        return None;
    }
    Some(entries.chunks_exact(SIZE).map(|bytes| Entry {
        tag: u16::from_le_bytes([bytes[0], bytes[1]]),
        permissions: u16::from_le_bytes([bytes[2], bytes[3]]),
        id: u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
    }))
}

/// An access control list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acl(Vec<Entry>);

impl Acl {
    /// The list that says what a mode says.
    pub fn of_mode(mode: u32) -> Acl {
        let entry = |tag, shift: u32| Entry { tag, permissions: (mode >> shift & 7) as u16, id: NOBODY };
        Acl(vec![entry(USER_OBJ, 6), entry(GROUP_OBJ, 3), entry(OTHER, 0)])
    }

    /// Reads the attribute's value; `None` if it is not one.
    pub fn parse(value: &[u8]) -> Option<Acl> {
        let acl = Acl(entries(value)?.collect());
        let has = |tag| acl.0.iter().any(|entry| entry.tag == tag);
        [USER_OBJ, GROUP_OBJ, OTHER].into_iter().all(has).then_some(acl)
    }

    /// The attribute's value.
    pub fn value(&self) -> Vec<u8> {
        let mut value = VERSION.to_le_bytes().to_vec();
        for entry in &self.0 {
            value.extend(entry.tag.to_le_bytes());
            value.extend(entry.permissions.to_le_bytes());
            value.extend(entry.id.to_le_bytes());
        }
        value
    }

    /// The list with these permissions for a user in addition. Nobody else is permitted more: where the mask has to grow, it is
    /// put into the entries that it limited.
    #[must_use]
    pub fn with(&self, user: u32, permissions: u16) -> Acl {
        let mut entries = self.0.clone();
        let limited = |entry: &Entry| !matches!(entry.tag, USER_OBJ | MASK | OTHER);
        if let Some(mask) = entries.iter().find(|entry| entry.tag == MASK).map(|entry| entry.permissions) {
            entries.iter_mut().filter(|entry| limited(entry)).for_each(|entry| entry.permissions &= mask);
        }
        match entries.iter_mut().find(|entry| entry.tag == USER && entry.id == user) {
            Some(entry) => entry.permissions |= permissions,
            None => entries.push(Entry { tag: USER, permissions, id: user }),
        }
        let all = entries.iter().filter(|entry| limited(entry)).fold(0, |all, entry| all | entry.permissions);
        entries.retain(|entry| entry.tag != MASK);
        entries.push(Entry { tag: MASK, permissions: all, id: NOBODY });
        // The kernel takes them only in the order of their tags (fs/posix_acl.c, `posix_acl_valid`).
        entries.sort_by_key(|entry| (entry.tag, entry.id));
        Acl(entries)
    }

    /// The list with what `former` says of a user, if it says anything of that user.
    #[must_use]
    pub fn with_former(&self, user: u32, former: &Acl) -> Acl {
        let is_users = |entry: &&Entry| entry.tag == USER && entry.id == user;
        let mut entries: Vec<Entry> = self.0.iter().filter(|entry| !is_users(entry)).copied().collect();
        entries.extend(former.0.iter().find(is_users));
        entries.sort_by_key(|entry| (entry.tag, entry.id));
        Acl(entries)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn shown(acl: &Acl) -> String {
        acl.0.iter().map(|e| format!("{:x}:{}:{} ", e.tag, e.permissions, e.id as i32)).collect()
    }

    #[test]
    fn a_user_is_added_and_nobody_else_may_more() {
        let plain = Acl::of_mode(0o100_700);
        assert_eq!(shown(&plain), "1:7:-1 4:0:-1 20:0:-1 ");
        let shared = plain.with(64055, 1);
        assert_eq!(shown(&shared), "1:7:-1 2:1:64055 4:0:-1 10:1:-1 20:0:-1 ");
        assert_eq!(Acl::parse(&shared.value()), Some(shared.clone()));
        // A mask of `r` limits a group's `rwx`, and still does when the mask has to grow for our user.
        let masked = Acl::parse(
            &Acl(vec![
                Entry { tag: USER_OBJ, permissions: 7, id: NOBODY },
                Entry { tag: USER, permissions: 7, id: 33 },
                Entry { tag: GROUP_OBJ, permissions: 7, id: NOBODY },
                Entry { tag: MASK, permissions: 4, id: NOBODY },
                Entry { tag: OTHER, permissions: 0, id: NOBODY },
            ])
            .value(),
        )
        .unwrap();
        assert_eq!(shown(&masked.with(12, 6)), "1:7:-1 2:6:12 2:4:33 4:4:-1 10:6:-1 20:0:-1 ");
        assert_eq!(shown(&shared.with(64055, 6)), "1:7:-1 2:7:64055 4:0:-1 10:7:-1 20:0:-1 ");
    }

    #[test]
    fn what_a_former_list_said_of_a_user_comes_back() {
        let former = Acl::of_mode(0o750).with(7, 4);
        let back = former.with(7, 3).with(8, 1).with_former(7, &former);
        assert_eq!(shown(&back), "1:7:-1 2:4:7 2:1:8 4:5:-1 10:7:-1 20:0:-1 ");
        let plain = Acl::of_mode(0o750);
        assert!(!shown(&plain.with(7, 3).with_former(7, &plain)).contains(":7 "));
    }

    #[test]
    fn what_is_no_list_is_none() {
        let good = Acl::of_mode(0o640).value();
        for bad in [&[][..], &good[..3], &good[..good.len() - 1], &good[..4], &[3, 0, 0, 0]] {
            assert_eq!(Acl::parse(bad), None, "{bad:?}");
        }
        assert_eq!(Acl::parse(&good), Some(Acl::of_mode(0o640)));
    }
}
