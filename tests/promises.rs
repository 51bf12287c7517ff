// SPDX-License-Identifier: LGPL-2.1-or-later
//! The promises of the README, one test each, with the real programs. What lies behind each in full is tested elsewhere:
//! `crash.rs`, `faults.rs`, `random.rs`, `sessions.rs`, and the lab.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::boot_tools::BootTools;
use common::halfway::files;
use common::pairs::{small, twins, SMALL, TWINS};
use common::text::{Node, Nodes};
use common::tree::{differences, Ran};
use common::{boots, desktop, domain, hosts, Tree};
use std::path::Path;

const VFIO: &str = env!("CARGO_BIN_EXE_vfio");
const VFIO_GUEST: &str = env!("CARGO_BIN_EXE_vfio-guest");
const VFIO_BIND: &str = env!("CARGO_BIN_EXE_vfio-bind");
const GENERATOR: &str = env!("CARGO_BIN_EXE_vfio-generator");
const VFIO_UDEV: &str = env!("CARGO_BIN_EXE_vfio-udev");

/// Everything that runs at boot, in order.
fn boot(tree: &Tree) -> Vec<Ran> {
    let out = tree.join("tmp-generator");
    std::fs::create_dir_all(&out).unwrap();
    let generated = tree.run(GENERATOR, &[out.to_str().unwrap()]);
    let wants = |name: &str| out.join("sysinit.target.wants").join(name).is_symlink();
    let mut ran = vec![tree.run(VFIO_BIND, &["early"])];
    if wants("vfio-bind@big.service") {
        ran.push(tree.run(VFIO_BIND, &["gpu", "big"]));
    }
    std::fs::remove_dir_all(&out).unwrap();
    ran.push(generated);
    ran
}

fn said(ran: &[Ran]) -> String {
    ran.iter().map(|r| r.stderr.as_str()).collect()
}

#[test]
fn promise_1_it_never_takes_the_last_way_in() {
    // The switch on the kernel command line.
    for word in ["vfio=off", "rd.vfio=off"] {
        let tree = small();
        tree.write("proc/cmdline", &format!("root=/dev/sda1 {word} quiet\n"));
        let before = tree.snapshot();
        let ran = boot(&tree);
        assert!(said(&ran).contains(word), "{}", said(&ran));
        assert_eq!(tree.run(VFIO_UDEV, &["0000:03:00.0"]).stdout, "");
        tree.assert_same(&before, word);
    }
    // The only display.
    let tree = hosts::unpack("single-amd");
    tree.config("[gpu big]\ndevice = boot-display\n");
    let before = tree.snapshot();
    let ran = boot(&tree);
    assert!(said(&ran).contains("the host's last display"), "{}", said(&ran));
    tree.assert_same(&before, "the only display");
    // Boots that do not come up.
    let tree = small();
    let boot_id = |id: &str| tree.write("proc/sys/kernel/random/boot_id", &format!("{id}\n"));
    boot_id("boot-0");
    let before = tree.snapshot();
    for (n, bound) in [("boot-1", true), ("boot-2", true), ("boot-3", false), ("boot-4", false)] {
        boot_id(n);
        let ran = boot(&tree);
        let driver = tree.driver("0000:03:00.0").unwrap();
        assert_eq!(driver == "vfio-pci", bound, "{n}: {driver}: {}", said(&ran));
        let status = tree.run(VFIO, &["status"]);
        assert_eq!(status.stdout.contains("did not come up"), !bound, "{n}: {}", status.stdout);
        // What a reboot does: the host has everything again, and /run is empty.
        tree.run(VFIO, &["restore", "big"]);
        std::fs::remove_dir_all(tree.join("run/vfio")).unwrap();
    }
    boot_id("boot-0");
    tree.assert_same(&before, "boots that are skipped");
}

