// SPDX-License-Identifier: LGPL-2.1-or-later
//! Who makes way for a guest, and who need not: exactly those who hold the card end, every session that goes is named
//! before, and whoever would hold the card all the same is a refusal before the first step.

use super::*;
use rustix::fs::{FileType, Mode};
use vfio_suite::act::backend::tools::Signal;
use vfio_suite::act::backend::{kernel_for, tools_for};
use vfio_suite::act::guest::runner::Libvirt;
use vfio_suite::host::process::Process;

/// The host's other display, and its twin's sound.
const OTHER: &str = "0000:04:00.0";
const OTHER_SOUND: &str = "0000:04:00.1";
const SCOPE: &str = "/user.slice/user-1000.slice/session-2.scope";
const MANAGER: &str = "/user.slice/user-1000.slice/user@1000.service";

/// A machine whose desktop is on the other card.
fn beside() -> Tree {
    let tree = small_machine().build();
    tree.config("[gpu big]\ndevice = 0000:03:00.0\nbind = guest\n[guest demo]\ngpus = big\nstart-timeout = 40s\n");
    desktop(&tree, OTHER, Some(OTHER_SOUND));
    domain(&tree, "demo", &[VIDEO, SOUND], &[]);
    tree
}

/// Another line in the guest's section, in place of one with its key.
fn with(tree: &Tree, more: &str) {
    let key = more.split(' ').next().unwrap();
    let config = tree.read("etc/vfio.conf");
    let config: String = config.split_inclusive('\n').filter(|line| !line.starts_with(key)).collect();
    tree.config(&config.replace("gpus = big\n", &format!("gpus = big\n{more}\n")));
}

fn open_too(tree: &Tree, pid: u32, function: &str) {
    for (fd, node) in (20..).zip(desktop::nodes(tree, function)) {
        std::os::unix::fs::symlink(node, tree.join(&format!("proc/{pid}/fd/{fd}"))).unwrap();
    }
}

/// What a start would do, or why it is refused.
fn plan(tree: &Tree) -> String {
    let ran = tree.run(VFIO, &["guest", "plan", "demo"]);
    assert_eq!(ran.stderr, "");
    ran.stdout
}

#[track_caller]
fn has(text: &str, words: &[&str], not: &[&str]) {
    words.iter().for_each(|words| assert!(text.contains(words), "{words}: {text}"));
    not.iter().for_each(|words| assert!(!text.contains(words), "{words}: {text}"));
}

/// A guest from start to end, after which the session 2 has lived on.
#[track_caller]
fn session_lives(tree: &Tree) -> Ran {
    let before = tree.snapshot();
    let running = started(tree, "demo");
    assert!(has_card(tree) && tree.exists(".kernel/sessions/2") && tree.exists("proc/2100"));
    assert_eq!(desktop::unit_state(tree, ALIAS).as_deref(), Some("active"));
    guest_ends(tree, "demo");
    let ran = running.end();
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    assert_eq!(give_back(tree, "demo").status, Some(0));
    tree.assert_same(&before, "after the guest");
    assert_nothing_left(tree, "after the guest");
    ran
}

#[test]
fn a_card_that_nobody_holds_ends_nobody() {
    let tree = beside();
    has(&plan(&tree), &["bind [gpu big]"], &["end session", "stop gdm", "warning", "ask "]);
    session_lives(&tree);
    // Only who says so loses it all the same.
    with(&tree, "handover = steal");
    has(&plan(&tree), &["end session 2 of ada on seat0", "stop gdm.service"], &[]);
}

/// Sound servers have every mixer open, and are started again at once.
#[test]
fn a_sound_server_is_told_and_lives_on() {
    let tree = beside();
    open_too(&tree, desktop::SOUND_SERVER, SOUND);
    tree.write(".kernel/follows-udev", "2200\n");
    has(&plan(&tree), &["announce the removal of"], &["end session", "stop gdm", "ask "]);
    let ran = session_lives(&tree);
    assert!(!ran.stderr.contains("asked to end"), "{}", ran.stderr);
    assert_eq!(desktop::nodes(&tree, SOUND).len(), desktop::nodes(&tree, OTHER_SOUND).len());
    // One that does not listen is asked to end, and nobody else.
    tree.remove(".kernel/follows-udev");
    let running = started(&tree, "demo");
    assert!(!tree.exists("proc/2200") && tree.exists(".kernel/sessions/2"));
    drop(running);
}

