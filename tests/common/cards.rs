// SPDX-License-Identifier: LGPL-2.1-or-later
//! Cards and what else is soldered to a board, with their real ids, classes and registers.

use super::machine::{Function, MEMORY_32, MEMORY_64, PORTS, ROM};

const K: u64 = 1 << 10;
const M: u64 = 1 << 20;
const G: u64 = 1 << 30;

/// A root port or a switch port.
pub fn port(address: &str, ids: (u16, u16), group: u32) -> Function {
    Function::new(address, ids, 0x06_0400).driver("pcieport").group(group)
}

/// Something of this class that a host driver may have.
pub fn endpoint(address: &str, ids: (u16, u16), class: u32, group: u32) -> Function {
    let function = Function::new(address, ids, class).group(group);
    match class >> 8 {
        0x0600 | 0x0601 | 0x0806 => function,
        0x0c05 => function.bar(4, 32, PORTS, 0),
        _ => function.bar(0, 16 * K, MEMORY_32, 0),
    }
}

/// An RX 6800 with its sound function, bound to the host's drivers. `slot` is `0000:03:00`.
pub fn rx6800(slot: &str, under: &str, group: u32) -> [Function; 2] {
    amd(slot, under, group, (0x1002, 0x73bf), (0x1da2, 0xe445))
}

/// An RX 6700 XT with its sound function.
pub fn rx6700xt(slot: &str, under: &str, group: u32) -> [Function; 2] {
    amd(slot, under, group, (0x1002, 0x73df), (0x1849, 0x5222))
}

/// An RX 580 with its sound function: a card that vendor-reset knows.
pub fn rx580(slot: &str, under: &str, group: u32) -> [Function; 2] {
    let [video, sound] = amd(slot, under, group, (0x1002, 0x67df), (0x1da2, 0xe366));
    [video.reset(&["pm"]), sound]
}

/// A Radeon of the RX 6000 or 7000 series: the card is one slot behind a switch of its own.
pub fn amd(slot: &str, under: &str, group: u32, ids: (u16, u16), board: (u16, u16)) -> [Function; 2] {
    let video = Function::new(&format!("{slot}.0"), ids, 0x03_0000)
        .under(under)
        .subsystem(board.0, board.1)
        .group(group)
        .driver("amdgpu")
        .reset(&["pm", "bus"])
        .bar(0, 16 * G, MEMORY_64, 0x7f00)
        .bar(2, 256 * M, MEMORY_64, 0x01fe)
        .bar(4, 256, PORTS, 0)
        .bar(5, M, MEMORY_32, 0)
        .bar(6, 128 * K, ROM, 0)
        .connectors(&[("DP-1", true), ("DP-2", false), ("HDMI-A-1", false)]);
    let sound = Function::new(&format!("{slot}.1"), (0x1002, 0xab28), 0x04_0300)
        .under(under)
        .subsystem(0x1002, 0xab28)
        .group(group)
        .driver("snd_hda_intel")
        .reset(&["pm"])
        .bar(0, 16 * K, MEMORY_32, 0);
    [video, sound]
}

/// The switch on a Radeon: its upstream and downstream port.
pub fn amd_switch(upstream: &str, downstream: &str, root_port: &str, groups: (u32, u32)) -> [Function; 2] {
    [
        port(upstream, (0x1002, 0x1478), groups.0).under(root_port).bar(0, 16 * K, MEMORY_32, 0),
        port(downstream, (0x1002, 0x1479), groups.1).under(upstream),
    ]
}

/// An RTX 2080: video, sound, USB and USB-C.
pub fn rtx2080(slot: &str, under: &str, group: u32) -> [Function; 4] {
    let function = |number: u8, device: u16, class: u32| {
        Function::new(&format!("{slot}.{number}"), (0x10de, device), class)
            .under(under)
            .subsystem(0x1462, 0x3721)
            .group(group)
    };
    [
        function(0, 0x1e87, 0x03_0000)
            .driver("nvidia")
            .reset(&["flr", "bus"])
            .bar(0, 16 * M, MEMORY_32, 0)
            .bar(1, 256 * M, MEMORY_64, 0)
            .bar(3, 32 * M, MEMORY_64, 0)
            .bar(5, 128, PORTS, 0)
            .bar(6, 512 * K, ROM, 0)
            .connectors(&[("DP-1", false), ("HDMI-A-1", false)]),
        function(1, 0x10f8, 0x04_0300).driver("snd_hda_intel").bar(0, 16 * K, MEMORY_32, 0),
        function(2, 0x1ad8, 0x0c_0330).driver("xhci_hcd").reset(&["pm"]).bar(0, 256 * K, MEMORY_64, 0).bar(
            3,
            64 * K,
            MEMORY_64,
            0,
        ),
        function(3, 0x1ad9, 0x0c_8000).driver("nvidia-gpu").reset(&["pm"]).bar(0, 4 * K, MEMORY_32, 0),
    ]
}

/// A mobile GeForce without outputs.
pub fn gtx1650m(address: &str, under: &str, group: u32) -> Function {
    Function::new(address, (0x10de, 0x1f9d), 0x03_0200)
        .under(under)
        .subsystem(0x17aa, 0x22c8)
        .group(group)
        .driver("nvidia")
        .reset(&["bus"])
        .bar(0, 16 * M, MEMORY_32, 0)
        .bar(1, 256 * M, MEMORY_64, 0)
        .bar(3, 32 * M, MEMORY_64, 0)
        .bar(5, 128, PORTS, 0)
        .bar(6, 512 * K, ROM, 0)
}

/// The graphics inside an Intel processor.
pub fn igpu(device: u16, group: u32) -> Function {
    Function::new("0000:00:02.0", (0x8086, device), 0x03_0000)
        .subsystem(0x1849, device)
        .group(group)
        .driver("i915")
        .reset(&["flr"])
        .bar(0, 16 * M, MEMORY_64, 0)
        .bar(2, 256 * M, MEMORY_64, 0)
        .bar(4, 64, PORTS, 0)
}

/// An NVMe disk.
pub fn nvme(address: &str, under: &str, group: u32) -> Function {
    Function::new(address, (0x144d, 0xa80a), 0x01_0802)
        .under(under)
        .subsystem(0x144d, 0xa801)
        .group(group)
        .driver("nvme")
        .reset(&["flr", "pm", "bus"])
        .bar(0, 16 * K, MEMORY_64, 0)
}
