// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio setup --services` on systems with systemd, with libvirt in several daemons, and with OpenRC: shown, done, done
//! again, undone, and undone after every failure.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::text::Nodes;
use common::tree::Ran;
use common::{desktop, Tree};
use std::fs;
use std::os::unix::fs::symlink;

const VFIO: &str = env!("CARGO_BIN_EXE_vfio");
const RECORDS: &str = "var/lib/vfio/setup";
/// More than any of them runs.
const MANY: u32 = 100;

/// What every system has: users, groups, and libvirt's network.
fn system() -> Tree {
    let tree = Tree::new(&Nodes::new());
    tree.write("etc/passwd", "root:x:0:0::/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\n");
    tree.write("etc/group", "root:x:0:\nkvm:x:104:eve,ada\ninput:x:105:\nlibvirt:x:106:eve\nada:x:1000:\n");
    tree.write("etc/libvirt/qemu/networks/default.xml", "<network><name>default</name></network>\n");
    for directory in ["etc/libvirt/qemu/networks/autostart", "run/libvirt/network", ".kernel"] {
        fs::create_dir_all(tree.join(directory)).unwrap();
    }
    tree
}

/// systemd with libvirt in one daemon. A socket of it is enabled already, and is named in the daemon's `Also=`.
fn one_daemon() -> Tree {
    let tree = system();
    fs::create_dir_all(tree.join("run/systemd/system")).unwrap();
    let daemon = [
        "state inactive",
        "also libvirtd.socket",
        "also virtlogd.socket",
        "brings libvirtd.socket",
        "brings virtlogd.socket",
    ];
    desktop::unit(&tree, "libvirtd.service", &daemon);
    desktop::unit(&tree, "libvirtd.socket", &["state inactive"]);
    desktop::unit(&tree, "virtlogd.socket", &["state active", "enabled"]);
    tree
}

/// systemd with libvirt in several daemons.
fn several_daemons() -> Tree {
    let tree = system();
    fs::create_dir_all(tree.join("run/systemd/system")).unwrap();
    for driver in ["qemu", "network", "storage"] {
        desktop::unit(&tree, &format!("virt{driver}d.service"), &["state inactive"]);
        desktop::unit(&tree, &format!("virt{driver}d.socket"), &["state inactive"]);
    }
    desktop::unit(&tree, "virtstoraged.socket", &["state active", "enabled"]);
    tree
}

/// OpenRC, whose libvirtd needs virtlogd.
fn openrc() -> Tree {
    let tree = system();
    tree.write("etc/init.d/libvirtd", "#!/sbin/openrc-run\ndepend() {\n\tneed virtlogd\n}\n");
    tree.write("etc/init.d/virtlogd", "#!/sbin/openrc-run\n");
    for directory in ["etc/runlevels/default", "run/openrc/started"] {
        fs::create_dir_all(tree.join(directory)).unwrap();
    }
    tree
}