/// Regression: a counter that could not be read or written counted as no failed boot, for ever.
#[test]
fn promise_1_what_cannot_be_counted_is_not_bound() {
    type Break = fn(&Tree);
    fn a_file(tree: &Tree, path: &str) {
        if tree.exists(path) {
            std::fs::remove_dir_all(tree.join(path)).unwrap();
        }
        tree.write(path, "");
    }
    let breaks: [(&str, Break, bool); 7] = [
        ("a file in the way", |tree| a_file(tree, "var/lib/vfio"), false),
        ("a file further up", |tree| a_file(tree, "var/lib"), false),
        ("a directory", |tree| std::fs::create_dir_all(tree.join("var/lib/vfio/boots/x")).unwrap(), false),
        ("a file cut off", |tree| tree.write("var/lib/vfio/boots", "{\"boot\": \"x\", \"fail"), true),
        ("an empty file", |tree| tree.write("var/lib/vfio/boots", ""), true),
        ("other text", |tree| tree.write("var/lib/vfio/boots", "[1]\n"), true),
        ("a negative number", |tree| tree.write("var/lib/vfio/boots", "{\"boot\": \"x\", \"failed\": -1}"), true),
    ];
    for (what, break_it, mends_itself) in breaks {
        let tree = small();
        let boot_id = |id: &str| tree.write("proc/sys/kernel/random/boot_id", &format!("{id}\n"));
        boot_id("boot-0");
        break_it(&tree);
        let before = tree.snapshot();
        let doctor = tree.run(VFIO, &["doctor", "--only", "boot"]);
        assert!(doctor.stdout.contains("error: failed boots cannot be counted"), "{what}: {}", doctor.stdout);
        for id in ["boot-1", "boot-2", "boot-3", "boot-4"] {
            boot_id(id);
            // The early part of the boot reserved it, and the host gets it back.
            let ran = boot(&tree);
            assert!(
                said(&ran).contains("it is not known how many before it did not come up"),
                "{what}: {}",
                said(&ran)
            );
            let status = tree.run(VFIO, &["status"]);
            assert!(
                status.stdout.contains("is not known how many before it did not come up"),
                "{what}: {}",
                status.stdout
            );
            assert_eq!(tree.run(VFIO_UDEV, &["0000:03:00.0"]).stdout, "", "{what}: {id}");
            std::fs::remove_dir_all(tree.join("run/vfio")).unwrap();
            boot_id("boot-0");
            tree.assert_same(&before, &format!("{what}: {id}"));
        }
        if mends_itself {
            assert_eq!(tree.run(VFIO_BIND, &["boot-ok", "--now"]).status, Some(0), "{what}");
            boot_id("boot-5");
            boot(&tree);
            assert_eq!(tree.driver("0000:03:00.0").as_deref(), Some("vfio-pci"), "{what}: a boot came up");
        } else {
            // Whoever asks for no count gets none.
            let text = std::fs::read_to_string(tree.join("etc/vfio.conf")).unwrap();
            tree.config(&format!("[host]\nfailed-boots = 0\n{text}"));
            boot(&tree);
            assert_eq!(tree.driver("0000:03:00.0").as_deref(), Some("vfio-pci"), "{what}: nothing is counted");
        }
    }
}

#[test]
fn promise_2_it_never_wedges_the_host() {
    // Overrides before unbinds, unbinds before probes.
    let tree = twins();
    tree.config("[gpu big]\ndevice = 0000:42:00.0\nbind = boot\n");
    tree.run(VFIO, &["bind", "big"]);
    let journal = tree.read("run/vfio/journal/big");
    let order: Vec<usize> = ["\"override\"", "\"unbind\"", "\"probe\""]
        .iter()
        .flat_map(|what| {
            let lines: Vec<usize> =
                journal.lines().enumerate().filter(|(_, l)| l.contains(what)).map(|(n, _)| n).collect();
            assert_eq!(lines.len(), TWINS.len(), "{what}:\n{journal}");
            lines
        })
        .collect();
    assert!(order.is_sorted(), "{journal}");
    // Nobody is unbound while something holds the device.
    let tree = small();
    tree.write("proc/4321/comm", "pipewire\n");
    std::fs::create_dir_all(tree.join("proc/4321/fd")).unwrap();
    let node = sound_node(&tree);
    std::os::unix::fs::symlink(&node, tree.join("proc/4321/fd/7")).unwrap();
    let before = tree.snapshot();
    let ran = tree.run(VFIO, &["bind", "big"]);
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    for word in ["0000:03:00.1", "pipewire", "4321", node.as_str()] {
        assert!(ran.stderr.contains(word), "{word}: {}", ran.stderr);
    }
    tree.assert_same(&before, "a held card");
    // A write that the kernel never answers.
    let tree = small();
    tree.faults("*/unbind hang\n");
    let ran = tree.run(VFIO, &["bind", "big"]);
    assert_eq!(ran.status, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("the kernel has not answered"), "{}", ran.stderr);
}

