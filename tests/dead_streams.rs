// SPDX-License-Identifier: LGPL-2.1-or-later
//! Nobody takes what a program says: standard output and standard error are full, closed, or a pipe whose reader has gone. It
//! ends with a code, never by a signal. And who takes it decides what it looks like.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::pairs::small;
use std::process::{Command, Stdio};

/// Every program, with arguments that make it say something on standard error, on standard output, or both.
const RUNS: [(&str, &[&str]); 20] = [
    (env!("CARGO_BIN_EXE_vfio"), &[]),
    (env!("CARGO_BIN_EXE_vfio"), &["--help"]),
    (env!("CARGO_BIN_EXE_vfio"), &["nonsense"]),
    (env!("CARGO_BIN_EXE_vfio"), &["check"]),
    (env!("CARGO_BIN_EXE_vfio"), &["status"]),
    (env!("CARGO_BIN_EXE_vfio"), &["status", "--json"]),
    (env!("CARGO_BIN_EXE_vfio"), &["groups"]),
    (env!("CARGO_BIN_EXE_vfio"), &["bind", "big"]),
    (env!("CARGO_BIN_EXE_vfio"), &["restore", "big"]),
    (env!("CARGO_BIN_EXE_vfio"), &["bind", "nobody"]),
    (env!("CARGO_BIN_EXE_vfio-bind"), &[]),
    (env!("CARGO_BIN_EXE_vfio-bind"), &["files"]),
    (env!("CARGO_BIN_EXE_vfio-bind"), &["gpu", "nobody"]),
    (env!("CARGO_BIN_EXE_vfio-generator"), &[]),
    (env!("CARGO_BIN_EXE_vfio-guest"), &[]),
    (env!("CARGO_BIN_EXE_vfio-kernel-install"), &["add", "1", "/nowhere", "/nowhere"]),
    (env!("CARGO_BIN_EXE_vfio-libvirt-hook"), &[]),
    (env!("CARGO_BIN_EXE_vfio-sync"), &["nonsense"]),
    (env!("CARGO_BIN_EXE_vfio-udev"), &[]),
    (env!("CARGO_BIN_EXE_vfio-udev"), &["0000:03:00.0"]),
];

/// Regression: a message that could not be written ended the program by SIGABRT.
#[test]
fn nobody_listens() {
    for (what, script) in [
        ("full", "exec \"$@\" >/dev/full 2>/dev/full"),
        ("standard error full", "exec \"$@\" 2>/dev/full >/dev/null"),
        ("closed", "exec \"$@\" <&- >&- 2>&-"),
        ("standard error closed", "exec \"$@\" 2>&- >/dev/null"),
        (
            "a reader that has gone",
            "{ sleep 0.1; \"$@\" 2>&1; echo $? >$VFIO_ROOT/code; } | :; sleep 0.2; exit $(cat $VFIO_ROOT/code)",
        ),
    ] {
        let tree = small();
        // Something to complain of.
        tree.write("etc/vfio.conf.d/50-x.conf", "[gpu odd]\nnonsense = 1\n");
        for (program, arguments) in RUNS {
            let mut command = Command::new("sh");
            command
                .args(["-c", script, "sh", program])
                .args(arguments)
                .env("VFIO_ROOT", tree.path())
                .env("VERBOSE", "1");
            command.env("KERNEL_INSTALL_VERBOSE", "1").env_remove("JOURNAL_STREAM").env_remove("INVOCATION_ID");
            let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
            // A shell tells of a signal by a code above 128; 101 is a panic that unwinds, as in this build.
            assert!(
                status.code().is_some_and(|code| code < 128 && code != 101),
                "{program} {arguments:?}, {what}: {status:?}"
            );
        }
    }
}

/// Regression: `<3>` stood on every terminal that runs as a unit of the user, where both variables are set.
#[test]
fn priorities_are_for_the_journal_alone() {
    for (program, arguments) in [
        (env!("CARGO_BIN_EXE_vfio"), &["bind", "big"][..]),
        (env!("CARGO_BIN_EXE_vfio-bind"), &["gpu", "nobody"]),
        (env!("CARGO_BIN_EXE_vfio-generator"), &["/proc/nowhere"]),
        (env!("CARGO_BIN_EXE_vfio-guest"), &["run", "nobody"]),
        (env!("CARGO_BIN_EXE_vfio-sync"), &[]),
    ] {
        let tree = small();
        tree.write("etc/vfio.conf.d/50-x.conf", "[gpu odd]\nnonsense = 1\n");
        let prefixed = |stderr: &str| stderr.lines().filter(|line| line.starts_with('<')).count();
        let command = || {
            let mut command = tree.command(program);
            command.args(arguments).env("SYSTEMD_LOG_LEVEL", "debug");
            command
        };
        let ran = tree.run_in_journal(command());
        let lines = ran.stderr.lines().count();
        // What a person is told besides has none.
        assert!(prefixed(&ran.stderr) > 0, "{program}: {}", ran.stderr);
        assert!(program.ends_with("vfio") || prefixed(&ran.stderr) == lines, "{program}: {}", ran.stderr);
        for stream in ["", "8:1", "8", "8:", ":1", "-1:1", "18446744073709551616:1", "x:y"] {
            let stderr = command().env("JOURNAL_STREAM", stream).env("INVOCATION_ID", "1").output().unwrap().stderr;
            let stderr = String::from_utf8(stderr).unwrap();
            assert!(!stderr.is_empty() && prefixed(&stderr) == 0, "{program}, {stream:?}: {stderr}");
        }
    }
}
