// SPDX-License-Identifier: LGPL-2.1-or-later
//! Machines that are guests themselves, and those of another architecture.

use super::boards::geforce;
use crate::common::cards::{self, endpoint, port};
use crate::common::machine::{Function, Machine, MEMORY_32, MEMORY_64};
use crate::common::parts::{disk, ethernet, keyboard, mouse, usb, Input, InputKind, Interface, Net, Part};
use crate::common::text::Node;

/// Every machine here.
pub fn all() -> Vec<(&'static str, Machine)> {
    vec![
        ("nested", nested(false)),
        ("nested-viommu", nested(true)),
        ("raspberry-pi-5", raspberry_pi()),
        ("arm-server", arm_server()),
        ("arm-without-smmu", arm_server().iommu(None)),
        ("framebuffer-other-display", framebuffer_other_display()),
        ("framebuffer-older-kernel", framebuffer_older_kernel()),
    ]
}

/// A guest of QEMU that has been given an RTX 4070, with and without an IOMMU of its own.
fn nested(iommu: bool) -> Machine {
    let display = Function::new("0000:00:01.0", (0x1234, 0x1111), 0x03_0000)
        .group(0)
        .driver("bochs-drm")
        .boots()
        .bar(0, 16 << 20, MEMORY_32, 0)
        .connectors(&[("Virtual-1", true)]);
    let virtio = |address: &str, under: &str, device: u16, class: u32, group| {
        endpoint(address, (0x1af4, device), class, group).under(under).driver("virtio-pci")
    };
    let functions = [
        endpoint("0000:00:00.0", (0x8086, 0x29c0), 0x06_0000, 1),
        display,
        port("0000:00:02.0", (0x1b36, 0x000c), 2),
        port("0000:00:02.1", (0x1b36, 0x000c), 3),
        port("0000:00:02.2", (0x1b36, 0x000c), 4),
        port("0000:00:02.3", (0x1b36, 0x000c), 5),
        endpoint("0000:00:1f.0", (0x8086, 0x2918), 0x06_0100, 6),
        endpoint("0000:00:1f.2", (0x8086, 0x2922), 0x01_0601, 6).driver("ahci"),
        endpoint("0000:00:1f.3", (0x8086, 0x2930), 0x0c_0500, 6),
        virtio("0000:01:00.0", "0000:00:02.0", 0x1041, 0x02_0000, 7),
        virtio("0000:02:00.0", "0000:00:02.1", 0x1042, 0x01_0000, 8),
        endpoint("0000:03:00.0", (0x1b36, 0x000d), 0x0c_0330, 9).under("0000:00:02.2").driver("xhci_hcd"),
    ];
    let tablet = Input { name: "QEMU QEMU USB Tablet", kind: InputKind::Mouse };
    let machine = Machine::new()
        .iommu(iommu.then_some("dmar0"))
        .with(functions)
        .with(geforce("0000:04:00", "0000:00:02.3", 10, (0x2786, 0x22bc), &[("DP-1", false)]))
        .on("0000:02:00.0", Part::Virtio(disk("vda", 2)))
        .on("0000:01:00.0", Part::VirtioNet(Net { name: "enp1s0", up: true, wireless: false }))
        .on("0000:03:00.0", usb("1", (0x0627, 0x0001), "QEMU USB Tablet", vec![Interface::Input(tablet)]))
        .mount("/", "vda2", "ext4")
        .mount("/boot/efi", "vda1", "vfat")
        .route("enp1s0", true)
        .processor("x86_64", "GenuineIntel", true)
        .ps2_keyboard()
        .inhabited()
        .dmi("QEMU", "Standard PC (Q35 + ICH9, 2009)", 1);
    if iommu {
        machine.table("DMAR").words("intel_iommu=on")
    } else {
        machine
    }
}

/// A Raspberry Pi 5 with an RX 580 by way of its PCIe port: three host bridges, of which the second is the chip with USB and
/// network, whose devices are no PCI functions. There are IOMMUs, but none of them for PCIe; the root is on a card in its
/// slot.
fn raspberry_pi() -> Machine {
    let bridge = |address: &str| Function::new(address, (0x14e4, 0x2712), 0x06_0400).driver("pcieport");
    let [mut video, sound] = cards::rx580("0001:01:00", "0001:00:00.0", 0);
    video.connectors = vec![("DP-1", true), ("HDMI-A-3", false)];
    let mut machine = Machine::new().iommu(None).with([
        bridge("0001:00:00.0"),
        bridge("0002:00:00.0"),
        Function::new("0002:01:00.0", (0x1de4, 0x0001), 0x02_0000).under("0002:00:00.0").driver("rp1").bar(
            0,
            16 << 10,
            MEMORY_32,
            0,
        ),
        video,
        sound,
    ]);
    machine.functions.iter_mut().for_each(|function| function.group = None);
    let gpu = "sys/devices/platform/axi/axi:gpu";
    let group = "sys/kernel/iommu_groups/0";
    machine = machine.file(&format!("{gpu}/uevent"), "DRIVER=vc4-drm\n").file(&format!("{group}/type"), "DMA\n");
    let up = |to: &str| Node::Link(format!("../../../../{}", to.trim_start_matches("sys/")));
    machine.more.insert(format!("{group}/devices/axi:gpu"), up(gpu));
    machine.bridges_at = vec![("0001:00", "platform/axi/1000110000.pcie"), ("0002:00", "platform/axi/1000120000.pcie")];
    machine
        .disk_in("sys/devices/platform/axi/1000fff000.mmc/mmc_host/mmc0/mmc0:aaaa/block", disk("mmcblk0", 2))
        .mount("/", "mmcblk0p2", "ext4")
        .route("eth0", true)
        .processor("aarch64", "", false)
        .file("sys/firmware/devicetree/base/model", "Raspberry Pi 5 Model B Rev 1.0\0")
        .inhabited()
}

