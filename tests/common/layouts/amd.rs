// SPDX-License-Identifier: LGPL-2.1-or-later
//! AMD's APUs and boards.

use super::boards::{am5, apu, at_home, b450, geforce};
use crate::common::cards::{self, endpoint, port};
use crate::common::machine::Machine;
use crate::common::parts::{bluetooth, camera, disk, receiver, Part};

/// Display and its audio, security processor, USB hosts of each family.
const PHOENIX: [u16; 5] = [0x15bf, 0x1640, 0x15c7, 0x15b9, 0x15ba];
const RAPHAEL: [u16; 5] = [0x164e, 0x1640, 0x1649, 0x15b6, 0x15b7];
const CEZANNE: [u16; 5] = [0x1638, 0x1637, 0x15df, 0x1639, 0x1639];
const STRIX: [u16; 5] = [0x150e, 0x1640, 0x17e0, 0x151e, 0];

/// Every machine here.
pub fn all() -> Vec<(&'static str, Machine)> {
    vec![
        ("phoenix-minipc", phoenix()),
        ("phoenix-bluetooth", phoenix_bluetooth()),
        ("phoenix-oculink", phoenix_oculink()),
        ("raphael-b650", raphael_b650()),
        ("b650-second-slot", b650_second_slot()),
        ("cezanne-b450", cezanne_b450()),
        ("b450-two-cards", b450_two_cards()),
        ("strix-laptop", strix_laptop()),
        ("cezanne-one-group", cezanne_one_group()),
    ]
}

/// A small computer with a Phoenix APU and nothing else that shows anything; the firmware's TPM is in its slot.
fn phoenix() -> Machine {
    let mut functions = vec![
        endpoint("0000:00:00.0", (0x1022, 0x14e8), 0x06_0000, 0),
        endpoint("0000:00:00.2", (0x1022, 0x14e9), 0x08_0600, 0),
        endpoint("0000:00:01.0", (0x1022, 0x14ea), 0x06_0000, 1),
        port("0000:00:01.2", (0x1022, 0x14ed), 2),
        port("0000:00:02.1", (0x1022, 0x14ee), 3),
        port("0000:00:02.4", (0x1022, 0x14ee), 4),
        endpoint("0000:00:08.0", (0x1022, 0x14ea), 0x06_0000, 5),
        port("0000:00:08.1", (0x1022, 0x14eb), 6),
        endpoint("0000:00:14.0", (0x1022, 0x790b), 0x0c_0500, 7).driver("piix4_smbus"),
        endpoint("0000:00:14.3", (0x1022, 0x790e), 0x06_0100, 7),
        endpoint("0000:04:00.0", (0x10ec, 0x8125), 0x02_0000, 8).under("0000:00:02.1").driver("r8169"),
        cards::nvme("0000:05:00.0", "0000:00:02.4", 9),
    ];
    let mut slot = apu("0000:c6:00", "0000:00:08.1", 19, 0x03_0000, PHOENIX);
    slot[0] = slot[0].clone().boots().connectors(&[("HDMI-A-1", true), ("DP-1", false)]);
    functions.extend(slot);
    let machine = Machine::new().iommu(Some("ivhd0")).with(functions);
    at_home(machine, "0000:05:00.0", "0000:c6:00.3", ("0000:04:00.0", "enp4s0"))
        .on("0000:c6:00.4", bluetooth("3"))
        .tpm()
        .dmi("Micro Computer (HK) Tech Limited", "Venus series", 35)
}

/// The same whose only keyboard is one by Bluetooth: the adapter hangs on the second USB host.
fn phoenix_bluetooth() -> Machine {
    let mut machine = phoenix();
    machine.at("0000:c6:00.3").parts.clear();
    machine.bluetooth_keyboard()
}

/// The first with an RX 7900 XTX on the OCuLink port: video and sound are in groups of their own.
fn phoenix_oculink() -> Machine {
    let mut machine = phoenix().with(cards::amd_switch("0000:01:00.0", "0000:02:00.0", "0000:00:01.2", (13, 14)));
    let [mut video, mut sound] = cards::amd("0000:03:00", "0000:02:00.0", 15, (0x1002, 0x744c), (0x1eae, 0x7901));
    video.connectors = vec![("DP-1", false), ("HDMI-A-1", false)];
    sound.ids.1 = 0xab30;
    machine = machine.with([video, sound.group(16)]);
    machine.window("0000:02:00.0", 32 << 30, 0x80_0000_0000)
}