/// A system's name, how it is made, and what a first run does.
type System = (&'static str, fn() -> Tree, &'static [&'static str]);

const VIRSH_START: &str = "virsh --connect qemu:///system net-start -- default";
const VIRSH_AUTOSTART: &str = "virsh --connect qemu:///system net-autostart -- default";

const SYSTEMS: [System; 3] = [
    (
        "one daemon",
        one_daemon,
        &[
            "systemctl enable -- libvirtd.service",
            "systemctl start -- libvirtd.service",
            VIRSH_START,
            VIRSH_AUTOSTART,
            "gpasswd -a ada input",
            "gpasswd -a ada libvirt",
        ],
    ),
    (
        "several daemons",
        several_daemons,
        &[
            "systemctl enable -- virtqemud.socket virtnetworkd.socket",
            "systemctl start -- virtqemud.socket virtnetworkd.socket",
            VIRSH_START,
            VIRSH_AUTOSTART,
            "gpasswd -a ada input",
            "gpasswd -a ada libvirt",
        ],
    ),
    (
        "OpenRC",
        openrc,
        &[
            "rc-update add libvirtd default",
            "rc-service libvirtd start",
            VIRSH_START,
            VIRSH_AUTOSTART,
            "gpasswd -a ada input",
            "gpasswd -a ada libvirt",
        ],
    ),
];

fn setup(tree: &Tree, options: &[&str]) -> Ran {
    tree.run(VFIO, &[&["setup", "--services"], options].concat())
}

fn make(tree: &Tree) -> Ran {
    setup(tree, &["--user", "ada"])
}

/// Runs it; what it printed, a line each.
#[track_caller]
fn done(tree: &Tree, options: &[&str], what: &str) -> Vec<String> {
    let ran = setup(tree, options);
    assert_eq!(ran.status, Some(0), "{what}: {} {}", ran.stdout, ran.stderr);
    ran.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn it_is_shown_then_done_once_then_undone() {
    for (name, system, commands) in SYSTEMS {
        let tree = system();
        let before = tree.snapshot();
        assert_eq!(done(&tree, &["--user", "ada", "--dry-run"], name), commands, "{name}");
        tree.assert_same(&before, name);
        assert!(!tree.exists("var/lib/vfio") && !tree.exists("run/vfio"), "{name}: a dry run leaves no trace");

        assert_eq!(done(&tree, &["--user", "ada"], name), commands, "{name}");
        let after = tree.snapshot();
        assert_ne!(before, after, "{name}");
        assert_eq!(tree.read("etc/group").lines().nth(2), Some("input:x:105:ada"), "{name}");
        assert!(tree.exists("run/libvirt/network/default.xml"), "{name}");
        let records = tree.read(RECORDS);
        // One for each step, whatever number of commands it takes.
        assert_eq!(records.lines().count(), 6, "{name}: {records}");

        assert_eq!(done(&tree, &["--user", "ada"], name), ["nothing to do"], "{name}");
        assert_eq!(tree.read(RECORDS), records, "{name}: done again");
        tree.assert_same(&after, name);

        let shown = done(&tree, &["--undo", "--dry-run"], name);
        tree.assert_same(&after, name);
        let undone = done(&tree, &["--undo"], name);
        assert_eq!(&undone[..4], &shown[..4], "{name}");
        tree.assert_same(&before, &format!("{name}, undone"));
        assert!(!tree.exists(RECORDS), "{name}");
        assert_eq!(done(&tree, &["--undo"], name), ["nothing to undo"], "{name}");
    }
}

/// virtlogd.socket was enabled, and systemd disables it along: `Also=`.
#[test]
fn what_was_so_before_stays() {
    let tree = one_daemon();
    assert_eq!(make(&tree).status, Some(0));
    let undone = done(&tree, &["--undo"], "undo");
    assert!(undone.contains(&"systemctl enable -- virtlogd.socket".to_owned()), "{undone:?}");
    assert!(!undone.iter().any(|words| words.contains("kvm")), "ada was in kvm: {undone:?}");
    assert!(tree.read(".kernel/units/virtlogd.socket").contains("enabled"));
    assert_eq!(tree.read("etc/group").lines().nth(1), Some("kvm:x:104:eve,ada"));
}

/// Each program fails in turn, without or with what it was to do: the record leads back, and forward.
#[test]
fn after_every_failure_an_undo_brings_everything_back_and_a_second_run_goes_on() {
    for (name, system, _) in SYSTEMS {
        let whole = system();
        assert_eq!(make(&whole).status, Some(0));
        for late in ["", " late"] {
            let mut failures = 0;
            for n in 1.. {
                assert!(n < MANY, "{name}: it never ends");
                let what = format!("{name}: program {n} fails{late}");
                let tree = system();
                let before = tree.snapshot();
                tree.faults(&format!("{n} EIO{late}\n"));
                let ran = make(&tree);
                tree.no_faults();
                if ran.status == Some(0) {
                    assert!(!ran.stdout.is_empty());
                    break;
                }
                failures += 1;
                assert_eq!(ran.status, Some(2), "{what}: {}", ran.stderr);
                assert_eq!(
                    ran.stderr.lines().filter(|line| line.starts_with("vfio: ") && !line.contains("would run")).count(),
                    1,
                    "{what}: {}",
                    ran.stderr
                );
                if n % 2 == 0 {
                    assert_eq!(make(&tree).status, Some(0), "{what}, and again");
                    tree.assert_same(&whole.snapshot(), &format!("{what}, and again"));
                }
                done(&tree, &["--undo"], &what);
                tree.assert_same(&before, &format!("{what}, and undone"));
                assert!(!tree.exists(RECORDS), "{what}");
            }
            assert!(failures >= 6, "{name}: only {failures} failures");
        }
    }
}

/// An undo that fails keeps what it could not do, and the next one does it.
#[test]
fn an_undo_that_fails_is_done_again() {
    for (name, system, _) in SYSTEMS {
        let mut failures = 0;
        for n in 1.. {
            assert!(n < MANY, "{name}: it never ends");
            let tree = system();
            let before = tree.snapshot();
            assert_eq!(make(&tree).status, Some(0));
            tree.faults(&format!("{n} EIO\n"));
            let ran = setup(&tree, &["--undo"]);
            tree.no_faults();
            if ran.status == Some(0) {
                tree.assert_same(&before, name);
                break;
            }
            failures += 1;
            assert!(tree.exists(RECORDS), "{name}: {n}");
            done(&tree, &["--undo"], name);
            tree.assert_same(&before, &format!("{name}: {n} failed, and again"));
        }
        assert!(failures >= 8, "{name}: only {failures} failures");
    }
}

#[test]
fn nothing_is_taken_from_guests_that_run() {
    let tree = one_daemon();
    assert_eq!(make(&tree).status, Some(0));
    let after = tree.snapshot();
    tree.write(".kernel/running/win10", "pid 7001\n");
    let ran = setup(&tree, &["--undo"]);
    assert_eq!(
        (ran.status, ran.stderr.contains("shut down what runs first: win10")),
        (Some(2), true),
        "{}",
        ran.stderr
    );
    fs::remove_dir_all(tree.join(".kernel/running")).unwrap();
    tree.assert_same(&after, "refused");
}

/// libvirt starts by itself what it is to start: the network is up before we ask for it.
#[test]
fn a_network_that_comes_up_with_libvirt_is_not_started_twice() {
    let tree = one_daemon();
    symlink("/etc/libvirt/qemu/networks/default.xml", tree.join("etc/libvirt/qemu/networks/autostart/default.xml"))
        .unwrap();
    let before = tree.snapshot();
    let ran = done(&tree, &["--user", "ada"], "autostart");
    assert!(!ran.iter().any(|words| words.contains("net-")), "{ran:?}");
    done(&tree, &["--undo"], "autostart");
    tree.assert_same(&before, "the network is down again, and still starts with libvirt");
}

#[test]
fn what_cannot_be_done_is_said_and_the_rest_is_done() {
    let tree = one_daemon();
    desktop::unit(&tree, "libvirtd.service", &["state inactive", "load masked"]);
    let ran = make(&tree);
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    assert!(ran.stdout.contains("note: libvirtd.service is masked"), "{}", ran.stdout);
    assert!(ran.stdout.contains("gpasswd -a ada libvirt"), "the rest is done: {}", ran.stdout);
}

#[test]
fn the_answer_for_programs() {
    let tree = openrc();
    let ran = tree.run(VFIO, &["--json", "setup", "--services", "--dry-run"]);
    let answer: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(answer["schema"], "vfio.setup/2");
    assert_eq!(answer["dry_run"], true);
    assert_eq!(answer["commands"][0], "rc-update add libvirtd default");
    assert_eq!(answer["left"][0], "nobody is added to groups: say who with --user NAME");
    assert_eq!((ran.status, answer["problems"].as_array().unwrap().len()), (Some(1), 0));
    assert_eq!(tree.run(VFIO, &["setup"]).status, Some(1), "there is no card");
}

/// What an earlier version has written down, which knew nothing of files, is undone by this one.
#[test]
fn a_record_of_an_earlier_version_is_undone() {
    let tree = one_daemon();
    let group = tree.read("etc/group");
    tree.write("etc/group", &group.replace("input:x:105:", "input:x:105:ada"));
    desktop::unit(&tree, "libvirtd.service", &["state active", "enabled"]);
    tree.write(
        RECORDS,
        "{\"step\":{\"do\":\"enable\",\"services\":[\"libvirtd.service\"]},\"before\":[\"virtlogd.socket\"]}\n\
         {\"step\":{\"do\":\"start\",\"services\":[\"libvirtd.service\"]},\"before\":[\"virtlogd.socket\"]}\n\
         {\"step\":{\"do\":\"join\",\"user\":\"ada\",\"group\":\"input\"},\"before\":[]}\n",
    );
    let ran = tree.run(VFIO, &["setup", "--undo"]);
    assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
    for command in
        ["gpasswd -d ada input", "systemctl stop -- libvirtd.service", "systemctl disable -- libvirtd.service"]
    {
        assert!(ran.stdout.contains(command), "{command}: {}", ran.stdout);
    }
    assert_eq!(tree.read("etc/group"), group);
    assert!(!tree.exists(RECORDS));
}
