// SPDX-License-Identifier: LGPL-2.1-or-later
//! Servers and workstations: several domains, virtual functions, 1:1 mappings, a display of the board's controller,
//! several seats, no monitor at all.

use super::boards::{at_home, geforce, lga1700, with_desk};
use crate::common::cards::{self, endpoint, port};
use crate::common::machine::{Function, Machine, MEMORY_32, MEMORY_64};
use crate::common::parts::{disk, ethernet, keyboard, mouse, unplugged, usb, Disk, Input, InputKind, Interface, Part};

/// Every machine here.
pub fn all() -> Vec<(&'static str, Machine)> {
    vec![
        ("threadripper-domains", domains()),
        ("epyc-multipath", multipath()),
        ("sriov-nic", sriov_nic()),
        ("sriov-nvme", sriov_nvme()),
        ("sriov-gpu", sriov_gpu()),
        ("proliant", proliant()),
        ("bmc-two-gpus", bmc()),
        ("headless-twins", headless()),
        ("multi-seat", seats()),
    ]
}

/// What every host bridge of these processors has: itself, and root ports from 01.1 on.
fn host(bus: &str, group: u32, ports: u8) -> Vec<Function> {
    let mut all = vec![endpoint(&format!("{bus}:00.0"), (0x1022, 0x14a4), 0x06_0000, group)];
    all.extend((1..=ports).map(|n| port(&format!("{bus}:01.{n}"), (0x1022, 0x14a5), group + u32::from(n))));
    all
}

/// A workstation with three PCI domains: in each a card, in the first the root and the board's own display.
fn domains() -> Machine {
    let mut functions = [host("0000:00", 0, 3), host("0001:00", 10, 2), host("0002:80", 20, 2)].concat();
    functions.extend([
        cards::nvme("0000:01:00.0", "0000:00:01.1", 4),
        endpoint("0000:02:00.0", (0x8086, 0x1563), 0x02_0000, 5).under("0000:00:01.2").driver("ixgbe"),
        endpoint("0000:03:00.0", (0x1022, 0x149c), 0x0c_0330, 6).under("0000:00:01.3").driver("xhci_hcd"),
        cards::nvme("0001:02:00.0", "0001:00:01.2", 14),
    ]);
    let [video, sound] =
        geforce("0001:01:00", "0001:00:01.1", 13, (0x2684, 0x22ba), &[("DP-1", true), ("HDMI-A-1", false)]);
    functions.extend([video.boots(), sound]);
    functions.extend(geforce(
        "0002:81:00",
        "0002:80:01.1",
        23,
        (0x2684, 0x22ba),
        &[("DP-2", false), ("HDMI-A-2", false)],
    ));
    let machine = Machine::new().iommu(Some("ivhd0")).with(functions);
    at_home(machine, "0000:01:00.0", "0000:03:00.0", ("0000:02:00.0", "enp2s0f0"))
        .on("0001:02:00.0", Part::Nvme(disk("nvme1n1", 1)))
}

/// An EPYC whose disks could have two paths each: the kernel shows them beside their functions. The root is on one of them.
fn multipath() -> Machine {
    let mut functions = host("0000:00", 0, 4);
    functions.extend([
        cards::nvme("0000:01:00.0", "0000:00:01.1", 5),
        cards::nvme("0000:02:00.0", "0000:00:01.2", 6),
        endpoint("0000:03:00.0", (0x14e4, 0x165f), 0x02_0000, 7).under("0000:00:01.3").driver("tg3"),
        endpoint("0000:03:00.1", (0x14e4, 0x165f), 0x02_0000, 7).under("0000:00:01.3").driver("tg3"),
    ]);
    functions.extend(host("0000:40", 10, 3));
    functions.extend(geforce("0000:41:00", "0000:40:01.1", 14, (0x20b5, 0x1aef), &[]));
    for function in functions.iter_mut().filter(|function| function.address == "0000:41:00.0") {
        function.class = 0x03_0200;
    }
    functions.retain(|function| function.address != "0000:41:00.1");
    functions.push(port("0000:42:00.0", (0x1a03, 0x1150), 15).under("0000:40:01.2"));
    functions.push(ast("0000:43:00.0", "0000:42:00.0", 15).boots().connectors(&[("VGA-1", false)]));
    functions.push(endpoint("0000:44:00.0", (0x1022, 0x148c), 0x0c_0330, 16).under("0000:40:01.3").driver("xhci_hcd"));
    Machine::new()
        .iommu(Some("ivhd0"))
        .with(functions)
        .on("0000:01:00.0", Part::NvmePaths(disk("nvme0n1", 3)))
        .on("0000:02:00.0", Part::NvmePaths(disk("nvme1n1", 1)))
        .on("0000:03:00.0", ethernet("eno1"))
        .on("0000:03:00.1", unplugged("eno2"))
        .on("0000:44:00.0", bmc_hands("1"))
        .mount("/", "nvme0n1p2", "xfs")
        .mount("/boot/efi", "nvme0n1p1", "vfat")
        .mount("/srv", "nvme1n1p1", "xfs")
        .route("eno1", true)
        .processor("x86_64", "AuthenticAMD", false)
        .table("IVRS")
        .inhabited()
}

