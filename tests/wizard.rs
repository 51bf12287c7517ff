// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio setup` on whole machines, from fresh to a guest that can be started: asked on a terminal (`tests/golden/setup/NAME.txt`,
//! which `UPDATE_GOLDEN=1` writes), without one, a second time, undone, and killed at every record.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::halfway::files;
use common::keyboards::keyboard_and_mouse;
use common::strace::kill;
use common::terminal::converse;
use common::text::Nodes;
use common::tree::Ran;
use common::{boots, desktop, domain, hosts, Tree};
use std::fs;
use std::path::Path;

const VFIO: &str = env!("CARGO_BIN_EXE_vfio");
/// More than any of them has.
const MANY: u32 = 200;

/// A machine with what it boots with, a distribution, a user, libvirt's network, and units of libvirt that do not run.
fn machine(layout: &str, boot: &str, distribution: &str) -> Tree {
    let mut nodes = common::text::read(hosts::unpack(layout).path(), &|_| false);
    nodes.extend(boots::of(boot).0);
    let tree = Tree::new(&nodes);
    tree.write("etc/os-release", &format!("ID={distribution}\n"));
    tree.write("etc/passwd", "root:x:0:0::/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\n");
    tree.write("etc/group", "root:x:0:\nkvm:x:104:\ninput:x:105:\nlibvirt:x:106:\nada:x:1000:\n");
    tree.write("etc/libvirt/qemu/networks/default.xml", "<network><name>default</name></network>\n");
    for directory in ["etc/libvirt/qemu/networks/autostart", "run/libvirt/network", "run/systemd/system"] {
        fs::create_dir_all(tree.join(directory)).unwrap();
    }
    for program in
        ["usr/bin/virsh", "usr/sbin/virtqemud", "usr/bin/qemu-system-x86_64", "usr/share/OVMF/OVMF_CODE_4M.fd"]
    {
        tree.write(program, "");
    }
    for daemon in ["qemu", "network"] {
        desktop::unit(&tree, &format!("virt{daemon}d.service"), &["state inactive"]);
        desktop::unit(&tree, &format!("virt{daemon}d.socket"), &["state inactive"]);
    }
    desktop::unit(&tree, "sshd.service", &["state inactive"]);
    tree.write(".kernel/packages/swtpm", "usr/bin/swtpm\nusr/bin/swtpm_setup\n");
    tree.write(".kernel/packages/swtpm-tools", "usr/bin/swtpm_setup\n");
    keyboard_and_mouse(&tree);
    tree
}

/// A domain as virt-manager makes it, with nothing of the host's.
fn windows(tree: &Tree, name: &str) {
    domain::domain(tree, name, &[], &[]);
    let devices = "    <tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>\n    \
                   <graphics type='spice' autoport='yes'/>\n    <sound model='ich9'/>\n    <audio id='1' type='spice'/>\n    \
                   <video><model type='qxl'/></video>\n    <redirdev bus='usb' type='spicevmc'/>\n  </devices>";
    let file = format!(".kernel/domains/{name}.xml");
    let xml = tree.read(&file).replace("  </devices>", devices);
    domain::define(tree, name, &xml);
    tree.write(&format!("etc/libvirt/qemu/{name}.xml"), &xml);
}

/// Arch with one RX 6800, a desktop on it, and what a guide has left.
fn arch() -> Tree {
    let tree = machine("single-amd", "arch-systemd-boot", "arch");
    windows(&tree, "win11");
    desktop::desktop(&tree, "0000:09:00.0", Some("0000:09:00.1"));
    desktop::process(&tree, 2300, "plasmashell", 1000, "/user.slice/user-1000.slice/session-2.scope", &[]);
    let nodes = desktop::nodes(&tree, "0000:09:00.0");
    desktop::process(&tree, 3000, "ollama", 990, "/system.slice/ollama.service", &nodes[1..]);
    desktop::unit(&tree, "ollama.service", &["state active", "process 3000"]);
    tree.write("run/user/1000/pipewire-0", "");
    tree.write("etc/libvirt/hooks/qemu.d/win11/prepare/begin/start.sh", "systemctl stop sddm\n");
    let rule =
        "# for the card\nACTION==\"add\", SUBSYSTEM==\"pci\", ATTR{vendor}==\"0x1002\", ATTR{device}==\"0x73bf\", \
                ATTR{resource2_resize}=\"8\"\n";
    tree.write("etc/udev/rules.d/01-amd.rules", rule);
    tree
}

