// SPDX-License-Identifier: LGPL-2.1-or-later
//! Writes the archive that the kernel unpacks as its first file system ("newc", see the kernel's
//! Documentation/driver-api/early-userspace/buffer-format.rst). Everything in it belongs to root.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// An archive being written. Several may follow one another in one initramfs; a later file replaces an earlier one.
#[derive(Default)]
pub struct Archive {
    bytes: Vec<u8>,
    count: u32,
    dirs: BTreeSet<String>,
}

impl Archive {
    /// Adds a directory, after those above it.
    pub fn dir(&mut self, path: &str) {
        let path = path.trim_matches('/');
        if path.is_empty() || self.dirs.contains(path) {
            return;
        }
        if let Some((above, _)) = path.rsplit_once('/') {
            self.dir(above);
        }
        self.dirs.insert(path.to_owned());
        self.member(path, 0o040755, &[]);
    }

    /// Adds a file.
    pub fn file(&mut self, path: &str, mode: u32, content: &[u8]) {
        self.above(path);
        self.member(path, 0o100000 | mode, content);
    }

    /// Adds a symbolic link.
    pub fn link(&mut self, path: &str, target: &str) {
        self.above(path);
        self.member(path, 0o120777, target.as_bytes());
    }

    /// Adds everything below a directory of the host, as `path`.
    pub fn tree(&mut self, path: &str, from: &Path) -> std::io::Result<()> {
        self.dir(path);
        let mut entries = std::fs::read_dir(from)?.collect::<std::io::Result<Vec<_>>>()?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let path = format!("{path}/{}", entry.file_name().to_string_lossy());
            let kind = entry.file_type()?;
            if kind.is_dir() {
                self.tree(&path, &entry.path())?;
            } else if kind.is_symlink() {
                self.link(&path, &std::fs::read_link(entry.path())?.to_string_lossy());
            } else {
                self.file(&path, entry.metadata()?.permissions().mode() & 0o777, &std::fs::read(entry.path())?);
            }
        }
        Ok(())
    }

    /// The finished archive, padded so that another may follow.
    pub fn finish(mut self) -> Vec<u8> {
        self.member("TRAILER!!!", 0, &[]);
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
        self.bytes
    }

    fn above(&mut self, path: &str) {
        if let Some((above, _)) = path.trim_start_matches('/').rsplit_once('/') {
            self.dir(above);
        }
    }

    fn member(&mut self, path: &str, mode: u32, content: &[u8]) {
        let path = path.trim_start_matches('/');
        self.count += 1;
        // magic; ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
        let fields = [self.count, mode, 0, 0, 1, 0, content.len() as u32, 0, 0, 0, 0, path.len() as u32 + 1, 0];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self.bytes.extend_from_slice(content);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}
