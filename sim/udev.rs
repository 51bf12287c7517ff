// SPDX-License-Identifier: LGPL-2.1-or-later
//! `udevadm trigger`, and who hears of it: `.kernel/follows-udev` has the processes that close a card which is said to be
//! gone, a number each, and open it again when it is said to have come. A seat other than the first is gone with its display
//! (`.kernel/gone-seats`), and a display manager greets nobody there meanwhile.

use crate::error::unknown;
use crate::tree::Tree;
use crate::units;
use std::io;
use vfio_suite::root::Root;

/// What has been closed, by process and descriptor.
const CLOSED: &str = ".kernel/closed";
const GONE: &str = ".kernel/gone-seats";

/// `udevadm ARGUMENTS`.
pub(crate) fn udevadm(tree: &Tree<'_>, arguments: &[&str]) -> io::Result<String> {
    match *arguments {
        ["settle", ..] | ["trigger"] => {}
        ["trigger", action, path] if action.starts_with("--action=") && path.starts_with("/sys/") => {
            let device = path.trim_start_matches('/');
            let class = device.rsplit_once('/').map_or(device, |(class, _)| class);
            if action == "--action=remove" {
                close(tree, &nodes(tree.root, class))?;
                seat(tree.root, device).map_or(Ok(()), |seat| goes(tree, &seat))?;
            } else {
                open(tree, &nodes(tree.root, class))?;
                seat(tree.root, device).map_or(Ok(()), |seat| comes(tree, &seat))?;
            }
        }
        ["trigger", ..] => {}
        _ => return Err(unknown("udevadm", arguments)),
    }
    Ok(String::new())
}

/// The nodes of all devices of a class that a function has: `.../drm`, `.../sound`.
fn nodes(root: &Root, class: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut add = |directory: &str| {
        let uevent = root.read_text(&format!("{directory}/uevent")).unwrap_or_default();
        found.extend(uevent.lines().find_map(|line| Some(format!("/dev/{}", line.strip_prefix("DEVNAME=")?))));
    };
    for name in root.list(class).unwrap_or_default() {
        let directory = format!("{class}/{name}");
        add(&directory);
        root.list(&directory).unwrap_or_default().iter().for_each(|child| add(&format!("{directory}/{child}")));
    }
    found
}

/// The seat of a display, if it has one of its own.
fn seat(root: &Root, device: &str) -> Option<String> {
    let number = root.read_text(&format!("{device}/dev")).ok()?;
    let data = root.read_text(&format!("run/udev/data/c{number}")).ok()?;
    let seat = data.lines().find_map(|line| line.strip_prefix("E:ID_SEAT="))?;
    (seat != "seat0").then(|| seat.to_owned())
}

fn is_one_of(tree: &Tree<'_>, link: &str, nodes: &[String]) -> bool {
    let target = tree.root.read_link(link).ok();
    target.is_some_and(|target| nodes.iter().any(|node| target.as_os_str() == node.as_str()))
}

fn close(tree: &Tree<'_>, nodes: &[String]) -> io::Result<()> {
    for words in tree.facts("follows-udev")? {
        let open = format!("proc/{}/fd", words[0]);
        for fd in tree.list(&open) {
            if is_one_of(tree, &format!("{open}/{fd}"), nodes) {
                tree.mkdir(&format!("{CLOSED}/{}", words[0]))?;
                tree.rename(&format!("{open}/{fd}"), &format!("{CLOSED}/{}/{fd}", words[0]))?;
            }
        }
    }
    Ok(())
}

fn open(tree: &Tree<'_>, nodes: &[String]) -> io::Result<()> {
    for pid in tree.list(CLOSED) {
        let closed = format!("{CLOSED}/{pid}");
        for fd in tree.list(&closed) {
            if is_one_of(tree, &format!("{closed}/{fd}"), nodes) && tree.root.exists(&format!("proc/{pid}/fd")) {
                tree.rename(&format!("{closed}/{fd}"), &format!("proc/{pid}/fd/{fd}"))?;
            }
        }
        tree.rmdir(&closed)?;
    }
    tree.rmdir(CLOSED)
}

/// Whether a seat is not there now.
pub(crate) fn is_gone(tree: &Tree<'_>, seat: &str) -> io::Result<bool> {
    Ok(tree.facts("gone-seats")?.iter().any(|words| words[0] == seat))
}

fn goes(tree: &Tree<'_>, seat: &str) -> io::Result<()> {
    if !is_gone(tree, seat)? {
        let others = tree.facts("gone-seats")?.concat().into_iter().chain([seat.to_owned()]);
        tree.put(GONE, &others.map(|seat| format!("{seat}\n")).collect::<String>())?;
    }
    units::greet(tree, seat, false)
}

fn comes(tree: &Tree<'_>, seat: &str) -> io::Result<()> {
    let others = tree.facts("gone-seats")?.concat().into_iter().filter(|other| other != seat);
    let others: String = others.map(|seat| format!("{seat}\n")).collect();
    if others.is_empty() {
        tree.unlink(GONE)?;
    } else {
        tree.put(GONE, &others)?;
    }
    units::greet(tree, seat, true)
}
