// SPDX-License-Identifier: LGPL-2.1-or-later
//! Reading logs: the journal of this boot and of the one before, or without a journal what the kernel still has of its own;
//! the domains' logs; audit.log. Each may be missing; what cannot be read is told. Sizes are bounded.

use crate::act::backend::child;
use crate::act::backend::tools::{ToolError, Tools};
use crate::act::guest;
use crate::config::{Guest, Runner};
use crate::host::process::booted;
use crate::plan::logs::search::{Log, LogForm};
use crate::root::Root;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::time::Duration;

/// How long the journal may take.
const JOURNAL: Duration = Duration::from_secs(10);
/// So many lines of a boot are looked at, the last ones.
const LINES: &str = "--lines=50000";
/// Of a file the last part of this size is looked at, in bytes.
const TAIL: u64 = 2 << 20;
/// What the kernel keeps of its own log is not more (`CONFIG_LOG_BUF_SHIFT`, at most 25).
const KERNEL: usize = 1 << 25;
/// libvirt's daemons that start domains (libvirt.org/daemons.html).
const DAEMONS: [&str; 2] = ["libvirtd.service", "virtqemud.service"];
/// What libvirt writes first when it starts a domain (`src/qemu/qemu_process.c`, `qemuProcessLaunch`).
const START: &str = "starting up libvirt version";

/// What was read.
#[derive(Debug, Default)]
pub struct Logs {
    /// The logs.
    pub all: Vec<Log>,
    /// What could not be read, and why: a sentence each.
    pub unread: Vec<String>,
}

/// Reads all logs that say something about these guests and any card.
pub fn read(root: &Root, tools: &dyn Tools, guests: &[&Guest]) -> Logs {
    let mut logs = Logs::default();
    let matches = journal_matches(guests);
    let (before, now) = child::both(|| journal(tools, "--boot=-1", &matches), || journal(tools, "--boot=0", &matches));
    let log = |before, text| Log { form: LogForm::Journal, before, guest: None, since: None, text };
    match now {
        Ok(text) if text.is_empty() && root.is_system() => {
            let why = "the journal shows nothing of the kernel: only root and members of systemd-journal may read it";
            logs.unread.push(why.to_owned());
        }
        Ok(text) => logs.all.push(log(false, text)),
        Err(ToolError::Io(error)) if error.kind() == io::ErrorKind::NotFound && root.is_system() => {
            match kernel_log(root) {
                Ok(text) => logs.all.push(log(false, text)),
                Err(error) => logs.unread.push(format!("there is no journal, and /dev/kmsg cannot be read: {error}")),
            }
        }
        Err(error) => logs.unread.push(format!("the journal cannot be read: {error}")),
    }
    // The first boot has none before it, and a journal in memory none at all.
    logs.all.extend(before.ok().map(|text| log(true, text)));
    let since = booted(root);
    for guest in guests.iter().filter(|guest| guest.runner == Runner::Libvirt && !guest.domain.contains('/')) {
        let path = format!("var/log/libvirt/qemu/{}.log", guest.domain);
        let last = |text: String| {
            let start = text.rfind(START).map_or(0, |at| text[..at].rfind('\n').map_or(0, |end| end + 1));
            text[start..].to_owned()
        };
        let log = |text| Log { form: LogForm::Domain, before: false, guest: Some(guest.name.clone()), since, text };
        logs.add_file(&path, tail(root, &path).map(last), log);
    }
    let path = "var/log/audit/audit.log";
    let log = |text| Log { form: LogForm::Audit, before: false, guest: None, since, text };
    logs.add_file(path, tail(root, path), log);
    logs
}

