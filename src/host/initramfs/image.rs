// SPDX-License-Identifier: LGPL-2.1-or-later
//! What of ours is in an image: archives one after the other, the last of them packed.

use super::cpio::{self, End, Entry, Visitor};
use super::error::{ImageError, UnpackError};
use crate::host::boot::pe::Program;
use crate::root::Root;
use nix::sys::memfd::{memfd_create, MemFdCreateFlag};
use nix::sys::sendfile::sendfile64;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// No configuration file is larger.
const TEXT_LIMIT: u32 = 1 << 20;
/// No initramfs in a unified kernel image is larger, in bytes.
const PART_LIMIT: u64 = 1 << 30;
/// No image has more of what is kept of it: configuration, and what links in it lead to. In bytes and in files.
const KEPT_LIMIT: usize = 16 << 20;
const KEPT_FILES: usize = 1_000;
/// How often an image is read: again where a link leads to a file that was not kept, or whose content stands before it.
const PASSES: u32 = 4;

/// A part of it is missing.
const CUT_OFF: ImageError = ImageError::Damaged("it is cut off");

/// How the last archive is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// gzip.
    Gzip,
    /// xz.
    Xz,
    /// LZMA, as before xz.
    Lzma,
    /// zstd.
    Zstd,
    /// lz4.
    Lz4,
    /// bzip2.
    Bzip2,
    /// LZO.
    Lzo,
}

impl Packing {
    /// By the first bytes (`lib/decompress.c`; the second form of lz4 is what the program of that name writes by itself).
    pub fn of(magic: &[u8]) -> Option<Packing> {
        let table: [(&[u8], Packing); 9] = [
            (b"\x1f\x8b", Packing::Gzip),
            (b"\x1f\x9e", Packing::Gzip),
            (b"\xfd7zXZ\0", Packing::Xz),
            (b"\x5d\0\0", Packing::Lzma),
            (b"\x28\xb5\x2f\xfd", Packing::Zstd),
            (b"\x02\x21\x4c\x18", Packing::Lz4),
            (b"\x04\x22\x4d\x18", Packing::Lz4),
            (b"BZh", Packing::Bzip2),
            (b"\x89LZO", Packing::Lzo),
        ];
        table.into_iter().find(|(start, _)| magic.starts_with(start)).map(|(_, packing)| packing)
    }
}

/// Who unpacks: a program of the system, which is not for this floor to run.
pub trait Unpack {
    /// The content of a file from where it stands, unpacked.
    fn unpack(&self, packing: Packing, file: File) -> Result<Box<dyn Read>, UnpackError>;
}

/// What of ours is in an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// The program that writes the overrides.
    pub program: bool,
    /// What runs it: the unit and its link, a script or a hook.
    pub run: bool,
    /// The udev rule.
    pub rule: bool,
    /// The module `vfio_pci`.
    pub vfio_pci: bool,
    /// The configuration, by path: what is in the files. `None` is a mask.
    pub files: Vec<(String, Option<Vec<u8>>)>,
}

/// Why it is not known what of ours is in an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unseen {
    /// A sentence.
    pub why: String,
    /// Whether the image itself is damaged, as one is whose tool was interrupted.
    pub damaged: bool,
}

impl Default for Unseen {
    fn default() -> Self {
        Unseen { why: "it was not looked into".to_owned(), damaged: false }
    }
}

/// Whether a path is of our configuration, as far as it is put into images.
pub fn is_configuration(path: &str) -> bool {
    path == "etc/vfio.conf"
        || ["etc/vfio.conf.d/", "usr/lib/vfio.conf.d/"].iter().any(|dir| {
            path.strip_prefix(dir)
                .is_some_and(|name| name.ends_with(".conf") && !name.starts_with('.') && !name.contains('/'))
        })
}

/// What an entry with a wanted name is.
#[derive(Debug, Clone)]
enum Held {
    Text(Vec<u8>),
    /// Its content stands with another name of the same file.
    Elsewhere((u32, u32, u32, u32)),
    Link(String),
}

#[derive(Default)]
struct Collector {
    seen: Seen,
    unit: bool,
    wants_unit: bool,
    names: BTreeSet<String>,
    inodes: BTreeSet<(u32, u32, u32, u32)>,
    held: BTreeMap<String, Held>,
    contents: BTreeMap<(u32, u32, u32, u32), Vec<u8>>,
    /// What was kept in this pass: bytes and files.
    kept: (usize, usize),
    /// Whether there was more than may be kept.
    too_much: bool,
}

