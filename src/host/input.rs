// SPDX-License-Identifier: LGPL-2.1-or-later
//! Keyboards and mice: what they are, and the paths by which they are the same after a reboot.

use crate::root::Root;
use std::path::Path;

/// One link per input device, and one per event node.
const INPUT: &str = "sys/class/input";

/// Links that udev makes to event nodes (60-persistent-input.rules), in the order in which they are preferred: one by what the
/// device is goes with it to another socket, one by its place does not.
const LINKS: [&str; 2] = ["dev/input/by-id", "dev/input/by-path"];

/// A keyboard or a mouse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputDevice {
    /// The kernel's name of it: `input7`.
    pub input: String,
    /// As it calls itself.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Its event node, as `/dev/input/event3`; none while evdev is not loaded.
    pub node: Option<String>,
    /// The links to its event node, the best first: `/dev/input/by-id/usb-Acme_Keyboard-event-kbd`.
    pub links: Vec<String>,
    /// The part of its `phys` that it shares with what else is in the same housing: `usb-0000:00:14.0-3`. Empty where it has
    /// none.
    pub place: String,
    /// Whether a program has made it by uinput: the daemon of a keyboard, a remapper, a remote desktop.
    pub is_virtual: bool,
}

/// What an input device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It has letter keys.
    Keyboard,
    /// It moves, and has a left button.
    Mouse,
}

impl InputDevice {
    /// Its link in sysfs, which tells what it hangs on.
    pub fn link(&self) -> String {
        format!("{INPUT}/{}", self.input)
    }

    /// Whether it is one that the Bluetooth daemon has made: its HID device is of bus 0005 and below that of a program's devices
    /// (drivers/hid/uhid.c), not below the adapter by which it is reached.
    pub fn is_by_bluetooth(&self, root: &Root) -> bool {
        root.read_link(&self.link()).is_ok_and(|target| target.to_string_lossy().contains("/uhid/0005:"))
    }
}

/// All keyboards and mice.
pub fn devices(root: &Root) -> Vec<InputDevice> {
    let links = links(root);
    let inputs = root.list(INPUT).unwrap_or_default();
    inputs.into_iter().filter(|name| name.starts_with("input")).filter_map(|name| device(root, name, &links)).collect()
}

fn device(root: &Root, input: String, links: &[(String, String)]) -> Option<InputDevice> {
    let device = format!("{INPUT}/{input}");
    let text = |name: &str| root.read_text(&format!("{device}/{name}"));
    let bits = |kind: &str| text(&format!("capabilities/{kind}")).unwrap_or_default();
    let (keys, axes) = (bits("key"), bits("rel"));
    // As udev tells them apart (src/udev/udev-builtin-input_id.c): a keyboard has all of ESC to D, a mouse two axes and a left
    // button (include/uapi/linux/input-event-codes.h).
    let kind = if (1..32).all(|key| bit(&keys, key)) {
        Kind::Keyboard
    } else if bit(&axes, 0) && bit(&axes, 1) && bit(&keys, 0x110) {
        Kind::Mouse
    } else {
        return None;
    };
    let event = root.list(&device).unwrap_or_default().into_iter().find(|name| name.starts_with("event"));
    let of_node = |node: &String| links.iter().filter(|(_, to)| to == node).map(|(link, _)| link.clone()).collect();
    let target = root.read_link(&device).unwrap_or_default();
    let phys = text("phys").unwrap_or_default();
    Some(InputDevice {
        name: text("name").unwrap_or_else(|_| input.clone()),
        kind,
        links: event.as_ref().map(of_node).unwrap_or_default(),
        node: event.map(|event| format!("/dev/input/{event}")),
        place: phys.rsplit_once('/').map_or("", |(place, _)| place).to_owned(),
        // Directly there are uinput's; what a program makes as a whole HID device (uhid) stands for one that is there.
        is_virtual: target.parent().is_some_and(|above| above.ends_with("devices/virtual/input")),
        input,
    })
}

/// The links to event nodes, in the order of preference: path, and the node's name.
fn links(root: &Root) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for directory in LINKS {
        for name in root.list(directory).unwrap_or_default() {
            let path = format!("{directory}/{name}");
            let target = root.read_link(&path).unwrap_or_default();
            let node = Path::new(&target).file_name().unwrap_or_default().to_string_lossy().into_owned();
            if node.starts_with("event") {
                found.push((format!("/{path}"), node));
            }
        }
    }
    found
}

/// The programs that may have made virtual input devices: those that have the node for it open.
pub fn makers(root: &Root) -> Vec<String> {
    let opens = |pid: &String| {
        let descriptors = format!("proc/{pid}/fd");
        let names = root.list(&descriptors).unwrap_or_default();
        names.iter().any(|fd| {
            let target = root.read_link(&format!("{descriptors}/{fd}")).unwrap_or_default();
            matches!(target.to_str(), Some("/dev/uinput" | "/dev/input/uinput"))
        })
    };
    let processes = root.list("proc").unwrap_or_default();
    let processes = processes.iter().filter(|name| name.bytes().all(|b| b.is_ascii_digit()));
    let command = |pid: &String| root.read_text(&format!("proc/{pid}/comm")).ok();
    let mut names: Vec<String> = processes.filter(|pid| opens(pid)).filter_map(command).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Whether a bit is set in a bitmap as the kernel prints it: hexadecimal words of a `long` each, the highest first, leading
/// ones that are 0 left out (`drivers/input/input.c`, `input_print_bitmap`).
fn bit(words: &str, number: usize) -> bool {
    const BITS: usize = usize::BITS as usize;
    let word = words.split_ascii_whitespace().rev().nth(number / BITS);
    word.and_then(|word| usize::from_str_radix(word, 16).ok()).is_some_and(|word| word >> (number % BITS) & 1 == 1)
}

#[cfg(test)]
#[path = "input_tests.rs"]
mod tests;
