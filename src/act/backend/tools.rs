// SPDX-License-Identifier: LGPL-2.1-or-later
//! Programs of the system that do part of the work: systemctl, loginctl, virsh, modprobe, and the user's own commands.

use crate::act::backend::apart;
use crate::act::backend::child;
use crate::act::backend::process::open_process;
use crate::host::process::Process;
use crate::text::shell_command;
use rustix::io::Errno;
use rustix::process::pidfd_send_signal;
use std::cmp::Ordering;
use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// A signal for a process that holds a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// End, please.
    Term,
    /// End.
    Kill,
}

/// How long to wait for what a program printed when it has ended: one that it left behind may keep the pipe open.
const AFTERWARDS: Duration = Duration::from_secs(1);

/// So much of what a program printed is kept, in bytes, and read at a time.
pub(super) const KEPT: usize = 4 << 20;
/// And of a log.
const KEPT_AT_LENGTH: usize = 16 << 20;
const PIECE: u64 = 1 << 20;
/// So many lines of a command's are logged, and so many bytes of each.
const LINES: usize = 1_000;
const LINE: u64 = 1_024;

/// Why a program did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// It cannot be started, or not be talked to.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It failed; the last line that it wrote on standard error.
    #[error("{program}: {line}")]
    Failed {
        /// The program.
        program: String,
        /// That line.
        line: String,
    },
    /// It has not ended within the deadline, and was killed.
    #[error("{program} has not ended within {} s", deadline.as_secs())]
    NotEnded {
        /// The program.
        program: String,
        /// How long it was waited for.
        deadline: Duration,
    },
    /// It has ended well, and what it printed did not come.
    #[error("{program}: its answer did not come")]
    NoAnswer {
        /// The program.
        program: String,
    },
    /// Half an answer is none.
    #[error("{program}: it prints more than 4 MiB")]
    TooLong {
        /// The program.
        program: String,
    },
    /// It has not told of everything that it was asked for.
    #[error("{program}: it told of {told} of {asked}")]
    NotAllTold {
        /// The program.
        program: String,
        /// So much it told.
        told: usize,
        /// So much it was asked for.
        asked: usize,
    },
    /// The simulator of a test tree has ended without an answer.
    #[error("the simulator was killed")]
    NoSimulator,
}

/// How a program ended whose exit code does not decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// Whether it ended well.
    pub well: bool,
    /// What it printed, on standard output, then on standard error.
    pub printed: String,
}

/// The system's programs, and in a test tree the simulator.
pub trait Tools: std::fmt::Debug + Sync {
    /// Runs a program and gives what it printed on standard output. No shell is involved.
    ///
    /// Errors: it cannot be started, it failed, it has not ended within the deadline, or it has not answered.
    fn run(&self, words: &[&str], deadline: Duration) -> Result<String, ToolError>;

    /// As [`Tools::run`], for a program that may print much: of that the last 16 MiB.
    fn run_at_length(&self, words: &[&str], deadline: Duration) -> Result<String, ToolError> {
        self.run(words, deadline)
    }

    /// Runs a program whose exit code does not decide: some fail and have done what they were asked, some end well and say
    /// only on standard error what they left out.
    ///
    /// Errors: it cannot be started, or it has not ended within the deadline.
    fn attempt(&self, words: &[&str], deadline: Duration) -> Result<Ran, ToolError> {
        match self.run(words, deadline) {
            Ok(printed) => Ok(Ran { well: true, printed }),
            Err(ToolError::Failed { line, .. }) => Ok(Ran { well: false, printed: line }),
            Err(error) => Err(error),
        }
    }

    /// Runs a command of the configuration, apart from our own program where that is possible (`act::backend::apart`). What it prints goes to the log line by line, as it comes.
    fn run_aloud(&self, words: &[&str], deadline: Duration) -> Result<(), ToolError> {
        let output = self.run(words, deadline)?;
        output.lines().filter(|line| !line.trim().is_empty()).for_each(|line| log::info!("{line}"));
        Ok(())
    }