impl Collector {
    fn note(&mut self, entry: &Entry) {
        let name = entry.name.as_str();
        let last = name.rsplit('/').next().unwrap_or_default();
        let module = last.split('.').next().unwrap_or_default();
        match last {
            "vfio-bind" => self.seen.program |= name.ends_with("lib/vfio/vfio-bind"),
            "vfio-early.service" => {
                self.unit |= name.ends_with("/system/vfio-early.service");
                self.wants_unit |= name.ends_with("/sysinit.target.wants/vfio-early.service");
            }
            "00-vfio" => self.seen.run |= name == "scripts/init-top/00-vfio",
            "00-vfio-early.sh" => self.seen.run |= name.ends_with("hooks/cmdline/00-vfio-early.sh"),
            "vfio" => self.seen.run |= name == "hooks/vfio",
            "70-vfio.rules" => self.seen.rule = true,
            _ => {}
        }
        self.seen.vfio_pci |= matches!(module, "vfio-pci" | "vfio_pci") && last.contains(".ko");
    }

    /// Whether so many bytes more may be kept.
    fn has_room(&mut self, bytes: u32) -> bool {
        let bytes = self.kept.0.saturating_add(usize::try_from(bytes).unwrap_or(usize::MAX));
        self.kept = (bytes, self.kept.1 + 1);
        let room = self.kept.0 <= KEPT_LIMIT && self.kept.1 <= KEPT_FILES;
        self.too_much |= !room;
        room
    }

    /// The content of a name, through links; `None` if it is not known, inside that `None` for a mask.
    fn resolve(&self, name: &str) -> Option<Option<&[u8]>> {
        let mut name = name.to_owned();
        for _ in 0..8 {
            match self.held.get(&name)? {
                Held::Text(text) => return Some(Some(text)),
                Held::Elsewhere(inode) => return self.contents.get(inode).map(|text| Some(text.as_slice())),
                Held::Link(target) if target == "/dev/null" => return Some(None),
                Held::Link(target) => name = target_of(&name, target),
            }
        }
        None
    }

    /// What has to be known and is not: wanted in the next pass. Whether there is more than was wanted before.
    fn want_more(&mut self) -> bool {
        let before = (self.names.len(), self.inodes.len());
        for (name, held) in &self.held {
            match held {
                Held::Link(target) if target != "/dev/null" => {
                    self.names.insert(target_of(name, target));
                }
                Held::Elsewhere(inode) if !self.contents.contains_key(inode) => {
                    self.inodes.insert(*inode);
                }
                _ => {}
            }
        }
        before != (self.names.len(), self.inodes.len())
    }
}

