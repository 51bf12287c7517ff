// SPDX-License-Identifier: LGPL-2.1-or-later
//! The one place that knows paths: the system itself ("/") or a test tree.
//!
//! All other code names files relative to the root, without a leading slash. In a test tree every path is resolved by
//! the kernel inside that tree (`openat2(2)`, `RESOLVE_IN_ROOT`): an absolute link in a recorded machine stays in it.

use crate::trace::{Look, Trace};
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, RawDirEntry, ResolveFlags, Statx, StatxFlags};
use std::ffi::{CStr, OsString};
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// Where configuration is read: main file, then drop-in directories from the weakest to the strongest.
pub const CONFIG_FILE: &str = "etc/vfio.conf";
/// The drop-in directories, weakest first; of two files with one name the later directory's counts.
pub const CONFIG_DIRS: [&str; 3] = ["usr/lib/vfio.conf.d", "run/vfio.conf.d", "etc/vfio.conf.d"];
/// One link per PCI function.
pub const PCI_DEVICES: &str = "sys/bus/pci/devices";
/// One directory per PCI driver.
pub const PCI_DRIVERS: &str = "sys/bus/pci/drivers";
/// One directory per driver of the platform bus.
pub const PLATFORM_DRIVERS: &str = "sys/bus/platform/drivers";
/// The PCI bus itself: `drivers_probe`, `drivers_autoprobe`, `rescan`.
pub const PCI_BUS: &str = "sys/bus/pci";
/// One directory per IOMMU group.
pub const IOMMU_GROUPS: &str = "sys/kernel/iommu_groups";
/// Run state, gone at reboot.
pub const RUN: &str = "run/vfio";
/// Kept state.
pub const STATE: &str = "var/lib/vfio";
/// The variable that names a test tree for programs that take no `--root`.
pub const ROOT_VARIABLE: &str = "VFIO_ROOT";

/// No file that we read is larger than this, in bytes, unless the reader says otherwise.
const READ_LIMIT: u64 = 1 << 20;
/// No link says more (PATH_MAX, `include/uapi/linux/limits.h`).
const PATH_LIMIT: usize = 4096;

/// How often a path in a test tree is tried that is resolved while something is renamed.
const RACES: u32 = 10_000;

/// File systems in memory: tmpfs, ramfs (`include/uapi/linux/magic.h`).
const IN_MEMORY: [rustix::fs::FsWord; 2] = [0x0102_1994, 0x8584_58f6];

/// What is left of a file system.
#[derive(Debug, Clone, Copy)]
pub struct FileSystem {
    /// Whether nothing can be written to it.
    pub read_only: bool,
    /// How many blocks are free.
    pub blocks: u64,
    /// Whether it is gone at the next boot.
    pub in_memory: bool,
}

/// The root of all paths: the system's "/" or a test tree.
#[derive(Debug)]
pub struct Root {
    fd: OwnedFd,
    path: PathBuf,
    system: bool,
    /// Where every look is noted, if somebody wants to know.
    trace: Option<Trace>,
}

impl Root {
    /// Opens a root. "/" is the system; anything else is a test tree, from which nothing escapes.
    pub fn open(path: &Path) -> io::Result<Self> {
        let fd = rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let system = path == Path::new("/");
        let path = if system { PathBuf::from("/") } else { path.canonicalize()? };
        Ok(Root { fd, system: system || path == Path::new("/"), path, trace: None })
    }

    /// The same root, with a note of every look.
    #[must_use]
    pub fn traced(self) -> Root {
        Root { trace: Some(Trace::default()), ..self }
    }

    /// What was looked at, where it is noted.
    pub fn trace(&self) -> Option<&Trace> {
        self.trace.as_ref()
    }

    fn note(&self, path: &str, look: Look) {
        if let Some(trace) = &self.trace {
            trace.note(path, look);
        }
    }

    /// The root that `--root` or the environment names, else "/".
    pub fn from_option(option: Option<&Path>) -> io::Result<Self> {
        match (option, std::env::var_os(ROOT_VARIABLE)) {
            (Some(path), _) => Root::open(path),
            (None, Some(path)) if !path.is_empty() => Root::open(Path::new(&path)),
            _ => Root::open(Path::new("/")),
        }
    }

    /// Whether this is the running system. In a test tree no process is touched and no tool is run.
    pub fn is_system(&self) -> bool {
        self.system
    }

    /// The path of the root itself, for a person to read.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path below the root as a person would write it: absolute on the system, below the tree's path otherwise.
    pub fn show(&self, path: &str) -> String {
        self.path.join(path).display().to_string()
    }

