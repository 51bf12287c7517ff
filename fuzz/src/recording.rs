// SPDX-License-Identifier: LGPL-2.1-or-later
//! Reports of strangers, which are given to `--root`.

use std::path::{Component, Path};
use vfio_suite::act::replay::unpack;
use vfio_suite::recording::{answers, parse, render, times, Node, ANSWERS};

/// A report is refused, or it is a tree: all of it is below its root, and it is the same when it is written and read again.
/// What comes onto the disk is what it says, and nothing beside it.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(nodes) = parse(text) else { return };
    let is_below = |path: &str| Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    assert!(nodes.keys().all(|path| is_below(path)), "{:?}", nodes.keys());
    if !nodes.is_empty() {
        assert_eq!(parse(&render(&nodes)).as_ref(), Ok(&nodes));
    }
    for (path, node) in &nodes {
        if let Node::File(_, content) = node {
            let text = String::from_utf8_lossy(content);
            assert!(text.lines().filter_map(times::parse).all(|(_, nanoseconds, _)| nanoseconds < 1_000_000_000));
            if path.starts_with(ANSWERS) {
                drop(answers::parse(&text));
            }
        }
    }
    let content = |node: &Node| if let Node::File(_, content) = node { content.len() } else { 0 };
    if nodes.len() > 64 || nodes.values().map(content).sum::<usize>() > 1 << 20 {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("root");
    std::fs::create_dir(&directory).unwrap();
    // Names that no file system takes are an error, and no more than that.
    if unpack(&nodes, &directory).is_ok() {
        for (path, node) in &nodes {
            let there = std::fs::symlink_metadata(directory.join(path)).unwrap();
            assert_eq!(there.is_symlink(), matches!(node, Node::Link(_)), "{path}");
            assert_eq!(there.is_file(), matches!(node, Node::File(..)), "{path}");
        }
    }
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1, "something is beside it");
}
