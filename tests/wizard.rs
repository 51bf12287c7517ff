// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio setup` on whole machines, from fresh to a guest that can be started: asked on a terminal (`tests/golden/setup/NAME.txt`,
//! which `UPDATE_GOLDEN=1` writes), without one, a second time, undone, and killed at every record.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::cards::{self, endpoint, port};
use common::halfway::files;
use common::keyboards::keyboard_and_mouse;
use common::strace::kill;
use common::terminal::converse;
use common::text::Nodes;
use common::tree::Ran;
use common::{boots, desktop, domain, hosts, Machine, Tree};
use std::fs;
use std::path::Path;

const VFIO: &str = env!("CARGO_BIN_EXE_vfio");
/// More than any of them has.
const MANY: u32 = 200;

/// A machine with what it boots with, a distribution, a user, libvirt's network, and units of libvirt that do not run.
fn machine(layout: &str, boot: &str, distribution: &str) -> Tree {
    machine_of(common::text::read(hosts::unpack(layout).path(), &|_| false), boot, distribution)
}

fn machine_of(mut nodes: Nodes, boot: &str, distribution: &str) -> Tree {
    nodes.extend(boots::of(boot).0);
    let tree = Tree::new(&nodes);
    tree.write("etc/os-release", &format!("ID={distribution}\n"));
    tree.write("etc/passwd", "root:x:0:0::/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\n");
    tree.write("etc/group", "root:x:0:\nkvm:x:104:\ninput:x:105:\nlibvirt:x:106:\nada:x:1000:\n");
    tree.write("etc/libvirt/qemu/networks/default.xml", "<network><name>default</name></network>\n");
    for directory in ["etc/libvirt/qemu/networks/autostart", "run/libvirt/network", "run/systemd/system"] {
        fs::create_dir_all(tree.join(directory)).unwrap();
    }
    for program in ["usr/bin/virsh", "usr/sbin/virtqemud", "usr/bin/qemu-system-x86_64"] {
        tree.write(program, "");
    }
    tree.write("usr/share/qemu/firmware/50-edk2.json", "{ \"interface-types\": [ \"uefi\" ] }\n");
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
    let options = "options vfio-pci ids=1002:73bf,1002:ab28 disable_vga=1\nsoftdep amdgpu pre: vfio-pci\n";
    tree.write("etc/modprobe.d/vfio.conf", &format!("# The guide's.\n{options}"));
    tree.write("etc/modprobe.d/blacklist-amdgpu.conf", "blacklist amdgpu\nblacklist snd_hda_intel\n");
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
    nodes.retain(|path, _| !path.starts_with("usr/bin/swtpm") && path != "usr/bin/virt-install");
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

/// The keyboard's own USB host goes with the card.
#[test]
fn one_card_and_a_usb_host_with_it() {
    from_fresh_to_guest("usb", &arch(), &["--vm=win11"], &["", "2", "", "", "y"], 160);
}

#[test]
fn a_card_beside_the_one_that_shows_the_desktop() {
    // The card, the guest, when, Looking Glass with a picture, no keyboard of the host's, sound as it comes.
    let answers = ["2", "1", "2", "y", "2560x1440", "2", "", "y"];
    from_fresh_to_guest("fedora", &fedora(), &[], &answers, 80);
}

#[test]
fn a_new_guest_on_a_card_beside_the_one_that_shows_the_desktop() {
    // The card, a new guest, its name, from what, its disk and memory, no drivers, when, no Looking Glass, sound, keyboard.
    let answers = ["", "1", "", "/srv/Win11_24H2.iso", "", "16G", "none", "2", "n", "", "", "y"];
    from_fresh_to_guest("new", &fedora_without_a_guest(), &[], &answers, 80);
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
    // Without a terminal: what fits two cards, what is asked for, what would be, what is done, a second time, undone.
    let mut text = String::new();
    let mut told = |tree: &Tree, options: &[&str]| {
        let ran = setup(tree, options);
        let said = format!("{}{}", ran.stdout, ran.stderr).replace(&tree.path().display().to_string(), "ROOT");
        text.push_str(&format!("$ vfio setup {}\n{said}[{}]\n", options.join(" "), ran.status.unwrap()));
        ran.status
    };
    let copy = server();
    let whole = |more: &'static str| [&options[..], &[more]].concat();
    assert_eq!(told(&copy, &["--vm=win11", "--gpu=nvidia", "--yes"]), Some(64));
    assert_eq!(told(&copy, &options), Some(64));
    assert_eq!(told(&copy, &whole("--dry-run")), Some(0));
    assert_eq!(told(&copy, &whole("--yes")), Some(0));
    assert_eq!(told(&copy, &whole("--yes")), Some(0));
    assert_eq!(told(&copy, &["--undo"]), Some(0));
    golden("server", &text);
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

/// The line of the guide, as it stands there, on the machine that it is written for.
#[test]
fn the_guides_own_line() {
    let mut card = cards::rtx2080("0000:0a:00", "0000:00:03.1", 14);
    card[0].boot_vga = true;
    card[0].connectors[0].1 = true;
    let board = [endpoint("0000:00:00.0", (0x1022, 0x1450), 0x06_0000, 0), port("0000:00:03.1", (0x1022, 0x1453), 3)];
    let nodes = Machine::new().iommu(Some("ivhd0")).with(board).with(card).nodes();
    let tree = machine_of(nodes, "arch-systemd-boot", "arch");
    let modules = format!("lib/modules/{}/modules.dep", common::machine::RELEASE);
    let listed = fs::read_to_string(tree.join(&modules)).unwrap_or_default();
    tree.write(&modules, &(listed + "updates/dkms/nvidia.ko:\n"));
    windows(&tree, "win10");
    desktop::desktop(&tree, "0000:0a:00.0", Some("0000:0a:00.1"));
    desktop::process(&tree, 2300, "plasmashell", 1000, "/user.slice/user-1000.slice/session-2.scope", &[]);
    let line = ["--vm=win10", "--gpu=nvidia", "--de=plasma", "--os=arch", "--amd6000=false"];
    from_fresh_to_guest("guide", &tree, &line, &["", "", "", "", "y"], 80);
}

/// The line of the guide on another machine, and what of it is not so.
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

/// The same machine with virt-install in its packages and an image to install from, and no guest.
fn fedora_without_a_guest() -> Tree {
    let tree = fedora();
    for file in [".kernel/domains/win11.xml", "etc/libvirt/qemu/win11.xml", NEW_DISK] {
        tree.remove(file);
    }
    tree.write(".kernel/packages/virt-install", "usr/bin/virt-install\n");
    fs::create_dir_all(tree.join("var/lib/libvirt/images")).unwrap();
    tree.write("srv/Win11_24H2.iso", &format!("{}CD001", "\0".repeat(32769)));
    tree
}

const NEW_DISK: &str = "var/lib/libvirt/images/win11.qcow2";
const NEW: [&str; 6] =
    ["setup", "--vm=win11", "--gpu=0000:03:00.0", "--iso=/srv/Win11_24H2.iso", "--when=guest", "--yes"];

#[test]
fn a_guest_that_is_not_there_is_made() {
    let tree = fedora_without_a_guest();
    let before = others(&tree);
    let ran = tree.run(VFIO, &NEW);
    assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
    let xml = tree.read(".kernel/domains/win11.xml").replace('"', "'");
    for part in ["bus='0x03' slot='0x00' function='0x0'/>", "/srv/Win11_24H2.iso", NEW_DISK, "<tpm "] {
        assert!(xml.contains(part), "{part}: {xml}");
    }
    assert!(tree.exists(NEW_DISK));
    let ran = tree.run(VFIO, &NEW);
    assert!(ran.status == Some(0) && ran.stdout.ends_with("nothing to do\n"), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(tree.read(".kernel/domains/win11.xml").replace('"', "'"), xml);
    let ran = setup(&tree, &["--undo"]);
    assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert_others(&tree, &before, "undone");
}

/// A disk that a guest has written to stays, and is named; everything else goes.
#[test]
fn a_disk_that_was_written_to_stays() {
    let tree = fedora_without_a_guest();
    let before = others(&tree);
    assert_eq!(tree.run(VFIO, &NEW).status, Some(0));
    tree.write(NEW_DISK, "a system");
    let ran = setup(&tree, &["--undo"]);
    assert!(
        ran.status == Some(0) && ran.stdout.contains(&format!("/{NEW_DISK} stays")),
        "{}{}",
        ran.stdout,
        ran.stderr
    );
    assert_eq!(tree.read(NEW_DISK), "a system");
    tree.remove(NEW_DISK);
    assert_others(&tree, &before, "undone but for the disk");
}

/// What a new guest is made from is judged before anything is done.
#[test]
fn a_guest_that_cannot_be_made_is_refused() {
    let tree = fedora_without_a_guest();
    let before = others(&tree);
    tree.write("srv/page.iso", "<html>not found</html>");
    let card = "--gpu=0000:03:00.0";
    for (options, code, word) in [
        (&["--vm=win11", card, "--iso=/srv/page.iso", "--yes"][..], 1, "[image-unusable]"),
        (&["--vm=win11", card, "--iso=/srv/none.iso", "--yes"], 1, "[image-unusable]"),
        (&["--vm=win11", card, "--disk=/srv/none.img", "--yes"], 1, "[image-unusable]"),
        (&["--vm=games", card, "--iso=/srv/page.iso", "--yes"], 64, "--guest-os"),
        (&[card, "--iso=/srv/Win11_24H2.iso", "--yes"], 64, "--vm=NAME"),
        (&["--vm=win11", "--iso=page.iso"], 64, "absolute path"),
        (&["--vm=win11", "--disk=much"], 64, "64G"),
    ] {
        let ran = setup(&tree, options);
        assert_eq!(ran.status, Some(code), "{options:?}: {}{}", ran.stdout, ran.stderr);
        assert!(ran.stderr.contains(word), "{options:?}: {}", ran.stderr);
        assert!(!tree.exists("etc/vfio.conf.d"), "{word}");
    }
    // Without an image or a disk nothing is made, and how it can be is said.
    let ran = setup(&tree, &["--vm=win11", card, "--when=guest", "--dry-run"]);
    assert!(ran.status == Some(1) && ran.stdout.contains("--iso=FILE"), "{}{}", ran.stdout, ran.stderr);
    // virt-install knows no such system: only it can say so, and what was done until then is taken back.
    let ran = tree.run(VFIO, &[&NEW[..], &["--guest-os=win12"]].concat());
    assert!(ran.status == Some(2) && ran.stderr.contains("knows no system 'win12'"), "{}{}", ran.stdout, ran.stderr);
    tree.remove("srv/page.iso");
    let mut now = others(&tree);
    now.retain(|path, _| !path.starts_with("usr/bin/virt-install"));
    let differences = common::tree::differences(&before, &now);
    assert!(differences.is_empty(), "{differences}");
}

/// Killed where a new guest is made: an undo, or the same again, which changes nothing when it is done, and an undo.
#[test]
fn killed_while_a_guest_is_made() {
    killed_anywhere(fedora_without_a_guest, &NEW, 20, |tree, n| {
        assert!(tree.exists(NEW_DISK) && tree.exists(".kernel/domains/win11.xml"), "killed at {n}, and again");
        let ran = tree.run(VFIO, &NEW);
        assert!(ran.stdout.ends_with("nothing to do\n"), "killed at {n}, a third time: {}", ran.stdout);
    });
}

/// A USB host goes with the card, as a section of its own.
#[test]
fn a_usb_host_goes_with_the_guest() {
    let tree = arch();
    let before = others(&tree);
    let ran = setup(&tree, &["--vm=win11", "--input=usb:0000:09:00.1", "--yes"]);
    assert_eq!(ran.status, Some(64), "{}", ran.stdout);
    assert!(ran.stderr.contains("[setup-answer-unfit]") && ran.stderr.contains("0000:0c:00.3"), "{}", ran.stderr);
    let options = ["--vm=win11", "--input=usb:0c:00.3", "--yes"];
    let ran = setup(&tree, &options);
    assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("--input=usb:0000:0c:00.3"), "{}", ran.stdout);
    let file = tree.read("etc/vfio.conf.d/50-win11.conf");
    for line in ["[gpu usb]\ndevice = 0000:0c:00.3\nidentity = 1022:149c\nbind = guest\n", "gpus = amd usb\n"] {
        assert!(file.contains(line), "{file}");
    }
    let xml = tree.read(".kernel/domains/win11.xml").replace('"', "'");
    assert!(xml.contains("bus='0x0c' slot='0x00' function='0x3'/>"), "{xml}");
    for again in [&options[..], &["--vm=win11", "--yes"]] {
        let ran = setup(&tree, again);
        assert!(ran.stdout.ends_with("nothing to do\n"), "{again:?}: {}{}", ran.stdout, ran.stderr);
    }
    assert_eq!(setup(&tree, &["--undo"]).status, Some(0));
    assert_others(&tree, &before, "undone");
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
    killed_anywhere(arch, &["setup", "--vm=win11", "--yes", "--way-back=both"], 12, |_, _| {});
}

/// Kills a setup at each moment at which something is on the disk, of which there are so many at least. Every second time the
/// same command is run again, and `again` looks at what that has done. Then an undo leaves nothing.
fn killed_anywhere(machine: fn() -> Tree, options: &[&str], least: usize, again: impl Fn(&Tree, u32)) {
    let mut kills = 0;
    for n in 1.. {
        assert!(n < MANY, "it never ends");
        let tree = machine();
        let before = others(&tree);
        let was_killed = kill(&tree, VFIO, options, "fsync,fdatasync", n).is_none();
        if n % 2 == 0 {
            let ran = tree.run(VFIO, options);
            assert_eq!(ran.status, Some(0), "killed at {n}, and again: {}{}", ran.stdout, ran.stderr);
            again(&tree, n);
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
    assert!(kills >= least, "only {kills} moments");
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

/// Of files of modprobe.d only those go that say nothing else and mean no other card.
#[test]
fn options_of_modules_that_mean_more_are_left_alone() {
    for (file, text) in [
        ("vfio.conf", "options vfio-pci ids=1002:73bf,10de:2206\n"),
        ("vfio.conf", "options vfio-pci ids=1002:73bf\noptions snd_hda_intel power_save=1\n"),
        ("blacklist-amdgpu.conf", "blacklist amdgpu\nblacklist nouveau\n"),
        ("blacklist-amdgpu.conf", "blacklist snd_hda_intel\n"),
    ] {
        let tree = arch();
        let path = format!("etc/modprobe.d/{file}");
        tree.write(&path, text);
        let ran = setup(&tree, &["--vm=win11", "--yes"]);
        assert_eq!(ran.status, Some(1), "{text}: {}{}", ran.stdout, ran.stderr);
        let said = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(&format!("left to you /{path}:1: ")), "{text}: {}", ran.stdout);
        assert_eq!(tree.read(&path), text);
        let other = if file == "vfio.conf" { "blacklist-amdgpu.conf" } else { "vfio.conf" };
        assert!(tree.exists(&format!("etc/modprobe.d/{other}.before-vfio")), "{text}: {}", ran.stdout);
    }
}

/// An initramfs has a copy of them: it is built again when they go, and when they come back.
#[test]
fn the_initramfs_is_built_again_without_them() {
    let tree = server();
    tree.write("usr/sbin/update-initramfs", "");
    let (path, text) = ("etc/modprobe.d/vfio.conf", "options vfio-pci ids=10de:2204\n");
    tree.write(path, text);
    let built = |options: &[&str]| {
        let ran = setup(&tree, &[options, &["--json"]].concat());
        assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
        let answer: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        let commands = answer["commands"].as_array().unwrap();
        commands.iter().filter(|command| *command == "update-initramfs -u -k all").count()
    };
    let options = ["--vm=win11", "--gpu=0000:08:00.0", "--when=guest", "--yes"];
    assert_eq!(built(&options), 1);
    assert!(!tree.exists(path));
    assert_eq!(built(&options), 0, "a second time");
    assert_eq!(built(&["--undo"]), 1);
    assert_eq!(tree.read(path), text);
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