/// The display of a board's management controller.
fn ast(address: &str, under: &str, group: u32) -> Function {
    let function = Function::new(address, (0x1a03, 0x2000), 0x03_0000).under(under).subsystem(0x1a03, 0x2000);
    function.group(group).driver("ast").bar(0, 16 << 20, MEMORY_32, 0).bar(1, 128 << 10, MEMORY_32, 0)
}

/// The keyboard, mouse and disk that a management controller plugs into the host.
fn bmc_hands(port: &'static str) -> Part {
    let keys = Input { name: "American Megatrends Inc. Virtual Keyboard and Mouse", kind: InputKind::Keyboard };
    let mouse = Input { name: "American Megatrends Inc. Virtual Mouse", kind: InputKind::Mouse };
    let hands = vec![Interface::Input(keys), Interface::Input(mouse)];
    usb(port, (0x046b, 0xff10), "Virtual Keyboard and Mouse", hands)
}

/// Virtual functions of one physical function, from `address` on, one device a function as ARI numbers them.
fn virtuals(
    of: &Function,
    slot: &str,
    first: u8,
    count: u8,
    device: u16,
    driver: Option<&'static str>,
) -> Vec<Function> {
    (first..first + count)
        .map(|n| {
            let mut function = Function::new(&format!("{slot}:{:02x}.{}", n / 8, n % 8), (of.ids.0, device), of.class);
            function.under = of.under.clone();
            function.subsystem = of.subsystem;
            function.driver = driver;
            function.group(60 + u32::from(n)).reset(&["flr"]).virtual_of(&of.address).bar(0, 16 << 10, MEMORY_64, 0)
        })
        .collect()
}

/// A network card with two ports of which the first has four virtual functions: one is the host's, the others nobody's.
/// The host is reached by the physical function.
fn sriov_nic() -> Machine {
    let nic = |n: u8| {
        let function = endpoint(&format!("0000:01:00.{n}"), (0x8086, 0x1563), 0x02_0000, 13 + u32::from(n));
        function.under("0000:00:01.0").subsystem(0x8086, 0x0001).driver("ixgbe").reset(&["flr"]).virtual_functions(63)
    };
    let mut functions = virtuals(&nic(0), "0000:01", 0x80, 4, 0x1565, None);
    functions[0].driver = Some("ixgbevf");
    functions.extend([nic(0), nic(1)]);
    let igpu = cards::igpu(0xa780, 0).boots().connectors(&[("HDMI-A-1", true)]);
    let machine = Machine::new().with([igpu]).with(lga1700()).with(functions).load("vfio-pci").words("intel_iommu=on");
    let machine = machine
        .on("0000:04:00.0", Part::Nvme(disk("nvme0n1", 3)))
        .on("0000:01:00.1", unplugged("enp1s0f1"))
        .on("0000:01:10.0", ethernet("enp1s0f0v0"))
        .mount("/", "nvme0n1p2", "ext4")
        .bridge("br0", "bridge", &["enp1s0f0"])
        .route("br0", true);
    let mut machine = with_desk(machine, "0000:00:14.0", ("0000:01:00.0", "enp1s0f0"));
    machine.routes = vec![("br0", true)];
    machine
}

