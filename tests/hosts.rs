// SPDX-License-Identifier: LGPL-2.1-or-later
//! The machines that the tests run on hold together as real ones do. All of them are layouts, described in code after public
//! reports; that they are as real machines are is not tested here, for there is no recording to compare them with.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::parts::{self, disk, Part, StackKind};
use common::{hosts, text, Function, Machine, Tree};
use std::collections::HashSet;
use std::path::PathBuf;
use vfio_suite::act::backend::kernel_for;

/// The texts in `tests/hosts` are made from the layouts, and `hosts::unpack` reads them: a change of a layout is seen in them,
/// line by line, before any test runs on it. This says nothing of real machines. `UPDATE_HOSTS=1 cargo test --test hosts`
/// writes them again.
#[test]
fn the_texts_are_what_was_last_made_of_the_layouts() {
    for (name, machine) in hosts::all() {
        let nodes = machine.nodes();
        let file = hosts::file(name);
        if std::env::var_os("UPDATE_HOSTS").is_some() {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, text::render(&nodes)).unwrap();
        }
        let differences = common::tree::differences(&hosts::nodes(name), &nodes);
        assert!(differences.is_empty(), "{name} (UPDATE_HOSTS=1 writes it again):\n{differences}");
    }
}

/// Where recordings are.
fn recordings() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/hosts/recordings")
}

/// On a recording every looking verb gives an answer, and none changes it.
fn run_on(name: &str, nodes: &text::Nodes) {
    let tree = Tree::new(nodes);
    assert!(!tree.functions().is_empty(), "{name} has no PCI functions");
    let before = tree.snapshot();
    for verb in [&["groups"][..], &["cards"], &["plan"], &["status"], &["check"], &["doctor"], &["guest", "list"]] {
        let ran = tree.run(env!("CARGO_BIN_EXE_vfio"), verb);
        assert!(matches!(ran.status, Some(0..=2)), "{name}, {verb:?}: {:?} {}", ran.status, ran.stderr);
        assert!(!ran.stdout.is_empty() || !ran.stderr.is_empty(), "{name}, {verb:?} says nothing");
    }
    tree.assert_same(&before, name);
}

/// `make record REPORT=FILE NAME=...`; without a report to add, that of a machine of ours is made into a recording and run on.
#[test]
fn a_report_becomes_a_machine() {
    let given = std::env::var_os("VFIO_RECORD").filter(|path| !path.is_empty());
    let report = match &given {
        Some(path) => std::fs::read_to_string(path).unwrap_or_else(|e| panic!("REPORT={}: {e}", path.display())),
        None => hosts::unpack("single-amd").run(env!("CARGO_BIN_EXE_vfio"), &["report"]).stdout,
    };
    let nodes = text::parse(&report);
    let name = std::env::var("VFIO_RECORD_AS").unwrap_or_default();
    run_on(&name, &nodes);
    if given.is_none() {
        return;
    }
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    assert!(!name.is_empty() && name.chars().all(fits), "NAME=what-it-is: small letters, digits and '-', not '{name}'");
    let file = recordings().join(format!("{name}.txt"));
    assert!(!file.exists(), "{} is there already", file.display());
    std::fs::create_dir_all(recordings()).unwrap();
    let head = "# A recording by 'vfio report', masked; tests/hosts/README.md says what it is for.\n";
    std::fs::write(&file, format!("{head}{}", text::render(&nodes))).unwrap();
    println!("{} was written: read it, and add a line about it to tests/hosts/README.md", file.display());
}

#[test]
fn the_verbs_run_on_every_recording() {
    let entries = std::fs::read_dir(recordings()).into_iter().flatten();
    for path in
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "txt"))
    {
        run_on(path.file_stem().unwrap().to_str().unwrap(), &text::parse(&std::fs::read_to_string(&path).unwrap()));
    }
}

