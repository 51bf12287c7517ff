// SPDX-License-Identifier: LGPL-2.1-or-later
//! Names that others choose, with whatever bytes in them: nothing that a program of ours prints moves a cursor, hides or
//! turns text, or begins a line that is not ours, whether a terminal, the journal, udev or systemd reads it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{desktop, domain, hosts, Tree};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};

const VFIO: &str = env!("CARGO_BIN_EXE_vfio");
const VFIO_GUEST: &str = env!("CARGO_BIN_EXE_vfio-guest");
const VFIO_GENERATOR: &str = env!("CARGO_BIN_EXE_vfio-generator");
const VFIO_BIND: &str = env!("CARGO_BIN_EXE_vfio-bind");
const VFIO_SYNC: &str = env!("CARGO_BIN_EXE_vfio-sync");
const VFIO_UDEV: &str = env!("CARGO_BIN_EXE_vfio-udev");
const HOOK: &str = env!("CARGO_BIN_EXE_vfio-libvirt-hook");
const KERNEL_INSTALL: &str = env!("CARGO_BIN_EXE_vfio-kernel-install");
const VIDEO: &str = "0000:03:00.0";
const SOUND: &str = "0000:03:00.1";

/// What a line begins with that somebody forged.
const FORGED: &str = "FORGED=1";

/// Pieces of hostile names, each with what it tries.
const PIECES: [&str; 22] = [
    "\x1b[2J",
    "\x1b]0;title\x07",
    "\x1b[31m",
    "\u{9b}1A",
    "\u{90}q\u{9c}",
    "\u{7f}\u{8}\u{8}",
    "\r",
    "\t",
    "\u{b}\u{c}",
    "\u{202e}txt",
    "\u{2066}",
    "\u{2069}",
    "\u{200f}\u{61c}",
    "\u{200b}\u{2060}\u{feff}",
    "\u{2028}FORGED=1",
    "\u{2029}FORGED=1",
    "\u{85}FORGED=1",
    "\u{e0041}",
    "plain",
    " (pid 1)",
    "%s%n",
    "'\"$(x)`",
];

/// Whether a character may be in what we print.
fn may_be_shown(c: char) -> bool {
    let invisible = ('\u{200b}'..='\u{200f}').contains(&c)
        || ('\u{2028}'..='\u{202e}').contains(&c)
        || ('\u{2060}'..='\u{206f}').contains(&c)
        || ('\u{e0000}'..='\u{e0fff}').contains(&c)
        || matches!(c, '\u{61c}' | '\u{feff}' | '\u{ad}' | '\u{180e}');
    !c.is_control() && !invisible
}

#[track_caller]
fn assert_harmless(bytes: &[u8], what: &str) {
    let text = std::str::from_utf8(bytes).unwrap_or_else(|error| panic!("{what}: no UTF-8: {error}"));
    for line in text.split('\n') {
        // The diff of a file has its tabulators.
        let bad: Vec<char> =
            line.chars().filter(|c| !(may_be_shown(*c) || *c == '\t' && what.contains("plan"))).collect();
        assert!(bad.is_empty(), "{what}: {bad:?} in {line:?}");
        assert!(!line.trim_start().starts_with(FORGED), "{what}: {text}");
    }
}