/// A desktop with a Raphael: its own graphics show the desktop, the first slot has an RX 7900 XT, a disk of games is behind
/// the chipset's SATA.
fn raphael_b650() -> Machine {
    let mut functions = am5();
    let mut slot = apu("0000:0f:00", "0000:00:08.1", 28, 0x03_0000, RAPHAEL);
    slot[0] = slot[0].clone().boots().connectors(&[("HDMI-A-1", true), ("DP-1", false)]);
    functions.extend(slot);
    functions.push(endpoint("0000:10:00.0", (0x1022, 0x15b8), 0x0c_0330, 36).under("0000:00:08.3").driver("xhci_hcd"));
    let mut machine = Machine::new().iommu(Some("ivhd0")).with(functions);
    machine = machine.with(cards::amd_switch("0000:01:00.0", "0000:02:00.0", "0000:00:01.1", (17, 18)));
    let [mut video, mut sound] = cards::amd("0000:03:00", "0000:02:00.0", 19, (0x1002, 0x744c), (0x1da2, 0x471e));
    video.connectors = vec![("DP-1", true), ("DP-2", false), ("HDMI-A-1", false)];
    sound.ids.1 = 0xab30;
    machine = machine.with([video, sound.group(20)]).window("0000:02:00.0", 32 << 30, 0x80_0000_0000);
    at_home(machine, "0000:04:00.0", "0000:0c:00.0", ("0000:0a:00.0", "enp10s0"))
        .on("0000:0f:00.3", receiver("1"))
        .on("0000:0d:00.0", Part::Ata(disk("sda", 1)))
        .mount("/srv/games", "sda1", "ext4")
        .tpm_chip()
}

/// The same board with a second card in the chipset's slot, in a group of its own with the port above it: an RTX 4070,
/// and a GT 1030 in the first slot, which shows the desktop. A processor without graphics.
fn b650_second_slot() -> Machine {
    let mut functions = am5();
    let [video, sound] =
        geforce("0000:01:00", "0000:00:01.1", 17, (0x1d01, 0x0fb8), &[("HDMI-A-1", true), ("DVI-D-1", false)]);
    functions.extend([video.boots(), sound]);
    functions.extend(geforce(
        "0000:07:00",
        "0000:06:00.0",
        12,
        (0x2786, 0x22bc),
        &[("DP-1", false), ("HDMI-A-1", false)],
    ));
    functions.push(endpoint("0000:0f:00.2", (0x1022, 0x1649), 0x10_8000, 30).under("0000:00:08.1").driver("ccp"));
    functions.push(endpoint("0000:0f:00.3", (0x1022, 0x15b6), 0x0c_0330, 31).under("0000:00:08.1").driver("xhci_hcd"));
    let machine = Machine::new().iommu(Some("ivhd0")).with(functions);
    at_home(machine, "0000:04:00.0", "0000:0f:00.3", ("0000:0a:00.0", "enp10s0"))
}

/// A Cezanne on a B450: the APU shows the desktop, the card sits in the chipset's slot, in one group with SATA, USB and
/// network. The root is on NVMe, /home on SATA.
fn cezanne_b450() -> Machine {
    let mut functions = b450();
    let mut slot = apu("0000:08:00", "0000:00:08.1", 13, 0x03_0000, CEZANNE);
    slot[0] = slot[0].clone().boots().connectors(&[("HDMI-A-1", true), ("DP-1", false)]);
    functions.extend(slot);
    functions.extend(geforce(
        "0000:06:00",
        "0000:03:04.0",
        11,
        (0x1f82, 0x10fa),
        &[("HDMI-A-1", false), ("DP-1", false)],
    ));
    let machine = Machine::new().iommu(Some("ivhd0")).with(functions);
    at_home(machine, "0000:07:00.0", "0000:02:00.0", ("0000:05:00.0", "enp5s0"))
        .on("0000:02:00.1", Part::Ata(disk("sda", 1)))
        .mount("/home", "sda1", "ext4")
        .tpm()
}