/// A disk with three virtual functions: the root is on the physical one.
fn sriov_nvme() -> Machine {
    let mut disk = cards::nvme("0000:01:00.0", "0000:00:01.0", 13).virtual_functions(32);
    disk.ids = (0x144d, 0xa824);
    let mut functions = virtuals(&disk, "0000:01", 1, 3, 0xa824, None);
    functions[0].driver = Some("nvme");
    let mut board = lga1700();
    board.retain(|function| function.address != "0000:04:00.0");
    let igpu = cards::igpu(0xa780, 0).boots().connectors(&[("HDMI-A-1", true)]);
    let machine = Machine::new().with([igpu]).with(board).with(functions).with([disk]).words("intel_iommu=on");
    let machine = machine.on("0000:01:00.1", Part::Nvme(crate::common::parts::disk("nvme1n1", 0)));
    at_home(machine, "0000:01:00.0", "0000:00:14.0", ("0000:05:00.0", "enp5s0"))
}

/// A Flex 170 (0380, no sockets) with two virtual functions, behind its own switch.
fn sriov_gpu() -> Machine {
    let gpu = Function::new("0000:53:00.0", (0x8086, 0x56c0), 0x03_8000)
        .under("0000:52:01.0")
        .subsystem(0x8086, 0x4905)
        .group(15)
        .driver("i915")
        .reset(&["flr", "bus"])
        .virtual_functions(31)
        .bar(0, 16 << 20, MEMORY_64, 0)
        .bar(2, 16 << 30, MEMORY_64, 0);
    let functions = [
        endpoint("0000:50:00.0", (0x8086, 0x09a2), 0x08_8000, 12),
        port("0000:50:02.0", (0x8086, 0x347a), 12),
        port("0000:51:00.0", (0x8086, 0x4fa0), 13).under("0000:50:02.0").bar(0, 8 << 20, MEMORY_64, 0),
        port("0000:52:01.0", (0x8086, 0x4fa4), 14).under("0000:51:00.0"),
    ];
    let display = ast("0000:06:00.0", "0000:00:1c.0", 16).boots().connectors(&[("VGA-1", false)]);
    let mut board = lga1700();
    board.retain(|function| function.address != "0000:05:00.0");
    board.push(port("0000:00:1d.0", (0x8086, 0x7a30), 17));
    board.push(endpoint("0000:07:00.0", (0x8086, 0x1521), 0x02_0000, 18).under("0000:00:1d.0").driver("igb"));
    let vfs = virtuals(&gpu, "0000:53", 1, 2, 0x56c0, None);
    let machine =
        Machine::new().with(board).with([display]).with(functions).with(vfs).with([gpu]).words("intel_iommu=on");
    at_home(machine, "0000:04:00.0", "0000:00:14.0", ("0000:07:00.0", "eno1"))
}

/// A ProLiant whose firmware wants memory mapped 1:1 for all that it watches: the card, the storage and the network.
fn proliant() -> Machine {
    let mut board = lga1700();
    board.retain(|function| !["0000:04:00.0", "0000:05:00.0"].contains(&function.address.as_str()));
    board.extend([
        endpoint("0000:04:00.0", (0x9005, 0x028f), 0x01_0700, 10).under("0000:00:1a.0").driver("smartpqi"),
        endpoint("0000:05:00.0", (0x14e4, 0x165f), 0x02_0000, 11).under("0000:00:1c.0").driver("tg3"),
        endpoint("0000:05:00.1", (0x14e4, 0x165f), 0x02_0000, 11).under("0000:00:1c.0").driver("tg3"),
    ]);
    let mut display = Function::new("0000:06:00.1", (0x102b, 0x0538), 0x03_0000).under("0000:00:06.0").group(15);
    display = display.boots().bar(0, 16 << 20, MEMORY_32, 0).driver("mgag200").connectors(&[("VGA-1", true)]);
    let card = geforce("0000:01:00", "0000:00:01.0", 13, (0x1eb8, 0x10f8), &[]);
    let mut machine = Machine::new().with(board).with([display]).with(card).words("intel_iommu=on");
    let card = machine.at("0000:01:00.0");
    card.class = 0x03_0200;
    machine.functions.retain(|function| function.address != "0000:01:00.1");
    let mapped = "0x00000000791ef000 0x00000000791effff direct";
    machine
        .on("0000:04:00.0", Part::Scsi(disk("sda", 3)))
        .on("0000:05:00.0", ethernet("eno1"))
        .on("0000:05:00.1", unplugged("eno2"))
        .on("0000:00:14.0", keyboard("3"))
        .mount("/", "sda2", "xfs")
        .mount("/boot/efi", "sda1", "vfat")
        .swap("sda3")
        .route("eno1", true)
        .region(13, mapped)
        .region(10, mapped)
        .region(11, mapped)
        .region(4, "0x00000000791f0000 0x00000000791fffff direct-relaxable")
        .processor("x86_64", "GenuineIntel", false)
        .table("DMAR")
        .inhabited()
        .dmi("HPE", "ProLiant ML30 Gen10", 7)
}

