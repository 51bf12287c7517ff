// SPDX-License-Identifier: LGPL-2.1-or-later
//! Boards and slots that several machines have, and somebody who lives there.

use crate::common::cards::{self, endpoint, port};
use crate::common::machine::{Function, Machine, MEMORY_32, MEMORY_64, PORTS, ROM};
use crate::common::parts::{disk, ethernet, keyboard, mouse, Part};

/// Somebody lives there: the root, the firmware's partition and swap on an NVMe disk, a keyboard and a mouse on a USB host,
/// a network with the default route. Which functions these are: disk, USB, network with its interface's name.
pub fn at_home(machine: Machine, nvme: &str, usb: &str, (net, interface): (&str, &'static str)) -> Machine {
    with_desk(machine.on(nvme, Part::Nvme(disk("nvme0n1", 3))), usb, (net, interface))
        .mount("/", "nvme0n1p2", "ext4")
        .mount("/boot/efi", "nvme0n1p1", "vfat")
        .swap("nvme0n1p3")
}

/// The same without the disk.
pub fn with_desk(machine: Machine, usb: &str, (net, interface): (&str, &'static str)) -> Machine {
    let intel = machine.iommu.is_none_or(|name| name.starts_with("dmar"));
    let (vendor, table) = if intel { ("GenuineIntel", "DMAR") } else { ("AuthenticAMD", "IVRS") };
    machine
        .on(usb, keyboard("1"))
        .on(usb, mouse("2"))
        .on(net, ethernet(interface))
        .route(interface, true)
        .processor("x86_64", vendor, false)
        .table(table)
        .inhabited()
}

/// The functions of an APU's slot below `under`: display, its audio, security processor, two USB hosts, audio coprocessor,
/// the board's audio. Each is in a group of its own, from `group` on. `ids` are the display's, its audio's, the security
/// processor's and the two USB hosts'; an id of 0 is left out.
pub fn apu(slot: &str, under: &str, group: u32, class: u32, ids: [u16; 5]) -> Vec<Function> {
    let function = |number: u32, vendor: u16, device: u16, class: u32| {
        Function::new(&format!("{slot}.{number}"), (vendor, device), class)
            .under(under)
            .subsystem(0x1043, 0x8877)
            .group(group + number)
            .bar(0, 1 << 20, MEMORY_32, 0)
    };
    let [display, sound, psp, first, second] = ids;
    let mut video = function(0, 0x1002, display, class).driver("amdgpu");
    video.bars = Vec::new();
    video = video.bar(0, 256 << 20, MEMORY_64, 0).bar(2, 2 << 20, MEMORY_64, 0).bar(4, 256, PORTS, 0);
    let usb = |number, device| function(number, 0x1022, device, 0x0c_0330).driver("xhci_hcd").reset(&["pm"]);
    let all = [
        (display, video.bar(5, 512 << 10, MEMORY_32, 0)),
        (sound, function(1, 0x1002, sound, 0x04_0300).driver("snd_hda_intel").reset(&["pm"])),
        (psp, function(2, 0x1022, psp, 0x10_8000).driver("ccp").reset(&["pm"])),
        (first, usb(3, first)),
        (second, usb(4, second)),
        (1, function(5, 0x1022, 0x15e2, 0x04_8000).driver("snd_pci_ps").reset(&["pm"])),
        (1, function(6, 0x1022, 0x15e3, 0x04_0300).driver("snd_hda_intel").reset(&["pm"])),
    ];
    all.into_iter().filter(|(device, _)| *device != 0).map(|(_, function)| function).collect()
}

/// An AM5 board with a chipset of the 600 series: behind the switch of the chipset every port is in a group with what is
/// below it. Groups 0 to 13; root ports 00:01.1 (the first slot) and 00:01.2 (NVMe), the chipset at 05:00, the APU's slot
/// below 00:08.1, USB 2 below 00:08.3.
pub fn am5() -> Vec<Function> {
    let chipset =
        |number: u8, group| port(&format!("0000:06:{number:02x}.0"), (0x1022, 0x43f5), group).under("0000:05:00.0");
    vec![
        endpoint("0000:00:00.0", (0x1022, 0x14d8), 0x06_0000, 0),
        endpoint("0000:00:00.2", (0x1022, 0x14d9), 0x08_0600, 0),
        endpoint("0000:00:01.0", (0x1022, 0x14da), 0x06_0000, 1),
        port("0000:00:01.1", (0x1022, 0x14db), 2),
        port("0000:00:01.2", (0x1022, 0x14db), 3),
        endpoint("0000:00:02.0", (0x1022, 0x14da), 0x06_0000, 4),
        port("0000:00:02.1", (0x1022, 0x14db), 5),
        endpoint("0000:00:08.0", (0x1022, 0x14da), 0x06_0000, 6),
        port("0000:00:08.1", (0x1022, 0x14dd), 7),
        port("0000:00:08.3", (0x1022, 0x14dd), 8),
        endpoint("0000:00:14.0", (0x1022, 0x790b), 0x0c_0500, 9).driver("piix4_smbus"),
        endpoint("0000:00:14.3", (0x1022, 0x790e), 0x06_0100, 9),
        cards::nvme("0000:04:00.0", "0000:00:01.2", 10),
        port("0000:05:00.0", (0x1022, 0x43f4), 11).under("0000:00:02.1"),
        chipset(0, 12),
        chipset(8, 13),
        chipset(0xa, 14),
        endpoint("0000:0a:00.0", (0x8086, 0x15f3), 0x02_0000, 14).under("0000:06:0a.0").driver("igc"),
        chipset(0xc, 15),
        endpoint("0000:0c:00.0", (0x1022, 0x43f7), 0x0c_0330, 15).under("0000:06:0c.0").driver("xhci_hcd"),
        chipset(0xd, 16),
        endpoint("0000:0d:00.0", (0x1022, 0x43f6), 0x01_0601, 16).under("0000:06:0d.0").driver("ahci"),
    ]
}

/// An AM4 board with a chipset of the 400 series: all that is behind the chipset is in one group (11), its second slot for
/// a card below 03:04.0 too. The first slot is below 00:01.1, the NVMe disk below 00:02.1.
pub fn b450() -> Vec<Function> {
    let chipset = |address: &str| port(address, (0x1022, 0x43c7), 11).under("0000:02:00.2");
    vec![
        endpoint("0000:00:00.0", (0x1022, 0x1630), 0x06_0000, 0),
        endpoint("0000:00:00.2", (0x1022, 0x1631), 0x08_0600, 0),
        endpoint("0000:00:01.0", (0x1022, 0x1632), 0x06_0000, 1),
        port("0000:00:01.1", (0x1022, 0x1633), 2),
        endpoint("0000:00:02.0", (0x1022, 0x1632), 0x06_0000, 3),
        port("0000:00:02.1", (0x1022, 0x1634), 4),
        port("0000:00:02.2", (0x1022, 0x1634), 5),
        endpoint("0000:00:08.0", (0x1022, 0x1632), 0x06_0000, 6),
        port("0000:00:08.1", (0x1022, 0x1635), 7),
        endpoint("0000:00:14.0", (0x1022, 0x790b), 0x0c_0500, 8).driver("piix4_smbus"),
        endpoint("0000:00:14.3", (0x1022, 0x790e), 0x06_0100, 8),
        endpoint("0000:02:00.0", (0x1022, 0x43d5), 0x0c_0330, 11).under("0000:00:02.2").driver("xhci_hcd"),
        endpoint("0000:02:00.1", (0x1022, 0x43c8), 0x01_0601, 11).under("0000:00:02.2").driver("ahci"),
        port("0000:02:00.2", (0x1022, 0x43c6), 11).under("0000:00:02.2"),
        chipset("0000:03:00.0"),
        chipset("0000:03:01.0"),
        chipset("0000:03:04.0"),
        endpoint("0000:05:00.0", (0x10ec, 0x8168), 0x02_0000, 11).under("0000:03:01.0").driver("r8169"),
        cards::nvme("0000:07:00.0", "0000:00:02.1", 12),
    ]
}

/// A board for Intel's twelfth to fourteenth generation: groups 0 to 12; the first slot below 00:01.0, NVMe at 04:00.0,
/// network at 05:00.0, USB 00:14.0, SATA 00:17.0. The processor's graphics (00:02.0, group 0) are not on it.
pub fn lga1700() -> Vec<Function> {
    vec![
        endpoint("0000:00:00.0", (0x8086, 0xa700), 0x06_0000, 1),
        port("0000:00:01.0", (0x8086, 0xa70d), 2),
        port("0000:00:06.0", (0x8086, 0xa74d), 3),
        endpoint("0000:00:14.0", (0x8086, 0x7a60), 0x0c_0330, 4).driver("xhci_hcd"),
        endpoint("0000:00:14.2", (0x8086, 0x7a27), 0x05_0000, 4),
        endpoint("0000:00:16.0", (0x8086, 0x7a68), 0x07_8000, 5),
        endpoint("0000:00:17.0", (0x8086, 0x7a62), 0x01_0601, 6).driver("ahci"),
        port("0000:00:1a.0", (0x8086, 0x7a48), 7),
        port("0000:00:1c.0", (0x8086, 0x7a38), 8),
        endpoint("0000:00:1f.0", (0x8086, 0x7a04), 0x06_0100, 9),
        endpoint("0000:00:1f.3", (0x8086, 0x7a50), 0x04_0300, 9).driver("snd_hda_intel"),
        endpoint("0000:00:1f.4", (0x8086, 0x7aa3), 0x0c_0500, 9).driver("i801_smbus"),
        cards::nvme("0000:04:00.0", "0000:00:1a.0", 10),
        endpoint("0000:05:00.0", (0x8086, 0x15f3), 0x02_0000, 11).under("0000:00:1c.0").driver("igc"),
    ]
}

/// A GeForce with its sound function, in one group.
pub fn geforce(
    slot: &str,
    under: &str,
    group: u32,
    ids: (u16, u16),
    sockets: &[(&'static str, bool)],
) -> [Function; 2] {
    let function = |number: u8, device: u16, class: u32| {
        let function = Function::new(&format!("{slot}.{number}"), (0x10de, device), class);
        function.under(under).subsystem(0x1458, 0x40e8).group(group)
    };
    [
        function(0, ids.0, 0x03_0000)
            .driver("nvidia")
            .reset(&["flr", "bus"])
            .bar(0, 16 << 20, MEMORY_32, 0)
            .bar(1, 256 << 20, MEMORY_64, 0)
            .bar(3, 32 << 20, MEMORY_64, 0)
            .bar(5, 128, PORTS, 0)
            .bar(6, 512 << 10, ROM, 0)
            .connectors(sockets),
        function(1, ids.1, 0x04_0300).driver("snd_hda_intel").bar(0, 16 << 10, MEMORY_32, 0),
    ]
}

/// An Arc behind its own switch: upstream port, one downstream port for the display and one for the sound, whose slot is
/// another; each of the five in a group of its own, from `group` on. The upstream port has a BAR of 8 MiB.
pub fn arc(bus: u8, root_port: &str, group: u32, driver: &'static str, ids: [u16; 5]) -> Vec<Function> {
    let [upstream, first, second, display, sound] = ids;
    let at = |n: u8, device: u8| format!("0000:{:02x}:{device:02x}.0", bus + n);
    // The display's port is 01; that of the sound 04 on Alchemist, 02 on Battlemage.
    let other = if first == second { 4 } else { 2 };
    vec![
        port(&at(0, 0), (0x8086, upstream), group).under(root_port).bar(0, 8 << 20, MEMORY_64, 0),
        port(&at(1, 1), (0x8086, first), group + 1).under(&at(0, 0)),
        port(&at(1, other), (0x8086, second), group + 2).under(&at(0, 0)),
        Function::new(&at(2, 0), (0x8086, display), 0x03_0000)
            .under(&at(1, 1))
            .subsystem(0x8086, 0x1020)
            .group(group + 3)
            .driver(driver)
            .reset(&["flr", "bus"])
            .bar(0, 16 << 20, MEMORY_64, 0)
            .bar(2, 16 << 30, MEMORY_64, 0x7f00)
            .bar(6, 2 << 20, ROM, 0)
            .connectors(&[("DP-1", false), ("DP-2", false), ("HDMI-A-1", false)]),
        Function::new(&at(3, 0), (0x8086, sound), 0x04_0300)
            .under(&at(1, other))
            .subsystem(0x8086, 0x1020)
            .group(group + 4)
            .driver("snd_hda_intel")
            .reset(&["pm", "bus"])
            .bar(0, 16 << 10, MEMORY_64, 0),
    ]
}
