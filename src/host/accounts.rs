// SPDX-License-Identifier: LGPL-2.1-or-later
//! Users and groups, as `/etc/passwd` and `/etc/group` have them.

use crate::root::Root;
use std::io;

/// A line of `/etc/passwd`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The login name.
    pub name: String,
    /// The user's number.
    pub uid: u32,
    /// The number of the user's own group.
    pub gid: u32,
}

impl User {
    /// A line of `/etc/passwd`, or of what `getent passwd` prints (passwd(5)).
    pub fn parse(line: &str) -> Option<User> {
        let mut fields = line.trim_end().split(':');
        let (name, uid, gid) = (fields.next()?, fields.nth(1)?, fields.next()?);
        Some(User { name: name.to_owned(), uid: uid.parse().ok()?, gid: gid.parse().ok()? })
    }
}

/// A line of `/etc/group`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its number.
    pub gid: u32,
    /// Who was added to it.
    pub members: Vec<String>,
}

/// The lines of a file of accounts that can be read.
fn each<T>(root: &Root, path: &str, parse: impl Fn(&str) -> Option<T>) -> io::Result<Vec<T>> {
    let text = root.read(path).map_err(|error| io::Error::new(error.kind(), format!("/{path}: {error}")))?;
    Ok(String::from_utf8_lossy(&text).lines().filter_map(parse).collect())
}

/// All users that the machine itself knows; those of a directory service are not among them.
pub fn users(root: &Root) -> io::Result<Vec<User>> {
    each(root, "etc/passwd", User::parse)
}

/// All groups.
pub fn groups(root: &Root) -> io::Result<Vec<Group>> {
    each(root, "etc/group", |line| {
        let mut fields = line.split(':');
        let (name, gid, members) = (fields.next()?, fields.nth(1)?, fields.next()?);
        let members = members.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        Some(Group { name: name.to_owned(), gid: gid.parse().ok()?, members })
    })
}
