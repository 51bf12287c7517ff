// SPDX-License-Identifier: LGPL-2.1-or-later
//! Intel's own cards, and VMD.

use super::boards::{arc, at_home, lga1700, with_desk};
use crate::common::cards::{self, endpoint, port};
use crate::common::machine::{Function, Machine, MEMORY_64};
use crate::common::parts::{camera, disk, wireless, Part};

/// Upstream port, downstream ports of display and sound, display, sound.
const A770: [u16; 5] = [0x4fa0, 0x4fa4, 0x4fa4, 0x56a0, 0x4f90];
const B580: [u16; 5] = [0xe2ff, 0xe2f0, 0xe2f1, 0xe20b, 0xe2f7];

/// Every machine here.
pub fn all() -> Vec<(&'static str, Machine)> {
    vec![
        ("arc-a770", a770()),
        ("arc-b580", b580()),
        ("arc-chipset-slot", chipset_slot()),
        ("vmd-desktop", vmd_desktop()),
        ("vmd-laptop", vmd_laptop()),
        ("igpu-other-display", other_display()),
    ]
}

fn igpu() -> Function {
    cards::igpu(0xa780, 0).boots().connectors(&[("HDMI-A-1", true), ("DP-1", false)])
}

/// An A770 in the first slot, the processor's own graphics in use.
fn a770() -> Machine {
    let machine = Machine::new().with([igpu()]).with(lga1700()).with(arc(0x10, "0000:00:01.0", 12, "i915", A770));
    at_home(machine, "0000:04:00.0", "0000:00:14.0", ("0000:05:00.0", "enp5s0"))
        .on("0000:00:17.0", Part::Ata(disk("sda", 1)))
        .words("intel_iommu=on")
        .window("0000:10:00.0", 32 << 30, 0x80_0000_0000)
        .tpm()
}

/// A B580 that shows the desktop, beside the processor's own graphics without a monitor.
fn b580() -> Machine {
    let igpu = cards::igpu(0xa780, 0).connectors(&[("HDMI-A-1", false), ("DP-1", false)]);
    let mut card = arc(0x10, "0000:00:01.0", 12, "xe", B580);
    card[3] = card[3].clone().boots().connectors(&[("DP-1", true), ("DP-2", true), ("HDMI-A-1", false)]);
    let machine = Machine::new().with([igpu]).with(lga1700()).with(card);
    at_home(machine, "0000:04:00.0", "0000:00:14.0", ("0000:05:00.0", "enp5s0")).words("intel_iommu=on").window(
        "0000:01:00.0",
        32 << 30,
        0x80_0000_0000,
    )
}

/// An Arc in a slot whose port has no ACS: all of the card, its switch too, is in one group with the port above it.
fn chipset_slot() -> Machine {
    let mut board = lga1700();
    board.push(port("0000:00:1b.0", (0x8086, 0x7a40), 17));
    let mut card = arc(7, "0000:00:1b.0", 17, "i915", [0x4fa1, 0x4fa4, 0x4fa4, 0x56a6, 0x4f92]);
    card.iter_mut().for_each(|function| function.group = Some(17));
    let machine = Machine::new().with([igpu()]).with(board).with(card).load("i915");
    at_home(machine, "0000:04:00.0", "0000:00:14.0", ("0000:05:00.0", "enp5s0")).words("intel_iommu=on")
}

/// VMD switched on in the firmware: the disk with the root is in a domain of its own below it, and in its group. An
/// RTX 4070 in the first slot is outside of it.
fn vmd_desktop() -> Machine {
    let mut board = lga1700();
    board.retain(|function| function.address != "0000:04:00.0");
    board.push(endpoint("0000:00:0e.0", (0x8086, 0x467f), 0x01_0400, 12).driver("vmd"));
    board.push(port("10000:e0:06.0", (0x8086, 0x464d), 12).under("0000:00:0e.0"));
    board.push(cards::nvme("10000:e1:00.0", "10000:e0:06.0", 12));
    let card = super::boards::geforce("0000:01:00", "0000:00:01.0", 13, (0x2786, 0x22bc), &[("DP-1", false)]);
    let machine = Machine::new().with([igpu()]).with(board).with(card).words("intel_iommu=on");
    at_home(machine, "10000:e1:00.0", "0000:00:14.0", ("0000:05:00.0", "enp5s0"))
}

