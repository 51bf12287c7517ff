// SPDX-License-Identifier: LGPL-2.1-or-later
//! What a process has open or mapped of some nodes: by the device that a descriptor leads to, whatever path it was opened by
//! (a bind mount, a chroot, a container's own /dev), and not by a path that leads to something else by now.
//!
//! A test tree has no devices: there the path counts.

use super::nodes::{Device, Node};
use crate::pci::Address;
use crate::root::{Linked, Root};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use std::io::{self, BufRead, BufReader};
use std::sync::{Mutex, OnceLock};

/// What processes are looked through for.
#[derive(Debug)]
pub(super) struct Search {
    /// Where. A thread that hangs keeps it for ever, so it is nobody else's.
    pub(super) root: Root,
    /// The functions and their nodes.
    pub(super) desired: Vec<(Address, Vec<Node>)>,
    /// What mapped files are that were looked at already, by their lines in `maps` from the device on: most processes have the
    /// same libraries mapped.
    mapped: Mutex<Vec<Mapped>>,
    /// Where the nodes are.
    places: OnceLock<Vec<Place>>,
}

/// A mapped file by its line, and the device that it is, if it is one.
type Mapped = (Box<[u8]>, Option<Device>);

/// Where a node is, and the device that it leads to.
#[derive(Debug)]
struct Place {
    file_system: (u32, u32),
    inode: u64,
    device: Device,
}

/// What something that a process has open is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known<'a> {
    /// A device.
    As(Device),
    /// Nothing but a path.
    Path(&'a [u8]),
    /// vfio's descriptor of a function.
    Function(Address),
}

/// A node that a process has open, of a function.
pub(super) type Found<'s> = (Address, &'s Node);

/// vfio's descriptor of a function, as its group gives it out: the group's own may be closed meanwhile.
const VFIO_DEVICE: &[u8] = b"anon_inode:[vfio-device]";

/// Where paths begin in `/proc/PID/maps` but for the longest fields before them: looked at first, for most of what a scan
/// takes is this file of every process (`fs/proc/task_mmu.c`, `show_vma_header_prefix`; as wide as pointers are).
const PADDED: usize = 25 + 6 * size_of::<*const ()>();

impl Search {
    pub(super) fn new(root: Root, desired: Vec<(Address, Vec<Node>)>) -> Search {
        Search { root, desired, mapped: Mutex::default(), places: OnceLock::new() }
    }