    /// Opens a file below the root. Links are followed, but never out of a test tree.
    pub fn open_at(&self, path: &str, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
        self.note(path, if flags.contains(OFlags::PATH) { Look::Place } else { Look::Content });
        // openat2() refuses with O_PATH what open() would ignore.
        let flags =
            flags | OFlags::CLOEXEC | if flags.contains(OFlags::PATH) { OFlags::empty() } else { OFlags::NOCTTY };
        if self.system {
            return Ok(rustix::fs::openat(&self.fd, path, flags, mode)?);
        }
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        // The kernel cannot be sure of a ".." while anything anywhere is renamed or mounted, and says EAGAIN.
        for _ in 0..RACES {
            match rustix::fs::openat2(&self.fd, path, flags, mode, resolve) {
                Err(rustix::io::Errno::AGAIN) => std::thread::yield_now(),
                opened => return Ok(opened?),
            }
        }
        Err(rustix::io::Errno::AGAIN.into())
    }

    /// The directory that holds `path`, opened, and the last part of `path`.
    pub fn parent<'a>(&self, path: &'a str) -> io::Result<(OwnedFd, &'a str)> {
        let (parent, name) = path.rsplit_once('/').unwrap_or((".", path));
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        Ok((self.open_at(parent, flags, Mode::empty())?, name))
    }

    /// Opens a regular file, or one of the kernel's, for reading; never waits for a FIFO's writer.
    pub fn open_file(&self, path: &str) -> io::Result<std::fs::File> {
        Ok(self.open_at(path, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty())?.into())
    }

    /// Opens a regular file and nothing else, whatever a path leads to that somebody else wrote down. What it is is asked
    /// before it is opened: opening a watchdog starts it, opening a tape rewinds it.
    ///
    /// # Errors
    /// `InvalidInput` with a sentence for what is not a regular file.
    pub fn open_regular(&self, path: &str) -> io::Result<std::fs::File> {
        self.note(path, Look::Content);
        let place = self.open_at(path, OFlags::PATH, Mode::empty())?;
        if !FileType::from_raw_mode(rustix::fs::fstat(&place)?.st_mode).is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
        }
        // The file that was looked at, whatever its path leads to by now.
        let path = format!("/proc/self/fd/{}", place.as_raw_fd());
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
    }

    /// The bytes of a regular file of at most 1 MiB; a larger one is `InvalidData`, what is not a file `InvalidInput`.
    pub fn read_regular(&self, path: &str) -> io::Result<Vec<u8>> {
        up_to_limit(self.open_regular(path)?)
    }

    /// The bytes of a file of at most 1 MiB; a larger one is `InvalidData`.
    pub fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        up_to_limit(self.open_file(path)?)
    }

    /// Reads a small kernel attribute into `buffer` with a single read; what was read is returned.
    pub fn read_into<'b>(&self, path: &str, buffer: &'b mut [u8]) -> io::Result<&'b [u8]> {
        let file = self.open_at(path, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty())?;
        let n = rustix::io::read(&file, &mut *buffer)?;
        Ok(&buffer[..n])
    }

    /// Opens a directory of attributes, to read several of them without walking to each.
    pub fn attributes(&self, path: &str) -> io::Result<Attributes<'_>> {
        let fd = self.open_at(path, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
        Ok(Attributes { fd, trace: self.trace.as_ref().map(|trace| (trace, path.to_owned())) })
    }

    /// The text of a small attribute without its trailing newline.
    pub fn read_text(&self, path: &str) -> io::Result<String> {
        let mut text = String::from_utf8_lossy(&self.read(path)?).into_owned();
        text.truncate(text.trim_end().len());
        Ok(text)
    }

    /// What a link says, unresolved.
    pub fn read_link(&self, path: &str) -> io::Result<PathBuf> {
        self.note(path, Look::Place);
        let target = if self.system {
            rustix::fs::readlinkat(&self.fd, path, Vec::new())?
        } else {
            let (parent, name) = self.parent(path)?;
            rustix::fs::readlinkat(parent, name, Vec::new())?
        };
        Ok(PathBuf::from(OsString::from_vec(target.into_bytes())))
    }

    /// The last part of what a link says: the driver's name for `.../driver`, the group's number for `.../iommu_group`.
    pub fn link_name(&self, path: &str) -> io::Result<String> {
        let target = self.read_link(path)?;
        Ok(target.file_name().unwrap_or_default().to_string_lossy().into_owned())
    }

    /// Whether something is there; a dangling link is not.
    pub fn exists(&self, path: &str) -> bool {
        self.open_at(path, OFlags::PATH, Mode::empty()).is_ok()
    }

    /// Owner, mode and the like of what `path` leads to.
    pub fn stat(&self, path: &str) -> io::Result<rustix::fs::Stat> {
        let fd = self.open_at(path, OFlags::PATH, Mode::empty())?;
        let mut stat = rustix::fs::fstat(fd)?;
        if !self.system {
            // That of a tree's own file is when it was unpacked.
            (stat.st_ctime, stat.st_ctime_nsec) = (stat.st_mtime, stat.st_mtime_nsec);
        }
        Ok(stat)
    }

    /// When what is at `path` was changed last, in seconds since 1970: of a link the link itself, and not what it leads to.
    pub fn changed(&self, path: &str) -> io::Result<i64> {
        self.note(path, Look::Place);
        let (parent, name) = self.parent(path)?;
        let stat = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
        // As with `stat`.
        Ok(if self.system { stat.st_ctime } else { stat.st_mtime })
    }

    /// When what is at `path` was made, in seconds since 1970; not every file system knows (statx(2), `stx_btime`). In a test tree
    /// the time of its last change.
    pub fn made(&self, path: &str) -> Option<i64> {
        if !self.system {
            return self.changed(path).ok();
        }
        self.note(path, Look::Place);
        let (parent, name) = self.parent(path).ok()?;
        let stat = rustix::fs::statx(parent, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BTIME).ok()?;
        (stat.stx_mask & StatxFlags::BTIME.bits() != 0).then_some(stat.stx_btime.tv_sec)
    }

    /// What is left of the file system that `path` is on.
    pub fn room(&self, path: &str) -> io::Result<FileSystem> {
        let fd = self.open_at(path, OFlags::PATH, Mode::empty())?;
        let (room, kind) = (rustix::fs::fstatvfs(&fd)?, rustix::fs::fstatfs(&fd)?);
        Ok(FileSystem {
            read_only: room.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY),
            // What root may still write counts.
            blocks: room.f_bfree,
            in_memory: IN_MEMORY.contains(&kind.f_type),
        })
    }

    /// The owner and group of the root directory itself: in a test tree they stand for root's.
    pub fn owner(&self) -> io::Result<(u32, u32)> {
        let stat = rustix::fs::fstat(&self.fd)?;
        Ok((stat.st_uid, stat.st_gid))
    }

    /// Calls `each` with every name in a directory, in no order, as bytes.
    pub fn for_each_name(&self, path: &str, mut each: impl FnMut(&[u8])) -> io::Result<()> {
        self.names_until(path, &mut |name| {
            each(name);
            false
        })
    }

    /// Whether a directory is there and has anything in it.
    pub fn holds_anything(&self, path: &str) -> bool {
        let mut any = false;
        let listed = self.names_until(path, &mut |_| {
            any = true;
            true
        });
        listed.is_ok() && any
    }

    /// Calls `each` with what every link in a directory says, unresolved, in no order, as bytes, and the link itself. A link
    /// that is gone meanwhile is left out.
    pub fn for_each_link(&self, path: &str, mut each: impl FnMut(&[u8], &Linked<'_>)) -> io::Result<()> {
        let mut target = [0; PATH_LIMIT];
        self.entries_until(path, &mut |dir, entry| {
            let name = entry.file_name();
            if let Ok(length) = rustix::fs::readlinkat_raw(dir, name, &mut target[..]) {
                each(&target[..length], &Linked { dir, name });
            }
            false
        })
    }

    /// What a link of the kernel's leads to, as [`Linked::stat`]. On the running system only.
    pub fn stat_linked(&self, directory: &str, name: &str) -> io::Result<Statx> {
        let dir = self.open_at(directory, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
        Ok(statx_type(&dir, name)?)
    }

    /// The names of the directories in a directory, sorted; links to directories are none.
    pub fn directories(&self, path: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        self.entries_until(path, &mut |dir, entry| {
            let name = entry.file_name();
            let is_directory = match entry.file_type() {
                // Not every file system says so itself (getdents(2)).
                FileType::Unknown => rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)
                    .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode).is_dir()),
                known => known.is_dir(),
            };
            if is_directory {
                names.extend(name.to_str().map(str::to_owned));
            }
            false
        })?;
        names.sort_unstable();
        Ok(names)
    }

    /// Names in a directory until `enough` says so.
    fn names_until(&self, path: &str, enough: &mut dyn FnMut(&[u8]) -> bool) -> io::Result<()> {
        self.entries_until(path, &mut |_, entry| enough(entry.file_name().to_bytes()))
    }

    /// What is in a directory, without itself and the one above, until `enough` says so, which has the directory to look
    /// closer at an entry.
    fn entries_until(&self, path: &str, enough: &mut dyn FnMut(&OwnedFd, &RawDirEntry<'_>) -> bool) -> io::Result<()> {
        let dir = self.open_at(path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
        let mut buffer = [std::mem::MaybeUninit::uninit(); 8192];
        let mut entries = RawDir::new(dir.as_fd(), &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") && enough(&dir, &entry) {
                break;
            }
        }
        Ok(())
    }

    /// The names in a directory, sorted. Names that are not UTF-8 are left out: none of ours or the kernel's is.
    pub fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        self.for_each_name(path, |name| names.extend(std::str::from_utf8(name).map(str::to_owned)))?;
        names.sort_unstable();
        Ok(names)
    }
}