/// Every link leads somewhere, and what sysfs says twice it says alike.
#[test]
fn the_machines_hold_together() {
    let machines = hosts::all_layouts();
    assert!(machines.len() >= 40, "{} machines", machines.len());
    let names: HashSet<&str> = machines.iter().map(|(name, _)| *name).collect();
    assert_eq!(names.len(), machines.len(), "two machines have one name");
    for (name, machine) in machines.into_iter().chain([("server", hosts::server(64))]) {
        let tree = machine.build();
        let root = tree.root();
        for (path, node) in tree.snapshot() {
            if let text::Node::Link(target) = node {
                assert!(root.exists(&path), "{name}: {path} -> {target} leads nowhere");
            }
        }
        let functions = tree.functions();
        assert_eq!(functions.len(), machine.functions.len(), "{name}: two functions have one address");
        for address in functions {
            let device = format!("sys/bus/pci/devices/{address}");
            let uevent = tree.attribute(&address, "uevent");
            let vendor = tree.attribute(&address, "vendor")[2..6].to_uppercase();
            assert!(uevent.contains(&format!("PCI_ID={vendor}:")), "{name}: {address}");
            assert!(uevent.contains(&format!("MODALIAS={}", tree.attribute(&address, "modalias"))), "{name}");
            if tree.driver(&address).is_none() {
                assert!(!uevent.contains("DRIVER="), "{name}: {address}");
            }
            if let Ok(group) = root.link_name(&format!("{device}/iommu_group")) {
                assert!(root.exists(&format!("sys/kernel/iommu_groups/{group}/devices/{address}")), "{name}");
            } else {
                assert!(machine.iommu.is_none(), "{name}: {address}");
            }
        }
        the_functions_of_a_driver_are_its_own(name, &machine);
        what_the_host_has_is_there(name, &machine, &tree);
    }
}

/// Nobody has a function whose driver would not take it, nor two of which one is in the other's place.
fn the_functions_of_a_driver_are_its_own(name: &str, machine: &Machine) {
    let known = common::drivers::DRIVERS;
    for function in &machine.functions {
        let Some(driver) = function.driver else { continue };
        let (.., globs) = known.iter().find(|(of, ..)| *of == driver).unwrap_or_else(|| panic!("{name}: {driver}"));
        let modalias = function.modalias();
        let takes = globs.iter().any(|glob| {
            let mut rest = modalias.as_str();
            glob.split('*').all(|part| rest.find(part).map(|at| rest = &rest[at + part.len()..]).is_some())
        });
        assert!(takes, "{name}: {driver} would not take {} ({modalias})", function.address);
        // A port is on the way to what it is a bridge to, and a function lies below a bridge of a lower bus.
        if let Some(bridge) = &function.under {
            let bridge = machine.functions.iter().find(|other| other.address == *bridge).unwrap();
            let bus = |function: &Function| function.address.rsplit_once(':').unwrap().0.to_owned();
            assert_ne!(bus(bridge), bus(function), "{name}: {} is on the bus of the bridge above it", function.address);
        }
    }
    // What is on one bus is below one bridge.
    let buses = machine.functions.iter().map(|f| (f.address.rsplit_once(':').unwrap().0, f.under.as_deref()));
    let mut above = std::collections::HashMap::new();
    for (bus, under) in buses {
        assert_eq!(above.entry(bus).or_insert(under), &under, "{name}: bus {bus} is below two bridges");
    }
}

/// What is mounted, swapped to or routed is on something that is there.
fn what_the_host_has_is_there(name: &str, machine: &Machine, tree: &Tree) {
    for mount in &machine.mounts {
        let there = tree.exists(&format!("sys/class/block/{}", mount.source));
        assert!(there || ["zfs", "nfs4"].contains(&mount.kind), "{name}: {} is on nothing", mount.at);
    }
    for swap in machine.swaps.iter().filter(|swap| !swap.starts_with('/')) {
        assert!(tree.exists(&format!("sys/class/block/{swap}")), "{name}: {swap}");
    }
    for (interface, _) in &machine.routes {
        // That of a Raspberry Pi's own chip is below no PCI function.
        let there = tree.exists(&format!("sys/class/net/{interface}"));
        assert!(there || *interface == "eth0", "{name}: no interface {interface}");
    }
}