    /// Sends a signal to this process and no other that has its number by now. One that has ended meanwhile is not an error.
    fn signal(&self, process: &Process, signal: Signal) -> Result<(), ToolError>;
}

/// The running system's.
#[derive(Debug)]
pub struct LiveTools;

impl LiveTools {
    /// Runs a program: whether it ended well, what it printed on standard output, if that came, and on standard error.
    fn output(words: &[&str], deadline: Duration, kept: usize) -> Result<(bool, Option<String>, String), ToolError> {
        let (_, mut child) = started(words)?;
        // Each pipe has a reader of its own: a program that fills one would wait for ever.
        let output = child.stdout.take().map(|pipe| read_aside(pipe, kept));
        let errors = child.stderr.take().map(|pipe| read_aside(pipe, KEPT));
        let well = child::wait(child, deadline)?.ok_or_else(|| not_ended(words, deadline))?;
        let text = |reader: Option<mpsc::Receiver<String>>| reader.and_then(|r| r.recv_timeout(AFTERWARDS).ok());
        Ok((well, text(output), text(errors).unwrap_or_default()))
    }
}

impl Tools for LiveTools {
    fn run(&self, words: &[&str], deadline: Duration) -> Result<String, ToolError> {
        let program = words.first().copied().unwrap_or_default();
        match LiveTools::output(words, deadline, KEPT)? {
            (true, Some(text), _) if text.len() >= KEPT => Err(ToolError::TooLong { program: program.to_owned() }),
            (true, output, _) => whole(words, output),
            (false, _, errors) => Err(failed(program, &errors)),
        }
    }

    fn run_at_length(&self, words: &[&str], deadline: Duration) -> Result<String, ToolError> {
        match LiveTools::output(words, deadline, KEPT_AT_LENGTH)? {
            (true, output, _) => whole(words, output),
            (false, _, errors) => Err(failed(words.first().copied().unwrap_or_default(), &errors)),
        }
    }

    fn attempt(&self, words: &[&str], deadline: Duration) -> Result<Ran, ToolError> {
        let (well, output, errors) = LiveTools::output(words, deadline, KEPT)?;
        Ok(Ran { well, printed: output.unwrap_or_default() + &errors })
    }

    fn run_aloud(&self, words: &[&str], deadline: Duration) -> Result<(), ToolError> {
        let program = words.first().copied().unwrap_or_default();
        let (words, limit) = if apart::is_possible() {
            // systemd ends it; this program only has to hear of it.
            (apart::once(words, deadline), deadline + AFTERWARDS * 5)
        } else {
            (words.iter().map(|word| (*word).to_owned()).collect(), deadline)
        };
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (_, mut child) = started(&words)?;
        let output = child.stdout.take().map(log_aside);
        let errors = child.stderr.take().map(log_aside);
        let well = child::wait(child, limit)?.ok_or_else(|| not_ended(&[program], deadline))?;
        let last = |reader: Option<mpsc::Receiver<String>>| reader.and_then(|r| r.recv_timeout(AFTERWARDS).ok());
        let (_, errors) = (last(output), last(errors).unwrap_or_default());
        if well {
            Ok(())
        } else {
            Err(failed(program, &errors))
        }
    }

    fn signal(&self, process: &Process, signal: Signal) -> Result<(), ToolError> {
        let signal = match signal {
            Signal::Term => rustix::process::Signal::TERM,
            Signal::Kill => rustix::process::Signal::KILL,
        };
        let Some(open) = open_process(process)? else { return Ok(()) };
        match pidfd_send_signal(open, signal) {
            Err(Errno::SRCH) | Ok(()) => Ok(()),
            Err(error) => Err(io::Error::from(error).into()),
        }
    }
}

