// SPDX-License-Identifier: LGPL-2.1-or-later
//! One program at a time: between looking at the machine and changing it nobody else of ours may change it.

use super::files;
use crate::host::process;
use crate::root::{Root, RUN};
use rustix::fs::FlockOperation;
use rustix::io::FdFlags;
use std::fs::File;
use std::io;
use std::time::{Duration, Instant};

/// Holding it, one is alone. It ends with the program, however that ends, and with its children: a program that is
/// killed leaves behind a child for which the kernel is still at work, and until that has ended nobody can know what
/// there is to undo.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Drop for Lock {
    /// A program that ends by itself gives the lock back even if the kernel hangs over one function: the others' cards
    /// must not wait for that. Closing alone would not do, for the child that hangs has the file open.
    fn drop(&mut self) {
        // The kernel gives it back in any case, when the last process ends.
        let _ = rustix::fs::flock(&self.file, FlockOperation::Unlock);
    }
}

/// Why a lock could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another program has it, for longer than was waited.
    #[error("another vfio program is still at work")]
    Busy,
    /// Its file cannot be opened or locked.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<LockError> for io::Error {
    fn from(error: LockError) -> io::Error {
        match error {
            LockError::Io(error) => error,
            busy @ LockError::Busy => io::Error::new(io::ErrorKind::WouldBlock, busy),
        }
    }
}

impl LockError {
    /// The error with what to do.
    pub fn sentence(&self) -> String {
        match self {
            LockError::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                format!("{error}; run this as root")
            }
            other => other.to_string(),
        }
    }
}

/// Longer than any plan takes that does not hang.
const PATIENCE: Duration = Duration::from_secs(90);

impl Lock {
    /// Waits for its turn, 90 seconds at most.
    pub fn take(root: &Root) -> Result<Lock, LockError> {
        let lock = Lock::take_within(root, &format!("{RUN}/lock"), PATIENCE)?;
        // Children inherit it.
        rustix::io::fcntl_setfd(&lock.file, FdFlags::empty()).map_err(io::Error::from)?;
        Ok(lock)
    }

    /// A lock of this path, which children do not inherit. Waits for at most `patience`.
    pub fn take_within(root: &Root, path: &str, patience: Duration) -> Result<Lock, LockError> {
        let file = files::append(root, path)?;
        let until = Instant::now() + patience;
        loop {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Lock { file }),
                Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    return Err(LockError::Busy);
                }
                Err(error) => return Err(io::Error::from(error).into()),
            }
        }
    }
}

/// Who has a lock, if the kernel tells (proc_locks(5)), and whether that process is stopped: then it will never give it back by
/// itself.
pub fn holder(root: &Root, path: &str) -> Option<(u32, bool)> {
    let stat = root.stat(path).ok()?;
    let (major, minor) = (rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev));
    let file = format!("{major:02x}:{minor:02x}:{}", stat.st_ino);
    let locks = root.read_text("proc/locks").ok()?;
    // `1: FLOCK  ADVISORY  WRITE PID MAJOR:MINOR:INODE 0 EOF`; one that waits has an arrow before it.
    let of_file = |line: &str| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let (kind, process) = (fields.next()?, fields.nth(2)?);
        (kind == "FLOCK" && fields.next() == Some(&file)).then(|| process.parse().ok()).flatten()
    };
    let process: u32 = locks.lines().find_map(of_file)?;
    Some((process, process::is_stopped(root, process)))
}