/// A server with arm64 processors and an SMMU, a card beside the management controller's display.
fn arm_server() -> Machine {
    let ast = Function::new("0004:02:00.0", (0x1a03, 0x2000), 0x03_0000)
        .under("0004:01:00.0")
        .group(11)
        .driver("ast")
        .boots()
        .bar(0, 16 << 20, MEMORY_32, 0)
        .connectors(&[("VGA-1", false)]);
    let [video, sound] = geforce("000d:01:00", "000d:00:01.0", 20, (0x2231, 0x1aef), &[("DP-1", false)]);
    Machine::new()
        .iommu(Some("smmu3.0x000027fff0000000"))
        .with([
            port("0004:00:01.0", (0x1def, 0xe101), 1),
            port("0004:00:03.0", (0x1def, 0xe103), 2),
            port("0004:00:05.0", (0x1def, 0xe105), 3),
            port("0004:00:07.0", (0x1def, 0xe107), 4),
            port("0004:01:00.0", (0x1a03, 0x1150), 11).under("0004:00:01.0"),
            ast,
            endpoint("0004:03:00.0", (0x1912, 0x0014), 0x0c_0330, 12).under("0004:00:03.0").driver("xhci_hcd"),
            endpoint("0004:04:00.0", (0x8086, 0x1521), 0x02_0000, 13).under("0004:00:05.0").driver("igb"),
            cards::nvme("0004:05:00.0", "0004:00:07.0", 14),
            port("000d:00:01.0", (0x1def, 0xe101), 15),
            video,
            sound,
        ])
        .on("0004:05:00.0", Part::Nvme(disk("nvme0n1", 3)))
        .on("0004:04:00.0", ethernet("enP4p4s0f0"))
        .on("0004:03:00.0", keyboard("1"))
        .mount("/", "nvme0n1p2", "ext4")
        .mount("/boot/efi", "nvme0n1p1", "vfat")
        .route("enP4p4s0f0", true)
        .processor("aarch64", "", false)
        .table("IORT")
        .inhabited()
        .dmi("GIGABYTE", "R152-P30-00", 17)
}

/// The boot display is an "other display" (0380) that no driver has, and simpledrm shows the firmware's framebuffer on it;
/// another card with a monitor beside it.
fn framebuffer_other_display() -> Machine {
    let display = Function::new("0000:00:01.0", (0x1234, 0x1111), 0x03_8000)
        .group(0)
        .bar(0, 16 << 20, MEMORY_32, 0)
        .bar(2, 4 << 10, MEMORY_32, 0)
        .reset(&["pm"]);
    Machine::new()
        .with([
            endpoint("0000:00:00.0", (0x8086, 0x29c0), 0x06_0000, 1),
            display,
            port("0000:00:02.0", (0x1b36, 0x000c), 2),
            port("0000:00:02.1", (0x1b36, 0x000c), 3),
            endpoint("0000:00:1f.0", (0x8086, 0x2918), 0x06_0100, 6),
            endpoint("0000:01:00.0", (0x8086, 0x15f3), 0x02_0000, 7).under("0000:00:02.0").driver("igc"),
            cards::nvme("0000:02:00.0", "0000:00:02.1", 8),
            endpoint("0000:00:14.0", (0x8086, 0x7a60), 0x0c_0330, 4).driver("xhci_hcd"),
            Function::new("0000:00:02.7", (0x8086, 0x9a49), 0x03_0000)
                .group(9)
                .driver("i915")
                .bar(0, 16 << 20, MEMORY_64, 0)
                .connectors(&[("HDMI-A-1", true)]),
        ])
        .framebuffer("0000:00:01.0", 0, "simpledrm")
        .on("0000:02:00.0", Part::Nvme(disk("nvme0n1", 3)))
        .on("0000:01:00.0", ethernet("enp1s0"))
        .on("0000:00:14.0", keyboard("1"))
        .on("0000:00:14.0", mouse("2"))
        .mount("/", "nvme0n1p2", "ext4")
        .route("enp1s0", true)
        .processor("x86_64", "GenuineIntel", false)
        .table("DMAR")
        .inhabited()
}

/// The same as an older kernel shows it: the framebuffer's device is not below the card, and efifb has it.
fn framebuffer_older_kernel() -> Machine {
    let mut machine = framebuffer_other_display();
    if let Some(framebuffer) = &mut machine.framebuffer {
        framebuffer.below_card = false;
        framebuffer.claim = "efifb";
    }
    machine
}
