// SPDX-License-Identifier: LGPL-2.1-or-later
//! Who uses a machine: processes, units of systemd, login sessions, a desktop with all of these.
//!
//! Everything is added to a tree that is there already; `sim/units.rs` and `logins.rs` have the formats.

use super::Tree;
use std::fs;
use std::os::unix::fs::symlink;

/// The desktop's display manager, its own name; [`ALIAS`] leads to it.
pub const DISPLAY_MANAGER: &str = "gdm.service";
/// The name under which every distribution has its display manager.
pub const ALIAS: &str = "display-manager.service";
/// The id of the desktop's session.
pub const SESSION: &str = "2";
/// The user who is logged in, and the number of that user.
pub const USER: (&str, u32) = ("ada", 1000);
/// The process of the session that has the display open.
pub const COMPOSITOR: u32 = 2100;
/// The process of the user's manager that has the card's sound open.
pub const SOUND_SERVER: u32 = 2200;

/// The device nodes that a function's driver has made, DRM's and sound's: `/dev/dri/card0`, `/dev/dri/renderD128`,
/// `/dev/snd/controlC0`. None while the function is with vfio.
pub fn nodes(tree: &Tree, address: &str) -> Vec<String> {
    let root = tree.root();
    let device = format!("sys/bus/pci/devices/{address}");
    let mut found = Vec::new();
    let mut add = |directory: &str| {
        let uevent = root.read_text(&format!("{directory}/uevent")).unwrap_or_default();
        found.extend(uevent.lines().find_map(|line| Some(format!("/dev/{}", line.strip_prefix("DEVNAME=")?))));
    };
    for class in ["drm", "sound"] {
        for name in root.list(&format!("{device}/{class}")).unwrap_or_default() {
            let directory = format!("{device}/{class}/{name}");
            add(&directory);
            root.list(&directory).unwrap().iter().for_each(|child| add(&format!("{directory}/{child}")));
        }
    }
    found
}

/// A process: its number, its command, the user's number, its control group (`/system.slice/ssh.service`), and the
/// device nodes that it has open, from descriptor 10 on.
pub fn process(tree: &Tree, pid: u32, command: &str, uid: u32, cgroup: &str, open: &[String]) {
    let directory = format!("proc/{pid}");
    tree.write(&format!("{directory}/comm"), &format!("{command}\n"));
    tree.write(&format!("{directory}/cgroup"), &format!("0::{cgroup}\n"));
    let status = format!("Name:\t{command}\nPid:\t{pid}\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n");
    tree.write(&format!("{directory}/status"), &status);
    fs::create_dir_all(tree.join(&format!("{directory}/fd"))).unwrap();
    symlink("/dev/null", tree.join(&format!("{directory}/fd/0"))).unwrap();
    for (fd, node) in (10..).zip(open) {
        symlink(node, tree.join(&format!("{directory}/fd/{fd}"))).unwrap();
    }
}

/// Makes processes disregard SIGTERM.
pub fn stubborn(tree: &Tree, pids: &[u32]) {
    tree.write(".kernel/stubborn", &pids.iter().map(|pid| format!("{pid}\n")).collect::<String>());
}

/// A unit of the system, and its facts: `unit(tree, "ollama.service", &["state active", "process 3000"])`.
pub fn unit(tree: &Tree, name: &str, facts: &[&str]) {
    tree.write(&format!(".kernel/units/{name}"), &lines(facts));
}

/// The state of a unit as systemd would tell it; `None` if there is no such unit.
pub fn unit_state(tree: &Tree, name: &str) -> Option<String> {
    let text = fs::read_to_string(tree.join(&format!(".kernel/units/{name}"))).ok()?;
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.split_whitespace().next());
    match value("alias ") {
        Some(other) => unit_state(tree, other),
        None => Some(value("state ").unwrap_or("inactive").to_owned()),
    }
}

/// A login session, and its facts.
pub fn session(tree: &Tree, id: &str, facts: &[&str]) {
    tree.write(&format!(".kernel/sessions/{id}"), &lines(facts));
}

