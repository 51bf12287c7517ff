// SPDX-License-Identifier: LGPL-2.1-or-later
//! Changing a test tree, confined to it.

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use std::io::{self, Write};
use vfio_suite::root::Root;

/// Where the simulator keeps what plain files cannot say.
const KERNEL: &str = ".kernel";

/// A test tree, for as long as one write lasts. Real writes to one bus are serialised by the kernel's locks; here the
/// processes take turns.
pub(crate) struct Tree<'a> {
    pub(crate) root: &'a Root,
    _lock: OwnedFd,
}

impl<'a> Tree<'a> {
    /// Waits for its turn.
    pub(crate) fn lock(root: &'a Root) -> io::Result<Self> {
        let path = format!("{KERNEL}/lock");
        let flags = OFlags::RDWR | OFlags::CREATE;
        let lock = match root.open_at(&path, flags, Mode::from(0o644)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                make(root, KERNEL)?;
                root.open_at(&path, flags, Mode::from(0o644))?
            }
            lock => lock?,
        };
        rustix::fs::flock(&lock, FlockOperation::LockExclusive)?;
        Ok(Tree { root, _lock: lock })
    }

    /// The permission bits of a file.
    pub(crate) fn mode(&self, path: &str) -> io::Result<u32> {
        Ok(self.root.stat(path)?.st_mode & 0o7777)
    }

    /// Replaces a file's content, or makes the file. A process that is killed leaves the old or the new content, as the
    /// kernel would, never half of it.
    pub(crate) fn put(&self, path: &str, content: &(impl AsRef<[u8]> + ?Sized)) -> io::Result<()> {
        let mode = self.mode(path).unwrap_or(0o644);
        self.make_file(path, content, mode)
    }

    /// The same with these permissions.
    pub(crate) fn make_file(&self, path: &str, content: &(impl AsRef<[u8]> + ?Sized), mode: u32) -> io::Result<()> {
        let new = format!("{KERNEL}/new");
        let fd = self.root.open_at(&new, OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC, Mode::from(0o600))?;
        rustix::fs::fchmod(&fd, Mode::from(mode))?;
        std::fs::File::from(fd).write_all(content.as_ref())?;
        self.rename(&new, path)
    }

    /// Moves a file or directory.
    pub(crate) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, old) = self.root.parent(from)?;
        let (to, new) = self.root.parent(to)?;
        Ok(rustix::fs::renameat(from, old, to, new)?)
    }

    /// Makes the link that sysfs would make at `path` to `to`: relative, by way of /sys. One that is there is replaced.
    pub(crate) fn link(&self, path: &str, to: &str) -> io::Result<()> {
        let up = path.matches('/').count() - 1;
        let target = format!("{}{}", "../".repeat(up), to.strip_prefix("sys/").unwrap_or(to));
        self.unlink(path)?;
        let (parent, name) = self.root.parent(path)?;
        Ok(rustix::fs::symlinkat(target, parent, name)?)
    }

    /// Makes a link that says just this.
    pub(crate) fn symlink(&self, path: &str, target: &str) -> io::Result<()> {
        let (parent, name) = self.root.parent(path)?;
        Ok(rustix::fs::symlinkat(target, parent, name)?)
    }

    /// Removes a directory, if it is there, with all that is in it.
    pub(crate) fn remove_all(&self, path: &str) -> io::Result<()> {
        for name in self.list(path) {
            let below = format!("{path}/{name}");
            match self.unlink(&below) {
                Err(error) if error.kind() == io::ErrorKind::IsADirectory => self.remove_all(&below)?,
                removed => removed?,
            }
        }
        self.rmdir(path)
    }

    /// Removes a file or link, if it is there.
    pub(crate) fn unlink(&self, path: &str) -> io::Result<()> {
        match self.root.parent(path) {
            Ok((parent, name)) => gone(rustix::fs::unlinkat(parent, name, AtFlags::empty())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// Removes a directory if it is there and empty.
    pub(crate) fn rmdir(&self, path: &str) -> io::Result<()> {
        match self.root.parent(path) {
            Ok((parent, name)) => match rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
                Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(()),
                result => gone(result),
            },
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// Makes a directory and those above it.
    pub(crate) fn mkdir(&self, path: &str) -> io::Result<()> {
        make(self.root, path)
    }

    /// The names in a directory, sorted; none if there is no such directory.
    pub(crate) fn list(&self, path: &str) -> Vec<String> {
        self.root.list(path).unwrap_or_default()
    }

    /// The words of the lines of one of the simulator's own files; none if there is no such file.
    pub(crate) fn facts(&self, file: &str) -> io::Result<Vec<Vec<String>>> {
        let text = match self.root.read(&format!("{KERNEL}/{file}")) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            text => text?,
        };
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
        let words = lines.map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        Ok(words.filter(|words| !words.is_empty()).collect())
    }

    /// The words after a key in one of the simulator's own files.
    pub(crate) fn fact(&self, file: &str, key: &str) -> io::Result<Option<Vec<String>>> {
        let line = self.facts(file)?.into_iter().find(|words| words[0] == key);
        Ok(line.map(|words| words[1..].to_vec()))
    }
}

/// Takes "it was not there" for success.
fn gone(result: rustix::io::Result<()>) -> io::Result<()> {
    match result {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

pub(crate) fn make(root: &Root, path: &str) -> io::Result<()> {
    let (parent, name) = match root.parent(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            make(root, path.rsplit_once('/').map_or(path, |(parent, _)| parent))?;
            root.parent(path)?
        }
        parent => parent?,
    };
    match rustix::fs::mkdirat(parent, name, Mode::from(0o755)) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Whether a text matches a pattern of `*` and `?`, as modprobe(8) matches aliases.
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // The last `*` seen, and the text position from which to try again.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        if p < pattern.len() && pattern[p] == b'*' {
            retry = Some((p, t));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == b'?' || pattern[p] == text[t]) {
            (p, t) = (p + 1, t + 1);
        } else if let Some((star, from)) = retry {
            (p, t) = (star + 1, from + 1);
            retry = Some((star, from + 1));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|b| *b == b'*')
}

#[cfg(test)]
mod tests {
    use super::glob;

    #[test]
    fn patterns() {
        let amdgpu = "pci:v00001002d000073BFsv*sd*bc*sc*i*";
        assert!(glob(amdgpu, "pci:v00001002d000073BFsv00001DA2sd0000E445bc03sc00i00"));
        assert!(!glob(amdgpu, "pci:v00001002d000073DFsv00001DA2sd0000E445bc03sc00i00"));
        assert!(glob("*", "") && glob("", "") && glob("a*", "a") && glob("*b*b", "abbb") && glob("a?c", "abc"));
        assert!(!glob("", "a") && !glob("a", "") && !glob("a*b", "abc") && !glob("?", ""));
    }
}