#[test]
fn who_only_computes_or_draws_there_is_asked_and_the_session_lives() {
    let tree = beside();
    let render: Vec<String> = desktop::nodes(&tree, VIDEO).into_iter().filter(|n| n.contains("render")).collect();
    assert_eq!(render.len(), 1);
    desktop::process(&tree, 4000, "game", 1000, SCOPE, &render);
    desktop::process(&tree, 4001, "trainer", 1001, "/user.slice/user-1001.slice/session-7.scope", &render);
    let text = plan(&tree);
    has(&text, &["ask game (pid 4000", "ask trainer (pid 4001"], &["end session", "stop gdm"]);
    let running = started(&tree, "demo");
    assert!(!tree.exists("proc/4000") && !tree.exists("proc/4001") && tree.exists(".kernel/sessions/2"));
    drop(running);
}

/// Compositors open all cards of their seat; their display manager's next greeter would, too.
#[test]
fn a_compositor_that_has_both_cards_ends_and_it_is_said_why_and_what_avoids_it() {
    for cgroup in [SCOPE, &format!("{MANAGER}/session.slice/org.gnome.Shell@wayland.service")] {
        let tree = beside();
        tree.write("proc/2100/cgroup", &format!("0::{cgroup}\n"));
        open_too(&tree, desktop::COMPOSITOR, VIDEO);
        let card = &desktop::nodes(&tree, VIDEO)[0];
        let greets = [desktop::nodes(&tree, OTHER), desktop::nodes(&tree, VIDEO)].concat();
        desktop::greeter(&tree, "c3", "seat0", 2300, &greets);
        let why =
            "warning: /etc/vfio.conf:4: [guest demo] session 2 of ada on seat0 ends, because gnome-shell (pid 2100";
        let text = plan(&tree);
        has(&text, &[why, card, "'bind = boot'", "'handover = hot'", "end session 2 of ada", "stop gdm.service"], &[]);
        let running = started(&tree, "demo");
        assert!(!tree.exists(".kernel/sessions/2") && !tree.exists("proc/2300"));
        guest_ends(&tree, "demo");
        let ran = running.end();
        has(&ran.stderr, &[&why[9..]], &[]);
        assert_eq!(give_back(&tree, "demo").status, Some(0));
        assert_nothing_left(&tree, "after a compositor with both cards");
    }
}

/// On the only display everybody expects it.
#[test]
fn the_desktop_of_the_only_display_ends_without_a_warning() {
    let tree = machine();
    tree.config("[gpu big]\ndevice = 0000:03:00.0\nbind = guest\n[guest demo]\ngpus = big\n");
    kernel_for(&tree.root()).write("sys/bus/pci/drivers/amdgpu/unbind", OTHER).unwrap();
    has(&plan(&tree), &["end session 2 of ada on seat0", "stop gdm.service"], &["warning"]);
}

/// Bob is on seat1, with a card and a greeter of its own.
fn two_seats() -> Tree {
    let tree = machine();
    tree.config(
        "[gpu big]\ndevice = 0000:03:00.0\nbind = guest\n[gpu twin]\ndevice = 0000:04:00.0\nbind = guest\n\
         [guest demo]\ngpus = big\n[guest other]\ngpus = twin\n",
    );
    domain(&tree, "other", &[OTHER, OTHER_SOUND], &[]);
    desktop::on_seat(&tree, OTHER, "seat1");
    let open = desktop::nodes(&tree, OTHER);
    desktop::logged_in(&tree, ("3", "seat1"), ("bob", 1001), 2500, &open);
    let manager = tree.read(".kernel/units/gdm.service");
    tree.write(".kernel/units/gdm.service", &format!("{manager}session 3\n"));
    desktop::greeter(&tree, "c3", "seat1", 2600, &open);
    tree
}

