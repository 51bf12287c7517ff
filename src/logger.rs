// SPDX-License-Identifier: LGPL-2.1-or-later
//! Where messages go: the kernel log in the boot path, journal prefixes under systemd, plain lines on a terminal.

use log::{Level, LevelFilter, Log, Metadata, Record};
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::sync::Mutex;

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

struct Logger {
    program: &'static str,
    kmsg: Option<Mutex<File>>,
    prefix: bool,
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
        if let Some(kmsg) = &self.kmsg {
            if let Ok(mut kmsg) = kmsg.lock() {
                let _ = kmsg.write_all(format!("<{n}>{}[{}]: {text}\n", self.program, std::process::id()).as_bytes());
            }
        } else if self.prefix {
            let _ = writeln!(std::io::stderr(), "<{n}>{text}");
        } else {
            let _ = writeln!(std::io::stderr(), "{}: {text}", self.program);
        }
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

/// Starts logging. Without a usable `/dev/kmsg` the kernel target falls back to standard error.
///
/// In a test tree `kernel_log` is false: nothing outside the tree is written, so messages go to standard error.
pub fn start(program: &'static str, target: Target, kernel_log: bool) {
    let prefix = under_systemd();
    let wanted = match target {
        Target::Kernel => true,
        Target::KernelWithoutSystemd => !prefix && !std::io::stderr().is_terminal(),
        Target::Stderr => false,
    };
    let kmsg =
        (wanted && kernel_log).then(|| File::options().write(true).open("/dev/kmsg").ok().map(Mutex::new)).flatten();
    let logger = Logger { program, kmsg, prefix };
    if log::set_boxed_logger(Box::new(logger)).is_ok() {
        log::set_max_level(level());
    }
}
