// SPDX-License-Identifier: LGPL-2.1-or-later
//! Images are unpacked by the system's programs, which are there wherever such an image was packed. They get a file and
//! give a pipe; no more is read of it than the reader's limits allow, and a program that takes too long is ended.

use crate::host::initramfs::error::UnpackError;
use crate::host::initramfs::image::{Packing, Unpack};
use crate::root::Root;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// xz needs ten seconds for a large image on a slow machine.
const DEADLINE: Duration = Duration::from_secs(120);

/// What unpacks the images of a root.
pub fn unpacker_for(root: &Root) -> Box<dyn Unpack> {
    if root.is_system() {
        Box::new(Programs)
    } else {
        Box::new(Nobody)
    }
}

/// The system's programs.
#[derive(Debug)]
pub struct Programs;

/// In a test tree no program of the system runs.
#[derive(Debug)]
struct Nobody;

impl Unpack for Nobody {
    fn unpack(&self, packing: Packing, _: File) -> Result<Box<dyn Read>, UnpackError> {
        Err(UnpackError::TestTree { command: unpacker(packing).join(" ") })
    }
}

fn unpacker(packing: Packing) -> &'static [&'static str] {
    match packing {
        Packing::Gzip => &["gzip", "-dc"],
        Packing::Xz => &["xz", "-dc"],
        Packing::Lzma => &["xz", "-dc", "--format=lzma"],
        // Images may be packed with a larger window than the program takes by itself.
        Packing::Zstd => &["zstd", "-dcq", "--long=31"],
        Packing::Lz4 => &["lz4", "-dc"],
        Packing::Bzip2 => &["bzip2", "-dc"],
        Packing::Lzo => &["lzop", "-dc"],
    }
}

impl Unpack for Programs {
    fn unpack(&self, packing: Packing, file: File) -> Result<Box<dyn Read>, UnpackError> {
        let words = unpacker(packing);
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).env("LC_ALL", "C.UTF-8").stdin(file).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => UnpackError::NoProgram { program: words[0] },
            _ => error.into(),
        })?;
        let pipe = child.stdout.take().ok_or_else(|| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(Box::new(Unpacked { program: words[0], child, pipe, until: Instant::now() + DEADLINE, over: false }))
    }
}

/// What a program unpacks.
struct Unpacked {
    program: &'static str,
    child: Child,
    pipe: ChildStdout,
    until: Instant,
    over: bool,
}

impl Read for Unpacked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.over {
            return Ok(0);
        }
        let left = self.until.saturating_duration_since(Instant::now());
        let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        if poll(&mut [PollFd::new(self.pipe.as_fd(), PollFlags::POLLIN)], left)? == 0 {
            return Err(UnpackError::Slow { program: self.program, seconds: DEADLINE.as_secs() }.into());
        }
        let read = self.pipe.read(buffer)?;
        if read == 0 && !buffer.is_empty() {
            self.over = true;
            // Its pipe is closed: it ends now. What was unpacked before an error may be all there is: gzip warns of bytes
            // after the end and answers 2.
            let status = self.child.wait()?;
            let warned = self.program == "gzip" && status.code() == Some(2);
            if !status.success() && !warned {
                return Err(UnpackError::Failed { program: self.program }.into());
            }
        }
        Ok(read)
    }
}

impl Drop for Unpacked {
    fn drop(&mut self) {
        if !self.over {
            // Nobody reads on. It has ended, or ends by this; either way nothing is left to do.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