/// Fedora with the processor's graphics on the monitor, and a card that shows nothing.
fn fedora() -> Tree {
    let tree = machine("igpu-amd", "fedora", "fedora");
    windows(&tree, "win11");
    desktop::desktop(&tree, "0000:00:02.0", None);
    let status = "sys/bus/pci/devices/0000:03:00.0/drm/card1/card1-DP-1/status";
    assert_eq!(tree.read(status), "connected\n");
    tree.write(status, "disconnected\n");
    tree.write("run/user/1000/pipewire-0", "");
    tree
}

/// A server with two cards of one kind, where nobody is logged in.
fn server() -> Tree {
    let tree = machine("headless-twins", "debian-systemd-boot", "debian");
    windows(&tree, "win11");
    tree
}

fn setup(tree: &Tree, options: &[&str]) -> Ran {
    tree.run(VFIO, &[&["setup"], options].concat())
}

/// What others may see: without packages, which stay.
fn others(tree: &Tree) -> Nodes {
    let mut nodes = files(tree);
    nodes.retain(|path, _| !path.starts_with("usr/bin/swtpm"));
    nodes
}

#[track_caller]
fn assert_others(tree: &Tree, before: &Nodes, what: &str) {
    let differences = common::tree::differences(before, &others(tree));
    assert!(differences.is_empty(), "{what}: the tree differs:\n{differences}");
}

/// A conversation, beside the golden file.
fn golden(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/setup/{name}.txt"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        return fs::write(&path, found).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    let line = expected.lines().zip(found.lines()).position(|(one, other)| one != other).unwrap_or(0);
    let at = |text: &str| text.lines().skip(line).take(5).collect::<Vec<_>>().join("\n");
    assert!(expected == found, "{}:{}\nexpected:\n{}\nfound:\n{}", path.display(), line + 1, at(&expected), at(found));
}

/// Asked, done, seen, done again, undone.
#[track_caller]
fn from_fresh_to_guest(name: &str, tree: &Tree, options: &[&str], answers: &[&str], width: usize) {
    let before = others(tree);
    let mut text = String::new();
    let mut conversation = |words: &[&str], answers: &[&str]| {
        let (shown, code) = converse(tree, VFIO, words, answers);
        text.push_str(&format!("$ vfio {}\n{shown}[{}]\n", words.join(" "), code.unwrap()));
        code
    };
    let all = [&["setup"], options].concat();
    // A person looks first, and does not want it yet.
    assert_eq!(conversation(&all, &answers[..answers.len() - 1]), Some(1));
    assert_others(tree, &before, "not wanted yet");
    let code = conversation(&all, answers);
    assert_eq!(code, Some(0), "{text}");
    conversation(&["check"], &[]);
    let ran = setup(tree, &[options, &["--yes"]].concat());
    assert!(ran.stdout.ends_with("nothing to do\n") && ran.status == Some(0), "{}{}", ran.stdout, ran.stderr);
    conversation(&["setup", "--undo", "--dry-run"], &[]);
    assert_eq!(conversation(&["setup", "--undo"], &[]), Some(0), "{text}");
    assert_others(tree, &before, "undone");
    assert!(!tree.exists("var/lib/vfio/setup"));
    // Diffs and command lines are as long as they are.
    let long = |line: &&str| {
        line.chars().count() > width
            && !line.starts_with(['+', '-', '@', ' '])
            && !line.starts_with("vfio: ")
            && !line.starts_with("undo: ")
    };
    assert_eq!(text.lines().find(long), None);
    golden(name, &text);
}

#[test]
fn one_card_and_a_desktop_on_it() {
    let answers = ["", "", "", "", "d", "s", "y"];
    from_fresh_to_guest("arch", &arch(), &["--vm=win11"], &answers, 80);
}

#[test]
fn a_card_beside_the_one_that_shows_the_desktop() {
    // The card, the guest, when, Looking Glass with a picture, no keyboard of the host's, sound as it comes.
    let answers = ["2", "1", "2", "y", "2560x1440", "2", "", "y"];
    from_fresh_to_guest("fedora", &fedora(), &[], &answers, 80);
}