/// A node of the card's sound function, as its `uevent` names it.
fn sound_node(tree: &Tree) -> String {
    let sound = tree.join("sys/bus/pci/devices/0000:03:00.1/sound");
    let card = std::fs::read_dir(&sound).expect("the sound card of the machine").next().unwrap().unwrap().path();
    let uevents = std::fs::read_dir(card).unwrap().map(|e| e.unwrap().path().join("uevent"));
    let names = uevents.filter_map(|u| std::fs::read_to_string(u).ok());
    let name = names.filter_map(|u| Some(u.lines().find_map(|l| l.strip_prefix("DEVNAME="))?.to_owned())).next();
    format!("/dev/{}", name.expect("a node of the sound card"))
}

#[test]
fn promise_3_everything_it_does_it_can_undo() {
    // After any crash: crash.rs kills it at every point. Here without one, from every verb that changes something.
    for verbs in [&["bind"][..], &["rescan"], &["bind", "rescan"], &["bind", "bind"]] {
        let tree = small();
        let before = tree.snapshot();
        for verb in verbs {
            let ran = tree.run(VFIO, &[verb, "big"]);
            assert_eq!(ran.status, Some(0), "{verb}: {}", ran.stderr);
            assert!(SMALL.iter().all(|(f, _)| tree.driver(f).as_deref() == Some("vfio-pci")), "{verb}");
        }
        // No configuration is needed for the way back.
        let config = tree.read("etc/vfio.conf");
        tree.remove("etc/vfio.conf");
        assert_eq!(tree.run(VFIO, &["restore", "big"]).status, Some(0));
        tree.config(&config);
        tree.assert_same(&before, &format!("{verbs:?}"));
    }
}

#[test]
fn promise_4_it_knows_devices_by_what_they_are() {
    // Another card sits where the configured one was.
    let tree = hosts::unpack("igpu-amd");
    tree.config("[gpu big]\ndevice = 0000:00:02.0\nidentity = 1002:73df\n");
    let before = tree.snapshot();
    let ran = boot(&tree);
    let line =
        "/etc/vfio.conf:2: [gpu big] 0000:00:02.0 is 8086:4680 now, not 1002:73df; if the card has moved, change this \
                line to 'device = 0000:03:00.0'";
    assert!(said(&ran).contains(line), "{}", said(&ran));
    tree.assert_same(&before, "a moved card");
    // Two identical cards: the twin is never touched, and an id alone chooses neither.
    let tree = twins();
    let ran = tree.run(VFIO, &["bind", "big"]);
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    assert_eq!(tree.driver("0000:0a:00.0").as_deref(), Some("nvidia"));
    assert_eq!(tree.attribute("0000:0a:00.0", "driver_override"), "(null)\n");
    tree.config("[gpu any]\ndevice = 10de:1e87\n");
    let ran = tree.run(VFIO, &["bind", "any"]);
    assert_eq!(ran.status, Some(1));
    assert!(
        ran.stderr.contains("'device = 0000:0a:00.0'") && ran.stderr.contains("'device = 0000:42:00.0'"),
        "{}",
        ran.stderr
    );
}

