// SPDX-License-Identifier: LGPL-2.1-or-later
//! Who is asked to end, and who is not.
#![allow(clippy::unwrap_used)]

use super::*;

const MANAGER: &str = "/user.slice/user-1000.slice/user@1000.service";
const SESSION: &str = "/user.slice/user-1000.slice/session-2.scope";

fn holder(command: &str, executable: &str, user: &str, cgroup: &str, parent: u32) -> Holder {
    let unit = cgroup.rsplit('/').find(|part| part.ends_with(".service") || part.ends_with(".scope"));
    Holder {
        node: "/dev/dri/card0".to_owned(),
        pid: Some(700),
        command: command.to_owned(),
        user: Some(user.to_owned()),
        unit: unit.map(str::to_owned),
        executable: Some(executable.to_owned()),
        seen: Seen::Holds,
        facts: Facts { cgroup: Some(cgroup.to_owned()), parent: Some(parent), ..Facts::default() },
    }
}

/// Regression: a command's name, an executable's, or that of a control group of one's own kept a process from being asked.
#[test]
fn a_name_alone_spares_nobody() {
    let mine = |below: &str| format!("{MANAGER}/app.slice/{below}");
    let contained = "/machine.slice/systemd-nspawn@box.service/payload";
    for (command, executable, user, cgroup, parent) in [
        ("seatd", "/usr/bin/game", "1000", SESSION.to_owned(), 1),
        ("seatd", "/home/ada/seatd", "1000", SESSION.to_owned(), 1),
        ("seatd", "/home/ada/seatd", "1000", mine("seatd.service"), 900),
        ("elogind", "/usr/libexec/elogind/elogind", "1000", mine("elogind.service"), 900),
        ("systemd-logind", "/usr/lib/systemd/systemd-logind", "1000", mine("systemd-logind.service"), 900),
        ("systemd-udevd", "/usr/lib/systemd/systemd-udevd", "1000", mine("systemd-udevd.service"), 900),
        ("systemd", "/usr/lib/systemd/systemd", "1000", mine("init.scope"), 1),
        ("systemd", "/usr/lib/systemd/systemd", "1000", format!("{MANAGER}/init.scope"), 900),
        ("systemd", "/usr/lib/systemd/systemd", "0", "/init.scope".to_owned(), 0),
        ("seatd", "/usr/bin/seatd", "0", "/system.slice/miner.service".to_owned(), 1),
        ("seatd", "/usr/bin/seatd", "0", "/system.slice/docker-0123.scope".to_owned(), 1),
        ("seatd", "/usr/bin/seatd", "0", format!("{contained}/system.slice/seatd.service"), 1),
        ("seatd", "/usr/bin/seatd", "100000", "/".to_owned(), 1),
        ("systemd-logind", "/usr/bin/x", "0", "/miner.slice/systemd-logind.service".to_owned(), 1),
    ] {
        let holder = holder(command, executable, user, &cgroup, parent);
        assert_eq!(holder.may_end(), Some(700), "{executable} {cgroup} {parent}");
    }
}

#[test]
fn who_holds_for_others_is_spared() {
    let service = |name: &str| format!("/system.slice/{name}");
    for (executable, user, cgroup, parent) in [
        ("/usr/lib/systemd/systemd-logind", "0", service("systemd-logind.service"), 1),
        ("/usr/bin/udevadm", "0", service("systemd-udevd.service/udev"), 400),
        ("/usr/bin/seatd", "0", service("seatd.service"), 1),
        ("/usr/bin/seatd", "root", SESSION.to_owned(), 900),
        ("/usr/bin/seatd", "0", "/".to_owned(), 1),
        ("/lib/elogind/elogind", "0", "/openrc.elogind".to_owned(), 1),
        ("/usr/lib/systemd/systemd", "1000", format!("{MANAGER}/init.scope"), 1),
    ] {
        let mut holder = holder("any", executable, user, &cgroup, parent);
        assert_eq!(holder.may_end(), None, "{executable} {cgroup}");
        // Where nothing is known of the user, nobody is root.
        holder.user = None;
        assert_eq!(
            holder.may_end().is_some(),
            executable.contains("seatd") && !cgroup.contains("seatd") || executable.contains("elogind"),
            "{executable} {cgroup}"
        );
    }
}

/// Who only may hold the card is told, and left alone.
#[test]
fn who_is_not_known_to_hold_it_is_never_asked() {
    let mut holder = holder("game", "/usr/bin/game", "1000", SESSION, 900);
    assert_eq!(holder.to_string(), "game (pid 700, user 1000, session-2.scope) has /dev/dri/card0 open");
    holder.seen = Seen::Unanswered;
    assert!(holder.may_end().is_none() && !holder.is_mount() && !holder.outlives_sessions());
    holder.node = "/proc/700/maps".to_owned();
    assert!(holder
        .to_string()
        .contains("game (pid 700, user 1000, session-2.scope) has not let /proc/700/maps be read"));
    let unchecked = Holder { node: "/dev/dri/card0".to_owned(), seen: Seen::Unseen, ..Holder::default() };
    assert!(!unchecked.is_mount() && unchecked.to_string().contains("whom /proc does not show"));
}

/// What is told of a holder and written down is what it was.
#[test]
fn nothing_more_is_written_down() {
    let text = serde_json::to_string(&holder("game", "/usr/bin/game", "1000", SESSION, 900)).unwrap();
    assert!(!text.contains("seen") && !text.contains("facts") && !text.contains("user.slice"), "{text}");
}
