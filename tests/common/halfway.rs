// SPDX-License-Identifier: LGPL-2.1-or-later
//! Boot files of a program that was ended half way: each is as it was before, or as it is to be.

use super::text::{Node, Nodes};
use super::Tree;

/// Files of others: not our state, and no temporary file, which no loader reads.
pub fn files(tree: &Tree) -> Nodes {
    let mut nodes = tree.snapshot();
    nodes.retain(|path, node| {
        !path.starts_with("run") && !path.starts_with("var") && !path.contains(".vfio-new") && *node != Node::Directory
    });
    nodes
}

/// Each file has its old or its new text, whole, and none is gone.
#[track_caller]
pub fn old_or_new(tree: &Tree, old: &Nodes, new: &Nodes, what: &str) {
    let now = files(tree);
    for (path, node) in &now {
        assert!(old.get(path) == Some(node) || new.get(path) == Some(node), "{what}: {path} is {node:?}");
    }
    for path in old.keys().filter(|path| new.contains_key(*path)) {
        assert!(now.contains_key(path), "{what}: {path} is gone");
    }
}