#[test]
fn who_is_on_another_seat_is_named_before_the_display_manager_stops() {
    let tree = two_seats();
    for handover in ["auto", "steal"] {
        with(&tree, &format!("handover = {handover}"));
        let text = plan(&tree);
        let named = "session 3 of bob on seat1 ends too, because gdm.service serves all seats";
        let step = "stop gdm.service, which ends session 3 of bob on seat1";
        has(&text, &[named, "end session 2 of ada on seat0", step], &["end session 3"]);
    }
    let running = started(&tree, "demo");
    assert!(!tree.exists(".kernel/sessions/3"));
    guest_ends(&tree, "demo");
    let ran = running.end();
    let told = |words: &str| ran.stderr.find(words).unwrap_or_else(|| panic!("{words}: {}", ran.stderr));
    assert!(told("session 3 of bob on seat1 ends too") < told("end session 2 of ada on seat0"), "{}", ran.stderr);
    assert!(ran.stderr.contains("stop gdm.service, which ends session 3 of bob on seat1"), "{}", ran.stderr);
}

#[test]
fn the_card_of_another_seat_ends_that_seats_session_and_no_other() {
    let tree = two_seats();
    let ran = tree.run(VFIO, &["guest", "plan", "other"]);
    has(&ran.stdout, &["end session 3 of bob on seat1", "announce the removal of"], &["stop gdm", "session 2", "too"]);
    let running = started(&tree, "other");
    assert_eq!(tree.driver(OTHER).as_deref(), Some("vfio-pci"));
    assert!(tree.exists(".kernel/sessions/2") && tree.exists("proc/2100"), "ada lives on");
    assert!(!tree.exists(".kernel/sessions/3") && !tree.exists("proc/2600"), "nobody is greeted there meanwhile");
    assert_eq!(desktop::unit_state(&tree, ALIAS).as_deref(), Some("active"));
    guest_ends(&tree, "other");
    assert_eq!(running.end().status, Some(0));
    assert_eq!(give_back(&tree, "other").status, Some(0));
    assert_nothing_left(&tree, "after the other seat's guest");
    assert!(tree.exists("proc/2600"), "and is greeted again after it");
    assert_eq!(tree.driver(OTHER).as_deref(), Some("amdgpu"));
}

/// LightDM and SDDM run X servers themselves.
#[test]
fn an_x_server_of_the_display_manager_is_its_sessions() {
    let tree = machine();
    tree.write("proc/2100/cgroup", "0::/system.slice/gdm.service\n");
    let text = plan(&tree);
    has(&text, &["end session 2 of ada on seat0", "stop gdm.service"], &["refused", "ask gnome-shell"]);
}

/// A greeter is a session like any other.
#[test]
fn a_greeter_holds_the_card_too() {
    let tree = machine();
    desktop::greeter(&tree, "c1", "seat0", 2600, &desktop::nodes(&tree, VIDEO));
    assert_eq!(tree.simulate(&["run", "loginctl", "terminate-session", "2"]).status, Some(0));
    has(&plan(&tree), &["end session c1 of gdm on seat0", "stop gdm.service"], &[]);
}

/// What was started from a text login ends by itself; the login stays, and the display manager has nothing to do with it.
#[test]
fn a_compositor_from_a_text_login_is_asked_to_end() {
    let tree = beside();
    let open = desktop::nodes(&tree, VIDEO);
    desktop::process(&tree, 4100, "login", 0, "/user.slice/user-1001.slice/session-5.scope", &[]);
    std::os::unix::fs::symlink("/usr/bin/login", tree.join("proc/4100/exe")).unwrap();
    desktop::process(&tree, 4101, "sway", 1001, "/user.slice/user-1001.slice/session-5.scope", &open);
    let facts = ["seat seat0", "name bob", "user 1001", "leader 4100", "process 4101"];
    for (kind, words, not) in [
        ("type tty", "ask sway (pid 4101", "end session 5"),
        ("type wayland", "end session 5 of bob on seat0", "ask sway"),
    ] {
        desktop::session(&tree, "5", &[&facts[..], &[kind]].concat());
        has(&plan(&tree), &[words], &[not, "stop gdm", "session 2"]);
    }
}

