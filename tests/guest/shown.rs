// SPDX-License-Identifier: LGPL-2.1-or-later
//! What a user sees of a start: asked before a session ends, each step as it happens, and the reason where it waits.

use super::*;
use std::io::{BufRead, BufReader};
use std::process::Command;

const UNIT: &str = "vfio-guest@demo.service";
const PROGRESS: &str = "run/vfio/guest-progress/demo";
const ISSUE: &str = "run/vfio/issue";

/// The reason waits on the console, in the status, and for the next login to a desktop; a start that goes well takes it away.
#[test]
fn the_reason_of_a_failed_start_waits_for_the_user() {
    let tree = machine();
    assert!(!tree.exists(ISSUE));
    assert_eq!(tree.run(VFIO, &["guest", "notify"]).stdout, "");
    tree.faults("run:virsh*start* EIO\n");
    assert_eq!(Running::start(&tree, "demo").end().status, Some(1));
    assert_eq!(give_back(&tree, "demo").status, Some(0));
    tree.no_faults();
    let text = tree.read(ISSUE);
    assert!(
        text.starts_with("vfio: [guest demo] the last start failed: [guest demo] cannot be started: virsh: "),
        "{text}"
    );
    assert!(tree
        .run(VFIO, &["status"])
        .stdout
        .contains("[guest demo]: did not start\n  [guest demo] cannot be started"));
    tree.remove(".kernel/ran");
    let ran = tree.run(VFIO, &["guest", "notify"]);
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(0), ""), "{}", ran.stderr);
    let shown = tree.read(".kernel/ran");
    assert!(shown.starts_with("notify-send --app-name=vfio") && shown.contains("the last start failed"), "{shown}");
    // Where libnotify's program is not installed.
    tree.remove(".kernel/ran");
    tree.faults("run:notify-send* ENOENT\n");
    assert_eq!(tree.run(VFIO, &["guest", "notify"]).status, Some(0));
    tree.no_faults();
    assert!(tree.read(".kernel/ran").starts_with("busctl --user call org.freedesktop.Notifications"));
    log_in_again(&tree, "before the next start");
    let running = started(&tree, "demo");
    assert!(!tree.exists(ISSUE));
    guest_ends(&tree, "demo");
    assert_eq!(running.end().status, Some(0));
}

/// What is refused has touched nothing, and is said where it was asked for.
#[test]
fn a_refused_start_is_not_on_the_console() {
    let tree = machine();
    tree.remove("var/lib/libvirt/images/demo.qcow2");
    assert_eq!(Running::start(&tree, "demo").end().status, Some(1));
    assert!(tree.read("run/vfio/guest-status/demo").contains("refused"));
    assert!(!tree.exists(ISSUE));
}

#[test]
fn each_step_is_shown_to_who_watches() {
    let tree = machine();
    let mut watch = tree.command(VFIO);
    watch.args(["guest", "status", "demo", "--watch"]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut watch = Running { child: Some(watch.spawn().unwrap()) };
    let output = watch.child.as_mut().unwrap().stdout.take().unwrap();
    let mut lines = BufReader::new(output).lines().map(Result::unwrap);
    assert_eq!(lines.next().as_deref(), Some("[guest demo]: off"));
    let running = started(&tree, "demo");
    let mut seen = Vec::new();
    let mut expect = |what: &str| {
        let line = lines.by_ref().inspect(|line| seen.push(line.clone())).find(|line| line.ends_with(what));
        assert!(line.is_some(), "{what}: {seen:?}");
    };
    expect("0.0 s  checking");
    expect(" s  bind [gpu big] to vfio");
    expect(" s  start domain demo");
    guest_ends(&tree, "demo");
    assert_eq!(running.end().status, Some(0));
    expect(" s  giving [gpu big] back to the host");
    expect("[guest demo]: off");
    assert!(seen.iter().any(|line| line == "[guest demo]: has its cards"), "{seen:?}");
    drop(lines);
    until("the end of who watches", || watch.has_ended());
    let first = tree.read(PROGRESS);
    assert!(first.starts_with("{\"at\":") && first.contains("\"text\":\"checking\""), "{first}");
}

/// `vfio guest start demo` with these options on a terminal (script(1)), with this answer.
fn on_terminal(tree: &Tree, options: &str, answer: &str) -> Ran {
    let mut command = Command::new("script");
    let words = format!("{VFIO} --root {} guest start demo {options}", tree.path().display());
    command.args(["--quiet", "--return", "--command", &words, "/dev/null"]).env("TERM", "dumb");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("script(1)");
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), answer.as_bytes()).unwrap();
    let ran: Ran = child.wait_with_output().unwrap().into();
    Ran { stdout: ran.stdout.replace("\r\n", "\n"), ..ran }
}