#[test]
fn a_server_has_as_many_functions_as_asked_for() {
    for functions in [32, 256, 4096] {
        let nodes = hosts::server(functions).nodes();
        let listed: HashSet<&String> = nodes.keys().filter(|path| path.starts_with("sys/bus/pci/devices/")).collect();
        assert_eq!(listed.len(), functions);
    }
}

#[test]
fn a_tree_survives_text_and_disk() {
    let nodes = text::Nodes::from([
        ("top".to_owned(), text::Node::File(0o644, b"1\n".to_vec())),
        ("a/b".to_owned(), text::Node::Directory),
        ("a/file".to_owned(), text::Node::File(0o444, b"0x1002\n".to_vec())),
        ("a/writable".to_owned(), text::Node::File(0o220, Vec::new())),
        ("a/binary".to_owned(), text::Node::File(0o600, vec![0, 255, b'\\', b'\t', b'\n', b' '])),
        ("a/link".to_owned(), text::Node::Link("../../bus/x y".to_owned())),
        ("a.b/file".to_owned(), text::Node::File(0o644, b" ".to_vec())),
    ]);
    assert_eq!(text::parse(&text::render(&nodes)), nodes, "{}", text::render(&nodes));
    let dir = tempfile::tempdir().unwrap();
    text::write(&nodes, dir.path());
    assert_eq!(text::read(dir.path(), &|_| false), nodes);
}

/// A machine with one of everything that can lie below a function.
fn crowded() -> Machine {
    let storage = |address: &str, class: u32, driver: &'static str| {
        let ids = if driver == "igc" { (0x8086, 0x15f3) } else { (0x1022, 0x43eb) };
        let function = Function::new(address, ids, class).driver(driver);
        function.group(address.as_bytes()[6].into())
    };
    Machine::new()
        .with([
            storage("0000:01:00.0", 0x01_0802, "nvme").has(Part::Nvme(disk("nvme0n1", 3))),
            storage("0000:02:00.0", 0x01_0802, "nvme").has(Part::NvmePaths(disk("nvme1n1", 1))),
            storage("0000:03:00.0", 0x01_0601, "ahci").has(Part::Ata(disk("sda", 2))).has(Part::Ata(disk("sdb", 0))),
            storage("0000:04:00.0", 0x0c_0330, "xhci_hcd")
                .has(parts::stick("1", "sdc", 1))
                .has(parts::keyboard("2.1"))
                .has(parts::mouse("2.2")),
            storage("0000:05:00.0", 0x02_0000, "igc").has(parts::ethernet("enp5s0")),
            storage("0000:06:00.0", 0x02_0000, "virtio-pci").has(Part::Virtio(disk("vda", 1))),
        ])
        .stack("dm-0", StackKind::Mapper("luks-1", "CRYPT-LUKS2-1-luks-1"), &["nvme0n1p3"])
        .stack("dm-1", StackKind::Mapper("vg-root", "LVM-1"), &["dm-0"])
        .stack("md127", StackKind::Array("raid1"), &["sda1", "sda2"])
        .stack("bcache0", StackKind::Cache, &["sdb", "nvme1n1p1"])
        .mount("/", "dm-1", "ext4")
        .mount("/boot/efi", "nvme0n1p1", "vfat")
        .mount("/srv", "vda1", "btrfs")
        .swap("nvme0n1p2")
        .btrfs("srv", "5b1a0f2e-5d7c-4c39-8f6d-0f9d0c1e2a3b", &["vda1"])
        .pool("tank", "ID_FS_LABEL=tank", &["sdc1"])
        .bridge("br0", "bridge", &["enp5s0"])
        .route("br0", true)
        .ps2_keyboard()
        .tpm()
        .inhabited()
}