/// Where a link leads, below the root of the image.
fn target_of(link: &str, target: &str) -> String {
    let mut parts: Vec<&str> = if target.starts_with('/') {
        Vec::new()
    } else {
        link.rsplit_once('/').map(|(dir, _)| dir.split('/').collect()).unwrap_or_default()
    };
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

impl Visitor for Collector {
    fn wants(&mut self, entry: &Entry) -> bool {
        self.note(entry);
        let named = is_configuration(&entry.name) || self.names.contains(&entry.name);
        if entry.is_link() {
            return named && entry.size < 4096 && self.has_room(entry.size);
        }
        if !entry.is_file() || entry.size > TEXT_LIMIT {
            return false;
        }
        if named && entry.size == 0 && entry.links > 1 {
            if !self.has_room(0) {
                return false;
            }
            self.inodes.insert(entry.inode);
            self.held.insert(entry.name.clone(), Held::Elsewhere(entry.inode));
            return false;
        }
        (named || entry.size > 0 && self.inodes.contains(&entry.inode)) && self.has_room(entry.size)
    }

    fn take(&mut self, entry: &Entry, content: &[u8]) {
        if self.inodes.contains(&entry.inode) {
            self.contents.insert(entry.inode, content.to_vec());
        }
        if is_configuration(&entry.name) || self.names.contains(&entry.name) {
            let held = if entry.is_link() {
                Held::Link(String::from_utf8_lossy(content).trim_end_matches('\0').to_owned())
            } else {
                Held::Text(content.to_vec())
            };
            self.held.insert(entry.name.clone(), held);
        }
    }
}

/// A part of a file as a file of its own, in memory: what unpacks it must not find what is behind it.
fn part(file: &File, at: u64, length: u64) -> Result<File, ImageError> {
    if length > PART_LIMIT {
        return Err(ImageError::TooMuch("the initramfs in it is larger than 1 GiB"));
    }
    let mut part = File::from(memfd_create(c"initramfs", MemFdCreateFlag::MFD_CLOEXEC).map_err(io::Error::from)?);
    let mut at = i64::try_from(at).map_err(|_| CUT_OFF)?;
    let mut left = length;
    while left > 0 {
        match sendfile64(&part, file, Some(&mut at), usize::try_from(left).unwrap_or(usize::MAX))
            .map_err(io::Error::from)?
        {
            0 => return Err(CUT_OFF),
            sent => left -= sent as u64,
        }
    }
    part.rewind()?;
    Ok(part)
}

/// Walks through the archives of one file of an image. Of a unified kernel image it is a section.
fn walk(root: &Root, path: &str, unpack: &dyn Unpack, visitor: &mut dyn Visitor) -> Result<(), ImageError> {
    let mut file = root.open_regular(path)?;
    if let Some(program) = Program::open(root, path) {
        let (at, length) = program.place(".initrd").ok_or(ImageError::Damaged("there is no initramfs in it"))?;
        file = part(&file, at, length)?;
    }
    let (at, magic) = match cpio::walk(&mut file, visitor)? {
        End::Over => return Ok(()),
        End::Other { at, magic } => (at, magic),
    };
    let Some(packing) = Packing::of(&magic) else {
        return Err(ImageError::UnknownPacking);
    };
    file.seek(SeekFrom::Start(at))?;
    cpio::walk(unpack.unpack(packing, file)?, visitor).map(drop)
}

/// Looks what of ours is in an image, which may be of several files that the loader puts one after the other.
pub fn read_image(root: &Root, paths: &[String], unpack: &dyn Unpack) -> Result<Seen, Unseen> {
    let mut collector = Collector::default();
    for _ in 0..PASSES {
        collector.kept = (0, 0);
        for path in paths {
            let walked = walk(root, path, unpack, &mut collector);
            // Whatever was to come, it is not kept any more.
            let walked = if collector.too_much {
                Err(ImageError::TooMuch("more than 1000 files or 16 MiB of configuration are in it"))
            } else {
                walked
            };
            walked.map_err(|error| Unseen {
                why: format!("/{path} cannot be looked into: {error}"),
                damaged: error.is_damage(),
            })?;
        }
        if !collector.want_more() {
            break;
        }
    }
    let names: Vec<String> = collector.held.keys().filter(|name| is_configuration(name)).cloned().collect();
    let mut files = Vec::new();
    for name in names {
        match collector.resolve(&name) {
            Some(text) => files.push((name, text.map(<[u8]>::to_vec))),
            // A link that leads nowhere in the image: the program there finds nothing either.
            None => log::debug!("{name} leads nowhere in {paths:?}"),
        }
    }
    let mut seen = collector.seen;
    seen.run |= collector.unit && collector.wants_unit;
    Ok(Seen { files, ..seen })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_inside_the_image() {
        assert_eq!(target_of("etc/vfio.conf.d/20.conf", "../../opt/a.conf"), "opt/a.conf");
        assert_eq!(target_of("etc/vfio.conf.d/20.conf", "/opt/./a.conf"), "opt/a.conf");
        assert_eq!(target_of("etc/vfio.conf", "../../../up"), "up");
        assert_eq!(target_of("a", "b"), "b");
    }

    fn file(name: String, size: u32) -> Entry {
        Entry { name, mode: 0o10_0644, links: 1, size, inode: (1, 0, 0, 1) }
    }

    /// Regression: all that is called configuration was kept in memory, gigabytes of it.
    #[test]
    fn no_more_is_kept_than_any_image_has() {
        let mut collector = Collector::default();
        let text = vec![b'#'; TEXT_LIMIT as usize];
        for number in 0..1200 {
            let entry = file(format!("etc/vfio.conf.d/{number}.conf"), TEXT_LIMIT);
            if collector.wants(&entry) {
                collector.take(&entry, &text);
            }
        }
        assert!(collector.too_much);
        assert_eq!(collector.held.len(), KEPT_LIMIT / text.len());
        let mut collector = Collector::default();
        let desired =
            (0..5000).filter(|number| collector.wants(&file(format!("etc/vfio.conf.d/{number}.conf"), 1))).count();
        assert_eq!((desired, collector.too_much), (KEPT_FILES, true));
    }

    #[test]
    fn what_is_configuration() {
        for path in ["etc/vfio.conf", "etc/vfio.conf.d/10.conf", "usr/lib/vfio.conf.d/a.conf"] {
            assert!(is_configuration(path), "{path}");
        }
        for path in
            ["etc/vfio.conf.d/.a.conf", "etc/vfio.conf.d/a", "etc/vfio.conf.d/a/b.conf", "run/vfio.conf.d/a.conf"]
        {
            assert!(!is_configuration(path), "{path}");
        }
    }

    #[test]
    fn packings_by_their_first_bytes() {
        assert_eq!(Packing::of(b"\x1f\x8b\x08\0\0\0"), Some(Packing::Gzip));
        assert_eq!(Packing::of(b"\xfd7zXZ\0"), Some(Packing::Xz));
        assert_eq!(Packing::of(b"MZ\x90\0\0\0"), None);
        assert_eq!(Packing::of(b""), None);
    }
}