#[test]
fn a_server_is_told_which_card() {
    let tree = server();
    let before = others(&tree);
    for options in [&["--gpu=nvidia", "--yes"][..], &["--gpu=10de:2204"], &["--gpu=0000:7f:00.0", "--dry-run"]] {
        let ran = setup(&tree, options);
        assert_eq!(ran.status, Some(64), "{options:?}: {}{}", ran.stdout, ran.stderr);
        assert!(
            ran.stderr.contains("[setup-card-ambiguous]") || ran.stderr.contains("[setup-no-card]"),
            "{}",
            ran.stderr
        );
        assert_others(&tree, &before, "nothing was said that can be done");
    }
    let cards: Vec<String> = tree
        .functions()
        .into_iter()
        .filter(|address| {
            tree.attribute(address, "class").starts_with("0x03") && tree.attribute(address, "vendor").contains("10de")
        })
        .collect();
    let gpu = format!("--gpu={}", cards[1]);
    let options = ["--vm=win11", gpu.as_str(), "--when=boot", "--memory=16G", "--hide-vm=yes"];
    let ran = setup(&tree, &options);
    assert_eq!(ran.status, Some(64), "{}", ran.stderr);
    assert!(ran.stderr.contains("--yes"), "{}", ran.stderr);
    let ran = setup(&tree, &[&options[..], &["--dry-run", "--json"]].concat());
    let answer: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&answer["schema"], &answer["changed"]), (&"vfio.setup/2".into(), &false.into()), "{}", ran.stdout);
    assert_others(&tree, &before, "only shown");
    let ran = setup(&tree, &[&options[..], &["--yes", "--json"]].concat());
    let answer: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&answer["changed"], &answer["reboot"]), (&true.into(), &true.into()), "{}{}", ran.stdout, ran.stderr);
    let file = tree.read("etc/vfio.conf.d/50-win11.conf");
    for line in [&format!("device = {}", cards[1]), "bind = boot", "memory = 16G", "hide = yes", "handover = none"] {
        assert!(file.contains(line), "{file}");
    }
    let again = setup(&tree, &[&options[..], &["--yes"]].concat());
    assert!(again.stdout.ends_with("nothing to do\n"), "{}{}", again.stdout, again.stderr);
    assert_eq!(setup(&tree, &["--undo"]).status, Some(0));
    assert_others(&tree, &before, "undone");
}

/// The line of the guide, and what of it is not so.
#[test]
fn the_guides_own_options_are_taken() {
    let tree = arch();
    let times = |tree: &Tree| {
        let mut times = tree.times();
        times.retain(|path, _| !path.starts_with(tree.join(".kernel")));
        times
    };
    let before = times(&tree);
    let guide = ["--vm=win11", "--gpu=amd", "--de=plasma", "--os=arch", "--amd6000=true", "--dry-run"];
    let ran = setup(&tree, &guide);
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), ""), "{}", ran.stdout);
    let ran = setup(&tree, &["--vm=win11", "--gpu=amd", "--de=xfce", "--os=debian", "--amd6000=false", "--dry-run"]);
    let warnings = ran.stderr.lines().filter(|line| line.starts_with("vfio: warning: ")).count();
    assert_eq!((ran.status, warnings), (Some(0), 1), "{}", ran.stderr);
    for option in ["--de=xfce", "--os=debian", "--amd6000=false"] {
        assert!(ran.stderr.contains(option), "{}", ran.stderr);
    }
    assert_eq!(times(&tree), before, "a dry run touches nothing");
    assert_eq!(setup(&tree, &["--check", "--vm=win11"]).status, Some(1));
    assert_eq!(times(&tree), before, "a look touches nothing");
}

/// For a guest that is not there yet: what setup leaves to do is what makes it, with the card.
#[test]
fn a_guest_that_is_not_there_is_defined_afterwards() {
    let tree = fedora();
    std::fs::create_dir_all(tree.join("var/lib/libvirt/images")).unwrap();
    let options = ["--vm=win12", "--gpu=0000:03:00.0", "--when=guest", "--yes"];
    let ran = setup(&tree, &options);
    assert_eq!(ran.status, Some(1), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.replace("\n", " ").contains("guest define win12"), "{}", ran.stdout);
    tree.write("srv/windows.iso", &format!("{}CD001", "\0".repeat(32769)));
    let define = ["guest", "define", "win12", "--os", "win10", "--disk", "64G", "--iso", "/srv/windows.iso", "--yes"];
    let ran = tree.run(VFIO, &define);
    assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
    let xml = tree.read(".kernel/domains/win12.xml").replace('"', "'");
    assert!(xml.contains("<address domain='0x0000' bus='0x03' slot='0x00' function='0x0'/>"), "{xml}");
    let ran = setup(&tree, &options);
    assert_eq!(ran.status, Some(0), "nothing is left: {}{}", ran.stdout, ran.stderr);
}

/// What does not go together, and what cannot be done, is refused with one sentence before anything is done.
#[test]
fn what_cannot_be_done_is_refused() {
    let tree = arch();
    let before = others(&tree);
    for (options, code, word) in [
        (&["--vm=win11", "--looking-glass", "--yes"][..], 64, "[setup-answer-unfit]"),
        (&["--vm=win11", "--when=boot", "--yes"], 1, "[last-display]"),
        (&["--gpu=nvidia", "--yes"], 64, "[setup-no-card]"),
        (&["--gpu=geforce"], 64, "nvidia"),
        (&["--memory=much"], 64, "16G"),
        (&["--looking-glass=wide"], 64, "2560x1440"),
        (&["--vm=a/b"], 64, "libvirt domain"),
    ] {
        let ran = setup(&tree, options);
        assert_eq!(ran.status, Some(code), "{options:?}: {}{}", ran.stdout, ran.stderr);
        assert!(ran.stderr.contains(word), "{options:?}: {}", ran.stderr);
        assert_others(&tree, &before, word);
    }
    let tree = machine("no-iommu", "nothing-known", "debian");
    let ran = setup(&tree, &["--gpu=auto", "--yes"]);
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("[iommu-off]"), "{}", ran.stderr);
}

