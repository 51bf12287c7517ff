// SPDX-License-Identifier: LGPL-2.1-or-later
//! One program at a time: between looking at the machine and changing it nobody else of ours may change it.

use super::files;
use crate::root::{Root, RUN};
use rustix::fs::FlockOperation;
use std::fs::File;
use std::io;
use std::time::{Duration, Instant};

/// Holding it, one is alone. It ends with the program, however that ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Longer than any plan takes that does not hang.
const PATIENCE: Duration = Duration::from_secs(90);

impl Lock {
    /// Waits for its turn, 90 seconds at most.
    pub fn take(root: &Root) -> io::Result<Lock> {
        let file = files::append(root, &format!("{RUN}/lock"))?;
        let until = Instant::now() + PATIENCE;
        loop {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Lock { _file: file }),
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
