// SPDX-License-Identifier: LGPL-2.1-or-later
//! The running kernel: every write is made by a child, with a deadline.

use crate::act::backend::child;
use crate::act::backend::kernel::{Kernel, KernelError};
use crate::aside::is_called;
use crate::host::holders;
use crate::root::Root;
use rustix::io::Errno;
use rustix::stdio::stdin;
use std::cell::RefCell;
use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::time::Duration;

/// The name under which a program of ours is such a child. No argument makes it one: others choose those, libvirt the
/// hook's.
const CHILD: &str = "vfio-sysfs-writer";
/// For one write. Unbinding a graphics driver takes seconds at most when nobody holds the card.
const WRITE: Duration = Duration::from_secs(30);
/// No path and value together are longer: a page, as which a pipe takes it in one piece.
const REQUEST: usize = 4096;
/// For loading a module with its firmware.
const MODPROBE: Duration = Duration::from_secs(60);

/// The running kernel. Its writes share a child until one hangs, which then is left behind: the next has a new one.
///
/// A child has the lock that was held when it was started. So each of these lives no longer than the lock.
#[derive(Debug)]
pub struct LiveKernel<'a> {
    root: &'a Root,
    writer: RefCell<Option<Writer>>,
}

impl<'a> LiveKernel<'a> {
    /// The kernel of the system's root.
    pub fn new(root: &'a Root) -> Self {
        LiveKernel { root, writer: RefCell::new(None) }
    }
}

impl Kernel for LiveKernel<'_> {
    fn write(&self, attribute: &str, value: &str) -> Result<(), KernelError> {
        log::debug!("{attribute} <- '{value}'");
        let mut place = self.writer.borrow_mut();
        let mut writer = match place.take() {
            Some(writer) => writer,
            None => Writer::start(Command::new("/proc/self/exe").arg0(CHILD))?,
        };
        // Nothing would not reach the kernel at all; an end of line alone clears an override.
        let errno = writer.ask(&[&self.root.show(attribute), "\0", value, "\n"].concat(), WRITE)?;
        *place = Some(writer);
        match errno {
            0 => Ok(()),
            errno => Err(io::Error::from_raw_os_error(errno).into()),
        }
    }

    fn read(&self, attribute: &str, most: u64) -> Result<Vec<u8>, KernelError> {
        let mut bytes = Vec::new();
        self.root.open_file(attribute)?.take(most).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn modprobe(&self, module: &str) -> Result<(), KernelError> {
        log::debug!("modprobe {module}");
        let child = Command::new("modprobe").args(["--", module]).stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        match child::wait(child, MODPROBE)? {
            Some(true) => Ok(()),
            Some(false) => Err(KernelError::Module { module: module.to_owned() }),
            None => Err(KernelError::NoAnswer { deadline: MODPROBE }),
        }
    }
}

/// A child that makes the writes it is told to. A request is a path, a NUL, and what is written there; the answer is the
/// kernel's errno, or 0.
#[derive(Debug)]
struct Writer {
    child: Child,
    // In an `Option` only to be closed first.
    to: Option<ChildStdin>,
    from: ChildStdout,
}

