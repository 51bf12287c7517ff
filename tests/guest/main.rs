// SPDX-License-Identifier: LGPL-2.1-or-later
//! A guest from start to end on a modelled machine: what each step does, what is given back after every failure and every
//! crash, what is refused, and libvirt's hook.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../common/mod.rs"]
mod common;

mod crashes;
mod failures;
mod hook;
mod isolation;
mod making_way;
mod nvidia;
mod pages;
mod refusals;
mod resets;
mod shared_memory;
mod shown;
mod sizes;
mod sound;
mod upgrade;
mod whole;

use common::desktop::{self, desktop, ALIAS};
use common::domain::{self, domain};
use common::pairs::{small_machine, SMALL};
use common::tree::Ran;
use common::Tree;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

const VFIO: &str = env!("CARGO_BIN_EXE_vfio");
const VFIO_GUEST: &str = env!("CARGO_BIN_EXE_vfio-guest");
const HOOK: &str = env!("CARGO_BIN_EXE_vfio-libvirt-hook");

const VIDEO: &str = SMALL[0].0;
const SOUND: &str = SMALL[1].0;

/// The card `big` is used by a desktop; two guests may have it.
const CONFIGURATION: &str = "[gpu big]\ndevice = 0000:03:00.0\nidentity = 1002:73bf\nbind = guest\n\
    [guest demo]\ngpus = big\nstart-timeout = 40s\nstop-timeout = 2s\n\
    before = /usr/bin/begin \"the guest\"\nafter = /usr/bin/finish\nstop-units = ollama.service\n\
    [guest other]\ngpus = big\nstart-timeout = 40s\nstop-timeout = 2s\n";

/// A machine with a desktop on the card that the guests `demo` and `other` may have.
fn machine() -> Tree {
    let tree = small_machine().build();
    tree.config(CONFIGURATION);
    desktop(&tree, VIDEO, Some(SOUND));
    desktop::unit(&tree, "ollama.service", &["state active"]);
    for name in ["demo", "other"] {
        domain(&tree, name, &[VIDEO, SOUND], &[]);
    }
    tree
}

/// The machine, with two NUMA nodes on which so many pages of 2 MiB are free, the card on the second; the guest `demo` has 8 GiB
/// in such pages.
fn with_pages(free: [u64; 2]) -> Tree {
    let tree = machine();
    common::pages::nodes(&tree, &free);
    tree.write(&format!("sys/bus/pci/devices/{VIDEO}/numa_node"), "1\n");
    domain::in_huge_pages(&tree, "demo");
    tree
}

/// The machine, with a guest `demo` for which everything is done that may be done for one.
fn full_machine() -> Tree {
    let tree = with_pages([100, 96]);
    isolation::prepare(&tree);
    sound::prepare(&tree);
    tree
}

/// The program that hands over and supervises, at work.
struct Running {
    child: Option<Child>,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

impl Running {
    fn start(tree: &Tree, guest: &str) -> Running {
        let mut command = tree.command(VFIO_GUEST);
        command.args(["run", guest]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Running { child: Some(command.spawn().unwrap()) }
    }

    /// Whether it has ended.
    fn has_ended(&mut self) -> bool {
        self.child.as_mut().unwrap().try_wait().unwrap().is_some()
    }

    /// Waits until its guest runs, or it has ended; whether it has ended.
    #[track_caller]
    fn ends_or(&mut self, what: &str, mut runs: impl FnMut() -> bool) -> bool {
        let mut ended = false;
        until(what, || {
            ended = self.has_ended();
            ended || runs()
        });
        ended
    }

    /// Waits for its end.
    #[track_caller]
    fn end(mut self) -> Ran {
        // Its messages fit into a pipe: it never waits for a reader.
        until("the end of vfio-guest", || self.has_ended());
        self.child.take().unwrap().wait_with_output().unwrap().into()
    }
}

/// Waits for something that must come about.
#[track_caller]
fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < Duration::from_secs(120), "{what} does not come about");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Starts a guest and waits until it runs.
#[track_caller]
fn started(tree: &Tree, guest: &str) -> Running {
    let running = Running::start(tree, guest);
    until("the guest", || domain::runs(tree, guest));
    running
}

/// The guest shuts itself down.
#[track_caller]
fn guest_ends(tree: &Tree, name: &str) {
    assert_eq!(tree.simulate(&["run", "guest-ends", name]).status, Some(0));
}

fn has_card(tree: &Tree) -> bool {
    SMALL.iter().all(|(address, _)| tree.driver(address).as_deref() == Some("vfio-pci"))
}

fn give_back(tree: &Tree, guest: &str) -> Ran {
    tree.run(VFIO_GUEST, &["give-back", guest])
}

/// A session that was ended before its display manager was stopped does not come back by itself: the display manager is
/// there, and its user logs in again.
#[track_caller]
fn log_in_again(tree: &Tree, what: &str) {
    assert_eq!(desktop::unit_state(tree, ALIAS).as_deref(), Some("active"), "{what}: the display manager");
    if !tree.exists(".kernel/sessions/2") {
        for verb in ["stop", "start"] {
            let words = ["run", "systemctl", verb, "--", "gdm.service"];
            assert_eq!(tree.simulate(&words).status, Some(0), "{what}");
        }
    }
}

/// `/proc/PID/stat` of a process: its parent, and when it was started.
fn stat(pid: u32, parent: u32, started: u32) -> String {
    let zeros = "0 ".repeat(17);
    format!("{pid} (any) name) S {parent} {zeros}{started} 0\n")
}

/// Nothing of a guest is left in /run/vfio.
#[track_caller]
fn assert_nothing_left(tree: &Tree, what: &str) {
    for directory in ["guests", "claims", "journal"] {
        let left = tree.root().list(&format!("run/vfio/{directory}")).unwrap_or_default();
        assert!(left.is_empty(), "{what}: /run/vfio/{directory} has {left:?}");
    }
    assert_eq!(desktop::unit_state(tree, ALIAS).as_deref(), Some("active"), "{what}: the display manager");
}

/// The hook as libvirt calls it, with the domain's description.
fn hook(tree: &Tree, domain: &str, operation: &str, sub: &str) -> Ran {
    use std::io::Write;
    let mut command = tree.command(HOOK);
    command.args([domain, operation, sub, "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let xml = std::fs::read(tree.join(&format!(".kernel/domains/{domain}.xml"))).unwrap_or_default();
    // A hook that has nothing to do with the domain does not read.
    let _ = child.stdin.take().unwrap().write_all(&xml);
    child.wait_with_output().unwrap().into()
}