/// Whether a program only tells something. What changes something is shown to the user of a test tree.
pub(super) fn only_tells(words: &[&str]) -> bool {
    match words {
        ["systemctl", "show" | "is-system-running", ..] => true,
        ["loginctl", "list-sessions" | "list-users", ..] | ["journalctl", ..] => true,
        ["loginctl", verb, ..] => verb.starts_with("show-"),
        ["virsh", "--connect", _, verb, ..] => {
            matches!(*verb, "domstate" | "dominfo" | "dumpxml" | "list" | "version" | "domcapabilities")
        }
        ["virt-install", "--print-xml", "--dry-run", ..] | ["qemu-img", "--version"] => true,
        _ => false,
    }
}

/// The error of a program that took too long.
pub(super) fn not_ended(words: &[&str], deadline: Duration) -> ToolError {
    ToolError::NotEnded { program: words.first().copied().unwrap_or_default().to_owned(), deadline }
}

/// What a program printed, once it has ended well. One that did something may have left somebody behind who keeps its output
/// open; an answer that does not come is none.
pub(super) fn whole(words: &[&str], output: Option<String>) -> Result<String, ToolError> {
    match output {
        None if only_tells(words) => {
            Err(ToolError::NoAnswer { program: words.first().copied().unwrap_or_default().to_owned() })
        }
        output => Ok(output.unwrap_or_default()),
    }
}

/// Starts a program with pipes for what it prints.
fn started<'w>(words: &[&'w str]) -> io::Result<(&'w str, Child)> {
    let (program, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    log::debug!("run: {}", shell_command(words));
    let mut command = Command::new(program);
    // Words of programs are read here, whatever the machine's language is.
    command.args(arguments).env("LC_ALL", "C.UTF-8").env("SYSTEMD_COLORS", "0").env("SYSTEMD_PAGER", "");
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    Ok((program, child))
}

/// The error of a program that failed: its name, and the last line that it wrote on standard error.
pub fn failed(program: &str, errors: &str) -> ToolError {
    let last = errors.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it failed");
    let last = last.strip_prefix("error: ").unwrap_or(last);
    // Some name themselves: "modprobe: FATAL: ...".
    let last = last.strip_prefix(program).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(last);
    ToolError::Failed { program: program.to_owned(), line: last.to_owned() }
}

/// What comes out of a pipe, read by a thread: all of it, so that nobody waits, but only the last of it is kept.
pub(crate) fn read_aside(mut pipe: impl Read + Send + 'static, kept: usize) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before an error counts.
        while let Ok(1..) = pipe.by_ref().take(PIECE).read_to_end(&mut bytes) {
            bytes.drain(..bytes.len().saturating_sub(kept));
        }
        // Nobody waits for it any more if it comes too late.
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}

/// Logs what comes out of a pipe line by line, in a thread. Gives the last line.
fn log_aside(pipe: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut last = String::new();
        each_line(pipe, |number, line| {
            if line.trim().is_empty() {
                return;
            }
            match number.cmp(&LINES) {
                Ordering::Less => log::info!("{line}"),
                Ordering::Equal => log::info!("it prints more than {LINES} lines; the rest is left out"),
                Ordering::Greater => {}
            }
            line.clone_into(&mut last);
        });
        // Nobody waits for it any more if it comes too late.
        let _ = sender.send(last);
    });
    receiver
}