impl Writer {
    fn start(command: &mut Command) -> io::Result<Writer> {
        // It has nothing to say on standard error; left behind, it would keep open what our caller reads to its end.
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        match (child.stdin.take(), child.stdout.take()) {
            (to @ Some(_), Some(from)) => Ok(Writer { child, to, from }),
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// What the kernel said; an error if it says nothing in time, or the child is not there any more.
    fn ask(&mut self, request: &str, deadline: Duration) -> Result<i32, KernelError> {
        if let Some(to) = &mut self.to {
            to.write_all(request.as_bytes())?;
        }
        let came = child::wait_for(&self.from, deadline);
        if matches!(came, Ok(true)) {
            return read_errno(&mut self.from);
        }
        self.leave();
        came?;
        Err(KernelError::NoAnswer { deadline })
    }

    /// Leaves a child behind for which the kernel is at work.
    fn leave(&mut self) {
        // It may not even take this signal. systemd keeps it in our cgroup.
        let _ = self.child.kill();
        self.to = None;
    }
}

impl Drop for Writer {
    /// Lets it end, and sees it off.
    fn drop(&mut self) {
        if self.to.take().is_some() {
            let _ = self.child.wait();
        }
    }
}

/// What a child says: an errno in the machine's own bytes, 0 for none. An exit status could not hold all of the kernel's.
fn read_errno(pipe: &mut ChildStdout) -> Result<i32, KernelError> {
    let mut errno = [0; size_of::<i32>()];
    // It comes as a whole, or not at all.
    if pipe.read(&mut errno)? != errno.len() {
        return Err(KernelError::Killed);
    }
    Ok(i32::from_ne_bytes(errno))
}

/// Writes that to the program that started us.
fn write_errno(result: &io::Result<()>) -> io::Result<()> {
    let errno = match result {
        Ok(()) => 0,
        Err(error) => error.raw_os_error().unwrap_or(Errno::IO.raw_os_error()),
    };
    rustix::io::write(rustix::stdio::stdout(), &errno.to_ne_bytes())?;
    Ok(())
}

/// If the program was started as a child, the one that writes or the one that looks at processes: does so, and gives its
/// exit code.
pub fn run_as_child() -> Option<ExitCode> {
    holders::run_as_child().or_else(run_as_writer)
}

fn run_as_writer() -> Option<ExitCode> {
    if !is_called(CHILD) || std::env::args_os().len() != 1 {
        return None;
    }
    let mut request = [0; REQUEST];
    // Who asks waits for the answer, so that each request comes by itself. It ends with them, also if they were killed.
    loop {
        let length = rustix::io::read(stdin(), &mut request).unwrap_or(0);
        let mut parts = request[..length].splitn(2, |byte| *byte == 0);
        let (Some(path), Some(value)) = (parts.next(), parts.next()) else { break };
        if write_errno(&write(path, value)).is_err() {
            break;
        }
    }
    Some(ExitCode::SUCCESS)
}

fn write(path: &[u8], value: &[u8]) -> io::Result<()> {
    // No other path in sysfs that we write to has this sign.
    let mut parts = path.splitn(2, |byte| *byte == b'@');
    let (path, place) = (parts.next().unwrap_or_default(), parts.next());
    let file = std::fs::File::options().write(true).open(OsStr::from_bytes(path))?;
    let Some(place) = place else { return Ok(rustix::io::write(&file, value).map(drop)?) };
    let text = |bytes| std::str::from_utf8(bytes).map(str::trim_end).unwrap_or_default();
    match (text(place).parse(), u8::from_str_radix(text(value), 16)) {
        (Ok(place), Ok(byte)) => Ok(rustix::io::pwrite(&file, &[byte], place).map(drop)?),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::time::Instant;

    const LONG: Duration = Duration::from_secs(60);

    /// A child that answers as the script says.
    fn child(script: &str) -> Writer {
        Writer::start(Command::new("/bin/sh").args(["-c", script])).unwrap()
    }

    #[test]
    fn one_child_answers_again_and_again() {
        let mut writer = child("while read -r line; do printf \"\\\\$line\\\\0\\\\0\\\\0\"; done");
        for errno in [0, 7, 0, 5] {
            assert_eq!(writer.ask(&format!("{errno}\n"), LONG).unwrap(), i32::from_ne_bytes([errno, 0, 0, 0]));
        }
    }

    #[test]
    fn a_byte_goes_to_its_place() {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("config");
        std::fs::write(&config, "0123456789").unwrap();
        let path = config.to_str().unwrap();
        write(format!("{path}@4").as_bytes(), b"41\n").unwrap();
        assert_eq!(std::fs::read_to_string(&config).unwrap(), "0123A56789");
        for (place, byte) in [("x", "41\n"), ("4", "no\n"), ("", "41\n"), ("4", "141\n")] {
            assert!(write(format!("{path}@{place}").as_bytes(), byte.as_bytes()).is_err(), "{place} {byte}");
        }
        assert_eq!(std::fs::read_to_string(&config).unwrap(), "0123A56789");
    }

    #[test]
    fn a_child_that_hangs_is_left_behind() {
        let mut writer = child("read -r line; printf '\\0\\0\\0\\0'; read -r line; trap '' TERM; exec sleep 60");
        assert_eq!(writer.ask("one\n", LONG).unwrap(), 0);
        let begin = Instant::now();
        let error = writer.ask("two\n", Duration::from_secs(1)).unwrap_err();
        assert!(error.is_timeout(), "{error}");
        drop(writer);
        assert!(begin.elapsed() < LONG / 2);
    }

    #[test]
    fn a_child_that_was_killed_is_an_error_and_no_answer() {
        let mut writer = child("read -r line; kill -9 $$");
        assert!(matches!(writer.ask("one\n", LONG).unwrap_err(), KernelError::Killed));
        let mut writer = child("read -r line; echo no");
        assert!(writer.ask("one\n", LONG).is_err());
    }
}