/// A B450 with a processor without graphics: the card in the first slot is in a group of its own, the second is in the
/// chipset's, with the disk that has the root.
fn b450_two_cards() -> Machine {
    let mut functions = b450();
    let [video, sound] =
        geforce("0000:06:00", "0000:03:04.0", 11, (0x1d01, 0x0fb8), &[("HDMI-A-1", true), ("DVI-D-1", false)]);
    functions.extend([video.boots(), sound]);
    functions.extend(geforce(
        "0000:01:00",
        "0000:00:01.1",
        13,
        (0x2503, 0x228e),
        &[("DP-1", false), ("HDMI-A-1", false)],
    ));
    functions.push(endpoint("0000:08:00.3", (0x1022, 0x149c), 0x0c_0330, 16).under("0000:00:08.1").driver("xhci_hcd"));
    let machine = Machine::new().iommu(Some("ivhd0")).with(functions);
    super::boards::with_desk(machine, "0000:08:00.3", ("0000:05:00.0", "enp5s0"))
        .on("0000:02:00.1", Part::Ata(disk("sda", 2)))
        .mount("/", "sda2", "ext4")
        .mount("/boot/efi", "sda1", "vfat")
}

/// A laptop with a Strix, whose graphics are an "other display" (0380) and have the panel; the GeForce beside it is the
/// only display of class 0300, so it is what `boot_vga` names. The firmware showed its messages on the panel.
fn strix_laptop() -> Machine {
    let mut functions = vec![
        endpoint("0000:00:00.0", (0x1022, 0x1507), 0x06_0000, 0),
        endpoint("0000:00:00.2", (0x1022, 0x1508), 0x08_0600, 0),
        endpoint("0000:00:01.0", (0x1022, 0x1509), 0x06_0000, 1),
        port("0000:00:01.1", (0x1022, 0x150a), 2),
        port("0000:00:02.1", (0x1022, 0x150b), 3),
        port("0000:00:02.3", (0x1022, 0x150b), 4),
        port("0000:00:08.1", (0x1022, 0x150c), 5),
        port("0000:00:08.3", (0x1022, 0x150c), 6),
        cards::nvme("0000:63:00.0", "0000:00:02.3", 8),
        endpoint("0000:62:00.0", (0x14c3, 0x0616), 0x02_8000, 7).under("0000:00:02.1").driver("mt7921e"),
        endpoint("0000:66:00.0", (0x1022, 0x151a), 0x0c_0330, 24).under("0000:00:08.3").driver("xhci_hcd"),
    ];
    let mut slot = apu("0000:65:00", "0000:00:08.1", 14, 0x03_8000, STRIX);
    slot[0] = slot[0].clone().connectors(&[("eDP-1", true), ("DP-1", false)]);
    slot[0].boot_display = true;
    functions.extend(slot);
    let [video, sound] =
        geforce("0000:64:00", "0000:00:01.1", 12, (0x2860, 0x22bd), &[("HDMI-A-1", false), ("eDP-2", false)]);
    functions.extend([video.boots(), sound]);
    let machine = Machine::new().iommu(Some("ivhd0")).with(functions);
    let machine = machine
        .on("0000:63:00.0", Part::Nvme(disk("nvme0n1", 3)))
        .on("0000:62:00.0", crate::common::parts::wireless("wlp98s0"))
        .on("0000:66:00.0", camera("1"))
        .on("0000:66:00.0", bluetooth("2"));
    machine
        .mount("/", "nvme0n1p2", "ext4")
        .mount("/boot/efi", "nvme0n1p1", "vfat")
        .route("wlp98s0", true)
        .processor("x86_64", "AuthenticAMD", false)
        .table("IVRS")
        .ps2_keyboard()
        .tpm()
        .inhabited()
        .dmi("ASUSTeK COMPUTER INC.", "ROG Zephyrus G16", 10)
}

/// A Cezanne on a board whose firmware leaves ACS off: all of the APU's slot is in one group with the port above it.
fn cezanne_one_group() -> Machine {
    let mut functions = b450();
    let mut slot = apu("0000:08:00", "0000:00:08.1", 7, 0x03_0000, CEZANNE);
    slot.iter_mut().for_each(|function| function.group = Some(7));
    slot[0] = slot[0].clone().connectors(&[("HDMI-A-1", false), ("DP-1", false)]);
    functions.extend(slot);
    let [video, sound] =
        geforce("0000:01:00", "0000:00:01.1", 13, (0x1f82, 0x10fa), &[("HDMI-A-1", true), ("DP-1", false)]);
    functions.extend([video.boots(), sound]);
    let machine = Machine::new().iommu(Some("ivhd0")).with(functions);
    at_home(machine, "0000:07:00.0", "0000:08:00.3", ("0000:05:00.0", "enp5s0")).tpm()
}