#[test]
fn a_start_that_ends_a_session_is_asked_for_on_a_terminal() {
    let tree = machine();
    desktop::unit(&tree, UNIT, &["state inactive"]);
    let state = || desktop::unit_state(&tree, UNIT);
    let ran = on_terminal(&tree, "", "n\n");
    assert_eq!((ran.status, state().as_deref()), (Some(1), Some("inactive")), "{}", ran.stdout);
    for line in
        ["ends: the GNOME session of ada on seat0 (2): save first\n", "Start [guest demo]? [y/N]", "is not started\n"]
    {
        assert!(ran.stdout.contains(line), "{line}: {}", ran.stdout);
    }
    let ran = on_terminal(&tree, "", "y\n");
    assert_eq!((ran.status, state().as_deref()), (Some(0), Some("active")), "{}", ran.stdout);
    assert!(ran.stdout.ends_with("[guest demo] runs\n"), "{}", ran.stdout);
    desktop::unit(&tree, UNIT, &["state inactive"]);
    let ran = on_terminal(&tree, "--yes", "");
    assert_eq!((ran.status, ran.stdout.contains('?')), (Some(0), false), "{}", ran.stdout);
    // Nobody is asked where nobody can answer, and where nothing ends.
    desktop::unit(&tree, UNIT, &["state inactive"]);
    assert_eq!(tree.run(VFIO, &["guest", "start", "demo"]).stdout, "[guest demo] runs\n");
    let tree = small_machine().build();
    tree.config(CONFIGURATION);
    domain(&tree, "demo", &[VIDEO, SOUND], &[]);
    desktop::unit(&tree, UNIT, &["state inactive"]);
    let ran = on_terminal(&tree, "", "");
    assert!(ran.status == Some(0) && ran.stdout.ends_with("\n[guest demo] runs\n"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("[y/N]"), "{}", ran.stdout);
}

#[test]
fn a_start_shows_its_steps_with_seconds_and_how_it_ended() {
    let tree = machine();
    desktop::unit(&tree, UNIT, &["state inactive"]);
    // Of what the unit does from now on.
    let later = 1_000_000_000_000_u64;
    let step = |at: u64, text: &str| format!("{{\"at\":{at},\"text\":\"{text}\"}}\n");
    let old = step(1, "an older start");
    tree.write(PROGRESS, &format!("{old}{}{}", step(later, "checking"), step(later + 1530, "bind [gpu big] to vfio")));
    let ran = tree.run(VFIO, &["guest", "start", "demo"]);
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    assert_eq!(ran.stdout, "    0.0 s  checking\n    1.5 s  bind [gpu big] to vfio\n[guest demo] runs (0.0 s)\n");
    let json = tree.run(VFIO, &["--json", "guest", "start", "demo"]).stdout;
    assert_eq!(
        json,
        "{\"schema\":\"vfio.guest-start/1\",\"guest\":\"demo\",\"runs\":true,\"changed\":true,\"why\":[]}\n"
    );
    desktop::unit(&tree, UNIT, &["state inactive"]);
    tree.faults("run:systemctl*start* EIO\n");
    tree.write("run/vfio/guest-status/demo", "{\"guest\":\"demo\",\"outcome\":\"failed\",\"why\":[\"it hung\"]}");
    let ran = tree.run(VFIO, &["guest", "start", "demo"]);
    assert_eq!(ran.status, Some(2));
    assert!(ran.stderr.ends_with("vfio: it hung\n"), "{}", ran.stderr);
    assert!(ran.stdout.ends_with("[guest demo] failed (0.0 s)\n"), "{}", ran.stdout);
}
