// SPDX-License-Identifier: LGPL-2.1-or-later
//! The user who runs a guest that is a command, and the nodes by which that user has the cards.

use super::error::GuestError;
use crate::act::backend::tools::Tools;
use crate::host::accounts::{self, User};
use crate::host::holders::vfio_nodes;
use crate::pci::Address;
use crate::root::Root;
use rustix::fs::{AtFlags, Gid, OFlags, Uid};
use std::io;
use std::time::Duration;

/// For a question to the name service, which may have to ask over the network.
const ASK: Duration = Duration::from_secs(20);

/// A user of this name; `None` if nobody knows one. The machine's own are looked for first.
pub fn find(root: &Root, tools: &dyn Tools, name: &str) -> Option<User> {
    let own = accounts::users(root).unwrap_or_default().into_iter().find(|user| user.name == name);
    own.or_else(|| User::parse(tools.run(&["getent", "passwd", "--", name], ASK).ok()?.lines().next()?))
}

/// The nodes of these functions that are there.
fn nodes(root: &Root, functions: &[Address]) -> Vec<String> {
    let mut nodes: Vec<String> = functions.iter().flat_map(|function| vfio_nodes(root, *function)).collect();
    nodes.sort_unstable();
    nodes.dedup();
    nodes.retain(|node| root.exists(node));
    nodes
}

/// Whose the nodes are, for a journal: a line each, `PATH UID GID`.
pub(super) fn owners(root: &Root, functions: &[Address]) -> String {
    let owner = |node: String| {
        let stat = root.stat(&node).ok()?;
        Some(format!("{node} {} {}\n", stat.st_uid, stat.st_gid))
    };
    nodes(root, functions).into_iter().filter_map(owner).collect()
}

/// Gives the nodes to a user.
pub(super) fn give(root: &Root, tools: &dyn Tools, functions: &[Address], user: &str) -> Result<(), GuestError> {
    let gone = || GuestError::NoUser { user: user.to_owned() };
    let User { uid, gid, .. } = find(root, tools, user).ok_or_else(gone)?;
    for node in nodes(root, functions) {
        change_owner(root, &node, uid, gid).map_err(|error| GuestError::Node { node: node.clone(), error })?;
    }
    Ok(())
}

/// Gives them back to whom they belonged. One that has gone with its driver is nobody's.
pub(super) fn take_back(root: &Root, owners: &str) -> Result<(), GuestError> {
    let mut result = Ok(());
    for line in owners.lines() {
        let mut words = line.split(' ');
        let (Some(node), Some(uid), Some(gid)) = (words.next(), words.next(), words.next()) else { continue };
        let (Ok(uid), Ok(gid)) = (uid.parse(), gid.parse()) else { continue };
        match change_owner(root, node, uid, gid) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => result = Err(GuestError::Node { node: node.to_owned(), error }),
            Ok(()) => {}
        }
    }
    result
}

/// Makes a node somebody's, whatever it is: it is not opened.
fn change_owner(root: &Root, node: &str, uid: u32, gid: u32) -> io::Result<()> {
    let file = root.open_at(node, OFlags::PATH | OFlags::NOFOLLOW, rustix::fs::Mode::empty())?;
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    Ok(rustix::fs::chownat(file, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH)?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::act::backend::tools_for;
    use std::fs;
    use std::os::unix::fs::symlink;

    /// Only root may give anything away: anybody else keeps what there is.
    fn account() -> (u32, u32) {
        let own = (rustix::process::getuid(), rustix::process::getgid());
        if own.0.is_root() {
            (4711, 4712)
        } else {
            (own.0.as_raw(), own.1.as_raw())
        }
    }

    fn tree() -> (tempfile::TempDir, Address) {
        let tree = tempfile::tempdir().unwrap();
        let device = tree.path().join("sys/bus/pci/devices/0000:03:00.0");
        fs::create_dir_all(&device).unwrap();
        for directory in ["dev/vfio", "etc", "sys/kernel/iommu_groups/15"] {
            fs::create_dir_all(tree.path().join(directory)).unwrap();
        }
        symlink("../../../../kernel/iommu_groups/15", device.join("iommu_group")).unwrap();
        fs::write(tree.path().join("dev/vfio/15"), "").unwrap();
        fs::write(tree.path().join("dev/vfio/16"), "").unwrap();
        let (uid, gid) = account();
        let passwd = format!("root:x:0:0::/:/bin/sh\nlab:x:{uid}:{gid}::/:/bin/sh\n");
        fs::write(tree.path().join("etc/passwd"), passwd).unwrap();
        (tree, Address::from_sysfs(b"0000:03:00.0").unwrap())
    }

    fn owner(root: &Root, node: &str) -> (u32, u32) {
        let stat = root.stat(node).unwrap();
        (stat.st_uid, stat.st_gid)
    }

    #[test]
    fn the_cards_nodes_are_given_and_taken_back() {
        let (tree, function) = tree();
        let root = Root::open(tree.path()).unwrap();
        let tools = tools_for(&root);
        let (before, other) = (owner(&root, "dev/vfio/15"), owner(&root, "dev/vfio/16"));
        let record = owners(&root, &[function]);
        assert_eq!(record, format!("dev/vfio/15 {} {}\n", before.0, before.1));
        give(&root, &*tools, &[function], "lab").unwrap();
        assert_eq!(owner(&root, "dev/vfio/15"), account());
        assert_eq!(owner(&root, "dev/vfio/16"), other, "another group's node");
        take_back(&root, &record).unwrap();
        assert_eq!(owner(&root, "dev/vfio/15"), before);
        // Twice, and when it has gone with its driver.
        take_back(&root, &record).unwrap();
        fs::remove_file(tree.path().join("dev/vfio/15")).unwrap();
        take_back(&root, &record).unwrap();
        assert_eq!(owners(&root, &[function]), "");
    }

    #[test]
    fn a_user_that_nobody_knows_is_none() {
        let (tree, function) = tree();
        let root = Root::open(tree.path()).unwrap();
        let tools = tools_for(&root);
        assert!(find(&root, &*tools, "root").is_some_and(|user| user.uid == 0));
        assert!(find(&root, &*tools, "nobody-has-this-name").is_none());
        let error = give(&root, &*tools, &[function], "nobody-has-this-name").unwrap_err();
        assert!(matches!(&error, GuestError::NoUser { user } if user == "nobody-has-this-name"), "{error}");
    }
}
