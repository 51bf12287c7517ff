// SPDX-License-Identifier: LGPL-2.1-or-later
//! The machines of `tests/hosts` are what `tests/common/hosts.rs` lays out, and hold together as real ones do.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{hosts, text};
use std::collections::HashSet;

/// `UPDATE_HOSTS=1 cargo test --test hosts` writes the texts anew.
#[test]
fn the_texts_are_the_layouts() {
    for (name, machine) in hosts::all() {
        let nodes = machine.nodes();
        let file = hosts::file(name);
        if std::env::var_os("UPDATE_HOSTS").is_some() {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, text::render(&nodes)).unwrap();
        }
        let differences = common::tree::differences(&hosts::nodes(name), &nodes);
        assert!(differences.is_empty(), "{name} (UPDATE_HOSTS=1 writes it anew):\n{differences}");
    }
}

/// Every link leads somewhere, and what sysfs says twice it says alike.
#[test]
fn the_machines_hold_together() {
    for (name, machine) in hosts::all().into_iter().chain([("server", hosts::server(64))]) {
        let tree = machine.build();
        let root = tree.root();
        for (path, node) in tree.snapshot() {
            if let text::Node::Link(target) = node {
                assert!(root.exists(&path), "{name}: {path} -> {target} leads nowhere");
            }
        }
        let functions = tree.functions();
        assert!(functions.len() > 8, "{name}");
        for address in functions {
            let device = format!("sys/bus/pci/devices/{address}");
            let uevent = tree.attribute(&address, "uevent");
            let vendor = tree.attribute(&address, "vendor")[2..6].to_uppercase();
            assert!(uevent.contains(&format!("PCI_ID={vendor}:")), "{name}: {address}");
            assert!(uevent.contains(&format!("MODALIAS={}", tree.attribute(&address, "modalias"))), "{name}");
            if tree.driver(&address).is_none() {
                assert!(!uevent.contains("DRIVER="), "{name}: {address}");
            }
            if let Ok(group) = root.link_name(&format!("{device}/iommu_group")) {
                assert!(root.exists(&format!("sys/kernel/iommu_groups/{group}/devices/{address}")), "{name}");
            } else {
                assert_eq!(name, "no-iommu", "{address}");
            }
        }
    }
}

#[test]
fn a_server_has_as_many_functions_as_asked_for() {
    for functions in [32, 256, 4096] {
        let nodes = hosts::server(functions).nodes();
        let listed: HashSet<&String> = nodes.keys().filter(|path| path.starts_with("sys/bus/pci/devices/")).collect();
        assert_eq!(listed.len(), functions);
    }
}

#[test]
fn a_tree_survives_text_and_disk() {
    let nodes = text::Nodes::from([
        ("top".to_owned(), text::Node::File(0o644, b"1\n".to_vec())),
        ("a/b".to_owned(), text::Node::Directory),
        ("a/file".to_owned(), text::Node::File(0o444, b"0x1002\n".to_vec())),
        ("a/writable".to_owned(), text::Node::File(0o220, Vec::new())),
        ("a/binary".to_owned(), text::Node::File(0o600, vec![0, 255, b'\\', b'\t', b'\n', b' '])),
        ("a/link".to_owned(), text::Node::Link("../../bus/x y".to_owned())),
        ("a.b/file".to_owned(), text::Node::File(0o644, b" ".to_vec())),
    ]);
    assert_eq!(text::parse(&text::render(&nodes)), nodes, "{}", text::render(&nodes));
    let dir = tempfile::tempdir().unwrap();
    text::write(&nodes, dir.path());
    assert_eq!(text::read(dir.path(), &|_| false), nodes);
}