/// A greeter that the display manager [`DISPLAY_MANAGER`] shows on a seat as soon as nobody is left there: session `id`, with
/// a compositor `pid` that opens these nodes.
pub fn greeter(tree: &Tree, id: &str, seat: &str, pid: u32, open: &[String]) {
    let scope = format!("session-{id}.scope");
    process(tree, pid, "gnome-shell", 120, &format!("/user.slice/user-120.slice/{scope}"), open);
    let facts = [&format!("seat {seat}"), "name gdm", "user 120", "type wayland", "class greeter"];
    tree.write(&format!(".kernel/parked-sessions/{id}"), &lines(&[&facts[..], &[&format!("process {pid}")]].concat()));
    fs::create_dir_all(tree.join(".kernel/parked-processes")).unwrap();
    fs::rename(tree.join(&format!("proc/{pid}")), tree.join(&format!(".kernel/parked-processes/{pid}"))).unwrap();
    let manager = format!(".kernel/units/{DISPLAY_MANAGER}");
    tree.write(&manager, &format!("{}greets {id}\n", tree.read(&manager)));
}

/// Somebody who is logged in on a seat, in session `id`, with a compositor `pid` that has these nodes open.
pub fn logged_in(tree: &Tree, (id, seat): (&str, &str), (name, uid): (&str, u32), pid: u32, open: &[String]) {
    let scope = format!("session-{id}.scope");
    process(tree, pid, "gnome-shell", uid, &format!("/user.slice/user-{uid}.slice/{scope}"), open);
    let facts = [format!("seat {seat}"), format!("name {name}"), format!("user {uid}"), format!("process {pid}")];
    let facts: Vec<&str> = facts.iter().map(String::as_str).chain(["type wayland", "class user"]).collect();
    session(tree, id, &facts);
}

/// Gives a display a seat of its own, as udev knows it.
pub fn on_seat(tree: &Tree, video: &str, seat: &str) {
    let drm = format!("sys/bus/pci/devices/{video}/drm");
    let card = tree.root().list(&drm).unwrap().into_iter().find(|name| name.starts_with("card")).unwrap();
    let number = tree.read(&format!("{drm}/{card}/dev"));
    tree.write(&format!("run/udev/data/c{}", number.trim()), &format!("E:ID_SEAT={seat}\n"));
}

/// A desktop on a card, as GDM and PipeWire make it: the active display manager [`DISPLAY_MANAGER`], known as [`ALIAS`]
/// too; session [`SESSION`] of [`USER`] on seat0, with a compositor that has all of the video function's nodes open; and
/// the user's manager `user@1000.service`, with a sound server that has the sound function's nodes open. Stopping the
/// display manager, or ending the session, ends all of these processes; starting the display manager brings all back.
pub fn desktop(tree: &Tree, video: &str, sound: Option<&str>) {
    let (name, uid) = USER;
    let manager = format!("user@{uid}.service");
    let slice = format!("/user.slice/user-{uid}.slice");
    let scope = format!("{slice}/session-{SESSION}.scope");
    process(tree, 2000, "gdm3", 0, "/system.slice/gdm.service", &[]);
    process(tree, 2050, "gdm-session-wor", 0, &scope, &[]);
    let open = nodes(tree, video);
    assert!(!open.is_empty(), "{video} makes no display");
    process(tree, COMPOSITOR, "gnome-shell", uid, &scope, &open);
    let open = sound.map(|sound| nodes(tree, sound)).unwrap_or_default();
    let server = format!("{slice}/{manager}/session.slice/pipewire.service");
    process(tree, SOUND_SERVER, "pipewire", uid, &server, &open);
    // sshd, for everybody.
    let listens = "   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 20000";
    tree.write("proc/net/tcp", &format!("  sl  local_address rem_address   st\n{listens}\n"));
    unit(tree, ALIAS, &[&format!("alias {DISPLAY_MANAGER}")]);
    unit(tree, DISPLAY_MANAGER, &["state active", "process 2000", &format!("session {SESSION}")]);
    unit(tree, &manager, &["state active", &format!("process {SOUND_SERVER}")]);
    session(
        tree,
        SESSION,
        &[
            "seat seat0",
            &format!("name {name}"),
            &format!("user {uid}"),
            "type wayland",
            "desktop gnome",
            "class user",
            &format!("scope session-{SESSION}.scope"),
            "leader 2050",
            &format!("process {COMPOSITOR}"),
            &format!("manager {manager}"),
        ],
    );
}

/// The nodes of NVIDIA's own driver: its `/proc` entry, from which `/dev/nvidia0` and so on are known.
pub fn nvidia_minor(tree: &Tree, address: &str, minor: u32) {
    let information = format!("Model: \t\t NVIDIA GeForce\nBus Location: \t {address}\nDevice Minor: \t {minor}\n");
    tree.write(&format!("proc/driver/nvidia/gpus/{address}/information"), &information);
}

fn lines(facts: &[&str]) -> String {
    facts.iter().map(|fact| format!("{fact}\n")).collect()
}