/// Every file as it is after an edit of these.
fn edited(nodes: &Nodes, paths: &[&str], edit: impl Fn(&str) -> String) -> Nodes {
    let mut nodes = nodes.clone();
    for path in paths {
        let Some(Node::File(_, bytes)) = nodes.get_mut(*path) else { panic!("there is no file /{path}") };
        *bytes = edit(&String::from_utf8(bytes.clone()).unwrap()).into_bytes();
    }
    nodes
}

/// What an apply puts into boot files, and nothing else, is what a revert takes out. The user's own parameters stay, and what
/// the user changes meanwhile.
#[test]
fn promise_5_it_owns_only_its_own_kernel_parameters() {
    // What an apply changes, and a word of the user's that is in each of these command lines.
    let machines: [(&str, &str, &[&str]); 7] = [
        ("arch-systemd-boot", "quiet", &["boot/loader/entries/arch.conf"]),
        (
            "debian-systemd-boot",
            "quiet",
            &[
                "boot/efi/loader/entries/5f-6.12.48+deb13-amd64.conf",
                "boot/efi/loader/entries/5f-6.12.57+deb13-amd64+3-1.conf",
                "etc/kernel/cmdline",
            ],
        ),
        (
            "fedora",
            "quiet",
            &["boot/loader/entries/5f-6.17.4-300.fc43.x86_64.conf", "etc/default/grub", "etc/kernel/cmdline"],
        ),
        ("limine-by-hand", "rw", &["boot/limine/limine.conf"]),
        ("refind", "rw", &["boot/EFI/refind/refind.conf", "boot/refind_linux.conf"]),
        ("arch-grub", "quiet", &["etc/default/grub"]),
        ("fedora-silverblue", "quiet", &["boot/loader.1/entries/ostree-2.conf"]),
    ];
    // Some users have what is wanted in every boot already, or what means the same.
    let all_theirs = ["splash", "iommu=pt", "intel_iommu=on,sm_on"];
    let ours_beside = |theirs: &str, all: &[&'static str]| -> String {
        let ours = all.iter().filter(|parameter| !theirs.starts_with(**parameter));
        ours.map(|parameter| format!(" {parameter}")).collect()
    };
    const INTEL: [&str; 3] = ["intel_iommu=on", "iommu=pt", "lab.word=1"];
    // What deployments have: with ours, and with what the user adds meanwhile.
    let deployed = |theirs: &str| format!("root=UUID=56 rw quiet {theirs} rhgb ostree=/ostree/boot.1/fedora/x/0");
    let lines = all_theirs.iter().flat_map(|theirs| {
        [deployed(theirs) + &ours_beside(theirs, &INTEL), deployed(theirs).replace("quiet", "quiet mine=2")]
    });
    let lines: Vec<String> = lines.collect();
    let tools = BootTools::new(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    for theirs in all_theirs {
        for (name, word, changed) in machines {
            let what = format!("{name} with {theirs}");
            let with = |text: &str, more: &str| text.replace(word, &format!("{word} {more}"));
            let mut boot = boots::of(name);
            boot.0 = edited(&boot.0, changed, |text| with(text, theirs));
            let tree = Tree::new(&boot.0);
            std::fs::create_dir(tree.join(".kernel")).unwrap();
            tree.config("[host]\niommu = on\nkernel-parameters = lab.word=1\n");
            let run = |verb: &str| {
                let ran = tools.vfio(&tree, &["cmdline", verb]);
                assert_eq!(ran.status, Some(0), "{what}: {verb}: {}{}", ran.stdout, ran.stderr);
                // An entry of a deployment is written at the shutdown.
                tools.tool(&tree, &["ostree", "admin", "finalize-staged"]);
            };
            // Menus and images are their tools' (tests/cmdline_apply.rs).
            let look = || {
                let mut nodes = files(&tree);
                nodes.retain(|path, _| !path.ends_with("grub.cfg") && !path.starts_with(".kernel"));
                nodes
            };
            let ours = ours_beside(theirs, if name == "refind" { &INTEL[1..] } else { &INTEL });

            let before = look();
            run("apply");
            let applied = look();
            let without = edited(&applied, changed, |text| {
                assert!(text.contains(&ours), "{what}: no '{ours}' in\n{text}");
                text.replace(&ours, "")
            });
            let more = differences(&before, &without);
            assert!(more.is_empty(), "{what}: something else than '{ours}' has changed:\n{more}");

            let mine = |text: &str| with(text, "mine=2");
            for path in changed {
                tree.write(path, &mine(&tree.read(path)));
            }
            run("revert");
            let other = differences(&edited(&before, changed, mine), &look());
            assert!(other.is_empty(), "{what}: reverted after an edit:\n{other}");
        }
    }
}

#[test]
fn promise_6_it_says_why() {
    // Every refusal of every kind: one sentence with file and line, the section, and what to do.
    let cases = [
        (
            "igpu-amd",
            "device = 0000:0b:00.0",
            ":2: [gpu big] is not there now: nothing is at 0000:0b:00.0; displays are at: ",
        ),
        ("igpu-amd", "device = 0000:02:00.0", ":2: [gpu big] 0000:02:00 is a bridge, and"),
        (
            "igpu-amd",
            "device = 0000:03:00.0\nfunctions = 7",
            ":3: [gpu big] 0000:03:00 has no function 7 to give away; it has ",
        ),
        ("igpu-amd", "device = 0000:03:00.0\nalso = 0000:04:00.0", ":3: [gpu big] 0000:04:00.0 in 'also' (NVMe disk) "),
        ("igpu-amd", "device = 10de:ffff", ":2: [gpu big] is not there now: no device 10de:ffff is in this machine"),
        ("twin-nvidia", "device = 10de:1e87", ":2: [gpu big] 10de:1e87 is there more than once; choose by address: "),
        ("single-amd", "device = not-boot-display", ":2: [gpu big] there is no display besides the boot display"),
        ("no-iommu", "device = 0000:03:00.0", ":2: [gpu big] the firmware shows no IOMMU; switch on "),
    ];
    for (machine, lines, expected) in cases {
        let tree = hosts::unpack(machine);
        tree.config(&format!("[gpu big]\n{lines}\n"));
        let before = tree.snapshot();
        let expected = format!("/etc/vfio.conf{expected}");
        // A unit that is refused has done its work; a person who is refused is told "no".
        for (program, arguments, status) in [(VFIO, ["bind", "big"], 1), (VFIO_BIND, ["gpu", "big"], 0)] {
            let ran = tree.run(program, &arguments);
            assert_eq!(ran.status, Some(status), "{lines}: {}", ran.stderr);
            assert_eq!(ran.stderr.lines().count(), 1, "{lines}: {}", ran.stderr);
            assert!(ran.stderr.contains(&expected), "{lines}: {}", ran.stderr);
        }
        assert!(tree.run(VFIO, &["plan"]).stdout.contains(&expected), "{lines}");
        assert!(tree.run(VFIO, &["status"]).stdout.contains(&expected), "{lines}");
        tree.assert_same(&before, lines);
    }
}

#[test]
fn promise_7_it_knows_what_the_host_has_on_a_device() {
    // The root file system, swap, a part of what is made of several disks, a root that comes over the network.
    for (machine, device, carries) in [
        ("root-on-lvm-luks", "0000:04:00.0", "carries the root file system (nvme0n1p3)"),
        ("root-on-btrfs", "0000:06:00.0", "carries the root file system (nvme1n1p1)"),
        ("root-on-zfs", "0000:06:00.0", "carries the root file system (nvme1n1p2)"),
        ("root-on-array", "0000:00:17.0", "carries the root file system"),
        ("swap-on-second-disk", "0000:06:00.0", "carries swap (nvme1n1p1)"),
        ("vmd-desktop", "0000:00:0e.0", "carries the root file system (nvme0n1p2)"),
        ("root-by-nfs", "0000:05:00.0", "by which the root file system is reached"),
        ("root-on-stick", "0000:08:00.0", "carries the root file system (sda2)"),
    ] {
        let tree = hosts::unpack(machine);
        tree.config(&format!("[gpu big]\ndevice = {device}\nonly-display = yes\n"));
        let before = tree.snapshot();
        let check = tree.run(VFIO, &["check"]);
        assert!(check.status == Some(2) && check.stdout.contains(carries), "{machine}: {}", check.stdout);
        let ran = boot(&tree);
        assert!(said(&ran).contains(carries), "{machine}: {}", said(&ran));
        assert_eq!(tree.run(VFIO_UDEV, &[device]).stdout, "", "{machine}");
        let bind = tree.run(VFIO, &["bind", "big"]);
        assert!(bind.status == Some(1) && bind.stderr.contains(carries), "{machine}: {}", bind.stderr);
        tree.assert_same(&before, machine);
    }
    // What may go is named before it goes.
    let tree = hosts::unpack("vmd-desktop");
    tree.config("[gpu usb]\ndevice = 0000:00:14.0\n[gpu net]\ndevice = 0000:05:00.0\n");
    let plan = tree.run(VFIO, &["plan"]).stdout;
    for lost in
        ["its last keyboard, 'Logitech USB Keyboard'", "the network interface enp5s0, which has the default route"]
    {
        assert!(plan.contains(lost), "{lost}: {plan}");
    }
    // Nobody's session ends who need not lose it: tests/guest/making_way.rs.
}

#[test]
fn promise_8_a_start_that_will_fail_is_refused_before_the_desktop_is_touched() {
    let machine = |lines: &str| {
        let tree = hosts::unpack("single-amd");
        tree.config(&format!("[gpu big]\ndevice = 0000:09:00.0\nbind = guest\n{lines}[guest demo]\ngpus = big\n"));
        desktop::desktop(&tree, "0000:09:00.0", Some("0000:09:00.1"));
        domain::domain(&tree, "demo", &["0000:09:00.0", "0000:09:00.1"], &[]);
        tree
    };
    let without_disk = machine("");
    without_disk.remove("var/lib/libvirt/images/demo.qcow2");
    let without_domain = machine("");
    without_domain.remove(".kernel/domains/demo.xml");
    let mapped = machine("");
    let group = mapped.root().link_name("sys/bus/pci/devices/0000:09:00.0/iommu_group").unwrap();
    let region = "0x00000000791ef000 0x00000000791effff direct\n";
    mapped.write(&format!("sys/kernel/iommu_groups/{group}/reserved_regions"), region);
    for (tree, why) in [
        (machine("rom = /gone.rom\n"), "/gone.rom"),
        (without_disk, "demo.qcow2"),
        (without_domain, "demo"),
        (mapped, "mapped 1:1"),
    ] {
        let before = tree.snapshot();
        let ran = tree.run(VFIO_GUEST, &["run", "demo"]);
        assert!(ran.status == Some(1) && ran.stderr.contains(why), "{why}: {}", ran.stderr);
        tree.assert_same(&before, why);
        assert_eq!(tree.driver("0000:09:00.0").as_deref(), Some("amdgpu"), "{why}");
    }
}

/// Binding by ids takes every card with that id, the host's too, and stays after the program has gone.
#[test]
fn no_program_binds_by_id() {
    let folders = ["src", "cli", "generators", "udev", "units", "dracut", "initramfs-tools", "mkinitcpio", "debian"];
    let mut todo: Vec<_> = folders.iter().map(|f| Path::new(env!("CARGO_MANIFEST_DIR")).join(f)).collect();
    let mut read = 0;
    let mut named = Vec::new();
    while let Some(path) = todo.pop() {
        // What a build left, and what finds ids that others have left.
        if path.ends_with("debian/vfio-suite") || path.ends_with("src/host/leftovers.rs") {
            continue;
        }
        if path.is_dir() {
            todo.extend(std::fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            read += 1;
            if text.contains("new_id") || text.contains("vfio-pci.ids") || text.contains("options vfio-pci") {
                named.push(path);
            }
        }
    }
    assert!(read > 50, "only {read} files found");
    assert!(named.is_empty(), "{named:?}");
}
