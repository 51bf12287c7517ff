// SPDX-License-Identifier: LGPL-2.1-or-later
//! Messages for the journal's own socket, from a program whose standard error is read by somebody else.
//!
//! libsystemd's `journal_send` is not used: its socket is its own, and waits without a limit for a journal that is stopped.

use super::{builder, priority};
use env_logger::{Builder, Target};
use log::{Level, LevelFilter};
use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

/// Where the journal listens (systemd's "Native Journal Protocol").
const JOURNAL: &str = "/run/systemd/journal/socket";
/// How long it may take a message.
const MOMENT: Duration = Duration::from_millis(200);

/// The journal's socket, as what a message is written to.
struct Journal(UnixDatagram);

impl Journal {
    /// A socket to who listens at `path`.
    fn open(path: &str) -> io::Result<Journal> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        // A journal that does not keep up is not waited for.
        socket.set_write_timeout(Some(MOMENT))?;
        Ok(Journal(socket))
    }
}

impl Write for Journal {
    fn write(&mut self, entry: &[u8]) -> io::Result<usize> {
        self.0.send(entry)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A message as the journal takes it: a field a line. `text` has no end of line in it.
fn entry(program: &str, level: Level, text: &str) -> Vec<u8> {
    format!("MESSAGE={text}\nPRIORITY={}\nSYSLOG_IDENTIFIER={program}\n", priority(level)).into_bytes()
}

/// env_logger for that socket.
fn to_journal(program: &'static str, journal: Journal) -> Builder {
    builder(program, entry, Target::Pipe(Box::new(journal)))
}

/// Starts logging to the journal's socket. Where nobody serves it, and in a test tree, errors go to standard error, and the
/// rest is lost.
pub fn start(program: &'static str, system: bool) {
    match system.then(|| Journal::open(JOURNAL)) {
        // Only the first logger of a program counts.
        Some(Ok(journal)) => drop(to_journal(program, journal).try_init()),
        _ => {
            super::start(program);
            log::set_max_level(LevelFilter::Error);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::logger::one_line;
    use log::{Log, Record};

    #[test]
    fn the_journal_gets_its_fields_in_one_datagram() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let server = UnixDatagram::bind(&path).unwrap();
        let logger = to_journal("vfio", Journal::open(path.to_str().unwrap()).unwrap()).build();
        for level in [Level::Debug, Level::Warn] {
            let text = format_args!("[guest a] two\nlines = {}", 2);
            logger.log(&Record::builder().level(level).args(text).build());
        }
        let mut bytes = [0; 512];
        let length = server.recv(&mut bytes).unwrap();
        let entry = std::str::from_utf8(&bytes[..length]).unwrap();
        assert_eq!(entry, "MESSAGE=[guest a] two lines = 2\nPRIORITY=4\nSYSLOG_IDENTIFIER=vfio\n");
        // The other one was not asked for.
        server.set_nonblocking(true).unwrap();
        assert_eq!(server.recv(&mut bytes).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_name_of_somebody_else_begins_no_field() {
        let text = one_line(&"x\nMESSAGE=y\u{9b}2J");
        assert_eq!(entry("vfio", Level::Warn, &text).iter().filter(|byte| **byte == b'\n').count(), 3);
    }

    #[test]
    fn a_journal_that_does_not_take_it_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let path = path.to_str().unwrap();
        assert!(Journal::open(path).is_err());
        let _server = UnixDatagram::bind(path).unwrap();
        let logger = to_journal("vfio", Journal::open(path).unwrap()).build();
        let waited = (0..10_000).find_map(|_| {
            let begin = std::time::Instant::now();
            logger.log(&Record::builder().level(Level::Error).args(format_args!("nobody reads this")).build());
            Some(begin.elapsed()).filter(|took| *took >= MOMENT)
        });
        assert!(waited.is_some_and(|took| took < 50 * MOMENT), "{waited:?}");
    }
}