fn run(tree: &Tree, program: &str, arguments: &[&str]) -> std::process::Output {
    tree.command(program).args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// A machine on which everything is called so that may be called anything.
fn machine(name: &str) -> Tree {
    let tree = hosts::unpack("root-on-lvm-luks");
    let one_line = name.replace('\n', "");
    let no_slash = one_line.replace(['/', '\0'], "");
    desktop::desktop(&tree, VIDEO, Some(SOUND));
    let open = desktop::nodes(&tree, VIDEO);
    desktop::process(&tree, 4242, name, 1000, &format!("/system.slice/{no_slash}.service"), &open);
    let manager = format!("/user.slice/user-1000.slice/user@1000.service/app.slice/{no_slash}.scope");
    desktop::process(&tree, 4243, name, 1000, &manager, &open[..1]);
    desktop::session(
        &tree,
        "9",
        &["seat seat0", &format!("name {one_line}"), "user 1000", "class user", "process 4243"],
    );
    for input in tree.root().list("sys/class/input").unwrap() {
        let file = format!("sys/class/input/{input}/name");
        if tree.exists(&file) {
            tree.write(&file, &format!("{name}\n"));
        }
    }
    for device in tree.root().list("sys/class/block").unwrap().iter().filter(|device| device.starts_with("dm-")) {
        tree.write(&format!("sys/class/block/{device}/dm/name"), &format!("{name}\n"));
    }
    let escaped: String =
        name.chars().filter(|c| !c.is_control() || *c == '\n').map(|c| format!("&#{};", u32::from(c))).collect();
    domain::domain(&tree, "win", &[VIDEO, SOUND], &[]);
    let xml = tree.read(".kernel/domains/win.xml").replace("win.qcow2", &format!("{escaped}.qcow2"));
    tree.write(".kernel/domains/win.xml", &xml);
    tree.config(&format!(
        "[host]\nkernel-parameters = quiet\n{one_line} = {one_line}\n[gpu big]\ndevice = {VIDEO}\nbind = guest\n\
         [guest win]\ngpus = big\nstart-timeout = 20s\n[guest {one_line}]\ngpus = {one_line}\n[{one_line}]\n"
    ));
    tree.write("proc/cmdline", &format!("quiet {name}\n"));
    tree.write("proc/sys/kernel/osrelease", &format!("6.12{name}\n"));
    tree.write("etc/os-release", &format!("ID={name}\nVERSION_ID={name}\n"));
    tree.write("etc/passwd", &format!("{one_line}:x:1000:1000::/:/bin/sh\n"));
    tree.write("boot/loader/loader.conf", &format!("default {name}\n"));
    tree.write(
        "boot/loader/entries/a.conf",
        &format!("title {name}\nversion {name}\nlinux /x\noptions {one_line} \"{one_line}\n"),
    );
    if no_slash.len() < 200 {
        tree.write(
            &format!("boot/loader/entries/{no_slash}.conf"),
            &format!("title x\nlinux /x\noptions {one_line}\n"),
        );
    }
    tree.write("etc/default/grub", &format!("GRUB_CMDLINE_LINUX_DEFAULT=\"{name}\nX={name}\n"));
    tree.write("boot/grub/grub.cfg", &format!("menuentry 'x' {{\n\tlinux /x {one_line}\n}}\n"));
    let said = serde_json::to_string(name).unwrap();
    tree.write(
        "run/vfio/sync",
        &format!("{{\"version\":1,\"outcome\":\"failed\",\"did\":[{said}],\"why\":[{said}]}}\n"),
    );
    tree.write(
        "run/vfio/guest-status/win",
        &format!("{{\"guest\":\"win\",\"outcome\":\"failed\",\"why\":[{said}]}}\n"),
    );
    tree.write(
        "run/vfio/status/old",
        &format!("{{\"gpu\":\"old\",\"outcome\":\"failed\",\"why\":[{said}],\"functions\":[\"{VIDEO}\"]}}\n"),
    );
    tree.write("run/vfio/off", &format!("{name}\n"));
    tree.write(".kernel/journal", &format!("{one_line}\n"));
    tree
}

fn try_name(name: &str) {
    let tree = machine(name);
    let verbs: [&[&str]; 15] = [
        &["check"],
        &["groups"],
        &["plan"],
        &["status"],
        &["doctor"],
        &["report"],
        &["reset"],
        &["rebar"],
        &["holders", "big"],
        &["guest", "list"],
        &["guest", "status", "win"],
        &["guest", "plan", "win"],
        &["cmdline", "status"],
        &["cmdline", "plan"],
        &["bind", "big"],
    ];
    for verb in verbs {
        for json in [&[][..], &["--json"]] {
            let arguments = [verb, json].concat();
            let output = run(&tree, VFIO, &arguments);
            assert_ne!(output.status.code(), None, "{arguments:?} was ended by a signal: {name:?}");
            let what = format!("{arguments:?} with {name:?}");
            assert_harmless(&output.stderr, &what);
            assert_harmless(&output.stdout, &what);
            if json.len() == 1 && !output.stdout.is_empty() {
                serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap();
            }
        }
    }
    // An argument of a caller's is a name as well.
    let odd = name.replace('\0', "");
    for (program, arguments) in [
        (VFIO, &["holders", &odd][..]),
        (VFIO, &[&odd]),
        (VFIO, &["rebar", "set", "big", &odd]),
        (VFIO_GUEST, &["run", &odd]),
        (VFIO_BIND, &["gpu", &odd]),
        (VFIO_BIND, &["early"]),
        (VFIO_SYNC, &[]),
        (VFIO_UDEV, &[VIDEO]),
        (VFIO_UDEV, &[&odd]),
        (HOOK, &[&odd, "prepare", "begin", "-"]),
        (HOOK, &["win", "prepare", "begin", "-"]),
        (KERNEL_INSTALL, &["add", &odd, "/x"]),
    ] {
        let mut command = tree.command(program);
        command.args(arguments).stdin(Stdio::null()).env("KERNEL_INSTALL_VERBOSE", "1");
        command.env("KERNEL_INSTALL_LAYOUT", "bls").env("KERNEL_INSTALL_BOOT_ROOT", tree.join("boot"));
        let output = command.output().unwrap();
        let what = format!("{program} {arguments:?}");
        assert_harmless(&output.stderr, &what);
        assert_harmless(&output.stdout, &what);
    }
    let units = tempfile::tempdir().unwrap();
    assert_harmless(&run(&tree, VFIO_GENERATOR, &[units.path().to_str().unwrap()]).stderr, "the generator");
    for file in files(units.path()) {
        assert_harmless(&std::fs::read(&file).unwrap_or_default(), &file);
    }
}

fn files(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            found.extend(files(&path));
        } else {
            found.push(path.to_str().unwrap().to_owned());
        }
    }
    found
}

