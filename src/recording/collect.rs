// SPDX-License-Identifier: LGPL-2.1-or-later
//! From what was looked at to the files that show the same again.

use super::image::{self, Sections};
use super::processes;
use super::thin::Thinner;
use super::{times, Node, Nodes};
use crate::host::function;
use crate::host::holders;
use crate::host::initramfs::image::{read_image, Seen, Unpack};
use crate::pci::Address;
use crate::root::Root;
use crate::trace::{Answer, Look};
use std::collections::BTreeMap;
use std::io::{self, Read};

/// What lspci(8) shows of a function and our readers do not all ask for.
const ATTRIBUTES: [&str; 19] = [
    "boot_vga",
    "class",
    "config",
    "current_link_speed",
    "current_link_width",
    "d3cold_allowed",
    "device",
    "enable",
    "irq",
    "max_link_speed",
    "max_link_width",
    "modalias",
    "power_state",
    "reset_method",
    "resource",
    "revision",
    "subsystem_device",
    "subsystem_vendor",
    "vendor",
];
/// The same of what leads elsewhere.
const LINKS: [&str; 3] = ["driver", "iommu_group", "physfn"];
/// A file is thinned before it is kept if it is not longer than this, in bytes.
const READ_LIMIT: u64 = 16 << 20;
/// No file is kept that is longer, in bytes.
const KEPT: usize = 256 << 10;
/// So many links lead to one file at most (`MAXSYMLINKS`, `include/linux/namei.h`).
const LINKS_IN_A_ROW: u32 = 40;
/// Directories with thousands of names of which ours are few, and what those begin with.
const CROWDED: [(&str, &str); 4] =
    [("usr/bin", "qemu-"), ("usr/sbin", "qemu-"), ("usr/lib", "vfio"), ("usr/libexec", "qemu-")];

/// What was recorded.
#[derive(Debug, Default)]
pub struct Recorded {
    /// The files.
    pub nodes: Nodes,
    /// What was asked of the system's programs, and what they answered.
    pub answers: BTreeMap<Vec<String>, Answer>,
    /// Images of the initramfs: what of ours was seen in each.
    pub images: BTreeMap<String, Seen>,
    /// The first bytes of images that cannot be looked into.
    pub damaged: BTreeMap<String, Vec<u8>>,
    /// Programs of the firmware: what is asked of each.
    pub programs: BTreeMap<String, Sections>,
    /// What is not in it because it is too long: a path each.
    pub left_out: Vec<String>,
}

/// Records what was looked at by way of this root, and what `vfio report` has besides.
pub fn collect(root: &Root, unpack: &dyn Unpack) -> io::Result<Recorded> {
    for address in function::addresses(root) {
        for name in ATTRIBUTES {
            // Whether it is there is seen later.
            let _ = root.open_file(&function::attribute(address, name));
        }
        for name in LINKS {
            let _ = root.read_link(&function::attribute(address, name));
        }
        if is_at_a_display(root, address) {
            // A child looks for who holds a card, and its looks are noted nowhere.
            drop(holders::vfio_nodes(root, address));
        }
    }
    let Some(trace) = root.trace() else { return Ok(Recorded::default()) };
    let (looks, answers) = (trace.looks(), trace.answers());
    // Our own looks are not to be noted.
    let plain = Root::open(root.path())?;
    let mut collector = Collector { root: &plain, unpack, thinner: Thinner::of(&plain), recorded: Recorded::default() };
    for (path, look) in &looks {
        collector.add(path, *look);
    }
    processes::add(&plain, &looks, &mut collector.recorded.nodes);
    let mut recorded = Recorded { answers, ..collector.recorded };
    times::add(&plain, &mut recorded.nodes);
    Ok(recorded)
}

/// Whether a display is in the slot of a function.
fn is_at_a_display(root: &Root, address: Address) -> bool {
    let class = |n| root.read_text(&function::attribute(address.slot.function(n), "class")).unwrap_or_default();
    (0..8).any(|n| class(n).starts_with("0x03"))
}

struct Collector<'r> {
    root: &'r Root,
    unpack: &'r dyn Unpack,
    thinner: Thinner,
    recorded: Recorded,
}