/// A link in a directory.
#[derive(Debug)]
pub struct Linked<'a> {
    dir: &'a OwnedFd,
    name: &'a CStr,
}

impl Linked<'_> {
    /// The link's own name.
    pub fn name(&self) -> &str {
        self.name.to_str().unwrap_or_default()
    }

    /// What it leads to: type and, of a device, number. Nothing else is asked for, and nobody's server: a file system in user
    /// space answers from what the kernel has. The link is followed out of a test tree, so only the running system's may be.
    pub fn stat(&self) -> Result<Statx, rustix::io::Errno> {
        statx_type(self.dir, self.name)
    }
}

fn statx_type(dir: &OwnedFd, name: impl rustix::path::Arg) -> Result<Statx, rustix::io::Errno> {
    rustix::fs::statx(dir, name, AtFlags::STATX_DONT_SYNC, StatxFlags::TYPE)
}

fn up_to_limit(file: std::fs::File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(READ_LIMIT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > READ_LIMIT {
        Err(io::Error::new(io::ErrorKind::InvalidData, "larger than 1 MiB"))
    } else {
        Ok(bytes)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_test_tree_is_looked_at_without_opening_what_is_in_it() {
        let tree = tempfile::tempdir().unwrap();
        std::fs::create_dir(tree.path().join("etc")).unwrap();
        std::os::unix::fs::symlink("/etc", tree.path().join("link")).unwrap();
        std::os::unix::fs::symlink("/nowhere", tree.path().join("etc/dangling")).unwrap();
        let root = Root::open(tree.path()).unwrap();
        assert!(root.exists("etc") && root.exists("link"));
        assert!(!root.exists("usr") && !root.exists("etc/dangling"));
        assert_eq!(root.stat("link").unwrap().st_ino, root.stat("etc").unwrap().st_ino);
        // The link's target is inside the tree: it is not the system's /etc, which has more in it.
        assert_eq!(root.list("link").unwrap(), ["dangling"]);
        assert_eq!(root.read_link("etc/dangling").unwrap(), Path::new("/nowhere"));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod regular_tests {
    use super::*;

    /// Regression: a device that a path of somebody else's led to was opened to see what it is.
    #[test]
    fn nothing_but_a_regular_file_is_opened() {
        let tree = tempfile::tempdir().unwrap();
        std::fs::write(tree.path().join("file"), "x").unwrap();
        std::os::unix::fs::symlink("/file", tree.path().join("link")).unwrap();
        let fifo = tree.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, Mode::RUSR, 0).unwrap();
        let root = Root::open(tree.path()).unwrap();
        assert_eq!(
            (root.read_regular("file").unwrap(), root.read_regular("link").unwrap()),
            (b"x".to_vec(), b"x".to_vec())
        );
        for path in ["fifo", "."] {
            assert_eq!(root.read_regular(path).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{path}");
        }
        let system = Root::open(Path::new("/")).unwrap();
        for path in ["dev/null", "dev/zero"] {
            assert_eq!(system.read_regular(path).unwrap_err().to_string(), "it is not a regular file", "{path}");
        }
        // Nobody has it open for reading: to open it for writing would work otherwise.
        let write = OFlags::WRONLY | OFlags::NONBLOCK;
        assert_eq!(rustix::fs::open(&fifo, write, Mode::empty()).unwrap_err(), rustix::io::Errno::NXIO);
    }
}

/// A directory of attributes in sysfs.
#[derive(Debug)]
pub struct Attributes<'r> {
    fd: OwnedFd,
    /// Where looks are noted, and the path of the directory.
    trace: Option<(&'r Trace, String)>,
}

impl Attributes<'_> {
    fn note(&self, name: &str, look: Look) {
        if let Some((trace, path)) = &self.trace {
            trace.note(&format!("{path}/{name}"), look);
        }
    }

    /// Reads a small attribute into `buffer` with a single read. An attribute is a file: a link is not followed.
    pub fn read_into<'b>(&self, name: &str, buffer: &'b mut [u8]) -> io::Result<&'b [u8]> {
        self.note(name, Look::Content);
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.fd, name, flags, Mode::empty())?;
        let n = rustix::io::read(&file, &mut *buffer)?;
        Ok(&buffer[..n])
    }

    /// The last part of what a link says.
    pub fn link_name<'b>(&self, name: &str, buffer: &'b mut [u8]) -> io::Result<&'b [u8]> {
        self.note(name, Look::Place);
        let n = rustix::fs::readlinkat_raw(&self.fd, name, &mut *buffer)?;
        let target = &buffer[..n];
        let at = target.iter().rposition(|b| *b == b'/').map_or(0, |at| at + 1);
        Ok(&target[at..])
    }
}