/// A program that fails: everything is taken back, and the exit code says so.
#[test]
fn what_fails_is_taken_back() {
    let mut failures = 0;
    let whole = arch();
    assert_eq!(setup(&whole, &["--vm=win11", "--yes", "--way-back=both"]).status, Some(0));
    for n in 1..=whole.count() {
        let tree = arch();
        let before = others(&tree);
        tree.faults(&format!("{n} EIO\n"));
        let ran = setup(&tree, &["--vm=win11", "--yes", "--way-back=both"]);
        tree.no_faults();
        // Who is logged in may be unknown.
        if ran.status == Some(0) {
            continue;
        }
        failures += 1;
        if ran.status == Some(1) {
            // All was done, and whether the guest can be started was not to be told.
            assert_eq!(setup(&tree, &["--undo"]).status, Some(0), "program {n}");
            assert_others(&tree, &before, &format!("program {n} failed, undone"));
            continue;
        }
        assert_eq!(ran.status, Some(2), "program {n}: {}{}", ran.stdout, ran.stderr);
        assert_others(&tree, &before, &format!("program {n} failed"));
    }
    assert!(failures >= 8, "only {failures} failures");
}

/// Killed where a record is written: an undo, or the same again and an undo.
#[test]
fn killed_at_every_record() {
    let options = ["setup", "--vm=win11", "--yes", "--way-back=both"];
    let mut kills = 0;
    for n in 1.. {
        assert!(n < MANY, "it never ends");
        let tree = arch();
        let before = others(&tree);
        let was_killed = kill(&tree, VFIO, &options, "fsync,fdatasync", n).is_none();
        if n % 2 == 0 {
            let ran = tree.run(VFIO, &options);
            assert_eq!(ran.status, Some(0), "killed at {n}, and again: {}{}", ran.stdout, ran.stderr);
        }
        let ran = setup(&tree, &["--undo"]);
        assert_eq!(ran.status, Some(0), "killed at {n}, and undone: {}{}", ran.stdout, ran.stderr);
        assert_others(&tree, &before, &format!("killed at {n}, and undone"));
        assert!(!tree.exists("var/lib/vfio/setup"), "killed at {n}");
        if !was_killed {
            break;
        }
        kills += 1;
    }
    assert!(kills >= 12, "only {kills} moments");
}

/// An undo that is killed goes on where it was.
#[test]
fn an_undo_killed_anywhere_goes_on() {
    let mut kills = 0;
    for n in 1.. {
        assert!(n < MANY, "it never ends");
        let tree = arch();
        let before = others(&tree);
        assert_eq!(setup(&tree, &["--vm=win11", "--yes", "--way-back=both"]).status, Some(0));
        let was_killed = kill(&tree, VFIO, &["setup", "--undo"], "fsync,fdatasync", n).is_none();
        let ran = setup(&tree, &["--undo"]);
        assert_eq!(ran.status, Some(0), "killed at {n}: {}{}", ran.stdout, ran.stderr);
        assert_others(&tree, &before, &format!("undo killed at {n}, and again"));
        if !was_killed {
            break;
        }
        kills += 1;
    }
    assert!(kills >= 10, "only {kills} moments");
}

/// What somebody has changed since is theirs.
#[test]
fn a_file_that_was_edited_is_left_alone() {
    let tree = arch();
    assert_eq!(setup(&tree, &["--vm=win11", "--yes"]).status, Some(0));
    let path = "etc/vfio.conf.d/50-win11.conf";
    let written = tree.read(path);
    tree.write(path, &format!("{written}inhibit-sleep = no\n"));
    let ran = setup(&tree, &["--vm=win11", "--yes", "--audio=none"]);
    assert!(ran.stdout.contains("it is left alone"), "{}{}", ran.stdout, ran.stderr);
    let ran = setup(&tree, &["--undo"]);
    assert_eq!(ran.status, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("was changed since vfio wrote it"), "{}", ran.stderr);
    tree.write(path, &written);
    assert_eq!(setup(&tree, &["--undo"]).status, Some(0));
    assert!(!tree.exists(path));
}