    /// The nodes that a process has open. Of one that has ended meanwhile there are none.
    pub(super) fn open(&self, pid: u32) -> Vec<Found<'_>> {
        let mut found = Vec::new();
        let _ = self.root.for_each_link(&format!("proc/{pid}/fd"), |target, link| {
            if let Some(known) = self.descriptor(pid, target, link) {
                self.add(known, &mut found);
            }
        });
        found
    }

    /// The nodes that a process has mapped, be they open or not.
    pub(super) fn mapped(&self, pid: u32) -> Vec<Found<'_>> {
        let mut found = Vec::new();
        let _ = each_line(&self.root, &format!("proc/{pid}/maps"), |line| {
            if let Some(known) = self.mapping(pid, line) {
                self.add(known, &mut found);
            }
        });
        found
    }

    fn add<'s>(&'s self, known: Known<'_>, found: &mut Vec<Found<'s>>) {
        for (address, nodes) in &self.desired {
            let node = match known {
                Known::Function(function) if function != *address => None,
                // With its path in `Holder::node` it counts as what it is: a guest's.
                Known::Function(_) => nodes.iter().find(|node| node.is_vfio()),
                Known::As(device) => nodes.iter().find(|node| node.device == Some(device)),
                Known::Path(path) => nodes.iter().find(|node| node.path.as_bytes() == path),
            };
            if let Some(node) = node.filter(|node| !found.iter().any(|(a, n)| a == address && n.path == node.path)) {
                found.push((*address, node));
            }
        }
    }

    /// What a descriptor is, by its link in `/proc/PID/fd`.
    fn descriptor<'t>(&self, pid: u32, target: &'t [u8], link: &Linked<'_>) -> Option<Known<'t>> {
        if target == VFIO_DEVICE {
            return self.of_vfio(pid, link.name()).map(Known::Function);
        }
        // Sockets, pipes and whatever else has no path.
        if !target.starts_with(b"/") {
            return None;
        }
        let path = without_mark(target);
        if !self.root.is_system() {
            return Some(Known::Path(path));
        }
        match link.stat() {
            Ok(stat) => device(u32::from(stat.stx_mode), stat.stx_rdev_major, stat.stx_rdev_minor)
                .map(|device| self.as_device(device, path)),
            // It was closed meanwhile, or the process has ended.
            Err(Errno::NOENT | Errno::SRCH) => None,
            Err(_) => Some(Known::Path(path)),
        }
    }

    /// A device for whose node no number is known has only its path.
    fn as_device<'t>(&self, device: Device, path: &'t [u8]) -> Known<'t> {
        let by_path = |node: &Node| node.device.is_none() && node.path.as_bytes() == path;
        if self.desired.iter().any(|(_, nodes)| nodes.iter().any(by_path)) {
            Known::Path(path)
        } else {
            Known::As(device)
        }
    }

    /// The function of a descriptor of vfio's, where the kernel says it (from 6.18 on).
    fn of_vfio(&self, pid: u32, descriptor: &str) -> Option<Address> {
        let info = self.root.read_text(&format!("proc/{pid}/fdinfo/{descriptor}")).ok()?;
        let path = info.lines().find_map(|line| line.strip_prefix("vfio-device-syspath:"))?;
        Address::from_sysfs(path.trim().rsplit('/').next()?.as_bytes())
    }

    /// What a mapping is: `ADDRESSES PERMISSIONS OFFSET DEVICE INODE PATH`, where none but the path has a slash. The device
    /// is that of the file system with the node.
    fn mapping<'t>(&self, pid: u32, line: &'t [u8]) -> Option<Known<'t>> {
        let at = match line.get(PADDED) {
            Some(b'/') => PADDED,
            _ => line.iter().position(|byte| *byte == b'/')?,
        };
        let path = without_mark(&line[at..]);
        if !self.root.is_system() {
            return Some(Known::Path(path));
        }
        let mut fields = line.splitn(4, |byte| *byte == b' ');
        let (range, permissions, _, file) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        // Devices are mapped to be shared. What is not, as every library, was seen before in most cases.
        let private = permissions.ends_with(b"p");
        if private {
            if let Some(seen) = self.mapped.lock().ok().and_then(|mapped| Some(mapped[seen_at(&mapped, file).ok()?].1))
            {
                return seen.map(|device| self.as_device(device, path));
            }
        }
        match self.file(pid, range) {
            Ok(device) => {
                if let Some(mut mapped) = self.mapped.lock().ok().filter(|_| private) {
                    // Another thread may have been faster.
                    if let Err(at) = seen_at(&mapped, file) {
                        mapped.insert(at, (file.into(), device));
                    }
                }
                device.map(|device| self.as_device(device, path))
            }
            // It has grown or shrunk meanwhile, or we may not look (CAP_CHECKPOINT_RESTORE).
            Err(_) => Some(self.by_inode(file).map_or(Known::Path(path), Known::As)),
        }
    }

    /// The device that is mapped at an address range, if it is one.
    fn file(&self, pid: u32, range: &[u8]) -> io::Result<Option<Device>> {
        // Names in `map_files` have no zeros before them, as the lines of `maps` may.
        let range = String::from_utf8_lossy(range);
        let end = |text: &str| text.trim_start_matches('0').to_owned();
        let (from, to) = range.split_once('-').ok_or(io::ErrorKind::InvalidData)?;
        let stat = self.root.stat_linked(&format!("proc/{pid}/map_files"), &format!("{}-{}", end(from), end(to)))?;
        Ok(device(u32::from(stat.stx_mode), stat.stx_rdev_major, stat.stx_rdev_minor))
    }

    /// The device of a mapping by the file system and the inode that its line names: that of a node where it usually is, if
    /// not through another file system's node.
    fn by_inode(&self, file: &[u8]) -> Option<Device> {
        let text = String::from_utf8_lossy(file);
        let mut fields = text.split_ascii_whitespace();
        let (number, inode) = (fields.next()?, fields.next()?);
        let (major, minor) = number.split_once(':')?;
        let number = (u32::from_str_radix(major, 16).ok()?, u32::from_str_radix(minor, 16).ok()?);
        let inode: u64 = inode.parse().ok()?;
        let mut places = self.places.get_or_init(|| self.places()).iter();
        places.find(|place| place.file_system == number && place.inode == inode).map(|place| place.device)
    }

    fn places(&self) -> Vec<Place> {
        let nodes = self.desired.iter().flat_map(|(_, nodes)| nodes);
        let place = |node: &Node| {
            let stat = self.root.stat(node.path.trim_start_matches('/')).ok()?;
            let file_system = (rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev));
            Some(Place { file_system, inode: stat.st_ino, device: node.device? })
        };
        nodes.filter_map(place).collect()
    }
}

/// Where a file is in what was looked at, or would be.
fn seen_at(mapped: &[Mapped], file: &[u8]) -> Result<usize, usize> {
    mapped.binary_search_by(|(seen, _)| (**seen).cmp(file))
}

/// After its removal a node that is still open shows with this mark.
fn without_mark(path: &[u8]) -> &[u8] {
    path.strip_suffix(b" (deleted)").unwrap_or(path)
}

fn device(mode: u32, major: u32, minor: u32) -> Option<Device> {
    match FileType::from_raw_mode(mode) {
        FileType::CharacterDevice => Some(Device { block: false, major, minor }),
        FileType::BlockDevice => Some(Device { block: true, major, minor }),
        _ => None,
    }
}

/// Calls `each` with every line of a file that may be long: games have some ten thousand mappings. It may block for as long
/// as it likes: the program that looks at processes has a deadline.
fn each_line(root: &Root, path: &str, mut each: impl FnMut(&[u8])) -> io::Result<()> {
    let file = std::fs::File::from(root.open_at(path, OFlags::RDONLY, Mode::empty())?);
    let mut file = BufReader::with_capacity(1 << 14, file);
    let mut line = Vec::new();
    while file.read_until(b'\n', &mut line)? > 0 {
        each(line.strip_suffix(b"\n").unwrap_or(&line));
        line.clear();
    }
    Ok(())
}

#[cfg(test)]
#[path = "opened_tests.rs"]
mod tests;
