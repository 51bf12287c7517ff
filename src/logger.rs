// SPDX-License-Identifier: LGPL-2.1-or-later
//! Where messages go: the kernel log in the boot path, journal prefixes under systemd, plain lines on a terminal, and the
//! journal's own socket from a program whose standard error is read by somebody else.

use log::{Level, LevelFilter, Log, Metadata, Record};
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::unix::net::UnixDatagram;
use std::sync::Mutex;
use std::time::Duration;

/// Says a line on standard error, as `eprintln!` does, which would end the program where nobody takes it: a full disk, a
/// reader that has gone.
#[macro_export]
macro_rules! tell {
    ($($text:tt)*) => { $crate::logger::line(std::format_args!($($text)*)) };
}

/// What [`tell!`] does. What cannot be said is lost: there is nowhere left to say so.
pub fn line(text: std::fmt::Arguments<'_>) {
    // In one piece, so that lines of several programs do not mix.
    let _ = std::io::stderr().write_all(format!("{text}\n").as_bytes());
}

/// Where messages go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// `/dev/kmsg`, one record per message (generator, initramfs): there may be no journal yet.
    Kernel,
    /// The kernel log, unless systemd reads standard error: for programs that run in the initramfs as well.
    KernelWithoutSystemd,
    /// Standard error: with `<N>` prefixes (sd-daemon(3)) if systemd reads it, plain otherwise.
    Stderr,
}

/// Where the journal listens (systemd's "Native Journal Protocol").
const JOURNAL: &str = "/run/systemd/journal/socket";
/// How long it may take a message.
const MOMENT: Duration = Duration::from_millis(200);

struct Logger {
    program: &'static str,
    place: Place,
}

/// Where the messages of this run go.
enum Place {
    Kernel(Mutex<File>),
    Prefixed,
    Plain,
}

/// The syslog priority of a level (RFC 5424: err 3, warning 4, notice 5, info 6, debug 7).
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let n = priority(record.level());
        let text = record.args().to_string().replace('\n', " ");
        // A message that cannot be delivered is lost: there is nowhere left to say so.
        let _ = match &self.place {
            Place::Kernel(kmsg) => kmsg.lock().map_or(Ok(()), |mut kmsg| {
                kmsg.write_all(format!("<{n}>{}[{}]: {text}\n", self.program, std::process::id()).as_bytes())
            }),
            Place::Prefixed => writeln!(std::io::stderr(), "<{n}>{text}"),
            Place::Plain => writeln!(std::io::stderr(), "{}: {text}", self.program),
        };
    }

    fn flush(&self) {}
}

/// The level that `SYSTEMD_LOG_LEVEL` asks for; info without it.
fn level() -> LevelFilter {
    match std::env::var("SYSTEMD_LOG_LEVEL").as_deref() {
        Ok("debug" | "7") => LevelFilter::Debug,
        Ok("notice" | "5" | "warning" | "4") => LevelFilter::Warn,
        Ok("err" | "3" | "crit" | "2" | "alert" | "1" | "emerg" | "0") => LevelFilter::Error,
        _ => LevelFilter::Info,
    }
}

/// Whether systemd started this program and reads its standard error.
pub fn under_systemd() -> bool {
    std::env::var_os("JOURNAL_STREAM").is_some() || std::env::var_os("INVOCATION_ID").is_some()
}

/// A message as the journal takes it: a field a line. `text` has no end of line in it.
fn entry(program: &str, priority: u8, text: &str) -> Vec<u8> {
    format!("MESSAGE={text}\nPRIORITY={priority}\nSYSLOG_IDENTIFIER={program}\n").into_bytes()
}

/// A socket to who listens at `path`.
fn journal(path: &str) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    // A journal that does not keep up is not waited for.
    socket.set_write_timeout(Some(MOMENT))?;
    Ok(socket)
}

/// Starts logging. Without a usable `/dev/kmsg` the kernel target falls back to standard error.
///
/// In a test tree `system` is false: nothing outside the tree is written, so messages go to standard error.
pub fn start(program: &'static str, target: Target, system: bool) {
    let prefix = under_systemd();
    let stderr = if prefix { Place::Prefixed } else { Place::Plain };
    let place = match target {
        Target::Stderr => None,
        Target::KernelWithoutSystemd if prefix || std::io::stderr().is_terminal() => None,
        Target::Kernel | Target::KernelWithoutSystemd if system => {
            File::options().write(true).open("/dev/kmsg").ok().map(|kmsg| Place::Kernel(Mutex::new(kmsg)))
        }
        Target::Kernel | Target::KernelWithoutSystemd => None,
    };
    set(Box::new(Logger { program, place: place.unwrap_or(stderr) }), level());
}

fn set(logger: Box<dyn Log>, most: LevelFilter) {
    if log::set_boxed_logger(logger).is_ok() {
        log::set_max_level(most);
    }
}

/// What sends messages to the journal itself. Apart from the other, for the programs of the boot path stay small.
struct JournalLogger {
    program: &'static str,
    socket: UnixDatagram,
}

impl Log for JournalLogger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let text = record.args().to_string().replace('\n', " ");
            // A message that cannot be delivered is lost: there is nowhere left to say so.
            let _ = self.socket.send(&entry(self.program, priority(record.level()), &text));
        }
    }

    fn flush(&self) {}
}

/// Starts logging to the journal's socket. Where nobody serves it, and in a test tree, errors go to standard error, and the
/// rest is lost.
pub fn start_in_journal(program: &'static str, system: bool) {
    match system.then(|| journal(JOURNAL)) {
        Some(Ok(socket)) => set(Box::new(JournalLogger { program, socket }), level()),
        _ => {
            start(program, Target::Stderr, system);
            log::set_max_level(LevelFilter::Error);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_gets_its_fields_in_one_datagram() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let server = UnixDatagram::bind(&path).unwrap();
        let logger = JournalLogger { program: "vfio", socket: journal(path.to_str().unwrap()).unwrap() };
        log::set_max_level(LevelFilter::Info);
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
    fn a_journal_that_does_not_take_it_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let path = path.to_str().unwrap();
        assert!(journal(path).is_err());
        let _server = UnixDatagram::bind(path).unwrap();
        let logger = JournalLogger { program: "vfio", socket: journal(path).unwrap() };
        log::set_max_level(LevelFilter::Info);
        let waited = (0..10_000).find_map(|_| {
            let begin = std::time::Instant::now();
            logger.log(&Record::builder().level(Level::Error).args(format_args!("nobody reads this")).build());
            Some(begin.elapsed()).filter(|took| *took >= MOMENT)
        });
        assert!(waited.is_some_and(|took| took < 50 * MOMENT), "{waited:?}");
    }
}
