// SPDX-License-Identifier: LGPL-2.1-or-later
//! Where messages go: the kernel log in the boot path, journal prefixes under systemd, plain lines on a terminal, and the
//! journal's own socket from a program whose standard error is read by somebody else. A message is one line there, in which
//! everything shows ([`crate::text`]): names of others cannot begin a second one, or move a cursor.

use crate::text;
use log::{Level, LevelFilter, Log, Metadata, Record};
use std::borrow::Cow;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::unix::net::UnixDatagram;
use std::sync::Mutex;
use std::time::Duration;

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
/// The kernel's log refuses a record that is longer, in bytes (`LOG_LINE_MAX`, kernel/printk/printk.c before 5.19; later ones
/// take a little more).
const LONGEST_RECORD: usize = 976;
/// What systemd and the journal get is no longer, in bytes: systemd takes no more than 4096 with all else that is said at once.
const LONGEST_LINE: usize = 2048;
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
        let text = one_line(record.args());
        // A message that cannot be delivered is lost: there is nowhere left to say so.
        let _ = match &self.place {
            Place::Kernel(kmsg) => kmsg
                .lock()
                .map_or(Ok(()), |mut kmsg| kmsg.write_all(&kernel_record(n, self.program, std::process::id(), &text))),
            Place::Prefixed => writeln!(std::io::stderr(), "<{n}>{text}"),
            Place::Plain => writeln!(std::io::stderr(), "{}: {text}", self.program),
        };
    }

    fn flush(&self) {}
}

/// A message as one line. Sentences that we put together with ends of lines stay sentences.
fn one_line(message: &dyn Display) -> String {
    text::line(&message.to_string().replace('\n', " ")).into_owned()
}

/// A record for `/dev/kmsg`.
fn kernel_record(priority: u8, program: &str, pid: u32, text: &str) -> Vec<u8> {
    let head = format!("<{priority}>{program}[{pid}]: ");
    let text = text::short(text, LONGEST_RECORD - head.len() - 1);
    format!("{head}{text}\n").into_bytes()
}

/// Says something on standard error. One that is full or closed is no reason to stop in the middle of a change.
pub fn complain(sentence: impl Display) {
    let _ = std::io::stderr().write_all(format!("{}\n", text::line(&sentence.to_string())).as_bytes());
}

/// What a unit's state line may be: for systemd an end of line begins another variable, `MAINPID=` among them.
pub fn state_line(sentence: &str) -> Cow<'_, str> {
    text::short(sentence, LONGEST_LINE)
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
            let text = one_line(record.args());
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
    fn a_name_of_somebody_else_begins_no_line_and_moves_no_cursor() {
        let hostile = "x\nMESSAGE=y\u{9b}2J\x1b[1A\u{202e}\0";
        let text = one_line(&hostile);
        assert_eq!(text, "x MESSAGE=y\\u{9b}2J\\u{1b}[1A\\u{202e}\\u{0}");
        assert_eq!(entry("vfio", 4, &text).iter().filter(|byte| **byte == b'\n').count(), 3);
        assert_eq!(state_line("run 'x'\nMAINPID=1"), "run 'x'\\nMAINPID=1");
        let record = kernel_record(6, "vfio-bind", 123, &"ä\u{1b}".repeat(2000));
        let shown = String::from_utf8(record).unwrap();
        assert!((900..=LONGEST_RECORD).contains(&shown.len()) && shown.ends_with("...\n"), "{shown}");
        assert_eq!(shown.matches('\n').count(), 1);
        assert_eq!(kernel_record(6, "vfio-bind", 123, "short"), b"<6>vfio-bind[123]: short\n");
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