/// The lines of a pipe, numbered from 0. A line that is longer than any is parted.
fn each_line(pipe: impl Read, mut each: impl FnMut(usize, &str)) {
    let mut pipe = BufReader::new(pipe);
    let mut line = Vec::new();
    for number in 0.. {
        line.clear();
        match pipe.by_ref().take(LINE).read_until(b'\n', &mut line) {
            Ok(1..) => each(number, String::from_utf8_lossy(&line).trim_end()),
            _ => return,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::root::Root;
    use std::os::unix::process::ExitStatusExt;
    use std::path::Path;

    /// Regression: the signal went to the process that had the number by then.
    #[test]
    fn a_signal_goes_to_the_process_that_was_meant() {
        let mut child = Command::new("sleep").arg("300").spawn().unwrap();
        let root = Root::open(Path::new("/")).unwrap();
        let process = Process::now(&root, child.id()).unwrap();
        for started in [Some("1".to_owned()), None] {
            let another = Process { started, ..process };
            LiveTools.signal(&another, Signal::Kill).unwrap();
            assert!(open_process(&another).unwrap().is_none());
        }
        LiveTools.signal(&process, Signal::Term).unwrap();
        // Neither of the signals before has ended it.
        assert_eq!(child.wait().unwrap().signal(), Some(15));
        LiveTools.signal(&process, Signal::Kill).unwrap();
        assert!(Process::now(&root, process.pid).is_none());
    }

    /// Regression: all that a command printed was kept in memory, for nobody.
    #[test]
    fn what_a_program_prints_is_bounded() {
        let endless = io::repeat(b'x').take(64 << 20);
        assert_eq!(read_aside(endless, KEPT).recv().unwrap().len(), KEPT);
        let lines = io::Cursor::new(b"a\n".repeat(1 << 20)).chain(&b"the last"[..]);
        assert!(read_aside(lines, KEPT).recv().unwrap().ends_with("a\nthe last"));
        let deadline = Duration::from_secs(60);
        let shell = |script: &str| LiveTools.run(&["sh", "-c", script], deadline);
        assert_eq!(shell("printf abc").unwrap(), "abc");
        let attempt = |script: &str| LiveTools.attempt(&["sh", "-c", script], deadline).unwrap();
        assert_eq!(attempt("echo a; echo b >&2"), Ran { well: true, printed: "a\nb\n".to_owned() });
        assert_eq!(attempt("echo b >&2; echo a; exit 1"), Ran { well: false, printed: "a\nb\n".to_owned() });
        let error = shell("head -c 9000000 /dev/zero").unwrap_err();
        assert_eq!(error.to_string(), "sh: it prints more than 4 MiB");
        let long = |script: &str| LiveTools.run_at_length(&["sh", "-c", script], deadline).unwrap();
        assert_eq!(long("head -c 9000000 /dev/zero").len(), 9_000_000);
        assert_eq!(long("head -c 20000000 /dev/zero; echo last").len(), KEPT_AT_LENGTH);
        let aloud = |script: &str| LiveTools.run_aloud(&["sh", "-c", script], deadline);
        aloud("yes | head -n 300000; head -c 30000000 /dev/zero").unwrap();
        let error = aloud("yes | head -n 9000 >&2; echo why >&2; echo; exit 1").unwrap_err();
        assert_eq!(error.to_string(), "sh: why");
    }

    #[test]
    fn lines_are_parted_where_they_are_too_long() {
        let mut seen = Vec::new();
        let text = [&b"a\n\n"[..], &[b'b'; 3000], b"\nc"].concat();
        each_line(&text[..], |number, line| seen.push((number, line.len())));
        assert_eq!(seen, [(0, 1), (1, 0), (2, 1024), (3, 1024), (4, 952), (5, 1)]);
    }

    #[test]
    fn what_only_tells_is_not_shown_as_done() {
        assert!(only_tells(&["virsh", "--connect", "qemu:///system", "domstate", "--", "a"]));
        assert!(only_tells(&["loginctl", "list-sessions", "--no-legend"]));
        assert!(!only_tells(&["systemctl", "stop", "--", "a.service"]) && !only_tells(&["/bin/true"]));
    }

    #[test]
    fn an_answer_that_does_not_come_is_none() {
        let question = ["loginctl", "list-sessions", "--no-legend"];
        assert!(matches!(whole(&question, None).unwrap_err(), ToolError::NoAnswer { .. }));
        assert_eq!(whole(&question, Some(String::new())).unwrap(), "");
        assert_eq!(whole(&["systemctl", "start", "--", "a.service"], None).unwrap(), "");
    }

    /// Regression: of a command that did not end in time it was said that the kernel had not answered.
    #[test]
    fn a_program_that_does_not_end_is_named() {
        let error = LiveTools.run(&["sleep", "60"], Duration::from_secs(1)).unwrap_err();
        assert_eq!(error.to_string(), "sleep has not ended within 1 s");
    }
}