/// A board with a management controller, whose display the firmware starts on, and two cards without monitors.
fn bmc() -> Machine {
    let mut board = lga1700();
    board.push(port("0000:00:1d.0", (0x8086, 0x7a30), 14));
    board.push(port("0000:06:00.0", (0x1a03, 0x1150), 15).under("0000:00:06.0"));
    board.push(ast("0000:07:00.0", "0000:06:00.0", 15).boots().connectors(&[("VGA-1", false)]));
    let sockets = [("DP-1", false), ("HDMI-A-1", false)];
    let machine = Machine::new()
        .with(board)
        .with(geforce("0000:01:00", "0000:00:01.0", 13, (0x2231, 0x1aef), &sockets))
        .with(geforce("0000:08:00", "0000:00:1d.0", 16, (0x2231, 0x1aef), &sockets))
        .words("intel_iommu=on");
    let mut machine = machine
        .on("0000:04:00.0", Part::Nvme(disk("nvme0n1", 3)))
        .on("0000:00:14.0", bmc_hands("7"))
        .on("0000:05:00.0", ethernet("eno1"))
        .mount("/", "nvme0n1p2", "ext4")
        .mount("/boot/efi", "nvme0n1p1", "vfat")
        .route("eno1", true)
        .processor("x86_64", "GenuineIntel", false)
        .table("DMAR")
        .inhabited()
        .dmi("Supermicro", "Super Server", 17);
    machine.i8042.clear();
    machine
}

/// Two equal cards, no monitor anywhere, no keyboard: it is reached by its network only.
fn headless() -> Machine {
    let mut board = lga1700();
    board.push(port("0000:00:1d.0", (0x8086, 0x7a30), 14));
    let sockets = [("DP-1", false), ("HDMI-A-1", false)];
    let [video, sound] = geforce("0000:01:00", "0000:00:01.0", 13, (0x2204, 0x1aef), &sockets);
    Machine::new()
        .with(board)
        .with([video.boots(), sound])
        .with(geforce("0000:08:00", "0000:00:1d.0", 16, (0x2204, 0x1aef), &sockets))
        .words("intel_iommu=on")
        .on("0000:04:00.0", Part::Nvme(disk("nvme0n1", 3)))
        .on("0000:05:00.0", ethernet("enp5s0"))
        .mount("/", "nvme0n1p2", "ext4")
        .mount("/boot/efi", "nvme0n1p1", "vfat")
        .route("enp5s0", true)
        .processor("x86_64", "GenuineIntel", false)
        .table("DMAR")
        .inhabited()
}

/// Two seats: the processor's graphics with the first keyboard, a card with a USB host and the second keyboard.
fn seats() -> Machine {
    let igpu = cards::igpu(0xa780, 0).boots().connectors(&[("HDMI-A-1", true), ("DP-1", false)]);
    let mut board = lga1700();
    board.push(port("0000:00:1d.0", (0x8086, 0x7a30), 16));
    board.push(endpoint("0000:07:00.0", (0x1b21, 0x2142), 0x0c_0330, 17).under("0000:00:1d.0").driver("xhci_hcd"));
    let [mut video, sound] = cards::rx6700xt("0000:03:00", "0000:02:00.0", 14);
    video = video.seat("seat1").connectors(&[("DP-1", true), ("HDMI-A-1", false)]);
    let machine = Machine::new()
        .with([igpu])
        .with(board)
        .with(cards::amd_switch("0000:01:00.0", "0000:02:00.0", "0000:00:01.0", (12, 13)))
        .with([video, sound])
        .words("intel_iommu=on")
        .window("0000:02:00.0", 32 << 30, 0x80_0000_0000);
    at_home(machine, "0000:04:00.0", "0000:00:14.0", ("0000:05:00.0", "enp5s0"))
        .on("0000:07:00.0", keyboard("1"))
        .on("0000:07:00.0", mouse("2"))
}