#[test]
fn what_lies_below_functions_is_where_the_kernel_has_it() {
    let tree = crowded().build();
    let root = tree.root();
    let pci = "sys/devices/pci0000:";
    for (link, to) in [
        ("sys/class/block/nvme0n1p1", "01/0000:01:00.0/nvme/nvme0/nvme0n1/nvme0n1p1"),
        ("sys/class/block/sda2", "03/0000:03:00.0/ata1/host0/target0:0:0/0:0:0:0/block/sda/sda2"),
        ("sys/class/block/sdc1", "04/0000:04:00.0/usb1/1-1/1-1:1.0/host2/target2:0:0/2:0:0:0/block/sdc/sdc1"),
        ("sys/class/block/vda1", "06/0000:06:00.0/virtio0/block/vda/vda1"),
        ("sys/dev/block/8:32", "04/0000:04:00.0/usb1/1-1/1-1:1.0/host2/target2:0:0/2:0:0:0/block/sdc"),
        ("sys/class/net/enp5s0", "05/0000:05:00.0/net/enp5s0"),
        ("sys/class/net/br0/lower_enp5s0", "05/0000:05:00.0/net/enp5s0"),
        ("sys/class/input/event0", "04/0000:04:00.0/usb1/1-2/1-2.1/1-2.1:1.0/0003:046D:C31C.0001/input/input0/event0"),
        ("sys/fs/btrfs/5b1a0f2e-5d7c-4c39-8f6d-0f9d0c1e2a3b/devices/vda1", "06/0000:06:00.0/virtio0/block/vda/vda1"),
        ("sys/devices/virtual/block/dm-0/slaves/nvme0n1p3", "01/0000:01:00.0/nvme/nvme0/nvme0n1/nvme0n1p3"),
    ] {
        let found = std::fs::canonicalize(tree.join(link)).unwrap_or_else(|e| panic!("{link}: {e}"));
        assert_eq!(found, tree.join(&format!("{pci}{to}")), "{link}");
    }
    assert_eq!(tree.read("sys/class/input/event0/device/name"), "Logitech USB Keyboard\n");
    assert!(tree.read("sys/class/net/enp5s0/device/uevent").starts_with("DRIVER=igc\n"));
    assert!(tree.read("sys/class/block/sdc/removable") == "1\n");
    assert!(root.exists("sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme1n1/nvme1n1p1/holders/bcache0"));
    assert!(tree
        .read("proc/1/mountinfo")
        .starts_with("28 1 253:1 / / rw,relatime shared:1 - ext4 /dev/mapper/vg-root rw\n"));
    assert!(tree.read("proc/swaps").contains("/dev/nvme0n1p2"));
    assert!(tree
        .read("run/udev/data/b8:33")
        .contains("E:ID_FS_TYPE=zfs_member\nE:ID_FS_USAGE=filesystem\nE:ID_FS_LABEL=tank\n"));
}

/// Whatever lies below a function goes with its driver, every link to it too, and comes back.
#[test]
fn what_lies_below_functions_goes_with_the_driver_and_comes_back() {
    let tree = crowded().build();
    let before = tree.snapshot();
    let root = tree.root();
    let kernel = kernel_for(&root);
    for (address, driver) in [("0000:03:00.0", "ahci"), ("0000:04:00.0", "xhci_hcd"), ("0000:05:00.0", "igc")] {
        let attribute = |name: &str| format!("sys/bus/pci/drivers/{driver}/{name}");
        kernel.write(&attribute("unbind"), address).unwrap();
        for link in ["sys/class/block/sda", "sys/class/input/event0", "sys/class/net/enp5s0"] {
            assert_eq!(tree.join(link).symlink_metadata().is_ok(), root.exists(link), "{link}");
        }
        let nodes = tree.snapshot();
        let below = |path: &String| path.starts_with("sys/") && path.contains(&format!("{address}/"));
        assert!(!nodes.keys().any(|path| below(path) && path.ends_with("/dev")), "{driver}");
        kernel.write(&attribute("bind"), address).unwrap();
        tree.assert_same(&before, driver);
    }
}
