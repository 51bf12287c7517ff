// SPDX-License-Identifier: LGPL-2.1-or-later
//! The running kernel: every write is made by a child with a deadline.

use super::child;
use super::kernel::Kernel;
use crate::root::Root;
use std::io;
use std::process::{Command, ExitCode, Stdio};
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
        let mut child = Command::new("/proc/self/exe");
        child.args([CHILD, &self.root.show(attribute), value]);
        // It has nothing to say there; left behind, it would keep open what our caller reads to its end.
        child::ask(child.stderr(Stdio::null()), WRITE)
    }

    fn modprobe(&self, module: &str) -> io::Result<()> {
        log::debug!("modprobe {module}");
        let child = Command::new("modprobe").args(["--", module]).stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        match child::wait(child, MODPROBE)? {
            true => Ok(()),
            false => {
                Err(io::Error::other(format!("modprobe cannot load {module} (see the line above, or the kernel log)")))
            }
        }
    }
}

/// If the program was started as the child that writes: writes, and gives its exit code.
pub fn run_as_child() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != CHILD {
        return None;
    }
    let (path, value) = (arguments.next()?, arguments.next()?);
    let mut line = value.into_encoded_bytes();
    // "" would not reach the kernel at all; a newline alone clears an override.
    line.push(b'\n');
    let file = std::fs::File::options().write(true).open(path);
    Some(child::answer(file.and_then(|file| {
        rustix::io::write(&file, &line)?;
        Ok(())
    })))
}
