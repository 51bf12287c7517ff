// SPDX-License-Identifier: LGPL-2.1-or-later
//! A keyboard and a mouse on a tree.

use super::Tree;
use std::fs;

/// Capabilities as the kernel prints them: ESC to D; two axes and the left button.
pub fn keyboard_and_mouse(tree: &Tree) {
    for (number, kind, keys, axes) in [(3, "kbd", "fffffffe", "0"), (4, "mouse", "10000 0 0 0 0", "3")] {
        let device = format!("sys/class/input/input{number}");
        tree.write(&format!("{device}/name"), &format!("Acme {kind}\n"));
        tree.write(&format!("{device}/phys"), &format!("usb-0000:00:14.0-{number}/input0\n"));
        tree.write(&format!("{device}/capabilities/key"), &format!("{keys}\n"));
        tree.write(&format!("{device}/capabilities/rel"), &format!("{axes}\n"));
        tree.write(&format!("{device}/event{number}/dev"), &format!("13:{}\n", 64 + number));
        tree.write(&format!("dev/input/event{number}"), "");
        let link = tree.join(&format!("dev/input/by-id/usb-Acme_{number}-event-{kind}"));
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(format!("../event{number}"), link).unwrap();
    }
}
