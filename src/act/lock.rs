// SPDX-License-Identifier: LGPL-2.1-or-later
//! One program at a time: between looking at the machine and changing it nobody else of ours may change it.

use super::files;
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

/// Longer than any plan takes that does not hang.
const PATIENCE: Duration = Duration::from_secs(90);

impl Lock {
    /// Waits for its turn, 90 seconds at most.
    pub fn take(root: &Root) -> io::Result<Lock> {
        let lock = Lock::take_within(root, &format!("{RUN}/lock"), PATIENCE)?;
        // Children inherit it.
        rustix::io::fcntl_setfd(&lock.file, FdFlags::empty())?;
        Ok(lock)
    }

    /// A lock of this path, which children do not inherit. Waits so long at most; `TimedOut` then.
    pub fn take_within(root: &Root, path: &str, patience: Duration) -> io::Result<Lock> {
        let file = files::append(root, path)?;
        let until = Instant::now() + patience;
        loop {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Lock { file }),
                Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    return Err(io::Error::new(io::ErrorKind::TimedOut, "another vfio program is still at work"));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}
