// SPDX-License-Identifier: LGPL-2.1-or-later
//! SIGKILL at any moment of a hand-over or of a give-back; then what systemd runs afterwards gives everything back.

use super::*;
use common::moments;
use common::strace;
use common::text::Nodes;
use std::os::unix::process::ExitStatusExt;

/// More than any of the programs has.
const MANY: u32 = 400;

/// Runs vfio-guest with something injected at some of its calls, and ends a guest that has started; its exit status, none if
/// it was killed.
pub fn injected(tree: &Tree, arguments: &[&str], calls: &str, injection: &str) -> Option<i32> {
    let what = format!("{arguments:?}, {calls}:{injection}");
    ended(tree, arguments, strace::start(strace::command(tree, VFIO_GUEST, arguments, calls, injection)), &what)
}

/// Waits for the end of vfio-guest under strace, and ends a guest that has started.
pub fn ended(tree: &Tree, arguments: &[&str], mut child: Child, what: &str) -> Option<i32> {
    let begin = Instant::now();
    // A guest that has started is ended, so that the program goes on to its own end.
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(matches!(status.signal(), None | Some(9)), "{what}: {status}");
            return status.code();
        }
        assert!(begin.elapsed() < Duration::from_secs(120), "{what} does not end");
        if arguments[0] == "run" && domain::runs(tree, arguments[1]) {
            tree.simulate(&["run", "guest-ends", arguments[1]]);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Gives back, and compares with the machine as it was.
#[track_caller]
pub fn all_is_back(tree: &Tree, before: &Nodes, what: &str) {
    let back = give_back(tree, "demo");
    assert_eq!(back.status, Some(0), "{what}: {}", back.stderr);
    log_in_again(tree, what);
    tree.assert_same(before, what);
    assert_nothing_left(tree, what);
}

/// The journal's records are made safe; a child that acts is started.
const CALLS: [&str; 2] = ["fsync,fdatasync", "clone,clone3,fork,vfork"];

/// Kills it at each moment in turn, gives back, and compares; how many moments there were.
fn kill_everywhere(arguments: &[&str], prepare: impl Fn(&Tree)) -> u32 {
    let mut kills = 0;
    for calls in CALLS {
        for n in 1.. {
            assert!(n < MANY, "{calls} never end");
            let tree = full_machine();
            let before = tree.snapshot();
            prepare(&tree);
            if injected(&tree, arguments, calls, &format!("signal=SIGKILL:when={n}")).is_some() {
                break;
            }
            kills += 1;
            all_is_back(&tree, &before, &format!("killed at {calls} {n}"));
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
    let kills = kill_everywhere(&["give-back", "demo"], |tree| {
        drop(started(tree, "demo"));
        assert!(!tree.exists(".kernel/sessions/2"), "the hand-over has not ended the desktop's session");
    });
    assert!(kills > 10, "only {kills} moments");
}

/// As [`kill_everywhere`], at any system call, drawn by lot.
#[test]
fn killed_at_a_random_moment() {
    for arguments in [["run", "demo"], ["give-back", "demo"]] {
        let ready = || {
            let tree = full_machine();
            let before = tree.snapshot();
            // Its supervisor is killed when the value is dropped.
            drop((arguments[0] == "give-back").then(|| started(&tree, "demo")));
            (tree, before)
        };
        let (tree, _) = ready();
        // What a start waits for is polled: the count is of the order of what there is.
        let calls = strace::count(&tree, VFIO_GUEST, &["give-back", "demo"], "all").max(400);
        for n in moments::drawn(calls, 8) {
            let (tree, before) = ready();
            let ended = injected(&tree, &arguments, "all", &format!("signal=SIGKILL:when={n}"));
            all_is_back(&tree, &before, &format!("{arguments:?} {ended:?} at call {n}"));
        }
    }
}

/// Every write of a journal, a claim or a status that fails: the start fails with a sentence, and all is given back.
#[test]
fn whatever_cannot_be_written_is_given_back() {
    let mut failed = 0;
    for (calls, n, error) in moments::failing_writes() {
        let tree = full_machine();
        let before = tree.snapshot();
        let ended = injected(&tree, &["run", "demo"], calls, &format!("error={error}:when={n}"));
        let what = format!("{calls} {n}: {error}");
        assert!(matches!(ended, Some(0..=2)), "{what}: {ended:?}");
        failed += u32::from(ended != Some(0));
        all_is_back(&tree, &before, &what);
    }
    assert!(failed > 5, "only {failed} starts failed");
}
