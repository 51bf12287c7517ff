// SPDX-License-Identifier: LGPL-2.1-or-later
//! The logger of the programs in the boot path: env_logger would cost `vfio-generator` 22 KB, which is read from disk at every
//! boot, and what those programs need of it is one comparison.

use super::{is_read_by_journal, level, one_line, plain, prefixed, priority, LONGEST_RECORD};
use crate::text;
use log::{Log, Metadata, Record};
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::sync::Mutex;

/// Where messages go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// `/dev/kmsg`, one record per message (generator, initramfs): there may be no journal yet.
    Kernel,
    /// The kernel log, unless systemd reads standard error: for programs that run in the initramfs as well.
    KernelWithoutSystemd,
    /// Standard error: with `<N>` prefixes (sd-daemon(3)) if the journal reads it, plain otherwise.
    Stderr,
}

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

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let (program, level) = (self.program, record.level());
        let text = one_line(record.args());
        // A message that cannot be delivered is lost: there is nowhere left to say so.
        let _ = match &self.place {
            Place::Kernel(kmsg) => kmsg.lock().map_or(Ok(()), |mut kmsg| {
                kmsg.write_all(&kernel_record(priority(level), program, std::process::id(), &text))
            }),
            Place::Prefixed => io::stderr().write_all(&prefixed(program, level, &text)),
            Place::Plain => io::stderr().write_all(&plain(program, level, &text)),
        };
    }

    fn flush(&self) {}
}

/// A record for `/dev/kmsg`.
fn kernel_record(priority: u8, program: &str, pid: u32, text: &str) -> Vec<u8> {
    let head = format!("<{priority}>{program}[{pid}]: ");
    let text = text::short(text, LONGEST_RECORD - head.len() - 1);
    format!("{head}{text}\n").into_bytes()
}

/// Starts logging. Without a usable `/dev/kmsg` the kernel target falls back to standard error.
///
/// In a test tree `system` is false: nothing outside the tree is written, so messages go to standard error.
pub fn start(program: &'static str, target: Target, system: bool) {
    let prefix = is_read_by_journal();
    let stderr = if prefix { Place::Prefixed } else { Place::Plain };
    let place = match target {
        Target::Stderr => None,
        Target::KernelWithoutSystemd if prefix || io::stderr().is_terminal() => None,
        Target::Kernel | Target::KernelWithoutSystemd if system => {
            File::options().write(true).open("/dev/kmsg").ok().map(|kmsg| Place::Kernel(Mutex::new(kmsg)))
        }
        Target::Kernel | Target::KernelWithoutSystemd => None,
    };
    let logger = Logger { program, place: place.unwrap_or(stderr) };
    if log::set_boxed_logger(Box::new(logger)).is_ok() {
        log::set_max_level(level());
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_the_kernel_is_one_line_and_no_longer_than_it_takes() {
        let record = kernel_record(6, "vfio-bind", 123, &"ä\u{1b}".repeat(2000));
        let shown = String::from_utf8(record).unwrap();
        assert!((900..=LONGEST_RECORD).contains(&shown.len()) && shown.ends_with("...\n"), "{shown}");
        assert_eq!(shown.matches('\n').count(), 1);
        assert_eq!(kernel_record(6, "vfio-bind", 123, "short"), b"<6>vfio-bind[123]: short\n");
    }
}