impl Collector<'_> {
    /// What was looked at, and the links that lead there.
    fn add(&mut self, path: &str, look: Look) {
        let path = path.trim_matches('/');
        if processes::is_of_one(path) || path.starts_with(".kernel/") {
            return;
        }
        let Some(path) = self.place(path) else { return };
        let Ok(stat) = self.root.stat(&path) else { return };
        match stat.st_mode & 0o17_0000 {
            0o04_0000 => {
                self.recorded.nodes.entry(path.clone()).or_insert(Node::Directory);
                if look == Look::Content {
                    self.add_names(&path);
                }
            }
            0o10_0000 if look == Look::Content => {
                let content = self.content(&path, stat.st_mode);
                self.recorded.nodes.insert(path, Node::File(stat.st_mode & 0o777, content));
            }
            _ => self.add_empty(path, stat.st_mode),
        }
    }

    fn add_empty(&mut self, path: String, mode: u32) {
        self.recorded.nodes.entry(path).or_insert_with(|| Node::File(mode & 0o777, Vec::new()));
    }

    /// Where a path leads, with all links on the way added; `None` if nothing is there.
    fn place(&mut self, path: &str) -> Option<String> {
        let mut todo: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
        let (mut at, mut links): (Vec<String>, u32) = (Vec::new(), 0);
        while let Some(part) = todo.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    at.pop();
                    continue;
                }
                _ => at.push(part),
            }
            let here = at.join("/");
            if here == "proc/self" {
                continue;
            }
            let Ok(target) = self.root.read_link(&here) else { continue };
            let target = target.to_str()?.to_owned();
            links += 1;
            if links > LINKS_IN_A_ROW {
                return None;
            }
            self.recorded.nodes.insert(here, Node::Link(target.clone()));
            if target.starts_with('/') {
                at.clear();
            } else {
                at.pop();
            }
            todo.extend(target.split('/').rev().map(str::to_owned));
        }
        (!at.is_empty()).then(|| at.join("/"))
    }

    /// The names in a directory.
    fn add_names(&mut self, path: &str) {
        let begins = CROWDED.iter().find(|(crowded, _)| *crowded == path).map_or("", |(_, begins)| begins);
        for name in self.root.list(path).unwrap_or_default() {
            let path = format!("{path}/{name}");
            if !name.starts_with(begins) || processes::is_of_one(&path) {
                continue;
            }
            if let Ok(target) = self.root.read_link(&path) {
                if let Some(target) = target.to_str() {
                    self.recorded.nodes.insert(path, Node::Link(target.to_owned()));
                }
                continue;
            }
            match self.root.stat(&path) {
                Ok(stat) if stat.st_mode & 0o17_0000 == 0o04_0000 => {
                    self.recorded.nodes.entry(path).or_insert(Node::Directory);
                }
                Ok(stat) => self.add_empty(path, stat.st_mode),
                Err(_) => {}
            }
        }
    }

    /// What is in a file, as far as it says something.
    fn content(&mut self, path: &str, mode: u32) -> Vec<u8> {
        // What takes only writes is not read: an attribute may do something.
        if mode & 0o444 == 0 {
            return Vec::new();
        }
        if self.is_looked_into(path) {
            return Vec::new();
        }
        let mut bytes = Vec::new();
        let read = self.root.open_file(path).and_then(|file| file.take(READ_LIMIT).read_to_end(&mut bytes));
        // What the kernel does not want to show is empty; what came before an error counts.
        drop(read);
        let thinned = self.thinner.thin(path, bytes);
        if thinned.len() > KEPT {
            self.recorded.left_out.push(path.to_owned());
            return Vec::new();
        }
        thinned
    }
}

/// So many bytes of a file tell what it is.
const START: u64 = 16;

impl Collector<'_> {
    /// Whether a file is an image or a program, of which only what is in it is kept.
    fn is_looked_into(&mut self, path: &str) -> bool {
        let mut start = Vec::new();
        let read = self.root.open_file(path).and_then(|file| file.take(START).read_to_end(&mut start));
        if read.is_err() || path.starts_with("sys/") || path.starts_with("proc/") {
            return false;
        }
        let look = |path: &str| read_image(self.root, &[path.to_owned()], self.unpack);
        if let Some(sections) = start.starts_with(b"MZ").then(|| Sections::of(self.root, path)).flatten() {
            if sections.has_initramfs() {
                match look(path) {
                    Ok(seen) => drop(self.recorded.images.insert(path.to_owned(), seen)),
                    // So that it cannot be looked into there either.
                    Err(_) => drop(self.recorded.damaged.insert(path.to_owned(), b"\xfd7zXZ\0\0\0".to_vec())),
                }
            }
            self.recorded.programs.insert(path.to_owned(), sections);
            return true;
        }
        if !image::is_image(path, &start) {
            return false;
        }
        match look(path) {
            Ok(seen) => drop(self.recorded.images.insert(path.to_owned(), seen)),
            // Of one that cannot be looked into the reason is in its first bytes, or it is cut off.
            Err(_) => drop(self.recorded.damaged.insert(path.to_owned(), start)),
        }
        true
    }
}
