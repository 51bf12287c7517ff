// SPDX-License-Identifier: LGPL-2.1-or-later
//! Machines in memory, one file of which is anybody's.

use crate::common::text::{Node, Nodes};
use crate::common::Tree;
use std::fs;
use vfio_suite::root::Root;

/// A tree with one file of any content.
pub struct Spot {
    tree: Tree,
    root: Root,
    path: String,
}

impl Spot {
    /// An empty tree with a place for it.
    pub fn new(path: &str) -> Spot {
        let tree = Tree::new(&Nodes::new());
        tree.write(path, "");
        Spot { root: tree.root(), tree, path: path.to_owned() }
    }

    /// Writes the file.
    pub fn put(&self, data: &[u8]) {
        fs::write(self.tree.join(&self.path), data).unwrap();
    }

    /// The tree.
    pub fn root(&self) -> &Root {
        &self.root
    }
}

/// A machine, any file of which may be replaced.
pub struct Any {
    tree: Tree,
    root: Root,
    files: Vec<(String, Vec<u8>)>,
}

impl Any {
    /// A machine of these files, all of them to be written.
    pub fn new(nodes: &Nodes) -> Any {
        let tree = Tree::new(nodes);
        let mut files = Vec::new();
        for (path, node) in nodes {
            if let Node::File(_, content) = node {
                tree.write(path, "");
                fs::write(tree.join(path), content).unwrap();
                files.push((path.clone(), content.clone()));
            }
        }
        Any { root: tree.root(), tree, files }
    }

    /// Which file is meant by the first two bytes.
    fn selected(&self, data: &[u8]) -> usize {
        usize::from(u16::from_le_bytes([data[0], data[1]])) % self.files.len()
    }

    /// Looks at the machine with the file that the first two bytes choose, its content the rest.
    pub fn with(&self, data: &[u8], look: impl FnOnce(&Root)) {
        if data.len() < 2 {
            return;
        }
        let (path, content) = &self.files[self.selected(data)];
        let path = self.tree.join(path);
        fs::write(&path, &data[2..]).unwrap();
        look(&self.root);
        fs::write(&path, content).unwrap();
    }
}
