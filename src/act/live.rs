// SPDX-License-Identifier: LGPL-2.1-or-later
//! The running kernel: every write that can block is made by a child with a deadline.
//!
//! An unbind may wait for ever inside the kernel, in a state that no signal ends. A child that hangs there is left
//! behind; the program itself goes on, reports it, and can still undo what it did elsewhere.

use super::kernel::Kernel;
use crate::root::Root;
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::process::{pidfd_open, Pid, PidfdFlags};
use std::io;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

/// The hidden first argument that makes a program of ours such a child.
const CHILD: &str = "--vfio-sysfs-write";
/// For one write. Unbinding a graphics driver takes seconds at most when nobody holds the card.
const WRITE: Duration = Duration::from_secs(30);
/// For loading a module with its firmware.
const MODPROBE: Duration = Duration::from_secs(60);

/// The running kernel.
#[derive(Debug)]
pub struct LiveKernel<'a> {
    root: &'a Root,
}

impl<'a> LiveKernel<'a> {
    /// The kernel of the system's root.
    pub fn new(root: &'a Root) -> Self {
        LiveKernel { root }
    }
}

impl Kernel for LiveKernel<'_> {
    fn write(&self, attribute: &str, value: &str) -> io::Result<()> {
        log::debug!("{attribute} <- '{value}'");
        let child = Command::new("/proc/self/exe")
            .args([CHILD, &self.root.show(attribute), value])
            .stdin(Stdio::null())
            .spawn()?;
        match wait(child, WRITE)? {
            Some(0) => Ok(()),
            Some(errno) => Err(io::Error::from_raw_os_error(errno)),
            None => Err(io::Error::other("the child that writes was killed")),
        }
    }

    fn modprobe(&self, module: &str) -> io::Result<()> {
        log::debug!("modprobe {module}");
        let child = Command::new("modprobe").args(["--", module]).stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        match wait(child, MODPROBE)? {
            Some(0) => Ok(()),
            _ => {
                Err(io::Error::other(format!("modprobe cannot load {module} (see the line above, or the kernel log)")))
            }
        }
    }
}

/// Waits for a child, but not longer than this: its exit code, or none if a signal ended it.
fn wait(mut child: Child, deadline: Duration) -> io::Result<Option<i32>> {
    let late = || {
        io::Error::new(io::ErrorKind::TimedOut, format!("the kernel has not answered within {} s", deadline.as_secs()))
    };
    if let Ok(pid) = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()) {
        let mut fds = [PollFd::new(&pid, PollFlags::IN)];
        let timeout = Timespec { tv_sec: i64::try_from(deadline.as_secs()).unwrap_or(i64::MAX), tv_nsec: 0 };
        if poll(&mut fds, Some(&timeout))? == 0 {
            // It may not even take this signal. It is ours to leave behind; systemd keeps it in our cgroup.
            let _ = child.kill();
            return Err(late());
        }
    }
    Ok(child.wait()?.code())
}

/// If the program was started as the child that writes, writes and gives its exit code: 0, or the errno.
pub fn run_as_child() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != CHILD {
        return None;
    }
    let errno = match (arguments.next(), arguments.next()) {
        (Some(path), Some(value)) => {
            let mut line = value.into_encoded_bytes();
            // "" would not reach the kernel at all; a newline alone clears an override.
            line.push(b'\n');
            let written =
                std::fs::File::options().write(true).open(path).and_then(|file| Ok(rustix::io::write(&file, &line)?));
            written.err().map_or(0, |e| e.raw_os_error().unwrap_or(libc_eio()))
        }
        _ => libc_eio(),
    };
    // An errno that does not fit an exit status (ENOTSUPP, 524) becomes EOPNOTSUPP.
    Some(ExitCode::from(u8::try_from(errno).unwrap_or(rustix::io::Errno::OPNOTSUPP.raw_os_error() as u8)))
}

fn libc_eio() -> i32 {
    rustix::io::Errno::IO.raw_os_error()
}
