// SPDX-License-Identifier: LGPL-2.1-or-later
//! The user who runs a guest that is a command, and the nodes by which that user has the cards.

use crate::act::tools::Tools;
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
pub(super) fn give(root: &Root, tools: &dyn Tools, functions: &[Address], user: &str) -> io::Result<()> {
    let gone = || io::Error::other(format!("there is no user '{user}' any more"));
    let User { uid, gid, .. } = find(root, tools, user).ok_or_else(gone)?;
    for node in nodes(root, functions) {
        own(root, &node, uid, gid).map_err(|error| io::Error::new(error.kind(), format!("/{node}: {error}")))?;
    }
    Ok(())
}

/// Gives them back to whom they belonged. One that has gone with its driver is nobody's.
pub(super) fn take_back(root: &Root, owners: &str) -> io::Result<()> {
    let mut result = Ok(());
    for line in owners.lines() {
        let mut words = line.split(' ');
        let (Some(node), Some(uid), Some(gid)) = (words.next(), words.next(), words.next()) else { continue };
        let (Ok(uid), Ok(gid)) = (uid.parse(), gid.parse()) else { continue };
        match own(root, node, uid, gid) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => result = Err(io::Error::new(error.kind(), format!("/{node}: {error}"))),
            Ok(()) => {}
        }
    }
    result
}

/// Makes a node somebody's, whatever it is: it is not opened.
fn own(root: &Root, node: &str, uid: u32, gid: u32) -> io::Result<()> {
    let file = root.open_at(node, OFlags::PATH | OFlags::NOFOLLOW, rustix::fs::Mode::empty())?;
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    Ok(rustix::fs::chownat(file, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH)?)
}