/// logind ends none that is closing already.
#[test]
fn what_is_left_of_a_session_is_asked_to_end() {
    let tree = beside();
    let open = desktop::nodes(&tree, VIDEO);
    desktop::process(&tree, 4101, "sway", 1001, "/user.slice/user-1001.slice/session-5.scope", &open);
    let facts = ["seat seat0", "name bob", "user 1001", "type wayland", "state closing", "process 4101"];
    desktop::session(&tree, "5", &facts);
    has(&plan(&tree), &["ask sway (pid 4101"], &["end session", "stop gdm"]);
}

/// Nothing was touched, and the sentence has these words.
#[track_caller]
fn refused(tree: &Tree, words: &[&str]) {
    let before = tree.snapshot();
    has(&plan(tree), words, &[" 1. "]);
    let ran = tree.run(VFIO_GUEST, &["run", "demo"]);
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    has(&ran.stderr, words, &["reserve [gpu big]"]);
    tree.assert_same(&before, "refused");
    assert!(!tree.exists("run/vfio/guests/demo/journal"), "nothing was begun");
}

/// A desktop on the card, and a process of the system that has it open.
fn held_by(command: &str, cgroup: &str) -> Tree {
    let tree = machine();
    tree.config("[gpu big]\ndevice = 0000:03:00.0\nbind = guest\n[guest demo]\ngpus = big\nstart-timeout = 40s\n");
    let render: Vec<String> = desktop::nodes(&tree, VIDEO).into_iter().filter(|n| n.contains("render")).collect();
    desktop::process(&tree, 3000, command, 0, cgroup, &render);
    tree
}

#[test]
fn a_service_of_the_system_is_a_refusal_with_the_line_that_helps() {
    for cgroup in ["/system.slice/ollama.service", "/ai.slice/ollama.service/runner"] {
        let tree = held_by("runner", cgroup);
        std::os::unix::fs::symlink("/usr/lib/ollama/runner", tree.join("proc/3000/exe")).unwrap();
        let open = desktop::nodes(&tree, VIDEO);
        desktop::process(&tree, 3001, "runner", 0, cgroup, &open[1..]);
        desktop::unit(&tree, "ollama.service", &["state active", "process 3000", "process 3001"]);
        refused(&tree, &["runner (pid 3000", "write 'stop-units = ollama.service'"]);
        assert_eq!(plan(&tree).matches("refused:").count(), 1, "once a unit: {}", plan(&tree));
        has(&plan(&tree), &["(/usr/lib/ollama/runner)"], &[]);
        with(&tree, "stop-units = miner.service");
        refused(&tree, &["add ollama.service to 'stop-units'"]);
        with(&tree, "stop-units = ollama.service");
        let running = started(&tree, "demo");
        assert!(!tree.exists("proc/3000"));
        drop(running);
    }
}

#[test]
fn who_will_be_killed_is_no_refusal() {
    let tree = held_by("miner", "/system.slice/miner.service");
    desktop::stubborn(&tree, &[3000]);
    with(&tree, "kill-holders = yes");
    has(&plan(&tree), &["ask miner (pid 3000"], &["refused"]);
    // With `hot` nobody is asked, and nobody killed.
    with(&tree, "handover = hot");
    refused(&tree, &["miner (pid 3000", "'stop-units = miner.service'"]);
}

#[test]
fn who_has_no_unit_that_could_be_stopped_must_be_ended_by_hand() {
    for (cgroup, words) in [
        ("/", "end it first"),
        ("/init.scope", "end it first"),
        ("/system.slice/run-u4.scope", "end it first"),
        ("/system.slice/docker-0123.scope", "stop that container first"),
        ("/machine.slice/libpod-0123.scope/container", "stop that container first"),
        ("/machine.slice/machine-qemu\\x2d1\\x2dother.scope/libvirt/emulator", "shut that guest down first"),
    ] {
        let tree = held_by("python3", cgroup);
        refused(&tree, &["python3 (pid 3000, user 0", words]);
        // A command may do it; if it does not, nobody's session has ended for nothing.
        with(&tree, "before = /usr/bin/docker stop box");
        has(&plan(&tree), &["only if a 'before' command ends that", "check that python3 (pid 3000"], &["refused"]);
        let before = tree.snapshot();
        let ran = tree.run(VFIO_GUEST, &["run", "demo"]);
        assert_eq!(ran.status, Some(1), "{}", ran.stderr);
        has(&ran.stderr, &["check that python3", "has /dev/dri/renderD128 open"], &["end session", "stop gdm"]);
        assert_eq!(give_back(&tree, "demo").status, Some(0));
        tree.remove(".kernel/ran");
        tree.assert_same(&before, "after a command that did not help");
        std::fs::remove_dir_all(tree.join("proc/3000")).unwrap();
        drop(started(&tree, "demo"));
    }
}

