// SPDX-License-Identifier: LGPL-2.1-or-later
//! Laptops with two graphics, and cards that come and go by Thunderbolt.

use super::boards::geforce;
use crate::common::cards::{self, endpoint, port};
use crate::common::machine::Machine;
use crate::common::parts::{bluetooth, camera, disk, wireless, Input, InputKind, Part};

/// Every machine here.
pub fn all() -> Vec<(&'static str, Machine)> {
    vec![
        ("hybrid-panel-intel", panel_intel()),
        ("hybrid-panel-nvidia", panel_nvidia()),
        ("thunderbolt-egpu", egpu()),
        ("thunderbolt-unplugged", laptop()),
    ]
}

/// A laptop of Intel's twelfth generation: the panel is on the processor's graphics; the touchpad hangs on an I2C bus that
/// is a PCI function of its own. The slot of a second graphics is below 00:01.0, Thunderbolt below 00:07.0.
fn laptop() -> Machine {
    let igpu = cards::igpu(0x46a6, 0).boots().connectors(&[("eDP-1", true), ("DP-1", false), ("DP-2", false)]);
    let board = [
        endpoint("0000:00:00.0", (0x8086, 0x4641), 0x06_0000, 1),
        port("0000:00:01.0", (0x8086, 0x460d), 2),
        port("0000:00:06.0", (0x8086, 0x464d), 3),
        port("0000:00:07.0", (0x8086, 0x466e), 4),
        endpoint("0000:00:0d.0", (0x8086, 0x461e), 0x0c_0330, 5).driver("xhci_hcd"),
        endpoint("0000:00:0d.2", (0x8086, 0x463e), 0x0c_0340, 6).driver("thunderbolt"),
        endpoint("0000:00:14.0", (0x8086, 0x51ed), 0x0c_0330, 7).driver("xhci_hcd"),
        endpoint("0000:00:14.2", (0x8086, 0x51ef), 0x05_0000, 7),
        endpoint("0000:00:15.0", (0x8086, 0x51e8), 0x0c_8000, 8).driver("intel-lpss"),
        port("0000:00:1c.0", (0x8086, 0x51be), 9),
        endpoint("0000:00:1f.0", (0x8086, 0x5182), 0x06_0100, 10),
        endpoint("0000:00:1f.3", (0x8086, 0x51c8), 0x04_0300, 10).driver("snd_hda_intel"),
        endpoint("0000:00:1f.4", (0x8086, 0x51a3), 0x0c_0500, 10).driver("i801_smbus"),
        cards::nvme("0000:02:00.0", "0000:00:06.0", 11),
        endpoint("0000:03:00.0", (0x8086, 0x2725), 0x02_8000, 12).under("0000:00:1c.0").driver("iwlwifi"),
    ];
    let touchpad = Input { name: "ELAN0001:00 04F3:3140 Touchpad", kind: InputKind::Touchpad };
    Machine::new()
        .with([igpu])
        .with(board)
        .on("0000:02:00.0", Part::Nvme(disk("nvme0n1", 3)))
        .on("0000:03:00.0", wireless("wlp3s0"))
        .on("0000:00:14.0", camera("4"))
        .on("0000:00:14.0", bluetooth("10"))
        .on("0000:00:15.0", Part::I2c(touchpad))
        .mount("/", "nvme0n1p2", "ext4")
        .mount("/boot/efi", "nvme0n1p1", "vfat")
        .swap("nvme0n1p3")
        .route("wlp3s0", true)
        .processor("x86_64", "GenuineIntel", false)
        .table("DMAR")
        .ps2_keyboard()
        .tpm()
        .inhabited()
        .region(0, "0x000000007c000000 0x00000000803fffff direct-relaxable")
        .region(7, "0x0000000069f1a000 0x0000000069f39fff direct-relaxable")
        .words("intel_iommu=on")
        .dmi("LENOVO", "21CB", 10)
}

/// The panel is on the processor's graphics, the sockets for monitors are on the GeForce.
fn panel_intel() -> Machine {
    laptop().with(geforce("0000:01:00", "0000:00:01.0", 13, (0x28a0, 0x22be), &[("HDMI-A-1", false), ("DP-3", false)]))
}

/// The same with the multiplexer switched to the GeForce: it has the panel, and the machine started on it.
fn panel_nvidia() -> Machine {
    let [video, sound] =
        geforce("0000:01:00", "0000:00:01.0", 13, (0x28a0, 0x22be), &[("eDP-1", true), ("HDMI-A-1", false)]);
    let mut machine = laptop().with([video.boots(), sound]);
    let igpu = machine.at("0000:00:02.0");
    igpu.boot_vga = false;
    igpu.connectors = vec![("eDP-2", false), ("DP-1", false)];
    machine
}

/// An RX 7600 in a box on Thunderbolt: two bridges of the box, then the switch on the card. With the box a USB host and the
/// network come.
fn egpu() -> Machine {
    let bridge = |address: &str, group, under: &str| port(address, (0x8086, 0x15ef), group).under(under).removable();
    let [mut video, mut sound] = cards::amd("0000:25:00", "0000:24:00.0", 18, (0x1002, 0x7480), (0x1849, 0x5314));
    video.connectors = vec![("DP-1", true), ("HDMI-A-1", false)];
    sound.ids.1 = 0xab30;
    let ports = cards::amd_switch("0000:23:00.0", "0000:24:00.0", "0000:22:01.0", (16, 17));
    let usb = endpoint("0000:26:00.0", (0x8086, 0x15f0), 0x0c_0330, 20).under("0000:22:02.0").driver("xhci_hcd");
    laptop()
        .with([
            bridge("0000:21:00.0", 14, "0000:00:07.0"),
            bridge("0000:22:01.0", 15, "0000:21:00.0"),
            bridge("0000:22:02.0", 19, "0000:21:00.0"),
        ])
        .with(ports.map(cards_removable))
        .with([video.removable(), sound.removable(), usb.removable()])
        .on("0000:26:00.0", crate::common::parts::mouse("1"))
        .window("0000:24:00.0", 32 << 30, 0x80_0000_0000)
}

fn cards_removable(function: crate::common::Function) -> crate::common::Function {
    function.removable()
}
