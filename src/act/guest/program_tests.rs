// SPDX-License-Identifier: LGPL-2.1-or-later
//! When a program counts as started: real processes, and in QEMU's place a thread that serves the socket.
#![allow(clippy::unwrap_used)]

use super::*;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::JoinHandle;

const LONG: Duration = Duration::from_secs(30);

/// A program that does this, and is ended with the test.
struct Program(Child);

impl Program {
    fn new(script: &str) -> Program {
        Program(Command::new("/bin/sh").args(["-c", script]).stdin(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A directory with a socket in it, served by a thread.
struct Monitor {
    _directory: tempfile::TempDir,
    path: String,
    thread: Option<JoinHandle<()>>,
}

impl Monitor {
    /// Serves one connection as `serve` says.
    fn new(serve: impl FnOnce(&UnixListener) + Send + 'static) -> Monitor {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("qmp").to_str().unwrap().to_owned();
        let listener = UnixListener::bind(&path).unwrap();
        let thread = std::thread::spawn(move || serve(&listener));
        Monitor { _directory: directory, path, thread: Some(thread) }
    }

    /// What the thread found wrong is the test's.
    fn done(mut self) {
        self.thread.take().unwrap().join().unwrap();
    }
}

const GREETING: &[u8] = b"{\"QMP\": {\"version\": {}, \"capabilities\": [\"oob\"]}}\r\n";

/// QEMU's part of the handshake, up to the request.
fn greet(listener: &UnixListener) -> UnixStream {
    let (mut stream, _) = listener.accept().unwrap();
    // In two pieces, with a pause that is longer than the reader waits at a time.
    stream.write_all(&GREETING[..20]).unwrap();
    std::thread::sleep(PAUSE * 3);
    stream.write_all(&GREETING[20..]).unwrap();
    let mut request = String::new();
    BufReader::new(stream.try_clone().unwrap()).read_line(&mut request).unwrap();
    assert_eq!(request, "{\"execute\":\"qmp_capabilities\"}\n");
    stream
}

#[test]
fn with_a_monitor_it_is_up_when_that_answers_and_not_before() {
    let answered = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&answered);
    let monitor = Monitor::new(move |listener| {
        let mut stream = greet(listener);
        std::thread::sleep(PAUSE * 6);
        stream.write_all(b"{\"event\": \"RESUME\"}\r\n").unwrap();
        std::thread::sleep(PAUSE * 3);
        told.store(true, Ordering::SeqCst);
        stream.write_all(b"{\"return\": {}}\r\n").unwrap();
    });
    let mut program = Program::new("sleep 60");
    // That somebody has the card says nothing here.
    let came = come_up(&mut program.0, Some(&monitor.path), || true, LONG).unwrap();
    assert_eq!((came, answered.load(Ordering::SeqCst)), (Start::Up, true));
    monitor.done();
}

#[test]
fn with_a_monitor_an_end_before_its_answer_is_an_end() {
    let monitor = Monitor::new(|listener| drop(greet(listener)));
    for code in [0, 1] {
        let mut program = Program::new(&format!("sleep 0.4; exit {code}"));
        let came = come_up(&mut program.0, Some(&monitor.path), || true, LONG).unwrap();
        assert!(matches!(came, Start::Ended(end) if end.code() == Some(code)), "{came:?}");
    }
    monitor.done();
}

#[test]
fn a_monitor_that_is_not_there_yet_is_tried_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("qmp");
    let later = path.clone();
    let server = std::thread::spawn(move || {
        std::thread::sleep(PAUSE * 4);
        let listener = UnixListener::bind(later).unwrap();
        greet(&listener).write_all(b"{\"return\": {}}\n").unwrap();
    });
    let mut program = Program::new("sleep 60");
    assert_eq!(come_up(&mut program.0, path.to_str(), || false, LONG).unwrap(), Start::Up);
    server.join().unwrap();
}

#[test]
fn a_monitor_that_says_nothing_does_not_keep_the_start_for_ever() {
    let monitor = Monitor::new(|listener| {
        let (stream, _) = listener.accept().unwrap();
        // Until the asking program has gone.
        let mut nothing = String::new();
        let _ = BufReader::new(stream).read_line(&mut nothing);
    });
    let mut program = Program::new("sleep 60");
    let came = come_up(&mut program.0, Some(&monitor.path), || true, PAUSE * 6).unwrap();
    assert_eq!(came, Start::Late("its monitor does not answer"));
    monitor.done();
}

#[test]
fn without_a_monitor_it_must_live_with_the_card_for_a_while() {
    let mut program = Program::new("sleep 60");
    let begin = Instant::now();
    assert_eq!(come_up(&mut program.0, None, || true, LONG).unwrap(), Start::Up);
    assert!(begin.elapsed() >= LIVING);

    // It has opened the card in time, so it is given its while beyond that time.
    assert_eq!(come_up(&mut program.0, None, || true, PAUSE).unwrap(), Start::Up);

    for code in [0, 3] {
        let mut program = Program::new(&format!("sleep 0.3; exit {code}"));
        let came = come_up(&mut program.0, None, || true, LONG).unwrap();
        assert!(matches!(came, Start::Ended(end) if end.code() == Some(code)), "{came:?}");
    }
}

#[test]
fn without_a_monitor_a_program_that_leaves_the_card_alone_is_late() {
    let mut program = Program::new("sleep 60");
    let came = come_up(&mut program.0, None, || false, PAUSE * 4).unwrap();
    assert_eq!(came, Start::Late("has not opened the card"));
}