/// A laptop with VMD and an Arc A370M, an "other display" (0380) without sockets of its own; sound by its processor's.
fn vmd_laptop() -> Machine {
    let igpu = cards::igpu(0x46a6, 0).boots().connectors(&[("eDP-1", true), ("DP-1", false)]);
    let arc = Function::new("0000:03:00.0", (0x8086, 0x5693), 0x03_8000)
        .under("0000:02:01.0")
        .subsystem(0x1028, 0x0b1a)
        .group(15)
        .driver("i915")
        .reset(&["flr", "bus"])
        .bar(0, 16 << 20, MEMORY_64, 0)
        .bar(2, 4 << 30, MEMORY_64, 0x1f00);
    let board = [
        endpoint("0000:00:00.0", (0x8086, 0xa706), 0x06_0000, 1),
        port("0000:00:06.0", (0x8086, 0xa74d), 2),
        endpoint("0000:00:0e.0", (0x8086, 0x467f), 0x01_0400, 3).driver("vmd"),
        endpoint("0000:00:14.0", (0x8086, 0x51ed), 0x0c_0330, 4).driver("xhci_hcd"),
        endpoint("0000:00:14.2", (0x8086, 0x51ef), 0x05_0000, 4),
        endpoint("0000:00:14.3", (0x8086, 0x7a70), 0x02_8000, 5).driver("iwlwifi"),
        endpoint("0000:00:16.0", (0x8086, 0x51e0), 0x07_8000, 6),
        endpoint("0000:00:1f.0", (0x8086, 0x519d), 0x06_0100, 7),
        endpoint("0000:00:1f.3", (0x8086, 0x51ca), 0x04_0100, 7),
        endpoint("0000:00:1f.4", (0x8086, 0x51a3), 0x0c_0500, 7).driver("i801_smbus"),
        port("0000:01:00.0", (0x8086, 0x4fa1), 13).under("0000:00:06.0").bar(0, 8 << 20, MEMORY_64, 0),
        port("0000:02:01.0", (0x8086, 0x4fa4), 14).under("0000:01:00.0"),
        port("10000:e0:06.0", (0x8086, 0xa74d), 3).under("0000:00:0e.0"),
        cards::nvme("10000:e1:00.0", "10000:e0:06.0", 3),
    ];
    Machine::new()
        .with([igpu, arc])
        .with(board)
        .on("10000:e1:00.0", Part::Nvme(disk("nvme0n1", 3)))
        .on("0000:00:14.0", camera("4"))
        .on("0000:00:14.3", wireless("wlo1"))
        .mount("/", "nvme0n1p2", "ext4")
        .mount("/boot/efi", "nvme0n1p1", "vfat")
        .route("wlo1", true)
        .words("intel_iommu=on")
        .processor("x86_64", "GenuineIntel", false)
        .table("DMAR")
        .ps2_keyboard()
        .tpm()
        .inhabited()
}

/// The processor's graphics are an "other display" (0380) since the firmware started on the card: it still shows the
/// desktop, by a cable to the board.
fn other_display() -> Machine {
    let mut igpu = cards::igpu(0x4680, 0).connectors(&[("HDMI-A-1", true), ("DP-1", false)]);
    igpu.class = 0x03_8000;
    let [mut video, sound] = cards::rx6700xt("0000:03:00", "0000:02:00.0", 14);
    video = video.boots().connectors(&[("DP-1", true), ("HDMI-A-1", false)]);
    let machine = Machine::new()
        .with([igpu])
        .with(lga1700())
        .with(cards::amd_switch("0000:01:00.0", "0000:02:00.0", "0000:00:01.0", (12, 13)))
        .with([video, sound])
        .words("intel_iommu=on")
        .window("0000:02:00.0", 32 << 30, 0x80_0000_0000);
    with_desk(machine.on("0000:00:17.0", Part::Ata(disk("sda", 2))), "0000:00:14.0", ("0000:05:00.0", "enp5s0"))
        .mount("/", "sda2", "ext4")
}
