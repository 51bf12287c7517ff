// SPDX-License-Identifier: LGPL-2.1-or-later
//! SIGKILL at any moment of a hand-over or of a give-back; then what systemd runs afterwards gives everything back.

use super::*;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

/// More than any of the programs has.
const MANY: u32 = 400;

/// Runs vfio-guest and kills it at the Nth of these calls; whether it was killed.
fn killed(tree: &Tree, arguments: &[&str], calls: &str, n: u32) -> bool {
    let mut strace = Command::new("strace");
    strace.args(["-qq", "-o", "/dev/null", "-e", &format!("trace={calls}")]);
    strace.args(["-e", &format!("inject={calls}:signal=SIGKILL:when={n}"), VFIO_GUEST]).args(arguments);
    strace.env("VFIO_ROOT", tree.path()).env("NO_COLOR", "1").env_remove("JOURNAL_STREAM").env_remove("INVOCATION_ID");
    strace.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let begin = Instant::now();
    let mut child = strace.spawn().unwrap_or_else(|error| {
        panic!("strace cannot be run ({error}); install the package strace: without it no crash can be tested")
    });
    // A guest that has started is ended, so that the program goes on to its own end.
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.signal() == Some(9);
        }
        assert!(begin.elapsed() < Duration::from_secs(120), "{arguments:?} does not end");
        if arguments[0] == "run" && domain::runs(tree, arguments[1]) {
            tree.run(VFIO, &["--vfio-model", "run", "guest-ends", arguments[1]]);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The journal's records are made safe; a child that acts is started.
const CALLS: [&str; 2] = ["fsync,fdatasync", "clone,clone3,fork,vfork"];

/// Kills it at each moment in turn, gives back, and compares; how many moments there were.
fn kill_everywhere(arguments: &[&str], prepare: impl Fn(&Tree)) -> u32 {
    let mut kills = 0;
    for calls in CALLS {
        for n in 1.. {
            assert!(n < MANY, "{calls} never end");
            let tree = machine();
            let before = tree.snapshot();
            prepare(&tree);
            if !killed(&tree, arguments, calls, n) {
                break;
            }
            kills += 1;
            let what = format!("killed at {calls} {n}");
            let back = give_back(&tree, "demo");
            assert_eq!(back.status, Some(0), "{what}: {}", back.stderr);
            log_in_again(&tree, &what);
            tree.assert_same(&before, &what);
            assert_nothing_left(&tree, &what);
        }
    }
    kills
}

#[test]
fn killed_at_any_moment_of_the_hand_over() {
    let kills = kill_everywhere(&["run", "demo"], |_| {});
    assert!(kills > 20, "only {kills} moments");
}

#[test]
fn killed_at_any_moment_of_the_give_back() {
    let kills = kill_everywhere(&["give-back", "demo"], |tree| drop(started(tree, "demo")));
    assert!(kills > 10, "only {kills} moments");
}