/// A name is anybody's to take.
#[test]
fn who_holds_for_others_is_known_by_its_unit_and_program() {
    for (command, cgroup, others) in [
        ("systemd-logind", "/system.slice/systemd-logind.service", true),
        ("seatd", "/system.slice/seatd.service", true),
        ("(udev-worker)", "/system.slice/systemd-udevd.service/udev", true),
        ("systemd-logind", "/system.slice/miner.service", false),
        ("seatd", "/system.slice/miner.service", false),
        ("systemd", "/system.slice/miner.service", false),
    ] {
        let tree = held_by(command, cgroup);
        if others {
            has(&plan(&tree), &["end session 2"], &["refused", "pid 3000"]);
        } else {
            refused(&tree, &["stop-units = miner.service"]);
        }
    }
    let tree = held_by("seatd", SCOPE);
    let runs = |program: &str| {
        let exe = tree.join("proc/3000/exe");
        let _ = std::fs::remove_file(&exe);
        std::os::unix::fs::symlink(program, exe).unwrap();
    };
    runs("/usr/bin/seatd");
    has(&plan(&tree), &[], &["refused", "pid 3000"]);
    runs("/home/ada/seatd-like");
    tree.write("proc/3000/cgroup", "0::/user.slice/user-1000.slice/session-8.scope\n");
    has(&plan(&tree), &["ask seatd (pid 3000"], &[]);
    // A user's own, be it a copy of root's, and in a control group with the name of its service.
    runs("/home/ada/seatd");
    tree.write("proc/3000/status", "Uid:\t1001\t1001\t1001\t1001\n");
    has(&plan(&tree), &["ask seatd (pid 3000"], &[]);
    tree.write("proc/3000/cgroup", &format!("0::{MANAGER}/app.slice/seatd.service\n"));
    let running = started(&tree, "demo");
    assert!(!tree.exists("proc/3000"), "it was asked, and has ended");
    drop(running);
}

