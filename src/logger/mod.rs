// SPDX-License-Identifier: LGPL-2.1-or-later
//! Where messages go: the kernel log in the boot path ([`boot`]), journal prefixes under systemd, plain lines on a terminal, and
//! the journal's own socket from a program whose standard error is read by somebody else ([`journal`]). A message is one line
//! there, in which everything shows ([`crate::text`]): names of others cannot begin a second one, or move a cursor.
//!
//! env_logger filters, and writes each message at once. What it looks like is ours.

pub mod boot;
pub mod journal;

use crate::text;
use env_logger::Builder;
use log::{Level, LevelFilter};
use std::fmt::Display;
use std::io::Write;

/// The kernel's log refuses a record that is longer, in bytes (`LOG_LINE_MAX`, kernel/printk/printk.c before 5.19; later ones
/// take a little more).
const LONGEST_RECORD: usize = 976;
/// What systemd and the journal get is no longer, in bytes: systemd takes no more than 4096 with all else that is said at once.
const LONGEST_LINE: usize = 2048;

/// The syslog priority of a level (RFC 5424: err 3, warning 4, notice 5, info 6, debug 7).
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

/// What makes a message of a level the bytes that are written at once.
type Format = fn(program: &str, level: Level, text: &str) -> Vec<u8>;

/// For who sorts lines by their prefix (sd-daemon(3)).
fn prefixed(_: &str, level: Level, text: &str) -> Vec<u8> {
    format!("<{}>{text}\n", priority(level)).into_bytes()
}

/// For people.
fn plain(program: &str, _: Level, text: &str) -> Vec<u8> {
    format!("{program}: {text}\n").into_bytes()
}

/// A message as one line. Sentences that we put together with ends of lines stay sentences.
fn one_line(message: &dyn Display) -> String {
    text::line(&message.to_string().replace('\n', " ")).into_owned()
}

/// Says something on standard error. One that is full or closed is no reason to stop in the middle of a change.
pub fn complain(sentence: impl Display) {
    let _ = std::io::stderr().write_all(format!("{}\n", text::line(&sentence.to_string())).as_bytes());
}

/// What a unit's state line may be: for systemd an end of line begins another variable, `MAINPID=` among them.
pub fn state_line(sentence: &str) -> String {
    text::short(sentence, LONGEST_LINE).into_owned()
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

/// Whether the journal reads standard error. That `$JOURNAL_STREAM` is set says nothing: every terminal that runs as a user's
/// unit has it. It names a device and an inode (systemd.exec(5)).
pub fn is_read_by_journal() -> bool {
    libsystemd::logging::connected_to_journal()
}

/// env_logger with this format. A message that cannot be delivered is lost: there is nowhere left to say so.
fn builder(program: &'static str, format: Format, target: env_logger::Target) -> Builder {
    let mut builder = Builder::new();
    builder.filter_level(level()).target(target);
    builder.format(move |out, record| out.write_all(&format(program, record.level(), &one_line(record.args()))));
    builder
}

/// Starts logging to standard error.
pub fn start(program: &'static str) {
    let format: Format = if is_read_by_journal() { prefixed } else { plain };
    // Only the first logger of a program counts.
    let _ = builder(program, format, env_logger::Target::Stderr).try_init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_somebody_else_begins_no_line_and_moves_no_cursor() {
        let text = one_line(&"x\nMESSAGE=y\u{9b}2J\x1b[1A\u{202e}\0");
        assert_eq!(text, "x MESSAGE=y\\u{9b}2J\\u{1b}[1A\\u{202e}\\u{0}");
        assert_eq!(prefixed("vfio", Level::Warn, &text), format!("<4>{text}\n").as_bytes());
        assert_eq!(plain("vfio", Level::Warn, &text), format!("vfio: {text}\n").as_bytes());
        assert_eq!(state_line("run 'x'\nMAINPID=1"), "run 'x'\\nMAINPID=1");
    }
}