#[test]
fn every_piece_of_a_hostile_name_is_harmless() {
    // All at once: each program is run some thirty times for a name.
    try_name(&PIECES.concat());
    try_name("x\nFORGED=1\n\u{1b}[A\nFORGED=1");
}

#[test]
fn any_name_is_harmless() {
    let piece = prop_oneof![
        prop::sample::select(&PIECES[..]).prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
        Just("\nFORGED=1".to_owned())
    ];
    let name = prop::collection::vec(piece, 1..6).prop_map(|pieces| format!("n{}", pieces.concat().replace('\0', "")));
    // Sixty runs of programs a name.
    let config = Config { cases: 8, failure_persistence: None, max_shrink_iters: 20, ..Config::default() };
    TestRunner::new(config)
        .run(&name, |name| {
            try_name(&name);
            Ok(())
        })
        .unwrap();
}

/// What systemd is told of a guest that is started: an end of line would begin another variable, `MAINPID=` among them.
#[test]
fn a_process_tells_systemd_nothing_in_our_name() {
    let tree = common::pairs::small_machine().build();
    tree.config("[gpu big]\ndevice = 0000:03:00.0\nbind = guest\n[guest win]\ngpus = big\nstart-timeout = 20s\nstop-timeout = 2s\n");
    desktop::desktop(&tree, VIDEO, Some(SOUND));
    domain::domain(&tree, "win", &[VIDEO, SOUND], &[]);
    let manager = "/user.slice/user-1000.slice/user@1000.service/app.slice/app-x.scope";
    desktop::process(&tree, 4243, "x\nMAINPID=1\u{1b}[A", 1000, manager, &desktop::nodes(&tree, VIDEO)[..1]);
    tree.faults("run:virsh*start* EIO\n");
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let mut command: Command = tree.command(VFIO_GUEST);
    let mut child = command.args(["run", "win"]).env("NOTIFY_SOCKET", &path).stderr(Stdio::piped()).spawn().unwrap();
    socket.set_read_timeout(Some(std::time::Duration::from_millis(200))).unwrap();
    let (mut told, mut buffer) = (Vec::new(), [0; 8192]);
    loop {
        match socket.recv(&mut buffer) {
            Ok(length) => told.push(String::from_utf8(buffer[..length].to_vec()).unwrap()),
            Err(_) if child.try_wait().unwrap().is_some() => break,
            Err(_) => {}
        }
    }
    let said = child.wait_with_output().unwrap();
    let states: Vec<&str> = told.iter().flat_map(|message| message.lines()).collect();
    let known = |state: &&str| ["STATUS=", "READY=1", "EXTEND_TIMEOUT_USEC="].iter().any(|key| state.starts_with(key));
    assert!(states.iter().all(known), "{states:?}");
    assert!(states.iter().all(|state| state.chars().all(may_be_shown)), "{states:?}");
    // It was said at all.
    let asked = "STATUS=ask x\\nMAINPID=1\\u{1b}[A (pid 4243";
    assert!(
        states.iter().any(|state| state.starts_with(asked)),
        "{states:?}\n{}",
        String::from_utf8_lossy(&said.stderr)
    );
}