impl Logs {
    /// A file that may be missing.
    fn add_file(&mut self, path: &str, text: io::Result<String>, log: impl FnOnce(String) -> Log) {
        match text {
            Ok(text) => self.all.push(log(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.unread.push(format!("/{path} cannot be read: {error}")),
        }
    }
}

/// Which fields of the journal the kernel, audit, libvirt's daemons and the guests' units have.
fn journal_matches(guests: &[&Guest]) -> Vec<String> {
    let mut matches = vec!["_TRANSPORT=kernel".to_owned(), "_TRANSPORT=audit".to_owned()];
    matches.extend(DAEMONS.iter().map(|unit| format!("_SYSTEMD_UNIT={unit}")));
    // Of a unit both what its programs say and what systemd says of it (systemd.journal-fields(7)).
    let units = guests.iter().map(|of| guest::unit(&of.name));
    matches.extend(units.flat_map(|unit| [format!("_SYSTEMD_UNIT={unit}"), format!("UNIT={unit}")]));
    matches
}

/// What they said in a boot.
fn journal(tools: &dyn Tools, boot: &str, matches: &[String]) -> Result<String, ToolError> {
    let words = ["journalctl", boot, LINES, "--quiet", "--no-pager", "--no-hostname", "--all", "--output=short-unix"];
    let alternatives =
        matches.iter().enumerate().flat_map(|(at, of)| (at > 0).then_some("+").into_iter().chain([of.as_str()]));
    let words: Vec<&str> = words.into_iter().chain(alternatives).collect();
    tools.run_at_length(&words, JOURNAL)
}

/// What the kernel still has of its log, in the form of the journal. Each read gives one record: `PRIORITY,NUMBER,TIME,FLAGS;`
/// with the time in microseconds since it started, then the text (`Documentation/ABI/testing/dev-kmsg`).
fn kernel_log(root: &Root) -> io::Result<String> {
    let mut device = File::from(root.open_at("dev/kmsg", OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty())?);
    let (mut text, mut record, started) = (String::new(), [0; 8192], booted(root));
    while text.len() < KERNEL {
        match device.read(&mut record) {
            Ok(0) => break,
            Ok(length) => text.extend(journal_form(&String::from_utf8_lossy(&record[..length]), started)),
            // It was overwritten meanwhile; the next read goes on with what is there.
            Err(error) if error.raw_os_error() == Some(Errno::PIPE.raw_os_error()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(text)
}

/// A record of the kernel's as the journal would print it.
fn journal_form(record: &str, started: Option<i64>) -> Option<String> {
    let (head, text) = record.split_once(';')?;
    let micros: i64 = head.split(',').nth(2)?.parse().ok()?;
    let time = started.unwrap_or_default().saturating_add(micros / 1_000_000);
    Some(format!("{time}.0 kernel: {}\n", text.lines().next().unwrap_or_default()))
}

/// The last part of a file, from the beginning of a line.
fn tail(root: &Root, path: &str) -> io::Result<String> {
    let mut file = root.open_regular(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    if length <= TAIL {
        return Ok(text);
    }
    Ok(text.split_once('\n').map_or(String::new(), |(_, rest)| rest.to_owned()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_the_kernel_has_the_form_of_the_journal() {
        let record = "6,1234,5140900,-;vfio-pci 0000:01:00.0: resetting\n SUBSYSTEM=pci\n DEVICE=+pci:0000:01:00.0\n";
        let expected = "1700000005.0 kernel: vfio-pci 0000:01:00.0: resetting\n";
        assert_eq!(journal_form(record, Some(1_700_000_000)).as_deref(), Some(expected));
        for torn in ["", "6,1", "6,1,x,-;a", ";"] {
            assert_eq!(journal_form(torn, None), None, "{torn}");
        }
    }

    #[test]
    fn of_a_long_file_the_end_is_read_from_a_whole_line() {
        let tree = tempfile::tempdir().unwrap();
        let line = format!("{}\n", "x".repeat(1023));
        std::fs::write(tree.path().join("log"), line.repeat(3 << 10) + "the last\n").unwrap();
        let text = tail(&Root::open(tree.path()).unwrap(), "log").unwrap();
        assert!(text.len() as u64 <= TAIL && text.starts_with(&line) && text.ends_with("the last\n"));
    }
}
