// SPDX-License-Identifier: LGPL-2.1-or-later
//! Of all processes only those that hold a card, a sound device or the like, and of these what tells who they are. What else
//! runs on a machine is nobody's business.

use super::{Node, Nodes};
use crate::root::Root;
use crate::trace::Look;
use std::collections::{BTreeMap, BTreeSet};

/// Below `/dev`, what a card may be held by.
const DEVICES: [&str; 7] = ["dri/", "snd/", "vfio/", "nvidia", "kfd", "i2c-", "fb"];
/// What vfio's own descriptors lead to.
const VFIO_DEVICE: &str = "anon_inode:[vfio-device]";
/// What says who a process is.
const FILES: [&str; 4] = ["cgroup", "comm", "stat", "status"];
/// Lines of `status` that are kept; names and masks of signals are not needed.
const STATUS: [&str; 5] = ["Name:", "Pid:", "PPid:", "Uid:", "Gid:"];

/// Whether a path is of one process.
pub(super) fn is_of_one(path: &str) -> bool {
    pid(path).is_some_and(|(_, pid)| pid != 1 || !path.ends_with("/mountinfo"))
}

/// The directory of a process that a path is in, and its number.
fn pid(path: &str) -> Option<(&str, u32)> {
    let rest = path.strip_prefix("proc/")?;
    let number = rest.split('/').next()?;
    Some((&path[.."proc/".len() + number.len()], number.parse().ok()?))
}

fn is_device(target: &str) -> bool {
    target == VFIO_DEVICE
        || target.strip_prefix("/dev/").is_some_and(|rest| DEVICES.iter().any(|device| rest.starts_with(device)))
}

/// Adds them, and those that were asked for by their number.
pub(super) fn add(root: &Root, looks: &BTreeMap<String, Look>, nodes: &mut Nodes) {
    let asked: BTreeSet<&str> = looks
        .keys()
        .filter_map(|path| {
            let (directory, _) = pid(path)?;
            // All of them are looked into for what they hold.
            let name = path[directory.len()..].trim_start_matches('/').split('/').next()?;
            matches!(name, "stat" | "status").then_some(directory)
        })
        .collect();
    for name in root.list("proc").unwrap_or_default() {
        if name.parse::<u32>().is_err() {
            continue;
        }
        let directory = format!("proc/{name}");
        let mut held = Nodes::new();
        // Who has ended meanwhile holds nothing.
        let _ = root.for_each_link(&format!("{directory}/fd"), |target, link| {
            let target = String::from_utf8_lossy(target).into_owned();
            if is_device(&target) {
                held.insert(format!("{directory}/fd/{}", link.name()), Node::Link(target));
            }
        });
        let descriptors: Vec<String> =
            held.keys().filter_map(|path| path.rsplit('/').next()).map(str::to_owned).collect();
        for descriptor in descriptors {
            let path = format!("{directory}/fdinfo/{descriptor}");
            let text = root.read_text(&path).unwrap_or_default();
            if let Some(line) = text.lines().find(|line| line.starts_with("vfio-device-syspath:")) {
                held.insert(path, Node::File(0o400, format!("{line}\n").into_bytes()));
            }
        }
        add_mapped(root, &directory, &mut held);
        if held.is_empty() && !asked.contains(directory.as_str()) {
            continue;
        }
        nodes.extend(held);
        for name in FILES {
            let path = format!("{directory}/{name}");
            let Ok(bytes) = root.read(&path) else { continue };
            let text = String::from_utf8_lossy(&bytes);
            let kept = |line: &&str| name != "status" || STATUS.iter().any(|start| line.starts_with(start));
            let text: String = text.split_inclusive('\n').filter(kept).collect();
            nodes.insert(path, Node::File(0o444, text.into_bytes()));
        }
        if let Ok(target) = root.read_link(&format!("{directory}/exe")) {
            nodes.insert(format!("{directory}/exe"), Node::Link(target.to_string_lossy().into_owned()));
        }
        nodes.entry(directory).or_insert(Node::Directory);
    }
}

/// What it has mapped. Of the running system's processes it is not asked: that may wait for ever.
fn add_mapped(root: &Root, directory: &str, held: &mut Nodes) {
    if root.is_system() {
        return;
    }
    let maps = root.read(&format!("{directory}/maps")).unwrap_or_default();
    let maps = String::from_utf8_lossy(&maps);
    let is_kept = |line: &&str| line.find('/').is_some_and(|at| is_device(&line[at..]));
    let kept: String = maps.lines().filter(is_kept).map(|line| format!("{line}\n")).collect();
    if !kept.is_empty() {
        held.insert(format!("{directory}/maps"), Node::File(0o444, kept.into_bytes()));
    }
}
