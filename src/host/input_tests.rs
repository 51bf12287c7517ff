// SPDX-License-Identifier: LGPL-2.1-or-later
//! Input devices as kernel and udev show them: wired, by radio, with several nodes, made by a program.
#![allow(clippy::unwrap_used)]

use super::*;
use std::fs;
use std::os::unix::fs::symlink;

/// `capabilities/key` of a keyboard (AT Translated Set 2), of a mouse with five buttons, of a power button.
const KEYS: &str = "402000000 3803078f800d001 feffffdfffefffff fffffffffffffffe";
const BUTTONS: &str = "1f0000 0 0 0 0";
const POWER: &str = "10000000000000 0";

struct Machine(tempfile::TempDir);

impl Machine {
    fn new() -> Machine {
        let machine = Machine(tempfile::tempdir().unwrap());
        fs::create_dir_all(machine.0.path().join(INPUT)).unwrap();
        machine
    }

    /// An input device below a path of `sys/devices`, with an event node and links of udev's to it.
    fn add(&self, number: u32, above: &str, name: &str, phys: &str, (keys, axes): (&str, &str), links: &[&str]) {
        let tree = self.0.path();
        let device = tree.join(format!("sys/devices/{above}/input/input{number}"));
        fs::create_dir_all(device.join("capabilities")).unwrap();
        fs::create_dir_all(device.join(format!("event{number}"))).unwrap();
        for (file, text) in [("name", name), ("phys", phys), ("capabilities/key", keys), ("capabilities/rel", axes)] {
            fs::write(device.join(file), format!("{text}\n")).unwrap();
        }
        let to = format!("../../devices/{above}/input/input{number}");
        symlink(to, tree.join(format!("{INPUT}/input{number}"))).unwrap();
        for link in links {
            let path = tree.join("dev/input").join(link);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let node = if link.contains("-event-") { format!("event{number}") } else { format!("mouse{number}") };
            symlink(format!("../{node}"), path).unwrap();
        }
    }

    fn devices(&self) -> Vec<InputDevice> {
        devices(&Root::open(self.0.path()).unwrap())
    }
}

#[test]
fn a_keyboard_and_a_mouse_have_links_to_their_event_nodes() {
    let machine = Machine::new();
    let usb = "pci0000:00/0000:00:14.0/usb1/1-3/1-3:1.";
    let phys = "usb-0000:00:14.0-3/input";
    machine.add(3, "LNXSYSTM:00/LNXPWRBN:00", "Power Button", "LNXPWRBN/button/input0", (POWER, "0"), &[]);
    let links =
        ["by-path/pci-0000:00:14.0-usb-0:3:1.0-event-mouse", "by-id/usb-Acme_M-event-mouse", "by-id/usb-Acme_M-mouse"];
    machine.add(4, &format!("{usb}0/0003:1"), "Acme M", &format!("{phys}0"), (BUTTONS, "1943"), &links);
    let links = ["by-id/usb-Acme_M-if01-event-kbd"];
    machine.add(5, &format!("{usb}1/0003:2"), "Acme M Keyboard", &format!("{phys}1"), (KEYS, "0"), &links);
    machine.add(
        1,
        "platform/i8042/serio0",
        "AT Translated Set 2 keyboard",
        "isa0060/serio0/input0",
        (KEYS, ""),
        &["by-path/platform-i8042-serio-0-event-kbd"],
    );
    let devices = machine.devices();
    let shown: Vec<_> = devices.iter().map(|d| (d.name.as_str(), d.kind, d.node.as_deref().unwrap())).collect();
    assert_eq!(
        shown,
        [
            ("AT Translated Set 2 keyboard", Kind::Keyboard, "/dev/input/event1"),
            ("Acme M", Kind::Mouse, "/dev/input/event4"),
            ("Acme M Keyboard", Kind::Keyboard, "/dev/input/event5"),
        ]
    );
    assert_eq!(devices[0].links, ["/dev/input/by-path/platform-i8042-serio-0-event-kbd"]);
    assert_eq!(
        devices[1].links,
        ["/dev/input/by-id/usb-Acme_M-event-mouse", "/dev/input/by-path/pci-0000:00:14.0-usb-0:3:1.0-event-mouse"],
        "by what it is first, and none that leads to no event node"
    );
    assert_eq!(devices[1].place, devices[2].place, "one housing");
    assert_ne!(devices[0].place, devices[1].place);
    assert!(devices.iter().all(|device| !device.is_virtual));
}

#[test]
fn what_a_program_has_made_is_told_from_what_it_speaks_for() {
    let machine = Machine::new();
    machine.add(7, "virtual", "keyd virtual keyboard", "", (KEYS, "0"), &[]);
    machine.add(8, "virtual/misc/uhid/0005:046D:B35B.0003", "MX Keys", "aa:bb:cc:dd:ee:ff", (KEYS, ""), &[]);
    let root = Root::open(machine.0.path()).unwrap();
    let devices = machine.devices();
    assert_eq!(devices.iter().map(|d| d.is_virtual).collect::<Vec<_>>(), [true, false]);
    assert_eq!(devices.iter().map(|d| d.is_by_bluetooth(&root)).collect::<Vec<_>>(), [false, true]);
    for (pid, command, target) in [(7, "keyd", "/dev/uinput"), (8, "cat", "/dev/input/event7")] {
        let fd = machine.0.path().join(format!("proc/{pid}/fd"));
        fs::create_dir_all(&fd).unwrap();
        fs::write(fd.join("../comm"), format!("{command}\n")).unwrap();
        symlink(target, fd.join("5")).unwrap();
    }
    assert_eq!(makers(&root), ["keyd"]);
}

#[test]
fn bits_are_counted_from_the_last_word() {
    assert!(bit("1 0", usize::BITS as usize) && bit("8", 3) && !bit("8", 2) && !bit("", 0) && !bit("x", 0));
}