/// Regression: a process whose mappings cannot be read kept the guest's start, and its end, waiting for ever.
#[test]
fn who_does_not_let_itself_be_looked_at_is_a_refusal_by_name() {
    let tree = machine();
    tree.config("[gpu big]\ndevice = 0000:03:00.0\nbind = guest\n[guest demo]\ngpus = big\nstart-timeout = 40s\n");
    desktop::process(&tree, 3000, "stuck", 1001, "/user.slice/user-1001.slice/session-8.scope", &[]);
    let maps = tree.join("proc/3000/maps");
    rustix::fs::mknodat(rustix::fs::CWD, &maps, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let words = ["stuck (pid 3000", "has not let /proc/3000/maps be read in time", "end it first"];
    has(&plan(&tree), &words, &[" 1. "]);
    let ran = tree.run(VFIO_GUEST, &["run", "demo"]);
    assert_eq!(ran.status, Some(1));
    has(&ran.stderr, &words, &["asked to end", "end session", "stop gdm"]);
    assert!(!tree.exists("run/vfio/guests/demo/journal"), "nothing was begun");
    let ran = tree.run(VFIO, &["holders", "big"]);
    assert_eq!(ran.status, Some(1));
    has(&ran.stdout, &["gnome-shell", words[0], words[1]], &[]);
    assert_eq!(ran.stdout.matches("stuck").count(), 1, "once for both functions: {}", ran.stdout);
    let ran = tree.run(VFIO, &["holders", "big", "--json"]);
    has(&ran.stdout, &["\"seen\":\"unanswered\""], &[]);
    // Nor is anything taken from a driver.
    let ran = tree.run(VFIO, &["bind", "big"]);
    assert_eq!(ran.status, Some(1));
    // One that ends with its session, or its unit, is no reason.
    tree.write("proc/3000/cgroup", &format!("0::{SCOPE}\n"));
    has(&plan(&tree), &["end session 2"], &["refused"]);
}

/// Somebody comes while the desktop goes: the start fails in its own time, and names who it was.
#[test]
fn who_stops_answering_meanwhile_is_named_and_left_alone() {
    let tree = machine();
    let before = tree.snapshot();
    tree.faults("run:/usr/bin/begin* slow\n");
    let running = Running::start(&tree, "demo");
    until("the plan", || tree.exists("run/vfio/guests/demo/journal"));
    desktop::process(&tree, 3000, "stuck", 1001, "/user.slice/user-1001.slice/session-8.scope", &[]);
    let maps = tree.join("proc/3000/maps");
    rustix::fs::mknodat(rustix::fs::CWD, &maps, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let ran = running.end();
    assert_eq!(ran.status, Some(1));
    has(
        &ran.stderr,
        &["stuck (pid 3000", "has not let /proc/3000/maps be read"],
        &["asked to end", "keep other drivers"],
    );
    assert!(tree.exists("proc/3000"));
    tree.no_faults();
    std::fs::remove_dir_all(tree.join("proc/3000")).unwrap();
    assert_eq!(give_back(&tree, "demo").status, Some(0));
    tree.assert_same(&before, "after somebody who did not answer");
    assert_nothing_left(&tree, "after somebody who did not answer");
}

/// Regression: a number that is another's by now was sent the signal of whoever had it.
#[test]
fn a_number_that_is_anothers_by_now_is_not_signalled() {
    let tree = machine();
    desktop::process(&tree, 3000, "game", 1001, "/user.slice/user-1001.slice/session-8.scope", &[]);
    tree.write("proc/3000/stat", &stat(3000, 1, 500));
    let root = tree.root();
    let seen = Process::now(&root, 3000).unwrap();
    tree.write("proc/3000/stat", &stat(3000, 1, 900));
    assert!(!seen.is_there(&root));
    let tools = tools_for(&root);
    tools.signal(&seen, Signal::Kill).unwrap();
    assert!(tree.exists("proc/3000"));
    // libvirt's file outlives QEMU for as long as its daemon is down.
    let demo = Libvirt { tools: tools.as_ref(), uri: "qemu:///system", domain: "demo", guest: "demo" };
    tree.write("run/libvirt/qemu/demo.pid", "3000\n");
    let process = demo.process(&root).unwrap();
    assert_eq!(process.started.as_deref(), Some("900"));
    tree.write("run/vfio/guests/demo/journal", "");
    assert!(!demo.wait_for_end(&root, Some(Duration::ZERO)), "from now on it is known");
    tree.write("proc/3000/stat", &stat(3000, 1, 901));
    assert_eq!(demo.process(&root), None);
}

/// A compositor without its session's end would be asked to end, and a display manager would start the next one.
#[test]
fn what_logind_does_not_say_is_not_guessed() {
    let tree = machine();
    with(&tree, "start-timeout = 40s");
    tree.faults("run:loginctl* EIO\n");
    refused(&tree, &["gnome-shell (pid 2100", "logind does not say in which session", "try again"]);
}

/// A session that has only just begun has not opened its display yet, and would while the card changes hands.
#[test]
fn on_the_only_display_nobody_is_waited_for_to_open_it() {
    let tree = machine();
    tree.config("[gpu big]\ndevice = 0000:03:00.0\nbind = guest\n[guest demo]\ngpus = big\n");
    kernel_for(&tree.root()).write("sys/bus/pci/drivers/amdgpu/unbind", OTHER).unwrap();
    for pid in [2100, 2200] {
        std::fs::remove_dir_all(tree.join(&format!("proc/{pid}/fd"))).unwrap();
    }
    has(&plan(&tree), &["end session 2 of ada on seat0", "stop gdm.service"], &["warning"]);
}
